//! `hmac`: a keyed pseudonym.
//!
//! HMAC (FIPS 198-1) with SHA-256 or SM3 over the UTF-8 of the normalised value, nothing prepended,
//! under a key derived for the domain and the grant or join group. Equal values get equal
//! pseudonyms, so that tables join within one scope and nowhere else. Without the key, a pseudonym
//! can't be guessed from a list of numbers, as an unkeyed hash can.
//!
//! # Keys
//!
//! With SHA-256 the HMAC's key is the [derived key](crate::key::DerivedKey) itself. SM3 has one of
//! its own, made from it, so that no key serves two algorithms:
//! HKDF-SHA256(derived key; no salt; info = LP("lockgate/hmac-sm3/v1"); 32 bytes), where LP is a
//! 4-byte big-endian length followed by the bytes.
//!
//! # In Python, with the package `cryptography`
//!
//! ```python
//! import hashlib, hmac
//! from cryptography.hazmat.primitives.hashes import SHA256
//! from cryptography.hazmat.primitives.kdf.hkdf import HKDF
//! lp = lambda *parts: b"".join(len(p).to_bytes(4, "big") + p for p in parts)
//! hkdf = lambda key, *parts: HKDF(SHA256(), 32, None, lp(*parts)).derive(key)
//! key = hkdf(master, b"lockgate/v1", b"pseudonym", domain, b"grant:" + grant, b"1")
//! sha256 = hmac.new(key, normalised, "sha256").hexdigest()
//! sm3 = hmac.new(hkdf(key, b"lockgate/hmac-sm3/v1"), normalised, "sm3").hexdigest()
//! ```

mod digits;
mod sha256;

use std::borrow::Cow;
use std::fmt;

use arrow::datatypes::DataType;
use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sm3::Sm3;

use crate::cases::Rules;
use crate::category;
use crate::error::{Case, Misfit};
use crate::key::{DerivedKey, KEY_BYTES, KeyUse};
use crate::marks::tag::{CHARACTERS_MAX, TagForm, TagRoom};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, TextsOf, Written};
use crate::treatment::Treatment;
use sha256::HmacSha256;

pub use digits::Encoding;

/// Fewest bits a shortened pseudonym may have: among a million values the odds that any two meet
/// are then one in two million million, among a thousand million one in two million.
const BITS_MIN: u32 = 80;

/// Names the key of HMAC-SM3, which is derived from the domain's.
const SM3_LABEL: &[u8] = b"lockgate/hmac-sm3/v1";

/// Puts a keyed pseudonym in the place of a value: equal values, equal pseudonyms.
///
/// Whole numbers, decimals and dates are keyed as their text: `42`, `12.30` at the field's scale,
/// `2026-01-31` (years 0 to 9999; others are invalid). A value that is empty once normalised counts
/// as empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hmac256 {
    /// Consistency domain: fields of one domain share pseudonyms within a grant (`"person.id"`).
    pub domain: String,
    /// Approved join group, whose grants share pseudonyms; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The hash beneath. Fields join only where it is the same.
    #[serde(default = "default_algorithm")]
    pub algorithm: Algorithm,
    /// How the pseudonym is written.
    #[serde(default = "default_encoding")]
    pub encoding: Encoding,
    /// Characters of the pseudonym, cut from its beginning; absent means all. At least 80 bits
    /// must be left: 20 characters of `"hex"`, 14 of `"base64url"`, 16 of `"base32"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// How a value is brought to one spelling: as its category says, or not at all.
    #[serde(default = "default_normalise")]
    pub normalise: Normalise,
    /// Characters at the end of the pseudonym that are given to the mark, 1 to 8: the grant's own tag
    /// takes their place, and a few pseudonyms name the grant. What is left must have 80 bits. Not with
    /// `join`, whose grants share pseudonyms. Absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<u32>,
}

/// The hash beneath the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4).
    #[serde(rename = "sha256")]
    Sha256,
    /// SM3 (GB/T 32905).
    #[serde(rename = "sm3")]
    Sm3,
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

fn default_algorithm() -> Algorithm {
    Algorithm::Sha256
}

fn default_encoding() -> Encoding {
    Encoding::Hex
}

fn default_normalise() -> Normalise {
    Normalise::Category
}

impl Hmac256 {
    /// Characters of the pseudonym.
    fn characters(&self) -> u32 {
        self.length.unwrap_or_else(|| self.encoding.characters())
    }

    /// Bits of the pseudonym but for the tag, which follows from them.
    fn bits(&self) -> u32 {
        let tag = self.tag.unwrap_or_default();
        self.encoding.bits(self.characters().saturating_sub(tag))
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
        if self.domain.trim().is_empty() {
            return Err(Misfit::of_parameter("domain", "`domain` is empty")
                .with_hint("name what is pseudonymised, such as \"person.id\""));
        }
        if self
            .join
            .as_ref()
            .is_some_and(|join| join.trim().is_empty())
        {
            return Err(Misfit::of_parameter("join", "`join` is empty")
                .with_hint("name an approved join group, or leave it out"));
        }
        self.check_length()?;
        self.check_tag()
    }

    fn check_tag(&self) -> Result<(), Misfit> {
        let refused =
            |what: String, hint: String| Err(Misfit::of_parameter("tag", what).with_hint(hint));
        let Some(tag) = self.tag else {
            return Ok(());
        };
        if self.join.is_some() {
            return refused(
                "`tag` stands beside `join`: grants of a join group share pseudonyms, and a tag is \
                 another one in every grant"
                    .to_owned(),
                "leave one of them out".to_owned(),
            );
        }
        if !(1..=CHARACTERS_MAX).contains(&tag) {
            return refused(
                format!("`tag` is not 1 to {CHARACTERS_MAX} characters"),
                "write tag = 4, or leave it out".to_owned(),
            );
        }
        let least = self.encoding.characters_for(BITS_MIN).saturating_add(tag);
        if self.characters() < least {
            return refused(
                format!(
                    "`tag` leaves fewer than {BITS_MIN} bits of the pseudonym, so pseudonyms would \
                     meet"
                ),
                format!("write length = {least} or more, or a shorter tag"),
            );
        }
        Ok(())
    }

    fn check_length(&self) -> Result<(), Misfit> {
        let Some(length) = self.length else {
            return Ok(());
        };
        let most = self.encoding.characters();
        let least = self.encoding.characters_for(BITS_MIN);
        if (least..=most).contains(&length) {
            return Ok(());
        }
        let what = match length < least {
            true => format!("`length` leaves fewer than {BITS_MIN} bits, so pseudonyms would meet"),
            false => "`length` is more than the pseudonym has".to_owned(),
        };
        Err(Misfit::of_parameter("length", what).with_hint(format!(
            "with this encoding, write {least} to {most}, or leave it out for {most}"
        )))
    }
}

impl Definition for Hmac256 {
    const KIND: &'static str = "hmac";
    const SUMMARY: &'static str = "puts a keyed pseudonym in the place of the value";
    const FITS: &'static str = "utf8, whole numbers, decimals, dates";
    const EXAMPLE: &'static str = "{ kind = \"hmac\", domain = \"person.id\" }";
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 256 };
    const WIDTH: Option<&'static str> =
        Some("64 bytes in hex, 43 in base64url, 52 in base32, or `length`");

    fn uniqueness(&self) -> Uniqueness {
        Uniqueness::Probabilistic { bits: self.bits() }
    }

    /// Dates before year 0 and after 9999 have no text.
    fn refuses(&self, data_type: &DataType, case: Case) -> bool {
        case == Case::Invalid && *data_type == DataType::Date32
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        usize::try_from(self.characters()).ok()
    }

    /// The encoding counts for nothing here; fewer bits tell less. A floor's algorithm is not a
    /// matter of degree, so it must be the same. A floor's tag can't be turned off or cut short.
    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let joins_no_more = self.normalise == floor.normalise || self.normalise == Normalise::None;
        self.domain == floor.domain
            && narrower
            && joins_no_more
            && self.algorithm == floor.algorithm
            && self.bits() <= floor.bits()
            && self.tag >= floor.tag
    }

    fn tag(&self) -> Option<TagRoom> {
        Some(TagRoom {
            characters: self.tag?,
            domain: self.domain.clone(),
            form: TagForm::End {
                length: self.characters(),
                encoding: self.encoding,
            },
        })
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(DataType::Utf8))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(KeyUse {
            purpose: "pseudonym",
            domain: self.domain.clone(),
            join: self.join.clone(),
        })
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let key = key.ok_or_else(|| Misfit {
            parameter: None,
            what: format!("treatment `hmac` of field `{}` has no key", column.name),
            hint: Some("make one with `lockgate keys new pseudonym`".to_owned()),
        })?;
        let mac = Keyed::new(self.algorithm, key)
            .ok_or_else(|| Misfit::of_parameter("domain", "the key has a length HMAC refuses"))?;
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
            mac,
            encoding: self.encoding,
            characters: usize::try_from(self.characters()).unwrap_or(usize::MAX),
            normalise,
            is_text,
        };
        if is_text {
            return Ok(Box::new(TextTreatment::with_rules(kernel, rules)));
        }
        Ok(Box::new(TextsOf::new(column.data_type, kernel, &rules)?))
    }
}

/// The key, absorbed: both midstates, which saves two of four compressions a value. Zeroized on
/// drop.
enum Keyed {
    Sha256(HmacSha256),
    Sm3(Hmac<Sm3>),
}

impl Keyed {
    fn new(algorithm: Algorithm, key: &DerivedKey) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => Some(Self::Sha256(HmacSha256::new(key.expose()))),
            Algorithm::Sm3 => {
                let own = key.expand::<KEY_BYTES>(&[SM3_LABEL]);
                Hmac::new_from_slice(own.as_ref()).ok().map(Self::Sm3)
            }
        }
    }

    fn digest(&self, text: &[u8]) -> [u8; 32] {
        match self {
            Self::Sha256(mac) => mac.digest(text),
            Self::Sm3(mac) => mac
                .clone()
                .chain_update(text)
                .finalize()
                .into_bytes()
                .into(),
        }
    }
}

struct Kernel {
    mac: Keyed,
    encoding: Encoding,
    characters: usize,
    normalise: Option<fn(&str) -> Cow<'_, str>>,
    is_text: bool,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hmac(..)")
    }
}

impl TextKernel for Kernel {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        let digest = match self.normalise {
            Some(normalise) => {
                let normalised = normalise(value);
                if normalised.is_empty() {
                    return Err(Case::Empty);
                }
                self.mac.digest(normalised.as_bytes())
            }
            None => self.mac.digest(value.as_bytes()),
        };
        let start = out.len();
        self.encoding.write(&digest, out);
        out.truncate(start + self.characters);
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }

    fn covers_with_null(&self) -> bool {
        !self.is_text
    }

    fn output_bytes(&self, rows: usize, _: usize) -> usize {
        // The last value is written whole before it is cut.
        rows.saturating_mul(self.characters).saturating_add(64)
    }
}

#[cfg(test)]
mod tests;
