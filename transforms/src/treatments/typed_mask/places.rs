//! Names of provinces and prefecture-level divisions (GB/T 2260), for reading addresses.

use super::names::Names;

/// A province at the beginning of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Province {
    /// Bytes of its name.
    pub(super) bytes: usize,
    /// Whether it is a municipality or a special administrative region: a city too.
    pub(super) is_city: bool,
    /// Whether the name stands without the word for what it is (`浙江`).
    pub(super) bare: bool,
}

/// The short names of provinces, and the word that makes them whole. In the order of their code
/// points; the first two characters of each are its own.
const PROVINCES: &[(&str, &str)] = &[
    ("上海", "市"),
    ("云南", "省"),
    ("内蒙古", "自治区"),
    ("北京", "市"),
    ("台湾", "省"),
    ("吉林", "省"),
    ("四川", "省"),
    ("天津", "市"),
    ("宁夏", "回族自治区"),
    ("安徽", "省"),
    ("山东", "省"),
    ("山西", "省"),
    ("广东", "省"),
    ("广西", "壮族自治区"),
    ("新疆", "维吾尔自治区"),
    ("江苏", "省"),
    ("江西", "省"),
    ("河北", "省"),
    ("河南", "省"),
    ("浙江", "省"),
    ("海南", "省"),
    ("湖北", "省"),
    ("湖南", "省"),
    ("澳门", "特别行政区"),
    ("甘肃", "省"),
    ("福建", "省"),
    ("西藏", "自治区"),
    ("贵州", "省"),
    ("辽宁", "省"),
    ("重庆", "市"),
    ("陕西", "省"),
    ("青海", "省"),
    ("香港", "特别行政区"),
    ("黑龙江", "省"),
];

/// Prefecture-level divisions: cities without their last character, others whole. In the order of
/// their code points.
#[rustfmt::skip]
const PREFECTURES: &[&str] = &[
    "七台河", "三亚", "三明", "三沙", "三门峡", "上饶", "东莞", "东营", "中卫", "中山",
    "临夏回族自治州", "临汾", "临沂", "临沧", "丹东", "丽水", "丽江", "乌兰察布", "乌海",
    "乌鲁木齐", "乐山", "九江", "云浮", "亳州", "伊春", "伊犁哈萨克自治州", "佛山", "佳木斯",
    "保定", "保山", "信阳", "儋州", "克孜勒苏柯尔克孜自治州", "克拉玛依", "六安", "六盘水", "兰州",
    "兴安盟", "内江", "凉山彝族自治州", "包头", "北海", "十堰", "南京", "南充", "南宁", "南平",
    "南昌", "南通", "南阳", "博尔塔拉蒙古自治州", "厦门", "双鸭山", "台州", "合肥", "吉安", "吉林",
    "吐鲁番", "吐鲁番地区", "吕梁", "吴忠", "周口", "呼伦贝尔", "呼和浩特", "和田地区", "咸宁",
    "咸阳", "哈密", "哈密地区", "哈尔滨", "唐山", "商丘", "商洛", "喀什地区", "嘉兴", "嘉峪关",
    "四平", "固原", "塔城地区", "大兴安岭地区", "大同", "大庆", "大理白族自治州", "大连", "天水",
    "太原", "威海", "娄底", "孝感", "宁德", "宁波", "安庆", "安康", "安阳", "安顺", "定西", "宜宾",
    "宜昌", "宜春", "宝鸡", "宣城", "宿州", "宿迁", "山南", "山南地区", "岳阳", "崇左", "巴中",
    "巴彦淖尔", "巴音郭楞蒙古自治州", "常州", "常德", "平凉", "平顶山", "广元", "广安", "广州",
    "庆阳", "廊坊", "延安", "延边朝鲜族自治州", "开封", "张家口", "张家界", "张掖", "徐州",
    "德宏傣族景颇族自治州", "德州", "德阳", "忻州", "怀化", "怒江傈僳族自治州",
    "恩施土家族苗族自治州", "惠州", "成都", "扬州", "承德", "抚州", "抚顺", "拉萨", "揭阳",
    "攀枝花", "文山壮族苗族自治州", "新乡", "新余", "无锡", "日喀则", "日喀则地区", "日照", "昆明",
    "昌吉回族自治州", "昌都", "昌都地区", "昭通", "晋中", "晋城", "普洱", "景德镇", "曲靖", "朔州",
    "朝阳", "本溪", "来宾", "杭州", "松原", "林芝", "林芝地区", "果洛藏族自治州", "枣庄", "柳州",
    "株洲", "桂林", "梅州", "梧州", "楚雄彝族自治州", "榆林", "武威", "武汉", "毕节", "毕节地区",
    "永州", "汉中", "汕头", "汕尾", "江门", "池州", "沈阳", "沧州", "河池", "河源", "泉州", "泰安",
    "泰州", "泸州", "洛阳", "济南", "济宁", "海东", "海东地区", "海北藏族自治州", "海南藏族自治州",
    "海口", "海西蒙古族藏族自治州", "淄博", "淮北", "淮南", "淮安", "深圳", "清远", "温州", "渭南",
    "湖州", "湘潭", "湘西土家族苗族自治州", "湛江", "滁州", "滨州", "漯河", "漳州", "潍坊", "潮州",
    "濮阳", "烟台", "焦作", "牡丹江", "玉林", "玉树藏族自治州", "玉溪", "珠海", "甘南藏族自治州",
    "甘孜藏族自治州", "白城", "白山", "白银", "百色", "益阳", "盐城", "盘锦", "眉山", "石嘴山",
    "石家庄", "福州", "秦皇岛", "红河哈尼族彝族自治州", "绍兴", "绥化", "绵阳", "聊城", "肇庆",
    "自贡", "舟山", "芜湖", "苏州", "茂名", "荆州", "荆门", "莆田", "莱芜", "菏泽", "萍乡", "营口",
    "葫芦岛", "蚌埠", "衡水", "衡阳", "衢州", "襄阳", "西双版纳傣族自治州", "西宁", "西安", "许昌",
    "贵港", "贵阳", "贺州", "资阳", "赣州", "赤峰", "辽源", "辽阳", "达州", "运城", "连云港",
    "迪庆藏族自治州", "通化", "通辽", "遂宁", "遵义", "邢台", "那曲", "那曲地区", "邯郸", "邵阳",
    "郑州", "郴州", "鄂尔多斯", "鄂州", "酒泉", "金华", "金昌", "钦州", "铁岭", "铜仁", "铜仁地区",
    "铜川", "铜陵", "银川", "锡林郭勒盟", "锦州", "镇江", "长春", "长沙", "长治", "阜新", "阜阳",
    "防城港", "阳江", "阳泉", "阿克苏地区", "阿勒泰地区", "阿坝藏族羌族自治州", "阿拉善盟",
    "阿里地区", "陇南", "随州", "雅安", "青岛", "鞍山", "韶关", "马鞍山", "驻马店", "鸡西", "鹤壁",
    "鹤岗", "鹰潭", "黄冈", "黄南藏族自治州", "黄山", "黄石", "黑河", "黔东南苗族侗族自治州",
    "黔南布依族苗族自治州", "黔西南布依族苗族自治州", "齐齐哈尔", "龙岩",
];

/// Bytes of two Han characters.
const TWO: usize = "浙江".len();

/// The first two characters of the provinces.
const PROVINCES_BEGIN: [&str; PROVINCES.len()] = beginnings();

static PROVINCES_BY_BEGINNING: Names<256> = Names::new(&PROVINCES_BEGIN);

static PREFECTURES_BY_NAME: Names<2048> = Names::new(PREFECTURES);

#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn beginnings() -> [&'static str; PROVINCES.len()] {
    let mut beginnings = [""; PROVINCES.len()];
    let mut place = 0;
    while place < PROVINCES.len() {
        beginnings[place] = PROVINCES[place].0.split_at(TWO).0;
        place += 1;
    }
    beginnings
}

/// The province that text begins with.
pub(super) fn province(text: &str) -> Option<Province> {
    let (short, word) = PROVINCES.get(PROVINCES_BY_BEGINNING.find(text.get(..TWO)?)?)?;
    if short.len() > TWO && !text.starts_with(short) {
        return None;
    }
    let rest = text.get(short.len()..).unwrap_or_default();
    let is_city = matches!(*word, "市" | "特别行政区");
    if rest.starts_with(word) {
        return Some(Province {
            bytes: short.len() + word.len(),
            is_city,
            bare: false,
        });
    }
    // 吉林市 and 海南藏族自治州 lie in provinces that their addresses leave out.
    if rest.starts_with("市") || rest.starts_with("藏族自治州") {
        return None;
    }
    Some(Province {
        bytes: short.len(),
        is_city,
        bare: true,
    })
}

/// Whether a name is that of a prefecture-level division: a city without its last character, or
/// another whole.
pub(super) fn is_prefecture(name: &str) -> bool {
    PREFECTURES_BY_NAME.find(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::divisions::Divisions;

    #[test]
    fn every_province_and_prefecture_of_today_is_known() {
        for own in Divisions::new().all() {
            let found = province(own.province).unwrap();
            assert_eq!((found.bytes, found.bare), (own.province.len(), false));
            let name = own.prefecture.strip_suffix('市').unwrap_or(own.prefecture);
            assert!(name.is_empty() || is_prefecture(name), "{name}");
        }
    }

    #[test]
    fn names_are_in_order() {
        assert!(PREFECTURES.is_sorted());
        assert!(PROVINCES.is_sorted());
        for (short, word) in PROVINCES {
            let found = province(&format!("{short}{word}")).unwrap();
            assert_eq!(
                (found.bytes, found.bare),
                (short.len() + word.len(), false),
                "{short}"
            );
            assert!(province(&format!("{short}某某区")).unwrap().bare, "{short}");
        }
    }
}
