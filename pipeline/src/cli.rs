//! The command line, as written: definitions only, no work.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lockgate_connectors::Encoding;
use lockgate_transforms::marks::score::Standard;

/// Governed bulk exchange of datasets between government departments.
#[derive(Debug, Parser)]
#[command(
    name = "lockgate",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 invalid configuration or usage, 3 refused by \
                  grant or policy, 4 verification failed, 5 delivered with rejected rows, 130 \
                  interrupted. LOCKGATE_LOG sets the log level (off, error, warn, info, debug, trace)."
)]
pub struct Cli {
    /// Directory of the site.
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    pub site: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a complete site with generated data and run an exchange in it.
    Demo(DemoArgs),
    /// Scaffold a site.
    Init {
        /// Directory to make; must be empty or absent.
        dir: PathBuf,
    },
    /// Validate every file of the site without touching data.
    Check,
    /// Print the JSON Schema of a kind of file.
    Schema {
        /// Which kind.
        #[arg(value_name = "KIND")]
        kind: String,
    },
    /// Show what a grant would do: refusals, fields, treatments, filter, splits.
    Plan {
        /// Id of the grant; with --diff, every live grant where absent.
        #[arg(required_unless_present = "diff")]
        grant: Option<String>,
        /// Say what changed for the grants since the site looked like this copy of it.
        #[arg(long, value_name = "OLDSITE")]
        diff: Option<PathBuf>,
    },
    /// Show treated rows of a grant; logged in the ledger.
    Preview(PreviewArgs),
    /// Run an exchange now.
    Run(RunArgs),
    /// Check a delivery: signature, files, rows, ledger proof.
    Verify(VerifyArgs),
    /// Name the grants behind a leaked copy; recorded in the ledger.
    Trace(TraceArgs),
    /// Check the evidence of a trace.
    VerifyTrace(VerifyTraceArgs),
    /// Make and list keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Sign, list and show grants.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// List token vaults; approve turning tokens back, and do it.
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// Read and verify the ledger.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Rows of the resident registry to generate.
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// Directory of the demo's site; must be empty or absent.
    #[arg(long, default_value = "lockgate-demo")]
    pub dir: PathBuf,
}

/// `preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Id of the grant.
    pub grant: String,
    /// Rows to show.
    #[arg(long, default_value_t = 10)]
    pub rows: usize,
    /// Show originals beside treated values, where the site allows it.
    #[arg(long)]
    pub before: bool,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Id of a grant or a job.
    pub grant: String,
    /// Deliver into this directory instead of the site's delivery store.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Deliver again what was delivered already.
    #[arg(long)]
    pub again: bool,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The folder that holds manifest.json: a path or a URL.
    pub delivery: String,
    /// Key of whoever signs manifests: `ed25519:BASE64`, or a file of such lines. May be repeated.
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Vec<String>,
    /// Key of the ledger, in the same forms; without it, the site's, where there is one.
    #[arg(long, value_name = "KEY|FILE")]
    pub ledger_key: Option<String>,
}

/// `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The leaked file: CSV or other delimited text, XLSX, JSON lines or Parquet.
    pub file: PathBuf,
    /// Id of the dataset whose marks are looked for.
    #[arg(long, value_name = "ID")]
    pub dataset: String,
    /// The probability that all traces of the dataset together accuse any innocent, if none of them
    /// had a larger one: what all of them hold to is the largest error ever used.
    #[arg(long, value_name = "PROBABILITY", default_value_t = Standard::ERROR)]
    pub error: f64,
    /// Which column of the file holds a field, where the search should not decide. May be repeated.
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub column: Vec<String>,
    /// Encoding of the file's text.
    #[arg(long)]
    pub encoding: Option<EncodingArg>,
    /// Sheet of a workbook.
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// What stands between the fields of a line: a character, or `tab`.
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<String>,
    /// The first row is one of data.
    #[arg(long)]
    pub no_header: bool,
    /// Write what a third party needs to check the result into this folder.
    #[arg(long, value_name = "DIR")]
    pub evidence: Option<PathBuf>,
    /// Put the key of the dataset's marks beside the evidence: whoever has it can forge marks.
    #[arg(long, requires = "evidence")]
    pub open_key: bool,
}

/// Encoding of a leaked file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EncodingArg {
    /// UTF-8.
    #[value(name = "utf-8")]
    Utf8,
    /// GB 18030, which includes GBK and GB 2312.
    #[value(name = "gb18030", alias = "gbk")]
    Gb18030,
    /// UTF-16, the low byte first.
    #[value(name = "utf-16le")]
    Utf16Le,
    /// UTF-16, the high byte first.
    #[value(name = "utf-16be")]
    Utf16Be,
}

impl From<EncodingArg> for Encoding {
    fn from(encoding: EncodingArg) -> Self {
        match encoding {
            EncodingArg::Utf8 => Self::Utf8,
            EncodingArg::Gb18030 => Self::Gb18030,
            EncodingArg::Utf16Le => Self::Utf16Le,
            EncodingArg::Utf16Be => Self::Utf16Be,
        }
    }
}

/// `verify-trace`.
#[derive(Debug, Args)]
pub struct VerifyTraceArgs {
    /// The folder that `trace --evidence` wrote.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The leaked file: everything is counted again, which needs the opened key.
    #[arg(long, value_name = "FILE")]
    pub leak: Option<PathBuf>,
    /// Key of whoever signs: `ed25519:BASE64`, or a file of such lines. May be repeated; the site's
    /// manifest keys where absent.
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Vec<String>,
    /// Key of the ledger, in the same forms; the site's where absent.
    #[arg(long, value_name = "KEY|FILE")]
    pub ledger_key: Option<String>,
    /// A file with an opened key of marks; those in the folder are used anyway. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub mark_key: Vec<PathBuf>,
}

/// `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the next version of a key of the site.
    New {
        /// pseudonym, encryption, fpe, mark, manifest or ledger.
        purpose: String,
    },
    /// Make a pair for a person or department outside, in the working directory.
    Pair {
        /// Name of the pair's files.
        name: String,
        /// Whose pair it is.
        #[arg(long)]
        kind: PairKindArg,
    },
    /// List the site's keys, never their content.
    List,
}

/// Whose key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PairKindArg {
    /// Ed25519, to sign grants.
    Approver,
    /// X25519, to seal to.
    Recipient,
    /// Ed25519, by which a recipient signs receipts.
    Receipt,
}

/// `grant`.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Approve a grant as it resolves now.
    Sign {
        /// Id of the grant.
        grant: String,
        /// The approver's private key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// List the site's grants and what state each is in.
    List,
    /// Show one grant and what it resolves to.
    Show {
        /// Id of the grant.
        grant: String,
    },
}

/// `tokens`.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// List the site's token vaults, never what they hold.
    List,
    /// Approve, as an approver of the provider, that tokens are turned back into values.
    Approve(ApproveTokensArgs),
    /// Turn tokens back into values, as CSV; needs an approval, and is recorded in the ledger first.
    Reveal {
        /// Id of the grant whose deliveries held the tokens.
        grant: String,
        /// The approval, as `tokens approve` writes it.
        #[arg(long, value_name = "FILE")]
        approval: PathBuf,
        /// The tokens, one a line; standard input where absent.
        #[arg(long, value_name = "FILE")]
        tokens: Option<PathBuf>,
    },
}

/// `tokens approve`.
#[derive(Debug, Args)]
pub struct ApproveTokensArgs {
    /// Id of the grant whose deliveries held the tokens.
    pub grant: String,
    /// Consistency domain of the tokens, as their treatment names it.
    #[arg(long)]
    pub domain: String,
    /// Why they are turned back; no personal data.
    #[arg(long)]
    pub reason: String,
    /// Last day on which the approval holds.
    #[arg(long, value_name = "DATE")]
    pub until: chrono::NaiveDate,
    /// Look into vaults of this scope alone, such as `grant:G-1` or `join:NAME`.
    #[arg(long)]
    pub scope: Option<String>,
    /// Look into vaults of this version of the key `encryption` alone.
    #[arg(long, value_name = "N")]
    pub key_version: Option<u32>,
    /// The approver's private key file.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The tokens, one a line; standard input where absent.
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Where to write the approval; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// List entries.
    List,
    /// Recompute the whole tree and check it against the signed checkpoint.
    Verify {
        /// Key of the ledger: `ed25519:BASE64` or a file; the site's where absent.
        #[arg(long, value_name = "KEY|FILE")]
        key: Option<String>,
    },
}
