"""The keyed treatments as the documents describe them: HMAC with SHA-256 and SM3, SIV and GCM cells
with AES and SM4, FF1.

The primitives are those of the package `cryptography`; of what it lacks, FF1 and SIV over SM4, AES in
ECB mode, SM4 in CMAC and in counter mode.
"""

import base64
import datetime
import decimal
import hmac
import re
import struct

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC
from stdnum import luhn

from shared import (IDENTIFIERS, agree, derived, differ, hkdf, is_blank, is_dash, is_space, lp,
                    normalised)

# Values as they are keyed.


def as_text(value):
    """The text of a value that is no text: a decimal at its field's scale, an ISO date."""
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def keyed_text(column, category, treatment):
    """Pairs of a value and the bytes that are keyed, which are none where it is kept as given."""
    for value in column.to_pylist():
        if not isinstance(value, str):
            yield None, None if value is None else as_text(value).encode()
        elif is_blank(value):
            yield value, None
        else:
            plain = treatment.get("normalise") == "none"
            text = value if plain else normalised(value, category)
            # What is empty once normalised counts as empty.
            yield value, text.encode() or None


def each(column, category, treatment, write):
    pairs = keyed_text(column, category, treatment)
    return [value if keyed is None else write(keyed) for value, keyed in pairs]


# HMAC.


def base64url(binary):
    return base64.urlsafe_b64encode(binary).rstrip(b"=").decode()


def base32(binary):
    return base64.b32encode(binary).rstrip(b"=").decode()


ENCODINGS = {"hex": bytes.hex, "base64url": base64url, "base32": base32}


def pseudonym(key, treatment):
    encode = ENCODINGS[treatment.get("encoding", "hex")]
    sm3 = treatment.get("algorithm") == "sm3"
    key = hkdf(key, 32, b"lockgate/hmac-sm3/v1") if sm3 else key

    def write(value):
        if sm3:
            mac = HMAC(key, SM3())
            mac.update(value)
            digest = mac.finalize()
        else:
            digest = hmac.digest(key, value, "sha256")
        return encode(digest)[:treatment.get("length")]
    return write


# SIV.


class Siv:
    """SIV (RFC 5297) over any block cipher of 128 bits."""

    def __init__(self, cipher, key):
        half = len(key) // 2
        self.cipher, self.mac_key, self.stream_key = cipher, key[:half], key[half:]

    def cmac(self, message):
        mac = CMAC(self.cipher(self.mac_key))
        mac.update(message)
        return mac.finalize()

    def s2v(self, associated, plaintext):
        state = self.cmac(bytes(16))
        for component in associated:
            state = xor(doubled(state), self.cmac(component))
        if len(plaintext) >= 16:
            end = xor(plaintext[-16:], state)
            return self.cmac(plaintext[:-16] + end)
        return self.cmac(xor(doubled(state), (plaintext + b"\x80").ljust(16, b"\0")))

    def encrypt(self, plaintext, associated):
        iv = self.s2v(associated, plaintext)
        # The top bits of the last two words are cleared.
        counter = bytes(one & 0x7F if at in (8, 12) else one for at, one in enumerate(iv))
        stream = Cipher(self.cipher(self.stream_key), modes.CTR(counter)).encryptor()
        return iv + stream.update(plaintext) + stream.finalize()


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def doubled(block):
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number ^= 1 << 128 | 0x87
    return number.to_bytes(16, "big")


def check_siv():
    """Over AES it is the package's own, so that a mistake here isn't the product's."""
    key, associated = bytes(range(64)), [b"label", b"\xe4\xb8\xaa"]
    for length in (1, 15, 16, 17, 31, 32, 33, 200):
        value = bytes(one % 256 for one in range(length))
        own = Siv(algorithms.AES, key).encrypt(value, associated)
        assert own == AESSIV(key).encrypt(value, associated), length


def deterministic(key, treatment):
    if treatment.get("algorithm") == "sm4-siv":
        label = b"lockgate/sm4-siv/v1"
        siv = Siv(algorithms.SM4, hkdf(key, 32, label))
    else:
        label = b"lockgate/siv/v1"
        siv = AESSIV(hkdf(key, 64, label))
    encode = ENCODINGS[treatment.get("encoding", "base64url")]
    associated = [label, treatment["domain"].encode()]
    return lambda value: encode(siv.encrypt(value, associated))


# GCM.


class Sm4Gcm:
    """GCM over SM4 (RFC 8998), called like the package's `AESGCM`."""

    def __init__(self, key):
        self.key = key

    def decrypt(self, nonce, text, associated):
        mode = modes.GCM(nonce, text[-16:])
        decryptor = Cipher(algorithms.SM4(self.key), mode).decryptor()
        decryptor.authenticate_additional_data(associated)
        return decryptor.update(text[:-16]) + decryptor.finalize()


def check_gcm():
    """The vector of RFC 8998 (A.1), so that a mistake here isn't the product's."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    nonce = bytes.fromhex("00001234567800000000ABCD")
    associated = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    text = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC")
    repeated = [0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA]
    plain = b"".join(bytes([one] * 8) for one in repeated)
    assert Sm4Gcm(key).decrypt(nonce, text, associated) == plain


# What of a cell follows from its algorithm: its version, and that of a cell bound to its row; its
# cipher, the bytes of its keys, their labels and its GCM.
SUITES = {
    "aes-256-gcm": ((1, 3), algorithms.AES, 32, b"fle/place/v1", b"fle/v1", AESGCM),
    "sm4-gcm": ((2, 4), algorithms.SM4, 16, b"fle/sm4/place/v1", b"fle/sm4/v1", Sm4Gcm),
}


def bound_value(value):
    """What of a row a cell is bound to, after the field's name."""
    if value is None:
        return b"\0"
    text = str(value).lower() if isinstance(value, bool) else as_text(value)
    return b"\1" + lp(text.encode())


def bound_rows(treatment, table, rows):
    """What the cell of each row is bound to, in a table as it was delivered; without `beside`, to
    nothing."""
    names = sorted(treatment.get("beside", []), key=str.encode)
    columns = [[lp(name.encode()) + bound_value(value) for value in table.column(name).to_pylist()]
               for name in names]
    return list(map(b"".join, zip(*columns, strict=True))) if columns else [b""] * rows


def is_authentic(gcm, nonce, text, associated):
    try:
        gcm.decrypt(nonce, text, associated)
    except InvalidTag:
        return False
    return True


def plaintexts(column):
    """The plaintexts of a column's values, and the rows that have none though they hold a value."""
    data_type = column.type
    if pa.types.is_string(data_type):
        return [None if one is None else one.encode() for one in column.to_pylist()]
    if pa.types.is_binary(data_type):
        return column.to_pylist()
    if pa.types.is_boolean(data_type):
        return [None if one is None else bytes([one]) for one in column.to_pylist()]
    if pa.types.is_floating(data_type):
        form = ">f" if data_type.bit_width == 32 else ">d"
        # NaN and infinities are invalid, and null.
        finite = lambda one: one == one and abs(one) != float("inf")
        return [struct.pack(form, one) if one is not None and finite(one) else None
                for one in column.to_pylist()]
    if pa.types.is_decimal(data_type):
        unscaled = lambda one: int(one.scaleb(data_type.scale, decimal.Context(prec=90)))
        size = data_type.bit_width // 8
        return [None if one is None else unscaled(one).to_bytes(size, "big", signed=True)
                for one in column.to_pylist()]
    width = data_type.bit_width // 8
    signed = not pa.types.is_unsigned_integer(data_type)
    if pa.types.is_temporal(data_type):
        column = column.cast(pa.int32() if width == 4 else pa.int64())
    return [None if one is None else one.to_bytes(width, "big", signed=signed)
            for one in column.to_pylist()]


class Cells:
    """Opens the cells of one field; of all fields, it notes which keys met which nonces."""

    def __init__(self, key, treatment, field, attempts):
        self.key, self.field, self.attempts = key, field.encode(), attempts
        self.domain = treatment["domain"].encode()
        self.pad = treatment.get("pad", 1)
        self.suite = SUITES[treatment.get("algorithm", "aes-256-gcm")]
        self.chunks, self.met = {}, set()

    def open(self, cell, beside):
        """The plaintext of a cell that is bound to what is beside it, or what is wrong with it."""
        versions, cipher, size, place_label, label, gcm = self.suite
        if cell[0] != versions[bool(beside)] or cell[1:5] != hkdf(self.key, 4, b"fle/key-id/v1"):
            return "another version or key id"
        self.attempts.add(cell[5:21])
        place_key = hkdf(self.key, size, place_label, self.domain, self.field, cell[5:21])
        block = Cipher(cipher(place_key), modes.ECB()).decryptor().update(cell[21:37])
        split, chunk, row = block[0:4], block[4:8], block[8:12]
        if block[12:16] != bytes(4):
            return "its place is none"
        if cell[5:37] in self.met:
            return "its nonce met its key before"
        self.met.add(cell[5:37])
        parts = cell[5:21], split, chunk
        if parts not in self.chunks:
            keyed = hkdf(self.key, size, label, self.domain, self.field, *parts)
            self.chunks[parts] = gcm(keyed)
        opened = self.chunks[parts], bytes(8) + row, cell[37:]
        if beside and is_authentic(*opened, cell[:37]):
            return "it is bound to nothing"
        padded = opened[0].decrypt(*opened[1:], cell[:37] + beside)
        stripped = padded.rstrip(b"\0")
        value = stripped[:-1]
        if stripped[-1:] != b"\x80" or len(padded) != -(-(len(value) + 1) // self.pad) * self.pad:
            return "not padded as documented"
        return value


def check_cells(name, cells, source, got, bound):
    values = zip(plaintexts(source), got.to_pylist(), bound, strict=True)
    for row, (plain, cell, beside) in enumerate(values):
        if (plain is None) != (cell is None):
            differ(name, row, f"{plain!r} became {cell!r}")
        if cell is None:
            continue
        if isinstance(cell, str):
            cell = base64.urlsafe_b64decode(cell + "=" * (-len(cell) % 4))
        try:
            opened = cells.open(cell, beside)
        except Exception as error:
            differ(name, row, f"the cell does not open: {error!r}")
        if opened != plain:
            differ(name, row, f"opened {opened!r}, not {plain!r}")


# FF1 (NIST SP 800-38G, algorithm 7), numerals as a list.


class Ff1:
    def __init__(self, key, tweak):
        self.block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update
        self.tweak = tweak

    def mac(self, message):
        state = bytes(16)
        for at in range(0, len(message), 16):
            mixed = int.from_bytes(state, "big") ^ int.from_bytes(message[at:at + 16], "big")
            state = self.block(mixed.to_bytes(16, "big"))
        return state

    def encrypt(self, numerals, radix):
        n, t = len(numerals), len(self.tweak)
        u = n // 2
        v = n - u
        number = lambda part: sum(one * radix ** at for at, one in enumerate(reversed(part)))
        a, b = number(numerals[:u]), number(numerals[u:])
        half = (((radix ** v - 1).bit_length()) + 7) // 8
        wide = 4 * -(-half // 4) + 4
        first = b"\1\2\1" + radix.to_bytes(3, "big") + bytes([10, u % 256]) \
            + n.to_bytes(4, "big") + t.to_bytes(4, "big")
        for round_number in range(10):
            q = self.tweak + bytes((-t - half - 1) % 16) + bytes([round_number]) \
                + b.to_bytes(half, "big")
            r = self.mac(first + q)
            s = r
            for counter in range(1, -(-wide // 16)):
                mixed = int.from_bytes(r, "big") ^ counter
                s += self.block(mixed.to_bytes(16, "big"))
            y = int.from_bytes(s[:wide], "big")
            a, b = b, (a + y) % radix ** (u if round_number % 2 == 0 else v)
        numerals = []
        for half_number, places in ((b, v), (a, u)):
            for _ in range(places):
                half_number, numeral = divmod(half_number, radix)
                numerals.append(numeral)
        return numerals[::-1]


def check_ff1():
    """Samples 1, 2 and 7 of NIST's FF1 examples, so that a mistake here isn't the product's."""
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    number = list(map(int, "0123456789"))
    assert Ff1(key, b"").encrypt(number, 10) == list(map(int, "2433477484"))
    tweak = bytes.fromhex("39383736353433323130")
    assert Ff1(key, tweak).encrypt(number, 10) == list(map(int, "6124200773"))
    key += bytes.fromhex("EF4359D8D580AA4F7F036D6F04FC6A94")
    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    tweak = bytes.fromhex("3737373770717273373737")
    came = Ff1(key, tweak).encrypt([letters.index(one) for one in "0123456789abcdefghi"], 36)
    assert "".join(letters[one] for one in came) == "xs8a0azh2avyalyzuwd"


ALPHABETS = {
    "digits": "0123456789",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "lower": "abcdefghijklmnopqrstuvwxyz",
}
ALPHABETS["alphanumeric"] = ALPHABETS["digits"] + ALPHABETS["upper"] + ALPHABETS["lower"]


def half_width(character):
    code = ord(character)
    return chr(code - 0xFEE0) if 0xFF01 <= code <= 0xFF5E else character


def is_separator(character):
    plain = half_width(character)
    return is_space(plain) or is_dash(plain) or plain in ".,/:_()·"


def laid_out(value, category, alphabet, treatment):
    """A value as its characters, each a numeral, or text that stays; none for one that is neither."""
    folds = category in IDENTIFIERS or category == "mobile"
    keeps_others = treatment.get("keep_others", False)
    keeps_any = keeps_others or treatment.get("keep_separators", False)
    if folds and not keeps_any:
        value = normalised(value, category)
    for character in value:
        plain = character
        if plain not in alphabet and (folds or keeps_any):
            plain = half_width(plain)
            if plain not in alphabet and plain.swapcase() in alphabet:
                plain = plain.swapcase()
        if plain in alphabet:
            yield alphabet.index(plain)
        elif keeps_others or keeps_any and is_separator(character):
            yield character
        else:
            yield None


def format_preserving(key, name, category, treatment):
    alphabet = treatment.get("alphabet", "digits")
    alphabet = ALPHABETS.get(alphabet, alphabet)
    radix = len(alphabet)
    tweak = treatment["domain"].encode()
    if treatment.get("tweak") == "field":
        tweak = lp(b"fpe", tweak, name.encode())
    ff1 = Ff1(key, tweak)

    def write(value):
        if value is None or is_blank(value):
            return value
        parts = list(laid_out(value, category, alphabet, treatment))
        numerals = [one for one in parts if isinstance(one, int)]
        # Of nothing but separators it counts as empty.
        if not numerals and None not in parts and all(map(is_separator, parts)):
            return value
        if None in parts or len(numerals) > 256 or radix ** len(numerals) < 1_000_000:
            return "*" * len(value)
        came = iter(ff1.encrypt(numerals, radix))
        return "".join(one if isinstance(one, str) else alphabet[next(came)] for one in parts)
    return write


class Permutation:
    """The numbers below `size`, permuted by FF1 over two or four numerals, with cycle-walking."""

    def __init__(self, key, size, context):
        self.key, self.size = key, size
        self.context = context + bytes(-len(context) % 16)
        self.length = 2 if size <= 2 ** 32 else 4
        roots = range(int(size ** (1 / self.length)) - 1, 65_537)
        self.radix = next(root for root in roots if root ** self.length >= size)

    def of(self, rank, kept=0, accepts=lambda rank: True):
        ff1 = Ff1(self.key, self.context + kept.to_bytes(7, "big"))
        while True:
            places = reversed(range(self.length))
            numerals = [rank // self.radix ** place % self.radix for place in places]
            rank = 0
            for numeral in ff1.encrypt(numerals, self.radix):
                rank = rank * self.radix + numeral
            if rank < self.size and accepts(rank):
                return rank


def permuted(key, treatment):
    low, high = int(treatment["from"]), int(treatment["to"])
    names = "permute-int", treatment["from"], treatment["to"], treatment["domain"]
    permutation = Permutation(key, high - low + 1, lp(*(str(name).encode() for name in names)))

    def write(value):
        inside = value is not None and low <= value <= high
        return low + permutation.of(int(value) - low) if inside else None
    return write


def structured(key, treatment):
    """Structured ids whose valid numbers need no table: mobile numbers and bank cards."""
    of, keep = treatment["of"], treatment.get("keep", [])
    names = ["structured-id", of, *keep, treatment["domain"]]
    context = lp(*(name.encode() for name in names))
    digits = max([0] + [int(part[-1]) for part in keep])

    def mobile(number):
        if not re.fullmatch(r"1[3-9][0-9]{9}", number):
            return None
        kept, size = (int(number[:3]), 10 ** 8) if digits else (0, 7 * 10 ** 9)
        base = kept * 10 ** 8 if digits else 13 * 10 ** 9
        permutation = Permutation(key, size, context + b"\0")
        return str(base + permutation.of(int(number) - base, kept))

    def card(number):
        if not re.fullmatch(r"[1-9][0-9]{15,18}", number) or not luhn.is_valid(number):
            return None
        hidden = len(number) - 1 - digits
        permutation = Permutation(key, 10 ** hidden, context + bytes([len(number) - 16]))
        first_is_free = digits == 0
        rank = permutation.of(int(number[digits:-1]), int(number[:digits] or 0),
                              lambda rank: not first_is_free or rank >= 10 ** (hidden - 1))
        payload = number[:digits] + f"{rank:0{hidden}}"
        return payload + luhn.calc_check_digit(payload)

    def write(value):
        number = value and normalised(value, of)
        if not number:
            return value
        came = (mobile if of == "mobile" else card)(number)
        return came or "*" * len(value)
    return write


# All of them.

PURPOSES = {"hmac": "pseudonym", "encrypt-det": "encryption", "encrypt-rand": "encryption",
            "fpe": "fpe", "permute-int": "fpe", "structured-id": "fpe"}


def check_keyed(request, field, stated, original, delivered, attempts, table=None):
    """Checks a column under one of these treatments; notes the attempts that its cells are of. The
    table is what was delivered, for cells that are bound to their row."""
    name, category, treatment = field["name"], field["category"], field["treatment"]
    kind = treatment["kind"]
    version = request["versions"].get(PURPOSES[kind], 1)
    assert stated["key_versions"] == {PURPOSES[kind]: version}, stated
    key = derived(request, PURPOSES[kind], treatment, version)
    if kind == "encrypt-rand":
        bound = bound_rows(treatment, table, len(delivered))
        check_cells(name, Cells(key, treatment, name, attempts), original, delivered, bound)
        return
    if kind in ("hmac", "encrypt-det"):
        write = (pseudonym if kind == "hmac" else deterministic)(key, treatment)
        expected = pa.array(each(original, category, treatment, write), pa.string())
    elif kind in ("fpe", "structured-id"):
        write = structured(key, treatment) if kind == "structured-id" \
            else format_preserving(key, name, category, treatment)
        expected = pa.array(map(write, original.to_pylist()), pa.string())
    else:
        expected = pa.array(map(permuted(key, treatment), original.to_pylist()), original.type)
    agree(name, delivered, expected)
