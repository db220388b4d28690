//! Small sites, made and used through the real command line, and what the tests read of them.
//!
//! A [`Site`] is a directory that `init` made, with one approver (`data-office`), one recipient
//! (`civil-affairs`), a store to read from (`lake`) and one to deliver to (`outbox`). Datasets,
//! grants and policy are TOML that a test writes; every command is the program under test in a
//! process of its own. [`Delivery`] reads what a recipient would: the manifest and the files it
//! names, nothing else.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a fixture that does not come about is a failed test"
)]

mod delivery;
mod documents;
mod source;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub use self::delivery::Delivery;
pub use self::documents::{Dataset, Grant};
pub use self::source::{TextForm, in_form, parquet_bytes, write_parquet};

/// Name of the approver of every site here.
pub const APPROVER: &str = "data-office";

/// Id of the recipient of every site here.
pub const RECIPIENT: &str = "civil-affairs";

/// Department whose data the approver may release.
pub const PROVIDER: &str = "public-security";

/// A site in a directory of its own, which goes with it.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    program: PathBuf,
    environment: Vec<(String, String)>,
    approver_key: String,
}

/// The parts of `lockgate.toml` that differ between tests.
#[derive(Debug, Clone)]
pub struct Configuration<'a> {
    /// Body of `[stores.lake]`.
    pub lake: &'a str,
    /// Body of `[stores.outbox]`.
    pub outbox: &'a str,
    /// Tables after the others, such as `[limits]`.
    pub more: &'a str,
}

impl Default for Configuration<'_> {
    fn default() -> Self {
        Self {
            lake: "url = \"file:lake\"",
            outbox: "url = \"file:outbox\"",
            more: "",
        }
    }
}

impl Site {
    /// Makes a site with `init` and `keys pair`; its policy lets every field be delivered clear.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("people")).expect("a directory for people's keys");
        let mut site = Self {
            directory,
            program: program.as_ref().to_owned(),
            environment: Vec::new(),
            approver_key: String::new(),
        };
        site.bare(["init", "site"]).expect_code(0);
        site.approver_key = site.pair("approver", "approver");
        let recipient = site.pair("recipient", "recipient");
        site.configure(&Configuration::default());
        site.write(
            &format!("recipients/{RECIPIENT}.toml"),
            &format!("id = \"{RECIPIENT}\"\nname = \"民政局\"\npublic_keys = [\"{recipient}\"]\n"),
        );
        site.policy("[[rules]]\ntreatment = { kind = \"clear\" }\n");
        fs::create_dir(site.path("lake")).expect("a lake");
        site
    }

    /// Another site, with all that this one has, its keys too. Starts no program.
    pub fn copied(&self) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        copy_tree(self.directory.path(), directory.path());
        Self {
            directory,
            program: self.program.clone(),
            environment: self.environment.clone(),
            approver_key: self.approver_key.clone(),
        }
    }

    /// Makes a pair in `people/` and gives its public key.
    pub fn pair(&self, name: &str, kind: &str) -> String {
        let people = self.directory.path().join("people");
        let made = finish(
            self.command()
                .current_dir(people)
                .args(["--json", "keys", "pair", name, "--kind", kind]),
        );
        let document = made.expect_code(0).document();
        document["public_key"]
            .as_str()
            .expect("a public key")
            .to_owned()
    }

    /// A private key file in `people/`.
    pub fn private_key(&self, name: &str) -> PathBuf {
        self.directory
            .path()
            .join("people")
            .join(format!("{name}.key"))
    }

    /// The approver's public key.
    pub fn approver_key(&self) -> &str {
        &self.approver_key
    }

    /// The directory that holds the site, for files beside it.
    pub fn beside(&self) -> &Path {
        self.directory.path()
    }

    /// The site's directory.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("site")
    }

    /// A file of the site.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Sets a variable for every command from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes `lockgate.toml`.
    pub fn configure(&self, configuration: &Configuration<'_>) {
        let Configuration { lake, outbox, more } = configuration;
        let key = &self.approver_key;
        self.write(
            "lockgate.toml",
            &format!(
                "[site]\nname = \"test-hub\"\ntier = \"regional\"\ntimezone = \"Asia/Shanghai\"\n\
                 [stores.lake]\n{lake}\n[stores.outbox]\n{outbox}\n\
                 [keys]\nprovider = \"local\"\npath = \"keys\"\n\
                 [delivery]\nstore = \"outbox\"\n\
                 [approvers.{APPROVER}]\npublic_key = \"{key}\"\nproviders = [\"{PROVIDER}\"]\n\
                 {more}\n"
            ),
        );
    }

    /// Writes `lockgate.toml` with tables added, such as `[limits]`.
    pub fn configure_more(&self, more: &str) {
        self.configure(&Configuration {
            more,
            ..Configuration::default()
        });
    }

    /// Writes a file of the site.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        let parent = path.parent().expect("a file has a directory");
        fs::create_dir_all(parent).expect("a directory for the file");
        fs::write(path, text).expect("a file of the site");
    }

    /// Reads a file of the site.
    pub fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).expect("a file of the site")
    }

    /// Replaces text that occurs in a file of the site.
    #[track_caller]
    pub fn edit(&self, relative: &str, old: &str, new: &str) {
        let text = self.read(relative);
        assert!(text.contains(old), "{relative} does not hold {old}");
        self.write(relative, &text.replace(old, new));
    }

    /// Writes `policy.toml`.
    pub fn policy(&self, text: &str) {
        self.write("policy.toml", text);
    }

    /// Writes a dataset.
    pub fn dataset(&self, dataset: &Dataset) {
        self.write(
            &format!("catalogue/{}.toml", dataset.id()),
            &dataset.to_toml(),
        );
    }

    /// Writes a grant, unsigned.
    pub fn grant(&self, grant: &Grant) {
        self.write(&format!("grants/{}.toml", grant.id()), &grant.to_toml());
    }

    /// Writes a grant and signs it as the approver.
    #[track_caller]
    pub fn signed(&self, grant: &Grant) {
        self.grant(grant);
        self.sign(grant.id()).expect_code(0);
    }

    /// Signs a grant as the approver.
    pub fn sign(&self, grant: &str) -> Finished {
        self.sign_as(grant, "approver")
    }

    /// Signs a grant with another key of `people/`.
    pub fn sign_as(&self, grant: &str, name: &str) -> Finished {
        let key = self.private_key(name);
        self.json([
            "grant".as_ref(),
            "sign".as_ref(),
            grant.as_ref(),
            "--key".as_ref(),
            key.as_os_str(),
        ])
    }

    /// Runs a grant.
    pub fn run(&self, grant: &str) -> Finished {
        self.json(["run", grant])
    }

    /// Runs a grant that must be delivered without rejects, and reads its delivery.
    #[track_caller]
    pub fn deliver(&self, grant: &str) -> Delivery {
        Delivery::of_run(&self.run(grant).expect_code(0).document())
    }

    /// A command over the site, with `--json`.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        finish(
            self.command()
                .arg("--site")
                .arg(self.root())
                .arg("--json")
                .args(arguments),
        )
    }

    /// A command over the site, for people.
    pub fn text<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        finish(
            self.command()
                .arg("--site")
                .arg(self.root())
                .args(arguments),
        )
    }

    /// A command in the directory beside the site, nothing added.
    pub fn bare<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        finish(self.command().args(arguments))
    }

    /// The program, to be started otherwise: its working directory is the one beside the site, and
    /// of this process' environment it sees what a program needs and nothing of Lockgate's.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .env_remove("LOCKGATE_LOG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// What came of a command.
#[derive(Clone)]
pub struct Finished {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Shown when an assertion fails: as the terminal would.
impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

impl Finished {
    /// The same, if it ended with that exit code.
    #[track_caller]
    #[must_use]
    pub fn expecting(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Fails the test unless it ended with that exit code.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self:?}"))
    }

    /// Codes of the document's refusals, in order.
    #[track_caller]
    pub fn refusals(&self) -> Vec<String> {
        let document = self.document();
        let refusals = document["refusals"]
            .as_array()
            .unwrap_or_else(|| panic!("{self:?}"));
        let code = |refusal: &Value| refusal["code"].as_str().unwrap_or_default().to_owned();
        refusals.iter().map(code).collect()
    }
}

/// Copies what a directory holds into another, with the modes.
fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory that can be read") {
        let entry = entry.expect("an entry of a directory");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata().expect("what the entry is");
        if metadata.is_dir() {
            fs::create_dir(&target).expect("a directory");
            copy_tree(&source, &target);
            fs::set_permissions(&target, metadata.permissions()).expect("its mode");
        } else {
            fs::copy(&source, &target).expect("a copy of a file");
        }
    }
}

/// Starts a command and waits for its end.
pub fn finish(command: &mut Command) -> Finished {
    let output = command.output().expect("the program under test starts");
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("output in UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("output in UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_copy_has_the_files_and_their_modes() {
        let (from, to) = (tempfile::tempdir(), tempfile::tempdir());
        let (from, to) = (from.expect("a directory"), to.expect("a directory"));
        let set = |path: PathBuf, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        fs::create_dir_all(from.path().join("keys/old")).expect("directories");
        fs::write(from.path().join("keys/a.key"), "secret").expect("a file");
        set(from.path().join("keys/a.key"), 0o600);
        set(from.path().join("keys"), 0o700);
        copy_tree(from.path(), to.path());
        let mode = |name: &str| {
            let metadata = fs::metadata(to.path().join(name)).expect("a copy");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode("keys"), mode("keys/a.key")), (0o700, 0o600));
        let text = fs::read_to_string(to.path().join("keys/a.key"));
        assert_eq!(text.expect("a file"), "secret");
        assert!(to.path().join("keys/old").is_dir());
    }
}
