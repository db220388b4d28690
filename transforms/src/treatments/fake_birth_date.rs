//! `fake-birth-date`: the birth date of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Civil;
use crate::error::{Case, Misfit};
use crate::persona::person;
use crate::persona::resident_id::{self, write_digits};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};

/// Puts a birth date in the place of one: any day from 1945 to 2005, or of the kept year.
///
/// The date is that of the person's other facets, and may by chance be the original's. Text keeps
/// its form: eight digits in a row, or with `-`, `/`, `.` or 年月日 between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeBirthDate {
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
    /// What stays of the original: `"birth-year"`.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The field a kept birth year is read from: a date, a year, or a resident number; absent means
    /// the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<String>,
}

/// What stays of a birth date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The year.
    BirthYear,
}

impl Surrogate for FakeBirthDate {
    const KIND: &'static str = "fake-birth-date";
    const SUMMARY: &'static str = "writes the birth date of a person who doesn't exist";
    const FITS: &'static str = "utf8, dates";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-birth-date", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            birth: self.birth.as_deref(),
            ..Linkage::of(&self.domain, &self.join, &self.by)
        }
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            keeps_year: !self.keep.is_empty(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        if !matches!(column.data_type, DataType::Utf8 | DataType::Date32) {
            return Err(Misfit::of_type(Self::KIND, column.data_type, Self::FITS));
        }
        surrogate::distinct(&self.keep)?;
        if self.birth.is_some() && self.keep.is_empty() {
            return Err(surrogate::unkept("birth", "birth-year"));
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    /// Texts of a date are written as the value is.
    fn stand_in(&self, data_type: &DataType) -> Option<&'static str> {
        let reads_value = !self.keep.is_empty() && self.birth.is_none();
        (*data_type == DataType::Date32 && !reads_value).then_some("1990-01-01")
    }
}

#[derive(Debug)]
struct Kernel {
    keeps_year: bool,
}

/// Eight digits of a date, and nothing but what separates them.
fn digits(text: &str) -> Option<[u8; 8]> {
    let mut digits = [0; 8];
    let mut slots = digits.iter_mut();
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(digit @ b'0'..=b'9') => *slots.next()? = digit,
            _ if matches!(character, '-' | '/' | '.' | '年' | '月' | '日') => {}
            _ => return None,
        }
    }
    slots.next().is_none().then_some(digits)
}

/// The day that text writes.
fn read(text: &str) -> Option<Civil> {
    let digits = digits(text)?;
    let part = |range| resident_id::number(digits.get(range)?);
    resident_id::day(part(0..4)?, part(4..6)?, part(6..8)?)
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let value = original.value.trim();
        read(value).ok_or(Case::Invalid)?;
        let year = match self.keeps_year {
            true => Some(person::read_birth_year(original.birth).ok_or(Case::Invalid)?),
            false => None,
        };
        let Civil { year, month, day } = person::birth(&original.draw, year);
        let mut digits = [b'0'; 8];
        let number = u64::try_from(year * 10_000 + month * 100 + day);
        write_digits(&mut digits, number.map_err(|_| Case::Invalid)?);
        let mut digits = digits.iter();
        for character in value.chars() {
            match digits
                .as_slice()
                .first()
                .filter(|_| character.is_ascii_digit())
            {
                Some(digit) => {
                    out.push(*digit);
                    digits.next();
                }
                None => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        10
    }
}
