//! Whole runs that build: what is told of the build, and how long it may take.

use std::collections::BTreeSet;
use std::time::Duration;

use roadstead::config::{DeployFile, Placeholders};
use roadstead_cloud::cloud::Cloud;

use crate::support::runner::{Runner, StepResult};
use crate::support::{TestRun, run_in_virtual_time};

const STRATEGIES: [&str; 3] = ["rolling", "{ rolling: { bake: 5m } }", "canary"];

fn config(build: &str, strategy: &str) -> String {
    format!(
        "environments:
  production: {{ branches: [main], aws: {{ region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }} }}
services:
  backend:
    repository: acme/backend
    build: {build}
    ecs: {{ cluster: acme, service: backend, container: app }}
    strategy: {strategy}
"
    )
}

fn run_slow_build(strategy: &str, timeout: &str, minutes: u64) -> StepResult {
    let scenario = if strategy == "canary" { "canary-healthy" } else { "happy" };
    let runner = Runner::builtin(scenario).with_config(&config("{ context: . }", strategy));
    let runner = runner.with_variable("INPUT_TIMEOUT", timeout);
    runner.with_build_time(Duration::from_secs(minutes * 60)).run_main()
}

#[test]
fn secret_in_a_build_argument_is_warned_about_on_its_line() {
    let runner = Runner::builtin("happy").with_config(&config("{ args: { NPM_TOKEN: abc } }", "rolling"));
    let step = runner.run_main();
    assert_eq!(step.output("outcome"), "deployed");
    let found = step.annotations();
    let warning =
        found.iter().find(|line| line.contains("The build argument `NPM_TOKEN` looks like a secret"));
    let warning = warning.unwrap_or_else(|| panic!("{found:?}"));
    assert!(warning.starts_with("::warning") && warning.contains("line=6"), "{warning}");
}

#[test]
fn build_that_hangs_is_stopped_while_the_rollout_and_a_rollback_still_fit() {
    for strategy in STRATEGIES {
        let step = run_slow_build(strategy, "40m", 600);
        assert_eq!((step.output("outcome"), step.exit_code), ("invalid", 2), "{strategy}");
        assert_eq!(step.count_changes(), 0, "{strategy}");
        assert!(step.elapsed < Duration::from_secs(40 * 60), "{strategy}: {:?}", step.elapsed);
    }
    let told = run_slow_build("canary", "40m", 600).annotation_lines();
    for part in ["The build of `backend` was stopped after", "its rollout needs 21m", "Nothing was changed."]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn build_that_fits_is_followed_by_the_whole_rollout() {
    for (strategy, minutes) in STRATEGIES.into_iter().zip([20, 15, 3]) {
        let step = run_slow_build(strategy, "40m", minutes);
        assert_eq!(step.output("outcome"), "deployed", "{strategy}: {:#?}", step.lines);
        assert!(step.elapsed < Duration::from_secs(40 * 60), "{strategy}: {:?}", step.elapsed);
    }
}

#[test]
fn short_run_still_has_time_to_build() {
    let step = run_slow_build("rolling", "6m", 2);
    assert_eq!(step.output("outcome"), "deployed", "{:#?}", step.lines);
    let step = run_slow_build("rolling", "6m", 4);
    assert_eq!((step.output("outcome"), step.count_changes()), ("invalid", 0));
}

fn plan(files: &[(&str, &str)], build: &str) -> StepResult {
    let runner = Runner::builtin("happy").with_config(&config(build, "rolling"));
    let runner = files
        .iter()
        .fold(runner, |runner, (name, text)| runner.with_file(&format!("workspace/{name}"), text));
    runner.with_variable("INPUT_OPERATION", "plan").run_main()
}

#[test]
fn plan_finds_what_a_deployment_would_stumble_over() {
    for (files, build, expected) in [
        (&[][..], "{ context: nowhere }", "The build context `nowhere` cannot be read."),
        (&[("app/x", "")], "{ context: app }", "The Dockerfile `app/Dockerfile` cannot be read."),
        (&[], "{ target: prod }", "The Dockerfile has no stage `prod`."),
        (&[], "{ secrets: ['id=ca,src=no.pem'], target: prod }", "needs the file `no.pem`"),
        (&[("big.bin", LFS_POINTER)], "{}", "has pointers of Git LFS in place of 1 file: `big.bin`"),
    ] {
        let step = plan(files, build);
        assert!(step.annotation_lines().contains(expected), "{build}: {}", step.annotation_lines());
        let errors = step.annotation_lines().matches("::error").count();
        assert!(errors >= 1, "{build}: {}", step.annotation_lines());
        assert_eq!((step.output("outcome"), step.exit_code), ("invalid", 2), "{build}");
    }
    assert_eq!(plan(&[], "{}").output("outcome"), "planned");
}

/// The repository of the image does not exist, or the role of the plan may not read it.
#[test]
fn plan_asks_whether_the_repository_exists() {
    let missing = config("{}", "rolling").replace("acme/backend", "acme/bakend");
    let step = Runner::custom("repositories: { acme/bakend: { missing: true } }")
        .with_config(&missing)
        .with_variable("INPUT_OPERATION", "plan")
        .run_main();
    assert_eq!((step.output("outcome"), step.exit_code), ("invalid", 2), "{}", step.annotation_lines());
    assert!(step.annotation_lines().contains("acme/bakend` does not exist"), "{}", step.annotation_lines());
    let denied = Runner::custom("faults: [deny: { action: \"ecr:BatchGetImage\" }]");
    let step =
        denied.with_config(&config("{}", "rolling")).with_variable("INPUT_OPERATION", "plan").run_main();
    assert_eq!(step.output("outcome"), "planned", "{}", step.annotation_lines());
    assert!(
        step.annotation_lines().contains("ecr:BatchGetImage is not allowed"),
        "{}",
        step.annotation_lines()
    );
}

/// What the deployment after the merge would do with the same file.
#[test]
fn build_argument_without_a_value_is_left_out() {
    let build = "{ args: { VERSION: '${tag}', COMMIT: '${sha}' } }";
    assert_eq!(plan(&[], build).output("outcome"), "planned");
}

const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn secret_that_a_rehearsal_cannot_have_is_a_warning() {
    let step = plan(&[], "{ secrets: [NPM_TOKEN] }");
    assert_eq!(step.output("outcome"), "planned", "{}", step.annotation_lines());
    assert!(step.annotation_lines().contains("::warning"), "{}", step.annotation_lines());
    let step = Runner::builtin("happy")
        .with_config(&config("{ secrets: [NPM_TOKEN] }", "rolling"))
        .with_variable("NPM_TOKEN", "x-secret-x")
        .run_main();
    assert!(!step.annotation_lines().contains("NPM_TOKEN"), "{}", step.annotation_lines());
}

/// The tags of the image in a repository of the emulator that has this one.
fn tags_beside(cloud: &Cloud, repository: &str, tag: &str) -> BTreeSet<String> {
    cloud.read(|world| {
        let mut images = world.repositories()[repository].images.iter();
        let found = images.find(|image| image.tags.iter().any(|known| known == tag));
        found.map(|image| image.tags.iter().cloned().collect()).unwrap_or_default()
    })
}

#[test]
fn git_tag_becomes_a_tag_of_the_image_and_a_branch_leaves_it_out() {
    let tags_of = |reference: &str| {
        run_in_virtual_time(async {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let runner = Runner::builtin("happy")
                .with_config(&config("{ tags: ['${tag}', '${branch}-latest', stable] }", "rolling"))
                .with_variable("GITHUB_REF", reference)
                .with_variable("GITHUB_REF_NAME", name)
                .with_variable("INPUT_ENVIRONMENT", "production");
            let (cloud, clock) = runner.start_cloud();
            let step = runner.run_main_on(&cloud, clock).await;
            assert_eq!(step.output("outcome"), "deployed", "{reference}: {:#?}", step.lines);
            tags_beside(&cloud, "acme/backend", "stable")
        })
    };
    let commit = format!("sha-{}", &crate::support::runner::SHA[..7]);
    let sorted = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(tags_of("refs/tags/v1.2.3"), sorted(&[&commit, "stable", "v1.2.3"]));
    assert_eq!(tags_of("refs/heads/main"), sorted(&[&commit, "main", "main-latest", "stable"]));
}

#[test]
fn placeholder_without_a_value_is_an_error_outside_of_tags_and_arguments() {
    let known: Placeholders = [("environment", "production".to_owned())].into();
    let problems_of = |build: &str| {
        let document = DeployFile::parse("f.yml", &config(build, "rolling")).unwrap();
        let problems = document.services("production", &[], &["ecs"], &known).1;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let told = problems_of("{ target: '${tag}' }");
    assert!(told.contains("The placeholder `${tag}` has no value"), "{told}");
    assert!(told.contains("Only a run of a Git tag has it"), "{told}");
    assert_eq!(problems_of("{ tags: ['${tag}'], args: { VERSION: '${tag}' } }"), "");
}

const SHARED: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  web: { repository: acme/shop, build: { context: web }, ecs: { cluster: acme, service: web, container: app } }
  worker: { repository: acme/shop, build: { context: WORKER }, ecs: { cluster: acme, service: worker, container: app } }
";

#[test]
fn services_of_one_repository_do_not_take_each_others_tags() {
    let tags = |config: &str| {
        let ran = TestRun { config: config.to_owned(), ..TestRun::builtin("happy") }.run();
        ran.cloud.read(|world| {
            let images = world.repositories()["acme/shop"].images.iter();
            images
                .flat_map(|image| image.tags.clone())
                .filter(|tag| tag.starts_with("sha-"))
                .collect::<Vec<_>>()
        })
    };
    let own = tags(&SHARED.replace("WORKER", "worker"));
    assert!(
        own.iter().any(|tag| tag.ends_with("-web")) && own.iter().any(|tag| tag.ends_with("-worker")),
        "{own:?}"
    );
    assert!(own.iter().all(|tag| tag.ends_with("-web") || tag.ends_with("-worker")), "{own:?}");
    // The same image for both: nothing to tell apart.
    let shared = tags(&SHARED.replace("WORKER", "web"));
    assert!(!shared.is_empty() && !shared.iter().any(|tag| tag.ends_with("-web")), "{shared:?}");
}

const GITHUB_REGISTRY: &str = "environments:
  production: { branches: [main] }
services:
  analytics:
    repository: ghcr.io/acme/analytics
    argocd:
      repository: acme/manifests
      files: [ { path: \"apps/analytics/${environment}/kustomization.yaml\" } ]
      application: analytics
      server: https://argocd.acme.dev
";

#[test]
fn run_that_pushes_outside_of_ecr_needs_nothing_of_aws() {
    let ran = TestRun { config: GITHUB_REGISTRY.into(), ..TestRun::builtin("gitops-happy") }.run();
    assert_eq!(ran.report.outcome.exit_code(), 0, "{:#?}", ran.lines);
    let image = ran.report.services[0].image.as_ref().unwrap();
    assert_eq!(image.name(), "ghcr.io/acme/analytics");
    let of_aws = ["GetAuthorizationToken", "AssumeRoleWithWebIdentity", "GetCallerIdentity"];
    let found = ran.calls.iter().filter(|call| of_aws.contains(&call.operation.as_str())).count();
    assert_eq!(found, 0, "{:#?}", ran.calls.iter().map(|call| &call.operation).collect::<Vec<_>>());
    let with_ecr = GITHUB_REGISTRY.replace("ghcr.io/acme/analytics", "acme/analytics");
    let ran = TestRun { config: with_ecr, ..TestRun::builtin("gitops-happy") }.run();
    // ECR is in a region, and this environment has none.
    assert_eq!((ran.report.outcome.exit_code(), ran.calls.len()), (2, 0), "{:#?}", ran.lines);
}
