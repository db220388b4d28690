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
