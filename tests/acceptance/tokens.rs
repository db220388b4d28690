//! Tokens and their vaults, end to end: what stays equal, what an approver has to sign before a token
//! is turned back, and what becomes of a vault that is damaged, killed or wanted twice.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use lockgate_acceptance::site::{Dataset, Delivery, Finished, Grant, Site};
use serde_json::Value;

use super::PROGRAM;

const TOKENS: &str = "{ kind = 'tokenize', domain = 'person.id' }";
const JOINED: &str = "{ kind = 'tokenize', domain = 'person.id', join = 'families' }";

/// Identity numbers that occur nowhere else.
const IDS: [&str; 3] = [
    "11010519491231002X",
    "360426199101010071",
    "110105194912310038",
];

/// A site with couples: identity numbers in two fields.
fn site() -> Site {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("people")
        .source("store = \"lake\", path = \"people.csv\", format = \"csv\"")
        .field("person_id", "utf8", "resident-id", "3")
        .field("partner_id", "utf8", "resident-id", "3")
        .plain("town", "utf8");
    site.dataset(&dataset);
    couples(&site, &[(IDS[0], IDS[1]), (IDS[1], IDS[0]), (IDS[2], "")]);
    site
}

fn couples(site: &Site, couples: &[(&str, &str)]) {
    let mut text = "person_id,partner_id,town\n".to_owned();
    for (one, other) in couples {
        writeln!(text, "{one},{other},杭州").expect("writing to a string");
    }
    site.write("lake/people.csv", &text);
}

fn grant(id: &str, treatment: &str) -> Grant {
    let grant = Grant::new(id, "people", &["person_id", "partner_id", "town"])
        .treatment("person_id", treatment)
        .treatment("partner_id", treatment);
    match treatment.contains("join") {
        true => grant.more("joins = [\"families\"]"),
        false => grant,
    }
}

fn column(delivery: &Delivery, name: &str) -> Vec<Option<String>> {
    let rows = delivery.rows();
    let column = rows.column_by_name(name).expect("the column");
    let texts = column.as_string::<i32>().iter();
    texts.map(|text| text.map(str::to_owned)).collect()
}

/// The tokens of the field `person_id`.
fn tokens(delivery: &Delivery) -> Vec<String> {
    column(delivery, "person_id")
        .into_iter()
        .flatten()
        .collect()
}

fn vaults(site: &Site) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(site.path("state/vaults")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.collect()
}

fn events(site: &Site, event: &str) -> Vec<Value> {
    let listed = site.json(["ledger", "list"]).expecting(0).document();
    let entries = listed["entries"].as_array().expect("entries").iter();
    let of_kind = entries.filter(|entry| entry["event"] == event);
    of_kind.cloned().collect()
}

/// Writes tokens to a file beside the site.
fn listed(site: &Site, tokens: &[String]) -> PathBuf {
    let path = site.beside().join("tokens.txt");
    fs::write(&path, tokens.join("\n")).expect("a list of tokens");
    path
}

/// Has tokens approved with a key of `people/`.
fn approve(site: &Site, grant: &str, tokens: &[String], key: &str, until: &str) -> Finished {
    let (list, key) = (listed(site, tokens), site.private_key(key));
    let out = site.beside().join("approval.json");
    drop(fs::remove_file(&out));
    let mut arguments = vec!["tokens", "approve", grant, "--domain", "person.id"];
    arguments.extend([
        "--reason",
        "a recipient asks about one person",
        "--until",
        until,
    ]);
    let paths = [("--key", &key), ("--tokens", &list), ("--out", &out)];
    for (name, path) in &paths {
        arguments.extend([*name, path.to_str().expect("a path")]);
    }
    site.json(arguments)
}

fn approved(site: &Site, grant: &str, tokens: &[String]) {
    approve(site, grant, tokens, "approver", "2099-12-31").expect_code(0);
}

fn reveal_command(site: &Site, grant: &str, list: &PathBuf) -> Command {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args(["tokens", "reveal", grant, "--approval"])
        .arg(site.beside().join("approval.json"))
        .arg("--tokens")
        .arg(list);
    command
}

fn reveal(site: &Site, grant: &str, tokens: &[String]) -> Finished {
    let mut command = reveal_command(site, grant, &listed(site, tokens));
    lockgate_acceptance::site::finish(command.arg("--json"))
}

/// Nothing that was printed tells a value.
#[track_caller]
fn says_no_value(finished: &Finished) {
    for id in IDS {
        let told = finished.stdout.contains(id) || finished.stderr.contains(id);
        assert!(!told, "{finished:?}");
    }
}

#[test]
fn a_value_has_one_token_in_every_field_and_every_run() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let first = site.deliver("G-1");
    let (own, partners) = (column(&first, "person_id"), column(&first, "partner_id"));
    assert_eq!(own[..2], [partners[1].clone(), partners[0].clone()]);
    assert_eq!(partners[2], None, "no value, no token");
    let distinct: BTreeSet<_> = tokens(&first).into_iter().collect();
    assert_eq!(distinct.len(), 3);
    assert!(distinct.iter().all(|token| token.len() == 16));

    couples(
        &site,
        &[(IDS[2], IDS[0]), ("440106199001011234", ""), (IDS[1], "")],
    );
    let second = tokens(&site.deliver("G-1"));
    let earlier = tokens(&first);
    assert_eq!([&second[0], &second[2]], [&earlier[2], &earlier[1]]);
    assert!(!distinct.contains(&second[1]));
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_eq!(tokens(&Delivery::of_run(&again)), second);
}

#[test]
fn manifest_and_plan_name_the_key_and_what_can_be_relied_on() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["fields"][0]["uniqueness"], "bijective");
    assert_eq!(plan["fields"][0]["width"]["bytes"], 16);
    assert_eq!(plan["fields"][0]["strength"], 3);
    assert!(vaults(&site).is_empty(), "a plan makes no vault");
    let delivery = site.deliver("G-1");
    let field = &delivery.manifest()["fields"][0];
    assert_eq!(field["key_versions"]["encryption"], 1);
    assert_eq!(field["treatment"]["kind"], "tokenize");
}

#[test]
fn a_vault_is_sealed_and_its_owners_alone() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let tokens = tokens(&site.deliver("G-1"));
    let [vault] = vaults(&site).try_into().expect("one vault for both fields");
    let bytes = fs::read(&vault).expect("a vault");
    for text in IDS.iter().map(ToString::to_string).chain(tokens) {
        let text = text.as_bytes();
        assert!(!bytes.windows(text.len()).any(|part| part == text));
    }
    let mode = vault.metadata().expect("a vault").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn grants_have_tokens_of_their_own_unless_they_share_a_join_group() {
    let site = site();
    for (id, treatment) in [
        ("G-1", TOKENS),
        ("G-2", TOKENS),
        ("G-3", JOINED),
        ("G-4", JOINED),
    ] {
        site.signed(&grant(id, treatment));
    }
    let [one, two, three, four] = ["G-1", "G-2", "G-3", "G-4"].map(|id| tokens(&site.deliver(id)));
    assert_eq!(three, four);
    let own: BTreeSet<&String> = one.iter().chain(&two).chain(&three).collect();
    assert_eq!(own.len(), 9, "no two scopes share a token");
    let listed = site.json(["tokens", "list"]).expecting(0).document();
    let vaults = listed["vaults"].as_array().expect("vaults");
    let mut scopes: Vec<&str> = vaults
        .iter()
        .filter_map(|vault| vault["scope"].as_str())
        .collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["grant:G-1", "grant:G-2", "join:families"]);
    assert!(vaults.iter().all(|vault| vault["tokens"] == 3));
}

#[test]
fn a_join_group_that_the_grant_does_not_list_is_refused() {
    let site = site();
    site.grant(&grant("G-1", JOINED).more("scenario = \"s\""));
    site.edit("grants/G-1.toml", "joins = [\"families\"]\n", "");
    let refused = site.sign("G-1").expecting(3).document();
    assert_eq!(refused["error"]["refusals"][0]["code"], "linkage");
}

#[test]
fn few_possible_values_are_refused_as_with_every_keyed_pseudonym() {
    let site = site();
    site.edit(
        "catalogue/people.toml",
        "\"other\"\nlevel = 1",
        "\"gender\"\nlevel = 3",
    );
    site.grant(&grant("G-1", TOKENS).treatment("town", TOKENS));
    let refused = site.sign("G-1").expecting(3).document();
    assert_eq!(refused["error"]["refusals"][0]["code"], "tiny-domain");
}

#[test]
fn with_an_approval_tokens_are_turned_back_and_the_ledger_knows() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let mut tokens = tokens(&site.deliver("G-1"));
    tokens.push("AAAAAAAAAAAAAAAA".to_owned());
    approved(&site, "G-1", &tokens);
    let revealed = reveal(&site, "G-1", &tokens).expecting(0).document();
    let values: Vec<_> = revealed["tokens"]
        .as_array()
        .expect("tokens")
        .iter()
        .collect();
    for (row, id) in values.iter().zip(IDS) {
        assert_eq!(
            (&row["value"], &row["key_version"]),
            (&id.into(), &1.into())
        );
    }
    assert_eq!(values[3]["value"], Value::Null);

    let [event] = events(&site, "tokens-revealed")
        .try_into()
        .expect("one entry");
    assert_eq!(event["approver"], "data-office");
    assert_eq!((&event["tokens"], &event["found"]), (&4.into(), &3.into()));
    assert_eq!(event["domain"], "person.id");
    let kept = event["approval_sha256"].as_str().expect("a hash");
    let kept = site.read(&format!("state/approvals/{kept}.json"));
    let given = fs::read_to_string(site.beside().join("approval.json")).expect("the approval");
    assert_eq!(kept, given);
    let ledger = site.text(["ledger", "list"]).expecting(0);
    says_no_value(&ledger);
    assert!(!ledger.stdout.contains(&tokens[0]), "{ledger:?}");

    let list = listed(&site, &tokens[..1]);
    let mut command = reveal_command(&site, "G-1", &list);
    let text = lockgate_acceptance::site::finish(&mut command).expecting(0);
    let expected = format!("token,value,key_version\n{},\"{}\",1\n", tokens[0], IDS[0]);
    assert_eq!(text.stdout, expected, "some of the approved tokens, as CSV");
}

#[test]
fn tokens_are_read_from_standard_input() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let tokens = tokens(&site.deliver("G-1"));
    approved(&site, "G-1", &tokens);
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args(["tokens", "reveal", "G-1", "--approval"])
        .arg(site.beside().join("approval.json"))
        .stdin(Stdio::piped());
    let mut running = command.spawn().expect("the program");
    let mut input = running.stdin.take().expect("an input");
    writeln!(input, " {} \n\n{}\n{0}", tokens[1], tokens[2]).expect("tokens");
    drop(input);
    let output = running.wait_with_output().expect("an end");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.lines().count(), 3, "each token once: {text}");
    assert!(text.contains(IDS[1]) && text.contains(IDS[2]));
}

#[test]
fn without_an_approval_that_covers_it_no_token_is_turned_back() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    site.signed(&grant("G-2", TOKENS));
    let tokens = tokens(&site.deliver("G-1"));
    site.deliver("G-2");
    let refused = |grant: &str, tokens: &[String]| {
        let refused = reveal(&site, grant, tokens).expecting(3);
        says_no_value(&refused);
        assert!(!refused.stdout.contains(&tokens[0]), "{refused:?}");
        assert!(!refused.stderr.contains(&tokens[0]), "{refused:?}");
    };
    // Other tokens than those asked for, another grant.
    approved(&site, "G-1", &tokens[..2]);
    refused("G-1", &tokens);
    refused("G-2", &tokens[..2]);
    // Changed.
    let path = site.beside().join("approval.json");
    let whole = fs::read_to_string(&path).expect("the approval");
    let payload = whole.find("eyJ").expect("a payload");
    let mut bytes = whole.clone().into_bytes();
    bytes[payload + 40] ^= 1;
    fs::write(&path, bytes).expect("the approval");
    refused("G-1", &tokens[..2]);
    // A grant's signature is no approval of this.
    fs::copy(site.path("grants/G-1.toml.sig"), &path).expect("the signature");
    refused("G-1", &tokens[..2]);
    // An approver who is not listed any more.
    fs::write(&path, whole).expect("the approval");
    site.edit(
        "lockgate.toml",
        "providers = [\"public-security\"]",
        "providers = [\"taxes\"]",
    );
    refused("G-1", &tokens[..2]);
    assert_eq!(events(&site, "tokens-revealed"), [Value::Null; 0]);
    assert_eq!(events(&site, "refused").len(), 5);
}

#[test]
fn an_approval_opens_no_vault_of_a_group_that_the_grant_joins_later() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    site.signed(&grant("G-2", JOINED));
    site.deliver("G-1");
    let tokens = tokens(&site.deliver("G-2"));
    approved(&site, "G-1", &tokens);
    let found = |site: &Site| {
        let revealed = reveal(site, "G-1", &tokens).expecting(0).document();
        let rows = revealed["tokens"].as_array().expect("tokens").clone();
        rows.iter().filter(|row| !row["value"].is_null()).count()
    };
    assert_eq!(found(&site), 0, "the tokens are another grant's");
    let file = site.read("grants/G-1.toml");
    site.write(
        "grants/G-1.toml",
        &format!("joins = [\"families\"]\n{file}"),
    );
    // An edited file reveals nothing, and what was approved over the file before neither.
    reveal(&site, "G-1", &tokens).expect_code(3);
    site.sign("G-1").expect_code(0);
    reveal(&site, "G-1", &tokens).expect_code(3);
    approved(&site, "G-1", &tokens);
    assert_eq!(found(&site), 3, "which the approver sees and signs now");
}

#[test]
fn a_grant_that_is_not_in_force_turns_no_token_back() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let tokens = tokens(&site.deliver("G-1"));
    approved(&site, "G-1", &tokens);
    for stop in [
        ["grant", "suspend", "G-1", "--reason", "misuse"],
        ["grant", "terminate", "G-1", "--reason", "over"],
    ] {
        site.json(stop).expect_code(0);
        let refused = reveal(&site, "G-1", &tokens).expecting(3);
        says_no_value(&refused);
    }
    // Another version, which nobody signed, doesn't bring a terminated grant back.
    site.edit("grants/G-1.toml", "version = 1", "version = 2");
    let refused = reveal(&site, "G-1", &tokens).expecting(3);
    says_no_value(&refused);
    assert_eq!(events(&site, "tokens-revealed"), [Value::Null; 0]);
    assert_eq!(events(&site, "refused").len(), 3);
}

#[test]
fn only_an_approver_of_the_provider_approves_and_not_for_the_past() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let tokens = tokens(&site.deliver("G-1"));
    site.pair("stranger", "approver");
    approve(&site, "G-1", &tokens, "stranger", "2099-12-31").expect_code(3);
    approve(&site, "G-1", &tokens, "recipient", "2099-12-31").expect_code(2);
    approve(&site, "G-1", &tokens, "approver", "2026-01-01").expect_code(2);
    approve(&site, "G-9", &tokens, "approver", "2099-12-31").expect_code(2);
    let no_tokens = ["not a token".to_owned()];
    let refused = approve(&site, "G-1", &no_tokens, "approver", "2099-12-31").expecting(2);
    assert!(!refused.stdout.contains("not a token"), "{refused:?}");
    assert!(!site.beside().join("approval.json").exists());
}

#[test]
fn what_the_ledger_cannot_record_is_not_turned_back() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let tokens = tokens(&site.deliver("G-1"));
    approved(&site, "G-1", &tokens);
    fs::rename(
        site.path("keys/ledger.v1.key"),
        site.beside().join("ledger.key"),
    )
    .expect("the ledger's key");
    let failed = reveal(&site, "G-1", &tokens);
    assert_ne!(failed.code, 0, "{failed:?}");
    says_no_value(&failed);
}

#[test]
fn a_join_groups_tokens_need_an_approver_of_every_provider_in_it() {
    let site = site();
    site.signed(&grant("G-1", JOINED));
    let tokens = tokens(&site.deliver("G-1"));
    // Another department's dataset, released by its own approver, joins the group.
    let key = site.pair("taxes", "approver");
    let more = format!("[approvers.taxes]\npublic_key = \"{key}\"\nproviders = [\"taxes\"]\n");
    site.configure_more(&more);
    let dataset = site.read("catalogue/people.toml");
    let dataset = dataset.replace("\"people\"", "\"payers\"");
    let dataset = dataset.replace("\"public-security\"", "\"taxes\"");
    site.write("catalogue/payers.toml", &dataset);
    site.grant(&grant("G-2", JOINED));
    site.edit(
        "grants/G-2.toml",
        "dataset = \"people\"",
        "dataset = \"payers\"",
    );
    site.sign_as("G-2", "taxes").expect_code(0);
    assert_eq!(self::tokens(&site.deliver("G-2")), tokens);

    approved(&site, "G-1", &tokens);
    let refused = reveal(&site, "G-1", &tokens).expecting(3);
    says_no_value(&refused);
    assert!(refused.stdout.contains("provider `taxes`"), "{refused:?}");
    site.edit(
        "lockgate.toml",
        "providers = [\"public-security\"]",
        "providers = [\"public-security\", \"taxes\"]",
    );
    reveal(&site, "G-1", &tokens).expect_code(0);
}

#[test]
fn a_preview_shows_existing_tokens_makes_others_up_and_draws_none() {
    let site = site();
    site.configure_more("[preview]\nbefore = true\n");
    site.signed(&grant("G-1", TOKENS));
    let preview = || site.json(["preview", "G-1"]).expecting(0).document();
    let before = preview();
    let note = before["notes"][0].as_str().expect("a note");
    assert!(
        note.starts_with("5 tokens of domain `person.id` are provisional"),
        "{note}"
    );
    assert_eq!(before["rows"][0][0], before["rows"][1][1]);
    assert_ne!(
        preview()["rows"][0][0],
        before["rows"][0][0],
        "nobody relies on it"
    );
    assert!(vaults(&site).is_empty());

    let tokens = tokens(&site.deliver("G-1"));
    couples(&site, &[(IDS[1], IDS[0]), ("440106199001011234", "")]);
    let after = preview();
    assert_eq!(after["rows"][0][0], tokens[1].as_str());
    assert_eq!(after["rows"][0][1], tokens[0].as_str());
    assert!(
        after["notes"][0]
            .as_str()
            .expect("a note")
            .starts_with("1 tokens of domain")
    );
    let listed = site.json(["tokens", "list"]).expecting(0).document();
    assert_eq!(listed["vaults"][0]["tokens"], 3);
    let text = site.text(["preview", "G-1"]).expecting(0);
    assert!(text.stdout.contains("note: 1 tokens"), "{text:?}");
}

#[test]
fn a_new_version_of_the_key_begins_a_new_vault_and_the_old_one_is_still_opened() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    let old = tokens(&site.deliver("G-1"));
    site.json(["keys", "new", "encryption"]).expect_code(0);
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let delivery = Delivery::of_run(&again);
    assert_eq!(
        delivery.manifest()["fields"][0]["key_versions"]["encryption"],
        2
    );
    let new = tokens(&delivery);
    assert!(new.iter().all(|token| !old.contains(token)));
    let both = [old, new].concat();
    approved(&site, "G-1", &both);
    let revealed = reveal(&site, "G-1", &both).expecting(0).document();
    let rows = revealed["tokens"].as_array().expect("tokens");
    let versions: Vec<_> = rows.iter().map(|row| row["key_version"].as_u64()).collect();
    assert_eq!(versions, [1, 1, 1, 2, 2, 2].map(Some));
    assert_eq!(rows[0]["value"], rows[3]["value"]);

    site.json(["check"]).expect_code(0);
    fs::remove_file(site.path("keys/encryption.v1.key")).expect("the old key");
    let problems = site.json(["check"]).expecting(2).document();
    let file = problems["problems"][0]["file"].as_str().expect("a file");
    assert!(
        file.starts_with("state/vaults/") && file.ends_with(".v1.redb"),
        "{problems}"
    );
}

#[test]
fn a_damaged_vault_fails_the_run_and_is_found_by_check() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    site.deliver("G-1");
    let [vault] = vaults(&site).try_into().expect("one vault");
    let whole = fs::read(&vault).expect("a vault");
    let half = whole[..whole.len() / 2].to_vec();
    let garbage = vec![0x5a; whole.len()];
    for damaged in [half, garbage, Vec::from("not a vault")] {
        fs::write(&vault, damaged).expect("a damaged vault");
        let failed = site.json(["run", "G-1", "--again"]).expecting(1);
        assert_eq!(
            failed.document()["error"]["class"],
            "integrity",
            "{failed:?}"
        );
        says_no_value(&failed);
        let problems = site.json(["check"]).expecting(2).document();
        let what = problems["problems"][0]["what"].as_str().expect("a problem");
        assert!(what.contains("is damaged"), "{what}");
    }
    fs::write(&vault, whole).expect("the vault");
    site.json(["check"]).expect_code(0);
    site.json(["run", "G-1", "--again"]).expect_code(0);
    assert_eq!(
        events(&site, "release-intended").len(),
        2,
        "no failed run came to it"
    );
}

#[test]
fn a_damaged_vault_is_named_in_the_list_and_hides_no_other() {
    let site = site();
    for id in ["G-1", "G-2", "G-3"] {
        site.signed(&grant(id, TOKENS));
        site.deliver(id);
    }
    let [one, two, _] = vaults(&site).try_into().expect("a vault for each grant");
    let name = |path: &PathBuf| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    fs::write(&one, "not a vault").expect("a damaged vault");
    let failed = site.json(["tokens", "list"]).expecting(1);
    says_no_value(&failed);
    let listed = failed.document()["vaults"]
        .as_array()
        .expect("vaults")
        .clone();
    assert_eq!(listed.len(), 3, "{failed:?}");
    for vault in &listed {
        let is_damaged = vault["vault"]
            .as_str()
            .is_some_and(|own| own.ends_with(&name(&one)));
        assert_eq!(
            vault["fault"]["class"] == "integrity",
            is_damaged,
            "{vault}"
        );
        assert_eq!(vault["tokens"] == 3, !is_damaged, "{vault}");
    }
    let shown = site.text(["tokens", "list"]).expecting(1).stdout;
    assert!(
        shown.contains("grant:G-") && shown.contains("is damaged"),
        "{shown}"
    );
    // A vault under another one's name is not what its name says.
    fs::copy(&two, &one).expect("another vault's file");
    let listed = site.json(["tokens", "list"]).expecting(1).document();
    let what = listed["vaults"][0]["fault"]["what"]
        .as_str()
        .expect("a fault");
    assert!(what.contains("another vault's file"), "{what}");
}

#[test]
fn a_vault_that_is_older_than_the_last_delivery_gives_no_second_tokens() {
    let site = site();
    site.configure_more("[preview]\nbefore = true\n");
    site.signed(&grant("G-1", TOKENS));
    let early = tokens(&site.deliver("G-1"));
    let [vault] = vaults(&site).try_into().expect("one vault");
    let older = fs::read(&vault).expect("a vault");
    couples(&site, &[("440106199001011234", IDS[0])]);
    let late = tokens(&site.deliver("G-1"));
    let newer = fs::read(&vault).expect("a vault");
    let intended = events(&site, "release-intended").len();

    let refused = |what: &str| {
        for command in [&["run", "G-1", "--again"][..], &["preview", "G-1"]] {
            let failed = site.json(command.iter().copied()).expecting(1);
            let error = &failed.document()["error"];
            assert_eq!(error["class"], "integrity", "{failed:?}");
            let said = error["what"].as_str().expect("what");
            assert!(said.contains(what) && said.contains("lockgate keys new encryption"));
        }
        let problems = site.json(["check"]).expecting(2).document();
        let problem = problems["problems"][0]["what"].as_str().expect("a problem");
        assert!(problem.contains(what), "{problem}");
    };
    fs::write(&vault, &older).expect("an older copy");
    refused("it holds 3 and isn't the one of the last delivery, which held 4");
    // What it has is still turned back.
    let all = [early.clone(), late.clone()].concat();
    approved(&site, "G-1", &all);
    let revealed = reveal(&site, "G-1", &all).expecting(0);
    assert!(revealed.stderr.contains("lacks tokens"), "{revealed:?}");
    let rows = revealed.document();
    assert_eq!(rows["tokens"][0]["value"], IDS[0]);
    assert_eq!(rows["tokens"][3]["value"], Value::Null);

    fs::remove_file(&vault).expect("no vault");
    refused("is gone, and held 4 tokens");
    assert!(vaults(&site).is_empty(), "none is begun in its place");
    assert_eq!(events(&site, "release-intended").len(), intended);

    fs::write(&vault, &newer).expect("the latest copy");
    let others = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&vault, others).expect("a mode");
    let problems = site.json(["check"]).expecting(2).document();
    assert_eq!(problems["problems"].as_array().map(Vec::len), Some(1));
    assert_eq!(problems["problems"][0]["hint"], "chmod 600");
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o600)).expect("a mode");
    site.json(["check"]).expect_code(0);
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_eq!(tokens(&Delivery::of_run(&again)), late);

    // Whoever has no copy begins anew, knowingly.
    fs::remove_file(&vault).expect("no vault");
    site.json(["keys", "new", "encryption"]).expect_code(0);
    let anew = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_ne!(tokens(&Delivery::of_run(&anew)), late);
}

#[test]
fn the_ledger_knows_a_vault_before_it_knows_a_release() {
    let site = site();
    site.signed(&grant("G-1", TOKENS));
    site.deliver("G-1");
    site.json(["run", "G-1", "--again"]).expect_code(0);
    couples(&site, &[("440106199001011234", IDS[0])]);
    site.deliver("G-1");
    let kept = events(&site, "tokens-kept");
    assert_eq!(kept.len(), 2, "the run in between added none: {kept:?}");
    let [vault] = vaults(&site).try_into().expect("one vault");
    let name = vault.file_name().and_then(|name| name.to_str());
    let name = name.expect("a name");
    let tokens = |event: &Value| event["vaults"][name]["tokens"].clone();
    assert_eq!([tokens(&kept[0]), tokens(&kept[1])], [3, 4]);
    let intended = events(&site, "release-intended");
    for (kept, intended) in kept.iter().zip([&intended[0], &intended[2]]) {
        let index = |event: &Value| event["index"].as_u64().expect("an index");
        assert_eq!(index(kept) + 1, index(intended));
    }
}

/// A site with many people, so that a run lasts.
fn crowded(people: u32) -> Site {
    let site = site();
    let mut text = "person_id,partner_id,town\n".to_owned();
    for person in 0..people {
        let partner = (person + 1) % people;
        writeln!(
            text,
            "11010519491231{person:07},11010519491231{partner:07},杭州"
        )
        .expect("writing to a string");
    }
    site.write("lake/people.csv", &text);
    site
}

#[test]
fn a_token_that_two_vaults_hold_is_turned_back_for_the_one_that_was_approved() {
    let site = crowded(5_000);
    let few = "{ kind = 'tokenize', domain = 'person.id', alphabet = 'base32', length = 4 }";
    site.signed(&grant("G-1", few));
    let old = tokens(&site.deliver("G-1"));
    site.json(["keys", "new", "encryption"]).expect_code(0);
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let new = tokens(&Delivery::of_run(&again));
    let people: BTreeSet<&String> = old.iter().collect();
    let both = new.iter().position(|token| people.contains(token));
    let both = both.expect("of 5,000 of a million tokens, one that is in both vaults");
    let asked = &new[both..=both];
    approved(&site, "G-1", asked);
    let refused = reveal(&site, "G-1", asked).expecting(3);
    assert!(refused.stdout.contains("--key-version"), "{refused:?}");
    says_no_value(&refused);

    let approve_for = |extra: [&str; 2]| {
        let list = listed(&site, asked);
        let out = site.beside().join("approval.json");
        drop(fs::remove_file(&out));
        let paths = [&list, &site.private_key("approver"), &out];
        let [list, key, out] = paths.map(|path| path.to_str().expect("a path"));
        let mut arguments = vec!["tokens", "approve", "G-1", "--domain", "person.id"];
        arguments.extend(["--reason", "a question", "--until", "2099-12-31"]);
        arguments.extend(["--tokens", list, "--key", key, "--out", out]);
        arguments.extend(extra);
        site.json(arguments)
    };
    approve_for(["--scope", "grant:G-2"]).expect_code(2);
    approve_for(["--key-version", "2"]).expect_code(0);
    let revealed = reveal(&site, "G-1", asked).expecting(0).document();
    let person = format!("11010519491231{both:07}");
    assert_eq!(revealed["tokens"][0]["value"], person);
    assert_eq!(revealed["tokens"][0]["key_version"], 2);
}

fn start(site: &Site, grant: &str) -> std::process::Child {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args(["--json", "run", grant]);
    command.spawn().expect("the program")
}

/// Waits until the vault holds something that is being written.
fn wait_for_tokens(site: &Site, bytes: u64) {
    let began = Instant::now();
    let is_there = || {
        let vaults = vaults(site).into_iter();
        vaults
            .map(|path| path.metadata().map_or(0, |found| found.len()))
            .sum::<u64>()
            >= bytes
    };
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(120), "no vault grows");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_while_it_draws_tokens_a_run_leaves_a_vault_that_opens() {
    let site = crowded(60_000);
    site.signed(&grant("G-1", TOKENS));
    for bytes in [1 << 10, 1 << 20, 4 << 20] {
        let mut running = start(&site, "G-1");
        wait_for_tokens(&site, bytes);
        running.kill().expect("a kill");
        let ended = running.wait().expect("an end");
        assert!(ended.code().is_none(), "it ended before it was killed");
        site.json(["check"]).expect_code(0);
    }
    // The last kill may have come after the end.
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    let delivery = Delivery::of_run(&again);
    let (own, partners) = (
        column(&delivery, "person_id"),
        column(&delivery, "partner_id"),
    );
    let distinct: BTreeSet<_> = own.iter().collect();
    assert_eq!(distinct.len(), 60_000);
    assert_eq!(own[1..], partners[..59_999]);
    let listed = site.json(["tokens", "list"]).expecting(0).document();
    assert_eq!(listed["vaults"][0]["tokens"], 60_000);
}

#[test]
fn two_runs_that_share_a_vault_follow_one_another_and_agree() {
    let site = crowded(20_000);
    for id in ["G-1", "G-2"] {
        site.signed(&grant(id, JOINED));
    }
    let running = ["G-1", "G-2"].map(|id| start(&site, id));
    let [one, two] = running.map(|running| {
        let output = running.wait_with_output().expect("an end");
        assert!(output.status.success(), "{output:?}");
        let document = serde_json::from_slice(&output.stdout).expect("a document");
        tokens(&Delivery::of_run(&document))
    });
    assert_eq!(one, two);
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 20_000);
}
