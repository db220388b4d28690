//! pyarrow, duckdb and openpyxl read what was delivered, and find what Parquet holds. As of the oracles,
//! `LOCKGATE_ORACLES` names the Python that has them; where it isn't set, this is skipped.

use std::process::Command;

use lockgate_acceptance::site::finish;

use super::{delivered, site};

const SCRIPT: &str = r#"
import datetime, decimal, json, pathlib, re, sys
import duckdb, openpyxl
import pyarrow as pa, pyarrow.csv as pc, pyarrow.ipc as pi, pyarrow.json as pj, pyarrow.parquet as pq

def one(folder, extension):
    [file] = pathlib.Path(folder).rglob("*." + extension)
    return file

folders = dict(zip(["parquet", "csv", "gb18030", "jsonl", "xlsx", "arrow"], sys.argv[1:]))
truth = pq.read_table(one(folders["parquet"], "parquet"))
plain = ["编号", "note", "amount", "big", "born", "rate"]
expected = truth.select(plain).to_pydict()

def unguarded(text):
    return text if text is None else re.sub(
        r"^'(?='*(?:[\t\r\n]|[\s\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
        r"[=+\-@＝＋－＠﹦﹢﹣﹫]))", "", text)

def same(found, what):
    for name in plain:
        values = found[name]
        if name in ("编号", "note") and what != "jsonl" and what != "xlsx":
            values = [unguarded(value) for value in values]
        assert values == expected[name], (what, name, values, expected[name])

types = {name: truth.schema.field(name).type for name in plain}
for what, encoding in [("csv", "utf8"), ("gb18030", "gb18030")]:
    table = pc.read_csv(
        one(folders[what], "csv"),
        read_options=pc.ReadOptions(encoding=encoding),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False,
            null_values=[""]),
    )
    assert table.column_names == truth.column_names, table.column_names
    same(table.to_pydict(), what)
    at = table["at"].to_pylist()
    assert at[0] == "1970-01-01T08:00:00.000+08:00" or isinstance(at[0], datetime.datetime), at[0]

columns = {"编号": "VARCHAR", "note": "VARCHAR", "amount": "DECIMAL(38,10)", "big": "BIGINT",
           "born": "DATE", "seen": "TIMESTAMP", "at": "TIMESTAMPTZ", "blob": "VARCHAR",
           "tags": "VARCHAR", "rate": "DOUBLE"}
read = duckdb.sql(f"SELECT * FROM read_csv('{one(folders['csv'], 'csv')}', header=true, delim=',', "
                  f"quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, strict_mode=false, "
                  f"columns={json.dumps(columns, ensure_ascii=False)})").to_arrow_table()
found = read.to_pydict()
same(found, "csv")
seen = truth["seen"].to_pylist()
assert found["seen"] == seen, (found["seen"], seen)

lines = [json.loads(line) for line in open(one(folders["jsonl"], "jsonl"), encoding="utf-8")]
found = {name: [line[name] for line in lines] for name in plain}
found["amount"] = [decimal.Decimal(value) for value in found["amount"]]
found["big"] = [int(value) for value in found["big"]]
found["born"] = [datetime.date.fromisoformat(value) for value in found["born"]]
same(found, "jsonl")
assert [line["tags"] for line in lines] == truth["tags"].to_pylist()
assert pj.read_json(one(folders["jsonl"], "jsonl")).num_rows == truth.num_rows

sheet = openpyxl.load_workbook(one(folders["xlsx"], "xlsx"), read_only=True)["data"]
head, *rows = [list(row) for row in sheet.iter_rows(values_only=True)]
assert head == truth.column_names, head
found = {name: [row[head.index(name)] for row in rows] for name in plain}
assert found["编号"] == expected["编号"], found["编号"]
# openpyxl makes CR LF of LF of neither, and has no empty text.
for value, true in zip(found["note"], expected["note"]):
    assert (value or "").replace("_x000D_", "\r") == (true or ""), (value, true)
for value, true in zip(found["amount"], expected["amount"]):
    assert decimal.Decimal(str(value)) == true, (value, true)
assert [int(value) for value in found["big"]] == expected["big"]
for value, true in zip(found["born"], expected["born"]):
    day = datetime.date.fromisoformat(value) if isinstance(value, str) else value.date()
    assert day == true, (value, true)
assert [float(value) for value in found["rate"]] == expected["rate"]

table = pi.open_file(one(folders["arrow"], "arrow")).read_all()
assert table.schema.names == truth.schema.names, table.schema
assert table.to_pydict() == truth.to_pydict()
print("read")
"#;

#[test]
fn others_read_what_is_delivered() {
    let Some(python) = std::env::var_os("LOCKGATE_ORACLES") else {
        println!("skipped: LOCKGATE_ORACLES is not set");
        return;
    };
    let site = site();
    let mut command = Command::new(python);
    command.arg("-c").arg(SCRIPT);
    let parquet = lockgate_acceptance::site::Grant::new("G-parquet", "hard", &super::FIELDS);
    site.signed(&parquet);
    command.arg(site.deliver("G-parquet").folder());
    for (id, delivery) in [
        ("G-csv", "format = \"csv\""),
        ("G-gb", "format = \"csv\"\ncsv = { encoding = \"gb18030\" }"),
        ("G-jsonl", "format = \"jsonl\""),
        ("G-xlsx", "format = \"xlsx\""),
        ("G-arrow", "format = \"arrow\""),
    ] {
        command.arg(delivered(&site, id, delivery).folder());
    }
    let done = finish(&mut command);
    assert_eq!((done.code, done.stdout.trim()), (0, "read"), "{done:?}");
}
