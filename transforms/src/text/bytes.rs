//! Results written as bytes, which are checked to be UTF-8 when the array is assembled.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBufferBuilder, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::output::{Output, TextColumn};
use crate::cases::failed;
use crate::error::TreatmentError;

/// Bytes that are copied at once.
const CHUNK: usize = 32;

impl Output for Vec<u8> {
    type Column = TextBuilder;

    #[inline(always)]
    fn push(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    #[inline(always)]
    fn push_first(&mut self, text: &str, bytes: usize) {
        // A copy whose length the compiler knows is two instructions, another one a call.
        match text.as_bytes().first_chunk::<CHUNK>() {
            Some(chunk) if bytes <= chunk.len() && text.is_char_boundary(bytes) => {
                let end = self.len() + bytes;
                self.extend_from_slice(chunk);
                self.truncate(end);
            }
            _ => Output::push(self, text.get(..bytes).unwrap_or_default()),
        }
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, length: usize) {
        self.truncate(length);
    }

    #[inline(always)]
    fn ends_with(&self, length: usize, text: &str) -> bool {
        self.len() == length + text.len() && self.get(length..) == Some(text.as_bytes())
    }

    fn make_lowercase(&mut self, length: usize) {
        self.get_mut(length..)
            .unwrap_or_default()
            .make_ascii_lowercase();
    }

    #[inline(always)]
    fn push_filled(&mut self, text: &str, head: usize, tail: usize, fill: u8) -> bool {
        // Checked before anything is appended: what can't be hidden isn't there.
        if text.as_bytes().get(head..tail).is_none() {
            return false;
        }
        let start = self.len();
        self.extend_from_slice(text.as_bytes());
        if let Some(hidden) = self.get_mut(start + head..start + tail) {
            hidden.fill(fill);
        }
        true
    }

    #[inline(always)]
    fn push_mapped(&mut self, text: &str, map: impl Fn(u8) -> u8) -> bool {
        self.extend(text.bytes().map(map));
        true
    }

    fn into_text(self) -> Result<String, TreatmentError> {
        String::from_utf8(self).map_err(|_| failed("assembling treated text"))
    }
}

/// A text array being written: bytes are appended, then the value is closed.
pub(crate) struct TextBuilder {
    pub(crate) bytes: Vec<u8>,
    offsets: Vec<i32>,
    /// The rows without a value, which are few or cheap.
    nulls: Vec<usize>,
}

impl TextBuilder {
    pub(crate) fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows.saturating_add(1));
        offsets.push(0);
        Self {
            // The last row is written with room to spare, or it would double what is reserved.
            bytes: Vec::with_capacity(bytes.saturating_add(CHUNK)),
            offsets,
            nulls: Vec::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn close(&mut self) -> Result<(), TreatmentError> {
        let Ok(end) = i32::try_from(self.bytes.len()) else {
            return Err(TreatmentError::TooLarge);
        };
        self.offsets.push(end);
        Ok(())
    }

    pub(crate) fn null(&mut self) -> Result<(), TreatmentError> {
        self.nulls.push(self.offsets.len() - 1);
        self.close()
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, TreatmentError> {
        let nulls = nulls_at(&self.nulls, self.offsets.len() - 1);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let array = StringArray::try_new(offsets, Buffer::from(self.bytes), nulls)
            .map_err(|_| failed("assembling treated text"))?;
        Ok(Arc::new(array))
    }
}

/// The nulls of a column of so many rows, which stand at these.
fn nulls_at(nulls: &[usize], rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut present = BooleanBufferBuilder::new(rows);
    present.append_n(rows, true);
    for row in nulls {
        present.set_bit(*row, false);
    }
    Some(NullBuffer::new(present.finish()))
}

impl TextColumn<Vec<u8>> for TextBuilder {
    fn new(rows: usize, bytes: usize) -> Self {
        Self::new(rows, bytes)
    }

    #[inline(always)]
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    #[inline(always)]
    fn close(&mut self) -> Result<(), TreatmentError> {
        self.close()
    }

    fn null(&mut self) -> Result<(), TreatmentError> {
        self.null()
    }

    fn finish(self) -> Result<ArrayRef, TreatmentError> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_filled_where_they_are_or_nothing_is_written() {
        let filled = |head, tail| {
            let mut out = b"x".to_vec();
            let is_written = out.push_filled("secret", head, tail, b'*');
            (is_written, String::from_utf8(out).unwrap())
        };
        assert_eq!(filled(1, 5), (true, "xs****t".to_owned()));
        for (head, tail) in [(3, 2), (0, 7), (7, 8), (usize::MAX, 2)] {
            assert_eq!(filled(head, tail), (false, "x".to_owned()), "{head} {tail}");
        }
    }
}
