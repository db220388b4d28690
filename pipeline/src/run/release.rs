//! A delivery on its way out: staged, held to what was granted and allowed, made visible, settled.

use std::sync::Arc;

use bytes::Bytes;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::{Attempt, Destination, Publication};
use lockgate_connectors::source::Source;
use tokio_util::sync::CancellationToken;

use super::key::RunKey;
use super::marks;
use super::report::RunReport;
use super::seal::AttemptSeal;
use super::unless_interrupted;
use crate::engine::{Exchange, Outcome, OverLimit, Permit as _};
use crate::error::RunError;
use crate::fault;
use crate::installation::Installation;
use crate::ledger::{Appended, Event, History, Ledger};
use crate::life::{self, Asked, Watch};
use crate::manifest::SealStatement;
use crate::marks::Units;
use crate::marks::record::Recorded;
use crate::plan::ExchangePlan;
use crate::vault::HeldVaults;

/// A delivery on its way out.
pub(super) struct Release<'a> {
    pub(super) installation: &'a Installation,
    pub(super) plan: &'a ExchangePlan,
    pub(super) key: &'a RunKey,
    pub(super) destination: &'a Destination,
    /// Key and scheme of its marks, as the ledger holds them.
    pub(super) marks: Option<&'a Recorded>,
    pub(super) ledger: &'a Ledger,
    /// Asked whether the grant may still be used.
    pub(super) watch: &'a Arc<Watch>,
    /// Stops the engine.
    pub(super) stop: &'a CancellationToken,
    /// What it is sealed with; absent where it isn't.
    pub(super) seal: Option<&'a AttemptSeal>,
}

/// What an attempt has staged.
pub(super) struct Staged {
    pub(super) outcome: Outcome,
    /// What the manifest says of the seal.
    pub(super) seal: SealStatement,
}

impl Release<'_> {
    /// Treats and stages, confirms that source and grant are still what they were, and keeps the
    /// tokens that were drawn.
    pub(super) async fn stage(
        &self,
        exchange: Exchange,
        vaults: &HeldVaults,
        attempt: &Arc<Attempt>,
        cancel: &CancellationToken,
    ) -> Result<Staged, RunError> {
        let seal = match self.seal {
            Some(seal) => seal.statement(&seal.stage_keys(attempt).await?),
            None => SealStatement::none(),
        };
        let source = Arc::clone(&exchange.source);
        let budget = self.installation.budget(source.as_ref());
        let runtime = tokio::runtime::Handle::current();
        let staging = Arc::clone(attempt);
        let mut engine =
            tokio::task::spawn_blocking(move || exchange.run(&staging, &runtime, budget));
        let ended = tokio::select! {
            ended = &mut engine => ended,
            () = cancel.cancelled() => {
                // The engine may be waiting for a store that does not answer.
                attempt.stop();
                engine.await
            }
            () = Arc::clone(self.watch).withdrawn() => {
                attempt.stop();
                self.stop.cancel();
                engine.await
            }
        };
        let outcome = ended.map_err(|error| fault::of_task("running the exchange", error))?;
        if cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        // What a run that was stopped failed of is that it was stopped.
        self.watch.check()?;
        let outcome = outcome?;
        self.confirm_limits(&outcome)?;
        self.confirm_marks(&outcome)?;
        let read = outcome.rows.read;
        marks::check_read(self.installation, self.plan, source.as_ref(), read)?;
        unless_interrupted(cancel, source.confirm_unchanged()).await?;
        self.confirm_grant(&outcome, attempt)?;
        // No token leaves that a crash, or an older copy, could make the vault forget.
        vaults
            .keep(self.installation, self.ledger, &self.plan.grant)
            .await?;
        if cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        Ok(Staged { outcome, seal })
    }

    /// Refuses an outcome with more invalid values of a field than its treatment bears: by shares of
    /// all its rows, so only once every row was treated.
    fn confirm_limits(&self, outcome: &Outcome) -> Result<(), RunError> {
        for (field, counts) in self.plan.fields.iter().zip(&outcome.counts) {
            if let Some(found) = OverLimit::of(field, counts) {
                return Err(RunError::TooManyInvalid {
                    field: found.field,
                    invalid: found.invalid,
                    values: found.values,
                    limit: found.limit,
                });
            }
        }
        Ok(())
    }

    /// Holds back an outcome in which a mark moved a value further than its provider allows, which no
    /// carrier does.
    fn confirm_marks(&self, outcome: &Outcome) -> Result<(), RunError> {
        let layout = self.plan.marks.iter();
        let fields = layout.flat_map(|layout| &layout.fields);
        for (field, distortion) in fields.zip(&outcome.distortions) {
            let units = Units::of(field);
            if !units.are_within(distortion.furthest, &field.carrier) {
                return Err(RunError::MovedTooFar {
                    field: field.name.clone(),
                    moved: units.length(distortion.furthest),
                });
            }
        }
        Ok(())
    }

    /// What it means that staging failed. Whoever publishes first sweeps the attempts that lost, and
    /// another site may be that: then what was to be delivered is delivered.
    pub(super) async fn lost_or(&self, error: RunError) -> Result<RunReport, RunError> {
        if self.lost(&error).await {
            return RunReport::unchanged(self.plan, self.key, self.destination);
        }
        Err(error)
    }

    /// Whether what an attempt had staged is gone because another one was published.
    async fn lost(&self, error: &RunError) -> bool {
        matches!(error, RunError::Connector(ConnectorError::Altered { .. }))
            && self
                .destination
                .existing_manifest(&self.plan.grant, self.key.delivery())
                .await
                .is_ok_and(|manifest| manifest.is_some())
    }

    /// Compiles the grant again from the files as they are now, and holds its quota to the rows that
    /// are to be delivered.
    fn confirm_grant(&self, outcome: &Outcome, attempt: &Attempt) -> Result<(), RunError> {
        let now = self.watch.confirm()?;
        self.confirm_quota(&now, &now.history()?, outcome, attempt)
    }

    fn confirm_quota(
        &self,
        now: &Installation,
        history: &History,
        outcome: &Outcome,
        attempt: &Attempt,
    ) -> Result<(), RunError> {
        let asked = Asked {
            grant: &self.plan.grant,
            attempt: attempt.id(),
            rows: outcome.rows.delivered,
            quota: life::quota_of(now, self.plan),
        };
        life::confirm(history, &asked)
    }

    /// Records the intent: only if nothing was recorded since the grant and its quota were found to
    /// allow it.
    fn intend(
        &self,
        outcome: &Outcome,
        attempt: &Attempt,
    ) -> Result<(Appended, Option<String>), RunError> {
        let event = self.intent(outcome, attempt);
        loop {
            let reader = self.ledger.snapshot()?;
            let history = reader.entries()?;
            self.watch.check()?;
            self.confirm_quota(self.installation, &history, outcome, attempt)?;
            let now = self.installation.clock.now();
            if let Some(appended) = self.ledger.append_if(reader.size(), &event, now)? {
                let previous = history.last_manifest(&self.plan.grant).map(str::to_owned);
                return Ok((appended, previous));
            }
        }
    }

    /// Records the intent, makes the manifest visible, records what came of it.
    pub(super) async fn publish(
        &self,
        staged: &Staged,
        source: &dyn Source,
        attempt: &Attempt,
    ) -> Result<RunReport, RunError> {
        let outcome = &staged.outcome;
        let clock = self.installation.clock;
        let (intent, previous) = self.intend(outcome, attempt)?;
        if let Err(withdrawn) = self.watch.check() {
            let reason = "the grant was withdrawn before the manifest was published";
            let abandoned = self.abandoned(attempt, reason);
            self.ledger.append(&abandoned, clock.now())?;
            return Err(withdrawn);
        }
        let manifest =
            Bytes::from(self.manifest(staged, source, attempt, intent.proof, previous)?);
        let publication = match attempt.publish(manifest.clone()).await {
            Ok(publication) => Some(publication),
            // Whether the manifest stands is open: the intent stays unsettled, the files stay, and
            // the next start reads the manifest back and settles.
            Err(error @ ConnectorError::Unsettled { .. }) => return Err(error.into()),
            Err(error) => {
                let error = RunError::from(error);
                // Nothing of this attempt was published when its files are gone.
                if !self.lost(&error).await {
                    let reason = "the manifest could not be published";
                    self.ledger
                        .append(&self.abandoned(attempt, reason), clock.now())?;
                    return Err(error);
                }
                None
            }
        };
        let (settlement, report) = match publication {
            Some(Publication::Published) => (
                Event::Released {
                    run: self.key.as_str().to_owned(),
                    delivery: self.key.delivery().to_owned(),
                    attempt: attempt.id().to_owned(),
                    grant: self.plan.grant.clone(),
                    rows: outcome.rows.delivered,
                    manifest_sha256: crate::digest::sha256_hex(&manifest),
                    content: outcome.content.clone(),
                },
                RunReport::delivered(self.plan, self.key, self.destination, outcome, source)?,
            ),
            Some(Publication::AlreadyPublished(_)) | None => (
                self.abandoned(attempt, "another attempt was published first"),
                RunReport::unchanged(self.plan, self.key, self.destination)?,
            ),
        };
        self.ledger.append(&settlement, clock.now())?;
        tracing::info!(
            grant = self.plan.grant,
            delivery = self.key.delivery(),
            rows = outcome.rows.delivered,
            status = report.status.as_str(),
            "Run settled."
        );
        Ok(report)
    }

    fn abandoned(&self, attempt: &Attempt, reason: &str) -> Event {
        Event::Abandoned {
            run: self.key.as_str().to_owned(),
            delivery: self.key.delivery().to_owned(),
            attempt: attempt.id().to_owned(),
            grant: self.plan.grant.clone(),
            reason: reason.to_owned(),
        }
    }
}
