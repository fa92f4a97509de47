//! What the engine costs, counted in instructions: `cargo lab performance` runs this on each of the lab's kernels and
//! writes what it prints into `docs/performance.md`. Parts may be named as arguments; `bcc`, which has the same work done
//! by bcc's `inject`, has to be, and wants that on the first disk.
//!
//! A nanosecond of the guest's clock is one instruction there, and of the processor time that the kernel accounts as
//! well. Only figures of one boot compare.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that fails is none, helpers included"
)]

mod arming;
mod bcc;
mod bystander;
mod ground;
mod table;
mod target;
mod verified;
mod worker;

use ground::Ground;

/// Where the lab says that it is one.
const LAB: &str = "FAULTLINE_LAB";

/// Prints tables.
type Measure = fn(&Ground);

fn main() {
    if worker::is_one() {
        return worker::follow_orders();
    }
    let Some(kernel) = std::env::var_os(LAB) else {
        eprintln!("SKIPPED: counts instructions, which takes the lab: cargo lab performance");
        return;
    };
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("{}, of the lab's options for {}; a {build} build.\n", ground::release(), kernel.display());
    let ground = Ground::prepare();
    let parts: [(&str, Measure); 5] = [
        ("bystander", bystander::measure),
        ("target", target::measure),
        ("arming", arming::measure),
        ("verified", verified::list),
        ("bcc", bcc::compare),
    ];
    for (name, measure) in parts {
        let named = asked.iter().any(|asked| asked == name);
        if named || asked.is_empty() && name != "bcc" {
            measure(&ground);
        }
    }
}
