//! The attack suite as a command. Called otherwise than by `run`, `report` or `speed`, it is the
//! program `lockgate` itself, so that what is attacked is the very code it was built with.

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lockgate_acceptance::attack::report;
use lockgate_acceptance::attack::speed;
use lockgate_acceptance::attack::suite::{self, Plan};
use lockgate_acceptance::attack::tables::Table;
use lockgate_acceptance::attack::world::Size;

/// Attacks deliveries and traces them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs what the directory's results don't hold yet; exit code 1 if anybody innocent is accused, or
    /// the suite itself gives up anywhere.
    Run {
        /// Directory of the results.
        #[arg(long)]
        dir: PathBuf,
        /// Seeds of each case and table.
        #[arg(long, default_value_t = suite::SEEDS)]
        seeds: u32,
        /// Cases such as A1,A7; all if absent.
        #[arg(long, value_delimiter = ',')]
        cases: Vec<String>,
        /// Tables; all if absent.
        #[arg(long, value_delimiter = ',', value_parser = table)]
        tables: Vec<Table>,
        /// Rows of each table. From a million on, only the cases meant for it are run.
        #[arg(long, default_value_t = suite::SIZES[0])]
        rows: usize,
        /// Grants issued.
        #[arg(long, default_value_t = suite::GRANTS)]
        grants: usize,
        /// Codewords that F1 scores against each leak.
        #[arg(long, default_value_t = suite::CODEWORDS)]
        codewords: usize,
        /// Seconds after which no other leak is begun.
        #[arg(long)]
        budget: Option<u64>,
        /// Leaks that are made and traced at a time; as many as there are cores if absent.
        #[arg(long)]
        threads: Option<NonZero<usize>>,
    },
    /// Times a trace, from the leaked file to the verdicts; exit code 1 if it takes longer than it may,
    /// reads fewer carriers than asked for, or doesn't accuse the leaker alone. To be built with --release.
    Speed {
        /// Carriers that the leak has at least.
        #[arg(long, default_value_t = 100_000)]
        carriers: usize,
        /// Grants issued.
        #[arg(long, default_value_t = 10_000)]
        grants: usize,
        /// Seconds that it may take.
        #[arg(long, default_value_t = 10.0)]
        most: f64,
    },
    /// Prints the measured table, or writes it.
    Report {
        /// Directory of the results.
        #[arg(long)]
        dir: PathBuf,
        /// File to write.
        #[arg(long)]
        docs: Option<PathBuf>,
    },
}

fn table(name: &str) -> Result<Table, String> {
    let found = Table::ALL.into_iter().find(|table| table.name() == name);
    found.ok_or_else(|| {
        let names = Table::ALL.map(Table::name);
        format!("the tables are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    if !matches!(
        first.as_str(),
        "run" | "report" | "speed" | "--help" | "help" | ""
    ) {
        return lockgate::command::main();
    }
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, std::io::Error> {
    match command {
        Command::Run {
            dir,
            seeds,
            cases,
            tables,
            rows,
            grants,
            codewords,
            budget,
            threads,
        } => {
            // Fewer where each takes a hundred megabytes.
            let delivered = if rows > 100_000 { 6 } else { 12 };
            let plan = Plan {
                program: std::env::current_exe()?,
                seeds,
                cases,
                tables,
                size: Size {
                    rows,
                    issued: grants,
                    delivered,
                    codewords,
                },
                is_brief: false,
                budget: budget.map(Duration::from_secs),
                threads: match threads {
                    Some(threads) => threads.get(),
                    None => thread::available_parallelism()?.get(),
                },
            };
            let ended = suite::run(&plan, &dir)?;
            let over = if ended.is_over {
                "; the time was up"
            } else {
                ""
            };
            println!(
                "{} leaks and checks done, {} innocents accused, {} failed{over}",
                ended.done, ended.innocent, ended.failed
            );
            let all = suite::results(&dir)?;
            let is_bad = report::is_anyone_innocent_accused(&all) || report::has_failed(&all);
            Ok(ExitCode::from(u8::from(is_bad)))
        }
        Command::Speed {
            carriers,
            grants,
            most,
        } => {
            let speed = speed::measured(&std::env::current_exe()?, carriers, grants);
            println!(
                "{} carriers against {} grants in {:.2} s, at most {most} s; {}",
                speed.carriers,
                speed.grants,
                speed.seconds,
                match speed.is_right {
                    true => "the leaker accused, and nobody else",
                    false =>
                        "WRONG: not the leaker alone is accused, or fewer carriers were read than asked",
                }
            );
            let is_met = speed.seconds <= most && speed.is_right;
            Ok(ExitCode::from(u8::from(!is_met)))
        }
        Command::Report { dir, docs } => {
            let page = report::page(&suite::results(&dir)?, &suite::stretches(&dir)?);
            match docs {
                Some(path) => fs::write(path, page)?,
                None => print!("{page}"),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
