//! What an environment accepts as proof: the workflow files that may prove versions in it, and repositories of images
//! besides those of its services.

use super::branch::matches_pattern;
use super::parsed_string::parsed_string;

/// The folder of GitHub's workflows.
const WORKFLOW_FOLDER: &str = ".github/workflows/";

parsed_string!(
    /// A workflow file: its name, or its path below `.github/workflows`.
    WorkflowFile,
    check_workflow_file
);

parsed_string!(
    /// A repository with its registry. In the repository `*` matches anything but a slash, `**` matches anything.
    ImagePattern,
    check_image_pattern
);

impl WorkflowFile {
    /// The path in the repository.
    pub fn path(&self) -> String {
        format!("{WORKFLOW_FOLDER}{}", file_name(self.as_str()))
    }
}

impl ImagePattern {
    /// Whether an image is in such a repository; `name` is its registry and repository.
    pub fn matches(&self, name: &str) -> bool {
        matches_pattern(self.as_str(), name)
    }
}

fn file_name(text: &str) -> &str {
    text.strip_prefix(WORKFLOW_FOLDER).unwrap_or(text)
}

fn check_workflow_file(text: &str) -> Result<(), String> {
    let name = file_name(text);
    let is_yaml = [".yml", ".yaml"].iter().any(|end| name.len() > end.len() && name.ends_with(end));
    if is_yaml && !name.contains(['/', '*']) {
        return Ok(());
    }
    Err(format!("`{text}` is not a file of `.github/workflows`, such as `deploy.yml`"))
}

/// A registry is named, never matched: `*.example` would be anybody's.
fn check_image_pattern(text: &str) -> Result<(), String> {
    let parts = text.split_once('/').filter(|(registry, repository)| {
        let is_host = registry.contains(['.', ':']) || *registry == "localhost";
        is_host && !registry.contains('*') && !repository.is_empty()
    });
    let has_version = text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':'));
    match parts {
        Some(_) if !has_version && !text.contains(char::is_whitespace) => Ok(()),
        _ => Err(format!("`{text}` is not a registry and a repository, such as `ghcr.io/acme/*`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_file_is_a_name_or_a_path() {
        for text in ["deploy.yml", ".github/workflows/deploy.yml"] {
            let file = WorkflowFile::try_from(text.to_owned()).unwrap();
            assert_eq!(file.path(), ".github/workflows/deploy.yml");
        }
        for odd in ["", ".yml", "deploy", "a/deploy.yml", ".github/deploy.yml", "deploy.yml@main", "*"] {
            assert!(WorkflowFile::try_from(odd.to_owned()).is_err(), "{odd}");
        }
    }

    #[test]
    fn image_pattern_names_its_registry() {
        let pattern = ImagePattern::try_from("ghcr.io/acme/*".to_owned()).unwrap();
        for (name, matches) in [
            ("ghcr.io/acme/web", true),
            ("ghcr.io/acme/web/x", false),
            ("ghcr.io/mallory/web", false),
            ("ghcr.io.evil.example/acme/web", false),
            ("acme/web", false),
        ] {
            assert_eq!(pattern.matches(name), matches, "{name}");
        }
        for odd in
            ["", "*", "**", "*/x", "*.io/acme/x", "ghcr.io/", "ghcr.io/a/b:1", "ghcr.io/a@sha256:1", "a /b"]
        {
            assert!(ImagePattern::try_from(odd.to_owned()).is_err(), "{odd}");
        }
        assert!(ImagePattern::try_from("127.0.0.1:5000/acme/web".to_owned()).is_ok());
    }
}
