"""Kubernetes manifests of the cases. JSON is YAML, so that all but the edited files are written as JSON."""

import json

IMAGE = "ghcr.io/acme/web"


def text(*items):
    return "\n---\n".join(json.dumps(item, indent=1) for item in items) + "\n"


def _object(api_version, kind, name, **more):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}} | more


def pod(name="web", image=IMAGE, **more):
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": image}]} | more}


def workload(kind="Deployment", name="web", image=IMAGE, replicas=1, **spec):
    spec = {"selector": {"matchLabels": {"app": name}}, "template": pod(name, image)} | spec
    if kind != "DaemonSet":
        spec = {"replicas": replicas} | spec
    if kind == "StatefulSet":
        spec = {"serviceName": name} | spec
    return _object("apps/v1", kind, name, spec=spec)


def job(name, image=IMAGE, annotations=None, **spec):
    made = _object("batch/v1", "Job", name, spec={"template": pod(name, image, restartPolicy="Never"), "backoffLimit": 0} | spec)
    made["metadata"]["annotations"] = annotations or {}
    return made


def cron_job(name="web", image=IMAGE):
    template = {"spec": {"template": pod(name, image, restartPolicy="Never")}}
    return _object("batch/v1", "CronJob", name, spec={"schedule": "0 0 1 1 *", "jobTemplate": template})


def ingress(name="web"):
    """Progressing for as long as no controller gives it an address."""
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return _object("networking.k8s.io/v1", "Ingress", name, spec={"rules": [rule]})


def service(name="web"):
    return _object("v1", "Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})


def limit_range(name="widget"):
    """Its health script fails (server.FAILING_HEALTH)."""
    return _object("v1", "LimitRange", name, spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]})


def config_map(name, data, **more):
    return _object("v1", "ConfigMap", name, data=data, **more)


def quota(pods):
    return _object("v1", "ResourceQuota", "pods", spec={"hard": {"pods": str(pods)}})


def kustomization(resources=("workload.yaml",), tag="v1", rest=""):
    """As people write it: what Roadstead edits."""
    listed = "".join(f"  - {name}\n" for name in resources)
    return f"resources:\n{listed}images:\n  - name: {IMAGE}\n    newTag: {tag}  # by Roadstead\n{rest}"


def folder(*items, base="apps/web", resources=("workload.yaml",), tag="v1", rest=""):
    """A kustomization with these objects in one file."""
    return {f"{base}/kustomization.yaml": kustomization(resources, tag, rest), f"{base}/workload.yaml": text(*items)}


CHART = "apiVersion: v2\nname: web\nversion: 0.1.0\nappVersion: v1\n"
TEMPLATE = """apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: app
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
"""


def chart(tag="v1", base="apps/web"):
    values = f'image:\n  repository: {IMAGE}\n  tag: "{tag}"\n'
    return {f"{base}/Chart.yaml": CHART, f"{base}/templates/web.yaml": TEMPLATE, f"{base}/values.yaml": values}


def deny_window(manual):
    """A project whose syncs a window denies at all times."""
    return {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"], "manualSync": manual}


def project(name, **spec):
    spec = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]} | spec
    return _object("argoproj.io/v1alpha1", "AppProject", name, spec=spec)


def mirror(label):
    """Admission that writes a registry before the image of each pod in namespaces with a label."""
    api, name = "admissionregistration.k8s.io/v1", "mirror"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    path = "/spec/containers/0/image"
    patch = f'[JSONPatch{{op: "replace", path: "{path}", value: "mirror.test/hub/" + object.spec.containers[0].image}}]'
    yield _object(api, "MutatingAdmissionPolicy", name, spec={
        "matchConstraints": {"resourceRules": [pods]}, "failurePolicy": "Fail", "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]})
    matches = {"namespaceSelector": {"matchLabels": {label: "true"}}}
    yield _object(api, "MutatingAdmissionPolicyBinding", name, spec={"policyName": name, "matchResources": matches})
