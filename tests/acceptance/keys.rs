//! The keyring through the command line: protection, rotation, destruction, and a keyring that is
//! put back from an earlier time.

mod token;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lockgate::ledger::Event;
use lockgate_acceptance::site::Site;
use serde_json::Value;

use crate::PROGRAM;
use crate::exchange_site::{Content, ExchangeSite, GRANT};
use crate::people::{self, FIELDS};

const PASSPHRASE: &str = "correct horse battery staple";

/// A site whose keyring is tried, with what its commands need of the environment.
struct Desk {
    site: ExchangeSite,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Desk {
    fn new() -> Self {
        Self {
            site: ExchangeSite::on_files(),
            environment: Vec::new(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(["--json", "--site"])
            .arg(self.site.root())
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .env("LOCKGATE_LOG", "trace")
            .output()
            .unwrap()
    }

    /// Runs a command that must end so, and gives its document.
    fn ends(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.command(arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn done(&self, arguments: &[&str]) -> Value {
        self.ends(0, arguments)
    }

    /// Whether a command is refused with this said.
    fn refused(&self, arguments: &[&str], hint: &str) {
        let output = self.command(arguments);
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        let said = text(&output);
        assert!(said.contains(hint), "{arguments:?}: {said}");
    }

    /// A file beside the site, which its owner alone may read.
    fn secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.site.root().parent().unwrap().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn keys_say(&self, lines: &str) {
        self.site
            .edit("lockgate.toml", "[keys]\n", &format!("[keys]\n{lines}\n"));
    }

    fn keys_file(&self) -> PathBuf {
        self.site.root().parent().unwrap().join("keyring.key")
    }

    fn protect_by_key_file(&self) {
        let file = self.keys_file();
        let file = file.to_str().unwrap();
        self.done(&["keys", "protect", "--key-file", file]);
        self.keys_say(&format!("key_file = {{ file = \"{file}\" }}"));
    }

    /// What a run delivers.
    fn delivers(&self) -> Content {
        self.done(&["check"]);
        let output = self.command(&["run", GRANT]);
        assert!(
            matches!(output.status.code(), Some(0 | 5)),
            "{}",
            text(&output)
        );
        self.site.only_delivery().content
    }

    /// What the ledger says was done to the keyring, and in which generation.
    fn changes(&self) -> Vec<(u64, String)> {
        let history = self.site.ledger();
        let changes = history.iter().filter_map(|entry| match &entry.event {
            Event::KeyringChanged { generation, what } => Some((*generation, what.clone())),
            _ => None,
        });
        changes.collect()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn outputs_are_the_same_under_every_protection() {
    let plain = Desk::new().delivers();

    let desk = Desk::new();
    let file = desk.secret("passphrase", &format!("{PASSPHRASE}\n"));
    let file = file.to_str().unwrap();
    let told = desk.done(&["keys", "protect", "--passphrase-file", file]);
    assert_eq!(told["protection"], "passphrase");
    desk.refused(&["run", GRANT], "protected by a passphrase");
    desk.keys_say(&format!("passphrase = {{ file = \"{file}\" }}"));
    assert_eq!(desk.delivers(), plain);
    assert_eq!(desk.changes(), [(1, "protected".to_owned())]);
    desk.done(&["keys", "rotate"]);
    let listed = desk.done(&["keys", "list"]);
    assert_eq!(
        (&listed["generation"], &listed["root"]),
        (&2.into(), &2.into())
    );

    let desk = Desk::new();
    desk.protect_by_key_file();
    assert_eq!(desk.delivers(), plain);
    assert!(
        fs::read_dir(desk.site.path("keys"))
            .unwrap()
            .flatten()
            .all(|entry| entry.path().extension().is_none_or(|kind| kind != "key")),
        "plain files are gone"
    );
}

#[test]
fn a_keyring_of_an_earlier_time_is_refused_by_every_command_that_uses_it() {
    let desk = Desk::new();
    desk.protect_by_key_file();
    let keys = desk.site.path("keys");
    let earlier = desk.site.root().parent().unwrap().join("earlier");
    copy(&keys, &earlier);
    desk.done(&["keys", "new", "mark"]);
    desk.done(&["keys", "rotate"]);
    assert_eq!(
        desk.changes(),
        [
            (1, "protected".to_owned()),
            (2, "made mark v2".to_owned()),
            (3, "rotated".to_owned()),
        ]
    );
    let newest = desk.site.root().parent().unwrap().join("newest");
    fs::rename(&keys, &newest).unwrap();
    copy(&earlier, &keys);
    let checked = desk.ends(2, &["check"]);
    assert!(checked.to_string().contains("is an older one"), "{checked}");
    for arguments in [
        &["run", GRANT][..],
        &["preview", GRANT],
        &["keys", "rotate"],
        &["keys", "new", "mark"],
        &["keys", "list"],
    ] {
        desk.refused(arguments, "is an older one");
    }
    assert!(desk.site.deliveries().is_empty());
    fs::remove_dir_all(&keys).unwrap();
    fs::rename(&newest, &keys).unwrap();
    desk.delivers();
}

#[test]
fn plain_files_put_back_are_refused() {
    let desk = Desk::new();
    let keys = desk.site.path("keys");
    let plain = desk.site.root().parent().unwrap().join("plain");
    copy(&keys, &plain);
    desk.done(&["keys", "rotate"]);
    fs::remove_dir_all(&keys).unwrap();
    copy(&plain, &keys);
    desk.refused(&["run", GRANT], "is an older one");
    desk.refused(&["check"], "is an older one");
}

#[test]
fn a_change_that_was_not_recorded_is_recorded_by_the_next_run() {
    let desk = Desk::new();
    desk.done(&["keys", "rotate"]);
    let before = desk.site.path("state/ledger");
    let kept = desk.site.root().parent().unwrap().join("ledger-before");
    copy(&before, &kept);
    desk.done(&["keys", "rotate"]);
    fs::remove_dir_all(&before).unwrap();
    copy(&kept, &before);
    desk.delivers();
    assert_eq!(
        desk.changes(),
        [(1, "rotated".to_owned()), (2, "found: rotated".to_owned())]
    );
}

#[test]
fn destruction_asks_twice_and_is_recorded() {
    let desk = Desk::new();
    desk.done(&["keys", "new", "manifest"]);
    desk.refused(&["keys", "destroy", "manifest.v1"], "--yes");
    desk.refused(&["keys", "destroy", "manifest.v2", "--yes"], "newest");
    desk.refused(
        &[
            "keys",
            "destroy",
            "manifest.v2",
            "--yes",
            "--force",
            "manifest.v1",
        ],
        "newest",
    );
    desk.refused(&["keys", "destroy", "manifest.v9", "--yes"], "manifest.v9");
    desk.refused(&["keys", "destroy", "nonsense", "--yes"], "no key nonsense");
    let told = desk.done(&["keys", "destroy", "manifest.v1", "--yes"]);
    assert_eq!(told["destroyed"], "manifest.v1");
    assert!(!desk.site.path("keys/manifest.v1.key").exists());
    desk.done(&["keys", "destroy", "fpe.v1", "--yes", "--force", "fpe.v1"]);
    assert_eq!(
        desk.changes(),
        [
            (2, "destroyed manifest.v1".to_owned()),
            (3, "destroyed fpe.v1".to_owned()),
        ]
    );
    // What was signed with it still verifies.
    let exported = desk.done(&["keys", "export-public"]);
    assert_eq!(exported["manifest"].as_array().map(Vec::len), Some(2));
    assert_eq!(exported["ledger"].as_array().map(Vec::len), Some(1));
    let folder = desk.site.root().parent().unwrap().join("public");
    fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    desk.done(&["keys", "export-public", "--to", folder]);
    for name in ["manifest.pub", "ledger.pub"] {
        assert_eq!(
            fs::read(Path::new(folder).join(name)).unwrap(),
            fs::read(desk.site.path("keys").join(name)).unwrap()
        );
    }
    desk.refused(&["keys", "export-public", "--to", folder], "manifest.pub");
}

#[test]
fn a_destruction_that_was_killed_half_way_is_ended_by_asking_again() {
    let desk = Desk::new();
    desk.done(&["keys", "new", "manifest"]);
    let path = desk.site.path("keys/manifest.v1.key");
    let backup = fs::read(&path).unwrap();
    desk.done(&["keys", "destroy", "manifest.v1", "--yes"]);
    // Barred, and not removed; or put back from a backup.
    fs::write(&path, &backup).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    desk.done(&["keys", "destroy", "manifest.v1", "--yes"]);
    assert!(!path.exists());
    fs::write(&path, &backup).unwrap();
    desk.protect_by_key_file();
    assert!(
        !path.exists(),
        "nor does it keep the keyring from being protected"
    );
    assert_eq!(
        desk.changes().last().map(|(_, what)| what.as_str()),
        Some("protected")
    );
}

#[test]
fn a_key_that_earlier_deliveries_need_is_not_destroyed_unasked() {
    let desk = Desk::new();
    desk.done(&["keys", "new", "fpe"]);
    desk.done(&["keys", "new", "pseudonym"]);
    desk.delivers();
    desk.done(&["keys", "new", "fpe"]);
    desk.refused(&["keys", "destroy", "fpe.v2", "--yes"], "turned back");
    desk.refused(&["keys", "destroy", "pseudonym.v1", "--yes"], "made again");
    desk.done(&["keys", "destroy", "fpe.v2", "--yes", "--force", "fpe.v2"]);
}

/// The keys of deliveries that a site keeps, and what the ledger says was done to its keyring.
fn kept_and_done(site: &Site) -> (Vec<String>, Vec<String>) {
    let strings = |values: &Value| -> Vec<String> {
        let values = values.as_array().unwrap().iter();
        values
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    };
    let listed = site.json(["keys", "list"]).expecting(0).document();
    let ledger = site.json(["ledger", "list"]).expecting(0).document();
    let entries = ledger["entries"].as_array().unwrap().iter();
    let changes = entries.filter(|entry| entry["event"] == "keyring-changed");
    let done = changes
        .map(|entry| entry["what"].as_str().unwrap().to_owned())
        .collect();
    (strings(&listed["deliveries"]), done)
}

#[test]
fn the_key_of_a_delivery_that_stands_is_for_dispose_to_destroy() {
    let site = people::site(50);
    site.signed(&people::grant("G-1", &FIELDS).delivery("release = \"online\""));
    site.deliver("G-1");
    let (kept, done) = kept_and_done(&site);
    assert_eq!(done, ["began to keep keys of deliveries"]);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kek = kept[0].as_str();
    let refused = site.json(["keys", "destroy", kek, "--yes"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stdout.contains("dispose"), "{refused:?}");
    let never = format!("{}.{}", "0".repeat(32), "0".repeat(16));
    let refused = site.json(["keys", "destroy", never.as_str(), "--yes"]);
    assert!(refused.stdout.contains("never made"), "{refused:?}");
    site.json(["keys", "destroy", kek, "--yes", "--force", kek])
        .expect_code(0);
    let (left, done) = kept_and_done(&site);
    assert_eq!(left, [""; 0]);
    assert_eq!(done.last(), Some(&format!("destroyed {kek}")));
}

#[test]
fn what_a_failed_run_did_to_the_keyring_is_recorded_as_what_it_was() {
    let site = people::site(50);
    let fails = "{ kind = \"keep-ends\", first = 1, last = 0, on_short = \"fail\" }";
    let grant = people::grant("G-1", &FIELDS).delivery("release = \"online\"");
    site.signed(&grant.treatment("name", fails));
    assert_eq!(site.run("G-1").code, 1);
    let (kept, done) = kept_and_done(&site);
    assert_eq!(kept, [""; 0]);
    assert_eq!(done.len(), 2, "{done:?}");
    assert!(done[1].ends_with("of an attempt that published nothing"));
}

#[test]
fn a_site_can_begin_protected() {
    let desk = Desk::new();
    let beside = desk.site.root().parent().unwrap().to_owned();
    let fresh = beside.join("fresh");
    let file = desk.keys_file();
    let init = |arguments: &[&str]| {
        Command::new(PROGRAM)
            .args(["--json", "init"])
            .arg(&fresh)
            .args(arguments)
            .output()
            .unwrap()
    };
    let short = desk.secret("short", "hunter2");
    let refused = init(&["--passphrase-file", short.to_str().unwrap()]);
    assert!(
        text(&refused).contains("shorter than"),
        "{}",
        text(&refused)
    );
    assert!(!fresh.exists(), "nothing is half made");
    let made = init(&["--key-file", file.to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made));
    let names: Vec<String> = fs::read_dir(fresh.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".key"))
        .collect();
    assert_eq!(names, [""; 0], "no key was ever plain");
    let checked = Command::new(PROGRAM)
        .args(["--json", "--site"])
        .arg(&fresh)
        .arg("check")
        .output()
        .unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let listed = Command::new(PROGRAM)
        .args(["--json", "--site"])
        .arg(&fresh)
        .args(["keys", "list"])
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["protection"], "key-file");
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(6));
}

#[test]
fn what_opens_a_keyring_is_kept_apart_from_it() {
    let desk = Desk::new();
    desk.done(&["keys", "rotate"]);
    for name in ["root-1.key", "mark.v9.key"] {
        let inside = desk.site.path("keys").join(name);
        let inside = inside.to_str().unwrap();
        desk.refused(&["keys", "protect", "--key-file", inside], "own directory");
        desk.refused(
            &["keys", "protect", "--passphrase-file", inside],
            "own directory",
        );
    }
    assert!(!desk.site.path("keys/mark.v9.key").exists());
    desk.delivers();
}

#[test]
fn a_site_that_does_not_say_well_what_protects_its_keys_gets_none() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.site.path("keys")).unwrap();
    desk.keys_say("key_file = { env = \"X\" }");
    desk.refused(&["keys", "new", "mark"], "is a file");
    assert!(!desk.site.path("keys/mark.v1.key").exists());
}

#[test]
fn a_file_of_a_secret_that_others_may_read_is_refused() {
    let desk = Desk::new();
    let file = desk.secret("passphrase", PASSPHRASE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let file = file.to_str().unwrap();
    desk.refused(&["keys", "protect", "--passphrase-file", file], "chmod 600");
    assert!(desk.site.path("keys/mark.v1.key").exists());
    fs::write(file, "hunter2").unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    desk.refused(
        &["keys", "protect", "--passphrase-file", file],
        "shorter than",
    );
    desk.ends(2, &["keys", "protect"]);
}

#[test]
fn check_tells_what_of_keys_does_not_fit_together() {
    let desk = Desk::new();
    desk.keys_say("passphrase = { env = \"NOWHERE_SET\" }\nkey_file = { env = \"X\" }");
    let checked = desk.ends(2, &["check"]).to_string();
    assert!(checked.contains("not by both"), "{checked}");
    assert!(checked.contains("a key file is a file"), "{checked}");
    let desk = Desk::new();
    desk.protect_by_key_file();
    fs::write(desk.site.path("keys/fpe.v1.key"), "lockgate-key:v1:fpe:x\n").unwrap();
    let checked = desk.ends(2, &["check"]).to_string();
    assert!(checked.contains("plain key file beside"), "{checked}");
}

/// Neither the passphrase nor a master key is in anything that the program says or leaves.
#[test]
fn no_secret_is_said_or_left_lying() {
    let desk = Desk::new();
    let lines: Vec<String> = [
        "pseudonym",
        "mark",
        "manifest",
        "ledger",
        "encryption",
        "fpe",
    ]
    .iter()
    .map(|purpose| fs::read_to_string(desk.site.path(&format!("keys/{purpose}.v1.key"))).unwrap())
    .collect();
    let secrets: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_end().rsplit(':').next().unwrap())
        .chain([PASSPHRASE])
        .collect();
    assert!(
        found(&desk.site.root(), &secrets),
        "the scan finds what is there"
    );
    let file = desk.secret("passphrase", PASSPHRASE);
    let file = file.to_str().unwrap();
    let mut said = text(&desk.command(&["keys", "protect", "--passphrase-file", file]));
    desk.keys_say(&format!("passphrase = {{ file = \"{file}\" }}"));
    for arguments in [
        &["check"][..],
        &["keys", "list"],
        &["keys", "rotate"],
        &["keys", "export-public"],
        &["plan", GRANT],
        &["run", GRANT],
        &["keys", "destroy", "fpe.v1", "--yes", "--force", "fpe.v1"],
    ] {
        said.push_str(&text(&desk.command(arguments)));
    }
    for secret in &secrets {
        assert!(!said.contains(secret), "a secret is said");
    }
    assert!(
        !found(&desk.site.root(), &secrets),
        "a secret was left lying"
    );
}

/// Whether a file below a directory holds one of these texts, or the bytes they encode.
fn found(directory: &Path, secrets: &[&str]) -> bool {
    use base64::Engine as _;

    let decoded: Vec<Vec<u8>> = secrets
        .iter()
        .filter_map(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .collect();
    fs::read_dir(directory).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return found(&path, secrets);
        }
        let bytes = fs::read(&path).unwrap();
        let needles = secrets.iter().map(|text| text.as_bytes());
        needles
            .chain(decoded.iter().map(Vec::as_slice))
            .any(|needle| bytes.windows(needle.len()).any(|window| window == needle))
    })
}
