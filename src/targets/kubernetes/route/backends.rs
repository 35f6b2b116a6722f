//! The backends of an HTTPRoute: how traffic is split between a Service and the one of its canary, and the rules with another
//! split. Pure; every other field of the route stays as it is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::read::{Condition, Metadata};

/// An HTTPRoute.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RouteObject {
    /// Names, generation.
    pub metadata: Metadata,
    /// Its rules.
    pub spec: RouteSpec,
    /// What its gateways say of it.
    pub status: RouteStatus,
}

/// What an HTTPRoute does.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RouteSpec {
    /// The rules, word for word.
    pub rules: Value,
}

/// The state of an HTTPRoute.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RouteStatus {
    /// One entry for each gateway.
    pub parents: Vec<ParentStatus>,
}

/// What a gateway says of a route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ParentStatus {
    /// `Accepted` and `ResolvedRefs`.
    pub conditions: Vec<Condition>,
}

impl RouteObject {
    /// Whether a gateway accepted the route.
    pub fn is_accepted(&self) -> bool {
        let accepted = |one: &Condition| one.kind == "Accepted" && one.status == "True";
        self.status.parents.iter().any(|parent| parent.conditions.iter().any(accepted))
    }

    /// Whether each gateway that accepted it has seen its newest rules, with every backend.
    pub fn is_effective(&self) -> bool {
        let is_current = |one: &Condition| one.observed_generation >= Some(self.metadata.generation);
        let has = |parent: &ParentStatus, kind: &str| {
            parent.conditions.iter().any(|one| one.kind == kind && one.status == "True" && is_current(one))
        };
        let accepted: Vec<&ParentStatus> = self
            .status
            .parents
            .iter()
            .filter(|parent| {
                parent.conditions.iter().any(|one| one.kind == "Accepted" && one.status == "True")
            })
            .collect();
        !accepted.is_empty()
            && accepted.iter().all(|parent| has(parent, "Accepted") && has(parent, "ResolvedRefs"))
    }
}

/// The Services that the traffic of a route is split between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteNames {
    /// The route.
    pub route: String,
    /// The Service of the workload.
    pub stable: String,
    /// The canary: a Deployment and a Service of this name.
    pub canary: String,
}

/// How traffic is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteSplit {
    /// All of it goes to the Service of the workload, and the rules do not name the canary.
    Whole,
    /// The canary gets this percentage.
    Canary(u8),
    /// The rules differ from each other.
    Mixed,
}

fn backends(rule: &Value) -> &[Value] {
    rule["backendRefs"].as_array().map_or(&[][..], Vec::as_slice)
}

fn is_service(backend: &Value, name: &str) -> bool {
    backend["name"] == name && (backend["kind"].is_null() || backend["kind"] == "Service")
}

fn weight(backend: &Value) -> u64 {
    backend["weight"].as_u64().unwrap_or(1)
}

/// The rules that name the Service of the workload.
fn own_rules<'v>(rules: &'v Value, names: &RouteNames) -> Vec<&'v [Value]> {
    let all = rules.as_array().map_or(&[][..], Vec::as_slice).iter().map(backends);
    all.filter(|backends| backends.iter().any(|one| is_service(one, &names.stable))).collect()
}

/// How the rules split the traffic now.
pub fn read_split(rules: &Value, names: &RouteNames) -> RouteSplit {
    let of_rule = |backends: &[Value]| {
        let sum =
            |name: &str| -> u64 { backends.iter().filter(|one| is_service(one, name)).map(weight).sum() };
        let has_canary = backends.iter().any(|one| is_service(one, &names.canary));
        let (stable, canary) = (sum(&names.stable), sum(&names.canary));
        let percent = (canary * 100 + (stable + canary) / 2).checked_div(stable + canary).unwrap_or_default();
        if has_canary { RouteSplit::Canary(percent as u8) } else { RouteSplit::Whole }
    };
    let splits: Vec<RouteSplit> = own_rules(rules, names).into_iter().map(of_rule).collect();
    match splits.as_slice() {
        [] => RouteSplit::Whole,
        [first, others @ ..] if others.iter().all(|other| other == first) => *first,
        _ => RouteSplit::Mixed,
    }
}

/// The weights of the Service of the workload, one for each rule that names it; `None` where a rule has none written.
pub fn stable_weights(rules: &Value, names: &RouteNames) -> Vec<Option<u64>> {
    let of_rule = |backends: &[Value]| {
        backends.iter().find(|one| is_service(one, &names.stable)).and_then(|one| one["weight"].as_u64())
    };
    own_rules(rules, names).into_iter().map(of_rule).collect()
}

/// The rules in which the canary gets `percent` of what the Service of the workload got.
pub fn split_rules(rules: &Value, names: &RouteNames, percent: u8) -> Value {
    change_rules(rules, names, |_, backends| {
        let stable = backends.iter().find(|one| is_service(one, &names.stable)).cloned().unwrap_or_default();
        let set = |backend: Value, name: &str, weight: u8| {
            with_member(with_member(backend, "name", json!(name)), "weight", json!(weight))
        };
        let mut changed: Vec<Value> =
            backends.iter().filter(|one| !is_service(one, &names.canary)).cloned().collect();
        let place = changed.iter().position(|one| is_service(one, &names.stable)).unwrap_or_default();
        changed[place] = set(stable.clone(), &names.stable, 100 - percent);
        changed.insert(place + 1, set(stable, &names.canary, percent));
        changed
    })
}

/// The rules without the canary. `weights` are those that the Service of the workload had.
pub fn whole_rules(rules: &Value, names: &RouteNames, weights: &[Option<u64>]) -> Value {
    change_rules(rules, names, |place, backends| {
        let had_canary = backends.iter().any(|one| is_service(one, &names.canary));
        let kept = backends.iter().filter(|one| !is_service(one, &names.canary)).cloned();
        let before = weights.get(place).copied().unwrap_or(Some(1));
        kept.map(|mut one| {
            if had_canary && is_service(&one, &names.stable) {
                set_weight(&mut one, before);
            }
            one
        })
        .collect()
    })
}

fn set_weight(backend: &mut Value, weight: Option<u64>) {
    let Some(members) = backend.as_object_mut() else { return };
    match weight {
        Some(weight) => members.insert("weight".into(), json!(weight)),
        None => members.remove("weight"),
    };
}

/// The rules with other backends, of those that name the Service of the workload.
fn change_rules(rules: &Value, names: &RouteNames, change: impl Fn(usize, &[Value]) -> Vec<Value>) -> Value {
    let mut place = 0;
    let all = rules.as_array().map_or(&[][..], Vec::as_slice);
    let changed = all.iter().map(|rule| {
        let own = backends(rule);
        if !own.iter().any(|one| is_service(one, &names.stable)) {
            return rule.clone();
        }
        let changed = Value::Array(change(place, own));
        place += 1;
        with_member(rule.clone(), "backendRefs", changed)
    });
    Value::Array(changed.collect())
}

/// The same object with another member.
fn with_member(mut object: Value, name: &str, member: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
    object
}

/// The Services that the rules name, and whether one shares a rule with the Service of the workload.
pub struct RouteBackends {
    /// All names, each once.
    pub names: Vec<String>,
    /// One that shares a rule with it, other than the canary.
    pub beside: Option<String>,
}

impl RouteBackends {
    /// Those of the rules.
    pub fn read(rules: &Value, names: &RouteNames) -> Self {
        let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
        let all = rules.as_array().map_or(&[][..], Vec::as_slice).iter().flat_map(backends).map(name);
        let known: std::collections::BTreeSet<String> = all.collect();
        let is_other = |one: &&Value| !is_service(one, &names.stable) && !is_service(one, &names.canary);
        let beside = own_rules(rules, names).into_iter().flatten().find(is_other).map(name);
        Self { names: known.into_iter().collect(), beside }
    }
}

/// The compare-and-swap of the rules.
pub fn rules_patch(uid: &str, before: &Value, after: &Value) -> Value {
    json!([
        { "op": "test", "path": "/metadata/uid", "value": uid },
        { "op": "test", "path": "/spec/rules", "value": before },
        { "op": "replace", "path": "/spec/rules", "value": after },
    ])
}

#[cfg(test)]
mod tests {
    use super::super::super::read::read_object;
    use super::*;

    fn names() -> RouteNames {
        RouteNames { route: "api".into(), stable: "api".into(), canary: "api-canary".into() }
    }

    fn rules() -> Value {
        json!([
            { "matches": [{ "path": { "value": "/v1" } }], "filters": [{ "type": "URLRewrite" }],
              "backendRefs": [{ "group": "", "kind": "Service", "name": "api", "port": 80, "weight": 7 }] },
            { "backendRefs": [{ "name": "web", "port": 80 }] },
            { "backendRefs": [{ "name": "api", "port": 8080 }] },
        ])
    }

    #[test]
    fn split_changes_weights_and_nothing_else_and_is_taken_back_word_for_word() {
        let (rules, names) = (rules(), names());
        assert_eq!(read_split(&rules, &names), RouteSplit::Whole);
        let before = stable_weights(&rules, &names);
        assert_eq!(before, [Some(7), None]);
        let mut split = rules.clone();
        for percent in [0, 10, 50, 99] {
            split = split_rules(&split, &names, percent);
            assert_eq!(read_split(&split, &names), RouteSplit::Canary(percent));
            assert_eq!(whole_rules(&split, &names, &before), rules, "{percent}");
        }
        let first = split[0]["backendRefs"].clone();
        let expected = json!([
            { "group": "", "kind": "Service", "name": "api", "port": 80, "weight": 1 },
            { "group": "", "kind": "Service", "name": "api-canary", "port": 80, "weight": 99 },
        ]);
        assert_eq!((first, split[1].clone()), (expected, rules[1].clone()));
        assert_eq!(whole_rules(&rules, &names, &[]), rules, "a route without a canary stays as it is");
    }

    #[test]
    fn rules_that_differ_are_mixed_and_other_backends_are_found() {
        let (names, mut rules) = (names(), split_rules(&rules(), &names(), 10));
        rules[0]["backendRefs"][1]["weight"] = json!(50);
        assert_eq!(read_split(&rules, &names), RouteSplit::Mixed);
        let known = RouteBackends::read(&rules, &names);
        assert_eq!(
            (known.names, known.beside),
            (vec!["api".into(), "api-canary".into(), "web".into()], None)
        );
        rules[2]["backendRefs"][0]["name"] = json!("api");
        rules[2]["backendRefs"].as_array_mut().unwrap().push(json!({ "name": "old" }));
        assert_eq!(RouteBackends::read(&rules, &names).beside.as_deref(), Some("old"));
    }

    #[test]
    fn route_is_effective_once_each_gateway_has_seen_it() {
        let route = |conditions: Value| -> RouteObject {
            read_object(json!({ "metadata": { "generation": 3 }, "status": { "parents": conditions } }))
                .unwrap()
        };
        let parent = |accepted: &str, seen: u64, resolved: &str| {
            json!({ "conditions": [
                { "type": "Accepted", "status": accepted, "observedGeneration": seen },
                { "type": "ResolvedRefs", "status": resolved, "observedGeneration": seen },
            ] })
        };
        let table = [
            (json!([parent("True", 3, "True")]), true, true),
            (json!([parent("True", 2, "True")]), true, false),
            (json!([parent("True", 3, "False")]), true, false),
            (json!([parent("False", 3, "True")]), false, false),
            (json!([parent("True", 3, "True"), parent("True", 2, "True")]), true, false),
            (json!([parent("True", 3, "True"), parent("False", 1, "True")]), true, true),
            (json!(null), false, false),
        ];
        for (parents, accepted, effective) in table {
            let route = route(parents.clone());
            assert_eq!((route.is_accepted(), route.is_effective()), (accepted, effective), "{parents}");
        }
    }
}
