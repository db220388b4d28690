//! What stands for a floor hides what the floor hides, whatever the kinds and parameters.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;

use super::{built_for, treat};
use crate::check_digit::{credit_code, luhn, organisation_code, resident_id};
use crate::spec::TreatmentSpec;
use crate::testing::spec;
use crate::treatments::catalogue;

/// Values of each family: enough that no key leaves a character in all of them by chance.
const VALUES: usize = 60;

/// A place in a text, counted in characters from its start or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Start(usize),
    End(usize),
}

/// Numbers that follow from each other and look as if they didn't (Knuth's MMIX generator).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn digits(&mut self, count: usize) -> String {
        let digits = (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap()));
        digits.collect()
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.below(u64::try_from(list.len()).unwrap());
        list[usize::try_from(at).unwrap()]
    }
}

const DIVISIONS: [&str; 6] = ["110105", "330106", "440305", "510104", "220102", "650102"];

/// Valid values of the kinds of text that have a shape, by category.
fn families() -> Vec<(&'static str, Vec<String>)> {
    fn family(
        category: &'static str,
        value: impl Fn(&mut Draws) -> String,
    ) -> (&'static str, Vec<String>) {
        let mut draws = Draws(7);
        (category, (0..VALUES).map(|_| value(&mut draws)).collect())
    }
    vec![
        family("resident-id", |draws| {
            let region = draws.of(&DIVISIONS);
            let (year, month, day) = (draws.below(80), draws.below(12), draws.below(28));
            let (year, month, day) = (1920 + year, 1 + month, 1 + day);
            let body = format!("{region}{year:04}{month:02}{day:02}{}", draws.digits(3));
            let check = resident_id::check(body.as_bytes()).unwrap();
            format!("{body}{}", char::from(check))
        }),
        family("mobile", |draws| {
            format!("1{}{}", 3 + draws.below(7), draws.digits(9))
        }),
        family("bank-card", |draws| {
            let body = format!("{}{}", 3 + draws.below(7), draws.digits(14));
            let check = luhn::check(body.as_bytes()).unwrap();
            format!("{body}{}", char::from(check))
        }),
        family("credit-code", |draws| {
            let kind = draws.of(&["91", "92", "93", "11", "12", "51", "52"]);
            let organisation = draws.digits(8);
            let own = organisation_code::check(organisation.as_bytes()).unwrap();
            let region = draws.of(&DIVISIONS);
            let body = format!("{kind}{region}{organisation}{}", char::from(own));
            let check = credit_code::check(body.as_bytes()).unwrap();
            format!("{body}{}", char::from(check))
        }),
        family("division-code", |draws| draws.of(&DIVISIONS).to_owned()),
        family("division-code", |draws| {
            format!("{}{}", draws.of(&DIVISIONS), draws.digits(3))
        }),
        family("coordinates", |draws| {
            let (lng, lat) = (100 + draws.below(30), 20 + draws.below(20));
            format!("{lng}.{},{lat}.{}", draws.digits(4), draws.digits(4))
        }),
        family("person-name", |draws| {
            let given = draws.of(&["三", "小明", "伟强"]);
            format!("{}{given}", draws.of(&["张", "李", "王", "赵"]))
        }),
        family("email", |draws| {
            let domain = draws.of(&["example.cn", "example.com", "gov.cn"]);
            format!("{}@{domain}", draws.digits(5))
        }),
    ]
}

/// Treatments of text beside the examples: parameters that keep as much as they can.
const MORE: &[&str] = &[
    "{ kind = 'keep-ends', first = 0, last = 0 }",
    "{ kind = 'keep-ends', first = 2, last = 0 }",
    "{ kind = 'keep-ends', first = 6, last = 4 }",
    "{ kind = 'mask-range', from = 0, to = 5 }",
    "{ kind = 'mask-range', from = 6, to = -1 }",
    "{ kind = 'mask-around', delimiter = '@', side = 'after' }",
    "{ kind = 'typed-mask', of = 'resident-id', keep = 'province' }",
    "{ kind = 'typed-mask', of = 'bank-card' }",
    "{ kind = 'typed-mask', of = 'credit-code' }",
    "{ kind = 'typed-mask', of = 'person-name' }",
    "{ kind = 'typed-mask', of = 'email' }",
    "{ kind = 'admin-level', level = 'province', rest = 'cut' }",
    "{ kind = 'admin-level', level = 'city' }",
    "{ kind = 'admin-level', level = 'district' }",
    "{ kind = 'geo-coarsen', datum = 'WGS84', order = 'lng-lat', grid = '0.0001' }",
    "{ kind = 'geo-coarsen', datum = 'WGS84', order = 'lng-lat', grid = '1' }",
    "{ kind = 'geo-coarsen', datum = 'WGS84', order = 'lng-lat', geohash = 5 }",
    "{ kind = 'structured-id', of = 'resident-id', keep = ['region6', 'sex'], domain = 'd' }",
    "{ kind = 'structured-id', of = 'resident-id', keep = ['birth-year'], domain = 'd' }",
    "{ kind = 'structured-id', of = 'mobile', domain = 'd' }",
    "{ kind = 'structured-id', of = 'mobile', keep = ['prefix3'], domain = 'd' }",
    "{ kind = 'structured-id', of = 'bank-card', domain = 'd' }",
    "{ kind = 'structured-id', of = 'bank-card', keep = ['bin8'], domain = 'd' }",
    "{ kind = 'structured-id', of = 'credit-code', domain = 'd' }",
    "{ kind = 'structured-id', of = 'credit-code', keep = ['region4'], domain = 'd' }",
    "{ kind = 'fpe', domain = 'd', keep_separators = true }",
    "{ kind = 'map', entries = { '110105' = '110105', '330106' = '330106', 'x' = '110105', \
       'y' = '330106' } }",
    "{ kind = 'pipeline', steps = [{ kind = 'hmac', domain = 'd' }, { kind = 'clear' }] }",
    "{ kind = 'pipeline', steps = [{ kind = 'admin-level', level = 'city' }, \
       { kind = 'keep-ends', first = 3, last = 0 }] }",
    "{ kind = 'when', condition = 'c', then = { kind = 'admin-level', level = 'city' }, \
       else = { kind = 'constant', value = 'x' } }",
    "{ kind = 'drop-row', when = 'c', then = { kind = 'admin-level', level = 'city' } }",
];

/// What a treatment does to a family of values.
struct Tried<'a> {
    spec: &'a TreatmentSpec,
    /// The places where it leaves the character of every value, of those where values differ.
    left: BTreeSet<Place>,
    /// Whether no value was short or invalid: one that is gets covered whole, and what a floor
    /// happens to cover of values it isn't made for is no measure of it.
    is_made_for: bool,
}

/// Tries a treatment; none where it doesn't fit or leaves no value.
fn tried<'a>(spec: &'a TreatmentSpec, category: &str, values: &[String]) -> Option<Tried<'a>> {
    let built = built_for(spec, &DataType::Utf8, category)?;
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let treated = treat(spec, &*built, &array).unwrap();
    let delivered = treated.array.as_string_opt::<i32>()?;
    let pairs: Vec<(Vec<char>, Vec<char>)> = (0..array.len())
        .filter(|row| delivered.is_valid(*row))
        .map(|row| {
            let delivered = delivered.value(row).chars();
            (values[row].chars().collect(), delivered.collect())
        })
        .collect();
    let character = |text: &[char], place: Place| match place {
        Place::Start(at) => text.get(at).copied(),
        Place::End(at) => text.iter().rev().nth(at).copied(),
    };
    let longest = values.iter().map(|value| value.chars().count()).max()?;
    let places = (0..longest).flat_map(|at| [Place::Start(at), Place::End(at)]);
    let stays = |place: &Place| {
        let seen: BTreeSet<_> = pairs
            .iter()
            .map(|(value, _)| character(value, *place))
            .collect();
        let same = |(value, delivered): &(Vec<char>, Vec<char>)| {
            let own = character(value, *place);
            own.is_none() || own == character(delivered, *place)
        };
        seen.len() > 1 && pairs.iter().all(same)
    };
    (!pairs.is_empty()).then(|| Tried {
        spec,
        left: places.filter(stays).collect(),
        is_made_for: treated.counts.short + treated.counts.invalid == 0,
    })
}

#[test]
fn what_stands_for_another_kind_leaves_no_character_that_it_hides() {
    let examples = catalogue().into_iter().map(|entry| spec(entry.example));
    let specs: Vec<TreatmentSpec> = examples.chain(MORE.iter().map(|text| spec(text))).collect();
    let (mut compared, mut partly) = (0, 0);
    for (category, values) in families() {
        let fitting: Vec<Tried<'_>> = specs
            .iter()
            .filter_map(|spec| tried(spec, category, &values))
            .collect();
        for floor in fitting.iter().filter(|floor| floor.is_made_for) {
            partly += usize::from(!floor.left.is_empty() && floor.spec.kind() != "clear");
            let others = fitting
                .iter()
                .filter(|own| own.spec.kind() != floor.spec.kind());
            for own in others.filter(|own| own.spec.meets(floor.spec)) {
                compared += 1;
                assert!(
                    own.left.is_subset(&floor.left),
                    "{} stands for {} of a {category} and leaves {:?}",
                    own.spec.summary(),
                    floor.spec.summary(),
                    own.left.difference(&floor.left)
                );
            }
        }
    }
    assert!(compared > 500 && partly > 20, "{compared} {partly}");
}
