//! The memory of a run, which holds keys and originals: no core of it is written, whatever ends it, and
//! nobody but root reads it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use lockgate_acceptance::s3::{Hold, Operation, Server};
use rustix::process::{Signal, geteuid};

use crate::exchange_site::{ALLOWING_CORES, ExchangeSite, Running, server};

/// A run in the middle of its source, with originals in memory and its keys derived.
fn held(site: &ExchangeSite, server: &Server) -> (Running, Hold) {
    let hold = server.faults().hold(Operation::Get, 8);
    let mut run = site.start_run_allowed_cores();
    assert!(run.reaches(|| hold.holds_one()));
    (run, hold)
}

/// The soft and the hard limit of a core's size.
fn core_limits(proc: &Path) -> [String; 2] {
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let name = "Max core file size";
    let line = limits.lines().find_map(|line| line.strip_prefix(name));
    let mut values = line.unwrap().split_whitespace().map(str::to_owned);
    [values.next().unwrap(), values.next().unwrap()]
}

/// Whether another program that is started as these runs are may leave a core. Where it may not, runs that
/// leave none show nothing.
fn others_may_leave_cores() -> bool {
    let mut shell = Command::new("sh");
    let script = format!("{ALLOWING_CORES} && ulimit -S -c");
    shell.args(["-c", script.as_str()]);
    let told = shell.output().unwrap();
    assert!(told.status.success(), "{told:?}");
    String::from_utf8(told.stdout).unwrap().trim() != "0"
}

#[test]
fn no_core_of_a_run_is_written_whatever_ends_it() {
    if !others_may_leave_cores() {
        println!("skipped: no program may leave a core here (`ulimit -H -c` is 0)");
        return;
    }
    // Not SEGV: the standard library catches it to tell of overflowing stacks, and goes on where one is sent.
    // Not QUIT: what a shell starts in the background may have been told to ignore it.
    for signal in [Signal::ABORT, Signal::TRAP, Signal::SYS] {
        let server = server();
        let site = ExchangeSite::new(Some(&server), None);
        let (run, hold) = held(&site, &server);
        // The hard one too: nobody raises it again.
        assert_eq!(core_limits(&run.proc()), ["0", "0"]);
        let ended = run.ended_by(signal);
        assert_eq!(ended.signal(), Some(signal.as_raw()), "{ended:?}");
        assert!(!ended.core_dumped(), "{ended:?}");
        drop(hold);
    }
}

/// The system gives the files of a process that may not be dumped to root.
#[test]
fn the_memory_of_a_run_is_not_for_its_own_user_to_read() {
    if geteuid().is_root() {
        println!("skipped: root owns its files anyway, and reads the memory of every process");
        return;
    }
    let server = server();
    let site = ExchangeSite::new(Some(&server), None);
    let (run, hold) = held(&site, &server);
    for name in ["environ", "mem", "maps"] {
        let path = run.proc().join(name);
        assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{name}");
        let refused = fs::File::open(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{name}");
    }
    run.kill();
    drop(hold);
}
