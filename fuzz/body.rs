//! What is tried with every input: the fuzzer's and those of `cargo test`. Panics where a promise is broken.

use granit_parser::{Event, Parser, ScalarStyle};
use roadstead::manifest::{self, Pin, Spot, Wish};

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const IMAGES: [&str; 6] =
    ["app:v2", "app:1.10", "reg.io:5000/acme/app:1e3", "app@DIGEST", "app:v2@DIGEST", "acme/app:on"];

/// The spots that inputs choose from.
pub(crate) fn spots() -> Vec<Spot> {
    let mut spots = vec![Spot::ValuesOf, Spot::Repository, Spot::Kustomize { name: None }];
    spots.push(Spot::Kustomize { name: Some("app".into()) });
    spots.push(Spot::Container { name: "app".into() });
    spots.extend(["image", "a.image", "a.0", "a.b"].map(Spot::values));
    spots
}

/// One input: two bytes that choose, and a file.
pub(crate) fn run(data: &[u8]) {
    let [spot, image, text @ ..] = data else { return };
    let spots = spots();
    let spot = &spots[usize::from(*spot) % spots.len()];
    let image = IMAGES[usize::from(*image) % IMAGES.len()].replace("DIGEST", DIGEST).parse();
    let wish = Wish {
        image: image.expect("a reference"),
        pin: if text.len() % 2 == 0 { Pin::Digest } else { Pin::Tag },
    };
    check(text, spot, &wish);
}

/// Whatever the file is, an edit is refused, or changes what it says it changes and nothing else.
pub(crate) fn check(text: &[u8], spot: &Spot, wish: &Wish) {
    let _ = manifest::look(text, spot, &wish.image);
    let _ = manifest::kind_of("x.yaml", text);
    let Ok(edited) = manifest::edit(text, spot, wish) else { return };
    if edited.replaced.is_empty() {
        assert_eq!(edited.bytes, text, "changed, and nothing is told");
        return;
    }
    let again = manifest::edit(&edited.bytes, spot, wish).expect("what was edited can be edited");
    assert_eq!((&again.bytes, again.replaced.len()), (&edited.bytes, 0), "a second edit changed something");
    let (before, after) = (events(text), events(&edited.bytes));
    let new = after.iter().filter(|event| !before.contains(event)).count();
    let gone = before.iter().filter(|event| !after.contains(event)).count();
    // A list that is made has at most eleven events: itself, an item, four keys and values.
    let told = edited.replaced.len();
    assert!(new <= told.max(1) * 2 + 12 && gone <= told * 2 + 2, "more changed than was told");
    if !matches!(spot, Spot::Kustomize { .. }) && after.len() == before.len() {
        let differ = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert_eq!(differ, told, "another value changed");
    }
}

/// What a parser reads: every event without its place; plain scalars told apart from quoted ones.
fn events(text: &[u8]) -> Vec<(String, bool)> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let each = |event| match event {
        (Event::Scalar(text, style, anchor, tag), _) => {
            (format!("={text} {anchor} {}", tag.is_some()), style == ScalarStyle::Plain)
        }
        (Event::Comment(text, _), _) => (format!("#{text}"), false),
        (other, _) => (format!("{other:?}"), false),
    };
    let mut options = granit_parser::Options::default();
    options.max_buffered_comment_events = usize::MAX;
    let parsed = Parser::new_from_str_with_options(text, options).collect::<Result<Vec<_>, _>>();
    parsed.expect("what can be edited can be read").into_iter().map(each).collect()
}
