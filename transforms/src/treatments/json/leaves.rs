//! The values that one path leads to, over all documents of a batch: gathered into one column,
//! treated at once, written back one by one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use chrono::{Datelike, NaiveDate};

use super::Leaf;
use crate::cases::{Rules, failed, to_text};
use crate::error::TreatmentError;
use crate::json::{Token, write_text};
use crate::parts::{Part, Report, Rows};
use crate::treatment::Context;

/// Days from 0001-01-01 as day 1, which chrono counts from, to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;

/// What is done with the values of one path.
#[derive(Debug)]
pub(super) struct LeafRule {
    pub(super) leaf: Leaf,
    /// Absent where the values are removed.
    pub(super) part: Option<Part>,
    /// What is done with values that aren't of the type.
    pub(super) cases: Rules,
}

/// The values of one path, as they are met.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    rows: Vec<u32>,
    /// Of text, as meant; of numbers and booleans, as written.
    texts: Vec<u8>,
    ends: Vec<usize>,
    kinds: Vec<Kind>,
    values: Vec<Value>,
}

/// How a value stood in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    /// In quotes.
    Text,
    /// A number or a boolean.
    Bare,
}

/// A value of another type than text.
#[derive(Debug, Clone, Copy)]
enum Value {
    None,
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Date(i32),
}

impl Leaves {
    /// Takes a value, and gives its number; `None` where it isn't of the type.
    pub(super) fn take(
        &mut self,
        leaf: Leaf,
        token: Token,
        document: &str,
        row: u32,
    ) -> Option<usize> {
        let (kind, text) = match token {
            Token::Null => (Kind::Null, "".into()),
            Token::True => (Kind::Bare, "true".into()),
            Token::False => (Kind::Bare, "false".into()),
            Token::Number(span) => (Kind::Bare, span.raw(document).into()),
            Token::Text(span) => (Kind::Text, span.text(document)),
            Token::Object { .. } | Token::Array { .. } => return None,
        };
        let value = match (leaf, token) {
            (Leaf::Text, _) | (_, Token::Null) => Value::None,
            (Leaf::Integer, Token::Number(_)) => Value::Integer(text.parse().ok()?),
            (Leaf::Number, Token::Number(_)) => {
                let number: f64 = text.parse().ok()?;
                Value::Number(number.is_finite().then_some(number)?)
            }
            (Leaf::Boolean, Token::True) => Value::Boolean(true),
            (Leaf::Boolean, Token::False) => Value::Boolean(false),
            (Leaf::Date, Token::Text(_)) => Value::Date(days(&text)?),
            _ => return None,
        };
        self.rows.push(row);
        self.texts.extend_from_slice(text.as_bytes());
        self.ends.push(self.texts.len());
        self.kinds.push(kind);
        if leaf != Leaf::Text {
            self.values.push(value);
        }
        Some(self.ends.len() - 1)
    }

    fn range(&self, index: usize) -> Range<usize> {
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let end = self.ends.get(index);
        start.copied().unwrap_or(0)..end.copied().unwrap_or(0)
    }

    /// The text of a value, as meant or as written.
    fn text(&self, index: usize) -> &[u8] {
        self.texts.get(self.range(index)).unwrap_or_default()
    }

    fn is_null(&self, index: usize) -> bool {
        self.kinds.get(index) == Some(&Kind::Null)
    }

    fn column(&self, leaf: Leaf) -> Result<ArrayRef, TreatmentError> {
        if leaf == Leaf::Text {
            i32::try_from(self.texts.len()).map_err(|_| TreatmentError::TooLarge)?;
            let texts = (0..self.ends.len()).map(|index| match self.is_null(index) {
                true => None,
                false => std::str::from_utf8(self.text(index)).ok(),
            });
            return Ok(Arc::new(texts.collect::<StringArray>()));
        }
        let values = self.values.iter();
        Ok(match leaf {
            Leaf::Integer => Arc::new(
                values
                    .map(|value| {
                        if let Value::Integer(value) = value {
                            Some(*value)
                        } else {
                            None
                        }
                    })
                    .collect::<Int64Array>(),
            ),
            Leaf::Number => Arc::new(
                values
                    .map(|value| {
                        if let Value::Number(value) = value {
                            Some(*value)
                        } else {
                            None
                        }
                    })
                    .collect::<Float64Array>(),
            ),
            Leaf::Boolean | Leaf::Text => Arc::new(
                values
                    .map(|value| {
                        if let Value::Boolean(value) = value {
                            Some(*value)
                        } else {
                            None
                        }
                    })
                    .collect::<BooleanArray>(),
            ),
            Leaf::Date => Arc::new(
                values
                    .map(|value| {
                        if let Value::Date(value) = value {
                            Some(*value)
                        } else {
                            None
                        }
                    })
                    .collect::<Date32Array>(),
            ),
        })
    }

    /// Treats all values.
    pub(super) fn treat(
        self,
        rule: &LeafRule,
        context: &Context<'_>,
        report: &mut Report,
    ) -> Result<Treated, TreatmentError> {
        let Some(part) = rule.part.as_ref().filter(|_| !self.rows.is_empty()) else {
            return Ok(Treated {
                result: Arc::new(StringArray::new_null(0)),
                leaves: self,
            });
        };
        let rows = Rows::new(self.rows.clone());
        let treated = part.treat_of(&self.column(rule.leaf)?, &rows, context)?;
        report.add_within(&treated, &rows);
        let result = if *treated.array.data_type() == DataType::Date32 {
            Arc::new(to_text(&treated.array)?)
        } else {
            treated.array
        };
        Ok(Treated {
            result,
            leaves: self,
        })
    }
}

fn days(text: &str) -> Option<i32> {
    let is_iso = text.len() == 10
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit());
    let date = is_iso.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())??;
    date.num_days_from_ce().checked_sub(EPOCH_FROM_CE)
}

/// The values of one path and what became of them.
#[derive(Debug)]
pub(super) struct Treated {
    /// Text, numbers or booleans.
    result: ArrayRef,
    leaves: Leaves,
}

impl Treated {
    /// Appends the result of one value as JSON. What came out as it was is written as it was.
    pub(super) fn write(&self, index: usize, out: &mut Vec<u8>) -> Result<(), TreatmentError> {
        let result = &self.result;
        let lost = || failed("writing treated values into their documents");
        if index >= result.len() {
            return Err(lost());
        }
        if result.is_null(index) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        let bare = self.leaves.kinds.get(index) == Some(&Kind::Bare);
        if let Some(texts) = result.as_string_opt::<i32>() {
            let text = texts.value(index);
            match bare && text.as_bytes() == self.leaves.text(index) {
                true => out.extend_from_slice(text.as_bytes()),
                false => write_text(text, out),
            }
        } else if let Some(booleans) = result.as_boolean_opt() {
            out.extend_from_slice(if booleans.value(index) {
                b"true"
            } else {
                b"false"
            });
        } else if let Some(integers) = result.as_primitive_opt::<Int64Type>() {
            out.extend_from_slice(integers.value(index).to_string().as_bytes());
        } else {
            let floats = result.as_primitive_opt::<Float64Type>().ok_or_else(lost)?;
            let number = floats.value(index);
            if !number.is_finite() {
                return Err(lost());
            }
            match self.leaves.values.get(index) {
                Some(Value::Number(own)) if own.to_bits() == number.to_bits() => {
                    out.extend_from_slice(self.leaves.text(index));
                }
                _ => out.extend_from_slice(number.to_string().as_bytes()),
            }
        }
        Ok(())
    }
}
