//! `fake-vin`: the identification number of a vehicle that doesn't exist.
//!
//! ISO 3779 and GB 16735: three characters of the maker (WMI), five that describe the vehicle, the
//! check character, the model year, the plant, and six of serial, of which this draws digits only.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check_digit::vin;
use crate::error::{Case, Misfit};
use crate::persona::draw::another;
use crate::persona::resident_id::write_digits;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a vehicle identification number (GB 16735) in the place of one, its check character right.
///
/// Numbers have 17 characters without I, O and Q; separators are dropped; other text is invalid. The
/// check character of the original isn't asked for: not every maker computes it. A number never
/// becomes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeVin {
    /// Consistency domain: fields of one domain replace numbers alike
    /// (`"vehicle"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the vehicle's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"wmi"` (the first three characters: the maker), `"model"` (the
    /// next five, only with the maker), `"year"` (the tenth: the model year).
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// What stays of a vehicle identification number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The maker.
    Wmi,
    /// What describes the vehicle.
    Model,
    /// The model year.
    Year,
}

impl FakeVin {
    fn keeps(&self, part: Keep) -> bool {
        self.keep.contains(&part)
    }
}

impl Surrogate for FakeVin {
    const KIND: &'static str = "fake-vin";
    const SUMMARY: &'static str =
        "writes the identification number of a vehicle that doesn't exist";
    const EXAMPLE: &'static str = r#"{ kind = "fake-vin", domain = "vehicle" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 57 };
    const WIDTH: &'static str = "17 bytes";
    const ENTITY: &'static str = "vin";
    const SPELT_AS: Option<&'static str> = Some("vin");

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            keeps_maker: self.keeps(Keep::Wmi),
            keeps_model: self.keeps(Keep::Model),
            keeps_year: self.keeps(Keep::Year),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        if self.keeps(Keep::Model) && !self.keeps(Keep::Wmi) {
            let what = "`keep` lists \"model\", which means nothing without \"wmi\"";
            return Err(Misfit::of_parameter("keep", what).with_hint("list \"wmi\" too"));
        }
        surrogate::distinct(&self.keep)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn uniqueness(&self) -> Uniqueness {
        // Plant and serial: 33 · 10^6. Model: 33^5. Year: 30. Maker: 16.
        let parts = [(Keep::Model, 25), (Keep::Year, 4), (Keep::Wmi, 4)];
        let drawn = parts.into_iter().filter(|(part, _)| !self.keeps(*part));
        let bits = 24 + drawn.map(|(_, bits)| bits).sum::<u32>();
        Uniqueness::Probabilistic { bits }
    }

    fn width(&self) -> Option<usize> {
        Some(17)
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("LSVAA49J132047371")
    }
}

/// Codes of large makers in China, as PyPI's `vininfo` 1.11.0 (BSD licence) lists them.
const MAKERS: [&[u8; 3]; 16] = [
    b"LSV", b"LFV", b"LSG", b"LGX", b"LGB", b"LHG", b"LVS", b"L6T", b"LSJ", b"LVV", b"LGW", b"LRW",
    b"LBV", b"LVG", b"LFM", b"LZW",
];

/// Characters of model years, from 2001 to 2030 (GB 16735, table 2).
const YEARS: &[u8; 30] = b"123456789ABCDEFGHJKLMNPRSTVWXY";

/// Serials of six digits.
const SERIALS: u64 = 1_000_000;

#[derive(Debug)]
struct Kernel {
    keeps_maker: bool,
    keeps_model: bool,
    keeps_year: bool,
}

impl Kernel {
    /// The number of a serial, the rest of it kept or drawn.
    fn number(&self, original: &Original<'_>, own: &[u8; 17], serial: u64) -> Option<[u8; 17]> {
        let draw = &original.draw;
        let mut number = *own;
        if !self.keeps_maker {
            let maker = MAKERS.get(draw.below(0, MAKERS.len()))?;
            number.get_mut(..3)?.copy_from_slice(*maker);
        }
        // Five of the model and one of the plant: 33^6 of them are less than a word.
        let mut chosen = draw.below(1, vin::ALPHABET.len().pow(6));
        for place in [3, 4, 5, 6, 7, 10] {
            if !self.keeps_model || place == 10 {
                *number.get_mut(place)? = *vin::ALPHABET.get(chosen % vin::ALPHABET.len())?;
            }
            chosen /= vin::ALPHABET.len();
        }
        if !self.keeps_year {
            *number.get_mut(9)? = *YEARS.get(draw.below(2, YEARS.len()))?;
        }
        write_digits(number.get_mut(11..)?, serial);
        *number.get_mut(8)? = vin::check(&number)?;
        Some(number)
    }
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let text = surrogate::identifier(original.value).to_ascii_uppercase();
        let own: &[u8; 17] = text.as_bytes().try_into().map_err(|_| Case::Invalid)?;
        vin::check(own).ok_or(Case::Invalid)?;
        let serial = original.draw.below_wide(3, SERIALS);
        let mut number = self.number(original, own, serial).ok_or(Case::Invalid)?;
        if number == *own {
            let serial = another(serial, SERIALS, &original.draw);
            number = self.number(original, own, serial).ok_or(Case::Invalid)?;
        }
        out.extend_from_slice(&number);
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        17
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::surrogate::testing::alone;
    use crate::testing::{misfit, spec};

    fn numbers(keep: &str, values: &[&str]) -> Vec<String> {
        let spec = format!("{{ kind = 'fake-vin', domain = 'd', keep = [{keep}] }}");
        let written = alone(&spec, "vin", values).into_iter();
        written.map(Option::unwrap).collect()
    }

    /// The number with those of its characters that are kept, dots for the rest.
    fn shown(number: &str, kept: &[usize]) -> String {
        let places = number.chars().enumerate();
        places
            .map(|(place, own)| if kept.contains(&place) { own } else { '.' })
            .collect()
    }

    #[test]
    fn what_is_kept_stays_and_the_rest_is_drawn() {
        let original = "1M8GDM9AXKP042788";
        for (keep, kept) in [
            ("", &[][..]),
            ("'wmi'", &[0, 1, 2]),
            ("'wmi', 'model'", &[0, 1, 2, 3, 4, 5, 6, 7]),
            ("'year'", &[9]),
        ] {
            let number = &numbers(keep, &[original])[0];
            assert_eq!(shown(number, kept), shown(original, kept), "{keep}");
            assert!(number.ends_with(|last: char| last.is_ascii_digit()));
            let drawn: Vec<usize> = (0..17).filter(|place| !kept.contains(place)).collect();
            assert_ne!(shown(number, &drawn), shown(original, &drawn), "{keep}");
        }
    }

    #[test]
    fn spellings_of_one_vehicle_become_one_and_other_text_is_covered() {
        let written = numbers(
            "",
            &[
                "LSVAU033672188888",
                "LSV AU033-672188888",
                "LSVAU03367218888O",
                "LSVAU03367218888",
                "车架号",
            ],
        );
        assert_eq!(written[0], written[1]);
        for covered in written.iter().skip(2) {
            assert!(covered.bytes().all(|byte| byte == b'*'), "{covered}");
        }
    }

    #[test]
    fn a_model_without_its_maker_is_refused() {
        let text = "{ kind = 'fake-vin', domain = 'd', keep = ['model'] }";
        assert_eq!(misfit(text).parameter, Some("keep"));
        let bits = |keep: &str| {
            let text = format!("{{ kind = 'fake-vin', domain = 'd', keep = [{keep}] }}");
            spec(&text).treatment().uniqueness()
        };
        assert_eq!(bits(""), FakeVin::UNIQUENESS);
        let fewest = Uniqueness::Probabilistic { bits: 24 };
        assert_eq!(bits("'wmi', 'model', 'year'"), fewest);
    }

    proptest! {
        #[test]
        fn numbers_are_valid_and_never_the_original(
            original in "[0-9A-HJ-NPR-Z]{17}",
            keep in prop::sample::select(vec!["", "'wmi'", "'wmi', 'model', 'year'", "'year'"]),
        ) {
            let number = numbers(keep, &[&original]).remove(0);
            prop_assert!(vin::is_valid(number.as_bytes()), "{}", number);
            prop_assert_ne!(&number, &original);
            // Nor does it come back to the original by a second pass over the same number.
            let again = numbers(keep, &[&number]).remove(0);
            prop_assert_ne!(again, number);
        }
    }
}
