//! Looks through a ZIP archive before calamine reads it as a workbook, in constant memory: what a
//! hostile one unpacks to, and how much of it would be held at once.
//!
//! calamine passes over the cells of a sheet one at a time, but holds shared strings, styles and the
//! list of sheets whole, each element of theirs costing more than it takes in the file; and it
//! reserves room for as many strings as the file promises. Which part it takes for which is up to the
//! file, so every part is judged by what is in it, not by its name.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{senseless, unreadable};
use crate::error::ConnectorError;

/// The most that all parts of a workbook may unpack to.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;
/// The most of it that would be held in memory, by estimate.
const HELD_BYTES_MAX: u64 = 2 << 30;
/// What one held element costs beside its text.
const ELEMENT_BYTES: u64 = 48;
/// Elements that are held, each or by their contents.
const HELD: [&[u8]; 10] = [
    b"sst",
    b"si",
    b"sheet",
    b"definedName",
    b"Relationship",
    b"numFmt",
    b"cellXfs",
    b"fonts",
    b"fills",
    b"borders",
];
/// How much of a tag is looked at: enough for the name and the attributes of `sst`.
const TAG_HEAD_BYTES: usize = 256;

/// Refuses an archive that unpacks to too much, or of which too much would be held.
pub(super) fn check(file: File, place: &str) -> Result<(), ConnectorError> {
    check_within(file, place, UNPACKED_BYTES_MAX, HELD_BYTES_MAX)
}

fn check_within(
    file: File,
    place: &str,
    unpacked_max: u64,
    held_max: u64,
) -> Result<(), ConnectorError> {
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| zip_error(&error, place))?;
    let (mut unpacked, mut held) = (0_u64, 0_u64);
    let mut buffer = vec![0; 64 * 1024];
    for index in 0..archive.len() {
        let mut part = archive
            .by_index(index)
            .map_err(|error| zip_error(&error, place))?;
        let mut scan = Scan::default();
        loop {
            let read = part.read(&mut buffer).map_err(|_| cut_short(place))?;
            if read == 0 {
                break;
            }
            scan.feed(buffer.get(..read).unwrap_or_default());
            let sum = unpacked.saturating_add(scan.bytes);
            if sum > unpacked_max || held.saturating_add(scan.held()) > held_max {
                return Err(unreadable(
                    place,
                    None,
                    "it unpacks to more than 4 GiB, or would take more than 2 GiB of memory",
                    "if it is no trap, save the sheet as CSV on a machine that has the memory",
                ));
            }
        }
        if scan.promised > scan.bytes {
            return Err(senseless(place));
        }
        unpacked = unpacked.saturating_add(scan.bytes);
        held = held.saturating_add(scan.held());
    }
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "zip's error is non-exhaustive"
)]
fn zip_error(error: &ZipError, place: &str) -> ConnectorError {
    match error {
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => unreadable(
            place,
            None,
            "it is an archive that is encrypted or packed in an unusual way",
            "open it in a spreadsheet and save it as .xlsx or CSV",
        ),
        _ => cut_short(place),
    }
}

/// The error for an archive that is not whole.
pub(super) fn cut_short(place: &str) -> ConnectorError {
    unreadable(
        place,
        None,
        "it is a workbook that is cut short or damaged",
        "find a whole copy, or let a spreadsheet repair it and save it as .xlsx or CSV",
    )
}

/// What is in one part, read as XML.
#[derive(Debug, Default)]
struct Scan {
    bytes: u64,
    /// Elements of [`HELD`].
    elements: u64,
    /// Whether it has comments, CDATA or the like, which hide what is in them.
    opaque: bool,
    /// Cell formats; each holds a copy of its font and number format.
    formats: u64,
    /// Strings that the file promises.
    promised: u64,
    /// Whether cells have begun.
    in_cells: bool,
    /// Bytes since the last tag ended or began, or since the last cell began.
    run: u64,
    longest_run: u64,
    tag: Option<Tag>,
}

#[derive(Debug, Default)]
struct Tag {
    /// Its beginning, after `<`.
    head: Vec<u8>,
    bytes: u64,
    quote: Option<u8>,
}

impl Scan {
    fn feed(&mut self, input: &[u8]) {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            let taken = match &mut self.tag {
                None => {
                    let text = rest.iter().position(|&byte| byte == b'<');
                    if text.is_some() {
                        self.tag = Some(Tag::default());
                    }
                    text.map_or(rest.len(), |text| text.saturating_add(1))
                }
                Some(tag) => {
                    if tag.head.len() < TAG_HEAD_BYTES {
                        tag.head.push(byte);
                    }
                    tag.bytes = tag.bytes.saturating_add(1);
                    match tag.quote {
                        Some(quote) if quote == byte => tag.quote = None,
                        Some(_) => {}
                        None if matches!(byte, b'"' | b'\'') => tag.quote = Some(byte),
                        None if byte == b'>' => self.end_tag(),
                        None => {}
                    }
                    rest.len().saturating_sub(after.len())
                }
            };
            let count = u64::try_from(taken).unwrap_or(u64::MAX);
            self.bytes = self.bytes.saturating_add(count);
            self.run = self.run.saturating_add(count);
            self.longest_run = self.longest_run.max(self.run);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    fn end_tag(&mut self) {
        let Some(tag) = self.tag.take() else { return };
        let head = tag.head.as_slice();
        let at_start = self.bytes.saturating_sub(tag.bytes) <= 8;
        self.opaque |= head.starts_with(b"!") || (head.starts_with(b"?") && !at_start);
        let name = head
            .split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
            .next()
            .unwrap_or_default();
        let name = name.rsplit(|&byte| byte == b':').next().unwrap_or_default();
        if HELD.contains(&name) {
            self.elements = self.elements.saturating_add(1);
        }
        match name {
            b"sst" => self.promised = self.promised.max(promised(head)),
            b"xf" => self.formats = self.formats.saturating_add(1),
            b"sheetData" => self.in_cells = true,
            _ => {}
        }
        // Within cells, the text of one is gathered from many tags.
        if !self.in_cells || name == b"c" || head.starts_with(b"/sheetData") {
            self.run = 0;
        }
        if head.starts_with(b"/sheetData") {
            self.in_cells = false;
        }
    }

    /// What reading the part would hold at once, by estimate.
    fn held(&self) -> u64 {
        if self.elements == 0 && !self.opaque {
            return self.longest_run;
        }
        let elements = self.elements.saturating_add(self.promised);
        self.bytes
            .saturating_add(elements.saturating_mul(ELEMENT_BYTES))
            .saturating_add(self.formats.saturating_mul(self.longest_run))
    }
}

/// The number of strings that an `sst` tag promises.
fn promised(tag: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(tag);
    let Some((_, after)) = text.split_once("uniqueCount") else {
        return 0;
    };
    let digits = |c: char| c.is_ascii_digit();
    let number: String = after
        .chars()
        .skip_while(|&c| !digits(c))
        .take_while(|&c| digits(c))
        .collect();
    number.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn scan(xml: &str, piece: usize) -> Scan {
        let mut scan = Scan::default();
        xml.as_bytes()
            .chunks(piece)
            .for_each(|piece| scan.feed(piece));
        scan
    }

    #[test]
    fn of_a_sheet_only_one_cell_is_held() {
        let cell = "<c r=\"A1\" t=\"inlineStr\"><is><t>x</t></is></c>";
        let xml = format!(
            "<worksheet><sheetData><row>{}</row></sheetData></worksheet>",
            cell.repeat(500)
        );
        for piece in [1, 7, xml.len()] {
            assert!(scan(&xml, piece).held() < 100, "{piece}");
        }
    }

    #[test]
    fn a_cell_made_of_many_tags_is_held_whole() {
        let xml = format!(
            "<worksheet><sheetData><c><is>{}</is></c>",
            "<t>xx</t>".repeat(500)
        );
        assert!(scan(&xml, 64).held() > 4_000);
        let xml = format!("<worksheet><sheetData><c a=\"{}\">", "<c>".repeat(500));
        assert!(scan(&xml, 64).held() > 1_500);
        let xml = format!("<worksheet><sheetData><!--{}-->", "<c>".repeat(500));
        assert!(scan(&xml, 64).held() > 1_500);
    }

    #[test]
    fn strings_cost_more_than_they_take() {
        let xml = format!(
            "<?xml version=\"1.0\"?><x:sst uniqueCount=\"7\">{}</x:sst>",
            "<x:si/>".repeat(100)
        );
        let scan = scan(&xml, 50);
        assert_eq!((scan.elements, scan.promised), (101, 7));
        assert!(scan.held() > 4_800);
    }

    #[test]
    fn formats_multiply_what_they_copy() {
        let font = format!("<font><name val=\"{}\"/></font>", "x".repeat(1_000));
        let xml = format!(
            "<styleSheet><fonts>{font}</fonts><cellXfs>{}</cellXfs>",
            "<xf/>".repeat(1_000)
        );
        assert!(scan(&xml, 512).held() > 1_000_000);
    }

    #[test]
    fn an_archive_is_refused_for_what_it_unpacks_to_and_for_what_would_be_held() {
        let file = tempfile::tempfile().unwrap();
        let mut archive = zip::ZipWriter::new(file.try_clone().unwrap());
        let cells = format!("<worksheet><sheetData>{}", "<c><v>1</v></c>".repeat(10_000));
        let strings = format!("<sst>{}", "<si/>".repeat(1_000));
        for (name, part) in [("1.xml", &cells), ("2.xml", &cells), ("3.xml", &strings)] {
            let options = zip::write::SimpleFileOptions::default();
            archive.start_file(name, options).unwrap();
            archive.write_all(part.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        let check = |unpacked, held| check_within(file.try_clone().unwrap(), "x", unpacked, held);
        assert!(file.metadata().unwrap().len() < 5_000);
        check(310_000, 60_000).unwrap();
        for (unpacked, held) in [(300_000, 60_000), (310_000, 50_000)] {
            let message = check(unpacked, held).unwrap_err().to_string();
            assert!(message.contains("unpacks to more than 4 GiB"), "{message}");
        }
    }

    #[test]
    fn a_promise_may_be_absurd() {
        assert_eq!(promised(b"sst count=\"1\" uniqueCount='99'>"), 99);
        assert_eq!(
            promised(b"sst uniqueCount=\"99999999999999999999999\""),
            u64::MAX
        );
        assert_eq!(promised(b"sst count=\"1\""), 0);
    }
}
