//! What is changed in a kernel's source before it is built.

use std::path::Path;
use std::{fs, io};

/// One passage of a file that is replaced.
#[derive(Debug)]
pub(crate) struct Edit {
    /// In the tree.
    pub(crate) file: &'static str,
    /// Stands there exactly once.
    pub(crate) from: &'static str,
    /// What takes its place.
    pub(crate) to: &'static str,
}

/// `should_failslab` beside the slab allocator, as kernels before 6.11 have it without CONFIG_FAILSLAB, and called the
/// way that compilers of Linux 6.8's day came to call it: the function itself is there, has its type, and may be made
/// to fail, and every caller calls a specialised copy of it. GCC 12 makes no such copy of its own accord; what a user of
/// symbols and types sees of this one is the same.
pub(crate) const CLONE: [Edit; 3] = [
    Edit {
        file: "include/linux/fault-inject.h",
        from: "static inline int should_failslab(struct kmem_cache *s, gfp_t gfpflags)\n{\n\treturn false;\n}\n",
        to: "int should_failslab(struct kmem_cache *s, gfp_t gfpflags);\n",
    },
    Edit {
        file: "mm/slub.c",
        from: "static __fastpath_inline\nstruct kmem_cache *slab_pre_alloc_hook(",
        to: "#include <linux/error-injection.h>

noinline int should_failslab(struct kmem_cache *s, gfp_t gfpflags)
{
	return 0;
}
ALLOW_ERROR_INJECTION(should_failslab, ERRNO);

static int should_failslab_clone(struct kmem_cache *s) __asm__(\"should_failslab.constprop.0\");
static __attribute__((noipa)) int should_failslab_clone(struct kmem_cache *s)
{
	return 0;
}

static __fastpath_inline
struct kmem_cache *slab_pre_alloc_hook(",
    },
    Edit {
        file: "mm/slub.c",
        from: "if (unlikely(should_failslab(s, flags)))",
        to: "if (unlikely(should_failslab_clone(s)))",
    },
];

impl Edit {
    /// Makes the edit in a source tree.
    pub(super) fn apply(&self, tree: &Path) -> io::Result<()> {
        let path = tree.join(self.file);
        let text = fs::read_to_string(&path)?;
        if text.matches(self.from).count() != 1 {
            let passage = format!("{} does not have this passage once: {}", self.file, self.from);
            return Err(io::Error::new(io::ErrorKind::InvalidData, passage));
        }
        fs::write(&path, text.replacen(self.from, self.to, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_replaced_where_it_stands_once_and_nothing_is_written_otherwise() {
        let tree = tempfile::tempdir().unwrap();
        let file = tree.path().join("a.c");
        let edit = Edit { file: "a.c", from: "one", to: "two" };
        for (text, after) in [("one;", "two;"), ("one, one;", "one, one;"), ("none", "ntwo"), ("no", "no")] {
            fs::write(&file, text).unwrap();
            assert_eq!(edit.apply(tree.path()).is_ok(), text != after);
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
    }
}
