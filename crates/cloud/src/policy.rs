//! Which actions the caller of the emulator may take: names with `*`, denial first.

use schemars::JsonSchema;
use serde::Deserialize;

/// Allowed and denied actions such as `ecs:UpdateService` or `ecr:*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CallerPolicy {
    /// Actions that are allowed; `*` by default.
    pub allow: Vec<String>,
    /// Actions that are denied, whatever is allowed.
    pub deny: Vec<String>,
}

impl Default for CallerPolicy {
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

impl CallerPolicy {
    /// `None` when the action may be taken.
    pub fn denial_of(&self, action: &str) -> Option<Denial> {
        if self.deny.iter().any(|pattern| matches_pattern(pattern, action)) {
            Some(Denial::Explicit)
        } else if self.allow.iter().any(|pattern| matches_pattern(pattern, action)) {
            None
        } else {
            Some(Denial::Implicit)
        }
    }
}

/// Whether a pattern with `*` matches an action.
pub fn matches_pattern(pattern: &str, action: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(action),
        Some((head, rest)) => {
            has_prefix(action, head)
                && (rest.is_empty()
                    || (head.len()..=action.len())
                        .any(|cut| action.get(cut..).is_some_and(|tail| matches_pattern(rest, tail))))
        }
    }
}

fn has_prefix(text: &str, head: &str) -> bool {
    text.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denial_wins_and_stars_match_any_run() {
        let policy = CallerPolicy {
            allow: vec!["ecs:*".into(), "ecr:Get*Token".into()],
            deny: vec!["ecs:Stop*".into()],
        };
        assert_eq!(policy.denial_of("ecs:UpdateService"), None);
        assert_eq!(policy.denial_of("ecs:StopServiceDeployment"), Some(Denial::Explicit));
        assert_eq!(policy.denial_of("ecr:GetAuthorizationToken"), None);
        assert_eq!(policy.denial_of("ecr:PutImage"), Some(Denial::Implicit));
        assert_eq!(CallerPolicy::default().denial_of("anything:AtAll"), None);
    }
}
