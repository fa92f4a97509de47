//! `faultline policy inspect`.

use std::path::PathBuf;

use clap::Args;
use faultline_core::review::{Description, Inputs, Moment, Undecided};
use faultline_policies::Abi;
use serde::Serialize;

use super::read_module;
use crate::cli::{
    CliError, Outcome,
    output::{Format, print},
    plan::host,
};

/// Show what a module is and what it says of itself, or why it is refused
///
/// Exit codes: 0 it can be asked; 1 it is refused; 2 usage, or it cannot be read.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline policy inspect modules/cap_limits.wasm
  faultline policy inspect modules/cap_limits.wasm -o json")]
pub(super) struct Inspect {
    /// The module
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What is known of a module.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspected {
    path: String,
    digest: String,
    bytes: usize,
    /// `None`: no kind that is run here.
    abi: Option<Abi>,
    /// What it speaks, once it has been heard.
    protocol: Option<&'static str>,
    #[serde(flatten)]
    description: Option<Description>,
    refused: Option<Undecided>,
}

impl Inspect {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { module: path, output } = self;
        let bytes = read_module(&path)?;
        let host = host()?;
        let module = host.load(&bytes);
        let described = host.describe_loaded(&module);
        let protocol = described.is_ok().then(|| module.abi().map(Abi::protocol)).flatten();
        let (description, refused) = match described {
            Ok(description) => (Some(description), None),
            Err(why) => (None, Some(why)),
        };
        let outcome = if refused.is_none() { Outcome::Fine } else { Outcome::Found };
        let inspected = Inspected {
            path: path.display().to_string(),
            digest: module.digest().to_owned(),
            bytes: bytes.len(),
            abi: module.abi(),
            protocol,
            description,
            refused,
        };
        print(&inspected, output, Inspected::text)?;
        Ok(outcome)
    }
}

impl Inspected {
    fn text(&self) -> String {
        let Self { path, digest, bytes, abi, protocol, description, refused } = self;
        let mut lines = vec![path.clone()];
        let mut line = |name: &str, value: String| lines.push(format!("  {name:<9}{value}"));
        if let Some(Description { name, version, rules, moments, inputs }) = description {
            line("module", format!("{name} {version}"));
            line("rules", rules.join(", "));
            line("asked", moments.iter().map(|moment| when(*moment)).collect::<Vec<_>>().join(", and "));
            line("reads", reads(*inputs));
        }
        line(
            "ABI",
            match (abi, protocol) {
                (Some(abi), Some(protocol)) => format!("{abi}, {protocol}"),
                (Some(abi), None) => abi.to_string(),
                (None, _) => "none that is run here".to_owned(),
            },
        );
        line("size", format!("{bytes} bytes"));
        line("digest", digest.clone());
        if let Some(why) = refused {
            line("refused", why.to_string());
        }
        lines.join("\n") + "\n"
    }
}

const fn when(moment: Moment) -> &'static str {
    match moment {
        Moment::Judge => "about the document alone",
        Moment::Admit => "with the selection and the time",
    }
}

fn reads(inputs: Inputs) -> String {
    let Inputs { raw, source, active } = inputs;
    let more = [
        (raw, "the document as written"),
        (source, "its source and revision"),
        (active, "which runs are active on which pods"),
    ];
    let more = more.into_iter().filter_map(|(read, what)| read.then_some(what));
    std::iter::once("the experiment").chain(more).collect::<Vec<_>>().join(", ")
}
