//! Helm values before and after, byte for byte.

use super::*;

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The file afterwards; the reason, where it is refused. A second edit must change nothing.
fn after(text: &str, spot: &Spot, image: &str, pin: Pin) -> String {
    let text = text.replace("DIGEST", DIGEST);
    let wish = Wish { image: image.replace("DIGEST", DIGEST).parse().unwrap(), pin };
    match edit(text.as_bytes(), spot, &wish) {
        Ok(edited) => {
            let again = edit(&edited.bytes, spot, &wish).unwrap();
            assert_eq!((&again.bytes, again.replaced), (&edited.bytes, Vec::new()));
            assert_eq!(edited.replaced.is_empty(), edited.bytes == text.as_bytes());
            String::from_utf8(edited.bytes).unwrap().replace(DIGEST, "DIGEST")
        }
        Err(refusal) => {
            let (line, column) = refusal.at.unwrap_or_default();
            format!("{line}:{column}: {} {}", refusal.why, refusal.help).trim_end().to_owned()
        }
    }
}

/// At the path `image`, which stands in front of what is given.
fn at_image(value: &str, image: &str) -> String {
    let text = after(&format!("image:{value}"), &Spot::values("image"), image, Pin::Digest);
    text.strip_prefix("image:").map(str::to_owned).unwrap_or(text)
}

#[test]
fn a_pair_gets_the_tag_and_the_digest_where_it_belongs() {
    for (before, image, wanted) in [
        ("\n  repository: app\n  tag: v1 # x\n", "app:v2", "\n  repository: app\n  tag: v2 # x\n"),
        (
            "\n  repository: app\n  tag: \"v1\"\n",
            "app:v2@DIGEST",
            "\n  repository: app\n  tag: \"v2@DIGEST\"\n",
        ),
        ("\n  repository: app\n  tag: v1@DIGEST\n", "app:v2", "\n  repository: app\n  tag: v2\n"),
        ("\n  repository: app\n  tag: \"\"\n", "app:v2", "\n  repository: app\n  tag: \"v2\"\n"),
        ("\n  repository: app\n  tag:\n", "app:1.10", "\n  repository: app\n  tag: \"1.10\"\n"),
        (
            "\n  repository: app\n  tag: v1\n",
            "app@DIGEST",
            "\n  repository: app\n  tag: sha256-001122334455@DIGEST\n",
        ),
        ("\n  repository: app\n", "app:v2", "\n  repository: app\n  tag: v2\n"),
        ("\n  tag: v1\n  digest: \"\"\n", "app:v2@DIGEST", "\n  tag: v2\n  digest: \"DIGEST\"\n"),
        ("\n  tag: v1\n  digest: DIGEST\n", "app:v2", "\n  tag: v2\n  digest: \"\"\n"),
        ("\n  tag: v1\n  digest: ~\n", "app:v2", "\n  tag: v2\n  digest: ~\n"),
        ("\n  tag: v1\n  digest:\n", "app@DIGEST", "\n  tag: sha256-001122334455\n  digest: DIGEST\n"),
        ("\n  tag: \"\"\n  digest: \"\"\n", "app@DIGEST", "\n  tag: \"\"\n  digest: \"DIGEST\"\n"),
        ("\n  digest: DIGEST\n", "app@DIGEST", "\n  digest: DIGEST\n"),
        ("\n  digest: DIGEST\n", "app:v2", "\n  digest: \"\"\n  tag: v2\n"),
        (
            " {repository: app, tag: v1, pullPolicy: Always}\n",
            "app:v2",
            " {repository: app, tag: v2, pullPolicy: Always}\n",
        ),
        (" {repository: app}\n", "app:v2", " {repository: app, tag: v2}\n"),
        (" { tag: 'v1' } # x\n", "app:v2", " { tag: 'v2' } # x\n"),
        ("\n  <<: {a: b}\n  tag: v1\n", "app:v2", "\n  <<: {a: b}\n  tag: v2\n"),
    ] {
        assert_eq!(at_image(before, image), wanted, "{before}");
    }
}

#[test]
fn another_repository_brings_its_name_along() {
    for (before, image, wanted) in [
        ("\n  repository: a.io/app\n  tag: v1\n", "b.io/app:v2", "\n  repository: b.io/app\n  tag: v2\n"),
        (
            "\n  registry: a.io\n  repository: app\n  tag: v1\n",
            "b.io/x/app:v2",
            "\n  registry: b.io\n  repository: x/app\n  tag: v2\n",
        ),
        (
            "\n  registry: a.io\n  repository: app\n  tag: v1\n",
            "a.io/app:v2",
            "\n  registry: a.io\n  repository: app\n  tag: v2\n",
        ),
        (
            "\n  registry: docker.io\n  repository: a/app\n  tag: v1\n",
            "a/app:v2",
            "\n  registry: docker.io\n  repository: a/app\n  tag: v2\n",
        ),
        (
            "\n  registry: a.io\n  repository: app\n  tag: v1\n",
            "app:v2",
            "\n  registry: docker.io\n  repository: app\n  tag: v2\n",
        ),
        (
            "\n  registry: ''\n  repository: a.io/app\n  tag: v1\n",
            "b.io/app:v2",
            "\n  registry: ''\n  repository: b.io/app\n  tag: v2\n",
        ),
        ("\n  name: a.io/app\n  tag: v1\n", "a.io/app:v2", "\n  name: a.io/app\n  tag: v2\n"),
        ("\n  name: web\n  tag: v1\n", "a.io/app:v2", "\n  name: web\n  tag: v2\n"),
        ("\n  image: a.io/app\n  tag: v1\n", "b.io/app:v2", "\n  image: b.io/app\n  tag: v2\n"),
    ] {
        assert_eq!(at_image(before, image), wanted, "{before}");
    }
}

#[test]
fn pinning_to_the_tag_leaves_the_digest_out() {
    let (spot, before) = (Spot::values("image"), "image: {repository: app, tag: v1}");
    assert_eq!(after(before, &spot, "app:v2@DIGEST", Pin::Tag), "image: {repository: app, tag: v2}");
    assert_eq!(
        after(before, &spot, "app@DIGEST", Pin::Tag),
        "1:8: only a tag can be written there, and none is given"
    );
}

#[test]
fn one_string_is_replaced_whole() {
    for (before, image, wanted) in [
        (" app:v1\n", "b.io:5000/app:v2@DIGEST", " b.io:5000/app:v2@DIGEST\n"),
        (" 'app:v1' # x\n", "app:v2", " 'app:v2' # x\n"),
        ("\n", "app:v2", " app:v2\n"),
        (" \"\"\n", "app:v2", " \"app:v2\"\n"),
        (" >-\n  app:v1\n", "app:v2", " >-\n  app:v2\n"),
        (" >-\n  app:v1\n\n\nx: y", "app:v2", " >-\n  app:v2\n\n\nx: y"),
        (" \"app:\\\n  v1\"\n", "app:v2", " \"app:v2\"\n"),
    ] {
        assert_eq!(at_image(before, image), wanted, "{before}");
    }
}

#[test]
fn paths_go_through_mappings_and_lists() {
    let text = "a.b:\n  c:\n  - image: app:v1\n";
    assert_eq!(
        after(text, &Spot::values(r"a\.b.c.0.image"), "app:v2", Pin::Digest),
        text.replace("v1", "v2")
    );
    assert_eq!(Spot::values(r"a\.b.c\d"), Spot::Values { path: vec!["a.b".into(), r"c\d".into()] });
}

#[test]
fn what_is_not_clear_is_refused() {
    for (text, path, wanted) in [
        ("", "image", "0:0: it is empty"),
        ("a: 1\n---\nb: 1\n", "image", "3:1: it holds more than one document, and values are one"),
        ("imege: {tag: v1}\n", "image", "1:1: there is no `image` at the top Did you mean `imege`?"),
        ("a: {b: 1}\n", "a.image", "1:4: there is no `image` in `a`"),
        (
            "b: &b {image: app:v1}\na: {<<: *b}\n",
            "a.image",
            "2:4: there is no `image` in `a` itself, and a merge key brings in other values",
        ),
        (
            "b: &b {tag: v1}\na: *b\n",
            "a",
            "2:4: `a` is an alias of a value that stands elsewhere Write the value itself there, or point to the other place.",
        ),
        (
            "b: &b {image: {tag: v1}}\na: *b\n",
            "a.image",
            "2:4: `a` is an alias of a value that stands elsewhere",
        ),
        ("b: &b {tag: v1}\na: *b\n", "b", "1:7: `b` is used in other places too, by an alias"),
        (
            "b: &b {x: 1}\na: {<<: *b, repository: app}\n",
            "a",
            "2:4: there is no `tag` itself, and a merge key brings in other values",
        ),
        ("a: {x: 1}\n", "a", "1:4: `a` has no `repository`, `tag` or `digest`"),
        (
            "a: {imageTag: v1}\n",
            "a.imageTag",
            "1:15: `a.imageTag` is a part of an image Name the mapping that holds `repository` and `tag`.",
        ),
        ("a: [x]\n", "a", "1:4: `a` is no single value"),
        ("a: {tag: v1, tag: v1}\n", "a", "1:14: the key `tag` stands twice in the same mapping"),
        ("a: {tag: v1}\nb: 1\nb: 2\n", "a", "3:1: the key `b` stands twice in the same mapping"),
        (
            "a: {tag: \"{{ .x }}\"}\n",
            "a",
            "1:10: `a.tag` is filled in by a template Point to the values that the template is filled with.",
        ),
        (
            "a: {tag: \"${TAG}\"}\n",
            "a",
            "1:10: `a.tag` is filled in by a template Point to the values that the template is filled with.",
        ),
        ("a:\n{{- if x }}\n  tag: v1\n{{ end }}\n", "a", "2:3: it is a template, or no YAML ("),
        ("a: {tag: !!int 1}\n", "a", "1:16: `a.tag` carries the YAML tag `tag:yaml.org,2002:int`"),
        (
            "a: \u{2028}\n",
            "a",
            "1:1: it holds a character that readers of YAML 1.1 take as a line end and others do not Remove U+0085, U+2028 and U+2029.",
        ),
    ] {
        let said = after(text, &Spot::values(path), "app:v2", Pin::Digest);
        assert!(said.starts_with(wanted), "{text}\n{said}");
    }
}

#[test]
fn every_place_of_a_repository_is_found() {
    let before = "\
global: {registry: a.io}
web:
  image: {registry: a.io, repository: acme/app, tag: v1}   # ours
  sidecar: a.io/acme/app-proxy:v1
job:
  image: a.io/acme/app:v1
  other: {repository: a.io/acme/app, pullPolicy: Always}
args: [a.io/acme/app:v0, acme/app:v0, a.io:443/acme/app:v0]
docs: {title: a.io/acme/app}
";
    let wanted = "\
global: {registry: a.io}
web:
  image: {registry: a.io, repository: acme/app, tag: v2}   # ours
  sidecar: a.io/acme/app-proxy:v1
job:
  image: a.io/acme/app:v2
  other: {repository: a.io/acme/app, tag: v2, pullPolicy: Always}
args: [a.io/acme/app:v2, acme/app:v0, a.io:443/acme/app:v0]
docs: {title: a.io/acme/app}
";
    assert_eq!(after(before, &Spot::ValuesOf, "a.io/acme/app:v2", Pin::Digest), wanted);
    let none = after(before, &Spot::ValuesOf, "a.io/acme/none:v2", Pin::Digest);
    assert!(none.starts_with("0:0: no `repository` and no image in it is `a.io/acme/none`"), "{none}");
}

#[test]
fn what_stands_there_is_joined_from_its_pieces() {
    let name: ImageRef = "a.io/acme/app".parse().unwrap();
    for (text, wanted) in [
        ("image: {tag: v1}", "a.io/acme/app:v1 true 1:14"),
        ("image: {registry: b.io, repository: app, tag: v1, digest: DIGEST}", "b.io/app:v1@DIGEST true 1:47"),
        ("image: {repository: app, tag: v1@DIGEST}", "app:v1@DIGEST true 1:31"),
        ("image: {repository: app, tag: ''}", "app true 1:31"),
        ("image: app:v1", "app:v1 true 1:8"),
        ("image: \"{{ x }}\"", "{{ x }} false 1:8"),
    ] {
        let found = look(text.replace("DIGEST", DIGEST).as_bytes(), &Spot::values("image"), &name).unwrap();
        let said = found.text.unwrap_or_default().replace(DIGEST, "DIGEST");
        assert_eq!(format!("{said} {} {}:{}", found.image.is_some(), found.line, found.column), wanted);
    }
    let two = "a: {image: a.io/acme/app:v1}\nb: {image: a.io/acme/app:v2}\n";
    assert_eq!(look(two.as_bytes(), &Spot::ValuesOf, &name).unwrap().image, None);
}
