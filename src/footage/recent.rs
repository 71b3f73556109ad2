//! Files that this process has just written or shown: the index does not count their uses yet.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::clip::FootageName;

/// How long a file counts as recent: a clip that was settled is in the store long before.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// The recent files. By the monotonic clock, so that a step of the wall clock ages nothing.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<BTreeMap<FootageName, Instant>>);

impl Recent {
    /// The file is written or shown now.
    pub(super) fn touch(&self, name: &FootageName) {
        let now = Instant::now();
        let mut files = self.0.lock();
        files.retain(|_, at| now.saturating_duration_since(*at) < RECENT);
        files.insert(name.clone(), now);
    }

    /// Was the file written or shown lately? Then it must not be deleted, nor taken for unknown.
    pub(super) fn contains(&self, name: &FootageName) -> bool {
        let now = Instant::now();
        let files = self.0.lock();
        files
            .get(name)
            .is_some_and(|at| now.saturating_duration_since(*at) < RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::CameraId;
    use crate::time::{RunId, WallTime};

    #[tokio::test(start_paused = true)]
    async fn a_file_is_recent_for_a_while() {
        let camera = CameraId::new("a").unwrap();
        let name = FootageName::new(&camera, WallTime::from_unix_ms(0), RunId::random(), 0);
        let recent = Recent::default();
        assert!(!recent.contains(&name));
        recent.touch(&name);
        assert!(recent.contains(&name));
        tokio::time::advance(RECENT).await;
        assert!(!recent.contains(&name));
    }
}
