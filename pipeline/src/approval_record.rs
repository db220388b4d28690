//! Signing a grant for the record: the signature, and the ledger entry that draws the grant's index.

use std::path::Path;

use crate::approval::{SignRequest, Signed, sign, signature_path};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};
use crate::marks::{grants_by_index, index_of};
use crate::plan::ExchangePlan;

/// Signs a grant as it resolves now and records it. The random index by which marks name the grant
/// is drawn at its first signing for a recipient and stays, so that early deliveries can be traced later.
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
    let history = ledger.entries()?;
    let request = SignRequest {
        grant,
        key,
        today: installation.today()?,
        quota: installation.quota_use(grant)?,
    };
    let signed = sign(&installation.site, &request)?;
    let grant_index = match history.grant_index(&signed.grant, &signed.recipient) {
        Some(index) => index,
        None => new_index(&history)?,
    };
    let event = Event::GrantSigned {
        grant: signed.grant.clone(),
        version: signed.version,
        recipient: signed.recipient.clone(),
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
    let history = ledger.entries()?;
    let known = history.grant_index(&plan.grant, &plan.recipient);
    let (Some(approver), None) = (approver, known) else {
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
        recipient: plan.recipient.clone(),
        grant_index: new_index(&history)?,
        approver: approver.to_owned(),
        approval_sha256: sha256_hex(&envelope),
    };
    ledger.append(&event, installation.clock.now())?;
    Ok(())
}

/// A random number of which no other grant's mark has the part that marks hold.
fn new_index(history: &History) -> Result<u64, RunError> {
    let issued = grants_by_index(history);
    loop {
        let drawn = getrandom::u64()
            .map_err(|error| RunError::internal("drawing the grant's index", &error))?;
        if !issued.contains_key(&index_of(drawn)) {
            return Ok(drawn);
        }
    }
}
