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
    /// By the ending of a file's name.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "yaml" | "yml" | "json" => Some(Self::Documents),
            "wasm" => Some(Self::Module),
            _ => None,
        }
    }

    /// The bound for a file of this kind.
    pub(super) const fn max_bytes(self, limits: &Limits) -> u64 {
        match self {
            Self::Documents => limits.document_bytes,
            Self::Module => limits.module_bytes,
        }
    }
}
