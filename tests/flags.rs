//! Whole runs that deploy a configuration by AppConfig on the embedded cloud: forward, back, held up, cancelled, lost.

use std::fs;
use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::rehearsal::client::http_client;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::Phase;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};

use crate::support::runner::Runner;
use crate::support::{Ran, Stage, Trial, virtually};

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  flags:
    appconfig: { application: shop, environment: production, profile: flags, file: flags.json, strategy: AppConfig.Canary10Percent20Minutes }
";

const WORLD: &str = r#"
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

const BETA_ON: &str = r#"{
  "version": "1",
  "flags": { "beta": { "name": "Beta" } },
  "values": { "beta": { "enabled": true } }
}
"#;

/// A folder with `flags.json`, and a run in it.
struct Desk {
    folder: tempfile::TempDir,
    trial: Trial,
    /// The deploy file of the run, where it is not the one that the world is made for.
    file: Option<String>,
}

impl Desk {
    /// A world in which somebody is switching the flag on.
    async fn under_way(&self) -> Stage {
        let stage = self.trial.stage();
        makes(&stage.cloud, BETA_ON).await;
        deploys(&stage.cloud, "flags", "2").await;
        stage
    }

    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().to_path_buf();
        let trial = Trial { config: CONFIG.into(), workspace, ..Trial::told(&format!("{WORLD}{more}")) };
        Self { folder, trial, file: None }.with("flags.json", BETA_ON)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// The run has another deploy file than the one that the world is made for.
    fn but(mut self, from: &str, to: &str) -> Self {
        assert!(CONFIG.contains(from), "{from}");
        self.file = Some(CONFIG.replace(from, to));
        self
    }

    fn inputs(mut self, inputs: RawInputs) -> Self {
        self.trial.inputs = inputs;
        self
    }

    fn run(&self) -> Ran {
        virtually(async {
            let mut stage = self.trial.stage();
            stage.rehearsal.config.1 = self.file.clone().unwrap_or_else(|| self.trial.config.clone());
            let report = stage.run().await;
            let (lines, calls) = (stage.lines.borrow().clone(), stage.cloud.calls());
            Ran { report, lines, calls, cloud: stage.cloud.clone() }
        })
    }
}

fn serves(cloud: &Cloud) -> usize {
    cloud
        .read(|world| world.appconfig.serving("shop", "production", "flags").map(|(number, _)| number))
        .unwrap()
}

fn changes(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.calls().into_iter().filter(|call| call.mutating && call.effective);
    calls.map(|call| call.operation).collect()
}

fn rollback(to: Option<&str>) -> RawInputs {
    RawInputs { operation: Some("rollback".into()), to: to.map(str::to_owned), ..RawInputs::default() }
}

async fn again(stage: &mut Stage, inputs: RawInputs) -> RunReport {
    stage.rehearsal.inputs = inputs;
    stage.run_again().await
}

/// What a person reads on a laptop, with the times taken out, which are the cloud's.
fn told(report: &RunReport) -> String {
    let mut report = report.clone();
    for service in report.services.iter_mut().filter(|service| !service.took.is_zero()) {
        service.took = Duration::from_secs(100);
    }
    let all = terminal::terminal(&report);
    all.split("\n\nTimeline")
        .next()
        .unwrap_or_default()
        .replace("\n\nA rehearsal on the embedded cloud: nothing real was touched.", "")
}

fn codes(report: &RunReport) -> Vec<&'static str> {
    report.all_problems().iter().map(|problem| problem.code.name()).collect()
}

/// Somebody else with keys of their own.
fn somebody(cloud: &Cloud) -> aws_sdk_appconfig::Client {
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
async fn deploys(cloud: &Cloud, profile: &str, version: &str) {
    let call = somebody(cloud).start_deployment().application_id("shop").environment_id("production");
    let call = call.configuration_profile_id(profile).configuration_version(version);
    call.deployment_strategy_id("AppConfig.Linear20PercentEvery6Minutes").send().await.unwrap();
}

/// They make a version of the flags.
async fn makes(cloud: &Cloud, content: &str) {
    let call = somebody(cloud).create_hosted_configuration_version().application_id("shop");
    let call = call.configuration_profile_id("flags").content_type("application/json");
    call.content(aws_sdk_appconfig::primitives::Blob::new(content)).send().await.unwrap();
}

#[test]
fn a_flag_is_switched_on_gradually_and_proven() {
    let ran = Desk::new("").run();
    insta::assert_snapshot!(told(&ran.report), @"
    ✅ production: flags flags:2 serves 100 % — proven after 1 min 40 s

    service  outcome   from     to       serves now  took        how it is known
    flags    deployed  flags:1  flags:2  flags:2     1 min 40 s  deployment 4 COMPLETE, all clients get version 2

    Changes (AppConfig.Canary10Percent20Minutes, about 30 min):
      flag beta: off → on
    ");
    assert_eq!(ran.changes(), ["CreateHostedConfigurationVersion", "StartDeployment"]);
    assert_eq!(serves(&ran.cloud), 2);
    let log = ran.lines.join("\n");
    for words in ["Configuration available to 10.00% of clients", "DEPLOYING: 40 %", "BAKING"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let started = ran.calls.iter().find(|call| call.operation == "StartDeployment").unwrap();
    assert_eq!(started.input["Description"], "roadstead: flags in production at c0ffee1");
    assert_eq!(started.input["LatestDeploymentNumber"], 3);
}

#[test]
fn the_same_flags_are_unchanged_however_they_are_laid_out() {
    virtually(async {
        let desk = Desk::new("");
        let mut stage = desk.trial.stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = changes(&stage.cloud).len();
        let desk = desk.with("flags.json", &BETA_ON.replace(['\n', ' '], ""));
        let report = again(&mut stage, RawInputs::default()).await;
        assert_eq!((report.outcome, changes(&stage.cloud).len()), (Outcome::Unchanged, before));
        drop(desk);
    });
}

#[test]
fn a_plan_says_what_would_change_and_how_long_it_takes() {
    let ran =
        Desk::new("").inputs(RawInputs { operation: Some("plan".into()), ..RawInputs::default() }).run();
    assert_eq!(ran.report.outcome, Outcome::Planned);
    assert_eq!(ran.report.services[0].expected, Some(Duration::from_secs(30 * 60)));
    insta::assert_snapshot!(told(&ran.report), @"
    📋 production: flags would change in 1 place — this is a plan, nothing was touched

    Changes (AppConfig.Canary10Percent20Minutes, about 30 min):
      flag beta: off → on
    ");
    assert!(ran.changes().is_empty());
}

#[test]
fn a_red_alarm_rolls_back_and_is_named() {
    let ran = Desk::new("faults: [{ alarm-red: { at: 400 } }]").run();
    insta::assert_snapshot!(told(&ran.report), @"
    ❌ production: flags failed and was rolled back — flags:1 serves, as before

    Cause: The alarm `checkout-errors` went red, and AppConfig rolled deployment 4 back.
      Rollback initiated by CloudWatch Alarm: arn:aws:cloudwatch:eu-west-1:111111111111:alarm:checkout-errors
    What to do: Look at what the alarm measures; the configuration before it serves again.

    service  outcome  from     to       serves now  took        how it is known
    flags    failed   flags:1  flags:2  flags:1     1 min 40 s  rolled back, confirmed: flags:1 serves

    Changes (AppConfig.Canary10Percent20Minutes, about 30 min):
      flag beta: off → on
    ");
    assert_eq!((ran.report.outcome, serves(&ran.cloud)), (Outcome::Failed, 1));
    assert_eq!(ran.changes(), ["CreateHostedConfigurationVersion", "StartDeployment"]);
}

#[test]
fn who_stops_it_by_hand_is_heard() {
    let ran = Desk::new("faults: [{ appconfig-stopped: { at: 200 } }]").run();
    assert_eq!((ran.report.outcome, serves(&ran.cloud)), (Outcome::Failed, 1));
    assert_eq!(ran.codes(), ["deployment-stopped"]);
}

#[test]
fn after_a_cancel_it_is_stopped_and_the_post_step_confirms() {
    for seconds in [30, 700, 1500] {
        let mut runner = Runner::told(WORLD)
            .config(
                &CONFIG
                    .replace("eu-west-1 }", "eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }"),
            )
            .file("workspace/flags.json", BETA_ON);
        runner.cancel_after = Some(Duration::from_secs(seconds));
        let (main, post) = runner.main_and_post();
        assert_eq!((main.code, main.times("StopDeployment")), (130, 1), "{seconds}: {:#?}", main.lines);
        assert!(main.took <= Duration::from_secs(seconds + 7), "{seconds}: {:?}", main.took);
        assert_eq!(post.code, 0, "{seconds}: {:#?}", post.lines);
        let confirmed = post.lines.join("\n").contains("rolled back, confirmed: flags:1 serves");
        assert!(confirmed, "{seconds}: {:#?}", post.lines);
    }
}

#[test]
fn a_cancel_whose_start_was_never_answered_finds_its_deployment_by_the_run() {
    let world = format!("{WORLD}faults: [{{ response-lost: {{ operation: StartDeployment }} }}]");
    let mut runner = Runner::told(&world)
        .config(
            &CONFIG.replace("eu-west-1 }", "eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" }"),
        )
        .file("workspace/flags.json", BETA_ON);
    runner.cancel_after = Some(Duration::from_secs(1));
    let (main, post) = runner.main_and_post();
    assert_eq!(main.code, 130, "{:#?}", main.lines);
    assert!(post.lines.join("\n").contains("flags:1"), "{:#?}", post.lines);
}

#[test]
fn a_rollback_reverts_at_once_and_holds() {
    virtually(async {
        let desk = Desk::new("");
        let mut stage = desk.trial.stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = changes(&stage.cloud).len();
        let report = again(&mut stage, rollback(None)).await;
        insta::assert_snapshot!(told(&report), @"
        ✅ production: flags is rolled back — flags:1 serves 100 %, proven after 1 min 40 s

        service  outcome      from     to       serves now  took        how it is known
        flags    rolled-back  flags:2  flags:1  flags:1     1 min 40 s  deployment 4 REVERTED, version 1 serves again

        Changes (AppConfig.Canary10Percent20Minutes):
          flag beta: on → off
        ");
        assert_eq!(changes(&stage.cloud)[before..], ["StopDeployment"]);
        assert_eq!(serves(&stage.cloud), 1);
        for (name, value) in [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")] {
            stage.rehearsal.variables.insert(name.into(), value.into());
        }
        let report = again(&mut stage, RawInputs::default()).await;
        assert_eq!(report.outcome, Outcome::Invalid, "{}", told(&report));
        assert!(codes(&report).contains(&"rolled-back-before"), "{:?}", codes(&report));
        assert_eq!(serves(&stage.cloud), 1);
    });
}

#[test]
fn what_completed_too_long_ago_is_deployed_anew_all_at_once() {
    virtually(async {
        let old = WORLD.replace("{ name: limits,", "{ name: limits, deployed-hours-ago: 100,");
        let desk = Desk::new("");
        let story = Trial::told(&old).story;
        let config = CONFIG.replace("profile: flags", "profile: limits");
        let trial = Trial { config, story, workspace: desk.trial.workspace.clone(), ..Trial::named("happy") };
        let mut stage = trial.stage();
        let report = again(&mut stage, rollback(Some("limits:1"))).await;
        assert_eq!(report.outcome, Outcome::RolledBack, "{}", told(&report));
        assert_eq!(changes(&stage.cloud), ["StartDeployment"]);
        let calls = stage.cloud.calls();
        let started = calls.iter().find(|call| call.operation == "StartDeployment").unwrap();
        assert_eq!(started.input["DeploymentStrategyId"], "AppConfig.AllAtOnce");
    });
}

#[test]
fn a_rollback_stops_what_is_on_its_way() {
    virtually(async {
        let desk = Desk::new("");
        let mut stage = desk.under_way().await;
        let before = changes(&stage.cloud).len();
        let report = again(&mut stage, rollback(None)).await;
        assert_eq!(report.outcome, Outcome::RolledBack, "{}", told(&report));
        assert_eq!(
            (&changes(&stage.cloud)[before..], serves(&stage.cloud)),
            (&["StopDeployment".to_owned()][..], 1)
        );
    });
}

#[test]
fn a_deployment_of_somebody_else_is_waited_for_by_nobody() {
    virtually(async {
        for (profile, version, words) in
            [("limits", "1", "of limits, version 1"), ("flags", "2", "of flags, version 2")]
        {
            let desk = Desk::new("");
            let mut stage = desk.trial.stage();
            makes(&stage.cloud, &BETA_ON.replace("Beta", "Theirs")).await;
            deploys(&stage.cloud, profile, version).await;
            let before = changes(&stage.cloud).len();
            let report = again(&mut stage, RawInputs::default()).await;
            assert_eq!(report.outcome, Outcome::Invalid);
            assert_eq!(codes(&report), ["deployment-in-progress"]);
            assert!(report.all_problems()[0].sentence.contains(words), "{}", told(&report));
            assert_eq!(changes(&stage.cloud).len(), before);
        }
    });
}

#[test]
fn the_same_flags_on_their_way_already_are_watched() {
    virtually(async {
        let desk = Desk::new("");
        let mut stage = desk.under_way().await;
        let before = changes(&stage.cloud).len();
        let inputs = RawInputs { timeout: Some("90m".into()), ..RawInputs::default() };
        let report = again(&mut stage, inputs).await;
        assert_eq!(report.outcome, Outcome::Deployed, "{}", told(&report));
        assert_eq!((changes(&stage.cloud).len(), serves(&stage.cloud)), (before, 2));
    });
}

#[test]
fn throttling_lost_answers_and_server_errors_move_once() {
    for fault in [
        "throttle: { operation: StartDeployment, times: 3 }",
        "throttle: { operation: GetDeployment, times: 12 }",
        "throttle: { operation: CreateHostedConfigurationVersion, times: 2 }",
        "response-lost: { operation: StartDeployment }",
        "response-lost: { operation: CreateHostedConfigurationVersion }",
        "no-answer: { operation: StartDeployment }",
        "server-errors: { from: 30, for: 90 }",
    ] {
        let ran = Desk::new(&format!("faults: [{{ {fault} }}]")).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert_eq!(ran.changes(), ["CreateHostedConfigurationVersion", "StartDeployment"], "{fault}");
    }
}

#[test]
fn a_run_that_died_at_any_change_is_finished_by_the_next() {
    for change in 1..=2 {
        for phase in [Phase::Before, Phase::After] {
            for later in [5, 7200] {
                let (outcome, made) = dies(change, phase, later);
                let case = format!("change {change} {phase:?}, again after {later} s");
                assert!(matches!(outcome, Outcome::Deployed | Outcome::Unchanged), "{case}: {outcome:?}");
                assert_eq!(made, ["CreateHostedConfigurationVersion", "StartDeployment"], "{case}");
            }
        }
    }
}

/// The process dies at a change; some time later the job runs again.
fn dies(change: usize, phase: Phase, later: u64) -> (Outcome, Vec<String>) {
    virtually(async {
        let desk = Desk::new("");
        let mut stage = desk.trial.stage();
        stage.run_and_die(change, move |moment| moment.phase == phase && moment.mutating).await;
        tokio::time::sleep(Duration::from_secs(later)).await;
        let outcome = again(&mut stage, RawInputs::default()).await.outcome;
        assert_eq!(serves(&stage.cloud), 2);
        (outcome, changes(&stage.cloud))
    })
}

#[test]
fn what_cannot_go_well_is_said_before_any_change() {
    let beside = "strategy: AppConfig.Canary10Percent20Minutes }\n";
    let more = |line: &str| format!("{beside}    {line}\n");
    let desks = [
        Desk::new("").inputs(RawInputs { timeout: Some("20m".into()), ..RawInputs::default() }),
        Desk::new("").with("flags.json", "{\n  \"version\": \"1\",\n}\n"),
        Desk::new("").with("flags.json", r#"{"version":"1","values":{"beta":{"enabled":true}}}"#),
        Desk::new("").but("profile: flags", "profile: flagz"),
        Desk::new("").but("application: shop", "application: shp"),
        Desk::new("").but("AppConfig.Canary10Percent20Minutes", "Slow"),
        Desk::new("").but("flags.json", "other.json"),
        Desk::new("").but(beside, &more("alarms: [checkout-latency]")),
        Desk::new("").but(beside, &more("strategy: canary")),
        Desk::new("").but(beside, &more("repository: acme/flags")),
        Desk::new("faults: [{ alarm-red: {} }]"),
        Desk::new("").but("region: eu-west-1", "region: eu-west-1, account: \"222222222222\""),
        Desk::new("policy: { deny: ['appconfig:StartDeployment'] }"),
        Desk::new("policy: { deny: ['appconfig:ListEnvironments'] }"),
    ];
    let line = |desk: &Desk| {
        let ran = desk.run();
        let started = ran.changes().contains(&"StartDeployment");
        assert!(!started && ran.report.outcome == Outcome::Invalid, "{:#?}", ran.lines);
        let problem =
            ran.report.all_problems().into_iter().find(|problem| problem.is_error()).unwrap().clone();
        let at = problem.at.as_ref().map(|at| format!("{}:{}: ", at.file, at.line)).unwrap_or_default();
        let folder = desk.folder.path().to_string_lossy().into_owned();
        format!("{at}{} {problem}", problem.code).replace(&folder, "FOLDER")
    };
    insta::assert_snapshot!(desks.iter().map(line).collect::<Vec<_>>().join("\n"), @"
    input-invalid The deployment of `flags` takes 30m, and the run has 20m, of which 5m are kept for the way back. Give the input `timeout: 41m` or more, or a quicker strategy.
    flags.json:3: configuration-invalid The configuration `flags.json` is not JSON. (trailing comma at line 3 column 1)
    flags.json:1: configuration-invalid AppConfig refused the configuration `flags.json`; nothing was deployed. (BadRequestException: Error validating the configuration: it does not fit the schema of feature flags ($.values.beta: is not defined in flags))
    service-missing AppConfig has nothing named `flagz` (`appconfig.profile`). Did you mean `flags`? There is: `flags`, `limits`. Check `aws.region` and the role, too.
    service-missing AppConfig has nothing named `shp` (`appconfig.application`). Did you mean `shop`? There is: `shop`. Check `aws.region` and the role, too.
    service-missing AppConfig has nothing named `Slow` (`appconfig.strategy`). There is: `AppConfig.AllAtOnce`, `AppConfig.Linear50PercentEvery30Seconds`, `AppConfig.Canary10Percent20Minutes`, `AppConfig.Linear20PercentEvery6Minutes`. Check `aws.region` and the role, too.
    file-unreadable The configuration `other.json` cannot be read. (reading FOLDER/other.json: No such file or directory (os error 2))
    alarm-missing The environment `production` does not monitor the alarm `checkout-latency`. Add it to the monitors of the environment in AppConfig, which then rolls back by itself, or take it out of `alarms`.
    unsupported `flags` cannot be released by the strategy `canary` as it is set up. AppConfig brings a configuration to its clients by its own deployment strategy: name that in `appconfig.strategy`, and take this `strategy` out.
    input config:5: config-invalid `repository` means nothing for a configuration: nothing is built. Take `repository` out.
    alarm-red The alarm `checkout-errors` is red before the deployment. AppConfig would roll back at once. Find out why it is red; deploy when it is green.
    account-mismatch The credentials are of account 111111111111, and the deploy file says 222222222222. Check `aws.account` and the role.
    permission-missing The permission appconfig:StartDeployment on arn:aws:appconfig:eu-west-1:111111111111:application/a00001/environment/e00002 is missing. Add it to the policy of the role; the run or its rollback needs it.
    permission-missing The permission appconfig:ListEnvironments is missing. (AccessDeniedException: User: arn:aws:sts::111111111111:assumed-role/deploy/roadstead is not authorized to perform: appconfig:ListEnvironments on resource: * with an explicit deny in an identity-based policy) Add it to the policy of the role; `roadstead policy` prints what is needed.
    ");
}

#[test]
fn two_configurations_of_one_environment_go_one_after_the_other() {
    let second = "  limits:\n    appconfig: { application: shop, environment: production, profile: limits, file: limits.json, strategy: AppConfig.AllAtOnce }\n";
    let desk = Desk::new("").with("limits.json", "{\"a\": 3}");
    let config = format!("{CONFIG}{second}");
    let both = Desk { trial: Trial { config, ..desk.trial }, ..desk };
    let ran = both.run();
    assert_eq!((ran.report.outcome, ran.codes()), (Outcome::Invalid, vec!["deployment-in-progress"]));
    assert!(ran.changes().is_empty());
    let one = both.with("limits.json", "{ \"a\": 2 }").run();
    assert_eq!(one.report.outcome, Outcome::Deployed, "one of them is unchanged: {:#?}", one.lines);
}

#[test]
fn the_built_in_scenarios_rehearse_a_deploy_file() {
    for (scenario, outcome) in
        [("happy", Outcome::Deployed), ("flags-alarm", Outcome::Failed), ("flags-stopped", Outcome::Failed)]
    {
        let desk = Desk::new("");
        let workspace = desk.trial.workspace.clone();
        let ran = Trial { config: CONFIG.into(), workspace, ..Trial::named(scenario) }.run();
        assert_eq!(ran.report.outcome, outcome, "{scenario}: {:#?}", ran.lines);
    }
}

/// The actions of the policy that is printed for the deploy file.
fn printed() -> Vec<String> {
    let nowhere = std::path::Path::new("/nonexistent");
    let text = roadstead::cli::policy::policy(nowhere, "roadstead.yml", CONFIG, "production").unwrap();
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|one| one["Action"].as_array().unwrap().clone());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[test]
fn with_the_printed_policy_all_goes_well_and_what_is_missing_is_missed_before_the_start() {
    let world =
        |allow: &[String], fault: &str| format!("policy: {{ allow: [{}] }}\n{fault}", allow.join(", "));
    let all = printed();
    let ran = Desk::new(&world(&all, "")).run();
    assert_eq!((ran.report.outcome, ran.codes()), (Outcome::Deployed, Vec::new()), "{:#?}", ran.lines);
    for without in &all {
        let rest: Vec<String> = all.iter().filter(|action| *action != without).cloned().collect();
        let ran = Desk::new(&world(&rest, "")).run();
        let started = ran.changes().contains(&"StartDeployment");
        match without.as_str() {
            "cloudwatch:DescribeAlarms" | "iam:SimulatePrincipalPolicy" => {
                assert_eq!(ran.report.outcome, Outcome::Deployed, "without {without}: {:#?}", ran.lines);
                assert_eq!(ran.codes(), ["permission-unchecked"], "without {without}");
            }
            _ => {
                assert_eq!((ran.report.outcome, started), (Outcome::Invalid, false), "without {without}");
                assert!(ran.codes().contains(&"permission-missing"), "without {without}: {:?}", ran.codes());
            }
        }
    }
}

#[test]
fn the_page_lists_every_action() {
    let page = include_str!("../docs/targets/appconfig.md");
    let (_, section) = page.split_once("\n## Permissions\n").unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|word| word.contains(':'));
    let mut listed: Vec<String> = words.map(str::to_owned).collect();
    listed.sort();
    listed.dedup();
    let mut real = printed();
    real.sort();
    assert_eq!(listed, real);
}
