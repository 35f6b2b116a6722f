//! The keys under which charts and custom resources keep an image or its parts: `image`, `repository`, `imageTag`,
//! `sha`, and the like. Words only; nodes are read elsewhere.

/// What a key holds of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    /// The host.
    Registry,
    /// The repository, with or without its host.
    Repository,
    /// A whole reference, or the name in front of a tag.
    Image,
    /// A name of anything, which may be the image's.
    Name,
    /// The tag.
    Tag,
    /// A version of anything, which is the tag beside a name of an image.
    Version,
    /// The version of something else, perhaps of the image.
    OtherVersion,
    /// The digest, with its algorithm.
    Digest,
    /// The digest, without its algorithm.
    Sha,
}

/// A key as a part of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartKey {
    pub(super) kind: PartKind,
    /// The words in front: `sidecar` of `sidecarImageTag`. Keys of one image have the same.
    pub(super) prefix: String,
}

/// The part that a key names, if any.
pub(super) fn classify_key(key: &str) -> Option<PartKey> {
    let words = split_words(key);
    let (last, before) = words.split_last()?;
    let before = before.strip_suffix(&["image".to_owned()]).unwrap_or(before);
    let about_image = before.len() + 1 < words.len();
    let kind = match last.as_str() {
        "registry" => PartKind::Registry,
        "repository" | "repo" => PartKind::Repository,
        "image" => PartKind::Image,
        "name" if about_image => PartKind::Image,
        "name" if before.is_empty() => PartKind::Name,
        "tag" => PartKind::Tag,
        "version" if about_image || before.is_empty() => PartKind::Version,
        "version" if !is_version_of_else(before) => PartKind::OtherVersion,
        "digest" => PartKind::Digest,
        "sha" | "sha256" => PartKind::Sha,
        _ => return None,
    };
    Some(PartKey { kind, prefix: before.join(" ") })
}

/// Whether a key by itself says that its value is an image.
pub(super) fn is_image_key(key: &str) -> bool {
    classify_key(key).is_some_and(|part| part.kind == PartKind::Image)
}

/// Whether a key holds images: `images`, `sidecarImages`.
pub(super) fn is_images_key(key: &str) -> bool {
    split_words(key).last().is_some_and(|word| word == "images")
}

/// Versions that no chart appends to a repository.
fn is_version_of_else(before: &[String]) -> bool {
    const THINGS: [&str; 5] = ["api", "chart", "schema", "k8s", "helm"];
    before.iter().any(|word| THINGS.contains(&word.as_str()) || word.starts_with("kube"))
}

/// The words of a key in camel case, snake case or kebab case, in lower case.
fn split_words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for letter in key.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && lower_before) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        lower_before = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_charts_are_classified() {
        for (key, wanted) in [
            ("image", "Image "),
            ("imageName", "Image "),
            ("sidecarImage", "Image sidecar"),
            ("container_image", "Image container"),
            ("repository", "Repository "),
            ("imageRepository", "Repository "),
            ("repo", "Repository "),
            ("name", "Name "),
            ("tag", "Tag "),
            ("imageTag", "Tag "),
            ("image-tag", "Tag "),
            ("IMAGE_TAG", "Tag "),
            ("prefectTag", "Tag prefect"),
            ("sidecarImageTag", "Tag sidecar"),
            ("version", "Version "),
            ("imageVersion", "Version "),
            ("appVersion", "OtherVersion app"),
            ("digest", "Digest "),
            ("imageDigest", "Digest "),
            ("sha", "Sha "),
            ("imageSha256", "Sha "),
            ("registry", "Registry "),
            ("imageRegistry", "Registry "),
        ] {
            let part = classify_key(key).map(|part| format!("{:?} {}", part.kind, part.prefix));
            assert_eq!(part.as_deref(), Some(wanted), "{key}");
        }
        for key in ["apiVersion", "chartVersion", "fullName", "tags", "images", "url", "", "imagePullPolicy"]
        {
            assert_eq!(classify_key(key), None, "{key}");
        }
        assert!(is_images_key("images") && is_images_key("initImages") && !is_images_key("image"));
    }
}
