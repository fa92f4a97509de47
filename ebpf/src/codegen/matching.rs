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
use crate::layout::counters::Counter;
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
            Op::Oldest(ops) => self.oldest(asm, ops),
            Op::Below(end, word, ops) => self.below(asm, end, word, ops),
            Op::EachSlot(ops) => self.each_slot(asm, ops),
            Op::Break => asm.jump(ways.after),
            Op::Next => asm.jump(ways.next),
            Op::Stop => asm.jump(self.out),
            Op::Recall => self.recall(asm),
            Op::Make => {
                let (missing, known) = (asm.label("missing"), asm.label("known"));
                scope::find_state(asm, missing);
                asm.jump(known);
                asm.bind(missing);
                scope::make_state(asm, self.out);
                asm.bind(known);
            }
            Op::Walk => self.walk(asm),
            Op::FindProbe => probing::find(asm, ways.after),
            Op::FindCounters => probing::find_counters(asm, ways.after),
            Op::TakeStep(place) => {
                self.load(asm, Reg::R1, place);
                probing::take_step(asm);
            }
            Op::Ask => predicates::ask(asm),
            Op::Evaluate => self.predicates.evaluate(asm),
            // What asks for a predicate is none of a program that has none.
            Op::Refuse if self.predicates.is_empty() => {}
            Op::Refuse => probing::refuse(asm, ways.after),
            Op::Count(counter) => probing::count(asm, counter, ways.after),
            Op::CountLost => self.count_lost(asm, ways.after),
            Op::CountVerdict => probing::count_verdict(asm),
            Op::Guard | Op::Ticket | Op::Answer => self.at_gate(asm, *op, ways),
        }
    }

    fn at_gate(&self, asm: &mut Asm, op: Op, ways: Ways) {
        let Site::Gate(facts, target, context) = self.site else { return };
        match op {
            Op::Guard => super::guards::emit(asm, facts, target, context),
            Op::Ticket => probing::ticket(asm, ways.next),
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

    /// Takes the stack into the task's state; the number of its return addresses is 0 where it cannot be had as a whole.
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
        // An error is negative, and so no less than all bytes that there is room for.
        asm.jump_if(Cond::Ge, SLOT, i32::from(off(8 * task::STACK_MAX)), lost);
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

    /// Constants on the stack are veiled, or the verifier would walk what follows once for each.
    fn set(&self, asm: &mut Asm, word: Word, value: Value) {
        self.load(asm, Reg::R1, value);
        if let (Home::Own(_), Value::Const(_)) = (place::home(word), value) {
            veil(asm, Reg::R1, Reg::R2);
        }
        place::store(asm, word, Reg::R1);
    }

    fn change(&self, asm: &mut Asm, op: Alu, word: Word, value: Value) {
        place::load(asm, Reg::R1, word);
        let right = self.operand(asm, value);
        asm.alu(op, Reg::R1, right);
        place::store(asm, word, Reg::R1);
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
            Test::Favoured => against(asm, sampling::draw),
            Test::Affordable => against(asm, probing::affordable),
            Test::InTime => against(asm, probing::in_time),
        }
    }

    fn oldest(&self, asm: &mut Asm, ops: &[Op]) {
        let ways = Ways { after: asm.label("done"), next: asm.label("younger") };
        let more = asm.label("record");
        self.set(asm, Word::Cursor, Value::Const(0));
        asm.mov(SLOT, 0);
        asm.bind(more);
        self.go(asm, Test::Is(Value::Of(Word::Cursor), Cond::Ge, Value::Of(Word::Depth)), true, ways.after);
        self.all(asm, ops, ways);
        asm.bind(ways.next);
        self.change(asm, Alu::Add, Word::Cursor, Value::Const(1));
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

    /// Without a jump: 15 makes 16 or more of all that is not 0.
    fn count_lost(&self, asm: &mut Asm, none: Label) {
        self.load(asm, Reg::R1, Value::InSlot(Word::Lost));
        asm.alu(Alu::Add, Reg::R1, task::SLOT_MASK);
        asm.alu(Alu::Shr, Reg::R1, 1 << task::SLOT_SHIFT);
        asm.store(Width::U64, Reg::Fp, SCRATCH, Reg::R1, "lost");
        probing::counters(asm, none);
        asm.load(Width::U64, Reg::R1, Reg::Fp, SCRATCH, "lost");
        asm.atomic_add(Reg::R0, Counter::MissedReturns.off(), Reg::R1, Counter::MissedReturns.name());
    }

    /// The right side of an operation: as it is, or in R2. R1 stays.
    fn operand(&self, asm: &mut Asm, value: Value) -> Operand {
        if let Some(Ok(constant)) = self.constant(value).map(i32::try_from) {
            return constant.into();
        }
        self.load(asm, Reg::R2, value);
        Reg::R2.into()
    }

    /// `dst` = the value. Uses R3 to R5, and no other.
    fn load(&self, asm: &mut Asm, dst: Reg, value: Value) {
        match value {
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
            Value::OwnPosition => {
                place::load(asm, Reg::R4, Word::Site);
                self.load(asm, dst, Value::OwnSite);
                asm.alu(Alu::Sub, Reg::R4, dst);
                sign_unless_zero(asm, Reg::R4);
                asm.alu(Alu::SignedShr, Reg::R4, 63);
                asm.alu(Alu::Xor, Reg::R4, -1);
                place::load(asm, dst, Word::Position);
                asm.alu(Alu::And, dst, Reg::R4);
            }
            Value::IsReturn => self.is_return(asm, dst),
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
            Value::StepPredicate => predicates::of_step(asm, dst),
            Value::Sampled => probing::sampled(asm, dst),
            constant => {
                let constant = self.constant(constant).unwrap_or_default();
                match i32::try_from(constant) {
                    Ok(constant) => asm.mov(dst, constant),
                    Err(_) => asm.wide(dst, constant.cast_unsigned()),
                }
            }
        }
    }

    /// Without a jump: the sign tells, at first of what speaks for it, then of what speaks against it.
    fn is_return(&self, asm: &mut Asm, dst: Reg) {
        self.load(asm, dst, Value::Return(Word::At));
        place::load(asm, Reg::R4, Word::Site);
        asm.alu(Alu::Sub, dst, Reg::R4);
        place::load(asm, Reg::R4, Word::Span);
        asm.mov(Reg::R3, dst);
        asm.alu(Alu::Sub, Reg::R3, Reg::R4);
        asm.alu(Alu::Xor, dst, -1);
        asm.alu(Alu::And, dst, Reg::R3);
        place::load(asm, Reg::R4, Word::Walked);
        place::load(asm, Reg::R3, Word::At);
        asm.alu(Alu::Sub, Reg::R4, Reg::R3);
        place::load(asm, Reg::R5, Word::Position);
        asm.alu(Alu::Sub, Reg::R4, Reg::R5);
        sign_unless_zero(asm, Reg::R4);
        sign_unless_zero(asm, Reg::R5);
        asm.alu(Alu::And, Reg::R4, Reg::R5);
        asm.alu(Alu::Xor, Reg::R4, -1);
        asm.alu(Alu::And, dst, Reg::R4);
        asm.alu(Alu::Shr, dst, 63);
    }

    /// What is written into the program: constants, and what is known of the place that it is on.
    fn constant(&self, value: Value) -> Option<i64> {
        Some(match (value, self.site) {
            (Value::Const(value), _) => value.into(),
            (Value::OwnSite, Site::Chain(_, function)) => function.address.cast_signed(),
            (Value::OwnSpan, Site::Chain(_, function)) => function.span.into(),
            (Value::OwnSkipped, Site::Chain(facts, function)) => function.hook.skipped(facts).into(),
            (Value::OwnFunction, Site::Chain(_, function)) => function.number.into(),
            (Value::OwnTarget, Site::Gate(_, target, _)) => target.target.code().into(),
            _ => return None,
        })
    }
}

/// Makes what is not 0 negative: one of a number and its opposite is. Uses R3.
fn sign_unless_zero(asm: &mut Asm, dst: Reg) {
    asm.mov(Reg::R3, 0);
    asm.alu(Alu::Sub, Reg::R3, dst);
    asm.alu(Alu::Or, dst, Reg::R3);
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
