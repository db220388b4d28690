//! Tags in a column of pseudonyms: what they are, and what they leave alone.

use proptest::prelude::*;

use super::*;
use crate::check_digit::{luhn, resident_id};
use crate::marks::anchor::{Anchors, Family};
use crate::marks::cmac::Messages;
use crate::marks::embed::{MarkPlan, Marker, RowAnchor, TaggedField};
use crate::marks::score::{Ballots, Scores, Standard, TagObservation, Verdict};

const GRANT: GrantIndex = GrantIndex(0xDEAD_BEEF);
const OTHER: GrantIndex = GrantIndex(77);

fn key() -> MarkKey {
    MarkKey::derive(&[7; 32], "residents", 1, 1)
}

fn room(encoding: Encoding, characters: u32) -> TagRoom {
    TagRoom {
        domain: "person".to_owned(),
        characters,
        form: TagForm::End {
            length: 24 + characters,
            encoding,
        },
    }
}

fn tag(encoding: Encoding, characters: u32) -> Tag {
    Tag::new(&room(encoding, characters), &[]).unwrap()
}

/// A marker of one column of pseudonyms, by which its rows are found too.
fn marker(tag: Tag) -> Marker {
    let anchor = RowAnchor::of_columns(Family::Key, vec![0]);
    let tagged = TaggedField {
        column: 0,
        name: "id".to_owned(),
        tag,
    };
    let plan = MarkPlan::new(vec![anchor], Vec::new()).unwrap();
    Marker::new(&key(), plan.with_tags(vec![tagged]).unwrap())
}

fn column(texts: &[Option<String>]) -> ArrayRef {
    Arc::new(StringArray::from_iter(texts))
}

/// Pseudonyms that look random, of 24 characters and those of a tag.
fn pseudonyms(encoding: Encoding, characters: u32, rows: usize) -> Vec<Option<String>> {
    let symbols = encoding.symbols();
    let mut state = 9_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let place = usize::try_from(state >> 33).unwrap() % symbols.len();
        char::from(symbols[place])
    };
    let length = 24 + characters;
    (0..rows)
        .map(|_| Some((0..length).map(|_| draw()).collect()))
        .collect()
}

fn embedded(marker: &Marker, grant: GrantIndex, column: &ArrayRef) -> ArrayRef {
    let marked = marker.embed(grant, std::slice::from_ref(column)).unwrap();
    Arc::clone(&marked.columns[0])
}

fn strings(column: &ArrayRef) -> Vec<Option<String>> {
    let texts = texts(column).unwrap();
    texts.iter().map(|text| text.map(str::to_owned)).collect()
}

/// What a tag leaves of a pseudonym.
fn kept(pseudonym: &str) -> &str {
    pseudonym.get(..24).unwrap()
}

fn observed(marker: &Marker, column: &ArrayRef) -> Vec<TagObservation> {
    marker.observe_tags(&[Some(Arc::clone(column))]).unwrap()
}

#[test]
fn a_tag_is_the_code_of_position_and_grant() {
    let before = pseudonyms(Encoding::Hex, 4, 1);
    let marker = marker(tag(Encoding::Hex, 4));
    let after = strings(&embedded(&marker, GRANT, &column(&before)));
    let (before, after) = (before[0].clone().unwrap(), after[0].clone().unwrap());
    let mut message = Messages::default();
    message.push(|bytes| {
        bytes.extend_from_slice(b"\x03\0\0\0\x18");
        bytes.extend_from_slice(&before.as_bytes()[..24]);
    });
    let cmac = |of| Cmac::new(key().suite(), &key().sub_key(of));
    let anchor = cmac(SubKey::Anchor).codes(&message)[0];
    let anchors = Anchors::new(&key());
    let place = anchors.place(Family::Own, "person");
    let id = anchors.positions(place, &[anchor])[0].id();
    let mut message = Messages::default();
    message.push(|bytes| {
        bytes.extend_from_slice(&id.to_be_bytes()[4..]);
        bytes.extend_from_slice(&GRANT.0.to_be_bytes());
    });
    let code = cmac(SubKey::Tag).codes(&message)[0].swap_bytes();
    assert_eq!(after, format!("{}{:04x}", kept(&before), code >> 112));
}

#[test]
fn every_grant_has_tags_of_its_own_that_are_read_back() {
    for encoding in [Encoding::Hex, Encoding::Base64Url, Encoding::Base32] {
        let marker = marker(tag(encoding, 5));
        let before = pseudonyms(encoding, 5, 500);
        let [one, other] = [GRANT, OTHER].map(|grant| embedded(&marker, grant, &column(&before)));
        assert_ne!(strings(&one), strings(&other));
        let (read, of_other) = (observed(&marker, &one), observed(&marker, &other));
        assert_eq!(read.len(), 500);
        let shown: Vec<(u128, u64)> = read
            .iter()
            .map(|seen| (seen.position.id(), seen.shown))
            .collect();
        let matches = |grant| marker.code().tags().matches(grant, read[0].space, &shown);
        assert_eq!((matches(GRANT), matches(OTHER)), (500, 0));
        for ((text, one), (read, of_other)) in before
            .iter()
            .zip(strings(&one))
            .zip(read.iter().zip(&of_other))
        {
            // What tells values apart stays, and so do positions from grant to grant.
            assert_eq!(kept(text.as_ref().unwrap()), kept(one.as_ref().unwrap()));
            assert_eq!(read.position, of_other.position);
        }
        // Rows are found by what stands before the tags.
        let rows = |column: &ArrayRef| marker.anchor_rows(0, std::slice::from_ref(column)).unwrap();
        assert_eq!(rows(&one), rows(&column(&before)));
    }
}

#[test]
fn fields_of_one_domain_join_and_are_counted_once() {
    let field = |column: usize, name: &str| TaggedField {
        column,
        name: name.to_owned(),
        tag: tag(Encoding::Hex, 4),
    };
    let plan = MarkPlan::new(Vec::new(), Vec::new()).unwrap();
    let fields = vec![field(0, "id"), field(1, "parent")];
    let marker = Marker::new(&key(), plan.with_tags(fields).unwrap());
    let before = column(&pseudonyms(Encoding::Hex, 4, 20));
    let both = [Arc::clone(&before), before];
    let marked = marker.embed(GRANT, &both).unwrap();
    assert_eq!(&marked.columns[0], &marked.columns[1]);
    assert_ne!(&marked.columns[0], &both[0]);
    let leak: Vec<Option<ArrayRef>> = marked.columns.into_iter().map(Some).collect();
    let mut ballots = Ballots::default();
    ballots.add_tags(marker.observe_tags(&leak).unwrap());
    assert_eq!(ballots.close().tags().total(), 20);
}

#[test]
fn tags_are_even_over_all_there_are() {
    let marker = marker(tag(Encoding::Hex, 1));
    let tagged = embedded(
        &marker,
        GRANT,
        &column(&pseudonyms(Encoding::Hex, 1, 16_000)),
    );
    let mut counts = [0_i64; 16];
    for seen in observed(&marker, &tagged) {
        counts[usize::try_from(seen.shown).unwrap()] += 1;
    }
    // Chi-square of 15 degrees of freedom: 37.7 once in a thousand.
    let squares: i64 = counts.iter().map(|count| (count - 1_000).pow(2)).sum();
    assert!(squares < 37_700, "{counts:?}");
}

#[test]
fn what_is_no_pseudonym_has_no_tag() {
    let kept = "0".repeat(28);
    let tag = Tag::new(&room(Encoding::Hex, 4), std::slice::from_ref(&kept)).unwrap();
    let marker = marker(tag);
    let mut texts = pseudonyms(Encoding::Hex, 4, 2);
    let others = [
        None,
        Some("*".repeat(28)),
        Some(String::new()),
        Some(texts[0].as_ref().unwrap().chars().skip(1).collect()),
        Some(texts[0].as_ref().unwrap().to_uppercase()),
        Some(kept),
        Some("张".repeat(28)),
    ];
    texts.extend(others.clone());
    let marked = marker.embed(GRANT, &[column(&texts)]).unwrap();
    assert_eq!(strings(&marked.columns[0])[2..], others);
    let distortion = &marked.distortions[0];
    let skipped = distortion.skipped;
    assert_eq!((distortion.rows, distortion.selected), (9, 2));
    assert_eq!(
        (skipped.null, skipped.no_carrier, skipped.sentinel),
        (1, 5, 1)
    );
}

#[test]
fn a_leak_may_spell_pseudonyms_otherwise() {
    let marker = marker(tag(Encoding::Hex, 4));
    let tagged = embedded(&marker, GRANT, &column(&pseudonyms(Encoding::Hex, 4, 50)));
    let spelled: Vec<Option<String>> = strings(&tagged)
        .into_iter()
        .map(|text| Some(format!(" {}\u{200b}", text?.to_uppercase())))
        .collect();
    assert_eq!(
        observed(&marker, &column(&spelled)),
        observed(&marker, &tagged)
    );
}

#[test]
fn a_few_tags_name_the_grant_and_no_other() {
    let marker = marker(tag(Encoding::Hex, 4));
    let tagged = embedded(&marker, GRANT, &column(&pseudonyms(Encoding::Hex, 4, 4)));
    let mut ballots = Ballots::default();
    ballots.add_tags(observed(&marker, &tagged));
    let votes = ballots.close();
    let scores = Scores::new(&votes).of(marker.code(), &[GRANT, OTHER]);
    let standard = Standard::new(10_000);
    let verdicts: Vec<Verdict> = scores
        .iter()
        .map(|score| standard.verdict(score.ln_e))
        .collect();
    assert_eq!(verdicts, [Verdict::Accused, Verdict::None]);
    assert_eq!((scores[0].tags.matched, scores[0].tags.of), (4, 4));
}

#[test]
fn a_room_that_is_none_is_refused() {
    for (characters, length) in [(0, 24), (9, 40), (4, 4)] {
        let room = TagRoom {
            characters,
            form: TagForm::End {
                length,
                encoding: Encoding::Hex,
            },
            ..room(Encoding::Hex, 4)
        };
        assert!(Tag::new(&room, &[]).is_err(), "{characters} {length}");
    }
    for digits in [0, 3] {
        assert!(Tag::new(&identifiers(IdKind::Mobile, digits), &[]).is_err());
    }
}

const KINDS: [IdKind; 3] = [IdKind::ResidentId, IdKind::Mobile, IdKind::BankCard];

fn identifiers(kind: IdKind, digits: u32) -> TagRoom {
    TagRoom {
        domain: "person".to_owned(),
        characters: digits,
        form: TagForm::Id(kind),
    }
}

/// Valid identifiers that look random; cards of every length.
fn valid(kind: IdKind, rows: u64) -> Vec<String> {
    let drawn = |row: u64, below: u64| {
        (row + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
            .wrapping_mul(0xBF58_476D_1CE4_E5B9)
            % below
    };
    let of = |row: u64| {
        let (mut text, check) = match kind {
            IdKind::ResidentId => {
                let text = format!(
                    "3301{:02}1990{:02}12{:03}",
                    row % 9,
                    row % 12 + 1,
                    drawn(row, 1_000)
                );
                let check = resident_id::check(text.as_bytes());
                (text, check)
            }
            IdKind::Mobile => (format!("13{:09}", drawn(row, 1_000_000_000)), None),
            IdKind::BankCard => {
                let width = usize::try_from(9 + row % 4).unwrap();
                let text = format!("622202{:0width$}", drawn(row, 1_000_000_000));
                let check = luhn::check(text.as_bytes());
                (text, check)
            }
        };
        text.extend(check.map(char::from));
        text
    };
    (0..rows).map(of).collect()
}

fn some(texts: &[String]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

#[test]
fn an_identifier_with_a_tag_stays_valid() {
    for (kind, digits) in KINDS.into_iter().flat_map(|kind| [(kind, 1), (kind, 2)]) {
        let marker = marker(Tag::new(&identifiers(kind, digits), &[]).unwrap());
        let before = valid(kind, 400);
        let [one, other] = [GRANT, OTHER].map(|grant| embedded(&marker, grant, &some(&before)));
        assert_ne!(&one, &other);
        assert_eq!(&embedded(&marker, GRANT, &one), &one);
        assert_eq!(&embedded(&marker, GRANT, &other), &one);
        let tag = usize::try_from(digits).unwrap();
        for (before, after) in before.iter().zip(strings(&one)) {
            let after = after.unwrap();
            assert_eq!(before.len(), after.len());
            let (before, after) = (before.as_bytes(), after.as_bytes());
            let (place, is_valid) = match kind {
                IdKind::ResidentId => (16 - tag..16, resident_id::is_valid(after)),
                IdKind::Mobile => (11 - tag..11, after.iter().all(u8::is_ascii_digit)),
                IdKind::BankCard => {
                    let check = after.len() - 1;
                    (check - tag..check, luhn::is_valid(after))
                }
            };
            assert!(is_valid, "{kind:?}");
            assert_eq!(before[..place.start], after[..place.start]);
            // The sex of a resident.
            if kind == IdKind::ResidentId {
                assert_eq!(before[16], after[16]);
            }
        }
        // All of them show the grant's tags, and another's by chance alone.
        let seen = observed(&marker, &one);
        assert_eq!(seen.len(), 400);
        let shown: Vec<(u128, u64)> = seen
            .iter()
            .map(|seen| (seen.position.id(), seen.shown))
            .collect();
        let space = TagSpace::new(10_u64.pow(digits));
        assert!(seen.iter().all(|seen| seen.space == space));
        let matches = |grant| marker.code().tags().matches(grant, space, &shown);
        assert_eq!(matches(GRANT), 400);
        assert!(matches(OTHER) < 100, "{kind:?} {digits}");
    }
}

#[test]
fn the_part_finds_the_row() {
    for kind in KINDS {
        let marker = marker(Tag::new(&identifiers(kind, 2), &[]).unwrap());
        let before = some(&valid(kind, 100));
        let after = embedded(&marker, GRANT, &before);
        let rows = |column: &ArrayRef| marker.anchor_rows(0, std::slice::from_ref(column)).unwrap();
        assert_eq!(rows(&after), rows(&before));
        let positions = |column| {
            observed(&marker, column)
                .into_iter()
                .map(|seen| seen.position)
        };
        assert!(positions(&after).eq(positions(&before)));
    }
}

#[test]
fn a_leak_may_spell_identifiers_otherwise() {
    let respelled = |kind: IdKind, respell: &dyn Fn(&str) -> String| {
        let marker = marker(Tag::new(&identifiers(kind, 2), &[]).unwrap());
        let tagged = embedded(&marker, GRANT, &some(&valid(kind, 60)));
        let texts: Vec<String> = strings(&tagged)
            .into_iter()
            .map(|text| respell(&text.unwrap()))
            .collect();
        assert_ne!(&some(&texts), &tagged);
        assert_eq!(observed(&marker, &some(&texts)), observed(&marker, &tagged));
    };
    respelled(IdKind::ResidentId, &|text| {
        format!(" {}", text.to_lowercase())
    });
    respelled(IdKind::Mobile, &|text| format!("+86 {text}"));
    respelled(IdKind::BankCard, &|text| {
        let (bank, rest) = text.split_at(4);
        format!("{bank} {rest}")
    });
}

#[test]
fn what_is_no_identifier_has_no_tag() {
    let texts = valid(IdKind::BankCard, 3);
    let broken = |text: &str| {
        let (rest, last) = text.split_at(text.len() - 1);
        format!("{rest}{}", (last.parse::<u8>().unwrap() + 1) % 10)
    };
    let tag = Tag::new(&identifiers(IdKind::BankCard, 2), &texts[2..]).unwrap();
    let marker = marker(tag);
    let others = [
        None,
        Some("*".repeat(16)),
        Some(String::new()),
        Some(broken(&texts[1])),
        Some("13800000000".to_owned()),
        Some(texts[2].clone()),
    ];
    let mut all = vec![Some(texts[0].clone())];
    all.extend(others.clone());
    let marked = marker.embed(GRANT, &[column(&all)]).unwrap();
    assert_eq!(strings(&marked.columns[0])[1..], others);
    let skipped = marked.distortions[0].skipped;
    assert_eq!(
        (skipped.null, skipped.no_carrier, skipped.sentinel),
        (1, 4, 1)
    );
}

#[test]
fn some_identifiers_name_the_grant_and_no_other() {
    let marker = marker(Tag::new(&identifiers(IdKind::BankCard, 2), &[]).unwrap());
    let tagged = embedded(&marker, GRANT, &some(&valid(IdKind::BankCard, 12)));
    let mut ballots = Ballots::default();
    ballots.add_tags(observed(&marker, &tagged));
    let votes = ballots.close();
    let scores = Scores::new(&votes).of(marker.code(), &[GRANT, OTHER]);
    let standard = Standard::new(10_000);
    let verdicts = scores.iter().map(|score| standard.verdict(score.ln_e));
    assert!(verdicts.eq([Verdict::Accused, Verdict::None]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tag_depends_on_its_pseudonym_alone(
        rows in 1_usize..300,
        batch in 1_usize..150,
        nulls in 2_usize..9,
    ) {
        let marker = marker(tag(Encoding::Base32, 3));
        let mut texts = pseudonyms(Encoding::Base32, 3, rows);
        for null in texts.iter_mut().step_by(nulls) {
            *null = None;
        }
        let whole = column(&texts);
        let once = embedded(&marker, GRANT, &whole);
        prop_assert_eq!(&embedded(&marker, GRANT, &once), &once);
        for start in (0..rows).step_by(batch) {
            let length = batch.min(rows - start);
            let part = embedded(&marker, GRANT, &whole.slice(start, length));
            prop_assert_eq!(&part, &once.slice(start, length));
        }
    }
}
