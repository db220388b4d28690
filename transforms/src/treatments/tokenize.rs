//! `tokenize`: a random token, kept in a vault.
//!
//! The first time a value is met a token is drawn for it, which the site's vault then keeps: equal
//! values get equal tokens within one scope, as with `hmac`. But nothing computes a token from its
//! value, so whoever gets hold of a key later learns nothing from a delivery without the vault too,
//! and where the vault is destroyed, what was delivered can never be turned back. While it is kept,
//! the provider can turn tokens back, with an approver's approval.
//!
//! The form of a vault's entries is that of [`vault`](crate::vault).
//!
//! # Security
//! Equality and frequency of values are left. Over few possible values frequency alone gives them
//! away, which is why compile warns about or refuses tiny domains.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cases::Rules;
use crate::category;
use crate::error::{Case, Misfit, TreatmentError};
use crate::key::{DerivedKey, KeyUse, Keys};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, TextsOf, TreatTogether, Written};
use crate::treatment::Treatment;
use crate::vault::{Alphabet, TokenForm, Vault, VaultError, VaultUse};

/// Fewest different tokens a vault may have: with fewer, trying them all would be no work, and the
/// vault soon full.
const SPACE_MIN: u128 = 1_000_000;

/// Most characters of a token.
const LENGTH_MAX: u32 = 64;

/// Puts a random token in the place of a value: equal values, equal tokens. A vault of the provider
/// keeps which belong together; from it the provider can restore values, which an approver has to
/// approve (`lockgate tokens`).
///
/// A vault belongs to a domain, to a grant or join group, and to a version of the key `encryption`,
/// with which it is sealed; a new version begins a new vault with other tokens. Whoever loses a
/// vault can't deliver the same tokens again: back up `state/vaults/`.
///
/// Whole numbers, decimals and dates get the token of their text: `42`, `12.30` at the field's scale,
/// `2026-01-31` (years 0 to 9999; others are invalid). A value that is empty once normalised counts
/// as empty. What is restored is the normalised spelling, and different spellings of one identifier
/// count as one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tokenize {
    /// Consistency domain: fields of one domain share tokens within a grant (`"person.id"`), where
    /// alphabet and length are the same.
    pub domain: String,
    /// Approved join group, whose grants share tokens; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The characters of tokens.
    #[serde(default = "default_alphabet")]
    pub alphabet: Alphabet,
    /// Characters of a token, 64 at most. There must be a million tokens at least: 4 characters of
    /// `"base32"`, 5 of `"hex"` and `"letters"`, 7 of `"digits"`; and no more than half of them are
    /// ever given, then runs fail.
    #[serde(default = "default_length")]
    pub length: u32,
    /// How a value is brought to one spelling: as its category says, or not at all.
    #[serde(default = "default_normalise")]
    pub normalise: Normalise,
}

/// How a value is brought to one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// As the field's category says; nothing for categories that aren't identifiers.
    Category,
    /// Not at all: the bytes as they are.
    None,
}

fn default_alphabet() -> Alphabet {
    Alphabet::Base32
}

fn default_length() -> u32 {
    16
}

fn default_normalise() -> Normalise {
    Normalise::Category
}

impl Tokenize {
    fn form(&self) -> TokenForm {
        TokenForm {
            alphabet: self.alphabet,
            length: self.length,
        }
    }

    fn uses_key(&self) -> KeyUse {
        KeyUse {
            purpose: "encryption",
            domain: self.domain.clone(),
            join: self.join.clone(),
        }
    }

    fn uses_vault(&self) -> VaultUse {
        VaultUse {
            domain: self.domain.clone(),
            join: self.join.clone(),
            form: self.form(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        let data_type = column.data_type;
        let fits = matches!(
            data_type,
            DataType::Utf8
                | DataType::Decimal128(_, _)
                | DataType::Decimal256(_, _)
                | DataType::Date32
        ) || data_type.is_integer();
        if !fits {
            return Err(Misfit::of_type(Self::KIND, data_type, Self::FITS));
        }
        self.uses_key().check()?;
        self.check_length()
    }

    fn check_length(&self) -> Result<(), Misfit> {
        let with = |length| TokenForm {
            length,
            ..self.form()
        };
        let least = (1..LENGTH_MAX).find(|length| with(*length).space() >= SPACE_MIN);
        let least = least.unwrap_or(LENGTH_MAX);
        if (least..=LENGTH_MAX).contains(&self.length) {
            return Ok(());
        }
        let what = match self.length < least {
            true => "`length` leaves fewer than a million tokens".to_owned(),
            false => format!("`length` is more than {LENGTH_MAX}"),
        };
        Err(Misfit::of_parameter("length", what).with_hint(format!(
            "with alphabet \"{}\", write {least} to {LENGTH_MAX}",
            self.alphabet.as_str()
        )))
    }
}

impl Definition for Tokenize {
    const KIND: &'static str = "tokenize";
    const SUMMARY: &'static str =
        "puts a random token in the place of the value, which a vault of the provider keeps";
    const FITS: &'static str = "utf8, whole numbers, decimals, dates";
    const EXAMPLE: &'static str = "{ kind = \"tokenize\", domain = \"person.id\" }";
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    const WIDTH: Option<&'static str> = Some("`length` bytes");
    const REVERSIBLE: Option<&'static str> =
        Some("the provider, who alone holds vault and key, with an approver's approval");

    /// Dates before year 0 and after 9999 have no text.
    fn refuses(&self, data_type: &DataType, case: Case) -> bool {
        case == Case::Invalid && *data_type == DataType::Date32
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        Some(self.form().characters())
    }

    /// Tokens of another alphabet or length are another vault's, which other fields may share, so both
    /// must be the same.
    fn room(&self) -> Option<u128> {
        Some(self.form().space() / 2)
    }

    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let joins_no_more = self.normalise == floor.normalise || self.normalise == Normalise::None;
        self.domain == floor.domain && narrower && joins_no_more && self.form() == floor.form()
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(DataType::Utf8))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(self.uses_key())
    }

    fn vault_use(&self) -> Option<VaultUse> {
        Some(self.uses_vault())
    }

    /// Always fails: a key alone makes no tokens.
    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.build_with(column, options, Keys::default())
    }

    fn build_with(
        &self,
        column: Column<'_>,
        options: &Options,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let vault = keys.vault(&self.uses_vault()).ok_or_else(|| Misfit {
            parameter: None,
            what: format!(
                "treatment `tokenize` of field `{}` has no vault",
                column.name
            ),
            hint: Some("it works within a site, which keeps the vault".to_owned()),
        })?;
        let is_text = *column.data_type == DataType::Utf8;
        // Numbers and dates have one text; an identifier's spelling would take their signs off.
        let normalise = match self.normalise {
            Normalise::Category if is_text => {
                category::find(column.category).map(|known| known.normalise)
            }
            Normalise::Category | Normalise::None => None,
        };
        let rules = Rules::resolve(options, column)?;
        let kernel = Kernel {
            vault,
            vault_use: self.uses_vault(),
            normalise,
            is_text,
        };
        if is_text {
            return Ok(Box::new(TextTreatment::with_rules(kernel, rules)));
        }
        Ok(Box::new(TextsOf::new(column.data_type, kernel, &rules)?))
    }
}

struct Kernel {
    vault: Arc<dyn Vault>,
    vault_use: VaultUse,
    normalise: Option<fn(&str) -> Cow<'_, str>>,
    is_text: bool,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenize({}, ..)", self.vault_use.form)
    }
}

impl Kernel {
    fn spelling<'a>(&self, value: &'a str) -> Cow<'a, str> {
        match self.normalise {
            Some(normalise) => normalise(value),
            None => Cow::Borrowed(value),
        }
    }

    /// The tokens of values, one after the other.
    fn tokens(&self, values: &[&str]) -> Result<Vec<u8>, TreatmentError> {
        let width = self.vault_use.form.characters();
        let expected = values.len().saturating_mul(width);
        let mut tokens = Vec::with_capacity(expected);
        self.vault
            .tokens(values, &mut tokens)
            .map_err(TreatmentError::Vault)?;
        if tokens.len() == expected && tokens.is_ascii() {
            return Ok(tokens);
        }
        Err(TreatmentError::Vault(VaultError::Damaged {
            domain: self.vault_use.domain.clone(),
            what: "its tokens have another form",
        }))
    }
}

impl TreatTogether for Kernel {
    fn treat_together(
        &self,
        values: &[&str],
        out: &mut Vec<u8>,
        ends: &mut Vec<Result<usize, Case>>,
    ) -> Result<(), TreatmentError> {
        let spellings: Vec<Cow<'_, str>> =
            values.iter().map(|value| self.spelling(value)).collect();
        let spelt = spellings.iter().map(AsRef::as_ref);
        let asked: Vec<&str> = spelt.filter(|spelling| !spelling.is_empty()).collect();
        let tokens = self.tokens(&asked)?;
        let mut tokens = tokens.chunks(self.vault_use.form.characters().max(1));
        for spelling in &spellings {
            let token = match spelling.is_empty() {
                true => Err(Case::Empty),
                false => tokens.next().ok_or(Case::Invalid),
            };
            ends.push(token.map(|token| {
                out.extend_from_slice(token);
                out.len()
            }));
        }
        Ok(())
    }
}

impl TextKernel for Kernel {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        self.treat_alone(value, out)
    }

    fn together(&self) -> Option<&dyn TreatTogether> {
        Some(self)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }

    fn covers_with_null(&self) -> bool {
        !self.is_text
    }

    fn output_bytes(&self, rows: usize, _: usize) -> usize {
        rows.saturating_mul(self.vault_use.form.characters())
    }
}

#[cfg(test)]
mod tests;
