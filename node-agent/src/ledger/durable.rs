//! The ledger in a redb file: one transaction and one fsync for each store.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable as _, TableDefinition,
    WriteTransaction,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{BudgetName, Ledger, LedgerError, LedgerStore, errors::of_database};

/// `format`, and whatever else is a number.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
/// One row, [`HELD_ROW`]: the desired set as JSON.
const HELD: TableDefinition<&str, &[u8]> = TableDefinition::new("held");
/// A probe's id, and what is remembered of it as JSON.
const PROBES: TableDefinition<&str, &[u8]> = TableDefinition::new("probes");
/// A budget's name, and the budget as JSON.
const BUDGETS: TableDefinition<&str, &[u8]> = TableDefinition::new("budgets");

const HELD_ROW: &str = "held";
/// Rises when what is in the tables changes its meaning.
const FORMAT: u64 = 2;
/// Name of the file in a state directory.
const FILE: &str = "agent.redb";
/// A ledger is a few megabytes at most; redb would otherwise cache up to a gigabyte.
const CACHE_BYTES: usize = 4 << 20;

/// Keeps the ledger in `agent.redb` of a state directory. Only one process can have it open.
pub struct DurableLedger {
    path: PathBuf,
    database: Database,
    kept: Ledger,
}

impl DurableLedger {
    /// Opens or makes the ledger in `directory` and reads it whole.
    ///
    /// # Errors
    /// It is in use, damaged or of another format, or the machine refuses. Never a new ledger in place of one that
    /// cannot be read.
    pub fn open(directory: &Path) -> Result<(Self, Ledger), LedgerError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| LedgerError::Directory { path: directory.into(), source })?;
        let path = directory.join(FILE);
        if !path.exists() {
            make(directory, &path)?;
        }
        // redb takes an empty file for a new one; here it is the rest of a ledger that was lost.
        if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            return Err(LedgerError::Damaged { path, detail: "it is empty".into() });
        }
        let database = open_file(&path).map_err(|error| of_database(&path, error))?;
        let kept = load(&path, &database)?;
        Ok((Self { path, database, kept: kept.clone() }, kept))
    }

    fn write(&self, ledger: &Ledger) -> Result<(), redb::Error> {
        // Taken apart, so that a field that is not kept does not compile.
        let Ledger { held, probes, budgets } = ledger;
        let mut transaction = self.database.begin_write()?;
        // After a crash the file is then repaired in a moment.
        transaction.set_quick_repair(true);
        if *held != self.kept.held {
            let mut table = transaction.open_table(HELD)?;
            match held {
                Some(held) => drop(table.insert(HELD_ROW, json(held)?.as_slice())?),
                None => drop(table.remove(HELD_ROW)?),
            }
        }
        write_changes(&transaction, PROBES, &self.kept.probes, probes, String::as_str)?;
        write_changes(&transaction, BUDGETS, &self.kept.budgets, budgets, |name| name.0.as_str())?;
        Ok(transaction.commit()?)
    }
}

impl LedgerStore for DurableLedger {
    fn store(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        if *ledger != self.kept {
            self.write(ledger).map_err(|error| of_database(&self.path, error))?;
            self.kept = ledger.clone();
        }
        Ok(())
    }
}

/// Makes a new ledger aside and gives it its name when it is whole: whoever finds the name finds a ledger, though
/// this process is killed, and though another makes one at the same time.
fn make(directory: &Path, path: &Path) -> Result<(), LedgerError> {
    let aside = path.with_extension(format!("redb.new-{}", std::process::id()));
    let failed = |source| LedgerError::Directory { path: directory.into(), source };
    if aside.exists() {
        fs::remove_file(&aside).map_err(failed)?;
    }
    drop(open_file(&aside).map_err(|error| of_database(&aside, error))?);
    match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked.map_err(failed)?,
    }
    fs::remove_file(&aside).map_err(failed)?;
    // A new file is only there for good once its directory is.
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// The database in a file, made where there is none, with its tables.
fn open_file(path: &Path) -> Result<Database, redb::Error> {
    let database =
        Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create(path)?;
    let transaction = database.begin_write()?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        if numbers.get("format")?.is_none() {
            numbers.insert("format", FORMAT)?;
        }
        transaction.open_table(HELD)?;
        transaction.open_table(PROBES)?;
        transaction.open_table(BUDGETS)?;
    }
    transaction.commit()?;
    Ok(database)
}

fn write_changes<K: Ord, V: PartialEq + Serialize>(
    transaction: &WriteTransaction,
    definition: TableDefinition<&str, &[u8]>,
    kept: &BTreeMap<K, V>,
    now: &BTreeMap<K, V>,
    name: impl Fn(&K) -> &str,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(definition)?;
    for key in kept.keys().filter(|key| !now.contains_key(key)) {
        table.remove(name(key))?;
    }
    for (key, value) in now.iter().filter(|(key, value)| kept.get(key) != Some(value)) {
        table.insert(name(key), json(value)?.as_slice())?;
    }
    Ok(())
}

/// Fails for no type of this ledger; the error is kept typed all the same.
fn json(value: &impl Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|error| redb::Error::Io(error.into()))
}

fn load(path: &Path, database: &Database) -> Result<Ledger, LedgerError> {
    let failed = |error: redb::Error| of_database(path, error);
    let transaction = database.begin_read().map_err(|error| failed(error.into()))?;
    let format = || -> Result<_, redb::Error> {
        Ok(transaction.open_table(NUMBERS)?.get("format")?.map(|format| format.value()))
    };
    let found = format().map_err(failed)?.unwrap_or_default();
    if found != FORMAT {
        return Err(LedgerError::Format { path: path.into(), found, known: FORMAT });
    }
    Ok(Ledger {
        held: rows(path, &transaction, HELD)?.into_values().next(),
        probes: rows(path, &transaction, PROBES)?,
        budgets: rows(path, &transaction, BUDGETS)?
            .into_iter()
            .map(|(name, budget)| (BudgetName(name), budget))
            .collect(),
    })
}

fn rows<V: DeserializeOwned>(
    path: &Path,
    transaction: &ReadTransaction,
    definition: TableDefinition<&str, &[u8]>,
) -> Result<BTreeMap<String, V>, LedgerError> {
    let read = || -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let table = transaction.open_table(definition)?;
        let rows =
            table.iter()?.map(|row| row.map(|(key, value)| (key.value().to_owned(), value.value().to_vec())));
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let rows = read().map_err(|error| of_database(path, error))?.into_iter().map(|(key, value)| {
        let value = serde_json::from_slice(&value);
        value.map(|value| (key.clone(), value)).map_err(|error| LedgerError::Damaged {
            path: path.into(),
            detail: format!("row {key:?}: {error}"),
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests;
