//! What kernels append results to, and how an array of them is written.

use arrow::array::ArrayRef;

use crate::error::TreatmentError;

/// What kernels append results to.
///
/// Bytes are checked to be UTF-8 when the array is assembled, which costs next to nothing for ASCII,
/// and half as much as the whole mask for Han text. Text needs no check, but can't be written over.
/// So masks, whose results are pieces of text, write [whichever is faster](super::MaskTreatment).
pub(crate) trait Output: Default {
    /// How an array of results is written.
    type Column: TextColumn<Self>;

    fn push(&mut self, text: &str);

    /// Appends the first bytes of a text. Where few are wanted of a longer one, that may be cheaper than
    /// to append just them.
    #[inline(always)]
    fn push_first(&mut self, text: &str, bytes: usize) {
        self.push(text.get(..bytes).unwrap_or_default());
    }

    fn length(&self) -> usize;

    /// Takes back what was appended beyond so many bytes.
    fn truncate(&mut self, length: usize);

    /// Whether what was appended beyond so many bytes is that text.
    fn ends_with(&self, length: usize, text: &str) -> bool;

    /// Brings what was appended beyond so many bytes to lower case, as far as it is ASCII.
    fn make_lowercase(&mut self, length: usize);

    /// Appends `text` with `fill` over its bytes from `head` to `tail`; or returns false, having
    /// appended nothing.
    fn push_filled(&mut self, _text: &str, _head: usize, _tail: usize, _fill: u8) -> bool {
        false
    }

    /// Appends `text`, of which every byte is a character, with other ASCII characters in their
    /// places; or returns false, having appended nothing.
    fn push_mapped(&mut self, _text: &str, _map: impl Fn(u8) -> u8) -> bool {
        false
    }

    /// Appends text that is neither taken back nor looked at again, before or instead of all other
    /// text of its row. It may save that text a copy.
    #[inline(always)]
    fn push_final(&mut self, text: &str) {
        self.push(text);
    }

    /// What was appended, as text.
    ///
    /// # Errors
    /// It isn't UTF-8.
    fn into_text(self) -> Result<String, TreatmentError>;
}

/// A text array being written: a result is appended to [`out`](Self::out), then the row is closed.
pub(crate) trait TextColumn<O>: Sized {
    /// Of that many rows, of together about `bytes` bytes.
    fn new(rows: usize, bytes: usize) -> Self;

    /// What the result of a row is appended to.
    fn out(&mut self) -> &mut O;

    /// Closes a row with what was appended.
    ///
    /// # Errors
    /// The array is full.
    fn close(&mut self) -> Result<(), TreatmentError>;

    /// Closes a row with a null.
    ///
    /// # Errors
    /// As [`Self::close`].
    fn null(&mut self) -> Result<(), TreatmentError>;

    /// # Errors
    /// Not all of it is UTF-8.
    fn finish(self) -> Result<ArrayRef, TreatmentError>;
}
