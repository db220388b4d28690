//! Making a receipt: on the recipient's side, without the site.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, VerifyingKey};
use object_store::ObjectStore;
use object_store::path::Path;

use super::statement::{Receipt, ReceiptKind, is_statement};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::ledger::time_text;
use crate::manifest::Manifest;
use crate::verify::{VerifyReport, read_manifest, verify_delivery};

/// What a receipt is made of.
#[derive(Debug)]
pub struct ReceiptRequest<'a> {
    /// The store that holds the delivery.
    pub store: &'a Arc<dyn ObjectStore>,
    /// The delivery's folder.
    pub folder: &'a Path,
    /// The provider's manifest keys.
    pub keys: &'a [VerifyingKey],
    /// The ledger's keys, where the recipient has them.
    pub ledger_keys: Option<&'a [VerifyingKey]>,
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
    check_statement(request.statement)?;
    let verified = Box::pin(verify_delivery(
        request.store,
        request.folder,
        request.keys,
        request.ledger_keys,
    ));
    let report = verified.await?;
    if !report.valid {
        return Ok(Made::Unverified(Box::new(report)));
    }
    // Read once more: what is signed is what was checked, or doesn't open.
    let (manifest, sha256) = manifest(request).await?;
    let mut receipt = Receipt::of(&manifest, sha256, ReceiptKind::Received);
    receipt.checked.files = true;
    receipt.checked.ledger = request.ledger_keys.is_some();
    receipt.checked.notes = report.notes;
    signed(receipt, request, key)
}

/// Signs that every copy of a delivery was destroyed. Needs its manifest alone.
///
/// # Errors
/// A manifest that isn't there or doesn't verify; a statement that is too long.
pub async fn destroyed(request: &ReceiptRequest<'_>, key: &SigningKey) -> Result<Made, RunError> {
    check_statement(request.statement)?;
    let (manifest, sha256) = manifest(request).await?;
    let mut receipt = Receipt::of(&manifest, sha256, ReceiptKind::Destroyed);
    if let Some(keys) = request.ledger_keys {
        manifest
            .ledger
            .verify(Some(keys))
            .map_err(|error| RunError::Unverified {
                what: format!("manifest.json: {error}"),
            })?;
        receipt.checked.ledger = true;
    }
    signed(receipt, request, key)
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

fn check_statement(statement: Option<&str>) -> Result<(), RunError> {
    if statement.is_none_or(is_statement) {
        return Ok(());
    }
    Err(RunError::Invalid {
        what: "the statement is empty, longer than 500 characters, or has control characters"
            .to_owned(),
        at: "--statement".to_owned(),
        remedy: "say it in a sentence or two, without personal data".to_owned(),
    })
}
