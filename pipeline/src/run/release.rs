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
use super::unless_interrupted;
use crate::engine::{Exchange, Outcome, OverLimit};
use crate::error::RunError;
use crate::fault;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};
use crate::marks::Units;
use crate::marks::record::Recorded;
use crate::plan::{ExchangePlan, Refusal, RefusalCode};
use crate::site::dataset::Mode;
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
    ) -> Result<Outcome, RunError> {
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
        };
        let outcome = ended.map_err(|error| fault::of_task("running the exchange", error))?;
        if cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        let outcome = outcome?;
        self.confirm_limits(&outcome)?;
        self.confirm_marks(&outcome)?;
        let read = outcome.rows.read;
        marks::check_read(self.installation, self.plan, source.as_ref(), read)?;
        unless_interrupted(cancel, source.confirm_unchanged()).await?;
        self.confirm_grant(&outcome)?;
        // No token leaves that a crash, or an older copy, could make the vault forget.
        vaults
            .keep(self.installation, self.ledger, &self.plan.grant)
            .await?;
        if cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        Ok(outcome)
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

    /// Compiles the grant again from the files as they are now, and settles its quota.
    fn confirm_grant(&self, outcome: &Outcome) -> Result<(), RunError> {
        let now = Installation::open(&self.installation.site.root, self.installation.clock)?;
        let plan = now.compile(&self.plan.grant, Mode::Batch)?.into_plan()?;
        if plan.sha256() != self.plan.sha256() {
            return Err(RunError::Invalid {
                what: "the grant, or what it resolves to, changed during the run".to_owned(),
                at: format!("grant {}", self.plan.grant),
                remedy: "run again".to_owned(),
            });
        }
        let used = now.quota_use(&self.plan.grant)?;
        let allowed = now
            .site
            .grants
            .get(&self.plan.grant)
            .and_then(|grant| grant.quota.rows);
        match allowed {
            Some(allowed) if used.rows.saturating_add(outcome.rows.delivered) > allowed => {
                Err(RunError::Refused(vec![Refusal {
                    code: RefusalCode::Quota,
                    field: None,
                    reason: format!(
                        "this delivery of {} rows would exceed the grant's quota of {allowed}; {} \
                         are used",
                        outcome.rows.delivered, used.rows
                    ),
                    basis: None,
                }]))
            }
            _ => Ok(()),
        }
    }

    /// Records the intent, makes the manifest visible, records what came of it.
    pub(super) async fn publish(
        &self,
        outcome: &Outcome,
        source: &dyn Source,
        attempt: &Attempt,
    ) -> Result<RunReport, RunError> {
        let clock = self.installation.clock;
        let previous = self
            .ledger
            .entries()?
            .last_manifest(&self.plan.grant)
            .map(str::to_owned);
        let intent = self
            .ledger
            .append(&self.intent(outcome, attempt), clock.now())?;
        let manifest =
            Bytes::from(self.manifest(outcome, source, attempt, intent.proof, previous)?);
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
