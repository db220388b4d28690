//! The tables that the suite attacks: what a provider declares of them, invented rows, and what an
//! outsider who holds a delivery guesses.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};

use super::draw::Draw;
use crate::site::{Dataset, Grant};

/// A table of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// A key and numbers.
    Register,
    /// Everything that names a person is masked.
    Masked,
    /// Words and text; one date.
    Text,
    /// Pseudonyms that carry a tag.
    Tagged,
}

/// How far the catalogue lets marks move values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freedom {
    /// As the suite's tables are declared.
    Full,
    /// Half as far.
    Half,
    /// Not at all.
    None,
}

/// What an outsider thinks could carry a mark.
#[derive(Debug, Clone, Copy)]
pub enum Guess {
    /// A column of numbers, that moves by at most `reach` times `grain` of what it shows.
    Number {
        /// The column.
        column: &'static str,
        /// How far, in grains.
        reach: i128,
        /// The smallest move, in the column's smallest unit.
        grain: i128,
    },
    /// A column of words of which some mean the same.
    Words {
        /// The column.
        column: &'static str,
    },
}

const SURNAMES: &[&str] = &[
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林",
    "何", "郭", "马", "罗", "欧阳", "上官",
];
const GIVEN: &[&str] = &[
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明",
    "超", "秀英", "桂花", "建国", "志强", "晓明", "雪", "梅", "婷", "宇轩", "子涵", "欣怡",
];
const STREETS: &[&str] = &[
    "文三路",
    "解放路",
    "人民路",
    "中山北路",
    "建设大道",
    "体育场路",
    "学院路",
    "滨江大道",
    "延安路",
    "古墩路",
];
const TRADES: &[&str] = &[
    "餐饮",
    "软件开发",
    "运输",
    "纺织",
    "建材",
    "医药零售",
    "家政服务",
    "印刷",
];
/// Words that mean the same, by field.
const SEXES: &[[&str; 2]] = &[["男", "男性"], ["女", "女性"]];
const SCHOOLS: &[[&str; 2]] = &[
    ["本科", "大学本科"],
    ["专科", "大学专科"],
    ["硕士", "硕士研究生"],
    ["高中", "普通高中"],
    ["初中", "普通初中"],
];
const CITIES: &[[&str; 2]] = &[
    ["杭州", "杭州市"],
    ["宁波", "宁波市"],
    ["温州", "温州市"],
    ["绍兴", "绍兴市"],
    ["金华", "金华市"],
    ["嘉兴", "嘉兴市"],
];
const STATES: &[[&str; 2]] = &[
    ["存续", "存续在业"],
    ["注销", "已注销"],
    ["迁出", "已迁出"],
    ["吊销", "已吊销"],
];

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Register, Self::Masked, Self::Text, Self::Tagged];

    /// Those whose marks are in clear values.
    pub const CLEAR: &'static [Self] = &[Self::Register, Self::Masked, Self::Text];

    /// Its name, which is its dataset's id.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Masked => "masked",
            Self::Text => "text",
            Self::Tagged => "tagged",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Register => {
                "a register: a clear key, a telephone number, two amounts, a score, a time"
            }
            Self::Masked => {
                "masked only: number of the person pseudonymised for each grant, name and telephone \
                 masked, date of birth, an amount, a time"
            }
            Self::Text => {
                "text and categories: key, name, address, free text, four fields with synonyms, a \
                 date"
            }
            Self::Tagged => {
                "pseudonyms of each grant's own with a tag of four characters, masked name, an \
                 amount"
            }
        }
    }

    /// The catalogue's entry.
    #[must_use]
    pub fn dataset(self, id: &str, freedom: Freedom) -> Dataset {
        let source = format!(
            "store = \"lake\", path = \"{}/\", format = \"parquet\"",
            self.name()
        );
        let dataset = Dataset::new(id).source(&source);
        let moves = |dataset: Dataset, full: &str, half: &str| match freedom {
            Freedom::Full => dataset.declaring(full),
            Freedom::Half => dataset.declaring(half),
            Freedom::None => dataset,
        };
        let tolerant = |dataset: Dataset, full: &str, half: &str| {
            let line = |tolerance: &str| format!("tolerance = \"{tolerance}\"");
            moves(dataset, &line(full), &line(half))
        };
        let alike = |dataset: Dataset, words: &[[&str; 2]]| {
            let line = format!("synonyms = {words:?}");
            moves(dataset, &line, &line)
        };
        match self {
            Self::Register => {
                let dataset = dataset
                    .more("key = ['id']")
                    .field("id", "utf8", "other", "2")
                    .field("name", "utf8", "person-name", "3")
                    .field("phone", "utf8", "mobile", "3")
                    .field("amount", "decimal(12,2)", "income", "3");
                let dataset = tolerant(dataset, "5.00", "2.50");
                let dataset = dataset.field("balance", "decimal(14,2)", "other", "3");
                let dataset = tolerant(dataset, "2.00", "1.00");
                let dataset = dataset.field("score", "float64", "other", "2");
                let decimals = |tolerance| format!("tolerance = \"{tolerance}\"\ndecimals = 3");
                let dataset = moves(dataset, &decimals("0.5"), &decimals("0.25"));
                tolerant(
                    dataset.field("updated", "timestamp(ms)", "other", "1"),
                    "30s",
                    "15s",
                )
            }
            Self::Masked => {
                let dataset = dataset
                    .field("person", "utf8", "resident-id", "3")
                    .field("name", "utf8", "person-name", "3")
                    .field("phone", "utf8", "mobile", "3")
                    .field("born", "date", "birth-date", "2")
                    .field("paid", "decimal(12,2)", "income", "3");
                let dataset = tolerant(dataset, "5.00", "2.50");
                tolerant(
                    dataset.field("visited", "timestamp(ms)", "other", "1"),
                    "30s",
                    "15s",
                )
            }
            Self::Text => {
                let dataset = dataset
                    .more("key = ['code']")
                    .field("code", "utf8", "other", "1")
                    .field("name", "utf8", "person-name", "2")
                    .field("address", "utf8", "address", "2")
                    .field("sex", "utf8", "gender", "1");
                let dataset = alike(dataset, SEXES).field("school", "utf8", "other", "1");
                let dataset = alike(dataset, SCHOOLS).field("city", "utf8", "other", "1");
                let dataset = alike(dataset, CITIES).field("state", "utf8", "other", "1");
                let dataset = alike(dataset, STATES).field("opened", "date", "other", "1");
                tolerant(dataset, "2d", "1d").field("remark", "utf8", "free-text", "1")
            }
            Self::Tagged => {
                let dataset = dataset
                    .more("key = ['person']")
                    .field("person", "utf8", "resident-id", "3")
                    .field("name", "utf8", "person-name", "3")
                    .field("paid", "decimal(12,2)", "income", "3");
                tolerant(dataset, "5.00", "2.50")
            }
        }
    }

    /// A grant of all its fields.
    #[must_use]
    pub fn grant(self, id: &str, dataset: &str) -> Grant {
        self.granted(id, dataset, ", tag = 4")
    }

    /// The same without room for tags.
    #[must_use]
    pub fn untagged_grant(self, id: &str, dataset: &str) -> Grant {
        self.granted(id, dataset, "")
    }

    fn granted(self, id: &str, dataset: &str, tag: &str) -> Grant {
        let pseudonym = |tag: &str| format!("{{ kind = 'hmac', domain = 'person.id'{tag} }}");
        let name = "{ kind = 'keep-ends', first = 1, last = 0 }";
        match self {
            Self::Register => Grant::new(
                id,
                dataset,
                &[
                    "id", "name", "phone", "amount", "balance", "score", "updated",
                ],
            ),
            Self::Masked => Grant::new(
                id,
                dataset,
                &["person", "name", "phone", "born", "paid", "visited"],
            )
            .treatment("person", &pseudonym(""))
            .treatment("name", name)
            .treatment("phone", "{ kind = 'keep-ends', first = 3, last = 4 }"),
            Self::Text => Grant::new(
                id,
                dataset,
                &[
                    "code", "name", "address", "sex", "school", "city", "state", "opened", "remark",
                ],
            ),
            Self::Tagged => Grant::new(id, dataset, &["person", "name", "paid"])
                .treatment("person", &pseudonym(tag))
                .treatment("name", name),
        }
    }

    /// What an outsider takes for carriers: every number and time, by as much as the manifest says
    /// that values moved, and every column that holds two words for one thing.
    #[must_use]
    pub fn guesses(self) -> &'static [Guess] {
        const fn number(column: &'static str, reach: i128, grain: i128) -> Guess {
            Guess::Number {
                column,
                reach,
                grain,
            }
        }
        const fn words(column: &'static str) -> Guess {
            Guess::Words { column }
        }
        match self {
            Self::Register => {
                const {
                    &[
                        number("amount", 500, 1),
                        number("balance", 200, 1),
                        number("score", 500, 1),
                        number("updated", 30, 1_000),
                    ]
                }
            }
            Self::Masked => const { &[number("paid", 500, 1), number("visited", 30, 1_000)] },
            Self::Text => {
                const {
                    &[
                        words("sex"),
                        words("school"),
                        words("city"),
                        words("state"),
                        number("opened", 2, 1),
                    ]
                }
            }
            Self::Tagged => const { &[number("paid", 500, 1)] },
        }
    }

    /// Invented rows; other `population`s are other people.
    #[must_use]
    pub fn rows(self, rows: usize, population: &str) -> RecordBatch {
        let mut invented = Invented {
            draw: Draw::of(&["rows", self.name(), population]),
            rows,
            columns: Vec::new(),
        };
        match self {
            Self::Register => invented.register(),
            Self::Masked => invented.masked(),
            Self::Text => invented.text(),
            Self::Tagged => invented.tagged(),
        }
        let (fields, columns): (Vec<_>, Vec<_>) = invented
            .columns
            .into_iter()
            .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
            .unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length")
    }
}

impl Guess {
    /// The column.
    #[must_use]
    pub fn column(&self) -> &'static str {
        match self {
            Self::Number { column, .. } | Self::Words { column } => column,
        }
    }
}

/// Columns in the making.
struct Invented {
    draw: Draw,
    rows: usize,
    columns: Vec<(&'static str, ArrayRef)>,
}

impl Invented {
    fn texts(&mut self, name: &'static str, mut of: impl FnMut(&mut Draw, usize) -> String) {
        let texts: Vec<String> = (0..self.rows).map(|row| of(&mut self.draw, row)).collect();
        self.columns
            .push((name, Arc::new(StringArray::from_iter_values(texts))));
    }

    fn numbers(&mut self, mut of: impl FnMut(&mut Draw, usize) -> i64) -> Vec<i64> {
        (0..self.rows).map(|row| of(&mut self.draw, row)).collect()
    }

    fn money(&mut self, name: &'static str, precision: u8, cents: &[i64]) {
        let cents = cents.iter().map(|cents| Some(i128::from(*cents)));
        let array =
            Decimal128Array::from_iter(cents).with_data_type(DataType::Decimal128(precision, 2));
        self.columns.push((name, Arc::new(array)));
    }

    /// Many small ones, few large ones, none below 10 yuan.
    fn amounts(&mut self) -> Vec<i64> {
        self.numbers(|draw, _| 1_000 + (draw.unit().powi(3) * 4_000_000.0) as i64)
    }

    fn people(&mut self) {
        self.texts("person", resident_id);
        self.texts("name", |draw, _| name(draw));
    }

    fn register(&mut self) {
        // Ten digits, many of which begin with zeros: what spreadsheets lose.
        let first = self.draw.below(1_000_000_000) as u64;
        self.texts("id", |_, row| {
            format!("{:010}", (row as u64 * 7_919 + first) % 10_000_000_000)
        });
        self.texts("name", |draw, _| name(draw));
        self.texts("phone", |draw, _| phone(draw));
        let amounts = self.amounts();
        // What is saved and how one is rated go with what one earns.
        let balances = self.numbers(|draw, row| 3 * amounts[row] + draw.below(4_000_000) as i64);
        self.money("amount", 12, &amounts);
        self.money("balance", 14, &balances);
        let scores: Vec<f64> = amounts
            .iter()
            .map(|amount| 10_000 + *amount as usize / 80 + self.draw.below(40_000))
            .map(|thousandths| thousandths as f64 / 1_000.0)
            .collect();
        self.columns
            .push(("score", Arc::new(Float64Array::from(scores))));
        let updated =
            self.numbers(|draw, _| 1_735_660_800_000 + (draw.unit() * 31_536_000_000.0) as i64);
        self.columns.push((
            "updated",
            Arc::new(TimestampMillisecondArray::from(updated)),
        ));
    }

    fn masked(&mut self) {
        self.people();
        self.texts("phone", |draw, _| phone(draw));
        let born = self.numbers(|draw, _| draw.below(25_000) as i64 - 10_000);
        let born = born.into_iter().map(|day| day as i32);
        self.columns
            .push(("born", Arc::new(Date32Array::from_iter_values(born))));
        let paid = self.amounts();
        self.money("paid", 12, &paid);
        let visited =
            self.numbers(|draw, _| 1_000 * (1_735_660_800 + draw.below(31_536_000) as i64));
        self.columns.push((
            "visited",
            Arc::new(TimestampMillisecondArray::from(visited)),
        ));
    }

    fn text(&mut self) {
        let first = self.draw.below(1_000_000);
        self.texts("code", |_, row| format!("QY{:08}", first + row * 3));
        self.texts("name", |draw, _| name(draw));
        self.texts("address", |draw, _| {
            let (street, number) = (draw.pick(STREETS).to_owned(), draw.below(1_200) + 1);
            format!("{street}{number}号{}室", 101 + draw.below(2_800))
        });
        for (field, words) in [
            ("sex", SEXES),
            ("school", SCHOOLS),
            ("city", CITIES),
            ("state", STATES),
        ] {
            self.texts(field, |draw, _| {
                let class = *draw.pick(words);
                (*draw.pick(&class)).to_owned()
            });
        }
        let opened = self.numbers(|draw, _| 12_000 + draw.below(8_000) as i64);
        let opened = opened.into_iter().map(|day| day as i32);
        self.columns
            .push(("opened", Arc::new(Date32Array::from_iter_values(opened))));
        let remarks: Vec<Option<String>> = (0..self.rows)
            .map(|_| {
                let (trade, year) = (self.draw.pick(TRADES), 2_010 + self.draw.below(15));
                let text = format!("{year}年起从事{trade}, 年检合格");
                (!self.draw.chance(0.2)).then_some(text)
            })
            .collect();
        self.columns
            .push(("remark", Arc::new(StringArray::from(remarks))));
    }

    fn tagged(&mut self) {
        self.people();
        let paid = self.amounts();
        self.money("paid", 12, &paid);
    }
}

fn name(draw: &mut Draw) -> String {
    let second = if draw.chance(0.5) {
        *draw.pick(GIVEN)
    } else {
        ""
    };
    format!("{}{}{second}", draw.pick(SURNAMES), draw.pick(GIVEN))
}

fn phone(draw: &mut Draw) -> String {
    format!("1{}{:08}", 30 + draw.below(70), draw.below(100_000_000))
}

/// A number of 18 digits with its check digit (GB 11643); the row makes it one of its own.
fn resident_id(draw: &mut Draw, row: usize) -> String {
    const WEIGHTS: [usize; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let month = 1 + draw.below(12);
    let body = format!(
        "3301{:02}{:04}{month:02}{:02}{:03}",
        2 + row / 1_000 % 90,
        1_940 + row / 90_000 % 70,
        1 + draw.below(28),
        row % 1_000
    );
    let digits = body.bytes().map(|digit| usize::from(digit - b'0'));
    let sum: usize = digits
        .zip(WEIGHTS)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let check = [
        b'1', b'0', b'X', b'9', b'8', b'7', b'6', b'5', b'4', b'3', b'2',
    ][sum % 11];
    format!("{body}{}", char::from(check))
}
