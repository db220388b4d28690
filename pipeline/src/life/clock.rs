//! The answer clock: how long a provider has to answer a request.
//!
//! The limit is counted in working days, from the day after the request. Monday to Friday are working
//! days; holidays and the working weekends that make up for them are published year by year and not
//! known here, so that around holidays the clock here runs out before the regulation's, and around such
//! weekends a day or two after it.

use chrono::{Datelike as _, Days, NaiveDate, Weekday};
use serde::Serialize;

/// Days of a week that are worked.
const WORKED: i64 = 5;

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Working days that are left, today not counted; 0 on the last day and after it.
    pub days_left: u32,
    /// Whether the last day is past.
    pub overdue: bool,
}

impl Due {
    /// How a request that has to be answered until `last` stands on the day `today`.
    #[must_use]
    pub fn on(today: NaiveDate, last: NaiveDate) -> Self {
        Self {
            days_left: working_days_between(today, last),
            overdue: today > last,
        }
    }
}

/// The working day that is `days` after `from`, which is not counted itself.
#[must_use]
pub fn working_day_after(from: NaiveDate, days: u32) -> NaiveDate {
    let mut day = from;
    let mut left = days;
    while left > 0 {
        let Some(next) = day.checked_add_days(Days::new(1)) else {
            return day;
        };
        day = next;
        if is_worked(day) {
            left -= 1;
        }
    }
    day
}

/// Working days after `from` up to `until`, which is counted.
#[must_use]
pub fn working_days_between(from: NaiveDate, until: NaiveDate) -> u32 {
    let days = until.signed_duration_since(from).num_days();
    if days <= 0 {
        return 0;
    }
    let (weeks, rest) = (days / 7, days % 7);
    let worked = from
        .iter_days()
        .skip(1)
        .take(usize::try_from(rest).unwrap_or(0))
        .filter(|day| is_worked(*day))
        .count();
    let worked = i64::try_from(worked).unwrap_or(0);
    u32::try_from(weeks.saturating_mul(WORKED).saturating_add(worked)).unwrap_or(u32::MAX)
}

fn is_worked(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn ten_working_days_are_two_weeks() {
        // A Wednesday.
        assert_eq!(working_day_after(day("2026-01-07"), 10), day("2026-01-21"));
        // From a Saturday on, the first day is Monday.
        assert_eq!(working_day_after(day("2026-01-10"), 1), day("2026-01-12"));
        assert_eq!(working_day_after(day("2026-01-09"), 1), day("2026-01-12"));
        assert_eq!(working_day_after(day("2026-01-09"), 0), day("2026-01-09"));
    }

    #[test]
    fn what_is_left_is_counted_as_the_last_day_was_found() {
        let asked = day("2026-01-07");
        for days in 0..40 {
            let last = working_day_after(asked, days);
            assert_eq!(working_days_between(asked, last), days, "{days}");
        }
        let last = day("2026-01-21");
        let due = |today: &str| Due::on(day(today), last);
        assert_eq!(
            due("2026-01-21"),
            Due {
                days_left: 0,
                overdue: false
            }
        );
        assert_eq!(
            due("2026-01-19"),
            Due {
                days_left: 2,
                overdue: false
            }
        );
        assert_eq!(
            due("2026-01-22"),
            Due {
                days_left: 0,
                overdue: true
            }
        );
    }
}
