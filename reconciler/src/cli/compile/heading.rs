//! What stands above the programs of an experiment.

use std::fmt::Write as _;

use faultline_api::{Experiment, Frame, Predicate};
use faultline_ebpf::{asm::Program, layout::probe::Step};

use super::numbers::Numbers;
use crate::cli::{kernel::Chain, table::table};

/// Which experiment, what it makes fail and where, what of it is not in the programs, and how large those are.
pub(super) fn heading(
    experiment: &Experiment,
    place: &str,
    chain: &Chain,
    numbers: &Numbers<'_>,
    programs: &[Program],
) -> String {
    let target = chain.target.target;
    let (function, answer) = (target.function(), target.failure());
    let mut text = format!("experiment {}, {place}\n\n", experiment.id);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "fault: {function} answers {answer}");
    text += "call chain, outermost first:\n";
    text += &way(experiment, chain, numbers);
    text += &in_maps(experiment);
    text += &of_agents(chain);
    text += &sizes(programs);
    text.lines().map(|line| format!("; {line}").trim_end().to_owned() + "\n").collect()
}

/// The frames, as the numbers that the programs compare.
fn way(experiment: &Experiment, chain: &Chain, numbers: &Numbers<'_>) -> String {
    let call_chain = &experiment.call_chain;
    let frames = call_chain.frames.iter().zip(&chain.frames).map(|(Frame { function, predicate }, frame)| {
        let Step { function: number, predicate: nth } = numbers.step(frame, predicate.as_ref());
        let is = if *function == frame.symbol.to_string() { String::new() } else { format!(" ({function})") };
        let condition = condition(predicate.as_ref(), nth);
        format!("  function {number}: {}{is}{condition}\n", frame.symbol)
    });
    let target = condition(call_chain.target.as_ref(), 1);
    frames.chain([format!("  target: {}{target}\n", chain.target.target.function())]).collect()
}

fn condition(predicate: Option<&Predicate>, number: u8) -> String {
    let Some(Predicate { text, .. }) = predicate else { return String::new() };
    // On one line, however it is folded in its document; and nothing that a terminal would obey.
    let text = text.replace(char::is_control, " ");
    format!(", predicate {number}: {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn in_maps(experiment: &Experiment) -> String {
    let times = experiment.times.map_or("unlimited times".to_owned(), |times| format!("{times} times"));
    let duration = experiment.duration.map_or("no duration".to_owned(), |duration| duration.to_string());
    let probability = experiment.probability.get();
    format!(
        "data that the programs read from maps: the chain, containers, probability {probability} %, {times}, {duration}\n"
    )
}

/// What an agent does that cannot be told from a file.
fn of_agents(chain: &Chain) -> String {
    let constants = match chain.frames.as_slice() {
        [] => "the active generation, which is 0 here",
        _ => "the active generation and the addresses of functions (site), which are 0 here",
    };
    format!(
        "\nNumbers are those of an agent that has no other experiment. It fills in\n\
         {constants}.\n\
         Beside these programs it attaches two that follow cgroups, the same for all experiments.\n\n"
    )
}

fn sizes(programs: &[Program]) -> String {
    let rows = programs
        .iter()
        .map(|program| [program.name.clone(), program.attach.to_string(), program.len().to_string()]);
    table(["PROGRAM", "ATTACHED TO", "INSTRUCTIONS"], rows)
}
