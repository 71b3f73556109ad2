//! Placement by what a door's clock says, and what a backlog must not do to it.

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const DAY: Duration = Duration::from_secs(86_400);

fn at(ms: i64) -> WallTime {
    WallTime::from_unix_ms(1_800_000_000_000 + ms)
}

fn live(ms: u64) -> Placement {
    Placement::Live {
        delay: Duration::from_millis(ms),
    }
}

/// A door of which swipes come one after another.
struct DoorOf {
    estimate: SkewEstimate,
    start: Instant,
    /// By how much our wall clock was set.
    set_ms: i64,
    seq: u64,
    link_is_known: bool,
}

impl DoorOf {
    fn new(link_is_known: bool) -> DoorOf {
        DoorOf {
            estimate: SkewEstimate::default(),
            // Far from the machine's own start, so that instants before it exist.
            start: Instant::now() + 1_000 * DAY,
            set_ms: 0,
            seq: 0,
            link_is_known,
        }
    }

    /// A door whose controller is `skew_ms` behind ours; it has swiped at 0, 60 and 120 s.
    fn known(link_is_known: bool, skew_ms: i64) -> DoorOf {
        let mut door = DoorOf::new(link_is_known);
        for (n, delay_ms) in [30, 10, 20].into_iter().enumerate() {
            let ms = i64::try_from(n).unwrap() * 60_000;
            door.swipe(ms + delay_ms, ms - skew_ms);
        }
        assert_eq!(door.estimate.skew_ns(), Some((skew_ms + 10) * 1_000_000));
        door
    }

    fn swipe(&mut self, received_ms: i64, said_ms: i64) -> Placement {
        self.seq += 1;
        self.come(self.seq, received_ms, said_ms, false)
    }

    /// Soon after its link was made anew.
    fn waited(&mut self, received_ms: i64, said_ms: i64) -> Placement {
        self.seq += 1;
        self.come(self.seq, received_ms, said_ms, true)
    }

    fn come(&mut self, seq: u64, received_ms: i64, said_ms: i64, waited: bool) -> Placement {
        let boot = "5f3a".to_owned();
        self.estimate.place(&SwipeTimes {
            key: &SwipeKey { boot, seq },
            arrived: self.start + Duration::from_millis(received_ms.unsigned_abs()),
            received: at(received_ms + self.set_ms),
            said: Some(at(said_ms)),
            agree_within: Duration::from_secs(2),
            late_max: 30 * DAY,
            may_have_waited: waited,
            link_is_known: self.link_is_known,
        })
    }
}

/// Live, and as late as that less what a slow clock may have lost since the last swipes.
fn is_live_after(placement: Placement, ms: u64) -> bool {
    let Placement::Live { delay } = placement else {
        return false;
    };
    let delay_ms = u64::try_from(delay.as_millis()).unwrap();
    (ms.saturating_sub(50)..=ms).contains(&delay_ms)
}

fn disagrees(placement: Placement) -> bool {
    matches!(placement, Placement::Disagrees { .. })
}

#[test]
fn agreeing_clocks_correct_for_the_delay_and_never_for_the_future() {
    let mut door = DoorOf::new(true);
    assert_eq!(door.swipe(1_000, 400), live(600));
    assert_eq!(door.swipe(1_000, 1_500), live(0));
    let nothing_said = SwipeTimes {
        key: &SwipeKey {
            boot: String::new(),
            seq: 0,
        },
        arrived: Instant::now(),
        received: at(0),
        said: None,
        agree_within: Duration::from_secs(2),
        late_max: DAY,
        may_have_waited: true,
        link_is_known: false,
    };
    assert_eq!(door.estimate.place(&nothing_said), live(0));
}

#[test]
fn a_controller_an_hour_off_is_placed_on_arrival_until_its_skew_is_known() {
    let mut door = DoorOf::new(false);
    for ms in [30, 60_010, 120_020] {
        assert!(disagrees(door.swipe(ms, ms / 1_000 * 1_000 - HOUR_MS)));
    }
    let placed = door.swipe(180_510, 180_000 - HOUR_MS);
    assert!(is_live_after(placed, 500), "{placed:?}");
}

#[test]
fn a_slow_clock_at_a_quiet_door_is_no_delay() {
    // 50 ppm slow, a swipe every two hours: 0.36 s between two, 5 s over 16.
    let mut door = DoorOf::new(true);
    for n in 0..40 {
        let ms = n * 2 * HOUR_MS;
        let placed = door.swipe(ms, ms - ms * 50 / 1_000_000 - HOUR_MS);
        assert!(n < 3 || placed == live(0), "{n}: {placed:?}");
    }
}

#[test]
fn setting_our_own_clock_is_no_delay_and_teaches_nothing() {
    for link_is_known in [false, true] {
        for set_ms in [HOUR_MS, -HOUR_MS, 3_000, -3_000] {
            let mut door = DoorOf::known(link_is_known, 0);
            door.set_ms = set_ms;
            for n in 3..30 {
                let ms = n * 60_000;
                assert_eq!(door.swipe(ms + 10, ms), live(0), "{set_ms}");
            }
            let skew_ns = door.estimate.skew_ns();
            assert_eq!(skew_ns, Some((set_ms + 10) * 1_000_000));
        }
    }
}

#[test]
fn a_swipe_out_of_a_queue_is_placed_in_the_past() {
    let mut door = DoorOf::new(true);
    assert_eq!(door.waited(600_000, 0), Placement::Late { at: at(0) });
    let mut door = DoorOf::known(true, -1_000);
    let late = Placement::Late {
        at: at(200_000 - 990),
    };
    assert_eq!(door.waited(600_000, 200_000), late);
    assert_eq!(door.swipe(700_010, 701_000), live(0), "it taught nothing");
}

#[test]
fn a_claim_beyond_the_horizon_is_a_wrong_clock_whatever_it_came_out_of() {
    let day_ms = i64::try_from(DAY.as_millis()).unwrap();
    let epoch_ms = -1_800_000_000_000;
    for known in [false, true] {
        let door = || match known {
            false => DoorOf::new(true),
            true => DoorOf::known(true, 0),
        };
        let late = door().waited(200_000, 200_000 - 29 * day_ms);
        assert!(matches!(late, Placement::Late { .. }), "{late:?}");
        for said_ms in [200_000 - 31 * day_ms, -365 * day_ms, epoch_ms] {
            assert!(disagrees(door().waited(200_000, said_ms)), "{said_ms}");
        }
    }
    let mut door = DoorOf::known(false, 0);
    assert!(disagrees(door.swipe(200_000, epoch_ms)));
}

#[test]
fn a_clock_set_back_on_a_link_that_stands_is_not_a_late_swipe() {
    let mut door = DoorOf::known(true, 0);
    assert!(disagrees(door.swipe(180_000, 180_000 - HOUR_MS)));
}

#[test]
fn a_clock_set_back_is_told_from_a_backlog_where_nothing_is_known_of_the_link() {
    // Its claims fall.
    let mut door = DoorOf::known(false, 0);
    assert!(disagrees(door.swipe(180_000, 180_000 - HOUR_MS)));
    // Set back while nobody swiped for long: the first is taken for a late one, from the second on the
    // difference that stays tells.
    let mut door = DoorOf::known(false, 0);
    let (first, step) = (3 * HOUR_MS, HOUR_MS);
    let taken = door.swipe(first, first - step);
    assert_eq!(
        taken,
        Placement::Late {
            at: at(first - step + 10)
        }
    );
    for n in 1..=2 {
        let ms = first + n * 60_000;
        assert!(disagrees(door.swipe(ms, ms - step)));
    }
    let ms = first + 180_000;
    assert!(disagrees(door.swipe(ms, ms - step)));
    assert_eq!(door.swipe(ms + 60_000, ms + 60_000 - step), live(0));
}

#[test]
fn a_repeated_swipe_teaches_nothing() {
    let mut door = DoorOf::known(false, 0);
    // As a controller does that missed our receipt.
    for _ in 0..20 {
        let again = door.come(2, 400_000, 60_000, false);
        assert!(matches!(again, Placement::Late { .. }), "{again:?}");
    }
    let placed = door.swipe(500_100, 500_000);
    assert!(is_live_after(placed, 90), "{placed:?}");
}

#[test]
fn a_backlog_of_a_door_without_a_skew_shows_itself_by_the_second_swipe() {
    let mut door = DoorOf::new(false);
    // Nothing tells the first from a clock that is off.
    assert!(disagrees(door.swipe(900_000, 0)));
    for n in 1..10 {
        let said_ms = n * 90_000;
        let placed = door.swipe(900_000 + n * 20, said_ms);
        assert_eq!(placed, Placement::Late { at: at(said_ms) });
    }
    assert_eq!(door.estimate.skew_ns(), None);
    assert_eq!(door.swipe(910_000, 909_900), live(100));
}

proptest! {
    /// A controller without a last will loses its network and comes back with what it kept.
    #[test]
    fn a_backlog_is_placed_where_it_happened_and_does_not_move_the_skew(
        skew_ms in -2 * HOUR_MS..2 * HOUR_MS,
        apart_ms in prop::collection::vec(100i64..600_000, 1..40),
        drain_ms in prop::collection::vec(0i64..400, 40),
        then_ms in 6_000i64..HOUR_MS,
    ) {
        let mut door = DoorOf::known(false, skew_ms);
        let mut happened = vec![130_000];
        for apart in &apart_ms {
            happened.push(happened.last().unwrap() + apart);
        }
        let back_ms = happened.last().unwrap() + then_ms;
        let mut received_ms = back_ms;
        for (happened_ms, drain) in happened.iter().zip(&drain_ms) {
            received_ms += drain;
            let placed = door.swipe(received_ms, happened_ms - skew_ms);
            // The skew is known to within the least delay, 10 ms.
            prop_assert_eq!(placed, Placement::Late { at: at(happened_ms + 10) });
        }
        prop_assert_eq!(door.estimate.skew_ns(), Some((skew_ms + 10) * 1_000_000));
        let now_ms = received_ms + 60_000;
        prop_assert_eq!(door.swipe(now_ms + 10, now_ms - skew_ms), live(0));
    }
}
