//! Every treatment over every type it fits, against a model that is written here from the
//! documents alone: texts are built from known characters, calendars are counted by hand.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use lockgate_acceptance::site::{Dataset, Grant, Site, TextForm, in_form, write_parquet};

use crate::PROGRAM;
use crate::cell::{Cell, array, cells};
use crate::pseudonym::{derived, pseudonym};

/// Rows of the source, in two files.
const ROWS: usize = 700;

/// What a treatment makes of the value of a row.
type Model = Box<dyn Fn(&Base, usize) -> Cell>;

/// One delivered column: name, type in the catalogue, treatment, and what is expected.
struct Case {
    name: String,
    base: &'static str,
    treatment: String,
    delivered: DataType,
    model: Model,
}

/// The values of one type, row by row; texts also as their characters.
struct Base {
    name: &'static str,
    notation: &'static str,
    data_type: DataType,
    cells: Vec<Cell>,
    characters: Vec<Vec<&'static str>>,
}

/// Characters that take one to many code points; none joins with its neighbour.
const ALPHABET: [&str; 14] = [
    "a",
    "Z",
    "7",
    "0",
    "张",
    "欧",
    "阳",
    "𠮷",
    "é",
    "e\u{301}",
    "👨‍👩‍👧",
    "🇨🇳",
    "-",
    "@",
];

fn random(row: usize, salt: u64) -> u64 {
    let mut x =
        (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

/// Roughly one value in eleven is null.
fn is_null(row: usize, salt: u64) -> bool {
    random(row, salt ^ 0xABCD).is_multiple_of(11)
}

fn text_base() -> Base {
    let mut characters = Vec::new();
    let mut cells = Vec::new();
    for row in 0..ROWS {
        let length = (random(row, 1) % 12) as usize;
        let letters: Vec<&str> = match row % 29 {
            0 => vec![],
            1 => vec!["　", " "],
            _ => (0..length)
                .map(|at| ALPHABET[(random(row, 2 + at as u64) % 14) as usize])
                .collect(),
        };
        // Two flags in a row would be other flags.
        let letters: Vec<&str> = letters
            .iter()
            .enumerate()
            .filter(|(at, letter)| **letter != "🇨🇳" || *at == 0 || letters[at - 1] != "🇨🇳")
            .map(|(_, letter)| *letter)
            .collect();
        cells.push(if is_null(row, 1) {
            Cell::Null
        } else {
            Cell::text(letters.concat())
        });
        characters.push(letters);
    }
    Base {
        name: "text",
        notation: "utf8",
        data_type: DataType::Utf8,
        cells,
        characters,
    }
}

fn base(
    name: &'static str,
    notation: &'static str,
    data_type: DataType,
    value: impl Fn(usize) -> Cell,
) -> Base {
    let salt = name.len() as u64;
    let cells = (0..ROWS)
        .map(|row| {
            if is_null(row, salt) {
                Cell::Null
            } else {
                value(row)
            }
        })
        .collect();
    Base {
        name,
        notation,
        data_type,
        cells,
        characters: vec![Vec::new(); ROWS],
    }
}

fn bases() -> Vec<Base> {
    let whole =
        |row: usize, span: u64, least: i128| Cell::Whole(i128::from(random(row, 7) % span) + least);
    let shanghai = DataType::Timestamp(TimeUnit::Millisecond, Some("Asia/Shanghai".into()));
    vec![
        text_base(),
        base("int64", "int64", DataType::Int64, move |row| {
            match row % 50 {
                0 => Cell::Whole(i64::MAX.into()),
                1 => Cell::Whole(i64::MIN.into()),
                _ => whole(row, 400_000, -200_000),
            }
        }),
        base("int16", "int16", DataType::Int16, move |row| {
            whole(row, 60_000, -30_000)
        }),
        base("uint64", "uint64", DataType::UInt64, move |row| {
            match row % 50 {
                0 => Cell::Whole(u64::MAX.into()),
                _ => whole(row, 90_000, 0),
            }
        }),
        base("float64", "float64", DataType::Float64, |row| {
            match row % 40 {
                0 => Cell::Float(f64::NAN),
                1 => Cell::Float(f64::INFINITY),
                2 => Cell::Float(f64::NEG_INFINITY),
                _ => Cell::Float((random(row, 9) % 2_000_000) as f64 / 1000.0 - 1000.0),
            }
        }),
        base("float32", "float32", DataType::Float32, |row| {
            match row % 40 {
                0 => Cell::Float(f64::NAN),
                _ => Cell::Float((random(row, 9) % 4_000) as f64 / 4.0),
            }
        }),
        base(
            "decimal",
            "decimal(12,2)",
            DataType::Decimal128(12, 2),
            move |row| match row % 50 {
                0 => Cell::Whole(999_999_999_999),
                _ => whole(row, 90_000_000, -30_000_000),
            },
        ),
        base("date", "date", DataType::Date32, move |row| {
            whole(row, 40_000, -18_000)
        }),
        base(
            "moment",
            "timestamp(us)",
            DataType::Timestamp(TimeUnit::Microsecond, None),
            move |row| whole(row, 3_000_000_000_000_000, -900_000_000_000_000),
        ),
        base(
            "zoned",
            "timestamp(ms, Asia/Shanghai)",
            shanghai,
            move |row| {
                whole(row, 1_000_000_000_000, 800_000_000_000) // 1995 to 2027: +08:00 throughout
            },
        ),
        base("flag", "boolean", DataType::Boolean, |row| {
            Cell::Bool(random(row, 3).is_multiple_of(2))
        }),
        base("bytes", "binary", DataType::Binary, |row| {
            Cell::Bytes(random(row, 4).to_be_bytes()[..(row % 8)].to_vec())
        }),
    ]
}

/// Keeps nulls, empty texts and nothing else; `then` gets the others.
fn unless_absent(base: &Base, row: usize, then: impl FnOnce() -> Cell) -> Cell {
    match &base.cells[row] {
        Cell::Null => Cell::Null,
        Cell::Text(text) if text.trim().is_empty() => Cell::Text(text.clone()),
        Cell::Float(value) if !value.is_finite() => Cell::Null,
        _ => then(),
    }
}

fn filled(count: usize) -> String {
    "*".repeat(count)
}

/// A model of a text mask: from characters to the masked text; `None` is short or invalid, which
/// `mask-all` covers with `cover` fills.
fn mask(
    shape: impl Fn(&[&str]) -> Option<String> + 'static,
    cover: impl Fn(usize) -> usize + 'static,
) -> Model {
    Box::new(move |base, row| {
        unless_absent(base, row, || {
            let letters = &base.characters[row];
            Cell::text(shape(letters).unwrap_or_else(|| filled(cover(letters.len()))))
        })
    })
}

fn text_cases() -> Vec<(&'static str, &'static str, Model)> {
    let same = |count| count;
    vec![
        (
            "keep_ends",
            "{ kind = 'keep-ends', first = 1, last = 2 }",
            mask(
                |letters| {
                    let hidden = letters.len().checked_sub(3).filter(|hidden| *hidden > 0)?;
                    let tail = letters[letters.len() - 2..].concat();
                    Some(format!("{}{}{tail}", letters[0], filled(hidden)))
                },
                same,
            ),
        ),
        (
            "keep_ends_fixed",
            "{ kind = 'keep-ends', first = 2, last = 0, length = 3 }",
            mask(
                |letters| (letters.len() > 2).then(|| letters[..2].concat() + &filled(3)),
                |_| 3,
            ),
        ),
        (
            "mask_range",
            "{ kind = 'mask-range', from = 2, to = -2 }",
            mask(
                |letters| {
                    let end = letters.len().checked_sub(1)?;
                    let hidden = end.checked_sub(2).filter(|hidden| *hidden > 0)?;
                    Some(letters[..2].concat() + &filled(hidden) + &letters[end..].concat())
                },
                same,
            ),
        ),
        (
            "mask_around",
            "{ kind = 'mask-around', delimiter = '@', keep = 1 }",
            mask(
                |letters| {
                    let at = letters.iter().position(|letter| *letter == "@")?;
                    let hidden = at.checked_sub(1).filter(|hidden| *hidden > 0)?;
                    Some(letters[..1].concat() + &filled(hidden) + &letters[at..].concat())
                },
                same,
            ),
        ),
        (
            "mask_after",
            "{ kind = 'mask-around', delimiter = '-', side = 'after', occurrence = 'last', keep = 1, length = 2 }",
            mask(
                |letters| {
                    let at = letters.iter().rposition(|letter| *letter == "-")?;
                    let after = &letters[at + 1..];
                    (after.len() > 1)
                        .then(|| letters[..=at].concat() + &filled(2) + after[after.len() - 1])
                },
                |_| 2,
            ),
        ),
    ]
}

/// Half away from zero.
fn round_to(value: i128, step: i128) -> i128 {
    let magnitude = (value.abs() + step / 2) / step * step;
    value.signum() * magnitude
}

fn label(value: i128, width: i128, origin: i128, scale: usize) -> String {
    let lower = (value - origin).div_euclid(width) * width + origin;
    format!(
        "[{},{})",
        shortest(lower, scale),
        shortest(lower + width, scale)
    )
}

/// Decimal text of units of 10^-scale, without zeros that say nothing.
fn shortest(units: i128, scale: usize) -> String {
    let digits = format!("{:0>1$}", units.abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if units < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn whole(cell: &Cell) -> i128 {
    match cell {
        Cell::Whole(value) => *value,
        other => panic!("{other:?} is no whole number"),
    }
}

/// A model over whole numbers (integers, unscaled decimals, days, ticks).
fn of_whole(result: impl Fn(i128) -> Cell + 'static) -> Model {
    Box::new(move |base, row| unless_absent(base, row, || result(whole(&base.cells[row]))))
}

fn of_float(result: impl Fn(f64) -> Cell + 'static) -> Model {
    Box::new(move |base, row| {
        unless_absent(base, row, || match base.cells[row] {
            Cell::Float(value) => result(value),
            ref other => panic!("{other:?} is no float"),
        })
    })
}

/// Year, month and day of a day since 1970, counted year by year.
fn civil(days: i128) -> (i128, usize, i128) {
    let leap = |year: i128| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut rest) = (1970, days);
    while rest < 0 {
        year -= 1;
        rest += if leap(year) { 366 } else { 365 };
    }
    while rest >= if leap(year) { 366 } else { 365 } {
        rest -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

/// The first day of the unit around a day.
fn first_day(days: i128, unit: &str) -> i128 {
    let begins = |day: i128| match unit {
        "week" => (day + 3).rem_euclid(7) == 0, // 1970-01-01 was a Thursday
        "month" => civil(day).2 == 1,
        "quarter" => civil(day).2 == 1 && civil(day).1 % 3 == 1,
        "year" => civil(day).2 == 1 && civil(day).1 == 1,
        _ => true,
    };
    (0..366)
        .map(|back| days - back)
        .find(|day| begins(*day))
        .expect("a first day")
}

fn age_on(birth: i128, as_of: (i128, usize, i128)) -> i128 {
    let (year, month, day) = civil(birth);
    let had_birthday = (as_of.1, as_of.2) >= (month, day);
    as_of.0 - year - i128::from(!had_birthday)
}

/// 2026-03-01.
const AS_OF: (i128, usize, i128) = (2026, 3, 1);

fn age_band(birth: i128) -> Cell {
    if (2026, 3, 1) < civil(birth) {
        return Cell::text(""); // not born: invalid, see `bands_cover_births_to_come`
    }
    match age_on(birth, AS_OF) {
        90.. => Cell::text("90+"),
        age => Cell::text(format!("{}-{}", age / 10 * 10, age / 10 * 10 + 9)),
    }
}

const DAY_US: i128 = 86_400_000_000;

fn cases(site: &Site) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add =
        |name: &str, base: &'static str, treatment: &str, delivered: DataType, model: Model| {
            let (name, treatment) = (format!("{base}_{name}"), treatment.to_owned());
            cases.push(Case {
                name,
                base,
                treatment,
                delivered,
                model,
            });
        };
    for base in bases() {
        let of_type = base.data_type.clone();
        let clear: Model =
            Box::new(|base, row| unless_absent(base, row, || base.cells[row].clone()));
        add(
            "clear",
            base.name,
            "{ kind = 'clear' }",
            of_type.clone(),
            clear,
        );
        add(
            "null",
            base.name,
            "{ kind = 'null' }",
            of_type.clone(),
            Box::new(|_, _| Cell::Null),
        );
    }
    for (name, treatment, model) in text_cases() {
        add(name, "text", treatment, DataType::Utf8, model);
    }
    let constant = |value: Cell| -> Model {
        Box::new(move |base, row| match &base.cells[row] {
            Cell::Null => Cell::Null,
            Cell::Text(text) if text.trim().is_empty() => Cell::Text(text.clone()),
            _ => value.clone(), // `mask-all` of what is not finite is the constant too
        })
    };
    for (base, value, of_type, cell) in [
        ("text", "'隐去'", DataType::Utf8, Cell::text("隐去")),
        ("int64", "-7", DataType::Int64, Cell::Whole(-7)),
        ("float64", "'0.5'", DataType::Float64, Cell::Float(0.5)),
        (
            "decimal",
            "'12.30'",
            DataType::Decimal128(12, 2),
            Cell::Whole(1230),
        ),
        ("date", "1900-01-01", DataType::Date32, Cell::Whole(-25_567)),
        ("flag", "false", DataType::Boolean, Cell::Bool(false)),
    ] {
        let treatment = format!("{{ kind = 'constant', value = {value} }}");
        add("constant", base, &treatment, of_type, constant(cell));
    }
    let key = derived(site, 1, "row.id", "grant:G-all");
    for (base, scale) in [("int64", 0), ("decimal", 2)] {
        let model = of_whole(move |value| {
            let digits = format!("{:0>1$}", value.abs(), scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let point = if scale > 0 { "." } else { "" };
            let sign = if value < 0 { "-" } else { "" };
            Cell::text(pseudonym(&key, &format!("{sign}{whole}{point}{fraction}")))
        });
        add(
            "hmac",
            base,
            "{ kind = 'hmac', domain = 'row.id' }",
            DataType::Utf8,
            model,
        );
    }
    let dates = of_whole(move |value| {
        let (year, month, day) = civil(value);
        Cell::text(pseudonym(&key, &format!("{year:04}-{month:02}-{day:02}")))
    });
    add(
        "hmac",
        "date",
        "{ kind = 'hmac', domain = 'row.id' }",
        DataType::Utf8,
        dates,
    );
    let of_text: Model = Box::new(move |base, row| {
        unless_absent(base, row, || match &base.cells[row] {
            Cell::Text(text) => Cell::text(pseudonym(&key, text)),
            other => panic!("{other:?} is no text"),
        })
    });
    add(
        "hmac",
        "text",
        "{ kind = 'hmac', domain = 'row.id' }",
        DataType::Utf8,
        of_text,
    );
    numbers(&mut add);
    times(&mut add);
    cases
}

type Add<'a> = dyn FnMut(&str, &'static str, &str, DataType, Model) + 'a;

fn numbers(add: &mut Add<'_>) {
    let fits = |value: i128, least: i128, most: i128| {
        if (least..=most).contains(&value) {
            Cell::Whole(value)
        } else {
            Cell::Null
        }
    };
    let ranges = [
        (
            "int64",
            DataType::Int64,
            i64::MIN.into(),
            i64::MAX.into(),
            "1000",
            1000,
        ),
        (
            "int16",
            DataType::Int16,
            i16::MIN.into(),
            i16::MAX.into(),
            "1000",
            1000,
        ),
        ("uint64", DataType::UInt64, 0, u64::MAX.into(), "1000", 1000),
        (
            "decimal",
            DataType::Decimal128(12, 2),
            -999_999_999_999,
            999_999_999_999,
            "12.5",
            1250,
        ),
    ];
    for (base, of_type, least, most, step, units) in ranges {
        let model = of_whole(move |value| fits(round_to(value, units), least, most));
        add(
            "round",
            base,
            &format!("{{ kind = 'round', to = '{step}' }}"),
            of_type.clone(),
            model,
        );
        let scale = if base == "decimal" { 2 } else { 0 };
        let model = of_whole(move |value| Cell::text(label(value, units, 0, scale)));
        let treatment = format!("{{ kind = 'bucket', width = '{step}' }}");
        add("bucket", base, &treatment, DataType::Utf8, model);
        let model = of_whole(move |value| fits(value.div_euclid(units) * units, least, most));
        let treatment = format!("{{ kind = 'bucket', width = '{step}', as = 'lower' }}");
        add("lower", base, &treatment, of_type, model);
    }
    let hundredths = of_float(|value| Cell::Float((value * 100.0).round() / 100.0));
    add(
        "round",
        "float64",
        "{ kind = 'round', to = '0.01' }",
        DataType::Float64,
        hundredths,
    );
    let halves = of_float(|value| Cell::Float((value * 2.0).abs().round().copysign(value) / 2.0));
    add(
        "round",
        "float32",
        "{ kind = 'round', to = '0.5' }",
        DataType::Float32,
        halves,
    );
    let eighths = of_float(|value| {
        let lower = (value / 250.0).floor() * 250.0;
        Cell::text(format!("[{lower},{})", lower + 250.0))
    });
    add(
        "bucket",
        "float64",
        "{ kind = 'bucket', width = '250' }",
        DataType::Utf8,
        eighths,
    );
    let edges = of_whole(|value| {
        Cell::text(match value {
            ..0 => "<0",
            0..1800 => "[0,18)",
            1800..600_050 => "[18,6000.5)",
            _ => ">=6000.5",
        })
    });
    let treatment = "{ kind = 'bucket', edges = ['0', '18', '6000.5'] }";
    add("edges", "decimal", treatment, DataType::Utf8, edges);
}

fn times(add: &mut Add<'_>) {
    for unit in ["year", "quarter", "month", "week"] {
        let treatment = format!("{{ kind = 'date-trunc', unit = '{unit}' }}");
        let model = of_whole(move |days| Cell::Whole(first_day(days, unit)));
        add(unit, "date", &treatment, DataType::Date32, model);
    }
    let of_moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    for (unit, length) in [
        ("minute", 60_000_000),
        ("hour", 3_600_000_000),
        ("day", DAY_US),
    ] {
        let treatment = format!("{{ kind = 'date-trunc', unit = '{unit}' }}");
        let model = of_whole(move |time| Cell::Whole(time.div_euclid(length) * length));
        add(unit, "moment", &treatment, of_moment.clone(), model);
    }
    for unit in ["week", "month", "quarter", "year"] {
        let treatment = format!("{{ kind = 'date-trunc', unit = '{unit}' }}");
        let model =
            of_whole(move |time| Cell::Whole(first_day(time.div_euclid(DAY_US), unit) * DAY_US));
        add(unit, "moment", &treatment, of_moment.clone(), model);
    }
    let of_zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("Asia/Shanghai".into()));
    const EAST_MS: i128 = 8 * 3_600_000;
    const DAY_MS: i128 = 86_400_000;
    for unit in ["day", "month"] {
        let treatment = format!("{{ kind = 'date-trunc', unit = '{unit}' }}");
        let model = of_whole(move |time| {
            let local = (time + EAST_MS).div_euclid(DAY_MS);
            Cell::Whole(first_day(local, unit) * DAY_MS - EAST_MS)
        });
        add(unit, "zoned", &treatment, of_zoned.clone(), model);
    }
    let bands = "{ kind = 'age-band', as_of = 2026-03-01, width = 10 }";
    add("band", "date", bands, DataType::Utf8, of_whole(age_band));
    let model = of_whole(|time| age_band(time.div_euclid(DAY_US)));
    add("band", "moment", bands, DataType::Utf8, model);
}

/// Writes the source in two files with small row groups, text in one form, and gives the bases.
fn write_source(site: &Site, cases: &[Case], form: TextForm) -> Vec<Base> {
    let bases = bases();
    let columns = cases.iter().map(|case| {
        let base = bases
            .iter()
            .find(|base| base.name == case.base)
            .expect("a base");
        (
            Field::new(&case.name, base.data_type.clone(), true),
            array(&base.data_type, &base.cells),
        )
    });
    let (fields, columns): (Vec<_>, Vec<_>) = columns.unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    let batch = in_form(&batch, form);
    write_parquet(&site.path("lake/all/1.parquet"), &batch.slice(0, 300), 70);
    write_parquet(
        &site.path("lake/all/2.parquet"),
        &batch.slice(300, ROWS - 300),
        1000,
    );
    bases
}

fn grant_all(site: &Site, cases: &[Case]) {
    let bases = bases();
    let mut dataset = Dataset::new("all");
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let mut grant = Grant::new("G-all", "all", &names);
    for case in cases {
        let base = bases
            .iter()
            .find(|base| base.name == case.base)
            .expect("a base");
        dataset = dataset.plain(&case.name, base.notation);
        grant = grant.treatment(&case.name, &case.treatment);
    }
    site.dataset(&dataset);
    site.signed(&grant);
}

#[test]
fn every_treatment_over_every_type_delivers_what_the_documents_say() {
    let site = Site::new(PROGRAM);
    let cases = cases(&site);
    let bases = write_source(&site, &cases, TextForm::Utf8);
    grant_all(&site, &cases);
    let delivery = site.deliver("G-all");
    let schema = delivery.schema();
    let rows = delivery.rows();
    assert_eq!(rows.num_rows(), ROWS);
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(
        names,
        cases
            .iter()
            .map(|case| case.name.clone())
            .collect::<Vec<_>>()
    );
    for (case, column) in cases.iter().zip(rows.columns()) {
        let base = bases
            .iter()
            .find(|base| base.name == case.base)
            .expect("a base");
        let field = schema.field_with_name(&case.name).expect("a field");
        assert_eq!(
            (field.data_type(), field.is_nullable()),
            (&case.delivered, true),
            "{}",
            case.name
        );
        for (row, delivered) in cells(column).iter().enumerate() {
            let expected = (case.model)(base, row);
            let expected = match expected {
                // A birth to come is invalid, and covered.
                Cell::Text(text) if text.is_empty() && case.name.ends_with("_band") => {
                    assert!(
                        is_covered(delivered),
                        "{} row {row}: {delivered:?}",
                        case.name
                    );
                    continue;
                }
                other => other,
            };
            let given = &base.cells[row];
            assert_eq!(
                delivered, &expected,
                "{} row {row}, from {given:?}",
                case.name
            );
        }
    }
}

/// Nothing of the value is left.
fn is_covered(cell: &Cell) -> bool {
    match cell {
        Cell::Null => true,
        Cell::Text(text) => text.chars().all(|character| character == '*'),
        _ => false,
    }
}

#[test]
fn the_physical_form_of_text_changes_no_byte_of_the_delivery() {
    let site = Site::new(PROGRAM);
    let cases: Vec<Case> = cases(&site)
        .into_iter()
        .filter(|case| case.base == "text")
        .collect();
    write_source(&site, &cases, TextForm::Utf8);
    grant_all(&site, &cases);
    let plain = site.deliver("G-all").bytes();
    for form in &TextForm::ALL[1..] {
        write_source(&site, &cases, *form);
        let delivery = site.deliver("G-all");
        assert!(delivery.bytes() == plain, "{form:?}");
    }
}

#[test]
fn a_withheld_field_is_not_there_and_the_manifest_says_why() {
    let site = Site::new(PROGRAM);
    let cases: Vec<Case> = cases(&site)
        .into_iter()
        .filter(|case| case.base == "date")
        .collect();
    write_source(&site, &cases, TextForm::Utf8);
    let mut dataset = Dataset::new("all");
    for case in &cases {
        let level = if case.name == "date_null" { "4" } else { "1" };
        dataset = dataset.field(&case.name, "date", "other", level);
    }
    site.dataset(&dataset);
    // No rule matches level 4.
    site.policy("[[rules]]\nmax_level = 3\ntreatment = { kind = 'clear' }\n");
    let grant = Grant::new("G-all", "all", &["date_clear", "date_null", "date_year"])
        .treatment("date_year", "{ kind = 'withhold' }");
    site.signed(&grant);
    let delivery = site.deliver("G-all");
    let names: Vec<String> = delivery
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["date_clear"]);
    let withheld = delivery.manifest()["withheld"]
        .as_array()
        .expect("withheld");
    let names: Vec<&str> = withheld
        .iter()
        .filter_map(|field| field["name"].as_str())
        .collect();
    assert_eq!(names, ["date_null", "date_year"]);
    assert!(
        withheld[0]["reason"]
            .as_str()
            .expect("a reason")
            .contains("no policy rule")
    );
    assert!(
        withheld[1]["reason"]
            .as_str()
            .expect("a reason")
            .contains("grant")
    );
}
