//! What fits what: the types of operands, brought together without losing a digit.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::logical_expr_common::type_coercion::binary::BinaryTypeCoercer;
use datafusion::scalar::ScalarValue;

use super::value::{self, Constant, Unfit};
use super::{Node, Position, PredicateError, emit};
use crate::site::field_type::FieldType;

/// What stands on one side of an operator.
pub(super) enum Operand {
    Constant(Constant),
    Node(Node),
}

/// An operand and where it begins.
pub(super) struct Found {
    pub(super) operand: Operand,
    pub(super) at: Position,
}

impl Operand {
    pub(super) fn copy(&self) -> Self {
        match self {
            Self::Constant(constant) => Self::Constant(constant.clone()),
            Self::Node(node) => Self::Node(node.clone()),
        }
    }
}

impl Found {
    /// The operand as a node, a constant with the type it has by itself.
    pub(super) fn node(self) -> Node {
        match self.operand {
            Operand::Constant(constant) => Node::Constant(constant.natural()),
            Operand::Node(node) => node,
        }
    }
}

fn unfit(at: Position, (what, remedy): Unfit) -> PredicateError {
    at.refuse(what, remedy)
}

/// The operand as a condition.
pub(super) fn boolean(found: Found) -> Result<Node, PredicateError> {
    if let Operand::Constant(Constant::Null) = found.operand {
        return Ok(Node::Constant(ScalarValue::Boolean(None)));
    }
    let at = found.at;
    let node = found.node();
    if node.data_type() != DataType::Boolean {
        return Err(at.refuse(
            "a value where a condition should be",
            "compare it with something",
        ));
    }
    Ok(node)
}

/// A value of the type, or the node itself if it is of that type already.
fn widened(node: Node, data_type: &DataType) -> Node {
    if node.data_type() == *data_type {
        return node;
    }
    Node::Cast {
        operand: Box::new(node),
        data_type: data_type.clone(),
        widening: true,
    }
}

/// Brings a node and the constants it is compared with to one type, without losing a digit.
pub(super) fn unify(
    node: Node,
    constants: Vec<(Constant, Position)>,
) -> Result<(Node, Vec<ScalarValue>), PredicateError> {
    let mut target = node.data_type();
    if let Some((_, at)) = constants.first() {
        refuse_nested(&target, *at)?;
    }
    for (constant, at) in &constants {
        let fits = constant
            .adapt(&target)
            .map_err(|reason| unfit(*at, reason))?;
        if fits.is_none() {
            target = common_or_refuse(&target, &constant.natural().data_type(), *at)?;
        }
    }
    let mut values = Vec::with_capacity(constants.len());
    for (constant, at) in constants {
        let value = match constant
            .adapt(&target)
            .map_err(|reason| unfit(at, reason))?
        {
            Some(value) => value,
            None => constant
                .natural()
                .cast_to(&target)
                .map_err(|_| too_many_digits(at))?,
        };
        values.push(value);
    }
    Ok((widened(node, &target), values))
}

fn too_many_digits(at: Position) -> PredicateError {
    at.refuse(
        "numbers of too many digits to compare exactly",
        "use fewer digits, or CAST one side to a smaller type",
    )
}

fn common_or_refuse(
    left: &DataType,
    right: &DataType,
    at: Position,
) -> Result<DataType, PredicateError> {
    value::common_numeric(left, right).ok_or_else(|| too_many_digits(at))
}

pub(super) fn compare(
    op: Operator,
    left: Found,
    right: Found,
    operator: Position,
) -> Result<Node, PredicateError> {
    let (op, left, right) = match (&left.operand, &right.operand) {
        (Operand::Constant(_), Operand::Node(_)) => (op.swap().unwrap_or(op), right, left),
        _ => (op, left, right),
    };
    let (left, right) = match (left.operand, right.operand) {
        (Operand::Constant(Constant::Null), Operand::Constant(_)) => {
            return Ok(Node::Constant(ScalarValue::Boolean(None)));
        }
        (left_operand, Operand::Constant(constant)) => {
            let node = Found {
                operand: left_operand,
                at: left.at,
            }
            .node();
            let (node, mut values) = unify(node, vec![(constant, right.at)])?;
            let value = values.pop().ok_or_else(|| unfit(operator, NOTHING))?;
            (node, Node::Constant(value))
        }
        (left_operand, right_operand) => {
            let left = Found {
                operand: left_operand,
                at: left.at,
            }
            .node();
            let right = Found {
                operand: right_operand,
                at: right.at,
            }
            .node();
            same_type(left, right, operator)?
        }
    };
    refuse_nested(&left.data_type(), operator)?;
    if left.data_type() == DataType::Binary {
        return Err(operator.refuse("a comparison of bytes", "use IS NULL; bytes do not compare"));
    }
    Ok(Node::Compare {
        op,
        left: Box::new(left),
        right: Box::new(right),
    })
}

/// What holds several values does not compare.
fn refuse_nested(data_type: &DataType, at: Position) -> Result<(), PredicateError> {
    if data_type.is_nested() {
        let what = "a comparison of lists, structs or maps";
        return Err(at.refuse(
            what,
            "use IS NULL; what holds several values does not compare",
        ));
    }
    Ok(())
}

const NOTHING: Unfit = ("nothing to compare with", "write a constant");

/// Two expressions, neither of them a constant, in one type.
fn same_type(left: Node, right: Node, operator: Position) -> Result<(Node, Node), PredicateError> {
    let (left_type, right_type) = (left.data_type(), right.data_type());
    let common = match (&left_type, &right_type) {
        _ if left_type == right_type => left_type,
        (
            DataType::Timestamp(left_unit, left_zone),
            DataType::Timestamp(right_unit, right_zone),
        ) if left_zone.is_some() == right_zone.is_some() => {
            // The finer unit is the greater one, so that no digit is lost.
            DataType::Timestamp(*left_unit.max(right_unit), left_zone.clone())
        }
        _ if left_type.is_numeric() && right_type.is_numeric() => {
            common_or_refuse(&left_type, &right_type, operator)?
        }
        _ => {
            return Err(operator.refuse(
                format!(
                    "a comparison of {} with {}",
                    notation(&left_type),
                    notation(&right_type)
                ),
                "use CAST on one side",
            ));
        }
    };
    Ok((widened(left, &common), widened(right, &common)))
}

/// A type as the catalogue writes it.
fn notation(data_type: &DataType) -> String {
    FieldType::of(data_type).map_or_else(|| "another type".to_owned(), |found| found.to_string())
}

pub(super) fn arithmetic(
    op: Operator,
    left: Found,
    right: Found,
    operator: Position,
) -> Result<Found, PredicateError> {
    let at = left.at;
    let constant = matches!(left.operand, Operand::Constant(_))
        && matches!(right.operand, Operand::Constant(_));
    let (left, right) = (left.node(), right.node());
    let (left_type, right_type) = (left.data_type(), right.data_type());
    let (left_type, right_type) =
        value::arithmetic_operands(&left_type, &right_type).ok_or_else(|| {
            operator.refuse("arithmetic over something that is not a number", "use CAST")
        })?;
    let data_type = BinaryTypeCoercer::new(&left_type, &op, &right_type)
        .get_result_type()
        .map_err(|_| too_many_digits(operator))?;
    let (left, right) = (widened(left, &left_type), widened(right, &right_type));
    let node = Node::Arithmetic {
        op,
        left: Box::new(left),
        right: Box::new(right),
        data_type,
    };
    let operand = if constant {
        fold(&node, operator)?
    } else {
        Operand::Node(node)
    };
    Ok(Found { operand, at })
}

/// Evaluates an expression of constants now, so that it fails now if at all.
pub(super) fn fold(node: &Node, at: Position) -> Result<Operand, PredicateError> {
    let fail = || {
        at.refuse(
            "an expression of constants that has no value",
            "write the value itself; mind division by zero, overflow and what CAST can read",
        )
    };
    let schema = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options)
        .map_err(|_| fail())?;
    let expression = emit(node, &schema).map_err(|_| fail())?;
    let result = expression.evaluate(&batch).map_err(|_| fail())?;
    let array = result.into_array(1).map_err(|_| fail())?;
    let value = ScalarValue::try_from_array(&array, 0).map_err(|_| fail())?;
    Ok(Operand::Constant(if value.is_null() {
        Constant::Null
    } else if let ScalarValue::Boolean(Some(value)) = value {
        Constant::Bool(value)
    } else {
        Constant::Typed(value)
    }))
}

/// Whether CAST may turn one type into the other: what has one plain meaning, and no units hidden
/// in numbers.
pub(super) fn castable(from: &DataType, to: &DataType) -> bool {
    let temporal =
        |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
    let plain = from == to
        || *from == DataType::Null
        || (from.is_numeric() && to.is_numeric())
        || (temporal(from) && temporal(to))
        || (*from == DataType::Utf8 && *to != DataType::Binary)
        || (*to == DataType::Utf8 && *from != DataType::Binary);
    plain && !from.is_nested() && !to.is_nested() && can_cast_types(from, to)
}
