//! The tables: one list, so that no two share a prefix.

use std::marker::PhantomData;

use super::error::StoreError;
use super::key::{Key, KeyReader};
use super::record::{self, Record};

/// A table of `V` by `K`: a key prefix in the store.
#[derive(Debug)]
pub struct Table<K, V> {
    pub(super) prefix: u8,
    pub(super) name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K: Key, V: Record> Table<K, V> {
    const fn new(prefix: u8, name: &'static str) -> Table<K, V> {
        Table {
            prefix,
            name,
            types: PhantomData,
        }
    }

    /// Its name, for messages.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn key_bytes(&self, key: &K) -> Vec<u8> {
        self.partial_key_bytes(key)
    }

    /// The bytes with which all keys begin whose first parts are `front`.
    pub(super) fn partial_key_bytes<F: Key>(&self, front: &F) -> Vec<u8> {
        let mut bytes = vec![self.prefix];
        front.encode(&mut bytes);
        bytes
    }

    pub(super) fn encode(&self, value: &V) -> Result<Vec<u8>, StoreError> {
        record::encode(value).map_err(|source| StoreError::Record {
            table: self.name,
            source,
        })
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<V, StoreError> {
        record::decode(bytes).map_err(|source| StoreError::Record {
            table: self.name,
            source,
        })
    }

    pub(super) fn decode_key(&self, bytes: &[u8]) -> Result<K, StoreError> {
        let mut reader = KeyReader::new(bytes.get(1..).unwrap_or_default());
        K::decode(&mut reader)
            .and_then(|key| reader.finish().map(|()| key))
            .map_err(|source| StoreError::Key {
                table: self.name,
                source,
            })
    }
}

/// Every table of the store.
pub mod tables {
    use super::super::record::{Record, record};
    use super::Table;
    use crate::domain::alert::{Alert, AlertChange, Counted, Delivery, Flood};
    use crate::domain::audit::{AuditRecord, OldAuditRecord};
    use crate::domain::card::CardKey;
    use crate::domain::case::{Case, CaseListing, Picture};
    use crate::domain::clip::FootageName;
    use crate::domain::entry::Entry;
    use crate::domain::footage::FootageRecord;
    use crate::domain::id::{
        AlertId, CameraId, CardholderId, DoorId, DwellingId, EntryId, LinkageId,
    };
    use crate::domain::ledger::{
        CardRecord, CardholderRecord, DwellingRecord, HistoryRecord, PolicyRecord,
    };
    use crate::domain::swipe::Reject;
    use crate::domain::uptime::CameraHour;
    use crate::time::WallTime;

    record! {
        () = 1,
        u64 = 1,
        String = 1,
        WallTime = 1,
        Entry = 1,
        FootageRecord = 1,
        Alert = 1,
        Delivery = 1,
        AlertChange = 1,
        Counted = 1,
        Flood = 1,
        Case = 1,
        CaseListing = 1,
        Picture = 1,
        Reject = 1,
        AlertId = 1,
        AuditRecord = 1,
        OldAuditRecord = 1,
        CameraHour = 1,
        DwellingId = 1,
        DwellingRecord = 1,
        CardholderRecord = 1,
        CardRecord = 1,
        HistoryRecord = 1,
        PolicyRecord = 1,
    }

    /// Counters and versions by name.
    pub const META: Table<String, u64> = Table::new(1, "meta");

    /// Entries by arrival, which [`SEEN`] knows of each id: `Store::entry`.
    pub const ENTRIES: Table<(WallTime, EntryId), Entry> = Table::new(18, "entries");
    /// Entries by id, from before they lay by arrival; moved to [`ENTRIES`] at the next start.
    pub const OLD_ENTRIES: Table<EntryId, Entry> = Table::new(10, "old-entries");
    /// The same by arrival.
    pub const OLD_ENTRIES_BY_TIME: Table<(WallTime, EntryId), ()> =
        Table::new(11, "old-entries-by-time");
    /// Entries by door and arrival: every entry has exactly one row.
    pub const ENTRIES_BY_DOOR: Table<(DoorId, WallTime, EntryId), ()> =
        Table::new(12, "entries-by-door");
    /// Entries by the holder's dwelling and arrival: every entry with a dwelling has one row.
    pub const ENTRIES_BY_DWELLING: Table<(DwellingId, WallTime, EntryId), ()> =
        Table::new(13, "entries-by-dwelling");
    /// Entries with a clip still pending: what reconcile has to finish.
    pub const PENDING_CLIPS: Table<EntryId, ()> = Table::new(14, "pending-clips");
    /// Swipes seen, by entry id, with their arrival: the dedup key. It outlives its entry, so that
    /// a replayed swipe makes no second one.
    pub const SEEN: Table<EntryId, WallTime> = Table::new(15, "seen");
    /// Dedup keys whose entry is past its retention, by arrival.
    pub const SEEN_ALONE: Table<(WallTime, EntryId), ()> = Table::new(17, "seen-alone");
    /// Messages that could not be read, oldest first; bounded, newest kept.
    pub const REJECTS: Table<(WallTime, u64), Reject> = Table::new(16, "rejects");

    /// Footage files.
    pub const FOOTAGE: Table<FootageName, FootageRecord> = Table::new(20, "footage");
    /// Which entries show parts of which footage file.
    pub const FOOTAGE_USES: Table<(FootageName, EntryId), ()> = Table::new(21, "footage-uses");
    /// Footage files that are no longer in the index but may still be on the disk: written in the
    /// transaction that drops the file's row, removed once the file is gone.
    pub const FOOTAGE_DOOMED: Table<FootageName, ()> = Table::new(22, "footage-doomed");
    /// The mark of the disk that footage lies on, so that another disk is not taken for it.
    pub const FOOTAGE_MARK: Table<(), String> = Table::new(23, "footage-mark");

    /// Alerts by id.
    pub const ALERTS: Table<AlertId, Alert> = Table::new(30, "alerts");
    /// Alerts by the moment they were raised: every alert has exactly one row.
    pub const ALERTS_BY_TIME: Table<(WallTime, AlertId), ()> = Table::new(31, "alerts-by-time");
    /// Alerts by entry.
    pub const ALERTS_BY_ENTRY: Table<(EntryId, AlertId), ()> = Table::new(32, "alerts-by-entry");
    /// The conditions that stand, by `<kind>/<subject>`, with the alert each raised.
    pub const CONDITIONS: Table<String, AlertId> = Table::new(39, "conditions");
    /// One row for each alert and linkage.
    pub const DELIVERIES: Table<(AlertId, LinkageId), Delivery> = Table::new(33, "deliveries");
    /// The deliveries still to be made of each linkage, oldest alert first: exactly those whose
    /// state is `Waiting`.
    pub const OUTBOX: Table<(LinkageId, WallTime, AlertId), ()> = Table::new(34, "outbox");
    /// Given-up deliveries of each linkage: exactly those whose state is `Dead`.
    pub const DEAD_LETTERS: Table<(LinkageId, WallTime, AlertId), ()> =
        Table::new(35, "dead-letters");
    /// Every raise and revision of alerts, in commit order, from 1; `META` has the last number under
    /// `alert-feed`. Old rows are pruned.
    pub const ALERT_FEED: Table<u64, AlertChange> = Table::new(36, "alert-feed");
    /// Occurrences that were counted in another alert, by the id they would have had.
    pub const COUNTED: Table<AlertId, Counted> = Table::new(37, "counted");
    /// Newest alerts by door (or camera) and kind.
    pub const FLOODS: Table<(String, String), Flood> = Table::new(38, "floods");

    /// The cases, by alert: every alert of severity 1 to 3 has one from its raise on.
    pub const CASES: Table<AlertId, Case> = Table::new(50, "cases");
    /// Cases by `open` or `done` and the moment their alert was raised: every case has exactly one row.
    pub const CASES_BY_TIME: Table<(String, WallTime, AlertId), CaseListing> =
        Table::new(51, "cases-by-time");
    /// Cases by their next deadline: exactly those that have one.
    pub const CASES_DUE: Table<(WallTime, AlertId), ()> = Table::new(52, "cases-due");
    /// Every move of every case by its moment, with its place in the case.
    pub const CASE_MOVES: Table<(WallTime, AlertId, u64), ()> = Table::new(53, "case-moves");
    /// Pictures of cases by their SHA-256, 64 hexadecimal digits; the bytes are files.
    pub const CASE_PICTURES: Table<(AlertId, String), Picture> = Table::new(54, "case-pictures");

    /// Audit records from before the chain; taken into `AUDIT_LOG`, under their numbers, at the next start.
    pub const AUDIT: Table<u64, OldAuditRecord> = Table::new(60, "audit");
    /// Who did what, from 1 without a gap, each with the hash over the one before it; `META` has the last
    /// number under `audit`, and under `audit-first` the first that is kept, once any was removed.
    pub const AUDIT_LOG: Table<u64, AuditRecord> = Table::new(61, "audit-log");
    /// The same by time: every record of the log has exactly one row.
    pub const AUDIT_BY_TIME: Table<(WallTime, u64), ()> = Table::new(62, "audit-by-time");
    /// The same by account: every record of the log that has one has exactly one row.
    pub const AUDIT_BY_WHO: Table<(String, WallTime, u64), ()> = Table::new(63, "audit-by-who");
    /// The ledger's dwellings. `META` has the number of its newest change under `ledger-seq`, and under
    /// `ledger-key` the id of the key that personal fields are sealed with.
    pub const DWELLINGS: Table<DwellingId, DwellingRecord> = Table::new(70, "dwellings");
    /// Cardholders by dwelling, also removed ones.
    pub const HOLDERS: Table<(DwellingId, CardholderId), CardholderRecord> =
        Table::new(71, "cardholders");
    /// The dwelling of every cardholder.
    pub const HOLDER_HOMES: Table<CardholderId, DwellingId> = Table::new(72, "cardholder-homes");
    /// Cards by the dwelling of their holder, also revoked ones.
    pub const CARDS: Table<(DwellingId, CardKey), CardRecord> = Table::new(73, "cards");
    /// The dwelling of every card.
    pub const CARD_HOMES: Table<CardKey, DwellingId> = Table::new(74, "card-homes");
    /// What happened in each dwelling, by the number of the first change of a record.
    pub const HISTORY: Table<(DwellingId, u64), HistoryRecord> = Table::new(75, "ledger-history");
    /// The rule about limits by version, from 1; `META` has the newest under `limit-policy`.
    pub const POLICIES: Table<u64, PolicyRecord> = Table::new(76, "limit-policies");

    /// How long each camera was there, by the beginning of the hour in UTC; old rows are pruned.
    pub const CAMERA_HOURS: Table<(WallTime, CameraId), CameraHour> =
        Table::new(80, "camera-hours");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_tables_share_a_prefix_or_a_name() {
        let source = include_str!("table.rs");
        let (code, _) = source.split_once("#[cfg(test)]").unwrap();
        let made: Vec<(&str, &str)> = code
            .split("Table::new(")
            .skip(1)
            .filter_map(|rest| rest.split(')').next()?.split_once(','))
            .filter(|(prefix, _)| prefix.parse::<u8>().is_ok())
            .collect();
        let prefixes: BTreeSet<&str> = made.iter().map(|(prefix, _)| *prefix).collect();
        let names: BTreeSet<&str> = made.iter().map(|(_, name)| name.trim()).collect();
        assert!(made.len() > 20, "the tables are found in the source");
        assert_eq!((prefixes.len(), names.len()), (made.len(), made.len()));
    }
}
