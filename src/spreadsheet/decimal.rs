//! Decimal numbers as text, without floating point: what XLSX files and people write.

/// Digits taken, at most: a double has 17.
const DIGITS_MAX: usize = 40;
/// Powers of ten taken, at most, either way.
const EXPONENT_MAX: i32 = 40;

/// A number not below zero, exact: `digits` × 10^`exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// Without zeros at either end; empty is zero.
    digits: String,
    exponent: i32,
}

impl Decimal {
    /// Reads `94.3`, `94.30000000000001`, `8.16E+06`; `None` for anything else, also below zero.
    pub(crate) fn read(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                let is_plain = !digits.is_empty() && digits.len() <= 3 && is_digits(digits);
                (mantissa, is_plain.then(|| exponent.parse::<i32>().ok())??)
            }
            None => (text, 0),
        };
        let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && places.is_empty() || !is_digits(whole) || !is_digits(places) {
            return None;
        }
        if whole.len() > DIGITS_MAX || places.len() > DIGITS_MAX || exponent.abs() > EXPONENT_MAX {
            return None;
        }
        let digits = format!("{whole}{places}");
        let n_places = i32::try_from(places.len()).ok()?;
        let trimmed = digits.trim_end_matches('0');
        let n_zeros = i32::try_from(digits.len() - trimmed.len()).ok()?;
        let digits = trimmed.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() {
            0
        } else {
            exponent - n_places + n_zeros
        };
        Some(Decimal { digits, exponent })
    }

    /// Its digits as a whole number; `None` when it is not one.
    pub(crate) fn whole(&self) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        let n_zeros = usize::try_from(self.exponent).ok()?;
        Some(format!("{}{}", self.digits, "0".repeat(n_zeros)))
    }

    /// Its whole part, what stands behind the point cut off.
    pub(crate) fn floor(&self) -> Option<u64> {
        let (whole, _) = self.split(0)?;
        if whole.is_empty() {
            Some(0)
        } else {
            whole.parse().ok()
        }
    }

    /// How many digits are significant.
    pub(crate) fn n_digits(&self) -> usize {
        self.digits.len()
    }

    /// In hundredths, when it has two places at most or misses that by no more than a millionth, as
    /// sums of doubles do; `None` when it has more places, or is too large.
    pub(crate) fn hundredths(&self) -> Option<u32> {
        /// Millionths of a hundredth: the rest is compared in units of 10⁻⁸.
        const UNIT: u64 = 1_000_000;
        /// A millionth, in units of 10⁻⁸.
        const SLACK: u64 = 100;
        let (whole, rest) = self.split(2)?;
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let rest: String = rest.chars().chain("000000".chars()).take(6).collect();
        let rest: u64 = rest.parse().ok()?;
        let hundredths = if rest <= SLACK {
            whole
        } else if UNIT - rest <= SLACK {
            whole.checked_add(1)?
        } else {
            return None;
        };
        u32::try_from(hundredths).ok()
    }

    /// The digits before and behind the point, after moving it `n_places` to the right.
    fn split(&self, n_places: i32) -> Option<(String, String)> {
        let exponent = self.exponent + n_places;
        if let Ok(n_zeros) = usize::try_from(exponent) {
            return Some((
                format!("{}{}", self.digits, "0".repeat(n_zeros)),
                String::new(),
            ));
        }
        let n_behind = usize::try_from(-exponent).ok()?;
        let padded = format!(
            "{}{}",
            "0".repeat((n_behind + 1).saturating_sub(self.digits.len())),
            self.digits
        );
        let (whole, rest) = padded.split_at_checked(padded.len().checked_sub(n_behind)?)?;
        Some((whole.to_owned(), rest.to_owned()))
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_are_exact_or_refused() {
        for (text, hundredths) in [
            ("94.3", Some(9430)),
            ("94.30000000000001", Some(9430)),
            ("94.299999999999997", Some(9430)),
            ("9.4299999999999997E1", Some(9430)),
            ("0", Some(0)),
            ("0.00", Some(0)),
            ("0.005", None),
            ("94.305", None),
            ("94.301", None),
            ("120", Some(12000)),
            ("1E+2", Some(10000)),
            ("11.99", Some(1199)),
            (".5", Some(50)),
            ("99999999999", None),
            ("1E+40", None),
        ] {
            let decimal = Decimal::read(text).unwrap();
            assert_eq!(decimal.hundredths(), hundredths, "{text}");
        }
        for bad in [
            "", ".", "-1", "1,5", "1e", "1e+", "1e4000", "0x10", "NaN", "1.2.3", "+1",
        ] {
            assert_eq!(Decimal::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_keep_all_their_digits() {
        for (text, whole) in [
            ("8165538", Some("8165538")),
            ("8.165538E+6", Some("8165538")),
            ("8.16E+06", Some("8160000")),
            ("10.0", Some("10")),
            ("10.5", None),
            ("0", Some("0")),
        ] {
            assert_eq!(
                Decimal::read(text).unwrap().whole().as_deref(),
                whole,
                "{text}"
            );
        }
        assert_eq!(Decimal::read("46387.75").unwrap().floor(), Some(46387));
        assert_eq!(Decimal::read("0.75").unwrap().floor(), Some(0));
    }

    proptest::proptest! {
        #[test]
        fn every_hundredth_is_read_back(hundredths in 0_u32..=100_000_000) {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            proptest::prop_assert_eq!(Decimal::read(&text).unwrap().hundredths(), Some(hundredths));
            // As a double would be written in an XLSX file.
            let double = format!("{}", f64::from(hundredths) / 100.0);
            proptest::prop_assert_eq!(Decimal::read(&double).unwrap().hundredths(), Some(hundredths));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9eE.+-]{0,60}|\\PC{0,10}") {
            if let Some(decimal) = Decimal::read(&text) {
                drop((decimal.hundredths(), decimal.whole(), decimal.floor()));
            }
        }
    }
}
