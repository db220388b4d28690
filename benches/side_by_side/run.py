#!/usr/bin/env python3
"""Times Lockgate against DuckDB and Polars on the canonical job, side by side.

usage: benches/side_by_side/run.py [--rows N] [--rounds R] [--work DIR] [--lockgate PATH]
                                      [--marked | --sealed]

Makes a synthetic resident registry of N rows, a site with one grant over it, and a virtual
environment with the peers; then runs lockgate, DuckDB and Polars (with polars-hash) in turn, R
rounds, the order reversed in every second one, each delivery into a new directory. The peers get
the grant's derived HMAC key, so that contents can be compared: order-free checksums per column
must agree (polars-hash takes its key as text, so its bank_card is left out), or the script fails.
Prints, per engine, the median wall time, CPU time and peak memory of the whole process, and the
ratios to each peer, paired round by round. Quote the ratios: seconds are this machine's.

With --marked it times what marks cost instead: lockgate with and without them, over the canonical
job with its marked variant's fields (income not rounded, score delivered), and compares the two
deliveries cell by cell: what carries no mark is equal, what carries one differs within its tolerance.

With --sealed it times what sealing costs: lockgate with the canonical job unsealed, and sealed with
Parquet's modular encryption; the sealed delivery is opened as its recipient would, and each of its
cells must equal the unsealed one's.

Needs Python 3.10 or newer and cargo; installs everything else under DIR (target/side-by-side).
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GRANT = "CANONICAL"
DOMAIN = "bank.card"
PEERS = ["duckdb==2.0.0", "polars==2.1.0", "polars-hash==0.9.3", "pyarrow==26.0.1", "numpy"]

FIELDS = [
    # name, type, category, level, treatment of the grant (None: not granted)
    ("person_id", "utf8", "resident-id", 3, '{ kind = "keep-ends", first = 6, last = 4 }'),
    ("name", "utf8", "person-name", 3, '{ kind = "keep-ends", first = 1, last = 0 }'),
    ("gender", "utf8", "gender", 1, '{ kind = "clear" }'),
    ("birth_date", "date", "birth-date", 2, '{ kind = "date-trunc", unit = "year" }'),
    ("phone", "utf8", "mobile", 3, '{ kind = "keep-ends", first = 3, last = 4 }'),
    ("address", "utf8", "address", 3, '{ kind = "keep-ends", first = 6, last = 0, length = 6 }'),
    ("bank_card", "utf8", "bank-card", 3, f'{{ kind = "hmac", domain = "{DOMAIN}" }}'),
    ("email", "utf8", "email", 2, '{ kind = "mask-around", keep = 1, length = 3 }'),
    ("employer_uscc", "utf8", "credit-code", 1, None),
    ("income", "decimal(12,2)", "income", 3, '{ kind = "round", to = "1000" }'),
    ("score", "float64", "score", 2, None),
    ("lat", "float64", "latitude", 2, '{ kind = "round", to = "0.01" }'),
    ("lon", "float64", "longitude", 2, '{ kind = "round", to = "0.01" }'),
    ("updated_at", "timestamp(ms)", "update-time", 1, '{ kind = "clear" }'),
    ("region_code", "utf8", "division-code", 1, '{ kind = "clear" }'),
    ("remark", "utf8", "remark", 3, '{ kind = "null" }'),
]


# The marked variant: name, what its cells may move by in TOML, the same for marked.py.
MARKED = {
    "income": ('tolerance = "5.00"', "5"),
    "score": ('tolerance = "0.5"\ndecimals = 3', "0.5:3"),
    "updated_at": ('tolerance = "30s"', "30"),
}


def variant(marked):
    """The fields as (name, type, category, level, treatment, more): the canonical ones, or those of
    the marked variant, with the freedom that marks have or without it."""
    if marked is None:
        return [(*field, "") for field in FIELDS]
    clear = '{ kind = "clear" }'
    return [
        (*field[:4], clear, MARKED[field[0]][0] + "\n" if marked else "") if field[0] in MARKED else (*field, "")
        for field in FIELDS
    ]


def sh(*command, **options):
    """Runs a command, failing loudly."""
    return subprocess.run([str(part) for part in command], check=True, **options)


def make_peers(work):
    """A virtual environment with the peers."""
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(work / "venv", with_pip=True)
    sh(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS)
    return python


def make_data(python, work, rows):
    """The registry, as one Parquet file."""
    name = f"{rows // 1_000_000}m" if rows >= 1_000_000 else f"{rows // 1000}k"
    data = work / "data" / str(rows)
    file = data / f"reg_{name}.parquet"
    if not file.exists():
        data.mkdir(parents=True, exist_ok=True)
        sh(python, HERE / "registry.py", rows, data, stdout=subprocess.DEVNULL)
    return file


def make_site(lockgate, work, source, name="site", marked=None, seal="none"):
    """A site with one signed grant over the registry, of the canonical fields or, with or without
    marks, of the marked variant's."""
    site = work / name
    chosen = variant(marked)
    shutil.rmtree(site, ignore_errors=True)
    sh(lockgate, "init", site, stdout=subprocess.DEVNULL)
    sh(lockgate, "keys", "pair", "approver", "--kind", "approver", cwd=site, stdout=subprocess.DEVNULL)
    sh(lockgate, "keys", "pair", "recipient", "--kind", "recipient", cwd=site, stdout=subprocess.DEVNULL)
    approver = (site / "approver.pub").read_text().strip()
    recipient = (site / "recipient.pub").read_text().strip()
    (site / "lockgate.toml").write_text(
        f'[site]\nname = "bench"\ntier = "regional"\n[stores.lake]\nurl = "{source.parent.as_uri()}"\n'
        f'[approvers.office]\npublic_key = "{approver}"\nproviders = ["bench"]\n'
    )
    fields = "".join(
        f'[[fields]]\nname = "{name}"\ntype = "{data_type}"\ncategory = "{category}"\nlevel = {level}\n{more}'
        for name, data_type, category, level, _, more in chosen
    )
    (site / "catalogue" / "registry.toml").write_text(
        f'id = "registry"\nprovider = "bench"\n'
        f'source = {{ store = "lake", path = "{source.name}", format = "parquet" }}\n'
        f'sharing = "conditional"\nmodes = ["batch"]\ndivision = "region_code"\n{fields}'
    )
    (site / "policy.toml").write_text('[[rules]]\ntreatment = { kind = "clear" }\n')
    granted = [(name, treatment) for name, _, _, _, treatment, _ in chosen if treatment]
    names = ", ".join(f'"{name}"' for name, _ in granted)
    treatments = "".join(f"{name} = {treatment}\n" for name, treatment in granted)
    (site / "recipients" / "peer.toml").write_text(
        f'id = "peer"\nname = "peer"\npublic_keys = ["{recipient}"]\n'
    )
    (site / "grants" / f"{GRANT}.toml").write_text(
        f'id = "{GRANT}"\nversion = 1\ndataset = "registry"\nrecipient = "peer"\n'
        f'purpose = "bench"\nbasis = "bench"\nfields = [{names}]\n'
        f'divisions = ["31", "32", "33", "35", "37", "44"]\nmodes = ["batch"]\n'
        f"valid = {{ from = 2020-01-01, until = 2099-12-31 }}\n[treatments]\n{treatments}"
        f'[delivery]\nformat = "parquet"\ncompression = "zstd(1)"\nseal = "{seal}"\n'
    )
    sh(lockgate, "--site", site, "grant", "sign", GRANT, "--key", site / "approver.key", stdout=subprocess.DEVNULL)
    return site


def derived_key(site):
    """The grant's HMAC key, by the documented derivation, written anew here."""
    line = (site / "keys" / "pseudonym.v1.key").read_text().strip()
    master = base64.b64decode(line.rsplit(":", 1)[1])
    info = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (b"lockgate/v1", b"pseudonym", DOMAIN.encode(), f"grant:{GRANT}".encode(), b"1")
    )
    prk = hmac.digest(bytes(32), master, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256").hex()


def timed(command, env):
    """Runs a command to its end: wall and CPU seconds, peak memory in MB, its output."""
    before = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - before
    if process.returncode != 0:
        sys.exit(f"failed with {process.returncode}: {' '.join(command)}\n{output}")
    return {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "mb": usage.ru_maxrss / 1024,
        "output": output,
    }


def checksums(python, file):
    """Order-free checksums of a delivery's columns, as verify.py prints them."""
    printed = sh(python, HERE / "verify.py", file, capture_output=True, text=True).stdout.split()
    return printed[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "side-by-side")
    parser.add_argument("--lockgate", type=Path, help="a built binary; built in release where absent")
    parser.add_argument("--marked", action="store_true", help="time what marks cost, and compare the deliveries")
    parser.add_argument("--sealed", action="store_true", help="time what sealing costs, and compare the deliveries")
    parser.add_argument("--only", action="append", help="engines to run: lockgate, duckdb, polars")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    lockgate = args.lockgate
    if lockgate is None:
        sh("cargo", "build", "--release", "-p", "lockgate", cwd=ROOT)
        lockgate = ROOT / "target" / "release" / "lockgate"
    lockgate = str(Path(lockgate).resolve())
    python = make_peers(work)
    source = make_data(python, work, args.rows)
    if args.marked or args.sealed:
        time_what_it_costs(lockgate, python, work, source, args)
        return
    site = make_site(lockgate, work, source)
    env = dict(os.environ, PEER_KEY=derived_key(site))
    engines = args.only or ["lockgate", "duckdb", "polars"]
    results = {engine: [] for engine in engines}
    contents = {}
    for round_number in range(args.rounds):
        for engine in engines if round_number % 2 == 0 else engines[::-1]:
            out = work / "out" / f"{round_number}-{engine}"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            commands = {
                "lockgate": [lockgate, "--site", site, "run", GRANT, "--output", out, "--json"],
                "duckdb": [python, HERE / "duckdb_job.py", source, out / "out.parquet", 1, "hmac"],
                "polars": [python, HERE / "polars_job.py", source, out / "out.parquet", 1, "plugin"],
            }
            result = timed([str(part) for part in commands[engine]], env)
            results[engine].append(result)
            if engine == "lockgate":
                report = json.loads(result["output"])
                assert report["status"] == "delivered", report
                assert report["rows"]["read"] + (report["rows"]["pruned"] or 0) == args.rows, report
            if round_number == 0:
                pattern = str(out / GRANT / "*" / "*" / "*.parquet") if engine == "lockgate" else str(out / "out.parquet")
                contents[engine] = checksums(python, pattern)
            size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
            print(
                f"round {round_number} {engine:9} wall {result['wall']:6.2f} s  cpu {result['cpu']:6.2f} s  "
                f"peak {result['mb']:5.0f} MB  output {size / 1e6:5.0f} MB",
                flush=True,
            )
            shutil.rmtree(out)
    compare(contents)
    summarise(results, args.rows)


def time_what_it_costs(lockgate, python, work, source, args):
    """Lockgate without and with marks or sealing, in turn; the deliveries are compared in the first round."""
    dearer = "marked" if args.marked else "sealed"
    if args.marked:
        sites = {
            "plain": make_site(lockgate, work, source, "site-plain", marked=False),
            "marked": make_site(lockgate, work, source, "site-marked", marked=True),
        }
    else:
        sites = {
            "plain": make_site(lockgate, work, source),
            "sealed": make_site(lockgate, work, source, "site-sealed", seal="parquet"),
        }
    # The same pseudonyms in both.
    shutil.copyfile(sites["plain"] / "keys" / "pseudonym.v1.key", sites[dearer] / "keys" / "pseudonym.v1.key")
    results = {name: [] for name in sites}
    for round_number in range(args.rounds):
        delivered = {}
        for name in list(sites) if round_number % 2 == 0 else list(sites)[::-1]:
            out = work / "out" / f"{round_number}-{name}"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            command = [lockgate, "--site", sites[name], "run", GRANT, "--output", out, "--json"]
            result = timed([str(part) for part in command], dict(os.environ))
            assert json.loads(result["output"])["status"] == "delivered", result["output"]
            results[name].append(result)
            delivered[name] = out
            print(
                f"round {round_number} {name:7} wall {result['wall']:6.2f} s  cpu {result['cpu']:6.2f} s  "
                f"peak {result['mb']:5.0f} MB",
                flush=True,
            )
        if round_number == 0:
            if args.sealed:
                delivered["sealed"] = opened(lockgate, work, sites["sealed"], delivered["sealed"])
            tolerances = [f"{name}={tolerance}" for name, (_, tolerance) in MARKED.items()] if args.marked else []
            files = {name: sorted(out.rglob("*.parquet")) for name, out in delivered.items()}
            sh(python, HERE / "marked.py", *files["plain"], "--", *files[dearer], "--", *tolerances)
            print("contents agree", flush=True)
        shutil.rmtree(work / "out")
    print(f"\n{args.rows} rows, medians of {args.rounds} interleaved rounds, whole process")
    for name, timings in results.items():
        wall, cpu, peak = (statistics.median(r[key] for r in timings) for key in ("wall", "cpu", "mb"))
        print(f"{name:7} wall {wall:6.2f} s  cpu {cpu:6.2f} s  peak {peak:5.0f} MB")
    for key in ("wall", "cpu"):
        ratios = [a[key] / b[key] for a, b in zip(results[dearer], results["plain"])]
        listed = " ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{dearer} / plain: {key} {statistics.median(ratios):.3f}   per round {listed}")


def opened(lockgate, work, site, out):
    """A sealed delivery, opened with the recipient's key."""
    (manifest,) = out.rglob("manifest.json")
    to = work / "out" / "opened"
    key = (site / "keys" / "manifest.pub").read_text().strip()
    command = ["open", manifest.parent, "--identity", site / "recipient.key", "--key", key, "--to", to]
    sh(lockgate, *command, stdout=subprocess.DEVNULL)
    return to


# Position of bank_card among verify.py's checksums: the one column whose key polars-hash cannot take.
BANK_CARD = 6


def compare(contents):
    """All engines must have delivered the same."""
    names = list(contents)
    for name in names[1:]:
        left, right = list(contents[names[0]]), list(contents[name])
        if "polars" in (names[0], name):
            left.pop(BANK_CARD), right.pop(BANK_CARD)
        if left != right:
            sys.exit(f"contents differ: {names[0]} {left}, {name} {right}")
    print("contents agree:", ", ".join(names))


def summarise(results, rows):
    """Medians, and ratios paired round by round."""
    print(f"\n{rows} rows, medians of {len(next(iter(results.values())))} interleaved rounds, whole process")
    for engine, rounds in results.items():
        wall, cpu, peak = (statistics.median(r[key] for r in rounds) for key in ("wall", "cpu", "mb"))
        print(f"{engine:9} wall {wall:6.2f} s  cpu {cpu:6.2f} s  peak {max(r['mb'] for r in rounds):5.0f} MB")
    for peer in [engine for engine in results if engine != "lockgate"]:
        if "lockgate" not in results:
            return
        for key in ("wall", "cpu"):
            ratios = [a[key] / b[key] for a, b in zip(results["lockgate"], results[peer])]
            listed = " ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"lockgate / {peer}: {key} {statistics.median(ratios):.2f}   per round {listed}")


if __name__ == "__main__":
    main()
