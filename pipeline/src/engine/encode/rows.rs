//! Formats of rows: delimited text, JSON lines, workbooks, and bundles of them.
//!
//! A lane hands its treated chunks on as they are; they become bytes when their file takes them in,
//! slice by slice on the pool, because a row of a workbook says which one it is. A file ends at the
//! last row that it may hold, within a chunk if need be. A bundle is one file: a zip archive whose
//! members end where files would.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::write::{
    Archive, ArchivedAs, CellError, Encoded, RowEncoder, RowFile, RowFormat,
};
use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::PartEnd;
use super::sink::Sink;
use crate::engine::CHUNK_ROWS;
use crate::engine::chunk::CHUNK_BYTES;
use crate::engine::treat::Chunk;
use crate::error::RunError;

/// Rows after which a group is handed on: 2 chunks.
const GROUP_ROWS: usize = 2 * CHUNK_ROWS;

/// Rows that one thread encodes at a time.
const SLICE_ROWS: usize = 4096;

/// Where a file, or a member of a bundle, ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most rows.
    pub(super) rows: u64,
    /// Bytes from which on nothing is added.
    pub(super) bytes: u64,
}

/// A file that stands beside the rows in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub content: Vec<u8>,
}

/// How a run writes files of rows.
#[derive(Debug)]
pub(super) struct RowsEncoder {
    encoder: Arc<RowEncoder>,
    schema: SchemaRef,
    format: RowFormat,
    limits: Limits,
    /// What a bundle begins with; absent where files are not bundled.
    companions: Option<Vec<Companion>>,
}

impl RowsEncoder {
    pub(super) fn new(
        schema: SchemaRef,
        format: &RowFormat,
        companions: Option<Vec<Companion>>,
        limits: Limits,
    ) -> Result<Self, ConnectorError> {
        let limits = Limits {
            rows: limits.rows.min(format.rows_max()),
            ..limits
        };
        Ok(Self {
            encoder: Arc::new(RowEncoder::new(Arc::clone(&schema), format)?),
            schema,
            format: format.clone(),
            limits,
            companions,
        })
    }

    /// The extension of the files' names.
    pub(super) fn extension(&self) -> &'static str {
        match self.companions {
            Some(_) => "zip",
            None => self.format.extension(),
        }
    }

    /// Opens a file.
    pub(super) fn open(&self, sink: Sink) -> Result<RowsFile, RunError> {
        let (target, members) = match &self.companions {
            None => (Target::File(sink), None),
            Some(companions) => {
                let mut archive = Archive::new(sink);
                let mut members = Members::of(&self.format);
                begin_bundle(&mut archive, companions, &mut members)
                    .map_err(|error| RunError::writing(&error))?;
                (Target::Member(Box::new(archive)), Some(members))
            }
        };
        let bytes = Arc::new(AtomicU64::new(0));
        Ok(RowsFile {
            file: Some(open(&self.encoder, target, &bytes)?),
            encoder: Arc::clone(&self.encoder),
            schema: Arc::clone(&self.schema),
            limits: self.limits,
            rows: 0,
            bytes,
            members,
            guarded: 0,
        })
    }
}

fn open(
    encoder: &RowEncoder,
    target: Target,
    bytes: &Arc<AtomicU64>,
) -> Result<RowFile<Counted>, RunError> {
    bytes.store(0, Ordering::Relaxed);
    let counted = Counted {
        target,
        bytes: Arc::clone(bytes),
    };
    encoder
        .open(counted)
        .map_err(|error| RunError::writing(&error))
}

fn begin_bundle(
    archive: &mut Archive<Sink>,
    companions: &[Companion],
    members: &mut Members,
) -> io::Result<()> {
    for companion in companions {
        archive.begin(companion.name, ArchivedAs::Deflated)?;
        archive.write_all(&companion.content)?;
    }
    members.begin(archive)
}

/// The members of a bundle that hold rows.
struct Members {
    begun: u32,
    extension: &'static str,
    archived_as: ArchivedAs,
}

impl Members {
    fn of(format: &RowFormat) -> Self {
        Self {
            begun: 0,
            extension: format.extension(),
            archived_as: match format {
                RowFormat::Xlsx => ArchivedAs::Stored,
                RowFormat::Csv(_) | RowFormat::Jsonl => ArchivedAs::Deflated,
            },
        }
    }

    fn begin(&mut self, archive: &mut Archive<Sink>) -> io::Result<()> {
        let name = self.name(self.begun);
        self.begun += 1;
        archive.begin(&name, self.archived_as)
    }

    fn current(&self) -> String {
        self.name(self.begun.saturating_sub(1))
    }

    fn name(&self, index: u32) -> String {
        format!("part-{index:05}.{}", self.extension)
    }
}

/// What rows are written into: a file, or a member of an archive.
enum Target {
    File(Sink),
    Member(Box<Archive<Sink>>),
}

/// Counts what was written of a file or member.
struct Counted {
    target: Target,
    bytes: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.target {
            Target::File(sink) => sink.write_all(bytes)?,
            Target::Member(archive) => archive.write_all(bytes)?,
        }
        self.bytes.fetch_add(count(bytes.len()), Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A group of rows under way.
#[derive(Default)]
pub(in crate::engine) struct RowsGroupWriter {
    chunks: Vec<Vec<ArrayRef>>,
    rows: usize,
    bytes: u64,
}

impl RowsGroupWriter {
    /// Rows taken in.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// What the rows taken in held before treatment, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the group is to be handed on.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS || self.bytes >= CHUNK_BYTES
    }

    /// Takes a chunk in.
    pub(super) fn write(mut self, chunk: &Chunk) -> Self {
        self.chunks.push(chunk.columns.clone());
        self.rows += chunk.rows;
        self.bytes = self.bytes.saturating_add(chunk.bytes);
        self
    }

    /// Finishes the group.
    pub(super) fn close(self) -> RowsGroup {
        RowsGroup {
            chunks: self.chunks,
            rows: self.rows,
        }
    }
}

/// A group of treated rows.
pub(in crate::engine) struct RowsGroup {
    chunks: Vec<Vec<ArrayRef>>,
    rows: usize,
}

/// Shows how many rows; the values are nobody's business.
impl fmt::Debug for RowsGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowsGroup")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl RowsGroup {
    /// Rows in the group.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the first rows out, at most so many.
    fn take(&mut self, rows: u64) -> Self {
        let mut room = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut taken = Self {
            chunks: Vec::new(),
            rows: 0,
        };
        for columns in std::mem::take(&mut self.chunks) {
            let rows = rows_of(&columns);
            let fits = rows.min(room);
            if fits > 0 {
                taken.chunks.push(slice(&columns, 0, fits));
            }
            if fits < rows {
                self.chunks.push(slice(&columns, fits, rows - fits));
            }
            room -= fits;
            taken.rows += fits;
        }
        self.rows -= taken.rows;
        taken
    }

    /// The rows in slices, each with how many rows stand before it.
    fn slices(&self) -> Vec<(u64, Vec<ArrayRef>)> {
        let mut slices = Vec::new();
        let mut before = 0;
        for columns in &self.chunks {
            let rows = rows_of(columns);
            for start in (0..rows).step_by(SLICE_ROWS) {
                let length = SLICE_ROWS.min(rows - start);
                slices.push((before + count(start), slice(columns, start, length)));
            }
            before += count(rows);
        }
        slices
    }
}

fn rows_of(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |column| column.len())
}

fn slice(columns: &[ArrayRef], start: usize, length: usize) -> Vec<ArrayRef> {
    columns
        .iter()
        .map(|column| column.slice(start, length))
        .collect()
}

/// A file under way.
pub(super) struct RowsFile {
    encoder: Arc<RowEncoder>,
    schema: SchemaRef,
    limits: Limits,
    /// Absent only while one member gives way to the next.
    file: Option<RowFile<Counted>>,
    /// Rows of the file, or of the member under way.
    rows: u64,
    /// Bytes of the file, or of the member under way before it is compressed.
    bytes: Arc<AtomicU64>,
    /// The members of a bundle; absent where files are not bundled.
    members: Option<Members>,
    /// Cells guarded in the members before the one under way.
    guarded: u64,
}

impl RowsFile {
    /// Whether the file takes no more rows.
    pub(super) fn is_full(&self) -> bool {
        self.members.is_none() && self.room() == 0
    }

    /// How many more rows the file, or the member under way, takes.
    fn room(&self) -> u64 {
        let is_full = self.file.as_ref().is_some_and(RowFile::is_full);
        if is_full || self.bytes.load(Ordering::Relaxed) >= self.limits.bytes {
            return 0;
        }
        self.limits.rows.saturating_sub(self.rows)
    }

    /// Appends rows, encoding them on `pool`. Returns those for which the next file is.
    pub(super) fn append(
        &mut self,
        mut group: RowsGroup,
        pool: &ThreadPool,
    ) -> Result<Option<RowsGroup>, RunError> {
        loop {
            let fitting = group.take(self.room());
            self.write(&fitting, pool)?;
            if group.rows() == 0 {
                return Ok(None);
            }
            if self.members.is_none() {
                return Ok(Some(group));
            }
            self.next_member()?;
        }
    }

    fn write(&mut self, group: &RowsGroup, pool: &ThreadPool) -> Result<(), RunError> {
        let encode = |(before, columns): &(u64, Vec<ArrayRef>)| {
            let encoded = self.encoder.encode(columns, self.rows + before);
            encoded.map_err(|error| self.unwritable(*before, error))
        };
        let slices = group.slices();
        let encoded: Vec<Encoded> =
            pool.install(|| slices.par_iter().map(encode).collect::<Result<_, _>>())?;
        let file = self.file.as_mut().ok_or_else(no_member)?;
        for rows in &encoded {
            file.append(rows)
                .map_err(|error| RunError::writing(&error))?;
        }
        self.rows += count(group.rows());
        Ok(())
    }

    /// Says where a value stands that the format cannot hold.
    fn unwritable(&self, before: u64, error: CellError) -> RunError {
        let field = self.schema.fields().get(error.column);
        RunError::Unwritable {
            field: field.map_or_else(String::new, |field| field.name().clone()),
            member: self.members.as_ref().map(Members::current),
            row: self.rows + before + count(error.row) + 1,
            source: error.why,
        }
    }

    /// Ends the member under way and begins the next.
    fn next_member(&mut self) -> Result<(), RunError> {
        let file = self.file.take().ok_or_else(no_member)?;
        self.guarded += file.guarded();
        let finished = file.finish().map_err(|error| RunError::writing(&error))?;
        let (Target::Member(mut archive), Some(members)) = (finished.target, &mut self.members)
        else {
            return Err(no_member());
        };
        members
            .begin(&mut archive)
            .map_err(|error| RunError::writing(&error))?;
        let target = Target::Member(archive);
        self.file = Some(open(&self.encoder, target, &self.bytes)?);
        self.rows = 0;
        Ok(())
    }

    /// Writes what ends the file.
    pub(super) fn close(self) -> Result<PartEnd, RunError> {
        let file = self.file.ok_or_else(no_member)?;
        let guarded = self.guarded + file.guarded();
        let end = || match file.finish()?.target {
            Target::File(sink) => Ok(sink),
            Target::Member(archive) => archive.finish(),
        };
        let sink = end().map_err(|error: io::Error| RunError::writing(&error))?;
        Ok(PartEnd { sink, guarded })
    }
}

fn no_member() -> RunError {
    RunError::Internal {
        what: "rows were given to a file that takes none".to_owned(),
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
