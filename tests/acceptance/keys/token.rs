//! A keyring whose root, and whose keys of deliveries, are in a token behind PKCS#11: SoftHSM.

use lockgate_acceptance::site::{Delivery, Finished, RECIPIENT, finish};

use super::*;

const PIN: &str = "648219-canary";

/// SoftHSM's module, required where the environment names it.
fn softhsm() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LOCKGATE_SOFTHSM") {
        let named = PathBuf::from(named);
        assert!(named.exists(), "LOCKGATE_SOFTHSM names no module");
        return Some(named);
    }
    let usual = PathBuf::from("/usr/lib/softhsm/libsofthsm2.so");
    if usual.exists() {
        return Some(usual);
    }
    println!("skipped: SoftHSM is not installed");
    None
}

/// A token of one test.
struct Token {
    module: PathBuf,
    /// Where SoftHSM's settings are, which it finds by the environment.
    conf: PathBuf,
    /// Where it keeps its objects, one a file.
    objects: PathBuf,
    pin: PathBuf,
}

impl Token {
    /// A new token in a directory; absent where there is no SoftHSM.
    fn new(directory: &Path) -> Option<Self> {
        let token = Self {
            module: softhsm()?,
            conf: directory.join("softhsm2.conf"),
            objects: directory.join("tokens"),
            pin: directory.join("pin"),
        };
        fs::create_dir(&token.objects).unwrap();
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            token.objects.display()
        );
        fs::write(&token.conf, settings).unwrap();
        fs::write(&token.pin, PIN).unwrap();
        fs::set_permissions(&token.pin, fs::Permissions::from_mode(0o600)).unwrap();
        token.make();
        Some(token)
    }

    fn make(&self) {
        // The program that makes tokens: beside the module, or where programs are.
        let beside = self.module.ancestors().nth(3);
        let beside = beside.map(|usr| usr.join("bin/softhsm2-util"));
        let program = beside.filter(|path| path.exists());
        let made = Command::new(program.unwrap_or_else(|| PathBuf::from("softhsm2-util")))
            .args(["--init-token", "--free", "--label", "lockgate"])
            .args(["--so-pin", "officer-pin", "--pin", PIN])
            .arg("--module")
            .arg(&self.module)
            .env("SOFTHSM2_CONF", &self.conf)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
    }

    /// What `[keys]` says of it.
    fn lines(&self) -> String {
        format!(
            "module = \"{}\"\ntoken = \"lockgate\"\npin = {{ file = \"{}\" }}",
            self.module.display(),
            self.pin.display()
        )
    }

    /// How many objects it holds.
    fn held(&self) -> usize {
        fn count(directory: &Path) -> usize {
            let entries = fs::read_dir(directory).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .map(|path| match path.is_dir() {
                    true => count(&path),
                    false => usize::from(path.extension().is_some_and(|end| end == "object")),
                })
                .sum()
        }

        count(&self.objects)
    }
}

#[test]
fn a_token_holds_the_root_and_outputs_are_the_same() {
    let mut desk = Desk::new();
    let beside = desk.site.root().parent().unwrap().to_owned();
    let Some(token) = Token::new(&beside) else {
        return;
    };
    desk.environment = vec![("SOFTHSM2_CONF", token.conf.clone())];
    desk.keys_say(&token.lines());
    let told = desk.done(&["keys", "protect", "--token"]);
    assert_eq!(told["protection"], "token");
    desk.site.edit(
        "lockgate.toml",
        "provider = \"local\"",
        "provider = \"pkcs11\"",
    );
    assert_eq!(desk.delivers(), Desk::new().delivers());
    assert_eq!(
        desk.done(&["keys", "rotate"])["root"],
        3,
        "the first was plain, and gave the keyring its id"
    );
    let listed = desk.done(&["keys", "list"]);
    assert_eq!(listed["provider"], "pkcs11");
    assert_eq!(listed["masters_extractable"], true);
    assert_eq!(listed["keks_extractable"], false);
    assert_eq!(listed["left_in"], Value::Null);
    fs::write(&token.pin, "wrong-canary-pin").unwrap();
    let refused = text(&desk.command(&["keys", "list"]));
    assert!(refused.contains("refused its pin"), "{refused}");
    assert!(!refused.contains("canary"), "{refused}");
}

/// A site whose keyring is in a token.
struct Tokened {
    site: Site,
    token: Token,
}

impl Tokened {
    /// Absent where there is no SoftHSM.
    fn new() -> Option<Self> {
        let mut site = people::site(50);
        let token = Token::new(site.beside())?;
        site.set_env("SOFTHSM2_CONF", token.conf.to_str().unwrap());
        let keys = format!("[keys]\n{}\n", token.lines());
        site.edit("lockgate.toml", "[keys]\n", &keys);
        site.json(["keys", "protect", "--token"]).expect_code(0);
        let (local, pkcs11) = ("provider = \"local\"", "provider = \"pkcs11\"");
        site.edit("lockgate.toml", local, pkcs11);
        let public = site.beside().join("public");
        fs::create_dir(&public).unwrap();
        let public = public.to_str().unwrap();
        site.json(["keys", "export-public", "--to", public])
            .expect_code(0);
        Some(Self { site, token })
    }

    /// Has the keys of a delivery released into a file beside the site.
    fn release(&self, delivery: &Path, name: &str) -> Finished {
        let out = self.site.beside().join(name);
        let mut command = self.site.command();
        command
            .arg("--site")
            .arg(self.site.root())
            .args(["--json", "release"])
            .arg(delivery)
            .args(["--to", RECIPIENT, "--out"])
            .arg(out);
        said_without_pin(finish(&mut command))
    }

    /// Opens a delivery as its recipient, who has no token.
    fn open(&self, delivery: &Path, release: Option<&str>, to: &str) -> Finished {
        let beside = self.site.beside();
        let mut command = self.site.command();
        command
            .args(["--json", "open"])
            .arg(delivery)
            .arg("--identity")
            .arg(self.site.private_key("recipient"))
            .arg("--key")
            .arg(beside.join("public/manifest.pub"))
            .arg("--to")
            .arg(beside.join(to))
            .env_remove("SOFTHSM2_CONF");
        if let Some(release) = release {
            command.arg("--release").arg(beside.join(release));
        }
        finish(&mut command)
    }

    fn dispose(&self, delivery: &Delivery) -> Value {
        let folder = delivery.folder().to_str().unwrap();
        let disposed = self.site.json(["dispose", folder]);
        said_without_pin(disposed).expecting(0).document()
    }
}

#[track_caller]
fn said_without_pin(finished: Finished) -> Finished {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(!said.contains(PIN), "{finished:?}");
    finished
}

#[test]
fn a_delivery_whose_key_is_in_a_token_opens_by_release_until_it_is_disposed_of() {
    let Some(desk) = Tokened::new() else {
        return;
    };
    let (site, token) = (&desk.site, &desk.token);
    for (version, seal) in (1..).zip(["parquet", "envelope"]) {
        let delivery = format!("seal = \"{seal}\"\nrelease = \"online\"");
        let grant = people::grant("G-1", &FIELDS).version(version);
        site.signed(&grant.delivery(&delivery));
        let held = token.held();
        let delivery = site.deliver("G-1");
        assert_eq!(token.held(), held + 1, "{seal}: the key of the delivery");
        let (kept, _) = kept_and_done(site);
        assert_eq!(kept.len(), 1, "{kept:?}");
        let listed = site.json(["keys", "list"]).expecting(0).document();
        assert_eq!(listed["keks_extractable"], false);

        let released = format!("{seal}.json");
        let place = delivery.folder();
        assert_ne!(desk.open(place, None, "unreleased").code, 0, "{seal}");
        desk.release(place, &released).expect_code(0);
        desk.open(place, Some(&released), seal).expect_code(0);
        let opened = fs::read_dir(site.beside().join(seal)).unwrap();
        assert!(opened.count() > 0, "{seal}");

        // Everything that can be copied of the site: its keyring, its ledger and what it delivered.
        let backup = site.beside().join(format!("{seal}-backup"));
        copy(&site.root(), &backup);
        let record = desk.dispose(&delivery)["record"].clone();
        let key = &record["key"];
        assert_eq!(key["kek"], kept[0]);
        assert_eq!(key["provider"], "pkcs11");
        assert_eq!(key["protection"], "token");
        assert_eq!(key["extractable"], false);
        let wrapped = key["wrapped_sha256"].as_array().unwrap().len();
        assert!(wrapped > 0);
        assert_eq!(key["unwrapped_before"], wrapped);
        assert!(!key["trial"].as_str().unwrap().is_empty());
        assert_eq!(token.held(), held, "{seal}: it is gone from the token");
        let (kept, done) = kept_and_done(site);
        assert_eq!(kept, [""; 0]);
        assert!(done.last().unwrap().starts_with("destroyed "), "{done:?}");
        desk.release(place, "after.json").expect_code(3);

        // Put back, the site says that nothing was disposed of, and still nothing unwraps.
        let now = site.beside().join("now");
        fs::rename(site.root(), &now).unwrap();
        copy(&backup, &site.root());
        site.json(["ledger", "verify"]).expect_code(0);
        let refused = desk.release(place, "after.json");
        assert!(matches!(refused.code, 1..=4), "{seal}: {refused:?}");
        // The site is whole, so that it is the key that is missing: the token says so, or whoever reads a
        // footer.
        let told = format!("{}{}", refused.stdout, refused.stderr);
        let missing = [
            "does not hold the key that is asked for",
            "the key that opens it is gone",
        ];
        assert!(missing.iter().any(|it| told.contains(it)), "{seal}: {told}");
        assert!(!site.beside().join("after.json").exists());
        assert_ne!(desk.open(place, None, "after").code, 0, "{seal}");
        fs::remove_dir_all(site.root()).unwrap();
        fs::rename(&now, site.root()).unwrap();
        site.json(["ledger", "verify"]).expect_code(0);
    }
}
