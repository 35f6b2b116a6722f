//! The page of IAM: under each command is its output. `UPDATE=1` writes the page.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use roadstead::cli::{self, Arguments, Command};

const PAGE: &str = "docs/iam.md";

/// What a command line of the page prints.
fn command_output(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let parsed = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    match parsed.command {
        Command::Trust(options) => cli::trust::trust_policy(&options).unwrap(),
        Command::Policy(options) => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let path = root.join(&options.config);
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            cli::policy::environment_policy(path.parent().unwrap(), &options, &text).unwrap().text
        }
        other => panic!("{line}: {other:?} prints no policy"),
    }
}

/// The page with the output of each command in the fence below it, and how many commands it has.
fn regenerate_page(page: &str) -> (String, usize) {
    let (mut made, mut rest, mut commands) = (String::new(), page, 0);
    const BETWEEN: &str = "\n```\n\n```json\n";
    while let Some((before, after)) = rest.split_once(BETWEEN) {
        let line = before.lines().last().unwrap_or_default();
        let (old, after) = match after.strip_prefix("```") {
            Some(after) => ("", after),
            None => after.split_once("\n```").unwrap(),
        };
        let new = if line.starts_with("roadstead ") { command_output(line) } else { old.to_owned() };
        commands += usize::from(line.starts_with("roadstead "));
        made += &format!("{before}{BETWEEN}{new}\n```");
        rest = after;
    }
    (made + rest, commands)
}

#[test]
fn page_shows_the_output_of_each_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (new, commands) = regenerate_page(&page);
    assert!(commands >= 2, "{PAGE} shows no command");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &new).unwrap();
    } else {
        assert!(new == page, "{PAGE} is not what the commands print: UPDATE=1 cargo test --test main iam");
    }
}

#[test]
fn outdated_output_on_the_page_is_detected() {
    let page = "```sh\nroadstead trust --repository a/b --branch main --account 111111111111\n```\n\n```json\n{}\n```\n\nend\n";
    let (new, commands) = regenerate_page(page);
    assert_eq!(commands, 1);
    assert!(
        new != page && new.contains("repo:a/b:ref:refs/heads/main") && new.ends_with("}\n```\n\nend\n"),
        "{new}"
    );
    assert_eq!(regenerate_page(&new).0, new);
}

/// A deploy file with a service for Argo CD whose image goes to `repository`.
fn argocd_policy(repository: &str) -> serde_json::Value {
    let file = format!(
        "environments: {{ production: {{ branches: [main], aws: {{ region: eu-west-1, account: \"111111111111\" }} }} }}\nservices:\n  web:\n    repository: {repository}\n    argocd: {{ repository: acme/manifests, files: [{{ path: kustomization.yaml }}] }}\n"
    );
    let text = cli::policy::policy_json(Path::new("."), "roadstead.yml", &file, "production").unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn policy_for_argocd_allows_the_push_to_ecr_and_nothing_else() {
    let policy = argocd_policy("acme/web");
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 2, "{policy:#}");
    assert_eq!(statements[0]["Resource"][0], "arn:aws:ecr:eu-west-1:111111111111:repository/acme/web");
    assert!(statements[0]["Action"].as_array().unwrap().iter().any(|action| action == "ecr:PutImage"));
    assert_eq!(statements[1]["Action"][0], "ecr:GetAuthorizationToken");
    assert_eq!(argocd_policy("registry.example/acme/web")["Statement"].as_array().unwrap().len(), 0);
}

/// The policy of a command line for this deploy file.
fn policy_of(arguments: &str, file: &str) -> cli::policy::EnvironmentPolicy {
    let words = format!("roadstead policy --environment production {arguments}");
    let Command::Policy(options) = Arguments::try_parse_from(words.split_whitespace()).unwrap().command
    else {
        panic!("{words}")
    };
    cli::policy::environment_policy(Path::new("."), &options, file).unwrap()
}

const EVERY_KIND: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1, account: \"111111111111\" } }
services:
  api: { repository: acme/api, ecs: { cluster: acme, service: api }, strategy: { canary: { metrics: [5xx] } }, before: { run: [x] } }
  web: { repository: ghcr.io/acme/web, ecs: { cluster: acme, service: web } }
  far: { repository: 222222222222.dkr.ecr.us-east-1.amazonaws.com/acme/far, ecs: { cluster: acme, service: far } }
  cd: { repository: acme/cd, argocd: { repository: acme/manifests, files: [{ path: kustomization.yaml }] } }
notify: { sns: \"arn:aws:sns:eu-west-1:111111111111:releases\" }
";

#[test]
fn read_only_policy_changes_nothing() {
    let policy: serde_json::Value = serde_json::from_str(&policy_of("--read-only", EVERY_KIND).text).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions: Vec<&str> = statements
        .iter()
        .flat_map(|one| one["Action"].as_array().unwrap())
        .filter_map(|one| one.as_str())
        .collect();
    assert!(
        actions.contains(&"ecs:DescribeServices") && actions.contains(&"ecr:BatchGetImage"),
        "{actions:?}"
    );
    let reads = ["Describe", "List", "Get", "BatchGet", "BatchCheck"];
    for action in actions {
        let verb = action.split_once(':').unwrap().1;
        assert!(reads.iter().any(|read| verb.starts_with(read)), "{action}");
    }
}

#[test]
fn policy_names_repositories_of_ecr_only_and_warns_about_any_role() {
    let policy = policy_of("", EVERY_KIND);
    for (repository, is_there) in [
        ("arn:aws:ecr:eu-west-1:111111111111:repository/acme/api", true),
        ("arn:aws:ecr:us-east-1:222222222222:repository/acme/far", true),
        ("arn:aws:ecr:eu-west-1:111111111111:repository/acme/cd", true),
        ("ghcr.io", false),
    ] {
        assert_eq!(policy.text.contains(repository), is_there, "{repository}\n{}", policy.text);
    }
    assert_eq!(policy.warnings.len(), 2, "{:?}", policy.warnings);
    let only_read = policy_of("--read-only", EVERY_KIND);
    assert!(only_read.warnings.is_empty(), "{:?}", only_read.warnings);
}
