//! Columns to treat: made up, and the same in every run. One value in 32 is null.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    ListBuilder, PrimitiveArray, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};

/// Rows of a batch, as the engine reads them.
pub const ROWS: usize = 16_384;

/// One value in so many is null.
const NULL_EVERY: usize = 32;

/// A column to be treated.
#[derive(Debug, Clone)]
pub struct Input {
    /// What it holds.
    pub name: &'static str,
    /// The category of the field.
    pub category: &'static str,
    /// Bytes per value.
    pub bytes: usize,
    /// The values.
    pub column: ArrayRef,
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let count = u64::try_from(all.len()).unwrap_or(1).max(1);
        let at = usize::try_from(self.below(count)).unwrap_or(0);
        *all.get(at).expect("there is one at least")
    }

    fn region(&mut self) -> &'static str {
        match self.below(4) {
            0 => "110105",
            1 => "330102",
            2 => "440106",
            _ => "510107",
        }
    }

    fn character(&mut self) -> char {
        let offset = u32::try_from(self.below(0x5000)).unwrap_or(0);
        char::from_u32(0x4E00 + offset).unwrap_or('一')
    }
}

fn column<T>(mut value: impl FnMut(&mut Numbers) -> T) -> Vec<Option<T>> {
    let mut numbers = Numbers(1);
    (0..ROWS)
        .map(|row| (row % NULL_EVERY != 0).then(|| value(&mut numbers)))
        .collect()
}

fn text(
    name: &'static str,
    category: &'static str,
    value: impl FnMut(&mut Numbers) -> String,
) -> Input {
    let values = column(value);
    let filled = values.iter().flatten().count().max(1);
    let bytes = values.iter().flatten().map(String::len).sum::<usize>() / filled;
    Input {
        name,
        category,
        bytes,
        column: Arc::new(StringArray::from(values)),
    }
}

pub(super) fn mobile() -> Input {
    text("mobile", "mobile", |numbers| {
        format!("1{:010}", 3_000_000_000 + numbers.below(1 << 31))
    })
}

pub(super) fn resident_id() -> Input {
    text("resident id", "resident-id", |numbers| {
        let region = numbers.region();
        let (year, month, day) = (numbers.below(60), numbers.below(12), numbers.below(28));
        let first = format!(
            "{region}{:04}{:02}{:02}{:03}",
            1950 + year,
            month + 1,
            day + 1,
            numbers.below(1_000)
        );
        format!("{first}{}", resident_check(&first))
    })
}

/// The check character of GB 11643.
pub(super) fn resident_check(first: &str) -> char {
    let digits = first.chars().filter_map(|digit| digit.to_digit(10));
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let at = usize::try_from(sum % 11).unwrap_or(0);
    "10X98765432".chars().nth(at).unwrap_or('0')
}

pub(super) fn account() -> Input {
    text("18 digits", "bank-account", |numbers| {
        format!(
            "{:09}{:09}",
            numbers.below(1_000_000_000),
            numbers.below(1_000_000_000)
        )
    })
}

pub(super) fn card() -> Input {
    text("bank card", "bank-card", |numbers| {
        let first = format!("622202{:012}", numbers.below(1 << 31));
        let digits = first.chars().rev().filter_map(|digit| digit.to_digit(10));
        let sum: u32 = digits
            .enumerate()
            .map(|(place, digit)| match (place % 2, digit) {
                (0, digit) if digit > 4 => digit * 2 - 9,
                (0, digit) => digit * 2,
                (_, digit) => digit,
            })
            .sum();
        format!("{first}{}", (10 - sum % 10) % 10)
    })
}

pub(super) fn credit_code() -> Input {
    text("credit code", "credit-code", |numbers| {
        let number = format!("{:08}", numbers.below(100_000_000));
        let organisation = organisation_check(&number);
        let first = format!("91{}{number}{organisation}", numbers.region());
        format!("{first}{}", credit_check(&first))
    })
}

/// The check character of GB 11714.
fn organisation_check(number: &str) -> char {
    let digits = number.chars().filter_map(|digit| digit.to_digit(10));
    let weights = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let at = usize::try_from((11 - sum % 11) % 11).unwrap_or(0);
    "0123456789X".chars().nth(at).unwrap_or('0')
}

/// The check character of GB 32100.
fn credit_check(first: &str) -> char {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let values = first.chars().filter_map(|own| ALPHABET.find(own));
    let powers = std::iter::successors(Some(1), |power| Some(power * 3 % 31));
    let sum: usize = values.zip(powers).map(|(value, power)| value * power).sum();
    ALPHABET.chars().nth((31 - sum % 31) % 31).unwrap_or('0')
}

pub(super) fn division() -> Input {
    text("division code", "division-code", |numbers| {
        numbers.region().to_owned()
    })
}

pub(super) fn position() -> Input {
    text("position", "geometry", |numbers| {
        format!(
            "{}.{:06},30.{:06}",
            100 + numbers.below(20),
            numbers.below(1_000_000),
            numbers.below(1_000_000)
        )
    })
}

/// The provinces as plates write them.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

pub(super) fn plate() -> Input {
    let provinces: Vec<char> = PROVINCES.chars().collect();
    text("plate", "plate", move |numbers| {
        let province = numbers.one_of(&provinces);
        let city = numbers.one_of(&['A', 'B', 'C', 'D', 'E', 'F']);
        format!("{province}{city}{:05}", numbers.below(100_000))
    })
}

pub(super) fn address_v4() -> Input {
    text("IPv4", "ip-address", |numbers| {
        format!(
            "10.{}.{}.{}",
            numbers.below(256),
            numbers.below(256),
            numbers.below(256)
        )
    })
}

pub(super) fn address_v6() -> Input {
    text("IPv6", "ip-address", |numbers| {
        format!(
            "2001:db8:{:x}::{:x}:{:x}",
            numbers.below(1 << 16),
            numbers.below(1 << 16),
            numbers.below(1 << 16)
        )
    })
}

pub(super) fn document() -> Input {
    text("JSON", "other", |numbers| {
        format!(
            "{{\"person\":{{\"id\":\"{:018}\",\"name\":\"张三\"}},\"tags\":[\"ab\",\"cd\"],\"n\":{}}}",
            numbers.below(1 << 40),
            numbers.below(100)
        )
    })
}

pub(super) fn list() -> Input {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        lists.append_value(
            [Some("张三"), None, Some("13800138000")]
                .into_iter()
                .cycle()
                .take(row % 4),
        );
    }
    Input {
        name: "list of text",
        category: "other",
        bytes: 20,
        column: Arc::new(lists.finish()),
    }
}

pub(super) fn structs() -> Input {
    let names: ArrayRef = name().column;
    let ages: ArrayRef = Arc::new(Int64Array::from_iter_values(
        0..i64::try_from(ROWS).unwrap_or(0),
    ));
    let fields = vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("age", DataType::Int64, true),
    ];
    let column = StructArray::new(fields.into(), vec![names, ages], None);
    Input {
        name: "struct",
        category: "other",
        bytes: 20,
        column: Arc::new(column),
    }
}

pub(super) fn name() -> Input {
    text("Han name", "person-name", |numbers| {
        (0..3).map(|_| numbers.character()).collect()
    })
}

pub(super) fn address() -> Input {
    text("Han address", "address", |numbers| {
        let street: String = (0..10).map(|_| numbers.character()).collect();
        format!("浙江省{street}路{}号", numbers.below(900) + 100)
    })
}

fn located_address(numbers: &mut Numbers) -> String {
    let division = match numbers.below(4) {
        0 => "北京市朝阳区",
        1 => "浙江省杭州市西湖区",
        2 => "广东省广州市天河区",
        _ => "四川省成都市武侯区",
    };
    format!("{division}文三路{}号", numbers.below(900) + 100)
}

pub(super) fn located() -> Input {
    text("Han address with district", "address", located_address)
}

/// The table of divisions, to draw any county of.
const DIVISIONS: &str = include_str!("../../../transforms/src/divisions/table.txt");

/// Every county with what it lies in, as an address begins.
fn counties() -> Vec<String> {
    let (mut counties, mut province) = (Vec::new(), "");
    for line in DIVISIONS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let group = words.next().unwrap_or_default();
        let mut prefecture = "";
        for word in words {
            let word = word.split(':').next().unwrap_or_default();
            let (code, name) = word.split_at_checked(2).unwrap_or_default();
            match code {
                _ if name.is_empty() => {}
                "00" if group.ends_with("00") => province = name,
                "00" => prefecture = name,
                _ => counties.push(format!("{province}{prefecture}{name}")),
            }
        }
    }
    counties
}

/// Addresses of a national register: what was read of one is of no use for the next.
pub(super) fn located_anywhere() -> Input {
    let counties = counties();
    let counties: Vec<&str> = counties.iter().map(String::as_str).collect();
    text("Han address, every county", "address", |numbers| {
        let county = numbers.one_of(&counties);
        format!("{county}文三路{}号", numbers.below(900) + 100)
    })
}

/// A dictionary of so many addresses, called that.
pub(super) fn located_in((distinct, name): (usize, &'static str)) -> Input {
    let mut numbers = Numbers(2);
    let values: StringArray = (0..distinct)
        .map(|number| Some(format!("{}{number}室", located_address(&mut numbers))))
        .collect();
    let bytes = values.value_data().len() / distinct.max(1);
    let keys = column(|numbers| {
        let below = u64::try_from(distinct).unwrap_or(1);
        i32::try_from(numbers.below(below)).unwrap_or(0)
    });
    let keys = PrimitiveArray::<Int32Type>::from(keys);
    Input {
        name,
        category: "address",
        bytes,
        column: Arc::new(DictionaryArray::new(keys, Arc::new(values))),
    }
}

pub(super) fn surnamed() -> Input {
    text("Han name with surname", "person-name", |numbers| {
        let surname = match numbers.below(4) {
            0 => "欧阳",
            1 => "王",
            2 => "李",
            _ => "张",
        };
        format!("{surname}{}", numbers.character())
    })
}

pub(super) fn dotted() -> Input {
    text("Han name with dot", "person-name", |numbers| {
        let first = match numbers.below(3) {
            0 => "阿卜杜拉",
            1 => "古丽",
            _ => "艾山江",
        };
        format!("{first}·买买{}", numbers.character())
    })
}

pub(super) fn landline() -> Input {
    text("landline", "landline", |numbers| {
        format!("0571-8{:07}", numbers.below(10_000_000))
    })
}

pub(super) fn passport() -> Input {
    text("passport", "passport", |numbers| {
        format!("E{:08}", numbers.below(100_000_000))
    })
}

pub(super) fn segmented() -> Input {
    text("name with combining marks", "person-name", |numbers| {
        format!("Zo{}e\u{308}", numbers.character())
    })
}

pub(super) fn email() -> Input {
    text("email", "email", |numbers| {
        format!("user{:06}@example.cn", numbers.below(1_000_000))
    })
}

pub(super) fn as_view(input: &Input, name: &'static str) -> Input {
    let values: StringViewArray = input
        .column
        .as_any()
        .downcast_ref::<StringArray>()
        .into_iter()
        .flatten()
        .collect();
    Input {
        name,
        category: input.category,
        bytes: input.bytes,
        column: Arc::new(values),
    }
}

pub(super) fn dictionary() -> Input {
    let names: Vec<String> = column(|numbers| (0..3).map(|_| numbers.character()).collect())
        .into_iter()
        .flatten()
        .take(500)
        .collect();
    let values = column(|numbers| usize::try_from(numbers.below(500)).unwrap_or(0));
    let values = values
        .into_iter()
        .map(|at| at.and_then(|at| names.get(at)).map(String::as_str));
    let column: DictionaryArray<Int32Type> = values.collect();
    Input {
        name: "Han name, dictionary of 500",
        category: "person-name",
        bytes: 9,
        column: Arc::new(column),
    }
}

fn values(name: &'static str, bytes: usize, column: ArrayRef) -> Input {
    Input {
        name,
        category: "other",
        bytes,
        column,
    }
}

pub(super) fn integers() -> Input {
    let column = column(|numbers| i64::try_from(numbers.below(1 << 31)).unwrap_or(0));
    values("int64", 8, Arc::new(Int64Array::from(column)))
}

pub(super) fn floats() -> Input {
    let column =
        column(|numbers| f64::from(u32::try_from(numbers.below(1 << 31)).unwrap_or(0)) / 100.0);
    values("float64", 8, Arc::new(Float64Array::from(column)))
}

pub(super) fn decimals() -> Input {
    let column = column(|numbers| i128::from(numbers.below(1 << 31)));
    let array = Decimal128Array::from(column).with_data_type(DataType::Decimal128(12, 2));
    values("decimal(12,2)", 16, Arc::new(array))
}

pub(super) fn dates() -> Input {
    let column = column(|numbers| i32::try_from(numbers.below(20_000)).unwrap_or(0));
    values("date", 4, Arc::new(Date32Array::from(column)))
}

pub(super) fn timestamps() -> Input {
    let column = column(|numbers| i64::try_from(numbers.below(1 << 31)).unwrap_or(0) * 800_000);
    values(
        "timestamp(us)",
        8,
        Arc::new(TimestampMicrosecondArray::from(column)),
    )
}

pub(super) fn permit() -> Input {
    text("travel permit", "travel-permit", |numbers| {
        format!("C{:08}", numbers.below(100_000_000))
    })
}

pub(super) fn vehicle() -> Input {
    text("VIN", "vin", |numbers| {
        format!("LSVAA{:012}", numbers.below(1 << 31))
    })
}

pub(super) fn organisation() -> Input {
    text("organisation", "organisation-name", |numbers| {
        let name: String = (0..3).map(|_| numbers.character()).collect();
        format!("浙江{name}科技有限公司")
    })
}

pub(super) fn sex() -> Input {
    text("sex", "gender", |numbers| {
        match numbers.below(2) {
            0 => "男",
            _ => "女",
        }
        .to_owned()
    })
}

pub(super) fn marriage() -> Input {
    text("marital status", "other", |numbers| {
        match numbers.below(4) {
            0 => "初婚",
            1 => "再婚",
            2 => "未婚",
            _ => "丧偶",
        }
        .to_owned()
    })
}

/// Whole numbers below a million.
pub(super) fn amounts() -> Input {
    let column = column(|numbers| i64::try_from(numbers.below(1_000_000)).unwrap_or(0));
    values("int64 below 10^6", 8, Arc::new(Int64Array::from(column)))
}

pub(super) fn ages() -> Input {
    let column = column(|numbers| i64::try_from(numbers.below(90)).unwrap_or(0));
    values("age", 8, Arc::new(Int64Array::from(column)))
}

pub(super) fn degrees() -> Input {
    let column =
        column(|numbers| f64::from(u32::try_from(numbers.below(180_000_000)).unwrap_or(0)) / 1e6);
    values("degrees", 8, Arc::new(Float64Array::from(column)))
}

/// Every kind of input there is, plain.
pub(super) fn all() -> Vec<Input> {
    vec![
        resident_id(),
        mobile(),
        name(),
        address(),
        email(),
        account(),
        card(),
        credit_code(),
        division(),
        position(),
        plate(),
        passport(),
        permit(),
        vehicle(),
        organisation(),
        sex(),
        marriage(),
        address_v4(),
        document(),
        list(),
        structs(),
        integers(),
        amounts(),
        ages(),
        floats(),
        degrees(),
        decimals(),
        dates(),
        timestamps(),
    ]
}
