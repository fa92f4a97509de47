//! `faultline policy run`.

use std::path::PathBuf;

use clap::Args;
use faultline_core::review::{Description, Moment, Review};
use faultline_policies::{
    Host, Module,
    cases::{Expected, Verdict},
};
use serde::Serialize;

use super::{
    question::{Question, QuestionArgs},
    read_module, read_text,
};
use crate::cli::{
    CliError, Outcome,
    output::{Format, print},
    plan::host,
};

/// Ask a module about experiments, as the reconciler would
///
/// With -o yaml the answer is written as a case expects it.
///
/// Exit codes: 0 it allows or tightens; 1 it denies, it refuses the settings, or a file was read and found wrong; 2
/// usage, IO, or it cannot decide or is never asked such a question.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline policy run modules/cap_limits.wasm --settings caps.yaml --input mount.yaml
  faultline policy run modules/blast_radius.wasm --settings blast.yaml --input mount.yaml --admission targets.yaml
  echo 'times: { max: 100 }' | faultline policy run modules/cap_limits.wasm --settings - --input mount.yaml -o yaml")]
pub(super) struct Run {
    /// The module
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// File with experiments; `-` for standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    #[command(flatten)]
    question: QuestionArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What a module says of each experiment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answers {
    module: String,
    answers: Vec<Answer>,
}

/// What it says of one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    experiment: String,
    /// In the form that a case takes; `None`: it is not asked.
    expect: Option<serde_json::Value>,
    fuel: u64,
    memory_bytes: usize,
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    verdict: Option<Verdict>,
}

impl Run {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { module, input, question, output } = self;
        let bytes = read_module(&module)?;
        let (input, text) = read_text(&input)?;
        let question = match Question::read(&question, &input, &text)? {
            Ok(question) => question,
            Err(wrong) => return wrong.tell(output),
        };
        let host = host()?;
        let module = host.load(&bytes);
        let answers = answers(&host, &module, &question);
        print(&answers, output, Answers::text)?;
        Ok(answers.outcome())
    }
}

fn answers(host: &Host, module: &Module, question: &Question) -> Answers {
    let moment = question.moment();
    let never = host.describe_loaded(module).ok().filter(|own| !own.moments.contains(&moment));
    let ask = |review: &Review| {
        let experiment = format!("{}/{}", review.experiment.id.namespace, review.experiment.id.name);
        if let Some(own) = &never {
            let lines = vec![unasked(own, moment)];
            return Answer { experiment, expect: None, fuel: 0, memory_bytes: 0, lines, verdict: None };
        }
        let (evaluation, memory_bytes) = host.evaluate_measured(module, &question.settings, review);
        let came = Expected::of(evaluation.outcome);
        Answer {
            experiment,
            expect: Some(came.to_json()),
            fuel: evaluation.fuel,
            memory_bytes,
            lines: came.lines(),
            verdict: Some(came.verdict()),
        }
    };
    Answers { module: module.digest().to_owned(), answers: question.reviews.iter().map(ask).collect() }
}

impl Answers {
    fn text(&self) -> String {
        let answer = |answer: &Answer| {
            let lines: String = answer.lines.iter().map(|line| format!("  {line}\n")).collect();
            format!(
                "{}\n{lines}  fuel: {}, memory: {} KiB\n",
                answer.experiment,
                answer.fuel,
                answer.memory_bytes >> 10
            )
        };
        self.answers.iter().map(answer).collect::<Vec<_>>().join("\n")
    }

    /// The worst of all answers.
    fn outcome(&self) -> Outcome {
        let came =
            |wanted: &[Option<Verdict>]| self.answers.iter().any(|answer| wanted.contains(&answer.verdict));
        if came(&[Some(Verdict::Deny), Some(Verdict::InvalidSettings)]) {
            Outcome::Found
        } else if came(&[Some(Verdict::Undecided), None]) {
            Outcome::Undecided
        } else {
            Outcome::Fine
        }
    }
}

/// Why the question would never be put.
fn unasked(own: &Description, moment: Moment) -> String {
    let name = &own.name;
    match moment {
        Moment::Judge => {
            format!("not asked: {name} wants to be asked with the selection, so give --admission")
        }
        Moment::Admit => format!("not asked: {name} is asked about the document alone, without --admission"),
    }
}
