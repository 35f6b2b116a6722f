//! The deploy file as a rollback reads it. A rollback needs where a service is, and how to reach it. What else is wrong with
//! the file is a warning, and a service that cannot be read keeps no other one from being rolled back.

use super::super::blocks::SERVICE_KEYS;
use super::super::placeholder::substitute;
use super::super::tree::{self, ConfigEntry, ConfigNode, ConfigValue};
use super::super::{Environment, Placeholders, ServiceConfig, check, limits, outline, read};
use super::{DeployFile, ReadResult, Service, expand_names, merge_overrides};
use crate::problem::{Location, Problem};

impl DeployFile {
    /// As [`DeployFile::parse`]; keys of the file that nobody knows are warnings.
    pub fn parse_restorable(file: &str, text: &str) -> ReadResult<(Self, Vec<Problem>)> {
        limits::text_problem(file, text).map_or(Ok(()), |problem| Err(vec![problem]))?;
        let root = tree::parse(file, text).map_err(|problem| vec![problem])?;
        let document = Self { file: file.to_owned(), root };
        let problems = outline::top_level_problems(file, &document.root);
        let is_readable = !document.service_names().is_empty()
            && document.root.get("environments").is_some_and(|node| !node.entries().is_empty())
            && limits::count_problems(file, &document.root).is_empty();
        if is_readable { Ok((document, as_warnings(problems))) } else { Err(problems) }
    }

    /// An environment without the keys of it that cannot be read. Errors where its `aws` is one of them: then it is not known
    /// where the services are.
    pub fn restorable_environment(&self, name: &str) -> ReadResult<Environment> {
        let bare = ConfigNode::empty_mapping();
        let node = self.root.get("environments").and_then(|all| all.get(name)).unwrap_or(&bare);
        let what = format!("environment `{name}`");
        let read_part = |part: &ConfigNode| read::<Environment>(&self.file, &what, part);
        let is_aws = |entry: &ConfigEntry| entry.key == "aws";
        read_part(&keep_entries(node, is_aws))?;
        let readable = keep_entries(node, |entry| read_part(&keep_entries(node, |it| it == entry)).is_ok());
        read_part(&readable)
    }

    /// As [`DeployFile::services`]. Errors are those of services that cannot be read; what else is wrong is a warning.
    pub fn restorable_services(
        &self,
        environment: &str,
        wanted: &[String],
        targets: &[&str],
        known: &Placeholders,
    ) -> (Vec<Service>, Vec<Problem>) {
        let (mut services, mut problems) = (Vec::new(), self.unknown_services(wanted));
        for entry in self.root.get("services").map(ConfigNode::entries).unwrap_or_default() {
            if wanted.is_empty() || wanted.contains(&entry.key) {
                let (service, more) = self.read_restorable(entry, environment, targets, known);
                services.extend(service);
                problems.extend(more.into_iter().map(|problem| problem.for_service(&entry.key)));
            }
        }
        (services, problems)
    }

    fn read_restorable(
        &self,
        entry: &ConfigEntry,
        environment: &str,
        targets: &[&str],
        known: &Placeholders,
    ) -> (Option<Service>, Vec<Problem>) {
        let (service, problems) = self.read_service(entry, environment, targets, known);
        if service.is_some() && problems.is_empty() {
            return (service, problems);
        }
        match self.read_part(entry, environment, targets, known) {
            Ok(service) => (Some(service), as_warnings(problems)),
            Err(more) if problems.is_empty() => (None, more),
            Err(_) => (None, problems),
        }
    }

    /// The service with its target, and without the keys that cannot be read.
    fn read_part(
        &self,
        entry: &ConfigEntry,
        environment: &str,
        targets: &[&str],
        known: &Placeholders,
    ) -> ReadResult<Service> {
        let name = entry.key.as_str();
        let (merged, _) = merge_overrides(entry, environment);
        let known: Placeholders = known.clone().into_iter().chain([("service", name.to_owned())]).collect();
        let mut target = keep_entries(&merged, |entry| outline::is_target_key(&entry.key, targets));
        let unknown = substitute(&self.file, &mut target, &known);
        let (target, settings) = self.read_target(name, &target, targets).map_err(Vec::from_iter)?;
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(Service {
            name: name.to_owned(),
            location: Location { file: self.file.clone(), line: entry.line, column: entry.column },
            config: self.readable_config(name, &merged, &known),
            build: None,
            target,
            settings,
        })
    }

    fn readable_config(&self, name: &str, merged: &ConfigNode, known: &Placeholders) -> ServiceConfig {
        let what = format!("service `{name}`");
        let read_part = |part: ConfigNode| read::<ServiceConfig>(&self.file, &what, &expand_names(part));
        let is_readable = |entry: &ConfigEntry| {
            let mut part = keep_entries(merged, |it| it == entry);
            SERVICE_KEYS.contains(&entry.key.as_str())
                && substitute(&self.file, &mut part, known).is_empty()
                && check::problems(&self.file, &part).is_empty()
                && read_part(part).is_ok()
        };
        let mut readable = keep_entries(merged, is_readable);
        substitute(&self.file, &mut readable, known);
        read_part(readable).unwrap_or_default()
    }
}

fn keep_entries(node: &ConfigNode, is_kept: impl Fn(&ConfigEntry) -> bool) -> ConfigNode {
    let kept = node.entries().iter().filter(|entry| is_kept(entry)).cloned().collect();
    ConfigNode { kind: ConfigValue::Mapping(kept), ..node.clone() }
}

fn as_warnings(problems: Vec<Problem>) -> Vec<Problem> {
    problems.into_iter().map(Problem::into_warning).collect()
}
