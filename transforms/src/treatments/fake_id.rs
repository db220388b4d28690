//! `fake-id`: the resident identity number of a person who doesn't exist.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Level};
use crate::error::{Case, Misfit};
use crate::persona::{ResidentId, Sex, person};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a valid resident identity number (GB 11643) in the place of one: division, birth date, sex
/// and check character agree with the other facets of the person.
///
/// Numbers of 15 digits become numbers of 18 and count as the same number. What isn't a valid number
/// is invalid; so is a kept province or city that isn't among the current ones. A number never
/// becomes itself. Where a division or the birth year is kept, the other is drawn as it is for all
/// facets of the person, so that the division's code may be younger than the birth, which a checker
/// with a table of years refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeId {
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
    /// What stays of the original: `"province"`, `"city"` or `"district"`, `"birth-year"`, `"sex"`.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The field a kept sex is read from: a sex, or a resident number; absent means the value
    /// itself. Where it holds neither, the sex is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// The field a kept birth year is read from: a date, a year, or a resident number; absent means
    /// the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<String>,
    /// The field a kept division is read from: a division code, or a resident number; absent means
    /// the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// What stays of a resident number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The first two digits.
    Province,
    /// The first four digits.
    City,
    /// The first six digits.
    District,
    /// The year of birth.
    BirthYear,
    /// The sex.
    Sex,
}

impl FakeId {
    fn keeps(&self, part: Keep) -> bool {
        self.keep.contains(&part)
    }

    fn level(&self) -> Option<Level> {
        let levels = [
            (Keep::District, Level::District),
            (Keep::City, Level::City),
            (Keep::Province, Level::Province),
        ];
        levels
            .into_iter()
            .find(|(keep, _)| self.keeps(*keep))
            .map(|(_, level)| level)
    }
}

impl Surrogate for FakeId {
    const KIND: &'static str = "fake-id";
    const SUMMARY: &'static str = "writes the resident number of a person who doesn't exist";
    const EXAMPLE: &'static str = r#"{ kind = "fake-id", domain = "person.id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 31 };
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            sex: self.sex.as_deref(),
            birth: self.birth.as_deref(),
            region: self.region.as_deref(),
            ..Linkage::of(&self.domain, &self.join, &self.by)
        }
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            divisions: Divisions::new(),
            level: self.level(),
            keeps_birth_year: self.keeps(Keep::BirthYear),
            keeps_sex: self.keeps(Keep::Sex),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)?;
        for (parameter, field, part, kept) in [
            ("sex", &self.sex, "sex", self.keeps(Keep::Sex)),
            (
                "birth",
                &self.birth,
                "birth-year",
                self.keeps(Keep::BirthYear),
            ),
            ("region", &self.region, "province", self.level().is_some()),
        ] {
            if field.is_some() && !kept {
                return Err(surrogate::unkept(parameter, part));
            }
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        let others = |own: &Self| -> Vec<Keep> {
            let own = own.keep.iter().copied();
            own.filter(|keep| matches!(keep, Keep::BirthYear | Keep::Sex))
                .collect()
        };
        self.level() <= floor.level() && surrogate::subset(&others(self), &others(floor))
    }

    fn uniqueness(&self) -> Uniqueness {
        let bits = Level::bits(self.level())
            + person::birth_bits(self.keeps(Keep::BirthYear))
            + u32::from(!self.keeps(Keep::Sex))
            + person::SEQUENCE_BITS;
        Uniqueness::Probabilistic { bits }
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    level: Option<Level>,
    keeps_birth_year: bool,
    keeps_sex: bool,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let own = ResidentId::read(&surrogate::identifier(original.value)).ok_or(Case::Invalid)?;
        let draw = &original.draw;
        let region = match self.level {
            None => None,
            Some(level) => {
                let text = surrogate::identifier(original.region);
                Some((person::read_region(&text).ok_or(Case::Invalid)?, level))
            }
        };
        let region = person::division_code(draw, &self.divisions, region).ok_or(Case::Invalid)?;
        let year = match self.keeps_birth_year {
            true => {
                let text = surrogate::identifier(original.birth);
                let year = person::read_birth_year(&text);
                // A hyphen of a date is none of an identifier: read it as it is written, too.
                Some(
                    year.or_else(|| person::read_birth_year(original.birth))
                        .ok_or(Case::Invalid)?,
                )
            }
            false => None,
        };
        let sex = self
            .keeps_sex
            .then(|| Sex::read(&surrogate::identifier(original.sex)));
        let sex = person::sex(draw, sex.flatten());
        let birth = person::birth(draw, year);
        let drawn = person::resident_number(draw, region, birth, sex, Some(own));
        out.extend_from_slice(&drawn.written());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        18
    }
}
