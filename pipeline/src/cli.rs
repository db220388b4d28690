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
        /// Protect its keys from the first on: a file with the passphrase, of mode 0600.
        #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
        passphrase_file: Option<PathBuf>,
        /// The same by a key file; made, with mode 0600, where it does not exist.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
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
    /// Open a delivery: check it, unwrap its keys, write its files.
    Open(OpenArgs),
    /// Acknowledge a delivery as its recipient; accept that as its provider.
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Hand the keys of a delivery that is released online to its recipient; recorded in the ledger.
    Release(ReleaseArgs),
    /// Approve that encrypted values of a field are turned back, and do it; recorded in the ledger.
    #[command(subcommand)]
    Reveal(RevealCommand),
    /// Destroy what the site holds of a delivery, and say what that covers.
    Dispose(DisposeArgs),
    /// Make a delivery again into the void, and compare it with what was released.
    Replay {
        /// The folder that holds manifest.json: a path or a URL.
        delivery: String,
    },
    /// Name the grants behind a leaked copy; recorded in the ledger.
    Trace(TraceArgs),
    /// Check the evidence of a trace.
    VerifyTrace(VerifyTraceArgs),
    /// Make and list keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Lead grants through their life; list and show them.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Stop exchanges at once, and say what had left; or let them go on.
    Halt(HaltArgs),
    /// List token vaults; approve turning tokens back, and do it.
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// Read, verify and prove the ledger; usage records.
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

/// `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The folder that holds manifest.json: a path or a URL.
    pub delivery: String,
    /// The recipient's private key file; only a delivery that isn't sealed opens without.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Directory to write the files to; no file there is ever overwritten.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// The site's release document, where keys are released online.
    #[arg(long, value_name = "FILE")]
    pub release: Option<PathBuf>,
    /// Key of whoever signs manifests: `ed25519:BASE64`, or a file of such lines. May be repeated.
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Vec<String>,
    /// Key of the ledger, in the same forms; without it, the site's, where there is one.
    #[arg(long, value_name = "KEY|FILE")]
    pub ledger_key: Option<String>,
}

/// `receipt`.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Verify a delivery and sign, as its recipient, that it was received.
    Make(ReceiptArgs),
    /// Tell, as its recipient, how a delivery was used; signed.
    Used {
        /// Which delivery, and by which key.
        #[command(flatten)]
        receipt: ReceiptArgs,
        /// Where the data is kept.
        #[arg(long, value_name = "TEXT")]
        storage: String,
        /// What came of the use.
        #[arg(long, value_name = "TEXT")]
        outcome: String,
    },
    /// Sign, as its recipient, that every copy of a delivery was destroyed.
    Destroyed(ReceiptArgs),
    /// Check a recipient's receipt against the ledger, and record it.
    Accept {
        /// The receipt, as `receipt make` writes it.
        file: PathBuf,
    },
}

/// `receipt make`, `receipt used` and `receipt destroyed`.
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The folder that holds manifest.json: a path or a URL.
    pub delivery: String,
    /// The recipient's private key for receipts, as `keys pair --kind receipt` makes it.
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,
    /// Where to write the receipt; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What to add in words, without personal data; of a use, what was done.
    #[arg(long, value_name = "TEXT")]
    pub statement: Option<String>,
    /// Key of whoever signs manifests: `ed25519:BASE64`, or a file of such lines. May be repeated.
    #[arg(long, value_name = "KEY|FILE")]
    pub key: Vec<String>,
    /// Key of the ledger, in the same forms: its checkpoint is signed too.
    #[arg(long, value_name = "KEY|FILE")]
    pub ledger_key: Option<String>,
}

/// `release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The folder that holds manifest.json: a path or a URL.
    pub delivery: String,
    /// Id of the recipient.
    #[arg(long, value_name = "RECIPIENT")]
    pub to: String,
    /// Where to write the release document; must not exist. DELIVERY.release.json where absent.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `reveal`.
#[derive(Debug, Subcommand)]
pub enum RevealCommand {
    /// Approve, as an approver of the provider, that delivered values of a field are turned back.
    Approve(ApproveRevealArgs),
    /// Ask, as the recipient, that delivered values of a field are turned back that the grant lets it
    /// reveal; needs no site.
    Ask(AskRevealArgs),
    /// Turn delivered values of a field back, as CSV; needs an approval, or the recipient's request.
    Values {
        /// Id of the grant whose deliveries held the values.
        grant: String,
        /// The field.
        #[arg(long)]
        field: String,
        /// The approval, as `reveal approve` writes it, or the request of `reveal ask`.
        #[arg(long, value_name = "FILE")]
        approval: PathBuf,
        /// The values, one a line, as they were approved; standard input where absent.
        #[arg(long, value_name = "FILE")]
        values: Option<PathBuf>,
    },
}

/// `reveal ask`.
#[derive(Debug, Args)]
pub struct AskRevealArgs {
    /// Id of the grant whose deliveries held the values.
    pub grant: String,
    /// Id of the recipient.
    #[arg(long, value_name = "ID")]
    pub recipient: String,
    /// The field.
    #[arg(long)]
    pub field: String,
    /// Why they are turned back; no personal data.
    #[arg(long)]
    pub reason: String,
    /// Last day on which the request holds.
    #[arg(long, value_name = "DATE")]
    pub until: chrono::NaiveDate,
    /// Try this version of the key alone.
    #[arg(long, value_name = "N")]
    pub key_version: Option<u32>,
    /// Turn back values of this delivery alone, by its id; those of `encrypt-rand` say which they are of.
    #[arg(long, value_name = "ID")]
    pub delivery: Option<String>,
    /// The recipient's private key for receipts.
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,
    /// The values, one a line, each with its row's as CSV where the field is bound to them; standard input
    /// where absent.
    #[arg(long, value_name = "FILE")]
    pub values: Option<PathBuf>,
    /// Where to write the request; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `reveal approve`.
#[derive(Debug, Args)]
pub struct ApproveRevealArgs {
    /// Id of the grant whose deliveries held the values.
    pub grant: String,
    /// The field.
    #[arg(long)]
    pub field: String,
    /// Why they are turned back; no personal data.
    #[arg(long)]
    pub reason: String,
    /// Last day on which the approval holds.
    #[arg(long, value_name = "DATE")]
    pub until: chrono::NaiveDate,
    /// How often values may be turned back with it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub uses: u32,
    /// Try this version of the key alone.
    #[arg(long, value_name = "N")]
    pub key_version: Option<u32>,
    /// Turn back values of this delivery alone, by its id; those of `encrypt-rand` say which they are of.
    #[arg(long, value_name = "ID")]
    pub delivery: Option<String>,
    /// The approver's private key file.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The values, one a line, each with its row's as CSV where the field is bound to them; standard input
    /// where absent.
    #[arg(long, value_name = "FILE")]
    pub values: Option<PathBuf>,
    /// Where to write the approval; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `dispose`.
#[derive(Debug, Args)]
pub struct DisposeArgs {
    /// The folder that holds manifest.json: a path or a URL.
    pub delivery: String,
    /// The recipient's signed statement that it destroyed its copies, as `receipt destroyed` writes it.
    #[arg(long, value_name = "FILE")]
    pub statement: Option<PathBuf>,
    /// The last day on which a backup of the keyring made before may still be kept.
    #[arg(long, value_name = "DATE")]
    pub backups_until: Option<chrono::NaiveDate>,
    /// What lay at the destination is gone for good: destroy the key alone. DELIVERY is then any copy of
    /// the manifest.
    #[arg(long)]
    pub gone: bool,
}

/// `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The leaked file: CSV or other delimited text, XLSX, JSON lines, Parquet or an Arrow file.
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
    /// Make a new root and wrap every record anew under it. Keys and outputs stay what they are.
    Rotate,
    /// Destroy one version of a key of the site, or the key of a delivery. Nothing brings it back.
    Destroy {
        /// The key: `PURPOSE.vN`, or `DELIVERY.ATTEMPT`.
        key: String,
        /// Do it.
        #[arg(long)]
        yes: bool,
        /// Destroy a key that is still needed: its name once more.
        #[arg(long, value_name = "KEY")]
        force: Option<String>,
    },
    /// Print the public keys of manifests and of the ledger, of all versions, for recipients.
    ExportPublic {
        /// Write `manifest.pub` and `ledger.pub` into a directory, over nothing that is there.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Protect the keyring by a passphrase, a key file or a token, or change what protects it.
    Protect(ProtectArgs),
}

/// `keys protect`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ProtectArgs {
    /// A file with the passphrase, of mode 0600.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// A key file; made, with mode 0600, where it does not exist.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The token that `[keys]` names.
    #[arg(long)]
    pub token: bool,
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
    /// Ask for a grant: from now on the provider's answer is due.
    Request {
        /// Id of the grant.
        grant: String,
        /// Anything beside what the grant itself says; no personal data.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Refuse a grant, with the legal basis of the refusal.
    Refuse {
        /// Id of the grant.
        grant: String,
        /// The legal basis.
        #[arg(long)]
        basis: String,
        /// Why; no personal data.
        #[arg(long)]
        reason: String,
        /// The private key of the approver who refuses; the operator records it where absent.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Hold a grant back: nothing of it is delivered until an approver resumes it.
    Suspend(GrantStepArgs),
    /// Let a suspended grant be used again, as an approver of its provider.
    Resume {
        /// Id of the grant.
        grant: String,
        /// Why; no personal data.
        #[arg(long)]
        reason: String,
        /// The approver's private key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// End a grant: no signature made so far counts any more.
    Terminate(GrantStepArgs),
    /// List the site's grants and what state each is in.
    List,
    /// Show one grant and what it resolves to.
    Show {
        /// Id of the grant.
        grant: String,
    },
}

/// `grant suspend` and `grant terminate`.
#[derive(Debug, Args)]
pub struct GrantStepArgs {
    /// Id of the grant.
    pub grant: String,
    /// Why; no personal data.
    #[arg(long)]
    pub reason: String,
    /// The private key of the approver who does it; the operator does it where absent.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// `halt`.
#[derive(Debug, Args)]
pub struct HaltArgs {
    /// What is halted.
    #[command(flatten)]
    pub scope: HaltScopeArgs,
    /// Lift the halt instead, as an approver.
    #[arg(long, requires = "key")]
    pub lift: bool,
    /// The private key of the approver who lifts it: of the provider, or where the halt is over more,
    /// of any.
    #[arg(long, value_name = "FILE", requires = "lift")]
    pub key: Option<PathBuf>,
    /// Why; no personal data.
    #[arg(long)]
    pub reason: String,
}

/// What a halt is over.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct HaltScopeArgs {
    /// Every exchange of this provider's data.
    #[arg(long, value_name = "ID")]
    pub provider: Option<String>,
    /// Every exchange to this recipient.
    #[arg(long, value_name = "ID")]
    pub recipient: Option<String>,
    /// Every exchange of the site.
    #[arg(long)]
    pub all: bool,
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
        /// A checkpoint that was kept elsewhere: the ledger has to continue it. May be repeated.
        #[arg(long, value_name = "FILE")]
        witness: Vec<PathBuf>,
        /// A proof, as `ledger prove --json` prints it, to be checked too. May be repeated.
        #[arg(long, value_name = "FILE")]
        proof: Vec<PathBuf>,
    },
    /// Prove that an entry stands in the ledger, or that it continues what it was.
    Prove {
        /// Number of the entry.
        #[arg(required_unless_present = "consistency")]
        entry: Option<u64>,
        /// Prove it in the ledger as it was with so many entries.
        #[arg(long, value_name = "N", requires = "entry")]
        size: Option<u64>,
        /// Prove that the ledger of NEW entries (all of them where absent) continues that of OLD.
        #[arg(long, num_args = 1..=2, value_names = ["OLD", "NEW"], conflicts_with = "entry")]
        consistency: Option<Vec<u64>>,
    },
    /// Print the signed checkpoint, to be kept by others; or a readable extract.
    Export {
        /// Print the usage records of each grant for a competent authority, as CSV.
        #[arg(long)]
        extract: bool,
        /// Write it to this file, which must not exist.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Which records.
        #[command(flatten)]
        question: UsageArgs,
    },
    /// Show who used which data for which purpose, and what became of it.
    Usage(UsageArgs),
}

/// Which usage records.
#[derive(Debug, Args)]
pub struct UsageArgs {
    /// Of this provider's data.
    #[arg(long, value_name = "ID")]
    pub provider: Option<String>,
    /// By this recipient.
    #[arg(long, value_name = "ID")]
    pub recipient: Option<String>,
    /// Of this grant.
    #[arg(long, value_name = "ID")]
    pub grant: Option<String>,
    /// From this day on.
    #[arg(long, value_name = "DATE")]
    pub from: Option<chrono::NaiveDate>,
    /// Up to this day.
    #[arg(long, value_name = "DATE")]
    pub until: Option<chrono::NaiveDate>,
}
