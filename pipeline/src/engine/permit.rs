//! Whether a run may still go on.

use std::fmt;

use crate::error::RunError;

/// Whoever can take back what a run was allowed.
///
/// # Contract
/// Cheap enough to be asked before each split. Once it refuses, nothing of the run is published.
pub trait Permit: fmt::Debug + Send + Sync {
    /// Asks whether the run may go on.
    ///
    /// # Errors
    /// Whatever speaks against it, or keeps anybody from finding out.
    fn check(&self) -> Result<(), RunError>;
}

/// The permit of what publishes nothing, such as a replay.
#[derive(Debug, Clone, Copy)]
pub struct Unpublished;

impl Permit for Unpublished {
    fn check(&self) -> Result<(), RunError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use lockgate_connectors::source::{ReadRequest, Source, SourceSpec, open_source};
    use lockgate_connectors::{Format, Store, StoreConfig};
    use lockgate_transforms::{Column, TreatmentSpec};
    use parquet::arrow::ArrowWriter;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::engine::{
        Budget, ColumnTreatment, Encoder, Exchange, Outcome, Progress, Treater, delivered_schema,
    };
    use crate::plan::row_filter::RowFilter;
    use crate::plan::{Refusal, RefusalCode, RowScope};

    /// Files of the source, each of them a split.
    const SPLITS: usize = 6;

    /// Counts how often it is asked, and refuses from then on.
    #[derive(Debug)]
    struct Counting {
        asked: AtomicUsize,
        refused_from: usize,
    }

    impl Permit for Counting {
        fn check(&self) -> Result<(), RunError> {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            if asked < self.refused_from {
                return Ok(());
            }
            let refusal = Refusal::new(RefusalCode::Halted, "all exchanges are halted".to_owned());
            Err(RunError::Refused(vec![refusal]))
        }
    }

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    fn source(directory: &Path, runtime: &tokio::runtime::Runtime) -> Arc<dyn Source> {
        let folder = directory.join("lake/numbers");
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..SPLITS {
            let file = File::create(folder.join(format!("{number}.parquet"))).unwrap();
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
            let batch = RecordBatch::try_new(schema(), vec![column]).unwrap();
            let mut writer = ArrowWriter::try_new(file, schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        let store = Store::open(&StoreConfig::new("file:lake", directory)).unwrap();
        let spec = SourceSpec {
            store,
            path: "numbers/".to_owned(),
            format: Format::Parquet,
            fields: schema(),
        };
        let request = ReadRequest {
            projection: vec!["n".to_owned()],
            pruning: None,
            batch_rows: 4,
        };
        let source = runtime.block_on(open_source(spec, request)).unwrap();
        assert_eq!(source.splits().len(), SPLITS);
        source
    }

    fn treater() -> Treater {
        let spec: TreatmentSpec = toml::from_str("kind = 'clear'").unwrap();
        let column = Column::alone("n", &DataType::Int64, "number");
        let treatment = spec.build(column, None).unwrap();
        Treater::new(vec![ColumnTreatment::new(
            "n".to_owned(),
            Some(0),
            treatment,
        )])
    }

    /// How often the permit was asked, and what came of the exchange.
    fn run(refused_from: usize) -> (usize, Result<Outcome, RunError>) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let treater = treater();
        let delivered = delivered_schema(treater.columns());
        let compression = "none".parse().unwrap();
        let scope = RowScope {
            predicate: None,
            division_field: None,
            divisions: Vec::new(),
        };
        let permit = Arc::new(Counting {
            asked: AtomicUsize::new(0),
            refused_from,
        });
        let exchange = Exchange {
            source: source(directory.path(), &runtime),
            filter: Arc::new(RowFilter::new(&scope, &schema()).unwrap()),
            treater,
            encoder: Encoder::parquet(&delivered, vec![true], compression, "test").unwrap(),
            seal: None,
            cell_attempt: [0; 16],
            progress: Arc::new(Progress::default()),
            permit: Arc::<Counting>::clone(&permit),
            cancel: CancellationToken::new(),
        };
        let budget = Budget {
            threads: 1,
            lanes: 1,
        };
        let outcome = exchange.run_into_void(runtime.handle(), budget);
        (permit.asked.load(Ordering::SeqCst), outcome)
    }

    #[test]
    fn the_permit_is_asked_once_a_split_and_a_refusal_ends_the_exchange_there() {
        let (asked, outcome) = run(usize::MAX);
        assert_eq!(asked, SPLITS);
        assert_eq!(outcome.unwrap().rows.delivered, 60);
        for refused_from in [1, 3, SPLITS] {
            let (asked, outcome) = run(refused_from);
            assert_eq!(asked, refused_from, "no split is begun after it");
            match outcome {
                Err(RunError::Refused(refusals)) => {
                    assert_eq!(refusals[0].code, RefusalCode::Halted);
                }
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("refused from {refused_from} on, and delivered"),
            }
        }
    }
}
