use std::io::Write as _;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    DictionaryArray, Float32Array, Float64Array, Int64Array, LargeStringArray, StringArray,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::*;

type Row = Vec<Option<String>>;

struct Found {
    folder: TempDir,
}

impl Found {
    fn new(bytes: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The name says nothing, or lies.
        std::fs::write(folder.path().join("copy.dat"), bytes).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("copy.dat")
    }

    fn open(&self, options: &FoundOptions) -> Result<FoundTable, ConnectorError> {
        FoundTable::open(&self.path(), options)
    }
}

/// All rows, and how many were irregular. Checks what every batch promises.
fn read(table: &FoundTable) -> Result<(Vec<Row>, u64), ConnectorError> {
    let mut batches = table.batches()?;
    let mut rows = Vec::new();
    for batch in batches.by_ref() {
        let batch = batch?;
        assert!((1..=8_192).contains(&batch.num_rows()));
        let names: Vec<_> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(names, table.names());
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| column.as_string::<i32>())
            .collect();
        for row in 0..batch.num_rows() {
            let cell =
                |column: &&StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
            rows.push(columns.iter().map(cell).collect());
        }
    }
    Ok((rows, batches.irregular()))
}

fn rows(expected: &[&[&str]]) -> Vec<Row> {
    let cell = |&cell: &&str| (cell != "∅").then(|| cell.to_owned());
    expected
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect()
}

fn table(bytes: impl AsRef<[u8]>) -> (FoundTable, Vec<Row>, u64) {
    let found = Found::new(bytes);
    let table = found.open(&FoundOptions::default()).unwrap();
    let (rows, irregular) = read(&table).unwrap();
    assert_eq!(
        read(&table).unwrap(),
        (rows.clone(), irregular),
        "read twice"
    );
    (table, rows, irregular)
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    let found = Found::new(bytes);
    let read = found
        .open(&FoundOptions::default())
        .and_then(|table| read(&table));
    read.unwrap_err().to_string()
}

#[test]
fn what_a_form_has_no_use_for_is_refused() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let parquet = Found::new(parquet(vec![("name", column)]));
    let workbook = Found::new(workbook(false));
    let text = Found::new("name,of\na,b\n");
    let none = FoundOptions::default;
    let encoding = || FoundOptions {
        encoding: Some(Encoding::Utf8),
        ..none()
    };
    let delimiter = || FoundOptions {
        delimiter: Some(b','),
        ..none()
    };
    let sheet = || FoundOptions {
        sheet: Some("notes".to_owned()),
        ..none()
    };
    let header = || FoundOptions {
        header: Some(true),
        ..none()
    };
    for (found, useless, useful) in [
        (
            &parquet,
            vec![encoding(), delimiter(), sheet(), header()],
            vec![none()],
        ),
        (
            &workbook,
            vec![encoding(), delimiter()],
            vec![none(), sheet(), header()],
        ),
        (
            &text,
            vec![sheet()],
            vec![none(), encoding(), delimiter(), header()],
        ),
    ] {
        for options in useless {
            let error = found.open(&options).unwrap_err();
            assert!(
                matches!(error, ConnectorError::Config { .. }),
                "{options:?}"
            );
        }
        for options in useful {
            assert!(found.open(&options).is_ok(), "{options:?}");
        }
    }
}

/// What the formula guard of a delivery changed is found as it was before, whatever the copy went through.
#[test]
fn a_guarded_cell_is_as_it_was_before() {
    use crate::format::write::{CsvForm, RowEncoder, RowFormat};

    let values = ["+8613912345678", "-5", "=x", "'=x", "'a", "b"];
    let key: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let note: ArrayRef = Arc::new(StringArray::from(vec!["."; values.len()]));
    let fields = ["=key", "note"].map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let encoder = RowEncoder::new(schema, &RowFormat::Csv(CsvForm::default()), &[]).unwrap();
    let mut file = encoder.open(Vec::new()).unwrap();
    file.append(&encoder.encode(&[key, note], 0).unwrap())
        .unwrap();
    let delivered = file.finish().unwrap();
    let expected: Vec<Row> = values
        .map(|value| vec![Some(value.to_owned()), Some(".".to_owned())])
        .to_vec();
    let (found, rows, _) = table(&delivered);
    assert_eq!(found.names(), ["=key", "note"]);
    assert_eq!(rows, expected);

    // As a spreadsheet saves it: the apostrophes are in the cells.
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let text = String::from_utf8(delivered).unwrap();
    for (row, line) in (0..).zip(text.trim_start_matches('\u{FEFF}').lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    let (_, rows, _) = table(workbook.save_to_buffer().unwrap());
    assert_eq!(rows, expected);
}

#[test]
fn an_arrow_file_is_read_as_text() {
    use crate::format::write::{ArrowForm, RowEncoder, RowFormat};

    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("张三"), None, Some("")]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-5)]));
    let money = Decimal128Array::from(vec![150, 0, -5]);
    let money: ArrayRef = Arc::new(money.with_precision_and_scale(12, 2).unwrap());
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]; 3]));
    let columns = [texts, binary, numbers, money];
    let fields = ["name", "blob", "n", "money"].iter().zip(&columns);
    let fields = fields.map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let format = RowFormat::Arrow(ArrowForm::default());
    let encoder = RowEncoder::new(schema, &format, &[]).unwrap();
    let mut file = encoder.open(Vec::new()).unwrap();
    for _ in 0..2 {
        file.append(&encoder.encode(&columns, 0).unwrap()).unwrap();
    }
    let bytes = file.finish().unwrap();
    let (found, found_rows, _) = table(&bytes);
    assert_eq!(found.format(), &FoundFormat::Arrow);
    assert_eq!(found.names(), ["name", "blob", "n", "money"]);
    let once: [&[&str]; 3] = [
        &["张三", "∅", "1", "1.50"],
        &["∅", "∅", "∅", "0.00"],
        &["", "∅", "-5", "-0.05"],
    ];
    assert_eq!(found_rows, rows(&[&once[..], &once[..]].concat()));
    for length in [8, 100, bytes.len() - 1] {
        let message = refused(&bytes[..length]);
        assert!(
            message.contains("an Arrow file that is cut short"),
            "{message}"
        );
    }
}

#[test]
fn an_arrow_file_without_a_readable_column_is_refused() {
    let column: ArrayRef = Arc::new(arrow::array::NullArray::new(1_000_000));
    let batch = RecordBatch::try_from_iter([("nothing", column)]).unwrap();
    let schema = batch.schema();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&batch).unwrap();
    let message = refused(writer.into_inner().unwrap());
    assert!(message.contains("without a column of text"), "{message}");
}

#[test]
fn a_header_may_name_two_columns_alike() {
    let (table, found, _) = table("id,name,id,phone\n1,甲,2,3\n");
    assert!(table.has_header());
    assert_eq!(table.names(), ["id", "name", "id", "phone"]);
    assert_eq!(found, rows(&[&["1", "甲", "2", "3"]]));
}

#[test]
fn delimited_text_is_read_in_every_encoding() {
    let text = "姓名,说明\r\n张三,\"甲,\n\"\"乙\"\"\"\r\n李四,\r\n";
    let utf16 = |mark: &str, to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = mark.encode_utf16().chain(text.encode_utf16());
        units.flat_map(to_bytes).collect()
    };
    let encoded = [
        (text.as_bytes().to_vec(), "UTF-8"),
        (format!("\u{FEFF}{text}").into_bytes(), "UTF-8"),
        (encoding_rs::GB18030.encode(text).0.into_owned(), "gb18030"),
        (utf16("\u{FEFF}", u16::to_le_bytes), "UTF-16LE"),
        (utf16("\u{FEFF}", u16::to_be_bytes), "UTF-16BE"),
        (utf16("", u16::to_le_bytes), "UTF-16LE"),
        (utf16("", u16::to_be_bytes), "UTF-16BE"),
    ];
    for (bytes, encoding) in encoded {
        let (table, found, irregular) = table(bytes);
        assert_eq!(
            table.format().to_string(),
            format!("text in {encoding}, delimited by commas")
        );
        assert_eq!(table.names(), ["姓名", "说明"]);
        assert!(table.has_header());
        assert_eq!(found, rows(&[&["张三", "甲,\n\"乙\""], &["李四", "∅"]]));
        assert_eq!(irregular, 0);
    }
}

#[test]
fn options_override_what_would_be_guessed() {
    let found = Found::new(encoding_rs::GB18030.encode("甲#1,2\n乙#3,4\n").0);
    let options = FoundOptions {
        encoding: Some(Encoding::Gb18030),
        delimiter: Some(b'#'),
        header: Some(true),
        sheet: None,
    };
    let table = found.open(&options).unwrap();
    assert_eq!(table.names(), ["甲", "1,2"]);
    assert_eq!(read(&table).unwrap().0, rows(&[&["乙", "3,4"]]));
    let options = FoundOptions {
        delimiter: Some(b'\n'),
        ..options
    };
    assert!(matches!(
        found.open(&options),
        Err(ConnectorError::Config { .. })
    ));
}

#[test]
fn a_table_without_header_has_numbered_columns() {
    let (table, found, _) = table("张三|13800000000\n李四|13900000000\n");
    assert_eq!(table.names(), ["column 1", "column 2"]);
    assert!(!table.has_header());
    assert_eq!(
        found,
        rows(&[&["张三", "13800000000"], &["李四", "13900000000"]])
    );
}

#[test]
fn ragged_rows_and_invalid_bytes_are_kept_and_counted() {
    let mut bytes = b"a,b,c\n1,2,3\n4\n5,6,7,8\n\n9,x".to_vec();
    bytes.extend([0xff, b',', b'y', b'\n']);
    bytes.extend("\"张\"x,,三".as_bytes());
    let (_, found, irregular) = table(bytes);
    let expected: [&[&str]; 5] = [
        &["1", "2", "3"],
        &["4", "∅", "∅"],
        &["5", "6", "7"],
        &["9", "x\u{FFFD}", "y"],
        &["张x", "∅", "三"],
    ];
    assert_eq!((found, irregular), (rows(&expected), 4));
}

#[test]
fn rows_wider_than_the_header_show_its_missing_columns() {
    let (table, found, irregular) = table("a,b\n1,2,3\n4,5,6\n7,8\n");
    assert_eq!(table.names(), ["a", "b", "column 3"]);
    assert_eq!(
        found,
        rows(&[&["1", "2", "3"], &["4", "5", "6"], &["7", "8", "∅"]])
    );
    assert_eq!(irregular, 1);
}

#[test]
fn a_record_too_long_names_its_row_and_nothing_of_it() {
    let mut bytes = b"name,note\nsecret,1\nx,\"secret".to_vec();
    bytes.resize(17 << 20, b'a');
    let message = refused(&bytes);
    assert!(
        message.contains("row 3: it is longer than 16 MiB"),
        "{message}"
    );
    let mut line = b"{\"a\":\"secret\"}\n{\"a\":\"secret".to_vec();
    line.resize(17 << 20, b'a');
    let second = refused(&line);
    assert!(
        second.contains("row 2: it is longer than 16 MiB"),
        "{second}"
    );
    assert!(!message.contains("secret") && !second.contains("secret"));
}

#[test]
fn many_rows_come_in_several_batches() {
    let mut text = String::from("id,note\n");
    for row in 0..20_000 {
        text.push_str(&format!("{row},n{row}\n"));
    }
    let (_, found, _) = table(text);
    assert_eq!(found.len(), 20_000);
    assert_eq!(
        found[19_999],
        [Some("19999".to_owned()), Some("n19999".to_owned())]
    );
}

#[test]
fn batches_end_at_sixteen_mebibytes() {
    let line = "x".repeat(1 << 20);
    let found = Found::new(format!("name\n{}", format!("{line}\n").repeat(40)));
    let table = found.open(&FoundOptions::default()).unwrap();
    let sizes = table
        .batches()
        .unwrap()
        .map(|batch| batch.unwrap().num_rows());
    assert_eq!(sizes.collect::<Vec<_>>(), [16, 16, 8]);
}

#[test]
fn json_lines_have_the_keys_of_the_first_lines() {
    let text = concat!(
        "{\"name\": \"张三\", \"id\": 110101199003071234567890, \"on\": true}\n",
        "\n",
        "{\"id\": 1.50, \"more\": {\"k\": [1, 2]}, \"name\": null}\r\n",
        "no json\n",
        "{\"name\": \"\", \"id\": 2e3}\n",
        "[1]\n",
        "{\"name\": \"cut of",
    );
    let (table, found, irregular) = table(text);
    assert_eq!(table.format().to_string(), "JSON lines in UTF-8");
    assert_eq!(table.names(), ["name", "id", "on", "more"]);
    let expected: [&[&str]; 3] = [
        &["张三", "110101199003071234567890", "true", "∅"],
        &["∅", "1.50", "∅", "{\"k\":[1,2]}"],
        &["", "2000", "∅", "∅"],
    ];
    assert_eq!((found, irregular), (rows(&expected), 3));
}

#[test]
fn a_key_that_appears_late_is_counted() {
    let mut text = "{\"a\":1}\n".repeat(1_000);
    text.push_str("{\"a\":2,\"b\":3}\n");
    let (table, found, irregular) = table(text);
    assert_eq!(
        (table.names(), found.len(), irregular),
        (&["a".to_owned()][..], 1_001, 1)
    );
}

#[test]
fn arrays_on_lines_are_rows() {
    let (named, found, irregular) = table("[\"id\",\"name\"]\n[1,\"a\"]\n[2]\n");
    assert_eq!(named.names(), ["id", "name"]);
    assert_eq!((found, irregular), (rows(&[&["1", "a"], &["2", "∅"]]), 1));
    let (unnamed, found, _) = table("[1,\"a\"]\n[2,\"b\",null]\n");
    assert_eq!(unnamed.names(), ["column 1", "column 2", "column 3"]);
    assert_eq!(found, rows(&[&["1", "a", "∅"], &["2", "b", "∅"]]));
}

#[test]
fn the_brackets_and_commas_of_an_array_of_rows_mean_nothing() {
    let (table, found, irregular) = table("[\n{\"a\":1},\n{\"a\":2}\n]\n");
    assert_eq!(table.names(), ["a"]);
    assert_eq!((found, irregular), (rows(&[&["1"], &["2"]]), 0));
}

#[test]
fn json_that_is_not_on_lines_is_refused_with_a_remedy() {
    for text in ["[{\"a\":1},{\"a\":2}]", "{\n \"a\": 1\n}\n"] {
        let message = refused(text);
        assert!(message.contains("write each row on a line"), "{message}");
    }
}

fn workbook(epoch_1904: bool) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let notes = workbook.add_worksheet();
    notes.set_name("notes").unwrap();
    notes.write(0, 0, "nothing").unwrap();
    let sheet = workbook.add_worksheet();
    sheet.set_name("数据").unwrap();
    let date = Format::new().set_num_format("yyyy-mm-dd");
    let moment = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    for (column, name) in ["姓名", "income", "born", "seen", "on", "id"]
        .iter()
        .enumerate()
    {
        sheet
            .write(2, u16::try_from(column).unwrap() + 1, *name)
            .unwrap();
    }
    sheet.write(3, 1, "张三").unwrap();
    sheet.write(3, 2, 0.1 + 0.2).unwrap();
    let shift = if epoch_1904 { 1_462.0 } else { 0.0 };
    sheet
        .write_number_with_format(3, 3, 32_939.0 - shift, &date)
        .unwrap();
    sheet
        .write_number_with_format(3, 4, 45_943.5 - shift, &moment)
        .unwrap();
    sheet.write(3, 5, true).unwrap();
    sheet.write(3, 6, "110101199003071234").unwrap();
    // A row in between is empty.
    sheet.write(5, 1, "李四").unwrap();
    sheet.write(5, 6, 20_240_131).unwrap();
    let bytes = workbook.save_to_buffer().unwrap();
    if epoch_1904 {
        return with_part(&bytes, "xl/workbook.xml", |xml| {
            xml.replace("<workbookPr ", "<workbookPr date1904=\"1\" ")
        });
    }
    bytes
}

/// The archive with one part changed.
fn with_part(archive: &[u8], name: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let mut source = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut target = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..source.len() {
        let mut part = source.by_index(index).unwrap();
        let part_name = part.name().unwrap().into_owned();
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        if part_name == name {
            text = change(text);
        }
        target
            .start_file(part_name, SimpleFileOptions::default())
            .unwrap();
        target.write_all(text.as_bytes()).unwrap();
    }
    target.finish().unwrap().into_inner()
}

#[test]
fn the_fullest_sheet_is_read_by_either_epoch() {
    for epoch_1904 in [false, true] {
        let (table, found, irregular) = table(workbook(epoch_1904));
        assert_eq!(
            table.format().to_string(),
            "sheet `数据` of an Excel workbook"
        );
        assert_eq!(
            table.names(),
            ["姓名", "income", "born", "seen", "on", "id"]
        );
        let expected: [&[&str]; 2] = [
            &[
                "张三",
                "0.3",
                "1990-03-07",
                "2025-10-13 12:00:00",
                "true",
                "110101199003071234",
            ],
            &["李四", "∅", "∅", "∅", "∅", "20240131"],
        ];
        assert_eq!(
            (found, irregular),
            (rows(&expected), 0),
            "1904: {epoch_1904}"
        );
    }
}

#[test]
fn a_sheet_is_read_by_its_name() {
    let found = Found::new(workbook(false));
    let mut options = FoundOptions {
        sheet: Some("notes".to_owned()),
        header: Some(false),
        ..FoundOptions::default()
    };
    let table = found.open(&options).unwrap();
    assert_eq!(read(&table).unwrap().0, rows(&[&["nothing"]]));
    options.sheet = Some("absent".to_owned());
    let message = found.open(&options).unwrap_err().to_string();
    assert!(message.contains("it has `notes`, `数据`"), "{message}");
}

#[test]
fn dates_before_march_1900_are_what_excel_shows() {
    let mut workbook = Workbook::new();
    let date = Format::new().set_num_format("yyyy/m/d");
    let sheet = workbook.add_worksheet();
    for (row, serial) in [(0, 1.0), (1, 59.0), (2, 61.0)] {
        sheet
            .write_number_with_format(row, 0, serial, &date)
            .unwrap();
    }
    let written = ExcelDateTime::parse_from_str("9999-12-31T23:59:59").unwrap();
    sheet
        .write_datetime_with_format(3, 0, &written, &date)
        .unwrap();
    let (_, found, _) = table(workbook.save_to_buffer().unwrap());
    let expected: [&[&str]; 4] = [
        &["1900-01-01"],
        &["1900-02-28"],
        &["1900-03-01"],
        &["9999-12-31 23:59:59"],
    ];
    assert_eq!(found, rows(&expected));
}

#[test]
fn many_rows_of_a_sheet_come_in_order_and_reading_may_stop() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for row in 0..40_000_u32 {
        sheet.write(row, 0, row).unwrap();
    }
    let found = Found::new(workbook.save_to_buffer().unwrap());
    let table = found.open(&FoundOptions::default()).unwrap();
    let (all, _) = read(&table).unwrap();
    assert_eq!(all.len(), 40_000);
    assert!(
        all.iter()
            .enumerate()
            .all(|(row, cells)| cells[0] == Some(row.to_string()))
    );
    let mut batches = table.batches().unwrap();
    assert_eq!(batches.next().unwrap().unwrap().num_rows(), 8_192);
}

#[test]
fn hostile_workbooks_are_refused() {
    let whole = workbook(false);
    for cut in [30, whole.len() / 2, whole.len() - 1] {
        let message = refused(&whole[..cut]);
        assert!(message.contains("cut short or damaged"), "{message}");
    }
    let absurd = with_part(&whole, "xl/sharedStrings.xml", |xml| {
        xml.replace("uniqueCount=\"", "uniqueCount=\"99999999999999")
    });
    assert!(refused(absurd).contains("would take more than 2 GiB"));
    let far = with_part(&whole, "xl/worksheets/sheet2.xml", |xml| {
        xml.replace("\"B3\"", "\"ZZZZZZZZ3\"")
    });
    assert!(refused(far).contains("cannot make sense of it"));
    let unended = with_part(&whole, "xl/worksheets/sheet2.xml", |xml| {
        xml.replace("</sheetData>", "")
    });
    assert!(refused(unended).contains("cut short or damaged"));
    let mut other = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    other
        .start_file("a.txt", SimpleFileOptions::default())
        .unwrap();
    other.write_all(b"a,b").unwrap();
    let other = other.finish().unwrap().into_inner();
    assert!(refused(other).contains("holds no Excel workbook"));
    assert!(refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1").contains("password"));
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(WriterProperties::new())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_columns_become_text() {
    let micros = 1_706_696_430_500_000;
    let zoned = TimestampMillisecondArray::from(vec![Some(1_706_696_430_000), None]);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let nested = RecordBatch::try_from_iter([("x", numbers)]);
    let decimals = Decimal128Array::from(vec![Some(-1_250), None]);
    let words: DictionaryArray<Int32Type> = vec![Some("甲"), None].into_iter().collect();
    let (table, found, irregular) = table(parquet(vec![
        (
            "text ",
            Arc::new(LargeStringArray::from(vec![Some("张三"), None])),
        ),
        ("word", Arc::new(words)),
        ("binary", Arc::new(BinaryArray::from(vec![&b"x"[..], b"y"]))),
        ("int", Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN]))),
        ("f32", Arc::new(Float32Array::from(vec![0.1, 1e10]))),
        ("f64", Arc::new(Float64Array::from(vec![0.1, 1e-7]))),
        (
            "decimal",
            Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
        ),
        ("nested", Arc::new(StructArray::from(nested.unwrap()))),
        ("on", Arc::new(BooleanArray::from(vec![true, false]))),
        ("date", Arc::new(Date32Array::from(vec![19_753, -1]))),
        (
            "naive",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(micros), None])),
        ),
        ("zoned", Arc::new(zoned.with_timezone("Asia/Shanghai"))),
    ]));
    assert_eq!(table.format().to_string(), "Parquet");
    assert_eq!(table.names()[..3], ["text", "word", "binary"]);
    let expected: [&[&str]; 2] = [
        &[
            "张三",
            "甲",
            "∅",
            "9223372036854775807",
            "0.1",
            "0.1",
            "-12.50",
            "∅",
            "true",
            "2024-01-31",
            "2024-01-31 10:20:30.500",
            "2024-01-31 10:20:30Z",
        ],
        &[
            "∅",
            "∅",
            "∅",
            "-9223372036854775808",
            "10000000000",
            "0.0000001",
            "∅",
            "∅",
            "false",
            "1969-12-31",
            "∅",
            "∅",
        ],
    ];
    assert_eq!((found, irregular), (rows(&expected), 0));
}

#[test]
fn repeated_values_of_parquet_do_not_fill_a_batch() {
    let value = "x".repeat(1 << 20);
    let values: DictionaryArray<Int32Type> =
        std::iter::repeat_n(Some(value.as_str()), 100).collect();
    let found = Found::new(parquet(vec![("a", Arc::new(values))]));
    let table = found.open(&FoundOptions::default()).unwrap();
    let sizes = table
        .batches()
        .unwrap()
        .map(|batch| batch.unwrap().num_rows());
    assert_eq!(sizes.collect::<Vec<_>>(), [16, 16, 16, 16, 16, 16, 4]);
}

#[test]
fn parquet_that_is_cut_short_or_encrypted_is_refused() {
    let whole = parquet(vec![(
        "a",
        Arc::new(Int64Array::from_iter_values(0..1_000)),
    )]);
    for cut in [4, 8, whole.len() / 2, whole.len() - 1] {
        let message = refused(&whole[..cut]);
        assert!(message.contains("find a whole copy"), "{message}");
    }
    let message = refused(b"PARE1234PARE");
    assert!(message.contains("open it first"), "{message}");
}

#[test]
fn what_is_no_table_is_refused_with_a_remedy() {
    assert!(refused("").contains("it is empty"));
    assert!(refused("\n\n").contains("no columns"));
    assert!(refused(b"\x1f\x8b\x08\0").contains("unpack it first"));
    assert!(refused(",".repeat(20_000)).contains("16,384 columns"));
    let folder = tempfile::tempdir().unwrap();
    let error = FoundTable::open(folder.path(), &FoundOptions::default()).unwrap_err();
    assert!(error.to_string().contains("not a file"), "{error}");
    let absent = FoundTable::open(&folder.path().join("absent"), &FoundOptions::default());
    assert!(matches!(absent, Err(ConnectorError::NotFound { .. })));
}

#[test]
fn a_stray_zero_byte_makes_no_utf_16() {
    let found = Found::new(b"{\"a\":1}\n\0\n");
    let table = found.open(&FoundOptions::default()).unwrap();
    assert!(!read(&table).unwrap().0.is_empty());
}

/// Bytes of which tables are made, and others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"\",;\t|\n\r\\{}[]:nt019eE-. a\xe5\xbc\xa0\xff\0".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..400)
}

proptest! {
    #[test]
    fn no_bytes_make_delimited_text_panic(bytes in bytes(), header in any::<Option<bool>>()) {
        let options = FoundOptions { delimiter: Some(b','), header, ..FoundOptions::default() };
        let found = Found::new(&bytes);
        if let Ok(table) = found.open(&options) {
            prop_assert_eq!(read(&table).unwrap(), read(&table).unwrap());
        }
    }

    #[test]
    fn no_bytes_make_json_lines_panic(lines in prop::collection::vec(bytes(), 1..4)) {
        let mut text = b"{\"a\":1}\n".to_vec();
        for line in lines {
            text.extend(line);
            text.push(b'\n');
        }
        // Said, not guessed: with enough zero bytes in it, it could as well be UTF-16.
        let options = FoundOptions { encoding: Some(Encoding::Utf8), ..FoundOptions::default() };
        let found = Found::new(&text);
        let table = found.open(&options).unwrap();
        prop_assert!(!read(&table).unwrap().0.is_empty());
    }

    #[test]
    fn no_damage_to_a_workbook_or_to_parquet_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for mut whole in [workbook(false), parquet(vec![("a", Arc::new(Int64Array::from(vec![1, 2])))])] {
            let at = at.index(whole.len());
            whole[at] = byte;
            let found = Found::new(&whole);
            let outcome = found.open(&FoundOptions::default()).and_then(|table| read(&table));
            if let Err(error) = outcome {
                prop_assert!(!error.to_string().contains("张三"));
            }
        }
    }
}
