//! The keys of attempts: who holds them, and what becomes of them.

use lockgate_connectors::keyring::{KekId, KeyProvider as _, LocalKeyring};

use super::*;

fn keks(site: &Site) -> Vec<String> {
    let keyring = LocalKeyring::open(site.path("keys"));
    let keks = keyring.keks().unwrap();
    keks.iter().map(ToString::to_string).collect()
}

fn notes(site: &Site) -> usize {
    fs::read_dir(site.path("state/seals/G-1")).map_or(0, Iterator::count)
}

#[test]
fn online_the_site_holds_the_key_and_the_delivery_only_names_it() {
    let site = people::site(200);
    site.signed(&sealed_grant("release = \"online\""));
    let delivery = site.deliver(GRANT);
    let manifest = delivery.manifest();
    assert_eq!(manifest["seal"]["release"], "online");
    let file = KeyFile::parse(&fs::read(keys_path(&delivery)).unwrap()).unwrap();
    assert!(file.recipients.is_empty());
    assert_eq!(keks(&site), std::slice::from_ref(&file.kek));
    assert_eq!(notes(&site), 0);
    assert!(Opened::of(&delivery, &site.private_key("recipient")).is_err());
    let folder = delivery.folder().to_str().unwrap();
    site.json(["verify", folder]).expect_code(0);
}

#[test]
fn offline_the_site_holds_no_key() {
    let site = people::site(50);
    site.signed(&sealed_grant(""));
    let delivery = site.deliver(GRANT);
    assert_eq!(keks(&site), [""; 0]);
    assert!(!site.path("state/seals").exists());
    let thief = site.pair("thief", "recipient");
    assert!(thief.starts_with("x25519:"));
    assert!(Opened::of(&delivery, &site.private_key("thief")).is_err());
    assert!(Opened::of(&delivery, &site.private_key("approver")).is_err());
}

#[test]
fn a_key_whose_attempt_fails_is_destroyed() {
    let site = people::site(200);
    let grant = sealed_grant("release = \"online\"").treatment(
        "name",
        "{ kind = \"keep-ends\", first = 1, last = 0, on_short = \"fail\" }",
    );
    site.signed(&grant);
    let failed = site.run(GRANT);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert_eq!(keks(&site), [""; 0]);
    assert_eq!(notes(&site), 0);
}

#[test]
fn a_key_that_a_killed_run_left_is_destroyed_by_the_next() {
    let site = people::site(50);
    site.signed(&sealed_grant("release = \"online\""));
    let left = KekId::new("0123456789abcdef0123456789abcdef", "00112233445566aa").unwrap();
    fs::create_dir_all(site.path("state/seals/G-1")).unwrap();
    fs::write(site.path("state/seals/G-1").join(left.as_str()), "").unwrap();
    LocalKeyring::open(site.path("keys"))
        .create_kek(&left)
        .unwrap();
    let delivery = site.deliver(GRANT);
    let kept = format!(
        "{}.{}",
        delivery.manifest()["delivery"].as_str().unwrap(),
        delivery.manifest()["attempt"].as_str().unwrap()
    );
    assert_eq!(keks(&site), [kept]);
    assert_eq!(notes(&site), 0);
}
