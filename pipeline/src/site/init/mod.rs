//! A new site: its files and folders, with a policy that fails closed. Keys are the keyring's.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{POLICY_FILE, SITE_FILE};

/// Folders of a site, and whether others than the owner may look into them.
const FOLDERS: [(&str, Open); 6] = [
    ("catalogue", Open::ToOthers),
    ("grants", Open::ToOthers),
    ("recipients", Open::ToOthers),
    ("jobs", Open::ToOthers),
    ("keys", Open::ToOwner),
    ("state", Open::ToOwner),
];

/// Kept out of version control: secrets, and what the program writes.
const IGNORED: &str = "/keys/*\n!/keys/*.pub\n/state/\n/outbox/\n";

/// The line of the template after which `[keys]` says what protects the keyring.
const KEYS_PATH: &str = "path = \"keys\"\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    ToOwner,
    ToOthers,
}

/// A site that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// There is something in the directory already.
    #[error("{} is not empty; name a new or an empty directory", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// A file or directory cannot be written.
    #[error("cannot write {}; check that the directory can be written", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Makes a site in `directory`, which is created or empty, and names the files written, relative to
/// it. What it writes passes `check`; it lacks keys, which the keyring makes in `keys/`, protected as the
/// line `protection` of `[keys]` says.
///
/// # Errors
/// The directory is not empty, or cannot be written.
pub fn init(directory: &Path, protection: Option<&str>) -> Result<Vec<String>, InitError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    if fs::read_dir(directory)
        .map_err(failed(directory))?
        .next()
        .is_some()
    {
        return Err(InitError::NotEmpty {
            directory: directory.to_owned(),
        });
    }
    for (folder, open) in FOLDERS {
        let path = directory.join(folder);
        create_directory(&path, open).map_err(failed(&path))?;
    }
    let protection = protection.map_or_else(String::new, |line| format!("{line}\n"));
    // Of the two that say NAME, the first is the site's.
    let site = include_str!("lockgate.toml")
        .replacen(KEYS_PATH, &format!("{KEYS_PATH}{protection}"), 1)
        .replacen("NAME", &toml_text(&name_of(directory)), 1);
    let files = [
        (SITE_FILE, site.as_str()),
        (POLICY_FILE, include_str!("policy.toml")),
        (".gitignore", IGNORED),
    ];
    for (file, text) in files {
        let path = directory.join(file);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(failed(&path))?;
    }
    Ok(files.map(|(file, _)| file.to_owned()).to_vec())
}

#[cfg(unix)]
fn create_directory(path: &Path, open: Open) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let mode = if open == Open::ToOwner { 0o700 } else { 0o755 };
    DirBuilder::new().mode(mode).create(path)
}

#[cfg(not(unix))]
fn create_directory(path: &Path, _: Open) -> io::Result<()> {
    DirBuilder::new().create(path)
}

/// The site's name to begin with: that of its directory.
fn name_of(directory: &Path) -> String {
    let name = directory
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.trim().to_owned()))
        .unwrap_or_default();
    if name.is_empty() {
        "my-site".to_owned()
    } else {
        name
    }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;
    use crate::site::lockgate_toml::SecretRef;

    #[test]
    fn a_new_site_has_no_problems() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["site", "数据\"局", "a'b"] {
            let directory = parent.path().join(name);
            let files = init(&directory, None).unwrap();
            assert_eq!(files, ["lockgate.toml", "policy.toml", ".gitignore"]);
            let site = Site::load(&directory).unwrap();
            assert_eq!(site.problems, []);
            assert_eq!(site.file.site.name, name);
        }
    }

    #[test]
    fn a_site_says_what_protects_its_keys() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("NAME");
        let line = "passphrase = { file = \"/etc/NAME\" }";
        init(&directory, Some(line)).unwrap();
        let site = Site::load(&directory).unwrap();
        assert_eq!(site.problems, []);
        assert_eq!(site.file.site.name, "NAME");
        let named = site.file.keys.passphrase.as_ref();
        assert!(
            matches!(named, Some(SecretRef::File(path)) if path.as_path() == Path::new("/etc/NAME")),
            "{named:?}"
        );
    }

    #[test]
    fn version_control_sees_public_keys_alone() {
        let directory = tempfile::tempdir().unwrap();
        init(directory.path(), None).unwrap();
        let ignored = fs::read_to_string(directory.path().join(".gitignore")).unwrap();
        let lines: Vec<&str> = ignored.lines().collect();
        assert_eq!(lines.first(), Some(&"/keys/*"));
        assert_eq!(lines.get(1), Some(&"!/keys/*.pub"));
    }

    #[test]
    fn a_new_site_lacks_only_keys() {
        let directory = tempfile::tempdir().unwrap();
        init(directory.path(), None).unwrap();
        let missing = |directory: &Path| Site::load(directory).unwrap().key_problems().len();
        assert_eq!(missing(directory.path()), 2);
        for key in ["manifest.v1.key", "ledger.v2.key"] {
            fs::write(directory.path().join("keys").join(key), "").unwrap();
        }
        assert_eq!(missing(directory.path()), 0);
    }

    #[test]
    fn the_policy_withholds_what_it_does_not_name() {
        let directory = tempfile::tempdir().unwrap();
        init(directory.path(), None).unwrap();
        let site = Site::load(directory.path()).unwrap();
        let last = site.policy.rules.last().unwrap();
        assert!(last.category.is_some() && last.max_level.is_some());
        for rule in &site.policy.rules {
            assert!(rule.category.is_some() || rule.max_level.is_some());
            if let Some(category) = &rule.category {
                assert!(
                    lockgate_transforms::category::find(category).is_some(),
                    "{category}"
                );
            }
        }
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("notes.txt"), "mine").unwrap();
        let error = init(directory.path(), None).unwrap_err();
        assert!(matches!(error, InitError::NotEmpty { .. }), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn keys_and_state_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        init(directory.path(), None).unwrap();
        for folder in ["keys", "state"] {
            let mode = fs::metadata(directory.path().join(folder))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }
}
