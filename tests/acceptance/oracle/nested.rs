//! Lists, structs and maps, as pyarrow reads them.

use std::process::Command;

use lockgate_acceptance::site::{Grant, finish};

use super::python;
use crate::exchange::nested;

/// Reads a delivery, and compares rows and types.
const SCRIPT: &str = r#"
import decimal, pathlib, sys
import pyarrow as pa
import pyarrow.parquet as pq

[file] = pathlib.Path(sys.argv[1]).rglob("*.parquet")
table = pq.read_table(file)
child = pa.struct([("name", pa.string()), ("age", pa.int32())])
types = {
    "id": pa.int64(),
    "children": pa.list_(pa.field("element", child)),
    "amounts": pa.map_(pa.string(), pa.decimal128(12, 2)),
    "home": pa.struct([("street", pa.string()), ("tags", pa.list_(pa.field("element", pa.string())))]),
}
for name, expected in types.items():
    found = table.schema.field(name).type
    assert found.equals(expected), f"{name} is {found}, not {expected}"
# As the specification of Parquet has the names within.
paths = [pq.read_metadata(file).schema.column(at).path for at in range(7)]
assert paths[1:5] == ["children.list.element.name", "children.list.element.age",
                      "amounts.key_value.key", "amounts.key_value.value"], paths
money = decimal.Decimal
assert table["children"].to_pylist() == [
    [{"name": "张三", "age": 7}, {"name": "欧阳娜娜", "age": 12}],
    [None, {"name": None, "age": 3}, {"name": "李", "age": None}],
    [], None, [{"name": "王五", "age": 1}],
]
assert table["amounts"].to_pylist() == [
    [("低保", money("1234.56")), ("医保", None)], [], None, [("低保", money("-0.50"))], [],
]
assert table["home"].to_pylist() == [
    {"street": "文三路1号", "tags": ["东", "西"]}, None, {"street": "", "tags": []},
    {"street": "文一路2号", "tags": []}, {"street": "教工路3号", "tags": ["南"]},
]
print("read")
"#;

#[test]
fn pyarrow_reads_lists_structs_and_maps() {
    let Some(python) = python() else { return };
    let site = nested::site();
    site.signed(&Grant::new("G-1", "families", &nested::FIELDS));
    let delivery = site.deliver("G-1");
    let mut command = Command::new(python);
    command.arg("-c").arg(SCRIPT).arg(delivery.folder());
    let done = finish(&mut command);
    assert_eq!((done.code, done.stdout.trim()), (0, "read"), "{done:?}");
}
