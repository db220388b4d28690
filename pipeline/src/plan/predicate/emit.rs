//! A checked expression over one schema, as DataFusion evaluates it.

use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::FormatOptions;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::scalar::ScalarValue;
use thiserror::Error;

use super::Node;

/// A schema that a predicate cannot be evaluated over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BindError {
    /// The schema lacks a field.
    #[error("field `{0}` of the predicate is not among the columns read")]
    Missing(String),
    /// The schema has the field with another type than the catalogue.
    #[error(
        "field `{name}` of the predicate is {actual} in the data and {declared} in the catalogue"
    )]
    Type {
        /// Name of the field.
        name: String,
        /// Type in the schema.
        actual: DataType,
        /// Type in the catalogue.
        declared: DataType,
    },
    /// DataFusion refuses the expression for its types.
    #[error("the predicate cannot be evaluated over these types")]
    Kernel,
}

type Physical = Arc<dyn PhysicalExpr>;

/// A cast that fails where the value does not fit, rather than making a null of it.
const STRICT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: FormatOptions::new(),
};

/// The expression over `schema`.
pub(super) fn emit(node: &Node, schema: &SchemaRef) -> Result<Physical, BindError> {
    Ok(match node {
        Node::Field { name, data_type } => field(name, data_type, schema)?,
        Node::Constant(value) => Arc::new(Literal::new(value.clone())),
        Node::Compare { op, left, right } => compare(*op, left, right, schema)?,
        Node::Arithmetic {
            op, left, right, ..
        } => {
            let (left, right) = (emit(left, schema)?, emit(right, schema)?);
            Arc::new(BinaryExpr::new(left, *op, right).with_fail_on_overflow(true))
        }
        Node::Logic { op, left, right } => Arc::new(BinaryExpr::new(
            emit(left, schema)?,
            *op,
            emit(right, schema)?,
        )),
        Node::Not(operand) => Arc::new(NotExpr::new(emit(operand, schema)?)),
        Node::IsNull {
            negated: false,
            operand,
        } => Arc::new(IsNullExpr::new(emit(operand, schema)?)),
        Node::IsNull {
            negated: true,
            operand,
        } => Arc::new(IsNotNullExpr::new(emit(operand, schema)?)),
        Node::Like {
            negated,
            operand,
            pattern,
        } => {
            let operand = emit(operand, schema)?;
            let pattern = ScalarValue::Utf8(Some(pattern.clone()));
            let pattern = Arc::new(Literal::new(as_text(pattern, &type_of(&operand, schema)?)?));
            Arc::new(LikeExpr::new(*negated, false, operand, pattern))
        }
        Node::In {
            negated,
            operand,
            list,
        } => in_list(*negated, operand, list, schema)?,
        Node::Cast {
            operand, data_type, ..
        } => {
            let operand = emit(operand, schema)?;
            Arc::new(CastExpr::new(operand, data_type.clone(), Some(STRICT)))
        }
    })
}

fn type_of(expression: &Physical, schema: &SchemaRef) -> Result<DataType, BindError> {
    expression.data_type(schema).map_err(|_| BindError::Kernel)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// A column, of the catalogue's type or, for text, any physical form of it.
fn field(name: &str, declared: &DataType, schema: &SchemaRef) -> Result<Physical, BindError> {
    let Some((index, field)) = schema.column_with_name(name) else {
        return Err(BindError::Missing(name.to_owned()));
    };
    let column: Physical = Arc::new(Column::new(name, index));
    let actual = field.data_type();
    if actual == declared || (*declared == DataType::Utf8 && is_text(actual)) {
        return Ok(column);
    }
    if let DataType::Dictionary(_, values) = actual
        && (**values == *declared || (*declared == DataType::Utf8 && is_text(values)))
    {
        return Ok(Arc::new(CastExpr::new(
            column,
            (**values).clone(),
            Some(STRICT),
        )));
    }
    Err(BindError::Type {
        name: name.to_owned(),
        actual: actual.clone(),
        declared: declared.clone(),
    })
}

/// A text constant in a physical form of text; any other constant as it is.
fn as_text(value: ScalarValue, data_type: &DataType) -> Result<ScalarValue, BindError> {
    if is_text(data_type) && value.data_type() != *data_type {
        return value.cast_to(data_type).map_err(|_| BindError::Kernel);
    }
    Ok(value)
}

fn compare(
    op: Operator,
    left: &Node,
    right: &Node,
    schema: &SchemaRef,
) -> Result<Physical, BindError> {
    let left = emit(left, schema)?;
    let left_type = type_of(&left, schema)?;
    let right: Physical = if let Node::Constant(value) = right {
        Arc::new(Literal::new(as_text(value.clone(), &left_type)?))
    } else {
        let right = emit(right, schema)?;
        if type_of(&right, schema)? == left_type {
            right
        } else {
            Arc::new(CastExpr::new(right, left_type, Some(STRICT)))
        }
    };
    Ok(Arc::new(BinaryExpr::new(left, op, right)))
}

fn in_list(
    negated: bool,
    operand: &Node,
    list: &[ScalarValue],
    schema: &SchemaRef,
) -> Result<Physical, BindError> {
    let operand = emit(operand, schema)?;
    let data_type = type_of(&operand, schema)?;
    let list = list
        .iter()
        .map(|value| {
            let literal: Physical = Arc::new(Literal::new(as_text(value.clone(), &data_type)?));
            Ok(literal)
        })
        .collect::<Result<Vec<_>, BindError>>()?;
    let in_list =
        InListExpr::try_new(operand, list, negated, schema).map_err(|_| BindError::Kernel)?;
    Ok(Arc::new(in_list))
}
