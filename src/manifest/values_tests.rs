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
        ("a: 1\n---\nb: 1\n", "image", "0:0: no document of the file has `image` The file has no images."),
        (
            "image: {tag: v1}\n---\nimage: {tag: v1}\n",
            "image",
            "3:8: several documents of the file have `image`, and it is not clear which one is meant",
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
            "1:7: `b` is also used elsewhere, by an alias on line 2 Replace the alias with a value of its own.",
        ),
        (
            "b: &b {image: {tag: v1}}\na: *b\n",
            "a.image",
            "1:7: `b` is also used elsewhere, by an alias on line 2",
        ),
        ("b: &b {tag: v1}\na: *b\n", "b", "1:7: `b` is also used elsewhere, by an alias"),
        (
            "b: &b {x: 1}\na: {<<: *b, repository: app}\n",
            "a",
            "2:4: there is no `tag` itself, and a merge key adds other values",
        ),
        ("a: {x: 1}\n", "a", "1:4: `a` has no `repository`, `tag` or `digest`"),
        (
            "a: {repository: app}\n",
            "a.repository",
            "1:17: `a.repository` is part of an image Use the path of the mapping with `repository` and `tag`.",
        ),
        (
            "a: {registry: b.io, repository: app, tag: v1}\n",
            "a.registry",
            "1:15: `a.registry` is part of an image Use the path of the mapping with `repository` and `tag`.",
        ),
        (
            "api: {version: \"1.2.3\"}\n",
            "api.version",
            "1:16: `api.version` is `1.2.3`, which is not an image",
        ),
        (
            "api: {replicas: 3}\nweb: {image: b:v1}\n",
            "api.replicas",
            "1:17: `api.replicas` is `3`, which is not an image The file has `b`.",
        ),
        (
            "cache: {url: \"redis:6379\"}\n",
            "cache.url",
            "1:14: `cache.url` is `redis:6379`, which is not an image",
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
            "1:4: it contains a character that is a line end in YAML 1.1 and not in YAML 1.2 Remove U+0085, U+2028 and U+2029, or write them as escapes in quotes.",
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
    let listed = "The file has `a.io/acme/app`, `a.io/acme/app-proxy`, `a.io:443/acme/app`, `acme/app`.";
    assert_eq!(none, format!("0:0: no image in the file is `a.io/acme/none` {listed}"));
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

const HEX: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// By the name of the repository, in the whole file.
fn text_after_repository_edit(text: &str, image: &str) -> String {
    text_after_edit(&text.replace("HEX", HEX), &ImageLocation::ValuesByRepository, image, HelmPin::Digest)
        .replace(HEX, "HEX")
}

/// The value that has the version is edited, under whatever key; nothing is added beside it.
#[test]
fn version_is_edited_where_it_is() {
    for (before, image, wanted) in [
        ("web: {image: acme/web, imageTag: v1}\n", "acme/web:v2", "web: {image: acme/web, imageTag: v2}\n"),
        ("api: {image: g.io/api, version: v1}\n", "g.io/api:v2", "api: {image: g.io/api, version: v2}\n"),
        (
            "{repository: g.io/api, prefectTag: v1}\n",
            "g.io/api:v2",
            "{repository: g.io/api, prefectTag: v2}\n",
        ),
        ("{repository: g.io/api, version: v1}\n", "g.io/api:v2", "{repository: g.io/api, version: v2}\n"),
        ("{imageName: g.io/api, image_tag: v1}\n", "g.io/api:v2", "{imageName: g.io/api, image_tag: v2}\n"),
        (
            "{image: acme/web, imageTag: v1, sidecarImage: envoy, sidecarImageTag: v1}\n",
            "acme/web:v2",
            "{image: acme/web, imageTag: v2, sidecarImage: envoy, sidecarImageTag: v1}\n",
        ),
        (
            "{image: acme/web, imageTag: v1, sidecarImage: envoy, sidecarImageTag: v1}\n",
            "envoy:v2",
            "{image: acme/web, imageTag: v1, sidecarImage: envoy, sidecarImageTag: v2}\n",
        ),
        ("{repository: app, tag: v1, sha: HEX}\n", "app:v2", "{repository: app, tag: v2, sha: \"\"}\n"),
        ("{repository: app, tag: v1, sha: \"\"}\n", "app:v2", "{repository: app, tag: v2, sha: \"\"}\n"),
        (
            "{repository: app, tag: v1, sha: \"HEX\"}\n",
            "app:v2@DIGEST",
            "{repository: app, tag: v2, sha: \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}\n",
        ),
        (
            "{repository: app, tag: v1, sha: \"\"}\n",
            "app:v2@DIGEST",
            "{repository: app, tag: v2, sha: \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}\n",
        ),
        (
            "{repository: app, imageTag: v1, imageDigest: sha256:HEX}\n",
            "app:v2@DIGEST",
            "{repository: app, imageTag: v2, imageDigest: \"DIGEST\"}\n",
        ),
        ("x: {image: app:v1, version: 3}\n", "app:v2", "x: {image: \"app:v2\", version: 3}\n"),
    ] {
        let said = text_after_repository_edit(before, image);
        assert!(said == wanted || said.replace('"', "") == wanted.replace('"', ""), "{before}{said}");
    }
}

/// Names in pieces, and what a chart puts in front of them.
#[test]
fn name_is_joined_as_charts_join_it() {
    for (before, image) in [
        ("{registry: g.io, name: acme/api, tag: v1}\n", "g.io/acme/api:v2"),
        ("{registry: g.io, repository: acme, name: api, tag: v1}\n", "g.io/acme/api:v2"),
        ("{registry: g.io, repository: acme, image: api, tag: v1}\n", "g.io/acme/api:v2"),
        ("{repository: g.io/acme, image: api, tag: v1}\n", "g.io/acme/api:v2"),
        ("{registry: g.io, repo: acme/api, tag: v1}\n", "g.io/acme/api:v2"),
        ("{registry: g.io, image: acme/api, tag: v1}\n", "g.io/acme/api:v2"),
        ("global: {imageRegistry: g.io}\nimage: {repository: acme/web, tag: v1}\n", "g.io/acme/web:v2"),
        (
            "global: {imageRegistry: g.io}\nimage: {registry: docker.io, repository: acme/web, tag: v1}\n",
            "g.io/acme/web:v2",
        ),
        ("global: {image: {registry: g.io}}\nweb: {image: acme/web:v1}\n", "g.io/acme/web:v2"),
        ("imageRegistry: g.io\nimage: {repository: acme/web, tag: v1}\n", "g.io/acme/web:v2"),
    ] {
        assert_eq!(text_after_repository_edit(before, image), before.replace("v1", "v2"), "{before}");
    }
    let (path, doubled) = (
        ImageLocation::from_values_path("image"),
        "global: {imageRegistry: g.io}\nimage: {repository: acme/old, tag: v1}\n",
    );
    assert_eq!(
        text_after_edit(doubled, &path, "g.io/acme/web:v2", HelmPin::Digest),
        doubled.replace("old, tag: v1", "web, tag: v2")
    );
    assert_eq!(
        text_after_edit(doubled, &path, "h.io/acme/web:v2", HelmPin::Digest),
        "2:21: `global.imageRegistry` is `g.io`, which the chart puts in front of the name, so it cannot become `h.io/acme/web`"
    );
}

/// Strings that are hosts, names of charts and other things stay.
#[test]
fn what_is_not_an_image_stays() {
    let before = "image: {repository: redis, tag: \"7.0\"}
cache: {url: 'redis:6379', host: redis}
env:
- {name: REDIS_ADDR, value: \"redis:6379\"}
- {name: REDIS, value: redis:primary}
dependencies: [{name: redis, version: 18.1.0, repository: 'https://charts.example/redis'}]
labels: {version: 7.0, tag: \"7.0\"}
";
    let wanted = before.replacen("\"7.0\"", "\"7.2\"", 1);
    assert_eq!(text_after_repository_edit(before, "redis:7.2"), wanted);
}

#[test]
fn unclear_version_is_rejected() {
    for (text, wanted) in [
        (
            "{repository: app, webTag: v1, jobTag: v1}\n",
            "1:27: it is not clear whether `webTag` or `jobTag` is the version of the image",
        ),
        (
            "{repository: app, appVersion: v1}\n",
            "1:31: it is not clear whether `appVersion` is the version of the image",
        ),
        ("{repository: app, tag: v1, imageTag: v1}\n", "1:38: both `tag` and `imageTag` hold a tag"),
        (
            "global: {imageTag: v1}\nweb: {repository: app}\n",
            "2:6: there is no `tag`, and `global.imageTag` may be the version of the image",
        ),
        (
            "imageTag: v1\nweb: {image: app}\n",
            "2:14: `web.image` has no tag, and `imageTag` may be the version of the image",
        ),
        (
            "{repository: app, tag: v1, sha: c0ffee1}\n",
            "1:33: `sha` is `c0ffee1`, which is not the digest of an image",
        ),
        ("{imageRepository: app}\n", "1:19: there is no value for the version beside `imageRepository`"),
        ("{repository: app, tag: v1, tag: v1}\n", "1:28: the key `tag` occurs twice in the same mapping"),
    ] {
        let said = text_after_repository_edit(text, "app:v2");
        assert!(said.starts_with(wanted), "{text}{said}");
    }
}

#[test]
fn path_leads_to_what_belongs_there() {
    for (path, before, wanted) in [
        ("a.imageTag", "a: {imageTag: v1}\n", "a: {imageTag: v2}\n"),
        ("image.tag", "image: {repository: app, tag: v1}\n", "image: {repository: app, tag: v2}\n"),
        ("image.tag", "image: {repository: old, tag: v1}\n", "image: {repository: app, tag: v2}\n"),
        ("web.image", "web: {image: app, imageTag: v1}\n", "web: {image: app, imageTag: v2}\n"),
        ("web.version", "web: {image: app, version: v1}\n", "web: {image: app, version: v2}\n"),
        ("web", "web: {name: x, image: app:v1}\n", "web: {name: x, image: \"app:v2\"}\n"),
        ("a[0].image", "a: [{image: 'app:v1'}]\n", "a: [{image: 'app:v2'}]\n"),
        (
            "a.x.image",
            "a: [{name: y}, {name: x, image: 'app:v1'}]\n",
            "a: [{name: y}, {name: x, image: 'app:v2'}]\n",
        ),
        (
            "a[].image",
            "a: [{image: 'app:v1'}, {image: 'app:v0'}]\n",
            "a: [{image: 'app:v2'}, {image: 'app:v2'}]\n",
        ),
        ("[\"a.b\"].image", "a.b: {image: 'app:v1'}\n", "a.b: {image: 'app:v2'}\n"),
        ("spec/image", "spec: {image: 'app:v1'}\n", "spec: {image: 'app:v2'}\n"),
        ("entry", "entry: app=app:v1\n", "entry: app=app:v2\n"),
        ("b", "a: 1\n---\nb: {tag: v1}\n", "a: 1\n---\nb: {tag: v2}\n"),
        (
            "image",
            "image: {repository: x, tag: v1}\n---\nimage: {repository: app, tag: v1}\n",
            "image: {repository: x, tag: v1}\n---\nimage: {repository: app, tag: v2}\n",
        ),
        (
            "image",
            "base: &b {repository: app, tag: v1}\nimage: *b\n",
            "base: &b {repository: app, tag: v2}\nimage: *b\n",
        ),
        (
            "web",
            "web: {repository: app, tag: &t v1}\njob: {repository: app, tag: *t}\n",
            "web: {repository: app, tag: &t v2}\njob: {repository: app, tag: *t}\n",
        ),
    ] {
        let said = text_after_edit(before, &ImageLocation::from_values_path(path), "app:v2", HelmPin::Digest);
        assert!(said == wanted || said.replace('"', "") == wanted.replace('"', ""), "{path} {before}{said}");
    }
    let shared = "web: {repository: app, tag: &t v1}\njob: {repository: other, tag: *t}\n";
    assert_eq!(
        text_after_edit(shared, &ImageLocation::from_values_path("web"), "app:v2", HelmPin::Digest),
        "1:32: `web.tag` is also used elsewhere, by an alias on line 2 Replace the alias with a value of its own."
    );
}
