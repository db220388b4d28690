use std::collections::HashMap;
use std::sync::Mutex;

use arrow::array::{
    ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::encryption::encrypt::EncryptionPropertiesBuilder;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::seal::{Dek, Kek};

const DELIVERY: &str = "0123456789abcdef0123456789abcdef";
const ATTEMPT: &str = "00112233445566aa";
const FILE: &str = "part-00000.parquet";

fn binding() -> Binding {
    Binding::new(Suite::Aes256GcmSha256, DELIVERY, ATTEMPT, "civil-affairs").unwrap()
}

/// A context that also remembers what it wrapped, so that it opens what it sealed.
struct Sealer {
    context: SealContext,
}

/// Opens with the KEK of a sealer, by asking it for the unwrapped keys of its own key file.
#[derive(Debug)]
struct Opener(crate::seal::UnwrappedKek);

impl DekSource for Opener {
    fn dek(&self, wrapped: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError> {
        self.0.dek(wrapped, aad)
    }
}

impl Sealer {
    fn new() -> Self {
        Self {
            context: SealContext::new(binding(), Kek::draw().unwrap()).unwrap(),
        }
    }

    fn opener(&self) -> Arc<dyn DekSource> {
        let directory = tempfile::tempdir().unwrap();
        let pair = crate::keyring::write_pair(
            directory.path(),
            "recipient",
            crate::keyring::PairKind::Recipient,
        )
        .unwrap();
        let key = crate::keyring::read_private(&pair.private).unwrap();
        let file = self.context.key_file(&[pair.key]).unwrap();
        Arc::new(Opener(file.unwrap(&key).unwrap()))
    }

    fn seal(&self, file_name: &str, rows: i64) -> Bytes {
        let paths = ["name", "amount", "at", "tags.list.element"];
        let leaves: Vec<Leaf<'_>> = paths
            .iter()
            .map(|path| Leaf {
                path,
                has_own_key: *path == "amount",
            })
            .collect();
        let properties = encryption_properties(&self.context, file_name, &leaves).unwrap();
        write(Some(properties), rows)
    }
}

fn batch(rows: i64) -> RecordBatch {
    let names = StringArray::from_iter((0..rows).map(|row| match row % 7 {
        0 => None,
        _ => Some(format!("欧阳娜娜-{row}")),
    }));
    let amounts = Int64Array::from_iter_values((0..rows).map(|row| row * 1_000_003));
    let times = TimestampMillisecondArray::from_iter_values(0..rows);
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>(
        (0..rows).map(|row| Some(vec![Some(row), None])),
    );
    let columns: [(&str, ArrayRef); 4] = [
        ("name", Arc::new(names)),
        ("amount", Arc::new(amounts)),
        ("at", Arc::new(times)),
        ("tags", Arc::new(tags)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Two row groups of several pages.
fn write(encryption: Option<Arc<FileEncryptionProperties>>, rows: i64) -> Bytes {
    let half = usize::try_from(rows / 2).unwrap().max(1);
    let properties = WriterProperties::builder()
        .set_coerce_types(true)
        .set_data_page_row_count_limit(64)
        .set_write_batch_size(64)
        .set_max_row_group_row_count(Some(half));
    let properties = match encryption {
        Some(encryption) => properties.with_file_encryption_properties(encryption),
        None => properties,
    };
    let batch = batch(rows);
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    Bytes::from(writer.into_inner().unwrap())
}

fn open(
    bytes: &Bytes,
    source: &Arc<dyn DekSource>,
    file_name: &str,
) -> Result<Vec<RecordBatch>, ConnectorError> {
    let properties = decryption_properties(Arc::clone(source), &binding(), file_name)?;
    let reader = SealedReader::open(bytes.clone(), &properties, file_name)?;
    let groups = 0..reader.group_rows().len();
    groups
        .map(|group| reader.read_group(group))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect()
}

fn joined(batches: &[RecordBatch]) -> RecordBatch {
    let batch = arrow::compute::concat_batches(batches[0].schema_ref(), batches).unwrap();
    // Field names of list items are the file's own.
    let columns = batch.columns().iter().zip(batch.schema_ref().fields());
    let columns = columns.map(|(column, field)| (field.name().clone(), Arc::clone(column)));
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn what_was_sealed_opens_to_the_same_rows() {
    let sealer = Sealer::new();
    let sealed = sealer.seal(FILE, 1000);
    let opened = joined(&open(&sealed, &sealer.opener(), FILE).unwrap());
    let plain = batch(1000);
    for column in ["name", "amount", "at"] {
        assert_eq!(
            opened.column_by_name(column).unwrap(),
            plain.column_by_name(column).unwrap(),
            "{column}"
        );
    }
    assert_eq!(opened.num_rows(), 1000);
}

#[test]
fn the_plain_copy_has_the_same_rows_in_the_same_groups() {
    let sealer = Sealer::new();
    let sealed = sealer.seal(FILE, 1000);
    let properties = decryption_properties(sealer.opener(), &binding(), FILE).unwrap();
    let reader = SealedReader::open(sealed, &properties, FILE).unwrap();
    let plain = Bytes::from(reader.write_plain(Vec::new()).unwrap());
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&plain)
        .unwrap();
    let rows: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(rows, [500, 500]);
    let read = ParquetRecordBatchReaderBuilder::try_new(plain)
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = read.map(Result::unwrap).collect();
    assert_eq!(
        joined(&batches).column_by_name("name").unwrap(),
        batch(1000).column_by_name("name").unwrap()
    );
}

#[test]
fn no_value_name_or_statistic_stands_in_a_sealed_file_and_all_do_in_a_plain_one() {
    let find = |bytes: &Bytes, needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
    let sealed = Sealer::new().seal(FILE, 200);
    let plain = write(None, 200);
    for needle in ["欧阳娜娜-199".as_bytes(), b"amount", b"list"] {
        assert!(find(&plain, needle));
        assert!(!find(&sealed, needle));
    }
    let least = 1_000_003_i64.to_le_bytes();
    assert!(find(&plain, &least) && !find(&sealed, &least));
}

#[test]
fn a_plain_file_is_refused_whatever_keys_there_are() {
    let error = open(&write(None, 10), &Sealer::new().opener(), FILE).unwrap_err();
    assert!(error.to_string().contains("not sealed"), "{error}");
}

#[test]
fn a_file_opens_as_itself_and_as_no_other() {
    let sealer = Sealer::new();
    let sealed = sealer.seal(FILE, 50);
    let opener = sealer.opener();
    open(&sealed, &opener, FILE).unwrap();
    assert!(open(&sealed, &opener, "part-00001.parquet").is_err());
    assert!(open(&sealed, &Sealer::new().opener(), FILE).is_err());
    for (delivery, attempt, recipient) in [
        ("1123456789abcdef0123456789abcdef", ATTEMPT, "civil-affairs"),
        (DELIVERY, "10112233445566aa", "civil-affairs"),
        (DELIVERY, ATTEMPT, "statistics"),
    ] {
        let other = Binding::new(Suite::Aes256GcmSha256, delivery, attempt, recipient).unwrap();
        let properties = decryption_properties(Arc::clone(&opener), &other, FILE).unwrap();
        assert!(SealedReader::open(sealed.clone(), &properties, FILE).is_err());
    }
}

#[test]
fn the_prefix_counts_that_the_reader_supplies_and_not_the_one_in_the_file() {
    let sealer = Sealer::new();
    let footer = Dek::draw().unwrap();
    let material = |place| {
        KeyMaterial {
            used_for: KeyUse::Footer,
            wrapped: sealer.context.wrap(&footer, FILE, DekUse::Footer).unwrap(),
        }
        .to_bytes(place, &binding().kek_id())
        .unwrap()
    };
    let seal = |prefix: Option<&str>| {
        let mut properties = EncryptionPropertiesBuilder::new(footer.expose().to_vec())
            .with_footer_key_metadata(material(Place::Footer));
        if let Some(prefix) = prefix {
            properties = properties
                .with_aad_prefix(prefix.as_bytes().to_vec())
                .with_aad_prefix_storage(true);
        }
        write(Some(properties.build().unwrap()), 10)
    };
    let own = aad_prefix(&binding(), FILE);
    open(&seal(Some(&own)), &sealer.opener(), FILE).unwrap();
    for wrong in [None, Some("lockgate/other"), Some("")] {
        assert!(
            open(&seal(wrong), &sealer.opener(), FILE).is_err(),
            "{wrong:?}"
        );
    }
}

#[test]
fn every_flipped_byte_of_a_small_file_is_noticed() {
    let sealer = Sealer::new();
    let sealed = sealer.seal(FILE, 6);
    let opener = sealer.opener();
    let rows = joined(&open(&sealed, &opener, FILE).unwrap());
    // The crate reads offset indexes only when asked, and pages without them; all else is read.
    let unread = unread(&sealed, &opener);
    for position in 0..sealed.len() {
        let mut altered = sealed.to_vec();
        altered[position] ^= 1;
        match open(&Bytes::from(altered), &opener, FILE) {
            Err(_) => {}
            Ok(batches) => {
                assert!(
                    unread.iter().any(|range| range.contains(&position)),
                    "byte {position} of {} is free",
                    sealed.len()
                );
                assert_eq!(joined(&batches), rows);
            }
        }
    }
}

/// What of a file is read neither to open it nor to read its rows: page indexes, and what stands where
/// a key service would be named.
fn unread(sealed: &Bytes, opener: &Arc<dyn DekSource>) -> Vec<std::ops::Range<usize>> {
    let properties = decryption_properties(Arc::clone(opener), &binding(), FILE).unwrap();
    let reader = SealedReader::open(sealed.clone(), &properties, FILE).unwrap();
    let range = |offset: Option<i64>, length: Option<i32>| {
        let start = usize::try_from(offset?).unwrap();
        Some(start..start + usize::try_from(length?).unwrap())
    };
    let mut unread = Vec::new();
    for group in reader.metadata.metadata().row_groups() {
        for column in group.columns() {
            unread.extend(range(
                column.column_index_offset(),
                column.column_index_length(),
            ));
            unread.extend(range(
                column.offset_index_offset(),
                column.offset_index_length(),
            ));
        }
    }
    let service = b"\"kmsInstanceID\":\"DEFAULT\",\"kmsInstanceURL\":\"DEFAULT\"";
    let start = sealed
        .windows(service.len())
        .position(|window| window == service)
        .unwrap();
    // Of the key service, only the names of its members are held to.
    unread.push(start + 17..start + 24);
    unread.push(start + 44..start + 51);
    unread
}

/// Where the column chunks of a file stand, row group by row group.
fn chunks(sealed: &Bytes, opener: &Arc<dyn DekSource>, file: &str) -> Vec<std::ops::Range<usize>> {
    let properties = decryption_properties(Arc::clone(opener), &binding(), file).unwrap();
    let reader = SealedReader::open(sealed.clone(), &properties, file).unwrap();
    let groups = reader.metadata.metadata().row_groups().to_vec();
    groups
        .iter()
        .flat_map(|group| group.columns())
        .map(|column| {
            let (start, length) = column.byte_range();
            let start = usize::try_from(start).unwrap();
            start..start + usize::try_from(length).unwrap()
        })
        .collect()
}

/// The file with that place filled by what stands at a place of another file, or of its own.
fn with(into: &Bytes, to: &std::ops::Range<usize>, from: &[u8]) -> Bytes {
    assert_eq!(to.len(), from.len(), "chunks of one length");
    let mut changed = into.to_vec();
    changed[to.clone()].copy_from_slice(from);
    Bytes::from(changed)
}

#[test]
fn row_groups_and_columns_do_not_change_places() {
    let sealer = Sealer::new();
    let (sealed, other) = (sealer.seal(FILE, 200), sealer.seal(FILE, 200));
    let opener = sealer.opener();
    let ranges = chunks(&sealed, &opener, FILE);
    // The same column of two row groups.
    let (first, second) = (&ranges[1], &ranges[5]);
    let swapped = with(&sealed, first, &sealed[second.clone()]);
    let swapped = with(&swapped, second, &sealed[first.clone()]);
    assert!(open(&swapped, &opener, FILE).is_err());
    // The same column of another file, sealed for the same place under keys of its own.
    assert_eq!(&chunks(&other, &opener, FILE)[1], first);
    let exchanged = with(&sealed, first, &other[first.clone()]);
    assert!(open(&exchanged, &opener, FILE).is_err());
}

/// A file of two columns of like values in two row groups, every module of it under one key.
fn under_one_key(sealer: &Sealer, key: &Dek, file_name: &str) -> Bytes {
    let material = KeyMaterial {
        used_for: KeyUse::Footer,
        wrapped: sealer.context.wrap(key, file_name, DekUse::Footer).unwrap(),
    };
    let material = material.to_bytes(Place::Footer, &binding().kek_id());
    let properties = EncryptionPropertiesBuilder::new(key.expose().to_vec())
        .with_footer_key_metadata(material.unwrap())
        .with_aad_prefix(aad_prefix(&binding(), file_name).into_bytes())
        .with_aad_prefix_storage(true);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .with_file_encryption_properties(properties.build().unwrap())
        .build();
    let like = |step: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..200).map(|row| row * step)))
    };
    let batch = RecordBatch::try_from_iter([("a", like(1_000_003)), ("b", like(1_000_033))]);
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    Bytes::from(writer.into_inner().unwrap())
}

/// Here no key tells chunks apart: only what each module is bound to.
#[test]
fn chunks_of_one_key_do_not_change_places_columns_or_files() {
    let sealer = Sealer::new();
    let opener = sealer.opener();
    let key = Dek::draw().unwrap();
    let sealed = under_one_key(&sealer, &key, FILE);
    let again = under_one_key(&sealer, &key, FILE);
    let named = under_one_key(&sealer, &key, "part-00001.parquet");
    // Column a and b of the first row group, then of the second.
    let ranges = chunks(&sealed, &opener, FILE);
    assert_eq!(ranges.len(), 4);
    assert_eq!(chunks(&again, &opener, FILE), ranges);
    // The prefix, which names the file, stands at its end only.
    assert_eq!(chunks(&named, &opener, "part-00001.parquet"), ranges);
    let place = &ranges[0];
    let own = sealed[place.clone()].to_vec();
    open(&with(&sealed, place, &own), &opener, FILE).unwrap();
    for (what, from) in [
        ("another column", sealed[ranges[1].clone()].to_vec()),
        ("another row group", sealed[ranges[2].clone()].to_vec()),
        ("another writing of the file", again[place.clone()].to_vec()),
        ("another file", named[place.clone()].to_vec()),
    ] {
        let exchanged = with(&sealed, place, &from);
        assert!(open(&exchanged, &opener, FILE).is_err(), "{what}");
    }
}

/// Where the modules of column chunks stand: each begins with its length.
fn modules(sealed: &Bytes, chunks: &[std::ops::Range<usize>]) -> Vec<usize> {
    let mut modules = Vec::new();
    for chunk in chunks {
        let mut at = chunk.start;
        while at < chunk.end {
            modules.push(at);
            at += 4 + usize::try_from(length_at(sealed, at)).unwrap();
        }
        assert_eq!(at, chunk.end, "modules fill their chunk");
    }
    modules
}

fn length_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What memory such lengths cost is measured from outside, in the acceptance tests of hostile files.
#[test]
fn a_module_of_any_impossible_length_is_an_error_and_no_panic() {
    let sealer = Sealer::new();
    let sealed = sealer.seal(FILE, 50);
    let opener = sealer.opener();
    let refused = |at: usize, length: u32| {
        let mut altered = sealed.to_vec();
        altered[at..at + 4].copy_from_slice(&length.to_le_bytes());
        assert!(
            open(&Bytes::from(altered), &opener, FILE).is_err(),
            "{length} at {at}"
        );
    };
    let ranges = chunks(&sealed, &opener, FILE);
    let tail = sealed.len() - 8;
    let footer = tail - usize::try_from(length_at(&sealed, tail)).unwrap();
    for length in (0..=28).chain([29, 1 << 20, u32::MAX - 3, u32::MAX]) {
        for at in [ranges[0].start, footer, tail] {
            refused(at, length);
        }
    }
    // Every module, of every page of every column, with a few of those.
    let modules = modules(&sealed, &ranges);
    assert!(modules.len() >= 2 * ranges.len(), "{modules:?}");
    for at in modules {
        let own = length_at(&sealed, at);
        for length in [0, 11, 12, 27, own - 1, own + 1, 1 << 31, u32::MAX] {
            refused(at, length);
        }
    }
    for end in [0, 4, 7, 8, 11, 12, sealed.len() / 2, sealed.len() - 1] {
        assert!(open(&sealed.slice(..end), &opener, FILE).is_err(), "{end}");
    }
}

/// What a page is bound to has 15 bits for its number: a chunk of more pages is not written, where
/// numbers could begin again.
#[test]
fn a_chunk_has_no_more_pages_than_their_numbers_tell_apart() {
    let sealer = Sealer::new();
    let leaf = Leaf {
        path: "a",
        has_own_key: true,
    };
    let written = |rows: i64| -> Result<Vec<u8>, ParquetError> {
        let keys = encryption_properties(&sealer.context, FILE, &[leaf]).unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_row_count_limit(1)
            .set_write_batch_size(1)
            .with_file_encryption_properties(keys)
            .build();
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch)?;
        writer.into_inner()
    };
    let full = Bytes::from(written(1 << 15).unwrap());
    let opener = sealer.opener();
    let ranges = chunks(&full, &opener, FILE);
    assert_eq!(modules(&full, &ranges).len(), 2 << 15, "a page a row");
    assert_eq!(
        joined(&open(&full, &opener, FILE).unwrap()).num_rows(),
        1 << 15
    );
    let error = written((1 << 15) + 1).unwrap_err();
    assert!(error.to_string().contains("pages"), "{error}");
}

#[test]
fn key_metadata_of_footer_and_columns_does_not_change_places() {
    let sealer = Sealer::new();
    let key = Dek::draw().unwrap();
    let wrapped = |dek_use: DekUse<'_>| sealer.context.wrap(&key, FILE, dek_use).unwrap();
    let kek = binding().kek_id();
    let bytes = |used_for: KeyUse, place| {
        let wrapped = wrapped(used_for.as_dek_use());
        KeyMaterial { used_for, wrapped }
            .to_bytes(place, &kek)
            .unwrap()
    };
    let retriever = || Retriever {
        source: sealer.opener(),
        binding: binding(),
        file_name: FILE.to_owned(),
        footer: OnceLock::new(),
    };
    let footer = bytes(KeyUse::Footer, Place::Footer);
    let column = bytes(KeyUse::Column("name".to_owned()), Place::Column);
    let fine = retriever();
    assert_eq!(fine.retrieve_key(&footer).unwrap(), key.expose());
    assert_eq!(fine.retrieve_key(&column).unwrap(), key.expose());
    // A column's where the footer's is, and the other way round.
    assert!(retriever().retrieve_key(&column).is_err());
    let other = bytes(KeyUse::Footer, Place::Footer);
    let exchanged = retriever();
    exchanged.retrieve_key(&footer).unwrap();
    assert!(exchanged.retrieve_key(&other).is_err());
    // A wrapped key that is said to be of another use than it was wrapped for.
    let lie = KeyMaterial {
        used_for: KeyUse::Column("name".to_owned()),
        wrapped: wrapped(DekUse::Column("amount")),
    };
    let lie = lie.to_bytes(Place::Column, &kek).unwrap();
    assert!(fine.retrieve_key(&lie).is_err());
}

#[test]
fn every_leaf_has_a_key_and_columns_apart_do_not_share_it() {
    let sealer = Sealer::new();
    let leaves = [
        Leaf {
            path: "a",
            has_own_key: true,
        },
        Leaf {
            path: "b",
            has_own_key: false,
        },
    ];
    let properties = encryption_properties(&sealer.context, FILE, &leaves).unwrap();
    let (names, keys, metadata) = properties.column_keys();
    assert_eq!(metadata.len(), 2);
    let keys: HashMap<String, Vec<u8>> = names.into_iter().zip(keys).collect();
    assert_eq!(keys["b"], *properties.footer_key());
    assert_ne!(keys["a"], keys["b"]);
    assert!(properties.encrypt_footer());
    let again = encryption_properties(&sealer.context, FILE, &leaves).unwrap();
    assert_ne!(properties.footer_key(), again.footer_key());
    assert!(encryption_properties(&sealer.context, FILE, &[]).is_err());
}

#[test]
fn a_suite_that_parquet_lacks_is_refused() {
    let binding = Binding::new(Suite::Sm4GcmSm3, DELIVERY, ATTEMPT, "civil-affairs").unwrap();
    let context = SealContext::new(binding.clone(), Kek::draw().unwrap()).unwrap();
    let leaf = Leaf {
        path: "a",
        has_own_key: false,
    };
    let error = encryption_properties(&context, FILE, &[leaf]).unwrap_err();
    assert!(error.to_string().contains("SM4GCM-SM3"), "{error}");
    let source = Sealer::new().opener();
    assert!(decryption_properties(source, &binding, FILE).is_err());
}

/// A source that keeps what it was asked, to see that nothing else is.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Vec<u8>>>);

impl DekSource for Recorder {
    fn dek(&self, _: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError> {
        self.0.lock().unwrap().push(aad.to_vec());
        Err(SealError::WrappedKey.into())
    }
}

#[test]
fn keys_are_asked_for_with_what_they_are_bound_to() {
    let sealed = Sealer::new().seal(FILE, 10);
    let recorder = Arc::new(Recorder::default());
    let source: Arc<dyn DekSource> = Arc::<Recorder>::clone(&recorder);
    let error = open(&sealed, &source, FILE).unwrap_err();
    assert!(error.to_string().contains("wrapped key"), "{error}");
    let asked = recorder.0.lock().unwrap();
    assert_eq!(*asked, [binding().wrap_aad(FILE, DekUse::Footer)]);
}
