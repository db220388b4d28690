# Recomputes a delivery of the register of people from its source and compares value by value.
# Arguments: directory of the source, folder of the delivery, pseudonym key file, id of the grant.
import base64, datetime, decimal, hashlib, hmac, json, pathlib, struct, sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

source, delivery, key_file, grant = sys.argv[1:]
delivery = pathlib.Path(delivery)


def derived(master, domain, scope, version):
    """HKDF-SHA256 without a salt, 32 bytes, over the length-prefixed context (RFC 5869)."""
    parts = ["lockgate/v1", "pseudonym", domain, scope, version]
    info = b"".join(struct.pack(">I", len(p.encode())) + p.encode() for p in parts)
    extracted = hmac.new(bytes(32), master, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


key_line = pathlib.Path(key_file).read_text().strip()
key = derived(base64.b64decode(key_line.rsplit(":", 1)[1]), "person.id", "grant:" + grant, "1")

envelope = json.loads((delivery / "manifest.json").read_text())
assert envelope["payloadType"] == "application/vnd.lockgate.manifest+json"
manifest = json.loads(base64.b64decode(envelope["payload"]))
files = [delivery / file["path"] for file in manifest["files"]]
for path, stated in zip(files, manifest["files"]):
    content = path.read_bytes()
    assert len(content) == stated["bytes"]
    assert hashlib.sha256(content).hexdigest() == stated["sha256"]
    assert pq.read_metadata(path).num_rows == stated["rows"]

got = pa.concat_tables([pq.read_table(path) for path in files])
names = ["id", "person_id", "name", "region", "status", "income", "birth", "seen"]
types = [pa.int64(), pa.string(), pa.string(), pa.string(), pa.string(), pa.decimal128(12, 2),
         pa.date32(), pa.timestamp("us")]
assert got.schema.names == names, got.schema
assert got.schema.types == types, got.schema
assert all(field.nullable for field in got.schema)


def thousands(value):
    """The nearest multiple of 1000, half away from zero."""
    thousand = decimal.Decimal(1000)
    return (value / thousand).quantize(decimal.Decimal(1), decimal.ROUND_HALF_UP) * thousand


expected = []
for path in sorted(pathlib.Path(source).rglob("*.parquet"), key=lambda p: p.as_posix().encode()):
    for row in pq.ParquetFile(path).read().to_pylist():
        if not (row["status"] in ("active", None) and (row["region"] or "").startswith("33")):
            continue
        row["person_id"] = hmac.new(key, row["person_id"].encode(), hashlib.sha256).hexdigest()
        # A name of one character is short, and wholly covered.
        row["name"] = row["name"][0] + "*" * (len(row["name"]) - 1) if len(row["name"]) > 1 else "*"
        row["income"] = thousands(row["income"])
        row["birth"] = datetime.date(row["birth"].year, 1, 1)
        expected.append(row)
rows = got.to_pylist()
assert len(rows) == len(expected) == manifest["rows"]["delivered"], (len(rows), len(expected))
for number, (row, other) in enumerate(zip(rows, expected)):
    for name in names:
        assert row[name] == other[name], f"row {number}, {name}: {row[name]!r}, not {other[name]!r}"

# Another reader of the format sees the same.
relation = duckdb.read_parquet([str(path) for path in files])
assert relation.columns == names
found = relation.fetchall()
assert [dict(zip(names, row)) for row in found] == rows
print(f"agreed on {len(rows)} rows")
