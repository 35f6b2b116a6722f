"""The same requests, read by somebody else: what the binary sends fits botocore's input shapes, and moto, which knows
nothing of this project, takes what it has a backend for and says the same where both say something.
"""

import base64
import json
import os
import subprocess

import boto3
import botocore.config
import mirror
import pytest
import requests

ACCOUNT = "123456789012"  # moto's own
# What moto has a backend for (it has none for service deployments), and what it is known to do otherwise:
# its services never change their deployment, and it numbers, times and names by itself.
KNOWN = {
    "ecs.RegisterTaskDefinition", "ecs.DescribeTaskDefinition", "ecs.DescribeServices", "ecs.UpdateService",
    "ecs.ListTaskDefinitions", "ecr.GetAuthorizationToken", "ecr.DescribeImages", "ecr.BatchGetImage",
    "ecr.DescribeRepositories", "ecr.PutImage", "sts.GetCallerIdentity", "sts.AssumeRoleWithWebIdentity",
}
OTHERWISE = {
    "deployments", "events", "createdAt", "registeredAt", "updatedAt", "imagePushedAt", "lastRecordedPullTime",
    "runningCount", "pendingCount", "imageSizeInBytes", "expiresAt", "authorizationToken", "proxyEndpoint", "repositoryUri", "requestId", "taskSets",
}
DEPLOY = """
environments:
  production: { branches: [main], aws: { region: eu-west-1, account: "123456789012" } }
services:
  backend:
    repository: backend
    ecs: { cluster: acme, service: backend, container: app }
"""


@pytest.fixture
def world(cloud, moto):
    """Both hold the same: a cluster, a service, its definition, a repository with two images."""
    scenario = {
        "account": ACCOUNT,
        "services": [{"cluster": "acme", "name": "backend", "deployment": {"circuit-breaker": {}}}],
        "repositories": {"backend": {"images": [{"tags": ["v1"]}, {"tags": ["v2"]}]}},
    }
    served = cloud(scenario, speed=300)

    def clients(url):
        config = botocore.config.Config(retries={"total_max_attempts": 1})
        return [boto3.client(name, endpoint_url=url, region_name="eu-west-1", config=config,
                             aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="s" * 40)
                for name in ("ecs", "ecr")]

    ecs, ecr = clients(served.url)
    their_ecs, their_ecr = clients(moto)
    requests.post(f"{moto}/moto-api/reset", timeout=10).raise_for_status()
    their_ecs.create_cluster(clusterName="acme")
    service = ecs.describe_services(cluster="acme", services=["backend"])["services"][0]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    known = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    registered = their_ecs.register_task_definition(**{k: v for k, v in definition.items() if k in known})
    their_ecs.create_service(cluster="acme", serviceName="backend", desiredCount=2, launchType="FARGATE",
                             taskDefinition=registered["taskDefinition"]["taskDefinitionArn"])
    their_ecr.create_repository(repositoryName="backend")
    for tag in ("v1", "v2"):
        image = ecr.batch_get_image(repositoryName="backend", imageIds=[{"imageTag": tag}])["images"][0]
        their_ecr.put_image(repositoryName="backend", imageManifest=image["imageManifest"], imageTag=tag,
                            imageManifestMediaType=image["imageManifestMediaType"],
                            imageDigest=image["imageId"]["imageDigest"])
    with mirror.Mirror(served.url, moto, KNOWN) as between:
        yield between


def disagreements(seen):
    for each in seen:
        if each.moto is None:
            continue
        (mine, body), (theirs, other) = each.cloud, each.moto
        if (mine < 300) != (theirs < 300):
            yield f"{each.name} {each.sent}: {mine} {body[:200]} here, {theirs} {other[:200]} there"
        elif mine < 300 and body.startswith(b"{"):
            for line in mirror.agree(json.loads(body), json.loads(other), ignoring=OTHERWISE):
                yield f"{each.name}: {line}"


def deploy(binary, folder, between, *arguments):
    file = folder / "roadstead.yml"
    file.write_text(DEPLOY)
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ENDPOINT_URL": between.url, "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "s" * 40,
    }
    command = [binary, "deploy", "--config", file, "--environment", "production", *arguments]
    return subprocess.run([str(part) for part in command], env=env, cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)


def test_a_deploy_in_the_eyes_of_moto(binary, tmp_path, world):
    done = deploy(binary, tmp_path, world, "--image", f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/backend:v2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not world.wrong(), "\n".join(world.wrong())
    assert {"ecs.RegisterTaskDefinition", "ecs.UpdateService", "ecs.DescribeServices"} <= world.names()
    shown = [seen for seen in world.seen if seen.moto is not None]
    assert {"ecs.RegisterTaskDefinition", "ecs.UpdateService"} <= {seen.name for seen in shown}
    differing = list(disagreements(world.seen))
    assert not differing, "\n".join(differing)


def test_the_comparison_finds_a_difference(world):
    """boto3 in the binary's place: the proxy reads, compares, and names what is not the same."""
    ecr, ecs = (boto3.client(name, endpoint_url=world.url, region_name="eu-west-1", aws_access_key_id="AKIA",
                             aws_secret_access_key="s") for name in ("ecr", "ecs"))
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    ecr.describe_images(repositoryName="backend", imageIds=[{"imageTag": "v1"}])
    ecs.describe_services(cluster="acme", services=["backend"])
    assert {seen.name for seen in world.seen if seen.moto} == {
        "ecr.GetAuthorizationToken", "ecr.DescribeImages", "ecs.DescribeServices"}
    assert not world.wrong()
    assert not list(disagreements(world.seen))

    world.seen[-1].cloud = (200, world.seen[-1].cloud[1].replace(b'"desiredCount":2', b'"desiredCount":3'))
    assert any("desiredCount is 3 here and 2 there" in line for line in disagreements(world.seen))
    strange = mirror.read("/", {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.UpdateService"},
                          b'{"service": "a", "desiredcount": 1, "desiredCount": "2"}')
    assert len(strange.wrong) == 2
