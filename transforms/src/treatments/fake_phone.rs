//! `fake-phone`: a mobile number.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::error::{Case, Misfit};
use crate::persona::mobile::{self, Kept};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a mainland mobile number in the place of one, eleven digits under an assigned prefix.
///
/// A country code before the original and separators in it are dropped; other telephone numbers are
/// invalid, and so is a kept carrier whose prefix isn't known. A number never becomes itself. It may
/// be one that someone has: nobody can draw mobile numbers that nobody has. The region where a number
/// was given out can't be kept: only a table of some 500,000 segments says it, and it changes monthly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakePhone {
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
    /// What stays of the original: `"carrier"` (the one the prefix was assigned to), or `"prefix"`
    /// (three digits).
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// What stays of a mobile number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The carrier.
    Carrier,
    /// Three digits.
    Prefix,
}

impl FakePhone {
    fn kept(&self) -> Kept {
        match (
            self.keep.contains(&Keep::Prefix),
            self.keep.contains(&Keep::Carrier),
        ) {
            (true, _) => Kept::Prefix,
            (false, true) => Kept::Carrier,
            (false, false) => Kept::Nothing,
        }
    }
}

impl Surrogate for FakePhone {
    const KIND: &'static str = "fake-phone";
    const SUMMARY: &'static str = "writes a mobile number";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-phone", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 32 };
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel { kept: self.kept() }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.kept() <= floor.kept()
    }

    fn uniqueness(&self) -> Uniqueness {
        // 47 prefixes, or one at least, of 10^8 numbers each.
        let bits = if self.keep.is_empty() { 32 } else { 26 };
        Uniqueness::Probabilistic { bits }
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("13000000000")
    }
}

#[derive(Debug)]
struct Kernel {
    kept: Kept,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let own = match category::find("mobile") {
            Some(known) => mobile::read(&(known.normalise)(original.value)),
            None => mobile::read(original.value),
        };
        let drawn = mobile::draw(&original.draw, own.ok_or(Case::Invalid)?, self.kept);
        out.extend_from_slice(drawn.ok_or(Case::Invalid)?.to_string().as_bytes());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        11
    }
}
