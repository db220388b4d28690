//! What can go wrong when a site to try is made.

use std::io;
use std::path::{Path, PathBuf};

use lockgate_connectors::error::ConnectorError;
use thiserror::Error;

use super::generate::WriteError;

/// A site to try that could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The directory holds something already.
    #[error("{} is not empty; name a directory that is absent or empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory could not be read or written.
    #[error("cannot read or write {}; check that it exists, space and permissions", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file lacks the line that takes a key.
    #[error("{} has no line that begins with `{line}`; write one, it takes the key", path.display())]
    NoKeyLine {
        /// The file.
        path: PathBuf,
        /// How the line begins.
        line: &'static str,
    },
    /// The data could not be generated.
    #[error(transparent)]
    Data(#[from] WriteError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] ConnectorError),
}

impl DemoError {
    /// For `map_err`: an error of the operating system about `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
