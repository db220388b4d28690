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
    /// ones are invalid. It is read from the original row, and where it is null there is no limit.
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
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, AsArray, Date32Array, Date64Array, DictionaryArray, LargeStringArray,
        StringArray, StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray,
        TimestampSecondArray,
    };
    use arrow::datatypes::{
        Date32Type, Date64Type, Int8Type, TimeUnit, TimestampNanosecondType, TimestampSecondType,
    };
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::number::column::testing::written;
    use crate::number::drawn::testing::{misfit, treat};
    use crate::options::Scalar;
    use crate::spec::{Row, RowField};
    use crate::treatment::{Context, Treated};

    fn table(min: i32, max: i32) -> Value {
        json!({ "domain": "d", "by": "who", "min_days": min, "max_days": max })
    }

    fn shifted(table: Value, days: Vec<i32>, who: &[Option<&str>]) -> Vec<Option<i32>> {
        let treated = treat::<DateShift>(table, &Options::default(), Date32Array::from(days), who);
        treated.array.as_primitive::<Date32Type>().iter().collect()
    }

    #[test]
    fn the_ends_are_the_first_and_last_written_days() {
        let day = |year, month, day| Civil { year, month, day }.to_days();
        assert_eq!(
            (*DAYS.start(), *DAYS.end()),
            (day(1, 1, 1), day(9999, 12, 31))
        );
    }

    #[test]
    fn dates_of_one_entity_move_together_and_those_of_others_apart() {
        let who: Vec<String> = (0..40).map(|person| person.to_string()).collect();
        let who: Vec<Option<&str>> = who.iter().map(|person| Some(person.as_str())).collect();
        let one = shifted(table(-1_000, 1_000), vec![0; 40], &who);
        let two = shifted(table(-1_000, 1_000), vec![20_000; 40], &who);
        for (one, two) in one.iter().zip(&two) {
            assert_eq!(two.unwrap() - one.unwrap(), 20_000);
        }
        let mut different: Vec<_> = one.into_iter().flatten().collect();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() > 30);
    }

    #[test]
    fn another_key_shifts_by_other_days() {
        let shift: DateShift = written(table(-30_000, 30_000));
        crate::number::drawn::testing::with_row("other", |row| {
            let column = Column {
                row,
                ..Column::alone("x", &DataType::Date32, "x")
            };
            let of_scope = |scope: &str| {
                let key = DerivedKey::derive(&[7; 32], "pseudonym", "d", scope, 1);
                let built = shift
                    .build(column, &Options::default(), Some(&key))
                    .unwrap();
                let array: ArrayRef = Arc::new(Date32Array::from(vec![0; 3]));
                let inputs: [ArrayRef; 1] = [Arc::new(StringArray::from(vec!["a", "b", "c"]))];
                let context = Context {
                    inputs: &inputs,
                    ..Context::default()
                };
                built.treat(&array, &context).unwrap().array
            };
            assert_eq!(&of_scope("grant:G-1"), &of_scope("grant:G-1"));
            assert_ne!(&of_scope("grant:G-1"), &of_scope("grant:G-2"));
            assert!(shift.build(column, &Options::default(), None).is_err());
        });
    }

    #[test]
    fn an_entity_is_the_same_in_every_form_of_text() {
        let shift: DateShift = written(table(-30_000, 30_000));
        let names = vec![Some("甲"), None, Some("乙"), Some("甲")];
        let forms: [ArrayRef; 4] = [
            Arc::new(StringArray::from(names.clone())),
            Arc::new(LargeStringArray::from(names.clone())),
            Arc::new(StringViewArray::from(names.clone())),
            Arc::new(names.into_iter().collect::<DictionaryArray<Int8Type>>()),
        ];
        crate::number::drawn::testing::with_row("other", |row| {
            let column = Column {
                row,
                ..Column::alone("x", &DataType::Date32, "x")
            };
            let key = crate::testing::key();
            let built = shift
                .build(column, &Options::default(), Some(&key))
                .unwrap();
            let array: ArrayRef = Arc::new(Date32Array::from(vec![0; 4]));
            let mut results = forms.iter().map(|form| {
                let inputs = [Arc::clone(form)];
                let context = Context {
                    inputs: &inputs,
                    ..Context::default()
                };
                built.treat(&array, &context).unwrap().array
            });
            let first = results.next().unwrap();
            assert!(first.is_null(1) && results.all(|result| result.as_ref() == first.as_ref()));
            let inputs: [ArrayRef; 1] = [Arc::new(Date32Array::from(vec![0; 4]))];
            let context = Context {
                inputs: &inputs,
                ..Context::default()
            };
            assert!(built.treat(&array, &context).is_err());
        });
    }

    #[test]
    fn nobody_stays_where_they_were_unless_allowed() {
        let who: Vec<String> = (0..500).map(|person| person.to_string()).collect();
        let who: Vec<Option<&str>> = who.iter().map(|person| Some(person.as_str())).collect();
        let spread = |table: Value| {
            let mut days: Vec<_> = shifted(table, vec![0; 500], &who)
                .into_iter()
                .flatten()
                .collect();
            days.sort_unstable();
            days.dedup();
            days
        };
        assert_eq!(spread(table(-2, 2)), [-2, -1, 1, 2]);
        assert_eq!(spread(table(0, 2)), [1, 2]);
        assert_eq!(spread(table(-2, 0)), [-2, -1]);
        let mut allowed = table(-1, 1);
        allowed["forbid_zero"] = json!(false);
        assert_eq!(spread(allowed), [-1, 0, 1]);
        let mut weeks = table(-15, 20);
        weeks["keep_weekday"] = json!(true);
        assert_eq!(spread(weeks), [-14, -7, 7, 14]);
    }

    #[test]
    fn a_row_without_an_entity_is_never_left_unshifted() {
        let array = Date32Array::from(vec![Some(1), Some(2), Some(3), None]);
        let who = [None, Some(""), Some("\t"), None];
        let treated = treat::<DateShift>(table(-9, 9), &Options::default(), array, &who);
        assert_eq!(treated.array.null_count(), 4);
        assert_eq!((treated.counts.invalid, treated.counts.nulls), (3, 1));
    }

    #[test]
    fn dates_at_the_ends_are_invalid_and_sentinels_stay() {
        let ends = vec![i32::MIN, i32::MAX, 2_932_896, -719_162];
        let late = shifted(table(1, 9), ends.clone(), &[]);
        assert_eq!((late[0], late[1], late[2]), (None, None, None));
        assert!(late[3].is_some());
        let early = shifted(table(-9, -1), ends, &[]);
        assert!(early[2].is_some() && early[3].is_none());
        let listed = Options {
            sentinels: vec![Scalar::Text("9999-12-31".into())],
            ..Options::default()
        };
        let unknown = Date32Array::from(vec![2_932_896]);
        let treated = treat::<DateShift>(table(1, 9), &listed, unknown, &[None]);
        assert_eq!(
            treated.array.as_primitive::<Date32Type>().value(0),
            2_932_896
        );
        let nanoseconds = TimestampNanosecondArray::from(vec![i64::MIN, i64::MAX, 0]);
        let treated = treat::<DateShift>(table(1, 9), &Options::default(), nanoseconds, &[]);
        let treated = treated.array.as_primitive::<TimestampNanosecondType>();
        assert!(treated.is_valid(0) && treated.is_null(1) && treated.value(2) > 0);
        let seconds = TimestampSecondArray::from(vec![i64::MIN, i64::MAX]).with_timezone("+08:00");
        let treated = treat::<DateShift>(table(-9, 9), &Options::default(), seconds, &[]);
        assert_eq!(treated.array.null_count(), 2);
    }

    #[test]
    fn a_result_beyond_a_limit_is_invalid_and_all_others_stay_what_they_were() {
        let who: Vec<String> = (0..200).map(|person| person.to_string()).collect();
        let who: Vec<Option<&str>> = who.iter().map(|person| Some(person.as_str())).collect();
        let free = shifted(table(-30, 30), vec![20_000; 200], &who);
        let mut limited = table(-30, 30);
        // 20000 days after 1970-01-01.
        limited["not_after"] = json!("2024-10-04");
        let array = Date32Array::from(vec![20_000; 200]);
        let treated = treat::<DateShift>(limited, &Options::default(), array, &who);
        let results = treated.array.as_primitive::<Date32Type>();
        for (free, limited) in free.iter().zip(results) {
            assert_eq!(limited, free.filter(|day| *day <= 20_000));
        }
        let beyond = free.iter().flatten().filter(|day| **day > 20_000).count();
        assert!((50..150).contains(&beyond));
        assert_eq!(treated.counts.invalid, u64::try_from(beyond).unwrap());
    }

    /// Treats a date of everyone beside the day that another field holds of them.
    fn beside(births: &ArrayRef, values: &ArrayRef, change: &Value) -> Result<Treated, Misfit> {
        let mut table = table(-30, 30);
        table["not_before_field"] = json!("birth");
        for (name, value) in change.as_object().unwrap() {
            table[name] = value.clone();
        }
        let shift: DateShift = written(table);
        let who: ArrayRef = Arc::new(
            (0..values.len())
                .map(|row| Some(row.to_string()))
                .collect::<StringArray>(),
        );
        let field = |name, data_type| RowField {
            name,
            data_type,
            category: "other",
        };
        let row = [
            field("who", &DataType::Utf8),
            field("birth", births.data_type()),
        ];
        let column = Column {
            row: Row(&row),
            ..Column::alone("x", values.data_type(), "x")
        };
        let key = crate::testing::key();
        let built = shift.build(column, &Options::default(), Some(&key))?;
        let inputs = [who, Arc::clone(births)];
        let context = Context {
            inputs: &inputs,
            ..Context::default()
        };
        Ok(built.treat(values, &context).unwrap())
    }

    #[test]
    fn no_result_precedes_the_day_of_another_field() {
        let day = |rows| -> ArrayRef { Arc::new(Date32Array::from(vec![20_000; rows])) };
        let births: ArrayRef = Arc::new(Date32Array::from_iter(
            (0..200).map(|row| (row % 2 == 0).then_some(20_000)),
        ));
        let treated = beside(&births, &day(200), &json!({})).unwrap();
        let results = treated.array.as_primitive::<Date32Type>();
        let (mut invalid, mut early) = (0, 0);
        for (row, result) in results.iter().enumerate() {
            match result {
                None => invalid += u64::from(row % 2 == 0),
                // Without a birth there is no limit.
                Some(day) => {
                    assert!(day >= 20_000 || row % 2 == 1);
                    early += u64::from(day < 20_000);
                }
            }
        }
        assert!(early > 20 && invalid > 20);
        assert_eq!(treated.counts.invalid, invalid);

        // A timestamp is compared by its day where it was: 01:00 in Shanghai, the day before in UTC.
        let late = TimestampSecondArray::from(vec![19_999 * 86_400 + 17 * 3_600; 200])
            .with_timezone("Asia/Shanghai");
        let late: ArrayRef = Arc::new(late);
        let treated = beside(&late, &day(200), &json!({})).unwrap();
        let results = treated.array.as_primitive::<Date32Type>();
        assert!(results.iter().flatten().all(|day| day > 20_000));
        assert!(results.null_count() > 50);
    }

    #[test]
    fn a_field_that_sets_no_limit_is_a_misfit() {
        let day = || -> ArrayRef { Arc::new(Date32Array::from(vec![0])) };
        for (births, change) in [
            (day(), json!({ "not_before_field": "x" })),
            (day(), json!({ "not_before_field": "nobody" })),
            (day(), json!({ "not_before_field": "who" })),
        ] {
            let misfit = beside(&births, &day(), &change).unwrap_err();
            assert_eq!(misfit.parameter, Some("not_before_field"));
        }
    }

    #[test]
    fn every_type_moves_by_the_same_days() {
        let days = shifted(table(-99, 99), vec![0], &[])[0].unwrap();
        let milliseconds = Date64Array::from(vec![0]);
        let treated = treat::<DateShift>(table(-99, 99), &Options::default(), milliseconds, &[]);
        let expected = i64::from(days) * 86_400_000;
        assert_eq!(
            treated.array.as_primitive::<Date64Type>().value(0),
            expected
        );
        let zoned = TimestampMicrosecondArray::from(vec![0]).with_timezone("Asia/Shanghai");
        let treated = treat::<DateShift>(table(-99, 99), &Options::default(), zoned, &[]);
        let zone = Some("Asia/Shanghai".into());
        assert_eq!(
            treated.array.data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, zone)
        );
    }

    #[test]
    fn intervals_stay_exact_where_clocks_were_changed() {
        // Clocks went from 02:00 to 03:00 on 2024-03-10 in New York.
        let instant = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp();
        let (before, after) = (
            instant("2024-03-10T01:59:59-05:00"),
            instant("2024-03-10T03:00:00-04:00"),
        );
        for offset in -20..20 {
            let values: Vec<i64> = [before, after]
                .map(|instant| instant + offset * 86_400)
                .to_vec();
            let array = TimestampSecondArray::from(values).with_timezone("America/New_York");
            let treated = treat::<DateShift>(table(-20, 20), &Options::default(), array, &[]);
            let treated = treated.array.as_primitive::<TimestampSecondType>();
            assert_eq!(treated.value(1) - treated.value(0), 1);
            assert_eq!((treated.value(0) - before).rem_euclid(86_400), 0);
        }
    }

    #[test]
    fn parameters_that_cannot_be_are_a_misfit() {
        for (change, parameter) in [
            (json!({ "domain": "" }), "domain"),
            (json!({ "join": " " }), "join"),
            (json!({ "by": "nobody" }), "by"),
            (json!({ "by": "flag" }), "by"),
            (json!({ "by": "x" }), "by"),
            (json!({ "min_days": -36_526 }), "min_days"),
            (json!({ "max_days": 36_526 }), "max_days"),
            (json!({ "min_days": 5, "max_days": 5 }), "max_days"),
            (json!({ "min_days": 0, "max_days": 1 }), "max_days"),
            (json!({ "min_days": 9, "max_days": 2 }), "max_days"),
            (
                json!({ "min_days": 1, "max_days": 13, "keep_weekday": true }),
                "max_days",
            ),
        ] {
            let mut table = table(-30, 30);
            for (name, value) in change.as_object().unwrap() {
                table[name] = value.clone();
            }
            let misfit = misfit::<DateShift>(table, &DataType::Date32);
            assert_eq!(misfit.parameter, Some(parameter), "{change}");
        }
        for data_type in [DataType::Utf8, DataType::Int32] {
            assert_eq!(
                misfit::<DateShift>(table(-9, 9), &data_type).parameter,
                None
            );
        }
    }

    #[test]
    fn a_wider_range_reveals_no_more() {
        let shift = |change: Value| {
            let mut table = table(-30, 30);
            for (name, value) in change.as_object().unwrap() {
                table[name] = value.clone();
            }
            written::<DateShift>(table)
        };
        let floor = shift(json!({}));
        for (change, meets) in [
            (json!({}), true),
            (json!({ "min_days": -40, "max_days": 31 }), true),
            (json!({ "min_days": -29 }), false),
            (json!({ "keep_weekday": true }), false),
            (json!({ "forbid_zero": false }), false),
            (json!({ "by": "flag" }), false),
            (json!({ "join": "j" }), false),
            (json!({ "not_after": "2026-01-01" }), true),
            (json!({ "not_before_field": "birth" }), true),
        ] {
            assert_eq!(shift(change.clone()).at_least(&floor), meets, "{change}");
        }
        let limited = shift(json!({ "not_after": "2026-01-01", "not_before_field": "birth" }));
        for (change, meets) in [
            (json!({}), false),
            (json!({ "not_after": "2026-01-01" }), false),
            (
                json!({ "not_after": "2026-01-02", "not_before_field": "birth" }),
                false,
            ),
            (
                json!({ "not_after": "2025-12-31", "not_before_field": "birth" }),
                true,
            ),
            (
                json!({ "not_after": "2026-01-01", "not_before_field": "death" }),
                false,
            ),
        ] {
            assert_eq!(shift(change.clone()).at_least(&limited), meets, "{change}");
        }
        let expected = json!({ "domain": "d", "by": "who", "min_days": -30, "max_days": 30,
                               "keep_weekday": false, "forbid_zero": true });
        assert_eq!(serde_json::to_value(&floor).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn order_and_intervals_of_one_entity_survive(
            days in prop::collection::vec(-600_000_i32..2_900_000, 2..20), min in -30_000_i32..0, max in 2_i32..30_000,
        ) {
            let results = shifted(table(min, max), days.clone(), &[]);
            for (own, moved) in days.windows(2).zip(results.windows(2)) {
                prop_assert_eq!(own[1] - own[0], moved[1].unwrap() - moved[0].unwrap());
            }
            let shift = results[0].unwrap() - days[0];
            prop_assert!((min..=max).contains(&shift) && shift != 0);
        }
    }
}
