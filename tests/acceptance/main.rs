//! The acceptance tests: the program as it is shipped, started in processes of its own over sites
//! in temporary directories.

/// The program under test.
#[cfg(test)]
const PROGRAM: &str = env!("CARGO_BIN_EXE_lockgate-under-test");

#[cfg(test)]
mod afterwards;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod broken_stores;
#[cfg(test)]
mod cell;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod determinism;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod exchange_site;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod grant_life;
#[cfg(test)]
mod halt;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod ledger_proofs;
#[cfg(test)]
mod marks;
#[cfg(test)]
mod no_leak;
#[cfg(test)]
mod open;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod people;
#[cfg(test)]
mod pseudonym;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod retained;
#[cfg(test)]
mod sealing;
#[cfg(test)]
mod sealing_python;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trace;
