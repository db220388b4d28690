//! Marks by which a later copy of a vault is told from an older one.
//!
//! A copy from before the last delivery looks whole, and would give second tokens to values it has
//! forgotten. So whatever adds tokens adds a random mark with them, in one commit, and the ledger has
//! the latest mark before anything that holds such a token is released ([`Event::TokensKept`]). A
//! vault without the mark that the ledger knows of last isn't the one that was delivered from.
//!
//! [`Event::TokensKept`]: crate::ledger::Event::TokensKept

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::fault::{Trouble, VaultFault};
use super::store::NO_RANDOMNESS;
use crate::digest::hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{KeptVault, Ledger};

/// Bytes of a mark.
const MARK_BYTES: usize = 16;

/// Marks, numbered from 1 in the order they were made.
const SAVES: TableDefinition<'_, u64, &[u8; MARK_BYTES]> = TableDefinition::new("saves");

/// The latest mark of a vault, and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Save {
    pub(super) number: u64,
    /// Lower-case hexadecimal digits.
    pub(super) mark: String,
}

/// Adds a mark to what is about to be committed.
pub(super) fn add(write: &WriteTransaction) -> Result<(), Trouble> {
    let mut mark = [0; MARK_BYTES];
    getrandom::fill(&mut mark).map_err(|_| NO_RANDOMNESS)?;
    let mut saves = write.open_table(SAVES).map_err(Trouble::of)?;
    let last = saves.last().map_err(Trouble::of)?;
    let number = last.map_or(0, |(number, _)| number.value()) + 1;
    saves.insert(number, &mark).map_err(Trouble::of)?;
    Ok(())
}

/// The latest mark; none in a vault that was made before there were any.
pub(super) fn latest(read: &ReadTransaction) -> Result<Option<Save>, Trouble> {
    let saves = match read.open_table(SAVES) {
        Ok(saves) => saves,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(Trouble::of(error)),
    };
    let last = saves.last().map_err(Trouble::of)?;
    Ok(last.map(|(number, mark)| Save {
        number: number.value(),
        mark: hex(mark.value()),
    }))
}

/// Whether a vault has a mark that the ledger knows of.
pub(super) fn holds(read: &ReadTransaction, kept: &KeptVault) -> Result<bool, Trouble> {
    let saves = match read.open_table(SAVES) {
        Ok(saves) => saves,
        Err(TableError::TableDoesNotExist(_)) => return Ok(false),
        Err(error) => return Err(Trouble::of(error)),
    };
    let found = saves.get(kept.save).map_err(Trouble::of)?;
    Ok(found.is_some_and(|mark| hex(mark.value()) == kept.mark))
}

/// What the ledger knows of each vault last, by the name of its file.
pub(super) type Known = BTreeMap<String, KeptVault>;

/// What the site's ledger knows of its vaults.
///
/// # Errors
/// A ledger that can't be read.
pub(super) fn known(installation: &Installation) -> Result<Known, RunError> {
    let entries = Ledger::reader(&installation.ledger_dir())?.entries()?;
    Ok(entries.kept_vaults())
}

/// Refuses a vault at `place` that isn't the one that was delivered from.
pub(super) fn confirm(
    holds: bool,
    held: u64,
    kept: &KeptVault,
    place: &str,
) -> Result<(), VaultFault> {
    match holds {
        true => Ok(()),
        false => Err(VaultFault::Outdated {
            place: place.to_owned(),
            held,
            kept: kept.tokens,
        }),
    }
}
