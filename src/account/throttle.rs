//! How often a log-in may be tried: for each name and from each address, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Wrong attempts for one name before it has to wait.
const TRIES_OF_NAME: u32 = 10;
/// Wrong attempts from one address before it has to wait: behind one there may be a whole office.
const TRIES_OF_ADDRESS: u32 = 30;
/// One attempt comes back after so long: a guesser gets 60 in an hour, besides the first.
const TRY_EVERY: Duration = Duration::from_secs(60);
/// Names, and addresses, remembered at once; those that were idle longest are forgotten.
const REMEMBERED_MAX: usize = 4_096;
/// Longest name that is told from another, in bytes; an account's has 32 at most.
const NAME_BYTES_MAX: usize = 64;

/// Attempts that are left.
#[derive(Debug, Default)]
pub struct Throttle {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    names: HashMap<String, Bucket>,
    addresses: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    /// When `left` was right; attempts have come back since.
    at: Instant,
}

impl Throttle {
    /// Takes one attempt.
    ///
    /// # Errors
    /// How long to wait, when there is none left of the name or of the address.
    pub fn take(&self, name: &str, from: Option<IpAddr>) -> Result<(), Duration> {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        let name = cut(name);
        let address = from.map(network_of);
        if let Some(address) = &address {
            may_try(&seen.addresses, address, TRIES_OF_ADDRESS, now)?;
        }
        may_try(&seen.names, &name, TRIES_OF_NAME, now)?;
        if let Some(address) = address {
            count(&mut seen.addresses, address, TRIES_OF_ADDRESS, now);
        }
        count(&mut seen.names, name, TRIES_OF_NAME, now);
        Ok(())
    }

    /// Gives the attempt back: it was right, so nobody was guessing.
    pub fn give_back(&self, name: &str, from: Option<IpAddr>) {
        let mut seen = self.seen.lock();
        seen.names.remove(&cut(name));
        if let Some(bucket) = from.and_then(|from| seen.addresses.get_mut(&network_of(from))) {
            bucket.left = (bucket.left + 1).min(TRIES_OF_ADDRESS);
        }
    }
}

fn may_try<K: Hash + Eq>(
    buckets: &HashMap<K, Bucket>,
    key: &K,
    full: u32,
    now: Instant,
) -> Result<(), Duration> {
    match buckets.get(key).map(|bucket| bucket.refilled(full, now)) {
        Some(bucket) if bucket.left == 0 => {
            Err(TRY_EVERY.saturating_sub(now.saturating_duration_since(bucket.at)))
        }
        Some(_) | None => Ok(()),
    }
}

fn count<K: Hash + Eq + Clone>(buckets: &mut HashMap<K, Bucket>, key: K, full: u32, now: Instant) {
    if buckets.len() >= REMEMBERED_MAX && !buckets.contains_key(&key) {
        buckets.retain(|_, bucket| bucket.refilled(full, now).left < full);
        if buckets.len() >= REMEMBERED_MAX {
            let idle = buckets.iter().min_by_key(|(_, bucket)| bucket.at);
            if let Some(idle) = idle.map(|(key, _)| key.clone()) {
                buckets.remove(&idle);
            }
        }
    }
    let new = Bucket {
        left: full,
        at: now,
    };
    let bucket = buckets.entry(key).or_insert(new);
    *bucket = bucket.refilled(full, now);
    bucket.left = bucket.left.saturating_sub(1);
}

impl Bucket {
    fn refilled(self, full: u32, now: Instant) -> Bucket {
        let since = now.saturating_duration_since(self.at);
        let n_back = u32::try_from(since.as_secs() / TRY_EVERY.as_secs()).unwrap_or(u32::MAX);
        let left = self.left.saturating_add(n_back);
        if left >= full {
            return Bucket {
                left: full,
                at: now,
            };
        }
        Bucket {
            left,
            at: self.at + TRY_EVERY * n_back,
        }
    }
}

/// One host; with IPv6 that is a network of 64 bits, within which it may take any address.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn cut(name: &str) -> String {
    name.char_indices()
        .take_while(|(at, c)| at + c.len_utf8() <= NAME_BYTES_MAX)
        .map(|(_, c)| c)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u32) -> Option<IpAddr> {
        Some(IpAddr::V4((0x0A00_0000 + last).into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_guessed_has_to_wait_and_others_do_not() {
        let throttle = Throttle::default();
        for n in 0..TRIES_OF_NAME {
            throttle.take("li", host(n)).unwrap();
        }
        assert_eq!(throttle.take("li", host(99)), Err(TRY_EVERY));
        throttle.take("wang", host(99)).unwrap();
        tokio::time::advance(TRY_EVERY / 2).await;
        assert_eq!(throttle.take("li", host(99)), Err(TRY_EVERY / 2));
        tokio::time::advance(TRY_EVERY / 2).await;
        throttle.take("li", host(99)).unwrap();
        assert!(throttle.take("li", host(99)).is_err(), "one came back");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_names_has_to_wait() {
        let throttle = Throttle::default();
        for n in 0..TRIES_OF_ADDRESS {
            throttle.take(&format!("n{n}"), host(1)).unwrap();
        }
        assert!(throttle.take("li", host(1)).is_err());
        throttle.take("li", host(2)).unwrap();
        let v6 = |text: &str| Some(text.parse().unwrap());
        for n in 0..TRIES_OF_ADDRESS {
            let address = v6(&format!("2001:db8::{n}"));
            throttle.take(&format!("m{n}"), address).unwrap();
        }
        assert!(throttle.take("li", v6("2001:db8::ffff")).is_err());
        throttle.take("li", v6("2001:db8:0:1::1")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_right_loses_nothing() {
        let throttle = Throttle::default();
        for _ in 0..1_000 {
            throttle.take("li", host(1)).unwrap();
            throttle.give_back("li", host(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_who_was_idle_longest_is_forgotten() {
        let throttle = Throttle::default();
        for n in 0..u32::try_from(REMEMBERED_MAX).unwrap() + 100 {
            throttle.take(&format!("n{n}"), host(n)).unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let seen = throttle.seen.lock();
        assert_eq!(seen.names.len(), REMEMBERED_MAX);
        assert_eq!(seen.addresses.len(), REMEMBERED_MAX);
        assert!(!seen.names.contains_key("n0"));
    }
}
