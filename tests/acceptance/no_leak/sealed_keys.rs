//! The keys of sealed deliveries: the recipient's, those that files are sealed with, and the keyring's own
//! stand where they belong, and in nothing else that is written or said on a delivery's whole way.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_acceptance::site::{Delivery, Finished, RECIPIENT, Site, finish};
use lockgate_connectors::keyring::{KekId, KeyProvider as _, LocalKeyring, Purpose, read_private};
use lockgate_connectors::seal::{DekSource as _, DekUse, KeyFile, WRAPPED_BYTES};

use super::scanner::Canaries;
use crate::people::{self, FIELDS, grant};
use crate::pseudonym::master;

/// Runs a command that logs all it can, and searches what it says.
#[track_caller]
fn says_no_key(site: &Site, keys: &Canaries, arguments: &[&str]) -> Finished {
    let mut command = site.command();
    command.env("LOCKGATE_LOG", "trace");
    command.arg("--site").arg(site.root()).arg("--json");
    let finished = finish(command.args(arguments));
    assert_eq!(finished.code, 0, "{arguments:?}: {finished:?}");
    keys.absent_from(&format!("{arguments:?}"), &finished);
    finished
}

/// The key in a file of one line.
fn key_of_line(path: &Path) -> Vec<u8> {
    let line = fs::read_to_string(path).expect("a key file");
    let encoded = line.trim().rsplit(':').next().expect("a key");
    STANDARD.decode(encoded).expect("base64")
}

/// The key that the first file of a delivery in envelopes is sealed with.
fn dek(site: &Site, delivery: &Delivery) -> Vec<u8> {
    let manifest = delivery.manifest();
    let keys = manifest["seal"]["keys"]["path"].as_str().expect("a path");
    let keys = fs::read(delivery.folder().join(keys)).expect("keys.json");
    let file = KeyFile::parse(&keys).expect("a key file");
    let binding = file.binding().expect("a binding");
    let path = delivery.files().remove(0);
    let name = path.file_name().and_then(|name| name.to_str());
    let aad = binding.wrap_aad(name.expect("a name"), DekUse::File);
    let bytes = fs::read(&path).expect("an envelope");
    // Bytes 8 to 12 are the length of the header, which ends with the wrapped key.
    let header = u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes")) as usize;
    let wrapped = &bytes[header - WRAPPED_BYTES..header];
    if file.recipients.is_empty() {
        let id = KekId::new(binding.delivery(), binding.attempt()).expect("an id");
        let keyring = LocalKeyring::open(site.path("keys"));
        let dek = keyring.unwrap(&id, wrapped, &aad).expect("a key");
        return dek.to_vec();
    }
    let identity = read_private(&site.private_key("recipient")).expect("a key");
    let keys = file.unwrap(&identity).expect("the recipient's");
    let dek = keys.dek(wrapped, &aad).expect("a key");
    dek.expose().to_vec()
}

#[test]
fn no_key_of_a_sealed_delivery_is_said_or_left_lying() {
    for release in ["offline", "online"] {
        let site = people::site(200);
        let mut keys = Canaries::default();
        for purpose in Purpose::all() {
            keys.key(purpose.as_str(), &master(&site, purpose.as_str(), 1));
        }
        keys.people(&site, &["approver", "recipient"]);
        let delivery = format!("format = \"csv\"\nseal = \"envelope\"\nrelease = \"{release}\"");
        site.signed(&grant("G-1", &FIELDS).delivery(&delivery));
        let run = says_no_key(&site, &keys, &["run", "G-1"]);
        assert!(run.stderr.contains("DEBUG"), "the log was on");
        let delivery = Delivery::of_run(&run.document());
        // Known only now, and searched for in what was said before as well.
        keys.key("the key of a file", &dek(&site, &delivery));
        if release == "online" {
            keys.key("the root", &key_of_line(&site.path("keys/root-1.key")));
        }
        keys.absent_from("the run", &run);
        let folder = delivery.folder().to_str().expect("a path");
        let out = site.beside().join("release.json");
        let out = out.to_str().expect("a path");
        let opened = site.beside().join("opened");
        let identity = site.private_key("recipient");
        let mut open = vec!["open", folder, "--to", opened.to_str().expect("a path")];
        open.extend(["--identity", identity.to_str().expect("a path")]);
        let again = ["run", "G-1", "--again"];
        says_no_key(&site, &keys, &["verify", folder]);
        if release == "online" {
            says_no_key(
                &site,
                &keys,
                &["release", folder, "--to", RECIPIENT, "--out", out],
            );
            keys.absent("the release", &fs::read(out).expect("a document"));
            open.extend(["--release", out]);
        }
        says_no_key(&site, &keys, &open);
        says_no_key(&site, &keys, &again);
        says_no_key(&site, &keys, &["dispose", folder]);
        says_no_key(&site, &keys, &["ledger", "list"]);
        says_no_key(&site, &keys, &["keys", "list"]);
        assert!(keys.absent_below(&site.path("outbox")) > 1);
        assert!(keys.absent_below(&site.path("state")) > 1);
        keys.absent_below(&opened);
        // The control: the keyring has its own, each in one form.
        let purposes = Purpose::all().len();
        let found: usize = super::scanner::files_below(&site.path("keys"))
            .iter()
            .map(|path| keys.found(&fs::read(path).expect("a key file")).len())
            .sum();
        assert!(found >= purposes, "{found} keys were found in the keyring");
    }
}
