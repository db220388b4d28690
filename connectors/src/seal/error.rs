//! Why something cannot be sealed or opened. No variant holds a key or a byte of content.

use std::io;

use thiserror::Error;

use crate::error::ErrorClass;

/// A failure of sealing or opening; where it happened is added by whoever knows the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The name is none of the suites.
    #[error("unknown suite: use AES256GCM-SHA256 or SM4GCM-SM3")]
    UnknownSuite,
    /// The suite cannot do what is asked, and nothing is put in its place.
    #[error("suite {suite} cannot {what}; {remedy}")]
    Unsupported {
        /// The suite asked for.
        suite: super::Suite,
        /// What it cannot do.
        what: &'static str,
        /// What to change.
        remedy: &'static str,
    },
    /// The recipient has no key that can be sealed to.
    #[error("the recipient has no x25519 key to seal to; add one to its public_keys")]
    NoRecipientKey,
    /// The delivery's keys are wrapped to others.
    #[error(
        "its keys are not wrapped to this identity ({fingerprint}); give the private key whose public side the site had when the delivery was made"
    )]
    NotForIdentity {
        /// Fingerprint of the identity's public key.
        fingerprint: String,
    },
    /// The identity is the key of an approver.
    #[error(
        "the identity is no recipient's key; give the file made by `lockgate keys pair NAME --kind recipient`"
    )]
    NotARecipient,
    /// The keys stay at the site until it releases them.
    #[error(
        "its keys are released online; ask the site for a release document (`lockgate release`) and give it with --release"
    )]
    NeedsRelease,
    /// A key file, a header or a release document is not what it should be.
    #[error("{what}; it was altered or replaced: have the delivery sent again")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// A wrapped key does not unwrap.
    #[error(
        "a wrapped key does not open: it was altered, or belongs to another delivery, attempt, recipient or file"
    )]
    WrappedKey,
    /// The header, the salt or the commitment is not the one the file was sealed with.
    #[error(
        "its header or key commitment is not the one it was sealed with: it was altered or replaced; have the delivery sent again"
    )]
    Commitment,
    /// A chunk is not the one sealed at its place.
    #[error(
        "chunk {chunk} is not as it was sealed: it was altered, moved or dropped; have the delivery sent again"
    )]
    Chunk {
        /// Its number, from 0.
        chunk: u64,
    },
    /// The file ends before its last chunk.
    #[error("it ends too early: it was cut off; fetch it again")]
    Truncated,
    /// More chunks than one message can have.
    #[error("it is too long for one envelope (4 PiB)")]
    TooLong,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: nothing can be sealed now")]
    Random,
    /// An invariant of this program.
    #[error("internal fault: {0}; please report it")]
    Fault(&'static str),
}

impl SealError {
    /// What the reader can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownSuite
            | Self::Unsupported { .. }
            | Self::NoRecipientKey
            | Self::NotForIdentity { .. }
            | Self::NotARecipient
            | Self::NeedsRelease => ErrorClass::Config,
            Self::Malformed { .. }
            | Self::WrappedKey
            | Self::Commitment
            | Self::Chunk { .. }
            | Self::Truncated => ErrorClass::Integrity,
            Self::TooLong => ErrorClass::Exhausted,
            Self::Random => ErrorClass::Unavailable,
            Self::Fault(_) => ErrorClass::Bug,
        }
    }

    /// The failure that an [`io::Error`] of an envelope's reader or writer carries, if it is one.
    pub fn of_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }
}

impl From<SealError> for io::Error {
    fn from(error: SealError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
