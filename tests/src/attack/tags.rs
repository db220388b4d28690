//! Attacks on pseudonyms that carry a tag.

use sha2::{Digest, Sha256};

use super::draw::Draw;
use super::sheet::{Cell, Form, Sheet};
use super::subset::one;
use super::tables::Table;
use super::world::World;
use super::{Case, Judge, Leak, Unfit};

/// Tagged values of a leak: the pseudonyms alone carry.
const VALUES: usize = 50;

/// The column of pseudonyms.
pub(super) const PSEUDONYM: &str = "person";

const ON: &[Table] = &[Table::Tagged];

pub(super) fn cases() -> Vec<Case> {
    let words =
        "the pseudonyms of one copy beside the other cells of another: whose pseudonyms they are";
    let beside = Case::leak("A18", "1,000 rows", words, |world, draw| {
        key_of_one(world, draw)
    });
    let alone = Case::leak(
        "A18",
        "1,000 rows, without cells found by their own value",
        words,
        |world, draw| {
            let mut leak = key_of_one(world, draw)?;
            for carrier in world.carriers.iter().filter(|of| of.found_by == "value") {
                let column = carrier.field.as_str();
                leak.sheet = leak
                    .sheet
                    .keeping(|name| name == PSEUDONYM || name != column);
            }
            Ok(leak)
        },
    );
    let altered = Case::leak(
        "A20",
        "50 values, one character altered in half",
        "pseudonyms alone, of which a character is changed",
        |world, draw| pseudonyms(world, draw, VALUES, one_character),
    );
    let hashed = Case::leak(
        "A20",
        "1,000 values hashed anew",
        "pseudonyms alone, each replaced by its hash: nobody is named",
        |world, draw| pseudonyms(world, draw, 1_000, hashed),
    );
    let mut cases = vec![
        altered.on(ON).demanding(100.0),
        hashed.judged(Judge::NotOurs).on(ON).demanding(100.0),
    ];
    cases.extend([beside, alone].map(|case| case.judged(Judge::First).on(ON).demanding(100.0)));
    cases
}

/// A copy of the second leaker with the pseudonyms of the first.
fn key_of_one(world: &World, draw: &mut Draw) -> Result<Leak, Unfit> {
    let rows = world.rows_with(1_000, 1.0)?;
    let rows = draw.choose(rows, world.size.rows);
    let leakers = world.leakers(2, draw)?;
    let mut sheet = world.copy(leakers[1], &rows);
    let first = world.copy(leakers[0], &rows);
    let key = first.column(PSEUDONYM).ok_or(Unfit::Table)?.clone();
    *sheet.column_mut(PSEUDONYM).ok_or(Unfit::Table)? = key;
    Ok(Leak {
        sheet,
        form: Form::Csv,
        leakers,
    })
}

fn pseudonyms(
    world: &World,
    draw: &mut Draw,
    values: usize,
    change: fn(&str, &mut Draw) -> String,
) -> Result<Leak, Unfit> {
    let rows = world.rows_with(values, 1.0)?;
    let of_rows = (rows as f64 * world.per_row) as usize;
    one(world, draw, of_rows, |mut sheet: Sheet, draw| {
        sheet.columns.retain(|column| column.name == PSEUDONYM);
        for cell in sheet.columns.iter_mut().flat_map(|of| &mut of.cells) {
            if let Cell::Text(text) = cell {
                *text = change(text, draw).into();
            }
        }
        sheet
    })
}

/// A share of the pseudonyms with one character altered.
pub(super) fn with_altered_pseudonyms(mut sheet: Sheet, share: f64, draw: &mut Draw) -> Sheet {
    let column = sheet.column_mut(PSEUDONYM);
    for cell in column.into_iter().flat_map(|column| &mut column.cells) {
        if let Cell::Text(text) = cell
            && draw.chance(share)
        {
            *text = another(text, draw).into();
        }
    }
    sheet
}

/// One character of half of the values becomes another of the same kind.
fn one_character(text: &str, draw: &mut Draw) -> String {
    match draw.chance(0.5) {
        true => text.to_owned(),
        false => another(text, draw),
    }
}

/// The text with one of its characters another of the same kind.
fn another(text: &str, draw: &mut Draw) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = draw.below(characters.len());
    let of: Vec<char> = match characters[at].is_ascii_digit() {
        true => ('0'..='9').collect(),
        false => ('a'..='f').collect(),
    };
    let others: Vec<char> = of
        .into_iter()
        .filter(|other| *other != characters[at])
        .collect();
    characters[at] = *draw.pick(&others);
    characters.into_iter().collect()
}

fn hashed(text: &str, _: &mut Draw) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_values_lose_one_character() {
        let mut draw = Draw::of(&["1"]);
        let text = "0123456789abcdef";
        let differing = (0..400).map(|_| {
            let after = one_character(text, &mut draw);
            let pairs = text.chars().zip(after.chars());
            pairs.filter(|(one, other)| one != other).count()
        });
        let differing: Vec<usize> = differing.collect();
        assert!(differing.iter().all(|count| *count <= 1));
        let altered = differing.iter().sum::<usize>();
        assert!((150..250).contains(&altered), "{altered}");
    }
}
