//! Counting the rows of a file that was written here: what whoever checks a delivery holds its
//! manifest to. It reads to the end in constant memory and is no reader of the values.

use std::io::{self, Read, Seek};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use zip::ZipArchive;
use zip::read::ZipFile;

use super::csv::BYTE_ORDER_MARK;
use super::{CsvForm, RowFormat};
use crate::format::ipc::IpcFile;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// The member of a workbook that holds the rows.
const SHEET: &str = "xl/worksheets/sheet1.xml";

/// How the names of a bundle's members with rows begin.
const PART: &str = "part-";

/// How many rows `file` has, without its header. Of a bundle, all members together.
///
/// # Errors
/// A file that can't be read, is cut off, or isn't of its format.
///
/// # Panics
/// Within the readers of zip archives and Arrow files, if what they read is malformed in a way that they
/// don't know of: whoever reads a file of unknown origin catches that.
pub fn count_rows<F: Read + Seek>(file: F, format: &RowFormat, is_bundle: bool) -> io::Result<u64> {
    match (format, is_bundle) {
        (RowFormat::Xlsx, false) => rows_of_workbook(&mut ZipArchive::new(file)?),
        (RowFormat::Arrow(_), false) => arrow_rows(file).map(|(rows, _)| rows),
        (_, false) => rows_of_text(file, format),
        (_, true) => rows_of_bundle(&mut ZipArchive::new(file)?, format),
    }
}

/// How many rows an Arrow file has, and its fields.
///
/// # Errors
/// A file that can't be read, is cut off, or isn't an Arrow file.
///
/// # Panics
/// As [`count_rows`].
pub fn arrow_rows<F: Read + Seek>(file: F) -> io::Result<(u64, SchemaRef)> {
    let mut file = IpcFile::open(file)?;
    Ok((file.rows()?, Arc::clone(file.schema())))
}

fn rows_of_bundle<F: Read + Seek>(
    bundle: &mut ZipArchive<F>,
    format: &RowFormat,
) -> io::Result<u64> {
    let mut rows = 0;
    for index in 0..bundle.len() {
        let name = bundle.name_for_index(index);
        if !matches!(name, Some(Ok(name)) if name.starts_with(PART)) {
            continue;
        }
        rows += match format {
            // Stored, so that it can be looked at from its end.
            RowFormat::Xlsx => {
                rows_of_workbook(&mut ZipArchive::new(bundle.by_index_seek(index)?)?)?
            }
            RowFormat::Csv(_) | RowFormat::Jsonl => rows_of_text(bundle.by_index(index)?, format)?,
            RowFormat::Arrow(_) => return Err(cut_off("this format is not bundled")),
        };
    }
    Ok(rows)
}

fn rows_of_workbook<F: Read + Seek>(workbook: &mut ZipArchive<F>) -> io::Result<u64> {
    let sheet: ZipFile<'_, F> = workbook.by_name(SHEET)?;
    // `<` stands in no text, so that every `<row ` begins a row.
    let tag = b"<row ";
    let (mut rows, mut matched) = (0_u64, 0);
    for_each_byte(sheet, |byte| {
        matched = match tag.get(matched) {
            Some(expected) if *expected == byte => matched + 1,
            _ => usize::from(byte == b'<'),
        };
        if matched == tag.len() {
            rows += 1;
            matched = 0;
        }
    })?;
    rows.checked_sub(1)
        .ok_or_else(|| cut_off("it has no header"))
}

fn rows_of_text(text: impl Read, format: &RowFormat) -> io::Result<u64> {
    let (mut lines, mut is_quoted, mut last) = (0_u64, false, b'\n');
    let quotes = matches!(format, RowFormat::Csv(_));
    let mut mark: &[u8] = match format {
        RowFormat::Csv(form) if form.bom => BYTE_ORDER_MARK,
        RowFormat::Csv(_) | RowFormat::Jsonl | RowFormat::Xlsx | RowFormat::Arrow(_) => &[],
    };
    for_each_byte(text, |byte| {
        // A file of no rows and no header is a byte order mark, and no line was begun.
        if let Some((expected, rest)) = mark.split_first() {
            let is_mark = *expected == byte;
            mark = if is_mark { rest } else { &[] };
            if is_mark {
                return;
            }
        }
        // In GB 18030, too, neither byte is half of a character.
        match byte {
            b'"' if quotes => is_quoted = !is_quoted,
            b'\n' if !is_quoted => lines += 1,
            _ => {}
        }
        last = byte;
    })?;
    if is_quoted || last != b'\n' {
        return Err(cut_off("it does not end with the end of a line"));
    }
    let header = matches!(format, RowFormat::Csv(CsvForm { header: true, .. }));
    lines
        .checked_sub(u64::from(header))
        .ok_or_else(|| cut_off("it has no header"))
}

fn for_each_byte(mut input: impl Read, mut take: impl FnMut(u8)) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        buffer.iter().take(read).copied().for_each(&mut take);
    }
}

fn cut_off(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
