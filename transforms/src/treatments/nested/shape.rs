//! What becomes of a type: which members stay, and which treatment each value gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

use super::path::{Step, Tree};
use super::{Nested, Unknown};
use crate::error::Misfit;
use crate::spec::Column;
use crate::values::plain_type;

/// A type, with what is done at each of its places.
#[derive(Debug)]
pub(super) enum Shape {
    /// Values that the treatment of that number turns into another type.
    Leaf {
        treatment: usize,
        from: DataType,
        to: DataType,
    },
    /// Values of that type that become null.
    Null(DataType),
    Struct(Vec<Member>),
    List(Box<Self>),
    Map {
        key: Box<Self>,
        value: Box<Self>,
    },
}

/// A member of a struct that stays.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) shape: Shape,
}

impl Shape {
    /// The type of the result: plain lists, everything nullable but the keys of maps.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Leaf { to, .. } => to.clone(),
            Self::Null(data_type) => data_type.clone(),
            Self::Struct(members) => DataType::Struct(fields(members)),
            Self::List(elements) => {
                DataType::List(Arc::new(Field::new_list_field(elements.data_type(), true)))
            }
            Self::Map { key, value } => {
                let fields = entry_fields(key.data_type(), value.data_type());
                let entries = Field::new("entries", DataType::Struct(fields), false);
                DataType::Map(Arc::new(entries), false)
            }
        }
    }

    /// The type of the values that each treatment is given.
    pub(super) fn leaf_types(&self, types: &mut BTreeMap<usize, DataType>) {
        match self {
            Self::Leaf {
                treatment, from, ..
            } => {
                types.insert(*treatment, from.clone());
            }
            Self::Null(_) => {}
            Self::Struct(members) => {
                members
                    .iter()
                    .for_each(|member| member.shape.leaf_types(types));
            }
            Self::List(elements) => elements.leaf_types(types),
            Self::Map { key, value } => {
                key.leaf_types(types);
                value.leaf_types(types);
            }
        }
    }
}

/// The fields of a struct of these members.
pub(super) fn fields(members: &[Member]) -> Fields {
    let fields = members.iter();
    fields
        .map(|member| Field::new(&member.name, member.shape.data_type(), true))
        .collect()
}

/// The fields of a map's entries.
pub(super) fn entry_fields(key: DataType, value: DataType) -> Fields {
    Fields::from(vec![
        Field::new("keys", key, false),
        Field::new("values", value, true),
    ])
}

/// The shape of a type of which everything stays; adds the types of its values, in the order of
/// their treatments' numbers.
///
/// # Errors
/// A value of a type that no catalogue can declare.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other type has places within"
)]
pub(super) fn whole(
    kind: &str,
    column: Column<'_>,
    leaves: &mut Vec<DataType>,
) -> Result<Shape, Misfit> {
    let mut within = |data_type| {
        let column = Column {
            data_type,
            ..column
        };
        whole(kind, column, leaves)
    };
    match column.data_type {
        DataType::List(field) | DataType::LargeList(field) => {
            Ok(Shape::List(Box::new(within(field.data_type())?)))
        }
        DataType::Struct(fields) => {
            let members = fields.iter().map(|field| {
                let (name, shape) = (field.name().clone(), within(field.data_type())?);
                Ok(Member { name, shape })
            });
            members.collect::<Result<_, _>>().map(Shape::Struct)
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let mut halves = fields.iter().map(|half| within(half.data_type()));
                match (halves.next(), halves.next()) {
                    (Some(key), Some(value)) => Ok(Shape::Map {
                        key: Box::new(key?),
                        value: Box::new(value?),
                    }),
                    _ => Err(Misfit::of_type(
                        kind,
                        column.data_type,
                        "maps of keys and values",
                    )),
                }
            }
            _ => Err(Misfit::of_type(
                kind,
                column.data_type,
                "maps of keys and values",
            )),
        },
        _ => {
            let from = plain_type(kind, column)?;
            leaves.push(from.clone());
            Ok(Shape::Leaf {
                treatment: leaves.len() - 1,
                to: from.clone(),
                from,
            })
        }
    }
}

/// The shape that places give a field.
///
/// # Errors
/// A field that isn't nested; a place that its type doesn't have; a treatment that doesn't fit;
/// nothing left of the field, or only half of a map.
pub(super) fn shape(nested: &Nested, tree: &Tree<'_>, column: Column<'_>) -> Result<Shape, Misfit> {
    let data_type = column.data_type;
    let has_places = matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_) | DataType::Map(_, _)
    );
    if !has_places {
        return Err(Misfit::of_type("nested", data_type, "lists, structs, maps"));
    }
    inner(nested, tree, column)?.ok_or_else(|| {
        Misfit::of_parameter("fields", "nothing is left of the field".to_owned())
            .with_hint("withhold the whole field")
    })
}

/// `None` where the place is removed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other type has places within"
)]
fn inner(nested: &Nested, tree: &Tree<'_>, column: Column<'_>) -> Result<Option<Shape>, Misfit> {
    if let Some((treatment, place, spec)) = tree.treatment {
        let output = spec
            .output_type(nested.values_at(place, column))
            .map_err(|misfit| misfit.within("fields", place))?;
        let from = column.data_type.clone();
        return Ok(output.map(|to| Shape::Leaf {
            treatment,
            from,
            to,
        }));
    }
    let at = |data_type| Column {
        data_type,
        ..column
    };
    match column.data_type {
        DataType::Struct(fields) => structs(nested, tree, fields, column),
        DataType::List(field) | DataType::LargeList(field) => {
            only(tree, &[Step::Elements], column)?;
            let Some(below) = tree.below.get(&Step::Elements) else {
                return Ok(None);
            };
            let elements = inner(nested, below, at(field.data_type()))?;
            Ok(elements.map(|elements| Shape::List(Box::new(elements))))
        }
        DataType::Map(entries, _) => {
            only(tree, &[Step::Key, Step::Value], column)?;
            let DataType::Struct(fields) = entries.data_type() else {
                return Ok(None);
            };
            let [key, value] = fields.as_ref() else {
                return Ok(None);
            };
            let half = |step, data_type| match tree.below.get(&step) {
                Some(below) => inner(nested, below, at(data_type)),
                None => Ok(None),
            };
            let key = half(Step::Key, key.data_type())?;
            match (key, half(Step::Value, value.data_type())?) {
                (Some(key), Some(value)) => Ok(Some(Shape::Map {
                    key: Box::new(key),
                    value: Box::new(value),
                })),
                (None, None) => Ok(None),
                _ => Err(
                    Misfit::of_parameter("fields", "a map can't lose its keys or its values")
                        .with_hint("name both {key} and {value}; { kind = \"null\" } fits values"),
                ),
            }
        }
        _ => Err(no_such_place(tree, column)),
    }
}

fn structs(
    nested: &Nested,
    tree: &Tree<'_>,
    fields: &Fields,
    column: Column<'_>,
) -> Result<Option<Shape>, Misfit> {
    let known: Vec<Step> = fields
        .iter()
        .map(|field| Step::Member(field.name().clone()))
        .collect();
    only(tree, &known, column)?;
    let mut members = Vec::new();
    for (field, step) in fields.iter().zip(&known) {
        let data_type = field.data_type();
        let shape = match tree.below.get(step) {
            Some(below) => inner(
                nested,
                below,
                Column {
                    data_type,
                    ..column
                },
            )?,
            None if nested.unknown == Unknown::Null => Some(Shape::Null(plain(data_type))),
            None => None,
        };
        if let Some(shape) = shape {
            members.push(Member {
                name: field.name().clone(),
                shape,
            });
        }
    }
    Ok((!members.is_empty()).then_some(Shape::Struct(members)))
}

/// A type without what only its physical form adds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other type has one form"
)]
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        other => other.clone(),
    }
}

/// Refuses places that a type doesn't have.
fn only(tree: &Tree<'_>, known: &[Step], column: Column<'_>) -> Result<(), Misfit> {
    match tree.below.iter().find(|(step, _)| !known.contains(step)) {
        Some((_, below)) => Err(no_such_place(below, column)),
        None => Ok(()),
    }
}

fn no_such_place(tree: &Tree<'_>, column: Column<'_>) -> Misfit {
    let place = tree.any_place();
    let what = format!(
        "there is no `{place}` in `{}`: a place lies in {}",
        column.name, column.data_type
    );
    Misfit::of_parameter("fields", what)
        .with_hint("write a.b for structs, a[] for lists, a{key} and a{value} for maps")
}
