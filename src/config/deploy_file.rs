//! A deploy file as a whole: its environments, and each service merged for one of them.

use std::collections::BTreeMap;

use super::blocks::SERVICE_KEYS;
use super::branch::{BranchRule, conflicts, excess_branches};
use super::branch_fault::impossible_branches;
use super::placeholder::substitute;
use super::tree::{self, ConfigEntry, ConfigNode, ConfigValue};
use super::{
    Environment, NotifySettings, Placeholders, ServiceConfig, check, limits, notify, paths, promotion, read,
};
use crate::problem::list::{for_first, name_list};
use crate::problem::{Code, Location, Problem, suggest};

/// A deploy file that is valid YAML; its parts are read on demand.
#[derive(Debug, Clone)]
pub struct DeployFile {
    /// Its name, for problems.
    pub file: String,
    root: ConfigNode,
}

/// A service of the deploy file, merged for one environment, with its placeholders filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its location in the deploy file.
    pub location: Location,
    /// Settings of every service.
    pub config: ServiceConfig,
    /// The `build` block, for the image adapter.
    pub build: Option<ConfigNode>,
    /// The target's key, such as `ecs`.
    pub target: String,
    /// The target's settings, for the target.
    pub settings: ConfigNode,
}

type ReadResult<T> = Result<T, Vec<Problem>>;

impl DeployFile {
    /// Reads the text of a deploy file; `file` names it in problems.
    pub fn parse(file: &str, text: &str) -> ReadResult<Self> {
        limits::text_problem(file, text).map_or(Ok(()), |problem| Err(vec![problem]))?;
        let root = tree::parse(file, text).map_err(|problem| vec![problem])?;
        let document = Self { file: file.to_owned(), root };
        let problems = document.check_top_level();
        if problems.is_empty() { Ok(document) } else { Err(problems) }
    }

    fn check_top_level(&self) -> Vec<Problem> {
        let needed = ["environments", "services"];
        let known = ["environments", "services", "notify", "atomic"];
        let unknown = self.root.entries().iter().filter(|entry| !known.contains(&entry.key.as_str()));
        let mut problems = for_first(unknown, |entry| {
            let problem = self.unknown_key_problem(&entry.key, "the deploy file", &known);
            problem.at_location(&self.file, entry.line, entry.column)
        });
        problems.extend(limits::count_problems(&self.file, &self.root));
        for key in needed {
            let filled = self.root.get(key).is_some_and(|node| !node.entries().is_empty());
            if !filled {
                let at = self.root.get(key).unwrap_or(&self.root);
                let sentence = format!("Missing key `{key}` in the deploy file.");
                problems.push(
                    Problem::error(Code::ConfigInvalid, sentence).at_location(&self.file, at.line, at.column),
                );
            }
        }
        problems
    }

    /// Whether the services of a run belong together: if one fails, the others are rolled back. `false` by default,
    /// with the problem if the value is not valid.
    pub fn read_atomic(&self) -> (bool, Option<Problem>) {
        let Some(node) = self.root.get("atomic") else { return (false, None) };
        match node.kind {
            ConfigValue::Scalar(serde_json::Value::Bool(atomic)) => (atomic, None),
            _ => {
                let problem = Problem::error(
                    Code::ConfigInvalid,
                    "`atomic` in the deploy file must be `true` or `false`.",
                );
                (false, Some(problem.at_location(&self.file, node.line, node.column)))
            }
        }
    }

    fn unknown_key_problem(&self, key: &str, location: &str, known: &[&str]) -> Problem {
        let list = name_list(known.iter().copied());
        let near = suggest(key, known.iter().copied())
            .map(|near| format!("Did you mean `{near}`? "))
            .unwrap_or_default();
        Problem::error(Code::ConfigInvalid, format!("`{key}` is not a key of {location}."))
            .help(format!("{near}Known: {list}."))
    }

    /// The environments by name, and their problems. An environment that cannot be read is listed without its settings.
    pub fn environments(&self) -> (BTreeMap<String, Environment>, Vec<Problem>) {
        let (mut environments, mut problems) = (BTreeMap::new(), Vec::new());
        for entry in self.root.get("environments").map(ConfigNode::entries).unwrap_or_default() {
            // `staging:` without settings is an environment without branches.
            let bare = entry.value.kind == ConfigValue::Scalar(serde_json::Value::Null);
            let node = if bare { ConfigNode::empty_mapping() } else { entry.value.clone() };
            let read = read(&self.file, &format!("environment `{}`", entry.key), &node);
            let environment = read.unwrap_or_else(|more| {
                problems.extend(more);
                Environment::default()
            });
            environments.insert(entry.key.clone(), environment);
        }
        problems.extend(promotion::problems(&self.file, self.root.get("environments"), &environments));
        (environments, problems)
    }

    /// The notifications of `environment`, and their problems.
    pub fn notify_settings(
        &self,
        name: &str,
        environment: &Environment,
        known: &Placeholders,
    ) -> (NotifySettings, Vec<Problem>) {
        let mut node = self.root.get("notify").cloned().unwrap_or_else(ConfigNode::empty_mapping);
        let mut problems = substitute(&self.file, &mut node, known);
        let all = read::<NotifySettings>(&self.file, "`notify`", &node).unwrap_or_else(|more| {
            problems.extend(more);
            NotifySettings::default()
        });
        let own = self.root.get("environments").and_then(|all| all.get(name)?.get("notify"));
        for block in [Some(&node), own].into_iter().flatten() {
            problems.extend(notify::warnings(&self.file, block));
        }
        (all.with_overrides(environment.notify.clone().unwrap_or_default()), problems)
    }

    /// Branches that can never match or that two environments match, each with its line. `branch` is that of the run, if there is one: two
    /// patterns may overlap, and only names show whether they do.
    pub fn ambiguous_branch(&self, branch: Option<&str>) -> Vec<Problem> {
        let environments = self.root.get("environments").map(ConfigNode::entries).unwrap_or_default();
        let claims: Vec<BranchRule<'_>> = environments.iter().flat_map(branch_rules).collect();
        let wrong = [excess_branches(&self.file, &claims), impossible_branches(&self.file, &claims)].concat();
        if wrong.is_empty() { conflicts(&self.file, &claims, branch) } else { wrong }
    }

    /// The names of the services, in the order of the file.
    pub fn service_names(&self) -> Vec<String> {
        self.root
            .get("services")
            .map(ConfigNode::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| e.key.clone())
            .collect()
    }

    /// The services `wanted` (all if that is empty) merged for `environment`, and their problems.
    /// `targets` are the supported targets, `known` the placeholders besides `${service}`.
    pub fn services(
        &self,
        environment: &str,
        wanted: &[String],
        targets: &[&str],
        known: &Placeholders,
    ) -> (Vec<Service>, Vec<Problem>) {
        let (mut services, mut problems) = (Vec::new(), self.unknown_services(wanted));
        for entry in self.root.get("services").map(ConfigNode::entries).unwrap_or_default() {
            if wanted.is_empty() || wanted.contains(&entry.key) {
                let (service, more) = self.read_service(entry, environment, targets, known);
                services.extend(service);
                problems.extend(more.into_iter().map(|problem| problem.for_service(&entry.key)));
            }
        }
        (services, problems)
    }

    fn unknown_services(&self, wanted: &[String]) -> Vec<Problem> {
        let names = self.service_names();
        let known = names.iter().map(String::as_str).collect::<Vec<_>>();
        let list = name_list(known.iter().copied());
        for_first(wanted.iter().filter(|name| !names.contains(name)), |name| {
            let near = suggest(name, known.iter().copied())
                .map(|n| format!("Did you mean `{n}`? "))
                .unwrap_or_default();
            Problem::error(Code::NameUnknown, format!("There is no service `{name}` in the deploy file."))
                .help(format!("{near}Known: {list}."))
        })
    }

    fn read_service(
        &self,
        entry: &ConfigEntry,
        environment: &str,
        targets: &[&str],
        known: &Placeholders,
    ) -> (Option<Service>, Vec<Problem>) {
        let name = entry.key.as_str();
        let (mut merged, overrides) = merge_overrides(entry, environment);
        let mut problems = self.unknown_overrides(overrides.as_ref());
        let placeholders = known.clone().into_iter().chain([("service", name.to_owned())]).collect();
        problems.extend(substitute(&self.file, &mut merged, &placeholders));
        let (merged, build) = merged.take_key("build");
        let target = self.read_target(name, &merged, targets);
        let common = self.read_service_config(name, &merged, targets);
        match (target, common) {
            (Ok((target, settings)), Ok(common)) => {
                let at = Location { file: self.file.clone(), line: entry.line, column: entry.column };
                (
                    Some(Service {
                        name: name.to_owned(),
                        location: at,
                        config: common,
                        build,
                        target,
                        settings,
                    }),
                    problems,
                )
            }
            (target, common) => {
                problems.extend(target.err());
                problems.extend(common.err().unwrap_or_default());
                (None, problems)
            }
        }
    }

    fn unknown_overrides(&self, overrides: Option<&ConfigNode>) -> Vec<Problem> {
        let names: Vec<&str> = self
            .root
            .get("environments")
            .map(ConfigNode::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| e.key.as_str())
            .collect();
        let entries = overrides.map(ConfigNode::entries).unwrap_or_default().iter();
        for_first(entries.filter(|entry| !names.contains(&entry.key.as_str())), |entry| {
            let near = suggest(&entry.key, names.iter().copied())
                .map(|n| format!("Did you mean `{n}`?"))
                .unwrap_or_default();
            Problem::error(
                Code::NameUnknown,
                format!("There is no environment `{}` in the deploy file.", entry.key),
            )
            .help(near)
            .at_location(&self.file, entry.line, entry.column)
        })
    }

    fn read_service_config(
        &self,
        name: &str,
        node: &ConfigNode,
        targets: &[&str],
    ) -> ReadResult<ServiceConfig> {
        let mut problems = paths::problems(&self.file, name, node.get("paths"));
        problems.extend(check::problems(&self.file, node));
        let is_common = |entry: &&ConfigEntry| SERVICE_KEYS.contains(&entry.key.as_str());
        let unknown = node.entries().iter().filter(|it| !is_common(it) && !is_target_key(&it.key, targets));
        let known = [&SERVICE_KEYS[..], &["build", "environments"], targets].concat();
        problems.extend(for_first(unknown, |entry| {
            let problem = self.unknown_key_problem(&entry.key, &format!("service `{name}`"), &known);
            problem.at_location(&self.file, entry.line, entry.column)
        }));
        let common = node.entries().iter().filter(is_common).cloned().collect();
        let common = ConfigNode { kind: ConfigValue::Mapping(common), ..*node };
        match read(&self.file, &format!("service `{name}`"), &expand_names(common)) {
            Ok(common) if problems.is_empty() => Ok(common),
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }

    fn read_target(
        &self,
        name: &str,
        node: &ConfigNode,
        targets: &[&str],
    ) -> Result<(String, ConfigNode), Problem> {
        let given: Vec<_> =
            node.entries().iter().filter(|entry| is_target_key(&entry.key, targets)).collect();
        let exist = targets.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ");
        match given.as_slice() {
            [one] if targets.contains(&one.key.as_str()) => Ok((one.key.clone(), one.value.clone())),
            [one] => {
                Err(Problem::error(Code::Unsupported, format!("Target `{}` is not supported.", one.key))
                    .help(format!("Supported targets: {exist}."))
                    .at_location(&self.file, one.line, one.column))
            }
            [] => Err(Problem::error(Code::ConfigInvalid, format!("Service `{name}` has no target."))
                .help(format!("Add exactly one target: {exist}."))
                .at_location(&self.file, node.line, node.column)),
            [first, second, ..] => Err(Problem::error(
                Code::ConfigInvalid,
                format!("Service `{name}` has two targets, `{}` and `{}`.", first.key, second.key),
            )
            .help("Split it into two services.")
            .at_location(&self.file, second.line, second.column)),
        }
    }
}

/// The branches of an environment.
fn branch_rules(environment: &ConfigEntry) -> Vec<BranchRule<'_>> {
    let list = environment.value.get("branches").map(|node| &node.kind);
    let Some(ConfigValue::Sequence(items)) = list else { return Vec::new() };
    let claim = |item: &ConfigNode| match &item.kind {
        ConfigValue::Scalar(serde_json::Value::String(pattern)) => Some(BranchRule {
            environment: &environment.key,
            pattern: pattern.clone(),
            line: item.line,
            column: item.column,
        }),
        _ => None,
    };
    items.iter().filter_map(claim).collect()
}

/// A service with what `environment` overrides, and the overrides of all environments.
fn merge_overrides(entry: &ConfigEntry, environment: &str) -> (ConfigNode, Option<ConfigNode>) {
    let (node, overrides) = entry.value.clone().take_key("environments");
    let over = overrides.as_ref().and_then(|all| all.get(environment)).cloned();
    let merged = match over {
        Some(over) => drop_replaced_strategy(node, &over).with_overrides(over),
        None => node,
    };
    (merged, overrides)
}

/// `node` ready to be overridden: another strategy replaces the previous one completely, it is not merged with it.
fn drop_replaced_strategy(node: ConfigNode, over: &ConfigNode) -> ConfigNode {
    let name = |node: &ConfigNode| {
        expand_name(node.get("strategy")?.clone()).entries().first().map(|e| e.key.clone())
    };
    let changes = name(over).is_some_and(|wanted| name(&node).is_some_and(|before| before != wanted));
    if changes { node.take_key("strategy").0 } else { node }
}

/// The settings that services share, in which a bare name is replaced by its block with defaults.
fn expand_names(mut common: ConfigNode) -> ConfigNode {
    let ConfigValue::Mapping(entries) = &mut common.kind else { return common };
    for entry in entries.iter_mut().filter(|entry| entry.key == "strategy") {
        entry.value = expand_name(entry.value.clone());
        let ConfigValue::Mapping(blocks) = &mut entry.value.kind else { continue };
        for block in blocks {
            let ConfigValue::Mapping(keys) = &mut block.value.kind else { continue };
            for key in keys.iter_mut().filter(|key| key.key == "metrics") {
                if let ConfigValue::Sequence(items) = &mut key.value.kind {
                    *items = std::mem::take(items).into_iter().map(expand_name).collect();
                }
            }
        }
    }
    common
}

/// `name` and `name:` as `name: {}`.
fn expand_name(mut node: ConfigNode) -> ConfigNode {
    let (line, column) = (node.line, node.column);
    let block = ConfigNode { line, column, ..ConfigNode::empty_mapping() };
    match &mut node.kind {
        ConfigValue::Scalar(serde_json::Value::String(name)) => {
            let entry = ConfigEntry { key: name.clone(), line, column, value: block };
            ConfigNode { kind: ConfigValue::Mapping(vec![entry]), ..node }
        }
        ConfigValue::Mapping(entries) => {
            for entry in
                entries.iter_mut().filter(|e| e.value.kind == ConfigValue::Scalar(serde_json::Value::Null))
            {
                entry.value = block.clone();
            }
            node
        }
        _ => node,
    }
}

/// Whether a key of a service names a target: one that exists, or one that the contract reserves.
fn is_target_key(key: &str, targets: &[&str]) -> bool {
    targets.contains(&key) || PLANNED_TARGET_KEYS.contains(&key)
}

/// Target keys of the contract that no kind exists for yet.
const PLANNED_TARGET_KEYS: [&str; 5] = ["kubernetes", "compose", "lambda", "app-runner", "beanstalk"];

mod restorable;
#[cfg(test)]
mod tests;
