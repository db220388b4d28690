//! What the owner writes down before marks leave: the key they are held to, the grant they name, the
//! scheme they follow.
//!
//! A trace names somebody by a secret that only the owner holds. So that nobody can say the secret
//! was looked for afterwards, the ledger holds a commitment to it before the first delivery: with
//! its salt and, once it is opened, the key, anyone can check it. Schemes stand in `state/marks/`,
//! each under its SHA-256, which the ledger holds too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lockgate_connectors::durable;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::{COMMITMENT_BYTES, GrantIndex, MarkKey};

use super::index::index_of;
use super::scheme::{Scheme, SchemeError};
use crate::digest::{from_hex, hex, is_hex, sha256_hex};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};
use crate::plan::ExchangePlan;

/// Folder of the schemes, within the program's own directory.
const SCHEMES: &str = "marks";

/// Most bytes of a scheme that is read.
pub(crate) const SCHEME_BYTES_MAX: u64 = 16 << 20;

/// A commitment to the key of a dataset's marks, as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCommitment {
    /// Id of the dataset.
    pub dataset: String,
    /// The epoch of the dataset's marks.
    pub epoch: u32,
    /// Version of the master key.
    pub key_version: u32,
    /// SHA-256 over key and salt.
    pub commitment: [u8; COMMITMENT_BYTES],
    /// The salt.
    pub salt: [u8; COMMITMENT_BYTES],
}

/// That a grant's deliveries carry marks of a scheme, as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marking {
    /// The key.
    pub key: KeyCommitment,
    /// Id of the grant.
    pub grant: String,
    /// Id of the recipient.
    pub recipient: String,
    /// What marks name both by.
    pub index: GrantIndex,
    /// SHA-256 of the scheme, hex.
    pub scheme_sha256: String,
    /// SHA-256 of the plan, hex.
    pub plan_sha256: String,
}

/// Every marking of a dataset's deliveries, in the order in which they began.
pub fn markings(history: &History, dataset: &str) -> Vec<Marking> {
    let mut found = Vec::new();
    for entry in history.iter() {
        if let Event::MarkingBegun {
            dataset: of,
            epoch,
            key_version,
            commitment,
            commitment_salt,
            grant,
            recipient,
            grant_index,
            scheme_sha256,
            plan_sha256,
        } = &entry.event
            && of == dataset
            && let (Some(commitment), Some(salt)) =
                (from_hex(commitment), from_hex(commitment_salt))
        {
            found.push(Marking {
                key: KeyCommitment {
                    dataset: dataset.to_owned(),
                    epoch: *epoch,
                    key_version: *key_version,
                    commitment,
                    salt,
                },
                grant: grant.clone(),
                recipient: recipient.clone(),
                index: index_of(*grant_index),
                scheme_sha256: scheme_sha256.clone(),
                plan_sha256: plan_sha256.clone(),
            });
        }
    }
    found
}

/// The scheme of that SHA-256, from the site's own directory `state`.
///
/// # Errors
/// It isn't there, or isn't what was written.
pub fn read_scheme(state: &Path, sha256: &str) -> Result<Scheme, RunError> {
    let unusable = |what: &str| RunError::Unverified {
        what: format!(
            "the scheme of marks state/{SCHEMES}/{sha256}.json {what}; put it back from a copy of \
             the site's state"
        ),
    };
    if !is_hex(sha256, 64) {
        return Err(unusable("has a name that no scheme has"));
    }
    let bytes = durable::read_bounded(&path_of(state, sha256), SCHEME_BYTES_MAX);
    let bytes = bytes.map_err(|_| unusable("can't be read"))?;
    let scheme = Scheme::from_bytes(&bytes).map_err(|_| unusable("isn't one of this version"))?;
    if scheme.sha256().map_err(described)? != sha256 {
        return Err(unusable("isn't what was written"));
    }
    Ok(scheme)
}

/// What a delivery's manifest says of key and scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The key as committed to.
    pub key: KeyCommitment,
    /// The scheme, in its canonical form.
    pub scheme: Vec<u8>,
    /// What marks name grant and recipient by.
    pub index: GrantIndex,
}

/// Makes sure that key, scheme and grant are in the ledger before the plan's delivery leaves, and
/// that the key is the one committed to.
///
/// # Errors
/// A key that isn't the one the ledger has a commitment to; a grant without an index; a ledger or
/// scheme that can't be written.
pub(crate) fn ensure_begun(
    installation: &Installation,
    ledger: &Ledger,
    plan: &ExchangePlan,
    scheme: &Scheme,
    key: &MarkKey,
) -> Result<Recorded, RunError> {
    // Two first runs at once must not commit to one key twice.
    let _lock = lock(&installation.state())?;
    let history = ledger.entries()?;
    let begun = markings(&history, &scheme.dataset);
    let known = begun
        .iter()
        .map(|marking| &marking.key)
        .find(|known| known.epoch == scheme.epoch && known.key_version == scheme.key_version);
    let commitment = match known {
        Some(known) if key.opens(&known.commitment, &known.salt) => known.clone(),
        Some(_) => {
            return Err(RunError::Unverified {
                what: format!(
                    "key `mark` of version {} isn't the one that the ledger has a commitment to for \
                     dataset `{}`; put the right key file back, or make a new version by `lockgate \
                     keys new mark`",
                    scheme.key_version, scheme.dataset
                ),
            });
        }
        None => commit(scheme, key)?,
    };
    let bytes = scheme.to_bytes().map_err(described)?;
    let scheme_sha256 = sha256_hex(&bytes);
    let plan_sha256 = plan.sha256();
    let is_known = begun.iter().any(|marking| {
        marking.key == commitment
            && marking.grant == plan.grant
            && marking.recipient == plan.recipient
            && marking.scheme_sha256 == scheme_sha256
            && marking.plan_sha256 == plan_sha256
    });
    // Also where it is known: state that was put back may lack it.
    keep(&installation.state(), &bytes, &scheme_sha256)?;
    let drawn = history.grant_index(&plan.grant, &plan.recipient);
    let grant_index = drawn.ok_or_else(no_index)?;
    if !is_known {
        let event = Event::MarkingBegun {
            dataset: scheme.dataset.clone(),
            epoch: scheme.epoch,
            key_version: scheme.key_version,
            commitment: hex(&commitment.commitment),
            commitment_salt: hex(&commitment.salt),
            grant: plan.grant.clone(),
            recipient: plan.recipient.clone(),
            grant_index,
            scheme_sha256,
            plan_sha256,
        };
        ledger.append(&event, installation.clock.now())?;
    }
    Ok(Recorded {
        key: commitment,
        scheme: bytes,
        index: index_of(grant_index),
    })
}

/// Holds the folder of the schemes until dropped; the system lets go when the process ends.
fn lock(state: &Path) -> Result<fs::File, RunError> {
    let folder = state.join(SCHEMES);
    let locked = fs::create_dir_all(&folder).and_then(|()| {
        let mut options = fs::File::options();
        options.create(true).truncate(false).write(true);
        let lock = options.open(folder.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    });
    locked.map_err(|error| RunError::internal("locking the schemes of marks", &error))
}

/// A commitment with a salt drawn for it.
fn commit(scheme: &Scheme, key: &MarkKey) -> Result<KeyCommitment, RunError> {
    let mut salt = [0; COMMITMENT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| RunError::internal("drawing randomness", &error))?;
    Ok(KeyCommitment {
        dataset: scheme.dataset.clone(),
        epoch: scheme.epoch,
        key_version: scheme.key_version,
        commitment: key.commitment(&salt),
        salt,
    })
}

/// Keeps a scheme under its SHA-256, whole or not at all.
fn keep(state: &Path, content: &[u8], sha256: &str) -> Result<(), RunError> {
    let written = |error: io::Error| RunError::internal("keeping the scheme of marks", &error);
    let path = path_of(state, sha256);
    if fs::read(&path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    durable::replace(&path, content).map_err(written)
}

fn path_of(state: &Path, sha256: &str) -> PathBuf {
    state.join(SCHEMES).join(format!("{sha256}.json"))
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn described(error: SchemeError) -> RunError {
    RunError::internal("the scheme of marks", &error)
}

/// The marker of a plan's deliveries, with the key it was made of and the scheme it follows.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) scheme: Scheme,
    pub(crate) key: MarkKey,
    pub(crate) marker: Marker,
}

/// Makes the marker of a plan's deliveries; none where no field carries marks.
///
/// # Errors
/// A missing key; a layout that doesn't fit the plan's fields.
pub(crate) fn hold(
    installation: &Installation,
    plan: &ExchangePlan,
) -> Result<Option<Held>, RunError> {
    let Some(layout) = &plan.marks else {
        return Ok(None);
    };
    let (key, version) = installation.mark_key(&plan.dataset, layout.epoch)?;
    let scheme = layout.scheme(&plan.dataset, version);
    let columns: Vec<&str> = plan
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    let marker = scheme.marker(&key, &columns).map_err(described)?;
    let made = marker.plan();
    // What a trace may leave out, a delivery may not.
    let carrying = made.fields().len() + made.tags().len();
    if carrying != scheme.fields.len() || made.anchors().len() != scheme.anchors.len() {
        return Err(RunError::Internal {
            what: "the plan's marks name a field that is not delivered".to_owned(),
        });
    }
    Ok(Some(Held {
        scheme,
        key,
        marker,
    }))
}

/// The error of a grant that was never recorded as signed.
pub(crate) fn no_index() -> RunError {
    RunError::Internal {
        what: "the ledger holds no number for the grant to be marked by".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::ledger::Entry;
    use crate::marks::scheme::FORMAT;

    fn scheme() -> Scheme {
        Scheme {
            format: FORMAT,
            dataset: "residents".to_owned(),
            epoch: 1,
            key_version: 2,
            anchors: Vec::new(),
            fields: Vec::new(),
        }
    }

    #[test]
    fn markings_are_read_back_from_the_ledger() {
        let key = MarkKey::derive(&[7; 32], "residents", 1, 2);
        let committed = commit(&scheme(), &key).unwrap();
        assert!(key.opens(&committed.commitment, &committed.salt));
        let begun = |dataset: &str| Event::MarkingBegun {
            dataset: dataset.to_owned(),
            epoch: 1,
            key_version: 2,
            commitment: hex(&committed.commitment),
            commitment_salt: hex(&committed.salt),
            grant: "G-1".to_owned(),
            recipient: "civil-affairs".to_owned(),
            grant_index: 1 << 32 | 5,
            scheme_sha256: "aa".repeat(32),
            plan_sha256: "bb".repeat(32),
        };
        let entries = [begun("residents"), begun("others")];
        let history: History = (0..)
            .zip(entries)
            .map(|(index, event)| Entry {
                index,
                at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
                event,
            })
            .collect();
        assert_eq!(
            markings(&history, "residents"),
            [Marking {
                key: committed,
                grant: "G-1".to_owned(),
                recipient: "civil-affairs".to_owned(),
                index: GrantIndex(5),
                scheme_sha256: "aa".repeat(32),
                plan_sha256: "bb".repeat(32),
            }]
        );
        assert_eq!(markings(&history, "unknown"), []);
    }

    #[test]
    fn a_scheme_is_kept_under_its_hash_and_held_to_it() {
        let state = tempfile::tempdir().unwrap();
        let sha256 = scheme().sha256().unwrap();
        let _lock = lock(state.path()).unwrap();
        keep(state.path(), &scheme().to_bytes().unwrap(), &sha256).unwrap();
        keep(state.path(), &scheme().to_bytes().unwrap(), &sha256).unwrap();
        assert_eq!(read_scheme(state.path(), &sha256).unwrap(), scheme());
        let other = Scheme {
            epoch: 2,
            ..scheme()
        };
        fs::write(path_of(state.path(), &sha256), other.to_bytes().unwrap()).unwrap();
        for name in [sha256.as_str(), &"00".repeat(32), "../lockgate"] {
            assert!(matches!(
                read_scheme(state.path(), name),
                Err(RunError::Unverified { .. })
            ));
        }
    }
}
