//! Kustomizations before and after, byte for byte.

use super::*;

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn update_to(image: &str) -> ImageUpdate {
    ImageUpdate { image: image.replace("DIGEST", DIGEST).parse().unwrap(), pin: HelmPin::Digest }
}

fn entry_named(name: &str) -> ImageLocation {
    ImageLocation::Kustomize { name: Some(name.into()) }
}

/// The file after the edit, or the reason of the rejection. A second edit must change nothing.
fn text_after_edit(text: &str, location: &ImageLocation, image: &str) -> String {
    let text = text.replace("DIGEST", DIGEST);
    match edit_image(text.as_bytes(), location, &update_to(image)) {
        Ok(edited) => {
            let again = edit_image(&edited.bytes, location, &update_to(image)).unwrap();
            assert_eq!((&again.bytes, again.replacements), (&edited.bytes, Vec::new()));
            assert_eq!(edited.replacements.is_empty(), edited.bytes == text.as_bytes());
            let found = find_image(&edited.bytes, location, &update_to(image).image).unwrap();
            assert_eq!(found.image, Some(update_to(image).image), "{found:?}");
            String::from_utf8(edited.bytes).unwrap().replace(DIGEST, "DIGEST")
        }
        Err(refusal) => {
            let (line, column) = refusal.at.unwrap_or_default();
            format!("{line}:{column}: {}", refusal.reason)
        }
    }
}

#[test]
fn only_the_value_changes() {
    for (before, image, wanted) in [
        (
            "images:\n- name: app\n  newTag: v1 # live\n",
            "app:v2",
            "images:\n- name: app\n  newTag: v2 # live\n",
        ),
        ("images:\n- name: app\n  newTag: 'v1'\n", "app:v2", "images:\n- name: app\n  newTag: 'v2'\n"),
        ("images:\n- name: app\n  newTag: \"v1\"", "app:v2", "images:\n- name: app\n  newTag: \"v2\""),
        ("images:\n- name: app\n  newTag: v1\n", "app:1.10", "images:\n- name: app\n  newTag: \"1.10\"\n"),
        ("images:\n- name: app\n  newTag: 1.10\n", "app:1.10", "images:\n- name: app\n  newTag: \"1.10\"\n"),
        ("images:\n- name: app\n  newTag: 1.10 # x\n", "app:v2", "images:\n- name: app\n  newTag: v2 # x\n"),
        (
            "images:\r\n- name: app\r\n  newTag: v1\r\n",
            "app:v2",
            "images:\r\n- name: app\r\n  newTag: v2\r\n",
        ),
        (
            "\u{feff}images:\n- name: app\n  newTag: v1\n",
            "app:v2",
            "\u{feff}images:\n- name: app\n  newTag: v2\n",
        ),
        ("images:\n- name: app\n  newTag: &t v1\n", "app:v2", "images:\n- name: app\n  newTag: &t v2\n"),
        ("images: [{name: app, newTag: v1}]\n", "app:v2", "images: [{name: app, newTag: v2}]\n"),
        (
            "{\"images\":[{\"name\":\"app\",\"newTag\":\"v1\"}]}",
            "app:v2",
            "{\"images\":[{\"name\":\"app\",\"newTag\":\"v2\"}]}",
        ),
        (
            "images:\n- name: app\n  newTag: >-\n    v1\n",
            "app:v2",
            "images:\n- name: app\n  newTag: >-\n    v2\n",
        ),
        ("images:\n- name: app\n  newTag:\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        ("images:\n- name: app\n  newTag: # none\n", "app:v2", "images:\n- name: app\n  newTag: v2 # none\n"),
        ("images:\n- name: app\n  newTag: ~\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        (
            "images:\n- newTag: !!str v1\n  name: app\n",
            "app:v2",
            "images:\n- newTag: !!str v2\n  name: app\n",
        ),
        (
            "images:\n- name: app\n  digest: DIGEST\n",
            "app@DIGEST",
            "images:\n- name: app\n  digest: DIGEST\n",
        ),
        (
            "---\nimages:\n- name: app\n  newTag: v1\n...\n",
            "app:v2",
            "---\nimages:\n- name: app\n  newTag: v2\n...\n",
        ),
    ] {
        assert_eq!(text_after_edit(before, &ImageLocation::Kustomize { name: None }, image), wanted);
    }
}

#[test]
fn tag_and_digest_match_the_update_and_stale_values_are_removed() {
    for (before, image, wanted) in [
        (
            "images:\n- name: app\n  newTag: v1\n",
            "app:v2@DIGEST",
            "images:\n- name: app\n  newTag: v2\n  digest: DIGEST\n",
        ),
        (
            "images:\n- name: app\n  newTag: v1",
            "app:v2@DIGEST",
            "images:\n- name: app\n  newTag: v2\n  digest: DIGEST",
        ),
        (
            "images:\n- name: app\n  newTag: v1 # x\n",
            "app@DIGEST",
            "images:\n- name: app\n  digest: DIGEST\n",
        ),
        ("images:\n- name: app\n  digest: DIGEST\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        ("images:\n- name: app\n  digest: DIGEST", "app:v2", "images:\n- name: app\n  newTag: v2"),
        (
            "images:\n- name: app\n  digest: &d DIGEST\nx: [&e 1, *e]\n",
            "app:v2",
            "images:\n- name: app\n  newTag: v2\nx: [&e 1, *e]\n",
        ),
        ("images:\n- digest: DIGEST\n  name: app\n", "app:v2", "images:\n- name: app\n  newTag: v2\n"),
        (
            "images:\n- digest: DIGEST # x\n  # y\n  name: app\n",
            "app:v2",
            "images:\n-  # x\n  # y\n  name: app\n  newTag: v2\n",
        ),
        (
            "images:\n-   name: app\n    digest: DIGEST\n# end\n",
            "app:v2",
            "images:\n-   name: app\n    newTag: v2\n# end\n",
        ),
        (
            "images:\n- {name: app, newTag: v1}\n",
            "app@DIGEST",
            "images:\n- {name: app, digest: \"DIGEST\"}\n",
        ),
        (
            "images:\n- {newTag: v1, name: app}\n",
            "app@DIGEST",
            "images:\n- {name: app, digest: \"DIGEST\"}\n",
        ),
        (
            "images:\n- { name: app, newTag: v1, }\n",
            "app@DIGEST",
            "images:\n- { name: app, digest: \"DIGEST\", }\n",
        ),
        (
            "{\n  \"images\": [\n    {\n      \"name\": \"app\",\n      \"newTag\": \"v1\"\n    }\n  ]\n}\n",
            "app:v2@DIGEST",
            "{\n  \"images\": [\n    {\n      \"name\": \"app\",\n      \"newTag\": \"v2\",\n      \"digest\": \"DIGEST\"\n    }\n  ]\n}\n",
        ),
        (
            "{\"images\":[{\"name\":\"app\",\"newTag\":\"v1\"}]}",
            "app:v2@DIGEST",
            "{\"images\":[{\"name\":\"app\",\"newTag\":\"v2\",\"digest\":\"DIGEST\"}]}",
        ),
        (
            "images: [{ name: app, # x\n  newTag: v1 }]\n",
            "app@DIGEST",
            "images: [{ name: app, digest: \"DIGEST\" # x\n   }]\n",
        ),
        (
            "images:\r\n- name: app\r\n  digest: DIGEST\r\n",
            "app:v2",
            "images:\r\n- name: app\r\n  newTag: v2\r\n",
        ),
        (
            "images:\n- name: app\n  newTag: v2\n  digest: \"\"\n",
            "app:v2",
            "images:\n- name: app\n  newTag: v2\n  digest: \"\"\n",
        ),
    ] {
        assert_eq!(text_after_edit(before, &ImageLocation::Kustomize { name: None }, image), wanted);
    }
}

#[test]
fn entry_is_found_by_image_name() {
    let full = "reg.io:5000/acme/app:v2";
    let none = ImageLocation::Kustomize { name: None };
    let anywhere = ImageLocation::KustomizeByRepository { repository: "acme/app".into() };
    let ecr = "images:\n- name: r.example/acme/app\n  newTag: v1\n";
    assert_eq!(
        text_after_edit(ecr, &anywhere, "other.example/acme/app:v2"),
        "images:\n- name: r.example/acme/app\n  newName: other.example/acme/app\n  newTag: v2\n"
    );
    for (before, location, wanted) in [
        (
            "- name: reg.io:5000/acme/app\n  newTag: v1\n",
            &none,
            "- name: reg.io:5000/acme/app\n  newTag: v2\n",
        ),
        (
            "- name: acme/app\n  newTag: v1\n",
            &none,
            "- name: acme/app\n  newName: reg.io:5000/acme/app\n  newTag: v2\n",
        ),
        (
            "- name: app\n  newName: reg.io:5000/acme/app\n  newTag: v1\n",
            &none,
            "- name: app\n  newName: reg.io:5000/acme/app\n  newTag: v2\n",
        ),
        (
            "- name: app\n  newName: acme/app # hub\n  newTag: v1\n",
            &none,
            "- name: app\n  newName: reg.io:5000/acme/app # hub\n  newTag: v2\n",
        ),
        (
            "- name: app\n",
            &entry_named("app"),
            "- name: app\n  newName: reg.io:5000/acme/app\n  newTag: v2\n",
        ),
        (
            "- name: app # a\n  newTag: v1\n",
            &entry_named("app"),
            "- name: app # a\n  newName: reg.io:5000/acme/app\n  newTag: v2\n",
        ),
        (
            "- {name: app}\n",
            &entry_named("app"),
            "- {name: app, newName: \"reg.io:5000/acme/app\", newTag: v2}\n",
        ),
    ] {
        assert_eq!(
            text_after_edit(&format!("images:\n{before}"), location, full),
            format!("images:\n{wanted}")
        );
    }
}

#[test]
fn missing_entry_is_added_in_the_style_of_the_file() {
    let none = ImageLocation::Kustomize { name: None };
    for (before, wanted) in [
        ("resources:\n- a.yaml\n", "resources:\n- a.yaml\nimages:\n- name: app\n  newTag: v2\n"),
        ("resources:\n  - a.yaml\n", "resources:\n  - a.yaml\nimages:\n  - name: app\n    newTag: v2\n"),
        ("resources:\n-   a.yaml", "resources:\n-   a.yaml\nimages:\n-   name: app\n    newTag: v2"),
        (
            "resources:\r\n- a.yaml # x\r\n\r\n# end\r\n",
            "resources:\r\n- a.yaml # x\r\nimages:\r\n- name: app\r\n  newTag: v2\r\n\r\n# end\r\n",
        ),
        ("namespace: x\n", "namespace: x\nimages:\n- name: app\n  newTag: v2\n"),
        ("---\nnamespace: x\n...\n", "---\nnamespace: x\nimages:\n- name: app\n  newTag: v2\n...\n"),
        (
            "patches:\n- patch: |-\n    a\n    b\n  target: {}\n",
            "patches:\n- patch: |-\n    a\n    b\n  target: {}\nimages:\n- name: app\n  newTag: v2\n",
        ),
        (
            "patches:\n- patch: |\n    a\n    b\n\n# end\n",
            "patches:\n- patch: |\n    a\n    b\nimages:\n- name: app\n  newTag: v2\n\n# end\n",
        ),
        ("images:\nnamespace: x\n", "images:\n- name: app\n  newTag: v2\nnamespace: x\n"),
        ("images: # none\nnamespace: x\n", "images: # none\n- name: app\n  newTag: v2\nnamespace: x\n"),
        ("images: ~ # none\n", "images: # none\n- name: app\n  newTag: v2\n"),
        ("images: []\n", "images: [{name: app, newTag: v2}]\n"),
        (
            "images:\n- name: b\n  newTag: v1\n# end\n",
            "images:\n- name: b\n  newTag: v1\n- name: app\n  newTag: v2\n# end\n",
        ),
        ("images:\n  -\n    name: b\n", "images:\n  -\n    name: b\n  - name: app\n    newTag: v2\n"),
        (
            "images:\n- {name: b, newTag: v1}\n",
            "images:\n- {name: b, newTag: v1}\n- {name: app, newTag: v2}\n",
        ),
        ("images: [ { name: b } ]\n", "images: [ { name: b }, { name: app, newTag: v2 } ]\n"),
        ("{}\n", "{images: [{name: app, newTag: v2}]}\n"),
        ("{namespace: x}\n", "{namespace: x, images: [{name: app, newTag: v2}]}\n"),
        (
            "{\n  \"namespace\": \"x\"\n}\n",
            "{\n  \"namespace\": \"x\",\n  \"images\": [{\"name\": \"app\", \"newTag\": \"v2\"}]\n}\n",
        ),
        (
            "{\n  \"images\": [\n    {\n      \"name\": \"b\"\n    }\n  ]\n}\n",
            "{\n  \"images\": [\n    {\n      \"name\": \"b\"\n    },\n    {\n      \"name\": \"app\",\n      \"newTag\": \"v2\"\n    }\n  ]\n}\n",
        ),
    ] {
        assert_eq!(text_after_edit(before, &none, "app:v2"), wanted);
    }
    let before = "images:\n- name: b\n";
    assert_eq!(
        text_after_edit(before, &entry_named("web"), "app:v2"),
        "images:\n- name: b\n- name: web\n  newName: app\n  newTag: v2\n"
    );
}

#[test]
fn ambiguous_kustomization_is_rejected() {
    let none = ImageLocation::Kustomize { name: None };
    for (before, wanted) in [
        ("", "0:0: it is empty, so it is not a kustomization"),
        ("- a\n", "1:1: it is not a mapping, so it is not a kustomization"),
        (
            "images: []\n---\nimages: []\n",
            "3:1: it contains more than one document, and a kustomization has exactly one",
        ),
        ("images:\n- name: app\n- name: app\n", "3:3: several entries of `images` are for `app`"),
        ("images: []\nimages: []\n", "2:1: the key `images` occurs twice in the same mapping"),
        ("a: 1\na: 2\nimages: []\n", "2:1: the key `a` occurs twice in the same mapping"),
        (
            "images:\n- name: app\n  newTag: a\n  newTag: b\n",
            "4:3: the key `newTag` occurs twice in the same mapping",
        ),
        (
            "images:\n- name: app\n  newTag: *t\n",
            "3:11: it is not valid YAML (while parsing node, found unknown anchor)",
        ),
        (
            "x: &t v1\nimages:\n- name: app\n  newTag: *t\n",
            "4:11: `images[0].newTag` is an alias of a value elsewhere in the file",
        ),
        (
            "images:\n- name: app\n  newTag: &t v1\nx: *t\n",
            "3:14: `images[0].newTag` is also used elsewhere, by an alias on line 4",
        ),
        ("images: &i\n- name: app\nx: *i\n", "2:3: `images` is also used elsewhere, by an alias on line 3"),
        (
            "images:\n- name: app\n  newTag: !vault v1\n",
            "3:18: `images[0].newTag` carries the YAML tag `!vault`",
        ),
        (
            "images:\n- name: app\n  newTag: |\n    v1\n",
            "4:5: `images[0].newTag` is a block scalar that keeps its line end",
        ),
        (
            "images:\n- name: app\n  newTag: '{{ .tag }}'\n",
            "3:11: `images[0].newTag` is filled in by a template",
        ),
        (
            "images:\n- name: app\n  newTag: {{ .tag }}\n",
            "3:11: `images[0].newTag` is filled in by a template",
        ),
        ("images:\n- name: app\n  newTag: [v1]\n", "3:11: `images[0].newTag` is not a single value"),
        (
            "images:\n- name: app\n  tagSuffix: -x\n",
            "3:14: the entry has a `tagSuffix`, which kustomize would append to the new tag",
        ),
        ("images: x\n", "1:9: `images` is not a list"),
    ] {
        assert_eq!(text_after_edit(before, &none, "app:v2"), wanted, "{before}");
    }
}

/// Every choice and order of keys, `name` among them.
fn key_orders() -> Vec<Vec<&'static str>> {
    let (mut found, mut open) = (Vec::new(), vec![Vec::new()]);
    while let Some(keys) = open.pop() {
        for key in ["name", "newName", "newTag", "digest"] {
            if !keys.contains(&key) {
                open.push(keys.iter().copied().chain([key]).collect());
            }
        }
        if keys.contains(&"name") {
            found.push(keys);
        }
    }
    found
}

#[test]
fn every_order_of_keys_is_edited_in_every_notation() {
    let notations = [
        ("images:\n- ", "", ": ", "\n  ", "\n"),
        ("images:\n  - ", "", ": ", " # c\n    ", ""),
        ("images: [{", "", ": ", ", ", "}]\n"),
        ("images:\n- { ", "", ": ", ",\n    ", ", }\n"),
        ("{\"images\":[{", "\"", ":", ",", "}]}"),
        ("{\n \"images\": [\n  {\n   ", "\"", ": ", ",\n   ", "\n  }\n ]\n}\n"),
        ("images: [ { # c\n ", "", ": ", ", # c\n ", " } ]\r\n"),
    ];
    let mut count = 0;
    for keys in key_orders() {
        for (head, quote, colon, between, tail) in notations {
            let value = |key: &str| match key {
                "digest" => format!("sha256:{}", "0".repeat(64)),
                key => format!("app{}", key.len()),
            };
            let pair = |key: &&str| format!("{quote}{key}{quote}{colon}\"{}\"", value(key));
            let text = format!("{head}{}{tail}", keys.iter().map(pair).collect::<Vec<_>>().join(between));
            for image in ["app4:v2", "reg.io:5000/app:1.10", "app4@DIGEST", "reg.io:5000/app:v2@DIGEST"] {
                let location = entry_named("app4");
                let edited = edit_image(text.as_bytes(), &location, &update_to(image));
                let edited = edited.unwrap_or_else(|refusal| panic!("{refusal:?}\n{text}"));
                let now = text_after_edit(&text, &location, image);
                let wished = update_to(image).image;
                for (key, said) in [
                    ("newName", wished.name() != "app4" || keys.contains(&"newName")),
                    ("newTag", wished.tag.is_some()),
                    ("digest", wished.digest.is_some()),
                ] {
                    assert_eq!(now.contains(key), said, "{text}\n{now}");
                    let was = keys.contains(&key);
                    let told =
                        edited.replacements.iter().filter(|it| it.path == format!("images[0].{key}")).count();
                    assert_eq!(told, usize::from(was || said), "{key}: {:?}\n{text}", edited.replacements);
                }
                // In lines, a comment behind a value goes with its line.
                let kept = !head.contains('{') || text.matches("# c").count() == now.matches("# c").count();
                assert!(kept, "{text}\n{now}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 49 * 7 * 4);
}

#[test]
fn changes_are_reported_with_their_new_position() {
    let before = "images:\n- digest: DIGEST\n  name: app\n".replace("DIGEST", DIGEST);
    let edited = edit_image(before.as_bytes(), &entry_named("app"), &update_to("reg.io/app:v2")).unwrap();
    let told = edited.replacements.into_iter().map(|it| (it.path, it.line, it.column, it.from, it.to));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("images[0].digest".to_owned(), 2, 3, some(DIGEST), None),
            ("images[0].newName".to_owned(), 3, 12, None, some("reg.io/app")),
            ("images[0].newTag".to_owned(), 4, 11, None, some("v2")),
        ]
    );
}
