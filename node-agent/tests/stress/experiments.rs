//! What is injected in a storm: a few shapes of experiments, of which the test knows what they may touch.

use std::num::NonZeroU32;
use std::path::Path;

use faultline_api::{CallChain, Frame, Predicate};
use faultline_node_agent::kernel::{BootNanos, BudgetKey, FaultKind, ProbeId, ProbeSpec};

use crate::machine::container_in;
use crate::workers::{FLAGGED, KINDS, LOOK, PLAIN, READ, WRITE};

/// The arguments of the system call, as far as predicates need them.
const MOUNT: &str = "const char *dev_name, const char *dir_name, const char *type, unsigned long flags";

/// The system call, and a function that it calls before anything is allocated.
pub(crate) const CALL: &str = "__x64_sys_mount";
pub(crate) const COPY: &str = "strndup_user";

/// The system calls of the other faults.
pub(crate) const PWRITE: &str = "__x64_sys_pwrite64";
pub(crate) const PREAD: &str = "__x64_sys_pread64";

/// All functions of chains.
pub(crate) const FUNCTIONS: [&str; 4] = [CALL, COPY, PWRITE, PREAD];

/// Pages of files may be moved, those of the slab allocator not: a write that is not given one fails.
const OF_A_FILE: &str = "(gfp_mask & 8) != 0";

/// One experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Experiment {
    /// Names probe and budget.
    pub(crate) id: u64,
    pub(crate) shape: Shape,
    /// A bit for each container.
    pub(crate) containers: u64,
    pub(crate) probability: u8,
    /// 0 for no limit.
    pub(crate) times: u32,
    pub(crate) ends: u64,
}

/// Call chain and predicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// In the system call.
    Call,
    /// In a function within the system call.
    Copy,
    /// In that function, whoever calls it.
    Anywhere,
    /// In the system call, where it was given a flag.
    WithFlag,
    /// In the function within the system call, where that was given no flag.
    WithoutFlag,
    /// In the system call; the function and the target have predicates that hold.
    Checked,
    /// In the system call within the function, which there is not.
    Reversed,
    /// In a write, the page that it takes.
    Write,
    /// In a read of a disk.
    Read,
    /// No frames.
    Frameless,
    /// No frames; the target has a predicate that only looks meet.
    LargeObjects,
}

impl Shape {
    /// Those with frames.
    pub(crate) const CHAINS: [Self; 9] = [
        Self::Call,
        Self::Copy,
        Self::Anywhere,
        Self::WithFlag,
        Self::WithoutFlag,
        Self::Checked,
        Self::Reversed,
        Self::Write,
        Self::Read,
    ];

    pub(crate) const fn fault(self) -> FaultKind {
        match self {
            Self::Write => FaultKind::Page,
            Self::Read => FaultKind::Bio,
            _ => FaultKind::Slab,
        }
    }

    /// Which kinds of operations may fail.
    pub(crate) fn touches(self) -> [bool; KINDS] {
        let mut kinds = [false; KINDS];
        let touched: &[usize] = match self {
            Self::Call | Self::Copy | Self::Anywhere | Self::Checked => &[FLAGGED, PLAIN],
            Self::WithFlag => &[FLAGGED],
            Self::WithoutFlag => &[PLAIN],
            Self::Reversed => &[],
            Self::Frameless => &[FLAGGED, PLAIN, LOOK, WRITE, READ],
            Self::LargeObjects => &[LOOK],
            Self::Write => &[WRITE],
            Self::Read => &[READ],
        };
        touched.iter().for_each(|kind| kinds[*kind] = true);
        kinds
    }

    /// Functions that must be on the stack, outermost first.
    pub(crate) fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Call | Self::WithFlag => &[CALL],
            Self::Copy | Self::WithoutFlag | Self::Checked => &[CALL, COPY],
            Self::Anywhere => &[COPY],
            Self::Reversed => &[COPY, CALL],
            Self::Frameless | Self::LargeObjects => &[],
            Self::Write => &[PWRITE],
            Self::Read => &[PREAD],
        }
    }

    fn chain(self) -> CallChain {
        let mut frames: Vec<Frame> =
            self.functions().iter().map(|name| Frame { function: (*name).into(), predicate: None }).collect();
        let says = |text: &str, parameters: Option<&str>| {
            Some(Predicate { text: text.to_owned(), parameters: parameters.map(str::to_owned) })
        };
        let mut target = None;
        match self {
            Self::WithFlag => frames[0].predicate = says("flags & 1", Some(MOUNT)),
            Self::WithoutFlag => frames[0].predicate = says("!(flags & 1)", Some(MOUNT)),
            Self::Checked => {
                frames[1].predicate = says("n == 4096", None);
                target = says("s->object_size < 4096", None);
            }
            Self::Write => target = says(OF_A_FILE, None),
            Self::LargeObjects => target = says("s->object_size == 4096", None),
            _ => {}
        }
        CallChain { frames, target }
    }
}

/// All shapes, for their numbers on the wire.
const SHAPES: [Shape; 11] = [
    Shape::Call,
    Shape::Copy,
    Shape::Anywhere,
    Shape::WithFlag,
    Shape::WithoutFlag,
    Shape::Checked,
    Shape::Reversed,
    Shape::Frameless,
    Shape::LargeObjects,
    Shape::Write,
    Shape::Read,
];

impl Experiment {
    /// Whether a container is in scope.
    pub(crate) fn covers(&self, container: usize) -> bool {
        self.containers >> container & 1 == 1
    }

    /// As one word of an order.
    pub(crate) fn encode(&self) -> String {
        let shape = SHAPES.iter().position(|shape| *shape == self.shape).unwrap();
        let Self { id, shape: _, containers, probability, times, ends } = self;
        format!("{id},{shape},{containers},{probability},{times},{ends}")
    }

    pub(crate) fn decode(word: &str) -> Self {
        let numbers: Vec<u64> = word.split(',').map(|number| number.parse().unwrap()).collect();
        let [id, shape, containers, probability, times, ends] = numbers[..] else { panic!("{word}") };
        Self {
            id,
            shape: SHAPES[usize::try_from(shape).unwrap()],
            containers,
            probability: u8::try_from(probability).unwrap(),
            times: u32::try_from(times).unwrap(),
            ends,
        }
    }

    pub(crate) fn budget(&self) -> BudgetKey {
        BudgetKey(u128::from(self.id).to_le_bytes())
    }

    pub(crate) fn spec(&self, root: &Path) -> ProbeSpec {
        ProbeSpec {
            id: ProbeId(self.id),
            fault: self.shape.fault(),
            call_chain: self.shape.chain(),
            probability: self.probability,
            times: NonZeroU32::new(self.times),
            ends: BootNanos(self.ends),
            budget: self.budget(),
            scope: (0..64).filter(|at| self.covers(*at)).map(|at| container_in(root, at)).collect(),
        }
    }
}
