//! Formats of rows: delimited text, JSON lines, workbooks, bundles of them, and Arrow files.
//!
//! A lane hands its treated chunks on as they are; they become bytes when their file takes them in,
//! slice by slice on the pool, because a row of a workbook says which one it is. Only as many slices as
//! there are threads are bytes at a time: what is written of a row may be many times what is counted of
//! it. A file ends at the last row that it may hold, within a chunk if need be, or with the slice that
//! makes it full. A bundle is a zip archive whose members end where files would.

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
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::PartEnd;
use super::sink::Sink;
use crate::canonical_json;
use crate::digest::hex;
use crate::engine::CHUNK_ROWS;
use crate::engine::chunk::CHUNK_BYTES;
use crate::engine::treat::Chunk;
use crate::error::RunError;

/// Rows after which a group is handed on: 2 chunks.
const GROUP_ROWS: usize = 2 * CHUNK_ROWS;

/// Most rows that one thread encodes at a time.
const SLICE_ROWS: usize = 4096;

/// Most cells that one thread encodes at a time, unless a row has more: what memory follows. Part of what
/// a delivery's bytes depend on.
const SLICE_CELLS: usize = 1 << 16;

/// Members with rows after which a bundle ends, with the last of them: stores take files of up to about
/// 78 GiB as they are written here.
const MEMBERS_MAX: u32 = 64;

/// The member of a bundle that states the others.
const CONTENTS: &str = "contents.json";

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
        (format, ids): (&RowFormat, &[bool]),
        companions: Option<Vec<Companion>>,
        limits: Limits,
    ) -> Result<Self, ConnectorError> {
        let limits = Limits {
            rows: limits.rows.min(format.rows_max()),
            ..limits
        };
        Ok(Self {
            encoder: Arc::new(RowEncoder::new(Arc::clone(&schema), format, ids)?),
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
        let name = sink.name().to_owned();
        let (target, members) = match &self.companions {
            None => (Target::File(sink), None),
            Some(companions) => {
                let mut archive = Archive::new(sink);
                let mut members = Members::of(&self.format, &name);
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
            slice_rows: slice_rows(&self.format, self.schema.fields().len()),
            limits: self.limits,
            name,
            rows: 0,
            bytes,
            members,
            guarded: 0,
        })
    }
}

/// Rows of a format that one thread encodes at a time.
fn slice_rows(format: &RowFormat, columns: usize) -> usize {
    match format.is_of_batches() {
        // A batch is a chunk, and no larger in the file than in memory.
        true => usize::MAX,
        false => (SLICE_CELLS / columns.max(1)).clamp(1, SLICE_ROWS),
    }
}

fn open(
    encoder: &RowEncoder,
    target: Target,
    bytes: &Arc<AtomicU64>,
) -> Result<RowFile<Counted>, RunError> {
    bytes.store(0, Ordering::Relaxed);
    let counted = Counted {
        hash: Sha256::new(),
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
    /// The number of the first: those of all bundles of a delivery are counted on, so that they can be
    /// unpacked into one folder.
    first: u32,
    extension: &'static str,
    archived_as: ArchivedAs,
    contents: Contents,
}

impl Members {
    /// The members of a bundle called `name`.
    fn of(format: &RowFormat, name: &str) -> Self {
        Self {
            begun: 0,
            first: number_of(name).saturating_mul(MEMBERS_MAX),
            extension: format.extension(),
            archived_as: match format {
                RowFormat::Xlsx | RowFormat::Arrow(_) => ArchivedAs::Stored,
                RowFormat::Csv(_) | RowFormat::Jsonl => ArchivedAs::Deflated,
            },
            contents: Contents::default(),
        }
    }

    /// Whether there may be no more.
    fn are_all(&self) -> bool {
        self.begun >= MEMBERS_MAX
    }

    fn begin(&mut self, archive: &mut Archive<Sink>) -> io::Result<()> {
        self.begun += 1;
        archive.begin(&self.current(), self.archived_as)
    }

    fn current(&self) -> String {
        let number = self.first.saturating_add(self.begun.saturating_sub(1));
        format!("part-{number:05}.{}", self.extension)
    }

    /// Notes the member under way, which has ended.
    fn end(&mut self, rows: u64, bytes: u64, hash: Sha256) {
        let member = Member {
            path: self.current(),
            rows,
            bytes,
            sha256: hex(&hash.finalize()),
        };
        self.contents.files.push(member);
    }
}

/// The number in a part's name, `part-00001.zip`.
fn number_of(name: &str) -> u32 {
    let number = name.strip_prefix("part-");
    let number = number.and_then(|name| name.split('.').next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// What a bundle holds, by which its files can be checked once they are unpacked.
#[derive(Default, Serialize)]
struct Contents {
    files: Vec<Member>,
}

/// A member of a bundle that holds rows.
#[derive(Serialize)]
struct Member {
    path: String,
    rows: u64,
    bytes: u64,
    sha256: String,
}

/// What rows are written into: a file, or a member of an archive.
enum Target {
    File(Sink),
    Member(Box<Archive<Sink>>),
}

/// Counts what was written of a file or member, and hashes what was written of a member.
struct Counted {
    target: Target,
    hash: Sha256,
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
            Target::Member(archive) => {
                archive.write_all(bytes)?;
                self.hash.update(bytes);
            }
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

    /// Puts rows back that were taken out of the beginning.
    fn put_back(&mut self, mut first: Self) {
        first.chunks.append(&mut self.chunks);
        self.chunks = first.chunks;
        self.rows += first.rows;
    }

    /// The rows in slices of at most so many, each with how many rows stand before it.
    fn slices(&self, most: usize) -> Vec<(u64, Vec<ArrayRef>)> {
        let mut slices = Vec::new();
        let mut before = 0;
        for columns in &self.chunks {
            let rows = rows_of(columns);
            for start in (0..rows).step_by(most.max(1)) {
                let length = most.min(rows - start);
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
    /// Most rows that one thread encodes at a time.
    slice_rows: usize,
    /// The file's name.
    name: String,
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
        self.is_last() && self.room() == 0
    }

    /// Whether no member may follow the one under way.
    fn is_last(&self) -> bool {
        self.members.as_ref().is_none_or(Members::are_all)
    }

    /// How many more rows the file, or the member under way, takes.
    fn room(&self) -> u64 {
        if self.has_its_bytes() {
            return 0;
        }
        self.limits.rows.saturating_sub(self.rows)
    }

    /// Whether the file, or the member under way, has all the bytes that it may have.
    fn has_its_bytes(&self) -> bool {
        self.file.as_ref().is_some_and(RowFile::is_full)
            || self.bytes.load(Ordering::Relaxed) >= self.limits.bytes
    }

    /// Appends rows, encoding them on `pool`. Returns those for which the next file is.
    pub(super) fn append(
        &mut self,
        mut group: RowsGroup,
        pool: &ThreadPool,
    ) -> Result<Option<RowsGroup>, RunError> {
        loop {
            let mut fitting = group.take(self.room());
            let written = self.write(&fitting, pool)?;
            fitting.take(written);
            group.put_back(fitting);
            if group.rows() == 0 {
                return Ok(None);
            }
            if self.is_last() {
                return Ok(Some(group));
            }
            self.next_member()?;
        }
    }

    /// Encodes and writes rows, a few slices at a time; returns how many of them the file took.
    fn write(&mut self, group: &RowsGroup, pool: &ThreadPool) -> Result<u64, RunError> {
        let first = self.rows;
        let slices = group.slices(self.slice_rows);
        for wave in slices.chunks(pool.current_num_threads().max(1)) {
            let encode = |(before, columns): &(u64, Vec<ArrayRef>)| {
                let encoded = self.encoder.encode(columns, first + before);
                encoded.map_err(|error| self.unwritable(first + before, error))
            };
            let encoded: Vec<Result<Encoded, RunError>> =
                pool.install(|| wave.par_iter().map(encode).collect());
            for ((_, columns), rows) in wave.iter().zip(encoded) {
                if self.has_its_bytes() {
                    return Ok(self.rows - first);
                }
                let file = self.file.as_mut().ok_or_else(no_member)?;
                file.append(&rows?)
                    .map_err(|error| RunError::writing(&error))?;
                self.rows += count(rows_of(columns));
            }
        }
        Ok(self.rows - first)
    }

    /// Says where a value stands that the format cannot hold, behind so many rows of the file.
    fn unwritable(&self, before: u64, error: CellError) -> RunError {
        let field = self.schema.fields().get(error.column);
        let member = self.members.as_ref().map(Members::current);
        RunError::Unwritable {
            field: field.map_or_else(String::new, |field| field.name().clone()),
            member: Some(member.unwrap_or_else(|| self.name.clone())),
            row: before + count(error.row) + 1,
            source: error.why,
        }
    }

    /// Ends the member under way and begins the next.
    fn next_member(&mut self) -> Result<(), RunError> {
        let file = self.file.take().ok_or_else(no_member)?;
        self.guarded += file.guarded();
        let Counted { target, hash, .. } =
            file.finish().map_err(|error| RunError::writing(&error))?;
        let bytes = self.bytes.load(Ordering::Relaxed);
        let (Target::Member(mut archive), Some(members)) = (target, &mut self.members) else {
            return Err(no_member());
        };
        members.end(self.rows, bytes, hash);
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
        let Counted { target, hash, .. } =
            file.finish().map_err(|error| RunError::writing(&error))?;
        let sink = match (target, self.members) {
            (Target::File(sink), _) => sink,
            (Target::Member(archive), Some(mut members)) => {
                let bytes = self.bytes.load(Ordering::Relaxed);
                members.end(self.rows, bytes, hash);
                end_bundle(*archive, &members.contents)?
            }
            (Target::Member(_), None) => return Err(no_member()),
        };
        Ok(PartEnd { sink, guarded })
    }
}

/// Writes what a bundle holds into its last member, and ends it.
fn end_bundle(mut archive: Archive<Sink>, contents: &Contents) -> Result<Sink, RunError> {
    let contents = canonical_json::to_bytes(contents)
        .map_err(|error| RunError::internal("stating what a bundle holds", &error))?;
    let mut end = || {
        archive.begin(CONTENTS, ArchivedAs::Deflated)?;
        archive.write_all(&contents)
    };
    end().map_err(|error: io::Error| RunError::writing(&error))?;
    archive.finish().map_err(|error| RunError::writing(&error))
}

fn no_member() -> RunError {
    RunError::Internal {
        what: "rows were given to a file that takes none".to_owned(),
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
