//! The division code of an identifier: which digits stay, which are permuted.
//!
//! A code that was ever in force becomes another such code, by its place in the table; any other
//! becomes another that never was, by its digits. Those are domains of their own.

use super::Kept;
use crate::divisions::Codes;

/// The domain of codes that aren't in the table.
pub(super) const UNKNOWN: usize = 0;

/// Codes of the smallest domain, where there is one for every doubling: provinces have from one to
/// five hundred, and walking over the five hundred for each of forty would take long.
const BUCKET_MIN: u32 = 8;

#[derive(Debug)]
pub(super) struct RegionPart {
    table: Codes,
    /// Leading digits that stay: 0, 2, 4 or 6.
    digits: usize,
    /// The number of ways to write the digits that don't.
    suffixes: u32,
    /// The most codes of the table that share the digits that stay.
    most: u32,
}

/// A division code, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// [`UNKNOWN`], or one of those of the table's codes.
    pub(super) domain: usize,
    /// The digits that stay.
    pub(super) prefix: u32,
    /// Which of the domain's codes with that prefix it is.
    pub(super) index: u32,
}

/// A division code, found again.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) code: u32,
    /// Its place in the table.
    pub(super) place: Option<usize>,
}

impl RegionPart {
    pub(super) fn new(kept: Kept) -> Self {
        let table = Codes::new();
        let most = table.most_within(kept.digits);
        Self {
            digits: kept.digits,
            suffixes: match kept.digits {
                0 => 1_000_000,
                2 => 10_000,
                4 => 100,
                _ => 1,
            },
            most: u32::try_from(most).unwrap_or(u32::MAX),
            table,
        }
    }

    pub(super) fn table(&self) -> &Codes {
        &self.table
    }

    /// Leading digits that stay.
    pub(super) fn digits(&self) -> usize {
        self.digits
    }

    /// One more than the largest index of each domain.
    pub(super) fn counts(&self) -> Vec<u32> {
        let mut counts = vec![self.suffixes];
        if self.digits == 0 || self.digits == 6 {
            counts.push(self.most);
            return counts;
        }
        let mut bucket = BUCKET_MIN;
        counts.push(bucket);
        while bucket < self.most {
            bucket *= 2;
            counts.push(bucket);
        }
        counts
    }

    /// The domain of the table's codes, of which so many share the digits that stay.
    #[inline]
    fn known_domain(&self, codes: usize) -> usize {
        if self.digits == 0 || self.digits == 6 {
            return UNKNOWN + 1;
        }
        let codes = u32::try_from(codes).unwrap_or(u32::MAX).max(BUCKET_MIN);
        let doublings = codes.saturating_sub(1).ilog2() + 1 - BUCKET_MIN.ilog2();
        UNKNOWN + 1 + usize::try_from(doublings).unwrap_or(0)
    }

    /// Takes apart a code of six digits, and says where in the table it stands.
    #[inline]
    pub(super) fn split(&self, code: u32) -> (Split, Option<usize>) {
        let place = self.table.find(code);
        let prefix = code / self.suffixes;
        let (domain, index) = match place {
            Some(place) => {
                let within = self.table.within(prefix, self.digits);
                let index = u32::try_from(place - within.start).unwrap_or(u32::MAX);
                (self.known_domain(within.len()), index)
            }
            None => (UNKNOWN, code % self.suffixes),
        };
        (
            Split {
                domain,
                prefix,
                index,
            },
            place,
        )
    }

    /// Puts a code together; none where the domain has no such code.
    #[inline]
    pub(super) fn join(&self, split: Split) -> Option<Found> {
        if split.domain != UNKNOWN {
            let within = self.table.within(split.prefix, self.digits);
            let place = within.start + usize::try_from(split.index).ok()?;
            let code = self.table.code(place).filter(|_| place < within.end)?;
            return Some(Found {
                code,
                place: Some(place),
            });
        }
        let code = split.prefix * self.suffixes + split.index;
        let unknown = split.index < self.suffixes && self.table.find(code).is_none();
        unknown.then_some(Found { code, place: None })
    }
}
