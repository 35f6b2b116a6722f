//! Things that have fields in GitHub's GraphQL schema, and lists of them in pages.

use serde_json::{Map, Value, json};

use super::answers::members;
use super::objects::Oid;
use super::trees::Entry;
use crate::rehearsal::call::Refusal;

/// Something that has fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
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
    Entry(String, String, Entry),
    /// A pull request by its number.
    Pull(String, usize),
    /// A deployment of a repository by its number.
    Deployment(String, u64),
    /// A status of a deployment of a repository, by their numbers.
    Status(String, u64, u64),
    /// A list in pages: type, nodes, total, whether there is more, position of the first.
    Page(&'static str, Vec<Node>, usize, bool, usize),
    /// One node of a list, and its position.
    Edge(&'static str, Box<Node>, usize),
    /// The answer of a mutation.
    Payload(&'static str, Vec<(&'static str, Node)>, Value),
    /// Anything else: its type and members.
    Plain(&'static str, Map<String, Value>),
}

/// What a field is.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// A scalar, or a list of them.
    Value(Value),
    /// Something with fields.
    Node(Node),
    /// Several of them.
    List(Vec<Node>),
    /// Nothing.
    Null,
}

/// Why a field has no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// The type has no such field.
    Undefined,
    /// It is null, and this says why.
    Refused(Refusal),
}

/// What is found for a field.
pub type Found = Result<Out, Problem>;

impl Node {
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
    pub fn is(&self, name: &str) -> bool {
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
pub fn paged(kind: &'static str, nodes: Vec<Node>, arguments: &Map<String, Value>) -> Node {
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64).map(|number| number as usize);
    let first = number("first").unwrap_or(100);
    let after = arguments.get("after").and_then(Value::as_str).and_then(|it| it.parse::<usize>().ok());
    let total = nodes.len();
    let start = match (number("first"), number("last")) {
        (None, Some(last)) => total.saturating_sub(last),
        _ => after.map_or(0, |after| after + 1),
    };
    let nodes: Vec<Node> = nodes.into_iter().skip(start).take(first.min(100)).collect();
    let more = start + nodes.len() < total;
    Node::Page(kind, nodes, total, more, start)
}

/// A field of a page.
pub fn page(kind: &str, nodes: &[Node], (total, more, start): (usize, bool, usize), name: &str) -> Found {
    let cursor = |place: Option<usize>| place.map(|place| (start + place).to_string());
    match name {
        "totalCount" => Ok(Out::Value(total.into())),
        "nodes" => Ok(Out::List(nodes.to_vec())),
        "edges" => {
            let kind = match kind {
                "PullRequestConnection" => "PullRequestEdge",
                "DeploymentConnection" => "DeploymentEdge",
                "DeploymentStatusConnection" => "DeploymentStatusEdge",
                _ => "CommitEdge",
            };
            let edge =
                |(place, node): (usize, &Node)| Node::Edge(kind, Box::new(node.clone()), start + place);
            Ok(Out::List(nodes.iter().enumerate().map(edge).collect()))
        }
        "pageInfo" => {
            let info = json!({
                "hasNextPage": more, "hasPreviousPage": start > 0,
                "startCursor": cursor((!nodes.is_empty()).then_some(0)), "endCursor": cursor(nodes.len().checked_sub(1)),
            });
            Ok(Out::Node(Node::Plain("PageInfo", members(info))))
        }
        _ => Err(Problem::Undefined),
    }
}
