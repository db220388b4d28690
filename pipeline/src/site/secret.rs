//! Secrets by reference, resolved at the moment of use.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::lockgate_toml::SecretRef;

/// Most bytes of a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A secret that cannot be had. Names the reference, never the secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is absent, or not UTF-8.
    #[error(
        "environment variable `{name}`, which a secret is taken from, is not set to text; set it"
    )]
    Environment {
        /// Name of the variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("file {}, which a secret is taken from, cannot be read; create it, readable by this user only", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no secret.
    #[error("file {}, which a secret is taken from, is empty, not UTF-8 or larger than 64 KiB", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

impl SecretRef {
    /// The secret: the variable's value, or the file's content without its last newline. Relative
    /// files are sought in `root`, the site's directory.
    ///
    /// # Errors
    /// The variable is not set; the file is absent, empty, too large or not text.
    pub fn resolve(&self, root: &Path) -> Result<Zeroizing<String>, SecretError> {
        match self {
            Self::Env(name) => from_environment(name),
            Self::File(path) => from_file(root.join(path)),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that resolves `{ env = … }`"
)]
fn from_environment(name: &str) -> Result<Zeroizing<String>, SecretError> {
    // The standard library panics on such names.
    let unset = || SecretError::Environment {
        name: name.to_owned(),
    };
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(unset());
    }
    std::env::var(name).map(Zeroizing::new).map_err(|_| unset())
}

fn from_file(path: PathBuf) -> Result<Zeroizing<String>, SecretError> {
    // Wiped whatever happens; large enough from the start, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024 + 1));
    // Opening a pipe would wait for whoever writes to it.
    if std::fs::metadata(&path).is_ok_and(|found| found.file_type().is_fifo()) {
        return Err(SecretError::Unusable { path });
    }
    let read =
        File::open(&path).and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(source) = read {
        return Err(SecretError::File { path, source });
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let too_large = u64::try_from(bytes.len()).is_ok_and(|length| length > SECRET_BYTES_MAX);
    if text.is_empty() || too_large {
        return Err(SecretError::Unusable { path });
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_content_without_the_last_newline() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "s3cr3t \n").unwrap();
        let secret = SecretRef::File("secret".into())
            .resolve(directory.path())
            .unwrap();
        assert_eq!(secret.as_str(), "s3cr3t ");
    }

    #[test]
    fn absent_secrets_name_the_reference() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("empty"), "\n").unwrap();
        for (reference, part) in [
            (SecretRef::File("none".into()), "none"),
            (SecretRef::File("empty".into()), "empty"),
            (
                SecretRef::Env("LOCKGATE_TEST_THAT_IS_NOT_SET".into()),
                "LOCKGATE_TEST_THAT",
            ),
            (SecretRef::Env("A=B".into()), "A=B"),
            (SecretRef::Env(String::new()), "not set"),
        ] {
            let error = reference.resolve(directory.path()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
