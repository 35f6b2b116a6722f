//! How a person writes YAML: indents, quotes, comments and other keys from a seed, before and after an edit at once.

use roadstead::manifest::{HelmPin, ImageLocation, ImageUpdate};

/// A file, an edit, and what must come out.
pub(crate) struct EditCase {
    pub(crate) shape_name: &'static str,
    pub(crate) location: ImageLocation,
    pub(crate) update: ImageUpdate,
    pub(crate) before: String,
    pub(crate) after: String,
    /// How many values change.
    pub(crate) changed_values: usize,
}

/// How a person writes YAML, and what was written so far: before and after the edit.
pub(crate) struct YamlWriter {
    pub(crate) random: fastrand::Rng,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) changed_values: usize,
    /// Numbers of keys, so that none stands twice.
    pub(crate) key_count: usize,
    /// Blanks a level, and in front of the items of a list.
    pub(crate) indent: usize,
    pub(crate) item_indent: usize,
    pub(crate) quote: &'static str,
    pub(crate) repository: String,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) digest: Option<String>,
    pub(crate) pin: HelmPin,
}

const REGISTRIES: [&str; 6] = [
    "ghcr.io/acme",
    "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme",
    "localhost:5000",
    "acme",
    "quay.io/a/b",
    "registry.acme.dev:8443/x",
];
const TAGS: [&str; 14] = [
    "v1.2.3",
    "1.2.3",
    "1.27",
    "main-0123456",
    "sha-abcdef0",
    "2024-05-01",
    "0123",
    "1e3",
    "12e03456",
    "on",
    "latest",
    "2.0.0-rc.1",
    "20240501-1200",
    "no",
];

impl YamlWriter {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let repository = format!(
            "{}/{}",
            random.choice(REGISTRIES).unwrap_or("acme"),
            random.choice(["api", "web-shop", "billing"]).unwrap_or("api")
        );
        // What stands there is readable as it is; what comes may need quotes.
        let old = format!("v{}.{}.{}", random.u8(0..9), random.u8(0..30), random.u8(..));
        let new = random.choice(TAGS).unwrap_or("v2").to_owned();
        let digest =
            random.bool().then(|| format!("sha256:{:064x}", u128::from(seed) * 0x1234_5678_9abc_def1 + 7));
        let (indent, item) = (*[2, 2, 2, 4].get(random.usize(0..4)).unwrap_or(&2), 0);
        let item_indent = if random.bool() { item } else { indent };
        let quote = random.choice(["", "", "\"", "'"]).unwrap_or("");
        Self {
            random,
            before: String::new(),
            after: String::new(),
            changed_values: 0,
            key_count: 0,
            indent,
            item_indent,
            quote,
            repository,
            old,
            new,
            digest,
            pin: HelmPin::Digest,
        }
    }

    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    pub(crate) fn write_raw(&mut self, text: &str) {
        self.before.push_str(text);
        self.after.push_str(text);
    }

    /// A line at a level.
    pub(crate) fn write_line(&mut self, level: usize, text: &str) {
        self.write_noise(level);
        let comment = self.random_comment();
        self.write_raw(&format!("{}{text}{comment}\n", " ".repeat(level * self.indent)));
    }

    /// A line with a value that changes.
    pub(crate) fn write_value(&mut self, level: usize, key: &str, old: &str, new: &str) {
        let comment = self.random_comment();
        let blanks = " ".repeat(if self.chance(10) { 3 } else { 1 });
        let head = format!("{}{key}:{blanks}", " ".repeat(level * self.indent));
        let (old, new) = (self.quoted(old, false), self.quoted(new, true));
        self.write_change(&format!("{head}{old}{comment}\n"), &format!("{head}{new}{comment}\n"));
    }

    pub(crate) fn write_change(&mut self, before: &str, after: &str) {
        self.changed_values += 1;
        self.before.push_str(before);
        self.after.push_str(after);
    }

    /// Plain values get quotes when they would be read as something else.
    pub(crate) fn quoted(&self, text: &str, new: bool) -> String {
        let needs = ["1.27", "2024-05-01", "0123", "1e3", "12e03456", "on", "no", ""].contains(&text);
        match self.quote {
            "" if new && needs => format!("\"{text}\""),
            quote => format!("{quote}{text}{quote}"),
        }
    }

    pub(crate) fn random_comment(&mut self) -> String {
        match self.chance(12) {
            true => format!("{}# {}", self.random.choice([" ", "   "]).unwrap_or(" "), self.random_words()),
            false => String::new(),
        }
    }

    pub(crate) fn random_words(&mut self) -> String {
        const WORDS: [&str; 12] = [
            "do not touch",
            "TODO: ask ops",
            "größer ist besser",
            "日本語",
            "see https://acme.dev/x#y",
            "image: old:v0",
            "{ not: flow }",
            "\"quoted\"",
            "'single'",
            "a, b, c",
            "🚢",
            "-- newTag: v0",
        ];
        self.random.choice(WORDS).unwrap_or("x").to_owned()
    }

    /// Comments and empty lines that people leave between lines.
    pub(crate) fn write_noise(&mut self, level: usize) {
        if self.chance(8) {
            let words = self.random_words();
            let blanks = " ".repeat(level * self.indent);
            self.write_raw(&format!("{blanks}# {words}\n"));
        }
        if self.chance(6) {
            self.write_raw(if self.indent == 4 { "\n\n" } else { "\n" });
        }
    }

    pub(crate) fn write_preamble(&mut self) {
        if self.chance(20) {
            let words = self.random_words();
            self.write_raw(&format!("# {words}\n"));
        }
        if self.chance(25) {
            self.write_raw("---\n");
        }
    }

    /// Names, labels, environment, resources: what stands around an image in every manifest.
    pub(crate) fn write_extras(&mut self, level: usize) {
        for _ in 0..self.random.usize(0..4) {
            self.key_count += 1;
            let key = self.key_count;
            match self.random.u8(0..7) {
                0 => {
                    self.write_line(level, &format!("resources{key}:"));
                    self.write_line(level + 1, "limits: { cpu: 500m, memory: \"512Mi\" }");
                    self.write_line(level + 1, "requests: {cpu: 0.1}");
                }
                1 => {
                    self.write_line(level, &format!("env{key}:"));
                    let items = " ".repeat(level * self.indent + self.item_indent);
                    self.write_raw(&format!("{items}- name: LOG\n{items}  value: \"on\"\n{items}- {{ name: URL, value: 'http://x:80/#a' }}\n"));
                }
                2 => {
                    self.write_line(level, &format!("script{key}: |"));
                    let blanks = " ".repeat((level + 1) * self.indent);
                    self.write_raw(&format!(
                        "{blanks}#!/bin/sh\n{blanks}image: not:this\n\n{blanks}  deeper # no comment\n"
                    ));
                }
                3 => {
                    let words = self.random_words().replace(['"', '\''], "");
                    self.write_line(level, &format!("note{key}: \"{words} \\u00e9\\n\""));
                }
                4 => {
                    self.write_line(level, &format!("defaults{key}: &anchor{key} {{ a: 1, b: [x, \"y\"] }}"));
                    self.write_line(level, &format!("copy{key}: *anchor{key}"));
                }
                5 => {
                    self.write_line(level, &format!("folded{key}: >-"));
                    let blanks = " ".repeat((level + 1) * self.indent);
                    self.write_raw(&format!("{blanks}some words\n{blanks}on two lines\n"));
                }
                _ => {
                    self.write_line(
                        level,
                        &format!("list{key}: [1, two, \"three\", ~, 1.5e3, 0o17, 2024-01-01]"),
                    );
                }
            }
        }
    }

    pub(crate) fn reference(&self, tag: &str, digest: Option<&str>) -> String {
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{}:{tag}{digest}", self.repository)
    }

    pub(crate) fn old_reference(&self) -> String {
        self.reference(&self.old, None)
    }

    pub(crate) fn new_reference(&self) -> String {
        self.reference(&self.new, self.digest.as_deref())
    }

    /// Line ends, byte order mark and the end of the file, as editors leave them.
    pub(crate) fn finish(mut self, shape: &'static str, spot: ImageLocation) -> EditCase {
        let crlf = self.chance(15);
        let mark = if self.chance(8) { "\u{feff}" } else { "" };
        let bare = self.chance(15);
        let end = |text: String| {
            let text = if bare { text.trim_end_matches('\n') } else { &text };
            format!("{mark}{}", if crlf { text.replace('\n', "\r\n") } else { text.to_owned() })
        };
        let image = self.new_reference().parse().expect("a reference");
        let update = ImageUpdate { image, pin: self.pin };
        EditCase {
            shape_name: shape,
            location: spot,
            update,
            before: end(self.before),
            after: end(self.after),
            changed_values: self.changed_values,
        }
    }
}
