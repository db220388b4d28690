//! Results written as text, which goes into an array unchecked.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, BooleanArray, BooleanBufferBuilder, StringBuilder,
};
use arrow::compute::nullif;

use super::output::{Output, TextColumn};
use crate::cases::failed;
use crate::error::TreatmentError;

/// Text that a mask appends to: the row that isn't closed yet, or rows that go into no array.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What may be taken back.
    text: String,
    /// The array that final text is appended to at once, where there is one.
    array: Option<Growing>,
}

/// A text array that grows by rows of text.
#[derive(Debug)]
struct Growing {
    array: StringBuilder,
    /// How many more bytes the array can take: beyond that, the builder would panic.
    left: usize,
    /// Whether a row had no room, so that it can't be closed.
    is_full: bool,
    /// The rows without a value. The builder would set a bit for each of the others.
    nulls: Vec<usize>,
}

impl Growing {
    fn new(rows: usize, bytes: usize) -> Self {
        Self {
            array: StringBuilder::with_capacity(rows, bytes),
            left: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            is_full: false,
            nulls: Vec::new(),
        }
    }

    /// Appends part of a row.
    #[inline(always)]
    fn push(&mut self, text: &str) {
        match self.left.checked_sub(text.len()) {
            Some(left) if self.array.write_str(text).is_ok() => self.left = left,
            Some(_) | None => self.is_full = true,
        }
    }

    /// Closes a row with a null.
    fn null(&mut self) {
        self.nulls.push(self.array.len());
        self.array.append_value("");
    }

    fn finish(&mut self) -> Result<ArrayRef, TreatmentError> {
        let array = self.array.finish();
        if self.nulls.is_empty() {
            return Ok(Arc::new(array));
        }
        let mut is_null = BooleanBufferBuilder::new(array.len());
        is_null.append_n(array.len(), false);
        for row in &self.nulls {
            is_null.set_bit(*row, true);
        }
        let is_null = BooleanArray::new(is_null.finish(), None);
        nullif(&array, &is_null).map_err(|_| failed("assembling treated text"))
    }

    /// Closes a row with the last of its text.
    #[inline(always)]
    fn close(&mut self, text: &str) -> Result<(), TreatmentError> {
        if self.is_full || text.len() > self.left {
            return Err(TreatmentError::TooLarge);
        }
        self.left -= text.len();
        // Nearly every row is appended already; to append nothing is cheaper where that is known.
        match text {
            "" => self.array.append_value(""),
            text => self.array.append_value(text),
        }
        Ok(())
    }
}

impl Output for Line {
    type Column = Lines;

    #[inline(always)]
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.text.len()
    }

    fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
    }

    #[inline(always)]
    fn ends_with(&self, length: usize, text: &str) -> bool {
        self.text.len() == length + text.len() && self.text.get(length..) == Some(text)
    }

    fn make_lowercase(&mut self, length: usize) {
        if let Some(text) = self.text.get_mut(length..) {
            text.make_ascii_lowercase();
        }
    }

    #[inline(always)]
    fn push_final(&mut self, text: &str) {
        match &mut self.array {
            Some(array) => array.push(text),
            None => self.text.push_str(text),
        }
    }

    fn into_text(self) -> Result<String, TreatmentError> {
        Ok(self.text)
    }
}

/// A text array being written from text: nothing of it is checked again.
pub(crate) struct Lines {
    /// The row that isn't closed yet, which holds the array while rows are written.
    line: Line,
}

impl Lines {
    /// Appends a whole row.
    #[inline(always)]
    pub(super) fn append(&mut self, text: &str) -> Result<(), TreatmentError> {
        self.array()?.close(text)
    }

    #[inline(always)]
    fn array(&mut self) -> Result<&mut Growing, TreatmentError> {
        let array = self.line.array.as_mut();
        array.ok_or_else(|| failed("assembling treated text"))
    }
}

impl TextColumn<Line> for Lines {
    fn new(rows: usize, bytes: usize) -> Self {
        let array = Some(Growing::new(rows, bytes));
        let text = String::new();
        Self {
            line: Line { text, array },
        }
    }

    #[inline(always)]
    fn out(&mut self) -> &mut Line {
        &mut self.line
    }

    #[inline(always)]
    fn close(&mut self) -> Result<(), TreatmentError> {
        let Line { text, array } = &mut self.line;
        let array = array.as_mut();
        let array = array.ok_or_else(|| failed("assembling treated text"))?;
        array.close(text)?;
        text.clear();
        Ok(())
    }

    fn null(&mut self) -> Result<(), TreatmentError> {
        self.line.text.clear();
        self.array()?.null();
        Ok(())
    }

    fn finish(mut self) -> Result<ArrayRef, TreatmentError> {
        self.array()?.finish()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn an_array_that_is_full_refuses_a_row_and_never_panics() {
        // arx#243 and #190: what doesn't fit is an error, not a crash or a cut.
        let mut lines = <Lines as TextColumn<Line>>::new(2, 8);
        lines.array().unwrap().left = 4;
        lines.out().push_final("张");
        lines.out().push("a");
        lines.close().unwrap();
        lines.append("").unwrap();
        assert!(matches!(lines.append("b"), Err(TreatmentError::TooLarge)));
        lines.out().push_final("b");
        assert!(matches!(lines.close(), Err(TreatmentError::TooLarge)));
        let array = lines.finish().unwrap();
        assert_eq!(array.as_string::<i32>().value(0), "张a");
    }

    #[test]
    fn final_text_is_text_where_there_is_no_array() {
        let mut line = Line::default();
        line.push("a");
        line.push_final("张");
        assert_eq!(line.into_text().unwrap(), "a张");
    }
}
