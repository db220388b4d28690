"""Reads every type that can be delivered with pyarrow, and compares it with the source.

What a treatment makes of another type is computed here: texts of intervals and bands, parts of
dates, cells. The source is made here too, with the ends of every type.
"""

import csv
import datetime
import decimal
import math
import pathlib
import random
import re
import zoneinfo

import pyarrow as pa
import pyarrow.csv

from recipes import PURPOSES, check_keyed
from shared import (Disagreement, agree, arrow_type, check_fields, differ, held_type, read_delivery,
                    read_source, rotated, start, write_source)

# The zones of the package `tzdata`, whatever the machine has.
zoneinfo.reset_tzpath(to=())

EPOCH = datetime.datetime(1970, 1, 1)
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

# The source.


def whole_values(chance, data_type):
    signed = not pa.types.is_unsigned_integer(data_type)
    bits = data_type.bit_width
    low, high = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2 ** bits - 1)
    edges = [low, high, low + 1, high - 1, 0, 1, max(low, -1)]
    return lambda: chance.choice(edges) if chance.random() < 0.2 else chance.randint(low, high)


def float_values(chance, data_type):
    single = data_type.bit_width == 32
    edges = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 2.0 ** -149, -2.0 ** 127,
             16_777_217.0] + ([] if single else [5e-324, 1.7976931348623157e308, 0.1 + 0.2])
    return lambda: chance.choice(edges) if chance.random() < 0.2 else chance.uniform(-1e6, 1e6)


def decimal_values(chance, data_type):
    most = 10 ** data_type.precision - 1
    edges = [most, -most, 0, 1, -1]

    def value():
        unscaled = chance.choice(edges) if chance.random() < 0.2 else chance.randint(-most, most)
        return decimal.Decimal(unscaled).scaleb(-data_type.scale, decimal.Context(prec=90))
    return value


def moment_values(chance, data_type):
    """Moments that Python's calendar has; of zones whose clocks are changed, those before 2100, up
    to which their rules are spelled out."""
    unit = 1 if data_type == pa.date32() else PER_SECOND[data_type.unit] * 86_400
    low, high = datetime.date(2, 1, 1), datetime.date(9998, 12, 31)
    if pa.types.is_timestamp(data_type) and data_type.unit == "ns":
        low, high = datetime.date(1678, 1, 1), datetime.date(2261, 12, 31)
    if pa.types.is_timestamp(data_type) and (data_type.tz or "").startswith("America/"):
        low, high = datetime.date(1800, 1, 1), datetime.date(2099, 12, 31)
    low, high = ((day - EPOCH.date()).days * unit for day in (low, high))
    edges = [low, high, 0, -1, 1, unit - 1, unit]
    recent = range(-36_525 * unit, 20_000 * unit)

    def value():
        kind = chance.random()
        if kind < 0.1:
            return chance.choice(edges)
        return chance.randint(low, high) if kind < 0.3 else chance.choice(recent)
    return value


TEXTS = ["", " ", "\u3000", "张三", "Ana", "\U00020000\U0002A6DF", "e\u0301", "👩‍👩‍👧", "\0", "\ufeff", "line\nbreak",
         "a" * 300]


def values_of(chance, data_type):
    if pa.types.is_string(data_type):
        return lambda: chance.choice(TEXTS + [str(chance.randrange(10 ** 12))] * 3)
    if pa.types.is_binary(data_type):
        return lambda: chance.randbytes(chance.choice([0, 1, 2, 12, 13, 300]))
    if pa.types.is_boolean(data_type):
        return lambda: chance.random() < 0.5
    if pa.types.is_integer(data_type):
        return whole_values(chance, data_type)
    if pa.types.is_floating(data_type):
        return float_values(chance, data_type)
    if pa.types.is_decimal(data_type):
        return decimal_values(chance, data_type)
    return moment_values(chance, data_type)


def make(request):
    columns = {}
    for field in request["fields"]:
        data_type = arrow_type(field["type"])
        chance = random.Random(field["type"])
        value = values_of(chance, data_type)
        column = [None if chance.random() < 0.15 else value() for _ in range(request["rows"])]
        columns[field["name"]] = pa.array(column, data_type)
    table = pa.table(columns)
    if request["format"] == "csv":
        write_csv(request, table)
    else:
        write_source(request, table)


def write_csv(request, table):
    """Writes timestamps of whole seconds, which Parquet has no type for."""
    folder = pathlib.Path(request["source"])
    folder.mkdir(parents=True)
    table = rotated(request, table)
    columns = []
    for column in table.columns:
        moments = [None if one is None else EPOCH + datetime.timedelta(seconds=one)
                   for one in column.cast(pa.int64()).to_pylist()]
        suffix = "Z" if column.type.tz else ""
        columns.append(["" if one is None else one.isoformat() + suffix for one in moments])
    with open(folder / "0.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.schema.names)
        writer.writerows(zip(*columns))


def read_values(request):
    if request["format"] != "csv":
        return read_source(request)
    types = {field["name"]: arrow_type(field["type"]) for field in request["fields"]}
    options = pa.csv.ConvertOptions(column_types=types, null_values=[""])
    return pa.csv.read_csv(pathlib.Path(request["source"]) / "0.csv", convert_options=options)


# What becomes of it.


def clear(column, treatment):
    """The values as they are; NaN and infinities are invalid, and null."""
    if pa.types.is_floating(column.type):
        finite = [None if one is None or not math.isfinite(one) else one
                  for one in column.to_pylist()]
        return pa.array(finite, column.type)
    return column.combine_chunks().cast(held_type(column.type))


def bucket(column, treatment):
    """The label of the interval, its bounds without zeros at the end of a fraction."""
    width = decimal.Decimal(treatment["width"])
    context = decimal.Context(prec=120)

    def label(value):
        if value is None or isinstance(value, float) and not math.isfinite(value):
            return None
        exact = decimal.Decimal(value)
        if isinstance(value, float) and abs(exact / width) >= 2 ** 53:
            # Floats so large don't tell neighbouring intervals apart: invalid.
            return None
        lower = context.multiply(context.divide_int(exact, width), width)
        if lower > exact:
            lower = context.subtract(lower, width)
        # Multiples of the width are whole numbers, and adding zero makes a negative zero plain.
        assert width == int(width)
        bounds = context.add(lower, 0), context.add(lower, width)
        return "[" + ",".join(format(bound, ".0f") for bound in bounds) + ")"
    return pa.array(map(label, column.to_pylist()), pa.string())


def local_moments(column):
    """What calendar and clock show: of a zone where there is one."""
    data_type = column.type
    if data_type == pa.date32():
        for value in column.to_pylist():
            yield value and datetime.datetime.combine(value, datetime.time())
        return
    zone = None
    if data_type.tz:
        offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", data_type.tz)
        if offset:
            minutes = int(offset[2]) * 60 + int(offset[3])
            zone = datetime.timezone(datetime.timedelta(minutes=int(offset[1] + str(minutes))))
        else:
            zone = zoneinfo.ZoneInfo(data_type.tz)
    for value in column.cast(pa.int64()).to_pylist():
        if value is None:
            yield None
            continue
        moment = EPOCH + datetime.timedelta(seconds=value // PER_SECOND[data_type.unit])
        if zone:
            moment = moment.replace(tzinfo=datetime.timezone.utc).astimezone(zone)
        yield moment.replace(tzinfo=None)


def age(born, as_of):
    """Completed years; a birthday on 29 February is kept on 1 March where there is none."""
    return as_of.year - born.year - ((as_of.month, as_of.day) < (born.month, born.day))


def age_from(column, treatment):
    as_of = datetime.date.fromisoformat(treatment["as_of"])
    ages = (None if one is None or one.date() > as_of else min(age(one, as_of), treatment["cap"])
            for one in local_moments(column))
    return pa.array(ages, pa.int32())


def age_band(column, treatment):
    as_of = datetime.date.fromisoformat(treatment["as_of"])
    width, cap = treatment["width"], treatment["cap"]

    def band(born):
        if born is None or born.date() > as_of:
            return None
        years = age(born, as_of)
        if years >= cap:
            return f"{cap}+"
        lower = years // width * width
        return f"{lower}-{min(lower + width, cap) - 1}"
    return pa.array(map(band, local_moments(column)), pa.string())


PARTS = {
    "year": lambda one: one.year,
    "quarter": lambda one: (one.month + 2) // 3,
    "week": lambda one: one.isocalendar().week,
    "weekday": lambda one: one.isoweekday(),
    "hour": lambda one: one.hour,
    "second": lambda one: one.second,
}


def time_part(column, treatment):
    part = PARTS[treatment["part"]]
    parts = (None if one is None else part(one) for one in local_moments(column))
    return pa.array(parts, pa.int32())


MADE = {"clear": clear, "bucket": bucket, "age-from": age_from, "age-band": age_band,
        "time-part": time_part}


def check_tokens(name, treatment, original, delivered):
    """Tokens are random: what can be checked is that values and tokens stand one for one."""
    token_of = {}
    for row, (value, token) in enumerate(zip(original.to_pylist(), delivered.to_pylist())):
        if value is None or isinstance(value, str) and not value.strip():
            if token != value:
                differ(name, row, "there is a token of nothing")
        elif token is None or len(token) != treatment.get("length", 16) or not token.isalnum():
            differ(name, row, "there is no token")
        elif token_of.setdefault(value, token) != token:
            differ(name, row, "the value has two tokens")
    if len(set(token_of.values())) != len(token_of):
        raise Disagreement(f"{name}: two values have one token")


def check(request):
    fields, got = read_delivery(request)
    source = read_values(request)
    attempts = set()

    def check_field(field):
        name, treatment = field["name"], field["treatment"]
        original, delivered = source.column(name), got.column(name)
        assert original.type == arrow_type(field["type"]), (name, original.type)
        if treatment["kind"] in PURPOSES:
            check_keyed(request, field, fields[name], original, delivered, attempts)
        elif treatment["kind"] == "tokenize":
            check_tokens(name, treatment, original, delivered)
        else:
            agree(name, delivered, MADE[treatment["kind"]](original, treatment))
    check_fields(request, check_field)


start(make, check)
