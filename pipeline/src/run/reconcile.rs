//! Reconciling: settles releases that an earlier process intended and did not settle.
//!
//! A process may die between the intent and the settlement. Whether the manifest stands tells which
//! of the two it was: released if it names the intended attempt, abandoned otherwise.

use bytes::Bytes;
use lockgate_connectors::publish::Destination;

use super::RunRequest;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};
use crate::manifest::attempt_named;

/// Settles what the grant of `request` has left open, and tells how many releases that were. The caller holds the grant's lock, so no
/// other process of this site is between the two steps.
pub(super) async fn reconcile(
    installation: &Installation,
    ledger: &Ledger,
    request: &RunRequest<'_>,
) -> Result<usize, RunError> {
    let mut settled = 0;
    for entry in ledger.entries()?.unsettled() {
        let Event::ReleaseIntended {
            grant,
            delivery,
            destination,
            ..
        } = &entry.event
        else {
            continue;
        };
        if grant != request.grant {
            continue;
        }
        let Some(store) = installation.store_of_url(destination)? else {
            tracing::warn!(
                delivery,
                "A release cannot be settled: its store is no longer configured."
            );
            continue;
        };
        let manifest = Destination::new(store)
            .existing_manifest(grant, delivery)
            .await?;
        if let Some(settlement) = settlement(&entry.event, manifest.as_ref()) {
            ledger.append(&settlement, installation.clock.now())?;
            settled += 1;
            tracing::info!(delivery, "Settled an interrupted release.");
        }
    }
    Ok(settled)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only an intent can be settled"
)]
fn settlement(intent: &Event, manifest: Option<&Bytes>) -> Option<Event> {
    match intent {
        Event::ReleaseIntended {
            run,
            delivery,
            attempt,
            grant,
            rows,
            ..
        } => Some(match manifest {
            Some(bytes) if attempt_named(bytes).as_deref() == Some(attempt) => Event::Released {
                run: run.clone(),
                delivery: delivery.clone(),
                attempt: attempt.clone(),
                grant: grant.clone(),
                rows: *rows,
                manifest_sha256: sha256_hex(bytes),
            },
            _ => Event::Abandoned {
                run: run.clone(),
                delivery: delivery.clone(),
                attempt: attempt.clone(),
                grant: grant.clone(),
                reason: "the process ended before the manifest was published".to_owned(),
            },
        }),
        _ => None,
    }
}
