//! The tables inside the file, and how they are read.

use std::ops::Bound;

use bytes::Bytes;
use headland_proto::revision::Revision;
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::store::{Entry, Listing};

/// Every key with the revision that last wrote it and its value.
pub(super) const ENTRIES: TableDefinition<'static, &str, (u64, &[u8])> = TableDefinition::new("entries");

/// Numbers about the store as a whole.
pub(super) const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");

/// In `NUMBERS`: the store's revision.
pub(super) const REVISION: &str = "revision";

/// In `NUMBERS`: which layout of tables this file has.
pub(super) const FORMAT: &str = "format";

/// The layout that this program reads and writes.
pub(super) const FORMAT_NOW: u64 = 1;

/// What an empty store is at. Not zero, which is before everything; the same as etcd's.
pub(super) const FIRST_REVISION: Revision = Revision(1);

/// The store's revision.
pub(super) fn revision(database: &Database) -> Result<Revision, redb::Error> {
    let numbers = database.begin_read()?.open_table(NUMBERS)?;
    Ok(Revision(number(&numbers, REVISION)?))
}

/// One of `NUMBERS`, which must be there.
pub(super) fn number(
    numbers: &impl redb::ReadableTable<&'static str, u64>,
    name: &str,
) -> Result<u64, redb::Error> {
    let number = numbers.get(name)?.map(|guard| guard.value());
    number.ok_or_else(|| redb::Error::Corrupted(format!("it has no number called {name}")))
}

/// One key.
pub(super) fn get(database: &Database, key: &str) -> Result<Option<Entry>, redb::Error> {
    let entries = database.begin_read()?.open_table(ENTRIES)?;
    Ok(entries.get(key)?.map(|guard| entry(key, guard.value())))
}

/// The keys that begin with `prefix` and stand after `after`, at most `limit`, in one transaction.
pub(super) fn list(
    database: &Database,
    prefix: &str,
    after: Option<&str>,
    limit: Option<usize>,
) -> Result<Listing, redb::Error> {
    let transaction = database.begin_read()?;
    let revision = Revision(number(&transaction.open_table(NUMBERS)?, REVISION)?);
    let table = transaction.open_table(ENTRIES)?;
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut entries = Vec::new();
    for item in redb::ReadableTable::range::<&str>(&table, (start, Bound::Unbounded))? {
        let (key, value) = item?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if limit.is_some_and(|limit| entries.len() >= limit) {
            return Ok(Listing { entries, revision, more: true });
        }
        entries.push(entry(key.value(), value.value()));
    }
    Ok(Listing { entries, revision, more: false })
}

fn entry(key: &str, (modified, value): (u64, &[u8])) -> Entry {
    Entry { key: key.to_owned(), value: Bytes::copy_from_slice(value), modified: Revision(modified) }
}
