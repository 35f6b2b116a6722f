"""The situations. Each is what people met; the outcome is the one that a good deployer gives them. Numbers in comments are rows of
the table of verdicts."""

import base64
import json
import signal
import time

from . import gateway
from .access import certificate, signed_token
from .answers import ask
from .case import Case
from .objects import policy, quota
from .plane import Refused, wait_until
from .world import TOKEN, reference

RECREATE = {"strategy": {"type": "Recreate"}, "progressDeadlineSeconds": 5}
IN_PLACE = {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}
STATEFUL, DAEMONS = {"web": "StatefulSet"}, {"web": "DaemonSet"}
SETUP = [{"name": "setup", "image": reference("v1")}]
SETUP_EMBEDDED = [{"name": "app", "image": reference("v1")}, {"name": "setup", "image": reference("v1"), "init": True}]
ONE_PER_NODE = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]}}}
COMMAND = {"before": {"run": ["./migrate", "up"]}}
FAILING_COMMAND = {"before": {"run": ["./migrate", "fail"]}}


def when_rolling(change, image="slow-2"):
    """Done once the workload has the new image."""

    def during(world):
        world.await_image(image)
        change(world)

    return during


def scale(world):
    world.change({"spec": {"replicas": 4}}, "/scale")


def evict(world):
    """The node ends a pod of the new version."""
    new = wait_until(lambda: [pod for pod in world.pods() if "slow-2" in pod["spec"]["containers"][0]["image"]], 30, "a new pod")
    status = {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}}
    world.api.merge("v1", "Pod", world.namespace, new[0]["metadata"]["name"], status, "/status")


def set_variable(world):
    """Somebody sets another variable, which our image does not mind."""
    world.patch([{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "LEVEL", "value": "debug"}]}])


def make_room(world):
    time.sleep(4)
    world.make([quota(4)])


def no_more_pods(world):
    """Once pods of the new version crash, a quota lets no more of any version come."""
    world.await_image("crash-2")
    wait_until(lambda: any("crash-2" in pod["spec"]["containers"][0]["image"] for pod in world.pods()), 30, "a new pod")
    world.make([quota(0)])


def set_image(world):
    world.patch([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": reference("v9")}])


def delete(world):
    world.api.delete("apps/v1", world.case.kind, world.namespace, "web")


def pause(world):
    world.change({"spec": {"paused": True}})


def wait_for_policy(world):
    """A policy counts once the API server has noticed it."""
    wait_until(lambda: is_denied(world), 30, "the policy is in force")


def is_denied(world):
    """Whether an object with a denied image is refused."""
    container = [{"name": "app", "image": reference("denied-2")}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}, "spec": {"containers": container}}
    template = {"metadata": {"labels": {"app": "try"}}, "spec": {"containers": container}}
    work = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "try"},
            "spec": {"selector": {"matchLabels": {"app": "try"}}, "template": template}}
    for path, item in (("/api/v1", pod), ("/apis/apps/v1", work)):
        kind = item["kind"].lower()
        try:
            world.api.send("POST", f"{path}/namespaces/{world.namespace}/{kind}s?dryRun=All", item)
        except Refused as error:
            return "not signed" in str(error)
    return False


# What is delivered.

DELIVERED = [
    Case("deployment", 0, "deployed", ("2 of 2 pods",), embedded={}),
    Case("stateful-set", 0, "deployed", workloads=STATEFUL, embedded={}),
    Case("daemon-set", 0, "deployed", workloads=DAEMONS, embedded={}),
    Case("init-container", 0, "deployed", pod={"initContainers": SETUP}, deploy={"container": "setup"},
         embedded={"containers": SETUP_EMBEDDED}),
    Case("several-workloads", 0, "deployed", workloads={"web": "Deployment", "db": "StatefulSet", "agent": "DaemonSet"}, embedded={}),
    Case("unchanged", 0, "unchanged", image="v1", embedded={}),
    Case("variable", 0, "deployed", deploy={"environment": {"COLOR": "blue"}}, embedded={}),
    Case("set-env", 0, "deployed", operation="set-env", inputs={"set": "web.COLOR=blue"}, serves="v1", embedded={}),
    Case("verify", 0, "verified", operation="verify", serves="v1", embedded={}),
    Case("plan", 0, "planned", operation="plan", serves="v1", embedded={}),
    Case("command-before", 0, "deployed", ("./migrate up",), service=COMMAND, embedded={}),
    Case("recreate", 0, "deployed", ("nothing serves while",), spec=RECREATE, embedded={"strategy": "Recreate"}),
    Case("min-ready-seconds", 0, "deployed", spec={"minReadySeconds": 14}),
    # 13: one exit is no failure.
    Case("crash-once", 0, "deployed", image="once-2"),
    # 4, 8, 17, 21.
    Case("variable-set-by-somebody-during-the-rollout", 0, "deployed", image="slow-2", during=when_rolling(set_variable)),
    Case("quota-with-room-later", 0, "deployed", spec={"progressDeadlineSeconds": 60}, later=(quota(2),),
         during=when_rolling(make_room, "v2"), embedded={"faults": [{"kubernetes-quota": {"for": 60}}]}),
    Case("eviction", 0, "deployed", image="slow-2", during=when_rolling(evict)),
    Case("scaled-during-the-rollout", 0, "deployed", ("4 of 4 pods",), image="slow-2", during=when_rolling(scale),
         embedded={"faults": [{"kubernetes-scaled": {"at": 10, "replicas": 4}}]}),
    Case("pods-that-stay", 0, "deployed", ("still terminat",), labels={"stuck": "true"}),
    # The condition is of the rollout before.
    Case("past-its-deadline", 0, "deployed", from_image="unready-1", is_well=False, spec={"progressDeadlineSeconds": 1},
         disturb=lambda world: wait_until(lambda: "ProgressDeadlineExceeded" in str(world.workload()["status"]), 30, "it is late")),
    Case("helm-release", 0, "deployed", ("helm upgrade",), metadata={"annotations": {"meta.helm.sh/release-name": "web"}},
         manager="helm", embedded={"annotations": {"meta.helm.sh/release-name": "web"}}),
    Case("kubectl-apply", 0, "deployed", ("kubectl apply",), manager="kubectl",
         metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
         embedded={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}),
]


# What fails and is rolled back.

FAILED = [
    # 10 to 13.
    Case("image-missing", 3, "failed", ("cannot be pulled",), image="nopull-2", embedded={"faults": [{"image-not-found": {}}]}),
    Case("image-missing-stateful-set", 3, "failed", ("cannot be pulled",), image="nopull-2", workloads=STATEFUL,
         embedded={"faults": [{"image-not-found": {}}]}),
    Case("image-missing-daemon-set", 3, "failed", ("cannot be pulled",), image="nopull-2", workloads=DAEMONS,
         embedded={"faults": [{"image-not-found": {}}]}),
    Case("secret-missing", 3, "failed", ("cannot be set up", "not found"), image="noconfig-2", embedded={"faults": [{"secret-missing": {}}]}),
    Case("crash", 3, "failed", ("exits with code 1", "panic: DATABASE_URL is not set"), image="crash-2",
         embedded={"faults": [{"crash-on-start": {"exit-code": 1, "log": ["starting", "panic: DATABASE_URL is not set"]}}]}),
    Case("crash-stateful-set", 3, "failed", ("exits with code 1",), image="crash-2", workloads=STATEFUL,
         embedded={"faults": [{"crash-on-start": {}}]}),
    Case("crash-daemon-set", 3, "failed", ("exits with code 1",), image="crash-2", workloads=DAEMONS,
         embedded={"faults": [{"crash-on-start": {}}]}),
    Case("crash-init-container", 3, "failed", ("container `setup` exits with code 1",), image="crash-2",
         pod={"initContainers": SETUP}, deploy={"container": "setup"}),
    # 9: nobody makes a pod.
    Case("pods-denied", 3, "failed", ("not signed",), image="denied-2", disturb=wait_for_policy,
         later=tuple(policy("pods-denied", "", "pods", "object.spec.containers"))),
    # 14, 15, 16, 18.
    Case("crash-beside-ready-pods", 3, "failed", ("exits with code 1",), image="patchy-2", replicas=3, pod=ONE_PER_NODE,
         spec=IN_PLACE | {"progressDeadlineSeconds": 8}),
    Case("unschedulable", 3, "failed", ("not scheduled",), replicas=3, pod=ONE_PER_NODE, spec={"progressDeadlineSeconds": 8},
         embedded={"faults": [{"no-capacity": {}}], "progress-deadline": 60}),
    Case("never-ready", 3, "failed", ("runs and is not ready",), image="unready-2", spec={"progressDeadlineSeconds": 8},
         embedded={"faults": [{"failing-health-check": {}}], "progress-deadline": 60}),
    Case("never-ready-with-all-copies-unavailable-allowed", 3, "failed", ("runs and is not ready",), image="unready-2", replicas=1,
         spec=IN_PLACE | {"progressDeadlineSeconds": 8}),
    Case("never-ready-stateful-set", 3, "failed", ("runs and is not ready",), image="unready-2", workloads=STATEFUL,
         deploy={"progress-deadline-seconds": 10}, embedded={"faults": [{"failing-health-check": {}}]}),
    Case("quota", 3, "failed", ("exceeded quota",), spec={"progressDeadlineSeconds": 8}, later=(quota(2),),
         embedded={"faults": [{"kubernetes-quota": {}}], "progress-deadline": 60}),
    # 18: the condition of the failed rollout is still there when the former template is back.
    Case("stale-condition", 3, "failed", image="unready-2", spec=RECREATE),
    # 19: no condition ever says that the former template has no pods.
    Case("rollback-without-room", 4, "stranded", ("exceeded quota",), image="crash-2", spec=RECREATE, serves="v1",
         deploy={"progress-deadline-seconds": 10}, during=no_more_pods,
         embedded={"strategy": "Recreate", "progress-deadline": 60, "faults": [{"crash-on-start": {}}, {"kubernetes-quota": {"old": True}}]}),
    Case("command-before-fails", 3, "failed", ("exit code 7", "panic: DATABASE_URL is not set"), service=FAILING_COMMAND,
         embedded={"scenario": {"one-off": [{"exit": 7, "logs": ["panic: DATABASE_URL is not set"]}]}}),
]


# What somebody else ends.

ENDED = [
    Case("another-image", 5, "superseded", ("`kubectl-edit`",), image="slow-2", serves="v9", during=when_rolling(set_image),
         embedded={"faults": [{"kubernetes-image-set": {"at": 10, "image": reference("v9")}}]}),
    Case("paused-during-the-rollout", 4, "stranded", ("paused", "kubectl rollout resume"), image="slow-2", during=when_rolling(pause),
         embedded={"faults": [{"kubernetes-paused": {"at": 10}}]}),
    Case("deleted-during-the-rollout", 4, "stranded", ("deleted",), image="slow-2", serves=None, during=when_rolling(delete)),
]


# What is refused before the first change.

def no_access(world):
    world.cluster |= {"server": "https://127.0.0.1:1"}


def private_address(world):
    world.cluster |= {"server": "https://10.99.0.1"}


def other_authority(world):
    world.cluster |= {"ca": certificate()[1]}


def wrong_token(world):
    world.variables[TOKEN] = world.variables[TOKEN][:-4] + "AAAA"


def old_token(world):
    """Only the time makes the difference: the same token with an end that is to come is accepted."""
    token, path = world.variables[TOKEN], "/apis/apps/v1"
    lasting = signed_token(world.rig.folder, token, time.time() + 600)
    assert ask(world, path, lasting)[0] == 200
    world.variables[TOKEN] = signed_token(world.rig.folder, token, time.time() - 60)


def kubeconfig(user):
    """The access as a kubeconfig; the token goes where `user` says."""

    def change(world):
        authority = base64.b64encode(world.cluster["ca"].encode()).decode()
        cluster = {"server": world.cluster["server"], "certificate-authority-data": authority}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "it", "contexts": [
            {"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": cluster}], "users": [{"name": "it", "user": user(world.variables[TOKEN])}]}
        world.cluster, world.variables = {"kubeconfig": "KUBECONFIG_TEXT"}, {"KUBECONFIG_TEXT": json.dumps(config)}

    return change


def without(verb, resource):
    """The documented rules less one right."""

    def change(rules):
        kept = []
        for rule in rules:
            if resource in rule["resources"]:
                rule = rule | {"verbs": [one for one in rule["verbs"] if one != verb]}
            kept += [rule] if rule["verbs"] else []
        return kept

    return change


def owned(world):
    """An operator owns it."""
    owner = world.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "operator"}}, world.namespace)
    reference_to = {"apiVersion": "v1", "kind": "ConfigMap", "name": "operator", "uid": owner["metadata"]["uid"], "controller": True}
    world.change({"metadata": {"ownerReferences": [reference_to]}})


ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}
TRACKED = {"annotations": {"argocd.argoproj.io/tracking-id": "web:apps/Deployment:shop/web"}}
OF_FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "web"}}
REFUSED = [
    Case("on-delete", 2, "invalid", ("OnDelete",), workloads=STATEFUL, spec=ON_DELETE, embedded={"strategy": "OnDelete"}),
    Case("partition", 2, "invalid", ("partition 1",), workloads=STATEFUL, spec=PARTITION, embedded={"partition": 1}),
    Case("no-copies", 2, "invalid", ("0 copies",), replicas=0, embedded={}),
    Case("paused", 2, "invalid", ("is paused",), disturb=pause, embedded={"paused": True}),
    Case("no-such-workload", 2, "invalid", ("There is no deployment/web",), disturb=delete, serves=None,
         embedded={"name": "other"}),
    Case("no-such-container", 2, "invalid", ("`app`",), deploy={"container": "ap"}, serves="", embedded={}),
    Case("argo-cd", 2, "invalid", ("Argo CD",), manager="argocd-controller"),
    Case("argo-cd-tracked", 2, "invalid", ("Argo CD",), metadata=TRACKED, embedded=TRACKED),
    Case("flux", 2, "invalid", ("Flux",), metadata=OF_FLUX, embedded=OF_FLUX),
    Case("operator", 2, "invalid", ("ConfigMap `operator`",), disturb=owned),
    Case("template-denied", 2, "invalid", ("not signed",), image="denied-2", disturb=wait_for_policy,
         later=tuple(policy("template-denied", "apps", "deployments", "object.spec.template.spec.containers"))),
    Case("name-of-a-variable-that-is-none", 2, "invalid", deploy={"environment": {"A=B": "x"}}),
]

ACCESS = [
    Case("kubeconfig", 0, "deployed", access=kubeconfig(lambda token: {"token": token})),
    Case("kubeconfig-with-a-program", 2, "invalid", ("exec",), access=kubeconfig(lambda _: {"exec": {"command": "aws"}})),
    Case("nobody-listens", 2, "invalid", ("There is no answer of",), access=no_access),
    Case("private-address", 2, "invalid", ("There is no answer of", "private endpoint"), access=private_address),
    Case("another-authority", 2, "invalid", ("certificate",), access=other_authority),
    Case("wrong-token", 2, "invalid", ("does not accept the token",), access=wrong_token,
         embedded={"cluster": {"token": "another"}}),
    Case("expired-token", 2, "invalid", ("does not accept the token",), access=old_token),
    Case("no-right-to-get", 2, "invalid", ("deployments",), rules=without("get", "deployments")),
    Case("no-right-to-patch", 2, "invalid", ("may not patch deployments `web`",), rules=without("patch", "deployments"),
         embedded={"cluster": {"denied": ["patch deployments"]}}),
    Case("no-right-to-list-replica-sets", 2, "invalid", ("replicasets",), rules=without("list", "replicasets")),
    Case("no-right-to-list-pods", 2, "invalid", ("pods",), rules=without("list", "pods")),
    Case("no-right-to-make-jobs", 2, "invalid", ("may not create jobs",), service=COMMAND, rules=without("create", "jobs"),
         embedded={"cluster": {"denied": ["create jobs"]}}),
    Case("no-right-to-read-logs", 3, "failed", ("exits with code 1", "may not get pods/log"), image="crash-2",
         rules=without("get", "pods/log"), embedded={"cluster": {"denied": ["get pods/log"]}, "faults": [{"crash-on-start": {}}]}),
    Case("no-right-to-delete-stuck-pods", 4, "stranded", ("may not delete pods", "web-1"), image="crash-2", workloads=STATEFUL, serves="v1",
         rules=without("delete", "pods"), deploy={"progress-deadline-seconds": 10},
         embedded={"cluster": {"denied": ["delete pods"]}, "faults": [{"crash-on-start": {}}]}),
]


# What is lost, and what comes after a run.

def then_roll_back(world):
    """Somebody rolls the release back."""
    done = world.run(world.case.image)
    return world.run(operation="rollback") if done.outcome == "deployed" else done


def kill_while_rolling(world):
    """The runner is lost once the workload has the new image."""
    job = world.job(world.case.image).start()
    try:
        world.await_image(world.case.image)
        time.sleep(1)
    finally:
        job.kill()
    return job


def killed_and_run_again(world):
    kill_while_rolling(world)
    return world.run(world.case.image)


def killed_before_its_post_step(world):
    return kill_while_rolling(world).start(post=True).wait(120)


def cancelled(world):
    job = world.job(world.case.image).start()
    world.await_image(world.case.image)
    job.child.send_signal(signal.SIGINT)
    return job.wait(120)


AFTERWARDS = [
    Case("rolled-back", 0, "rolled-back", play=then_roll_back, serves="v1", embedded={}),
    Case("rolled-back-stateful-set", 0, "rolled-back", play=then_roll_back, serves="v1", workloads=STATEFUL, embedded={}),
    Case("rolled-back-daemon-set", 0, "rolled-back", play=then_roll_back, serves="v1", workloads=DAEMONS, embedded={}),
    Case("killed-and-run-again", 0, "deployed", image="slow-2", play=killed_and_run_again, attempts=2,
         embedded={"faults": [{"slow-start": {"seconds": 60}}]}),
    Case("killed-with-a-broken-version", 3, "failed", ("exits with code 1",), image="crash-2", play=killed_and_run_again, attempts=2,
         embedded={"faults": [{"crash-on-start": {}}]}),
    Case("killed-before-its-post-step", 0, None, image="crash-2", play=killed_before_its_post_step, serves="v1",
         embedded={"faults": [{"crash-on-start": {}}]}),
    Case("cancelled", 130, "cancelled", image="slow-2", play=cancelled, serves="v1",
         embedded={"faults": [{"slow-start": {"seconds": 60}}]}),
]

LOST = [
    Case("answer-to-the-change-lost", 0, "deployed", access=gateway.through(gateway.lose_first_change)),
    Case("server-away-for-20-seconds", 0, "deployed", access=gateway.through(lambda: gateway.after_change(gateway.CUT, 20))),
    Case("server-down-for-20-seconds", 0, "deployed", access=gateway.through(lambda: gateway.after_change(gateway.DOWN, 20))),
    Case("server-busy-for-20-seconds", 0, "deployed", access=gateway.through(lambda: gateway.after_change(gateway.BUSY, 20))),
    Case("server-silent", 0, "deployed", access=gateway.through(lambda: gateway.after_change(gateway.HANG, 5))),
    Case("server-away-while-the-version-crashes", 3, "failed", ("exits with code 1",), image="crash-2",
         access=gateway.through(lambda: gateway.after_change(gateway.CUT, 20))),
]

CASES = [*DELIVERED, *FAILED, *ENDED, *REFUSED, *ACCESS, *AFTERWARDS, *LOST]
