//! Objects of Argo CD, Flux and others before and after, byte for byte.

use super::*;

const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The file after the edit, or the reason of the rejection. A second edit must change nothing.
fn text_after_edit(text: &str, location: Option<&str>, image: &str) -> String {
    let update =
        ImageUpdate { image: image.replace("DIGEST", DIGEST).parse().unwrap(), pin: HelmPin::Digest };
    let edit = |text: &[u8]| match location {
        Some(path) => edit_image(text, &ImageLocation::from_values_path(path), &update),
        None => edit_file("file.yaml", text, &update),
    };
    match edit(text.as_bytes()) {
        Ok(edited) => {
            let again = edit(&edited.bytes).unwrap();
            assert_eq!((&again.bytes, again.replacements), (&edited.bytes, Vec::new()));
            let now = String::from_utf8(edited.bytes).unwrap();
            for it in edited.replacements {
                let line = now.lines().nth(it.line - 1).unwrap();
                let at: String = line.chars().skip(it.column - 1).collect();
                assert!(
                    at.trim_start_matches('"').starts_with(&it.to.unwrap_or_default()),
                    "{line}: {}",
                    it.path
                );
            }
            now.replace(DIGEST, "DIGEST")
        }
        Err(refusal) => {
            let (line, column) = refusal.at.unwrap_or_default();
            format!("{line}:{column}: {} {}", refusal.reason, refusal.help).trim_end().to_owned()
        }
    }
}

const HELM_RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: api}
spec:
  chart: {spec: {chart: api, version: 1.2.3}}
  values:
    image:
      repository: g.io/api
      tag: v1 # live
    env: {API: 'g.io:443'}
  postRenderers:
  - kustomize:
      images:
      - name: g.io/api
        newTag: v1
";

const APPLICATION: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: api}
spec:
  sources:
  - repoURL: https://charts.example
    targetRevision: v1
    helm:
      parameters:
      - name: image.repository
        value: g.io/api
      - name: image.tag
        value: \"v1\"
      - {name: job.image, value: \"g.io/api:v1\"}
      valuesObject:
        worker: {image: {registry: g.io, repository: api, tag: v1}}
      values: |
        # text
        web:
          image: g.io/api:v1

          job:
            image: { repository: g.io/api, tag: v1 }
  - kustomize:
      images:
      - g.io/api:v1
      - api=g.io/api:v1
      - other=g.io/other:v1
";

const FLUX: &str = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
spec:
  path: ./deploy
  images:
    - name: g.io/api
      newTag: v1
    - name: other
      newTag: v1
";

#[test]
fn images_of_objects_are_found_in_every_form() {
    let image = HELM_RELEASE.replace("tag: v1", "tag: v2").replace("newTag: v1", "newTag: v2");
    assert_eq!(text_after_edit(HELM_RELEASE, None, "g.io/api:v2"), image);
    let image = APPLICATION
        .replace("api:v1", "api:v2")
        .replace("tag: v1", "tag: v2")
        .replace("value: \"v1\"", "value: \"v2\"");
    assert_eq!(text_after_edit(APPLICATION, None, "g.io/api:v2"), image);
    assert_eq!(text_after_edit(FLUX, None, "g.io/api:v2"), FLUX.replacen("newTag: v1", "newTag: v2", 1));
    let set = APPLICATION
        .replace("kind: Application", "kind: ApplicationSet")
        .replace("spec:\n  sources:", "spec:\n generators: []\n template:\n  spec:\n  sources:");
    let nested = set.replace("  spec:\n  sources:", "  sources:").replace(" template:", " template:");
    let wanted = nested
        .replace("api:v1", "api:v2")
        .replace("tag: v1", "tag: v2")
        .replace("value: \"v1\"", "value: \"v2\"");
    assert_eq!(text_after_edit(&nested, None, "g.io/api:v2"), wanted);
}

/// The text of a value keeps its indentation, its blank lines and its line ends.
#[test]
fn values_as_text_are_edited_line_by_line() {
    let application = |text: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    helm:\n      values: {text}"
        )
    };
    for (before, image, wanted) in [
        (
            "|\n        image: {repository: app, tag: v1}\n",
            "app:v2",
            "|\n        image: {repository: app, tag: v2}\n",
        ),
        (
            "|-\n        image:\n          repository: app\n\n        # end\n",
            "app:v2",
            "|-\n        image:\n          repository: app\n          tag: v2\n\n        # end\n",
        ),
        (
            "|\n\n        a: b\n        image:\n          repository: app\n          tag: v1\n          digest: \"\"",
            "app:v2@DIGEST",
            "|\n\n        a: b\n        image:\n          repository: app\n          tag: v2\n          digest: \"DIGEST\"",
        ),
        (
            "|2\n        image: {repository: app, tag: v1}\n  x: y\n",
            "app:v2",
            "|2\n        image: {repository: app, tag: v2}\n  x: y\n",
        ),
        (
            "\"image: {repository: app, tag: v1}\\nx: y\\n\"\n",
            "app:v2",
            "6:15: `spec.source.helm.values` is YAML in a text that is not a block of lines",
        ),
        ("|\n        image: {{ .app }}\n        {{ x }}\n        y: app\n", "app:v2", "it is a template"),
    ] {
        for crlf in [false, true] {
            let text = application(before);
            let text = if crlf { text.replace('\n', "\r\n") } else { text };
            let said = text_after_edit(&text, None, image);
            let full = if crlf { application(wanted).replace('\n', "\r\n") } else { application(wanted) };
            assert!(said == full || said.contains(wanted), "{text}\n{said}");
        }
    }
}

#[test]
fn path_leads_into_objects() {
    for (text, path, wanted) in [
        (HELM_RELEASE, "spec.values.image", HELM_RELEASE.replace(" tag: v1", " tag: v2")),
        (
            APPLICATION,
            "spec.sources[0].helm.parameters[\"image.tag\"]",
            APPLICATION.replace("value: \"v1\"", "value: \"v2\""),
        ),
        (
            APPLICATION,
            "spec.sources[0].helm.parameters[1].value",
            APPLICATION.replace("value: \"v1\"", "value: \"v2\""),
        ),
        (
            APPLICATION,
            "spec.sources[0].helm.values.web.image",
            APPLICATION.replace("image: g.io/api:v1", "image: g.io/api:v2"),
        ),
        (
            APPLICATION,
            "spec.sources[1].kustomize.images[1]",
            APPLICATION.replace("api=g.io/api:v1", "api=g.io/api:v2"),
        ),
        (FLUX, "spec.images[0]", FLUX.replacen("newTag: v1", "newTag: v2", 1)),
        (FLUX, "spec.images[\"g.io/api\"]", FLUX.replacen("newTag: v1", "newTag: v2", 1)),
    ] {
        assert_eq!(text_after_edit(text, Some(path), "g.io/api:v2"), wanted, "{path}");
    }
    let lone = "kind: Application\nspec: {source: {helm: {parameters: [{name: image.tag, value: v1}]}}}\n";
    assert_eq!(
        text_after_edit(lone, Some("spec.source.helm.parameters[0].value"), "g.io/api:v2"),
        lone.replace("v1", "v2")
    );
}

#[test]
fn image_fields_of_custom_resources_are_edited() {
    let before = "\
apiVersion: monitoring.acme.dev/v1
kind: Agent
metadata: {name: a, annotations: {image: 'g.io/api:v1'}}
spec:
  image: g.io/api:v1
  baseImage: g.io/api
  version: v1
  driver: {image: {repository: g.io/api, tag: v1}}
  args: ['g.io/api:v1']
";
    let wanted = before
        .replace("  image: g.io/api:v1", "  image: g.io/api:v2")
        .replace("tag: v1", "tag: v2")
        .replace("  version: v1", "  version: v2");
    assert_eq!(text_after_edit(before, None, "g.io/api:v2"), wanted);
    let config = "apiVersion: v1\nkind: ConfigMap\ndata: {image: 'g.io/api:v1'}\n";
    assert_eq!(
        text_after_edit(config, None, "g.io/api:v2"),
        "0:0: `g.io/api` is not where such a file has images Name its path in the deploy file."
    );
}

#[test]
fn what_is_there_is_listed() {
    for (text, wanted) in [
        (HELM_RELEASE, "The file has `g.io/api`."),
        (APPLICATION, "The file has `g.io/api`, `g.io/other`."),
        (FLUX, "The file has `g.io/api`, `other`."),
        ("apiVersion: v1\nkind: Service\n", "The file has no images."),
    ] {
        let said = text_after_edit(text, None, "g.io/none:v2");
        assert_eq!(said, format!("0:0: no image in the file is `g.io/none` {wanted}"));
    }
}
