//! How long a trace takes: the whole command, from a leaked file to the verdicts, among as many grants
//! as are asked for.

use std::path::Path;
use std::time::Instant;

use super::draw::Draw;
use super::sheet::{Form, Sheet};
use super::tables::Table;
use super::world::{Size, World, grant_id};

/// What a trace took.
#[derive(Debug)]
pub struct Speed {
    /// Carriers that were read.
    pub carriers: u64,
    /// Grants that the leak was held against.
    pub grants: u64,
    /// Seconds of the whole process.
    pub seconds: f64,
    /// Whether as many carriers were read as were asked for, the leaker was accused, and nobody else.
    pub is_right: bool,
}

/// Traces a leak of so many carriers among so many grants, all of whose codewords are random.
///
/// # Panics
/// The site can't be made, or the trace fails.
#[must_use]
pub fn measured(program: &Path, carriers: usize, grants: usize) -> Speed {
    // A row of the register has two, half of its four fields' cells. A tenth more, since of those that are
    // found by their own value some stand in one place, and count once.
    let size = Size {
        rows: carriers * 11 / 20,
        issued: grants,
        delivered: 1,
        codewords: 0,
    };
    let world = World::build(program, Table::Register, &size);
    let mut draw = Draw::of(&["speed"]);
    let mut rows: Vec<usize> = (0..world.size.rows).collect();
    draw.shuffle(&mut rows);
    let leak = world.with_delivery(0, |delivery| Sheet::of(delivery, &rows));
    let path = world.leak(&leak, Form::Csv);
    let path = path.to_str().expect("a path of text");
    let started = Instant::now();
    let traced = world
        .site
        .json(["trace", path, "--dataset", Table::Register.name()]);
    let seconds = started.elapsed().as_secs_f64();
    let traced = traced.expecting(0).document();
    let verdicts = traced["verdicts"].as_array().expect("verdicts");
    let accused = verdicts.iter().filter(|of| of["verdict"] == "accused");
    let leaker = serde_json::json!(grant_id(0));
    let is_named = accused.map(|of| &of["grant"]).eq([&leaker]);
    let read = traced["carriers"].as_u64().expect("a count");
    Speed {
        carriers: read,
        grants: traced["candidates"].as_u64().expect("a count"),
        seconds,
        is_right: is_named && read >= carriers as u64,
    }
}
