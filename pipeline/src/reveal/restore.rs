//! Turning delivered values of one field back, by what treated them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lockgate_transforms::treatments::AnyTreatment;
use lockgate_transforms::treatments::encrypt_rand::Opener;
use lockgate_transforms::{Column, Context, DerivedKey, Misfit, Treatment, TreatmentSpec};

use super::line::Line;
use crate::error::RunError;

/// How values are written.
const FORMAT: FormatOptions<'_> = FormatOptions::new();

/// Whether a wrong key shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authentic {
    /// A value that another key made doesn't open.
    Yes,
    /// Any key gives some value of the right form.
    No,
}

/// Whether a field's treatment can be turned back, and whether a wrong key shows; absent where it
/// can't.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other treatment takes something away, or keeps it in a vault"
)]
pub(super) fn kind_of(spec: &TreatmentSpec) -> Option<Authentic> {
    match spec.treatment() {
        AnyTreatment::EncryptRand(_) | AnyTreatment::EncryptDet(_) => Some(Authentic::Yes),
        // A tag took digits that were the value's.
        AnyTreatment::StructuredId(id) => id.tag.is_none().then_some(Authentic::No),
        AnyTreatment::Fpe(_) | AnyTreatment::PermuteInt(_) => Some(Authentic::No),
        _ => None,
    }
}

/// The originals of delivered values, under one key; absent where a value isn't one of that key, doesn't
/// stand beside the row that it is bound to, or isn't of the attempt that is asked for.
///
/// # Errors
/// A treatment that can't be turned back, or doesn't fit the field.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other treatment takes something away, or keeps it in a vault"
)]
pub(super) fn restore(
    spec: &TreatmentSpec,
    column: Column<'_>,
    key: &DerivedKey,
    values: &[String],
    attempt: Option<[u8; 16]>,
) -> Result<Vec<Option<String>>, RunError> {
    let misfit = |misfit: Misfit| RunError::Invalid {
        what: misfit.to_string(),
        at: format!("field {}", column.name),
        remedy: misfit.hint.unwrap_or_default(),
    };
    let options = spec.options();
    let treatment = match spec.treatment() {
        AnyTreatment::EncryptRand(treatment) => {
            let opener = treatment.opener(column.name, key);
            let mut opener = match attempt {
                Some(attempt) => opener.of_attempt(attempt),
                None => opener,
            };
            let bound = treatment.bound_to().len();
            let opened = values.iter().map(|value| {
                let line = Line::read(value, bound)?;
                open_line(&mut opener, &line, column.data_type)
            });
            return Ok(opened.collect());
        }
        AnyTreatment::EncryptDet(treatment) => {
            let opener = treatment.opener(key);
            return Ok(values.iter().map(|value| opener.open(value).ok()).collect());
        }
        AnyTreatment::Fpe(fpe) => fpe.restore(column, options, Some(key)),
        AnyTreatment::PermuteInt(permutation) => permutation.restore(column, options, Some(key)),
        AnyTreatment::StructuredId(id) => id.restore(column, options, Some(key)),
        _ => {
            return Err(RunError::Denied {
                what: format!("values of field `{}` can't be turned back", column.name),
                remedy: "its treatment takes something away, or is made of several".to_owned(),
            });
        }
    };
    let treatment = treatment.map_err(misfit)?;
    values
        .iter()
        .map(|value| restore_by(treatment.as_ref(), column.data_type, value))
        .collect()
}

/// One cell, beside its row where the line holds that.
fn open_line(opener: &mut Opener, line: &Line, data_type: &DataType) -> Option<String> {
    let cell: ArrayRef = Arc::new(StringArray::from(vec![as_base64url(&line.value)?]));
    let row: Vec<ArrayRef> = line
        .row
        .iter()
        .map(|text| -> ArrayRef { Arc::new(StringArray::from(vec![text.as_deref()])) })
        .collect();
    let opened = match row.is_empty() {
        true => opener.open_column(&cell, data_type),
        false => opener.open_beside(&cell, &row, data_type),
    };
    text_of(&opened.ok()?, 0)
}

/// One value by a treatment that goes the other way.
fn restore_by(
    treatment: &dyn Treatment,
    data_type: &DataType,
    value: &str,
) -> Result<Option<String>, RunError> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    // Arrow's own error holds the value.
    let Ok(typed) = cast_with_options(&text, data_type, &strict) else {
        return Ok(None);
    };
    let context = Context {
        inputs: &[],
        chunk: None,
    };
    let restored = treatment.treat(&typed, &context);
    let Ok(restored) = restored else {
        return Ok(None);
    };
    let is_rejected = restored
        .rejected
        .as_ref()
        .is_some_and(|rejected| rejected.count_set_bits() > 0);
    let fits = restored.tally().invalid == 0 && !is_rejected;
    Ok(text_of(&restored.array, 0).filter(|_| fits))
}

fn text_of(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let formatter = ArrayFormatter::try_new(column.as_ref(), &FORMAT).ok()?;
    formatter.value(row).try_to_string().ok()
}

/// A cell as it is opened: binary ones are given in standard base64.
fn as_base64url(value: &str) -> Option<String> {
    if URL_SAFE_NO_PAD.decode(value).is_ok() {
        return Some(value.to_owned());
    }
    STANDARD
        .decode(value)
        .ok()
        .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use lockgate_transforms::{ChunkId, Keys, Row, RowField};

    use super::*;

    fn key() -> DerivedKey {
        DerivedKey::derive(&[7; 32], "fpe", "d", "grant:G-1", 1)
    }

    fn spec(text: &str) -> TreatmentSpec {
        toml::from_str::<std::collections::BTreeMap<String, TreatmentSpec>>(&format!("t = {text}"))
            .unwrap()
            .remove("t")
            .unwrap()
    }

    #[test]
    fn only_what_a_key_turns_back_is_reversible() {
        for (text, kind) in [
            (
                "{ kind = 'encrypt-rand', domain = 'd' }",
                Some(Authentic::Yes),
            ),
            (
                "{ kind = 'encrypt-det', domain = 'd' }",
                Some(Authentic::Yes),
            ),
            ("{ kind = 'fpe', domain = 'd' }", Some(Authentic::No)),
            (
                "{ kind = 'structured-id', of = 'mobile', domain = 'd' }",
                Some(Authentic::No),
            ),
            (
                "{ kind = 'structured-id', of = 'mobile', domain = 'd', tag = 2 }",
                None,
            ),
            ("{ kind = 'hmac', domain = 'd' }", None),
            ("{ kind = 'clear' }", None),
        ] {
            assert_eq!(kind_of(&spec(text)), kind, "{text}");
        }
    }

    #[test]
    fn what_was_encrypted_is_restored_under_its_key_alone() {
        for (text, original) in [
            ("{ kind = 'fpe', domain = 'd' }", "12345678"),
            ("{ kind = 'encrypt-det', domain = 'd' }", "张三 12"),
        ] {
            let spec = spec(text);
            let column = Column::alone("account", &DataType::Utf8, "other");
            let key = key();
            let uses: Vec<_> = spec
                .key_uses()
                .into_iter()
                .map(|used| (used, &key))
                .collect();
            let treatment = spec.build_with(column, Keys::new(&uses)).unwrap();
            let values: ArrayRef = Arc::new(StringArray::from(vec![original]));
            let context = Context {
                inputs: &[],
                chunk: None,
            };
            let treated = treatment.treat(&values, &context).unwrap();
            let delivered = text_of(&treated.array, 0).unwrap();
            assert_ne!(delivered, original);
            let values = [delivered];
            let restored = restore(&spec, column, &key, &values, None).unwrap();
            assert_eq!(restored, [Some(original.to_owned())], "{text}");
            let other = DerivedKey::derive(&[8; 32], "fpe", "d", "grant:G-1", 1);
            let restored = restore(&spec, column, &other, &values, None).unwrap();
            assert_ne!(restored, [Some(original.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_value_of_another_form_restores_to_nothing() {
        let column = Column::alone("contact", &DataType::Utf8, "other");
        for text in [
            "{ kind = 'encrypt-rand', domain = 'd' }",
            "{ kind = 'encrypt-det', domain = 'd' }",
        ] {
            let values = ["no cell".to_owned()];
            let restored = restore(&spec(text), column, &key(), &values, None);
            assert_eq!(restored.unwrap(), [None], "{text}");
        }
    }

    /// One cell of the value `value`, in base64, beside that text in its row; unbound where `spec` is.
    fn cell(spec: &TreatmentSpec, beside: Option<&str>, attempt: u8) -> String {
        let known = [RowField {
            name: "id",
            data_type: &DataType::Utf8,
            category: "other",
        }];
        let column = Column {
            row: Row(&known),
            ..Column::alone("contact", &DataType::Utf8, "other")
        };
        let inputs: [ArrayRef; 1] = [Arc::new(StringArray::from(vec![beside]))];
        let context = Context {
            inputs: &inputs,
            chunk: Some(ChunkId {
                attempt: [attempt; 16],
                split: 0,
                chunk: 0,
            }),
        };
        let treatment = spec.build(column, Some(&key())).unwrap();
        let values: ArrayRef = Arc::new(StringArray::from(vec!["value"]));
        let treated = treatment.treat(&values, &context).unwrap();
        STANDARD.encode(treated.array.as_binary::<i32>().value(0))
    }

    #[test]
    fn a_bound_value_is_restored_beside_its_row_alone() {
        let column = Column::alone("contact", &DataType::Utf8, "other");
        let bound = spec("{ kind = 'encrypt-rand', domain = 'd', beside = ['id'] }");
        let unbound = spec("{ kind = 'encrypt-rand', domain = 'd' }");
        let restored = |line: String, attempt| {
            let restored = restore(&bound, column, &key(), &[line], attempt).unwrap();
            assert!(restored[0].as_deref().is_none_or(|text| text == "value"));
            restored[0].is_some()
        };
        let (named, null) = (cell(&bound, Some("P1"), 5), cell(&bound, None, 5));
        assert!(restored(format!("{named},P1"), None));
        assert!(restored(format!("{named},\"P1\""), None));
        assert!(restored(format!("{null},"), None));
        for line in [
            format!("{named},P2"),
            format!("{named},"),
            format!("{named}, P1"),
            format!("{named},P1,P1"),
            named.clone(),
            format!("{null},\"\""),
        ] {
            assert!(!restored(line.clone(), None), "{line}");
        }
        // Of one attempt where one is asked for.
        assert!(restored(format!("{named},P1"), Some([5; 16])));
        assert!(!restored(format!("{named},P1"), Some([6; 16])));
        // What was delivered before the field was bound says nothing of a row.
        let earlier = cell(&unbound, None, 5);
        assert!(restored(earlier.clone(), None));
        assert!(!restored(format!("{earlier},P1"), None));
    }
}
