//! What kind of file it is, by its name and by its shape.

use std::path::Path;

use super::tree::{self, Tree};

/// A kind of file that holds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A kustomization.
    Kustomize,
    /// Helm values.
    Values,
    /// Kubernetes objects.
    Manifest,
}

/// The kind of the file at `path` that says `text`. What cannot be read goes by its name.
pub fn kind_of(path: &str, text: &[u8]) -> Kind {
    let tree = tree::text_of(text).and_then(tree::read).unwrap_or_default();
    of_tree(path, &tree)
}

/// As [`kind_of`]. The names are those that kustomize looks for.
pub(super) fn of_tree(path: &str, tree: &Tree<'_>) -> Kind {
    const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let says = |key, wanted: fn(&str) -> bool| {
        let mut said = tree.documents.iter().filter_map(|id| tree.get(*id, key).ok().flatten());
        said.any(|id| tree.text(id).is_some_and(wanted))
    };
    if NAMES.contains(&name) || says("apiVersion", |version| version.starts_with("kustomize.config.k8s.io/"))
    {
        Kind::Kustomize
    } else if says("kind", |_| true) && says("apiVersion", |_| true) {
        Kind::Manifest
    } else {
        Kind::Values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_shapes() {
        for (path, text, kind) in [
            ("apps/x/kustomization.yaml", "", Kind::Kustomize),
            ("Kustomization", "resources: []", Kind::Kustomize),
            ("other.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component", Kind::Kustomize),
            ("values.yaml", "image: {repository: a}", Kind::Values),
            ("deploy.yaml", "---\n---\napiVersion: v1\nkind: List\nitems: []", Kind::Manifest),
            ("deploy.json", r#"{"apiVersion": "apps/v1", "kind": "Deployment"}"#, Kind::Manifest),
            ("x.yaml", "kind: of", Kind::Values),
            ("x.yaml", "[", Kind::Values),
        ] {
            assert_eq!(kind_of(path, text.as_bytes()), kind, "{path} {text}");
        }
    }
}
