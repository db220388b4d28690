use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int64Array, UInt64Array,
};

use sha2::Sha256;

use super::*;
use crate::TreatmentError;
use crate::testing::{
    CATEGORY, cases_of, key, misfit, misfit_of, spec, treat, treat_array, treat_one, treat_with,
};

const SPEC: &str = "{ kind = 'hmac', domain = 'person.id' }";

/// The pseudonym as the standard defines it, written out without the kernel.
fn expected(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key().expose()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// RFC 4231: key, data, HMAC-SHA-256.
#[test]
fn vectors_of_rfc_4231_hold() {
    let cases: [(&[u8], &[u8], &str); 5] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size \
              data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, digest) in cases {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        let mut mac = mac.clone();
        mac.update(data);
        let mut written = Vec::new();
        Encoding::Hex.write(&mac.finalize().into_bytes().into(), &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), digest);
    }
}

#[test]
fn the_value_is_keyed_as_it_is_with_nothing_prepended() {
    for value in ["张三", "a", "𠮷", "👨‍👩‍👧", &"长".repeat(100)] {
        assert_eq!(treat_one(SPEC, value), Some(expected(value)), "{value}");
    }
}

#[test]
fn spellings_of_one_identifier_get_one_pseudonym() {
    let array: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![
        "11010519491231002X",
        " 110105-19491231-002x",
        "１１０１０５１９４９１２３１００２Ｘ",
    ]));
    let treated = treat_with(SPEC, &array, "resident-id", &key()).unwrap();
    let text = treated.array.as_string::<i32>();
    assert!(
        text.iter()
            .all(|value| value == Some(expected("11010519491231002X").as_str()))
    );
    let exact = "{ kind = 'hmac', domain = 'person.id', normalise = 'none' }";
    let treated = treat_with(exact, &array, "resident-id", &key()).unwrap();
    let text = treated.array.as_string::<i32>();
    assert_eq!(text.value(1), expected(" 110105-19491231-002x"));
}

#[test]
fn what_is_empty_once_normalised_is_empty() {
    let array: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["--", " ", ""]));
    let null = "{ kind = 'hmac', domain = 'person.id', on_empty = 'null' }";
    let treated = treat_with(null, &array, "resident-id", &key()).unwrap();
    assert_eq!(treated.array.null_count(), 3);
    assert_eq!(cases_of(&treated), (0, 3, 0, 0));
    let kept = treat_with(SPEC, &array, "resident-id", &key()).unwrap();
    assert_eq!(kept.array.as_string::<i32>().value(0), "--");
}

#[test]
fn numbers_and_dates_are_keyed_as_their_text() {
    let arrays: [(ArrayRef, &str); 4] = [
        (Arc::new(Int64Array::from(vec![Some(-42), None])), "-42"),
        (
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
            "18446744073709551615",
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![Some(1230), None])
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
            "12.30",
        ),
        (
            Arc::new(Date32Array::from(vec![Some(20484), None])),
            "2026-01-31",
        ),
    ];
    for (array, text) in arrays {
        let treated = treat_array(SPEC, &array).unwrap();
        let written = treated.array.as_string::<i32>();
        assert_eq!(written.value(0), expected(text), "{text}");
        assert!(written.is_null(1));
    }
}

#[test]
fn dates_beyond_any_calendar_follow_on_invalid() {
    let dates = vec![Some(i32::MAX), Some(20484), None, Some(i32::MIN)];
    let array: ArrayRef = Arc::new(Date32Array::from(dates));
    let with = |action: &str| {
        let spec = format!("{{ kind = 'hmac', domain = 'd', on_invalid = '{action}' }}");
        treat_array(&spec, &array)
    };
    for action in ["null", "mask-all", "reject"] {
        let treated = with(action).unwrap();
        let written: Vec<_> = treated.array.as_string::<i32>().iter().collect();
        let pseudonym = expected("2026-01-31");
        assert_eq!(
            written,
            [None, Some(pseudonym.as_str()), None, None],
            "{action}"
        );
        assert_eq!(cases_of(&treated), (1, 0, 0, 2), "{action}");
        let rejected = treated
            .rejected
            .map(|rows| rows.set_indices().collect::<Vec<_>>());
        assert_eq!(
            rejected,
            (action == "reject").then(|| vec![0, 3]),
            "{action}"
        );
    }
    let refused = with("fail").unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::Refused {
            row: 0,
            case: Case::Invalid
        }
    );
    assert!(!refused.to_string().contains("2147483647"));
}

#[test]
fn sentinels_of_numbers_stay_as_text() {
    let array: ArrayRef = Arc::new(Int64Array::from(vec![-1, 5]));
    let spec = "{ kind = 'hmac', domain = 'd', sentinels = [-1] }";
    let treated = treat_array(spec, &array).unwrap();
    assert_eq!(treated.array.as_string::<i32>().value(0), "-1");
    assert_eq!(treated.array.as_string::<i32>().value(1), expected("5"));
    assert_eq!(treated.counts.sentinels, 1);
}

#[test]
fn another_key_gives_other_pseudonyms() {
    let other = DerivedKey::derive(&[7; 32], "pseudonym", "person.id", "grant:G-2", 1);
    let array: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["a"]));
    let one = treat_with(SPEC, &array, CATEGORY, &key()).unwrap();
    let two = treat_with(SPEC, &array, CATEGORY, &other).unwrap();
    assert_ne!(
        one.array.as_string::<i32>().value(0),
        two.array.as_string::<i32>().value(0)
    );
}

#[test]
fn a_pseudonym_without_key_or_domain_is_refused() {
    let data_type = DataType::Utf8;
    let column = Column::alone("id", &data_type, CATEGORY);
    assert!(
        spec(SPEC)
            .build(column, None)
            .unwrap_err()
            .what
            .contains("no key")
    );
    assert_eq!(
        misfit("{ kind = 'hmac', domain = ' ' }").parameter,
        Some("domain")
    );
    let empty_join = "{ kind = 'hmac', domain = 'd', join = '' }";
    assert_eq!(misfit(empty_join).parameter, Some("join"));
    for data_type in [DataType::Float64, DataType::Boolean, DataType::Binary] {
        assert_eq!(misfit_of(SPEC, &data_type).parameter, None);
    }
}

#[test]
fn the_key_is_never_shown() {
    let data_type = DataType::Utf8;
    let column = Column::alone("id", &data_type, CATEGORY);
    let built = spec(SPEC).build(column, Some(&key())).unwrap();
    let shown = format!("{built:?}");
    assert!(shown.contains("Hmac(..)"), "{shown}");
}

#[test]
fn a_wider_join_does_not_meet_the_floor() {
    let joined = spec("{ kind = 'hmac', domain = 'person.id', join = 'welfare' }");
    let alone = spec(SPEC);
    assert!(alone.meets(&joined));
    assert!(!joined.meets(&alone));
    assert!(joined.meets(&joined));
    assert!(!spec("{ kind = 'hmac', domain = 'other' }").meets(&alone));
    assert_eq!(joined.key_uses()[0].join.as_deref(), Some("welfare"));
}

#[test]
fn short_texts_of_all_kinds_count_their_cases() {
    let treated = treat(SPEC, &[None, Some(""), Some("x")]);
    assert_eq!(cases_of(&treated), (1, 1, 0, 0));
    assert!(treated.array.is_null(0));
    assert_eq!(treated.array.as_string::<i32>().value(1), "");
}

/// GB/T 32905-2016, annex A: message, SM3.
#[test]
fn vectors_of_gb_t_32905_hold() {
    use sm3::Digest as _;
    for (message, digest) in [
        (
            "abc".to_owned(),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
        ),
        (
            "abcd".repeat(16),
            "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
        ),
    ] {
        let mut written = Vec::new();
        Encoding::Hex.write(&Sm3::digest(&message).into(), &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), digest);
    }
}

/// Computed with OpenSSL 3.0.19 (`openssl dgst -sm3 -mac HMAC`) under the key that HKDF
/// makes of the key of the tests (Python's `cryptography` 48).
#[test]
fn hmac_sm3_agrees_with_openssl() {
    let spec = "{ kind = 'hmac', domain = 'person.id', algorithm = 'sm3' }";
    for (value, pseudonym) in [
        (
            "13800138000",
            "d346d50c645aa559defb7232e8d9356a5c446c013785dae04e1cce84af33921a",
        ),
        (
            "张三",
            "1297efdf01647fa970479eabe57b927192077844c75db92be7766a2d1bd3b645",
        ),
        (
            &"长".repeat(100),
            "27c13f329eff142112ed0650767afb1f9bea59bae6b7c1e77496373e54145fc9",
        ),
    ] {
        assert_eq!(treat_one(spec, value).as_deref(), Some(pseudonym));
    }
}

/// The definition of HMAC (FIPS 198-1), written out over the bare hash.
#[test]
fn hmac_sm3_is_the_hash_of_both_padded_keys() {
    use sm3::Digest as _;
    let own = key().expand::<32>(&[b"lockgate/hmac-sm3/v1"]);
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        for (byte, key) in block.iter_mut().zip(*own) {
            *byte ^= key;
        }
        block
    };
    let spec = "{ kind = 'hmac', domain = 'person.id', algorithm = 'sm3' }";
    for length in [1, 32, 63, 64, 65, 200] {
        let value = "a".repeat(length);
        let inner = Sm3::new()
            .chain_update(padded(0x36))
            .chain_update(&value)
            .finalize();
        let outer = Sm3::new()
            .chain_update(padded(0x5c))
            .chain_update(inner)
            .finalize();
        let mut written = Vec::new();
        Encoding::Hex.write(&outer.into(), &mut written);
        assert_eq!(
            treat_one(spec, &value),
            Some(String::from_utf8(written).unwrap())
        );
    }
}

#[test]
fn what_an_older_policy_wrote_gives_what_it_gave() {
    let pseudonym = "d6a3ea630b02fb849a80f7b714d78a5ce6b6b2c2154827e69ba9ed3d5050d809";
    assert_eq!(treat_one(SPEC, "13800138000").as_deref(), Some(pseudonym));
    assert_eq!(
        serde_json::to_string(&spec(SPEC)).unwrap(),
        "{\"kind\":\"hmac\",\"algorithm\":\"sha256\",\"domain\":\"person.id\",\"encoding\":\"hex\",\
         \"normalise\":\"category\",\"on_null\":\"keep\",\"on_empty\":\"keep\",\
         \"on_short\":\"mask-all\",\"on_invalid\":\"mask-all\",\"sentinels\":[]}"
    );
}

#[test]
fn every_encoding_writes_the_same_bits() {
    for (encoding, pseudonym) in [
        ("base64url", "1qPqYwsC-4SagPe3FNeKXOa2ssIVSCfmm6ntPVBQ2Ak"),
        (
            "base32",
            "22R6UYYLAL5YJGUA663RJV4KLTTLNMWCCVECPZU3VHWT2UCQ3AEQ",
        ),
    ] {
        let whole = format!("{{ kind = 'hmac', domain = 'd', encoding = '{encoding}' }}");
        assert_eq!(treat_one(&whole, "13800138000").as_deref(), Some(pseudonym));
        assert_eq!(
            spec(&whole).uniqueness(&DataType::Utf8),
            Uniqueness::Probabilistic { bits: 256 }
        );
        let cut =
            format!("{{ kind = 'hmac', domain = 'd', encoding = '{encoding}', length = 20 }}");
        assert_eq!(
            treat_one(&cut, "13800138000").as_deref(),
            pseudonym.get(..20)
        );
    }
}

#[test]
fn a_shortened_pseudonym_says_how_many_bits_are_left() {
    let cut = |encoding: &str, length: u32| {
        format!("{{ kind = 'hmac', domain = 'd', encoding = '{encoding}', length = {length} }}")
    };
    for (encoding, least, most, bits) in [
        ("hex", 20, 64, 80),
        ("base64url", 14, 43, 84),
        ("base32", 16, 52, 80),
    ] {
        let shortest = spec(&cut(encoding, least));
        assert_eq!(
            shortest.uniqueness(&DataType::Utf8),
            Uniqueness::Probabilistic { bits },
            "{encoding}"
        );
        assert!(shortest.meets(&spec(&cut(encoding, most))), "{encoding}");
        assert!(!spec(&cut(encoding, most)).meets(&shortest), "{encoding}");
        for wrong in [0, least - 1, most + 1, u32::MAX] {
            let misfit = misfit(&cut(encoding, wrong));
            assert_eq!(misfit.parameter, Some("length"), "{encoding} {wrong}");
            assert!(misfit.hint.unwrap().contains(&format!("{least} to {most}")));
        }
    }
}

#[test]
fn another_algorithm_does_not_meet_the_floor() {
    let sm3 = spec("{ kind = 'hmac', domain = 'person.id', algorithm = 'sm3' }");
    assert!(!sm3.meets(&spec(SPEC)) && !spec(SPEC).meets(&sm3));
    let written = spec("{ kind = 'hmac', domain = 'person.id', encoding = 'base32' }");
    assert!(written.meets(&spec(SPEC)) && spec(SPEC).meets(&written));
}

#[test]
fn a_key_is_wiped_with_the_kernel_that_holds_it() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<HmacSha256>();
    wiped::<Sm3>();
}

#[test]
fn a_negative_number_of_an_identifier_is_not_its_positive() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![5, -5]));
    let column = Column::alone("id", &DataType::Int64, "resident-id");
    for text in [SPEC, "{ kind = 'encrypt-det', domain = 'person.id' }"] {
        let built = spec(text).build(column, Some(&key())).unwrap();
        let written = built.apply(&numbers).unwrap().array;
        let written = written.as_string::<i32>();
        assert_ne!(written.value(0), written.value(1), "{text}");
    }
}

#[test]
fn a_tag_is_room_at_the_end_of_an_unchanged_pseudonym() {
    let tagged = "{ kind = 'hmac', domain = 'person.id', tag = 4 }";
    assert_eq!(treat_one(tagged, "Hi"), treat_one(SPEC, "Hi"));
    let room = spec(tagged).tag().unwrap();
    let form = TagForm::End {
        length: 64,
        encoding: Encoding::Hex,
    };
    assert_eq!((room.characters, room.form), (4, form));
    assert_eq!(spec(SPEC).tag(), None);
    // What tells values apart is what is left.
    for (tagged, bits) in [
        (tagged, 240),
        ("{ kind = 'hmac', domain = 'd', length = 24, tag = 4 }", 80),
        (
            "{ kind = 'hmac', domain = 'd', encoding = 'base64url', tag = 1 }",
            252,
        ),
    ] {
        let uniqueness = spec(tagged).treatment().uniqueness();
        assert_eq!(uniqueness, Uniqueness::Probabilistic { bits }, "{tagged}");
    }
}

#[test]
fn a_tag_without_room_or_beside_a_join_is_refused() {
    for (parameters, what) in [
        ("tag = 0", "1 to 8"),
        ("tag = 9", "1 to 8"),
        ("tag = 4, join = 'g'", "stands beside `join`"),
        ("tag = 4, length = 23", "fewer than 80 bits"),
        (
            "tag = 3, encoding = 'base64url', length = 16",
            "fewer than 80 bits",
        ),
    ] {
        let refused = misfit(&format!("{{ kind = 'hmac', domain = 'd', {parameters} }}"));
        assert_eq!(refused.parameter, Some("tag"), "{parameters}");
        assert!(
            refused.what.contains(what),
            "{parameters}: {}",
            refused.what
        );
        assert!(refused.hint.is_some(), "{parameters}");
    }
}

#[test]
fn a_tag_that_a_floor_asks_for_can_not_be_turned_off() {
    let with = |tag: &str| spec(&format!("{{ kind = 'hmac', domain = 'd'{tag} }}"));
    let floor = with(", tag = 4");
    assert!(floor.meets(&floor) && floor.meets(&with("")) && with(", tag = 5").meets(&floor));
    assert!(!with("").meets(&floor) && !with(", tag = 3").meets(&floor));
}
