//! `fake-address`: a postal address at which no one lives on purpose.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{Divisions, Edition, Level};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::address;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::origin::{Kept, Told};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

pub use crate::surrogate::origin::{Keep, WhenUnfit};

/// Puts a postal address in the place of one: the names of a division (GB/T 2260), a road, a number,
/// an estate, building and room.
///
/// The division is that of the person's other facets, or the kept part of the original and below it
/// one that is drawn; its code was in force in the year of birth: see `fake-id` for what becomes of a
/// kept part of which none was. A division that no longer exists has no name here: one of today is
/// written in its place, of the same city or else of the same province. Where a kept part can't be
/// read, the value is invalid. An address never becomes itself; two persons may share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeAddress {
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
    /// `birth`), which shows in nothing but that the division existed then.
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
    /// The field a kept division is read from: a division code, or a resident number; absent means
    /// the names in the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

impl FakeAddress {
    fn kept(&self) -> Kept {
        Kept::of(self.keep.iter().copied(), self.when_unfit)
    }
}

impl Surrogate for FakeAddress {
    const KIND: &'static str = "fake-address";
    const SUMMARY: &'static str = "writes the postal address of a person who doesn't exist";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-address", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: &'static str = "124 bytes";
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
            reads_region: self.region.is_some(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        self.kept()
            .check(&self.keep, &self.linkage(), Told::Division)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.kept().no_more_than(floor.kept())
    }

    fn width(&self) -> Option<usize> {
        Some(address::BYTES_MAX)
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        self.kept().facts(&self.linkage()).to_vec()
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        let reads_value = !self.keep.is_empty() && self.region.is_none();
        (!reads_value).then_some("某地")
    }
}

#[derive(Debug)]
struct Kernel {
    divisions: Divisions,
    kept: Kept,
    reads_region: bool,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let origin = match self.reads_region {
            true => self.kept.origin(original, &self.divisions)?,
            false => {
                let level = self.kept.level.unwrap_or(Level::Province);
                let read = || address::read(&self.divisions, original.value, level);
                self.kept.origin_within(original, &self.divisions, read)?
            }
        };
        let division = origin.home(&original.draw, &self.divisions);
        address::write(
            &original.draw,
            division.ok_or(Case::Invalid)?,
            original.value,
            out,
        );
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        90
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::persona::person;
    use crate::surrogate::testing::{alone, resident_ids, texts, treat_texts};

    #[test]
    fn a_kept_part_stays_and_nothing_else() {
        let original = "浙江省杭州市西湖区文三路1号";
        for (keep, start) in [
            ("'province'", "浙江省"),
            ("'city'", "浙江省杭州市"),
            ("'district', 'city'", "浙江省杭州市西湖区"),
        ] {
            let spec = format!("{{ kind = 'fake-address', domain = 'd', keep = [{keep}] }}");
            let written = alone(&spec, "address", &[original, "不知何处"]);
            let address = written[0].as_deref().unwrap();
            assert!(
                address.starts_with(start) && !address.contains("文三路"),
                "{address}"
            );
            assert_eq!(written[1].as_deref(), Some("****"));
        }
    }

    #[test]
    fn an_address_lies_in_the_division_of_the_resident_number() {
        let ids = resident_ids(200);
        let by = texts(ids.iter().map(Some));
        let numbers = treat_texts(
            "{ kind = 'fake-id', domain = 'd' }",
            &[("person_id", "resident-id", Arc::clone(&by))],
        );
        let table = [
            ("home", "address", texts(ids.iter().map(|_| Some("某地")))),
            ("person_id", "resident-id", by),
        ];
        let spec = "{ kind = 'fake-address', domain = 'd', by = 'person_id' }";
        let divisions = Divisions::new();
        for (home, number) in treat_texts(spec, &table).iter().zip(&numbers) {
            let code = address::read(&divisions, home.as_deref().unwrap(), Level::District);
            assert_eq!(code, person::read_region(number.as_deref().unwrap()));
        }
    }
}
