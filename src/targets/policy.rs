//! The smallest IAM policy of an environment, merged from what each service's kind must be allowed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::iam::partition;
use super::spec::ServiceSpec;
use crate::config::Aws;
use crate::release::DefinitionFile;

/// Where the role of an environment acts; `*` for what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyScope {
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// ARN of the role, where the deploy file names it.
    pub role: Option<String>,
    /// The repositories that the service's images are promoted from, where those are others.
    pub pull_sources: Vec<PullSource>,
}

impl PolicyScope {
    /// Of the `aws` block of an environment.
    pub fn from_aws(aws: &Aws) -> Self {
        let of_role = aws.role.as_deref().and_then(|role| role.split(':').nth(4));
        let account = aws.account.as_deref().or(of_role).unwrap_or("*");
        Self {
            region: aws.region.clone().unwrap_or_else(|| "*".into()),
            account: account.to_owned(),
            role: aws.role.clone(),
            pull_sources: Vec::new(),
        }
    }

    /// The ARN of something in this region and account.
    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", partition(&self.region), self.region, self.account)
    }
}

/// A repository that images are copied from; `*` for what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSource {
    /// Its region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// Its name.
    pub repository: String,
}

impl PullSource {
    /// Its ARN, in the partition of the region that copies.
    pub fn arn(&self, partition: &str) -> String {
        let Self { region, account, repository } = self;
        format!("arn:{partition}:ecr:{region}:{account}:repository/{repository}")
    }
}

/// Which statement of the policy a permission belongs to. Statements come in the order of their rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementId {
    /// Place among the statements.
    pub rank: u8,
    /// `Sid`; a number follows where several statements have it.
    pub sid: &'static str,
}

impl StatementId {
    /// Repositories of images, whichever kind deploys them.
    pub const REPOSITORY: Self = Self { rank: 8, sid: "Repository" };
    /// Repositories that images are promoted from.
    pub const SOURCE: Self = Self { rank: 9, sid: "Source" };
    /// Actions that AWS cannot limit to a resource.
    pub const EVERYTHING: Self = Self { rank: 11, sid: "Everything" };
}

/// The condition of a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// None.
    None,
    /// `StringEquals`.
    StringEquals {
        /// The condition key.
        key: &'static str,
        /// Its value.
        value: &'static str,
    },
    /// `ArnLike`, with one of these ARNs.
    ArnLike {
        /// The condition key.
        key: &'static str,
        /// Its values.
        arns: BTreeSet<String>,
    },
}

impl Condition {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::ArnLike { arns, .. }, Self::ArnLike { arns: more, .. }) => arns.extend(more),
            (this, other) => *this = other,
        }
    }

    fn to_json(&self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::StringEquals { key, value } => Some(json!({ "StringEquals": { *key: value } })),
            Self::ArnLike { key, arns } => Some(json!({ "ArnLike": { *key: arns } })),
        }
    }
}

/// An action that the role must be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its statement.
    pub statement: StatementId,
    /// Such as `ecs:UpdateService`.
    pub action: &'static str,
    /// ARNs that it acts on.
    pub resources: Vec<String>,
    /// When it is allowed.
    pub condition: Condition,
}

impl Permission {
    /// One without a condition.
    pub fn new(statement: StatementId, action: &'static str, resources: Vec<String>) -> Self {
        Self { statement, action, resources, condition: Condition::None }
    }
}

/// Reading an image of ECR, and writing one.
const PUSH_ACTIONS: &[&str] = &[
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];
/// Reading an image of ECR that is copied elsewhere.
const PULL_ACTIONS: &[&str] =
    &["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];

/// The ARN of a repository of the deploy file: a name alone is in the registry of the environment, and an address of ECR
/// says itself where it is. `None` in any other registry, which needs nothing of IAM.
pub fn repository_arn(repository: &str, scope: &PolicyScope) -> Option<String> {
    let Some((host, name)) = repository.split_once('/').filter(|(host, _)| names_registry(host)) else {
        return Some(scope.arn("ecr", &format!("repository/{repository}")));
    };
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let (region, domain) = rest.split_once('.')?;
    let is_ecr = domain == "amazonaws.com" || domain == "amazonaws.com.cn";
    is_ecr.then(|| format!("arn:{}:ecr:{region}:{account}:repository/{name}", partition(region)))
}

/// Whether the first part of a repository is the host of a registry, as Docker decides it.
fn names_registry(host: &str) -> bool {
    host.contains(['.', ':']) || host == "localhost"
}

/// What pushing the image of a service to `repository` in ECR needs, and copying it there where it is promoted. Nothing in
/// another registry.
pub fn push_permissions(repository: &str, scope: &PolicyScope) -> Vec<Permission> {
    let Some(arn) = repository_arn(repository, scope) else { return Vec::new() };
    let arn = vec![arn];
    let token = Permission::new(StatementId::EVERYTHING, "ecr:GetAuthorizationToken", vec!["*".into()]);
    let push =
        PUSH_ACTIONS.iter().map(|action| Permission::new(StatementId::REPOSITORY, action, arn.clone()));
    let pull = scope.pull_sources.iter().flat_map(|source| {
        let from = source.arn(partition(&scope.region));
        PULL_ACTIONS
            .iter()
            .map(move |action| Permission::new(StatementId::SOURCE, action, vec![from.clone()]))
    });
    std::iter::once(token).chain(push).chain(pull).collect()
}

/// A service, and the file that its releases are made from.
#[derive(Clone)]
pub struct PolicySubject {
    /// The service.
    pub spec: ServiceSpec,
    /// The file, where it can be read.
    pub source: Option<DefinitionFile>,
    /// The repositories that its images are promoted from, where those are others.
    pub pull_sources: Vec<PullSource>,
}

/// What the role of a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyUse {
    /// Every operation.
    #[default]
    Deploy,
    /// Plans and `verify`: nothing that changes anything.
    ReadOnly,
}

impl PolicyUse {
    fn allows(self, action: &str) -> bool {
        self == Self::Deploy || is_read(action)
    }
}

/// Whether a policy that only reads has an action. The simulation reads, too, but with it a plan finds that the role may
/// not deploy, and fails.
fn is_read(action: &str) -> bool {
    let verb = action.split_once(':').map_or(action, |(_, verb)| verb);
    ["Describe", "List", "Get", "BatchGet", "BatchCheck"].iter().any(|read| verb.starts_with(read))
}

/// The smallest policy for the role of an environment: a JSON document of IAM. No call is made.
pub fn build_policy(aws: &Aws, subjects: &[PolicySubject], policy_use: PolicyUse) -> Value {
    let permissions = subjects.iter().flat_map(|subject| {
        let scope = PolicyScope { pull_sources: subject.pull_sources.clone(), ..PolicyScope::from_aws(aws) };
        subject.spec.permissions(subject.source.as_ref(), &scope)
    });
    let permissions = permissions.filter(|permission| policy_use.allows(permission.action));
    json!({ "Version": "2012-10-17", "Statement": statements(permissions) })
}

/// What an action of a statement acts on, over all services.
struct MergedAction {
    resources: BTreeSet<String>,
    condition: Condition,
}

/// One statement for what has the same resources and the same condition.
fn statements(permissions: impl Iterator<Item = Permission>) -> Vec<Value> {
    let mut grouped: BTreeMap<(StatementId, BTreeSet<String>, Condition), Vec<&str>> = BTreeMap::new();
    for ((id, action), MergedAction { resources, condition }) in merge_actions(permissions) {
        if !resources.is_empty() {
            grouped.entry((id, resources, condition)).or_default().push(action);
        }
    }
    let mut used: BTreeMap<StatementId, usize> = BTreeMap::new();
    let render = |((id, resources, condition), mut actions): ((_, _, Condition), Vec<&str>)| {
        actions.sort_unstable();
        let number: &mut usize = used.entry(id).or_default();
        *number += 1;
        let sid = if *number == 1 { id.sid.to_owned() } else { format!("{}{number}", id.sid) };
        let resources: BTreeSet<String> = resources;
        let mut statement =
            json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
        if let Some(condition) = condition.to_json() {
            statement["Condition"] = condition;
        }
        statement
    };
    grouped.into_iter().map(render).collect()
}

fn merge_actions(
    permissions: impl Iterator<Item = Permission>,
) -> BTreeMap<(StatementId, &'static str), MergedAction> {
    let mut merged: BTreeMap<(StatementId, &'static str), MergedAction> = BTreeMap::new();
    for Permission { statement, action, resources, condition } in permissions {
        let fresh = || MergedAction { resources: BTreeSet::new(), condition: condition.clone() };
        let known = merged.entry((statement, action)).or_insert_with(fresh);
        known.resources.extend(resources);
        known.condition.merge(condition);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_is_in_ecr_or_needs_nothing() {
        let aws = Aws { region: Some("eu-west-1".into()), account: Some("111111111111".into()), role: None };
        let scope = PolicyScope::from_aws(&aws);
        for (repository, expected) in [
            ("acme/web", Some("arn:aws:ecr:eu-west-1:111111111111:repository/acme/web")),
            ("web", Some("arn:aws:ecr:eu-west-1:111111111111:repository/web")),
            (
                "222222222222.dkr.ecr.us-east-1.amazonaws.com/acme/web",
                Some("arn:aws:ecr:us-east-1:222222222222:repository/acme/web"),
            ),
            (
                "222222222222.dkr.ecr.cn-north-1.amazonaws.com.cn/web",
                Some("arn:aws-cn:ecr:cn-north-1:222222222222:repository/web"),
            ),
            ("ghcr.io/acme/web", None),
            ("localhost/web", None),
            ("registry:5000/web", None),
            ("1.dkr.ecr.eu-west-1.evil.example/web", None),
        ] {
            assert_eq!(repository_arn(repository, &scope).as_deref(), expected, "{repository}");
        }
    }

    #[test]
    fn changes_are_not_reads() {
        for action in ["ecs:UpdateService", "iam:PassRole", "ecr:PutImage", "iam:SimulatePrincipalPolicy"] {
            assert!(!is_read(action), "{action}");
        }
        for action in ["ecs:DescribeServices", "ecr:GetAuthorizationToken", "ecr:BatchGetImage"] {
            assert!(is_read(action), "{action}");
        }
    }
}
