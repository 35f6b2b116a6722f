"""Every step of every example, from the image and started as the runner starts it: the `with:` of the workflow with its
expressions worked out, the deploy file in its place, a real build, a real registry, and the embedded cloud for all else."""

import json
import re
import shutil

import machine
import pytest
import runner
import yaml
from conftest import HELLO, commit

ACTION = "roadstead/roadstead@"
TOKEN = "ghs_" + "t" * 36
RUN = 9876543210  # of the runner's shape
# What an example deploys to and the embedded cloud does not serve over a network: tests/external/compose runs these.
ELSEWHERE = "compose"
CLUSTER_TOKEN = "CLUSTER_TOKEN"
SECRETS = {"MANIFESTS_TOKEN": "ghs_" + "m" * 36, "ARGOCD_TOKEN": "argocd-" + "a" * 40}
VARIABLES = {"PLAN_ROLE_STAGING": "arn:aws:iam::111111111111:role/plan", "PLAN_ROLE_PRODUCTION": "arn:aws:iam::222222222222:role/plan"}
# What a person types at a workflow that is started by hand; what is not here stays empty.
TYPED = {"environment": "production", "service": "backend", "variable": "CHECKOUT_V2", "value": "on"}
# What the step must end with; every operation that an example uses is here.
ENDS = {"deploy": {"deployed", "proposed"}, "plan": {"planned"}, "rollback": {"rolled-back"}, "promote": {"deployed"},
        "set-env": {"deployed"}, "verify": {"verified"}}


class Context(dict):
    """The contexts of a job; what GitHub leaves empty is empty."""

    def get_path(self, path):
        value = self
        for part in path.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value


def worked_out(text, context):
    """`text` with its expressions: names, strings, ==, !=, &&, || and brackets, which is all that the examples use."""

    def expression(found):
        parts = re.findall(r"'[^']*'|&&|\|\||==|!=|[()]|[A-Za-z_][\w.-]*", found[1])
        assert "".join(parts) == re.sub(r"\s", "", found[1]), f"not understood: {found[0]}"
        words = {"&&": "and", "||": "or"}
        named = [words.get(part, part) if not re.match(r"[A-Za-z_]", part) else repr(context.get_path(part)) for part in parts]
        return str(eval(" ".join(named), {"__builtins__": {}}))  # strings and operators alone

    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", expression, text)


def test_expressions_are_worked_out_as_github_does():
    context = Context(github={"ref_name": "main", "event_name": "push"}, inputs={"to": ""})
    assert worked_out("a-${{ github.ref_name == 'main' && 'production' || 'staging' }}", context) == "a-production"
    assert worked_out("${{ github.event_name == 'pull_request' && github.ref || 'x' }}", context) == "x"
    assert worked_out("${{ inputs.to }}", context) == ""
    with pytest.raises(AssertionError, match="not understood"):
        worked_out("${{ fromJSON('1') + 1 }}", context)


def events(workflow):
    """What starts a workflow: name of the event, and its context."""
    on = workflow.get("on", workflow.get(True))  # YAML 1.1 takes `on` for a truth value
    for name, of in on.items():
        branches = (of or {}).get("branches", ["main"]) if isinstance(of, dict) or of is None else ["main"]
        for branch in branches if name in ("push", "pull_request") else ["main"]:
            pull = name == "pull_request"
            yield name, Context(
                github={"event_name": name, "ref": "refs/pull/7/merge" if pull else f"refs/heads/{branch}",
                        "ref_name": "7/merge" if pull else branch, "base_ref": branch if pull else "", "token": TOKEN},
                inputs={key: TYPED.get(key, "") for key in (of or {}).get("inputs", {})} if isinstance(of, dict) else {},
                secrets=SECRETS, vars=VARIABLES)


def workflows():
    """The workflows of the examples that run here."""
    for path in sorted(machine.ROOT.glob("examples/*/*.yml")):
        deploy = path.parent / "roadstead.yml"
        if not deploy.exists() or all(ELSEWHERE not in it for it in yaml.safe_load(deploy.read_text())["services"].values()):
            yield path


def cases():
    for path in workflows():
        workflow = yaml.safe_load(path.read_text())
        for event, context in events(workflow) if "jobs" in workflow else ():
            for job in workflow["jobs"].values():
                if worked_out("${{ %s }}" % job.get("if", "'yes'"), context) not in ("", "False"):
                    for step in job["steps"]:
                        if step.get("uses", "").startswith(ACTION):
                            label = f"{path.parent.name}-{path.stem}-{event}-{context.get_path('github.base_ref') or context.get_path('github.ref_name')}"
                            yield pytest.param(path.parent, event, context, job["permissions"], step.get("with", {}), id=label)


CASES = list(cases())


def test_every_example_is_run():
    folders = {case.values[0].name for case in CASES}
    there = {path.parent.name for path in workflows() if ACTION in path.read_text()}
    assert folders == there and len(CASES) >= 8, folders ^ there


def environment_of(deploy, given, context):
    branch = context.get_path("github.base_ref") or context.get_path("github.ref_name")
    matching = [name for name, it in deploy["environments"].items() if branch in it.get("branches", [])]
    return given.get("environment") or matching[0]


def filled(value, environment):
    return value.replace("${environment}", environment)


def manifest(file, image):
    """A file of manifests as the deploy file describes it, with an earlier image."""
    if "container" in file:
        return yaml.safe_dump({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "it"}}, "template": {
                "metadata": {"labels": {"app": "it"}},
                "spec": {"containers": [{"name": file["container"], "image": f"{image}:v1"}]}}}})
    if "image" in file:
        value = {"repository": image, "tag": "v1"}
        for key in reversed(file["image"].split(".")):
            value = {key: value}
        return yaml.safe_dump(value)
    return yaml.safe_dump({"images": [{"name": image, "newTag": "v1"}]})


SCOPES = ["actions", "checks", "contents", "deployments", "issues", "pull-requests"]


def github(sha, permissions, run):
    """The repository of the run, private, with the commit that is run and an open pull request; and the token of its job,
    which may do what the workflow says and nothing else."""
    token = {"access": "write", "permissions": {scope: permissions.get(scope, "none") for scope in SCOPES}}
    repository = {"name": "acme/app", "private": True, "files": {"README.md": "of the shop\n"}, "history": [{"id": sha}],
                  "issues": [7], "runs": [{"id": run, "status": "in_progress", "success-ends-job": True}]}
    return {"repositories": [repository], "job-token": token, "tokens": {SECRETS["MANIFESTS_TOKEN"]: {"login": "manifests[bot]"}}}


def running(folder, ecs, images):
    """The task definition of an example, with the images that run before the job."""
    definition = json.loads((folder / ecs["task-definition"]).read_text())
    for container in definition["containerDefinitions"]:
        container["image"] = images.get(container["name"], container["image"])
    return definition


def cluster_of(kubernetes, image):
    """The cluster of a service, with the workload, the Service and the route that its settings name."""
    kind, name = kubernetes["workload"].split("/")
    kinds = {it.lower(): it for it in ("Deployment", "StatefulSet", "DaemonSet")}
    place = {"namespace": kubernetes["namespace"]}
    traffic = kubernetes.get("traffic", {})
    backend = traffic.get("service", name)
    routes = [place | {"name": traffic["httproute"], "service": backend}] if "httproute" in traffic else []
    return {"eks": False, "token": "t0ken", "routes": routes, "services": [place | {"name": backend, "selector": {"app": name}}],
            "workloads": [place | {"kind": kinds[kind], "name": name,
                                   "containers": [{"name": kubernetes["container"], "image": f"{image}:v1"}]}]}


def world(registry, deploy, environment, sha, permissions, folder, run=RUN, port=None):
    """Everything that the deploy file of a folder names, running an earlier image, and the workflow run with that number. The
    API server of a cluster is at `port`, as all else is."""
    aws = deploy["environments"][environment].get("aws", {})
    account = aws.get("account") or aws["role"].split(":")[4]
    services, balancers, files, applications, clusters = [], [], {}, [], []
    repositories = {service["repository"]: {} for service in deploy["services"].values()}
    for name, service in deploy["services"].items():
        image = f"{registry.host}/{service['repository']}"
        registry.seed(service["repository"], "v1")
        if ecs := service.get("ecs"):
            more, images = {}, {ecs["container"]: f"{image}:v1"}
            for container, entry in ecs.get("images", {}).items():
                registry.seed(entry["repository"], "v1")
                repositories[entry["repository"]] = {}
                images[container] = f"{registry.host}/{entry['repository']}:v1"
            if "task-definition" in ecs:
                more = {"task-definition": running(folder, ecs, images)}
            for cluster in sorted({filled(ecs["cluster"], it) for it in deploy["environments"]}):
                group = f"{cluster}-{name}"
                services.append(more | {"cluster": cluster, "name": ecs["service"], "container": ecs["container"],
                                 "image": f"{image}:v1", "deployment": {"circuit-breaker": {}},
                                 "target-groups": [{"arn": group, "alternate": f"{group}-green", "balancer": group}]})
                balancers.append({"name": group, "groups": [{"arn": group, "weight": 1}, {"arn": f"{group}-green"}]})
        if kubernetes := service.get("kubernetes"):
            clusters.append({"server": f"127.0.0.1:{port}"} | cluster_of(kubernetes, image))
        if argocd := service.get("argocd"):
            paths = {filled(file["path"], environment): manifest(file, image) for file in argocd["files"]}
            files |= paths
            applications.append({"name": filled(argocd["application"], environment), "automated": True,
                                 "sources": [{"repository": argocd["repository"], "files": list(paths)}]})
    own = github(sha, permissions, run)
    if files:
        own["repositories"].append({"name": "acme/manifests", "private": True, "files": files})
    named = [service.get("alarms", []) + service.get("environments", {}).get(environment, {}).get("alarms", [])
             for service in deploy["services"].values()]
    alarms = [{"name": name} for name in sorted({name for names in named for name in names})]
    # What the addresses of checks lead to.
    sites = [{"host": "127.0.0.1", "path": "/health", "service": f"{it['cluster']}/{it['name']}"} for it in services]
    return registry.scenario(account=account, alarms=alarms, sites=sites, services=services, balancers=balancers, repositories=repositories, github=own,
                             argocd={"applications": applications}, kubernetes={"clusters": clusters})


@pytest.fixture
def job(tmp_path, image):
    return runner.Runner(tmp_path / "runner", image, machine.ROOT / "action.yml")


def lay_out(job, folder, deploy):
    """The repository of an example: its files, the sources of each service, and the deploy file where the action looks."""
    shutil.copytree(folder, job.workspace, dirs_exist_ok=True)
    for name, service in deploy["services"].items():
        further = [entry.get("build", {}).get("context") for entry in service.get("ecs", {}).get("images", {}).values()]
        for other in filter(None, further):
            shutil.copytree(HELLO, job.workspace / other, dirs_exist_ok=True)
        context = job.workspace / service.get("build", {}).get("context", ".")
        shutil.copytree(HELLO, context, dirs_exist_ok=True)
        page = context / "page.html"
        page.write_text(f"{page.read_text()}<!-- {folder.name} {name} {job.label} -->\n")
    (job.workspace / ".github").mkdir(exist_ok=True)
    shutil.copy(folder / "roadstead.yml", job.workspace / ".github/roadstead.yml")
    return commit(job.workspace)


def point(job, served):
    """Addresses are what is written otherwise in a deploy file: they are the embedded cloud's, which has no
    certificates. So a cluster is named by its address and not by EKS. And nobody waits for a quarter of an hour."""
    file = job.workspace / ".github/roadstead.yml"
    text = re.sub(r"https://(argocd\.)?acme\.dev", served.url, file.read_text())
    text = re.sub(r"cluster: \{ eks: \w+ \}", f'cluster: {{ server: "{served.url}", token: {CLUSTER_TOKEN} }}', text)
    text = re.sub(r"(percent: \d+, )bake: \d+m", r"\1bake: 10s, final-bake: 10s", text)
    file.write_text(re.sub(r"certificate-days: \d+, ", "", text))


def starter(job, served, event, context, sha):
    """The event as GitHub tells it, and its GitHub."""
    ref, base = context.get_path("github.ref"), context.get_path("github.base_ref")
    repository = {"id": 1296269, "full_name": "acme/app"}
    payload = {"ref": ref, "repository": repository}
    if event == "pull_request":
        payload = {"action": "synchronize", "number": 7, "repository": repository, "pull_request": {
            "number": 7, "head": {"ref": "feature", "sha": sha, "repo": repository}, "base": {"ref": base, "repo": repository}}}
    job.event(event, payload)
    job.context = {"REF": ref, "REF_NAME": context.get_path("github.ref_name"), "BASE_REF": base,
                   "HEAD_REF": "feature" if event == "pull_request" else ""}
    job.api_url, job.graphql_url = f"{served.url}/api/v3", f"{served.url}/api/graphql"


@pytest.mark.parametrize("folder, event, context, permissions, given", CASES)
def test_the_step_of_an_example_does_what_it_is_for(job, cloud, registry, folder, event, context, permissions, given):
    deploy = yaml.safe_load((folder / "roadstead.yml").read_text())
    given = {name: worked_out(str(value), context) for name, value in given.items()}
    environment, operation = environment_of(deploy, given, context), given.get("operation", "deploy")
    sha = lay_out(job, folder, deploy)
    port = machine.free_port()
    served = cloud(world(registry, deploy, environment, sha, permissions, folder, port=port), speed=120, port=port)
    point(job, served)
    starter(job, served, event, context, sha)
    # No keys: the role is assumed with the token of the job, as the examples have it.
    env = {"AWS_ENDPOINT_URL": served.url, "GITHUB_SHA": sha, CLUSTER_TOKEN: "t0ken", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job-" + "r" * 20,
           "ACTIONS_ID_TOKEN_REQUEST_URL": f"{served.url}/oidc/token?api-version=2.0"}
    # What was there before: a version to leave or to change, or one that was proven where promotions come from.
    source = deploy["environments"][environment].get("promote-from")
    if before := {"rollback": environment, "set-env": environment, "promote": source}.get(operation):
        first = job.step({"environment": before}, env)
        assert first.outputs.get("outcome") == "deployed", "\n".join(first.protocol.raw)
    result = job.step(given, env)
    told = "\n".join(result.protocol.raw)
    assert (result.code, result.outputs.get("environment")) == (0, environment), told
    assert result.outputs["outcome"] in ENDS[operation], told
    assert not result.errors(), told
    # Nothing was left out for want of a permission that the example should have.
    assert "permissions:" not in result.log and "permissions:" not in result.summary, told
    assert not [note for note in result.annotations if "permission" in note.message], told
    result.assert_hidden(TOKEN, *SECRETS.values(), env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
