//! Text to tokens: only those the language has.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token as SqlToken, Tokenizer, Whitespace, Word};

use super::{Position, PredicateError};

/// A token of the language.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: a keyword or a field.
    Word(String),
    /// A word in double quotes: always a field.
    Quoted(String),
    /// Digits with at most one point.
    Number(String),
    /// Text in single quotes.
    Text(String),
    /// Punctuation and operators.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it begins.
#[derive(Clone)]
pub(super) struct Located {
    pub(super) token: Token,
    pub(super) at: Position,
}

/// Cuts `text` into tokens, the last of which is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Located>, PredicateError> {
    let cut = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| {
            let at = Position {
                line: error.location.line,
                column: error.location.column,
            };
            at.refuse(
                "the text breaks off or holds a character that the language does not have",
                "close every quote, and double a quote that stands within quotes",
            )
        })?;
    let mut tokens = Vec::with_capacity(cut.len() + 1);
    for found in cut {
        let at = Position {
            line: found.span.start.line,
            column: found.span.start.column,
        };
        if let Some(token) = translate(found.token, at)? {
            tokens.push(Located { token, at });
        }
    }
    tokens.push(Located {
        token: Token::End,
        at: end_of(text),
    });
    Ok(tokens)
}

fn end_of(text: &str) -> Position {
    let mut at = Position { line: 1, column: 1 };
    for character in text.chars() {
        if character == '\n' {
            at = Position {
                line: at.line + 1,
                column: 1,
            };
        } else {
            at.column += 1;
        }
    }
    at
}

/// The token as this language knows it; `None` for white space.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an allow-list: every other token is refused"
)]
fn translate(token: SqlToken, at: Position) -> Result<Option<Token>, PredicateError> {
    let symbol = |symbol| Ok(Some(Token::Symbol(symbol)));
    match token {
        SqlToken::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => Ok(None),
        SqlToken::Whitespace(_) => Err(at.refuse(
            "a comment",
            "remove it; use `purpose` or `scenario` to explain",
        )),
        SqlToken::Word(Word {
            value,
            quote_style: None,
            ..
        }) => Ok(Some(Token::Word(value))),
        SqlToken::Word(Word {
            value,
            quote_style: Some('"'),
            ..
        }) => Ok(Some(Token::Quoted(value))),
        SqlToken::Number(digits, false) => Ok(Some(Token::Number(digits))),
        SqlToken::SingleQuotedString(text) => Ok(Some(Token::Text(text))),
        SqlToken::Comma => symbol(","),
        SqlToken::LParen => symbol("("),
        SqlToken::RParen => symbol(")"),
        SqlToken::Eq => symbol("="),
        SqlToken::Neq => symbol("<>"),
        SqlToken::Lt => symbol("<"),
        SqlToken::Gt => symbol(">"),
        SqlToken::LtEq => symbol("<="),
        SqlToken::GtEq => symbol(">="),
        SqlToken::Plus => symbol("+"),
        SqlToken::Minus => symbol("-"),
        SqlToken::Mul => symbol("*"),
        SqlToken::Div => symbol("/"),
        SqlToken::Colon => symbol(":"),
        _ => Err(at.refuse(
            "something that the predicate language does not have",
            "use comparison, AND, OR, NOT, IN, BETWEEN, IS NULL, LIKE, + - * /, CAST and constants",
        )),
    }
}
