"""Recomputes a delivery of the register of people from its source and compares value by value.

The register is written by the tests; beside what every request holds, this one holds nothing.
"""

import datetime
import decimal
import hashlib
import hmac
import pathlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from shared import derived, read_manifest, source_files, start

NAMES = ["id", "person_id", "name", "region", "status", "income", "birth", "seen"]
TYPES = [pa.int64(), pa.string(), pa.string(), pa.string(), pa.string(), pa.decimal128(12, 2),
         pa.date32(), pa.timestamp("us")]


def thousands(value):
    """The nearest multiple of 1000, half away from zero."""
    thousand = decimal.Decimal(1000)
    return (value / thousand).quantize(decimal.Decimal(1), decimal.ROUND_HALF_UP) * thousand


def recomputed(request):
    """The rows in scope, treated here."""
    key = derived(request, "pseudonym", {"domain": "person.id"}, 1)
    for row in (row for table in source_files(request) for row in table.to_pylist()):
        if not (row["status"] in ("active", None) and (row["region"] or "").startswith("33")):
            continue
        row["person_id"] = hmac.new(key, row["person_id"].encode(), hashlib.sha256).hexdigest()
        # A name of one character is short, and wholly covered.
        row["name"] = row["name"][0] + "*" * (len(row["name"]) - 1) if len(row["name"]) > 1 else "*"
        row["income"] = thousands(row["income"])
        row["birth"] = datetime.date(row["birth"].year, 1, 1)
        yield row


def check(request):
    folder = pathlib.Path(request["delivery"])
    manifest = read_manifest(folder)
    files = [folder / file["path"] for file in manifest["files"]]
    got = pa.concat_tables([pq.read_table(path) for path in files])
    assert got.schema.names == NAMES, got.schema
    assert got.schema.types == TYPES, got.schema
    assert all(field.nullable for field in got.schema)
    rows, expected = got.to_pylist(), list(recomputed(request))
    assert len(rows) == len(expected) == manifest["rows"]["delivered"], (len(rows), len(expected))
    for number, (row, other) in enumerate(zip(rows, expected)):
        for name in NAMES:
            assert row[name] == other[name], \
                f"row {number}, {name}: {row[name]!r}, not {other[name]!r}"
    # Another reader of the format sees the same.
    relation = duckdb.read_parquet([str(path) for path in files])
    assert relation.columns == NAMES
    assert [dict(zip(NAMES, row)) for row in relation.fetchall()] == rows
    print(f"agreed on {len(rows)} rows")


start(None, check)
