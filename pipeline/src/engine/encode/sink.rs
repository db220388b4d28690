//! Where the bytes of a part go.

use std::io::{self, Write};

use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::{PartWriter, StagedFile};
use lockgate_connectors::seal::envelope::EnvelopeWriter;

/// What a file is written into.
#[derive(Debug)]
pub(in crate::engine) enum Sink {
    /// The part, as it is.
    Plain(Box<PartWriter>),
    /// The part, in an envelope.
    Sealed(Box<EnvelopeWriter<PartWriter>>),
}

impl Sink {
    /// The part's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Plain(part) => part.name(),
            Self::Sealed(envelope) => envelope.inner().name(),
        }
    }

    /// Closes the part, makes it durable, reads it back and compares.
    pub(in crate::engine) fn finish(self) -> Result<StagedFile, ConnectorError> {
        match self {
            Self::Plain(part) => part.finish(),
            Self::Sealed(envelope) => envelope
                .finish()
                .map_err(|error| ConnectorError::from_io(&error, "a part in its envelope"))?
                .finish(),
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
            Self::Sealed(envelope) => envelope.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(part) => part.flush(),
            Self::Sealed(envelope) => envelope.flush(),
        }
    }
}
