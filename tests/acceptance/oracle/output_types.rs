//! Every type that a delivery can have, read by pyarrow: each type of the catalogue as it is, and
//! under each treatment that makes another of it.

use std::collections::BTreeSet;

use lockgate::site::FieldType;
use lockgate_transforms::treatments::catalogue;
use lockgate_transforms::{Column, TreatmentSpec};

use super::{Case, Oracle, python};

/// Every type of the catalogue, the ends and some between of those that have parameters. A new one
/// is a row here and its Arrow type in `shared.py`.
const TYPES: [&str; 36] = [
    "utf8",
    "binary",
    "boolean",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "decimal(1,0)",
    "decimal(9,2)",
    "decimal(18,18)",
    "decimal(38,0)",
    "decimal(38,38)",
    "decimal(39,1)",
    "decimal(76,38)",
    "date",
    "timestamp(ms)",
    "timestamp(us)",
    "timestamp(ns)",
    "timestamp(ms, Asia/Shanghai)",
    "timestamp(us, Asia/Shanghai)",
    "timestamp(ns, Asia/Shanghai)",
    "timestamp(ms, America/New_York)",
    "timestamp(us, America/New_York)",
    "timestamp(us, UTC)",
    "timestamp(us, +08:00)",
    "timestamp(ms, -03:30)",
    "timestamp(s)",
    "timestamp(s, Asia/Shanghai)",
    "timestamp(s, America/New_York)",
    "timestamp(s, +08:00)",
];

/// Whether Parquet has the type; seconds come from other formats.
fn is_in_parquet(data_type: &str) -> bool {
    !data_type.starts_with("timestamp(s")
}

fn is_any(_: &str) -> bool {
    true
}

fn is_number(data_type: &str) -> bool {
    data_type.contains("int") || data_type.contains("float") || data_type.contains("decimal")
}

fn is_moment(data_type: &str) -> bool {
    data_type == "date" || is_timestamp(data_type)
}

fn is_timestamp(data_type: &str) -> bool {
    data_type.starts_with("timestamp")
}

/// Whether values have a text of their own that is keyed.
fn has_text(data_type: &str) -> bool {
    data_type == "date" || is_number(data_type) && !data_type.contains("float")
}

fn has_short_text(data_type: &str) -> bool {
    has_text(data_type) && !["decimal(39,1)", "decimal(76,38)"].contains(&data_type)
}

/// Whether a treatment fits a type of the catalogue, by its notation.
type Fits = fn(&str) -> bool;

/// `clear`, and every treatment that makes another type of one, with the types it does that to.
const TREATMENTS: [(&str, Fits); 13] = [
    ("{ kind = 'clear' }", is_any),
    ("{ kind = 'hmac', domain = 'd' }", has_text),
    ("{ kind = 'tokenize', domain = 'd' }", has_text),
    ("{ kind = 'encrypt-det', domain = 'd' }", has_short_text),
    ("{ kind = 'encrypt-rand', domain = 'd' }", is_any),
    (
        "{ kind = 'encrypt-rand', domain = 'd', encoding = 'base64url' }",
        is_any,
    ),
    ("{ kind = 'bucket', width = '10' }", is_number),
    (
        "{ kind = 'age-band', as_of = 2026-03-01, width = 7, cap = 80 }",
        is_moment,
    ),
    (
        "{ kind = 'age-from', as_of = 2026-02-28, cap = 150 }",
        is_moment,
    ),
    ("{ kind = 'time-part', part = 'week' }", is_moment),
    ("{ kind = 'time-part', part = 'weekday' }", is_moment),
    ("{ kind = 'time-part', part = 'hour' }", is_timestamp),
    ("{ kind = 'time-part', part = 'second' }", is_timestamp),
];

/// The cases of the types that one format of sources has.
fn cases(in_parquet: bool) -> Vec<Case> {
    let types = TYPES.into_iter();
    let types = types.filter(|data_type| is_in_parquet(data_type) == in_parquet);
    types
        .flat_map(|data_type| {
            let fitting = TREATMENTS.iter().enumerate();
            let fitting = fitting.filter(move |(_, (_, fits))| fits(data_type));
            fitting.map(move |(number, (treatment, _))| {
                let field = (data_type, "other", "ends");
                Case::new(&format!("{data_type} {number}"), field, treatment)
            })
        })
        .collect()
}

#[test]
fn pyarrow_reads_every_type_under_every_treatment_that_changes_it() {
    let Some(python) = python() else { return };
    let oracle = Oracle::new(python, "output_types.py", cases(true), 400);
    let delivery = oracle.deliver();
    oracle.agrees(&delivery, "G-1");
    // Every value in another's row: none of the columns is taken for another.
    oracle.make(1);
    let objections = oracle.objections(&delivery, "G-1");
    assert_eq!(objections.len(), oracle.cases.len(), "{objections:?}");
}

#[test]
fn pyarrow_reads_timestamps_of_whole_seconds() {
    let Some(python) = python() else { return };
    let oracle = Oracle::over(python, "output_types.py", cases(false), 400, "csv");
    let delivery = oracle.deliver();
    oracle.agrees(&delivery, "G-1");
    let folder = delivery.folder().as_os_str();
    oracle.site.json(["verify".as_ref(), folder]).expect_code(0);
}

#[test]
fn pyarrow_reads_every_compression() {
    let Some(python) = python() else { return };
    let mut cases = cases(true);
    cases.retain(|case| case.treatment.contains("clear"));
    let oracle = Oracle::new(python, "output_types.py", cases, 400);
    for (number, compression) in ["zstd(1)", "zstd(9)", "snappy", "lz4", "none"]
        .iter()
        .enumerate()
    {
        let id = format!("G-{number}");
        let delivery = format!("seal = \"none\"\ncompression = \"{compression}\"");
        oracle.site.signed(&oracle.grant(&id).delivery(&delivery));
        oracle.agrees(&oracle.site.deliver(&id), &id);
    }
}

/// The tables above are complete: what makes another type of a type stands in them.
#[test]
fn every_treatment_that_changes_a_type_is_read() {
    #[derive(serde::Deserialize)]
    struct Rule {
        treatment: TreatmentSpec,
    }
    let read: BTreeSet<(&str, &str)> = TYPES
        .iter()
        .flat_map(|data_type| {
            let fitting = TREATMENTS.iter().filter(|(_, fits)| fits(data_type));
            fitting.filter_map(|(treatment, _)| Some((*data_type, treatment.split('\'').nth(1)?)))
        })
        .collect();
    let mut changing = 0;
    for entry in catalogue() {
        let rule: Rule =
            toml::from_str(&format!("treatment = {}", entry.example)).expect("an example");
        for data_type in TYPES {
            let arrow = FieldType::parse(data_type).expect("a type").to_arrow();
            let column = Column::alone("field", &arrow, "other");
            let made = rule.treatment.output_type(column);
            if made.is_ok_and(|made| made.is_some_and(|made| made != arrow)) {
                changing += 1;
                assert!(
                    read.contains(&(data_type, entry.kind)),
                    "{} of {data_type}",
                    entry.kind
                );
            }
        }
    }
    assert!(changing > 100, "{changing}");
}
