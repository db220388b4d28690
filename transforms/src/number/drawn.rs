//! A keyed rule applied row by row: the value, and the entity it belongs to.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, PrimitiveArray, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::column::expect_type;
use crate::calendar::DayField;
use crate::cases::Rules;
use crate::entity::EntityField;
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Choice, Context, Treated, Treatment};

/// A treatment that makes one value of another of the same type, and of the row's entity.
struct Drawn<T, F> {
    data_type: DataType,
    rules: Rules,
    entity: Option<EntityField>,
    day: Option<DayField>,
    map: F,
    /// Whether there are second results, for a mark to choose.
    is_chosen: bool,
    array: PhantomData<fn() -> T>,
}

/// The result of a row, and the one that a mark may choose instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates<V> {
    /// The result.
    pub(crate) first: V,
    /// A result that shows the other symbol, if there is one, and the symbol that the first shows.
    pub(crate) other: Option<(V, bool)>,
}

impl<V> Candidates<V> {
    fn only(first: V) -> Self {
        Self { first, other: None }
    }
}

/// Makes a treatment of a function from a value and its entity to the treated value, or to none if
/// either or the result does not fit. Where there is an entity field, a row without an entity is
/// invalid and the function isn't asked.
///
/// # Errors
/// A sentinel that is not a value of the field's type.
pub(crate) fn drawn<T, F>(
    column: Column<'_>,
    options: &Options,
    entity: Option<EntityField>,
    map: F,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native, Option<&str>) -> Option<T::Native> + Send + Sync + 'static,
{
    drawn_beside::<T, _>(column, options, entity, None, move |value, entity, _| {
        map(value, entity)
    })
}

/// The same for a function that gives a second result too, for a mark to choose.
///
/// # Errors
/// As [`drawn`].
pub(crate) fn drawn_for_choice<T, F>(
    column: Column<'_>,
    options: &Options,
    entity: Option<EntityField>,
    map: F,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native, Option<&str>) -> Option<Candidates<T::Native>> + Send + Sync + 'static,
{
    let map = move |value, entity: Option<&str>, _: Option<i64>| map(value, entity);
    Ok(Box::new(Drawn {
        is_chosen: true,
        ..Drawn::<T, _>::new(column, options, entity, None, map)?
    }))
}

/// The same for a function that is also told the day that another field of the row holds; none
/// where there is no such field, or a null in it. Where the day can't be told, the row is invalid
/// and the function isn't asked.
///
/// # Errors
/// As [`drawn`].
pub(crate) fn drawn_beside<T, F>(
    column: Column<'_>,
    options: &Options,
    entity: Option<EntityField>,
    day: Option<DayField>,
    map: F,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native, Option<&str>, Option<i64>) -> Option<T::Native> + Send + Sync + 'static,
{
    let map = move |value, entity: Option<&str>, day| map(value, entity, day).map(Candidates::only);
    Ok(Box::new(Drawn::<T, _>::new(
        column, options, entity, day, map,
    )?))
}

impl<T, F> Drawn<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native, Option<&str>, Option<i64>) -> Option<Candidates<T::Native>>,
{
    fn new(
        column: Column<'_>,
        options: &Options,
        entity: Option<EntityField>,
        day: Option<DayField>,
        map: F,
    ) -> Result<Self, Misfit> {
        Ok(Self {
            data_type: column.data_type.clone(),
            rules: Rules::resolve(options, column)?,
            entity,
            day,
            map,
            is_chosen: false,
            array: PhantomData,
        })
    }
}

/// Second results, as they are collected.
struct Others<T: ArrowPrimitiveType> {
    values: PrimitiveBuilder<T>,
    shows: BooleanBuilder,
}

impl<T: ArrowPrimitiveType> Others<T> {
    fn with_capacity(rows: usize) -> Self {
        Self {
            values: PrimitiveBuilder::with_capacity(rows),
            shows: BooleanBuilder::with_capacity(rows),
        }
    }

    fn push(&mut self, other: Option<(T::Native, bool)>) {
        self.values.append_option(other.map(|(value, _)| value));
        self.shows.append_option(other.map(|(_, shows)| shows));
    }

    fn finish(mut self, data_type: &DataType) -> Choice {
        let values = self.values.finish().with_data_type(data_type.clone());
        Choice {
            other: Arc::new(values),
            shows: self.shows.finish(),
        }
    }
}

impl<T, F> fmt::Debug for Drawn<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drawn")
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

impl<T, F> Treatment for Drawn<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native, Option<&str>, Option<i64>) -> Option<Candidates<T::Native>> + Send + Sync,
{
    fn output_type(&self) -> &DataType {
        &self.data_type
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let array: &PrimitiveArray<T> = expect_type(column, &self.data_type)?;
        let entities = match &self.entity {
            Some(field) => Some(field.read(context, array.len())?),
            None => None,
        };
        let days = match &self.day {
            Some(field) => Some(field.read(context, array.len())?),
            None => None,
        };
        let sentinels = self.rules.sentinel_rows(array)?;
        let mut cases = self.rules.cases(array.len());
        let mut treated = PrimitiveBuilder::<T>::with_capacity(array.len());
        let mut others = self
            .is_chosen
            .then(|| Others::<T>::with_capacity(array.len()));
        for (row, value) in array.iter().enumerate() {
            let drawn = match value {
                None => Err(Case::Null),
                Some(value) if sentinels.as_ref().is_some_and(|rows| rows.value(row)) => {
                    cases.sentinel();
                    Ok(Candidates::only(value))
                }
                Some(value) => {
                    let day = match &days {
                        None => Ok(None),
                        Some(days) => days.get(row).copied().unwrap_or(Err(Case::Invalid)),
                    };
                    let result = match (day, &entities) {
                        (Err(_), _) => None,
                        (Ok(day), None) => (self.map)(value, None, day),
                        (Ok(day), Some(entities)) => entities
                            .get(row)
                            .and_then(|entity| (self.map)(value, Some(&entity), day)),
                    };
                    result.ok_or(Case::Invalid)
                }
            };
            if let Some(others) = &mut others {
                others.push(drawn.as_ref().ok().and_then(|drawn| drawn.other));
            }
            match drawn {
                Ok(drawn) => treated.append_value(drawn.first),
                Err(case) => {
                    // Nothing but a text can be kept or covered with fills: both are null here.
                    cases.decide(row, case)?;
                    treated.append_null();
                }
            }
        }
        let treated = treated.finish().with_data_type(self.data_type.clone());
        Ok(Treated {
            choice: others.map(|others| others.finish(&self.data_type)),
            ..cases.finish(Arc::new(treated))
        })
    }
}

/// A definition applied to an array beside a field that names entities, for the tests of treatments.
#[cfg(test)]
pub(crate) mod testing {
    use arrow::array::StringArray;
    use serde_json::Value;

    use super::*;
    use crate::number::column::testing::written;
    use crate::spec::{Definition, Row, RowField};
    use crate::testing::key;

    /// Calls with a row of a text field `who` of that category, and a boolean field `flag`.
    pub(crate) fn with_row<R>(category: &str, then: impl FnOnce(Row<'_>) -> R) -> R {
        let field = |name, data_type, category| RowField {
            name,
            data_type,
            category,
        };
        then(Row(&[
            field("who", &DataType::Utf8, category),
            field("flag", &DataType::Boolean, "other"),
        ]))
    }

    /// The result for entities of a category; entities that are missing are named `-`.
    pub(crate) fn treat_of<D: Definition>(
        table: Value,
        options: &Options,
        array: impl arrow::array::Array + 'static,
        entities: &[Option<&str>],
        category: &str,
    ) -> Treated {
        let definition = written::<D>(table);
        let array: ArrayRef = Arc::new(array);
        let who = (0..array.len()).map(|row| *entities.get(row).unwrap_or(&Some("-")));
        let inputs: Vec<ArrayRef> = definition
            .reads()
            .iter()
            .map(|_| -> ArrayRef { Arc::new(who.clone().collect::<StringArray>()) })
            .collect();
        with_row(category, |row| {
            let column = Column {
                row,
                ..Column::alone("x", array.data_type(), "x")
            };
            let treatment = definition.build(column, options, Some(&key())).unwrap();
            let output = definition.output_type(column).unwrap();
            assert_eq!(Some(treatment.output_type()), output.as_ref());
            let context = Context {
                inputs: &inputs,
                ..Context::default()
            };
            let treated = treatment.treat(&array, &context).unwrap();
            assert_eq!(treated.array.data_type(), treatment.output_type());
            treated.array.to_data().validate_full().unwrap();
            treated
        })
    }

    /// The result for entities of no known category.
    pub(crate) fn treat<D: Definition>(
        table: Value,
        options: &Options,
        array: impl arrow::array::Array + 'static,
        entities: &[Option<&str>],
    ) -> Treated {
        treat_of::<D>(table, options, array, entities, "other")
    }

    /// The words of the misfit with a type.
    pub(crate) fn misfit<D: Definition>(table: Value, data_type: &DataType) -> Misfit {
        let definition = written::<D>(table);
        with_row("other", |row| {
            let column = Column {
                row,
                ..Column::alone("x", data_type, "x")
            };
            let misfit = definition.output_type(column).unwrap_err();
            let built = definition.build(column, &Options::default(), Some(&key()));
            assert_eq!(built.unwrap_err(), misfit);
            misfit
        })
    }
}
