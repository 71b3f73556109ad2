//! How long a camera was there, by the hour.

use serde::{Deserialize, Serialize};

/// Seconds of an hour.
pub const HOUR_S: u32 = 3_600;

/// One camera in one hour, as far as the gateway ran and looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraHour {
    /// Seconds that were looked at, 0 to 3,600.
    pub seen_s: u32,
    /// Of these, seconds in which its pictures came.
    pub up_s: u32,
    /// Outages that began in it.
    pub n_outages: u32,
    /// The longest outage that ended in it or went on at its end, in seconds, from the outage's beginning.
    pub longest_s: u32,
}

impl CameraHour {
    /// Takes in what was seen of the same hour besides.
    pub fn add(&mut self, more: &CameraHour) {
        self.seen_s = self.seen_s.saturating_add(more.seen_s).min(HOUR_S);
        // Our clock may be set back and the hour come again.
        self.up_s = self.up_s.saturating_add(more.up_s).min(self.seen_s);
        self.n_outages = self.n_outages.saturating_add(more.n_outages);
        self.longest_s = self.longest_s.max(more.longest_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_so_many_seconds_however_often_it_comes() {
        let part = CameraHour {
            seen_s: 2_000,
            up_s: 1_900,
            n_outages: 1,
            longest_s: 60,
        };
        let mut hour = part;
        hour.add(&part);
        assert_eq!((hour.seen_s, hour.up_s), (3_600, 3_600));
        assert_eq!((hour.n_outages, hour.longest_s), (2, 60));
    }
}
