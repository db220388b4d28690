//! `encrypt-det`: a pseudonym that the provider can turn back.
//!
//! SIV (RFC 5297) with AES-256, or with SM4 in its place, over the UTF-8 of the normalised value. Equal values get equal
//! results within one scope, as with `hmac`, but the provider, who holds the key, can restore the
//! value when a recipient asks about one. Any change to a result is noticed when it is opened.
//!
//! With LP(part) = 4-byte big-endian length ‖ part, as everywhere:
//!
//! - key (64 bytes) = HKDF-SHA256(the derived key; no salt; info = LP("lockgate/siv/v1")); as
//!   RFC 5297 has it, the first half is the MAC's, the second the cipher's;
//! - associated data = a vector of two: "lockgate/siv/v1" and the domain;
//! - result = base64url without padding, or lower-case hex, of the IV (16 bytes) ‖ ciphertext,
//!   which is as long as the value.
//!
//! With SM4 (GB/T 32907) the construction is RFC 5297's over another block cipher: S2V over
//! CMAC-SM4 (SP 800-38B), then SM4 in counter mode. The key is 32 bytes, and "lockgate/sm4-siv/v1"
//! stands in both places of the label, so that neither keys nor results of the two ever meet.
//!
//! In Python, with the package `cryptography`:
//!
//! ```python
//! from base64 import urlsafe_b64encode
//! from cryptography.hazmat.primitives.ciphers.aead import AESSIV
//! from cryptography.hazmat.primitives.hashes import SHA256
//! from cryptography.hazmat.primitives.kdf.hkdf import HKDF
//! lp = lambda *parts: b"".join(len(p).to_bytes(4, "big") + p for p in parts)
//! hkdf = lambda key, size, *parts: HKDF(SHA256(), size, None, lp(*parts)).derive(key)
//! key = hkdf(master, 32, b"lockgate/v1", b"encryption", domain, b"grant:" + grant, b"1")
//! siv, label = AESSIV(hkdf(key, 64, b"lockgate/siv/v1")), b"lockgate/siv/v1"
//! text = urlsafe_b64encode(siv.encrypt(value, [label, domain])).rstrip(b"=")
//! ```
//!
//! With SM4, which that package has as a cipher but not in SIV:
//!
//! ```python
//! from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
//! from cryptography.hazmat.primitives.cmac import CMAC
//! SM4, whole = algorithms.SM4, (1 << 128) - 1
//! def cmac(m):
//!     mac = CMAC(SM4(key[:16])); mac.update(m); return int.from_bytes(mac.finalize(), "big")
//! doubled = lambda n: (n << 1 & whole) ^ 0x87 * (n >> 127)
//! label = b"lockgate/sm4-siv/v1"
//! key = hkdf(hkdf(master, 32, b"lockgate/v1", b"encryption", domain, b"grant:" + grant, b"1"), 32, label)
//! state = cmac(bytes(16))
//! for part in (label, domain):
//!     state = doubled(state) ^ cmac(part)
//! if len(value) < 16:  # padded, the state doubled; otherwise the state xored onto the end
//!     last = doubled(state) ^ int.from_bytes((value + b"\x80").ljust(16, b"\0"), "big")
//! else:
//!     last = state ^ int.from_bytes(value[-16:], "big")
//! iv = cmac(value[:max(len(value) - 16, 0)] + last.to_bytes(16, "big"))
//! counter = (iv & ~(1 << 63 | 1 << 31)).to_bytes(16, "big")
//! stream = Cipher(SM4(key[16:]), modes.CTR(counter)).encryptor()
//! text = urlsafe_b64encode(iv.to_bytes(16, "big") + stream.update(value)).rstrip(b"=")
//! ```
//!
//! # Security
//! Who holds the key can read every value; the recipient does not hold it. Without the key,
//! equality, frequency and the length in bytes are left. Over few possible values frequency alone gives them
//! away, which is why compile warns about or refuses tiny domains.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aes::Aes256;
use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sm4::Sm4;

use crate::cases::Rules;
use crate::category;
use crate::error::{Case, Misfit, NotOpened, Unopenable};
use crate::key::{DerivedKey, KeyUse};
use crate::options::Options;
use crate::results::text_bytes;
use crate::siv::{IV_BYTES, Siv};
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, TextsOf, Written};
use crate::treatment::Treatment;

/// Names the algorithm, in the key's derivation and in the associated data.
const LABEL: &[u8] = b"lockgate/siv/v1";
const SM4_LABEL: &[u8] = b"lockgate/sm4-siv/v1";

/// Bytes of a result, before it is encoded, up to which no memory is allocated for it.
const SHORT_BYTES: usize = 128;

/// Puts an encrypted value in the place of a value: equal values, equal results; the provider, who
/// holds the key, can restore them.
///
/// Whole numbers, decimals and dates are encrypted as their text: `42`, `12.30` at the field's
/// scale, `2026-01-31` (years 0 to 9999; others are invalid). A value that is empty once normalised
/// counts as empty. What is restored is the normalised spelling, and different spellings of one
/// identifier count as one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptDet {
    /// Consistency domain: fields of one domain share results within a grant (`"person.id"`).
    pub domain: String,
    /// Approved join group, whose grants share results; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The cipher. Fields join only where it is the same.
    #[serde(default = "default_algorithm")]
    pub algorithm: Algorithm,
    /// How the result is written.
    #[serde(default = "default_encoding")]
    pub encoding: Encoding,
    /// How a value is brought to one spelling: as its category says, or not at all.
    #[serde(default = "default_normalise")]
    pub normalise: Normalise,
}

/// The cipher of an `encrypt-det`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// AES-SIV (RFC 5297) with AES-256.
    #[serde(rename = "aes-256-siv")]
    AesSiv,
    /// The construction of RFC 5297 over SM4 (GB/T 32907), which has keys of 128 bits.
    #[serde(rename = "sm4-siv")]
    Sm4Siv,
}

/// How the encrypted bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// The URL-safe alphabet of RFC 4648, without padding: 4 characters for 3 bytes.
    Base64url,
    /// Lower-case hexadecimal digits, for systems that compare without regard to case.
    Hex,
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
    Algorithm::AesSiv
}

fn default_encoding() -> Encoding {
    Encoding::Base64url
}

fn default_normalise() -> Normalise {
    Normalise::Category
}

impl EncryptDet {
    fn uses(&self) -> KeyUse {
        KeyUse {
            purpose: "encryption",
            domain: self.domain.clone(),
            join: self.join.clone(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        let data_type = column.data_type;
        let fits = matches!(
            data_type,
            DataType::Utf8 | DataType::Decimal128(_, _) | DataType::Date32
        ) || data_type.is_integer();
        if !fits {
            return Err(Misfit::of_type(Self::KIND, data_type, Self::FITS));
        }
        self.uses().check()
    }

    /// What turns results of this treatment back, given the key that `key_use` names.
    pub fn opener(&self, key: &DerivedKey) -> Opener {
        Opener {
            siv: Cipher::new(self.algorithm, key, &self.domain),
            encoding: self.encoding,
        }
    }
}

/// SIV with the domain's key, over one block cipher or the other.
enum Cipher {
    Aes(Box<Siv<Aes256>>),
    Sm4(Box<Siv<Sm4>>),
}

impl Cipher {
    /// `None` for a key of a wrong length, which none of these is.
    fn new(algorithm: Algorithm, key: &DerivedKey, domain: &str) -> Option<Self> {
        let domain = domain.as_bytes();
        match algorithm {
            Algorithm::AesSiv => {
                let key = key.expand::<64>(&[LABEL]);
                let siv = Siv::new(key.as_ref(), &[LABEL, domain])?;
                Some(Self::Aes(Box::new(siv)))
            }
            Algorithm::Sm4Siv => {
                let key = key.expand::<32>(&[SM4_LABEL]);
                let siv = Siv::new(key.as_ref(), &[SM4_LABEL, domain])?;
                Some(Self::Sm4(Box::new(siv)))
            }
        }
    }

    fn seal(&self, cell: &mut [u8]) {
        match self {
            Self::Aes(siv) => siv.seal(cell),
            Self::Sm4(siv) => siv.seal(cell),
        }
    }

    fn open<'a>(&self, cell: &'a mut [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Aes(siv) => siv.open(cell),
            Self::Sm4(siv) => siv.open(cell),
        }
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aes(siv) => siv.fmt(f),
            Self::Sm4(siv) => siv.fmt(f),
        }
    }
}

impl Definition for EncryptDet {
    const KIND: &'static str = "encrypt-det";
    const SUMMARY: &'static str =
        "puts an encrypted value in the place of the value, equal for equal values";
    const FITS: &'static str = "utf8, whole numbers, decimals, dates";
    const EXAMPLE: &'static str = "{ kind = \"encrypt-det\", domain = \"person.id\" }";
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    // A sentinel that were a result of another value would have to be made with the key.
    const KEEPS_SENTINELS_APART: bool = true;
    const WIDTH: Option<&'static str> = Some(
        "16 bytes more than the value, and a third more again in base64url, twice that in hex; that \
         of numbers and dates follows from their type",
    );
    const REVERSIBLE: Option<&'static str> = Some("the provider, who alone holds the key");

    /// Dates before year 0 and after 9999 have no text.
    fn refuses(&self, data_type: &DataType, case: Case) -> bool {
        case == Case::Invalid && *data_type == DataType::Date32
    }

    fn width(&self, data_type: &DataType) -> Option<usize> {
        let bytes = IV_BYTES + text_bytes(data_type)?;
        Some(match self.encoding {
            Encoding::Base64url => (bytes * 4).div_ceil(3),
            Encoding::Hex => bytes * 2,
        })
    }

    /// A floor's algorithm is not a matter of degree, so it must be the same.
    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let joins_no_more = self.normalise == floor.normalise || self.normalise == Normalise::None;
        self.domain == floor.domain
            && self.algorithm == floor.algorithm
            && narrower
            && joins_no_more
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(DataType::Utf8))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(self.uses())
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.check(column)?;
        let missing = || self.uses().missing(Self::KIND, column.name);
        let siv = key
            .and_then(|key| Cipher::new(self.algorithm, key, &self.domain))
            .ok_or_else(missing)?;
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
            siv,
            normalise,
            encoding: self.encoding,
            is_text,
        };
        if is_text {
            return Ok(Box::new(TextTreatment::with_rules(kernel, rules)));
        }
        Ok(Box::new(TextsOf::new(column.data_type, kernel, &rules)?))
    }
}

#[derive(Debug)]
struct Kernel {
    siv: Cipher,
    normalise: Option<fn(&str) -> Cow<'_, str>>,
    encoding: Encoding,
    is_text: bool,
}

impl Kernel {
    fn write(&self, value: &str, out: &mut Vec<u8>) {
        let length = IV_BYTES + value.len();
        let mut short = [0; SHORT_BYTES];
        let mut long = Vec::new();
        let cell = match short.get_mut(..length) {
            Some(short) => short,
            None => {
                long.resize(length, 0);
                long.as_mut_slice()
            }
        };
        for (byte, plain) in cell.iter_mut().skip(IV_BYTES).zip(value.bytes()) {
            *byte = plain;
        }
        self.siv.seal(cell);
        self.encoding.append(cell, out);
    }
}

impl TextKernel for Kernel {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        match self.normalise {
            Some(normalise) => {
                let normalised = normalise(value);
                if normalised.is_empty() {
                    return Err(Case::Empty);
                }
                self.write(&normalised, out);
            }
            None => self.write(value, out),
        }
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }

    fn covers_with_null(&self) -> bool {
        !self.is_text
    }

    fn output_bytes(&self, rows: usize, bytes: usize) -> usize {
        let sealed = rows.saturating_mul(IV_BYTES).saturating_add(bytes);
        match self.encoding {
            Encoding::Base64url => sealed
                .saturating_div(3)
                .saturating_mul(4)
                .saturating_add(2 * rows),
            Encoding::Hex => sealed.saturating_mul(2),
        }
    }
}

impl Encoding {
    /// Appends the written form of bytes.
    pub(crate) fn append(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Base64url => append_base64url(bytes, out),
            Self::Hex => {
                let digit = |nibble: u8| {
                    if nibble < 10 {
                        b'0' + nibble
                    } else {
                        b'a' - 10 + nibble
                    }
                };
                out.extend(
                    bytes
                        .iter()
                        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]),
                );
            }
        }
    }

    /// The bytes that text is the written form of.
    fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64url => URL_SAFE_NO_PAD.decode(text).ok(),
            Self::Hex => {
                let digit = |digit: u8| match digit {
                    b'0'..=b'9' => Some(digit - b'0'),
                    b'a'..=b'f' => Some(digit - b'a' + 10),
                    _ => None,
                };
                let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
                rest.is_empty().then(|| pairs.iter().map(byte).collect())?
            }
        }
    }
}

/// Appends base64url without padding.
pub(crate) fn append_base64url(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), false).unwrap_or_default();
    out.resize(start + length, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, room);
    debug_assert!(written == Ok(length), "the room is as long as the text");
}

/// Turns results of `encrypt-det` back into the text that was encrypted.
#[derive(Debug)]
pub struct Opener {
    /// Always there: the key it is made of has the right length.
    siv: Option<Cipher>,
    encoding: Encoding,
}

impl Opener {
    /// The text that was encrypted.
    ///
    /// # Errors
    /// Not a result of this treatment, under this key and domain, as it was written.
    pub fn open(&self, text: &str) -> Result<String, Unopenable> {
        let mut cell = self.encoding.read(text).ok_or(Unopenable::Malformed)?;
        if cell.len() < IV_BYTES {
            return Err(Unopenable::Malformed);
        }
        let siv = self.siv.as_ref().ok_or(Unopenable::OtherKey)?;
        let opened = siv.open(&mut cell).ok_or(Unopenable::NotAuthentic)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Unopenable::OtherType)
    }

    /// The texts that a column was made of. Nulls and empty values, which the options may have
    /// kept, stay as they are.
    ///
    /// # Errors
    /// As [`open`](Self::open), with the row.
    pub fn open_column(&self, column: &StringArray) -> Result<ArrayRef, NotOpened> {
        let mut texts = StringBuilder::with_capacity(column.len(), column.value_data().len());
        for (row, text) in column.iter().enumerate() {
            match text {
                None => texts.append_null(),
                Some(blank) if blank.chars().all(char::is_whitespace) => texts.append_value(blank),
                Some(text) => {
                    texts.append_value(self.open(text).map_err(|why| NotOpened { row, why })?);
                }
            }
        }
        Ok(Arc::new(texts.finish()))
    }
}

#[cfg(test)]
mod tests;
