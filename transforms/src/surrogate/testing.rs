//! Surrogates of small tables, for tests.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;

use crate::error::TreatmentError;
use crate::key::DerivedKey;
use crate::spec::{Column, Read, Row, RowField};
use crate::testing::spec;
use crate::treatment::{Context, Treated};

/// A field of a table: name, category, values.
pub(crate) type Field = (&'static str, &'static str, ArrayRef);

/// A field of text.
pub(crate) fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// The key of a grant, made of a master key of that byte.
pub(crate) fn key(master: u8) -> DerivedKey {
    DerivedKey::derive(&[master; 32], "pseudonym", "person.id", "grant:G-1", 1)
}

/// Treats the first field of a table; the treatment reads others by their names.
pub(crate) fn try_treat(
    text: &str,
    table: &[Field],
    key: &DerivedKey,
) -> Result<Treated, TreatmentError> {
    let spec = spec(text);
    let is_text = |array: &ArrayRef| {
        array.as_any_dictionary_opt().is_some()
            || matches!(array.data_type(), DataType::LargeUtf8 | DataType::Utf8View)
    };
    let plain = |array: &ArrayRef| match is_text(array) {
        true => DataType::Utf8,
        false => array.data_type().clone(),
    };
    let types: Vec<DataType> = table.iter().map(|(_, _, array)| plain(array)).collect();
    let fields: Vec<RowField<'_>> = table
        .iter()
        .zip(&types)
        .map(|((name, category, _), data_type)| RowField {
            name,
            data_type,
            category,
        })
        .collect();
    let (name, category, array) = &table[0];
    let column = Column {
        row: Row(&fields),
        ..Column::alone(name, &types[0], category)
    };
    let built = spec.build(column, Some(key)).unwrap();
    let inputs: Vec<ArrayRef> = spec
        .reads()
        .iter()
        .map(|read| {
            let (Read::Field(name) | Read::Entity(name)) = read else {
                panic!("surrogates read fields only");
            };
            let found = table.iter().find(|(own, _, _)| own == name);
            Arc::clone(&found.unwrap().2)
        })
        .collect();
    let context = Context {
        inputs: &inputs,
        chunk: None,
    };
    let treated = built.treat(array, &context)?;
    assert_eq!(treated.array.data_type(), built.output_type());
    assert_eq!(treated.array.len(), array.len());
    Ok(treated)
}

/// The same, where it succeeds, as an array.
pub(crate) fn treat(text: &str, table: &[Field]) -> ArrayRef {
    try_treat(text, table, &key(7)).unwrap().array
}

/// The same, as texts.
pub(crate) fn treat_texts(text: &str, table: &[Field]) -> Vec<Option<String>> {
    let array = treat(text, table);
    let texts = array.as_string::<i32>();
    texts.iter().map(|text| text.map(str::to_owned)).collect()
}

/// The surrogates of values that stand alone.
pub(crate) fn alone(text: &str, category: &'static str, values: &[&str]) -> Vec<Option<String>> {
    let values = texts(values.iter().map(|value| Some(*value)));
    treat_texts(text, &[("field", category, values)])
}

/// Valid resident numbers of different people.
pub(crate) fn resident_ids(count: u32) -> Vec<String> {
    (0..count)
        .map(|number| {
            let digits = format!(
                "{}{:04}{:02}{:02}{:03}",
                [110_105, 330_106, 441_900, 510_104]
                    .into_iter()
                    .cycle()
                    .nth(usize::try_from(number % 4).unwrap())
                    .unwrap(),
                1_940 + number % 70,
                1 + number % 12,
                1 + number % 28,
                number % 1_000
            );
            let check = crate::check_digit::resident_id::check(digits.as_bytes()).unwrap();
            format!("{digits}{}", char::from(check))
        })
        .collect()
}
