//! `--btf`: what an experiment is on a kernel: whether that has its functions, and whether their predicates fit.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use faultline_api::{
    Code, Diagnostic, Experiment, Fault, Span,
    decode::{Content, Document, FramePlace, PredicatePlace},
    predicate::parse,
};
use faultline_ebpf::{
    Target,
    btf::{Btf, Kind},
    codegen::Hook,
    facts::{Facts, MissingFact, TargetFacts},
    predicate::{self, Function, Ir, Problems},
    symbol::{Modules, Objects, Symbol, Unresolved},
};

use super::CliError;
use crate::bounded::read_at_most;

/// Largest description of a kernel's types, in bytes. Those of distributions have 4 to 10 MiB.
const MAX_BTF_BYTES: u64 = 128 << 20;

/// The types of a kernel and of modules.
#[derive(Debug)]
pub(super) struct Kernel {
    btf: Arc<Btf>,
    modules: Modules,
}

impl Kernel {
    /// Reads them from files, of which one is the kernel's and each other one a module's, named after it.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, CliError> {
        let files =
            paths.iter().map(|path| Ok((path, bytes(path)?))).collect::<Result<Vec<_>, CliError>>()?;
        let mut kernel = None;
        let mut others = Vec::new();
        for (path, bytes) in files {
            let btf = Btf::parse(bytes.clone()).map_err(|error| refused(path, error))?;
            if btf.find(Kind::Struct, "task_struct").is_none() {
                others.push((path, bytes));
            } else if kernel.replace(Arc::new(btf)).is_some() {
                return Err(refused(path, "it is that of a second kernel"));
            }
        }
        let Some(btf) = kernel else {
            let path = paths.first().map_or(Path::new(""), PathBuf::as_path);
            return Err(refused(path, "it has no task_struct, so it may be that of a module or a program"));
        };
        let modules = others.into_iter().map(|(path, bytes)| {
            let types = Btf::parse_split(bytes, Arc::clone(&btf)).map_err(|error| refused(path, error))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
            Ok((name, Some(Arc::new(types))))
        });
        let modules = modules.collect::<Result<_, CliError>>()?;
        Ok(Self { btf, modules })
    }

    /// The types that a function is described with.
    fn types_of(&self, symbol: &Symbol) -> &Btf {
        let module = symbol.module.as_ref().and_then(|module| self.modules.get(module)?.as_deref());
        module.unwrap_or(&self.btf)
    }

    /// What every program must know of the kernel.
    pub(super) fn facts(&self) -> Result<Facts, MissingFact> {
        Facts::from_btf(&self.btf)
    }

    /// What is wrong with a document on this kernel, or worth a warning; of a broken experiment, as far as the frames of
    /// its call chain can be read.
    pub(super) fn problems(&self, document: &Document) -> Vec<Diagnostic> {
        match &document.content {
            Content::Experiment(experiment) => match self.resolve(document, experiment) {
                Ok(chain) => chain.warnings(document),
                Err(problems) => problems,
            },
            _ => document.frames.iter().filter_map(|frame| self.frame(frame).err()).flatten().collect(),
        }
    }

    /// That a kprobe cannot evaluate the predicate of a frame, where that is so.
    pub(super) fn beyond_registers(&self, place: &FramePlace, frame: &Resolved) -> Option<Diagnostic> {
        let kprobe = Hook::Kprobe { address: 0 };
        let condition = frame.condition.as_ref()?;
        if kprobe.finds(self.types_of(&frame.symbol), frame.symbol.id, condition) {
            return None;
        }
        let place = place.predicate.as_ref()?;
        let message = "a kprobe cannot evaluate it: it asks for a parameter that is not in a register";
        Some(Diagnostic::error(Code::InvalidPredicate, place.span(), message))
    }

    /// What the functions and predicates of an experiment are on this kernel; else everything that is wrong there.
    pub(super) fn resolve(
        &self,
        document: &Document,
        experiment: &Experiment,
    ) -> Result<Chain, Vec<Diagnostic>> {
        let on_the_way = experiment.call_chain.frames.len();
        let (on_the_way, of_target) = document.frames.split_at(on_the_way.min(document.frames.len()));
        let of_target = of_target.first();
        let mut problems = Vec::new();
        let frames = on_the_way.iter().filter_map(|frame| kept(self.frame(frame), &mut problems)).collect();
        let place = document.fault.or(of_target.map(|frame| frame.span)).unwrap_or(document.span);
        let target = TargetFacts::from_btf(&self.btf, target(experiment.fault));
        let target = target.map_err(|missing| vec![not_injectable(place, experiment.fault, &missing)]);
        let target = kept(target, &mut problems);
        let predicate = target.zip(of_target.and_then(|frame| frame.predicate.as_ref()));
        let condition = predicate.and_then(|(target, place)| {
            let function = Function { btf: &self.btf, id: target.btf_id, is_syscall: false };
            kept(condition(function, place), &mut problems)
        });
        match target {
            Some(target) if problems.is_empty() => Ok(Chain { frames, target, condition }),
            _ => Err(problems),
        }
    }

    fn frame(&self, frame: &FramePlace) -> Result<Resolved, Vec<Diagnostic>> {
        let objects = Objects { kernel: &self.btf, modules: &self.modules, table: None };
        let symbol =
            objects.find(&frame.function).map_err(|unresolved| vec![not_found(frame, &unresolved)])?;
        let is_syscall = symbol.is_syscall();
        let function = Function { btf: self.types_of(&symbol), id: symbol.id, is_syscall };
        let condition = frame.predicate.as_ref().map(|place| condition(function, place)).transpose()?;
        let resolved = Resolved { symbol, condition };
        // Functions of modules carry kprobes on every kernel.
        let beyond = resolved.symbol.module.as_ref().and_then(|_| self.beyond_registers(frame, &resolved));
        beyond.map_or(Ok(resolved), |problem| Err(vec![problem]))
    }
}

/// A call chain on one kernel.
#[derive(Debug)]
pub(super) struct Chain {
    /// The functions on the way, outermost first.
    pub(super) frames: Vec<Resolved>,
    /// The one that fails.
    pub(super) target: TargetFacts,
    /// What must hold at its entry.
    pub(super) condition: Option<Ir>,
}

impl Chain {
    /// Predicates that are the same for every call on this kernel. What their words alone decide was told before.
    fn warnings(&self, document: &Document) -> Vec<Diagnostic> {
        let conditions = self.frames.iter().map(|frame| &frame.condition).chain([&self.condition]);
        let decided = |(frame, condition): (&FramePlace, &Option<Ir>)| {
            let place = frame.predicate.as_ref()?;
            let is_told = parse(&place.predicate.text).is_ok_and(|expr| expr.decided().is_some());
            let holds = condition.as_ref()?.verdict()?;
            (!is_told).then(|| place.decided(holds))
        };
        document.frames.iter().zip(conditions).filter_map(decided).collect()
    }
}

/// A frame on one kernel.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Its function.
    pub(super) symbol: Symbol,
    /// What must hold at its entry.
    pub(super) condition: Option<Ir>,
}

/// The value; what is wrong instead goes to the other problems.
fn kept<T>(result: Result<T, Vec<Diagnostic>>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    result.map_err(|more| problems.extend(more)).ok()
}

fn condition(function: Function<'_>, place: &PredicatePlace) -> Result<Ir, Vec<Diagnostic>> {
    predicate::read(function, &place.predicate).map_err(|problems| match problems {
        Problems::Parameters(problems) => {
            problems.into_iter().map(|problem| place.of_parameters(problem)).collect()
        }
        Problems::Predicate(problems) => problems.into_iter().map(|problem| place.of_text(problem)).collect(),
    })
}

/// The target function of a fault, as the compiler knows it.
const fn target(fault: Fault) -> Target {
    match fault {
        Fault::Slab => Target::Slab,
        Fault::Page => Target::Page,
        Fault::Bio => Target::Bio,
    }
}

fn not_injectable(place: Span, fault: Fault, missing: &MissingFact) -> Diagnostic {
    let function = fault.target_function();
    let message = format!("on this kernel `{function}` cannot be made to fail: it has {missing}");
    let diagnostic = Diagnostic::error(Code::UnknownFunction, place, message);
    let option = match fault {
        Fault::Slab => "CONFIG_FAILSLAB",
        Fault::Page => "CONFIG_FAIL_PAGE_ALLOC",
        Fault::Bio => return diagnostic,
    };
    diagnostic.help(format!("from Linux 6.11 on, kernels have this function only with {option}"))
}

fn not_found(frame: &FramePlace, unresolved: &Unresolved) -> Diagnostic {
    let error = |message: String| Diagnostic::error(Code::UnknownFunction, frame.span, message);
    match unresolved {
        Unresolved::NoModule { module, .. } => {
            let message =
                format!("`{}` cannot be checked: the types of that module are missing", frame.function);
            error(message).help(format!("give them, too: --btf {module}, a copy of /sys/kernel/btf/{module}"))
        }
        Unresolved::Unknown { .. } => {
            let message = format!("this kernel has no function `{}` that could be traced", frame.function);
            error(message).help(match unresolved.nearest() {
                [] => "it may be inlined, or in a module: those have types of their own".to_owned(),
                names => format!("did you mean `{}`?", names.join("`, or `")),
            })
        }
        others => error(others.to_string()),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    let bytes = File::open(path).and_then(|file| read_at_most(file, MAX_BTF_BYTES)).map_err(failed)?;
    let bytes = bytes.ok_or_else(|| refused(path, format!("it is larger than {MAX_BTF_BYTES} bytes")))?;
    if bytes.starts_with(b"\x7fELF") {
        let why = "it is an ELF file; copy /sys/kernel/btf/vmlinux, or take the section out of it with `objcopy \
                   --dump-section .BTF=vmlinux.btf vmlinux /dev/null`";
        return Err(refused(path, why));
    }
    Ok(bytes)
}

fn refused(path: &Path, why: impl ToString) -> CliError {
    CliError::Btf { path: path.to_owned(), why: why.to_string() }
}
