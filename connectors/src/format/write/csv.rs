//! Delimited text as RFC 4180 has it: UTF-8 with a byte order mark or GB 18030, lines ended by CR LF
//! unless told otherwise, values as in [`super::text`].
//!
//! A text is quoted if it holds a quote, a control character, a line end or any of the four delimiters,
//! begins or ends with white space, begins as a byte order mark, is empty, or is what stands for null; so
//! null, which is never quoted, differs from every text. All delimiters count, because whoever opens a
//! file by hand may split it at another than its own, and would take the pieces for cells. Binary is
//! base64; lists, structs and maps are JSON.
//!
//! **The formula guard.** Spreadsheets calculate what begins with `=`, `+`, `-` or `@`, and look behind
//! a tab or a line end; some do so with the full-width and small forms, and many a converter takes away
//! white space and what shows nothing before it looks. Cells of text, binary and names of fields that
//! begin so get an apostrophe before them. So do those in which nothing but apostrophes stands before
//! that: then taking one apostrophe away from every cell that begins so behind its apostrophes gives back
//! what was there ([`unguarded`]). Numbers, days and times are not guarded.

use std::borrow::Cow;
use std::io;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use super::text::{Cells, spelled};
use super::{CellError, Encoded, Encoding, Unwritable, cells, rows_of};
use crate::error::ConnectorError;

/// Delimiters that are told from everything that values are written with.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Before the first line of UTF-8 that Excel is to take for UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How the formula guard is undone, in words: the remedy of whoever reads a delivery by program.
pub const FORMULA_GUARD_RULE: &str = "where a text begins with apostrophes, and behind them with a tab or \
    a line end, or with any white space or characters that show nothing and then one of \
    = + - @ ＝ ＋ － ＠ ﹦ ﹢ ﹣ ﹫, take one apostrophe off";

/// What a spreadsheet may take for the beginning of a formula.
const CALCULATED: [char; 12] = [
    '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫',
];

/// How delimited text is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvForm {
    /// UTF-8 or GB 18030.
    pub encoding: Encoding,
    /// Whether a byte order mark stands at the beginning.
    pub bom: bool,
    /// Between cells: `,`, `;`, `|` or a tab.
    pub delimiter: char,
    /// What ends a line.
    pub newline: LineEnd,
    /// Whether the first line names the fields.
    pub header: bool,
    /// What stands for null, never quoted.
    pub null: String,
    /// Whether cells of text that a spreadsheet would calculate get an apostrophe.
    pub formula_guard: bool,
}

impl Default for CsvForm {
    fn default() -> Self {
        Self {
            encoding: Encoding::Utf8,
            bom: true,
            delimiter: ',',
            newline: LineEnd::CrLf,
            header: true,
            null: String::new(),
            formula_guard: true,
        }
    }
}

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// Carriage return and line feed, as RFC 4180 and Excel have it.
    #[default]
    CrLf,
    /// Line feed.
    Lf,
}

impl LineEnd {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

impl CsvForm {
    /// What is wrong with the options together, and what to write instead; none if nothing is.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if !matches!(self.encoding, Encoding::Utf8 | Encoding::Gb18030) {
            let hint = "supported: utf-8, gb18030";
            return Some(("delimited text is not delivered in this encoding", hint));
        }
        if !DELIMITERS.contains(&self.delimiter) {
            let hint = "supported: \",\", \";\", \"|\" and \"\\t\"";
            return Some(("the delimiter could stand in a value", hint));
        }
        if self.encoding == Encoding::Gb18030 && self.delimiter == '|' {
            let hint = "use \",\", \";\" or \"\\t\"";
            let what = "in GB 18030, a `|` may be half of a character";
            return Some((what, hint));
        }
        if self.encoding == Encoding::Gb18030 && self.bom {
            let hint = "leave `bom` out";
            return Some(("a byte order mark is of UTF-8 only", hint));
        }
        let is_plain =
            |c: char| !c.is_control() && !matches!(c, '"' | '\u{FEFF}') && c != self.delimiter;
        if !self.null.chars().all(is_plain) || self.null.len() > 64 {
            let hint = "use \"\" or a short word, such as \"NULL\"";
            let what = "what stands for null holds a quote, a delimiter or a control character, or \
                        is longer than 64 bytes";
            return Some((what, hint));
        }
        let hint = "use \"\" or a word, such as \"NULL\"";
        if could_be_plain(&self.null) {
            return Some(("what stands for null could be a value", hint));
        }
        if calculates(&self.null) {
            let what = "what stands for null would be calculated by a spreadsheet";
            return Some((what, hint));
        }
        if self.encoding == Encoding::Gb18030 && !survives_gb18030(&self.null) {
            let what = "what stands for null holds a character that GB 18030 may change";
            return Some((what, hint));
        }
        None
    }
}

/// Whether a text could be a number, a truth, a day or a time.
fn could_be_plain(text: &str) -> bool {
    let named = ["true", "false", "nan", "inf", "-inf"];
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
        || named.iter().any(|name| text.eq_ignore_ascii_case(name))
}

/// A form that is known to be without fault.
pub(super) struct Dialect {
    form: CsvForm,
    delimiter: u8,
}

impl Dialect {
    pub(super) fn new(form: &CsvForm, schema: &Schema) -> Result<Self, ConnectorError> {
        let delimiter = u8::try_from(form.delimiter).unwrap_or(b',');
        if let Some((what, remedy)) = form.fault() {
            return Err(ConnectorError::config(what, remedy));
        }
        let mut names = schema.fields().iter().map(|field| field.name());
        if form.encoding == Encoding::Gb18030
            && form.header
            && !names.all(|name| survives_gb18030(name))
        {
            return Err(ConnectorError::config(
                "a field's name holds a character that GB 18030 may change",
                "deliver in encoding = \"utf-8\", or without a header",
            ));
        }
        Ok(Self {
            form: form.clone(),
            delimiter,
        })
    }

    /// What stands before the first row.
    pub(super) fn head(&self, schema: &Schema) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        if self.form.header {
            for (position, field) in schema.fields().iter().enumerate() {
                if position > 0 {
                    head.push(self.delimiter);
                }
                // Excel takes a file for one of another program (SYLK) if it begins with `ID`.
                if position == 0 && field.name().starts_with("ID") {
                    quoted(&mut head, field.name());
                } else {
                    self.text(&mut head, field.name());
                }
            }
            head.extend_from_slice(self.form.newline.bytes());
        }
        let head = self.charset(head).map_err(io::Error::other)?;
        Ok(match self.form.bom {
            true => [BYTE_ORDER_MARK, &head].concat(),
            false => head,
        })
    }

    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<Encoded, CellError> {
        let cells = cells(columns, Cells::of)?;
        let null = self.form.null.as_bytes();
        let (mut bytes, mut scratch, mut guarded) = (Vec::new(), Vec::new(), 0);
        for row in 0..rows_of(columns) {
            for (column, cell) in cells.iter().enumerate() {
                if column > 0 {
                    bytes.push(self.delimiter);
                }
                if cell.is_null(row) {
                    bytes.extend_from_slice(null);
                    continue;
                }
                let written = match cell {
                    Cells::Plain(_, plain) => plain(row, &mut bytes).map(|()| false),
                    Cells::Text(texts) => self.cell(&mut bytes, texts.value(row)),
                    Cells::Binary(_) | Cells::Nested(_) => spelled(cell, row, &mut scratch)
                        .and_then(|text| self.cell(&mut bytes, text)),
                };
                let is_guarded = written.map_err(|why| CellError { column, row, why })?;
                guarded += u64::from(is_guarded);
            }
            bytes.extend_from_slice(self.form.newline.bytes());
        }
        let bytes = self.charset(bytes).map_err(|why| CellError {
            column: 0,
            row: 0,
            why,
        })?;
        Ok(Encoded {
            bytes,
            guarded,
            head: 0,
        })
    }

    /// Writes a text that must come back as it is; tells whether it was guarded.
    fn cell(&self, out: &mut Vec<u8>, text: &str) -> Result<bool, Unwritable> {
        if self.form.encoding == Encoding::Gb18030 && !survives_gb18030(text) {
            return Err(Unwritable::NotInCharset);
        }
        Ok(self.text(out, text))
    }

    fn text(&self, out: &mut Vec<u8>, text: &str) -> bool {
        let is_guarded = self.form.formula_guard && calculates(text);
        let text = match is_guarded {
            true => Cow::Owned(format!("'{text}")),
            false => Cow::Borrowed(text),
        };
        if self.is_quoted(&text) {
            quoted(out, &text);
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        is_guarded
    }

    fn is_quoted(&self, text: &str) -> bool {
        let special = |byte: u8| {
            byte.is_ascii_control() || byte == b'"' || DELIMITERS.contains(&char::from(byte))
        };
        // Some readers end a line at these, too.
        let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        text.is_empty()
            || text == self.form.null
            || text.bytes().any(special)
            // At the beginning of a file it would be taken for the byte order mark.
            || text.starts_with('\u{FEFF}')
            || text.starts_with(char::is_whitespace)
            || text.ends_with(char::is_whitespace)
            // UTF-8 begins the other line ends with these.
            || (text.bytes().any(|byte| matches!(byte, 0xC2 | 0xE2)) && text.contains(ends_line))
    }

    /// Lines in UTF-8 in the form's own encoding.
    fn charset(&self, utf8: Vec<u8>) -> Result<Vec<u8>, Unwritable> {
        if self.form.encoding == Encoding::Utf8 {
            return Ok(utf8);
        }
        let text = String::from_utf8(utf8).map_err(|_| Unwritable::Unformatted)?;
        match Encoding::Gb18030.charset().encode(&text) {
            (Cow::Borrowed(_), ..) => Ok(text.into_bytes()),
            (Cow::Owned(bytes), _, false) => Ok(bytes),
            (Cow::Owned(_), _, true) => Err(Unwritable::NotInCharset),
        }
    }
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Whether a spreadsheet would calculate a cell, or would once an apostrophe were taken away.
fn calculates(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(shows_nothing)
            .starts_with(CALCULATED)
}

/// White space, controls, and what has no width: readers pass over them, or take them away.
fn shows_nothing(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{AD}'
                | '\u{61C}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
        )
}

/// A cell as it was before the guard put an apostrophe before it.
pub(crate) fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if calculates(rest) => rest,
        Some(_) | None => text,
    }
}

/// Whether GB 18030 gives a text back as it was, to every reader. It holds every character, but its
/// edition of 2022 gave 19 of them the bytes of characters for private use. So these are written with
/// bytes that a reader of an earlier edition takes for private use, and those are not written as
/// themselves at all.
fn survives_gb18030(text: &str) -> bool {
    // UTF-8 begins U+1E3F, U+9FB4 to U+9FBB, and U+E000 to U+FFFF with these.
    if !text
        .bytes()
        .any(|byte| matches!(byte, 0xE1 | 0xE9 | 0xEE | 0xEF))
    {
        return true;
    }
    let gb18030 = Encoding::Gb18030.charset();
    text.chars().all(|character| match character {
        '\u{1E3F}' | '\u{9FB4}'..='\u{9FBB}' | '\u{FE10}'..='\u{FE19}' => false,
        '\u{E000}'..='\u{F8FF}' => {
            let mut buffer = [0; 4];
            let alone: &str = character.encode_utf8(&mut buffer);
            let (bytes, _, lost) = gb18030.encode(alone);
            !lost && gb18030.decode_without_bom_handling(&bytes).0 == alone
        }
        _ => true,
    })
}
