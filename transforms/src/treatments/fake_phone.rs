//! `fake-phone`: a mobile number.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::error::{Case, Misfit};
use crate::key::{DerivedKey, KeyUse};
use crate::options::Options;
use crate::persona::mobile::{self, Kept};
use crate::spec::{Column, Definition, Read, Strength, Uniqueness};
use crate::surrogate::{self, Linkage, Original, SurrogateKernel};
use crate::text;
use crate::treatment::Treatment;

/// Puts a mainland mobile number in the place of one, eleven digits under an assigned prefix.
///
/// A country code before the original and separators in it are dropped; other telephone numbers are
/// invalid. A number never becomes itself. It may be one that someone has: nobody can draw mobile
/// numbers that nobody has.
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
    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            domain: &self.domain,
            join: self.join.as_deref(),
            by: self.by.as_deref(),
            ..Linkage::default()
        }
    }

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

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)?;
        self.linkage().check(column)
    }
}

impl Definition for FakePhone {
    const KIND: &'static str = "fake-phone";
    const SUMMARY: &'static str = "writes a mobile number";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-phone", domain = "person.id", by = "person_id" }"#;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 32 };

    fn uniqueness(&self) -> Uniqueness {
        // 47 prefixes, or one at least, of 10^8 numbers each.
        let bits = if self.keep.is_empty() { 32 } else { 26 };
        Uniqueness::Probabilistic { bits }
    }

    fn reads(&self) -> Vec<Read> {
        self.linkage().reads()
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.linkage().at_least(&floor.linkage()) && self.kept() <= floor.kept()
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(self.linkage().key_use())
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let kernel = Kernel { kept: self.kept() };
        let output = (column, column.data_type.clone());
        surrogate::treatment(
            (Self::KIND, "person"),
            &self.linkage(),
            kernel,
            output,
            options,
            key,
        )
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
