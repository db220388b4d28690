//! Row groups that cannot hold a row for which the predicate is true, by the footer's statistics.
//!
//! Statistics are trusted only where they are known to be sound: not for floats, whose NaN they
//! leave out although comparisons put it above every number; not in the deprecated form, whose
//! order of text is wrong beyond ASCII; and an absent count of nulls is unknown, not none. Whatever
//! goes wrong here keeps the row group, because the engine filters again.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::footer::Footer;

/// A predicate over the catalogue's fields in the form that statistics can answer, or none if they
/// can answer nothing about it.
pub(super) fn predicate(
    expression: &Arc<dyn PhysicalExpr>,
    fields: &SchemaRef,
) -> Option<PruningPredicate> {
    PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(fields))
        .try_build(Arc::clone(expression))
        .ok()
        .filter(|predicate| !predicate.always_true())
}

/// For each row group, whether it may hold matching rows.
pub(super) fn row_groups(predicate: &PruningPredicate, footer: &Footer) -> Vec<bool> {
    let groups = footer.metadata.num_row_groups();
    // Statistics are bytes from the file; a decoder that trips over them proves nothing.
    let pruned = catch_unwind(AssertUnwindSafe(|| predicate.prune(&Statistics { footer })));
    match pruned {
        Ok(Ok(kept)) if kept.len() == groups => kept,
        _ => vec![true; groups],
    }
}

struct Statistics<'a> {
    footer: &'a Footer,
}

impl Statistics<'_> {
    fn converter(&self, column: &Column) -> Option<StatisticsConverter<'_>> {
        let parquet = self.footer.metadata.file_metadata().schema_descr();
        StatisticsConverter::try_new(column.name(), &self.footer.schema, parquet)
            .ok()
            .map(|converter| converter.with_missing_null_counts_as_zero(false))
    }

    fn bounds(&self, column: &Column) -> Option<StatisticsConverter<'_>> {
        let converter = self.converter(column)?;
        if matches!(
            converter.arrow_field().data_type(),
            DataType::Float16 | DataType::Float32 | DataType::Float64
        ) {
            return None;
        }
        let leaf = converter.parquet_column_index()?;
        let deprecated = self.footer.metadata.row_groups().iter().any(|group| {
            let statistics = group
                .columns()
                .get(leaf)
                .and_then(|column| column.statistics());
            statistics.is_some_and(|statistics| statistics.is_min_max_deprecated())
        });
        (!deprecated).then_some(converter)
    }
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column)?
            .row_group_mins(self.footer.metadata.row_groups())
            .ok()
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column)?
            .row_group_maxes(self.footer.metadata.row_groups())
            .ok()
    }

    fn num_containers(&self) -> usize {
        self.footer.metadata.num_row_groups()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self.converter(column)?;
        let counts = counts
            .row_group_null_counts(self.footer.metadata.row_groups())
            .ok()?;
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(self.footer.group_rows.clone())))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
