"""Whole workflows of the examples under act, a runner that others wrote: which jobs run, conditions, expressions and inputs
are its business. The action is the image under test in the place of a release; everything is on this machine."""

import json
import os
import re
import subprocess

import machine
import pytest
import yaml
from conftest import commit
from test_examples import ACTION, SCOPES, SECRETS, VARIABLES, lay_out, point, world

RUN_OF_ACT = 1  # act's GITHUB_RUN_ID
BASE = "debian:trixie-slim"  # what stands for ubuntu-latest: no step needs more


@pytest.fixture(scope="session")
def act():
    said = subprocess.run([machine.ROOT / "scripts/setup-act"], stdout=subprocess.PIPE, check=True, text=True)
    return said.stdout.strip()


class Place:
    """The folder that a repository is laid out in."""

    def __init__(self, folder):
        self.workspace, self.label = folder, folder.name
        folder.mkdir()


def installed(place, folder, name, image):
    """The workflow where GitHub looks for it, with the image under test for the action."""
    text = (folder / name).read_text()
    assert ACTION in text
    workflows = place.workspace / ".github/workflows"
    workflows.mkdir(parents=True)
    (workflows / name).write_text(text.replace(ACTION + "0" * 40, "./.github/action"))
    action = yaml.safe_load((machine.ROOT / "action.yml").read_text())
    action["runs"]["image"] = f"docker://{image}"
    (place.workspace / ".github/action").mkdir()
    (place.workspace / ".github/action/action.yml").write_text(yaml.safe_dump(action))
    return commit(place.workspace)


def run(act, place, tmp_path, served, event, payload, *more):
    """Runs the workflows of a repository for an event; gives the log."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload))
    values = {"AWS_ENDPOINT_URL": served.url, "GITHUB_API_URL": f"{served.url}/api/v3",
              "GITHUB_GRAPHQL_URL": f"{served.url}/api/graphql", "GITHUB_REPOSITORY": "acme/app",
              "ACTIONS_ID_TOKEN_REQUEST_URL": f"{served.url}/oidc/token?api-version=2.0",
              "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job-" + "r" * 20}
    command = [act, event, "--eventpath", file, "--platform", f"ubuntu-latest={BASE}", "--pull=false", "--action-offline-mode",
               "--secret", "GITHUB_TOKEN=ghs_" + "t" * 36, *more]
    for name, value in values.items():
        command += ["--env", f"{name}={value}"]
    for name, value in VARIABLES.items():
        command += ["--var", f"{name}={value}"]
    for name, value in SECRETS.items():
        command += ["--secret", f"{name}={value}"]
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    (home / ".config/act").mkdir(parents=True, exist_ok=True)
    (home / ".config/act/actrc").write_text("")
    done = subprocess.run([str(part) for part in command], cwd=place.workspace, env=environment, capture_output=True, text=True,
                          timeout=300)
    return done.returncode, done.stdout + done.stderr


def laid(tmp_path, registry, cloud, image, example, name, environment):
    folder = machine.ROOT / "examples" / example
    deploy = yaml.safe_load((folder / "roadstead.yml").read_text())
    place = Place(tmp_path / "app")
    lay_out(place, folder, deploy)
    sha = installed(place, folder, name, image)
    # act gives every job the same token, whatever its permissions are.
    permissions = {scope: "write" for scope in SCOPES}
    served = cloud(world(registry, deploy, environment, sha, permissions, folder, RUN_OF_ACT), speed=120)
    point(place, served)
    return place, served


# Example, workflow, environment, event, what comes with it, and the jobs that must run.
RUNS = [
    ("ecs-service", "deploy.yml", "production", "push", {"ref": "refs/heads/main"}, {"Release": "deployed"}),
    ("two-environments", "deploy.yml", "staging", "push", {"ref": "refs/heads/develop"}, {"Release": "deployed"}),
    ("two-environments", "deploy.yml", "production", "pull_request", {"pull_request": {
        "number": 7, "head": {"ref": "feature", "sha": "c0ffee1" + "0" * 33, "repo": {"id": 1, "full_name": "acme/app"}},
        "base": {"ref": "main", "sha": "0" * 40, "repo": {"id": 1, "full_name": "acme/app"}}}}, {"Plan": "planned"}),
    ("rollback", "rollback.yml", "production", "workflow_dispatch",
     {"ref": "refs/heads/main", "inputs": {"environment": "production", "service": "backend", "to": "backend:1"}},
     {"Return production": "unchanged"}),
    ("promotion", "deploy.yml", "staging", "push", {"ref": "refs/heads/main"},
     {"Release to staging": "deployed", "Promote to production": "deployed"}),
    ("scheduled-verify", "verify.yml", "production", "schedule", {}, {"Verify production": "verified"}),
    ("argocd", "deploy.yml", "staging", "push", {"ref": "refs/heads/develop"}, {"Release by Git": "deployed"}),
]


@pytest.mark.parametrize("example, name, environment, event, payload, jobs", RUNS,
                         ids=[f"{example}-{event}" for example, _, _, event, _, _ in RUNS])
def test_a_workflow_ends_as_it_should(act, tmp_path, registry, cloud, image, example, name, environment, event, payload, jobs):
    place, served = laid(tmp_path, registry, cloud, image, example, name, environment)
    code, log = run(act, place, tmp_path, served, event, payload)
    assert code == 0, log
    ended = dict(re.findall(r"^\[[^/\]]+/([^\]]+?)\s*\]\s+\S+\s+::set-output:: outcome=(\S+)", log, re.M))
    assert ended == jobs, log
    assert not [secret for secret in ["ghs_" + "t" * 36, *SECRETS.values()] if secret in log]
