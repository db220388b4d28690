//! What files, spreadsheets and other hands do to a table: order, headers, spelling, units.

use super::draw::Draw;
use super::sheet::{Cell, Column, Form, Kind, Sheet, clock_text, serial};
use super::subset::one;
use super::tables::Table;
use super::world::{DENSITY, Traced, World, grant_id};
use super::{Case, Checked, Leak, Unfit};

/// Carriers of a leak that went through files.
const CARRIERS: usize = 500;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        same("A5", "order", "rows and columns in another order", shuffled),
        same("A5", "headers", "headers made up anew", |mut sheet, _| {
            for (at, column) in sheet.columns.iter_mut().enumerate() {
                column.name = format!("列{}", at + 1);
            }
            sheet
        })
        .because(
            "where no header names a column it is read if its own marks show, and of the hundred carriers that \
             each has here those of one column in some hundreds don't; the leaker is named by the others",
        ),
        same(
            "A5",
            "headers abridged",
            "order changed, and of each header the first three letters in capitals",
            |sheet, draw| {
                let mut sheet = shuffled(sheet, draw);
                for column in &mut sheet.columns {
                    column.name = abridged(&column.name);
                }
                sheet
            },
        ),
    ];
    for (variant, words, form, change) in FILES {
        let case = Case::leak("A6", variant, words, move |world, draw| {
            let leak = one(world, draw, CARRIERS, |sheet, _| change(sheet))?;
            Ok(Leak {
                form: *form,
                ..leak
            })
        });
        cases.push(case.demanding(100.0).large());
    }
    let unit = Case::leak(
        "A14",
        "unit",
        "amounts in another unit (10,000 yuan), and nothing else that carries",
        |world, draw| moved_amount(world, draw, |column| column.kind = in_myriads(column.kind)),
    );
    let shift = Case::leak(
        "A14",
        "shift",
        "1,234.56 added to every amount, and nothing else that carries",
        |world, draw| {
            moved_amount(world, draw, |column| {
                for cell in &mut column.cells {
                    if let Cell::Number(number) = cell {
                        *number += 123_456;
                    }
                }
            })
        },
    );
    let amounts = &[Table::Register, Table::Masked];
    let why = "no list of units has such a shift; but it moves all values alike, so that nearly all symbols \
               turn over, which the trace looks for";
    cases.push(unit.on(amounts).demanding(100.0));
    cases.push(shift.on(amounts).naming_nobody().because(why));
    cases.push(same(
        "A15",
        "white space, widths",
        "spaces, characters without width and full-width forms strewn into all text",
        strewn,
    ));
    cases
}

type Change = fn(Sheet) -> Sheet;

/// Variant, words, file, and what is done to the values before.
static FILES: &[(&str, &str, Form, Change)] = &[
    ("CSV", "UTF-8", Form::Csv, |sheet| sheet),
    ("GBK", "GB 18030", Form::Gb18030, |sheet| sheet),
    ("XLSX", "saved as a spreadsheet", Form::Xlsx, |sheet| sheet),
    (
        "XLSX to CSV",
        "a spreadsheet saved as CSV: dates in its manner, no parts of seconds, no zeros before \
         or after",
        Form::Csv,
        |sheet| spelled(sheet, as_spreadsheet),
    ),
    (
        "serials",
        "dates and times as a spreadsheet's numbers",
        Form::Csv,
        |sheet| spelled(sheet, as_serial),
    ),
    (
        "scientific",
        "numbers in scientific notation",
        Form::Csv,
        |sheet| spelled(sheet, as_scientific),
    ),
    ("full width", "all digits full-width", Form::Csv, |sheet| {
        spelled(sheet, |column, row| {
            column.shown(row).map(|text| full_width(&text))
        })
    }),
    ("JSONL", "JSON lines", Form::Jsonl, |sheet| sheet),
    ("Parquet", "as delivered", Form::Parquet, |sheet| sheet),
];

/// A check that a change makes no difference to any score that is reported.
fn same(
    id: &'static str,
    variant: &str,
    words: &'static str,
    change: impl Fn(Sheet, &mut Draw) -> Sheet + Send + Sync + 'static,
) -> Case {
    Case::check(id, variant, words, move |world, draw| {
        let leak = one(world, draw, CARRIERS, |sheet, _| sheet)?;
        let clean = world.trace(&leak.sheet, Form::Csv);
        let changed = world.trace(&change(leak.sheet, draw), Form::Csv);
        Ok(equal(&clean, &changed, &leak.leakers))
    })
}

/// Whether two traces name the leaker, and report on the same grants with the very same scores.
fn equal(clean: &Traced, changed: &Traced, leakers: &[usize]) -> Checked {
    let name = grant_id(leakers[0]);
    let scores = |traced: &Traced| -> Vec<(String, u64)> {
        let scores = traced.scores.iter();
        scores
            .map(|(grant, ln_e, ..)| (grant.clone(), ln_e.to_bits()))
            .collect()
    };
    let is_same = scores(clean) == scores(changed);
    let is_named = clean.accused.contains(&name) && changed.accused.contains(&name);
    let note = format!(
        "{} scores and {}; of the leaker ln E {:.1} and {:.1}{}",
        clean.scores.len(),
        changed.scores.len(),
        clean.ln_e(&name).unwrap_or(f64::NAN),
        changed.ln_e(&name).unwrap_or(f64::NAN),
        changed.error.as_deref().unwrap_or_default()
    );
    Checked::of(is_same && is_named, note)
        .with(clean, leakers)
        .with(changed, leakers)
}

fn shuffled(sheet: Sheet, draw: &mut Draw) -> Sheet {
    let mut rows: Vec<usize> = (0..sheet.rows()).collect();
    draw.shuffle(&mut rows);
    let mut sheet = sheet.take(&rows);
    draw.shuffle(&mut sheet.columns);
    sheet
}

/// A header as somebody in a hurry writes it: its first letters, in capitals.
fn abridged(name: &str) -> String {
    name.chars().take(3).collect::<String>().to_uppercase()
}

/// Spells every value anew.
fn spelled(mut sheet: Sheet, shown: fn(&Column, usize) -> Option<String>) -> Sheet {
    for column in &mut sheet.columns {
        column.into_text(shown);
    }
    sheet
}

fn as_spreadsheet(column: &Column, row: usize) -> Option<String> {
    let shown = column.shown(row)?;
    let Cell::Number(number) = column.cells[row] else {
        // A cell of digits alone is a number to a spreadsheet.
        let is_number = shown.len() <= 15 && shown.bytes().all(|byte| byte.is_ascii_digit());
        return Some(match shown.trim_start_matches('0') {
            "" => shown,
            trimmed if is_number => trimmed.to_owned(),
            _ => shown,
        });
    };
    Some(match column.kind {
        Kind::Time(digits) => {
            let seconds = number.div_euclid(10_i128.pow(digits));
            clock_text(seconds, "%Y/%-m/%-d %-H:%M:%S")
        }
        Kind::Date | Kind::Text => clock_text(number * 86_400, "%Y/%-m/%-d"),
        Kind::Decimal(0) => shown,
        Kind::Decimal(_) => shown.trim_end_matches('0').trim_end_matches('.').to_owned(),
    })
}

fn as_serial(column: &Column, row: usize) -> Option<String> {
    match column.kind {
        Kind::Time(_) => column.real(row).map(|days| format!("{:.9}", serial(days))),
        Kind::Date => column.real(row).map(|days| format!("{}", serial(days))),
        Kind::Text | Kind::Decimal(_) => column.shown(row),
    }
}

fn as_scientific(column: &Column, row: usize) -> Option<String> {
    match column.kind {
        Kind::Decimal(_) => column.real(row).map(|number| format!("{number:E}")),
        Kind::Text | Kind::Time(_) | Kind::Date => column.shown(row),
    }
}

/// Digits in their full-width forms.
fn full_width(text: &str) -> String {
    let wide = |character: char| match character {
        '0'..='9' => char::from_u32(u32::from(character) - 0x30 + 0xFF10).expect("a digit"),
        other => other,
    };
    text.chars().map(wide).collect()
}

/// Characters that nobody sees, and wide forms, in half of the texts.
fn strewn(mut sheet: Sheet, draw: &mut Draw) -> Sheet {
    let texts = sheet.columns.iter_mut().filter(|of| of.kind == Kind::Text);
    for cell in texts.flat_map(|column| &mut column.cells) {
        if let Cell::Text(text) = cell {
            let strewn = match draw.below(4) {
                0 => format!(" {text}\u{200B}"),
                1 => format!("\u{FEFF}{text}\u{3000}"),
                2 => full_width(text),
                _ => continue,
            };
            *text = strewn.into();
        }
    }
    sheet
}

fn in_myriads(kind: Kind) -> Kind {
    match kind {
        Kind::Decimal(scale) => Kind::Decimal(scale + 4),
        other => other,
    }
}

/// A leak of the first amount and what its rows are found by, the amount changed.
fn moved_amount(
    world: &World,
    draw: &mut Draw,
    change: impl FnOnce(&mut Column),
) -> Result<Leak, Unfit> {
    let carrier = world.carriers.first().ok_or(Unfit::Table)?;
    let rows = world.rows_with(CARRIERS, DENSITY)?;
    let leaker = world.leaker(draw);
    let rows = draw.choose(rows, world.size.rows);
    let is_wanted =
        |name: &str| name == carrier.field || carrier.anchor.iter().any(|of| of == name);
    let mut sheet = world.copy(leaker, &rows).keeping(is_wanted);
    change(sheet.column_mut(&carrier.field).ok_or(Unfit::Table)?);
    Ok(Leak {
        sheet,
        form: Form::Csv,
        leakers: vec![leaker],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind, cell: Cell) -> Column {
        Column {
            name: "value".to_owned(),
            kind,
            cells: vec![cell],
        }
    }

    #[test]
    fn two_traces_are_equal_where_all_their_scores_are() {
        let traced = |of_other: f64| Traced {
            accused: vec![grant_id(3)],
            scores: vec![
                (grant_id(3), 40.0, 1e-9, f64::NAN),
                (grant_id(5), of_other, 1.0, f64::NAN),
            ],
            ..Traced::default()
        };
        assert!(equal(&traced(1.5), &traced(1.5), &[3]).passed);
        assert!(!equal(&traced(1.5), &traced(1.25), &[3]).passed);
        assert!(!equal(&traced(1.5), &traced(1.5), &[5]).passed);
        let fewer = Traced {
            scores: traced(1.5).scores[..1].to_vec(),
            ..traced(1.5)
        };
        assert!(!equal(&traced(1.5), &fewer, &[3]).passed);
    }

    #[test]
    fn a_spreadsheet_loses_what_they_are_known_to_lose() {
        let text = |text: &str| Cell::Text(text.into());
        for (kind, cell, shown) in [
            (Kind::Text, text("0012"), "12"),
            (Kind::Text, text("北京"), "北京"),
            (Kind::Text, text("110101199003070011"), "110101199003070011"),
            (Kind::Decimal(2), Cell::Number(1_250), "12.5"),
            (Kind::Decimal(2), Cell::Number(1_200), "12"),
            (Kind::Time(3), Cell::Number(3_723_999), "1970/1/1 1:02:03"),
            (Kind::Date, Cell::Number(0), "1970/1/1"),
        ] {
            let column = column(kind, cell);
            assert_eq!(as_spreadsheet(&column, 0).as_deref(), Some(shown));
        }
    }

    #[test]
    fn other_spellings_mean_the_same() {
        let amount = column(Kind::Decimal(2), Cell::Number(123_456));
        assert_eq!(as_scientific(&amount, 0).as_deref(), Some("1.23456E3"));
        let noon = column(Kind::Time(0), Cell::Number(43_200));
        assert_eq!(as_serial(&noon, 0).as_deref(), Some("25569.500000000"));
        assert_eq!(full_width("A07"), "A０７");
        let mut myriads = amount;
        myriads.kind = in_myriads(myriads.kind);
        assert_eq!(myriads.shown(0).as_deref(), Some("0.123456"));
    }
}
