//! A delivery on its way out: staged, held to what was granted and allowed, made visible, settled.

use std::sync::Arc;

use bytes::Bytes;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::{Attempt, Destination, Publication};
use lockgate_connectors::source::Source;
use tokio_util::sync::CancellationToken;

use super::CameOf;
use super::key::RunKey;
use super::marks;
use super::report::RunReport;
use super::seal::AttemptSeal;
use super::unless_stopped;
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

/// Why an attempt that another one was quicker than is abandoned.
const LOST: &str = "another attempt was published first";

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
    /// Interrupts the run.
    pub(super) cancel: &'a CancellationToken,
    /// Stops the engine.
    pub(super) stop: &'a CancellationToken,
    /// What it is sealed with; absent where it isn't.
    pub(super) seal: Option<&'a AttemptSeal>,
    /// The attempt as encrypted cells carry it, hex; absent where there are none.
    pub(super) cell_attempt: Option<String>,
}

/// What an attempt has staged: its files, and the keys that open them.
pub(super) struct Staged<'a> {
    pub(super) outcome: &'a Outcome,
    /// What the manifest says of the seal.
    pub(super) seal: SealStatement,
}

impl Release<'_> {
    /// Treats and stages, confirms that source and grant are still what they were, and keeps the
    /// tokens that were drawn. What is staged opens for nobody: its keys follow in [`Self::publish`].
    pub(super) async fn stage(
        &self,
        exchange: Exchange,
        vaults: &HeldVaults,
        attempt: &Arc<Attempt>,
    ) -> Result<Outcome, RunError> {
        let source = Arc::clone(&exchange.source);
        let budget = self.installation.budget(source.as_ref());
        let runtime = tokio::runtime::Handle::current();
        let staging = Arc::clone(attempt);
        let engine = tokio::task::spawn_blocking(move || exchange.run(&staging, &runtime, budget));
        let engine = async move {
            let ended = engine.await;
            ended.map_err(|error| fault::of_task("running the exchange", error))?
        };
        let outcome = self.ended(attempt, engine).await?;
        self.confirm_limits(&outcome)?;
        self.confirm_marks(&outcome)?;
        let read = outcome.rows.read;
        marks::check_read(self.installation, self.plan, source.as_ref(), read)?;
        unless_stopped(self.cancel, self.watch, source.confirm_unchanged()).await?;
        self.confirm_grant(&outcome, attempt)?;
        // No token leaves that a crash, or an older copy, could make the vault forget.
        let kept = vaults.keep(self.installation, self.ledger, &self.plan.grant);
        unless_stopped(self.cancel, self.watch, kept).await?;
        if self.cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        Ok(outcome)
    }

    /// Waits for work that holds the attempt, and has it end where the run is to stop: an attempt can
    /// be discarded once nobody holds it, and whoever writes may wait for a store that does not answer.
    async fn ended<T>(
        &self,
        attempt: &Attempt,
        work: impl Future<Output = Result<T, RunError>> + Send,
    ) -> Result<T, RunError> {
        let mut work = std::pin::pin!(work);
        let ended = tokio::select! {
            ended = &mut work => ended,
            () = self.cancel.cancelled() => {
                attempt.stop();
                work.await
            }
            _ = Arc::clone(self.watch).withdrawn() => {
                attempt.stop();
                self.stop.cancel();
                work.await
            }
        };
        if self.cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        // What work that was stopped failed of is that it was stopped.
        self.watch.check()?;
        ended
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

    /// Stages the key file. It is the last file of an attempt, after the intent: recipients may reach
    /// the destination while a run is under way, and what limits, quota or a halt hold back must not
    /// have been theirs to open. Without it, what a killed run leaves opens for nobody.
    async fn stage_keys(&self, attempt: &Arc<Attempt>) -> Result<SealStatement, RunError> {
        let Some(seal) = self.seal else {
            return Ok(SealStatement::none());
        };
        let staged = self.ended(attempt, seal.stage_keys(attempt)).await?;
        Ok(seal.statement(&staged))
    }

    /// Everything from the intent to the create, of which nobody sees anything yet: the intent, the
    /// keys, the signed manifest.
    async fn prepared(
        &self,
        outcome: &Outcome,
        source: &dyn Source,
        attempt: &Arc<Attempt>,
    ) -> Result<Bytes, RunError> {
        let (intent, previous) = self.intend(outcome, attempt)?;
        self.watch.check()?;
        let seal = self.stage_keys(attempt).await?;
        let staged = Staged { outcome, seal };
        let manifest = self.manifest(&staged, source, attempt, intent.proof, previous)?;
        Ok(manifest.into())
    }

    /// Creates the manifest, as long as the grant may be used: asked right before each create. One that
    /// was sent is waited for, a few seconds.
    async fn create(
        &self,
        attempt: &Attempt,
        manifest: Bytes,
    ) -> Result<Publication, ConnectorError> {
        let watch = Arc::clone(self.watch);
        let may: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || watch.check().is_ok());
        let mut creating = std::pin::pin!(attempt.publish_while(manifest, &may));
        tokio::select! {
            created = &mut creating => created,
            _ = Arc::clone(self.watch).withdrawn() => {
                attempt.stop();
                creating.await
            }
        }
    }

    /// Records the intent, stages the keys, makes the manifest visible, records what came of it.
    pub(super) async fn publish(
        &self,
        outcome: &Outcome,
        source: &dyn Source,
        attempt: &Arc<Attempt>,
    ) -> Result<RunReport, RunError> {
        let manifest = match self.prepared(outcome, source, attempt).await {
            Ok(manifest) => manifest,
            Err(error) => return self.nothing_sent(attempt, error).await,
        };
        let (settlement, report) = match self.create(attempt, manifest.clone()).await {
            Ok(Publication::Published) => (
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
            Ok(Publication::AlreadyPublished(_)) => (
                self.abandoned(attempt, LOST),
                RunReport::unchanged(self.plan, self.key, self.destination)?,
            ),
            Ok(Publication::Withdrawn) => {
                let withdrawn = self.watch.check().err();
                let withdrawn = withdrawn.unwrap_or_else(|| RunError::Internal {
                    what: "nobody could say whether the grant may still be used".to_owned(),
                });
                return self.nothing_sent(attempt, withdrawn).await;
            }
            // Whether the manifest stands is open: the intent stays unsettled, the files stay, and
            // the next start reads the manifest back and settles.
            Err(error @ ConnectorError::Unsettled { .. }) => return Err(error.into()),
            Err(error) => return self.nothing_sent(attempt, error.into()).await,
        };
        // Nobody needs a proof of it, and one that can't be made would fail a run that was published.
        self.ledger
            .append_all(&[settlement], self.installation.clock.now())?;
        tracing::info!(
            grant = self.plan.grant,
            delivery = self.key.delivery(),
            rows = outcome.rows.delivered,
            status = report.status.as_str(),
            "Run settled."
        );
        Ok(report)
    }

    /// Abandons the intent, if there is one, of a release that made nothing visible. An intent that
    /// can't be settled now stays open, and with it what the attempt staged: the next run settles it.
    async fn nothing_sent(
        &self,
        attempt: &Attempt,
        error: RunError,
    ) -> Result<RunReport, RunError> {
        // Nothing of this attempt was published when its files are gone.
        let is_lost = self.lost(&error).await;
        let reason = if is_lost {
            LOST
        } else if matches!(error, RunError::Refused(_)) {
            "the grant was withdrawn before the manifest was published"
        } else {
            "the manifest could not be published"
        };
        if self.came_of(attempt.id()) == CameOf::Open {
            let abandoned = self.abandoned(attempt, reason);
            let now = self.installation.clock.now();
            if let Err(unsettled) = self.ledger.append(&abandoned, now) {
                tracing::warn!("A release that came to nothing was not settled: {unsettled}.");
            }
        }
        if is_lost {
            return RunReport::unchanged(self.plan, self.key, self.destination);
        }
        Err(error)
    }

    /// What the ledger says came of an attempt; of what it can't say, nobody knows yet.
    pub(super) fn came_of(&self, attempt: &str) -> CameOf {
        match self.ledger.entries() {
            Ok(history) => CameOf::in_ledger(&history, attempt),
            Err(_) => CameOf::Open,
        }
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
