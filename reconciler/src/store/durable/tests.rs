use std::{fs, path::PathBuf};

use faultline_core::ledger::{Generation, Told};
use tempfile::TempDir;

use super::*;

fn ledger_with(nodes: &[(&str, u64)]) -> Ledger {
    let told = |counter| Told {
        generation: Generation { epoch: 1, counter },
        content: "ab".repeat(32),
        heard: true,
    };
    let nodes = nodes.iter().map(|(name, counter)| ((*name).to_owned(), told(*counter))).collect();
    Ledger { nodes, ..Ledger::default() }
}

fn file_of(directory: &TempDir) -> PathBuf {
    directory.path().join(FILE)
}

#[test]
fn what_was_committed_is_there_after_reopening_and_the_epoch_has_risen() {
    let directory = TempDir::new().unwrap();
    let mut store = DurableStore::open(directory.path()).unwrap();
    assert_eq!(store.ledger().epoch, 1);
    store.commit(&Ledger { epoch: 7, ..ledger_with(&[("a", 1), ("b", 2)]) }).unwrap();
    store.commit(&Ledger { epoch: 7, ..ledger_with(&[("b", 3), ("c", 1)]) }).unwrap();
    drop(store);
    let store = DurableStore::open(directory.path()).unwrap();
    assert_eq!(*store.ledger(), Ledger { epoch: 8, ..ledger_with(&[("b", 3), ("c", 1)]) });
}

#[test]
fn the_raised_epoch_is_kept_before_anything_is_committed() {
    let directory = TempDir::new().unwrap();
    for epoch in 1..4 {
        assert_eq!(DurableStore::open(directory.path()).unwrap().ledger().epoch, epoch);
    }
}

#[test]
fn a_ledger_without_an_epoch_left_is_refused_and_left_as_it_is() {
    for epoch in [MAX_NUMBER, u64::MAX] {
        let directory = TempDir::new().unwrap();
        let mut store = DurableStore::open(directory.path()).unwrap();
        let ledger = Ledger { epoch, ..ledger_with(&[("a", 1)]) };
        store.commit(&ledger).unwrap();
        drop(store);
        let error = DurableStore::open(directory.path()).err().unwrap();
        assert!(matches!(error, StoreError::LastEpoch { epoch: found, .. } if found == epoch), "{error}");
        assert_eq!(read_only(directory.path()).unwrap(), ledger);
    }
}

#[test]
fn a_copy_taken_at_any_moment_without_closing_opens_with_the_last_commit() {
    let (directory, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut store = DurableStore::open(directory.path()).unwrap();
    for counter in 1..20 {
        let ledger = Ledger { epoch: 1, ..ledger_with(&[("a", counter)]) };
        store.commit(&ledger).unwrap();
        // What a crash leaves behind: the file as it is, never closed.
        fs::copy(file_of(&directory), file_of(&copy)).unwrap();
        assert_eq!(read_only(copy.path()).unwrap(), ledger);
        let reopened = DurableStore::open(copy.path()).unwrap();
        assert_eq!(reopened.ledger().nodes, ledger.nodes);
    }
}

#[test]
fn a_second_opener_is_refused_and_told_who_has_it() {
    let directory = TempDir::new().unwrap();
    let _first = DurableStore::open(directory.path()).unwrap();
    let error = DurableStore::open(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[test]
fn a_reader_sees_the_ledger_of_a_running_writer_and_raises_nothing() {
    let directory = TempDir::new().unwrap();
    let mut store = DurableStore::open(directory.path()).unwrap();
    let ledger = Ledger { epoch: 1, ..ledger_with(&[("a", 5)]) };
    store.commit(&ledger).unwrap();
    assert_eq!(read_only(directory.path()).unwrap(), ledger);
    assert_eq!(read_only(directory.path()).unwrap(), ledger);
}

#[test]
fn a_missing_ledger_is_not_an_empty_one() {
    let directory = TempDir::new().unwrap();
    assert!(matches!(read_only(directory.path()), Err(StoreError::NotThere { .. })));
    assert!(!file_of(&directory).exists());
}

#[test]
fn a_file_of_another_format_is_refused_with_both_numbers() {
    let directory = TempDir::new().unwrap();
    drop(DurableStore::open(directory.path()).unwrap());
    {
        let database = Database::open(file_of(&directory)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(NUMBERS).unwrap().insert("format", FORMAT + 1).unwrap();
        transaction.commit().unwrap();
    }
    for error in
        [DurableStore::open(directory.path()).err().unwrap(), read_only(directory.path()).err().unwrap()]
    {
        assert!(matches!(error, StoreError::Format { found: 3, known: 2, .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_no_ledger_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    fs::write(file_of(&directory), "runs: none\n".repeat(1000)).unwrap();
    let error = DurableStore::open(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(fs::read_to_string(file_of(&directory)).unwrap(), "runs: none\n".repeat(1000));
}

#[test]
fn a_byte_that_turned_in_a_committed_record_is_noticed() {
    let directory = TempDir::new().unwrap();
    let mut store = DurableStore::open(directory.path()).unwrap();
    store.commit(&Ledger { epoch: 1, ..ledger_with(&[("node-that-was-told", 5)]) }).unwrap();
    drop(store);
    let mut bytes = fs::read(file_of(&directory)).unwrap();
    let name = b"node-that-was-told";
    let places: Vec<usize> =
        (0..bytes.len() - name.len()).filter(|&at| bytes[at..].starts_with(name)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] = b'N';
    }
    fs::write(file_of(&directory), bytes).unwrap();
    let error = DurableStore::open(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}
