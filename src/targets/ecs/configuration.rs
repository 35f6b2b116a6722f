//! The deployment configuration of a service: what a course needs of it, and what it was before. Pure values of JSON.
//!
//! What is changed for a course is written down in our own pause hook (`hookDetails.roadstead`): the service itself
//! is the only record, so that any later run can put it back.

use serde_json::{Map, Value, json};

use super::read::{list, text};
use crate::release::{Course, Flight};

/// Where our hook waits: before every shift of production traffic (aws.md §1.4).
pub const STAGE: &str = "PRE_PRODUCTION_TRAFFIC_SHIFT";
/// The member of `hookDetails` that makes a hook ours.
const MARK: &str = "roadstead";
/// The longest bake that ECS takes, in minutes.
const LONGEST_BAKE: u64 = 1440;
/// The longest that a hook can wait, in minutes.
const LONGEST_WAIT: u64 = 20_160;

/// Members that a strategy has for itself.
const STEPS: [(&str, &str); 2] = [("CANARY", "canaryConfiguration"), ("LINEAR", "linearConfiguration")];

/// Whether a lifecycle hook was put there by us.
pub fn is_ours(hook: &Value) -> bool {
    hook["targetType"] == "PAUSE" && hook["hookDetails"][MARK].is_object()
}

/// The task definition for which a hook of ours was put there; empty when that is not said.
pub fn made_for(hook: &Value) -> String {
    text(&hook["hookDetails"][MARK], "for")
}

/// The hook of ours in a deployment configuration.
pub fn our_hook(configuration: &Value) -> Option<&Value> {
    list(configuration, "lifecycleHooks").iter().find(|hook| is_ours(hook))
}

/// The hooks in a deployment configuration that are not ours.
pub fn their_hooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    list(configuration, "lifecycleHooks").iter().filter(|hook| !is_ours(hook))
}

/// Pause hooks of somebody else that fire where ours does: ECS does not say whose hook it is that waits.
pub fn same_place(configuration: &Value) -> bool {
    let pauses = |hook: &&Value| hook["targetType"] == "PAUSE";
    let here = |hook: &Value| list(hook, "lifecycleStages").iter().any(|stage| stage == STAGE);
    their_hooks(configuration).filter(pauses).any(here)
}

/// How ECS calls a course; `None` for one that it cannot do.
fn strategy(course: &Course) -> Option<Map<String, Value>> {
    let (name, steps) = match course.shares[..] {
        [0, 100] => ("BLUE_GREEN", None),
        [0, share, 100] => {
            let steps = json!({"canaryPercent": f64::from(share), "canaryBakeTimeInMinutes": 0});
            ("CANARY", Some(("canaryConfiguration", steps)))
        }
        [0, step, ..] if even(&course.shares, step) => {
            let steps = json!({"stepPercent": f64::from(step), "stepBakeTimeInMinutes": 0});
            ("LINEAR", Some(("linearConfiguration", steps)))
        }
        _ => return None,
    };
    let mut all = Map::from_iter([("strategy".to_owned(), json!(name))]);
    all.extend(steps.map(|(member, steps)| (member.to_owned(), steps)));
    Some(all)
}

/// Whether the shares go from 0 to 100 in steps of the same size, but for a smaller last one.
fn even(shares: &[u8], step: u8) -> bool {
    let expected = (0u16..).map(|n| (n * u16::from(step)).min(100));
    shares.last() == Some(&100)
        && shares.iter().zip(expected).all(|(share, wanted)| u16::from(*share) == wanted)
}

/// What UpdateService sets for a course to the task definition `wanted`, over the service's configuration `now`;
/// `None` for a course that ECS cannot do.
pub fn start(now: &Value, course: &Course, wanted: &str) -> Option<Value> {
    let mut all = strategy(course)?;
    let bake = course.bake.whole_minutes().min(LONGEST_BAKE);
    all.insert("bakeTimeInMinutes".into(), bake.into());
    let was = our_hook(now).map_or_else(|| original(now), |hook| hook["hookDetails"][MARK]["was"].clone());
    let ours = json!({
        "targetType": "PAUSE",
        "lifecycleStages": [STAGE],
        "timeoutConfiguration": {
            "timeoutInMinutes": course.patience.whole_minutes().clamp(1, LONGEST_WAIT),
            "action": "ROLLBACK",
        },
        "hookDetails": {MARK: {
            "for": wanted,
            "was": was,
            "set": {"strategy": all["strategy"], "bakeTimeInMinutes": bake},
        }},
    });
    let hooks: Vec<Value> = their_hooks(now).cloned().chain([ours]).collect();
    all.insert("lifecycleHooks".into(), hooks.into());
    Some(all.into())
}

/// How a deployment that began with the configuration `now` relates to `course`: which shares it goes through, and how
/// long it waits, was decided at its start.
pub fn flight(now: &Value, course: &Course) -> Flight {
    let Some(hook) = our_hook(now) else {
        return if course.is_whole() { Flight::Along } else { Flight::ByItself };
    };
    let waits = |hook: &Value| hook["timeoutConfiguration"]["timeoutInMinutes"].as_f64().unwrap_or_default();
    let along = start(now, course, "").is_some_and(|wished| {
        let long_enough = our_hook(&wished).is_some_and(|other| waits(hook) >= waits(other));
        long_enough && same_way(now, &wished)
    });
    if along { Flight::Along } else { Flight::Elsewhere(called(now)) }
}

/// Whether two configurations have the same strategy with the same steps and the same last bake.
fn same_way(now: &Value, wished: &Value) -> bool {
    let members = ["/strategy", "/bakeTimeInMinutes"];
    let steps = ["/canaryConfiguration/canaryPercent", "/linearConfiguration/stepPercent"];
    let asked = steps.into_iter().filter(|at| wished.pointer(at).is_some());
    members.into_iter().chain(asked).all(|at| alike(now.pointer(at), wished.pointer(at)))
}

/// Equal, whole numbers and fractions alike.
fn alike(a: Option<&Value>, b: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    a == b || (number(a).is_some() && number(a) == number(b))
}

/// The strategy of a configuration, for people.
fn called(now: &Value) -> String {
    let percent = |at: &str| now.pointer(at).and_then(Value::as_f64).unwrap_or_default();
    let bake = whole(&now["bakeTimeInMinutes"]);
    let how = match now["strategy"].as_str() {
        Some("CANARY") => format!("canary {} %", percent("/canaryConfiguration/canaryPercent")),
        Some("LINEAR") => format!("linear {} %", percent("/linearConfiguration/stepPercent")),
        Some("BLUE_GREEN") => "blue-green".to_owned(),
        other => other.unwrap_or("another strategy").to_owned(),
    };
    format!("{how} with a last bake of {bake}m")
}

/// What a course changes, as it is before.
fn original(now: &Value) -> Value {
    let members = ["strategy", "bakeTimeInMinutes", "canaryConfiguration", "linearConfiguration"];
    let there = members.into_iter().filter(|member| !now[*member].is_null());
    there.map(|member| (member.to_owned(), now[member].clone())).collect::<Map<_, _>>().into()
}

/// What UpdateService sets to put back what a course changed; `None` where nothing of ours is left. What the user
/// changed meanwhile stays: their hooks, and a strategy or bake time that is not the one we set.
pub fn put_back(now: &Value) -> Option<Value> {
    let details = &our_hook(now)?["hookDetails"][MARK];
    let (was, set) = (&details["was"], &details["set"]);
    let mut all = Map::new();
    if was.is_object() && (set["strategy"].is_null() || now["strategy"] == set["strategy"]) {
        let strategy = was["strategy"].as_str().unwrap_or("ROLLING");
        all.insert("strategy".into(), strategy.into());
        let untouched = set["bakeTimeInMinutes"].is_null()
            || now["bakeTimeInMinutes"].as_f64() == set["bakeTimeInMinutes"].as_f64();
        if untouched {
            all.insert("bakeTimeInMinutes".into(), whole(&was["bakeTimeInMinutes"]));
        }
        let own = STEPS.into_iter().filter(|(name, member)| *name == strategy && was[*member].is_object());
        all.extend(own.map(|(_, member)| (member.to_owned(), steps(&was[member]))));
    }
    all.insert("lifecycleHooks".into(), their_hooks(now).cloned().collect());
    Some(all.into())
}

/// The steps of a strategy, the minutes as whole numbers: a document comes back with fractions.
fn steps(was: &Value) -> Value {
    let minutes = |name: &str| name.ends_with("InMinutes");
    let member = |(name, value): (&String, &Value)| {
        (name.clone(), if minutes(name) { whole(value) } else { value.clone() })
    };
    was.as_object().into_iter().flatten().map(member).collect::<Map<_, _>>().into()
}

/// Minutes as a whole number; 0 where there are none.
fn whole(minutes: &Value) -> Value {
    let known = minutes.as_u64().or_else(|| minutes.as_f64().map(|minutes| minutes.round() as u64));
    known.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Span;

    fn course(shares: &[u8]) -> Course {
        Course { shares: shares.to_vec(), bake: Span::minutes(5), patience: Span::minutes(30) }
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
    fn courses_have_their_strategies() {
        let word = |shares: &[u8]| {
            let set = start(&json!({}), &course(shares), "td");
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
    fn our_hook_waits_before_each_shift_and_takes_back_by_itself() {
        let now = json!({"strategy":"ROLLING","maximumPercent":150,"lifecycleHooks":[lambda()]});
        let set = start(&now, &course(&[0, 10, 100]), "td:2").unwrap();
        assert_eq!((set["bakeTimeInMinutes"].as_u64(), set.get("maximumPercent")), (Some(5), None));
        let hooks = set["lifecycleHooks"].as_array().unwrap();
        assert_eq!((&hooks[0], hooks.len()), (&lambda(), 2));
        assert!(is_ours(&hooks[1]) && !is_ours(&hooks[0]));
        assert_eq!(hooks[1]["timeoutConfiguration"], json!({"timeoutInMinutes": 30, "action": "ROLLBACK"}));
        assert_eq!(made_for(&hooks[1]), "td:2");
        assert_eq!(hooks[1]["hookDetails"]["roadstead"]["was"], json!({"strategy": "ROLLING"}));
    }

    #[test]
    fn only_what_goes_the_same_way_is_gone_on_with() {
        let canary = |patience| Course { patience: Span::minutes(patience), ..course(&[0, 10, 100]) };
        let now = merged(&json!({"strategy":"ROLLING"}), &start(&json!({}), &canary(30), "td").unwrap());
        assert_eq!(flight(&now, &canary(30)), Flight::Along);
        assert_eq!(flight(&now, &canary(20)), Flight::Along);
        let longer = Course { bake: Span::minutes(6), ..canary(30) };
        let others = [
            canary(31),
            longer,
            course(&[0, 20, 100]),
            course(&[0, 100]),
            course(&[0, 10, 20, 100]),
            Course::whole(),
        ];
        for other in others {
            let how = Flight::Elsewhere("canary 10 % with a last bake of 5m".into());
            assert_eq!(flight(&now, &other), how, "{other:?}");
        }
        let plain = json!({"strategy":"ROLLING"});
        assert_eq!(
            (flight(&plain, &Course::whole()), flight(&plain, &canary(30))),
            (Flight::Along, Flight::ByItself)
        );
    }

    #[test]
    fn what_was_comes_back_whatever_it_was() {
        for before in [
            json!({"maximumPercent":200}),
            json!({"strategy":"ROLLING","bakeTimeInMinutes":0}),
            json!({"strategy":"CANARY","bakeTimeInMinutes":7,"canaryConfiguration":{"canaryPercent":2.5,"canaryBakeTimeInMinutes":3},"lifecycleHooks":[lambda()]}),
            json!({"strategy":"LINEAR","bakeTimeInMinutes":1,"linearConfiguration":{"stepPercent":5.0,"stepBakeTimeInMinutes":2}}),
        ] {
            let during = merged(&before, &start(&before, &course(&[0, 100]), "td:2").unwrap());
            // A run that died, and the next one with another strategy: the same is put back.
            let next = merged(&during, &start(&during, &course(&[0, 10, 100]), "td:3").unwrap());
            for now in [&during, &next] {
                let back = put_back(now).unwrap();
                let after = merged(now, &back);
                assert_eq!(after["strategy"], *before["strategy"].as_str().unwrap_or("ROLLING"));
                assert_eq!(
                    after["bakeTimeInMinutes"].as_u64().unwrap(),
                    before["bakeTimeInMinutes"].as_u64().unwrap_or(0)
                );
                assert_eq!(list(&after, "lifecycleHooks"), list(&before, "lifecycleHooks"));
                for (strategy, member) in STEPS {
                    let own = before["strategy"] == strategy;
                    assert_eq!(back.get(member), before.get(member).filter(|_| own), "{back}");
                }
                assert_eq!(put_back(&after), None);
            }
        }
    }

    #[test]
    fn a_document_that_comes_back_with_fractions_is_read() {
        let was = json!({"strategy":"CANARY","bakeTimeInMinutes":7.0,"canaryConfiguration":{"canaryPercent":2.5,"canaryBakeTimeInMinutes":3.0}});
        let hook = json!({"targetType":"PAUSE","hookDetails":{"roadstead":{"was":was,"set":{"strategy":"BLUE_GREEN","bakeTimeInMinutes":5.0}}}});
        let now = json!({"strategy":"BLUE_GREEN","bakeTimeInMinutes":5,"lifecycleHooks":[hook]});
        let back = put_back(&now).unwrap();
        assert_eq!(back["bakeTimeInMinutes"], json!(7));
        assert_eq!(back["canaryConfiguration"], json!({"canaryPercent":2.5,"canaryBakeTimeInMinutes":3}));
    }

    #[test]
    fn what_the_user_changed_meanwhile_stays() {
        let during = start(&json!({"strategy":"ROLLING"}), &course(&[0, 10, 100]), "td:2").unwrap();
        let mut theirs = during.clone();
        theirs["lifecycleHooks"].as_array_mut().unwrap().push(lambda());
        assert_eq!(put_back(&theirs).unwrap()["lifecycleHooks"], json!([lambda()]));
        let other = merged(&during, &json!({"strategy":"LINEAR"}));
        assert_eq!(put_back(&other).unwrap(), json!({"lifecycleHooks":[]}));
        let longer = merged(&during, &json!({"bakeTimeInMinutes":60}));
        assert_eq!(put_back(&longer).unwrap(), json!({"strategy":"ROLLING","lifecycleHooks":[]}));
    }

    #[test]
    fn a_pause_of_somebody_else_in_our_place_is_seen() {
        let pause =
            |stage: &str| json!({"lifecycleHooks":[{"targetType":"PAUSE","lifecycleStages":[stage]}]});
        assert!(same_place(&pause(STAGE)) && !same_place(&pause("POST_SCALE_UP")) && !same_place(&json!({})));
        let ours = start(&json!({}), &course(&[0, 100]), "td").unwrap();
        assert!(!same_place(&ours));
    }
}
