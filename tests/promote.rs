//! Promotion: production gets the very digest that staging proved, and nothing comes in otherwise. Whole runs over the
//! embedded cloud and GitHub.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use roadstead::rehearsal::record::{Interrupt, Phase};

use crate::support::stages::{CONFIG, HOST, PAST, World, sha};
use crate::support::virtually;

const OWN: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";

/// Staging in an account of its own, with a registry of its own.
const ACCOUNTS: &str = "environments:
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1, account: \"222222222222\", role: \"arn:aws:iam::222222222222:role/production\" } }
  staging: { branches: [develop], aws: { region: eu-west-1, account: \"111111111111\", role: \"arn:aws:iam::111111111111:role/staging\" } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: acme, service: backend, container: app }
";

const ABROAD: &str = "github: { repositories: [ { name: acme/shop, private: true, history: [ { id: d1 }, { id: aa } ] } ] }
repositories: { acme/backend: {} }
registries:
  - account: \"111111111111\"
    region: eu-west-1
    repositories: { acme/backend: { readers: [\"222222222222\"], images: [{ tags: [proven], platform: \"linux/amd64,linux/arm64\" }] } }
";

/// The digest of the image in the other account.
fn abroad(world: &World) -> String {
    world.cloud.read(|world| {
        let images =
            &world.abroad[&("111111111111".to_owned(), "eu-west-1".to_owned())]["acme/backend"].images;
        images.iter().find(|image| !image.tags.is_empty()).unwrap().digest.clone()
    })
}

async fn proved_abroad(world: &World) -> String {
    let digest = abroad(world);
    world.proved("staging", "d1", &[("backend", &format!("{HOST}/acme/backend@{digest}"))]).await;
    digest
}

/// What staging built, deployed and proved serves in production, though its tags name something else by then.
#[test]
fn what_staging_proved_comes_to_production_by_its_digest() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let image = world.image("acme/backend", "d1");
        let number = world.proved("staging", "d1", &[("backend", &image)]).await;
        // Somebody moves the tag of the commit.
        world.cloud.push("acme/backend", &["sha-d100000", "develop"], "linux/amd64", "something else");
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, step.annotated().as_str()), (0, ""), "{:#?}", step.lines);
        assert_eq!(step.output("image"), image);
        assert!(image.ends_with(&world.serves("acme-production")), "{}", world.serves("acme-production"));
        assert!(!step.lines.iter().any(|line| line.contains("nothing is built")), "{:#?}", step.lines);
        let origin = format!("proven in staging by deployment {number}");
        assert!(step.lines.iter().any(|line| line.contains("promotes d100000") && line.contains(&origin)));
        insta::assert_snapshot!(step.top(), @"
        ## ✅ production: `backend` `backend:3` serves 100 % — proven after … s

        _A rehearsal on the embedded cloud: nothing real was touched._

        | service | from → to | serves now | how it is known | took |
        |---|---|---|---|---|
        | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme-production/services/backend?region=eu-west-1) | `backend:2` → `backend:3`<br>`sha256:dd5a40af3b6f…` · [`d100000`](https://github.com/acme/shop/commit/d…) · proven in staging by deployment 1 | `backend:3` · `sha256:dd5a40af3b6f…` | service deployment SUCCESSFUL, 2 of 2 targets healthy | … s |
        ");
        let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
        assert_eq!(services["backend"]["commit"], sha("d1"));
    });
}

/// From a build for staging to production: one build, one digest, and a record in both places.
#[test]
fn what_was_built_for_staging_is_what_production_gets() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let staged = world.run(&world.push("develop", "d1")).await;
        assert_eq!((staged.code, staged.output("outcome")), (0, "deployed"), "{:#?}", staged.lines);
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!(step.output("image"), staged.output("image"));
        assert_eq!(world.serves("acme-production"), world.serves("acme-staging"));
        assert_eq!(
            world.proven_commits("production").await,
            [sha("d1")],
            "the record names what was promoted"
        );
        let again = world.run(&world.by_hand("aa")).await;
        assert_eq!((again.code, again.output("outcome")), (0, "unchanged"), "{:#?}", again.lines);
    });
}

/// What is named is meant, also where something newer serves; a run of an event does not go back.
#[test]
fn an_older_proof_comes_back_by_name_only() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let (first, second) = (world.image("acme/backend", "d1"), world.image("acme/backend", "d2"));
        world.proved("staging", "d1", &[("backend", &first)]).await;
        world.proved("staging", "d2", &[("backend", &second)]).await;
        assert_eq!(world.run(&world.by_hand("aa")).await.output("image"), second);
        let pushed = world.run(&world.push("main", "aa")).await;
        assert_eq!((pushed.code, pushed.output("outcome")), (5, "superseded"), "{:#?}", pushed.lines);
        let named = world.run(&world.by_hand("aa").with("INPUT_TO", "d100000")).await;
        assert_eq!((named.code, named.output("image")), (0, first.as_str()), "{:#?}", named.lines);
    });
}

#[test]
fn an_event_takes_what_its_commit_contains_and_a_person_the_newest() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let (first, second) = (world.image("acme/backend", "d1"), world.image("acme/backend", "d2"));
        world.proved("staging", "d1", &[("backend", &first)]).await;
        world.proved("staging", "d2", &[("backend", &second)]).await;
        let pushed = world.run(&world.push("main", "aa")).await;
        assert_eq!((pushed.code, pushed.output("image")), (0, first.as_str()), "{:#?}", pushed.lines);
        let by_hand = world.run(&world.by_hand("aa")).await;
        assert_eq!((by_hand.code, by_hand.output("image")), (0, second.as_str()), "{:#?}", by_hand.lines);
    });
}

#[test]
fn the_commit_of_the_run_itself_comes_before_anything_newer() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let (own, newer) = (world.image("acme/backend", "aa"), world.image("acme/backend", "d2"));
        world.proved("staging", "aa", &[("backend", &own)]).await;
        world.proved("staging", "d2", &[("backend", &newer)]).await;
        let step = world.run(&world.by_hand("aa")).await;
        assert_eq!((step.code, step.output("image")), (0, own.as_str()), "{:#?}", step.lines);
        let compared = step.times("repos/compare-commits");
        assert_eq!(compared, 0, "the same commit needs no comparison");
    });
}

#[test]
fn a_commit_or_a_digest_is_promoted_by_name() {
    for of_digest in [false, true] {
        virtually(async {
            let world = World::of(CONFIG, PAST);
            let (first, second) = (world.image("acme/backend", "d1"), world.image("acme/backend", "d2"));
            world.proved("staging", "d1", &[("backend", &first)]).await;
            world.proved("staging", "d2", &[("backend", &second)]).await;
            let digest = first.split('@').nth(1).unwrap();
            let to = if of_digest { digest } else { "d100000" };
            let step = world.run(&world.by_hand("aa").with("INPUT_TO", to)).await;
            assert_eq!((step.code, step.output("image")), (0, first.as_str()), "{to}: {:#?}", step.lines);
        });
    }
}

#[test]
fn without_evidence_nothing_comes_in_and_it_is_said_what_there_is() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let mut told = Vec::new();
        let nothing = world.run(&world.push("main", "aa")).await;
        told.push(nothing.annotated());
        let image = world.image("acme/backend", "d2");
        world.proved("staging", "d2", &[("backend", &image)]).await;
        let before = world.cloud.calls().len();
        for runner in [
            world.push("main", "aa"),
            world.by_hand("aa").with("INPUT_TO", "d100000"),
            world.by_hand("aa").with("INPUT_GITHUB-TOKEN", ""),
        ] {
            let step = world.run(&runner).await;
            assert_eq!((step.code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
            told.push(step.annotated());
        }
        assert_eq!(world.moved(before), 0);
        insta::assert_snapshot!(told.join("\n"), @"
        ::error title=backend%3A promotion unproven::`staging` has not proven anything yet, so there is nothing to promote.%0ADeploy to `staging` first; its job needs `permissions: deployments: write` to say what it proved.
        ::error title=backend%3A promotion unproven::Nothing that `staging` has proven is contained in the commit aa00000, so nothing is promoted.%0AProven there, newest first: d200000 (`backend`; deployment 1, 2026-03-02 hh:mm UTC). Merge what was proven (a squash or a rebase makes other commits), or start the workflow by hand (workflow_dispatch), which takes the newest or what the input `to` names.
        ::error title=backend%3A promotion unproven::`staging` has not proven `d100000`, so it is not promoted.%0AProven there, newest first: d200000 (`backend`; deployment 1, 2026-03-02 hh:mm UTC).
        ::error title=backend%3A promotion unproven::What `staging` has proven cannot be read: there is no token, or no repository, to ask GitHub about.%0AGive the input `github-token`; on a laptop set GITHUB_TOKEN and GITHUB_REPOSITORY.
        ");
    });
}

/// A failed deployment, and a success that is not ours, prove nothing.
#[test]
fn only_a_success_of_ours_is_evidence() {
    use crate::support::github::Asker;
    use serde_json::json;
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let image = world.image("acme/backend", "d1");
        for (state, description) in [("failure", "Roadstead: failed"), ("success", "")] {
            let record = json!({ "environment": "staging", "commit": sha("d1"), "services": { "backend": { "image": image } } });
            let body = json!({ "ref": sha("d1"), "auto_merge": false, "required_contexts": [], "environment": "staging",
                "payload": { "roadstead": record, "run": "1/1" } });
            let asker = Asker::of(&world.cloud);
            let made = asker.rest("POST", "/repos/acme/shop/deployments", body).await;
            let path = format!("/repos/acme/shop/deployments/{}/statuses", made.body["id"]);
            asker.rest("POST", &path, json!({ "state": state, "description": description })).await;
        }
        let step = world.run(&world.by_hand("aa")).await;
        assert_eq!((step.code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
    });
}

#[test]
fn the_only_way_in_is_promotion() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let image = world.image("acme/backend", "d1");
        let named = world.run(&world.push("main", "aa").with("INPUT_IMAGE", &image)).await;
        let nowhere = world.run(&world.push("develop", "d1").with("INPUT_OPERATION", "promote")).await;
        assert_eq!((named.code, nowhere.code), (2, 2));
        insta::assert_snapshot!([named.annotated(), nowhere.annotated()].join("\n"), @"
        ::error title=input invalid::`production` takes only what `staging` has proven, so no image can be named.%0ALeave out the input `image`. `operation: promote` with `to` takes a proven commit or digest.
        ::error title=input invalid::`staging` has no `promote-from`, so nothing can be promoted into it.%0ASay in the deploy file which environment proves its versions, or use `operation: deploy`.
        ");
    });
}

#[test]
fn a_service_that_was_never_proven_keeps_all_out_by_name() {
    let config = format!(
        "{CONFIG}  worker: {{ repository: acme/worker, ecs: {{ cluster: \"acme-${{environment}}\", service: worker }} }}\n"
    );
    virtually(async {
        let world = World::of(&config, PAST);
        let image = world.image("acme/backend", "d1");
        world.proved("staging", "d1", &[("backend", &image)]).await;
        let before = world.cloud.calls().len();
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, world.moved(before)), (2, 0));
        insta::assert_snapshot!(step.annotated(), @"::error title=worker%3A promotion unproven::`staging` has never proven the service `worker`, so nothing of it is promoted.%0AProven there, newest first: d100000 (`backend`; deployment 1, 2026-03-02 hh:mm UTC).");
        let one = world.run(&world.push("main", "aa").with("INPUT_SERVICES", "backend")).await;
        assert_eq!(one.code, 0, "{:#?}", one.lines);
    });
}

#[test]
fn an_image_that_is_gone_is_told_before_any_change() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let gone = format!("{HOST}/acme/backend@sha256:{}", "0".repeat(64));
        world.proved("staging", "d1", &[("backend", &gone)]).await;
        world.image("acme/backend", "d2");
        let before = world.cloud.calls().len();
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, world.moved(before)), (2, 0));
        insta::assert_snapshot!(step.annotated(), @"::error title=backend%3A image missing::The image `111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:…`, which `staging` proved, is not in the registry any more.%0ACheck the lifecycle policy of that repository; deploy to `staging` again, so that it is built and proven anew.");
    });
}

#[test]
fn an_image_of_another_account_is_copied_and_deployed_from_our_own_registry() {
    virtually(async {
        let world = World::of(ACCOUNTS, ABROAD);
        let digest = proved_abroad(&world).await;
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, step.annotated().as_str()), (0, ""), "{:#?}", step.lines);
        assert_eq!(step.output("image"), format!("{OWN}/acme/backend@{digest}"));
        assert_eq!((step.times("CompleteBlobUpload"), step.times("PutManifest")), (4, 3));
        let roles: Vec<_> =
            step.calls.iter().filter(|call| call.operation == "AssumeRoleWithWebIdentity").collect();
        assert_eq!(roles.len(), 1, "the repository's policy lets us in: no other role is needed");
        let tags = world.cloud.read(|world| {
            let images = &world.repositories["acme/backend"].images;
            images.iter().find(|image| image.digest == digest).unwrap().tags.clone()
        });
        assert_eq!(tags, ["sha-d100000"], "the commit's name for lifecycle policies and for people");
        insta::assert_snapshot!(step.top(), @"
        ## ✅ production: `backend` `backend:2` serves 100 % — proven after … s

        _A rehearsal on the embedded cloud: nothing real was touched._

        | service | from → to | serves now | how it is known | took |
        |---|---|---|---|---|
        | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme/services/backend?region=eu-west-1) | `backend:1` → `backend:2`<br>`sha256:b482e5ac764d…` · [`d100000`](https://github.com/acme/shop/commit/d…) · proven in staging by deployment 1 | `backend:2` · `sha256:b482e5ac764d…` | service deployment SUCCESSFUL, 2 of 2 targets healthy | … s |
        ");
        let again = world.run(&world.push("main", "aa")).await;
        assert_eq!((again.output("outcome"), again.times("CompleteBlobUpload")), ("unchanged", 4));
    });
}

#[test]
fn the_role_of_staging_is_used_where_ours_may_not_pull() {
    let closed = ABROAD.replace("readers: [\"222222222222\"], ", "");
    virtually(async {
        let world = World::of(ACCOUNTS, &closed);
        let digest = proved_abroad(&world).await;
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, step.annotated().as_str()), (0, ""), "{:#?}", step.lines);
        assert_eq!(step.output("image"), format!("{OWN}/acme/backend@{digest}"));
    });
    let shut = format!("{closed}trust: {{ roles: [\"arn:aws:iam::222222222222:role/production\"] }}\n");
    virtually(async {
        let world = World::of(ACCOUNTS, &shut);
        proved_abroad(&world).await;
        let before = world.cloud.calls().len();
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, world.moved(before)), (2, 0));
        insta::assert_snapshot!(step.annotated(), @r#"::error title=backend%3A permission missing::The image that `staging` proved cannot be read from `111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend`.%0AThe role may not do this in the repository `111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend`. {"errors":[{"code":"DENIED","message":"User: arn:aws:sts::222222222222:assumed-role/deploy/roadstead is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:111111111111:repository/acme/backend because no resource-based policy allows the ecr:BatchGetImage action"}]}%0ALet the policy of that repository allow this environment's account to pull (ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability), or let this job assume the role of `staging`."#);
    });
}

/// Two repositories of one registry: layers are mounted where the account has that on, and passed on where it has not.
#[test]
fn between_two_repositories_of_a_registry_layers_are_mounted() {
    let config =
        CONFIG.replace("    repository: acme/backend\n", "    repository: \"acme/${environment}\"\n");
    for (mounting, expected) in [("true", (4, 0)), ("false", (4, 4))] {
        virtually(async {
            let scenario =
                format!("{PAST}blob-mounting: {mounting}\nrepositories: {{ acme/production: {{}} }}\n");
            let world = World::of(&config, &scenario);
            let image = world.image("acme/staging", "d1");
            world.proved("staging", "d1", &[("backend", &image)]).await;
            let step = world.run(&world.push("main", "aa")).await;
            assert_eq!((step.code, step.annotated().as_str()), (0, ""), "{:#?}", step.lines);
            assert_eq!(step.output("image"), image.replace("acme/staging", "acme/production"));
            assert_eq!((step.times("MountBlob"), step.times("CompleteBlobUpload")), expected);
        });
    }
}

/// The runner's connection dies in the middle of the copy: nothing was released, and the next run sends the rest.
#[test]
fn a_copy_that_breaks_off_releases_nothing_and_goes_on_later() {
    virtually(async {
        let world = World::of(ACCOUNTS, ABROAD);
        let digest = proved_abroad(&world).await;
        let seen = Arc::new(AtomicU32::new(0));
        world.cloud.on_call(Box::new(move |moment| {
            let put = moment.phase == Phase::Before && moment.call.operation == "CompleteBlobUpload";
            let struck = put && seen.fetch_add(1, Ordering::Relaxed) >= 2;
            if struck { Interrupt::Lose } else { Interrupt::Pass }
        }));
        let before = world.cloud.calls().len();
        let broken = world.run(&world.push("main", "aa")).await;
        assert_eq!((broken.code, world.moved(before)), (2, 0), "{:#?}", broken.lines);
        assert!(broken.annotated().contains("push failed"), "{}", broken.annotated());
        world.cloud.on_call(Box::new(|_| Interrupt::Pass));
        let sent = world.cloud.calls().len();
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, step.output("image")), (0, format!("{OWN}/acme/backend@{digest}").as_str()));
        let again = step.calls[sent..].iter().filter(|call| call.operation == "CompleteBlobUpload").count();
        assert_eq!(again, 2, "two layers had arrived before");
    });
}

#[test]
fn a_layer_with_other_content_never_reaches_production() {
    virtually(async {
        let world = World::of(ACCOUNTS, ABROAD);
        proved_abroad(&world).await;
        world.cloud.on_call(Box::new(|moment| {
            let struck = moment.phase == Phase::After && moment.call.operation == "GetLayer";
            if struck {
                Interrupt::Answer(serde_json::json!("not what was proven ".repeat(90)))
            } else {
                Interrupt::Pass
            }
        }));
        let before = world.cloud.calls().len();
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, world.moved(before)), (2, 0));
        assert!(step.annotated().contains("digest mismatch"), "{}", step.annotated());
        assert!(world.cloud.read(|world| world.repositories["acme/backend"].blobs.is_empty()));
    });
}

#[test]
fn a_pull_request_is_told_what_a_merge_would_promote_or_that_nothing_is_proven() {
    let event = format!(
        "{{\"pull_request\": {{\"number\": 3, \"head\": {{\"sha\": \"{}\", \"repo\": {{\"id\": 1}}}}, \"base\": {{\"ref\": \"main\", \"repo\": {{\"id\": 1}}}}}}}}",
        sha("bb")
    );
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let asks = || {
            world
                .push("main", "bb")
                .with("GITHUB_EVENT_NAME", "pull_request")
                .with("GITHUB_REF", "refs/pull/3/merge")
                .with("GITHUB_HEAD_REF", "topic")
                .with("GITHUB_BASE_REF", "main")
                .file("event.json", &event)
        };
        let nothing = world.run(&asks()).await;
        assert_eq!((nothing.code, nothing.output("outcome")), (0, "planned"), "{:#?}", nothing.lines);
        let image = world.image("acme/backend", "d1");
        world.proved("staging", "d1", &[("backend", &image)]).await;
        let before = world.cloud.calls().len();
        let step = world.run(&asks()).await;
        assert_eq!((step.code, step.output("outcome"), world.moved(before)), (0, "planned", 0));
        insta::assert_snapshot!([nothing.annotated(), step.top()].join("\n"), @"
        ::warning title=backend%3A promotion unproven::`staging` has not proven anything yet, so there is nothing to promote.%0ADeploy to `staging` first; its job needs `permissions: deployments: write` to say what it proved.
        ::notice title=not published::The plan could not be shown as a comment. In `acme/shop`, pull request #3 is not there, or this token may not see it.%0AThe job summary has the whole plan.
        ## 📋 production: `backend` would change in 1 place — this is a plan, nothing was touched

        _A rehearsal on the embedded cloud: nothing real was touched._

        | service | what changes | how | expected |
        |---|---|---|---|
        | [`backend`](https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/acme-production/services/backend?region=eu-west-1) | image `111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1` → `d100000 (dd5a40af3b6f…), proven in staging by deployment 2` | rolling | – |

        **1 notice**

        - `not-published` — The plan could not be shown as a comment. In `acme/shop`, pull request #&#8203;3 is not there, or this token may not see it. The job summary has the whole plan.
        ");
    });
}

/// With the policy that is printed for production and nothing else an image comes from another account.
#[test]
fn the_printed_policy_is_enough() {
    use roadstead::cli::policy::policy;
    use roadstead::rehearsal::policy::Policy;
    let text = policy(std::path::Path::new("/nonexistent"), "roadstead.yml", ACCOUNTS, "production").unwrap();
    let printed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = printed["Statement"].as_array().unwrap();
    let source = statements.iter().find(|statement| statement["Sid"] == "Source").unwrap();
    assert_eq!(source["Resource"][0], "arn:aws:ecr:eu-west-1:111111111111:repository/acme/backend");
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    let allow: Vec<String> = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
    virtually(async {
        let world = World::of(ACCOUNTS, ABROAD);
        proved_abroad(&world).await;
        world.cloud.change(|world, _| world.policy = Policy { allow: allow.clone(), deny: Vec::new() });
        let step = world.run(&world.push("main", "aa")).await;
        assert_eq!((step.code, step.annotated().as_str()), (0, ""), "{:#?}", step.lines);
    });
    for action in ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"] {
        virtually(async {
            let world = World::of(ACCOUNTS, ABROAD);
            proved_abroad(&world).await;
            let deny = vec![action.to_owned()];
            world.cloud.change(|world, _| world.policy = Policy { allow: allow.clone(), deny });
            let before = world.cloud.calls().len();
            let step = world.run(&world.push("main", "aa")).await;
            // A layer that is sent whole needs no parts.
            let expected = if action == "ecr:UploadLayerPart" { 0 } else { 2 };
            assert_eq!((step.code, expected == 0 || world.moved(before) == 0), (expected, true), "{action}");
        });
    }
}

/// A rollback needs no evidence: it goes back to what completed in production itself.
#[test]
fn a_rollback_is_possible_without_any_evidence() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let (first, second) = (world.image("acme/backend", "d1"), world.image("acme/backend", "d2"));
        world.proved("staging", "d1", &[("backend", &first)]).await;
        world.proved("staging", "d2", &[("backend", &second)]).await;
        for to in ["d100000", "d200000"] {
            assert_eq!(world.run(&world.by_hand("aa").with("INPUT_TO", to)).await.code, 0);
        }
        let back = world.run(&world.by_hand("aa").with("INPUT_OPERATION", "rollback")).await;
        assert_eq!((back.code, back.output("outcome")), (0, "rolled-back"), "{:#?}", back.lines);
        assert!(first.ends_with(&world.serves("acme-production")));
    });
}
