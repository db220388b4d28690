//! `fake-name`: the name of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::naming::KeptOfName;
use crate::persona::{Naming, Sex, person};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a Chinese name in the place of a name: a surname by its frequency, a given name by sex.
///
/// A name never becomes itself; two persons may share one. Names with a middle dot become names
/// with one where the length is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeName {
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
    /// What stays of the original: `"length"` (characters of every part), `"sex"` (needs `sex`),
    /// `"surname-frequency"` (among the ten most frequent, the next ninety, or rarer).
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The field a kept sex is read from: a sex, or a resident number. Where it holds neither, the
    /// sex is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
}

/// What stays of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The number of characters.
    Length,
    /// The sex.
    Sex,
    /// How frequent the surname is.
    SurnameFrequency,
}

impl Surrogate for FakeName {
    const KIND: &'static str = "fake-name";
    const SUMMARY: &'static str = "writes the name of a person who doesn't exist";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-name", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "12 bytes, unless the length is kept";
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            sex: self.sex.as_deref(),
            ..Linkage::of(&self.domain, &self.join, &self.by)
        }
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            naming: Naming::new(),
            keeps_sex: self.keep.contains(&Keep::Sex),
            kept: KeptOfName {
                length: self.keep.contains(&Keep::Length),
                frequency: self.keep.contains(&Keep::SurnameFrequency),
            },
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)?;
        surrogate::kept_from(
            "sex",
            self.sex.as_deref(),
            "sex",
            self.keep.contains(&Keep::Sex),
        )
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn width(&self) -> Option<usize> {
        (!self.keep.contains(&Keep::Length)).then_some(12)
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        let kept = |part, said| self.keep.contains(&part).then_some(said);
        let surname = kept(Keep::SurnameFrequency, "its frequency");
        vec![
            Fact {
                what: "sex",
                kept: kept(Keep::Sex, "sex"),
                from: self.linkage().sex,
            },
            Fact {
                what: "surname",
                kept: surname.or_else(|| kept(Keep::Length, "its length")),
                from: None,
            },
        ]
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        let reads_value = self.keep.iter().any(|part| *part != Keep::Sex);
        // A name that nobody is given, so that no drawn one meets it.
        (!reads_value).then_some("某某")
    }
}

#[derive(Debug)]
struct Kernel {
    naming: Naming,
    keeps_sex: bool,
    kept: KeptOfName,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let kept = self.keeps_sex.then(|| Sex::read(original.sex)).flatten();
        let sex = person::sex(&original.draw, kept);
        self.naming
            .write(&original.draw, sex, original.value, self.kept, out)
    }

    fn usual_bytes(&self) -> usize {
        9
    }
}
