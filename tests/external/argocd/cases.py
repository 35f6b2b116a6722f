"""The situations. Each is what people met; the outcome is the one that a good deployer gives them."""

from . import manifests as m
from .case import Case

NO_RETRIES = {"automated": {"prune": True}, "retry": {"limit": 0}}
KUSTOMIZATION = "apps/web/kustomization.yaml"
IMAGE_MISSING = [{"image-not-found": {}}]


def beside(*others, **more):
    """Our Deployment, and other objects beside it."""
    return m.folder(m.workload(), *others, **more)


def helm(tag="v1"):
    return {"manifests": m.chart(tag), "deploy": {"files": [{"path": "apps/web/values.yaml", "image": "image"}]}}


def failing_deployment(name="other"):
    return m.workload(name=name, image="ghcr.io/acme/unready:v1", progressDeadlineSeconds=1)


# What holds on both sides.

DELIVERED = [
    Case("deployment", 0, "deployed", embedded={}),
    Case("stateful-set", 0, "deployed", manifests=m.folder(m.workload("StatefulSet")), workload=("apps/v1", "StatefulSet")),
    Case("daemon-set", 0, "deployed", manifests=m.folder(m.workload("DaemonSet")), workload=("apps/v1", "DaemonSet")),
    Case("hook", 0, "deployed", manifests=beside(m.job("migrate", annotations={
        "argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"})),
        embedded={"hooks": [{"name": "migrate", "phase": "PreSync", "seconds": 20}]}),
    Case("helm", 0, "deployed", **helm(), embedded={}),
    Case("server-side-apply", 0, "deployed",
         sync_policy={"automated": {}, "syncOptions": ["ServerSideApply=true", "ApplyOutOfSyncOnly=true"]}),
    Case("head", 0, "deployed", source={"targetRevision": "HEAD"}),
    Case("sync-by-hand", 0, "deployed", sync_policy={}, first_sync=True, deploy={"sync": True}, embedded={"automated": False}),
    Case("sync-by-hand-beside-automated", 0, "deployed", deploy={"sync": True}, embedded={}),
    Case("automation-disabled", 0, "deployed", sync_policy={"automated": {"enabled": False}}, first_sync=True,
         deploy={"sync": True}),
    Case("never-synced", 0, "deployed", sync_policy={}, deploy={"sync": True}, before=("OutOfSync", "Missing")),
    Case("two-sources", 0, "deployed", manifests=m.folder(m.workload()) | m.folder(m.config_map("base", {}), base="base"),
         sources=({"path": "apps/web"}, {"path": "base"})),
    Case("self-heal", 0, "deployed", sync_policy={"automated": {"prune": True, "selfHeal": True}}, embedded={"self-heal": True}),
    Case("rolled-back", 0, "rolled-back", rolls_back=True, embedded={}),
    Case("mended", 0, "deployed", before=("Synced", "Degraded"),
         manifests=m.folder(m.workload(progressDeadlineSeconds=1), tag="unready-1")),
]

FAILED = [
    Case("image-missing", 3, "failed", ("pull",), tag="nopull-2", restored=(KUSTOMIZATION,), embedded={"faults": IMAGE_MISSING}),
    Case("image-missing-in-a-slow-rollout", 3, "failed", ("pull",), tag="nopull-2", restored=(KUSTOMIZATION,),
         manifests=m.folder(m.workload(progressDeadlineSeconds=600))),
    Case("crash", 3, "failed", tag="crash-2", restored=(KUSTOMIZATION,), embedded={"faults": [{"crash-on-start": {}}]}),
    Case("secret-missing", 3, "failed", tag="noconfig-2", restored=(KUSTOMIZATION,)),
    Case("never-ready", 3, "failed", tag="unready-2", restored=(KUSTOMIZATION,),
         manifests=m.folder(m.workload(progressDeadlineSeconds=40)), seconds=200,
         embedded={"faults": [{"failing-health-check": {}}], "progress-deadline": 300}),
    Case("quota", 3, "failed", restored=(KUSTOMIZATION,), objects=(m.quota(1),),
         manifests=m.folder(m.workload(progressDeadlineSeconds=40)), seconds=200),
    Case("sync-fails", 3, "failed", ("field is immutable",), restored=(KUSTOMIZATION,), sync_policy=NO_RETRIES,
         manifests=beside(m.job("once"))),
    Case("helm-image-missing", 3, "failed", ("pull",), tag="nopull-2", restored=("apps/web/values.yaml",), **helm(),
         embedded={"faults": IMAGE_MISSING}),
]

REFUSED = [
    Case("no-such-application", 2, "invalid", ("Argo CD",), application_exists=False),
    Case("unknown-token", 2, "invalid", ("does not accept the token",), account="nobody"),
]


# What was so before the release is no failure of it.

def failed_run(world):
    """The last run of the CronJob failed long ago."""
    times = {"lastScheduleTime": "2026-01-02T00:00:00Z", "lastSuccessfulTime": "2026-01-01T00:00:00Z"}
    world.api.merge("batch/v1", "CronJob", world.name, "report", {"status": times}, "/status")


UNKNOWN_FIELD = m.config_map("settings", {"a": "1"}, dropped="by the API server")
BEFORE = [
    Case("cron-job-degraded-before", 0, "deployed", ("report",), manifests=beside(m.cron_job("report", "ghcr.io/acme/report:v1")),
         before=("Synced", "Degraded"), disturb=failed_run),
    Case("other-workload-degraded-before", 0, "deployed", ("other",), manifests=beside(failing_deployment()),
         before=("Synced", "Degraded"),
         embedded={"resources": [{"kind": "Deployment", "group": "apps", "name": "other", "health": "Degraded"}]}),
    Case("out-of-sync-before", 0, "deployed", manifests=beside(UNKNOWN_FIELD), before=("OutOfSync", "Healthy"),
         sync_policy={"automated": {}, "syncOptions": ["Validate=false"]},
         embedded={"resources": [{"kind": "ConfigMap", "name": "settings", "out-of-sync": True}]}),
    Case("suspended-job-before", 0, "deployed", manifests=beside(m.job("once", "ghcr.io/acme/once:v1", suspend=True)),
         before=("Synced", "Suspended"),
         embedded={"resources": [{"kind": "Job", "group": "batch", "name": "once", "health": "Suspended"}]}),
    Case("progressing-before", 0, "deployed", manifests=beside(m.ingress()), before=("Synced", "Progressing"),
         embedded={"resources": [{"kind": "Ingress", "group": "networking.k8s.io", "name": "web", "health": "Progressing"}]}),
    Case("unknown-health-before", 0, "deployed", manifests=beside(m.limit_range()), before=("Synced", "Unknown"),
         embedded={"resources": [{"kind": "LimitRange", "name": "widget", "health": "Unknown"}]}),
    Case("registry-rewritten", 0, "deployed", labels={"mirror": "true"}, objects=tuple(m.mirror("mirror")),
         embedded={"mirror": "mirror.test/hub"}),
]

# Images that no pod runs.

PROVEN_BY_MANIFEST = [
    Case("image-of-a-cron-job", 0, "deployed", manifests=m.folder(m.cron_job(), m.workload(name="other", image="ghcr.io/acme/other:v1")),
         workload=("batch/v1", "CronJob")),
    Case("cron-job-alone", 0, "deployed", manifests=m.folder(m.cron_job()), workload=("batch/v1", "CronJob"),
         embedded={"workload": "CronJob"}),
    Case("no-replicas", 0, "deployed", manifests=m.folder(m.workload(replicas=0)), embedded={"replicas": 0}),
]


# Which source counts, and what stands in the way.

def make_branch(world):
    world.github("/git/refs", {"ref": "refs/heads/release", "sha": world.head()})


def pin_first_source(world):
    """The first source stays at the commit that the world began with."""
    world.case.sources[0]["targetRevision"] = world.head()


def apply_project(manual):
    def arrange(world):
        world.api.apply(m.project(world.name), "argocd")

    def disturb(world):
        world.api.apply(m.project(world.name, syncWindows=[m.deny_window(manual)]), "argocd")

    return {"arrange": arrange, "disturb": disturb, "own_project": True}


def push_child(world):
    """The application that deploys our workload is itself a manifest."""
    child = world.application_object()
    child["metadata"]["name"] += "-child"
    child["spec"]["source"]["path"] = "apps/web"
    world.push("apps/parent/child.yaml", m.text(child))


SOURCES = [
    Case("application-of-applications", 0, "deployed", arrange=push_child, source={"path": "apps/parent"}, child="-child"),
    Case("two-sources-the-first-pinned", 0, "deployed", arrange=pin_first_source,
         manifests=m.folder(m.workload()) | m.folder(m.config_map("base", {}), base="base"),
         sources=({"path": "base"}, {"path": "apps/web"})),
    Case("another-branch", 2, "invalid", ("release",), arrange=make_branch, source={"targetRevision": "release"}),
    Case("image-override", 2, "invalid", ("kustomize",), source={"kustomize": {"images": [f"{m.IMAGE}:v1"]}},
         embedded={"image-overrides": [f"{m.IMAGE}:v1"]}),
]

RIGHTS = [
    Case("sync-window", 2, "invalid", ("window",), **apply_project(manual=False), embedded={"windows": [{}]}),
    Case("no-right-to-sync", 2, "invalid", ("sync",), account="reader", sync_policy={}, first_sync=True, deploy={"sync": True},
         embedded={"automated": False, "argocd": {"rights": ["get"]}}),
]


# What happens after our commit.

def break_rendering(world, before):
    """Somebody's commit after ours cannot be rendered."""
    world.await_commit(before)
    world.push("apps/web/workload.yaml", "}: no YAML {\n")
    world.refresh()


def change_another_file(world, before):
    world.await_commit(before)
    world.push("README.md", "words\n")


def unrenderable(world):
    world.push("apps/web/workload.yaml", "}: no YAML {\n")
    world.refresh()


GENERATOR = "configMapGenerator:\n  - name: settings\n    literals: [a={value}]\n"


def change_generated_map(world):
    """A change of a generated map waits for the next sync, which is ours."""
    text = world.read(KUSTOMIZATION)
    world.push(KUSTOMIZATION, text.replace("a=1", "a=2"))


AFTERWARDS = [
    Case("another-commit-after-ours", 0, "deployed", during=change_another_file),
    Case("unrenderable-before", 2, "invalid", ("render",), disturb=unrenderable, before=("Unknown", "Healthy")),
    Case("unrenderable-by-another-commit", 3, "failed", ("ComparisonError",), during=break_rendering),
    Case("prune-off", 0, "deployed", sync_policy={"automated": {}}, disturb=change_generated_map,
         manifests=beside(rest=GENERATOR.format(value=1))),
    Case("retries", 3, "failed", ("field is immutable",), manifests=beside(m.job("once")), restored=(KUSTOMIZATION,),
         sync_policy={"automated": {"prune": True}, "retry": {"limit": 5, "backoff": {"duration": "30s"}}}, seconds=100),
    Case("empty-tag", 3, "failed", ("pull",), tag="nopull-2", restored=("apps/web/values.yaml",), **helm(tag="")),
    Case("stateful-set-image-missing", 4, "stranded", ("web-0",), tag="nopull-2", manifests=m.folder(m.workload("StatefulSet")),
         workload=("apps/v1", "StatefulSet"), restored=(KUSTOMIZATION,), seconds=60),
]

CASES = [*DELIVERED, *FAILED, *REFUSED, *BEFORE, *PROVEN_BY_MANIFEST, *SOURCES, *RIGHTS, *AFTERWARDS]
