//! Keys and signatures in every kind of disorder: never a release, never a fault, never a key shown.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use lockgate_acceptance::site::{Finished, Site};

use super::{Chance, rounds, survives};
use crate::people::{self, grant};

/// Files of keys that a run of the site reads.
const KEYS: [&str; 3] = [
    "keys/pseudonym.v1.key",
    "keys/manifest.v1.key",
    "keys/ledger.v1.key",
];

const SIGNATURE: &str = "grants/G-1.toml.sig";

/// A site whose grant needs every key of [`KEYS`].
fn site() -> Site {
    let site = people::site(20);
    let pseudonyms = "{ kind = \"hmac\", domain = \"person.id\" }";
    site.signed(&grant("G-1", &["id"]).treatment("id", pseudonyms));
    site
}

fn run(site: &Site) -> Finished {
    let mut command = site.command();
    survives(command.args(["--site", "site", "--json", "run", "G-1", "--again"]))
}

/// The secret part of a key's line.
fn secret(site: &Site, file: &str) -> String {
    let line = site.read(file);
    let secret = line.trim().rsplit(':').next().expect("a secret");
    assert!(secret.len() >= 43, "{file} holds a secret");
    secret.to_owned()
}

#[track_caller]
fn nothing_left(site: &Site, finished: &Finished, secrets: &[String]) {
    assert!(!matches!(finished.code, 0 | 5), "{finished:?}");
    for secret in secrets {
        let shown = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!shown.contains(secret.as_str()), "a key is shown");
    }
    let outbox = site.path("outbox");
    let manifests = walk(&outbox)
        .into_iter()
        .filter(|path| path.ends_with("manifest.json"));
    assert_eq!(manifests.count(), 0, "{finished:?}");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// A pipe that nobody writes to.
fn pipe(path: &std::path::Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success(), "a pipe");
}

#[test]
fn a_key_file_that_is_cut_or_altered_ends_the_run_before_anything_leaves() {
    let site = site();
    let secrets: Vec<String> = KEYS.iter().map(|file| secret(&site, file)).collect();
    let mut chance = Chance::new(11);
    for file in KEYS {
        let whole = fs::read(site.path(file)).expect("a key");
        let mut forms: Vec<Vec<u8>> = [0, 1, 12, whole.len() / 2, whole.len() - 3]
            .iter()
            .map(|length| whole[..*length].to_vec())
            .collect();
        let text = String::from_utf8(whole.clone()).expect("a line");
        forms.push(text.replace("v1:", "v2:").into_bytes());
        forms.push(text.replace("lockgate-key", "lockgate-pub").into_bytes());
        forms.push(format!("{text}{text}").into_bytes());
        forms.push(vec![b'A'; 3 << 20]);
        forms.push(vec![0xff; 64]);
        for _ in 0..2 * rounds() {
            forms.push(chance.mutate(&whole));
        }
        for form in forms {
            fs::write(site.path(file), &form).expect("a key");
            let finished = run(&site);
            let same = form.trim_ascii() == whole.trim_ascii();
            // A changed digit of a pseudonym's secret is another key, which nobody can tell.
            let another = form.len() == whole.len();
            if !same && !another {
                nothing_left(&site, &finished, &secrets);
                assert!(matches!(finished.code, 1 | 2), "{file}: {finished:?}");
            }
            for path in walk(&site.path("outbox")) {
                fs::remove_file(path).expect("a file of a delivery");
            }
        }
        fs::write(site.path(file), &whole).expect("a key");
    }
}

#[test]
fn a_key_file_that_others_can_read_is_refused_and_a_missing_one_is_found_by_check() {
    let site = site();
    let secrets: Vec<String> = KEYS.iter().map(|file| secret(&site, file)).collect();
    for file in KEYS {
        let path = site.path(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
        let finished = run(&site);
        nothing_left(&site, &finished, &secrets);
        assert!(finished.stdout.contains("chmod 600"), "{finished:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        let aside = site.path("aside");
        fs::rename(&path, &aside).expect("moved away");
        let checked = survives(site.command().args(["--site", "site", "--json", "check"]));
        assert_eq!(checked.code, 2, "{file}: {checked:?}");
        nothing_left(&site, &run(&site), &secrets);
        fs::rename(&aside, &path).expect("moved back");
    }
}

#[test]
fn a_directory_a_pipe_or_a_loop_of_links_in_place_of_a_file_is_no_key_and_no_signature() {
    let site = site();
    for file in KEYS.into_iter().chain([SIGNATURE]) {
        let path = site.path(file);
        let aside = site.path("aside");
        fs::rename(&path, &aside).expect("moved away");
        fs::create_dir(&path).expect("a directory");
        nothing_left(&site, &run(&site), &[]);
        fs::remove_dir(&path).expect("removed");
        pipe(&path);
        nothing_left(&site, &run(&site), &[]);
        fs::remove_file(&path).expect("removed");
        symlink(&path, &path).expect("a link to itself");
        nothing_left(&site, &run(&site), &[]);
        fs::remove_file(&path).expect("removed");
        fs::rename(&aside, &path).expect("moved back");
    }
    run(&site).expect_code(0);
}

#[test]
fn a_signature_that_is_cut_or_altered_is_no_approval() {
    let site = site();
    let whole = fs::read(site.path(SIGNATURE)).expect("a signature");
    let mut chance = Chance::new(12);
    let mut forms: Vec<Vec<u8>> = (0..whole.len())
        .step_by(whole.len() / (12 * rounds()).min(whole.len()))
        .map(|length| whole[..length].to_vec())
        .collect();
    forms.push(b"{}".to_vec());
    forms.push(b"[".repeat(200_000));
    forms.push(vec![b' '; 20 << 20]);
    forms.push([&whole[..], b"\n{}"].concat());
    for _ in 0..12 * rounds() {
        forms.push(chance.mutate(&whole));
    }
    for form in forms {
        if form == whole {
            continue;
        }
        fs::write(site.path(SIGNATURE), &form).expect("a signature");
        let finished = run(&site);
        nothing_left(&site, &finished, &[]);
        assert_eq!(finished.code, 3, "{finished:?}");
        assert_eq!(finished.refusals(), ["unsigned"], "{finished:?}");
    }
    fs::write(site.path(SIGNATURE), &whole).expect("a signature");
    run(&site).expect_code(0);
}

#[test]
fn a_signature_of_another_grant_or_by_a_stranger_is_no_approval() {
    let site = site();
    site.signed(&grant("G-2", &["id"]));
    let other = site.read("grants/G-2.toml.sig");
    let own = site.read(SIGNATURE);
    site.write(SIGNATURE, &other);
    assert_eq!(run(&site).expecting(3).refusals(), ["unsigned"]);
    site.write(SIGNATURE, &own);
    site.pair("stranger", "approver");
    let signed = site.sign_as("G-1", "stranger");
    assert_ne!(signed.code, 0, "{signed:?}");
    assert_eq!(site.read(SIGNATURE), own, "the signature stands as it was");
}
