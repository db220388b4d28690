//! Which rows are delivered, in what order and in what form; how many were skipped at the source.

use arrow::datatypes::{DataType, TimeUnit};
use lockgate_acceptance::site::{Delivery, write_parquet};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;

use crate::cell::wholes;
use crate::people::{self, FIELDS, grant, income, people, region, status};

/// Ids of the delivered rows.
fn delivered(document: &Value) -> Vec<usize> {
    let rows = Delivery::of_run(document).rows();
    wholes(&rows, "id")
        .into_iter()
        .map(|id| usize::try_from(id).expect("an id"))
        .collect()
}

#[test]
fn rows_keep_the_order_of_paths_row_groups_and_rows() {
    let site = people::bare_site();
    // Written out of order; paths order by their bytes: "10" before "9", capitals first.
    let files = [
        ("9.parquet", 700..900),
        ("10.parquet", 200..450),
        ("B/1.parquet", 0..200),
        ("a/1.parquet", 450..700),
    ];
    let mut at = Vec::new();
    for (name, rows) in &files {
        write_parquet(
            &site.path(&format!("lake/people/{name}")),
            &people(rows.clone()),
            64,
        );
        at.push((*name, rows.clone()));
    }
    site.signed(&grant("G-1", &FIELDS));
    let run = site.run("G-1").expecting(0).document();
    at.sort_by_key(|(name, _)| name.as_bytes());
    let expected: Vec<usize> = at.into_iter().flat_map(|(_, rows)| rows).collect();
    assert_eq!(delivered(&run), expected);
    let manifest = Delivery::of_run(&run).manifest().clone();
    let files = &manifest["source"]["snapshot"]["files"];
    let paths: Vec<&str> = files
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| file["path"].as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "people/10.parquet",
            "people/9.parquet",
            "people/B/1.parquet",
            "people/a/1.parquet"
        ]
    );
}

#[test]
fn unfinished_and_hidden_files_of_writers_are_no_source() {
    let site = people::site(100);
    for name in [
        "_temporary/1.parquet",
        ".hidden.parquet",
        "notes.txt",
        "_SUCCESS",
    ] {
        let path = site.path(&format!("lake/people/{name}"));
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, "no rows").expect("a file");
    }
    site.signed(&grant("G-1", &["id"]));
    assert_eq!(site.deliver("G-1").rows().num_rows(), 100);
}

#[test]
fn the_delivered_schema_is_plain_nullable_and_in_the_grants_order() {
    let site = people::site(100);
    let order = ["seen", "income", "id", "birth", "status", "person_id"];
    site.signed(&grant("G-1", &order));
    let schema = site.deliver("G-1").schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, order);
    let types: Vec<DataType> = schema
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    let expected = [
        moment,
        DataType::Decimal128(12, 2),
        DataType::Int64,
        DataType::Date32,
        DataType::Utf8,
        DataType::Utf8,
    ];
    assert_eq!(types, expected);
    assert!(schema.fields().iter().all(|field| field.is_nullable()));
}

#[test]
fn a_predicate_lets_through_what_is_true_and_drops_what_is_null() {
    let site = people::site(900);
    let cases: [(&str, &dyn Fn(usize) -> bool); 6] = [
        ("status = 'active'", &|row| status(row) == Some("active")),
        ("status <> 'active'", &|row| status(row) == Some("left")),
        ("NOT (status = 'active')", &|row| {
            status(row) == Some("left")
        }),
        ("status IS NULL OR income >= 10000.00", &|row| {
            status(row).is_none() || income(row) >= 1_000_000
        }),
        ("region LIKE '3301%' AND id BETWEEN 100 AND 500", &|row| {
            region(row).is_some_and(|region| region.starts_with("3301"))
                && (100..=500).contains(&row)
        }),
        (
            "status IN ('left', 'gone') OR CAST(id AS utf8) = '7'",
            &|row| status(row) == Some("left") || row == 7,
        ),
    ];
    for (number, (predicate, truth)) in cases.into_iter().enumerate() {
        let id = format!("G-{number}");
        site.signed(&grant(&id, &["id"]).rows(predicate));
        let run = site.run(&id).expecting(0).document();
        let expected: Vec<usize> = (0..900).filter(|row| truth(*row)).collect();
        assert_eq!(delivered(&run), expected, "{predicate}");
        conserved(&run, 900);
    }
}

#[test]
fn divisions_are_prefixes_and_drop_rows_without_one() {
    let site = people::site(500);
    type Within<'a> = &'a dyn Fn(&str) -> bool;
    let cases: [(&[&str], Within<'_>); 3] = [
        (&["3301"], &|code| code.starts_with("3301")),
        (&["3302", "31"], &|code| {
            code.starts_with("3302") || code.starts_with("31")
        }),
        (&["33"], &|code| code.starts_with("33")),
    ];
    for (number, (divisions, within)) in cases.into_iter().enumerate() {
        let id = format!("G-{number}");
        site.signed(&grant(&id, &["id"]).divisions(divisions));
        let run = site.run(&id).expecting(0).document();
        let expected: Vec<usize> = (0..500)
            .filter(|row| region(*row).is_some_and(within))
            .collect();
        assert_eq!(delivered(&run), expected, "{divisions:?}");
        conserved(&run, 500);
    }
    // Both restrict.
    site.signed(
        &grant("G-both", &["id"])
            .divisions(&["33"])
            .rows("status = 'left'"),
    );
    let run = site.run("G-both").expecting(0).document();
    let within = |row: &usize| {
        region(*row).is_some_and(|code| code.starts_with("33")) && status(*row) == Some("left")
    };
    assert_eq!(delivered(&run), (0..500).filter(within).collect::<Vec<_>>());
}

/// read = filtered + rejected + delivered, and read + pruned = total.
#[track_caller]
fn conserved(run: &Value, total: u64) {
    let rows = &run["rows"];
    let count = |name: &str| rows[name].as_u64().unwrap_or_else(|| panic!("{rows}"));
    assert_eq!(
        count("read"),
        count("filtered") + count("rejected") + count("delivered"),
        "{rows}"
    );
    assert_eq!(count("read") + count("pruned"), total, "{rows}");
}

#[test]
fn row_groups_that_cannot_match_are_skipped_and_counted() {
    let site = people::bare_site();
    write_parquet(&site.path("lake/people/1.parquet"), &people(0..1000), 100);
    write_parquet(
        &site.path("lake/people/2.parquet"),
        &people(1000..1500),
        100,
    );
    site.signed(&grant("G-1", &["id"]).rows("id >= 750 AND id < 1050"));
    let run = site.run("G-1").expecting(0).document();
    assert_eq!(delivered(&run), (750..1050).collect::<Vec<_>>());
    conserved(&run, 1500);
    // Row groups 7 to 9 of the first file and 0 of the second are all that can match.
    assert_eq!(run["rows"]["read"], 400);
    assert_eq!(run["rows"]["pruned"], 1100);
    assert_eq!(run["rows"]["filtered"], 100);
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(
        (&plan["source"]["rows"], &plan["source"]["pruned"]),
        (&1500.into(), &1100.into())
    );
    let manifest = Delivery::of_run(&run).manifest().clone();
    assert_eq!(manifest["rows"], run["rows"]);
}

#[test]
fn an_empty_result_is_one_file_that_holds_the_schema() {
    let site = people::site(300);
    // Once with every row group skipped, once with every row read and dropped.
    for (id, predicate, read) in [("G-1", "id < 0", 0), ("G-2", "id + 1 < 0", 300)] {
        site.signed(&grant(id, &FIELDS).rows(predicate));
        let run = site.run(id).expecting(0).document();
        assert_eq!(run["status"], "delivered");
        assert_eq!(run["rows"]["delivered"], 0);
        assert_eq!(run["rows"]["read"], read, "{run}");
        conserved(&run, 300);
        let delivery = Delivery::of_run(&run);
        assert_eq!(delivery.files().len(), 1);
        let names: Vec<String> = delivery
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(names, FIELDS);
        let folder = delivery.folder().to_str().expect("a path").to_owned();
        site.json(["verify", &folder]).expect_code(0);
    }
}

#[test]
fn a_field_used_only_to_filter_is_read_and_not_delivered() {
    let site = people::site(300);
    site.signed(
        &grant("G-1", &["id"])
            .rows("status = 'active'")
            .divisions(&["33"]),
    );
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["filter_only"], serde_json::json!(["region", "status"]));
    let delivery = site.deliver("G-1");
    assert_eq!(delivery.schema().fields().len(), 1);
}

#[test]
fn rows_of_which_no_field_is_read_are_counted_and_delivered() {
    let site = people::site(900);
    let null = "{ kind = 'null' }";
    let empty = |id: &str| {
        let fields = grant(id, &["name", "income"]).treatment("name", null);
        fields.treatment("income", null)
    };
    site.signed(&empty("G-1"));
    site.signed(&empty("G-2").rows("status = 'active'"));
    for (id, rows) in [("G-1", 900), ("G-2", 300)] {
        let run = site.run(id).expecting(0).document();
        conserved(&run, 900);
        let delivery = Delivery::of_run(&run);
        let delivered = delivery.rows();
        assert_eq!(delivered.num_rows(), rows, "{id}");
        assert!(delivered.columns().iter().all(|of| of.null_count() == rows));
        // What was not looked at is not counted; without a scope, one field says how many rows
        // there are, and then all are read.
        let counts = delivery.manifest()["treatment_counts"].as_object();
        let is_empty = counts.is_some_and(serde_json::Map::is_empty);
        assert_eq!(is_empty, id == "G-2", "{counts:?}");
    }
}

#[test]
fn a_field_that_a_null_empties_is_not_read() {
    let site = people::site(400);
    let file = site.path("lake/people/1.parquet");
    let bytes = std::fs::read(&file).expect("the source");
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).expect("a footer");
    let mut damaged = bytes;
    for group in reader.metadata().row_groups() {
        let (start, length) = group.column(2).byte_range();
        assert_eq!(group.column(2).column_path().string(), "name");
        let start = usize::try_from(start).expect("a place");
        let end = start + usize::try_from(length).expect("a length");
        damaged[start..end].fill(0xA5);
    }
    std::fs::write(&file, damaged).expect("a damaged source");
    site.signed(&grant("G-1", &["id", "name"]).treatment("name", "{ kind = 'null' }"));
    site.signed(&grant("G-2", &["id", "name"]));
    let run = site.run("G-1").expecting(0).document();
    assert_eq!(delivered(&run), (0..400).collect::<Vec<_>>());
    site.run("G-2").expect_code(1);
}

#[test]
fn rejected_rows_are_counted_and_the_exit_code_says_so() {
    let site = people::site(600);
    let reject = "{ kind = 'keep-ends', first = 1, last = 0, on_short = 'reject' }";
    site.signed(
        &grant("G-1", &["id", "name"])
            .treatment("name", reject)
            .rows("id >= 150"),
    );
    let run = site.run("G-1").expecting(5).document();
    assert_eq!(run["status"], "delivered-with-rejects");
    // Every fifth name is one character long.
    let expected: Vec<usize> = (150..600).filter(|row| row % 5 != 2).collect();
    assert_eq!(delivered(&run), expected);
    assert_eq!(run["rows"]["rejected"], 90);
    conserved(&run, 600);
    let manifest = Delivery::of_run(&run).manifest().clone();
    assert_eq!(
        manifest["treatment_counts"]["name"]["short"], 90,
        "{}",
        manifest["treatment_counts"]
    );
    assert_eq!(manifest["treatment_counts"]["name"]["rejected"], 90);
    let again = site.run("G-1").expecting(0).document();
    assert_eq!(again["status"], "unchanged");
}

#[test]
fn a_value_that_must_not_occur_fails_the_run_and_says_where() {
    let site = people::site(600);
    let fail = "{ kind = 'keep-ends', first = 1, last = 0, on_short = 'fail' }";
    site.signed(
        &grant("G-1", &["id", "name"])
            .treatment("name", fail)
            .rows("id >= 150"),
    );
    let failed = site.run("G-1").expecting(1);
    let error = &failed.document()["error"];
    assert_eq!(error["class"], "data");
    let what = error["what"].as_str().expect("what");
    // Row 152 is the first with a name of one character: the 153rd of the file.
    assert!(what.contains("name") && what.contains("row 153"), "{what}");
    assert!(
        error["where"]
            .as_str()
            .expect("where")
            .contains("1.parquet"),
        "{error}"
    );
    assert!(!site.path("outbox/G-1").exists() || no_manifest(&site.path("outbox/G-1")));
}

#[test]
fn more_invalid_values_than_are_borne_fail_the_run_before_anything_is_published() {
    let site = people::site(600);
    // Of 400 people with a status, the 200 who left have no `v` in it.
    let limited = |limit: &str| {
        format!("{{ kind = 'mask-around', delimiter = 'v', max_invalid = '{limit}' }}")
    };
    site.signed(&grant("G-1", &["id", "status"]).treatment("status", &limited("0.499")));
    let failed = site.run("G-1").expecting(1);
    let error = &failed.document()["error"];
    assert_eq!(error["class"], "data");
    let what = error["what"].as_str().expect("what");
    for part in ["`status`", "200 of 400", "0.499", "max_invalid"] {
        assert!(what.contains(part), "{what}");
    }
    assert!(!what.contains("left"), "{what}");
    assert_eq!(error["where"], "field status");
    assert!(!error["remedy"].as_str().expect("remedy").is_empty());
    assert!(!site.path("outbox/G-1").exists() || no_manifest(&site.path("outbox/G-1")));

    site.signed(&grant("G-2", &["id", "status"]).treatment("status", &limited("0.5")));
    let run = site.run("G-2").expecting(0).document();
    let manifest = Delivery::of_run(&run).manifest().clone();
    assert_eq!(manifest["treatment_counts"]["status"]["invalid"], 200);
    assert_eq!(manifest["fields"][1]["treatment"]["max_invalid"], "0.5");
}

fn no_manifest(grant: &std::path::Path) -> bool {
    std::fs::read_dir(grant)
        .expect("a directory")
        .all(|delivery| {
            !delivery
                .expect("an entry")
                .path()
                .join("manifest.json")
                .exists()
        })
}
