//! Accepting a receipt: on the provider's side, held to the ledger and recorded in it.

use std::fs;

use ed25519_dalek::VerifyingKey;
use lockgate_connectors::durable;
use lockgate_connectors::keyring::{PublicKey, Purpose};
use serde::Serialize;

use super::statement::{Receipt, ReceiptKind};
use crate::delivered::Delivered;
use crate::digest::sha256_hex;
use crate::dsse::key_id;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Checkpoint, Event, History, Ledger};

/// Folder of accepted receipts, within the program's own directory.
const RECEIPTS: &str = "receipts";

/// A receipt that was accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    /// What it acknowledges.
    pub kind: ReceiptKind,
    /// Id of the grant.
    pub grant: String,
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the recipient.
    pub recipient: String,
    /// Rows of the delivery.
    pub rows: u64,
    /// When the recipient signed.
    pub signed_at: String,
    /// What the recipient adds in words.
    pub statement: Option<String>,
    /// SHA-256 of the receipt's envelope.
    pub receipt_sha256: String,
    /// Entries of the ledger whose checkpoint the recipient signed too.
    pub checkpoint_size: u64,
    /// Where the ledger records it.
    pub entry: u64,
    /// Whether the ledger had it already, so that nothing was recorded.
    pub unchanged: bool,
}

/// Accepts a recipient's receipt: signed by a key in the recipient's file, for a delivery that the
/// ledger released to that recipient with that manifest, over a checkpoint that the ledger continues.
///
/// # Errors
/// [`RunError::Unverified`] for whatever does not hold; a ledger that can't be read or written.
pub fn accept(installation: &Installation, bytes: &[u8]) -> Result<Accepted, RunError> {
    let (receipt, key) = opened(installation, bytes)?;
    let ledger = installation.ledger()?;
    let history = ledger.entries()?;
    let checkpoint = held_to(installation, &ledger, &history, &receipt)?;
    let mut accepted = Accepted {
        kind: receipt.kind,
        grant: receipt.grant.clone(),
        delivery: receipt.delivery.clone(),
        recipient: receipt.recipient.clone(),
        rows: receipt.rows,
        signed_at: receipt.at.clone(),
        statement: receipt.statement.clone(),
        receipt_sha256: sha256_hex(bytes),
        checkpoint_size: checkpoint.size,
        entry: 0,
        unchanged: false,
    };
    if let Some(entry) = recorded(&history, &accepted.receipt_sha256) {
        accepted.entry = entry;
        accepted.unchanged = true;
        return Ok(accepted);
    }
    keep(installation, bytes, &accepted.receipt_sha256)?;
    let event = Event::ReceiptAccepted {
        grant: receipt.grant,
        delivery: receipt.delivery,
        recipient: receipt.recipient,
        kind: receipt.kind.as_str().to_owned(),
        manifest_sha256: receipt.manifest_sha256,
        receipt_sha256: accepted.receipt_sha256.clone(),
        key_sha256: key_id(&key),
        checkpoint_size: checkpoint.size,
    };
    accepted.entry = ledger.append(&event, installation.clock.now())?.index;
    Ok(accepted)
}

/// Opens a receipt with the keys of the recipient in whose name it is.
fn opened(installation: &Installation, bytes: &[u8]) -> Result<(Receipt, VerifyingKey), RunError> {
    let name = Receipt::claimed_recipient(bytes)
        .ok_or_else(|| unverified("this is no receipt, or was altered"))?;
    let recipient = installation.site.recipients.get(&name);
    let keys: Vec<VerifyingKey> = recipient
        .iter()
        .flat_map(|recipient| &recipient.public_keys)
        .filter_map(|key| PublicKey::parse(key).ok()?.verifying_key())
        .collect();
    if keys.is_empty() {
        return Err(unverified(format!(
            "recipient `{}` is not one of the site, or has no ed25519 key in its file to sign \
             receipts with",
            name.escape_debug()
        )));
    }
    Receipt::open(bytes, &keys).map_err(|error| unverified(error.to_string()))
}

/// Holds a receipt to what the ledger says; gives the checkpoint that the recipient signed.
fn held_to(
    installation: &Installation,
    ledger: &Ledger,
    history: &History,
    receipt: &Receipt,
) -> Result<Checkpoint, RunError> {
    let delivered = Delivered::find(history, &receipt.delivery).ok_or_else(|| {
        unverified(format!(
            "the ledger knows of no delivery {} that was released",
            receipt.delivery
        ))
    })?;
    let is_same = delivered.manifest_sha256 == receipt.manifest_sha256
        && delivered.attempt == receipt.attempt
        && delivered.grant == receipt.grant
        && delivered.rows == receipt.rows;
    if !is_same {
        return Err(unverified(format!(
            "the receipt is for another manifest than the ledger released as {}: one of both was \
             exchanged; keep the receipt and find out which",
            receipt.delivery
        )));
    }
    if delivered.recipient.as_deref() != Some(receipt.recipient.as_str()) {
        return Err(unverified(format!(
            "delivery {} was not for recipient `{}`",
            receipt.delivery, receipt.recipient
        )));
    }
    let keys = installation.keyring().verifying_keys(Purpose::Ledger)?;
    let checkpoint = Checkpoint::open(&receipt.checkpoint, &keys)
        .map_err(|error| unverified(format!("the receipt's checkpoint: {error}")))?;
    if checkpoint.size <= delivered.intent {
        return Err(unverified(
            "the receipt's checkpoint is older than the delivery",
        ));
    }
    ledger.snapshot()?.check_continues(&checkpoint)?;
    Ok(checkpoint)
}

/// Where the ledger has a receipt.
fn recorded(history: &History, sha256: &str) -> Option<u64> {
    history.iter().find_map(|entry| {
        let Event::ReceiptAccepted { receipt_sha256, .. } = &entry.event else {
            return None;
        };
        (receipt_sha256 == sha256).then_some(entry.index)
    })
}

/// Keeps a receipt under its SHA-256, before the ledger names it.
fn keep(installation: &Installation, bytes: &[u8], sha256: &str) -> Result<(), RunError> {
    let folder = installation.state().join(RECEIPTS);
    fs::create_dir_all(&folder)
        .and_then(|()| durable::replace(&folder.join(format!("{sha256}.json")), bytes))
        .map_err(|error| RunError::internal("keeping the receipt", &error))
}

fn unverified(what: impl Into<String>) -> RunError {
    RunError::Unverified { what: what.into() }
}
