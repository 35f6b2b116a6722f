//! `roadstead init` over the emulator: what it writes for what runs there loads, is rehearsed and releases;
//! and what
//! it never does.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use roadstead::action::inputs::RawInputs;
use roadstead::aws::{Io, Mask};
use roadstead::cli::{InitOptions, init, rehearse};
use roadstead::release::Outcome;
use roadstead::report::terminal;
use roadstead::sys::clock::Clock;
use roadstead::sys::network::PrivateClients;
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;

use crate::examples::{parse_workflow, rehearse_deploy, workflow_violations};
use crate::support::{TestRun, run_in_virtual_time};

/// One of each kind: behind a pair of target groups with alarms, behind a plain load balancer with another container in
/// front, an image that is not ours, and a service with another deployment controller.
const SCENARIO: &str = r#"
services:
  - cluster: acme
    name: backend
    container: app
    target-groups: [{ arn: backend, alternate: backend-green, balancer: web }]
    deployment: { alarms: { names: [backend-5xx, "slow: p99"] } }
    image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1
  - cluster: acme
    name: front
    target-groups: [{ arn: front }]
    task-definition:
      family: front
      requiresCompatibilities: [FARGATE]
      networkMode: awsvpc
      cpu: "256"
      memory: "512"
      executionRoleArn: arn:aws:iam::111111111111:role/front
      containerDefinitions:
        - { name: web, image: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/front:v1", essential: true }
        - { name: proxy, image: "public.ecr.aws/nginx/nginx:1.27", essential: true, portMappings: [{ containerPort: 8080 }] }
  - { cluster: acme, name: old, controller: CODE_DEPLOY }
balancers: [{ name: web, groups: [{ arn: backend, weight: 1 }, { arn: backend-green }] }]
alarms: [{ name: backend-5xx }, { name: "slow: p99" }]
repositories:
  acme/backend: { images: [{ tags: [v1] }] }
  acme/front: { images: [{ tags: [v1] }] }
  old: { images: [{ tags: [v1] }] }
"#;

struct InitResult {
    code: u8,
    lines: Vec<String>,
    calls: Vec<String>,
    folder: tempfile::TempDir,
}

impl InitResult {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn deploy_file(&self) -> String {
        self.file(".github/roadstead.yml")
    }

    fn log_text(&self) -> String {
        self.lines.join("\n").replace(&*self.folder.path().to_string_lossy(), "FOLDER")
    }
}

fn init_options() -> InitOptions {
    InitOptions {
        region: Some("eu-west-1".into()),
        cluster: None,
        service: None,
        compose: None,
        host: None,
        directory: None,
        environment: "production".into(),
        branch: "main".into(),
        output: String::new(),
        force: false,
    }
}

/// Runs it in an empty folder, or in one that was made ready.
fn init_in_folder(scenario: &str, options: InitOptions, folder: tempfile::TempDir) -> InitResult {
    run_in_virtual_time(async {
        let scenario = Scenario::parse(scenario).unwrap();
        let clock = Clock::starting_at(rehearse::start_time(&scenario).unwrap());
        let cloud = Cloud::new(scenario, 1);
        let keys = [
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_SESSION_TOKEN", "t0ken"),
        ];
        let variables = keys.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let http = http_client(cloud.clone());
        let private_clients = PrivateClients::Fixed(http.clone());
        let doors = Io { http, clock, variables, mask: Mask::new(|_| ()), private_clients };
        let options = InitOptions { output: folder.path().to_string_lossy().into_owned(), ..options };
        let lines: Rc<RefCell<Vec<String>>> = Rc::default();
        let keep = lines.clone();
        let code = init::main(&options, &doors, move |line| keep.borrow_mut().push(line.to_owned())).await;
        let calls = cloud.calls();
        assert!(calls.iter().all(|call| !call.is_mutating), "it reads only");
        let calls = calls.into_iter().map(|call| call.operation).collect();
        InitResult { code, lines: lines.take(), calls, folder }
    })
}

fn init_successfully(scenario: &str, options: InitOptions) -> InitResult {
    let written = init_in_folder(scenario, options, tempfile::tempdir().unwrap());
    assert_eq!(written.code, 0, "{}", written.log_text());
    written
}

fn init_rejected(scenario: &str, options: InitOptions) -> String {
    let written = init_in_folder(scenario, options, tempfile::tempdir().unwrap());
    assert_eq!((written.code, fs::read_dir(written.folder.path()).unwrap().count()), (2, 0));
    assert_eq!(written.lines.last().unwrap(), "No file was written.");
    written.lines[..written.lines.len() - 1].join("\n")
}

#[test]
fn running_services_become_a_deploy_file_and_a_workflow() {
    let written = init_successfully(SCENARIO, init_options());
    insta::assert_snapshot!(written.deploy_file(), @r#"
        # The services on Amazon ECS, as `roadstead init` found them. Every key: docs/deploy-file.md of Roadstead.
        environments:
          production:
            branches: [main]
            aws:
              region: eu-west-1
              account: "111111111111"
              # The role of the workflow. `roadstead trust` prints its trust policy, `roadstead policy` its permissions.
              # role: arn:aws:iam::111111111111:role/deploy

        services:
          backend:
            repository: acme/backend
            # build: { context: . }   # the folder of its Dockerfile, if that is another
            ecs: { cluster: acme, service: backend, container: app }
            alarms: [backend-5xx, "slow: p99"]
            strategy: rolling # its load balancer also supports blue-green, linear and canary
          front:
            # repository:   # `public.ecr.aws/nginx/nginx:1.27` is not in ECR of this account: set a repository there, or pass the input `image`
            ecs: { cluster: acme, service: front, container: proxy }
            strategy: rolling # blue-green, linear and canary need a pair of target groups
          # Left out: acme/old: The service `old` has the deployment controller CODE_DEPLOY, not ECS.
    "#);
    insta::assert_snapshot!(written.log_text(), @r#"
        found in eu-west-1, account 111111111111:
          acme/backend as `backend`: container app, repository acme/backend
          acme/front as `front`: container proxy, image public.ecr.aws/nginx/nginx:1.27, not in ECR of this account: no image is built
          acme/old: skipped. The service `old` has the deployment controller CODE_DEPLOY, not ECS.
        wrote FOLDER/.github/roadstead.yml
        wrote FOLDER/.github/workflows/deploy.yml

        next:
          1. create the role of the workflow and write its ARN into the deploy file; no secret is needed:
               roadstead trust --repository OWNER/NAME --environment production --account 111111111111 > trust.json
               roadstead policy --environment production > policy.json
               aws iam create-role --role-name deploy --assume-role-policy-document file://trust.json
               aws iam put-role-policy --role-name deploy --policy-name roadstead --policy-document file://policy.json
          2. replace the zeros in the workflow with the commit of a release
          3. roadstead rehearse: the whole release against the emulator, in seconds
          4. roadstead plan --environment production: what would change, with your own credentials
    "#);
    insta::assert_snapshot!(written.file(".github/workflows/deploy.yml"), @r#"
        # Builds and releases what .github/roadstead.yml names.
        name: deploy

        on:
          push:
            branches: ["main"]

        permissions: {}

        # One change at a time, and none is cut off.
        concurrency:
          group: "deploy-production"
          cancel-in-progress: false

        jobs:
          deploy:
            name: Release
            runs-on: ubuntu-latest
            timeout-minutes: 65
            environment: "production"
            permissions:
              contents: write # the sources, and the lease that keeps two runs from one service
              deployments: write # the record of what was proven here
              actions: read # the runs that records and leases name
              id-token: write # the role in AWS
            steps:
              - name: Check out the sources
                uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
                with:
                  persist-credentials: false
              - name: Release
                # Write the commit of the release v0.1.0 here.
                uses: roadstead/roadstead@0000000000000000000000000000000000000000
    "#);
    assert_eq!(written.calls.len(), 6, "{:?}", written.calls);
}

#[test]
fn generated_workflow_follows_the_recommendations() {
    let written = init_successfully(
        SCENARIO,
        InitOptions { environment: "prod.eu-1".into(), branch: "release/1".into(), ..init_options() },
    );
    let workflow = parse_workflow(&written.file(".github/workflows/deploy.yml"));
    assert_eq!(workflow_violations(&workflow), Vec::<String>::new());
    assert_eq!(workflow["on"]["push"]["branches"], serde_json::json!(["release/1"]));
    assert_eq!(workflow["jobs"]["deploy"]["environment"], "prod.eu-1");
}

#[test]
fn generated_deploy_file_can_be_rehearsed() {
    let written = init_successfully(SCENARIO, init_options());
    let report = rehearse_deploy(written.folder.path(), &written.deploy_file(), "production");
    assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal::terminal(&report));
    assert_eq!(report.services.len(), 2);
}

/// Also in the world that the file was written for, not only in one made for the file.
#[test]
fn generated_deploy_file_releases_to_the_found_services() {
    let written = init_successfully(SCENARIO, init_options());
    let file = written.deploy_file();
    let trial = TestRun { config: file, ..TestRun::custom(SCENARIO) };
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{}", terminal::terminal(&ran.report));
    let image = Some("backend=111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1".into());
    let inputs = RawInputs { services: Some("backend".into()), image, ..RawInputs::default() };
    let again = TestRun { inputs, ..trial }.run();
    assert_eq!(again.report.outcome.exit_code(), 0, "{}", terminal::terminal(&again.report));
}

/// 230 services in three clusters: more than a page of ListServices, and many of DescribeServices.
#[test]
fn all_services_are_found_across_pages() {
    let mut scenario = String::from("services:\n");
    for number in 0..230 {
        let cluster = if number < 215 { "acme" } else { "acme-staging" };
        let name = number % 215;
        scenario += &format!("  - {{ cluster: {cluster}, name: s{name:03}, desired: 1 }}\n");
    }
    scenario += "clusters: [empty]\n";
    let written = init_successfully(&scenario, init_options());
    let file = written.deploy_file();
    assert_eq!(file.matches("    ecs: {").count(), 230);
    assert!(file.contains("\n  acme-s000:\n") && file.contains("\n  acme-staging-s014:\n"), "{file}");
    assert!(file.contains("\n  s015:\n"), "the cluster is named only where two have the same name");
    let one = self::init_successfully(
        &scenario,
        InitOptions { cluster: Some("acme-staging".into()), ..init_options() },
    );
    assert_eq!(one.deploy_file().matches("    ecs: {").count(), 15);
    assert!(!one.calls.contains(&"ListClusters".to_owned()));
    let named =
        self::init_successfully(&scenario, InitOptions { service: Some("s014".into()), ..init_options() });
    assert_eq!(named.deploy_file().matches("    ecs: {").count(), 2);
}

/// Names that AWS does not allow are treated as text, too.
#[test]
fn hostile_names_are_quoted() {
    let odd = r#"ac"me: *x # ${sha} \n é"#;
    let containers = serde_json::json!([{ "name": "app", "image": "nginx:1.27", "essential": true }]);
    let scenario = serde_json::json!({ "services": [{
        "cluster": odd, "name": "we\nb, ${nobody}: [x] # \u{2028}y", "container": "app",
        "deployment": { "alarms": { "names": [odd, "null", "1", "-"] } },
        "task-definition": {
            "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
            "cpu": "256", "memory": "512", "containerDefinitions": containers,
        },
    }]});
    // JSON is YAML, but for the line breaks that only JSON has no name for.
    let scenario = scenario.to_string().replace('\u{2028}', "\\u2028");
    let written = init_successfully(&scenario, init_options());
    let (file, output) = (written.deploy_file(), written.log_text());
    assert!(file.is_ascii() && !output.contains('\u{2028}'), "{file}\n{output}");
    let document = roadstead::config::DeployFile::parse("roadstead.yml", &file).unwrap();
    let (services, problems) = document.services(
        "production",
        &[],
        &roadstead::targets::keys(roadstead::targets::KINDS),
        &Default::default(),
    );
    assert!(problems.is_empty(), "{problems:?}");
    let block = services[0].settings.to_value();
    assert_eq!(block["cluster"], odd);
    assert_eq!(block["service"], "we\nb, ${nobody}: [x] # \u{2028}y");
    assert_eq!(services[0].config.alarms, [odd, "null", "1", "-"]);
    assert_eq!(services[0].name, "we-b----nobody----x-----y");
}

fn prepared_folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    folder
}

#[test]
fn existing_files_are_overwritten_only_with_force() {
    for there in [".github/roadstead.yml", ".github/workflows/deploy.yml"] {
        let written = init_in_folder(SCENARIO, init_options(), prepared_folder(&[there]));
        assert_eq!((written.code, written.file(there).as_str()), (2, "mine"));
        assert!(
            written
                .log_text()
                .contains(&format!("`FOLDER/{there}` already exists. Pass --force to overwrite it."))
        );
        assert!(written.calls.is_empty(), "nothing is called");
        let other =
            [".github/roadstead.yml", ".github/workflows/deploy.yml"].into_iter().find(|it| *it != there);
        assert!(!written.folder.path().join(other.unwrap()).exists(), "both or none");
        let forced = init_in_folder(
            SCENARIO,
            InitOptions { force: true, ..init_options() },
            prepared_folder(&[there]),
        );
        assert_eq!(forced.code, 0);
        assert_ne!(forced.file(there), "mine");
    }
}

#[test]
fn symlink_is_not_written_through() {
    let folder = prepared_folder(&["elsewhere"]);
    fs::create_dir(folder.path().join(".github")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", folder.path().join(".github/roadstead.yml")).unwrap();
    let written = init_in_folder(SCENARIO, InitOptions { force: true, ..init_options() }, folder);
    assert_eq!((written.code, written.file("elsewhere").as_str()), (2, "mine"), "{}", written.log_text());
}

#[test]
fn impossible_init_is_reported_and_writes_nothing() {
    let nothing = init_rejected("clusters: [acme]\n", init_options());
    let foreign =
        init_rejected("services: [{ cluster: acme, name: old, controller: CODE_DEPLOY }]\n", init_options());
    let cluster = init_rejected(SCENARIO, InitOptions { cluster: Some("acmee".into()), ..init_options() });
    let denied =
        init_rejected(&format!("{SCENARIO}policy: {{ deny: [\"ecs:ListServices\"] }}\n"), init_options());
    let region = init_rejected(SCENARIO, InitOptions { region: None, ..init_options() });
    let environment =
        init_rejected(SCENARIO, InitOptions { environment: "${{ x }}".into(), ..init_options() });
    let branch = init_rejected(SCENARIO, InitOptions { branch: "release/*".into(), ..init_options() });
    let all = [nothing, foreign, cluster, denied, region, environment, branch].join("\n");
    insta::assert_snapshot!(all, @r"
    error service-missing: No ECS service was found that Roadstead can deploy to. Check --region, --cluster, --service and the account of the credentials (AWS_PROFILE).
    error service-missing: No ECS service was found that Roadstead can deploy to. (acme/old: The service `old` has the deployment controller CODE_DEPLOY, not ECS.) Check --region, --cluster, --service and the account of the credentials (AWS_PROFILE).
    error cluster-missing: The ECS cluster does not exist in this account and region. (ClusterNotFoundException: Cluster not found.) Check `ecs.cluster`, `aws.region` and the role.
    error permission-missing: The permission ecs:ListServices is missing. (AccessDeniedException: User: arn:aws:sts::111111111111:assumed-role/deploy/roadstead is not authorized to perform: ecs:ListServices on resource: * with an explicit deny in an identity-based policy) Add it to the policy of the role.
    error credentials-missing: No AWS region is set. Set --region or AWS_REGION, and provide credentials as for the AWS CLI (AWS_PROFILE).
    error input-invalid: The option --environment cannot be `${{ x }}`. Use letters, digits and - . _ / only; write any other name into the files yourself.
    error input-invalid: The option --branch cannot be `release/*`. Use letters, digits and - . _ / only; write any other name into the files yourself.
    ");
}

fn init_compose(file: &str, text: &str, options: InitOptions) -> InitResult {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(file).parent().unwrap()).unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    init_in_folder("{}", InitOptions { compose: Some(file.into()), region: None, ..options }, folder)
}

const COMPOSE_FILE: &str = "services:\n  web:\n    build: .\n    image: ghcr.io/acme/shop\n    \
    healthcheck: { test: [CMD, \"true\"] }\n    logging: { options: { max-size: 10m } }\n  db: { image: \"postgres:17\" }\n";

#[test]
fn compose_file_becomes_a_deploy_file_that_is_rehearsed() {
    let options = InitOptions { host: Some("deploy@app1.acme.dev".into()), ..init_options() };
    let written = init_compose("compose.yaml", COMPOSE_FILE, options);
    assert_eq!((written.code, written.calls.len()), (0, 0), "{}", written.log_text());
    assert_eq!(
        workflow_violations(&parse_workflow(&written.file(".github/workflows/deploy.yml"))),
        Vec::<String>::new()
    );
    let report = rehearse_deploy(written.folder.path(), &written.deploy_file(), "production");
    assert_eq!(report.outcome, Outcome::Deployed, "{}", terminal::terminal(&report));
    assert!(
        written.log_text().contains("db: its image is not built here: left out"),
        "{}",
        written.log_text()
    );
}

#[test]
fn compose_option_that_cannot_be_written_is_refused() {
    let refused = |file: &str, options: InitOptions| {
        let written = init_compose("compose.yaml", COMPOSE_FILE, options.clone());
        let missing = init_in_folder(
            "{}",
            InitOptions { compose: Some(file.into()), region: None, ..options },
            tempfile::tempdir().unwrap(),
        );
        (written.code, missing.code)
    };
    let wrong_host = InitOptions { host: Some("-oProxyCommand=x".into()), ..init_options() };
    assert_eq!(refused("compose.yaml", wrong_host), (2, 2));
    let wrong_folder = InitOptions { directory: Some("/srv/../etc".into()), ..init_options() };
    assert_eq!(refused("../compose.yaml", wrong_folder), (2, 2));
    let alone = init_rejected("{}", InitOptions { host: Some("deploy@app1".into()), ..init_options() });
    assert!(alone.contains("The option --host needs --compose."), "{alone}");
}
