//! One vault's file: entries looked up and added, sealed. It is a store of opaque bytes by opaque keys;
//! only what has the cipher sees values.
//!
//! The store (redb) keeps pages in a B-tree that is written beside the old one, and switches by one
//! checksummed header: after a crash the state of the latest durable commit is there. It holds the
//! file's lock while it is open, so that one process at a time writes.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lockgate_transforms::vault::{INDEX_BYTES, Index};
use lockgate_transforms::{Vault, VaultCipher, VaultError};
use redb::{
    Database, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, WriteTransaction,
};

use super::fault::Trouble;
use super::label::{self, VaultId};
use crate::digest::hex;

/// Sealed entries, by what their values are found by.
const ENTRIES: TableDefinition<'_, &[u8; INDEX_BYTES], &[u8]> = TableDefinition::new("entries");

/// By what their tokens are found by: by what their values are.
const TOKENS: TableDefinition<'_, &[u8; INDEX_BYTES], &[u8; INDEX_BYTES]> =
    TableDefinition::new("tokens");

/// The label, under one name.
const LABEL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("label");
const LABEL_NAME: &str = "label";

/// The departments whose data got tokens here.
const PROVIDERS: TableDefinition<'_, &str, ()> = TableDefinition::new("providers");

/// Memory a vault may use to hold pages, of those read and those not written yet.
const CACHE_BYTES: usize = 64 << 20;

/// New entries after which a commit is made durable, a run's end aside: until then the store
/// keeps account, in memory, of the pages that are not.
const UNSAVED_MAX: u64 = 1 << 18;

/// Random bytes drawn at a time.
const RANDOM_BYTES: usize = 4096;

/// Draws of one token after which it isn't chance any more that none was free.
const DRAWS_MAX: usize = 1000;

/// A vault that is open for a run.
pub(super) struct VaultFile {
    database: Database,
    cipher: Arc<VaultCipher>,
    domain: String,
    unsaved: AtomicU64,
}

impl VaultFile {
    /// Opens a vault, which is made where it doesn't exist, and notes whose data it will hold.
    pub(super) fn open(
        path: &Path,
        id: &VaultId,
        cipher: Arc<VaultCipher>,
        provider: &str,
    ) -> Result<Self, Trouble> {
        guarded(|| {
            if !path.exists() {
                create(path, id, &cipher)?;
            }
            let database = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .open(path)
                .map_err(Trouble::of)?;
            let file = Self {
                database,
                domain: id.domain.clone(),
                cipher,
                unsaved: AtomicU64::new(0),
            };
            file.begin(id, provider)?;
            sweep(path);
            Ok(file)
        })
    }

    /// Holds what is there against what it should be, and notes whose data comes.
    fn begin(&self, id: &VaultId, provider: &str) -> Result<(), Trouble> {
        let read = self.database.begin_read().map_err(Trouble::of)?;
        hold_against(&label_of(&read)?, id, &self.cipher)?;
        drop(read);
        let write = self.database.begin_write().map_err(Trouble::of)?;
        {
            let mut providers = write.open_table(PROVIDERS).map_err(Trouble::of)?;
            providers.insert(provider, ()).map_err(Trouble::of)?;
        }
        write.commit().map_err(Trouble::of)
    }

    /// Makes every token that was given last.
    pub(super) fn save(&self) -> Result<(), VaultError> {
        guarded(|| {
            let write = self.database.begin_write().map_err(Trouble::of)?;
            write.commit().map_err(Trouble::of)?;
            self.unsaved.store(0, Ordering::Relaxed);
            Ok(())
        })
        .map_err(|trouble| trouble.of_domain(&self.domain))
    }

    fn give(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), Trouble> {
        let mut asked = Asked::new(&self.cipher, values, out);
        let read = self.database.begin_read().map_err(Trouble::of)?;
        let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
        let missing = asked.look_up(&entries)?;
        drop((entries, read));
        if missing.is_empty() {
            return Ok(());
        }
        let write = self.database.begin_write().map_err(Trouble::of)?;
        let added = self.add(&write, &mut asked, missing)?;
        // One writer at a time, so nobody adds between the question and the answer.
        let unsaved = self.unsaved.fetch_add(added, Ordering::Relaxed) + added;
        self.commit(write, unsaved)
    }

    fn commit(&self, mut write: WriteTransaction, unsaved: u64) -> Result<(), Trouble> {
        let durable = unsaved >= UNSAVED_MAX;
        if !durable {
            write
                .set_durability(Durability::None)
                .map_err(Trouble::of)?;
        }
        write.commit().map_err(Trouble::of)?;
        if durable {
            self.unsaved.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Draws tokens for values that have none, and says how many it drew: another thread may have
    /// been first, and a value may be there twice.
    fn add(
        &self,
        write: &WriteTransaction,
        asked: &mut Asked<'_>,
        mut missing: Vec<usize>,
    ) -> Result<u64, Trouble> {
        let mut entries = write.open_table(ENTRIES).map_err(Trouble::of)?;
        let mut tokens = write.open_table(TOKENS).map_err(Trouble::of)?;
        // Beyond 2^64 none ever fills up.
        let space = u64::try_from(self.cipher.form().space()).unwrap_or(u64::MAX);
        let mut held = entries.len().map_err(Trouble::of)?;
        let mut random = Random::default();
        let mut added = 0;
        // In the order of the tree, neighbours are written together.
        missing.sort_unstable_by_key(|place| asked.index(*place));
        for place in missing {
            if asked.find(&entries, place)? {
                continue;
            }
            if held >= space / 2 {
                return Err(Trouble::Full { held, space });
            }
            let (index, value) = (asked.index(place), asked.value(place));
            let (token, token_index) = self.draw(&tokens, value, &mut random)?;
            let entry = self.cipher.seal(&token, value);
            entries
                .insert(&index, entry.as_slice())
                .map_err(Trouble::of)?;
            tokens.insert(&token_index, &index).map_err(Trouble::of)?;
            asked.answer(place, &token);
            held += 1;
            added += 1;
        }
        Ok(added)
    }

    /// A token that isn't given yet, and isn't the value itself.
    fn draw(
        &self,
        tokens: &impl ReadableTable<&'static [u8; INDEX_BYTES], &'static [u8; INDEX_BYTES]>,
        value: &str,
        random: &mut Random,
    ) -> Result<(Vec<u8>, Index), Trouble> {
        let form = self.cipher.form();
        for _ in 0..DRAWS_MAX {
            let mut token = Vec::with_capacity(form.characters());
            if !form.spell(random, &mut token) {
                return Err(NO_RANDOMNESS);
            }
            let index = self.cipher.of_token(&token);
            let is_free = tokens.get(&index).map_err(Trouble::of)?.is_none();
            if is_free && token != value.as_bytes() {
                return Ok((token, index));
            }
        }
        Err(Trouble::Damaged("more tokens are taken than it holds"))
    }
}

impl Vault for VaultFile {
    fn tokens(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), VaultError> {
        guarded(|| self.give(values, out)).map_err(|trouble| trouble.of_domain(&self.domain))
    }
}

impl std::fmt::Debug for VaultFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VaultFile({:?}, ..)", self.cipher)
    }
}

/// Values that are asked for, and room for their tokens.
struct Asked<'a> {
    cipher: &'a VaultCipher,
    values: &'a [&'a str],
    indexes: Vec<Index>,
    tokens: &'a mut [u8],
    room: Vec<u8>,
}

impl<'a> Asked<'a> {
    fn new(cipher: &'a VaultCipher, values: &'a [&'a str], out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        let length = values.len().saturating_mul(cipher.form().characters());
        out.resize(start.saturating_add(length), 0);
        Self {
            cipher,
            values,
            indexes: values.iter().map(|value| cipher.of_value(value)).collect(),
            tokens: out.get_mut(start..).unwrap_or_default(),
            room: Vec::new(),
        }
    }

    fn value(&self, place: usize) -> &'a str {
        self.values.get(place).copied().unwrap_or_default()
    }

    fn index(&self, place: usize) -> Index {
        self.indexes.get(place).copied().unwrap_or_default()
    }

    fn answer(&mut self, place: usize, token: &[u8]) {
        let width = self.cipher.form().characters();
        let start = place.saturating_mul(width);
        if let Some(room) = self.tokens.get_mut(start..start.saturating_add(width)) {
            for (to, from) in room.iter_mut().zip(token) {
                *to = *from;
            }
        }
    }

    /// Finds what is there; the places of what isn't.
    fn look_up(
        &mut self,
        entries: &impl ReadableTable<&'static [u8; INDEX_BYTES], &'static [u8]>,
    ) -> Result<Vec<usize>, Trouble> {
        let mut missing = Vec::new();
        for place in 0..self.values.len() {
            if !self.find(entries, place)? {
                missing.push(place);
            }
        }
        Ok(missing)
    }

    /// Answers a place if its value has an entry, and says whether.
    fn find(
        &mut self,
        entries: &impl ReadableTable<&'static [u8; INDEX_BYTES], &'static [u8]>,
        place: usize,
    ) -> Result<bool, Trouble> {
        let Some(entry) = entries.get(&self.index(place)).map_err(Trouble::of)? else {
            return Ok(false);
        };
        let mut room = std::mem::take(&mut self.room);
        let opened = self.cipher.open(entry.value(), &mut room);
        let (token, value) = opened.ok_or(NOT_AUTHENTIC)?;
        if value != self.value(place) {
            return Err(NOT_AUTHENTIC);
        }
        self.answer(place, token);
        self.room = room;
        Ok(true)
    }
}

const NO_RANDOMNESS: Trouble = Trouble::Other("the system gave no random bytes");

const NOT_AUTHENTIC: Trouble = Trouble::Damaged("an entry was changed");

/// A vault that is open to be read.
pub(super) struct VaultReader {
    database: Reading,
    pub(super) id: VaultId,
    /// The id of the key it is sealed with.
    key_id: String,
}

/// A store that is only read. One that a killed run left is repaired first, and for that opened to be
/// written.
enum Reading {
    Closed(ReadOnlyDatabase),
    Repaired(Database),
}

impl VaultReader {
    /// Opens a vault that exists.
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        Self::open_with(path, false)
    }

    /// Opens a vault that exists, once every page of it was held against its checksum.
    pub(super) fn open_checked(path: &Path) -> Result<Self, Trouble> {
        Self::open_with(path, true)
    }

    fn open_with(path: &Path, checked: bool) -> Result<Self, Trouble> {
        guarded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            let opened = match checked {
                true => Err(Trouble::Unclosed),
                false => builder.open_read_only(path).map_err(Trouble::of),
            };
            let database = match opened {
                Ok(database) => Reading::Closed(database),
                Err(Trouble::Unclosed) => {
                    builder.set_check_integrity_on_open(checked);
                    Reading::Repaired(builder.open(path).map_err(Trouble::of)?)
                }
                Err(trouble) => return Err(trouble),
            };
            let (id, key_id) = label_of(&database.begin_read()?)?;
            Ok(Self {
                database,
                id,
                key_id,
            })
        })
    }

    /// Refuses a key that it isn't sealed with.
    pub(super) fn accept(&self, cipher: &VaultCipher) -> Result<(), Trouble> {
        let own = (self.id.clone(), self.key_id.clone());
        hold_against(&own, &self.id, cipher)
    }

    /// How many tokens it holds.
    pub(super) fn held(&self) -> Result<u64, Trouble> {
        guarded(|| {
            let read = self.database.begin_read()?;
            let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
            entries.len().map_err(Trouble::of)
        })
    }

    /// The departments whose data it holds.
    pub(super) fn providers(&self) -> Result<BTreeSet<String>, Trouble> {
        guarded(|| {
            let read = self.database.begin_read()?;
            let providers = read.open_table(PROVIDERS).map_err(Trouble::of)?;
            let mut names = BTreeSet::new();
            for entry in providers.iter().map_err(Trouble::of)? {
                let (name, _) = entry.map_err(Trouble::of)?;
                names.insert(name.value().to_owned());
            }
            Ok(names)
        })
    }

    /// The tokens of values, where they have one, appended to `out` as a [`Vault`]'s; the places of
    /// those that have none.
    pub(super) fn look_up(
        &self,
        cipher: &VaultCipher,
        values: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<Vec<usize>, Trouble> {
        guarded(|| {
            let read = self.database.begin_read()?;
            let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
            Asked::new(cipher, values, out).look_up(&entries)
        })
    }

    /// The value of a token; none where it isn't one of this vault's.
    pub(super) fn value_of(
        &self,
        cipher: &VaultCipher,
        token: &str,
    ) -> Result<Option<String>, Trouble> {
        if !cipher.form().fits(token) {
            return Ok(None);
        }
        guarded(|| {
            let read = self.database.begin_read()?;
            let tokens = read.open_table(TOKENS).map_err(Trouble::of)?;
            let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
            let index = cipher.of_token(token.as_bytes());
            let Some(index) = tokens.get(&index).map_err(Trouble::of)? else {
                return Ok(None);
            };
            let entry = entries.get(index.value()).map_err(Trouble::of)?;
            let entry = entry.ok_or(NOT_AUTHENTIC)?;
            let mut room = Vec::new();
            let opened = cipher.open(entry.value(), &mut room);
            let (own, value) = opened.ok_or(NOT_AUTHENTIC)?;
            if own != token.as_bytes() {
                return Err(NOT_AUTHENTIC);
            }
            Ok(Some(value.to_owned()))
        })
    }
}

impl Reading {
    fn begin_read(&self) -> Result<ReadTransaction, Trouble> {
        match self {
            Self::Closed(database) => database.begin_read(),
            Self::Repaired(database) => database.begin_read(),
        }
        .map_err(Trouble::of)
    }
}

impl std::fmt::Debug for VaultReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VaultReader({:?}, ..)", self.id)
    }
}

/// Refuses a vault that is another one, or was made with another key.
fn hold_against(
    (found, key_id): &(VaultId, String),
    id: &VaultId,
    cipher: &VaultCipher,
) -> Result<(), Trouble> {
    if found != id {
        return Err(Trouble::Damaged("it is another vault's file"));
    }
    if *key_id != hex(&cipher.key_id()) {
        return Err(Trouble::OtherKey {
            version: id.key_version,
        });
    }
    Ok(())
}

/// What a vault says of itself.
fn label_of(read: &ReadTransaction) -> Result<(VaultId, String), Trouble> {
    let labels = read.open_table(LABEL).map_err(Trouble::of)?;
    let found = labels.get(LABEL_NAME).map_err(Trouble::of)?;
    let label = found.ok_or(Trouble::Damaged("it has no label"))?;
    label::read(label.value())
}

/// Makes an empty vault, for its owner alone, under another name, and gives it its own once it is
/// whole: a kill leaves no half of one. Where another process was first, its vault stands.
fn create(path: &Path, id: &VaultId, cipher: &VaultCipher) -> Result<(), Trouble> {
    let failed = |error: io::Error| Trouble::Io(error.kind());
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    make_directory(directory).map_err(failed)?;
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|_| NO_RANDOMNESS)?;
    let staged = directory.join(format!("{}{}", staged_name(path), hex(&nonce)));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staged)
        .map_err(failed)?;
    let made = fill(&staged, id, cipher).and_then(|()| match fs::hard_link(&staged, path) {
        // Not found: who was first has swept it.
        Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            Err(failed(error))
        }
        Ok(()) | Err(_) => Ok(()),
    });
    // The first error is the one to report.
    drop(fs::remove_file(&staged));
    made?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

/// Writes what every vault has.
fn fill(path: &Path, id: &VaultId, cipher: &VaultCipher) -> Result<(), Trouble> {
    let database = Database::create(path).map_err(Trouble::of)?;
    let write = database.begin_write().map_err(Trouble::of)?;
    {
        let mut labels = write.open_table(LABEL).map_err(Trouble::of)?;
        let label = label::write(id, cipher)?;
        labels
            .insert(LABEL_NAME, label.as_slice())
            .map_err(Trouble::of)?;
        write.open_table(PROVIDERS).map_err(Trouble::of)?;
        write.open_table(ENTRIES).map_err(Trouble::of)?;
        write.open_table(TOKENS).map_err(Trouble::of)?;
    }
    write.commit().map_err(Trouble::of)?;
    database.close().map_err(Trouble::of)
}

/// How the name begins that a vault has until it is whole.
fn staged_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// Removes what killed processes left while they made this vault. It is held, so nobody needs it.
fn sweep(path: &Path) {
    let begin = staged_name(path);
    let entries = path
        .parent()
        .and_then(|directory| fs::read_dir(directory).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            // Left again, it is swept next time.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Makes the directory of vaults where there is none, for its owner alone.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(directory)?;
    match directory.parent() {
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}

/// Does something with the store, which may panic over a damaged file: that is damage too.
fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or(Err(Trouble::Damaged("its pages can't be read")))
}

/// Bytes of the system's randomness; they end where it gives none.
struct Random {
    bytes: [u8; RANDOM_BYTES],
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self {
            bytes: [0; RANDOM_BYTES],
            used: RANDOM_BYTES,
        }
    }
}

impl Iterator for Random {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.used >= RANDOM_BYTES {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let byte = self.bytes.get(self.used).copied();
        self.used += 1;
        byte
    }
}
