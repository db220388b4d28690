//! One person, one organisation: every facet under any key agrees with every other, and each is
//! valid by itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::testing::{Field, key, texts, try_treat};
use super::{facet, first, ids_of, people};
use crate::calendar::Civil;
use crate::check_digit::{credit_code, luhn, resident_id};
use crate::divisions::{Areas, Codes, Divisions, Level};
use crate::persona::{Landline, Naming, ResidentId, Sex, address, mobile};
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use proptest::prelude::*;

/// The surrogates of a table's first field under a master key, as text.
fn written(spec: &str, table: &[Field], master: u8) -> Vec<String> {
    let treated = try_treat(spec, table, &key(master)).unwrap();
    assert_eq!(treated.counts.invalid + treated.counts.short, 0, "{spec}");
    let texts = cast(&treated.array, &DataType::Utf8).unwrap();
    let texts = texts.as_string::<i32>();
    texts.iter().map(|text| text.unwrap().to_owned()).collect()
}

/// The facets of every person under a master key, by kind.
fn facets(table: &[Field], master: u8) -> BTreeMap<&'static str, Vec<String>> {
    let of = |kind, field, rest| written(&facet(kind, rest), &first(field, table), master);
    let address = with(table, "address", "浙江省杭州市西湖区文三路1号");
    let email = with(table, "email", "zhang.san@example.com");
    let landline = with(table, "landline", "0571-87654321");
    let drawn = facet("fake-phone", ", landline = 'drawn'");
    BTreeMap::from([
        ("id", of("fake-id", "person_id", "")),
        ("name", of("fake-name", "name", "")),
        ("sex", of("fake-sex", "sex", "")),
        ("birth", of("fake-birth-date", "birth", "")),
        ("age", of("fake-age", "age", ", as_of = 2026-06-30")),
        ("region", of("fake-region", "region", "")),
        ("phone", of("fake-phone", "phone", "")),
        ("landline", written(&drawn, &landline, master)),
        (
            "address",
            written(&facet("fake-address", ""), &address, master),
        ),
        ("email", written(&facet("fake-email", ""), &email, master)),
    ])
}

/// People born in every division that ever was, in years in which it was, or wasn't.
fn diverse(count: u32) -> Vec<Field> {
    let (codes, table) = (Codes::new(), people(count));
    let texts_of = |field: &Field| -> Vec<String> {
        let texts = field.2.as_string::<i32>().iter();
        texts.map(|text| text.unwrap().to_owned()).collect()
    };
    let moved = texts_of(&table[0])
        .into_iter()
        .enumerate()
        .map(|(row, id)| {
            let place = row * 7_919 % codes.within(0, 0).len();
            let id = ResidentId {
                region: codes.code(place).unwrap(),
                ..ResidentId::read(&id).unwrap()
            };
            Some(String::from_utf8(id.written().to_vec()).unwrap())
        });
    let moved = texts(moved);
    let field = |field: Field| match field.0 {
        "person_id" => (field.0, field.1, ArrayRef::clone(&moved)),
        _ => field,
    };
    table.into_iter().map(field).collect()
}

/// The table, with a field of one text before the others.
fn with(table: &[Field], name: &'static str, text: &str) -> Vec<Field> {
    let rows = table[0].2.len();
    let field: ArrayRef = texts((0..rows).map(|_| Some(text)));
    let mut all = vec![(name, name, field)];
    all.extend(table.iter().cloned());
    all
}

/// Whether an address is made of what RFC 5322 calls dot-atoms.
fn is_well_formed(email: &str) -> bool {
    let atoms = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        text.split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(plain))
    };
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    atoms(local) && atoms(domain) && domain.contains('.') && local.len() <= 64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_facet_of_a_person_agrees(master in any::<u8>()) {
        let table = people(40);
        let of = facets(&table, master);
        let (codes, divisions, naming) = (Codes::new(), Divisions::new(), Naming::new());
        let areas = Areas::new();
        for (row, number) in of["id"].iter().enumerate() {
            let text = |kind: &str| of[kind][row].as_str();
            prop_assert!(resident_id::is_valid(number.as_bytes()), "{}", number);
            let id = ResidentId::read(number).unwrap();
            prop_assert_eq!(text("sex"), if id.sex() == Sex::Male { "男" } else { "女" });
            let given = text("name").chars().last().unwrap();
            prop_assert!(naming.is_given(given, id.sex()), "{}", text("name"));
            let Civil { year, month, day } = id.birth;
            prop_assert_eq!(text("birth"), format!("{year:04}-{month:02}-{day:02}"));
            let age = 2026 - year - i64::from((6, 30) < (month, day));
            prop_assert_eq!(text("age"), age.to_string());
            prop_assert_eq!(text("region"), id.region.to_string());
            let place = codes.find(id.region).unwrap();
            prop_assert!(codes.in_force(place, u16::try_from(year).unwrap()), "{}", text("id"));
            let home = divisions.find(id.region).unwrap();
            let names = format!("{}{}{}", home.province, home.prefecture, home.county);
            prop_assert!(text("address").starts_with(&names), "{}", text("address"));
            // A mobile number says nothing of where its person lives.
            prop_assert!(mobile::read(text("phone")).is_some_and(mobile::is_drawn), "{}", text("phone"));
            let area = areas.find(text("region").parse().unwrap()).unwrap();
            let landline = Landline::read(text("landline")).unwrap();
            prop_assert_eq!(landline.area(), area.code.as_bytes(), "{} {}", number, text("landline"));
            prop_assert_eq!(landline.number().len(), area.digits, "{}", text("landline"));
            prop_assert!(is_well_formed(text("email")), "{}", text("email"));
            let surname = naming.reading_of(text("name")).unwrap();
            prop_assert!(text("email").starts_with(&format!("{surname}.")), "{}", text("email"));
        }
    }

    #[test]
    fn kept_parts_agree_in_every_facet(master in any::<u8>()) {
        let table = people(40);
        let originals: Vec<_> = table[0].2.as_string::<i32>().iter().map(|id| id.map(str::to_owned)).collect();
        let own = ids_of(&originals);
        let id = facet("fake-id", ", keep = ['city', 'birth-year', 'sex'], when_unfit = 'widen'");
        let ids = written(&id, &table, master);
        let name = facet("fake-name", ", keep = ['sex'], sex = 'person_id'");
        let names = written(&name, &first("name", &table), master);
        let kept = ", keep = ['city', 'birth-year'], when_unfit = 'widen', birth = 'birth', \
             region = 'region'";
        let births = written(&facet("fake-birth-date", kept), &first("birth", &table), master);
        let age = facet("fake-age", &format!("{kept}, as_of = 2030-01-01"));
        let ages = written(&age, &first("age", &table), master);
        let address = facet("fake-address", kept);
        let addresses = written(&address, &with(&table, "address", "某地"), master);
        let (divisions, naming) = (Divisions::new(), Naming::new());
        for (row, number) in ids.iter().enumerate() {
            let id = ResidentId::read(number).unwrap();
            prop_assert_eq!((id.region / 10_000, id.sex()), (own[row].region / 10_000, own[row].sex()));
            prop_assert_eq!(id.birth.year, own[row].birth.year);
            prop_assert!(naming.is_given(names[row].chars().last().unwrap(), id.sex()));
            let Civil { year, month, day } = id.birth;
            prop_assert_eq!(&births[row], &format!("{year:04}-{month:02}-{day:02}"));
            let age = 2030 - year - i64::from((1, 1) < (month, day));
            prop_assert_eq!(&ages[row], &age.to_string());
            let home = divisions.all().iter().find(|own| own.code / 10_000 == id.region / 10_000);
            let names = match divisions.find(id.region) {
                Some(home) => format!("{}{}{}", home.province, home.prefecture, home.county),
                None => home.unwrap().province.to_owned(),
            };
            prop_assert!(addresses[row].starts_with(&names), "{}", addresses[row]);
        }
    }

    #[test]
    fn birth_and_division_of_a_person_fit_whatever_is_kept(
        master in any::<u8>(),
        parts in 0_usize..8,
        widens in any::<bool>(),
    ) {
        let table = diverse(60);
        let division = [None, Some("province"), Some("city"), Some("district")][parts / 2];
        let year = (parts % 2 == 1).then_some("birth-year");
        let keep: Vec<String> = division.into_iter().chain(year).map(|part| format!("'{part}'")).collect();
        let mut kept = format!(", keep = [{}]", keep.join(", "));
        if division.is_some() {
            kept.push_str(", region = 'person_id'");
        }
        if year.is_some() {
            kept.push_str(", birth = 'person_id'");
        }
        if widens && parts / 2 > 1 {
            kept.push_str(", when_unfit = 'widen'");
        }
        let of = |kind, field, rest: &str| {
            let spec = facet(kind, &format!("{kept}{rest}"));
            let treated = try_treat(&spec, &first(field, &table), &key(master)).unwrap();
            let texts = cast(&treated.array, &DataType::Utf8).unwrap();
            let texts = texts.as_string::<i32>().iter().map(|text| text.unwrap_or("*").to_owned());
            texts.collect::<Vec<_>>()
        };
        let ids = of("fake-id", "person_id", "");
        let regions = of("fake-region", "region", "");
        let births = of("fake-birth-date", "birth", "");
        let ages = of("fake-age", "age", ", as_of = 2060-01-01");
        let (codes, mut valid) = (Codes::new(), 0);
        for (row, number) in ids.iter().enumerate() {
            // Who can't have been born then and there is no one, in every facet.
            if number.starts_with('*') {
                prop_assert!(regions[row].starts_with('*') && births[row] == "*" && ages[row] == "*");
                continue;
            }
            valid += 1;
            let id = ResidentId::read(number).unwrap();
            let Civil { year, month, day } = id.birth;
            prop_assert_eq!(&births[row], &format!("{year:04}-{month:02}-{day:02}"));
            prop_assert_eq!(&regions[row], &id.region.to_string());
            let age = 2060 - year - i64::from((1, 1) < (month, day));
            prop_assert!(ages[row] == age.to_string() || age > 127 && ages[row] == "*");
            let place = codes.find(id.region).unwrap();
            prop_assert!(codes.in_force(place, u16::try_from(year).unwrap()), "{}", number);
        }
        let fewest = if widens || parts / 2 < 2 { 40 } else { 5 };
        prop_assert!(valid > fewest, "{}", valid);
    }

    #[test]
    fn a_drawn_landline_agrees_with_the_address_whatever_is_kept(master in any::<u8>(), parts in 0_usize..8) {
        let table = diverse(60);
        let division = [None, Some("province"), Some("city"), Some("district")][parts / 2];
        let year = (parts % 2 == 1).then_some("birth-year");
        let keep: Vec<String> = division.into_iter().chain(year).map(|part| format!("'{part}'")).collect();
        let mut kept = format!(", keep = [{}]", keep.join(", "));
        if division.is_some() {
            kept.push_str(", region = 'person_id'");
        }
        if year.is_some() {
            kept.push_str(", birth = 'person_id'");
        }
        let of = |kind, name, original, rest: &str| {
            let table = with(&table, name, original);
            let treated = try_treat(&facet(kind, &format!("{kept}{rest}")), &table, &key(master)).unwrap();
            let texts = treated.array.as_string::<i32>().iter();
            texts.map(|text| text.unwrap().to_owned()).collect::<Vec<_>>()
        };
        let addresses = of("fake-address", "address", "某地", "");
        let landlines = of("fake-phone", "landline", "0571-87654321", ", landline = 'drawn'");
        let (divisions, areas, mut valid) = (Divisions::new(), Areas::new(), 0);
        for (place, number) in addresses.iter().zip(&landlines) {
            // Who can't have been born then and there has neither.
            if place.starts_with('*') {
                prop_assert!(number.starts_with('*'), "{}", number);
                continue;
            }
            valid += 1;
            let home = address::read(&divisions, place, Level::District).unwrap();
            let area = areas.find(home).unwrap();
            prop_assert!(number.starts_with(&format!("{}-", area.code)), "{} {}", place, number);
        }
        let fewest = if parts / 2 < 2 { 40 } else { 5 };
        prop_assert!(valid > fewest, "{}", valid);
    }

    #[test]
    fn an_organisation_agrees_with_its_code(master in any::<u8>()) {
        let table = people(40);
        let by = |kind: &str| format!("{{ kind = '{kind}', domain = 'org.id', by = 'person_id' }}");
        let codes = written(&by("fake-uscc"), &with(&table, "code", "91110000600037341L"), master);
        let names = written(&by("fake-org"), &with(&table, "org", "杭州某某有限公司"), master);
        let (divisions, all) = (Divisions::new(), Codes::new());
        for (code, name) in codes.iter().zip(&names) {
            prop_assert!(credit_code::is_valid(code.as_bytes()), "{}", code);
            let region: u32 = code.get(2..8).unwrap().parse().unwrap();
            prop_assert!(all.in_force(all.find(region).unwrap(), u16::MAX));
            let home = divisions.find(region).unwrap();
            let place = if home.prefecture.is_empty() { home.province } else { home.prefecture };
            prop_assert!(name.starts_with(place), "{} {}", code, name);
            let form = crate::persona::organisation::FORMS
                .iter()
                .find(|form| name.ends_with(form.suffix))
                .unwrap();
            prop_assert_eq!(&code.as_bytes()[..2], &form.code);
        }
    }

    #[test]
    fn cards_are_valid_and_addresses_keep_what_they_share(
        master in any::<u8>(),
        digits in prop::collection::vec("62[0-9]{14}|62[0-9]{17}", 1..20),
        pairs in prop::collection::vec((any::<u32>(), any::<u32>(), 0_u32..=32), 1..20),
    ) {
        let alone = |kind: &str, values: Vec<String>| {
            let spec = format!("{{ kind = '{kind}', domain = 'd' }}");
            written(&spec, &[("field", "other", texts(values.into_iter().map(Some)))], master)
        };
        for (card, original) in alone("fake-card", digits.clone()).iter().zip(&digits) {
            prop_assert!(luhn::is_valid(card.as_bytes()) && card.starts_with("62"), "{}", card);
            prop_assert_eq!(card.len(), original.len());
            prop_assert_ne!(card, original);
        }
        // Two addresses whose first bits agree, and the next doesn't.
        let pairs = pairs.into_iter().map(|(one, other, shared)| {
            let mask = u32::MAX.checked_shl(32 - shared).unwrap_or(0);
            (one, one & mask | other & !mask)
        });
        let (ones, others): (Vec<u32>, Vec<u32>) = pairs.unzip();
        let mapped = |bits: &[u32]| -> Vec<u32> {
            let addresses = bits.iter().map(|bits| IpAddr::from(bits.to_be_bytes()).to_string());
            let addresses = alone("fake-ip", addresses.collect()).into_iter();
            addresses
                .map(|text| match text.parse().unwrap() {
                    IpAddr::V4(address) => address.to_bits(),
                    IpAddr::V6(_) => panic!("IPv4 became IPv6"),
                })
                .collect()
        };
        let pairs = ones.iter().zip(&others).zip(mapped(&ones).into_iter().zip(mapped(&others)));
        for ((one, other), (mapped, mapped_other)) in pairs {
            let shared = (one ^ other).leading_zeros();
            prop_assert_eq!((mapped ^ mapped_other).leading_zeros(), shared);
        }
    }
}
