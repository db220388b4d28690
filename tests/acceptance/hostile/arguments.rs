//! Arguments and surroundings that nobody would choose.

use std::fs::File;
use std::process::{Command, Stdio};

use lockgate_acceptance::site::{Site, finish};

use crate::PROGRAM;

/// A fault says where it is and nothing of what it met. The harness catches panics itself, so the
/// fault happens in another process: this test program, asked for the next test.
#[test]
fn a_fault_says_where_and_shows_nothing() {
    let this = std::env::current_exe().expect("this program");
    let fault = finish(
        Command::new(this)
            .args([
                "--exact",
                "hostile::arguments::a_faulty_program",
                "--nocapture",
                "--ignored",
            ])
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let shown = format!("{}{}", fault.stdout, fault.stderr);
    assert_eq!(fault.code, 1, "{fault:?}");
    let line = "internal fault at tests/acceptance/hostile/arguments.rs:";
    assert!(
        shown.contains(line) && shown.contains("; please report it"),
        "{fault:?}"
    );
    for trace in ["440106199001011234", "panicked", "backtrace"] {
        assert!(!shown.contains(trace), "{trace}: {fault:?}");
    }
}

#[test]
#[ignore = "started by a_fault_says_where_and_shows_nothing"]
fn a_faulty_program() {
    lockgate::fault::hush();
    let fault = lockgate::fault::contain(|| {
        let identity = std::hint::black_box("440106199001011234");
        assert!(identity.is_empty(), "{identity} is not empty");
    });
    let fault = fault.expect_err("a fault");
    eprintln!("{fault}");
    std::process::exit(fault.exit_code().into());
}

#[test]
fn output_that_nobody_takes_is_no_fault() {
    let site = Site::new(PROGRAM);
    let long = ["--site", "site", "completions", "bash"];
    let mut closed = site.command();
    closed.args(long);
    let mut child = closed.spawn().expect("the program under test starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("an end").code(), Some(0));

    let full = || {
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("a full device")
    };
    let lost = finish(site.command().args(long).stdout(full()));
    assert_eq!(lost.code, 1, "{lost:?}");
    assert!(lost.stderr.contains("could not be written"), "{lost:?}");
    let mute = finish(
        site.command()
            .args(["--site", "nowhere", "check"])
            .stderr(full()),
    );
    assert_eq!(mute.code, 2, "{mute:?}");
    let mute = finish(site.command().arg("what").stderr(full()));
    assert_eq!(mute.code, 2, "{mute:?}");
}
