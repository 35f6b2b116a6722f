//! The kind of a file, by its name and by its shape.

use std::path::Path;

use super::yaml_parser;
use super::yaml_text;
use super::yaml_tree::YamlTree;

/// A kind of file that contains images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A kustomization.
    Kustomize,
    /// Helm values.
    Values,
    /// Kubernetes objects.
    Manifest,
}

/// The kind of the file at `path` with the content `text`. If it cannot be parsed, its name decides.
pub fn detect_kind(path: &str, text: &[u8]) -> FileKind {
    let tree = yaml_text::decode_text(text).and_then(yaml_parser::parse_yaml).unwrap_or_default();
    detect(path, &tree)
}

/// As [`kind_of`]. The names are those that kustomize reads.
pub(super) fn detect(path: &str, tree: &YamlTree<'_>) -> FileKind {
    const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let has_key = |key, wanted: fn(&str) -> bool| {
        let mut values = tree.documents.iter().filter_map(|id| tree.get(*id, key).ok().flatten());
        values.any(|id| tree.text(id).is_some_and(wanted))
    };
    let of_kustomize = has_key("apiVersion", |version| version.starts_with("kustomize.config.k8s.io/"));
    // Flux's own objects are often in a file of that name.
    let of_flux = has_key("apiVersion", |version| version.contains(".toolkit.fluxcd.io/"));
    if of_kustomize || (NAMES.contains(&name) && !of_flux) {
        FileKind::Kustomize
    } else if has_key("kind", |_| true) && has_key("apiVersion", |_| true) {
        FileKind::Manifest
    } else {
        FileKind::Values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_kind_follows_name_and_shape() {
        for (path, text, kind) in [
            ("apps/x/kustomization.yaml", "", FileKind::Kustomize),
            ("Kustomization", "resources: []", FileKind::Kustomize),
            (
                "other.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component",
                FileKind::Kustomize,
            ),
            (
                "flux/kustomization.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization",
                FileKind::Manifest,
            ),
            ("values.yaml", "image: {repository: a}", FileKind::Values),
            ("deploy.yaml", "---\n---\napiVersion: v1\nkind: List\nitems: []", FileKind::Manifest),
            ("deploy.json", r#"{"apiVersion": "apps/v1", "kind": "Deployment"}"#, FileKind::Manifest),
            ("x.yaml", "kind: of", FileKind::Values),
            ("x.yaml", "[", FileKind::Values),
        ] {
            assert_eq!(detect_kind(path, text.as_bytes()), kind, "{path} {text}");
        }
    }
}
