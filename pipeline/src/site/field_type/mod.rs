//! Types of fields as the catalogue writes them, and their one Arrow type each.
//!
//! Anything else that Arrow knows (views, dictionaries, large offsets, negative scales) has no
//! notation here and never reaches a delivery.

mod notation;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use super::nearest;

/// Most digits of a decimal.
const DECIMAL_PRECISION_MAX: u8 = 76;

/// Most digits of a decimal that fits 128 bits.
const DECIMAL128_PRECISION_MAX: u8 = 38;

/// Types that are one word.
const PLAIN: [(&str, FieldType); 14] = [
    ("utf8", FieldType::Utf8),
    ("boolean", FieldType::Boolean),
    ("int8", FieldType::Int8),
    ("int16", FieldType::Int16),
    ("int32", FieldType::Int32),
    ("int64", FieldType::Int64),
    ("uint8", FieldType::Uint8),
    ("uint16", FieldType::Uint16),
    ("uint32", FieldType::Uint32),
    ("uint64", FieldType::Uint64),
    ("float32", FieldType::Float32),
    ("float64", FieldType::Float64),
    ("date", FieldType::Date),
    ("binary", FieldType::Binary),
];

/// Words of other systems, and what they are called here.
const FOREIGN: [(&str, &str); 22] = [
    ("array", "list(T), such as list(utf8)"),
    ("list", "list(T), such as list(utf8)"),
    ("map", "map(K, V), such as map(utf8, int64)"),
    (
        "struct",
        "struct(name: T, …), such as struct(street: utf8, rooms: int32)",
    ),
    ("bigint", "int64"),
    ("bool", "boolean"),
    ("bytes", "binary"),
    ("char", "utf8"),
    ("datetime", "timestamp(us)"),
    ("date32", "date"),
    ("decimal", "decimal(p,s), such as decimal(12,2)"),
    ("double", "float64"),
    ("float", "float64"),
    ("int", "int32"),
    ("integer", "int32"),
    ("long", "int64"),
    ("numeric", "decimal(p,s), such as decimal(12,2)"),
    ("real", "float32"),
    ("string", "utf8"),
    ("text", "utf8"),
    (
        "timestamp",
        "timestamp(s|ms|us|ns[, ZONE]), such as timestamp(us)",
    ),
    ("varchar", "utf8"),
];

/// Type of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text.
    Utf8,
    /// True or false.
    Boolean,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits.
    Uint8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// IEEE 754 single.
    Float32,
    /// IEEE 754 double.
    Float64,
    /// Exact decimal number.
    Decimal {
        /// Digits in all, 1 to 76.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// Calendar day.
    Date,
    /// Point in time, or local time where there is no zone.
    Timestamp {
        /// Resolution.
        unit: TimeUnit,
        /// IANA zone name or `±hh:mm`.
        zone: Option<String>,
    },
    /// Bytes.
    Binary,
    /// Any number of values of one type, in their order.
    List(Box<Self>),
    /// Named members, each of its own type.
    Struct(Vec<(String, Self)>),
    /// Keys, each with a value.
    Map(Box<(Self, Self)>),
}

/// A type that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeError {
    /// What is wrong, without the text itself where that is long.
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) hint: Option<String>,
}

impl TypeError {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

impl FieldType {
    /// Reads a type as the catalogue writes it: `utf8`, `decimal(12,2)`,
    /// `timestamp(us, Asia/Shanghai)`, `list(struct(name: utf8, age: int32))`.
    ///
    /// # Errors
    /// What is wrong and what to write instead, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|error| match error.hint {
            Some(hint) => format!("{}; {hint}", error.what),
            None => error.what,
        })
    }

    pub(crate) fn read(text: &str) -> Result<Self, TypeError> {
        notation::read(text, 0)
    }

    /// Whether values of it hold others.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_) | Self::Map(_))
    }

    /// Reads a type that holds no other.
    fn read_plain(text: &str) -> Result<Self, TypeError> {
        if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(plain.clone());
        }
        let arguments = text
            .split_once('(')
            .and_then(|(name, rest)| rest.strip_suffix(')').map(|arguments| (name, arguments)));
        match arguments {
            Some(("decimal", arguments)) => Self::read_decimal(arguments),
            Some(("timestamp", arguments)) => Self::read_timestamp(arguments),
            _ => Err(unknown(text)),
        }
    }

    fn read_decimal(arguments: &str) -> Result<Self, TypeError> {
        let malformed = || {
            TypeError::new(
                "a decimal is written with precision and scale",
                "write decimal(p,s), such as decimal(12,2)",
            )
        };
        let (precision, scale) = arguments.split_once(',').ok_or_else(malformed)?;
        let precision = u8::from_str(precision.trim()).map_err(|_| malformed())?;
        let scale = u8::from_str(scale.trim()).map_err(|_| malformed())?;
        if !(1..=DECIMAL_PRECISION_MAX).contains(&precision) {
            return Err(TypeError::new(
                format!("precision {precision} of a decimal is out of range"),
                format!("a decimal has 1 to {DECIMAL_PRECISION_MAX} digits"),
            ));
        }
        if scale > precision {
            return Err(TypeError::new(
                format!("scale {scale} of a decimal is larger than its precision {precision}"),
                "the first number counts all digits, the second those after the point",
            ));
        }
        Ok(Self::Decimal { precision, scale })
    }

    fn read_timestamp(arguments: &str) -> Result<Self, TypeError> {
        let (unit, zone) = match arguments.split_once(',') {
            Some((unit, zone)) => (unit.trim(), Some(zone.trim())),
            None => (arguments.trim(), None),
        };
        let unit = match unit {
            "s" => TimeUnit::Second,
            "ms" => TimeUnit::Millisecond,
            "us" => TimeUnit::Microsecond,
            "ns" => TimeUnit::Nanosecond,
            _ => {
                return Err(TypeError::new(
                    "unknown unit of a timestamp",
                    "write timestamp(s), timestamp(ms), timestamp(us) or timestamp(ns), with a \
                     zone after a comma where values are points in time",
                ));
            }
        };
        if let Some(zone) = zone
            && !is_offset(zone)
            && chrono_tz::Tz::from_str(zone).is_err()
        {
            let zones = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            return Err(TypeError {
                what: "unknown zone of a timestamp".to_owned(),
                hint: Some(nearest(zone, zones).map_or_else(
                    || "write an IANA name such as Asia/Shanghai, or ±hh:mm".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                )),
            });
        }
        Ok(Self::Timestamp {
            unit,
            zone: zone.map(str::to_owned),
        })
    }

    /// The Arrow type in which such a field is read, treated and delivered.
    pub fn to_arrow(&self) -> DataType {
        match self {
            Self::Utf8 => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Uint8 => DataType::UInt8,
            Self::Uint16 => DataType::UInt16,
            Self::Uint32 => DataType::UInt32,
            Self::Uint64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => {
                // Scales are at most 76.
                let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
                if *precision <= DECIMAL128_PRECISION_MAX {
                    DataType::Decimal128(*precision, scale)
                } else {
                    DataType::Decimal256(*precision, scale)
                }
            }
            Self::Date => DataType::Date32,
            Self::Timestamp { unit, zone } => {
                DataType::Timestamp(*unit, zone.as_deref().map(Into::into))
            }
            Self::Binary => DataType::Binary,
            Self::List(element) => {
                DataType::List(Arc::new(Field::new_list_field(element.to_arrow(), true)))
            }
            Self::Struct(members) => DataType::Struct(
                members
                    .iter()
                    .map(|(name, member)| Field::new(name, member.to_arrow(), true))
                    .collect(),
            ),
            Self::Map(entry) => {
                let (key, value) = entry.as_ref();
                let entries = Fields::from(vec![
                    Field::new("keys", key.to_arrow(), false),
                    Field::new("values", value.to_arrow(), true),
                ]);
                let entries = Field::new("entries", DataType::Struct(entries), false);
                DataType::Map(Arc::new(entries), false)
            }
        }
    }

    /// The type whose Arrow type is this one, whatever the fields within lists and maps are called;
    /// `None` for every Arrow type that a catalogue cannot write.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other Arrow type has no notation"
    )]
    pub fn of(data_type: &DataType) -> Option<Self> {
        let found = match data_type {
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                let scale = u8::try_from(*scale)
                    .ok()
                    .filter(|scale| scale <= precision)?;
                Self::Decimal {
                    precision: *precision,
                    scale,
                }
            }
            DataType::Timestamp(unit, zone) => Self::Timestamp {
                unit: *unit,
                zone: zone.as_deref().map(str::to_owned),
            },
            DataType::List(element) => Self::List(Box::new(Self::of(element.data_type())?)),
            DataType::Struct(members) => {
                let members = members.iter();
                let member =
                    |field: &Arc<Field>| Some((field.name().clone(), Self::of(field.data_type())?));
                Self::Struct(members.map(member).collect::<Option<_>>()?)
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return None;
                };
                let [key, value] = fields.as_ref() else {
                    return None;
                };
                let entry = (Self::of(key.data_type())?, Self::of(value.data_type())?);
                Self::Map(Box::new(entry))
            }
            other => PLAIN
                .iter()
                .find(|(_, plain)| plain.to_arrow() == *other)?
                .1
                .clone(),
        };
        found.to_arrow().equals_datatype(data_type).then_some(found)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other type is one word, listed above"
)]
impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Timestamp { unit, zone } => {
                let unit = match unit {
                    TimeUnit::Second => "s",
                    TimeUnit::Millisecond => "ms",
                    TimeUnit::Microsecond => "us",
                    TimeUnit::Nanosecond => "ns",
                };
                match zone {
                    Some(zone) => write!(f, "timestamp({unit}, {zone})"),
                    None => write!(f, "timestamp({unit})"),
                }
            }
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(entry) => write!(f, "map({}, {})", entry.0, entry.1),
            Self::Struct(members) => {
                f.write_str("struct(")?;
                for (number, (name, member)) in members.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { ", " })?;
                    notation::write_name(f, name)?;
                    write!(f, ": {member}")?;
                }
                f.write_str(")")
            }
            plain => f.write_str(
                PLAIN
                    .iter()
                    .find(|(_, other)| other == plain)
                    .map_or("unknown", |(name, _)| name),
            ),
        }
    }
}

fn unknown(text: &str) -> TypeError {
    let lower = text.to_ascii_lowercase();
    let word = lower.split('(').next().unwrap_or_default().trim();
    let known = PLAIN.iter().map(|(name, _)| *name).chain([
        "decimal(p,s)",
        "timestamp(us)",
        "list(T)",
        "struct(name: T)",
        "map(K, V)",
    ]);
    let hint = if let Some((_, here)) = FOREIGN.iter().find(|(name, _)| *name == word) {
        format!("write {here}")
    } else if let Some(near) = nearest(word, known.clone()) {
        format!("did you mean `{near}`?")
    } else {
        format!("known types: {}", known.collect::<Vec<_>>().join(", "))
    };
    TypeError::new("unknown type", hint)
}

/// `±hh:mm`, less than a day.
fn is_offset(zone: &str) -> bool {
    let digits = |text: &str, below: u8| {
        text.len() == 2
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u8>().is_ok_and(|number| number < below)
    };
    zone.strip_prefix(['+', '-'])
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(hours, minutes)| digits(hours, 24) && digits(minutes, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_round_trips() {
        let more = [
            "decimal(12,2)",
            "decimal(38,0)",
            "decimal(39,39)",
            "decimal(76,10)",
            "timestamp(s)",
            "timestamp(ms)",
            "timestamp(us, Asia/Shanghai)",
            "timestamp(ns, +08:00)",
            "list(utf8)",
            "map(utf8, list(decimal(12,2)))",
            "struct(street: utf8, 门牌: int32, seen: timestamp(us, Asia/Shanghai))",
            "list(struct(name: utf8, tags: map(int64, struct(a: binary))))",
            r#"struct("a, b": utf8, "q\"\\": int8, " edge ": date)"#,
        ];
        for text in PLAIN.iter().map(|(name, _)| *name).chain(more) {
            let read = FieldType::parse(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(FieldType::of(&read.to_arrow()), Some(read), "{text}");
        }
    }

    #[test]
    fn types_nested_too_deeply_are_refused_and_never_exhaust_the_stack() {
        let deep = |levels: usize| format!("{}utf8{}", "list(".repeat(levels), ")".repeat(levels));
        FieldType::parse(&deep(16)).unwrap();
        for levels in [17, 5_000, 100_000] {
            let error = FieldType::parse(&deep(levels)).unwrap_err();
            assert!(
                error.contains("too deeply") || error.contains("too long"),
                "{error}"
            );
        }
    }

    #[test]
    fn wide_decimals_take_256_bits() {
        assert_eq!(
            FieldType::parse("decimal(38,2)").unwrap().to_arrow(),
            DataType::Decimal128(38, 2)
        );
        assert_eq!(
            FieldType::parse("decimal(39,2)").unwrap().to_arrow(),
            DataType::Decimal256(39, 2)
        );
    }

    #[test]
    fn unreadable_types_say_what_to_write() {
        for (text, part) in [
            ("string", "write utf8"),
            ("varchar(20)", "write utf8"),
            ("decimal", "decimal(12,2)"),
            ("decimal(77,2)", "1 to 76"),
            ("decimal(0,0)", "1 to 76"),
            ("decimal(4,5)", "larger than its precision"),
            ("decimal(4,-1)", "decimal(p,s)"),
            ("imt64", "did you mean `int64`?"),
            ("utf-8", "did you mean `utf8`?"),
            (
                "timestamp(us, Asia/Shangai)",
                "did you mean `Asia/Shanghai`?",
            ),
            ("timestamp(us, +25:00)", "unknown zone"),
            ("timestamp(minutes)", "unknown unit"),
            ("", "known types"),
            ("日期", "known types"),
            ("list", "write list(T)"),
            ("array(utf8)", "write list(T)"),
            ("list()", "known types"),
            ("list(utf8, utf8)", "elements of one type"),
            ("list(utf9)", "did you mean `utf8`?"),
            ("list(utf8", "write list(T)"),
            ("list((utf8)", "never closed"),
            ("map(utf8)", "keys and values"),
            ("map(list(utf8), utf8)", "keys of a map are single values"),
            ("struct()", "name and type"),
            ("struct(a)", "name and type"),
            ("struct(a: utf8, a: utf8)", "one name"),
            ("struct(: utf8)", "cannot be used"),
            ("struct(a\"b: utf8)", "never closed"),
            ("struct(\"a\"b: utf8)", "malformed"),
        ] {
            let error = FieldType::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn arrow_types_without_notation_have_none() {
        for data_type in [
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Date64,
            DataType::Decimal128(10, -2),
            DataType::Decimal256(10, 2),
            DataType::Null,
        ] {
            assert_eq!(FieldType::of(&data_type), None);
        }
    }
}
