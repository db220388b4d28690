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
use crate::ledger::{Event, Intent, Ledger};
use crate::manifest::attempt_named;

/// Settles what the grant of `request` has left open. The caller holds the grant's lock, so no
/// other process of this site is between the two steps.
pub(super) async fn reconcile(
    installation: &Installation,
    ledger: &mut Ledger,
    request: &RunRequest<'_>,
) -> Result<(), RunError> {
    for intent in ledger.unsettled()? {
        if intent.grant != request.grant {
            continue;
        }
        let Some(store) = installation.store_of_url(&intent.destination)? else {
            tracing::warn!(
                delivery = intent.delivery,
                "A release cannot be settled: its store is no longer configured."
            );
            continue;
        };
        let destination = Destination::new(store);
        let manifest =
            destination.existing_manifest(&intent.grant, &intent.delivery).await?;
        let settlement = settlement(&intent, manifest.as_ref());
        ledger.append(&settlement, installation.clock.now())?;
        tracing::info!(delivery = intent.delivery, "Settled an interrupted release.");
    }
    Ok(())
}

fn settlement(intent: &Intent, manifest: Option<&Bytes>) -> Event {
    match manifest {
        Some(bytes) if attempt_named(bytes).as_deref() == Some(&intent.attempt) => {
            Event::Released {
                run: intent.run.clone(),
                delivery: intent.delivery.clone(),
                attempt: intent.attempt.clone(),
                grant: intent.grant.clone(),
                rows: intent.rows,
                manifest_sha256: sha256_hex(bytes),
            }
        }
        _ => Event::Abandoned {
            run: intent.run.clone(),
            delivery: intent.delivery.clone(),
            attempt: intent.attempt.clone(),
            grant: intent.grant.clone(),
            reason: "the process ended before the manifest was published".to_owned(),
        },
    }
}
