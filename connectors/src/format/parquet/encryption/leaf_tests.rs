//! Which keys the leaves of a sealed file have.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::column_crypto_metadata::ColumnCryptoMetaData;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::keyring::{PairKind, read_private, write_pair};
use crate::seal::Kek;

const FILE: &str = "part-00000.parquet";

fn context() -> SealContext {
    let (delivery, attempt) = ("0".repeat(32), "1".repeat(16));
    let binding = Binding::new(Suite::default(), &delivery, &attempt, "civil-affairs").unwrap();
    SealContext::new(binding, Kek::draw().unwrap()).unwrap()
}

/// A file of two columns in two row groups, of which those named have keys of their own, opened.
fn opened(keyed: &[&str]) -> SealedReader<Bytes> {
    let context = context();
    let leaves = ["a", "b"].map(|path| Leaf {
        path,
        has_own_key: keyed.contains(&path),
    });
    let keys = encryption_properties(&context, FILE, &leaves).unwrap();
    assert_eq!(keys.column_keys().0.is_empty(), keyed.is_empty());
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .with_file_encryption_properties(keys)
        .build();
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200));
    let batch = RecordBatch::try_from_iter([("a", Arc::clone(&column)), ("b", column)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let sealed = Bytes::from(writer.into_inner().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let pair = write_pair(directory.path(), "r", PairKind::Recipient).unwrap();
    let key_file = context.key_file(&[pair.key]).unwrap();
    let keys = key_file.unwrap(&read_private(&pair.private).unwrap());
    let properties = decryption_properties(Arc::new(keys.unwrap()), context.binding(), FILE);
    let reader = SealedReader::open(sealed, &properties.unwrap(), FILE).unwrap();
    let rows = (0..2).flat_map(|group| reader.read_group(group).unwrap());
    assert_eq!(
        rows.map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
        200
    );
    reader
}

/// How each column chunk of a file is encrypted: `None` if it isn't, else whether a key was named.
fn named(reader: &SealedReader<Bytes>) -> Vec<Option<bool>> {
    let groups = reader.metadata.metadata().row_groups().iter();
    let columns = groups.flat_map(|group| group.columns());
    columns
        .map(|column| {
            let metadata = column.crypto_metadata()?;
            Some(matches!(
                metadata,
                ColumnCryptoMetaData::ENCRYPTION_WITH_COLUMN_KEY(_)
            ))
        })
        .collect()
}

#[test]
fn a_file_without_columns_apart_names_its_key_once() {
    assert_eq!(named(&opened(&[])), [Some(false); 4]);
    // Else the crate would leave unnamed columns plain.
    assert_eq!(named(&opened(&["b"])), [Some(true); 4]);
}

#[test]
fn a_key_of_its_own_is_not_lost_to_a_column_of_the_same_path() {
    let leaf = |has_own_key| Leaf {
        path: "a.b",
        has_own_key,
    };
    for leaves in [[leaf(true), leaf(false)], [leaf(true), leaf(true)]] {
        let error = encryption_properties(&context(), FILE, &leaves).unwrap_err();
        assert!(error.to_string().contains("`a.b`"), "{error}");
    }
    let shared = [leaf(false), leaf(false)];
    encryption_properties(&context(), FILE, &shared).unwrap();
}
