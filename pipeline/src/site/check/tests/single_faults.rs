//! One change that makes one file unusable, and the one problem it gives.

use super::*;

/// From, to, and the problem as `LINE:COLUMN: WHAT; HINT`.
const SITE_CASES: [(&str, &str, &str); 16] = [
    (
        "Asia/Shanghai",
        "Asia/Shangai",
        "5:12: unknown time zone; did you mean `Asia/Shanghai`?",
    ),
    (
        "\"hangzhou-data-hub\"",
        "\" \"",
        "3:8: is empty; write what it asks for",
    ),
    (
        "store = \"outbox\"",
        "store = \"outbx\"",
        "16:9: store `outbx` does not exist; did you mean `outbox`?",
    ),
    (
        "\"local\" ",
        "\"pkcs11\"",
        "13:12: provider `pkcs11` needs module, token, pin beside it",
    ),
    (
        "512MiB",
        "512MB",
        "21:10: not a size of memory; write a size such as 512MiB or 2GiB",
    ),
    (
        "max_connections = 4",
        "max_connections = 0",
        "11:19: a database needs at least one connection",
    ),
    (
        "reader@db",
        "reader:hunter2@db",
        "9:7: a secret is given by reference, never by value; write password = { env = \"NAME\" }",
    ),
    (
        "file:outbox",
        "gs://bucket",
        "26:7: stores of scheme `gs` are not supported yet; supported: file, s3",
    ),
    (
        "file:outbox",
        "outbox",
        "26:7: not a URL; write file:///srv/lake, file:lake or s3://bucket/prefix",
    ),
    (
        "file:outbox",
        "s3://u:p@bucket",
        "26:7: the URL of a store holds a credential; use access_key_id and secret_access_key",
    ),
    (
        "file:outbox",
        "s3://bucket?x=1",
        "26:7: the URL of a store has neither a query nor a fragment",
    ),
    (
        "\"file:outbox\"",
        "\"file:outbox\"\nregion = \"r\"",
        "27:1: `region` is for s3 stores only",
    ),
    (
        "\"file:outbox\"",
        "\"s3://b\"\nendpoint = \"http://h\"",
        "27:12: the endpoint is plain HTTP; use https, or write allow_http = true",
    ),
    (
        "[stores.lake]",
        "[stores.\"la/ke\"]",
        "6:9: not a name; a name is 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
    ),
    (
        "ed25519:WGZm",
        "ed25519:WGZ",
        "18:14: not a public key: expected 32 bytes in padded standard base64 after the colon; `lockgate keys pair NAME --kind approver` makes one",
    ),
    (
        "[\"public-security\"]",
        "[\"a\", \"a\"]",
        "19:19: stands in this list twice; take one of them out",
    ),
];

#[test]
fn lockgate_toml_is_checked() {
    for (from, to, expected) in SITE_CASES {
        let problems = Files::good().with("lockgate.toml", from, to).problems();
        let own: Vec<&String> = problems
            .iter()
            .filter(|problem| problem.starts_with("lockgate.toml"))
            .collect();
        assert_eq!(own, [&format!("lockgate.toml:{expected}")], "{to}");
        assert!(!problems.join("\n").contains("hunter2"));
    }
}

#[test]
fn two_approvers_do_not_share_a_key() {
    let second =
        format!("[approvers.other]\npublic_key = \"{APPROVER}\"\nproviders = []\n[limits]");
    let problems = Files::good()
        .with("lockgate.toml", "[limits]", &second)
        .problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("21:14: the key is also that of approver `data-office`"));
}

const DATASET_CASES: [(&str, &str, &str); 36] = [
    (
        "store = \"lake\"",
        "store = \"lak\"",
        "5:20: store `lak` does not exist; did you mean `lake`?",
    ),
    (
        "store = \"lake\", ",
        "",
        "5:10: a source has `store` or `database`; write source = { store = \"NAME\", path = \"…\", format = \"parquet\" }",
    ),
    (
        "store = \"lake\",",
        "store = \"lake\", database = \"psb\",",
        "5:10: a source has either `store` or `database`, not both",
    ),
    (
        "{ store = \"lake\", path = \"residents/\", format = \"parquet\" }",
        "{ database = \"psb\", table = \"t\" }",
        "5:23: reading databases is not supported yet; supported: files in a store",
    ),
    (
        "path = \"residents/\", ",
        "",
        "5:10: `path` is missing; write path = \"residents/\" or path = \"residents.csv\"",
    ),
    (
        ", format = \"parquet\"",
        "",
        "5:10: `format` is missing; write format = \"parquet\" or format = \"csv\"",
    ),
    (
        "\"residents/\"",
        "\"../residents/\"",
        "5:35: the path contains `.` or `..`; write a path relative to the store, such as a/b/",
    ),
    (
        "\"residents/\"",
        "\"C:\\\\data\"",
        "5:35: the path contains a backslash; write a path relative to the store, such as a/b/",
    ),
    (
        "format = \"parquet\"",
        "format = \"parquet\", header = true",
        "5:69: `header` is for CSV only",
    ),
    (
        "format = \"parquet\"",
        "format = \"csv\", delimiter = \"||\"",
        "5:77: `delimiter` is not one character; write one ASCII character, such as \",\" or \"\\t\"",
    ),
    (
        "format = \"parquet\"",
        "format = \"csv\", delimiter = \"，\"",
        "5:77: `delimiter` is not one character; write one ASCII character, such as \",\" or \"\\t\"",
    ),
    (
        "format = \"parquet\"",
        "format = \"csv\", quote = \",\"",
        "5:73: `quote` and `delimiter` are the same character",
    ),
    (
        "\"conditional\"",
        "\"prohibited\"",
        "6:11: `basis` is missing where sharing is prohibited; write the legal basis: basis = \"…\"",
    ),
    (
        "[\"batch\", \"download\"]",
        "[\"batch\", \"batch\"]",
        "7:19: stands in this list twice; take one of them out",
    ),
    (
        "[\"person_id\"]",
        "[\"person-id\"]",
        "9:8: field `person-id` does not exist; did you mean `person_id`?",
    ),
    (
        "\"region_code\" ",
        "\"birth_date\" ",
        "10:12: field `birth_date` carries the division code and is not utf8; declare it as utf8: codes are compared as text",
    ),
    (
        "cursor = \"updated_at\"",
        "cursor = \"updated\"",
        "11:10: field `updated` does not exist; did you mean `updated_at`?",
    ),
    (
        "type = \"utf8\"\ntitle",
        "type = \"string\"\ntitle",
        "14:8: unknown type; write utf8",
    ),
    (
        "\"decimal(12,2)\"",
        "\"decimal(12,13)\"",
        "20:8: scale 13 of a decimal is larger than its precision 12; the first number counts all digits, the second those after the point",
    ),
    (
        "category = \"income\"",
        "category = \"Income\"",
        "21:12: not a category; a category is lower-case letters, digits and -, such as resident-id",
    ),
    (
        "\"5.00\"",
        "\"five\"",
        "23:13: not a tolerance of a number; write a number in the field's unit, such as \"5.00\"",
    ),
    (
        "\"decimal(12,2)\"",
        "\"float64\"",
        "23:13: a tolerance of a float needs `decimals`; write decimals = 2, the digits delivered after the point",
    ),
    (
        "\"5.00\"",
        "\"0.001\"",
        "23:13: a tolerance below the smallest step of the field, which is \"0.01\"; write at least \"0.01\", or take it out if values must never move",
    ),
    (
        "\"5.00\"",
        "\"5.00\"\ndecimals = 2",
        "24:12: `decimals` is for floats, and the field's type is decimal(12,2); take it out",
    ),
    (
        "category = \"status\"",
        "category = \"status\"\nsynonyms = [[\"a\", \"b\"], [\"c\", \"b \"]]",
        "43:12: two synonyms are spelled alike but for width, zeros or space",
    ),
    (
        "category = \"division-code\"",
        "category = \"division-code\"\nsynonyms = [[\"11\", \"110000\"]]",
        "38:12: field `region_code` carries the division code, which no mark may move; take it out: by the code rows are found, and grants limited",
    ),
    (
        "category = \"status\"",
        "category = \"status\"\nsynonyms = [[\"a\", \"b\"]]\ntolerance = \"5\"",
        "44:13: `tolerance` is for numbers and times, and the field has `synonyms`; take out one of them",
    ),
    (
        "name = \"status\"",
        "name = \"name\"",
        "40:8: a second field `name`; give every field its own name",
    ),
    (
        "name = \"status\"",
        "name = \"sta\\ttus\"",
        "40:8: the name of a field contains a control character",
    ),
    (
        "category = \"status\"",
        "category = \"status\"\nsynonyms = [[\"a\", \"b\"], [\"c\"]]",
        "43:25: a group of synonyms has at least two",
    ),
    (
        "category = \"status\"",
        "category = \"status\"\ndomain_size = 0",
        "43:15: a field has at least one value",
    ),
    (
        "update = \"daily\"",
        "sums = [[\"income\", \"person_id\"]]",
        "23:13: field `income` is part of a sum, which no mark may move; take it out, here or of `sums`",
    ),
    (
        "update = \"daily\"",
        "sums = [[\"name\", \"names\"]]",
        "8:18: field `names` does not exist; did you mean `name`?",
    ),
    (
        "update = \"daily\"",
        "sums = [[\"name\"]]",
        "8:9: a sum has a total and at least one part",
    ),
    (
        "\"5.00\"",
        "\"5.00\"\nconstraint = \"unique\"",
        "23:13: field `income` is unique, which no mark may move; take it out, or `constraint`",
    ),
    (
        "category = \"status\"",
        "category = \"status\"\nsynonyms = [[\"a\", \"b\"]]\nconstraint = \"foreign-key\"",
        "43:12: field `status` refers to another table, which no mark may move; take it out, or `constraint`",
    ),
];

#[test]
fn datasets_are_checked() {
    for (from, to, expected) in DATASET_CASES {
        let problems = Files::good()
            .with("catalogue/residents.toml", from, to)
            .problems();
        let own: Vec<&String> = problems
            .iter()
            .filter(|problem| problem.starts_with("catalogue"))
            .collect();
        assert_eq!(
            own,
            [&format!("catalogue/residents.toml:{expected}")],
            "{to}"
        );
    }
}

const GRANT_CASES: [(&str, &str, &str); 25] = [
    (
        "dataset = \"residents\"",
        "dataset = \"resident\"",
        "4:11: dataset `resident` does not exist; did you mean `residents`?",
    ),
    (
        "\"civil-affairs\"",
        "\"civil-affair\"",
        "5:13: recipient `civil-affair` does not exist; did you mean `civil-affairs`?",
    ),
    ("version = 1", "version = 0", "3:11: versions count from 1"),
    (
        "basis = \"…\"",
        "basis = \"\"",
        "7:9: is empty; write what it asks for",
    ),
    (
        "\"person_id\", \"name\"",
        "\"person_id\", \"names\"",
        "9:24: dataset `residents` has no field `names`; did you mean `name`?",
    ),
    (
        "\"person_id\", \"name\"",
        "\"name\", \"name\"",
        "9:19: stands in this list twice; take one of them out",
    ),
    (
        "[\"3301\"]",
        "[\"浙江\"]",
        "11:14: not a division code; write the first 2 to 12 digits (GB/T 2260)",
    ),
    (
        "[\"3301\"]",
        "[]",
        "11:13: an empty list lets no row through; take `divisions` out to restrict nothing",
    ),
    (
        "until = 2099-12-31",
        "until = 2025-12-31",
        "13:38: the last day lies before the first, 2026-01-01",
    ),
    (
        "\"180d\"",
        "\"half a year\"",
        "15:13: not a span of days; write a span such as \"180d\"",
    ),
    (
        "income = {",
        "incme = {",
        "17:1: dataset `residents` has no field `incme`; did you mean `income`?",
    ),
    (
        "kind = \"round\", to = \"1000\"",
        "kind = \"keep-ends\", first = 1, last = 0",
        "17:10: field `income`: treatment `keep-ends` does not fit a field of type Decimal128(12, 2); it fits utf8",
    ),
    (
        "field = \"birth_date\"",
        "field = \"birthdate\"",
        "19:9: dataset `residents` has no field `birthdate`; did you mean `birth_date`?",
    ),
    (
        "approver = \"data-office\"",
        "approver = \"data\"",
        "22:12: approver `data` does not exist; did you mean `data-office`?",
    ),
    (
        "reason = \"…\"",
        "reason = \" \"",
        "21:10: is empty; write what it asks for",
    ),
    (
        "field = \"birth_date\"",
        "field = \"income\"",
        "19:9: field `income` has a treatment as well; keep either the treatment or the exemption",
    ),
    (
        "format = \"parquet\"                      # parquet | csv | xlsx | jsonl | arrow\ncompression = \"zstd(1)\"",
        "format = \"arrow\"\ncompression = \"snappy\"",
        "25:15: Arrow files are not compressed with snappy; write zstd(1) to zstd(22), lz4 or none",
    ),
    (
        "format = \"parquet\"",
        "format = \"csv\"",
        "25:15: compression is chosen for Parquet and Arrow only; take it out",
    ),
    (
        "format = \"parquet\"",
        "format = \"parquet\"\ncsv = { bom = true }",
        "25:1: options of csv for files of another format; write format = \"csv\", or take them out",
    ),
    (
        "format = \"parquet\"",
        "format = \"parquet\"\nbundle = true",
        "25:10: only csv, xlsx and jsonl are bundled; write one of these formats, or take `bundle` out",
    ),
    (
        "zstd(1)",
        "zstd(23)",
        "25:15: unknown compression; write zstd(1) to zstd(22), snappy, lz4 or none",
    ),
    (
        "\"batch\"",
        "\"batch\", \"batch\"",
        "12:19: stands in this list twice; take one of them out",
    ),
    (
        "quota = {",
        "joins = [\"a b\"]\nquota = {",
        "14:10: not a name of a join group; a join group is 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
    ),
    (
        "[delivery]",
        "[[exemptions]]\nfield = \"birth_date\"\ntreatment = { kind = \"clear\" }\nreason = \"r\"\napprover = \"data-office\"\n[delivery]",
        "24:9: a second exemption of field `birth_date`",
    ),
    (
        "id = \"G-2026-0117\"",
        "id = \"G-2026-0118\"",
        "2:6: the file is not named after the id it holds, `G-2026-0118`; rename the file to G-2026-0118.toml, or the id to `G-2026-0117`",
    ),
];

#[test]
fn grants_are_checked() {
    for (from, to, expected) in GRANT_CASES {
        let problems = Files::good()
            .with("grants/G-2026-0117.toml", from, to)
            .problems();
        let own: Vec<&String> = problems
            .iter()
            .filter(|problem| problem.starts_with("grants"))
            .collect();
        assert_eq!(
            own,
            [&format!("grants/G-2026-0117.toml:{expected}")],
            "{to}"
        );
    }
}

#[test]
fn recipients_and_jobs_are_checked() {
    let recipient = "recipients/civil-affairs.toml";
    for (from, to, expected) in [
        (
            "\"330100\"",
            "\"杭州\"",
            "4:12: not a division code; write 2 to 12 digits (GB/T 2260)",
        ),
        (
            "x25519:CQ",
            "x25519:C",
            "5:16: not a public key: expected 32 bytes in padded standard base64 after the colon; `lockgate keys pair NAME --kind recipient` makes one",
        ),
        (
            "[\"x25519",
            "[\"rsa",
            "5:16: not a public key: expected `ed25519:BASE64` or `x25519:BASE64`; `lockgate keys pair NAME --kind recipient` makes one",
        ),
    ] {
        let problems = Files::good().with(recipient, from, to).problems();
        assert_eq!(problems, [format!("{recipient}:{expected}")]);
    }
    for (from, to, expected) in [
        (
            "G-2026-0117",
            "G-2026-0118",
            "2:9: grant `G-2026-0118` does not exist; did you mean `G-2026-0117`?",
        ),
        (
            "30 2 * * *",
            "daily",
            "3:12: a schedule has five fields, this one has 1; write minute hour day month weekday: \"30 2 * * *\"",
        ),
    ] {
        let problems = Files::good().with("jobs/nightly.toml", from, to).problems();
        assert_eq!(problems, [format!("jobs/nightly.toml:{expected}")]);
    }
}

#[test]
fn a_rule_that_leaves_out_rows_is_refused() {
    const HMAC: &str = "kind = \"hmac\", domain = \"person.id\"";
    let within =
        "kind = \"pipeline\", steps = [{ kind = \"drop-row\", when = \"person_id IS NULL\" }]";
    for (kind, rule) in [
        (
            "drop-row",
            "kind = \"drop-row\", when = \"person_id IS NULL\"",
        ),
        (
            "sample",
            "kind = \"sample\", rate = \"0.5\", by = \"person_id\", domain = \"d\"",
        ),
        ("pipeline", within),
    ] {
        let problems = Files::good().with("policy.toml", HMAC, rule).problems();
        let own: Vec<&String> = problems
            .iter()
            .filter(|problem| problem.starts_with("policy"))
            .collect();
        let expected = format!(
            "policy.toml:7:13: `{kind}` leaves out rows, and a rule would do so only for grants \
             that ask for its field; write the condition as `rows` of each grant, or the treatment \
             in the grant"
        );
        assert_eq!(own, [&expected], "{rule}");
    }
}

#[test]
fn policy_rules_are_checked() {
    for (from, to, expected) in [
        (
            "category = \"resident-id\"",
            "category = \"resident id\"",
            "5:12: not a category; a category is lower-case letters, digits and -",
        ),
        (
            "min_level = 3",
            "min_level = 3\nmax_level = 2",
            "6:13: min_level 3 is above max_level 2: nothing matches",
        ),
        (
            "min_level = 3",
            "fields = []",
            "6:10: an empty list matches nothing; take `fields` out to match every field",
        ),
        (
            "kind = \"hmac\", domain = \"person.id\"",
            "kind = \"hmac\", domian = \"person.id\"",
            "7:30: unknown key `domian`; did you mean `domain`? known keys: `domain`, `join`, \
             `algorithm`, `encoding`, `length`, `normalise`, `tag`, `on_null`, `on_empty`, `on_short`, \
             `on_invalid`, `sentinels`, `max_invalid`",
        ),
    ] {
        let problems = Files::good().with("policy.toml", from, to).problems();
        let own: Vec<&String> = problems
            .iter()
            .filter(|problem| problem.starts_with("policy"))
            .collect();
        assert_eq!(own, [&format!("policy.toml:{expected}")], "{to}");
    }
    let problems = Files::good().without("policy.toml").problems();
    assert!(problems[0].starts_with("policy.toml:1:1: the site has no policy.toml"));
}
