//! What must not be found, and how it is searched for.

use std::fs;
use std::path::Path;

use lockgate_acceptance::site::Finished;
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

    /// Fails the test if one occurs in a file below a directory, or in a page of a Parquet file.
    /// Gives the number of files.
    #[track_caller]
    pub(super) fn absent_below(&self, directory: &Path) -> usize {
        let files = files_below(directory);
        for path in &files {
            let bytes = fs::read(path).expect("a file");
            self.absent(&path.display().to_string(), &bytes);
            for page in pages(&bytes) {
                self.absent(&format!("a page of {}", path.display()), &page);
            }
        }
        files.len()
    }
}

fn occurs(bytes: &[u8], canary: &[u8]) -> bool {
    let (first, mut from) = (canary[0], 0);
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(canary) {
            return true;
        }
        from += at + 1;
    }
    false
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

/// The decompressed pages of a Parquet file; none of a file that isn't one, or not yet.
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
