//! Tokens to a checked expression: precedence, types, limits.
//!
//! From loose to tight: `OR`, `AND`, `NOT`, one condition, `+ -`, `* /`, signs. Conditions do not
//! chain (`a < b < c`, `a = b IS NULL`): parentheses must say what is meant.

use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::scalar::ScalarValue;

use super::lexer::{Located, Token};
use super::typing::{Found, Operand, arithmetic, boolean, castable, compare, fold, unify};
use super::value::{self, Constant, Number};
use super::{DEPTH_MAX, NODES_MAX, Node, Position, PredicateError, PredicateErrorKind};
use crate::site::field_type::FieldType;

/// Words with a meaning; a field of such a name is written in double quotes.
const KEYWORDS: [&str; 12] = [
    "AND", "AS", "BETWEEN", "CAST", "FALSE", "IN", "IS", "LIKE", "NOT", "NULL", "OR", "TRUE",
];

/// Words of SQL that this language leaves out, where no field has the name.
const LEFT_OUT: [&str; 26] = [
    "ALL",
    "ANY",
    "ARRAY",
    "CASE",
    "COLLATE",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "DISTINCT",
    "ELSE",
    "END",
    "ESCAPE",
    "EXISTS",
    "FROM",
    "ILIKE",
    "INTERVAL",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "ROW",
    "SELECT",
    "SESSION_USER",
    "SOME",
    "THEN",
    "WHEN",
    "WITH",
];

/// Least likeness of a name to be suggested.
const LIKENESS_MIN: f64 = 0.75;

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
        let located = self.tokens.get(self.next).or_else(|| self.tokens.last());
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
            (keyword, _)
                if LEFT_OUT.contains(&keyword) && self.fields.field_with_name(word).is_err() =>
            {
                return Err(at.refuse(
                    format!("{keyword}, which is not in the language of conditions"),
                    "compare fields and constants with AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL",
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
