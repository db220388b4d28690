use arrow::array::{Int64Array, TimestampSecondArray};
use arrow::datatypes::{Field, TimestampMillisecondType};
use lockgate_connectors::publish::PartWriter;
use lockgate_connectors::seal::{Binding, Kek, Suite};

use super::*;

fn seconds(zone: Option<&str>) -> (DataType, DataType) {
    let zone: Option<Arc<str>> = zone.map(Into::into);
    let of = |unit| DataType::Timestamp(unit, zone.clone());
    (of(TimeUnit::Second), of(TimeUnit::Millisecond))
}

#[test]
fn seconds_are_held_in_milliseconds_of_their_zone() {
    for zone in [None, Some("Asia/Shanghai")] {
        let (own, held) = seconds(zone);
        assert_eq!(held_type(&own), held);
        assert_eq!(held_type(&held), held);
        let times = TimestampSecondArray::from(vec![Some(-1), None, Some(1_800_000_000)]);
        let column: ArrayRef = Arc::new(times.with_data_type(own));
        let column = in_held_type(&column, &held).unwrap();
        assert_eq!(*column.data_type(), held);
        let values: Vec<_> = column
            .as_primitive::<TimestampMillisecondType>()
            .iter()
            .collect();
        assert_eq!(values, [Some(-1_000), None, Some(1_800_000_000_000)]);
    }
}

fn encoder(fields: usize) -> ParquetEncoder {
    let field = |number| Field::new(format!("field-{number:04}"), DataType::Int64, true);
    let schema = Schema::new((0..fields).map(field).collect::<Vec<_>>());
    ParquetEncoder::new(&schema, vec![true; fields], Compression::default(), "test").unwrap()
}

fn file(encoder: &ParquetEncoder) -> ParquetFile {
    let part = PartWriter::into_void("part-00000.parquet");
    encoder.open(Sink::Plain(Box::new(part))).unwrap()
}

#[test]
fn a_file_ends_before_its_row_groups_can_not_be_numbered_or_its_footer_not_be_read() {
    let mut few = file(&encoder(1));
    for (groups, is_full) in [(0, false), (32_766, false), (32_767, true)] {
        few.groups = groups;
        assert_eq!(few.is_full_of_groups(), is_full, "{groups}");
    }
    // 490 columns of 552 bytes and more: 305 row groups of them have a footer of 64 MiB and more.
    let mut many = file(&encoder(490));
    for (groups, is_full) in [(0, false), (123, false), (124, true)] {
        many.groups = groups;
        assert_eq!(many.is_full_of_groups(), is_full, "{groups}");
    }
    // One that is too much by itself has a file of its own.
    many.group_metadata = FOOTER_BYTES_MAX + 1;
    for (groups, is_full) in [(0, false), (1, true)] {
        many.groups = groups;
        assert_eq!(many.is_full_of_groups(), is_full, "{groups}");
    }
}

#[test]
fn a_plain_row_group_does_not_get_into_a_sealed_file() {
    let encoder = encoder(2);
    let binding = Binding::new(Suite::default(), &"0".repeat(32), &"1".repeat(16), "r").unwrap();
    let context = SealContext::new(binding, Kek::draw().unwrap()).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let columns = vec![Arc::clone(&column), column];
    let chunk = || Chunk {
        columns: columns.clone(),
        rows: 2,
        bytes: 32,
        dropped: 0,
        rejected: 0,
        kept: None,
    };
    for keyed in [vec![], vec!["field-0001".to_owned()]] {
        let part = PartWriter::into_void("part-00000.parquet");
        let sink = Sink::Plain(Box::new(part));
        let name = "part-00000.parquet";
        let mut sealed = encoder
            .open_sealed(sink, (&context, &keyed), name, &columns)
            .unwrap();
        let begun = [
            ParquetGroupWriter::begin(&encoder, &columns).unwrap(),
            ParquetGroupWriter::begin_in(&encoder, &sealed).unwrap(),
        ];
        let [plain, own] = begun.map(|group| {
            let written = group.write(&encoder, &[chunk()]).unwrap();
            written.close().unwrap()
        });
        assert!(sealed.append(plain).is_err());
        assert_eq!(sealed.groups, 0);
        sealed.append(own).unwrap();
        sealed.close().unwrap();
    }
}

#[test]
fn a_time_beyond_milliseconds_fails_without_showing_it() {
    let (_, held) = seconds(None);
    let column: ArrayRef = Arc::new(TimestampSecondArray::from(vec![9_223_372_036_854_776]));
    let error = in_held_type(&column, &held).unwrap_err().to_string();
    assert!(
        error.contains("beyond") && !error.contains("922"),
        "{error}"
    );
}
