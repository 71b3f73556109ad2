//! The keeper, case by case.

use std::collections::BTreeSet;

use super::bench::*;
use super::*;
use crate::domain::clip::MissedReason;
use crate::domain::clip::{ClipOutcome, GapReason};

#[test]
fn a_lone_swipe_makes_one_file_of_its_window_and_lead_in() {
    let mut source = Source::new(start());
    source.gops(60, 50);
    source.ask(1, s(41), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let ClipOutcome::Whole(spans) = bench.outcome(1) else {
        panic!("{:?}", bench.outcome(1));
    };
    assert_eq!(spans.len(), 1);
    // Frames come every 40 ms from 40 ms on: the window is 31 s to 61 s.
    let shown = bench.shown(spans);
    assert_eq!((shown[0], shown.len()), (774, 750));
    let stored = bench.stored_numbers();
    assert_eq!(stored.first(), Some(&750), "from the key frame before it");
    assert!(*stored.last().unwrap() < 1_550 + 50);
    assert_eq!(bench.disk.len(), 1);
}

#[test]
fn a_clip_settles_at_the_first_frame_after_its_window_whatever_the_gop() {
    for gop in [1, 25, 500] {
        let mut source = Source::new(start());
        source.gops(2_500 / gop, gop);
        source.ask(1, s(31), PRE_ROLL, CLIP);
        let bench = bench_of(source);
        let (settled, at) = &bench.settled[0];
        let late = at.saturating_duration_since(settled.request.to);
        assert!(late <= Duration::from_millis(40), "{late:?}");
        assert!(matches!(settled.outcome, ClipOutcome::Whole(_)));
    }
}

#[test]
fn ten_overlapping_swipes_store_each_second_once() {
    let mut source = Source::new(start());
    source.gops(60, 50);
    for n in 0..10 {
        source.ask(n, s(20 + 3 * n as u64), PRE_ROLL, CLIP);
    }
    let bench = bench_of(source);
    assert_eq!(bench.disk.len(), 1, "all share one file");
    let stored = bench.stored_numbers();
    let distinct: BTreeSet<usize> = stored.iter().copied().collect();
    assert_eq!(distinct.len(), stored.len());
    // 10 s to 67 s, out to the GOPs' borders.
    assert!(stored.len() <= 57 * 25 + 2 * 50, "{}", stored.len());
    for n in 0..10 {
        assert!(matches!(bench.outcome(n), ClipOutcome::Whole(_)));
    }
}

#[test]
fn a_swipe_soon_after_a_clip_continues_its_file() {
    let mut source = Source::new(start());
    source.gops(50, 50);
    source.ask(1, s(20), PRE_ROLL, CLIP);
    source.ask(2, s(45), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    assert_eq!(bench.disk.len(), 1);
    assert!(matches!(bench.outcome(2), ClipOutcome::Whole(spans) if spans.len() == 1));
}

#[test]
fn a_long_gop_is_not_stored_twice_by_a_swipe_in_its_later_part() {
    // One GOP of 60 s, twice; the second swipe's lead-in lies in the first one's file.
    let mut source = Source::new(start());
    source.gops(2, 1_500);
    source.ask(1, s(15), PRE_ROLL, s(12));
    source.ask(2, s(58), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let stored = bench.stored_numbers();
    let distinct: BTreeSet<usize> = stored.iter().copied().collect();
    assert_eq!(distinct.len(), stored.len());
    assert!(matches!(bench.outcome(2), ClipOutcome::Whole(_)));
}

#[test]
fn new_parameters_in_mid_clip_start_a_file_and_lose_nothing() {
    let mut source = Source::new(start());
    source.gops(12, 50);
    source.new_params();
    source.gops(20, 50);
    source.ask(1, s(20), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let ClipOutcome::Whole(spans) = bench.outcome(1) else {
        panic!("{:?}", bench.outcome(1));
    };
    assert_eq!(spans.len(), 2);
    assert_eq!(bench.shown(spans).len(), 750);
}

#[test]
fn a_reconnect_in_mid_clip_is_a_gap_with_its_reason_and_length() {
    let mut source = Source::new(start());
    source.gops(12, 50);
    source.new_run(s(3));
    source.gops(20, 50);
    source.ask(1, s(20), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let gaps = gaps_of(bench.outcome(1));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, GapReason::CameraDown);
    let length = gaps[0].to.since(gaps[0].from);
    assert!(length > s(2) && length < s(4), "{length:?}");
}

#[test]
fn a_camera_that_stops_leaves_a_partial_clip_soon_after_the_window() {
    let mut source = Source::new(start());
    source.gops(14, 50);
    source.ask(1, s(20), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let ClipOutcome::Partial { spans, gaps } = bench.outcome(1) else {
        panic!("{:?}", bench.outcome(1));
    };
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, GapReason::CameraDown);
    assert_eq!(bench.shown(spans).last(), Some(&(14 * 50 - 1)));
    let (settled, at) = &bench.settled[0];
    assert!(*at <= settled.request.to + GRACE + Duration::from_millis(1));
}

#[test]
fn a_camera_that_never_came_is_missed_as_camera_down() {
    let mut source = Source::new(start());
    source.ask(1, s(20), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let expected = ClipOutcome::Missed(MissedReason::CameraDown);
    assert_eq!(*bench.outcome(1), expected);
}

#[test]
fn a_swipe_just_after_start_has_a_gap_for_the_time_before() {
    let mut source = Source::new(start());
    source.gops(30, 50);
    source.ask(1, s(4), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let gaps = gaps_of(bench.outcome(1));
    assert_eq!(gaps[0].reason, GapReason::GatewayDown);
    assert_eq!(gaps[0].to.since(gaps[0].from), s(6));
}

#[test]
fn a_window_that_reaches_behind_the_ring_says_so() {
    let mut source = Source::new(start());
    source.gops(50, 50);
    source.ask(1, s(60), s(25), CLIP);
    let bench = bench_of(source);
    let gaps = gaps_of(bench.outcome(1));
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, GapReason::BeforePreRoll);
}

#[test]
fn lost_packets_are_a_gap_up_to_the_next_key_frame_and_their_frames_are_kept() {
    let mut source = Source::new(start());
    source.gops(10, 50);
    for idx in 0..50 {
        source.frame(3_600, idx == 0, u32::from(idx == 20));
    }
    source.gops(10, 50);
    source.ask(1, s(20), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let ClipOutcome::Partial { spans, gaps } = bench.outcome(1) else {
        panic!("{:?}", bench.outcome(1));
    };
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, GapReason::PacketsLost);
    // From frame 19 of the GOP to the next key frame.
    assert_eq!(
        gaps[0].to.since(gaps[0].from),
        Duration::from_millis(31 * 40)
    );
    assert_eq!(bench.shown(spans).len(), 750);
}

#[test]
fn a_gop_with_lost_packets_stays_damaged_when_its_rest_comes_late() {
    let mut source = Source::new(start());
    source.gops(20, 50);
    source.gops(1, 10);
    source.frame(3_600, false, 1);
    // The first clip is settled before the next frame comes, 4 s later; the rest of the GOP is shown
    // by the second clip.
    source.frame(360_000, false, 0);
    for _ in 0..100 {
        source.frame(3_600, false, 0);
    }
    source.gops(20, 50);
    source.ask(1, s(35), s(10), Duration::from_millis(15_500));
    source.ask(2, s(54), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    // The loss was at 40.44 s, the next key frame comes at 48.48 s; the second window begins at 44 s.
    for (n, ms) in [(1, 100), (2, 4_480)] {
        let gaps = gaps_of(bench.outcome(n));
        let lost = gaps
            .iter()
            .filter(|gap| gap.reason == GapReason::PacketsLost);
        let lost_ms: i64 = lost.map(|gap| gap.to.ns_since(gap.from) / 1_000_000).sum();
        assert!((lost_ms - ms).abs() <= 80, "{n}: {gaps:?}");
    }
}

#[test]
fn a_camera_that_freezes_and_goes_on_leaves_a_gap() {
    let mut source = Source::new(start());
    source.gops(9, 50);
    source.frame(3_600, true, 0);
    source.frame(9 * 90_000, false, 0);
    source.gops(20, 50);
    source.ask(1, s(22), PRE_ROLL, CLIP);
    let bench = bench_of(source);
    let gaps = gaps_of(bench.outcome(1));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, GapReason::CameraDown);
}

#[test]
fn a_disk_that_is_full_for_long_is_a_gap_and_counted() {
    let mut source = Source::new(start());
    source.gops(50, 50);
    source.ask(1, s(30), PRE_ROLL, CLIP);
    let mut bench = Bench::new(source.start);
    bench.full = Some((source.start + s(32), source.start + s(48)));
    bench.run(&source.events());
    let gaps = gaps_of(bench.outcome(1));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, GapReason::DiskFull);
    assert!(bench.keeper.n_gops_lost() > 0);
    let (settled, at) = &bench.settled[0];
    assert!(*at <= settled.request.to + GRACE + Duration::from_millis(1));
}

#[test]
fn a_disk_that_recovers_in_time_costs_no_frame() {
    let mut source = Source::new(start());
    source.gops(50, 50);
    source.ask(1, s(30), PRE_ROLL, CLIP);
    let mut bench = Bench::new(source.start);
    bench.full = Some((source.start + s(33), source.start + s(38)));
    bench.run(&source.events());
    let ClipOutcome::Whole(spans) = bench.outcome(1) else {
        panic!("{:?}", bench.outcome(1));
    };
    assert_eq!(spans.len(), 2, "a file that failed is not appended to");
    assert_eq!(bench.shown(spans).len(), 750);
    assert_eq!(bench.keeper.n_gops_lost(), 0);
}

#[test]
fn a_disk_that_is_away_is_called_so() {
    let mut source = Source::new(start());
    source.gops(50, 50);
    source.ask(1, s(30), PRE_ROLL, CLIP);
    for (from, until) in [(32, 48), (0, 1_000)] {
        let mut bench = Bench::new(source.start);
        bench.full = Some((source.start + s(from), source.start + s(until)));
        bench.full_for = GapReason::DiskAway;
        bench.run(&source.clone().events());
        match bench.outcome(1) {
            ClipOutcome::Partial { gaps, .. } => assert_eq!(gaps[0].reason, GapReason::DiskAway),
            outcome => assert_eq!(*outcome, ClipOutcome::Missed(MissedReason::DiskAway)),
        }
    }
}

#[test]
fn a_disk_that_is_full_throughout_is_missed_as_such() {
    let mut source = Source::new(start());
    source.gops(50, 50);
    source.ask(1, s(30), PRE_ROLL, CLIP);
    let mut bench = Bench::new(source.start);
    bench.full = Some((source.start, source.start + s(1_000)));
    bench.run(&source.events());
    let expected = ClipOutcome::Missed(MissedReason::DiskFull);
    assert_eq!(*bench.outcome(1), expected);
    assert!(bench.n_writes < 100, "the disk is not hammered");
}

#[test]
fn frames_that_the_disk_never_confirmed_do_not_count() {
    let mut source = Source::new(start());
    source.gops(6, 50);
    source.ask(1, s(11), PRE_ROLL, CLIP);
    let mut bench = Bench::new(source.start);
    let events = source.events();
    for (at, event) in &events {
        match event {
            Event::Frame(frame) => {
                bench.ring.push(frame.clone());
            }
            Event::Request(request) => bench.keeper.request(request.clone()),
            Event::EndRun => {}
        }
        if *at > bench.start + s(11) {
            break;
        }
    }
    let now = bench.start + s(12);
    let round = bench.keeper.begin(now, bench.ring.gops_after(None).gops);
    while let Some(write) = bench.keeper.next_write(&round) {
        let name = bench.append(&write);
        bench.keeper.wrote(&round, &write, Ok(name));
    }
    for file in bench.keeper.syncs(&round) {
        bench.keeper.synced(&round, file, Err(GapReason::DiskFull));
    }
    bench.keeper.close();
    let settled = bench.keeper.settle(&round);
    assert!(matches!(settled[0].outcome, ClipOutcome::Missed(_)));
}

#[test]
fn closing_settles_every_open_clip_with_what_there_is() {
    let mut source = Source::new(start());
    source.gops(10, 50);
    source.ask(1, s(15), PRE_ROLL, CLIP);
    let mut bench = Bench::new(source.start);
    let events = source.events();
    for (at, event) in &events {
        match event {
            Event::Frame(frame) => {
                frame.run.clock.lock().observe(frame.media, frame.arrived);
                bench.ring.push(frame.clone());
                bench.newest = Some(frame.clone());
                bench.tick(*at);
            }
            Event::Request(request) => {
                bench.keeper.request(request.clone());
                bench.round(*at);
            }
            Event::EndRun => {}
        }
    }
    bench.keeper.close();
    bench.round(bench.start + s(20));
    let ClipOutcome::Partial { spans, gaps } = bench.outcome(1) else {
        panic!("{:?}", bench.outcome(1));
    };
    assert_eq!(bench.shown(spans).last(), Some(&499));
    assert_eq!(gaps.last().unwrap().reason, GapReason::GatewayDown);
    assert!(bench.disk.values().all(|stored| stored.is_closed));
}
