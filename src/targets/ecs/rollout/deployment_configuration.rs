//! The deployment configuration of a service: its changes for a traffic plan, and its original values. Pure values of
//! JSON.
//!
//! The original values are saved in our own pause hook (`hookDetails.roadstead`): the service itself is the only
//! record, so that any later run can restore them.

use serde_json::{Map, Value, json};

use super::super::read::{list_field, str_field};
use crate::release::{Resume, TrafficPlan};

/// The stage of our hook: before every shift of production traffic (aws.md §1.4).
pub const PAUSE_STAGE: &str = "PRE_PRODUCTION_TRAFFIC_SHIFT";
/// The member of `hookDetails` that marks our hook.
const HOOK_MARK: &str = "roadstead";
/// ECS's longest bake time, in minutes.
const MAX_BAKE_MINUTES: u64 = 1440;
/// The longest timeout of a hook, in minutes.
const MAX_HOOK_MINUTES: u64 = 20_160;

/// Members that are specific to a strategy.
const STRATEGY_MEMBERS: [(&str, &str); 2] =
    [("CANARY", "canaryConfiguration"), ("LINEAR", "linearConfiguration")];

/// Whether a lifecycle hook is ours.
pub fn is_our_hook(hook: &Value) -> bool {
    hook["targetType"] == "PAUSE" && hook["hookDetails"][HOOK_MARK].is_object()
}

/// The task definition that our hook was added for; empty if it is not recorded.
pub fn hook_definition(hook: &Value) -> String {
    str_field(&hook["hookDetails"][HOOK_MARK], "for")
}

/// Our hook in a deployment configuration.
pub fn our_hook(configuration: &Value) -> Option<&Value> {
    list_field(configuration, "lifecycleHooks").iter().find(|hook| is_our_hook(hook))
}

/// The foreign hooks in a deployment configuration.
pub fn foreign_hooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    list_field(configuration, "lifecycleHooks").iter().filter(|hook| !is_our_hook(hook))
}

/// Foreign pause hooks at our stage: ECS does not report which hook is paused.
pub fn same_stage(configuration: &Value) -> bool {
    let pauses = |hook: &&Value| hook["targetType"] == "PAUSE";
    let here = |hook: &Value| list_field(hook, "lifecycleStages").iter().any(|stage| stage == PAUSE_STAGE);
    foreign_hooks(configuration).filter(pauses).any(here)
}

/// ECS's strategy for a traffic plan; `None` for one that it does not support.
fn strategy_for_plan(plan: &TrafficPlan) -> Option<Map<String, Value>> {
    let (name, steps) = match plan.weights[..] {
        [0, 100] => ("BLUE_GREEN", None),
        [0, weight, 100] => {
            let steps = json!({"canaryPercent": f64::from(weight), "canaryBakeTimeInMinutes": 0});
            ("CANARY", Some(("canaryConfiguration", steps)))
        }
        [0, step, ..] if has_even_steps(&plan.weights, step) => {
            let steps = json!({"stepPercent": f64::from(step), "stepBakeTimeInMinutes": 0});
            ("LINEAR", Some(("linearConfiguration", steps)))
        }
        _ => return None,
    };
    let mut all = Map::from_iter([("strategy".to_owned(), json!(name))]);
    all.extend(steps.map(|(member, steps)| (member.to_owned(), steps)));
    Some(all)
}

/// Whether the weights go from 0 to 100 in steps of the same size, except for a smaller last one.
fn has_even_steps(weights: &[u8], step: u8) -> bool {
    let expected = (0u16..).map(|n| (n * u16::from(step)).min(100));
    weights.last() == Some(&100)
        && weights.iter().zip(expected).all(|(weight, wanted)| u16::from(*weight) == wanted)
}

/// The deployment configuration that UpdateService sets for a traffic plan to the task definition `wanted`, over the
/// current configuration `now`; `None` for a plan that ECS does not support.
pub fn start_configuration(now: &Value, plan: &TrafficPlan, wanted: &str) -> Option<Value> {
    let mut all = strategy_for_plan(plan)?;
    let bake = plan.bake.ceil_minutes().min(MAX_BAKE_MINUTES);
    all.insert("bakeTimeInMinutes".into(), bake.into());
    let was = our_hook(now)
        .map_or_else(|| original_settings(now), |hook| hook["hookDetails"][HOOK_MARK]["was"].clone());
    let ours = json!({
        "targetType": "PAUSE",
        "lifecycleStages": [PAUSE_STAGE],
        "timeoutConfiguration": {
            "timeoutInMinutes": plan.hook_timeout.ceil_minutes().clamp(1, MAX_HOOK_MINUTES),
            "action": "ROLLBACK",
        },
        "hookDetails": {HOOK_MARK: {
            "for": wanted,
            "was": was,
            "set": {"strategy": all["strategy"], "bakeTimeInMinutes": bake},
        }},
    });
    let hooks: Vec<Value> = foreign_hooks(now).cloned().chain([ours]).collect();
    all.insert("lifecycleHooks".into(), hooks.into());
    Some(all.into())
}

/// How a deployment that started with the configuration `now` relates to `plan`: its weights and timeouts were fixed at
/// its start.
pub fn resume(now: &Value, plan: &TrafficPlan) -> Resume {
    let Some(hook) = our_hook(now) else {
        return if plan.is_in_place() { Resume::Continue } else { Resume::WatchOnly };
    };
    let waits = |hook: &Value| hook["timeoutConfiguration"]["timeoutInMinutes"].as_f64().unwrap_or_default();
    let along = start_configuration(now, plan, "").is_some_and(|requested| {
        let long_enough = our_hook(&requested).is_some_and(|other| waits(hook) >= waits(other));
        long_enough && is_same_strategy(now, &requested)
    });
    if along { Resume::Continue } else { Resume::Restart(describe_strategy(now)) }
}

/// Whether two configurations have the same strategy with the same steps and the same final bake time.
fn is_same_strategy(now: &Value, requested: &Value) -> bool {
    let members = ["/strategy", "/bakeTimeInMinutes"];
    let steps = ["/canaryConfiguration/canaryPercent", "/linearConfiguration/stepPercent"];
    let asked = steps.into_iter().filter(|at| requested.pointer(at).is_some());
    members.into_iter().chain(asked).all(|at| equals_as_number(now.pointer(at), requested.pointer(at)))
}

/// Equal, whole numbers and fractions alike.
fn equals_as_number(a: Option<&Value>, b: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    a == b || (number(a).is_some() && number(a) == number(b))
}

/// The strategy of a configuration, for display.
fn describe_strategy(now: &Value) -> String {
    let percent = |at: &str| now.pointer(at).and_then(Value::as_f64).unwrap_or_default();
    let bake = whole_minutes(&now["bakeTimeInMinutes"]);
    let how = match now["strategy"].as_str() {
        Some("CANARY") => format!("canary {} %", percent("/canaryConfiguration/canaryPercent")),
        Some("LINEAR") => format!("linear {} %", percent("/linearConfiguration/stepPercent")),
        Some("BLUE_GREEN") => "blue-green".to_owned(),
        other => other.unwrap_or("another strategy").to_owned(),
    };
    format!("{how} with a final bake of {bake}m")
}

/// The original values of the members that a traffic plan changes.
fn original_settings(now: &Value) -> Value {
    let members = ["strategy", "bakeTimeInMinutes", "canaryConfiguration", "linearConfiguration"];
    let there = members.into_iter().filter(|member| !now[*member].is_null());
    there.map(|member| (member.to_owned(), now[member].clone())).collect::<Map<_, _>>().into()
}

/// The deployment configuration that restores the original values; `None` if nothing of ours is left. Later changes of
/// the user are kept: their hooks, and a strategy or bake time that is not the one we set.
pub fn restored(now: &Value) -> Option<Value> {
    let details = &our_hook(now)?["hookDetails"][HOOK_MARK];
    let (was, set) = (&details["was"], &details["set"]);
    let mut all = Map::new();
    if was.is_object() && (set["strategy"].is_null() || now["strategy"] == set["strategy"]) {
        let strategy = was["strategy"].as_str().unwrap_or("ROLLING");
        all.insert("strategy".into(), strategy.into());
        let untouched = set["bakeTimeInMinutes"].is_null()
            || now["bakeTimeInMinutes"].as_f64() == set["bakeTimeInMinutes"].as_f64();
        if untouched {
            all.insert("bakeTimeInMinutes".into(), whole_minutes(&was["bakeTimeInMinutes"]));
        }
        let own = STRATEGY_MEMBERS
            .into_iter()
            .filter(|(name, member)| *name == strategy && was[*member].is_object());
        all.extend(own.map(|(_, member)| (member.to_owned(), normalize_steps(&was[member]))));
    }
    all.insert("lifecycleHooks".into(), foreign_hooks(now).cloned().collect());
    Some(all.into())
}

/// The steps of a strategy, the minutes as whole numbers: AWS returns them with fractions.
fn normalize_steps(was: &Value) -> Value {
    let minutes = |name: &str| name.ends_with("InMinutes");
    let member = |(name, value): (&String, &Value)| {
        (name.clone(), if minutes(name) { whole_minutes(value) } else { value.clone() })
    };
    was.as_object().into_iter().flatten().map(member).collect::<Map<_, _>>().into()
}

/// Minutes as a whole number; 0 if missing.
fn whole_minutes(minutes: &Value) -> Value {
    let known = minutes.as_u64().or_else(|| minutes.as_f64().map(|minutes| minutes.round() as u64));
    known.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::HumanDuration;

    fn plan(shares: &[u8]) -> TrafficPlan {
        TrafficPlan {
            weights: shares.to_vec(),
            bake: HumanDuration::from_minutes(5),
            hook_timeout: HumanDuration::from_minutes(30),
        }
    }

    fn lambda() -> Value {
        json!({"targetType":"AWS_LAMBDA","hookTargetArn":"arn:f","roleArn":"arn:r","lifecycleStages":["POST_SCALE_UP"]})
    }

    /// What UpdateService makes of a configuration (omitted members are kept).
    fn merged(now: &Value, given: &Value) -> Value {
        let mut all = now.as_object().cloned().unwrap_or_default();
        all.extend(given.as_object().cloned().unwrap());
        all.into()
    }

    #[test]
    fn traffic_plans_map_to_strategies() {
        let word = |shares: &[u8]| {
            let set = start_configuration(&json!({}), &plan(shares), "td");
            set.map(|set| {
                let steps = [
                    &set["canaryConfiguration"]["canaryPercent"],
                    &set["linearConfiguration"]["stepPercent"],
                ];
                let step = steps.into_iter().find(|step| step.is_number()).cloned().unwrap_or_default();
                format!("{} {step}", set["strategy"].as_str().unwrap())
            })
        };
        assert_eq!(word(&[0, 100]).unwrap(), "BLUE_GREEN null");
        assert_eq!(word(&[0, 10, 100]).unwrap(), "CANARY 10.0");
        assert_eq!(word(&[0, 40, 80, 100]).unwrap(), "LINEAR 40.0");
        assert_eq!(word(&[0, 25, 50, 75, 100]).unwrap(), "LINEAR 25.0");
        for other in [&[100][..], &[0, 10, 50, 100], &[10, 100], &[0, 5, 10], &[]] {
            assert_eq!(word(other), None, "{other:?}");
        }
    }

    #[test]
    fn our_hook_pauses_before_each_shift_and_rolls_back_on_timeout() {
        let now = json!({"strategy":"ROLLING","maximumPercent":150,"lifecycleHooks":[lambda()]});
        let set = start_configuration(&now, &plan(&[0, 10, 100]), "td:2").unwrap();
        assert_eq!((set["bakeTimeInMinutes"].as_u64(), set.get("maximumPercent")), (Some(5), None));
        let hooks = set["lifecycleHooks"].as_array().unwrap();
        assert_eq!((&hooks[0], hooks.len()), (&lambda(), 2));
        assert!(is_our_hook(&hooks[1]) && !is_our_hook(&hooks[0]));
        assert_eq!(hooks[1]["timeoutConfiguration"], json!({"timeoutInMinutes": 30, "action": "ROLLBACK"}));
        assert_eq!(hook_definition(&hooks[1]), "td:2");
        assert_eq!(hooks[1]["hookDetails"]["roadstead"]["was"], json!({"strategy": "ROLLING"}));
    }

    #[test]
    fn only_rollout_with_same_strategy_is_continued() {
        let canary = |patience| TrafficPlan {
            hook_timeout: HumanDuration::from_minutes(patience),
            ..plan(&[0, 10, 100])
        };
        let now = merged(
            &json!({"strategy":"ROLLING"}),
            &start_configuration(&json!({}), &canary(30), "td").unwrap(),
        );
        assert_eq!(resume(&now, &canary(30)), Resume::Continue);
        assert_eq!(resume(&now, &canary(20)), Resume::Continue);
        let longer = TrafficPlan { bake: HumanDuration::from_minutes(6), ..canary(30) };
        let others = [
            canary(31),
            longer,
            plan(&[0, 20, 100]),
            plan(&[0, 100]),
            plan(&[0, 10, 20, 100]),
            TrafficPlan::in_place(),
        ];
        for other in others {
            let how = Resume::Restart("canary 10 % with a final bake of 5m".into());
            assert_eq!(resume(&now, &other), how, "{other:?}");
        }
        let plain = json!({"strategy":"ROLLING"});
        assert_eq!(
            (resume(&plain, &TrafficPlan::in_place()), resume(&plain, &canary(30))),
            (Resume::Continue, Resume::WatchOnly)
        );
    }

    #[test]
    fn original_settings_are_restored() {
        for before in [
            json!({"maximumPercent":200}),
            json!({"strategy":"ROLLING","bakeTimeInMinutes":0}),
            json!({"strategy":"CANARY","bakeTimeInMinutes":7,"canaryConfiguration":{"canaryPercent":2.5,"canaryBakeTimeInMinutes":3},"lifecycleHooks":[lambda()]}),
            json!({"strategy":"LINEAR","bakeTimeInMinutes":1,"linearConfiguration":{"stepPercent":5.0,"stepBakeTimeInMinutes":2}}),
        ] {
            let during = merged(&before, &start_configuration(&before, &plan(&[0, 100]), "td:2").unwrap());
            // A run that was lost, and the next one with another strategy: the same values are restored.
            let next = merged(&during, &start_configuration(&during, &plan(&[0, 10, 100]), "td:3").unwrap());
            for now in [&during, &next] {
                let back = restored(now).unwrap();
                let after = merged(now, &back);
                assert_eq!(after["strategy"], *before["strategy"].as_str().unwrap_or("ROLLING"));
                assert_eq!(
                    after["bakeTimeInMinutes"].as_u64().unwrap(),
                    before["bakeTimeInMinutes"].as_u64().unwrap_or(0)
                );
                assert_eq!(list_field(&after, "lifecycleHooks"), list_field(&before, "lifecycleHooks"));
                for (strategy, member) in STRATEGY_MEMBERS {
                    let own = before["strategy"] == strategy;
                    assert_eq!(back.get(member), before.get(member).filter(|_| own), "{back}");
                }
                assert_eq!(restored(&after), None);
            }
        }
    }

    #[test]
    fn fractions_in_a_returned_document_are_read() {
        let was = json!({"strategy":"CANARY","bakeTimeInMinutes":7.0,"canaryConfiguration":{"canaryPercent":2.5,"canaryBakeTimeInMinutes":3.0}});
        let hook = json!({"targetType":"PAUSE","hookDetails":{"roadstead":{"was":was,"set":{"strategy":"BLUE_GREEN","bakeTimeInMinutes":5.0}}}});
        let now = json!({"strategy":"BLUE_GREEN","bakeTimeInMinutes":5,"lifecycleHooks":[hook]});
        let back = restored(&now).unwrap();
        assert_eq!(back["bakeTimeInMinutes"], json!(7));
        assert_eq!(back["canaryConfiguration"], json!({"canaryPercent":2.5,"canaryBakeTimeInMinutes":3}));
    }

    #[test]
    fn settings_changed_by_user_are_kept() {
        let during =
            start_configuration(&json!({"strategy":"ROLLING"}), &plan(&[0, 10, 100]), "td:2").unwrap();
        let mut theirs = during.clone();
        theirs["lifecycleHooks"].as_array_mut().unwrap().push(lambda());
        assert_eq!(restored(&theirs).unwrap()["lifecycleHooks"], json!([lambda()]));
        let other = merged(&during, &json!({"strategy":"LINEAR"}));
        assert_eq!(restored(&other).unwrap(), json!({"lifecycleHooks":[]}));
        let longer = merged(&during, &json!({"bakeTimeInMinutes":60}));
        assert_eq!(restored(&longer).unwrap(), json!({"strategy":"ROLLING","lifecycleHooks":[]}));
    }

    #[test]
    fn foreign_pause_hook_at_same_stage_is_detected() {
        let pause =
            |stage: &str| json!({"lifecycleHooks":[{"targetType":"PAUSE","lifecycleStages":[stage]}]});
        assert!(
            same_stage(&pause(PAUSE_STAGE))
                && !same_stage(&pause("POST_SCALE_UP"))
                && !same_stage(&json!({}))
        );
        let ours = start_configuration(&json!({}), &plan(&[0, 100]), "td").unwrap();
        assert!(!same_stage(&ours));
    }
}
