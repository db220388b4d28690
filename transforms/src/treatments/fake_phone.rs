//! `fake-phone`: a mobile number, or a landline of the same area.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::draw::another;
use crate::persona::mobile::{self, Kept};
use crate::persona::{Draw, Landline};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a mainland mobile number in the place of one, eleven digits under an assigned prefix.
///
/// A country code before the original and separators in it are dropped; other telephone numbers are
/// invalid, and so is a kept carrier whose prefix isn't known. A number never becomes itself. It may
/// be one that someone has: nobody can draw numbers that nobody has. The region where a mobile number
/// was given out can't be kept: only a table of some 500,000 segments says it, and it changes monthly.
///
/// A landline is taken where `keep` lists `"region"`, and becomes another of the same area code, as
/// many digits long, written `0571-87654321`; an extension goes. Without it a landline is invalid, and
/// so is a 400 or 800 number with it, which has no region. In a field of both, a mobile number becomes
/// a mobile number still, and which of the two it was is kept as well.
///
/// Numbers of two persons meet with a probability of 2 to the minus 32; with a kept carrier or prefix
/// 26, and with a kept region 22, for an area has 7 million numbers at least.
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
    /// What stays of the original: `"carrier"` (the one the prefix was assigned to) or `"prefix"`
    /// (three digits) of a mobile number; `"region"` (the area code) of a landline.
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// What stays of a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The carrier of a mobile number.
    Carrier,
    /// Three digits of a mobile number.
    Prefix,
    /// The area code of a landline.
    Region,
}

impl FakePhone {
    fn keeps_region(&self) -> bool {
        self.keep.contains(&Keep::Region)
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
}

impl Surrogate for FakePhone {
    const KIND: &'static str = "fake-phone";
    const SUMMARY: &'static str = "writes a mobile number, or a landline of the same area";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-phone", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 32 };
    const WIDTH: &'static str = "11 bytes, or 13 where the region is kept";
    const ENTITY: &'static str = "person";
    const SPELT_AS: Option<&'static str> = Some("mobile");

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            kept: self.kept(),
            keeps_region: self.keeps_region(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.kept() <= floor.kept() && (!self.keeps_region() || floor.keeps_region())
    }

    fn uniqueness(&self) -> Uniqueness {
        // 47 prefixes, or one at least, of 10^8 numbers each; 7 million numbers of an area.
        let bits = match (self.keeps_region(), self.kept()) {
            (true, _) => 22,
            (false, Kept::Nothing) => 32,
            (false, Kept::Carrier | Kept::Prefix) => 26,
        };
        Uniqueness::Probabilistic { bits }
    }

    fn width(&self) -> Option<usize> {
        Some(if self.keeps_region() { 13 } else { 11 })
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        let kept = Fact {
            what: "division",
            kept: Some("city"),
            from: None,
        };
        self.keeps_region().then_some(kept).into_iter().collect()
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("13000000000")
    }
}

#[derive(Debug)]
struct Kernel {
    kept: Kept,
    keeps_region: bool,
}

/// Separates the draws of landlines from others of the person.
const LANDLINE: u8 = b'l';

/// Writes another landline of the same area code, as many digits long; the first is 2 to 8.
fn write_landline(own: &Landline, draw: &Draw, out: &mut Vec<u8>) {
    let digits = own.number();
    let least = digits.iter().skip(1).fold(2, |power, _| 10 * power);
    let count = least / 2 * 7;
    let original = digits
        .iter()
        .fold(0, |value, digit| 10 * value + u64::from(digit - b'0'));
    let parts = draw.more(LANDLINE);
    let mut chosen = parts.below_wide(0, count);
    if least + chosen == original {
        chosen = another(chosen, count, &parts);
    }
    out.extend_from_slice(own.area());
    out.push(b'-');
    out.extend_from_slice((least + chosen).to_string().as_bytes());
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let own = match category::find("mobile") {
            Some(known) => mobile::read(&(known.normalise)(original.value)),
            None => mobile::read(original.value),
        };
        let Some(own) = own else {
            let landline = Landline::read(original.value)
                .filter(|landline| self.keeps_region && landline.has_region());
            write_landline(&landline.ok_or(Case::Invalid)?, &original.draw, out);
            return Ok(());
        };
        let drawn = mobile::draw(&original.draw, own, self.kept);
        out.extend_from_slice(drawn.ok_or(Case::Invalid)?.to_string().as_bytes());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        11
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surrogate::testing::alone;
    use crate::testing::spec;

    const REGION: &str = "{ kind = 'fake-phone', domain = 'd', keep = ['region', 'carrier'] }";

    #[test]
    fn a_landline_becomes_another_of_its_area() {
        let numbers: Vec<String> = (0..300)
            .map(|number| match number % 2 {
                0 => format!("0571-8{:07}", number * 7_919),
                _ => format!("(0851) 5{:06} 转 12", number * 31),
            })
            .collect();
        let values: Vec<&str> = numbers.iter().map(String::as_str).collect();
        for (number, drawn) in values.iter().zip(alone(REGION, "landline", &values)) {
            let (own, drawn) = (Landline::read(number).unwrap(), drawn.unwrap());
            let read = Landline::read(&drawn).unwrap();
            assert_eq!(read.area(), own.area(), "{number} {drawn}");
            assert_eq!(read.number().len(), own.number().len());
            assert_ne!(read.number(), own.number());
            assert_eq!(drawn.len(), own.area().len() + 1 + own.number().len());
            assert!(matches!(read.number().first(), Some(b'2'..=b'8')));
        }
    }

    #[test]
    fn spellings_of_a_landline_are_one_number() {
        let spellings = [
            "0571-87654321",
            "(0571)87654321",
            "+86 571 8765 4321",
            "０５７１－８７６５４３２１转8001",
        ];
        let mobiles = ["13800001234", "+8613800001234", "0086 138 0000 1234"];
        for category in ["landline", "mobile"] {
            for values in [&spellings[..], &mobiles] {
                let drawn = alone(REGION, category, values);
                assert!(drawn.iter().all(|number| number == &drawn[0]), "{drawn:?}");
            }
        }
    }

    #[test]
    fn mobile_numbers_of_the_same_field_stay_mobile_and_other_numbers_are_covered() {
        let values = ["13800138000", "400-800-1234", "0571-87654321"];
        let drawn = alone(REGION, "mobile", &values);
        let mobile = drawn[0].as_deref().and_then(mobile::read).unwrap();
        assert!(mobile != 13_800_138_000 && mobile::is_drawn(mobile));
        assert_eq!(drawn[1].as_deref(), Some("************"));
        assert!(drawn[2].as_deref().unwrap().starts_with("0571-"));
        let carrier = "{ kind = 'fake-phone', domain = 'd', keep = ['carrier'] }";
        let drawn = alone(carrier, "mobile", &values);
        assert_eq!(drawn[2].as_deref(), Some("*************"));
    }

    #[test]
    fn a_kept_region_needs_a_floor_that_keeps_it() {
        let keep = |parts: &str| {
            spec(&format!(
                "{{ kind = 'fake-phone', domain = 'd', keep = [{parts}] }}"
            ))
        };
        assert!(keep("").meets(&keep("'region'")));
        assert!(keep("'region'").meets(&keep("'region', 'carrier'")));
        assert!(!keep("'region'").meets(&keep("'carrier'")));
        assert!(!keep("'region'").meets(&keep("")));
    }
}
