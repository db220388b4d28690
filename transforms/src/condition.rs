//! What a condition says of each row, as a treatment reads it.
//!
//! Conditions are answered before any treatment runs, over all rows of a chunk. For some rows there
//! may be no answer: a division by zero, an overflow, a cast that doesn't fit. Such a row fails the
//! run only where its answer is asked for: not in a row that an earlier arm took, nor within an arm
//! that another row took. So it doesn't matter which rows happen to share a chunk.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt8Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::UInt8Type;

use crate::cases::failed;
use crate::error::TreatmentError;
use crate::treatment::Context;

/// What a condition says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    True,
    False,
    Null,
}

/// How an answer is written where some row has none.
const FALSE: u8 = 0;
const TRUE: u8 = 1;
const NONE: u8 = 2;

/// The input of a treatment for a condition: `answers`, but for the rows set in `unanswered`, for
/// which the condition has no value. A boolean array, or, where a row has no answer, one of bytes
/// that only this module reads.
pub fn input(answers: BooleanArray, unanswered: Option<&BooleanBuffer>) -> ArrayRef {
    let unanswered = unanswered.filter(|rows| rows.count_set_bits() > 0);
    let Some(unanswered) = unanswered else {
        return Arc::new(answers);
    };
    let mut unanswered = unanswered.iter();
    let written = answers.iter().map(|answer| {
        if unanswered.next() == Some(true) {
            return Some(NONE);
        }
        answer.map(|answer| if answer { TRUE } else { FALSE })
    });
    Arc::new(written.collect::<UInt8Array>())
}

/// The answers of one condition, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers<'a> {
    /// For every row.
    All(&'a BooleanArray),
    /// But for some rows, which hold [`NONE`].
    Partly(&'a UInt8Array),
}

impl<'a> Answers<'a> {
    /// The condition at `index` of what the whole reads; as long as the column.
    ///
    /// # Errors
    /// It isn't there, or isn't a condition over these rows.
    pub(crate) fn read(
        context: &Context<'a>,
        index: usize,
        rows: usize,
    ) -> Result<Self, TreatmentError> {
        let input = context.inputs.get(index);
        let input = input.filter(|input| input.len() == rows);
        let all = input
            .and_then(|input| input.as_boolean_opt())
            .map(Self::All);
        let partly = || input.and_then(|input| input.as_primitive_opt::<UInt8Type>());
        all.or_else(|| partly().map(Self::Partly))
            .ok_or_else(|| failed("reading a condition"))
    }

    /// The answer for a row; absent where the condition has no value for it.
    #[inline]
    pub(crate) fn of(self, row: usize) -> Option<Answer> {
        match self {
            Self::All(answers) if row >= answers.len() || answers.is_null(row) => {
                Some(Answer::Null)
            }
            Self::All(answers) if answers.value(row) => Some(Answer::True),
            Self::All(_) => Some(Answer::False),
            Self::Partly(written) if row >= written.len() || written.is_null(row) => {
                Some(Answer::Null)
            }
            Self::Partly(written) => match written.value(row) {
                FALSE => Some(Answer::False),
                TRUE => Some(Answer::True),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_were_given() {
        let given = BooleanArray::from(vec![Some(true), Some(false), None, Some(false)]);
        let expected = [Answer::True, Answer::False, Answer::Null, Answer::False].map(Some);
        let read = |input: ArrayRef| -> Vec<Option<Answer>> {
            let inputs = [input];
            let context = Context {
                inputs: &inputs,
                chunk: None,
            };
            let answers = Answers::read(&context, 0, 4).unwrap();
            (0..4).map(|row| answers.of(row)).collect()
        };
        assert_eq!(read(input(given.clone(), None)), expected);
        let none = BooleanBuffer::new_unset(4);
        assert_eq!(read(input(given.clone(), Some(&none))), expected);
        let last = BooleanBuffer::from_iter([false, false, false, true]);
        let partly = read(input(given, Some(&last)));
        assert_eq!(partly, [expected[0], expected[1], expected[2], None]);
    }

    #[test]
    fn what_is_no_condition_over_these_rows_is_an_error() {
        let inputs = [input(BooleanArray::from(vec![true, true]), None)];
        let context = Context {
            inputs: &inputs,
            chunk: None,
        };
        assert!(Answers::read(&context, 0, 3).is_err());
        assert!(Answers::read(&context, 1, 2).is_err());
    }
}
