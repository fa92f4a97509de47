//! `cargo verify`: sets up what is missing and runs every test. Continuous integration runs this and nothing else.
#![forbid(unsafe_code)]

mod suites;

use std::{
    env,
    io::{self, Write},
    process::{Command, ExitCode},
    time::Duration,
};

use clap::Parser;
use faultline_lab::{
    Cache, Progress, artifacts, clock,
    packages::{self, Purpose},
};
use suites::{SUITES, Suite, TARGET};

/// Sets up what is missing and runs every test.
///
/// Exit status: 0 when all is well, 1 when a suite failed, 2 when something could not be set up.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  cargo verify\n  cargo verify unit lint\n  cargo verify --list")]
struct Verify {
    /// Suites to run; all of them where none is named.
    suites: Vec<String>,
    /// Print the table of suites, with the minutes each may take, and end.
    #[arg(long)]
    list: bool,
    /// Go on to the next suite when one fails.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let verify = Verify::parse();
    if verify.list {
        return list();
    }
    match verify.chosen() {
        Ok(chosen) => verify.run(&chosen),
        Err(unknown) => {
            say(&format!("there is no suite {unknown:?}; `cargo verify --list` names them"));
            ExitCode::from(2)
        }
    }
}

impl Verify {
    fn chosen(&self) -> Result<Vec<&'static Suite>, String> {
        if self.suites.is_empty() {
            return Ok(SUITES.iter().collect());
        }
        let find = |name: &String| SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| name.clone());
        self.suites.iter().map(find).collect()
    }

    fn run(&self, chosen: &[&Suite]) -> ExitCode {
        let environment = match set_up() {
            Ok(environment) => environment,
            Err(error) => {
                say(&error);
                return ExitCode::from(2);
            }
        };
        let mut rows = Vec::new();
        for suite in chosen {
            say(&format!("── {}: {}", suite.name, suite.shows));
            let (passed, took) = run_suite(suite, &environment);
            rows.push(row(suite, passed, took));
            if !passed && !self.keep_going {
                break;
            }
        }
        say("");
        rows.iter().for_each(|(row, _)| say(row));
        let passed = rows.len() == chosen.len() && rows.iter().all(|(_, passed)| *passed);
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The environment that every command of a suite gets.
struct Environment {
    path: String,
}

/// Installs what a new machine lacks. What can only be had from outside is named when it cannot be had.
fn set_up() -> Result<Environment, String> {
    let cache = Cache::from_env();
    packages::ensure(&Purpose::ALL, &Progress::stderr(&cache)).map_err(|error| error.to_string())?;
    rustup(&["component", "add", "rustfmt", "clippy"], "rustfmt and clippy are needed")?;
    for target in ["wasm32-unknown-unknown", "wasm32-wasip1"] {
        if rustup(&["target", "add", target], "").is_err() {
            say(&format!("no {target} target to be had: modules for it are not rebuilt and compared"));
        }
    }
    let tools = cache.root().join("tools");
    if !tools.join("bin/cargo-deny").exists() {
        say("installing cargo-deny (about five minutes, once)");
        let root = tools.to_string_lossy();
        let install =
            ["install", "cargo-deny", "--locked", "--debug", "--version", "0.20.2", "--root", &root];
        let status = Command::new("cargo").args(install).current_dir(env::temp_dir()).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("cargo-deny cannot be installed: is crates.io within reach?".into());
        }
    }
    let path = format!("{}:{}", tools.join("bin").display(), env::var("PATH").unwrap_or_default());
    Ok(Environment { path })
}

fn rustup(arguments: &[&str], needed_for: &str) -> Result<(), String> {
    match Command::new("rustup").args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{needed_for}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{needed_for}: rustup cannot be run: {error}")),
    }
}

fn run_suite(suite: &Suite, environment: &Environment) -> (bool, Duration) {
    let began = clock::now();
    let passed = suite.commands.iter().all(|command| run_command(command, environment));
    (passed, began.elapsed())
}

fn run_command(command: &str, environment: &Environment) -> bool {
    say(&format!("$ {command}"));
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap_or_default())
        .args(words)
        .current_dir(artifacts::workspace())
        .env("PATH", &environment.path)
        .env("CARGO_BUILD_TARGET", TARGET)
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static")
        .status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            say(&format!("{command}: {error}"));
            false
        }
    }
}

fn row(suite: &Suite, passed: bool, took: Duration) -> (String, bool) {
    let minutes = took.as_secs_f64() / 60.0;
    let over = if minutes > f64::from(suite.budget_min) { ", over its budget" } else { "" };
    let word = if passed { "passed" } else { "FAILED" };
    (format!("{word}  {:<10} {minutes:>5.1} of {:>2} min{over}", suite.name, suite.budget_min), passed)
}

fn list() -> ExitCode {
    let mut out = io::stdout().lock();
    for suite in SUITES {
        if writeln!(out, "{:<10} {:>3} min  {}", suite.name, suite.budget_min, suite.shows).is_err() {
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    // Nobody reading is no reason to stop.
    let _ = writeln!(io::stderr(), "{line}");
}
