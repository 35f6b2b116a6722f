//! `roadstead policy`: the smallest IAM policy for the services of an environment, from the deploy file alone.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Aws, Document, Placeholders, Service};
use crate::problem::{Code, Problem};
use crate::release::Definition;
use crate::sys::{disk, terminal};
use crate::targets;
use crate::targets::ecs::grants::Pulled;

use super::arguments::PolicyOptions;

/// What a run puts into names is not known here: in a policy it stands for anything.
const ANYTHING: [&str; 3] = ["branch", "sha", "short-sha"];

/// Prints the policy, or everything that is wrong with the deploy file.
pub(super) fn main(options: &PolicyOptions) -> u8 {
    let read = disk::read_text(Path::new(&options.config)).map_err(|error| {
        let sentence = format!("The deploy file `{}` cannot be read.", options.config);
        vec![Problem::error(Code::ConfigMissing, sentence).cause(format!("{error:#}"))]
    });
    match read.and_then(|text| policy(Path::new("."), &options.config, &text, &options.environment)) {
        Ok(text) => {
            terminal::line(&text);
            0
        }
        Err(problems) => {
            problems.iter().for_each(|problem| terminal::line(&format!("error {}: {problem}", problem.code)));
            2
        }
    }
}

/// The policy of an environment of the deploy file `text`, pretty-printed.
pub fn policy(workspace: &Path, file: &str, text: &str, environment: &str) -> Result<String, Vec<Problem>> {
    let document = Document::parse(file, text)?;
    let (environments, mut problems) = document.environments();
    let Some(chosen) = environments.get(environment) else {
        let known = environments.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let sentence = format!("The deploy file has no environment `{environment}`.");
        problems.push(Problem::error(Code::NameUnknown, sentence).help(format!("It has: {known}.")));
        return Err(problems);
    };
    let mut known: Placeholders = ANYTHING.into_iter().map(|name| (name, "*".to_owned())).collect();
    known.insert("environment", environment.to_owned());
    let (services, more) = document.services(environment, &[], targets::NAMES, &known);
    problems.extend(more);
    let (notify, more) = document.notify(environment, chosen, &known);
    problems.extend(more);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    let services: Vec<_> = services.into_iter().map(|service| with_definition(workspace, service)).collect();
    let aws = chosen.aws.clone().unwrap_or_default();
    let from = chosen.promote_from.as_deref().and_then(|name| environments.get_key_value(name));
    let proven = from.map(|(name, _)| {
        let known = known.clone().into_iter().chain([("environment", name.clone())]).collect();
        document.services(name, &[], targets::NAMES, &known).0
    });
    let source = |service: &Service| {
        let there = from?.1.aws.clone().unwrap_or_default();
        let other = proven.as_ref()?.iter().find(|other| other.name == service.name)?;
        pulled(&aws, service, &there, other)
    };
    let mut policy = targets::promoting(file, &aws, &services, &source)?;
    if let (Some(topic), Some(statements)) = (notify.sns, policy["Statement"].as_array_mut()) {
        statements.push(publishing(topic.arn()));
    }
    Ok(serde_json::to_string_pretty(&policy).unwrap_or_default())
}

/// The repository that the image of `service` is copied from: that of `other`, the same service where it is proven.
/// `None` where it is the same one.
fn pulled(aws: &Aws, service: &Service, there: &Aws, other: &Service) -> Option<Pulled> {
    let account = |aws: &Aws| {
        let of_role = aws.role.as_deref().and_then(|role| role.split(':').nth(4)).map(str::to_owned);
        aws.account.clone().or(of_role)
    };
    let place =
        |aws: &Aws, service: &Service| (aws.region.clone(), account(aws), service.common.repository.clone());
    let (region, account, repository) = place(there, other);
    let any = |known: Option<String>| known.unwrap_or_else(|| "*".into());
    (place(aws, service) != place(there, other)).then(|| Pulled {
        region: any(region),
        account: any(account),
        repository: any(repository),
    })
}

/// What telling a topic of SNS needs.
fn publishing(topic: &str) -> Value {
    json!({ "Sid": "Notifications", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": [topic] })
}

/// A definition that cannot be read makes the policy wider, not wrong.
fn with_definition(workspace: &Path, service: Service) -> (Service, Option<Definition>) {
    let definition = targets::file_of(&service).and_then(|(_, path)| {
        let text = disk::read_text(&workspace.join(&path)).ok()?;
        Some(Definition { path, text })
    });
    (service, definition)
}
