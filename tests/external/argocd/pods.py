"""How nodes and pods fare, as configuration of kwok: a word in the name of an image says what happens to its container.

| word in the image | the container |
|---|---|
| `nopull` | its image cannot be pulled |
| `noconfig` | a secret that it names is not there |
| `crash` | exits, and is started again with growing pauses |
| `unready` | runs, and never becomes ready |
| none | runs and is ready; in a Job, it ends well |

States, reasons and messages are those that a kubelet writes.
"""

import json

BROKEN = ["nopull", "noconfig", "crash", "unready"]
# Strings of templates stand in backquotes: the template is JSON.
DIGEST = "{{ if contains `@sha256:` .image }}{{ .image }}{{ else }}{{ printf `%s@sha256:%064d` .image 7 }}{{ end }}"
NOT_READY = ("False", "ContainersNotReady", "containers with unready status: [app]")
BACKOFF = "back-off 10s restarting failed container=app pod={{ $pod.metadata.name }}_{{ $pod.metadata.namespace }}({{ $pod.metadata.uid }})"
EXITED = {"exitCode": 1, "reason": "Error", "startedAt": "{{ $now }}", "finishedAt": "{{ $now }}"}


def _key(key, operator, *values):
    return {"key": key, "operator": operator} | ({"values": list(values)} if values else {})


PARALLEL = {f"{name}Parallelism": 4 for name in ("nodeLease", "nodePlayStage", "podPlayStage", "podsOnNodeSync")}
ALIVE = _key(".metadata.deletionTimestamp", "DoesNotExist")
DELETED = _key(".metadata.deletionTimestamp", "Exists")
NEW = [ALIVE, _key(".status.phase", "In", "Pending"), _key(".status.containerStatuses", "DoesNotExist")]
IMAGES = '[.spec.containers[].image] | join(" ")'


def _named(word):
    return _key(f'{IMAGES} | contains("{word}")', "In", "true")


def _conditions(ready):
    status, reason, message = ready
    told = {"reason": reason, "message": message} if reason else {}
    since = {"lastTransitionTime": "{{ $now }}"}
    initialized = {"type": "Initialized", "status": "True"} | since
    return [initialized] + [{"type": kind, "status": status} | told | since for kind in ("Ready", "ContainersReady")]


def _status(phase, state, ready=("True", "", ""), restarts="0", last=None, image_id=DIGEST):
    """The template of a pod's status. All containers are in the same state."""
    is_ready = "true" if ready[0] == "True" else "false"
    container = {"name": "{{ .name }}", "image": "{{ .image }}", "imageID": image_id, "state": state}
    if last:
        container["lastState"] = last
    text = json.dumps(container)[1:-1]
    address = '(or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "")'
    return (
        "{{ $now := Now }}{{ $pod := . }}"
        + f'{{"phase": "{phase}", "conditions": {json.dumps(_conditions(ready))}, "startTime": "{{{{ $now }}}}", '
        + '"hostIP": "{{ NodeIPWith .spec.nodeName }}", '
        + f'"podIP": "{{{{ PodIPWith .spec.nodeName {address} }}}}", '
        + '"containerStatuses": [{{ range $index, $container := .spec.containers }}{{ if $index }}, {{ end }}'
        + f'{{"ready": {is_ready}, "started": {is_ready}, "restartCount": {restarts}, {text}}}{{{{ end }}}}]}}'
    )


def _stage(name, select, delay, status=None, warning=None, kind="Pod"):
    then = {"delete": True} if status is None else {"statusTemplate": status}
    if warning:
        then["event"] = {"type": "Warning", "reason": warning[0], "message": warning[1]}
    spec = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": select},
            "delay": {"durationMilliseconds": delay}, "next": then}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _waiting(reason, message):
    return {"waiting": {"reason": reason, "message": message}}


def _node_stage():
    """Nobody looks whether nodes are alive: a node is ready once and for all."""
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
             "lastTransitionTime": "{{ Now }}", "lastHeartbeatTime": "{{ Now }}"}
    size = {"cpu": "32", "memory": "64Gi", "pods": "250"}
    status = {"conditions": [ready], "allocatable": size, "capacity": size,
              "addresses": [{"type": "InternalIP", "address": "{{ NodeIP }}"}]}
    new = _key('.status.conditions.[] | select( .type == "Ready" ) | .status', "NotIn", "True")
    return _stage("node", [new], 0, json.dumps(status), kind="Node")


def _stages():
    yield _node_stage()
    running = {"running": {"startedAt": "{{ $now }}"}}
    well = _key(f'{IMAGES} | test("{"|".join(BROKEN)}")', "In", "false")
    exited = _key(".status.containerStatuses[0].state.terminated.reason", "In", "Error")
    in_job = _key(".metadata.ownerReferences.[].kind", "In", "Job")
    again = "{{ add (index $pod.status.containerStatuses $index).restartCount 1 }}"
    yield _stage("ready", [*NEW, well], 300, _status("Running", running))
    yield _stage("unready", [*NEW, _named("unready")], 300, _status("Running", running, NOT_READY),
                 ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500"))
    unpulled = 'Back-off pulling image "{{ .image }}": ErrImagePull: failed to pull and unpack image "{{ .image }}": not found'
    yield _stage("nopull", [*NEW, _named("nopull")], 300,
                 _status("Pending", _waiting("ImagePullBackOff", unpulled.replace('"', "'")), NOT_READY, image_id=""),
                 ("Failed", "Failed to pull image: rpc error: code = NotFound desc = failed to pull and unpack image: not found"))
    yield _stage("noconfig", [*NEW, _named("noconfig")], 300,
                 _status("Pending", _waiting("CreateContainerConfigError", "secret 'db' not found"), NOT_READY, image_id=""),
                 ("Failed", "Error: secret 'db' not found"))
    yield _stage("crash", [*NEW, _named("crash")], 300, _status("Running", {"terminated": EXITED}, NOT_READY))
    yield _stage("crash-again", [ALIVE, exited, _named("crash")], 400,
                 _status("Running", _waiting("CrashLoopBackOff", BACKOFF), NOT_READY, again, {"terminated": EXITED}),
                 ("BackOff", "Back-off restarting failed container app in pod"))
    completed = {"terminated": EXITED | {"exitCode": 0, "reason": "Completed"}}
    yield _stage("complete", [ALIVE, _key(".status.phase", "In", "Running"), in_job, well], 300,
                 _status("Succeeded", completed, ("False", "PodCompleted", "")))
    yield _stage("delete", [DELETED, _key(".metadata.finalizers", "DoesNotExist")], 200)


def write_config(file, port):
    """The configuration of kwok, which listens on this port."""
    options = {"manageAllNodes": True, "cidr": "10.1.0.0/16", "nodeIP": "10.0.0.1", "nodePort": port,
               "serverAddress": f"127.0.0.1:{port}", "enableCRDs": [], "nodeLeaseDurationSeconds": 40} | PARALLEL
    config = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    file.write_text("\n---\n".join(json.dumps(document) for document in [config, *_stages()]))
