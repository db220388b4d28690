//! Signing a grant for the record: the signature, and the ledger entry that draws the grant's index.

use std::path::Path;

use lockgate_connectors::durable;

use crate::approval::{SignRequest, Signature, Signed, sign, signature_path, tokens};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{About, Event, History, Ledger};
use crate::life::{self, Life, Terms};
use crate::marks::{grants_by_index, index_of};
use crate::plan::ExchangePlan;

/// Most bytes of a signature file that is kept.
const SIGNATURE_BYTES_MAX: u64 = 16 << 20;

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
    keep_approval(installation, &signed.grant, &signed.approval_sha256)?;
    loop {
        let reader = ledger.snapshot()?;
        let history = reader.entries()?;
        // Somebody may have ended the grant while the approver's key was used.
        life::may_be_signed(&history, &signed.grant, signed.version)?;
        let event = Event::GrantSigned {
            grant: signed.grant.clone(),
            version: signed.version,
            recipient: signed.recipient.clone(),
            grant_index: index_for(&history, &signed.grant, &signed.recipient)?,
            approver: signed.approver.clone(),
            approval_sha256: signed.approval_sha256.clone(),
            about: about.clone(),
        };
        let now = installation.clock.now();
        if ledger.append_if(reader.size(), &event, now)?.is_some() {
            return Ok(signed);
        }
    }
}

/// Keeps what a grant is for, and says what an entry says of it.
fn keep_terms(installation: &Installation, grant: &str) -> Result<Option<About>, RunError> {
    let site = &installation.site;
    if let Some(grant) = site.grants.get(grant) {
        Terms::from(&grant.value).keep(&installation.state())?;
    }
    Ok(life::about_of(site, grant))
}

/// Keeps what an approver signed under its hash: whether a receipt's key is one that an approver signed
/// for is looked up there when the grant's files are others, or gone.
fn keep_approval(installation: &Installation, grant: &str, sha256: &str) -> Result<(), RunError> {
    let site = &installation.site;
    let signed = site.grants.get(grant);
    let path = signed.map(|grant| signature_path(site, grant));
    let envelope = path.and_then(|path| durable::read_bounded(&path, SIGNATURE_BYTES_MAX).ok());
    match envelope.filter(|bytes| sha256_hex(bytes) == sha256) {
        Some(bytes) => tokens::keep(&installation.state().join("approvals"), sha256, &bytes),
        // Its file was exchanged since it was verified.
        None => Ok(()),
    }
}

/// Records a signature that the ledger does not know (it was made at another site, or the process
/// ended between signature and entry), so that no delivery goes out without an index, and no earlier
/// signature counts after a later one was used.
///
/// What is recorded is the signature that was verified, whatever its file holds by now, and only while
/// nothing in the ledger speaks against it: one that was replaced, refused or ended meanwhile must not
/// become the latest by this entry.
///
/// # Errors
/// Whatever the ledger says against it by now; a ledger that cannot be written.
pub fn ensure_recorded(
    installation: &Installation,
    ledger: &Ledger,
    plan: &ExchangePlan,
    signature: Option<&Signature>,
) -> Result<(), RunError> {
    let Some(signature) = signature else {
        return Ok(());
    };
    let about = keep_terms(installation, &plan.grant)?;
    loop {
        let reader = ledger.snapshot()?;
        let history = reader.entries()?;
        let index = history.grant_index(&plan.grant, &plan.recipient);
        let life = Life::of(&history, &plan.grant);
        if index.is_some() && life.has_recorded(plan.grant_version, &signature.sha256) {
            return Ok(());
        }
        let refusals = life::refusals(installation, &history, plan, Some(signature));
        if !refusals.is_empty() {
            return Err(refusals.into());
        }
        keep_approval(installation, &plan.grant, &signature.sha256)?;
        let event = Event::GrantSigned {
            grant: plan.grant.clone(),
            version: plan.grant_version,
            recipient: plan.recipient.clone(),
            grant_index: index_for(&history, &plan.grant, &plan.recipient)?,
            approver: signature.approver.clone(),
            approval_sha256: signature.sha256.clone(),
            about: about.clone(),
        };
        let now = installation.clock.now();
        if ledger.append_if(reader.size(), &event, now)?.is_some() {
            return Ok(());
        }
    }
}

/// The number that was drawn when the grant was first signed for that recipient, or a new one.
fn index_for(history: &History, grant: &str, recipient: &str) -> Result<u64, RunError> {
    let known = history.grant_index(grant, recipient);
    known.map_or_else(|| new_index(history), Ok)
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

#[cfg(test)]
mod tests {
    use lockgate_connectors::keyring::Purpose;

    use super::*;
    use crate::approval::test_site::{GRANT, TestSite};
    use crate::clock::Clock;
    use crate::ledger::GrantState;
    use crate::plan::RefusalCode;
    use crate::site::dataset::Mode;

    fn installation(site: &TestSite) -> Installation {
        let now = "2026-06-01T04:00:00Z".parse().unwrap();
        Installation::of(site.site(), Clock::Fixed(now))
    }

    fn refused(recorded: Result<(), RunError>) -> RefusalCode {
        match recorded {
            Err(RunError::Refused(refusals)) => refusals[0].code,
            Err(error) => panic!("{error}"),
            Ok(()) => panic!("recorded"),
        }
    }

    #[test]
    fn a_signature_that_was_replaced_since_it_was_read_does_not_become_the_latest() {
        let site = TestSite::signed();
        let installation = installation(&site);
        installation.keyring().create(Purpose::Ledger).unwrap();
        let ledger = installation.ledger().unwrap();
        let key = site.root().join("office.key");
        sign_and_record(&installation, GRANT, &key).unwrap();
        let first = installation.compile(GRANT, Mode::Batch).unwrap();
        // Policy becomes stricter and the grant is signed again; then both files are put back.
        let (policy, signature) = ("policy.toml", "grants/G-1.toml.sig");
        let (before, signed) = (site.read(policy), site.read(signature));
        site.policy("first = 3, last = 2", "first = 1, last = 1");
        let stricter = self::installation(&site);
        sign_and_record(&stricter, GRANT, &key).unwrap();
        site.write(policy, &before);
        site.write(signature, &signed);
        let size = ledger.snapshot().unwrap().size();
        let recorded = ensure_recorded(&installation, &ledger, first.plan(), first.signature());
        assert_eq!(refused(recorded), RefusalCode::ApprovalStale);
        assert_eq!(ledger.snapshot().unwrap().size(), size);
    }

    #[test]
    fn a_refusal_that_was_recorded_since_is_not_lifted() {
        let site = TestSite::signed();
        let installation = installation(&site);
        installation.keyring().create(Purpose::Ledger).unwrap();
        let ledger = installation.ledger().unwrap();
        // Signed on the approver's own copy, so that this ledger doesn't know it.
        let compiled = installation.compile(GRANT, Mode::Batch).unwrap();
        let event = Event::GrantMoved {
            grant: GRANT.to_owned(),
            version: 1,
            to: GrantState::Refused,
            approver: None,
            document_sha256: None,
            reason: Some("no".to_owned()),
            basis: Some("article 9".to_owned()),
            answer_by: None,
            about: None,
        };
        ledger.append(&event, installation.clock.now()).unwrap();
        let size = ledger.snapshot().unwrap().size();
        let recorded = || {
            ensure_recorded(
                &installation,
                &ledger,
                compiled.plan(),
                compiled.signature(),
            )
        };
        assert_eq!(refused(recorded()), RefusalCode::Unsigned);
        assert_eq!(ledger.snapshot().unwrap().size(), size);
    }

    #[test]
    fn what_is_recorded_is_what_was_verified() {
        let site = TestSite::signed();
        let installation = installation(&site);
        installation.keyring().create(Purpose::Ledger).unwrap();
        let ledger = installation.ledger().unwrap();
        let compiled = installation.compile(GRANT, Mode::Batch).unwrap();
        site.write("grants/G-1.toml.sig", "garbage");
        ensure_recorded(
            &installation,
            &ledger,
            compiled.plan(),
            compiled.signature(),
        )
        .unwrap();
        let history = ledger.entries().unwrap();
        let sha256 = &compiled.signature().unwrap().sha256;
        assert!(Life::of(&history, GRANT).has_recorded(1, sha256));
    }
}
