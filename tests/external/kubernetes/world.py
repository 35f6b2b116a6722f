"""One situation: workloads in a namespace of their own, and runs of Roadstead; on the real control plane or on the embedded."""

import concurrent.futures
import hashlib
import json
import urllib.error
import urllib.request

import action
import machine

from . import access, plane
from .plane import Refused, resource_path, wait_until

REPOSITORY = "ghcr.io/acme"
TOKEN = "CLUSTER_TOKEN"
APPS = "apps/v1"


def reference(name):
    """An image by digest. Its name says what becomes of its pods, because Roadstead deploys no tags."""
    return f"{REPOSITORY}/{name}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def name_of(image):
    return image.split("@")[0].rsplit("/", 1)[1]


def workload_object(case, name, kind):
    """The manifest of a workload of a case."""
    labels = {"app": name}
    containers = [{"name": "app", "image": reference(case.from_image)}]
    template = {"metadata": {"labels": labels | case.labels}, "spec": {"containers": containers} | case.pod}
    spec = {"selector": {"matchLabels": labels}, "template": template} | case.spec
    if kind != "DaemonSet":
        spec = {"replicas": case.replicas} | spec
    if kind == "StatefulSet":
        spec = {"serviceName": name} | spec
    return {"apiVersion": APPS, "kind": kind, "metadata": {"name": name} | case.metadata, "spec": spec}


class World:
    """What both have: a GitHub, a deploy file, and runs of Roadstead."""

    def __init__(self, binary, folder, case):
        self.binary, self.folder, self.case, self.runs = binary, folder, case, 0
        folder.mkdir(parents=True)
        self.processes = machine.Processes()
        # Variables of the runs, and what ends with the case.
        self.variables, self.closers = {}, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.processes.__exit__()
        for close in self.closers:
            close()

    def start_cloud(self, scenario, speed, port=None):
        scenario = {"github": {"repositories": [action.repository(self.case.attempts)]}} | scenario
        self.cloud = machine.Cloud(self.processes, self.binary, self.folder, scenario, speed, 1, port=port)

    def deploy_file(self):
        def service(name, kind):
            block = {"cluster": self.cluster, "namespace": self.namespace, "workload": f"{kind.lower()}/{name}", "container": "app"}
            return {"repository": f"{REPOSITORY}/web", "kubernetes": block | self.case.deploy} | self.case.service

        services = {name: service(name, kind) for name, kind in self.case.workloads.items()}
        return {"environments": {"production": {"branches": ["main"]}}, "services": services}

    def job(self, image=None, **inputs):
        """The next run, which is not started yet."""
        self.runs += 1
        inputs = {"timeout": f"{self.case.seconds}s", "operation": self.case.operation} | inputs
        if image:
            inputs["image"] = "\n".join(f"{name}={reference(image)}" for name in self.case.workloads)
        environment = action.environment(self.cloud.url, self.runs, inputs) | self.variables
        if self.case.attempts > 1:
            environment |= {"GITHUB_RUN_ID": str(action.RUNS[0]), "GITHUB_RUN_ATTEMPT": str(self.runs)}
        return action.Job(self.binary, self.folder / f"run-{self.runs}", self.deploy_file(), environment)

    def run(self, image=None, during=None, **inputs):
        """One run, and what is done while it runs; what that raises is raised here."""
        job = self.job(image, **inputs).start()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = [pool.submit(during, self)] if during else []
            outcome = job.wait(self.case.seconds + 60)
            for one in done:
                one.result()
        return outcome

    def play(self):
        """The case: what Roadstead did."""
        if self.case.play:
            return self.case.play(self)
        with_image = self.case.operation in ("deploy", "plan")
        # In the embedded cluster a fault of the scenario does it.
        during = self.case.during if self.side == "real" else None
        return self.run(self.case.image if with_image else None, during, **self.case.inputs)

    def template(self, name="web"):
        """The template of a workload, word for word."""
        return self.workload(name)["spec"]["template"]

    def images(self, name="web"):
        """The names of the images of a workload's containers, or None if it is not there."""
        try:
            spec = self.template(name)["spec"]
        except (Refused, urllib.error.HTTPError):
            return None
        return {one["name"]: name_of(one["image"]) for one in spec["containers"] + spec.get("initContainers", [])}

    def await_image(self, image, seconds=60, name="web"):
        container = self.case.deploy.get("container", "app")
        wait_until(lambda: (self.images(name) or {}).get(container) == image, seconds, f"{name} gets {image}")


class RealWorld(World):
    """A namespace of their own on the real control plane, and an account with the documented rights."""

    side = "real"

    def __init__(self, rig, binary, folder, case):
        super().__init__(binary, folder, case)
        self.rig, self.api, self.namespace = rig, rig.api, case.name

    def prepare(self):
        case = self.case
        self.start_cloud({}, 1)
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        granted = access.rules(case.workloads, "before" in case.service)
        token = access.grant(self.api, self.namespace, case.rules(granted) if case.rules else granted)
        self.cluster = {"server": f"https://127.0.0.1:{plane.API}", "ca": self.api.authority(), "token": TOKEN}
        self.variables = {TOKEN: token}
        if case.access:
            case.access(self)
        self.make(case.objects)
        for name, kind in case.workloads.items():
            self.api.apply(workload_object(case, name, kind), self.namespace, case.manager)
        if case.is_well:
            for name in case.workloads:
                wait_until(lambda name=name: self.is_well(name), 60, f"{self.namespace}/{name} is well")
        self.make(case.later)
        if case.disturb:
            case.disturb(self)

    def make(self, objects):
        for item in objects:
            self.api.apply(item, self.namespace)

    def workload(self, name="web"):
        return self.api.get(APPS, self.case.workloads[name], self.namespace, name)

    def change(self, change, below="", name="web"):
        """Somebody else's merge patch of a workload."""
        return self.api.merge(APPS, self.case.workloads[name], self.namespace, name, change, below)

    def patch(self, operations, name="web"):
        """Somebody else's JSON patch of a workload."""
        path = resource_path(APPS, self.case.workloads[name], name, self.namespace)
        return self.api.send("PATCH", f"{path}?fieldManager=kubectl-edit", operations, "application/json-patch+json")

    def pods(self, name="web"):
        return self.api.send("GET", f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3D{name}")["items"]

    def is_well(self, name="web"):
        """Whether as many pods as there should be are ready, and no other is left."""
        work = self.workload(name)
        status = work["status"]
        wanted = work["spec"].get("replicas", status.get("desiredNumberScheduled"))
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        return wanted is not None and status.get("observedGeneration") == work["metadata"]["generation"] and ready == wanted and (
            len([pod for pod in self.pods(name) if "deletionTimestamp" not in pod["metadata"]]) == wanted)


class EmbeddedWorld(World):
    """The same workloads in the embedded cluster, whose time passes faster."""

    side = "embedded"
    SPEED = 20

    def prepare(self):
        case, settings = self.case, dict(self.case.embedded)
        faults, cluster, more = settings.pop("faults", []), settings.pop("cluster", {}), settings.pop("scenario", {})
        port = machine.free_port()
        self.namespace, self.url = "shop", f"http://127.0.0.1:{port}"
        workloads = [
            {"kind": kind, "namespace": self.namespace, "name": name, "replicas": case.replicas,
             "containers": [{"name": "app", "image": reference(case.from_image)}]} | settings
            for name, kind in case.workloads.items()]
        clusters = [{"server": f"127.0.0.1:{port}", "eks": False, "workloads": workloads, "token": "t0ken"} | cluster]
        self.token = clusters[0]["token"]
        self.start_cloud({"kubernetes": {"clusters": clusters}, "faults": faults} | more, self.SPEED, port)
        self.cluster, self.variables = {"server": self.url, "token": TOKEN}, {TOKEN: "t0ken"}

    def workload(self, name="web"):
        path = resource_path(APPS, self.case.workloads[name], name, self.namespace)
        request = urllib.request.Request(self.url + path, headers={"authorization": f"Bearer {self.token}"})
        with machine.open_url(request, 20) as answer:
            return json.load(answer)
