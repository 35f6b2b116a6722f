//! Pre-flight on the emulator: all problems are found at once, and nothing is changed.

use super::super::target_tests::{ECR, EcsFixture, config, scenario};
use super::super::{Ecs, ExpectedAccount, SharedClients};
use crate::problem::Code;
use crate::release::{DefinitionFile, Release};
use crate::targets::Target;

/// Codes and severities of the pre-flight problems of a new image.
async fn preflight(rig: &EcsFixture, release: &Release) -> Vec<(Code, bool)> {
    let seen = rig.target.observe().await.unwrap();
    let (general, image) =
        tokio::join!(rig.target.preflight(release, &seen), rig.target.preflight_image(release, &seen));
    general.iter().chain(&image).map(|problem| (problem.code, problem.is_error())).collect()
}

#[tokio::test(start_paused = true)]
async fn healthy_setup_passes_preflight() {
    let rig = EcsFixture::new(scenario(""));
    assert_eq!(preflight(&rig, &rig.release("v2")).await, []);
    assert!(rig.cloud.calls().iter().all(|call| !call.is_mutating));
    let calls = rig.cloud.calls();
    let names: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert!(names.len() <= 14, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn each_missing_permission_fails_preflight() {
    for action in [
        "ecs:RegisterTaskDefinition",
        "ecs:UpdateService",
        "ecs:StopServiceDeployment",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "ecs:ListTaskDefinitions",
        "elasticloadbalancing:DescribeTargetHealth",
    ] {
        let rig = EcsFixture::new(scenario(&format!("deny: {{ action: '{action}' }}")));
        let found = preflight(&rig, &rig.release("v2")).await;
        assert_eq!(found, [(Code::PermissionMissing, true)], "{action}");
    }
    let rig = EcsFixture::new(scenario("deny: { action: 'iam:SimulatePrincipalPolicy' }"));
    assert_eq!(preflight(&rig, &rig.release("v2")).await, [(Code::PermissionUnchecked, false)]);
}

#[tokio::test(start_paused = true)]
async fn images_and_platforms_are_checked() {
    let rig = EcsFixture::new(scenario(""));
    let with = |image: String| Release { image: Some(image.parse().unwrap()), ..rig.release("v2") };
    let missing = with(format!("{ECR}/web@sha256:{}", "0".repeat(64)));
    assert_eq!(preflight(&rig, &missing).await, [(Code::ImageMissing, true)]);
    let elsewhere = with("registry.example/acme/web:1".into());
    assert_eq!(preflight(&rig, &elsewhere).await, [(Code::ImageMissing, false)]);
    for (platform, expected) in [
        ("linux/arm64", vec![(Code::PlatformMissing, true)]),
        ("linux/arm64,linux/amd64", vec![]),
        ("linux/arm64,linux/s390x", vec![(Code::PlatformMissing, true)]),
    ] {
        let digest = rig.cloud.push_image("web", &[], platform, platform);
        assert_eq!(preflight(&rig, &with(format!("{ECR}/web@{digest}"))).await, expected, "{platform}");
    }
}

#[tokio::test(start_paused = true)]
async fn account_alarms_and_controller_are_checked() {
    let mut red = scenario("alarm-red: {}");
    red.alarms.push(serde_json::from_str(r#"{"name":"5xx"}"#).unwrap());
    let rig = EcsFixture::new(red);
    let settings = rig.target.settings().clone();
    let declared = ExpectedAccount { account: Some("999999999999".into()), region: Some("us-east-1".into()) };
    let alarms = vec!["5xx".to_owned(), "gone".to_owned()];
    let target = Ecs::new(settings, declared, alarms, &SharedClients::new(&config(&rig.cloud)));
    let rig = EcsFixture { target, ..rig };
    let expected =
        [Code::AccountMismatch, Code::AccountMismatch, Code::AlarmAlreadyFiring, Code::AlarmMissing];
    assert_eq!(preflight(&rig, &rig.release("v2")).await, expected.map(|code| (code, true)));

    let mut odd = scenario("");
    odd.services[0].controller = "CODE_DEPLOY".into();
    let rig = EcsFixture::new(odd);
    assert!(
        preflight(&rig, &rig.release("v2")).await.contains(&(Code::DeploymentControllerUnsupported, true))
    );
}

#[tokio::test(start_paused = true)]
async fn rollback_version_that_cannot_start_is_a_warning() {
    let rig = EcsFixture::new(scenario(""));
    rig.cloud.change(|world, _| {
        world.repositories_mut().get_mut("web").unwrap().images.clear();
    });
    // Going forward is never refused because going back is impossible.
    assert_eq!(preflight(&rig, &rig.release("v2")).await, [(Code::RollbackTargetBroken, false)]);
    let mut first = scenario("");
    first.services[0].completed = false;
    let rig = EcsFixture::new(first);
    assert!(preflight(&rig, &rig.release("v2")).await.contains(&(Code::RollbackTargetMissing, false)));
}

#[tokio::test(start_paused = true)]
async fn secret_in_the_deploy_file_is_a_warning() {
    let rig = EcsFixture::new(scenario(""));
    let mut settings = rig.target.settings().clone();
    settings.environment = [("API_TOKEN".into(), "abcdef123456".into()), ("FLAG".into(), "on".into())].into();
    let target =
        Ecs::new(settings, ExpectedAccount::default(), Vec::new(), &SharedClients::new(&config(&rig.cloud)));
    let file = DefinitionFile { path: "td.json".into(), text: "{\"family\": \"web\"}".into() };
    let release = Release { definition: Some(file), ..rig.release("v2") };
    let found: Vec<_> = crate::targets::ecs::lint_service(target.settings(), release.definition.as_ref())
        .into_iter()
        .map(|p| (p.code, p.location.is_some()))
        .collect();
    assert_eq!(
        found,
        [
            (Code::SecretInPlainText, false),
            (Code::TaskDefinitionInvalid, true),
            (Code::ContainerAmbiguous, true),
        ]
    );
}
