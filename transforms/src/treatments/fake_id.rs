//! `fake-id`: the resident identity number of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Edition, Level};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::person::{self, Origin};
use crate::persona::{ResidentId, Sex};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::origin::{self, Kept, Told};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

pub use crate::surrogate::origin::WhenUnfit;

/// Puts a valid resident identity number (GB 11643) in the place of one: division, birth date, sex
/// and check character agree with the other facets of the person, and the division's code was in
/// force in the year of birth, as a checker with a table of years wants it.
///
/// Numbers of 15 digits become numbers of 18 and count as the same number. What isn't a valid number
/// is invalid. A number never becomes itself. Divisions are those of today; where something is kept
/// and none of today was in force in the year of birth, they are former ones. What is kept of birth
/// and division decides about the rest: where the division stays and the year doesn't, the birth is
/// drawn among the years in which a code of the kept part was in force. Where none was in the kept
/// year, or ever, the value is invalid: no division stands there as kept that isn't. Those are the
/// people older than the code of their district, which is many where codes were renewed; with
/// `when_unfit = "widen"` the next wider part stays instead, the city in place of the district, then
/// the province, and where there was no such province, the value is invalid still. Then a count by
/// districts has some people in a district that is not theirs. Facets agree where all of them keep the
/// same, read from the same fields.
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
    /// What becomes of someone of whom the kept city or district can't be kept, because no code of
    /// it was in force in the year of birth: `"invalid"`, or `"widen"`, which keeps the next wider
    /// part in its place. With a kept birth year, that is whoever is older than the code. Written
    /// alike in every facet of a person.
    #[serde(default)]
    pub when_unfit: WhenUnfit,
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
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
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

impl Keep {
    /// What it is of when and where the person was born; none of the sex.
    fn of_origin(self) -> Option<origin::Keep> {
        match self {
            Self::Province => Some(origin::Keep::Province),
            Self::City => Some(origin::Keep::City),
            Self::District => Some(origin::Keep::District),
            Self::BirthYear => Some(origin::Keep::BirthYear),
            Self::Sex => None,
        }
    }
}

impl FakeId {
    fn keeps_sex(&self) -> bool {
        self.keep.contains(&Keep::Sex)
    }

    fn origin(&self) -> Kept {
        let parts = self.keep.iter().filter_map(|part| part.of_origin());
        Kept::of(parts, self.when_unfit)
    }
}

impl Surrogate for FakeId {
    const KIND: &'static str = "fake-id";
    const SUMMARY: &'static str = "writes the resident number of a person who doesn't exist";
    const EXAMPLE: &'static str = r#"{ kind = "fake-id", domain = "person.id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 31 };
    const WIDTH: &'static str = "18 bytes";
    const ENTITY: &'static str = "person";
    const SPELT_AS: Option<&'static str> = Some("resident-id");

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
            kept: self.origin(),
            keeps_sex: self.keeps_sex(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        let linkage = self.linkage();
        self.origin().check(&self.keep, &linkage, Told::Both)?;
        match linkage.sex {
            Some(_) if !self.keeps_sex() => Err(surrogate::unkept("sex", "sex")),
            Some(_) | None => Ok(()),
        }
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.origin().no_more_than(floor.origin()) && self.keeps_sex() <= floor.keeps_sex()
    }

    fn uniqueness(&self) -> Uniqueness {
        let Kept { level, year, .. } = self.origin();
        let bits = Level::bits(level)
            + person::birth_bits(year, level)
            + u32::from(!self.keeps_sex())
            + person::SEQUENCE_BITS;
        Uniqueness::Probabilistic { bits }
    }

    fn width(&self) -> Option<usize> {
        Some(18)
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        let Kept { level, year, .. } = self.origin();
        let reads_value = self.keeps_sex() && self.sex.is_none()
            || year && self.birth.is_none()
            || level.is_some() && self.region.is_none();
        (!reads_value).then_some("11010519491231002X")
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        let linkage = self.linkage();
        let mut facts = self.origin().facts(&linkage).to_vec();
        facts.push(Fact {
            what: "sex",
            kept: self.keeps_sex().then_some("sex"),
            from: linkage.sex,
        });
        facts
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    kept: Kept,
    keeps_sex: bool,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let own = ResidentId::read(&surrogate::identifier(original.value)).ok_or(Case::Invalid)?;
        let Origin { birth, region, .. } = self.kept.origin(original, &self.divisions)?;
        let draw = &original.draw;
        let sex = self
            .keeps_sex
            .then(|| Sex::read(&surrogate::identifier(original.sex)));
        let sex = person::sex(draw, sex.flatten());
        let drawn = person::resident_number(draw, region, birth, sex, Some(own));
        out.extend_from_slice(&drawn.written());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        18
    }
}
