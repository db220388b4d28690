//! What can go wrong: a treatment that does not fit its field (found before any data is read), and
//! a value that a treatment was told to fail on. Neither ever carries a value.

use arrow::datatypes::DataType;
use thiserror::Error;

use crate::vault::VaultError;

/// A treatment, as written, that cannot be applied to a field.
///
/// `parameter` names the key to change, where there is one, so that `check` can point at it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct Misfit {
    /// The parameter at fault (`first`, `edges`, …), absent where the kind itself does not fit.
    pub parameter: Option<&'static str>,
    /// What is wrong, in a sentence without a full stop.
    pub what: String,
    /// What to do about it, where that can be said.
    pub hint: Option<String>,
}

impl Misfit {
    /// A misfit of the kind of treatment with the type of the field.
    pub fn of_type(kind: &str, data_type: &DataType, fits: &str) -> Self {
        Self {
            parameter: None,
            what: format!("treatment `{kind}` does not fit a field of type {data_type}"),
            hint: Some(format!("it fits {fits}")),
        }
    }

    /// A misfit of one parameter.
    pub fn of_parameter(parameter: &'static str, what: impl Into<String>) -> Self {
        Self {
            parameter: Some(parameter),
            what: what.into(),
            hint: None,
        }
    }

    /// The same misfit of a treatment within another: `parameter` holds it, at `place`.
    #[must_use]
    pub(crate) fn within(self, parameter: &'static str, place: &str) -> Self {
        Self {
            parameter: Some(parameter),
            what: format!("in `{place}`: {}", self.what),
            hint: self.hint,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Which of the four special cases a value fell into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The value is null.
    Null,
    /// The value is empty or white space only.
    Empty,
    /// The value is too short for the pattern.
    Short,
    /// The value does not parse as what the treatment needs, or its result does not fit.
    Invalid,
}

impl Case {
    /// The word used in messages and counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Empty => "empty",
            Self::Short => "short",
            Self::Invalid => "invalid",
        }
    }
}

/// What is said of a condition without a value, and what to do.
pub const NO_ANSWER: &str = "a condition of the treatment has no value (division by zero, overflow \
     or a CAST that does not fit); guard it with a condition before it, such as `x <> 0 AND …`";

/// A batch that could not be treated. Holds a row and a reason, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TreatmentError {
    /// The treatment says `fail` for this case.
    #[error("row {row} of the batch: value is {}, and the treatment says fail", case.as_str())]
    Refused {
        /// Row within the batch handed to `apply`, from 0.
        row: usize,
        /// Which case the value fell into.
        case: Case,
    },
    /// A condition has no value for a row: division by zero, overflow, a CAST that doesn't fit.
    #[error("row {row} of the batch: {}", NO_ANSWER)]
    NoAnswer {
        /// Row within the batch handed to `apply`, from 0.
        row: usize,
    },
    /// The array is not of the type the treatment was built for.
    #[error("array of type {actual} where the treatment was built for {expected}")]
    UnexpectedType {
        /// The type the treatment was built for.
        expected: DataType,
        /// The type of the array it was handed.
        actual: DataType,
    },
    /// The result is too large for one Arrow array (2 GiB of text).
    #[error("result exceeds 2 GiB of text in one batch; use smaller batches")]
    TooLarge,
    /// Random encryption was given no chunk to take its nonces from, and takes them from nothing
    /// else.
    #[error("no chunk to take nonces from; random encryption works within an attempt only")]
    NoChunk,
    /// A chunk that random encryption can't number: too many rows, splits or chunks.
    #[error("{what} exceeds {limit}, the most random encryption can number")]
    ChunkTooLarge {
        /// What is too many: `rows of a chunk`, `split`, `chunk`.
        what: &'static str,
        /// The most there may be.
        limit: u32,
    },
    /// The vault that keeps a treatment's tokens gave none.
    #[error("{0}")]
    Vault(VaultError),
    /// An Arrow kernel failed: the step, in fixed words. Never the kernel's own text, which may hold
    /// the value.
    #[error("arrow: {0}")]
    Arrow(String),
}

impl TreatmentError {
    /// The row within the batch that is at fault, where one is.
    pub fn row(&self) -> Option<usize> {
        match self {
            Self::Refused { row, .. } | Self::NoAnswer { row } => Some(*row),
            Self::UnexpectedType { .. }
            | Self::TooLarge
            | Self::NoChunk
            | Self::ChunkTooLarge { .. }
            | Self::Vault(_)
            | Self::Arrow(_) => None,
        }
    }
}

/// Why an encrypted value was not opened. Says nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unopenable {
    /// Not an encrypted value: too short, of another version, not in its encoding.
    #[error("not an encrypted value of this form")]
    Malformed,
    /// Encrypted under another key, such as another version of it.
    #[error("encrypted under another key")]
    OtherKey,
    /// Changed since it was encrypted, encrypted for another domain or field, or bound to another row.
    #[error("changed since it was encrypted, or of another domain, field or row")]
    NotAuthentic,
    /// Bound to values of its row, which were not given.
    #[error("bound to values of its row, which are not given")]
    Bound,
    /// Values of a row were given, and it is bound to none.
    #[error("not bound to the row it is said to be of")]
    Unbound,
    /// Of another attempt than the one it is said to be of.
    #[error("of another delivery, or another attempt at it")]
    OtherAttempt,
    /// Authentic, but no value of the field's type.
    #[error("opened to what is no value of the field's type")]
    OtherType,
}

/// A column of encrypted values that could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("row {row} of the batch: {why}")]
pub struct NotOpened {
    /// Row within the batch, from 0.
    pub row: usize,
    /// Why.
    pub why: Unopenable,
}
