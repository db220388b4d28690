//! What must hold of every treatment there is, whatever it does.

use std::collections::BTreeSet;

use arrow::array::UInt32Array;
use arrow::compute::take;
use unicode_segmentation::UnicodeSegmentation as _;

use super::*;
use crate::key::{KeyUse, Keys};
use crate::spec::Strength;
use crate::testing::vaults_of;

/// Builds a spec with keys derived from a master key of that byte, where fields that are read have
/// `data_type`.
fn built_with(
    spec: &TreatmentSpec,
    array: &ArrayRef,
    master: u8,
    data_type: &DataType,
) -> Option<Box<dyn Treatment>> {
    let names = fields(spec);
    let fields = names.iter().map(|name| RowField {
        name,
        data_type,
        category: "other",
    });
    let fields: Vec<RowField<'_>> = fields.collect();
    let column = Column {
        row: Row(&fields),
        ..Column::alone("field", array.data_type(), "other")
    };
    let keys: Vec<(KeyUse, DerivedKey)> = spec
        .key_uses()
        .into_iter()
        .map(|used| {
            let key = [master; 32];
            let key = DerivedKey::derive(&key, used.purpose, &used.domain, "grant:G-1", 1);
            (used, key)
        })
        .collect();
    let held: Vec<_> = keys.iter().map(|(used, key)| (used.clone(), key)).collect();
    spec.output_type(column).ok()??;
    let vaults = vaults_of(spec, &held);
    spec.build_with(column, Keys::new(&held).with_vaults(&vaults))
        .ok()
}

/// Rows that hold something to the treatment: neither a null nor an empty value, nor one that is
/// empty once it is normalised.
fn somethings(spec: &TreatmentSpec, built: &dyn Treatment, array: &ArrayRef) -> Vec<usize> {
    let is_something = |row: &usize| {
        let treated = treat_slice(spec, built, array, *row..row + 1).unwrap();
        array.is_valid(*row) && treated.counts.empty == 0
    };
    (0..array.len()).filter(is_something).collect()
}

/// Whether a result may be what the value was. Coarser values may, and so may a constant and what is
/// drawn from a few. Documents and lists may hold nothing that is hidden.
///
/// Of text, what makes coarser values takes codes and positions alone, and none of the texts is one: to
/// it they are malformed.
fn may_stay(spec: &TreatmentSpec, data_type: &DataType) -> bool {
    let drawn = spec.strength() == Strength::KEYED_EQUALITY
        && spec.treatment().uniqueness() == Uniqueness::Lossy;
    spec.strength() == Strength::CLEAR
        || spec.strength() == Strength::COARSER && *data_type != DataType::Utf8
        || spec.strength() == Strength::NOTHING_LEFT
        || drawn
        || ["map", "json", "nested"].contains(&spec.kind())
}

#[test]
fn no_value_with_something_to_hide_is_its_own_result() {
    let mut coarser = BTreeSet::new();
    for (spec, array, built) in fitting() {
        let data_type = array.data_type();
        if may_stay(&spec, data_type) || *built.output_type() != *data_type {
            continue;
        }
        if spec.strength() == Strength::COARSER {
            coarser.insert(spec.kind());
        }
        let treated = treat(&spec, &*built, &array).unwrap().array;
        for row in somethings(&spec, &*built, &array) {
            let same = treated.slice(row, 1) == array.slice(row, 1);
            let place = format!("{} over {data_type}, row {row}", spec.summary());
            assert!(!same, "{place}");
        }
    }
    assert!(coarser.contains("admin-level"), "{coarser:?}");
    assert!(coarser.contains("geo-coarsen"), "{coarser:?}");
}

#[test]
fn another_key_gives_other_results() {
    let texts = results::identifiers();
    let numbers = Int64Array::from_iter_values((0..400).map(|row| row * 104_729));
    let dates = Date32Array::from_iter_values((0..400).map(|row| row * 61));
    let floats = (0..400).map(|row| f64::from(row) * 1.25);
    let sexes = ["男", "女"].into_iter().cycle().take(60);
    let pools: [ArrayRef; 6] = [
        Arc::new(StringArray::from_iter_values(sexes)),
        Arc::new(Int64Array::from_iter_values(1..90)),
        Arc::new(StringArray::from(texts)),
        Arc::new(numbers),
        Arc::new(dates),
        Arc::new(Float64Array::from_iter_values(floats)),
    ];
    let mut keyed = BTreeSet::new();
    let mut differing = BTreeSet::new();
    for spec in specs() {
        if spec.key_uses().is_empty() {
            continue;
        }
        keyed.insert(spec.kind());
        for array in &pools {
            let results = [1, 2, 1].map(|master| {
                let built = built_with(&spec, array, master, &DataType::Utf8)?;
                let treated = treat(&spec, &*built, array).unwrap();
                Some((treated.array, treated.dropped))
            });
            let [Some(one), Some(two), Some(again)] = results else {
                continue;
            };
            assert!(one == again, "{} follows more than its key", spec.summary());
            if one != two {
                differing.insert(spec.kind());
            }
        }
    }
    // Documents are tried by what they hold.
    keyed.remove("json");
    assert_eq!(keyed, differing);
    assert!(keyed.len() > 15, "{keyed:?}");
}

#[test]
fn the_order_of_rows_changes_nothing() {
    for (spec, array, built) in fitting() {
        let rows = u32::try_from(array.len()).unwrap();
        // Not reversed only: neighbours change too.
        let order = (0..rows).filter(|row| row % 2 == 1).rev();
        let order: Vec<u32> = order.chain((0..rows).filter(|row| row % 2 == 0)).collect();
        let order = UInt32Array::from(order);
        let moved = |array: &ArrayRef| take(array, &order, None).unwrap();
        let inputs: Vec<ArrayRef> = inputs(&spec, array.len()).iter().map(moved).collect();
        let context = Context {
            inputs: &inputs,
            chunk: Some(ChunkId {
                attempt: [3; 16],
                split: 0,
                chunk: 0,
            }),
        };
        let original = array.data_type();
        let whole = treat(&spec, &*built, &array).unwrap();
        let treated = built.treat(&moved(&array), &context).unwrap();
        let expected = lasting_beside(&spec, &moved(&whole.array), &inputs, original);
        let found = lasting_beside(&spec, &treated.array, &inputs, original);
        assert_eq!(&found, &expected, "{} over {original}", spec.summary());
        assert_eq!(treated.counts, whole.counts, "{}", spec.summary());
    }
}

#[test]
fn columns_of_every_type_may_be_split_anywhere() {
    for (spec, array, built) in fitting() {
        let original = array.data_type();
        let whole = treat(&spec, &*built, &array).unwrap();
        let expected = lasting(&spec, &whole.array, original);
        let rows = array.len();
        for at in [0, 1, rows / 2, rows - 1] {
            let head = treat_slice(&spec, &*built, &array, 0..at).unwrap();
            let tail = treat_slice(&spec, &*built, &array, at..array.len()).unwrap();
            let joined = concat(&[&head.array, &tail.array]).unwrap();
            let place = format!("{} over {original}, split at {at}", spec.summary());
            assert_eq!(&lasting(&spec, &joined, original), &expected, "{place}");
            let mut counts = head.counts;
            counts += tail.counts;
            assert_eq!(counts, whole.counts, "{place}");
        }
    }
}

#[test]
fn an_entity_is_the_same_as_a_number_and_as_its_text() {
    let mut tried = BTreeSet::new();
    for spec in specs() {
        let names = fields(&spec);
        for array in columns() {
            if names.is_empty() || array.data_type().is_nested() {
                continue;
            }
            let numbers = Int64Array::from_iter_values(
                (0..array.len()).map(|row| 110_101_199_001_010 + i64::try_from(row).unwrap()),
            );
            let texts: StringArray = numbers
                .iter()
                .map(|number| number.map(|n| n.to_string()))
                .collect();
            let (numbers, texts): (ArrayRef, ArrayRef) = (Arc::new(numbers), Arc::new(texts));
            let results =
                [(DataType::Int64, numbers), (DataType::Utf8, texts)].map(|(data_type, input)| {
                    let built = built_with(&spec, &array, 1, &data_type)?;
                    let inputs = vec![input; names.len()];
                    let context = Context {
                        inputs: &inputs,
                        chunk: Some(ChunkId {
                            attempt: [3; 16],
                            split: 0,
                            chunk: 0,
                        }),
                    };
                    Some(built.treat(&array, &context).unwrap().array)
                });
            let [Some(one), Some(two)] = results else {
                continue;
            };
            assert_eq!(&one, &two, "{} over {}", spec.summary(), array.data_type());
            tried.insert(spec.kind());
        }
    }
    for kind in [
        "fake-name",
        "date-shift",
        "noise-num",
        "sample",
        "encrypt-rand",
    ] {
        assert!(tried.contains(kind), "{tried:?}");
    }
}

#[test]
fn a_second_pass_brings_nothing_back() {
    for (spec, array, built) in fitting() {
        let spared = may_stay(&spec, array.data_type())
            || spec.treatment().uniqueness() == Uniqueness::Randomised;
        if spared || *built.output_type() != *array.data_type() {
            continue;
        }
        let once = treat(&spec, &*built, &array).unwrap().array;
        let twice = treat(&spec, &*built, &once).unwrap().array;
        for row in somethings(&spec, &*built, &array) {
            let same = twice.slice(row, 1) == array.slice(row, 1);
            assert!(
                !same,
                "{} over {}, row {row}",
                spec.summary(),
                array.data_type()
            );
        }
    }
}

/// Characters of several code points and of four bytes, in places where masks keep something.
const CHARACTERS: [&str; 12] = [
    "𠮷田e\u{301}子",
    "欧阳𠮷👨‍👩‍👧",
    "阿👩‍👩‍👧·𠮷e\u{301}",
    "𠮷e\u{308}.👨‍👩‍👧@𠮷e\u{301}x.cn",
    "👨‍👩‍👧@example.cn",
    "浙江省杭州市西湖区𠮷祥路👨‍👩‍👧号e\u{301}",
    "11010519491231002X\u{301}",
    "1380013800👨‍👩‍👧",
    "e\u{301} 𪛟-👩🏽‍⚕️,🇨🇳 a\u{30A}",
    "🇨🇳🇫🇷🇨🇳🇫🇷",
    "각각각각각각각각",
    "葛\u{E0100}飾区\r\n葛\u{E0100}",
];

#[test]
fn a_mask_gives_whole_characters_of_the_value_or_fills() {
    let masks: BTreeSet<&str> = catalogue()
        .into_iter()
        .filter(|entry| entry.group == "Character masks")
        .map(|entry| entry.kind)
        .collect();
    let array: ArrayRef = Arc::new(StringArray::from(
        [TEXTS.as_slice(), CHARACTERS.as_slice()].concat(),
    ));
    let originals = array.as_string::<i32>();
    let (mut tried, mut keeping) = (BTreeSet::new(), BTreeSet::new());
    for spec in specs() {
        if !masks.contains(spec.kind()) {
            continue;
        }
        let built = built(&spec, &array).unwrap();
        let treated = treat(&spec, &*built, &array).unwrap().array;
        let parameters = spec.treatment().parameters();
        let fill = parameters["fill"].as_str().unwrap();
        for (original, result) in originals.iter().zip(treated.as_string::<i32>()) {
            let (Some(original), Some(result)) = (original, result) else {
                panic!("{} makes null", spec.summary());
            };
            let own: BTreeSet<&str> = original.graphemes(true).collect();
            for cluster in result.graphemes(true) {
                let place = format!("{} makes {result:?} of {original:?}", spec.summary());
                assert!(cluster == fill || own.contains(cluster), "{place}");
                if cluster != fill && cluster.chars().count() > 1 {
                    keeping.insert(spec.kind());
                }
            }
        }
        tried.insert(spec.kind());
    }
    assert_eq!(tried, masks);
    // Those that keep by place, of whatever character there is.
    for kind in ["keep-ends", "mask-range", "mask-around"] {
        assert!(keeping.contains(kind), "{keeping:?}");
    }
}

#[test]
fn an_absent_date_is_never_the_epoch() {
    for entry in catalogue() {
        for action in ["keep", "null", "mask-all"] {
            let rest = entry.example.trim_end().trim_end_matches('}').trim_end();
            let spec = spec(&format!("{rest}, on_null = '{action}' }}"));
            for array in columns()
                .iter()
                .filter(|array| array.data_type().is_temporal())
            {
                let nulls = arrow::array::new_null_array(array.data_type(), 4);
                let Some(built) = built(&spec, array) else {
                    continue;
                };
                if !built.output_type().is_temporal() || entry.kind == "constant" {
                    continue;
                }
                let treated = treat(&spec, &*built, &nulls).unwrap();
                assert_eq!(treated.array.null_count(), 4, "{} {action}", entry.kind);
            }
        }
    }
}

#[test]
fn a_long_value_takes_no_longer_than_its_length_warrants() {
    const BYTES: usize = 1 << 16;
    let long = |text: &str| text.repeat(BYTES / text.len());
    let texts = vec![
        long("1"),
        long("张"),
        long("a@"),
        long("{\"a\":["),
        long("欧阳·"),
        long("省市区"),
        long("e\u{301}"),
        long(" "),
    ];
    let array: ArrayRef = Arc::new(StringArray::from(texts));
    for spec in specs() {
        let Some(built) = built(&spec, &array) else {
            continue;
        };
        let begun = std::time::Instant::now();
        let treated = treat(&spec, &*built, &array).unwrap();
        assert_eq!(treated.array.len(), array.len());
        let took = begun.elapsed();
        // Half a mebibyte, unoptimised: less than a second, where time that grows with the square
        // takes minutes.
        assert!(took.as_secs() < 20, "{} took {took:?}", spec.summary());
    }
}
