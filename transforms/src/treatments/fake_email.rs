//! `fake-email`: an email address that no one reads.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::draw::another;
use crate::persona::{Naming, naming};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::{self, Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;
use crate::treatments::typed_mask::mail_domain;

/// Puts an email address in the place of one: a surname in Latin letters, a dot and eight
/// characters, at a domain that delivers nowhere. The surname is that of the person's `fake-name`,
/// where that keeps nothing but the sex.
///
/// Text without an `@` between two parts is invalid; where the domain is kept, so is what has no
/// domain of ASCII labels behind it. An address never becomes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeEmail {
    /// Consistency domain: fields of one domain write facets of the same persons
    /// (`"person.id"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the person's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"mail-domain"` (what follows the last `@`).
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// The domain of every address, unless the original's is kept: `example.cn`, `example.com`,
    /// `example.net`, `example.org`, or a name under `invalid`, `example` or `test` (RFC 2606).
    #[serde(default = "safe_domain")]
    pub safe_domain: String,
}

/// What stays of an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// What follows the last `@`.
    MailDomain,
}

fn safe_domain() -> String {
    "example.cn".to_owned()
}

/// Whether mail to the domain can reach no one.
fn is_safe(domain: &str) -> bool {
    let whole = ["example.cn", "example.com", "example.net", "example.org"];
    let last = domain.rsplit('.').next().unwrap_or_default();
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.len() < 64 && label.bytes().all(plain)
    };
    let named = domain.len() < 200 && domain.contains('.') && domain.split('.').all(label);
    whole.contains(&domain) || named && matches!(last, "invalid" | "example" | "test")
}

impl Surrogate for FakeEmail {
    const KIND: &'static str = "fake-email";
    const SUMMARY: &'static str = "writes an email address that no one reads";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-email", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 40 };
    const WIDTH: &'static str = "19 bytes and those of `safe_domain`, unless the domain is kept";
    const ENTITY: &'static str = "person";

    fn linkage(&self) -> Linkage<'_> {
        Linkage::of(&self.domain, &self.join, &self.by)
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            naming: Naming::new(),
            keeps_domain: !self.keep.is_empty(),
            safe_domain: self.safe_domain.clone(),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        surrogate::distinct(&self.keep)?;
        if !is_safe(&self.safe_domain) {
            let what = "`safe_domain` is a domain that may deliver mail";
            return Err(Misfit::of_parameter("safe_domain", what)
                .with_hint("write example.cn, or a name such as mail.invalid"));
        }
        Ok(())
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        surrogate::subset(&self.keep, &floor.keep)
    }

    fn width(&self) -> Option<usize> {
        self.keep
            .is_empty()
            .then_some(LOCAL_BYTES_MAX + 1 + self.safe_domain.len())
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        vec![Fact {
            what: "surname",
            kept: None,
            from: None,
        }]
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        self.keep.is_empty().then_some("nobody@example.invalid")
    }
}

/// Characters of the part after the dot: base 32 without those taken for others.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Bytes before the `@`: the longest reading of a surname, a dot and eight characters.
const LOCAL_BYTES_MAX: usize = naming::READING_BYTES_MAX + 1 + 8;

/// Parts of eight characters.
const PARTS: u64 = 1 << 40;

#[derive(Debug)]
struct Kernel {
    naming: Naming,
    keeps_domain: bool,
    safe_domain: String,
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let value = original.value.trim();
        let (local, domain) = value.rsplit_once('@').ok_or(Case::Invalid)?;
        if local.is_empty() || domain.is_empty() {
            return Err(Case::Invalid);
        }
        let domain = match self.keeps_domain {
            // What isn't a domain may be anything, and would stay.
            true => mail_domain(value).ok_or(Case::Invalid)?,
            false => self.safe_domain.clone(),
        };
        let start = out.len();
        let mut put = |chosen: u64| {
            out.truncate(start);
            out.extend_from_slice(self.naming.reading(&original.draw).as_bytes());
            out.push(b'.');
            for place in (0..8).rev() {
                let digit = usize::try_from(chosen >> (5 * place) & 31).unwrap_or(0);
                out.push(ALPHABET.get(digit).copied().unwrap_or(b'a'));
            }
            out.push(b'@');
            out.extend_from_slice(domain.as_bytes());
            out.get(start..) == Some(value.as_bytes())
        };
        let chosen = original.draw.more(b'e').below_wide(0, PARTS);
        if put(chosen) {
            put(another(chosen, PARTS, &original.draw));
        }
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use crate::surrogate::testing::alone;
    use crate::testing::misfit;

    #[test]
    fn nothing_of_an_address_stays_unless_it_is_kept() {
        let originals = [
            "zhang.san@hz.gov.cn",
            "李四@公司.cn",
            "a@b@c.cn",
            "no-at",
            "@x.cn",
            "x@",
        ];
        let plain = alone("{ kind = 'fake-email', domain = 'd' }", "email", &originals);
        for email in plain.iter().take(3) {
            let (local, domain) = email.as_deref().unwrap().rsplit_once('@').unwrap();
            assert_eq!(domain, "example.cn");
            assert!(local.is_ascii() && !local.contains("zhang.san"));
        }
        for email in plain.iter().skip(3) {
            assert!(email.as_deref().unwrap().bytes().all(|byte| byte == b'*'));
        }
        let kept = "{ kind = 'fake-email', domain = 'd', keep = ['mail-domain'] }";
        let kept = alone(kept, "email", &originals);
        assert!(kept[0].as_deref().unwrap().ends_with("@hz.gov.cn"));
        assert!(kept[2].as_deref().unwrap().ends_with("@c.cn"));
    }

    #[test]
    fn a_kept_domain_is_a_domain() {
        let others = [
            "a@13800001234",
            "a@qq.com (13800001234)",
            "a@qq.com；13800001234",
            "a@b.c\n13800001234",
            "a@[1.2.3.4]",
            "a@-",
            "a@b..c",
        ];
        let spec = "{ kind = 'fake-email', domain = 'd', keep = ['mail-domain'] }";
        for email in alone(spec, "email", &others) {
            assert!(email.unwrap().bytes().all(|byte| byte == b'*'));
        }
        assert!(
            alone(spec, "email", &["a@QQ.com"])[0]
                .as_deref()
                .unwrap()
                .ends_with("@qq.com")
        );
    }

    #[test]
    fn a_domain_that_delivers_is_refused() {
        for domain in [
            "qq.com",
            "invalid",
            "a..invalid",
            "例.invalid",
            "example.cn.com",
            "",
        ] {
            let spec = format!("{{ kind = 'fake-email', domain = 'd', safe_domain = '{domain}' }}");
            assert_eq!(misfit(&spec).parameter, Some("safe_domain"), "{domain}");
        }
        let spec = "{ kind = 'fake-email', domain = 'd', safe_domain = 'mail.invalid' }";
        let email = alone(spec, "email", &["a@b.cn"]);
        assert!(email[0].as_deref().unwrap().ends_with("@mail.invalid"));
    }
}
