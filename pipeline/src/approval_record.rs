//! Signing a grant for the record: the signature, and the ledger entry that draws the grant's index.

use std::path::Path;

use crate::approval::{SignRequest, Signed, sign, signature_path};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};
use crate::plan::ExchangePlan;

/// Signs a grant as it resolves now and records it. The random index by which marks name the grant
/// is drawn at its first signing and stays, so that early deliveries can be traced later.
///
/// # Errors
/// Whatever refuses the signature; a ledger that cannot be written.
pub fn sign_and_record(
    installation: &Installation,
    grant: &str,
    key: &Path,
) -> Result<Signed, RunError> {
    // Opened first: a signature that cannot be recorded is not made.
    let ledger = installation.ledger()?;
    let grant_index = match ledger.entries()?.grant_index(grant) {
        Some(index) => index,
        None => random_index()?,
    };
    let request = SignRequest {
        grant,
        key,
        today: installation.today()?,
        quota: installation.quota_use(grant)?,
    };
    let signed = sign(&installation.site, &request)?;
    let event = Event::GrantSigned {
        grant: signed.grant.clone(),
        version: signed.version,
        grant_index,
        approver: signed.approver.clone(),
        approval_sha256: signed.approval_sha256.clone(),
    };
    ledger.append(&event, installation.clock.now())?;
    Ok(signed)
}

/// Records a grant whose signature the ledger does not know (it was made at another site, or the
/// process ended between signature and entry), so that no delivery goes out without an index.
///
/// # Errors
/// A ledger that cannot be written.
pub fn ensure_recorded(
    installation: &Installation,
    ledger: &Ledger,
    plan: &ExchangePlan,
    approver: Option<&str>,
) -> Result<(), RunError> {
    let (Some(approver), None) = (approver, ledger.entries()?.grant_index(&plan.grant)) else {
        return Ok(());
    };
    let Some(grant) = installation.site.grants.get(&plan.grant) else {
        return Ok(());
    };
    let envelope = std::fs::read(signature_path(&installation.site, grant))
        .map_err(|error| RunError::internal("reading the signature", &error))?;
    let event = Event::GrantSigned {
        grant: plan.grant.clone(),
        version: plan.grant_version,
        grant_index: random_index()?,
        approver: approver.to_owned(),
        approval_sha256: sha256_hex(&envelope),
    };
    ledger.append(&event, installation.clock.now())?;
    Ok(())
}

fn random_index() -> Result<u64, RunError> {
    getrandom::u64().map_err(|error| RunError::internal("drawing the grant's index", &error))
}
