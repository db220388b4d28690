use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use lockgate_connectors::format::write::{ArrowForm, CsvForm, count_rows};
use lockgate_connectors::publish::Destination;
use lockgate_connectors::{Store, StoreConfig};

use super::*;

const GRANT: &str = "G-1";
const DELIVERY: &str = "0123456789abcdef0123456789abcdef";

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
    ])
}

/// Rows numbered from `first`, every third one a formula.
fn chunk(first: i64, rows: i64) -> Chunk {
    let numbers = first..first + rows;
    let texts = numbers.clone().map(|number| match number % 3 {
        0 => format!("={number}"),
        _ => format!("张{number}"),
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(numbers)),
        Arc::new(StringArray::from_iter_values(texts)),
    ];
    Chunk {
        columns,
        rows: usize::try_from(rows).unwrap(),
        bytes: 1,
        dropped: 0,
        rejected: 0,
        kept: None,
    }
}

fn encoder(format: &RowFormat, limits: Limits, is_bundle: bool) -> Encoder {
    let companions = is_bundle.then(|| {
        vec![Companion {
            name: "README.txt",
            content: b"read me".to_vec(),
        }]
    });
    let encoder = RowsEncoder::new(Arc::new(schema()), (format, &[]), companions, limits).unwrap();
    Encoder {
        format: Format::Rows(encoder),
    }
}

/// Writes chunks as the assembler does; returns each file with its rows, and the cells guarded.
fn files(encoder: &Encoder, chunks: &[Chunk], threads: usize) -> (Vec<(Vec<u8>, u64)>, u64) {
    let site = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(&StoreConfig::new("file:out", site.path())).unwrap();
    let attempt = runtime
        .block_on(Destination::new(store).begin(GRANT, DELIVERY))
        .unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let (mut open, mut files, mut guarded) = (None, Vec::new(), 0);
    let mut close = |open: PartFile, files: &mut Vec<_>| {
        let rows = open.rows();
        let end = open.close().unwrap();
        guarded += end.guarded;
        let staged = end.sink.finish().unwrap();
        let path = site
            .path()
            .join("out")
            .join(GRANT)
            .join(DELIVERY)
            .join(&staged.path);
        files.push((std::fs::read(path).unwrap(), rows));
    };
    let part = |index: usize| {
        let index = u32::try_from(index).unwrap();
        let part = attempt.part(index, encoder.extension()).unwrap();
        encoder.open(Sink::Plain(Box::new(part))).unwrap()
    };
    for chunk in chunks {
        let group = GroupWriter::begin(encoder, &chunk.columns).unwrap();
        let mut rest = Some(group.write(encoder, chunk).unwrap().close().unwrap());
        while let Some(group) = rest {
            let mut file: PartFile = match open.take() {
                Some(file) => file,
                None => part(files.len()),
            };
            if file.is_full_for(&group) {
                close(file, &mut files);
                rest = Some(group);
                continue;
            }
            rest = file.append(group, &pool).unwrap();
            open = Some(file);
        }
    }
    if let Some(open) = open {
        close(open, &mut files);
    }
    (files, guarded)
}

fn formats() -> [RowFormat; 3] {
    [
        RowFormat::Csv(CsvForm::default()),
        RowFormat::Jsonl,
        RowFormat::Xlsx,
    ]
}

fn few_rows(rows: u64) -> Limits {
    Limits {
        rows,
        bytes: u64::MAX,
    }
}

#[test]
fn files_end_at_the_last_row_they_may_hold() {
    for format in formats() {
        let encoder = encoder(&format, few_rows(4), false);
        let (files, _) = files(&encoder, &[chunk(0, 3), chunk(3, 6), chunk(9, 1)], 2);
        let rows: Vec<_> = files.iter().map(|(_, rows)| *rows).collect();
        assert_eq!(rows, [4, 4, 2]);
        for (bytes, rows) in &files {
            let counted = count_rows(Cursor::new(bytes), &format, false).unwrap();
            assert_eq!(counted, *rows, "{format:?}");
        }
    }
}

/// A sheet of Excel ends at row 1,048,576, its header among them. The limit is that of the encoder that
/// runs use, and nothing here sets another.
#[test]
fn a_workbook_rolls_over_at_the_last_row_of_a_sheet() {
    let format = RowFormat::Xlsx;
    assert_eq!(format.rows_max(), (1 << 20) - 1);
    let schema = Schema::new(vec![Field::new("n", DataType::Boolean, true)]);
    let encoder = Encoder::rows(&schema, &format, None, &[]).unwrap();
    // Nulls only, which take no bytes of a sheet beside their rows.
    let chunk = |rows: usize| Chunk {
        columns: vec![Arc::new(BooleanArray::new_null(rows))],
        rows,
        bytes: 1,
        dropped: 0,
        rejected: 0,
        kept: None,
    };
    let (files, _) = files(&encoder, &[chunk(1 << 19), chunk(1 << 19)], 2);
    let rows: Vec<_> = files.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(rows, [(1 << 20) - 1, 1]);
    for (bytes, rows) in &files {
        let counted = count_rows(Cursor::new(bytes), &format, false).unwrap();
        assert_eq!(counted, *rows);
    }
}

#[test]
fn a_bundle_is_one_file_whose_members_end_where_files_would() {
    for format in formats() {
        let bundled = encoder(&format, few_rows(4), true);
        let (bundles, guarded) = files(&bundled, &[chunk(0, 9)], 1);
        let [(bundle, 9)] = bundles.as_slice() else {
            panic!("{} files", bundles.len());
        };
        assert_eq!(bundled.extension(), "zip");
        assert_eq!(count_rows(Cursor::new(bundle), &format, true).unwrap(), 9);
        let named = |name: &str| {
            bundle
                .windows(name.len())
                .any(|found| found == name.as_bytes())
        };
        assert!(named("README.txt") && named("contents.json"));
        assert!(named(&format!("part-00002.{}", format.extension())));
        assert!(!named("part-00003"));
        let (_, alone) = files(&encoder(&format, few_rows(4), false), &[chunk(0, 9)], 1);
        assert_eq!(guarded, alone);
    }
}

#[test]
fn content_does_not_depend_on_threads_or_chunks() {
    let limits = few_rows(7_000);
    for format in formats() {
        for is_bundle in [false, true] {
            let encoder = encoder(&format, limits, is_bundle);
            let whole = files(&encoder, &[chunk(0, 20_000)], 1);
            let cut = [chunk(0, 5_000), chunk(5_000, 1), chunk(5_001, 14_999)];
            assert!(files(&encoder, &cut, 2) == whole, "{format:?}");
        }
    }
}

#[test]
fn a_file_ends_once_it_has_its_bytes() {
    let limits = Limits {
        rows: u64::MAX,
        bytes: 10,
    };
    let format = RowFormat::Csv(CsvForm::default());
    let (files, _) = files(
        &encoder(&format, limits, false),
        &[chunk(0, 3), chunk(3, 3)],
        1,
    );
    let rows: Vec<_> = files.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(rows, [3, 3]);
}

#[test]
fn guarded_cells_are_counted_over_all_files() {
    let format = RowFormat::Csv(CsvForm::default());
    let (_, guarded) = files(&encoder(&format, few_rows(4), false), &[chunk(0, 9)], 1);
    assert_eq!(guarded, 3);
}

#[test]
fn a_value_that_the_format_cannot_hold_is_named_by_its_place_alone() {
    let site = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(&StoreConfig::new("file:out", site.path())).unwrap();
    let attempt = runtime
        .block_on(Destination::new(store).begin(GRANT, DELIVERY))
        .unwrap();
    let encoder = encoder(&RowFormat::Xlsx, few_rows(100), false);
    let part = encoder.open(Sink::Plain(Box::new(attempt.part(0, "xlsx").unwrap())));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let mut long = chunk(0, 2);
    long.columns[1] = Arc::new(StringArray::from(vec!["x".to_owned(), "秘".repeat(32_768)]));
    let group = |chunk: &Chunk| {
        let group = GroupWriter::begin(&encoder, &chunk.columns).unwrap();
        group.write(&encoder, chunk).unwrap().close().unwrap()
    };
    let mut file = part.unwrap();
    assert!(file.append(group(&chunk(0, 5)), &pool).unwrap().is_none());
    let error = file.append(group(&long), &pool).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("field `t`, row 7 of part-00000.xlsx"),
        "{text}"
    );
    assert!(!text.contains('秘'), "{text}");
    assert_eq!(error.class(), "data");
}

/// What is written of rows may be many times what is counted of them, so a file ends within a group.
#[test]
fn a_file_ends_within_a_slice_of_its_bytes() {
    let names = (0..64).map(|number| Field::new(format!("c{number:02}"), DataType::Int64, true));
    let schema = Arc::new(Schema::new(names.collect::<Vec<_>>()));
    let limits = Limits {
        rows: u64::MAX,
        bytes: 1 << 20,
    };
    let wide = |rows: usize| {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
        Chunk {
            columns: vec![column; 64],
            ..chunk(0, i64::try_from(rows).unwrap())
        }
    };
    for is_bundle in [false, true] {
        let companions = is_bundle.then(Vec::new);
        let encoder = RowsEncoder::new(
            Arc::clone(&schema),
            (&RowFormat::Jsonl, &[]),
            companions,
            limits,
        );
        let encoder = Encoder {
            format: Format::Rows(encoder.unwrap()),
        };
        let (alone, _) = files(&encoder, &[wide(10_000)], 1);
        // A slice is 1,024 rows of about 640 bytes.
        let rows: Vec<_> = alone.iter().map(|(_, rows)| *rows).collect();
        match is_bundle {
            false => assert_eq!(rows, [2_048, 2_048, 2_048, 2_048, 1_808]),
            true => {
                assert_eq!(rows, [10_000]);
                let members = (0..6).map(|number| format!("part-{number:05}.jsonl"));
                let is_there = members.map(|name| {
                    let bytes = name.as_bytes();
                    alone[0].0.windows(bytes.len()).any(|found| found == bytes)
                });
                let is_there: Vec<_> = is_there.collect();
                assert_eq!(is_there, [true, true, true, true, true, false]);
            }
        }
        let (with_more, _) = files(&encoder, &[wide(10_000)], 4);
        assert!(alone == with_more, "threads change no byte");
    }
}

#[test]
fn a_bundle_of_many_members_goes_on_in_the_next() {
    let format = RowFormat::Csv(CsvForm::default());
    let (bundles, _) = files(&encoder(&format, few_rows(1), true), &[chunk(0, 65)], 1);
    let rows: Vec<_> = bundles.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(rows, [64, 1]);
    let named = |bundle: usize, name: &str| {
        let bytes = name.as_bytes();
        let bundle = &bundles[bundle].0;
        bundle.windows(bytes.len()).any(|found| found == bytes)
    };
    assert!(named(0, "part-00063.csv") && !named(0, "part-00064.csv"));
    assert!(named(1, "part-00064.csv") && !named(1, "part-00000.csv"));
    for (number, (bundle, rows)) in bundles.iter().enumerate() {
        assert!(named(number, "README.txt") && named(number, "contents.json"));
        let counted = count_rows(Cursor::new(bundle), &format, true).unwrap();
        assert_eq!(counted, *rows);
    }
}

#[test]
fn arrow_files_end_at_their_rows_and_are_the_same_with_any_threads() {
    let format = RowFormat::Arrow(ArrowForm::default());
    let encoder = encoder(&format, few_rows(4), false);
    assert_eq!(encoder.extension(), "arrow");
    let chunks = [chunk(0, 3), chunk(3, 6), chunk(9, 1)];
    let (one, guarded) = files(&encoder, &chunks, 1);
    let rows: Vec<_> = one.iter().map(|(_, rows)| *rows).collect();
    assert_eq!((rows, guarded), (vec![4, 4, 2], 0));
    for (bytes, rows) in &one {
        let counted = count_rows(Cursor::new(bytes), &format, false).unwrap();
        assert_eq!(counted, *rows);
    }
    let (more, _) = files(&encoder, &chunks, 3);
    assert!(one == more);
}
