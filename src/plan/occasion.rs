//! What a run may do, by the event that it came from: decided once, for safety first. What is not merged is not
//! released; what nobody can see to be ours is not ours. The table for people is docs/events.md.

/// What is known of the event that a run came from. All names in it are text from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occasion<'e> {
    /// Its name, such as `push`; `None` on a laptop.
    pub event: Option<&'e str>,
    /// What happened to the thing that it is about, such as `closed`.
    pub action: Option<&'e str>,
    /// The branch that the run is on.
    pub branch: Option<&'e str>,
    /// The tag that the run is on.
    pub tag: Option<&'e str>,
    /// The branch that a pull request, or a group of them in a merge queue, is to be merged into.
    pub base: Option<&'e str>,
    /// Whether an environment was named, so that no branch has to choose it.
    pub named: bool,
    /// Whether GitHub withholds secrets: a fork, or Dependabot.
    pub withheld: bool,
    /// Whether the code comes from another repository, or may.
    pub from_fork: bool,
    /// Whether the push took its branch or tag away.
    pub deleted: bool,
    /// Whether the event is about a pull request that its run has no code of (a comment, a check).
    pub about_pull_request: bool,
    /// The run that this one follows (`workflow_run`).
    pub after: Option<Earlier<'e>>,
}

/// A run that has ended, of which another one was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier<'e> {
    /// Its own event.
    pub event: Option<&'e str>,
    /// How it ended; `None` where it has not.
    pub conclusion: Option<&'e str>,
    /// Its branch.
    pub branch: Option<&'e str>,
    /// Whether its commit is the one that this run is on.
    pub same_commit: bool,
}

/// What a run may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum May {
    /// Whatever was asked for.
    Everything,
    /// Show what would change, whatever was asked for.
    Plan,
    /// Nothing, for this reason.
    Nothing(String),
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling<'e> {
    /// What the run may do.
    pub may: May,
    /// The branch that chooses the environment where none is named.
    pub branch: Option<&'e str>,
}

/// Decides what a run may do.
pub fn decide<'e>(on: &Occasion<'e>) -> Ruling<'e> {
    match on.event {
        None => everything(on.branch),
        Some("push") if on.deleted => nothing("a branch or tag was deleted; that releases nothing"),
        Some("delete") => nothing("a branch or tag was deleted; that releases nothing"),
        Some("push" | "workflow_dispatch" | "schedule" | "repository_dispatch") => at_ref(on),
        Some("release") => release(on),
        Some("pull_request" | "pull_request_review" | "pull_request_review_comment") => pull_request(on),
        Some("pull_request_target") => nothing(
            "`pull_request_target` has this repository's secrets on behalf of code that is not merged, so that \
             nothing is planned or released by it; use `pull_request`",
        ),
        Some("merge_group") => Ruling { may: May::Plan, branch: on.base },
        Some("workflow_run") => workflow_run(on),
        Some(other) => any_other(on, other),
    }
}

fn everything(branch: Option<&str>) -> Ruling<'_> {
    Ruling { may: May::Everything, branch }
}

fn nothing<'e>(why: impl Into<String>) -> Ruling<'e> {
    Ruling { may: May::Nothing(why.into()), branch: None }
}

/// A branch chooses the environment; a tag belongs to no branch.
fn at_ref<'e>(on: &Occasion<'e>) -> Ruling<'e> {
    match on.tag {
        Some(tag) if !on.named => {
            nothing(format!("`{tag}` is a tag, and tags belong to no environment: name it in the workflow"))
        }
        _ => everything(on.branch),
    }
}

/// Words of a release can be edited, and it can be taken away: neither is a wish to release code.
fn release<'e>(on: &Occasion<'e>) -> Ruling<'e> {
    match on.action {
        Some("created" | "published" | "released" | "prereleased") => at_ref(on),
        other => nothing(format!("a release was {}, which releases no code", other.unwrap_or("touched"))),
    }
}

fn pull_request<'e>(on: &Occasion<'e>) -> Ruling<'e> {
    if on.withheld {
        return nothing(
            "GitHub gives no secrets and no OIDC token to this run (a fork or Dependabot), so nothing could be read \
             or changed",
        );
    }
    if on.action == Some("closed") {
        return nothing("the pull request is closed; if it was merged, that is a push of its own");
    }
    Ruling { may: May::Plan, branch: on.base }
}

/// A run after another one has the newest commit of the default branch, which need not be what the other one tested.
fn workflow_run<'e>(on: &Occasion<'e>) -> Ruling<'e> {
    let Some(after) = &on.after else {
        return nothing("the event does not say which run this one follows");
    };
    let of_pull_request = |event: &str| event.starts_with("pull_request") || event == "merge_group";
    match (after.conclusion, after.event) {
        (Some("success"), _) if on.from_fork => {
            nothing("the run that this one follows was of a fork; what is not merged is not released")
        }
        (Some("success"), Some(event)) if of_pull_request(event) => {
            nothing("the run that this one follows was of a pull request; what is not merged is not released")
        }
        (Some("success"), _) if on.named || after.same_commit => everything(after.branch),
        (Some("success"), _) => nothing(
            "the run that this one follows was of another commit than this one is on: name the environment, and check \
             out the commit of that run",
        ),
        (Some(other), _) => nothing(format!("the run that this one follows ended as `{other}`")),
        (None, _) => nothing("the run that this one follows has not ended"),
    }
}

/// Events that say nothing about a branch act on the environment that somebody named, or not at all.
fn any_other<'e>(on: &Occasion<'e>, event: &str) -> Ruling<'e> {
    if on.about_pull_request {
        return nothing("the event is about a pull request; what is not merged is not released");
    }
    if on.named {
        return everything(on.branch);
    }
    nothing(format!("the event `{event}` chooses no environment by itself: name it in the workflow"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push() -> Occasion<'static> {
        Occasion { event: Some("push"), branch: Some("main"), ..Occasion::default() }
    }

    fn pull() -> Occasion<'static> {
        Occasion {
            event: Some("pull_request"),
            action: Some("opened"),
            base: Some("main"),
            ..Occasion::default()
        }
    }

    fn follows(
        conclusion: Option<&'static str>,
        event: &'static str,
        same_commit: bool,
    ) -> Occasion<'static> {
        let after = Earlier { event: Some(event), conclusion, branch: Some("develop"), same_commit };
        let (event, branch) = (Some("workflow_run"), Some("main"));
        Occasion { event, branch, after: Some(after), ..Occasion::default() }
    }

    fn said(on: Occasion<'_>) -> String {
        let Ruling { may, branch } = decide(&on);
        match may {
            May::Everything => format!("everything by {}", branch.unwrap_or("name")),
            May::Plan => format!("plan for {}", branch.unwrap_or("name")),
            May::Nothing(why) => format!("nothing: {why}"),
        }
    }

    #[test]
    fn what_is_ours_and_merged_may_be_released() {
        let tag = Occasion { branch: None, tag: Some("v1"), ..push() };
        let release = |action| Occasion { event: Some("release"), action: Some(action), named: true, ..tag };
        let dispatch = Occasion { event: Some("workflow_dispatch"), ..push() };
        insta::assert_snapshot!([
            said(Occasion::default()),
            said(push()),
            said(Occasion { deleted: true, ..push() }),
            said(tag),
            said(Occasion { named: true, ..tag }),
            said(dispatch),
            said(release("published")),
            said(Occasion { named: false, ..release("published") }),
            said(release("deleted")),
        ].join("\n"), @"
        everything by name
        everything by main
        nothing: a branch or tag was deleted; that releases nothing
        nothing: `v1` is a tag, and tags belong to no environment: name it in the workflow
        everything by name
        everything by main
        everything by name
        nothing: `v1` is a tag, and tags belong to no environment: name it in the workflow
        nothing: a release was deleted, which releases no code
        ");
    }

    #[test]
    fn what_is_not_merged_is_planned_at_most() {
        let with = |event| Occasion { event: Some(event), ..pull() };
        insta::assert_snapshot!([
            said(pull()),
            said(with("pull_request_review")),
            said(with("merge_group")),
            said(Occasion { withheld: true, ..pull() }),
            said(Occasion { action: Some("closed"), ..pull() }),
            said(Occasion { named: true, ..with("pull_request_target") }),
        ].join("\n"), @"
        plan for main
        plan for main
        plan for main
        nothing: GitHub gives no secrets and no OIDC token to this run (a fork or Dependabot), so nothing could be read or changed
        nothing: the pull request is closed; if it was merged, that is a push of its own
        nothing: `pull_request_target` has this repository's secrets on behalf of code that is not merged, so that nothing is planned or released by it; use `pull_request`
        ");
    }

    #[test]
    fn a_run_after_another_one_releases_what_that_one_tested_or_nothing() {
        insta::assert_snapshot!([
            said(follows(Some("success"), "push", true)),
            said(follows(Some("success"), "push", false)),
            said(Occasion { named: true, ..follows(Some("success"), "push", false) }),
            said(follows(Some("failure"), "push", true)),
            said(follows(None, "push", true)),
            said(Occasion { named: true, ..follows(Some("success"), "pull_request", true) }),
            said(Occasion { from_fork: true, named: true, ..follows(Some("success"), "push", true) }),
            said(Occasion { after: None, named: true, ..follows(None, "push", true) }),
        ].join("\n"), @"
        everything by develop
        nothing: the run that this one follows was of another commit than this one is on: name the environment, and check out the commit of that run
        everything by develop
        nothing: the run that this one follows ended as `failure`
        nothing: the run that this one follows has not ended
        nothing: the run that this one follows was of a pull request; what is not merged is not released
        nothing: the run that this one follows was of a fork; what is not merged is not released
        nothing: the event does not say which run this one follows
        ");
    }

    #[test]
    fn any_other_event_needs_a_name_and_no_pull_request() {
        let comment = Occasion { event: Some("issue_comment"), ..push() };
        let on_pull = Occasion { about_pull_request: true, ..comment };
        insta::assert_snapshot!([
            said(comment),
            said(Occasion { named: true, ..comment }),
            said(Occasion { named: true, ..on_pull }),
        ].join("\n"), @"
        nothing: the event `issue_comment` chooses no environment by itself: name it in the workflow
        everything by main
        nothing: the event is about a pull request; what is not merged is not released
        ");
    }
}
