//! `faultline`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    faultline_reconciler::cli::main()
}
