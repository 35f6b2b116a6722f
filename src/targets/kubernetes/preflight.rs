//! What would go wrong with a workload, from what was read of it: the rules. Pure.

use super::client::AccessRight;
use super::grants::NeededRight;
use super::read::{Metadata, WorkloadObject};
use super::settings::{WorkloadKind, WorkloadName};
use crate::problem::{Code, Problem};

/// All problems of a workload that are known before the first change.
pub fn workload_problems(name: &WorkloadName, workload: &WorkloadObject) -> Vec<Problem> {
    let mut found = Vec::new();
    found.extend(state_problem(name, workload));
    found.extend(strategy_problem(name, workload));
    found.extend(owner_problem(name, &workload.metadata));
    found.extend(history_warning(name, workload));
    found
}

fn state_problem(name: &WorkloadName, workload: &WorkloadObject) -> Option<Problem> {
    if workload.metadata.deletion_timestamp.is_some() {
        let sentence = format!("The workload `{name}` is being deleted.");
        return Some(Problem::error(Code::ServiceMissing, sentence).help("Create it first, then deploy."));
    }
    if workload.spec.paused {
        let sentence =
            format!("The workload `{name}` is paused, so that nothing would roll. Nothing was changed.");
        return Some(
            Problem::error(Code::Unsupported, sentence).help(format!("Run `kubectl rollout resume {name}`.")),
        );
    }
    let counts = workload.counts(name.kind)?;
    let help = match name.kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet => "Scale it up first.",
        WorkloadKind::DaemonSet => "Check its node selector: no node matches it.",
    };
    (counts.desired == 0).then(|| {
        let sentence = format!(
            "The workload `{name}` has 0 copies, so that nothing could be proven. Nothing was changed."
        );
        Problem::error(Code::NothingRuns, sentence).help(help)
    })
}

fn strategy_problem(name: &WorkloadName, workload: &WorkloadObject) -> Option<Problem> {
    let kind = workload.update_kind(name.kind);
    let partition =
        workload.spec.update_strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition);
    match (kind, name.kind, partition) {
        ("OnDelete", ..) => {
            let sentence = format!(
                "The workload `{name}` has the update strategy OnDelete, so that no pod would be replaced."
            );
            Some(
                Problem::error(Code::Unsupported, sentence).help("Set `updateStrategy.type: RollingUpdate`."),
            )
        }
        (_, WorkloadKind::StatefulSet, Some(partition)) if partition > 0 => {
            let sentence = format!(
                "The workload `{name}` has the partition {partition}, so that not all pods would be replaced."
            );
            Some(
                Problem::error(Code::Unsupported, sentence)
                    .help("Set `updateStrategy.rollingUpdate.partition: 0`."),
            )
        }
        ("Recreate", ..) => {
            let sentence = format!(
                "The workload `{name}` has the strategy Recreate: nothing serves while it is replaced."
            );
            Some(
                Problem::warning(Code::NotHealthy, sentence)
                    .help("Set `strategy.type: RollingUpdate`, if the service may run twice."),
            )
        }
        _ => None,
    }
}

/// Who else writes the workload.
fn owner_problem(name: &WorkloadName, metadata: &Metadata) -> Option<Problem> {
    let annotation = |key: &str| metadata.annotations.get(key);
    let has_manager = |manager: &str| metadata.managed_fields.iter().any(|one| one.manager == manager);
    if let Some(owner) = metadata.owner_references.iter().find(|owner| owner.controller) {
        let sentence = format!(
            "The workload `{name}` is controlled by {} `{}`, which would put it back.",
            owner.kind, owner.name
        );
        return Some(Problem::error(Code::Unsupported, sentence).help("Change that object instead."));
    }
    if annotation("argocd.argoproj.io/tracking-id").is_some() || has_manager("argocd-controller") {
        let sentence = format!("The workload `{name}` is synced by Argo CD, which would put it back.");
        return Some(
            Problem::error(Code::Unsupported, sentence)
                .help("Use the target `argocd`, which commits to its repository."),
        );
    }
    let of_flux = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"];
    if of_flux.iter().any(|label| metadata.labels.contains_key(*label)) {
        let sentence = format!("The workload `{name}` is reconciled by Flux, which would put it back.");
        return Some(
            Problem::error(Code::Unsupported, sentence)
                .help("Change the image in the repository that Flux follows."),
        );
    }
    if annotation("meta.helm.sh/release-name").is_some() {
        let sentence = format!(
            "The workload `{name}` belongs to a Helm release: the next `helm upgrade` sets the image of its values."
        );
        return Some(
            Problem::warning(Code::EnvChangeTemporary, sentence).help("Set the image in the values, too."),
        );
    }
    annotation("kubectl.kubernetes.io/last-applied-configuration").map(|_| {
        let sentence = format!("The workload `{name}` was made with `kubectl apply`: the next one sets the image of its manifest.");
        Problem::notice(Code::EnvChangeTemporary, sentence).help("Leave the image out of what is applied, or keep it in step.")
    })
}

fn history_warning(name: &WorkloadName, workload: &WorkloadObject) -> Option<Problem> {
    (workload.spec.revision_history_limit == Some(0)).then(|| {
        let sentence = format!("The workload `{name}` keeps no earlier templates, so that a later rollback has nothing to return to.");
        Problem::warning(Code::RollbackTargetMissing, sentence)
            .help("Set `revisionHistoryLimit` to 2 or more. A rollback of this very run needs none.")
    })
}

/// A right that is missing.
pub fn missing_right(needed: &NeededRight<'_>, namespace: &str) -> Problem {
    let AccessRight { verb, resource, subresource, name, .. } = needed.right;
    let whole =
        if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let named = if name.is_empty() { String::new() } else { format!(" `{name}`") };
    let sentence = format!("The token may not {verb} {whole}{named} in the namespace `{namespace}`");
    let help = "Bind a Role with this right; `roadstead policy --rbac` prints the whole Role.";
    match needed.optional {
        None => {
            Problem::error(Code::PermissionMissing, format!("{sentence}. Nothing was changed.")).help(help)
        }
        Some(what) => Problem::notice(Code::PermissionMissing, format!("{sentence}, so {what}.")).help(help),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(workload: &str, object: Value) -> Vec<(Code, bool, String)> {
        let name = WorkloadName::try_from(workload.to_owned()).unwrap();
        let object: WorkloadObject = serde_json::from_value(object).unwrap();
        let found = workload_problems(&name, &object);
        found.into_iter().map(|problem| (problem.code, problem.is_error(), problem.sentence)).collect()
    }

    #[test]
    fn states_and_owners_that_stop_a_release() {
        let replicas = |more: Value| {
            let mut spec = json!({ "replicas": 2 });
            spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            json!({ "spec": spec })
        };
        let metadata = |more: Value| json!({ "spec": { "replicas": 2 }, "metadata": more });
        let table = [
            ("deployment/a", replicas(json!({ "paused": true })), Code::Unsupported, true),
            ("deployment/a", replicas(json!({ "replicas": 0 })), Code::NothingRuns, true),
            (
                "deployment/a",
                replicas(json!({ "strategy": { "type": "Recreate" } })),
                // `NothingRuns` would say of the release that nothing was proven.
                Code::NotHealthy,
                false,
            ),
            (
                "deployment/a",
                replicas(json!({ "revisionHistoryLimit": 0 })),
                Code::RollbackTargetMissing,
                false,
            ),
            (
                "statefulset/a",
                replicas(json!({ "updateStrategy": { "type": "OnDelete" } })),
                Code::Unsupported,
                true,
            ),
            (
                "statefulset/a",
                replicas(
                    json!({ "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } } }),
                ),
                Code::Unsupported,
                true,
            ),
            (
                "deployment/a",
                metadata(json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" })),
                Code::ServiceMissing,
                true,
            ),
            (
                "deployment/a",
                metadata(
                    json!({ "ownerReferences": [{ "kind": "Canary", "name": "a", "controller": true }] }),
                ),
                Code::Unsupported,
                true,
            ),
            (
                "deployment/a",
                metadata(json!({ "annotations": { "argocd.argoproj.io/tracking-id": "x" } })),
                Code::Unsupported,
                true,
            ),
            (
                "deployment/a",
                metadata(json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "x" } })),
                Code::Unsupported,
                true,
            ),
            (
                "deployment/a",
                metadata(json!({ "annotations": { "meta.helm.sh/release-name": "x" } })),
                Code::EnvChangeTemporary,
                false,
            ),
        ];
        for (workload, object, code, is_error) in table {
            let found = problems(workload, object.clone());
            let short: Vec<_> = found.iter().map(|(code, is_error, _)| (*code, *is_error)).collect();
            assert_eq!(short, [(code, is_error)], "{object}: {found:?}");
        }
        assert_eq!(problems("deployment/a", replicas(json!({}))), []);
    }
}
