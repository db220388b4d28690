//! The samples: complete small sites, one folder each.
//!
//! A sample holds no private key. [`lockgate::demo::sample::prepare`] copies it and makes fresh
//! ones; `expected.toml` says how its data was generated and what its grants do, and the tests of
//! this package hold every folder to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lockgate::demo::generate::{Encoding, Table, WriteError, write_csv};
use serde::Deserialize;

/// `expected.toml` of a sample.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The files of `data/`.
    pub data: Vec<Data>,
    /// The grants, in the order in which they are run.
    pub grants: Vec<ExpectedGrant>,
}

/// A generated file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Name within `data/`.
    pub file: String,
    /// Which table it holds.
    pub table: TableName,
    /// Rows.
    pub rows: u64,
    /// Seed of the generator.
    pub seed: u64,
    /// Encoding; UTF-8 where absent.
    #[serde(default)]
    pub encoding: EncodingName,
}

/// A table of the generator.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableName {
    /// Residents.
    Residents,
    /// Enterprises.
    Enterprises,
    /// Social-security payments.
    Payments,
    /// Health records.
    HealthRecords,
}

/// Encoding of a CSV file.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncodingName {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB 18030.
    Gb18030,
}

/// What signing and running a grant should come to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedGrant {
    /// Id of the grant.
    pub id: String,
    /// Status of the run.
    pub status: String,
    /// Rows by fate; absent where the run is refused.
    pub rows: Option<Rows>,
    /// Granted fields that are not delivered.
    #[serde(default)]
    pub withheld: Vec<String>,
    /// Codes of warnings.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Codes of refusals; a grant that has any cannot be signed either.
    #[serde(default)]
    pub refusals: Vec<String>,
}

/// Rows by fate.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Reached the engine.
    pub read: u64,
    /// Out of the grant's scope.
    pub filtered: u64,
    /// Dropped for their values.
    pub rejected: u64,
    /// Delivered.
    pub delivered: u64,
}

impl Data {
    /// Generates the file into `directory`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), WriteError> {
        let table = match self.table {
            TableName::Residents => Table::Residents,
            TableName::Enterprises => Table::Enterprises,
            TableName::Payments => Table::Payments,
            TableName::HealthRecords => Table::HealthRecords,
        };
        let encoding = match self.encoding {
            EncodingName::Utf8 => Encoding::Utf8,
            EncodingName::Gb18030 => Encoding::Gb18030,
        };
        write_csv(
            &directory.join(&self.file),
            table,
            self.rows,
            self.seed,
            encoding,
        )
    }
}

/// Every sample: the folders of this package that hold a `lockgate.toml`, sorted.
///
/// # Errors
/// The package's folder cannot be listed.
pub fn samples() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR"))? {
        let path = entry?.path();
        if path.join("lockgate.toml").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
