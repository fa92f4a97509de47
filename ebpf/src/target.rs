//! The kernel functions whose answer decides about a fault.

/// A function that a gate program sits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// `should_failslab`: asked before every slab allocation.
    Slab,
    /// `should_fail_alloc_page`: asked before every page allocation.
    Page,
    /// `should_fail_bio`: asked before every block request.
    Bio,
}

const ENOMEM: i32 = 12;
const EIO: i32 = 5;

impl Target {
    /// All targets, in the order of their failtype.
    pub const ALL: [Self; 3] = [Self::Slab, Self::Page, Self::Bio];

    /// The kernel function.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Slab => "should_failslab",
            Self::Page => "should_fail_alloc_page",
            Self::Bio => "should_fail_bio",
        }
    }

    /// The word that probes and programs know the target by; also the failtype of the documents.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Slab => 0,
            Self::Page => 1,
            Self::Bio => 2,
        }
    }

    /// What the function is made to answer. Sign-extended: a 32-bit errno would reach callers that return
    /// `long` as a large positive number.
    #[must_use]
    pub const fn failure(self) -> i32 {
        match self {
            Self::Slab => -ENOMEM,
            Self::Page => 1,
            Self::Bio => -EIO,
        }
    }

    /// The type of the parameter that carries allocation flags, where there is one. Its position differs
    /// between targets and may between kernels, so it is looked up in the prototype.
    #[must_use]
    pub const fn flags_type(self) -> Option<&'static str> {
        match self {
            Self::Slab | Self::Page => Some("gfp_t"),
            Self::Bio => None,
        }
    }
}
