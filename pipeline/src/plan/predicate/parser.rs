//! Tokens to a checked expression: precedence, types, limits.
//!
//! From loose to tight: `OR`, `AND`, `NOT`, one condition, `+ -`, `* /`, signs. Conditions do not
//! chain (`a < b < c`, `a = b IS NULL`): parentheses must say what is meant.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::logical_expr_common::type_coercion::binary::BinaryTypeCoercer;
use datafusion::scalar::ScalarValue;

use super::lexer::{Located, Token};
use super::value::{self, Constant, Number, Unfit};
use super::{DEPTH_MAX, NODES_MAX, Node, Position, PredicateError, PredicateErrorKind, emit};
use crate::site::field_type::FieldType;

/// Words with a meaning; a field of such a name is written in double quotes.
const KEYWORDS: [&str; 12] = [
    "AND", "AS", "BETWEEN", "CAST", "FALSE", "IN", "IS", "LIKE", "NOT", "NULL", "OR", "TRUE",
];

/// Least likeness of a name to be suggested.
const LIKENESS_MIN: f64 = 0.75;

/// What stands on one side of an operator.
enum Operand {
    Constant(Constant),
    Node(Node),
}

/// An operand and where it begins.
struct Found {
    operand: Operand,
    at: Position,
}

/// The parser: tokens, what it has used of the limits, and the fields it checks against.
pub(super) struct Parser<'a> {
    tokens: Vec<Located>,
    next: usize,
    nodes: usize,
    depth: usize,
    fields: &'a Schema,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: Vec<Located>, fields: &'a Schema) -> Self {
        Self {
            tokens,
            next: 0,
            nodes: 0,
            depth: 0,
            fields,
        }
    }

    /// The whole text as one condition.
    pub(super) fn parse(mut self) -> Result<Node, PredicateError> {
        let found = self.disjunction()?;
        let at = self.at();
        if *self.peek() != Token::End {
            return Err(at.refuse(
                "something after the end of the condition",
                "join conditions with AND or OR, and put parentheses around a condition within one",
            ));
        }
        boolean(found)
    }

    fn peek(&self) -> &Token {
        self.tokens
            .get(self.next)
            .map_or(&Token::End, |located| &located.token)
    }

    fn at(&self) -> Position {
        let located = self.tokens.get(self.next).or(self.tokens.last());
        located.map_or(Position { line: 1, column: 1 }, |located| located.at)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn accept_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), PredicateError> {
        let at = self.at();
        if self.accept_symbol(symbol) {
            return Ok(());
        }
        Err(at.refuse(
            format!("`{symbol}` is missing"),
            format!("write `{symbol}` here"),
        ))
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<(), PredicateError> {
        let at = self.at();
        if self.accept_keyword(keyword) {
            return Ok(());
        }
        Err(at.refuse(
            format!("{keyword} is missing"),
            format!("write {keyword} here"),
        ))
    }

    fn spend(&mut self, at: Position) -> Result<(), PredicateError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(at.refuse(
                format!("more than {NODES_MAX} fields, constants and operations"),
                "shorten the predicate, or use `divisions` for administrative areas",
            ));
        }
        Ok(())
    }

    fn deeper<T>(
        &mut self,
        at: Position,
        parse: impl FnOnce(&mut Self) -> Result<T, PredicateError>,
    ) -> Result<T, PredicateError> {
        if self.depth >= DEPTH_MAX {
            return Err(at.refuse(
                format!("nested more than {DEPTH_MAX} deep"),
                "take parentheses away",
            ));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn disjunction(&mut self) -> Result<Found, PredicateError> {
        let mut left = self.conjunction()?;
        while self.is_keyword("OR") {
            left = self.logic(left, Operator::Or)?;
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Found, PredicateError> {
        let mut left = self.negation()?;
        while self.is_keyword("AND") {
            left = self.logic(left, Operator::And)?;
        }
        Ok(left)
    }

    fn logic(&mut self, left: Found, op: Operator) -> Result<Found, PredicateError> {
        let (at, operator) = (left.at, self.at());
        self.spend(operator)?;
        self.advance();
        let right = if op == Operator::Or {
            self.conjunction()?
        } else {
            self.negation()?
        };
        let (left, right) = (Box::new(boolean(left)?), Box::new(boolean(right)?));
        Ok(Found {
            operand: Operand::Node(Node::Logic { op, left, right }),
            at,
        })
    }

    fn negation(&mut self) -> Result<Found, PredicateError> {
        let at = self.at();
        if !self.accept_keyword("NOT") {
            return self.condition();
        }
        self.spend(at)?;
        let operand = self.deeper(at, Self::negation)?;
        Ok(Found {
            operand: Operand::Node(Node::Not(Box::new(boolean(operand)?))),
            at,
        })
    }

    /// A sum, and at most one comparison, `IS NULL`, `IN`, `BETWEEN` or `LIKE` of it.
    fn condition(&mut self) -> Result<Found, PredicateError> {
        let left = self.sum()?;
        let operator = self.at();
        if let Some(op) = self.comparison() {
            self.spend(operator)?;
            let right = self.sum()?;
            let at = left.at;
            let node = compare(op, left, right, operator)?;
            return Ok(Found {
                operand: Operand::Node(node),
                at,
            });
        }
        if self.accept_keyword("IS") {
            let negated = self.accept_keyword("NOT");
            self.expect_keyword("NULL")?;
            self.spend(operator)?;
            let at = left.at;
            let operand = Box::new(left.node());
            return Ok(Found {
                operand: Operand::Node(Node::IsNull { negated, operand }),
                at,
            });
        }
        let negated = self.accept_keyword("NOT");
        if self.accept_keyword("IN") {
            self.in_list(left, negated, operator)
        } else if self.accept_keyword("BETWEEN") {
            self.between(left, negated, operator)
        } else if self.accept_keyword("LIKE") {
            self.like(left, negated, operator)
        } else if negated {
            Err(self.at().refuse(
                "NOT before something else",
                "write IN, BETWEEN or LIKE after it",
            ))
        } else {
            Ok(left)
        }
    }

    fn comparison(&mut self) -> Option<Operator> {
        let Token::Symbol(symbol) = self.peek() else {
            return None;
        };
        let op = match *symbol {
            "=" => Operator::Eq,
            "<>" => Operator::NotEq,
            "<" => Operator::Lt,
            "<=" => Operator::LtEq,
            ">" => Operator::Gt,
            ">=" => Operator::GtEq,
            _ => return None,
        };
        self.next += 1;
        Some(op)
    }

    fn in_list(
        &mut self,
        left: Found,
        negated: bool,
        operator: Position,
    ) -> Result<Found, PredicateError> {
        self.spend(operator)?;
        self.expect_symbol("(")?;
        let mut constants = Vec::new();
        loop {
            let item = self.deeper(operator, Self::sum)?;
            let Operand::Constant(constant) = item.operand else {
                return Err(item.at.refuse(
                    "something other than a constant in the list of IN",
                    "list constants, and compare with fields by = and OR",
                ));
            };
            constants.push((constant, item.at));
            if !self.accept_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        let at = left.at;
        let (operand, list) = unify(left.node(), constants)?;
        let operand = Box::new(operand);
        Ok(Found {
            operand: Operand::Node(Node::In {
                negated,
                operand,
                list,
            }),
            at,
        })
    }

    fn between(
        &mut self,
        left: Found,
        negated: bool,
        operator: Position,
    ) -> Result<Found, PredicateError> {
        self.spend(operator)?;
        let low = self.sum()?;
        self.expect_keyword("AND")?;
        let high = self.sum()?;
        let at = left.at;
        let again = Found {
            operand: left.operand.copy(),
            at,
        };
        let low = compare(Operator::GtEq, left, low, operator)?;
        let high = compare(Operator::LtEq, again, high, operator)?;
        let both = Node::Logic {
            op: Operator::And,
            left: Box::new(low),
            right: Box::new(high),
        };
        let node = if negated {
            Node::Not(Box::new(both))
        } else {
            both
        };
        Ok(Found {
            operand: Operand::Node(node),
            at,
        })
    }

    fn like(
        &mut self,
        left: Found,
        negated: bool,
        operator: Position,
    ) -> Result<Found, PredicateError> {
        self.spend(operator)?;
        let pattern = self.sum()?;
        let at = left.at;
        let operand = left.node();
        if operand.data_type() != DataType::Utf8 {
            return Err(at.refuse(
                "LIKE over something that is not text",
                "use = or CAST(… AS utf8)",
            ));
        }
        let Operand::Constant(Constant::Text(pattern_text)) = pattern.operand else {
            return Err(pattern.at.refuse(
                "a pattern that is not a constant",
                "write the pattern in single quotes, with % and _ as wildcards",
            ));
        };
        let operand = Box::new(operand);
        let node = Node::Like {
            negated,
            operand,
            pattern: pattern_text,
        };
        Ok(Found {
            operand: Operand::Node(node),
            at,
        })
    }

    fn sum(&mut self) -> Result<Found, PredicateError> {
        let mut left = self.product()?;
        loop {
            let operator = self.at();
            let op = if self.accept_symbol("+") {
                Operator::Plus
            } else if self.accept_symbol("-") {
                Operator::Minus
            } else {
                return Ok(left);
            };
            self.spend(operator)?;
            let right = self.product()?;
            left = arithmetic(op, left, right, operator)?;
        }
    }

    fn product(&mut self) -> Result<Found, PredicateError> {
        let mut left = self.signed()?;
        loop {
            let operator = self.at();
            let op = if self.accept_symbol("*") {
                Operator::Multiply
            } else if self.accept_symbol("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            self.spend(operator)?;
            let right = self.signed()?;
            left = arithmetic(op, left, right, operator)?;
        }
    }

    fn signed(&mut self) -> Result<Found, PredicateError> {
        let at = self.at();
        if self.accept_symbol("+") {
            return Err(at.refuse("a sign before nothing to add to", "leave the plus away"));
        }
        if !self.accept_symbol("-") {
            return self.primary();
        }
        let found = self.deeper(at, Self::signed)?;
        if let Operand::Constant(Constant::Number(number)) = found.operand {
            return Ok(Found {
                operand: Operand::Constant(Constant::Number(number.negated())),
                at,
            });
        }
        self.spend(at)?;
        let zero = Operand::Constant(Constant::Typed(ScalarValue::Int64(Some(0))));
        arithmetic(Operator::Minus, Found { operand: zero, at }, found, at)
    }

    fn primary(&mut self) -> Result<Found, PredicateError> {
        let at = self.at();
        let operand = match self.advance() {
            Token::Symbol("(") => {
                let inner = self.deeper(at, Self::disjunction)?;
                self.expect_symbol(")")?;
                return Ok(Found {
                    operand: inner.operand,
                    at,
                });
            }
            Token::Number(digits) => {
                let number = Number::parse(&digits).ok_or_else(|| {
                    at.refuse(
                        "a number in a form that is not exact",
                        "write up to 38 digits with at most one point, without exponent",
                    )
                })?;
                Operand::Constant(Constant::Number(number))
            }
            Token::Text(text) => Operand::Constant(Constant::Text(text)),
            Token::Quoted(name) => return self.field(&name, at),
            Token::Word(word) => return self.word(&word, at),
            Token::Symbol(_) | Token::End => {
                return Err(at.refuse(
                    "a field or constant is missing",
                    "write a field, a constant, or a condition in parentheses",
                ));
            }
        };
        self.spend(at)?;
        Ok(Found { operand, at })
    }

    fn word(&mut self, word: &str, at: Position) -> Result<Found, PredicateError> {
        let keyword = word.to_ascii_uppercase();
        let constant = match (keyword.as_str(), self.peek().clone()) {
            ("TRUE", _) => Constant::Bool(true),
            ("FALSE", _) => Constant::Bool(false),
            ("NULL", _) => Constant::Null,
            ("CAST", Token::Symbol("(")) => return self.cast(at),
            ("DATE", Token::Text(text)) => {
                self.next += 1;
                let date = value::parse_date(&text).ok_or_else(|| {
                    at.refuse(
                        "a date that the calendar does not have",
                        "write DATE '2026-01-31'",
                    )
                })?;
                Constant::Date(date)
            }
            ("TIMESTAMP", Token::Text(text)) => {
                self.next += 1;
                value::parse_timestamp(&text).ok_or_else(|| {
                    at.refuse(
                        "a point in time that does not read",
                        "write TIMESTAMP '2026-01-31 08:00:00'",
                    )
                })?
            }
            (_, Token::Symbol("(")) if !KEYWORDS.contains(&keyword.as_str()) => {
                return Err(at.refuse(
                    "a function",
                    "the only one is CAST; compare with IN, BETWEEN or LIKE instead",
                ));
            }
            (keyword, _) if KEYWORDS.contains(&keyword) => {
                return Err(at.refuse(
                    format!("{keyword} where a field or constant should be"),
                    "complete the condition; a field of that name is written in double quotes",
                ));
            }
            _ => return self.field(word, at),
        };
        self.spend(at)?;
        Ok(Found {
            operand: Operand::Constant(constant),
            at,
        })
    }

    fn field(&mut self, name: &str, at: Position) -> Result<Found, PredicateError> {
        self.spend(at)?;
        if let Ok(field) = self.fields.field_with_name(name) {
            let data_type = field.data_type().clone();
            let node = Node::Field {
                name: name.to_owned(),
                data_type,
            };
            return Ok(Found {
                operand: Operand::Node(node),
                at,
            });
        }
        // The name is not repeated: it may be a constant without its quotes.
        let near = self
            .fields
            .fields()
            .iter()
            .map(|field| (strsim::jaro_winkler(name, field.name()), field.name()))
            .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
            .max_by(|left, right| left.0.total_cmp(&right.0));
        let remedy = match near {
            Some((_, near)) => format!("did you mean `{near}`? text goes in single quotes"),
            None => {
                "write a field as the catalogue spells it; text goes in single quotes".to_owned()
            }
        };
        Err(PredicateError {
            kind: PredicateErrorKind::FieldUnknown,
            ..at.refuse("a field that the dataset does not have", remedy)
        })
    }

    fn cast(&mut self, at: Position) -> Result<Found, PredicateError> {
        self.expect_symbol("(")?;
        let inner = self.deeper(at, Self::disjunction)?;
        self.expect_keyword("AS")?;
        let target_at = self.at();
        let data_type = self.cast_type().ok_or_else(|| {
            target_at.refuse(
                "a type that the catalogue does not have",
                "use a type of the catalogue, such as int64, decimal(12,2), date or timestamp(us)",
            )
        })?;
        self.expect_symbol(")")?;
        self.spend(at)?;
        let constant = matches!(inner.operand, Operand::Constant(_));
        let operand = inner.node();
        if !castable(&operand.data_type(), &data_type) {
            return Err(at.refuse(
                "a CAST between types that do not convert",
                "cast numbers to numbers, text to anything, dates to timestamps and back",
            ));
        }
        let node = Node::Cast {
            operand: Box::new(operand),
            data_type,
            widening: false,
        };
        let operand = if constant {
            fold(&node, at)?
        } else {
            Operand::Node(node)
        };
        Ok(Found { operand, at })
    }

    /// Everything up to the closing parenthesis, read as a type of the catalogue.
    fn cast_type(&mut self) -> Option<DataType> {
        let mut text = String::new();
        let mut open = 0_u32;
        loop {
            match self.peek() {
                Token::Symbol(")") if open == 0 => break,
                Token::Symbol(symbol) => {
                    match *symbol {
                        "(" => open += 1,
                        ")" => open -= 1,
                        _ => {}
                    }
                    text.push_str(symbol);
                }
                Token::Word(word) => text.push_str(word),
                Token::Number(digits) => text.push_str(digits),
                Token::Quoted(_) | Token::Text(_) | Token::End => return None,
            }
            self.next += 1;
        }
        Some(FieldType::parse(&text).ok()?.to_arrow())
    }
}

impl Operand {
    fn copy(&self) -> Self {
        match self {
            Self::Constant(constant) => Self::Constant(constant.clone()),
            Self::Node(node) => Self::Node(node.clone()),
        }
    }
}

impl Found {
    /// The operand as a node, a constant with the type it has by itself.
    fn node(self) -> Node {
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
fn boolean(found: Found) -> Result<Node, PredicateError> {
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
fn unify(
    node: Node,
    constants: Vec<(Constant, Position)>,
) -> Result<(Node, Vec<ScalarValue>), PredicateError> {
    let mut target = node.data_type();
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

fn compare(
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
    if left.data_type() == DataType::Binary {
        return Err(operator.refuse("a comparison of bytes", "use IS NULL; bytes do not compare"));
    }
    Ok(Node::Compare {
        op,
        left: Box::new(left),
        right: Box::new(right),
    })
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

fn arithmetic(
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
fn fold(node: &Node, at: Position) -> Result<Operand, PredicateError> {
    let fail = || {
        at.refuse(
            "an expression of constants that has no value",
            "write the value itself; mind division by zero, overflow and what CAST can read",
        )
    };
    let schema = Arc::new(Schema::empty());
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options)
        .map_err(|_| fail())?;
    let expression = emit(node, &schema).map_err(|_| fail())?;
    let result = expression.evaluate(&batch).map_err(|_| fail())?;
    let array = result.into_array(1).map_err(|_| fail())?;
    let value = ScalarValue::try_from_array(&array, 0).map_err(|_| fail())?;
    Ok(Operand::Constant(match value {
        ScalarValue::Boolean(Some(value)) => Constant::Bool(value),
        value if value.is_null() => Constant::Null,
        value => Constant::Typed(value),
    }))
}

/// Whether CAST may turn one type into the other: what has one plain meaning, and no units hidden
/// in numbers.
fn castable(from: &DataType, to: &DataType) -> bool {
    let temporal =
        |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
    let plain = from == to
        || *from == DataType::Null
        || (from.is_numeric() && to.is_numeric())
        || (temporal(from) && temporal(to))
        || (*from == DataType::Utf8 && *to != DataType::Binary)
        || (*to == DataType::Utf8 && *from != DataType::Binary);
    plain && can_cast_types(from, to)
}
