//! `fake-region`: the division code of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Level};
use crate::error::{Case, Misfit};
use crate::persona::person;
use crate::persona::resident_id::write_digits;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};

/// Puts a division code (GB/T 2260, six digits) in the place of one.
///
/// The code is that of the person's other facets, and may by chance be the original's. A kept
/// province or city that isn't among the current ones is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeRegion {
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
    /// What stays of the original: `"province"` or `"city"`.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The field the kept part is read from: a division code, or a resident number; absent means the
    /// value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// What stays of a division code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Two digits.
    Province,
    /// Four digits.
    City,
}

impl FakeRegion {
    fn level(&self) -> Option<Level> {
        let levels = self.keep.iter().map(|keep| match keep {
            Keep::Province => Level::Province,
            Keep::City => Level::City,
        });
        levels.max()
    }
}

impl Surrogate for FakeRegion {
    const KIND: &'static str = "fake-region";
    const SUMMARY: &'static str = "writes the division code of a person who doesn't exist";
    const FITS: &'static str = "utf8, whole numbers of 32 or 64 bits";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-region", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            region: self.region.as_deref(),
            ..Linkage::of(&self.domain, &self.join, &self.by)
        }
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            divisions: Divisions::new(),
            level: self.level(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        let fits = matches!(
            column.data_type,
            DataType::Utf8
                | DataType::Int32
                | DataType::Int64
                | DataType::UInt32
                | DataType::UInt64
        );
        if !fits {
            return Err(Misfit::of_type(Self::KIND, column.data_type, Self::FITS));
        }
        surrogate::distinct(&self.keep)?;
        if self.region.is_some() && self.keep.is_empty() {
            return Err(surrogate::unkept("region", "province"));
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.level() <= floor.level()
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        let reads_value = !self.keep.is_empty() && self.region.is_none();
        (!reads_value).then_some("110101")
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    level: Option<Level>,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let value = original.value.trim();
        if value.len() != 6 || person::read_region(value).is_none() {
            return Err(Case::Invalid);
        }
        let kept = match self.level {
            Some(level) => Some((
                person::read_region(original.region).ok_or(Case::Invalid)?,
                level,
            )),
            None => None,
        };
        let code = person::division_code(&original.draw, &self.divisions, kept);
        let mut digits = [b'0'; 6];
        write_digits(&mut digits, u64::from(code.ok_or(Case::Invalid)?));
        out.extend_from_slice(&digits);
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        6
    }
}
