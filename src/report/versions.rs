//! The list of versions that a service can return to, as lines of text.

use jiff::Timestamp;

use super::text::short_commit;
use crate::problem::Problem;
use crate::release::Digest;

/// The versions of the services of an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionList {
    /// The environment.
    pub environment: String,
    /// Its services, in the order of the deploy file.
    pub services: Vec<ServiceVersions>,
    /// What is worth knowing, and what could not be read.
    pub problems: Vec<Problem>,
    /// Why the deployment records could not be read, if they could not.
    pub unread_records: Option<String>,
}

/// The versions of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceVersions {
    /// Its name.
    pub name: String,
    /// The target, such as `ecs acme/backend`.
    pub location: String,
    /// The versions that completed, newest first.
    pub rows: Vec<VersionRow>,
    /// The label of the version that a rollback without `--to` selects.
    pub rolls_back_to: Option<String>,
    /// Why they could not be read.
    pub error: Option<Problem>,
}

/// One version that completed.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRow {
    /// Its label, which `--to` takes.
    pub label: String,
    /// When it completed last.
    pub completed_at: Option<Timestamp>,
    /// The digest that ran.
    pub digest: Option<Digest>,
    /// The commit of its image.
    pub commit: Option<String>,
    /// What the deployment records say of it.
    pub proof: ProofRecord,
    /// Whether the provider is requested to run it now.
    pub is_serving: bool,
    /// Whether it was rolled back after it had completed.
    pub was_rolled_back: bool,
    /// Whether a rollback without `--to` selects it.
    pub is_selected: bool,
}

/// What the deployment records say of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofRecord {
    /// A run proved it.
    Proven {
        /// The number of the deployment.
        deployment: u64,
        /// The commit of that run.
        commit: Option<String>,
    },
    /// No record says so.
    None,
    /// The records could not be read.
    Unknown,
}

impl ProofRecord {
    /// The commit of the run that proved it.
    pub fn commit(&self) -> Option<String> {
        match self {
            Self::Proven { commit, .. } => commit.clone(),
            Self::None | Self::Unknown => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Proven { deployment, .. } => format!("deployment {deployment}"),
            Self::None => "no record".into(),
            Self::Unknown => "not known".into(),
        }
    }
}

/// The list as text.
pub fn version_lines(list: &VersionList) -> Vec<String> {
    let mut lines: Vec<String> = list.problems.iter().map(problem_line).collect();
    if let Some(why) = &list.unread_records {
        lines.push(format!("Which versions were proven is not known: {why}."));
    }
    for service in &list.services {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(service_lines(&list.environment, service));
    }
    lines
}

fn problem_line(problem: &Problem) -> String {
    let service = problem.service.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let severity = format!("{:?}", problem.severity).to_lowercase();
    format!("{severity} {}{service}: {problem}", problem.code)
}

fn service_lines(environment: &str, service: &ServiceVersions) -> Vec<String> {
    let mut lines = vec![format!("{environment}: {} ({})", service.name, service.location)];
    if let Some(problem) = &service.error {
        lines.push(format!("  The versions cannot be read: {problem}"));
        return lines;
    }
    if service.rows.is_empty() {
        lines.push("  No version has completed here.".into());
        return lines;
    }
    let head = ["version", "completed", "digest", "commit", "proven by", ""].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(service.rows.iter().map(row_cells)).collect();
    lines.extend(super::terminal::align_columns(&rows).lines().map(|line| format!("  {line}")));
    let command = format!("roadstead rollback --environment {environment} --services {}", service.name);
    lines.push(match &service.rolls_back_to {
        Some(label) => format!("  To return to {label}: {command}"),
        None => "  A rollback has no version to return to by itself.".into(),
    });
    if service.rows.iter().any(|row| !row.is_serving && !row.is_selected) {
        lines.push(format!("  To return to another one: {command} --to VERSION"));
    }
    lines
}

fn row_cells(row: &VersionRow) -> [String; 6] {
    let dash = || "–".to_owned();
    let notes = [
        row.is_serving.then_some("serves now"),
        row.is_selected.then_some("a rollback returns to it"),
        row.was_rolled_back.then_some("was rolled back"),
    ];
    [
        row.label.clone(),
        row.completed_at.map_or_else(dash, |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        row.digest.as_ref().map_or_else(dash, |digest| digest.short().to_string()),
        row.commit.as_deref().map_or_else(dash, |commit| short_commit(commit).to_owned()),
        row.proof.text(),
        notes.into_iter().flatten().collect::<Vec<_>>().join(", "),
    ]
}
