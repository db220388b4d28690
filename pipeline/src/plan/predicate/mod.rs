//! The predicate language of a grant's `rows`: an allow-list, never general SQL.
//!
//! ```text
//! condition   a = b  <>  !=  <  <=  >  >=     a BETWEEN b AND c     a IN (1, 2)     a IS NULL
//!             a LIKE '浙A%'  (`%`, `_`, `\` to escape)     NOT, AND, OR, parentheses
//! arithmetic  + - * /  over numbers            CAST(a AS decimal(12,2))
//! constants   'text'  12  0.5  TRUE  FALSE  NULL  DATE '2026-01-31'  TIMESTAMP '2026-01-31 08:00:00'
//! fields      income   "any name"              exact case, never folded
//! ```
//!
//! What is not in this list is refused: functions, subqueries, placeholders, comments, `ILIKE`,
//! regular expressions, `CASE`. The text is cut into tokens by DataFusion's SQL tokenizer and
//! parsed here, because the general parser writes the text to its debug log and quotes it in its
//! errors, and a constant of a predicate may be personal data.
//!
//! **Types** are checked before any row is read. Numbers compare exactly: a constant takes the type
//! of what it is compared with, or both sides widen to a decimal that holds both; only fields of
//! type `float32`/`float64` compare as floats (there NaN is greater than every number). Text never
//! turns into a number unless a `CAST` says so.
//!
//! **Evaluation** is per row, left to right: `AND` stops at false, `OR` at true. A division by
//! zero, an overflow or a `CAST` that does not fit in a row that gets so far fails the run; it is
//! never taken for true, false or null. In the condition of a treatment it does so only for a
//! row that asks for the answer: one that no earlier arm took.

mod condition;
mod emit;
mod lexer;
mod parser;
mod typing;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::scalar::ScalarValue;
use thiserror::Error;

use crate::site::check::PredicateFault;

pub use condition::{Answers, Condition};
pub use emit::BindError;
use emit::emit;

/// Longest text of a predicate, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Most nodes of a predicate: every field, constant and operation is one.
pub const NODES_MAX: usize = 200;

/// Deepest nesting of parentheses, `NOT` and signs.
const DEPTH_MAX: usize = 64;

/// A predicate that parsed and fits the fields it was checked against.
///
/// `Debug` shows nothing of it: its constants may be personal data.
#[derive(Clone)]
pub struct Predicate {
    root: Node,
}

/// A predicate that is not allowed. Says where and what to do, never what the text holds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column} of the predicate: {what}; {remedy}")]
pub struct PredicateError {
    /// Line within the predicate, from 1.
    pub line: u64,
    /// Column within the line in characters, from 1.
    pub column: u64,
    /// Whether a name does not exist, which is a broken reference, or the language refuses.
    pub kind: PredicateErrorKind,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl PredicateError {
    /// Where and what, without the remedy.
    pub fn what_and_where(&self) -> String {
        format!(
            "line {}, column {} of the predicate: {}",
            self.line, self.column, self.what
        )
    }
}

/// References of a predicate to fields that do not exist, for `check`. What the language does not
/// allow is a refusal of the grant and no fault of the file.
pub fn faults(text: &str, fields: &SchemaRef) -> Vec<PredicateFault> {
    match Predicate::parse(text, fields) {
        Err(error) if error.kind == PredicateErrorKind::FieldUnknown => {
            vec![PredicateFault {
                what: error.what_and_where(),
                hint: Some(error.remedy),
            }]
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// What sort of fault a [`PredicateError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredicateErrorKind {
    /// A field that the dataset does not have: a broken reference.
    FieldUnknown,
    /// Something outside the allow-list, or types that do not fit.
    NotAllowed,
}

/// Where a token stands: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    line: u64,
    column: u64,
}

impl Position {
    /// An error of the language here.
    fn refuse(self, what: impl Into<String>, remedy: impl Into<String>) -> PredicateError {
        PredicateError {
            line: self.line,
            column: self.column,
            kind: PredicateErrorKind::NotAllowed,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// A checked expression: types fit, constants are of the type of what they meet.
#[derive(Clone)]
pub(super) enum Node {
    Field {
        name: String,
        data_type: DataType,
    },
    Constant(ScalarValue),
    Compare {
        op: Operator,
        left: Box<Self>,
        right: Box<Self>,
    },
    Arithmetic {
        op: Operator,
        left: Box<Self>,
        right: Box<Self>,
        data_type: DataType,
    },
    Logic {
        op: Operator,
        left: Box<Self>,
        right: Box<Self>,
    },
    Not(Box<Self>),
    IsNull {
        negated: bool,
        operand: Box<Self>,
    },
    Like {
        negated: bool,
        operand: Box<Self>,
        pattern: String,
    },
    In {
        negated: bool,
        operand: Box<Self>,
        list: Vec<ScalarValue>,
    },
    Cast {
        operand: Box<Self>,
        data_type: DataType,
        widening: bool,
    },
}

impl Node {
    /// Type of the result, text always as plain `Utf8`.
    fn data_type(&self) -> DataType {
        match self {
            Self::Field { data_type, .. }
            | Self::Arithmetic { data_type, .. }
            | Self::Cast { data_type, .. } => data_type.clone(),
            Self::Constant(value) => value.data_type(),
            Self::Compare { .. }
            | Self::Logic { .. }
            | Self::Not(_)
            | Self::IsNull { .. }
            | Self::Like { .. }
            | Self::In { .. } => DataType::Boolean,
        }
    }

    /// The nodes directly below.
    fn children(&self) -> [Option<&Self>; 2] {
        match self {
            Self::Field { .. } | Self::Constant(_) => [None, None],
            Self::Compare { left, right, .. }
            | Self::Arithmetic { left, right, .. }
            | Self::Logic { left, right, .. } => [Some(left), Some(right)],
            Self::Not(operand)
            | Self::IsNull { operand, .. }
            | Self::Like { operand, .. }
            | Self::In { operand, .. }
            | Self::Cast { operand, .. } => [Some(operand), None],
        }
    }

    fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || self
                .children()
                .into_iter()
                .flatten()
                .any(|child| child.any(test))
    }

    fn collect_fields(&self, fields: &mut BTreeSet<String>) {
        if let Self::Field { name, .. } = self {
            fields.insert(name.clone());
        }
        for child in self.children().into_iter().flatten() {
            child.collect_fields(fields);
        }
    }

    /// Whether statistics can decide it as the engine does: nothing that can fail, and no floats,
    /// whose NaN statistics leave out.
    fn suits_pruning(&self) -> bool {
        !self.any(&|node| match node {
            Self::Arithmetic { .. } => true,
            Self::Cast { widening, .. } => !widening,
            Self::Field { data_type, .. } => data_type.is_floating(),
            Self::Constant(_)
            | Self::Compare { .. }
            | Self::Logic { .. }
            | Self::Not(_)
            | Self::IsNull { .. }
            | Self::Like { .. }
            | Self::In { .. } => false,
        })
    }

    /// The conjuncts of a chain of `AND`, in order.
    fn conjuncts<'a>(&'a self, found: &mut Vec<&'a Self>) {
        if let Self::Logic {
            op: Operator::And,
            left,
            right,
        } = self
        {
            left.conjuncts(found);
            right.conjuncts(found);
        } else {
            found.push(self);
        }
    }
}

impl Predicate {
    /// Parses `text` and checks it against `fields`, the catalogue's fields with plain types.
    ///
    /// # Errors
    /// Whatever is outside the allow-list, too long or too large, an unknown field, or types that
    /// do not fit, with its position.
    pub fn parse(text: &str, fields: &SchemaRef) -> Result<Self, PredicateError> {
        let start = Position { line: 1, column: 1 };
        if text.len() > TEXT_BYTES_MAX {
            return Err(start.refuse(
                format!("the text has {} bytes", text.len()),
                format!("keep it to {TEXT_BYTES_MAX} bytes"),
            ));
        }
        let tokens = lexer::tokens(text)?;
        let root = parser::Parser::new(tokens, fields).parse()?;
        let predicate = Self { root };
        predicate.try_out(fields).map_err(|_| {
            start.refuse(
                "it cannot be evaluated over the types of these fields",
                "use constants and scales of fewer digits",
            )
        })?;
        Ok(predicate)
    }

    /// Names of the fields it reads.
    pub fn fields(&self) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        self.root.collect_fields(&mut fields);
        fields
    }

    /// The predicate over a schema that holds its fields, in any order and any physical form of
    /// text (`Utf8`, `LargeUtf8`, `Utf8View`, dictionaries of them).
    ///
    /// # Errors
    /// A field is absent from the schema or has another type there.
    pub fn physical(&self, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>, BindError> {
        emit(&self.root, schema)
    }

    /// The part that row-group statistics may decide, as a hint: rows it excludes are rows that the
    /// whole predicate excludes. Absent if there is none.
    ///
    /// # Errors
    /// As [`physical`](Self::physical).
    pub fn pruning(&self, schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>, BindError> {
        let mut conjuncts = Vec::new();
        self.root.conjuncts(&mut conjuncts);
        let parts = conjuncts
            .into_iter()
            .filter(|node| node.suits_pruning())
            .map(|node| emit(node, schema))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(datafusion::physical_expr::conjunction_opt(parts))
    }

    /// Evaluates once over no rows, so that what the kernels refuse for types alone is found now.
    fn try_out(&self, fields: &Schema) -> Result<(), BindError> {
        let schema = Arc::new(fields.clone());
        let batch = arrow::array::RecordBatch::new_empty(Arc::clone(&schema));
        let result = emit(&self.root, &schema)?
            .evaluate(&batch)
            .map_err(|_| BindError::Kernel)?;
        if result.data_type() == DataType::Boolean {
            Ok(())
        } else {
            Err(BindError::Kernel)
        }
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predicate")
            .field("fields", &self.fields())
            .finish_non_exhaustive()
    }
}
