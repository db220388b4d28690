use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, DictionaryArray, Int64Array,
    StringArray,
};
use arrow::datatypes::Int32Type;

use super::*;
use crate::testing::{
    CATEGORY, MemoryVault, cases_of, misfit, misfit_of, spec, treat_array, treat_with,
};

const SPEC: &str = "{ kind = 'tokenize', domain = 'person.id' }";

fn key() -> DerivedKey {
    DerivedKey::derive(&[7; 32], "encryption", "person.id", "grant:G-1", 1)
}

fn column(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn vault_use(text: &str) -> VaultUse {
    let [only] = spec(text).vault_uses().try_into().unwrap();
    only
}

/// Treats a column with this vault.
fn treat_from(
    text: &str,
    array: &ArrayRef,
    vault: MemoryVault,
) -> Result<Vec<Option<String>>, TreatmentError> {
    let vault: Arc<dyn Vault> = Arc::new(vault);
    let vaults = [(vault_use(text), vault)];
    let column = Column::alone("field", array.data_type(), CATEGORY);
    let keys = Keys::default().with_vaults(&vaults);
    let treated = spec(text).build_with(column, keys).unwrap().apply(array)?;
    let texts = treated.array.as_string::<i32>().iter();
    Ok(texts.map(|text| text.map(str::to_owned)).collect())
}

#[test]
fn equal_values_get_equal_tokens_of_the_form_asked_for() {
    let values = column(vec![Some("甲"), Some("乙"), None, Some("甲"), Some(" ")]);
    for (parameters, characters, first) in [
        ("", 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        (", alphabet = 'hex', length = 5", 5, "0123456789abcdef"),
        (", alphabet = 'digits', length = 18", 18, "123456789"),
        (
            ", alphabet = 'letters', length = 64",
            64,
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        ),
    ] {
        let text = format!("{{ kind = 'tokenize', domain = 'd'{parameters} }}");
        let treated = treat_array(&text, &values).unwrap();
        let texts = treated.array.as_string::<i32>();
        assert_eq!(texts.value(0), texts.value(3));
        assert_ne!(texts.value(0), texts.value(1));
        for row in [0, 1] {
            assert!(vault_use(&text).form.fits(texts.value(row)), "{texts:?}");
            assert!(first.contains(texts.value(row).chars().next().unwrap()));
            assert_eq!(texts.value(row).len(), characters);
        }
        assert!(texts.is_null(2) && texts.value(4) == " ");
        assert_eq!(cases_of(&treated), (1, 1, 0, 0));
    }
}

#[test]
fn spellings_of_one_identifier_are_one_value() {
    let values = column(vec![
        Some("11010519491231002X"),
        Some(" 11010519491231002x"),
        Some("１１０１０５ 19491231 002X"),
        Some("- -"),
    ]);
    let treated = treat_with(SPEC, &values, "resident-id", &key()).unwrap();
    let texts = treated.array.as_string::<i32>();
    assert_eq!([texts.value(0); 2], [texts.value(1), texts.value(2)]);
    assert_eq!(cases_of(&treated), (0, 1, 0, 0));
    let plain = "{ kind = 'tokenize', domain = 'person.id', normalise = 'none' }";
    let treated = treat_with(plain, &values, "resident-id", &key()).unwrap();
    let texts = treated.array.as_string::<i32>();
    assert_ne!(texts.value(0), texts.value(1));
}

#[test]
fn values_of_other_types_share_the_tokens_of_their_texts() {
    let decimals = Decimal128Array::from(vec![1230, -5]).with_precision_and_scale(12, 2);
    let pairs: [(ArrayRef, [&str; 2]); 3] = [
        (Arc::new(Int64Array::from(vec![42, -7])), ["42", "-7"]),
        (Arc::new(decimals.unwrap()), ["12.30", "-0.05"]),
        (
            Arc::new(Date32Array::from(vec![0, 1])),
            ["1970-01-01", "1970-01-02"],
        ),
    ];
    for (values, texts) in pairs {
        let own = treat_array(SPEC, &values).unwrap().array;
        let written = column(texts.map(Some).to_vec());
        assert_eq!(&own, &treat_array(SPEC, &written).unwrap().array);
    }
}

#[test]
fn a_dictionary_asks_for_each_value_once() {
    let keys = vec![Some(0), Some(1), None, Some(0)];
    let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
        keys.into(),
        column(vec![Some("甲"), Some("乙")]),
    ));
    let plain = column(vec![Some("甲"), Some("乙"), None, Some("甲")]);
    assert_eq!(
        &treat_array(SPEC, &dictionary).unwrap().array,
        &treat_array(SPEC, &plain).unwrap().array
    );
}

#[test]
fn a_vault_that_is_half_full_gives_no_more() {
    let vault = || MemoryVault::new(&key(), vault_use(SPEC)).full_at(2);
    let two = column(vec![Some("a"), Some("b"), Some("a")]);
    assert!(treat_from(SPEC, &two, vault()).is_ok());
    let three = column(vec![Some("a"), Some("b"), Some("a"), Some("c")]);
    let error = treat_from(SPEC, &three, vault()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the token vault of domain `person.id` holds 2 of 4 tokens, and half is the most; write a \
         longer `length`, which begins a vault with other tokens"
    );
    assert_eq!(error.row(), None);
}

#[test]
fn a_vault_whose_tokens_have_another_form_is_not_believed() {
    let other = "{ kind = 'tokenize', domain = 'person.id', length = 15 }";
    let vault = MemoryVault::new(&key(), vault_use(other));
    let error = treat_from(SPEC, &column(vec![Some("a")]), vault).unwrap_err();
    assert!(matches!(
        error,
        TreatmentError::Vault(VaultError::Damaged { .. })
    ));
}

#[test]
fn lengths_leave_a_million_tokens_and_end_at_64() {
    let with = |alphabet: &str, length: u32| {
        format!("{{ kind = 'tokenize', domain = 'd', alphabet = '{alphabet}', length = {length} }}")
    };
    for (alphabet, least) in [("base32", 4), ("hex", 5), ("letters", 5), ("digits", 7)] {
        for length in [0, least - 1, 65, u32::MAX] {
            let misfit = misfit(&with(alphabet, length));
            assert_eq!(misfit.parameter, Some("length"), "{alphabet} {length}");
            let hint = format!("with alphabet \"{alphabet}\", write {least} to 64");
            assert_eq!(misfit.hint, Some(hint));
        }
        for length in [least, 64] {
            let column = Column::alone("field", &DataType::Utf8, CATEGORY);
            assert!(spec(&with(alphabet, length)).output_type(column).is_ok());
        }
    }
}

#[test]
fn names_and_types_that_do_not_fit_are_misfits() {
    assert_eq!(
        misfit("{ kind = 'tokenize', domain = ' ' }").parameter,
        Some("domain")
    );
    let join = misfit("{ kind = 'tokenize', domain = 'd', join = '' }");
    assert_eq!(join.parameter, Some("join"));
    for data_type in [DataType::Boolean, DataType::Float64, DataType::Binary] {
        assert_eq!(misfit_of(SPEC, &data_type).parameter, None);
    }
}

#[test]
fn without_a_vault_nothing_is_built() {
    let column = Column::alone("field", &DataType::Utf8, CATEGORY);
    let missing = spec(SPEC).build(column, Some(&key())).unwrap_err();
    assert_eq!(
        missing.what,
        "treatment `tokenize` of field `field` has no vault"
    );
}

#[test]
fn a_floor_is_met_by_the_same_vault_or_a_narrower_one() {
    let with = |parameters: &str| spec(&format!("{{ kind = 'tokenize', {parameters} }}"));
    let floor = with("domain = 'd', join = 'j'");
    assert!(with("domain = 'd', join = 'j'").meets(&floor));
    assert!(with("domain = 'd'").meets(&floor));
    assert!(with("domain = 'd', normalise = 'none'").meets(&floor));
    for other in [
        "domain = 'e'",
        "domain = 'd', join = 'k'",
        "domain = 'd', length = 20",
        "domain = 'd', alphabet = 'letters'",
    ] {
        assert!(!with(other).meets(&floor), "{other}");
    }
    assert!(!floor.meets(&with("domain = 'd'")));
    assert!(!spec("{ kind = 'hmac', domain = 'd' }").meets(&floor));
    assert!(spec("{ kind = 'null' }").meets(&floor));
}

#[test]
fn vaults_and_keys_within_other_treatments_are_found() {
    let text = "{ kind = 'when', condition = 'a = 1', then = { kind = 'tokenize', domain = 'd', \
                join = 'j' }, else = { kind = 'tokenize', domain = 'e', length = 20 } }";
    let uses = spec(text).vault_uses();
    let found: Vec<_> = uses
        .iter()
        .map(|used| (used.domain.as_str(), used.join.as_deref(), used.form.length))
        .collect();
    assert_eq!(found, [("d", Some("j"), 16), ("e", None, 20)]);
    assert_eq!(spec(text).key_uses().len(), 2);
}
