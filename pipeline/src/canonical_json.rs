//! The one byte form of a JSON document, so that a signature over it leaves no byte free.
//!
//! Keys sorted by Unicode code points, no white space, strings with the fewest escapes (`\"`, `\\`,
//! and the control characters below U+0020), integers of 64 bits only. That is RFC 8785 but for two
//! choices: keys sort by code points rather than UTF-16 units, and numbers that are no integers are
//! refused rather than formatted. A document is read only if it equals its own serialisation byte
//! for byte, which refuses duplicate keys, spare white space, other escapes and other spellings of
//! a number in one rule.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Deepest nesting of arrays and objects that is written or read.
pub const DEPTH_MAX: usize = 64;

/// Largest document that is written or read, in bytes.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;

/// A document that has no canonical form, or is not in it.
#[derive(Debug, Error)]
pub enum CanonicalError {
    /// Not JSON, or not of the shape that was asked for.
    #[error("not a valid document: {}", describe(.0))]
    Malformed(serde_json::Error),
    /// JSON, but written in another way than the canonical one.
    #[error(
        "not in canonical form: keys must be sorted and unique, without spare white space or escapes"
    )]
    NotCanonical,
    /// Holds a number that is not an integer of 64 bits.
    #[error("holds a number that is not a 64-bit integer; write it as text")]
    NotAnInteger,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Larger than [`BYTES_MAX`].
    #[error("larger than {BYTES_MAX} bytes")]
    TooLarge,
    /// Of another form than this version reads.
    #[error("of form {found}, and this version reads form {read}")]
    OtherForm {
        /// What it says under `format`.
        found: u32,
        /// What was asked for.
        read: u32,
    },
}

/// Says where a document is malformed without repeating any of it.
fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "cannot be read",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a key is unknown, missing or of another type",
        serde_json::error::Category::Eof => "it ends too early",
    };
    match error.line() {
        0 => what.to_owned(),
        line => format!("{what}, line {line}, column {}", error.column()),
    }
}

/// The canonical bytes of `document`.
///
/// # Errors
/// A number that is not a 64-bit integer, nesting or size beyond the limits, a map whose keys are
/// not text.
pub fn to_bytes<T: Serialize + ?Sized>(document: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(document).map_err(CanonicalError::Malformed)?;
    let mut out = Vec::new();
    write(&value, 0, &mut out)?;
    if out.len() > BYTES_MAX {
        return Err(CanonicalError::TooLarge);
    }
    Ok(out)
}

/// Reads a document that must equal its own canonical serialisation.
///
/// # Errors
/// Bytes that are not JSON or not canonical; see [`CanonicalError`].
pub fn parse(bytes: &[u8]) -> Result<Value, CanonicalError> {
    if bytes.len() > BYTES_MAX {
        return Err(CanonicalError::TooLarge);
    }
    let value: Value = serde_json::from_slice(bytes).map_err(CanonicalError::Malformed)?;
    if to_bytes(&value)? != bytes {
        return Err(CanonicalError::NotCanonical);
    }
    Ok(value)
}

/// Reads a typed document: canonical as bytes, and nothing lost in the type (a key the type would
/// drop, a default it would fill in).
///
/// Meant for what was verified, by its signature or hash, or is the site's own: keys are sorted by way of
/// a tree of values, which can take a hundred times as much memory as its bytes.
///
/// # Errors
/// As [`parse`], and a document of another shape.
pub fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    if bytes.len() > BYTES_MAX {
        return Err(CanonicalError::TooLarge);
    }
    // As the type, so that what is none fails before a tree of values is made of it. What the type writes
    // is canonical, so bytes that equal it are.
    let document: T = serde_json::from_slice(bytes).map_err(CanonicalError::Malformed)?;
    if to_bytes(&document)? != bytes {
        return Err(CanonicalError::NotCanonical);
    }
    Ok(document)
}

/// The same of a document whose form is numbered under `format`. One of another form says so, rather than
/// which key of it is unknown.
///
/// # Errors
/// As [`read`], and a document of another form.
pub fn read_form<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    form: u32,
) -> Result<T, CanonicalError> {
    /// What documents of all forms have.
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    if bytes.len() > BYTES_MAX {
        return Err(CanonicalError::TooLarge);
    }
    match serde_json::from_slice(bytes) {
        Ok(Form { format }) if format != form => Err(CanonicalError::OtherForm {
            found: format,
            read: form,
        }),
        Ok(_) | Err(_) => read(bytes),
    }
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    if depth > DEPTH_MAX {
        return Err(CanonicalError::TooDeep);
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            if number.as_u64().is_none() && number.as_i64().is_none() {
                return Err(CanonicalError::NotAnInteger);
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => write_text(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write(item, depth.saturating_add(1), out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            // Order of UTF-8 bytes is order of code points.
            sorted.sort_unstable_by(|left, right| left.0.cmp(right.0));
            out.push(b'{');
            for (position, (key, member)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_text(key, out)?;
                out.push(b':');
                write(member, depth.saturating_add(1), out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// serde_json escapes exactly what must be escaped, with lower-case digits and the short forms.
fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(CanonicalError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_by_code_points_and_nothing_is_spare() {
        let value = json!({"b": [1, -2, true, null], "\u{1f600}": 1, "\u{ffff}": 2, "a": {"z": "", "y": "中\u{7f}\n\u{1}\"\\/"}});
        assert_eq!(
            String::from_utf8(to_bytes(&value).unwrap()).unwrap(),
            "{\"a\":{\"y\":\"中\u{7f}\\n\\u0001\\\"\\\\/\",\"z\":\"\"},\"b\":[1,-2,true,null],\"\u{ffff}\":2,\"\u{1f600}\":1}"
        );
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"a": 1}"#,
            "{\"a\":1}\n",
            r#" {"a":1}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u000a"}"#,
            r#"{"a":-0}"#,
            r#"{"a":1e2}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1.5}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":01}"#,
            r#"{"a":1}{}"#,
            "\u{feff}{\"a\":1}",
            "",
            "{",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse(br#"{"a":18446744073709551615,"b":-9223372036854775808}"#).is_ok());
    }

    #[test]
    fn floats_have_no_canonical_form() {
        assert!(matches!(
            to_bytes(&json!({"a": 1.5})),
            Err(CanonicalError::NotAnInteger)
        ));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(DEPTH_MAX + 1).as_bytes()).is_ok());
        assert!(matches!(
            parse(nested(DEPTH_MAX + 2).as_bytes()),
            Err(CanonicalError::TooDeep)
        ));
        assert!(parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn a_type_that_drops_or_fills_in_something_refuses_the_document() {
        #[derive(Serialize, Deserialize)]
        struct Loose {
            a: u8,
            #[serde(default)]
            b: u8,
        }
        assert!(read::<Loose>(br#"{"a":1,"b":0}"#).is_ok());
        assert!(read::<Loose>(br#"{"a":1}"#).is_err());
        assert!(read::<Loose>(br#"{"a":1,"b":0,"c":0}"#).is_err());
    }

    #[test]
    fn a_document_of_another_form_says_so_whatever_else_it_holds() {
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Formed {
            format: u32,
        }
        let read = |text: &str| read_form::<Formed>(text.as_bytes(), 1);
        assert_eq!(read(r#"{"format":1}"#).unwrap().format, 1);
        let error = read(r#"{"format":2,"new":true}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "of form 2, and this version reads form 1"
        );
        for damaged in [r#"{"format":1,"new":true}"#, r#"{"format":"2"}"#, "{}", ""] {
            let error = read(damaged).unwrap_err();
            assert!(matches!(error, CanonicalError::Malformed(_)), "{damaged}");
        }
        let spaced = read(r#"{"format": 1}"#).unwrap_err();
        assert!(matches!(spaced, CanonicalError::NotCanonical));
    }

    #[test]
    fn errors_do_not_repeat_the_document() {
        let error = read::<u8>(br#""secret-value""#).unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn written_documents_read_back(value in any_value()) {
            let bytes = to_bytes(&value).unwrap();
            prop_assert_eq!(parse(&bytes).unwrap(), value);
        }

        #[test]
        fn an_accepted_document_is_its_own_serialisation(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = parse(&bytes) {
                prop_assert_eq!(to_bytes(&value).unwrap(), bytes);
            }
        }
    }
}
