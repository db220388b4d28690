//! What is known of a birth date, and how many dates of a century fit it.
//!
//! What fields give away adds up: the year from one of them and month and day from another are the
//! whole date. So a date fits if it agrees with the true one in everything that is known, and the
//! dates that fit are counted, for a few ordinary true dates, of which the least counts.

use std::ops::RangeInclusive;

use chrono::Datelike;

use crate::calendar::Civil;
use crate::spec::{Strength, TreatmentSpec};
use crate::treatments::AnyTreatment;
use crate::treatments::age_from::AgeFrom;
use crate::treatments::date_trunc::Unit;
use crate::treatments::time_part::Part;

/// Birth dates of a century.
const DATES: u64 = 36_525;

/// Days of a year, as the count takes them.
const DAYS_OF_YEAR: u64 = 365;

/// The first day of the century.
const FIRST: Civil = Civil {
    year: 1926,
    month: 1,
    day: 1,
};

/// The last one.
const LAST: Civil = Civil {
    year: 2025,
    month: 12,
    day: 31,
};

/// Dates to count for: the last day of a year, and of a day that not every month has; one in the
/// shortest month; one in the middle. Their years have 365 days, and none is a leap day.
const EXAMPLES: [Civil; 3] = [
    Civil {
        year: 1978,
        month: 12,
        day: 31,
    },
    Civil {
        year: 1977,
        month: 2,
        day: 14,
    },
    Civil {
        year: 1975,
        month: 6,
        day: 21,
    },
];

/// What each digit of `YYYYMMDD` counts.
const PLACES: [i64; 8] = [10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// Something that is known of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    /// The date itself.
    Date,
    /// Its year.
    Year,
    /// Its quarter, of whatever year.
    Quarter,
    /// Its month, of whatever year.
    Month,
    /// Its day of the month.
    Day,
    /// Its day of the week.
    Weekday,
    /// The number of its week, by ISO 8601.
    Week,
    /// The Monday of its week.
    Monday,
    /// The digit of `YYYYMMDD` that counts so much.
    Digit(i64),
    /// The completed years of who was born then, on this day.
    AgeOn(Civil),
}

impl Fact {
    /// What a part of a date tells; nothing below the day.
    fn of_part(part: Part) -> Option<Self> {
        match part {
            Part::Year => Some(Self::Year),
            Part::Quarter => Some(Self::Quarter),
            Part::Month => Some(Self::Month),
            Part::Week => Some(Self::Week),
            Part::Day => Some(Self::Day),
            Part::Weekday => Some(Self::Weekday),
            Part::Hour | Part::Minute | Part::Second => None,
        }
    }

    /// What it is for a date, which is that day: equal for dates that can't be told apart by it.
    fn value(self, day: i64, date: Civil) -> i64 {
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        match self {
            Self::Date => day,
            Self::Year => date.year,
            Self::Quarter => (date.month - 1) / 3,
            Self::Month => date.month,
            Self::Day => date.day,
            Self::Weekday => weekday,
            Self::Week => {
                // A week belongs to the year of its Thursday.
                let thursday = day - weekday + 3;
                let new_year = Civil {
                    month: 1,
                    day: 1,
                    ..Civil::of_days(thursday)
                };
                (thursday - new_year.to_days()) / 7
            }
            Self::Monday => day - weekday,
            Self::Digit(counts) => (date.year * 10_000 + date.month * 100 + date.day) / counts % 10,
            Self::AgeOn(on) => {
                let before_birthday = (on.month, on.day) < (date.month, date.day);
                on.year - date.year - i64::from(before_birthday)
            }
        }
    }
}

/// What is known of a birth date. The default is nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Birth {
    /// Each once.
    facts: Vec<Fact>,
    /// That it is one of so many consecutive days, of the narrowest such stretch. Which of them isn't
    /// known; it is taken to be the middle one of every stretch.
    stretch: Option<u64>,
}

impl Birth {
    /// The date.
    pub(super) fn date() -> Self {
        Self::of([Fact::Date])
    }

    /// The year.
    pub(super) fn year() -> Self {
        Self::of([Fact::Year])
    }

    /// An age, or a band of ages of so many years, on a day that isn't known.
    pub(super) fn within_years(years: u64) -> Self {
        Self::within_days(years.saturating_mul(DAYS_OF_YEAR))
    }

    fn within_days(days: u64) -> Self {
        Self {
            facts: Vec::new(),
            stretch: Some(days.max(1)),
        }
    }

    fn of(facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut birth = Self::default();
        for fact in facts {
            birth.learn(fact);
        }
        birth
    }

    /// What a treated birth date tells, at its narrowest; `None` where that isn't known.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other treatments of dates are not counted"
    )]
    pub(super) fn told_by(treatment: &TreatmentSpec) -> Option<Self> {
        if treatment.strength() == Strength::CLEAR {
            return Some(Self::date());
        }
        Some(match treatment.treatment() {
            AnyTreatment::DateTrunc(trunc) => {
                let facts: &[Fact] = match trunc.unit {
                    Unit::Year => &[Fact::Year],
                    Unit::Quarter => &[Fact::Year, Fact::Quarter],
                    Unit::Month => &[Fact::Year, Fact::Month],
                    Unit::Week => &[Fact::Monday],
                    Unit::Day | Unit::Hour | Unit::Minute => &[Fact::Date],
                };
                Self::of(facts.iter().copied())
            }
            AnyTreatment::TimePart(part) => {
                Self::of(part.parts_shown().into_iter().filter_map(Fact::of_part))
            }
            AnyTreatment::AgeBand(band) => Self::within_years(band.narrowest_years()?.into()),
            AnyTreatment::AgeFrom(age) => Self::of([Fact::AgeOn(day_of(age))]),
            AnyTreatment::TopBottomCode(_) => Self::date(),
            AnyTreatment::RankPreserving(rank) => Self::within_days(rank.step_days()),
            AnyTreatment::DateShift(shift) => Self::within_days(shift.different_shifts()),
            _ => return None,
        })
    }

    fn learn(&mut self, fact: Fact) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    /// Adds the digits that show of a date written `YYYYMMDD`; what follows them is left aside.
    pub(super) fn learn_digits(&mut self, shown: impl Iterator<Item = bool>) {
        for (counts, is_shown) in PLACES.into_iter().zip(shown) {
            if is_shown {
                self.learn(Fact::Digit(counts));
            }
        }
    }

    /// Adds what else is known.
    pub(super) fn add(&mut self, other: &Self) {
        for fact in &other.facts {
            self.learn(*fact);
        }
        self.stretch = match (self.stretch, other.stretch) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
    }

    /// How many dates fit; at least 1.
    pub(super) fn count(&self) -> u64 {
        if self.facts.is_empty() {
            return self.stretch.map_or(DATES, |days| days.min(DATES));
        }
        let like = |example: &Civil| {
            let day = example.to_days();
            let known: Vec<(Fact, i64)> = self
                .facts
                .iter()
                .map(|fact| (*fact, fact.value(day, *example)))
                .collect();
            let fits = |day: &i64| {
                let date = Civil::of_days(*day);
                known
                    .iter()
                    .all(|(fact, value)| fact.value(*day, date) == *value)
            };
            self.around(day).filter(fits).count()
        };
        let least = EXAMPLES.iter().map(like).min().unwrap_or(1);
        u64::try_from(least).unwrap_or(DATES).max(1)
    }

    /// The days among which the date is known to be, if it is this day.
    fn around(&self, day: i64) -> RangeInclusive<i64> {
        let (first, last) = (FIRST.to_days(), LAST.to_days());
        let days = self.stretch.map(|days| i64::try_from(days.min(DATES)));
        let Some(Ok(days)) = days else {
            return first..=last;
        };
        let begin = day - days / 2;
        begin.max(first)..=(begin + days - 1).min(last)
    }
}

/// The day on which ages are taken.
fn day_of(age: &AgeFrom) -> Civil {
    let day = age.as_of.0;
    Civil {
        year: day.year().into(),
        month: day.month().into(),
        day: day.day().into(),
    }
}
