//! What can be wrong with a key or its file. No variant holds any of a file's content.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{ConnectorError, ErrorClass};
use crate::keyring::{KekId, Purpose};

/// A failure of the keyring: names the file and the remedy, never the key.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The name is none of the purposes.
    #[error("unknown key purpose: use pseudonym, encryption, fpe, mark, manifest or ledger")]
    Purpose,
    /// There is no key of that purpose.
    #[error("no {purpose} key in {}: make one with `lockgate keys new {purpose}`", directory.display())]
    Missing {
        /// What the key is for.
        purpose: Purpose,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// The purpose has keys, but not of that version.
    #[error("no {purpose} key of version {version} in {}: restore its file from a backup", directory.display())]
    MissingVersion {
        /// What the key is for.
        purpose: Purpose,
        /// The version asked for.
        version: u32,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// Others than the owner may use the file.
    #[error("key file {path} is open to others than its owner (mode {mode:04o}): run `chmod 600 {path}`, and replace the key if they may have read it", path = path.display())]
    Mode {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file isn't what its name says.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is expected instead.
        what: &'static str,
    },
    /// The text isn't a usable public key.
    #[error("not a public key: {what}")]
    PublicKey {
        /// What is wrong, and what is expected instead.
        what: &'static str,
    },
    /// The purpose has no signing key.
    #[error("{purpose} keys do not sign: only manifest and ledger keys do")]
    NotSigning {
        /// The purpose asked for.
        purpose: Purpose,
    },
    /// The private key is of the other kind.
    #[error("{} holds the private key of a {found}, not of {}: give the other file", path.display(), wanted)]
    Kind {
        /// The private key's file.
        path: PathBuf,
        /// Whose key it is.
        found: &'static str,
        /// Whose key was wanted.
        wanted: &'static str,
    },
    /// The file to be made exists.
    #[error("{} exists and is never overwritten: choose another name or move the file away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The name can't become a file name.
    #[error(
        "not a name for a key pair: use 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit"
    )]
    Name,
    /// All versions a purpose can have are taken.
    #[error("no version of the {purpose} key is left: start a new keyring")]
    Versions {
        /// What the key is for.
        purpose: Purpose,
    },
    /// A secret that opens the keyring cannot be had.
    #[error("{what}")]
    Secret {
        /// What is wrong with the reference, and what to do; never the secret.
        what: String,
    },
    /// The passphrase is too short to protect anything.
    #[error("the passphrase is shorter than {characters_min} characters: take a longer one")]
    Weak {
        /// Fewest characters.
        characters_min: usize,
    },
    /// What was given does not open the keyring.
    #[error("the {with} does not open the keyring in {}: give the one it was protected with last", directory.display())]
    Locked {
        /// `passphrase`, `key file` or `token`.
        with: &'static str,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// The keyring is protected in another way than the site says.
    #[error("the keyring in {} is protected by {found}, and [keys] of lockgate.toml says {said}: make [keys] say how it is protected, or run `lockgate keys protect`", directory.display())]
    Protection {
        /// How the keyring is protected.
        found: &'static str,
        /// What the site says.
        said: &'static str,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// A record, or the keyring's head, is not as it was written.
    #[error("{} was altered, or belongs to another keyring or another time: restore the whole keyring from the newest backup, and find out who changed it", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// The keyring is an older one.
    #[error("the keyring in {} is an older one: it is of generation {found}, and the ledger knows generation {recorded}; restore the newest one", directory.display())]
    RolledBack {
        /// Its generation.
        found: u64,
        /// The generation that the ledger holds.
        recorded: u64,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// The version of the key was destroyed.
    #[error("version {version} of the key for {purpose} was destroyed: nothing brings it back")]
    Destroyed {
        /// What the key was for.
        purpose: Purpose,
        /// Its version.
        version: u32,
    },
    /// KEKs in a token cannot be taken out of it.
    #[error(
        "the token holds keys of deliveries that cannot leave it ({count}, {first} among them): dispose of those deliveries first (`lockgate keys destroy` for one that `keys list` does not name), or keep the token"
    )]
    Held {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// A token may hold copies of the keyring's keys.
    #[error("token `{token}` may still hold keys of the keyring in {}, because `lockgate keys protect` did not come to its end: name it in [keys] (module, token, pin), and give that command again", directory.display())]
    Left {
        /// The token's label.
        token: String,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// A token holds keys of another copy, or of a later state, of this keyring.
    #[error(
        "token `{token}` holds keys of this very keyring already ({count}, {first} among them): this directory is an older state or a copy of one that was moved into the token. Name the token in [keys] and use the newest directory; nothing in the token was changed"
    )]
    Taken {
        /// The token's label.
        token: String,
        /// How many.
        count: usize,
        /// The label of one of them.
        first: String,
    },
    /// What is to open the keyring lies in it.
    #[error("{} lies in the keyring's own directory: keep what opens a keyring apart from it", path.display())]
    Within {
        /// The file.
        path: PathBuf,
    },
    /// The token, or its module, cannot be used.
    #[error("token `{token}`: {what}")]
    Token {
        /// The token's label.
        token: String,
        /// What failed, and what to do.
        what: &'static str,
    },
    /// The token refused the login.
    #[error(
        "token `{token}` refused its pin: check it before trying again, for tokens lock themselves"
    )]
    Pin {
        /// The token's label.
        token: String,
    },
    /// The text is no KEK's id.
    #[error("not the id of a delivery's key: use DELIVERY.ATTEMPT, 32 and 16 hexadecimal digits")]
    KekId,
    /// There is no such KEK.
    #[error("the keyring in {} has no key {id} of a delivery: it was destroyed, or never made", directory.display())]
    NoKek {
        /// The KEK.
        id: KekId,
        /// The keyring's directory.
        directory: PathBuf,
    },
    /// The KEK was destroyed.
    #[error(
        "the delivery's key {id} was destroyed: what was sealed under it cannot be opened any more"
    )]
    KekDestroyed {
        /// The KEK.
        id: KekId,
    },
    /// A KEK of that id is there.
    #[error("there is a key {id} for a delivery already: every attempt takes an id of its own")]
    KekExists {
        /// The KEK.
        id: KekId,
    },
    /// A wrapped key does not open.
    #[error(
        "a key wrapped under {id} does not open: it was altered, or belongs to another file, delivery or recipient"
    )]
    Unwrap {
        /// The KEK.
        id: KekId,
    },
    /// A broken invariant of this program.
    #[error("internal fault: {what}; please report it")]
    Fault {
        /// What did not hold.
        what: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: a key cannot be made now")]
    Random {
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
}

impl KeyringError {
    /// What the reader can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Random { .. } => ErrorClass::Unavailable,
            Self::NotSigning { .. } | Self::Fault { .. } => ErrorClass::Bug,
            Self::Altered { .. }
            | Self::RolledBack { .. }
            | Self::Destroyed { .. }
            | Self::NoKek { .. }
            | Self::KekDestroyed { .. }
            | Self::Unwrap { .. } => ErrorClass::Integrity,
            Self::KekExists { .. } => ErrorClass::Bug,
            Self::Token { .. } => ErrorClass::Unavailable,
            Self::Locked { .. } | Self::Pin { .. } => ErrorClass::Denied,
            // A key file that isn't there is a site that isn't complete, not bad data.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorClass::Config
            }
            Self::Io { source, .. } => ConnectorError::from_io(source, "").class(),
            Self::Purpose
            | Self::Missing { .. }
            | Self::MissingVersion { .. }
            | Self::Mode { .. }
            | Self::Malformed { .. }
            | Self::PublicKey { .. }
            | Self::Kind { .. }
            | Self::Exists { .. }
            | Self::Name
            | Self::KekId
            | Self::Secret { .. }
            | Self::Weak { .. }
            | Self::Protection { .. }
            | Self::Held { .. }
            | Self::Left { .. }
            | Self::Taken { .. }
            | Self::Within { .. }
            | Self::Versions { .. } => ErrorClass::Config,
        }
    }
}
