//! The next weight of a deployment that is paused at our hook. Idempotent: a hook is continued once, and after a lost
//! response the deployment is read before the call is repeated.

use super::super::error::AwsError;
use super::super::read::{EcsService, ServiceDeployment};
use super::super::reader::ServiceReader;
use super::ecs_strategy::{self, PauseState};
use super::mutations::{none_if_denied, superseded_problem, write_error};
use crate::problem::{Code, Problem};
use crate::release::Rollout;
use crate::retry::{self, Look, SendError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;

/// The action that leads to the requested weight.
#[derive(Debug, Clone, PartialEq)]
pub enum ContinueAction {
    /// None: it is on its way there, or there.
    Done,
    /// Continue this hook.
    Continue(String),
    /// None: this newer deployment took over.
    Superseded(String),
    /// None: it is not possible for this reason.
    Impossible(Problem),
}

/// Decides how `deployment` gets to `percent`. Pure.
pub fn continue_action(deployment: &ServiceDeployment, service: &EcsService, percent: u8) -> ContinueAction {
    match deployment.status.as_str() {
        "SUCCESSFUL" => return ContinueAction::Done,
        "PENDING" | "IN_PROGRESS" => {}
        "STOP_REQUESTED" | "STOPPED"
            if service.service_deployment_arn.as_ref().is_some_and(|now| *now != deployment.arn) =>
        {
            return ContinueAction::Superseded(service.service_deployment_arn.clone().unwrap_or_default());
        }
        status => return ContinueAction::Impossible(cannot_continue(status)),
    }
    let hook = match ecs_strategy::pause_state(deployment, service) {
        PauseState::AtOurHook(hook) if ecs_strategy::current_weight(deployment) < percent => hook,
        _ => return ContinueAction::Done,
    };
    let next = ecs_strategy::next_weight(deployment, service);
    if next == percent || deployment.source_revisions.is_empty() {
        return ContinueAction::Continue(hook);
    }
    let sentence = format!("The deployment continues to {next} % of traffic, not to {percent} %.");
    let help = "It was started with other steps. ECS rolls it back when the pause hook times out.";
    ContinueAction::Impossible(Problem::error(Code::DeploymentStopped, sentence).help(help))
}

fn cannot_continue(status: &str) -> Problem {
    let sentence = format!("The deployment cannot be continued: it is {status}.");
    Problem::error(Code::DeploymentStopped, sentence)
}

/// A paused hook and its deployment.
struct WaitingHook {
    deployment: String,
    hook: String,
}

/// Continues to `percent`; returns the same rollout.
pub async fn continue_to(
    reader: &ServiceReader,
    rollout: &Rollout,
    percent: u8,
) -> Result<Rollout, ChangeError> {
    let mut asked = String::new();
    retry::ambiguous(
        &WRITE_RETRY,
        async |waiting: WaitingHook| {
            let WaitingHook { deployment, hook } = waiting;
            match reader.loader.client().continue_service_deployment(&deployment, &hook).await {
                Ok(_) => Ok(rollout.clone()),
                // The first call was accepted; the read is older than that.
                Err(error) if asked == hook && is_already_continued(&error) => Ok(rollout.clone()),
                Err(error) if is_already_continued(&error) => Err(SendError::transient(error.problem)),
                Err(error) => {
                    if error.ambiguous {
                        asked = hook;
                    }
                    Err(write_error(error))
                }
            }
        },
        async |_| find_waiting_hook(reader, rollout, percent).await,
    )
    .await
}

/// The hook that keeps `rollout` from `percent`.
async fn find_waiting_hook(
    reader: &ServiceReader,
    rollout: &Rollout,
    percent: u8,
) -> Result<Look<WaitingHook, Rollout, Problem>, Problem> {
    let service = reader.service().await?;
    let Some(deployment) = own_deployment(reader, &service, rollout).await? else {
        let newer = service.service_deployment_arn.as_deref().unwrap_or_default();
        return Ok(Look::Stop(superseded_problem(newer)));
    };
    Ok(match continue_action(&deployment, &service, percent) {
        ContinueAction::Done => Look::Done(rollout.clone()),
        ContinueAction::Superseded(newer) => Look::Stop(superseded_problem(&newer)),
        ContinueAction::Impossible(problem) => Look::Stop(problem),
        ContinueAction::Continue(hook) => Look::Send(WaitingHook { deployment: deployment.arn, hook }),
    })
}

/// Whether AWS reports that the hook is not paused (any more).
fn is_already_continued(error: &AwsError) -> bool {
    error.has_code(&["ClientException", "InvalidParameterException", "ConflictException"])
}

/// The service deployment of a rollout, also if its ARN was not known at its start.
pub async fn own_deployment(
    reader: &ServiceReader,
    service: &EcsService,
    rollout: &Rollout,
) -> Result<Option<ServiceDeployment>, Problem> {
    let first = rollout.ids.first();
    let primary = || service.primary().is_some_and(|primary| first == Some(&primary.id));
    let arn =
        rollout.ids.get(1).cloned().or_else(|| service.service_deployment_arn.clone().filter(|_| primary()));
    match arn {
        Some(arn) => none_if_denied(reader.loader.deployment(&arn).await),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{HumanDuration, TrafficPlan};
    use crate::targets::ecs::read::FiredHook;
    use crate::targets::ecs::rollout::deployment_configuration;

    fn in_flight(status: &str, weight: f64, hook: &str) -> ServiceDeployment {
        let course = TrafficPlan {
            weights: vec![0, 10, 100],
            bake: HumanDuration::default(),
            hook_timeout: HumanDuration::from_minutes(30),
        };
        ServiceDeployment {
            arn: "sd".into(),
            status: status.into(),
            traffic_weight: Some(weight),
            source_revisions: vec!["rev-1".into()],
            fired_hooks: vec![FiredHook {
                id: "h".into(),
                is_pause: true,
                status: hook.into(),
                ..FiredHook::default()
            }],
            configuration: deployment_configuration::start_configuration(&json!({}), &course, "td").unwrap(),
            ..ServiceDeployment::default()
        }
    }

    fn describe(deployment: &ServiceDeployment, percent: u8) -> String {
        let service = EcsService { service_deployment_arn: Some("sd-2".into()), ..EcsService::default() };
        match continue_action(deployment, &service, percent) {
            ContinueAction::Impossible(problem) => problem.sentence,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_weight_needs_one_continue() {
        let waits = "AWAITING_ACTION";
        let table = [
            (in_flight("IN_PROGRESS", 0.0, waits), 10, r#"Continue("h")"#),
            (in_flight("IN_PROGRESS", 10.0, waits), 100, r#"Continue("h")"#),
            (in_flight("IN_PROGRESS", 10.0, waits), 10, "Done"),
            (in_flight("IN_PROGRESS", 0.0, "SUCCEEDED"), 10, "Done"),
            (
                in_flight("IN_PROGRESS", 0.0, waits),
                20,
                "The deployment continues to 10 % of traffic, not to 20 %.",
            ),
            (in_flight("SUCCESSFUL", 100.0, "SUCCEEDED"), 100, "Done"),
            (in_flight("STOPPED", 0.0, "FAILED"), 10, r#"Superseded("sd-2")"#),
            (
                in_flight("ROLLBACK_IN_PROGRESS", 0.0, "TIMED_OUT"),
                10,
                "The deployment cannot be continued: it is ROLLBACK_IN_PROGRESS.",
            ),
        ];
        for (deployment, percent, expected) in table {
            assert_eq!(describe(&deployment, percent), expected, "{percent} {deployment:?}");
        }
    }
}
