//! What is tried with every input: the fuzzer's and those of `cargo test`. Panics where a promise is broken.

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle};
use roadstead::manifest::{self, HelmPin, ImageLocation, ImageUpdate};

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const IMAGES: [&str; 6] =
    ["app:v2", "app:1.10", "reg.io:5000/acme/app:1e3", "app@DIGEST", "app:v2@DIGEST", "acme/app:on"];

/// The spots that inputs choose from.
pub(crate) fn image_locations() -> Vec<ImageLocation> {
    let mut spots = vec![
        ImageLocation::ValuesByRepository,
        ImageLocation::ContainersByRepository,
        ImageLocation::Kustomize { name: None },
    ];
    spots.push(ImageLocation::Kustomize { name: Some("app".into()) });
    spots.push(ImageLocation::Container { name: "app".into() });
    spots.extend(["image", "a.image", "a.0", "a.b"].map(ImageLocation::from_values_path));
    spots
}

/// One input: two bytes that choose, and a file.
pub(crate) fn check_input(data: &[u8]) {
    let [spot, image, text @ ..] = data else { return };
    let spots = image_locations();
    let spot = &spots[usize::from(*spot) % spots.len()];
    let image = IMAGES[usize::from(*image) % IMAGES.len()].replace("DIGEST", DIGEST).parse();
    let update = ImageUpdate {
        image: image.expect("a reference"),
        pin: if text.len() % 2 == 0 { HelmPin::Digest } else { HelmPin::Tag },
    };
    check_edit(text, spot, &update);
}

/// Whatever the file is, an edit is refused, or changes what it says it changes and nothing else.
pub(crate) fn check_edit(text: &[u8], spot: &ImageLocation, update: &ImageUpdate) {
    let _ = manifest::find_image(text, spot, &update.image);
    let _ = manifest::detect_kind("x.yaml", text);
    let Ok(edited) = manifest::edit_image(text, spot, update) else { return };
    if edited.replacements.is_empty() {
        assert_eq!(edited.bytes, text, "changed, and nothing is reported");
        return;
    }
    let again = manifest::edit_image(&edited.bytes, spot, update).expect("what was edited can be edited");
    assert_eq!(
        (&again.bytes, again.replacements.len()),
        (&edited.bytes, 0),
        "a second edit changed something"
    );
    let (Some(before), Some(after)) = (parse_events(text), parse_events(&edited.bytes)) else { return };
    let added = after.iter().filter(|event| !before.contains(event)).count();
    let removed = before.iter().filter(|event| !after.contains(event)).count();
    // A list that is made has at most eleven events: itself, an item, four keys and values.
    let reported = edited.replacements.len();
    assert!(
        added <= reported.max(1) * 2 + 12 && removed <= reported * 2 + 2,
        "more changed than was reported"
    );
    if !matches!(spot, ImageLocation::Kustomize { .. }) && after.len() == before.len() {
        let differ = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        // The text of a value may have several changes in it.
        assert!(differ > 0 && differ <= reported, "another value changed");
    }
}

/// What a parser reads: every event without its place; plain scalars told apart from quoted ones. Nothing if quoted text
/// continues in the column of its key, which this parser does not read.
fn parse_events(text: &[u8]) -> Option<Vec<(String, bool)>> {
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
    match parsed {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidQuotedScalarIndent) => None,
        parsed => Some(parsed.expect("what can be edited can be read").into_iter().map(each).collect()),
    }
}
