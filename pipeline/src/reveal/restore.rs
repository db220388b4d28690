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
use lockgate_transforms::{
    Column, Context, DerivedKey, Misfit, Treatment, TreatmentSpec, Unopenable,
};

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

/// Checks that each line is one of the field, before its being none counts as not found and spends a use.
///
/// # Errors
/// One that holds too much or too little of a row, or isn't CSV; it is named by its number alone.
pub(super) fn check_lines(spec: &TreatmentSpec, values: &[String]) -> Result<(), RunError> {
    let AnyTreatment::EncryptRand(treatment) = spec.treatment() else {
        return Ok(());
    };
    let names = treatment.bound_to();
    let mut lines = values.iter();
    let Some(at) = lines.position(|line| Line::read(line, names.len()).is_none()) else {
        return Ok(());
    };
    let number = at.saturating_add(1);
    let (what, remedy) = match names.is_empty() {
        true => (
            format!("value {number} stands with a row, and the field is bound to none today"),
            "write the value alone; one that was bound can't be turned back unless it is bound again"
                .to_owned(),
        ),
        false => (
            format!(
                "value {number} is neither a value alone nor one with {} fields of its row",
                names.len()
            ),
            format!(
                "write it as a record of CSV: the value, then {}; nothing between commas for a null, a \
                 text with a comma in quotes, and none with a line break, which can't be asked for; blank \
                 lines and repeated ones don't count",
                names.join(", ")
            ),
        ),
    };
    Err(RunError::Invalid {
        what,
        at: "the list of values".to_owned(),
        remedy,
    })
}

/// The originals of delivered values, under one key, or why there is none: a value isn't one of that key,
/// doesn't stand beside the row that it is bound to, or isn't of the attempt that is asked for.
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
) -> Result<Vec<Result<String, Unopenable>>, RunError> {
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
                let line = Line::read(value, bound).ok_or(Unopenable::Malformed)?;
                open_line(&mut opener, &line, column.data_type)
            });
            return Ok(opened.collect());
        }
        AnyTreatment::EncryptDet(treatment) => {
            let opener = treatment.opener(key);
            return Ok(values.iter().map(|value| opener.open(value)).collect());
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
    let restored = values
        .iter()
        .map(|value| restore_by(treatment.as_ref(), column.data_type, value));
    Ok(restored.collect())
}

/// One cell, beside its row where the line holds that.
fn open_line(opener: &mut Opener, line: &Line, data_type: &DataType) -> Result<String, Unopenable> {
    let cell = as_base64url(&line.value).ok_or(Unopenable::Malformed)?;
    let cell: ArrayRef = Arc::new(StringArray::from(vec![cell]));
    let row: Vec<ArrayRef> = line
        .row
        .iter()
        .map(|text| -> ArrayRef { Arc::new(StringArray::from(vec![text.as_deref()])) })
        .collect();
    let opened = match row.is_empty() {
        true => opener.open_column(&cell, data_type),
        false => opener.open_beside(&cell, &row, data_type),
    };
    let opened = opened.map_err(|refused| refused.why)?;
    text_of(&opened, 0).ok_or(Unopenable::OtherType)
}

/// One value by a treatment that goes the other way.
fn restore_by(
    treatment: &dyn Treatment,
    data_type: &DataType,
    value: &str,
) -> Result<String, Unopenable> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    // Arrow's own error holds the value.
    let typed = cast_with_options(&text, data_type, &strict).map_err(|_| Unopenable::Malformed)?;
    let context = Context {
        inputs: &[],
        chunk: None,
    };
    let restored = treatment.treat(&typed, &context);
    let restored = restored.map_err(|_| Unopenable::Malformed)?;
    let is_rejected = restored
        .rejected
        .as_ref()
        .is_some_and(|rejected| rejected.count_set_bits() > 0);
    let fits = restored.tally().invalid == 0 && !is_rejected;
    let text = text_of(&restored.array, 0).filter(|_| fits);
    text.ok_or(Unopenable::Malformed)
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
            assert_eq!(restored, [Ok(original.to_owned())], "{text}");
            let other = DerivedKey::derive(&[8; 32], "fpe", "d", "grant:G-1", 1);
            let restored = restore(&spec, column, &other, &values, None).unwrap();
            assert_ne!(restored, [Ok(original.to_owned())], "{text}");
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
            assert_eq!(restored.unwrap(), [Err(Unopenable::Malformed)], "{text}");
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
        let restored = |line: &str, attempt| {
            let values = [line.to_owned()];
            let mut restored = restore(&bound, column, &key(), &values, attempt).unwrap();
            restored.remove(0)
        };
        let value = || Ok("value".to_owned());
        let (named, null) = (cell(&bound, Some("P1"), 5), cell(&bound, None, 5));
        assert_eq!(restored(&format!("{named},P1"), None), value());
        assert_eq!(restored(&format!("{named},\"P1\""), None), value());
        assert_eq!(restored(&format!("{null},"), None), value());
        for (line, why) in [
            (format!("{named},P2"), Unopenable::NotAuthentic),
            (format!("{named},"), Unopenable::NotAuthentic),
            (format!("{named}, P1"), Unopenable::NotAuthentic),
            (format!("{null},\"\""), Unopenable::NotAuthentic),
            (format!("{named},P1,P1"), Unopenable::Malformed),
            (named.clone(), Unopenable::Bound),
        ] {
            assert_eq!(restored(&line, None), Err(why), "{line}");
        }
        // Of one attempt where one is asked for.
        let named = format!("{named},P1");
        assert_eq!(restored(&named, Some([5; 16])), value());
        let other = restored(&named, Some([6; 16]));
        assert_eq!(other, Err(Unopenable::OtherAttempt));
        // What was delivered before the field was bound says nothing of a row.
        let earlier = cell(&unbound, None, 5);
        assert_eq!(restored(&earlier, None), value());
        let beside = restored(&format!("{earlier},P1"), None);
        assert_eq!(beside, Err(Unopenable::Unbound));
    }

    #[test]
    fn a_line_that_is_none_of_the_field_is_refused_by_its_number() {
        let bound = spec("{ kind = 'encrypt-rand', domain = 'd', beside = ['id', 'code'] }");
        let unbound = spec("{ kind = 'encrypt-rand', domain = 'd' }");
        let det = spec("{ kind = 'encrypt-det', domain = 'd' }");
        let check = |spec: &TreatmentSpec, second: &str| {
            check_lines(spec, &["AAAA".to_owned(), second.to_owned()])
        };
        for line in ["AAAA", "AAAA,,", "AAAA,P1,\"a,b\""] {
            assert!(check(&bound, line).is_ok(), "{line}");
        }
        for line in ["AAAA,P1", "AAAA,P1,a,b", "AAAA,P1,\"a"] {
            let refused = check(&bound, line).unwrap_err();
            let RunError::Invalid { what, remedy, .. } = refused else {
                panic!("{refused:?}");
            };
            assert!(what.contains("value 2") && what.contains("2 fields"));
            assert!(remedy.contains("code, id") && !what.contains("P1"));
        }
        assert!(check(&unbound, "AAAB").is_ok());
        let refused = check(&unbound, "AAAA,P1").unwrap_err().to_string();
        assert!(refused.contains("value 2") && refused.contains("bound to none"));
        assert!(
            check(&det, "a,b").is_ok(),
            "values of others are as they are"
        );
    }
}
