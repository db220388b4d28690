//! Social-security payments: one row a person and month.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::enterprises::employer;
use super::person::People;
use super::random::Random;
use super::text::Text;

/// Days from 1970-01-01 to the first of each month of 2025, the months that are paid.
const MONTHS: [i32; 12] = [
    20_089, 20_120, 20_148, 20_179, 20_209, 20_240, 20_270, 20_301, 20_332, 20_362, 20_393, 20_423,
];

/// Kinds of insurance with the rate in thousandths of the base.
const KINDS: [(&str, i64); 4] = [
    ("pension", 240),
    ("medical", 95),
    ("unemployment", 10),
    ("work-injury", 4),
];

/// Schema of [`payments`].
pub fn payments_schema() -> SchemaRef {
    let utf8 = |name: &str| Field::new(name, DataType::Utf8, true);
    let paid = DataType::Timestamp(TimeUnit::Millisecond, Some("Asia/Shanghai".into()));
    Arc::new(Schema::new(vec![
        Field::new("payment_id", DataType::Int64, true),
        utf8("person_id"),
        utf8("unit_code"),
        Field::new("period", DataType::Date32, true),
        Field::new("base", DataType::Decimal128(10, 2), true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("paid_at", paid, true),
        utf8("kind"),
        utf8("channel"),
    ]))
}

/// Rows of social-security payments. A row depends on seed and row number only; twelve rows in
/// turn are the twelve months of one resident, with the identity number of that row of
/// [`residents`](super::residents).
///
/// # Errors
/// More rows than one Arrow array can hold (2 GiB of text).
pub fn payments(rows: Range<u64>, seed: u64) -> Result<RecordBatch, ArrowError> {
    let people = People::new(seed);
    let count = super::length(&rows);
    let mut payment_id = Int64Builder::with_capacity(count);
    let mut person_id = Text::new(count, 18);
    let mut unit_code = Text::new(count, 18);
    let mut period = Date32Builder::with_capacity(count);
    let mut base = Decimal128Builder::with_capacity(count);
    let mut amount = Decimal128Builder::with_capacity(count);
    let mut paid_at = TimestampMillisecondBuilder::with_capacity(count);
    let mut kind = Text::new(count, 9);
    let mut channel = Text::new(count, 7);
    for row in rows {
        let insured = row / 12;
        let mut whole_year = Random::of(seed, super::INSURED, insured);
        let mut random = Random::of(seed, super::PAYMENTS, row);
        payment_id.append_value(i64::try_from(2_025_000_000_000 + row).unwrap_or(i64::MAX));
        person_id.push_ascii(&people.person(insured).id);
        person_id.end();
        unit_code.push_ascii(&employer(seed, &mut whole_year));
        unit_code.end();
        let month = *MONTHS
            .get(usize::try_from(row % 12).unwrap_or(0))
            .unwrap_or(&MONTHS[0]);
        period.append_value(month);
        // Bases are bounded by law to a band around the average wage.
        let cents = whole_year
            .log_normal_cents(9.0, 0.5)
            .clamp(449_400, 2_492_100);
        base.append_value(i128::from(cents));
        let (kind_name, rate) = whole_year.pick(&KINDS);
        amount.append_value(i128::from((cents * rate + 500) / 1000));
        // Paid between the 5th and the 25th, from nine to five by Shanghai's clock (UTC+8).
        let day = i64::from(month) + 4 + i64::from(random.below(21));
        let second = day * 86_400 + 3600 + i64::from(random.below(8 * 3600));
        paid_at.append_value(second * 1000 + i64::from(random.below(1000)));
        kind.value(kind_name);
        channel.value(random.pick(&["bank", "bank", "bank", "online", "online", "counter"]));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(payment_id.finish()),
        person_id.finish()?,
        unit_code.finish()?,
        Arc::new(period.finish()),
        Arc::new(base.finish().with_precision_and_scale(10, 2)?),
        Arc::new(amount.finish().with_precision_and_scale(12, 2)?),
        Arc::new(paid_at.finish().with_timezone("Asia/Shanghai")),
        kind.finish()?,
        channel.finish()?,
    ];
    RecordBatch::try_new(payments_schema(), columns)
}
