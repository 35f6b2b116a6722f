//! Whether a deployment record counts: it is bound to the workflow run that it names, by what GitHub reports about that
//! run. Anybody with `deployments: write` can write a record. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::config;
use crate::release::{WorkflowJob, WorkflowRun};

/// Events whose code is that of a branch of this repository. Code of every other event does not prove anything.
const RELEASING_EVENTS: [&str; 6] =
    ["push", "workflow_dispatch", "schedule", "repository_dispatch", "release", "workflow_run"];
/// Events of pull requests: a run of one of them changes nothing, so it holds no lease.
const PULL_REQUEST_EVENTS: [&str; 5] = [
    "pull_request",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
    "merge_group",
];
/// How much GitHub's clocks may differ.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// Which runs may prove versions in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProofRules {
    /// The environment.
    pub environment: String,
    /// The repository of this run, `owner/name`.
    pub repository: String,
    /// The branches of the environment, as patterns.
    pub branches: Vec<String>,
    /// The branch of this run; decides if the environment lists none.
    pub own_branch: Option<String>,
    /// The workflow files that the environment lists.
    pub workflows: Vec<String>,
    /// The workflow file of this run; decides if the environment lists none.
    pub own_workflow: Option<String>,
}

impl ProofRules {
    /// What is missing in order to check anything, and what to add; `None` if nothing is.
    pub fn missing_rule(&self) -> Option<String> {
        let environment = &self.environment;
        if self.workflows.is_empty() && self.own_workflow.is_none() {
            return Some(format!(
                "The workflow of this run is not known, as outside of GitHub Actions. List the workflows that prove \
                 versions under `workflows` of the environment `{environment}`."
            ));
        }
        (self.branches.is_empty() && self.own_branch.is_none()).then(|| {
            format!(
                "`{environment}` lists no branches, and this run is on none. List the branches that deploy there \
                 under `branches`."
            )
        })
    }

    /// Why a run may not prove versions in the environment, in a clause. Whether its commit is on the branch is checked
    /// by a comparison.
    pub fn check_run(&self, run: &WorkflowRun) -> Result<(), String> {
        let home = run.head_repository.as_deref();
        if !home.is_some_and(|home| home.eq_ignore_ascii_case(&self.repository)) {
            return Err(format!("has the code of another repository ({})", home.unwrap_or("a deleted one")));
        }
        if !RELEASING_EVENTS.contains(&run.event.as_str()) {
            return Err(format!("was started by `{}`, whose code is not released", run.event));
        }
        self.check_branch(&run.event, run.branch.as_deref().unwrap_or_default())?;
        self.check_workflow(&run.workflow)
    }

    /// A `workflow_run` is on the default branch, whatever the branch of the run before it, so the branch of this run
    /// counts for it, too.
    fn check_branch(&self, event: &str, branch: &str) -> Result<(), String> {
        let environment = &self.environment;
        let own = self.own_branch.as_deref().unwrap_or_default();
        let is_own = !own.is_empty() && own == branch;
        if config::matches_any(&self.branches, branch)
            || is_own && (self.branches.is_empty() || event == "workflow_run")
        {
            return Ok(());
        }
        Err(if self.branches.is_empty() {
            format!("was on `{branch}`, and `{environment}` lists no `branches`, so only `{own}` counts")
        } else {
            format!("was on `{branch}`, which is not among the `branches` of `{environment}`")
        })
    }

    fn check_workflow(&self, workflow: &str) -> Result<(), String> {
        let own = self.own_workflow.iter().filter(|_| self.workflows.is_empty());
        let allowed: Vec<&str> = self.workflows.iter().chain(own).map(String::as_str).collect();
        allowed.contains(&workflow).then_some(()).ok_or_else(|| {
            let list = allowed.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
            format!("was of the workflow `{workflow}`, and only {list} may prove `{}`", self.environment)
        })
    }
}

/// Whether a run can change a service, and so hold its lease.
pub fn may_hold_lease(run: &WorkflowRun) -> bool {
    !PULL_REQUEST_EVENTS.contains(&run.event.as_str())
}

/// Why no job of an attempt can have written a success at `recorded_at`, in a clause. A job in progress proves nothing,
/// also of this run: its number is public.
pub fn check_jobs(jobs: &[WorkflowJob], recorded_at: Option<Timestamp>) -> Result<(), String> {
    let Some(at) = recorded_at else { return Err("has no time of its success".into()) };
    let covers = |job: &&WorkflowJob| {
        job.started_at.is_some_and(|start| start - CLOCK_TOLERANCE <= at)
            && job.completed_at.is_none_or(|end| at <= end + CLOCK_TOLERANCE)
    };
    let conclusions: Vec<Option<&str>> =
        jobs.iter().filter(covers).map(|job| job.conclusion.as_deref()).collect();
    if conclusions.contains(&Some("success")) {
        return Ok(());
    }
    Err(match conclusions.first() {
        None => "had no job at the time of the record".into(),
        Some(None) => "has not ended the job that recorded it".into(),
        Some(Some(ended)) => format!("ended the job that recorded it as `{ended}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> ProofRules {
        ProofRules {
            environment: "staging".into(),
            repository: "acme/shop".into(),
            branches: vec!["develop".into(), "release/*".into()],
            own_branch: Some("main".into()),
            workflows: Vec::new(),
            own_workflow: Some(".github/workflows/deploy.yml".into()),
        }
    }

    fn run() -> WorkflowRun {
        WorkflowRun {
            event: "push".into(),
            branch: Some("develop".into()),
            workflow: ".github/workflows/deploy.yml".into(),
            head_repository: Some("Acme/Shop".into()),
            ..WorkflowRun::default()
        }
    }

    fn verdict(rules: &ProofRules, run: &WorkflowRun) -> String {
        rules.check_run(run).err().unwrap_or_else(|| "counts".into())
    }

    #[test]
    fn run_proves_only_with_code_that_may_be_released() {
        let with = |event: &str| WorkflowRun { event: event.into(), ..run() };
        let on = |branch: Option<&str>| WorkflowRun { branch: branch.map(str::to_owned), ..run() };
        let of = |home: Option<&str>| WorkflowRun { head_repository: home.map(str::to_owned), ..run() };
        for event in RELEASING_EVENTS {
            assert_eq!(verdict(&rules(), &with(event)), "counts", "{event}");
        }
        let listed = "which is not among the `branches` of `staging`";
        let after = |branch| WorkflowRun { event: "workflow_run".into(), ..on(Some(branch)) };
        let other = WorkflowRun { workflow: ".github/workflows/test.yml".into(), ..run() };
        for (run, expected) in [
            (run(), "counts".to_owned()),
            (on(Some("release/1")), "counts".into()),
            (on(Some("evil")), format!("was on `evil`, {listed}")),
            (on(Some("main")), format!("was on `main`, {listed}")),
            (after("main"), "counts".into()),
            (after("evil"), format!("was on `evil`, {listed}")),
            (on(None), format!("was on ``, {listed}")),
            (with("pull_request"), "was started by `pull_request`, whose code is not released".into()),
            (with("pull_request_target"), "was started by `pull_request_target`, whose code is not released".into()),
            (with("merge_group"), "was started by `merge_group`, whose code is not released".into()),
            (with("issue_comment"), "was started by `issue_comment`, whose code is not released".into()),
            (with(""), "was started by ``, whose code is not released".into()),
            (of(Some("mallory/shop")), "has the code of another repository (mallory/shop)".into()),
            (of(None), "has the code of another repository (a deleted one)".into()),
            (
                other,
                "was of the workflow `.github/workflows/test.yml`, and only `.github/workflows/deploy.yml` may prove `staging`"
                    .into(),
            ),
        ] {
            assert_eq!(verdict(&rules(), &run), expected, "{run:?}");
        }
    }

    #[test]
    fn without_branches_only_those_of_the_own_branch_count() {
        let open = ProofRules { branches: Vec::new(), ..rules() };
        let on_main = WorkflowRun { branch: Some("main".into()), ..run() };
        let listed = ProofRules { workflows: vec![".github/workflows/stage.yml".into()], ..rules() };
        let nobody = ProofRules { own_branch: None, ..open.clone() };
        let only = "and `staging` lists no `branches`, so only";
        assert_eq!(verdict(&open, &run()), format!("was on `develop`, {only} `main` counts"));
        assert_eq!(verdict(&open, &on_main), "counts");
        let nowhere = WorkflowRun { branch: None, ..run() };
        assert_eq!(verdict(&nobody, &nowhere), format!("was on ``, {only} `` counts"));
        assert!(nobody.missing_rule().is_some_and(|rule| rule.contains("under `branches`")));
        let expected = "was of the workflow `.github/workflows/deploy.yml`, and only `.github/workflows/stage.yml` may prove `staging`";
        assert_eq!(verdict(&listed, &run()), expected);
        let laptop = ProofRules { own_workflow: None, ..rules() }.missing_rule();
        assert!(laptop.is_some_and(|rule| rule.contains("under `workflows` of the environment `staging`")));
        assert_eq!(rules().missing_rule(), None);
        assert_eq!(ProofRules { own_workflow: None, ..listed }.missing_rule(), None);
    }

    #[test]
    fn a_job_proves_that_succeeded_while_the_record_was_written() {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let job = |from: i64, to: Option<i64>, end: Option<&str>| WorkflowJob {
            started_at: Some(at(from)),
            completed_at: to.map(at),
            conclusion: end.map(str::to_owned),
        };
        let told = |jobs: &[WorkflowJob], second: i64| {
            check_jobs(jobs, Some(at(second))).err().unwrap_or_else(|| "counts".into())
        };
        let good = [job(0, Some(600), Some("success"))];
        let later_failed = [job(0, Some(600), Some("success")), job(700, Some(900), Some("failure"))];
        let failed = [job(0, Some(600), Some("failure"))];
        let running = [job(0, None, None)];
        let (failed_word, absent) =
            ("ended the job that recorded it as `failure`", "had no job at the time of the record");
        for (jobs, second, expected) in [
            (&good[..], 300, "counts"),
            (&good, 610, "counts"),
            (&good, 700, absent),
            (&good, -31, absent),
            (&later_failed, 590, "counts"),
            (&later_failed, 800, failed_word),
            (&failed, 300, failed_word),
            (&running, 300, "has not ended the job that recorded it"),
            (&[], 300, absent),
        ] {
            assert_eq!(told(jobs, second), expected, "{second}");
        }
        assert_eq!(check_jobs(&good, None).unwrap_err(), "has no time of its success");
    }
}
