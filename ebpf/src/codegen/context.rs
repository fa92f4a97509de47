//! Where a program stands: how it is hooked to its function, and what its context tells.

use super::frame::{CTX, TAG};
use crate::asm::{Alu, Asm, Attach, Helper, Reg, Width};
use crate::btf::{Btf, Param};
use crate::facts::{ARGUMENTS, Facts, Registers};
use crate::layout::off;
use crate::predicate::Ir;

/// How programs are hooked to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// By a trampoline: fmod_ret, fentry and fexit.
    Trampoline {
        /// The function's BTF id.
        btf_id: u32,
    },
    /// By a kprobe and a kretprobe. Only at a function's ftrace site: elsewhere a kprobe is a breakpoint, whose handler
    /// runs as an NMI does.
    Kprobe {
        /// Where the function starts.
        address: u64,
    },
}

/// Where in the function a program sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// At the entry of a target, whose answer it may give.
    Gate,
    /// At the entry.
    Entry,
    /// At the exit.
    Exit,
}

impl Hook {
    /// How many words of the arguments predicates can read.
    const fn arguments(self) -> usize {
        match self {
            Self::Trampoline { .. } => usize::MAX,
            Self::Kprobe { .. } => ARGUMENTS,
        }
    }

    /// Whether the words of the parameters are where programs look for them: registers hold no struct that is larger
    /// than one.
    fn takes(self, btf: &Btf, function: u32) -> bool {
        let params = btf.params(function).unwrap_or_default();
        let fits = |param: &Param<'_>| btf.size_of(param.type_id).is_none_or(|bytes| bytes <= 8);
        matches!(self, Self::Trampoline { .. }) || params.iter().all(fits)
    }

    /// Whether a predicate of a function finds all that it reads of the arguments.
    #[must_use]
    pub fn finds(self, btf: &Btf, function: u32, condition: &Ir) -> bool {
        let words = usize::from(condition.arguments());
        words == 0 || words <= self.arguments() && self.takes(btf, function)
    }

    /// What the program is attached to, and the BTF id that goes with it.
    pub(super) fn attach(self, point: Point, function: &str) -> (Attach, u32) {
        let function = function.to_owned();
        match self {
            Self::Trampoline { btf_id } => {
                let attach = match point {
                    Point::Gate => Attach::ModifyReturn(function),
                    Point::Entry => Attach::Entry(function),
                    Point::Exit => Attach::Exit(function),
                };
                (attach, btf_id)
            }
            Self::Kprobe { address } => {
                let attach = match point {
                    Point::Gate | Point::Entry => Attach::Kprobe { function, address },
                    Point::Exit => Attach::Kretprobe { function, address },
                };
                (attach, 0)
            }
        }
    }

    /// How many return addresses a program at the entry finds fewer than there are once the function has its frame.
    pub(super) const fn skipped(self, facts: &Facts) -> u32 {
        match self {
            Self::Kprobe { .. } if facts.frame_pointers => 1,
            Self::Kprobe { .. } | Self::Trampoline { .. } => 0,
        }
    }

    pub(super) const fn context(self, registers: Registers) -> Context {
        match self {
            Self::Trampoline { .. } => Context::Words,
            Self::Kprobe { .. } => Context::Registers(registers),
        }
    }
}

/// What a program finds in its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// The arguments, a word each, on the task's own stack: their address tags the activation.
    Words,
    /// The registers at the function's entry, or after its return. The stack pointer tags the activation.
    Registers(Registers),
}

/// A return has taken its address off the stack: so far below is the stack pointer that the function was entered with.
const RETURN_ADDRESS: i32 = 8;

impl Context {
    /// Keeps the address that tags the activation, the same at its entry and exit, and lower further in.
    pub(super) fn keep_tag(self, asm: &mut Asm, point: Point) {
        match self {
            Self::Words => asm.store(Width::U64, Reg::Fp, TAG, CTX, "tag"),
            Self::Registers(at) => {
                asm.load(Width::U64, Reg::R1, CTX, at.stack, "stack pointer");
                if point == Point::Exit {
                    asm.alu(Alu::Sub, Reg::R1, RETURN_ADDRESS);
                }
                asm.store(Width::U64, Reg::Fp, TAG, Reg::R1, "tag");
            }
        }
    }

    /// `dst` = a word of the arguments; `base` holds the context. Beyond those that registers hold, 0.
    pub(super) fn argument(self, asm: &mut Asm, dst: Reg, base: Reg, nth: usize, what: &'static str) {
        match self {
            Self::Words => asm.load(Width::U64, dst, base, off(8 * nth), what),
            Self::Registers(at) => match at.arguments.get(nth) {
                Some(register) => asm.load(Width::U64, dst, base, *register, what),
                None => asm.mov(dst, 0),
            },
        }
    }

    /// Makes the function answer what R0 holds, and not 0; the program's own answer is in R0 afterwards.
    pub(super) fn answer(self, asm: &mut Asm) {
        if let Self::Registers(_) = self {
            asm.mov(Reg::R1, CTX);
            asm.mov(Reg::R2, Reg::R0);
            asm.call(Helper::OverrideReturn);
            asm.mov(Reg::R0, 0);
        }
    }
}
