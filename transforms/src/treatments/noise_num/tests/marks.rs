//! Noise of which a mark chooses: a second draw, and results that are distributed as the first.

use super::*;

/// The table with a mark's choice.
fn marked(distribution: &str, scale: &str) -> Value {
    let mut table = table(distribution, scale);
    table["mark"] = json!(true);
    table
}

/// What marks that are as likely 0 as 1 deliver of whole numbers, and what is delivered without.
fn chosen(table: Value, values: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let array = Int64Array::from(values.to_vec());
    let treated = treat::<NoiseNum>(table, &Options::default(), array, &[]);
    let choice = treated.choice.unwrap();
    let first = treated.array.as_primitive::<Int64Type>().values().to_vec();
    let other = choice.other.as_primitive::<Int64Type>();
    let rows = first.iter().zip(&choice.shows).enumerate();
    let chosen = rows.map(|(row, (first, shows))| {
        let symbol = (row * 2_654_435_761) >> 13 & 1 == 1;
        match shows.is_some_and(|shows| shows != symbol) {
            true => other.value(row),
            false => *first,
        }
    });
    (chosen.collect(), first)
}

#[test]
fn without_a_mark_the_first_draw_is_delivered() {
    for distribution in DISTRIBUTIONS {
        let whole: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(-250..250));
        let floats = Float64Array::from_iter_values((0..500).map(|row| f64::from(row) * 1.1));
        let single = Float32Array::from_iter_values((0_i16..500).map(f32::from));
        let columns: [ArrayRef; 3] = [
            whole,
            std::sync::Arc::new(floats),
            std::sync::Arc::new(single),
        ];
        for column in columns {
            let treated = |table: Value| {
                treat::<NoiseNum>(
                    by(table),
                    &Options::default(),
                    std::sync::Arc::clone(&column),
                    &[],
                )
            };
            let plain = treated(table(distribution, "1000"));
            assert!(plain.choice.is_none());
            let with = treated(marked(distribution, "1000"));
            assert_eq!(&plain.array, &with.array);
            let choice = with.choice.unwrap();
            assert_eq!(choice.other.data_type(), column.data_type());
            assert_eq!((choice.other.len(), choice.shows.len()), (500, 500));
            assert!(choice.shows.null_count() < 5, "{distribution}");
        }
    }
}

#[test]
fn a_second_draw_shows_the_other_symbol_and_nulls_have_none() {
    for distribution in DISTRIBUTIONS {
        let noise: NoiseNum = written(marked(distribution, "1000"));
        let room = noise.room(&DataType::Int64).unwrap();
        let values = (0..300).map(|row| (row % 7 != 2).then_some(row * 31));
        let treated = treat::<NoiseNum>(
            marked(distribution, "1000"),
            &Options {
                sentinels: vec![Scalar::Integer(0)],
                ..Options::default()
            },
            Int64Array::from_iter(values),
            &[],
        );
        let choice = treated.choice.unwrap();
        assert_eq!(choice.other.nulls(), choice.shows.nulls());
        let first = treated.array.as_primitive::<Int64Type>();
        let other = choice.other.as_primitive::<Int64Type>();
        for (row, (first, shows)) in first.iter().zip(&choice.shows).enumerate() {
            let Some(shows) = shows else { continue };
            assert_eq!(room.symbol(first.unwrap().into()), shows);
            assert_eq!(room.symbol(other.value(row).into()), !shows);
        }
        // Neither a null nor a value that is kept.
        assert!(choice.shows.is_null(2) && choice.shows.is_null(0));
    }
}

#[test]
fn draws_chosen_by_fair_symbols_are_distributed_as_the_noise() {
    let values: Vec<i64> = (0..40_000).map(|row| row * 17).collect();
    for (distribution, square) in [("uniform", 1.0 / 3.0), ("laplace", 2.0), ("gaussian", 1.0)] {
        let (chosen, first) = chosen(marked(distribution, "1000"), &values);
        let changed = chosen.iter().zip(&first).filter(|(one, two)| one != two);
        assert!(changed.count().abs_diff(20_000) < 600, "{distribution}");
        let noise = |results: &[i64]| -> Vec<f64> {
            let moves = results.iter().zip(&values);
            let share = |by: i64| f64::from(i32::try_from(by).unwrap()) / 1000.0;
            moves.map(|(result, value)| share(result - value)).collect()
        };
        let noise = [noise(&chosen), noise(&first)];
        let mean = |map: &dyn Fn(f64) -> f64| noise[0].iter().map(|by| map(*by)).sum::<f64>() / 4e4;
        assert!(mean(&|by| by).abs() < 0.03, "{distribution}");
        let found = mean(&|by| by * by);
        assert!((found - square).abs() < 0.12, "{distribution} {found}");
        // In bins as long as a cell, where a likelier symbol would show.
        let bins = |noise: &[f64]| {
            let mut bins = [0.0_f64; 18];
            for by in noise {
                let at = ((by * 4.0).floor() + 9.0).clamp(0.0, 17.0);
                let at = (0..18).find(|bin| f64::from(*bin) >= at).unwrap();
                bins[usize::try_from(at).unwrap()] += 1.0;
            }
            bins
        };
        let (one, two) = (bins(&noise[0]), bins(&noise[1]));
        let pairs = one
            .iter()
            .zip(&two)
            .filter(|(one, two)| **one + **two > 0.0);
        let square: f64 = pairs
            .map(|(one, two)| (one - two) * (one - two) / (one + two))
            .sum();
        assert!(square < 45.0, "{distribution} {square}");
    }
}

/// Were the parity that of what is delivered, results would keep away from the bound.
#[test]
fn as_many_results_end_at_a_bound_as_without_a_mark() {
    let values: Vec<i64> = (0..40_000).map(|row| row % 200).collect();
    for distribution in DISTRIBUTIONS {
        // One entity a row, so that equal values have different noise.
        let mut table = by(marked(distribution, "1000"));
        table["clamp"] = json!({ "min": "0", "max": "150" });
        let who: Vec<String> = (0..values.len()).map(|row| row.to_string()).collect();
        let who: Vec<Option<&str>> = who.iter().map(|who| Some(who.as_str())).collect();
        let array = Int64Array::from(values.clone());
        let treated = treat::<NoiseNum>(table, &Options::default(), array, &who);
        let choice = treated.choice.unwrap();
        let first = treated.array.as_primitive::<Int64Type>();
        let other = choice.other.as_primitive::<Int64Type>();
        let (mut before, mut after) = (0_usize, 0_usize);
        for (row, shows) in choice.shows.iter().enumerate() {
            let first = first.value(row);
            let symbol = (row * 2_654_435_761) >> 13 & 1 == 1;
            let is_other = shows.is_some_and(|shows| shows != symbol);
            let taken = if is_other { other.value(row) } else { first };
            assert!((0..=150).contains(&taken));
            before += usize::from(first == 0);
            after += usize::from(taken == 0);
        }
        assert!(
            before.abs_diff(after) < 500,
            "{distribution} {before} {after}"
        );
    }
}

#[test]
fn cells_are_a_share_of_the_scale_and_of_whole_steps() {
    let decimal_type = DataType::Decimal128(12, 2);
    for (table, data_type, step, decimals) in [
        (json!({ "scale": "1000" }), &DataType::Int64, 250, None),
        (json!({ "scale": "10.05" }), &decimal_type, 201, None),
        (
            json!({ "scale": "1000", "round": "100" }),
            &DataType::Int64,
            200,
            None,
        ),
        (json!({ "scale": "1" }), &DataType::Float64, 250, Some(3)),
        (
            json!({ "scale": "1", "round": "0.125" }),
            &DataType::Float64,
            250,
            Some(3),
        ),
        (
            json!({ "scale": "100000" }),
            &DataType::Float32,
            25_000,
            Some(0),
        ),
    ] {
        let mut whole = json!({ "domain": "d", "distribution": "laplace", "mark": true });
        for (name, value) in table.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let noise: NoiseNum = written(whole);
        let room = noise.room(data_type).unwrap();
        assert_eq!((room.step, room.decimals), (step, decimals), "{table}");
        let Some(Freedom::Noise(lent)) = noise.freedom(data_type) else {
            panic!("{table}");
        };
        assert_eq!((lent, noise.lends()), (room, Some("mark")));
    }
    let plain: NoiseNum = written(table("laplace", "1000"));
    assert_eq!(
        (plain.freedom(&DataType::Int64), plain.lends()),
        (None, None)
    );
}

#[test]
fn a_mark_without_a_choice_is_refused() {
    for (change, what) in [
        (json!({ "scale": "15" }), "`scale` is less than 16"),
        (
            json!({ "scale": "100", "round": "26" }),
            "four times `round`",
        ),
        (
            json!({ "scale": "100", "join": "j" }),
            "stands beside `join`",
        ),
        (json!({ "ratio": "0.1" }), "stands beside `ratio`"),
    ] {
        let mut table = json!({ "domain": "d", "distribution": "laplace", "mark": true });
        for (name, value) in change.as_object().unwrap() {
            table[name] = value.clone();
        }
        let refused = misfit::<NoiseNum>(table, &DataType::Int64);
        assert_eq!(refused.parameter, Some("mark"), "{change}");
        assert!(refused.what.contains(what), "{change}: {}", refused.what);
        assert!(refused.hint.is_some());
    }
}

#[test]
fn a_floors_mark_can_be_neither_left_out_nor_put_in() {
    let floor: NoiseNum = written(marked("laplace", "100"));
    let plain: NoiseNum = written(table("laplace", "100"));
    assert!(floor.at_least(&floor) && plain.at_least(&plain));
    assert!(!floor.at_least(&plain) && !plain.at_least(&floor));
}

#[test]
fn a_mark_within_another_treatment_is_refused() {
    let inner = "{ kind = 'noise-num', domain = 'd', distribution = 'laplace', scale = '100', mark = true }";
    let text =
        format!("{{ kind = 'pipeline', steps = [{{ kind = 'round', to = '10' }}, {inner}] }}");
    let spec: crate::TreatmentSpec = crate::testing::spec(&text);
    let column = Column::alone("x", &DataType::Int64, "x");
    let refused = spec.output_type(column).unwrap_err();
    assert_eq!(refused.parameter, Some("mark"));
    assert!(refused.what.contains("within another"), "{}", refused.what);
}
