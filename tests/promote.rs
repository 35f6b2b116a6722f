//! Promotion: production gets the digest that is proven in staging, and nothing else. Whole runs over the
//! emulator.

use roadstead_cloud::ecr::registries::RegistryId;

use crate::support::promotion::{CONFIG, HISTORY, HOST, PromotionHarness, full_sha};
use crate::support::run_in_virtual_time;

pub(crate) const PRODUCTION_REGISTRY: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";

/// Staging in an account of its own, with a registry of its own.
pub(crate) const TWO_ACCOUNTS: &str = "environments:
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1, account: \"222222222222\", role: \"arn:aws:iam::222222222222:role/production\" } }
  staging: { branches: [develop], aws: { region: eu-west-1, account: \"111111111111\", role: \"arn:aws:iam::111111111111:role/staging\" } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: acme, service: backend, container: app }
";

pub(crate) const OTHER_REGISTRY: &str = "github: { repositories: [ { name: acme/shop, private: true, history: [ { id: d1, branch: develop }, { id: aa, merges: d1 } ] } ] }
repositories: { acme/backend: {} }
registries:
  - account: \"111111111111\"
    region: eu-west-1
    repositories: { acme/backend: { readers: [\"222222222222\"], images: [{ tags: [proven], platform: \"linux/amd64,linux/arm64\" }] } }
";

/// The digest of the image in the other account.
fn other_registry_digest(world: &PromotionHarness) -> String {
    world.cloud.read(|world| {
        let images = &world.registries[&RegistryId::new("111111111111", "eu-west-1")]["acme/backend"].images;
        images.iter().find(|image| !image.tags.is_empty()).unwrap().digest.clone()
    })
}

pub(crate) async fn record_proven_in_other_registry(world: &PromotionHarness) -> String {
    let digest = other_registry_digest(world);
    world.record_proven("staging", "d1", &[("backend", &format!("{HOST}/acme/backend@{digest}"))]).await;
    digest
}

/// The digest that is proven in staging serves in production, also if its tags have moved.
#[test]
fn proven_digest_is_promoted_to_production() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        let number = world.record_proven("staging", "d1", &[("backend", &image)]).await;
        // Somebody moves the tag of the commit.
        world.cloud.push_image("acme/backend", &["sha-d100000", "develop"], "linux/amd64", "something else");
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""), "{:#?}", step.lines);
        assert_eq!(step.output("image"), image);
        assert!(
            image.ends_with(&world.serving_digest("acme-production")),
            "{}",
            world.serving_digest("acme-production")
        );
        assert!(!step.lines.iter().any(|line| line.contains("nothing is built")), "{:#?}", step.lines);
        let origin = format!("proven in staging by deployment {number}");
        assert!(step.lines.iter().any(|line| line.contains("promotes d100000") && line.contains(&origin)));
        insta::assert_snapshot!(step.visible_summary(), @"
        ## ✅ production: `backend` deployed; `backend:3` serves 100 % of traffic (verified in … s)

        _Rehearsal on the emulator: no real resource was changed._

        | service | serving | from → to | evidence | took |
        |---|---|---|---|---|
        | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme-production/services/backend?region=eu-west-1) | `backend:3`<br>`sha256:dd5a40af3b6f…` | `backend:2` → `backend:3`<br>`sha256:dd5a40af3b6f…` · [`d100000`](https://github.com/acme/shop/commit/d…) · proven in staging by deployment 1 | service deployment SUCCESSFUL, 2 of 2 targets healthy | … s |
        ");
        let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
        assert_eq!(services["backend"]["commit"], full_sha("d1"));
    });
}

/// From a build for staging to production: one build, one digest, and a record in both places.
#[test]
fn staging_build_is_promoted_to_production() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let staged = world.run(&world.push_runner("develop", "d1")).await;
        assert_eq!((staged.exit_code, staged.output("outcome")), (0, "deployed"), "{:#?}", staged.lines);
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!(step.output("image"), staged.output("image"));
        assert_eq!(world.serving_digest("acme-production"), world.serving_digest("acme-staging"));
        assert_eq!(
            world.proven_commits("production").await,
            [full_sha("d1")],
            "the record names what was promoted"
        );
        let again = world.run(&world.dispatch_runner("aa")).await;
        assert_eq!((again.exit_code, again.output("outcome")), (0, "unchanged"), "{:#?}", again.lines);
    });
}

/// A named release is deployed, also if a newer one serves; a run of an event never returns to an older one.
#[test]
fn older_proven_release_is_promoted_only_by_name() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let (first, second) =
            (world.push_image("acme/backend", "d1"), world.push_image("acme/backend", "d2"));
        world.record_proven("staging", "d1", &[("backend", &first)]).await;
        world.record_proven("staging", "d2", &[("backend", &second)]).await;
        assert_eq!(world.run(&world.dispatch_runner("aa")).await.output("image"), second);
        let pushed = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((pushed.exit_code, pushed.output("outcome")), (5, "superseded"), "{:#?}", pushed.lines);
        let named = world.run(&world.dispatch_runner("aa").with_variable("INPUT_TO", "d100000")).await;
        assert_eq!((named.exit_code, named.output("image")), (0, first.as_str()), "{:#?}", named.lines);
    });
}

#[test]
fn push_promotes_ancestor_and_dispatch_the_newest() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let (first, second) =
            (world.push_image("acme/backend", "d1"), world.push_image("acme/backend", "d2"));
        world.record_proven("staging", "d1", &[("backend", &first)]).await;
        world.record_proven("staging", "d2", &[("backend", &second)]).await;
        let pushed = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((pushed.exit_code, pushed.output("image")), (0, first.as_str()), "{:#?}", pushed.lines);
        let by_hand = world.run(&world.dispatch_runner("aa")).await;
        assert_eq!(
            (by_hand.exit_code, by_hand.output("image")),
            (0, second.as_str()),
            "{:#?}",
            by_hand.lines
        );
    });
}

#[test]
fn own_commit_is_preferred_to_newer_ones() {
    run_in_virtual_time(async {
        let scenario =
            HISTORY.replace("services:", "        - { id: d3, branch: develop, parent: aa }\nservices:");
        let world = PromotionHarness::new(CONFIG, &scenario);
        let (own, newer) = (world.push_image("acme/backend", "aa"), world.push_image("acme/backend", "d2"));
        world.record_proven("staging", "aa", &[("backend", &own)]).await;
        world.record_proven("staging", "d2", &[("backend", &newer)]).await;
        let step = world.run(&world.dispatch_runner("aa")).await;
        assert_eq!((step.exit_code, step.output("image")), (0, own.as_str()), "{:#?}", step.lines);
        let compared = step.count_calls("repos/compare-commits");
        assert_eq!(compared, 1, "the same commit needs no comparison but that with the branch");
    });
}

#[test]
fn a_commit_or_a_digest_is_promoted_by_name() {
    for of_digest in [false, true] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, HISTORY);
            let (first, second) =
                (world.push_image("acme/backend", "d1"), world.push_image("acme/backend", "d2"));
            world.record_proven("staging", "d1", &[("backend", &first)]).await;
            world.record_proven("staging", "d2", &[("backend", &second)]).await;
            let digest = first.split('@').nth(1).unwrap();
            let to = if of_digest { digest } else { "d100000" };
            let step = world.run(&world.dispatch_runner("aa").with_variable("INPUT_TO", to)).await;
            assert_eq!(
                (step.exit_code, step.output("image")),
                (0, first.as_str()),
                "{to}: {:#?}",
                step.lines
            );
        });
    }
}

#[test]
fn promotion_without_proven_release_is_rejected_with_candidates() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let mut annotations = Vec::new();
        let nothing = world.run(&world.push_runner("main", "aa")).await;
        annotations.push(nothing.annotation_lines());
        let image = world.push_image("acme/backend", "d2");
        world.record_proven("staging", "d2", &[("backend", &image)]).await;
        let before = world.cloud.calls().len();
        for runner in [
            world.push_runner("main", "aa"),
            world.dispatch_runner("aa").with_variable("INPUT_TO", "d100000"),
            world.dispatch_runner("aa").with_variable("INPUT_GITHUB-TOKEN", ""),
        ] {
            let step = world.run(&runner).await;
            assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
            annotations.push(step.annotation_lines());
        }
        assert_eq!(world.count_ecs_changes(before), 0);
        insta::assert_snapshot!(annotations.join("\n"), @"
        ::error title=backend%3A promotion unproven::Nothing is proven in `staging` yet, so there is nothing to promote.%0ADeploy to `staging` first; its job needs `permissions: deployments: write` to record proven releases.
        ::error title=backend%3A promotion unproven::The commit aa00000 contains no release proven in `staging`, so nothing is promoted.%0AProven there, newest first: d200000 (`backend`; deployment 1, 2026-03-02 hh:mm UTC). Merge the proven commit (a squash or a rebase creates other commits), or start the workflow manually (workflow_dispatch), which promotes the newest one, or the one in the input `to`.
        ::error title=backend%3A promotion unproven::`d100000` is not proven in `staging`, so it is not promoted.%0AProven there, newest first: d200000 (`backend`; deployment 1, 2026-03-02 hh:mm UTC).
        ::error title=backend%3A promotion unproven::What `staging` has proven cannot be read: there is no token, or no repository, to ask GitHub about.%0AGive the input `github-token`; on a laptop set GITHUB_TOKEN and GITHUB_REPOSITORY.
        ");
    });
}

/// A failed deployment, and a success that is not ours, prove nothing.
#[test]
fn only_own_success_status_counts_as_proven() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        for (state, description) in [("failure", "Roadstead: failed"), ("success", "")] {
            let run = world.start_run("refs/heads/develop", "d1", "push");
            let number = world.claim_open("staging", "d1", &[("backend", &image)], run).await;
            world.say(number, state, description).await;
            world.cloud.end_run("acme/shop", run, "success");
        }
        let step = world.run(&world.dispatch_runner("aa")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
    });
}

#[test]
fn environment_with_promote_from_rejects_builds() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        let named = world.run(&world.push_runner("main", "aa").with_variable("INPUT_IMAGE", &image)).await;
        let nowhere =
            world.run(&world.push_runner("develop", "d1").with_variable("INPUT_OPERATION", "promote")).await;
        assert_eq!((named.exit_code, nowhere.exit_code), (2, 2));
        insta::assert_snapshot!([named.annotation_lines(), nowhere.annotation_lines()].join("\n"), @"
        ::error title=input invalid::`production` takes only what `staging` has proven, so no image can be named.%0ALeave out the input `image`. `operation: promote` with `to` takes a proven commit or digest.
        ::error title=input invalid::`staging` has no `promote-from`, so nothing can be promoted into it.%0ASay in the deploy file which environment proves its versions, or use `operation: deploy`.
        ");
    });
}

#[test]
fn unproven_service_is_refused_and_named_and_the_others_are_promoted() {
    let config = format!(
        "{CONFIG}  worker: {{ repository: acme/worker, ecs: {{ cluster: \"acme-${{environment}}\", service: worker }} }}\n"
    );
    run_in_virtual_time(async {
        let world = PromotionHarness::new(&config, HISTORY);
        let image = world.push_image("acme/backend", "d1");
        world.record_proven("staging", "d1", &[("backend", &image)]).await;
        let before = world.cloud.calls().len();
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, world.count_ecs_changes(before)), (3, 2));
        insta::assert_snapshot!(step.annotation_lines(), @"::error title=worker%3A promotion unproven::No release of the service `worker` is proven in `staging`, so there is nothing to promote.%0AProven there, newest first: d100000 (`backend`; deployment 1, 2026-03-02 hh:mm UTC).");
        let one =
            world.run(&world.push_runner("main", "aa").with_variable("INPUT_SERVICES", "backend")).await;
        assert_eq!(one.exit_code, 0, "{:#?}", one.lines);
    });
}

#[test]
fn missing_image_is_reported_before_any_change() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let gone = format!("{HOST}/acme/backend@sha256:{}", "0".repeat(64));
        world.record_proven("staging", "d1", &[("backend", &gone)]).await;
        world.push_image("acme/backend", "d2");
        let before = world.cloud.calls().len();
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, world.count_ecs_changes(before)), (2, 0));
        insta::assert_snapshot!(step.annotation_lines(), @"::error title=backend%3A image missing::The image `111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:…`, which `staging` proved, is no longer in the registry.%0ACheck the lifecycle policy of that repository; deploy to `staging` again, so that it is built and proven anew.");
    });
}

#[test]
fn pull_request_plan_shows_what_a_merge_would_promote() {
    let event = format!(
        "{{\"pull_request\": {{\"number\": 3, \"head\": {{\"sha\": \"{}\", \"repo\": {{\"id\": 1}}}}, \"base\": {{\"ref\": \"main\", \"repo\": {{\"id\": 1}}}}}}}}",
        full_sha("bb")
    );
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let asks = || {
            world
                .push_runner("main", "bb")
                .with_variable("GITHUB_EVENT_NAME", "pull_request")
                .with_variable("GITHUB_REF", "refs/pull/3/merge")
                .with_variable("GITHUB_HEAD_REF", "topic")
                .with_variable("GITHUB_BASE_REF", "main")
                .with_file("event.json", &event)
        };
        let nothing = world.run(&asks()).await;
        assert_eq!((nothing.exit_code, nothing.output("outcome")), (0, "planned"), "{:#?}", nothing.lines);
        let image = world.push_image("acme/backend", "d1");
        world.record_proven("staging", "d1", &[("backend", &image)]).await;
        let before = world.cloud.calls().len();
        let step = world.run(&asks()).await;
        assert_eq!(
            (step.exit_code, step.output("outcome"), world.count_ecs_changes(before)),
            (0, "planned", 0)
        );
        insta::assert_snapshot!([nothing.annotation_lines(), step.visible_summary()].join("\n"), @r"
        ::warning title=backend%3A promotion unproven::Nothing is proven in `staging` yet, so there is nothing to promote.%0ADeploy to `staging` first; its job needs `permissions: deployments: write` to record proven releases.
        ::notice title=not published::The plan could not be shown as a comment. In `acme/shop`, pull request #3 does not exist, or this token cannot read it.%0AThe job summary has the whole plan.
        ## 📋 production: `backend` would get 1 change — plan only, no changes were made

        _Rehearsal on the emulator: no real resource was changed._

        | service | changes | strategy | expected |
        |---|---|---|---|
        | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme-production/services/backend?region=eu-west-1) | image `111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1` → `d100000 (dd5a40af3b6f…), proven in staging by deployment 2` | rolling | – |

        **1 notice**

        - [`not-published`](https://github.com/roadstead/roadstead/blob/main/docs/problems.md#not-published) — The plan could not be shown as a comment. In `acme/shop`, pull request #&#8203;3 does not exist, or this token cannot read it. The job summary has the whole plan.
        ");
    });
}

/// The printed policy of production suffices to copy an image from another account.
#[test]
fn the_printed_policy_is_enough() {
    use roadstead::cli::policy::policy_json;
    use roadstead_cloud::policy::CallerPolicy;
    let text = policy_json(std::path::Path::new("/nonexistent"), "roadstead.yml", TWO_ACCOUNTS, "production")
        .unwrap();
    let printed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = printed["Statement"].as_array().unwrap();
    let source = statements.iter().find(|statement| statement["Sid"] == "Source").unwrap();
    assert_eq!(source["Resource"][0], "arn:aws:ecr:eu-west-1:111111111111:repository/acme/backend");
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    let allow: Vec<String> = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_ACCOUNTS, OTHER_REGISTRY);
        record_proven_in_other_registry(&world).await;
        world.cloud.change(|world, _| world.policy = CallerPolicy { allow: allow.clone(), deny: Vec::new() });
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""), "{:#?}", step.lines);
    });
    for action in ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(TWO_ACCOUNTS, OTHER_REGISTRY);
            record_proven_in_other_registry(&world).await;
            let deny = vec![action.to_owned()];
            world.cloud.change(|world, _| world.policy = CallerPolicy { allow: allow.clone(), deny });
            let before = world.cloud.calls().len();
            let step = world.run(&world.push_runner("main", "aa")).await;
            // A layer that is sent whole needs no parts.
            let expected = if action == "ecr:UploadLayerPart" { 0 } else { 2 };
            assert_eq!(
                (step.exit_code, expected == 0 || world.count_ecs_changes(before) == 0),
                (expected, true),
                "{action}"
            );
        });
    }
}

/// A rollback needs no proven release: it returns to a version that completed in production.
#[test]
fn rollback_needs_no_proven_release() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let (first, second) =
            (world.push_image("acme/backend", "d1"), world.push_image("acme/backend", "d2"));
        world.record_proven("staging", "d1", &[("backend", &first)]).await;
        world.record_proven("staging", "d2", &[("backend", &second)]).await;
        for to in ["d100000", "d200000"] {
            assert_eq!(
                world.run(&world.dispatch_runner("aa").with_variable("INPUT_TO", to)).await.exit_code,
                0
            );
        }
        let back = world.run(&world.dispatch_runner("aa").with_variable("INPUT_OPERATION", "rollback")).await;
        assert_eq!((back.exit_code, back.output("outcome")), (0, "rolled-back"), "{:#?}", back.lines);
        assert!(first.ends_with(&world.serving_digest("acme-production")));
    });
}
