//! Which kind of module a file is: from its first eight bytes, and of a core module from its exports.

use std::{collections::BTreeSet, fmt};

use faultline_core::review::Undecided;
use serde::Serialize;
use wasmparser::{BinaryReaderError, Parser, Payload};

/// What this host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Abi {
    /// A component, to be checked against our world.
    Component,
    /// A core module that speaks waPC, as Kubewarden's policies do.
    Wapc,
}

impl Abi {
    /// What modules of it have to speak to be run.
    #[must_use]
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Component => "faultline:guardrail/policy@0.1.0",
            Self::Wapc => "Kubewarden's v1",
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Component => "component",
            Self::Wapc => "waPC",
        })
    }
}

/// Reads the magic number and the layer, and the names of a core module's exports.
///
/// # Errors
/// It is not WebAssembly, or a kind of it that this host does not run.
pub(crate) fn sniff(bytes: &[u8]) -> Result<Abi, Undecided> {
    match bytes {
        [] => refused("the file is empty"),
        [b'\0', b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00, ..] => Ok(Abi::Component),
        [b'\0', b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, ..] => core_module(bytes),
        [b'\0', b'a', b's', b'm', a, b, c, d, ..] => {
            refused(format!("WebAssembly of the unknown version {a:02x} {b:02x} {c:02x} {d:02x}"))
        }
        _ => refused("not WebAssembly: it does not start with the bytes 00 61 73 6d and a version"),
    }
}

/// Tells core modules apart.
fn core_module(bytes: &[u8]) -> Result<Abi, Undecided> {
    let exports = exports(bytes).or_else(|error| refused(error.to_string()))?;
    if exports.contains("__guest_call") {
        return Ok(Abi::Wapc);
    }
    if exports.contains("opa_malloc") && exports.contains("opa_eval_ctx_new") {
        return refused("an OPA module (it exports opa_eval_ctx_new): those are not supported yet");
    }
    let more =
        if exports.contains("_start") { "; policies that are WASI programs do not run here" } else { "" };
    refused(format!("a core module without __guest_call, so it does not speak waPC{more}"))
}

fn exports(bytes: &[u8]) -> Result<BTreeSet<&str>, BinaryReaderError> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                names.insert(export?.name);
            }
        }
    }
    Ok(names)
}

fn refused<T>(why: impl Into<String>) -> Result<T, Undecided> {
    Err(Undecided::RefusedModule(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_eight_bytes_tell_what_a_file_is() {
        assert_eq!(sniff(b"\0asm\x0d\0\x01\0rest"), Ok(Abi::Component));
        for (bytes, part) in [
            (&b""[..], "empty"),
            (b"\0asm", "not WebAssembly"),
            (b"(component)", "not WebAssembly"),
            (b"\0asm\x0e\0\x01\0", "unknown version 0e 00 01 00"),
            (b"\0asm\x01\0\0\0rest", "unexpected"),
        ] {
            let error = sniff(bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn its_exports_tell_what_a_core_module_is() {
        let exporting = |names: &[&str]| {
            let exports: String = names.iter().map(|name| format!("(export {name:?} (func 0))")).collect();
            sniff(&wat::parse_str(format!("(module (func) {exports})")).unwrap())
        };
        assert_eq!(exporting(&["_start", "__guest_call"]), Ok(Abi::Wapc));
        assert_eq!(exporting(&["opa_malloc", "opa_eval_ctx_new", "__guest_call"]), Ok(Abi::Wapc));
        for (exports, part) in [
            (&["opa_malloc", "opa_eval_ctx_new"][..], "an OPA module"),
            (&["opa_malloc"], "a core module without __guest_call"),
            (&["_start"], "WASI programs"),
            (&[], "a core module without __guest_call"),
        ] {
            let error = exporting(exports).unwrap_err().to_string();
            assert!(error.contains(part), "{exports:?}: {error}");
        }
    }
}
