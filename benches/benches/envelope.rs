//! What a core seals into envelopes, and opens, per second.
//!
//! 16 MiB at a time, in writes of 64 KiB as encoders make them, into a sink that takes them for nothing.
//! Run with `cargo bench -p lockgate-benchmarks --bench envelope`.
#![expect(
    clippy::expect_used,
    reason = "a bench whose input is wrong has nothing to measure"
)]

use std::io::{self, Read as _, Write};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_connectors::keyring::{PairKind, read_private, write_pair};
use lockgate_connectors::seal::envelope::{EnvelopeReader, EnvelopeWriter};
use lockgate_connectors::seal::{Binding, Kek, SealContext, Suite, UnwrappedKek};

const BYTES: usize = 16 << 20;
const WRITE_BYTES: usize = 64 << 10;
const NAME: &str = "part-00000.csv.gdx";

/// A sealing context and what opens what it seals.
fn keys(suite: Suite) -> (SealContext, UnwrappedKek) {
    let directory = tempfile::tempdir().expect("a directory");
    let pair = write_pair(directory.path(), "a", PairKind::Recipient).expect("a pair");
    let identity = read_private(&pair.private).expect("an identity");
    let binding = Binding::new(suite, "d", "a", "r").expect("ids");
    let context = SealContext::new(binding, Kek::draw().expect("a KEK")).expect("a context");
    let file = context.key_file(&[pair.key]).expect("a key file");
    let keys = file.unwrap(&identity).expect("the KEK");
    (context, keys)
}

fn seal<W: Write>(context: &SealContext, content: &[u8], into: W) -> W {
    let mut writer = EnvelopeWriter::new(into, context, NAME).expect("an envelope");
    for piece in content.chunks(WRITE_BYTES) {
        writer.write_all(piece).expect("sealed");
    }
    writer.finish().expect("a last chunk")
}

fn envelopes(criterion: &mut Criterion) {
    let content = vec![0x5e; BYTES];
    let mut group = criterion.benchmark_group("envelope");
    group.throughput(Throughput::Bytes(BYTES.try_into().expect("a length")));
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(5));
    for &suite in Suite::all() {
        let (context, keys) = keys(suite);
        group.bench_function(format!("{suite}, sealed"), |bencher| {
            bencher.iter(|| seal(&context, &content, io::sink()));
        });
        let sealed = seal(&context, &content, Vec::new());
        group.bench_function(format!("{suite}, opened"), |bencher| {
            let mut out = vec![0; WRITE_BYTES];
            bencher.iter(|| {
                let mut reader =
                    EnvelopeReader::open(sealed.as_slice(), context.binding(), NAME, &keys)
                        .expect("an envelope");
                while reader.read(&mut out).expect("a sound chunk") > 0 {}
            });
        });
    }
    group.finish();
}

criterion_group!(benches, envelopes);
criterion_main!(benches);
