//! `age-from`: birth dates to whole years of age on a given day.

use arrow::datatypes::{ArrowPrimitiveType, DataType};
use chrono::Datelike;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::{Civil, ForTime, Local, check_time, with_time};
use crate::date::Date;
use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::converted::converted;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Replaces a birth date by completed years of age, as a whole number (`int32`).
///
/// A year is completed on the birthday; who was born on 29 February completes one on 1 March where
/// there is no such day. A birth after `as_of` is invalid, and without a `cap` so is an age above
/// 150. A sentinel becomes null, because a number could not be told from an age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeFrom {
    /// The day on which ages are taken. There is no clock: the same input gives the same ages.
    pub as_of: Date,
    /// The greatest age delivered: who is older is given this age, because few people are. Absent
    /// means that ages are delivered as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
}

/// Nobody is older.
const AGE_MAX: u32 = 150;

impl AgeFrom {
    fn check(&self) -> Result<(), Misfit> {
        if self.cap.is_some_and(|cap| !(1..=AGE_MAX).contains(&cap)) {
            let what = format!("`cap` must be an age from 1 to {AGE_MAX}");
            return Err(Misfit::of_parameter("cap", what));
        }
        Ok(())
    }

    fn ages(&self) -> Ages {
        let day = self.as_of.0;
        let date = Civil {
            year: i64::from(day.year()),
            month: i64::from(day.month()),
            day: i64::from(day.day()),
        };
        Ages {
            date,
            day: date.to_days(),
            cap: self.cap.map(i64::from),
        }
    }
}

/// Ages on one day.
#[derive(Debug, Clone, Copy)]
struct Ages {
    date: Civil,
    day: i64,
    cap: Option<i64>,
}

impl Ages {
    /// The age of who was born on that day.
    #[inline]
    fn of(self, day: i64) -> Option<i32> {
        if day > self.day {
            return None;
        }
        let birth = Civil::of_days(day);
        let before_birthday = (self.date.month, self.date.day) < (birth.month, birth.day);
        let age = self.date.year - birth.year - i64::from(before_birthday);
        let age = match self.cap {
            Some(cap) => age.min(cap),
            None if age > i64::from(AGE_MAX) => return None,
            None => age,
        };
        i32::try_from(age).ok()
    }
}

impl Definition for AgeFrom {
    const KIND: &'static str = "age-from";
    const SUMMARY: &'static str = "replaces a birth date by whole years of age on a given day";
    const FITS: &'static str = "dates and timestamps";
    const EXAMPLE: &'static str = r#"{ kind = "age-from", as_of = 2026-01-01, cap = 90 }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    /// True if ages are taken on the same day, with a cap no higher.
    fn at_least(&self, floor: &Self) -> bool {
        let capped = floor
            .cap
            .is_none_or(|floor| self.cap.is_some_and(|own| own <= floor));
        self.as_of == floor.as_of && capped
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check()?;
        check_time(Self::KIND, column.data_type)?;
        Ok(Some(DataType::Int32))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let local = Local::new(column.data_type)?;
        let builder = Builder {
            column,
            options,
            local,
            ages: self.ages(),
        };
        with_time(column.data_type, builder)
            .ok_or_else(|| Misfit::of_type(Self::KIND, column.data_type, Self::FITS))?
    }
}

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    local: Local,
    ages: Ages,
}

impl ForTime for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let Self { local, ages, .. } = self;
        converted::<T, _>(self.column, self.options, move |value| {
            ages.of(local.moment(value.into())?.day)
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Date32Array, TimestampSecondArray};
    use arrow::datatypes::Int32Type;
    use chrono::{DateTime, NaiveDate, TimeDelta};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::number::column::testing::{misfit, treat, written};

    fn ages(table: Value, array: impl Array + 'static) -> Vec<Option<i32>> {
        treat::<AgeFrom>(table, array)
            .as_primitive::<Int32Type>()
            .iter()
            .collect()
    }

    fn day(text: &str) -> i32 {
        let date: NaiveDate = text.parse().unwrap();
        i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap()
    }

    #[test]
    fn a_year_is_completed_on_the_birthday() {
        for (birth, as_of, age) in [
            ("2000-06-15", "2026-06-14", Some(25)),
            ("2000-06-15", "2026-06-15", Some(26)),
            ("2004-02-29", "2025-02-28", Some(20)),
            ("2004-02-29", "2025-03-01", Some(21)),
            ("2026-01-01", "2026-01-01", Some(0)),
            ("2026-01-02", "2026-01-01", None),
            ("1875-01-01", "2026-01-01", None),
            ("1876-01-01", "2026-01-01", Some(150)),
        ] {
            let array = Date32Array::from(vec![day(birth)]);
            assert_eq!(
                ages(json!({ "as_of": as_of }), array),
                [age],
                "{birth} {as_of}"
            );
        }
    }

    #[test]
    fn the_oldest_share_the_cap() {
        let births = Date32Array::from(vec![day("1935-01-01"), day("1800-01-01"), i32::MIN]);
        let table = json!({ "as_of": "2026-01-01", "cap": 90 });
        assert_eq!(ages(table, births), [Some(90), Some(90), Some(90)]);
    }

    #[test]
    fn ages_do_not_follow_any_clock() {
        let births = || Date32Array::from(vec![day("1990-05-05"), i32::MAX]);
        let table = json!({ "as_of": "1991-01-01" });
        assert_eq!(ages(table.clone(), births()), [Some(0), None]);
        assert_eq!(ages(table, births()), [Some(0), None]);
    }

    #[test]
    fn a_birth_is_on_the_day_that_clocks_of_the_zone_showed() {
        let birth = DateTime::parse_from_rfc3339("1999-12-31T23:00:00Z")
            .unwrap()
            .timestamp();
        let table = json!({ "as_of": "2025-12-31" });
        let plain = TimestampSecondArray::from(vec![birth, i64::MIN, i64::MAX]);
        assert_eq!(ages(table.clone(), plain.clone()), [Some(26), None, None]);
        let zoned = plain.with_timezone("Asia/Shanghai");
        assert_eq!(ages(table, zoned), [Some(25), None, None]);
    }

    #[test]
    fn parameters_that_cannot_be_are_a_misfit() {
        for cap in [0, 151] {
            let table = json!({ "as_of": "2026-01-01", "cap": cap });
            assert_eq!(
                misfit::<AgeFrom>(table, &DataType::Date32).parameter,
                Some("cap")
            );
        }
        let text = misfit::<AgeFrom>(json!({ "as_of": "2026-01-01" }), &DataType::Utf8);
        assert_eq!(text.parameter, None);
        assert!(serde_json::from_value::<AgeFrom>(json!({})).is_err());
    }

    #[test]
    fn a_lower_cap_reveals_no_more() {
        let age = |table: Value| written::<AgeFrom>(table);
        let floor = age(json!({ "as_of": "2026-01-01", "cap": 90 }));
        for (table, meets) in [
            (json!({ "as_of": "2026-01-01", "cap": 90 }), true),
            (json!({ "as_of": "2026-01-01", "cap": 80 }), true),
            (json!({ "as_of": "2026-01-01", "cap": 91 }), false),
            (json!({ "as_of": "2026-01-01" }), false),
            (json!({ "as_of": "2026-01-02", "cap": 90 }), false),
        ] {
            assert_eq!(age(table.clone()).at_least(&floor), meets, "{table}");
        }
    }

    proptest! {
        #[test]
        fn ages_agree_with_chrono(birth in -25_000..25_000_i32, as_of in 0..25_000_i32) {
            let date = |days: i32| NaiveDate::default() + TimeDelta::days(days.into());
            let table = json!({ "as_of": date(as_of).to_string() });
            let expected = date(as_of).years_since(date(birth)).map(u32::cast_signed);
            prop_assert_eq!(ages(table, Date32Array::from(vec![birth])), [expected]);
        }
    }
}
