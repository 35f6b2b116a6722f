//! A deploy file as a whole: its environments, and each service as it stands in one of them.

use std::collections::BTreeMap;

use super::branch::{Claim, clashes};
use super::file::COMMON;
use super::placeholder::fill;
use super::tree::{self, Entry, Kind, Node};
use super::{Common, Environment, Notify, Placeholders, check, notify, paths, promotion, read};
use crate::problem::{Code, Location, Problem, suggest};

/// A deploy file that is YAML; its parts are read on demand.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its name, for problems.
    pub file: String,
    root: Node,
}

/// A service of the deploy file, merged for one environment, with its placeholders filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where it stands in the deploy file.
    pub at: Location,
    /// What all services have.
    pub common: Common,
    /// The `build` block, for the image adapter.
    pub build: Option<Node>,
    /// The target's key, such as `ecs`.
    pub target: String,
    /// The target's block, for the target.
    pub settings: Node,
}

type Found<T> = Result<T, Vec<Problem>>;

impl Document {
    /// Reads the text of a deploy file; `file` names it in problems.
    pub fn parse(file: &str, text: &str) -> Found<Self> {
        let root = tree::parse(file, text).map_err(|problem| vec![problem])?;
        let document = Self { file: file.to_owned(), root };
        let problems = document.top_level();
        if problems.is_empty() { Ok(document) } else { Err(problems) }
    }

    fn top_level(&self) -> Vec<Problem> {
        let needed = ["environments", "services"];
        let known = ["environments", "services", "notify", "atomic"];
        let mut problems: Vec<Problem> = self
            .root
            .entries()
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
            .map(|entry| {
                self.stranger(&entry.key, "the deploy file", &known).at(&self.file, entry.line, entry.column)
            })
            .collect();
        for key in needed {
            let filled = self.root.get(key).is_some_and(|node| !node.entries().is_empty());
            if !filled {
                let at = self.root.get(key).unwrap_or(&self.root);
                let sentence = format!("The deploy file has no `{key}`.");
                problems
                    .push(Problem::error(Code::ConfigInvalid, sentence).at(&self.file, at.line, at.column));
            }
        }
        problems
    }

    /// Whether the services of a run belong together: when one fails, the others are taken back. `false` where nothing is
    /// said, and the problem where something else is.
    pub fn atomic(&self) -> (bool, Option<Problem>) {
        let Some(node) = self.root.get("atomic") else { return (false, None) };
        match node.kind {
            Kind::Scalar(serde_json::Value::Bool(atomic)) => (atomic, None),
            _ => {
                let problem = Problem::error(
                    Code::ConfigInvalid,
                    "`atomic` of the deploy file is not `true` or `false`.",
                );
                (false, Some(problem.at(&self.file, node.line, node.column)))
            }
        }
    }

    fn stranger(&self, key: &str, place: &str, known: &[&str]) -> Problem {
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let near = suggest(key, known.iter().copied())
            .map(|near| format!("Did you mean `{near}`? "))
            .unwrap_or_default();
        Problem::error(Code::ConfigInvalid, format!("`{key}` is not a key of {place}."))
            .help(format!("{near}Known: {list}."))
    }

    /// The environments by name, and what is wrong with them. One that cannot be read is there without its settings.
    pub fn environments(&self) -> (BTreeMap<String, Environment>, Vec<Problem>) {
        let (mut environments, mut problems) = (BTreeMap::new(), Vec::new());
        for entry in self.root.get("environments").map(Node::entries).unwrap_or_default() {
            // `staging:` with nothing below it is an environment without branches.
            let bare = entry.value.kind == Kind::Scalar(serde_json::Value::Null);
            let node = if bare { Node::empty() } else { entry.value.clone() };
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

    /// Who hears of runs in `environment`, and what is wrong with that.
    pub fn notify(
        &self,
        name: &str,
        environment: &Environment,
        known: &Placeholders,
    ) -> (Notify, Vec<Problem>) {
        let mut node = self.root.get("notify").cloned().unwrap_or_else(Node::empty);
        let mut problems = fill(&self.file, &mut node, known);
        let all = read::<Notify>(&self.file, "`notify`", &node).unwrap_or_else(|more| {
            problems.extend(more);
            Notify::default()
        });
        let own = self.root.get("environments").and_then(|all| all.get(name)?.get("notify"));
        for block in [Some(&node), own].into_iter().flatten() {
            problems.extend(notify::dubious(&self.file, block));
        }
        (all.under(environment.notify.clone().unwrap_or_default()), problems)
    }

    /// Branches that two environments take, each on its line. `branch` is that of the run, where there is one: two
    /// patterns may overlap, and only names tell whether they do.
    pub fn ambiguous(&self, branch: Option<&str>) -> Vec<Problem> {
        let environments = self.root.get("environments").map(Node::entries).unwrap_or_default();
        let claims: Vec<Claim<'_>> = environments.iter().flat_map(claims).collect();
        clashes(&self.file, &claims, branch)
    }

    /// The names of the services, in the order of the file.
    pub fn service_names(&self) -> Vec<String> {
        self.root
            .get("services")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| e.key.clone())
            .collect()
    }

    /// The services `wanted` (all where that is empty) as they stand in `environment`, and what is wrong with them.
    /// `targets` are the targets that exist, `known` the placeholders besides `${service}`.
    pub fn services(
        &self,
        environment: &str,
        wanted: &[String],
        targets: &[&str],
        known: &Placeholders,
    ) -> (Vec<Service>, Vec<Problem>) {
        let (mut services, mut problems) = (Vec::new(), self.unknown_services(wanted));
        for entry in self.root.get("services").map(Node::entries).unwrap_or_default() {
            if wanted.is_empty() || wanted.contains(&entry.key) {
                let (service, more) = self.service(entry, environment, targets, known);
                services.extend(service);
                problems.extend(more.into_iter().map(|problem| problem.of(&entry.key)));
            }
        }
        (services, problems)
    }

    fn unknown_services(&self, wanted: &[String]) -> Vec<Problem> {
        let names = self.service_names();
        let known = names.iter().map(String::as_str).collect::<Vec<_>>();
        let list = names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        let unknown = wanted.iter().filter(|name| !names.contains(name)).map(|name| {
            let near = suggest(name, known.iter().copied())
                .map(|n| format!("Did you mean `{n}`? "))
                .unwrap_or_default();
            Problem::error(Code::NameUnknown, format!("There is no service `{name}` in the deploy file."))
                .help(format!("{near}Known: {list}."))
        });
        unknown.collect()
    }

    fn service(
        &self,
        entry: &Entry,
        environment: &str,
        targets: &[&str],
        known: &Placeholders,
    ) -> (Option<Service>, Vec<Problem>) {
        let name = entry.key.as_str();
        let (node, overrides) = entry.value.clone().without("environments");
        let over = overrides.as_ref().and_then(|all| all.get(environment)).cloned();
        let mut merged = match over {
            Some(over) => settled(node, &over).overlaid(over),
            None => node,
        };
        let mut problems = self.unknown_overrides(overrides.as_ref());
        let placeholders = known.clone().into_iter().chain([("service", name.to_owned())]).collect();
        problems.extend(fill(&self.file, &mut merged, &placeholders));
        let (merged, build) = merged.without("build");
        let target = self.target(name, &merged, targets);
        let common = self.common(name, &merged, targets);
        match (target, common) {
            (Ok((target, settings)), Ok(common)) => {
                let at = Location { file: self.file.clone(), line: entry.line, column: entry.column };
                (Some(Service { name: name.to_owned(), at, common, build, target, settings }), problems)
            }
            (target, common) => {
                problems.extend(target.err());
                problems.extend(common.err().unwrap_or_default());
                (None, problems)
            }
        }
    }

    fn unknown_overrides(&self, overrides: Option<&Node>) -> Vec<Problem> {
        let names: Vec<&str> = self
            .root
            .get("environments")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| e.key.as_str())
            .collect();
        let entries = overrides.map(Node::entries).unwrap_or_default().iter();
        let unknown = entries.filter(|entry| !names.contains(&entry.key.as_str())).map(|entry| {
            let near = suggest(&entry.key, names.iter().copied())
                .map(|n| format!("Did you mean `{n}`?"))
                .unwrap_or_default();
            Problem::error(
                Code::NameUnknown,
                format!("There is no environment `{}` in the deploy file.", entry.key),
            )
            .help(near)
            .at(&self.file, entry.line, entry.column)
        });
        unknown.collect()
    }

    fn common(&self, name: &str, node: &Node, targets: &[&str]) -> Found<Common> {
        let mut problems = paths::problems(&self.file, name, node.get("paths"));
        problems.extend(check::problems(&self.file, node));
        let mut common = Node { kind: Kind::Mapping(Vec::new()), ..*node };
        for entry in node.entries() {
            if COMMON.contains(&entry.key.as_str()) {
                common = common.overlaid(Node { kind: Kind::Mapping(vec![entry.clone()]), ..*node });
            } else if !targets.contains(&entry.key.as_str()) && !ALL_TARGETS.contains(&entry.key.as_str()) {
                let known = [&COMMON[..], &["build", "environments"], targets].concat();
                let place = format!("service `{name}`");
                problems.push(self.stranger(&entry.key, &place, &known).at(
                    &self.file,
                    entry.line,
                    entry.column,
                ));
            }
        }
        match read(&self.file, &format!("service `{name}`"), &written_out(common)) {
            Ok(common) if problems.is_empty() => Ok(common),
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }

    fn target(&self, name: &str, node: &Node, targets: &[&str]) -> Result<(String, Node), Problem> {
        let given: Vec<_> =
            node.entries().iter().filter(|entry| ALL_TARGETS.contains(&entry.key.as_str())).collect();
        let exist = targets.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ");
        match given.as_slice() {
            [one] if targets.contains(&one.key.as_str()) => Ok((one.key.clone(), one.value.clone())),
            [one] => Err(Problem::error(
                Code::Unsupported,
                format!("This version cannot release to `{}` yet.", one.key),
            )
            .help(format!("It can release to: {exist}."))
            .at(&self.file, one.line, one.column)),
            [] => Err(Problem::error(
                Code::ConfigInvalid,
                format!("Service `{name}` does not say where it goes."),
            )
            .help(format!("Give it exactly one target: {exist}."))
            .at(&self.file, node.line, node.column)),
            [first, second, ..] => Err(Problem::error(
                Code::ConfigInvalid,
                format!("Service `{name}` has two targets, `{}` and `{}`.", first.key, second.key),
            )
            .help("Make two services of it.")
            .at(&self.file, second.line, second.column)),
        }
    }
}

/// The branches that an environment takes.
fn claims(environment: &Entry) -> Vec<Claim<'_>> {
    let list = environment.value.get("branches").map(|node| &node.kind);
    let Some(Kind::Sequence(items)) = list else { return Vec::new() };
    let claim = |item: &Node| match &item.kind {
        Kind::Scalar(serde_json::Value::String(pattern)) => Some(Claim {
            environment: &environment.key,
            pattern: pattern.clone(),
            line: item.line,
            column: item.column,
        }),
        _ => None,
    };
    items.iter().filter_map(claim).collect()
}

/// `node` ready to be overlaid: another strategy replaces the one before whole, it is not mixed with it.
fn settled(node: Node, over: &Node) -> Node {
    let name = |node: &Node| written(node.get("strategy")?.clone()).entries().first().map(|e| e.key.clone());
    let changes = name(over).is_some_and(|wanted| name(&node).is_some_and(|before| before != wanted));
    if changes { node.without("strategy").0 } else { node }
}

/// The block of what services share, in which every name that stands for a block with defaults is that block.
fn written_out(mut common: Node) -> Node {
    let Kind::Mapping(entries) = &mut common.kind else { return common };
    for entry in entries.iter_mut().filter(|entry| entry.key == "strategy") {
        entry.value = written(entry.value.clone());
        let Kind::Mapping(blocks) = &mut entry.value.kind else { continue };
        for block in blocks {
            let Kind::Mapping(keys) = &mut block.value.kind else { continue };
            for key in keys.iter_mut().filter(|key| key.key == "metrics") {
                if let Kind::Sequence(items) = &mut key.value.kind {
                    *items = std::mem::take(items).into_iter().map(written).collect();
                }
            }
        }
    }
    common
}

/// `name` and `name:` as `name: {}`.
fn written(mut node: Node) -> Node {
    let (line, column) = (node.line, node.column);
    let block = Node { line, column, ..Node::empty() };
    match &mut node.kind {
        Kind::Scalar(serde_json::Value::String(name)) => {
            let entry = Entry { key: name.clone(), line, column, value: block };
            Node { kind: Kind::Mapping(vec![entry]), ..node }
        }
        Kind::Mapping(entries) => {
            for entry in entries.iter_mut().filter(|e| e.value.kind == Kind::Scalar(serde_json::Value::Null))
            {
                entry.value = block.clone();
            }
            node
        }
        _ => node,
    }
}

/// Every target key of the contract, whether this version knows it or not.
const ALL_TARGETS: [&str; 8] =
    ["ecs", "argocd", "appconfig", "kubernetes", "compose", "lambda", "app-runner", "beanstalk"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BlueGreen, Strategy};

    const FILE: &str = "environments:\n  staging: { branches: [develop] }\n  production: { branches: [main] }\nservices:\n  backend:\n    repository: acme/backend\n    ecs: { cluster: \"acme-${environment}\", service: backend }\n    environments:\n      staging: { ecs: { service: backend-next } }\n";

    fn known() -> Placeholders {
        [("environment", "staging".to_owned())].into()
    }

    #[test]
    fn a_service_is_merged_for_its_environment() {
        let document = Document::parse("f.yml", FILE).unwrap();
        let services = document.services("staging", &[], &["ecs"], &known()).0;
        assert_eq!(
            services[0].settings.to_value(),
            serde_json::json!({"cluster": "acme-staging", "service": "backend-next"})
        );
        assert_eq!(services[0].common.repository.as_deref(), Some("acme/backend"));
    }

    fn problems(text: &str) -> String {
        let all = Document::parse("f.yml", text).map_or_else(
            |problems| problems,
            |document| {
                let (_, mut problems) = document.environments();
                problems.extend(document.services("staging", &[], &["ecs"], &known()).1);
                problems
            },
        );
        let lines = all.into_iter().map(|p| {
            let at = p.at.clone().map(|at| format!("{}:{}", at.line, at.column)).unwrap_or_default();
            format!("{at} {p}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_slip_is_named_on_its_line() {
        insta::assert_snapshot!(problems("environments: { staging: {} }\nservices:\n  a: { esc: {} }\n  b: { ecs: {}, lambda: {} }\n  c: { argocd: {} }\n  d: { ecs: {}, strategy: canarry }\n  e: { ecs: { cluster: \"${env}\" }, environments: { stagin: {} } }\n"), @"
        3:6 Service `a` does not say where it goes. Give it exactly one target: `ecs`.
        3:8 `esc` is not a key of service `a`. Did you mean `ecs`? Known: `paths`, `repository`, `strategy`, `before`, `alarms`, `verify`, `build`, `environments`, `ecs`.
        4:17 Service `b` has two targets, `ecs` and `lambda`. Make two services of it.
        5:8 This version cannot release to `argocd` yet. It can release to: `ecs`.
        6:27 `canarry` is not a key of service `d` (in `strategy`). Did you mean `canary`? Known: `rolling`, `blue-green`, `linear`, `canary`.
        7:52 There is no environment `stagin` in the deploy file. Did you mean `staging`?
        7:24 `${env}` is not a placeholder that has a value in this run. Known: `${environment}`, `${service}`; `$${` writes `${`.
        ");
    }

    #[test]
    fn a_branch_of_two_environments_is_refused_on_its_line() {
        let text = "environments:\n  a: { branches: [main, \"release/*\"] }\n  b:\n    branches:\n      - develop\n      - main\n      - release/1\n      - \"**/1\"\nservices: { x: { ecs: {} } }\n";
        let document = Document::parse("f.yml", text).unwrap();
        let told = |branch| {
            let told = |problem: Problem| {
                let at = problem.at.clone().unwrap();
                format!("{}:{} {problem}", at.line, at.column)
            };
            document.ambiguous(branch).into_iter().map(told).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(told(None), @"
        6:9 The branch `main` belongs to `a` and `b`. Give each branch to one environment; the other claim is in line 2.
        7:9 The branch `release/1` belongs to `a` and `b`. Give each branch to one environment; the other claim is in line 2.
        ");
        assert_eq!(told(Some("release/2")), told(None));
        let both = told(Some("release/1"));
        assert!(both.contains("8:9 The branch `release/1` belongs to `a` and `b`."), "{both}");
    }

    #[test]
    fn a_strategy_is_a_name_or_a_block_and_is_replaced_whole() {
        let text = "environments: { staging: {}, production: {} }\nservices:\n  a: { ecs: {}, strategy: { canary: { percent: 5, metrics: [5xx, latency: { over-ms: 300 }] } }, environments: { staging: { strategy: blue-green } } }\n";
        let document = Document::parse("f.yml", text).unwrap();
        let strategy = |environment| {
            let (services, problems) = document.services(environment, &[], &["ecs"], &known());
            assert!(problems.is_empty(), "{problems:?}");
            services[0].common.strategy.clone()
        };
        assert_eq!(strategy("staging"), Strategy::BlueGreen(BlueGreen::default()));
        let Strategy::Canary(canary) = strategy("production") else { panic!("not a canary") };
        assert_eq!((canary.percent.0, canary.metrics.len()), (5, 2));
    }

    #[test]
    fn what_a_strategy_cannot_have_is_said_on_its_line() {
        insta::assert_snapshot!(problems("environments: { staging: {} }\nservices:\n  a: { ecs: {}, strategy: { canary: { percent: 100, bake: 25h, metrics: [errors] } } }\n  b: { ecs: {}, strategy: { linear: { step: 2, bake: 5 } } }\n  c: { ecs: {}, strategy: { blue-green: { percent: 5 } } }\n  d: { ecs: {}, strategy: { canary: { analysis: { margin: 0 } } } }\n"), @"
        3:48 `strategy.canary.percent` of service `a`: 100 is not between 1 and 99 percent.
        3:59 `strategy.canary.bake` of service `a`: 25h is longer than 24h.
        3:74 `errors` is not a key of service `a` (in `strategy.canary.metrics.0`). Known: `5xx`, `latency`, `prometheus`, `probe`.
        4:45 `strategy.linear.step` of service `b`: 2 is not between 3 and 50 percent.
        4:54 `strategy.linear.bake` of service `b`: integer `5`, expected a string. Put the value in quotes.
        5:43 `percent` is not a key of service `c` (in `strategy.blue-green`). Known: `bake`, `test`.
        6:59 `strategy.canary.analysis.margin` of service `d`: 0 is not between 0.05 and 50 percentage points.
        ");
    }

    #[test]
    fn a_file_without_the_two_blocks_says_so() {
        insta::assert_snapshot!(problems("enviroments: {}\nnotify: {}\n"), @"
        1:1 `enviroments` is not a key of the deploy file. Did you mean `environments`? Known: `environments`, `services`, `notify`, `atomic`.
        1:1 The deploy file has no `environments`.
        1:1 The deploy file has no `services`.
        ");
    }
}
