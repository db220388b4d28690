//! Surnames of two characters, in simplified and traditional script.
//!
//! Only well-attested ones: a pair that is as likely a surname and a given name would show one
//! character too many. So 张简, 张廖 and 范姜, which are rare and begin with frequent surnames, are out.

use super::names::Names;

/// Compound surnames, in the order of their code points.
#[rustfmt::skip]
const COMPOUND: &[&str] = &[
    "万俟", "上官", "东方", "东郭", "东门", "乐正", "乞伏", "亓官", "仆固", "令狐", "仲孙", "仲孫",
    "仲長", "仲长", "公乘", "公仪", "公儀", "公冶", "公孙", "公孫", "公羊", "公良", "公西", "南宫",
    "南宮", "南榮", "南荣", "南門", "南门", "即墨", "叶赫", "司寇", "司徒", "司空", "司馬", "司马",
    "呼延", "哥舒", "壤駟", "壤驷", "夏侯", "太叔", "太史", "夹谷", "夾谷", "子車", "子车", "宇文",
    "完顏", "完颜", "宗政", "宰父", "富察", "尉迟", "尉遲", "屈突", "左丘", "巫馬", "巫马", "微生",
    "慕容", "拓跋", "斛律", "東方", "東郭", "東門", "梁丘", "樂正", "欧阳", "歐陽", "段干", "毋丘",
    "沮渠", "淳于", "漆雕", "澹台", "澹臺", "濮阳", "濮陽", "独孤", "獨孤", "申屠", "百里", "皇甫",
    "禿發", "秃发", "穀梁", "端木", "第五", "納蘭", "綦毋", "綦连", "纳兰", "羊舌", "耶律", "聞人",
    "萬俟", "葉赫", "西門", "西门", "諸葛", "诸葛", "谷梁", "豆卢", "豆盧", "費莫", "賀拔", "賀若",
    "賀蘭", "费莫", "贺兰", "贺拔", "贺若", "赫连", "赫連", "軒轅", "轩辕", "达奚", "達奚", "那拉",
    "鍾離", "鐘離", "钟离", "長孫", "长孙", "閭丘", "闻人", "闾丘", "顓孫", "颛孙", "鮮于", "鲜于",
];

static COMPOUND_BY_NAME: Names<512> = Names::new(COMPOUND);

/// Whether two characters are a compound surname.
pub(super) fn is_compound(two: &str) -> bool {
    COMPOUND_BY_NAME.find(two).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_of_two_characters() {
        assert!(COMPOUND.is_sorted());
        assert!(COMPOUND.iter().all(|name| name.chars().count() == 2));
        for rare in ["张简", "张廖", "張簡", "張廖", "范姜"] {
            assert!(!is_compound(rare), "{rare}");
        }
    }
}
