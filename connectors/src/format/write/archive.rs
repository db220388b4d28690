//! A zip archive written from front to back: the same bytes for the same content, whenever and
//! wherever it is made.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// How hard a member is compressed: workbooks repeat themselves so much that more costs twice the
/// time for a few percent.
const LEVEL: i64 = 3;

/// How a member is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchivedAs {
    /// As it is: it is compressed already.
    Stored,
    /// Compressed.
    Deflated,
}

/// A zip archive under way. Members follow one another; there is never more of them in memory than a
/// few buffers.
pub struct Archive<W: Write> {
    /// Absent once it was finished.
    zip: Option<ZipWriter<StreamWriter<UntilOver<W>>>>,
    over: Arc<AtomicBool>,
}

impl<W: Write> Archive<W> {
    /// Begins an archive.
    pub fn new(sink: W) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let sink = UntilOver {
            sink,
            over: Arc::clone(&over),
        };
        Self {
            zip: Some(ZipWriter::new_stream(sink)),
            over,
        }
    }

    /// Begins a member, and ends the one before. What is written next is in it.
    ///
    /// # Errors
    /// What keeps the sink from being written.
    pub fn begin(&mut self, name: &str, archived_as: ArchivedAs) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644);
        let options = match archived_as {
            ArchivedAs::Stored => options.compression_method(CompressionMethod::Stored),
            ArchivedAs::Deflated => options
                .compression_method(CompressionMethod::Deflated)
                .compression_level(Some(LEVEL)),
        };
        Ok(self.zip()?.start_file(name, options)?)
    }

    /// Writes the table of members and hands the sink back.
    ///
    /// # Errors
    /// What keeps the sink from being written.
    pub fn finish(mut self) -> io::Result<W> {
        let zip = self.zip.take().ok_or_else(finished)?;
        Ok(zip.finish()?.into_inner().sink)
    }

    fn zip(&mut self) -> io::Result<&mut ZipWriter<StreamWriter<UntilOver<W>>>> {
        self.zip.as_mut().ok_or_else(finished)
    }
}

fn finished() -> io::Error {
    io::Error::other("the archive was finished before")
}

/// An archive that is given up writes nothing more. `zip` would write the table of members, and say on
/// stderr if it could not.
impl<W: Write> Drop for Archive<W> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl<W: Write> Write for Archive<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.zip()?.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> fmt::Debug for Archive<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").finish_non_exhaustive()
    }
}

/// A sink that is told nothing more once the archive is over.
struct UntilOver<W> {
    sink: W,
    over: Arc<AtomicBool>,
}

impl<W: Write> Write for UntilOver<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.over.load(Ordering::Relaxed) {
            self.sink.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
