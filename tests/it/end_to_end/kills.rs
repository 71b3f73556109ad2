//! `kill -9` at any moment, again and again, while people swipe.
//!
//! `STAIRGATE_TEST_KILLS` says how often (default 12) and `STAIRGATE_TEST_SEED` when.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::compound::{Compound, CompoundOptions, new_whole_clip};
use crate::harness::gateway::Gateway;

/// What a gateway that was killed may say at its next start.
const AFTER_A_KILL: &[&str] = &["another stairgate running"];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_while_people_swipe_nothing_is_lost_doubled_or_left_behind() {
    let n_kills = number("STAIRGATE_TEST_KILLS", 12);
    let seed = number("STAIRGATE_TEST_SEED", 1);
    let compound = Compound::start(&CompoundOptions::default()).await;
    let mut gateway = compound.gateway(&[]).await;
    AFTER_A_KILL.iter().for_each(|line| gateway.expect(line));
    let began = Instant::now();
    let (published, n_unready) = compound
        .while_swiping(kill_again_and_again(&mut gateway, n_kills, seed))
        .await;
    println!(
        "{n_kills} kills in {:?}, {n_unready} of them before it was ready; {} swipes published (seed {seed})",
        began.elapsed(),
        published.len()
    );
    compound.calm(&gateway, &published).await;
    gateway.stop(Duration::from_secs(30)).await;
    let reckoning = compound.reckon(&published).await;
    assert_eq!(reckoning.n_entries, published.len());
}

/// Ends with a gateway that works as ever. Returns how many were killed before they were.
async fn kill_again_and_again(gateway: &mut Gateway, n_kills: u64, seed: u64) -> u64 {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut n_unready = 0;
    for _ in 0..n_kills {
        // One in four during its start or its recovery.
        let ms = if dice.u8(0..4) == 0 {
            n_unready += 1;
            dice.u64(0..600)
        } else {
            gateway.ready().await;
            dice.u64(0..2_500)
        };
        // The moment of a kill is what the dice say, not what can be waited for.
        sleep_until(Instant::now() + Duration::from_millis(ms)).await;
        gateway.start_again();
    }
    gateway.ready().await;
    new_whole_clip(gateway).await;
    n_unready
}
