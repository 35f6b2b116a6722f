//! The next share of a deployment that waits at our hook. Asking twice moves once: a hook takes one word only, and
//! after a lost answer it is read what became of it.

use super::act::{TRIES, passes, pause, readable, superseded};
use super::look::Eyes;
use super::native::{self, Pause};
use super::read::{Service, ServiceDeployment};
use super::refusal::Refusal;
use crate::problem::{Code, Problem};
use crate::release::Rollout;

/// What leads to the wanted share.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing: it is on its way there, or there.
    Done,
    /// Our word at this hook.
    Continue(String),
    /// Nothing: this newer deployment took over.
    Superseded(String),
    /// Nothing: this is why it cannot be.
    Never(Problem),
}

/// Decides how `deployment` comes to `percent`. Pure.
pub fn next(deployment: &ServiceDeployment, service: &Service, percent: u8) -> Next {
    match deployment.status.as_str() {
        "SUCCESSFUL" => return Next::Done,
        "PENDING" | "IN_PROGRESS" => {}
        "STOP_REQUESTED" | "STOPPED"
            if service.current.as_ref().is_some_and(|now| *now != deployment.arn) =>
        {
            return Next::Superseded(service.current.clone().unwrap_or_default());
        }
        status => return Next::Never(ended(status)),
    }
    let hook = match native::pause(deployment, service) {
        Pause::Ours(hook) if native::share(deployment) < percent => hook,
        _ => return Next::Done,
    };
    let next = native::next_share(deployment, service);
    if next == percent || deployment.sources.is_empty() {
        return Next::Continue(hook);
    }
    let sentence = format!("The deployment goes on to {next} % of the traffic, not to {percent} %.");
    let help = "It was started with other steps; when nobody continues it, ECS takes it back by itself.";
    Next::Never(Problem::error(Code::DeploymentStopped, sentence).help(help))
}

fn ended(status: &str) -> Problem {
    let sentence = format!("The deployment cannot go on: it is {status}.");
    Problem::error(Code::DeploymentStopped, sentence)
}

/// Goes on to `percent`; answers the same rollout.
pub async fn onward(eyes: &Eyes, rollout: &Rollout, percent: u8) -> Result<Rollout, Problem> {
    let (mut asked, mut last) = (String::new(), None);
    for attempt in 0..TRIES {
        let service = eyes.service().await?;
        let Some(deployment) = ours(eyes, &service, rollout).await? else {
            return Err(superseded(service.current.as_deref().unwrap_or_default()));
        };
        let hook = match next(&deployment, &service, percent) {
            Next::Done => return Ok(rollout.clone()),
            Next::Superseded(newer) => return Err(superseded(&newer)),
            Next::Never(problem) => return Err(problem),
            Next::Continue(hook) => hook,
        };
        let refusal = match eyes.loader.client().continue_service_deployment(&deployment.arn, &hook).await {
            Ok(_) => return Ok(rollout.clone()),
            // The first word was heard, and what was read is older than that.
            Err(refusal) if asked == hook && has_been_said(&refusal) => return Ok(rollout.clone()),
            Err(refusal) if passes(&refusal) || has_been_said(&refusal) => refusal,
            Err(refusal) => return Err(refusal.problem),
        };
        if refusal.unsure {
            asked = hook;
        }
        last = Some(refusal.problem);
        pause(attempt).await;
    }
    let none = || Problem::error(Code::ProviderError, "AWS did not take the word to go on in several tries.");
    Err(last.unwrap_or_else(none))
}

/// Whether AWS says that the hook does not wait (any more).
fn has_been_said(refusal: &Refusal) -> bool {
    refusal.is(&["ClientException", "InvalidParameterException", "ConflictException"])
}

/// The service deployment of a rollout, also where its ARN was not known at its start.
pub async fn ours(
    eyes: &Eyes,
    service: &Service,
    rollout: &Rollout,
) -> Result<Option<ServiceDeployment>, Problem> {
    let first = rollout.ids.first();
    let primary = || service.primary().is_some_and(|primary| first == Some(&primary.id));
    let arn = rollout.ids.get(1).cloned().or_else(|| service.current.clone().filter(|_| primary()));
    match arn {
        Some(arn) => readable(eyes.loader.deployment(&arn).await),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{Course, Span};
    use crate::targets::ecs::configuration;
    use crate::targets::ecs::read::FiredHook;

    fn flying(status: &str, weight: f64, hook: &str) -> ServiceDeployment {
        let course = Course { shares: vec![0, 10, 100], bake: Span::default(), patience: Span::minutes(30) };
        ServiceDeployment {
            arn: "sd".into(),
            status: status.into(),
            weight: Some(weight),
            sources: vec!["rev-1".into()],
            hooks: vec![FiredHook {
                id: "h".into(),
                pauses: true,
                status: hook.into(),
                ..FiredHook::default()
            }],
            configuration: configuration::start(&json!({}), &course, "td").unwrap(),
            ..ServiceDeployment::default()
        }
    }

    fn word(deployment: &ServiceDeployment, percent: u8) -> String {
        let service = Service { current: Some("sd-2".into()), ..Service::default() };
        match next(deployment, &service, percent) {
            Next::Never(problem) => problem.sentence,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn one_word_for_one_share() {
        let waits = "AWAITING_ACTION";
        let table = [
            (flying("IN_PROGRESS", 0.0, waits), 10, r#"Continue("h")"#),
            (flying("IN_PROGRESS", 10.0, waits), 100, r#"Continue("h")"#),
            (flying("IN_PROGRESS", 10.0, waits), 10, "Done"),
            (flying("IN_PROGRESS", 0.0, "SUCCEEDED"), 10, "Done"),
            (
                flying("IN_PROGRESS", 0.0, waits),
                20,
                "The deployment goes on to 10 % of the traffic, not to 20 %.",
            ),
            (flying("SUCCESSFUL", 100.0, "SUCCEEDED"), 100, "Done"),
            (flying("STOPPED", 0.0, "FAILED"), 10, r#"Superseded("sd-2")"#),
            (
                flying("ROLLBACK_IN_PROGRESS", 0.0, "TIMED_OUT"),
                10,
                "The deployment cannot go on: it is ROLLBACK_IN_PROGRESS.",
            ),
        ];
        for (deployment, percent, expected) in table {
            assert_eq!(word(&deployment, percent), expected, "{percent} {deployment:?}");
        }
    }
}
