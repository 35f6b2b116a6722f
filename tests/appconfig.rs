//! Whole runs that deploy a configuration by AppConfig on the emulator: deployed, rolled back, cancelled, lost.

use std::fs;
use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;

use crate::support::{RunHarness, RunResult, TestRun, run_in_virtual_time};

pub(crate) const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  flags:
    appconfig: { application: shop, environment: production, profile: flags, file: flags.json, strategy: AppConfig.Canary10Percent20Minutes }
";

pub(crate) const SCENARIO: &str = r#"
alarms: [{ name: checkout-errors }]
appconfig:
  applications:
    - name: shop
      environments: [{ name: production, monitors: [checkout-errors] }]
      profiles:
        - name: flags
          type: AWS.AppConfig.FeatureFlags
          versions: ['{"version":"1","flags":{"beta":{"name":"Beta"}},"values":{"beta":{"enabled":false}}}']
        - { name: limits, versions: ['{"a":1}', '{"a":2}'] }
"#;

pub(crate) const BETA_ON: &str = r#"{
  "version": "1",
  "flags": { "beta": { "name": "Beta" } },
  "values": { "beta": { "enabled": true } }
}
"#;

/// A folder with `flags.json`, and a run in it.
pub(crate) struct AppConfigFixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) test_run: TestRun,
    /// The deploy file of the run, where it is not the one that the world is made for.
    pub(crate) run_config: Option<String>,
}

impl AppConfigFixture {
    /// A world in which somebody is switching the flag on.
    pub(crate) async fn with_deployment_in_progress(&self) -> RunHarness {
        let stage = self.test_run.set_up();
        create_other_version(&stage.cloud, BETA_ON).await;
        start_other_deployment(&stage.cloud, "flags", "2").await;
        stage
    }

    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().to_path_buf();
        let trial =
            TestRun { config: CONFIG.into(), workspace, ..TestRun::custom(&format!("{SCENARIO}{more}")) };
        Self { folder, test_run: trial, run_config: None }.with_file("flags.json", BETA_ON)
    }

    pub(crate) fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// The run has another deploy file than the one that the world is made for.
    pub(crate) fn with_config_replaced(mut self, from: &str, to: &str) -> Self {
        assert!(CONFIG.contains(from), "{from}");
        self.run_config = Some(CONFIG.replace(from, to));
        self
    }

    pub(crate) fn with_inputs(mut self, inputs: RawInputs) -> Self {
        self.test_run.inputs = inputs;
        self
    }

    pub(crate) fn run(&self) -> RunResult {
        run_in_virtual_time(async {
            let mut stage = self.test_run.set_up();
            stage.rehearsal.config.1 =
                self.run_config.clone().unwrap_or_else(|| self.test_run.config.clone());
            let report = stage.run().await;
            let (lines, calls) = (stage.lines.borrow().clone(), stage.cloud.calls());
            RunResult { report, lines, calls, cloud: stage.cloud.clone() }
        })
    }
}

pub(crate) fn serving_version(cloud: &Cloud) -> usize {
    cloud
        .read(|world| {
            world.appconfig.serving_content("shop", "production", "flags").map(|(number, _)| number)
        })
        .unwrap()
}

pub(crate) fn change_operations(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls().into_iter().filter(|call| call.is_mutating && call.took_effect);
    calls.map(|call| call.operation).collect()
}

fn rollback_inputs(to: Option<&str>) -> RawInputs {
    RawInputs { operation: Some("rollback".into()), to: to.map(str::to_owned), ..RawInputs::default() }
}

pub(crate) async fn run_again_with(stage: &mut RunHarness, inputs: RawInputs) -> RunReport {
    stage.rehearsal.inputs = inputs;
    stage.run_again().await
}

/// What a person reads on a laptop, with the times taken out, which are the cloud's.
pub(crate) fn terminal_text(report: &RunReport) -> String {
    let mut report = report.clone();
    for service in report.services.iter_mut().filter(|service| !service.elapsed.is_zero()) {
        service.elapsed = Duration::from_secs(100);
    }
    let all = terminal::terminal(&report);
    all.split("\n\nTimeline")
        .next()
        .unwrap_or_default()
        .replace("\n\nRehearsal on the emulator: no real resource was changed.", "")
}

pub(crate) fn problem_codes(report: &RunReport) -> Vec<&'static str> {
    report.all_problems().iter().map(|problem| problem.code.name()).collect()
}

/// Somebody else with keys of their own.
fn other_client(cloud: &Cloud) -> aws_sdk_appconfig::Client {
    let keys = aws_sdk_appconfig::config::Credentials::new("AKIASOMEBODY", "secret", None, None, "test");
    let config = aws_sdk_appconfig::Config::builder()
        .behavior_version(aws_sdk_appconfig::config::BehaviorVersion::latest())
        .region(aws_sdk_appconfig::config::Region::new("eu-west-1"))
        .credentials_provider(keys)
        .http_client(http_client(cloud.clone()))
        .build();
    aws_sdk_appconfig::Client::from_conf(config)
}

/// They deploy a version of a profile.
pub(crate) async fn start_other_deployment(cloud: &Cloud, profile: &str, version: &str) {
    let call = other_client(cloud).start_deployment().application_id("shop").environment_id("production");
    let call = call.configuration_profile_id(profile).configuration_version(version);
    call.deployment_strategy_id("AppConfig.Linear20PercentEvery6Minutes").send().await.unwrap();
}

/// They make a version of the flags.
pub(crate) async fn create_other_version(cloud: &Cloud, content: &str) {
    let call = other_client(cloud).create_hosted_configuration_version().application_id("shop");
    let call = call.configuration_profile_id("flags").content_type("application/json");
    call.content(aws_sdk_appconfig::primitives::Blob::new(content)).send().await.unwrap();
}

#[test]
fn flag_change_is_deployed_gradually_and_verified() {
    let ran = AppConfigFixture::new("").run();
    insta::assert_snapshot!(terminal_text(&ran.report), @"
    ✅ production: flags deployed; flags:2 serves 100 % of traffic (verified in 1 min 40 s)

    service  outcome   from     to       serving  took        evidence
    flags    deployed  flags:1  flags:2  flags:2  1 min 40 s  deployment 4 COMPLETE, version 2 at 100 % of the clients

    Changes (AppConfig.Canary10Percent20Minutes, about 30 min):
      flag beta: off → on
    ");
    assert_eq!(ran.change_operations(), ["CreateHostedConfigurationVersion", "StartDeployment"]);
    assert_eq!(serving_version(&ran.cloud), 2);
    let log = ran.lines.join("\n");
    for words in ["Configuration available to 10.00% of clients", "DEPLOYING: 40 %", "BAKING"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let started = ran.calls.iter().find(|call| call.operation == "StartDeployment").unwrap();
    assert_eq!(started.input["Description"], "roadstead: flags in production at c0ffee1");
    assert_eq!(started.input["LatestDeploymentNumber"], 3);
}

#[test]
fn same_flags_are_unchanged_whatever_the_formatting() {
    run_in_virtual_time(async {
        let desk = AppConfigFixture::new("");
        let mut stage = desk.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = change_operations(&stage.cloud).len();
        let desk = desk.with_file("flags.json", &BETA_ON.replace(['\n', ' '], ""));
        let report = run_again_with(&mut stage, RawInputs::default()).await;
        assert_eq!((report.outcome, change_operations(&stage.cloud).len()), (Outcome::Unchanged, before));
        drop(desk);
    });
}

#[test]
fn plan_lists_changes_and_duration() {
    let ran = AppConfigFixture::new("")
        .with_inputs(RawInputs { operation: Some("plan".into()), ..RawInputs::default() })
        .run();
    assert_eq!(ran.report.outcome, Outcome::Planned);
    assert_eq!(ran.report.services[0].expected_duration, Some(Duration::from_secs(30 * 60)));
    insta::assert_snapshot!(terminal_text(&ran.report), @"
    📋 production: flags would get 1 change — plan only, no changes were made

    Changes (AppConfig.Canary10Percent20Minutes, about 30 min):
      flag beta: off → on
    ");
    assert!(ran.change_operations().is_empty());
}

#[test]
fn firing_alarm_rolls_back_and_is_named() {
    let ran = AppConfigFixture::new("faults: [{ alarm-red: { at: 400 } }]").run();
    insta::assert_snapshot!(terminal_text(&ran.report), @r"
    ❌ production: flags failed and was rolled back — flags:1 serves, as before

    Cause: The alarm `checkout-errors` fired, and AppConfig rolled deployment 4 back.
      Rollback initiated by CloudWatch Alarm: arn:aws:cloudwatch:eu-west-1:111111111111:alarm:checkout-errors
    What to do: Check the metric of the alarm. The configuration before serves again.
      alarm-triggered: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#alarm-triggered

    service  outcome  from     to       serving  took        evidence
    flags    failed   flags:1  flags:2  flags:1  1 min 40 s  rolled back, confirmed: flags:1 serves

    Changes (AppConfig.Canary10Percent20Minutes, about 30 min):
      flag beta: off → on
    ");
    assert_eq!((ran.report.outcome, serving_version(&ran.cloud)), (Outcome::Failed, 1));
    assert_eq!(ran.change_operations(), ["CreateHostedConfigurationVersion", "StartDeployment"]);
}

#[test]
fn deployment_stopped_by_hand_is_reported() {
    let ran = AppConfigFixture::new("faults: [{ appconfig-stopped: { at: 200 } }]").run();
    assert_eq!((ran.report.outcome, serving_version(&ran.cloud)), (Outcome::Failed, 1));
    assert_eq!(ran.problem_codes(), ["deployment-stopped"]);
}

#[test]
fn rollback_reverts_at_once_and_blocks_the_version() {
    run_in_virtual_time(async {
        let desk = AppConfigFixture::new("");
        let mut stage = desk.test_run.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = change_operations(&stage.cloud).len();
        let report = run_again_with(&mut stage, rollback_inputs(None)).await;
        insta::assert_snapshot!(terminal_text(&report), @"
        ✅ production: flags rolled back; flags:1 serves 100 % of traffic (verified in 1 min 40 s)

        service  outcome      from     to       serving  took        evidence
        flags    rolled-back  flags:2  flags:1  flags:1  1 min 40 s  deployment 4 REVERTED, version 1 serves again

        Changes (AppConfig.Canary10Percent20Minutes):
          flag beta: on → off
        ");
        assert_eq!(change_operations(&stage.cloud)[before..], ["StopDeployment"]);
        assert_eq!(serving_version(&stage.cloud), 1);
        for (name, value) in [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")] {
            stage.rehearsal.variables.insert(name.into(), value.into());
        }
        let report = run_again_with(&mut stage, RawInputs::default()).await;
        assert_eq!(report.outcome, Outcome::Invalid, "{}", terminal_text(&report));
        assert!(
            problem_codes(&report).contains(&"version-blocked-after-rollback"),
            "{:?}",
            problem_codes(&report)
        );
        assert_eq!(serving_version(&stage.cloud), 1);
    });
}

#[test]
fn rollback_after_revert_window_redeploys_all_at_once() {
    run_in_virtual_time(async {
        let old = SCENARIO.replace("{ name: limits,", "{ name: limits, deployed-hours-ago: 100,");
        let desk = AppConfigFixture::new("");
        let story = TestRun::custom(&old).scenario;
        let config = CONFIG.replace("profile: flags", "profile: limits");
        let trial = TestRun {
            config,
            scenario: story,
            workspace: desk.test_run.workspace.clone(),
            ..TestRun::builtin("happy")
        };
        let mut stage = trial.set_up();
        let report = run_again_with(&mut stage, rollback_inputs(Some("limits:1"))).await;
        assert_eq!(report.outcome, Outcome::RolledBack, "{}", terminal_text(&report));
        assert_eq!(change_operations(&stage.cloud), ["StartDeployment"]);
        let calls = stage.cloud.calls();
        let started = calls.iter().find(|call| call.operation == "StartDeployment").unwrap();
        assert_eq!(started.input["DeploymentStrategyId"], "AppConfig.AllAtOnce");
    });
}

#[test]
fn rollback_stops_the_deployment_in_progress() {
    run_in_virtual_time(async {
        let desk = AppConfigFixture::new("");
        let mut stage = desk.with_deployment_in_progress().await;
        let before = change_operations(&stage.cloud).len();
        let report = run_again_with(&mut stage, rollback_inputs(None)).await;
        assert_eq!(report.outcome, Outcome::RolledBack, "{}", terminal_text(&report));
        assert_eq!(
            (&change_operations(&stage.cloud)[before..], serving_version(&stage.cloud)),
            (&["StopDeployment".to_owned()][..], 1)
        );
    });
}

#[test]
fn invalid_configuration_is_rejected_before_any_change() {
    let beside = "strategy: AppConfig.Canary10Percent20Minutes }\n";
    let more = |line: &str| format!("{beside}    {line}\n");
    let desks = [
        AppConfigFixture::new("")
            .with_inputs(RawInputs { timeout: Some("20m".into()), ..RawInputs::default() }),
        AppConfigFixture::new("").with_file("flags.json", "{\n  \"version\": \"1\",\n}\n"),
        AppConfigFixture::new("")
            .with_file("flags.json", r#"{"version":"1","values":{"beta":{"enabled":true}}}"#),
        AppConfigFixture::new("").with_config_replaced("profile: flags", "profile: flagz"),
        AppConfigFixture::new("").with_config_replaced("application: shop", "application: shp"),
        AppConfigFixture::new("").with_config_replaced("AppConfig.Canary10Percent20Minutes", "Slow"),
        AppConfigFixture::new("").with_config_replaced("flags.json", "other.json"),
        AppConfigFixture::new("").with_config_replaced(beside, &more("alarms: [checkout-latency]")),
        AppConfigFixture::new("").with_config_replaced(beside, &more("strategy: canary")),
        AppConfigFixture::new("").with_config_replaced(beside, &more("repository: acme/flags")),
        AppConfigFixture::new("faults: [{ alarm-red: {} }]"),
        AppConfigFixture::new("")
            .with_config_replaced("region: eu-west-1", "region: eu-west-1, account: \"222222222222\""),
        AppConfigFixture::new("policy: { deny: ['appconfig:StartDeployment'] }"),
        AppConfigFixture::new("policy: { deny: ['appconfig:ListEnvironments'] }"),
    ];
    let line = |desk: &AppConfigFixture| {
        let ran = desk.run();
        let started = ran.change_operations().contains(&"StartDeployment");
        assert!(!started && ran.report.outcome == Outcome::Invalid, "{:#?}", ran.lines);
        let problem =
            ran.report.all_problems().into_iter().find(|problem| problem.is_error()).unwrap().clone();
        let at = problem.location.as_ref().map(|at| format!("{}:{}: ", at.file, at.line)).unwrap_or_default();
        let folder = desk.folder.path().to_string_lossy().into_owned();
        format!("{at}{} {problem}", problem.code).replace(&folder, "FOLDER")
    };
    insta::assert_snapshot!(desks.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
    input-invalid The deployment of `flags` takes 30m, and the run has 20m, of which 5m are reserved for a rollback. Give the input `timeout: 41m` or more, or a quicker strategy.
    flags.json:3: configuration-invalid The configuration `flags.json` is not JSON. (trailing comma at line 3 column 1)
    flags.json:1: configuration-invalid AppConfig rejected the configuration `flags.json`; nothing was deployed. (BadRequestException: Error validating the configuration: it does not fit the schema of feature flags (request 00000000-0000-4000-8000-00000000000c) ($.values.beta: is not defined in flags))
    service-missing AppConfig has no resource named `flagz` (`appconfig.profile`). Did you mean `flags`? AppConfig has: `flags`, `limits`. Also check `aws.region` and the role.
    service-missing AppConfig has no resource named `shp` (`appconfig.application`). Did you mean `shop`? AppConfig has: `shop`. Also check `aws.region` and the role.
    service-missing AppConfig has no resource named `Slow` (`appconfig.strategy`). AppConfig has: `AppConfig.AllAtOnce`, `AppConfig.Linear50PercentEvery30Seconds`, `AppConfig.Canary10Percent20Minutes`, `AppConfig.Linear20PercentEvery6Minutes`. Also check `aws.region` and the role.
    input config:5: file-unreadable There is no configuration `other.json` in the checked-out files. Paths are relative to the root of the repository. `sparse-checkout` leaves files out.
    alarm-missing The environment `production` does not monitor the alarm `checkout-latency`. Add it to the monitors of the environment in AppConfig, or remove it from `alarms`.
    unsupported The service `flags` is not set up for the strategy `canary`. AppConfig uses its own deployment strategies: name one in `appconfig.strategy` and remove `strategy`.
    input config:5: config-invalid `repository` does not apply to `appconfig`, because no image is built. Remove `repository`.
    alarm-already-firing The alarm `checkout-errors` is firing before the deployment. AppConfig would roll back at once. Resolve the alarm, then deploy again.
    account-mismatch The credentials are of account 111111111111, but the deploy file declares 222222222222. Check `aws.account` and the role.
    permission-missing The permission appconfig:StartDeployment on arn:aws:appconfig:eu-west-1:111111111111:application/a00001/environment/e00002 is missing. Add it to the policy of the role: the run or its rollback needs it.
    permission-missing The permission appconfig:ListEnvironments is missing. (AccessDeniedException: User: arn:aws:sts::111111111111:assumed-role/deploy/roadstead is not authorized to perform: appconfig:ListEnvironments on resource: * with an explicit deny in an identity-based policy) Add it to the policy of the role; `roadstead policy` prints what is needed.
    ");
}

#[test]
fn two_profiles_of_one_environment_deploy_in_turn() {
    let second = "  limits:\n    appconfig: { application: shop, environment: production, profile: limits, file: limits.json, strategy: AppConfig.AllAtOnce }\n";
    let desk = AppConfigFixture::new("").with_file("limits.json", "{\"a\": 3}");
    let config = format!("{CONFIG}{second}");
    let both = AppConfigFixture { test_run: TestRun { config, ..desk.test_run }, ..desk };
    let ran = both.run();
    assert_eq!((ran.report.outcome, ran.problem_codes()), (Outcome::Failed, vec!["deployment-in-progress"]));
    let mut outcomes: Vec<Outcome> = ran.report.services.iter().map(|service| service.outcome).collect();
    outcomes.sort();
    assert_eq!(outcomes, [Outcome::Deployed, Outcome::Invalid], "one of them is refused");
    let one = both.with_file("limits.json", "{ \"a\": 2 }").run();
    assert_eq!(one.report.outcome, Outcome::Deployed, "one of them is unchanged: {:#?}", one.lines);
}

#[test]
fn the_built_in_scenarios_rehearse_a_deploy_file() {
    for (scenario, outcome) in
        [("happy", Outcome::Deployed), ("flags-alarm", Outcome::Failed), ("flags-stopped", Outcome::Failed)]
    {
        let desk = AppConfigFixture::new("");
        let workspace = desk.test_run.workspace.clone();
        let ran = TestRun { config: CONFIG.into(), workspace, ..TestRun::builtin(scenario) }.run();
        assert_eq!(ran.report.outcome, outcome, "{scenario}: {:#?}", ran.lines);
    }
}
