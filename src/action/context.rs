//! The run's context: what the runner reports about the workflow, the commit and the branch. Pure.

use super::event::EventPayload;
use super::redact::Secret;
use crate::sys::environment::Variables;

/// The values of `GITHUB_*` and related variables; on a laptop nearly everything is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GithubContext {
    /// Whether a runner started this process.
    pub in_runner: bool,
    /// Name of the event, such as `push`.
    pub event_name: Option<String>,
    /// Path of the event's JSON; read it and pass it to [`Context::with_event`].
    pub event_path: Option<String>,
    /// Facts of the event; empty until [`Context::with_event`].
    pub event: EventPayload,
    /// The full ref, such as `refs/heads/main`.
    pub full_ref: Option<String>,
    /// The short ref; `7/merge` for a pull request.
    pub ref_name: Option<String>,
    /// `branch` or `tag`.
    pub ref_type: Option<String>,
    /// Head branch of a pull request.
    pub head_ref: Option<String>,
    /// Base branch of a pull request.
    pub base_ref: Option<String>,
    /// `GITHUB_SHA`; for a pull request that of the test merge. See [`Context::commit`].
    pub sha: Option<String>,
    /// The commit that is checked out, if it could be read. See [`Context::commit`].
    pub checkout: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// URL of GitHub, such as `https://github.com`.
    pub server_url: Option<String>,
    /// URL of GitHub's API, such as `https://api.github.com`.
    pub api_url: Option<String>,
    /// Identifier of the run.
    pub run_id: Option<String>,
    /// 1 for the first attempt.
    pub run_attempt: Option<String>,
    /// Who started the run.
    pub actor: Option<String>,
    /// The checked-out files.
    pub workspace: Option<String>,
    /// The file and the ref of the workflow, such as `acme/shop/.github/workflows/deploy.yml@refs/heads/main`.
    pub workflow_ref: Option<String>,
    /// Identifier of the job in the workflow.
    pub job: Option<String>,
    /// Whether debug logging is on.
    pub is_debug: bool,
    /// The OIDC endpoint; only with `id-token: write`.
    pub oidc: Option<OidcEndpoint>,
}

/// The runner's OIDC endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcEndpoint {
    /// The URL, which has a query already; `&audience=` is appended.
    pub url: String,
    /// The bearer token for it.
    pub token: Secret,
}

impl GithubContext {
    /// Reads the variables. Empty variables count as missing.
    pub fn from_variables(variables: &Variables) -> Self {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let oidc = get("ACTIONS_ID_TOKEN_REQUEST_URL").zip(get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
        Self {
            in_runner: get("GITHUB_ACTIONS").as_deref() == Some("true"),
            event_name: get("GITHUB_EVENT_NAME"),
            event_path: get("GITHUB_EVENT_PATH"),
            event: EventPayload::default(),
            full_ref: get("GITHUB_REF"),
            ref_name: get("GITHUB_REF_NAME"),
            ref_type: get("GITHUB_REF_TYPE"),
            head_ref: get("GITHUB_HEAD_REF"),
            base_ref: get("GITHUB_BASE_REF"),
            sha: get("GITHUB_SHA"),
            checkout: None,
            repository: get("GITHUB_REPOSITORY"),
            server_url: get("GITHUB_SERVER_URL"),
            api_url: get("GITHUB_API_URL"),
            run_id: get("GITHUB_RUN_ID"),
            run_attempt: get("GITHUB_RUN_ATTEMPT"),
            actor: get("GITHUB_ACTOR"),
            workspace: get("GITHUB_WORKSPACE"),
            workflow_ref: get("GITHUB_WORKFLOW_REF"),
            job: get("GITHUB_JOB"),
            is_debug: get("RUNNER_DEBUG").as_deref() == Some("1"),
            oidc: oidc.map(|(url, token)| OidcEndpoint { url, token: Secret::new(token) }),
        }
    }

    /// Adds the facts of the event's JSON.
    pub fn with_event(self, text: &str) -> Self {
        Self { event: EventPayload::parse(text), ..self }
    }

    /// Whether the event is a pull request's and runs on its test merge or, for `pull_request_target`, its base.
    pub fn is_pull_request(&self) -> bool {
        let reviews = ["pull_request_review", "pull_request_review_comment"];
        let names = ["pull_request", "pull_request_target"];
        self.event_name.as_deref().is_some_and(|name| names.contains(&name) || reviews.contains(&name))
    }

    /// Whether the code comes from another repository. A pull request without that information counts as one.
    pub fn is_from_fork(&self) -> bool {
        self.event.is_from_fork.unwrap_or(self.is_pull_request())
    }

    /// Whether GitHub withholds secrets and the OIDC token from this run.
    pub fn lacks_secrets(&self) -> bool {
        let dependabot = self.actor.as_deref() == Some("dependabot[bot]");
        let target = self.event_name.as_deref() == Some("pull_request_target");
        self.is_pull_request() && !target && (self.is_from_fork() || dependabot)
    }

    /// The branch that selects the environment: the pushed one, or the head of a pull request of this
    /// repository. `None` for a tag, and for a fork, where anybody may name a branch `main`.
    pub fn branch(&self) -> Option<&str> {
        if self.is_pull_request() {
            let from_event = self.event.pull_request.as_ref().and_then(|pull| pull.head_ref.as_deref());
            return self.head_ref.as_deref().or(from_event).filter(|_| !self.is_from_fork());
        }
        self.full_ref.as_deref().and_then(|full| full.strip_prefix("refs/heads/"))
    }

    /// The base branch of a pull request or merge group: a plan for it is about this branch.
    pub fn base_branch(&self) -> Option<&str> {
        if self.is_pull_request() {
            let from_event = self.event.pull_request.as_ref().and_then(|pull| pull.base_ref.as_deref());
            return self.base_ref.as_deref().or(from_event);
        }
        let queue = self.event_name.as_deref() == Some("merge_group");
        self.event.merge_queue_base.as_deref().filter(|_| queue)
    }

    /// The tag, if the run has one.
    pub fn tag(&self) -> Option<&str> {
        self.full_ref.as_deref().and_then(|full| full.strip_prefix("refs/tags/"))
    }

    /// The commit that the run is about: the one that is checked out, and so built, if it is not one of the event; else
    /// that of the event.
    pub fn commit(&self) -> Option<&str> {
        self.other_checkout().or(self.event_commit())
    }

    /// The commit of the event: the head of a pull request, not its test merge.
    pub fn event_commit(&self) -> Option<&str> {
        let head = self.event.pull_request.as_ref().and_then(|pull| pull.head_sha.as_deref());
        head.filter(|_| self.is_pull_request()).or(self.sha.as_deref())
    }

    /// The checked-out commit, if it is another one than those of the event: its commit, or the test merge of a pull
    /// request.
    pub fn other_checkout(&self) -> Option<&str> {
        let checkout = self.checkout.as_deref()?;
        let own = [self.sha.as_deref(), self.event_commit()];
        let is_known = own.iter().any(Option::is_some);
        (is_known && !own.contains(&Some(checkout))).then_some(checkout)
    }

    /// The number of the pull request, from the event or from `refs/pull/7/merge`.
    pub fn pull_request(&self) -> Option<u64> {
        let from_ref =
            || self.full_ref.as_deref()?.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok();
        self.event.pull_request.as_ref().map(|pull| pull.number).or_else(from_ref)
    }

    /// The page of another run of this repository.
    pub fn page_of_run(&self, run: u64) -> Option<String> {
        let (server, repository) = (self.server_url.as_deref()?, self.repository.as_deref()?);
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    }

    /// The workflow file of the run, such as `.github/workflows/deploy.yml`; that of the caller where a workflow is
    /// reused. `None` on a laptop, and for a workflow of another repository.
    pub fn workflow_path(&self) -> Option<&str> {
        let (file, _) = self.workflow_ref.as_deref()?.split_once('@')?;
        let repository = self.repository.as_deref()?;
        let own = file.get(..repository.len()).filter(|start| start.eq_ignore_ascii_case(repository))?;
        file[own.len()..].strip_prefix('/').filter(|path| !path.is_empty())
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

    fn context(pairs: &[(&str, &str)]) -> GithubContext {
        GithubContext::from_variables(
            &pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    fn pull_request(head: u64) -> GithubContext {
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
    fn push_selects_its_branch_and_tag_selects_none() {
        for event in ["push", "workflow_dispatch", "schedule"] {
            let push = context(&[
                ("GITHUB_EVENT_NAME", event),
                ("GITHUB_REF", "refs/heads/a/b"),
                ("GITHUB_SHA", "1"),
            ]);
            assert_eq!((push.branch(), push.tag(), push.commit()), (Some("a/b"), None, Some("1")));
            assert!(!push.is_from_fork() && !push.lacks_secrets());
        }
        let tag = context(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/tags/v1")]);
        assert_eq!((tag.branch(), tag.tag()), (None, Some("v1")));
    }

    #[test]
    fn pull_request_selects_its_head() {
        let own = pull_request(1);
        assert_eq!((own.branch(), own.base_branch()), (Some("main"), Some("main")));
        assert_eq!((own.commit(), own.pull_request()), (Some("c0ffee"), Some(7)));
        assert!(!own.lacks_secrets());
    }

    #[test]
    fn commit_is_the_checked_out_one_if_it_is_none_of_the_event() {
        let push = context(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_SHA", "aa")]);
        for (checkout, commit, other) in
            [(None, "aa", None), (Some("aa"), "aa", None), (Some("bb"), "bb", Some("bb"))]
        {
            let context = GithubContext { checkout: checkout.map(str::to_owned), ..push.clone() };
            assert_eq!((context.commit(), context.other_checkout()), (Some(commit), other), "{checkout:?}");
            assert_eq!(context.event_commit(), Some("aa"));
        }
        // The test merge and the head are both of the event.
        for (checkout, commit) in [("7e57", "c0ffee"), ("c0ffee", "c0ffee"), ("bb", "bb")] {
            let context = GithubContext { checkout: Some(checkout.into()), ..pull_request(1) };
            assert_eq!(context.commit(), Some(commit), "{checkout}");
        }
        let laptop = GithubContext { checkout: Some("bb".into()), ..GithubContext::default() };
        assert_eq!(laptop.commit(), None);
    }

    #[test]
    fn fork_selects_no_branch() {
        let fork = pull_request(2);
        assert_eq!(fork.branch(), None);
        assert!(fork.is_from_fork() && fork.lacks_secrets());
        let unknown = GithubContext { event: EventPayload::default(), ..pull_request(1) };
        assert_eq!((unknown.branch(), unknown.pull_request()), (None, Some(7)));
    }

    #[test]
    fn review_branches_are_read_from_the_event() {
        let event = r#"{"pull_request": {"number": 7, "head": {"ref": "topic", "repo": {"id": 1}},
            "base": {"ref": "main", "repo": {"id": 1}}}}"#;
        let review = context(&[("GITHUB_EVENT_NAME", "pull_request_review")]).with_event(event);
        assert_eq!((review.branch(), review.base_branch()), (Some("topic"), Some("main")));
        let dependabot = GithubContext { actor: Some("dependabot[bot]".into()), ..review };
        assert!(dependabot.lacks_secrets());
    }

    #[test]
    fn dependabot_has_no_secrets() {
        let context = GithubContext { actor: Some("dependabot[bot]".into()), ..pull_request(1) };
        assert!(context.lacks_secrets());
    }

    #[test]
    fn run_url_has_the_attempt() {
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
    fn workflow_path_is_of_the_own_repository() {
        for (of, expected) in [
            ("Acme/App/.github/workflows/deploy.yml@refs/heads/main", Some(".github/workflows/deploy.yml")),
            ("acme/app/.github/workflows/a.yml@refs/tags/v1@x", Some(".github/workflows/a.yml")),
            ("acme/application/.github/workflows/a.yml@refs/heads/main", None),
            ("acme/app/.github/workflows/a.yml", None),
            ("acme/app", None),
            ("", None),
        ] {
            let read = context(&[("GITHUB_REPOSITORY", "acme/app"), ("GITHUB_WORKFLOW_REF", of)]);
            assert_eq!(read.workflow_path(), expected, "{of}");
        }
    }

    #[test]
    fn context_without_runner_is_empty() {
        assert_eq!(context(&[("GITHUB_ACTIONS", ""), ("GITHUB_REF", "")]), GithubContext::default());
    }

    #[test]
    fn oidc_endpoint_needs_url_and_token_and_hides_the_token() {
        let url = ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x/?a=b");
        assert_eq!(context(&[url]).oidc, None);
        let both = context(&[url, ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s3cret")]);
        assert_eq!(both.oidc.as_ref().map(|oidc| oidc.token.reveal()), Some("s3cret"));
        assert!(!format!("{both:?}").contains("s3cret"));
    }
}
