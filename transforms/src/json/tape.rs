//! A document as a flat list of tokens, checked as a whole before any of it is used.

use std::borrow::Cow;
use std::collections::HashSet;

/// Deepest nesting of objects and arrays.
pub(crate) const DEPTH_MAX: usize = 64;

/// Most bytes of a document.
pub(crate) const BYTES_MAX: usize = 16 << 20;

/// Keys up to which an object is searched for doubles pair by pair.
const PAIRS_MAX: usize = 12;

/// One token. Of an object, keys (as [`Token::Text`]) and values follow in turn; of an array, the
/// elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// An object; its tokens end before `end`.
    Object {
        /// The token after the object.
        end: usize,
    },
    /// An array; its tokens end before `end`.
    Array {
        /// The token after the array.
        end: usize,
    },
    /// Text, between its quotes.
    Text(Span),
    /// A number.
    Number(Span),
    True,
    False,
    Null,
}

/// A part of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Span {
    /// The text as the document has it.
    pub(crate) fn raw(self, document: &str) -> &str {
        document.get(self.start..self.end).unwrap_or_default()
    }

    /// The text that is meant, escapes resolved. The scanner has made sure that there is one.
    pub(crate) fn text(self, document: &str) -> Cow<'_, str> {
        let raw = self.raw(document);
        if !self.escaped {
            return Cow::Borrowed(raw);
        }
        Cow::Owned(unescape(raw).unwrap_or_default())
    }
}

/// The document is no JSON, or none that every reader understands alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The tokens of one document; kept from document to document for its memory.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    tokens: Vec<Token>,
}

impl Tape {
    /// Reads a document, which must be an object or an array (RFC 8259): no key twice in one
    /// object, no half of a surrogate pair, at most 64 levels and 16 MiB, nothing after it.
    ///
    /// # Errors
    /// The document isn't of that kind.
    pub(crate) fn scan(&mut self, document: &str) -> Result<&[Token], Malformed> {
        self.tokens.clear();
        if document.len() > BYTES_MAX {
            return Err(Malformed);
        }
        let bytes = document.as_bytes();
        let mut scanner = Scanner {
            document,
            bytes,
            at: 0,
            tokens: &mut self.tokens,
        };
        scanner.space();
        if !matches!(scanner.peek(), Some(b'{' | b'[')) {
            return Err(Malformed);
        }
        scanner.value(0)?;
        scanner.space();
        match scanner.peek() {
            Some(_) => Err(Malformed),
            None => Ok(&self.tokens),
        }
    }
}

struct Scanner<'a> {
    document: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: &'a mut Vec<Token>,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        self.takes(byte).then_some(()).ok_or(Malformed)
    }

    fn word(&mut self, word: &str, token: Token) -> Result<(), Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Malformed);
        }
        self.at += word.len();
        self.tokens.push(token);
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.text().map(|span| self.tokens.push(Token::Text(span))),
            Some(b't') => self.word("true", Token::True),
            Some(b'f') => self.word("false", Token::False),
            Some(b'n') => self.word("null", Token::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(Malformed),
        }
    }

    /// Sets the token that opened a container, now that its end is known.
    fn close(&mut self, opened: usize, token: fn(usize) -> Token) {
        let end = self.tokens.len();
        if let Some(opening) = self.tokens.get_mut(opened) {
            *opening = token(end);
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let opened = self.tokens.len();
        self.tokens.push(Token::Object { end: 0 });
        self.at += 1;
        self.space();
        if !self.takes(b'}') {
            loop {
                let key = self.text()?;
                self.tokens.push(Token::Text(key));
                self.space();
                self.expect(b':')?;
                self.space();
                self.value(depth)?;
                self.space();
                if self.takes(b'}') {
                    break;
                }
                self.expect(b',')?;
                self.space();
            }
        }
        self.close(opened, |end| Token::Object { end });
        self.no_key_twice(opened)
    }

    fn array(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let opened = self.tokens.len();
        self.tokens.push(Token::Array { end: 0 });
        self.at += 1;
        self.space();
        if !self.takes(b']') {
            loop {
                self.value(depth)?;
                self.space();
                if self.takes(b']') {
                    break;
                }
                self.expect(b',')?;
                self.space();
            }
        }
        self.close(opened, |end| Token::Array { end });
        Ok(())
    }

    /// The keys of the object that was opened there.
    fn keys(&self, opened: usize) -> impl Iterator<Item = Span> + Clone {
        let mut at = opened + 1;
        std::iter::from_fn(move || {
            let Some(Token::Text(key)) = self.tokens.get(at) else {
                return None;
            };
            at = after(self.tokens, at + 1);
            Some(*key)
        })
    }

    fn no_key_twice(&self, opened: usize) -> Result<(), Malformed> {
        let keys = self.keys(opened);
        let count = keys.clone().take(PAIRS_MAX + 1).count();
        let text = |key: Span| key.text(self.document);
        let twice = if count <= PAIRS_MAX {
            let mut rest = keys;
            std::iter::from_fn(|| rest.next().map(|key| (key, rest.clone())))
                .any(|(key, mut rest)| rest.any(|other| text(key) == text(other)))
        } else {
            let mut seen = HashSet::new();
            !keys.into_iter().all(|key| seen.insert(text(key)))
        };
        if twice { Err(Malformed) } else { Ok(()) }
    }

    fn text(&mut self) -> Result<Span, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let special = |byte: &u8| matches!(*byte, b'"' | b'\\' | 0..=0x1F);
            self.at += rest.iter().position(special).ok_or(Malformed)?;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    // The escape itself is checked below; here, it only must not end the text.
                    self.at += 2;
                }
                _ => return Err(Malformed),
            }
        }
        let span = Span {
            start,
            end: self.at,
            escaped,
        };
        self.at += 1;
        if escaped && unescape(span.raw(self.document)).is_none() {
            return Err(Malformed);
        }
        Ok(span)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(Malformed)
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.tokens.push(Token::Number(Span {
            start,
            end: self.at,
            escaped: false,
        }));
        Ok(())
    }
}

/// The token after the value that begins at `at`.
pub(crate) fn after(tokens: &[Token], at: usize) -> usize {
    match tokens.get(at) {
        Some(Token::Object { end } | Token::Array { end }) => *end,
        _ => at + 1,
    }
}

/// The text that an escaped one means; `None` where an escape is none, or half a surrogate pair.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escape.chars();
        let character = match characters.next()? {
            'b' => '\u{8}',
            'f' => '\u{C}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = hex4(&mut characters)?;
                if (0xD800..0xDC00).contains(&unit) {
                    let (slash, u) = (characters.next()?, characters.next()?);
                    let low = hex4(&mut characters)?;
                    if (slash, u) != ('\\', 'u') || !(0xDC00..0xE000).contains(&low) {
                        return None;
                    }
                    char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))?
                } else {
                    char::from_u32(unit)?
                }
            }
            same @ ('"' | '\\' | '/') => same,
            _ => return None,
        };
        text.push(character);
        rest = characters.as_str();
    }
    text.push_str(rest);
    Some(text)
}

fn hex4(characters: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| {
        Some(unit << 4 | characters.next()?.to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reads(document: &str) -> bool {
        Tape::default().scan(document).is_ok()
    }

    #[test]
    fn documents_are_objects_and_arrays() {
        for document in [
            "{}",
            "[]",
            " {\"a\" : [1, -0.5e+7, true, false, null, \"x\"]}\n",
            "[[{}]]",
        ] {
            assert!(reads(document), "{document}");
        }
        for document in ["", " ", "1", "\"a\"", "null", "true"] {
            assert!(!reads(document), "{document}");
        }
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for document in [
            "{",
            "[",
            "{]",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "[1 2]",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[1e]",
            "[-]",
            "[NaN]",
            "[Infinity]",
            "[\"a]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"\t\"]",
            "[] []",
            "[]x",
            "{\"a\"}",
            "{\"a\":}",
            "{1:2}",
            "[tru]",
            "[nul]",
            "\u{feff}[]",
            "[1]//c",
            "[\"\\\"]",
            "[\"\\u00g0\"]",
            "[\u{a0}1]",
            "[\"\\\u{e9}\"]",
        ] {
            assert!(!reads(document), "{document}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_malformed() {
        assert!(reads(r#"["\ud83d\ude00"]"#));
        for document in [
            r#"["\ud83d"]"#,
            r#"["\ude00"]"#,
            r#"["\ud83d\u0041"]"#,
            r#"["\ud83dxx"]"#,
        ] {
            assert!(!reads(document), "{document}");
        }
    }

    #[test]
    fn a_key_twice_is_malformed_however_it_is_spelt() {
        assert!(!reads(r#"{"a":1,"a":2}"#));
        assert!(!reads(r#"{"a":1,"\u0061":2}"#));
        assert!(!reads(r#"[{"b":{"a":1,"c":[],"a":2}}]"#));
        assert!(reads(r#"{"a":{"a":1},"b":{"a":1}}"#));
        let many = |last: &str| {
            let keys: Vec<String> = (0..40).map(|key| format!("\"k{key}\":{key}")).collect();
            format!("{{{},\"{last}\":1}}", keys.join(","))
        };
        assert!(reads(&many("k40")));
        assert!(!reads(&many("k7")));
    }

    #[test]
    fn depth_and_size_are_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(reads(&nested(DEPTH_MAX)));
        assert!(!reads(&nested(DEPTH_MAX + 1)));
        assert!(!reads(&nested(100_000)));
        assert!(!reads(&format!("[{}]", " ".repeat(BYTES_MAX))));
    }

    #[test]
    fn escapes_are_resolved() {
        let document = r#"["\"\\\/\b\f\n\r\t\u5f20\ud842\udfb7é"]"#;
        let mut tape = Tape::default();
        let tokens = tape.scan(document).unwrap();
        let Some(Token::Text(span)) = tokens.get(1) else {
            panic!("a text")
        };
        assert_eq!(span.text(document), "\"\\/\u{8}\u{c}\n\r\t张𠮷é");
    }

    /// Documents with all sorts of mistakes.
    fn documents() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\\n\"",
            "\"\\u00e9\"",
            "1",
            "-0",
            "1.5e3",
            "true",
            "null",
            " ",
            "\"",
            "\\",
            "é",
        ]);
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Documents that are right.
    fn right() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}|[\u{0}-\u{1f}\"\\\\]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("\\PC{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_read_that_serde_json_refuses(inside in documents()) {
            for document in [inside.clone(), format!("[{inside}]"), format!("{{{inside}}}")] {
                if reads(&document) {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
                }
            }
        }

        #[test]
        fn what_serde_json_writes_is_read(value in right()) {
            let document = serde_json::to_string(&[value]).unwrap();
            prop_assert!(reads(&document), "{}", document);
        }
    }
}
