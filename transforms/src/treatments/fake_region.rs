//! `fake-region`: the division code of a person who doesn't exist.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Edition};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::person;
use crate::persona::resident_id::write_digits;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::origin::{Kept, Told};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};

pub use crate::surrogate::origin::{Keep, WhenUnfit};

/// Puts a division code (GB/T 2260, six digits) in the place of one.
///
/// The code is that of the person's other facets, and may by chance be the original's. It was in
/// force in the year of birth: see `fake-id` for what becomes of a kept part of which none was. A
/// province that isn't among the current ones is invalid. Where the district is kept, a code becomes
/// itself, so that the strength is 0.
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
    /// What stays of the person: `"province"`, `"city"` or `"district"`; `"birth-year"` (needs
    /// `birth`), which shows in nothing but that the code was in force then.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// What becomes of someone of whom the kept city or district can't be kept, because no code of
    /// it was in force in the year of birth: `"invalid"`, or `"widen"`, which keeps the next wider
    /// part in its place. With a kept birth year, that is whoever is older than the code. Written
    /// alike in every facet of a person.
    #[serde(default)]
    pub when_unfit: WhenUnfit,
    /// The field a kept birth year is read from: a date, a year, or a resident number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<String>,
    /// The field a kept division is read from: a division code, or a resident number; absent means the
    /// value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

impl FakeRegion {
    fn kept(&self) -> Kept {
        Kept::of(self.keep.iter().copied(), self.when_unfit)
    }
}

impl Surrogate for FakeRegion {
    const KIND: &'static str = "fake-region";
    const SUMMARY: &'static str = "writes the division code of a person who doesn't exist";
    const FITS: &'static str = "utf8, whole numbers of 32 or 64 bits";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-region", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "6 bytes";
    const ENTITY: &'static str = "person";
    const FOLLOWS: Option<&'static str> = Some("birth year");

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
        self.kept()
            .check(&self.keep, &self.linkage(), Told::Division)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    /// A district is all there is of a division.
    fn keeps_all(&self) -> bool {
        self.keep.contains(&Keep::District)
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.kept().no_more_than(floor.kept())
    }

    fn width(&self) -> Option<usize> {
        Some(6)
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        self.kept().facts(&self.linkage()).to_vec()
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        let reads_value = !self.keep.is_empty() && self.region.is_none();
        (!reads_value).then_some("110101")
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    kept: Kept,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let value = original.value.trim();
        if value.len() != 6 || person::read_region(value).is_none() {
            return Err(Case::Invalid);
        }
        let origin = self.kept.origin(original, &self.divisions)?;
        let mut digits = [b'0'; 6];
        write_digits(&mut digits, u64::from(origin.region));
        out.extend_from_slice(&digits);
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        6
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::Strength;
    use crate::surrogate::testing::alone;
    use crate::testing::spec;

    #[test]
    fn a_code_of_which_all_is_kept_counts_as_clear() {
        let of = |keep: &str| format!("{{ kind = 'fake-region', domain = 'd', keep = [{keep}] }}");
        let codes = ["330106", "110105"];
        let kept = alone(&of("'district'"), "region-code", &codes);
        assert_eq!(kept, codes.map(|code| Some(code.to_owned())));
        assert_eq!(spec(&of("'district'")).strength(), Strength::CLEAR);
        assert_eq!(spec(&of("'city'")).strength(), Strength::PARTIAL);
        assert_eq!(spec(&of("")).strength(), Strength::KEYED_EQUALITY);
        assert!(!spec(&of("'district'")).meets(&spec("{ kind = 'admin-level', level = 'city' }")));
    }
}
