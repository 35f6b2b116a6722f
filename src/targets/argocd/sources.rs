//! Where an application takes its manifests from, and which of its sources follows our branch. Pure.

use serde::Deserialize;

use super::read::{Application, null_as_default};

/// A source of manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApplicationSource {
    /// URL of the repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag or commit; empty means `HEAD`.
    pub target_revision: String,
    /// Options of Kustomize.
    pub kustomize: Option<KustomizeOptions>,
    /// Options of Helm.
    pub helm: Option<HelmOptions>,
}

/// Options of Kustomize.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KustomizeOptions {
    /// Images that win over those of the files, such as `acme/web:v1` or `acme/web=mirror/web:v1`.
    #[serde(deserialize_with = "null_as_default")]
    pub images: Vec<String>,
}

/// Options of Helm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HelmOptions {
    /// Values that win over those of the files.
    #[serde(deserialize_with = "null_as_default")]
    pub parameters: Vec<HelmParameter>,
}

/// A value of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HelmParameter {
    /// Its path.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Manifests that Argo CD renders into a branch of their own, from which it syncs them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SourceHydrator {
    /// What people commit to.
    pub dry_source: ApplicationSource,
}

/// The last hydration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HydratorStatus {
    /// The newest one that succeeded.
    pub last_successful_operation: Option<Hydration>,
}

/// What a commit was rendered into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Hydration {
    /// The commit that people made.
    #[serde(rename = "drySHA")]
    pub dry_commit: String,
    /// The commit that Argo CD made of it, and syncs.
    #[serde(rename = "hydratedSHA")]
    pub hydrated_commit: String,
}

/// A branch of a repository.
#[derive(Debug, Clone, Copy)]
pub struct FollowedBranch<'b> {
    /// `owner/name`.
    pub repository: &'b str,
    /// Its name.
    pub branch: &'b str,
}

impl ApplicationSource {
    /// `targetRevision` as it counts.
    pub fn revision_text(&self) -> &str {
        if self.target_revision.is_empty() { "HEAD" } else { &self.target_revision }
    }

    fn is_of(&self, repository: &str) -> bool {
        is_repository_url(&self.repo_url, repository)
    }

    /// `HEAD` is the default branch, which is not known here: it is taken for ours.
    fn follows(&self, branch: &str) -> bool {
        let revision = self.revision_text();
        revision == "HEAD" || revision.strip_prefix("refs/heads/").unwrap_or(revision) == branch
    }
}

impl Application {
    /// The sources that commits are made to: with a source hydrator the dry one.
    pub fn sources(&self) -> Vec<&ApplicationSource> {
        if let Some(hydrator) = &self.spec.source_hydrator {
            return vec![&hydrator.dry_source];
        }
        match (&self.spec.source, self.spec.sources.is_empty()) {
            (Some(one), true) => vec![one],
            _ => self.spec.sources.iter().collect(),
        }
    }

    /// The index of the source that follows the branch; `None` if no source does.
    pub fn source_index(&self, wanted: FollowedBranch<'_>) -> Option<usize> {
        let follows =
            |source: &&ApplicationSource| source.is_of(wanted.repository) && source.follows(wanted.branch);
        self.sources().iter().position(follows)
    }

    /// Target revisions of the sources of the repository, for a message.
    pub fn other_revisions(&self, repository: &str) -> Vec<&str> {
        let own = self.sources().into_iter().filter(|source| source.is_of(repository));
        own.map(ApplicationSource::revision_text).collect()
    }

    /// The commit of that source that the live state was compared with. Where manifests cannot be rendered, the name of
    /// the branch stands there, or nothing: that is no commit.
    pub fn revision(&self, source: usize) -> Option<&str> {
        let sync = &self.status.sync;
        self.committed(source_revision(&sync.revision, &sync.revisions, source)?)
    }

    /// The commit of that source that the last sync synced to.
    pub fn synced_revision(&self, source: usize) -> Option<&str> {
        let result = self.status.operation_state.as_ref()?.sync_result.as_ref()?;
        self.committed(source_revision(&result.revision, &result.revisions, source)?)
    }

    /// The commit that people made, of one that Argo CD syncs.
    fn committed<'r>(&'r self, revision: &'r str) -> Option<&'r str> {
        let is_commit = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.spec.source_hydrator.is_none() {
            return is_commit.then_some(revision);
        }
        let hydration = self.status.source_hydrator.as_ref()?.last_successful_operation.as_ref()?;
        (hydration.hydrated_commit == revision).then_some(hydration.dry_commit.as_str())
    }
}

fn source_revision<'r>(one: &'r str, many: &'r [String], source: usize) -> Option<&'r str> {
    let chosen = if many.is_empty() { Some(one) } else { many.get(source).map(String::as_str) };
    chosen.filter(|revision| !revision.is_empty())
}

/// Whether a URL, HTTPS or SSH, is of the repository `owner/name`.
fn is_repository_url(address: &str, repository: &str) -> bool {
    let address = address.trim_end_matches('/').trim_end_matches(".git");
    let (length, wanted) = (address.len(), repository.len());
    let Some(start) = length.checked_sub(wanted) else { return false };
    let tail = address.get(start..).is_some_and(|tail| tail.eq_ignore_ascii_case(repository));
    tail && (start == 0 || address[..start].ends_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application_from(text: &str) -> Application {
        serde_json::from_str(text).unwrap()
    }

    const OURS: FollowedBranch<'_> = FollowedBranch { repository: "acme/m", branch: "main" };

    #[test]
    fn repository_urls_of_all_forms_match() {
        for address in [
            "https://github.com/acme/manifests",
            "https://github.com/Acme/Manifests.git",
            "git@github.com:acme/manifests.git",
            "ssh://git@ghes.example:22/acme/manifests/",
        ] {
            assert!(is_repository_url(address, "acme/manifests"), "{address}");
        }
        for address in
            ["https://github.com/xacme/manifests", "https://github.com/acme/manifests2", "manifests"]
        {
            assert!(!is_repository_url(address, "acme/manifests"), "{address}");
        }
    }

    #[test]
    fn source_that_follows_the_branch_counts() {
        let rows = [
            (r#"{"source":{"repoURL":"https://x/acme/m","targetRevision":"main"}}"#, Some(0)),
            (r#"{"source":{"repoURL":"https://x/acme/m","targetRevision":"refs/heads/main"}}"#, Some(0)),
            (r#"{"source":{"repoURL":"https://x/acme/m"}}"#, Some(0)),
            (r#"{"source":{"repoURL":"https://x/acme/m","targetRevision":"v1.0.0"}}"#, None),
            (
                r#"{"sources":[{"repoURL":"https://x/acme/m","targetRevision":"v1"},{"repoURL":"https://x/acme/m","targetRevision":"main"}]}"#,
                Some(1),
            ),
            (
                r#"{"sources":[{"repoURL":"https://charts"},{"repoURL":"git@x:acme/m.git","targetRevision":"HEAD","ref":"values"}]}"#,
                Some(1),
            ),
            (
                r#"{"sourceHydrator":{"drySource":{"repoURL":"https://x/acme/m","targetRevision":"main"}}}"#,
                Some(0),
            ),
            (r#"{"source":{"repoURL":"https://x/acme/other"}}"#, None),
            ("{}", None),
        ];
        for (spec, expected) in rows {
            let application = application_from(&format!(r#"{{"spec":{spec}}}"#));
            assert_eq!(application.source_index(OURS), expected, "{spec}");
        }
    }

    #[test]
    fn only_commits_are_revisions() {
        let (dry, made) = ("a".repeat(40), "b".repeat(40));
        let one = |revision: &str| {
            application_from(&format!(r#"{{"status":{{"sync":{{"revision":"{revision}"}}}}}}"#))
        };
        assert_eq!(one(&dry).revision(0), Some(dry.as_str()));
        assert_eq!(one("main").revision(0), None, "manifests that cannot be rendered");
        let several =
            application_from(&format!(r#"{{"status":{{"sync":{{"revisions":["1.2","{dry}"]}}}}}}"#));
        assert_eq!((several.revision(0), several.revision(1)), (None, Some(dry.as_str())));
        let hydrated = |synced: &str| {
            application_from(&format!(
                r#"{{"spec":{{"sourceHydrator":{{}}}},"status":{{"sync":{{"revision":"{synced}"}},
                "sourceHydrator":{{"lastSuccessfulOperation":{{"drySHA":"{dry}","hydratedSHA":"{made}"}}}}}}}}"#
            ))
        };
        assert_eq!(hydrated(&made).revision(0), Some(dry.as_str()));
        assert_eq!(hydrated(&"c".repeat(40)).revision(0), None, "the commit before is synced still");
    }
}
