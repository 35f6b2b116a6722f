//! `operation: rollback` without named services rolls back the services that the last release brought. What has no
//! earlier version stays, and `to: api:4` is about `api`.

use crate::support::promotion::PromotionHarness;
use crate::support::run_in_virtual_time;
use crate::support::runner::StepResult;

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
services:
  api: { repository: acme/api, ecs: { cluster: acme, service: api, container: app } }
  web: { repository: acme/web, ecs: { cluster: acme, service: web, container: app } }
";

const HISTORY: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      history: [{ id: c1 }, { id: c2 }, { id: c3 }]
";

/// Releases of some services, each by a run of its own: `["api web", "api"]`.
async fn release_all(releases: &[&str]) -> PromotionHarness {
    let world = PromotionHarness::new(CONFIG, HISTORY);
    for (number, services) in releases.iter().enumerate() {
        let commit = format!("c{}", (number + 1).min(3));
        let images = services.split_whitespace().map(|service| {
            let tag = format!("release-{number}");
            let repository = format!("acme/{service}");
            let digest =
                world.cloud.push_image(&repository, &[tag.as_str()], "linux/amd64,linux/arm64", &tag);
            format!("{service}={}/{repository}@{digest}", crate::support::promotion::HOST)
        });
        let runner = world
            .push_runner("main", &commit)
            .with_variable("INPUT_SERVICES", &services.replace(' ', ","))
            .with_variable("INPUT_IMAGE", &images.collect::<Vec<_>>().join("\n"));
        let step = world.run(&runner).await;
        assert_eq!(step.exit_code, 0, "{services}: {:#?}", step.lines);
    }
    world
}

async fn rollback(world: &PromotionHarness, inputs: &[(&str, &str)]) -> StepResult {
    let runner = world.dispatch_runner("c3").with_variable("INPUT_OPERATION", "rollback");
    let runner = inputs.iter().fold(runner, |runner, (name, value)| runner.with_variable(name, value));
    world.run(&runner).await
}

/// `api:2 web:2`: what really serves.
fn serving(world: &PromotionHarness) -> String {
    let label = |name: &str| {
        let whole =
            world.cloud.serving_state("acme", name).unwrap().only_version().unwrap_or_default().to_owned();
        whole.rsplit('/').next().unwrap_or_default().to_owned()
    };
    format!("{} {}", label("api"), label("web"))
}

#[test]
fn rollback_takes_back_what_the_last_release_brought() {
    for (releases, expected) in [
        (vec!["api web", "api", "api"], "api:3 web:2"),
        (vec!["api web", "web"], "api:2 web:2"),
        (vec!["api", "api web"], "api:2 web:1"),
        (vec!["api", "web"], "api:2 web:1"),
    ] {
        run_in_virtual_time(async {
            let world = release_all(&releases).await;
            let step = rollback(&world, &[]).await;
            assert_eq!((step.exit_code, step.output("outcome")), (0, "rolled-back"), "{:#?}", step.lines);
            assert_eq!(serving(&world), expected, "{releases:?}: {:#?}", step.lines);
        });
    }
}

#[test]
fn second_rollback_goes_further_back_and_drags_nothing_along() {
    run_in_virtual_time(async {
        let world = release_all(&["api web", "api", "api"]).await;
        rollback(&world, &[]).await;
        let step = rollback(&world, &[]).await;
        assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
        assert_eq!(serving(&world), "api:2 web:2");
    });
}

/// A run of all services that found `web` as it was brought nothing to it.
#[test]
fn unchanged_service_of_the_last_run_stays() {
    run_in_virtual_time(async {
        let world = release_all(&["web", "web", "api"]).await;
        let image = |service: &str, number: usize| {
            let tag = format!("release-{number}");
            let repository = format!("acme/{service}");
            let digest =
                world.cloud.push_image(&repository, &[tag.as_str()], "linux/amd64,linux/arm64", &tag);
            format!("{service}={}/{repository}@{digest}", crate::support::promotion::HOST)
        };
        let images = [image("api", 9), image("web", 1)].join("\n");
        let step = world.run(&world.push_runner("main", "c3").with_variable("INPUT_IMAGE", &images)).await;
        assert_eq!(step.exit_code, 0, "{:#?}", step.lines);
        assert_eq!(serving(&world), "api:3 web:3");
        let step = rollback(&world, &[]).await;
        assert_eq!(serving(&world), "api:2 web:3", "{:#?}", step.lines);
        insta::assert_snapshot!(step.annotation_lines(), @"::notice title=not rolled back::`web` stays as it is: the last release (commit c300000, run 104) did not bring what serves there.%0ATo roll back other services, name them in the input `services`.");
    });
}

#[test]
fn named_services_return_whatever_the_last_release_was() {
    run_in_virtual_time(async {
        let world = release_all(&["api web", "api"]).await;
        let step = rollback(&world, &[("INPUT_SERVICES", "web")]).await;
        assert_eq!((step.exit_code, serving(&world).as_str()), (0, "api:3 web:1"), "{:#?}", step.lines);
    });
}

#[test]
fn service_without_earlier_version_is_a_remark() {
    for inputs in [vec![], vec![("INPUT_SERVICES", "api,web")]] {
        run_in_virtual_time(async {
            let world = release_all(&["api"]).await;
            let step = rollback(&world, &inputs).await;
            assert_eq!((step.exit_code, step.output("outcome")), (0, "rolled-back"), "{:#?}", step.lines);
            assert_eq!(serving(&world), "api:1 web:1");
            assert!(step.annotation_lines().contains("`web` stays as it is"), "{}", step.annotation_lines());
        });
    }
}

#[test]
fn rollback_of_nothing_changes_nothing() {
    run_in_virtual_time(async {
        let world = release_all(&[]).await;
        let step = rollback(&world, &[]).await;
        assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
        assert_eq!(world.count_ecs_changes(0), 0);
    });
}

#[test]
fn version_of_one_service_is_about_that_service() {
    for (to, expected) in [("api:2", "api:2 web:3"), ("web:2", "api:3 web:2"), ("api:1", "api:1 web:3")] {
        run_in_virtual_time(async {
            let world = release_all(&["api web", "api web"]).await;
            let step = rollback(&world, &[("INPUT_TO", to)]).await;
            assert_eq!(
                (step.exit_code, step.output("outcome")),
                (0, "rolled-back"),
                "{to}: {:#?}",
                step.lines
            );
            assert_eq!(serving(&world), expected, "{to}");
        });
    }
    run_in_virtual_time(async {
        let world = release_all(&["api web", "api web"]).await;
        for to in ["api:9", "2"] {
            let step = rollback(&world, &[("INPUT_TO", to)]).await;
            assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{to}: {:#?}", step.lines);
            assert_eq!(step.annotation_lines().matches("::error").count(), 1, "{}", step.annotation_lines());
        }
        assert_eq!(serving(&world), "api:3 web:3");
    });
}

#[test]
fn rollback_without_records_says_that_it_is_about_all() {
    run_in_virtual_time(async {
        let world = release_all(&["api web", "api"]).await;
        let step = rollback(&world, &[("INPUT_GITHUB-TOKEN", "")]).await;
        assert_eq!((step.exit_code, serving(&world).as_str()), (0, "api:2 web:1"), "{:#?}", step.lines);
        insta::assert_snapshot!(step.annotation_lines(), @"::warning title=records incomplete::It is not known which services the last release brought, so every service that has an earlier version is rolled back.%0AThere is no token, or no repository, to ask GitHub about.%0AName the services in the input `services`.");
    });
}
