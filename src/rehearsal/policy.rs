//! Which actions the caller of the embedded cloud may take: names with `*`, denial first.

use serde::Deserialize;

/// Allowed and denied actions such as `ecs:UpdateService` or `ecr:*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Actions that are allowed; `*` by default.
    pub allow: Vec<String>,
    /// Actions that are denied, whatever is allowed.
    pub deny: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { allow: vec!["*".into()], deny: Vec::new() }
    }
}

/// Why an action is refused, in IAM's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Nothing allows it.
    Implicit,
    /// Something denies it.
    Explicit,
}

impl Policy {
    /// `None` when the action may be taken.
    pub fn denies(&self, action: &str) -> Option<Denial> {
        if self.deny.iter().any(|pattern| matches(pattern, action)) {
            Some(Denial::Explicit)
        } else if self.allow.iter().any(|pattern| matches(pattern, action)) {
            None
        } else {
            Some(Denial::Implicit)
        }
    }
}

/// The IAM action of an operation: the signing name is not always the prefix.
pub fn action(service: &str, operation: &str) -> String {
    if service == "registry" {
        return format!("ecr:{}", of_registry(operation));
    }
    let prefix = if service == "monitoring" { "cloudwatch" } else { service };
    format!("{prefix}:{operation}")
}

/// What ECR asks for when clients of images speak to the registry itself.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>
fn of_registry(operation: &str) -> &str {
    match operation {
        "GetManifest" => "BatchGetImage",
        "GetBlob" => "GetDownloadUrlForLayer",
        "GetBlobHead" => "BatchCheckLayerAvailability",
        "InitiateBlobUpload" | "MountBlob" => "InitiateLayerUpload",
        "UploadBlobChunk" => "UploadLayerPart",
        "CompleteBlobUpload" => "CompleteLayerUpload",
        "PutManifest" => "PutImage",
        _ => "GetAuthorizationToken",
    }
}

/// Whether a pattern with `*` matches an action.
pub fn matches(pattern: &str, action: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(action),
        Some((head, rest)) => {
            starts_with(action, head)
                && (rest.is_empty()
                    || (head.len()..=action.len())
                        .any(|cut| action.get(cut..).is_some_and(|tail| matches(rest, tail))))
        }
    }
}

fn starts_with(text: &str, head: &str) -> bool {
    text.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denial_wins_and_stars_match_any_run() {
        let policy =
            Policy { allow: vec!["ecs:*".into(), "ecr:Get*Token".into()], deny: vec!["ecs:Stop*".into()] };
        assert_eq!(policy.denies("ecs:UpdateService"), None);
        assert_eq!(policy.denies("ecs:StopServiceDeployment"), Some(Denial::Explicit));
        assert_eq!(policy.denies("ecr:GetAuthorizationToken"), None);
        assert_eq!(policy.denies("ecr:PutImage"), Some(Denial::Implicit));
        assert_eq!(Policy::default().denies("anything:AtAll"), None);
    }
}
