"""The embedded Argo CD against what Argo CD publishes of itself: every answer fits its swagger (and nothing unknown is in
it), applications fit the resource definition, and a bounded poll sees the old state before the new.
"""

import base64
import json
import pathlib
import time
import urllib.error
import urllib.request

import jsonschema
import pytest

PUBLISHED = json.loads((pathlib.Path(__file__).parent / "argocd-3.5.7.json").read_text())
FILE = "apps/web/kustomization.yaml"
SOURCE = {"repository": "acme/manifests", "branch": "main", "files": [FILE]}
STEPS = [{"set-weight": 50}, {"pause": 30}, {"analysis": 30}]


def text(tag):
    return f"images:\n  - name: acme/web\n    newTag: {tag}\n"


def world(faults=(), **application):
    return {
        "github": {"repositories": [{"name": "acme/manifests", "files": {FILE: text("v1")}}]},
        "argocd": {"applications": [{"name": "web", "sources": [SOURCE]} | application]},
        "faults": list(faults),
    }


def strict():
    """The published definitions, in which nothing unknown is allowed."""
    definitions = json.loads(json.dumps(PUBLISHED["definitions"]))
    # A reference stands alone and is a part of a node: only the whole may be closed.
    node, reference = definitions["v1alpha1ResourceNode"], definitions["v1alpha1ResourceRef"]
    node["properties"] |= reference["properties"]
    node.pop("allOf", None)
    for definition in definitions.values():
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    return definitions


DEFINITIONS = strict()


def fits(answer, name):
    schema = {"$ref": f"#/definitions/{name}", "definitions": DEFINITIONS}
    checker = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    wrong = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(answer)]
    assert not wrong, "\n".join(wrong)
    return answer


class Argo:
    """A client that checks what it gets."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, body=None, kind="v1alpha1Application", method=None, token="t0ken"):
        request = urllib.request.Request(
            f"{self.url}/api/v1/applications{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return 200, fits(json.load(answer), kind)
        except urllib.error.HTTPError as error:
            return error.code, fits(json.load(error), "runtimeError")

    def get(self, path, kind="v1alpha1Application"):
        status, answer = self.ask(path, kind=kind)
        assert status == 200, answer
        return answer

    def app(self, query=""):
        """The application: also what the resource definition demands holds of it."""
        found = self.get(f"/web{query}")
        jsonschema.Draft7Validator(PUBLISHED["crd"]).validate(found)
        return found

    def commit(self, tag):
        """Commits another tag through the embedded GitHub, and gives the commit."""
        head = self.graphql('query { repository(owner: "acme", name: "manifests") { ref(qualifiedName: "main") { target { oid } } } }')
        contents = base64.b64encode(text(tag).encode()).decode()
        commit = {
            "branch": {"repositoryNameWithOwner": "acme/manifests", "branchName": "main"},
            "expectedHeadOid": head["repository"]["ref"]["target"]["oid"],
            "message": {"headline": tag}, "fileChanges": {"additions": [{"path": FILE, "contents": contents}]},
        }
        mutation = "mutation M($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"
        return self.graphql(mutation, input=commit)["createCommitOnBranch"]["commit"]["oid"]

    def graphql(self, query, **variables):
        request = urllib.request.Request(
            f"{self.url}/graphql", data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"authorization": "Bearer gh", "content-type": "application/json", "user-agent": "tests"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.load(answer)
        assert not found.get("errors"), found
        return found["data"]

    def until(self, done, seconds=20):
        """Every application on the way to the one that is `done`; that one must come in time."""
        seen, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen.append(self.app())
            if done(seen[-1]):
                return seen
            time.sleep(0.02)
        raise AssertionError(seen[-1]["status"])


def brief(app):
    status = app["status"]
    return status["sync"]["status"], status["health"]["status"], status["sync"]["revision"]


@pytest.fixture
def argo(cloud):
    return lambda scenario, speed=60: Argo(cloud(scenario, speed=speed).url)


def test_what_is_unknown_or_of_another_type_does_not_fit():
    for wrong in ({"metadata": {"colour": "blue"}}, {"status": {"history": [{"id": "one"}]}}):
        with pytest.raises(AssertionError):
            fits(wrong, "v1alpha1Application")


def test_a_poll_sees_the_old_state_before_the_new(argo):
    client = argo(world())
    old = brief(client.app())
    assert old[:2] == ("Synced", "Healthy")
    commit = client.commit("v2")
    assert brief(client.app()) == old, "nobody has looked at Git yet"
    assert brief(client.app("?refresh=normal"))[2] == commit
    seen = client.until(lambda app: brief(app) == ("Synced", "Healthy", commit))
    health = [brief(app)[1] for app in seen]
    assert "Progressing" in health and health[-1] == "Healthy"
    assert client.app()["status"]["history"][-1]["revision"] == commit
    assert [item["metadata"]["name"] for item in client.get("", "v1alpha1ApplicationList")["items"]] == ["web"]


def test_trees_events_and_manifests(argo):
    client = argo(world([{"image-not-found": {}}]), speed=30)
    client.commit("v2")
    client.app("?refresh=hard")
    deadline = time.monotonic() + 20
    while True:
        nodes = client.get("/web/resource-tree", "v1alpha1ApplicationTree")["nodes"]
        bad = [node for node in nodes if node["kind"] == "Pod" and node["health"]["status"] == "Degraded"]
        if bad or time.monotonic() > deadline:
            break
    uids = {node["uid"]: node for node in nodes}
    parents = [uids[bad[0]["parentRefs"][0]["uid"]]]
    parents.append(uids[parents[0]["parentRefs"][0]["uid"]])
    assert [node["kind"] for node in parents] == ["ReplicaSet", "Deployment"]
    query = f"?resourceName={bad[0]['name']}&resourceUID={bad[0]['uid']}&resourceNamespace={bad[0]['namespace']}"
    events = client.get(f"/web/events{query}", "eventsEventList")["items"]
    assert any(event["type"] == "Warning" and "not found" in event["message"] for event in events)
    client.get("/web/events", "eventsEventList")
    query = "?resourceName=web&namespace=default&group=apps&version=v1&kind=Deployment"
    manifest = json.loads(client.get(f"/web/resource{query}", "applicationApplicationResourceResponse")["manifest"])
    assert manifest["spec"]["template"]["spec"]["containers"][0]["image"] == "acme/web:v2"


@pytest.mark.parametrize(
    ("fault", "field", "value"),
    [
        ({"argocd-sync-failed": {}}, "phase", "Failed"),
        ({"argocd-operation-error": {}}, "phase", "Error"),
        ({"argocd-comparison-error": {}}, "sync", "Unknown"),
        ({"argocd-missing": {}}, "health", "Missing"),
        ({"argocd-suspended": {}}, "health", "Suspended"),
        ({"failing-health-check": {}}, "health", "Degraded"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_goes_wrong_fits_too(argo, fault, field, value):
    client = argo(world([fault]), speed=300)
    client.commit("v2")
    client.app("?refresh=normal")

    def reached(app):
        status = app["status"]
        return value == {"phase": status.get("operationState", {}).get("phase"), "sync": brief(app)[0], "health": brief(app)[1]}[field]

    client.until(reached)


def test_a_canary_is_suspended_while_it_pauses(argo):
    client = argo(world(workload="Rollout", steps=STEPS, replicas=4), speed=30)
    commit = client.commit("v2")
    client.app("?refresh=normal")
    client.until(lambda app: brief(app)[1] == "Suspended")
    query = "?resourceName=web&namespace=default&group=argoproj.io&version=v1alpha1&kind=Rollout"
    rollout = json.loads(client.get(f"/web/resource{query}", "applicationApplicationResourceResponse")["manifest"])
    assert (rollout["status"]["phase"], rollout["status"]["currentStepIndex"]) == ("Paused", 1)
    client.until(lambda app: brief(app) == ("Synced", "Healthy", commit))
    kinds = {node["kind"] for node in client.get("/web/resource-tree", "v1alpha1ApplicationTree")["nodes"]}
    assert "AnalysisRun" in kinds


def test_a_sync_by_hand_and_refusals(argo):
    git = {"repository": "acme/manifests", "branch": "main", "files": [FILE]}
    client = argo(world([{"argocd-token-expires": {"after": 300}}], automated=False, sources=[git]))
    commit = client.commit("v2")
    assert client.ask("/web/sync", {"revision": commit, "prune": True})[0] == 200
    status, error = client.ask("/web/sync", {})
    assert (status, error["code"]) == (400, 9) and "another operation is already in progress" in error["message"]
    client.until(lambda app: brief(app) == ("Synced", "Healthy", commit))
    status, error = client.ask("/nothing")
    assert (status, error["code"], error["error"]) == (403, 7, "permission denied")
    assert client.ask("/nothing?project=default")[1]["code"] == 5
    assert client.ask("/web", token="")[1]["code"] == 16
    deadline = time.monotonic() + 20
    while client.ask("/web")[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    status, error = client.ask("/web")
    assert (status, error["code"]) == (401, 16) and "token is expired" in error["message"]
