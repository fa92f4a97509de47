//! Every target over the inputs that are kept, and over some that are made of them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use faultline_fuzz::{
    TARGETS, Target,
    generate::{Dice, changed},
    kernel,
};

fn seeds(target: Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs a target, and says which input it was where it panics.
fn attempt(target: Target, input: &[u8]) {
    if let Err(why) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("{} with the input {:?}", target.name, input.escape_ascii().to_string());
        resume_unwind(why);
    }
}

/// The kept inputs, and `more` made of them.
fn holds(name: &str, more: usize) {
    let target = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    // A longer run than the one that everybody waits for.
    let times: usize = std::env::var("FAULTLINE_FUZZ_TIMES").map_or(1, |times| times.parse().unwrap());
    let seeds = seeds(target);
    assert!(seeds.len() > 1);
    for seed in &seeds {
        attempt(target, seed);
    }
    let mut dice = Dice(u64::try_from(times).unwrap());
    for _ in 0..more * times {
        attempt(target, &changed(&seeds, target.words, &mut dice));
    }
}

#[test]
fn whatever_a_predicate_says_it_is_refused_with_a_place_or_means_the_same_to_the_machine() {
    holds("predicate_text", 3000);
}

#[test]
fn whatever_is_damaged_in_a_kernels_types_is_an_error_at_most() {
    holds("btf_bytes", 3000);
}

#[test]
fn whatever_an_experiment_asks_for_its_programs_are_programs() {
    holds("spec_to_instructions", 800);
}

#[test]
fn whatever_a_file_holds_it_is_decoded_and_what_is_wrong_with_it_shown() {
    holds("yaml_documents", 500);
}

/// `UPDATE_SEEDS=1` writes them anew.
#[test]
fn the_kept_types_are_those_of_the_imagined_kernel() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/btf_bytes/kernel.btf");
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        fs::write(&path, kernel::types()).unwrap();
    }
    assert!(fs::read(&path).unwrap() == kernel::types(), "out of date: set UPDATE_SEEDS");
}
