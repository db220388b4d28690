//! `date-shift`: all dates of one entity moved by the same number of days.
//!
//! How long a stay lasted and what came first survive; when it was does not. The shift is a function
//! of the key and the entity, so that every delivery of the grant, and every field of the domain,
//! moves a person by the same days: there is nothing to average, and nothing to contradict.

use std::ops::RangeInclusive;

use arrow::datatypes::{ArrowPrimitiveType, DataType};
use chrono::Datelike as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, DayField, ForTime, Local, check_time, with_time};
use crate::date::Date;
use crate::draw::{Draws, check_domain};
use crate::entity::EntityField;
use crate::error::Misfit;
use crate::key::{DerivedKey, KeyUse};
use crate::number::drawn::drawn_beside;
use crate::options::Options;
use crate::spec::{Column, Definition, Read, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Moves dates and timestamps by whole days, as many for every row of one entity; the type stays.
///
/// Order and intervals within an entity stay exact, in every field of the same domain, range and
/// flags. A day is 24 hours: where a zone's clocks were changed in between, the local time of day
/// moves with them, and near midnight the weekday may. The time of day is not hidden: truncate it
/// where it identifies. A row whose entity is null or empty is invalid, never left unshifted; so is
/// a result before 0001-01-01 or after 9999-12-31, or beyond a limit. It is never moved to the limit
/// nor shifted the other way: the first would change intervals, and for the second a row would have
/// to know every date of its entity. So what is delivered keeps its order and intervals, and what
/// `on_invalid` puts in the place of the rest tells that it lay near the limit. Dates that stand for something else, such as
/// 9999-12-31, belong into `sentinels`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DateShift {
    /// Consistency domain of the shift (`"visits"`); fields of one domain move together.
    pub domain: String,
    /// Approved join group, whose grants shift alike; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that names the entity, such as a person's id.
    pub by: String,
    /// The least number of days, negative for earlier; at most 36525 days either way.
    pub min_days: i32,
    /// The greatest number of days.
    pub max_days: i32,
    /// Moves by whole weeks only, so that the weekday stays.
    #[serde(default)]
    pub keep_weekday: bool,
    /// Leaves no entity where it was. Otherwise no days are as likely as any others.
    #[serde(default = "forbid_zero")]
    pub forbid_zero: bool,
    /// The last day that a result may fall on, in the field's zone, such as the day of the extract:
    /// later ones are invalid, so that nothing lies in the future. Absent means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Date>,
    /// The field of dates or timestamps, such as a birth, whose day no result may precede: earlier
    /// ones are invalid. It is read from the original row, and where it is null there is no limit;
    /// a time beyond what can be told makes the row invalid.
    /// Meant for a field that is delivered as it is or coarser; one that is shifted under the same
    /// domain, range and flags keeps its order without this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_field: Option<String>,
}

fn forbid_zero() -> bool {
    true
}

/// The furthest shift: a hundred years.
const DAYS_MAX: i32 = 36_525;

/// The days that a shift may have: multiples of `unit` from `first` on, `count` of them, without
/// zero where it is forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shifts {
    first: i64,
    unit: i64,
    count: u32,
    skips_zero: bool,
}

impl Shifts {
    #[inline]
    fn days(self, draws: &Draws, entity: &str) -> Option<i64> {
        let index = draws.draw(Some(entity), &[]).below(self.count.into());
        let days = self.first + i64::try_from(index).ok()? * self.unit;
        Some(if self.skips_zero && days >= 0 {
            days + self.unit
        } else {
            days
        })
    }
}

impl DateShift {
    fn shifts(&self) -> Result<Shifts, Misfit> {
        for (parameter, days) in [("min_days", self.min_days), ("max_days", self.max_days)] {
            if !(-DAYS_MAX..=DAYS_MAX).contains(&days) {
                let what = format!("`{parameter}` must lie between -{DAYS_MAX} and {DAYS_MAX}");
                return Err(Misfit::of_parameter(parameter, what));
            }
        }
        let unit = if self.keep_weekday { 7 } else { 1 };
        let (min, max) = (i64::from(self.min_days), i64::from(self.max_days));
        let first = -(-min).div_euclid(unit);
        let last = max.div_euclid(unit);
        let skips_zero = self.forbid_zero && first <= 0 && last >= 0;
        let count = u32::try_from(last - first + 1).unwrap_or(0) - u32::from(skips_zero);
        if count < 2 {
            let what = "there are fewer than two different shifts from `min_days` to `max_days`, \
                        so that one date known of anyone gives away all";
            return Err(Misfit::of_parameter("max_days", what).with_hint("widen the range"));
        }
        Ok(Shifts {
            first: first * unit,
            unit,
            count,
            skips_zero,
        })
    }

    /// How many different shifts there are, without zero where it is forbidden and in whole weeks
    /// where the weekday stays; 1 for a range that doesn't fit.
    pub(crate) fn different_shifts(&self) -> u64 {
        self.shifts().map_or(1, |shifts| shifts.count.into())
    }

    /// The last day that a result may fall on.
    fn last_day(&self) -> i64 {
        self.not_after.map_or(*DAYS.end(), |Date(day)| {
            let day = Civil {
                year: day.year().into(),
                month: day.month().into(),
                day: day.day().into(),
            };
            day.to_days().min(*DAYS.end())
        })
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        check_domain(&self.domain, self.join.as_deref())?;
        self.shifts()?;
        check_time(Self::KIND, column.data_type)?;
        if self.by == column.name {
            let what = "`by` names the field itself, so that every date would move on its own";
            return Err(Misfit::of_parameter("by", what).with_hint("name who the dates belong to"));
        }
        EntityField::resolve(&self.by, column)?;
        self.not_before(column).map(drop)
    }

    /// The field of the lower limit.
    fn not_before(&self, column: Column<'_>) -> Result<Option<DayField>, Misfit> {
        const PARAMETER: &str = "not_before_field";
        let Some(name) = &self.not_before_field else {
            return Ok(None);
        };
        if name == column.name {
            let what =
                "`not_before_field` names the field itself, so that no date could be earlier";
            return Err(Misfit::of_parameter(PARAMETER, what)
                .with_hint("name a field that is delivered unshifted, such as a birth date"));
        }
        // The entity is read first.
        DayField::resolve(PARAMETER, name, column, 1).map(Some)
    }
}

impl Definition for DateShift {
    const KIND: &'static str = "date-shift";
    const SUMMARY: &'static str = "moves all dates of one entity by the same keyed number of days";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str = r#"{ kind = "date-shift", domain = "visits", by = "person_id", min_days = -30, max_days = 30 }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn reads(&self) -> Vec<Read> {
        let limit = self.not_before_field.iter().cloned().map(Read::Field);
        std::iter::once(Read::Entity(self.by.clone()))
            .chain(limit)
            .collect()
    }

    /// True for a range that covers the floor's, flags that keep no more, and limits that leave no
    /// more results. A limit of one's own takes away from what is shown, so a floor without one
    /// allows any.
    fn at_least(&self, floor: &Self) -> bool {
        self.domain == floor.domain
            && (self.join.is_none() || self.join == floor.join)
            && self.by == floor.by
            && self.min_days <= floor.min_days
            && self.max_days >= floor.max_days
            && (!self.keep_weekday || floor.keep_weekday)
            && (self.forbid_zero || !floor.forbid_zero)
            && floor
                .not_after
                .is_none_or(|limit| self.not_after.is_some_and(|own| own <= limit))
            && (floor.not_before_field.is_none() || self.not_before_field == floor.not_before_field)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(KeyUse {
            purpose: "pseudonym",
            domain: self.domain.clone(),
            join: self.join.clone(),
        })
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        // Another range draws anew: were the draw shared, two results would solve for the date.
        // Limits don't: they take results away, and change none.
        let parameters = format!(
            "{}\n{}\n{}\n{}",
            self.min_days, self.max_days, self.keep_weekday, self.forbid_zero
        );
        let builder = Builder {
            column,
            options,
            entity: EntityField::resolve(&self.by, column)?,
            draws: Draws::new(Self::KIND, &parameters, column, key)?,
            shifts: self.shifts()?,
            days: *DAYS.start()..=self.last_day(),
            not_before: self.not_before(column)?,
            local: Local::new(column.data_type)?,
        };
        with_time(column.data_type, builder)
            .ok_or_else(|| Misfit::of_type(Self::KIND, column.data_type, Self::FITS))?
    }
}

/// First and last day that dates are written with: 0001-01-01 and 9999-12-31.
const DAYS: RangeInclusive<i64> = -719_162..=2_932_896;

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    entity: EntityField,
    draws: Draws,
    shifts: Shifts,
    /// The days that results may fall on.
    days: RangeInclusive<i64>,
    not_before: Option<DayField>,
    local: Local,
}

impl ForTime for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let Self {
            draws,
            shifts,
            days: allowed,
            local,
            ..
        } = self;
        drawn_beside::<T, _>(
            self.column,
            self.options,
            Some(self.entity),
            self.not_before,
            move |value, entity, earliest| {
                let days = shifts.days(&draws, entity?)?;
                let shift = days.checked_mul(local.per_day())?;
                let shifted = value.into().checked_add(shift)?;
                let moment = local.moment(shifted)?;
                let fits = allowed.contains(&moment.day)
                    && earliest.is_none_or(|earliest| earliest <= moment.day);
                fits.then(|| T::Native::try_from(shifted).ok())?
            },
        )
    }
}

#[cfg(test)]
mod tests;
