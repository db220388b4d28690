//! Documents that come from outside, of every kind that a command reads: whatever stands where one is named,
//! it is refused with its name, and takes little more memory than nothing at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_acceptance::site::{Delivery, Finished, RECIPIENT, Site, finish};
use serde_json::{Value, json};

use super::watched;
use crate::people::{self, FIELDS};

/// What a command may hold more over a hostile document of [`LIST_BYTES`] than over an empty one: its bytes,
/// and what they are decoded to. A larger one takes more, and ends in the same answer.
const MEMORY_MORE: u64 = 32 << 20;

/// The same where a document is a mebibyte at most: half of what a tree of its values would take, and twice
/// what was measured, which differs from run to run by some mebibytes.
const MEMORY_MORE_OF_SMALL: u64 = 16 << 20;

/// Levels of nesting that overflow the stack of whoever follows them.
const DEEP: usize = 100_000;

/// Bytes of an endless list, where a document may be as large. A tree of JSON values would take about a
/// hundred mebibytes for it.
const LIST_BYTES: usize = 4 << 20;

/// The largest document that is small.
const SMALL: usize = 1 << 20;

/// An attempt that a document may name.
const ATTEMPT: &str = "00112233445566aa";

/// What stands where a document is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Empty,
    /// 4 GiB, of which the disk holds nothing.
    Enormous,
    /// Arrays in arrays, where an envelope has its payload.
    Nested,
    /// As many signatures as the document has room for.
    Signatures,
    /// An envelope that is right but for its payload, a list as long as there is room for.
    Payload,
    /// The first half of one.
    Truncated,
    /// One with a byte that no text has.
    NotText,
}

impl Form {
    const HOSTILE: [Self; 6] = [
        Self::Enormous,
        Self::Nested,
        Self::Signatures,
        Self::Payload,
        Self::Truncated,
        Self::NotText,
    ];

    /// Writes it in the place of a document like `whole` and of at most `most` bytes.
    fn write(self, path: &Path, whole: &[u8], most: usize) {
        let bytes = match self {
            Self::Empty => Vec::new(),
            Self::Enormous => {
                let file = File::create(path).expect("a file");
                file.set_len(4 << 30).expect("a sparse file");
                return;
            }
            Self::Nested => format!("{{\"payload\":{}", "[".repeat(DEEP)).into_bytes(),
            Self::Signatures => signatures(most.min(LIST_BYTES)),
            Self::Payload => payload(whole, most.min(LIST_BYTES)),
            Self::Truncated => whole[..whole.len() / 2].to_vec(),
            Self::NotText => {
                let mut bytes = whole.to_vec();
                bytes[whole.len() / 2] = 0xff;
                bytes
            }
        };
        fs::write(path, bytes).expect("a document");
    }
}

/// An envelope of up to so many bytes, nearly all of it signatures.
fn signatures(bytes: usize) -> Vec<u8> {
    let head = "{\"payload\":\"e30=\",\"payloadType\":\"application/json\",\"signatures\":[";
    let one = "{\"keyid\":\"\",\"sig\":\"\"}";
    let count = (bytes - head.len() - 2) / (one.len() + 1);
    format!("{head}{}]}}", vec![one; count].join(",")).into_bytes()
}

/// An envelope like `whole` (any envelope, where that is none) of up to so many bytes. Its payload has what
/// is looked for in a document of unknown origin, and a list besides.
fn payload(whole: &[u8], bytes: usize) -> Vec<u8> {
    let like = serde_json::from_slice::<Value>(whole).ok();
    let mut envelope = like.filter(|it| it["payload"].is_string()).unwrap_or_else(
        || json!({"payload": "", "payloadType": "application/json", "signatures": [{"keyid": "", "sig": ""}]}),
    );
    envelope["payload"] = "".into();
    let room = bytes - envelope.to_string().len();
    let head = format!(
        "{{\"attempt\":\"{ATTEMPT}\",\"checkpoint\":\"\",\"recipient\":\"{RECIPIENT}\",\"x\":["
    );
    let one = "[[]]";
    // Base64 makes four bytes of three.
    let count = (room / 4 * 3 - head.len() - 2) / (one.len() + 1);
    let payload = format!("{head}{}]}}", vec![one; count].join(","));
    envelope["payload"] = STANDARD.encode(payload).into();
    envelope.to_string().into_bytes()
}

/// A kind of document, and the command that reads it.
struct Kind {
    path: PathBuf,
    /// One that is right, or at least signed.
    whole: Vec<u8>,
    /// Most bytes of one.
    most: usize,
    arguments: Vec<String>,
    /// The exit code, and what the command names.
    answer: fn(Form) -> (i32, &'static str),
}

/// A site with a delivery whose keys it holds, and a recipient who can sign receipts.
struct Desk {
    site: Site,
    delivery: Delivery,
}

impl Desk {
    fn new() -> Self {
        let site = people::site(20);
        let receipts = site.pair("receipt", "receipt");
        let file = format!("recipients/{RECIPIENT}.toml");
        site.edit(&file, "\"]", &format!("\", \"{receipts}\"]"));
        let delivery = "seal = \"envelope\"\nrelease = \"online\"";
        site.signed(&people::grant("G-1", &FIELDS).delivery(delivery));
        let delivery = site.deliver("G-1");
        Self { site, delivery }
    }

    fn folder(&self) -> String {
        text(self.delivery.folder())
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.site.beside().join(name)
    }

    /// The approval of the grant: an envelope that was signed.
    fn signed(&self) -> Vec<u8> {
        fs::read(self.site.path("grants/G-1.toml.sig")).expect("a signature")
    }

    fn receipt(&self, kind: &str) -> Vec<u8> {
        let out = self.beside("right");
        let mut command = self.site.command();
        command
            .args(["--json", "receipt", kind])
            .arg(self.folder())
            .arg("--identity")
            .arg(self.site.private_key("receipt"))
            .arg("--out")
            .arg(&out)
            .arg("--key")
            .arg(self.site.path("keys/manifest.pub"))
            .arg("--ledger-key")
            .arg(self.site.path("keys/ledger.pub"));
        finish(&mut command).expect_code(0);
        taken(&out)
    }

    /// What a command of the site writes.
    fn written(&self, arguments: &[&str]) -> Vec<u8> {
        let out = self.beside("right");
        let file = text(&out);
        let arguments = [arguments, &["--out", file.as_str()]].concat();
        self.site.json(arguments).expect_code(0);
        taken(&out)
    }

    /// Runs the command over a form of its document; gives the most memory held.
    #[track_caller]
    fn answers(&self, kind: &Kind, form: Form) -> u64 {
        form.write(&kind.path, &kind.whole, kind.most);
        let mut command = self.site.command();
        command.arg("--json").arg("--site").arg(self.site.root());
        let (finished, memory): (Finished, u64) = watched(command.args(&kind.arguments));
        let (code, named) = (kind.answer)(form);
        let of = format!("{:?}, {form:?}", kind.arguments);
        assert_eq!(finished.code, code, "{of}: {finished:?}");
        assert!(finished.stdout.contains(named), "{of}: {finished:?}");
        memory
    }

    #[track_caller]
    fn refuses(&self, kind: &Kind) {
        // What a short run held last may be missed, so that one alone tells too little.
        let usual = (0..5).map(|_| self.answers(kind, Form::Empty)).max();
        let usual = usual.unwrap_or_default();
        let more = match kind.most == SMALL {
            true => MEMORY_MORE_OF_SMALL,
            false => MEMORY_MORE,
        };
        for form in Form::HOSTILE {
            let memory = self.answers(kind, form);
            assert!(
                memory < usual + more,
                "{:?}, {form:?}: {memory} after {usual}",
                kind.arguments
            );
        }
        fs::remove_file(&kind.path).expect("removed");
    }
}

fn taken(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a document");
    fs::remove_file(path).expect("removed");
    bytes
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn receipts_and_statements_of_any_form_are_refused_in_little_memory() {
    let desk = Desk::new();
    let path = desk.beside("hostile.json");
    let (file, folder) = (text(&path), desk.folder());
    desk.refuses(&Kind {
        path: path.clone(),
        whole: desk.receipt("make"),
        most: SMALL,
        arguments: owned(&["receipt", "accept", file.as_str()]),
        answer: |form| match form {
            Form::Enormous => (2, "hostile.json"),
            _ => (4, "hostile.json"),
        },
    });
    desk.refuses(&Kind {
        path,
        whole: desk.receipt("destroyed"),
        most: SMALL,
        arguments: owned(&["dispose", folder.as_str(), "--statement", file.as_str()]),
        answer: |form| match form {
            Form::Enormous => (2, "hostile.json"),
            _ => (4, "the recipient's statement"),
        },
    });
    assert!(desk.delivery.files()[0].exists(), "nothing was destroyed");
}

#[test]
fn release_documents_of_any_form_are_refused_in_little_memory() {
    let desk = Desk::new();
    let path = desk.beside("hostile.json");
    let (file, folder) = (text(&path), desk.folder());
    let identity = text(&desk.site.private_key("recipient"));
    let opened = desk.beside("opened");
    let to = text(&opened);
    let open = ["open", &folder, "--identity", &identity, "--to", &to];
    desk.refuses(&Kind {
        path,
        whole: desk.written(&["release", &folder, "--to", RECIPIENT]),
        most: 64 << 20,
        arguments: owned(&[&open[..], &["--release", file.as_str()]].concat()),
        answer: |form| match form {
            Form::Enormous => (2, "hostile.json"),
            _ => (2, "release document"),
        },
    });
    let left = fs::read_dir(&opened).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing was opened");
}

#[test]
fn approvals_to_turn_values_back_are_refused_in_little_memory_in_any_form() {
    let desk = Desk::new();
    let (path, list) = (desk.beside("hostile.json"), desk.beside("list"));
    fs::write(&list, "12345678\n").expect("a list");
    let (file, list) = (text(&path), text(&list));
    for command in [
        &["tokens", "reveal", "G-1", "--tokens"][..],
        &["reveal", "values", "G-1", "--field", "name", "--values"],
    ] {
        let arguments = [command, &[list.as_str(), "--approval", file.as_str()]].concat();
        desk.refuses(&Kind {
            path: path.clone(),
            whole: desk.signed(),
            most: 4 << 20,
            arguments: owned(&arguments),
            answer: |form| match form {
                Form::Enormous => (2, "hostile.json"),
                _ => (3, "approval"),
            },
        });
    }
}

#[test]
fn grants_and_their_signatures_are_refused_in_little_memory_in_any_form() {
    let desk = Desk::new();
    let (grant, signature) = ("grants/G-1.toml", "grants/G-1.toml.sig");
    let (whole, signed) = (desk.site.read(grant).into_bytes(), desk.signed());
    desk.refuses(&Kind {
        path: desk.site.path(signature),
        whole: signed,
        most: 16 << 20,
        arguments: owned(&["plan", "G-1"]),
        answer: |_| (3, "signature"),
    });
    desk.refuses(&Kind {
        path: desk.site.path(grant),
        whole,
        // Every fault in a file of this form is told with its place, up to a mebibyte: see `toml`.
        most: 64 << 10,
        arguments: owned(&["plan", "G-1"]),
        answer: |_| (2, "grants/G-1.toml"),
    });
}

#[test]
fn checkpoints_and_proofs_are_refused_in_little_memory_in_any_form() {
    let desk = Desk::new();
    let path = desk.beside("hostile.txt");
    let file = text(&path);
    for (option, whole) in [
        ("--witness", desk.written(&["ledger", "export"])),
        ("--proof", desk.signed()),
    ] {
        desk.refuses(&Kind {
            path: path.clone(),
            whole,
            most: SMALL,
            arguments: owned(&["ledger", "verify", option, file.as_str()]),
            answer: |form| match form {
                Form::Enormous | Form::NotText => (2, "hostile.txt"),
                _ => (4, "hostile.txt"),
            },
        });
    }
}

#[test]
fn what_lies_in_a_delivery_is_refused_in_little_memory_in_any_form() {
    let desk = Desk::new();
    let folder = desk.folder();
    let manifest = desk.delivery.folder().join("manifest.json");
    let whole = fs::read(&manifest).expect("a manifest");
    // What the site didn't sign is no record of a disposal: the delivery stands, and that is noted.
    desk.refuses(&Kind {
        path: desk.delivery.folder().join("disposal.json"),
        whole: whole.clone(),
        most: 64 << 20,
        arguments: owned(&["verify", folder.as_str()]),
        answer: |_| (0, "disposal.json"),
    });
    desk.refuses(&Kind {
        path: manifest,
        whole,
        most: 64 << 20,
        arguments: owned(&["verify", folder.as_str()]),
        answer: |_| (4, "manifest.json"),
    });
}

#[test]
fn a_leftover_manifest_of_any_form_is_swept_past_in_little_memory() {
    let desk = Desk::new();
    let grant = desk.delivery.folder().parent().expect("a grant's folder");
    let left = grant.join("0123456789abcdef0123456789abcdef");
    let part = left.join(ATTEMPT).join("part-00000.parquet");
    fs::create_dir_all(left.join(ATTEMPT)).expect("an attempt");
    fs::write(&part, "rows").expect("a file of the attempt");
    desk.refuses(&Kind {
        path: left.join("manifest.json"),
        whole: fs::read(desk.delivery.folder().join("manifest.json")).expect("a manifest"),
        most: 64 << 20,
        arguments: owned(&["run", "G-1", "--again"]),
        answer: |_| (0, "delivered"),
    });
    assert!(part.exists(), "no manifest said that it is none of its own");
}

#[test]
fn the_evidence_of_a_trace_is_refused_in_little_memory_in_any_form() {
    let desk = Desk::new();
    let folder = desk.beside("evidence");
    fs::create_dir(&folder).expect("a folder");
    let manifest = desk.delivery.folder().join("manifest.json");
    desk.refuses(&Kind {
        path: folder.join("record.json"),
        whole: fs::read(manifest).expect("a manifest"),
        most: 64 << 20,
        arguments: owned(&["verify-trace", text(&folder).as_str()]),
        answer: |form| match form {
            Form::Enormous => (1, "record.json"),
            _ => (4, "record.json"),
        },
    });
}
