//! Where this runs: what the runner says about the workflow, the commit and the branch. Pure.

use super::event::Event;
use super::redact::Secret;
use crate::sys::environment::Variables;

/// What `GITHUB_*` and its like say; on a laptop nearly everything is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// Whether a runner started this process.
    pub in_runner: bool,
    /// Name of the event, such as `push`.
    pub event_name: Option<String>,
    /// Path of the event's JSON; read it and call [`Context::with_event`].
    pub event_path: Option<String>,
    /// Facts of the event; empty until [`Context::with_event`].
    pub event: Event,
    /// The full ref, such as `refs/heads/main`.
    pub full_ref: Option<String>,
    /// The short ref; `7/merge` for a pull request.
    pub ref_name: Option<String>,
    /// `branch` or `tag`.
    pub ref_type: Option<String>,
    /// Branch of a pull request that is to be merged.
    pub head_ref: Option<String>,
    /// Branch that a pull request is to be merged into.
    pub base_ref: Option<String>,
    /// `GITHUB_SHA`; for a pull request that of a trial merge. See [`Context::commit`].
    pub sha: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Where GitHub is, such as `https://github.com`.
    pub server_url: Option<String>,
    /// Where its API is, such as `https://api.github.com`.
    pub api_url: Option<String>,
    /// Identifier of the run.
    pub run_id: Option<String>,
    /// 1 for the first attempt.
    pub run_attempt: Option<String>,
    /// Who started the run.
    pub actor: Option<String>,
    /// The checked-out files.
    pub workspace: Option<String>,
    /// Identifier of the job in the workflow.
    pub job: Option<String>,
    /// Whether debug logging is on.
    pub debug: bool,
    /// Where OIDC tokens are issued; only with `id-token: write`.
    pub oidc: Option<Oidc>,
}

/// Where the runner issues OIDC tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// The address, with a query already; `&audience=` is added to it.
    pub url: String,
    /// The bearer token for it.
    pub token: Secret,
}

impl Context {
    /// Reads the variables. Empty ones count as missing.
    pub fn read(variables: &Variables) -> Self {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let oidc = get("ACTIONS_ID_TOKEN_REQUEST_URL").zip(get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
        Self {
            in_runner: get("GITHUB_ACTIONS").as_deref() == Some("true"),
            event_name: get("GITHUB_EVENT_NAME"),
            event_path: get("GITHUB_EVENT_PATH"),
            event: Event::default(),
            full_ref: get("GITHUB_REF"),
            ref_name: get("GITHUB_REF_NAME"),
            ref_type: get("GITHUB_REF_TYPE"),
            head_ref: get("GITHUB_HEAD_REF"),
            base_ref: get("GITHUB_BASE_REF"),
            sha: get("GITHUB_SHA"),
            repository: get("GITHUB_REPOSITORY"),
            server_url: get("GITHUB_SERVER_URL"),
            api_url: get("GITHUB_API_URL"),
            run_id: get("GITHUB_RUN_ID"),
            run_attempt: get("GITHUB_RUN_ATTEMPT"),
            actor: get("GITHUB_ACTOR"),
            workspace: get("GITHUB_WORKSPACE"),
            job: get("GITHUB_JOB"),
            debug: get("RUNNER_DEBUG").as_deref() == Some("1"),
            oidc: oidc.map(|(url, token)| Oidc { url, token: Secret::new(token) }),
        }
    }

    /// Adds what the text of the event's JSON says.
    pub fn with_event(self, text: &str) -> Self {
        Self { event: Event::parse(text), ..self }
    }

    /// Whether the event is a pull request's and runs on its trial merge or, for `pull_request_target`, its base.
    pub fn is_pull_request(&self) -> bool {
        let reviews = ["pull_request_review", "pull_request_review_comment"];
        let names = ["pull_request", "pull_request_target"];
        self.event_name.as_deref().is_some_and(|name| names.contains(&name) || reviews.contains(&name))
    }

    /// Whether the code comes from another repository. A pull request that does not say counts as one that does.
    pub fn from_fork(&self) -> bool {
        self.event.from_fork.unwrap_or(self.is_pull_request())
    }

    /// Whether GitHub withholds secrets and the OIDC token from this run.
    pub fn secrets_withheld(&self) -> bool {
        let dependabot = self.actor.as_deref() == Some("dependabot[bot]");
        let target = self.event_name.as_deref() == Some("pull_request_target");
        self.is_pull_request() && !target && (self.from_fork() || dependabot)
    }

    /// The branch that environments are matched with: the pushed one, or the head of a pull request of this
    /// repository. `None` for a tag, and for a fork, where anybody may name a branch `main`.
    pub fn branch(&self) -> Option<&str> {
        if self.is_pull_request() {
            let told = self.event.pull_request.as_ref().and_then(|pull| pull.head_ref.as_deref());
            return self.head_ref.as_deref().or(told).filter(|_| !self.from_fork());
        }
        self.full_ref.as_deref().and_then(|full| full.strip_prefix("refs/heads/"))
    }

    /// The branch that a pull request, or a group of a merge queue, would be merged into: what a plan for it is about.
    pub fn base_branch(&self) -> Option<&str> {
        if self.is_pull_request() {
            let told = self.event.pull_request.as_ref().and_then(|pull| pull.base_ref.as_deref());
            return self.base_ref.as_deref().or(told);
        }
        let queue = self.event_name.as_deref() == Some("merge_group");
        self.event.queue_base.as_deref().filter(|_| queue)
    }

    /// The tag, where the run is about one.
    pub fn tag(&self) -> Option<&str> {
        self.full_ref.as_deref().and_then(|full| full.strip_prefix("refs/tags/"))
    }

    /// The commit people know: the head of a pull request, not its trial merge.
    pub fn commit(&self) -> Option<&str> {
        let head = self.event.pull_request.as_ref().and_then(|pull| pull.head_sha.as_deref());
        head.filter(|_| self.is_pull_request()).or(self.sha.as_deref())
    }

    /// The number of the pull request, from the event or from `refs/pull/7/merge`.
    pub fn pull_request(&self) -> Option<u64> {
        let from_ref =
            || self.full_ref.as_deref()?.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok();
        self.event.pull_request.as_ref().map(|pull| pull.number).or_else(from_ref)
    }

    /// The page of this attempt of the run.
    pub fn run_url(&self) -> Option<String> {
        let (server, repository, run) =
            (self.server_url.as_deref()?, self.repository.as_deref()?, self.run_id.as_deref()?);
        let attempt = self.run_attempt.as_deref().map(|n| format!("/attempts/{n}")).unwrap_or_default();
        Some(format!("{server}/{repository}/actions/runs/{run}{attempt}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&str, &str)]) -> Context {
        Context::read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn pull_request(head: u64) -> Context {
        context(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_REF", "refs/pull/7/merge"),
            ("GITHUB_HEAD_REF", "main"),
            ("GITHUB_BASE_REF", "main"),
            ("GITHUB_SHA", "7e57"),
        ])
        .with_event(&format!(
            r#"{{"pull_request": {{"number": 7, "head": {{"sha": "c0ffee", "repo": {{"id": {head}}}}}, "base": {{"repo": {{"id": 1}}}}}}}}"#
        ))
    }

    #[test]
    fn a_push_is_about_its_branch_and_a_tag_about_none() {
        for event in ["push", "workflow_dispatch", "schedule"] {
            let push = context(&[
                ("GITHUB_EVENT_NAME", event),
                ("GITHUB_REF", "refs/heads/a/b"),
                ("GITHUB_SHA", "1"),
            ]);
            assert_eq!((push.branch(), push.tag(), push.commit()), (Some("a/b"), None, Some("1")));
            assert!(!push.from_fork() && !push.secrets_withheld());
        }
        let tag = context(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/tags/v1")]);
        assert_eq!((tag.branch(), tag.tag()), (None, Some("v1")));
    }

    #[test]
    fn a_pull_request_is_about_its_head() {
        let own = pull_request(1);
        assert_eq!((own.branch(), own.base_branch()), (Some("main"), Some("main")));
        assert_eq!((own.commit(), own.pull_request()), (Some("c0ffee"), Some(7)));
        assert!(!own.secrets_withheld());
    }

    #[test]
    fn a_fork_cannot_name_our_branch() {
        let fork = pull_request(2);
        assert_eq!(fork.branch(), None);
        assert!(fork.from_fork() && fork.secrets_withheld());
        let unknown = Context { event: Event::default(), ..pull_request(1) };
        assert_eq!((unknown.branch(), unknown.pull_request()), (None, Some(7)));
    }

    #[test]
    fn a_review_has_its_branches_in_the_event_alone() {
        let event = r#"{"pull_request": {"number": 7, "head": {"ref": "topic", "repo": {"id": 1}},
            "base": {"ref": "main", "repo": {"id": 1}}}}"#;
        let review = context(&[("GITHUB_EVENT_NAME", "pull_request_review")]).with_event(event);
        assert_eq!((review.branch(), review.base_branch()), (Some("topic"), Some("main")));
        let dependabot = Context { actor: Some("dependabot[bot]".into()), ..review };
        assert!(dependabot.secrets_withheld());
    }

    #[test]
    fn dependabot_has_no_secrets() {
        let context = Context { actor: Some("dependabot[bot]".into()), ..pull_request(1) };
        assert!(context.secrets_withheld());
    }

    #[test]
    fn the_run_has_a_page() {
        let run = context(&[
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "acme/app"),
            ("GITHUB_RUN_ID", "12"),
            ("GITHUB_RUN_ATTEMPT", "2"),
        ]);
        assert_eq!(run.run_url().as_deref(), Some("https://github.com/acme/app/actions/runs/12/attempts/2"));
        assert_eq!(context(&[]).run_url(), None);
    }

    #[test]
    fn on_a_laptop_nothing_is_known() {
        assert_eq!(context(&[("GITHUB_ACTIONS", ""), ("GITHUB_REF", "")]), Context::default());
    }

    #[test]
    fn the_token_endpoint_needs_both_halves_and_hides_its_token() {
        let url = ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x/?a=b");
        assert_eq!(context(&[url]).oidc, None);
        let both = context(&[url, ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s3cret")]);
        assert_eq!(both.oidc.as_ref().map(|oidc| oidc.token.expose()), Some("s3cret"));
        assert!(!format!("{both:?}").contains("s3cret"));
    }
}
