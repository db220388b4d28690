//! Publication into a directory: the manifest appears by hard link, which never replaces.
//!
//! Directories are made with mode 0750 and files with 0640, less the umask: a recipient's account
//! gets at a delivery through the group of the destination's directory. No directory between the
//! destination and a file may be a symbolic link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rustix::fs::{Mode, OFlags};

use super::part::ReadBack;
use super::sweep::Found;
use super::{
    Folder, MANIFEST, MANIFEST_BYTES_MAX, PROBE, PROBES, Publication, StagedFile, is_attempt,
    is_delivery,
};
use crate::durable;
use crate::error::ConnectorError;

const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const BUFFER_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 512 << 10;
const READ_BUFFERS: usize = 4;

/// After so many bytes the disk is asked to take what it has, so that the sync at the end of a
/// part waits for little. Measured on 600 MiB written at 150 MB/s: the last sync takes 0.17 s
/// without, 0.02 s with 32 MiB, and the writing no longer.
const WRITE_BACK_BYTES: u64 = 32 << 20;

/// The manifest before it has its name. Not called `manifest.json`, so that no reader that looks
/// for that name in a whole tree ever finds it.
const UNNAMED_MANIFEST: &str = "manifest.unpublished";

/// How often a probe is begun where others remove its directory.
const PROBE_ROUNDS: u32 = 20;

/// A directory as a destination.
#[derive(Clone)]
pub(super) struct Local {
    root: PathBuf,
}

impl Local {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn grant(&self, folder: &Folder) -> PathBuf {
        self.root.join(&folder.grant)
    }

    fn delivery(&self, folder: &Folder) -> PathBuf {
        self.grant(folder).join(&folder.delivery)
    }

    pub(super) fn probe(&self, name: &str) -> Result<(), ConnectorError> {
        if !self.root.is_dir() {
            return Ok(());
        }
        let directory = self.root.join(PROBES);
        let mut rounds = 0;
        loop {
            rounds += 1;
            let made = durable::make_directory(&directory, DIRECTORY_MODE);
            let probed = made
                .map_err(|error| failed(&error, &directory))
                .and_then(|()| refuse_link(&directory))
                .and_then(|()| probe_links(&directory, name));
            // Whoever probes removes the directory when it is empty: perhaps between two of these
            // lines of another process, which then begins again.
            let is_final = match &probed {
                Ok(()) | Err(ConnectorError::NoConditionalCreate { .. }) => true,
                Err(_) => rounds >= PROBE_ROUNDS,
            };
            drop(fs::remove_dir(&directory));
            if is_final {
                return probed;
            }
        }
    }

    /// Removes probes last changed before a time; returns how many.
    pub(super) fn sweep_probes(&self, before: DateTime<Utc>) -> Result<u64, ConnectorError> {
        let directory = self.root.join(PROBES);
        if !directory.is_dir() || directory.is_symlink() {
            return Ok(0);
        }
        let mut swept = 0_u64;
        for entry in fs::read_dir(&directory).map_err(|error| failed(&error, &directory))? {
            let entry = entry.map_err(|error| failed(&error, &directory))?;
            let (path, name) = (entry.path(), entry.file_name());
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let is_probe = name.to_str().is_some_and(|name| name.starts_with(PROBE));
            if is_file && is_probe && newest(&path)?.is_some_and(|changed| changed < before) {
                durable::remove_if_there(&path).map_err(|error| failed(&error, &path))?;
                swept = swept.saturating_add(1);
            }
        }
        // Full, it stays.
        drop(fs::remove_dir(&directory));
        Ok(swept)
    }

    /// Makes an attempt's folder; false if the name is taken.
    pub(super) fn make_attempt(&self, folder: &Folder, id: &str) -> Result<bool, ConnectorError> {
        durable::make_directories(&self.root, DIRECTORY_MODE)
            .map_err(|error| failed(&error, &self.root))?;
        let attempt = self.delivery(folder).join(id);
        // A second round, because a process that discards the last attempt of this delivery
        // removes empty folders, perhaps between two of these lines.
        let mut rounds = 0;
        loop {
            rounds += 1;
            for directory in [self.grant(folder), self.delivery(folder)] {
                match durable::make_directory(&directory, DIRECTORY_MODE) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound && rounds < 5 => {}
                    made => made.map_err(|error| failed(&error, &directory))?,
                }
            }
            match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&attempt) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound && rounds < 5 => {}
                Err(error) => return Err(failed(&error, &attempt)),
            }
        }
        refuse_link(&self.grant(folder))?;
        refuse_link(&self.delivery(folder))?;
        sync(&self.delivery(folder))?;
        probe_links(&attempt, "probe")?;
        Ok(true)
    }

    pub(super) fn create_part(
        &self,
        folder: &Folder,
        id: &str,
        name: &str,
    ) -> Result<LocalPart, ConnectorError> {
        let path = self.delivery(folder).join(id).join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|error| vanished_or(&error, &path))?;
        Ok(LocalPart::over(&path, file))
    }

    /// Looks for every staged file once more.
    pub(super) fn confirm(
        &self,
        folder: &Folder,
        staged: &[StagedFile],
    ) -> Result<(), ConnectorError> {
        for file in staged {
            let path = self.delivery(folder).join(&file.path);
            let metadata =
                fs::symlink_metadata(&path).map_err(|error| vanished_or(&error, &path))?;
            if !metadata.is_file() || metadata.len() != file.bytes {
                let what = format!("{} bytes were written and it has changed since", file.bytes);
                return Err(ConnectorError::Altered {
                    place: place(&path),
                    what,
                });
            }
        }
        Ok(())
    }

    /// The one conditional create, right before which `may` is asked.
    pub(super) fn create_manifest(
        &self,
        folder: &Folder,
        id: &str,
        manifest: &Bytes,
        may: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Publication, ConnectorError> {
        let attempt = self.delivery(folder).join(id);
        let unnamed = attempt.join(UNNAMED_MANIFEST);
        let named = self.delivery(folder).join(MANIFEST);
        durable::remove_if_there(&unnamed).map_err(|error| failed(&error, &unnamed))?;
        durable::write_new(&unnamed, manifest, FILE_MODE)
            .map_err(|error| vanished_or(&error, &unnamed))?;
        // The files' names must be on the disk before a manifest can name them.
        sync(&attempt)?;
        if !may() {
            drop(fs::remove_file(&unnamed));
            return Ok(Publication::Withdrawn);
        }
        let linked = fs::hard_link(&unnamed, &named);
        // A leftover under this name is no harm; it goes with the folder.
        drop(fs::remove_file(&unnamed));
        let unsettled = |what: String| ConnectorError::Unsettled {
            place: place(&named),
            what,
        };
        let published = match linked {
            Ok(()) => Publication::Published,
            // On a network file system a link can be made and its answer lost, so whatever the
            // answer was, what is there decides.
            Err(error) => match self.read_manifest(folder) {
                Ok(Some(found)) if found == manifest => Publication::Published,
                Ok(Some(found)) => return Ok(Publication::AlreadyPublished(found)),
                Ok(None) => return Err(vanished_or(&error, &named)),
                Err(_) => return Err(unsettled(error.kind().to_string())),
            },
        };
        // It is visible from here on. A disk that then can't confirm it leaves the outcome open:
        // after a power failure it may be gone.
        durable::sync_directory(&self.delivery(folder))
            .map_err(|error| unsettled(format!("it is there but not synced: {}", error.kind())))?;
        Ok(published)
    }

    pub(super) fn read_manifest(&self, folder: &Folder) -> Result<Option<Bytes>, ConnectorError> {
        let path = self.delivery(folder).join(MANIFEST);
        for directory in [self.grant(folder), self.delivery(folder)] {
            if directory.is_symlink() {
                refuse_link(&directory)?;
            }
        }
        let file = match open_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failed(&error, &path))?,
        };
        let found = file.metadata().map_err(|error| failed(&error, &path))?;
        if found.len() > MANIFEST_BYTES_MAX {
            return Err(super::too_large(place(&path)));
        }
        // It may grow meanwhile.
        let mut content = Vec::new();
        let mut limited = file.take(MANIFEST_BYTES_MAX + 1);
        limited
            .read_to_end(&mut content)
            .map_err(|error| failed(&error, &path))?;
        if limited.limit() == 0 {
            return Err(super::too_large(place(&path)));
        }
        Ok(Some(content.into()))
    }

    /// Deliveries of a grant: folders, no links.
    pub(super) fn deliveries(&self, grant: &str) -> Result<Vec<String>, ConnectorError> {
        let directory = self.root.join(grant);
        Ok(subfolders(&directory)?
            .into_iter()
            .filter(|name| is_delivery(name))
            .collect())
    }

    /// Attempts at a delivery.
    pub(super) fn attempts(&self, folder: &Folder) -> Result<Vec<Found>, ConnectorError> {
        let directory = self.delivery(folder);
        let mut found = Vec::new();
        for id in subfolders(&directory)?
            .into_iter()
            .filter(|name| is_attempt(name))
        {
            let path = directory.join(&id);
            if let Some(newest) = newest(&path)? {
                found.push(Found { id, newest });
            }
        }
        Ok(found)
    }

    /// Removes an attempt's folder and the files directly in it; returns how many and their bytes.
    pub(super) fn remove_attempt(
        &self,
        folder: &Folder,
        id: &str,
    ) -> Result<(u64, u64), ConnectorError> {
        let (delivery, grant) = (self.delivery(folder), self.grant(folder));
        let attempt = delivery.join(id);
        for directory in [&grant, &delivery, &attempt] {
            if !directory.is_symlink() && !directory.exists() {
                return Ok((0, 0));
            }
            refuse_link(directory)?;
        }
        let (mut files, mut bytes) = (0_u64, 0_u64);
        for entry in fs::read_dir(&attempt).map_err(|error| failed(&error, &attempt))? {
            let entry = entry.map_err(|error| failed(&error, &attempt))?;
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(|error| failed(&error, &entry.path()))?,
            };
            // An attempt makes no folders: one is somebody else's, and keeps its parent alive.
            if metadata.is_dir() {
                continue;
            }
            durable::remove_if_there(&entry.path())
                .map_err(|error| failed(&error, &entry.path()))?;
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(metadata.len());
        }
        match fs::remove_dir(&attempt) {
            // A folder in it is somebody else's, and stays with whatever it holds.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                return Err(failed(&error, &attempt));
            }
            _ => {}
        }
        // Empty folders say nothing; full ones stay because this fails on them.
        drop(fs::remove_dir(&delivery).and_then(|()| fs::remove_dir(&grant)));
        Ok((files, bytes))
    }
}

/// A part being written to a file.
pub(super) struct LocalPart {
    path: PathBuf,
    writer: BufWriter<File>,
    unsynced: u64,
    write_back: Option<WriteBack>,
}

impl LocalPart {
    pub(super) fn over(path: &Path, file: File) -> Self {
        let path = path.to_owned();
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Self {
            path,
            writer,
            unsynced: 0,
            write_back: None,
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConnectorError> {
        self.writer
            .write_all(bytes)
            .map_err(|error| vanished_or(&error, &self.path))?;
        self.unsynced = self
            .unsynced
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.unsynced >= WRITE_BACK_BYTES {
            self.unsynced = 0;
            if self.write_back.is_none() {
                self.write_back = WriteBack::start(self.writer.get_ref());
            }
            if let Some(write_back) = &self.write_back {
                write_back.ask();
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, bytes: u64, sha256: &[u8; 32]) -> Result<(), ConnectorError> {
        let path = &self.path;
        let file = self
            .writer
            .into_inner()
            .map_err(|error| vanished_or(&io::Error::from(error.error().kind()), path))?;
        if let Some(write_back) = self.write_back {
            write_back
                .stop()
                .map_err(|error| vanished_or(&error, path))?;
        }
        file.sync_all().map_err(|error| vanished_or(&error, path))?;
        drop(file);
        if let Some(directory) = path.parent() {
            sync(directory)?;
        }
        let file = open_file(path).map_err(|error| vanished_or(&error, path))?;
        let mut read_back = ReadBack::default();
        read_over(&file, |chunk| read_back.update(chunk))
            .map_err(|error| vanished_or(&error, path))?;
        read_back.confirm(place(path), bytes, sha256)
    }
}

/// Looks at all of a file in order, its next bytes being read meanwhile.
fn read_over(file: &File, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let (fill, filled) = mpsc::sync_channel(READ_BUFFERS);
    let (empty, emptied) = mpsc::channel();
    for _ in 0..READ_BUFFERS {
        empty.send(vec![0; READ_BYTES]).ok(); // its receiver stands above
    }
    std::thread::scope(move |scope| {
        std::thread::Builder::new()
            .name("read-back".to_owned())
            .spawn_scoped(scope, move || {
                while let Ok(mut buffer) = emptied.recv() {
                    let read = read_some(file, &mut buffer);
                    let last = !read.as_ref().is_ok_and(|length| *length > 0);
                    if fill.send(read.map(|length| (buffer, length))).is_err() || last {
                        break;
                    }
                }
            })?;
        for read in filled {
            let (buffer, length) = read?;
            look(buffer.get(..length).unwrap_or_default());
            empty.send(buffer).ok(); // nobody waits for it once the file has ended
        }
        Ok(())
    })
}

fn read_some(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// A thread that syncs a file's data while more of it is being written.
///
/// The kernel reports a failed write once per opened file, so an error found here is kept for the
/// final sync, which would no longer see it.
struct WriteBack {
    asks: mpsc::SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl WriteBack {
    /// None where the system has no thread or descriptor left: the final sync then does it all.
    fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (asks, asked) = mpsc::sync_channel::<()>(1);
        let thread = std::thread::Builder::new()
            .name("write-back".to_owned())
            .spawn(move || {
                let mut first = Ok(());
                while asked.recv().is_ok() {
                    first = first.and_then(|()| file.sync_data());
                }
                first
            })
            .ok()?;
        Some(Self { asks, thread })
    }

    /// Never waits: while the disk is busy with an earlier request, one more is enough.
    fn ask(&self) {
        self.asks.try_send(()).unwrap_or_default();
    }

    fn stop(self) -> io::Result<()> {
        drop(self.asks);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the write-back thread panicked")))
    }
}

/// Makes a file and links it twice to one name: the second must fail, and by existing.
fn probe_links(directory: &Path, name: &str) -> Result<(), ConnectorError> {
    let (file, link) = (directory.join(name), directory.join(format!("{name}-link")));
    durable::write_new(&file, b"", FILE_MODE).map_err(|error| failed(&error, &file))?;
    let (first, second) = (fs::hard_link(&file, &link), fs::hard_link(&file, &link));
    for path in [&link, &file] {
        durable::remove_if_there(path).map_err(|error| failed(&error, path))?;
    }
    let refused = |what: &str| {
        Err(ConnectorError::NoConditionalCreate {
            place: place(directory),
            what: what.to_owned(),
        })
    };
    match (first, second) {
        (Ok(()), Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        (Ok(()), Err(_)) => refused("a second hard link of one name fails, but not by existing"),
        (Ok(()), Ok(())) => refused("of two hard links of one name both succeed"),
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            refused("its file system makes no hard links")
        }
        (Err(error), _) => Err(failed(&error, &link)),
    }
}

/// Opens a file to read it, unless its last part is a link or it is no file.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(file)
}

/// Names of the folders in a directory; none if it doesn't exist. Links are no folders.
fn subfolders(directory: &Path) -> Result<Vec<String>, ConnectorError> {
    if directory.is_symlink() {
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(&error, directory))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error, directory))?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        names.extend(entry.file_name().into_string().ok().filter(|_| is_folder));
    }
    names.sort_unstable();
    Ok(names)
}

/// When a file, or a folder or a file in it, was last changed; none if it has gone meanwhile.
fn newest(attempt: &Path) -> Result<Option<DateTime<Utc>>, ConnectorError> {
    let mut newest = None;
    let mut look = |path: &Path| match fs::symlink_metadata(path).and_then(|m| m.modified()) {
        Ok(modified) => {
            newest = newest.max(Some(DateTime::<Utc>::from(modified)));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(&error, path)),
    };
    look(attempt)?;
    match fs::read_dir(attempt) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => {
            for entry in entries.map_err(|error| failed(&error, attempt))? {
                look(&entry.map_err(|error| failed(&error, attempt))?.path())?;
            }
        }
    }
    Ok(newest)
}

fn refuse_link(directory: &Path) -> Result<(), ConnectorError> {
    let metadata = fs::symlink_metadata(directory).map_err(|error| failed(&error, directory))?;
    if metadata.is_dir() {
        return Ok(());
    }
    Err(ConnectorError::config(
        format!("{} is a link or no directory", place(directory)),
        "a destination holds only directories that runs have made: move it away",
    ))
}

fn sync(directory: &Path) -> Result<(), ConnectorError> {
    durable::sync_directory(directory).map_err(|error| vanished_or(&error, directory))
}

/// Something this attempt made is gone: that is no configuration to check, somebody removed it.
fn vanished_or(error: &io::Error, path: &Path) -> ConnectorError {
    if error.kind() == io::ErrorKind::NotFound {
        let what = "it or its folder has been removed".to_owned();
        return ConnectorError::Altered {
            place: place(path),
            what,
        };
    }
    failed(error, path)
}

fn failed(error: &io::Error, path: &Path) -> ConnectorError {
    ConnectorError::from_io(error, place(path))
}

fn place(path: &Path) -> String {
    path.display().to_string()
}
