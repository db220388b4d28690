//! One group per treatment: what a core treats per second, by kind of input.
//!
//! Inputs are named for what they hold and described as rows x bytes per value; one value in 32 is
//! null. Which treatments and inputs, `src/treatments.rs` says. Run with
//! `cargo bench -p lockgate-benchmarks --bench treatments`.

#![expect(
    clippy::expect_used,
    reason = "a bench whose input is wrong has nothing to measure"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lockgate_benchmarks::treatments::{ROWS, build, measured, reads, treat};

fn treatments(criterion: &mut Criterion) {
    for known in measured() {
        let spec = &known.spec;
        let read = reads(spec);
        let mut group = criterion.benchmark_group(spec.summary());
        group.throughput(Throughput::Elements(u64::try_from(ROWS).unwrap_or(0)));
        for input in &known.inputs {
            let treatment = build(spec, input).expect("the treatment fits");
            let id = BenchmarkId::new(input.name, format!("{ROWS} rows x {} B", input.bytes));
            group.bench_with_input(id, &input.column, |bencher, column| {
                bencher.iter(|| treat(&*treatment, column, &read));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, treatments);
criterion_main!(benches);
