//! Disk and index compared: at start, and when the footage disk comes back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::recovery::{self, Found, NAMED_MAX, RecoverError};
use super::task::Shared;
use super::{Footage, FootageError};
use crate::domain::clip::FootageName;
use crate::domain::footage::{FootageRecord, FootageState};
use crate::error::chain;
use crate::store::{Store, StoreError, tables};
use crate::supervise;
use crate::time::WallTime;

/// Fewer missing files than this are never taken for a wrong disk.
const MASS_MISSING_MIN: u64 = 10;

/// What a comparison of disk and index found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Rows of the index.
    pub n_rows: u64,
    /// Files that a crash had left open, now finished.
    pub n_recovered: u64,
    /// Files of ours that the index did not know and now does.
    pub n_adopted: u64,
    /// Files of ours that a crash left before their first picture; removed.
    pub n_stumps: u64,
    /// Files that are no footage; left alone.
    pub n_unknown: u64,
    /// Rows without their file; left alone.
    pub n_missing: u64,
}

impl ScanReport {
    /// Are so many files missing that the disk must be wrong or damaged?
    pub fn is_mass_missing(&self) -> bool {
        self.n_missing >= MASS_MISSING_MIN && self.n_missing * 10 > self.n_rows
    }
}

impl Footage {
    /// Finishes every file that a crash left open. Files that this process writes are left alone.
    pub(super) async fn recover(&self) -> Result<u64, FootageError> {
        let shared = Arc::clone(&self.shared);
        let open = open_rows(&shared).map_err(FootageError::Index)?;
        let mut n_recovered = 0;
        for (name, record) in open {
            let (root, at) = (shared.options.path.clone(), name.clone());
            let work = move || recovery::finish(&root, &at, record.run, record.starts_at);
            match supervise::blocking("footage-recover", work).await {
                Ok(Ok(record)) => {
                    info!(file = %name, bytes = record.bytes, "open footage file finished");
                    put(&shared.store, name, record)
                        .await
                        .map_err(FootageError::Index)?;
                    shared.metrics.files_recovered.inc();
                    n_recovered += 1;
                }
                Ok(Err(err)) => {
                    error!(file = %name, error = %chain(&err), "footage file cannot be finished");
                }
                Err(err) => error!(file = %name, error = %chain(&err), "recovery failed"),
            }
        }
        Ok(n_recovered)
    }

    /// Compares disk and index: takes unknown footage into the index, and reports what else differs.
    /// Nothing is deleted.
    ///
    /// # Errors
    /// [`FootageError::Index`] when the store fails.
    pub async fn scan(&self) -> Result<ScanReport, FootageError> {
        let shared = Arc::clone(&self.shared);
        let compared = supervise::blocking("footage-scan", move || compare(&shared)).await;
        let mut compared = match compared {
            Ok(compared) => compared.map_err(FootageError::Index)?,
            Err(err) => {
                error!(error = %chain(&err), "disk and index cannot be compared");
                return Ok(ScanReport::default());
            }
        };
        for (name, record) in std::mem::take(&mut compared.adopted) {
            info!(file = %name, "footage that the index did not know taken in");
            put(&self.shared.store, name, record)
                .await
                .map_err(FootageError::Index)?;
        }
        let report = compared.report;
        let metrics = &self.shared.metrics;
        metrics.files_adopted.inc_by(report.n_adopted);
        metrics.files_unknown.set(report.n_unknown);
        metrics.files_missing.set(report.n_missing);
        Ok(report)
    }
}

struct Compared {
    report: ScanReport,
    adopted: Vec<(FootageName, FootageRecord)>,
}

fn compare(shared: &Shared) -> Result<Compared, StoreError> {
    let root: &Path = &shared.options.path;
    let mut report = ScanReport::default();
    let mut adopted = Vec::new();
    let mut rows = BTreeMap::new();
    for row in shared.store.scan(tables::FOOTAGE, &()) {
        rows.insert(row?.0, false);
    }
    report.n_rows = rows.len() as u64;
    let found = match recovery::list(root) {
        Ok(found) => found,
        Err(err) => {
            error!(error = %chain(&err), "footage folder cannot be listed");
            return Ok(Compared { report, adopted });
        }
    };
    for found in found {
        match found {
            Found::Footage(name, run) => {
                if let Some(seen) = rows.get_mut(&name) {
                    *seen = true;
                } else if shared.recent.contains(&name)
                    || shared.store.get(tables::FOOTAGE_DOOMED, &name)?.is_some()
                    || shared.store.get(tables::FOOTAGE, &name)?.is_some()
                {
                    // Being written, being deleted, or indexed since the list was taken.
                } else {
                    match recovery::finish(root, &name, run, WallTime::from_unix_ns(0)) {
                        Ok(record) => adopted.push((name, record)),
                        Err(err) => unfinished(root, &name, &err, &mut report),
                    }
                }
            }
            Found::Other(path) => {
                report.n_unknown += 1;
                named(report.n_unknown, || {
                    warn!(path = %path.display(), "file is no footage");
                });
            }
        }
    }
    for (name, _) in rows.iter().filter(|(_, seen)| !**seen) {
        let is_indexed = shared.store.get(tables::FOOTAGE, name)?.is_some();
        if is_indexed && !root.join(name.as_str()).exists() {
            report.n_missing += 1;
            named(
                report.n_missing,
                || warn!(file = %name, "footage file is missing"),
            );
        }
    }
    report.n_adopted = adopted.len() as u64;
    Ok(Compared { report, adopted })
}

/// A file named as ours that is not footage: what a crash left of one just begun goes.
fn unfinished(root: &Path, name: &FootageName, err: &RecoverError, report: &mut ScanReport) {
    match recovery::remove_stump(root, name) {
        Ok(true) => {
            report.n_stumps += 1;
            info!(file = %name, "footage file without a picture removed");
        }
        Ok(false) => {
            report.n_unknown += 1;
            named(report.n_unknown, || {
                warn!(file = %name, error = %chain(err), "file is no footage");
            });
        }
        Err(err) => {
            report.n_unknown += 1;
            named(report.n_unknown, || {
                warn!(file = %name, error = %chain(&err), "file is no footage, and cannot be removed");
            });
        }
    }
}

/// Says the first few of a kind.
fn named(n: u64, say: impl FnOnce()) {
    if n <= NAMED_MAX as u64 {
        say();
    }
}

fn open_rows(shared: &Shared) -> Result<Vec<(FootageName, FootageRecord)>, StoreError> {
    let rows = shared.store.scan(tables::FOOTAGE, &());
    let is_open = |row: &Result<(FootageName, FootageRecord), StoreError>| match row {
        Ok((name, record)) => record.state == FootageState::Open && !shared.recent.contains(name),
        Err(_) => true,
    };
    rows.filter(is_open).collect()
}

async fn put(store: &Store, name: FootageName, record: FootageRecord) -> Result<(), StoreError> {
    let put = move |txn: &mut crate::store::Txn<'_>| txn.put(tables::FOOTAGE, &name, &record);
    store.write(put).await
}
