//! What a treatment does to one value of text, or to many together.

use std::fmt;

use super::output::Output;
use crate::error::{Case, TreatmentError};

/// What a kernel made of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Text, appended to the output.
    Text,
    /// The same, of which a wider part was kept than asked for.
    Widened,
    /// A null.
    Null,
}

/// What a treatment does to one value of text.
pub(crate) trait TextKernel<O: Output = Vec<u8>>: fmt::Debug + Send + Sync {
    /// Appends the treated value to `out`, or says why it can't, having appended nothing.
    /// The value isn't null, empty or a sentinel. `scratch` is reused from value to value.
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case>;

    /// The same for the value of a row, for kernels that read other fields of that row. They are
    /// never handed a dictionary, which is treated value by value.
    fn treat_row(
        &self,
        _row: usize,
        value: &str,
        out: &mut O,
        scratch: &mut Vec<usize>,
    ) -> Result<Written, Case> {
        self.treat(value, out, scratch)
    }

    /// Appends what covers a whole value of that many characters (`mask-all`).
    fn cover(&self, characters: usize, out: &mut O);

    /// Whether `mask-all` is a null here.
    fn covers_with_null(&self) -> bool {
        false
    }

    /// Whether `keep` keeps an empty value.
    fn keeps_empty(&self) -> bool {
        true
    }

    /// The bytes to reserve for `rows` values of together `bytes` bytes.
    fn output_bytes(&self, _rows: usize, bytes: usize) -> usize {
        bytes
    }

    /// The value that the null of a row counts as, where it gets a result like others; absent where
    /// it is decided about. Asked of kernels that treat value by value, never of a dictionary's.
    fn stand_in(&self, _row: usize) -> Option<&'static str> {
        None
    }

    /// How to treat many values together, where that is cheaper than one by one.
    fn together(&self) -> Option<&dyn TreatTogether> {
        None
    }
}

/// A kernel that treats many values together, with the results it would have one by one.
pub(crate) trait TreatTogether {
    /// Appends the treated values to `out`, in order, and to `ends` where each ends in `out`, or
    /// why there is none. The values are as for [`TextKernel::treat`].
    ///
    /// # Errors
    /// What keeps all of them from being treated.
    fn treat_together(
        &self,
        values: &[&str],
        out: &mut Vec<u8>,
        ends: &mut Vec<Result<usize, Case>>,
    ) -> Result<(), TreatmentError>;

    /// Treats one value as [`TextKernel::treat`] does.
    fn treat_alone(&self, value: &str, out: &mut Vec<u8>) -> Result<Written, Case> {
        let mut ends = Vec::with_capacity(1);
        self.treat_together(&[value], out, &mut ends)
            .map_err(|_| Case::Invalid)?;
        ends.pop()
            .unwrap_or(Err(Case::Invalid))
            .map(|_| Written::Text)
    }
}
