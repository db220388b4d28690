//! The commands, one file each: they call the library and say what happened.

mod check;
mod demo;
mod dispose;
mod files;
mod grant;
mod halt;
mod init;
mod keys;
mod ledger;
mod open;
mod output;
mod plan;
mod plan_diff;
mod preview;
mod progress;
mod receipt;
mod release;
mod replay;
mod reveal;
mod run;
mod tokens;
mod trace;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio_util::sync::CancellationToken;

use crate::allocator::bound_arenas;
use crate::cli::{Cli, Command};
use crate::error::{RunError, exit};
use crate::fault;

pub use output::Answer;

/// Runs the program: parses arguments, executes the command, prints the result on standard output
/// and errors on standard error, and gives the exit code.
pub fn main() -> ExitCode {
    forbid_core_dumps();
    bound_arenas();
    fault::hush();
    let cli = match fault::contain(Cli::try_parse) {
        Ok(Ok(cli)) => cli,
        Ok(Err(error)) => return usage(&error),
        Err(fault) => return output::print(Err(fault), false),
    };
    start_log();
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::print(
                Err(RunError::internal("starting the runtime", &error)),
                json,
            );
        }
    };
    let cancel = CancellationToken::new();
    let result = fault::contain(|| {
        runtime.block_on(async {
            let signals = listen(cancel.clone());
            let result = Box::pin(execute(cli, &cancel)).await;
            drop(signals);
            result
        })
    });
    // What a failed run left behind, if anything, must not hold the program up.
    cancel.cancel();
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    output::print(result.flatten(), json)
}

/// Executes the command. `run` and `demo` stop by themselves when cancelled, since they have
/// something to clean up; any other command is left where it stands.
async fn execute(cli: Cli, cancel: &CancellationToken) -> Result<Answer, RunError> {
    match &cli.command {
        Command::Demo(args) => Box::pin(demo::demo(args, cancel)).await,
        Command::Run(args) => Box::pin(run::run(&cli.site, args, cancel)).await,
        Command::Dispose(args) => Box::pin(dispose::dispose(&cli.site, args, cancel)).await,
        Command::Replay { delivery } => Box::pin(replay::replay(&cli.site, delivery, cancel)).await,
        Command::Init { .. }
        | Command::Check
        | Command::Schema { .. }
        | Command::Plan { .. }
        | Command::Preview(_)
        | Command::Verify(_)
        | Command::Open(_)
        | Command::Receipt(_)
        | Command::Release(_)
        | Command::Reveal(_)
        | Command::Trace(_)
        | Command::VerifyTrace(_)
        | Command::Keys(_)
        | Command::Grant(_)
        | Command::Halt(_)
        | Command::Tokens(_)
        | Command::Ledger(_)
        | Command::Completions { .. } => tokio::select! {
            biased;
            () = cancel.cancelled() => Err(RunError::Interrupted),
            answer = Box::pin(answer(cli)) => answer,
        },
    }
}

async fn answer(cli: Cli) -> Result<Answer, RunError> {
    let site = &cli.site;
    match cli.command {
        // Not reached: both are executed where they can be cancelled.
        Command::Demo(_) | Command::Run(_) | Command::Dispose(_) | Command::Replay { .. } => {
            Err(RunError::Interrupted)
        }
        Command::Init {
            dir,
            passphrase_file,
            key_file,
        } => init::init(&dir, (passphrase_file.as_deref(), key_file.as_deref())),
        Command::Check => check::check(site).await,
        Command::Schema { kind } => check::print_schema(&kind),
        Command::Plan {
            grant,
            diff: Some(old),
        } => plan_diff::plan_diff(site, &old, grant.as_deref()),
        Command::Plan { grant, diff: None } => {
            Box::pin(plan::plan(site, &grant.unwrap_or_default())).await
        }
        Command::Preview(args) => Box::pin(preview::preview(site, &args)).await,
        Command::Verify(args) => Box::pin(verify::verify(site, &args)).await,
        Command::Open(args) => Box::pin(open::open(site, &args)).await,
        Command::Receipt(command) => Box::pin(receipt::receipt(site, command)).await,
        Command::Reveal(command) => reveal::reveal(site, &command),
        Command::Release(args) => Box::pin(release::release(site, &args)).await,
        Command::Trace(args) => Box::pin(trace::trace(site, args)).await,
        Command::VerifyTrace(args) => Box::pin(trace::verify_trace(site, args)).await,
        Command::Keys(command) => Box::pin(keys::keys(site, &command)).await,
        Command::Grant(command) => grant::grant(site, &command),
        Command::Halt(args) => Box::pin(halt::halt(site, &args)).await,
        Command::Tokens(command) => tokens::tokens(site, &command),
        Command::Ledger(command) => ledger::ledger(site, &command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "lockgate", &mut script);
            Ok(Answer::text(String::from_utf8_lossy(&script).into_owned()))
        }
    }
}

/// Prints a usage error, or the help or version that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let asked_for = !error.use_stderr();
    let plain = error.render().to_string();
    // Colours only where they are read.
    let reads_colours = if asked_for {
        std::io::stdout().is_terminal()
    } else {
        std::io::stderr().is_terminal()
    };
    let text = if reads_colours {
        error.render().ansi().to_string()
    } else {
        plain.clone()
    };
    if asked_for {
        return output::say(&text, exit::DONE);
    }
    output::complain(&text);
    if std::env::args_os().any(|argument| argument == "--json") {
        let what = plain.lines().next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        let document = output::error_document("usage", what, "command line", "see lockgate --help");
        return output::say(&format!("{document:#}\n"), exit::INVALID);
    }
    ExitCode::from(exit::INVALID)
}

/// A core dump would hold keys and originals.
fn forbid_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Both can only fail where the system lacks them; there is nothing to fall back to.
    setrlimit(Resource::Core, none).ok();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

fn start_log() {
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::EnvFilter;

    let level = std::env::var_os("LOCKGATE_LOG")
        .and_then(|level| level.to_str()?.parse().ok())
        .unwrap_or(LevelFilter::WARN);
    // Only what this program itself says: libraries log values of the source at their finer levels
    // (DataFusion prints the minima and maxima of row groups), and sometimes credentials.
    let filter = EnvFilter::new(format!("off,lockgate={level},lockgate_connectors={level}"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .log_internal_errors(false) // it would panic where standard error cannot be written
        .try_init();
    debug_assert!(started.is_ok(), "the log is started once");
}

/// Cancels the token at Ctrl-C or SIGTERM, until dropped.
fn listen(cancel: CancellationToken) -> tokio_util::task::AbortOnDropHandle<()> {
    let task = tokio::runtime::Handle::current().spawn(async move {
        if interrupted().await.is_ok() {
            cancel.cancel();
            // Whoever asks twice does not want to wait for the cleaning up.
            if interrupted().await.is_ok() {
                std::process::exit(i32::from(exit::INTERRUPTED));
            }
        }
    });
    tokio_util::task::AbortOnDropHandle::new(task)
}

async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
