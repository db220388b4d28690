//! The known categories of fields: what a value is, how it is brought to one spelling before it is
//! keyed, and how many values there can be.
//!
//! A category that isn't listed is no problem: it brings no normalisation and no domain size.

use std::borrow::Cow;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

/// A known category.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Category {
    /// The name, as catalogue and policy write it.
    pub name: &'static str,
    /// What it is, in English.
    pub title: &'static str,
    /// What it is, in Chinese.
    pub title_zh: &'static str,
    /// How many values there can be, where a list or a calendar bounds them. Below a million, a
    /// keyed pseudonym can be undone by counting, which compile warns about or refuses.
    pub domain_size: Option<u64>,
    /// Brings a value to the one spelling that is keyed.
    #[serde(skip)]
    pub normalise: fn(&str) -> Cow<'_, str>,
}

impl Category {
    /// Whether its values are identifiers, which have one spelling that is keyed.
    pub fn is_identifier(&self) -> bool {
        (self.normalise)("\u{FF11}") == "1"
    }
}

/// The category of that name, if it is known.
pub fn find(name: &str) -> Option<&'static Category> {
    CATEGORIES.iter().find(|category| category.name == name)
}

/// Every known category.
pub fn all() -> &'static [Category] {
    CATEGORIES
}

const fn identifier(name: &'static str, title: &'static str, title_zh: &'static str) -> Category {
    Category {
        name,
        title,
        title_zh,
        domain_size: None,
        normalise: normalise_identifier,
    }
}

const fn open(name: &'static str, title: &'static str, title_zh: &'static str) -> Category {
    Category {
        name,
        title,
        title_zh,
        domain_size: None,
        normalise: as_it_is,
    }
}

const fn bounded(
    name: &'static str,
    title: &'static str,
    title_zh: &'static str,
    size: u64,
) -> Category {
    Category {
        name,
        title,
        title_zh,
        domain_size: Some(size),
        normalise: as_it_is,
    }
}

static CATEGORIES: &[Category] = &[
    identifier(
        "resident-id",
        "resident identity number (GB 11643)",
        "公民身份号码",
    ),
    identifier("residence-permit", "residence permit number", "居住证号码"),
    identifier(
        "permanent-residence-id",
        "foreigner's permanent residence number",
        "外国人永久居留身份证号码",
    ),
    identifier("passport", "passport number", "护照号码"),
    identifier(
        "travel-permit",
        "Hong Kong, Macao or Taiwan travel permit",
        "港澳台通行证号码",
    ),
    identifier(
        "officer-id",
        "military or police officer number",
        "军官证号码",
    ),
    identifier("driving-licence", "driving licence number", "驾驶证号码"),
    identifier(
        "social-security-number",
        "social security number",
        "社会保障号码",
    ),
    identifier(
        "medical-insurance-number",
        "medical insurance number",
        "医疗保险号码",
    ),
    identifier("student-number", "school roll number", "学籍号"),
    identifier(
        "disability-number",
        "disability certificate number",
        "残疾人证号码",
    ),
    identifier("taxpayer-number", "taxpayer number", "纳税人识别号"),
    identifier("household-number", "household number", "户号"),
    identifier(
        "credit-code",
        "unified social credit code (GB 32100)",
        "统一社会信用代码",
    ),
    identifier(
        "organisation-code",
        "organisation code (GB 11714)",
        "组织机构代码",
    ),
    identifier(
        "business-number",
        "business registration number",
        "工商注册号",
    ),
    Category {
        name: "mobile",
        title: "mobile telephone number",
        title_zh: "手机号码",
        domain_size: None,
        normalise: normalise_mobile,
    },
    identifier("landline", "landline telephone number", "固定电话号码"),
    identifier("bank-card", "bank card number", "银行卡号"),
    identifier("bank-account", "bank account number", "银行账号"),
    identifier("plate", "vehicle plate", "车牌号码"),
    identifier("vin", "vehicle identification number", "车辆识别代号"),
    identifier("imei", "device number (IMEI)", "国际移动设备识别码"),
    identifier("imsi", "subscriber number (IMSI)", "国际移动用户识别码"),
    identifier("iccid", "SIM card number (ICCID)", "SIM卡号"),
    identifier(
        "property-number",
        "real estate certificate number",
        "不动产权证号",
    ),
    open("person-name", "name of a person", "姓名"),
    open("organisation-name", "name of an organisation", "单位名称"),
    open("address", "postal address", "地址"),
    open("email", "email address", "电子邮箱"),
    open("qq", "QQ number", "QQ号"),
    open("wechat", "WeChat name", "微信号"),
    open("ip-address", "IP address", "IP地址"),
    open("mac-address", "MAC address", "MAC地址"),
    open("url", "web address", "网址"),
    open("longitude", "longitude", "经度"),
    open("latitude", "latitude", "纬度"),
    open("geometry", "position or shape", "空间位置"),
    open("income", "income", "收入"),
    open("amount", "amount of money", "金额"),
    open("date", "date", "日期"),
    open("timestamp", "point in time", "时间"),
    open("health", "health condition", "健康状况"),
    open("biometric", "biometric feature", "生物识别信息"),
    open("free-text", "free text", "自由文本"),
    open("other", "anything else", "其他"),
    bounded("gender", "sex (GB/T 2261.1)", "性别", 10),
    bounded("birth-date", "date of birth", "出生日期", 45_000),
    bounded("birth-year", "year of birth", "出生年份", 150),
    bounded("age", "age in years", "年龄", 150),
    bounded(
        "marital-status",
        "marital status (GB/T 2261.2)",
        "婚姻状况",
        100,
    ),
    bounded(
        "health-status",
        "state of health (GB/T 2261.3)",
        "健康状态代码",
        100,
    ),
    bounded(
        "employment-status",
        "employment status (GB/T 2261.4)",
        "从业状况",
        100,
    ),
    bounded("ethnicity", "ethnic group (GB/T 3304)", "民族", 100),
    bounded(
        "political-status",
        "political status (GB/T 4762)",
        "政治面貌",
        100,
    ),
    bounded("education", "education (GB/T 4658)", "学历", 100),
    bounded("occupation", "occupation (GB/T 6565)", "职业", 10_000),
    bounded("industry", "industry (GB/T 4754)", "行业", 10_000),
    bounded(
        "nationality",
        "country or region (GB/T 2659)",
        "国籍",
        1_000,
    ),
    bounded("religion", "religion", "宗教信仰", 100),
    bounded("blood-type", "blood type", "血型", 10),
    bounded(
        "division-code",
        "administrative division code (GB/T 2260)",
        "行政区划代码",
        10_000,
    ),
    bounded("postcode", "postcode", "邮政编码", 100_000),
    bounded("status", "status code", "状态", 1_000),
    bounded("flag", "yes or no", "是否标志", 10),
];

/// The value as it is.
fn as_it_is(value: &str) -> Cow<'_, str> {
    Cow::Borrowed(value)
}

/// One spelling of an identifier: NFKC (full-width digits and letters become half-width), without
/// white space and hyphens, a trailing `x` in upper case.
fn normalise_identifier(value: &str) -> Cow<'_, str> {
    // E5 to E9 begin the ideographs U+5000 to U+9FFF, which are their own NFKC; 80 to BF follow.
    let plain = |byte: &u8| match byte {
        0x80..=0xBF | 0xE5..=0xE9 => true,
        _ => byte.is_ascii_graphic() && *byte != b'-',
    };
    if value.as_bytes().iter().all(plain) && !value.ends_with('x') {
        return Cow::Borrowed(value);
    }
    let mut text: String = value
        .nfkc()
        .filter(|character| !character.is_whitespace() && !is_dash(*character))
        .collect();
    if text.ends_with('x') {
        text.pop();
        text.push('X');
    }
    Cow::Owned(text)
}

/// As [`normalise_identifier`], and without a country code before a mainland mobile number.
fn normalise_mobile(value: &str) -> Cow<'_, str> {
    match normalise_identifier(value) {
        Cow::Borrowed(text) => Cow::Borrowed(without_country_code(text)),
        Cow::Owned(text) => Cow::Owned(without_country_code(&text).to_owned()),
    }
}

fn without_country_code(text: &str) -> &str {
    ["+86", "0086", "86"]
        .iter()
        .filter_map(|prefix| text.strip_prefix(prefix))
        .find(|rest| is_mobile(rest))
        .unwrap_or(text)
}

/// Whether text is a mainland mobile number: 11 digits, `1` and then `3` to `9` first.
fn is_mobile(text: &str) -> bool {
    match text.as_bytes() {
        [b'1', b'3'..=b'9', rest @ ..] => rest.len() == 9 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Hyphens as people and input methods write them.
fn is_dash(character: char) -> bool {
    matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(category: &str, value: &str) -> String {
        (find(category).unwrap().normalise)(value).into_owned()
    }

    #[test]
    fn what_is_taken_as_plain_is_its_own_spelling() {
        for character in '\0'..=char::MAX {
            let text = format!("A{character}1");
            let spelt: String = text
                .nfkc()
                .filter(|character| !character.is_whitespace() && !is_dash(*character))
                .collect();
            assert_eq!(normalise_identifier(&text), spelt, "{character:?}");
        }
    }

    #[test]
    fn spellings_of_one_identifier_agree() {
        for spelling in [
            "11010519491231002X",
            "11010519491231002x",
            " 110105 19491231 002x ",
            "１１０１０５１９４９１２３１００２ｘ",
            "110105-19491231-002X",
            "110105\u{3000}19491231\u{2013}002X",
        ] {
            assert_eq!(
                normalised("resident-id", spelling),
                "11010519491231002X",
                "{spelling}"
            );
        }
        assert_eq!(
            normalised("bank-card", "6222 0200 1111 2222"),
            "6222020011112222"
        );
        assert_eq!(normalised("plate", "浙A·12345"), "浙A·12345");
    }

    #[test]
    fn country_codes_go_only_before_a_mobile_number() {
        for spelling in [
            "13800138000",
            "+86 138-0013-8000",
            "008613800138000",
            "8613800138000",
        ] {
            assert_eq!(normalised("mobile", spelling), "13800138000", "{spelling}");
        }
        assert_eq!(normalised("mobile", "+8612345"), "+8612345");
        assert_eq!(normalised("mobile", "86138001380"), "86138001380");
    }

    #[test]
    fn other_categories_stay_as_they_are() {
        assert_eq!(normalised("person-name", " 张 三 "), " 张 三 ");
        assert_eq!(normalised("email", "a-b@example.org"), "a-b@example.org");
    }

    #[test]
    fn plain_identifiers_are_not_copied() {
        let normalise = find("resident-id").unwrap().normalise;
        assert!(matches!(normalise("11010519491231002X"), Cow::Borrowed(_)));
    }

    #[test]
    fn names_are_distinct_and_well_formed() {
        let mut names: Vec<&str> = all().iter().map(|category| category.name).collect();
        assert!(names.iter().all(|name| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        }));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
        assert!(find("gender").unwrap().domain_size.unwrap() < 1_000_000);
        assert!(find("no-such-category").is_none());
    }
}
