//! A site: one installation's directory of configuration and state.
//!
//! TOML, one entity a file. The structures here are the files as written; [`Site::load`] reads all
//! of them and reports every problem of every file, located, in one go. A file that cannot be used
//! is absent from the maps and has its problems in [`Site::problems`]; what uses such a file stops
//! there, and what does not goes on.

pub mod check;
pub mod dataset;
pub mod field_type;
pub mod grant;
pub mod init;
pub mod job;
mod level;
mod load;
pub mod lockgate_toml;
pub mod policy;
mod read;
pub mod recipient;
pub mod schema;
mod secret;
mod suggest;
mod table;
pub mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use check::Hooks;
pub use dataset::{Dataset, Field, Sharing, Source};
pub use field_type::FieldType;
pub use grant::Grant;
pub use job::Job;
pub use load::{POLICY_FILE, SITE_FILE};
pub use lockgate_toml::SiteFile;
pub use policy::Policy;
pub use recipient::Recipient;
pub use secret::SecretError;
pub(crate) use suggest::nearest;

use read::Document;

/// Everything a site says, as far as it can be read.
#[derive(Debug, Clone)]
pub struct Site {
    /// The site's directory.
    pub root: PathBuf,
    /// `lockgate.toml`.
    pub file: Loaded<SiteFile>,
    /// `policy.toml`; without any rule, and so withholding everything, where it cannot be read.
    pub policy: Loaded<Policy>,
    /// Datasets of `catalogue/`, by id.
    pub datasets: BTreeMap<String, Loaded<Dataset>>,
    /// Grants of `grants/`, by id.
    pub grants: BTreeMap<String, Loaded<Grant>>,
    /// Recipients of `recipients/`, by id.
    pub recipients: BTreeMap<String, Loaded<Recipient>>,
    /// Jobs of `jobs/`, by id.
    pub jobs: BTreeMap<String, Loaded<Job>>,
    /// Every problem of every file, by file, line and column.
    pub problems: Vec<Problem>,
    /// Problems that arise from two files together, with the second: they concern only what uses
    /// both.
    joint: BTreeMap<Problem, String>,
    /// Problems of what no exchange uses, such as a rule of the policy that decides about no field.
    idle: BTreeSet<Problem>,
    /// Files that exist and cannot be used.
    unreadable: BTreeSet<String>,
}

impl Site {
    /// Problems that concern whoever uses the given files, named relative to the site: those in
    /// one of the files, unless they only arise together with a file that is not used, or are of what no
    /// exchange uses. (A rule of the policy that does not fit a field of one dataset stops no exchange of
    /// another.)
    pub fn problems_of(&self, files: &[&str]) -> Vec<&Problem> {
        let uses = |file: &String| files.contains(&file.as_str());
        let problems = self.problems.iter();
        problems
            .filter(|problem| uses(&problem.file) && self.joint.get(problem).is_none_or(uses))
            .filter(|problem| !self.idle.contains(problem))
            .collect()
    }

    /// Whether a file of the catalogue exists and can't be used.
    fn lacks_datasets(&self) -> bool {
        let mut files = self.unreadable.iter();
        files.any(|file| file.starts_with("catalogue/"))
    }
}

/// A file of the site that could be read.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// What it says.
    pub value: T,
    /// Its path relative to the site, `/`-separated.
    pub file: String,
    /// Lower-case hex SHA-256 of its bytes.
    pub sha256: String,
    document: Arc<Document>,
}

impl<T> Loaded<T> {
    /// Line and column of the value at a path of keys and indices, such as
    /// `["fields", "3", "category"]`; where the path ends early, of the deepest entry there is.
    pub fn locate(&self, path: &[&str]) -> (usize, usize) {
        self.document.value(path)
    }

    /// Line and column of the key at a path; where the path ends early, as [`Loaded::locate`].
    pub fn locate_key(&self, path: &[&str]) -> (usize, usize) {
        self.document.key(path)
    }

    /// A problem at the value at a path.
    pub fn problem(&self, path: &[&str], what: impl Into<String>, hint: Option<String>) -> Problem {
        let (line, column) = self.locate(path);
        Problem {
            file: self.file.clone(),
            line,
            column,
            what: what.into(),
            hint,
        }
    }

    /// A problem at the key at a path.
    pub fn problem_at_key(
        &self,
        path: &[&str],
        what: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        let (line, column) = self.locate_key(path);
        Problem {
            file: self.file.clone(),
            line,
            column,
            what: what.into(),
            hint,
        }
    }
}

impl<T> Deref for Loaded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Something that makes a file unusable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The file, relative to the site, `/`-separated.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, in a sentence without a full stop; never a secret or a predicate's literal.
    pub what: String,
    /// What to do about it, where that can be said.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.what
        )?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Why there is no site to speak of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The directory holds no `lockgate.toml`.
    #[error("{} is not a site: it holds no lockgate.toml; name one with --site, or make one with `lockgate init`", root.display())]
    NotASite {
        /// The directory.
        root: PathBuf,
    },
    /// `lockgate.toml` cannot be used.
    #[error("lockgate.toml cannot be used: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unusable {
        /// Its problems.
        problems: Vec<Problem>,
    },
}
