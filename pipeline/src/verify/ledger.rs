//! The proof that the ledger knew of the release before it: of this very one, not of another.

use ed25519_dalek::VerifyingKey;

use super::{Check, VerifyProblemKind};
use crate::ledger::Event;
use crate::manifest::{FILE_NAME, Manifest};

impl Check<'_> {
    /// Checks that the manifest's ledger proof proves the intent of this very release.
    pub(super) fn ledger(&mut self, manifest: &Manifest, keys: Option<&[VerifyingKey]>) {
        if keys.is_none() {
            self.note("no ledger key given: who signed the ledger's checkpoint was not checked");
        }
        match manifest.ledger.verify(keys) {
            Ok(entry) if is_intent_of(&entry.event, manifest) => {}
            Ok(_) => self.problem(
                VerifyProblemKind::Ledger,
                FILE_NAME,
                "the proved ledger entry is not the intent of this release",
            ),
            Err(error) => {
                self.problem(VerifyProblemKind::Ledger, FILE_NAME, error.to_string());
            }
        }
    }
}

fn is_intent_of(event: &Event, manifest: &Manifest) -> bool {
    let Event::ReleaseIntended {
        run,
        delivery,
        attempt,
        grant,
        grant_version,
        plan_sha256,
        rows,
        cell_attempt,
        ..
    } = event
    else {
        return false;
    };
    *run == manifest.run
        && *delivery == manifest.delivery
        && *attempt == manifest.attempt
        && *grant == manifest.grant.id
        && *grant_version == manifest.grant.version
        && *plan_sha256 == manifest.plan_sha256
        && *rows == manifest.rows.delivered
        && *cell_attempt == manifest.cell_attempt
}
