//! The plan of a pull request, published as a check run and one sticky comment. What cannot be published is a notice,
//! and never another result.

use std::time::Duration;

use crate::action::command::Annotation;
use crate::action::sanitize::{sanitize_line, truncate};
use crate::action::{ConfigSource, ServiceSelection};
use crate::github::{
    AnnotationLevel, ApiError, CheckAnnotation, CheckRun, Conclusion, RunRepository, StickyComment, Upserted,
    validate,
};
use crate::plan::Allowed;
use crate::problem::{Code, Problem, Severity};
use crate::release::Outcome;
use crate::report::text::{TextStyle, join_with_and};
use crate::report::{RunReport, check_annotations, comment, headline};
use crate::run::cancel;
use crate::run::context::RunContext;
use crate::run::event::event_decision;
use crate::run::run_config::INLINE_CONFIG;

/// How long telling may take, all in all.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(120);
/// A limit that is over sooner is waited for, once.
const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(20);
/// The deploy file that needs no mention.
const DEFAULT_DEPLOY_FILE: &str = ".github/roadstead.yml";

/// Tells the pull request, where the run is one's plan.
pub(in crate::run) async fn publish_plan(ctx: &RunContext, report: &mut RunReport) {
    let ended = matches!(report.outcome, Outcome::Planned | Outcome::Invalid | Outcome::Skipped);
    if event_decision(ctx).allowed != Allowed::PlanOnly || !ended {
        return;
    }
    match ctx.run_repository() {
        None => ctx.log.info(None, "without `github-token` the plan is only in the job summary"),
        Some(Err(problem)) => report.problems.push(Problem { severity: Severity::Notice, ..problem }),
        Some(Ok(repository)) => {
            let clean = report.clone().redacted(&ctx.log.redactor());
            report.problems.extend(publish_all(ctx, &repository, &clean).await);
        }
    }
}

/// Publishes both; gives what could not be published.
async fn publish_all(ctx: &RunContext, repository: &RunRepository, clean: &RunReport) -> Vec<Problem> {
    let work = async {
        let check = match check_run(ctx, clean) {
            Some(check) => Some(with_rate_limit_retry(async || repository.upsert_check(&check).await).await),
            None => None,
        };
        let comment_ = match sticky_comment(ctx, clean) {
            Some(comment_) => {
                Some(with_rate_limit_retry(async || repository.upsert_comment(&comment_).await).await)
            }
            None => None,
        };
        (check, comment_)
    };
    let done = cancel::until_cancelled(ctx, tokio::time::timeout(PUBLISH_TIMEOUT, work)).await;
    let (check, comment_) = match done {
        None => return Vec::new(),
        Some(Err(_)) => return vec![timeout_problem()],
        Some(Ok(done)) => done,
    };
    log_upsert(ctx, "check", &check);
    log_upsert(ctx, "comment", &comment_);
    missing_permissions(&check, &comment_)
        .into_iter()
        .chain(other_problems(repository, [("check", check), ("comment", comment_)]))
        .collect()
}

/// Does it, and once more after a limit that is soon over.
async fn with_rate_limit_retry(
    work: impl AsyncFn() -> Result<Upserted, ApiError>,
) -> Result<Upserted, ApiError> {
    match work().await {
        Err(ApiError::RateLimited { retry_after: wait, .. }) if wait <= MAX_RATE_LIMIT_WAIT => {
            tokio::time::sleep(wait).await;
            work().await
        }
        done => done,
    }
}

fn log_upsert(ctx: &RunContext, what: &str, done: &Option<Result<Upserted, ApiError>>) {
    let how = match done {
        Some(Ok(Upserted::Created)) => "is made",
        Some(Ok(Upserted::Updated)) => "is brought up to date",
        Some(Ok(Upserted::Unchanged)) => "needs no change",
        Some(Err(_)) | None => return,
    };
    ctx.log.info(None, &format!("the plan's {what} at GitHub {how}"));
}

type UpsertResult = Option<Result<Upserted, ApiError>>;

/// One notice for all rights that the token lacks.
fn missing_permissions(check: &UpsertResult, comment_: &UpsertResult) -> Option<Problem> {
    let lacks = |done: &UpsertResult, right: &'static str| {
        matches!(done, Some(Err(ApiError::Forbidden(_)))).then(|| format!("`{right}: write`"))
    };
    let rights: Vec<String> =
        [lacks(check, "checks"), lacks(comment_, "pull-requests")].into_iter().flatten().collect();
    let why = [check, comment_].into_iter().flatten().find_map(|done| match done {
        Err(ApiError::Forbidden(why)) => Some(why.clone()),
        _ => None,
    })?;
    let places = match (lacks(check, "").is_some(), lacks(comment_, "").is_some()) {
        (true, true) => "as a check and a comment",
        (true, false) => "as a check",
        _ => "as a comment",
    };
    let sentence =
        format!("The plan is not shown {places}: the job's token lacks {}.", join_with_and(&rights));
    let lines = rights.iter().map(|right| right.replace('`', "")).collect::<Vec<_>>().join(", ");
    let help = format!("Give the job `permissions: {{ {lines} }}`. The job summary has the whole plan.");
    Some(Problem::notice(Code::NotPublished, sentence).cause(why).help(help))
}

/// What else came in between.
fn other_problems(repository: &RunRepository, all: [(&str, UpsertResult); 2]) -> Vec<Problem> {
    let other = |(what, done): (&str, UpsertResult)| match done {
        Some(Err(error)) if !matches!(error, ApiError::Forbidden(_)) => {
            let problem = error.problem(repository.repository());
            let sentence = format!("The plan could not be shown as a {what}. {}", problem.sentence);
            let notice =
                Problem::notice(Code::NotPublished, sentence).help("The job summary has the whole plan.");
            Some(Problem { cause: problem.cause, ..notice })
        }
        _ => None,
    };
    all.into_iter().filter_map(other).collect()
}

fn timeout_problem() -> Problem {
    let sentence = format!("The plan could not be shown at GitHub within {} s.", PUBLISH_TIMEOUT.as_secs());
    Problem::notice(Code::NotPublished, sentence).help("The job summary has the whole plan.")
}

/// What distinguishes plans of one commit: the deploy file, and what the workflow selected.
fn plan_scope(ctx: &RunContext) -> Vec<String> {
    let file = match &ctx.inputs.config {
        ConfigSource::Path(path) => path.clone(),
        ConfigSource::Text(_) => INLINE_CONFIG.to_owned(),
    };
    let services = match &ctx.inputs.services {
        ServiceSelection::All => None,
        ServiceSelection::Changed => Some("changed".to_owned()),
        ServiceSelection::Named(names) => Some(names.join(",")),
    };
    [Some(file), ctx.inputs.environment.clone(), services].into_iter().flatten().collect()
}

/// `roadstead:plan:.github/roadstead.yml`, in letters that end no comment of HTML.
fn plan_key(ctx: &RunContext) -> String {
    let parts: Vec<String> = plan_scope(ctx).iter().map(|part| validate::percent_encoded(part)).collect();
    format!("roadstead:plan:{}", parts.join(":"))
}

fn check_name(ctx: &RunContext) -> String {
    let scope: Vec<String> = plan_scope(ctx).into_iter().filter(|part| part != DEFAULT_DEPLOY_FILE).collect();
    match scope.is_empty() {
        true => "roadstead / plan".to_owned(),
        false => {
            truncate(&format!("roadstead / plan ({})", sanitize_line(&scope.join(", "))), 200).to_owned()
        }
    }
}

fn check_run(ctx: &RunContext, clean: &RunReport) -> Option<CheckRun> {
    let shown = |found: &Annotation| found.location.as_ref().is_some_and(|place| place.0 != INLINE_CONFIG);
    let conclusion = match clean.outcome {
        Outcome::Invalid => Conclusion::Failure,
        Outcome::Skipped => Conclusion::Neutral,
        _ => Conclusion::Success,
    };
    Some(CheckRun {
        name: check_name(ctx),
        head_sha: ctx.context.event_commit()?.to_owned(),
        external_id: plan_key(ctx),
        details_url: clean.run_url.clone(),
        title: truncate(&headline::headline(clean, TextStyle::Plain), 250).to_owned(),
        summary: comment::render_plan(clean),
        conclusion,
        annotations: check_annotations::check_annotations(clean)
            .into_iter()
            .filter(shown)
            .filter_map(check_annotation)
            .collect(),
    })
}

fn check_annotation(found: Annotation) -> Option<CheckAnnotation> {
    let (path, line, _) = found.location?;
    let level = match found.severity {
        Severity::Notice => AnnotationLevel::Notice,
        Severity::Warning => AnnotationLevel::Warning,
        Severity::Error => AnnotationLevel::Failure,
    };
    let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
    Some(CheckAnnotation { path, line, level, title: found.title, message: found.message })
}

/// The sticky comment; a merge queue has none. With nothing to plan, only an existing comment is updated.
fn sticky_comment(ctx: &RunContext, clean: &RunReport) -> Option<StickyComment> {
    let number = ctx.context.pull_request().filter(|_| ctx.context.is_pull_request())?;
    let mark = format!("<!-- {} -->", plan_key(ctx));
    let body = format!("{mark}\n{}", comment::render_plan(clean));
    Some(StickyComment { number, marker: mark, body, update_only: clean.outcome == Outcome::Skipped })
}
