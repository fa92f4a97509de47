//! The machine that carries programs of matching out.

use super::{Call, Chain, Count, Function, Record, TaskState};
use crate::Target;
use crate::asm::Cond;
use crate::layout::counters::Counter;
use crate::layout::probe::Step;
use crate::layout::task::{DEPTH_MAX, SLOT_MASK, SLOT_SHIFT, STACK_MAX};
use crate::matching::{Op, Test, Value, Word};

/// A program under way.
pub(super) struct Machine<'a> {
    task: &'a mut TaskState,
    function: Option<Function>,
    target: Option<Target>,
    call: &'a Call<'a>,
    /// The words of this run.
    own: [u64; Word::COUNT],
    slot: usize,
    chain: Option<&'a Chain>,
    step: Option<Step>,
    asked: u64,
    held: u64,
    counts: Vec<Count>,
}

/// How to go on after an operation.
#[derive(PartialEq, Eq)]
enum Then {
    On,
    Next,
    Break,
    Stop,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        task: &'a mut TaskState,
        function: Option<Function>,
        target: Option<Target>,
        call: &'a Call<'a>,
    ) -> Self {
        Self {
            task,
            function,
            target,
            call,
            own: [0; Word::COUNT],
            slot: 0,
            chain: None,
            step: None,
            asked: 0,
            held: 1,
            counts: Vec::new(),
        }
    }

    pub(super) fn run(mut self, program: &[Op]) -> Vec<Count> {
        self.all(program);
        self.counts
    }

    fn all(&mut self, ops: &[Op]) -> Then {
        for op in ops {
            match self.one(op) {
                Then::On => {}
                other => return other,
            }
        }
        Then::On
    }

    fn one(&mut self, op: &Op) -> Then {
        match *op {
            // The model knows no state but this one, and nothing that forbids to inject.
            Op::Note(_) | Op::Recall | Op::FindCounters | Op::Guard | Op::Ticket | Op::Answer => {}
            Op::Set(word, value) => self.change(word, value, |_, value| value),
            Op::Add(word, value) => self.change(word, value, u64::wrapping_add),
            Op::Sub(word, value) => self.change(word, value, u64::wrapping_sub),
            Op::Or(word, value) => self.change(word, value, |word, value| word | value),
            Op::Xor(word, value) => self.change(word, value, |word, value| word ^ value),
            Op::Do(ops) | Op::Proof(ops) | Op::Predicated(ops) => return self.all(ops),
            Op::When(test, ops) => return if self.holds(test) { self.all(ops) } else { Then::On },
            Op::Unless(test, ops) => return if self.holds(test) { Then::On } else { self.all(ops) },
            Op::Oldest(ops) => return self.oldest(ops),
            Op::Below(end, word, ops) => return self.numbers(end, word, ops),
            Op::EachSlot(ops) => return self.turns(0..self.call.chains.len(), Self::set_slot, ops),
            Op::Break => return Then::Break,
            Op::Next => return Then::Next,
            Op::Stop => return Then::Stop,
            Op::Make => {
                if !self.task.known {
                    *self.task =
                        TaskState { known: true, version: self.call.version, ..TaskState::default() };
                }
            }
            Op::Walk => {
                let stack = self.call.stack;
                self.put(Word::Walked, if stack.len() < STACK_MAX { stack.len() as u64 } else { 0 });
            }
            Op::FindProbe => {
                self.chain = self.call.chains.get(self.slot);
                return if self.chain.is_some() { Then::On } else { Then::Break };
            }
            Op::TakeStep(place) => self.step = Some(self.step_at(self.value(place))),
            Op::Ask => self.asked |= 1 << self.predicate(),
            Op::Evaluate => {
                let held =
                    (1..64).filter(|number| self.asked >> number & 1 == 1 && (self.call.holds)(*number));
                self.held |= held.fold(0, |held, number| held | 1 << number);
            }
            Op::Refuse => self.counts.push((self.slot, Counter::Rejected)),
            Op::Count(counter) => self.counts.push((self.slot, counter)),
            Op::CountLost if self.value(Value::InSlot(Word::Lost)) == 0 => {}
            Op::CountLost => self.counts.push((self.slot, Counter::MissedReturns)),
            // Nothing else forbids here.
            Op::CountVerdict => self.counts.push((self.slot, Counter::Shadowed)),
        }
        Then::On
    }

    fn turns<T>(&mut self, turns: impl Iterator<Item = T>, begin: fn(&mut Self, T), ops: &[Op]) -> Then {
        for turn in turns {
            begin(self, turn);
            match self.all(ops) {
                Then::On | Then::Next => {}
                Then::Break => break,
                Then::Stop => return Then::Stop,
            }
        }
        Then::On
    }

    fn numbers(&mut self, end: i32, word: Word, ops: &[Op]) -> Then {
        let turns = (0..extended(end)).map(|number| (word, number));
        self.turns(turns, |machine, (word, number)| machine.put(word, number), ops)
    }

    fn oldest(&mut self, ops: &[Op]) -> Then {
        self.put(Word::Cursor, 0);
        while self.word(Word::Cursor) < self.task.depth && self.all(ops) != Then::Break {
            self.put(Word::Cursor, self.word(Word::Cursor) + 1);
        }
        Then::On
    }

    fn set_slot(&mut self, slot: usize) {
        self.slot = slot;
    }

    fn holds(&self, test: Test) -> bool {
        match test {
            Test::Is(left, cond, right) => {
                let (left, right) = (self.value(left), self.value(right));
                match cond {
                    Cond::Eq => left == right,
                    Cond::Ne => left != right,
                    Cond::Lt => left < right,
                    Cond::Le => left <= right,
                    Cond::Gt => left > right,
                    // Matching compares in these ways only.
                    _ => left >= right,
                }
            }
            Test::Known => self.task.known,
            Test::Holds => self.held >> self.predicate() & 1 == 1,
            Test::Favoured => (self.call.favours)(self.slot),
            Test::InTime | Test::Affordable => true,
        }
    }

    fn value(&self, value: Value) -> u64 {
        match value {
            Value::Const(value) => extended(value),
            Value::Of(word) => self.word(word),
            Value::InSlot(word) => self.word(word) >> (self.slot << SLOT_SHIFT) & extended(SLOT_MASK),
            Value::BitOf(word) => self.word(word) >> self.slot & 1,
            Value::OneInSlot => 1 << (self.slot << SLOT_SHIFT),
            Value::SlotBit => 1 << self.slot,
            Value::ListVersion => self.call.version,
            Value::OwnTag => self.call.tag,
            Value::OwnSite => self.function.map_or(0, |function| function.site),
            Value::OwnSpan => self.function.map_or(0, |function| function.span),
            Value::OwnPosition if self.word(Word::Site) == self.value(Value::OwnSite) => {
                self.word(Word::Position)
            }
            Value::OwnPosition => 0,
            // As by trampolines, which call the function.
            Value::OwnSkipped => 0,
            Value::OwnFunction => self.function.map_or(0, |function| function.number.into()),
            Value::OwnTarget => self.target.map_or(u64::MAX, |target| target.code().into()),
            Value::ProbeTarget => self.chain.map_or(0, |chain| chain.target.code().into()),
            Value::Frames => self.chain.map_or(0, |chain| chain.frames.len() as u64),
            Value::StepFunction => self.step.map_or(0, |step| step.function.into()),
            Value::StepPredicate => self.predicate().into(),
            Value::Sampled => self.chain.is_some_and(|chain| !chain.certain).into(),
            Value::Return(word) => {
                let at = usize::try_from(self.word(word)).unwrap_or(usize::MAX);
                self.call.stack.get(at).copied().unwrap_or(0)
            }
            Value::IsReturn => {
                let beyond = self.value(Value::Return(Word::At)).wrapping_sub(self.word(Word::Site));
                let here = self.word(Word::Walked).wrapping_sub(self.word(Word::At));
                let is_placed = [0, here].contains(&self.word(Word::Position));
                u64::from(beyond < self.word(Word::Span) && is_placed)
            }
        }
    }

    fn step_at(&self, place: u64) -> Step {
        let Some(chain) = self.chain else { return Step { function: 0, predicate: 0 } };
        let at = usize::try_from(place).unwrap_or(usize::MAX);
        chain.frames.get(at).copied().unwrap_or(Step { function: 0, predicate: chain.predicate })
    }

    fn predicate(&self) -> u8 {
        self.step.map_or(0, |step| step.predicate)
    }

    fn word(&self, word: Word) -> u64 {
        let record = self.task.records.get(self.cursor()).copied().unwrap_or_default();
        match word {
            Word::Version => self.task.version,
            Word::Progress => self.task.progress,
            Word::Drawn => self.task.drawn,
            Word::Depth => self.task.depth,
            Word::Lost => self.task.lost,
            Word::Tag => record.tag,
            Word::Before => record.before,
            Word::Position => record.position,
            Word::Site => record.site,
            Word::Span => record.span,
            own => self.own.get(own as usize).copied().unwrap_or(0),
        }
    }

    fn change(&mut self, word: Word, value: Value, by: fn(u64, u64) -> u64) {
        self.put(word, by(self.word(word), self.value(value)));
    }

    fn put(&mut self, word: Word, value: u64) {
        let at = self.cursor();
        let mut nowhere = Record::default();
        let record = self.task.records.get_mut(at).unwrap_or(&mut nowhere);
        let mut lost = 0;
        let place = match word {
            Word::Version => &mut self.task.version,
            Word::Progress => &mut self.task.progress,
            Word::Drawn => &mut self.task.drawn,
            Word::Depth => &mut self.task.depth,
            Word::Lost => &mut self.task.lost,
            Word::Tag => &mut record.tag,
            Word::Before => &mut record.before,
            Word::Position => &mut record.position,
            Word::Site => &mut record.site,
            Word::Span => &mut record.span,
            own => self.own.get_mut(own as usize).unwrap_or(&mut lost),
        };
        *place = value;
    }

    fn cursor(&self) -> usize {
        let at = self.own.get(Word::Cursor as usize).copied().unwrap_or(0);
        usize::try_from(at).unwrap_or(DEPTH_MAX)
    }
}

fn extended(constant: i32) -> u64 {
    i64::from(constant).cast_unsigned()
}
