//! serde's and the parser's messages in the words of an operator, without the values they quote.

use lockgate_transforms::Options;
use toml::de::DeValue;

use crate::site::suggest::{did_you_mean, list, nearest};

/// Longest unknown value that is shown.
const SHOWN_BYTES_MAX: usize = 64;

/// Most known words that are told beside the one that may have been meant: more than any parameter
/// of a treatment has.
const WORDS_MAX: usize = 32;

/// What serde complained of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Complaint {
    /// A required key is absent.
    Missing { key: String },
    /// A key is not known.
    UnknownKey { key: String, known: Vec<String> },
    /// A word is not one of those allowed.
    UnknownWord { word: String, known: Vec<String> },
    /// Anything else.
    Other,
}

impl Complaint {
    /// Reads serde's message.
    pub(super) fn of(message: &str) -> Self {
        let words = quoted(message);
        let mut words = words.into_iter();
        let Some(first) = words.next() else {
            return Self::Other;
        };
        let known: Vec<String> = words.collect();
        if message.starts_with("missing field `") {
            Self::Missing { key: first }
        } else if message.starts_with("unknown field `") {
            Self::UnknownKey { key: first, known }
        } else if message.starts_with("unknown variant `") {
            Self::UnknownWord { word: first, known }
        } else {
            Self::Other
        }
    }
}

/// What is wrong and what to do, given what serde complained of and the value it speaks of.
pub(super) fn explain(
    complaint: &Complaint,
    message: &str,
    value: Option<&DeValue<'_>>,
) -> (String, Option<String>) {
    match complaint {
        Complaint::Missing { key } => (format!("`{key}` is missing"), None),
        Complaint::UnknownKey { key, known } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let what = format!("unknown key `{}`", shown(key));
            // A treatment's are told in any case: few know all of them.
            let hint = match known.contains(&Options::KEYS[0]) {
                true => near_and_all(key, "known keys", &known),
                false => did_you_mean(key, "known keys", known),
            };
            (what, hint)
        }
        Complaint::UnknownWord { known, .. } if is_secret(known) => secret_by_value(),
        Complaint::UnknownWord { word, known } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let what = format!("unknown value `{}`", shown(word));
            (what, near_and_all(word, "known values", &known))
        }
        Complaint::Other => other(message, value),
    }
}

/// The known word that may have been meant; and all of them beside it, unless there are as many as kinds.
fn near_and_all(word: &str, what: &str, known: &[&str]) -> Option<String> {
    let near = nearest(word, known.iter().copied());
    let near = near.map(|near| format!("did you mean `{near}`?"));
    let told = near.is_none() || known.len() <= WORDS_MAX;
    let all = list(known).filter(|_| told);
    let all = all.map(|known| format!("{what}: {known}"));
    let hints: Vec<String> = near.into_iter().chain(all).collect();
    (!hints.is_empty()).then(|| hints.join(" "))
}

/// What a syntax error says.
pub(super) fn syntax(message: &str) -> (String, Option<String>) {
    let message = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    let what = match message {
        "" => "not valid TOML".to_owned(),
        "recursion limit" => "nested too deeply".to_owned(),
        message => format!("not valid TOML: {message}"),
    };
    let hint = message
        .starts_with("duplicate key")
        .then(|| "each key may stand once in its table".to_owned());
    (what, hint)
}

fn other(message: &str, value: Option<&DeValue<'_>>) -> (String, Option<String>) {
    let found = value.map_or("something else", found);
    if let Some((_, expected)) = split_expected(message, "invalid type: ") {
        return (
            format!("expected {}, found {found}", expectation(expected)),
            None,
        );
    }
    if let Some((_, expected)) = split_expected(message, "invalid value: ") {
        let value = if found == "a whole number" {
            "one out of range"
        } else {
            "another"
        };
        return (
            format!("expected {}, found {value}", expectation(expected)),
            None,
        );
    }
    if let Some((_, expected)) = split_expected(message, "invalid length ") {
        return (
            format!("expected {}, found another length", expectation(expected)),
            None,
        );
    }
    if message.starts_with("wanted exactly 1 element") {
        return ("expected a table with exactly one key".to_owned(), None);
    }
    if message == "wanted string or table" {
        return (
            format!("expected one of the known words, found {found}"),
            None,
        );
    }
    let line = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    (
        if line.is_empty() {
            "cannot be read".to_owned()
        } else {
            line.to_owned()
        },
        None,
    )
}

fn is_secret(known: &[String]) -> bool {
    known == ["env", "file"]
}

fn secret_by_value() -> (String, Option<String>) {
    (
        "a secret is given by reference, never by value".to_owned(),
        Some("write { env = \"NAME\" } or { file = \"path\" }".to_owned()),
    )
}

fn shown(word: &str) -> &str {
    if word.len() <= SHOWN_BYTES_MAX && !word.chars().any(char::is_control) {
        word
    } else {
        "…"
    }
}

fn split_expected<'a>(message: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    message.strip_prefix(start)?.rsplit_once(", expected ")
}

fn expectation(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "path string" | "string" => "text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum") => {
            "a table".to_owned()
        }
        other if other.starts_with("variant of enum") || other.starts_with("enum ") => {
            "one of the known words".to_owned()
        }
        other => other.to_owned(),
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The words between backticks.
fn quoted(message: &str) -> Vec<String> {
    message
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
