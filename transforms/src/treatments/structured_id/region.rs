//! The division code of an identifier: which digits stay, which are permuted.
//!
//! A code that was ever in force becomes another such code, by its place in the table; any other
//! becomes another that never was, by its digits. Those are two domains.

use super::Kept;
use crate::regions::Regions;

/// The domain of codes in the table.
pub(super) const KNOWN: usize = 0;

#[derive(Debug)]
pub(super) struct RegionPart {
    table: Regions,
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
    /// 0 for a code of the table, 1 for another.
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
        let table = Regions::new();
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

    pub(super) fn table(&self) -> &Regions {
        &self.table
    }

    /// Leading digits that stay.
    pub(super) fn digits(&self) -> usize {
        self.digits
    }

    /// One more than the largest index of each domain.
    pub(super) fn counts(&self) -> [u32; 2] {
        [self.most, self.suffixes]
    }

    /// Takes apart a code of six digits, and says where in the table it stands.
    #[inline]
    pub(super) fn split(&self, code: u32) -> (Split, Option<usize>) {
        let place = self.table.find(code);
        let prefix = code / self.suffixes;
        let index = match place {
            Some(_) if self.digits == 6 => 0,
            Some(place) => {
                let first = self.table.within(prefix, self.digits).start;
                u32::try_from(place - first).unwrap_or(u32::MAX)
            }
            None => code % self.suffixes,
        };
        let domain = usize::from(place.is_none());
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
        if split.domain == KNOWN {
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
