"""The same requests to two servers of Argo CD."""

import json
import urllib.parse

from . import server


def ask_all(world):
    """Answers by the name of the request: status and body."""
    base = f"/api/v1/applications/{world.application}"

    def ask(path, token=None, body=None):
        return server.ask(world.server, path, world.token if token is None else token, body)

    answers = {"application": without_spec(ask(f"{base}?refresh=normal")), "tree": ask(f"{base}/resource-tree")}
    nodes = {node["kind"]: node for node in answers["tree"][1]["nodes"]}
    for kind in ("Deployment", "ReplicaSet", "Pod"):
        answers[f"live {kind}"] = live(ask(f"{base}/resource?{_query(nodes[kind])}"))
        answers[f"events of a {kind}"] = ask(f"{base}/events?{_event_query(nodes[kind])}")
    answers |= {
        "list": without_spec(ask("/api/v1/applications")),
        "no token": ask(base, token=""),
        "nothing": ask("/api/v1/applications/nothing"),
        "nothing in a project": ask("/api/v1/applications/nothing?project=default"),
        "events without a uid": ask(f"{base}/events?resourceName=web&resourceNamespace={world.namespace}"),
        "a sync beside automation": ask(f"{base}/sync", body={"revision": "0" * 40}),
    }
    return answers


def _query(node):
    return urllib.parse.urlencode({
        "resourceName": node["name"], "namespace": node["namespace"], "group": node.get("group", ""),
        "version": node["version"], "kind": node["kind"]})


def _event_query(node):
    return urllib.parse.urlencode({
        "resourceName": node["name"], "resourceNamespace": node["namespace"], "resourceUID": node["uid"]})


def without_spec(answer):
    """What people wrote into an application is nobody's answer."""
    for item in answer[1].get("items") or [answer[1]]:
        item.pop("spec", None)
    return answer


def live(answer):
    """The manifest that an answer has as text."""
    status, body = answer
    return status, json.loads(body["manifest"]) if status == 200 else body
