//! The terms of grants, kept by their hash, so that a usage record can still say for what purpose data
//! was used when the grant's file is another one or gone. The ledger has the hash, so what is kept can
//! be believed. Rows and their predicates are left out: their literals may be personal data.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use lockgate_connectors::{ConnectorError, durable};
use serde::{Deserialize, Serialize};

use crate::canonical_json;
use crate::digest::{is_hex, sha256_hex};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History};
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
        let sha256 = sha256_hex(&bytes);
        // What was damaged is put in order.
        if Self::kept(state, &sha256).is_some() {
            return Ok(());
        }
        durable::make_directories(&directory, 0o777).map_err(failed)?;
        durable::replace(&directory.join(format!("{sha256}.json")), &bytes).map_err(failed)
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

/// Terms that entries name by their hash and that nobody has any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LostTerms {
    /// Id of the grant whose they are.
    pub grant: String,
    /// Lower-case hex SHA-256 of them, and so the name of the file in `state/terms/`.
    pub sha256: String,
}

impl fmt::Display for LostTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "state/{DIRECTORY}/{}.json is gone or was altered: for what grant {} was used then nobody \
             can say; restore it from a backup of state/",
            self.sha256, self.grant
        )
    }
}

/// The terms that a history names and that are neither kept nor those of the grant's file.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "three kinds of entry say what a grant is about"
)]
pub fn lost_terms(installation: &Installation, history: &History) -> BTreeSet<LostTerms> {
    let mut named = BTreeSet::new();
    for entry in history.iter() {
        match &entry.event {
            Event::GrantSigned { grant, about, .. }
            | Event::GrantMoved { grant, about, .. }
            | Event::ReleaseIntended { grant, about, .. } => {
                named.extend(about.as_ref().map(|about| LostTerms {
                    grant: grant.clone(),
                    sha256: about.terms_sha256.clone(),
                }));
            }
            _ => {}
        }
    }
    named.retain(|terms| terms_of(installation, &terms.grant, &terms.sha256).is_none());
    named
}

/// Terms of a grant by their hash: as they were kept, else as the grant's file has them.
pub(crate) fn terms_of(installation: &Installation, grant: &str, sha256: &str) -> Option<Terms> {
    Terms::kept(&installation.state(), sha256).or_else(|| {
        let written = installation.site.grants.get(grant);
        let written = written.map(|grant| Terms::from(&grant.value));
        written.filter(|written| written.sha256() == sha256)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        terms.keep(state.path()).unwrap();
        assert_eq!(Terms::kept(state.path(), &terms.sha256()), Some(terms));
    }
}
