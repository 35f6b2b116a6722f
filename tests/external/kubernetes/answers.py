"""The same requests to two API servers, and what differs in the form of the answers of two servers."""

import json
import re
import ssl
import urllib.error
import urllib.request

import machine

from .world import APPS

# Maps whose keys are data.
MAPS = re.compile(r"\.(labels|annotations|matchLabels|nodeSelector|targetLabels|limits|requests|f:.*|k:.*)$")
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def ask(world, path, token=None, method="GET", body=None, kind="application/json"):
    """A request with the rights of the account: the status and the answer, JSON or text."""
    server, authority = world.cluster["server"], world.cluster.get("ca")
    token = next(iter(world.variables.values())) if token is None else token
    request = urllib.request.Request(
        server + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": kind} if token else {})
    context = ssl.create_default_context(cadata=authority) if authority else None
    try:
        with machine.open_url(request, 30, context) as answer:
            return answer.status, _read(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _read(error.read())


def _read(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"text": text.decode(errors="replace")}


def ask_all(world):
    """Answers by the name of the request, after a release: status and body."""
    space = f"/namespaces/{world.namespace}"
    apps, core, labels = f"/apis/{APPS}{space}", f"/api/v1{space}", "?labelSelector=app%3Dweb"
    web = f"{apps}/deployments/web"
    pod = ask(world, f"{core}/pods{labels}")[1]["items"][0]["metadata"]["name"]
    patch = "application/json-patch+json"
    uid = ask(world, web)[1]["metadata"]["uid"]
    same = [{"op": "test", "path": "/metadata/uid", "value": uid}]
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image"}

    def review(verb, resource):
        attributes = {"namespace": world.namespace, "verb": verb, "group": "apps", "resource": resource}
        spec = {"resourceAttributes": attributes}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}

    def change(operations, kind=patch):
        return ask(world, f"{web}?dryRun=All&fieldManager=roadstead&fieldValidation=Strict", None, "PATCH", operations, kind)

    return {
        "workload": ask(world, web),
        "replica sets": ask(world, f"{apps}/replicasets{labels}"),
        "pods": ask(world, f"{core}/pods{labels}"),
        "no pods": ask(world, f"{core}/pods?labelSelector=app%3Dnobody"),
        "log": ask(world, f"{core}/pods/{pod}/log?tailLines=1"),
        "review": ask(world, REVIEW, None, "POST", review("list", "replicasets")),
        "dry run": change(same + [image | {"value": "ghcr.io/acme/web:v5"}]),
        "failed test": change([{"op": "test", "path": "/metadata/uid", "value": "x"}]),
        "no such path": change([{"op": "replace", "path": "/spec/template/spec/containers/7/image", "value": "x"}]),
        "no image": change([image | {"value": ""}]),
        "unknown kind of patch": change({}, "application/patch"),
        "wrong token": ask(world, web, token="wrong"),
    }


def paths(value, path=""):
    """Every field of an answer with the type of its value; items of a list are one."""
    if isinstance(value, dict) and not MAPS.search(path) and not path.endswith(".managedFields[].fieldsV1"):
        return {found for name, inner in value.items() for found in paths(inner, f"{path}.{name}")}
    if isinstance(value, list):
        return {found for item in value for found in paths(item, f"{path}[]")} or {f"{path}[]: none"}
    kinds = {bool: "bool", int: "number", float: "number", str: "text", dict: "map", type(None): "null"}
    return {f"{path}: {kinds[type(value)]}"}


def unknown_fields(embedded, real):
    """Fields that the embedded answer has and the real one has not."""
    have = paths(real)
    lists = {path.split("[]: none")[0] for path in have if path.endswith("[]: none")}
    return sorted(path for path in paths(embedded) - have
                  if not path.endswith("[]: none") and not any(path.startswith(f"{start}[]") for start in lists))
