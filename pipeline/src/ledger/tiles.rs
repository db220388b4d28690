//! The ledger's files: entries and hashes in the layout of C2SP `tlog-tiles`.
//!
//! `tile/entries/NNN` holds 256 entries, each after its length in 16 bits; `tile/L/NNN` holds 256
//! hashes of tree level 8·L. The last, growing tile of a level is `NNN.p/W` with W of them. A file
//! once written under its name never changes; narrower forms of a growing tile are removed once a
//! checkpoint names a wider one, so a reader that misses one looks for the next wider form, of which
//! its own is a prefix.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::event::ENTRY_BYTES_MAX;
use super::tree::{self, Hash};

/// Entries or hashes in a full tile.
pub(super) const WIDTH: u64 = 256;

/// [`WIDTH`] as a length.
const FULL: usize = 256;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// How often a tile is looked for again when a writer removed it between two looks.
const LOOKS: usize = 8;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Entries.
    Entries,
    /// Hashes of tree level 8 times this number.
    Hashes(u32),
}

/// One tile: what it holds, its number, and how much of it is there (1 to 256).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// What it holds.
    pub(super) kind: Kind,
    /// Its number, from 0.
    pub(super) number: u64,
    /// How many entries or hashes.
    pub(super) width: usize,
}

impl Tile {
    /// Path below the ledger's directory.
    pub(super) fn path(self) -> String {
        if self.width == FULL {
            self.full_path()
        } else {
            format!("{}.p/{}", self.full_path(), self.width)
        }
    }

    /// Path of the tile once it is full.
    fn full_path(self) -> String {
        let mut rest = self.number;
        let mut path = format!("{:03}", rest % 1000);
        while rest >= 1000 {
            rest /= 1000;
            path = format!("x{:03}/{path}", rest % 1000);
        }
        match self.kind {
            Kind::Entries => format!("tile/entries/{path}"),
            Kind::Hashes(level) => format!("tile/{level}/{path}"),
        }
    }

    /// Directory of its partial forms.
    fn partial_directory(self) -> String {
        format!("{}.p", self.full_path())
    }

    /// The tiles of one kind in a tree of `size` leaves, from the first.
    pub(super) fn all(kind: Kind, size: u64) -> impl Iterator<Item = Self> {
        let count = match kind {
            Kind::Entries => size,
            Kind::Hashes(level) => size.checked_shr(level * 8).unwrap_or(0),
        };
        (0..count.div_ceil(WIDTH)).map(move |number| Self {
            kind,
            number,
            width: usize::try_from(count - number * WIDTH)
                .unwrap_or(FULL)
                .min(FULL),
        })
    }
}

/// The directory of a ledger.
#[derive(Debug, Clone)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// The ledger in `directory`, which need not exist.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Full path of a file of the ledger.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.directory.join(relative)
    }

    /// Reads a small file; absent if there is none.
    pub(super) fn read(
        &self,
        relative: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        let path = self.path(relative);
        let opened = fs::metadata(&path).and_then(|found| {
            // Opening a pipe would wait for whoever writes to it.
            found.is_file().then(|| File::open(&path)).transpose()
        });
        let file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => return Err(LedgerError::damaged(relative, "is not a regular file")),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(source) => return Err(LedgerError::io(relative, source)),
        };
        let mut bytes = Vec::new();
        file.take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| LedgerError::io(relative, source))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
            return Err(LedgerError::damaged(relative, "larger than it can be"));
        }
        Ok(Some(bytes))
    }

    /// Reads a tile of hashes.
    pub(super) fn read_hashes(&self, tile: Tile) -> Result<Vec<Hash>, LedgerError> {
        let limit = u64::try_from(FULL * HASH_BYTES).unwrap_or(u64::MAX);
        let (found, bytes) = self.read_tile(tile, limit)?;
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        if hashes.len() != found.width || !rest.is_empty() {
            return Err(LedgerError::damaged(
                &found.path(),
                "length differs from its name",
            ));
        }
        Ok(hashes.iter().take(tile.width).copied().collect())
    }

    /// Reads a bundle of entries.
    pub(super) fn read_entries(&self, tile: Tile) -> Result<Vec<Vec<u8>>, LedgerError> {
        let limit = u64::try_from(FULL * (ENTRY_BYTES_MAX + 2)).unwrap_or(u64::MAX);
        let (found, bytes) = self.read_tile(tile, limit)?;
        let mut entries = split_entries(&bytes)
            .filter(|entries| entries.len() == found.width)
            .ok_or_else(|| {
                LedgerError::damaged(
                    &found.path(),
                    "does not hold as many entries as its name says",
                )
            })?;
        entries.truncate(tile.width);
        Ok(entries)
    }

    /// Reads `tile`, or the narrowest wider form of it that is there.
    fn read_tile(&self, tile: Tile, bytes_max: u64) -> Result<(Tile, Vec<u8>), LedgerError> {
        for _ in 0..LOOKS {
            if let Some(bytes) = self.read(&tile.path(), bytes_max)? {
                return Ok((tile, bytes));
            }
            let wider = self
                .partial_widths(tile)?
                .into_iter()
                .filter(|width| *width > tile.width)
                .min()
                .unwrap_or(FULL);
            let wider = Tile {
                width: wider,
                ..tile
            };
            if let Some(bytes) = self.read(&wider.path(), bytes_max)? {
                return Ok((wider, bytes));
            }
        }
        Err(LedgerError::damaged(&tile.path(), "is missing"))
    }

    /// Widths of the partial forms of a tile that are there.
    fn partial_widths(&self, tile: Tile) -> Result<Vec<usize>, LedgerError> {
        let relative = tile.partial_directory();
        let listing = match fs::read_dir(self.path(&relative)) {
            Ok(listing) => listing,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(source) => return Err(LedgerError::io(&relative, source)),
        };
        let mut widths = Vec::new();
        for item in listing {
            let item = item.map_err(|source| LedgerError::io(&relative, source))?;
            if let Some(width) = item.file_name().to_str().and_then(|name| name.parse().ok())
                && (1..FULL).contains(&width)
            {
                widths.push(width);
            }
        }
        Ok(widths)
    }

    /// Whether entries lie beyond a tree of `size` leaves: what an append left that was
    /// interrupted, or a checkpoint that was set back.
    pub(super) fn has_entries_beyond(&self, size: u64) -> Result<bool, LedgerError> {
        let width = usize::try_from(size % WIDTH).unwrap_or(0);
        let tile = Tile {
            kind: Kind::Entries,
            number: size / WIDTH,
            width,
        };
        let widest = self.partial_widths(tile)?.into_iter().max().unwrap_or(0);
        Ok(widest > width || self.path(&tile.full_path()).exists())
    }

    /// Whether the growing bundle of a tree of `size` leaves is there in its own form. A later append
    /// removes it, but only once a checkpoint covers that append; what a killed one leaves lies beside
    /// it. A tree without a growing bundle has none to miss.
    pub(super) fn has_own_bundle(&self, size: u64) -> bool {
        partial(Kind::Entries, size).is_none_or(|tile| self.path(&tile.path()).exists())
    }

    /// Writes a file so that it is there whole or not at all, and stays: content, then name, then
    /// directory are synced. A file of that name is replaced.
    pub(super) fn write(&self, relative: &str, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.path(relative);
        let failed = |source| LedgerError::io(relative, source);
        let parent = path.parent().unwrap_or(&self.directory);
        create_directories(parent).map_err(failed)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let mut file = File::create(&temporary).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        drop(file);
        fs::rename(&temporary, &path).map_err(failed)?;
        sync_directory(parent).map_err(failed)
    }

    /// Opens a file to lock it, created empty if need be.
    pub(super) fn open_for_lock(&self, relative: &str) -> io::Result<File> {
        create_directories(&self.directory)?;
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(relative))
    }

    /// Removes partial forms of a tile other than `tile` itself. They are of no more use, and a
    /// failure to remove them does no harm.
    pub(super) fn remove_narrower(&self, tile: Tile) {
        let directory = self.path(&tile.partial_directory());
        if tile.width == FULL {
            if let Err(error) = fs::remove_dir_all(&directory)
                && !is_absent(&error)
            {
                tracing::debug!(tile = tile.path(), "Superseded tiles stay.");
            }
            return;
        }
        for width in self.partial_widths(tile).unwrap_or_default() {
            if width != tile.width && fs::remove_file(directory.join(width.to_string())).is_err() {
                tracing::debug!(tile = tile.path(), width, "A superseded tile stays.");
            }
        }
    }
}

/// Hashes of full subtrees of a ledger of a given size, read from its tiles and kept.
#[derive(Debug)]
pub(super) struct Nodes<'a> {
    files: &'a Files,
    size: u64,
    read: HashMap<(u32, u64), Vec<Hash>>,
}

impl<'a> Nodes<'a> {
    /// Nodes of the tree of `size` leaves.
    pub(super) fn new(files: &'a Files, size: u64) -> Self {
        Self {
            files,
            size,
            read: HashMap::new(),
        }
    }

    /// Root of the full subtree of 2^`level` leaves that begins at leaf `index` · 2^`level`.
    pub(super) fn node(&mut self, level: u32, index: u64) -> Result<Hash, LedgerError> {
        let (tile_level, height) = (level / 8, level % 8);
        let first = index << height;
        let number = first / WIDTH;
        let there = self.size.checked_shr(tile_level * 8).unwrap_or(0);
        let width = there.saturating_sub(number * WIDTH).min(WIDTH);
        let tile = Tile {
            kind: Kind::Hashes(tile_level),
            number,
            width: usize::try_from(width).unwrap_or(FULL),
        };
        let hashes = match self.read.entry((tile_level, number)) {
            std::collections::hash_map::Entry::Occupied(read) => read.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(self.files.read_hashes(tile)?)
            }
        };
        let start = usize::try_from(first % WIDTH).unwrap_or(FULL);
        hashes
            .get(start..start.saturating_add(1 << height))
            .map(tree::root_of)
            .ok_or_else(|| LedgerError::damaged(&tile.path(), "is too short"))
    }
}

/// The right edge of the tree: the growing tile of each level and the growing bundle, and what
/// became full since it was loaded.
#[derive(Debug)]
pub(super) struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
    bundle: Vec<Vec<u8>>,
    full: Vec<(Tile, Vec<u8>)>,
    changed: Vec<bool>,
}

impl Edge {
    /// Reads the right edge of the tree of `size` leaves; checks that the last entries are those
    /// whose hashes it holds.
    pub(super) fn load(files: &Files, size: u64) -> Result<Self, LedgerError> {
        let mut levels = Vec::new();
        for level in 0..8 {
            let there = size >> (level * 8);
            if there == 0 {
                break;
            }
            levels.push(match partial(Kind::Hashes(level), there) {
                Some(tile) => files.read_hashes(tile)?,
                None => Vec::new(),
            });
        }
        let bundle = match partial(Kind::Entries, size) {
            Some(tile) => {
                let entries = files.read_entries(tile)?;
                let hashes: Vec<Hash> =
                    entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
                if levels.first() != Some(&hashes) {
                    return Err(LedgerError::damaged(
                        &tile.path(),
                        "entries do not have the hashes recorded for them",
                    ));
                }
                entries
            }
            None => Vec::new(),
        };
        let changed = vec![false; levels.len()];
        Ok(Self {
            size,
            levels,
            bundle,
            full: Vec::new(),
            changed,
        })
    }

    /// Number of leaves.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub(super) fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for level in &self.levels {
            let mut rest = level.as_slice();
            while !rest.is_empty() {
                let (before, subtree) = rest.split_at(rest.len() & (rest.len() - 1));
                let subtree = tree::root_of(subtree);
                root = Some(match root {
                    Some(right) => tree::node_hash(&subtree, &right),
                    None => subtree,
                });
                rest = before;
            }
        }
        root.unwrap_or_else(tree::empty_root)
    }

    /// Appends an entry.
    pub(super) fn push(&mut self, entry: Vec<u8>) {
        let mut carried = Some(tree::leaf_hash(&entry));
        self.bundle.push(entry);
        self.size += 1;
        if self.bundle.len() == FULL {
            let number = self.size / WIDTH - 1;
            let tile = Tile {
                kind: Kind::Entries,
                number,
                width: FULL,
            };
            self.full.push((tile, join_entries(&self.bundle)));
            self.bundle.clear();
        }
        for level in 0..8u32 {
            let Some(hash) = carried.take() else { break };
            let position = usize::try_from(level).unwrap_or(0);
            if self.levels.len() == position {
                self.levels.push(Vec::new());
                self.changed.push(false);
            }
            if let Some(hashes) = self.levels.get_mut(position) {
                hashes.push(hash);
                if hashes.len() == FULL {
                    let number = (self.size >> (level * 8)) / WIDTH - 1;
                    let tile = Tile {
                        kind: Kind::Hashes(level),
                        number,
                        width: FULL,
                    };
                    self.full.push((tile, hashes.concat()));
                    carried = Some(tree::root_of(hashes));
                    hashes.clear();
                }
            }
            if let Some(changed) = self.changed.get_mut(position) {
                *changed = true;
            }
        }
    }

    /// What must be written for the pushed entries to be there: entries before hashes.
    pub(super) fn into_tiles(mut self) -> Vec<(Tile, Vec<u8>)> {
        if let Some(tile) = partial(Kind::Entries, self.size) {
            self.full.push((tile, join_entries(&self.bundle)));
        }
        for (level, (hashes, changed)) in (0..).zip(self.levels.iter().zip(&self.changed)) {
            if *changed && let Some(tile) = partial(Kind::Hashes(level), self.size >> (level * 8)) {
                self.full.push((tile, hashes.concat()));
            }
        }
        self.full.sort_by_key(|(tile, _)| match tile.kind {
            Kind::Entries => 0,
            Kind::Hashes(level) => 1 + level,
        });
        self.full
    }
}

/// The growing tile of a level that holds `there` entries or hashes; none if all tiles are full.
fn partial(kind: Kind, there: u64) -> Option<Tile> {
    let width = usize::try_from(there % WIDTH).unwrap_or(0);
    (width > 0).then_some(Tile {
        kind,
        number: there / WIDTH,
        width,
    })
}

fn join_entries(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| entry.len() + 2).sum());
    for entry in entries {
        // `event::encode` refuses longer ones.
        let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    bytes
}

fn split_entries(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    Some(entries)
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Creates a directory and those above it, each synced into the one that holds it.
fn create_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() || directory.as_os_str().is_empty() {
        return Ok(());
    }
    let parent = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directories(parent)?;
    }
    match fs::create_dir(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_directory(parent.unwrap_or_else(|| Path::new(".")))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        let tile = |kind, number, width| {
            Tile {
                kind,
                number,
                width,
            }
            .path()
        };
        assert_eq!(
            tile(Kind::Hashes(0), 1_234_067, FULL),
            "tile/0/x001/x234/067"
        );
        assert_eq!(tile(Kind::Hashes(1), 0, 70), "tile/1/000.p/70");
        assert_eq!(tile(Kind::Entries, 1000, 1), "tile/entries/x001/000.p/1");
        for (level, number, width) in [
            (0, 0, 256),
            (1, 999, 3),
            (2, 1000, 256),
            (0, 123_456_789, 9),
        ] {
            let theirs = tlog_tiles::Tile::new(8, level, number, width, false).path();
            let ours = tile(
                Kind::Hashes(u32::from(level)),
                number,
                usize::try_from(width).unwrap(),
            );
            assert_eq!(ours.replacen("tile/", "tile/8/", 1), theirs);
        }
    }

    #[test]
    fn the_edge_has_the_root_of_the_definition() {
        let mut edge = Edge::load(&Files::new(Path::new("nowhere")), 0).unwrap();
        let mut leaves = Vec::new();
        for index in 0..1100u32 {
            assert_eq!(edge.root(), tree::root_of(&leaves), "size {index}");
            let entry = index.to_be_bytes().to_vec();
            leaves.push(tree::leaf_hash(&entry));
            edge.push(entry);
        }
    }

    #[test]
    fn bundles_split_into_what_was_joined() {
        let entries = vec![b"a".to_vec(), Vec::new(), vec![7; 65_535]];
        let bytes = join_entries(&entries);
        assert_eq!(split_entries(&bytes), Some(entries));
        assert_eq!(split_entries(&bytes[..bytes.len() - 1]), None);
        assert_eq!(split_entries(&[0]), None);
    }

    #[test]
    fn all_tiles_of_a_tree_are_listed() {
        let widths = |kind, size| {
            Tile::all(kind, size)
                .map(|tile| tile.width)
                .collect::<Vec<_>>()
        };
        assert_eq!(widths(Kind::Entries, 0), Vec::<usize>::new());
        assert_eq!(widths(Kind::Entries, 256), [256]);
        assert_eq!(widths(Kind::Hashes(0), 513), [256, 256, 1]);
        assert_eq!(widths(Kind::Hashes(1), 513), [2]);
        assert_eq!(widths(Kind::Hashes(2), 513), Vec::<usize>::new());
    }
}
