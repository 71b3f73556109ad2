//! `[case]`: deadlines of the steps, and the grid map of who is answerable where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::CaseConfig;
use super::section::{At, Section};
use crate::domain::alert::AlertKind;
use crate::domain::case::{
    Allowances, CASE_SEVERITY_MAX, CaseRules, Deadlines, Grid, GridMap, Party, StepKind, Tier,
};
use crate::domain::id::{GridId, StairwellId};
use crate::domain::place::{COMPOUND, Stairwell};

/// Longest time a step may take: a year.
const ALLOWED_S_MAX: u64 = 31_536_000;
/// The word for all buildings that no other grid names.
const REST: &str = "*";

/// The key of each regular step.
const STEP_KEYS: [(&str, StepKind); 6] = [
    ("acknowledge_s", StepKind::Acknowledge),
    ("dispatch_s", StepKind::Dispatch),
    ("accept_s", StepKind::Accept),
    ("resolve_s", StepKind::Resolve),
    ("verify_s", StepKind::Verify),
    ("close_s", StepKind::Close),
];

pub(super) fn read(
    top: &mut Section<'_>,
    store: &super::StorePaths,
    stairwells: &BTreeMap<StairwellId, Stairwell>,
) -> CaseConfig {
    let mut section = top.section("case");
    let pictures = section
        .path("pictures")
        .map_or_else(|| store.path.with_file_name("pictures"), |path| path.value);
    if pictures.starts_with(&store.path) || store.path.starts_with(&pictures) {
        let text = "overlaps store.path (give each a folder of its own)";
        section.report.problem(&section.spot("pictures"), text);
    }
    let deadlines = deadlines(&mut section);
    let grids = grids(&mut section, stairwells);
    section.finish();
    CaseConfig {
        pictures,
        rules: CaseRules { deadlines, grids },
    }
}

/// One `[[case.deadline]]`.
struct Written {
    severity: Option<u8>,
    kinds: Vec<AlertKind>,
    allowed: Vec<(StepKind, Duration)>,
}

fn deadlines(section: &mut Section<'_>) -> Deadlines {
    let mut all = Vec::new();
    let (mut severities, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for mut table in section.sections("deadline") {
        let written = deadline(&mut table);
        if let Some(severity) = written.severity
            && !severities.insert(severity)
        {
            let text = "another deadline is for this severity (write one table for each)";
            table.report.problem(&table.spot("severity"), text);
        }
        for kind in &written.kinds {
            if !kinds.insert(*kind) {
                let text = format!("another deadline is for {:?} (name it once)", kind.as_str());
                table.report.problem(&table.spot("kinds"), text);
            }
        }
        table.finish();
        all.push(written);
    }
    let mut deadlines = Deadlines::default();
    for written in &all {
        if let Some(severity) = written.severity {
            let standard = Allowances::of_severity(severity);
            deadlines
                .by_severity
                .insert(severity, changed(standard, &written.allowed));
        }
    }
    // A kind starts from what its severity has, so that severities come first.
    for written in &all {
        for kind in &written.kinds {
            let standard = deadlines.of(*kind);
            deadlines
                .by_kind
                .insert(*kind, changed(standard, &written.allowed));
        }
    }
    deadlines
}

fn deadline(table: &mut Section<'_>) -> Written {
    let has_severity = table.has("severity");
    // 0 after a mistake, so that it is not taken for one of the others.
    let number = table.number("severity", 1..=u64::from(CASE_SEVERITY_MAX), 0);
    let has_kinds = table.has("kinds");
    let words = table.texts("kinds");
    if has_severity == has_kinds {
        let text =
            "is for a severity or for some kinds (write severity = 1, or kinds = [\"duress\"])";
        table.report.problem(&table.own_spot(), text);
    }
    let kinds = words.iter().filter_map(|word| kind(table, word)).collect();
    let mut allowed = Vec::new();
    for (key, step) in STEP_KEYS {
        let is_written = table.has(key);
        let seconds = table.number(key, 1..=ALLOWED_S_MAX, 1);
        if is_written {
            allowed.push((step, Duration::from_secs(seconds)));
        }
    }
    if allowed.is_empty() {
        let text = "sets no deadline (write such as acknowledge_s = 60)";
        table.report.warning(&table.own_spot(), text);
    }
    let severity = u8::try_from(number).ok().filter(|severity| *severity > 0);
    Written {
        severity,
        kinds,
        allowed,
    }
}

fn kind(table: &Section<'_>, word: &At<String>) -> Option<AlertKind> {
    let opens = |kind: &AlertKind| kind.severity() <= CASE_SEVERITY_MAX;
    match AlertKind::from_word(&word.value) {
        Some(kind) if opens(&kind) => Some(kind),
        Some(_) => {
            let text = format!("{:?} opens no case (remove it)", word.value);
            table.report.problem(&word.spot, text);
            None
        }
        None => {
            let known: Vec<&str> = AlertKind::ALL
                .iter()
                .filter(|kind| opens(kind))
                .map(|kind| kind.as_str())
                .collect();
            let text = format!(
                "there is no alert kind {:?} (known: {})",
                word.value,
                known.join(", ")
            );
            table.report.problem(&word.spot, text);
            None
        }
    }
}

fn changed(mut standard: Allowances, allowed: &[(StepKind, Duration)]) -> Allowances {
    for (step, duration) in allowed {
        if let Some(slot) = standard.of_mut(*step) {
            *slot = *duration;
        }
    }
    standard
}

fn grids(section: &mut Section<'_>, stairwells: &BTreeMap<StairwellId, Stairwell>) -> GridMap {
    let mut map = GridMap::default();
    let mut ids: BTreeSet<GridId> = BTreeSet::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for mut table in section.sections("grid") {
        let id = table.required_parsed::<GridId>("id", "such as \"grid-3\"");
        if let Some(id) = &id {
            table.name_by(id.value.as_str());
            if !ids.insert(id.value.clone()) {
                let text = "another grid has this id (each id must be there once)";
                table.report.problem(&id.spot, text);
            }
        }
        let parties = parties(&mut table);
        let idx = map.grids.len();
        for building in table.texts("buildings") {
            if !taken.insert(building.value.clone()) {
                let text = format!(
                    "{:?} is in a grid already (each building belongs to one)",
                    building.value
                );
                table.report.problem(&building.spot, text);
                continue;
            }
            assign(&mut map, &table, &building, idx, stairwells);
        }
        if !table.has("buildings") {
            let text = "is missing (such as [\"3\", \"compound\"], or [\"*\"] for all others)";
            table.report.problem(&table.spot("buildings"), text);
        }
        table.finish();
        map.grids.push(Grid {
            name: id.map(|id| id.value.to_string()).unwrap_or_default(),
            parties,
        });
    }
    say_who_is_left_out(section, &map, stairwells);
    map
}

fn parties(table: &mut Section<'_>) -> BTreeMap<Tier, Party> {
    let keys = [
        ("community", Tier::Community),
        ("street", Tier::Street),
        ("district", Tier::District),
    ];
    let mut parties = BTreeMap::new();
    let mut is_any_written = false;
    for (key, tier) in keys {
        is_any_written |= table.has(key);
        let party = table.text(key).and_then(|text| table.parse::<Party>(text));
        parties.extend(party.map(|party| (tier, party.value)));
    }
    if !is_any_written {
        let text = "names nobody (write community, street or district = \"a person or a unit\")";
        table.report.problem(&table.own_spot(), text);
    }
    parties
}

fn assign(
    map: &mut GridMap,
    table: &Section<'_>,
    building: &At<String>,
    idx: usize,
    stairwells: &BTreeMap<StairwellId, Stairwell>,
) {
    match building.value.as_str() {
        COMPOUND => map.of_compound = Some(idx),
        REST => map.of_rest = Some(idx),
        name => {
            let of_building = stairwells.values().filter(|at| at.building == name);
            let before = map.of_stairwell.len();
            let rows = of_building.map(|at| (at.id.clone(), idx));
            map.of_stairwell.extend(rows);
            if map.of_stairwell.len() == before {
                let mut known: Vec<&str> =
                    stairwells.values().map(|at| at.building.as_str()).collect();
                known.sort_unstable();
                known.dedup();
                let text = format!(
                    "no stairwell is in a building {name:?} (known: {}; or \"compound\", \"*\")",
                    known.join(", ")
                );
                table.report.problem(&building.spot, text);
            }
        }
    }
}

/// With a map, places outside it are worth a word: their cases are dispatched by hand only.
fn say_who_is_left_out(
    section: &Section<'_>,
    map: &GridMap,
    stairwells: &BTreeMap<StairwellId, Stairwell>,
) {
    if map.grids.is_empty() || map.of_rest.is_some() {
        return;
    }
    let mut left_out: BTreeSet<&str> = stairwells
        .values()
        .filter(|at| !map.of_stairwell.contains_key(&at.id))
        .map(|at| at.building.as_str())
        .collect();
    if map.of_compound.is_none() {
        left_out.insert(COMPOUND);
    }
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.into_iter().collect();
        let text = format!(
            "belongs to no grid: {} (their cases are dispatched by hand; \"*\" means all others)",
            names.join(", ")
        );
        section.report.warning(&section.spot("grid"), text);
    }
}
