use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, Int32Array, Int32Builder, Int64Array, ListBuilder,
    MapBuilder, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Fields, Schema, i256};
use calamine::{Data, Reader, Xlsx};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::conformance::read_all;
use crate::format::Format;
use crate::format::csv::{CsvOptions, LeadingZeros};
use crate::source::{ReadRequest, SourceSpec, open_source};
use crate::store::{Store, StoreConfig};

fn schema(columns: &[(&str, ArrayRef)]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn arrays(columns: &[(&str, ArrayRef)]) -> Vec<ArrayRef> {
    columns
        .iter()
        .map(|(_, column)| Arc::clone(column))
        .collect()
}

/// A file of the columns, and how many cells were guarded.
fn written(columns: &[(&str, ArrayRef)], format: &RowFormat) -> (Vec<u8>, u64) {
    let encoder = RowEncoder::new(schema(columns), format, &[]).unwrap();
    let rows = encoder.encode(&arrays(columns), 0).unwrap();
    let mut file = encoder.open(Vec::new()).unwrap();
    file.append(&rows).unwrap();
    let guarded = file.guarded();
    (file.finish().unwrap(), guarded)
}

fn bare() -> CsvForm {
    CsvForm {
        bom: false,
        newline: LineEnd::Lf,
        header: false,
        ..CsvForm::default()
    }
}

/// The lines of one column.
fn lines(column: impl Array + 'static, form: CsvForm) -> Vec<String> {
    let (bytes, _) = written(&[("c", Arc::new(column))], &RowFormat::Csv(form));
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn delimited_text_is_as_excel_takes_it() {
    let columns = [
        ("编号", texts(&[Some("007"), None])),
        ("姓名", texts(&[Some("张三, \"老三\""), Some("")])),
    ];
    let (bytes, guarded) = written(&columns, &RowFormat::Csv(CsvForm::default()));
    let expected = "\u{FEFF}编号,姓名\r\n007,\"张三, \"\"老三\"\"\"\r\n,\"\"\r\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    assert_eq!(guarded, 0);
}

#[test]
fn null_differs_from_every_text() {
    let form = CsvForm {
        null: "NULL".to_owned(),
        ..bare()
    };
    let column = StringArray::from(vec![None, Some("NULL"), Some(""), Some("null")]);
    assert_eq!(lines(column, form), ["NULL", "\"NULL\"", "\"\"", "null"]);
}

#[test]
fn what_begins_or_ends_with_white_space_is_quoted() {
    let column = StringArray::from(vec![" a", "a\u{3000}", "a b", "a\rb"]);
    let (bytes, _) = written(&[("c", Arc::new(column))], &RowFormat::Csv(bare()));
    let expected = "\" a\"\n\"a\u{3000}\"\na b\n\"a\rb\"\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

/// Whoever opens a file by hand may split it at another delimiter, and would calculate the pieces.
#[test]
fn what_some_reader_would_split_is_quoted() {
    let column = StringArray::from(vec![
        "a;=1+1",
        "a\t=1",
        "a|b",
        "a,b",
        "a\0b",
        "a\u{B}b",
        "a\u{85}b",
        "a\u{2028}b",
        "\u{FEFF}a",
        "a.b",
    ]);
    let (bytes, _) = written(&[("c", Arc::new(column))], &RowFormat::Csv(bare()));
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<_> = text.split_terminator('\n').collect();
    assert_eq!(lines.len(), 10);
    for line in &lines[..9] {
        assert!(line.starts_with('"') && line.ends_with('"'), "{line:?}");
    }
    assert_eq!(lines[9], "a.b");
}

#[test]
fn what_shows_nothing_does_not_hide_a_formula() {
    let hidden = [
        " =1",
        "\u{A0}=1",
        "\u{3000}+1",
        "\u{200B}-1",
        "\u{FEFF}@x",
        "\0=1",
        "\u{B}=1",
        "\u{AD}=1",
        "﹦1",
        "﹢1",
        "﹣1",
        "﹫x",
        "' =1",
    ];
    for text in hidden {
        let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let (bytes, guarded) = written(&[("c", column)], &RowFormat::Csv(bare()));
        let line = String::from_utf8(bytes).unwrap();
        assert_eq!(guarded, 1, "{text:?}");
        let cell = line.trim_end_matches('\n').trim_matches('"');
        assert_eq!(cell, format!("'{text}"));
        assert_eq!(unguarded(cell), text);
    }
    for text in ["a =1", "'a", " '=1", "1-1", "' a", "''"] {
        let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let (_, guarded) = written(&[("c", column)], &RowFormat::Csv(bare()));
        assert_eq!((guarded, unguarded(text)), (0, text));
    }
}

#[test]
fn cells_that_a_spreadsheet_would_calculate_are_guarded_and_counted() {
    let values = [
        "=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1", "'=1", "''", "a=1", "1-1",
    ];
    let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![-1; values.len()]));
    let base64: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\xFB\xEF"[..]; values.len()]));
    let columns = [("=c", column), ("n", numbers), ("b", base64)];
    let form = CsvForm {
        header: true,
        ..bare()
    };
    let (bytes, guarded) = written(&columns, &RowFormat::Csv(form));
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<_> = text.split('\n').collect();
    assert_eq!(lines[0], "'=c,n,b");
    assert_eq!(lines[1], "'=1+1,-1,'++8=");
    assert_eq!(lines[5], "\"'\t=1\",-1,'++8=");
    assert_eq!(lines[7], "'＝1,-1,'++8=");
    assert_eq!(lines[8], "''=1,-1,'++8=", "so that it can be undone");
    assert_eq!(lines[9], "'',-1,'++8=");
    assert_eq!(lines[10], "a=1,-1,'++8=");
    assert_eq!(guarded, 8 + 11);
    let unguarded = CsvForm {
        formula_guard: false,
        ..bare()
    };
    let (bytes, guarded) = written(&columns[..1], &RowFormat::Csv(unguarded));
    assert!(bytes.starts_with(b"=1+1\n+1\n-1\n@x\n\"") || bytes.starts_with(b"=1+1\n+1\n-1\n@x\n"));
    assert_eq!(guarded, 0);
}

#[test]
fn a_file_that_begins_with_id_is_not_taken_for_another_programs() {
    let form = CsvForm {
        header: true,
        ..bare()
    };
    let (bytes, _) = written(&[("ID", texts(&[Some("1")]))], &RowFormat::Csv(form));
    assert_eq!(bytes, b"\"ID\"\n1\n");
}

#[test]
fn gb18030_holds_every_character_that_comes_back_as_itself() {
    let form = CsvForm {
        encoding: Encoding::Gb18030,
        ..bare()
    };
    let format = RowFormat::Csv(form);
    let text = "张𠮷😀é€\u{FFFD}鿿";
    let (bytes, _) = written(&[("c", texts(&[Some(text)]))], &format);
    let (back, _, lost) = encoding_rs::GB18030.decode(&bytes);
    assert!(!lost && back == format!("{text}\n"));
    // U+E5E5 is written as nothing, U+E81E comes back as another; the rest are others to readers of an
    // edition before 2022.
    for private in [
        "\u{E5E5}",
        "a\u{E81E}b",
        "\u{9FB4}",
        "x\u{9FBB}",
        "\u{FE10}",
        "\u{FE19}",
        "ḿ",
    ] {
        let columns = [("c", texts(&[Some("x"), Some(private)]))];
        let encoder = RowEncoder::new(schema(&columns), &format, &[]).unwrap();
        let error = encoder.encode(&arrays(&columns), 0).unwrap_err();
        let expected = CellError {
            column: 0,
            row: 1,
            why: Unwritable::NotInCharset,
        };
        assert_eq!(error, expected, "{private:?}");
    }
}

#[test]
fn names_that_gb18030_may_change_are_refused_before_a_file_is_begun() {
    let columns = [("a\u{9FB4}", texts(&[Some("x")]))];
    let encoding = Encoding::Gb18030;
    let headed = CsvForm {
        encoding,
        header: true,
        ..bare()
    };
    let refused = RowEncoder::new(schema(&columns), &RowFormat::Csv(headed), &[]);
    assert!(matches!(refused, Err(ConnectorError::Config { .. })));
    let headless = RowFormat::Csv(CsvForm { encoding, ..bare() });
    assert!(RowEncoder::new(schema(&columns), &headless, &[]).is_ok());
    let null = "\u{9FB4}".to_owned();
    let form = CsvForm {
        encoding,
        null,
        ..bare()
    };
    assert!(form.fault().is_some());
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let form = CsvForm::default();
    assert_eq!(form.fault(), None);
    let faulty = [
        CsvForm {
            delimiter: 'x',
            ..form.clone()
        },
        CsvForm {
            delimiter: '"',
            ..form.clone()
        },
        CsvForm {
            encoding: Encoding::Gb18030,
            ..form.clone()
        },
        CsvForm {
            encoding: Encoding::Gb18030,
            bom: false,
            delimiter: '|',
            ..form.clone()
        },
        CsvForm {
            encoding: Encoding::Utf16Le,
            ..form.clone()
        },
        CsvForm {
            null: "a,b".to_owned(),
            ..form.clone()
        },
        CsvForm {
            null: "0".to_owned(),
            ..form.clone()
        },
        CsvForm {
            null: "True".to_owned(),
            ..form.clone()
        },
        CsvForm {
            null: "\n".to_owned(),
            ..form
        },
    ];
    for form in faulty {
        assert!(form.fault().is_some(), "{form:?}");
    }
    for null in ["=NULL", "@", "＝", "'=", "\u{FEFF}"] {
        let form = CsvForm {
            null: null.to_owned(),
            ..form.clone()
        };
        assert!(form.fault().is_some(), "{null:?}");
    }
    for null in ["\\N", "NULL", "无"] {
        let form = CsvForm {
            null: null.to_owned(),
            ..form.clone()
        };
        assert_eq!(form.fault(), None, "{null}");
    }
}

#[test]
fn numbers_have_all_their_digits() {
    let money = Decimal128Array::from(vec![Some(0), Some(-5), Some(1_234_567), None])
        .with_precision_and_scale(38, 2)
        .unwrap();
    assert_eq!(lines(money, bare()), ["0.00", "-0.05", "12345.67", ""]);
    let least = Decimal128Array::from(vec![-(10_i128.pow(38) - 1)])
        .with_precision_and_scale(38, 38)
        .unwrap();
    assert_eq!(lines(least, bare()), [format!("-0.{}", "9".repeat(38))]);
    let whole = Decimal128Array::from(vec![10_i128.pow(37)])
        .with_precision_and_scale(38, 0)
        .unwrap();
    assert_eq!(lines(whole, bare()), [format!("1{}", "0".repeat(37))]);
    let wide = i256::from_string(&"9".repeat(76)).unwrap();
    let wide = Decimal256Array::from(vec![wide])
        .with_precision_and_scale(76, 6)
        .unwrap();
    assert_eq!(
        lines(wide, bare()),
        [format!("{}.{}", "9".repeat(70), "9".repeat(6))]
    );
    assert_eq!(
        lines(UInt64Array::from(vec![u64::MAX]), bare()),
        ["18446744073709551615"]
    );
    assert_eq!(
        lines(Int64Array::from(vec![i64::MIN]), bare()),
        ["-9223372036854775808"]
    );
    let floats = Float64Array::from(vec![
        0.1,
        1e300,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ]);
    assert_eq!(
        lines(floats, bare()),
        ["0.1", "1e+300", "-0.0", "NaN", "inf", "-inf"]
    );
    assert_eq!(
        lines(Float32Array::from(vec![0.1, f32::NAN]), bare()),
        ["0.1", "NaN"]
    );
    assert_eq!(
        lines(BooleanArray::from(vec![true, false]), bare()),
        ["true", "false"]
    );
}

#[test]
fn days_and_times_are_iso_with_the_fields_zone() {
    let days = Date32Array::from(vec![0, -719_528, 2_932_896, 2_932_897, -719_529]);
    let expected = [
        "1970-01-01",
        "0000-01-01",
        "9999-12-31",
        "+10000-01-01",
        "-0001-12-31",
    ];
    assert_eq!(lines(days, bare()), expected);
    let naive = TimestampMicrosecondArray::from(vec![-1, 1_000_000]);
    let expected = ["1969-12-31T23:59:59.999999", "1970-01-01T00:00:01.000000"];
    assert_eq!(lines(naive, bare()), expected);
    // In 1900 the clocks of Shanghai were 8:05:43 ahead, which no offset of minutes says.
    let zoned = TimestampSecondArray::from(vec![0, -2_200_000_000]).with_timezone("Asia/Shanghai");
    let expected = ["1970-01-01T08:00:00+08:00", "1900-04-15T00:53:20Z"];
    assert_eq!(lines(zoned, bare()), expected);
    let utc = TimestampMillisecondArray::from(vec![1]).with_timezone("UTC");
    assert_eq!(lines(utc, bare()), ["1970-01-01T00:00:00.001Z"]);
    let west = TimestampNanosecondArray::from(vec![i64::MIN]).with_timezone("-03:30");
    assert_eq!(lines(west, bare()), ["1677-09-20T20:42:43.145224192-03:30"]);
}

#[test]
fn a_day_that_no_calendar_names_fails_with_its_place() {
    let columns: [(&str, ArrayRef); 1] = [("d", Arc::new(Date32Array::from(vec![0, i32::MAX])))];
    for format in [RowFormat::Csv(bare()), RowFormat::Jsonl, RowFormat::Xlsx] {
        let encoder = RowEncoder::new(schema(&columns), &format, &[]).unwrap();
        let error = encoder.encode(&arrays(&columns), 0).unwrap_err();
        assert_eq!(
            (error.column, error.row, error.why),
            (0, 1, Unwritable::BeyondCalendar)
        );
    }
}

/// A list of structs with a map beside them.
fn nested() -> Vec<(&'static str, ArrayRef)> {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a\"b"), None, Some("")]);
    list.append_null();
    list.append_value(std::iter::empty::<Option<&str>>());
    let members: Fields = vec![
        Field::new("号", DataType::Int64, true),
        Field::new("d", DataType::Decimal128(20, 2), true),
    ]
    .into();
    let decimals = Decimal128Array::from(vec![Some(-5), None, Some(7)])
        .with_precision_and_scale(20, 2)
        .unwrap();
    let pairs = StructArray::new(
        members,
        vec![
            Arc::new(Int64Array::from(vec![1, 2, 3])),
            Arc::new(decimals),
        ],
        Some(vec![true, true, false].into()),
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.append(true).unwrap();
    vec![
        ("list", Arc::new(list.finish())),
        ("pair", Arc::new(pairs)),
        ("map", Arc::new(map.finish())),
    ]
}

fn parsed(columns: &[(&str, ArrayRef)]) -> Vec<Value> {
    let (bytes, _) = written(columns, &RowFormat::Jsonl);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn json_lines_keep_nested_values_as_they_are() {
    let rows = parsed(&nested());
    let expected = [
        json!({"list": ["a\"b", null, ""], "pair": {"号": "1", "d": "-0.05"}, "map": [{"key": "k", "value": 1}]}),
        json!({"list": null, "pair": {"号": "2", "d": null}, "map": null}),
        json!({"list": [], "pair": null, "map": []}),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn nested_values_are_json_in_delimited_text_and_workbooks() {
    let (bytes, _) = written(&nested(), &RowFormat::Csv(bare()));
    let text = String::from_utf8(bytes).unwrap();
    let first = "\"[\"\"a\\\"\"b\"\",null,\"\"\"\"]\",\"{\"\"号\"\":\"\"1\"\",\"\"d\"\":\"\"-0.05\"\"}\",\"[{\"\"key\"\":\"\"k\"\",\"\"value\"\":1}]\"";
    assert_eq!(text.lines().next(), Some(first));
    let sheet = sheet(&nested());
    assert_eq!(
        sheet[1][1],
        Data::String("{\"号\":\"1\",\"d\":\"-0.05\"}".to_owned())
    );
    assert_eq!(sheet[2][0], Data::Empty);
}

#[test]
fn slices_of_nested_values_are_written_as_theirs() {
    let columns = nested();
    let all = parsed(&columns);
    for start in 0..3 {
        let sliced: Vec<_> = columns
            .iter()
            .map(|(name, column)| (*name, column.slice(start, 3 - start)))
            .collect();
        assert_eq!(parsed(&sliced), all[start..]);
    }
}

#[test]
fn json_numbers_are_those_that_a_double_holds() {
    let short = Decimal128Array::from(vec![123_456_789_012_345])
        .with_precision_and_scale(15, 2)
        .unwrap();
    let long = Decimal128Array::from(vec![123_456_789_012_345])
        .with_precision_and_scale(16, 2)
        .unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("short", Arc::new(short)),
        ("long", Arc::new(long)),
        ("i32", Arc::new(Int32Array::from(vec![i32::MIN]))),
        ("i64", Arc::new(Int64Array::from(vec![1]))),
        ("f", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("g", Arc::new(Float32Array::from(vec![f32::NEG_INFINITY]))),
        ("b", Arc::new(BooleanArray::from(vec![true]))),
        ("bin", Arc::new(BinaryArray::from(vec![&b"\0\xFF"[..]]))),
        ("day", Arc::new(Date32Array::from(vec![1]))),
        ("none", texts(&[None])),
        ("text", texts(&[Some("\u{1}\n\u{2028}号")])),
    ];
    let expected = json!({
        "short": 1_234_567_890_123.45, "long": "1234567890123.45", "i32": i32::MIN, "i64": "1",
        "f": "NaN", "g": "-Infinity", "b": true, "bin": "AP8=", "day": "1970-01-02",
        "none": null, "text": "\u{1}\n\u{2028}号",
    });
    assert_eq!(parsed(&columns), [expected]);
    let (bytes, _) = written(&columns, &RowFormat::Jsonl);
    assert!(
        bytes.starts_with(b"{\"short\":1234567890123.45,\"long\""),
        "in the fields' order"
    );
}

/// The cells of a workbook, as calamine reads them.
fn sheet(columns: &[(&str, ArrayRef)]) -> Vec<Vec<Data>> {
    let (bytes, _) = written(columns, &RowFormat::Xlsx);
    let mut workbook = Xlsx::new(Cursor::new(bytes)).unwrap();
    let range = workbook.worksheet_range("data").unwrap();
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
fn text_of_a_workbook_stays_text() {
    let values = [
        "007",
        "330102199003078515",
        "=1+1",
        "1e5",
        "TRUE",
        " 空 ",
        "a\nb",
        "a\r\nb\tc",
        "<&>\"'",
        "_x000D_",
        "_x00zz_",
        "__x0041_",
        "_x0041\u{1}",
        "_x000D\r\n",
        "_x0041_x0042_",
        "\u{0}\u{1F}\u{FFFF}",
        "𠮷",
        "'x",
    ];
    let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let cells = sheet(&[("<编号>", column)]);
    assert_eq!(cells[0], [Data::String("<编号>".to_owned())]);
    for (row, value) in cells[1..].iter().zip(values) {
        assert_eq!(row, &[Data::String(value.to_owned())]);
    }
    assert_eq!(cells.len(), values.len() + 1);
}

#[test]
fn numbers_of_a_workbook_are_exact_or_text() {
    let decimals =
        Decimal128Array::from(vec![Some(123_456_789_012_345), Some(10_i128.pow(15)), None])
            .with_precision_and_scale(20, 2)
            .unwrap();
    let wide = [
        Some(i256::from_i128(-5)),
        i256::from_string(&"9".repeat(20)),
        None,
    ];
    let wide = Decimal256Array::from(wide.to_vec())
        .with_precision_and_scale(40, 2)
        .unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i",
            Arc::new(Int64Array::from(vec![
                Some(-999_999_999_999_999),
                Some(1_000_000_000_000_000),
                None,
            ])),
        ),
        ("d", Arc::new(decimals)),
        ("w", Arc::new(wide)),
        (
            "f",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(f64::INFINITY),
                None,
            ])),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        ("t", texts(&[Some(""), None, Some("end")])),
    ];
    let cells = sheet(&columns);
    let text = |text: &str| Data::String(text.to_owned());
    assert_eq!(cells[1][0], Data::Float(-999_999_999_999_999.0));
    assert_eq!(cells[2][0], text("1000000000000000"));
    assert_eq!(cells[1][1], Data::Float(1_234_567_890_123.45));
    assert_eq!(cells[2][1], text("10000000000000.00"));
    assert_eq!(cells[1][2], Data::Float(-0.05));
    assert_eq!(cells[2][2], text("999999999999999999.99"));
    assert_eq!(cells[1][3], Data::Float(0.1));
    assert_eq!(cells[2][3], text("inf"));
    assert_eq!(
        (&cells[1][4], &cells[2][4]),
        (&Data::Bool(true), &Data::Bool(false))
    );
    assert_eq!(cells[2][5], Data::Empty);
    for cell in &cells[3][..5] {
        assert_eq!(*cell, Data::Empty);
    }
}

#[test]
fn floats_that_excel_does_not_have_are_text() {
    let floats = [-0.0, 5e-324, f64::MIN_POSITIVE, 0.0, -1e300];
    let cells = sheet(&[("f", Arc::new(Float64Array::from(floats.to_vec())))]);
    assert_eq!(cells[1][0], Data::String("-0.0".to_owned()));
    assert_eq!(cells[2][0], Data::String("5e-324".to_owned()));
    for (row, float) in cells[3..].iter().zip(&floats[2..]) {
        assert_eq!(row[0], Data::Float(*float));
    }
}

/// The XML of a sheet and of the styles.
fn parts(bytes: Vec<u8>) -> (String, String) {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut part = |name: &str| {
        let mut text = String::new();
        let mut part = archive.by_name(name).unwrap();
        io::Read::read_to_string(&mut part, &mut text).unwrap();
        text
    };
    (part("xl/worksheets/sheet1.xml"), part("xl/styles.xml"))
}

/// The general style shows 11 digits, and what is saved as CSV is what is shown.
#[test]
fn whole_numbers_show_all_their_digits_and_columns_are_wide_enough() {
    let whole = Decimal128Array::from(vec![123_456_789_012_345])
        .with_precision_and_scale(18, 0)
        .unwrap();
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new(Int64Array::from(vec![123_456_789_012_345]))),
        ("d", Arc::new(whole)),
        ("day", Arc::new(Date32Array::from(vec![0]))),
    ];
    let (sheet, styles) = parts(written(&columns, &RowFormat::Xlsx).0);
    for at in ["A2", "B2"] {
        let cell = format!("<c r=\"{at}\" s=\"20\"><v>123456789012345</v></c>");
        assert!(sheet.contains(&cell), "{sheet}");
    }
    let (_, cell_styles) = styles.split_once("<cellXfs").unwrap();
    let of_whole = cell_styles.split("<xf ").nth(21).unwrap();
    assert!(of_whole.starts_with("numFmtId=\"1\" "), "{of_whole}");
    assert!(cell_styles.starts_with(" count=\"21\">"));
    let columns = "<cols><col min=\"1\" max=\"1\" width=\"20\" style=\"20\" customWidth=\"1\"/>";
    assert!(sheet.contains(columns), "{sheet}");
    let day =
        "<col min=\"3\" max=\"3\" width=\"12\" style=\"2\" customWidth=\"1\"/></cols><sheetData>";
    assert!(sheet.contains(day), "{sheet}");
}

#[test]
fn identifiers_are_text_however_long_they_are() {
    let numbers = Int64Array::from(vec![7, 123_456_789_012, 1_000_000_000_000_000]);
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(numbers.clone())),
        ("n", Arc::new(numbers.clone())),
    ];
    let encoder = RowEncoder::new(schema(&columns), &RowFormat::Xlsx, &[true]).unwrap();
    let mut file = encoder.open(Vec::new()).unwrap();
    let rows = encoder.encode(&arrays(&columns), 0).unwrap();
    file.append(&rows).unwrap();
    let mut workbook = Xlsx::new(Cursor::new(file.finish().unwrap())).unwrap();
    let range = workbook.worksheet_range("data").unwrap();
    for (row, number) in range.rows().skip(1).zip(numbers.values()) {
        assert_eq!(row[0], Data::String(number.to_string()));
    }
    assert_eq!(range.rows().nth(1).unwrap()[1], Data::Float(7.0));
}

#[test]
fn days_and_times_of_a_workbook_are_excels_where_it_counts_right() {
    let day = |text: &str| {
        let day: chrono::NaiveDate = text.parse().unwrap();
        let days = day
            .signed_duration_since(chrono::NaiveDate::default())
            .num_days();
        i32::try_from(days).unwrap()
    };
    let days = ["1900-02-28", "1900-03-01", "2026-01-31", "9999-12-31"];
    let column = Date32Array::from(days.map(day).to_vec());
    let late = Date32Array::from(vec![day("9999-12-31") + 1; 4]);
    let cells = sheet(&[("d", Arc::new(column)), ("late", Arc::new(late))]);
    assert_eq!(cells[1][0], Data::String("1900-02-28".to_owned()));
    for (row, text) in cells[2..].iter().zip(&days[1..]) {
        assert!(matches!(row[0], Data::DateTime(_)));
        assert_eq!(moment(&row[0]), format!("{text} 00:00:00.000"));
        assert_eq!(row[1], Data::String("+10000-01-01".to_owned()));
    }
    let micros = [
        1_769_846_400_123_000,
        1_769_846_400_000_001,
        -2_208_988_800_000_000,
    ];
    let naive: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros.to_vec()));
    let cells = sheet(&[("t", naive)]);
    assert_eq!(moment(&cells[1][0]), "2026-01-31 08:00:00.123");
    assert_eq!(
        cells[2][0],
        Data::String("2026-01-31T08:00:00.000001".to_owned())
    );
    assert_eq!(
        cells[3][0],
        Data::String("1900-01-01T00:00:00.000000".to_owned())
    );
    // Both are 02:30 in Berlin, one in summer time and one not.
    let twice = [1_761_438_600, 1_761_442_200, 0];
    let zoned = TimestampSecondArray::from(twice.to_vec()).with_timezone("Europe/Berlin");
    let cells = sheet(&[("t", Arc::new(zoned))]);
    assert_eq!(
        cells[1][0],
        Data::String("2025-10-26T02:30:00+02:00".to_owned())
    );
    assert_eq!(
        cells[2][0],
        Data::String("2025-10-26T02:30:00+01:00".to_owned())
    );
    assert_eq!(moment(&cells[3][0]), "1970-01-01 01:00:00.000");
}

#[test]
fn a_text_that_no_cell_holds_fails_with_its_place() {
    let fits = "𠮷".repeat(XLSX_TEXT_MAX / 2) + "x";
    let over = "𠮷".repeat(XLSX_TEXT_MAX / 2 + 1);
    let columns = [("c", texts(&[Some(&fits), Some(&over)]))];
    let encoder = RowEncoder::new(schema(&columns), &RowFormat::Xlsx, &[]).unwrap();
    let error = encoder.encode(&arrays(&columns), 0).unwrap_err();
    assert_eq!(
        (error.column, error.row, error.why),
        (0, 1, Unwritable::TextTooLong)
    );
    let fitting = [("c", texts(&[Some(&fits)]))];
    assert_eq!(sheet(&fitting)[1][0], Data::String(fits));
}

#[test]
fn columns_of_a_workbook_are_lettered_as_excel_does() {
    let columns: Vec<(String, ArrayRef)> = (0..703)
        .map(|number| (number.to_string(), texts(&[Some("x")])))
        .collect();
    let columns: Vec<(&str, ArrayRef)> = columns
        .iter()
        .map(|(name, column)| (name.as_str(), Arc::clone(column)))
        .collect();
    let encoder = RowEncoder::new(schema(&columns), &RowFormat::Xlsx, &[]).unwrap();
    let rows = encoder.encode(&arrays(&columns), 7).unwrap();
    let xml = String::from_utf8(rows.bytes).unwrap();
    for at in ["\"A9\"", "\"Z9\"", "\"AA9\"", "\"ZZ9\"", "\"AAA9\""] {
        assert!(xml.contains(at), "{at}");
    }
}

#[test]
fn a_file_without_rows_names_its_fields() {
    let columns = [("a", texts(&[])), ("b", texts(&[]))];
    let (bytes, _) = written(&columns, &RowFormat::Csv(CsvForm::default()));
    assert_eq!(bytes, "\u{FEFF}a,b\r\n".as_bytes());
    assert_eq!(written(&columns, &RowFormat::Jsonl).0, b"");
    assert_eq!(sheet(&columns).len(), 1);
}

#[test]
fn an_archive_is_the_same_whenever_it_is_made_and_says_nothing_when_given_up() {
    let make = || {
        let mut archive = Archive::new(Vec::new());
        archive.begin("a.txt", ArchivedAs::Deflated).unwrap();
        archive.write_all(b"aaaaaaaaaa").unwrap();
        archive.begin("b.bin", ArchivedAs::Stored).unwrap();
        archive.write_all(b"b").unwrap();
        archive.finish().unwrap()
    };
    let bytes = make();
    assert_eq!(bytes, make());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    assert_eq!(archive.len(), 2);
    assert_eq!(archive.by_name("a.txt").unwrap().size(), 10);
    let mut given_up = Vec::new();
    let mut archive = Archive::new(&mut given_up);
    archive.begin("a.txt", ArchivedAs::Stored).unwrap();
    archive.write_all(b"a").unwrap();
    drop(archive);
    assert!(
        !given_up.windows(4).any(|found| found == b"PK\x01\x02"),
        "no table of members"
    );
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    let character = prop_oneof![
        Just('"'),
        Just(','),
        Just('\n'),
        Just('='),
        Just('\''),
        Just('-'),
        Just('_'),
        Just('x'),
        Just('0'),
        Just('<'),
        Just('&'),
        Just(' '),
        Just('张'),
        Just('𠮷'),
        Just('\t'),
        Just('\u{FEFF}'),
        any::<char>(),
    ];
    let piece = prop_oneof![
        9 => character.prop_map(String::from),
        1 => Just("_x0041".to_owned()),
        1 => Just("\r".to_owned()),
        1 => Just("\u{1}".to_owned()),
    ];
    let text = proptest::collection::vec(piece, 0..12);
    proptest::option::of(text.prop_map(|pieces| pieces.concat()))
}

/// Reads delimited text back with the reader that sources are read with.
fn read_back(bytes: &[u8], form: &CsvForm, columns: &[(&str, ArrayRef)]) -> Vec<ArrayRef> {
    let site = tempfile::tempdir().unwrap();
    let lake = site.path().join("lake");
    std::fs::create_dir_all(&lake).unwrap();
    std::fs::write(lake.join("p.csv"), bytes).unwrap();
    let options = CsvOptions {
        header: form.header,
        delimiter: form.delimiter,
        encoding: form.encoding,
        null: (!form.null.is_empty()).then(|| form.null.clone()),
        leading_zeros: LeadingZeros::Malformed,
        ..CsvOptions::default()
    };
    let fields = schema(columns);
    let spec = SourceSpec {
        store: Store::open(&StoreConfig::new("file:lake", site.path())).unwrap(),
        path: "p.csv".to_owned(),
        format: Format::Csv(options),
        fields: Arc::clone(&fields),
    };
    let request = ReadRequest {
        projection: fields
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect(),
        pruning: None,
        batch_rows: 5,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let source = open_source(spec, request.clone()).await.unwrap();
        read_all(&*source, &request).await.unwrap().columns
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn delimited_text_comes_back_from_our_own_reader(
        values in proptest::collection::vec(any_text(), 1..20),
        numbers in proptest::collection::vec(any::<(i64, i128, f64, i32)>(), 20),
        gb18030: bool, header: bool, bom: bool, delimiter in prop_oneof![Just(','), Just(';'), Just('\t')],
        null in prop_oneof![Just(""), Just("NULL"), Just("\\N")],
    ) {
        let form = CsvForm {
            encoding: if gb18030 { Encoding::Gb18030 } else { Encoding::Utf8 },
            bom: bom && !gb18030,
            header,
            delimiter,
            null: null.to_owned(),
            ..CsvForm::default()
        };
        let is_refused = |c: char| matches!(
            c,
            '\u{E000}'..='\u{F8FF}' | '\u{1E3F}' | '\u{9FB4}'..='\u{9FBB}' | '\u{FE10}'..='\u{FE19}'
        );
        let values: Vec<Option<String>> = values
            .into_iter()
            .map(|value| value.map(|text| text.replace(is_refused, "私")))
            .collect();
        let numbers = &numbers[..values.len()];
        let decimals = numbers.iter().map(|number| number.1 % 10_i128.pow(38));
        let decimals = decimals.collect::<Decimal128Array>().with_precision_and_scale(38, 5).unwrap();
        let days = numbers.iter().map(|number| number.3.rem_euclid(2_932_897));
        let times = numbers.iter().map(|number| number.0.rem_euclid(250_000_000_000_000_000));
        let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("Asia/Shanghai");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("t", Arc::new(values.iter().cloned().collect::<StringArray>())),
            ("i", Arc::new(numbers.iter().map(|number| number.0).collect::<Int64Array>())),
            ("d", Arc::new(decimals)),
            ("f", Arc::new(numbers.iter().map(|number| number.2).collect::<Float64Array>())),
            ("day", Arc::new(Date32Array::from_iter_values(days))),
            ("at", Arc::new(times)),
        ];
        let (bytes, guarded) = written(&columns, &RowFormat::Csv(form.clone()));
        let count = count_rows(Cursor::new(&bytes), &RowFormat::Csv(form.clone()), false);
        prop_assert_eq!(count.unwrap(), u64::try_from(values.len()).unwrap());
        let back = read_back(&bytes, &form, &columns);
        let texts: Vec<Option<String>> =
            back[0].as_string::<i32>().iter().map(|text| text.map(|text| unguarded(text).to_owned())).collect();
        prop_assert_eq!(&texts, &values);
        let changed = back[0].as_string::<i32>().iter().zip(&values);
        let changed = changed.filter(|(found, text)| *found != text.as_deref()).count();
        prop_assert_eq!(guarded, u64::try_from(changed).unwrap());
        for (found, (name, column)) in back.iter().zip(&columns).skip(1) {
            if *name == "f" {
                let bits = |column: &ArrayRef| {
                    let floats = column.as_primitive::<arrow::datatypes::Float64Type>();
                    floats.values().iter().map(|float| (float.is_nan(), float.to_bits())).collect::<Vec<_>>()
                };
                let (found, expected) = (bits(found), bits(column));
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!(found.1 == expected.1 || (found.0 && expected.0));
                }
            } else {
                prop_assert_eq!(found, column, "{}", name);
            }
        }
    }

    #[test]
    fn workbooks_and_json_lines_come_back(values in proptest::collection::vec(any_text(), 1..20)) {
        let column: ArrayRef = Arc::new(values.iter().cloned().collect::<StringArray>());
        let columns = [("t", column), ("end", texts(&vec![Some("."); values.len()]))];
        let cells = sheet(&columns);
        prop_assert_eq!(cells.len(), values.len() + 1);
        for (row, value) in cells[1..].iter().zip(&values) {
            let text = value.clone().unwrap_or_default();
            let is_nothing = text.is_empty() && row[0] == Data::Empty;
            prop_assert!(is_nothing || row[0] == Data::String(text));
        }
        let rows = parsed(&columns);
        for (row, value) in rows.iter().zip(&values) {
            prop_assert_eq!(row["t"].as_str(), value.as_deref());
        }
    }

    #[test]
    fn rows_are_the_same_however_they_are_cut(
        values in proptest::collection::vec(any_text(), 2..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let column: ArrayRef = Arc::new(values.iter().cloned().collect::<StringArray>());
        let cut = cut.index(values.len());
        let columns = [("t", column)];
        for format in [RowFormat::Csv(CsvForm::default()), RowFormat::Jsonl, RowFormat::Xlsx] {
            let encoder = RowEncoder::new(schema(&columns), &format, &[]).unwrap();
            let (whole, _) = written(&columns, &format);
            let mut file = encoder.open(Vec::new()).unwrap();
            let parts = [columns[0].1.slice(0, cut), columns[0].1.slice(cut, values.len() - cut)];
            file.append(&encoder.encode(&parts[..1], 0).unwrap()).unwrap();
            let first = u64::try_from(cut).unwrap();
            file.append(&encoder.encode(&parts[1..], first).unwrap()).unwrap();
            prop_assert_eq!(file.finish().unwrap(), whole);
        }
    }
}

#[test]
fn rows_are_counted_in_every_format() {
    let columns = [(
        "t",
        texts(&[Some("a\nb\"c"), None, Some("<row r=\"1\">"), Some("")]),
    )];
    let headless = CsvForm {
        header: false,
        ..CsvForm::default()
    };
    let formats = [
        RowFormat::Csv(CsvForm::default()),
        RowFormat::Csv(headless),
        RowFormat::Jsonl,
        RowFormat::Xlsx,
    ];
    for format in formats {
        let (bytes, _) = written(&columns, &format);
        assert_eq!(count_rows(Cursor::new(&bytes), &format, false).unwrap(), 4);
        let short = &bytes[..bytes.len() - 1];
        assert!(count_rows(Cursor::new(short), &format, false).is_err());
        let mut archive = Archive::new(Vec::new());
        archive.begin("README.txt", ArchivedAs::Deflated).unwrap();
        archive.write_all(b"a\nb\n").unwrap();
        for part in 0..2 {
            let how = match format {
                RowFormat::Xlsx | RowFormat::Arrow(_) => ArchivedAs::Stored,
                RowFormat::Csv(_) | RowFormat::Jsonl => ArchivedAs::Deflated,
            };
            let name = format!("part-0000{part}.{}", format.extension());
            archive.begin(&name, how).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        let bundle = archive.finish().unwrap();
        assert_eq!(count_rows(Cursor::new(bundle), &format, true).unwrap(), 8);
    }
}

/// A byte order mark alone is no line that was cut off.
#[test]
fn a_file_of_no_rows_and_no_header_is_whole() {
    let columns = [("t", texts(&[]))];
    for bom in [true, false] {
        let format = RowFormat::Csv(CsvForm { bom, ..bare() });
        let (bytes, _) = written(&columns, &format);
        assert_eq!(bytes.len(), if bom { 3 } else { 0 });
        let count = |bytes: &[u8]| count_rows(Cursor::new(bytes), &format, false);
        assert_eq!(count(&bytes).unwrap(), 0);
        let mut archive = Archive::new(Vec::new());
        archive
            .begin("part-00000.csv", ArchivedAs::Deflated)
            .unwrap();
        archive.write_all(&bytes).unwrap();
        let bundle = archive.finish().unwrap();
        assert_eq!(count_rows(Cursor::new(bundle), &format, true).unwrap(), 0);
        assert!(count(&[&bytes[..], b"x"].concat()).is_err());
    }
}

#[test]
fn a_text_of_both_kinds_of_nothing_is_told_apart_by_pieces() {
    // Slices begin anywhere in their buffers.
    let all = texts(&[Some("x"), None, Some("")]);
    let again = concat(&[&all.slice(1, 2), &all.slice(0, 1)]).unwrap();
    let (bytes, _) = written(
        &[("t", again), ("e", texts(&[Some("."); 3]))],
        &RowFormat::Csv(bare()),
    );
    assert_eq!(bytes, b",.\n\"\",.\nx,.\n");
}
