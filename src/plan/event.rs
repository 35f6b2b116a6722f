//! What a run may do, by its trigger: decided once, for safety first. Code that is not merged is not
//! released; code that cannot be attributed to this repository is foreign. docs/events.md has the table.

/// The trigger of a run. All names in it are untrusted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trigger<'e> {
    /// Its name, such as `push`; `None` on a laptop.
    pub event: Option<&'e str>,
    /// The activity type of the event, such as `closed`.
    pub action: Option<&'e str>,
    /// The branch that the run is on.
    pub branch: Option<&'e str>,
    /// The tag that the run is on.
    pub tag: Option<&'e str>,
    /// The base branch of a pull request or merge group.
    pub base_branch: Option<&'e str>,
    /// Whether an environment was named, so that no branch has to select it.
    pub environment_named: bool,
    /// Whether GitHub withholds secrets: a fork, or Dependabot.
    pub secrets_withheld: bool,
    /// Whether the code comes, or may come, from another repository.
    pub is_from_fork: bool,
    /// Whether the push deleted its branch or tag.
    pub ref_deleted: bool,
    /// Whether the event is about a pull request whose code the run does not have (a comment, a check).
    pub is_about_pull_request: bool,
    /// The commit of the run.
    pub commit: Option<&'e str>,
    /// The commit that the event is about, if it names one: that of a check, a status or a deployment.
    pub event_commit: Option<&'e str>,
    /// The workflow run that triggered this one (`workflow_run`).
    pub upstream_run: Option<UpstreamRun<'e>>,
}

/// A completed workflow run that triggered another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamRun<'e> {
    /// Its own trigger.
    pub event: Option<&'e str>,
    /// Its conclusion; `None` if it has not ended.
    pub conclusion: Option<&'e str>,
    /// Its branch.
    pub branch: Option<&'e str>,
    /// Its commit.
    pub commit: Option<&'e str>,
}

/// What a run may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// The requested operation.
    Everything,
    /// The requested operation, if all of these commits are merged (`plan::merged`).
    OnlyMerged(Vec<String>),
    /// A plan only, whatever was requested.
    PlanOnly,
    /// Nothing, for this reason.
    Nothing(String),
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDecision<'e> {
    /// What the run may do.
    pub allowed: Allowed,
    /// The branch that selects the environment if none is named.
    pub branch: Option<&'e str>,
}

/// Decides what a run may do.
pub fn allow<'e>(on: &Trigger<'e>) -> EventDecision<'e> {
    match on.event {
        None => allow_everything(on.branch),
        Some("push") if on.ref_deleted => {
            allow_nothing("a branch or tag was deleted, which releases nothing")
        }
        Some("delete") => allow_nothing("a branch or tag was deleted, which releases nothing"),
        Some("push" | "create" | "workflow_dispatch" | "schedule" | "repository_dispatch") => {
            allow_at_ref(on)
        }
        Some("release") => allow_release(on),
        Some("pull_request" | "pull_request_review" | "pull_request_review_comment") => {
            allow_pull_request(on)
        }
        Some("pull_request_target") => allow_nothing(
            "`pull_request_target` has this repository's secrets on behalf of code that is not merged, so nothing \
             is planned or released; use `pull_request`",
        ),
        Some("merge_group") => EventDecision { allowed: Allowed::PlanOnly, branch: on.base_branch },
        Some("workflow_run") => allow_workflow_run(on),
        Some(event @ ("check_run" | "check_suite" | "status" | "deployment" | "deployment_status")) => {
            allow_commit_event(on, event)
        }
        Some(event) if ON_DEFAULT_BRANCH.contains(&event) => allow_merged(on, event, &[on.commit]),
        Some(unknown) => allow_nothing(format!("the event `{unknown}` is not known to release code")),
    }
}

/// Events that name no commit. GitHub runs their workflows on the newest commit of the default branch.
const ON_DEFAULT_BRANCH: [&str; 14] = [
    "branch_protection_rule",
    "discussion",
    "discussion_comment",
    "fork",
    "gollum",
    "image_version",
    "issue_comment",
    "issues",
    "label",
    "milestone",
    "page_build",
    "public",
    "registry_package",
    "watch",
];

fn allow_everything(branch: Option<&str>) -> EventDecision<'_> {
    EventDecision { allowed: Allowed::Everything, branch }
}

fn allow_nothing<'e>(why: impl Into<String>) -> EventDecision<'e> {
    EventDecision { allowed: Allowed::Nothing(why.into()), branch: None }
}

/// A branch selects the environment; a tag belongs to no branch.
fn allow_at_ref<'e>(on: &Trigger<'e>) -> EventDecision<'e> {
    match on.tag {
        Some(tag) if !on.environment_named => allow_nothing(format!(
            "`{tag}` is a tag, and a tag selects no environment: name the environment in the workflow"
        )),
        _ => allow_everything(on.branch),
    }
}

/// The text of a release can be edited, and a release can be deleted: neither is a request to release code.
fn allow_release<'e>(on: &Trigger<'e>) -> EventDecision<'e> {
    match on.action {
        Some("created" | "published" | "released" | "prereleased") => allow_at_ref(on),
        other => {
            allow_nothing(format!("a release was {}, which releases no code", other.unwrap_or("touched")))
        }
    }
}

fn allow_pull_request<'e>(on: &Trigger<'e>) -> EventDecision<'e> {
    if on.secrets_withheld {
        return allow_nothing(
            "GitHub gives no secrets and no OIDC token to this run (a fork or Dependabot), so nothing can be read \
             or changed",
        );
    }
    if on.action == Some("closed") {
        return allow_nothing("the pull request is closed; a merge triggers its own push event");
    }
    EventDecision { allowed: Allowed::PlanOnly, branch: on.base_branch }
}

/// A `workflow_run` has the newest commit of the default branch, which can differ from the commit of the other run.
fn allow_workflow_run<'e>(on: &Trigger<'e>) -> EventDecision<'e> {
    let Some(after) = &on.upstream_run else {
        return allow_nothing("the event does not name the workflow run that triggered it");
    };
    let event = match (after.conclusion, after.event) {
        (None, _) => return allow_nothing("the triggering workflow run has not ended"),
        (Some("success"), _) if on.is_from_fork => {
            return allow_nothing(
                "the triggering workflow run was of a fork; code that is not merged is not released",
            );
        }
        (Some("success"), Some(event)) => event,
        (Some("success"), None) => {
            return allow_nothing("the triggering workflow run does not name its own event");
        }
        (Some(other), _) => {
            return allow_nothing(format!("the triggering workflow run ended as `{other}`"));
        }
    };
    match event {
        "push" | "create" | "workflow_dispatch" | "schedule" | "repository_dispatch" | "release" => {
            allow_after_run(on, after)
        }
        pull if pull.starts_with("pull_request") || pull == "merge_group" => allow_nothing(
            "the triggering workflow run was of a pull request; code that is not merged is not released",
        ),
        other => allow_merged(on, &format!("workflow_run` after `{other}"), &[after.commit, on.commit]),
    }
}

/// After a run of a ref of this repository.
fn allow_after_run<'e>(on: &Trigger<'e>, after: &UpstreamRun<'e>) -> EventDecision<'e> {
    let is_same_commit = after.commit.is_some() && after.commit == on.commit;
    if on.environment_named || is_same_commit {
        return allow_everything(after.branch);
    }
    allow_nothing(
        "the triggering workflow run was of another commit than this run: name the environment, and check \
         out the commit of that run",
    )
}

/// Checks, statuses and deployments belong to any commit, also to one of a pull request or of a fork. The lists of pull
/// requests in them are empty for forks, so the commit decides.
fn allow_commit_event<'e>(on: &Trigger<'e>, event: &str) -> EventDecision<'e> {
    allow_merged(on, event, &[on.event_commit, on.commit])
}

/// Everything for the named environment, if these commits are merged.
fn allow_merged<'e>(on: &Trigger<'e>, event: &str, commits: &[Option<&str>]) -> EventDecision<'e> {
    if on.is_about_pull_request {
        return allow_nothing("the event is about a pull request; code that is not merged is not released");
    }
    if !on.environment_named {
        return allow_nothing(format!(
            "the event `{event}` does not select an environment: name it in the workflow"
        ));
    }
    let known: Option<Vec<String>> = commits.iter().map(|commit| commit.map(str::to_owned)).collect();
    let Some(mut known) = known else {
        return allow_nothing(format!(
            "the event `{event}` does not name its commit; code that is not merged is not released"
        ));
    };
    known.dedup();
    EventDecision { allowed: Allowed::OnlyMerged(known), branch: on.branch }
}

#[cfg(test)]
mod tests;
