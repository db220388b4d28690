//! Releasing the keys of a delivery that only the site can unwrap (`release = "online"`).
//!
//! The grant must be in force, as for a run: expired, suspended, terminated, halted or stale refuse. It
//! must be the very grant that the delivery was made under, for its recipient. Each file's DEKs are
//! unwrapped by the site's keyring, which never gives out the KEK, and wrapped to the recipient's key in a
//! document that the site signs. The ledger has it before the document is written, and has it only if by
//! then neither a disposal nor anything else was recorded that refuses it. What was released can't be
//! called back: the next release can be refused, this one not.

mod collect;
mod document;

use lockgate_connectors::keyring::{KeyAlgorithm, PublicKey, Purpose};
use lockgate_connectors::seal::ReleasedDeks;
use lockgate_connectors::store::Store;

pub(crate) use collect::collect_readable;
use collect::{binding_of, collect};
pub use document::{BYTES_MAX, FORMAT, PAYLOAD_TYPE, ReleaseDocument, ReleaseError};

use crate::delivered::{Delivered, Disposal};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, time_text};
use crate::manifest::Manifest;
use crate::plan::{Refusal, RefusalCode};
use crate::recording::record_while;
use crate::site::dataset::Mode;

/// Keys that were released.
#[derive(Debug)]
pub struct Released {
    /// What the document says.
    pub document: ReleaseDocument,
    /// Its bytes, to be written.
    pub bytes: Vec<u8>,
    /// Where the ledger records it.
    pub entry: u64,
    /// How often keys of this delivery were released before.
    pub earlier: u64,
}

/// Releases the keys of the delivery in `folder` to `recipient`, and records it.
///
/// # Errors
/// A grant that isn't in force; another recipient; a delivery that isn't released online, or was
/// disposed of; a keyring that doesn't unwrap.
pub async fn release(
    installation: &Installation,
    folder: &Store,
    recipient: &str,
) -> Result<Released, RunError> {
    let ledger = installation.ledger()?;
    let history = ledger.entries()?;
    let (delivered, manifest) = Delivered::of_folder(installation, &history, folder).await?;
    check(&delivered, &manifest, recipient)?;
    in_force(installation, &manifest)?;
    let keys = sealing_keys(installation, &manifest.recipient)?;
    let mut deks = ReleasedDeks::default();
    for found in collect(installation.keyring(), &manifest, folder).await? {
        deks.add(&found.wrapped, &found.aad, found.dek);
    }
    let binding = binding_of(&manifest)?;
    let document = ReleaseDocument {
        format: FORMAT,
        delivery: delivered.delivery.clone(),
        attempt: delivered.attempt.clone(),
        grant: delivered.grant.clone(),
        recipient: manifest.recipient.clone(),
        manifest_sha256: delivered.manifest_sha256.clone(),
        suite: binding.suite(),
        keys: u64::try_from(deks.len()).unwrap_or(u64::MAX),
        recipients: deks.wrap(&binding, &keys)?,
        at: time_text(installation.clock.now()),
        software: crate::run::SOFTWARE.to_owned(),
    };
    let signing = installation.keyring().signing_key(Purpose::Manifest)?;
    let bytes = document
        .sign(&signing)
        .map_err(|error| RunError::internal("signing the release document", &error))?;
    let event = event(&document, &bytes);
    // While keys were unwrapped, the delivery may have been disposed of, or the grant suspended.
    let recorded = record_while(&ledger, installation.clock.now(), |history| {
        let known = Delivered::find(history, &delivered.delivery).ok_or_else(|| {
            denied(
                "the ledger knows the delivery no more",
                "run `lockgate ledger verify`",
            )
        })?;
        check(&known, &manifest, recipient)?;
        let now = Installation::open(&installation.site.root, installation.clock)?;
        in_force(&now, &manifest)?;
        Ok(event.clone())
    })?;
    Ok(Released {
        earlier: releases(&recorded.history, &delivered.delivery),
        document,
        bytes,
        entry: recorded.index,
    })
}

/// What the ledger has of a release.
fn event(document: &ReleaseDocument, bytes: &[u8]) -> Event {
    let mut kids = document.recipients.iter().map(|entry| entry.kid.clone());
    Event::ReleasedKeys {
        grant: document.grant.clone(),
        delivery: document.delivery.clone(),
        attempt: document.attempt.clone(),
        recipient: document.recipient.clone(),
        key_sha256: kids.next().unwrap_or_default(),
        more_keys_sha256: kids.collect(),
        keys: document.keys,
        document_sha256: sha256_hex(bytes),
    }
}

/// Refuses what the site has no keys of, or none for that recipient.
fn check(delivered: &Delivered, manifest: &Manifest, recipient: &str) -> Result<(), RunError> {
    if manifest.seal.release.as_deref() != Some("online") {
        return Err(denied(
            "the site holds no keys of this delivery",
            "its keys went with it: the recipient opens it with the private key alone",
        ));
    }
    if delivered.disposal != Disposal::None {
        return Err(denied(
            "the delivery was disposed of, and its key destroyed",
            "deliver anew with `lockgate run GRANT --again`",
        ));
    }
    if manifest.recipient != recipient {
        return Err(denied(
            &format!("the delivery is not for recipient `{recipient}`"),
            &format!("keys are released to `{}` alone", manifest.recipient),
        ));
    }
    Ok(())
}

/// Checks that the grant is in force, and is the one that the delivery was made under. How much of its
/// quota is used doesn't matter: the delivery was counted.
fn in_force(installation: &Installation, manifest: &Manifest) -> Result<(), RunError> {
    let compiled = installation.compile(&manifest.grant.id, Mode::Batch)?;
    let refusals: Vec<Refusal> = compiled
        .refusals()
        .iter()
        .filter(|refusal| refusal.code != RefusalCode::Quota)
        .cloned()
        .collect();
    if !refusals.is_empty() {
        return Err(RunError::Refused(refusals));
    }
    let (plan, then) = (compiled.plan(), &manifest.grant);
    let what = if plan.grant_version != then.version {
        format!(
            "the delivery was made under version {} of the grant, which is version {} now",
            then.version, plan.grant_version
        )
    } else if plan.grant_sha256 != then.sha256 || plan.recipient != manifest.recipient {
        "the grant is another one than the delivery was made under, with the same version"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(denied(
        &what,
        "what is approved now is delivered by `lockgate run`",
    ))
}

fn sealing_keys(installation: &Installation, recipient: &str) -> Result<Vec<PublicKey>, RunError> {
    let listed = installation.site.recipients.get(recipient);
    let keys = listed.iter().flat_map(|recipient| &recipient.public_keys);
    let keys: Vec<PublicKey> = keys
        .filter_map(|key| PublicKey::parse(key).ok())
        .filter(|key| key.algorithm() == KeyAlgorithm::X25519)
        .collect();
    if keys.is_empty() {
        return Err(denied(
            &format!("recipient `{recipient}` has no x25519 key to wrap keys to"),
            "have it make one with `lockgate keys pair NAME --kind recipient`",
        ));
    }
    Ok(keys)
}

/// How often keys of a delivery were released.
pub(crate) fn releases(history: &History, of: &str) -> u64 {
    let released = history.iter().filter(
        |entry| matches!(&entry.event, Event::ReleasedKeys { delivery, .. } if delivery == of),
    );
    u64::try_from(released.count()).unwrap_or(u64::MAX)
}

fn denied(what: &str, remedy: &str) -> RunError {
    RunError::Denied {
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests;
