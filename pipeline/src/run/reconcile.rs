//! Reconciling: settles releases that an earlier process intended and did not settle.
//!
//! A process may die between the intent and the settlement. Whether the manifest stands tells which
//! of the two it was: released if it names the intended attempt, abandoned otherwise.

use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::publish::Destination;

use super::{RunRequest, seal};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};
use crate::life;
use crate::manifest::Manifest;

/// Settles what the grant of `request` has left open.
///
/// The caller holds the grant's lock, so no other process of this site is between the two steps. A
/// destination that is gone (a disk that is not mounted) settles nothing: the intent stays open.
pub(super) async fn reconcile(
    installation: &Installation,
    ledger: &Ledger,
    request: &RunRequest<'_>,
) -> Result<(), RunError> {
    let killed = "the process that had set it aside ended";
    life::give_back(installation, ledger, request.grant, None, killed)?;
    for entry in ledger.entries()?.unsettled() {
        let Some(intent) = Intent::of(&entry.event).filter(|it| it.grant == request.grant) else {
            continue;
        };
        if let Some(settlement) = settlement(installation, &intent).await? {
            ledger.append(&settlement, installation.clock.now())?;
            tracing::info!(
                delivery = intent.delivery,
                "Settled an interrupted release."
            );
        } else {
            tracing::warn!(
                delivery = intent.delivery,
                "An interrupted release cannot be settled: its destination is not there."
            );
        }
    }
    seal::reconcile(installation, ledger, request.grant)
}

/// A release that was intended.
struct Intent<'a> {
    run: &'a str,
    delivery: &'a str,
    attempt: &'a str,
    grant: &'a str,
    destination: &'a str,
    rows: u64,
}

impl<'a> Intent<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let Event::ReleaseIntended {
            run,
            delivery,
            attempt,
            grant,
            destination,
            rows,
            ..
        } = event
        else {
            return None;
        };
        Some(Self {
            run,
            delivery,
            attempt,
            grant,
            destination,
            rows: *rows,
        })
    }
}

async fn settlement(
    installation: &Installation,
    intent: &Intent<'_>,
) -> Result<Option<Event>, RunError> {
    let Some(store) = installation.store_of_url(intent.destination)? else {
        return Ok(None);
    };
    let destination = Destination::new(store);
    let manifest = destination
        .existing_manifest(intent.grant, intent.delivery)
        .await?;
    let keys = installation.keyring().verifying_keys(Purpose::Manifest)?;
    if let Some(bytes) = &manifest
        && Manifest::open(bytes, &keys).is_ok_and(|manifest| manifest.attempt == intent.attempt)
    {
        return Ok(Some(Event::Released {
            run: intent.run.to_owned(),
            delivery: intent.delivery.to_owned(),
            attempt: intent.attempt.to_owned(),
            grant: intent.grant.to_owned(),
            rows: intent.rows,
            manifest_sha256: sha256_hex(bytes),
            content: None, // known to the process that died alone
        }));
    }
    let lost = manifest.is_some()
        || destination
            .holds_attempt(intent.grant, intent.delivery, intent.attempt)
            .await?;
    Ok(lost.then(|| Event::Abandoned {
        run: intent.run.to_owned(),
        delivery: intent.delivery.to_owned(),
        attempt: intent.attempt.to_owned(),
        grant: intent.grant.to_owned(),
        reason: "the process ended before the manifest was published".to_owned(),
    }))
}
