//! What can be wrong with a vault. Nothing here tells of a value or a token.

use std::io::ErrorKind;

use lockgate_transforms::VaultError;
use thiserror::Error;

/// A vault that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VaultFault {
    /// Another process has it open.
    #[error("token vault {place} is in use by a run; try again when that has ended")]
    InUse {
        /// The file, relative to the site.
        place: String,
    },
    /// It isn't what was written.
    #[error(
        "token vault {place} is damaged: {what}; put it back from a copy made after the last delivery"
    )]
    Damaged {
        /// The file, relative to the site.
        place: String,
        /// What was found.
        what: &'static str,
    },
    /// It isn't the one that was delivered from last: an older copy, or another one.
    #[error(
        "token vault {place} lacks tokens that were delivered: it holds {held} and isn't the one of \
         the last delivery, which held {kept}; put back the copy made after that delivery, or begin a \
         vault with other tokens by `lockgate keys new encryption`"
    )]
    Outdated {
        /// The file, relative to the site.
        place: String,
        /// How many tokens it holds.
        held: u64,
        /// How many the vault held that was delivered from.
        kept: u64,
    },
    /// It was delivered from, and isn't there.
    #[error(
        "token vault {place} is gone, and held {kept} tokens at the last delivery; put back the copy \
         made after that delivery, or begin a vault with other tokens by `lockgate keys new encryption`"
    )]
    Gone {
        /// The file, relative to the site.
        place: String,
        /// How many tokens it held.
        kept: u64,
    },
    /// The key of its version is another one than it was made with.
    #[error(
        "token vault {place} was made with another key `encryption` of version {version} than the \
         site has; put the right key file back"
    )]
    OtherKey {
        /// The file, relative to the site.
        place: String,
        /// The key's version.
        version: u32,
    },
    /// It can't be read or written.
    #[error("token vault {place} can't be used: {what}")]
    Unavailable {
        /// The file, relative to the site.
        place: String,
        /// What happened, in the system's fixed words.
        what: String,
    },
}

impl VaultFault {
    /// Class of the error, as the JSON document names it.
    pub fn class(&self) -> &'static str {
        match self {
            Self::InUse { .. } | Self::Unavailable { .. } => "unavailable",
            Self::Damaged { .. }
            | Self::Outdated { .. }
            | Self::Gone { .. }
            | Self::OtherKey { .. } => "integrity",
        }
    }
}

/// Class of what kept a vault from giving tokens, as the JSON document names it.
pub(crate) fn class_of(error: &VaultError) -> &'static str {
    match error {
        VaultError::Full { .. } => "exhausted",
        VaultError::Damaged { .. } => "integrity",
        VaultError::Unavailable { .. } => "unavailable",
    }
}

/// What went wrong within the file, before it is said which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    InUse,
    /// It was not closed and has to be repaired, which a reader doesn't.
    Unclosed,
    Damaged(&'static str),
    OtherKey {
        version: u32,
    },
    Full {
        held: u64,
        space: u64,
    },
    Io(ErrorKind),
    Other(&'static str),
}

impl Trouble {
    /// Sorts an error of the store. Its own words stay out.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the store's error is non-exhaustive"
    )]
    pub(super) fn of(error: impl Into<redb::Error>) -> Self {
        use redb::Error;
        match error.into() {
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Self::InUse,
            Error::RepairAborted => Self::Unclosed,
            Error::Io(error) => match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    Self::Damaged("it isn't a vault file, or not a whole one")
                }
                kind => Self::Io(kind),
            },
            Error::PreviousIo => Self::Other("reading or writing failed before"),
            Error::Corrupted(_) => Self::Damaged("its pages don't agree"),
            Error::UpgradeRequired(_) => Self::Damaged("it has a form that isn't known"),
            Error::TableDoesNotExist(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TypeDefinitionChanged { .. } => Self::Damaged("it lacks what every vault has"),
            _ => Self::Other("the store of its entries failed"),
        }
    }

    /// What is wrong with the vault at `place`.
    pub(super) fn at(self, place: &str) -> VaultFault {
        let place = place.to_owned();
        match self {
            Self::InUse => VaultFault::InUse { place },
            Self::Damaged(what) => VaultFault::Damaged { place, what },
            Self::OtherKey { version } => VaultFault::OtherKey { place, version },
            Self::Unclosed | Self::Full { .. } | Self::Io(_) | Self::Other(_) => {
                VaultFault::Unavailable {
                    place,
                    what: self.words(),
                }
            }
        }
    }

    /// What keeps the vault of `domain` from giving tokens.
    pub(super) fn of_domain(self, domain: &str) -> VaultError {
        let domain = domain.to_owned();
        match self {
            Self::Full { held, space } => VaultError::Full {
                domain,
                held,
                space,
            },
            Self::Damaged(what) => VaultError::Damaged { domain, what },
            Self::InUse | Self::Unclosed | Self::OtherKey { .. } | Self::Io(_) | Self::Other(_) => {
                VaultError::Unavailable {
                    domain,
                    what: self.words(),
                }
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::InUse => "it is in use by a run".to_owned(),
            Self::Unclosed => "it was not closed".to_owned(),
            Self::OtherKey { .. } => "it was made with another key".to_owned(),
            Self::Full { .. } => "it is half full".to_owned(),
            Self::Io(kind) => kind.to_string(),
            Self::Damaged(what) | Self::Other(what) => (*what).to_owned(),
        }
    }
}
