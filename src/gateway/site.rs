//! The site as it runs: answers what `web` asks at the desk, and takes configurations in.
//!
//! One at a time, in the gateway's own loop: a change and a SIGHUP cannot run into each other. A change is
//! written beside the file, taken in, and only then put in the file's place, so whatever fails on the way
//! leaves the old configuration running and the old file where it was.

use std::collections::BTreeMap;

use tracing::{error, info, warn};

use super::reload::{ReloadError, take_in};
use super::{Parts, options};
use crate::audit;
use crate::config::Config;
use crate::config::edit::{Draft, EditError, SiteFile, StageError, Staged, site_problem};
use crate::domain::audit::{AUDIT_TEXT_CHARS_MAX, AuditAct, AuditEvent};
use crate::domain::id::StairwellId;
use crate::domain::place::Place;
use crate::error::chain;
use crate::linkage::envelope::clean;
use crate::site::{SiteAsk, SiteChange, SiteEditor, SiteError, SiteProblem, SiteReport, SiteView};
use crate::store::StoreError;
use crate::supervise::{BlockingError, blocking};

/// The site, and what it runs with.
#[derive(Debug)]
pub(super) struct Site {
    parts: Parts,
    file: SiteFile,
    running: Box<Config>,
}

impl Site {
    /// The site that was started with `config`.
    pub(super) fn new(parts: Parts, config: Config) -> Site {
        Site {
            parts,
            file: SiteFile::at(&config.file),
            running: Box::new(config),
        }
    }

    /// Takes in a configuration that was read from the file (SIGHUP).
    pub(super) async fn reload(&mut self, config: Config) {
        if let Err(err) = self.take_in(config).await {
            error!(error = %chain(&err), "the new configuration cannot be used; the old one stays");
        }
    }

    /// Answers one question. An answer that nobody waits for any more is no failure.
    pub(super) async fn answer(&mut self, ask: SiteAsk) {
        match ask {
            SiteAsk::Read(answer) => drop(answer.send(self.read().await)),
            SiteAsk::Check(change, answer) => {
                let checked = self.draft(*change).await;
                drop(answer.send(checked.map(|draft| draft.report)));
            }
            SiteAsk::Put(change, by, answer) => {
                drop(answer.send(self.put(*change, by).await));
            }
        }
    }

    async fn read(&self) -> Result<SiteView, SiteError> {
        let file = self.file.clone();
        let view = blocking("read the configuration", move || file.view()).await;
        Ok(view.map_err(|err| failed(&err))??)
    }

    /// The change, written and checked by everyone who has a say.
    async fn draft(&self, change: SiteChange) -> Result<Draft, SiteError> {
        let file = self.file.clone();
        let drafted = blocking("check a change of the site", move || file.draft(&change)).await;
        let mut draft = drafted.map_err(|err| failed(&err))??;
        let Some(config) = &draft.config else {
            return Ok(draft);
        };
        let mut problems = self.abandoned(config);
        // Sets clients up, and connects to nobody.
        let linkages = options::linkages(config, &self.parts.clock, &self.parts.supervisor);
        if let Err(err) = linkages {
            problems.push(SiteProblem::new("linkage", chain(&err).to_string()));
        }
        for problem in problems {
            draft.refuse(problem);
        }
        Ok(draft)
    }

    /// Stairwells that go although people live there.
    fn abandoned(&self, config: &Config) -> Vec<SiteProblem> {
        let mut n_dwellings: BTreeMap<StairwellId, usize> = BTreeMap::new();
        for household in self.parts.roster.book().households(None) {
            if let Place::Stairwell(id) = &household.dwelling.place {
                *n_dwellings.entry(id.clone()).or_default() += 1;
            }
        }
        let stays = |id: &StairwellId| config.stairwells.iter().any(|known| known.id == *id);
        let gone = n_dwellings.into_iter().filter(|(id, _)| !stays(id));
        let problems = gone.map(|(id, n)| {
            let what = format!(
                "cannot go or be given another id: {n} dwellings of the roster are in it (let the \
                 property office move or end them first)"
            );
            SiteProblem::new(format!("stairwell.{id}"), what)
        });
        problems.collect()
    }

    async fn put(&mut self, change: SiteChange, by: SiteEditor) -> Result<SiteReport, SiteError> {
        let mut draft = self.draft(change).await?;
        let Some(config) = draft.config.take() else {
            return Ok(draft.report);
        };
        let file = self.file.clone();
        let staging = move || {
            let staged = file.stage(&draft);
            (staged, draft.report)
        };
        let staged = blocking("write a change of the site", staging).await;
        let (staged, mut report) = staged.map_err(|err| failed(&err))?;
        let staged = staged.map_err(not_written)?;
        let old = Config::clone(&self.running);
        if let Err(err) = self.take_in(config).await {
            discard(staged).await;
            return Err(SiteError::NotApplied(chain(&err).to_string()));
        }
        if let Err(err) = self.record(&report, by).await {
            discard(staged).await;
            self.reload(old).await;
            return Err(SiteError::NotApplied(chain(&err).to_string()));
        }
        let committed = blocking("keep a change of the site", move || staged.commit()).await;
        let committed = committed
            .map_err(|err| failed(&err))
            .and_then(|committed| committed.map_err(not_written));
        match committed {
            Ok(version) => {
                info!(n_changes = report.changes.len(), %version, "site changed");
                report.version = version;
                Ok(report)
            }
            Err(err) => {
                warn!(error = %err, "a change of the site cannot be kept, so it is undone");
                self.reload(old).await;
                Err(err)
            }
        }
    }

    /// Who changed what: durable before the change is kept.
    async fn record(&self, report: &SiteReport, by: SiteEditor) -> Result<(), StoreError> {
        let changes = report.changes.iter();
        let changes: Vec<String> = changes
            .map(|one| format!("{} {} {}", one.what, one.id, one.action))
            .collect();
        let detail = format!("{} changes: {}", changes.len(), changes.join(", "));
        let event = AuditEvent {
            at: self.parts.clock.now(),
            by: Some(by.actor),
            from: by.from,
            act: AuditAct::Change,
            target: "site".to_owned(),
            place: None,
            detail: clean(&detail, AUDIT_TEXT_CHARS_MAX),
            reason: None,
            case: None,
        };
        audit::append(&self.parts.store, event).await.map(drop)
    }

    /// Runs with `config` from now on, or goes on as before.
    async fn take_in(&mut self, config: Config) -> Result<(), ReloadError> {
        match Box::pin(take_in(&self.parts, &config, &self.running)).await {
            Ok(()) => {
                *self.running = config;
                Ok(())
            }
            Err(err) => {
                let back = Box::pin(take_in(&self.parts, &self.running, &config)).await;
                if let Err(err) = back {
                    error!(error = %chain(&err), "the old configuration cannot be restored; restart");
                }
                Err(err)
            }
        }
    }
}

/// Removes what was staged.
async fn discard(staged: Staged) {
    if let Err(err) = blocking("discard a change of the site", move || drop(staged)).await {
        warn!(error = %chain(&err), "a draft of the configuration is left behind");
    }
}

fn failed(err: &BlockingError) -> SiteError {
    SiteError::NotApplied(chain(err).to_string())
}

fn not_written(err: StageError) -> SiteError {
    match err {
        StageError::Io { .. } => SiteError::NotWritable(chain(&err).to_string()),
        StageError::Changed { version } => SiteError::ChangedMeanwhile { version },
    }
}

impl From<EditError> for SiteError {
    fn from(err: EditError) -> SiteError {
        match err {
            EditError::Changed { version } => SiteError::ChangedMeanwhile { version },
            EditError::Unreadable(errors) => {
                SiteError::Unreadable(errors.problems.iter().map(site_problem).collect())
            }
        }
    }
}
