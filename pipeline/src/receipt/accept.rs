//! Accepting a receipt: on the provider's side, held to the ledger and recorded in it.

use std::path::PathBuf;

use chrono::TimeDelta;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::durable;
use lockgate_connectors::keyring::{PublicKey, Purpose};
use serde::Serialize;

use super::statement::{BYTES_MAX, Receipt, ReceiptKind, Use};
use crate::approval::{self, Approval};
use crate::canonical_json;
use crate::delivered::Delivered;
use crate::digest::{is_hex, sha256_hex};
use crate::dsse::{self, key_id};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Checkpoint, Event, History, Ledger, parse_time};
use crate::plan::RefusalCode;

/// Folder of accepted receipts, within the program's own directory.
const RECEIPTS: &str = "receipts";

/// Folder of what approvers signed, within the program's own directory.
const APPROVALS: &str = "approvals";

/// Most bytes of an approval that is read back.
const APPROVAL_BYTES_MAX: u64 = 16 << 20;

/// How far the recipient's clock may be behind the site's.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

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
    /// How the recipient used the data, where that is what it tells.
    #[serde(rename = "use")]
    pub used: Option<Use>,
    /// SHA-256 of the receipt's envelope.
    pub receipt_sha256: String,
    /// Entries of the ledger whose checkpoint the recipient signed too.
    pub checkpoint_size: u64,
    /// Where the ledger records it.
    pub entry: u64,
    /// Whether the ledger had it already, so that nothing was recorded.
    pub unchanged: bool,
}

/// Accepts a recipient's receipt: signed by a key that stands in the recipient's file and that an
/// approver signed for, about a delivery that the ledger released to that recipient with that manifest,
/// over a checkpoint that the ledger continues.
///
/// # Errors
/// [`RunError::Unverified`] for whatever does not hold; a ledger that can't be read or written.
pub fn accept(installation: &Installation, bytes: &[u8]) -> Result<Accepted, RunError> {
    let (receipt, key) = opened(installation, bytes)?;
    let ledger = installation.ledger()?;
    let receipt_sha256 = sha256_hex(bytes);
    // Others may record something meanwhile, this very receipt even.
    let (entry, unchanged, checkpoint_size) = loop {
        let reader = ledger.snapshot()?;
        let history = reader.entries()?;
        let checkpoint = held_to(installation, &ledger, &history, &receipt)?;
        check_approved(installation, &history, &receipt, &key)?;
        // Also where it was recorded: state that was put back may lack it.
        keep(installation, bytes, &receipt_sha256)?;
        if let Some(entry) = recorded(&history, &receipt_sha256) {
            break (entry, true, checkpoint.size);
        }
        let event = Event::ReceiptAccepted {
            grant: receipt.grant.clone(),
            delivery: receipt.delivery.clone(),
            recipient: receipt.recipient.clone(),
            kind: receipt.kind.as_str().to_owned(),
            manifest_sha256: receipt.manifest_sha256.clone(),
            receipt_sha256: receipt_sha256.clone(),
            key_sha256: key_id(&key),
            checkpoint_size: checkpoint.size,
        };
        let now = installation.clock.now();
        if let Some(appended) = ledger.append_if(reader.size(), &event, now)? {
            break (appended.index, false, checkpoint.size);
        }
    };
    Ok(Accepted {
        kind: receipt.kind,
        grant: receipt.grant,
        delivery: receipt.delivery,
        recipient: receipt.recipient,
        rows: receipt.rows,
        signed_at: receipt.at,
        statement: receipt.statement,
        used: receipt.used,
        receipt_sha256,
        checkpoint_size,
        entry,
        unchanged,
    })
}

/// A receipt that was accepted, by the hash that the ledger has of it; absent where it isn't kept any
/// more, or was altered.
pub(crate) fn kept(installation: &Installation, sha256: &str) -> Option<Receipt> {
    let bytes = kept_by_hash(installation, RECEIPTS, sha256, BYTES_MAX)?;
    canonical_json::read(&dsse::unverified_payload(&bytes)?).ok()
}

/// Opens a receipt with the keys of the recipient in whose name it is.
///
/// # Errors
/// [`RunError::Unverified`] where none of them signed it, or it is none.
pub(crate) fn opened(
    installation: &Installation,
    bytes: &[u8],
) -> Result<(Receipt, VerifyingKey), RunError> {
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
    let intended = history.iter().find(|entry| entry.index == delivered.intent);
    let signed = parse_time(&receipt.at).zip(intended);
    let is_before =
        signed.is_none_or(|(at, intended)| intended.at.signed_duration_since(at) > CLOCKS_APART);
    if is_before {
        return Err(unverified(
            "the receipt is dated before its delivery left; have the recipient set its clock and sign \
             again",
        ));
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

/// Holds the key that signed to what an approver signed: the recipient's file alone is the operator's to
/// edit. The grant's approval as it stands counts, and every earlier one that is kept.
fn check_approved(
    installation: &Installation,
    history: &History,
    receipt: &Receipt,
    key: &VerifyingKey,
) -> Result<(), RunError> {
    let key = key_id(key);
    let mode = installation.mode_to_show(&receipt.grant);
    // A grant whose files are gone or unusable approves nothing by itself.
    let now = installation.compile(&receipt.grant, mode).ok();
    let is_approved_now = now.is_some_and(|compiled| {
        let plan = compiled.plan();
        let holds = |code| !matches!(code, RefusalCode::Unsigned | RefusalCode::ApprovalStale);
        compiled
            .refusals()
            .iter()
            .all(|refusal| holds(refusal.code))
            && plan.recipient == receipt.recipient
            && plan.recipient_keys.contains(&key)
    });
    let mut signed = history.iter().filter_map(|entry| {
        let Event::GrantSigned {
            grant,
            recipient,
            approval_sha256,
            ..
        } = &entry.event
        else {
            return None;
        };
        (*grant == receipt.grant && *recipient == receipt.recipient).then_some(approval_sha256)
    });
    let is_approved = is_approved_now
        || signed.any(|sha256| approved_keys(installation, receipt, sha256).contains(&key));
    if is_approved {
        return Ok(());
    }
    Err(unverified(format!(
        "the receipt is signed by a key of recipient `{}` that no approver signed for; have grant `{}` \
         signed again with the recipient's keys as they are",
        receipt.recipient, receipt.grant
    )))
}

/// The recipient's keys in an approval of the grant that the ledger names: beside the grant's file, or
/// kept when it was recorded.
fn approved_keys(installation: &Installation, receipt: &Receipt, sha256: &str) -> Vec<String> {
    let site = &installation.site;
    let beside = site.grants.get(&receipt.grant);
    let beside = beside.and_then(|grant| {
        let path = approval::signature_path(site, grant);
        durable::read_bounded(&path, APPROVAL_BYTES_MAX).ok()
    });
    let envelope = beside
        .filter(|bytes| sha256_hex(bytes) == sha256)
        .or_else(|| kept_by_hash(installation, APPROVALS, sha256, APPROVAL_BYTES_MAX));
    let approval = envelope
        .and_then(|bytes| dsse::unverified_payload(&bytes))
        .and_then(|payload| canonical_json::read::<Approval>(&payload).ok())
        .filter(|approval| approval.grant == receipt.grant);
    approval.map_or_else(Vec::new, |approval| approval.recipient_keys)
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
    let path = path_of(installation, RECEIPTS, sha256);
    let folder = installation.state().join(RECEIPTS);
    durable::make_directories(&folder, 0o777)
        .and_then(|()| durable::replace(&path, bytes))
        .map_err(|error| RunError::internal("keeping the receipt", &error))
}

fn path_of(installation: &Installation, folder: &str, sha256: &str) -> PathBuf {
    let folder = installation.state().join(folder);
    folder.join(format!("{sha256}.json"))
}

/// What is kept in a folder of the program's own under its SHA-256; absent where it isn't, or isn't what
/// was kept.
fn kept_by_hash(
    installation: &Installation,
    folder: &str,
    sha256: &str,
    most: u64,
) -> Option<Vec<u8>> {
    if !is_hex(sha256, 64) {
        return None;
    }
    let bytes = durable::read_bounded(&path_of(installation, folder, sha256), most).ok()?;
    (sha256_hex(&bytes) == sha256).then_some(bytes)
}

fn unverified(what: impl Into<String>) -> RunError {
    RunError::Unverified { what: what.into() }
}
