//! Replay: a delivery made again from the same source, into the void, and compared.
//!
//! For an auditor: that what left is what policy made of the source, and nothing else. The grant is
//! compiled from the site as it is now, and must give the very plan that the manifest names; the source
//! must still be the snapshot that the manifest names; keys are those of the versions that the
//! manifest names. Then every row is read, treated and marked again, nothing is written, and the
//! keyed digest of the content is compared with the one that the ledger has of the release.
//!
//! A replay needs no valid grant: nothing leaves. What it needs is that approval and floors hold as
//! they did. Values of treatments that draw nonces (`encrypt-rand`) are left out of the digest, since
//! no nonce may be used a second time; they are named.

mod changes;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::source::Source;
use lockgate_connectors::store::Store;
use lockgate_transforms::Date;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::delivered::Delivered;
use crate::digest::hex;
use crate::engine::{
    Compression, Encoder, Exchange, Marking, Outcome, Progress, Treater, Unpublished,
    delivered_schema, random_attempt,
};
use crate::error::{RunError, exit};
use crate::fault;
use crate::installation::Installation;
use crate::ledger::{ContentDigest, Event, History};
use crate::manifest::Manifest;
use crate::marks::record::{hold_of, markings};
use crate::marks::statement::scheme_commitment;
use crate::plan::row_filter::RowFilter;
use crate::plan::{ExchangePlan, Projection, Refusal, RefusalCode};
use crate::run::SOFTWARE;
use crate::site::dataset::Mode;
use crate::site::lockgate_toml::{HeldPurpose, HeldVersion};
use crate::vault::PreviewVaults;

/// What came of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayOutcome {
    /// What was made again has the digest that was recorded at release.
    Same,
    /// It has another one.
    Different,
    /// What the grant resolves to is no longer the plan that was executed.
    PlanChanged,
    /// The source is no longer the one that was read.
    SourceChanged,
    /// The ledger has no digest of the release.
    NotRecorded,
}

impl ReplayOutcome {
    /// As written in documents and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::PlanChanged => "plan-changed",
            Self::SourceChanged => "source-changed",
            Self::NotRecorded => "not-recorded",
        }
    }
}

/// The document of a replay.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayReport {
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the grant.
    pub grant: String,
    /// What came of it.
    pub outcome: ReplayOutcome,
    /// What changed since; never a value, nor a literal of a predicate.
    pub changes: Vec<String>,
    /// The digest of the release, as the ledger has it.
    pub recorded: Option<ContentDigest>,
    /// The digest of what was made again.
    pub replayed: Option<ContentDigest>,
    /// Rows that were made again.
    pub rows: Option<u64>,
    /// What should be known of the comparison.
    pub notes: Vec<String>,
    /// Where the ledger records the replay.
    pub entry: u64,
}

impl ReplayReport {
    /// Exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            ReplayOutcome::Same => exit::DONE,
            ReplayOutcome::Different
            | ReplayOutcome::PlanChanged
            | ReplayOutcome::SourceChanged
            | ReplayOutcome::NotRecorded => exit::UNVERIFIED,
        }
    }
}

/// Makes the delivery in `folder` again, compares it, and records what came of it.
///
/// # Errors
/// A delivery that the ledger doesn't know; a grant that would be refused for more than its time; a
/// source or key that isn't there any more.
pub async fn replay(
    installation: &Installation,
    folder: &Store,
    progress: Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<ReplayReport, RunError> {
    let ledger = installation.ledger()?;
    let history = ledger.entries()?;
    let (delivered, manifest) = Delivered::of_folder(installation, &history, folder).await?;
    let mut report = ReplayReport {
        delivery: delivered.delivery.clone(),
        grant: delivered.grant.clone(),
        outcome: ReplayOutcome::NotRecorded,
        changes: Vec::new(),
        recorded: delivered.content.clone(),
        replayed: None,
        rows: None,
        notes: Vec::new(),
        entry: 0,
    };
    Box::pin(compare(
        installation,
        &Subject {
            history: &history,
            delivered: &delivered,
            manifest: &manifest,
        },
        &mut report,
        progress,
        cancel,
    ))
    .await?;
    let event = Event::Replayed {
        grant: delivered.grant.clone(),
        delivery: delivered.delivery.clone(),
        attempt: delivered.attempt.clone(),
        outcome: report.outcome.as_str().to_owned(),
    };
    report.entry = ledger.append(&event, installation.clock.now())?.index;
    Ok(report)
}

/// What is made again.
struct Subject<'a> {
    history: &'a History,
    delivered: &'a Delivered,
    manifest: &'a Manifest,
}

async fn compare(
    installation: &Installation,
    subject: &Subject<'_>,
    report: &mut ReplayReport,
    progress: Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<(), RunError> {
    let Some(recorded) = &subject.delivered.content else {
        report.notes.push(
            "the ledger has no digest of this release: it was made by an earlier version, or was \
             interrupted between the manifest and the ledger's settlement"
                .to_owned(),
        );
        return Ok(());
    };
    let Some(plan) = planned(installation, subject, report)? else {
        return Ok(());
    };
    let then = with_keys_of(installation, subject.manifest);
    let filter = then.row_filter(&plan)?;
    let projection = Projection::needed(&plan, &filter);
    let source = then.open_source(&plan, &filter, &projection).await?;
    let now = serde_json::to_value(source.snapshot())
        .map_err(|error| RunError::internal("describing the snapshot", &error))?;
    if now != subject.manifest.source.snapshot {
        report.outcome = ReplayOutcome::SourceChanged;
        report.changes = changes::of_source(&subject.manifest.source.snapshot, &now);
        return Ok(());
    }
    let vaults = PreviewVaults::open(&then, &plan)?;
    let treatments = then.treatments(&plan, &projection, &vaults.for_treatments())?;
    let treater = Treater::new(treatments)
        .marking(marking(&then, subject, &plan)?)
        .digesting(Some(then.digester_of(&plan, recorded.key_version)?));
    let again = Again {
        plan: &plan,
        filter,
        source: Arc::clone(&source),
        progress,
    };
    let outcome = Box::pin(again.run(&then, treater, cancel)).await?;
    source.confirm_unchanged().await?;
    if let Some(note) = vaults.notes().into_iter().next() {
        // All tokens of a delivery are in their vaults before it leaves: only a vault that is in use
        // can't be asked.
        return Err(RunError::Connector(ConnectorError::Unavailable {
            place: "a token vault".to_owned(),
            what: format!("{note}; replay again once no run has it open"),
        }));
    }
    conclude(recorded, subject.manifest, outcome, report);
    Ok(())
}

/// Says whether what was made again is what was released.
fn conclude(
    recorded: &ContentDigest,
    manifest: &Manifest,
    outcome: Outcome,
    report: &mut ReplayReport,
) {
    if !recorded.excluded.is_empty() {
        report.notes.push(format!(
            "not compared, because every attempt encrypts with nonces of its own: {}",
            recorded.excluded.join(", ")
        ));
    }
    let rows = outcome.rows;
    let then = manifest.rows;
    let same_rows = (rows.read, rows.filtered, rows.rejected, rows.delivered)
        == (then.read, then.filtered, then.rejected, then.delivered);
    if !same_rows {
        report.changes.push(format!(
            "rows read, filtered, rejected and delivered are {}, {}, {}, {}, where the manifest states \
             {}, {}, {}, {}",
            rows.read,
            rows.filtered,
            rows.rejected,
            rows.delivered,
            then.read,
            then.filtered,
            then.rejected,
            then.delivered
        ));
    }
    let same_content = outcome.content.as_ref() == Some(recorded);
    if !same_content {
        report
            .changes
            .push("the content has another digest than the one recorded at release".to_owned());
    }
    if manifest.software != SOFTWARE {
        report.notes.push(format!(
            "the delivery was made by {}, and made again by {SOFTWARE}",
            manifest.software
        ));
    }
    report.outcome = match same_rows && same_content {
        true => ReplayOutcome::Same,
        false => ReplayOutcome::Different,
    };
    report.rows = Some(rows.delivered);
    report.replayed = outcome.content;
}

/// The plan that was executed, if the grant still resolves to it.
fn planned(
    installation: &Installation,
    subject: &Subject<'_>,
    report: &mut ReplayReport,
) -> Result<Option<ExchangePlan>, RunError> {
    let compiled = installation.compile(&subject.delivered.grant, Mode::Batch)?;
    let plan = compiled.plan();
    if plan.sha256() != subject.manifest.plan_sha256 {
        report.outcome = ReplayOutcome::PlanChanged;
        report.changes = changes::of_plan(subject.manifest, plan);
        return Ok(None);
    }
    let refusals: Vec<Refusal> = compiled
        .refusals()
        .iter()
        .filter(|refusal| !is_of_time(refusal.code))
        .cloned()
        .collect();
    if !refusals.is_empty() {
        return Err(RunError::Refused(refusals));
    }
    Ok(Some(plan.clone()))
}

/// Whether a refusal says that nothing may leave now, and nothing of what may.
fn is_of_time(code: RefusalCode) -> bool {
    // Any other refusal, known today or not, is about what may leave.
    matches!(
        code,
        RefusalCode::Expired
            | RefusalCode::NotYetValid
            | RefusalCode::Suspended
            | RefusalCode::Terminated
            | RefusalCode::Halted
            | RefusalCode::Quota
    )
}

/// The same installation, the site not read again, holding on to the versions of keys that the manifest
/// names.
fn with_keys_of(installation: &Installation, manifest: &Manifest) -> Installation {
    let mut then = Installation::of(installation.site.clone(), installation.clock);
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for field in &manifest.fields {
        for (purpose, version) in &field.key_versions {
            versions.insert(purpose, *version);
        }
    }
    let hold = &mut then.site.file.value.keys.hold;
    hold.clear();
    for purpose in [
        HeldPurpose::Pseudonym,
        HeldPurpose::Encryption,
        HeldPurpose::Fpe,
    ] {
        if let Some(version) = versions.get(purpose.as_str()) {
            let held = HeldVersion {
                version: *version,
                until: Date(NaiveDate::MAX),
            };
            hold.insert(purpose, held);
        }
    }
    then
}

/// The marks of the delivery, by the key and the scheme that its manifest holds commitments to: the plan
/// may have been executed before, or since, with another version of the key.
fn marking(
    installation: &Installation,
    subject: &Subject<'_>,
    plan: &ExchangePlan,
) -> Result<Option<Marking>, RunError> {
    if plan.marks.is_none() {
        return Ok(None);
    }
    let unverified = |what: &str| RunError::Unverified {
        what: what.to_owned(),
    };
    let stated = subject.manifest.mark.as_ref().ok_or_else(|| {
        unverified("the plan marks its deliveries, and the manifest states no marks")
    })?;
    let begun = markings(subject.history, &plan.dataset);
    let begun = begun.iter().rev().find(|begun| {
        begun.grant == plan.grant
            && begun.recipient == plan.recipient
            && begun.plan_sha256 == subject.manifest.plan_sha256
            && hex(&begun.key.commitment) == stated.key_commitment
    });
    let begun = begun
        .ok_or_else(|| unverified("the ledger doesn't say by which key the delivery was marked"))?;
    let Some(held) = hold_of(installation, plan, begun.key.key_version)? else {
        return Ok(None);
    };
    let scheme = held.scheme.to_bytes();
    let scheme = scheme.map_err(|error| RunError::internal("writing a scheme of marks", &error))?;
    if !held.key.opens(&begun.key.commitment, &begun.key.salt) {
        return Err(unverified(
            "key `mark` isn't the one that the delivery was marked with; put the right key file back",
        ));
    }
    if scheme_commitment(&begun.key.salt, &scheme) != stated.scheme_commitment {
        return Err(unverified(
            "marks are laid out otherwise than when the delivery was made",
        ));
    }
    Ok(Some(Marking::new(held.marker, begun.index)))
}

/// A delivery that is made again.
struct Again<'a> {
    plan: &'a ExchangePlan,
    filter: RowFilter,
    source: Arc<dyn Source>,
    progress: Arc<Progress>,
}

impl Again<'_> {
    async fn run(
        self,
        installation: &Installation,
        treater: Treater,
        cancel: &CancellationToken,
    ) -> Result<Outcome, RunError> {
        let schema = delivered_schema(treater.columns());
        // How files would be written doesn't matter: what goes into them is compared.
        let plain = vec![false; self.plan.fields.len()];
        let fast = "none".parse::<Compression>().unwrap_or_default();
        let total = self.source.rows_total().unwrap_or(0);
        let bytes = self.source.splits().iter().map(|split| split.bytes);
        self.progress
            .expect(total, bytes.fold(0, u64::saturating_add));
        let budget = installation.budget(self.source.as_ref());
        let exchange = Exchange {
            source: self.source,
            filter: Arc::new(self.filter),
            treater,
            encoder: Encoder::parquet(&schema, plain, fast, SOFTWARE)?,
            seal: None,
            // Fresh ones: what is encrypted with them is thrown away.
            cell_attempt: random_attempt()?,
            progress: self.progress,
            permit: Arc::new(Unpublished),
            cancel: cancel.child_token(),
        };
        let runtime = tokio::runtime::Handle::current();
        let engine =
            tokio::task::spawn_blocking(move || exchange.run_into_void(&runtime, budget)).await;
        let outcome = engine.map_err(|error| fault::of_task("replaying the exchange", error))?;
        if cancel.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        outcome
    }
}
