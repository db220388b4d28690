//! `fake-sex`: the sex of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::key::{DerivedKey, KeyUse};
use crate::options::Options;
use crate::persona::{Sex, person};
use crate::spec::{Column, Definition, Read, Strength, Uniqueness};
use crate::surrogate::{self, Linkage, Original, SurrogateKernel};
use crate::treatment::Treatment;

/// Puts a sex in the place of one, in the same form: codes 1 and 2 (GB/T 2261.1), 男 and 女, M and F.
///
/// The sex is that of the person's other facets: it is the original's for about every second
/// person. Unknown and unstated sex (0, 9) are invalid; list them as sentinels to keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeSex {
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
}

impl FakeSex {
    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            domain: &self.domain,
            join: self.join.as_deref(),
            by: self.by.as_deref(),
            ..Linkage::default()
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        if *column.data_type != DataType::Utf8 && !column.data_type.is_integer() {
            return Err(Misfit::of_type(Self::KIND, column.data_type, Self::FITS));
        }
        self.linkage().check(column)
    }
}

impl Definition for FakeSex {
    const KIND: &'static str = "fake-sex";
    const SUMMARY: &'static str = "writes the sex of a person who doesn't exist";
    const FITS: &'static str = "utf8, whole numbers";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-sex", domain = "person.id", by = "person_id" }"#;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn reads(&self) -> Vec<Read> {
        self.linkage().reads()
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.linkage().at_least(&floor.linkage())
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
        let kernel = Kernel;
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

/// The words for both sexes, by form.
const FORMS: [(&str, &str); 8] = [
    ("1", "2"),
    ("男", "女"),
    ("男性", "女性"),
    ("M", "F"),
    ("m", "f"),
    ("male", "female"),
    ("Male", "Female"),
    ("MALE", "FEMALE"),
];

#[derive(Debug)]
struct Kernel;

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let value = original.value.trim();
        let form = FORMS
            .iter()
            .find(|(male, female)| value == *male || value == *female);
        let (male, female) = form.ok_or(Case::Invalid)?;
        let word = match person::sex(&original.draw, None) {
            Sex::Male => male,
            Sex::Female => female,
        };
        out.extend_from_slice(word.as_bytes());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        3
    }
}
