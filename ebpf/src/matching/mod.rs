//! What matching means: three programs in a small language, of which both what runs in the kernel and what the tests
//! compare it with are made. [`crate::codegen`] turns them into instructions, [`crate::model`] carries them out.
//!
//! A task remembers, for each slot of its cgroup's member list, how many frames of the chain are live. It knows that from
//! records: one for every live activation that advanced some slot, with the progress before it. An activation that
//! advances nothing leaves none, so recursion costs nothing.
//!
//! Exits can go unseen: programs come and go, and the kernel skips a program that it is in the middle of on that CPU.
//! Then a record stays behind. It is found out by its tag where a context lies above it on the task's stack, and before
//! anything is injected for a chain by the stack, which must show an activation for every record, in their order.
//!
//! Where what counts is only that a thread is inside a function, any activation of it will do. One that a predicate or a
//! draw has singled out must itself be there: its record holds its position on the stack, and a later activation of the
//! function ends it that lies no further in. To find positions out takes a walk of the stack, so it is done at those
//! entries only; and before the gate walks, all else has to be in favour.

mod language;

pub use language::{Op, Test, Value, Word};

use Op::{
    Add, Answer, Ask, Below, Break, Count, CountLost, CountVerdict, Do, EachSlot, Evaluate, FindCounters,
    FindProbe, Guard, Make, Next, Note, Oldest, Or, Predicated, Proof, Recall, Refuse, Set, Stop, Sub,
    TakeStep, Ticket, Unless, Walk, When, Xor,
};
use Test::{Affordable, Favoured, Holds, InTime, Is, Known};
use Value::{
    BitOf, Const, Frames, InSlot, IsReturn, ListVersion, Of, OneInSlot, OwnFunction, OwnPosition, OwnSite,
    OwnSkipped, OwnSpan, OwnTag, OwnTarget, ProbeTarget, Return, Sampled, SlotBit, StepFunction,
    StepPredicate,
};
use Word::{
    At, Before, Cursor, Depth, Drawn, Draws, Due, Gain, Lost, Opened, Own, Position, Progress, Scratch, Site,
    Span, Start, Tag, Verdict, Version, Walked,
};

use crate::asm::Cond::{Eq, Ge, Le, Lt, Ne};
use crate::layout::counters::Counter;
use crate::layout::task::{DEPTH_MAX, STACK_MAX};

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a small number")]
const MOST_RECORDS: i32 = DEPTH_MAX as i32;
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a small number")]
const FULL_STACK: i32 = STACK_MAX as i32;

/// Innermost return addresses among which a program finds its own function: before it are its own parts, the
/// trampoline, and what the kernel puts between.
const NEAR: i32 = 8;

/// At the entry of a chain function.
pub static ENTRY: &[Op] = &[
    Recall,
    Set(Start, Const(0)),
    Set(Own, Const(0)),
    When(Known, &[Do(REFRESH), Do(SUCCEED), Do(TELL), Set(Start, Of(Progress))]),
    Predicated(&[Note("which predicates are asked for?"), EachSlot(&[Do(WAITS), Ask]), Evaluate]),
    Set(Gain, Const(0)),
    Set(Opened, Const(0)),
    Set(Draws, Const(0)),
    Set(Due, Const(0)),
    EachSlot(&[
        Do(WAITS),
        Unless(Holds, &[Refuse, Next]),
        Add(Gain, OneInSlot),
        Or(Due, StepPredicate),
        When(Is(InSlot(Start), Ne, Const(0)), &[Next]),
        Note("the outermost activation draws for all that follows inside it"),
        Or(Opened, SlotBit),
        Unless(Favoured, &[Next]),
        Or(Draws, SlotBit),
        Or(Due, Sampled),
    ]),
    Note("an activation that advances nothing leaves no trace"),
    When(Is(Of(Gain), Eq, Const(0)), &[Stop]),
    Make,
    When(Is(Of(Depth), Ge, Const(MOST_RECORDS)), &[Stop]),
    When(
        Is(Of(Due), Ne, Const(0)),
        &[
            Note("it was singled out, so it must be told from its like"),
            When(Is(Of(Own), Eq, Const(0)), &[Do(LOCATE)]),
            When(Is(Of(Own), Eq, Const(0)), &[Stop]),
        ],
    ),
    Note("record the activation and advance"),
    Set(Cursor, Of(Depth)),
    Set(Tag, OwnTag),
    Set(Before, Of(Progress)),
    Set(Position, Of(Own)),
    Set(Site, OwnSite),
    Set(Span, OwnSpan),
    Add(Depth, Const(1)),
    Add(Progress, Of(Gain)),
    Note("keep the draws of slots that opened"),
    Or(Drawn, Of(Opened)),
    Sub(Drawn, Of(Opened)),
    Or(Drawn, Of(Draws)),
];

/// At the exit of a chain function.
pub static EXIT: &[Op] = &[
    Recall,
    When(
        Known,
        &[
            Note("what is further in ended unseen"),
            Oldest(&[When(Is(Of(Tag), Lt, OwnTag), &[Break])]),
            Do(MISS),
            Note("and this activation ends"),
            When(Is(Of(Depth), Eq, Const(0)), &[Stop]),
            Set(Cursor, Of(Depth)),
            Sub(Cursor, Const(1)),
            When(Is(Of(Tag), Eq, OwnTag), RESTORE),
        ],
    ),
];

/// At the entry of a target: the gate.
pub static GATE: &[Op] = &[
    Guard,
    Recall,
    Set(Start, Const(0)),
    Set(Draws, Const(0)),
    When(Known, &[Do(REFRESH), Do(SETTLE), Set(Start, Of(Progress)), Set(Draws, Of(Drawn))]),
    Predicated(&[
        Note("which predicates are asked for?"),
        When(Is(Of(Verdict), Eq, Const(0)), &[EachSlot(&[Do(OURS), Do(LIVE), Ask])]),
        Evaluate,
        Recall,
    ]),
    Set(Due, Const(0)),
    When(Known, &[When(Is(Of(Verdict), Eq, Const(0)), &[Proof(PROVE)]), Do(TELL)]),
    EachSlot(&[
        Note("does it apply?"),
        Do(OURS),
        FindCounters,
        Count(Counter::Hits),
        Unless(Is(Of(Verdict), Eq, Const(0)), &[CountVerdict, Next]),
        Unless(InTime, &[Count(Counter::Expired), Next]),
        Do(LIVE),
        Unless(Holds, &[Refuse, Next]),
        Count(Counter::Matches),
        When(Is(Frames, Eq, Const(0)), &[Unless(Favoured, &[Count(Counter::SampledOut), Next])]),
        When(
            Is(Frames, Ne, Const(0)),
            &[
                Unless(DRAWN, &[Count(Counter::SampledOut), Next]),
                Proof(&[
                    Note("no chain could afford it, so none was proved"),
                    When(Is(Of(Due), Eq, Const(0)), &[Count(Counter::Exhausted), Next]),
                ]),
            ],
        ),
        Ticket,
        Note("inject, and count what else applies as shadowed"),
        Count(Counter::Injections),
        Answer,
        Set(Verdict, Const(SHADOWED)),
    ]),
];
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a small number")]
const SHADOWED: i32 = Counter::Shadowed.offset() as i32;

/// What was matched under another list is forgotten.
const REFRESH: &[Op] = &[When(
    Is(Of(Version), Ne, ListVersion),
    &[Set(Version, ListVersion), Set(Progress, Const(0)), Set(Depth, Const(0)), Set(Lost, Const(0))],
)];

/// Tags fall with depth and contexts lie on the task's own stack, so what is not above us is not live.
const SETTLE: &[Op] = &[
    Note("drop the records of activations that are over"),
    Oldest(&[When(Is(Of(Tag), Le, OwnTag), &[Break])]),
    Do(MISS),
];

/// The activation at the cursor is over: so are those further in. They had only added to the progress before it.
const RESTORE: &[Op] = &[Set(Progress, Of(Before)), Set(Depth, Of(Cursor))];

/// It is, if there is one, and the exits of all of them went unseen.
const MISS: &[Op] = &[When(
    Is(Of(Cursor), Lt, Of(Depth)),
    &[Set(Scratch, Of(Progress)), Xor(Scratch, Of(Before)), Or(Lost, Of(Scratch)), Do(RESTORE)],
)];

/// An exit went unseen: what is on record cannot be told from what is live, so nothing is.
const FORGET: &[Op] = &[Or(Lost, Of(Progress)), Set(Progress, Const(0)), Set(Depth, Const(0))];

/// Counts what was lost.
const TELL: &[Op] = &[When(
    Is(Of(Lost), Ne, Const(0)),
    &[Note("count what was lost"), EachSlot(&[CountLost]), Set(Lost, Const(0))],
)];

/// As [`SETTLE`]. And could this activation be taken for one on record? Then what is on record no further out is over.
const SUCCEED: &[Op] = &[
    Note("drop the records of activations that are over, and look for its like among the others"),
    Set(Draws, Const(0)),
    Oldest(&[When(Is(Of(Tag), Le, OwnTag), &[Break]), Or(Draws, OwnPosition)]),
    Do(MISS),
    When(
        Is(Of(Draws), Ne, Const(0)),
        &[
            Do(LOCATE),
            When(Is(Of(Own), Eq, Const(0)), &[Do(FORGET)]),
            Oldest(&[When(Is(Of(Position), Ge, Of(Own)), &[Break])]),
            Do(MISS),
        ],
    ),
];

/// Where is this activation on the stack?
const LOCATE: &[Op] = &[
    Note("where is this activation on the stack?"),
    Walk,
    Set(Own, Const(0)),
    Below(
        NEAR,
        At,
        &[
            When(Is(Of(Walked), Le, Of(At)), &[Break]),
            Set(Scratch, Return(At)),
            Sub(Scratch, OwnSite),
            When(
                Is(Of(Scratch), Lt, OwnSpan),
                &[Set(Own, Of(Walked)), Sub(Own, Of(At)), Add(Own, OwnSkipped), Break],
            ),
        ],
    ),
];

/// Goes on with the slots whose chain waits for this function.
const WAITS: &[Op] =
    &[FindProbe, TakeStep(InSlot(Start)), Unless(Is(StepFunction, Eq, OwnFunction), &[Next])];

/// Goes on with the slots whose probe is about this target.
const OURS: &[Op] = &[FindProbe, Unless(Is(ProbeTarget, Eq, OwnTarget), &[Next])];

/// Goes on with the slots whose frames are live, if they have any: without progress, all have those that need none.
const LIVE: &[Op] = &[Unless(Is(InSlot(Start), Eq, Frames), &[Next]), TakeStep(Frames)];

/// The draw of the outermost activation favoured the slot.
const DRAWN: Test = Is(BitOf(Draws), Ne, Const(0));

/// Where some slot is about to inject for its chain, every record must be on the stack, from the newest outwards.
///
/// Each takes the innermost return address that it can, which leaves the most to those further out: where this way finds
/// no place for all, there is none.
const PROVE: &[Op] = &[
    Note("is any chain live, drawn, and to be afforded?"),
    EachSlot(&[
        Do(OURS),
        When(Is(Frames, Eq, Const(0)), &[Next]),
        Do(LIVE),
        Unless(DRAWN, &[Next]),
        Unless(Holds, &[Next]),
        Unless(Affordable, &[Next]),
        Set(Due, Const(1)),
        Break,
    ]),
    When(
        Is(Of(Due), Ne, Const(0)),
        &[
            Note("is every record on the stack?"),
            Walk,
            Set(Cursor, Of(Depth)),
            Sub(Cursor, Const(1)),
            Below(
                FULL_STACK,
                At,
                &[
                    When(Is(Of(At), Ge, Of(Walked)), &[Break]),
                    Sub(Cursor, IsReturn),
                    When(Is(Of(Cursor), Ge, Const(MOST_RECORDS)), &[Break]),
                ],
            ),
            Note("it ended before the oldest of them, below which there is none"),
            When(Is(Of(Cursor), Lt, Const(MOST_RECORDS)), &[Do(FORGET), Set(Start, Const(0))]),
        ],
    ),
];
