//! Files that are named on the command line: read whole and bounded, written where nothing is yet.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::path::Path;

use lockgate_connectors::{ConnectorError, durable};

use crate::error::RunError;

/// Reads a file that is named on the command line.
///
/// # Errors
/// It can't be read, or is larger than what it should be ever is.
pub(super) fn read_file(file: &Path, most: u64) -> Result<Vec<u8>, RunError> {
    let place = file.display().to_string();
    durable::read_bounded(file, most).map_err(|error| {
        if error.kind() == ErrorKind::FileTooLarge {
            return RunError::Invalid {
                what: format!("{place} is larger than {} MiB", most >> 20),
                at: "the command line".to_owned(),
                remedy: "name the document as it was written".to_owned(),
            };
        }
        ConnectorError::from_io(&error, place).into()
    })
}

/// Names the file in an error that says that what it holds doesn't hold.
pub(super) fn of_file(mut error: RunError, file: &Path) -> RunError {
    if let RunError::Unverified { what } = &mut error {
        *what = format!("{}: {what}", file.display());
    }
    error
}

/// Writes a file where nothing is yet.
///
/// # Errors
/// It exists, or can't be written.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(|error| RunError::Invalid {
        what: format!("cannot write {}: {}", path.display(), error.kind()),
        at: "--out".to_owned(),
        remedy: "name a file that does not exist, in a directory that does".to_owned(),
    })
}

/// What a list holds, one a line.
pub(super) struct List {
    /// What one of them is called.
    pub(super) one: &'static str,
    /// Most of them.
    pub(super) count_max: usize,
    /// Most bytes, line ends and blanks included.
    pub(super) bytes_max: u64,
    /// What to do where a list isn't one.
    pub(super) remedy: &'static str,
    /// What of a line counts; nothing where it can't be one of them.
    pub(super) of_line: fn(&str) -> Option<&str>,
}

impl List {
    /// The list in a file or on standard input: none twice, in their order, blank lines passed over.
    pub(super) fn read(&self, path: Option<&Path>) -> Result<Vec<String>, RunError> {
        let bytes = match path {
            Some(path) => {
                let file = File::open(path)
                    .map_err(|error| ConnectorError::from_io(&error, path.display().to_string()))?;
                self.read_at_most(file)?
            }
            None => self.read_at_most(std::io::stdin().lock())?,
        };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| self.invalid("it is not UTF-8".to_owned()))?;
        self.of_text(&text)
    }

    fn of_text(&self, text: &str) -> Result<Vec<String>, RunError> {
        // Spreadsheets put a byte order mark before what they save as CSV.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut seen, mut listed) = (BTreeSet::new(), Vec::new());
        for (line, text) in text.lines().enumerate() {
            if text.trim().is_empty() {
                continue;
            }
            let one = (self.of_line)(text).ok_or_else(|| {
                self.invalid(format!(
                    "line {} is no {}",
                    line.saturating_add(1),
                    self.one
                ))
            })?;
            if seen.insert(one) {
                listed.push(one.to_owned());
            }
        }
        if listed.is_empty() {
            return Err(self.invalid("it is empty".to_owned()));
        }
        if listed.len() > self.count_max {
            let what = format!("it has more than {} {}s", self.count_max, self.one);
            return Err(self.invalid(what));
        }
        Ok(listed)
    }

    fn read_at_most(&self, from: impl Read) -> Result<Vec<u8>, RunError> {
        let mut bytes = Vec::new();
        from.take(self.bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| ConnectorError::from_io(&error, self.place()))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > self.bytes_max) {
            let what = format!("it is larger than {} MiB", self.bytes_max >> 20);
            return Err(self.invalid(what));
        }
        Ok(bytes)
    }

    fn place(&self) -> String {
        format!("the list of {}s", self.one)
    }

    fn invalid(&self, what: String) -> RunError {
        RunError::Invalid {
            what,
            at: self.place(),
            remedy: self.remedy.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: List = List {
        one: "word",
        count_max: 3,
        bytes_max: 1 << 20,
        remedy: "write one word a line",
        of_line: |line| Some(line.trim()).filter(|line| !line.contains('!')),
    };

    #[test]
    fn each_line_counts_once_and_in_its_order() {
        assert_eq!(
            WORDS.of_text("b\n\n a \r\nb\n \nc\n").unwrap(),
            ["b", "a", "c"]
        );
    }

    #[test]
    fn what_is_no_list_is_refused_without_being_repeated() {
        for (text, what) in [
            ("", "it is empty"),
            ("\n \n", "it is empty"),
            ("a\n\nsecret!\n", "line 3 is no word"),
            ("a\nb\nc\nd\n", "it has more than 3 words"),
        ] {
            let refused = WORDS.of_text(text).unwrap_err();
            assert_eq!(refused.to_string(), what, "{text}");
        }
    }
}
