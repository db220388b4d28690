//! `fake-card`: the number of a payment card.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check_digit;
use crate::error::{Case, Misfit};
use crate::persona::draw::another;
use crate::persona::resident_id::write_digits;
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

/// Puts a card number of the same length in the place of one, its check digit right (Luhn).
///
/// Unless the issuer is kept, it is one of the largest banks. Numbers have 13 to 19 digits;
/// separators are dropped; other text is invalid. The check digit of the original isn't asked for:
/// old cards have none. A number never becomes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeCard {
    /// Consistency domain: fields of one domain replace cards alike
    /// (`"card"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the card's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"bin"` (the first six digits: issuer and kind of card).
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// What stays of a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The first six digits.
    Bin,
}

impl Surrogate for FakeCard {
    const KIND: &'static str = "fake-card";
    const SUMMARY: &'static str = "writes a card number with a right check digit";
    const EXAMPLE: &'static str = r#"{ kind = "fake-card", domain = "card" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 19 };
    const WIDTH: &'static str = "19 bytes";
    const ENTITY: &'static str = "card";
    const SPELT_AS: Option<&'static str> = Some("bank-card");

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            keeps_bin: !self.keep.is_empty(),
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

    fn width(&self) -> Option<usize> {
        Some(19)
    }
}

/// Digits of a bank identification number.
const BIN: usize = 6;

/// Identification numbers of the largest banks' debit cards, which have 19 digits. Checked, like
/// the next, against npm's `bankcardinfo` 2.0.6 (ISC licence).
const LONG: [&[u8; BIN]; 8] = [
    b"622202", b"621226", b"621700", b"622700", b"622848", b"621661", b"621799", b"622262",
];

/// Identification numbers of cards of 16 digits: of debit cards, then of credit cards.
const SHORT: [&[u8; BIN]; 8] = [
    b"622588", b"621486", b"622690", b"621466", b"622230", b"625362", b"622836", b"622760",
];

#[derive(Debug)]
struct Kernel {
    keeps_bin: bool,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let own = surrogate::identifier(original.value);
        let own = own.as_bytes();
        if !(13..=19).contains(&own.len()) || !own.iter().all(u8::is_ascii_digit) {
            return Err(Case::Invalid);
        }
        let bin = if self.keeps_bin {
            own.get(..BIN)
        } else {
            let bins = if own.len() == 16 { SHORT } else { LONG };
            let drawn = bins.get(original.draw.below(0, bins.len()));
            drawn.map(|bin| bin.as_slice())
        };
        let bin = bin.ok_or(Case::Invalid)?;
        // Everything between the bank's number and the check digit: 6 to 12 digits.
        let free = own.len() - BIN - 1;
        let count = u32::try_from(free)
            .ok()
            .and_then(|free| 10_u64.checked_pow(free));
        let count = count.ok_or(Case::Invalid)?;
        let start = out.len();
        let mut put = |chosen: u64| {
            out.truncate(start);
            out.extend_from_slice(bin);
            out.resize(start + BIN + free, b'0');
            write_digits(out.get_mut(start + BIN..).unwrap_or_default(), chosen);
            let check = out.get(start..).and_then(check_digit::luhn::check);
            out.push(check.unwrap_or(b'0'));
            out.get(start..) == Some(own)
        };
        let chosen = original.draw.below_wide(2, count);
        if put(chosen) {
            put(another(chosen, count, &original.draw));
        }
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        19
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surrogate::testing::alone;

    #[test]
    fn cards_are_valid_as_long_as_before_and_other_cards() {
        let originals: Vec<String> = (0..400_u64)
            .zip((7..14_usize).cycle())
            .map(|(number, width)| format!("622202{:0width$}", number * 7_919))
            .collect();
        let values: Vec<&str> = originals.iter().map(String::as_str).collect();
        for (keep, kept) in [("", false), (", keep = ['bin']", true)] {
            let spec = format!("{{ kind = 'fake-card', domain = 'd'{keep} }}");
            for (card, original) in alone(&spec, "bank-card", &values).iter().zip(&values) {
                let card = card.as_deref().unwrap();
                let (check, rest) = card.as_bytes().split_last().unwrap();
                assert_eq!(check_digit::luhn::check(rest), Some(*check), "{card}");
                assert!(card.len() == original.len() && card != *original);
                assert!(!kept || card.starts_with("622202"));
            }
        }
    }

    #[test]
    fn spellings_of_one_card_become_one_card() {
        let spelt = [
            "6222020011112222",
            "6222 0200 1111 2222",
            "6222-0200-1111-2222",
            "abc",
        ];
        let cards = alone("{ kind = 'fake-card', domain = 'd' }", "bank-card", &spelt);
        assert!(cards[0] == cards[1] && cards[1] == cards[2]);
        assert_eq!(cards[3].as_deref(), Some("***"));
    }
}
