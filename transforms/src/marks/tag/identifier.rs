//! Tags in identifiers: decimal digits of one, within it, whose check character follows from the rest.
//!
//! An identifier has no character to spare: a tag takes digits that would have told values apart. Which
//! ones, and what stands for the identifier in their place (its *part*), by its kind:
//! - **resident-id**: the digits of the sequence before its last, which tells the sex; the part is the digits
//!   before them and that last one;
//! - **mobile**: the last digits; the part is those before them;
//! - **bank-card**: the last digits before the check digit; the part is those before them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::category;
use crate::check_digit::{luhn, resident_id};

/// Most digits of a tag in an identifier: the digits of a resident number's sequence but the last.
pub const DIGITS_MAX: u32 = 2;

/// A kind of identifier whose digits may be a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdKind {
    /// Resident identity number (公民身份号码).
    ResidentId,
    /// Mobile number (手机号码).
    Mobile,
    /// Bank card number (银行卡号).
    BankCard,
}

/// An identifier, cut around its tag.
struct Cut<'a> {
    before: &'a str,
    tag: &'a str,
    after: &'a str,
}

impl IdKind {
    /// Characters of the longest.
    pub fn length(self) -> u32 {
        match self {
            Self::ResidentId => 18,
            Self::Mobile => 11,
            Self::BankCard => 19,
        }
    }

    /// The name of its category.
    fn category(self) -> &'static str {
        match self {
            Self::ResidentId => "resident-id",
            Self::Mobile => "mobile",
            Self::BankCard => "bank-card",
        }
    }

    fn is_valid(self, text: &[u8]) -> bool {
        match self {
            Self::ResidentId => resident_id::is_valid(text),
            Self::Mobile => {
                let begins = matches!(text, [b'1', b'3'..=b'9', ..]);
                text.len() == 11 && begins && text.iter().all(u8::is_ascii_digit)
            }
            Self::BankCard => (16..=19).contains(&text.len()) && luhn::is_valid(text),
        }
    }

    /// Cuts an identifier around a tag of so many digits; none for any other text.
    fn cut(self, text: &str, digits: u32) -> Option<Cut<'_>> {
        const SEX: usize = 16;
        if !self.is_valid(text.as_bytes()) {
            return None;
        }
        let end = match self {
            Self::ResidentId => SEX,
            Self::Mobile => text.len(),
            Self::BankCard => text.len().checked_sub(1)?,
        };
        let digits = usize::try_from(digits).ok()?;
        let (before, rest) = text.split_at_checked(end.checked_sub(digits)?)?;
        let (tag, after) = rest.split_at_checked(digits)?;
        Some(Cut { before, tag, after })
    }

    /// An identifier's part, and the number that its tag shows; none for any other text.
    pub(super) fn split(self, text: &str, digits: u32) -> Option<(Cow<'_, str>, u64)> {
        let Cut { before, tag, after } = self.cut(text, digits)?;
        let part = match self {
            Self::ResidentId => {
                let (sex, _) = after.split_at_checked(1)?;
                Cow::Owned([before, sex].concat())
            }
            Self::Mobile | Self::BankCard => Cow::Borrowed(before),
        };
        Some((part, tag.parse().ok()?))
    }

    /// Puts an identifier with another number in its tag into `out`, in place of what was there: its check
    /// character is computed anew. Any other text stays what it is.
    pub(super) fn put(self, text: &str, digits: u32, number: u64, out: &mut String) {
        out.clear();
        let width = usize::try_from(digits).unwrap_or_default();
        let written = self.cut(text, digits).and_then(|cut| {
            write!(out, "{}{number:0width$}", cut.before).ok()?;
            let check = match self {
                Self::ResidentId => {
                    let (sex, _) = cut.after.split_at_checked(1)?;
                    out.push_str(sex);
                    Some(resident_id::check(out.as_bytes())?)
                }
                Self::Mobile => None,
                Self::BankCard => Some(luhn::check(out.as_bytes())?),
            };
            out.extend(check.map(char::from));
            Some(())
        });
        if written.is_none() {
            out.clear();
            out.push_str(text);
        }
    }

    /// The spelling in which identifiers of the kind are delivered.
    pub(super) fn normalised(self, text: &str) -> Cow<'_, str> {
        match category::find(self.category()) {
            Some(known) => (known.normalise)(text),
            None => Cow::Borrowed(text),
        }
    }
}
