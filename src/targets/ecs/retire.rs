//! Putting back what a course changed in the deployment configuration of a service, once it has ended.

use serde_json::{Map, Value};
use tokio::time::{Duration, Instant, sleep};

use super::act::{STALE, TRIES, passes, pause, readable};
use super::look::Eyes;
use super::native::{self, Pause};
use super::onward;
use super::read::{Service, ServiceDeployment};
use super::{configuration, refusal::Refusal};
use crate::problem::{Code, Problem};
use crate::release::Rollout;

/// Time between two looks at what may be an old answer.
const LOOK: Duration = Duration::from_secs(2);

/// What is to do about a hook of ours.
#[derive(Debug, Clone, PartialEq)]
pub enum Duty {
    /// Nothing: there is none.
    Nothing,
    /// Nothing yet: the movement for which it is there has not ended.
    Wait,
    /// Nothing: it belongs to a newer run, which is on its way with it.
    Theirs,
    /// To set this with UpdateService.
    PutBack(Value),
}

/// Decides what is to do after `rollout`, over the service's last deployment. Pure.
pub fn duty(service: &Service, current: Option<&ServiceDeployment>, rollout: &Rollout) -> Duty {
    let now = &service.raw["deploymentConfiguration"];
    let (Some(hook), Some(set)) = (configuration::our_hook(now), configuration::put_back(now)) else {
        return Duty::Nothing;
    };
    let mine = |it: &ServiceDeployment| {
        rollout.ids.get(1).map_or_else(|| is_of(service, rollout), |arn| *arn == it.arn)
    };
    match current.filter(|current| current.in_flight()) {
        Some(current) if mine(current) => Duty::Wait,
        Some(_) if configuration::made_for(hook) == service.definition => Duty::Theirs,
        _ => Duty::PutBack(set),
    }
}

/// Whether the deployment that the service works towards is the rollout's.
fn is_of(service: &Service, rollout: &Rollout) -> bool {
    service.primary().is_some_and(|primary| rollout.ids.first() == Some(&primary.id))
}

/// Puts back what is left, and reads that it is so. A newer deployment of somebody else that waits at our hook is
/// sent on: it waits for nobody else.
pub async fn retire(eyes: &Eyes, rollout: &Rollout) -> Result<(), Problem> {
    let (begun, mut last) = (Instant::now(), None);
    let mut attempt = 0;
    while attempt < TRIES {
        let service = eyes.service().await?;
        let current = match &service.current {
            Some(arn) => readable(eyes.loader.deployment(arn).await)?,
            None => None,
        };
        let set = match duty(&service, current.as_ref(), rollout) {
            // The answer may be older than the end that was seen.
            Duty::Wait if begun.elapsed() < STALE => {
                sleep(LOOK).await;
                continue;
            }
            Duty::Nothing if stale(eyes, rollout, begun).await? => {
                sleep(LOOK).await;
                continue;
            }
            Duty::Nothing | Duty::Theirs => return Ok(()),
            Duty::Wait => return Err(not_yet()),
            Duty::PutBack(set) => set,
        };
        match put_back(eyes, set).await {
            Ok(()) => return release(eyes, &service, current.as_ref()).await,
            Err(refusal) if passes(&refusal) || refusal.is(&["ConflictException"]) => {
                last = Some(refusal.problem)
            }
            Err(refusal) => return Err(refusal.problem),
        }
        pause(attempt).await;
        attempt += 1;
    }
    Err(last.unwrap_or_else(not_yet))
}

fn not_yet() -> Problem {
    Problem::error(Code::ProviderError, "The deployment for which they were changed has not ended.")
}

/// Whether a service without a hook of ours may only be an old answer: our deployment began with one.
async fn stale(eyes: &Eyes, rollout: &Rollout, begun: Instant) -> Result<bool, Problem> {
    if begun.elapsed() >= STALE {
        return Ok(false);
    }
    let Some(arn) = rollout.ids.get(1) else { return Ok(false) };
    let ours = readable(eyes.loader.deployment(arn).await)?;
    Ok(ours.is_some_and(|ours| configuration::our_hook(&ours.configuration).is_some()))
}

/// UpdateService with the configuration alone, which starts no deployment.
async fn put_back(eyes: &Eyes, set: Value) -> Result<(), Refusal> {
    let (cluster, name) = (&eyes.settings.cluster, &eyes.settings.service);
    let members = Map::from_iter([("deploymentConfiguration".to_owned(), set)]);
    let answer = eyes.loader.client().update_service(cluster, name, members).await?;
    let left = configuration::our_hook(&answer["service"]["deploymentConfiguration"]).is_some();
    let problem = || Problem::error(Code::ProviderError, "AWS kept the pause hook in spite of the update.");
    if left { Err(Refusal { aws: String::new(), unsure: true, problem: problem() }) } else { Ok(()) }
}

/// A deployment of somebody else began with our hook: it is sent on where it waits there.
async fn release(eyes: &Eyes, service: &Service, current: Option<&ServiceDeployment>) -> Result<(), Problem> {
    let inherits = |it: &&ServiceDeployment| {
        matches!(it.status.as_str(), "PENDING" | "IN_PROGRESS")
            && configuration::our_hook(native::configuration(it, service)).is_some()
    };
    let Some(theirs) = current.filter(inherits) else { return Ok(()) };
    if let Pause::Ours(hook) = native::pause(theirs, service) {
        let rollout = Rollout {
            version: String::new(),
            label: String::new(),
            ids: vec![String::new(), theirs.arn.clone()],
        };
        let next = native::next_share(theirs, service);
        onward::onward(eyes, &rollout, next).await?;
        if next == 100 {
            return Ok(());
        }
        return Err(waits(&theirs.arn, &hook));
    }
    Err(waits(&theirs.arn, "…"))
}

fn waits(arn: &str, hook: &str) -> Problem {
    let sentence =
        "A newer deployment of somebody else began while our pause hook was set, and will wait at it.";
    let help = format!(
        "Continue it when it waits: aws ecs continue-service-deployment --service-deployment-arn {arn} --hook-id {hook}"
    );
    Problem::error(Code::ProviderError, sentence).cause(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{Course, Span};

    fn service(hook_for: &str, wish: &str) -> Service {
        let course = Course { shares: vec![0, 100], bake: Span::default(), patience: Span::minutes(30) };
        let set = configuration::start(&json!({}), &course, hook_for).unwrap();
        let primary = json!({"id":"ecs-svc/2","status":"PRIMARY","taskDefinition":wish});
        Service::read(&json!({"deploymentConfiguration":set,"deployments":[primary]}))
    }

    fn current(arn: &str, status: &str) -> Option<ServiceDeployment> {
        Some(ServiceDeployment { arn: arn.into(), status: status.into(), ..ServiceDeployment::default() })
    }

    fn rollout(ids: &[&str]) -> Rollout {
        let ids = ids.iter().map(ToString::to_string).collect();
        Rollout { version: "td:2".into(), label: "td:2".into(), ids }
    }

    #[test]
    fn a_hook_is_put_back_when_its_movement_is_over() {
        let word = |service: &Service, current: Option<ServiceDeployment>, ids: &[&str]| match duty(
            service,
            current.as_ref(),
            &rollout(ids),
        ) {
            Duty::PutBack(_) => "put back".to_owned(),
            other => format!("{other:?}"),
        };
        let (mine, forward, back) = (service("td:2", "td:2"), ["ecs-svc/2", "sd-2"], ["rollback", "sd-2"]);
        assert_eq!(word(&Service::default(), None, &forward), "Nothing");
        assert_eq!(word(&mine, current("sd-2", "SUCCESSFUL"), &forward), "put back");
        assert_eq!(word(&mine, current("sd-2", "ROLLBACK_SUCCESSFUL"), &back), "put back");
        assert_eq!(word(&mine, current("sd-2", "IN_PROGRESS"), &forward), "Wait");
        assert_eq!(word(&mine, current("sd-2", "IN_PROGRESS"), &["ecs-svc/2"]), "Wait");
        assert_eq!(word(&mine, None, &[]), "put back");
        // A newer run of ours set the hook anew for its own version; somebody else's only inherited ours.
        assert_eq!(
            word(&service("td:3", "td:3"), current("sd-3", "IN_PROGRESS"), &["ecs-svc/1", "sd-2"]),
            "Theirs"
        );
        assert_eq!(
            word(&service("td:2", "td:3"), current("sd-3", "IN_PROGRESS"), &["ecs-svc/1", "sd-2"]),
            "put back"
        );
    }
}
