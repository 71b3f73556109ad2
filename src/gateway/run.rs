//! Running, reloading and the ordered end.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, info_span, warn};

use super::site::Site;
use super::{Events, Gateway, Parts, card_lists, told};
use crate::audit;
use crate::camera::CameraEvent;
use crate::config::Config;
use crate::entry::{Conditions, remove_old};
use crate::error::chain;
use crate::footage::DiskReport;
use crate::outbox::OutboxEvent;
use crate::store::StoreError;
use crate::supervise::{Supervisor, blocking};
use crate::time::AgeGate;
use crate::web::{self, WebTls};

/// How long commits in hand may take at the end.
const PIPELINE_END: Duration = Duration::from_secs(5);
/// How long requests in hand may take at the end.
const WEB_END: Duration = Duration::from_secs(3);
/// How long open clips may take to be settled and their files to be closed at the end: a second of work, on
/// a disk that is just waking up. Of one that hangs, the next start finishes the files.
const FOOTAGE_END: Duration = Duration::from_secs(8);
/// How long outcomes of clips may take to be recorded at the end.
const CLIPS_END: Duration = Duration::from_secs(3);
/// How long attempts in hand may take at the end; what is cut off is tried again at the next start.
const COURIERS_END: Duration = Duration::from_secs(6);
/// How long the last words to doors and cameras may take at the end.
const DEVICES_END: Duration = Duration::from_secs(6);
/// How long what is left may take at the end.
const REST_END: Duration = Duration::from_secs(3);
/// How long the last commits may take to be durable at the end.
const STORE_END: Duration = Duration::from_secs(5);

/// How long an ordered end takes at most; whoever stops the process must wait longer before it kills.
pub const END_MAX: Duration = Duration::from_secs(
    PIPELINE_END.as_secs()
        + WEB_END.as_secs()
        + FOOTAGE_END.as_secs()
        + CLIPS_END.as_secs()
        + COURIERS_END.as_secs()
        + DEVICES_END.as_secs()
        + REST_END.as_secs()
        + STORE_END.as_secs(),
);
/// How often entries past their retention are looked for.
const UPKEEP_PERIOD: Duration = Duration::from_secs(60);

/// Why a gateway ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("a part without which the gateway is of no use has failed: {0}")]
pub struct RunError(String);

/// What is asked of a running gateway from outside.
#[derive(Debug)]
pub enum Request {
    /// Take in a changed configuration: cameras, doors, linkages, stairwells, the limit.
    Reload(Box<Config>),
}

/// What is stopped together, before the rest.
struct Groups {
    pipeline: Supervisor,
    web: Supervisor,
    feed: Supervisor,
    clips: Supervisor,
}

impl Gateway {
    /// Serves until `stop` is cancelled, then ends in order; or until a vital part fails.
    ///
    /// # Errors
    /// [`RunError`] when a vital part failed; whoever started the process starts it again.
    pub async fn run(
        self,
        stop: CancellationToken,
        mut requests: mpsc::Receiver<Request>,
    ) -> Result<(), RunError> {
        let Gateway {
            supervisor,
            parts,
            events,
            listener,
            web_door,
            feed,
            feed_tasks,
            api,
            ready,
            config,
            mut asks,
            ..
        } = self;
        let groups = Groups {
            pipeline: supervisor.group(),
            web: supervisor.group(),
            feed: feed_tasks,
            clips: supervisor.group(),
        };
        let told = told::follow(
            api.accounts.clone(),
            parts.store.clone(),
            groups.pipeline.token(),
        );
        groups.pipeline.vital("told", info_span!("told"), told);
        let tls = web_door.tls.clone();
        let sessions = api.sessions.clone().run(groups.web.token());
        groups
            .web
            .vital("sessions", info_span!("sessions"), sessions);
        let served = web::serve(listener, web_door, api, groups.web.clone());
        groups.web.vital("web", info_span!("web"), served);
        if let Some((feed, listener)) = feed {
            let served = feed.serve(listener);
            groups.feed.vital("feed", info_span!("feed"), served);
        }
        start(&groups, &supervisor, &parts, events, &config);
        let mut site = Site::new(parts.clone(), config);
        ready.send_replace(true);
        tell_systemd(sd_notify::NotifyState::Ready);
        info!("ready");
        let result = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                why = supervisor.failed() => break Err(RunError(why)),
                Some(Request::Reload(config)) = requests.recv() => {
                    reload_tls(tls.clone()).await;
                    Box::pin(site.reload(*config)).await;
                }
                Some(ask) = asks.recv() => Box::pin(site.answer(ask)).await,
            }
        };
        ready.send_replace(false);
        tell_systemd(sd_notify::NotifyState::Stopping);
        end(&supervisor, &groups, &parts).await;
        result
    }
}

fn start(groups: &Groups, supervisor: &Supervisor, parts: &Parts, events: Events, config: &Config) {
    let stop = groups.pipeline.token();
    let swipes = parts.pipeline.clone().run(events.doors, stop.clone());
    groups
        .pipeline
        .vital("swipes", info_span!("swipes"), swipes);
    // Outcomes come until the footage has closed, which is after the pipeline's end.
    let closed = groups.clips.token();
    let clips = parts.desk.clone().run(events.clips, stop, closed);
    groups.clips.vital("clips", info_span!("clips"), clips);
    let told = Told {
        cameras: events.cameras,
        disk: events.disk,
        outbox: events.outbox,
    };
    let conditions = raise_conditions(parts.conditions.clone(), told, supervisor.token());
    supervisor.vital("conditions", info_span!("conditions"), conditions);
    parts.cases.watch_deadlines(supervisor);
    let upkeep = upkeep(
        parts.clone(),
        (config.store.entry_retention, config.store.audit_retention),
        groups.pipeline.token(),
    );
    groups
        .pipeline
        .vital("upkeep", info_span!("upkeep"), upkeep);
    let uptime = parts.uptime.clone();
    let seen = uptime.watch(parts.cameras.clone(), groups.pipeline.token());
    groups.pipeline.vital("uptime", info_span!("uptime"), seen);
    let lists = card_lists::follow(parts.clone(), groups.pipeline.token());
    groups
        .pipeline
        .vital("card-lists", info_span!("card-lists"), lists);
}

/// What parts tell of themselves.
struct Told {
    cameras: mpsc::Receiver<CameraEvent>,
    disk: watch::Receiver<DiskReport>,
    outbox: mpsc::Receiver<OutboxEvent>,
}

async fn raise_conditions(
    conditions: Conditions,
    mut told: Told,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    conditions.forget_unknown().await?;
    let mut disk = DiskReport::default();
    told.disk.mark_changed();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Ok(()) = told.disk.changed() => {
                let report = *told.disk.borrow_and_update();
                conditions.take_disk_report(disk, report).await?;
                disk = report;
            }
            Some(event) = told.outbox.recv() => conditions.take_outbox_event(event).await?,
            Some(event) = told.cameras.recv() => conditions.take_camera_event(event).await?,
            else => return Ok(()),
        }
    }
}

/// Entries and audit records past their retention.
async fn upkeep(
    parts: Parts,
    (entry_retention, audit_retention): (Duration, Duration),
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let mut age = AgeGate::new(parts.clock.now(), tokio::time::Instant::now());
    let mut timer = tokio::time::interval(UPKEEP_PERIOD);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = timer.tick() => {}
        }
        let now = parts.clock.now();
        let trusted = age.trusted(now, tokio::time::Instant::now());
        let n_removed = remove_old(&parts.store, trusted, entry_retention).await?;
        if n_removed > 0 {
            info!(n_removed, "entries past their retention removed");
        }
        let n_removed = audit::remove_old(&parts.store, trusted, audit_retention).await?;
        if n_removed > 0 {
            info!(n_removed, "audit records past their retention removed");
        }
    }
}

/// Takes in another certificate; the one in use stays when it cannot be used.
async fn reload_tls(tls: Option<WebTls>) {
    let Some(tls) = tls else {
        return;
    };
    match blocking("read certificates", move || tls.reload()).await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => {
            error!(error = %chain(&err), "the new certificate cannot be used; the old one stays");
        }
        Err(err) => error!(error = %chain(&err), "certificates cannot be read"),
    }
}

/// Each step with its share of the time; none can keep the others from their turn.
async fn end(supervisor: &Supervisor, groups: &Groups, parts: &Parts) {
    info!("stopping: no more swipes are taken");
    // Asked first, so that the end of its source is no failure of the pipeline.
    groups.pipeline.token().cancel();
    parts.doors.stop_intake();
    shut(&groups.pipeline, PIPELINE_END, "swipes").await;
    info!("stopping: no more requests are answered");
    tokio::join!(
        shut(&groups.web, WEB_END, "web"),
        shut(&groups.feed, WEB_END, "feed"),
    );
    info!("stopping: open clips are closed");
    step("footage", FOOTAGE_END, parts.footage.close()).await;
    shut(&groups.clips, CLIPS_END, "clips").await;
    info!("stopping: couriers finish the attempt in hand");
    step("couriers", COURIERS_END, parts.outbox.stop()).await;
    info!("stopping: doors and cameras are hung up");
    let hung_up = async { tokio::join!(parts.doors.stop(), parts.cameras.stop()) };
    step("devices", DEVICES_END, hung_up).await;
    shut(supervisor, REST_END, "rest").await;
    info!("stopping: the store is closed");
    step("store", STORE_END, parts.store.close()).await;
    info!("stopped");
}

/// Waits for a step of the end, but not longer than its share: what hangs (a disk, a peer) is left behind.
async fn step<T>(name: &'static str, within: Duration, work: impl Future<Output = T>) {
    if tokio::time::timeout(within, work).await.is_err() {
        let share_s = within.as_secs();
        error!(step = name, share_s, "did not end within its share");
    }
}

async fn shut(group: &Supervisor, within: Duration, name: &'static str) {
    if let Err(err) = group.shutdown(within).await {
        warn!(group = name, error = %chain(&err), "tasks are left behind");
    }
}

/// Under systemd its notify socket is told; elsewhere there is none, and nothing is amiss.
fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(err) = sd_notify::notify(&[state]) {
        warn!(error = %err, "systemd cannot be told");
    }
}
