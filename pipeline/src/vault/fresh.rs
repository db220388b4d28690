//! Entries that were given and aren't in the file yet.
//!
//! Values are met in no order, and the store's tree is in the order of their indexes: written as
//! they come, each rewrites a page of its own. So entries gather here, and are written together in
//! the tree's order: several to a page, and a quarter of the time for two million.
//!
//! They are sealed as in the file, so nothing here tells a value or a token.

use std::collections::BTreeMap;

use lockgate_transforms::vault::Index;

use super::draw::Drawn;

/// How much gathers before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Entries.
    pub(super) entries: usize,
    /// Bytes of sealed entries.
    pub(super) bytes: usize,
}

/// About 64 MiB with the trees around them, for identifiers and names; a chunk's entries more.
impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1 << 18,
            bytes: 32 << 20,
        }
    }
}

/// Entries that aren't in the file yet, in its order.
pub(super) struct Fresh {
    limits: Limits,
    /// Sealed entries, by what their values are found by.
    entries: BTreeMap<Index, Vec<u8>>,
    /// By what their tokens are found by: by what their values are.
    tokens: BTreeMap<Index, Index>,
    bytes: usize,
    /// How often all of it went to the file.
    flushes: u64,
}

impl Fresh {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            tokens: BTreeMap::new(),
            bytes: 0,
            flushes: 0,
        }
    }

    /// The entry of a value.
    pub(super) fn entry(&self, index: &Index) -> Option<&[u8]> {
        self.entries.get(index).map(Vec::as_slice)
    }

    /// Whether a token was given.
    pub(super) fn has_token(&self, index: &Index) -> bool {
        self.tokens.contains_key(index)
    }

    /// Takes in what was drawn for the value of that index, which has no entry yet.
    pub(super) fn insert(&mut self, index: Index, drawn: Drawn) {
        self.bytes = self.bytes.saturating_add(drawn.entry.len());
        self.tokens.insert(drawn.token_index, index);
        self.entries.insert(index, drawn.entry);
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it is time to write them.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.limits.entries || self.bytes >= self.limits.bytes
    }

    /// The entries, in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Index, &[u8])> {
        let entries = self.entries.iter();
        entries.map(|(index, entry)| (index, entry.as_slice()))
    }

    /// The tokens' indexes with those of their values, in the order of the file.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&Index, &Index)> {
        self.tokens.iter()
    }

    /// How often all of it went to the file.
    pub(super) fn flushes(&self) -> u64 {
        self.flushes
    }

    /// Forgets everything, which is in the file now.
    pub(super) fn flushed(&mut self) {
        self.entries.clear();
        self.tokens.clear();
        self.bytes = 0;
        self.flushes = self.flushes.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(number: u8, length: usize) -> (Index, Drawn) {
        let drawn = Drawn {
            token: vec![number],
            token_index: [255 - number; 16],
            entry: vec![number; length],
        };
        ([number; 16], drawn)
    }

    #[test]
    fn it_is_full_by_number_or_by_bytes_and_empty_once_written() {
        let limits = Limits {
            entries: 3,
            bytes: 100,
        };
        for (lengths, full) in [
            (&[10, 10][..], false),
            (&[10, 10, 10], true),
            (&[10, 89], false),
            (&[10, 90], true),
        ] {
            let mut fresh = Fresh::new(limits);
            for (number, length) in (0..).zip(lengths) {
                let (index, drawn) = drawn(number, *length);
                fresh.insert(index, drawn);
            }
            assert_eq!(fresh.is_full(), full, "{lengths:?}");
            fresh.flushed();
            assert!(fresh.is_empty() && !fresh.is_full());
            assert_eq!((fresh.len(), fresh.flushes()), (0, 1));
            assert!(!fresh.has_token(&[255; 16]) && fresh.entry(&[0; 16]).is_none());
        }
    }

    #[test]
    fn it_is_in_the_order_of_the_file_whatever_order_it_came_in() {
        let mut fresh = Fresh::new(Limits::default());
        for number in [5, 1, 9, 3] {
            let (index, drawn) = drawn(number, 1);
            fresh.insert(index, drawn);
        }
        let entries: Vec<u8> = fresh.entries().map(|(index, _)| index[0]).collect();
        assert_eq!(entries, [1, 3, 5, 9]);
        let tokens: Vec<(u8, u8)> = fresh
            .tokens()
            .map(|(token, value)| (token[0], value[0]))
            .collect();
        assert_eq!(tokens, [(246, 9), (250, 5), (252, 3), (254, 1)]);
        assert_eq!(fresh.entry(&[9; 16]), Some(&[9][..]));
        assert!(fresh.has_token(&[246; 16]) && !fresh.has_token(&[9; 16]));
    }
}
