//! The register of residents.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Decimal128Builder, Float64Builder, RecordBatch,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::enterprises::employer;
use super::identifier;
use super::person::{Defect, People, Person, push_mobile};
use super::random::Random;
use super::text::Text;
use super::vocabulary::{
    CARD_ISSUERS, CARD_LENGTHS, ESTATES, MAIL_DOMAINS, MAIL_NAMES, REGIONS, REMARKS, ROADS, Region,
};

/// Days from 1970-01-01 to the date that stands for an unknown date of birth, 1900-01-01.
const UNKNOWN_BIRTH: i32 = -25_567;

/// Days from 1970-01-01 to 2010-01-01; who was born later is a child, without employer and income.
const CHILDREN_FROM: i32 = 14_610;

/// Seconds from 1970-01-01 to 2022-01-01, the earliest update.
const UPDATES_FROM: i64 = 1_640_995_200;

/// Seconds in the four years in which rows were updated.
const UPDATES_SPAN: u32 = 4 * 365 * 86_400;

/// Schema of [`residents`].
pub fn residents_schema() -> SchemaRef {
    let utf8 = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        utf8("person_id"),
        utf8("name"),
        utf8("gender"),
        Field::new("birth_date", DataType::Date32, true),
        utf8("mobile"),
        utf8("address"),
        utf8("bank_card"),
        utf8("email"),
        utf8("employer_code"),
        Field::new("income", DataType::Decimal128(12, 2), true),
        Field::new("score", DataType::Float64, true),
        Field::new("lat", DataType::Float64, true),
        Field::new("lon", DataType::Float64, true),
        Field::new(
            "updated_at",
            DataType::Timestamp(TimeUnit::Microsecond, None),
            true,
        ),
        utf8("region_code"),
        utf8("status"),
        utf8("remark"),
    ]))
}

/// Rows of the register of residents. A row depends on seed and row number only.
///
/// About one row in 200 has a [`Defect`]; one mail address in 25 and two remarks in three are null,
/// and so are employer and income of children.
///
/// # Errors
/// More rows than one Arrow array can hold (2 GiB of text, some fifteen million rows).
pub fn residents(rows: Range<u64>, seed: u64) -> Result<RecordBatch, ArrowError> {
    let people = People::new(seed);
    let mut columns = Columns::new(super::length(&rows));
    for row in rows {
        let mut random = Random::of(seed, super::RESIDENTS, row);
        let person = people.person(row);
        columns.identity(&people, &person, &mut random);
        columns.contact(&person, &mut random);
        columns.circumstances(&person, &mut random, seed);
    }
    columns.finish()
}

struct Columns {
    person_id: Text,
    name: Text,
    gender: Text,
    birth_date: Date32Builder,
    mobile: Text,
    address: Text,
    bank_card: Text,
    email: Text,
    employer_code: Text,
    income: Decimal128Builder,
    score: Float64Builder,
    lat: Float64Builder,
    lon: Float64Builder,
    updated_at: TimestampMicrosecondBuilder,
    region_code: Text,
    status: Text,
    remark: Text,
}

impl Columns {
    fn new(rows: usize) -> Self {
        Self {
            person_id: Text::new(rows, 18),
            name: Text::new(rows, 9),
            gender: Text::new(rows, 3),
            birth_date: Date32Builder::with_capacity(rows),
            mobile: Text::new(rows, 11),
            address: Text::new(rows, 90),
            bank_card: Text::new(rows, 19),
            email: Text::new(rows, 32),
            employer_code: Text::new(rows, 18),
            income: Decimal128Builder::with_capacity(rows),
            score: Float64Builder::with_capacity(rows),
            lat: Float64Builder::with_capacity(rows),
            lon: Float64Builder::with_capacity(rows),
            updated_at: TimestampMicrosecondBuilder::with_capacity(rows),
            region_code: Text::new(rows, 6),
            status: Text::new(rows, 6),
            remark: Text::new(rows, 12),
        }
    }

    /// Who the person is.
    fn identity(&mut self, people: &People, person: &Person, random: &mut Random) {
        match person.defect {
            Some(Defect::LegacyId) => {
                let [r0, r1, r2, r3, r4, r5, _, _, birth @ .., s0, s1, s2, _] = person.id;
                self.person_id.push_ascii(&[r0, r1, r2, r3, r4, r5]);
                self.person_id.push_ascii(&birth);
                self.person_id.push_ascii(&[s0, s1, s2]);
            }
            Some(Defect::LowerCaseId) => {
                self.person_id
                    .push_ascii(&person.id.map(|character| character.to_ascii_lowercase()));
            }
            _ => self.person_id.push_ascii(&person.id),
        }
        self.person_id.end();
        match person.defect {
            Some(Defect::NullName) => self.name.null(),
            Some(Defect::EmptyName) => self.name.end(),
            Some(Defect::BlankName) => self.name.value("\u{3000} "),
            _ => people.name(random, person.male, &mut self.name),
        }
        self.gender.value(if person.male { "男" } else { "女" });
        self.birth_date.append_value(match person.defect {
            Some(Defect::SentinelBirthDate) => UNKNOWN_BIRTH,
            _ => person.born,
        });
    }

    /// How to reach the person. Four in five live where their number was issued.
    fn contact(&mut self, person: &Person, random: &mut Random) {
        match person.defect {
            Some(Defect::ShortMobile) => self.mobile.push_number(random.below(10_000_000), 7),
            Some(Defect::WideMobile) => {
                self.mobile.push("１３");
                for _ in 0..9 {
                    self.mobile
                        .push(random.pick(&["０", "１", "２", "３", "５", "６", "７", "８", "９"]));
                }
            }
            Some(Defect::PrefixedMobile) => {
                self.mobile.push("+86 ");
                push_mobile(random, &mut self.mobile);
            }
            _ => push_mobile(random, &mut self.mobile),
        }
        self.mobile.end();
        let home = if random.once_in(5) {
            random.pick(&REGIONS)
        } else {
            person.region
        };
        self.address(home, random);
        self.region_code.push_number(home.code, 6);
        self.region_code.end();
        self.lat
            .append_value(home.latitude + random.normal() * 0.05);
        self.lon
            .append_value(home.longitude + random.normal() * 0.05);
        let broken = person.defect == Some(Defect::BrokenEmail);
        if random.once_in(25) && !broken {
            self.email.null();
        } else {
            self.email.push(random.pick(&MAIL_NAMES));
            self.email.push_number(random.below(100_000_000), 1);
            self.email.push(if broken { "." } else { "@" });
            self.email.value(random.pick(&MAIL_DOMAINS));
        }
    }

    fn address(&mut self, home: Region, random: &mut Random) {
        let text = &mut self.address;
        text.push(home.city);
        text.push(home.district);
        text.push(random.pick(&ROADS));
        text.push_number(random.between(1, 999), 1);
        text.push("号");
        if random.below(5) < 3 {
            text.push(random.pick(&ESTATES));
        }
        text.push_number(random.between(1, 39), 1);
        text.push("幢");
        text.push_number(random.between(1, 5), 1);
        text.push("单元");
        text.push_number(random.between(1, 33), 1);
        text.push_number(random.between(1, 4), 2);
        text.value("室");
    }

    /// What is known about the person's work, money and file.
    fn circumstances(&mut self, person: &Person, random: &mut Random, seed: u64) {
        let mut card = [b'0'; 19];
        let length = random.pick(&CARD_LENGTHS);
        let issuer = super::text::decimal_digits(random.pick(&CARD_ISSUERS));
        let account = super::text::decimal_digits(random.below(1_000_000_000));
        let rest = super::text::decimal_digits(random.below(1000));
        let digits = issuer
            .iter()
            .skip(4)
            .chain(account.iter().skip(1))
            .chain(rest.iter().skip(7));
        for (place, digit) in card.iter_mut().take(length - 1).zip(digits) {
            *place = *digit;
        }
        let body = card.split_at(length - 1).0;
        self.bank_card.push_ascii(body);
        self.bank_card.push_ascii(&[identifier::luhn(body)]);
        self.bank_card.end();
        if person.born < CHILDREN_FROM {
            self.employer_code.push_ascii(&employer(seed, random));
            self.employer_code.end();
            self.income
                .append_value(i128::from(random.log_normal_cents(11.2, 0.7)));
        } else {
            self.employer_code.null();
            self.income.append_null();
        }
        let score = 600.0 + random.normal() * 80.0;
        let unknown = person.defect == Some(Defect::NanScore);
        self.score
            .append_value(if unknown { f64::NAN } else { score });
        let second = UPDATES_FROM + i64::from(random.below(UPDATES_SPAN));
        self.updated_at
            .append_value(second * 1_000_000 + i64::from(random.below(1_000_000)));
        self.status.value(match random.below(100) {
            0..92 => "active",
            92..98 => "moved",
            _ => "deceased",
        });
        let remark = random.pick(&REMARKS);
        match person.defect {
            Some(Defect::EmojiRemark) => self.remark.value("已回访👨‍👩‍👧，满意👍🏽"),
            Some(Defect::CombiningRemark) => self.remark.value("联系人 Jose\u{301}，已登记"),
            _ if random.below(3) < 2 => self.remark.null(),
            _ => self.remark.value(remark),
        }
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            self.person_id.finish()?,
            self.name.finish()?,
            self.gender.finish()?,
            Arc::new(self.birth_date.finish()),
            self.mobile.finish()?,
            self.address.finish()?,
            self.bank_card.finish()?,
            self.email.finish()?,
            self.employer_code.finish()?,
            Arc::new(self.income.finish().with_precision_and_scale(12, 2)?),
            Arc::new(self.score.finish()),
            Arc::new(self.lat.finish()),
            Arc::new(self.lon.finish()),
            Arc::new(self.updated_at.finish()),
            self.region_code.finish()?,
            self.status.finish()?,
            self.remark.finish()?,
        ];
        RecordBatch::try_new(residents_schema(), columns)
    }
}
