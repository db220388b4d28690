//! `fpe`: format-preserving encryption of text over an alphabet.
//!
//! FF1 (NIST SP 800-38G, second draft of revision 1) turns a value into another of the same length
//! over the same alphabet, so that systems which insist on "18 digits" keep working. Different
//! values stay different and the holder of the key can go back; a recipient without the key sees
//! which values are equal, and nothing else.
//!
//! The key of AES-256 is the derived key itself, the radix the number of characters of the
//! alphabet, the numerals their places in it, the tweak the UTF-8 of the domain.

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

use alphabet::Alphabet;
use kernel::Kernel;

/// Encrypts text into text of the same length over the same alphabet (FF1 with AES-256).
///
/// The tweak is the UTF-8 of `domain`. A value so short that fewer than a million others have its
/// length (fewer than 6 digits, 5 letters, 4 letters or digits) is short; a character outside the
/// alphabet, or more than 256 characters, are invalid. Where the field's category is an
/// identifier, full-width characters, letters of the other case, white space, hyphens and the
/// country code of a mobile number are brought to one spelling first, unless the alphabet holds
/// them. A result has as many characters as the value in that spelling.
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
}

fn default_alphabet() -> String {
    "digits".to_owned()
}

impl Fpe {
    fn check(&self, column: Column<'_>) -> Result<Alphabet, Misfit> {
        only(Self::KIND, column)?;
        keyed::check(&self.domain, self.join.as_ref())?;
        let folds = category::find(column.category).is_some_and(category::Category::is_identifier);
        Alphabet::new(&self.alphabet, folds, self.keep_separators)
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
        let tweak = self.domain.as_bytes().to_vec();
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
    const REVERSIBLE: Option<&'static str> = Some(keyed::REVERSIBLE);

    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let separators = floor.keep_separators || !self.keep_separators;
        self.domain == floor.domain && self.alphabet == floor.alphabet && narrower && separators
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
