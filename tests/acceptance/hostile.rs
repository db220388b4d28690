//! Hostile input, from files and from arguments: whatever arrives, the program ends in the right
//! exit code, says what, where and what to do, shows no value of the data, and never panics.

mod arguments;

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lockgate_acceptance::site::Finished;

/// Longest that a command may take over a hostile file of a few kilobytes, with room for a machine
/// that does other things besides.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Starts a command and waits for its end, but not for ever. Whatever it was handed, it must not
/// have died of it.
#[track_caller]
fn survives(command: &mut Command) -> Finished {
    let (finished, _) = watched(command);
    finished
}

/// As [`survives`], and gives the most memory that the command held, in bytes.
#[track_caller]
fn watched(command: &mut Command) -> (Finished, u64) {
    let mut child = command.spawn().expect("the program under test starts");
    let stdout = drain(child.stdout.take().expect("a piped output"));
    let stderr = drain(child.stderr.take().expect("a piped output"));
    let began = Instant::now();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(resident(child.id()));
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if began.elapsed() > TIME_MAX {
            child.kill().expect("a child to stop");
            panic!("{command:?} hangs");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |output: JoinHandle<Vec<u8>>| {
        let bytes = output.join().expect("a reader");
        String::from_utf8(bytes).expect("output in UTF-8")
    };
    let finished = Finished {
        code: status.code().unwrap_or(-1),
        stdout: text(stdout),
        stderr: text(stderr),
    };
    assert!(
        (0..=5).contains(&finished.code),
        "{command:?}\n{finished:?}"
    );
    for trace in ["panicked", "RUST_BACKTRACE", "internal fault", "overflow"] {
        assert!(
            !finished.stderr.contains(trace),
            "{command:?}\n{finished:?}"
        );
        assert!(
            !finished.stdout.contains(trace),
            "{command:?}\n{finished:?}"
        );
    }
    (finished, peak)
}

fn drain(mut output: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).expect("a readable output");
        bytes
    })
}

/// The most memory that a process has held so far.
fn resident(process: u32) -> u64 {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    let status = status.unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
