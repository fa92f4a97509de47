//! The words and operations in which matching is written down.

use crate::asm::Cond;
use crate::layout::counters::Counter;

/// A 64-bit word that matching reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Of the task: version of the member list that the rest is about.
    Version,
    /// Of the task: positions matched, four bits per slot.
    Progress,
    /// Of the task: decisions of the draws, one bit per slot.
    Drawn,
    /// Of the task: records in use.
    Depth,
    /// Of the task: slots that lost progress because an exit went unseen, and were not told yet; four bits each.
    Lost,
    /// Of the record at the cursor: address of the activation's context.
    Tag,
    /// Of the record at the cursor: progress before the activation advanced it.
    Before,
    /// Of the record at the cursor: where the activation is on the stack, counted from the outermost return address; 0
    /// where any activation of its function, in its place among the others, is as good as this one.
    Position,
    /// Of the record at the cursor: where its return address lies at the least.
    Site,
    /// Of the record at the cursor: and less than how many bytes further.
    Span,
    /// The record, or the return address, under way.
    Cursor,
    /// Progress before this activation; 0 where the task has no state.
    Start,
    /// What this activation adds to it.
    Gain,
    /// Slots whose outermost activation this is, one bit each.
    Opened,
    /// Those of them that the draw favours; at a gate, those that it favoured.
    Draws,
    /// Where this activation is on the stack; 0 where that was not asked for, or cannot be told.
    Own,
    /// Return addresses on the stack; 0 where they cannot be had.
    Walked,
    /// The return address that is looked at while the cursor is at a record.
    At,
    /// At an entry, not 0 where it matters which activation this is; at a gate, where any slot is about to inject for its
    /// chain.
    Due,
    /// The counter of the reason why nothing may be injected in this call; 0 for none.
    Verdict,
    /// An intermediate result.
    Scratch,
}

impl Word {
    pub(crate) const COUNT: usize = Self::Scratch as usize + 1;
}

/// What an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A constant.
    Const(i32),
    /// A word.
    Of(Word),
    /// The four bits of a word that are the slot's.
    InSlot(Word),
    /// The bit of a word that is the slot's.
    BitOf(Word),
    /// 1 in the four bits of the slot.
    OneInSlot,
    /// The slot's bit.
    SlotBit,
    /// Version of the member list.
    ListVersion,
    /// Address of this activation's context. Falls with depth, and is the same at entry and exit.
    OwnTag,
    /// Where the return address lies, at the least, that shows this activation on the stack.
    OwnSite,
    /// And less than how many bytes further.
    OwnSpan,
    /// Position of the record at the cursor where it is one of this function; 0 where it is not.
    OwnPosition,
    /// How many return addresses are missing at this entry that are there once the function has its frame.
    OwnSkipped,
    /// The number of this function; a target has none.
    OwnFunction,
    /// The code of this target.
    OwnTarget,
    /// The code of the target of the slot's probe.
    ProbeTarget,
    /// Number of frames of the slot's probe.
    Frames,
    /// The function that the step which was taken waits for.
    StepFunction,
    /// The number of the predicate that it has; 0 where it has none.
    StepPredicate,
    /// 1, or 0 where every draw favours the slot's probe.
    Sampled,
    /// The return address whose place is in a word, innermost first.
    Return(Word),
    /// 1 where the one at [`Word::At`] may be that of the record at the cursor, by its site, its span, and its position if
    /// it has one; otherwise 0.
    IsReturn,
}

/// What an operation depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// A comparison, unsigned.
    Is(Value, Cond, Value),
    /// The task has a state.
    Known,
    /// The predicate of the step that was taken held, or it has none.
    Holds,
    /// A draw with the probability of the slot's probe.
    Favoured,
    /// The budget of the slot's probe is not used up.
    Affordable,
    /// The slot's probe has not ended.
    InTime,
}

/// An operation. Where something it asks for is missing, the loop is over, or the program where there is none.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// What the operations from here on are for.
    Note(&'static str),
    /// `word = value`
    Set(Word, Value),
    /// `word += value`
    Add(Word, Value),
    /// `word -= value`
    Sub(Word, Value),
    /// `word |= value`
    Or(Word, Value),
    /// `word ^= value`
    Xor(Word, Value),
    /// All of these.
    Do(&'static [Self]),
    /// These where the test holds.
    When(Test, &'static [Self]),
    /// These where it does not.
    Unless(Test, &'static [Self]),
    /// These, unless the program is to believe its records, as some tests want it to.
    Proof(&'static [Self]),
    /// These, where anything of the program has a predicate.
    Predicated(&'static [Self]),
    /// These for every record, the oldest first, until one of them breaks: there the cursor stays. Otherwise it ends at the
    /// depth.
    Oldest(&'static [Self]),
    /// These for every number below this one, in the word. As of all loops, the verifier walks every turn of it, and what
    /// may follow a turn's branch once more for each: so there should be none but those that end the loop.
    Below(i32, Word, &'static [Self]),
    /// These for every slot. Loops are not nested.
    EachSlot(&'static [Self]),
    /// Ends the loop.
    Break,
    /// Ends the slot's turn.
    Next,
    /// Ends the program.
    Stop,
    /// Looks for the task's state.
    Recall,
    /// Makes the task a state of zeroes and of this version, unless it has one, which is looked for anew: were it carried
    /// here, the verifier would walk all in between once for a state and once for none.
    Make,
    /// Takes the stack, and counts it into [`Word::Walked`]: 0 where it may go on beyond what was taken, for positions
    /// count from the outermost return address. None of the loops around it goes on.
    Walk,
    /// Finds the slot's probe.
    FindProbe,
    /// Finds the counters of the slot's probe that only this gate counts.
    FindCounters,
    /// Takes the step at this place of the probe's chain; the one after the last frame is the target's own.
    TakeStep(Value),
    /// Asks for the predicate of the step that was taken.
    Ask,
    /// Finds out which of the predicates that were asked for hold.
    Evaluate,
    /// Counts that the predicate of the step that was taken turned the slot down.
    Refuse,
    /// Counts.
    Count(Counter),
    /// Counts a missed return where the slot lost progress.
    CountLost,
    /// Counts the verdict.
    CountVerdict,
    /// Finds the verdict: what forbids every injection in this call.
    Guard,
    /// Takes a ticket of the probe's budget.
    Ticket,
    /// Makes the function fail.
    Answer,
}
