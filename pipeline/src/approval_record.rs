//! Signing a grant for the record: the signature, and the ledger entry that draws the grant's index.

use std::path::Path;

use crate::approval::{SignRequest, Signed, sign};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::Event;

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

fn random_index() -> Result<u64, RunError> {
    getrandom::u64().map_err(|error| RunError::internal("drawing the grant's index", &error))
}
