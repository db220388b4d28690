//! Delimited text as it comes: broken quoting, encodings, line ends, headers and values. A row that
//! is none fails the run, or is dropped and counted, to the row.

use std::fs;

use lockgate_acceptance::site::{Dataset, Grant};
use lockgate_connectors::{ConnectorError, CsvOptions, ErrorClass, Format, OnMalformed};

use super::exchange::{Exchange, GRANT};
use super::{Chance, rounds, watched};

/// The one file of every source here.
const PART: &str = "lake/people/part.csv";

const HEADER: &str = "person_id,name,age,income,born,seen,active\n";

/// A row that nothing is wrong with; its texts must not get into messages.
const GOOD: &str = "440106199001011234,欧阳娜娜,30,12.50,2020-02-29,2026-01-31T08:00:00,true\n";

const SECRETS: [&str; 2] = ["440106", "欧阳"];

fn exchange(options: &str) -> Exchange {
    let dataset = Dataset::new("people")
        .source(&format!(
            "store = \"lake\", path = \"people/\", format = \"csv\"{options}"
        ))
        .plain("person_id", "utf8")
        .plain("name", "utf8")
        .plain("age", "int8")
        .plain("income", "decimal(8,2)")
        .plain("born", "date")
        .plain("seen", "timestamp(ms)")
        .plain("active", "boolean");
    let fields = [
        "person_id",
        "name",
        "age",
        "income",
        "born",
        "seen",
        "active",
    ];
    Exchange::new(&dataset, &Grant::new(GRANT, "people", &fields), &SECRETS)
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Every row is delivered: so many.
    Whole(u64),
    /// That data row is malformed, for a reason that holds these words; where rows may be rejected,
    /// so many are delivered and so many rejected.
    Rejects(u64, &'static str, u64, u64),
    /// That data row is malformed, and nobody can tell how many rows are lost in it.
    Lost(u64, &'static str),
    /// The file itself cannot be used, for a reason that holds these words.
    Damaged(&'static str),
    /// The columns are not the catalogue's.
    Refused(&'static str),
}

use Fate::{Damaged, Lost, Refused, Rejects, Whole};

#[track_caller]
fn meets(exchange: &Exchange, rejecting: bool, name: &str, bytes: &[u8], fate: Fate) {
    fs::write(exchange.site.path(PART), bytes).expect("a source");
    let result = exchange.run();
    let told = format!("{name}, rejecting {rejecting}: {result:?}");
    match (fate, result) {
        (Whole(rows), Ok(report)) => {
            let counted = report.rows.expect("rows");
            assert_eq!((counted.delivered, counted.rejected), (rows, 0), "{told}");
            assert_eq!(report.exit_code(), 0, "{told}");
        }
        (Rejects(_, _, delivered, rejected), Ok(report)) if rejecting => {
            let counted = report.rows.expect("rows");
            assert_eq!(
                (counted.delivered, counted.rejected),
                (delivered, rejected),
                "{told}"
            );
            assert_eq!(counted.read, delivered + rejected, "{told}");
            assert_eq!(report.exit_code(), 5, "{told}");
        }
        (Rejects(row, what, ..), Err(error)) if !rejecting => {
            malformed(&error.to_string(), row, what);
        }
        (Lost(row, what), Err(error)) => {
            let text = error.to_string();
            let place = format!("lake/people/part.csv, data row {row}: ");
            assert!(text.contains(&place) && text.contains(what), "{told}");
            assert!(
                text.ends_with(
                    "correct the file, for nobody can tell how many rows are lost in it"
                )
            );
        }
        (Damaged(what), Err(error)) => {
            let text = error.to_string();
            assert!(
                text.contains("part.csv is damaged") && text.contains(what),
                "{told}"
            );
        }
        (Refused(what), Ok(report)) => {
            let reason = &report.refusals.first().expect("a refusal").reason;
            assert!(
                reason.contains("part.csv") && reason.contains(what),
                "{told}"
            );
            assert_eq!(report.exit_code(), 3, "{told}");
        }
        _ => panic!("{told}"),
    }
}

#[track_caller]
fn malformed(text: &str, row: u64, what: &str) {
    let place = format!("lake/people/part.csv, data row {row}");
    assert!(text.contains(&place) && text.contains(what), "{text}");
    assert!(
        text.contains("correct the file, or set on_malformed = \"reject\""),
        "{text}"
    );
}

fn file(rows: &[&[u8]]) -> Vec<u8> {
    let mut bytes = HEADER.as_bytes().to_vec();
    rows.iter().for_each(|row| bytes.extend_from_slice(row));
    bytes
}

/// A good row, one with this value in place of another, a good row.
fn with(old: &str, new: &str) -> Vec<u8> {
    assert!(GOOD.contains(old));
    file(&[
        GOOD.as_bytes(),
        GOOD.replacen(old, new, 1).as_bytes(),
        GOOD.as_bytes(),
    ])
}

const ID: &str = "440106199001011234";

fn quoting() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let good = GOOD.as_bytes();
    vec![
        ("a quote within a text", with("娜娜", "娜\"娜"), Whole(3)),
        (
            "a quote at the end of a text",
            with("娜娜", "娜娜\""),
            Whole(3),
        ),
        ("quotes around everything", with(ID, "\"440106\""), Whole(3)),
        ("doubled quotes", with(ID, "\"440106\"\"1\"\"\""), Whole(3)),
        ("only quotes", with(ID, "\"\"\"\""), Whole(3)),
        (
            "text after a quote",
            with(ID, "\"440106\"x"),
            Rejects(2, "followed by text", 2, 1),
        ),
        (
            "a space after a quote",
            with(ID, "\"440106\" "),
            Rejects(2, "followed by text", 2, 1),
        ),
        ("three quotes", with(ID, "\"440106\"\"\""), Whole(3)),
        (
            "an unclosed last quote",
            file(&[good, b"\"440106,x"]),
            Rejects(2, "not closed", 1, 1),
        ),
        (
            "a quote as last byte",
            file(&[good, b"\""]),
            Rejects(2, "not closed", 1, 1),
        ),
        (
            "an unclosed quote with rows after it",
            with(ID, "\"440106"),
            Lost(2, "not closed"),
        ),
        (
            "a line end in quotes",
            with("欧阳娜娜", "\"欧阳\r\n娜娜\n\""),
            Whole(3),
        ),
        (
            "a blank line in quotes",
            with("欧阳娜娜", "\"\n\n\""),
            Whole(3),
        ),
        (
            "a quote that a later row closes",
            file(&[good, b"\"440106,x\n", b"\"y\",1\n", good]),
            Lost(2, "followed by text"),
        ),
        (
            "a quote that a later row closes well",
            file(&[good, b"\"440106,x\n", b"y\",1\n", good]),
            Lost(2, "2 columns instead of 7"),
        ),
        (
            "an unclosed quote after text after a quote",
            file(&[good, b"\"440106\"x,\"y\n", good]),
            Lost(2, "followed by text"),
        ),
        (
            "an unclosed quote after no text",
            file(&[good, b"\xff,\"y\n", good]),
            Lost(2, "not in the file's encoding"),
        ),
        (
            "a wrong value beside a line end in quotes",
            with("欧阳娜娜,30", "\"欧阳\n娜娜\",300"),
            Rejects(2, "field `age`", 2, 1),
        ),
        ("a quoted number", with(",30,", ",\"30\","), Whole(3)),
        (
            "a quoted empty number",
            with(",30,", ",\"\","),
            Rejects(2, "field `age`", 2, 1),
        ),
    ]
}

fn lines() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let good = GOOD.as_bytes();
    let ends = |end: &str| {
        format!("{HEADER}{GOOD}{GOOD}")
            .replace('\n', end)
            .into_bytes()
    };
    let head = HEADER.trim_end().as_bytes();
    vec![
        ("CR LF", ends("\r\n"), Whole(2)),
        ("CR", ends("\r"), Whole(2)),
        ("LF CR", ends("\n\r"), Whole(2)),
        ("CR CR LF", ends("\r\r\n"), Whole(2)),
        ("blank lines", ends("\n\n\r\n\n"), Whole(2)),
        (
            "every end in turn",
            file(&[good, b"\r", good, b"\r\n", good]),
            Whole(3),
        ),
        (
            "no end at the end",
            file(&[good, GOOD.trim_end().as_bytes()]),
            Whole(2),
        ),
        (
            "a blank with a space",
            file(&[good, b" \n", good]),
            Rejects(2, "1 columns", 2, 1),
        ),
        (
            "a vertical tab",
            with("true", "true\u{b}"),
            Rejects(2, "field `active`", 2, 1),
        ),
        (
            "a column too few",
            with(",true", ""),
            Rejects(2, "6 columns instead of 7", 2, 1),
        ),
        (
            "a column too many",
            with("true", "true,"),
            Rejects(2, "8 columns instead of 7", 2, 1),
        ),
        (
            "only delimiters",
            file(&[good, b",,,,,,\n", good]),
            Whole(3),
        ),
        (
            "semicolons",
            ends("\n").replace_bytes(b',', b';'),
            Refused("`person_id` is missing"),
        ),
        ("one word", file(&[b"x"]), Rejects(1, "1 columns", 0, 1)),
        ("nothing but a header", HEADER.as_bytes().to_vec(), Whole(0)),
        ("a header without an end", head.to_vec(), Whole(0)),
        (
            "many rows that are none",
            file(&[b"x\n".repeat(5000).as_slice(), good]),
            { Rejects(1, "1 columns", 1, 5000) },
        ),
    ]
}

trait ReplaceBytes {
    fn replace_bytes(self, old: u8, new: u8) -> Self;
}

impl ReplaceBytes for Vec<u8> {
    fn replace_bytes(mut self, old: u8, new: u8) -> Self {
        self.iter_mut()
            .filter(|byte| **byte == old)
            .for_each(|byte| *byte = new);
        self
    }
}

fn headers() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let under = |header: &str| format!("{header}\n{GOOD}").into_bytes();
    let head = HEADER.trim_end();
    let mut marked_twice = "\u{feff}\u{feff}".as_bytes().to_vec();
    marked_twice.extend_from_slice(&file(&[GOOD.as_bytes()]));
    let turned = "active,seen,born,income,age,name,person_id\ntrue,,,1.5,3,x,y\n";
    vec![
        ("nothing", Vec::new(), Damaged("the file is empty")),
        (
            "only line ends",
            b"\r\n\n\r".to_vec(),
            Damaged("the file is empty"),
        ),
        (
            "only a mark",
            "\u{feff}".as_bytes().to_vec(),
            Damaged("the file is empty"),
        ),
        (
            "a missing column",
            under(&head.replace(",born", "")),
            Refused("`born` is missing"),
        ),
        (
            "a column twice",
            under(&format!("{head},name")),
            Refused("`name` appears more than once"),
        ),
        (
            "another case",
            under(&head.replace("born", "Born")),
            Refused("did you mean `Born`?"),
        ),
        (
            "a space",
            under(&head.replace("born", " born")),
            Refused("did you mean ` born`?"),
        ),
        (
            "no header",
            GOOD.repeat(2).into_bytes(),
            Refused("is missing"),
        ),
        ("another order", turned.as_bytes().to_vec(), Whole(1)),
        (
            "a new column",
            format!("{head},new\n{},1\n", GOOD.trim_end()).into_bytes(),
            Whole(1),
        ),
        ("two marks", marked_twice, Refused("`person_id` is missing")),
        (
            "broken quoting",
            under(&format!("\"a\"b,{head}")),
            Damaged("followed by text"),
        ),
        (
            "an unclosed quote",
            under(&format!("\"a,{head}")),
            Damaged("not closed"),
        ),
        (
            "no text",
            b"\xff\xfe\xfd,\n1\n".to_vec(),
            Damaged("not in the file's encoding"),
        ),
        (
            "UTF-16",
            utf16(&format!("\u{feff}{HEADER}{GOOD}")),
            Damaged("not in the file's encoding"),
        ),
        (
            "UTF-16 without a mark",
            utf16(&format!("{HEADER}{GOOD}")),
            Refused("is missing"),
        ),
        (
            "a huge header",
            under(&"x".repeat(20 << 20)),
            Damaged("longer than 16 MiB"),
        ),
    ]
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A value in place of a good row's, and whether it is one.
fn values() -> Vec<(&'static str, &'static str, bool)> {
    vec![
        (",30,", ",127,", true),
        (",30,", ",128,", false),
        (",30,", ",-128,", true),
        (",30,", ",-129,", false),
        (",30,", ",99999999999999999999999999,", false),
        (",30,", ", 30,", false),
        (",30,", ",30.0,", false),
        (",30,", ",3e1,", false),
        (",30,", ",0x1e,", false),
        (",30,", ",３０,", false),
        (",30,", ",30\0,", false),
        (",30,", ",,", true),
        (",30,", ",NULL,", false),
        ("12.50", "999999.99", true),
        ("12.50", "1000000.00", false),
        ("12.50", "-999999.99", true),
        ("12.50", "1.234", false),
        ("12.50", "1.500", false),
        ("12.50", "0.0000000000000000000000000000000000000001", false),
        ("12.50", "NaN", false),
        ("12.50", "-inf", false),
        ("12.50", "1,5", false),
        (
            "12.50",
            "00000000000000000000000000000000000000000000001.5",
            true,
        ),
        ("2020-02-29", "2026-02-30", false),
        ("2020-02-29", "2019-02-29", false),
        ("2020-02-29", "0000-00-00", false),
        ("2020-02-29", "9999-12-31", true),
        ("2020-02-29", "0000-01-01", true),
        ("2020-02-29", "10000-01-01", false),
        ("2020-02-29", "-001-01-01", false),
        ("2020-02-29", "20200229", false),
        ("2020-02-29", "二〇二〇年", false),
        ("2026-01-31T08:00:00", "2026-01-31 08:00:00.999", true),
        ("2026-01-31T08:00:00", "2026-01-31T08:00:00.9999", false),
        ("2026-01-31T08:00:00", "2026-01-31T24:00:00", false),
        ("2026-01-31T08:00:00", "2026-01-31T23:59:60", false),
        ("2026-01-31T08:00:00", "2026-01-31T08:00:00Z", false),
        ("2026-01-31T08:00:00", "2026-01-31", false),
        ("true", "TRUE", true),
        ("true", "yes", false),
        ("true", "2", false),
        ("欧阳娜娜", "欧阳\0娜娜", true),
        ("欧阳娜娜", "\u{feff}欧阳", true),
        ("欧阳娜娜", "\u{202e}欧阳\u{1b}[2J", true),
    ]
}

#[test]
fn broken_rows_fail_the_run_or_are_counted() {
    for rejecting in [false, true] {
        let option = if rejecting {
            ", on_malformed = \"reject\""
        } else {
            ""
        };
        let exchange = exchange(option);
        for (name, bytes, fate) in quoting().into_iter().chain(lines()).chain(headers()) {
            meets(&exchange, rejecting, name, &bytes, fate);
        }
    }
}

/// All values in one file where rows may be rejected, so that the counts must be exact; those that
/// are none also each in a file of its own.
#[test]
fn values_out_of_range_fail_the_run_or_are_counted() {
    let (mut all, mut good, mut bad) = (HEADER.to_owned(), 0, 0);
    let failing = exchange("");
    for (old, new, is_value) in values() {
        assert!(GOOD.contains(old));
        all.push_str(&GOOD.replacen(old, new, 1));
        if is_value {
            good += 1;
        } else {
            bad += 1;
            fs::write(failing.site.path(PART), with(old, new)).expect("a source");
            let error = failing
                .read(Format::Csv(CsvOptions::default()))
                .expect_err(new);
            malformed(
                &error.to_string(),
                2,
                if new == "1,5" { "columns" } else { "field `" },
            );
        }
    }
    let fate = Rejects(2, "field `age`", good, bad);
    meets(&failing, false, "all values", all.as_bytes(), fate);
    meets(
        &exchange(", on_malformed = \"reject\""),
        true,
        "all values",
        all.as_bytes(),
        fate,
    );
}

/// Zeros before a number are most often an identifier's, so the error says what there is to choose.
#[test]
fn zeros_before_a_whole_number_fail_the_run_with_both_ways_out() {
    let bytes = with(",30,", ",007,");
    let fate = Rejects(
        2,
        "field `age`: zeros stand before a whole number, as in an identifier: give the field the type \
         utf8, or set leading_zeros = \"drop\" if they mean nothing; correct the file",
        2,
        1,
    );
    meets(&exchange(""), false, "007", &bytes, fate);
    let rejecting = exchange(", on_malformed = \"reject\"");
    meets(&rejecting, true, "007", &bytes, fate);
    let dropping = exchange(", leading_zeros = \"drop\"");
    meets(&dropping, false, "007", &bytes, Whole(3));
    // What no zeros explain is told as before.
    let bytes = with(",30,", ",0128,");
    let fate = Rejects(2, "field `age`: the text is no value of its type", 2, 1);
    meets(&exchange(""), false, "0128", &bytes, fate);
}

/// The bytes of a row, and whether all of them are characters of the encoding.
fn encoded(broken: &[&[u8]]) -> (Vec<u8>, u64) {
    let mut bytes = HEADER.as_bytes().to_vec();
    for name in broken {
        bytes.extend_from_slice(b"1,");
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(b",30,12.50,2020-02-29,2026-01-31T08:00:00,true\n");
        bytes.extend_from_slice(b"2,good,30,12.50,2020-02-29,2026-01-31T08:00:00,true\n");
    }
    (bytes, u64::try_from(broken.len()).expect("few rows"))
}

#[test]
fn bytes_that_are_no_characters_fail_the_run_or_are_counted() {
    let utf8: [&[u8]; 12] = [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe6\xac",
        b"\xe6",
        b"\xf0\x9f\x98",
        b"\x80\x80",
        b"\"\xe6\xac\"",
        b"a\xc3(",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe\xff",
    ];
    // A lead byte before an ASCII byte that cannot follow leaves that byte as it is, so the row ends
    // where it ends.
    let gb18030: [&[u8]; 6] = [
        b"\xff",
        b"\x80\xff",
        b"\x81",
        b"\x81\x30",
        b"\x81\x30\x81",
        b"\xfe\xff",
    ];
    for (encoding, broken) in [("utf-8", &utf8[..]), ("gb18030", &gb18030[..])] {
        let (bytes, count) = encoded(broken);
        let fate = Rejects(1, "not in the file's encoding", count, count);
        let options = format!(", encoding = \"{encoding}\"");
        meets(&exchange(&options), false, encoding, &bytes, fate);
        let options = format!("{options}, on_malformed = \"reject\"");
        let rejecting = exchange(&options);
        meets(&rejecting, true, encoding, &bytes, fate);
        // The file ends within a character.
        for cut in broken {
            let mut bytes = HEADER.as_bytes().to_vec();
            bytes.extend_from_slice(b"1,x,30,12.50,2020-02-29,2026-01-31T08:00:00,true\n1,");
            bytes.extend_from_slice(cut.strip_suffix(b"\"").unwrap_or(cut));
            let fate = Rejects(2, "", 1, 1);
            meets(&rejecting, true, encoding, &bytes, fate);
        }
    }
}

#[test]
fn gb_18030_is_read_and_nothing_else_taken_for_it() {
    let mut bytes = HEADER.as_bytes().to_vec();
    // 欧阳 in two bytes each, 𠮷 in four, a euro sign in one byte of GBK that GB 18030 reads too.
    bytes.extend_from_slice(b"1,\xc5\xb7\xd1\xf4\x95\x34\xb1\x36");
    bytes.extend_from_slice(b",30,12.50,2020-02-29,2026-01-31T08:00:00,true\n");
    let exchange = exchange(", encoding = \"gb18030\"");
    meets(&exchange, false, "GB 18030", &bytes, Whole(1));
    meets(
        &exchange,
        false,
        "UTF-8",
        &file(&[b"1\n"]),
        Rejects(1, "1 columns", 0, 1),
    );
}

/// Characters, quotes and line ends that fall between two pieces of the file.
#[test]
fn pieces_of_a_file_are_no_seams() {
    let rejecting = exchange(", on_malformed = \"reject\"");
    let around = |at: usize, middle: &[u8]| {
        let mut bytes = HEADER.as_bytes().to_vec();
        let row = GOOD.as_bytes();
        while bytes.len() + row.len() + 40 < at {
            bytes.extend_from_slice(row);
        }
        let rows = (bytes.len() - HEADER.len()) / row.len();
        bytes.extend_from_slice(b"1,");
        bytes.resize(at - 2, b'x');
        bytes.extend_from_slice(middle);
        bytes.extend_from_slice(b",30,12.50,2020-02-29,2026-01-31T08:00:00,true\n");
        (bytes, u64::try_from(rows).expect("few rows"))
    };
    for at in [64 << 10, 4 << 20] {
        for shift in 0..4 {
            let (bytes, rows) = around(at - shift, "欧🦆".as_bytes());
            meets(&rejecting, true, "a character", &bytes, Whole(rows + 1));
            let (bytes, rows) = around(at - shift, b"\xf0\x9f\xa6");
            meets(
                &rejecting,
                true,
                "half a character",
                &bytes,
                Rejects(0, "", rows, 1),
            );
            if at > 1 << 20 {
                break;
            }
        }
    }
}

/// A record that never ends takes no more memory than one that does.
#[test]
fn huge_records_do_not_fill_memory() {
    let rejecting = exchange(", on_malformed = \"reject\"");
    let failing = exchange("");
    let good = GOOD.as_bytes();
    let text = vec![b'x'; 20 << 20];
    let wide = vec![b','; 15 << 20];
    let quoted = [b"\"", text.as_slice(), b"\"\n"].concat();
    let lost = [b"\"", text.as_slice(), b"\n", text.as_slice()].concat();
    let cases: [(&str, Vec<u8>, Fate); 5] = [
        (
            "a long text",
            file(&[good, &text, b"\n", good]),
            Rejects(2, "longer than 16 MiB", 2, 1),
        ),
        (
            "a long quoted text",
            file(&[good, &quoted, good]),
            Rejects(2, "longer than", 2, 1),
        ),
        (
            "a quote that swallows the rest",
            file(&[good, &lost]),
            Lost(2, "longer than 16 MiB"),
        ),
        (
            "many columns",
            file(&[good, &wide, b"\n", good]),
            Rejects(2, "columns", 2, 1),
        ),
        (
            "a header of many columns",
            [&wide, b"\n".as_slice(), good].concat(),
            Damaged("columns"),
        ),
    ];
    for (name, bytes, fate) in &cases {
        for (exchange, is_rejecting) in [(&failing, false), (&rejecting, true)] {
            meets(exchange, is_rejecting, name, bytes, *fate);
        }
        fs::write(rejecting.site.path(PART), bytes).expect("a source");
        let mut command = rejecting.site.command();
        command.args(["--site", "site", "run", GRANT, "--again"]);
        let (finished, memory) = watched(&mut command);
        println!("{name}: {} MiB", memory >> 20);
        assert!(memory < 400 << 20, "{name}: {memory} {finished:?}");
    }
}

/// Whatever is wrong with a file, both ways of reading it agree on what is right with it.
#[test]
fn changed_files_are_read_alike_in_both_ways() {
    let exchange = exchange(", on_malformed = \"reject\"");
    let mut chance = Chance::new(7);
    let quoted = GOOD.replace("欧阳娜娜", "\"欧阳, \"\"娜\"\"\n娜\"");
    let whole = file(&[
        GOOD.repeat(5).as_bytes(),
        quoted.as_bytes(),
        GOOD.repeat(5).as_bytes(),
    ]);
    let read = |on_malformed| {
        exchange.read(Format::Csv(CsvOptions {
            on_malformed,
            ..CsvOptions::default()
        }))
    };
    for turn in 0..400 * rounds() {
        let bytes = chance.mutate(&whole);
        fs::write(exchange.site.path(PART), &bytes).expect("a source");
        let (failing, rejecting) = (read(OnMalformed::Fail), read(OnMalformed::Reject));
        let told = || {
            format!(
                "{}\n{failing:?}\n{rejecting:?}",
                String::from_utf8_lossy(&bytes)
            )
        };
        match (&failing, &rejecting) {
            (Ok(strict), Ok(lenient)) => assert_eq!(strict, lenient, "{}", told()),
            (Err(ConnectorError::Malformed { .. }), Ok(lenient)) => assert!(*lenient < 20),
            (Err(strict), Err(lenient)) => {
                assert_eq!(lenient.class(), ErrorClass::Data, "{}", told());
                assert!(strict.to_string().contains("part.csv"), "{}", told());
                assert!(lenient.to_string().contains("part.csv"), "{}", told());
            }
            _ => panic!("{}", told()),
        }
        if turn % 16 == 0 {
            match (exchange.run(), rejecting) {
                (Ok(report), Ok(rows)) => assert_eq!(report.rows.expect("rows").delivered, rows),
                (Ok(report), Err(_)) => assert!(!report.refusals.is_empty(), "{report:?}"),
                (Err(error), read) => assert!(read.is_err(), "{error}"),
            }
        }
    }
}
