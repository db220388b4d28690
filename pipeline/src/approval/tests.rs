use std::fs;

use super::test_site::{TestSite, codes};
use super::*;
use crate::plan::RefusalCode;

fn states(site: &TestSite) -> Vec<RefusalCode> {
    codes(&site.compile())
        .into_iter()
        .map(|(code, _)| code)
        .collect()
}

fn assert_stale(site: &TestSite, change: &str) {
    let compiled = site.compile();
    let found = codes(&compiled);
    assert_eq!(found, [(RefusalCode::ApprovalStale, None)], "{change}");
    assert!(
        compiled.refusals()[0].reason.contains(change),
        "{}",
        compiled.refusals()[0].reason
    );
}

fn assert_unsigned(site: &TestSite, reason: &str) {
    let compiled = site.compile();
    assert_eq!(
        codes(&compiled),
        [(RefusalCode::Unsigned, None)],
        "{reason}"
    );
    assert!(
        compiled.refusals()[0].reason.contains(reason),
        "{}",
        compiled.refusals()[0].reason
    );
}

#[test]
fn a_signature_says_who_signed_what_and_is_written_whole() {
    let site = TestSite::new();
    let signed = site.sign("office").unwrap();
    assert_eq!((signed.grant.as_str(), signed.version), ("G-1", 1));
    assert_eq!(signed.approver, "office");
    let bytes = fs::read(&signed.path).unwrap();
    assert_eq!(sha256_hex(&bytes), signed.approval_sha256);
    assert!(signed.path.ends_with("grants/G-1.toml.sig"));
    let names: Vec<_> = fs::read_dir(site.root().join("grants"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // Signing again replaces it, and the same approval has the same bytes.
    assert_eq!(
        site.sign("office").unwrap().approval_sha256,
        signed.approval_sha256
    );
}

#[test]
fn weaker_treatments_anywhere_are_stale() {
    let site = TestSite::signed();
    site.policy("first = 1, last = 0", "first = 2, last = 0");
    assert_stale(&site, "treatment of field `name` weakened");
    let site = TestSite::signed();
    site.policy(
        "{ kind = \"keep-ends\", first = 3, last = 2 }",
        "{ kind = \"clear\" }",
    );
    assert_stale(&site, "treatment of field `id` weakened");
    let site = TestSite::signed();
    let policy = site.read("policy.toml");
    site.write(
        "policy.toml",
        &format!("[[rules]]\nfields = [\"id\"]\ntreatment = {{ kind = \"clear\" }}\n{policy}"),
    );
    assert_stale(&site, "treatment of field `id` weakened");
    let site = TestSite::signed();
    site.policy(
        "first = 1, last = 0 }",
        "first = 1, last = 0, sentinels = [\"x\"] }",
    );
    assert_stale(&site, "treatment of field `name` weakened");
}

#[test]
fn stronger_treatments_pass() {
    for treatment in [
        "{ kind = \"keep-ends\", first = 1, last = 2 }",
        "{ kind = \"null\" }",
        "{ kind = \"withhold\" }",
    ] {
        let site = TestSite::signed();
        site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", treatment);
        assert_eq!(states(&site), [], "{treatment}");
    }
    // A rule that is taken away withholds.
    let site = TestSite::signed();
    site.policy("category = \"person-name\"", "category = \"no-one\"");
    assert_eq!(states(&site), []);
}

#[test]
fn a_mark_that_moves_values_otherwise_is_stale() {
    let income = "name = \"income\", type = \"decimal(12,2)\", category = \"income\", level = 3";
    let free = income.replace("level = 3", "level = 1");
    let within = |tolerance: &str| format!("{free}, tolerance = \"{tolerance}\"");
    let site = TestSite::new();
    site.catalogue(income, &within("1.00"));
    site.grant(
        "fields = [\"id\", \"name\", \"region\"]",
        "fields = [\"id\", \"income\"]",
    );
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    site.catalogue(&within("1.00"), &within("500.00"));
    assert_stale(&site, "field `income` would be moved by marks otherwise");
    site.catalogue(&within("500.00"), &free);
    assert_stale(&site, "field `income` carries no mark any more");
    site.policy(
        "treatment = { kind = \"clear\" }",
        "treatment = { kind = \"null\" }",
    );
    assert_eq!(states(&site), [], "nothing is left to carry a mark");
}

#[test]
fn a_mark_of_another_cipher_is_stale() {
    let income = "name = \"income\", type = \"decimal(12,2)\", category = \"income\", level = 3";
    let free = income.replace("level = 3", "level = 1, tolerance = \"1.00\"");
    let site = TestSite::new();
    site.catalogue(income, &free);
    site.grant(
        "fields = [\"id\", \"name\", \"region\"]",
        "fields = [\"id\", \"income\"]",
    );
    site.sign("office").unwrap();
    site.policy("[marking]", "[marking]\nsuite = \"AES-CMAC\"");
    assert_eq!(states(&site), [], "what it was without a word");
    site.policy("AES-CMAC", "SM4-CMAC");
    assert_stale(&site, "field `income` would carry marks of another cipher");
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    // The suite of seals says it too, where marks have no word of their own.
    site.policy(
        "[marking]\nsuite = \"SM4-CMAC\"",
        "[sealing]\nsuite = \"SM4GCM-SM3\"\n[marking]",
    );
    assert_eq!(states(&site), []);
}

#[test]
fn a_mark_that_would_be_found_by_other_fields_is_stale() {
    let income = "name = \"income\", type = \"decimal(12,2)\", category = \"income\", level = 3";
    let site = TestSite::new();
    let free = income.replace("level = 3", "level = 1, tolerance = \"20.00\"");
    site.catalogue(income, &free);
    site.catalogue(
        "modes = [\"batch\"]",
        "modes = [\"batch\"]\nkey = [\"status\"]",
    );
    site.grant(
        "fields = [\"id\", \"name\", \"region\"]",
        "fields = [\"id\", \"status\", \"gender\", \"income\"]",
    );
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    site.catalogue("key = [\"status\"]", "key = [\"gender\"]");
    assert_stale(&site, "field `income` would be found by other fields");
}

#[test]
fn a_policy_that_asks_for_fewer_marks_is_stale() {
    let site = TestSite::new();
    site.policy("min_carriers = 0", "min_carriers = 7");
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    site.policy("min_carriers = 7", "min_carriers = 8");
    assert_eq!(states(&site), []);
    site.policy("min_carriers = 8", "min_carriers = 6");
    assert_stale(&site, "policy asks for fewer marks");
}

/// A site whose names are replaced by those of a file.
fn substituting(content: &str) -> TestSite {
    let site = TestSite::new();
    fs::create_dir(site.root().join("lists")).unwrap();
    site.write("lists/names.txt", content);
    site.policy(
        "{ kind = \"keep-ends\", first = 1, last = 0 }",
        "{ kind = \"substitute\", domain = \"name\", values = { file = \"lists/names.txt\" } }",
    );
    site
}

#[test]
fn another_content_of_a_file_of_values_is_stale() {
    let site = substituting("甲\n乙\n丙\n");
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    let text = site.read("grants/G-1.toml.sig");
    site.write("lists/names.txt", "甲\n乙\n丁\n");
    assert_stale(&site, "treatment of field `name` weakened");
    site.write("lists/names.txt", "甲\n乙\n丙\n");
    assert_eq!(states(&site), []);
    assert_eq!(site.read("grants/G-1.toml.sig"), text);
}

#[test]
fn a_file_of_values_is_read_from_one_folder_of_the_site_only() {
    let of = |path: &str| {
        let site = substituting("甲\n乙\n");
        site.policy("lists/names.txt", path);
        fs::write(site.root().join("other.txt"), "甲\n乙\n").unwrap();
        std::os::unix::fs::symlink("../other.txt", site.root().join("lists/link.txt")).unwrap();
        let loaded = site.site();
        let problems = loaded
            .problems
            .iter()
            .filter(|found| found.what.contains(path));
        let said = problems.map(|found| (found.file.clone(), found.what.clone()));
        said.collect::<Vec<_>>()
    };
    assert_eq!(of("lists/names.txt"), []);
    for path in [
        "other.txt",
        "policy.toml",
        "lists/../other.txt",
        "/etc/hostname",
        "lists/link.txt",
        "lists/absent.txt",
    ] {
        let problems = of(path);
        assert_eq!(problems.len(), 1, "{path}: {problems:?}");
        assert_eq!(problems[0].0, "policy.toml");
    }
}

#[test]
fn the_folder_of_files_of_values_is_no_link_to_another_of_the_site() {
    let site = substituting("甲\n乙\n");
    let root = site.root();
    fs::rename(root.join("lists"), root.join("secrets")).unwrap();
    std::os::unix::fs::symlink("secrets", root.join("lists")).unwrap();
    let loaded = site.site();
    let leaves = |what: &str| what.contains("is a link that leaves the folder lists/");
    assert!(loaded.problems.iter().any(|found| leaves(&found.what)));
}

/// A rule for names that treats them by a condition.
fn choosing(condition: &str, then: &str, otherwise: &str) -> String {
    format!(
        "{{ kind = \"case\", arms = [{{ when = \"{condition}\", then = {then} }}], else = {otherwise} }}"
    )
}

const ENDS: &str = "{ kind = \"keep-ends\", first = 1, last = 0 }";
const A: &str = "{ kind = \"constant\", value = \"A\" }";
const B: &str = "{ kind = \"constant\", value = \"B\" }";

#[test]
fn an_edited_rule_that_reads_more_is_stale() {
    for (condition, read) in [
        ("name LIKE '张%'", "reads `name`"),
        ("region = '3301'", "reads `region`"),
        ("income > 1000", "reads `income`"),
        (
            "region = '3301' AND income > 1000",
            "reads `income`, `region`",
        ),
    ] {
        let site = TestSite::signed();
        site.policy(ENDS, &choosing(condition, A, B));
        assert_stale(
            &site,
            &format!("the treatment of field `name` {read}, which was not approved"),
        );
        site.sign("office").unwrap();
        assert_eq!(states(&site), [], "{condition}");
    }
    let site = TestSite::signed();
    let kept = "{ kind = \"fake-name\", domain = \"d\", keep = [\"sex\"], sex = \"region\" }";
    site.policy(ENDS, kept);
    assert_stale(&site, "reads `region`, which was not approved");
}

#[test]
fn an_edited_rule_with_another_condition_is_stale_and_with_fewer_passes() {
    let rule = |condition: &str| choosing(condition, ENDS, ENDS);
    let site = TestSite::new();
    site.policy(ENDS, &rule("region = '3301'"));
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    let signed = site.read("policy.toml");
    let edited =
        |to: &str| site.write("policy.toml", &signed.replace(&rule("region = '3301'"), to));
    edited(&choosing("region = '3301'", A, ENDS));
    assert_eq!(states(&site), [], "a stronger arm");
    let when =
        format!("{{ kind = \"when\", condition = \"region = '3302'\", then = {A}, else = {B} }}");
    edited(&when);
    assert_stale(
        &site,
        "field `name` reads the row by another condition or parameter",
    );
    edited(&when.replace("3302", "3301"));
    assert_eq!(states(&site), [], "the approved condition, and constants");
    edited(A);
    assert_eq!(states(&site), [], "no condition at all");
    edited(&choosing("region = '3302'", ENDS, ENDS));
    let reasons = site.compile().refusals()[0].reason.clone();
    assert!(
        reasons.contains("weakened") && reasons.contains("another condition"),
        "{reasons}"
    );
    assert!(!reasons.contains("330"), "{reasons}");
}

#[test]
fn a_signature_from_before_reads_were_signed_covers_treatments_that_read_nothing() {
    let site = TestSite::signed();
    let plan = site.compile().plan().clone();
    let approval = resolve(&plan, &site.site(), "office");
    let text = serde_json::to_string(&approval).unwrap();
    assert!(!text.contains("\"reads\""), "{text}");
    let site = TestSite::new();
    site.policy(ENDS, &choosing("region = '3301'", ENDS, ENDS));
    let plan = site.compile().plan().clone();
    let approval = resolve(&plan, &site.site(), "office");
    assert_eq!(approval.fields[1].reads, ["region"]);
    let mut before = approval;
    before.fields[1].reads.clear();
    assert_eq!(
        changes(&before, &plan, &site.site()),
        ["the treatment of field `name` reads `region`, which was not approved"]
    );
}

#[test]
fn lower_levels_and_other_categories_are_stale_and_higher_levels_pass() {
    let site = TestSite::signed();
    site.catalogue(
        "category = \"resident-id\", level = 3",
        "category = \"resident-id\", level = 2",
    );
    assert_stale(&site, "level of field `id` fell from 3 to 2");
    let site = TestSite::signed();
    site.catalogue("category = \"resident-id\"", "category = \"person-name\"");
    assert_stale(&site, "category of field `id` changed");
    let site = TestSite::signed();
    site.catalogue(
        "category = \"resident-id\", level = 3",
        "category = \"resident-id\", level = 4",
    );
    assert_eq!(states(&site), []);
}

#[test]
fn fields_that_decide_rows_are_approved_too() {
    let rows = |site: &TestSite| {
        site.grant(
            "fields =",
            "rows = \"status = 'a'\"\ndivisions = [\"33\"]\nfields =",
        );
        site.grant("\"region\"]", "\"gender\"]");
        site.catalogue(
            "category = \"code\", level = 1",
            "category = \"code\", level = 2",
        );
        site.sign("office").unwrap();
        assert_eq!(states(site), []);
    };
    let site = TestSite::new();
    rows(&site);
    site.catalogue(
        "\"status\", type = \"utf8\", category = \"code\", level = 2",
        "\"status\", type = \"utf8\", category = \"code\", level = 1",
    );
    assert_stale(&site, "level of field `status` fell");
    let site = TestSite::new();
    rows(&site);
    site.catalogue("division = \"region\"", "division = \"status\"");
    assert_stale(&site, "another field carries the division code");
    // A delivered field that is withheld later may still decide rows.
    let site = TestSite::new();
    site.grant("fields =", "rows = \"name IS NOT NULL\"\nfields =");
    site.sign("office").unwrap();
    site.policy("category = \"person-name\"", "category = \"no-one\"");
    assert_eq!(states(&site), []);
    assert_eq!(site.compile().plan().filter_only, ["name"]);
}

#[test]
fn a_withheld_field_cannot_come_back() {
    let site = TestSite::new();
    site.grant("\"region\"]", "\"note\"]");
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    site.policy("category = \"division\"", "category = \"unruled\"");
    assert_stale(&site, "field `note` was not approved for delivery");
}

#[test]
fn other_keys_of_the_recipient_are_stale() {
    let site = TestSite::signed();
    let thief = site.read("thief.pub");
    let own = site.read("recipient.pub");
    site.edit("recipients/civil-affairs.toml", own.trim(), thief.trim());
    assert_stale(&site, "recipient's keys changed");
    let site = TestSite::signed();
    let (own, another) = (site.read("recipient.pub"), site.read("outsider.pub"));
    let both = format!("{}\", \"{}", own.trim(), another.trim());
    site.edit("recipients/civil-affairs.toml", own.trim(), &both);
    assert_stale(&site, "recipient's keys changed");
}

#[test]
fn another_source_is_stale() {
    let site = TestSite::signed();
    site.catalogue("path = \"residents/\"", "path = \"everything/\"");
    assert_stale(&site, "the source changed");
    let site = TestSite::signed();
    site.catalogue("store = \"lake\"", "store = \"other\"");
    assert_stale(&site, "the source changed");
    let site = TestSite::signed();
    site.edit("lockgate.toml", "file:lake", "file:elsewhere");
    assert_stale(&site, "the source changed");
    let site = TestSite::signed();
    site.catalogue("format = \"parquet\"", "format = \"csv\"");
    assert_stale(&site, "the source changed");
}

#[test]
fn looser_sharing_is_stale_and_stricter_passes() {
    let site = TestSite::signed();
    site.catalogue("\"conditional\"", "\"unconditional\"");
    assert_stale(&site, "sharing loosened");
    let site = TestSite::new();
    site.catalogue("\"conditional\"", "\"unconditional\"");
    site.sign("office").unwrap();
    site.catalogue("\"unconditional\"", "\"conditional\"");
    assert_eq!(states(&site), []);
}

#[test]
fn any_change_of_the_grant_file_is_unsigned() {
    let site = TestSite::signed();
    site.grant("\"review\"", "\"reviews\"");
    assert_unsigned(&site, "over another file or version");
    let site = TestSite::signed();
    site.grant_table("# only a comment");
    assert_unsigned(&site, "over another file or version");
    let site = TestSite::signed();
    site.grant("version = 1", "version = 2");
    assert_unsigned(&site, "over another file or version");
}

#[test]
fn only_listed_approvers_count() {
    let site = TestSite::signed();
    site.edit("lockgate.toml", "[\"public-security\"]", "[\"tax\"]");
    assert_unsigned(&site, "not listed for provider `public-security`");
    let site = TestSite::signed();
    site.edit("lockgate.toml", "[approvers.office]", "[approvers.bureau]");
    assert_unsigned(&site, "who is not listed with that key");
    let site = TestSite::signed();
    let (office, outsider) = (site.read("office.pub"), site.read("outsider.pub"));
    site.edit("lockgate.toml", office.trim(), outsider.trim());
    assert_unsigned(&site, "the signature does not count");
    // Another provider whose approver is another: the one who signed may not release its data.
    let site = TestSite::signed();
    site.catalogue("provider = \"public-security\"", "provider = \"tax\"");
    assert_unsigned(&site, "not listed for provider `tax`");
    site.edit(
        "lockgate.toml",
        "[\"public-security\"]",
        "[\"public-security\", \"tax\"]",
    );
    assert_stale(&site, "the provider changed");
}

#[test]
fn a_key_that_is_listed_later_makes_approvals_stale_until_they_are_signed_again() {
    let site = TestSite::signed();
    site.edit(
        "lockgate.toml",
        "[\"tax\"]",
        "[\"tax\", \"public-security\"]",
    );
    assert_stale(
        &site,
        "another key may approve for provider `public-security`",
    );
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    // Fewer keys is stricter, and another name for one of them is no other key.
    site.edit("lockgate.toml", "approvers.stranger", "approvers.deputy");
    assert_eq!(states(&site), []);
    site.edit(
        "lockgate.toml",
        "[\"tax\", \"public-security\"]",
        "[\"tax\"]",
    );
    assert_eq!(states(&site), []);
    // Approvals from before the keys were signed say nothing of them.
    let mut before = resolve(site.compile().plan(), &site.site(), "office");
    before.approver_keys = None;
    site.edit("lockgate.toml", "[\"tax\"]", "[\"public-security\"]");
    assert!(changes(&before, site.compile().plan(), &site.site()).is_empty());
}

#[test]
fn only_the_key_of_a_listed_approver_signs() {
    for key in ["stranger", "outsider"] {
        let site = TestSite::new();
        let SignError::Refused { refusals } = site.sign(key).unwrap_err() else {
            panic!("a refusal is expected")
        };
        assert_eq!(refusals[0].code, RefusalCode::Unsigned);
        assert!(!site.root().join("grants/G-1.toml.sig").exists());
    }
    assert!(matches!(
        TestSite::new().sign("recipient").unwrap_err(),
        SignError::Key(_)
    ));
    assert!(matches!(
        TestSite::new().sign("nobody").unwrap_err(),
        SignError::Key(_)
    ));
}

#[test]
fn what_compile_refuses_is_not_signed() {
    let site = TestSite::new();
    site.policy("[marking]", "[sealing]\nsuite = \"SM4GCM-SM3\"\n[marking]");
    site.grant("seal = \"none\"", "");
    site.grant_table("[treatments]\nname = { kind = \"clear\" }");
    let SignError::Refused { refusals } = site.sign("office").unwrap_err() else {
        panic!("a refusal is expected")
    };
    let codes: Vec<_> = refusals.iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [RefusalCode::BelowFloor, RefusalCode::Seal]);
    assert!(!site.root().join("grants/G-1.toml.sig").exists());
    let site = TestSite::new();
    site.grant("modes = [\"batch\"]", "modes = [\"batch\", \"download\"]");
    assert!(matches!(
        site.sign("office").unwrap_err(),
        SignError::Refused { .. }
    ));
    let site = TestSite::new();
    site.write("policy.toml", "nonsense");
    assert!(matches!(
        site.sign("office").unwrap_err(),
        SignError::Compile(_)
    ));
}

/// A signed grant whose delivery is sealed, under a policy with those keys in `[sealing]`.
fn sealed(policy: &str, delivery: &str) -> TestSite {
    let site = TestSite::new();
    site.policy("[marking]", &format!("[sealing]\n{policy}\n[marking]"));
    site.grant("seal = \"none\"", delivery);
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
    site
}

#[test]
fn a_seal_that_policy_weakens_or_changes_is_stale() {
    let site = sealed("", "seal = \"envelope\"");
    site.policy("[sealing]", "[sealing]\nsuite = \"SM4GCM-SM3\"");
    assert_stale(&site, "from AES256GCM-SHA256 to SM4GCM-SM3");
    let site = sealed("suite = \"SM4GCM-SM3\"", "seal = \"envelope\"");
    site.policy("suite = \"SM4GCM-SM3\"", "");
    assert_stale(&site, "from SM4GCM-SM3 to AES256GCM-SHA256");
    let site = sealed("column_keys_from_level = 3", "");
    site.policy("column_keys_from_level = 3", "column_keys_from_level = 4");
    assert_stale(&site, "field `id` would have no key of its own");
    site.policy("column_keys_from_level = 4", "column_keys_from_level = 1");
    assert_eq!(states(&site), [], "more keys are no weakening");
}

#[test]
fn another_key_to_seal_to_is_stale() {
    let site = sealed("", "");
    let (own, thief) = (site.read("recipient.pub"), site.read("thief.pub"));
    site.edit("recipients/civil-affairs.toml", own.trim(), thief.trim());
    assert_stale(&site, "the recipient's keys changed");
}

#[test]
fn what_a_grant_says_of_its_seal_is_part_of_its_file() {
    for (signed, edited) in [
        ("seal = \"parquet\"", "seal = \"none\""),
        ("seal = \"parquet\"", "seal = \"envelope\""),
        ("release = \"online\"", "release = \"offline\""),
        ("release = \"online\"", ""),
    ] {
        let site = sealed("", signed);
        site.grant(signed, edited);
        assert_unsigned(&site, "over another file or version");
    }
}

#[test]
fn deliveries_compare_by_what_is_weaker() {
    let of = |seal, release, keyed: &[&str]| ApprovedDelivery {
        format: DeliveryFormat::Parquet,
        seal,
        sealing: Some(Sealing {
            suite: lockgate_connectors::seal::Suite::Aes256GcmSha256,
            release,
            keyed_fields: keyed.iter().map(|name| (*name).to_owned()).collect(),
        }),
    };
    let changes = |now: &ApprovedDelivery, approved: &ApprovedDelivery| {
        let mut changes = Vec::new();
        now.compare(approved, &[], &mut changes);
        changes.len()
    };
    let plain = ApprovedDelivery::default();
    let offline = of(Seal::Parquet, Release::Offline, &[]);
    let online = of(Seal::Parquet, Release::Online, &[]);
    assert_eq!(changes(&plain, &plain), 0);
    assert_eq!(
        changes(&offline, &plain),
        0,
        "sealed where plain was approved"
    );
    assert_eq!(changes(&plain, &offline), 1);
    assert_eq!(changes(&online, &offline), 0);
    assert_eq!(changes(&offline, &online), 1);
    assert_eq!(
        changes(&of(Seal::Envelope, Release::Offline, &[]), &offline),
        1
    );
    let keyed = of(Seal::Parquet, Release::Offline, &["gone"]);
    assert_eq!(changes(&offline, &keyed), 0, "a field that isn't delivered");
    let csv = ApprovedDelivery {
        format: DeliveryFormat::Csv,
        ..plain.clone()
    };
    assert_eq!(changes(&csv, &plain), 1);
}

#[test]
fn an_approval_from_before_files_were_sealed_is_of_plain_parquet() {
    let site = TestSite::signed();
    let compiled = site.compile();
    let approval = resolve(compiled.plan(), &site.site(), "office");
    let document = serde_json::to_value(&approval).unwrap();
    assert!(document.get("delivery").is_none());
    let older: Approval = serde_json::from_value(document).unwrap();
    assert_eq!(older.delivery, ApprovedDelivery::default());
    assert!(changes(&older, compiled.plan(), &site.site()).is_empty());
}

#[test]
fn a_stale_approval_can_be_signed_again() {
    let site = TestSite::signed();
    site.policy("first = 1, last = 0", "first = 2, last = 0");
    assert_eq!(states(&site), [RefusalCode::ApprovalStale]);
    site.sign("office").unwrap();
    assert_eq!(states(&site), []);
}

#[test]
fn an_exemption_counts_only_with_the_signature_it_names() {
    const EXEMPTION: &str = "[[exemptions]]\nfield = \"id\"\ntreatment = { kind = \"clear\" }\nreason = \"statute\"\napprover = ";
    let site = TestSite::new();
    site.grant_table(&format!("{EXEMPTION}\"office\""));
    site.sign("office").unwrap();
    let compiled = site.compile();
    assert_eq!(compiled.refusals(), []);
    assert_eq!(compiled.plan().fields[0].treatment.kind(), "clear");

    // Named approver may not release this provider's data.
    let site = TestSite::new();
    site.grant_table(&format!("{EXEMPTION}\"stranger\""));
    assert!(matches!(
        site.sign("office").unwrap_err(),
        SignError::Refused { .. }
    ));

    // Two approvers of the provider: the other one's signature does not carry the exemption, even
    // if an operator exchanges their names after signing.
    let site = TestSite::new();
    site.edit("lockgate.toml", "[\"tax\"]", "[\"public-security\"]");
    site.grant_table(&format!("{EXEMPTION}\"office\""));
    let SignError::Refused { refusals } = site.sign("stranger").unwrap_err() else {
        panic!("a refusal is expected")
    };
    assert_eq!(refusals[0].code, RefusalCode::BelowFloor);
    let other = TestSite::new();
    other.edit("lockgate.toml", "[\"tax\"]", "[\"public-security\"]");
    other.grant_table(&format!("{EXEMPTION}\"stranger\""));
    other.sign("stranger").unwrap();
    assert_eq!(states(&other), []);
    other.edit("lockgate.toml", "approvers.office", "approvers.x");
    other.edit("lockgate.toml", "approvers.stranger", "approvers.office");
    other.edit("lockgate.toml", "approvers.x", "approvers.stranger");
    assert_eq!(states(&other), [RefusalCode::Unsigned]);
}

#[test]
fn signatures_of_other_documents_and_damaged_ones_do_not_count() {
    let site = TestSite::signed();
    let path = site.root().join("grants/G-1.toml.sig");
    let good = fs::read(&path).unwrap();
    // The signature of another grant of the same site.
    let other = TestSite::new();
    other.grant("\"review\"", "\"another purpose\"");
    let own = other.read("office.pub");
    for key in ["office.key", "office.pub"] {
        fs::copy(site.root().join(key), other.root().join(key)).unwrap();
    }
    let own = own.trim();
    other.edit("lockgate.toml", own, site.read("office.pub").trim());
    other.sign("office").unwrap();
    fs::copy(other.root().join("grants/G-1.toml.sig"), &path).unwrap();
    assert_unsigned(&site, "over another file or version");

    for damaged in [&good[..good.len() - 1], b"", b"{}", &[0xff; 100]] {
        fs::write(&path, damaged).unwrap();
        assert_unsigned(&site, "does not count");
    }
    for position in (0..good.len()).step_by(97) {
        let mut damaged = good.clone();
        damaged[position] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert_eq!(states(&site), [RefusalCode::Unsigned], "byte {position}");
    }
    // An envelope of another type over the same payload.
    let key = lockgate_connectors::keyring::read_private(&site.root().join("office.key")).unwrap();
    let payload =
        canonical_json::to_bytes(&resolve(site.compile().plan(), &site.site(), "office")).unwrap();
    let forged = dsse::sign(
        "application/vnd.lockgate.manifest+json",
        &payload,
        &key.signing_key().unwrap(),
    );
    fs::write(&path, forged.unwrap()).unwrap();
    assert_unsigned(&site, "does not count");
    // Of a later form, which may say what this version doesn't know.
    let mut later = resolve(site.compile().plan(), &site.site(), "office");
    later.format = 2;
    let mut later = serde_json::to_value(&later).unwrap();
    later["later"] = true.into();
    let payload = canonical_json::to_bytes(&later).unwrap();
    let signed = dsse::sign(PAYLOAD_TYPE, &payload, &key.signing_key().unwrap());
    fs::write(&path, signed.unwrap()).unwrap();
    assert_unsigned(&site, "of form 2, and this version reads form 1");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_unsigned(&site, "not a regular file");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &good).unwrap();
    assert_eq!(states(&site), []);
}
