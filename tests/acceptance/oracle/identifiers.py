"""Has python-stdnum judge every resident number, card and credit code that a delivery holds.

The source is made here, from stdnum's own table of divisions and its check digits, with the dirt
that registers hold: spellings, old numbers of 15 digits, wrong checks, days that don't exist, text
of other kinds, nulls. What a treatment takes for a valid original is decided here too, so that a
value that should have been covered, or shouldn't, is found as well.
"""

import collections
import functools
import importlib.resources
import pathlib
import random
import re

import pyarrow as pa
from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from shared import (check_fields, differ, is_blank, normalised, read_delivery, read_source, start,
                    write_source)

YEARS = range(1900, 2050)


def read_divisions():
    """Every code of the product's own table and the years of the window in which it was in force;
    and those that are places to be born in: counties, and prefectures of today without any."""
    divisions, named = {}, set()
    root = pathlib.Path(__file__).parents[3]
    table = (root / "transforms/src/divisions/table.txt").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith("#"):
            continue
        prefix, *words = line.split(" ")
        for word in words:
            place, _, spans = word.partition(":")
            years = set()
            for span in (spans or "-").split("+"):
                begin, end = span.split("-")
                years |= set(range(int(begin or YEARS.start), int(end or YEARS.stop) + 1))
            code = prefix + place[:2]
            divisions[code] = years & set(YEARS)
            if place[2:] and code[2:] != "0000":
                named.add(code)
    with_counties = {code[:4] for code in named if code[4:] != "00"}
    places = {code for code in divisions
              if (code[4:] > "01" if code not in named else
                  code[4:] != "00" or code[:4] not in with_counties)}
    assert len(divisions) > 6_000 and len(named) > 2_800
    return divisions, places


def read_places():
    """The years in which a place was in force whose code begins so; of six digits, that code's."""
    found = collections.defaultdict(set)
    for code, years in DIVISIONS.items():
        if code[2:] != "0000":
            found[code] |= years
        if code in PLACES:
            found[code[:4]] |= years
            found[code[:2]] |= years
    return found


def check_divisions():
    """The product's table has no code and year that stdnum's doesn't have, and lacks few."""
    known, lacked = 0, 0
    table = importlib.resources.files("stdnum.cn").joinpath("loc.dat").read_text(encoding="utf-8")
    judged = {}
    for line in table.splitlines():
        province = re.match(r'(\d\d) province=', line)
        if province:
            prefix = province[1]
        county = re.match(r' +(\d{4}) county="(.*)"', line)
        if county:
            years = set()
            for name in county[2].split(","):
                begin, end = re.match(r"(?:\[(\d*)-(\d*)\])?", name).groups()
                years |= set(range(int(begin or YEARS.start), int(end or YEARS.stop) + 1))
            judged[prefix + county[1]] = years & set(YEARS)
    for code, years in judged.items():
        known += len(years)
        lacked += len(years - DIVISIONS.get(code, set()))
    beyond = {code for code, years in DIVISIONS.items()
              if code[2:] != "0000" and years - judged.get(code, set())}
    assert not beyond, sorted(beyond)[:20]
    assert lacked * 50 < known, (lacked, known)


DIVISIONS, PLACES = read_divisions()
PLACE_YEARS = read_places()


@functools.cache
def is_resident_id(number):
    """stdnum's verdict.

    Of a code that its table lacks in a province that it has, stdnum 2.2 doesn't raise what its
    documentation says but a KeyError: the number is not accepted either way.
    """
    try:
        return bool(ric.validate(number))
    except (ValidationError, KeyError):
        return False


def organisation_check(code):
    """The check character of an organisation code (GB 11714), which stdnum doesn't look at."""
    values = [int(one, 36) for one in code]
    check = (11 - sum(map(int.__mul__, values, [3, 7, 9, 10, 5, 8, 4, 2])) % 11) % 11
    return "X" if check == 10 else str(check)


@functools.cache
def is_credit_code(code):
    """Whether a code is valid: stdnum's verdict, and the check of the organisation code within."""
    if not re.fullmatch(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}", code):
        return False
    if organisation_check(code[8:16]) != code[16]:
        return False
    if code[:2].isdigit():
        return uscc.is_valid(code)
    # stdnum wants eight leading digits; GB 32100 has letters among the first two, as in N2 for
    # collective economic organisations (masking.md 3.1). Its check character is right.
    return uscc.calc_check_digit(code[:17]) == code[17]


# The source.


CODES_OF_DIVISIONS = list(DIVISIONS)


def resident_number(chance, region=None, year=None):
    region = region or chance.choice(CODES_OF_DIVISIONS)
    if not year:
        # Mostly of a year in which the division was in force.
        years = sorted(DIVISIONS.get(region, set()) & set(range(1930, 2021)))
        year = chance.choice(years if years and chance.random() < 0.9 else range(1930, 2021))
    digits = f"{region}{year}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}" \
             f"{chance.randrange(1_000):03}"
    return digits + ric.calc_check_digit(digits + "0")


def card_number(chance, length=None):
    length = length or chance.randrange(16, 20)
    digits = chance.choice(["62", "4", "5", "9", "35"])
    digits += "".join(chance.choices("0123456789", k=length - 1 - len(digits)))
    return digits + luhn.calc_check_digit(digits)


def credit_code(chance):
    form = chance.choice(["91", "91", "92", "12", "51", "N2", "Y1", "A9"])
    region = chance.choice([chance.choice(CODES_OF_DIVISIONS), f"{chance.randrange(1_000_000):06}"])
    own = "".join(chance.choices("0123456789ABCDEFGHJKLMNPQRTUWXY", k=8))
    first = form + region + own + organisation_check(own)
    return first + uscc.calc_check_digit(first)


def mobile_number(chance):
    return f"1{chance.randrange(3, 10)}{chance.randrange(10 ** 9):09}"


def wide(text):
    """Full-width forms of digits and letters."""
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


def wrong_check(number):
    """The number with another last digit."""
    return number[:-1] + ("0" if number[-1] != "0" else "1")


def dirty(chance, valid):
    """A valid number as registers have it: now and then in another spelling, or not one at all."""
    number = valid(chance)
    spoilt = [
        lambda: number[:6] + " " + number[6:14] + " " + number[14:],
        lambda: number[:4] + "-" + number[4:],
        lambda: wide(number),
        lambda: number.lower(),
        lambda: f" {number}\u3000",
        lambda: wrong_check(number),
        lambda: number[:-1],
        lambda: number + "0",
        lambda: "待补充",
        lambda: "",
        lambda: " ",
        lambda: "--",
        lambda: None,
    ]
    return chance.choice(spoilt)() if chance.random() < 0.3 else number


def resident_numbers(chance):
    kind = chance.random()
    if kind < 0.06:
        old = resident_number(chance, year=chance.randrange(1930, 2000))
        return old[:6] + old[8:17]
    if kind < 0.12:
        return resident_number(chance, region=f"{chance.randrange(100_000, 1_000_000)}")
    if kind < 0.14:
        return resident_number(chance, year=chance.choice([1850, 1899, 1900, 2049, 2050, 2149]))
    if kind < 0.15:
        digits = f"{chance.choice(CODES_OF_DIVISIONS)}{chance.choice(['19810229', '20000431'])}123"
        return digits + ric.calc_check_digit(digits + "0")
    return dirty(chance, resident_number)


def mobile_numbers(chance):
    prefix = chance.choice(["+86", "0086", "86", "+86 ", ""])
    spelt = prefix + mobile_number(chance)
    return spelt if chance.random() < 0.2 else dirty(chance, mobile_number)


def cards(chance):
    if chance.random() < 0.1:
        return card_number(chance, length=chance.randrange(12, 22))
    return dirty(chance, card_number)


def credit_codes(chance):
    if chance.random() < 0.05:
        # The organisation code's check is wrong, the code's own right.
        code = credit_code(chance)
        first = code[:16] + wrong_check(code[:17])[-1]
        return first + uscc.calc_check_digit(first)
    return dirty(chance, credit_code)


VALUES = {"resident-id": resident_numbers, "mobile": mobile_numbers, "bank-card": cards,
          "credit-code": credit_codes}


def make(request):
    columns = {}
    for field in request["fields"]:
        # Fields of one kind hold the same values.
        chance = random.Random(field["values"])
        values = [VALUES[field["values"]](chance) for _ in range(request["rows"])]
        # Some numbers stand in several rows.
        for row in range(0, len(values), 17):
            values[row] = chance.choice(values)
        columns[field["name"]] = pa.array(values, pa.string())
    write_source(request, pa.table(columns))


# The verdict. Every reader gives the one spelling of a valid original, or none.


@functools.cache
def read_resident_id(value, years):
    number = value.upper()
    if re.fullmatch(r"[0-9]{15}", number):
        number = number[:6] + "19" + number[6:] + "0"
        number = number[:17] + ric.calc_check_digit(number)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number) or number[17] != ric.calc_check_digit(number):
        return None
    try:
        born = ric.get_birth_date(number)
    except ValidationError:
        return None
    return number if born.year in years else None


def count_divisions():
    """Codes with each beginning, and those in force in each year and in all years together."""
    codes, in_year, in_years = collections.Counter(), collections.Counter(), collections.Counter()
    for code, years in DIVISIONS.items():
        for kept in (0, 2, 4, 6):
            codes[code[:kept]] += 1
            in_years[code[:kept]] += len(years)
        for kept in (0, 2):
            in_year.update((code[:kept], year) for year in years)
    return codes, in_year, in_years


CODES, IN_YEAR, IN_YEARS = count_divisions()


def is_narrow(number, keep):
    """Whether fewer than a million numbers share what stays of a resident number, so that it is
    refused: those of its division, or of the divisions that begin alike, in force in the years
    that may be drawn if its own was in its year, else not in force."""
    if number[:6] not in DIVISIONS:
        return False
    begin = number[:max([0] + [int(part[-1]) for part in keep if part.startswith("region")])]
    year = int(number[6:10])
    was_in_force = year in DIVISIONS[number[:6]]
    if "birth-year" in keep:
        all_of, in_force = CODES[begin], IN_YEAR[begin, year]
    else:
        all_of, in_force = CODES[begin] * len(YEARS), IN_YEARS[begin]
    classes = in_force if was_in_force else all_of - in_force
    return classes * 365 * (500 if "sex" in keep else 1_000) < 1_000_000


def structured_resident_id(value, keep):
    number = read_resident_id(value, YEARS)
    valid = number and "100000" <= number[:6] < "900000" and not is_narrow(number, keep)
    return number if valid else None


def was_in_force(number):
    """Whether the division of a resident number was in force in the year of birth."""
    return int(number[6:10]) in DIVISIONS.get(number[:6], ())


def structured_resident_id_in_force(value, keep):
    number = structured_resident_id(value, keep)
    return number if number and was_in_force(number) else None


def check_structured_resident_id(original, out, keep):
    # A division that was in force stays one, and stdnum accepts it.
    if was_in_force(original) and not is_resident_id(out):
        return "stdnum does not accept it"
    if (out[:6] in DIVISIONS) != (original[:6] in DIVISIONS):
        return "a division became one that isn't, or the other way round"
    if read_resident_id(out, YEARS) != out:
        return "not a number and a day of the window"
    kept = {"region2": slice(2), "region4": slice(4), "region6": slice(6),
            "birth-year": slice(6, 10)}
    if any(original[kept[part]] != out[kept[part]] for part in keep if part in kept):
        return "what is kept did not stay"
    if "sex" in keep and (int(original[16]) - int(out[16])) % 2:
        return "the sex did not stay"


def read_card(value, lengths):
    return value if re.fullmatch(r"[0-9]+", value) and len(value) in lengths else None


def structured_card(value, keep):
    card = read_card(value, range(16, 20))
    return card if card and luhn.is_valid(card) and card[0] != "0" else None


def check_card(original, out, kept):
    if not luhn.is_valid(out):
        return "Luhn's check fails"
    if len(out) != len(original) or out[:kept] != original[:kept] or out[0] == "0":
        return "another length or issuer"


def check_structured_card(original, out, keep):
    return check_card(original, out, max([0] + [int(part[-1]) for part in keep]))


def read_credit_code(value, keep):
    code = value.upper()
    return code if is_credit_code(code) else None


def check_structured_credit_code(original, out, keep):
    kept = 2 + max([0] + [int(part[-1]) for part in keep])
    if not is_credit_code(out):
        return "not a credit code"
    if out[:kept] != original[:kept]:
        return "what is kept did not stay"
    if (out[2:8] in DIVISIONS) != (original[2:8] in DIVISIONS):
        return "a division became one that isn't, or the other way round"


def read_mobile(value, keep):
    # stdnum has no Chinese telephone numbers: the shape is all there is.
    return value if re.fullmatch(r"1[3-9][0-9]{9}", value) else None


def check_structured_mobile(original, out, keep):
    if not read_mobile(out, keep) or "prefix3" in keep and out[:3] != original[:3]:
        return "not a mobile number, or of another operator"


LEVELS = {"province": 2, "city": 4, "district": 6}

def kept_digits(keep):
    return max([0] + [LEVELS[part] for part in keep if part in LEVELS])


def fake_resident_id(value, keep):
    return read_resident_id(value, range(1850, 2150))


def stays(original, keep):
    """How many digits of the division stay: fewer than are kept where no such code was in force in
    the kept year of birth, or ever; None where no one can have been born then and there."""
    kept = kept_digits(keep)
    year = min(max(int(original[6:10]), YEARS[0]), YEARS[-1])
    for digits in (6, 4, 2):
        years = PLACE_YEARS.get(original[:digits], ())
        if digits <= kept and (year in years if "birth-year" in keep else years):
            return digits
    return None if kept else 0


def may_cover_resident_id(original, keep):
    """Where no one can have been born, no one is made up."""
    return stays(original, keep) is None


def check_fake_resident_id(original, out, keep):
    if not is_resident_id(out):
        return "stdnum does not accept it"
    digits = stays(original, keep)
    if digits is None:
        return "no one can have been born then and there"
    if out[:digits] != original[:digits]:
        return "the division did not stay"
    if "birth-year" in keep and original[6:10] != out[6:10]:
        return "the year did not stay"
    if "sex" in keep and (int(original[16]) - int(out[16])) % 2:
        return "the sex did not stay"


def fake_card(value, keep):
    return read_card(value, range(13, 20))


def check_fake_card(original, out, keep):
    return check_card(original, out, 6 if keep else 0)


def check_fake_credit_code(original, out, keep):
    kept = {"dept": slice(1), "category": slice(1, 2), "region": slice(2, 8)}
    if not is_credit_code(out):
        return "not a credit code"
    if any(original[kept[part]] != out[kept[part]] for part in keep):
        return "what is kept did not stay"


def never(original, keep):
    return False


# What reads an original, what judges its result, and whether a valid original may be covered.
JUDGES = {
    ("structured-id", "resident-id"):
        (structured_resident_id, check_structured_resident_id, never),
    ("structured-id", "mobile"): (read_mobile, check_structured_mobile, never),
    ("structured-id", "bank-card"): (structured_card, check_structured_card, never),
    ("structured-id", "credit-code"): (read_credit_code, check_structured_credit_code, never),
    ("fake-id", None): (fake_resident_id, check_fake_resident_id, may_cover_resident_id),
    ("fake-card", None): (fake_card, check_fake_card, never),
    ("fake-uscc", None): (read_credit_code, check_fake_credit_code, never),
}


def judge(name, treatment, category, values, outs):
    """Judges a column, and gives the number of valid originals in it."""
    kind, of = treatment["kind"], treatment.get("of")
    read, verdict, may_cover = JUDGES[kind, of]
    if treatment.get("not_in_force") == "invalid":
        read = structured_resident_id_in_force
    keep = treatment.get("keep", [])
    became, comes_from = {}, {}
    for row, (value, out) in enumerate(zip(values, outs)):
        if value is None or is_blank(value) or normalised(value, category) == "":
            if out != value:
                differ(name, row, f"nothing became {out!r}")
            continue
        original = read(normalised(value, category), keep)
        if out is None:
            differ(name, row, f"{value!r} became None")
        if original is None:
            if out != "*" * len(value):
                differ(name, row, f"{value!r} is invalid, and became {out!r}")
            continue
        if out == "*" * len(value) and may_cover(original, keep):
            continue
        wrong = "unchanged" if out == original else verdict(original, out, keep)
        if wrong:
            differ(name, row, f"{original} became {out!r}: {wrong}")
        if became.setdefault(original, out) != out:
            differ(name, row, f"{original} became {out} and {became[original]}")
        # Surrogates may meet, if hardly ever, and what lost digits to a tag; a permutation may not.
        is_permuted = kind == "structured-id" and "tag" not in treatment
        if is_permuted and comes_from.setdefault(out, original) != original:
            differ(name, row, f"{original} and {comes_from[out]} became {out}")
    return len(became)


def check(request):
    check_divisions()
    _, got = read_delivery(request)
    source = read_source(request)

    def check_field(field):
        values, outs = (table.column(field["name"]).to_pylist() for table in (source, got))
        if len(values) != len(outs):
            differ(field["name"], len(outs), f"{len(values)} rows were expected")
        judged = judge(field["name"], field["as"], field["category"], values, outs)
        # Much of the source is valid: an oracle that judged little would agree with anything.
        if judged * 3 < len(values):
            differ(field["name"], len(outs), f"{judged} identifiers only")
    check_fields(request, check_field)


start(make, check)
