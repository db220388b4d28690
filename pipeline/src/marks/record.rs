//! What the owner writes down before marks leave: the key they are held to, the grant they name, the
//! scheme they follow.
//!
//! A trace names somebody by a secret that only the owner holds. So that nobody can say the secret
//! was looked for afterwards, the ledger holds a commitment to it before the first delivery: with
//! its salt and, once it is opened, the key, anyone can check it. Schemes stand in `state/marks/`,
//! each under its SHA-256, which the ledger holds too.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lockgate_connectors::durable;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::{COMMITMENT_BYTES, GrantIndex, MarkKey};

use super::index::index_of;
use super::layout::Layout;
use super::scheme::{Scheme, SchemeError};
use crate::digest::{from_hex, hex, is_hex, sha256_hex};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};
use crate::plan::ExchangePlan;
use crate::site::Problem;

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

/// The SHA-256 of every scheme that is kept in `state/marks`, in order; what else is there is of no
/// account.
fn kept(state: &Path) -> Vec<String> {
    let listed = fs::read_dir(state.join(SCHEMES)).into_iter().flatten();
    let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let hashes = names.filter_map(|name| {
        let sha256 = name.strip_suffix(".json")?;
        is_hex(sha256, 64).then(|| sha256.to_owned())
    });
    let mut hashes: Vec<String> = hashes.collect();
    hashes.sort();
    hashes
}

/// Refuses a ledger that is gone while schemes say that marked deliveries left: begun anew, it would say
/// that none ever did, and no leak of them could be traced.
///
/// # Errors
/// It is.
pub(crate) fn check_not_lost(state: &Path, ledger: &Path) -> Result<(), RunError> {
    // Before the first scheme is kept, the ledger has the grant that it is for.
    if kept(state).is_empty() {
        return Ok(());
    }
    let reader = Ledger::reader(ledger)?;
    if reader.checkpoint().is_some_and(|of| of.size > 0) {
        return Ok(());
    }
    Err(RunError::Unverified {
        what: format!(
            "state/ledger is gone, and state/{SCHEMES} says that marked deliveries left, which only that \
             ledger can name the recipients of; put it back from a copy of the site's state. Where there \
             is none, move state/{SCHEMES} away: a new ledger is begun, and what left before can never \
             be traced"
        ),
    })
}

/// A scheme of the dataset that the ledger has no entry of, if any is kept: the ledger isn't the one
/// that was written to when deliveries by it left, or a run was interrupted before its first.
pub(crate) fn unrecorded(state: &Path, history: &History, dataset: &str) -> Option<String> {
    let known = markings(history, dataset);
    let is_known = |sha256: &String| known.iter().any(|of| of.scheme_sha256 == *sha256);
    let mut kept = kept(state).into_iter();
    kept.find(|sha256| {
        !is_known(sha256)
            && read_scheme(state, sha256).is_ok_and(|scheme| scheme.dataset == dataset)
    })
}

/// What is wrong with the schemes that are kept, held against the ledger: what a trace would fail by.
pub fn problems(installation: &Installation) -> Vec<Problem> {
    let state = installation.state();
    let problem = |file: String, what: String, hint: Option<&str>| Problem {
        file,
        line: 1,
        column: 1,
        what,
        hint: hint.map(str::to_owned),
    };
    let of_scheme = |sha256: &str| format!("state/{SCHEMES}/{sha256}.json");
    let ledger = || "state/ledger".to_owned();
    let kept = kept(&state);
    if let Err(error) = check_not_lost(&state, &installation.ledger_dir()) {
        return vec![problem(ledger(), error.to_string(), None)];
    }
    let reader = Ledger::reader(&installation.ledger_dir());
    let history = match reader.and_then(|reader| reader.entries()) {
        Ok(history) => history,
        Err(_) if kept.is_empty() => return Vec::new(),
        Err(error) => {
            let what =
                format!("whether the schemes of marks are those in use can't be said: {error}");
            return vec![problem(
                ledger(),
                what,
                Some("run `lockgate ledger verify`"),
            )];
        }
    };
    let recorded: BTreeSet<&String> = history
        .iter()
        .filter_map(|entry| {
            let Event::MarkingBegun { scheme_sha256, .. } = &entry.event else {
                return None;
            };
            Some(scheme_sha256)
        })
        .collect();
    let unusable = recorded.iter().filter_map(|sha256| {
        let error = read_scheme(&state, sha256).err()?;
        Some(problem(of_scheme(sha256), error.to_string(), None))
    });
    let unknown = kept.iter().filter(|sha256| !recorded.contains(sha256));
    let unknown = unknown.map(|sha256| {
        problem(
            of_scheme(sha256),
            "no entry of the ledger has this scheme of marks".to_owned(),
            Some(
                "if a run was interrupted before its first delivery, run it again or remove the file; \
                 if state/ledger is not the one that was there, put it back from a copy",
            ),
        )
    });
    unusable.chain(unknown).collect()
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
    held(layout, plan, key, version).map(Some)
}

/// Makes the marker of a plan's deliveries by the key of that version; none where no field carries
/// marks.
///
/// # Errors
/// As [`hold`].
pub(crate) fn hold_of(
    installation: &Installation,
    plan: &ExchangePlan,
    version: u32,
) -> Result<Option<Held>, RunError> {
    let Some(layout) = &plan.marks else {
        return Ok(None);
    };
    let key = installation.mark_key_of(&plan.dataset, layout.epoch, version)?;
    held(layout, plan, key, version).map(Some)
}

fn held(
    layout: &Layout,
    plan: &ExchangePlan,
    key: MarkKey,
    version: u32,
) -> Result<Held, RunError> {
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
    Ok(Held {
        scheme,
        key,
        marker,
    })
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
    use lockgate_transforms::marks::key::PrfSuite;

    use super::*;
    use crate::ledger::Entry;
    use crate::marks::scheme::FORMAT;

    fn scheme() -> Scheme {
        Scheme {
            format: FORMAT,
            dataset: "residents".to_owned(),
            epoch: 1,
            key_version: 2,
            suite: PrfSuite::Aes,
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
    fn a_ledger_that_is_gone_is_not_begun_anew_where_marks_left() {
        let state = tempfile::tempdir().unwrap();
        let ledger = state.path().join("ledger");
        check_not_lost(state.path(), &ledger).unwrap();
        let sha256 = scheme().sha256().unwrap();
        let _lock = lock(state.path()).unwrap();
        check_not_lost(state.path(), &ledger).unwrap();
        keep(state.path(), &scheme().to_bytes().unwrap(), &sha256).unwrap();
        let error = check_not_lost(state.path(), &ledger).unwrap_err();
        assert!(error.to_string().contains("put it back"), "{error}");
        let none: History = std::iter::empty().collect();
        assert_eq!(unrecorded(state.path(), &none, "residents"), Some(sha256));
        assert_eq!(unrecorded(state.path(), &none, "companies"), None);
        fs::write(path_of(state.path(), &"00".repeat(32)), "no scheme").unwrap();
        assert_eq!(unrecorded(state.path(), &none, "companies"), None);
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
