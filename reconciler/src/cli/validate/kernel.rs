//! `--btf`: whether a kernel has the functions of a call chain, and whether their predicates fit it.

use std::{fs::File, path::Path};

use faultline_api::{Code, Diagnostic, decode::FramePlace};
use faultline_ebpf::{
    btf::{Btf, Kind},
    predicate::{self, Function, Problems},
    symbol::{self, Symbol},
};

use super::CliError;
use crate::bounded::read_at_most;

/// Largest description of a kernel's types, in bytes. Those of distributions have 4 to 10 MiB.
const MAX_BTF_BYTES: u64 = 128 << 20;

/// The types of a kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    btf: Btf,
}

impl Kernel {
    /// Reads them from a file.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |source| CliError::Read { path: path.to_owned(), source };
        let refused = |why: &str| CliError::Btf { path: path.to_owned(), why: why.to_owned() };
        let bytes = File::open(path).and_then(|file| read_at_most(file, MAX_BTF_BYTES)).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| refused(&format!("it is larger than {MAX_BTF_BYTES} bytes")))?;
        if bytes.starts_with(b"\x7fELF") {
            let why = "it is an ELF file; copy /sys/kernel/btf/vmlinux, or take the section out of it with `objcopy \
                       --dump-section .BTF=vmlinux.btf vmlinux /dev/null`";
            return Err(refused(why));
        }
        let btf = Btf::parse(bytes).map_err(|error| refused(&error.to_string()))?;
        if btf.find(Kind::Struct, "task_struct").is_none() {
            return Err(refused("it has no task_struct, so it may be that of a module or a program"));
        }
        Ok(Self { btf })
    }

    /// What is wrong with a frame on this kernel.
    pub(super) fn problems(&self, frame: &FramePlace) -> Vec<Diagnostic> {
        let Symbol { name, id } = match symbol::find(&self.btf, &frame.function) {
            Ok(symbol) => symbol,
            Err(nearest) => return vec![unknown(frame, &nearest)],
        };
        let Some(place) = &frame.predicate else { return Vec::new() };
        let function = Function { btf: &self.btf, id, is_syscall: symbol::is_syscall(&name) };
        match predicate::read(function, &place.predicate) {
            Ok(_) => Vec::new(),
            Err(Problems::Parameters(problems)) => {
                problems.into_iter().map(|problem| place.of_parameters(problem)).collect()
            }
            Err(Problems::Predicate(problems)) => {
                problems.into_iter().map(|problem| place.of_text(problem)).collect()
            }
        }
    }
}

fn unknown(frame: &FramePlace, nearest: &[String]) -> Diagnostic {
    let message = format!("this kernel has no function `{}` that could be traced", frame.function);
    let help = match nearest {
        [] => "it may be inlined, or in a module: those have types of their own".to_owned(),
        names => format!("did you mean `{}`?", names.join("`, or `")),
    };
    Diagnostic::error(Code::UnknownFunction, frame.span, message).help(help)
}
