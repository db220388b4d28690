//! The register of enterprises.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, Decimal128Builder, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::identifier::{CREDIT_ALPHABET, credit_code};
use super::person::{People, push_mobile};
use super::random::{Random, mix};
use super::text::Text;
use super::vocabulary::{BRANDS, FORMS, INDUSTRIES, REGIONS, Region};

/// How many enterprises employ the residents; a register of so many rows holds them all.
pub const EMPLOYERS: u32 = 60_000;

/// Days from 1970-01-01 to 1992-01-01, the earliest day of establishment.
const ESTABLISHED_FROM: i32 = 8_035;

/// Schema of [`enterprises`].
pub fn enterprises_schema() -> SchemaRef {
    let utf8 = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        utf8("credit_code"),
        utf8("name"),
        utf8("legal_representative"),
        Field::new("registered_capital", DataType::Decimal128(18, 2), true),
        Field::new("established", DataType::Date32, true),
        utf8("industry"),
        utf8("region_code"),
        utf8("contact_mobile"),
        utf8("status"),
    ]))
}

/// Rows of the register of enterprises. A row depends on seed and row number only.
///
/// # Errors
/// More rows than one Arrow array can hold (2 GiB of text).
pub fn enterprises(rows: Range<u64>, seed: u64) -> Result<RecordBatch, ArrowError> {
    let people = People::new(seed);
    let count = super::length(&rows);
    let mut code = Text::new(count, 18);
    let mut name = Text::new(count, 45);
    let mut representative = Text::new(count, 9);
    let mut capital = Decimal128Builder::with_capacity(count);
    let mut established = Date32Builder::with_capacity(count);
    let mut industry = Text::new(count, 30);
    let mut region_code = Text::new(count, 6);
    let mut mobile = Text::new(count, 11);
    let mut status = Text::new(count, 7);
    for row in rows {
        let body = Body::of(seed, row);
        let mut random = Random::of(seed, super::ENTERPRISES, row);
        code.push_ascii(&body.code);
        code.end();
        let (industry_name, word) = random.pick(&INDUSTRIES);
        name.push(body.region.city);
        name.push(random.pick(&BRANDS));
        name.push(random.pick(&BRANDS));
        name.push(word);
        name.value(random.pick(&FORMS));
        let male = random.below(10) < 7;
        people.name(&mut random, male, &mut representative);
        let units = random.log_normal_cents(5.0, 1.2) / 100 + 1;
        capital.append_value(i128::from(units) * 10_000 * 100);
        established
            .append_value(ESTABLISHED_FROM + i32::try_from(random.below(12_000)).unwrap_or(0));
        industry.value(industry_name);
        region_code.push_number(body.region.code, 6);
        region_code.end();
        push_mobile(&mut random, &mut mobile);
        mobile.end();
        status.value(match random.below(100) {
            0..90 => "active",
            90..97 => "closed",
            _ => "revoked",
        });
    }
    let columns: Vec<ArrayRef> = vec![
        code.finish()?,
        name.finish()?,
        representative.finish()?,
        Arc::new(capital.finish().with_precision_and_scale(18, 2)?),
        Arc::new(established.finish()),
        industry.finish()?,
        region_code.finish()?,
        mobile.finish()?,
        status.finish()?,
    ];
    RecordBatch::try_new(enterprises_schema(), columns)
}

/// What an enterprise is known by, wherever it occurs.
struct Body {
    code: [u8; 18],
    region: Region,
}

impl Body {
    /// The enterprise of row `row` of the register. Codes do not repeat among the first 31^6.
    fn of(seed: u64, row: u64) -> Self {
        let mut random = Random::of(seed, super::BODIES, row);
        let region = random.pick(&REGIONS);
        // A company of any kind, a sole trader, or a rural collective, whose kind is a letter.
        let kind = random.pick(&[
            *b"91", *b"91", *b"91", *b"91", *b"91", *b"91", *b"92", *b"N2",
        ]);
        // An odd factor that 31 does not divide permutes the numbers below 31^6.
        let mut number =
            (row.wrapping_mul(408_586_973) % 887_503_681 + mix(seed) % 887_503_681) % 887_503_681;
        let mut organisation = *b"MA000000";
        for place in organisation.iter_mut().skip(2).rev() {
            let value = usize::try_from(number % 31).unwrap_or(0);
            *place = CREDIT_ALPHABET.get(value).copied().unwrap_or(b'0');
            number /= 31;
        }
        Self {
            code: credit_code(kind, region.code, organisation),
            region,
        }
    }
}

/// The credit code of an employer; the first enterprises of the register employ the most people.
pub(super) fn employer(seed: u64, random: &mut Random) -> [u8; 18] {
    let (first, second) = (random.below(EMPLOYERS), random.below(EMPLOYERS));
    let row = u64::from(first) * u64::from(second) / u64::from(EMPLOYERS);
    Body::of(seed, row).code
}
