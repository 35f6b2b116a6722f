//! Deployments that others made by the hundred, or by the thousand: a run finds its own records among them, within a bounded
//! number of requests, and says so where it cannot.

use crate::support::promotion::{PromotionHarness, full_sha};
use crate::support::recorded_deployments::{HISTORY, MultiRunHarness};
use crate::support::run_in_virtual_time;

/// So many are beyond what is read of all deployments: from there on only those with our marker are read.
const BEYOND_NEWEST: usize = 1150;

const TWO_SERVICES: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/staging\" } }
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/production\" } }
services:
  api: { paths: [api/**], repository: acme/api, ecs: { cluster: \"acme-${environment}\", service: api, container: app } }
  web: { paths: [web/**], repository: acme/web, ecs: { cluster: \"acme-${environment}\", service: web, container: app } }
";

const TWO_BRANCHES: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      files: { api/a.txt: a, web/w.txt: a }
      history:
        - { id: d1, branch: develop, files: { web/w.txt: b } }
        - { id: d2, branch: develop, files: { web/w.txt: c } }
        - { id: aa, merges: d2 }
services: [{ cluster: acme-staging, name: api }, { cluster: acme-staging, name: web }]
";

/// A run of `main` that was started again after a newer one, with `count` deployments by others after that.
async fn stale_run_after(count: usize, workflow: &str) -> (u8, usize) {
    let world = MultiRunHarness::new(&format!("{HISTORY}{workflow}"));
    world.run(&world.runner(7, "c2")).await;
    world.run(&world.runner(8, "c3")).await;
    world.cloud.add_foreign_deployments("acme/shop", "production", count);
    let before = world.cloud.calls().len();
    let again = world.run(&world.runner(9, "c2")).await;
    world.assert_valid_requests();
    let calls = world.cloud.calls();
    let reads = calls[before..]
        .iter()
        .filter(|call| call.operation == "repos/list-deployments" || call.operation == "graphql");
    (again.exit_code, reads.count())
}

#[test]
fn stale_run_is_found_however_many_deployments_others_made() {
    for (count, most) in [(0, 4), (31, 4), (150, 6), (990, 14), (BEYOND_NEWEST, 20)] {
        let (exit_code, reads) = run_in_virtual_time(stale_run_after(count, ""));
        assert_eq!(exit_code, 5, "{count} deployments by others");
        assert!(reads <= most, "{count} deployments by others: {reads} requests");
    }
}

/// The record is in the statuses of the deployment that GitHub made for the job, which has no marker.
#[test]
fn record_of_a_job_with_environment_is_found_among_hundreds() {
    let (exit_code, _) = run_in_virtual_time(stale_run_after(450, "workflow: { environment: production }\n"));
    assert_eq!(exit_code, 5);
}

#[test]
fn run_that_cannot_know_whether_it_is_stale_says_so() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.cloud.start_run(roadstead_cloud::github::run::RunStart {
            repository: "acme/shop",
            sha: &full_sha("c1"),
            reference: "refs/heads/main",
            run_id: Some(5),
            ..Default::default()
        });
        world.cloud.add_foreign_deployments("acme/shop", "production", BEYOND_NEWEST);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        insta::assert_snapshot!(step.annotation_lines(), @"::notice title=backend%3A records incomplete::It is not known whether what serves is newer than this run: its release is not among the deployment records that could be read.%0AGitHub has more deployments of `production` than one run reads.%0AThis release is recorded, so the next run finds it. Give jobs that do not deploy here another environment.");
        // It is recorded, so the next run knows.
        let next = world.run(&world.runner(8, "c3")).await;
        assert_eq!((next.exit_code, next.annotation_lines().as_str()), (0, ""), "{:#?}", next.lines);
        world.assert_valid_requests();
    });
}

/// `api` was proven once, long ago; since then only `web` was released, again and again.
#[test]
fn rarely_released_service_is_promoted_with_the_others() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_SERVICES, TWO_BRANCHES);
        let (api, web) = (world.push_image("acme/api", "d1"), world.push_image("acme/web", "d2"));
        world.record_proven("staging", "d1", &[("api", &api), ("web", &web)]).await;
        for _ in 0..31 {
            world.record_proven("staging", "d2", &[("web", &web)]).await;
        }
        world.cloud.add_foreign_deployments("acme/shop", "staging", 120);
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
        assert_eq!(services["api"]["image"], api.as_str());
        assert_eq!(services["web"]["image"], web.as_str());
    });
}

#[test]
fn changes_are_counted_from_a_proven_commit_among_hundreds() {
    for foreign in [0, 31, 250, BEYOND_NEWEST] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(TWO_SERVICES, TWO_BRANCHES);
            let (api, web) = (world.push_image("acme/api", "d1"), world.push_image("acme/web", "d1"));
            world.record_proven("staging", "d1", &[("api", &api), ("web", &web)]).await;
            world.cloud.add_foreign_deployments("acme/shop", "staging", foreign);
            let runner = world.push_runner("develop", "d2").with_variable("INPUT_SERVICES", "changed");
            let step = world.run(&runner).await;
            let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
            let names: Vec<&String> = services.as_object().unwrap().keys().collect();
            assert_eq!(names, ["web"], "{foreign}: {:#?}", step.lines);
        });
    }
}
