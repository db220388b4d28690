//! What turning values and turning tokens back have in common: the grant has to be in force, the
//! approval is kept, and nothing is shown before the ledger has it. What refuses it is in the ledger too.

use crate::approval::tokens;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History};
use crate::life;
use crate::plan::{Compiled, Refusal, RefusalCode};
use crate::recording::{Recorded, record_while};

/// What stands in the ledger for a request that no approval covers.
const REFUSED: &str = "reveal-unapproved";

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Revealing<'a> {
    /// Id of the grant whose deliveries held it.
    pub(crate) grant: &'a str,
    /// The bytes of what approves it.
    pub(crate) approval: &'a [u8],
}

/// Finds what is asked for, by what approves it, and records that it is shown; `event` says what is
/// recorded, or refuses, by the entries that stand before it. The approval is kept in
/// `state/approvals/`.
///
/// # Errors
/// A grant that isn't in force; whatever `approved`, `find` and `event` refuse; a ledger that can't be
/// written. Nothing is to be shown then.
pub(crate) fn once_recorded<A, T>(
    installation: &Installation,
    asked: Revealing<'_>,
    approved: impl FnOnce(&Compiled) -> Result<A, RunError>,
    find: impl FnOnce(&Compiled, &A) -> Result<T, RunError>,
    event: impl Fn(&History, &A, &T) -> Result<Event, RunError>,
) -> Result<(A, T, Recorded), RunError> {
    let ledger = installation.ledger()?;
    let now = || installation.clock.now();
    let revealed = check_standing(installation, asked.grant).and_then(|compiled| {
        let approved = approved(&compiled)?;
        let found = find(&compiled, &approved)?;
        let kept = installation.state().join("approvals");
        tokens::keep(&kept, &sha256_hex(asked.approval), asked.approval)?;
        // While it was looked for, the grant may have been suspended, or its files edited.
        let recorded = record_while(&ledger, now(), |history| {
            let site = Installation::open(&installation.site.root, installation.clock)?;
            check_standing(&site, asked.grant)?;
            event(history, &approved, &found)
        })?;
        Ok((approved, found, recorded))
    });
    if let Some(codes) = revealed.as_ref().err().and_then(codes_of) {
        let event = Event::Refused {
            grant: asked.grant.to_owned(),
            codes,
        };
        ledger.append(&event, now())?;
    }
    revealed
}

/// What the ledger has of a refusal; absent where something else went wrong.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong is no refusal"
)]
fn codes_of(error: &RunError) -> Option<Vec<String>> {
    match error {
        RunError::Denied { .. } => Some(vec![REFUSED.to_owned()]),
        RunError::Refused(refusals) => {
            let codes = refusals.iter().map(|refusal| refusal.code.to_string());
            Some(codes.collect())
        }
        _ => None,
    }
}

/// Checks that a grant is in force as an approver signed it. That its time or quota is over doesn't
/// matter: what was delivered may be asked about afterwards.
fn check_standing(installation: &Installation, grant: &str) -> Result<Compiled, RunError> {
    life::check_stands(installation, grant)?;
    let compiled = installation.compile(grant, installation.mode_to_show(grant))?;
    let refusals: Vec<Refusal> = compiled
        .refusals()
        .iter()
        .filter(|refusal| !is_of_time(refusal.code))
        .cloned()
        .collect();
    match refusals.is_empty() {
        true => Ok(compiled),
        false => Err(RunError::Refused(refusals)),
    }
}

/// Whether a refusal says when and how much may be delivered, and nothing of what.
fn is_of_time(code: RefusalCode) -> bool {
    // Any other refusal, known today or not, is about what was signed.
    matches!(
        code,
        RefusalCode::Expired | RefusalCode::NotYetValid | RefusalCode::Quota | RefusalCode::Mode
    )
}
