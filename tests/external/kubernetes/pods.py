"""How nodes and pods fare, as configuration of kwok: a word in the name of an image says what happens to its container.

| word in the image | the container |
|---|---|
| `nopull` | its image cannot be pulled |
| `noconfig` | a secret that it names is not there |
| `crash` | exits, and is started again with growing pauses; as an init container too |
| `once` | exits once, and then runs and is ready |
| `patchy` | exits on the node `node-2`, and is ready on all others |
| `unready` | runs, and never becomes ready |
| `slow` | runs, and is ready after some seconds |
| none | runs and is ready; in a Job, it ends well, or with code 7 if its command has the word `fail` |

A label `stuck: "true"` keeps a pod from going once it is deleted. States, reasons and messages are those that a kubelet writes.
"""

import json

BROKEN = ["nopull", "noconfig", "crash", "unready", "once", "patchy", "slow"]
# Strings of templates stand in backquotes: the template is JSON.
DIGEST = "{{ if contains `@sha256:` .image }}{{ .image }}{{ else }}{{ printf `%s@sha256:%064d` .image 7 }}{{ end }}"
NOT_READY = ("False", "ContainersNotReady", "containers with unready status: [app]")
BACKOFF = "back-off 10s restarting failed container=app pod={{ $pod.metadata.name }}_{{ $pod.metadata.namespace }}({{ $pod.metadata.uid }})"
RUNNING = {"running": {"startedAt": "{{ $now }}"}}
SAME = "{{ (index $pod.status.containerStatuses $index).restartCount }}"
EXITED = {"exitCode": 1, "reason": "Error", "startedAt": "{{ $now }}", "finishedAt": "{{ $now }}"}


def _key(key, operator, *values):
    return {"key": key, "operator": operator} | ({"values": list(values)} if values else {})


PARALLEL = {f"{name}Parallelism": 4 for name in ("nodeLease", "nodePlayStage", "podPlayStage", "podsOnNodeSync")}
ALIVE = _key(".metadata.deletionTimestamp", "DoesNotExist")
DELETED = _key(".metadata.deletionTimestamp", "Exists")
NEW = [ALIVE, _key(".status.phase", "In", "Pending"), _key(".status.containerStatuses", "DoesNotExist")]
IMAGES = '[.spec.containers[].image] | join(" ")'
INIT_IMAGES = '[.spec.initContainers[]?.image] | join(" ")'
COMMANDS = '[.spec.containers[].command[]?] | join(" ")'
# The last lines of whatever exits.
LOG = ["starting", "panic: DATABASE_URL is not set"]


def _has(texts, word, holds=True):
    return _key(f'{texts} | contains("{word}")', "In", "true" if holds else "false")


def _named(word):
    return _has(IMAGES, word)


def _conditions(ready):
    status, reason, message = ready
    told = {"reason": reason, "message": message} if reason else {}
    since = {"lastTransitionTime": "{{ $now }}"}
    initialized = {"type": "Initialized", "status": "True"} | since
    return [initialized] + [{"type": kind, "status": status} | told | since for kind in ("Ready", "ContainersReady")]


def _containers(key, state, is_ready, restarts="0", last=None, image_id=DIGEST):
    """The statuses of the containers below a key of the pod's spec, all alike."""
    container = {"name": "{{ .name }}", "image": "{{ .image }}", "imageID": image_id, "state": state}
    if last:
        container["lastState"] = last
    text, ready = json.dumps(container)[1:-1], json.dumps(is_ready)
    return (f'[{{{{ range $index, $container := .spec.{key} }}}}{{{{ if $index }}}}, {{{{ end }}}}'
            + f'{{"ready": {ready}, "started": {ready}, "restartCount": {restarts}, {text}}}{{{{ end }}}}]')


def _status(phase, state, ready=("True", "", ""), init=None, **more):
    """The template of a pod's status. All containers are in the same state; init containers have ended well, or `init` is their
    statuses."""
    init = init or _containers("initContainers", {"terminated": EXITED | {"exitCode": 0, "reason": "Completed"}}, True)
    address = '(or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "")'
    return (
        "{{ $now := Now }}{{ $pod := . }}"
        + f'{{"phase": "{phase}", "conditions": {json.dumps(_conditions(ready))}, "startTime": "{{{{ $now }}}}", '
        + '"hostIP": "{{ NodeIPWith .spec.nodeName }}", '
        + f'"podIP": "{{{{ PodIPWith .spec.nodeName {address} }}}}", '
        + f'{{{{ if .spec.initContainers }}}}"initContainerStatuses": {init}, {{{{ end }}}}'
        + f'"containerStatuses": {_containers("containers", state, ready[0] == "True", **more)}}}'
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
              "addresses": [{"type": "InternalIP", "address": "{{ NodeIP }}"}],
              "daemonEndpoints": {"kubeletEndpoint": {"Port": "{{ NodePort }}"}}}
    new = _key('.status.conditions.[] | select( .type == "Ready" ) | .status', "NotIn", "True")
    return _stage("node", [new], 0, json.dumps(status).replace('"{{ NodePort }}"', "{{ NodePort }}"), kind="Node")


def _stages():
    yield _node_stage()
    yield from _running_stages()
    yield from _waiting_stages()
    yield from _exiting_stages()
    yield from _job_stages()
    gone = [DELETED, _key(".metadata.finalizers", "DoesNotExist"), _key('.metadata.labels["stuck"]', "NotIn", "true")]
    yield _stage("delete", gone, 200)


def _running_stages():
    well = _key(f'{IMAGES} | test("{"|".join(BROKEN)}")', "In", "false")
    init_well = _has(INIT_IMAGES, "crash", False)
    elsewhere = _key(".spec.nodeName", "NotIn", "node-2")
    yield _stage("ready", [*NEW, well, init_well], 300, _status("Running", RUNNING))
    yield _stage("slow", [*NEW, _named("slow")], 6000, _status("Running", RUNNING))
    yield _stage("patchy-elsewhere", [*NEW, _named("patchy"), elsewhere], 300, _status("Running", RUNNING))
    yield _stage("unready", [*NEW, _named("unready")], 300, _status("Running", RUNNING, NOT_READY),
                 ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500"))


def _waiting_stages():
    unpulled = 'Back-off pulling image "{{ .image }}": ErrImagePull: failed to pull and unpack image "{{ .image }}": not found'
    yield _stage("nopull", [*NEW, _named("nopull")], 300,
                 _status("Pending", _waiting("ImagePullBackOff", unpulled.replace('"', "'")), NOT_READY, image_id=""),
                 ("Failed", "Failed to pull image: rpc error: code = NotFound desc = failed to pull and unpack image: not found"))
    yield _stage("noconfig", [*NEW, _named("noconfig")], 300,
                 _status("Pending", _waiting("CreateContainerConfigError", "secret 'db' not found"), NOT_READY, image_id=""),
                 ("Failed", "Error: secret 'db' not found"))


def _exiting_stages():
    exited = _key(".status.containerStatuses[0].state.terminated.reason", "In", "Error")
    again = "{{ add (index $pod.status.containerStatuses $index).restartCount 1 }}"
    first = _status("Running", {"terminated": EXITED}, NOT_READY)
    backoff = ("BackOff", "Back-off restarting failed container app in pod")
    looping = {"restarts": again, "last": {"terminated": EXITED}}
    on_node = [_named("patchy"), _key(".spec.nodeName", "In", "node-2")]
    for name, which in (("crash", [_named("crash")]), ("patchy", on_node), ("once", [_named("once")])):
        yield _stage(name, [*NEW, *which], 300, first)
    for name, which in (("crash-again", [_named("crash")]), ("patchy-again", on_node)):
        yield _stage(name, [ALIVE, exited, *which], 400,
                     _status("Running", _waiting("CrashLoopBackOff", BACKOFF), NOT_READY, **looping), backoff)
    # Between two starts the kubelet writes the end of each.
    waits = _key(".status.containerStatuses[0].state.waiting.reason", "In", "CrashLoopBackOff")
    for name, which in (("crash-restarts", [_named("crash")]), ("patchy-restarts", on_node)):
        few = _key(".status.containerStatuses[0].restartCount < 4", "In", "true")
        yield _stage(name, [ALIVE, waits, few, *which], 1500,
                     _status("Running", {"terminated": EXITED}, NOT_READY, restarts=SAME, last={"terminated": EXITED}))
    yield _stage("once-again", [ALIVE, exited, _named("once")], 1000, _status("Running", RUNNING, **looping))
    init = _containers("initContainers", _waiting("CrashLoopBackOff", BACKOFF), False, "3", {"terminated": EXITED})
    yield _stage("init-crash", [*NEW, _has(INIT_IMAGES, "crash")], 300,
                 _status("Pending", _waiting("PodInitializing", ""), NOT_READY, init=init, image_id=""), backoff)


def _job_stages():
    in_job = [ALIVE, _key(".status.phase", "In", "Running"), _key(".metadata.ownerReferences.[].kind", "In", "Job")]
    completed = {"terminated": EXITED | {"exitCode": 0, "reason": "Completed"}}
    failed = {"terminated": EXITED | {"exitCode": 7}}
    ended = ("False", "PodCompleted", "")
    yield _stage("complete", [*in_job, _has(COMMANDS, "fail", False)], 300, _status("Succeeded", completed, ended))
    yield _stage("job-fails", [*in_job, _has(COMMANDS, "fail")], 300, _status("Failed", failed, ended))


def _logs(file):
    """What all containers wrote, as a container runtime keeps it."""
    file.write_text("".join(f"2026-01-01T00:00:00.000000000Z stderr F {line}\n" for line in LOG))
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs", "metadata": {"name": "logs"},
            "spec": {"logs": [{"logsFile": str(file), "previousLogsFile": str(file)}]}}


def write_config(file, port):
    """The configuration of kwok, which listens on this port."""
    options = {"manageAllNodes": True, "cidr": "10.1.0.0/16", "nodeIP": "127.0.0.1", "nodePort": port,
               "serverAddress": f"127.0.0.1:{port}", "enableCRDs": [], "nodeLeaseDurationSeconds": 40,
               "enableDebuggingHandlers": True} | PARALLEL
    config = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    documents = [config, *_stages(), _logs(file.with_suffix(".log.txt"))]
    file.write_text("\n---\n".join(json.dumps(document) for document in documents))
