//! The outputs of the action, as ordered pairs, for the later steps of the user's job.

use serde_json::{Map, Value, json};

use super::run_report::{RunReport, ServiceReport};
use crate::release::{Digest, ImageRef, Outcome};

/// All outputs of a job share 1 MB; a plan larger than this is left out so that the others are kept.
const MAX_PLAN_BYTES: usize = 200 << 10;

/// Every output of the contract, in its order; empty if unknown. With several services, those of one service are empty,
/// and `services` has them all.
pub fn outputs(report: &RunReport) -> Vec<(&'static str, String)> {
    let plan = plan_json(report);
    let single = |value: fn(&ServiceReport) -> Option<String>| {
        report.single_service().and_then(value).unwrap_or_default()
    };
    let services = services_json(report, !plan.is_empty());
    vec![
        ("outcome", report.outcome.as_str().to_owned()),
        ("environment", report.environment.clone().unwrap_or_default()),
        ("image", single(pinned_image)),
        ("digest", single(serving_digest)),
        ("version", single(|service| service.serving_version.as_ref().map(|version| version.label.clone()))),
        (
            "previous",
            single(|service| service.previous_version.as_ref().map(|version| version.label.clone())),
        ),
        ("url", single(|service| service.url.clone())),
        ("commit", report.commit.clone().unwrap_or_default()),
        ("plan", plan),
        ("services", services),
    ]
}

fn pinned_image(service: &ServiceReport) -> Option<String> {
    let image = service.image.as_ref()?;
    Some(match (&image.digest, &service.digest) {
        (None, Some(digest)) => image.with_digest(digest.clone()).to_string(),
        _ => image.to_string(),
    })
}

/// The serving digest; a verified deployment serves the requested one.
fn serving_digest(service: &ServiceReport) -> Option<String> {
    let proven = matches!(service.outcome, Outcome::Deployed | Outcome::Unchanged | Outcome::RolledBack);
    let requested = service.digest.as_ref().filter(|_| proven);
    service.serving_digest.as_ref().or(requested).map(Digest::to_string)
}

fn plan_json(report: &RunReport) -> String {
    if report.services.is_empty() {
        return String::new();
    }
    let of = |service: &ServiceReport| (service.name.clone(), service_plan(service));
    let plan = Value::Object(report.services.iter().map(of).collect()).to_string();
    if plan.len() > MAX_PLAN_BYTES { String::new() } else { plan }
}

fn service_plan(service: &ServiceReport) -> Value {
    json!({
        "strategy": service.strategy,
        "expected-seconds": service.expected_duration.map(|expected| expected.as_secs()),
        "changes": service.changes,
    })
}

fn services_json(report: &RunReport, with_plan: bool) -> String {
    let of = |service: &ServiceReport| {
        let mut values = Map::new();
        values.insert("outcome".into(), json!(service.outcome));
        values.insert("environment".into(), json!(report.environment));
        values.insert("image".into(), json!(pinned_image(service)));
        values.insert("digest".into(), json!(serving_digest(service)));
        values
            .insert("version".into(), json!(service.serving_version.as_ref().map(|version| &version.label)));
        values.insert(
            "previous".into(),
            json!(service.previous_version.as_ref().map(|version| &version.label)),
        );
        values.insert("url".into(), json!(service.url));
        values.insert("commit".into(), json!(service.commit.as_ref().or(report.commit.as_ref())));
        values.insert("plan".into(), if with_plan { service_plan(service) } else { Value::Null });
        if !service.container_images.is_empty() {
            values.insert("containers".into(), containers_json(service));
        }
        (service.name.clone(), Value::Object(values))
    };
    Value::Object(report.services.iter().map(of).collect()).to_string()
}

/// The requested images of further containers, and their digests.
fn containers_json(service: &ServiceReport) -> Value {
    let of = |(name, image): (&String, &ImageRef)| {
        (name.clone(), json!({ "image": image.to_string(), "digest": image.digest }))
    };
    Value::Object(service.container_images.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::OUTPUTS;
    use crate::report::fixtures;

    fn lines(report: &RunReport) -> String {
        outputs(report).iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn outputs_match_the_contract_in_order() {
        let names: Vec<_> =
            outputs(&fixtures::sample_report(Outcome::Deployed)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, OUTPUTS.iter().map(|output| output.name).collect::<Vec<_>>());
        let services = outputs(&fixtures::sample_report(Outcome::Deployed)).pop().unwrap().1;
        let services: Value = serde_json::from_str(&services).unwrap();
        let keys: Vec<_> = services["backend"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, names[..names.len() - 1]);
    }

    #[test]
    fn documentation_matches_the_outputs() {
        let page = include_str!("../../docs/outputs.md");
        let (_, after) = page.split_once("```json\n").unwrap();
        let shown: Value = serde_json::from_str(after.split_once("```").unwrap().0).unwrap();
        let written = outputs(&fixtures::sample_report(Outcome::Deployed)).pop().unwrap().1;
        let written: Value = serde_json::from_str(&written).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&shown["backend"]), keys(&written["backend"]));
        assert_eq!(keys(&shown["backend"]["plan"]), keys(&written["backend"]["plan"]));
        assert_eq!(keys(&shown["backend"]["plan"]["changes"][0]), ["field", "from", "to"]);
    }

    #[test]
    fn one_service_fills_every_output() {
        insta::assert_snapshot!(lines(&fixtures::sample_report(Outcome::Deployed)), @r#"
        outcome=deployed
        environment=production
        image=registry.example/acme/app@sha256:9999999999999999999999999999999999999999999999999999999999999999
        digest=sha256:9999999999999999999999999999999999999999999999999999999999999999
        version=backend:42
        previous=backend:41
        url=
        commit=c0ffee1000000000000000000000000000000000
        plan={"backend":{"strategy":"rolling","expected-seconds":null,"changes":[{"field":"image","from":"acme/app:1","to":"acme/app:2"}]}}
        services={"backend":{"outcome":"deployed","environment":"production","image":"registry.example/acme/app@sha256:9999999999999999999999999999999999999999999999999999999999999999","digest":"sha256:9999999999999999999999999999999999999999999999999999999999999999","version":"backend:42","previous":"backend:41","url":null,"commit":"c0ffee1000000000000000000000000000000000","plan":{"strategy":"rolling","expected-seconds":null,"changes":[{"field":"image","from":"acme/app:1","to":"acme/app:2"}]}}}
        "#);
    }

    #[test]
    fn rolled_back_run_outputs_the_serving_version() {
        let outputs: std::collections::BTreeMap<_, _> =
            outputs(&fixtures::sample_report(Outcome::Failed)).into_iter().collect();
        assert_eq!((outputs["version"].as_str(), outputs["previous"].as_str()), ("backend:41", "backend:41"));
        assert_eq!(outputs["digest"], fixtures::digest('7').to_string());
        assert!(
            outputs["image"].ends_with(fixtures::digest('9').as_str()),
            "asked for: {}",
            outputs["image"]
        );
    }

    #[test]
    fn unknown_values_are_empty() {
        let mut report = fixtures::sample_report(Outcome::Stranded);
        report.services[0].serving_digest = None;
        let outputs: std::collections::BTreeMap<_, _> = outputs(&report).into_iter().collect();
        assert_eq!((outputs["version"].as_str(), outputs["digest"].as_str()), ("", ""));
    }

    #[test]
    fn several_services_leave_the_single_ones_empty() {
        let mut report = fixtures::sample_report(Outcome::Deployed);
        report.services.push(fixtures::sample_service("worker", Outcome::Unchanged));
        let outputs: std::collections::BTreeMap<_, _> = outputs(&report).into_iter().collect();
        for name in ["image", "digest", "version", "previous", "url"] {
            assert_eq!(outputs[name], "", "{name}");
        }
        let services: Value = serde_json::from_str(&outputs["services"]).unwrap();
        assert_eq!(services["worker"]["version"], "worker:41");
        assert_eq!(services["backend"]["version"], "backend:42");
    }

    #[test]
    fn oversized_plan_is_left_out_and_other_outputs_are_kept() {
        let mut report = fixtures::sample_report(Outcome::Planned);
        report.services[0].changes.0[0].to = Some("x".repeat(MAX_PLAN_BYTES));
        let outputs: std::collections::BTreeMap<_, _> = outputs(&report).into_iter().collect();
        assert_eq!(outputs["plan"], "");
        assert!(outputs["services"].len() < 2000);
    }
}
