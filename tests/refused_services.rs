//! Without `atomic`, one broken build, one missing service or one service without proof leaves the others going. What was
//! released and what was refused is told, and the run has failed.

use roadstead::release::Outcome;

use crate::support::promotion::PromotionHarness;
use crate::support::run_in_virtual_time;
use crate::support::runner::StepResult;

const HISTORY: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history:
        - { id: d1, branch: develop }
        - { id: aa, merges: d1 }
services: [{ cluster: acme-staging, name: api }]
";

/// The world has both services in production, and only `api` in staging.
fn config(atomic: bool) -> String {
    format!(
        "environments:
  staging: {{ branches: [develop], aws: {{ region: eu-west-1, role: \"arn:aws:iam::111111111111:role/staging\" }} }}
  production: {{ branches: [main], promote-from: staging, aws: {{ region: eu-west-1, role: \"arn:aws:iam::111111111111:role/production\" }} }}
atomic: {atomic}
services:
  api: {{ repository: acme/api, ecs: {{ cluster: \"acme-${{environment}}\", service: api, container: app }} }}
  web: {{ repository: acme/web, ecs: {{ cluster: \"acme-${{environment}}\", service: web, container: app }} }}
"
    )
}

/// `failed, exit 3; api: deployed, web: invalid`.
fn outcomes(step: &StepResult) -> String {
    let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap_or_default();
    let each = services.as_object().into_iter().flatten();
    let each: Vec<String> =
        each.map(|(name, one)| format!("{name}: {}", one["outcome"].as_str().unwrap_or("?"))).collect();
    format!("{}, exit {}; {}", step.output("outcome"), step.exit_code, each.join(", "))
}

const PARTIAL: &str = "failed, exit 3; api: deployed, web: invalid";

#[test]
fn missing_service_leaves_the_others_going() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config(false), HISTORY);
        let step = world.run(&world.push_runner("develop", "d1")).await;
        assert_eq!(outcomes(&step), PARTIAL, "{:#?}", step.lines);
        insta::assert_snapshot!(step.annotation_lines(), @"::error title=web%3A service missing::The service `web` does not exist in the cluster `acme-staging`.%0ACheck `ecs.service` and `ecs.cluster`; create the service before the first deployment.");
        insta::assert_snapshot!(step.visible_summary(), @r"
        ## ❌ staging: `web` was not started (the serving version is unknown) — 1 deployed

        _Rehearsal on the emulator: no real resource was changed._

        **1 problem**

        - [`service-missing`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#service-missing) · `web` — The service `web` does not exist in the cluster `acme-staging`. Check `ecs.service` and `ecs.cluster`; create the service before the first deployment.

        | service | serving | from → to | evidence | took |
        |---|---|---|---|---|
        | [`api`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme-staging/services/api?region=eu-west-1) | `api:3`<br>`sha256:a05a04e08aee…` | `api:1` → `api:3`<br>`sha256:a05a04e08aee…` · [`d100000`](https://github.com/acme/shop/commit/d…) | service deployment SUCCESSFUL, 2 of 2 tasks running, no load balancer | … s |
        | `web` | – | – → –<br>[`d100000`](https://github.com/acme/shop/commit/d…) | nothing was changed | – |
        ");
        // The record is about `api` alone, and proves it.
        assert_eq!(world.proven_commits("staging").await.len(), 1);
    });
}

/// The job of the newer run ended as a failure, and what it released is still newer.
#[test]
fn older_run_does_not_replace_what_a_partial_run_released() {
    let history = HISTORY.replace(
        "- { id: d1, branch: develop }",
        "- { id: d1, branch: develop }\n        - { id: d2, branch: develop }",
    );
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config(false), &history);
        let newer = world.run(&world.push_runner("develop", "d2")).await;
        assert_eq!(outcomes(&newer), PARTIAL, "{:#?}", newer.lines);
        let older = world.run(&world.push_runner("develop", "d1")).await;
        assert!(outcomes(&older).contains("api: superseded"), "{} {:#?}", outcomes(&older), older.lines);
    });
}

#[test]
fn broken_build_leaves_the_others_going() {
    run_in_virtual_time(async {
        let scenario = HISTORY.replace("name: api }", "name: api }, { cluster: acme-staging, name: web }");
        let world = PromotionHarness::new(&config(false), &scenario);
        let runner = world.push_runner("develop", "d1").with_broken_builds(&["web"]);
        let step = world.run(&runner).await;
        assert_eq!(outcomes(&step), PARTIAL, "{:#?}", step.lines);
        assert!(step.annotation_lines().contains("build failed"), "{}", step.annotation_lines());
        // Nothing is left to be done for `api`: then nothing was changed, and the run is invalid.
        let runner = world
            .push_runner("develop", "d1")
            .with_variable("INPUT_IMAGE", &format!("api={}", step.output("image")));
        let again = world.run(&runner.with_broken_builds(&["web"])).await;
        assert_eq!(again.output("outcome"), "invalid", "{:#?}", again.lines);
    });
}

#[test]
fn service_without_proof_leaves_the_others_going() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config(false), HISTORY);
        let api = world.push_image("acme/api", "d1");
        world.record_proven("staging", "d1", &[("api", &api)]).await;
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!(outcomes(&step), PARTIAL, "{:#?}", step.lines);
        assert!(step.annotation_lines().contains("promotion unproven"), "{}", step.annotation_lines());
    });
}

#[test]
fn atomic_run_ends_before_any_change() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config(true), HISTORY);
        for runner in [world.push_runner("develop", "d1"), world.push_runner("main", "aa")] {
            let step = world.run(&runner).await;
            assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
        }
        assert_eq!(world.count_ecs_changes(0), 0);
    });
}

#[test]
fn plan_shows_the_others_and_is_invalid() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config(false), HISTORY);
        let runner = world.push_runner("develop", "d1").with_variable("INPUT_OPERATION", "plan");
        let step = world.run(&runner).await;
        assert_eq!(outcomes(&step), "invalid, exit 2; api: planned, web: invalid", "{:#?}", step.lines);
        assert_eq!(Outcome::Invalid.exit_code(), step.exit_code);
        assert_eq!(world.count_ecs_changes(0), 0);
    });
}
