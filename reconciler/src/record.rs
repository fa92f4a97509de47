//! The last plans with what they were made from: what was done can be looked at, and made again with
//! `faultline plan --ledger … --inventory … --now …`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use faultline_core::plan::Plan;

use crate::reconcile::{Inputs, Pass};

/// Plans that are kept. A plan with its inputs is a few megabytes at a thousand experiments.
const KEPT: usize = 20;

/// Writes plans to `plans/<number>/` of a state directory.
#[derive(Debug)]
pub struct Recorder {
    directory: PathBuf,
    next: u64,
    last: Option<Plan>,
}

impl Recorder {
    /// Goes on after the plans that are there.
    ///
    /// # Errors
    /// The directory cannot be made or listed.
    pub fn beneath(state_directory: &Path) -> io::Result<Self> {
        let directory = state_directory.join("plans");
        fs::create_dir_all(&directory)?;
        let next = numbers(&directory)?.last().map_or(1, |last| last + 1);
        Ok(Self { directory, next, last: None })
    }

    /// Records a pass, unless it differs from the one before in nothing but its instant.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record(&mut self, pass: &Pass) -> io::Result<()> {
        if self.last.as_ref().is_some_and(|last| Plan { at: pass.plan.at, ..last.clone() } == pass.plan) {
            return Ok(());
        }
        let aside = self.directory.join("unfinished");
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::create_dir(&aside)?;
        let Inputs { ledger, inventory } = &pass.inputs;
        fs::write(aside.join("plan.json"), pass.plan.to_json())?;
        fs::write(aside.join("ledger.json"), serde_json::to_vec(ledger)?)?;
        if let Some(inventory) = inventory {
            fs::write(aside.join("inventory.json"), serde_json::to_vec(inventory)?)?;
        }
        fs::rename(&aside, self.directory.join(format!("{:08}", self.next)))?;
        self.next += 1;
        self.last = Some(pass.plan.clone());
        self.forget()
    }

    fn forget(&self) -> io::Result<()> {
        let numbers = numbers(&self.directory)?;
        let old = numbers.len().saturating_sub(KEPT);
        numbers[..old]
            .iter()
            .try_for_each(|number| fs::remove_dir_all(self.directory.join(format!("{number:08}"))))
    }
}

/// The numbers of the plans in a directory, ascending.
fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
