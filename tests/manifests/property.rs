//! Files as nobody writes them: trees of every shape in every notation, with the value somewhere in them.

use proptest::prelude::*;

use super::body;
use roadstead::manifest::{self, Pin, Spot, Wish};

/// A value and how it is written.
#[derive(Debug, Clone)]
enum Shape {
    Word(String),
    Single(String),
    Double(String),
    Literal(Vec<String>, &'static str),
    Nothing,
    Anchored(Box<Shape>),
    List(Vec<Shape>, bool),
    Map(Vec<(String, Shape)>, bool),
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        "[a-z0-9][a-z0-9.-]{0,8}[a-z0-9]".prop_map(Shape::Word),
        "[ -~éü日🚢]{0,12}".prop_map(|text| Shape::Single(text.replace('\'', "''"))),
        r#"([ !#-\[\]-~éü日🚢]|\\n|\\u00e9|\\"){0,12}"#.prop_map(Shape::Double),
        (
            prop::collection::vec("[a-z][ -~é]{0,10}[a-z]", 1..4),
            prop::sample::select(vec!["|", "|-", ">", ">-", "|+"])
        )
            .prop_map(|(lines, head)| Shape::Literal(lines, head)),
        Just(Shape::Nothing),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|shape| Shape::Anchored(Box::new(shape))),
            (prop::collection::vec(inner.clone(), 1..4), any::<bool>())
                .prop_map(|(items, flow)| Shape::List(items, flow)),
            (prop::collection::btree_map("[a-z]{1,6}", inner, 1..4), any::<bool>())
                .prop_map(|(map, flow)| Shape::Map(map.into_iter().collect(), flow)),
        ]
    })
}

/// Writes shapes; what a person may choose is drawn from `choices`.
struct Writer {
    out: String,
    choices: fastrand::Rng,
    anchors: usize,
}

impl Writer {
    fn comment(&mut self) {
        let comment = self.choices.choice(["", "", "", " # c", "   # image: x: {y}"]).unwrap_or("");
        self.out.push_str(comment);
        self.out.push('\n');
        if self.choices.u8(0..8) == 0 {
            self.out.push_str("# between\n\n");
        }
    }

    /// In one line, without line breaks.
    fn flow(&mut self, shape: &Shape) {
        match shape {
            Shape::Word(text) => self.out.push_str(text),
            Shape::Single(text) => self.out.push_str(&format!("'{text}'")),
            Shape::Double(text) => self.out.push_str(&format!("\"{text}\"")),
            Shape::Literal(lines, _) => {
                self.out.push_str(&format!("'{}'", lines.join(" ").replace('\'', "''")))
            }
            Shape::Nothing => self.out.push('~'),
            Shape::Anchored(inner) => {
                self.anchors += 1;
                self.out.push_str(&format!("&n{} ", self.anchors));
                if matches!(**inner, Shape::Anchored(_)) { self.out.push('x') } else { self.flow(inner) }
            }
            Shape::List(items, _) => {
                self.out.push('[');
                for item in items {
                    self.flow(item);
                    self.out.push_str(", ");
                }
                self.out.push(']');
            }
            Shape::Map(entries, _) => {
                self.out.push('{');
                for (slot, (key, value)) in entries.iter().enumerate() {
                    self.out.push_str(&format!("{}{key}: ", if slot > 0 { "," } else { "" }));
                    self.flow(value);
                }
                self.out.push('}');
            }
        }
    }

    /// Behind a key or a dash, to the end of its lines.
    fn block(&mut self, shape: &Shape, indent: usize) {
        match shape {
            Shape::Nothing => self.comment(),
            Shape::Literal(lines, head) => {
                self.out.push_str(&format!(" {head}\n"));
                for line in lines {
                    self.out.push_str(&format!("{}{line}\n", " ".repeat(indent + 2)));
                }
            }
            Shape::List(items, false) => {
                self.comment();
                for item in items {
                    self.out.push_str(&format!("{}-", " ".repeat(indent + 2)));
                    self.block(item, indent + 2);
                }
            }
            Shape::Map(entries, false) => {
                self.comment();
                for (key, value) in entries {
                    self.out.push_str(&format!("{}{key}:", " ".repeat(indent + 2)));
                    self.block(value, indent + 2);
                }
            }
            flow => {
                self.out.push(' ');
                self.flow(flow);
                self.comment();
            }
        }
    }
}

/// Where the value is put into the text later.
const MARK: &str = "\u{1}";

/// Entries around the one that matters, which holds `value`, at a depth.
fn file(around: &[Shape], depth: usize, value: &str, seed: u64) -> String {
    let mut writer = Writer { out: String::new(), choices: fastrand::Rng::with_seed(seed), anchors: 0 };
    for level in 0..depth {
        let blanks = " ".repeat(level * 2);
        if let Some(shape) = around.get(level) {
            writer.out.push_str(&format!("{blanks}x{level}:"));
            writer.block(shape, level * 2);
        }
        writer.out.push_str(&format!("{blanks}k{level}:"));
        writer.comment();
    }
    let blanks = " ".repeat(depth * 2);
    writer.out.push_str(&format!("{blanks}image: {value}"));
    writer.comment();
    for (slot, shape) in around.iter().enumerate().skip(depth) {
        writer.out.push_str(&format!("{blanks}y{slot}:"));
        writer.block(shape, depth * 2);
    }
    writer.out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_bytes_of_the_value_change(
        around in prop::collection::vec(shape(), 0..6),
        depth in 0_usize..4,
        seed in any::<u64>(),
        quote in prop::sample::select(vec!["", "'", "\""]),
        head in prop::sample::select(vec!["", "\u{feff}", "---\n", "# é\n", "%YAML 1.2\n---\n"]),
        (crlf, bare, anchor) in any::<(bool, bool, bool)>(),
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}",
    ) {
        let mark = format!("{}{quote}{MARK}{quote}", if anchor { "&ours " } else { "" });
        let mut text = format!("{head}{}", file(&around, depth, &mark, seed));
        if bare {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let before = text.replace(MARK, "acme/app:v1");
        let new = format!("acme/app:{tag}");
        let steps = (0..depth).map(|level| format!("k{level}")).chain(["image".to_owned()]);
        let spot = Spot::Values { path: steps.collect() };
        let wish = Wish { image: new.parse().unwrap(), pin: Pin::Digest };
        let edited = manifest::edit(before.as_bytes(), &spot, &wish);
        let edited = edited.unwrap_or_else(|refusal| panic!("{refusal:?}\n{before}"));
        let plain = text.replace(MARK, &new);
        // Tags that end with punctuation are quoted too; everything else is as it was.
        let quoted = text.replace(MARK, &format!("\"{new}\""));
        let now = String::from_utf8(edited.bytes).unwrap();
        prop_assert!(now == plain || (quote.is_empty() && now == quoted), "{now}\n---\n{plain}");
        body::check(before.as_bytes(), &spot, &wish);
    }

    #[test]
    fn arbitrary_text_is_refused_or_edited_right(text in "[ -~\n\t\r:{}\\[\\]&*é'\"-]{0,60}", spot in any::<u8>(), image in any::<u8>()) {
        let text = format!("image: app:v1\n{text}");
        body::run(&[&[spot, image], text.as_bytes()].concat());
    }
}
