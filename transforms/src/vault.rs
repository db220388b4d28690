//! Vaults: where tokens are kept, so that equal values get equal tokens and the provider can turn
//! a token back.
//!
//! A token is drawn at random and says nothing of its value, not even to whoever holds the keys:
//! the vault alone knows which belong together. This crate does no I/O, so a vault is handed to a
//! treatment as keys are, and here stands what a vault must do ([`Vault`]), what tokens look like
//! ([`TokenForm`]) and the form of what it keeps ([`VaultCipher`]), wherever it keeps it.
//!
//! # What is kept
//!
//! One entry for each value, found by the value and by the token, and opaque without the key: it
//! tells that there is another value, and the length of token and value together, up to 16 bytes.
//! With LP(part) = 4-byte big-endian length ‖ part, and FORM = alphabet, "/", length in decimal
//! (`base32/16`):
//!
//! - key of values (32 bytes) = HKDF-SHA256(the derived key; no salt;
//!   info = LP("lockgate/vault/value/v1") ‖ LP(FORM)); key of tokens likewise, with
//!   "lockgate/vault/token/v1"; key of entries (64 bytes), with "lockgate/vault/entry/v1"; key id (16
//!   bytes), with "lockgate/vault/key-id/v1";
//! - the value is found by the first 16 bytes of HMAC-SHA256(key of values; UTF-8 of the normalised
//!   value), the token by those of HMAC-SHA256(key of tokens; token);
//! - entry = IV (16 bytes) ‖ ciphertext, by AES-SIV (RFC 5297) with AES-256 under the key of entries,
//!   associated data one part, "lockgate/vault/entry/v1"; plaintext = token ‖ value ‖ 80 (hex) ‖ zero bytes
//!   up to a multiple of 16.
//!
//! An entry holds both sides, so that whoever finds it by one knows whether it was put there for
//! it: an entry that was changed, moved or exchanged is noticed.

use std::fmt;

use aes::Aes256;
use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroize;

use crate::key::{DerivedKey, KEY_BYTES};
use crate::siv::{IV_BYTES, Siv};

const VALUE_LABEL: &[u8] = b"lockgate/vault/value/v1";
const TOKEN_LABEL: &[u8] = b"lockgate/vault/token/v1";
const ENTRY_LABEL: &[u8] = b"lockgate/vault/entry/v1";
const KEY_ID_LABEL: &[u8] = b"lockgate/vault/key-id/v1";
const PROVISIONAL_LABEL: &[u8] = b"lockgate/vault/provisional/v1";

/// Ends the plaintext of an entry, before the zeros that pad it.
const END: u8 = 0x80;

/// Bytes by which an entry is found: among 2^40 values the odds that any two meet are one in 2^49,
/// and then a run fails.
pub const INDEX_BYTES: usize = 16;

/// Bytes of a key id.
pub const KEY_ID_BYTES: usize = 16;

/// What an entry is found by.
pub type Index = [u8; INDEX_BYTES];

/// The characters of tokens. None has characters that a file format or a web address would change, and
/// none needs upper and lower case to be told apart.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Alphabet {
    /// `A`-`Z` and `2`-`7` (RFC 4648 section 6): 5 bits a character.
    #[serde(rename = "base32")]
    Base32,
    /// Lower-case hexadecimal digits: 4 bits a character.
    Hex,
    /// `0`-`9`, never with a `0` in front, which a spreadsheet would take off.
    Digits,
    /// `A`-`Z`.
    Letters,
}

impl Alphabet {
    /// The name, as configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Digits => "digits",
            Self::Letters => "letters",
        }
    }

    /// The characters that may stand at a place of a token.
    fn symbols(self, place: u32) -> &'static [u8] {
        match self {
            Self::Base32 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            Self::Hex => b"0123456789abcdef",
            Self::Digits if place == 0 => b"123456789",
            Self::Digits => b"0123456789",
            Self::Letters => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        }
    }
}

/// What the tokens of a vault look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenForm {
    /// Their characters.
    pub alphabet: Alphabet,
    /// How many characters each has.
    pub length: u32,
}

impl TokenForm {
    /// How many different tokens there are, or 2^128 - 1 where there are more.
    pub fn space(self) -> u128 {
        let symbols = |place| u128::try_from(self.alphabet.symbols(place).len()).unwrap_or(1);
        let space =
            (0..self.length).try_fold(1_u128, |space, place| space.checked_mul(symbols(place)));
        space.unwrap_or(u128::MAX)
    }

    /// Characters of a token, which are as many bytes.
    pub fn characters(self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Appends a token spelt from random bytes, all tokens being equally likely; false where the
    /// bytes run out.
    pub fn spell(self, random: &mut impl Iterator<Item = u8>, out: &mut Vec<u8>) -> bool {
        (0..self.length).all(|place| {
            let symbols = self.alphabet.symbols(place);
            let symbol = random.find_map(|byte| fair(symbols, byte));
            out.extend(symbol);
            symbol.is_some()
        })
    }

    /// Whether a text looks like one of these tokens.
    pub fn fits(self, text: &str) -> bool {
        let mut places = (0..self.length).zip(text.bytes());
        text.len() == self.characters()
            && places.all(|(place, byte)| self.alphabet.symbols(place).contains(&byte))
    }
}

impl fmt::Display for TokenForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.alphabet.as_str(), self.length)
    }
}

/// The symbol that a random byte stands for; none for bytes that would make some symbols likelier.
fn fair(symbols: &[u8], byte: u8) -> Option<u8> {
    let byte = usize::from(byte);
    let whole = 256_usize.checked_div(symbols.len())? * symbols.len();
    let place = byte.checked_rem(symbols.len())?;
    symbols.get(place).copied().filter(|_| byte < whole)
}

/// Which vault a treatment needs. Fields that name the same one share their tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VaultUse {
    /// Consistency domain, as the policy names it (`person.id`).
    pub domain: String,
    /// Approved join group, where the treatment names one; else the grant has a vault of its own.
    pub join: Option<String>,
    /// What its tokens look like.
    pub form: TokenForm,
}

/// A vault: equal values get equal tokens, different ones different tokens, for as long as it lasts.
///
/// # Contract
/// Many threads ask at the same time; the same value gets the same token, whoever asks first.
pub trait Vault: fmt::Debug + Send + Sync {
    /// Appends the tokens of values, one after the other, in their order: each of
    /// [`characters`](TokenForm::characters) bytes of ASCII. Values without a token get one.
    ///
    /// # Errors
    /// What is wrong with the vault, or that it is full; what was appended is of no use then.
    fn tokens(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), VaultError>;
}

/// Why a vault gave no tokens. Says nothing of the values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// Half of all tokens are given.
    #[error(
        "the token vault of domain `{domain}` holds {held} of {space} tokens, and half is the most; \
         write a longer `length`, which begins a vault with other tokens"
    )]
    Full {
        /// Its domain.
        domain: String,
        /// Tokens given.
        held: u64,
        /// Tokens there are.
        space: u64,
    },
    /// What it holds isn't what was put there.
    #[error(
        "the token vault of domain `{domain}` is damaged: {what}; put it back from a copy made after \
         the last delivery"
    )]
    Damaged {
        /// Its domain.
        domain: String,
        /// What was found.
        what: &'static str,
    },
    /// It can't be read or written.
    #[error("the token vault of domain `{domain}` can't be used: {what}")]
    Unavailable {
        /// Its domain.
        domain: String,
        /// What the system says, in fixed words.
        what: String,
    },
}

/// What makes entries of a vault opaque, and opens them.
pub struct VaultCipher {
    values: Hmac<Sha256>,
    tokens: Hmac<Sha256>,
    entries: Siv<Aes256>,
    key_id: [u8; KEY_ID_BYTES],
    form: TokenForm,
}

impl VaultCipher {
    /// The cipher of a vault with tokens of that form, from the key derived for its domain and
    /// scope. `None` for a key of a wrong length, which none of these is.
    pub fn new(key: &DerivedKey, form: TokenForm) -> Option<Self> {
        let text = form.to_string();
        let form_part = text.as_bytes();
        let entries = key.expand::<64>(&[ENTRY_LABEL, form_part]);
        Some(Self {
            values: keyed(key, VALUE_LABEL, form_part)?,
            tokens: keyed(key, TOKEN_LABEL, form_part)?,
            entries: Siv::new(entries.as_ref(), &[ENTRY_LABEL])?,
            key_id: *key.expand(&[KEY_ID_LABEL, form_part]),
            form,
        })
    }

    /// Names the key, and tells nothing of it.
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        self.key_id
    }

    /// What the tokens look like.
    pub fn form(&self) -> TokenForm {
        self.form
    }

    /// What the entry of a value is found by.
    pub fn of_value(&self, value: &str) -> Index {
        digest(&self.values, &[value.as_bytes()])
    }

    /// What the entry of a token is found by.
    pub fn of_token(&self, token: &[u8]) -> Index {
        digest(&self.tokens, &[token])
    }

    /// The entry of a value and its token.
    pub fn seal(&self, token: &[u8], value: &str) -> Vec<u8> {
        let length = token.len() + value.len() + 1;
        let mut entry = Vec::with_capacity(IV_BYTES + length.next_multiple_of(IV_BYTES));
        entry.resize(IV_BYTES, 0);
        entry.extend_from_slice(token);
        entry.extend_from_slice(value.as_bytes());
        entry.push(END);
        entry.resize(IV_BYTES + length.next_multiple_of(IV_BYTES), 0);
        self.entries.seal(&mut entry);
        entry
    }

    /// The token and the value of an entry, held in `room`, which is the caller's to zeroize; `None` where it isn't one that
    /// [`seal`](Self::seal) made under this key.
    pub fn open<'a>(&self, entry: &[u8], room: &'a mut Vec<u8>) -> Option<(&'a [u8], &'a str)> {
        if room.capacity() < entry.len() {
            // Growing would leave the value before where it was.
            room.zeroize();
            room.reserve_exact(entry.len());
        }
        room.clear();
        room.extend_from_slice(entry);
        let plain = self.entries.open(room)?;
        let end = plain.iter().rposition(|byte| *byte != 0)?;
        let (content, end) = plain.split_at_checked(end)?;
        let (token, value) = content.split_at_checked(self.form.characters())?;
        let value = std::str::from_utf8(value).ok()?;
        (end.first() == Some(&END)).then_some((token, value))
    }
}

impl fmt::Debug for VaultCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultCipher({}, ..)", self.form)
    }
}

fn keyed(key: &DerivedKey, label: &[u8], form: &[u8]) -> Option<Hmac<Sha256>> {
    let own = key.expand::<KEY_BYTES>(&[label, form]);
    Hmac::new_from_slice(own.as_ref()).ok()
}

fn digest(mac: &Hmac<Sha256>, parts: &[&[u8]]) -> Index {
    let digest: [u8; 32] = code(mac, parts);
    let mut index = [0; INDEX_BYTES];
    for (byte, digest) in index.iter_mut().zip(digest) {
        *byte = digest;
    }
    index
}

fn code(mac: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Tokens that stand in for those a vault would draw, made of a key and the value alone: to show what
/// results look like. Nothing keeps them, and two values may get the same one.
pub struct Provisional {
    mac: Option<Hmac<Sha256>>,
    vault: VaultUse,
}

impl Provisional {
    /// Stands in for that vault.
    pub fn new(key: &DerivedKey, vault: VaultUse) -> Self {
        let form = vault.form.to_string();
        Self {
            mac: keyed(key, PROVISIONAL_LABEL, form.as_bytes()),
            vault,
        }
    }

    /// Appends the token of a value: of the bytes of HMAC-SHA256(key; number ‖ value), the numbers
    /// counted from 0.
    fn token(&self, value: &str, out: &mut Vec<u8>) -> bool {
        let Some(mac) = &self.mac else {
            return false;
        };
        let block = |number: u32| code(mac, &[&number.to_be_bytes(), value.as_bytes()]);
        let mut bytes = (0..u32::MAX).flat_map(block);
        self.vault.form.spell(&mut bytes, out)
    }
}

impl Vault for Provisional {
    fn tokens(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), VaultError> {
        match values.iter().all(|value| self.token(value, out)) {
            true => Ok(()),
            false => Err(VaultError::Unavailable {
                domain: self.vault.domain.clone(),
                what: "there is no key for provisional tokens".to_owned(),
            }),
        }
    }
}

impl fmt::Debug for Provisional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provisional({}, ..)", self.vault.form)
    }
}

#[cfg(test)]
mod tests;
