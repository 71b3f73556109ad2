//! An import from the file's bytes to the ledger: read, plan on a snapshot, and rehearse or apply.

use std::collections::HashMap;
use std::sync::Arc;

use super::column::Column;
use super::gather::{addresses_of, gather};
use super::outcome::ImportReport;
use super::places::PlaceBook;
use super::plan::{Missing, Plan, plan};
use super::reason::{FileReason, Finding, Reason, RowAt};
use super::row::{Book, ReadOptions, read};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::reckoning::Reckoning;
use crate::domain::role::Actor;
use crate::roster::{
    Applied, Batch, BeyondLimit, Change, LedgerError, Mode, Outcome, Refusal, Roster, STEPS_MAX,
    Step,
};
use crate::supervise::{BlockingError, blocking};

/// How often an import is planned anew when someone else changes the ledger in between.
const TRIES_MAX: usize = 3;
/// Changes of one transaction where refused rows are skipped, so that swipes get their turn and a
/// progress bar moves.
const CHUNK_STEPS: usize = 1_000;

/// What is asked of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Who asks.
    pub by: Actor,
    /// Why, in their words.
    pub why: String,
    /// What becomes of the rest when rows are refused.
    pub mode: Mode,
    /// What it means that the file does not name someone.
    pub missing: Missing,
    /// What becomes of persons beyond a limit.
    pub beyond_limit: BeyondLimit,
    /// Only say what would be.
    pub is_dry_run: bool,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The file is being read.
    Reading,
    /// The changes are being worked out.
    Planning,
    /// They are being checked or made: so many of so many.
    Changing {
        /// Done.
        n_done: usize,
        /// Of these.
        n_steps: usize,
    },
}

/// Why an import does not come about at all. Refused rows are no error.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("read the roster")]
    File(#[source] FileReason),
    /// It wants more than a batch takes.
    #[error("the file wants {n_steps} changes, at most {STEPS_MAX} are taken at once (split it)")]
    TooManyChanges {
        /// How many.
        n_steps: usize,
    },
    /// Others changed the ledger each time.
    #[error("the ledger is being changed by others (try again)")]
    Busy,
    /// The ledger cannot be read or written.
    #[error("use the ledger")]
    Ledger(#[source] LedgerError),
    /// The work was given up.
    #[error("work on the import")]
    Blocking(#[source] BlockingError),
}

impl From<LedgerError> for ImportError {
    fn from(err: LedgerError) -> ImportError {
        ImportError::Ledger(err)
    }
}

impl From<BlockingError> for ImportError {
    fn from(err: BlockingError) -> ImportError {
        ImportError::Blocking(err)
    }
}

/// By what the files of `roster` are read, today.
pub fn read_options(roster: &Roster) -> ReadOptions {
    let stairwells = roster.stairwells();
    let walls = stairwells
        .iter()
        .map(|at| (&at.id, at.building.as_str(), at.unit.as_str()));
    ReadOptions {
        places: Arc::new(PlaceBook::new(walls)),
        time_zone: roster.time_zone().clone(),
        today: roster.moment().day,
    }
}

/// Imports the file `bytes`. With [`Mode::AllOrNothing`] nothing is kept when any row is refused; the
/// report then says what is refused, and what would have been done.
///
/// # Errors
/// [`ImportError`] when it does not come about at all.
///
/// # Cancel safety
/// When dropped, changes may or may not be made; with [`Mode::SkipRefused`] also some of them.
pub async fn import(
    roster: &Roster,
    bytes: impl AsRef<[u8]> + Send + 'static,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportReport, ImportError> {
    progress(Progress::Reading);
    let by = read_options(roster);
    let book = blocking("read a roster", move || read(bytes.as_ref(), &by));
    let book = book.await?.map_err(ImportError::File)?;
    for _ in 0..TRIES_MAX {
        progress(Progress::Planning);
        let (seq, plan) = plan_on(roster, book.clone(), options.missing).await?;
        let n_steps = plan.steps.len();
        if n_steps > STEPS_MAX {
            return Err(ImportError::TooManyChanges { n_steps });
        }
        progress(Progress::Changing { n_done: 0, n_steps });
        let is_all_or_nothing = options.mode == Mode::AllOrNothing;
        let is_hopeless = is_all_or_nothing && !plan.refused.is_empty();
        let applied = if options.is_dry_run || is_hopeless {
            let batch = batch(&plan, options, seq);
            let roster = roster.clone();
            blocking("rehearse an import", move || roster.rehearse(&batch)).await??
        } else if is_all_or_nothing || n_steps <= CHUNK_STEPS {
            roster.apply(batch(&plan, options, seq)).await?
        } else {
            apply_in_chunks(roster, batch(&plan, options, seq), progress).await?
        };
        if applied.is_stale {
            continue;
        }
        progress(Progress::Changing {
            n_done: n_steps,
            n_steps,
        });
        return Ok(report(plan, &applied, options));
    }
    Err(ImportError::Busy)
}

async fn plan_on(
    roster: &Roster,
    book: Book,
    missing: Missing,
) -> Result<(u64, Plan), ImportError> {
    let roster = roster.clone();
    let planned = blocking("plan an import", move || {
        let snapshot = roster.snapshot()?;
        let wanted = gather(book, &addresses_of(&snapshot));
        let plan = plan(wanted, &snapshot, missing, roster.time_zone());
        Ok::<_, LedgerError>((snapshot.seq, plan))
    });
    Ok(planned.await??)
}

fn batch(plan: &Plan, options: &ImportOptions, seq: u64) -> Batch {
    let steps = plan
        .steps
        .iter()
        .map(|planned| Step::from(planned.change.clone()));
    Batch {
        by: options.by.clone(),
        why: options.why.clone(),
        steps: steps.collect(),
        mode: options.mode,
        beyond_limit: options.beyond_limit,
        if_seq: Some(seq),
    }
}

async fn apply_in_chunks(
    roster: &Roster,
    mut batch: Batch,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Applied, ImportError> {
    let n_steps = batch.steps.len();
    let mut steps = std::mem::take(&mut batch.steps).into_iter();
    let mut whole = Applied {
        outcomes: Vec::with_capacity(n_steps),
        is_kept: true,
        is_stale: false,
        seq: 0,
    };
    while whole.outcomes.len() < n_steps {
        let part = Batch {
            steps: steps.by_ref().take(CHUNK_STEPS).collect(),
            ..batch.clone()
        };
        let applied = roster.apply(part).await?;
        if applied.is_stale {
            return Ok(applied);
        }
        whole.outcomes.extend(applied.outcomes);
        whole.seq = applied.seq;
        // From here on it is we who change it.
        batch.if_seq = None;
        let n_done = whole.outcomes.len();
        progress(Progress::Changing { n_done, n_steps });
    }
    Ok(whole)
}

fn report(plan: Plan, applied: &Applied, options: &ImportOptions) -> ImportReport {
    let mut report = ImportReport {
        dry_run: options.is_dry_run,
        applied: applied.is_kept && !options.is_dry_run,
        rows: plan.n_rows,
        ..ImportReport::default()
    };
    let mut refused = plan.refused;
    let mut refused_dwellings: HashMap<DwellingId, RowAt> = HashMap::new();
    let mut refused_holders: HashMap<CardholderId, RowAt> = HashMap::new();
    for (planned, outcome) in plan.steps.iter().zip(&applied.outcomes) {
        let refusal = match outcome {
            Outcome::Done { .. } => {
                report.add_change(planned);
                continue;
            }
            Outcome::Unchanged => continue,
            Outcome::Refused(refusal) => refusal,
        };
        let reason = match refusal {
            Refusal::NoDwelling(id) => refused_dwellings
                .get(id)
                .cloned()
                .map(Reason::DwellingRefused),
            Refusal::NoHolder(id) => refused_holders.get(id).cloned().map(Reason::HolderRefused),
            _ => None,
        };
        let reason = reason.unwrap_or_else(|| in_words(refusal));
        match &planned.change {
            Change::PutDwelling(dwelling) => {
                refused_dwellings.insert(dwelling.id.clone(), planned.at.clone());
            }
            Change::AddHolder(id, _) => {
                refused_holders.insert(id.clone(), planned.at.clone());
            }
            Change::ChangeHolder(..)
            | Change::RemoveHolder(_)
            | Change::IssueCard(..)
            | Change::SetCardState(..)
            | Change::RedateCard(..) => {}
        }
        refused.push(Finding {
            at: planned.at.clone(),
            letters: None,
            column: Some(column_of(planned.column, refusal)),
            reason,
        });
    }
    refused.sort_by(|a, b| (&a.at, a.letters, a.column).cmp(&(&b.at, b.letters, b.column)));
    refused.dedup_by(|a, b| a.at == b.at && is_consequence(&a.reason, &b.reason));
    report.set_refused(&refused);
    report.set_notes(&plan.notes);
    report
}

/// Of a row whose dwelling or cardholder is refused for a reason of its own, that is enough.
fn is_consequence(later: &Reason, first: &Reason) -> bool {
    let follows = |reason: &Reason| {
        matches!(
            reason,
            Reason::HolderRefused(_) | Reason::DwellingRefused(_)
        )
    };
    follows(later) && !matches!(first, Reason::SameAs(_)) || later == first
}

/// The column that a refusal is about.
fn column_of(column: Column, refusal: &Refusal) -> Column {
    match refusal {
        Refusal::Beds => Column::Beds,
        Refusal::Number => Column::Number,
        Refusal::NoPlace(_) => Column::Place,
        Refusal::NoDwelling(_) => Column::Dwelling,
        Refusal::LimitReached { .. }
        | Refusal::NoHolder(_)
        | Refusal::HolderThere(_)
        | Refusal::Crowded => Column::Holder,
        Refusal::NoCard | Refusal::CardTaken { .. } => Column::Card,
        Refusal::DatesBackwards | Refusal::Stale { .. } => column,
    }
}

/// A refusal of the ledger in both languages; of a full dwelling, who counts and who does not.
pub fn in_words(refusal: &Refusal) -> Reason {
    let mut en = refusal.to_string();
    let zh = match refusal {
        Refusal::LimitReached {
            dwelling,
            day,
            reckoning,
        } => {
            en.push_str(&who_counts(reckoning, "; counted: ", "; not counted: "));
            format!(
                "住户 {dwelling} 在 {day} 已有 {} 人，限额 {} 人：建筑面积 {} m²，每人 {} m²（规则 {}）{}",
                reckoning.n_holders(),
                reckoning.limit.unwrap_or_default(),
                reckoning.area,
                reckoning.per_person,
                reckoning.rule_version,
                who_counts(reckoning, "；计入：", "；不计入："),
            )
        }
        Refusal::NoDwelling(id) => format!("没有住户 {id}"),
        Refusal::NoHolder(id) => format!("没有持卡人 {id}"),
        Refusal::NoCard => "没有这张卡".to_owned(),
        Refusal::NoPlace(place) => format!("配置中没有楼道 {place}"),
        Refusal::HolderThere(id) => format!("已有持卡人 {id}"),
        Refusal::CardTaken { holder, .. } => {
            format!("这张卡在持卡人 {holder} 手中（请先注销）")
        }
        Refusal::DatesBackwards => "结束早于开始".to_owned(),
        Refusal::Beds => "宿舍须填 0 到 1000 的登记床位，其他类型不填".to_owned(),
        Refusal::Number => "房号须为 1 到 32 个字符".to_owned(),
        Refusal::Crowded => "该户的持卡人或卡过多".to_owned(),
        Refusal::Stale { .. } => "期间已被他人修改".to_owned(),
    };
    Reason::Ledger {
        word: refusal.word(),
        en,
        zh,
    }
}

fn who_counts(reckoning: &Reckoning, counted: &str, not_counted: &str) -> String {
    let mut text = String::new();
    let ids: Vec<&str> = reckoning.counted.iter().map(CardholderId::as_str).collect();
    if !ids.is_empty() {
        text = format!("{counted}{}", ids.join(", "));
    }
    let others = reckoning.not_counted.iter();
    let others: Vec<String> = others
        .map(|(id, why)| format!("{id} ({})", why.word()))
        .collect();
    if !others.is_empty() {
        text.push_str(&format!("{not_counted}{}", others.join(", ")));
    }
    text
}
