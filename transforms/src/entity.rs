//! The entity a row belongs to: the field that keeps the rows of one person together.
//!
//! A treatment that moves dates or adds noise draws once per person, wherever the person occurs:
//! in another row, batch, table or spelling.

use std::borrow::Cow;

use arrow::array::{Array, StringArray};
use arrow::datatypes::DataType;

use crate::cases::{failed, to_text};
use crate::category;
use crate::error::{Misfit, TreatmentError};
use crate::spec::Column;
use crate::treatment::Context;

/// The field named by a parameter `by`.
#[derive(Debug, Clone)]
pub(crate) struct EntityField {
    data_type: DataType,
    normalise: Option<fn(&str) -> Cow<'_, str>>,
}

impl EntityField {
    /// Finds the field in the dataset of `column`.
    ///
    /// # Errors
    /// There is no such field, or its type has no text to key.
    pub(crate) fn resolve(name: &str, column: Column<'_>) -> Result<Self, Misfit> {
        let field = column.row.find("by", name)?;
        let data_type = field.data_type;
        let fits = matches!(
            data_type,
            DataType::Utf8 | DataType::Decimal128(_, _) | DataType::Date32
        ) || data_type.is_integer();
        if !fits {
            let what = format!("`by` names a field of type {data_type}, which identifies nobody");
            return Err(Misfit::of_parameter("by", what)
                .with_hint("name a field of text, whole numbers, decimals or dates"));
        }
        Ok(Self {
            data_type: data_type.clone(),
            normalise: category::find(field.category).map(|known| known.normalise),
        })
    }

    /// The entities of a chunk's rows, from the context's first input.
    ///
    /// # Errors
    /// The context has no such input, or one of another length or type.
    pub(crate) fn read(
        &self,
        context: &Context<'_>,
        rows: usize,
    ) -> Result<Entities, TreatmentError> {
        let input = context.inputs.first().filter(|input| input.len() == rows);
        let input = input.ok_or_else(|| failed("reading the field named by `by`"))?;
        let is_text = matches!(
            input.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _)
        );
        if *input.data_type() != self.data_type && !(is_text && self.data_type == DataType::Utf8) {
            return Err(TreatmentError::UnexpectedType {
                expected: self.data_type.clone(),
                actual: input.data_type().clone(),
            });
        }
        Ok(Entities {
            texts: to_text(input)?,
            normalise: self.normalise,
        })
    }
}

/// The entities of a chunk's rows.
#[derive(Debug)]
pub(crate) struct Entities {
    texts: StringArray,
    normalise: Option<fn(&str) -> Cow<'_, str>>,
}

impl Entities {
    /// The entity of a row in its one spelling; none where the field is null, empty, white space
    /// only, or has no text.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<Cow<'_, str>> {
        if row >= self.texts.len() || self.texts.is_null(row) {
            return None;
        }
        let text = self.texts.value(row);
        let entity = match self.normalise {
            Some(normalise) => normalise(text),
            None => Cow::Borrowed(text),
        };
        (!entity.chars().all(char::is_whitespace)).then_some(entity)
    }
}
