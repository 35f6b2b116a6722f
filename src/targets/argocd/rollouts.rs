//! The progress of an Argo Rollouts rollout as text. Pure. The rollout is observed, not driven.
//! <https://argo-rollouts.readthedocs.io/en/stable/features/specification/>

use serde_json::Value;

/// The progress of a `Rollout` in the cluster; `None` if it reports none.
pub fn describe(live: &Value) -> Option<String> {
    let status = live.get("status")?;
    let canary = &live["spec"]["strategy"]["canary"];
    let mut parts = Vec::new();
    if let (Some(steps), Some(at)) = (canary["steps"].as_array(), status["currentStepIndex"].as_u64()) {
        parts.push(format!("canary step {} of {}", (at + 1).min(steps.len() as u64), steps.len()));
        let weight = status["canary"]["weights"]["canary"]["weight"].as_u64();
        parts.extend(weight.or_else(|| weight_at(steps, at)).map(|weight| format!("{weight} % of traffic")));
    }
    parts.extend(pause_text(status));
    parts.extend(analysis_text(status));
    let message = status["message"].as_str().filter(|words| !words.is_empty());
    let new = |words: &&str| !parts.iter().any(|part| part.contains(words));
    let message = message.filter(new).map(str::to_owned);
    parts.extend(message);
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The weight of the last `setWeight` step up to `at`.
fn weight_at(steps: &[Value], at: u64) -> Option<u64> {
    let until = usize::try_from(at).ok()?.saturating_add(1).min(steps.len());
    steps[..until].iter().rev().find_map(|step| step["setWeight"].as_u64())
}

fn pause_text(status: &Value) -> Option<String> {
    let reason = status["pauseConditions"].as_array()?.first()?["reason"].as_str()?;
    Some(format!("paused ({reason})"))
}

fn analysis_text(status: &Value) -> Option<String> {
    let run = &status["canary"]["currentStepAnalysisRunStatus"];
    let run = if run.is_object() { run } else { &status["canary"]["currentBackgroundAnalysisRunStatus"] };
    let phase = run["status"].as_str()?;
    Some(format!("analysis {} {phase}", run["name"].as_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn describe_names_step_weight_and_analysis() {
        let live = json!({
            "spec": { "strategy": { "canary": { "steps": [
                { "setWeight": 20 }, { "pause": {} }, { "setWeight": 60 }
            ] } } },
            "status": {
                "currentStepIndex": 1,
                "pauseConditions": [{ "reason": "CanaryPauseStep" }],
                "canary": { "currentStepAnalysisRunStatus": { "name": "ok-1", "status": "Running" } },
                "message": "CanaryPauseStep"
            }
        });
        assert_eq!(
            describe(&live).as_deref(),
            Some("canary step 2 of 3, 20 % of traffic, paused (CanaryPauseStep), analysis ok-1 Running")
        );
        assert_eq!(describe(&json!({ "kind": "Deployment" })), None);
        assert_eq!(describe(&json!({ "status": {} })), None);
    }
}
