"""Other people's clients of ECS against the embedded cloud: boto3 with its waiters, and fabfuel's `ecs` command."""

import os
import pathlib
import subprocess
import sys

import boto3
import pytest

IMAGE = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/web"
# Two containers on instances: nothing that the client itself would have to know.
DEFINITION = {
    "family": "web",
    "networkMode": "bridge",
    "requiresCompatibilities": ["EC2"],
    "containerDefinitions": [
        {"name": "app", "image": f"{IMAGE}:v1", "memory": 128, "portMappings": [{"containerPort": 80}],
         "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": ""}]},
        {"name": "side", "image": "nginx", "memory": 64, "essential": False},
    ],
}
WORLD = {
    "repositories": {"web": {"images": [{"tags": ["v1"]}, {"tags": ["v2"]}]}},
    "services": [{"cluster": "acme", "name": "web", "launch-type": "EC2", "task-definition": DEFINITION}],
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1"}


@pytest.fixture
def served(cloud):
    return cloud(WORLD, speed=200)


@pytest.fixture
def ecs(served):
    return boto3.client("ecs", endpoint_url=served.url, region_name="eu-west-1", aws_access_key_id="AKIATEST",
                        aws_secret_access_key="secret")


def fabfuel(served, folder, *arguments):
    """`ecs …`, in an environment of its own."""
    command = pathlib.Path(sys.executable).with_name("ecs")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ENDPOINT_URL": served.url, **CREDENTIALS}
    return subprocess.run([str(command), *arguments], env=env, cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)


def running(ecs):
    service = ecs.describe_services(cluster="acme", services=["web"])["services"][0]
    return ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]


def test_fabfuel_deploys_a_tag(served, ecs, tmp_path):
    done = fabfuel(served, tmp_path, "deploy", "acme", "web", "--tag", "v2", "--env", "app", "C", "3", "--sleep-time", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deployment successful" in done.stdout
    app = running(ecs)["containerDefinitions"][0]
    assert app["image"] == f"{IMAGE}:v2"
    assert {"name": "C", "value": "3"} in app["environment"] and {"name": "A", "value": ""} in app["environment"]


def test_fabfuel_runs_a_task(served, ecs, tmp_path):
    """It calls itself `ECS Deploy`, with a blank."""
    done = fabfuel(served, tmp_path, "run", "acme", "web", "1", "--command", "app", "./migrate", "--launchtype", "EC2")
    assert done.returncode == 0, done.stdout + done.stderr
    # The command may have ended already.
    tasks = [arn for status in ("RUNNING", "STOPPED")
             for arn in ecs.list_tasks(cluster="acme", startedBy="ECS Deploy", desiredStatus=status)["taskArns"]]
    assert len(tasks) == 1, done.stdout


def test_fabfuel_scales(served, ecs, tmp_path):
    done = fabfuel(served, tmp_path, "scale", "acme", "web", "3", "--sleep-time", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ecs.describe_services(cluster="acme", services=["web"])["services"][0]["runningCount"] == 3


def test_waiters_of_boto3_end(ecs):
    ecs.create_service(cluster="acme", serviceName="api", taskDefinition="web", desiredCount=1, launchType="EC2",
                       deploymentController={"type": "ECS"})
    quick = {"Delay": 1, "MaxAttempts": 60}
    ecs.get_waiter("services_stable").wait(cluster="acme", services=["web", "api"], WaiterConfig=quick)
    api = ecs.describe_services(cluster="acme", services=["api"])["services"][0]
    assert api["deploymentController"] == {"type": "ECS"} and api["runningCount"] == 1
    tasks = ecs.list_tasks(cluster="acme", serviceName="api")["taskArns"]
    ecs.get_waiter("tasks_running").wait(cluster="acme", tasks=tasks, WaiterConfig=quick)
    ecs.delete_service(cluster="acme", service="api", force=True)
    ecs.get_waiter("services_inactive").wait(cluster="acme", services=["api"], WaiterConfig=quick)


def test_what_aws_refuses_is_refused_in_its_words(ecs):
    wrong = {**DEFINITION, "containerDefinitions": [{**DEFINITION["containerDefinitions"][0], "logConfiguration": {"logDriver": "awsfirelens"}}]}
    with pytest.raises(ecs.exceptions.ClientException, match="a firelens configuration object must be configured"):
        ecs.register_task_definition(**wrong)


def test_a_registered_definition_comes_back_with_what_aws_fills_in(ecs):
    router = {"name": "log_router", "image": "fluent", "memory": 64, "firelensConfiguration": {"type": "fluentbit"}}
    app = {**DEFINITION["containerDefinitions"][0], "logConfiguration": {"logDriver": "awsfirelens"}}
    volume = {"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}
    sent = {**DEFINITION, "containerDefinitions": [app, router], "volumes": [volume]}
    answered = ecs.register_task_definition(**sent)["taskDefinition"]
    assert answered["containerDefinitions"][1]["user"] == "0"
    assert answered["volumes"][0]["efsVolumeConfiguration"]["rootDirectory"] == "/"
