//! Files as nobody writes them: trees of every shape in every notation, with the value somewhere in them.

use proptest::prelude::*;

use super::body;
use roadstead::manifest::{self, HelmPin, ImageLocation, ImageUpdate};

/// A value and how it is written.
#[derive(Debug, Clone)]
enum YamlShape {
    Word(String),
    Single(String),
    Double(String),
    Literal(Vec<String>, &'static str),
    Null,
    Anchored(Box<YamlShape>),
    List(Vec<YamlShape>, bool),
    Map(Vec<(String, YamlShape)>, bool),
}

fn any_shape() -> impl Strategy<Value = YamlShape> {
    let leaf = prop_oneof![
        "[a-z0-9][a-z0-9.-]{0,8}[a-z0-9]".prop_map(YamlShape::Word),
        "[ -~éü日🚢]{0,12}".prop_map(|text| YamlShape::Single(text.replace('\'', "''"))),
        r#"([ !#-\[\]-~éü日🚢]|\\n|\\u00e9|\\"){0,12}"#.prop_map(YamlShape::Double),
        (
            prop::collection::vec("[a-z][ -~é]{0,10}[a-z]", 1..4),
            prop::sample::select(vec!["|", "|-", ">", ">-", "|+"])
        )
            .prop_map(|(lines, head)| YamlShape::Literal(lines, head)),
        Just(YamlShape::Null),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|shape| YamlShape::Anchored(Box::new(shape))),
            (prop::collection::vec(inner.clone(), 1..4), any::<bool>())
                .prop_map(|(items, flow)| YamlShape::List(items, flow)),
            (prop::collection::btree_map("[a-z]{1,6}", inner, 1..4), any::<bool>())
                .prop_map(|(map, flow)| YamlShape::Map(map.into_iter().collect(), flow)),
        ]
    })
}

/// Writes shapes; what a person may choose is drawn from `choices`.
struct ShapeTextWriter {
    out: String,
    choices: fastrand::Rng,
    anchors: usize,
}

impl ShapeTextWriter {
    fn write_comment(&mut self) {
        let comment = self.choices.choice(["", "", "", " # c", "   # image: x: {y}"]).unwrap_or("");
        self.out.push_str(comment);
        self.out.push('\n');
        if self.choices.u8(0..8) == 0 {
            self.out.push_str("# between\n\n");
        }
    }

    /// In one line, without line breaks.
    fn write_flow(&mut self, shape: &YamlShape) {
        match shape {
            YamlShape::Word(text) => self.out.push_str(text),
            YamlShape::Single(text) => self.out.push_str(&format!("'{text}'")),
            YamlShape::Double(text) => self.out.push_str(&format!("\"{text}\"")),
            YamlShape::Literal(lines, _) => {
                self.out.push_str(&format!("'{}'", lines.join(" ").replace('\'', "''")))
            }
            YamlShape::Null => self.out.push('~'),
            YamlShape::Anchored(inner) => {
                self.anchors += 1;
                self.out.push_str(&format!("&n{} ", self.anchors));
                if matches!(**inner, YamlShape::Anchored(_)) {
                    self.out.push('x')
                } else {
                    self.write_flow(inner)
                }
            }
            YamlShape::List(items, _) => {
                self.out.push('[');
                for item in items {
                    self.write_flow(item);
                    self.out.push_str(", ");
                }
                self.out.push(']');
            }
            YamlShape::Map(entries, _) => {
                self.out.push('{');
                for (slot, (key, value)) in entries.iter().enumerate() {
                    self.out.push_str(&format!("{}{key}: ", if slot > 0 { "," } else { "" }));
                    self.write_flow(value);
                }
                self.out.push('}');
            }
        }
    }

    /// Behind a key or a dash, to the end of its lines.
    fn write_block(&mut self, shape: &YamlShape, indent: usize) {
        match shape {
            YamlShape::Null => self.write_comment(),
            YamlShape::Literal(lines, head) => {
                self.out.push_str(&format!(" {head}\n"));
                for line in lines {
                    self.out.push_str(&format!("{}{line}\n", " ".repeat(indent + 2)));
                }
            }
            YamlShape::List(items, false) => {
                self.write_comment();
                for item in items {
                    self.out.push_str(&format!("{}-", " ".repeat(indent + 2)));
                    self.write_block(item, indent + 2);
                }
            }
            YamlShape::Map(entries, false) => {
                self.write_comment();
                for (key, value) in entries {
                    self.out.push_str(&format!("{}{key}:", " ".repeat(indent + 2)));
                    self.write_block(value, indent + 2);
                }
            }
            flow => {
                self.out.push(' ');
                self.write_flow(flow);
                self.write_comment();
            }
        }
    }
}

/// Where the value is put into the text later.
const MARK: &str = "\u{1}";

/// Entries around the one that matters, which holds `value`, at a depth.
fn file_with_value(around: &[YamlShape], depth: usize, value: &str, seed: u64) -> String {
    let mut writer =
        ShapeTextWriter { out: String::new(), choices: fastrand::Rng::with_seed(seed), anchors: 0 };
    for level in 0..depth {
        let blanks = " ".repeat(level * 2);
        if let Some(shape) = around.get(level) {
            writer.out.push_str(&format!("{blanks}x{level}:"));
            writer.write_block(shape, level * 2);
        }
        writer.out.push_str(&format!("{blanks}k{level}:"));
        writer.write_comment();
    }
    let blanks = " ".repeat(depth * 2);
    writer.out.push_str(&format!("{blanks}image: {value}"));
    writer.write_comment();
    for (slot, shape) in around.iter().enumerate().skip(depth) {
        writer.out.push_str(&format!("{blanks}y{slot}:"));
        writer.write_block(shape, depth * 2);
    }
    writer.out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_bytes_of_the_value_change(
        around in prop::collection::vec(any_shape(), 0..6),
        depth in 0_usize..4,
        seed in any::<u64>(),
        quote in prop::sample::select(vec!["", "'", "\""]),
        head in prop::sample::select(vec!["", "\u{feff}", "---\n", "# é\n", "%YAML 1.2\n---\n"]),
        (crlf, bare, anchor) in any::<(bool, bool, bool)>(),
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}",
    ) {
        let mark = format!("{}{quote}{MARK}{quote}", if anchor { "&ours " } else { "" });
        let mut text = format!("{head}{}", file_with_value(&around, depth, &mark, seed));
        if bare {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let before = text.replace(MARK, "acme/app:v1");
        let new = format!("acme/app:{tag}");
        let steps = (0..depth).map(|level| format!("k{level}")).chain(["image".to_owned()]);
        let spot = ImageLocation::Values { path: steps.collect() };
        let update = ImageUpdate { image: new.parse().unwrap(), pin: HelmPin::Digest };
        let edited = manifest::edit_image(before.as_bytes(), &spot, &update);
        let edited = edited.unwrap_or_else(|refusal| panic!("{refusal:?}\n{before}"));
        let plain = text.replace(MARK, &new);
        // Tags that end with punctuation are quoted too; everything else is as it was.
        let quoted = text.replace(MARK, &format!("\"{new}\""));
        let now = String::from_utf8(edited.bytes).unwrap();
        prop_assert!(now == plain || (quote.is_empty() && now == quoted), "{now}\n---\n{plain}");
        body::check_edit(before.as_bytes(), &spot, &update);
    }

    #[test]
    fn arbitrary_text_is_refused_or_edited_right(text in "[ -~\n\t\r:{}\\[\\]&*é'\"-]{0,60}", spot in any::<u8>(), image in any::<u8>()) {
        let text = format!("image: app:v1\n{text}");
        body::check_input(&[&[spot, image], text.as_bytes()].concat());
    }
}
