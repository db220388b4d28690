//! Names of persons: surnames by frequency, characters of given names by sex.
//!
//! Surnames with their share of the population in parts per ten thousand, rounded, and their
//! reading; the share follows the Ministry of Public Security's yearly report on names. Surnames
//! of two characters stand at the end.

/// Each entry: surname, reading, share.
pub(super) const SURNAMES: &str = "\
王wang725 李li719 张zhang683 刘liu538 陈chen453 杨yang308 赵zhao229 黄huang223 周zhou212 吴wu205
徐xu166 孙sun154 胡hu131 朱zhu126 高gao121 林lin118 何he117 郭guo115 马ma110 罗luo86
梁liang84 宋song81 郑zheng78 谢xie76 韩han68 唐tang65 冯feng64 于yu62 董dong61 肖xiao59
程cheng57 曹cao57 袁yuan54 邓deng54 许xu54 傅fu51 沈shen50 曾zeng50 彭peng49 吕lv47
苏su47 卢lu47 蒋jiang47 蔡cai46 贾jia42 丁ding42 魏wei42 薛xue42 叶ye42 阎yan42
余yu41 潘pan41 杜du41 戴dai39 夏xia39 钟zhong39 汪wang39 田tian38 任ren38 姜jiang37
范fan37 方fang37 石shi34 姚yao33 谭tan33 廖liao33 邹zou30 熊xiong30 金jin29 陆lu29
郝hao27 孔kong27 白bai27 崔cui26 康kang26 毛mao25 邱qiu24 秦qin24 江jiang24 史shi23
顾gu23 侯hou22 邵shao22 孟meng22 龙long21 万wan21 段duan21 雷lei21 钱qian21 汤tang20
尹yin20 黎li20 易yi19 常chang19 武wu18 乔qiao17 贺he17 赖lai17 龚gong17 文wen16
欧阳ouyang7 上官shangguan1 司马sima1 诸葛zhuge1 司徒situ1 东方dongfang1 皇甫huangfu1 尉迟yuchi1
";

/// The ten most frequent surnames, and those that follow: bounds of the classes of frequency.
pub(super) const FREQUENT: usize = 10;

/// Surnames of one character; the rest have two.
pub(super) const SINGLE: usize = 100;

/// Characters of men's given names.
pub(super) const MALE: &str = "\
伟强磊军洋勇杰涛明超刚平辉建国志宏峰鹏飞宇浩然梓轩博泽晨俊凯东旭阳帆波斌嘉瑞昊天翔逸龙毅健诚信德\
林海山川松柏文武斯豪子涵睿哲航铭皓宸煜霖钧钢铁民利荣祥胜学才发良生福贵元全友安康顺兴达茂永长庆";

/// Characters of women's given names.
pub(super) const FEMALE: &str = "\
芳娜秀英敏静丽艳娟兰霞桂玲红华燕春梅雪涵欣怡雨思佳琳婷莹晓颖慧倩楠宁云洁文月诗悦\
萍芬琴珍凤莲菊翠蓉薇蕾芸茜菲妍妮娅婧媛嫣岚彤心可依语桐若曦梦瑶珊珠玉琪琼瑛璐睿颜淑惠贞素爱美香";

/// Syllables of names written with a middle dot.
pub(super) const SYLLABLES: &str = "阿艾依吐买提江古丽娜尔迪拜热合曼巴特扎西多吉次仁卓玛旺努";
