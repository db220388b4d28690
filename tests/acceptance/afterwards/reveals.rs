//! Values that only a key turns back: with an approval over these very values, once the ledger knows.

use std::fs;
use std::path::PathBuf;

use arrow::array::AsArray;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_acceptance::site::{Delivery, Finished, Grant, Site};
use serde_json::Value;

use super::{GRANT, RECIPIENT, events, grant, grant_naming, unsigned};

/// A site that delivers `name` encrypted deterministically, and `contact` at random.
fn site(more: &str) -> Site {
    let site = unsigned();
    site.signed(&grant_naming("{ kind = 'encrypt-det', domain = 'person.name' }").more(more));
    site
}

/// The first delivered values of a text column, one a line, in a file.
fn list(site: &Site, field: &str, rows: usize) -> PathBuf {
    let delivery = site.deliver(GRANT);
    let delivered = delivery.rows();
    let column = delivered.column_by_name(field).unwrap();
    let texts: Vec<String> = match column.as_string_opt::<i32>() {
        Some(texts) => texts.iter().flatten().map(str::to_owned).collect(),
        None => {
            let cells = column.as_binary::<i32>().iter().flatten();
            cells.map(|cell| STANDARD.encode(cell)).collect()
        }
    };
    let path = site.beside().join(format!("{field}.txt"));
    fs::write(&path, texts[..rows].join("\n")).unwrap();
    path
}

fn approve(site: &Site, field: &str, values: &PathBuf, key: &str, out: &str) -> Finished {
    approve_for(site, field, values, (key, out), 1)
}

fn approve_for(
    site: &Site,
    field: &str,
    values: &PathBuf,
    key_and_out: (&str, &str),
    uses: u32,
) -> Finished {
    let uses = ["--uses", &uses.to_string()];
    approve_with(site, field, values, key_and_out, &uses)
}

fn approve_with(
    site: &Site,
    field: &str,
    values: &PathBuf,
    (key, out): (&str, &str),
    more: &[&str],
) -> Finished {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args(["--json", "reveal", "approve", GRANT, "--field", field])
        .args(["--reason", "核对投诉", "--until", "2099-12-31"])
        .args(more)
        .arg("--key")
        .arg(site.private_key(key))
        .arg("--values")
        .arg(values)
        .arg("--out")
        .arg(site.beside().join(out));
    lockgate_acceptance::site::finish(&mut command)
}

fn reveal(site: &Site, field: &str, values: &PathBuf, approval: &str) -> Finished {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args([
            "--json",
            "reveal",
            "values",
            GRANT,
            "--field",
            field,
            "--approval",
        ])
        .arg(site.beside().join(approval))
        .arg("--values")
        .arg(values);
    lockgate_acceptance::site::finish(&mut command)
}

#[test]
fn approved_values_are_turned_back_and_recorded_first() {
    let site = site("");
    for (field, originals) in [
        ("name", ["名字1", "名字2", "名字3"]),
        (
            "contact",
            ["c0@example.org", "c1@example.org", "c2@example.org"],
        ),
    ] {
        let values = list(&site, field, 3);
        // A newer key doesn't hide what an older one made.
        site.json(["keys", "new", "encryption"]).expect_code(0);
        let approval = format!("{field}.json");
        approve(&site, field, &values, "approver", &approval).expect_code(0);
        let document = reveal(&site, field, &values, &approval)
            .expecting(0)
            .document();
        let found: Vec<&str> = document["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value["original"].as_str().unwrap())
            .collect();
        assert_eq!(found, originals, "{field}");
        assert_eq!(document["authentic"], true);
        fs::remove_dir_all(site.path("outbox")).unwrap();
    }
    let recorded = events(&site, "revealed");
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0]["values"], 3);
    assert_eq!(recorded[0]["found"], 3);
    assert!(!site.json(["ledger", "list"]).stdout.contains("名字1"));
}

/// A site that delivers `name` as it is, and `contact` bound to it.
fn bound() -> Site {
    bound_with("")
}

fn bound_with(more: &str) -> Site {
    let site = unsigned();
    let bound = "{ kind = 'encrypt-rand', domain = 'person.contact', beside = ['name'] }";
    let grant = Grant::new(GRANT, "people", &["name", "contact"]).treatment("contact", bound);
    site.signed(&grant.more(more));
    site
}

/// The cells of `contact`, each with the name of its row.
fn cells(delivery: &Delivery) -> Vec<(Vec<u8>, Option<String>)> {
    let rows = delivery.rows();
    let names = rows.column_by_name("name").unwrap().as_string::<i32>();
    let contacts = rows.column_by_name("contact").unwrap().as_binary::<i32>();
    let contacts = contacts.iter().map(|cell| cell.unwrap().to_vec());
    let names = names.iter().map(|name| name.map(str::to_owned));
    contacts.zip(names).collect()
}

/// A cell beside a name, as a line of a list: nothing for a null.
fn line((cell, name): (&[u8], Option<&str>)) -> String {
    let name = name.map_or_else(String::new, |name| format!("\"{name}\""));
    format!("{},{name}", STANDARD.encode(cell))
}

fn written(site: &Site, name: &str, lines: &[String]) -> PathBuf {
    let path = site.beside().join(name);
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

/// What is revealed of the lines of a file, with an approval of its own.
fn revealed(site: &Site, values: &PathBuf, more: &[&str]) -> Vec<Option<String>> {
    let approval = values.with_extension("json");
    let approval = approval.file_name().unwrap().to_str().unwrap();
    approve_with(site, "contact", values, ("approver", approval), more).expect_code(0);
    let document = reveal(site, "contact", values, approval)
        .expecting(0)
        .document();
    let values = document["values"].as_array().unwrap().iter();
    values
        .map(|value| value["original"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_bound_value_is_revealed_beside_its_row_and_beside_no_other() {
    let site = bound();
    let cells = cells(&site.deliver(GRANT));
    let own = cells[..3].iter();
    let own: Vec<String> = own
        .map(|(cell, name)| line((cell, name.as_deref())))
        .collect();
    assert_eq!(cells[0].1, None, "a null is bound to, too");
    let found = revealed(&site, &written(&site, "own.txt", &own), &[]);
    let expected = [0, 1, 2].map(|row| Some(format!("c{row}@example.org")));
    assert_eq!(found, expected);
    let (null, one, two) = (&cells[0].0, &cells[1].0, &cells[2].0);
    let moved = [
        line((one, cells[2].1.as_deref())),
        line((two, cells[1].1.as_deref())),
        line((one, None)),
        line((null, cells[1].1.as_deref())),
        line((null, Some(""))),
        // Without its row.
        STANDARD.encode(one),
    ];
    let found = revealed(&site, &written(&site, "moved.txt", &moved), &[]);
    assert_eq!(found, vec![None; moved.len()]);
    assert_eq!(events(&site, "revealed")[1]["found"], 0);
}

#[test]
fn a_value_that_is_not_found_says_why() {
    let site = bound();
    let cells = cells(&site.deliver(GRANT));
    let (one, other) = (&cells[1], &cells[2]);
    let lines = [
        line((&one.0, one.1.as_deref())),
        line((&one.0, other.1.as_deref())),
        STANDARD.encode(&one.0),
    ];
    let values = written(&site, "why.txt", &lines);
    approve(&site, "contact", &values, "approver", "why.json").expect_code(0);
    let document = reveal(&site, "contact", &values, "why.json")
        .expecting(0)
        .document();
    let why = |at: usize| document["values"][at]["why"].as_str();
    assert_eq!(why(0), None);
    assert!(why(1).unwrap().contains("row"), "{document}");
    assert!(why(2).unwrap().contains("not given"), "{document}");
}

#[test]
fn a_line_that_is_none_of_the_field_is_refused_and_spends_no_use() {
    let site = bound_with("reveal = { contact = 'recipient' }");
    let cells = cells(&site.deliver(GRANT));
    let (cell, name) = &cells[1];
    let own = line((cell, name.as_deref()));
    for (number, wrong) in [format!("{own},\"x\""), format!("{own}\"")]
        .into_iter()
        .enumerate()
    {
        let values = written(&site, "wrong.txt", &[own.clone(), wrong]);
        let out = format!("{number}.json");
        let refused = approve(&site, "contact", &values, "approver", &out).expecting(2);
        assert!(refused.stdout.contains("value 2"), "{refused:?}");
        assert!(!site.beside().join(&out).exists());
        // A recipient signs without a site, and what it signed is looked at before it is recorded.
        ask(&site, "contact", &values, "receipt", &out).expect_code(0);
        reveal(&site, "contact", &values, &out).expect_code(2);
    }
    assert!(events(&site, "revealed").is_empty());
}

#[test]
fn a_value_of_another_delivery_is_not_revealed_where_one_was_approved() {
    let site = bound();
    let first = site.deliver(GRANT);
    let again = site.json(["run", GRANT, "--again"]).expecting(0);
    let second = Delivery::of_run(&again.document());
    let of = |delivery: &Delivery| {
        let (cell, name) = cells(delivery).swap_remove(1);
        // The manifest says which attempt its cells carry.
        let attempt: String = cell[5..21]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(delivery.manifest()["cell_attempt"], Value::from(attempt));
        line((&cell, name.as_deref()))
    };
    let both = [of(&first), of(&second)];
    let values = written(&site, "both.txt", &both);
    let original = || Some("c1@example.org".to_owned());
    assert_eq!(revealed(&site, &values, &[]), [original(), original()]);
    for (delivery, expected) in [(&first, [original(), None]), (&second, [None, original()])] {
        let id = delivery.manifest()["delivery"].as_str().unwrap();
        let values = written(&site, &format!("{id}.txt"), &both);
        assert_eq!(revealed(&site, &values, &["--delivery", id]), expected);
    }
}

#[test]
fn a_delivery_that_is_none_of_the_grant_reveals_nothing() {
    let site = site("");
    let values = list(&site, "contact", 1);
    let approve = |field, out, delivery| {
        let more = ["--delivery", delivery];
        approve_with(&site, field, &values, ("approver", out), &more)
    };
    approve("contact", "a.json", "outbox").expect_code(2);
    let unknown = "00".repeat(16);
    approve("contact", "b.json", &unknown).expect_code(3);
    // Values that don't say which delivery they are of.
    let delivery = site.json(["run", GRANT]).expecting(0).document();
    let delivery = Delivery::of_run(&delivery);
    let id = delivery.manifest()["delivery"].as_str().unwrap();
    approve("name", "c.json", id).expect_code(3);
    // Another grant's.
    let other = grant().to_toml().replace("\"G-1\"", "\"G-2\"");
    site.write("grants/G-2.toml", &other);
    site.sign("G-2").expect_code(0);
    let elsewhere = site.deliver("G-2");
    let elsewhere = elsewhere.manifest()["delivery"]
        .as_str()
        .unwrap()
        .to_owned();
    approve("contact", "d.json", &elsewhere).expect_code(3);
    for out in ["a.json", "b.json", "c.json", "d.json"] {
        assert!(!site.beside().join(out).exists(), "{out}");
    }
    approve("contact", "e.json", id).expect_code(0);
    reveal(&site, "contact", &values, "e.json").expect_code(0);
}

/// A recipient has no site that says which deliveries there are: its request is refused where it is used.
#[test]
fn a_request_for_a_delivery_that_is_none_of_the_grant_reveals_nothing() {
    let site = site("reveal = { contact = 'recipient' }");
    let values = list(&site, "contact", 1);
    let unknown = "00".repeat(16);
    let delivery = ["--delivery", unknown.as_str()];
    ask_with(
        &site,
        "contact",
        &values,
        ("receipt", "ask.json"),
        &delivery,
    )
    .expect_code(0);
    reveal(&site, "contact", &values, "ask.json").expect_code(3);
    assert!(events(&site, "revealed").is_empty());
}

#[test]
fn a_manifest_without_encrypted_cells_names_no_attempt_of_them() {
    let site = unsigned();
    site.signed(&Grant::new(GRANT, "people", &["name"]));
    let delivery = site.deliver(GRANT);
    assert!(delivery.manifest().get("cell_attempt").is_none());
    let intended = events(&site, "release-intended");
    assert!(intended[0].get("cell_attempt").is_none());
}

#[test]
fn nothing_is_revealed_that_nobody_approved() {
    let site = site("");
    let values = list(&site, "name", 2);
    approve(&site, "name", &values, "approver", "two.json").expect_code(0);
    let more = list_more(&values);
    reveal(&site, "name", &more, "two.json").expect_code(3);
    // Nor for another field, by another's key, or of what a treatment took away.
    reveal(&site, "contact", &values, "two.json").expect_code(3);
    site.pair("stranger", "approver");
    approve(&site, "name", &values, "stranger", "strange.json").expect_code(3);
    approve(&site, "id", &values, "approver", "id.json").expect_code(0);
    reveal(&site, "id", &values, "id.json").expect_code(3);
    assert!(events(&site, "revealed").is_empty());
    assert!(!events(&site, "refused").is_empty());
}

/// The same list with a value more.
fn list_more(values: &PathBuf) -> PathBuf {
    let path = values.with_extension("more");
    let text = fs::read_to_string(values).unwrap();
    fs::write(&path, format!("{text}\nanother")).unwrap();
    path
}

#[test]
fn a_grant_says_who_may_reveal() {
    let forbidden = site("reveal = { name = 'none' }");
    let values = list(&forbidden, "name", 1);
    approve(&forbidden, "name", &values, "approver", "a.json").expect_code(0);
    reveal(&forbidden, "name", &values, "a.json").expect_code(3);
    assert!(events(&forbidden, "revealed").is_empty());
}

#[test]
fn an_approval_is_used_up() {
    let site = site("");
    let values = list(&site, "name", 1);
    approve_for(&site, "name", &values, ("approver", "none.json"), 0).expect_code(2);
    approve_for(&site, "name", &values, ("approver", "twice.json"), 2).expect_code(0);
    for left in [1, 0] {
        let document = reveal(&site, "name", &values, "twice.json")
            .expecting(0)
            .document();
        assert_eq!(document["uses_left"], left);
    }
    let refused = reveal(&site, "name", &values, "twice.json").expecting(3);
    assert!(!refused.stdout.contains("名字"), "{refused:?}");
    assert_eq!(events(&site, "revealed").len(), 2);
    assert_eq!(events(&site, "refused").len(), 1);
}

#[test]
fn nothing_is_revealed_under_a_grant_that_is_not_in_force() {
    type Change = fn(&Site);
    let changes: [(&str, Change); 4] = [
        ("suspended", |site| {
            site.json(["grant", "suspend", GRANT, "--reason", "misuse"])
                .expect_code(0);
        }),
        ("halted", |site| {
            site.json(["halt", "--all", "--reason", "a leak"])
                .expect_code(0);
        }),
        ("terminated, and raised by hand", |site| {
            site.json(["grant", "terminate", GRANT, "--reason", "over"])
                .expect_code(0);
            let file = format!("grants/{GRANT}.toml");
            site.edit(&file, "version = 1", "version = 2");
        }),
        ("edited", |site| {
            let file = format!("grants/{GRANT}.toml");
            site.edit(&file, "person.name", "person.contact");
        }),
    ];
    for (name, change) in changes {
        let site = site("");
        let values = list(&site, "name", 1);
        approve(&site, "name", &values, "approver", "a.json").expect_code(0);
        change(&site);
        let refused = reveal(&site, "name", &values, "a.json");
        assert_eq!(refused.code, 3, "{name}: {refused:?}");
        assert!(events(&site, "revealed").is_empty(), "{name}");
        assert!(!events(&site, "refused").is_empty(), "{name}");
    }
}

#[test]
fn what_nobody_may_reveal_is_not_let_go_by_an_edit_of_the_file() {
    let site = site("reveal = { name = 'none' }");
    let values = list(&site, "name", 1);
    let file = format!("grants/{GRANT}.toml");
    site.edit(&file, "reveal = { name = 'none' }", "");
    approve(&site, "name", &values, "approver", "a.json").expect_code(0);
    reveal(&site, "name", &values, "a.json").expect_code(3);
    assert!(events(&site, "revealed").is_empty());
    // An approver may, and says over which file.
    site.sign(GRANT).expect_code(0);
    reveal(&site, "name", &values, "a.json").expect_code(0);
    site.edit(&file, "version = 1", "version = 2");
    site.sign(GRANT).expect_code(0);
    reveal(&site, "name", &values, "a.json").expect_code(3);
}

#[test]
fn values_under_a_join_groups_key_need_an_approver_of_every_provider_in_it() {
    let site = unsigned();
    let joined = "{ kind = 'encrypt-det', domain = 'person.name', join = 'families' }";
    let grant = || grant_naming(joined).more("joins = ['families']");
    site.signed(&grant());
    let values = list(&site, "name", 1);
    // Another department's dataset, released by its own approver, joins the group.
    let key = site.pair("taxes", "approver");
    site.configure_more(&format!(
        "[approvers.taxes]\npublic_key = \"{key}\"\nproviders = [\"taxes\"]\n"
    ));
    let dataset = site.read("catalogue/people.toml");
    let dataset = dataset.replace("\"people\"", "\"payers\"");
    site.write(
        "catalogue/payers.toml",
        &dataset.replace("\"public-security\"", "\"taxes\""),
    );
    site.write(
        "grants/G-2.toml",
        &grant()
            .to_toml()
            .replace("\"G-1\"", "\"G-2\"")
            .replace("dataset = \"people\"", "dataset = \"payers\""),
    );
    site.sign_as("G-2", "taxes").expect_code(0);
    approve_for(&site, "name", &values, ("approver", "own.json"), 2).expect_code(0);
    let refused = reveal(&site, "name", &values, "own.json").expecting(3);
    assert!(refused.stdout.contains("provider `taxes`"), "{refused:?}");
    assert!(events(&site, "revealed").is_empty());
    site.edit(
        "lockgate.toml",
        "providers = [\"public-security\"]",
        "providers = [\"public-security\", \"taxes\"]",
    );
    reveal(&site, "name", &values, "own.json").expect_code(0);
}

/// Asks as the recipient, who has no site.
fn ask(site: &Site, field: &str, values: &PathBuf, identity: &str, out: &str) -> Finished {
    ask_with(site, field, values, (identity, out), &[])
}

fn ask_with(
    site: &Site,
    field: &str,
    values: &PathBuf,
    (identity, out): (&str, &str),
    more: &[&str],
) -> Finished {
    let mut command = site.command();
    command
        .args(["--json", "reveal", "ask", GRANT, "--recipient", RECIPIENT])
        .args(["--field", field, "--reason", "核对投诉"])
        .args(["--until", "2099-12-31"])
        .args(more)
        .arg("--identity")
        .arg(site.private_key(identity))
        .arg("--values")
        .arg(values)
        .arg("--out")
        .arg(site.beside().join(out));
    lockgate_acceptance::site::finish(&mut command)
}

#[test]
fn a_recipient_reveals_what_its_grant_lets_it_by_a_request_of_its_own() {
    let site = site("reveal = { name = 'recipient' }");
    let plan = site.json(["plan", GRANT]).expecting(0).document();
    let fields = plan["fields"].as_array().unwrap();
    let name = fields.iter().find(|field| field["name"] == "name").unwrap();
    assert_eq!(name["strength"], 0);
    let values = list(&site, "name", 2);
    ask(&site, "name", &values, "receipt", "ask.json").expect_code(0);
    let document = reveal(&site, "name", &values, "ask.json")
        .expecting(0)
        .document();
    assert_eq!(document["values"][0]["original"], "名字1");
    assert_eq!(document["approver"], format!("recipient {RECIPIENT}"));
    let recorded = events(&site, "revealed");
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["approver"], format!("recipient {RECIPIENT}"));
    // Once, by the recipient's own key, and nothing but that field.
    reveal(&site, "name", &values, "ask.json").expect_code(3);
    site.pair("stranger", "receipt");
    ask(&site, "name", &values, "stranger", "strange.json").expect_code(0);
    reveal(&site, "name", &values, "strange.json").expect_code(3);
    ask(&site, "contact", &values, "receipt", "contact.json").expect_code(0);
    reveal(&site, "contact", &values, "contact.json").expect_code(3);
    assert_eq!(events(&site, "revealed").len(), 1);
}

#[test]
fn a_recipient_reveals_nothing_that_has_to_be_more_than_clear() {
    let site = unsigned();
    site.policy(
        "[[rules]]\nfields = [\"contact\"]\n\
         treatment = { kind = \"encrypt-rand\", domain = \"person.contact\" }\n\
         [[rules]]\ntreatment = { kind = \"clear\" }\n",
    );
    site.grant(&grant().more("reveal = { contact = 'recipient' }"));
    let refused = site.sign(GRANT).expecting(3);
    assert!(refused.stdout.contains("below-floor"), "{refused:?}");
    assert!(refused.stdout.contains("strength 0"), "{refused:?}");
}
