//! `cargo lab`: see `cargo lab --help`.

fn main() -> std::process::ExitCode {
    faultline_lab::cli::main()
}
