//! A JSON object or array on each line.
//!
//! Numbers are taken as they are written, because an identifier of twenty digits would not survive
//! any number type; so a line is checked by serde_json and then cut into its members as text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use arrow::record_batch::RecordBatch;
use serde::de::IgnoredAny;

use super::delimited::too_long;
use super::rows::{BatchBuilder, COLUMNS_MAX, Columns};
use super::text::{Piece, Source, Text};
use super::{Batches, unreadable};
use crate::error::ConnectorError;
use crate::format::csv::records::RECORD_BYTES_MAX;

/// How many lines the columns are told from.
const SAMPLE_LINES: usize = 1_000;

/// What is on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// An object; its keys are the columns.
    Objects,
    /// An array; its places are the columns.
    Arrays,
}

/// Whether a text is JSON: it begins with an object, or its first line is an array.
pub(super) fn is_json(sample: &str) -> bool {
    let text = sample.trim_start();
    let line = text.lines().next().unwrap_or_default().trim_end();
    match text.chars().next() {
        Some('{') => true,
        // The second is the beginning of an array of all rows.
        Some('[') => {
            is_valid(line)
                || line
                    .trim_start_matches(['[', ' '])
                    .chars()
                    .all(|c| c == '{')
        }
        _ => false,
    }
}

fn is_valid(json: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// Finds the columns: the keys of the first lines in the order in which they appear, or as many as
/// the longest array has members.
pub(super) fn open(
    source: &Source,
    header: Option<bool>,
) -> Result<(Shape, Columns), ConnectorError> {
    let mut lines = Lines::open(source)?;
    let mut sample = Sample::default();
    for _ in 0..SAMPLE_LINES {
        let Some((line, _)) = lines.next()? else {
            break;
        };
        match parse(line) {
            // An array of objects is the whole table on one line.
            Some((Shape::Arrays, parts)) if parts.iter().any(|raw| raw.starts_with('{')) => break,
            Some((Shape::Arrays, parts)) if sample.names.is_empty() => sample.add_array(&parts),
            Some((Shape::Objects, parts)) if sample.first_array.is_none() => {
                sample.add_keys(&parts);
            }
            Some(_) | None => {}
        }
    }
    let place = source.place();
    if let Some(first) = sample.first_array {
        let columns = Columns::from_first_row(&first, sample.width, header, place)?;
        return Ok((Shape::Arrays, columns));
    }
    if sample.names.is_empty() {
        return Err(unreadable(
            place,
            None,
            "it begins like JSON, but none of its first lines is a row: an object, or an array without objects",
            "write each row on a line of its own (`jq -c '.[]' FILE` does that to an array of rows)",
        ));
    }
    Ok((Shape::Objects, Columns::named(sample.names, place)?))
}

/// What the first lines hold.
#[derive(Default)]
struct Sample {
    names: Vec<String>,
    seen: HashSet<String>,
    name_bytes: usize,
    first_array: Option<Vec<String>>,
    width: usize,
}

impl Sample {
    fn add_keys(&mut self, parts: &[&str]) {
        for key in parts.iter().step_by(2).filter_map(|raw| string(raw)) {
            let name = key.trim();
            let room = self.names.len() <= COLUMNS_MAX && self.name_bytes < RECORD_BYTES_MAX;
            if room && !self.seen.contains(name) {
                self.name_bytes = self.name_bytes.saturating_add(name.len());
                self.seen.insert(name.to_owned());
                self.names.push(name.to_owned());
            }
        }
    }

    fn add_array(&mut self, parts: &[&str]) {
        self.width = self.width.max(parts.len());
        if self.first_array.is_none() {
            let text = |raw: &&str| cell(raw).ok().flatten().unwrap_or_default().into_owned();
            self.first_array = Some(parts.iter().map(text).collect());
        }
    }
}

/// A line's members: of an object, keys and values by turns. A comma after it is that of an array
/// of rows.
fn parse(line: &str) -> Option<(Shape, Vec<&str>)> {
    let line = line.trim().trim_end_matches(',');
    let shape = match line.chars().next()? {
        '{' => Shape::Objects,
        '[' => Shape::Arrays,
        _ => return None,
    };
    is_valid(line).then(|| (shape, members(line)))
}

/// Cuts a valid object or array at the commas and colons between its members.
fn members(json: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    let mut start = 0;
    for (index, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        let ends_member = match byte {
            b'"' => {
                in_string = true;
                false
            }
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth == 1 {
                    start = index.saturating_add(1);
                }
                false
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            b',' | b':' => depth == 1,
            _ => false,
        };
        if ends_member {
            let member = json.get(start..index).unwrap_or_default().trim();
            if !member.is_empty() {
                found.push(member);
            }
            start = index.saturating_add(1);
        }
    }
    found
}

/// A valid JSON string's text; none if it escapes half of a character only.
fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The string of a value that has no text.
struct NoText;

/// The text of a valid value: of a string what it says, of a number the way it is written but for
/// exponents, of an array or object its JSON without white space. Null is none.
fn cell(raw: &str) -> Result<Option<Cow<'_, str>>, NoText> {
    Ok(Some(match raw.chars().next() {
        Some('"') => string(raw).ok_or(NoText)?,
        Some('{' | '[') => Cow::Owned(compact(raw)),
        Some('n') | None => return Ok(None),
        Some('t' | 'f') => Cow::Borrowed(raw),
        Some(_) if raw.contains(['e', 'E']) => match raw.parse::<f64>() {
            Ok(number) if number.is_finite() => Cow::Owned(number.to_string()),
            _ => Cow::Borrowed(raw),
        },
        Some(_) => Cow::Borrowed(raw),
    }))
}

fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |character: &char| {
        if in_string {
            in_string = escaped || *character != '"';
            escaped = !escaped && *character == '\\';
            return true;
        }
        in_string = *character == '"';
        !character.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// The lines of a text, but for blank ones and the brackets around an array of rows.
struct Lines {
    text: Text,
    place: String,
    line: Vec<u8>,
    count: u64,
}

impl Lines {
    fn open(source: &Source) -> Result<Self, ConnectorError> {
        Ok(Self {
            text: source.read()?,
            place: source.place().to_owned(),
            line: Vec::new(),
            count: 0,
        })
    }

    /// The next line, and whether all of its bytes were characters.
    ///
    /// # Errors
    /// A line that is longer than a record may be.
    fn next(&mut self) -> Result<Option<(&str, bool)>, ConnectorError> {
        loop {
            self.line.clear();
            let (ended, valid) = self.read()?;
            if !matches!(self.line.trim_ascii(), b"" | b"[" | b"]") {
                self.count = self.count.saturating_add(1);
                let line = std::str::from_utf8(&self.line);
                return line
                    .map(|line| Some((line, valid)))
                    .map_err(|_| ConnectorError::bug("decoded text is no UTF-8"));
            }
            if ended {
                return Ok(None);
            }
        }
    }

    /// Reads up to the end of a line. Says whether that is the end of the text, and whether all bytes
    /// were characters.
    fn read(&mut self) -> Result<(bool, bool), ConnectorError> {
        let mut valid = true;
        loop {
            match self.text.piece()? {
                Piece::Text(text) => {
                    let end = text.iter().position(|&byte| byte == b'\n');
                    let part = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
                    self.line.extend_from_slice(part);
                    let taken = part.len().saturating_add(usize::from(end.is_some()));
                    self.text.consume(taken);
                    if end.is_some() {
                        return Ok((false, valid));
                    }
                }
                Piece::Invalid => {
                    valid = false;
                    self.line.extend_from_slice("\u{FFFD}".as_bytes());
                }
                Piece::End => return Ok((true, valid)),
            }
            if self.line.len() > RECORD_BYTES_MAX {
                return Err(too_long(&self.place, self.count));
            }
        }
    }
}

/// The rows of a text.
pub(super) struct Rows {
    lines: Lines,
    shape: Shape,
    builder: BatchBuilder,
    /// The column of each key.
    places: HashMap<String, usize>,
    width: usize,
    skip_header: bool,
    irregular: u64,
}

impl Rows {
    pub(super) fn open(
        source: &Source,
        shape: Shape,
        columns: &Columns,
    ) -> Result<Self, ConnectorError> {
        let names = columns.names.iter().cloned();
        Ok(Self {
            lines: Lines::open(source)?,
            shape,
            builder: BatchBuilder::new(columns),
            places: names
                .enumerate()
                .map(|(place, name)| (name, place))
                .collect(),
            width: columns.names.len(),
            skip_header: shape == Shape::Arrays && columns.has_header,
            irregular: 0,
        })
    }
}

impl Batches for Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, ConnectorError> {
        while !self.builder.is_full() {
            let Some((line, valid)) = self.lines.next()? else {
                break;
            };
            let parsed = parse(line).filter(|(shape, _)| *shape == self.shape);
            let Some((_, parts)) = parsed else {
                self.irregular = self.irregular.saturating_add(1);
                continue;
            };
            if std::mem::take(&mut self.skip_header) {
                continue;
            }
            let mut regular = valid && (self.shape == Shape::Objects || parts.len() == self.width);
            let mut cells = vec![None; self.width];
            let mut set = |place: Option<usize>, raw| {
                let text = cell(raw);
                regular &= text.is_ok();
                match place.and_then(|place| cells.get_mut(place)) {
                    Some(slot) => *slot = text.ok().flatten(),
                    None => regular = false,
                }
            };
            match self.shape {
                Shape::Arrays => {
                    for (place, raw) in parts.iter().enumerate() {
                        set(Some(place), raw);
                    }
                }
                Shape::Objects => {
                    let (keys, values) = (parts.iter().step_by(2), parts.iter().skip(1).step_by(2));
                    for (key, value) in keys.zip(values) {
                        let name = string(key);
                        let place = name.and_then(|name| self.places.get(name.trim()).copied());
                        set(place, value);
                    }
                }
            }
            self.irregular = self.irregular.saturating_add(u64::from(!regular));
            self.builder.push(cells.iter().map(Option::as_deref));
        }
        self.builder.finish()
    }

    fn irregular(&self) -> u64 {
        self.irregular
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_cut_outside_of_strings_and_nesting() {
        let line = r#" {"a,b": "x\"y:,", "c":[1, {"d":2}] ,"e" : null} "#;
        let expected = [
            r#""a,b""#,
            r#""x\"y:,""#,
            r#""c""#,
            r#"[1, {"d":2}]"#,
            r#""e""#,
            "null",
        ];
        assert_eq!(parse(line), Some((Shape::Objects, expected.to_vec())));
        assert_eq!(parse("[]"), Some((Shape::Arrays, vec![])));
        assert_eq!(parse("{\"a\":1"), None);
        assert_eq!(parse("12"), None);
    }

    #[test]
    fn a_value_keeps_its_text() {
        for (raw, text) in [
            ("12345678901234567890123", Some("12345678901234567890123")),
            ("1.50", Some("1.50")),
            ("-1.5e3", Some("-1500")),
            ("true", Some("true")),
            ("null", None),
            (r#""""#, Some("")),
            (r#""\u5f20\n""#, Some("张\n")),
            (
                r#"{ "a b" : [ 1, "x \" y" ] }"#,
                Some(r#"{"a b":[1,"x \" y"]}"#),
            ),
        ] {
            assert_eq!(cell(raw).ok().unwrap().as_deref(), text, "{raw}");
        }
        assert!(cell(r#""\ud800""#).is_err());
    }

    #[test]
    fn json_is_told_from_text_in_brackets() {
        assert!(is_json("\n {\"a\":1}\n"));
        assert!(is_json("[1,\"a\"]\n[2,\"b\"]\n"));
        assert!(is_json("[{\n"));
        assert!(is_json("[\n{\"a\":1}"));
        assert!(!is_json("[Name],[Age]\nx,1\n"));
        assert!(!is_json("name,{x}\n"));
    }
}
