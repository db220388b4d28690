"""Derives `areas.txt` from published compilations; see `areas.rs` for what it says.

    pip install phonenumbers==9.0.43 phone==0.4.5
    python3 areas.py table.txt > areas.txt

Area codes are those that phonenumbers (libphonenumber, Apache-2.0) gives the name of a prefecture,
and the number of digits is the longest that it takes for a landline of the area. It names no
prefecture twice but those under CHOSEN, and leaves out ten that share the code of another; for these,
and for counties that are under no prefecture, the codes are those of phone (MIT), which is asked for
every prefecture and has to agree. Neither knows the cities under FARMS; see NOTICE.txt.
"""

import re
import struct
import sys
from collections import defaultdict
from pathlib import Path

import phone
import phonenumbers
from phonenumbers.geodata import GEOCODE_DATA

# Where one name stands at two codes: that of the seat of the prefecture, as phone has it.
CHOSEN = {"1407": "0354", "1411": "0358", "5120": "028", "6328": "0977", "6540": "0999"}
# Counties with another code than their prefecture has, or under no prefecture: the names of phone.
COUNTIES = {
    "419001": "济源", "429004": "仙桃", "429005": "潜江", "429006": "天门", "429021": "神农架",
    "632801": "格尔木", "654003": "奎屯", "659001": "石河子",
}
# Cities of the farms of Xinjiang: the codes of the prefectures that they lie in.
FARMS = {
    "659002": "6529", "659003": "6531", "659004": "6523", "659005": "6543", "659006": "6528",
    "659007": "6527", "659008": "6540", "659009": "6532", "659010": "654003", "659011": "6505",
    "659012": "6542",
}
# Counties that telephone as the place beside them, and not as their prefecture.
LIKE = {"650202": "654003"}
# Whole provinces of one code: municipalities, and the counties of Hainan.
WHOLE = {"1101": "010", "1201": "022", "3101": "021", "5001": "023", "5002": "023", "4690": "0898"}
# Names of phone that are short for others, and of two that it has no name at all for.
SHORT = {"博州": "6527", "巴州": "6528", "克州": "6530"}
HAINAN = {"4603": "0898", "4604": "0898"}

PEOPLES = "蒙古族|哈萨克|柯尔克孜|蒙古|朝鲜族|土家族|布依族|哈尼族|景颇族|傈僳族|[藏回彝傣苗侗壮白羌]族"

HEADER = """\
# Area codes of landlines: the code, how many digits follow it, and the first four digits of the
# division codes where it holds, or all six of a county, each with its name. Derived on 2026-11-30 by
# areas.py from phonenumbers 9.0.43 and phone 0.4.5 (PyPI): see NOTICE.txt."""


def named(table):
    """The names of today's provinces, prefectures and counties by their codes."""
    found = {}
    for line in Path(table).read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        prefix, *words = line.split()
        for word in words:
            code = prefix + word[:2]
            found[re.sub("(00){1,2}$", "", code)] = word[2:].split(":")[0]
    return found


def short(name):
    """A name without what kind of place it is and who lives there."""
    name = re.sub("(省|市|地区|盟|自治州|自治区)$", "", name)
    while (shorter := re.sub(f"({PEOPLES}|壮族|回族|维吾尔)$", "", name)) != name:
        name = shorter
    return name


def by_phonenumbers(provinces, prefectures):
    found = defaultdict(set)
    for digits, texts in GEOCODE_DATA.items():
        text = texts.get("zh", "")
        # Codes of two and three digits; some are known by one digit less, and mobile numbers too.
        if not re.match("86(10$|2[0-9]$|[3-9][0-9]{2}$)", digits):
            continue
        for code, name in prefectures.items():
            if text.startswith(short(provinces[code[:2]])) and short(name) in text[2:]:
                found[code].add("0" + digits[2:])
    return found


def by_phone():
    """The area codes of names, by province."""
    data = (Path(phone.__file__).parent / "phone.dat").read_bytes()
    (first,) = struct.unpack_from("<i", data, 4)
    for record in data[8:first].decode().split("\0"):
        if record:
            province, name, _, area = record.split("|")
            yield province, name, "0" + area.lstrip("0")


def digits_of(area):
    """How many digits the numbers of an area have; eight where libphonenumber takes seven, too."""
    for digits in (8, 7):
        number = phonenumbers.parse(f"+86{area[1:]}{'23456789'[:digits]}")
        if phonenumbers.is_valid_number(number):
            return digits
    raise ValueError(area)


def main(table):
    names = named(table)
    provinces = {code: name for code, name in names.items() if len(code) == 2}
    prefectures = {code: name for code, name in names.items() if len(code) == 4 and name}
    google, other = by_phonenumbers(provinces, prefectures), {}
    for province, name, area in by_phone():
        for code, long in prefectures.items():
            if province in provinces[code[:2]] and short(long) == short(name):
                other[code] = area
        if name in SHORT:
            other[SHORT[name]] = area
        other.update({code: area for code, own in COUNTIES.items() if own == name})
    areas = dict(WHOLE)
    for code in prefectures:
        area = CHOSEN.get(code) or HAINAN.get(code) or other[code]
        if google[code] and area not in google[code]:
            raise ValueError(f"{code}: {google[code]}, {area}")
        areas[code] = area
    areas |= {code: other[code] for code in COUNTIES}
    areas |= {code: areas[like] for code, like in FARMS.items()}
    areas |= {code: areas[like] for code, like in LIKE.items()}
    lines = defaultdict(list)
    for code, area in sorted(areas.items()):
        lines[area].append(code + names[code])
    print(HEADER)
    for area, words in sorted(lines.items()):
        print(area, digits_of(area), *words)


main(*sys.argv[1:])
