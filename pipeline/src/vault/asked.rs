//! Values that are asked for, and room for their tokens.

use lockgate_transforms::VaultCipher;
use lockgate_transforms::vault::{INDEX_BYTES, Index};
use redb::ReadableTable;
use zeroize::Zeroizing;

use super::fault::Trouble;
use super::store::NOT_AUTHENTIC;

/// Values that are asked for, and room for their tokens.
pub(super) struct Asked<'a> {
    cipher: &'a VaultCipher,
    values: &'a [&'a str],
    indexes: Vec<Index>,
    tokens: &'a mut [u8],
    /// Where entries are opened.
    room: Zeroizing<Vec<u8>>,
}

impl<'a> Asked<'a> {
    /// Asks for the tokens of values, which are appended to `out`.
    pub(super) fn new(
        cipher: &'a VaultCipher,
        values: &'a [&'a str],
        out: &'a mut Vec<u8>,
    ) -> Self {
        let start = out.len();
        let length = values.len().saturating_mul(cipher.form().characters());
        out.resize(start.saturating_add(length), 0);
        Self {
            cipher,
            values,
            indexes: values.iter().map(|value| cipher.of_value(value)).collect(),
            tokens: out.get_mut(start..).unwrap_or_default(),
            room: Zeroizing::default(),
        }
    }

    /// The places of all values.
    pub(super) fn places(&self) -> std::ops::Range<usize> {
        0..self.values.len()
    }

    pub(super) fn value(&self, place: usize) -> &'a str {
        self.values.get(place).copied().unwrap_or_default()
    }

    pub(super) fn index(&self, place: usize) -> Index {
        self.indexes.get(place).copied().unwrap_or_default()
    }

    /// Puts a token in its place.
    pub(super) fn answer(&mut self, place: usize, token: &[u8]) {
        answer(self.tokens, self.cipher, place, token);
    }

    /// Answers a place with the entry of its value.
    pub(super) fn answer_with(&mut self, place: usize, entry: &[u8]) -> Result<(), Trouble> {
        let opened = self.cipher.open(entry, &mut self.room);
        let (token, value) = opened.ok_or(NOT_AUTHENTIC)?;
        if self.values.get(place) != Some(&value) {
            return Err(NOT_AUTHENTIC);
        }
        answer(self.tokens, self.cipher, place, token);
        Ok(())
    }

    /// Answers a place if the store has an entry of its value, and says whether.
    pub(super) fn find(
        &mut self,
        entries: &impl ReadableTable<&'static [u8; INDEX_BYTES], &'static [u8]>,
        place: usize,
    ) -> Result<bool, Trouble> {
        let Some(entry) = entries.get(&self.index(place)).map_err(Trouble::of)? else {
            return Ok(false);
        };
        self.answer_with(place, entry.value())?;
        Ok(true)
    }

    /// Answers those of the places whose values the store has; the places of the others.
    pub(super) fn look_up(
        &mut self,
        entries: &impl ReadableTable<&'static [u8; INDEX_BYTES], &'static [u8]>,
        places: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<usize>, Trouble> {
        let mut missing = Vec::new();
        for place in places {
            if !self.find(entries, place)? {
                missing.push(place);
            }
        }
        Ok(missing)
    }
}

fn answer(tokens: &mut [u8], cipher: &VaultCipher, place: usize, token: &[u8]) {
    let width = cipher.form().characters();
    let start = place.saturating_mul(width);
    if let Some(room) = tokens.get_mut(start..start.saturating_add(width)) {
        for (to, from) in room.iter_mut().zip(token) {
            *to = *from;
        }
    }
}
