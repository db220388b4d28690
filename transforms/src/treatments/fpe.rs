//! `fpe`: format-preserving encryption of text over an alphabet.
//!
//! FF1 (NIST SP 800-38G, second draft of revision 1) turns a value into another of the same length
//! over the same alphabet, so that systems which insist on "18 digits" keep working. Different
//! values stay different and the holder of the key can go back; a recipient without the key sees
//! which values are equal, and nothing else.
//!
//! The key of AES-256 is the derived key itself, the radix the number of characters of the
//! alphabet, the numerals their places in it. What binds a result is split between key and tweak:
//! the derived key holds the domain and the grant or join group (see [`crate::key`]); the tweak is
//! the UTF-8 of the domain, or with `tweak = "field"` LP("fpe") ‖ LP(domain) ‖ LP(field).

mod alphabet;
mod kernel;
#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::error::Misfit;
use crate::ff1::{Direction, keyed};
use crate::key::{DerivedKey, KeyUse};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextTreatment, only};
use crate::treatment::Treatment;

use alphabet::{Alphabet, Stays};
use kernel::Kernel;

/// Encrypts text into text of the same length over the same alphabet (FF1 with AES-256).
///
/// The key follows from `domain` and the grant or join group, so that other grants get other results.
/// The tweak is the UTF-8 of `domain`, or with `tweak = "field"` domain and field. A value so short
/// that fewer than a million others have its length (fewer than 6 digits, 5 letters, 4 letters or
/// digits) is short; a character outside the alphabet, or more than 256 characters, are invalid.
///
/// Where the field's category is an identifier, and in any field where `keep_separators` or
/// `keep_others` is set, a full-width character or a letter of the other case counts as that of the
/// alphabet, unless the alphabet holds it itself: spellings that differ in nothing else are one value,
/// and what is restored is the alphabet's. Of an identifier, white space and hyphens are left out,
/// unless they are kept, and so is the country code of a mobile number. Apart from what is left out,
/// a result has as many characters as its value.
///
/// With `keep_others` the value is a format: characters of the alphabet are encrypted, every other
/// one stays where it is, as it is written. What stays is delivered in clear, so it counts as partly
/// hidden text (1); the same characters become the same ones whatever stays beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fpe {
    /// Consistency domain: fields of one domain share results within a grant (`"account.id"`).
    pub domain: String,
    /// Approved join group, whose grants share results; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The characters of values: `"digits"`, `"lower"`, `"upper"`, `"alphanumeric"` (digits,
    /// upper-case, then lower-case letters), or each character once, in the order of their
    /// numerals.
    #[serde(default = "default_alphabet")]
    pub alphabet: String,
    /// Whether white space, hyphens and `. , / : _ ( ) ·` stay where they are; otherwise they are
    /// left out of an identifier and invalid in anything else.
    #[serde(default)]
    pub keep_separators: bool,
    /// Whether every character outside the alphabet stays where it is, separators included: the
    /// letters of `HZ-2026-004711` with the alphabet `"digits"`.
    #[serde(default)]
    pub keep_others: bool,
    /// What the results are bound to besides key and domain: nothing, or the field. With `"field"`
    /// the fields of one domain, a key and what refers to it, no longer join within a delivery or a
    /// grant, but fields of one name still do, in every dataset; a renamed field gets other results.
    #[serde(default)]
    pub tweak: Tweak,
}

/// What the tweak of FF1 is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tweak {
    /// The domain: equal values of every field of the domain stay equal.
    #[default]
    Domain,
    /// The domain and the field's name.
    Field,
}

impl Tweak {
    fn bytes(self, domain: &str, field: &str) -> Vec<u8> {
        match self {
            Self::Domain => domain.as_bytes().to_vec(),
            Self::Field => keyed::context(&[Fpe::KIND, domain, field]),
        }
    }
}

fn default_alphabet() -> String {
    "digits".to_owned()
}

impl Fpe {
    fn check(&self, column: Column<'_>) -> Result<Alphabet, Misfit> {
        only(Self::KIND, column)?;
        keyed::check(&self.domain, self.join.as_ref())?;
        let folds = category::find(column.category).is_some_and(category::Category::is_identifier);
        if self.keep_others && self.keep_separators {
            let what = "`keep_others` keeps separators too, so that `keep_separators` says nothing";
            return Err(Misfit::of_parameter("keep_separators", what).with_hint("leave it out"));
        }
        let stays = match (self.keep_others, self.keep_separators) {
            (true, _) => Stays::Others,
            (false, true) => Stays::Separators,
            (false, false) => Stays::Nothing,
        };
        Alphabet::new(&self.alphabet, folds, stays)
    }

    fn make(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
        direction: Direction,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let alphabet = self.check(column)?;
        let ff1 = keyed::cipher(Self::KIND, column, key)?;
        let tweak = self.tweak.bytes(&self.domain, column.name);
        // What was encrypted has no country code left, whatever it begins with.
        let mobile = category::find(column.category)
            .filter(|known| known.name == "mobile" && direction == Direction::Encrypt)
            .map(|known| known.normalise);
        let kernel = Kernel::new(ff1, direction, alphabet, tweak, mobile)
            .ok_or_else(|| Misfit::of_parameter("alphabet", "`alphabet` is too small"))?;
        Ok(Box::new(TextTreatment::new(kernel, options, column)?))
    }

    /// Makes the treatment that restores what this one encrypted, for the holder of the key.
    ///
    /// # Errors
    /// As [`Definition::build`].
    pub fn restore(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.make(column, options, key, Direction::Decrypt)
    }
}

impl Definition for Fpe {
    const KIND: &'static str = "fpe";
    const SUMMARY: &'static str =
        "encrypts text into text of the same length over the same alphabet (FF1)";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = r#"{ kind = "fpe", domain = "account.id" }"#;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    const WEAKER: Option<&'static str> = Some("1 with `keep_others`");
    const REVERSIBLE: Option<&'static str> = Some(keyed::REVERSIBLE);

    fn strength(&self) -> Strength {
        match self.keep_others {
            true => Strength::PARTIAL,
            false => Self::STRENGTH,
        }
    }

    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let separators = floor.keep_separators || floor.keep_others || !self.keep_separators;
        let others = floor.keep_others || !self.keep_others;
        let tweak = self.tweak == Tweak::Field || self.tweak == floor.tweak;
        self.domain == floor.domain
            && self.alphabet == floor.alphabet
            && narrower
            && separators
            && others
            && tweak
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(DataType::Utf8))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(keyed::key_use(&self.domain, self.join.as_ref()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.make(column, options, key, Direction::Encrypt)
    }
}
