//! The same program as `lockgate`, built by this package so that its tests can start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockgate::command::main()
}
