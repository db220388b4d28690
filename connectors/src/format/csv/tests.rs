use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::conformance::{Content, read_all, source_conforms};
use crate::error::ErrorClass;
use crate::format::Format;
use crate::source::open_source;
use crate::store::StoreConfig;

fn people() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("born", DataType::Date32, true),
    ]))
}

fn spec(root: &Path, path: &str, options: CsvOptions, fields: SchemaRef) -> SourceSpec {
    let store = Store::open(&StoreConfig::new("file:lake", root)).unwrap();
    SourceSpec {
        store,
        path: path.to_owned(),
        format: Format::Csv(options),
        fields,
    }
}

fn request(fields: &Schema, batch_rows: usize) -> ReadRequest {
    let projection = fields
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    ReadRequest {
        projection,
        pruning: None,
        batch_rows,
    }
}

fn site(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = site.path().join("lake").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    site
}

async fn read(bytes: &[u8], options: CsvOptions) -> Result<Content, String> {
    let site = site(&[("p.csv", bytes)]);
    let spec = spec(site.path(), "p.csv", options, people());
    let request = request(&people(), 100);
    let source = open_source(spec, request.clone())
        .await
        .map_err(|error| error.to_string())?;
    read_all(&*source, &request).await
}

fn names(content: &Content) -> Vec<Option<&str>> {
    content.columns[1].as_string::<i32>().iter().collect()
}

fn ids(content: &Content) -> Vec<Option<i64>> {
    content.columns[0]
        .as_primitive::<Int64Type>()
        .iter()
        .collect()
}

fn rejecting() -> CsvOptions {
    CsvOptions {
        on_malformed: OnMalformed::Reject,
        ..CsvOptions::default()
    }
}

#[tokio::test]
async fn a_directory_conforms() {
    let site = site(&[
        (
            "people/a.csv",
            b"id,name,born\n1,a,2000-01-31\n2,,\nx,bad,\n4,\"\",1999-12-31\n",
        ),
        (
            "people/b/c.csv",
            "\u{FEFF}extra,born,name,id\r\n1,2001-02-03,\"中,\n文\",5\r\n".as_bytes(),
        ),
        ("people/b/d.csv", b"name,id,born\n"),
        ("people/_tmp/e.csv", b"broken"),
        ("people/.f.csv", b"broken"),
        ("people/notes.txt", b"broken"),
    ]);
    let fields = people();
    let open = |request| {
        let spec = spec(site.path(), "people/", rejecting(), people());
        async move { open_source(spec, request).await }
    };
    let content = source_conforms(&fields, open).await.unwrap();
    assert_eq!(content.rows, [(0, 0), (0, 1), (0, 3), (1, 0)]);
    assert_eq!(content.malformed, 1);
    assert_eq!(
        names(&content),
        [Some("a"), None, Some(""), Some("中,\n文")]
    );
    assert_eq!(content.columns[2].null_count(), 1);
    let source = open(request(&fields, 10)).await.unwrap();
    assert_eq!(source.ignored_columns(), ["extra"]);
    let files: Vec<_> = source
        .snapshot()
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(files, ["people/a.csv", "people/b/c.csv", "people/b/d.csv"]);
}

#[tokio::test]
async fn failing_names_file_row_and_field_but_no_value() {
    let text = b"id,name,born\n1,a,\n2,b,2000-13-77\n";
    let error = read(text, CsvOptions::default()).await.unwrap_err();
    assert!(error.contains("p.csv, data row 2, field `born`"), "{error}");
    assert!(!error.contains("2000-13"), "{error}");
}

#[tokio::test]
async fn each_way_to_be_malformed_is_rejected_alone() {
    let text = b"id,name,born\n1,a,\n2,b\n3,c,,\n4,\xFF,\n5,\"d\"x,\n6,f,2000-99-01\n7,g,\n8,\"h";
    let content = read(text, rejecting()).await.unwrap();
    assert_eq!(ids(&content), [Some(1), Some(7)]);
    assert_eq!(content.malformed, 6);
    assert_eq!(content.rows, [(0, 0), (0, 6)]);
}

#[tokio::test]
async fn a_quote_that_swallows_lines_fails_even_when_rejecting() {
    for options in [rejecting(), CsvOptions::default()] {
        let error = read(b"id,name,born\n1,a,\n2,\"b,\n3,c,\n", options)
            .await
            .unwrap_err();
        assert!(
            error.contains("data row 2") && error.contains("not closed"),
            "{error}"
        );
        assert!(
            error.contains("nobody can tell") && !error.contains("on_malformed"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_long_record_is_rejected_without_being_kept() {
    let mut text = b"id,name,born\n1,".to_vec();
    text.resize(text.len() + records::RECORD_BYTES_MAX + 1, b'x');
    text.extend_from_slice(b",\n2,b,\n");
    let content = read(&text, rejecting()).await.unwrap();
    assert_eq!((ids(&content), content.malformed), (vec![Some(2)], 1));
}

#[tokio::test]
async fn gb18030_is_decoded_before_it_is_cut() {
    // The second byte of 乗 in GBK is 0x5C, of 丂 it is 0x40, and 〡 has four bytes with digits.
    let text = "id|name|born\n1|乗丂𠀀,张三|\n";
    let (bytes, _, _) = encoding_rs::GB18030.encode(text);
    let options = CsvOptions {
        delimiter: '|',
        encoding: Encoding::Gb18030,
        ..CsvOptions::default()
    };
    let content = read(&bytes, options.clone()).await.unwrap();
    assert_eq!(names(&content), [Some("乗丂𠀀,张三")]);
    let error = read(b"id|name|born\n1|\x81\xFF|\n", options)
        .await
        .unwrap_err();
    assert!(error.contains("encoding"), "{error}");
}

#[tokio::test]
async fn a_null_text_makes_the_empty_text_a_value() {
    let options = CsvOptions {
        null: Some("\\N".to_owned()),
        ..CsvOptions::default()
    };
    let content = read(b"id,name,born\n\\N,,\\N\n2,\"\\N\",\\N\n", options)
        .await
        .unwrap();
    assert_eq!(names(&content), [Some(""), Some("\\N")]);
    assert_eq!(ids(&content), [None, Some(2)]);
}

#[tokio::test]
async fn without_header_columns_are_the_catalogues() {
    let options = CsvOptions {
        header: false,
        ..CsvOptions::default()
    };
    let content = read(b"1,a,\n2,b,", options.clone()).await.unwrap();
    assert_eq!(ids(&content), [Some(1), Some(2)]);
    assert!(read(b"", options).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn headers_are_checked_in_every_file() {
    let site = site(&[
        ("p/a.csv", b"id,Name,born\n"),
        ("p/b.csv", b"id,id,name,born\n"),
        ("p/c.csv", b"name\n"),
    ]);
    let spec = spec(site.path(), "p/", CsvOptions::default(), people());
    let error = open_source(spec, request(&people(), 10)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data);
    let text = error.to_string();
    for part in [
        "p/a.csv: field `name` is missing (did you mean `Name`?)",
        "p/b.csv: field `id` appears more than once",
        "p/c.csv: field `id` is missing",
        "p/c.csv: field `born` is missing",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn an_empty_file_has_no_header() {
    let error = read(b"", CsvOptions::default()).await.unwrap_err();
    assert!(
        error.contains("header") && error.contains("empty"),
        "{error}"
    );
}

#[tokio::test]
async fn options_that_contradict_each_other_are_refused() {
    for options in [
        CsvOptions {
            delimiter: '"',
            ..CsvOptions::default()
        },
        CsvOptions {
            delimiter: '\n',
            ..CsvOptions::default()
        },
        CsvOptions {
            delimiter: '，',
            ..CsvOptions::default()
        },
        CsvOptions {
            quote: None,
            escape: Some('\\'),
            ..CsvOptions::default()
        },
    ] {
        let site = site(&[("p.csv", b"id,name,born\n")]);
        let spec = spec(site.path(), "p.csv", options, people());
        let error = open_source(spec, request(&people(), 10)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Config);
    }
}

#[tokio::test]
async fn a_file_replaced_while_reading_fails_the_run() {
    let site = site(&[("p.csv", b"id,name,born\n1,a,\n")]);
    let spec = spec(site.path(), "p.csv", CsvOptions::default(), people());
    let request = request(&people(), 10);
    let source = open_source(spec, request.clone()).await.unwrap();
    source.confirm_unchanged().await.unwrap();
    std::fs::write(
        site.path().join("lake/p.csv"),
        b"id,name,born\n1,a,\n2,b,\n",
    )
    .unwrap();
    assert_eq!(
        source.confirm_unchanged().await.unwrap_err().class(),
        ErrorClass::Integrity
    );
    assert!(
        read_all(&*source, &request)
            .await
            .unwrap_err()
            .contains("changed")
    );
}

#[tokio::test]
async fn files_longer_than_a_range_are_read_whole() {
    let mut text = String::from("id,name,born\n");
    for row in 0..400_000 {
        text.push_str(&format!("{row},\"姓名 {row}\",2000-01-01\n"));
    }
    assert!(text.len() > 10_000_000);
    let content = read(text.as_bytes(), CsvOptions::default()).await.unwrap();
    assert_eq!(content.rows.len(), 400_000);
    assert!(
        ids(&content)
            .iter()
            .zip(0..)
            .all(|(id, row)| *id == Some(row))
    );
    assert_eq!(names(&content)[399_999], Some("姓名 399999"));
}

fn cell() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[ab,;\"\n\r\t é中😀]{0,5}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_back(
        rows in prop::collection::vec((any::<Option<i64>>(), cell(), cell()), 0..30),
        gb18030 in any::<bool>(),
    ) {
        let quoted = |text: &Option<String>| match text {
            Some(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            None => String::new(),
        };
        let mut text = String::from("id,name,note\n");
        for (id, name, note) in &rows {
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            text.push_str(&format!("{id},{},{}\n", quoted(name), quoted(note)));
        }
        let (bytes, encoding) = if gb18030 {
            (encoding_rs::GB18030.encode(&text).0.into_owned(), Encoding::Gb18030)
        } else {
            (text.into_bytes(), Encoding::Utf8)
        };
        let fields: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("note", DataType::Utf8, true),
        ]));
        let site = site(&[("p.csv", &bytes)]);
        let options = CsvOptions { encoding, ..CsvOptions::default() };
        let spec = spec(site.path(), "p.csv", options, Arc::clone(&fields));
        let request = request(&fields, 7);
        let content = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let source = open_source(spec, request.clone()).await.unwrap();
            read_all(&*source, &request).await.unwrap()
        });
        prop_assert_eq!(content.rows.len(), rows.len());
        if !rows.is_empty() {
            let expected: Vec<_> = rows.iter().map(|row| row.1.as_deref()).collect();
            prop_assert_eq!(names(&content), expected);
            prop_assert_eq!(ids(&content), rows.iter().map(|row| row.0).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), gb in any::<bool>()) {
        let encoding = if gb { Encoding::Gb18030 } else { Encoding::Utf8 };
        let options = CsvOptions { encoding, header: false, ..rejecting() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // Errors are fine, panics are not.
        drop(runtime.block_on(read(&bytes, options)));
    }
}

#[tokio::test]
async fn every_type_of_a_catalogue_but_binary_is_read() {
    let types = [
        (DataType::Boolean, "TRUE"),
        (DataType::UInt64, "18446744073709551615"),
        (DataType::Float32, "1.5"),
        (DataType::Float64, "-2e10"),
        (DataType::Decimal128(12, 2), "12.30"),
        (DataType::Date32, "2026-01-31"),
        (
            DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Shanghai".into())),
            "2026-01-31 08:00:00.5",
        ),
    ];
    let fields = types.iter().enumerate();
    let field = |(index, (kind, _)): (usize, &(DataType, &str))| {
        Field::new(format!("f{index}"), kind.clone(), true)
    };
    let fields: SchemaRef = Arc::new(Schema::new(fields.map(field).collect::<Vec<_>>()));
    let row: Vec<_> = types.iter().map(|(_, text)| *text).collect();
    let text = format!("{}\n,,,,,,\n", row.join(","));
    let site = site(&[("t.csv", text.as_bytes())]);
    let options = CsvOptions {
        header: false,
        ..CsvOptions::default()
    };
    let open = |request| {
        let spec = spec(site.path(), "t.csv", options.clone(), Arc::clone(&fields));
        async move { open_source(spec, request).await }
    };
    let content = source_conforms(&fields, open).await.unwrap();
    assert_eq!(content.rows.len(), 2);
    assert!(
        content
            .columns
            .iter()
            .all(|column| column.is_valid(0) && column.is_null(1))
    );

    let binary: SchemaRef = Arc::new(Schema::new(vec![Field::new("b", DataType::Binary, true)]));
    let spec = spec(site.path(), "t.csv", options, Arc::clone(&binary));
    let error = open_source(spec, request(&binary, 10)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Config);
}
