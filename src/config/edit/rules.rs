//! What a change may not do, whatever the file would say afterwards.

use url::Url;

use super::view::Lists;
use crate::site::{CompoundEntry, LinkageEntry, SiteChange, SiteProblem};

/// Entries of one list, at most.
pub const ENTRIES_MAX: usize = 10_000;

/// Lists that nobody can mean.
pub(super) fn too_many(change: &SiteChange) -> Vec<SiteProblem> {
    let sizes = [
        ("stairwells", change.stairwells.as_ref().map(Vec::len)),
        ("cameras", change.cameras.as_ref().map(Vec::len)),
        ("doors", change.doors.as_ref().map(Vec::len)),
        ("linkages", change.linkages.as_ref().map(Vec::len)),
    ];
    let too_long = sizes
        .into_iter()
        .filter(|(_, size)| size.is_some_and(|size| size > ENTRIES_MAX));
    let problems = too_long.map(|(name, _)| {
        let what = format!("has more than {ENTRIES_MAX} entries (leave some out)");
        SiteProblem::new(name, what)
    });
    problems.collect()
}

/// What cannot be changed while the gateway runs, or from afar.
pub(super) fn fixed(
    change: &SiteChange,
    compound: &CompoundEntry,
    lists: &Lists,
) -> Vec<SiteProblem> {
    let mut problems = Vec::new();
    let mut is_fixed = |at: String, is_same: bool, why: &str| {
        if !is_same {
            problems.push(SiteProblem::new(at, why));
        }
    };
    if let Some(wanted) = &change.compound {
        let why = "cannot be changed while the gateway runs: topics are made of it (change it in \
                   the configuration file and restart)";
        is_fixed("compound.id".to_owned(), wanted.id == compound.id, why);
        let why = "cannot be changed while the gateway runs (change it in the configuration file \
                   and restart)";
        let is_same = wanted.time_zone == compound.time_zone;
        is_fixed("compound.time_zone".to_owned(), is_same, why);
    }
    for wanted in change.linkages.iter().flatten() {
        let id = wanted.was.as_ref().unwrap_or(&wanted.id);
        let none = LinkageEntry::default();
        let known = lists.linkages.iter().find(|known| known.id == *id);
        let known = known.unwrap_or(&none);
        for (name, wanted_file, file) in [
            ("ca_file", &wanted.ca_file, &known.ca_file),
            ("cert_file", &wanted.cert_file, &known.cert_file),
            ("key_file", &wanted.key_file, &known.key_file),
        ] {
            let why = "names a file of the gateway's machine: it can be set in the configuration \
                       file only";
            let at = format!("linkage.{}.{name}", wanted.id);
            is_fixed(at, wanted_file == file, why);
        }
    }
    problems
}

/// Kept secrets that would be sent to another host than before. Who may change an address must not learn a
/// password by it, so it has to be typed again.
pub(super) fn carried_off(change: &SiteChange, lists: &Lists) -> Vec<SiteProblem> {
    let mut problems = Vec::new();
    let mut look = |at: String, kept: bool, before: &[Option<&str>], after: &[Option<&str>]| {
        let known: Vec<String> = before
            .iter()
            .flatten()
            .filter_map(|url| host(url))
            .collect();
        let mut hosts = after.iter().flatten().filter_map(|url| host(url));
        if kept && hosts.any(|host| !known.contains(&host)) {
            let what = "is on another host: type its password or secret again, the one that is kept \
                        does not go there";
            problems.push(SiteProblem::new(at, what));
        }
    };
    for wanted in change.cameras.iter().flatten() {
        let id = wanted.was.as_ref().unwrap_or(&wanted.id);
        if let Some(known) = lists.cameras.iter().find(|known| known.id == *id) {
            let has_login = wanted
                .username
                .as_ref()
                .is_some_and(|name| !name.is_empty());
            look(
                format!("camera.{}.url", wanted.id),
                known.has_password && has_login && wanted.password.is_none(),
                &[Some(&known.url), known.sub_url.as_deref()],
                &[Some(&wanted.url), wanted.sub_url.as_deref()],
            );
        }
    }
    for wanted in change.linkages.iter().flatten() {
        let id = wanted.was.as_ref().unwrap_or(&wanted.id);
        if let Some(known) = lists.linkages.iter().find(|known| known.id == *id) {
            // A webhook's secret signs and is not sent.
            let is_sent = known.kind == wanted.kind && wanted.kind != "webhook";
            look(
                format!("linkage.{}.url", wanted.id),
                known.has_secret && is_sent && wanted.secret.is_none(),
                &[Some(&known.url)],
                &[Some(&wanted.url)],
            );
        }
    }
    problems
}

fn host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(url.host_str()?.to_ascii_lowercase())
}
