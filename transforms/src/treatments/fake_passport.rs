//! `fake-passport`: a Chinese passport number.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::persona::draw::another;
use crate::persona::resident_id;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a passport number in the place of a Chinese one.
///
/// Known are ordinary passports with a chip (`E` and eight digits, or `E`, a letter and seven), those
/// before them (`G` and eight digits, `14` or `15` and seven), and diplomatic, service and public
/// affairs passports (`D`, `S` or `P` and eight digits, or followed by `E` and seven). Separators are
/// dropped; other text is invalid: numbers of Hong Kong, Macao and other countries too. A number never
/// becomes itself, and it may be one that someone has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakePassport {
    /// Consistency domain: fields of one domain replace passports alike
    /// (`"passport"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the passport's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"type"` (how it begins). Otherwise every number becomes that of
    /// an ordinary passport with a chip.
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// What stays of a passport number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The kind of passport.
    Type,
}

impl Surrogate for FakePassport {
    const KIND: &'static str = "fake-passport";
    const SUMMARY: &'static str = "writes a Chinese passport number";
    const EXAMPLE: &'static str = r#"{ kind = "fake-passport", domain = "passport" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 28 };
    const WIDTH: &'static str = "9 bytes";
    const ENTITY: &'static str = "passport";
    const SPELT_AS: Option<&'static str> = Some("passport");

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            keeps_type: !self.keep.is_empty(),
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
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn uniqueness(&self) -> Uniqueness {
        // 3.4 · 10^8 ordinary ones with a chip; 10^7 of the smallest kind.
        let bits = if self.keep.is_empty() { 28 } else { 23 };
        Uniqueness::Probabilistic { bits }
    }

    fn width(&self) -> Option<usize> {
        Some(9)
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("E12345678")
    }
}

/// What stands after the `E` of ordinary passports where it isn't a digit.
const LETTERS: &[u8; 24] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Numbers of seven digits.
const SEVEN: u64 = 10_000_000;

/// A kind of passport, by how its numbers begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `E`, then a digit or a letter, then seven digits.
    Chip,
    /// `14` or `15`, then seven digits.
    Old,
    /// This letter, then eight digits.
    Eight(u8),
    /// This letter and `E`, then seven digits.
    Official(u8),
}

impl Form {
    fn of(number: &[u8; 9]) -> Option<Self> {
        let digits = |from: usize| {
            number
                .get(from..)
                .is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
        };
        let [first, second, ..] = *number;
        match (first, second) {
            (b'E', second) if digits(2) => {
                let known = second.is_ascii_digit() || LETTERS.contains(&second);
                known.then_some(Self::Chip)
            }
            (b'D' | b'S' | b'P', b'E') if digits(2) => Some(Self::Official(first)),
            (b'D' | b'S' | b'P' | b'G', _) if digits(1) => Some(Self::Eight(first)),
            (b'1', b'4' | b'5') if digits(2) => Some(Self::Old),
            _ => None,
        }
    }

    /// How many numbers there are.
    fn count(self) -> u64 {
        match self {
            Self::Chip => 34 * SEVEN,
            Self::Old => 2 * SEVEN,
            Self::Eight(_) => 10 * SEVEN,
            Self::Official(_) => SEVEN,
        }
    }

    /// One of its numbers.
    fn number(self, chosen: u64) -> Option<[u8; 9]> {
        let mut number = [b'0'; 9];
        let [first, second, rest @ ..] = &mut number;
        let (begin, chosen) = (chosen / SEVEN, chosen % SEVEN);
        let place = usize::try_from(begin).ok()?;
        let digit = u8::try_from(begin % 10).ok()? + b'0';
        (*first, *second) = match self {
            Self::Chip => match place.checked_sub(10) {
                Some(letter) => (b'E', *LETTERS.get(letter)?),
                None => (b'E', digit),
            },
            Self::Old => (b'1', digit + 4),
            Self::Eight(letter) => (letter, digit),
            Self::Official(letter) => (letter, b'E'),
        };
        resident_id::write_digits(rest, chosen);
        Some(number)
    }
}

#[derive(Debug)]
struct Kernel {
    keeps_type: bool,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let text = surrogate::identifier(original.value).to_ascii_uppercase();
        let own: &[u8; 9] = text.as_bytes().try_into().map_err(|_| Case::Invalid)?;
        let form = Form::of(own).ok_or(Case::Invalid)?;
        let form = if self.keeps_type { form } else { Form::Chip };
        let chosen = original.draw.below_wide(0, form.count());
        let mut number = form.number(chosen).ok_or(Case::Invalid)?;
        if number == *own {
            let chosen = another(chosen, form.count(), &original.draw);
            number = form.number(chosen).ok_or(Case::Invalid)?;
        }
        out.extend_from_slice(&number);
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        9
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::surrogate::testing::alone;

    fn numbers(keep: &str, values: &[&str]) -> Vec<String> {
        let spec = format!("{{ kind = 'fake-passport', domain = 'd', keep = [{keep}] }}");
        let written = alone(&spec, "passport", values).into_iter();
        written.map(Option::unwrap).collect()
    }

    /// One number of every kind.
    const KINDS: [&str; 10] = [
        "E12345678",
        "EA1234567",
        "G12345678",
        "141234567",
        "151234567",
        "D12345678",
        "S12345678",
        "P12345678",
        "DE1234567",
        "PE1234567",
    ];

    fn form(number: &str) -> Option<Form> {
        Form::of(number.as_bytes().try_into().ok()?)
    }

    #[test]
    fn a_kept_type_stays_and_others_become_ordinary() {
        for (number, original) in numbers("'type'", &KINDS).iter().zip(KINDS) {
            assert!(
                form(number).is_some() && form(number) == form(original),
                "{number}"
            );
        }
        for number in numbers("", &KINDS) {
            assert_eq!(form(&number), Some(Form::Chip), "{number}");
        }
    }

    #[test]
    fn every_number_of_a_form_is_of_that_form() {
        for form in [
            Form::Chip,
            Form::Old,
            Form::Eight(b'G'),
            Form::Official(b'S'),
        ] {
            let step = usize::try_from(SEVEN / 4).unwrap();
            let chosen: Vec<u64> = (0..form.count()).step_by(step).collect();
            let numbers: BTreeSet<_> = chosen
                .iter()
                .map(|own| form.number(*own).unwrap())
                .collect();
            assert_eq!(numbers.len(), chosen.len());
            assert!(numbers.iter().all(|number| Form::of(number) == Some(form)));
        }
        assert_eq!(Form::Chip.number(Form::Chip.count()), None);
    }

    #[test]
    fn spellings_are_one_and_other_numbers_never_pass() {
        let spelt = numbers("", &["E12345678", "E 1234-5678", "Ｅ１２３４５６７８"]);
        assert!(spelt.iter().all(|number| *number == spelt[0]), "{spelt:?}");
        for keep in ["", "'type'"] {
            for covered in numbers(
                keep,
                &[
                    "EI1234567",
                    "EO1234567",
                    "K12345678",
                    "E1234567",
                    "161234567",
                    "E123456789",
                    "护照",
                ],
            ) {
                assert!(covered.bytes().all(|byte| byte == b'*'), "{covered}");
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_of_their_form_and_never_the_original(
            original in "E[0-9]{8}|E[A-HJ-NP-Z][0-9]{7}|[DSPG][0-9]{8}|[DSP]E[0-9]{7}|1[45][0-9]{7}",
            keep in prop::sample::select(vec!["", "'type'"]),
        ) {
            let number = numbers(keep, &[&original]).remove(0);
            prop_assert_ne!(&number, &original);
            let expected = if keep.is_empty() { Some(Form::Chip) } else { form(&original) };
            prop_assert_eq!(form(&number), expected);
        }
    }
}
