//! Parquet sources that are damaged or forged. Whatever a file says about itself, a run delivers
//! what it read, or fails and names the file.

use std::fs;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use bytes::Bytes;
use lockgate_acceptance::site::{Dataset, Grant};
use lockgate_connectors::{ErrorClass, Format};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::exchange::{Exchange, GRANT};
use super::{Chance, rounds, watched};

/// Rows of every file here, in three row groups.
const ROWS: i32 = 600;

/// The one file of most sources here.
const PART: &str = "lake/residents/part.parquet";

/// Beginning of every identity number in the source.
const IDENTITY: &str = "44010619900101";

/// Beginning of every name in the source.
const NAME: &str = "欧阳";

/// The most memory that a run over a file of a few kilobytes may need, forged or not. A page may say
/// that it unpacks to 2 GiB, and some codecs set that much aside before they find out.
const MEMORY_MAX: u64 = 3 << 30;

fn exchange() -> Exchange {
    let dataset = Dataset::new("residents")
        .field("person_id", "utf8", "resident-id", "1")
        .plain("name", "utf8")
        .plain("age", "int32")
        .plain("income", "decimal(12,2)")
        .plain("born", "date")
        .plain("seen", "timestamp(us)")
        .plain("score", "float64")
        .plain("active", "boolean");
    let fields = [
        "person_id",
        "name",
        "age",
        "income",
        "born",
        "seen",
        "score",
        "active",
    ];
    let grant = Grant::new(GRANT, "residents", &fields)
        .treatment("person_id", "{ kind = \"hmac\", domain = \"person.id\" }")
        .treatment("name", "{ kind = \"keep-ends\", first = 1, last = 0 }")
        .treatment("income", "{ kind = \"round\", to = \"1000\" }")
        .treatment("born", "{ kind = \"date-trunc\", unit = \"month\" }");
    Exchange::new(&dataset, &grant, &[IDENTITY, NAME])
}

fn rows() -> RecordBatch {
    let numbers = || 0..ROWS;
    let sparse = |number: i32| (number % 7 != 0).then_some(number);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "person_id",
            Arc::new(StringArray::from_iter_values(
                numbers().map(|number| format!("{IDENTITY}{number:04}")),
            )),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter(
                numbers().map(|number| Some(format!("{NAME}{}", sparse(number)? % 12))),
            )),
        ),
        (
            "age",
            Arc::new(Int32Array::from_iter(numbers().map(sparse))),
        ),
        (
            "income",
            Arc::new(
                Decimal128Array::from_iter_values(numbers().map(|number| i128::from(number) * 91))
                    .with_precision_and_scale(12, 2)
                    .expect("a decimal"),
            ),
        ),
        (
            "born",
            Arc::new(Date32Array::from_iter_values(
                numbers().map(|number| number * 31),
            )),
        ),
        (
            "seen",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                numbers().map(|number| i64::from(number) * 1_000_003),
            )),
        ),
        (
            "score",
            Arc::new(Float64Array::from_iter_values(
                numbers().map(|number| f64::from(number) / 7.0),
            )),
        ),
        (
            "active",
            Arc::new(BooleanArray::from_iter(
                numbers().map(|number| Some(number % 3 == 0)),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .expect("columns of one length")
}

fn written(compression: Compression, version: WriterVersion) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(200))
        .set_compression(compression)
        .set_writer_version(version)
        .set_data_page_row_count_limit(80)
        .set_write_batch_size(20)
        .build();
    let rows = rows();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties))
        .expect("a Parquet writer");
    writer.write(&rows).expect("rows in Parquet");
    writer.close().expect("a Parquet footer");
    bytes
}

/// The same rows as written by writers of several habits.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    use WriterVersion::{PARQUET_1_0, PARQUET_2_0};
    vec![
        written(Compression::UNCOMPRESSED, PARQUET_1_0),
        written(Compression::ZSTD(ZstdLevel::default()), PARQUET_1_0),
        written(Compression::SNAPPY, PARQUET_2_0),
        written(Compression::LZ4_RAW, PARQUET_1_0),
        written(Compression::GZIP(GzipLevel::default()), PARQUET_2_0),
        written(Compression::BROTLI(BrotliLevel::default()), PARQUET_1_0),
    ]
});

/// Runs over a source of that one file. Says whether it was delivered.
#[track_caller]
fn over(exchange: &Exchange, bytes: &[u8]) -> bool {
    fs::write(exchange.site.path(PART), bytes).expect("a source");
    match exchange.run() {
        Ok(report) if report.refusals.is_empty() => {
            assert_eq!(
                report.rows.expect("rows").read,
                u64::from(ROWS.unsigned_abs())
            );
            true
        }
        Ok(report) => {
            let refusal = &report.refusals[0];
            assert_eq!(refusal.code.to_string(), "schema", "{report:?}");
            assert!(refusal.reason.contains("part.parquet"), "{report:?}");
            false
        }
        Err(error) => {
            let file = PART.trim_end_matches(".parquet");
            assert!(error.to_string().contains(file), "{error}");
            assert_eq!(error.class(), "data", "{error}");
            false
        }
    }
}

/// Reads a source of that one file as a run would, and goes no further: cheaper than [`over`], which
/// some files are left to. Says whether all of it could be read.
#[track_caller]
fn read(exchange: &Exchange, bytes: &[u8]) -> bool {
    fs::write(exchange.site.path(PART), bytes).expect("a source");
    let checksum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    match exchange.read(Format::Parquet) {
        Ok(rows) => {
            assert_eq!(rows, u64::from(ROWS.unsigned_abs()));
            if checksum % 8 == 0 {
                over(exchange, bytes);
            }
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("part.parquet"), "{text}");
            assert_eq!(error.class(), ErrorClass::Data, "{text}");
            if checksum % 64 == 0 {
                assert!(!over(exchange, bytes));
            }
            false
        }
    }
}

#[test]
fn whole_files_are_delivered() {
    let exchange = exchange();
    for bytes in FILES.iter() {
        assert!(over(&exchange, bytes));
    }
}

#[test]
fn a_file_that_ends_anywhere_is_damaged() {
    let exchange = exchange();
    for (index, bytes) in FILES.iter().enumerate() {
        let step = bytes.len() / (40 * rounds()) + index;
        for length in (0..bytes.len())
            .step_by(step)
            .chain(bytes.len() - 12..bytes.len())
        {
            assert!(!read(&exchange, &bytes[..length]), "{length} bytes");
        }
    }
}

#[test]
fn a_file_with_a_bit_flipped_is_delivered_whole_or_damaged() {
    let exchange = exchange();
    let mut chance = Chance::new(2);
    for bytes in FILES.iter() {
        for _ in 0..60 * rounds() {
            let mut flipped = bytes.clone();
            flipped[chance.below(bytes.len())] ^= 1 << chance.below(8);
            read(&exchange, &flipped);
        }
    }
}

#[test]
fn a_file_with_pieces_changed_is_delivered_whole_or_damaged() {
    let exchange = exchange();
    let mut chance = Chance::new(3);
    for bytes in FILES.iter() {
        for _ in 0..25 * rounds() {
            // The length is kept, or the footer is where nobody looks for it.
            let mut changed = chance.mutate(bytes);
            let tail = bytes.len() - 8;
            changed.resize(tail, 0);
            changed.extend_from_slice(&bytes[tail..]);
            read(&exchange, &changed);
        }
    }
}

/// Bytes of the footer decide where everything is; each of them is tried.
#[test]
fn a_footer_with_a_byte_changed_is_delivered_whole_or_damaged() {
    let exchange = exchange();
    let mut chance = Chance::new(4);
    let bytes = &FILES[1];
    let footer = footer_start(bytes);
    let step = 10_usize.checked_div(rounds()).unwrap_or(1).max(1);
    for at in (footer..bytes.len()).step_by(step) {
        let mut changed = bytes.clone();
        changed[at] = changed[at].wrapping_add(chance.byte() | 1);
        read(&exchange, &changed);
    }
}

#[test]
fn what_is_no_parquet_is_damaged() {
    let exchange = exchange();
    let whole = &FILES[0];
    let framed = |length: u32| {
        let mut bytes = whole[..whole.len() - 8].to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(b"PAR1");
        bytes
    };
    let size = u32::try_from(whole.len()).expect("a small file");
    let footer = size - u32::try_from(footer_start(whole)).expect("a small file") - 8;
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("nothing".to_owned(), Vec::new()),
        ("one byte".to_owned(), vec![b'P']),
        ("only magic".to_owned(), b"PAR1".to_vec()),
        ("only magic, twice".to_owned(), b"PAR1PAR1".to_vec()),
        ("an empty footer".to_owned(), b"PAR1\0\0\0\0PAR1".to_vec()),
        ("zeros".to_owned(), vec![0; 4096]),
        ("text".to_owned(), b"person_id,name\n1,2\n".repeat(200)),
        (
            "a program".to_owned(),
            fs::read(crate::PROGRAM).expect("a program")[..100_000].to_vec(),
        ),
        ("random bytes".to_owned(), Chance::new(5).bytes(10_000)),
    ];
    for length in [
        0,
        1,
        footer - 1,
        footer + 1,
        size - 8,
        size,
        size * 2,
        1 << 31,
        u32::MAX,
    ] {
        cases.push((format!("a footer of {length}"), framed(length)));
    }
    let mut encrypted = whole.clone();
    let magic = encrypted.len() - 4;
    encrypted[magic..].copy_from_slice(b"PARE");
    cases.push(("an encrypted footer".to_owned(), encrypted));
    for (name, bytes) in &cases {
        println!("{name}");
        assert!(!over(&exchange, bytes), "{name}");
    }
    // The magic at the start is not needed to read a file; nothing is wrong with its rows.
    let mut headless = whole.clone();
    headless[..4].copy_from_slice(b"XXXX");
    over(&exchange, &headless);
}

fn footer_start(bytes: &[u8]) -> usize {
    let tail = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into().expect("four bytes"));
    tail - usize::try_from(length).expect("a small footer")
}

/// What a footer is made of, to be made of something else.
struct Parts {
    groups: Vec<(i64, Vec<ColumnChunkMetaData>)>,
}

/// The file with another footer.
fn forged(bytes: &[u8], change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&Bytes::from(bytes.to_vec()))
        .expect("a footer");
    let file = metadata.file_metadata();
    let groups = metadata.row_groups();
    let mut parts = Parts {
        groups: groups
            .iter()
            .map(|group| (group.num_rows(), group.columns().to_vec()))
            .collect(),
    };
    change(&mut parts);
    let groups = parts.groups.into_iter().map(|(rows, columns)| {
        RowGroupMetaData::builder(file.schema_descr_ptr())
            .set_num_rows(rows)
            .set_column_metadata(columns)
            .build()
            .expect("a row group")
    });
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        None,
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        None,
    );
    let metadata = ParquetMetaData::new(file, groups.collect());
    let mut out = bytes[..footer_start(bytes)].to_vec();
    ParquetMetaDataWriter::new(&mut out, &metadata)
        .finish()
        .expect("a footer");
    out
}

/// The file with another number of rows in its footer; that of its row groups stays. In Thrift's
/// compact form it stands before the list of three row groups, as a zigzag number.
fn with_file_rows(bytes: &[u8], rows: i64) -> Vec<u8> {
    let start = footer_start(bytes);
    let footer = &bytes[start..bytes.len() - 8];
    let groups = footer
        .windows(2)
        .position(|pair| pair == [0x19, 0x3c])
        .expect("row groups");
    let before = footer[..groups]
        .iter()
        .rposition(|&byte| byte == 0x16)
        .expect("a number");
    let mut changed = footer[..=before].to_vec();
    let zigzag = (rows << 1) ^ (rows >> 63);
    varint(&mut changed, u64::from_ne_bytes(zigzag.to_ne_bytes()));
    changed.extend_from_slice(&footer[groups..]);
    let mut whole = bytes[..start].to_vec();
    whole.extend_from_slice(&changed);
    let length = u32::try_from(changed.len()).expect("a small footer");
    whole.extend_from_slice(&length.to_le_bytes());
    whole.extend_from_slice(b"PAR1");
    whole
}

/// Seven bits a byte, the lowest first.
fn varint(bytes: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
}

fn with_column(
    column: &ColumnChunkMetaData,
    change: impl FnOnce(
        parquet::file::metadata::ColumnChunkMetaDataBuilder,
    ) -> parquet::file::metadata::ColumnChunkMetaDataBuilder,
) -> ColumnChunkMetaData {
    change(column.clone().into_builder())
        .build()
        .expect("a column")
}

#[test]
fn forged_row_counts_are_damage() {
    let exchange = exchange();
    let bytes = &FILES[1];
    assert!(over(&exchange, &forged(bytes, |_| ())));
    for rows in [0, 1, -1, 599, 601, i64::MAX, i64::MIN, 1 << 40] {
        assert!(
            !over(&exchange, &with_file_rows(bytes, rows)),
            "file of {rows}"
        );
    }
    for rows in [
        0,
        1,
        -1,
        199,
        201,
        1 << 20,
        1 << 40,
        i64::MAX - 400,
        i64::MIN,
    ] {
        let agreed = forged(bytes, |parts| parts.groups[1].0 = rows);
        assert!(
            !over(&exchange, &with_file_rows(&agreed, 600)),
            "group of {rows}"
        );
        fs::write(exchange.site.path(PART), &agreed).expect("a source");
        // Fewer rows than there are, and everyone agrees on it: nobody can tell.
        match exchange.run() {
            Ok(report) => {
                let read = report.rows.expect("rows").read;
                assert_eq!(i64::try_from(read).expect("few rows"), 400 + rows, "{rows}");
            }
            Err(error) => assert_eq!(error.class(), "data", "{rows}: {error}"),
        }
    }
    let huge = forged(bytes, |parts| parts.groups[1].0 = i64::MAX - 400);
    for copy in 0..3 {
        let copy = format!("lake/residents/part-{copy}.parquet");
        fs::write(exchange.site.path(&copy), &huge).expect("a source");
    }
    assert!(!over(&exchange, &huge), "more rows than can be counted");
    for copy in 0..3 {
        let copy = format!("lake/residents/part-{copy}.parquet");
        fs::remove_file(exchange.site.path(&copy)).expect("a source");
    }
    let doubled = forged(bytes, |parts| {
        let first = (parts.groups[0].0, parts.groups[0].1.clone());
        parts.groups[1] = first;
    });
    over(&exchange, &doubled);
}

#[test]
fn forged_columns_are_damage() {
    let exchange = exchange();
    let bytes = &FILES[1];
    let extremes = [0, 1, 3, -1, 1 << 20, 1 << 40, i64::MAX >> 8, i64::MIN >> 8];
    for value in extremes {
        for column in [0, 3] {
            let forge = |change: &dyn Fn(
                parquet::file::metadata::ColumnChunkMetaDataBuilder,
            )
                -> parquet::file::metadata::ColumnChunkMetaDataBuilder| {
                forged(bytes, |parts| {
                    let columns = &mut parts.groups[1].1;
                    columns[column] = with_column(&columns[column], change);
                })
            };
            over(
                &exchange,
                &forge(&|column| column.set_data_page_offset(value)),
            );
            over(
                &exchange,
                &forge(&|column| column.set_dictionary_page_offset(Some(value))),
            );
            over(
                &exchange,
                &forge(&|column| column.set_total_compressed_size(value)),
            );
            over(
                &exchange,
                &forge(&|column| column.set_total_uncompressed_size(value)),
            );
            read(&exchange, &forge(&|column| column.set_num_values(value)));
        }
    }
    let swapped = forged(bytes, |parts| parts.groups.swap(0, 1));
    read(&exchange, &swapped);
    let codec = forged(bytes, |parts| {
        let columns = &mut parts.groups[0].1;
        columns[0] = with_column(&columns[0], |column| {
            column.set_compression(Compression::SNAPPY)
        });
    });
    assert!(!over(&exchange, &codec));
    let borrowed = forged(bytes, |parts| {
        let (place, columns) = (parts.groups[0].1[2].clone(), &mut parts.groups[0].1);
        columns[0] = with_column(&columns[0], |column| {
            column
                .set_data_page_offset(place.data_page_offset())
                .set_dictionary_page_offset(place.dictionary_page_offset())
                .set_total_compressed_size(place.compressed_size())
        });
    });
    read(&exchange, &borrowed);
}

/// The first page headers of every column, each byte made extreme.
#[test]
fn a_page_header_with_a_byte_changed_is_delivered_whole_or_damaged() {
    let exchange = exchange();
    let mut turn = 0;
    for bytes in FILES.iter() {
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&Bytes::from(bytes.clone()))
            .expect("a footer");
        for column in metadata.row_group(1).columns() {
            let offsets = [
                column.dictionary_page_offset(),
                Some(column.data_page_offset()),
            ];
            for start in offsets.into_iter().flatten() {
                let start = usize::try_from(start).expect("a small file");
                for at in start..start + 24 {
                    for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                        turn += 1;
                        if turn % (20 / rounds().min(20)) != 0 {
                            continue;
                        }
                        let mut changed = bytes.clone();
                        changed[at] = byte;
                        read(&exchange, &changed);
                    }
                }
            }
        }
    }
}

/// The last column chunk begins with a page that says how large it is, unpacked and packed.
fn with_page_sizes(bytes: &[u8], unpacked: u32, packed: Option<u32>) -> Vec<u8> {
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&Bytes::from(bytes.to_vec()))
        .expect("a footer");
    let last = metadata.row_groups().last().expect("a row group");
    let (start, length) = last.columns().last().expect("a column").byte_range();
    let start = usize::try_from(start).expect("a small file");
    let end = start + usize::try_from(length).expect("a small file");
    // Thrift's compact form: field 1 (kind of page), 2 (unpacked size), 3 (packed size), each after
    // the byte 0x15, as a zigzag number of seven bits a byte.
    let page = &bytes[start..end];
    let number = |at: usize| {
        page[at..]
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .expect("an end")
            + 1
    };
    assert_eq!(page[0], 0x15);
    let kind = 1 + number(1);
    let second = kind + 1 + number(kind + 1);
    let third = second + 1 + number(second + 1);
    let mut changed = page[..kind].to_vec();
    let mut put = |value: u32| {
        changed.push(0x15);
        varint(&mut changed, u64::from(value) << 1);
    };
    put(unpacked);
    match packed {
        Some(packed) => put(packed),
        None => changed.extend_from_slice(&page[second..third]),
    }
    changed.extend_from_slice(&page[third..]);
    let longer = i64::try_from(changed.len()).expect("a small file")
        - i64::try_from(page.len()).expect("a small file");
    let mut whole = bytes[..start].to_vec();
    whole.extend_from_slice(&changed);
    whole.extend_from_slice(&bytes[end..]);
    let footer = forged(bytes, |parts| {
        let columns = &mut parts.groups.last_mut().expect("a row group").1;
        let last = columns.last_mut().expect("a column");
        *last = with_column(last, |column| {
            column.set_total_compressed_size(last.compressed_size() + longer)
        });
    });
    whole.truncate(start + changed.len());
    whole.extend_from_slice(&footer[footer_start(&footer)..]);
    whole
}

#[test]
fn a_page_that_says_it_is_huge_does_not_fill_memory() {
    let exchange = exchange();
    let source = exchange.site.path(PART);
    let huge = i32::MAX.unsigned_abs();
    for bytes in FILES.iter() {
        for (unpacked, packed) in [
            (huge, None),
            (17, None),
            (17, Some(huge)),
            (1 << 31, Some(0)),
        ] {
            read(&exchange, &with_page_sizes(bytes, unpacked, packed));
        }
        fs::write(&source, with_page_sizes(bytes, huge, None)).expect("a source");
        let mut command = exchange.site.command();
        command.args(["--site", "site", "run", GRANT]);
        let (finished, memory) = watched(&mut command);
        // A page that was not worth compressing is read whatever it says.
        let told = finished.code == 1 && finished.stderr.contains("part.parquet");
        assert!(finished.code == 0 || told, "{finished:?}");
        println!("exit {}, {} MiB", finished.code, memory >> 20);
        assert!(memory < MEMORY_MAX, "{memory}");
    }
}

/// What the program prints about damage, as it is shipped: the file and what to do, nothing of the
/// decoder's own panics, at any log level.
#[test]
fn damage_is_told_without_a_word_of_the_data() {
    let exchange = exchange();
    let source = exchange.site.path(PART);
    let mut chance = Chance::new(6);
    let whole = &FILES[0];
    for turn in 0..12 * rounds() {
        let mut bytes = whole.clone();
        for _ in 0..20 {
            let at = chance.below(footer_start(whole));
            bytes[at] = chance.byte();
        }
        fs::write(&source, bytes).expect("a source");
        let mut command = exchange.site.command();
        command
            .args(["--site", "site", "run", GRANT])
            .env("RUST_BACKTRACE", "1");
        command.env("LOCKGATE_LOG", if turn % 2 == 0 { "trace" } else { "warn" });
        let finished = super::survives(&mut command);
        let text = format!("{}{}", finished.stdout, finished.stderr);
        for secret in [IDENTITY, NAME] {
            assert!(!text.contains(secret), "{text}");
        }
        match finished.code {
            0 => {}
            1 => assert!(text.contains("part.parquet is damaged"), "{text}"),
            _ => panic!("{finished:?}"),
        }
    }
}

#[test]
fn one_damaged_file_of_many_fails_the_run_and_is_named() {
    let exchange = exchange();
    let folder = exchange.site.path("lake/residents");
    for file in 0..12 {
        fs::write(
            folder.join(format!("part-{file:02}.parquet")),
            &FILES[file % 6],
        )
        .expect("a source");
    }
    let whole = exchange.run().expect("a delivery");
    assert_eq!(whole.rows.expect("rows").delivered, 12 * 600);
    let mut damaged = FILES[1].clone();
    for byte in &mut damaged[4..2000] {
        *byte = 0xff;
    }
    fs::write(folder.join("part-07.parquet"), &damaged).expect("a source");
    let error = exchange.run().expect_err("damage");
    assert!(error.to_string().contains("part-07.parquet"), "{error}");
}
