//! A grant's life: whether what an approver signed may still be used, and who said so.
//!
//! The ledger is the state. A file of the site can be edited or put back; an entry cannot, short of
//! putting back the whole ledger. A grant is asked for, approved by a signature or refused with a legal
//! basis, suspended and resumed, and terminated; each step is an entry with its reason. What stops
//! exchanges (suspending, terminating, halting) the site's operator may do alone; what lets them go on
//! again (resuming, lifting a halt) needs an approver's signature. A run holds a [`Watch`] and asks it
//! before each split and right before anything becomes visible, so that a step of another process counts
//! within a second.

mod act;
mod archive;
mod clock;
mod halt;
mod order;
mod quota;
mod reason;
mod standing;
mod watch;

use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use lockgate_connectors::keyring::Purpose;

pub(crate) use act::may_be_signed;
pub use act::{Act, Step, Taken, act};
pub(crate) use archive::terms_of;
pub use archive::{LostTerms, Terms, lost_terms};
pub use clock::{Due, working_day_after, working_days_between};
pub use halt::{Delivered, HaltReport, Left, Lifted, halt, left, lift};
pub(crate) use quota::quota_of;
pub use quota::{Asked, confirm, give_back, reserve};
pub use reason::check_reason;
pub use standing::{Halt, Life, Moved, Standing, Used};
pub use watch::Watch;

use crate::approval::Signature;
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{About, History, LedgerReader};
use crate::plan::{ExchangePlan, Refusal, RefusalCode};
use crate::site::{Grant, Loaded, Site};

impl Installation {
    /// All entries of the ledger, its checkpoint verified with the site's keys. A site that recorded
    /// nothing yet has none.
    ///
    /// # Errors
    /// A ledger that cannot be read, or does not verify.
    pub fn history(&self) -> Result<History, RunError> {
        let directory = self.ledger_dir();
        if LedgerReader::look(&directory)?.is_none() {
            return Ok(LedgerReader::open(&directory, None)?.entries()?);
        }
        let keys = self.keyring().verifying_keys(Purpose::Ledger)?;
        Ok(LedgerReader::open(&directory, Some(&keys))?.entries()?)
    }

    /// The calendar day of a moment, in the site's zone.
    ///
    /// # Errors
    /// A zone that is not known.
    pub fn day_of(&self, at: DateTime<Utc>) -> Result<NaiveDate, RunError> {
        Ok(Clock::Fixed(at).today(self.zone()?))
    }
}

/// What the ledger says against using a grant as it resolves now: steps of its life, halts, and
/// signatures that others have replaced.
pub fn refusals(
    installation: &Installation,
    history: &History,
    plan: &ExchangePlan,
    signature: Option<&Signature>,
) -> Vec<Refusal> {
    let standing = Standing::of(history, &plan.grant);
    let used = Used {
        version: plan.grant_version,
        approval_sha256: signature.map(|signature| signature.sha256.as_str()),
        provider: Some(&plan.provider),
        recipient: Some(&plan.recipient),
    };
    let mut refusals = standing.refusals(&used);
    refusals.extend(unresumed(installation, &standing.life, &plan.provider));
    refusals
}

/// Checks that what a grant has delivered may still be used with the site's help, by turning tokens
/// back or handing out keys: the grant is neither suspended nor terminated nor halted.
///
/// # Errors
/// [`RunError::Denied`] where it may not; a ledger that cannot be read, or does not verify.
pub fn check_stands(installation: &Installation, grant: &str) -> Result<(), RunError> {
    let history = installation.history()?;
    let standing = Standing::of(&history, grant);
    let about = about_of(&installation.site, grant).or_else(|| standing.life.about().cloned());
    let written = installation.site.grants.get(grant);
    let version = written.map_or_else(
        || standing.life.known().unwrap_or_default(),
        |it| it.version,
    );
    let provider = about.as_ref().map(|about| about.provider.as_str());
    let mut refusals = standing.refusals(&Used {
        version,
        approval_sha256: None,
        provider,
        recipient: about.as_ref().map(|about| about.recipient.as_str()),
    });
    refusals.extend(unresumed(
        installation,
        &standing.life,
        provider.unwrap_or_default(),
    ));
    let stops = |refusal: &&Refusal| {
        matches!(
            refusal.code,
            RefusalCode::Suspended | RefusalCode::Terminated | RefusalCode::Halted
        )
    };
    match refusals.iter().find(stops) {
        Some(refusal) => Err(RunError::Denied {
            what: refusal.reason.clone(),
            remedy: "`lockgate grant show` says how the grant stands".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Refuses a grant whose resumption is not signed, whatever the ledger says of it.
pub(crate) fn unresumed(
    installation: &Installation,
    life: &Life,
    provider: &str,
) -> Option<Refusal> {
    let resumed = life.resumed()?;
    let approvals = approvals(installation);
    let ledger = LedgerReader::origin(&installation.ledger_dir());
    let ledger = ledger.ok().flatten();
    let signed = (resumed, ledger.as_deref());
    let what = order::check_resumed(&installation.site, &approvals, provider, signed).err()?;
    Some(Refusal::new(
        RefusalCode::Suspended,
        format!("the grant was resumed, but {what}; have it suspended and resumed anew"),
    ))
}

/// Directory of what approvers signed beside grants.
fn approvals(installation: &Installation) -> std::path::PathBuf {
    installation.state().join("approvals")
}

/// What an entry says of a plan's exchange.
pub fn about(site: &Site, plan: &ExchangePlan) -> Option<About> {
    let grant = site.grants.get(&plan.grant)?;
    Some(about_grant(grant, &plan.provider))
}

/// What an entry says of a grant's exchange.
pub(crate) fn about_grant(grant: &Loaded<Grant>, provider: &str) -> About {
    About {
        provider: provider.to_owned(),
        recipient: grant.recipient.clone(),
        dataset: grant.dataset.clone(),
        grant_sha256: grant.sha256.clone(),
        terms_sha256: Terms::from(&grant.value).sha256(),
    }
}

/// The same of a grant of the site, where its dataset is usable.
pub(crate) fn about_of(site: &Site, grant: &str) -> Option<About> {
    let grant = site.grants.get(grant)?;
    let dataset = site.datasets.get(&grant.dataset)?;
    Some(about_grant(grant, &dataset.provider))
}

/// Whether a run of the grant is under way at this site: it holds the grant's lock.
pub(crate) fn is_running(state: &Path, grant: &str) -> bool {
    let path = state.join("runs").join(format!("{grant}.lock"));
    let Ok(lock) = std::fs::File::options().write(true).open(path) else {
        return false;
    };
    matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}
