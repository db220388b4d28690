//! The key of a delivery that only the site holds: shown to open it, destroyed, and shown to open nothing
//! any more.

use std::sync::Arc;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{KEY_BYTES, KekId, KeyProvider, KeyringError};
use serde::{Deserialize, Serialize};

use super::record::DestroyedKey;
use super::{Place, Work};
use crate::delivered::Disposal;
use crate::digest::{from_hex_bytes, hex, sha256_hex};
use crate::error::RunError;
use crate::fault;
use crate::ledger::Event;
use crate::release_keys::collect_readable;

/// What the key that is wrapped to try a KEK is bound to.
const PROBE: &[u8] = b"lockgate/v1 control of a disposal";

/// What can't be found out any more once the key is gone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyDraft {
    protection: String,
    extractable: bool,
    /// Whether the key had been destroyed before anybody asked for the disposal.
    gone_before: bool,
    /// Whether this disposal destroyed the key, and what it had noted of the control is lost.
    #[serde(default)]
    control_lost: bool,
    /// SHA-256 of each wrapped key of the files that was unwrapped.
    wrapped_sha256: Vec<String>,
    /// Files whose wrapped keys could not be read.
    not_controlled: Vec<String>,
    /// What is tried afterwards; absent where the key was gone.
    trial: Option<Wrapped>,
}

/// A wrapped key and what it is bound to, hex; ciphertext that stands in the files too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    wrapped: String,
    aad: String,
}

impl Wrapped {
    fn of(wrapped: &[u8], aad: &[u8]) -> Self {
        Self {
            wrapped: hex(wrapped),
            aad: hex(aad),
        }
    }
}

impl Work<'_> {
    /// Unwraps what can be found of the delivery's keys: what didn't open before proves nothing by not
    /// opening afterwards. Files that are gone or damaged are named; the KEK itself is tried in any case.
    pub(super) async fn key_draft(&self, place: &Place) -> Result<KeyDraft, RunError> {
        let kek = self.kek()?;
        let mut draft = KeyDraft {
            protection: self.keyring.attest()?.protection.to_owned(),
            extractable: self.keyring.attest_kek(&kek)?.extractable,
            gone_before: false,
            control_lost: false,
            wrapped_sha256: Vec::new(),
            not_controlled: Vec::new(),
            trial: None,
        };
        let probe = match probe(self.keyring.as_ref(), &kek) {
            Ok(probe) => probe,
            Err(error) if is_gone(&error) && self.was_destroyed(&kek) => {
                // Behind its intent it was this disposal that destroyed it.
                draft.control_lost = self.is_begun();
                draft.gone_before = !draft.control_lost;
                // Nobody can say any more.
                draft.extractable = true;
                return Ok(draft);
            }
            Err(error) => return Err(error.into()),
        };
        let keyring = Arc::clone(&self.keyring);
        let (found, unread) = collect_readable(keyring, self.manifest, &place.folder).await?;
        if !unread.is_empty() {
            // It is the files that can't be read, and not the keyring that fails since.
            self::probe(self.keyring.as_ref(), &kek)?;
        }
        let first = found.first();
        draft.trial = Some(first.map_or(probe, |first| Wrapped::of(&first.wrapped, &first.aad)));
        let hashes = found.iter().map(|found| sha256_hex(&found.wrapped));
        draft.wrapped_sha256 = hashes.collect();
        draft.not_controlled = unread;
        Ok(draft)
    }

    /// Whether an earlier call recorded the intent of this disposal.
    fn is_begun(&self) -> bool {
        matches!(self.delivered.disposal, Disposal::Begun { .. })
    }

    /// Whether the key is there now.
    pub(super) fn holds_key(&self) -> Result<bool, RunError> {
        let told = self.keyring.attest_kek(&self.kek()?)?;
        Ok(told.exists && !told.destroyed)
    }

    /// Whether the ledger has it that the key was destroyed. That a keyring has no such key may also mean
    /// that it is another keyring.
    fn was_destroyed(&self, kek: &KekId) -> bool {
        self.history.iter().any(|entry| {
            matches!(&entry.event, Event::KeyringChanged { what, .. }
                if what.contains("destroyed") && what.contains(kek.as_str()))
        })
    }

    /// Destroys the key, and tries to open what it had wrapped.
    pub(super) async fn destroy(
        &self,
        draft: Option<&KeyDraft>,
    ) -> Result<Option<DestroyedKey>, RunError> {
        let Some(draft) = draft else {
            return Ok(None);
        };
        let kek = self.kek()?;
        // An earlier call may have come as far as this, or somebody destroyed it by hand.
        let may_be_gone = !self.holds_key()?;
        // One that was shown to be here, and was to be destroyed, is gone by this disposal: its entry may
        // be missing, where the call ended before it.
        let is_own = draft.trial.is_some() && self.is_begun();
        if may_be_gone && !is_own && !self.was_destroyed(&kek) {
            return Err(RunError::Unverified {
                what: format!(
                    "the keyring has no key {kek}, and the ledger doesn't say that it was destroyed: \
                     another keyring may hold it; put the site's keyring back, and dispose again"
                ),
            });
        }
        let (keyring, id) = (Arc::clone(&self.keyring), kek.clone());
        let destroyed = blocking(move || match keyring.destroy_kek(&id) {
            Ok(destroyed) => Ok(Some(destroyed)),
            Err(error) if may_be_gone && is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        });
        let destroyed = destroyed.await?;
        // An older keyring, put back from a backup, is refused from here on.
        let what = format!("destroyed {kek}");
        self.installation.record_keyring(self.ledger, &what)?;
        let (keyring, id, trial) = (Arc::clone(&self.keyring), kek.clone(), draft.trial.clone());
        let tried = blocking(move || {
            let refused = try_to_open(keyring.as_ref(), &id, trial.as_ref())?;
            Ok((refused, keyring.attest_kek(&id)?))
        });
        let (refused, told) = tried.await?;
        let refused = refused.filter(|_| !told.exists);
        let trial = refused.ok_or_else(|| RunError::Unverified {
            what: format!(
                "key {kek} still opens, or is still there, after it was destroyed; nothing was removed: \
                 find out what holds a copy of it, and dispose again"
            ),
        })?;
        Ok(Some(DestroyedKey {
            kek: kek.to_string(),
            provider: told.provider.to_string(),
            protection: draft.protection.clone(),
            extractable: draft.extractable,
            answer: destroyed.as_ref().map_or_else(
                || "it was not there any more".to_owned(),
                |destroyed| destroyed.answer.to_owned(),
            ),
            generation: destroyed.map_or(told.generation, |destroyed| destroyed.generation),
            wrapped_sha256: draft.wrapped_sha256.clone(),
            unwrapped_before: u64::try_from(draft.wrapped_sha256.len()).unwrap_or(u64::MAX),
            gone_before: draft.gone_before,
            control_lost: draft.control_lost,
            not_controlled: draft.not_controlled.clone(),
            trial,
        }))
    }
}

/// Wraps a key under the KEK and opens it again; gives what was wrapped.
fn probe(keyring: &dyn KeyProvider, kek: &KekId) -> Result<Wrapped, ConnectorError> {
    let wrapped = keyring.wrap(kek, &[0; KEY_BYTES], PROBE)?;
    let opened = keyring.unwrap(kek, &wrapped, PROBE)?;
    if *opened != [0; KEY_BYTES] {
        return Err(ConnectorError::bug("a wrapped key opened as another"));
    }
    Ok(Wrapped::of(&wrapped, PROBE))
}

/// Asks for the key after it was destroyed: the keyring's refusal, or nothing where it does what it was
/// asked. An error of another kind proves nothing, and is one.
fn try_to_open(
    keyring: &dyn KeyProvider,
    kek: &KekId,
    trial: Option<&Wrapped>,
) -> Result<Option<String>, ConnectorError> {
    let held = trial.and_then(|trial| {
        let wrapped = from_hex_bytes(&trial.wrapped)?;
        Some((wrapped, from_hex_bytes(&trial.aad)?))
    });
    let answer = match held {
        Some((wrapped, aad)) => keyring.unwrap(kek, &wrapped, &aad).map(drop),
        None => keyring.wrap(kek, &[0; KEY_BYTES], PROBE).map(drop),
    };
    match answer {
        Ok(()) => Ok(None),
        Err(error) if is_gone(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Whether an error says that the key is not there, or was destroyed: a token that can't be reached says
/// neither.
fn is_gone(error: &ConnectorError) -> bool {
    matches!(
        error,
        ConnectorError::Keyring(KeyringError::KekDestroyed { .. } | KeyringError::NoKek { .. })
    )
}

/// Asks the keyring where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConnectorError> + Send + 'static,
) -> Result<T, RunError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| fault::of_task("destroying the key", error))??)
}

#[cfg(test)]
mod tests {
    use lockgate_connectors::keyring::LocalKeyring;

    use super::*;

    fn id() -> KekId {
        KekId::new("0123456789abcdef0123456789abcdef", "00112233445566aa").unwrap()
    }

    #[test]
    fn a_trial_is_refused_by_a_key_that_is_gone_and_by_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let keyring = LocalKeyring::open(directory.path().join("keys"));
        keyring.create_kek(&id()).unwrap();
        let wrapped = probe(&keyring, &id()).unwrap();
        for trial in [Some(&wrapped), None] {
            assert_eq!(try_to_open(&keyring, &id(), trial).unwrap(), None);
        }
        // Altered ciphertext doesn't open either, which says nothing about the key.
        let other = Wrapped {
            aad: hex(b"another"),
            ..wrapped.clone()
        };
        assert!(try_to_open(&keyring, &id(), Some(&other)).is_err());
        keyring.destroy_kek(&id()).unwrap();
        for trial in [Some(&wrapped), None] {
            assert!(try_to_open(&keyring, &id(), trial).unwrap().is_some());
        }
        assert!(is_gone(&probe(&keyring, &id()).unwrap_err()));
    }
}
