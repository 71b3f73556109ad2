//! Disks that are full, fail or are away while people swipe: what can be kept is kept, what cannot is an
//! outcome with its reason, alerts go out all the same, and nothing that was acknowledged is lost.

use std::time::Duration;

use stairgate::domain::id::EntryId;
use tokio::time::{Instant, sleep_until};

use super::compound::{Compound, CompoundOptions, Published, Reckoning, new_whole_clip};
use crate::harness::disk::{Ballast, Failing, FailingDisk, Mount, has_own_mounts};
use crate::harness::gateway::Gateway;
use crate::harness::wait::eventually;

/// Long enough for clips to begin and end within it: 5 s of a clip, and 3 s.
const TROUBLE: Duration = Duration::from_secs(8);
/// Longest time for a gateway without its store to end: 5 s for commits in hand and the steps after.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// When something was wrong.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    from: Instant,
    to: Instant,
}

impl Trouble {
    /// Swipes whose whole window lies in it, with some time to spare for what was under way.
    fn covers(self, at: Instant) -> bool {
        let second = Duration::from_secs(1);
        at > self.from + second * 3 && at + second * 4 < self.to
    }
}

/// Entries flow, then `begin` makes trouble for a while, `end` ends it, and entries flow on.
async fn in_mid_flow<T>(
    compound: &Compound,
    gateway: &mut Gateway,
    begin: impl FnOnce() -> T,
    end: impl FnOnce(T),
) -> (Published, Trouble) {
    let troubled = async {
        gateway.ready().await;
        new_whole_clip(gateway).await;
        let from = Instant::now();
        let trouble = begin();
        // Time that clips need, not a state that could be waited for.
        sleep_until(from + TROUBLE).await;
        assert!(gateway.exited().is_none(), "it goes on without footage");
        let n_taken = compound.police.received().len();
        eventually(
            "alerts go out all the same",
            Duration::from_secs(10),
            || compound.police.received().len() >= n_taken + 5,
        )
        .await;
        let to = Instant::now();
        end(trouble);
        new_whole_clip(gateway).await;
        Trouble { from, to }
    };
    compound.while_swiping(troubled).await
}

/// Swipes in the midst of the trouble, and what became of their clips.
fn in_trouble<'a>(
    published: &'a Published,
    reckoning: &'a Reckoning,
    trouble: Trouble,
) -> Vec<(&'a EntryId, &'a str)> {
    let swipes = published
        .iter()
        .filter(|(_, swiped)| trouble.covers(swiped.at));
    swipes
        .map(|(id, _)| (id, reckoning.clip_of.0[id].as_str()))
        .collect()
}

/// The gateway goes on without its footage disk; each clip of that time says `reason`.
async fn footage_in_trouble<T>(
    compound: &Compound,
    envs: &[(&str, &str)],
    reason: &str,
    begin: impl FnOnce() -> T,
    end: impl FnOnce(T),
) {
    let mut gateway = compound.gateway(envs).await;
    for line in [
        "footage cannot be written",
        "footage lost, the disk is too slow or refuses",
        "little space on the footage disk",
        "footage disk is gone",
        "clip cannot be summed",
        "camera session lost",
        "footage cannot be read",
    ] {
        gateway.expect(line);
    }
    let (published, trouble) = in_mid_flow(compound, &mut gateway, begin, end).await;
    compound.calm(&gateway, &published).await;
    gateway.stop(Duration::from_secs(30)).await;
    let reckoning = compound.reckon(&published).await;
    let clips = in_trouble(&published, &reckoning, trouble);
    assert!(clips.len() >= 10, "{trouble:?}");
    for (id, clip) in &clips {
        assert!(clip.contains(reason), "{id}: {clip}");
    }
    println!(
        "{} swipes in the midst of the trouble: {reason}",
        clips.len()
    );
}

/// The gateway ends without its store, says why, and goes on when it is started on a sound disk.
async fn store_in_trouble<T>(
    compound: Compound,
    envs: &[(&str, &str)],
    says: &str,
    begin: impl FnOnce() -> T,
    end: impl FnOnce(T),
) {
    let mut gateway = compound.gateway(envs).await;
    // sled's own words, ours, and those of all that cannot go on without it.
    for line in ["sled::", "store", "task failed", "vital task ended"] {
        gateway.expect(line);
    }
    let troubled = async {
        gateway.ready().await;
        new_whole_clip(&gateway).await;
        let trouble = begin();
        eventually("it ends", ENDS_WITHIN, || gateway.exited().is_some()).await;
        let status = gateway.exited().unwrap();
        let log = gateway.log();
        assert_eq!(status.code(), Some(1), "{status}\n{log}");
        // Threads that end behind the last word may say so.
        let of_threads = |line: &&str| line.contains("thread ended");
        let last = log.lines().rev().find(|line| !of_threads(line));
        let last = last.unwrap_or_default().to_owned();
        assert!(last.contains(says), "{last:?} does not say {says:?}");
        // Whoever starts it again meets the same disk.
        gateway.start_again();
        eventually("it ends again", ENDS_WITHIN, || gateway.exited().is_some()).await;
        assert!(!gateway.exited().unwrap().success());
        end(trouble);
        gateway.start_again();
        gateway.ready().await;
        new_whole_clip(&gateway).await;
    };
    let (published, ()) = compound.while_swiping(troubled).await;
    compound.calm(&gateway, &published).await;
    gateway.stop(Duration::from_secs(30)).await;
    compound.reckon(&published).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_footage_disk_costs_clips_that_say_so_and_nothing_else() {
    if !has_own_mounts(
        module_path!(),
        "a_full_footage_disk_costs_clips_that_say_so_and_nothing_else",
    ) {
        return;
    }
    let compound = Compound::start(&CompoundOptions {
        footage: "free_space_floor = \"1MB\"",
        ..CompoundOptions::default()
    })
    .await;
    let footage = compound.path("footage");
    let _disk = Mount::memory(&footage, 64);
    let fill = move || Ballast::fill(&footage);
    footage_in_trouble(&compound, &[], "disk-full", fill, drop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_ends_the_gateway_and_loses_nothing() {
    if !has_own_mounts(
        module_path!(),
        "a_full_store_ends_the_gateway_and_loses_nothing",
    ) {
        return;
    }
    let compound = Compound::start(&CompoundOptions::default()).await;
    let store = compound.path("store");
    let _disk = Mount::memory(&store, 64);
    let fill = move || Ballast::fill(&store);
    store_in_trouble(compound, &[], "No space left", fill, drop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_footage_disk_taken_away_and_brought_back_costs_only_the_time_between() {
    if !has_own_mounts(
        module_path!(),
        "a_footage_disk_taken_away_and_brought_back_costs_only_the_time_between",
    ) {
        return;
    }
    let compound = Compound::start(&CompoundOptions::default()).await;
    let (disk, footage) = (compound.path("disk"), compound.path("footage"));
    let _disk = Mount::memory(&disk, 64);
    let (from, to) = (disk.clone(), footage.clone());
    let mounted = std::cell::RefCell::new(Some(Mount::of(&disk, &footage)));
    // What lies open goes on to the disk although it is unmounted; what is begun from now on cannot.
    let take = || {
        drop(mounted.borrow_mut().take());
        compound.reset_cameras();
    };
    let bring = |()| {
        mounted.borrow_mut().replace(Mount::of(&from, &to));
    };
    footage_in_trouble(&compound, &[], "disk-away", take, bring).await;
    drop(mounted.borrow_mut().take());
    let below = std::fs::read_dir(&footage).unwrap().count();
    assert_eq!(below, 0, "nothing was written to the bare mount point");
}

async fn failing_footage(what: Failing) {
    let compound = Compound::start(&CompoundOptions::default()).await;
    let footage = compound.path("footage");
    let disk = FailingDisk::new(compound.dir.path());
    let fail = || disk.fail(what, &footage);
    footage_in_trouble(&compound, &disk.envs(), "write-failed", fail, |()| {
        disk.heal();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_that_cannot_be_written_is_said_and_written_again_once_it_can() {
    failing_footage(Failing::Write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_that_the_disk_does_not_confirm_does_not_count() {
    failing_footage(Failing::Sync).await;
}

async fn failing_store(what: Failing) {
    let compound = Compound::start(&CompoundOptions::default()).await;
    let store = compound.path("store");
    let disk = FailingDisk::new(compound.dir.path());
    let fail = || disk.fail(what, &store);
    store_in_trouble(compound, &disk.envs(), "Input/output error", fail, |()| {
        disk.heal();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_written_ends_the_gateway_and_loses_nothing() {
    failing_store(Failing::Write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_the_disk_does_not_confirm_ends_the_gateway_and_loses_nothing() {
    failing_store(Failing::Sync).await;
}
