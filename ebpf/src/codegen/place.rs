//! Where the words of matching are kept.

use super::frame::{self, STATE};
use crate::asm::{Alu, Asm, Reg, Width};
use crate::layout::{off, task};
use crate::matching::Word;

/// The place of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// In the task's state.
    Task(usize),
    /// In the record at the cursor; where those of the first record are.
    Record(usize),
    /// On the program's own stack.
    Own(i16),
}

pub(super) const fn home(word: Word) -> Home {
    match word {
        Word::Version => Home::Task(task::VERSION),
        Word::Progress => Home::Task(task::PROGRESS),
        Word::Drawn => Home::Task(task::DRAWN),
        Word::Depth => Home::Task(task::DEPTH),
        Word::Lost => Home::Task(task::LOST),
        Word::Tag => Home::Record(task::TAGS),
        Word::Before => Home::Record(task::BEFORE),
        Word::Position => Home::Record(task::POSITIONS),
        Word::Site => Home::Record(task::SITES),
        Word::Span => Home::Record(task::SPANS),
        Word::Cursor => Home::Own(frame::CURSOR),
        Word::Start => Home::Own(frame::START),
        Word::Gain => Home::Own(frame::GAIN),
        Word::Opened => Home::Own(frame::OPENED),
        Word::Draws => Home::Own(frame::DRAWS),
        Word::Own => Home::Own(frame::POSITION),
        Word::Walked => Home::Own(frame::WALKED),
        Word::At => Home::Own(frame::AT),
        Word::Due => Home::Own(frame::DUE),
        Word::Verdict => Home::Own(frame::VERDICT),
        Word::Scratch => Home::Own(frame::SCRATCH),
    }
}

/// `dst` = the word. Uses R3 for records.
pub(super) fn load(asm: &mut Asm, dst: Reg, word: Word) {
    let (base, at) = base(asm, home(word));
    asm.load(Width::U64, dst, base, at, name(word));
}

/// The word = `src`. Uses R3 for records, and loses `src` for the cursor.
pub(super) fn store(asm: &mut Asm, word: Word, src: Reg) {
    let (base, at) = base(asm, home(word));
    asm.store(Width::U64, base, at, src, name(word));
    if word == Word::Cursor {
        element(asm, src, task::DEPTH_MAX - 1);
        asm.store(Width::U64, Reg::Fp, frame::RECORD, src, "record");
    }
}

fn base(asm: &mut Asm, home: Home) -> (Reg, i16) {
    match home {
        Home::Task(at) => (STATE, off(at)),
        Home::Own(at) => (Reg::Fp, at),
        Home::Record(first) => {
            asm.load(Width::U64, Reg::R3, Reg::Fp, frame::RECORD, "record");
            (Reg::R3, off(first))
        }
    }
}

/// `index` = the state, moved on by that many words, of which a bound mask keeps it inside.
pub(super) fn element(asm: &mut Asm, index: Reg, mask: usize) {
    asm.alu(Alu::And, index, i32::try_from(mask).unwrap_or(0));
    asm.alu(Alu::Shl, index, 3);
    asm.alu(Alu::Add, index, STATE);
}

const fn name(word: Word) -> &'static str {
    match word {
        Word::Version => "version",
        Word::Progress => "progress",
        Word::Drawn => "drawn",
        Word::Depth => "depth",
        Word::Lost => "lost",
        Word::Tag => "tag",
        Word::Before => "progress before",
        Word::Position => "position",
        Word::Site => "site",
        Word::Span => "span",
        Word::Cursor => "cursor",
        Word::Start => "start",
        Word::Gain => "gain",
        Word::Opened => "opened",
        Word::Draws => "draws",
        Word::Own => "own position",
        Word::Walked => "return addresses",
        Word::At => "nth",
        Word::Due => "due",
        Word::Verdict => "verdict",
        Word::Scratch => "scratch",
    }
}
