//! `fake-birth-date`: the birth date of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Civil;
use crate::divisions::{Divisions, Edition};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::resident_id::{self, write_digits};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::origin::{Kept, Told};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};

pub use crate::surrogate::origin::{Keep, WhenUnfit};

/// Puts a birth date in the place of one: any day from 1945 to 2005, or of the kept year.
///
/// The date is that of the person's other facets, and may by chance be the original's. Where a
/// division is kept, it lies in a year in which that existed: later than 2005 where it didn't before.
/// Text keeps its form: eight digits in a row, or with `-`, `/`, `.` or 年月日 between them.
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
    /// What stays of the person: `"birth-year"`; `"province"`, `"city"` or `"district"` (needs
    /// `region`), which shows in nothing but that a division of it existed then.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// What becomes of someone of whom the kept city or district can't be kept, because no code of
    /// it was in force in the year of birth: `"invalid"`, or `"widen"`, which keeps the next wider
    /// part in its place. With a kept birth year, that is whoever is older than the code. Written
    /// alike in every facet of a person.
    #[serde(default)]
    pub when_unfit: WhenUnfit,
    /// The field a kept birth year is read from: a date, a year, or a resident number; absent means
    /// the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<String>,
    /// The field a kept division is read from: a division code, or a resident number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

impl FakeBirthDate {
    fn kept(&self) -> Kept {
        Kept::of(self.keep.iter().copied(), self.when_unfit)
    }
}

impl Surrogate for FakeBirthDate {
    const KIND: &'static str = "fake-birth-date";
    const SUMMARY: &'static str = "writes the birth date of a person who doesn't exist";
    const FITS: &'static str = "utf8, dates";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-birth-date", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "17 bytes";
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
            divisions: Divisions::new(),
            kept: self.kept(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        if !matches!(column.data_type, DataType::Utf8 | DataType::Date32) {
            return Err(Misfit::of_type(Self::KIND, column.data_type, Self::FITS));
        }
        self.kept().check(&self.keep, &self.linkage(), Told::Birth)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.kept().no_more_than(floor.kept())
    }

    fn width(&self) -> Option<usize> {
        Some(17)
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        self.kept().facts(&self.linkage()).to_vec()
    }

    /// Texts of a date are written as the value is.
    fn stand_in(&self, data_type: &DataType) -> Option<&'static str> {
        let reads_value = !self.keep.is_empty() && self.birth.is_none();
        (*data_type == DataType::Date32 && !reads_value).then_some("1990-01-01")
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    kept: Kept,
}

/// Eight digits of a date, and nothing but what separates them: three characters at most.
fn digits(text: &str) -> Option<[u8; 8]> {
    let mut digits = [0; 8];
    let mut slots = digits.iter_mut();
    let mut separators = 0..3;
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(digit @ b'0'..=b'9') => *slots.next()? = digit,
            _ if matches!(character, '-' | '/' | '.' | '年' | '月' | '日') => {
                separators.next()?;
            }
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
        let origin = self.kept.origin(original, &self.divisions)?;
        let Civil { year, month, day } = origin.birth;
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
