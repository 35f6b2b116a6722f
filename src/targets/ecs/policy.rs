//! The smallest IAM policy for the services of one environment, out of the table of grants. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::definition::containers;
use super::document::Document;
use super::grants::{On, Scope, TABLE, When};
use super::read::some_text;
use crate::config::{Common, Metric, Strategy};
use crate::release::Definition;

/// A service as far as its permissions are concerned.
#[derive(Debug, Clone)]
pub struct Subject {
    scope: Scope,
    shifts: bool,
    counts: bool,
    pushes: bool,
    tags: bool,
    runs: bool,
}

impl Subject {
    /// What the deploy file says of a service, and its definition where the file names one.
    pub fn new(mut scope: Scope, common: &Common, definition: Option<&Definition>) -> Self {
        let read = definition.and_then(|file| Document::read(&file.path, &file.text).ok());
        let known = read.map(|document| document.value).unwrap_or_default();
        if let Some(family) = some_text(&known, "family") {
            scope.family = family;
            scope.roles =
                ["executionRoleArn", "taskRoleArn"].iter().filter_map(|key| some_text(&known, key)).collect();
            let group =
                |container: &Value| some_text(&container["logConfiguration"]["options"], "awslogs-group");
            scope.logs = containers(&known).iter().filter_map(group).collect();
        }
        if let Some(repository) = &common.repository {
            scope.repositories = vec![repository.clone()];
        }
        Self {
            shifts: scope.beside.is_none() && !matches!(common.strategy, Strategy::Rolling(_)),
            scope,
            counts: metrics(&common.strategy)
                .iter()
                .any(|m| matches!(m, Metric::Errors(_) | Metric::Latency(_))),
            pushes: common.repository.is_some(),
            runs: common.before.is_some(),
            tags: known["tags"].as_array().is_some_and(|tags| !tags.is_empty()) || known.is_null(),
        }
    }

    fn needs(&self, when: When) -> bool {
        match when {
            When::Always | When::Registers => true,
            When::Tags => self.tags,
            When::Shifts => self.shifts,
            When::Runs => self.runs,
            When::Pairs => self.scope.beside.is_some(),
            When::Counts => self.counts,
            When::Pushes => self.pushes,
            When::Promotes => self.pushes && self.scope.source.is_some(),
        }
    }
}

fn metrics(strategy: &Strategy) -> &[Metric] {
    match strategy {
        Strategy::Linear(all) => &all.metrics,
        Strategy::Canary(all) => &all.metrics,
        Strategy::Rolling(_) | Strategy::BlueGreen(_) => &[],
    }
}

/// What a statement is about: its resources, and the clusters of its condition.
type Target = (On, BTreeSet<String>, BTreeSet<String>);

/// The policy: one statement for what has the same resources.
pub fn policy(subjects: &[Subject]) -> Value {
    let mut grouped: BTreeMap<Target, Vec<&str>> = BTreeMap::new();
    for grant in TABLE {
        let with: Vec<&Subject> = subjects.iter().filter(|subject| subject.needs(grant.when)).collect();
        let resources: BTreeSet<String> =
            with.iter().flat_map(|subject| subject.scope.resources(grant.on)).collect();
        let clusters: BTreeSet<String> = match grant.on {
            On::Cluster => with.iter().map(|subject| subject.scope.cluster_arn()).collect(),
            _ => BTreeSet::new(),
        };
        if !resources.is_empty() {
            grouped.entry((grant.on, resources, clusters)).or_default().push(grant.action);
        }
    }
    let mut statements = Vec::new();
    let mut before = BTreeMap::new();
    for ((on, resources, clusters), mut actions) in grouped {
        actions.sort_unstable();
        actions.dedup();
        let number: &mut usize = before.entry(on).or_default();
        *number += 1;
        let sid = if *number == 1 { format!("{on:?}") } else { format!("{on:?}{number}") };
        statements.push(statement(on, &sid, &actions, &resources, &clusters));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn statement(
    on: On,
    sid: &str,
    actions: &[&str],
    resources: &BTreeSet<String>,
    clusters: &BTreeSet<String>,
) -> Value {
    let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
    match on {
        On::Roles => {
            statement["Condition"] =
                json!({ "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } });
        }
        On::Cluster => statement["Condition"] = json!({ "ArnLike": { "ecs:cluster": clusters } }),
        _ => {}
    }
    statement
}
