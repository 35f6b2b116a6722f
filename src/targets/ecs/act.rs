//! The changes: registering a definition and moving a service. Each is asked for again only after a look at what
//! became of the first time, because an answer can get lost after the change was made.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::definition;
use super::look::Eyes;
use super::read::{Deployment, Service, list, some_text, text, version};
use super::refusal::Refusal;
use super::write::{self, Movement, Situation, Update};
use crate::problem::{Code, Problem};
use crate::release::{Rollout, Split, Version};

/// Tries of one change, with growing pauses.
pub const TRIES: u32 = 7;
/// How long a registration that AWS throttles is asked for again: others who use the account may have used its budget of
/// one a second up.
const QUEUE: Duration = Duration::from_secs(180);
/// How long a service may still be shown as it was before a change (aws.md: up to 30 s).
pub const STALE: Duration = Duration::from_secs(40);
/// How many revisions of a family are compared before a new one is registered.
const COMPARED: i32 = 5;

/// Makes `wanted` exist and answers its version: an ACTIVE revision that is the same is used again.
pub async fn register(eyes: &Eyes, wanted: &Value, running: &Value) -> Result<Version, Problem> {
    let (mut queued, mut attempt, mut may_exist) = (None, 0, true);
    loop {
        if may_exist && let Some(arn) = existing(eyes, wanted, running).await? {
            return Ok(version(&arn));
        }
        let refusal = match eyes.loader.client().register_task_definition(wanted).await {
            Ok(answer) => return registered(&answer),
            Err(refusal) if passes(&refusal) => refusal,
            Err(refusal) => return Err(refused_definition(refusal)),
        };
        attempt += 1;
        let since = *queued.get_or_insert_with(Instant::now);
        let over = if refusal.throttled() { since.elapsed() >= QUEUE } else { attempt >= TRIES };
        if over {
            return Err(refusal.problem);
        }
        may_exist = refusal.unsure;
        pause(attempt - 1).await;
    }
}

fn registered(answer: &Value) -> Result<Version, Problem> {
    let arn = some_text(&answer["taskDefinition"], "taskDefinitionArn");
    let missing =
        || Problem::error(Code::ProviderError, "The answer of ecs:RegisterTaskDefinition names no revision.");
    arn.map(|arn| version(&arn)).ok_or_else(missing)
}

fn refused_definition(refusal: Refusal) -> Problem {
    if refusal.is(&["ClientException", "InvalidParameterException"]) {
        let sentence = "AWS refused the task definition.";
        let problem = Problem::error(Code::TaskDefinitionInvalid, sentence);
        return Problem { cause: refusal.problem.cause, ..problem };
    }
    refusal.problem
}

/// Waiting and asking again makes sense.
pub fn passes(refusal: &Refusal) -> bool {
    let cause = refusal.problem.cause.as_deref().unwrap_or_default();
    refusal.unsure || refusal.throttled() || cause.contains("Too many concurrent attempts")
}

/// 1, 2, 4, 8, 8 … seconds, shortened at random by up to half.
pub async fn pause(attempt: u32) {
    let longest = 1000 << attempt.min(3);
    sleep(Duration::from_millis(fastrand::u64(longest / 2..=longest))).await;
}

/// The newest ACTIVE revision of the family that equals `wanted`, among the last few.
async fn existing(eyes: &Eyes, wanted: &Value, running: &Value) -> Result<Option<String>, Problem> {
    let client = eyes.loader.client();
    let running_arn = text(running, "taskDefinitionArn");
    let listed = client.list_task_definitions(&text(wanted, "family"), COMPARED).await?;
    for arn in list(&listed, "taskDefinitionArns").iter().filter_map(Value::as_str) {
        let same = if arn == running_arn {
            definition::same(running, wanted)
        } else {
            let answer = client.describe_task_definition(arn).await?;
            definition::same(&definition::with_tags(&answer), wanted)
        };
        if same {
            return Ok(Some(arn.to_owned()));
        }
    }
    Ok(None)
}

/// Moves the service as `split` says; asking twice moves once.
/// `since` is the PRIMARY deployment that the plan was made for: nothing is started over a newer one.
pub async fn route(eyes: &Eyes, split: &Split, since: Option<&Deployment>) -> Result<Rollout, Problem> {
    eyes.loader.client().turn_to_change().await;
    let seen = situation(eyes).await?;
    if let Some(newer) = write::overtaken(&seen, split, since) {
        return Err(superseded(&newer));
    }
    match write::movement(&seen, split) {
        Movement::Nothing(rollout) => Ok(rollout),
        Movement::Superseded(newer) => Err(superseded(&newer)),
        Movement::Update(wanted) => update(eyes, &seen.service, &wanted).await,
        Movement::StopAndRollBack { arn } => stop(eyes, split, &arn).await,
        Movement::NoSuchCourse => Err(no_such_course()),
    }
}

fn no_such_course() -> Problem {
    let sentence = "ECS has no strategy for these shares of the traffic.";
    Problem::error(Code::Unsupported, sentence).help("Use one share (`canary`) or equal steps (`linear`).")
}

/// A newer deployment, named here, took over.
pub fn superseded(newer: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer deployment took over and was left alone.").cause(newer)
}

/// The service, its last service deployment, and where that leads.
async fn situation(eyes: &Eyes) -> Result<Situation, Problem> {
    let service = eyes.service().await?;
    let current = match &service.current {
        Some(arn) => readable(eyes.loader.deployment(arn).await)?,
        None => None,
    };
    let Some(flying) = current.as_ref().filter(|deployment| deployment.in_flight()) else {
        return Ok(Situation { service, current, ..Situation::default() });
    };
    // With several sources ECS returns to the last one that completed, which is not said here.
    let source = flying.sources.first().filter(|_| flying.sources.len() == 1);
    let source = definition_of(eyes, source).await?;
    Ok(Situation { service, current, source })
}

async fn definition_of(eyes: &Eyes, revision: Option<&String>) -> Result<Option<String>, Problem> {
    match revision {
        Some(arn) => Ok(readable(eyes.loader.revision(arn).await)?.map(|revision| revision.definition)),
        None => Ok(None),
    }
}

/// Without the permission to read it, a service deployment is as good as not there.
pub fn readable<T>(read: Result<Option<T>, Refusal>) -> Result<Option<T>, Problem> {
    match read {
        Err(refusal) if refusal.denied() => Ok(None),
        other => Ok(other?),
    }
}

/// Asks ECS to take a service deployment back; where it cannot, moves to the version before by hand, unless the
/// service has moved on meanwhile.
async fn stop(eyes: &Eyes, split: &Split, arn: &str) -> Result<Rollout, Problem> {
    match eyes.loader.client().stop_service_deployment(arn).await {
        Ok(_) => return Ok(write::returning(split, arn)),
        Err(refusal) if cannot_stop(&refusal) || refusal.denied() => {}
        Err(refusal) => return Err(refusal.problem),
    }
    let seen = situation(eyes).await?;
    match write::movement(&seen, split) {
        Movement::Nothing(rollout) => Ok(rollout),
        Movement::Superseded(newer) => Err(superseded(&newer)),
        Movement::Update(wanted) => update(eyes, &seen.service, &wanted).await,
        Movement::StopAndRollBack { .. } | Movement::NoSuchCourse => {
            update(eyes, &seen.service, &write::plainly(&seen.service, &split.version.id, false)).await
        }
    }
}

fn cannot_stop(refusal: &Refusal) -> bool {
    refusal.is(&["ServiceDeploymentNotFoundException", "ConflictException", "UnsupportedFeatureException"])
}

/// UpdateService; after a lost answer the service is read before it is sent again.
async fn update(eyes: &Eyes, before: &Service, wanted: &Update) -> Result<Rollout, Problem> {
    let (cluster, name) = (&eyes.settings.cluster, &eyes.settings.service);
    let mut last = None;
    for attempt in 0..TRIES {
        let sent = eyes.loader.client().update_service(cluster, name, wanted.members()).await;
        let refusal = match sent {
            Ok(answer) => {
                let after = Service::read(&answer["service"]);
                return Ok(write::started_after(before, &after, &wanted.definition));
            }
            Err(refusal) if passes(&refusal) => refusal,
            Err(refusal) => return Err(refusal.problem),
        };
        pause(attempt).await;
        if refusal.unsure {
            if let Some(rollout) = became(eyes, before, wanted).await? {
                return Ok(rollout);
            }
        } else if let Some(newer) = overtaken_meanwhile(eyes, before).await {
            return Err(superseded(&newer));
        }
        last = Some(refusal.problem);
    }
    Err(last.unwrap_or_else(|| {
        Problem::error(Code::ProviderError, "AWS did not take the update in several tries.")
    }))
}

/// Who moved the service while our turn was waited for. What cannot be read holds nothing back: nothing of ours was done.
async fn overtaken_meanwhile(eyes: &Eyes, before: &Service) -> Option<String> {
    let now = eyes.service().await.ok()?;
    let moved = now.primary().map(|primary| &primary.id) != before.primary().map(|primary| &primary.id);
    moved.then(|| now.current.unwrap_or_default())
}

/// What became of an update whose answer was lost: the rollout it started, or `None` when it can be sent again.
///
/// The same update twice is one movement for ECS, so it is sent again at once; a forced one is not, so the time of
/// stale answers is waited out first.
async fn became(eyes: &Eyes, before: &Service, wanted: &Update) -> Result<Option<Rollout>, Problem> {
    let begun = Instant::now();
    loop {
        let now = eyes.service().await?;
        let moved = now.primary().map(|p| &p.id) != before.primary().map(|p| &p.id);
        if moved && now.definition == wanted.definition {
            return Ok(Some(write::started_after(before, &now, &wanted.definition)));
        }
        if moved {
            return Err(superseded(now.current.as_deref().unwrap_or_default()));
        }
        if !wanted.force || begun.elapsed() > STALE {
            return Ok(None);
        }
        sleep(Duration::from_secs(2)).await;
    }
}
