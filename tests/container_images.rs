//! `ecs.images`: several containers of one task definition are built, released in one revision, proven, promoted and rolled
//! back together. Whole runs over the emulator.

use std::path::Path;

use roadstead::cli::policy::policy_json;
use roadstead_cloud::cloud::Cloud;
use serde_json::{Value, json};

use crate::support::promotion::{HISTORY, HOST, PromotionHarness, full_sha};
use crate::support::run_in_virtual_time;
use crate::support::runner::{Runner, StepResult};

/// PHP behind nginx, and a sidecar that is in the definition only.
const DEFINITION: &str = r#"{
  "family": "shop", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::111111111111:role/shop-execution",
  "containerDefinitions": [
    { "name": "php", "image": "<PHP>", "essential": true },
    { "name": "nginx", "image": "<NGINX>", "essential": true, "portMappings": [{ "containerPort": 80 }] },
    { "name": "log", "image": "public.ecr.aws/aws/fluent-bit:2", "essential": false }
  ]
}"#;

const BUILT: &str = "nginx: { build: { context: nginx }, repository: acme/nginx }";

fn config(images: &str) -> String {
    format!(
        "environments:
  production: {{ branches: [main], aws: {{ region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }} }}
services:
  shop:
    build: {{ context: php }}
    repository: acme/php
    ecs: {{ cluster: acme, service: shop, container: php, task-definition: deploy/shop.json, images: {{ {images} }} }}
"
    )
}

/// A runner for a push of this commit.
fn runner(images: &str, commit: &str) -> Runner {
    Runner::builtin("happy")
        .with_config(&config(images))
        .with_file("workspace/deploy/shop.json", DEFINITION)
        .with_variable("GITHUB_SHA", &full_sha(commit))
        .with_variable("GITHUB_RUN_ID", &format!("1{}", u32::from_str_radix(commit, 16).unwrap()))
}

/// The definitions that were registered, oldest first.
fn registered(step: &StepResult) -> Vec<Value> {
    let calls =
        step.calls.iter().filter(|call| call.operation == "RegisterTaskDefinition" && call.took_effect);
    calls.map(|call| call.input.clone()).collect()
}

/// The image of a container in the definition that was registered last.
fn image_of(step: &StepResult, container: &str) -> String {
    let definition = registered(step).pop().unwrap();
    let all = definition["containerDefinitions"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == container).unwrap();
    found["image"].as_str().unwrap().to_owned()
}

/// Whether an image is in this repository of the environment, by digest.
fn is_pinned(image: &str, repository: &str) -> bool {
    image.starts_with(&format!("{HOST}/{repository}@sha256:"))
}

/// The digests that run in a service.
fn running_digests(cloud: &Cloud, cluster: &str, service: &str) -> Vec<String> {
    let serving = cloud.serving_state(cluster, service).unwrap();
    let running = serving.versions.values().filter(|version| version.running > 0);
    running.flat_map(|version| version.digests.iter().cloned()).collect()
}

fn digest_of(image: &str) -> &str {
    image.split_once('@').unwrap().1
}

#[test]
fn images_of_all_containers_are_released_in_one_revision() {
    run_in_virtual_time(async {
        let runner = runner(BUILT, "aa");
        let (cloud, clock) = runner.start_cloud();
        let step = runner.run_main_on(&cloud, clock).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!((registered(&step).len(), step.count_calls("UpdateService")), (1, 1));
        let (php, nginx) = (image_of(&step, "php"), image_of(&step, "nginx"));
        assert!(is_pinned(&php, "acme/php") && is_pinned(&nginx, "acme/nginx"), "{php} {nginx}");
        assert_eq!(image_of(&step, "log"), "public.ecr.aws/aws/fluent-bit:2");
        let running = running_digests(&cloud, "acme", "shop");
        for image in [&php, &nginx] {
            assert!(running.iter().any(|digest| digest == digest_of(image)), "{image} of {running:?}");
        }
        // The outputs of one image are those of the service; the others are beside them.
        assert_eq!((step.output("image"), step.output("digest")), (php.as_str(), digest_of(&php)));
        let services: Value = serde_json::from_str(step.output("services")).unwrap();
        let containers = &services["shop"]["containers"];
        assert_eq!(*containers, json!({ "nginx": { "image": nginx, "digest": digest_of(&nginx) } }));
        assert!(step.summary.contains("`nginx` `sha256:"), "{}", step.summary);
        let again = runner.run_main_on(&cloud, clock).await;
        assert_eq!((again.exit_code, again.output("outcome")), (0, "unchanged"), "{:#?}", again.lines);
        assert_eq!(registered(&again).len(), 1);
    });
}

#[test]
fn plan_shows_the_image_of_each_container_and_builds_none() {
    let step = runner(BUILT, "aa").with_variable("INPUT_OPERATION", "plan").run_main();
    assert_eq!((step.exit_code, step.output("outcome")), (0, "planned"), "{:#?}", step.lines);
    assert_eq!(step.count_changes(), 0);
    let plan: Value = serde_json::from_str(step.output("plan")).unwrap();
    let changes = plan["shop"]["changes"].as_array().unwrap().iter();
    let shown: Vec<String> = changes.map(|it| format!("{}: {}", it["field"], it["to"])).collect();
    assert_eq!(
        shown,
        [r#""image": "acme/php, built from aa00000""#, r#""nginx: image": "acme/nginx, built from aa00000""#]
    );
}

/// Containers with the repository of the service, or with that of each other, get one image of one build.
#[test]
fn containers_of_one_repository_share_one_build() {
    let images = "nginx: { repository: acme/php }, log: { build: { context: log }, repository: acme/log }";
    let step = runner(images, "aa").run_main();
    assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
    assert_eq!(image_of(&step, "nginx"), image_of(&step, "php"));
    let images = "nginx: { build: { context: side }, repository: acme/side }, log: { repository: acme/side }";
    let step = runner(images, "aa").run_main();
    assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
    assert_eq!(image_of(&step, "nginx"), image_of(&step, "log"));
    assert!(
        is_pinned(&image_of(&step, "log"), "acme/side") && is_pinned(&image_of(&step, "php"), "acme/php")
    );
    let built =
        step.lines.iter().filter(|line| line.contains("acme/side") && line.contains("build ")).count();
    assert_eq!(built, 1, "{:#?}", step.lines);
}

/// A fixed image is pinned to its digest. If its tag moves, that is a change, although the image of the service is the same.
#[test]
fn fixed_image_is_pinned_and_a_moved_tag_is_a_change() {
    run_in_virtual_time(async {
        let runner = runner(&format!("nginx: {{ image: \"{HOST}/acme/nginx:stable\" }}"), "aa");
        let (cloud, clock) = runner.start_cloud();
        let first = cloud.push_image("acme/nginx", &["stable"], "linux/amd64", "1");
        let step = runner.run_main_on(&cloud, clock).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!(digest_of(&image_of(&step, "nginx")), first);
        let same = runner.run_main_on(&cloud, clock).await;
        assert_eq!(same.output("outcome"), "unchanged", "{:#?}", same.lines);
        let second = cloud.push_image("acme/nginx", &["stable"], "linux/amd64", "2");
        let moved = runner.run_main_on(&cloud, clock).await;
        assert_eq!((moved.exit_code, moved.output("outcome")), (0, "deployed"), "{:#?}", moved.lines);
        assert_eq!(digest_of(&image_of(&moved, "nginx")), second);
        assert_eq!(moved.output("image"), step.output("image"));
    });
}

/// What is wrong with one image stops the service before its first change.
#[test]
fn wrong_image_of_any_container_stops_the_release_before_any_change() {
    let fixed = format!("nginx: {{ image: \"{HOST}/acme/nginx:stable\" }}");
    let missing = format!("The image `{HOST}/acme/nginx:stable` is not in the registry.");
    for (images, pushed, broken, expected) in [
        (fixed.as_str(), Some(("other", "linux/amd64")), &[][..], missing.as_str()),
        (&fixed, Some(("stable", "linux/arm64")), &[], "linux/arm64"),
        (BUILT, None, &["shop/nginx"], "The image could not be built."),
        (BUILT, None, &["shop", "shop/nginx"], "The image could not be built."),
    ] {
        run_in_virtual_time(async {
            // The image that runs is another one, so that nothing of the entry exists before.
            let definition = DEFINITION.replace("<NGINX>", "public.ecr.aws/nginx/nginx:1");
            let runner = runner(images, "aa").with_broken_builds(broken);
            let runner = runner.with_file("workspace/deploy/shop.json", &definition);
            let (cloud, clock) = runner.start_cloud();
            if let Some((tag, platform)) = pushed {
                cloud.push_image("acme/nginx", &[tag], platform, "1");
            }
            let step = runner.run_main_on(&cloud, clock).await;
            assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
            assert!(step.annotation_lines().contains(expected), "{expected}: {}", step.annotation_lines());
            assert_eq!(registered(&step).len() + step.count_calls("UpdateService"), 0);
        });
    }
}

/// All problems of the deploy file at once, each at its line, before any call.
#[test]
fn wrong_entries_are_rejected_at_their_lines() {
    let config = config("IMAGES").replace(
        "images: { IMAGES } }",
        "images: {
      php: { repository: acme/other },
      ngnix: { repository: acme/nginx },
      log: {} } }",
    );
    let step = Runner::builtin("happy")
        .with_config(&config)
        .with_file("workspace/deploy/shop.json", DEFINITION)
        .run_main();
    assert_eq!((step.exit_code, step.count_changes()), (2, 0), "{:#?}", step.lines);
    insta::assert_snapshot!(step.annotation_lines(), @"
    ::error title=shop%3A task definition invalid,file=deploy/shop.json,line=6,col=24::`<NGINX>` is not an image reference.%0AWrite the image: only those of `ecs.container` and `ecs.images` are replaced.
    ::error title=shop%3A config invalid,file=.github/roadstead.yml,line=8,col=7::The container `php` gets the image of the service and is in `ecs.images`, too.%0ARemove it from `images`, or name the container of the service in `ecs.container`.
    ::error title=shop%3A container ambiguous,file=.github/roadstead.yml,line=9,col=7::The task definition has no container `ngnix`.%0ADid you mean `nginx`? The containers are `php`, `nginx`, `log`.
    ::error title=shop%3A config invalid,file=.github/roadstead.yml,line=10,col=7::The container `log` in `ecs.images` has neither `build` nor `repository` nor `image`.%0AAdd `repository` and `build` for an image that is built, or `image` for a fixed one.
    ");
}

/// The build of a further container is checked like that of a service, at its line.
#[test]
fn build_of_a_container_is_checked_at_its_line() {
    for (build, kind, expected) in [
        ("{ args: { NPM_TOKEN: x } }", "warning", "The build argument `NPM_TOKEN` looks like a secret"),
        ("{ secrets: [\"a=b\"] }", "error", "The build secret `a=b`"),
        ("{ context: ../.. }", "error", "is outside of the workspace"),
        (
            "{ contexts: nginx }",
            "error",
            "`contexts` is not a key of `build` of the container `nginx` of service `shop`.",
        ),
    ] {
        let images = format!("nginx: {{ repository: acme/nginx, build: {build} }}");
        let step = runner(&images, "aa").with_variable("INPUT_OPERATION", "plan").run_main();
        let found = step.annotations();
        let found: Vec<&&str> = found.iter().filter(|line| line.contains(expected)).collect();
        assert_eq!(found.len(), 1, "{build}: {:#?}", step.lines);
        let at_line = format!("::{kind} title=");
        assert!(found[0].starts_with(&at_line) && found[0].contains(",line=7,"), "{build}: {}", found[0]);
        assert_eq!(step.exit_code, if kind == "error" { 2 } else { 0 }, "{build}: {:#?}", step.lines);
    }
}

/// The input `image` is about the image of the service: the others are built as the deploy file says.
#[test]
fn input_image_replaces_that_of_the_service_only() {
    run_in_virtual_time(async {
        let runner = runner(BUILT, "aa");
        let (cloud, clock) = runner.start_cloud();
        let digest = cloud.push_image("acme/php", &["hotfix"], "linux/amd64", "hotfix");
        let runner = runner.with_variable("INPUT_IMAGE", &format!("{HOST}/acme/php:hotfix"));
        let step = runner.run_main_on(&cloud, clock).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!(digest_of(&image_of(&step, "php")), digest);
        assert!(is_pinned(&image_of(&step, "nginx"), "acme/nginx"));
    });
}

/// Rollback and `set-env` keep all images of the revision that they are about.
#[test]
fn rollback_and_set_env_keep_all_images() {
    run_in_virtual_time(async {
        let first = runner(BUILT, "aa");
        let (cloud, clock) = first.start_cloud();
        let one = first.run_main_on(&cloud, clock).await;
        let before = running_digests(&cloud, "acme", "shop");
        let two = runner(BUILT, "bb").run_main_on(&cloud, clock).await;
        assert_eq!([one.output("outcome"), two.output("outcome")], ["deployed"; 2], "{:#?}", two.lines);
        assert_ne!(running_digests(&cloud, "acme", "shop"), before);
        let back = runner(BUILT, "cc").with_variable("INPUT_OPERATION", "rollback");
        let back = back.run_main_on(&cloud, clock).await;
        assert_eq!((back.exit_code, back.output("outcome")), (0, "rolled-back"), "{:#?}", back.lines);
        assert_eq!(running_digests(&cloud, "acme", "shop"), before);
        let services: Value = serde_json::from_str(back.output("services")).unwrap();
        assert_eq!(services["shop"]["containers"]["nginx"]["image"], image_of(&one, "nginx"));
        let set = runner(BUILT, "dd")
            .with_variable("INPUT_OPERATION", "set-env")
            .with_variable("INPUT_SET", "shop.FLAG=on");
        let set = set.run_main_on(&cloud, clock).await;
        assert_eq!((set.exit_code, set.output("outcome")), (0, "deployed"), "{:#?}", set.lines);
        assert_eq!(running_digests(&cloud, "acme", "shop"), before);
        assert_eq!(image_of(&set, "nginx"), image_of(&one, "nginx"));
    });
}

const TWO_ENVIRONMENTS: &str = "environments:
  staging: { branches: [develop], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/staging\" } }
  production: { branches: [main], promote-from: staging, aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/production\" } }
services:
  backend:
    repository: acme/backend
    environments: { production: { ecs: { images: { nginx: { repository: acme/live-nginx } } } } }
    ecs: { cluster: \"acme-${environment}\", service: backend, container: app, images: { nginx: { build: { context: nginx }, repository: acme/nginx } } }
";

/// The emulated world of promotions, with nginx in the definition of staging.
fn promotion_world() -> PromotionHarness {
    let definition = json!({
        "family": "backend", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "executionRoleArn": "arn:aws:iam::111111111111:role/execution",
        "containerDefinitions": [
            { "name": "app", "image": format!("{HOST}/acme/backend:v1") },
            { "name": "nginx", "image": format!("{HOST}/acme/nginx:v1") },
        ],
    });
    let images = "{ images: [{ tags: [v1] }] }";
    let scenario = HISTORY.replace(
        "services: [{ cluster: acme-staging, name: backend }]",
        &format!(
            "services: [{{ cluster: acme-staging, name: backend, task-definition: {definition} }}]\nrepositories: {{ acme/backend: {images}, acme/nginx: {images}, acme/live-nginx: {images} }}"
        ),
    );
    PromotionHarness::new(TWO_ENVIRONMENTS, &scenario)
}

/// One build for staging: production gets all its images, each in its own repository, and both records name all of them.
#[test]
fn promotion_brings_all_images_of_the_proven_revision() {
    run_in_virtual_time(async {
        let world = promotion_world();
        let staged = world.run(&world.push_runner("develop", "d1")).await;
        assert_eq!((staged.exit_code, staged.output("outcome")), (0, "deployed"), "{:#?}", staged.lines);
        let planned =
            world.run(&world.push_runner("main", "aa").with_variable("INPUT_OPERATION", "plan")).await;
        assert!(planned.output("plan").contains("nginx: image"), "{}", planned.output("plan"));
        let step = world.run(&world.push_runner("main", "aa")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{:#?}", step.lines);
        assert_eq!(step.output("image"), staged.output("image"));
        let (there, here) = (image_of(&staged, "nginx"), image_of(&step, "nginx"));
        assert!(is_pinned(&there, "acme/nginx") && is_pinned(&here, "acme/live-nginx"), "{there} {here}");
        assert_eq!(digest_of(&there), digest_of(&here));
        let digests = |cluster: &str| running_digests(&world.cloud, cluster, "backend");
        assert_eq!(digests("acme-staging"), digests("acme-production"));
        for (environment, image) in [("staging", &there), ("production", &here)] {
            let recorded = world.proven_services(environment, "backend").await;
            assert_eq!(recorded[0].container_images["nginx"].to_string(), *image, "{environment}");
        }
        let again = world.run(&world.dispatch_runner("aa")).await;
        assert_eq!((again.exit_code, again.output("outcome")), (0, "unchanged"), "{:#?}", again.lines);
    });
}

/// A record that does not name an image of every container from the repository of that container proves nothing.
#[test]
fn record_without_a_proven_image_of_every_container_is_not_promoted() {
    run_in_virtual_time(async {
        let world = promotion_world();
        let (app, nginx) = (world.push_image("acme/backend", "d1"), world.push_image("acme/evil", "d1"));
        let mut told = Vec::new();
        for containers in [json!({}), json!({ "nginx": nginx })] {
            let services = json!({ "backend": { "image": app, "containers": containers } });
            world.record_proven_services("staging", "d1", services).await;
            let step = world.run(&world.dispatch_runner("aa")).await;
            assert_eq!((step.exit_code, step.output("outcome")), (2, "invalid"), "{:#?}", step.lines);
            told.push(step.annotation_lines());
        }
        assert!(told[0].contains("it has no image of the container `nginx`"), "{}", told[0]);
        assert!(told[1].contains("`staging` has those of the container `nginx` of `backend`"), "{}", told[1]);
    });
}

#[test]
fn policy_covers_every_repository() {
    let images = format!("{BUILT}, log: {{ image: \"{HOST}/acme/log:1\" }}");
    let config = config(&images).replace("role/deploy\"", "role/deploy\", account: \"111111111111\"");
    let text = policy_json(Path::new("/nonexistent"), "roadstead.yml", &config, "production").unwrap();
    let policy: Value = serde_json::from_str(&text).unwrap();
    let allowed = |action: &str| {
        let statements = policy["Statement"].as_array().unwrap().iter();
        let with = statements.filter(|it| it["Action"].as_array().unwrap().iter().any(|own| own == action));
        let resources = with.flat_map(|it| it["Resource"].as_array().unwrap().clone());
        resources.map(|it| it.as_str().unwrap().rsplit(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        allowed("ecr:BatchGetImage"),
        ["repository/acme/log", "repository/acme/nginx", "repository/acme/php"]
    );
    assert_eq!(allowed("ecr:PutImage"), ["repository/acme/nginx", "repository/acme/php"]);
    let text =
        policy_json(Path::new("/nonexistent"), "roadstead.yml", TWO_ENVIRONMENTS, "production").unwrap();
    let policy: Value = serde_json::from_str(&text).unwrap();
    let source = policy["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == "Source").unwrap();
    assert_eq!(source["Resource"], json!(["arn:aws:ecr:eu-west-1:111111111111:repository/acme/nginx"]));
}

/// A change in the build context of a further container is a change of its service, whatever the `paths` are.
#[test]
fn change_of_a_build_context_affects_the_service() {
    let service = |name: &str, images: &str| {
        format!(
            "  {name}: {{ paths: [\"{name}/**\"], repository: acme/{name}, ecs: {{ cluster: acme, service: {name}, container: app{images} }} }}\n"
        )
    };
    let nginx = ", images: { nginx: { build: { context: docker/nginx }, repository: acme/nginx } }";
    let config = format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }} }}\nservices:\n{}{}",
        service("backend", nginx),
        service("frontend", "")
    );
    let history = "github:
  repositories:
    - name: acme/shop
      private: true
      files: { backend/main.rs: a, docker/nginx/nginx.conf: a, docker/other: a }
      history:
        - { id: c1, files: { backend/main.rs: b } }
        - { id: c2, files: { docker/nginx/nginx.conf: b } }
        - { id: c3, files: { docker/other: b } }
";
    for (proven, pushed, expected) in [("c1", "c2", vec!["backend"]), ("c2", "c3", vec![])] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(&config, history);
            let image = |name: &str| json!({ "image": world.push_image(&format!("acme/{name}"), "c1") });
            let services = json!({ "backend": image("backend"), "frontend": image("frontend") });
            world.record_proven_services("production", proven, services).await;
            let runner = world.push_runner("main", pushed).with_variable("INPUT_SERVICES", "changed");
            let step = world.run(&runner).await;
            assert_eq!(step.exit_code, 0, "{pushed}: {:#?}", step.lines);
            let released: Value = serde_json::from_str(step.output("services")).unwrap_or_default();
            let released: Vec<&String> =
                released.as_object().into_iter().flatten().map(|(name, _)| name).collect();
            assert_eq!(released, expected, "{pushed}: {:#?}", step.lines);
        });
    }
}
