//! What stands above the programs of an experiment.

use std::fmt::Write as _;

use faultline_api::{CallChain, Experiment, Predicate, yaml::visible};
use faultline_ebpf::layout::probe::Step;
use serde::Serialize;

use super::{Listing, Mechanism, numbers::Numbers};
use crate::cli::{kernel::Chain, table::table};

/// What an experiment makes fail and where, and what of it is not in the programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heading {
    /// The functions on the way, outermost first.
    call_chain: Vec<Frame>,
    target: Target,
    probability: u8,
    times: Option<u64>,
    duration: Option<String>,
    #[serde(skip)]
    has_kprobes: bool,
}

/// A frame, with the numbers that the programs compare.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    number: u16,
    function: String,
    /// As the document has it.
    funcname: String,
    predicate: Option<Condition>,
}

/// The function that fails.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    function: &'static str,
    answer: i32,
    predicate: Option<Condition>,
}

/// What must hold at an entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    number: u8,
    text: String,
}

impl Heading {
    pub(super) fn of(
        experiment: &Experiment,
        chain: &Chain,
        numbers: &Numbers<'_>,
        mechanism: Mechanism,
    ) -> Self {
        let CallChain { frames, target } = &experiment.call_chain;
        let call_chain = frames.iter().zip(&chain.frames).map(|(written, frame)| {
            let Step { function: number, predicate } = numbers.step(frame, written.predicate.as_ref());
            Frame {
                number,
                function: frame.symbol.to_string(),
                funcname: written.function.clone(),
                predicate: Condition::of(written.predicate.as_ref(), predicate),
            }
        });
        let function = chain.target.target;
        let target = Target {
            function: function.function(),
            answer: function.failure(),
            predicate: Condition::of(target.as_ref(), 1),
        };
        Self {
            call_chain: call_chain.collect(),
            target,
            probability: experiment.probability.get(),
            times: experiment.times,
            duration: experiment.duration.map(|duration| duration.to_string()),
            has_kprobes: mechanism == Mechanism::Kprobe
                || chain.frames.iter().any(|frame| frame.symbol.module.is_some()),
        }
    }

    pub(super) fn text(&self, experiment: &str, place: &str, programs: &[Listing]) -> String {
        let Target { function, answer, predicate } = &self.target;
        let mut text = format!("experiment {experiment}, {}\n\n", visible(place));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "fault: {function} answers {answer}");
        text += "call chain, outermost first:\n";
        text += &self.call_chain.iter().map(Frame::text).collect::<String>();
        let _ = writeln!(text, "  target: {function}{}", Condition::text(predicate.as_ref()));
        text += &self.in_maps();
        text += &self.of_agents();
        text += &sizes(programs);
        text.lines().map(|line| format!("; {line}").trim_end().to_owned() + "\n").collect()
    }

    fn in_maps(&self) -> String {
        let times = self.times.map_or("unlimited times".to_owned(), |times| format!("{times} times"));
        let duration = self.duration.as_deref().unwrap_or("no duration");
        let probability = self.probability;
        format!(
            "data that the programs read from maps: the chain, containers, probability {probability} %, {times}, {duration}\n"
        )
    }

    /// What an agent does that cannot be told from a file.
    fn of_agents(&self) -> String {
        let constants = match (self.call_chain.is_empty(), self.has_kprobes) {
            (true, _) => "the active generation, which is 0 here",
            (false, false) => "the active generation and the addresses of functions (site), which are 0 here",
            (false, true) => {
                "the active generation and the addresses (site) and sizes of functions, which are 0 here"
            }
        };
        format!(
            "\nNumbers are those of an agent that has no other experiment. It fills in\n\
             {constants}.\n\
             Beside these programs it attaches two that follow cgroups, the same for all experiments.\n\n"
        )
    }
}

impl Frame {
    fn text(&self) -> String {
        let Self { number, function, funcname, predicate } = self;
        let is = if funcname == function { String::new() } else { format!(" ({funcname})") };
        format!("  function {number}: {function}{is}{}\n", Condition::text(predicate.as_ref()))
    }
}

impl Condition {
    fn of(predicate: Option<&Predicate>, number: u8) -> Option<Self> {
        predicate.map(|predicate| Self { number, text: predicate.text.clone() })
    }

    fn text(condition: Option<&Self>) -> String {
        let Some(Self { number, text }) = condition else { return String::new() };
        // On one line, however it is folded in its document; and nothing that a terminal would obey.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!(", predicate {number}: {}", visible(&text))
    }
}

fn sizes(programs: &[Listing]) -> String {
    let rows = programs
        .iter()
        .map(|program| [program.name.clone(), program.attach.clone(), program.instructions.to_string()]);
    table(["PROGRAM", "ATTACHED TO", "INSTRUCTIONS"], rows)
}
