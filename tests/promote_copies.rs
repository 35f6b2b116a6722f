//! Promotion between registries: what is copied, with which permissions, and what an interrupted copy leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use roadstead_cloud::call_log::{HookPhase, Override};

use crate::promote::{OTHER_REGISTRY, PRODUCTION_REGISTRY, TWO_ACCOUNTS, record_proven_in_other_registry};
use crate::support::promotion::{CONFIG, HISTORY, PromotionHarness};
use crate::support::run_in_virtual_time;

#[test]
fn an_image_of_another_account_is_copied_and_deployed_from_our_own_registry() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_ACCOUNTS, OTHER_REGISTRY);
        let digest = record_proven_in_other_registry(&world).await;
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""), "{:#?}", step.lines);
        assert_eq!(step.output("image"), format!("{PRODUCTION_REGISTRY}/acme/backend@{digest}"));
        assert_eq!((step.count_calls("CompleteBlobUpload"), step.count_calls("PutManifest")), (4, 3));
        let roles: Vec<_> =
            step.calls.iter().filter(|call| call.operation == "AssumeRoleWithWebIdentity").collect();
        assert_eq!(roles.len(), 1, "the repository's policy lets us in: no other role is needed");
        let tags = world.cloud.read(|world| {
            let images = &world.repositories()["acme/backend"].images;
            images.iter().find(|image| image.digest == digest).unwrap().tags.clone()
        });
        assert_eq!(tags, ["sha-d100000"], "the commit's name for lifecycle policies and for people");
        insta::assert_snapshot!(step.visible_summary(), @"
        ## ✅ production: `backend` deployed; `backend:2` serves 100 % of traffic (verified in … s)

        _Rehearsal on the emulator: no real resource was changed._

        | service | serving | from → to | evidence | took |
        |---|---|---|---|---|
        | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:2`<br>`sha256:b482e5ac764d…` | `backend:1` → `backend:2`<br>`sha256:b482e5ac764d…` · [`d100000`](https://github.com/acme/shop/commit/d…) · proven in staging by deployment 1 | service deployment SUCCESSFUL, 2 of 2 targets healthy | … s |
        ");
        let again = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((again.output("outcome"), again.count_calls("CompleteBlobUpload")), ("unchanged", 4));
    });
}

#[test]
fn staging_role_pulls_where_production_role_cannot() {
    let closed = OTHER_REGISTRY.replace("readers: [\"222222222222\"], ", "");
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_ACCOUNTS, &closed);
        let digest = record_proven_in_other_registry(&world).await;
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""), "{:#?}", step.lines);
        assert_eq!(step.output("image"), format!("{PRODUCTION_REGISTRY}/acme/backend@{digest}"));
    });
    let shut = format!("{closed}trust: {{ roles: [\"arn:aws:iam::222222222222:role/production\"] }}\n");
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_ACCOUNTS, &shut);
        record_proven_in_other_registry(&world).await;
        let before = world.cloud.calls().len();
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, world.count_ecs_changes(before)), (2, 0));
        insta::assert_snapshot!(step.annotation_lines(), @"::error title=backend%3A permission missing::The image that `staging` proved cannot be read from `111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend`.%0AThe role has no permission for this in the repository `111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend`. DENIED: User: arn:aws:sts::222222222222:assumed-role/deploy/roadstead is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:111111111111:repository/acme/backend because no resource-based policy allows the ecr:BatchGetImage action%0ALet the policy of that repository allow this environment's account to pull (ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability), or let this job assume the role of `staging`.");
    });
}

/// Two repositories of one registry: layers are mounted where the account has that on, and passed on where it has not.
#[test]
fn between_two_repositories_of_a_registry_layers_are_mounted() {
    let config =
        CONFIG.replace("    repository: acme/backend\n", "    repository: \"acme/${environment}\"\n");
    for (mounting, expected) in [("true", (4, 0)), ("false", (4, 4))] {
        run_in_virtual_time(async {
            let scenario =
                format!("{HISTORY}blob-mounting: {mounting}\nrepositories: {{ acme/production: {{}} }}\n");
            let world = PromotionHarness::new(&config, &scenario);
            let image = world.push_image("acme/staging", "d1");
            world.record_proven("staging", "d1", &[("backend", &image)]).await;
            let step = world.run(&world.push_runner("main", "aa")).await;
            assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""), "{:#?}", step.lines);
            assert_eq!(step.output("image"), image.replace("acme/staging", "acme/production"));
            assert_eq!((step.count_calls("MountBlob"), step.count_calls("CompleteBlobUpload")), expected);
        });
    }
}

/// The runner's connection dies in the middle of the copy: nothing was released, and the next run sends the rest.
#[test]
fn interrupted_copy_releases_nothing_and_resumes() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_ACCOUNTS, OTHER_REGISTRY);
        let digest = record_proven_in_other_registry(&world).await;
        let seen = Arc::new(AtomicU32::new(0));
        world.cloud.on_call(Box::new(move |moment| {
            let put = moment.phase == HookPhase::Before && moment.call.operation == "CompleteBlobUpload";
            let struck = put && seen.fetch_add(1, Ordering::Relaxed) >= 2;
            if struck { Override::Disconnect } else { Override::Pass }
        }));
        let before = world.cloud.calls().len();
        let broken = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((broken.exit_code, world.count_ecs_changes(before)), (2, 0), "{:#?}", broken.lines);
        assert!(broken.annotation_lines().contains("push failed"), "{}", broken.annotation_lines());
        world.cloud.on_call(Box::new(|_| Override::Pass));
        let sent = world.cloud.calls().len();
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!(
            (step.exit_code, step.output("image")),
            (0, format!("{PRODUCTION_REGISTRY}/acme/backend@{digest}").as_str())
        );
        let again = step.calls[sent..].iter().filter(|call| call.operation == "CompleteBlobUpload").count();
        assert_eq!(again, 2, "two layers had arrived before");
    });
}

#[test]
fn a_layer_with_other_content_never_reaches_production() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(TWO_ACCOUNTS, OTHER_REGISTRY);
        record_proven_in_other_registry(&world).await;
        world.cloud.on_call(Box::new(|moment| {
            let struck = moment.phase == HookPhase::After && moment.call.operation == "GetLayer";
            if struck {
                Override::Reply(serde_json::json!("not what was proven ".repeat(90)))
            } else {
                Override::Pass
            }
        }));
        let before = world.cloud.calls().len();
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, world.count_ecs_changes(before)), (2, 0));
        assert!(step.annotation_lines().contains("digest mismatch"), "{}", step.annotation_lines());
        assert!(world.cloud.read(|world| world.repositories()["acme/backend"].blobs.is_empty()));
    });
}
