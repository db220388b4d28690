//! Reading a site's files: what is there, what of it can be used, and what is wrong with the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use lockgate_transforms::TreatmentSpec;
use lockgate_transforms::treatments::substitute::ValueLines;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::check::{self, Hooks};
use super::read::{self, FILE_BYTES_MAX};
use super::{Dataset, Grant, Job, Loaded, Policy, Problem, Recipient, Site, SiteError};
use crate::id::{ID_RULE, check_path, is_id};

/// Name of the site's own file.
pub const SITE_FILE: &str = "lockgate.toml";

/// Name of the policy's file.
pub const POLICY_FILE: &str = "policy.toml";

/// Folder of the files that treatments take values from.
const VALUES_FOLDER: &str = "lists";

/// One entity a file, in a folder of its own.
trait Entity: DeserializeOwned {
    /// The folder.
    const FOLDER: &'static str;

    fn id(&self) -> &str;
}

impl Entity for Dataset {
    const FOLDER: &'static str = "catalogue";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Entity for Grant {
    const FOLDER: &'static str = "grants";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Entity for Recipient {
    const FOLDER: &'static str = "recipients";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Entity for Job {
    const FOLDER: &'static str = "jobs";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Site {
    /// Reads every file of a site and checks them against each other. Looks at no data, opens no
    /// store, and does not look at keys ([`Site::key_problems`] does).
    ///
    /// # Errors
    /// There is no `lockgate.toml`, or it cannot be used at all.
    pub fn load(root: &Path) -> Result<Self, SiteError> {
        Self::load_with(root, &Hooks::default())
    }

    /// [`Site::load`] with other checks of what this module does not know.
    ///
    /// # Errors
    /// As [`Site::load`].
    pub fn load_with(root: &Path, hooks: &Hooks) -> Result<Self, SiteError> {
        if fs::symlink_metadata(root.join(SITE_FILE)).is_err() {
            return Err(SiteError::NotASite {
                root: root.to_owned(),
            });
        }
        let mut reader = Reader::new(root);
        let file = reader.read_file(SITE_FILE);
        let Some(file) = file else {
            return Err(SiteError::Unusable {
                problems: reader.problems,
            });
        };
        let policy = reader.read_policy();
        let datasets = reader.read_folder();
        let grants = reader.read_folder();
        reader.read_value_files(&policy, &grants);
        let mut site = Self {
            root: root.to_owned(),
            file,
            policy,
            datasets,
            grants,
            recipients: reader.read_folder(),
            jobs: reader.read_folder(),
            problems: Vec::new(),
            joint: BTreeMap::new(),
            idle: BTreeSet::new(),
            unreadable: reader.unreadable,
        };
        let checked = check::check(&site, hooks);
        site.joint = checked.joint;
        site.problems = reader.problems;
        site.problems.extend(checked.problems);
        site.problems.extend(checked.idle.iter().cloned());
        site.idle = checked.idle;
        site.problems.sort();
        site.problems.dedup();
        Ok(site)
    }
}

impl<T: DeserializeOwned> Loaded<T> {
    /// Reads the text of a file. The value is there if the file has no problem.
    pub fn parse(bytes: &[u8], file: &str) -> (Option<Self>, Vec<Problem>) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let good = String::from_utf8_lossy(good);
                let (line, column) = read::Document::of_text(&good).position(good.len());
                let problem = Problem {
                    file: file.to_owned(),
                    line,
                    column,
                    what: "the file is not UTF-8 text".to_owned(),
                    hint: Some("save it as UTF-8".to_owned()),
                };
                return (None, vec![problem]);
            }
        };
        let (value, document, problems) = read::read(text, file);
        let loaded = value.map(|value| Self {
            value,
            file: file.to_owned(),
            sha256: sha256_hex(bytes),
            document: document.into(),
        });
        (loaded, problems)
    }
}

/// Lower-case hex SHA-256 (FIPS 180-4).
fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

struct Reader<'a> {
    root: &'a Path,
    problems: Vec<Problem>,
    /// Files that exist and cannot be used.
    unreadable: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            problems: Vec::new(),
            unreadable: BTreeSet::new(),
        }
    }

    fn problem(&mut self, file: &str, what: impl Into<String>, hint: Option<&str>) {
        self.problems.push(Problem {
            file: file.to_owned(),
            line: 1,
            column: 1,
            what: what.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn read_file<T: DeserializeOwned>(&mut self, file: &str) -> Option<Loaded<T>> {
        let value = match self.bytes(file) {
            Ok(bytes) => {
                let (value, problems) = Loaded::parse(&bytes, file);
                self.problems.extend(problems);
                value
            }
            Err((what, hint)) => {
                self.problem(file, what, hint);
                None
            }
        };
        if value.is_none() {
            self.unreadable.insert(file.to_owned());
        }
        value
    }

    fn read_policy(&mut self) -> Loaded<Policy> {
        if fs::symlink_metadata(self.root.join(POLICY_FILE)).is_err() {
            let hint = "without a policy every field is withheld; `lockgate init` writes one";
            self.problem(POLICY_FILE, "the site has no policy.toml", Some(hint));
        } else if let Some(policy) = self.read_file(POLICY_FILE) {
            return policy;
        }
        Loaded {
            value: Policy::default(),
            file: POLICY_FILE.to_owned(),
            sha256: sha256_hex(&[]),
            document: read::Document::default().into(),
        }
    }

    fn read_folder<T: Entity>(&mut self) -> BTreeMap<String, Loaded<T>> {
        let mut entities: BTreeMap<String, Loaded<T>> = BTreeMap::new();
        for name in self.names(T::FOLDER) {
            let file = format!("{}/{name}", T::FOLDER);
            let Some(loaded) = self.read_file::<T>(&file) else {
                continue;
            };
            let id = loaded.id().to_owned();
            let stem = name.strip_suffix(".toml").unwrap_or(&name);
            if !is_id(&id) {
                let hint = Some(format!("an id is {ID_RULE}"));
                self.problems
                    .push(loaded.problem(&["id"], format!("`{id}` is not an id"), hint));
            } else if stem != id {
                let what = format!("the file is not named after the id it holds, `{id}`");
                let hint = Some(format!(
                    "rename the file to {id}.toml, or the id to `{stem}`"
                ));
                self.problems.push(loaded.problem(&["id"], what, hint));
            }
            if let Some(first) = entities.get(&id) {
                let same = |file: &str| format!("id `{id}` is also the id of {file}");
                let hint = || Some("give one of them another id".to_owned());
                self.problems
                    .push(loaded.problem(&["id"], same(&first.file), hint()));
                self.problems
                    .push(first.problem(&["id"], same(&loaded.file), hint()));
                if first.file == format!("{}/{id}.toml", T::FOLDER) {
                    continue;
                }
            }
            entities.insert(id, loaded);
        }
        entities
    }

    /// Names of the folder's files, sorted; hidden ones and those that are no TOML left out.
    fn names(&mut self, folder: &str) -> Vec<String> {
        let directory = self.root.join(folder);
        if fs::symlink_metadata(&directory).is_err() {
            return Vec::new();
        }
        if !self.is_within(&directory) {
            self.problem(folder, "the folder is a link that leaves the site", None);
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir(&directory) else {
            self.problem(
                folder,
                "the folder cannot be read",
                Some("check its permissions"),
            );
            return Vec::new();
        };
        let mut names = Vec::new();
        for entry in entries {
            let Ok(entry) = entry else {
                self.problem(folder, "the folder cannot be read to its end", None);
                break;
            };
            match entry.file_name().into_string() {
                Ok(name) if name.ends_with(".toml") && !name.starts_with('.') => names.push(name),
                Ok(_) => {}
                Err(name) => {
                    let name = name.to_string_lossy();
                    if name.ends_with(".toml") {
                        let file = format!("{folder}/{name}");
                        self.problem(&file, "the name of the file is not UTF-8", None);
                    }
                }
            }
        }
        names.sort();
        names
    }

    /// Hands every treatment the content of the files of values it names, or why there is none: what
    /// is wrong is then said where the treatment is written.
    fn read_value_files(&self, policy: &Policy, grants: &BTreeMap<String, Loaded<Grant>>) {
        let floors = policy.rules.iter().map(|rule| &rule.treatment);
        let own = grants.values().flat_map(|grant| {
            let exempted = grant
                .exemptions
                .iter()
                .map(|exemption| &exemption.treatment);
            grant.treatments.values().chain(exempted)
        });
        let mut read: BTreeMap<&str, Result<ValueLines, String>> = BTreeMap::new();
        for file in floors.chain(own).flat_map(TreatmentSpec::value_files) {
            let content = read
                .entry(file.path())
                .or_insert_with(|| self.value_file(file.path()));
            file.set(content.clone());
        }
    }

    /// The content of a file of values. Only those of one folder are read: whatever is named here may
    /// be delivered, and a site has files that never may.
    fn value_file(&self, path: &str) -> Result<ValueLines, String> {
        let refused = |what: &str| format!("file `{path}` {what}");
        let folder = format!("{VALUES_FOLDER}/");
        if check_path(path).is_err() || !path.starts_with(&folder) {
            return Err(refused("is none of the folder lists/ of the site"));
        }
        let real = |path: &Path| path.canonicalize().ok();
        // The folder itself may be no link either: the site's keys are within the site, too.
        let folder = real(self.root).map(|root| root.join(VALUES_FOLDER));
        match (folder, real(&self.root.join(path))) {
            (Some(folder), Some(file)) if file.starts_with(&folder) => {}
            (_, Some(_)) => return Err(refused("is a link that leaves the folder lists/")),
            (_, None) => return Err(refused("is not there")),
        }
        let bytes = self.bytes(path).map_err(|(what, _)| {
            let what = what.strip_prefix("the file ").unwrap_or(&what);
            refused(what)
        })?;
        ValueLines::of(&bytes).ok_or_else(|| refused("is not UTF-8 text"))
    }

    fn is_within(&self, path: &Path) -> bool {
        match (self.root.canonicalize(), path.canonicalize()) {
            (Ok(root), Ok(path)) => path.starts_with(root),
            _ => false,
        }
    }

    fn bytes(&self, file: &str) -> Result<Vec<u8>, (String, Option<&'static str>)> {
        let path: PathBuf = self.root.join(file);
        let plain = |what: &str| (what.to_owned(), None);
        if path.canonicalize().is_ok() && !self.is_within(&path) {
            return Err(plain("the file is a link that leaves the site"));
        }
        let unreadable = |_| {
            (
                "the file cannot be read".to_owned(),
                Some("check its permissions"),
            )
        };
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(plain("not a regular file"));
        }
        let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
        let too_large = || ("the file is larger than 1 MiB".to_owned(), Some("split it"));
        if metadata.len() > most {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(too_large());
        }
        Ok(bytes)
    }
}
