//! Bank cards: 16 to 19 digits, the last a Luhn check (ISO/IEC 7812-1).

use super::Kept;
use super::kernel::{Parts, Shape, number, write_number};
use crate::check_digit::luhn;

/// Digits of the shortest card.
const DIGITS_MIN: usize = 16;

/// Digits of the longest.
const DIGITS_MAX: usize = 19;

#[derive(Debug)]
pub(super) struct Card {
    /// Leading digits that stay: 0, 6 or 8.
    digits: usize,
}

impl Card {
    pub(super) fn new(kept: Kept) -> Self {
        Self {
            digits: kept.digits,
        }
    }

    /// Digits between those that stay and the check digit, for a card of a domain.
    fn hidden(&self, domain: usize) -> usize {
        DIGITS_MIN + domain - 1 - self.digits
    }
}

fn power_of_ten(digits: usize) -> u64 {
    let exponent = u32::try_from(digits).unwrap_or(u32::MAX);
    10_u64.checked_pow(exponent).unwrap_or(u64::MAX)
}

impl Shape for Card {
    fn sizes(&self) -> Vec<u128> {
        let domains = 0..=DIGITS_MAX - DIGITS_MIN;
        domains
            .map(|domain| u128::from(power_of_ten(self.hidden(domain))))
            .collect()
    }

    fn read(&self, value: &[u8]) -> Option<Parts> {
        let domain = value.len().checked_sub(DIGITS_MIN)?;
        if value.len() > DIGITS_MAX || value.first() == Some(&b'0') || !luhn::is_valid(value) {
            return None;
        }
        let (kept, rest) = value.split_at_checked(self.digits)?;
        let (_, hidden) = rest.split_last()?;
        Some(Parts {
            domain,
            kept: number(kept)?,
            rank: number(hidden)?,
        })
    }

    fn accepts(&self, parts: Parts) -> bool {
        // A card doesn't begin with zero.
        self.digits > 0 || parts.rank >= power_of_ten(self.hidden(parts.domain) - 1)
    }

    fn write(&self, parts: Parts, out: &mut Vec<u8>) {
        let mut digits = [0; DIGITS_MAX];
        let hidden = self.hidden(parts.domain);
        let (payload, _) = digits.split_at_mut(self.digits + hidden);
        let (kept, rest) = payload.split_at_mut(self.digits);
        write_number(kept, parts.kept);
        write_number(rest, parts.rank);
        let check = luhn::check(payload);
        out.extend_from_slice(payload);
        out.extend(check);
    }
}
