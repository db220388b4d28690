//! `fake-age`: the age of a person who doesn't exist.

use arrow::datatypes::DataType;
use chrono::Datelike;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Civil;
use crate::date::Date;
use crate::divisions::{Divisions, Edition};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::person::BIRTH_END;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::origin::{Kept, Told};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};

pub use crate::surrogate::origin::{Keep, WhenUnfit};

/// Puts an age in completed years in the place of one: the age on `as_of` of who was born on the
/// person's birth date.
///
/// The age is that of the person's other facets, and may by chance be the original's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeAge {
    /// Consistency domain: fields of one domain write facets of the same persons
    /// (`"person.id"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the person's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The day on which ages are taken, 2006-01-01 or later: drawn persons are born before, but for
    /// those of whom a younger division is kept. A value is invalid where its person is.
    pub as_of: Date,
    /// What stays of the person: `"birth-year"` (needs `birth`); `"province"`, `"city"` or
    /// `"district"` (needs `region`), which shows in nothing but that a division of it existed then.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// What becomes of someone of whom the kept city or district can't be kept, because no code of
    /// it was in force in the year of birth: `"invalid"`, or `"widen"`, which keeps the next wider
    /// part in its place. With a kept birth year, that is whoever is older than the code. Written
    /// alike in every facet of a person.
    #[serde(default)]
    pub when_unfit: WhenUnfit,
    /// The field a kept birth year is read from: a date, a year, or a resident number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<String>,
    /// The field a kept division is read from: a division code, or a resident number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

/// No one is older.
const AGE_MAX: i64 = 127;

/// The year in which the oldest of drawn persons reach it.
const AS_OF_YEAR_MAX: i32 = 2_072;

impl FakeAge {
    fn day(&self) -> Civil {
        let day = self.as_of.0;
        Civil {
            year: i64::from(day.year()),
            month: i64::from(day.month()),
            day: i64::from(day.day()),
        }
    }
}

impl FakeAge {
    fn kept(&self) -> Kept {
        Kept::of(self.keep.iter().copied(), self.when_unfit)
    }
}

impl Surrogate for FakeAge {
    const KIND: &'static str = "fake-age";
    const SUMMARY: &'static str = "writes the age of a person who doesn't exist";
    const FITS: &'static str = "utf8, whole numbers";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-age", domain = "person.id", by = "person_id", as_of = 2026-01-01 }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "3 bytes";
    const ENTITY: &'static str = "person";
    const FOLLOWS: Option<&'static str> = Some("division");

    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            birth: self.birth.as_deref(),
            region: self.region.as_deref(),
            ..Linkage::of(&self.domain, &self.join, &self.by)
        }
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            as_of: self.day(),
            divisions: Divisions::new(),
            kept: self.kept(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        if *column.data_type != DataType::Utf8 && !column.data_type.is_integer() {
            return Err(Misfit::of_type(Self::KIND, column.data_type, Self::FITS));
        }
        if self.day().to_days() < BIRTH_END.to_days() {
            return Err(
                Misfit::of_parameter("as_of", "`as_of` lies before drawn persons' births")
                    .with_hint("write 2006-01-01 or a later day"),
            );
        }
        if self.as_of.0.year() > AS_OF_YEAR_MAX {
            let what = "`as_of` lies so far ahead that some drawn persons would be older than 127";
            return Err(Misfit::of_parameter("as_of", what)
                .with_hint("write the day that ages are meant for, at most 2072-12-31"));
        }
        self.kept()
            .check(&self.keep, &self.linkage(), Told::Nothing)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.as_of == floor.as_of && self.kept().no_more_than(floor.kept())
    }

    fn width(&self) -> Option<usize> {
        Some(3)
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        self.kept().facts(&self.linkage()).to_vec()
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        Some("40")
    }
}

#[derive(Debug)]
struct Kernel {
    as_of: Civil,
    divisions: Divisions,
    kept: Kept,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let age = original
            .value
            .trim()
            .parse::<i64>()
            .map_err(|_| Case::Invalid)?;
        if !(0..=AGE_MAX).contains(&age) {
            return Err(Case::Invalid);
        }
        let birth = self.kept.origin(original, &self.divisions)?.birth;
        let before = (self.as_of.month, self.as_of.day) < (birth.month, birth.day);
        let age = self.as_of.year - birth.year - i64::from(before);
        if !(0..=AGE_MAX).contains(&age) {
            return Err(Case::Invalid);
        }
        out.extend_from_slice(age.to_string().as_bytes());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        2
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use crate::spec::{Column, Row, RowField};
    use crate::testing::spec;

    #[test]
    fn a_day_on_which_no_one_drawn_would_be_alive_is_refused() {
        let fields = [RowField {
            name: "who",
            data_type: &DataType::Utf8,
            category: "other",
        }];
        let column = Column {
            row: Row(&fields),
            ..Column::alone("age", &DataType::Utf8, "age")
        };
        let of = |day: &str| {
            let text = format!("{{ kind = 'fake-age', domain = 'd', by = 'who', as_of = {day} }}");
            spec(&text).output_type(column)
        };
        assert!(of("2072-12-31").is_ok());
        for day in ["2073-01-01", "9999-12-31", "2005-12-31"] {
            assert_eq!(of(day).unwrap_err().parameter, Some("as_of"), "{day}");
        }
    }
}
