//! The terms of grants, kept by their hash, so that a usage record can still say for what purpose data
//! was used when the grant's file is another one or gone. The ledger has the hash, so what is kept can
//! be believed. Rows and their predicates are left out: their literals may be personal data.

use std::fs;
use std::path::Path;

use lockgate_connectors::{ConnectorError, durable};
use serde::{Deserialize, Serialize};

use crate::canonical_json;
use crate::digest::{is_hex, sha256_hex};
use crate::error::RunError;
use crate::site::Grant;

/// Directory of what is kept, within the program's own.
const DIRECTORY: &str = "terms";

/// Most bytes of terms that are read back.
const BYTES_MAX: u64 = 4 << 20;

/// What a grant is for, as its file said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Version of the grant.
    pub version: u32,
    /// Purpose of use.
    pub purpose: String,
    /// Legal basis.
    pub basis: String,
    /// Scenario of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// How long the recipient may keep the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// Fields that were granted.
    pub fields: Vec<String>,
}

impl From<&Grant> for Terms {
    fn from(grant: &Grant) -> Self {
        Self {
            version: grant.version,
            purpose: grant.purpose.clone(),
            basis: grant.basis.clone(),
            scenario: grant.scenario.clone(),
            retention: grant.retention.clone(),
            fields: grant.fields.clone(),
        }
    }
}

impl Terms {
    /// Lower-case hex SHA-256 of their canonical JSON, as entries hold it.
    #[must_use]
    pub fn sha256(&self) -> String {
        // Text and numbers always have a canonical form.
        sha256_hex(&canonical_json::to_bytes(self).unwrap_or_default())
    }

    /// Keeps them below the program's own directory.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep(&self, state: &Path) -> Result<(), RunError> {
        let failed = |error: std::io::Error| {
            RunError::Connector(ConnectorError::from_io(&error, "state/terms"))
        };
        let bytes = canonical_json::to_bytes(self)
            .map_err(|error| RunError::internal("keeping the grant's terms", &error))?;
        let directory = state.join(DIRECTORY);
        let path = directory.join(format!("{}.json", sha256_hex(&bytes)));
        if path.exists() {
            return Ok(());
        }
        fs::create_dir_all(&directory).map_err(failed)?;
        durable::replace(&path, &bytes).map_err(failed)
    }

    /// Those with that hash; absent where they are not kept, or were altered.
    #[must_use]
    pub fn kept(state: &Path, sha256: &str) -> Option<Self> {
        if !is_hex(sha256, 64) {
            return None;
        }
        let path = state.join(DIRECTORY).join(format!("{sha256}.json"));
        let bytes = durable::read_bounded(&path, BYTES_MAX).ok()?;
        if sha256_hex(&bytes) != sha256 {
            return None;
        }
        canonical_json::read(&bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn terms_are_found_by_their_hash_and_altered_ones_are_not() {
        let terms = Terms {
            version: 2,
            purpose: "最低生活保障资格核查".to_owned(),
            basis: "regulation 1".to_owned(),
            scenario: None,
            retention: Some("180d".to_owned()),
            fields: vec!["name".to_owned()],
        };
        let state = TempDir::new().unwrap();
        assert_eq!(Terms::kept(state.path(), &terms.sha256()), None);
        terms.keep(state.path()).unwrap();
        terms.keep(state.path()).unwrap();
        assert_eq!(
            Terms::kept(state.path(), &terms.sha256()),
            Some(terms.clone())
        );
        assert_eq!(Terms::kept(state.path(), "../x"), None);
        let path = state.path().join(format!("terms/{}.json", terms.sha256()));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("180d", "900d")).unwrap();
        assert_eq!(Terms::kept(state.path(), &terms.sha256()), None);
    }
}
