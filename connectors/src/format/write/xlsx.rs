//! An Excel workbook of one sheet, streamed: Office Open XML written by ourselves, because the library
//! that does (`rust_xlsxwriter`, which our tests use) either holds a whole sheet in memory or keeps
//! its rows in a temporary file, in plain text, which nothing that leaves here may lie in.
//!
//! The first row names the fields and stays in view. A sheet ends at Excel's limit of 1,048,576 rows,
//! and with it the file: what follows is in the next file, because most readers look at the first sheet
//! only and would miss the rest without a word.
//!
//! What is a number in Excel is a double, and what is a day counts from 1900. A value is written as a
//! number or a date where that is exact, and as text where it is not:
//!
//! - text is text, whatever it looks like: `007` stays `007`, `=1+1` is not calculated. A text of more
//!   than 32,767 characters (of UTF-16) fails, with its row. Characters that XML cannot hold are written
//!   `_xHHHH_`, as Excel does it. An empty text is a cell, null is none;
//! - whole numbers and decimals of up to 15 digits are numbers that show all their digits, decimals as
//!   many after the point as their scale; longer ones are text, and so are all numbers of a column of
//!   identifiers. Floats are numbers; text are those that Excel doesn't have: `NaN`, `inf`, `-inf`, `-0.0`
//!   and what is closer to zero than about 2e-308;
//! - dates from 1900-03-01 (before, Excel's calendar has a day that never was) to 9999-12-31 are
//!   dates; others are text, `1899-12-31`;
//! - timestamps within the same days are dates with a time, to the millisecond; with a finer fraction they
//!   are text. A field with a zone has the local time of its zone; where clocks were set back, so that
//!   two instants have the same local time, it is text with its offset;
//! - binary is base64, lists, structs and maps are JSON.

use std::io::{self, Write};
use std::num::FpCategory;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Schema, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use chrono::{NaiveDate, Timelike as _};

use super::archive::{Archive, ArchivedAs};
use super::text::{Cells, Moment, Times, day, number, plain, spelled};
use super::{CellError, Encoded, Unwritable, rows_of};
use crate::error::ConnectorError;

/// Most rows of a sheet beside its header.
pub const ROWS_MAX: u64 = 1_048_575;

/// Most UTF-16 code units of a cell's text.
pub const TEXT_MAX: usize = 32_767;

/// Most columns of a sheet.
pub const COLUMNS_MAX: usize = 16_384;

/// A sheet ends when it has reached this many bytes of XML: with more than 4 GiB it would need an
/// extension of zip archives that not every reader knows.
const SHEET_BYTES: u64 = 2 << 30;

/// The first whole number that a double does not tell from its neighbours in 15 digits.
const DIGITS_15: u64 = 1_000_000_000_000_000;

/// Styles of cells, in the order of `cellXfs`; [`DECIMALS`] and a scale is that of decimals, and the
/// last that of whole numbers, which in the general style show no more than 11 digits.
const GENERAL: usize = 0;
const TEXT: usize = 1;
const DATE: usize = 2;
const SECONDS: usize = 3;
const MILLISECONDS: usize = 4;
const DECIMALS: usize = 4;

/// Most digits after the point that a style shows.
const SCALE_MAX: usize = 15;
const WHOLE: usize = DECIMALS + SCALE_MAX + 1;

/// Widest that a column begins, in characters.
const WIDTH_MAX: usize = 60;

const CONTENT_TYPES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Default Extension=\"xml\" ContentType=\"application/xml\"/>\
<Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
<Override PartName=\"/xl/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/>\
<Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>\
</Types>";

const PACKAGE_RELATIONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/>\
</Relationships>";

const WORKBOOK: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
<bookViews><workbookView/></bookViews><sheets><sheet name=\"data\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>";

const WORKBOOK_RELATIONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
<Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/>\
</Relationships>";

const SHEET_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
<sheetViews><sheetView tabSelected=\"1\" workbookViewId=\"0\"><pane ySplit=\"1\" topLeftCell=\"A2\" \
activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews>";

const SHEET_TAIL: &str = "</sheetData></worksheet>";

/// The form of a sheet.
pub(super) struct Sheet {
    /// The columns' widths and styles and the first row, as XML.
    head: Vec<u8>,
    /// The columns' letters.
    letters: Vec<Vec<u8>>,
    /// Which columns are identifiers, that are text even where they are numbers.
    ids: Vec<bool>,
}

impl Sheet {
    pub(super) fn new(schema: &Schema, ids: &[bool]) -> Result<Self, ConnectorError> {
        let names = schema.fields().iter().map(|field| field.name());
        if names.len() > COLUMNS_MAX {
            return Err(ConnectorError::config(
                "a sheet has at most 16,384 columns",
                "deliver fewer fields, or in another format",
            ));
        }
        let letters: Vec<Vec<u8>> = (0..names.len()).map(letters).collect();
        let ids = ids.iter().copied().chain(std::iter::repeat(false));
        let ids: Vec<bool> = ids.take(names.len()).collect();
        let mut head = columns(schema, &ids).into_bytes();
        head.extend_from_slice(b"<sheetData><row r=\"1\">");
        for (letters, name) in letters.iter().zip(names) {
            let at = [letters.as_slice(), b"1"].concat();
            text(&mut head, &at, name)
                .map_err(|why| ConnectorError::config(why.to_string(), "shorten the name"))?;
        }
        head.extend_from_slice(b"</row>");
        Ok(Self { head, letters, ids })
    }

    pub(super) fn open<W: Write>(&self, sink: W) -> io::Result<Workbook<W>> {
        let mut archive = Archive::new(sink);
        let styles = styles();
        for (name, content) in [
            ("[Content_Types].xml", CONTENT_TYPES),
            ("_rels/.rels", PACKAGE_RELATIONS),
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", WORKBOOK_RELATIONS),
            ("xl/styles.xml", styles.as_str()),
        ] {
            archive.begin(name, ArchivedAs::Deflated)?;
            archive.write_all(content.as_bytes())?;
        }
        archive.begin("xl/worksheets/sheet1.xml", ArchivedAs::Deflated)?;
        let mut workbook = Workbook { archive, bytes: 0 };
        workbook.write_all(SHEET_HEAD.as_bytes())?;
        workbook.write_all(&self.head)?;
        Ok(workbook)
    }

    pub(super) fn encode(&self, columns: &[ArrayRef], first: u64) -> Result<Encoded, CellError> {
        let cells = columns.iter().zip(&self.ids).enumerate();
        let cells = cells.map(|(column, (array, is_id))| {
            Cell::of(array.as_ref(), *is_id).ok_or(CellError {
                column,
                row: 0,
                why: Unwritable::Unformatted,
            })
        });
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        let (mut bytes, mut at) = (Vec::new(), Vec::new());
        // The header is row 1.
        for (row, line) in (0..rows_of(columns)).zip(first.saturating_add(2)..) {
            let line = line.to_string();
            bytes.extend_from_slice(b"<row r=\"");
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\">");
            for (column, (cell, letters)) in cells.iter().zip(&self.letters).enumerate() {
                if cell.array.is_null(row) {
                    continue;
                }
                at.clear();
                at.extend_from_slice(letters);
                at.extend_from_slice(line.as_bytes());
                (cell.write)(row, &at, &mut bytes).map_err(|why| CellError { column, row, why })?;
            }
            bytes.extend_from_slice(b"</row>");
        }
        Ok(Encoded {
            bytes,
            ..Encoded::default()
        })
    }
}

/// A workbook under way.
pub(super) struct Workbook<W: Write> {
    archive: Archive<W>,
    /// Bytes of XML in the sheet.
    bytes: u64,
}

impl<W: Write> Workbook<W> {
    pub(super) fn write_all(&mut self, xml: &[u8]) -> io::Result<()> {
        self.archive.write_all(xml)?;
        let written = u64::try_from(xml.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(written);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= SHEET_BYTES
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_all(SHEET_TAIL.as_bytes())?;
        self.archive.finish()
    }
}

/// How wide the columns begin, and in which style what is put into their empty cells is.
fn columns(schema: &Schema, ids: &[bool]) -> String {
    if schema.fields().is_empty() {
        return String::new();
    }
    let mut columns = "<cols>".to_owned();
    for (number, (field, is_id)) in (1..).zip(schema.fields().iter().zip(ids)) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all else is text")]
        let (width, style) = match field.data_type() {
            data_type if *is_id && data_type.is_numeric() => (20, TEXT),
            DataType::Boolean => (8, GENERAL),
            DataType::Float32 | DataType::Float64 => (14, GENERAL),
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                (20, decimals(*scale))
            }
            data_type if data_type.is_integer() => (20, WHOLE),
            DataType::Date32 => (12, DATE),
            DataType::Timestamp(..) => (25, MILLISECONDS),
            DataType::Utf8 => (20, TEXT),
            _ => (30, TEXT),
        };
        // Han characters are twice as wide as Latin ones.
        let name = field.name().chars().map(|c| 1 + usize::from(!c.is_ascii()));
        let width = width.max(name.sum::<usize>() + 2).min(WIDTH_MAX);
        columns.push_str(&format!(
            "<col min=\"{number}\" max=\"{number}\" width=\"{width}\" style=\"{style}\" \
             customWidth=\"1\"/>"
        ));
    }
    columns.push_str("</cols>");
    columns
}

/// Styles: general, text, days, times, decimals by their scale, and whole numbers.
fn styles() -> String {
    let mut formats = String::new();
    let mut cells = String::new();
    let mut style = |id: usize, code: Option<&str>| {
        if let Some(code) = code {
            formats.push_str(&format!(
                "<numFmt numFmtId=\"{id}\" formatCode=\"{code}\"/>"
            ));
        }
        let applied = if id == 0 {
            ""
        } else {
            " applyNumberFormat=\"1\""
        };
        cells.push_str(&format!(
            "<xf numFmtId=\"{id}\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"{applied}/>"
        ));
    };
    style(0, None);
    style(49, None);
    style(164, Some("yyyy\\-mm\\-dd"));
    style(165, Some("yyyy\\-mm\\-dd\\ hh:mm:ss"));
    style(166, Some("yyyy\\-mm\\-dd\\ hh:mm:ss.000"));
    for scale in 1..=SCALE_MAX {
        style(166 + scale, Some(&format!("0.{}", "0".repeat(scale))));
    }
    style(1, None);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
         <numFmts count=\"{}\">{formats}</numFmts>\
         <fonts count=\"1\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>\
         <fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill>\
         <fill><patternFill patternType=\"gray125\"/></fill></fills>\
         <borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
         <cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/>\
         </cellStyleXfs><cellXfs count=\"{}\">{cells}</cellXfs>\
         <cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles>\
         </styleSheet>",
        3 + SCALE_MAX,
        1 + WHOLE,
    )
}

/// `A`, `B`, … `Z`, `AA`, …
fn letters(column: usize) -> Vec<u8> {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        let letter = u8::try_from((rest - 1) % 26).unwrap_or(0);
        letters.insert(0, b'A' + letter);
        rest = (rest - 1) / 26;
    }
    letters
}

/// Writes the cell of a row, given where it stands.
type CellWriter<'a> = Box<dyn Fn(usize, &[u8], &mut Vec<u8>) -> Result<(), Unwritable> + 'a>;

/// A column of cells.
struct Cell<'a> {
    array: &'a dyn Array,
    write: CellWriter<'a>,
}

impl<'a> Cell<'a> {
    fn of(array: &'a dyn Array, is_id: bool) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all else is text")]
        let write = match array.data_type() {
            // Of one kind throughout, so that ids are found and sorted by, however long they are.
            data_type if is_id && data_type.is_numeric() => texts(array)?,
            DataType::Boolean => truth(array.as_boolean_opt()?),
            DataType::Int8 => whole::<Int8Type>(array)?,
            DataType::Int16 => whole::<Int16Type>(array)?,
            DataType::Int32 => whole::<Int32Type>(array)?,
            DataType::Int64 => whole::<Int64Type>(array)?,
            DataType::UInt8 => whole::<UInt8Type>(array)?,
            DataType::UInt16 => whole::<UInt16Type>(array)?,
            DataType::UInt32 => whole::<UInt32Type>(array)?,
            DataType::UInt64 => whole::<UInt64Type>(array)?,
            DataType::Float32 => {
                let values = array.as_primitive_opt::<Float32Type>()?;
                either(array, GENERAL, move |row| {
                    is_of_excel(values.value(row).into())
                })?
            }
            DataType::Float64 => {
                let values = array.as_primitive_opt::<Float64Type>()?;
                either(array, GENERAL, move |row| is_of_excel(values.value(row)))?
            }
            DataType::Decimal128(_, scale) => {
                let values = array.as_primitive_opt::<Decimal128Type>()?;
                let fits = move |row| values.value(row).unsigned_abs() < u128::from(DIGITS_15);
                either(array, decimals(*scale), fits)?
            }
            DataType::Decimal256(_, scale) => {
                let values = array.as_primitive_opt::<Decimal256Type>()?;
                let limit = i256::from_i128(i128::from(DIGITS_15));
                let fits = move |row| {
                    let value = values.value(row);
                    value < limit && value > -limit
                };
                either(array, decimals(*scale), fits)?
            }
            DataType::Date32 => days(array)?,
            DataType::Timestamp(..) => times(array)?,
            _ => texts(array)?,
        };
        Some(Self { array, write })
    }
}

/// The style of decimals of a scale.
fn decimals(scale: i8) -> usize {
    match usize::try_from(scale) {
        Ok(0) => WHOLE,
        Ok(scale @ 1..=SCALE_MAX) => DECIMALS + scale,
        Ok(_) | Err(_) => GENERAL,
    }
}

/// Whether Excel has a float: it has no infinities, no negative zero and nothing that is closer to zero
/// than ordinary floats are.
fn is_of_excel(value: f64) -> bool {
    value.is_normal() || (value.classify() == FpCategory::Zero && value.is_sign_positive())
}

fn truth(array: &BooleanArray) -> CellWriter<'_> {
    Box::new(move |row, at, out| {
        open(out, at, GENERAL, Some("b"));
        out.extend_from_slice(b"<v>");
        out.push(b'0' + u8::from(array.value(row)));
        close(out);
        Ok(())
    })
}

fn whole<T>(array: &dyn Array) -> Option<CellWriter<'_>>
where
    T: ArrowPrimitiveType<Native: TryInto<i128>>,
{
    let values: &PrimitiveArray<T> = array.as_primitive_opt::<T>()?;
    either(array, WHOLE, move |row| {
        let value: Result<i128, _> = values.value(row).try_into();
        value.is_ok_and(|value| value.unsigned_abs() < u128::from(DIGITS_15))
    })
}

/// Numbers where they are exact, else text.
fn either<'a>(
    array: &'a dyn Array,
    style: usize,
    is_number: impl Fn(usize) -> bool + 'a,
) -> Option<CellWriter<'a>> {
    let plain = plain(array)?;
    Some(Box::new(move |row, at, out| {
        if is_number(row) {
            open(out, at, style, None);
            out.extend_from_slice(b"<v>");
            plain(row, out)?;
            close(out);
        } else {
            begin_text(out, at);
            plain(row, out)?;
            end_text(out);
        }
        Ok(())
    }))
}

fn days(array: &dyn Array) -> Option<CellWriter<'_>> {
    let values = array.as_primitive_opt::<Date32Type>()?;
    let plain = plain(array)?;
    Some(Box::new(move |row, at, out| {
        match serial(day(values.value(row))?) {
            Some(serial) => {
                open(out, at, DATE, None);
                out.extend_from_slice(b"<v>");
                number(out, serial)?;
                close(out);
            }
            None => {
                begin_text(out, at);
                plain(row, out)?;
                end_text(out);
            }
        }
        Ok(())
    }))
}

fn times(array: &dyn Array) -> Option<CellWriter<'_>> {
    let times = Times::of(array)?;
    Some(Box::new(move |row, at, out| {
        let moment = times.moment(row)?;
        match instant(&times, &moment) {
            Some((serial, style)) => {
                open(out, at, style, None);
                out.extend_from_slice(b"<v>");
                number(out, serial)?;
                close(out);
            }
            None => {
                begin_text(out, at);
                moment.write(out, times.places())?;
                end_text(out);
            }
        }
        Ok(())
    }))
}

/// A time as Excel counts it, and the style that shows all of it; none where it cannot.
fn instant(times: &Times<'_>, moment: &Moment) -> Option<(f64, usize)> {
    let per_millisecond = 10_u32.pow(times.places().saturating_sub(3));
    let milliseconds = match times.places() {
        0 => 0,
        _ if moment.fraction.is_multiple_of(per_millisecond) => moment.fraction / per_millisecond,
        _ => return None,
    };
    let day = serial(moment.local.date())?;
    if !times.is_unambiguous(moment) {
        return None;
    }
    let of_day = f64::from(moment.local.num_seconds_from_midnight() * 1_000 + milliseconds);
    let style = if milliseconds == 0 {
        SECONDS
    } else {
        MILLISECONDS
    };
    Some((f64::from(day) + of_day / 86_400_000.0, style))
}

/// A day as Excel counts it, from where its count is right.
fn serial(day: NaiveDate) -> Option<i32> {
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?;
    let serial = i32::try_from(day.signed_duration_since(epoch).num_days()).ok()?;
    (61..=2_958_465).contains(&serial).then_some(serial)
}

fn texts(array: &dyn Array) -> Option<CellWriter<'_>> {
    let cells = Cells::of(array)?;
    Some(match cells {
        Cells::Text(texts) => Box::new(move |row, at, out| text(out, at, texts.value(row))),
        cells @ (Cells::Binary(_) | Cells::Nested(_) | Cells::Plain(..)) => {
            Box::new(move |row, at, out| {
                let mut scratch = Vec::new();
                text(out, at, spelled(&cells, row, &mut scratch)?)
            })
        }
    })
}

fn open(out: &mut Vec<u8>, at: &[u8], style: usize, kind: Option<&str>) {
    out.extend_from_slice(b"<c r=\"");
    out.extend_from_slice(at);
    if style > GENERAL {
        out.extend_from_slice(b"\" s=\"");
        out.extend_from_slice(style.to_string().as_bytes());
    }
    if let Some(kind) = kind {
        out.extend_from_slice(b"\" t=\"");
        out.extend_from_slice(kind.as_bytes());
    }
    out.extend_from_slice(b"\">");
}

fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</v></c>");
}

/// Begins a text whose characters need no escapes and no spaces kept.
fn begin_text(out: &mut Vec<u8>, at: &[u8]) {
    open(out, at, TEXT, Some("inlineStr"));
    out.extend_from_slice(b"<is><t>");
}

fn end_text(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</t></is></c>");
}

fn text(out: &mut Vec<u8>, at: &[u8], text: &str) -> Result<(), Unwritable> {
    if text.len() > TEXT_MAX && text.encode_utf16().count() > TEXT_MAX {
        return Err(Unwritable::TextTooLong);
    }
    open(out, at, TEXT, Some("inlineStr"));
    let padded = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    let begin: &[u8] = match padded || text.contains('\n') {
        true => b"<is><t xml:space=\"preserve\">",
        false => b"<is><t>",
    };
    out.extend_from_slice(begin);
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let mut characters = from.chars();
        if let Some(character) = characters.next() {
            escape(out, character, characters.as_str());
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    end_text(out);
    Ok(())
}

fn needs_escape(character: char) -> bool {
    matches!(character, '&' | '<' | '>' | '_') || is_unfit(character)
}

/// Whether XML cannot hold a character, or would not give it back: it is written `_xHHHH_`.
fn is_unfit(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}' | '\u{B}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'
    )
}

/// Writes a character that means something to XML or to Excel, given what follows.
fn escape(out: &mut Vec<u8>, character: char, following: &str) {
    match character {
        '&' => out.extend_from_slice(b"&amp;"),
        '<' => out.extend_from_slice(b"&lt;"),
        '>' => out.extend_from_slice(b"&gt;"),
        '_' if is_escape_like(following) => out.extend_from_slice(b"_x005F_"),
        '_' => out.push(b'_'),
        other => out.extend_from_slice(format!("_x{:04X}_", u32::from(other)).as_bytes()),
    }
}

/// Whether a `_` before this would make Excel read `_xHHHH_` as one character. What is escaped itself
/// begins with `_`, too.
fn is_escape_like(following: &str) -> bool {
    let digits_and_rest = following
        .strip_prefix('x')
        .and_then(|rest| rest.split_at_checked(4));
    let Some((digits, rest)) = digits_and_rest else {
        return false;
    };
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && rest.starts_with(|next: char| next == '_' || is_unfit(next))
}
