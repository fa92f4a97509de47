//! How much of a directory is read: a source is written by others and must not exhaust the reconciler.

/// Bounds of one fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files in a tree. Ten times the largest set of experiments that is benchmarked.
    pub files: usize,
    /// Directory entries looked at, read or not: a directory of a million logs is not walked to its end.
    pub entries: usize,
    /// Bytes of one YAML or JSON file. An API server takes objects of at most 1.5 MB; a file holds a few of them.
    pub document_bytes: u64,
    /// Bytes of one WebAssembly module. Guests in Go with its whole runtime are about 10 MB.
    pub module_bytes: u64,
    /// Bytes of all files together: a tree is held in memory twice while it is replaced.
    pub total_bytes: u64,
    /// Directories beneath one another. Also ends the walk where links to directories form a loop.
    pub depth: usize,
    /// Attempts to read a tree that is being written to before the fetch fails; the watch starts another.
    pub attempts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 10_000,
            entries: 100_000,
            document_bytes: 4 << 20,
            module_bytes: 32 << 20,
            total_bytes: 256 << 20,
            depth: 16,
            attempts: 5,
        }
    }
}

/// What a file may hold, by its ending. Files with another ending are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// YAML or JSON documents.
    Documents,
    /// A WebAssembly module.
    Module,
}

impl FileKind {
    /// By the ending of a file's name. That of documents counts in any case: a guardrail in `CAP.YAML` is not to be
    /// passed over. A module is found by its exact name or missed by the guardrail that names it.
    pub(super) fn of(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1;
        if ["yaml", "yml", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known)) {
            return Some(Self::Documents);
        }
        (ending == "wasm").then_some(Self::Module)
    }

    /// The bound for a file of this kind.
    pub(super) const fn max_bytes(self, limits: &Limits) -> u64 {
        match self {
            Self::Documents => limits.document_bytes,
            Self::Module => limits.module_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_documents_in_any_case_and_modules() {
        for name in ["a.yaml", "a.yml", "a.json", "CAP.YAML", "a.Yml", "a.b.JSON"] {
            assert_eq!(FileKind::of(name), Some(FileKind::Documents), "{name}");
        }
        assert_eq!(FileKind::of("a.wasm"), Some(FileKind::Module));
        for name in ["a.WASM", "README.md", "yaml", "a.yaml~", "a.yaml.bak"] {
            assert_eq!(FileKind::of(name), None, "{name}");
        }
    }
}
