//! `roadstead policy`: the minimal IAM policy for the services of an environment, from the deploy file alone.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Aws, DeployFile, Placeholders};
use crate::problem::{Code, Problem};
use crate::release::{DefinitionFile, ecr_repository};
use crate::sys::{disk, terminal};
use crate::targets::policy::{
    PolicyScope, PolicySubject, PolicyUse, PullSource, build_policy, repository_arn,
};
use crate::targets::{self, KINDS, ServiceSpec};

use super::arguments::PolicyOptions;
use super::place::DeployFilePlace;

/// Placeholders with values only a run knows: a wildcard in the policy.
const WILDCARD_PLACEHOLDERS: [&str; 4] = ["branch", "tag", "sha", "short-sha"];

/// The policy of an environment, and what is worth knowing of it.
pub struct EnvironmentPolicy {
    /// The policy, pretty-printed.
    pub text: String,
    /// Where it is wider than it could be.
    pub warnings: Vec<String>,
}

/// Prints the policy, or everything that is wrong with the deploy file. Warnings go to the standard error, so that the
/// output is the policy and nothing else.
pub(super) fn main(options: &PolicyOptions) -> u8 {
    let place = DeployFilePlace::find(Path::new("."), &options.config);
    let read = disk::read_text(&place.path()).map_err(|error| {
        let sentence = format!("The deploy file `{}` cannot be read.", options.config);
        vec![Problem::error(Code::ConfigMissing, sentence).cause(format!("{error:#}"))]
    });
    match read.and_then(|text| environment_policy(&place.root, options, &text)) {
        Ok(policy) => {
            let warn = |text: &String| terminal::stderr_line(&format!("warning: {text}"));
            policy.warnings.iter().for_each(warn);
            terminal::stdout_line(&policy.text);
            0
        }
        Err(problems) => {
            problems
                .iter()
                .for_each(|problem| terminal::stdout_line(&format!("error {}: {problem}", problem.code)));
            2
        }
    }
}

/// The policy of an environment of the deploy file `text`, pretty-printed.
pub fn policy_json(
    workspace: &Path,
    file: &str,
    text: &str,
    environment: &str,
) -> Result<String, Vec<Problem>> {
    let (environment, config) = (environment.to_owned(), file.to_owned());
    let options = PolicyOptions { environment, config, read_only: false };
    environment_policy(workspace, &options, text).map(|policy| policy.text)
}

/// The policy of the environment that the options name, of the deploy file `text`.
pub fn environment_policy(
    workspace: &Path,
    options: &PolicyOptions,
    text: &str,
) -> Result<EnvironmentPolicy, Vec<Problem>> {
    let (file, environment) = (options.config.as_str(), options.environment.as_str());
    let document = DeployFile::parse(file, text)?;
    let (environments, mut problems) = document.environments();
    let Some(chosen) = environments.get(environment) else {
        let known = environments.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let sentence = format!("The environment `{environment}` is not in the deploy file.");
        problems
            .push(Problem::error(Code::NameUnknown, sentence).help(format!("The deploy file has: {known}.")));
        return Err(problems);
    };
    let mut known: Placeholders =
        WILDCARD_PLACEHOLDERS.into_iter().map(|name| (name, "*".to_owned())).collect();
    known.insert("environment", environment.to_owned());
    let targets = targets::keys(KINDS);
    let (services, more) = document.services(environment, &[], &targets, &known);
    problems.extend(more);
    let (specs, more) = targets::read_specs(KINDS, file, services);
    problems.extend(more);
    let (notify, more) = document.notify_settings(environment, chosen, &known);
    problems.extend(more);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    let aws = chosen.aws.clone().unwrap_or_default();
    let from = chosen.promote_from.as_deref().and_then(|name| environments.get_key_value(name));
    let proven = from.map(|(name, _)| {
        let known = known.clone().into_iter().chain([("environment", name.clone())]).collect();
        targets::read_specs(KINDS, file, document.services(name, &[], &targets, &known).0).0
    });
    let sources = |spec: &ServiceSpec| {
        let origin = from.and_then(|(_, environment)| environment.aws.clone()).unwrap_or_default();
        let other = proven.iter().flatten().find(|other| other.name == spec.name);
        other.map(|other| pull_sources(&aws, spec, &origin, other)).unwrap_or_default()
    };
    let subject = |spec: ServiceSpec| PolicySubject {
        source: read_source(workspace, &spec),
        pull_sources: sources(&spec),
        spec,
    };
    let policy_use = if options.read_only { PolicyUse::ReadOnly } else { PolicyUse::Deploy };
    let subjects: Vec<PolicySubject> = specs.into_iter().map(subject).collect();
    let mut policy = build_policy(&aws, &subjects, policy_use);
    let topic = notify.sns.filter(|_| policy_use == PolicyUse::Deploy);
    if let (Some(topic), Some(statements)) = (topic, policy["Statement"].as_array_mut()) {
        statements.push(publish_statement(topic.arn()));
    }
    let text = serde_json::to_string_pretty(&policy).unwrap_or_default();
    Ok(EnvironmentPolicy { warnings: policy_warnings(&policy), text })
}

/// Where the policy is wider than it could be, or empty.
fn policy_warnings(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_any_role = |statement: &Value, action: &str| {
        let has = |key: &str, check: &dyn Fn(&str) -> bool| {
            statement[key].as_array().is_some_and(|all| all.iter().filter_map(Value::as_str).any(check))
        };
        has("Action", &|one| one == action) && has("Resource", &|one| one.ends_with(":role/*"))
    };
    let widest = |action: &str| statements.iter().any(|statement| is_any_role(statement, action));
    let passes = widest("iam:PassRole").then_some(
        "iam:PassRole covers `role/*`: the role could start tasks with every role of the account. The roles are known \
         if the deploy file names the task definition (`ecs.task-definition`) and that file is here; otherwise replace \
         `role/*` with the task role and the execution role.",
    );
    let simulates = widest("iam:SimulatePrincipalPolicy").then_some(
        "iam:SimulatePrincipalPolicy covers `role/*`, because the deploy file does not name the role. Replace it with \
         the ARN of the role that gets this policy.",
    );
    let is_empty = statements.is_empty().then_some(
        "the policy has no statement, and IAM accepts none like that: this environment needs nothing of AWS.",
    );
    [passes, simulates, is_empty].into_iter().flatten().map(str::to_owned).collect()
}

/// The repositories that the images of a service are copied from: those of `other`, the same service in the environment that
/// verified it. A repository that is the same in both is none of them.
fn pull_sources(aws: &Aws, spec: &ServiceSpec, origin: &Aws, other: &ServiceSpec) -> Vec<PullSource> {
    let account = |aws: &Aws| {
        let of_role = aws.role.as_deref().and_then(|role| role.split(':').nth(4)).map(str::to_owned);
        aws.account.clone().or(of_role)
    };
    let location = |aws: &Aws, repository: Option<&str>| {
        (aws.region.clone(), account(aws), repository.and_then(ecr_repository).map(str::to_owned))
    };
    let any = |known: Option<String>| known.unwrap_or_else(|| "*".into());
    let is_in_ecr = |name: &String| repository_arn(name, &PolicyScope::from_aws(origin)).is_some();
    let copied = image_repositories(spec, other).into_iter().filter_map(|pair| {
        let from = location(origin, pair.there.as_deref());
        // No policy of AWS opens another registry.
        let is_foreign = pair.there.as_deref().is_some_and(|name| ecr_repository(name).is_none());
        let is_other = !is_foreign && location(aws, pair.here.as_deref()) != from;
        let (region, account, repository) = from;
        (is_other && repository.as_ref().is_none_or(is_in_ecr)).then(|| PullSource {
            region: any(region),
            account: any(account),
            repository: any(repository),
        })
    });
    copied.collect()
}

/// The repository of an image in an environment, and in the one that verifies it.
struct RepositoryPair {
    here: Option<String>,
    there: Option<String>,
}

/// The repositories of the image of a service and of those of its further containers.
fn image_repositories(spec: &ServiceSpec, other: &ServiceSpec) -> Vec<RepositoryPair> {
    let repository = |spec: &ServiceSpec| spec.config.repository.clone();
    let of_service = RepositoryPair { here: repository(spec), there: repository(other) };
    let there = other.containers();
    let further = spec.containers().into_iter().filter(|container| container.repository.is_some());
    let further = further.map(|container| RepositoryPair {
        there: there.iter().find(|it| it.name == container.name).and_then(|it| it.repository.clone()),
        here: container.repository,
    });
    std::iter::once(of_service).chain(further).collect()
}

/// Permissions to publish to an SNS topic.
fn publish_statement(topic: &str) -> Value {
    json!({ "Sid": "Notifications", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": [topic] })
}

/// A file that cannot be read makes the policy wider, not wrong.
fn read_source(workspace: &Path, spec: &ServiceSpec) -> Option<DefinitionFile> {
    let path = spec.source_file()?.path;
    let text = disk::read_text_within(workspace, Path::new(&path)).ok()?;
    Some(DefinitionFile { path, text })
}
