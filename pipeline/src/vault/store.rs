//! How a vault's file is laid out: the tables of its store, and what everything that opens one shares.
//!
//! The store (redb) keeps pages in a B-tree that is written beside the old one, and switches by one
//! checksummed header: after a crash the state of the latest durable commit is there. It holds the
//! file's lock while it is open, so that one process at a time writes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lockgate_transforms::VaultCipher;
use lockgate_transforms::vault::INDEX_BYTES;
use redb::{ReadTransaction, TableDefinition};

use super::fault::Trouble;
use super::label::{self, VaultId};
use crate::digest::hex;

/// Sealed entries, by what their values are found by.
pub(super) const ENTRIES: TableDefinition<'_, &[u8; INDEX_BYTES], &[u8]> =
    TableDefinition::new("entries");

/// By what their tokens are found by: by what their values are.
pub(super) const TOKENS: TableDefinition<'_, &[u8; INDEX_BYTES], &[u8; INDEX_BYTES]> =
    TableDefinition::new("tokens");

/// The label, under one name.
pub(super) const LABEL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("label");
pub(super) const LABEL_NAME: &str = "label";

/// The departments whose data got tokens here.
pub(super) const PROVIDERS: TableDefinition<'_, &str, ()> = TableDefinition::new("providers");

/// Memory a vault may use to hold pages of its file.
pub(super) const CACHE_BYTES: usize = 64 << 20;

pub(super) const NO_RANDOMNESS: Trouble = Trouble::Other("the system gave no random bytes");

pub(super) const NOT_AUTHENTIC: Trouble = Trouble::Damaged("an entry was changed");

pub(super) const UNREADABLE: Trouble = Trouble::Damaged("its pages can't be read");

/// Does something with the store, which may panic over a damaged file: that is damage too.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or(Err(UNREADABLE))
}

/// Refuses a vault that is another one, or was made with another key.
pub(super) fn hold_against(
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
pub(super) fn label_of(read: &ReadTransaction) -> Result<(VaultId, String), Trouble> {
    let labels = read.open_table(LABEL).map_err(Trouble::of)?;
    let found = labels.get(LABEL_NAME).map_err(Trouble::of)?;
    let label = found.ok_or(Trouble::Damaged("it has no label"))?;
    label::read(label.value())
}
