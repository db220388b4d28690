//! `fake-sex`: the sex of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::{Sex, person};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};

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

impl Surrogate for FakeSex {
    const KIND: &'static str = "fake-sex";
    const SUMMARY: &'static str = "writes the sex of a person who doesn't exist";
    const FITS: &'static str = "utf8, whole numbers";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-sex", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "6 bytes";
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        if *column.data_type != DataType::Utf8 && !column.data_type.is_integer() {
            return Err(Misfit::of_type(Self::KIND, column.data_type, Self::FITS));
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        false
    }

    fn keeps_no_more(&self, _: &Self) -> bool {
        true
    }

    fn width(&self) -> Option<usize> {
        Some(6)
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        vec![Fact {
            what: "sex",
            kept: None,
            from: None,
        }]
    }

    /// Texts of a sex are written as the value is; numbers in one way.
    fn stand_in(&self, data_type: &DataType) -> Option<&'static str> {
        data_type.is_integer().then_some("1")
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
