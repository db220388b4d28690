//! Names of persons: surnames by frequency, characters of given names by sex.
//!
//! Surnames with their share of the population in parts per ten thousand, rounded, and their
//! reading: the hundred most frequent of one character, and a few of two at the end. Shares are those
//! of Faker 40.63 (MIT licence), which has them from Wikipedia's list of Chinese surnames by rank;
//! of the surnames of two characters it lists 欧阳 alone, the others count as the rarest. 萧 is
//! written 肖 here, as most who bear it write it.

/// Each entry: surname, reading, share.
pub(super) const SURNAMES: &str = "\
王wang717 李li700 张zhang674 刘liu510 陈chen461 杨yang322 黄huang245 吴wu200 赵zhao200 周zhou190
徐xu145 孙sun138 马ma129 朱zhu128 胡hu116 林lin113 郭guo113 何he106 高gao100 罗luo95
郑zheng93 梁liang85 谢xie76 宋song70 唐tang69 许xu66 邓deng62 冯feng62 韩han61 曹cao60
曾zeng58 彭peng58 肖xiao56 蔡cai53 潘pan52 田tian52 董dong51 袁yuan50 于yu48 余yu48
叶ye48 蒋jiang48 杜du47 苏su46 魏wei45 程cheng45 吕lv45 丁ding43 沈shen41 任ren41
姚yao40 卢lu40 傅fu40 钟zhong40 姜jiang39 崔cui38 谭tan38 廖liao37 范fan36 汪wang36
陆lu36 金jin35 石shi34 戴dai34 贾jia33 韦wei32 夏xia32 邱qiu32 方fang31 侯hou30
邹zou30 熊xiong29 孟meng29 秦qin29 白bai28 江jiang28 阎yan27 薛xue26 尹yin26 段duan24
雷lei24 黎li22 史shi21 龙long21 陶tao21 贺he21 顾gu20 毛mao20 郝hao20 龚gong20
邵shao20 万wan19 钱qian19 严yan19 赖lai18 覃qin18 洪hong18 武wu18 莫mo18 孔kong17
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
