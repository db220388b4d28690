//! Names, addresses, e-mail and IP addresses.

use super::{assert_invalid, keeping, masked, of};
use crate::testing::{cases_of, treat, treat_one};

#[test]
fn a_name_shows_its_surname_and_not_its_length() {
    for (name, expected) in [
        ("张三", "张**"),
        ("张三丰", "张**"),
        ("欧阳娜娜", "欧阳**"),
        ("諸葛亮", "諸葛**"),
        ("欧阳", "欧**"),
        ("𠮷野家", "𠮷**"),
        ("张 三", "张**"),
        ("葛\u{E0100}城", "葛\u{E0100}**"),
        ("阿卜杜拉·买买提", "阿**·买**"),
        ("阿卜杜拉.买买提", "阿**·买**"),
        ("迪丽•热•巴提", "迪**·**·巴**"),
    ] {
        assert_eq!(masked("person-name", name), expected, "{name}");
    }
    assert_eq!(
        treat_one(&keeping("person-name", "nothing"), "欧阳娜娜"),
        Some("**".into())
    );
    let same = "{ kind = 'typed-mask', of = 'person-name', length = 'same', fill = '某' }";
    assert_eq!(treat_one(same, "司马相如"), Some("司马某某".into()));
    assert_invalid(
        "person-name",
        &["John Smith", "张三丰李四王", "张3", "·张三", "张三·", "张·"],
    );
}

#[test]
fn a_name_of_one_character_is_short() {
    let treated = treat(&of("person-name"), &[Some("张")]);
    assert_eq!(cases_of(&treated), (0, 0, 1, 0));
    assert_eq!(masked("person-name", "张"), "**");
}

#[test]
fn an_address_is_cut_after_a_level() {
    for (keep, value, expected) in [
        (
            "district",
            "浙江省杭州市西湖区文三路1号",
            "浙江省杭州市西湖区***",
        ),
        ("city", "浙江省杭州市西湖区文三路1号", "浙江省杭州市***"),
        ("province", "浙江省杭州市西湖区文三路1号", "浙江省***"),
        ("nothing", "浙江省杭州市西湖区文三路1号", "***"),
        (
            "district",
            "中国浙江省 杭州市 西湖区 文三路1号",
            "浙江省杭州市西湖区***",
        ),
        ("city", "北京市朝阳区建国路88号", "北京市***"),
        (
            "district",
            "北京市市辖区朝阳区建国路88号",
            "北京市市辖区朝阳区***",
        ),
        ("district", "上海浦东新区世纪大道1号", "上海浦东新区***"),
        (
            "district",
            "重庆市彭水苗族土家族自治县汉葭街道1号",
            "重庆市彭水苗族土家族自治县***",
        ),
        (
            "district",
            "内蒙古自治区锡林郭勒盟正镶白旗明安图镇",
            "内蒙古自治区锡林郭勒盟正镶白旗***",
        ),
        (
            "city",
            "新疆维吾尔自治区喀什地区莎车县城关镇",
            "新疆维吾尔自治区喀什地区***",
        ),
        (
            "district",
            "青海省海南藏族自治州共和县恰卜恰镇",
            "青海省海南藏族自治州共和县***",
        ),
    ] {
        let written = treat_one(&keeping("address", keep), value);
        assert_eq!(written, Some(expected.into()), "{value}");
    }
}

#[test]
fn an_address_is_cut_where_names_mislead() {
    for (keep, value, expected) in [
        ("district", "吉林市船营区解放大路1号", "吉林市船营区***"),
        ("city", "吉林省吉林市船营区解放大路1号", "吉林省吉林市***"),
        (
            "district",
            "湖北省荆州市沙市区北京路1号",
            "湖北省荆州市沙市区***",
        ),
        (
            "district",
            "湖南省常德市津市市孟姜女大道",
            "湖南省常德市津市市***",
        ),
        (
            "district",
            "山东省济南市市中区经四路1号",
            "山东省济南市市中区***",
        ),
        (
            "district",
            "河南省新乡市红旗区平原路",
            "河南省新乡市红旗区***",
        ),
        (
            "district",
            "江苏省南京市鼓楼区中山路1号",
            "江苏省南京市鼓楼区***",
        ),
        ("district", "湖北省仙桃市龙华山街道1号", "湖北省仙桃市***"),
        ("city", "湖北省仙桃市龙华山街道1号", "湖北省***"),
        ("district", "广东省东莞市长安镇1号", "广东省东莞市***"),
        ("district", "西湖区文三路1号", "西湖区***"),
    ] {
        assert_eq!(
            treat_one(&keeping("address", keep), value),
            Some(expected.into()),
            "{value}"
        );
    }
}

#[test]
fn a_street_or_an_estate_is_not_taken_for_a_district() {
    for (value, expected) in [
        ("浙江省杭州市阳光花城东区3幢", "浙江省杭州市***"),
        ("浙江省杭州市文三路18号翠苑小区", "浙江省杭州市***"),
        ("浙江省杭州市翠湖小区3幢", "浙江省杭州市***"),
        ("浙江省杭州市幸福新村三区", "浙江省杭州市***"),
        ("浙江省义乌市佛堂镇市场路", "浙江省义乌市***"),
        ("浙江省杭州市龙坞乡市场", "浙江省杭州市***"),
    ] {
        assert_eq!(masked("address", value), expected);
    }
    assert_invalid(
        "address",
        &[
            "北京路12号",
            "文三路1号",
            "翠湖小区3幢",
            "12345",
            "上海新村",
            "浙江",
        ],
    );
}

#[test]
fn only_what_the_table_of_divisions_knows_is_a_district() {
    for (value, expected) in [
        ("浙江省杭州市红旗路12号3单元", "浙江省杭州市***"),
        ("黑龙江省哈尔滨市红旗大街88号", "黑龙江省哈尔滨市***"),
        ("浙江省杭州市国际城市花园3幢501室", "浙江省杭州市***"),
        ("浙江省杭州市王家庄市民公寓12号", "浙江省杭州市***"),
        ("广东省广州市珠江新城市民广场", "广东省广州市***"),
        ("浙江省杭州市联华超市对面", "浙江省杭州市***"),
        ("浙江省杭州市北门菜市场旁3号", "浙江省杭州市***"),
        ("江苏省南京市王小明旗下公司", "江苏省南京市***"),
        // A district of another city, a city of another province, a district of former years.
        ("浙江省杭州市天河区文三路1号", "浙江省杭州市***"),
        ("浙江省广州市天河区文三路1号", "浙江省***"),
        ("浙江省杭州市江干区文三路1号", "浙江省杭州市***"),
        // Prefectures of former years lead to the districts that are there now.
        (
            "新疆维吾尔自治区哈密地区伊州区1号",
            "新疆维吾尔自治区哈密地区伊州区***",
        ),
        ("河北省承德市鹰手营子矿区1号", "河北省承德市鹰手营子矿区***"),
        (
            "内蒙古自治区包头市白云鄂博矿区1号",
            "内蒙古自治区包头市白云鄂博矿区***",
        ),
    ] {
        assert_eq!(masked("address", value), expected);
    }
    assert_invalid("address", &["红旗路12号", "张三市民卡", "王小明旗下公司"]);
}

#[test]
fn an_address_shows_no_more_the_shorter_it_is() {
    // Hutool covers the last eight characters, so that of a long address the street stays and of
    // one with eight characters or fewer nothing but that it is one.
    for street in ["文三路1号", "文三路18号翠苑小区3幢2单元501室张三转交"] {
        let value = format!("浙江省杭州市西湖区{street}");
        assert_eq!(masked("address", &value), "浙江省杭州市西湖区***");
    }
    assert_eq!(masked("address", "西湖区1号"), "西湖区***");
    let same = "{ kind = 'typed-mask', of = 'address', length = 'same' }";
    assert_eq!(
        treat_one(same, "浙江省杭州市西湖区 文三路 1号"),
        Some("浙江省杭州市西湖区*****".into())
    );
}

#[test]
fn a_result_that_is_the_value_in_its_one_spelling_is_short() {
    let with = |of: &str, fill: &str, rest: &str| {
        format!("{{ kind = 'typed-mask', of = '{of}', fill = '{fill}'{rest} }}")
    };
    for (spec, value) in [
        (with("mobile", "0", ""), "138-0000-0000"),
        (with("mobile", "0", ""), "13800000000"),
        (with("person-name", "三", ", length = 1"), "张 三"),
        (
            with("person-name", "某", ", length = 'same'"),
            "阿某某·买某",
        ),
        (
            with("person-name", "某", ", length = 'same'"),
            "阿某某.买某",
        ),
        (with("address", "路", ", length = 2"), "浙江省杭州市 路路"),
        (with("ip", "0", ""), "2001::"),
        (with("ip", "0", ""), "10.0.0.0"),
        (with("ip", "0", ""), " 10.0.0.0 "),
        (with("landline", "6", ""), "(0571)66666666"),
        (
            with("email", "a", ", length = 2, keep = 'domain'"),
            "aa@B.cn",
        ),
    ] {
        let treated = treat(&spec, &[Some(value)]);
        assert_eq!(cases_of(&treated), (0, 0, 1, 0), "{spec} {value}");
    }
    // Another value with that result is masked.
    let written = treat_one(&with("mobile", "0", ""), "138-0000-0001");
    assert_eq!(written, Some("13800000000".into()));
}

#[test]
fn a_rare_compound_surname_is_taken_for_a_frequent_one() {
    for (name, expected) in [("张简宁", "张**"), ("范姜文", "范**"), ("夏侯惇", "夏侯**")]
    {
        assert_eq!(masked("person-name", name), expected);
    }
}

#[test]
fn an_address_without_a_tail_is_short() {
    let treated = treat(
        &of("address"),
        &[Some("浙江省杭州市西湖区"), Some("浙江省杭州市")],
    );
    assert_eq!(cases_of(&treated), (0, 0, 2, 0));
    assert_eq!(masked("address", "浙江省杭州市西湖区"), "***");
    let dropped = "{ kind = 'typed-mask', of = 'address', length = 0 }";
    assert_eq!(
        treat_one(dropped, "浙江省杭州市西湖区文三路"),
        Some("浙江省杭州市西湖区".into())
    );
}

#[test]
fn an_email_address_shows_its_top_level() {
    assert_eq!(masked("email", "zhang.san@hz.gov.cn"), "***@***.cn");
    assert_eq!(masked("email", " Z@EXAMPLE.COM "), "***@***.com");
    assert_eq!(
        treat_one(&keeping("email", "nothing"), "z@a.cn"),
        Some("***@***".into())
    );
    assert_eq!(
        treat_one(&keeping("email", "domain"), "z@a.cn"),
        Some("***@a.cn".into())
    );
    let first = keeping("email", "domain-and-first");
    assert_eq!(treat_one(&first, "zhang＠a.cn"), Some("z***@a.cn".into()));
    let treated = treat(&first, &[Some("z@a.cn")]);
    assert_eq!(
        cases_of(&treated),
        (0, 0, 1, 0),
        "its only character would show"
    );
}

#[test]
fn an_address_without_an_at_sign_or_with_an_early_one_never_passes() {
    // Hutool returns addresses whose `@` is missing or among the first two characters as they are.
    assert_invalid(
        "email",
        &[
            "zhang.san",
            "@a.cn",
            "a@b@c.cn",
            "a@b",
            "a@.cn",
            "a..b@c.cn",
            "张@a.cn",
            "a@1.2.3.4",
            "a@-b.cn",
        ],
    );
}

#[test]
fn an_ip_address_shows_its_first_part() {
    assert_eq!(masked("ip", "192.168.17.5"), "192.*.*.*");
    assert_eq!(masked("ip", "::ffff:10.1.2.3"), "10.*.*.*");
    assert_eq!(masked("ip", "2001:db8::1"), "2001:*:*:*:*:*:*:*");
    let three = keeping("ip", "three-parts");
    assert_eq!(
        treat_one(&three, "192.168.17.5"),
        Some("192.168.17.*".into())
    );
    assert_eq!(
        treat_one(&three, "2001:DB8::1"),
        Some("2001:db8:0:*:*:*:*:*".into())
    );
    assert_invalid(
        "ip",
        &[
            "192.168.17",
            "192.168.17.256",
            "010.1.1.1",
            "1.2.3.4/24",
            "fe80::1%eth0",
            "x",
        ],
    );
}
