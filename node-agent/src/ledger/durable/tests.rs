use std::fs;

use faultline_core::{
    desired::DesiredSet,
    ledger::{Activation, Generation, RunKey},
};
use tempfile::TempDir;

use super::{
    super::{Budget, Held},
    *,
};

fn ledger(counter: u64) -> Ledger {
    let generation = Generation { epoch: 3, counter };
    let held = Held { set: DesiredSet { generation, probes: vec![] }, content: "sha256:00".into() };
    let experiment = "default/a#1".parse::<RunKey>().unwrap().experiment;
    let run = RunKey { experiment, activation: Activation(counter) };
    let budget = Budget { allowed: Some(7), seen: counter, granted: true, ..Budget::new("boot") };
    let budgets = [(BudgetName::new(&run, 0, "main"), budget)].into();
    Ledger { held: Some(held), budgets, ..Ledger::default() }
}

fn path(directory: &TempDir) -> PathBuf {
    directory.path().join(FILE)
}

fn written(counter: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, empty) = DurableLedger::open(directory.path()).unwrap();
    assert_eq!(empty, Ledger::default());
    store.store(&ledger(counter)).unwrap();
    directory
}

#[test]
fn what_was_stored_is_there_after_reopening_and_what_was_dropped_is_not() {
    let directory = written(1);
    let (mut store, found) = DurableLedger::open(directory.path()).unwrap();
    assert_eq!(found, ledger(1));
    store.store(&ledger(2)).unwrap();
    drop(store);
    assert_eq!(DurableLedger::open(directory.path()).unwrap().1, ledger(2));
}

#[test]
fn two_agents_cannot_share_a_state_directory() {
    let directory = tempfile::tempdir().unwrap();
    let held = DurableLedger::open(directory.path()).unwrap();
    assert!(matches!(DurableLedger::open(directory.path()), Err(LedgerError::InUse(_))));
    drop(held);
    DurableLedger::open(directory.path()).unwrap();
}

#[test]
fn a_first_start_that_was_cut_short_left_nothing_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let aside = path(&directory).with_extension(format!("redb.new-{}", std::process::id()));
    fs::write(&aside, b"half of it").unwrap();
    DurableLedger::open(directory.path()).unwrap();
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [FILE]);
}

#[test]
fn a_damaged_file_is_refused_with_the_way_out_and_left_as_it_is() {
    let sound = fs::read(path(&written(1))).unwrap();
    let half = sound[..sound.len() / 2].to_vec();
    let mut flipped = sound.clone();
    // Every page but the first, so that whatever holds the rows is hit.
    for byte in flipped.iter_mut().skip(4096) {
        *byte ^= 0x55;
    }
    for (what, bytes) in [
        ("empty", vec![]),
        ("garbage", vec![7; 10_000]),
        ("torn", half),
        ("flipped", flipped),
        ("short", sound[..100].to_vec()),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(path(&directory), &bytes).unwrap();
        match DurableLedger::open(directory.path()) {
            Err(error @ LedgerError::Damaged { .. }) => {
                assert!(error.to_string().contains("move the file away"), "{what}: {error}");
            }
            Err(error) => panic!("{what}: {error:?}"),
            Ok((_, found)) => panic!("{what}: opened with {found:?}"),
        }
        assert_eq!(fs::read(path(&directory)).unwrap(), bytes, "{what}");
    }
}

#[test]
fn a_row_that_cannot_be_read_is_damage() {
    let directory = written(1);
    let database = Database::open(path(&directory)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(BUDGETS).unwrap().insert("x", b"{".as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = DurableLedger::open(directory.path()).map(drop).unwrap_err();
    assert!(matches!(&error, LedgerError::Damaged { detail, .. } if detail.contains("row \"x\"")), "{error}");
}

#[test]
fn another_format_is_refused_by_its_number() {
    let directory = written(1);
    let database = Database::open(path(&directory)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(NUMBERS).unwrap().insert("format", 9).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = DurableLedger::open(directory.path()).map(drop).unwrap_err();
    assert!(matches!(error, LedgerError::Format { found: 9, known: FORMAT, .. }), "{error}");
}
