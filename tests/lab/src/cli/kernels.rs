//! `lab build`, `lab list`, `lab clean`.

use std::time::Duration;

use clap::Args;

use super::{CliError, Context};
use crate::clock::spoken;
use crate::kernel::{self, KernelId};

#[derive(Debug, Args)]
pub(super) struct Build {
    /// 6.1, 6.12, nofail or stock; more than one is allowed
    #[arg(long, short, value_name = "KERNEL", conflicts_with = "all", required_unless_present = "all")]
    kernel: Vec<KernelId>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Even though the cache holds one: from the newest source there is
    #[arg(long)]
    refresh: bool,
}

#[derive(Debug, Args)]
pub(super) struct Clean {
    /// Only this kernel
    #[arg(long, short, value_name = "KERNEL")]
    kernel: Option<KernelId>,
    /// Only those that this checkout would not use
    #[arg(long)]
    outdated: bool,
}

impl Build {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let all = KernelId::BUILT.into_iter().chain([KernelId::Stock]);
        for id in if self.all { all.collect() } else { self.kernel } {
            let get = if self.refresh { kernel::refresh } else { kernel::kernel };
            println!("{id}: {}", get(&id, &context.progress)?.image.display());
        }
        Ok(0)
    }
}

impl Clean {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let named = self.kernel.map(|id| id.to_string());
        for entry in kernel::cached(&context.cache)? {
            let chosen = named.as_deref().is_none_or(|name| entry.kernel() == name);
            if chosen && !(self.outdated && entry.is_current()) {
                kernel::remove(&entry)?;
                println!("removed {}", entry.folder.display());
            }
        }
        Ok(0)
    }
}

pub(super) fn list(context: &Context) -> Result<u8, CliError> {
    let entries = kernel::cached(&context.cache)?;
    println!("{:<8} {:<18} {:>6}  {:<12} {:<9} FOLDER", "KERNEL", "RELEASE", "MIB", "TOOK", "STATE");
    for entry in &entries {
        let mib = entry.size() / (1024 * 1024);
        let took = spoken(Duration::from_secs(entry.seconds()));
        let state = if entry.is_current() { "in use" } else { "outdated" };
        println!(
            "{:<8} {:<18} {mib:>6}  {took:<12} {state:<9} {}",
            entry.kernel(),
            entry.release(),
            entry.folder.display()
        );
    }
    for id in KernelId::BUILT.into_iter().chain([KernelId::Stock]) {
        if !entries.iter().any(|entry| entry.kernel() == id.to_string() && entry.is_current()) {
            println!("{:<8} not in the cache: `cargo lab build --kernel {id}`", id.to_string());
        }
    }
    Ok(0)
}
