//! `faultline-agent`: see [`faultline_node_agent`].

use std::process::ExitCode;

fn main() -> ExitCode {
    faultline_node_agent::cli::main()
}
