//! What an operator may not change of a seal once a grant is signed.

use super::*;

fn sealed_site(delivery: &str, sealing: &str) -> Site {
    let site = people::site(50);
    site.policy(&format!("[sealing]\n{sealing}\n{}", people::POLICY));
    site.signed(&sealed_grant(delivery));
    site.deliver(GRANT);
    site
}

fn assert_refused(site: &Site, codes: &[&str]) {
    let refused = site.run(GRANT);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(refused.refusals(), codes);
}

#[test]
fn a_suite_or_keys_of_columns_that_policy_weakens_are_stale() {
    let site = sealed_site("seal = \"envelope\"", "");
    site.edit(
        "policy.toml",
        "[sealing]",
        "[sealing]\nsuite = \"SM4GCM-SM3\"",
    );
    assert_refused(&site, &["approval-stale"]);
    let site = sealed_site("", "column_keys_from_level = 3");
    site.edit("policy.toml", "column_keys_from_level = 3", "");
    assert_refused(&site, &["approval-stale"]);
}

#[test]
fn another_recipient_key_is_stale() {
    let site = sealed_site("", "");
    let thief = site.pair("thief", "recipient");
    let file = "recipients/civil-affairs.toml";
    let text = site.read(file);
    let (before, _) = text.split_once("public_keys").unwrap();
    site.write(file, &format!("{before}public_keys = [\"{thief}\"]\n"));
    assert_refused(&site, &["approval-stale"]);
}

#[test]
fn a_seal_or_release_that_is_edited_in_the_grant_is_unsigned() {
    for (from, to) in [
        ("seal = \"parquet\"", "seal = \"none\""),
        ("seal = \"parquet\"", "seal = \"envelope\""),
        ("release = \"online\"", "release = \"offline\""),
    ] {
        let site = people::site(50);
        site.signed(&sealed_grant(from));
        site.edit("grants/G-1.toml", from, to);
        assert_refused(&site, &["unsigned"]);
    }
}

#[test]
fn what_policy_does_not_let_leave_so_is_refused() {
    for (delivery, sealing) in [
        ("seal = \"none\"", "from_level = 3"),
        ("", "offline_below_level = 3"),
        ("seal = \"parquet\"", "suite = \"SM4GCM-SM3\""),
        ("", "suite = \"SM4GCM-SM3\""),
    ] {
        let site = people::site(50);
        site.policy(&format!("[sealing]\n{sealing}\n{}", people::POLICY));
        site.grant(&sealed_grant(delivery));
        let refused = site.sign(GRANT);
        assert_eq!(refused.code, 3, "{delivery} {sealing}: {refused:?}");
        let planned = site.json(["plan", GRANT]);
        assert_eq!(
            planned.refusals(),
            ["unsigned", "seal"],
            "{delivery} {sealing}"
        );
    }
}
