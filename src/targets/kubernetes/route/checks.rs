//! What would go wrong with the route of a workload, from what was read of it. Pure.

use super::backends::{RouteBackends, RouteNames};
use super::canary::is_ours;
use super::mutations::foreign_canary;
use super::state::RouteState;
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};

/// All problems of a route that are known before the first change.
pub fn route_problems(names: &RouteNames, state: &RouteState) -> Vec<Problem> {
    let mut found = Vec::new();
    found.extend(backend_problem(names, state));
    found.extend(selector_problem(names, state));
    found.extend(acceptance_problem(names, state));
    found.extend(foreign_problem(names, state));
    found
}

/// A Deployment of somebody else that has the name of the canary.
fn foreign_problem(names: &RouteNames, state: &RouteState) -> Option<Problem> {
    let canary = state.canary.as_ref()?;
    let is_ours = is_ours(&canary.metadata, &state.workload.metadata.name);
    (!is_ours).then(|| foreign_canary("Deployment", &names.canary))
}

fn backend_problem(names: &RouteNames, state: &RouteState) -> Option<Problem> {
    let RouteNames { route, stable, .. } = names;
    let backends = RouteBackends::read(&state.route.spec.rules, names);
    if !backends.names.contains(stable) {
        let list = name_list(backends.names.iter().map(String::as_str));
        let sentence = format!("No rule of the HTTPRoute `{route}` names the Service `{stable}`.");
        let help = format!("Set `traffic.service` to the Service of the workload. The route names {list}.");
        return Some(Problem::error(Code::Unsupported, sentence).help(help));
    }
    let beside = backends.beside?;
    let sentence = format!(
        "A rule of the HTTPRoute `{route}` splits traffic between the Service `{stable}` and `{beside}` already."
    );
    Some(
        Problem::error(Code::Unsupported, sentence)
            .help("Leave one backend in each rule that names the Service."),
    )
}

/// The Service must select the pods of the workload, or its endpoints say nothing of it.
fn selector_problem(names: &RouteNames, state: &RouteState) -> Option<Problem> {
    let labels = &state.workload.spec.template["metadata"]["labels"];
    let selector = &state.service.spec.selector;
    let selects = !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == value.as_str());
    (!selects).then(|| {
        let sentence = format!("The Service `{}` does not select the pods of the workload.", names.stable);
        Problem::error(Code::Unsupported, sentence)
            .help("Set `traffic.service` to the Service of the workload.")
    })
}

fn acceptance_problem(names: &RouteNames, state: &RouteState) -> Option<Problem> {
    (!state.route.is_accepted()).then(|| {
        let sentence =
            format!("No gateway accepted the HTTPRoute `{}`, so its weights have no effect.", names.route);
        Problem::error(Code::Unsupported, sentence).help("Look at `status.parents` of the route.")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(rules: Value, selector: Value, canary: Option<Value>, accepted: &str) -> Vec<String> {
        let names = RouteNames { route: "api".into(), stable: "api".into(), canary: "api-canary".into() };
        let state = RouteState {
            workload: serde_json::from_value(json!({
                "metadata": { "name": "api" },
                "spec": { "template": { "metadata": { "labels": { "app": "api", "x": "y" } } } },
            }))
            .unwrap(),
            service: serde_json::from_value(json!({ "spec": { "selector": selector } })).unwrap(),
            route: serde_json::from_value(json!({ "spec": { "rules": rules }, "status": { "parents": [
                { "conditions": [{ "type": "Accepted", "status": accepted }] },
            ] } }))
            .unwrap(),
            canary: canary.map(|value| serde_json::from_value(value).unwrap()),
        };
        route_problems(&names, &state).into_iter().map(|problem| problem.sentence).collect()
    }

    #[test]
    fn route_that_cannot_be_split_is_refused() {
        let own = || json!([{ "backendRefs": [{ "name": "api" }] }]);
        let app = || json!({ "app": "api" });
        let two = json!([{ "backendRefs": [{ "name": "api" }, { "name": "old" }] }]);
        let foreign = Some(json!({ "metadata": { "labels": { "app": "x" } } }));
        let ours = Some(json!({ "metadata": { "labels": { "roadstead.dev/canary-of": "api" } } }));
        let table = [
            (problems(own(), app(), None, "True"), None),
            (problems(own(), app(), ours, "True"), None),
            (
                problems(json!([{ "backendRefs": [{ "name": "web" }] }]), app(), None, "True"),
                Some("No rule of the HTTPRoute `api` names"),
            ),
            (problems(two, app(), None, "True"), Some("between the Service `api` and `old`")),
            (problems(own(), json!({ "app": "web" }), None, "True"), Some("does not select the pods")),
            (problems(own(), json!({}), None, "True"), Some("does not select the pods")),
            (problems(own(), app(), foreign, "True"), Some("which Roadstead did not make")),
            (problems(own(), app(), None, "False"), Some("No gateway accepted")),
        ];
        for (found, expected) in table {
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            assert!(expected.is_none_or(|part| found[0].contains(part)), "{found:?}");
        }
    }
}
