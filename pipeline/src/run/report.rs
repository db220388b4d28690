//! What a run reports.

use std::collections::BTreeMap;

use lockgate_connectors::publish::Destination;
use lockgate_connectors::source::Source;
use serde::Serialize;

use super::key::RunKey;
use crate::engine::Outcome;
use crate::error::{RunError, exit};
use crate::plan::{ExchangePlan, Refusal};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Delivered.
    Delivered,
    /// Delivered, but rows were rejected for their values.
    DeliveredWithRejects,
    /// The same was delivered before; nothing was written.
    Unchanged,
    /// Grant or policy refused.
    Refused,
}

impl Status {
    /// As written in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::DeliveredWithRejects => "delivered-with-rejects",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// Rows by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunRows {
    /// Reached the engine.
    pub read: u64,
    /// Dropped as out of the grant's scope.
    pub filtered: u64,
    /// Skipped at the source by its statistics; absent where unknown.
    pub pruned: Option<u64>,
    /// Dropped for their values, or malformed.
    pub rejected: u64,
    /// Delivered.
    pub delivered: u64,
}

impl RunRows {
    /// The rows of an outcome over a source.
    pub(super) fn of(outcome: &Outcome, source: &dyn Source) -> Self {
        Self {
            read: outcome.rows.read,
            filtered: outcome.rows.filtered,
            pruned: source.rows_pruned(),
            rejected: outcome.rows.rejected,
            delivered: outcome.rows.delivered,
        }
    }
}

/// The document of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run key; absent where the run was refused.
    pub run: Option<String>,
    /// Id of the grant.
    pub grant: String,
    /// How it ended.
    pub status: Status,
    /// Rows by fate; absent where nothing was read.
    pub rows: Option<RunRows>,
    /// Rows that treatments left out on purpose, by field and reason; they are among those out of
    /// scope. Empty where none was.
    pub dropped: BTreeMap<String, BTreeMap<String, u64>>,
    /// URL of the delivery's folder.
    pub delivery: Option<String>,
    /// URL of the manifest.
    pub manifest: Option<String>,
    /// Why it was refused; empty otherwise.
    pub refusals: Vec<Refusal>,
    /// Columns of the source that the catalogue does not have, which are never delivered.
    pub ignored_columns: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl RunReport {
    pub(super) fn refused(grant: &str, refusals: Vec<Refusal>) -> Self {
        Self {
            run: None,
            grant: grant.to_owned(),
            status: Status::Refused,
            rows: None,
            dropped: BTreeMap::new(),
            delivery: None,
            manifest: None,
            refusals,
            ignored_columns: Vec::new(),
            seconds: 0.0,
        }
    }

    pub(super) fn unchanged(
        plan: &ExchangePlan,
        key: &RunKey,
        destination: &Destination,
    ) -> Result<Self, RunError> {
        Ok(Self {
            run: Some(key.as_str().to_owned()),
            status: Status::Unchanged,
            delivery: Some(destination.delivery_url(&plan.grant, key.delivery())?),
            manifest: Some(destination.manifest_url(&plan.grant, key.delivery())?),
            ..Self::refused(&plan.grant, Vec::new())
        })
    }

    pub(super) fn delivered(
        plan: &ExchangePlan,
        key: &RunKey,
        destination: &Destination,
        outcome: &Outcome,
        source: &dyn Source,
    ) -> Result<Self, RunError> {
        let status = match outcome.rows.rejected {
            0 => Status::Delivered,
            _ => Status::DeliveredWithRejects,
        };
        Ok(Self {
            status,
            rows: Some(RunRows::of(outcome, source)),
            dropped: plan
                .fields
                .iter()
                .zip(&outcome.counts)
                .filter(|(_, counts)| !counts.dropped.is_empty())
                .map(|(field, counts)| (field.name.clone(), counts.dropped.clone()))
                .collect(),
            ..Self::unchanged(plan, key, destination)?
        })
    }

    /// Exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.status {
            Status::Delivered | Status::Unchanged => exit::DONE,
            Status::DeliveredWithRejects => exit::REJECTS,
            Status::Refused => exit::REFUSED,
        }
    }
}
