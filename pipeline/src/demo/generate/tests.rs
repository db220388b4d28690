//! What generated tables promise: identifiers that pass checks written independently of the
//! generator, a known share of dirty rows, and rows that do not depend on how they were cut.

#![expect(
    clippy::as_conversions,
    clippy::string_slice,
    reason = "row numbers are small, and identifiers are ASCII"
)]

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, TimestampMillisecondType};
use chrono::{Datelike, NaiveDate};

use super::*;

const SEED: u64 = 42;

fn text<'a>(batch: &'a RecordBatch, column: &str) -> Vec<Option<&'a str>> {
    batch
        .column_by_name(column)
        .unwrap()
        .as_string::<i32>()
        .iter()
        .collect()
}

/// ISO 7064 MOD 11-2, by the recursive method rather than by weights.
fn is_resident_id(id: &str) -> bool {
    if id.len() != 18 || NaiveDate::parse_from_str(&id[6..14], "%Y%m%d").is_err() {
        return false;
    }
    let value = |c: char| if c == 'X' { Some(10) } else { c.to_digit(10) };
    let sum = id
        .chars()
        .enumerate()
        .try_fold(0, |product, (place, character)| {
            let sum = product + value(character).filter(|&v| v < 10 || place == 17)?;
            Some(if place == 17 { sum } else { sum * 2 % 11 })
        });
    sum.is_some_and(|sum| sum % 11 == 1)
}

/// GB 32100, with the GB 11714 code inside it.
fn is_credit_code(code: &str) -> bool {
    let alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let values: Option<Vec<usize>> = code.chars().map(|c| alphabet.find(c)).collect();
    let Some(values) = values.filter(|values| values.len() == 18) else {
        return false;
    };
    let mut weight = 1;
    let mut sum = 0;
    for value in &values {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    // The weight of the last character, 3^17 mod 31, is 22; the standard adds it with weight 1.
    let whole = (sum - values[17] * 22 + values[17]) % 31 == 0;
    let organisation = &code[8..17];
    let weights = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = organisation
        .chars()
        .zip(weights)
        .map(|(c, w)| c.to_digit(36).unwrap() * w)
        .sum();
    let check = match organisation.chars().nth(8).unwrap() {
        'X' => 10,
        digit => digit.to_digit(10).unwrap(),
    };
    whole && (sum + check).is_multiple_of(11)
}

fn passes_luhn(digits: &str) -> bool {
    let doubled = |d: u32| [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][d as usize];
    let sum: u32 = digits
        .chars()
        .rev()
        .map(|c| c.to_digit(10).unwrap())
        .enumerate()
        .map(|(place, digit)| {
            if place % 2 == 1 {
                doubled(digit)
            } else {
                digit
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[test]
fn the_checks_of_these_tests_know_published_numbers() {
    for id in ["11010519491231002X", "360426199101010071"] {
        assert!(is_resident_id(id));
    }
    assert!(!is_resident_id("110105194912310021"));
    assert!(is_credit_code("91110000600037341L"));
    assert!(!is_credit_code("911100006000373410"));
    assert!(passes_luhn("490154203237518") && !passes_luhn("490154203237519"));
}

#[test]
fn residents_have_valid_identifiers_except_where_dirty() {
    let batch = residents(0..20_000, SEED).unwrap();
    let (ids, genders) = (text(&batch, "person_id"), text(&batch, "gender"));
    let births = batch
        .column_by_name("birth_date")
        .unwrap()
        .as_primitive::<Date32Type>();
    for (row, (id, gender)) in ids.iter().zip(&genders).enumerate() {
        let id = id.unwrap();
        match Defect::of(SEED, row as u64) {
            Some(Defect::LegacyId) => assert_eq!(id.len(), 15),
            Some(Defect::LowerCaseId) => {
                assert!(id.ends_with('x') && is_resident_id(&id.to_uppercase()));
            }
            defect => {
                assert!(is_resident_id(id));
                let man = id[14..17].parse::<u32>().unwrap() % 2 == 1;
                assert_eq!(*gender, Some(if man { "男" } else { "女" }));
                let born = births.value_as_date(row).unwrap();
                if defect == Some(Defect::SentinelBirthDate) {
                    assert_eq!(born, NaiveDate::from_ymd_opt(1900, 1, 1).unwrap());
                } else {
                    assert_eq!(born.format("%Y%m%d").to_string(), id[6..14]);
                }
            }
        }
    }
    for card in text(&batch, "bank_card") {
        let card = card.unwrap();
        assert!((16..=19).contains(&card.len()) && passes_luhn(card));
    }
    let employers = text(&batch, "employer_code");
    assert!(employers.iter().flatten().all(|code| is_credit_code(code)));
    for (row, (employer, born)) in employers.iter().zip(births.values()).enumerate() {
        if Defect::of(SEED, row as u64) != Some(Defect::SentinelBirthDate) {
            assert_eq!(employer.is_none(), *born >= 14_610, "row {row}");
        }
    }
}

#[test]
fn every_defect_shows_in_its_field_and_nowhere_else() {
    let batch = residents(0..40_000, SEED).unwrap();
    let (names, mobiles) = (text(&batch, "name"), text(&batch, "mobile"));
    let (emails, remarks) = (text(&batch, "email"), text(&batch, "remark"));
    let scores = batch
        .column_by_name("score")
        .unwrap()
        .as_primitive::<Float64Type>();
    let mut seen = BTreeMap::new();
    for row in 0..batch.num_rows() {
        let defect = Defect::of(SEED, row as u64);
        let mobile = mobiles[row].unwrap();
        let plain = mobile.len() == 11 && mobile.starts_with('1');
        let found = [
            (names[row].is_none(), Defect::NullName),
            (names[row] == Some(""), Defect::EmptyName),
            (
                names[row].is_some_and(|n| !n.is_empty() && n.trim().is_empty()),
                Defect::BlankName,
            ),
            (mobile.len() == 7, Defect::ShortMobile),
            (mobile.starts_with('１'), Defect::WideMobile),
            (
                mobile.starts_with("+86 1") && mobile.len() == 15,
                Defect::PrefixedMobile,
            ),
            (
                emails[row].is_some_and(|e| !e.contains('@')),
                Defect::BrokenEmail,
            ),
            (scores.value(row).is_nan(), Defect::NanScore),
            (
                remarks[row].is_some_and(|r| r.contains('👍')),
                Defect::EmojiRemark,
            ),
            (
                remarks[row].is_some_and(|r| r.contains('\u{301}')),
                Defect::CombiningRemark,
            ),
        ];
        for (shows, which) in found {
            assert_eq!(shows, defect == Some(which), "row {row}: {which}");
        }
        let of_mobile = [
            Defect::ShortMobile,
            Defect::WideMobile,
            Defect::PrefixedMobile,
        ];
        assert_eq!(
            plain,
            !defect.is_some_and(|d| of_mobile.contains(&d)),
            "row {row}"
        );
        if let Some(defect) = defect {
            *seen.entry(defect).or_insert(0_u64) += 1;
        }
    }
    assert_eq!(seen, Defect::count(0..40_000, SEED));
    assert_eq!(seen.len(), Defect::ALL.len());
}

#[test]
fn names_hold_compound_dotted_and_rare_ones() {
    let batch = residents(0..40_000, SEED).unwrap();
    let names: HashSet<&str> = text(&batch, "name").into_iter().flatten().collect();
    assert!(names.iter().any(|name| name.starts_with("欧阳")));
    assert!(names.iter().any(|name| name.contains('·')));
    assert!(
        names
            .iter()
            .any(|name| name.chars().any(|c| c as u32 > 0xFFFF))
    );
}

#[test]
fn shares_are_as_documented() {
    let batch = residents(0..40_000, SEED).unwrap();
    let share = |count: usize| count as f64 / 40_000.0;
    let emails = batch.column_by_name("email").unwrap();
    assert!((share(emails.null_count()) - 0.04).abs() < 0.005);
    let active = text(&batch, "status")
        .iter()
        .filter(|s| **s == Some("active"))
        .count();
    assert!((share(active) - 0.92).abs() < 0.01);
    let incomes = batch
        .column_by_name("income")
        .unwrap()
        .as_primitive::<Decimal128Type>();
    let mut cents: Vec<i128> = incomes.iter().flatten().collect();
    cents.sort_unstable();
    let median = cents[cents.len() / 2] as f64 / 100.0;
    assert!((median / 11.2_f64.exp() - 1.0).abs() < 0.03, "{median}");
}

#[test]
fn enterprises_have_valid_codes_that_do_not_repeat() {
    let batch = enterprises(0..70_000, SEED).unwrap();
    let codes = text(&batch, "credit_code");
    assert!(codes.iter().all(|code| is_credit_code(code.unwrap())));
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
    let regions = text(&batch, "region_code");
    assert!(
        codes
            .iter()
            .zip(regions)
            .all(|(code, region)| code.unwrap()[2..8] == *region.unwrap())
    );
}

#[test]
fn employers_are_registered_enterprises() {
    let register = enterprises(0..u64::from(EMPLOYERS), SEED).unwrap();
    let codes: HashSet<_> = text(&register, "credit_code").into_iter().collect();
    let residents = residents(0..5_000, SEED).unwrap();
    let employers = text(&residents, "employer_code").into_iter().flatten();
    assert!(
        employers
            .into_iter()
            .all(|code| codes.contains(&Some(code)))
    );
}

#[test]
fn payments_belong_to_residents_and_follow_their_rate() {
    let batch = payments(0..2_400, SEED).unwrap();
    let residents = residents(0..200, SEED).unwrap();
    let ids = text(&residents, "person_id");
    let periods = batch
        .column_by_name("period")
        .unwrap()
        .as_primitive::<Date32Type>();
    let paid = batch
        .column_by_name("paid_at")
        .unwrap()
        .as_primitive::<TimestampMillisecondType>();
    for (row, id) in text(&batch, "person_id").into_iter().enumerate() {
        assert!(is_resident_id(id.unwrap()));
        if Defect::of(SEED, row as u64 / 12).is_none() {
            assert_eq!(id, ids[row / 12]);
        }
        let (period, day) = (
            periods.value_as_date(row).unwrap(),
            paid.value_as_date(row).unwrap(),
        );
        assert_eq!(
            (period.year(), period.month(), period.day()),
            (2025, row as u32 % 12 + 1, 1)
        );
        assert_eq!(day.month(), period.month());
    }
    let base = batch
        .column_by_name("base")
        .unwrap()
        .as_primitive::<Decimal128Type>();
    let amount = batch
        .column_by_name("amount")
        .unwrap()
        .as_primitive::<Decimal128Type>();
    let rates = [240, 95, 10, 4];
    for (base, amount) in base.values().iter().zip(amount.values()) {
        assert!(
            rates
                .iter()
                .any(|rate| (base * rate + 500) / 1000 == *amount)
        );
    }
}

#[test]
fn rows_do_not_depend_on_how_they_are_cut() {
    for table in [
        Table::Residents,
        Table::Enterprises,
        Table::Payments,
        Table::HealthRecords,
    ] {
        let whole = table.rows(0..3_000, SEED).unwrap();
        let cuts = [0, 1, 7, 1_000, 1_001, 2_999, 3_000];
        let parts: Vec<RecordBatch> = cuts
            .windows(2)
            .map(|cut| table.rows(cut[0]..cut[1], SEED).unwrap())
            .collect();
        assert_eq!(
            whole,
            concat_batches(&table.schema(), &parts).unwrap(),
            "{table:?}"
        );
        assert_ne!(whole, table.rows(0..3_000, SEED + 1).unwrap(), "{table:?}");
        assert_eq!(table.rows(5..5, SEED).unwrap().num_rows(), 0);
    }
}

#[test]
fn parquet_files_hold_the_rows_and_are_the_same_each_time() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    for target in [&first, &second] {
        write_parquet(target, Table::Residents, 130_000, SEED).unwrap();
    }
    let mut rows = Vec::new();
    for part in ["part-00000.parquet", "part-00001.parquet"] {
        let bytes = std::fs::read(first.join(part)).unwrap();
        assert_eq!(bytes, std::fs::read(second.join(part)).unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
        rows.extend(reader.build().unwrap().map(|batch| batch.unwrap()));
    }
    let written = concat_batches(&residents_schema(), &rows).unwrap();
    assert_eq!(written, residents(0..130_000, SEED).unwrap());
}

#[test]
fn csv_tells_null_from_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("residents.csv");
    write_csv(&path, Table::Residents, 2_000, SEED, Encoding::Utf8).unwrap();
    let lines = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2_001);
    let fields = residents_schema().fields().len();
    assert_eq!(lines[0].split(',').count(), fields);
    for (row, line) in lines[1..].iter().enumerate() {
        let name = line.split(',').nth(1).unwrap();
        match Defect::of(SEED, row as u64) {
            Some(Defect::NullName) => assert_eq!(name, ""),
            Some(Defect::EmptyName) => assert_eq!(name, "\"\""),
            Some(Defect::BlankName) => assert_eq!(name, "\"\u{3000} \""),
            _ => assert!(!name.is_empty() && !name.starts_with('"')),
        }
    }
}

#[test]
fn gb18030_holds_the_same_text() {
    let directory = tempfile::tempdir().unwrap();
    let (utf8, gb) = (
        directory.path().join("u.csv"),
        directory.path().join("g.csv"),
    );
    write_csv(&utf8, Table::Residents, 3_000, SEED, Encoding::Utf8).unwrap();
    write_csv(&gb, Table::Residents, 3_000, SEED, Encoding::Gb18030).unwrap();
    let bytes = std::fs::read(gb).unwrap();
    let (text, _, malformed) = encoding_rs::GB18030.decode(&bytes);
    assert!(!malformed);
    assert_eq!(text, std::fs::read_to_string(utf8).unwrap());
}
