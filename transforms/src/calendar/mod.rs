//! Civil dates as arithmetic on day numbers, for kernels that see millions of them.
//!
//! Days count from 1970-01-01 in the proleptic Gregorian calendar, over every year that 64 bits of
//! seconds reach: no library type in between, so no range that a value could fall out of.

mod field;
mod local;
mod zone;

use arrow::datatypes::TimeUnit;

pub(crate) use field::DayField;
pub(crate) use local::{ForTime, Local, Moment, check_time, with_time};
pub(crate) use zone::{Occurrence, Zone};

/// Seconds of a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// Days from 0000-03-01, where the years of the arithmetic begin, to 1970-01-01.
const MARCH_EPOCH: i64 = 719_468;

/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// A day of the proleptic Gregorian calendar; year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    /// The year.
    pub(crate) year: i64,
    /// The month, from 1.
    pub(crate) month: i64,
    /// The day of the month, from 1.
    pub(crate) day: i64,
}

impl Civil {
    /// The date of a day number between -2^62 and 2^62.
    ///
    /// Years begin in March, so that the leap day comes last: Hinnant, "chrono-compatible low-level
    /// date algorithms", `civil_from_days`.
    #[inline]
    pub(crate) fn of_days(days: i64) -> Self {
        let days = days + MARCH_EPOCH;
        let era = days.div_euclid(ERA_DAYS);
        let day_of_era = days.rem_euclid(ERA_DAYS);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day,
        }
    }

    /// The day number of the date, for years between -2^52 and 2^52.
    #[inline]
    pub(crate) fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted = if self.month > 2 {
            self.month - 3
        } else {
            self.month + 9
        };
        let day_of_year = (153 * shifted + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * ERA_DAYS + day_of_era - MARCH_EPOCH
    }

    /// The day so many years before; the leap day becomes 28 February where there is none.
    pub(crate) fn years_before(self, years: i64) -> Self {
        let year = self.year - years;
        let leap =
            year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
        let day = if self.month == 2 && !leap {
            self.day.min(28)
        } else {
            self.day
        };
        Self { year, day, ..self }
    }
}

/// Values per second of a timestamp in this unit.
pub(crate) const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn civil(year: i64, month: i64, day: i64) -> Civil {
        Civil { year, month, day }
    }

    #[test]
    fn known_days() {
        for (days, date) in [
            (0, civil(1970, 1, 1)),
            (-1, civil(1969, 12, 31)),
            (11_016, civil(2000, 2, 29)),
            (-25_509, civil(1900, 2, 28)),
            (-25_508, civil(1900, 3, 1)),
            (2_932_896, civil(9999, 12, 31)),
            (-719_468, civil(0, 3, 1)),
        ] {
            assert_eq!(Civil::of_days(days), date);
            assert_eq!(date.to_days(), days);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_agrees_with_chrono() {
        let mut date = NaiveDate::from_ymd_opt(1600, 1, 1).unwrap();
        let mut days = civil(1600, 1, 1).to_days();
        while date.year() < 2400 {
            let expected = civil(date.year().into(), date.month().into(), date.day().into());
            assert_eq!(Civil::of_days(days), expected);
            assert_eq!(expected.to_days(), days);
            date = date.succ_opt().unwrap();
            days += 1;
        }
    }

    #[test]
    fn years_before_a_leap_day() {
        let leap_day = civil(2024, 2, 29);
        assert_eq!(leap_day.years_before(4), civil(2020, 2, 29));
        assert_eq!(leap_day.years_before(1), civil(2023, 2, 28));
        assert_eq!(leap_day.years_before(124), civil(1900, 2, 28));
        assert_eq!(leap_day.years_before(24), civil(2000, 2, 29));
        assert_eq!(civil(2023, 2, 28).years_before(3), civil(2020, 2, 28));
    }

    proptest! {
        #[test]
        fn day_numbers_survive_the_way_there_and_back(seconds: i64) {
            let days = seconds.div_euclid(DAY_SECONDS);
            let date = Civil::of_days(days);
            prop_assert_eq!(date.to_days(), days);
            prop_assert!((1..=12).contains(&date.month) && (1..=31).contains(&date.day));
        }
    }
}
