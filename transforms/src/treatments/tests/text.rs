//! Text in every physical form, and values that need a decision.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// The same text in every physical form there is.
fn forms(values: &[Option<String>]) -> Vec<ArrayRef> {
    let plain: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let mut forms: Vec<ArrayRef> = vec![
        Arc::new(LargeStringArray::from(plain.clone())),
        Arc::new(StringViewArray::from(plain.clone())),
        Arc::new(plain.iter().copied().collect::<DictionaryArray<Int8Type>>()),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<UInt8Type>>(),
        ),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<Int16Type>>(),
        ),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<UInt32Type>>(),
        ),
        Arc::new(
            plain
                .iter()
                .copied()
                .collect::<DictionaryArray<Int64Type>>(),
        ),
    ];
    // A dictionary that holds nulls and values no row uses, as views.
    let mut entries = vec![None, Some("unused")];
    entries.extend(plain.iter().copied());
    let keys: Vec<Option<i32>> = (0..plain.len())
        .map(|row| i32::try_from(row + 2).ok())
        .collect();
    forms.push(Arc::new(DictionaryArray::<Int32Type>::new(
        keys.into(),
        Arc::new(StringViewArray::from(entries)),
    )));
    forms
}

fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let value = prop_oneof![
        2 => Just(None),
        6 => proptest::sample::select(TEXTS.to_vec()).prop_map(|text| Some(text.to_owned())),
        3 => "[0-9]{0,20}".prop_map(Some),
        3 => "[\u{4e00}-\u{9fff}]{0,6}".prop_map(Some),
        3 => "\\PC{0,12}".prop_map(Some),
    ];
    proptest::collection::vec(value, 0..24)
}

/// Every treatment of text in the list, as its example and the other parameters have it. Made once,
/// because some take long to make.
static TEXT_TREATMENTS: LazyLock<Vec<(TreatmentSpec, Box<dyn Treatment>)>> = LazyLock::new(|| {
    let fitting = specs().into_iter().filter_map(|spec| {
        let built = built_for(&spec, &DataType::Utf8, "mobile")?;
        Some((spec, built))
    });
    fitting.collect()
});

#[test]
fn masks_write_the_same_into_bytes_and_into_text() {
    let ascii = ["13800138000"; 16];
    let others = [
        "欧阳娜娜",
        "张三",
        "浙A1234警",
        "e\u{301}张",
        "a\r\nb",
        "张三丰@example.cn",
        "zhang@Example.CN",
        "浙江省杭州市西湖区文三路1-2号",
        "浙江省 杭州市 红旗路1号",
        "阿卜杜拉·买买提",
        "阿·李三",
        "2001:db8::1",
        "2001:DB8:0:1::",
        "10.0.0.0",
        "0571-88886666",
        "张\u{E0031}三ー",
    ];
    let forward = [ascii.as_slice(), others.as_slice()].concat();
    let backward: Vec<&str> = forward.iter().rev().copied().collect();
    let of = [
        "resident-id",
        "mobile",
        "landline",
        "person-name",
        "bank-card",
        "address",
        "credit-code",
        "plate",
        "passport",
        "permit",
        "email",
        "ip",
    ];
    let kinds = [
        "kind = 'keep-ends', first = 1, last = 1",
        "kind = 'keep-ends', first = 1, last = 0, length = 2",
        "kind = 'mask-range', from = 1, to = 2",
        "kind = 'mask-around', delimiter = '@'",
        "kind = 'mask-around', delimiter = '区', side = 'after', occurrence = 'last'",
        "kind = 'keep-classes', keep = ['digit']",
        "kind = 'keep-classes', keep = ['han', 'separator']",
        "kind = 'regex', pattern = '^(.)(.*)$', replacement = '$1*'",
    ];
    let kinds = kinds.map(str::to_owned).into_iter();
    let typed = of.map(|of| format!("kind = 'typed-mask', of = '{of}'"));
    for kind in kinds.chain(typed) {
        for fill in ["", ", fill = '0'", ", fill = '三'"] {
            let is_regex = kind.contains("regex");
            if is_regex && !fill.is_empty() {
                continue;
            }
            let spec = spec(&format!("{{ {kind}{fill} }}"));
            let built = built_for(&spec, &DataType::Utf8, "other").unwrap();
            let treated = |rows: &[&str]| -> Vec<Option<String>> {
                let array: ArrayRef = Arc::new(StringArray::from(rows.to_vec()));
                let treated = built.apply(&array).unwrap();
                let texts = treated.array.as_string::<i32>().iter();
                texts.map(|text| text.map(str::to_owned)).collect()
            };
            let mut reversed = treated(&backward);
            reversed.reverse();
            assert_eq!(treated(&forward), reversed, "{kind}{fill}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn physical_forms_of_text_agree(values in texts()) {
        let plain: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let forms = forms(&values);
        for (spec, built) in TEXT_TREATMENTS.iter() {
            let summary = spec.summary();
            let expected = treat(spec, &**built, &plain).unwrap();
            let wanted = lasting(spec, &expected.array, &DataType::Utf8);
            for form in &forms {
                let treated = treat(spec, &**built, form).unwrap();
                let found = lasting(spec, &treated.array, &DataType::Utf8);
                prop_assert_eq!(&found, &wanted, "{} {}", &summary, form.data_type());
                prop_assert_eq!(&treated.counts, &expected.counts, "{} {}", &summary, form.data_type());
            }
        }
    }

    #[test]
    fn batches_may_be_split_anywhere(values in texts(), at in 0_usize..24) {
        let whole: ArrayRef = Arc::new(StringArray::from(values));
        let at = at.min(whole.len());
        for (spec, built) in TEXT_TREATMENTS.iter() {
            let summary = spec.summary();
            let expected = treat(spec, &**built, &whole).unwrap();
            let head = treat_slice(spec, &**built, &whole, 0..at).unwrap();
            let tail = treat_slice(spec, &**built, &whole, at..whole.len()).unwrap();
            let joined = concat(&[&head.array, &tail.array]).unwrap();
            let wanted = lasting(spec, &expected.array, &DataType::Utf8);
            prop_assert_eq!(&lasting(spec, &joined, &DataType::Utf8), &wanted, "{}", &summary);
            let mut counts = head.counts;
            counts += tail.counts;
            prop_assert_eq!(counts, expected.counts, "{}", &summary);
            let again = treat(spec, &**built, &whole).unwrap();
            prop_assert_eq!(&lasting(spec, &again.array, &DataType::Utf8), &wanted, "{}", &summary);
        }
    }

    #[test]
    fn no_value_with_something_to_hide_passes(text in "\\PC{1,16}", first in 0_usize..6, last in 0_usize..6) {
        let array: ArrayRef = Arc::new(StringArray::from(vec![text.clone()]));
        let spec = spec(&format!("{{ kind = 'keep-ends', first = {first}, last = {last}, fill = '█' }}"));
        let Some(built) = built(&spec, &array) else { return Ok(()) };
        let treated = built.apply(&array).unwrap();
        let written = treated.array.as_string::<i32>().value(0).to_owned();
        if treated.counts.empty == 0 {
            prop_assert!(written.contains('█'), "{}", written);
            prop_assert!(written != text || text.contains('█'));
        }
    }

    #[test]
    fn pseudonyms_follow_key_and_value(one in "\\PC{1,12}", two in "\\PC{1,12}") {
        let array: ArrayRef = Arc::new(StringArray::from(vec![one.clone(), two.clone(), one.clone()]));
        let spec = spec("{ kind = 'hmac', domain = 'd', normalise = 'none', on_empty = 'null' }");
        let data_type = DataType::Utf8;
        let column = Column::alone("field", &data_type, "other");
        let other = DerivedKey::derive(&[8; 32], "pseudonym", "d", "grant:G-1", 1);
        let mine = spec.build(column, Some(&key())).unwrap().apply(&array).unwrap().array;
        let theirs = spec.build(column, Some(&other)).unwrap().apply(&array).unwrap().array;
        let (mine, theirs) = (mine.as_string::<i32>(), theirs.as_string::<i32>());
        prop_assert_eq!(mine.is_null(0), one.trim().is_empty());
        if !mine.is_null(0) && !mine.is_null(1) {
            prop_assert_eq!(mine.value(0), mine.value(2));
            prop_assert_eq!(mine.value(0) == mine.value(1), one == two);
            prop_assert_ne!(mine.value(0), theirs.value(0));
        }
    }
}

#[test]
fn a_dictionary_fails_only_for_values_that_rows_use() {
    let values = StringArray::from(vec!["12345678", "1234567"]);
    let spec = spec("{ kind = 'keep-ends', first = 3, last = 4, on_short = 'fail' }");
    let data_type = DataType::Utf8;
    let column = Column::alone("field", &data_type, "other");
    let built = spec.build(column, None).unwrap();
    let dictionary = |keys: Vec<Option<i32>>| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::new(
            keys.into(),
            Arc::new(values.clone()),
        ))
    };
    let fine = built
        .apply(&dictionary(vec![Some(0), None, Some(0)]))
        .unwrap();
    assert_eq!(fine.array.as_string::<i32>().value(2), "123*5678");
    let refused = built
        .apply(&dictionary(vec![Some(0), None, Some(1)]))
        .unwrap_err();
    let case = Case::Short;
    assert_eq!(refused, TreatmentError::Refused { row: 2, case });
    assert!(!refused.to_string().contains("1234567"));
}

#[test]
fn rejected_rows_of_a_dictionary_are_flagged_one_by_one() {
    let keys = vec![Some(1), Some(0), None, Some(1)];
    let values = StringArray::from(vec!["12345678", "1"]);
    let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
        keys.into(),
        Arc::new(values),
    ));
    let spec =
        "{ kind = 'keep-ends', first = 3, last = 4, on_short = 'reject', on_null = 'reject' }";
    let treated = crate::testing::treat_array(spec, &array).unwrap();
    assert_eq!(rejected(&treated), [true, false, true, true]);
    assert_eq!(treated.array.null_count(), 3);
    assert_eq!((treated.counts.short, treated.counts.nulls), (2, 1));
}

#[test]
fn sentinels_pass_only_where_they_are_listed() {
    let listed = "{ kind = 'keep-ends', first = 1, last = 0, sentinels = ['未知', 'N/A'] }";
    let treated = crate::testing::treat(
        listed,
        &[Some("未知"), Some("N/A"), Some("N/AA"), Some("张三")],
    );
    let values: Vec<_> = treated.array.as_string::<i32>().iter().flatten().collect();
    assert_eq!(values, ["未知", "N/A", "N***", "张*"]);
    assert_eq!(treated.counts.sentinels, 2);
}

#[test]
fn clear_keeps_what_is_fit_and_nothing_else() {
    let array: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(1.5),
        Some(f64::NAN),
        Some(f64::INFINITY),
        None,
    ]));
    let treated = crate::testing::treat_array("{ kind = 'clear' }", &array).unwrap();
    let values: Vec<_> = treated.array.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(values, [Some(1.5), None, None, None]);
    let listed = "{ kind = 'clear', sentinels = [nan], on_invalid = 'reject' }";
    let treated = crate::testing::treat_array(listed, &array).unwrap();
    assert_eq!(rejected(&treated), [false, false, true, false]);
    assert!(
        treated
            .array
            .as_primitive::<Float64Type>()
            .value(1)
            .is_nan()
    );
    let empties = crate::testing::treat(
        "{ kind = 'clear', on_empty = 'mask-all' }",
        &[Some("a"), Some(" \u{3000}"), Some("")],
    );
    let values: Vec<_> = empties.array.as_string::<i32>().iter().flatten().collect();
    assert_eq!(values, ["a", "**", ""]);
}

#[test]
fn null_leaves_nothing() {
    let treated = crate::testing::treat("{ kind = 'null' }", &[Some("a"), Some(""), None]);
    assert_eq!(treated.array.null_count(), 3);
    assert_eq!((treated.counts.empty, treated.counts.nulls), (1, 1));
}
