//! The index of footage: which files may show a window.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::past;
use super::task::Shared;
use crate::domain::clip::{ClipOutcome, ClipWindow, FootageName, MissedReason};
use crate::domain::footage::FootageRecord;
use crate::domain::id::CameraId;
use crate::error::chain;
use crate::store::{StoreError, tables};
use crate::supervise;
use crate::time::WallTime;

/// How much earlier than a window a file may begin and still show some of it: the longest file, and
/// two hours for steps of the wall clock.
const REACH_BACK: Duration = Duration::from_secs(30 * 60 + 2 * 3_600);

impl Shared {
    /// The clip of `window` from files alone, without the files `except`.
    pub(super) async fn settle_past(
        self: &Arc<Shared>,
        camera: &CameraId,
        window: ClipWindow,
        except: &[FootageName],
    ) -> ClipOutcome {
        let mut files = match self.files_of(camera, window) {
            Ok(files) => files,
            Err(err) => {
                error!(error = %chain(&err), %camera, "index of footage cannot be read");
                Vec::new()
            }
        };
        files.retain(|(name, _)| !except.contains(name));
        for (name, _) in &files {
            self.recent.touch(name);
        }
        let (root, opened_at) = (self.options.path.clone(), self.opened_at);
        let permit = self.jobs.acquire().await;
        let work = move || past::settle(&root, &files, window, opened_at);
        let settled = supervise::blocking("footage-past", work).await;
        drop(permit);
        settled.unwrap_or_else(|err| {
            error!(error = %chain(&err), %camera, "clip cannot be settled from files");
            ClipOutcome::Missed(MissedReason::NoFootage)
        })
    }

    /// The files of `camera` that may show some of `window`, in order of time.
    fn files_of(
        &self,
        camera: &CameraId,
        window: ClipWindow,
    ) -> Result<Vec<(FootageName, FootageRecord)>, StoreError> {
        let low = border(camera, window.from.minus(REACH_BACK));
        let high = border(camera, window.to.plus(REACH_BACK));
        let rows = self
            .store
            .range(tables::FOOTAGE, &(), low.as_ref(), high.as_ref());
        let mut files = Vec::new();
        for row in rows {
            let (name, record) = row?;
            let shows = record.ends_at > window.from && record.starts_at < window.to;
            if record.camera == *camera && shows {
                files.push((name, record));
            }
        }
        files.sort_by(|(a_name, a), (b_name, b)| (a.starts_at, a_name).cmp(&(b.starts_at, b_name)));
        Ok(files)
    }
}

/// A name that sorts before all of `camera` that start at `at` or later.
fn border(camera: &CameraId, at: WallTime) -> Option<FootageName> {
    let (day, label) = (at.utc_day(), at.file_label());
    format!("{camera}/{day}/{label}-0.mp4").parse().ok()
}
