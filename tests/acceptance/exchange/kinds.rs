//! Kinds that no other test here runs the program with: each over a field of its own, in one delivery.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use lockgate_acceptance::site::{Dataset, Grant, Site, write_parquet};

use crate::PROGRAM;
use crate::cell::{Cell, array, column};

/// Rows of the source.
const ROWS: usize = 40;

/// A field: name, type in the catalogue, what it holds, its treatment, and what a result must be.
type Case = (
    &'static str,
    &'static str,
    fn(usize) -> Cell,
    &'static str,
    fn(usize, &Cell) -> bool,
);

fn is(cell: &Cell, test: impl Fn(&str) -> bool) -> bool {
    matches!(cell, Cell::Text(text) if test(text))
}

fn between(cell: &Cell, least: i128, most: i128) -> bool {
    matches!(cell, Cell::Whole(value) if (least..=most).contains(value))
}

fn digits(cell: &Cell, count: usize) -> bool {
    is(cell, |text| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A number with its check digit by Luhn.
fn card(row: usize) -> String {
    let first = format!("622202{row:09}");
    let sum: usize = first
        .bytes()
        .rev()
        .enumerate()
        .map(
            |(place, byte)| match (place % 2, usize::from(byte - b'0')) {
                (0, digit) if digit > 4 => digit * 2 - 9,
                (0, digit) => digit * 2,
                (_, digit) => digit,
            },
        )
        .sum();
    format!("{first}{}", (10 - sum % 10) % 10)
}

/// A resident number with its check character.
fn resident(row: usize) -> String {
    let first = format!("11010519491231{row:03}");
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let digits = first.bytes().map(|byte| usize::from(byte - b'0'));
    let sum: usize = digits.zip(weights).map(|(digit, own)| digit * own).sum();
    format!("{first}{}", char::from(b"10X98765432"[sum % 11]))
}

fn masks() -> Vec<Case> {
    vec![
        (
            "mobile",
            "utf8",
            |row| Cell::text(format!("138-0013-80{row:02}")),
            "{ kind = 'typed-mask', of = 'mobile' }",
            |_, found| *found == Cell::text("138********"),
        ),
        (
            "name",
            "utf8",
            |row| Cell::text(["欧阳娜娜", "阿卜杜拉·买买提"][row % 2]),
            "{ kind = 'typed-mask', of = 'person-name' }",
            |row, found| *found == Cell::text(["欧阳**", "阿**·买**"][row % 2]),
        ),
        (
            "home",
            "utf8",
            |row| Cell::text(["浙江省杭州市西湖区文三路1号", "浙江省杭州市红旗路1号"][row % 2]),
            "{ kind = 'typed-mask', of = 'address' }",
            |row, found| {
                *found == Cell::text(["浙江省杭州市西湖区***", "浙江省杭州市***"][row % 2])
            },
        ),
        (
            "shape",
            "utf8",
            |row| Cell::text(format!("张{row}-文三路")),
            "{ kind = 'keep-classes', keep = ['separator'] }",
            |_, found| is(found, |text| text.trim_matches('*') == "-"),
        ),
        (
            "document",
            "utf8",
            |row| {
                Cell::text(format!(
                    r#"{{"id":"{}","tags":["ab"],"more":"secret"}}"#,
                    resident(row)
                ))
            },
            "{ kind = 'json', paths = [{ path = '$.id', category = 'resident-id', treatment = \
             { kind = 'hmac', domain = 'person.id' } }, { path = '$.tags[*]', treatment = \
             { kind = 'keep-ends', first = 1, last = 0 } }] }",
            |row, found| {
                is(found, |text| {
                    let hidden = !text.contains(&resident(row)) && !text.contains("secret");
                    hidden && text.contains(r#""tags":["a*"]"#)
                })
            },
        ),
    ]
}

fn numbers() -> Vec<Case> {
    vec![
        (
            "visits",
            "int64",
            |row| Cell::Whole(row as i128 * 10 - 100),
            "{ kind = 'top-bottom-code', lower = '0', upper = '100' }",
            |row, found| *found == Cell::Whole((row as i128 * 10 - 100).clamp(0, 100)),
        ),
        (
            "income",
            "int64",
            |row| Cell::Whole(row as i128 * 1_000 + 7),
            "{ kind = 'rank-preserving', domain = 'income', lower = '0', upper = '1000000', \
             width = '1000', reveals_order = true }",
            |_, found| between(found, 0, 1_000_000),
        ),
        (
            "amount",
            "int64",
            |row| Cell::Whole(row as i128 * 1_000),
            "{ kind = 'noise-num', domain = 'income', distribution = 'laplace', scale = '100', \
             by = 'person' }",
            |row, found| {
                between(
                    found,
                    row as i128 * 1_000 - 9_999,
                    row as i128 * 1_000 + 9_999,
                )
            },
        ),
        (
            "longitude",
            "float64",
            |row| Cell::Float(120.123_456 + row as f64 / 1_000.0),
            "{ kind = 'geo-coarsen', grid = '0.01', axis = 'longitude', datum = 'WGS84' }",
            |_, found| matches!(found, Cell::Float(place) if (119.0..121.0).contains(place)),
        ),
        (
            "division",
            "utf8",
            |_| Cell::text("330106"),
            "{ kind = 'admin-level', level = 'city' }",
            |_, found| is(found, |text| text.starts_with("3301") && text != "330106"),
        ),
    ]
}

fn surrogates() -> Vec<Case> {
    vec![
        (
            "person",
            "utf8",
            |row| Cell::text(resident(row)),
            "{ kind = 'fake-id', domain = 'person.id' }",
            |row, found| is(found, |text| text.len() == 18 && text != resident(row)),
        ),
        (
            "born",
            "date",
            |row| Cell::Whole(row as i128),
            "{ kind = 'fake-birth-date', domain = 'person.id', by = 'person' }",
            |_, found| between(found, -40_000, 30_000),
        ),
        (
            "sex",
            "utf8",
            |_| Cell::text("男"),
            "{ kind = 'fake-sex', domain = 'person.id', by = 'person' }",
            |_, found| is(found, |text| matches!(text, "男" | "女")),
        ),
        (
            "age",
            "int64",
            |row| Cell::Whole(row as i128),
            "{ kind = 'fake-age', domain = 'person.id', by = 'person', as_of = 2026-01-01 }",
            |_, found| between(found, 0, 150),
        ),
        (
            "region",
            "utf8",
            |_| Cell::text("330106"),
            "{ kind = 'fake-region', domain = 'person.id', by = 'person' }",
            |_, found| digits(found, 6),
        ),
        (
            "called",
            "utf8",
            |_| Cell::text("张三丰"),
            "{ kind = 'fake-name', domain = 'person.id', by = 'person' }",
            |_, found| is(found, |text| text != "张三丰" && text.chars().count() > 1),
        ),
        (
            "phone",
            "utf8",
            |row| Cell::text(format!("138001380{row:02}")),
            "{ kind = 'fake-phone', domain = 'person.id', by = 'person' }",
            |_, found| digits(found, 11),
        ),
        (
            "address",
            "utf8",
            |_| Cell::text("浙江省杭州市西湖区文三路1号"),
            "{ kind = 'fake-address', domain = 'person.id', by = 'person' }",
            |_, found| is(found, |text| text != "浙江省杭州市西湖区文三路1号"),
        ),
        (
            "mail",
            "utf8",
            |row| Cell::text(format!("zhang{row}@hz.gov.cn")),
            "{ kind = 'fake-email', domain = 'person.id', by = 'person' }",
            |_, found| is(found, |text| text.ends_with("@example.cn")),
        ),
        (
            "card",
            "utf8",
            |row| Cell::text(card(row)),
            "{ kind = 'fake-card', domain = 'card' }",
            |row, found| digits(found, 16) && *found != Cell::text(card(row)),
        ),
    ]
}

fn things() -> Vec<Case> {
    vec![
        (
            "company",
            "utf8",
            |row| Cell::text(format!("浙江{row}号科技有限公司")),
            "{ kind = 'fake-org', domain = 'org.id' }",
            |row, found| is(found, |text| text != format!("浙江{row}号科技有限公司")),
        ),
        (
            "code",
            "utf8",
            |_| Cell::text("91110000600037341L"),
            "{ kind = 'fake-uscc', domain = 'org.id' }",
            |_, found| {
                is(found, |text| {
                    text.len() == 18 && text != "91110000600037341L"
                })
            },
        ),
        (
            "plate",
            "utf8",
            |row| Cell::text(format!("浙A123{row:02}")),
            "{ kind = 'fake-plate', domain = 'vehicle' }",
            |row, found| is(found, |text| text != format!("浙A123{row:02}")),
        ),
        (
            "vin",
            "utf8",
            |row| Cell::text(format!("LSVAA{row:012}")),
            "{ kind = 'fake-vin', domain = 'vehicle' }",
            |_, found| {
                is(found, |text| {
                    text.len() == 17 && !text.starts_with("LSVAA0")
                })
            },
        ),
        (
            "passport",
            "utf8",
            |row| Cell::text(format!("E{row:08}")),
            "{ kind = 'fake-passport', domain = 'passport' }",
            |row, found| {
                is(found, |text| {
                    text.len() == 9 && text != format!("E{row:08}")
                })
            },
        ),
        (
            "machine",
            "utf8",
            |row| Cell::text(format!("10.1.2.{row}")),
            "{ kind = 'fake-ip', domain = 'network' }",
            |_, found| is(found, |text| text.parse::<std::net::Ipv4Addr>().is_ok()),
        ),
        (
            "brand",
            "utf8",
            |row| Cell::text(format!("品牌{row}")),
            "{ kind = 'substitute', domain = 'org.name', values = ['甲', '乙', '丙', '丁'] }",
            |_, found| is(found, |text| "甲乙丙丁".contains(text)),
        ),
    ]
}

fn cases() -> Vec<Case> {
    [masks(), numbers(), surrogates(), things()].concat()
}

/// A site whose source has a field for each case.
fn site(cases: &[Case]) -> Site {
    let site = Site::new(PROGRAM);
    site.policy("[marking]\nmin_carriers = 0\n[[rules]]\ntreatment = { kind = 'clear' }\n");
    let plain = |dataset: Dataset, (name, notation, ..): &Case| dataset.plain(name, notation);
    site.dataset(&cases.iter().fold(Dataset::new("kinds"), plain));
    let (fields, columns): (Vec<_>, Vec<_>) = cases
        .iter()
        .map(|(name, notation, value, ..)| {
            let of_type = match *notation {
                "int64" => DataType::Int64,
                "float64" => DataType::Float64,
                "date" => DataType::Date32,
                _ => DataType::Utf8,
            };
            let cells: Vec<Cell> = (0..ROWS).map(value).collect();
            let column = array(&of_type, &cells);
            (Field::new(*name, of_type, true), column)
        })
        .unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    write_parquet(&site.path("lake/kinds/1.parquet"), &batch, 10);
    site
}

#[test]
fn kinds_of_every_group_deliver_what_they_promise() {
    let cases = cases();
    let site = site(&cases);
    let names: Vec<&str> = cases.iter().map(|(name, ..)| *name).collect();
    let treated =
        |grant: Grant, (name, _, _, treatment, _): &Case| grant.treatment(name, treatment);
    site.signed(
        &cases
            .iter()
            .fold(Grant::new("G-1", "kinds", &names), treated),
    );
    let delivery = site.deliver("G-1");
    let rows = delivery.rows();
    assert_eq!(rows.num_rows(), ROWS);
    for (name, _, _, treatment, promised) in &cases {
        for (row, found) in column(&rows, name).iter().enumerate() {
            assert!(
                promised(row, found),
                "{name} {row}: {found:?} by {treatment}"
            );
        }
        let counts = &delivery.manifest()["treatment_counts"][*name];
        for case in ["short", "invalid"] {
            let found = counts[case].as_u64().unwrap_or(0);
            assert_eq!(found, 0, "{name} {case}: {counts}");
        }
    }
    site.json(["verify", delivery.folder().to_str().expect("a path")])
        .expect_code(0);
}

#[test]
fn a_sample_leaves_out_the_same_persons_in_every_grant() {
    let cases = cases();
    let site = site(&cases);
    let sample = "{ kind = 'sample', rate = '0.5', by = 'person', domain = 'person.id', join = \
                  'survey', then = { kind = 'clear' } }";
    let delivered = |id: &str| -> BTreeSet<String> {
        let grant = Grant::new(id, "kinds", &["person"]).more("joins = [\"survey\"]");
        site.signed(&grant.treatment("person", sample));
        let rows = site.deliver(id).rows();
        let persons = column(&rows, "person").into_iter();
        persons.map(|person| format!("{person:?}")).collect()
    };
    let (one, other) = (delivered("G-1"), delivered("G-2"));
    assert_eq!(one, other);
    assert!((5..35).contains(&one.len()), "{}", one.len());
}
