//! Helm values before and after, byte for byte.

use super::*;

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The file after the edit, or the reason of the rejection. A second edit must change nothing.
fn text_after_edit(text: &str, location: &ImageLocation, image: &str, pin: HelmPin) -> String {
    let text = text.replace("DIGEST", DIGEST);
    let update = ImageUpdate { image: image.replace("DIGEST", DIGEST).parse().unwrap(), pin };
    match edit_image(text.as_bytes(), location, &update) {
        Ok(edited) => {
            let again = edit_image(&edited.bytes, location, &update).unwrap();
            assert_eq!((&again.bytes, again.replacements), (&edited.bytes, Vec::new()));
            assert_eq!(edited.replacements.is_empty(), edited.bytes == text.as_bytes());
            String::from_utf8(edited.bytes).unwrap().replace(DIGEST, "DIGEST")
        }
        Err(refusal) => {
            let (line, column) = refusal.at.unwrap_or_default();
            format!("{line}:{column}: {} {}", refusal.reason, refusal.help).trim_end().to_owned()
        }
    }
}

/// At the path `image`, prepended to the given path.
fn text_after_string_edit(value: &str, image: &str) -> String {
    let text = text_after_edit(
        &format!("image:{value}"),
        &ImageLocation::from_values_path("image"),
        image,
        HelmPin::Digest,
    );
    text.strip_prefix("image:").map(str::to_owned).unwrap_or(text)
}

#[test]
fn repository_tag_gets_tag_and_digest_under_their_keys() {
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
        assert_eq!(text_after_string_edit(before, image), wanted, "{before}");
    }
}

#[test]
fn other_repository_replaces_the_name_too() {
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
        assert_eq!(text_after_string_edit(before, image), wanted, "{before}");
    }
}

#[test]
fn pinning_to_the_tag_leaves_the_digest_out() {
    let (location, before) = (ImageLocation::from_values_path("image"), "image: {repository: app, tag: v1}");
    assert_eq!(
        text_after_edit(before, &location, "app:v2@DIGEST", HelmPin::Tag),
        "image: {repository: app, tag: v2}"
    );
    assert_eq!(
        text_after_edit(before, &location, "app@DIGEST", HelmPin::Tag),
        "1:8: only a tag can be written there, and none is given"
    );
}

#[test]
fn string_value_is_replaced_completely() {
    for (before, image, wanted) in [
        (" app:v1\n", "b.io:5000/app:v2@DIGEST", " b.io:5000/app:v2@DIGEST\n"),
        (" 'app:v1' # x\n", "app:v2", " 'app:v2' # x\n"),
        ("\n", "app:v2", " app:v2\n"),
        (" \"\"\n", "app:v2", " \"app:v2\"\n"),
        (" >-\n  app:v1\n", "app:v2", " >-\n  app:v2\n"),
        (" >-\n  app:v1\n\n\nx: y", "app:v2", " >-\n  app:v2\n\n\nx: y"),
        (" \"app:\\\n  v1\"\n", "app:v2", " \"app:v2\"\n"),
    ] {
        assert_eq!(text_after_string_edit(before, image), wanted, "{before}");
    }
}

#[test]
fn paths_go_through_mappings_and_lists() {
    let text = "a.b:\n  c:\n  - image: app:v1\n";
    assert_eq!(
        text_after_edit(text, &ImageLocation::from_values_path(r"a\.b.c.0.image"), "app:v2", HelmPin::Digest),
        text.replace("v1", "v2")
    );
    assert_eq!(
        ImageLocation::from_values_path(r"a\.b.c\d"),
        ImageLocation::Values { path: vec!["a.b".into(), r"c\d".into()] }
    );
}

#[test]
fn ambiguous_values_are_rejected() {
    for (text, path, wanted) in [
        ("", "image", "0:0: it is empty"),
        (
            "a: 1\n---\nb: 1\n",
            "image",
            "3:1: it contains more than one document, and a values file has exactly one",
        ),
        ("imege: {tag: v1}\n", "image", "1:1: there is no `image` at the top Did you mean `imege`?"),
        ("a: {b: 1}\n", "a.image", "1:4: there is no `image` in `a`"),
        (
            "b: &b {image: app:v1}\na: {<<: *b}\n",
            "a.image",
            "2:4: there is no `image` in `a` itself, and a merge key adds other values",
        ),
        (
            "b: &b {tag: v1}\na: *b\n",
            "a",
            "2:4: `a` is an alias of a value elsewhere in the file Write the value itself there, or edit the anchored value.",
        ),
        (
            "b: &b {image: {tag: v1}}\na: *b\n",
            "a.image",
            "2:4: `a` is an alias of a value elsewhere in the file",
        ),
        ("b: &b {tag: v1}\na: *b\n", "b", "1:7: `b` is also used elsewhere, by an alias"),
        (
            "b: &b {x: 1}\na: {<<: *b, repository: app}\n",
            "a",
            "2:4: there is no `tag` itself, and a merge key adds other values",
        ),
        ("a: {x: 1}\n", "a", "1:4: `a` has no `repository`, `tag` or `digest`"),
        (
            "a: {imageTag: v1}\n",
            "a.imageTag",
            "1:15: `a.imageTag` is part of an image Use the path of the mapping with `repository` and `tag`.",
        ),
        ("a: [x]\n", "a", "1:4: `a` is not a single value"),
        ("a: {tag: v1, tag: v1}\n", "a", "1:14: the key `tag` occurs twice in the same mapping"),
        ("a: {tag: v1}\nb: 1\nb: 2\n", "a", "3:1: the key `b` occurs twice in the same mapping"),
        (
            "a: {tag: \"{{ .x }}\"}\n",
            "a",
            "1:10: `a.tag` is filled in by a template Edit the values of the template instead.",
        ),
        (
            "a: {tag: \"${TAG}\"}\n",
            "a",
            "1:10: `a.tag` is filled in by a template Edit the values of the template instead.",
        ),
        ("a:\n{{- if x }}\n  tag: v1\n{{ end }}\n", "a", "2:3: it is a template, or not valid YAML ("),
        ("a: {tag: !!int 1}\n", "a", "1:16: `a.tag` carries the YAML tag `tag:yaml.org,2002:int`"),
        (
            "a: \u{2028}\n",
            "a",
            "1:1: it contains a character that is a line end in YAML 1.1 and not in YAML 1.2 Remove U+0085, U+2028 and U+2029.",
        ),
    ] {
        let said = text_after_edit(text, &ImageLocation::from_values_path(path), "app:v2", HelmPin::Digest);
        assert!(said.starts_with(wanted), "{text}\n{said}");
    }
}

#[test]
fn every_location_of_a_repository_is_found() {
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
    assert_eq!(
        text_after_edit(before, &ImageLocation::ValuesByRepository, "a.io/acme/app:v2", HelmPin::Digest),
        wanted
    );
    let none =
        text_after_edit(before, &ImageLocation::ValuesByRepository, "a.io/acme/none:v2", HelmPin::Digest);
    assert!(none.starts_with("0:0: no `repository` and no image in the file is `a.io/acme/none`"), "{none}");
}

#[test]
fn current_image_is_joined_from_its_parts() {
    let name: ImageRef = "a.io/acme/app".parse().unwrap();
    for (text, wanted) in [
        ("image: {tag: v1}", "a.io/acme/app:v1 true 1:14"),
        ("image: {registry: b.io, repository: app, tag: v1, digest: DIGEST}", "b.io/app:v1@DIGEST true 1:47"),
        ("image: {repository: app, tag: v1@DIGEST}", "app:v1@DIGEST true 1:31"),
        ("image: {repository: app, tag: ''}", "app true 1:31"),
        ("image: app:v1", "app:v1 true 1:8"),
        ("image: \"{{ x }}\"", "{{ x }} false 1:8"),
    ] {
        let found = find_image(
            text.replace("DIGEST", DIGEST).as_bytes(),
            &ImageLocation::from_values_path("image"),
            &name,
        )
        .unwrap();
        let said = found.text.unwrap_or_default().replace(DIGEST, "DIGEST");
        assert_eq!(format!("{said} {} {}:{}", found.image.is_some(), found.line, found.column), wanted);
    }
    let two = "a: {image: a.io/acme/app:v1}\nb: {image: a.io/acme/app:v2}\n";
    assert_eq!(find_image(two.as_bytes(), &ImageLocation::ValuesByRepository, &name).unwrap().image, None);
}
