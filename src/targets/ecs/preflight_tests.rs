//! Pre-flight against the embedded cloud: everything is found, all at once, and nothing is changed.

use super::rehearsals::{ECR, Rig, config, scenario};
use super::{Declared, Ecs, Shared};
use crate::problem::Code;
use crate::release::{Definition, Release};
use crate::targets::Target;

/// Codes and severities that pre-flight finds for a new image.
async fn preflight(rig: &Rig, release: &Release) -> Vec<(Code, bool)> {
    let seen = rig.target.observe().await.unwrap();
    let found = rig.target.check(release, &seen).await;
    found.iter().map(|problem| (problem.code, problem.is_error())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_sound_world_passes_the_preflight() {
    let rig = Rig::new(scenario(""));
    assert_eq!(preflight(&rig, &rig.release("v2")).await, []);
    assert!(rig.cloud.calls().iter().all(|call| !call.mutating));
    let calls = rig.cloud.calls();
    let names: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert!(names.len() <= 14, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn every_permission_is_missed_before_the_first_change() {
    for action in [
        "ecs:RegisterTaskDefinition",
        "ecs:UpdateService",
        "ecs:StopServiceDeployment",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "ecs:ListTaskDefinitions",
        "elasticloadbalancing:DescribeTargetHealth",
    ] {
        let rig = Rig::new(scenario(&format!("deny: {{ action: '{action}' }}")));
        let found = preflight(&rig, &rig.release("v2")).await;
        assert_eq!(found, [(Code::PermissionMissing, true)], "{action}");
    }
    let rig = Rig::new(scenario("deny: { action: 'iam:SimulatePrincipalPolicy' }"));
    assert_eq!(preflight(&rig, &rig.release("v2")).await, [(Code::PermissionUnchecked, false)]);
}

#[tokio::test(start_paused = true)]
async fn images_are_looked_for_with_their_platform() {
    let rig = Rig::new(scenario(""));
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
        let digest = rig.cloud.push("web", &[], platform, platform);
        assert_eq!(preflight(&rig, &with(format!("{ECR}/web@{digest}"))).await, expected, "{platform}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_world_around_is_checked() {
    let mut red = scenario("alarm-red: {}");
    red.alarms.push(serde_json::from_str(r#"{"name":"5xx"}"#).unwrap());
    let rig = Rig::new(red);
    let settings = rig.target.settings().clone();
    let declared = Declared { account: Some("999999999999".into()), region: Some("us-east-1".into()) };
    let alarms = vec!["5xx".to_owned(), "gone".to_owned()];
    let target = Ecs::new(settings, declared, alarms, &Shared::new(&config(&rig.cloud)));
    let rig = Rig { target, ..rig };
    let expected = [Code::AccountMismatch, Code::AccountMismatch, Code::AlarmRed, Code::AlarmMissing];
    assert_eq!(preflight(&rig, &rig.release("v2")).await, expected.map(|code| (code, true)));

    let mut odd = scenario("");
    odd.services[0].controller = "CODE_DEPLOY".into();
    let rig = Rig::new(odd);
    assert!(preflight(&rig, &rig.release("v2")).await.contains(&(Code::ControllerForeign, true)));
}

#[tokio::test(start_paused = true)]
async fn what_one_would_go_back_to_must_be_there() {
    let rig = Rig::new(scenario(""));
    rig.cloud.change(|world, _| {
        world.repositories.get_mut("web").unwrap().images.clear();
    });
    assert_eq!(preflight(&rig, &rig.release("v2")).await, [(Code::RollbackTargetBroken, true)]);
    let mut first = scenario("");
    first.services[0].completed = false;
    let rig = Rig::new(first);
    assert!(preflight(&rig, &rig.release("v2")).await.contains(&(Code::RollbackTargetMissing, false)));
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_the_deploy_file_is_warned_about() {
    let rig = Rig::new(scenario(""));
    let mut settings = rig.target.settings().clone();
    settings.environment = [("API_TOKEN".into(), "abcdef123456".into()), ("FLAG".into(), "on".into())].into();
    let target = Ecs::new(settings, Declared::default(), Vec::new(), &Shared::new(&config(&rig.cloud)));
    let file = Definition { path: "td.json".into(), text: "{\"family\": \"web\"}".into() };
    let release = Release { definition: Some(file), ..rig.release("v2") };
    let found: Vec<_> = crate::targets::ecs::findings(target.settings(), release.definition.as_ref())
        .into_iter()
        .map(|p| (p.code, p.at.is_some()))
        .collect();
    assert_eq!(
        found,
        [
            (Code::SecretInPlainText, false),
            (Code::TaskDefinitionInvalid, true),
            (Code::ContainerUnclear, true),
        ]
    );
}
