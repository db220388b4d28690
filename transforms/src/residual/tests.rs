use super::*;
use crate::testing::spec;

fn residual(category: &str, treatment: &str, others: &[(&str, &str)]) -> Residual {
    let specs: Vec<_> = others
        .iter()
        .map(|(category, text)| (*category, spec(text)))
        .collect();
    let released: Vec<_> = specs
        .iter()
        .flat_map(|(category, treatment)| Released::of(category, treatment))
        .collect();
    let released: Vec<_> = released.iter().collect();
    let beside = Beside {
        others: &released,
        ..Beside::default()
    };
    candidates(category, &spec(treatment), &DataType::Utf8, beside)
}

/// The candidates, where there is a count.
fn count(category: &str, treatment: &str, others: &[(&str, &str)]) -> Option<u64> {
    match residual(category, treatment, others) {
        Residual::Candidates(candidates) => Some(candidates),
        Residual::Hidden | Residual::Uncounted | Residual::Shapeless => None,
    }
}

const SIX_AND_FOUR: &str = "{ kind = 'keep-ends', first = 6, last = 4 }";
const CLEAR: &str = "{ kind = 'clear' }";

#[test]
fn an_identity_number_with_six_and_four_kept_fits_a_few_thousand_birth_dates() {
    // masking.md 2.3 counts 3,315 for one number; the expectation is 36,525 / 11.
    assert_eq!(count("resident-id", SIX_AND_FOUR, &[]), Some(3_320));
}

#[test]
fn a_released_birth_date_leaves_one_candidate() {
    let birth = [("birth-date", CLEAR)];
    assert_eq!(count("resident-id", SIX_AND_FOUR, &birth), Some(1));
    let month = [("birth-date", "{ kind = 'date-trunc', unit = 'month' }")];
    assert_eq!(count("resident-id", SIX_AND_FOUR, &month), Some(2));
}

#[test]
fn what_documents_and_lists_show_is_known_too() {
    let clear_birth = "{ path = '$.b', category = 'birth-date', treatment = { kind = 'clear' } }";
    let json = format!("{{ kind = 'json', paths = [{clear_birth}] }}");
    let nested = "{ kind = 'nested', fields = { '[]' = { kind = 'clear' } } }";
    let within_lists = format!("{{ kind = 'nested', fields = {{ '[]' = {json} }} }}");
    let arm = format!(
        "{{ kind = 'when', condition = 'a = 1', then = {json}, else = {{ kind = 'null' }} }}"
    );
    let steps = format!("{{ kind = 'pipeline', steps = [{json}, {{ kind = 'clear' }}] }}");
    for (category, text) in [
        ("json", json.as_str()),
        ("birth-date", nested),
        ("json", &within_lists),
        ("json", &arm),
        ("json", &steps),
    ] {
        let found = count("resident-id", SIX_AND_FOUR, &[(category, text)]);
        assert_eq!(found, Some(1), "{text}");
    }
    let id = "{ path = '$.b', category = 'resident-id', treatment = { kind = 'clear' } }";
    let id = format!("{{ kind = 'json', paths = [{id}] }}");
    assert_eq!(
        count("resident-id", SIX_AND_FOUR, &[("json", &id)]),
        Some(1)
    );
}

#[test]
fn what_documents_withhold_or_hide_is_not_known() {
    for treatment in [
        "{ kind = 'withhold' }",
        "{ kind = 'null' }",
        "{ kind = 'hmac', domain = 'd' }",
    ] {
        let text = format!(
            "{{ kind = 'json', paths = [\
             {{ path = '$.b', category = 'birth-date', treatment = {treatment} }}] }}"
        );
        // Not even where the document itself is of that category: nothing else of it stays.
        let found = count("resident-id", SIX_AND_FOUR, &[("birth-date", &text)]);
        assert_eq!(found, Some(3_320), "{text}");
    }
    let kept = "{ kind = 'json', unknown = 'keep', paths = [\
                { path = '$.b', treatment = { kind = 'null' } }] }";
    let found = count("resident-id", SIX_AND_FOUR, &[("birth-date", kept)]);
    assert_eq!(found, Some(1));
}

#[test]
fn values_of_one_document_are_known_beside_each_other() {
    let text = format!(
        "{{ kind = 'json', paths = [\
         {{ path = '$.id', category = 'resident-id', treatment = {SIX_AND_FOUR} }}, \
         {{ path = '$.b', category = 'birth-date', treatment = \
         {{ kind = 'date-trunc', unit = 'month' }} }}] }}"
    );
    assert_eq!(count("json", &text, &[]), Some(2));
}

#[test]
fn a_shifted_birth_date_fits_as_many_days_as_there_are_shifts() {
    let of = |range: &str| {
        let text = format!("{{ kind = 'date-shift', domain = 'd', by = 'id', {range} }}");
        candidates(
            "birth-date",
            &spec(&text),
            &DataType::Date32,
            Beside::default(),
        )
    };
    for (range, shifts) in [
        ("min_days = -1, max_days = 1", 2),
        ("min_days = -1, max_days = 1, forbid_zero = false", 3),
        ("min_days = 0, max_days = 2", 2),
        ("min_days = 1, max_days = 3", 3),
        ("min_days = -13, max_days = 13, keep_weekday = true", 2),
        ("min_days = 1, max_days = 20, keep_weekday = true", 2),
    ] {
        assert_eq!(of(range), Residual::Candidates(shifts), "{range}");
    }
}

#[test]
fn hiding_the_last_four_leaves_a_thousand_or_half_of_them_when_the_sex_is_known() {
    let last = "{ kind = 'mask-range', from = -4, to = -1 }";
    assert_eq!(count("resident-id", last, &[]), Some(1_000));
    assert_eq!(count("resident-id", last, &[("gender", CLEAR)]), Some(500));
}

#[test]
fn hiding_month_and_day_leaves_thirty_three() {
    let days = "{ kind = 'mask-range', from = 10, to = 13 }";
    assert_eq!(count("resident-id", days, &[]), Some(33));
}

#[test]
fn a_mobile_number_with_three_and_four_kept_fits_ten_thousand() {
    let kept = "{ kind = 'keep-ends', first = 3, last = 4 }";
    assert_eq!(count("mobile", kept, &[]), Some(10_000));
}

#[test]
fn a_card_with_its_check_digit_shown_loses_a_tenth() {
    assert_eq!(count("bank-card", SIX_AND_FOUR, &[]), Some(100_000_000));
}

#[test]
fn a_fixed_number_of_fills_hides_as_much_as_is_not_shown() {
    let fixed = "{ kind = 'keep-ends', first = 3, last = 4, length = 4 }";
    assert_eq!(count("mobile", fixed, &[]), Some(10_000));
}

#[test]
fn a_coarser_birth_date_fits_the_days_of_its_unit() {
    let of = |text| match candidates(
        "birth-date",
        &spec(text),
        &DataType::Date32,
        Beside::default(),
    ) {
        Residual::Candidates(days) => Some(days),
        Residual::Hidden | Residual::Uncounted | Residual::Shapeless => None,
    };
    assert_eq!(of("{ kind = 'date-trunc', unit = 'year' }"), Some(365));
    assert_eq!(of("{ kind = 'date-trunc', unit = 'day' }"), Some(1));
    assert_eq!(
        of("{ kind = 'age-band', as_of = 2026-01-01, width = 10 }"),
        Some(3_650)
    );
}

#[test]
fn what_has_no_shape_is_not_counted_and_what_is_hidden_has_no_candidates() {
    let of = |category, text| residual(category, text, &[]);
    assert_eq!(of("free-text", SIX_AND_FOUR), Residual::Shapeless);
    for hidden in [
        "{ kind = 'hmac', domain = 'person.id' }",
        "{ kind = 'encrypt-rand', domain = 'person.id' }",
        "{ kind = 'constant', value = 'x' }",
        "{ kind = 'structured-id', of = 'resident-id', domain = 'person.id' }",
        "{ kind = 'fpe', domain = 'person.id' }",
    ] {
        assert_eq!(of("resident-id", hidden), Residual::Hidden, "{hidden}");
    }
}

#[test]
fn a_floor_is_not_passed_by_wrapping() {
    let kept = Some(3_320);
    for wrapped in [
        "{ kind = 'drop-row', when = 'id IS NULL', then = MASK }",
        "{ kind = 'sample', rate = '0.5', by = 'id', domain = 'd', then = MASK }",
        "{ kind = 'when', condition = 'a = 1', then = { kind = 'null' }, else = MASK }",
        "{ kind = 'case', arms = [{ when = 'a = 1', then = MASK }], else = { kind = 'null' } }",
        "{ kind = 'pipeline', steps = [{ kind = 'clear' }, MASK] }",
        "{ kind = 'pipeline', steps = [{ kind = 'drop-row', when = 'a = 1', then = MASK }, { kind = 'clear' }] }",
        "{ kind = 'json', paths = [{ path = '$.id', treatment = MASK }] }",
        "{ kind = 'nested', fields = { '[]' = MASK } }",
    ] {
        let text = wrapped.replace("MASK", SIX_AND_FOUR);
        assert_eq!(count("resident-id", &text, &[]), kept, "{wrapped}");
    }
    // The arm that shows most counts.
    let arms = "{ kind = 'when', condition = 'a = 1', then = { kind = 'clear' }, else = MASK }";
    let text = arms.replace("MASK", SIX_AND_FOUR);
    assert_eq!(count("resident-id", &text, &[]), Some(1));
}

#[test]
fn moved_parts_are_still_shown() {
    let swapped = r"{ kind = 'regex', pattern = '(\d{6})(\d{8})(\d{3})(.)', replacement = '$2$1' }";
    assert_eq!(count("resident-id", swapped, &[]), Some(1_000));
    let two = r"{ kind = 'regex', pattern = '(\d{6})(\d{8})(\d{3})(.)', replacement = '$3' }";
    let hidden = 3_000 * 36_525;
    assert_eq!(count("resident-id", two, &[]), Some(hidden));
}

#[test]
fn a_mask_that_checks_its_values_is_counted_as_one_that_does_not() {
    let typed = "{ kind = 'typed-mask', of = 'resident-id', keep = 'district-and-last-4' }";
    assert_eq!(count("resident-id", typed, &[]), Some(3_320));
    let province = "{ kind = 'typed-mask', of = 'resident-id' }";
    assert_eq!(
        count("resident-id", province, &[]),
        Some(100 * 36_525 * 1_000)
    );
    let card = "{ kind = 'typed-mask', of = 'bank-card', keep = 'bin-and-last-4' }";
    assert_eq!(count("bank-card", card, &[]), Some(100_000_000));
    let plate = "{ kind = 'typed-mask', of = 'plate', keep = 'region-and-last-1' }";
    assert_eq!(count("plate", plate, &[]), Some(34 * 34 * 34 * 34));
}

#[test]
fn permits_codes_and_devices_are_counted_by_what_is_hidden() {
    for (category, treatment, expected) in [
        // The birth dates of a century, one in eleven of which the check character fits.
        ("residence-permit", SIX_AND_FOUR, 3_320),
        ("permanent-residence-id", SIX_AND_FOUR, 3_320),
        (
            "residence-permit",
            "{ kind = 'keep-ends', first = 0, last = 12 }",
            // Three regions and a known check character leave less than one.
            1,
        ),
        (
            "travel-permit",
            "{ kind = 'typed-mask', of = 'permit', keep = 'letter-and-last-4' }",
            10_000,
        ),
        (
            "organisation-code",
            "{ kind = 'keep-ends', first = 4, last = 1 }",
            909,
        ),
        (
            "organisation-code",
            "{ kind = 'keep-ends', first = 8, last = 0 }",
            1,
        ),
        (
            "business-number",
            "{ kind = 'keep-ends', first = 6, last = 4 }",
            10_000,
        ),
        ("vin", "{ kind = 'mask-range', from = -6, to = -1 }", 90_909),
        (
            "imei",
            "{ kind = 'keep-ends', first = 8, last = 1 }",
            100_000,
        ),
        (
            "ip-address",
            "{ kind = 'typed-mask', of = 'ip', keep = 'three-parts' }",
            200,
        ),
        (
            "ip-address",
            "{ kind = 'typed-mask', of = 'ip' }",
            8_000_000,
        ),
        // Its check digit follows from the others.
        (
            "bank-card",
            "{ kind = 'mask-range', from = -1, to = -1 }",
            1,
        ),
        ("vin", CLEAR, 1),
    ] {
        let found = count(category, treatment, &[]);
        assert_eq!(found, Some(expected), "{category} {treatment}");
    }
}

#[test]
fn an_identifier_without_a_shape_is_not_passed_unseen() {
    for category in ["household-number", "bank-account", "property-number"] {
        let of = |text| residual(category, text, &[]);
        assert_eq!(of(SIX_AND_FOUR), Residual::Uncounted, "{category}");
        assert_eq!(of(CLEAR), Residual::Candidates(1), "{category}");
        let hmac = "{ kind = 'hmac', domain = 'd' }";
        assert_eq!(of(hmac), Residual::Hidden, "{category}");
        assert_eq!(of("{ kind = 'null' }"), Residual::Hidden, "{category}");
    }
}

#[test]
fn values_within_are_counted_by_their_own_category() {
    let nested = |rest: &str| {
        format!("{{ kind = 'nested', fields = {{ 'id' = {SIX_AND_FOUR}, 'b' = {CLEAR} }}{rest} }}")
    };
    let id = nested(", categories = { 'id' = 'resident-id' }");
    assert_eq!(count("other", &id, &[]), Some(3_320));
    let both = nested(", categories = { 'id' = 'resident-id', 'b' = 'birth-date' }");
    assert_eq!(count("other", &both, &[]), Some(1));
    let beside = [("other", both.as_str())];
    assert_eq!(
        count("social-security-number", SIX_AND_FOUR, &beside),
        Some(1)
    );
    assert_eq!(residual("other", &nested(""), &[]), Residual::Shapeless);
}

#[test]
fn the_same_number_in_another_field_gives_it_away() {
    for other in [
        "social-security-number",
        "driving-licence",
        "taxpayer-number",
        "student-number",
        "disability-number",
        "resident-id",
    ] {
        let clear = [(other, CLEAR)];
        assert_eq!(
            count("resident-id", SIX_AND_FOUR, &clear),
            Some(1),
            "{other}"
        );
    }
    // Two masks that complete each other.
    let middle = "{ kind = 'mask-range', from = 0, to = 5 }";
    let others = [("social-security-number", middle)];
    assert_eq!(count("resident-id", SIX_AND_FOUR, &others), Some(1));
    let pseudonym = [("social-security-number", "{ kind = 'hmac', domain = 'd' }")];
    assert_eq!(count("resident-id", SIX_AND_FOUR, &pseudonym), Some(3_320));
}

#[test]
fn coarser_and_kept_facets_of_a_person_are_known() {
    let beside = |category, text| count("resident-id", SIX_AND_FOUR, &[(category, text)]);
    let year = Some(33);
    for (category, text) in [
        ("birth-date", "{ kind = 'age-from', as_of = 2026-01-01 }"),
        ("birth-date", "{ kind = 'time-part', part = 'year' }"),
        ("age", "{ kind = 'top-bottom-code', upper = '90' }"),
        ("birth-year", CLEAR),
        (
            "person-name",
            "{ kind = 'fake-birth-date', domain = 'd', by = 'id', keep = ['birth-year'] }",
        ),
    ] {
        assert_eq!(beside(category, text), year, "{category} {text}");
    }
    assert_eq!(beside("age", "{ kind = 'bucket', width = '5' }"), Some(165));
    let noise = "{ kind = 'noise-num', domain = 'd', distribution = 'laplace', scale = '1' }";
    assert_eq!(beside("age", noise), year);
    let facet = "{ kind = 'fake-birth-date', domain = 'd', by = 'id' }";
    assert_eq!(beside("birth-date", facet), Some(3_320));
    assert_eq!(
        beside("birth-date", "{ kind = 'top-bottom-code', upper = '1990' }"),
        Some(1)
    );
    let hidden_division = "{ kind = 'keep-ends', first = 0, last = 12 }";
    let beside = |text| count("resident-id", hidden_division, &[("division-code", text)]);
    assert_eq!(
        beside("{ kind = 'admin-level', level = 'province' }"),
        Some(9)
    );
    assert_eq!(
        beside("{ kind = 'admin-level', level = 'district' }"),
        Some(1)
    );
    let last = "{ kind = 'mask-range', from = -4, to = -1 }";
    let sexes = [(
        "person-name",
        "{ kind = 'fake-name', domain = 'd', by = 'id', keep = ['sex'], sex = 'g' }",
    )];
    assert_eq!(count("resident-id", last, &sexes), Some(500));
}

#[test]
fn the_narrowest_band_of_ages_counts() {
    let of = |text: &str| {
        let text = format!("{{ kind = 'age-band', as_of = 2026-01-01, {text} }}");
        candidates(
            "birth-date",
            &spec(&text),
            &DataType::Date32,
            Beside::default(),
        )
    };
    assert_eq!(of("edges = [1, 60]"), Residual::Candidates(365));
    assert_eq!(of("width = 10, cap = 91"), Residual::Candidates(365));
    assert_eq!(of("edges = [18, 30, 60]"), Residual::Candidates(12 * 365));
}

#[test]
fn parts_of_a_birth_date_from_several_fields_are_put_together() {
    let parts = "{ kind = 'time-part', keep = ['month', 'day'] }";
    let (year, month_and_day) = (("birth-year", CLEAR), ("birth-date", parts));
    assert_eq!(count("birth-date", parts, &[]), Some(100));
    assert_eq!(count("birth-date", parts, &[year]), Some(1));
    let beside = |others: &[(&str, &str)]| count("resident-id", SIX_AND_FOUR, others);
    assert_eq!(beside(&[month_and_day]), Some(9));
    assert_eq!(beside(&[year, month_and_day]), Some(1));
    // With what the number itself shows, too.
    let first_ten = "{ kind = 'keep-ends', first = 10, last = 0 }";
    let beside = |others: &[(&str, &str)]| count("resident-id", first_ten, others);
    assert_eq!(beside(&[]), Some(365 * 1_000));
    assert_eq!(beside(&[month_and_day]), Some(1_000));
}

#[test]
fn what_is_known_twice_of_a_birth_date_counts_once() {
    let part = |part: &str| format!("{{ kind = 'time-part', part = '{part}' }}");
    let unit = |unit: &str| format!("{{ kind = 'date-trunc', unit = '{unit}' }}");
    let (month, week, weekday) = (part("month"), part("week"), part("weekday"));
    let (whole_week, whole_month, quarter) = (unit("week"), unit("month"), unit("quarter"));
    let year = unit("year");
    let of =
        |text: &str, category: &str, other: &str| count("birth-date", text, &[(category, other)]);
    // Of months February counts, and of quarters the first.
    assert_eq!(of(&month, "birth-date", &month), Some(2_825));
    assert_eq!(of(&month, "birth-date", &quarter), Some(28));
    assert_eq!(of(&quarter, "birth-date", &whole_month), Some(28));
    assert_eq!(of(&quarter, "birth-date", &year), Some(90));
    assert_eq!(of(&week, "birth-year", CLEAR), Some(7));
    assert_eq!(of(&whole_week, "birth-year", CLEAR), Some(7));
    assert_eq!(of(&whole_week, "birth-date", &weekday), Some(1));
}

#[test]
fn an_age_is_a_stretch_of_days_among_which_other_parts_are_looked_for() {
    let age = |day: &str| format!("{{ kind = 'age-from', as_of = {day} }}");
    let (of_july, of_january, of_december) =
        (age("2026-07-01"), age("2026-01-01"), age("2025-12-31"));
    let of =
        |text: &str, category: &str, other: &str| count("birth-date", text, &[(category, other)]);
    let day = "{ kind = 'time-part', keep = ['month', 'day'] }";
    assert_eq!(of(day, "age", CLEAR), Some(1));
    assert_eq!(of(day, "birth-date", &of_january), Some(1));
    assert_eq!(of(day, "age", "{ kind = 'bucket', width = '5' }"), Some(5));
    // Taken at the end of a year, an age tells what the year tells; taken amid it, another half.
    assert_eq!(of(&of_december, "birth-year", CLEAR), Some(365));
    assert_eq!(of(&of_july, "birth-year", CLEAR), Some(182));
    assert_eq!(of(&of_january, "birth-date", &of_july), Some(181));
    let shift = "{ kind = 'date-shift', domain = 'd', by = 'id', min_days = -3, max_days = 3 }";
    assert_eq!(of(day, "birth-date", shift), Some(1));
}

#[test]
fn a_birth_date_is_known_from_the_resident_number_beside_it() {
    let of =
        |text: &str, category: &str, number: &str| count("birth-date", text, &[(category, number)]);
    let year = "{ kind = 'date-trunc', unit = 'year' }";
    let last_four_hidden = "{ kind = 'mask-range', from = -4, to = -1 }";
    for category in ["resident-id", "taxpayer-number"] {
        assert_eq!(of(year, category, last_four_hidden), Some(1), "{category}");
        assert_eq!(of(year, category, CLEAR), Some(1), "{category}");
        assert_eq!(of(year, category, SIX_AND_FOUR), Some(365), "{category}");
        let hmac = "{ kind = 'hmac', domain = 'd' }";
        assert_eq!(of(year, category, hmac), Some(365), "{category}");
    }
    assert_eq!(of(year, "mobile", CLEAR), Some(365));
    // The number stands at another place in others that hold it.
    let month = "{ kind = 'time-part', part = 'month' }";
    for (category, first, dates) in [
        ("resident-id", 10, 28),
        ("disability-number", 10, 28),
        ("student-number", 11, 28),
        ("student-number", 10, 282),
    ] {
        let first = format!("{{ kind = 'keep-ends', first = {first}, last = 0 }}");
        assert_eq!(
            of(month, category, &first),
            Some(dates),
            "{category} {first}"
        );
    }
    let hidden = "{ kind = 'hmac', domain = 'd' }";
    let beside = [("resident-id", CLEAR)];
    assert_eq!(residual("birth-date", hidden, &beside), Residual::Hidden);
}

#[test]
fn divisions_that_rows_are_restricted_to_are_known() {
    let of = |text: &str, divisions: &str| {
        let divisions: Vec<String> = divisions.split(' ').map(str::to_owned).collect();
        let beside = Beside {
            divisions: &divisions,
            ..Beside::default()
        };
        candidates("resident-id", &spec(text), &DataType::Utf8, beside)
    };
    // All but the region and the check digit shows.
    let region_hidden =
        r"{ kind = 'regex', pattern = '(\d{6})(\d{8})(\d{3})(.)', replacement = '$2$3' }";
    assert_eq!(count("resident-id", region_hidden, &[]), Some(3_000));
    for (divisions, regions) in [
        ("33", 100),
        ("34 33", 200),
        ("3301 34", 110),
        ("330102 330203 3401", 12),
        // One within another, and parts of one county, count once.
        ("3301 33", 100),
        ("330102001001 330102002001", 1),
    ] {
        let expected = Residual::Candidates(regions);
        assert_eq!(of(region_hidden, divisions), expected, "{divisions}");
    }
    // Of divisions that the first digits tell apart, the fewest regions count.
    let province_shown = "{ kind = 'keep-ends', first = 2, last = 0 }";
    for (divisions, regions) in [("33 34", 100), ("3301 3302", 20), ("3301 3302 3401", 10)] {
        let expected = Residual::Candidates(regions * 36_525 * 1_000);
        assert_eq!(of(province_shown, divisions), expected, "{divisions}");
    }
}

#[test]
fn what_is_delivered_as_it_is_has_one_candidate() {
    assert_eq!(count("resident-id", CLEAR, &[]), Some(1));
    assert_eq!(count("mobile", CLEAR, &[]), Some(1));
    let backwards = "{ kind = 'map', entries = { '1' = 'a', '2' = 'b' } }";
    assert_eq!(count("mobile", backwards, &[]), Some(1));
    let birth = candidates(
        "birth-date",
        &spec(CLEAR),
        &DataType::Date32,
        Beside::default(),
    );
    assert_eq!(birth, Residual::Candidates(1));
}

#[test]
fn numbers_that_hold_a_resident_number_are_counted_as_one() {
    for category in [
        "taxpayer-number",
        "social-security-number",
        "driving-licence",
    ] {
        assert_eq!(
            count(category, SIX_AND_FOUR, &[]),
            Some(3_320),
            "{category}"
        );
    }
    let grade = "{ kind = 'keep-ends', first = 6, last = 6 }";
    assert_eq!(count("disability-number", grade, &[]), Some(3_320));
    let letter = "{ kind = 'keep-ends', first = 7, last = 4 }";
    assert_eq!(count("student-number", letter, &[]), Some(3_320));
    let hidden = "{ kind = 'mask-range', from = 0, to = 0 }";
    assert_eq!(count("student-number", hidden, &[]), Some(3));
}

#[test]
fn what_a_keyed_treatment_keeps_is_shown() {
    let keeps = |keep: &str| {
        let text = format!(
            "{{ kind = 'structured-id', of = 'resident-id', domain = 'd', keep = {keep} }}"
        );
        count("resident-id", &text, &[])
    };
    assert_eq!(keeps("['region6', 'sex']"), Some(36_525 * 500));
    let year = keeps("['region2', 'birth-year']");
    // Beijing, where the example is from, is a city of its own, so that its code stays too.
    assert_eq!(year, Some(10 * 365 * 1_000));
}

#[test]
fn a_value_that_has_a_shape_and_cannot_be_counted_is_told_apart() {
    let rounded = candidates(
        "mobile",
        &spec("{ kind = 'round', to = '1000' }"),
        &DataType::Int64,
        Beside::default(),
    );
    assert_eq!(rounded, Residual::Uncounted);
    let wrong = "{ kind = 'typed-mask', of = 'mobile' }";
    assert_eq!(residual("bank-card", wrong, &[]), Residual::Uncounted);
    let noisy = "{ kind = 'noise-num', domain = 'd', distribution = 'laplace', scale = '1' }";
    let birth = candidates(
        "birth-date",
        &spec(noisy),
        &DataType::Date32,
        Beside::default(),
    );
    assert_eq!(birth, Residual::Uncounted);
}
