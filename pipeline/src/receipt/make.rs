//! Making a receipt: on the recipient's side, without the site.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, VerifyingKey};
use object_store::ObjectStore;
use object_store::path::Path;

use super::statement::{Receipt, ReceiptKind, Use, is_statement};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::ledger::time_text;
use crate::manifest::Manifest;
use crate::verify::{VerifyReport, read_manifest, verify_and_keep};

/// What a receipt is made of.
#[derive(Debug)]
pub struct ReceiptRequest<'a> {
    /// The store that holds the delivery.
    pub store: &'a Arc<dyn ObjectStore>,
    /// The delivery's folder.
    pub folder: &'a Path,
    /// The provider's manifest keys.
    pub keys: &'a [VerifyingKey],
    /// The ledger's keys: a checkpoint that nobody checked is not cosigned.
    pub ledger_keys: &'a [VerifyingKey],
    /// What the recipient adds in words.
    pub statement: Option<&'a str>,
    /// When it is signed.
    pub at: DateTime<Utc>,
}

/// What came of making a receipt.
#[derive(Debug)]
pub enum Made {
    /// It was signed: what it says, and its bytes.
    Signed(Box<Receipt>, Vec<u8>),
    /// The delivery doesn't verify, so there is nothing to acknowledge.
    Unverified(Box<VerifyReport>),
}

/// Verifies a delivery, and signs that it was received.
///
/// # Errors
/// A store that can't be read; a statement that is too long.
pub async fn make(request: &ReceiptRequest<'_>, key: &SigningKey) -> Result<Made, RunError> {
    check_words(request.statement, "--statement")?;
    let verified = Box::pin(verify_and_keep(
        request.store,
        request.folder,
        request.keys,
        Some(request.ledger_keys),
    ));
    // What is signed is the manifest that was checked, and not read a second time.
    let (report, kept) = verified.await?;
    let Some((manifest, bytes)) = kept.filter(|_| report.valid) else {
        return Ok(Made::Unverified(Box::new(report)));
    };
    let mut receipt = Receipt::of(&manifest, sha256_hex(&bytes), ReceiptKind::Received);
    receipt.checked.files = true;
    receipt.checked.ledger = true;
    receipt.checked.notes = report.notes;
    signed(receipt, request, key)
}

/// Signs that every copy of a delivery was destroyed. Needs its manifest alone.
///
/// # Errors
/// A manifest that isn't there or doesn't verify; a statement that is too long.
pub async fn destroyed(request: &ReceiptRequest<'_>, key: &SigningKey) -> Result<Made, RunError> {
    check_words(request.statement, "--statement")?;
    let receipt = of_manifest(request, ReceiptKind::Destroyed).await?;
    signed(receipt, request, key)
}

/// Signs how a delivery was used: `statement` says what was done. Needs its manifest alone.
///
/// # Errors
/// A manifest that isn't there or doesn't verify; no statement; words that are empty or too long.
pub async fn used(
    request: &ReceiptRequest<'_>,
    used: &Use,
    key: &SigningKey,
) -> Result<Made, RunError> {
    check_words(Some(request.statement.unwrap_or_default()), "--statement")?;
    check_words(Some(&used.storage), "--storage")?;
    check_words(Some(&used.outcome), "--outcome")?;
    let mut receipt = of_manifest(request, ReceiptKind::Used).await?;
    receipt.used = Some(Use {
        storage: used.storage.trim().to_owned(),
        outcome: used.outcome.trim().to_owned(),
    });
    signed(receipt, request, key)
}

/// What is said of a delivery by its manifest, the proof in it checked.
async fn of_manifest(request: &ReceiptRequest<'_>, kind: ReceiptKind) -> Result<Receipt, RunError> {
    let (manifest, sha256) = manifest(request).await?;
    let mut receipt = Receipt::of(&manifest, sha256, kind);
    let proved = manifest.ledger.verify(Some(request.ledger_keys));
    proved.map_err(|error| RunError::Unverified {
        what: format!("manifest.json: {error}"),
    })?;
    receipt.checked.ledger = true;
    Ok(receipt)
}

fn signed(
    mut receipt: Receipt,
    request: &ReceiptRequest<'_>,
    key: &SigningKey,
) -> Result<Made, RunError> {
    receipt.statement = request.statement.map(|text| text.trim().to_owned());
    receipt.at = time_text(request.at);
    let bytes = receipt
        .clone()
        .sign(key)
        .map_err(|error| RunError::internal("signing the receipt", &error))?;
    Ok(Made::Signed(Box::new(receipt), bytes))
}

async fn manifest(request: &ReceiptRequest<'_>) -> Result<(Manifest, String), RunError> {
    let bytes = read_manifest(request.store, request.folder).await?;
    let bytes = bytes.ok_or_else(|| RunError::Unverified {
        what: "there is no manifest here, hence no delivery".to_owned(),
    })?;
    let manifest = Manifest::open(&bytes, request.keys).map_err(|error| RunError::Unverified {
        what: error.to_string(),
    })?;
    Ok((manifest, sha256_hex(&bytes)))
}

fn check_words(words: Option<&str>, at: &str) -> Result<(), RunError> {
    if words.is_none_or(is_statement) {
        return Ok(());
    }
    Err(RunError::Invalid {
        what: "the text is empty, longer than 500 characters, or has control characters".to_owned(),
        at: at.to_owned(),
        remedy: "say it in a sentence or two, without personal data".to_owned(),
    })
}
