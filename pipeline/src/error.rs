//! Errors of a run, and what each means to whoever started it.
//!
//! A variant says what the reader can do; [`RunError::class`] and [`RunError::exit_code`] are the
//! one table from which exit codes and error documents are made. No variant holds a value of a
//! field, a key, or a literal of a predicate.

use lockgate_connectors::ConnectorError;
use lockgate_connectors::error::ErrorClass;
use lockgate_connectors::format::write::Unwritable;
use lockgate_transforms::error::NO_ANSWER;
use lockgate_transforms::{Share, TreatmentError, VaultError};
use thiserror::Error;

use crate::approval::SignError;
use crate::demo::DemoError;
use crate::ledger::LedgerError;
use crate::plan::{CompileError, Refusal};
use crate::site::init::InitError;
use crate::site::{Problem, SecretError, SiteError};
use crate::vault::{VaultFault, class_of};
use crate::verify::VerifyError;

/// Exit codes of the program.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// Failed.
    pub const FAILED: u8 = 1;
    /// Invalid configuration or usage.
    pub const INVALID: u8 = 2;
    /// Refused by grant or policy.
    pub const REFUSED: u8 = 3;
    /// Verification failed.
    pub const UNVERIFIED: u8 = 4;
    /// Delivered, with rejected rows.
    pub const REJECTS: u8 = 5;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a command did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Files of the site are unusable.
    #[error("{} problem(s) in the site's files", .0.len())]
    Problems(Vec<Problem>),
    /// Something else about the site or the arguments.
    #[error("{what}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// Where.
        at: String,
        /// What to do.
        remedy: String,
    },
    /// Grant or policy refuse.
    #[error("refused: {}", codes(.0))]
    Refused(Vec<Refusal>),
    /// A store, a file or a keyring failed.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// A value that its treatment says must fail the run, or that it could not treat.
    #[error("field `{field}` of {file}{}: {}", at_row(*.row), describe(source))]
    Treatment {
        /// The field.
        field: String,
        /// The source's file.
        file: String,
        /// Data row within the file, from 1, where known.
        row: Option<u64>,
        /// What the treatment said.
        source: TreatmentError,
    },
    /// A token vault can't be used.
    #[error(transparent)]
    Vault(#[from] VaultFault),
    /// A token vault could not keep what it gave.
    #[error(transparent)]
    Tokens(#[from] VaultError),
    /// A value longer than a field's may be.
    #[error(
        "field `{field}` of {file}, row {row}: a value of more than {} MiB",
        limit >> 20
    )]
    TooLong {
        /// The field.
        field: String,
        /// The source's file.
        file: String,
        /// Data row within the file, from 1.
        row: u64,
        /// Most bytes of a value.
        limit: u64,
    },
    /// A value that the format of the delivery cannot hold.
    #[error(
        "field `{field}`, row {row} of {}: {source}; nothing was published",
        member.as_deref().unwrap_or("a file to be delivered")
    )]
    Unwritable {
        /// The field.
        field: String,
        /// What the file, or the member of a bundle, would have been called.
        member: Option<String>,
        /// Row within the file, from 1; the header is not counted.
        row: u64,
        /// Why, and what to do.
        source: Unwritable,
    },
    /// More values of a field are invalid than its treatment bears.
    #[error(
        "field `{field}`: {invalid} of {values} values are invalid, more than the share of {limit} \
         that `max_invalid` bears; nothing was published"
    )]
    TooManyInvalid {
        /// The field.
        field: String,
        /// Invalid values.
        invalid: u64,
        /// Values that are not null.
        values: u64,
        /// The share that the treatment bears.
        limit: Share,
    },
    /// A mark would have moved a value further than its provider allows.
    #[error(
        "field `{field}`: a mark moved a value by {moved}, further than its tolerance; nothing was \
         published; please report it"
    )]
    MovedTooFar {
        /// The field.
        field: String,
        /// How far, in the field's unit.
        moved: String,
    },
    /// The row scope could not be evaluated on some row.
    #[error("{file}{}: {what}", at_row(*.row))]
    Predicate {
        /// What kind of failure, without values.
        what: String,
        /// The source's file.
        file: String,
        /// Data row within the file, from 1, where known.
        row: Option<u64>,
    },
    /// The site does not allow what was asked for.
    #[error("{what}")]
    Denied {
        /// What is not allowed.
        what: String,
        /// Who may allow it, and how.
        remedy: String,
    },
    /// Rows were lost or doubled.
    #[error("rows are not conserved: {what}; nothing was published")]
    RowsNotConserved {
        /// The sums that do not agree.
        what: String,
    },
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file of the site could not be made, or a secret of it not be found.
    #[error("{0}")]
    Site(String),
    /// The demo or a sample could not be made.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// What was delivered does not verify.
    #[error("{what}")]
    Unverified {
        /// What does not hold.
        what: String,
    },
    /// Stopped by a signal.
    #[error("interrupted; nothing was published")]
    Interrupted,
    /// A defect of the program, or of the machine.
    #[error("{what}")]
    Internal {
        /// What failed.
        what: String,
    },
}

impl RunError {
    /// An unexpected failure while `doing` something.
    pub(crate) fn internal(doing: &str, cause: &dyn std::error::Error) -> Self {
        Self::Internal {
            what: format!("{doing}: {cause}"),
        }
    }

    /// A failure of encoding or of the file under it.
    pub(crate) fn writing(cause: &dyn std::error::Error) -> Self {
        Self::internal("writing a part", cause)
    }

    /// Exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Problems(_) | Self::Invalid { .. } | Self::Site(_) => exit::INVALID,
            Self::Refused(_) | Self::Denied { .. } => exit::REFUSED,
            Self::Unverified { .. } => exit::UNVERIFIED,
            Self::Interrupted => exit::INTERRUPTED,
            Self::Connector(error) if error.class() == ErrorClass::Config => exit::INVALID,
            Self::Connector(_)
            | Self::Treatment { .. }
            | Self::Vault(_)
            | Self::Tokens(_)
            | Self::TooLong { .. }
            | Self::Unwritable { .. }
            | Self::TooManyInvalid { .. }
            | Self::MovedTooFar { .. }
            | Self::Predicate { .. }
            | Self::RowsNotConserved { .. }
            | Self::Ledger(_)
            | Self::Demo(_)
            | Self::Internal { .. } => exit::FAILED,
        }
    }

    /// Class of the error, as the JSON document names it.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Problems(_) | Self::Invalid { .. } | Self::Site(_) => "config",
            Self::Refused(_) | Self::Denied { .. } => "refused",
            Self::Connector(error) => error.class().as_str(),
            Self::Vault(fault) => fault.class(),
            Self::Tokens(error)
            | Self::Treatment {
                source: TreatmentError::Vault(error),
                ..
            } => class_of(error),
            Self::Treatment { .. }
            | Self::TooLong { .. }
            | Self::Unwritable { .. }
            | Self::TooManyInvalid { .. }
            | Self::Predicate { .. } => "data",
            Self::RowsNotConserved { .. }
            | Self::MovedTooFar { .. }
            | Self::Ledger(_)
            | Self::Unverified { .. } => "integrity",
            Self::Interrupted => "interrupted",
            Self::Demo(_) => "demo",
            Self::Internal { .. } => "internal",
        }
    }
}

impl From<Vec<Refusal>> for RunError {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Refused(refusals)
    }
}

impl From<SiteError> for RunError {
    fn from(error: SiteError) -> Self {
        match error {
            SiteError::Unusable { problems } => Self::Problems(problems),
            SiteError::NotASite { .. } => Self::Invalid {
                what: error.to_string(),
                at: "--site".to_owned(),
                remedy: String::new(),
            },
        }
    }
}

impl From<InitError> for RunError {
    fn from(error: InitError) -> Self {
        Self::Site(error.to_string())
    }
}

impl From<SecretError> for RunError {
    fn from(error: SecretError) -> Self {
        Self::Site(error.to_string())
    }
}

impl From<VerifyError> for RunError {
    fn from(error: VerifyError) -> Self {
        Self::Connector(ConnectorError::from_store(&error.source, error.path))
    }
}

impl From<CompileError> for RunError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Problems { problems } => Self::Problems(problems),
            CompileError::UnknownGrant { .. } => Self::Invalid {
                what: error.to_string(),
                at: "the site's files".to_owned(),
                remedy: "`lockgate grant list` names the grants there are".to_owned(),
            },
        }
    }
}

impl From<SignError> for RunError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Compile(error) => error.into(),
            SignError::Refused { refusals } => Self::Refused(refusals),
            SignError::Key(error) => error.into(),
            SignError::Canonical(_) | SignError::Envelope(_) | SignError::Write { .. } => {
                Self::Internal {
                    what: error.to_string(),
                }
            }
        }
    }
}

fn codes(refusals: &[Refusal]) -> String {
    let codes: Vec<String> = refusals
        .iter()
        .map(|refusal| refusal.code.to_string())
        .collect();
    codes.join(", ")
}

fn at_row(row: Option<u64>) -> String {
    row.map_or_else(String::new, |row| format!(", data row {row}"))
}

fn describe(error: &TreatmentError) -> String {
    // The row is named by whoever knows it within the file.
    if let TreatmentError::Refused { case, .. } = error {
        return format!("value is {}, and the treatment says fail", case.as_str());
    }
    if matches!(error, TreatmentError::NoAnswer { .. }) {
        return NO_ANSWER.to_owned();
    }
    error.to_string()
}
