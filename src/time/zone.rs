//! The compound's time zone: for dates that people write and for labels that people read.

use std::fmt;

use super::WallTime;

/// A named time zone of the IANA database, such as `Asia/Shanghai`.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

/// A name that is not in this machine's time zone database.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown time zone {name:?}")]
pub struct TimeZoneError {
    name: String,
    #[source]
    source: jiff::Error,
}

/// Text that is not a calendar date.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a date is YYYY-MM-DD, such as 2027-01-31")]
pub struct DateError(#[source] jiff::Error);

impl TimeZone {
    /// Coordinated universal time.
    pub fn utc() -> TimeZone {
        TimeZone(jiff::tz::TimeZone::UTC)
    }

    /// The zone of that name, as `/usr/share/zoneinfo` knows it.
    ///
    /// # Errors
    /// [`TimeZoneError`] when there is none, or no database (Debian package `tzdata`).
    pub fn named(name: &str) -> Result<TimeZone, TimeZoneError> {
        match jiff::tz::TimeZone::get(name) {
            Ok(zone) => Ok(TimeZone(zone)),
            Err(source) => Err(TimeZoneError {
                name: name.to_owned(),
                source,
            }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The first moment of `date` (`YYYY-MM-DD`) here.
    ///
    /// ```
    /// use stairgate::time::TimeZone;
    /// let day = TimeZone::utc().day_start("2027-01-01").unwrap();
    /// assert_eq!(day.to_string(), "2027-01-01T00:00:00.000Z");
    /// ```
    ///
    /// # Errors
    /// [`DateError`] when `date` is not a date.
    pub fn day_start(&self, date: &str) -> Result<WallTime, DateError> {
        self.start(read_date(date)?)
    }

    /// The first moment after `date` (`YYYY-MM-DD`) here: the end of a validity that includes it.
    ///
    /// # Errors
    /// [`DateError`] when `date` is not a date.
    pub fn day_end(&self, date: &str) -> Result<WallTime, DateError> {
        self.start(read_date(date)?.tomorrow().map_err(DateError)?)
    }

    /// The first moment of `date` here, clamped to the years that a wall time can hold.
    pub fn midnight(&self, date: jiff::civil::Date) -> WallTime {
        let far = if date.year() < 1970 {
            i64::MIN
        } else {
            i64::MAX
        };
        self.start(date).unwrap_or(WallTime::from_unix_ns(far))
    }

    /// The calendar day here at `at`.
    pub fn date_of(&self, at: WallTime) -> jiff::civil::Date {
        at.timestamp().to_zoned(self.0.clone()).date()
    }

    /// `at` as people here write it: `2026-11-22 08:30:15`.
    pub fn local(&self, at: WallTime) -> String {
        let zoned = at.timestamp().to_zoned(self.0.clone());
        zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The moment that a clock on the wall here shows as `text` (`2026-11-22 08:30:15`, also with
    /// `T`). Of an hour that comes twice, the first.
    ///
    /// # Errors
    /// [`DateError`] when `text` is not a date with a time.
    pub fn read_local(&self, text: &str) -> Result<WallTime, DateError> {
        let civil: jiff::civil::DateTime = text.parse().map_err(DateError)?;
        let zoned = civil.to_zoned(self.0.clone()).map_err(DateError)?;
        Ok(wall(&zoned))
    }

    fn start(&self, date: jiff::civil::Date) -> Result<WallTime, DateError> {
        let zoned = date.to_zoned(self.0.clone()).map_err(DateError)?;
        Ok(wall(&zoned))
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn wall(zoned: &jiff::Zoned) -> WallTime {
    let ns = zoned.timestamp().as_nanosecond();
    let clamped = ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    WallTime::from_unix_ns(i64::try_from(clamped).unwrap_or_default())
}

/// jiff would also take a date with a time or a zone after it; a roster has plain dates.
fn read_date(text: &str) -> Result<jiff::civil::Date, DateError> {
    jiff::civil::Date::strptime("%Y-%m-%d", text).map_err(DateError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lasts_from_its_midnight_to_the_next_here() {
        let zone = TimeZone::named("Asia/Shanghai").unwrap();
        assert_eq!(zone.name(), "Asia/Shanghai");
        let start = zone.day_start("2027-01-01").unwrap();
        assert_eq!(start.to_string(), "2026-12-31T16:00:00.000Z");
        let end = zone.day_end("2027-01-01").unwrap();
        assert_eq!(end.to_string(), "2027-01-01T16:00:00.000Z");
        assert_eq!(zone.local(start), "2027-01-01 00:00:00");
        assert_eq!(zone.read_local("2027-01-01 00:00:00").unwrap(), start);
    }

    #[test]
    fn a_day_of_23_hours_ends_where_the_next_begins() {
        let zone = TimeZone::named("Europe/Berlin").unwrap();
        let start = zone.day_start("2026-03-29").unwrap();
        let end = zone.day_end("2026-03-29").unwrap();
        assert_eq!(end.since(start).as_secs(), 23 * 3_600);
    }

    #[test]
    fn what_is_no_date_or_zone_is_refused() {
        let zone = TimeZone::utc();
        for bad in [
            "",
            "2027-02-30",
            "2027-13-01",
            "01.02.2027",
            "2027-01-01T00:00:00Z",
            "soon",
        ] {
            assert!(zone.day_start(bad).is_err(), "{bad}");
        }
        assert!(TimeZone::named("Asia/Shanghigh").is_err());
    }
}
