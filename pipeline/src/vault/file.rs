//! One vault's file, open for a run: entries looked up and added, sealed. It is a store of opaque bytes
//! by opaque keys; only what has the cipher sees values.
//!
//! New entries gather in memory and are written together ([`fresh`](super::fresh)). A token that is
//! drawn is so in memory or in the file, and one lock orders who draws; nothing that holds a token may
//! leave before [`save`](VaultFile::save) has returned.

use std::path::Path;
use std::sync::{Arc, RwLock};

use lockgate_transforms::{Vault, VaultCipher, VaultError};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTableMetadata, WriteTransaction};

use super::asked::Asked;
use super::draw::{DRAWS_MAX, Drawing, Drawn, NONE_FREE};
use super::fault::Trouble;
use super::fresh::{Fresh, Limits};
use super::label::VaultId;
use super::make::{create, sweep};
use super::saves;
use super::store::{
    CACHE_BYTES, ENTRIES, PROVIDERS, TOKENS, UNREADABLE, guarded, hold_against, label_of,
};
use crate::ledger::KeptVault;

/// An entry would have taken the place of another: what was looked up didn't show all that is there.
const TAKEN: Trouble = Trouble::Damaged("an entry is there that wasn't found");

/// A vault that is open for a run.
pub(super) struct VaultFile {
    database: Database,
    cipher: Arc<VaultCipher>,
    domain: String,
    fresh: RwLock<Fresh>,
}

impl VaultFile {
    /// Opens a vault, which is made where it doesn't exist, and notes whose data it will hold.
    ///
    /// Every page is held against its checksum first: behind a damaged one entries would be missed,
    /// and their values get second tokens.
    pub(super) fn open(
        path: &Path,
        id: &VaultId,
        cipher: Arc<VaultCipher>,
        provider: &str,
    ) -> Result<Self, Trouble> {
        Self::open_within(path, id, cipher, provider, Limits::default())
    }

    /// As [`open`](Self::open), with other limits of what gathers in memory.
    pub(super) fn open_within(
        path: &Path,
        id: &VaultId,
        cipher: Arc<VaultCipher>,
        provider: &str,
        limits: Limits,
    ) -> Result<Self, Trouble> {
        guarded(|| {
            if !path.exists() {
                create(path, id, &cipher)?;
            }
            let database = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true)
                .open(path)
                .map_err(Trouble::of)?;
            let file = Self {
                database,
                domain: id.domain.clone(),
                cipher,
                fresh: RwLock::new(Fresh::new(limits)),
            };
            file.begin(id, provider)?;
            sweep(path);
            Ok(file)
        })
    }

    /// Holds what is there against what it should be, and notes whose data comes.
    fn begin(&self, id: &VaultId, provider: &str) -> Result<(), Trouble> {
        let read = self.begin_read()?;
        hold_against(&label_of(&read)?, id, &self.cipher)?;
        let is_marked = saves::latest(&read)?.is_some();
        drop(read);
        let write = self.begin_write()?;
        {
            let mut providers = write.open_table(PROVIDERS).map_err(Trouble::of)?;
            providers.insert(provider, ()).map_err(Trouble::of)?;
        }
        if !is_marked {
            saves::add(&write)?;
        }
        write.commit().map_err(Trouble::of)
    }

    fn begin_read(&self) -> Result<ReadTransaction, Trouble> {
        self.database.begin_read().map_err(Trouble::of)
    }

    /// Begins what is durable once it is committed. In two phases, so that the header never names
    /// pages that aren't there: damage found later is damage then, and no commit that was torn.
    fn begin_write(&self) -> Result<WriteTransaction, Trouble> {
        let mut write = self.database.begin_write().map_err(Trouble::of)?;
        write.set_two_phase_commit(true);
        Ok(write)
    }

    /// Makes every token that was given last; how the vault is known from then on.
    pub(super) fn save(&self) -> Result<KeptVault, VaultError> {
        guarded(|| {
            let mut fresh = self.fresh.write().map_err(|_| UNREADABLE)?;
            self.flush(&mut fresh)?;
            let read = self.begin_read()?;
            let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
            let save = saves::latest(&read)?.ok_or(Trouble::Damaged("it has no mark"))?;
            Ok(KeptVault {
                save: save.number,
                mark: save.mark,
                tokens: entries.len().map_err(Trouble::of)?,
            })
        })
        .map_err(|trouble| trouble.of_domain(&self.domain))
    }

    /// Whether it is the vault that the ledger knows of, and how many tokens it holds.
    pub(super) fn holds(&self, kept: &KeptVault) -> Result<(bool, u64), Trouble> {
        guarded(|| {
            let read = self.begin_read()?;
            let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
            let held = entries.len().map_err(Trouble::of)?;
            Ok((saves::holds(&read, kept)?, held))
        })
    }

    fn give(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), Trouble> {
        let mut asked = Asked::new(&self.cipher, values, out);
        let (missing, flushes) = self.look_up(&mut asked)?;
        if missing.is_empty() {
            return Ok(());
        }
        // Drawn and sealed before the lock is taken, while other threads do the same.
        let mut drawing = Drawing::new(&self.cipher);
        let draw = |place| Ok((place, drawing.draw(asked.value(place))?));
        let drawn: Vec<(usize, Drawn)> = missing
            .into_iter()
            .map(draw)
            .collect::<Result<_, Trouble>>()?;
        let mut fresh = self.fresh.write().map_err(|_| UNREADABLE)?;
        let was_flushed = fresh.flushes() != flushes;
        self.add(&mut fresh, &mut asked, drawn, was_flushed)?;
        if fresh.is_full() {
            self.flush(&mut fresh)?;
        }
        Ok(())
    }

    /// Answers what is there; the places of what isn't, and how often what was fresh had been
    /// written by then.
    fn look_up(&self, asked: &mut Asked<'_>) -> Result<(Vec<usize>, u64), Trouble> {
        let fresh = self.fresh.read().map_err(|_| UNREADABLE)?;
        let mut missing = Vec::new();
        for place in asked.places() {
            match fresh.entry(&asked.index(place)) {
                Some(entry) => asked.answer_with(place, entry)?,
                None => missing.push(place),
            }
        }
        // What leaves memory after this is in the file after this.
        let (read, flushes) = (self.begin_read()?, fresh.flushes());
        drop(fresh);
        let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
        Ok((asked.look_up(&entries, missing)?, flushes))
    }

    /// Gives values what was drawn for them, unless they have tokens by now: another thread may have
    /// been first, and a value may be there twice. `was_flushed` says that the file has more than when
    /// it was looked at.
    fn add(
        &self,
        fresh: &mut Fresh,
        asked: &mut Asked<'_>,
        drawn: Vec<(usize, Drawn)>,
        was_flushed: bool,
    ) -> Result<(), Trouble> {
        let read = self.begin_read()?;
        let entries = read.open_table(ENTRIES).map_err(Trouble::of)?;
        let tokens = read.open_table(TOKENS).map_err(Trouble::of)?;
        // Beyond 2^64 none ever fills up.
        let space = u64::try_from(self.cipher.form().space()).unwrap_or(u64::MAX);
        let in_file = entries.len().map_err(Trouble::of)?;
        let mut drawing = Drawing::new(&self.cipher);
        for (place, mut drawn) in drawn {
            let index = asked.index(place);
            if let Some(entry) = fresh.entry(&index) {
                asked.answer_with(place, entry)?;
                continue;
            }
            if was_flushed && asked.find(&entries, place)? {
                continue;
            }
            let held = in_file.saturating_add(fresh.len());
            if held >= space / 2 {
                return Err(Trouble::Full { held, space });
            }
            let is_taken = |drawn: &Drawn| -> Result<bool, Trouble> {
                let index = &drawn.token_index;
                let found = tokens.get(index).map_err(Trouble::of)?;
                Ok(found.is_some() || fresh.has_token(index))
            };
            let mut draws = 1;
            while is_taken(&drawn)? {
                if draws == DRAWS_MAX {
                    return Err(NONE_FREE);
                }
                drawn = drawing.draw(asked.value(place))?;
                draws += 1;
            }
            asked.answer(place, &drawn.token);
            fresh.insert(index, drawn);
        }
        Ok(())
    }

    /// Writes what is fresh, all of it or nothing, with a mark.
    fn flush(&self, fresh: &mut Fresh) -> Result<(), Trouble> {
        if fresh.is_empty() {
            return Ok(());
        }
        let write = self.begin_write()?;
        {
            let mut entries = write.open_table(ENTRIES).map_err(Trouble::of)?;
            for (index, entry) in fresh.entries() {
                let before = entries.insert(index, entry).map_err(Trouble::of)?;
                if before.is_some() {
                    return Err(TAKEN);
                }
            }
        }
        {
            let mut tokens = write.open_table(TOKENS).map_err(Trouble::of)?;
            for (token, index) in fresh.tokens() {
                let before = tokens.insert(token, index).map_err(Trouble::of)?;
                if before.is_some() {
                    return Err(TAKEN);
                }
            }
        }
        saves::add(&write)?;
        write.commit().map_err(Trouble::of)?;
        fresh.flushed();
        Ok(())
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
