//! The keeper against a model that remembers every frame and decides everything at the end.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::bench::*;
use super::*;
use crate::domain::clip::ClipOutcome;
use crate::time::{ns_to_ticks, signed_ns};

#[derive(Clone, Debug)]
enum Op {
    /// A GOP of frames that each come so many ticks after the one before; one may follow a loss.
    Gop(Vec<i64>, Option<usize>),
    NewParams,
    /// The camera is away for so many ms.
    NewRun(u64),
}

fn op() -> impl Strategy<Value = Op> {
    // 0.1 s to 20 s long: constant rates of 1 to 60 a second, and variable ones.
    let steady = (1_500i64..90_000, 1usize..60).prop_map(|(ticks, n)| {
        let n = n.min(usize::try_from(1_800_000 / ticks).unwrap());
        vec![ticks; n.max(1)]
    });
    let varying = prop::collection::vec(
        prop_oneof![20 => 1_500i64..20_000, 1 => 90_000i64..440_000, 1 => 500_000i64..900_000],
        1..40,
    );
    let frames = prop_oneof![3 => steady, 2 => varying];
    prop_oneof![
        20 => (frames, prop::option::weighted(0.05, 0usize..40)).prop_map(|(f, l)| Op::Gop(f, l)),
        1 => Just(Op::NewParams),
        // Longer than the longest last frame, so that there is no doubt that it is a gap.
        1 => (6_000u64..20_000).prop_map(Op::NewRun),
    ]
}

#[derive(Clone, Debug)]
struct Ask {
    at_ms: u64,
    back_ms: u64,
    length_ms: u64,
}

fn ask() -> impl Strategy<Value = Ask> {
    let back_ms = prop_oneof![5 => Just(10_000u64), 1 => 0u64..10_000, 1 => 10_000u64..40_000];
    let length_ms = prop_oneof![4 => Just(30_000u64), 1 => 1u64..60_000];
    (11_000u64..240_000, back_ms, length_ms).prop_map(|(at_ms, back_ms, length_ms)| Ask {
        at_ms,
        back_ms,
        length_ms,
    })
}

fn source_of(ops: &[Op], asks: &[Ask]) -> Source {
    let mut source = Source::new(start());
    for op in ops {
        match op {
            Op::Gop(frames, lost) => {
                for (idx, ticks) in frames.iter().enumerate() {
                    source.frame(*ticks, idx == 0, u32::from(*lost == Some(idx)));
                }
            }
            Op::NewParams => source.new_params(),
            Op::NewRun(ms) => source.new_run(Duration::from_millis(*ms)),
        }
    }
    source.end_run();
    for (n, ask) in asks.iter().enumerate() {
        let ms = Duration::from_millis;
        source.ask(n, ms(ask.at_ms), ms(ask.back_ms), ms(ask.length_ms));
    }
    source
}

/// What the model knows of a frame.
struct Known {
    frame: Frame,
    at: Instant,
    /// When the next frame of the run begins; `None` for the last of its run.
    until: Option<Instant>,
}

fn known_frames(events: &[(Instant, Event)]) -> Vec<Known> {
    let frames = events.iter().filter_map(|(at, event)| match event {
        Event::Frame(frame) => Some((*at, frame.clone())),
        Event::EndRun | Event::Request(_) => None,
    });
    let frames: Vec<_> = frames.collect();
    let mut known = Vec::new();
    for (idx, (at, frame)) in frames.iter().enumerate() {
        let next = frames.get(idx + 1);
        let next = next.filter(|(_, next)| next.run.id == frame.run.id);
        known.push(Known {
            frame: frame.clone(),
            at: *at,
            until: next.map(|(at, _)| *at),
        });
    }
    known
}

/// Frames that a window shows: those it must show, and those it may (the last of a run may or may
/// not stand long enough).
fn expected(known: &[Known], request: &ClipRequest) -> (Vec<usize>, BTreeSet<usize>) {
    let (mut must, mut may) = (Vec::new(), BTreeSet::new());
    for known in known {
        // The keeper reckons in ticks: a frame less than a tick around a border may fall either way.
        let run = &known.frame.run;
        let (from, to) = (run.media_of(request.from), run.media_of(request.to));
        let n = number(&known.frame);
        let begins = known.frame.media;
        if begins >= to.unwrap() {
            continue;
        }
        if known
            .until
            .is_some_and(|until| until >= request.to + STALL_MAX)
            && known.at < request.from
        {
            // Nobody could know, when the clip was settled, how long it would stand.
            may.insert(n);
            continue;
        }
        let stood = known
            .until
            .map(|until| ns_to_ticks(signed_ns(until, known.at)));
        if known.at < request.from && stood.is_some_and(|ticks| ticks > FRAME_TICKS_MAX) {
            // It stood for too long, so it may or may not be shown up to the next.
            may.insert(n);
            continue;
        }
        match known.until.map(|until| run.media_of(until).unwrap()) {
            Some(until) if until > from.unwrap() => must.push(n),
            None if begins >= from.unwrap() => must.push(n),
            None if request.from.saturating_duration_since(known.at) <= s(5) => {
                may.insert(n);
            }
            _ => {}
        }
    }
    (must, may)
}

/// Is there a stretch of the window without a good picture, by the model's reckoning?
fn has_gap(known: &[Known], request: &ClipRequest, must: &[usize]) -> bool {
    let by_number = |n: &usize| known.iter().find(|k| number(&k.frame) == *n).unwrap();
    let shown: Vec<&Known> = must.iter().map(by_number).collect();
    let Some(first) = shown.first() else {
        return true;
    };
    let late = first.frame.run.media_of(request.from).unwrap() < first.frame.media;
    let torn = shown
        .windows(2)
        .any(|pair| pair[0].frame.run.id != pair[1].frame.run.id);
    let stalls = shown.iter().any(|k| {
        // A frame that comes after the clip was settled cannot tell how long the one before stood.
        let until = k.until.filter(|until| *until < request.to + STALL_MAX);
        until.is_some_and(|until| ns_to_ticks(signed_ns(until, k.at)) > FRAME_TICKS_MAX)
    });
    let damaged = known.iter().enumerate().any(|(idx, lost)| {
        if lost.frame.n_lost == 0 || idx == 0 {
            return false;
        }
        let before = &known[idx - 1];
        let same_run = before.frame.run.id == lost.frame.run.id;
        let same_file = before.frame.params == lost.frame.params;
        let from = if same_run && same_file {
            before.at
        } else {
            lost.at
        };
        let heals = known[idx..].iter().find(|k| k.frame.is_key);
        let to = heals.map_or(lost.at + s(60), |k| k.at);
        from < request.to && to > request.from && (to > from)
    });
    late || torn || stalls || damaged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_stream_and_any_windows_give_exactly_the_frames_of_the_model(
        ops in prop::collection::vec(op(), 1..120),
        asks in prop::collection::vec(ask(), 1..10),
    ) {
        let source = source_of(&ops, &asks);
        let begin = source.start;
        let events = source.events();
        let known = known_frames(&events);
        let mut bench = Bench::new(begin);
        bench.run(&events);

        // Nothing is stored twice.
        let stored = bench.stored_numbers();
        let distinct: BTreeSet<usize> = stored.iter().copied().collect();
        // (A window that reaches back further than files stay open may need a torn GOP again.)
        if asks.iter().all(|ask| ask.back_ms <= 15_000) {
            prop_assert_eq!(distinct.len(), stored.len());
        }
        prop_assert!(bench.disk.values().all(|stored| stored.is_closed));
        prop_assert_eq!(bench.keeper.n_gops_lost(), 0);

        for (n, asked) in asks.iter().enumerate() {
            let (request, at) = bench
                .settled
                .iter()
                .find(|(settled, _)| settled.request.entry == entry(n))
                .map(|(settled, at)| (settled.request.clone(), *at))
                .expect("every request is settled");
            let asked_at = request.from + Duration::from_millis(asked.back_ms);
            let latest = asked_at.max(request.to + STALL_MAX) + Duration::from_millis(1);
            prop_assert!(at <= latest);

            let (must, may) = expected(&known, &request);
            let outcome = bench.outcome(n);
            let spans = match outcome {
                ClipOutcome::Whole(spans) | ClipOutcome::Partial { spans, .. } => spans.clone(),
                ClipOutcome::Missed(_) => Vec::new(),
            };
            let gaps = gaps_of(outcome);
            prop_assert!(gaps.iter().all(|gap| gap.from < gap.to));
            prop_assert!(gaps.windows(2).all(|pair| pair[0].to <= pair[1].from));
            prop_assert!(gaps.iter().all(|gap| gap.from >= request.window.from));
            prop_assert!(gaps.iter().all(|gap| gap.to <= request.window.to));
            let mut shown = bench.shown(&spans);
            shown.retain(|n| !may.contains(n));
            if asked.back_ms <= 10_000 {
                prop_assert_eq!(&shown, &must, "{:?}", outcome);
                let is_whole = matches!(outcome, ClipOutcome::Whole(_));
                let is_known_to_its_end = known.iter().any(|k| {
                    // Seen before the clip was settled.
                    number(&k.frame) == *must.last().unwrap_or(&usize::MAX)
                        && k.until.is_some_and(|until| {
                            until >= request.to && until < request.to + STALL_MAX
                        })
                });
                // A loss right at the end may or may not have been seen.
                let lost_at_end = known.windows(2).any(|pair| {
                    pair[1].frame.n_lost > 0
                        && pair[0].at < request.to
                        && pair[1].at >= request.to
                });
                let has_gap = has_gap(&known, &request, &must);
                // Where the camera stopped before the end, the last frame's length is a guess.
                let is_sure = is_known_to_its_end || (!must.is_empty() && has_gap);
                if is_known_to_its_end && is_whole && let Some(last) = spans.last() {
                    prop_assert!(bench.is_border(last), "{:?}", outcome);
                }
                if is_sure && !lost_at_end {
                    prop_assert_eq!(is_whole, !has_gap, "{:?}", outcome);
                }
            } else {
                // What had left the ring is a gap; what is shown is right all the same.
                let must: BTreeSet<usize> = must.into_iter().collect();
                prop_assert!(shown.iter().all(|n| must.contains(n)));
                prop_assert!(shown.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    #[test]
    fn only_gops_that_meet_a_window_are_stored(
        ops in prop::collection::vec(op(), 1..80),
        asks in prop::collection::vec(ask(), 1..4),
    ) {
        let source = source_of(&ops, &asks);
        let begin = source.start;
        let events = source.events();
        let known = known_frames(&events);
        let mut bench = Bench::new(begin);
        bench.run(&events);
        let keys: Vec<&Known> = known.iter().filter(|k| k.frame.is_key).collect();
        for n in bench.stored_numbers() {
            let own = keys.partition_point(|k| number(&k.frame) <= n) - 1;
            let (begins, until) = (keys[own].at, keys.get(own + 1).map(|k| k.at));
            let meets = bench.settled.iter().any(|(settled, _)| {
                let request = &settled.request;
                begins <= request.to
                    && until.is_none_or(|until| until + SLACK + s(5) >= request.from)
            });
            prop_assert!(meets, "frame {} belongs to no window", n);
        }
    }

    #[test]
    fn jitter_never_costs_the_beginning_of_a_window(
        delays_ms in prop::collection::vec(0u64..120, 50),
        gop in 1usize..250,
        at_s in 12u64..40,
    ) {
        let mut source = Source::new(start());
        let n_frames = 25 * 80;
        for idx in 0..n_frames {
            let delay = delays_ms[idx % delays_ms.len()];
            source.late_frame(3_600, idx % gop == 0, Duration::from_millis(delay));
        }
        source.ask(1, s(at_s), PRE_ROLL, CLIP);
        let bench = bench_of(source);
        let ClipOutcome::Whole(spans) = bench.outcome(1) else {
            return Err(TestCaseError::fail(format!("{:?}", bench.outcome(1))));
        };
        prop_assert_eq!(spans.len(), 1);
        let request = &bench.settled[0].0.request;
        let shown = bench.shown(spans);
        // Frame n was taken 40 ms x (n + 1) after the start; the least delay is all that is not known. No
        // frame overtakes the one before it, so a delay never shrinks by more than a frame's time.
        let mut delay = 0;
        let delays = (0..n_frames).map(|idx| {
            delay = delays_ms[idx % delays_ms.len()].max(u64::saturating_sub(delay, 40));
            delay
        });
        let least = delays.min().unwrap();
        let taken = |n: usize| bench.start + Duration::from_millis(40 * (n as u64 + 1) + least);
        prop_assert!(taken(shown[0]) <= request.from + Duration::from_millis(1));
        prop_assert!(taken(shown[0] + 1) + Duration::from_millis(1) >= request.from);
        prop_assert!((749..=751).contains(&shown.len()), "{}", shown.len());
        let (_, at) = &bench.settled[0];
        prop_assert!(at.saturating_duration_since(request.to) <= Duration::from_millis(200));
    }
}
