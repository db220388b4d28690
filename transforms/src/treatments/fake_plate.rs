//! `fake-plate`: a vehicle plate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::persona::plate;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a vehicle plate in the place of one, ordinary for ordinary, new energy for new energy.
///
/// Dots, hyphens and white space are dropped, letters and full-width forms are one however they are
/// written: a plate has one surrogate. A last character for a special use (学, 警, 挂, 港, …)
/// is not kept; other text is invalid. A plate never becomes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakePlate {
    /// Consistency domain: fields of one domain replace plates alike
    /// (`"vehicle"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the vehicle's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"province"` (the first character), `"authority"` (the letter
    /// after it, only with the province).
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// What stays of a plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The first character.
    Province,
    /// The letter of the issuing authority.
    Authority,
}

impl Surrogate for FakePlate {
    const KIND: &'static str = "fake-plate";
    const SUMMARY: &'static str = "writes a vehicle plate";
    const EXAMPLE: &'static str = r#"{ kind = "fake-plate", domain = "vehicle" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: plate::BITS };
    const WIDTH: &'static str = "10 bytes";
    const ENTITY: &'static str = "plate";
    const SPELT_AS: Option<&'static str> = Some("plate");

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            kept: (
                self.keep.contains(&Keep::Province),
                self.keep.contains(&Keep::Authority),
            ),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)?;
        if self.keep.contains(&Keep::Authority) && !self.keep.contains(&Keep::Province) {
            let what = "`keep` lists \"authority\", which means nothing without \"province\"";
            return Err(Misfit::of_parameter("keep", what).with_hint("list \"province\" too"));
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn width(&self) -> Option<usize> {
        Some(10)
    }
}

#[derive(Debug)]
struct Kernel {
    /// Whether province and authority are kept.
    kept: (bool, bool),
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let text = surrogate::plate(original.value);
        let own = plate::read(&text).ok_or(Case::Invalid)?;
        plate::write(&original.draw, &own, self.kept, &text, out).ok_or(Case::Invalid)
    }

    fn usual_bytes(&self) -> usize {
        10
    }
}

#[cfg(test)]
mod tests {
    use crate::surrogate::testing::alone;
    use crate::testing::misfit;

    #[test]
    fn plates_of_unexpected_form_never_pass() {
        let spec = "{ kind = 'fake-plate', domain = 'd', keep = ['province'] }";
        let plates = alone(
            spec,
            "plate",
            &["浙A·12345", "浙A12345", "浙AD12345", "浙A123", "12345"],
        );
        assert!(
            plates
                .iter()
                .take(3)
                .all(|plate| plate.as_deref().unwrap().starts_with('浙'))
        );
        assert_eq!(plates[2].as_deref().unwrap().chars().count(), 8);
        assert_eq!(plates[3].as_deref(), Some("*****"));
        assert_eq!(plates[4].as_deref(), Some("*****"));
    }

    #[test]
    fn an_authority_without_its_province_is_refused() {
        let spec = "{ kind = 'fake-plate', domain = 'd', keep = ['authority'] }";
        assert_eq!(misfit(spec).parameter, Some("keep"));
    }
}
