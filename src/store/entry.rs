//! Entries by their id alone: they lie by arrival, so that a page of the newest ones lies together, and the
//! dedup key of an entry says when it arrived.

use super::error::StoreError;
use super::table::tables;
use super::txn::Txn;
use super::writer::Store;
use crate::domain::entry::Entry;
use crate::domain::id::EntryId;

impl Store {
    /// The entry `id`, committed or about to be.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn entry(&self, id: &EntryId) -> Result<Option<Entry>, StoreError> {
        match self.get(tables::SEEN, id)? {
            Some(at) => self.get(tables::ENTRIES, &(at, *id)),
            None => Ok(None),
        }
    }
}

impl Txn<'_> {
    /// The entry `id`, as this write sees it.
    ///
    /// # Errors
    /// As [`Txn::get`].
    pub fn entry(&self, id: &EntryId) -> Result<Option<Entry>, StoreError> {
        match self.get(tables::SEEN, id)? {
            Some(at) => self.get(tables::ENTRIES, &(at, *id)),
            None => Ok(None),
        }
    }

    /// Puts `entry`, which has its dedup key or gets it in this write.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn put_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.put(tables::ENTRIES, &(entry.received_at, entry.id), entry)
    }
}
