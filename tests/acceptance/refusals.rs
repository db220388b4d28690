//! Every reason to refuse that can occur, through the command line: exit code 3, the command's own
//! document, every reason at once, and a destination that nobody touched.

use std::fs;

use lockgate_acceptance::s3::{ACCESS_KEY_ID, Operation, SECRET_ACCESS_KEY, Server};
use lockgate_acceptance::site::{APPROVER, Configuration, Grant, PROVIDER, Site};
use serde_json::{Value, json};

use crate::people::{self, FIELDS, POLICY, dataset, grant};

/// Refusals of `run` and `plan`, which must agree; everything a refusal promises is checked.
#[track_caller]
fn refused(site: &Site, id: &str) -> Vec<Value> {
    let run = site.run(id).expecting(3);
    let document = run.document();
    assert_eq!(document["status"], "refused", "{document}");
    assert_eq!(document["grant"], id);
    for absent in ["run", "rows", "delivery", "manifest"] {
        assert!(document[absent].is_null(), "{absent}: {document}");
    }
    let refusals = document["refusals"].as_array().expect("refusals").clone();
    assert!(!refusals.is_empty());
    for refusal in &refusals {
        let keys: Vec<&str> = refusal
            .as_object()
            .expect("a refusal")
            .keys()
            .map(String::as_str)
            .collect();
        assert!(
            keys.iter()
                .all(|key| ["code", "field", "reason", "basis"].contains(key)),
            "{keys:?}"
        );
        assert!(
            refusal["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{refusal}"
        );
    }
    let plan = site.json(["plan", id]).expecting(3).document();
    let planned = plan["refusals"].as_array().expect("refusals");
    assert_eq!(codes(planned), codes(&refusals));
    let text = site.text(["run", id]).expecting(3);
    for refusal in &refusals {
        let code = refusal["code"].as_str().expect("a code");
        let shown = format!("{}{}", text.stdout, text.stderr);
        assert!(shown.contains(&format!("[{code}]")), "{code}: {text:?}");
    }
    assert!(
        !site.path("outbox").exists(),
        "the destination is untouched"
    );
    let entries = site.json(["ledger", "list"]).expecting(0).document();
    let last = entries["entries"]
        .as_array()
        .and_then(|entries| entries.last())
        .expect("an entry");
    assert_eq!(
        (&last["event"], &last["grant"]),
        (&json!("refused"), &json!(id))
    );
    let codes: Vec<&Value> = refusals.iter().map(|refusal| &refusal["code"]).collect();
    assert_eq!(last["codes"], json!(codes));
    refusals
}

/// Codes and fields of refusals.
fn codes(refusals: &[Value]) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    refusals
        .iter()
        .map(|refusal| {
            (
                text(&refusal["code"]).expect("a code"),
                text(&refusal["field"]),
            )
        })
        .collect()
}

fn of(code: &str) -> (String, Option<String>) {
    (code.to_owned(), None)
}

fn of_field(code: &str, field: &str) -> (String, Option<String>) {
    (code.to_owned(), Some(field.to_owned()))
}

/// A grant that was never signed, because signing refuses it for that very reason.
#[track_caller]
fn refused_and_not_signed(
    site: &Site,
    grant: &Grant,
    expected: &[(String, Option<String>)],
) -> Vec<Value> {
    site.grant(grant);
    let signing = site.sign(grant.id()).expecting(3);
    let error = signing.document()["error"].clone();
    assert_eq!(error["class"], "refused");
    assert_eq!(
        codes(error["refusals"].as_array().expect("refusals")),
        expected
    );
    let signature = site.path(&format!("grants/{}.toml.sig", grant.id()));
    assert!(!signature.exists(), "nothing was written");
    let found = refused(site, grant.id());
    let mut with_unsigned = vec![of("unsigned")];
    with_unsigned.extend_from_slice(expected);
    assert_eq!(codes(&found), with_unsigned);
    found.into_iter().skip(1).collect()
}

#[test]
fn a_grant_without_a_signature_that_counts_is_unsigned() {
    let site = people::site(10);
    site.grant(&grant("G-1", &["id"]));
    assert_eq!(codes(&refused(&site, "G-1")), [of("unsigned")]);

    // Something else where the signature should be.
    for garbage in ["", "{}", "not json", "\u{0}\u{ff}"] {
        site.write("grants/G-1.toml.sig", garbage);
        assert_eq!(
            codes(&refused(&site, "G-1")),
            [of("unsigned")],
            "{garbage:?}"
        );
    }
    // Another grant's signature.
    site.grant(&grant("G-2", &["id"]));
    site.sign("G-2").expect_code(0);
    site.write("grants/G-1.toml.sig", &site.read("grants/G-2.toml.sig"));
    assert_eq!(codes(&refused(&site, "G-1")), [of("unsigned")]);
    // A signature over another state of the file: a comment is enough.
    site.sign("G-1").expect_code(0);
    let text = site.read("grants/G-1.toml");
    site.write("grants/G-1.toml", &format!("{text}# harmless\n"));
    assert_eq!(codes(&refused(&site, "G-1")), [of("unsigned")]);
    // A changed byte of the signature.
    site.write("grants/G-1.toml", &text);
    let signature = site.read("grants/G-1.toml.sig");
    let at = signature.find("\"sig\":\"").expect("a signature") + 7;
    let other = if &signature[at..=at] == "A" { "B" } else { "A" };
    site.write(
        "grants/G-1.toml.sig",
        &format!("{}{other}{}", &signature[..at], &signature[at + 1..]),
    );
    assert_eq!(codes(&refused(&site, "G-1")), [of("unsigned")]);
    site.write("grants/G-1.toml.sig", &signature);
    site.run("G-1").expect_code(0);
}

#[test]
fn an_approver_counts_only_if_listed_and_for_its_providers() {
    let site = people::site(10);
    site.grant(&grant("G-1", &["id"]));
    let stranger = site.pair("stranger", "approver");
    let signing = site.sign_as("G-1", "stranger");
    assert!(signing.code != 0, "{signing:?}");
    assert!(!site.path("grants/G-1.toml.sig").exists());
    // Listed for another provider.
    let other = format!("[approvers.other]\npublic_key = \"{stranger}\"\nproviders = [\"tax\"]\n");
    site.configure_more(&other);
    let signing = site.sign_as("G-1", "stranger");
    assert!(signing.code != 0, "{signing:?}");
    // Listed for this one, then struck off.
    site.configure_more(&other.replace("tax", PROVIDER));
    site.sign_as("G-1", "stranger").expect_code(0);
    site.configure_more(&other);
    assert_eq!(codes(&refused(&site, "G-1")), [of("unsigned")]);
    // The name it signed as now belongs to another key.
    let (approver, renamed) = (site.approver_key(), other.replace("tax", PROVIDER));
    site.configure_more(&renamed.replace(&stranger, approver));
    assert_eq!(
        site.run("G-1").code,
        2,
        "two names for one key are no usable file"
    );
}

#[test]
fn prohibited_data_cites_its_legal_basis() {
    let site = people::site(10);
    let basis = "《精神卫生法》第二十三条";
    site.dataset(
        &dataset()
            .sharing("prohibited")
            .more(&format!("basis = '{basis}'")),
    );
    let found = refused_and_not_signed(&site, &grant("G-1", &["id"]), &[of("prohibited")]);
    assert_eq!(found[0]["basis"], basis);
    let text = site.text(["run", "G-1"]).expecting(3);
    assert!(
        format!("{}{}", text.stdout, text.stderr).contains(basis),
        "{text:?}"
    );
}

#[test]
fn modes_that_dataset_or_grant_do_not_allow() {
    let site = people::site(10);
    refused_and_not_signed(
        &site,
        &grant("G-1", &["id"]).modes("'download'"),
        &[of("mode")],
    );
    site.dataset(&dataset().modes("'download'"));
    refused_and_not_signed(&site, &grant("G-2", &["id"]), &[of("mode")]);
}

#[test]
fn days_before_and_after_the_grants_validity() {
    let site = people::site(10);
    let early = grant("G-1", &["id"]).valid("from = 2098-01-01, until = 2099-12-31");
    refused_and_not_signed(&site, &early, &[of("not-yet-valid")]);
    let late = grant("G-2", &["id"]).valid("from = 2020-01-01, until = 2020-12-31");
    refused_and_not_signed(&site, &late, &[of("expired")]);
}

#[test]
fn a_quota_of_nothing() {
    let site = people::site(10);
    for (id, quota) in [
        ("G-1", "quota = { runs = 0 }"),
        ("G-2", "quota = { rows = 0 }"),
    ] {
        refused_and_not_signed(&site, &grant(id, &["id"]).more(quota), &[of("quota")]);
    }
}

#[test]
fn treatments_below_the_floor() {
    let site = people::site(10);
    let weaker = [
        ("name", "{ kind = 'clear' }"),
        ("name", "{ kind = 'keep-ends', first = 2, last = 0 }"),
        ("name", "{ kind = 'keep-ends', first = 1, last = 1 }"),
        ("name", "{ kind = 'mask-range', from = 1, to = -1 }"), // not comparable
        ("income", "{ kind = 'round', to = '500' }"),
        ("income", "{ kind = 'round', to = '1500' }"), // no multiple
        ("birth", "{ kind = 'date-trunc', unit = 'month' }"),
        ("person_id", "{ kind = 'hmac', domain = 'another' }"),
        ("person_id", "{ kind = 'keep-ends', first = 0, last = 1 }"),
    ];
    for (number, (field, treatment)) in weaker.into_iter().enumerate() {
        let grant = grant(&format!("G-{number}"), &["id", field]).treatment(field, treatment);
        refused_and_not_signed(&site, &grant, &[of_field("below-floor", field)]);
    }
    // Stronger ones, and an exemption, pass.
    let fine = grant("G-ok", &FIELDS)
        .treatment("name", "{ kind = 'null' }")
        .treatment("income", "{ kind = 'round', to = '5000' }")
        .treatment("person_id", "{ kind = 'constant', value = '-' }")
        .exemption("birth", "{ kind = 'clear' }");
    site.signed(&fine);
    site.run("G-ok").expect_code(0);
}

#[test]
fn an_exemption_counts_only_with_the_signature_of_the_approver_it_names() {
    let site = people::site(10);
    let second = site.pair("second", "approver");
    site.configure_more(&format!(
        "[approvers.second]\npublic_key = \"{second}\"\nproviders = [\"{PROVIDER}\"]\n"
    ));
    site.grant(&grant("G-1", &["id", "name"]).exemption_by("name", "{ kind = 'clear' }", "second"));
    let signing = site.sign("G-1").expecting(3).document();
    let found = signing["error"]["refusals"]
        .as_array()
        .expect("refusals")
        .clone();
    assert_eq!(codes(&found), [of_field("below-floor", "name")]);
    site.sign_as("G-1", "second").expect_code(0);
    site.run("G-1").expect_code(0);
}

#[test]
fn an_approver_who_is_listed_after_the_signature_makes_it_stale() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["id"]));
    let second = site.pair("second", "approver");
    site.configure_more(&format!(
        "[approvers.second]\npublic_key = \"{second}\"\nproviders = [\"{PROVIDER}\"]\n"
    ));
    assert_eq!(codes(&refused(&site, "G-1")), [of("approval-stale")]);
    site.sign("G-1").expect_code(0);
    site.run("G-1").expect_code(0);
    // An approver of other departments is no concern of this grant's.
    let other = site.pair("other", "approver");
    let file = site.read("lockgate.toml");
    let more = format!("[approvers.other]\npublic_key = \"{other}\"\nproviders = [\"tax\"]\n");
    site.write("lockgate.toml", &format!("{file}{more}"));
    site.json(["run", "G-1", "--again"]).expect_code(0);
}

#[test]
fn only_fields_that_policy_withholds_are_nothing_to_deliver() {
    let site = people::site(10);
    site.policy("[[rules]]\nmax_level = 1\ntreatment = { kind = 'clear' }\n");
    refused_and_not_signed(
        &site,
        &grant("G-1", &["name", "income"]),
        &[of("below-floor")],
    );
}

#[test]
fn important_data_needs_its_own_word_and_core_data_never_leaves() {
    let site = people::site(10);
    let of_level = |level: &str| {
        let text = dataset().to_toml();
        let field = "name = \"income\"\ntype = \"decimal(12,2)\"\ncategory = \"income\"\nlevel = 3";
        assert!(text.contains(field));
        text.replace(
            field,
            &field.replace("level = 3", &format!("level = '{level}'")),
        )
    };
    site.write("catalogue/people.toml", &of_level("important"));
    let refusal = [of_field("level-important", "income")];
    refused_and_not_signed(&site, &grant("G-1", &["id", "income"]), &refusal);
    // Nor may it decide which rows leave.
    refused_and_not_signed(&site, &grant("G-2", &["id"]).rows("income > 0"), &refusal);
    site.signed(&grant("G-3", &["id", "income"]).more("important = true"));
    site.write("catalogue/people.toml", &of_level("core"));
    let refusal = [of_field("level-core", "income")];
    for id in ["G-4", "G-5"] {
        let grant = grant(id, &["id", "income"]).more("important = true");
        let grant = if id == "G-5" {
            grant.exemption("income", "{ kind = 'clear' }")
        } else {
            grant
        };
        refused_and_not_signed(&site, &grant, &refusal);
    }
    // Raised after signing, it no longer leaves either.
    let found = codes(&refused(&site, "G-3"));
    assert!(
        found.contains(&of_field("level-core", "income")),
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_sealed_as_asked_is_refused_and_never_delivered_plain() {
    let site = people::site(10);
    // SM4 is not among the ciphers of Parquet's own encryption.
    site.policy(&format!("[sealing]\nsuite = 'SM4GCM-SM3'\n{POLICY}"));
    for (number, delivery) in ["", "seal = 'parquet'"].into_iter().enumerate() {
        let grant = grant(&format!("G-{number}"), &["id"]).delivery(delivery);
        refused_and_not_signed(&site, &grant, &[of("seal")]);
    }
    site.policy(POLICY);
    // Policy demands it of what is delivered, whatever the grant says.
    site.signed(&grant("G-low", &["id", "region"]));
    site.grant(&grant("G-high", &["id", "name"]));
    site.sign("G-high").expect_code(0);
    site.policy(&format!("[sealing]\nfrom_level = 3\n{POLICY}"));
    assert_eq!(codes(&refused(&site, "G-high")), [of_field("seal", "name")]);
    site.run("G-low").expect_code(0);
}

#[test]
fn predicates_beyond_the_language() {
    let site = people::site(10);
    let conditions = vec!["id = 1"; 120].join(" OR ");
    let predicates = [
        "random() < 0.5",
        "lower(name) = 'a'",
        "now() > seen",
        "name LIKE region",
        "id = 1; DROP TABLE people",
        "id = $1",
        "name = 5",
        "id",
        "",
        &conditions,
    ];
    for (number, predicate) in predicates.into_iter().enumerate() {
        let id = format!("G-{number}");
        let grant = grant(&id, &["id"]).rows(predicate);
        refused_and_not_signed(&site, &grant, &[of("predicate")]);
    }
}

#[test]
fn a_refused_predicate_does_not_tell_its_constants() {
    let site = people::site(10);
    let grant = grant("G-1", &["id"]).rows("random('canary-7731') = name");
    let found = refused_and_not_signed(&site, &grant, &[of("predicate")]);
    assert!(
        !found[0].to_string().contains("canary-7731"),
        "{}",
        found[0]
    );
}

#[test]
fn pseudonyms_that_join_other_grants_are_refused_unless_the_grant_lists_the_group() {
    let site = people::site(10);
    let joined = "{ kind = 'hmac', domain = 'person.id', join = 'families' }";
    site.policy(&POLICY.replace("{ kind = 'hmac', domain = 'person.id' }", joined));
    let expected = [of_field("linkage", "person_id")];
    refused_and_not_signed(&site, &grant("G-1", &["person_id"]), &expected);
    let grant = grant("G-2", &["person_id"]).treatment("person_id", joined);
    refused_and_not_signed(&site, &grant, &expected);
    // Another group does not help.
    let other = grant.more("joins = ['neighbours']");
    refused_and_not_signed(&site, &other, &expected);
}

#[test]
fn pseudonyms_of_few_values_are_refused_from_level_3() {
    let site = people::site(10);
    let keyed = "{ kind = 'hmac', domain = 'd' }";
    let grant = |id: &str| grant(id, &["id", "status"]).treatment("status", keyed);
    let level = (
        "category = \"status\"\nlevel = 2",
        "category = \"status\"\nlevel = 3",
    );
    site.edit("catalogue/people.toml", level.0, level.1);
    refused_and_not_signed(&site, &grant("G-1"), &[of_field("tiny-domain", "status")]);
    // Below that level it is a warning.
    site.edit("catalogue/people.toml", level.1, level.0);
    site.signed(&grant("G-2"));
    let plan = site.json(["plan", "G-2"]).expecting(0).document();
    let warning = &plan["warnings"][0];
    assert_eq!(
        (&warning["code"], &warning["field"]),
        (&json!("tiny-domain"), &json!("status"))
    );
    let run = site.run("G-2").expecting(0);
    assert!(run.stderr.contains("tiny-domain"), "{run:?}");
}

#[test]
fn conditions_on_unconditional_data_are_logged_and_refuse_nothing() {
    let site = people::site(30);
    site.dataset(&dataset().sharing("unconditional"));
    let grant = grant("G-1", &["id", "name"])
        .rows("id > 3")
        .divisions(&["33"])
        .treatment("name", "{ kind = 'null' }");
    site.signed(&grant);
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let warnings = plan["warnings"].as_array().expect("warnings");
    assert!(warnings.len() == 3, "{warnings:?}");
    assert!(
        warnings
            .iter()
            .all(|warning| warning["code"] == "added-condition")
    );
    let run = site.run("G-1").expecting(0);
    assert_eq!(run.stderr.matches("added-condition").count(), 3, "{run:?}");
}

#[test]
fn every_reason_is_told_at_once() {
    let site = people::site(10);
    site.dataset(
        &dataset()
            .sharing("prohibited")
            .more("basis = 'law'")
            .modes("'download'"),
    );
    site.policy(&format!("[sealing]\nsuite = 'SM4GCM-SM3'\n{POLICY}"));
    let grant = grant("G-1", &["id", "name", "income"])
        .valid("from = 2020-01-01, until = 2020-12-31")
        .more("quota = { runs = 0 }")
        .rows("abs(id) = 1")
        .treatment("name", "{ kind = 'clear' }")
        .treatment("income", "{ kind = 'round', to = '10' }")
        .delivery("seal = 'parquet'");
    let expected = [
        of("prohibited"),
        of("mode"),
        of("expired"),
        of("quota"),
        of_field("below-floor", "name"),
        of_field("below-floor", "income"),
        of("predicate"),
        of("seal"),
    ];
    refused_and_not_signed(&site, &grant, &expected);
}

/// An edit that an operator makes after the signature, and a word of the reason.
type Edit = (&'static str, &'static str, &'static str, &'static str);

#[test]
fn whatever_weakens_or_moves_after_the_signature_is_stale() {
    let site = people::site(10);
    let signed = grant("G-1", &["id", "person_id", "name", "income"])
        .divisions(&["33"])
        .rows("status = 'active'");
    site.signed(&signed);
    let catalogue = "catalogue/people.toml";
    let edits: [Edit; 12] = [
        ("policy.toml", "first = 1", "first = 2", "name"),
        (
            "policy.toml",
            "{ kind = 'hmac', domain = 'person.id' }",
            "{ kind = 'clear' }",
            "person_id",
        ),
        ("policy.toml", "to = '1000'", "to = '100'", "income"),
        (
            "policy.toml",
            "domain = 'person.id'",
            "domain = 'elsewhere'",
            "person_id",
        ),
        (
            catalogue,
            "category = \"income\"\nlevel = 3",
            "category = \"income\"\nlevel = 2",
            "income",
        ),
        (
            catalogue,
            "category = \"income\"",
            "category = \"other\"",
            "income",
        ),
        (
            catalogue,
            "category = \"status\"\nlevel = 2",
            "category = \"status\"\nlevel = 1",
            "status",
        ),
        (
            catalogue,
            "path = \"people/\"",
            "path = \"others/\"",
            "source",
        ),
        (
            catalogue,
            "sharing = \"conditional\"",
            "sharing = \"unconditional\"",
            "sharing",
        ),
        (
            catalogue,
            "division = 'region'",
            "division = 'status'",
            "division",
        ),
        (
            "lockgate.toml",
            "url = \"file:lake\"",
            "url = \"file:lake2\"",
            "source",
        ),
        (
            "recipients/civil-affairs.toml",
            "x25519:",
            "x25519:",
            "keys",
        ),
    ];
    for (file, old, new, reason) in edits {
        let before = site.read(file);
        if file.starts_with("recipients/") {
            let other = site.pair("another", "recipient");
            let line = before
                .lines()
                .find(|line| line.starts_with("public_keys"))
                .expect("keys");
            site.write(
                file,
                &before.replace(line, &format!("public_keys = [\"{other}\"]")),
            );
        } else {
            site.edit(file, old, new);
        }
        let found = refused(&site, "G-1");
        let (code, field) = &codes(&found)[0];
        assert_eq!(
            (code.as_str(), field),
            ("approval-stale", &None),
            "{file}: {old} -> {new}"
        );
        let text = found[0]["reason"].as_str().expect("a reason");
        assert!(text.contains(reason), "{file}: {old} -> {new}: {text}");
        site.write(file, &before);
    }
    site.run("G-1").expect_code(0);
}

#[test]
fn what_becomes_stronger_after_the_signature_passes() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["id", "person_id", "name", "income"]));
    let edits = [
        ("policy.toml", "first = 1", "first = 0"),
        ("policy.toml", "to = '1000'", "to = '5000'"),
        (
            "policy.toml",
            "{ kind = 'hmac', domain = 'person.id' }",
            "{ kind = 'null' }",
        ),
        (
            "catalogue/people.toml",
            "category = \"income\"\nlevel = 3",
            "category = \"income\"\nlevel = 4",
        ),
    ];
    for (file, old, new) in edits {
        site.edit(file, old, new);
        let run = site.run("G-1").expecting(0).document();
        assert_eq!(run["status"], "delivered", "{file}: {new}");
    }
}

#[test]
fn a_field_withheld_when_it_was_signed_is_not_delivered_later() {
    let site = people::site(10);
    let withholding = POLICY.replace("{ kind = 'round', to = '1000' }", "{ kind = 'withhold' }");
    site.policy(&withholding);
    site.signed(&grant("G-1", &["id", "income"]));
    site.policy(POLICY);
    assert_eq!(codes(&refused(&site, "G-1")), [of("approval-stale")]);
}

#[test]
fn a_refused_run_sends_nothing_to_a_remote_destination() {
    let server = Server::start(&["outbox"]).expect("a server");
    let mut site = people::site(10);
    site.set_env("TEST_KEY_ID", ACCESS_KEY_ID);
    site.set_env("TEST_SECRET", SECRET_ACCESS_KEY);
    let outbox = format!(
        "url = \"s3://outbox\"\nendpoint = \"{}\"\nallow_http = true\naccess_key_id = {{ env = \
         \"TEST_KEY_ID\" }}\nsecret_access_key = {{ env = \"TEST_SECRET\" }}",
        server.endpoint()
    );
    site.configure(&Configuration {
        outbox: &outbox,
        ..Configuration::default()
    });
    site.grant(&grant("G-1", &["id"]));
    site.run("G-1").expect_code(3);
    site.json(["plan", "G-1"]).expect_code(3);
    use Operation::{BeginUpload, Create, Delete, Get, Head, List, Put};
    for operation in [Get, Head, List, Put, Create, Delete, BeginUpload] {
        assert_eq!(server.faults().count(operation), 0, "{operation:?}");
    }
    site.sign("G-1").expect_code(0);
    site.run("G-1").expect_code(0);
    assert!(server.faults().count(Create) > 0, "the counter counts");
}

#[test]
fn an_unknown_field_is_an_unusable_file_and_no_refusal() {
    let site = people::site(10);
    site.grant(&grant("G-1", &["id", "nmae"]));
    for command in ["run", "plan"] {
        let error = site.json([command, "G-1"]).expecting(2).document();
        let problems = error["error"]["problems"]
            .as_array()
            .expect("problems")
            .clone();
        assert_eq!(problems[0]["file"], "grants/G-1.toml", "{error}");
        assert!(
            problems[0]["hint"]
                .as_str()
                .expect("a hint")
                .contains("`name`"),
            "{error}"
        );
    }
    // Another grant is none the worse for it.
    site.signed(&grant("G-2", &["id"]));
    site.run("G-2").expect_code(0);
    let checked = site.json(["check"]).expecting(2).document();
    assert_eq!(
        checked["problems"].as_array().map(Vec::len),
        Some(1),
        "{checked}"
    );
}

#[test]
fn refusals_are_no_problems_of_the_files() {
    let site = people::site(10);
    site.policy(&format!("[sealing]\nsuite = 'SM4GCM-SM3'\n{POLICY}"));
    site.dataset(&dataset().sharing("prohibited").more("basis = 'law'"));
    site.grant(
        &grant("G-1", &["id", "name"])
            .treatment("name", "{ kind = 'clear' }")
            .delivery(""),
    );
    let checked = site.json(["check"]).expecting(0).document();
    assert_eq!(checked["problems"], json!([]));
    let listed = site.json(["grant", "list"]).expecting(0).document();
    assert_eq!(listed["grants"][0]["state"], "draft");
    let refusals = listed["grants"][0]["refusals"].as_array().expect("codes");
    for code in ["unsigned", "prohibited", "below-floor", "seal"] {
        assert!(refusals.contains(&json!(code)), "{refusals:?}");
    }
    assert_eq!(APPROVER, "data-office");
    assert!(fs::read_dir(site.path("grants")).expect("grants").count() == 1);
}
