//! The REST operations of GitHub that are modelled: method, path and operation id, as in its OpenAPI description.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// A last parameter with `*` takes the rest of the path.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/repos/{owner}/{repo}", "repos/get"),
    ("GET", "/repos/{owner}/{repo}/branches/{branch*}", "repos/get-branch"),
    ("GET", "/repos/{owner}/{repo}/contents", "repos/get-content"),
    ("GET", "/repos/{owner}/{repo}/contents/{path*}", "repos/get-content"),
    ("GET", "/repos/{owner}/{repo}/git/ref/{ref*}", "git/get-ref"),
    ("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref*}", "git/list-matching-refs"),
    ("POST", "/repos/{owner}/{repo}/git/refs", "git/create-ref"),
    ("PATCH", "/repos/{owner}/{repo}/git/refs/{ref*}", "git/update-ref"),
    ("DELETE", "/repos/{owner}/{repo}/git/refs/{ref*}", "git/delete-ref"),
    ("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}", "git/get-blob"),
    ("POST", "/repos/{owner}/{repo}/git/blobs", "git/create-blob"),
    ("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha*}", "git/get-tree"),
    ("POST", "/repos/{owner}/{repo}/git/trees", "git/create-tree"),
    ("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}", "git/get-commit"),
    ("POST", "/repos/{owner}/{repo}/git/commits", "git/create-commit"),
    ("GET", "/repos/{owner}/{repo}/compare/{basehead*}", "repos/compare-commits"),
    ("GET", "/repos/{owner}/{repo}/commits", "repos/list-commits"),
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", "checks/list-for-ref"),
    ("GET", "/repos/{owner}/{repo}/commits/{ref*}", "repos/get-commit"),
    ("POST", "/repos/{owner}/{repo}/check-runs", "checks/create"),
    ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", "checks/update"),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", "issues/list-comments"),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", "issues/create-comment"),
    ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", "issues/update-comment"),
    ("GET", "/repos/{owner}/{repo}/deployments", "repos/list-deployments"),
    ("POST", "/repos/{owner}/{repo}/deployments", "repos/create-deployment"),
    ("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}", "repos/get-deployment"),
    ("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "repos/list-deployment-statuses"),
    ("POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "repos/create-deployment-status"),
    ("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}", "actions/get-workflow-run"),
    (
        "GET",
        "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}",
        "actions/get-workflow-run-attempt",
    ),
    (
        "GET",
        "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs",
        "actions/list-jobs-for-workflow-run-attempt",
    ),
    ("GET", "/repos/{owner}/{repo}/pulls", "pulls/list"),
    ("POST", "/repos/{owner}/{repo}/pulls", "pulls/create"),
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", "pulls/get"),
    ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", "pulls/update"),
    ("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", "pulls/merge"),
];

/// The operation that a request is for, and the parameters in its path.
pub(super) fn find_operation(method: &str, path: &str) -> Option<(&'static str, Map<String, Value>)> {
    ROUTES.iter().filter(|(verb, ..)| *verb == method).find_map(|(_, template, operation)| {
        let mut parameters = match_path(template, path)?;
        // One operation with two parameters, written as one part of the path.
        if let Some(Value::String(pair)) = parameters.remove("basehead") {
            let (base, head) = pair.split_once("...")?;
            parameters.insert("base".into(), base.into());
            parameters.insert("head".into(), head.into());
        }
        Some((*operation, parameters))
    })
}

pub(super) fn match_path(template: &str, path: &str) -> Option<Map<String, Value>> {
    let mut parameters = Map::new();
    let mut parts = path.split('/');
    for wanted in template.split('/') {
        let name = wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        match name.map(|name| (name, name.strip_suffix('*'))) {
            None if parts.next()? != wanted => return None,
            None => {}
            Some((_, Some(rest))) => {
                let text = parts.by_ref().collect::<Vec<_>>().join("/");
                (!text.is_empty()).then(|| parameters.insert(rest.into(), percent_decode(&text).into()))?;
            }
            Some((name, None)) => {
                let text = percent_decode(parts.next().filter(|part| !part.is_empty())?);
                let numbered = name.ends_with("_number") || name.ends_with("_id");
                let value = if numbered { parse_id(&text) } else { text.into() };
                parameters.insert(name.into(), value);
            }
        }
    }
    parts.next().is_none().then_some(parameters)
}

fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The number of something, which may be a long one.
fn parse_id(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
}

/// A number where the text is one, as in `per_page`.
pub(super) fn parse_number(text: &str) -> Value {
    // A long run of digits is a name, such as a commit's.
    let digits = !text.is_empty() && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if digits => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_rest_of_a_path_may_hold_slashes() {
        let (operation, parameters) =
            find_operation("GET", "/repos/acme/m/contents/apps/a%20b.yaml").unwrap();
        assert_eq!(operation, "repos/get-content");
        assert_eq!(
            Value::Object(parameters),
            json!({ "owner": "acme", "repo": "m", "path": "apps/a b.yaml" })
        );
        let (_, parameters) = find_operation("GET", "/repos/acme/m/compare/release/1...deploy/2").unwrap();
        assert_eq!((&parameters["base"], &parameters["head"]), (&json!("release/1"), &json!("deploy/2")));
        assert_eq!(find_operation("GET", "/repos/acme/m/pulls/7").unwrap().1["pull_number"], 7);
        assert_eq!(find_operation("GET", "/repos/acme/m/pulls/7/files"), None);
        assert_eq!(
            find_operation("GET", "/repos/acme/m/actions/runs/19876543210").unwrap().1["run_id"],
            19_876_543_210_u64
        );
        assert_eq!(find_operation("DELETE", "/repos/acme/m"), None);
    }
}
