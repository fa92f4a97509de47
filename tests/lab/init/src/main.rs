//! The lab's init: sets the machine up, then starts what the host asks for until it says stop.
//!
//! When it fails it exits, and the kernel's panic about that ends the machine with the reason on
//! the serial console.
#![forbid(unsafe_code)]

mod control;
mod processes;
mod setup;

fn main() {
    if let Err(error) = setup::machine().and_then(|()| control::serve()) {
        println!("init: {error}");
    }
    rustix::fs::sync();
    // Without ACPI power-off support in the kernel only a restart ends QEMU, which runs with -no-reboot.
    let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
}
