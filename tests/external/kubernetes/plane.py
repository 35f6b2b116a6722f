"""A Kubernetes control plane: etcd, the API server, the controllers, the scheduler, and kwok in the kubelets' place."""

import json
import pathlib
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import machine

from . import pods

API, ETCD, KWOK = 6443, 2379, 10247
NODES = 3
CONTROLLERS = [
    "deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "job-controller",
    "cronjob-controller", "endpointslice-controller", "serviceaccount-controller", "serviceaccount-token-controller",
    "resourcequota-controller", "garbage-collector-controller", "namespace-controller", "pod-garbage-collector-controller",
    "root-ca-certificate-publisher-controller",
]
CLUSTER_SCOPED = {"Namespace", "Node", "CustomResourceDefinition", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
                  "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
# Who asked what and when, without the contents: the clients of the cluster, and what becomes of pods.
AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
    {"level": "Request", "resources": [{"group": "", "resources": ["pods/status"]}]},
    {"level": "None"},
]}


class Refused(Exception):
    """The API server refused a request."""


def built():
    """The folder of the programs. Builds what is missing; the other tests run on in the meantime."""
    done = subprocess.run([str(machine.ROOT / "scripts/setup-argocd")], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


class Api:
    """The API server, with the rights of its administrator."""

    def __init__(self, folder, token):
        self.folder, self.token, self.context = folder, token, None

    def send(self, method, path, body=None, content_type="application/json"):
        return json.loads(self.ask(method, path, body, content_type))

    def ask(self, method, path, body=None, content_type="application/json"):
        """The answer as it comes."""
        if self.context is None:
            self.context = ssl.create_default_context(cadata=self.authority())
        request = urllib.request.Request(
            f"https://127.0.0.1:{API}{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.token}", "content-type": content_type})
        try:
            with machine.open_url(request, 30, self.context) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def authority(self):
        """The certificates that prove the API server, as PEM."""
        return (self.folder / "certificates/apiserver.crt").read_text()

    def apply(self, item, namespace=None, manager="tests"):
        """Server-side apply. JSON is YAML, so it is sent as it is."""
        kind = item["kind"]
        namespace = None if kind in CLUSTER_SCOPED else item["metadata"].get("namespace", namespace)
        path = resource_path(item["apiVersion"], kind, item["metadata"]["name"], namespace)
        return self.send("PATCH", f"{path}?fieldManager={manager}&force=true", item, "application/apply-patch+yaml")

    def merge(self, api_version, kind, namespace, name, change, below="", kind_of_patch="merge-patch"):
        path = resource_path(api_version, kind, name, namespace)
        return self.send("PATCH", path + below, change, f"application/{kind_of_patch}+json")

    def get(self, api_version, kind, namespace, name=""):
        return self.send("GET", resource_path(api_version, kind, name, namespace))

    def delete(self, api_version, kind, namespace, name):
        return self.send("DELETE", resource_path(api_version, kind, name, namespace))


def resource_path(api_version, kind, name, namespace=None):
    base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    inside = f"/namespaces/{namespace}" if namespace else ""
    plural = kind.lower()
    plural = plural[:-1] + "ies" if plural.endswith("y") else plural + ("es" if plural.endswith("s") else "s")
    return f"{base}{inside}/{plural}/{name}".rstrip("/")


def wait_until(done, seconds, what):
    """Asks until it holds. What it raises while it does not is told at the end of the time."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            found = done()
            if found:
                return found
            last = found
        except (OSError, Refused, KeyError, FileNotFoundError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s ({last!r})")


def _write_kubeconfig(folder, token):
    cluster = {"server": f"https://127.0.0.1:{API}", "certificate-authority": str(folder / "certificates/apiserver.crt")}
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}], "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    (folder / "admin.conf").write_text(json.dumps(config))


def _write_account_key(folder):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (folder / "accounts.key").write_bytes(pem)


def start(processes, program, folder: pathlib.Path):
    """Starts all parts below a folder, and gives the API when three nodes are ready. Their certificate is made by the API
    server itself."""
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    _write_kubeconfig(folder, token)
    _write_account_key(folder)
    pods.write_config(folder / "kwok.yaml", KWOK)
    (folder / "audit.json").write_text(json.dumps(AUDIT))
    processes.start("etcd", [
        program, "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync", "--log-level", "error",
        "--listen-client-urls", f"http://127.0.0.1:{ETCD}", "--advertise-client-urls", f"http://127.0.0.1:{ETCD}",
        "--listen-peer-urls", f"http://127.0.0.1:{ETCD + 1}",
    ], folder / "etcd.log", ETCD)
    processes.start("API server", [
        program, "apiserver", "--etcd-servers", f"http://127.0.0.1:{ETCD}", "--bind-address", "127.0.0.1",
        "--advertise-address", "127.0.0.1", "--secure-port", API, "--cert-dir", folder / "certificates",
        "--token-auth-file", folder / "tokens.csv", "--authorization-mode", "RBAC",
        "--service-account-key-file", folder / "accounts.key", "--service-account-signing-key-file", folder / "accounts.key",
        "--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.0.0.0/24",
        "--endpoint-reconciler-type", "none", "--enable-priority-and-fairness=false",
        "--audit-policy-file", folder / "audit.json", "--audit-log-path", folder / "audit.log", "--audit-log-mode", "blocking",
        # Without a cloud's controller nobody would take the taint away from a new node.
        "--disable-admission-plugins", "TaintNodesByCondition",
    ], folder / "apiserver.log", API)
    api = Api(folder, token)
    # The controllers give up if it is not healthy within ten seconds of their start.
    wait_until(lambda: api.ask("GET", "/healthz") == b"ok", 120, "the API server is healthy")
    wait_until(lambda: api.send("GET", "/api/v1/namespaces/default"), 60, "the API server is ready")
    config = ["--kubeconfig", folder / "admin.conf"]
    shared = [*config, "--leader-elect=false", "--bind-address", "127.0.0.1", "--secure-port", "0"]
    processes.spawn([
        program, "manager", *shared, "--service-account-private-key-file", folder / "accounts.key",
        "--root-ca-file", folder / "certificates/apiserver.crt", "--use-service-account-credentials=false",
        "--controllers", ",".join(CONTROLLERS),
    ], folder / "controllers.log")
    processes.spawn([program, "scheduler", *shared], folder / "scheduler.log")
    processes.start("kwok", [
        program, "kwok", *config, "--config", folder / "kwok.yaml", "--server-address", f"127.0.0.1:{KWOK}",
    ], folder / "kwok.log", KWOK)
    for number in range(NODES):
        api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}", "labels": {
            "kubernetes.io/hostname": f"node-{number}"}}})
    wait_until(lambda: len(_ready_nodes(api)) == NODES, 60, "the nodes are ready")
    wait_until(lambda: api.get("v1", "ServiceAccount", "default", "default"), 60, "the service account is there")
    return api


def audited(folder):
    """What the API server wrote about requests, in order."""
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


def _ready_nodes(api):
    ready = {"type": "Ready", "status": "True"}
    return [node for node in api.send("GET", "/api/v1/nodes")["items"]
            if any(ready.items() <= it.items() for it in node.get("status", {}).get("conditions", []))]
