//! Words from which names, addresses and remarks are made. All persons and bodies are invented;
//! division codes and names of places are those of GB/T 2260.

/// A county-level division.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    /// Six-digit division code (GB/T 2260).
    pub(super) code: u32,
    /// Province and city as an address begins; a municipality is written once.
    pub(super) city: &'static str,
    /// County, district or county-level city.
    pub(super) district: &'static str,
    /// Degrees north of the city's centre.
    pub(super) latitude: f64,
    /// Degrees east of the city's centre.
    pub(super) longitude: f64,
}

const fn region(
    code: u32,
    city: &'static str,
    district: &'static str,
    latitude: f64,
    longitude: f64,
) -> Region {
    Region {
        code,
        city,
        district,
        latitude,
        longitude,
    }
}

/// Divisions in which people live; more of them where more people live.
pub(super) const REGIONS: [Region; 64] = [
    region(110_101, "北京市", "东城区", 39.93, 116.42),
    region(110_105, "北京市", "朝阳区", 39.92, 116.44),
    region(110_108, "北京市", "海淀区", 39.96, 116.30),
    region(120_101, "天津市", "和平区", 39.12, 117.21),
    region(130_102, "河北省石家庄市", "长安区", 38.04, 114.54),
    region(130_104, "河北省石家庄市", "桥西区", 38.00, 114.46),
    region(130_202, "河北省唐山市", "路南区", 39.63, 118.15),
    region(140_105, "山西省太原市", "小店区", 37.74, 112.56),
    region(150_102, "内蒙古自治区呼和浩特市", "新城区", 40.86, 111.67),
    region(210_102, "辽宁省沈阳市", "和平区", 41.79, 123.42),
    region(210_202, "辽宁省大连市", "中山区", 38.92, 121.64),
    region(220_102, "吉林省长春市", "南关区", 43.86, 125.35),
    region(230_102, "黑龙江省哈尔滨市", "道里区", 45.76, 126.62),
    region(230_103, "黑龙江省哈尔滨市", "南岗区", 45.76, 126.67),
    region(310_101, "上海市", "黄浦区", 31.23, 121.48),
    region(310_104, "上海市", "徐汇区", 31.19, 121.44),
    region(310_112, "上海市", "闵行区", 31.11, 121.38),
    region(310_115, "上海市", "浦东新区", 31.22, 121.54),
    region(320_102, "江苏省南京市", "玄武区", 32.05, 118.80),
    region(320_106, "江苏省南京市", "鼓楼区", 32.07, 118.77),
    region(320_115, "江苏省南京市", "江宁区", 31.95, 118.84),
    region(320_505, "江苏省苏州市", "虎丘区", 31.30, 120.57),
    region(320_583, "江苏省苏州市", "昆山市", 31.39, 120.98),
    region(330_102, "浙江省杭州市", "上城区", 30.24, 120.17),
    region(330_106, "浙江省杭州市", "西湖区", 30.26, 120.13),
    region(330_108, "浙江省杭州市", "滨江区", 30.21, 120.21),
    region(330_109, "浙江省杭州市", "萧山区", 30.18, 120.26),
    region(330_110, "浙江省杭州市", "余杭区", 30.42, 120.30),
    region(330_203, "浙江省宁波市", "海曙区", 29.87, 121.55),
    region(330_302, "浙江省温州市", "鹿城区", 28.02, 120.65),
    region(330_782, "浙江省金华市", "义乌市", 29.31, 120.07),
    region(340_104, "安徽省合肥市", "蜀山区", 31.85, 117.26),
    region(350_102, "福建省福州市", "鼓楼区", 26.08, 119.30),
    region(350_203, "福建省厦门市", "思明区", 24.45, 118.08),
    region(360_102, "江西省南昌市", "东湖区", 28.69, 115.90),
    region(370_102, "山东省济南市", "历下区", 36.67, 117.08),
    region(370_202, "山东省青岛市", "市南区", 36.08, 120.41),
    region(370_602, "山东省烟台市", "芝罘区", 37.54, 121.40),
    region(410_102, "河南省郑州市", "中原区", 34.75, 113.61),
    region(410_105, "河南省郑州市", "金水区", 34.80, 113.66),
    region(410_302, "河南省洛阳市", "老城区", 34.68, 112.47),
    region(420_102, "湖北省武汉市", "江岸区", 30.60, 114.31),
    region(420_106, "湖北省武汉市", "武昌区", 30.55, 114.32),
    region(430_104, "湖南省长沙市", "岳麓区", 28.24, 112.93),
    region(430_111, "湖南省长沙市", "雨花区", 28.14, 113.04),
    region(440_103, "广东省广州市", "荔湾区", 23.13, 113.24),
    region(440_106, "广东省广州市", "天河区", 23.12, 113.36),
    region(440_304, "广东省深圳市", "福田区", 22.52, 114.06),
    region(440_305, "广东省深圳市", "南山区", 22.53, 113.93),
    region(440_604, "广东省佛山市", "禅城区", 23.01, 113.12),
    region(450_103, "广西壮族自治区南宁市", "青秀区", 22.79, 108.49),
    region(460_106, "海南省海口市", "龙华区", 20.03, 110.33),
    region(500_103, "重庆市", "渝中区", 29.55, 106.57),
    region(500_105, "重庆市", "江北区", 29.61, 106.57),
    region(510_104, "四川省成都市", "锦江区", 30.66, 104.08),
    region(510_107, "四川省成都市", "武侯区", 30.64, 104.04),
    region(520_102, "贵州省贵阳市", "南明区", 26.57, 106.71),
    region(530_102, "云南省昆明市", "五华区", 25.04, 102.71),
    region(540_102, "西藏自治区拉萨市", "城关区", 29.65, 91.14),
    region(610_104, "陕西省西安市", "莲湖区", 34.27, 108.94),
    region(610_113, "陕西省西安市", "雁塔区", 34.22, 108.95),
    region(620_102, "甘肃省兰州市", "城关区", 36.06, 103.83),
    region(640_104, "宁夏回族自治区银川市", "兴庆区", 38.47, 106.29),
    region(
        650_102,
        "新疆维吾尔自治区乌鲁木齐市",
        "天山区",
        43.79,
        87.63,
    ),
];

/// Surnames of one character with their frequency, per thousand people or so.
pub(super) const SURNAMES: [(&str, u16); 20] = [
    ("王李张", 72),
    ("刘陈", 52),
    ("杨", 31),
    ("黄赵", 23),
    ("吴周", 20),
    ("徐孙", 15),
    ("马朱胡林郭", 12),
    ("何高梁罗", 10),
    ("郑谢宋唐许", 8),
    ("韩冯邓曹彭曾", 7),
    ("肖田董袁潘于蒋蔡余杜", 5),
    ("叶程苏魏吕丁任沈姚卢", 4),
    ("姜崔钟谭陆汪范金石廖", 4),
    ("贾夏韦付方白邹孟熊秦", 3),
    ("邱江尹薛闫段雷侯龙史", 3),
    ("陶黎贺顾毛郝龚邵万钱", 2),
    ("严覃武戴莫孔向汤温康", 2),
    ("施文牛樊葛邢安齐易乔", 1),
    ("伍庞颜倪庄聂章鲁岳翟", 1),
    ("殷詹申欧耿关兰焦俞左", 1),
];

/// Surnames of two characters.
pub(super) const COMPOUND_SURNAMES: [&str; 6] = ["欧阳", "司马", "上官", "诸葛", "皇甫", "尉迟"];

/// Characters of men's given names.
pub(super) const GIVEN_MALE: [&str; 48] = [
    "伟", "强", "磊", "军", "洋", "勇", "杰", "涛", "明", "超", "刚", "平", "辉", "建", "国", "志",
    "宏", "峰", "鹏", "飞", "宇", "浩", "然", "梓", "轩", "博", "泽", "晨", "俊", "凯", "东", "旭",
    "阳", "帆", "波", "斌", "嘉", "瑞", "昊", "天", "翔", "逸", "龙", "毅", "健", "诚", "信", "德",
];

/// Characters of women's given names.
pub(super) const GIVEN_FEMALE: [&str; 40] = [
    "芳", "娜", "秀", "英", "敏", "静", "丽", "艳", "娟", "兰", "霞", "桂", "玲", "红", "华", "燕",
    "春", "梅", "雪", "涵", "欣", "怡", "雨", "思", "佳", "琳", "婷", "莹", "晓", "颖", "慧", "倩",
    "楠", "宁", "云", "洁", "文", "月", "诗", "悦",
];

/// Characters outside the basic plane that stand in names (CJK extension B).
pub(super) const GIVEN_RARE: [&str; 3] = ["𠮷", "𣲗", "𦒍"];

/// Whole names of minorities written with a middle dot.
pub(super) const DOTTED_NAMES: [&str; 8] = [
    "阿卜杜拉·买买提",
    "古丽娜尔·艾合买提",
    "艾力·吐尔逊",
    "帕提古丽·依明",
    "努尔兰·哈布力",
    "迪丽拜尔·玉素甫",
    "阿依努尔·叶尔兰",
    "扎西·多吉次仁",
];

/// Roads.
pub(super) const ROADS: [&str; 18] = [
    "人民路",
    "解放路",
    "中山路",
    "建设大街",
    "和平路",
    "长江路",
    "黄河大道",
    "文化路",
    "新华街",
    "科技一路",
    "学府路",
    "滨江大道",
    "迎宾大道",
    "青年路",
    "光明街",
    "幸福路",
    "朝阳北路",
    "工业园区创新大道",
];

/// Housing estates.
pub(super) const ESTATES: [&str; 10] = [
    "阳光花园",
    "锦绣小区",
    "御景湾",
    "紫金苑",
    "城市花园",
    "天玺苑",
    "新都会",
    "格林小镇",
    "紫都城",
    "和谐家园",
];

/// First parts of mail addresses.
pub(super) const MAIL_NAMES: [&str; 12] = [
    "user", "wang", "li", "zhang", "chen", "liu", "hao", "fly", "sunny", "lucky", "office", "x",
];

/// Domains of mail addresses; each as often as it is listed. Reserved for examples (RFC 2606).
pub(super) const MAIL_DOMAINS: [&str; 8] = [
    "mail.example.com",
    "mail.example.com",
    "mail.example.com",
    "post.example.cn",
    "post.example.cn",
    "example.net",
    "example.org",
    "corp.example.com",
];

/// First three digits of mobile numbers.
pub(super) const MOBILE_PREFIXES: [u32; 27] = [
    130, 131, 135, 136, 137, 138, 139, 150, 151, 152, 157, 158, 159, 166, 170, 176, 177, 180, 181,
    182, 186, 187, 188, 189, 191, 198, 199,
];

/// First six digits of bank cards.
pub(super) const CARD_ISSUERS: [u32; 8] = [
    622_202, 622_848, 621_700, 621_661, 622_262, 622_588, 621_483, 625_558,
];

/// Lengths of bank cards; each as often as it is listed.
pub(super) const CARD_LENGTHS: [usize; 10] = [19, 19, 19, 19, 19, 19, 16, 16, 17, 18];

/// Remarks about residents.
pub(super) const REMARKS: [&str; 10] = [
    "低保户",
    "残疾人证持有",
    "退役军人",
    "高龄补贴对象",
    "居住证有效期内",
    "户籍迁移办理中",
    "信息待核验",
    "已核验，无异常",
    "家庭成员信息变更，需窗口复核",
    "特殊岗位从业人员",
];

/// Distinctive parts of names of enterprises.
pub(super) const BRANDS: [&str; 20] = [
    "恒远", "华信", "中科", "瑞丰", "鼎盛", "博雅", "天成", "金桥", "新源", "宏图", "德胜", "康达",
    "万通", "东方", "启明", "云帆", "海纳", "永泰", "嘉禾", "卓越",
];

/// Industries (GB/T 4754 division code and name) with the word an enterprise's name takes.
pub(super) const INDUSTRIES: [(&str, &str); 12] = [
    ("A01 农业", "农业"),
    ("C14 食品制造业", "食品"),
    ("C27 医药制造业", "医药"),
    ("C35 专用设备制造业", "装备"),
    ("E47 房屋建筑业", "建筑工程"),
    ("F51 批发业", "商贸"),
    ("F52 零售业", "百货"),
    ("G54 道路运输业", "物流"),
    ("H62 餐饮业", "餐饮管理"),
    ("I65 软件和信息技术服务业", "信息技术"),
    ("L72 商务服务业", "企业服务"),
    ("M73 研究和试验发展", "科技"),
];

/// Last parts of names of companies.
pub(super) const FORMS: [&str; 4] = ["有限公司", "有限公司", "有限责任公司", "股份有限公司"];

/// Diagnoses with their code (ICD-10).
pub(super) const DIAGNOSES: [&str; 8] = [
    "I10 原发性高血压",
    "E11 2型糖尿病",
    "J06 急性上呼吸道感染",
    "K29 胃炎和十二指肠炎",
    "M54 背痛",
    "F32 抑郁发作",
    "B18 慢性病毒性肝炎",
    "N18 慢性肾脏病",
];
