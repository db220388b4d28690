//! What somebody does to a sealed delivery on its way: everything shows.

use lockgate::manifest::Manifest;
use lockgate::verify::{VerifyReport, verify_delivery};
use lockgate_connectors::keyring::{LocalKeyring, Purpose};
use lockgate_connectors::{Store, StoreConfig};
use object_store::path::Path as ObjectPath;

use super::*;

/// A copy of a delivery that may be changed, and the site's keys to verify it with.
pub(crate) struct Copy {
    directory: tempfile::TempDir,
    keyring: LocalKeyring,
}

impl Copy {
    pub(crate) fn of(site: &Site, delivery: &Delivery) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(delivery.folder(), directory.path());
        Self {
            directory,
            keyring: LocalKeyring::open(site.path("keys")),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn verify(&self) -> VerifyReport {
        let url = format!("file://{}", self.directory.path().display());
        let store = Store::open(&StoreConfig::new(url, "/")).unwrap();
        let manifests = self.keyring.verifying_keys(Purpose::Manifest).unwrap();
        let ledger = self.keyring.verifying_keys(Purpose::Ledger).unwrap();
        let folder: ObjectPath = store.prefix().clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(verify_delivery(
                &store.object_store(),
                &folder,
                &manifests,
                Some(&ledger),
            ))
            .unwrap()
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let keys = self.keyring.verifying_keys(Purpose::Manifest).unwrap();
        Manifest::open(&fs::read(self.path("manifest.json")).unwrap(), &keys).unwrap()
    }

    /// Puts another manifest in the place of the delivery's, signed by the site itself.
    pub(crate) fn sign(&self, manifest: &Manifest) {
        let key = self.keyring.signing_key(Purpose::Manifest).unwrap();
        fs::write(self.path("manifest.json"), manifest.sign(&key).unwrap()).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn small() -> Pair {
    Pair::new(3, "", "")
}

#[test]
fn flipped_bytes_of_a_delivery_are_found() {
    find_every_change(&small());
}

#[test]
fn flipped_bytes_of_a_delivery_in_envelopes_are_found() {
    find_every_change(&Pair::new(3, "seal = \"envelope\"", ""));
}

/// Flips bytes of each file of a sealed delivery, and cuts and removes it.
fn find_every_change(pair: &Pair) {
    // Every byte in the long form. All of smaller deliveries, plain and sealed in either way, are gone
    // through where `verify` and `open` are tested, all of manifests where these are read.
    let step = usize::try_from(crate::exchange_site::number("LOCKGATE_FLIP_STEP", 29)).unwrap();
    let made = Copy::of(&pair.site, &pair.sealed);
    assert!(made.verify().valid);
    let manifest = made.manifest();
    let keys = manifest.seal.keys.unwrap().path;
    let part = manifest.files[0].path.clone();
    for name in ["manifest.json".to_owned(), keys, part] {
        let path = made.path(&name);
        let original = fs::read(&path).unwrap();
        let step = if name.ends_with("keys.json") { 1 } else { step };
        for position in (0..original.len()).step_by(step) {
            let mut altered = original.clone();
            altered[position] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert!(!made.verify().valid, "{name}, byte {position}");
        }
        for length in [0, 1, original.len() / 2, original.len() - 1] {
            fs::write(&path, &original[..length]).unwrap();
            assert!(!made.verify().valid, "{name}, cut to {length}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!made.verify().valid, "{name} is gone");
        fs::write(&path, &original).unwrap();
    }
    assert!(made.verify().valid);
}

#[test]
fn a_plain_file_under_a_manifest_that_says_sealed_is_refused_though_it_is_signed() {
    let pair = small();
    let made = Copy::of(&pair.site, &pair.sealed);
    let mut manifest = made.manifest();
    let plain = pair.plain.bytes().remove(0);
    let path = manifest.files[0].path.clone();
    fs::write(made.path(&path), &plain).unwrap();
    manifest.files[0].bytes = plain.len() as u64;
    manifest.files[0].sha256 = lockgate::digest::sha256_hex(&plain);
    made.sign(&manifest);
    let report = made.verify();
    assert!(!report.valid);
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.path == path && problem.what.contains("not sealed")),
        "{:?}",
        report.problems
    );
    // And the other way round: it says plain, and nobody can read it.
    let made = Copy::of(&pair.site, &pair.sealed);
    let mut manifest = made.manifest();
    manifest.seal = lockgate::manifest::SealStatement::none();
    made.sign(&manifest);
    assert!(!made.verify().valid);
}

#[test]
fn keys_of_another_delivery_are_found_though_a_manifest_names_them() {
    let pair = small();
    let again = pair.site.json(["run", GRANT, "--again"]).expecting(0);
    let other = Delivery::of_run(&again.document());
    let made = Copy::of(&pair.site, &pair.sealed);
    let mut manifest = made.manifest();
    let foreign = fs::read(keys_path(&other)).unwrap();
    let keys = manifest.seal.keys.as_mut().unwrap();
    fs::write(made.path(&keys.path), &foreign).unwrap();
    keys.bytes = foreign.len() as u64;
    keys.sha256 = lockgate::digest::sha256_hex(&foreign);
    made.sign(&manifest);
    let report = made.verify();
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.what.contains("another delivery")),
        "{:?}",
        report.problems
    );
}

#[test]
fn a_file_of_one_attempt_does_not_open_as_that_of_another() {
    let pair = small();
    let again = pair.site.json(["run", GRANT, "--again"]).expecting(0);
    let other = Delivery::of_run(&again.document());
    let opened = pair.opened();
    let name = "part-00000.parquet";
    let own = pair.sealed.bytes().remove(0);
    opened.groups(own.clone(), name).unwrap();
    assert!(opened.groups(other.bytes().remove(0), name).is_err());
    assert!(opened.groups(own, "part-00001.parquet").is_err());
    assert!(opened.groups(pair.plain.bytes().remove(0), name).is_err());
}

#[test]
fn nothing_that_is_delivered_stands_in_plain_text_anywhere() {
    let pair = Pair::new(400, "", "[sealing]\ncolumn_keys_from_level = 2");
    // What is delivered clear or half masked, names of fields, and the source's own values.
    let needles = [
        "330102",
        "310101",
        "active",
        "person_id",
        "birth",
        "欧***",
        "王**",
    ];
    let plain = pair.plain.bytes().concat();
    let sealed = pair.sealed.bytes().concat();
    let holds = |bytes: &[u8], needle: &str| {
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    let found: Vec<&str> = needles
        .into_iter()
        .filter(|needle| holds(&plain, needle))
        .collect();
    assert!(found.len() >= 5, "the scan finds nothing: {found:?}");
    for needle in needles {
        assert!(!holds(&sealed, needle), "{needle}");
    }
    // No bytes of the plain files' hashes either, which would tell whether a guess is right.
    let manifest = fs::read_to_string(pair.sealed.folder().join("manifest.json")).unwrap();
    for bytes in pair.plain.bytes() {
        let sha256 = lockgate::digest::sha256_hex(&bytes);
        assert!(!manifest.contains(&sha256));
    }
}
