//! What became of an import, as JSON and as a table for people: no names and no card numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::Planned;
use super::reason::Finding;

/// Changes and findings that are listed one by one, at most; the rest are only counted.
pub const LISTED_MAX: usize = 2_000;

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Was it only tried?
    pub dry_run: bool,
    /// Is what was not refused in the ledger, durably?
    pub applied: bool,
    /// Rows of the file with something in them.
    pub rows: usize,
    /// Changes by their word, as `add-holder`: made, or to be made.
    pub counts: BTreeMap<String, usize>,
    /// Those changes, the first [`LISTED_MAX`].
    pub changes: Vec<ChangeLine>,
    /// How many more there are.
    pub more_changes: usize,
    /// Why rows are refused, the first [`LISTED_MAX`] reasons.
    pub refused: Vec<FindingLine>,
    /// How many more there are.
    pub more_refused: usize,
    /// Rows that are refused.
    pub refused_rows: usize,
    /// What was noticed and keeps nothing back, the first [`LISTED_MAX`].
    pub notes: Vec<FindingLine>,
    /// How many more there are.
    pub more_notes: usize,
}

impl ImportReport {
    /// How many changes there are.
    pub fn n_changes(&self) -> usize {
        self.counts.values().sum()
    }

    /// What the audit says of it.
    pub fn in_audit(&self) -> String {
        format!(
            "imported: {} rows, {} changes, {} rows refused",
            self.rows,
            self.n_changes(),
            self.refused_rows
        )
    }

    pub(super) fn add_change(&mut self, planned: &Planned) {
        let word = planned.change.word();
        *self.counts.entry(word.to_owned()).or_default() += 1;
        if self.changes.len() >= LISTED_MAX {
            self.more_changes += 1;
            return;
        }
        let effect = &planned.effect;
        self.changes.push(ChangeLine {
            sheet: planned.at.sheet.as_deref().map(str::to_owned),
            row: planned.at.row,
            change: word.to_owned(),
            dwelling: effect.dwelling.to_string(),
            holder: effect.holder.as_ref().map(ToString::to_string),
            card_ref: effect.card.clone(),
            detail: effect.detail.clone(),
        });
    }

    pub(super) fn set_refused(&mut self, findings: &[Finding]) {
        let rows: std::collections::BTreeSet<_> = findings.iter().map(|one| &one.at).collect();
        self.refused_rows = rows.len();
        (self.refused, self.more_refused) = listed(findings);
    }

    pub(super) fn set_notes(&mut self, findings: &[Finding]) {
        (self.notes, self.more_notes) = listed(findings);
    }
}

fn listed(findings: &[Finding]) -> (Vec<FindingLine>, usize) {
    let lines: Vec<FindingLine> = findings
        .iter()
        .take(LISTED_MAX)
        .map(FindingLine::from)
        .collect();
    let n_more = findings.len() - lines.len();
    (lines, n_more)
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// The sheet; `None`: the file is CSV.
    pub sheet: Option<String>,
    /// The row that wants it, from 1.
    pub row: u32,
    /// Its word, as `put-dwelling`.
    pub change: String,
    /// The dwelling.
    pub dwelling: String,
    /// The cardholder.
    pub holder: Option<String>,
    /// The card: its last digits.
    pub card_ref: Option<String>,
    /// What is new.
    pub detail: String,
}

/// One reason at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingLine {
    /// The sheet; `None`: the file is CSV.
    pub sheet: Option<String>,
    /// The row, from 1; 0: the sheet as a whole.
    pub row: u32,
    /// The column's letters; `None`: the row as a whole.
    pub column: Option<String>,
    /// What the column is, by its English heading.
    pub heading: Option<String>,
    /// The reason's word.
    pub reason: String,
    /// What is wrong and what to do.
    pub en: String,
    /// The same in Chinese.
    pub zh: String,
}

impl From<&Finding> for FindingLine {
    fn from(found: &Finding) -> FindingLine {
        FindingLine {
            sheet: found.at.sheet.as_deref().map(str::to_owned),
            row: found.at.row,
            column: found.letters.map(|letters| letters.to_string()),
            heading: found.column.map(|column| column.heading_en().to_owned()),
            reason: found.reason.word().to_owned(),
            en: found.reason.to_string(),
            zh: found.reason.zh(),
        }
    }
}
