//! Why a version does not run, when its rollback did not succeed: tasks, targets and events of the service, read once.

use super::reader::ServiceReader;
use super::rollout::causes::{self, FailureCause};
use super::rollout::verdict;
use crate::problem::Problem;
use crate::release::{Diagnosis, Failure, Rollout, Version};

/// Reads the counts of a version, and the most frequent cause in its stopped tasks, or else in the events of the service.
pub async fn diagnose(reader: &ServiceReader, version: &Version) -> Result<Diagnosis, Problem> {
    let service = reader.service().await?;
    let own = service.deployments.iter().filter(|deployment| deployment.definition == version.id);
    let running: u32 = own.map(|deployment| deployment.running).sum();
    // Best effort: what cannot be read is left out.
    let targets = reader.target_counts(&service, &service.target_groups).await.unwrap_or_default();
    let mut counts = format!("{running} of {} tasks of {} run", service.desired, version.label);
    if let Some(targets) = targets {
        counts.push_str(&format!(", {} of {} targets healthy", targets.healthy, service.desired));
    }
    let causes = task_causes(reader, version).await?;
    let failure = match verdict::suspect(&causes) {
        Some(failure) => Some(with_logs(reader, version, failure, &causes).await),
        None => {
            let event = service.events.iter().find_map(causes::from_event);
            event.map(|cause| Failure::permanent(cause.problem))
        }
    };
    Ok(Diagnosis { counts, failure })
}

async fn task_causes(reader: &ServiceReader, version: &Version) -> Result<Vec<FailureCause>, Problem> {
    let tasks = reader.stopped_tasks(|_| false).await?;
    let essential = reader.essential_containers(&version.id).await;
    let own = tasks.iter().filter(|task| task.definition == version.id);
    Ok(own.filter_map(|task| causes::from_task(task, &essential)).collect())
}

async fn with_logs(
    reader: &ServiceReader,
    version: &Version,
    failure: Failure,
    causes: &[FailureCause],
) -> Failure {
    let rollout = Rollout { version: version.id.clone(), label: version.label.clone(), ids: Vec::new() };
    match causes::root_cause(&failure, causes) {
        Some(cause) => Failure { logs: reader.log_tail(cause, &rollout).await, ..failure },
        None => failure,
    }
}
