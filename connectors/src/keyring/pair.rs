//! Key pairs of people outside, and the one written form of every secret key.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyringError, PublicKey};
use crate::durable;
use crate::error::ConnectorError;

const PREFIX: &str = "lockgate-key:v1:";

/// Longest key file that is looked at: no label and key together come near it.
const LINE_BYTES_MAX: usize = 256;

/// Whose pair it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairKind {
    /// Signs grants: Ed25519.
    Approver,
    /// Opens sealed deliveries: X25519.
    Recipient,
    /// Signs a recipient's receipts: Ed25519.
    Receipt,
}

impl PairKind {
    /// The name in the private key's file and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approver => "approver",
            Self::Recipient => "recipient",
            Self::Receipt => "receipt",
        }
    }

    fn public_key(self, secret: &Zeroizing<[u8; KEY_BYTES]>) -> PublicKey {
        match self {
            Self::Approver | Self::Receipt => PublicKey::from(&SigningKey::from_bytes(secret)),
            Self::Recipient => PublicKey::of_x25519(&StaticSecret::from(**secret)),
        }
    }
}

/// Where a pair was written.
#[derive(Debug, Clone)]
pub struct PairFiles {
    /// `NAME.key`, mode 0600, to be kept secret.
    pub private: PathBuf,
    /// `NAME.pub`, one line, to be given to the site.
    pub public: PathBuf,
    /// The public key, as it stands in `NAME.pub`.
    pub key: PublicKey,
}

/// The private side of a pair: zeroized on drop, `Debug` shows whose it is and no more.
pub struct PrivateKey {
    kind: PairKind,
    path: PathBuf,
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

impl PrivateKey {
    /// Whose key it is.
    pub fn kind(&self) -> PairKind {
        self.kind
    }

    /// The public side.
    pub fn public_key(&self) -> PublicKey {
        self.kind.public_key(&self.secret)
    }

    /// The approver's signing key.
    ///
    /// # Errors
    /// If it is another's key: a recipient's can't sign, one for receipts signs receipts alone.
    pub fn signing_key(&self) -> Result<SigningKey, ConnectorError> {
        self.key_of(PairKind::Approver, "an approver")
    }

    /// The key by which a recipient signs receipts.
    ///
    /// # Errors
    /// If it is an approver's, or one to seal to.
    pub fn receipt_key(&self) -> Result<SigningKey, ConnectorError> {
        self.key_of(PairKind::Receipt, "a recipient for receipts")
    }

    fn key_of(&self, kind: PairKind, wanted: &'static str) -> Result<SigningKey, ConnectorError> {
        if self.kind != kind {
            return Err(KeyringError::Kind {
                path: self.path.clone(),
                found: self.kind.as_str(),
                wanted,
            }
            .into());
        }
        Ok(SigningKey::from_bytes(&self.secret))
    }

    /// The 32 secret bytes: Ed25519 seed or X25519 scalar.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, ..)", self.kind.as_str())
    }
}

/// Makes `NAME.key` (mode 0600) and `NAME.pub` in `directory`, and overwrites neither.
///
/// # Errors
/// If `name` isn't an id, one of the files exists, or the directory can't be written.
pub fn write_pair(
    directory: &Path,
    name: &str,
    kind: PairKind,
) -> Result<PairFiles, ConnectorError> {
    if !durable::is_id(name) {
        return Err(KeyringError::Name.into());
    }
    let private = directory.join(format!("{name}.key"));
    let public = directory.join(format!("{name}.pub"));
    let secret = random_secret()?;
    let key = kind.public_key(&secret);
    durable::write_new(&public, format!("{key}\n").as_bytes(), 0o644)
        .map_err(|source| writing(&public, source))?;
    if let Err(error) = write_secret(&private, &encode_line(kind.as_str(), &secret)) {
        // A public key without its private side would only mislead. Its own removal failing
        // changes nothing about the error to report.
        drop(fs::remove_file(&public));
        return Err(error.into());
    }
    durable::sync_directory(directory).map_err(|source| writing(directory, source))?;
    Ok(PairFiles {
        private,
        public,
        key,
    })
}

/// Reads the private side of a pair.
///
/// # Errors
/// If the file can't be read, is open to others than its owner, or holds no approver's or
/// recipient's key.
pub fn read_private(path: &Path) -> Result<PrivateKey, ConnectorError> {
    let (label, secret) = read_line(path)?;
    let kind = [PairKind::Approver, PairKind::Recipient, PairKind::Receipt]
        .into_iter()
        .find(|kind| kind.as_str() == label)
        .ok_or_else(|| KeyringError::Malformed {
            path: path.to_owned(),
            what: "expected the private key of an approver or a recipient, as `lockgate keys pair` makes it",
        })?;
    Ok(PrivateKey {
        kind,
        path: path.to_owned(),
        secret,
    })
}

fn writing(path: &Path, source: io::Error) -> KeyringError {
    if source.kind() == io::ErrorKind::AlreadyExists {
        KeyringError::Exists {
            path: path.to_owned(),
        }
    } else {
        KeyringError::Io {
            action: "write",
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// 32 bytes of the operating system's randomness.
pub(super) fn random_secret() -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(secret.as_mut()).map_err(|error| KeyringError::Random {
        source: Arc::new(error.into()),
    })?;
    Ok(secret)
}

/// `lockgate-key:v1:LABEL:BASE64` and a line feed.
pub(super) fn encode_line(label: &str, secret: &[u8; KEY_BYTES]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(secret));
    // Reserved beforehand, so that growing leaves no copy behind.
    let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES_MAX));
    for part in [PREFIX, label, ":", &encoded, "\n"] {
        line.push_str(part);
    }
    line
}

/// Writes a new file of mode 0600 and syncs it; the directory is the caller's to sync.
pub(super) fn write_secret(path: &Path, line: &str) -> Result<(), KeyringError> {
    durable::write_new(path, line.as_bytes(), 0o600).map_err(|source| writing(path, source))
}

/// Opens a file that is its owner's alone; any other is refused before it is read.
pub(super) fn open_private(path: &Path) -> Result<fs::File, KeyringError> {
    let io = |source: io::Error| KeyringError::Io {
        action: "read key file",
        path: path.to_owned(),
        source: source.into(),
    };
    // Opening a pipe would wait for whoever writes to it.
    if fs::metadata(path).map_err(io)?.file_type().is_fifo() {
        return Err(KeyringError::Malformed {
            path: path.to_owned(),
            what: "a pipe is no key file: restore the file from a backup",
        });
    }
    let file = fs::File::open(path).map_err(io)?;
    // The mode of the opened file, not of whatever the path names a moment later.
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(KeyringError::Malformed {
            path: path.to_owned(),
            what: "not a file: restore the file from a backup",
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(file)
}

/// Reads a key file: its label and its secret.
pub(super) fn read_line(path: &Path) -> Result<(String, Zeroizing<[u8; KEY_BYTES]>), KeyringError> {
    let io = |source: io::Error| KeyringError::Io {
        action: "read key file",
        path: path.to_owned(),
        source: source.into(),
    };
    let malformed = || KeyringError::Malformed {
        path: path.to_owned(),
        what: "expected one line `lockgate-key:v1:PURPOSE:BASE64` with a key of 32 bytes: restore the file from a backup",
    };
    let file = open_private(path)?;
    let mut content = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX + 1));
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut content).map_err(io)?;
    decode_line(&content).ok_or_else(malformed)
}

fn decode_line(content: &[u8]) -> Option<(String, Zeroizing<[u8; KEY_BYTES]>)> {
    let text = std::str::from_utf8(content).ok()?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (label, encoded) = text.strip_prefix(PREFIX)?.split_once(':')?;
    // The decoder asks for room in whole groups, so one byte more than a key has.
    let mut decoded = Zeroizing::new([0; KEY_BYTES + 1]);
    let length = STANDARD.decode_slice(encoded, decoded.as_mut()).ok()?;
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    secret.copy_from_slice(
        decoded
            .get(..length)
            .filter(|bytes| bytes.len() == KEY_BYTES)?,
    );
    Some((label.to_owned(), secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pair_round_trips() {
        let directory = tempfile::tempdir().unwrap();
        for (kind, prefix) in [
            (PairKind::Approver, "ed25519:"),
            (PairKind::Recipient, "x25519:"),
            (PairKind::Receipt, "ed25519:"),
        ] {
            let files = write_pair(directory.path(), kind.as_str(), kind).unwrap();
            let line = fs::read_to_string(&files.public).unwrap();
            assert_eq!(line, format!("{}\n", files.key));
            assert!(line.starts_with(prefix));
            assert_eq!(PublicKey::parse(line.trim_end()).unwrap(), files.key);
            let private = read_private(&files.private).unwrap();
            assert_eq!(private.public_key(), files.key);
            assert_eq!(private.kind(), kind);
            assert_eq!(private.signing_key().is_ok(), kind == PairKind::Approver);
            assert_eq!(private.receipt_key().is_ok(), kind == PairKind::Receipt);
            assert_eq!(
                format!("{private:?}"),
                format!("PrivateKey({}, ..)", kind.as_str())
            );
            let mode = fs::metadata(&files.private).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
    }

    #[test]
    fn neither_file_is_ever_overwritten() {
        for existing in ["zhang.key", "zhang.pub"] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(existing), "mine").unwrap();
            let error = write_pair(directory.path(), "zhang", PairKind::Approver).unwrap_err();
            assert!(error.to_string().contains(existing), "{error}");
            assert_eq!(
                fs::read_to_string(directory.path().join(existing)).unwrap(),
                "mine"
            );
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "",
            "../x",
            "a/b",
            ".hidden",
            "/etc/x",
            "名",
            &"a".repeat(65),
        ] {
            assert!(write_pair(directory.path(), name, PairKind::Approver).is_err());
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_master_key_is_no_private_key_of_a_pair() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("manifest.v1.key");
        write_secret(&path, &encode_line("manifest", &[1; 32])).unwrap();
        let error = read_private(&path).unwrap_err();
        assert!(error.to_string().contains("lockgate keys pair"), "{error}");
    }
}
