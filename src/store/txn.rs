//! A write in progress.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::key::Key;
use super::record::Record;
use super::table::Table;
use super::writer::read_error;

/// Rows by key; `None`: removed.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A write in progress: reads see the committed store, what this write has changed so far, and
/// what the writes before it in the same group have.
pub struct Txn<'a> {
    pub(super) db: &'a sled::Db,
    pub(super) group: &'a Changes,
    pub(super) own: Changes,
}

impl std::fmt::Debug for Txn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Txn")
            .field("n_changes", &self.own.len())
            .finish_non_exhaustive()
    }
}

impl Txn<'_> {
    /// The record at `key`, as this write sees it.
    ///
    /// # Errors
    /// [`StoreError::Read`] or [`StoreError::Record`].
    pub fn get<K: Key, V: Record>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let bytes = table.key_bytes(key);
        if let Some(change) = self.own.get(&bytes).or_else(|| self.group.get(&bytes)) {
            return change.as_ref().map(|bytes| table.decode(bytes)).transpose();
        }
        let found = self
            .db
            .get(bytes)
            .map_err(|source| read_error(&table, source))?;
        found.map(|bytes| table.decode(&bytes)).transpose()
    }

    /// Is there a record at `key`?
    ///
    /// # Errors
    /// [`StoreError::Read`] or [`StoreError::Record`].
    pub fn contains<K: Key, V: Record>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<bool, StoreError> {
        self.get(table, key).map(|found| found.is_some())
    }

    /// Puts `value` at `key`.
    ///
    /// # Errors
    /// [`StoreError::Record`] when it cannot be encoded.
    pub fn put<K: Key, V: Record>(
        &mut self,
        table: Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        let bytes = table.encode(value)?;
        self.own.insert(table.key_bytes(key), Some(bytes));
        Ok(())
    }

    /// Removes what is at `key`, if anything.
    pub fn delete<K: Key, V: Record>(&mut self, table: Table<K, V>, key: &K) {
        self.own.insert(table.key_bytes(key), None);
    }

    /// Forgets what this write has changed so far: for who answers with a refusal.
    pub fn discard(&mut self) {
        self.own.clear();
    }

    /// All rows whose key begins with `front`, in key order, as this write sees them, at most `max`.
    ///
    /// # Errors
    /// [`StoreError::Read`], [`StoreError::Key`] or [`StoreError::Record`].
    pub fn scan<K: Key, V: Record, F: Key>(
        &self,
        table: Table<K, V>,
        front: &F,
        max: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let prefix = table.partial_key_bytes(front);
        let in_prefix = |changes: &Changes| -> Changes {
            let from = changes.range(prefix.clone()..);
            let rows = from.take_while(|(key, _)| key.starts_with(&prefix));
            rows.map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        let mut changed = in_prefix(self.group);
        changed.extend(in_prefix(&self.own));
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for row in self.db.scan_prefix(&prefix) {
            let (key, value) = row.map_err(|source| read_error(&table, source))?;
            if !changed.contains_key(key.as_ref()) {
                rows.insert(key.to_vec(), value.to_vec());
            }
            // Enough even if every changed row were to come before these.
            if rows.len() >= max {
                break;
            }
        }
        rows.extend(
            changed
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        rows.iter()
            .take(max)
            .map(|(key, value)| Ok((table.decode_key(key)?, table.decode(value)?)))
            .collect()
    }
}
