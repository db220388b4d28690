//! `time-part`: one part of a date or timestamp as a number, or some of its parts in place.
//!
//! What is asked of a date is often its season, its weekday or its hour; the rest of it need not
//! leave.

use arrow::datatypes::{ArrowPrimitiveType, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, ForTime, Local, Moment, check_time, with_time};
use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::column::mapped;
use crate::number::converted::converted;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Delivers one part of a date or timestamp as a whole number (`int32`, `part`), or keeps some parts
/// where they are (`keep`); then the type stays.
///
/// What is not kept becomes that of 2000-01-01 00:00:00, a leap year, so that every day of a month
/// has its like. Timestamps with a zone are read as its calendars and clocks show them, and written
/// so; a time that clocks skipped is the instant of the change, and of two the first. Of a number, a
/// sentinel becomes null, because it could not be told from a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimePart {
    /// The part: `year`; `quarter` 1 to 4; `month` 1 to 12; `week` 1 to 53 (ISO 8601); `day` of the
    /// month; `weekday` 1 (Monday) to 7; and of timestamps `hour`, `minute`, `second`. Either this
    /// or `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The parts that stay, each once: `year`, `month`, `day`; and of timestamps `hour`, `minute`,
    /// `second`. Fractions of a second always go. At least one part of a date must go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<Part>>,
}

/// A part of a date or of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The year.
    Year,
    /// The quarter, from 1.
    Quarter,
    /// The month, from 1.
    Month,
    /// The week of ISO 8601, from 1.
    Week,
    /// The day of the month, from 1.
    Day,
    /// The weekday, from Monday, 1.
    Weekday,
    /// The hour, from 0.
    Hour,
    /// The minute, from 0.
    Minute,
    /// The second, from 0.
    Second,
}

impl Part {
    fn is_of_time(self) -> bool {
        matches!(self, Self::Hour | Self::Minute | Self::Second)
    }

    #[inline]
    fn of(self, Moment { day, second }: Moment) -> i64 {
        match self {
            Self::Year => Civil::of_days(day).year,
            Self::Quarter => (Civil::of_days(day).month - 1) / 3 + 1,
            Self::Month => Civil::of_days(day).month,
            Self::Week => week(day),
            Self::Day => Civil::of_days(day).day,
            Self::Weekday => weekday(day) + 1,
            Self::Hour => second / 3_600,
            Self::Minute => second / 60 % 60,
            Self::Second => second % 60,
        }
    }
}

/// What is asked of a date or timestamp: one of the two ways to write it.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Part(Part),
    Kept(Kept),
}

/// The parts that a date or time is made of, from the longest.
const PLACES: [Part; 6] = [
    Part::Year,
    Part::Month,
    Part::Day,
    Part::Hour,
    Part::Minute,
    Part::Second,
];

/// Which of [`PLACES`] stay.
#[derive(Debug, Clone, Copy)]
struct Kept([bool; 6]);

impl Kept {
    fn new(parts: &[Part]) -> Self {
        Self(PLACES.map(|part| parts.contains(&part)))
    }

    /// The moment of which nothing else is left. Its day always exists: January has 31, and 2000 was
    /// a leap year; a year that is kept without its month has no other day than one of January.
    #[inline]
    fn of(self, Moment { day, second }: Moment) -> Moment {
        let Self(keeps) = self;
        let [year, month, of_month, hour, minute, of_minute] = keeps;
        let date = Civil::of_days(day);
        let pick = |keeps: bool, own: i64, other: i64| if keeps { own } else { other };
        let day = Civil {
            year: pick(year, date.year, 2000),
            month: pick(month, date.month, 1),
            day: pick(of_month, date.day, 1),
        }
        .to_days();
        let hours = pick(hour, second / 3_600, 0);
        let minutes = pick(minute, second / 60 % 60, 0);
        let seconds = pick(of_minute, second % 60, 0);
        Moment {
            day,
            second: (hours * 60 + minutes) * 60 + seconds,
        }
    }
}

impl TimePart {
    /// Everything that shows.
    pub(crate) fn parts_shown(&self) -> Vec<Part> {
        let kept = self.keep.iter().flatten();
        self.part.iter().chain(kept).copied().collect()
    }

    fn asked(&self, is_date: bool) -> Result<Asked, Misfit> {
        let (parameter, parts) = match (self.part, &self.keep) {
            (Some(part), None) => ("part", vec![part]),
            (None, Some(parts)) => ("keep", parts.clone()),
            (Some(_), Some(_)) => {
                let what = "`part` and `keep` are both given; write one of them";
                return Err(Misfit::of_parameter("keep", what));
            }
            (None, None) => {
                let what = "`part` or `keep` is required";
                return Err(Misfit::of_parameter("part", what));
            }
        };
        if is_date && parts.iter().any(|part| part.is_of_time()) {
            let what = "a date has no part below the day";
            return Err(Misfit::of_parameter(parameter, what)
                .with_hint("choose year, quarter, month, week, day or weekday"));
        }
        if let Some(part) = self.part {
            return Ok(Asked::Part(part));
        }
        check_kept(&parts, is_date)?;
        Ok(Asked::Kept(Kept::new(&parts)))
    }
}

/// Refuses parts that have no place of their own, stand twice, or are all there are.
fn check_kept(parts: &[Part], is_date: bool) -> Result<(), Misfit> {
    let refused = |what: &str| Err(Misfit::of_parameter("keep", what));
    if parts.is_empty() {
        return refused("`keep` lists nothing; a constant would do");
    }
    if !parts.iter().all(|part| PLACES.contains(part)) {
        return Err(Misfit::of_parameter(
            "keep",
            "quarter, week and weekday are no parts that a date is made of",
        )
        .with_hint("write them as `part`, or truncate to them with date-trunc"));
    }
    let twice = parts
        .iter()
        .enumerate()
        .any(|(place, part)| parts.iter().skip(place + 1).any(|other| other == part));
    if twice {
        return refused("`keep` lists a part twice");
    }
    if parts.len() == if is_date { 3 } else { 6 } {
        return refused("`keep` lists every part, so that nothing is hidden");
    }
    Ok(())
}

/// Days since Monday; 1970-01-01 was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The week of ISO 8601: it belongs to the year of its Thursday.
fn week(day: i64) -> i64 {
    let thursday = day - weekday(day) + 3;
    let new_year = Civil {
        month: 1,
        day: 1,
        ..Civil::of_days(thursday)
    }
    .to_days();
    (thursday - new_year) / 7 + 1
}

impl Definition for TimePart {
    const KIND: &'static str = "time-part";
    const SUMMARY: &'static str = "delivers one part of a date or timestamp as a whole number";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str = r#"{ kind = "time-part", part = "year" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    /// True if every part is one of the floor's, or the quarter, which follows from the month.
    fn at_least(&self, floor: &Self) -> bool {
        let known = floor.parts_shown();
        let follows = |part: &Part| {
            known.contains(part) || (*part == Part::Quarter && known.contains(&Part::Month))
        };
        self.parts_shown().iter().all(follows)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        check_time(Self::KIND, column.data_type)?;
        let is_date = matches!(column.data_type, DataType::Date32 | DataType::Date64);
        Ok(Some(match self.asked(is_date)? {
            Asked::Part(_) => DataType::Int32,
            Asked::Kept(_) => column.data_type.clone(),
        }))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        check_time(Self::KIND, column.data_type)?;
        let is_date = matches!(column.data_type, DataType::Date32 | DataType::Date64);
        let builder = Builder {
            column,
            options,
            local: Local::new(column.data_type)?,
            asked: self.asked(is_date)?,
        };
        with_time(column.data_type, builder)
            .ok_or_else(|| Misfit::of_type(Self::KIND, column.data_type, Self::FITS))?
    }
}

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    local: Local,
    asked: Asked,
}

impl ForTime for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let Self { local, asked, .. } = self;
        match asked {
            Asked::Part(part) => converted::<T, _>(self.column, self.options, move |value| {
                let moment = local.moment(value.into())?;
                i32::try_from(part.of(moment)).ok()
            }),
            Asked::Kept(kept) => mapped::<T, _>(self.column, self.options, move |value| {
                let moment = kept.of(local.moment(value.into())?);
                T::Native::try_from(local.value(moment)?).ok()
            }),
        }
    }
}

#[cfg(test)]
mod tests;
