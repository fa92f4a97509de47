//! `faultline policy bench`.

use std::path::{Path, PathBuf};

use clap::Args;
use faultline_core::review::{Evaluation, Undecided};
use serde::Serialize;

use super::{
    question::{Question, QuestionArgs},
    read_module, read_text,
    samples::{Quantiles, Samples},
};
use crate::{
    cli::{
        CliError, Outcome,
        output::{Format, print},
        plan::host,
    },
    clock::{Clock as _, SystemClock},
};

/// What is asked about where no experiment is given.
const EXPERIMENT: (&str, &str) =
    ("mount-enomem.yaml", include_str!("../../../../examples/experiments/mount-enomem.yaml"));

/// Measure what a module costs: evaluations per second, latency, fuel, memory
///
/// The module is loaded and asked once before. Fuel and memory are the same on every machine; the rest is not, and
/// depends on what else the machine does. Of several experiments in one file the first is asked about.
///
/// Exit codes: 0 measured; 1 the settings are refused, or a file was read and found wrong; 2 usage, IO, or the module
/// cannot decide.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline policy bench modules/cap_limits.wasm --settings caps.yaml
  faultline policy bench modules/cap_limits.wasm --settings caps.yaml --input mount.yaml --evaluations 100000 -o json")]
pub(super) struct Bench {
    /// The module
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// File with an experiment; `-` for standard input; otherwise one of slab faults on the way through mount(2)
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    question: QuestionArgs,
    /// How often it is asked, a million times at most
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    evaluations: u32,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    module: String,
    evaluations: usize,
    per_second: f64,
    latency: Quantiles,
    /// To compile the module, or to take it from the cache of compiled modules, and to ask it once.
    first_ms: f64,
    fuel: u64,
    /// The guest's linear memory in the end; it is gone after each evaluation.
    memory_bytes: usize,
    /// Compiled code, for as long as the module is loaded.
    compiled_bytes: usize,
}

impl Bench {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { module: path, input, question, evaluations, output } = self;
        let bytes = read_module(&path)?;
        let (input, text) = match input {
            Some(input) => read_text(&input)?,
            None => (Path::new(EXPERIMENT.0).to_owned(), EXPERIMENT.1.into()),
        };
        let question = match Question::read(&question, &input, &text)? {
            Ok(question) => question,
            Err(wrong) => return wrong.tell(output),
        };
        match measure(&bytes, &question, evaluations)? {
            Ok(measured) => {
                print(&measured, output, Measured::text)?;
                Ok(Outcome::Fine)
            }
            Err(why) => {
                let failed = Failed { undecided: &why };
                print(&failed, output, |_| format!("{}: {why}\n", path.display()))?;
                let refused = matches!(why, Undecided::InvalidSettings(_));
                Ok(if refused { Outcome::Found } else { Outcome::Undecided })
            }
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    undecided: &'a Undecided,
}

fn measure(
    bytes: &[u8],
    question: &Question,
    evaluations: u32,
) -> Result<Result<Measured, Undecided>, CliError> {
    let (host, clock) = (host()?, SystemClock::new());
    let review = question.reviews.first().ok_or(CliError::NoExperiment(None))?;
    let began = clock.monotonic();
    let module = host.load(bytes);
    let (first, memory_bytes) = host.evaluate_measured(&module, &question.settings, review);
    let first_took = clock.monotonic() - began;
    let Evaluation { outcome, module_digest, fuel } = first;
    if let Err(why) = outcome {
        return Ok(Err(why));
    }
    let samples = (0..evaluations).map(|_| {
        let began = clock.monotonic();
        drop(host.evaluate_loaded(&module, &question.settings, review));
        clock.monotonic() - began
    });
    let samples = Samples::new(samples.collect());
    Ok(Ok(Measured {
        module: module_digest,
        evaluations: samples.len(),
        per_second: samples.per_second(),
        latency: samples.quantiles(),
        first_ms: first_took.as_secs_f64() * 1_000.0,
        fuel,
        memory_bytes,
        compiled_bytes: module.compiled_bytes().unwrap_or_default(),
    }))
}

impl Measured {
    fn text(&self) -> String {
        let Self { module, evaluations, per_second, latency, first_ms, fuel, memory_bytes, compiled_bytes } =
            self;
        let Quantiles { p50_us, p90_us, p99_us, max_us } = latency;
        format!(
            "{module}\n\
             {evaluations} evaluations, {per_second:.0} per second\n\
             latency   p50 {p50_us:.1} µs, p90 {p90_us:.1} µs, p99 {p99_us:.1} µs, longest {max_us:.1} µs\n\
             first     {first_ms:.1} ms, with loading\n\
             fuel      {fuel}\n\
             memory    {} KiB for an evaluation, {} KiB for the code\n",
            memory_bytes >> 10,
            compiled_bytes >> 10
        )
    }
}
