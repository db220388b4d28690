//! Reconciling: settles releases that an earlier process intended and did not settle.
//!
//! A process may die between the intent and the settlement. Whether the manifest stands tells which
//! of the two it was: released if it names the intended attempt, abandoned otherwise.

use std::collections::BTreeSet;

use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::publish::Destination;
use tokio_util::sync::CancellationToken;

use super::{is_locked, lock_file, seal};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Entry, Event, History, Ledger};
use crate::life;
use crate::manifest::Manifest;

/// Most earlier deliveries that are looked for.
const EARLIER_MAX: usize = 4;

/// Settles what a grant has left open.
///
/// The caller holds the grant's lock, so no other process of this site is between the two steps. A
/// destination that is gone (a disk that is not mounted) settles nothing: the intent stays open.
pub(super) async fn reconcile(
    installation: &Installation,
    ledger: &Ledger,
    grant: &str,
) -> Result<(), RunError> {
    let killed = "the process that had set it aside ended";
    life::give_back(installation, ledger, grant, None, killed)?;
    let history = ledger.entries()?;
    for entry in history.unsettled() {
        let Some(intent) = Intent::of(&entry).filter(|it| it.grant == grant) else {
            continue;
        };
        if let Some(settled) = settlement(installation, &history, &intent).await? {
            ledger.append(&settled.event, installation.clock.now())?;
            // Behind the entry: while the files are there, they tell that the place is the right one.
            if let Some(destination) = settled.still_open {
                Box::pin(take_away(&destination, &intent)).await;
            }
            tracing::info!(
                delivery = intent.delivery,
                "Settled an interrupted release."
            );
        } else {
            tracing::warn!(
                delivery = intent.delivery,
                "An interrupted release cannot be settled: nothing there shows that its destination \
                 is the one it was intended for."
            );
        }
    }
    seal::reconcile(installation, ledger, grant)
}

/// Removes what an abandoned attempt had staged. Its manifest may have been sent, and a store may apply
/// what it was sent after its client gave up: then the manifest names nothing that anybody could read.
async fn take_away(destination: &Destination, intent: &Intent<'_>) {
    let removed = destination.remove_released(intent.grant, intent.delivery, intent.attempt);
    if let Err(error) = removed.await {
        tracing::warn!("What an abandoned release had staged is left to the sweep: {error}.");
    }
}

/// Settles what a grant has left open that is refused since, and so gets no run that would: what left
/// under it must be known as released to be disposed of, and keys and quota of what did not are given
/// up. Touches nothing where nothing is open, and leaves it to a run that is under way.
pub(super) async fn settle_left(
    installation: &Installation,
    grant: &str,
    cancel: &CancellationToken,
) {
    let settling = async {
        if !has_left(installation, grant)? {
            return Ok(());
        }
        let lock = lock_file(installation, grant)?;
        if is_locked(&lock)? {
            Box::pin(settle_held(installation, grant, cancel)).await;
        }
        Ok::<(), RunError>(())
    };
    if let Err(error) = settling.await {
        tracing::warn!(grant, "What earlier runs left is not settled: {error}.");
    }
}

/// As [`settle_left`], where the caller holds the grant's lock.
pub(super) async fn settle_held(
    installation: &Installation,
    grant: &str,
    cancel: &CancellationToken,
) {
    let settling = async {
        let ledger = installation.ledger()?;
        reconcile(installation, &ledger, grant).await
    };
    let settled = tokio::select! {
        () = cancel.cancelled() => return,
        settled = settling => settled,
    };
    if let Err(error) = settled {
        tracing::warn!(grant, "What earlier runs left is not settled: {error}.");
    }
}

/// Whether earlier runs of a grant left anything to be settled.
fn has_left(installation: &Installation, grant: &str) -> Result<bool, RunError> {
    let history = installation.history()?;
    let unsettled = history.unsettled();
    let mut intents = unsettled.iter().filter_map(Intent::of);
    Ok(intents.any(|intent| intent.grant == grant)
        || !history.reserved(grant).is_empty()
        || seal::has_notes(installation, grant))
}

/// A release that was intended.
struct Intent<'a> {
    entry: u64,
    run: &'a str,
    delivery: &'a str,
    attempt: &'a str,
    grant: &'a str,
    destination: &'a str,
    rows: u64,
}

impl<'a> Intent<'a> {
    fn of(entry: &'a Entry) -> Option<Self> {
        let Event::ReleaseIntended {
            run,
            delivery,
            attempt,
            grant,
            destination,
            rows,
            ..
        } = &entry.event
        else {
            return None;
        };
        Some(Self {
            entry: entry.index,
            run,
            delivery,
            attempt,
            grant,
            destination,
            rows: *rows,
        })
    }
}

/// What became of an intent.
struct Settlement {
    event: Event,
    /// The destination, where it was abandoned and no manifest stands that keeps its own from appearing.
    still_open: Option<Destination>,
}

async fn settlement(
    installation: &Installation,
    history: &History,
    intent: &Intent<'_>,
) -> Result<Option<Settlement>, RunError> {
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
        let event = Event::Released {
            run: intent.run.to_owned(),
            delivery: intent.delivery.to_owned(),
            attempt: intent.attempt.to_owned(),
            grant: intent.grant.to_owned(),
            rows: intent.rows,
            manifest_sha256: sha256_hex(bytes),
            content: None, // known to the process that died alone
        };
        return Ok(Some(Settlement {
            event,
            still_open: None,
        }));
    }
    let lost = manifest.is_some()
        || destination
            .holds_attempt(intent.grant, intent.delivery, intent.attempt)
            .await?
        || holds_earlier(&destination, history, intent).await;
    Ok(lost.then(|| Settlement {
        event: Event::Abandoned {
            run: intent.run.to_owned(),
            delivery: intent.delivery.to_owned(),
            attempt: intent.attempt.to_owned(),
            grant: intent.grant.to_owned(),
            reason: "the process ended before the manifest was published".to_owned(),
        },
        still_open: manifest.is_none().then_some(destination),
    }))
}

/// Whether a delivery stands at the destination that was released there before the intent: then it is
/// the place that was meant, though somebody took away the attempt's folder.
async fn holds_earlier(destination: &Destination, history: &History, intent: &Intent<'_>) -> bool {
    for (grant, delivery, manifest_sha256) in earlier(history, intent) {
        let found = destination.existing_manifest(grant, delivery).await;
        if found.is_ok_and(|found| found.is_some_and(|it| sha256_hex(&it) == manifest_sha256)) {
            return true;
        }
    }
    false
}

/// Deliveries released to the same destination before an intent, the latest first: grant, delivery, hash
/// of the manifest.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "two kinds of entry tell what was released where"
)]
fn earlier<'a>(history: &'a History, intent: &Intent<'_>) -> Vec<(&'a str, &'a str, &'a str)> {
    let mut there = BTreeSet::new();
    let mut released = Vec::new();
    for entry in history.iter().filter(|entry| entry.index < intent.entry) {
        match &entry.event {
            Event::ReleaseIntended {
                delivery,
                attempt,
                destination,
                ..
            } if destination == intent.destination => {
                there.insert((delivery, attempt));
            }
            Event::Released {
                grant,
                delivery,
                attempt,
                manifest_sha256,
                ..
            } if there.contains(&(delivery, attempt)) => {
                released.push((grant.as_str(), delivery.as_str(), manifest_sha256.as_str()));
            }
            _ => {}
        }
    }
    released.reverse();
    released.truncate(EARLIER_MAX);
    released
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;

    fn intended(delivery: &str, destination: &str) -> Event {
        Event::ReleaseIntended {
            run: String::new(),
            delivery: delivery.to_owned(),
            attempt: format!("attempt at {delivery}"),
            grant: "G-1".to_owned(),
            grant_version: 1,
            plan_sha256: String::new(),
            destination: destination.to_owned(),
            rows: 1,
            config: BTreeMap::new(),
            join_groups: Vec::new(),
            cell_attempt: None,
            about: None,
        }
    }

    fn released(delivery: &str) -> Event {
        Event::Released {
            run: String::new(),
            delivery: delivery.to_owned(),
            attempt: format!("attempt at {delivery}"),
            grant: "G-1".to_owned(),
            rows: 1,
            manifest_sha256: format!("manifest of {delivery}"),
            content: None,
        }
    }

    #[test]
    fn a_place_is_told_by_what_was_released_there_before() {
        let events = [
            intended("a", "s3://here"),
            released("a"),
            intended("b", "s3://elsewhere"),
            released("b"),
            intended("c", "s3://here"),
            intended("d", "s3://here"),
            released("d"),
        ];
        let history: History = (0..)
            .zip(events)
            .map(|(index, event)| Entry {
                index,
                at: DateTime::UNIX_EPOCH,
                event,
            })
            .collect();
        let intent = Intent::of(&history[4]).unwrap();
        let before = earlier(&history, &intent);
        assert_eq!(
            before,
            [("G-1", "a", "manifest of a")],
            "not of d, a later one"
        );
    }
}
