//! Names of repositories: when two mean the same one, registry and port told apart from the tag.

use crate::release::ImageRef;

const HUB: [&str; 4] = ["", "docker.io", "index.docker.io", "registry-1.docker.io"];

/// Whether both are images of one repository, by Docker Hub's short names too (distribution's reference rules).
pub(super) fn same_repository(a: &ImageRef, b: &ImageRef) -> bool {
    full(a) == full(b)
}

/// Whether `text` is a reference to, or the bare name of, the repository of `image`.
pub(super) fn names(text: &str, image: &ImageRef) -> bool {
    text.parse::<ImageRef>().is_ok_and(|other| same_repository(&other, image))
}

/// Registry and repository with everything said.
fn full(image: &ImageRef) -> (&str, String) {
    if !HUB.contains(&image.registry.as_str()) {
        return (&image.registry, image.repository.clone());
    }
    match image.repository.contains('/') {
        true => ("docker.io", image.repository.clone()),
        false => ("docker.io", format!("library/{}", image.repository)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag_and_the_hub_has_short_names() {
        let image = |text: &str| text.parse::<ImageRef>().unwrap();
        for (text, name) in [
            ("localhost:5000/app:v2", "localhost:5000/app"),
            ("nginx", "docker.io/library/nginx"),
            ("docker.io/nginx:1", "nginx"),
            ("bitnami/nginx:1", "docker.io/bitnami/nginx"),
        ] {
            assert!(names(text, &image(name)), "{text}");
        }
        for (text, name) in [
            ("localhost:5000/sidecar:v9", "localhost:5000/app"),
            ("localhost:5000/app", "localhost:5001/app"),
            ("acme/app", "ghcr.io/acme/app"),
            ("acme/app-worker:1", "acme/app"),
            ("{{ x }}", "acme/app"),
        ] {
            assert!(!names(text, &image(name)), "{text}");
        }
    }
}
