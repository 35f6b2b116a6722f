//! The pages in which the deployments of an environment are read: queries, responses, and what is read next. The newest of
//! all come first, then only those with our marker, however many others make. The number of pages is bounded. Pure.

use serde::Deserialize;
use serde_json::{Value, json};

use super::deployment_history::{DeploymentNode, ListedDeployment, NodeList};
use super::new_deployment::OWN_TASK;
use super::validate;

/// Deployments of one page: GitHub's maximum.
const PAGE_SIZE: usize = 100;
/// Statuses of one deployment that are read.
const MAX_STATUSES: usize = 60;
/// Pages of the newest deployments of any creator: records of jobs with `environment:` are in GitHub's own.
const MAX_NEWEST_PAGES: usize = 10;
/// Pages of the deployments with our marker; each takes two requests.
const MAX_OWN_PAGES: usize = 5;

/// What was not read of an environment's deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum UnreadDeployments {
    /// Nothing.
    #[default]
    None,
    /// The deployments after a cursor; the first page has none.
    Newest {
        /// The cursor.
        after: Option<String>,
        /// The number of the page, from 1.
        page: usize,
    },
    /// A page of the deployments with our marker, from 1.
    Own {
        /// The number of the page.
        page: usize,
    },
    /// Older ones, which are not read any more.
    BeyondLimit,
}

/// Deployments that were read, and what remains.
#[derive(Debug)]
pub(super) struct DeploymentPage {
    pub(super) deployments: Vec<ListedDeployment>,
    pub(super) unread: UnreadDeployments,
}

/// Deployments of one environment, newest first, with their statuses.
pub(super) const NEWEST_QUERY: &str = "query($owner:String!,$name:String!,$environments:[String!],$newest:Int!,\
    $after:String,$statuses:Int!){\
    repository(owner:$owner,name:$name){deployments(environments:$environments,first:$newest,after:$after,\
    orderBy:{field:CREATED_AT,direction:DESC}){pageInfo{hasNextPage endCursor} nodes{databaseId createdAt payload \
    statuses(first:$statuses){nodes{state description logUrl createdAt}}}}}}";

/// Deployments by their ids, with their statuses.
pub(super) const NODES_QUERY: &str = "query($ids:[ID!]!,$statuses:Int!){nodes(ids:$ids){...on Deployment{\
    databaseId createdAt payload statuses(first:$statuses){nodes{state description logUrl createdAt}}}}}";

/// The owner and the name of a repository, and an environment of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnvironmentPlace<'p> {
    pub(super) owner: &'p str,
    pub(super) name: &'p str,
    pub(super) environment: &'p str,
}

/// The variables of [`NEWEST_QUERY`].
pub(super) fn newest_variables(place: EnvironmentPlace<'_>, after: Option<&str>) -> Value {
    let EnvironmentPlace { owner, name, environment } = place;
    json!({
        "owner": owner, "name": name, "environments": [environment], "newest": PAGE_SIZE, "after": after,
        "statuses": MAX_STATUSES,
    })
}

/// The variables of [`NODES_QUERY`].
pub(super) fn nodes_variables(ids: &[String]) -> Value {
    json!({ "ids": ids, "statuses": MAX_STATUSES })
}

/// The route of the deployments with our marker, below the repository.
pub(super) fn own_route(environment: &str, page: usize) -> String {
    let environment = validate::percent_encoded(environment).replace('/', "%2F");
    format!("/deployments?environment={environment}&task={OWN_TASK}&per_page={PAGE_SIZE}&page={page}")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// Parses page `page` of [`NEWEST_QUERY`]. `None` if it is not such a response.
pub(super) fn parse_newest(data: &Value, page: usize) -> Option<DeploymentPage> {
    let response = &data["repository"]["deployments"];
    let list = NodeList::<DeploymentNode>::deserialize(response).ok()?;
    let info = PageInfo::deserialize(&response["pageInfo"]).ok();
    let after = info.filter(|info| info.has_next_page).and_then(|info| info.end_cursor);
    let unread = match after {
        None => UnreadDeployments::None,
        Some(_) if page >= MAX_NEWEST_PAGES => UnreadDeployments::Own { page: 1 },
        after => UnreadDeployments::Newest { after, page: page + 1 },
    };
    Some(DeploymentPage { deployments: list.into_items().map(Into::into).collect(), unread })
}

/// Parses the response to [`NODES_QUERY`]. `None` if it is not such a response.
pub(super) fn parse_nodes(data: &Value) -> Option<Vec<ListedDeployment>> {
    let list = NodeList::<DeploymentNode>::deserialize(data).ok()?;
    Some(list.into_items().map(Into::into).collect())
}

/// A deployment of the list with our marker.
#[derive(Debug, Deserialize)]
pub(super) struct OwnDeployment {
    pub(super) id: u64,
    pub(super) node_id: String,
}

/// What remains after page `page` of the list with our marker, which has `count` deployments. Records in GitHub's own
/// deployments are not in that list, so older ones may be left in any case.
pub(super) fn unread_after_own(page: usize, count: usize) -> UnreadDeployments {
    match count >= PAGE_SIZE && page < MAX_OWN_PAGES {
        true => UnreadDeployments::Own { page: page + 1 },
        false => UnreadDeployments::BeyondLimit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(count: usize, next: Option<&str>) -> Value {
        let node =
            |id: usize| json!({"databaseId": id, "createdAt": null, "payload": null, "statuses": null});
        let info = json!({"hasNextPage": next.is_some(), "endCursor": next});
        let nodes: Vec<Value> = (0..count).map(node).collect();
        json!({"repository": {"deployments": {"pageInfo": info, "nodes": nodes}}})
    }

    #[test]
    fn pages_of_all_come_first_then_those_with_the_marker_and_both_are_bounded() {
        use UnreadDeployments::{BeyondLimit, Newest, None, Own};
        for (page, next, expected) in [
            (1, Option::None, None),
            (1, Some("x"), Newest { after: Some("x".into()), page: 2 }),
            (9, Some("x"), Newest { after: Some("x".into()), page: 10 }),
            (10, Some("x"), Own { page: 1 }),
            (10, Option::None, None),
        ] {
            assert_eq!(parse_newest(&page_of(3, next), page).unwrap().unread, expected, "{page} {next:?}");
        }
        for (page, count, expected) in [
            (1, 100, Own { page: 2 }),
            (4, 100, Own { page: 5 }),
            (5, 100, BeyondLimit),
            (1, 99, BeyondLimit),
            (1, 0, BeyondLimit),
        ] {
            assert_eq!(unread_after_own(page, count), expected, "{page} {count}");
        }
    }

    #[test]
    fn environment_is_escaped_in_the_route() {
        assert_eq!(
            own_route("eu/live & more", 2),
            "/deployments?environment=eu%2Flive%20%26%20more&task=roadstead&per_page=100&page=2"
        );
    }
}
