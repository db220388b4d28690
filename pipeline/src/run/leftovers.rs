//! What attempts that came to nothing left behind, and its removal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lockgate_connectors::publish::{Attempt, Destination, Sweep, SweptAttempt};
use tokio_util::sync::CancellationToken;

use super::unless_stopped;
use crate::error::RunError;
use crate::installation::Installation;
use crate::life::Watch;
use crate::manifest::attempt_named;

/// Attempts older than this that no manifest names are swept.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a run that failed or was interrupted tries to remove what it staged. Together with the time
/// in which a halt is noticed, this stays below the five seconds after which a halted run has ended.
const DISCARD_PATIENCE: Duration = Duration::from_secs(3);

/// Removes an attempt that came to nothing, unless its manifest stands or may stand; what cannot be
/// removed now is swept later.
pub(super) async fn discard(attempt: Arc<Attempt>) {
    let Some(attempt) = Arc::into_inner(attempt) else {
        return; // a thread that still holds it is about to end with the run
    };
    let id = attempt.id().to_owned();
    match tokio::time::timeout(DISCARD_PATIENCE, attempt.discard()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(attempt = id, "Discarding an attempt failed: {error}."),
        Err(_) => tracing::warn!(attempt = id, "Discarding an attempt took too long."),
    }
}

/// Removes what earlier attempts of the grant, and probes that were killed, left behind. The grant's
/// lock is held, so none runs at this site; one at another site that delivers here is young.
pub(super) async fn sweep(
    installation: &Installation,
    destination: &Destination,
    grant: &str,
    (cancel, watch): (&CancellationToken, &Arc<Watch>),
) {
    let rules = sweep_rules(installation);
    let swept = unless_stopped(cancel, watch, destination.sweep(grant, &rules)).await;
    tell_swept(grant, swept);
    let swept = unless_stopped(cancel, watch, destination.sweep_probes(&rules)).await;
    if let Err(error) = swept {
        tracing::warn!("Sweeping what probes left behind failed: {error}.");
    }
}

pub(super) fn sweep_rules(installation: &Installation) -> Sweep<'static> {
    Sweep {
        older_than: ORPHAN_AGE,
        now: installation.clock.now(),
        running: const { &BTreeSet::new() },
        named: &attempt_named,
    }
}

/// A sweep that fails is no failure of the run: the next one goes on.
pub(super) fn tell_swept(grant: &str, swept: Result<Vec<SweptAttempt>, RunError>) {
    match swept {
        Ok(swept) => {
            for attempt in swept {
                tracing::info!(
                    attempt = attempt.attempt,
                    "Swept an attempt that was left behind."
                );
            }
        }
        Err(error) => tracing::warn!(grant, "Sweeping failed: {error}."),
    }
}
