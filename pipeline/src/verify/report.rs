//! What the check of a delivery found, as it is told.

use serde::Serialize;

/// What kind of problem was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyProblemKind {
    /// There is no manifest, hence no delivery.
    NoDelivery,
    /// The manifest is altered, malformed or signed by another key.
    Manifest,
    /// A file the manifest names is not there.
    Missing,
    /// A file has another size.
    Size,
    /// A file has another content.
    Hash,
    /// A file is not of its format.
    Format,
    /// A file holds another number of rows.
    Rows,
    /// A file holds other fields or types.
    Schema,
    /// The ledger does not prove the release.
    Ledger,
    /// The delivery was disposed of: its files are gone on purpose.
    Disposed,
}

/// One problem of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyProblem {
    /// Of what kind.
    pub kind: VerifyProblemKind,
    /// The file, relative to the delivery.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

/// What the check of a delivery found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Whether no problem was found.
    pub valid: bool,
    /// Id of the grant, once the manifest is accepted.
    pub grant: Option<String>,
    /// Id of the delivery, once the manifest is accepted.
    pub delivery: Option<String>,
    /// Files that the manifest names.
    pub files: u64,
    /// Rows that the manifest states.
    pub rows: u64,
    /// What is wrong.
    pub problems: Vec<VerifyProblem>,
    /// What should be known and is not wrong in itself.
    pub notes: Vec<String>,
}
