//! Restores the original deployment configuration of a service after a rollout has ended.

use serde_json::{Map, Value};
use tokio::time::{Duration, Instant, sleep};

use super::super::error::AwsError;
use super::super::read::{EcsService, ServiceDeployment};
use super::super::reader::ServiceReader;
use super::continue_deployment;
use super::deployment_configuration;
use super::ecs_strategy::{self, PauseState};
use super::mutations::{STALE_READ_WINDOW, none_if_denied, write_error};
use crate::problem::{Code, Problem};
use crate::release::Rollout;
use crate::retry::{self, Look, SendError, WriteError};
use crate::targets::aws_error::WRITE_RETRY;

/// Time between two reads that may be stale.
const READ_INTERVAL: Duration = Duration::from_secs(2);

/// What to do about our hook.
#[derive(Debug, Clone, PartialEq)]
pub enum RestoreAction {
    /// None: there is no hook of ours.
    Nothing,
    /// None yet: its rollout has not ended.
    Wait,
    /// None: it belongs to a newer run, whose rollout is in progress.
    Theirs,
    /// Set this with UpdateService.
    Restore(Value),
}

/// Decides what to do after `rollout`, given the service's last deployment. Pure.
pub fn restore_action(
    service: &EcsService,
    current: Option<&ServiceDeployment>,
    rollout: &Rollout,
) -> RestoreAction {
    let now = &service.raw["deploymentConfiguration"];
    let (Some(hook), Some(set)) =
        (deployment_configuration::our_hook(now), deployment_configuration::restored(now))
    else {
        return RestoreAction::Nothing;
    };
    let mine = |it: &ServiceDeployment| {
        rollout.ids.get(1).map_or_else(|| is_primary_of(service, rollout), |arn| *arn == it.arn)
    };
    match current.filter(|current| current.is_in_flight()) {
        Some(current) if mine(current) => RestoreAction::Wait,
        Some(_) if deployment_configuration::hook_definition(hook) == service.definition => {
            RestoreAction::Theirs
        }
        _ => RestoreAction::Restore(set),
    }
}

/// Whether the deployment of the service is the rollout's.
fn is_primary_of(service: &EcsService, rollout: &Rollout) -> bool {
    service.primary().is_some_and(|primary| rollout.ids.first() == Some(&primary.id))
}

/// The configuration to set, and the service as it was read.
struct RestoreRequest {
    configuration: Value,
    service: EcsService,
    current: Option<ServiceDeployment>,
}

/// Restores the settings, and reads that they are restored. A newer foreign deployment that is paused at our hook is
/// continued: nobody else would continue it.
pub async fn restore_settings(reader: &ServiceReader, rollout: &Rollout) -> Result<(), Problem> {
    let begun = Instant::now();
    retry::ambiguous(
        &WRITE_RETRY,
        async |request: RestoreRequest| {
            let RestoreRequest { configuration, service, current } = request;
            send_restored(reader, configuration).await.map_err(restore_error)?;
            continue_foreign_deployment(reader, &service, current.as_ref()).await.map_err(SendError::rejected)
        },
        async |_| find_left_settings(reader, rollout, begun).await,
    )
    .await
    .map_err(WriteError::into_error)
}

/// AWS returns a conflict while a deployment starts or ends.
fn restore_error(error: AwsError) -> SendError<Problem> {
    match error.has_code(&["ConflictException"]) {
        true => SendError::transient(error.problem),
        false => write_error(error),
    }
}

async fn find_left_settings(
    reader: &ServiceReader,
    rollout: &Rollout,
    begun: Instant,
) -> Result<Look<RestoreRequest, (), Problem>, Problem> {
    loop {
        let service = reader.service().await?;
        let current = match &service.service_deployment_arn {
            Some(arn) => none_if_denied(reader.loader.deployment(arn).await)?,
            None => None,
        };
        match restore_action(&service, current.as_ref(), rollout) {
            // The response may be older than the observed end.
            RestoreAction::Wait if begun.elapsed() < STALE_READ_WINDOW => {}
            RestoreAction::Nothing if may_be_stale(reader, rollout, begun).await? => {}
            RestoreAction::Nothing | RestoreAction::Theirs => return Ok(Look::Done(())),
            RestoreAction::Wait => return Ok(Look::Stop(not_ended())),
            RestoreAction::Restore(configuration) => {
                return Ok(Look::Send(RestoreRequest { configuration, service, current }));
            }
        }
        sleep(READ_INTERVAL).await;
    }
}

fn not_ended() -> Problem {
    Problem::error(Code::ProviderError, "The deployment for which they were changed has not ended.")
}

/// Whether a service without our hook may be a stale response: our deployment started with one.
async fn may_be_stale(reader: &ServiceReader, rollout: &Rollout, begun: Instant) -> Result<bool, Problem> {
    if begun.elapsed() >= STALE_READ_WINDOW {
        return Ok(false);
    }
    let Some(arn) = rollout.ids.get(1) else { return Ok(false) };
    let ours = none_if_denied(reader.loader.deployment(arn).await)?;
    Ok(ours.is_some_and(|ours| deployment_configuration::our_hook(&ours.configuration).is_some()))
}

/// UpdateService with the configuration alone, which starts no deployment.
async fn send_restored(reader: &ServiceReader, set: Value) -> Result<(), AwsError> {
    let (cluster, name) = (&reader.settings.cluster, &reader.settings.service);
    let members = Map::from_iter([("deploymentConfiguration".to_owned(), set)]);
    let answer = reader.loader.client().update_service(cluster, name, members).await?;
    let left = deployment_configuration::our_hook(&answer["service"]["deploymentConfiguration"]).is_some();
    let problem =
        || Problem::error(Code::ProviderError, "AWS kept the pause hook although the update succeeded.");
    if left { Err(AwsError { code: String::new(), ambiguous: true, problem: problem() }) } else { Ok(()) }
}

/// A foreign deployment that started with our hook is continued if it is paused there.
async fn continue_foreign_deployment(
    reader: &ServiceReader,
    service: &EcsService,
    current: Option<&ServiceDeployment>,
) -> Result<(), Problem> {
    let inherits = |it: &&ServiceDeployment| {
        matches!(it.status.as_str(), "PENDING" | "IN_PROGRESS")
            && deployment_configuration::our_hook(ecs_strategy::effective_configuration(it, service))
                .is_some()
    };
    let Some(theirs) = current.filter(inherits) else { return Ok(()) };
    if let PauseState::AtOurHook(hook) = ecs_strategy::pause_state(theirs, service) {
        let rollout = Rollout {
            version: String::new(),
            label: String::new(),
            ids: vec![String::new(), theirs.arn.clone()],
        };
        let next = ecs_strategy::next_weight(theirs, service);
        continue_deployment::continue_to(reader, &rollout, next).await.map_err(WriteError::into_error)?;
        if next == 100 {
            return Ok(());
        }
        return Err(foreign_deployment_waits(&theirs.arn, &hook));
    }
    Err(foreign_deployment_waits(&theirs.arn, "…"))
}

fn foreign_deployment_waits(arn: &str, hook: &str) -> Problem {
    let sentence = "A newer deployment started while our pause hook was set, and will be paused at it.";
    let help = format!(
        "Continue it when it is paused: aws ecs continue-service-deployment --service-deployment-arn {arn} --hook-id {hook}"
    );
    Problem::error(Code::ProviderError, sentence).cause(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{HumanDuration, TrafficPlan};

    fn service(hook_for: &str, wish: &str) -> EcsService {
        let course = TrafficPlan {
            weights: vec![0, 100],
            bake: HumanDuration::default(),
            hook_timeout: HumanDuration::from_minutes(30),
        };
        let set = deployment_configuration::start_configuration(&json!({}), &course, hook_for).unwrap();
        let primary = json!({"id":"ecs-svc/2","status":"PRIMARY","taskDefinition":wish});
        EcsService::from_json(&json!({"deploymentConfiguration":set,"deployments":[primary]}))
    }

    fn current(arn: &str, status: &str) -> Option<ServiceDeployment> {
        Some(ServiceDeployment { arn: arn.into(), status: status.into(), ..ServiceDeployment::default() })
    }

    fn rollout(ids: &[&str]) -> Rollout {
        let ids = ids.iter().map(ToString::to_string).collect();
        Rollout { version: "td:2".into(), label: "td:2".into(), ids }
    }

    #[test]
    fn settings_are_restored_when_rollout_has_ended() {
        let word =
            |service: &EcsService, current: Option<ServiceDeployment>, ids: &[&str]| match restore_action(
                service,
                current.as_ref(),
                &rollout(ids),
            ) {
                RestoreAction::Restore(_) => "restore".to_owned(),
                other => format!("{other:?}"),
            };
        let (mine, forward, back) = (service("td:2", "td:2"), ["ecs-svc/2", "sd-2"], ["rollback", "sd-2"]);
        assert_eq!(word(&EcsService::default(), None, &forward), "Nothing");
        assert_eq!(word(&mine, current("sd-2", "SUCCESSFUL"), &forward), "restore");
        assert_eq!(word(&mine, current("sd-2", "ROLLBACK_SUCCESSFUL"), &back), "restore");
        assert_eq!(word(&mine, current("sd-2", "IN_PROGRESS"), &forward), "Wait");
        assert_eq!(word(&mine, current("sd-2", "IN_PROGRESS"), &["ecs-svc/2"]), "Wait");
        assert_eq!(word(&mine, None, &[]), "restore");
        // A newer run of ours set the hook for its own version; a foreign deployment only inherited ours.
        assert_eq!(
            word(&service("td:3", "td:3"), current("sd-3", "IN_PROGRESS"), &["ecs-svc/1", "sd-2"]),
            "Theirs"
        );
        assert_eq!(
            word(&service("td:2", "td:3"), current("sd-3", "IN_PROGRESS"), &["ecs-svc/1", "sd-2"]),
            "restore"
        );
    }
}
