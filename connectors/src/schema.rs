//! The check of a file's schema against the catalogue, made before a row is read: a field that is
//! missing, renamed or of another type fails the run; a column that the catalogue does not have is
//! ignored and reported, and so can never be delivered.
//!
//! Types are compared by what they mean: text is text in all its physical forms, a decimal is its
//! precision and scale, a zone may be relabelled. Nothing else is converted, because a conversion
//! that mostly works is how values get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use arrow::datatypes::{DataType, FieldRef, Fields, Schema, TimeUnit};

/// One way in which a file differs from the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The file, relative to its store.
    pub file: String,
    /// The catalogue's field.
    pub field: String,
    /// How it differs, as the rest of a sentence that begins with the field.
    pub what: String,
    /// What may be meant, where that can be guessed.
    pub hint: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: field `{}` {}", self.file, self.field, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Compares the columns of one file with the catalogue's fields. Adds the names of columns that the
/// catalogue does not have to `ignored`.
pub(crate) fn compare(
    file: &str,
    columns: &Schema,
    catalogue: &Schema,
    ignored: &mut BTreeSet<String>,
) -> Vec<Difference> {
    let mut by_name: BTreeMap<&str, Vec<&DataType>> = BTreeMap::new();
    for column in columns.fields() {
        by_name
            .entry(column.name())
            .or_default()
            .push(column.data_type());
    }
    let mut differences = Vec::new();
    for field in catalogue.fields() {
        let difference = match by_name.get(field.name().as_str()).map(Vec::as_slice) {
            None => Some((
                "is missing".to_owned(),
                likely(field.name(), by_name.keys().copied()),
            )),
            Some([actual]) => {
                let at = Place {
                    file,
                    path: field.name().clone(),
                };
                at.walk(actual, field.data_type(), &mut differences, ignored);
                continue;
            }
            Some(_) => Some(("appears more than once".to_owned(), None)),
        };
        if let Some((what, hint)) = difference {
            let (file, field) = (file.to_owned(), field.name().clone());
            differences.push(Difference {
                file,
                field,
                what,
                hint,
            });
        }
    }
    let extra = by_name
        .keys()
        .filter(|name| catalogue.index_of(name).is_err());
    ignored.extend(extra.map(|name| (*name).to_owned()));
    differences
}

/// A column that differs from the name only by case or surrounding space.
pub(crate) fn likely<'a>(name: &str, columns: impl Iterator<Item = &'a str>) -> Option<String> {
    let folded = |text: &str| text.trim().to_lowercase();
    let wanted = folded(name);
    let mut columns = columns;
    columns
        .find(|column| folded(column) == wanted)
        .map(|column| format!("did you mean `{}`?", column.escape_debug()))
}

/// Whether a column of the one type can stand for a field of the other.
pub(crate) fn fits(actual: &DataType, catalogued: &DataType) -> bool {
    let mut differences = Vec::new();
    let at = Place {
        file: "",
        path: String::new(),
    };
    at.walk(actual, catalogued, &mut differences, &mut BTreeSet::new());
    differences.is_empty()
}

/// A place within a column: `people[].name`, `{key}`.
struct Place<'a> {
    file: &'a str,
    path: String,
}

impl Place<'_> {
    fn below(&self, step: &str) -> Self {
        Place {
            file: self.file,
            path: format!("{}{step}", self.path),
        }
    }

    fn differs(&self, what: String, hint: Option<String>) -> Difference {
        Difference {
            file: self.file.to_owned(),
            field: self.path.clone(),
            what,
            hint,
        }
    }

    /// Compares types place by place; members that the catalogue does not have are ignored, as
    /// columns are.
    fn walk(
        &self,
        actual: &DataType,
        catalogued: &DataType,
        differences: &mut Vec<Difference>,
        ignored: &mut BTreeSet<String>,
    ) {
        match (actual, catalogued) {
            (DataType::List(found) | DataType::LargeList(found), DataType::List(wanted)) => {
                let elements = self.below("[]");
                elements.walk(found.data_type(), wanted.data_type(), differences, ignored);
            }
            (DataType::Struct(found), DataType::Struct(wanted)) => {
                self.walk_members(found, wanted, differences, ignored);
            }
            (DataType::Map(found, _), DataType::Map(wanted, _)) => {
                let (Some(found), Some(wanted)) = (entry(found), entry(wanted)) else {
                    differences.push(self.differs("is a map without entries".to_owned(), None));
                    return;
                };
                for ((step, found), wanted) in ["{key}", "{value}"].iter().zip(found).zip(wanted) {
                    let at = self.below(step);
                    at.walk(found, wanted, differences, ignored);
                }
            }
            _ => {
                let what = differs(actual, catalogued);
                differences.extend(what.map(|what| self.differs(what, None)));
            }
        }
    }

    fn walk_members(
        &self,
        found: &Fields,
        wanted: &Fields,
        differences: &mut Vec<Difference>,
        ignored: &mut BTreeSet<String>,
    ) {
        let mut by_name: BTreeMap<&str, Vec<&DataType>> = BTreeMap::new();
        for member in found {
            let types = by_name.entry(member.name()).or_default();
            types.push(member.data_type());
        }
        for member in wanted {
            let at = self.below(&format!(".{}", member.name()));
            match by_name.remove(member.name().as_str()).as_deref() {
                None => {
                    let names = found.iter().map(|member| member.name().as_str());
                    let hint = likely(member.name(), names);
                    differences.push(at.differs("is missing".to_owned(), hint));
                }
                Some([actual]) => at.walk(actual, member.data_type(), differences, ignored),
                Some(_) => {
                    differences.push(at.differs("appears more than once".to_owned(), None));
                }
            }
        }
        let extra = by_name.keys();
        ignored.extend(extra.map(|name| format!("{}.{name}", self.path)));
    }
}

/// Types of a map's keys and values.
fn entry(entries: &FieldRef) -> Option<[&DataType; 2]> {
    let DataType::Struct(fields) = entries.data_type() else {
        return None;
    };
    let [key, value] = fields.as_ref() else {
        return None;
    };
    Some([key.data_type(), value.data_type()])
}

fn differs(actual: &DataType, catalogued: &DataType) -> Option<String> {
    let (found, wanted) = (Meaning::of(actual), Meaning::of(catalogued));
    if found == wanted && found != Meaning::Other {
        return None;
    }
    let verb = match (found.rank(), wanted.rank()) {
        (Some((family, found)), Some((same, wanted))) if family == same => {
            if found < wanted {
                "is narrowed to"
            } else {
                "is widened to"
            }
        }
        _ => match (found, wanted) {
            (Meaning::Decimal(p, s), Meaning::Decimal(wanted_p, wanted_s)) => {
                if p <= wanted_p && s <= wanted_s {
                    "is narrowed to"
                } else if p >= wanted_p && s >= wanted_s {
                    "is widened to"
                } else {
                    "is"
                }
            }
            _ => "is",
        },
    };
    Some(format!(
        "{verb} {}, the catalogue says {}",
        notation(actual),
        notation(catalogued)
    ))
}

/// What a type means, its physical form aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Text,
    Binary,
    Boolean,
    Signed(u8),
    Unsigned(u8),
    Float(u8),
    Decimal(u8, i8),
    Date,
    Timestamp { unit: TimeUnit, zoned: bool },
    Other,
}

impl Meaning {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a catalogue has no other types"
    )]
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, value) if Self::of(value) == Self::Text => Self::Text,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Binary,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Signed(8),
            DataType::Int16 => Self::Signed(16),
            DataType::Int32 => Self::Signed(32),
            DataType::Int64 => Self::Signed(64),
            DataType::UInt8 => Self::Unsigned(8),
            DataType::UInt16 => Self::Unsigned(16),
            DataType::UInt32 => Self::Unsigned(32),
            DataType::UInt64 => Self::Unsigned(64),
            DataType::Float32 => Self::Float(32),
            DataType::Float64 => Self::Float(64),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => Self::Decimal(*precision, *scale),
            DataType::Date32 => Self::Date,
            DataType::Timestamp(unit, zone) => Self::Timestamp {
                unit: *unit,
                zoned: zone.is_some(),
            },
            _ => Self::Other,
        }
    }

    /// Family and width of types that come in widths.
    fn rank(self) -> Option<(char, u8)> {
        match self {
            Self::Signed(bits) => Some(('i', bits)),
            Self::Unsigned(bits) => Some(('u', bits)),
            Self::Float(bits) => Some(('f', bits)),
            Self::Text
            | Self::Binary
            | Self::Boolean
            | Self::Decimal(..)
            | Self::Date
            | Self::Timestamp { .. }
            | Self::Other => None,
        }
    }
}

/// A type as a catalogue writes it, or Arrow's name of a type that a catalogue cannot write. Of
/// nested types, only what they are is named: their places are compared one by one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a catalogue has no other types"
)]
fn notation(data_type: &DataType) -> String {
    match Meaning::of(data_type) {
        Meaning::Text => "utf8".to_owned(),
        Meaning::Binary => "binary".to_owned(),
        Meaning::Boolean => "boolean".to_owned(),
        Meaning::Signed(bits) => format!("int{bits}"),
        Meaning::Unsigned(bits) => format!("uint{bits}"),
        Meaning::Float(bits) => format!("float{bits}"),
        Meaning::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        Meaning::Date => "date".to_owned(),
        Meaning::Timestamp { unit, .. } => {
            let unit = match unit {
                TimeUnit::Second => "s",
                TimeUnit::Millisecond => "ms",
                TimeUnit::Microsecond => "us",
                TimeUnit::Nanosecond => "ns",
            };
            if let DataType::Timestamp(_, Some(zone)) = data_type {
                format!("timestamp({unit}, {zone})")
            } else {
                format!("timestamp({unit})")
            }
        }
        Meaning::Other => match data_type {
            DataType::List(_) | DataType::LargeList(_) => "a list".to_owned(),
            DataType::Struct(_) => "a struct".to_owned(),
            DataType::Map(..) => "a map".to_owned(),
            other => other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
        Schema::new(fields.iter().map(field).collect::<Vec<_>>())
    }

    fn differences(columns: &[(&str, DataType)], catalogue: &[(&str, DataType)]) -> Vec<String> {
        let mut ignored = BTreeSet::new();
        compare("f", &schema(columns), &schema(catalogue), &mut ignored)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn dictionary(value: DataType) -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(value))
    }

    #[test]
    fn text_is_text_in_every_physical_form() {
        for form in [
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
            dictionary(DataType::Utf8),
            dictionary(DataType::LargeUtf8),
        ] {
            assert!(fits(&form, &DataType::Utf8), "{form}");
        }
        assert!(!fits(&DataType::Binary, &DataType::Utf8));
        assert!(!fits(&dictionary(DataType::Int64), &DataType::Int64));
    }

    #[test]
    fn zones_may_be_relabelled_but_not_invented() {
        let zoned = |zone: &str| DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert!(fits(&zoned("UTC"), &zoned("Asia/Shanghai")));
        assert!(!fits(&naive, &zoned("UTC")));
        assert!(!fits(&zoned("UTC"), &naive));
        assert!(!fits(
            &DataType::Timestamp(TimeUnit::Millisecond, None),
            &naive
        ));
    }

    #[test]
    fn every_difference_is_reported_at_once() {
        let found = differences(
            &[
                ("Name", DataType::Utf8),
                ("age", DataType::Int32),
                ("big", DataType::UInt64),
                ("money", DataType::Decimal128(12, 4)),
                ("day", DataType::Date64),
                ("twice", DataType::Int8),
                ("twice", DataType::Int8),
            ],
            &[
                ("name", DataType::Utf8),
                ("age", DataType::Int64),
                ("big", DataType::UInt32),
                ("money", DataType::Decimal128(12, 2)),
                ("day", DataType::Date32),
                ("twice", DataType::Int8),
                ("gone", DataType::Int8),
            ],
        );
        assert_eq!(
            found,
            [
                "f: field `name` is missing (did you mean `Name`?)",
                "f: field `age` is narrowed to int32, the catalogue says int64",
                "f: field `big` is widened to uint64, the catalogue says uint32",
                "f: field `money` is widened to decimal(12,4), the catalogue says decimal(12,2)",
                "f: field `day` is Date64, the catalogue says date",
                "f: field `twice` appears more than once",
                "f: field `gone` is missing",
            ]
        );
    }

    #[test]
    fn new_columns_are_ignored_by_name() {
        let mut ignored = BTreeSet::new();
        let columns = schema(&[
            ("b", DataType::Utf8),
            ("a", DataType::Int8),
            (
                "s",
                DataType::Struct(vec![Field::new("x", DataType::Int8, true)].into()),
            ),
        ]);
        let catalogue = schema(&[("a", DataType::Int8)]);
        assert!(compare("f", &columns, &catalogue, &mut ignored).is_empty());
        assert_eq!(ignored.into_iter().collect::<Vec<_>>(), ["b", "s"]);
    }

    #[test]
    fn decimals_of_another_width_are_the_same() {
        assert!(fits(
            &DataType::Decimal32(9, 2),
            &DataType::Decimal128(9, 2)
        ));
        assert!(!fits(
            &DataType::Decimal128(10, 2),
            &DataType::Decimal128(9, 2)
        ));
    }
}
