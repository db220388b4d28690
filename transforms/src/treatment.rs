//! The contract of every treatment.
//!
//! - **Length**: as many rows out as in; a row the treatment rejects is flagged, not removed.
//! - **Null slots**: buffers of the result are fresh; nothing of the original stands under a null,
//!   in an unused dictionary entry, or beyond a slice.
//! - **Fail closed**: a value that does not fit (short, malformed, out of range) is masked whole,
//!   nulled, rejected or refused, as the options say; it never passes.
//! - **Order-free**: the result for a row depends on the treatment, its key and that row's original
//!   values, never on its place in a batch. Random encryption alone takes its nonces from the
//!   [`ChunkId`], and opens to the same values whatever they were.
//! - **Types**: text arrives as `Utf8`, `LargeUtf8`, `Utf8View` or a dictionary of one of them, and
//!   leaves as plain `Utf8`; other types keep or change type as [`Treatment::output_type`] says.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use sha2::{Digest, Sha256};

use crate::error::TreatmentError;
use crate::options::Share;

/// A treatment made for one field: parameters checked, key in place.
pub trait Treatment: fmt::Debug + Send + Sync {
    /// Type of every array that [`apply`](Self::apply) returns.
    fn output_type(&self) -> &DataType;

    /// Treats one column of a chunk.
    ///
    /// # Errors
    /// [`TreatmentError::Refused`] where the options say `fail`; a type other than the one it was
    /// built for; a result that exceeds what one array can hold; a condition without a value for a
    /// row where it matters; a context that lacks what the treatment
    /// [reads](crate::spec::Definition::reads).
    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError>;

    /// Treats a column that stands alone: for treatments that read nothing else.
    ///
    /// # Errors
    /// As [`treat`](Self::treat).
    fn apply(&self, column: &ArrayRef) -> Result<Treated, TreatmentError> {
        self.treat(column, &Context::default())
    }
}

/// What a treatment may see beside the column it treats.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// What it reads of the original rows, in the order of
    /// [`Definition::reads`](crate::spec::Definition::reads): a column for a field, the
    /// [answers](crate::condition::input) of a condition; each as long as the column.
    pub inputs: &'a [ArrayRef],
    /// Which chunk this is; absent outside a run, where random encryption refuses.
    pub chunk: Option<ChunkId>,
}

/// Names one chunk of one attempt, and no other chunk of any attempt: what nonces are made of. Each
/// treatment of a field sees a chunk once; seeing it again with other values would repeat nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkId {
    /// Random, drawn anew for every attempt.
    pub attempt: [u8; 16],
    /// The split of the source, in its order.
    pub split: u64,
    /// The chunk within the split, in its order.
    pub chunk: u64,
}

impl ChunkId {
    /// The chunk as part number `part` of a treatment made of several sees it: another attempt,
    /// namely the first 16 bytes of SHA-256("lockgate/part" ‖ attempt ‖ part as 8 bytes, big
    /// endian). Parts number their rows from 0 each, so under one id two of them could use one
    /// nonce for two values.
    #[must_use]
    pub fn part(self, part: usize) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"lockgate/part");
        hash.update(self.attempt);
        hash.update(u64::try_from(part).unwrap_or(u64::MAX).to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut attempt = self.attempt;
        for (byte, hashed) in attempt.iter_mut().zip(digest) {
            *byte = hashed;
        }
        Self { attempt, ..self }
    }
}

/// A treated column, and what happened on the way.
#[derive(Debug, Clone)]
pub struct Treated {
    /// The result: same length as the input, type as declared.
    pub array: ArrayRef,
    /// How many values fell into which case.
    pub counts: Counts,
    /// Rows (set bits) with an invalid value, as [`Counts::invalid`] counts them; absent if none.
    pub invalid: Option<BooleanBuffer>,
    /// Rows (set bits) that must be dropped because an option says `reject`; absent if none.
    pub rejected: Option<BooleanBuffer>,
    /// Rows (set bits) that the treatment leaves out on purpose (`drop-row`, `sample`); absent if
    /// none.
    pub dropped: Option<BooleanBuffer>,
    /// The same rows by the reason they are left out for; a row may be left out for several.
    pub reasons: Vec<Reason>,
    /// What a mark may choose instead; absent where the treatment leaves it no choice.
    pub choice: Option<Choice>,
}

/// A second result for the rows of a column, drawn by the rule of the first, for a mark to choose
/// between the two. Both show a symbol, and not the same. Whichever is taken by a symbol that is as
/// likely 0 as 1, what is delivered is as likely as by the rule alone.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The second results, of the type and length of the first; null where there is none.
    pub other: ArrayRef,
    /// The symbol that the first result of each row shows; null where there is no second one.
    pub shows: BooleanArray,
}

/// Rows left out for one reason.
#[derive(Debug, Clone)]
pub struct Reason {
    /// The reason as a `drop-row` states it; without one, the kind that leaves the rows out.
    pub text: Arc<str>,
    /// Which rows (set bits).
    pub rows: BooleanBuffer,
}

impl Treated {
    /// The counts, with the rows that are rejected and left out.
    #[must_use]
    pub fn tally(&self) -> Counts {
        let rows =
            |flags: &BooleanBuffer| u64::try_from(flags.count_set_bits()).unwrap_or(u64::MAX);
        let mut counts = self.counts.clone();
        counts.rejected += self.rejected.as_ref().map_or(0, rows);
        for reason in &self.reasons {
            *counts.dropped.entry(reason.text.to_string()).or_default() += rows(&reason.rows);
        }
        counts
    }
}

/// How many values of a field fell into each case. A value is counted in one case at most; what is
/// short or a sentinel within a value is counted beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Rows seen.
    pub rows: u64,
    /// Nulls in the input.
    pub nulls: u64,
    /// Empty or white space only.
    pub empty: u64,
    /// Too short for the pattern.
    pub short: u64,
    /// Malformed, out of range, not finite, or the result did not fit. A value that holds others,
    /// or goes through several steps, is counted once, however often that was so.
    pub invalid: u64,
    /// Kept as given because the treatment lists them.
    pub sentinels: u64,
    /// Results that keep a wider part of the value than asked for, because the part asked for could
    /// not be kept (`when_unfit = "widen"`). Left out of documents where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub widened: u64,
    /// Rows that this field's treatment rejected. Left out of documents where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Rows that this field's treatment left out on purpose, by reason; a row that it left out for
    /// two reasons, or that two fields left out, is counted with each. Left out of documents where
    /// there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
}

fn is_zero(rows: &u64) -> bool {
    *rows == 0
}

impl Counts {
    /// Whether the share of invalid values among those that aren't null is above a limit. Of no
    /// values none is invalid.
    #[must_use]
    pub fn exceeds(&self, limit: Share) -> bool {
        limit.is_exceeded(self.invalid, self.rows.saturating_sub(self.nulls))
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.empty += other.empty;
        self.short += other.short;
        self.invalid += other.invalid;
        self.sentinels += other.sentinels;
        self.widened += other.widened;
        self.rejected += other.rejected;
        for (reason, rows) in other.dropped {
            *self.dropped.entry(reason).or_default() += rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_values_are_measured_against_those_that_are_there() {
        let counts = Counts {
            rows: 110,
            nulls: 10,
            empty: 5,
            invalid: 1,
            ..Counts::default()
        };
        let exceeds = |counts: &Counts, limit| counts.exceeds(Share::parse(limit).unwrap());
        assert!(!exceeds(&counts, "0.01"));
        assert!(exceeds(&counts, "0.009999999"));
        assert!(exceeds(&counts, "0"));
        assert!(!exceeds(&Counts::default(), "0"));
        let nulls = Counts {
            rows: 3,
            nulls: 3,
            ..Counts::default()
        };
        assert!(!exceeds(&nulls, "0"));
    }
}
