//! Recipients with several keys: while one changes its key, and with one that lies in a safe.

use lockgate_acceptance::site::{Finished, RECIPIENT, finish};

use super::*;

/// Gives the recipient these public keys.
fn list(site: &Site, keys: &[String]) {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    let keys = keys.join(", ");
    site.write(
        &format!("recipients/{RECIPIENT}.toml"),
        &format!("id = \"{RECIPIENT}\"\nname = \"民政局\"\npublic_keys = [{keys}]\n"),
    );
}

fn open(site: &Site, delivery: &Delivery, identity: &str, release: Option<&Path>) -> Finished {
    let mut command = site.command();
    command
        .args(["--json", "open"])
        .arg(delivery.folder())
        .arg("--identity")
        .arg(site.private_key(identity))
        .arg("--key")
        .arg(site.path("keys/manifest.pub"))
        .arg("--to")
        .arg(site.beside().join("opened").join(identity));
    if let Some(release) = release {
        command.arg("--release").arg(release);
    }
    finish(&mut command)
}

#[test]
fn each_of_a_recipients_keys_opens_a_delivery_alone() {
    for release in ["offline", "online"] {
        let site = people::site(50);
        let keys = [site.pair("old", "recipient"), site.pair("new", "recipient")];
        list(&site, &keys);
        site.signed(&sealed_grant(&format!("release = \"{release}\"")));
        let delivery = site.deliver(GRANT);
        let file = KeyFile::parse(&fs::read(keys_path(&delivery)).unwrap()).unwrap();
        let document = site.beside().join("release.json");
        let released = (release == "online").then(|| {
            let folder = delivery.folder().to_str().unwrap();
            let out = document.to_str().unwrap();
            site.json(["release", folder, "--to", RECIPIENT, "--out", out])
                .expect_code(0);
            document.as_path()
        });
        let wrapped = if released.is_some() { 0 } else { 2 };
        assert_eq!(file.recipients.len(), wrapped, "{release}");
        for identity in ["old", "new"] {
            let opened = open(&site, &delivery, identity, released);
            assert_eq!(opened.expect_code(0).document()["rows"], 50, "{identity}");
        }
        // The one that was the recipient's before is none of them.
        assert_ne!(open(&site, &delivery, "recipient", released).code, 0);
        // A key that is added was not approved.
        list(
            &site,
            &[&keys[..], &[site.pair("third", "recipient")]].concat(),
        );
        assert_eq!(site.run(GRANT).refusals(), ["approval-stale"]);
    }
}

#[test]
fn a_recipient_has_each_key_once_sixteen_to_seal_to_and_one_for_receipts() {
    let site = people::site(50);
    let sealing: Vec<String> = (0..17)
        .map(|index| site.pair(&format!("key-{index}"), "recipient"))
        .collect();
    let receipts = ["one", "two"].map(|name| site.pair(name, "receipt"));
    let problems = |keys: &[String]| {
        list(&site, keys);
        let checked = site.json(["check"]);
        let problems = checked.document()["problems"].as_array().cloned();
        let problems = problems.expect("problems");
        let what = problems.iter().map(|problem| problem["what"].to_string());
        what.collect::<Vec<String>>()
    };
    assert_eq!(
        problems(&[&sealing[..16], &receipts[..1]].concat()),
        [""; 0]
    );
    for (keys, what) in [
        (sealing.clone(), "more than 16 x25519 keys"),
        (
            [&sealing[..1], &receipts[..]].concat(),
            "more than 1 ed25519 key",
        ),
        (
            [&sealing[..2], &sealing[..1]].concat(),
            "this key is listed before",
        ),
    ] {
        let found = problems(&keys);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(what), "{found:?}");
    }
}
