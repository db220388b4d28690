//! Signing a grant for the record: the signature, and the ledger entry that draws the grant's index.

use std::path::Path;

use crate::approval::{SignRequest, Signed, sign, signature_bytes};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{About, Event, History, Ledger};
use crate::life::{self, Life, Terms};
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
    if let Some(version) = installation.site.grants.get(grant).map(|it| it.version) {
        life::may_be_signed(&history, grant, version)?;
    }
    let signed = sign(&installation.site, &request)?;
    let about = keep_terms(installation, &signed.grant)?;
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
        about,
    };
    ledger.append(&event, installation.clock.now())?;
    Ok(signed)
}

/// Keeps what a grant is for, and says what an entry says of it.
fn keep_terms(installation: &Installation, grant: &str) -> Result<Option<About>, RunError> {
    let site = &installation.site;
    if let Some(grant) = site.grants.get(grant) {
        Terms::from(&grant.value).keep(&installation.state())?;
    }
    Ok(life::about_of(site, grant))
}

/// Records a signature that the ledger does not know (it was made at another site, or the process
/// ended between signature and entry), so that no delivery goes out without an index, and no earlier
/// signature counts after a later one was used.
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
    let (Some(approver), Some(grant)) = (approver, installation.site.grants.get(&plan.grant))
    else {
        return Ok(());
    };
    let envelope =
        signature_bytes(&installation.site, grant).ok_or_else(|| RunError::Internal {
            what: format!("the signature of grant {} is gone", plan.grant),
        })?;
    let approval_sha256 = sha256_hex(&envelope);
    let index = history.grant_index(&plan.grant, &plan.recipient);
    let life = Life::of(&history, &plan.grant);
    if index.is_some() && life.has_recorded(plan.grant_version, &approval_sha256) {
        return Ok(());
    }
    let event = Event::GrantSigned {
        grant: plan.grant.clone(),
        version: plan.grant_version,
        recipient: plan.recipient.clone(),
        grant_index: match index {
            Some(index) => index,
            None => new_index(&history)?,
        },
        approver: approver.to_owned(),
        approval_sha256,
        about: keep_terms(installation, &plan.grant)?,
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
