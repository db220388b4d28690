//! Deliveries as delimited text, JSON lines, workbooks, bundles and Arrow files: what comes out is what was treated,
//! exactly or not at all, and as reproducible and accountable as Parquet.

mod python;

use std::fs;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use arrow_ipc::reader::FileReader;
use calamine::{Data, DataType as _, Reader as _, Xlsx};
use lockgate_acceptance::site::{Dataset, Delivery, Grant, Site, write_parquet};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::PROGRAM;

/// Every field of the dataset, in the order of delivery.
const FIELDS: [&str; 10] = [
    "编号", "note", "amount", "big", "born", "seen", "at", "blob", "tags", "rate",
];

/// Texts that formats stumble over; the last two rows are null and empty.
const NOTES: [Option<&str>; 8] = [
    Some("张三,\"老三\""),
    Some("第一行\n第二行\r\n"),
    Some("=HYPERLINK(\"http://x\")"),
    Some("-1+1"),
    Some(" 前后空格 "),
    Some("'已有撇号"),
    None,
    Some(""),
];

/// Rows of everything that is hard to write.
fn rows() -> RecordBatch {
    let ids = [
        "007",
        "330102199003078515",
        "1e5",
        "000",
        "+86",
        "𠮷",
        "TRUE",
        "2026-01-31",
    ];
    let edge = 10_i128.pow(38) - 1;
    let amounts = [
        edge,
        -edge,
        0,
        1,
        -1,
        123_456_789_012_345,
        10_i128.pow(15),
        5,
    ];
    let amounts = Decimal128Array::from(amounts.to_vec())
        .with_precision_and_scale(38, 10)
        .expect("decimals");
    let big = [
        i64::MAX,
        i64::MIN,
        0,
        1 << 53,
        -1,
        999_999_999_999_999,
        1_000_000_000_000_000,
        7,
    ];
    let born = [-25_509, -25_508, 0, 2_932_896, -719_162, 20_000, 1, 2];
    let seen = [
        -1,
        0,
        1_769_846_400_123_000,
        1,
        253_402_300_799_999_999,
        2,
        3,
        4,
    ];
    let at = [0, 1_769_846_400_123, -2_200_000_000_000, 1, 2, 3, 4, 5];
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in 0..8 {
        match row {
            0 => tags.append_null(),
            1 => tags.append_value([] as [Option<&str>; 0]),
            _ => tags.append_value([Some("东"), None, Some("a\"b")]),
        }
    }
    let rates = [0.1, 1e300, -0.0, 5e-324, 1.0, -2.5, 123_456.789, 3.0];
    let columns: [ArrayRef; 10] = [
        Arc::new(StringArray::from(ids.to_vec())),
        Arc::new(StringArray::from(NOTES.to_vec())),
        Arc::new(amounts),
        Arc::new(Int64Array::from(big.to_vec())),
        Arc::new(Date32Array::from(born.to_vec())),
        Arc::new(TimestampMicrosecondArray::from(seen.to_vec())),
        Arc::new(TimestampMillisecondArray::from(at.to_vec()).with_timezone("Asia/Shanghai")),
        Arc::new(BinaryArray::from(vec![&b"\x00\xFF\xFB"[..]; 8])),
        Arc::new(tags.finish()),
        Arc::new(Float64Array::from(rates.to_vec())),
    ];
    batch(&FIELDS, columns)
}

fn batch<const N: usize>(names: &[&str; N], columns: [ArrayRef; N]) -> RecordBatch {
    let fields = names
        .iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.to_vec()).expect("a batch")
}

/// A site with those rows, every field of which may be delivered clear.
fn site() -> Site {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("hard")
        .more("title = \"难写的表\"")
        .plain("编号", "utf8")
        .declaring("title = \"登记编号\"")
        .plain("note", "utf8")
        .plain("amount", "decimal(38,10)")
        .plain("big", "int64")
        .plain("born", "date")
        .plain("seen", "timestamp(us)")
        .plain("at", "timestamp(ms, Asia/Shanghai)")
        .plain("blob", "binary")
        .plain("tags", "list(utf8)")
        .plain("rate", "float64");
    site.dataset(&dataset);
    write_parquet(&site.path("lake/hard/a.parquet"), &rows(), 3);
    site
}

#[track_caller]
fn delivered(site: &Site, id: &str, delivery: &str) -> Delivery {
    let delivery = format!("{delivery}\nseal = \"none\"");
    site.signed(&Grant::new(id, "hard", &FIELDS).delivery(&delivery));
    let delivery = site.deliver(id);
    assert_verifies(site, &delivery);
    delivery
}

#[track_caller]
fn assert_verifies(site: &Site, delivery: &Delivery) {
    let folder = delivery.folder().to_str().expect("a path in UTF-8");
    let document = site.json(["verify", folder]).expecting(0).document();
    assert_eq!(document["valid"], json!(true), "{document}");
    let notes = document["notes"].to_string();
    let is_arrow = delivery.files()[0].to_string_lossy().ends_with(".arrow");
    assert_eq!(notes.contains("rows were counted"), !is_arrow, "{notes}");
}

#[track_caller]
fn only_file(delivery: &Delivery, name: &str) -> Vec<u8> {
    let files = delivery.files();
    let [file] = files.as_slice() else {
        panic!("{} files", files.len());
    };
    assert_eq!(file.file_name().and_then(|name| name.to_str()), Some(name));
    fs::read(file).expect("a part")
}

/// A cell of delimited text: what stands there, and whether it was quoted.
type Cell = (String, bool);

/// Delimited text by the letter of RFC 4180.
fn parse_csv(text: &str) -> Vec<Vec<Cell>> {
    let (mut lines, mut line, mut cell, mut quoted) = (vec![], vec![], String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if cell.is_empty() && !quoted => {
                quoted = true;
                while let Some(character) = characters.next() {
                    match character {
                        '"' if characters.peek() == Some(&'"') => {
                            characters.next();
                            cell.push('"');
                        }
                        '"' => break,
                        other => cell.push(other),
                    }
                }
            }
            ',' | '\r' => {
                line.push((std::mem::take(&mut cell), std::mem::take(&mut quoted)));
                if character == '\r' {
                    assert_eq!(characters.next(), Some('\n'), "a line ends with CR LF");
                    lines.push(std::mem::take(&mut line));
                }
            }
            other => {
                assert!(!quoted, "{other:?} after a closing quote");
                cell.push(other);
            }
        }
    }
    assert!(
        line.is_empty() && cell.is_empty(),
        "the last line has no end"
    );
    lines
}

#[test]
fn delimited_text_holds_every_value_exactly() {
    let site = site();
    let delivery = delivered(&site, "G-1", "format = \"csv\"");
    let bytes = only_file(&delivery, "part-00000.csv");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let lines = parse_csv(text.strip_prefix('\u{FEFF}').expect("a byte order mark"));
    let column = |name: &str| -> Vec<Cell> {
        let position = FIELDS
            .iter()
            .position(|field| *field == name)
            .expect("a field");
        lines[1..]
            .iter()
            .map(|line| line[position].clone())
            .collect()
    };
    let bare = |values: &[&str]| -> Vec<Cell> {
        values
            .iter()
            .map(|value| ((*value).to_owned(), false))
            .collect()
    };
    let names: Vec<_> = lines[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, FIELDS);
    let ids = [
        "007",
        "330102199003078515",
        "1e5",
        "000",
        "'+86",
        "𠮷",
        "TRUE",
        "2026-01-31",
    ];
    assert_eq!(column("编号"), bare(&ids));
    let notes = column("note");
    assert_eq!(notes[0], ("张三,\"老三\"".to_owned(), true));
    assert_eq!(notes[1], ("第一行\n第二行\r\n".to_owned(), true));
    assert_eq!(notes[2], ("'=HYPERLINK(\"http://x\")".to_owned(), true));
    assert_eq!(notes[3], ("'-1+1".to_owned(), false));
    assert_eq!(notes[4], (" 前后空格 ".to_owned(), true));
    assert_eq!(notes[5], ("'已有撇号".to_owned(), false));
    assert_eq!(notes[6], (String::new(), false), "null");
    assert_eq!(notes[7], (String::new(), true), "the empty text");
    let amounts = column("amount");
    assert_eq!(
        amounts[0].0,
        format!("{}.{}", "9".repeat(28), "9".repeat(10))
    );
    assert_eq!(amounts[3].0, "0.0000000001");
    assert_eq!(
        column("big")[..2],
        bare(&["9223372036854775807", "-9223372036854775808"])
    );
    assert_eq!(column("born")[4].0, "0001-01-01");
    assert_eq!(column("seen")[4].0, "9999-12-31T23:59:59.999999");
    assert_eq!(column("seen")[0].0, "1969-12-31T23:59:59.999999");
    let at = column("at");
    assert_eq!(at[0].0, "1970-01-01T08:00:00.000+08:00");
    assert_eq!(at[2].0, "1900-04-15T00:53:20.000Z", "an offset of seconds");
    assert_eq!(column("blob")[0].0, "AP/7");
    assert_eq!(column("tags")[0], (String::new(), false));
    assert_eq!(column("tags")[2].0, r#"["东",null,"a\"b"]"#);
    assert_eq!(column("rate")[3].0, "5e-324");

    let form = &delivery.manifest()["form"];
    let stated = json!({
        "bundle": false, "guarded_cells": 3,
        "rows": {
            "format": "csv", "encoding": "utf-8", "bom": true, "delimiter": ",", "newline": "crlf",
            "header": true, "null": "", "formula_guard": true,
        },
    });
    assert_eq!(*form, stated);
}

#[test]
fn delimited_text_takes_the_form_that_the_grant_asks_for() {
    let site = site();
    let csv = "format = \"csv\"\ncsv = { encoding = \"gb18030\", delimiter = \"\\t\", newline = \"lf\", \
               null = \"NULL\", header = false, formula_guard = false }";
    let delivery = delivered(&site, "G-1", csv);
    let bytes = only_file(&delivery, "part-00000.csv");
    let (text, _, lost) = encoding_rs::GB18030.decode(&bytes);
    assert!(!lost && !text.starts_with('\u{FEFF}') && !bytes.starts_with(b"\x84\x31\x95\x33"));
    let first = text.split('\t').next().expect("a cell");
    assert_eq!(first, "007");
    assert!(
        text.contains("\t\"=HYPERLINK(\"\"http://x\"\")\"\t"),
        "{text}"
    );
    assert!(text.contains("TRUE\tNULL\t"), "{text}");
    assert!(text.contains("2026-01-31\t\"\"\t"), "{text}");
    assert!(text.ends_with('\n') && !text.ends_with("\r\n"));
    let form = &delivery.manifest()["form"];
    assert_eq!(form["guarded_cells"], Value::Null);
    assert_eq!(form["rows"]["encoding"], "gb18030");
    assert_eq!(form["rows"]["bom"], json!(false));
}

#[test]
fn json_lines_hold_every_value_exactly() {
    let site = site();
    let delivery = delivered(&site, "G-1", "format = \"jsonl\"");
    let bytes = only_file(&delivery, "part-00000.jsonl");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(lines.len(), 8);
    for (line, note) in lines.iter().zip(NOTES) {
        assert_eq!(line["note"].as_str(), note);
        assert_eq!(
            line.as_object().map(serde_json::Map::len),
            Some(FIELDS.len())
        );
    }
    let first = json!({
        "编号": "007", "note": NOTES[0], "big": "9223372036854775807", "born": "1900-02-28",
        "amount": format!("{}.{}", "9".repeat(28), "9".repeat(10)), "tags": null, "rate": 0.1,
        "seen": "1969-12-31T23:59:59.999999", "at": "1970-01-01T08:00:00.000+08:00", "blob": "AP/7",
    });
    assert_eq!(lines[0], first);
    assert_eq!(lines[1]["tags"], json!([]));
    assert_eq!(lines[2]["tags"], json!(["东", null, "a\"b"]));
    assert_eq!(
        delivery.manifest()["form"]["rows"],
        json!({"format": "jsonl"})
    );
}

fn cells(workbook: Vec<u8>) -> Vec<Vec<Data>> {
    let mut workbook = Xlsx::new(Cursor::new(workbook)).expect("a workbook");
    assert_eq!(workbook.sheet_names(), ["data"]);
    let range = workbook.worksheet_range("data").expect("a sheet");
    range.rows().map(<[Data]>::to_vec).collect()
}

/// What a date of Excel shows, to the millisecond.
fn moment(cell: &Data) -> String {
    let Data::DateTime(moment) = cell else {
        panic!("{cell:?} is no date");
    };
    let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}")
}

#[test]
fn a_workbook_keeps_ids_as_text_and_days_as_days() {
    let site = site();
    let delivery = delivered(&site, "G-1", "format = \"xlsx\"");
    let rows = cells(only_file(&delivery, "part-00000.xlsx"));
    let text = |text: &str| Data::String(text.to_owned());
    assert_eq!(rows[0], FIELDS.map(text));
    let column = |name: &str| -> Vec<&Data> {
        let position = FIELDS
            .iter()
            .position(|field| *field == name)
            .expect("a field");
        rows[1..].iter().map(|row| &row[position]).collect()
    };
    let ids = [
        "007",
        "330102199003078515",
        "1e5",
        "000",
        "+86",
        "𠮷",
        "TRUE",
        "2026-01-31",
    ];
    assert!(column("编号").into_iter().eq(&ids.map(text)));
    for (found, note) in column("note").into_iter().zip(NOTES) {
        assert_eq!(
            found.as_string().unwrap_or_default(),
            note.unwrap_or_default()
        );
    }
    assert_eq!(column("note")[6], &Data::Empty);
    let amounts = column("amount");
    assert_eq!(
        amounts[0],
        &text(&format!("{}.{}", "9".repeat(28), "9".repeat(10)))
    );
    assert_eq!(amounts[5], &Data::Float(12_345.678_901_234_5));
    assert_eq!(column("big")[5], &Data::Float(999_999_999_999_999.0));
    assert_eq!(column("big")[6], &text("1000000000000000"));
    let born = column("born");
    assert_eq!(born[0], &text("1900-02-28"));
    assert_eq!(moment(born[1]), "1900-03-01 00:00:00.000");
    assert_eq!(moment(born[3]), "9999-12-31 00:00:00.000");
    let seen = column("seen");
    assert_eq!(seen[0], &text("1969-12-31T23:59:59.999999"));
    assert_eq!(moment(seen[2]), "2026-01-31 08:00:00.123");
    let at = column("at");
    assert_eq!(moment(at[1]), "2026-01-31 16:00:00.123");
    assert_eq!(column("tags")[2], &text(r#"["东",null,"a\"b"]"#));
    assert_eq!(column("rate")[6], &Data::Float(123_456.789));
    assert_eq!(column("rate")[2], &text("-0.0"));
    assert_eq!(column("rate")[3], &text("5e-324"));
}

/// The members of an archive with their bytes, in order.
fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).expect("an archive");
    (0..archive.len())
        .map(|index| {
            let mut member = archive.by_index(index).expect("a member");
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).expect("a whole member");
            let name = member.name().expect("a name").into_owned();
            (name, bytes)
        })
        .collect()
}

#[test]
fn a_bundle_holds_the_files_a_dictionary_and_a_page_to_read_first() {
    let site = site();
    for (id, format) in [("G-1", "csv"), ("G-2", "jsonl"), ("G-3", "xlsx")] {
        let plain = delivered(
            &site,
            &format!("{id}-plain"),
            &format!("format = \"{format}\""),
        );
        let bundled = delivered(&site, id, &format!("format = \"{format}\"\nbundle = true"));
        let members = members(&only_file(&bundled, "part-00000.zip"));
        let part = format!("part-00000.{format}");
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["README.txt", "dictionary.csv", &part, "contents.json"]
        );
        assert_eq!(members[2].1, only_file(&plain, &part));
        let contents: Value = serde_json::from_slice(&members[3].1).expect("JSON");
        let stated = json!({"files": [{
            "path": part, "rows": 8, "bytes": members[2].1.len(), "sha256": sha256(&members[2].1),
        }]});
        assert_eq!(contents, stated);
        let readme = String::from_utf8(members[0].1.clone()).expect("UTF-8");
        assert!(readme.starts_with('\u{FEFF}'));
        let guard = "apostrophes, and behind them with a tab or a line end";
        assert_eq!(readme.contains(guard), format == "csv", "{readme}");
        for said in [
            "难写的表 (hard)",
            "民政局",
            "最低生活保障资格核查",
            &part,
            "contents.json",
            "lockgate verify",
        ] {
            assert!(readme.contains(said), "{said}: {readme}");
        }
        let dictionary = String::from_utf8(members[1].1.clone()).expect("UTF-8");
        let lines = parse_csv(
            dictionary
                .strip_prefix('\u{FEFF}')
                .expect("a byte order mark"),
        );
        assert_eq!(lines.len(), FIELDS.len() + 1);
        let first: Vec<_> = lines[1].iter().map(|(cell, _)| cell.as_str()).collect();
        assert_eq!(first[..6], ["1", "编号", "登记编号", "utf8", "other", "1"]);
        assert!(
            first[6].starts_with("clear") && !first[7].is_empty(),
            "{first:?}"
        );
        assert_eq!(bundled.manifest()["form"]["bundle"], json!(true));
        assert_eq!(bundled.manifest()["files"][0]["rows"], json!(8));
    }
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whoever opens a bundle knows from its first page how to read it, whatever form the grant asks for.
#[test]
fn the_first_page_of_a_bundle_says_how_its_files_are_written() {
    let site = site();
    let csv = "format = \"csv\"\nbundle = true\ncsv = { encoding = \"gb18030\", delimiter = \"\\t\", \
               null = \"NULL\", header = false, formula_guard = false }";
    let bundled = delivered(&site, "G-1", csv);
    let members = members(&only_file(&bundled, "part-00000.zip"));
    let readme = String::from_utf8(members[0].1.clone()).expect("UTF-8");
    for said in ["GB 18030", "tabs", "no line of names", "Null is NULL"] {
        assert!(readme.contains(said), "{said}: {readme}");
    }
    assert!(!readme.contains("apostrophe"), "{readme}");
}

fn batches(bytes: &[u8]) -> Vec<RecordBatch> {
    let reader = FileReader::try_new(Cursor::new(bytes), None).expect("an Arrow file");
    reader.map(|batch| batch.expect("a batch")).collect()
}

#[test]
fn an_arrow_file_holds_every_value_as_it_is() {
    let site = site();
    let truth = rows();
    for compression in ["none", "lz4", "zstd(1)"] {
        let id = format!("G-{}", compression.replace(['(', ')'], ""));
        let form = format!("format = \"arrow\"\ncompression = \"{compression}\"");
        let delivery = delivered(&site, &id, &form);
        let found = batches(&only_file(&delivery, "part-00000.arrow"));
        let found = concat_batches(&found[0].schema(), &found).expect("batches of one schema");
        for (name, column) in FIELDS.iter().zip(truth.columns()) {
            assert_eq!(found.column_by_name(name), Some(column), "{name}");
        }
        let names: Vec<_> = (found.schema().fields().iter())
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(names, FIELDS);
        assert_eq!(
            delivery.manifest()["form"]["rows"],
            json!({"format": "arrow", "compression": compression})
        );
    }
    let plan = site.json(["plan", "G-lz4"]).expecting(0).document();
    assert_eq!(plan["delivery"]["form"]["compression"], "lz4");
}

/// Under a null of what is delivered stands nothing of what was treated, as nothing compressed hides it.
#[test]
fn nothing_stands_under_the_nulls_of_an_arrow_file() {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("secret")
        .plain("id", "int64")
        .plain("text", "utf8");
    site.dataset(&dataset);
    let word = "CANARY-IN-A-CELL";
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec![word; 3])),
    ];
    let rows = batch(&["id", "text"], columns);
    write_parquet(&site.path("lake/secret/a.parquet"), &rows, 3);
    let delivery = "format = \"arrow\"\ncompression = \"none\"\nseal = \"none\"";
    let grant = Grant::new("G-1", "secret", &["id", "text"])
        .treatment("text", "{ kind = \"null\" }")
        .delivery(delivery);
    site.signed(&grant);
    let delivery = site.deliver("G-1");
    let bytes = only_file(&delivery, "part-00000.arrow");
    let is_there = bytes
        .windows(word.len())
        .any(|found| found == word.as_bytes());
    assert!(!is_there);
    assert_eq!(batches(&bytes)[0].column(1).null_count(), 3);
}

#[test]
fn a_plan_says_how_files_are_written() {
    let site = site();
    let delivery =
        "format = \"csv\"\nseal = \"none\"\nbundle = true\ncsv = { formula_guard = false }";
    site.signed(&Grant::new("G-1", "hard", &FIELDS).delivery(delivery));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["delivery"]["form"]["formula_guard"], json!(false));
    assert_eq!(plan["delivery"]["bundle"], json!(true));
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(text.contains("without formula guard, bundled"), "{text}");
}

#[test]
fn threads_and_batch_sizes_change_no_byte() {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("many")
        .plain("id", "int64")
        .plain("text", "utf8")
        .plain("even", "boolean");
    site.dataset(&dataset);
    for (file, rows) in [(0, 0..40_000), (1, 40_000..41_000), (2, 41_000..75_000)] {
        let ids = rows.clone().collect::<Int64Array>();
        let texts = rows
            .clone()
            .map(|row| (row % 7 > 0).then(|| format!("={row},张")));
        let columns: [ArrayRef; 3] = [
            Arc::new(ids),
            Arc::new(texts.collect::<StringArray>()),
            Arc::new(rows.map(|row| Some(row % 2 == 0)).collect::<BooleanArray>()),
        ];
        let batch = batch(&["id", "text", "even"], columns);
        write_parquet(
            &site.path(&format!("lake/many/{file}.parquet")),
            &batch,
            9_000,
        );
    }
    let formats = ["csv", "jsonl", "xlsx", "arrow"];
    let forms = |format: &str| match format {
        "arrow" => vec![false],
        _ => vec![false, true],
    };
    for format in formats {
        for bundle in forms(format) {
            let id = format!("G-{format}-{bundle}");
            let delivery = format!("format = \"{format}\"\nseal = \"none\"\nbundle = {bundle}");
            site.signed(
                &Grant::new(&id, "many", &["id", "text", "even"])
                    .rows("id <> 13")
                    .delivery(&delivery),
            );
        }
    }
    let mut first = Vec::new();
    for (threads, batch_rows) in [(1, 1_000), (2, 16_384), (4, 100_000)] {
        site.configure_more(&format!(
            "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
        ));
        let mut found = Vec::new();
        for format in formats {
            for bundle in forms(format) {
                let id = format!("G-{format}-{bundle}");
                let document = site.json(["run", &id, "--again"]).expecting(0).document();
                let delivery = Delivery::of_run(&document);
                assert_eq!(delivery.manifest()["rows"]["delivered"], json!(74_999));
                assert_verifies(&site, &delivery);
                found.push((id, delivery.bytes()));
            }
        }
        if first.is_empty() {
            first = found;
            continue;
        }
        for ((id, expected), (_, bytes)) in first.iter().zip(&found) {
            assert!(expected == bytes, "{id} with {threads} threads");
        }
    }
}

#[test]
fn a_delivery_without_rows_is_one_file_that_names_the_fields() {
    let site = site();
    for (format, bundle) in [
        ("csv", false),
        ("jsonl", false),
        ("xlsx", false),
        ("csv", true),
        ("arrow", false),
    ] {
        let id = format!("G-{format}-{bundle}");
        let delivery = format!("format = \"{format}\"\nseal = \"none\"\nbundle = {bundle}");
        let grant = Grant::new(&id, "hard", &FIELDS)
            .rows("big = 5")
            .delivery(&delivery);
        site.signed(&grant);
        let delivery = site.deliver(&id);
        assert_verifies(&site, &delivery);
        let bytes = &delivery.bytes()[0];
        match (format, bundle) {
            ("csv", false) => assert!(bytes.ends_with("tags,rate\r\n".as_bytes())),
            ("jsonl", _) => assert!(bytes.is_empty()),
            ("xlsx", _) => assert_eq!(cells(bytes.to_vec()).len(), 1),
            ("arrow", _) => assert!(batches(bytes).is_empty()),
            _ => assert_eq!(members(bytes).len(), 4),
        }
    }
    // A byte order mark alone, and no line: not a file that was cut off.
    for bundle in [false, true] {
        let id = format!("G-bare-{bundle}");
        let delivery = format!(
            "format = \"csv\"\nseal = \"none\"\nbundle = {bundle}\ncsv = {{ header = false }}"
        );
        let grant = Grant::new(&id, "hard", &FIELDS)
            .rows("big = 5")
            .delivery(&delivery);
        site.signed(&grant);
        assert_verifies(&site, &site.deliver(&id));
    }
}

#[test]
fn a_text_that_no_cell_holds_fails_the_run_and_shows_nothing() {
    let site = Site::new(PROGRAM);
    site.dataset(
        &Dataset::new("long")
            .plain("id", "int64")
            .plain("text", "utf8"),
    );
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from(vec![1, 2])),
        Arc::new(StringArray::from(vec![
            "短".to_owned(),
            "秘".repeat(32_768),
        ])),
    ];
    write_parquet(
        &site.path("lake/long/a.parquet"),
        &batch(&["id", "text"], columns),
        10,
    );
    let grant = |format: &str| {
        Grant::new(&format!("G-{format}"), "long", &["id", "text"])
            .delivery(&format!("format = \"{format}\"\nseal = \"none\""))
    };
    site.signed(&grant("xlsx"));
    let failed = site.run("G-xlsx").expecting(1);
    assert!(
        !failed.stdout.contains('秘') && !failed.stderr.contains('秘'),
        "{failed:?}"
    );
    let error = &failed.document()["error"];
    assert_eq!(error["class"], "data");
    let what = error["what"].to_string();
    assert!(
        what.contains("field `text`, row 2 of part-00000.xlsx") && what.contains("32,767"),
        "{what}"
    );
    assert!(!holds_a_manifest(&site.path("outbox/G-xlsx")));
    site.signed(&grant("jsonl"));
    site.deliver("G-jsonl");
}

/// Whether a manifest stands anywhere below.
fn holds_a_manifest(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .any(|path| path.ends_with("manifest.json") || (path.is_dir() && holds_a_manifest(&path)))
}

#[test]
fn options_that_do_not_fit_are_problems_with_their_place() {
    let site = site();
    for (delivery, said) in [
        (
            "format = \"arrow\"\nbundle = true",
            "only csv, xlsx and jsonl are bundled",
        ),
        (
            "format = \"arrow\"\ncompression = \"snappy\"",
            "Arrow files are not compressed with snappy",
        ),
        (
            "format = \"parquet\"\nbundle = true",
            "only csv, xlsx and jsonl are bundled",
        ),
        (
            "format = \"xlsx\"\ncsv = { header = false }",
            "options of csv for files of another format",
        ),
        (
            "format = \"csv\"\ncompression = \"zstd(1)\"",
            "compression is chosen for Parquet and Arrow only",
        ),
        (
            "format = \"csv\"\ncsv = { delimiter = \"x\" }",
            "the delimiter could stand in a value",
        ),
        (
            "format = \"csv\"\ncsv = { encoding = \"gb18030\", bom = true }",
            "of UTF-8 only",
        ),
        (
            "format = \"csv\"\ncsv = { null = \"0\" }",
            "what stands for null could be a value",
        ),
        (
            "format = \"csv\"\ncsv = { null = \"=NULL\" }",
            "what stands for null would be calculated",
        ),
        ("format = \"csv\"\ncsv = { headers = false }", "headers"),
    ] {
        site.grant(&Grant::new("G-1", "hard", &FIELDS).delivery(delivery));
        let document = site.json(["check"]).expecting(2).document();
        let problems = document["problems"].to_string();
        assert!(problems.contains(said), "{delivery}: {problems}");
    }
    // Of one field, a null would be a line that readers skip.
    let one = |delivery: &str| {
        site.grant(&Grant::new("G-1", "hard", &["note"]).delivery(delivery));
        site.json(["check"])
    };
    let document = one("format = \"csv\"").expecting(2).document();
    let problems = document["problems"].to_string();
    assert!(problems.contains("would be a blank line"), "{problems}");
    one("format = \"csv\"\ncsv = { null = \"\\\\N\" }").expect_code(0);
}
