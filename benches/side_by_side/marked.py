"""Compares a marked delivery with an unmarked one of the same rows, cell by cell.

usage: marked.py PLAIN.parquet… -- MARKED.parquet… -- NAME=TOLERANCE[:DECIMALS] …

Columns that are named may differ by the tolerance (in the column's unit; of a time in seconds), and must
differ somewhere, of a float by more than its rounding to its decimals; all others must be equal. Prints,
per named column, how many cells differ so, and by how much any cell differs at most.
"""
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def parts(arguments):
    """The arguments between the `--`."""
    found = [[]]
    for argument in arguments:
        if argument == "--":
            found.append([])
        else:
            found[-1].append(argument)
    return found


def read(files, name):
    """One column of all files, in order."""
    return pa.concat_tables([pq.read_table(file, columns=[name]) for file in sorted(files)]).column(0)


def numbers(column):
    """Values that can be subtracted: decimals and floats as such, times in seconds."""
    if pa.types.is_timestamp(column.type):
        return pc.divide(pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64()), 1_000_000.0)
    return pc.cast(column, pa.float64())


def main():
    plain, marked, named = parts(sys.argv[1:])
    tolerances = {}
    for argument in named:
        name, tolerance = argument.split("=")
        tolerance, _, decimals = tolerance.partition(":")
        tolerances[name] = (float(tolerance), int(decimals) if decimals else None)
    schema = pq.read_schema(plain[0])
    if schema.names != pq.read_schema(marked[0]).names:
        sys.exit("the deliveries have other columns")
    for name in schema.names:
        before, after = read(plain, name), read(marked, name)
        if name not in tolerances:
            if not before.equals(after):
                sys.exit(f"{name} is not marked, and differs")
            continue
        tolerance, decimals = tolerances[name]
        if not pc.is_null(before).equals(pc.is_null(after)):
            sys.exit(f"{name}: nulls differ")
        moved = pc.abs(pc.subtract(numbers(after), numbers(before)))
        rounding = 1e-9 if decimals is None else 0.5 * 10.0**-decimals + 1e-9
        changed = pc.sum(pc.greater(moved, rounding)).as_py() or 0
        furthest = pc.max(moved).as_py() or 0
        if furthest > tolerance + 1e-9:
            sys.exit(f"{name} moved by {furthest}, its tolerance is {tolerance}")
        if changed == 0:
            sys.exit(f"{name} is not marked")
        print(f"{name}: {changed} of {len(before)} cells differ, by {furthest:.6g} at most, within {tolerance:g}")


if __name__ == "__main__":
    main()
