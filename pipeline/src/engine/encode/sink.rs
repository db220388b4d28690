//! Where the bytes of a part go.

use std::io::{self, Write};

use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::{PartWriter, StagedFile};

/// What a file is written into.
#[derive(Debug)]
pub(in crate::engine) enum Sink {
    /// The part, as it is.
    Plain(PartWriter),
}

impl Sink {
    /// Closes the part, makes it durable, reads it back and compares.
    pub(in crate::engine) fn finish(self) -> Result<StagedFile, ConnectorError> {
        match self {
            Self::Plain(part) => part.finish(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(part) => part.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(part) => part.flush(),
        }
    }
}
