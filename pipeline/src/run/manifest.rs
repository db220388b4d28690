//! What a release states: the intent in the ledger, and the manifest that makes it visible.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::publish::Attempt;
use lockgate_connectors::source::Source;

use super::SOFTWARE;
use super::release::{Release, Staged};
use super::report::RunRows;
use crate::digest::hex;
use crate::engine::Outcome;
use crate::error::RunError;
use crate::ledger::{Event, InclusionProof, time_text};
use crate::life;
use crate::manifest::{
    FieldStatement, FileStatement, FormStatement, GrantReference, Manifest, Rows, SourceStatement,
    WithheldStatement,
};
use crate::marks::MarkStatement;
use crate::plan::{ExchangePlan, PlannedField};

/// Version of the manifest's form.
const FORMAT: u32 = 1;

impl Release<'_> {
    /// The ledger's entry before anything becomes visible.
    pub(super) fn intent(&self, outcome: &Outcome, attempt: &Attempt) -> Event {
        let site = &self.installation.site;
        let plan = self.plan;
        let mut config = BTreeMap::from([
            (site.file.file.clone(), site.file.sha256.clone()),
            (site.policy.file.clone(), site.policy.sha256.clone()),
        ]);
        config.extend(
            site.datasets
                .get(&plan.dataset)
                .map(|d| (d.file.clone(), d.sha256.clone())),
        );
        config.extend(
            site.grants
                .get(&plan.grant)
                .map(|g| (g.file.clone(), g.sha256.clone())),
        );
        let joins = plan
            .fields
            .iter()
            .flat_map(|field| field.treatment.key_uses())
            .filter_map(|used| used.join)
            .collect::<BTreeSet<_>>();
        Event::ReleaseIntended {
            run: self.key.as_str().to_owned(),
            delivery: self.key.delivery().to_owned(),
            attempt: attempt.id().to_owned(),
            grant: plan.grant.clone(),
            grant_version: plan.grant_version,
            plan_sha256: plan.sha256(),
            destination: self.destination.url().to_owned(),
            rows: outcome.rows.delivered,
            config,
            join_groups: joins.into_iter().collect(),
            cell_attempt: self.cell_attempt.clone(),
            about: life::about(site, plan),
        }
    }

    /// What is said of the delivery's marks.
    fn mark(&self, outcome: &Outcome) -> Option<MarkStatement> {
        let (layout, recorded) = self.plan.marks.as_ref().zip(self.marks)?;
        Some(MarkStatement::of(layout, recorded, &outcome.distortions))
    }

    /// The signed manifest of the delivery.
    pub(super) fn manifest(
        &self,
        staged: &Staged<'_>,
        source: &dyn Source,
        attempt: &Attempt,
        ledger: InclusionProof,
        previous: Option<String>,
    ) -> Result<Vec<u8>, RunError> {
        let outcome = staged.outcome;
        let plan = self.plan;
        let snapshot = serde_json::to_value(source.snapshot())
            .map_err(|error| RunError::internal("describing the snapshot", &error))?;
        let manifest = Manifest {
            format: FORMAT,
            delivery: self.key.delivery().to_owned(),
            run: self.key.as_str().to_owned(),
            attempt: attempt.id().to_owned(),
            cell_attempt: self.cell_attempt.clone(),
            grant: GrantReference {
                id: plan.grant.clone(),
                version: plan.grant_version,
                sha256: plan.grant_sha256.clone(),
            },
            plan_sha256: plan.sha256(),
            dataset: plan.dataset.clone(),
            provider: plan.provider.clone(),
            recipient: plan.recipient.clone(),
            created: time_text(self.installation.clock.now()),
            software: SOFTWARE.to_owned(),
            source: SourceStatement {
                snapshot,
                consistency: "snapshot".to_owned(),
            },
            window: None,
            fields: statements(plan, outcome)?,
            withheld: plan
                .withheld
                .iter()
                .map(|field| WithheldStatement {
                    name: field.name.clone(),
                    reason: field.reason.clone(),
                })
                .collect(),
            files: outcome
                .files
                .iter()
                .map(|(file, rows)| FileStatement {
                    path: file.path.clone(),
                    bytes: file.bytes,
                    rows: *rows,
                    sha256: hex(&file.sha256),
                })
                .collect(),
            form: plan
                .row_format()
                .map(|rows| FormStatement::new(rows, plan.bundle.is_some(), outcome.guarded)),
            rows: rows(outcome, source),
            treatment_counts: plan
                .fields
                .iter()
                .map(|field| field.name.clone())
                .zip(outcome.counts.iter().cloned())
                .zip(&outcome.read)
                .filter_map(|(counted, read)| read.then_some(counted))
                .collect(),
            mark: self.mark(outcome),
            seal: staged.seal.clone(),
            ledger,
            previous,
        };
        let key = self.installation.keyring().signing_key(Purpose::Manifest)?;
        manifest
            .sign(&key)
            .map_err(|error| RunError::internal("signing the manifest", &error))
    }
}

/// What became of the rows.
fn rows(outcome: &Outcome, source: &dyn Source) -> Rows {
    let rows = RunRows::of(outcome, source);
    Rows {
        read: rows.read,
        filtered: rows.filtered,
        pruned: rows.pruned,
        rejected: rows.rejected,
        delivered: rows.delivered,
    }
}

/// What is said of each delivered field.
fn statements(plan: &ExchangePlan, outcome: &Outcome) -> Result<Vec<FieldStatement>, RunError> {
    let fields = plan.fields.iter().zip(&outcome.key_versions);
    fields
        .map(|(field, versions)| statement(field, versions))
        .collect()
}

fn statement(
    field: &PlannedField,
    key_versions: &BTreeMap<&'static str, u32>,
) -> Result<FieldStatement, RunError> {
    let key_versions = key_versions.iter();
    let described = |error| RunError::internal("describing a field", &error);
    Ok(FieldStatement {
        name: field.name.clone(),
        data_type: field.data_type.clone(),
        source_type: field.source_type.clone(),
        category: field.category.clone(),
        level: serde_json::to_value(field.level).map_err(described)?,
        treatment: field.treatment.disclosed(),
        strength: field.strength,
        key_versions: key_versions
            .map(|(purpose, version)| ((*purpose).to_owned(), *version))
            .collect(),
    })
}
