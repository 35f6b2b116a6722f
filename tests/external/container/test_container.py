"""The main job from the image, started as the runner starts it: real BuildKit, a real registry, the embedded cloud."""

import base64
import json
import re
import subprocess

import boto3
import pytest
import requests
from conftest import files

KEY, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "session-" + "x" * 40
STARTED = "rollout of hello"  # begins the line that comes after the first change


def aws(served):
    return {"AWS_ENDPOINT_URL": served.url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": TOKEN, "AWS_REGION": "eu-west-1"}


def ecs(served):
    return boto3.client("ecs", endpoint_url=served.url, region_name="eu-west-1", aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET)


def service(served):
    return ecs(served).describe_services(cluster="acme", services=["hello"])["services"][0]


def running_image(served):
    definition = ecs(served).describe_task_definition(taskDefinition=service(served)["taskDefinition"])
    return definition["taskDefinition"]["containerDefinitions"][0]["image"]


def operations(served):
    return [call["operation"] for call in requests.get(f"{served.url}/_roadstead/calls", timeout=10).json()]


def rendered(markdown):
    """What a reader's browser would read as markup: the text outside code fences and spans."""
    kept, fence = [], None
    for line in markdown.splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence is None and mark:
            fence = mark[1]
        elif fence and re.fullmatch(rf" {{0,3}}{fence[0]}{{{len(fence)},}}\s*", line):
            fence = None
        elif fence is None:
            kept.append(re.sub(r"(`+)[^`]+\1", "", line))
    return "\n".join(kept)


CHANGES = {"UpdateService", "RegisterTaskDefinition", "StopServiceDeployment", "PutImage", "CreateService"}


@pytest.fixture
def secrets_of(registry):
    basic = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    return [registry.password, basic, SECRET, TOKEN, "ghs_" + "t" * 36]


def deploy(job, served, given=None, **more):
    env = aws(served) | {"GITHUB_SHA": job.sha}
    return job.step(given or {}, env, **more)


def test_a_commit_becomes_a_running_service(job, cloud, registry, secrets_of):
    served = cloud(registry.scenario(), speed=60)
    before, files_before = running_image(served), files(job.workspace)
    result = deploy(job, served)
    assert result.code == 0, "\n".join(result.protocol.raw)
    assert result.outputs["outcome"] == "deployed"
    assert result.outputs["environment"] == "production"
    assert result.outputs["commit"] == job.sha
    assert not result.errors()

    pushed = registry.digest("acme/hello", f"sha-{job.sha[:7]}")
    assert pushed, f"pushed tags: {registry.tags('acme/hello')}"
    assert result.outputs["digest"] == pushed
    assert result.outputs["image"] == f"{registry.host}/acme/hello@{pushed}"
    assert running_image(served) == result.outputs["image"] != before
    assert service(served)["deployments"][0]["rolloutState"] == "COMPLETED"
    assert json.loads(result.outputs["services"])["hello"]["digest"] == pushed
    assert pushed[7:19] in result.summary and "hello" in result.summary

    result.assert_hidden(*secrets_of)
    assert set(secrets_of[:2]) <= set(result.masks), "the registry's password is derived: only the action can mask it"
    assert files(job.workspace) == files_before, "something was left in the workspace"
    left = {path: (job.folder / "_temp" / path).read_bytes() for path in files(job.folder / "_temp")}
    assert not [path for path, data in left.items() if any(s.encode() in data for s in secrets_of)]
    history = subprocess.run(["docker", "history", "--no-trunc", result.outputs["image"]], capture_output=True, text=True)
    assert not [value for value in secrets_of if value in history.stdout]

    again = deploy(job, served)
    assert (again.code, again.outputs["outcome"]) == (0, "unchanged"), "\n".join(again.protocol.raw)
    assert registry.digest("acme/hello", f"sha-{job.sha[:7]}") == pushed


def test_a_version_that_crashes_is_taken_back(job, cloud, registry, secrets_of):
    words = ["::error::no DATABASE_URL | <b>", "```", "<script>", "##[error]again"]
    crash = {"crash-on-start": {"exit-code": 3, "log": words}}
    served = cloud(registry.scenario(crash), speed=60)
    before = running_image(served)
    result = deploy(job, served)
    assert (result.code, result.outputs["outcome"]) == (3, "failed"), "\n".join(result.protocol.raw)
    assert running_image(served) == before
    assert "no DATABASE_URL" in result.summary
    assert "<b>" not in rendered(result.summary) and "<script>" not in rendered(result.summary), "text of a task is data"
    assert any("exit" in message.lower() for message in result.errors())
    assert not {"no DATABASE_URL | <b>", "again"} & set(result.errors()), "a line of a task became a command"
    result.assert_hidden(*secrets_of)


def test_a_cancelled_job_leaves_nothing_half_done(job, cloud, registry, secrets_of):
    served = cloud(registry.scenario({"slow-start": {"seconds": 3600}}), speed=10)
    before = running_image(served)
    result = deploy(job, served, cancel_when=STARTED, timeout=90)
    assert (result.code, result.ended_by, result.survived) == (130, "SIGINT", False), "\n".join(result.protocol.raw)
    assert result.seconds < 7.5
    assert result.outputs["outcome"] == "cancelled"
    assert "cancelled" in result.summary.lower()
    assert "StopServiceDeployment" in operations(served)
    result.assert_hidden(*secrets_of)

    post = deploy(job, served, post=True, state=result.state)
    assert post.code == 0, "\n".join(post.protocol.raw)
    assert running_image(served) == before
    assert "hello:1" in post.log, f"the post step says what serves now: {post.log}"
    post.assert_hidden(*secrets_of)


def test_bad_input_changes_nothing(job, cloud, registry):
    served = cloud(registry.scenario())
    result = deploy(job, served, {"operation": "deplyo", "timeout": "soon", "on-cancel": "panic"})
    assert (result.code, result.outputs["outcome"]) == (2, "invalid"), "\n".join(result.protocol.raw)
    for word in ("deplyo", "soon", "panic"):
        assert any(word in message for message in result.errors()), f"{word}: {result.errors()}"
    assert not CHANGES & set(operations(served))


def test_a_key_that_is_unknown_is_marked_at_its_line(job, cloud, registry):
    served = cloud(registry.scenario())
    file = job.workspace / ".github/roadstead.yml"
    file.write_text(file.read_text().replace("    repository:", "    repositry: a\n    repository:"))
    result = deploy(job, served)
    assert (result.code, result.outputs["outcome"]) == (2, "invalid"), "\n".join(result.protocol.raw)
    note = next(note for note in result.annotations if "repositry" in note.message)
    line = file.read_text().splitlines().index("    repositry: a") + 1
    assert (note.properties["file"], note.properties["line"]) == (".github/roadstead.yml", str(line))
    assert not operations(served)


def test_a_build_that_fails_is_told_and_changes_nothing(job, cloud, registry):
    served = cloud(registry.scenario())
    (job.workspace / "Dockerfile").write_text("FROM debian:trixie-slim\nRUN echo ::warning::not mine; exit 7\n")
    result = deploy(job, served)
    assert result.code != 0 and result.errors(), "\n".join(result.protocol.raw)
    assert not [note for note in result.annotations if note.message == "not mine"], "a build's output became a command"
    assert not CHANGES & set(operations(served))


def test_a_branch_without_environment_is_skipped(job, cloud, registry):
    served = cloud(registry.scenario())
    deploy_file = job.workspace / ".github/roadstead.yml"
    deploy_file.write_text(deploy_file.read_text().replace("[main]", "[release]"))
    result = deploy(job, served)
    assert (result.code, result.outputs["outcome"]) == (0, "skipped"), "\n".join(result.protocol.raw)
    assert not CHANGES & set(operations(served))


def test_a_plan_changes_nothing(job, cloud, registry):
    served = cloud(registry.scenario())
    result = deploy(job, served, {"operation": "plan"})
    assert (result.code, result.outputs["outcome"]) == (0, "planned"), "\n".join(result.protocol.raw)
    assert result.outputs["plan"]
    assert not CHANGES & set(operations(served))
    assert not registry.tags("acme/hello") & {f"sha-{job.sha[:7]}"}


def test_a_role_is_assumed_with_the_jobs_own_token(job, cloud, registry):
    served = cloud(registry.scenario())
    env = {"AWS_ENDPOINT_URL": served.url, "ACTIONS_ID_TOKEN_REQUEST_URL": f"{served.url}/oidc/token?api-version=2",
           "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-" + "r" * 40}
    role = "arn:aws:iam::111111111111:role/deploy"
    result = job.step({"operation": "plan", "role-to-assume": role}, env)
    assert result.code == 0, "\n".join(result.protocol.raw)
    assert "AssumeRoleWithWebIdentity" in operations(served)
    assert "runner-" + "r" * 40 in result.masks
    result.assert_hidden("runner-" + "r" * 40)
