"""One situation: a repository, an application that follows it, and runs of Roadstead; on the real Argo CD or on the embedded."""

import hashlib
import json
import threading
import urllib.parse
import urllib.request

import action
import machine
from kubernetes.plane import Refused, wait_until

from . import server

MANIFESTS = "acme/manifests"
IMAGE = "ghcr.io/acme/web"
APPLICATION = ("argoproj.io/v1alpha1", "Application", server.NAMESPACE)


def reference(tag):
    """An image by tag and digest; each tag has a digest of its own."""
    return f"{IMAGE}:{tag}@sha256:{hashlib.sha256(tag.encode()).hexdigest()}"


class World:
    """What both have: a repository at the embedded GitHub, and Roadstead."""

    def __init__(self, binary, folder, case):
        self.binary, self.folder, self.case, self.runs = binary, folder, case, 0
        folder.mkdir(parents=True)
        self.processes = machine.Processes()
        self.name, self.application, self.server, self.token = case.name, case.name, "", ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.processes.__exit__()

    def start_cloud(self, scenario, speed):
        repository = {"name": MANIFESTS, "files": self.case.files()}
        scenario = {"github": {"repositories": [repository, action.repository()]}} | scenario
        self.cloud = machine.Cloud(self.processes, self.binary, self.folder, scenario, speed, 1)

    def github(self, path, body=None, method=None):
        request = urllib.request.Request(
            f"{self.cloud.url}/repos/{MANIFESTS}{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": "Bearer t", "content-type": "application/json"})
        with machine.open_url(request, 20) as answer:
            return json.load(answer)

    def head(self, branch="main"):
        return self.github(f"/git/ref/heads/{branch}")["object"]["sha"]

    def read(self, path):
        request = urllib.request.Request(f"{self.cloud.url}/repos/{MANIFESTS}/contents/{path}",
                                         headers={"accept": "application/vnd.github.raw+json"})
        with machine.open_url(request, 20) as answer:
            return answer.read().decode()

    def push(self, path, text, branch="main"):
        """Somebody else's commit."""
        head = self.head(branch)
        base = self.github(f"/git/commits/{head}")["tree"]["sha"]
        entry = {"path": path, "mode": "100644", "type": "blob", "content": text}
        tree = self.github("/git/trees", {"base_tree": base, "tree": [entry]})["sha"]
        made = self.github("/git/commits", {"message": "Another change", "tree": tree, "parents": [head]})["sha"]
        self.github(f"/git/refs/heads/{branch}", {"sha": made}, "PATCH")
        return made

    def await_commit(self, before, seconds=60):
        return wait_until(lambda: self.head() != before and self.head(), seconds, "Roadstead commits")

    def deploy_file(self):
        argocd = {"repository": MANIFESTS, "files": [{"path": "apps/web/kustomization.yaml"}], "application": self.application,
                  "server": self.server} | self.case.deploy
        return {"environments": {"production": {"branches": ["main"]}}, "services": {"web": {"argocd": argocd}}}

    def run(self, tag, operation="deploy", during=None):
        """One run of Roadstead, as a job of a workflow starts it."""
        self.runs += 1
        inputs = {"manifests-token": "t", "argocd-token": self.token, "operation": operation, "timeout": f"{self.case.seconds}s"}
        inputs |= {"image": f"web={reference(tag)}"} if tag else {}
        job = action.Job(self.binary, self.folder / f"run-{self.runs}", self.deploy_file(),
                         action.environment(self.cloud.url, self.runs, inputs))
        helper = threading.Thread(target=during, args=(self, self.head())) if during else None
        job.start()
        try:
            if helper:
                helper.start()
            return job.wait(self.case.seconds * 3 + 60)
        finally:
            if helper:
                helper.join(60)

    def live_images(self):
        """Images of the live workload, as Argo CD's API shows it."""
        version, kind = self.case.workload
        group, _, number = version.partition("/")
        query = urllib.parse.urlencode({"resourceName": "web", "namespace": self.namespace, "group": group, "version": number,
                                        "kind": kind})
        status, answer = server.ask(self.server, f"/api/v1/applications/{self.application}{self.case.child}/resource?{query}",
                                    self.token)
        assert status == 200, answer
        spec = json.loads(answer["manifest"])["spec"]
        spec = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
        return [container["image"] for container in spec["containers"]]


class RealWorld(World):
    """A namespace and an application of their own on the real Argo CD."""

    kind = "real"

    def __init__(self, rig, binary, folder, case):
        super().__init__(binary, folder, case)
        self.rig, self.api = rig, rig.api
        self.server, self.token, self.namespace = server.URL, rig.tokens[case.account], case.name

    def prepare(self):
        self.start_cloud({}, 1)
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": self.case.labels}})
        for item in self.case.objects:
            self.api.apply(item, self.name)
        if self.case.arrange:
            self.case.arrange(self)
        if self.case.application_exists:
            self.api.apply(self.application_object())
        if self.case.first_sync:
            self.api.merge(*APPLICATION, self.application, {"operation": {"sync": {"syncStrategy": {"hook": {}}}}})
        if self.case.disturb:
            self.await_state(("Synced", "Healthy"))
            self.case.disturb(self)
        if self.case.application_exists:
            self.await_state(self.case.before)

    def await_state(self, wanted, seconds=240):
        wait_until(lambda: self.state() == wanted, seconds, f"{self.name} is {wanted}")

    def state(self):
        status = self.api.get(*APPLICATION, self.application)["status"]
        return status["sync"]["status"], status["health"]["status"]

    def application_object(self):
        source = {"repoURL": f"{self.cloud.url}/{MANIFESTS}.git", "targetRevision": "main", "path": "apps/web"}
        source |= self.case.source
        spec = {
            "project": self.name if self.case.own_project else "default",
            "destination": {"server": "https://kubernetes.default.svc", "namespace": self.name},
            "syncPolicy": self.case.sync_policy,
        }
        many = [source | more for more in self.case.sources]
        spec |= {"sources": many} if many else {"source": source}
        metadata = {"name": self.application, "namespace": server.NAMESPACE}
        return {"apiVersion": APPLICATION[0], "kind": "Application", "metadata": metadata, "spec": spec}

    def refresh(self):
        return server.ask(server.URL, f"/api/v1/applications/{self.application}?refresh=normal", self.rig.tokens["deployer"])

    def __exit__(self, *_):
        super().__exit__()
        applications = {self.application, self.application + self.case.child}
        for arguments in [*((*APPLICATION, name) for name in sorted(applications)), ("v1", "Namespace", None, self.name)]:
            try:
                self.api.delete(*arguments)
            except Refused:
                pass  # it was never made


class EmbeddedWorld(World):
    """The same application in the embedded Argo CD, whose time passes faster."""

    kind = "embedded"
    SPEED = 30

    def prepare(self):
        # Its workload has the name of the application.
        self.application = "web"
        application = {"name": self.application, "sources": [{"repository": MANIFESTS, "branch": "main", "files": [
            self.case.deploy.get("files", [{"path": "apps/web/kustomization.yaml"}])[0]["path"]]}]}
        settings = dict(self.case.embedded)
        faults = settings.pop("faults", [])
        argocd = settings.pop("argocd", {})
        self.start_cloud({"argocd": {"applications": [application | settings]} | argocd, "faults": faults}, self.SPEED)
        self.server, self.token, self.namespace = self.cloud.url, "t0ken", "default"
        if self.case.disturb:
            self.case.disturb(self)

