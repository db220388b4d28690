//! One vault's file, open to be read.

use std::collections::BTreeSet;
use std::path::Path;

use lockgate_transforms::VaultCipher;
use redb::{
    Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata,
};
use zeroize::Zeroizing;

use super::asked::Asked;
use super::fault::Trouble;
use super::label::VaultId;
use super::saves;
use super::store::{
    CACHE_BYTES, ENTRIES, NOT_AUTHENTIC, PROVIDERS, TOKENS, guarded, hold_against, label_of,
};
use crate::ledger::KeptVault;

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

    /// Whether it is the vault that the ledger knows of.
    pub(super) fn holds(&self, kept: &KeptVault) -> Result<bool, Trouble> {
        guarded(|| saves::holds(&self.database.begin_read()?, kept))
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

    /// The tokens of values, where they have one, appended to `out` as a vault's; the places of
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
            let mut asked = Asked::new(cipher, values, out);
            let places = asked.places();
            asked.look_up(&entries, places)
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
            let mut room = Zeroizing::new(Vec::new());
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
