"""What the oracles share: the request, the delivery, keys, normalisation, and the verdict.

A script is started as `SCRIPT make REQUEST` to write a source, and as `SCRIPT check REQUEST` to
judge a delivery of it. REQUEST is one JSON document: `source` and `keys` (directories), `delivery`
(folder), `grant` (id), `fields` (`name`, `type`, `category`, `values`, `treatment`), and what else
the script reads. Nothing here comes from the product: keys are derived as its documents say, with
the package `cryptography`.
"""

import base64
import functools
import hashlib
import json
import pathlib
import re
import sys
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ARROW_TYPES = {
    "utf8": pa.string(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "binary": pa.binary(),
}


def arrow_type(text):
    """The type of Arrow that a type of the catalogue is delivered as."""
    if text in ARROW_TYPES:
        return ARROW_TYPES[text]
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", text).groups()
    arguments = [argument.strip() for argument in arguments.split(",")]
    if name == "decimal":
        precision, scale = map(int, arguments)
        return (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale)
    assert name == "timestamp", text
    return pa.timestamp(*arguments)


def held_type(data_type):
    """The type in which Parquet holds a type: it has no seconds."""
    seconds = pa.types.is_timestamp(data_type) and data_type.unit == "s"
    return pa.timestamp("ms", data_type.tz) if seconds else data_type


def start(make, check):
    """Reads the command line and does one of the two."""
    mode, request = sys.argv[1:]
    {"make": make, "check": check}[mode](json.loads(request))


def write_source(request, table):
    """Writes a source as three files, each in several row groups."""
    folder = pathlib.Path(request["source"])
    folder.mkdir(parents=True)
    table = rotated(request, table)
    rows = table.num_rows
    cuts = [0, rows * 2 // 3, rows * 29 // 30, rows]
    for number, (begin, end) in enumerate(zip(cuts, cuts[1:])):
        part = table.slice(begin, end - begin)
        pq.write_table(part, folder / f"{number}.parquet", row_group_size=rows // 5)


def rotated(request, table):
    """Another source, where the test asks for it: every value one row up."""
    by = request.get("rotated", 0)
    return pa.concat_tables([table.slice(by), table.slice(0, by)])


def source_files(request):
    """The tables of the source's files, in the order of their paths' bytes."""
    files = pathlib.Path(request["source"]).rglob("*.parquet")
    for path in sorted(files, key=lambda path: path.as_posix().encode()):
        yield pq.ParquetFile(path).read()


def read_source(request):
    """The source, in the order of its rows."""
    return pa.concat_tables(source_files(request))


def read_manifest(folder):
    """What the manifest states; the files it names are as it states them."""
    envelope = json.loads((folder / "manifest.json").read_text())
    assert envelope["payloadType"] == "application/vnd.lockgate.manifest+json"
    manifest = json.loads(base64.b64decode(envelope["payload"]))
    for stated in manifest["files"]:
        content = (folder / stated["path"]).read_bytes()
        assert len(content) == stated["bytes"], stated
        assert hashlib.sha256(content).hexdigest() == stated["sha256"], stated
        assert pq.read_metadata(folder / stated["path"]).num_rows == stated["rows"], stated
    return manifest


def includes(stated, asked):
    """Whether a treatment is as it was asked for, but for the defaults that were spelled out."""
    if isinstance(asked, dict):
        return all(key in stated and includes(stated[key], asked[key]) for key in asked)
    if isinstance(asked, list) and isinstance(stated, list):
        return len(asked) == len(stated) and all(map(includes, stated, asked))
    return asked == stated


def read_delivery(request):
    """The manifest's fields by name, and the rows, after the fields were found to be as asked."""
    folder = pathlib.Path(request["delivery"])
    manifest = read_manifest(folder)
    table = pa.concat_tables([pq.read_table(folder / file["path"]) for file in manifest["files"]])
    assert table.num_rows == manifest["rows"]["delivered"]
    assert table.schema.names == [field["name"] for field in request["fields"]], table.schema
    assert all(field.nullable for field in table.schema), table.schema
    fields = {}
    for asked, stated in zip(request["fields"], manifest["fields"], strict=True):
        assert stated["name"] == asked["name"] and stated["source_type"] == asked["type"], stated
        assert includes(stated["treatment"], asked["treatment"]), (stated, asked)
        delivered = table.schema.field(asked["name"]).type
        assert delivered == held_type(arrow_type(stated["type"])), (stated, delivered)
        fields[asked["name"]] = stated
    return fields, table


def lp(*parts):
    """Every part after its length in 4 bytes, big-endian."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def hkdf(key, size, *parts):
    """HKDF-SHA256 without a salt."""
    return HKDF(SHA256(), size, None, lp(*parts)).derive(key)


def derived(request, purpose, treatment, version):
    """The key of a treatment, under the grant or the join group that it names."""
    line = (pathlib.Path(request["keys"]) / f"{purpose}.v{version}.key").read_text().strip()
    assert line.startswith(f"lockgate-key:v1:{purpose}:"), purpose
    join = treatment.get("join")
    scope = f"join:{join}" if join else f"grant:{request['grant']}"
    parts = ["lockgate/v1", purpose, treatment["domain"], scope, str(version)]
    key = base64.b64decode(line.rsplit(":", 1)[1])
    return hkdf(key, 32, *(part.encode() for part in parts))


IDENTIFIERS = {"resident-id", "bank-card", "credit-code", "bank-account", "passport"}


def is_space(character):
    """White_Space of Unicode, which isn't quite Python's."""
    return character.isspace() and not "\x1c" <= character <= "\x1f"


def is_dash(character):
    return character in "-\u2212" or "\u2010" <= character <= "\u2015"


@functools.cache
def normalised(value, category):
    """The one spelling of an identifier that is keyed; other values as they are."""
    if category not in IDENTIFIERS and category != "mobile":
        return value
    text = unicodedata.normalize("NFKC", value)
    text = "".join(one for one in text if not is_space(one) and not is_dash(one))
    if text.endswith("x"):
        text = text[:-1] + "X"
    if category == "mobile":
        text = re.sub(r"^(\+86|0086|86)(?=1[3-9][0-9]{9}$)", "", text)
    return text


def is_blank(value):
    return all(map(is_space, value))


class Disagreement(Exception):
    """What is wrong with a field, and where."""


def differ(name, row, what):
    raise Disagreement(f"row {row}, {name}: {what}")


def agree(name, got, expected):
    """Two columns are equal in type and value."""
    if isinstance(got, pa.ChunkedArray):
        got = got.combine_chunks()
    if got.equals(expected):
        return
    if got.type != expected.type:
        raise Disagreement(f"{name}: {got.type}, not {expected.type}")
    for row, (one, other) in enumerate(zip(got, expected)):
        if not one.equals(other):
            differ(name, row, f"{one!r}, not {other!r}")
    raise Disagreement(f"{name}: {len(got)} rows, not {len(expected)}")


def check_fields(request, check):
    """Checks field by field, and ends the script with what is wrong in each, if in any."""
    wrong = []
    for field in request["fields"]:
        try:
            check(field)
        except Disagreement as error:
            wrong.append(str(error))
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"agreed on {len(request['fields'])} fields")
