"""Recomputes from the source what depends on a key: HMAC, SIV, FF1; and opens every GCM cell.

The source is made here: numbers and texts in the spellings that registers have, and the ends of
every type.
"""

import datetime
import decimal
import random
import re

import pyarrow as pa
from stdnum import luhn

from recipes import check_ff1, check_gcm, check_keyed, check_siv
from shared import agree, arrow_type, check_fields, read_delivery, read_source, start, write_source

TEXTS = ["", " ", "张三", "欧阳修", "Ana", "\U00020000\U0002A6DF", "e\u0301", "👩‍👩‍👧", "a" * 200, "x" * 16,
         "y" * 17, "\0", "\x80"]
SPELLINGS = ["11010519491231002X", "11010519491231002x", "110105 19491231 002X",
             "１１０１０５１９４９１２３１００２Ｘ", "110105-19491231-002x", "-", "\u3000"]


def digits(chance, least, most):
    return "".join(chance.choices("0123456789", k=chance.randrange(least, most + 1)))


def wholes(data_type):
    bits = int(data_type.strip("uint"))
    low, high = (0, 2 ** bits) if data_type[0] == "u" else (-2 ** (bits - 1), 2 ** (bits - 1))
    return lambda chance: chance.choice([
        low, high - 1, 0, chance.randrange(low, high), chance.randrange(low, high)])


def decimals(data_type):
    precision, scale = map(int, re.findall(r"\d+", data_type))
    most = 10 ** precision - 1

    def value(chance):
        unscaled = chance.choice([0, most, -most, 1, chance.randrange(-most, most + 1)])
        return decimal.Decimal(unscaled).scaleb(-scale, decimal.Context(prec=90))
    return value


def text(chance):
    return chance.choice([chance.choice(TEXTS), digits(chance, 1, 40)])


def spelling(chance):
    return chance.choice([chance.choice(SPELLINGS), digits(chance, 18, 18)])


def account(chance):
    number = digits(chance, 5, 40)
    return chance.choice([number, number, number, number + "x", digits(chance, 120, 260)])


def spelt_account(chance):
    number = digits(chance, 16, 19)
    spelt = [number[:4] + " " + number[4:8] + "-" + number[8:], number[:6] + "/" + number[6:],
             "".join(chr(ord(one) + 0xFEE0) for one in number), number + "#", "12 345", " - "]
    return chance.choice(spelt + [number] * 6)


def reference(chance):
    """The number of a document: digits within what isn't one."""
    before = chance.choice(["HZ-", "合同第", "a/b", "№"])
    spelt = [f"{digits(chance, 4, 4)}-{digits(chance, 6, 6)}", digits(chance, 8, 8) + "号",
             "".join(chr(ord(one) + 0xFEE0) for one in digits(chance, 7, 7))]
    return chance.choice([before, before + digits(chance, 1, 5), "-", digits(chance, 6, 40)]
                         + [before + one for one in spelt] * 3)


def word(chance):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    mixed = letters + letters.lower() + "0123456789"
    return "".join(chance.choices(chance.choice([letters, mixed]), k=chance.randrange(3, 20)))


def han(chance):
    return "".join(chance.choices("甲乙丙丁戊己庚辛壬癸子丑𠀀𪛟", k=chance.randrange(4, 24)))


def mobile(chance):
    number = f"1{chance.randrange(3, 10)}{digits(chance, 9, 9)}"
    return chance.choice(["", "", "+86", "0086 ", "86-"]) + number


def card(chance):
    digits_before = chance.choice("456") + digits(chance, 14, 17)
    check = luhn.calc_check_digit(digits_before) if chance.random() < 0.9 else "0"
    return chance.choice(["", "", " "]) + digits_before + check


VALUES = {
    "card": card,
    "text": text,
    "spelling": spelling,
    "account": account,
    "spelt-account": spelt_account,
    "reference": reference,
    "word": word,
    "han": han,
    "mobile": mobile,
    "boolean": lambda chance: chance.random() < 0.5,
    "float": lambda chance: chance.choice(
        [0.0, -0.0, 1.5, 2.0 ** -149, -2.0 ** 127, float("nan"), float("inf"), float("-inf")]),
    "date": lambda chance: datetime.date(1, 1, 1) + datetime.timedelta(chance.randrange(3_652_059)),
    "instant": lambda chance: chance.randrange(-2 ** 62, 2 ** 62),
    "bytes": lambda chance: chance.randbytes(chance.choice([0, 1, 15, 16, 17, 300])),
    "small": lambda chance: chance.randrange(-10, 1_000_010),
}


def make(request):
    columns = {}
    for field in request["fields"]:
        kind, data_type = field["values"], field["type"]
        value = VALUES.get(kind) or {"whole": wholes, "decimal": decimals}[kind](data_type)
        chance = random.Random(kind + data_type)
        values = [None if chance.random() < 0.1 else value(chance) for _ in range(request["rows"])]
        columns[field["name"]] = pa.array(values, arrow_type(data_type))
    write_source(request, pa.table(columns))


def check(request):
    check_ff1()
    check_gcm()
    check_siv()
    fields, got = read_delivery(request)
    source = read_source(request)
    attempts = set()

    def check_field(field):
        name = field["name"]
        columns = source.column(name), got.column(name)
        if field["treatment"]["kind"] == "clear":
            agree(name, got.column(name), source.column(name).combine_chunks())
        else:
            check_keyed(request, field, fields[name], *columns, attempts, got)
    check_fields(request, check_field)
    assert len(attempts) <= 1, attempts


start(make, check)
