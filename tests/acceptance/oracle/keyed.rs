//! Every keyed treatment recomputed, every cell opened.

use lockgate_acceptance::site::Delivery;
use serde_json::json;

use super::{Case, Oracle, python};

const TEXT: (&str, &str, &str) = ("utf8", "other", "text");
const SPELLING: (&str, &str, &str) = ("utf8", "resident-id", "spelling");
const MOBILE: (&str, &str, &str) = ("utf8", "mobile", "mobile");
const DATE: (&str, &str, &str) = ("date", "birth-date", "date");
const REFERENCE: (&str, &str, &str) = ("utf8", "other", "reference");

fn whole(data_type: &str) -> (&str, &'static str, &'static str) {
    (data_type, "other", "whole")
}

fn decimal(data_type: &str) -> (&str, &'static str, &'static str) {
    (data_type, "amount", "decimal")
}

/// Cases of one kind of treatment, named after it and numbered.
fn cases(kind: &str, told: &[((&str, &'static str, &'static str), &str)]) -> Vec<Case> {
    let cases = told
        .iter()
        .enumerate()
        .map(|(number, (field, parameters))| {
            let treatment = format!("{{ kind = '{kind}', domain = '个人.号码'{parameters} }}");
            Case::new(&format!("{kind}_{number}"), *field, &treatment)
        });
    cases.collect()
}

fn pseudonyms() -> Vec<Case> {
    cases(
        "hmac",
        &[
            (TEXT, ""),
            (TEXT, ", encoding = 'base64url'"),
            (TEXT, ", encoding = 'base32'"),
            (TEXT, ", algorithm = 'sm3'"),
            (TEXT, ", algorithm = 'sm3', encoding = 'base64url'"),
            (TEXT, ", algorithm = 'sm3', encoding = 'base32'"),
            (TEXT, ", length = 20"),
            (TEXT, ", length = 63"),
            (TEXT, ", encoding = 'base64url', length = 14"),
            (TEXT, ", encoding = 'base64url', length = 43"),
            (TEXT, ", encoding = 'base32', length = 16"),
            (
                TEXT,
                ", encoding = 'base32', length = 51, algorithm = 'sm3'",
            ),
            (SPELLING, ""),
            (SPELLING, ", normalise = 'none'"),
            (MOBILE, ""),
            (DATE, ""),
            (whole("int8"), ""),
            (whole("int64"), ""),
            (whole("uint64"), ", algorithm = 'sm3'"),
            (decimal("decimal(12,2)"), ""),
            (decimal("decimal(38,38)"), ""),
            (decimal("decimal(60,10)"), ""),
            (TEXT, ", join = 'families'"),
        ],
    )
}

fn ciphertexts() -> Vec<Case> {
    let deterministic = cases(
        "encrypt-det",
        &[
            (TEXT, ""),
            (TEXT, ", encoding = 'hex'"),
            (SPELLING, ""),
            (SPELLING, ", normalise = 'none'"),
            (MOBILE, ", encoding = 'hex'"),
            (DATE, ""),
            (whole("int16"), ""),
            (whole("uint64"), ""),
            (decimal("decimal(12,2)"), ""),
            (TEXT, ", join = 'families'"),
            (TEXT, ", algorithm = 'sm4-siv'"),
            (TEXT, ", algorithm = 'sm4-siv', encoding = 'hex'"),
            (SPELLING, ", algorithm = 'sm4-siv'"),
            (DATE, ", algorithm = 'sm4-siv'"),
            (whole("uint64"), ", algorithm = 'sm4-siv'"),
            (decimal("decimal(38,38)"), ", algorithm = 'sm4-siv'"),
            (TEXT, ", algorithm = 'sm4-siv', join = 'families'"),
        ],
    );
    let random = cases(
        "encrypt-rand",
        &[
            (TEXT, ""),
            (TEXT, ", encoding = 'base64url'"),
            (TEXT, ", pad = 2"),
            (TEXT, ", pad = 64, encoding = 'base64url'"),
            (SPELLING, ", pad = 4096"),
            (("binary", "other", "bytes"), ", pad = 16"),
            (("boolean", "other", "boolean"), ""),
            (whole("int8"), ""),
            (whole("uint64"), ", encoding = 'base64url'"),
            (decimal("decimal(38,6)"), ""),
            (("float32", "other", "float"), ""),
            (("float64", "other", "float"), ""),
            (DATE, ""),
            (("timestamp(ns)", "timestamp", "instant"), ""),
            (TEXT, ", algorithm = 'sm4-gcm'"),
            (TEXT, ", algorithm = 'sm4-gcm', encoding = 'base64url'"),
            (SPELLING, ", algorithm = 'sm4-gcm', pad = 64"),
            (
                ("binary", "other", "bytes"),
                ", algorithm = 'sm4-gcm', pad = 16",
            ),
            (("boolean", "other", "boolean"), ", algorithm = 'sm4-gcm'"),
            (whole("int8"), ", algorithm = 'sm4-gcm'"),
            (decimal("decimal(60,10)"), ", algorithm = 'sm4-gcm'"),
            (("float64", "other", "float"), ", algorithm = 'sm4-gcm'"),
            (DATE, ", algorithm = 'sm4-gcm'"),
            (
                ("timestamp(ns)", "timestamp", "instant"),
                ", algorithm = 'sm4-gcm'",
            ),
            // Listed in another order than that of their names.
            (TEXT, ", beside = ['旁文', 'beside_number']"),
            (
                TEXT,
                ", algorithm = 'sm4-gcm', beside = ['beside_day', '旁文']",
            ),
            (
                whole("int64"),
                ", beside = ['beside_flag'], pad = 32, encoding = 'base64url'",
            ),
            (
                DATE,
                ", algorithm = 'sm4-gcm', beside = ['beside_day', 'beside_flag', 'beside_number']",
            ),
        ],
    );
    [beside(), deterministic, random].concat()
}

/// What cells are bound to: a field of each type that they can be, delivered as it is.
fn beside() -> Vec<Case> {
    let fields = [
        ("旁文", TEXT),
        ("beside_number", whole("int64")),
        ("beside_day", DATE),
        ("beside_flag", ("boolean", "other", "boolean")),
    ];
    let clear = fields.map(|(name, field)| Case::new(name, field, "{ kind = 'clear' }"));
    clear.to_vec()
}

fn permutations() -> Vec<Case> {
    let account = |category| ("utf8", category, "account");
    let spelt = |category| ("utf8", category, "spelt-account");
    let word = ("utf8", "other", "word");
    let text = cases(
        "fpe",
        &[
            (account("other"), ""),
            (account("bank-account"), ""),
            (spelt("other"), ""),
            (spelt("other"), ", keep_separators = true"),
            (spelt("bank-account"), ""),
            (spelt("bank-account"), ", keep_separators = true"),
            (MOBILE, ""),
            (word, ", alphabet = 'upper'"),
            (word, ", alphabet = 'alphanumeric'"),
            (("utf8", "passport", "word"), ", alphabet = 'lower'"),
            (
                ("utf8", "other", "han"),
                ", alphabet = '甲乙丙丁戊己庚辛壬癸子丑𠀀𪛟'",
            ),
            (account("other"), ", join = 'families'"),
            (account("other"), ", tweak = 'field'"),
            (REFERENCE, ", keep_others = true"),
            (REFERENCE, ", keep_others = true, tweak = 'field'"),
            (
                ("utf8", "bank-account", "reference"),
                ", keep_others = true",
            ),
        ],
    );
    let numbers = cases(
        "permute-int",
        &[
            (("int64", "other", "small"), ", from = -5, to = 1000000"),
            (("int32", "other", "small"), ", from = 0, to = 999999"),
            (whole("int32"), ", from = -2147483648, to = 2147483647"),
            (
                whole("int64"),
                ", from = -1000000000000, to = 5000000000000",
            ),
            (
                whole("uint64"),
                ", from = 0, to = '18446744073709551615', join = 'families'",
            ),
            (
                decimal("decimal(20,0)"),
                ", from = '-9500000000000000000', to = 8500000000000000000",
            ),
        ],
    );
    let card = ("utf8", "bank-card", "card");
    let identifiers = cases(
        "structured-id",
        &[
            (MOBILE, ", of = 'mobile'"),
            (MOBILE, ", of = 'mobile', keep = ['prefix3']"),
            (card, ", of = 'bank-card'"),
            (card, ", of = 'bank-card', keep = ['bin6']"),
            (
                card,
                ", of = 'bank-card', keep = ['bin8'], join = 'families'",
            ),
        ],
    );
    [text, numbers, identifiers].concat()
}

fn every_keyed_treatment() -> Vec<Case> {
    [pseudonyms(), ciphertexts(), permutations()].concat()
}

/// Signs and runs a grant that lists the join group.
#[track_caller]
fn deliver(oracle: &Oracle, id: &str) -> Delivery {
    let grant = oracle.grant(id).more("joins = [\"families\"]");
    oracle.site.signed(&grant);
    oracle.site.deliver(id)
}

#[test]
fn python_recomputes_pseudonyms_and_permutations_and_opens_every_cell() {
    let Some(python) = python() else { return };
    let cases = every_keyed_treatment();
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let mut oracle = Oracle::new(python, "keyed.py", cases, 900);
    let delivery = deliver(&oracle, "G-1");
    oracle.agrees(&delivery, "G-1");

    // As another grant's, all is wrong but what the join group shares, and what no key treats; whose
    // values those are, too.
    let joined: Vec<&str> = oracle
        .cases
        .iter()
        .filter(|case| case.treatment.contains("join") || case.treatment.contains("clear"))
        .map(|case| case.name.as_str())
        .collect();
    let objections = oracle.objections(&delivery, "G-2");
    for name in &names {
        let objected = objections
            .iter()
            .any(|line| line.contains(&format!(" {name}: ")));
        assert_eq!(objected, !joined.contains(&name.as_str()), "{name}");
    }
    let other = deliver(&oracle, "G-2");
    oracle.agrees(&other, "G-2");

    // A second version of each key, one of which is not in use yet.
    for purpose in ["pseudonym", "encryption", "fpe"] {
        oracle.site.json(["keys", "new", purpose]).expect_code(0);
    }
    oracle
        .site
        .configure_more("[keys.hold]\nfpe = { version = 1, until = 2099-12-31 }");
    oracle.versions = json!({ "pseudonym": 2, "encryption": 2 });
    let run = oracle.site.json(["run", "G-1", "--again"]).expecting(0);
    let renewed = Delivery::of_run(&run.document());
    oracle.agrees(&renewed, "G-1");

    // Every value in another's row.
    oracle.make(1);
    let objections = oracle.objections(&renewed, "G-1");
    for name in &names {
        assert!(
            objections
                .iter()
                .any(|line| line.contains(&format!(" {name}: "))),
            "{name}"
        );
    }
}
