//! The footage disk: whether it is there and ours, how much of it is free, and what goes when.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, info_span, warn};

use super::disk::Space;
use super::marker::MarkError;
use super::marker::{self, ANSWER_MAX, Mark};
use super::retention::{self, Rules};
use super::{DiskReport, Footage, FootageError, ScanReport};
use crate::error::chain;
use crate::supervise;
use crate::telemetry::{Health, HealthBoard};
use crate::time::AgeGate;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often footage past its age is looked for; below the floor at every look.
const CLEAR_EVERY: Duration = Duration::from_secs(60);
/// How often disk and index are compared again while many files are missing.
const SCAN_AGAIN_EVERY: Duration = Duration::from_secs(10 * 60);
/// A look at the mark.
type Look = Pin<Box<dyn Future<Output = Result<Mark, MarkError>> + Send>>;

struct Watch {
    footage: Footage,
    health: Health,
    report: watch::Sender<DiskReport>,
    /// A look at the mark that has not come back; a disk that hangs gets no other.
    looking: Option<Look>,
    /// `None` before the first look.
    is_there: Option<bool>,
    is_low: bool,
    scanned: Option<(Instant, ScanReport)>,
    cleared_at: Option<Instant>,
    /// Bytes short of the floor that nothing may be deleted for.
    held_bytes: u64,
    age: AgeGate,
}

impl Footage {
    /// Looks at the disk for the first time and begins to watch it. Recovers what a crash left open.
    pub(super) async fn watch_disk(
        &self,
        board: &HealthBoard,
    ) -> Result<watch::Receiver<DiskReport>, FootageError> {
        let (report, receiver) = watch::channel(DiskReport::default());
        let now = self.shared.clock.now();
        let mut watch = Watch {
            footage: self.clone(),
            health: board.component("footage"),
            report,
            looking: None,
            is_there: None,
            is_low: false,
            scanned: None,
            cleared_at: None,
            held_bytes: 0,
            age: AgeGate::new(now, Instant::now()),
        };
        watch.look_for_disk().await?;
        let token = self.keepers.token();
        self.keepers
            .spawn("footage-disk", info_span!("footage-disk"), async move {
                watch.run(token).await;
            });
        Ok(receiver)
    }
}

impl Watch {
    async fn run(mut self, stop: CancellationToken) {
        let mut timer = tokio::time::interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = timer.tick() => {}
            }
            // A look that hangs with the disk does not keep the gateway from its end.
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            if let Err(err) = looked {
                error!(error = %chain(&err), "footage disk cannot be watched");
            }
        }
    }

    async fn look(&mut self) -> Result<(), FootageError> {
        self.look_for_disk().await?;
        if self.is_there != Some(true) {
            return Ok(());
        }
        let now = Instant::now();
        let is_over = |(at, report): (Instant, ScanReport)| {
            report.is_mass_missing() && now.saturating_duration_since(at) >= SCAN_AGAIN_EVERY
        };
        if self.scanned.is_none_or(is_over) {
            self.scanned = Some((now, self.footage.scan().await?));
        }
        self.clear().await?;
        self.say();
        Ok(())
    }

    /// Is our disk there? When it comes back, what was left open is finished.
    async fn look_for_disk(&mut self) -> Result<(), FootageError> {
        let shared = Arc::clone(&self.footage.shared);
        let root = shared.options.path.clone();
        let away = match self.mark().await {
            None => Some(format!(
                "footage disk does not answer: {} cannot be read for {} s (look at its cable, its \
                 controller or its network); no clip can be kept",
                root.display(),
                ANSWER_MAX.as_secs()
            )),
            Some(Ok(Mark::Ours)) => None,
            Some(Ok(Mark::Away)) => Some(format!(
                "footage disk is away: no mark in {} (is it mounted? a new one is taken with \
                 `stairgate accept-disk`); no clip can be kept",
                root.display()
            )),
            Some(Ok(Mark::Foreign)) => Some(format!(
                "another disk is at {}: its mark is not that of this gateway's footage (a new one is \
                 taken with `stairgate accept-disk`)",
                root.display()
            )),
            Some(Err(err)) => Some(chain(&err).to_string()),
        };
        let is_there = away.is_none();
        let was_there = self.is_there.replace(is_there);
        shared.is_there.store(is_there, Ordering::Release);
        shared.metrics.disk_up.set(u64::from(is_there));
        if let Some(why) = away {
            self.health.failed(&why);
            if was_there != Some(false) {
                error!(reason = %why, "footage disk is gone");
            }
            self.tell(|report| report.is_away = true);
            return Ok(());
        }
        if was_there != Some(true) {
            self.footage.recover().await?;
            self.scanned = None;
            self.health.ok();
        }
        if was_there == Some(false) {
            info!("footage disk is back");
        }
        self.tell(|report| report.is_away = false);
        Ok(())
    }

    /// Deletes what is due.
    async fn clear(&mut self) -> Result<(), FootageError> {
        let shared = Arc::clone(&self.footage.shared);
        let root = shared.options.path.clone();
        let asked = supervise::blocking("footage-space", move || Space::of(&root)).await;
        let space = match asked {
            Ok(Ok(space)) => space,
            Ok(Err(err)) => {
                warn!(error = %chain(&err), "free space of the footage disk is not known");
                return Ok(());
            }
            Err(err) => {
                warn!(error = %chain(&err), "free space of the footage disk is not known");
                return Ok(());
            }
        };
        let free_bytes = space.free_bytes;
        shared.metrics.disk_free_bytes.set(free_bytes);
        let floor = shared.options.floor;
        let was_low = std::mem::replace(&mut self.is_low, space.is_low(floor));
        if self.is_low && !was_low {
            warn!(free_bytes, "little space on the footage disk");
        } else if was_low && !self.is_low {
            info!(free_bytes, "enough space on the footage disk again");
        }
        let is_low = self.is_low;
        self.tell(|report| {
            if report.is_low != Some(is_low) {
                report.free_bytes = free_bytes;
            }
            report.is_low = Some(is_low);
        });
        let now = Instant::now();
        let is_time = self
            .cleared_at
            .is_none_or(|at| now.saturating_duration_since(at) >= CLEAR_EVERY);
        // While the disk looks wrong, nothing is deleted by its age.
        let is_time = is_time && !self.scanned.is_some_and(|(_, r)| r.is_mass_missing());
        if !is_time && space.short_bytes(floor) == 0 {
            self.held_bytes = 0;
            return Ok(());
        }
        self.cleared_at = Some(now);
        let rules = Rules {
            root: &shared.options.path,
            keep: shared.options.retention,
            floor,
        };
        let wall = self.age.trusted(shared.clock.now(), now);
        let cleared = retention::clear(&shared, &rules, wall, space)
            .await
            .map_err(FootageError::Index)?;
        self.held_bytes = cleared.short_bytes;
        if cleared.n_early > 0 {
            shared.metrics.early_deletions.inc_by(cleared.n_early);
            self.tell(|report| {
                report.n_early_files += cleared.n_early;
                report.early_bytes += cleared.early_bytes;
            });
        }
        Ok(())
    }

    fn say(&self) {
        if let Some((_, report)) = self.scanned.filter(|(_, r)| r.is_mass_missing()) {
            self.health.failed(&format!(
                "{} of {} footage files are missing: a wrong or damaged disk? none is forgotten",
                report.n_missing, report.n_rows
            ));
        } else if self.held_bytes > 0 {
            self.health.failed(&format!(
                "disk is full: {} bytes below the floor, and all footage left is held for alerts \
                 that are not delivered yet",
                self.held_bytes
            ));
        } else if self.is_low {
            self.health
                .degraded("little space is left on the footage disk");
        } else {
            self.health.ok();
        }
    }

    /// The mark; `None` while the disk does not answer.
    async fn mark(&mut self) -> Option<Result<Mark, MarkError>> {
        let shared = &self.footage.shared;
        let look = || marker::check(shared.options.path.clone(), shared.store.clone());
        let looking = self.looking.get_or_insert_with(|| Box::pin(look()));
        let found = tokio::time::timeout(ANSWER_MAX, looking).await.ok()?;
        self.looking = None;
        Some(found)
    }

    /// Changes the report; its receivers hear of it when it is another one.
    fn tell(&self, change: impl FnOnce(&mut DiskReport)) {
        self.report.send_if_modified(|report| {
            let before = *report;
            change(report);
            *report != before
        });
    }
}
