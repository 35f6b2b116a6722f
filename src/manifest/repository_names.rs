//! Names of repositories: whether two are the same, with registry and port distinguished from the tag.

use crate::release::ImageRef;

const DOCKER_HUB_HOSTS: [&str; 4] = ["", "docker.io", "index.docker.io", "registry-1.docker.io"];

/// Whether both are images of one repository, Docker Hub's short names included (distribution's reference rules).
pub(super) fn is_same_repository(a: &ImageRef, b: &ImageRef) -> bool {
    canonical_name(a) == canonical_name(b)
}

/// Whether `text` is a reference to, or the bare name of, the repository of `image`.
pub(super) fn is_reference_to(text: &str, image: &ImageRef) -> bool {
    text.parse::<ImageRef>().is_ok_and(|other| is_same_repository(&other, image))
}

/// Registry and repository in full.
fn canonical_name(image: &ImageRef) -> (&str, String) {
    if !DOCKER_HUB_HOSTS.contains(&image.registry.as_str()) {
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
    fn port_is_not_a_tag_and_docker_hub_has_short_names() {
        let image = |text: &str| text.parse::<ImageRef>().unwrap();
        for (text, name) in [
            ("localhost:5000/app:v2", "localhost:5000/app"),
            ("nginx", "docker.io/library/nginx"),
            ("docker.io/nginx:1", "nginx"),
            ("bitnami/nginx:1", "docker.io/bitnami/nginx"),
        ] {
            assert!(is_reference_to(text, &image(name)), "{text}");
        }
        for (text, name) in [
            ("localhost:5000/sidecar:v9", "localhost:5000/app"),
            ("localhost:5000/app", "localhost:5001/app"),
            ("acme/app", "ghcr.io/acme/app"),
            ("acme/app-worker:1", "acme/app"),
            ("{{ x }}", "acme/app"),
        ] {
            assert!(!is_reference_to(text, &image(name)), "{text}");
        }
    }
}
