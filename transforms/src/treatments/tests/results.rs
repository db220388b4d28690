//! What results are declared to be: how wide, and how far apart.

use std::collections::HashMap;

use arrow::array::UInt32Array;
use arrow::compute::{filter, take};

use super::*;
use crate::check_digit;
use crate::spec::Width;
use crate::testing::keys_of;

/// A column, by type, of many values that are all different, of the kinds that identifiers have.
fn pools() -> Vec<ArrayRef> {
    let mut pools: Vec<ArrayRef> = vec![Arc::new(StringArray::from(identifiers()))];
    let numbers = || (0..2_000_u64).map(|row| row * 499_979 % 1_000_000_007);
    let integers = numbers().map(|number| i64::try_from(number).unwrap());
    pools.push(Arc::new(Int64Array::from_iter_values(integers)));
    pools.push(Arc::new(UInt64Array::from_iter_values(numbers())));
    pools.push(Arc::new(Date32Array::from_iter_values(-1_000..1_000)));
    let decimals = numbers().map(i128::from);
    let decimals = Decimal128Array::from_iter_values(decimals);
    pools.push(Arc::new(decimals.with_precision_and_scale(12, 0).unwrap()));
    pools
}

/// Valid identifiers of every kind, and other texts, each in one spelling.
pub(super) fn identifiers() -> Vec<String> {
    let mut texts = crate::surrogate::testing::resident_ids(300);
    let with_check = |payload: String, check: fn(&[u8]) -> Option<u8>| {
        let check = char::from(check(payload.as_bytes()).unwrap());
        format!("{payload}{check}")
    };
    for number in 0..300_u64 {
        let spread = number * 7_919 % 100_000_000;
        texts.push(format!("138{spread:08}"));
        texts.push(with_check(
            format!("622202{:012}", spread * 31),
            check_digit::luhn::check,
        ));
        let inner = format!("{spread:08}");
        let inner = with_check(inner, check_digit::organisation_code::check);
        let code = format!("91330100{inner}");
        texts.push(with_check(code, check_digit::credit_code::check));
        texts.push(format!("10.{}.{}.7", number % 200, number / 200));
        texts.push(format!("person{number}@example.cn"));
        texts.push(format!("浙江省杭州市西湖区文三路{number}号"));
        texts.push(format!("A{number}b"));
        texts.push(format!("浙A{:05}", spread % 100_000));
        texts.push(format!("E{spread:08}"));
    }
    texts.push("1M8GDM9AXKP042788".to_owned());
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// The same treatment, with what is short or invalid rejected.
fn strict(spec: &TreatmentSpec) -> TreatmentSpec {
    let options = Options {
        on_short: Action::Reject,
        on_invalid: Action::Reject,
        ..Options::default()
    };
    TreatmentSpec::new(spec.treatment().clone(), options)
}

/// The rows that are delivered, before and after.
fn delivered(array: &ArrayRef, treated: &Treated) -> (ArrayRef, ArrayRef) {
    let gone = |row: usize| {
        let set = |flags: &Option<arrow::buffer::BooleanBuffer>| {
            flags.as_ref().is_some_and(|flags| flags.value(row))
        };
        set(&treated.rejected) || set(&treated.dropped)
    };
    let kept: BooleanArray = (0..array.len()).map(|row| Some(!gone(row))).collect();
    let of = |array: &ArrayRef| filter(array, &kept).unwrap();
    (of(array), of(&treated.array))
}

fn shown(array: &ArrayRef, row: usize) -> String {
    arrow::util::display::array_value_to_string(array, row).unwrap()
}

#[test]
fn every_kind_declared_bijective_is_one() {
    let mut tried: HashMap<&str, usize> = HashMap::new();
    for spec in specs() {
        let bijective = spec.treatment().uniqueness() == Uniqueness::Bijective;
        for array in pools() {
            let strict = strict(&spec);
            if !bijective || strict.uniqueness(array.data_type()) != Uniqueness::Bijective {
                continue;
            }
            let Some(built) = built(&strict, &array) else {
                continue;
            };
            let (before, after) = delivered(&array, &treat(&strict, &*built, &array).unwrap());
            let mut seen: HashMap<String, usize> = HashMap::new();
            for row in 0..after.len() {
                assert!(after.is_valid(row), "{} makes null", spec.kind());
                if let Some(other) = seen.insert(shown(&after, row), row) {
                    let (one, two) = (shown(&before, other), shown(&before, row));
                    panic!("{} maps {one} and {two} to one value", spec.summary());
                }
            }
            restores(&strict, &before, &after);
            *tried.entry(spec.kind()).or_default() += after.len();
        }
    }
    for entry in catalogue() {
        let tried = tried.get(entry.kind).copied().unwrap_or_default();
        let declared = entry.uniqueness == Uniqueness::Bijective;
        assert!(!declared || tried >= 100, "{}: {tried} values", entry.kind);
    }
}

/// Numbers of vehicles that are all different.
fn vehicles() -> ArrayRef {
    let numbers = (0..300).map(|number| format!("LSVAU033{:09}", number * 7_919));
    Arc::new(StringArray::from_iter_values(numbers))
}

/// Treats a column whose every row is somebody else's, and asks for no other treatment.
fn treat_apart(spec: &TreatmentSpec, built: &dyn Treatment, array: &ArrayRef) -> Treated {
    let reads = spec.reads().into_iter();
    let inputs: Vec<ArrayRef> = reads
        .map(|read| -> ArrayRef {
            match read {
                Read::Condition(_) => Arc::new(BooleanArray::from(vec![false; array.len()])),
                Read::Field(_) | Read::Entity(_) => {
                    let names = (0..array.len()).map(|row| format!("P{row}"));
                    Arc::new(StringArray::from_iter_values(names))
                }
            }
        })
        .collect();
    let context = Context {
        inputs: &inputs,
        chunk: None,
    };
    built.treat(array, &context).unwrap()
}

/// How many pairs there are of so many.
fn pairs(count: usize) -> u128 {
    let count = u128::try_from(count).unwrap();
    count * count.saturating_sub(1) / 2
}

#[test]
fn different_values_meet_no_more_often_than_declared() {
    let mut tried: HashMap<&str, usize> = HashMap::new();
    for spec in specs() {
        let strict = strict(&spec);
        for array in pools().into_iter().chain([vehicles()]) {
            let declared = strict.uniqueness(array.data_type());
            let Uniqueness::Probabilistic { bits } = declared else {
                continue;
            };
            let Some(built) = built(&strict, &array) else {
                continue;
            };
            let (_, after) = delivered(&array, &treat_apart(&strict, &*built, &array));
            let mut counts: HashMap<String, usize> = HashMap::new();
            for row in 0..after.len() {
                assert!(after.is_valid(row), "{} makes null", spec.kind());
                *counts.entry(shown(&after, row)).or_default() += 1;
            }
            let met: u128 = counts.values().map(|count| pairs(*count)).sum();
            // Four times as many as are expected, and a few where none is.
            let expected = (4 * pairs(after.len())).checked_shr(bits).unwrap_or(0);
            assert!(
                met <= expected + 3,
                "{}: {met} pairs of {} values meet, of which {bits} bits are declared",
                spec.summary(),
                after.len()
            );
            *tried.entry(spec.kind()).or_default() += after.len();
        }
    }
    for entry in catalogue() {
        let tried = tried.get(entry.kind).copied().unwrap_or_default();
        let declared = matches!(entry.uniqueness, Uniqueness::Probabilistic { .. });
        assert!(!declared || tried >= 100, "{}: {tried} values", entry.kind);
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these kinds are turned back by a treatment or an opener of a column"
)]
/// Whoever holds the key gets the values back, where a treatment says so.
fn restores(spec: &TreatmentSpec, before: &ArrayRef, after: &ArrayRef) {
    let column = Column::alone("field", before.data_type(), "resident-id");
    let keys = keys_of(spec);
    let key = keys.first().map(|(_, key)| key);
    let options = spec.options();
    let restored = match spec.treatment() {
        AnyTreatment::PermuteInt(permute) => permute.restore(column, options, key),
        AnyTreatment::Fpe(fpe) => fpe.restore(column, options, key),
        AnyTreatment::StructuredId(structured) => structured.restore(column, options, key),
        AnyTreatment::EncryptDet(encrypt) => {
            let opener = encrypt.opener(key.unwrap());
            let opened = opener.open_column(after.as_string::<i32>()).unwrap();
            // An identifier of text is restored in its one spelling, which has no hyphens; numbers
            // and dates as they are.
            let is_text = *before.data_type() == DataType::Utf8;
            let text = |row| match is_text {
                true => shown(before, row).replace('-', ""),
                false => shown(before, row),
            };
            let texts: Vec<String> = (0..before.len()).map(text).collect();
            let found: Vec<String> = (0..opened.len()).map(|row| shown(&opened, row)).collect();
            assert_eq!(found, texts, "{}", spec.summary());
            return;
        }
        _ => return,
    };
    let restored = restored.unwrap().apply(after).unwrap();
    assert_eq!(&restored.array, before, "{}", spec.summary());
}

/// The bytes of a result; `None` for a null, and for types that have no width.
fn bytes(array: &ArrayRef, row: usize) -> Option<usize> {
    if array.is_null(row) {
        return None;
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Some(texts.value(row).len());
    }
    array
        .as_binary_opt::<i32>()
        .map(|values| values.value(row).len())
}

/// What registers hold of persons and organisations, beside identifiers.
fn facets() -> ArrayRef {
    let mut texts: Vec<String> = ["男性", "FEMALE", "40", "330106", "1M8GDM9AXKP042788"]
        .map(str::to_owned)
        .to_vec();
    for number in 1..40 {
        texts.push(format!("1949年12月{:02}日", number % 28 + 1));
        texts.push(format!("2001:db8::{number:x}"));
        texts.push(format!("浙江省第{number}有限公司"));
        texts.push(format!("E{number:08}"));
    }
    Arc::new(StringArray::from(texts))
}

/// About sixty rows of a column.
fn some(array: &ArrayRef) -> ArrayRef {
    let rows = u32::try_from(array.len()).unwrap();
    let step = array.len().div_ceil(60);
    let rows: Vec<u32> = (0..rows).step_by(step).collect();
    take(array, &UInt32Array::from(rows), None).unwrap()
}

#[test]
fn results_are_no_wider_than_declared() {
    let mut reached: HashMap<&str, bool> = HashMap::new();
    for spec in specs() {
        let pools = pools();
        for array in columns()
            .into_iter()
            .chain(pools.iter().map(some))
            .chain([facets()])
        {
            let Some(built) = built(&spec, &array) else {
                continue;
            };
            let Some(width) = spec.width(array.data_type(), built.output_type()) else {
                continue;
            };
            for row in 0..array.len() {
                let treated = treat_slice(&spec, &*built, &array, row..row + 1).unwrap();
                let counts = treated.counts;
                let decided = counts.empty + counts.short + counts.invalid > 0;
                let Some(found) = bytes(&treated.array, 0).filter(|_| width.strict || !decided)
                else {
                    continue;
                };
                let Width { bytes, .. } = width;
                let place = format!("{} over {}", spec.summary(), array.data_type());
                assert!(found <= bytes, "{place}: {found} bytes, not {bytes}");
                *reached.entry(spec.kind()).or_default() |= 2 * found >= bytes;
            }
        }
    }
    for kind in KINDS.iter().filter(|kind| kind.starts_with("fake-")) {
        assert!(reached.contains_key(kind), "{kind}");
    }
    // No width is so generous that it says nothing.
    for (kind, reached) in reached {
        assert!(reached || kind == "admin-level", "{kind}");
    }
}

/// What the page says in plain numbers of bytes is what the treatments come to.
#[test]
fn the_manual_says_the_width_that_there_is() {
    let words: HashMap<&str, &str> = catalogue()
        .into_iter()
        .filter_map(|entry| entry.width.map(|words| (entry.kind, words)))
        // Where a parameter decides, its name or what it lists stands there.
        .filter(|(_, words)| !words.contains('`') && !words.contains("digits"))
        .collect();
    let mut compared = 0;
    for spec in specs() {
        let width = spec.width(&DataType::Utf8, &DataType::Utf8);
        let Some((width, words)) = width.zip(words.get(spec.kind())) else {
            continue;
        };
        let numbers = words.split(|own: char| !own.is_ascii_digit());
        let mut numbers = numbers
            .filter_map(|own| own.parse::<usize>().ok())
            .peekable();
        if numbers.peek().is_some() {
            compared += 1;
            let said = numbers.any(|bytes| bytes == width.bytes);
            assert!(said, "{} {words}: {}", spec.summary(), width.bytes);
        }
    }
    assert!(compared > 15, "{compared}");
}

#[test]
fn the_manual_says_the_type_of_results() {
    for entry in catalogue() {
        let spec = spec(entry.example);
        for array in columns() {
            let Some(built) = built(&spec, &array) else {
                continue;
            };
            let given = built.output_type();
            let kept = given == array.data_type();
            match (entry.result, given) {
                (None, _) => assert!(kept, "{} gives {given}", entry.kind),
                (Some(result), _) if result.starts_with("the ") => {}
                (Some(result), DataType::Utf8) => assert!(result.contains("utf8"), "{result}"),
                (Some(result), DataType::Binary) => assert!(result.contains("binary"), "{result}"),
                (Some(result), DataType::Int32) => assert!(result.contains("int32"), "{result}"),
                (Some(result), _) => panic!("{} gives {given}, not {result}", entry.kind),
            }
        }
    }
}

#[test]
fn the_manual_says_the_widths_of_typed_masks() {
    let kinds = [
        ("resident-id", 18),
        ("credit-code", 18),
        ("mobile", 11),
        ("permit", 11),
        ("bank-card", 19),
        ("plate", 24),
        ("passport", 9),
        ("ip", 39),
    ];
    for (of, bytes) in kinds {
        let spec = spec(&format!(
            "{{ kind = 'typed-mask', of = '{of}', on_invalid = 'null' }}"
        ));
        let width = spec.width(&DataType::Utf8, &DataType::Utf8);
        assert_eq!(width.map(|width| width.bytes), Some(bytes), "{of}");
        let mut entries = catalogue().into_iter();
        let entry = entries.find(|entry| entry.kind == "typed-mask").unwrap();
        assert!(entry.width.unwrap().contains(&format!("{bytes} ")), "{of}");
    }
}

#[test]
fn the_manual_says_a_width_where_there_is_one() {
    for entry in catalogue() {
        let spec = spec(entry.example);
        let mut declared = false;
        for array in columns() {
            if let Some(built) = built(&spec, &array) {
                declared |= spec.width(array.data_type(), built.output_type()).is_some();
            }
        }
        // Wrappers have that of what they hold, and neither a geohash nor edges are part of an example.
        let depends = [
            "when",
            "case",
            "drop-row",
            "sample",
            "pipeline",
            "geo-coarsen",
            "bucket",
        ];
        if !depends.contains(&entry.kind) {
            assert_eq!(declared, entry.width.is_some(), "{}", entry.kind);
        }
    }
}
