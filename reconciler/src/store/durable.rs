//! The ledger in a redb file: one transaction and one fsync per commit.

use std::{collections::BTreeMap, fs, path::Path};

use faultline_core::ledger::Ledger;
use faultline_wire::limits::MAX_NUMBER;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase, ReadableTable as _,
    StorageBackend as _, TableDefinition, WriteTransaction, backends::InMemoryBackend,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{LedgerStore, StoreError, errors::LedgerFile, lock::Lock};

/// Numbers about the file: `format` and `epoch`.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
/// A run's key as text, and the run as JSON.
const RUNS: TableDefinition<&str, &[u8]> = TableDefinition::new("runs");
/// A node's name, and what it was told as JSON.
const NODES: TableDefinition<&str, &[u8]> = TableDefinition::new("nodes");
/// An experiment, and its highest activation as JSON.
const ACTIVATIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("activations");

/// Rises when what is in the tables changes its meaning.
const FORMAT: u64 = 2;
/// Name of the file in a state directory.
const FILE: &str = "ledger.redb";
/// A ledger is a few megabytes; redb would otherwise cache up to a gigabyte.
const CACHE_BYTES: usize = 16 << 20;

/// Keeps the ledger in `ledger.redb` of a state directory.
pub struct DurableStore {
    file: LedgerFile,
    // Declared before the lock, so that it is closed before the lock is given up.
    database: Database,
    ledger: Ledger,
    _lock: Lock,
}

impl DurableStore {
    /// Opens or makes the ledger in `directory`, makes sure that it is whole, and raises its epoch.
    ///
    /// # Errors
    /// Another reconciler has it, it is damaged, it has another format or no epoch left, or the machine refuses.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let file = LedgerFile::new(&directory.join(FILE));
        fs::create_dir_all(directory).map_err(|error| file.io(&error))?;
        let lock = Lock::take(directory)?;
        let database = builder()
            .set_check_integrity_on_open(true)
            .create(directory.join(FILE))
            .map_err(|error| file.error(error.into()))?;
        settle_format(&file, &database)?;
        let ledger = load(&file, &database)?;
        let mut store = Self { file, database, ledger, _lock: lock };
        let epoch = next_epoch(&store.file, store.ledger.epoch)?;
        let raised = Ledger { epoch, ..store.ledger.clone() };
        store.commit(&raised)?;
        Ok(store)
    }

    fn write(&self, ledger: &Ledger) -> Result<(), redb::Error> {
        // Taken apart, so that a field that is not kept does not compile.
        let Ledger { epoch, runs, nodes, activations } = ledger;
        let kept = &self.ledger;
        let mut transaction = self.database.begin_write()?;
        // After a crash the file is then repaired in a moment.
        transaction.set_quick_repair(true);
        transaction.open_table(NUMBERS)?.insert("epoch", epoch)?;
        write_changes(&transaction, RUNS, &kept.runs, runs)?;
        write_changes(&transaction, NODES, &kept.nodes, nodes)?;
        write_changes(&transaction, ACTIVATIONS, &kept.activations, activations)?;
        Ok(transaction.commit()?)
    }
}

impl LedgerStore for DurableStore {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn commit(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        if *ledger == self.ledger {
            return Ok(());
        }
        self.write(ledger).map_err(|error| self.file.error(error))?;
        self.ledger.clone_from(ledger);
        Ok(())
    }
}

/// The ledger of a state directory as it is, without raising its epoch; a reconciler may be using it.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read_only(directory: &Path) -> Result<Ledger, StoreError> {
    let (path, file) = (directory.join(FILE), LedgerFile::new(&directory.join(FILE)));
    if !path.exists() {
        return Err(StoreError::NotThere { path: path.display().to_string() });
    }
    match builder().open_read_only(&path) {
        Ok(database) => load_checked(&file, &database),
        // Left behind by a crash. What is on the disk is the next writer's to repair: a copy is repaired here.
        Err(DatabaseError::RepairAborted) => {
            load_checked(&file, &repaired_copy(&path).map_err(|error| file.error(error))?)
        }
        Err(error) => Err(file.error(error.into())),
    }
}

fn repaired_copy(path: &Path) -> Result<Database, redb::Error> {
    let (bytes, memory) = (fs::read(path)?, InMemoryBackend::new());
    memory.set_len(bytes.len() as u64)?;
    memory.write(0, &bytes)?;
    Ok(Builder::new().set_check_integrity_on_open(true).create_with_backend(memory)?)
}

fn load_checked(file: &LedgerFile, database: &impl ReadableDatabase) -> Result<Ledger, StoreError> {
    let found = number(database, "format").map_err(|error| file.error(error))?;
    check_format(file, found.unwrap_or_default())?;
    load(file, database)
}

/// One process writes, and `plan` may read meanwhile.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter).set_cache_size(CACHE_BYTES);
    builder
}

/// Writes the format into a new file, and refuses a file of another one.
fn settle_format(file: &LedgerFile, database: &Database) -> Result<(), StoreError> {
    let found = make_tables(database).map_err(|error| file.error(error))?;
    check_format(file, found.unwrap_or(FORMAT))
}

/// Makes what a new file lacks: a table cannot be read before it was made. Returns the format that was there.
fn make_tables(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_write()?;
    let found = {
        let mut numbers = transaction.open_table(NUMBERS)?;
        let found = numbers.get("format")?.map(|value| value.value());
        if found.is_none() {
            numbers.insert("format", FORMAT)?;
        }
        found
    };
    for table in [RUNS, NODES, ACTIVATIONS] {
        transaction.open_table(table)?;
    }
    transaction.commit()?;
    Ok(found)
}

fn check_format(file: &LedgerFile, found: u64) -> Result<(), StoreError> {
    if found == FORMAT { Ok(()) } else { Err(file.format(found, FORMAT)) }
}

/// The epoch of a reconciler that goes on from a ledger.
fn next_epoch(file: &LedgerFile, epoch: u64) -> Result<u64, StoreError> {
    epoch.checked_add(1).filter(|next| *next <= MAX_NUMBER).ok_or_else(|| file.last_epoch(epoch))
}

fn load(file: &LedgerFile, database: &impl ReadableDatabase) -> Result<Ledger, StoreError> {
    let epoch = number(database, "epoch").map_err(|error| file.error(error))?.unwrap_or_default();
    let runs = read_map(file, database, RUNS)?
        .into_iter()
        .map(|(key, run)| Ok((key.parse().map_err(|error| file.damaged(&error))?, run)))
        .collect::<Result<_, StoreError>>()?;
    let (nodes, activations) = (read_map(file, database, NODES)?, read_map(file, database, ACTIVATIONS)?);
    Ok(Ledger { epoch, runs, nodes, activations })
}

fn number(database: &impl ReadableDatabase, name: &str) -> Result<Option<u64>, redb::Error> {
    let value = database.begin_read()?.open_table(NUMBERS)?.get(name)?.map(|value| value.value());
    Ok(value)
}

type Bytes = TableDefinition<'static, &'static str, &'static [u8]>;

fn read_map<V: DeserializeOwned>(
    file: &LedgerFile,
    database: &impl ReadableDatabase,
    table: Bytes,
) -> Result<BTreeMap<String, V>, StoreError> {
    read_bytes(database, table)
        .map_err(|error| file.error(error))?
        .into_iter()
        .map(|(key, json)| match serde_json::from_slice(&json) {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(file.damaged(&format_args!("{key}: {error}"))),
        })
        .collect()
}

fn read_bytes(
    database: &impl ReadableDatabase,
    table: Bytes,
) -> Result<BTreeMap<String, Vec<u8>>, redb::Error> {
    let table = database.begin_read()?.open_table(table)?;
    let mut map = BTreeMap::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        map.insert(key.value().to_owned(), value.value().to_vec());
    }
    Ok(map)
}

/// Inserts what is new or different in `to`, and removes what is only in `from`.
fn write_changes<K: Ord + ToString, V: PartialEq + Serialize>(
    transaction: &WriteTransaction,
    table: Bytes,
    from: &BTreeMap<K, V>,
    to: &BTreeMap<K, V>,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(table)?;
    for gone in from.keys().filter(|key| !to.contains_key(*key)) {
        table.remove(gone.to_string().as_str())?;
    }
    for (key, value) in to.iter().filter(|(key, value)| from.get(*key) != Some(*value)) {
        let json = serde_json::to_vec(value).map_err(|error| redb::Error::Io(error.into()))?;
        table.insert(key.to_string().as_str(), json.as_slice())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
