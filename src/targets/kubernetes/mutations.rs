//! The changes: the compare-and-swap of a template, and the pods of a StatefulSet that no controller replaces. Each is sent again
//! only after reading whether the first attempt happened.

use std::time::Duration;

use serde_json::Value;

use super::client::{Client, FIELD_MANAGER};
use super::error::ApiError;
use super::read::WorkloadObject;
use super::settings::{WorkloadKind, WorkloadName};
use super::status::read_state;
use super::stuck_pods::stuck_pods;
use super::template::template_id;
use super::verdict::writer_text;
use super::write::template_patch;
use crate::problem::{Code, Problem};
use crate::retry::{self, Look, SendError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;

/// How often the controller of a StatefulSet is looked at until it has seen a change.
const OBSERVATION_LOOKS: usize = 15;
/// Between two of these looks.
const OBSERVATION_PAUSE: Duration = Duration::from_secs(1);

/// A change of a template.
#[derive(Debug, Clone)]
pub struct TemplateSwap {
    /// Identity of the workload; `None` if any will do.
    pub uid: Option<String>,
    /// The templates that may be replaced, by their identity; empty if any may.
    pub replaceable: Vec<String>,
    /// The template that it gets.
    pub to: Value,
}

/// What the state of a workload means for a swap.
pub enum SwapState {
    /// It has the template.
    Done(Box<WorkloadObject>),
    /// It has one that may be replaced: its identity, and the template.
    Replaceable(String, Value),
    /// It is another object, or somebody changed the template.
    Replaced(Problem),
}

impl TemplateSwap {
    /// What this state means. Pure.
    pub fn classify(&self, name: &WorkloadName, workload: WorkloadObject) -> SwapState {
        if self.uid.as_ref().is_some_and(|uid| *uid != workload.metadata.uid) {
            let sentence = format!("The workload `{name}` was deleted and made anew.");
            return SwapState::Replaced(Problem::error(Code::Superseded, sentence));
        }
        let current = template_id(&workload.spec.template);
        if current == template_id(&self.to) || self.is_mutated_by_admission(&workload) {
            return SwapState::Done(Box::new(workload));
        }
        if self.replaceable.is_empty() || self.replaceable.contains(&current) {
            return SwapState::Replaceable(workload.metadata.uid.clone(), workload.spec.template);
        }
        let sentence = format!("The template of `{name}` was changed by {}.", writer_text(&workload));
        SwapState::Replaced(Problem::error(Code::Superseded, sentence).help("Nothing was overwritten."))
    }

    /// Whether the template is ours as an admission webhook made it: we wrote last, and it has our images and variables. Those of
    /// another run are its own, also with the same images.
    fn is_mutated_by_admission(&self, workload: &WorkloadObject) -> bool {
        let is_last_writer = workload.last_template_writer().is_some_and(|one| one.manager == FIELD_MANAGER);
        let current = template_id(&workload.spec.template);
        let contents = |template: &Value| -> Vec<[Value; 3]> {
            super::template::template_containers(template)
                .map(|one| ["name", "image", "env"].map(|key| one[key].clone()))
                .collect()
        };
        let (wanted, has) = (contents(&self.to), contents(&workload.spec.template));
        is_last_writer
            && !self.replaceable.is_empty()
            && !self.replaceable.contains(&current)
            && wanted.iter().all(|one| has.contains(one))
    }
}

/// Reads the workload.
async fn read_workload(client: &Client, name: &WorkloadName) -> Result<WorkloadObject, ApiError> {
    client.interpret(client.workload(name).await?)
}

/// Brings the template into service, at most once.
pub async fn swap_template(
    client: &Client,
    name: &WorkloadName,
    swap: &TemplateSwap,
) -> Result<WorkloadObject, ChangeError> {
    retry::ambiguous(
        &WRITE_RETRY,
        async |patch: Value| {
            let answer = client.patch_workload(name, &patch, false).await;
            answer.and_then(|raw| client.interpret(raw)).map_err(swap_error)
        },
        async |_| {
            let workload = read_workload(client, name).await.map_err(|error| error.problem)?;
            Ok(match swap.classify(name, workload) {
                SwapState::Done(workload) => Look::Done(*workload),
                SwapState::Replaceable(uid, before) => Look::Send(template_patch(&uid, &before, &swap.to)),
                SwapState::Replaced(problem) => Look::Stop(problem),
            })
        },
    )
    .await
}

/// A failed `test` is 422, and says that somebody came first: the next look decides.
pub fn swap_error(error: ApiError) -> SendError<Problem> {
    if error.is_raced() { SendError::transient(error.problem) } else { error.into_write_error() }
}

/// A StatefulSet never replaces a pod that does not become ready, not even for a template that was well: such pods of other
/// revisions are deleted, one at a time, after its controller has seen the template. Whatever cannot be deleted is left to the
/// watch, which shows it.
pub async fn replace_stuck_pods(client: &Client, name: &WorkloadName, generation: u64) {
    if name.kind != WorkloadKind::StatefulSet {
        return;
    }
    for _ in 0..OBSERVATION_LOOKS {
        if let Ok(state) = read_state(client, name).await
            && state.workload.status.observed_generation >= Some(generation)
        {
            for pod in stuck_pods(&state.workload, &state.pods) {
                // A pod that is gone or another one needs nothing more.
                let _ = client.delete_pod(&pod.metadata.name, &pod.metadata.uid).await;
            }
            return;
        }
        tokio::time::sleep(OBSERVATION_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload(image: &str, manager: &str) -> WorkloadObject {
        serde_json::from_value(json!({
            "metadata": { "uid": "u", "managedFields": [
                { "manager": manager, "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:spec": { "f:template": {} } } },
            ] },
            "spec": { "template": template(image) },
        }))
        .unwrap()
    }

    fn template(image: &str) -> Value {
        json!({ "spec": { "containers": [{ "name": "app", "image": image }] } })
    }

    fn classified(workload: WorkloadObject, uid: &str) -> &'static str {
        let name = WorkloadName::try_from("deployment/api".to_owned()).unwrap();
        let replaceable = vec![template_id(&template("old"))];
        let swap = TemplateSwap { uid: Some(uid.to_owned()), replaceable, to: template("new") };
        match swap.classify(&name, workload) {
            SwapState::Done(_) => "done",
            SwapState::Replaceable(..) => "send",
            SwapState::Replaced(_) => "superseded",
        }
    }

    #[test]
    fn only_the_template_that_was_seen_is_replaced() {
        assert_eq!(classified(workload("old", "kubectl"), "u"), "send");
        assert_eq!(classified(workload("new", "roadstead"), "u"), "done");
        assert_eq!(classified(workload("other", "kubectl"), "u"), "superseded");
        assert_eq!(classified(workload("old", "kubectl"), "v"), "superseded");
    }

    #[test]
    fn template_that_a_webhook_extended_is_ours() {
        let mut injected = workload("new", "roadstead");
        let sidecar = json!({ "name": "mesh", "image": "mesh:1" });
        injected.spec.template["spec"]["containers"].as_array_mut().unwrap().push(sidecar);
        assert_eq!(classified(injected.clone(), "u"), "done");
        injected.metadata.managed_fields[0].manager = "kubectl".into();
        assert_eq!(classified(injected, "u"), "superseded");
    }

    #[test]
    fn variables_of_another_run_are_not_ours() {
        let mut other = workload("new", "roadstead");
        other.spec.template["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "1" }]);
        assert_eq!(classified(other, "u"), "superseded");
    }

    #[test]
    fn failed_test_is_looked_at_again_and_a_broken_rule_is_not() {
        let error = |status: u16, message: &str| {
            let body = json!({ "message": message }).to_string().into_bytes();
            let answer = crate::sys::http::Response { status, headers: Vec::new(), body };
            swap_error(ApiError::from_response("the cluster", &answer)).failure
        };
        use crate::retry::SendFailure;
        let raced = "the server rejected our request due to an error in our request";
        assert_eq!(error(422, raced), SendFailure::Transient);
        assert_eq!(error(409, "Operation cannot be fulfilled"), SendFailure::Transient);
        assert_eq!(error(422, "Deployment.apps \"api\" is invalid: spec: x"), SendFailure::Rejected);
        let denied = "deployments.apps \"api\" is forbidden: ValidatingAdmissionPolicy 'signed' denied request: not signed";
        assert_eq!(error(422, denied), SendFailure::Rejected);
        assert_eq!(
            error(422, "admission webhook \"signed.example\" denied the request: not signed"),
            SendFailure::Rejected
        );
        assert_eq!(error(403, "forbidden"), SendFailure::Rejected);
        assert_eq!(error(500, ""), SendFailure::Ambiguous);
    }
}
