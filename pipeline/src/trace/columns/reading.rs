//! How a column's text becomes values: a leak may spell them otherwise than the delivery did.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use lockgate_transforms::marks::found::{self, Spelling};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::site::FieldType;
use crate::trace::pass;

/// How a column's text is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// As it stands.
    Text,
    /// As values of a type, which were spelled in that way.
    Typed {
        /// The type, in the catalogue's notation.
        data_type: String,
        /// The spelling.
        spelling: Spelling,
    },
}

impl Reading {
    /// The values of a column; null where they can't be read so.
    pub(in crate::trace) fn read(&self, column: &StringArray) -> Result<ArrayRef, RunError> {
        match self {
            Self::Text => Ok(Arc::new(column.clone())),
            Self::Typed {
                data_type,
                spelling,
            } => {
                let data_type = arrow_type(data_type)?;
                let found = found::read(column, &data_type, *spelling);
                Ok(found.map_err(pass::reading)?.values)
            }
        }
    }
}

pub(super) fn arrow_type(notation: &str) -> Result<DataType, RunError> {
    let parsed = FieldType::parse(notation).map_err(|what| RunError::Internal {
        what: format!("the type of a marked field: {what}"),
    })?;
    Ok(parsed.to_arrow())
}
