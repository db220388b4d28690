//! Hostile input, from files and from arguments: whatever arrives, the program ends in the right
//! exit code, says what, where and what to do, shows no value of the data, and never panics.

mod arguments;
mod csv;
mod documents;
mod exchange;
mod keys;
mod ledger;
mod parquet;
mod sealed;
mod toml;

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

/// How often memory is looked at. What a run holds for the last time in between isn't seen: every 5 milliseconds
/// was too seldom for the shortest.
const WATCHED_EVERY: Duration = Duration::from_micros(300);

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
        thread::sleep(WATCHED_EVERY);
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

/// How much longer than usual to search: 1, or what `LOCKGATE_FUZZ` says.
fn rounds() -> usize {
    let asked = std::env::var_os("LOCKGATE_FUZZ");
    asked
        .and_then(|asked| asked.to_str()?.parse().ok())
        .unwrap_or(1)
}

/// Numbers that look random and are the same every time (xorshift64*).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("a small number");
        usize::try_from(self.next() % end).expect("a small number")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    /// The bytes with something wrong: one to three times a byte or bit changed, a piece lost,
    /// doubled or moved, or something put in that means something in many formats.
    fn mutate(&mut self, whole: &[u8]) -> Vec<u8> {
        const MEANINGFUL: [&[u8]; 12] = [
            b"\"",
            b"'",
            b"[",
            b"]",
            b"{",
            b"}",
            b"\n",
            b"=",
            b"\0",
            b"\xff",
            b"\\",
            b"-9223372036854775809",
        ];
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let end = (at + self.below(40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] = self.byte(),
                1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.drain(at..end)),
                3 => drop(bytes.splice(at..at, piece)),
                4 => {
                    drop(bytes.drain(at..end));
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => {
                    let put = MEANINGFUL[self.below(MEANINGFUL.len())];
                    bytes.splice(at..at, put.iter().copied());
                }
            }
        }
        bytes
    }
}
