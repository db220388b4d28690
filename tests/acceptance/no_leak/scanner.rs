//! What must not be found, and how it is searched for.

use std::fs;
use std::io::{BufRead as _, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use lockgate_acceptance::site::{Finished, Site};
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Byte strings that must not occur, each with a name.
#[derive(Debug, Default)]
pub(super) struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        self.0.push((text.to_owned(), text.as_bytes().to_vec()));
    }

    /// A number of 64 bits, as its digits and in both byte orders.
    pub(super) fn number(&mut self, name: &str, bits: u64, digits: &str) {
        self.bytes(&format!("{name}, little-endian"), &bits.to_le_bytes());
        self.bytes(&format!("{name}, big-endian"), &bits.to_be_bytes());
        self.bytes(&format!("{name}, in digits"), digits.as_bytes());
    }

    /// Bytes.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 4, "{name} would be found by chance");
        self.0.push((name.to_owned(), bytes.to_vec()));
    }

    /// A key, in every form that it is written in anywhere.
    pub(super) fn key(&mut self, name: &str, bytes: &[u8]) {
        self.bytes(name, bytes);
        self.text(&STANDARD.encode(bytes));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.text(&hex);
    }

    /// The private keys of people of a site.
    pub(super) fn people(&mut self, site: &Site, names: &[&str]) {
        for name in names {
            let line = fs::read_to_string(site.private_key(name)).expect("a key");
            let encoded = line.trim().rsplit(':').next().expect("a key");
            self.key(name, &STANDARD.decode(encoded).expect("base64"));
        }
    }

    /// The names of those that occur.
    pub(super) fn found(&self, bytes: &[u8]) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(_, canary)| occurs(bytes, canary))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Every name.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Fails the test if one occurs.
    #[track_caller]
    pub(super) fn absent(&self, place: &str, bytes: &[u8]) {
        let found = self.found(bytes);
        assert!(found.is_empty(), "{place} holds {found:?}");
    }

    /// Fails the test if one occurs in what a command printed.
    #[track_caller]
    pub(super) fn absent_from(&self, place: &str, finished: &Finished) {
        self.absent(
            &format!("{place}, standard output"),
            finished.stdout.as_bytes(),
        );
        self.absent(
            &format!("{place}, standard error"),
            finished.stderr.as_bytes(),
        );
    }

    /// Whether one occurs in a file, in a page of it if it is Parquet, or in what is packed in it.
    pub(super) fn occur_in(&self, file: &[u8]) -> bool {
        let layers = pages(file).into_iter().chain(unpacked(file));
        !self.found(file).is_empty()
            || layers
                .into_iter()
                .any(|layer| !self.found(&layer).is_empty())
    }

    /// Fails the test if one occurs in a file below a directory, in a page of a Parquet file, or in
    /// what is packed in a file. Gives the number of files.
    #[track_caller]
    pub(super) fn absent_below(&self, directory: &Path) -> usize {
        let files = files_below(directory);
        for path in &files {
            let bytes = fs::read(path).expect("a file");
            self.absent(&path.display().to_string(), &bytes);
            for page in pages(&bytes) {
                self.absent(&format!("a page of {}", path.display()), &page);
            }
            for member in unpacked(&bytes) {
                self.absent(&format!("a member of {}", path.display()), &member);
            }
        }
        files.len()
    }
}

fn occurs(bytes: &[u8], canary: &[u8]) -> bool {
    place(bytes, canary).is_some()
}

/// Where bytes occur first. Their first one is looked for by the standard library, which is optimised as
/// tests are not: tens of megabytes are searched for dozens of canaries.
fn place(bytes: &[u8], canary: &[u8]) -> Option<usize> {
    let (first, others) = canary.split_first().expect("a canary");
    let mut rest = bytes;
    loop {
        let before = rest;
        let skipped = rest.skip_until(*first).expect("memory can be read");
        if before[..skipped].last() != Some(first) {
            return None;
        }
        if rest.starts_with(others) {
            return Some(bytes.len() - rest.len() - 1);
        }
    }
}

/// Every file below a directory, hidden ones too.
pub(super) fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The decompressed pages of a Parquet file; none of a file that isn't one, or not yet: what is half
/// written is searched as it stands, and so has to be written uncompressed.
pub(super) fn pages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let Ok(reader) = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)) else {
        return Vec::new();
    };
    let mut pages = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).expect("a row group");
        for column in 0..group.num_columns() {
            let mut column = group.get_column_page_reader(column).expect("pages");
            while let Some(page) = column.get_next_page().expect("a page") {
                pages.push(page.buffer().to_vec());
            }
        }
    }
    pages
}

/// What the members of a zip archive hold, workbooks and archives within archives included. Of an archive
/// that was cut off anywhere, what is there of it: each member is unpacked as far as it goes.
pub(super) fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    const LOCAL_HEADER: &[u8; 4] = b"PK\x03\x04";
    let mut members = Vec::new();
    let mut rest = bytes;
    while let Some(at) = place(rest, LOCAL_HEADER) {
        let header = &rest[at..];
        members.extend(member(header));
        rest = &header[LOCAL_HEADER.len()..];
    }
    members
}

/// What is packed in the member that begins here; none where it is stored, and so found in the bytes
/// themselves.
fn member(header: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| {
        let two = header.get(at..at + 2)?;
        Some(usize::from(u16::from_le_bytes([two[0], two[1]])))
    };
    let begin = 30 + number(26)? + number(28)?;
    let packed = header.get(begin..).filter(|_| number(8) == Some(8))?;
    let mut member = Vec::new();
    // Its end may be missing, or this is none: then what came out before counts.
    drop(DeflateDecoder::new(packed).read_to_end(&mut member));
    Some(member)
}
