//! Secrets that open a keyring, fetched at the moment of use and wiped after it.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::KeyringError;
use super::pair::open_private;

/// Most bytes of a secret.
const SECRET_BYTES_MAX: usize = 4096;

type Fetch = dyn Fn() -> Result<Zeroizing<String>, KeyringError> + Send + Sync;

/// Where a secret comes from. Holds none itself, and shows none.
#[derive(Clone)]
pub struct SecretSource(Arc<Fetch>);

impl SecretSource {
    /// A secret that is fetched by a function.
    pub fn new(
        fetch: impl Fn() -> Result<Zeroizing<String>, KeyringError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(fetch))
    }

    /// The content of a file, without its last newline. The file must be its owner's alone.
    pub fn of_file(path: PathBuf) -> Self {
        Self::new(move || {
            let unusable = || KeyringError::Malformed {
                path: path.clone(),
                what: "expected a secret of one line, in UTF-8",
            };
            let file = open_private(&path)?;
            // Reserved beforehand, so that growing leaves no copy behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
            let limit = u64::try_from(SECRET_BYTES_MAX + 1).unwrap_or(u64::MAX);
            file.take(limit)
                .read_to_end(&mut bytes)
                .map_err(|source| KeyringError::Io {
                    action: "read",
                    path: path.clone(),
                    source: source.into(),
                })?;
            let text = std::str::from_utf8(&bytes).map_err(|_| unusable())?;
            let text = text.strip_suffix('\n').unwrap_or(text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if text.is_empty() || text.contains('\n') || bytes.len() > SECRET_BYTES_MAX {
                return Err(unusable());
            }
            Ok(Zeroizing::new(text.to_owned()))
        })
    }

    /// Fetches the secret.
    pub(super) fn fetch(&self) -> Result<Zeroizing<String>, KeyringError> {
        (self.0)()
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSource(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, SecretSource::of_file(path.clone()), path)
    }

    #[test]
    fn a_secret_is_the_line_in_the_file() {
        for content in [
            &b"correct horse"[..],
            b"correct horse\n",
            b"correct horse\r\n",
        ] {
            let (_directory, source, _) = file(content, 0o600);
            assert_eq!(source.fetch().unwrap().as_str(), "correct horse");
            assert_eq!(format!("{source:?}"), "SecretSource(..)");
        }
    }

    #[test]
    fn a_file_open_to_others_or_without_a_secret_is_refused_and_not_quoted() {
        for (content, mode) in [
            (b"correct horse".to_vec(), 0o640),
            (b"correct horse".to_vec(), 0o604),
            (b"".to_vec(), 0o600),
            (b"\n".to_vec(), 0o600),
            (b"correct\nhorse".to_vec(), 0o600),
            (b"correct\xff".to_vec(), 0o600),
            (vec![b'c'; 5000], 0o600),
        ] {
            let (_directory, source, path) = file(&content, mode);
            let error = source.fetch().unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            assert!(!text.contains("correct"), "{text}");
        }
        let missing = SecretSource::of_file(PathBuf::from("/nowhere/passphrase"));
        assert!(missing.fetch().is_err());
    }
}
