//! Things that have fields in GitHub's GraphQL schema, and lists of them in pages.

use serde_json::{Map, Value, json};

use super::git_objects::Oid;
use super::responses::into_members;
use super::trees::TreeEntry;
use crate::request::ServiceError;

/// Something that has fields.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphqlNode {
    /// The root of queries.
    Query,
    /// A repository by its name.
    Repository(String),
    /// A ref of a repository: its full name and commit.
    Ref(String, String, Oid),
    /// The rule for a branch of a repository.
    Rule(String, String),
    /// A commit of a repository.
    Commit(String, Oid),
    /// A folder of a repository.
    Tree(String, Oid),
    /// A blob of a repository.
    Blob(String, Oid),
    /// An entry of a folder, with its path.
    Entry(String, String, TreeEntry),
    /// A pull request by its number.
    Pull(String, usize),
    /// A deployment of a repository by its number.
    Deployment(String, u64),
    /// A status of a deployment of a repository, by their numbers.
    Status(String, u64, u64),
    /// A list in pages: type, nodes, total, whether there is more, position of the first.
    Page(&'static str, Vec<GraphqlNode>, usize, bool, usize),
    /// One node of a list, and its position.
    Edge(&'static str, Box<GraphqlNode>, usize),
    /// The answer of a mutation.
    Payload(&'static str, Vec<(&'static str, GraphqlNode)>, Value),
    /// Anything else: its type and members.
    Plain(&'static str, Map<String, Value>),
}

/// What a field is.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// A scalar, or a list of them.
    Value(Value),
    /// Something with fields.
    Node(GraphqlNode),
    /// Several of them.
    List(Vec<GraphqlNode>),
    /// Nothing.
    Null,
}

/// Why a field has no value.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldError {
    /// The type has no such field.
    Undefined,
    /// It is null, and this says why.
    Rejected(ServiceError),
}

/// What is found for a field.
pub type Resolved = Result<FieldValue, FieldError>;

impl GraphqlNode {
    /// The name of its type.
    pub fn typename(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Repository(_) => "Repository",
            Self::Ref(..) => "Ref",
            Self::Rule(..) => "RefUpdateRule",
            Self::Commit(..) => "Commit",
            Self::Tree(..) => "Tree",
            Self::Blob(..) => "Blob",
            Self::Entry(..) => "TreeEntry",
            Self::Pull(..) => "PullRequest",
            Self::Deployment(..) => "Deployment",
            Self::Status(..) => "DeploymentStatus",
            Self::Page(name, ..) | Self::Edge(name, ..) | Self::Payload(name, ..) | Self::Plain(name, _) => {
                name
            }
        }
    }

    /// Whether it is of this type or has this interface.
    pub fn is_type(&self, name: &str) -> bool {
        let own = self.typename();
        let interfaces: &[&str] = match own {
            "Commit" | "Tree" | "Blob" => &["Node", "GitObject"],
            "Repository" | "Ref" | "PullRequest" | "Deployment" | "DeploymentStatus" => &["Node"],
            "User" | "Bot" => &["Node", "Actor"],
            "Organization" => &["Node", "Actor", "RepositoryOwner"],
            _ => &[],
        };
        own == name || interfaces.contains(&name)
    }
}

/// A page of a list: `first` items `after` a cursor, which is the position of the last one seen; or the `last` ones.
pub fn paginate(kind: &'static str, nodes: Vec<GraphqlNode>, arguments: &Map<String, Value>) -> GraphqlNode {
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let first = number("first").unwrap_or(100);
    let after = arguments.get("after").and_then(Value::as_str).and_then(|it| it.parse::<usize>().ok());
    let total = nodes.len();
    let start = match (number("first"), number("last")) {
        (None, Some(last)) => total.saturating_sub(last),
        _ => after.map_or(0, |after| after + 1),
    };
    let nodes: Vec<GraphqlNode> = nodes.into_iter().skip(start).take(first.min(100)).collect();
    let more = start + nodes.len() < total;
    GraphqlNode::Page(kind, nodes, total, more, start)
}

/// A field of a page.
pub fn page_field(
    kind: &str,
    nodes: &[GraphqlNode],
    (total, more, start): (usize, bool, usize),
    name: &str,
) -> Resolved {
    let cursor = |place: Option<usize>| place.map(|place| (start + place).to_string());
    match name {
        "totalCount" => Ok(FieldValue::Value(total.into())),
        "nodes" => Ok(FieldValue::List(nodes.to_vec())),
        "edges" => {
            let kind = match kind {
                "PullRequestConnection" => "PullRequestEdge",
                "DeploymentConnection" => "DeploymentEdge",
                "DeploymentStatusConnection" => "DeploymentStatusEdge",
                _ => "CommitEdge",
            };
            let edge = |(place, node): (usize, &GraphqlNode)| {
                GraphqlNode::Edge(kind, Box::new(node.clone()), start + place)
            };
            Ok(FieldValue::List(nodes.iter().enumerate().map(edge).collect()))
        }
        "pageInfo" => {
            let info = json!({
                "hasNextPage": more, "hasPreviousPage": start > 0,
                "startCursor": cursor((!nodes.is_empty()).then_some(0)), "endCursor": cursor(nodes.len().checked_sub(1)),
            });
            Ok(FieldValue::Node(GraphqlNode::Plain("PageInfo", into_members(info))))
        }
        _ => Err(FieldError::Undefined),
    }
}
