//! What can go wrong between a site and its stores, sorted by what the operator has to do about it.
//!
//! A message says what, where and, where it is known, what to do. It never holds a cell value, a
//! key or a credential: answers of servers, which may repeat an access key, are cut down to their
//! first plain words.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use thiserror::Error;

use crate::keyring::KeyringError;
use crate::schema::Difference;
use crate::seal::SealError;

/// Whose turn it is after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The site's configuration asks for something impossible; changing it helps, retrying does not.
    Config,
    /// The store or the operating system refused access.
    Denied,
    /// The data is not what the catalogue or its format says.
    Data,
    /// The store could not be reached or did not answer; a later try may succeed.
    Unavailable,
    /// Something changed, or does not match its hash or its snapshot.
    Integrity,
    /// Space, memory or another limit ran out.
    Exhausted,
    /// A fault of this program.
    Bug,
}

impl ErrorClass {
    /// The word used in JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Denied => "denied",
            Self::Data => "data",
            Self::Unavailable => "unavailable",
            Self::Integrity => "integrity",
            Self::Exhausted => "exhausted",
            Self::Bug => "bug",
        }
    }
}

/// A failure of a store, a source or a publication.
///
/// `place` is a URL without credentials, with the path of the file where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The configuration asks for something impossible.
    #[error("{what}; {remedy}")]
    Config {
        /// What is wrong.
        what: String,
        /// What to change.
        remedy: String,
    },
    /// A file or directory does not exist.
    #[error("{place} does not exist; check the path and the store's url")]
    NotFound {
        /// Where it should be.
        place: String,
    },
    /// A directory holds no file of the format.
    #[error(
        "no files ending in `.{extension}` under {place}; check the path and the format (hidden files and names beginning with `_` are skipped)"
    )]
    NoFiles {
        /// The directory.
        place: String,
        /// The extension looked for, without its dot.
        extension: &'static str,
    },
    /// Access was refused.
    #[error("access to {place} was refused; check the credentials and permissions of its store")]
    Denied {
        /// What access was refused to.
        place: String,
    },
    /// The store did not answer, or answered with a fault of its own.
    #[error("{place} could not be reached: {what}; check the endpoint and try again later")]
    Unavailable {
        /// What was asked for.
        place: String,
        /// What happened, without credentials.
        what: String,
    },
    /// A local file operation failed for a reason that is none of the others.
    #[error("{place}: {what}")]
    Io {
        /// The file or directory.
        place: String,
        /// What the operating system says.
        what: String,
    },
    /// Space or another limit ran out.
    #[error("{place}: {what}; free some and try again")]
    Exhausted {
        /// Where.
        place: String,
        /// What ran out.
        what: String,
    },
    /// A source file changed since its snapshot was taken.
    #[error(
        "{place} changed while it was being read; run again once the provider has finished writing"
    )]
    Changed {
        /// The file.
        place: String,
    },
    /// Files do not have the schema of the catalogue.
    #[error("{}", describe(differences))]
    Schema {
        /// Everything that differs, file by file.
        differences: Vec<Difference>,
    },
    /// A file cannot be decoded.
    #[error("{place} is damaged{}: {what}; have its provider write it again", part.as_ref().map(|part| format!(" at {part}")).unwrap_or_default())]
    Damaged {
        /// The file.
        place: String,
        /// Which part of it (`row groups 3 to 4`), where that is known.
        part: Option<String>,
        /// What the decoder met, without values.
        what: String,
    },
    /// A row of a text file is malformed and the dataset says to fail on that.
    #[error("{place}, data row {row}{}: {what}; {}", field.as_ref().map(|field| format!(", field `{field}`")).unwrap_or_default(), correct(*.rows_lost))]
    Malformed {
        /// The file.
        place: String,
        /// Data row within the file, from 1; the header is not counted.
        row: u64,
        /// The field, where one is at fault.
        field: Option<String>,
        /// What is wrong, without the value.
        what: String,
        /// Whether other rows may be lost in it, so that it cannot be rejected alone.
        rows_lost: bool,
    },
    /// A file of unknown origin that no table can be read from.
    #[error("{place}{}: {what}; {remedy}", part.as_ref().map(|part| format!(", {part}")).unwrap_or_default())]
    Unreadable {
        /// The file.
        place: String,
        /// Which part of it (`row 17`), where that is known.
        part: Option<String>,
        /// What is wrong, without values.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A key or its file is missing or unusable.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// Something cannot be sealed, or does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A destination on which two attempts could publish over each other.
    #[error(
        "{place} cannot be published to, because {what}: use a file system with hard links, or an object store that honours If-None-Match"
    )]
    NoConditionalCreate {
        /// The store, or the folder within it.
        place: String,
        /// What it did instead.
        what: String,
    },
    /// A staged file, or a manifest, is not what was written.
    #[error(
        "{place} is not as it was written: {what}; nothing was published from it: find out what else writes there, check the disk or store, and run again"
    )]
    Altered {
        /// The file.
        place: String,
        /// How it differs.
        what: String,
    },
    /// It is not known whether a manifest was created.
    #[error(
        "it is not known whether {place} was published: {what}; run again, which looks before it writes"
    )]
    Unsettled {
        /// The manifest.
        place: String,
        /// What happened.
        what: String,
    },
    /// A fault of this program.
    #[error("internal fault: {what}; please report it")]
    Bug {
        /// What did not hold.
        what: String,
    },
}

impl ConnectorError {
    /// Whose turn it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Config { .. } => ErrorClass::Config,
            Self::Denied { .. } => ErrorClass::Denied,
            Self::NotFound { .. }
            | Self::NoFiles { .. }
            | Self::Schema { .. }
            | Self::Damaged { .. }
            | Self::Malformed { .. }
            | Self::Unreadable { .. } => ErrorClass::Data,
            Self::Unavailable { .. } | Self::Io { .. } | Self::Unsettled { .. } => {
                ErrorClass::Unavailable
            }
            Self::Changed { .. } | Self::Altered { .. } => ErrorClass::Integrity,
            Self::Keyring(error) => error.class(),
            Self::Seal(error) => error.class(),
            Self::NoConditionalCreate { .. } => ErrorClass::Config,
            Self::Exhausted { .. } => ErrorClass::Exhausted,
            Self::Bug { .. } => ErrorClass::Bug,
        }
    }

    /// A configuration error.
    pub fn config(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Config {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// A broken invariant of this program.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::Bug { what: what.into() }
    }

    /// Sorts an error of an object store; `place` is what was asked for.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "object_store's error is non-exhaustive"
    )]
    pub fn from_store(error: &object_store::Error, place: impl Into<String>) -> Self {
        use object_store::Error;
        let place = place.into();
        match error {
            Error::NotFound { .. } => Self::NotFound { place },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                Self::Denied { place }
            }
            Error::Precondition { .. } | Error::NotModified { .. } => Self::Changed { place },
            other => match (status(other), io_error(other)) {
                (Some(401 | 403), _) => Self::Denied { place },
                (Some(404), _) => Self::NotFound { place },
                (_, Some(error)) => Self::from_io(error, place),
                _ => Self::Unavailable {
                    place,
                    what: brief(other),
                },
            },
        }
    }

    /// Sorts an error of the operating system; `place` is the file or directory.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "io::ErrorKind is non-exhaustive"
    )]
    pub fn from_io(error: &io::Error, place: impl Into<String>) -> Self {
        use io::ErrorKind;
        let place = place.into();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { place },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied { place },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Exhausted {
                    place,
                    what: error.kind().to_string(),
                }
            }
            ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::TimedOut => Self::Unavailable {
                place,
                what: error.kind().to_string(),
            },
            other => Self::Io {
                place,
                what: other.to_string(),
            },
        }
    }
}

/// The HTTP status in the text of an error: object_store sorts statuses for single files only, not
/// for listings and deletions.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = causes(error).last()?.to_string();
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// The operating system's error in a chain, unless it comes from a network client.
fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let object_store::Error::Generic {
        store: "LocalFileSystem",
        ..
    } = error
    else {
        return None;
    };
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error and what caused it, outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The innermost cause in at most 160 characters, on one line, without a server's answer, which may
/// repeat an access key.
pub(crate) fn brief(error: &(dyn StdError + 'static)) -> String {
    let text = causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    let plain = text.lines().next().unwrap_or_default();
    let plain = plain.split(['<', '{']).next().unwrap_or_default();
    let mut short: String = plain.chars().take(160).collect();
    let kept = short.trim_end_matches([' ', ':', ',', '.']).len();
    short.truncate(kept);
    if short.is_empty() {
        "the store answered with an error".to_owned()
    } else {
        short
    }
}

/// What to do about a malformed row.
fn correct(rows_lost: bool) -> &'static str {
    if rows_lost {
        "correct the file, for nobody can tell how many rows are lost in it"
    } else {
        "correct the file, or set on_malformed = \"reject\""
    }
}

/// The text of a schema error: every difference, so that one run shows them all.
fn describe(differences: &[Difference]) -> String {
    let mut text = String::from("files differ from the catalogue: ");
    for (index, difference) in differences.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        // Writing to a String cannot fail.
        write!(text, "{separator}{difference}").unwrap_or_default();
    }
    text.push_str("; correct the files, or the catalogue and then the approval");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_answer_is_not_repeated() {
        let answer = "Server returned non-2xx status code: 503 Slow Down: <Error><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>";
        let error = object_store::Error::Generic {
            store: "S3",
            source: answer.into(),
        };
        let text = ConnectorError::from_store(&error, "s3://bucket/key").to_string();
        assert!(!text.contains("AKIAEXAMPLE"), "{text}");
        assert!(text.contains("503 Slow Down"), "{text}");
    }

    #[test]
    fn a_refused_listing_is_denied_and_a_missing_bucket_not_found() {
        for (code, class) in [(403, ErrorClass::Denied), (404, ErrorClass::Data)] {
            let answer = format!("Server returned non-2xx status code: {code} X: <Error>");
            let error = object_store::Error::Generic {
                store: "S3",
                source: answer.into(),
            };
            assert_eq!(
                ConnectorError::from_store(&error, "s3://bucket").class(),
                class
            );
        }
    }

    #[test]
    fn a_failed_precondition_is_a_change() {
        let error = object_store::Error::Precondition {
            path: "a".to_owned(),
            source: "etag".into(),
        };
        let error = ConnectorError::from_store(&error, "s3://bucket/a");
        assert_eq!(error.class(), ErrorClass::Integrity);
    }

    #[test]
    fn a_full_disk_is_exhaustion() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(
            ConnectorError::from_io(&error, "x").class(),
            ErrorClass::Exhausted
        );
    }
}
