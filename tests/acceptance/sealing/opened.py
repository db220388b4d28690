"""Opens sealed deliveries with pyarrow and the package `cryptography`, and nothing of Lockgate.

Takes the KEK out of keys.json with the recipient's private key (HPKE, RFC 9180, written out below), hands
it to pyarrow's CryptoFactory as a key service, and compares every value of every column with those of plain
files. Values are forced: minima and counts of rows come from a footer and prove nothing.
"""

import base64
import json
import pathlib
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


# Values of the beginning and of the end of a column that are compared as Python's own.
SHOWN = 5_000


def lp(*parts):
    parts = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def extract(suite, salt, label, ikm):
    mac = hmac.HMAC(salt or bytes(32), hashes.SHA256())
    mac.update(b"HPKE-v1" + suite + label + ikm)
    return mac.finalize()


def expand(suite, key, label, info, length):
    info = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return HKDFExpand(hashes.SHA256(), length, info).derive(key)


def hpke_open(secret, enc, ct, info):
    """RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""
    private = X25519PrivateKey.from_private_bytes(secret)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kem = b"KEM" + struct.pack(">H", 0x20)
    prk = extract(kem, b"", b"eae_prk", private.exchange(X25519PublicKey.from_public_bytes(enc)))
    shared = expand(kem, prk, b"shared_secret", enc + public, 32)
    suite = b"HPKE" + struct.pack(">HHH", 0x20, 1, 2)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key = expand(suite, secret, b"key", context, 32)
    nonce = expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ct, b"")


def kek_of(keys, identity):
    secret = base64.b64decode(identity.read_text().strip().split(":")[3])
    info = lp("lockgate/v1", "kek", *(keys[name] for name in ("suite", "delivery", "attempt", "recipient")))
    for entry in keys["recipients"]:
        try:
            return hpke_open(secret, *(base64.b64decode(entry[name]) for name in ("enc", "ct")), info)
        except InvalidTag:
            pass
    raise SystemExit("the KEK is not wrapped to this identity")


class Keys(pe.KmsClient):
    """Unwraps the keys of one file; `denied` are uses that it refuses."""

    def __init__(self, keys, kek, name, denied=()):
        pe.KmsClient.__init__(self)
        self.keys, self.kek, self.name, self.denied = keys, kek, name, denied
        self.asked = []

    def wrap_key(self, key_bytes, master_key_identifier):
        raise NotImplementedError

    def unwrap_key(self, wrapped_key, master_key_identifier):
        text = wrapped_key.decode() if isinstance(wrapped_key, bytes) else wrapped_key
        use, wrapped = text.rsplit(".", 1)
        assert master_key_identifier == self.keys["kek"], master_key_identifier
        self.asked.append(use)
        if use in self.denied:
            raise PermissionError(use)
        wrapped = base64.b64decode(wrapped)
        bound = [self.keys[name] for name in ("suite", "delivery", "attempt", "recipient")]
        return AESGCM(self.kek).decrypt(wrapped[:12], wrapped[12:], lp(*bound, self.name, use))


def opened(path, keys, kek, name=None, denied=()):
    client = Keys(keys, kek, name or path.name, denied)
    factory = pe.CryptoFactory(lambda configuration: client)
    properties = factory.file_decryption_properties(pe.KmsConnectionConfig())
    file = pq.ParquetFile(path, decryption_properties=properties)
    file.keep = (client, factory)
    return file


def column(file, name):
    groups = [file.read_row_group(group, columns=[name]) for group in range(file.num_row_groups)]
    return pa.concat_tables(groups).column(0)


def compare(ours, theirs, name):
    """Compares two columns value by value. Both were decoded from their pages: nothing comes from a footer.

    Arrow compares them in whole, since a million values as Python's objects would take minutes. Those are
    made of the first and last, to be sure of what is compared."""
    assert ours.type.equals(theirs.type) and len(ours) == len(theirs), name
    assert ours.null_count == theirs.null_count and ours.equals(theirs), name
    for part in (slice(0, SHOWN), slice(-SHOWN, None)):
        assert ours[part].to_pylist() == theirs[part].to_pylist(), name


def pages(metadata, content, group, number):
    """How many pages a column has: each is two modules, a header and the page."""
    chunk = metadata.row_group(group).column(number)
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset]
    at = min(start for start in starts if start)
    end, modules = at + chunk.total_compressed_size, 0
    while at < end:
        at, modules = at + 4 + int.from_bytes(content[at : at + 4], "little"), modules + 1
    assert at == end and modules % 2 == 0, (at, end, modules)
    return modules // 2


def refused(what, attempt):
    """Nothing but what a reader says of a file or key, or the key service here: no mistake of this script."""
    try:
        attempt()
    except (OSError, InvalidTag):  # a PermissionError is an OSError
        return
    raise SystemExit(f"{what} was not refused")


def make(path, rows):
    """Writes the source of many rows: every type with values that hardly repeat, and nulls."""
    numbers = range(rows)
    table = pa.table({
        "id": pa.array(numbers, pa.int64()),
        "person": pa.array(f"33010219{row % 100:02}{row:010}" for row in numbers),
        "status": pa.array((("active", "left", None)[row % 3] for row in numbers), pa.string()),
        "income": pa.array((row * 7919 % 2_000_000 for row in numbers), pa.int32()).cast(pa.decimal128(12, 2)),
        "birth": pa.array((row % 20_000 for row in numbers), pa.int32()).cast(pa.date32()),
        "seen": pa.array((row * 61_000_000 for row in numbers), pa.int64()).cast(pa.timestamp("us")),
        "active": pa.array((None if row % 7 == 0 else row % 2 == 0 for row in numbers), pa.bool_()),
    })
    pq.write_table(table, path, row_group_size=max(rows // 5, 1), compression="none")


def main(request):
    if "make" in request:
        return make(request["make"], request["rows"])
    delivery = pathlib.Path(request["sealed"])
    keys = json.loads((delivery / request["attempt"] / "keys.json").read_text())
    kek = kek_of(keys, pathlib.Path(request["identity"]))
    keyed = request.get("keyed", [])
    compared = 0
    for sealed, plain in zip(request["sealed_files"], request["plain_files"], strict=True):
        sealed = pathlib.Path(sealed)
        file, expected = opened(sealed, keys, kek), pq.ParquetFile(plain)
        assert file.schema_arrow.equals(expected.schema_arrow), file.schema_arrow
        assert file.metadata.num_rows == expected.metadata.num_rows
        for name in expected.schema_arrow.names:
            compare(column(file, name), column(expected, name), name)
            compared += expected.metadata.num_rows
        if "groups_at_least" in request:
            assert file.num_row_groups >= request["groups_at_least"], file.num_row_groups
            content = sealed.read_bytes()
            for group in range(file.num_row_groups):
                for number in range(file.metadata.num_columns):
                    assert pages(file.metadata, content, group, number) >= 2, (group, number)
        refused("another KEK", lambda: opened(sealed, keys, bytes(32)))
        refused("another name", lambda: opened(sealed, keys, kek, "part-99999.parquet"))
        refused("no keys", lambda: pq.ParquetFile(sealed))
        refused("a denied footer", lambda: opened(sealed, keys, kek, denied=("footer",)))
        for name in keyed:
            denied = opened(sealed, keys, kek, denied=(f"column:{name}",))
            refused(f"the denied column {name}", lambda: column(denied, name))
            others = [other for other in expected.schema_arrow.names if other not in keyed]
            compare(column(denied, others[0]), column(expected, others[0]), others[0])
    print(f"agreed on {compared} values")


main(json.loads(sys.argv[1]))
