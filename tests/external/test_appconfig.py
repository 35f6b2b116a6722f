"""The embedded AppConfig as boto3 sees it: every raw answer fits botocore's model of the service, boto3's own waiter ends,
and what happens is what AppConfig's documentation says. Who wrote the cloud wrote none of the models or waiters.
"""

import time

import boto3
import botocore.config
import botocore.exceptions
import pytest
import shapes

WORLD = {
    "alarms": [{"name": "errors"}],
    "appconfig": {
        "strategies": [{"name": "Quick", "minutes": 4, "bake": 2, "factor": 50}],
        "applications": [{
            "name": "shop",
            "environments": [{"name": "production", "monitors": ["errors"]}],
            "profiles": [{"name": "limits", "versions": ['{"a":1}', '{"a":2}']},
                         {"name": "flags", "type": "AWS.AppConfig.FeatureFlags"}],
        }],
    },
}
FLAGS = b'{"version":"1","flags":{"beta":{"name":"Beta"}},"values":{"beta":{"enabled":true}}}'


class Shop:
    """The ids of the world's things, found as a client finds them."""

    def __init__(self, client):
        self.client = client
        app = client.list_applications()["Items"][0]
        self.app = {"ApplicationId": app["Id"]}
        environment = client.list_environments(**self.app)["Items"][0]
        self.place = self.app | {"EnvironmentId": environment["Id"]}
        self.alarm = environment["Monitors"][0]["AlarmArn"]
        self.profiles = {one["Name"]: one["Id"] for one in client.list_configuration_profiles(**self.app)["Items"]}
        self.strategies = {one["Name"]: one["Id"] for one in client.list_deployment_strategies()["Items"]}

    def start(self, version, profile="limits", strategy="Quick", **more):
        return self.client.start_deployment(
            **self.place, ConfigurationProfileId=self.profiles[profile], ConfigurationVersion=version,
            DeploymentStrategyId=self.strategies[strategy], **more)

    def state(self, number):
        return self.client.get_deployment(**self.place, DeploymentNumber=number)

    def settled(self, number):
        for _ in range(600):
            found = self.state(number)
            if found["State"] in {"COMPLETE", "ROLLED_BACK", "REVERTED"}:
                return found
            time.sleep(0.05)
        raise AssertionError(f"still {found['State']}")


@pytest.fixture
def shop(cloud):
    recorders = []

    def start(speed=600, **more):
        config = botocore.config.Config(retries={"total_max_attempts": 1})
        client = boto3.client(
            "appconfig", endpoint_url=cloud(WORLD | more, speed=speed).url, region_name="eu-west-1", config=config,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="s" * 40)
        recorders.append(shapes.Recorder(client))
        return Shop(client)

    yield start
    for recorder in recorders:
        assert not recorder.wrong, "\n".join(recorder.wrong)


def refused(code):
    return pytest.raises(botocore.exceptions.ClientError, match=rf"\({code}\)")


def test_what_exists_is_shown(shop):
    it = shop()
    client = it.client
    assert client.get_application(**it.app)["Name"] == "shop"
    assert client.get_environment(**it.place)["State"] == "READY_FOR_DEPLOYMENT"
    profile = client.get_configuration_profile(**it.app, ConfigurationProfileId=it.profiles["flags"])
    assert (profile["LocationUri"], profile["Type"]) == ("hosted", "AWS.AppConfig.FeatureFlags")
    strategy = client.get_deployment_strategy(DeploymentStrategyId="AppConfig.Canary10Percent20Minutes")
    assert (strategy["GrowthType"], strategy["FinalBakeTimeInMinutes"]) == ("EXPONENTIAL", 10)
    pages = client.get_paginator("list_deployments").paginate(**it.place, PaginationConfig={"PageSize": 1})
    assert [page["Items"][0]["DeploymentNumber"] for page in pages] == [2, 1]
    with refused("ResourceNotFoundException"):
        client.get_application(ApplicationId="zzzz")


def test_a_deployment_completes_and_the_waiter_agrees(shop):
    it = shop()
    started = it.start("1", LatestDeploymentNumber=2, Description="by hand")
    assert (started["State"], started["DeploymentNumber"]) == ("DEPLOYING", 3)
    with refused("ConflictException"):
        it.start("2")
    waiter = it.client.get_waiter("deployment_complete")
    waiter.config.delay = 0.1
    waiter.wait(**it.place, DeploymentNumber=3)
    done = it.state(3)
    assert (done["PercentageComplete"], done["Description"]) == (100.0, "by hand")
    kinds = [event["EventType"] for event in done["EventLog"]]
    assert kinds[0] == "DEPLOYMENT_COMPLETED" and kinds[-1] == "DEPLOYMENT_STARTED"
    with refused("ConflictException"):
        it.start("2", LatestDeploymentNumber=2)
    with refused("BadRequestException"):
        it.client.stop_deployment(**it.place, DeploymentNumber=3)
    assert it.client.stop_deployment(**it.place, DeploymentNumber=3, AllowRevert=True)["State"] == "REVERTED"
    assert it.client.get_environment(**it.place)["State"] == "REVERTED"


def test_a_red_alarm_and_a_person_roll_back(shop):
    it = shop(faults=[{"alarm-red": {"at": 30}}])
    it.start("1", strategy="AppConfig.Linear20PercentEvery6Minutes")
    done = it.settled(3)
    cause = next(event for event in done["EventLog"] if event["EventType"] == "ROLLBACK_STARTED")
    assert (done["State"], cause["TriggeredBy"]) == ("ROLLED_BACK", "CLOUDWATCH_ALARM")
    assert cause["Description"].endswith(it.alarm)
    it = shop(speed=60)
    it.start("1")
    stopped = it.client.stop_deployment(**it.place, DeploymentNumber=3)
    assert stopped["State"] == "ROLLING_BACK"
    waiter = it.client.get_waiter("deployment_complete")
    waiter.config.delay = 0.1
    with pytest.raises(botocore.exceptions.WaiterError, match="terminal failure"):
        waiter.wait(**it.place, DeploymentNumber=3)


def test_hosted_versions(shop):
    it = shop()
    here = it.app | {"ConfigurationProfileId": it.profiles["flags"]}
    made = it.client.create_hosted_configuration_version(
        **here, Content=FLAGS, ContentType="application/json", VersionLabel="v1", Description="the first")
    assert (made["VersionNumber"], made["VersionLabel"]) == (1, "v1")
    found = it.client.get_hosted_configuration_version(**here, VersionNumber=1)
    assert found["ContentType"] == "application/json"
    assert b"_createdAt" in found["Content"].read()
    with refused("ConflictException"):
        it.client.create_hosted_configuration_version(
            **here, Content=FLAGS, ContentType="application/json", LatestVersionNumber=7)
    with pytest.raises(it.client.exceptions.BadRequestException) as wrong:
        it.client.create_hosted_configuration_version(**here, Content=b"{}", ContentType="application/json")
    assert wrong.value.response["Reason"] == "InvalidConfiguration"
    assert wrong.value.response["Details"]["InvalidConfiguration"][0]["Location"] == "$.version"
    with refused("PayloadTooLargeException"):
        it.client.create_hosted_configuration_version(**here, Content=b"x" * (1 << 21), ContentType="text/plain")
    listed = it.client.list_hosted_configuration_versions(**here)["Items"]
    assert [(one["VersionNumber"], one["VersionLabel"]) for one in listed] == [(1, "v1")]
    it.start("v1", profile="flags", strategy="AppConfig.AllAtOnce")
    assert it.settled(3)["ConfigurationVersion"] == "1"


def test_without_the_right_nothing_happens(shop):
    it = shop(policy={"deny": ["appconfig:StartDeployment"]})
    with refused("AccessDeniedException"):
        it.start("1")
    assert len(it.client.list_deployments(**it.place)["Items"]) == 2
