//! `roadstead policy`: the minimal IAM policy for the services of an environment, or the Roles of its clusters, from the deploy file
//! alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Aws, DeployFile, Environment, NotifySettings, Placeholders};
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::release::{DefinitionFile, ecr_repository};
use crate::sys::{disk, terminal};
use crate::targets::policy::{
    PolicyScope, PolicySubject, PolicyUse, PullSource, build_policy, repository_arn,
};
use crate::targets::rbac::{self, RbacRule};
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
    let options = PolicyOptions { environment, config, read_only: false, rbac: false };
    environment_policy(workspace, &options, text).map(|policy| policy.text)
}

/// An environment of the deploy file, with its services.
struct ReadEnvironment {
    document: DeployFile,
    environments: BTreeMap<String, Environment>,
    environment: Environment,
    placeholders: Placeholders,
    specs: Vec<ServiceSpec>,
    notify: NotifySettings,
}

impl ReadEnvironment {
    /// The environment that the options name, of the deploy file `text`.
    fn parse(options: &PolicyOptions, text: &str) -> Result<Self, Vec<Problem>> {
        let (file, name) = (options.config.as_str(), options.environment.as_str());
        let document = DeployFile::parse(file, text)?;
        let (environments, mut problems) = document.environments();
        let Some(environment) = environments.get(name).cloned() else {
            problems.push(unknown_environment(name, &environments));
            return Err(problems);
        };
        let placeholders = policy_placeholders(name);
        let (services, more) = document.services(name, &[], &targets::keys(KINDS), &placeholders);
        problems.extend(more);
        let (specs, more) = targets::read_specs(KINDS, file, services);
        problems.extend(more);
        let (notify, more) = document.notify_settings(name, &environment, &placeholders);
        problems.extend(more);
        match problems.iter().any(Problem::is_error) {
            true => Err(problems),
            false => Ok(Self { document, environments, environment, placeholders, specs, notify }),
        }
    }
}

fn unknown_environment(name: &str, environments: &BTreeMap<String, Environment>) -> Problem {
    let known = name_list(environments.keys().map(String::as_str));
    let sentence = format!("The environment `{name}` is not in the deploy file.");
    Problem::error(Code::NameUnknown, sentence).help(format!("The deploy file has: {known}."))
}

fn policy_placeholders(environment: &str) -> Placeholders {
    let unknown = WILDCARD_PLACEHOLDERS.into_iter().map(|name| (name, "*".to_owned()));
    unknown.chain([("environment", environment.to_owned())]).collect()
}

/// What the options ask for, of the environment that they name in the deploy file `text`: the IAM policy, or the Roles of its
/// clusters.
pub fn environment_policy(
    workspace: &Path,
    options: &PolicyOptions,
    text: &str,
) -> Result<EnvironmentPolicy, Vec<Problem>> {
    let read = ReadEnvironment::parse(options, text)?;
    let policy_use = if options.read_only { PolicyUse::ReadOnly } else { PolicyUse::Deploy };
    Ok(match options.rbac {
        true => cluster_roles(&read, policy_use),
        false => iam_policy(workspace, &options.config, read, policy_use),
    })
}

fn iam_policy(
    workspace: &Path,
    file: &str,
    read: ReadEnvironment,
    policy_use: PolicyUse,
) -> EnvironmentPolicy {
    let ReadEnvironment { document, environments, environment, placeholders, specs, notify } = read;
    let aws = environment.aws.clone().unwrap_or_default();
    let from = environment.promote_from.as_deref().and_then(|name| environments.get_key_value(name));
    let proven = from.map(|(name, _)| {
        let known = placeholders.into_iter().chain([("environment", name.clone())]).collect();
        let services = document.services(name, &[], &targets::keys(KINDS), &known).0;
        targets::read_specs(KINDS, file, services).0
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
    let subjects: Vec<PolicySubject> = specs.into_iter().map(subject).collect();
    let mut policy = build_policy(&aws, &subjects, policy_use);
    let topic = notify.sns.filter(|_| policy_use == PolicyUse::Deploy);
    if let (Some(topic), Some(statements)) = (topic, policy["Statement"].as_array_mut()) {
        statements.push(publish_statement(topic.arn()));
    }
    let text = serde_json::to_string_pretty(&policy).unwrap_or_default();
    EnvironmentPolicy { warnings: policy_warnings(&policy), text }
}

/// The Roles of the clusters of the environment.
fn cluster_roles(read: &ReadEnvironment, policy_use: PolicyUse) -> EnvironmentPolicy {
    let rules: Vec<RbacRule> = read.specs.iter().flat_map(ServiceSpec::rbac_rules).collect();
    let clusters: BTreeSet<&str> = rules.iter().map(|rule| rule.cluster.title.as_str()).collect();
    let several = (clusters.len() > 1).then(|| {
        let list = clusters.iter().copied().collect::<Vec<_>>().join(", ");
        format!("the Roles are for several clusters: {list}. Apply each in its own, which its comment names.")
    });
    let none = rules
        .is_empty()
        .then(|| "no service of this environment runs in a cluster of Kubernetes.".to_owned());
    let scope = PolicyScope::from_aws(&read.environment.aws.clone().unwrap_or_default());
    let unnamed = format!("arn:aws:iam::{}:role/ROLE", scope.account);
    let principal = scope.role.as_deref().unwrap_or(&unnamed);
    let text = rbac::roles_yaml(&rules, principal, policy_use).unwrap_or_default();
    EnvironmentPolicy {
        warnings: several.into_iter().chain(none).collect(),
        text: text.trim_end().to_owned(),
    }
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
