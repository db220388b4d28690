//! Mobile numbers: `1`, then `3` to `9`, then nine digits.

use super::Kept;
use super::kernel::{Parts, Shape, number, write_number};

#[derive(Debug)]
pub(super) struct Mobile {
    /// Whether the first three digits stay, not just the first.
    prefix: bool,
}

impl Mobile {
    pub(super) fn new(kept: Kept) -> Self {
        Self {
            prefix: kept.prefix,
        }
    }

    /// Numbers that share what stays.
    fn size(&self) -> u64 {
        if self.prefix {
            100_000_000
        } else {
            7_000_000_000
        }
    }

    /// The number whose rank is 0, for what stays.
    fn base(&self, kept: u64) -> u64 {
        if self.prefix {
            kept * 100_000_000
        } else {
            13_000_000_000
        }
    }
}

impl Shape for Mobile {
    fn sizes(&self) -> Vec<u128> {
        vec![u128::from(self.size())]
    }

    fn read(&self, value: &[u8]) -> Option<Parts> {
        if value.len() != 11 {
            return None;
        }
        let number = number(value)?;
        if !(13_000_000_000..20_000_000_000).contains(&number) {
            return None;
        }
        let kept = if self.prefix { number / 100_000_000 } else { 0 };
        Some(Parts {
            domain: 0,
            kept,
            rank: number - self.base(kept),
        })
    }

    fn accepts(&self, parts: Parts) -> bool {
        parts.rank < self.size()
    }

    fn write(&self, parts: Parts, out: &mut Vec<u8>) {
        let mut number = [0; 11];
        write_number(&mut number, self.base(parts.kept) + parts.rank);
        out.extend_from_slice(&number);
    }
}
