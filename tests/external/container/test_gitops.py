"""A service in Git from the image, started as the runner starts it: a real build is pushed to a real registry, committed to
the embedded GitHub through its Enterprise addresses, and watched at the embedded Argo CD; `git` says what changed."""

import os
import subprocess

import pytest

from test_container import aws

DEPLOY = """
environments:
  production: {{ branches: [main], aws: {{ region: eu-west-1 }} }}
services:
  hello:
    build: {{ context: . }}
    repository: acme/hello
    argocd:
      repository: acme/manifests
      files: [ {{ path: apps/hello/kustomization.yaml }} ]
      application: hello
      server: {server}
"""
TOKENS = {"manifests-token": "ghs_" + "m" * 36, "argocd-token": "argocd-" + "a" * 40}


def kustomization(registry):
    return f"# of the shop\r\nresources: [deployment.yaml]\r\nimages:\r\n  - name: {registry.host}/acme/hello # ours\r\n    newTag: \"v1\"\r\n"


@pytest.fixture
def world(registry):
    def make(*faults):
        github = {"repositories": [{"name": "acme/manifests", "files": {
            "apps/hello/kustomization.yaml": kustomization(registry), "README.md": "theirs\n"}}]}
        argocd = {"applications": [{"name": "hello", "automated": True, "sources": [
            {"repository": "acme/manifests", "files": ["apps/hello/kustomization.yaml"]}]}]}
        return registry.scenario(*faults, services=[], github=github, argocd=argocd)

    return make


def step(job, served, **more):
    (job.workspace / ".github/roadstead.yml").write_text(DEPLOY.format(server=served.url))
    job.api_url, job.graphql_url = f"{served.url}/api/v3", f"{served.url}/api/graphql"
    return job.step(TOKENS, aws(served) | {"GITHUB_SHA": job.sha}, **more)


def git(*arguments, folder=None):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def clone(served, folder):
    git("clone", "--quiet", f"{served.url}/acme/manifests.git", folder)
    git("fsck", "--strict", folder=folder)
    return folder


def test_a_commit_of_the_source_becomes_a_commit_of_the_manifests(job, cloud, registry, world, tmp_path):
    served = cloud(world(), speed=20)
    result = step(job, served)
    assert (result.code, result.outputs.get("outcome")) == (0, "deployed"), "\n".join(result.protocol.raw)
    pushed = registry.digest("acme/hello", f"sha-{job.sha[:7]}")
    assert result.outputs["digest"] == pushed
    assert "Synced at" in result.summary

    folder = clone(served, tmp_path / "clone")
    before = kustomization(registry)
    digest = f"    digest: {pushed}\r\n"
    expected = before.replace('"v1"\r\n', f'"sha-{job.sha[:7]}"\r\n{digest}')
    assert (folder / "apps/hello/kustomization.yaml").read_bytes() == expected.encode()
    assert git("diff", "--name-only", "HEAD~1", folder=folder).split() == ["apps/hello/kustomization.yaml"]
    body = git("log", "-1", "--format=%B", folder=folder)
    assert f"Roadstead-Digest: {pushed}\n" in body and f"Roadstead-Source: {job.sha}\n" in body
    result.assert_hidden(*TOKENS.values())

    again = step(job, served)
    assert (again.code, again.outputs["outcome"]) == (0, "unchanged"), "\n".join(again.protocol.raw)


def test_an_image_that_never_runs_is_taken_back_in_git(job, cloud, registry, world, tmp_path):
    served = cloud(world({"crash-on-start": {"exit-code": 1}}), speed=20)
    result = step(job, served)
    assert (result.code, result.outputs.get("outcome")) == (3, "failed"), "\n".join(result.protocol.raw)
    folder = clone(served, tmp_path / "clone")
    assert (folder / "apps/hello/kustomization.yaml").read_bytes() == kustomization(registry).encode()
    assert len(git("log", "--format=%H", folder=folder).split()) == 3, "the first commit, the release, and its revert"


def test_a_cancelled_job_commits_the_image_before_back(job, cloud, registry, world, tmp_path):
    served = cloud(world({"slow-start": {"seconds": 3600}}), speed=5)
    result = step(job, served, cancel_when="rollout of hello", timeout=90)
    assert (result.code, result.ended_by, result.survived) == (130, "SIGINT", False), "\n".join(result.protocol.raw)
    assert result.seconds < 7.5
    folder = clone(served, tmp_path / "clone")
    assert (folder / "apps/hello/kustomization.yaml").read_bytes() == kustomization(registry).encode()
    post = step(job, served, post=True, state=result.state)
    assert post.code == 0, "\n".join(post.protocol.raw)
    assert "v1" in post.log
