//! The programs of [`crate::matching`] as instructions: an arm for every operation, and nothing of what they are for.
//!
//! Operations leave nothing in registers, so that all of R0 to R5 are free in each.

use super::context::Context;
use super::frame::{CTX, LISTED, SCRATCH, SLOT, STATE, TAG};
use super::place::{self, Home};
use super::predicates::{self, Predicates};
use super::scope::{self, Turns, veil};
use super::{ChainFunction, probing, sampling};
use crate::asm::{Alu, Asm, Cond, Helper, Label, Operand, Reg, Width};
use crate::facts::{Facts, TargetFacts, TaskFacts};
use crate::layout::{off, task};
use crate::matching::{Op, Test, Value, Word};

/// What the program is on.
#[derive(Clone, Copy)]
pub(super) enum Site<'a> {
    /// A chain function.
    Chain(&'a Facts, &'a ChainFunction),
    /// A target.
    Gate(&'a Facts, &'a TargetFacts, Context),
}

/// Writes a program of matching.
pub(super) struct Writer<'a, 'p> {
    pub(super) site: Site<'a>,
    pub(super) predicates: &'a Predicates<'p>,
    /// Leaves the proofs out.
    pub(super) believes: bool,
    /// The end of the program.
    pub(super) out: Label,
}

/// Where an operation may go.
#[derive(Clone, Copy)]
struct Ways {
    /// The end of the loop.
    after: Label,
    /// The end of the turn.
    next: Label,
}

impl Writer<'_, '_> {
    /// Writes the whole program.
    pub(super) fn program(&self, asm: &mut Asm, program: &[Op]) {
        self.all(asm, program, Ways { after: self.out, next: self.out });
    }

    fn all(&self, asm: &mut Asm, ops: &[Op], ways: Ways) {
        for op in ops {
            self.one(asm, op, ways);
        }
    }

    fn one(&self, asm: &mut Asm, op: &Op, ways: Ways) {
        match *op {
            Op::Note(text) => asm.note(text),
            Op::Set(word, value) => self.set(asm, word, value),
            Op::Add(word, value) => self.change(asm, Alu::Add, word, value),
            Op::Sub(word, value) => self.change(asm, Alu::Sub, word, value),
            Op::Or(word, value) => self.change(asm, Alu::Or, word, value),
            Op::Xor(word, value) => self.change(asm, Alu::Xor, word, value),
            Op::Do(ops) => self.all(asm, ops, ways),
            Op::When(test, ops) => self.branch(asm, test, true, ops, ways),
            Op::Unless(test, ops) => self.branch(asm, test, false, ops, ways),
            Op::Proof(_) if self.believes => {}
            Op::Proof(ops) => self.all(asm, ops, ways),
            Op::Predicated(_) if self.predicates.is_empty() => {}
            Op::Predicated(ops) => self.all(asm, ops, ways),
            Op::Newest(ops) => self.newest(asm, ops),
            Op::Below(end, word, ops) => self.below(asm, end, word, ops),
            Op::EachSlot(ops) => self.each_slot(asm, ops),
            Op::Break => asm.jump(ways.after),
            Op::Next => asm.jump(ways.next),
            Op::Stop => asm.jump(self.out),
            Op::Recall => self.recall(asm),
            Op::Make => {
                let known = asm.label("known");
                asm.jump_if(Cond::Ne, STATE, 0, known);
                scope::make_state(asm, self.out);
                asm.bind(known);
            }
            Op::Walk => self.walk(asm),
            Op::FindProbe => probing::find(asm, ways.next),
            Op::FindCounters => probing::find_counters(asm, ways.next),
            Op::TakeStep(place) => {
                self.load(asm, Reg::R1, place);
                probing::take_step(asm);
            }
            Op::Ask => predicates::ask(asm),
            Op::Evaluate => self.predicates.evaluate(asm),
            Op::Refuse => probing::refuse(asm, ways.next),
            Op::Count(counter) => probing::count(asm, counter, ways.next),
            Op::CountVerdict => probing::count_verdict(asm),
            Op::Guard | Op::Ticket | Op::Answer => self.at_gate(asm, *op, ways.next),
        }
    }

    fn at_gate(&self, asm: &mut Asm, op: Op, next: Label) {
        let Site::Gate(facts, target, context) = self.site else { return };
        match op {
            Op::Guard => super::guards::emit(asm, facts, target, context),
            Op::Ticket => probing::ticket(asm, next),
            _ => probing::answer(asm, target.target.failure()),
        }
    }

    fn recall(&self, asm: &mut Asm) {
        let none = asm.label("none");
        if matches!(self.site, Site::Gate(..)) {
            probing::unless_chained(asm, none);
        }
        scope::find_state(asm, none);
        asm.bind(none);
    }

    /// Takes the stack into the task's state; the number of its return addresses is 0 where it cannot be had.
    ///
    /// The kernel takes it into memory of the CPU's first, and copies from there. Not all kernels keep another task from
    /// taking its own in between: what was taken while the task was off its CPU may be another's, and counts for nothing.
    fn walk(&self, asm: &mut Asm) {
        let (Site::Chain(facts, _) | Site::Gate(facts, ..)) = self.site;
        let (lost, taken) = (asm.label("lost"), asm.label("taken"));
        switches(asm, facts.task);
        asm.store(Width::U64, Reg::Fp, SCRATCH, Reg::R1, "switches before");
        asm.mov(Reg::R1, CTX);
        asm.address(Reg::R2, STATE, off(task::STACK));
        asm.mov(Reg::R3, i32::from(off(8 * task::STACK_MAX)));
        asm.mov(Reg::R4, 0);
        asm.call(Helper::Stack);
        asm.mov(SLOT, Reg::R0);
        asm.jump_if(Cond::SignedLt, SLOT, 0, lost);
        switches(asm, facts.task);
        asm.load(Width::U64, Reg::R2, Reg::Fp, SCRATCH, "switches before");
        asm.jump_if(Cond::Eq, Reg::R1, Reg::R2, taken);
        asm.bind(lost);
        asm.mov(SLOT, 0);
        asm.bind(taken);
        asm.alu(Alu::Shr, SLOT, 3);
        veil(asm, SLOT, Reg::R1);
        place::store(asm, Word::Walked, SLOT);
    }

    /// Constants on the stack are veiled, and what constants are added to there, or the verifier would walk what follows
    /// once for each.
    fn set(&self, asm: &mut Asm, word: Word, value: Value) {
        self.load(asm, Reg::R1, value);
        Self::veil_own(asm, word, value);
        place::store(asm, word, Reg::R1);
    }

    fn change(&self, asm: &mut Asm, op: Alu, word: Word, value: Value) {
        place::load(asm, Reg::R1, word);
        let right = self.operand(asm, value);
        asm.alu(op, Reg::R1, right);
        Self::veil_own(asm, word, value);
        place::store(asm, word, Reg::R1);
    }

    /// R1 is about to become the word.
    fn veil_own(asm: &mut Asm, word: Word, value: Value) {
        if let (Home::Own(_), Value::Const(_)) = (place::home(word), value) {
            veil(asm, Reg::R1, Reg::R2);
        }
    }

    /// Carries `ops` out where the test comes out as `wanted`.
    fn branch(&self, asm: &mut Asm, test: Test, wanted: bool, ops: &[Op], ways: Ways) {
        let elsewhere = match ops {
            [Op::Next] => Some(ways.next),
            [Op::Break] => Some(ways.after),
            [Op::Stop] => Some(self.out),
            _ => None,
        };
        if let Some(there) = elsewhere {
            self.go(asm, test, wanted, there);
            return;
        }
        let otherwise = asm.label("otherwise");
        self.go(asm, test, !wanted, otherwise);
        self.all(asm, ops, ways);
        asm.bind(otherwise);
    }

    /// Goes there where the test comes out as `wanted`.
    fn go(&self, asm: &mut Asm, test: Test, wanted: bool, there: Label) {
        let against = |asm: &mut Asm, leave: fn(&mut Asm, Label)| {
            let here = asm.label("here");
            leave(asm, if wanted { here } else { there });
            if wanted {
                asm.jump(there);
            }
            asm.bind(here);
        };
        match test {
            Test::Is(left, cond, right) => {
                self.load(asm, Reg::R1, left);
                let right = self.operand(asm, right);
                asm.jump_if(if wanted { cond } else { opposite(cond) }, Reg::R1, right, there);
            }
            Test::Known => asm.jump_if(if wanted { Cond::Ne } else { Cond::Eq }, STATE, 0, there),
            Test::Holds => self.predicates.go(asm, wanted, there),
            Test::Asks => predicates::asks(asm, wanted, there),
            Test::Favoured => against(asm, sampling::draw),
            Test::Certain => against(asm, probing::certain),
            Test::Affordable => against(asm, probing::affordable),
            Test::InTime => against(asm, probing::in_time),
        }
    }

    fn newest(&self, asm: &mut Asm, ops: &[Op]) {
        let ways = Ways { after: asm.label("done"), next: asm.label("older") };
        let more = asm.label("record");
        place::load(asm, Reg::R1, Word::Depth);
        place::store(asm, Word::Cursor, Reg::R1);
        asm.mov(SLOT, 0);
        asm.bind(more);
        place::load(asm, Reg::R1, Word::Cursor);
        asm.jump_if(Cond::Eq, Reg::R1, 0, ways.after);
        asm.alu(Alu::Sub, Reg::R1, 1);
        place::store(asm, Word::Cursor, Reg::R1);
        self.all(asm, ops, ways);
        asm.bind(ways.next);
        asm.alu(Alu::Add, SLOT, 1);
        asm.jump_if(Cond::Ne, SLOT, i32::try_from(task::DEPTH_MAX).unwrap_or(0), more);
        asm.bind(ways.after);
    }

    fn below(&self, asm: &mut Asm, end: i32, word: Word, ops: &[Op]) {
        let ways = Ways { after: asm.label("done"), next: asm.label("further") };
        let more = asm.label("number");
        asm.mov(SLOT, 0);
        asm.bind(more);
        place::store(asm, word, SLOT);
        self.all(asm, ops, ways);
        asm.bind(ways.next);
        asm.alu(Alu::Add, SLOT, 1);
        asm.jump_if(Cond::Ne, SLOT, end, more);
        asm.bind(ways.after);
    }

    fn each_slot(&self, asm: &mut Asm, ops: &[Op]) {
        let turns = Turns { slot: asm.label("slot"), next: asm.label("next"), end: asm.label("end") };
        let ways = Ways { after: turns.end, next: turns.next };
        scope::each_slot(asm, &turns, |asm| self.all(asm, ops, ways));
        asm.bind(turns.end);
    }

    /// The right side of an operation: as it is, or in R2. R1 stays.
    fn operand(&self, asm: &mut Asm, value: Value) -> Operand {
        match value {
            Value::Const(value) => value.into(),
            value => {
                self.load(asm, Reg::R2, value);
                Reg::R2.into()
            }
        }
    }

    /// `dst` = the value. Uses R3, and no other.
    fn load(&self, asm: &mut Asm, dst: Reg, value: Value) {
        match value {
            Value::Const(value) => asm.mov(dst, value),
            Value::Of(word) => place::load(asm, dst, word),
            Value::InSlot(word) => {
                place::load(asm, dst, word);
                asm.mov(Reg::R3, SLOT);
                asm.alu(Alu::Shl, Reg::R3, task::SLOT_SHIFT);
                asm.alu(Alu::Shr, dst, Reg::R3);
                asm.alu(Alu::And, dst, task::SLOT_MASK);
            }
            Value::BitOf(word) => {
                place::load(asm, dst, word);
                asm.alu(Alu::Shr, dst, SLOT);
                asm.alu(Alu::And, dst, 1);
            }
            Value::OneInSlot => {
                asm.mov(Reg::R3, SLOT);
                asm.alu(Alu::Shl, Reg::R3, task::SLOT_SHIFT);
                asm.mov(dst, 1);
                asm.alu(Alu::Shl, dst, Reg::R3);
            }
            Value::SlotBit => {
                asm.mov(dst, 1);
                asm.alu(Alu::Shl, dst, SLOT);
            }
            Value::OwnTag => asm.load(Width::U64, dst, Reg::Fp, TAG, "own tag"),
            Value::Return(word) => {
                place::load(asm, dst, word);
                place::element(asm, dst, task::STACK_MAX);
                asm.load(Width::U64, dst, dst, off(task::STACK), "return address");
            }
            Value::ListVersion => asm.load(Width::U64, dst, Reg::Fp, LISTED, "version as listed"),
            Value::ProbeTarget => probing::target(asm, dst),
            Value::Frames => probing::frames(asm, dst),
            Value::StepFunction => probing::step_function(asm, dst),
            Value::OwnSite | Value::OwnSpan | Value::OwnSkipped | Value::OwnFunction | Value::OwnTarget => {
                self.own(asm, dst, value);
            }
        }
    }

    /// What is known of the place that the program is on.
    fn own(&self, asm: &mut Asm, dst: Reg, value: Value) {
        let word = match (self.site, value) {
            (Site::Chain(_, function), Value::OwnSite) => function.address,
            (Site::Chain(_, function), Value::OwnSpan) => function.span.into(),
            (Site::Chain(facts, function), Value::OwnSkipped) => function.hook.skipped(facts).into(),
            (Site::Chain(_, function), _) => function.number.into(),
            (Site::Gate(_, target, _), _) => target.target.code().into(),
        };
        match i32::try_from(word) {
            Ok(word) => asm.mov(dst, word),
            Err(_) => asm.wide(dst, word),
        }
    }
}

/// R1 = how often the task has left its CPU.
fn switches(asm: &mut Asm, at: TaskFacts) {
    asm.call(Helper::CurrentTask);
    asm.load(Width::U64, Reg::R1, Reg::R0, at.left, "switches of its own accord");
    asm.load(Width::U64, Reg::R2, Reg::R0, at.preempted, "preemptions");
    asm.alu(Alu::Add, Reg::R1, Reg::R2);
}

/// When the comparison does not hold.
const fn opposite(cond: Cond) -> Cond {
    match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Ge => Cond::Lt,
        Cond::Lt => Cond::Ge,
        Cond::Gt => Cond::Le,
        // Matching compares in these ways only.
        _ => Cond::Gt,
    }
}
