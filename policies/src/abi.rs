//! Which kind of module a file is, from its first eight bytes.

use faultline_core::review::Undecided;

/// What this host runs or knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abi {
    /// A component, to be checked against our world.
    Component,
    /// A core module: Kubewarden's waPC or OPA's, which their exports tell apart.
    CoreModule,
}

/// Reads the magic number and the layer.
///
/// # Errors
/// It is not WebAssembly, or a kind of it that nobody here has heard of.
pub(crate) fn sniff(bytes: &[u8]) -> Result<Abi, Undecided> {
    let refused = |why: String| Err(Undecided::RefusedModule(why));
    match bytes {
        [] => refused("the file is empty".to_owned()),
        [b'\0', b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00, ..] => Ok(Abi::Component),
        [b'\0', b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, ..] => Ok(Abi::CoreModule),
        [b'\0', b'a', b's', b'm', a, b, c, d, ..] => {
            refused(format!("WebAssembly of the unknown version {a:02x} {b:02x} {c:02x} {d:02x}"))
        }
        _ => {
            refused("not WebAssembly: it does not start with the bytes 00 61 73 6d and a version".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_eight_bytes_tell_what_a_file_is() {
        assert_eq!(sniff(b"\0asm\x0d\0\x01\0rest"), Ok(Abi::Component));
        assert_eq!(sniff(b"\0asm\x01\0\0\0"), Ok(Abi::CoreModule));
        for (bytes, part) in [
            (&b""[..], "empty"),
            (b"\0asm", "not WebAssembly"),
            (b"(component)", "not WebAssembly"),
            (b"\0asm\x0e\0\x01\0", "unknown version 0e 00 01 00"),
        ] {
            let error = sniff(bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{bytes:?}: {error}");
        }
    }
}
