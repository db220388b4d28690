//! A column of text being written: bytes straight into the array's buffers, nothing allocated for
//! a value.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

/// Text of a column. Push the pieces of a value, then [`end`](Self::end) it.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: Vec<bool>,
    nulls: bool,
}

impl Text {
    /// An empty column with room for `rows` values of `width` bytes.
    pub(super) fn new(rows: usize, width: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self {
            bytes: Vec::with_capacity(rows * width),
            ends,
            valid: Vec::with_capacity(rows),
            nulls: false,
        }
    }

    /// Adds text to the value being written.
    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Adds ASCII to the value being written.
    pub(super) fn push_ascii(&mut self, ascii: &[u8]) {
        self.bytes.extend_from_slice(ascii);
    }

    /// Adds a number to the value being written, with zeros before it up to `width` digits.
    pub(super) fn push_number(&mut self, number: u32, width: usize) {
        let digits = decimal_digits(number);
        let significant = digits.iter().position(|&digit| digit != b'0').unwrap_or(9);
        let from = significant.min(digits.len().saturating_sub(width));
        self.bytes.extend(digits.iter().skip(from));
    }

    /// Ends the value being written.
    pub(super) fn end(&mut self) {
        self.close(true);
    }

    /// Writes a value whole.
    pub(super) fn value(&mut self, text: &str) {
        self.push(text);
        self.end();
    }

    /// Writes a null.
    pub(super) fn null(&mut self) {
        self.nulls = true;
        self.close(false);
    }

    fn close(&mut self, valid: bool) {
        // -1 is no offset: `finish` refuses a column that grew beyond 2 GiB.
        self.ends
            .push(i32::try_from(self.bytes.len()).unwrap_or(-1));
        self.valid.push(valid);
    }

    /// The array.
    ///
    /// # Errors
    /// More than 2 GiB of text.
    pub(super) fn finish(self) -> Result<ArrayRef, ArrowError> {
        if i32::try_from(self.bytes.len()).is_err() {
            let what = "more than 2 GiB of text in one batch; ask for fewer rows at a time";
            return Err(ArrowError::InvalidArgumentError(what.to_owned()));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let nulls = self.nulls.then(|| NullBuffer::from(self.valid));
        Ok(Arc::new(StringArray::try_new(
            offsets,
            self.bytes.into(),
            nulls,
        )?))
    }
}

/// The ten decimal digits of a number, in ASCII.
pub(super) fn decimal_digits(mut number: u32) -> [u8; 10] {
    let mut digits = [b'0'; 10];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn numbers_are_written_with_zeros_up_to_their_width() {
        let mut text = Text::new(3, 4);
        for (number, width) in [(7, 3), (0, 1), (1234, 2), (u32::MAX, 1), (0, 0)] {
            text.push_number(number, width);
            text.end();
        }
        text.null();
        let array = text.finish().unwrap();
        let array = array.as_string::<i32>();
        let values: Vec<_> = array.iter().flatten().collect();
        assert_eq!(values, ["007", "0", "1234", "4294967295", "0"]);
        assert!(array.is_null(5));
    }
}
