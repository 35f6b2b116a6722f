"""The embedded cloud as boto3 sees it: every raw answer fits botocore's model of the service, boto3's own waiters end,
and what happens is what ECS does. Who wrote the cloud wrote none of the models or waiters.
"""

import contextlib
import datetime
import json
import time
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import botocore.model
import pytest
import shapes

SERVICES = ["ecs", "ecr", "sts", "iam", "elbv2", "cloudwatch", "logs", "sns"]
CALM = {
    "services": [{"cluster": "acme", "name": "backend", "target-groups": [{"arn": "backend"}],
                  "deployment": {"circuit-breaker": {}, "alarms": {"names": ["backend-5xx"]}}}],
    "alarms": [{"name": "backend-5xx"}, {"name": "everything", "composite": True, "state": "INSUFFICIENT_DATA"}],
    "repositories": {"backend": {"images": [{"tags": ["v1"]}, {"tags": ["v2", "latest"]}]},
                     "fixed": {"immutable": True, "images": [{"tags": ["v1"]}, {"tags": ["v2"]}]}},
}
HERE = {"cluster": "acme", "service": "backend"}
SEEN = {}  # operations answered in this session


class Aws:
    """boto3 clients for a cloud; each answer is checked."""

    def __init__(self, url, key="AKIAIOSFODNN7EXAMPLE", **more):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, **more)
        session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="s" * 40, region_name="eu-west-1")
        self.recorders = []
        for name in SERVICES:
            client = session.client(name, endpoint_url=url, config=config)
            setattr(self, name, client)
            self.recorders.append(shapes.Recorder(client))

    def verify(self):
        wrong = [line for recorder in self.recorders for line in recorder.wrong]
        assert not wrong, "\n".join(wrong)
        for recorder in self.recorders:
            for name, count in recorder.answers.items():
                SEEN[name] = SEEN.get(name, 0) + count

    def service(self):
        return self.ecs.describe_services(cluster="acme", services=["backend"], include=["TAGS"])["services"][0]

    def next_definition(self, image="111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v2", **more):
        running = self.ecs.describe_task_definition(taskDefinition=self.service()["taskDefinition"])["taskDefinition"]
        known = self.ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
        definition = {key: value for key, value in running.items() if key in known} | more
        definition["containerDefinitions"][0]["image"] = image
        return self.ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]

    def deploy(self, **more):
        self.ecs.update_service(**HERE, taskDefinition=self.next_definition(**more))
        return self.ecs.list_service_deployments(**HERE)["serviceDeployments"][0]["serviceDeploymentArn"]

    def deployment(self, arn):
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def settled(self, arn):
        """The deployment, once its status is final."""
        busy = {"PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}
        for _ in range(600):
            found = self.deployment(arn)
            if found["status"] not in busy:
                return found
            self.ecs.describe_services(cluster="acme", services=["backend"])
        raise AssertionError(f"still {found['status']}")


@pytest.fixture
def aws(cloud):
    started = []

    def start(scenario=CALM, speed=300, **more):
        started.append(Aws(cloud(scenario, speed=speed).url, **more))
        return started[-1]

    yield start
    for clients in started:
        clients.verify()


def refused(code):
    return pytest.raises(botocore.exceptions.ClientError, match=rf"\({code}\)")


def waiter(client, name):
    found = client.get_waiter(name)
    found.config.delay = 0.2
    return found


def test_task_definitions(aws):
    ecs = aws().ecs
    container = {
        "name": "app", "image": "nginx:1", "essential": True, "cpu": 0, "memoryReservation": 128,
        "portMappings": [{"containerPort": 8080, "protocol": "tcp", "name": "http", "appProtocol": "http"}],
        "environment": [{"name": "EMPTY", "value": ""}], "secrets": [{"name": "S", "valueFrom": "arn:aws:ssm:eu-west-1:111111111111:parameter/p"}],
        "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 10, "retries": 2, "timeout": 5, "startPeriod": 1},
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/acme", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "app"}},
    }
    given = {
        "family": "acme", "containerDefinitions": [container], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["FARGATE"], "executionRoleArn": "arn:aws:iam::111111111111:role/run",
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "tags": [{"key": "team", "value": "blue"}],
    }
    first = ecs.register_task_definition(**given)
    assert first["taskDefinition"]["containerDefinitions"][0]["environment"] == container["environment"]
    assert ecs.register_task_definition(**given)["taskDefinition"]["revision"] == first["taskDefinition"]["revision"] + 1
    found = ecs.describe_task_definition(taskDefinition="acme:1", include=["TAGS"])
    assert found["tags"] == given["tags"]
    assert found["taskDefinition"]["status"] == "ACTIVE"
    assert len(ecs.list_task_definitions(familyPrefix="acme", sort="DESC")["taskDefinitionArns"]) == 2
    gone = ecs.deregister_task_definition(taskDefinition="acme:1")["taskDefinition"]
    assert gone["status"] == "INACTIVE"
    with refused("ClientException"):
        ecs.describe_task_definition(taskDefinition="nothing")
    with refused("ClientException"):
        ecs.register_task_definition(**given | {"cpu": "256", "memory": "9999"})


def test_a_rolling_deployment_completes_and_the_waiter_agrees(aws):
    cloud = aws(speed=120)
    before = cloud.service()
    arn = cloud.deploy()
    during = cloud.service()
    assert [d["status"] for d in during["deployments"]] == ["PRIMARY", "ACTIVE"]
    waiter(cloud.ecs, "services_stable").wait(cluster="acme", services=["backend"])
    done = cloud.settled(arn)
    assert done["status"] == "SUCCESSFUL"
    after = cloud.service()
    assert after["taskDefinition"] != before["taskDefinition"]
    assert [(d["status"], d["rolloutState"]) for d in after["deployments"]] == [("PRIMARY", "COMPLETED")]

    revision = done["targetServiceRevision"]["arn"]
    shown = cloud.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"][0]
    assert shown["taskDefinition"] == after["taskDefinition"]
    assert shown["containerImages"][0]["imageDigest"].startswith("sha256:")
    tasks = cloud.ecs.list_tasks(cluster="acme", serviceName="backend")["taskArns"]
    shown = cloud.ecs.describe_tasks(cluster="acme", tasks=[*tasks, "0" * 32], include=["TAGS"])
    assert [task["lastStatus"] for task in shown["tasks"]] == ["RUNNING", "RUNNING"]
    assert [failure["reason"] for failure in shown["failures"]] == ["MISSING"]

    group = after["loadBalancers"][0]["targetGroupArn"]
    waiter(cloud.elbv2, "target_in_service").wait(TargetGroupArn=group)
    cloud.elbv2.describe_target_groups(TargetGroupArns=[group])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"crash-on-start": {"exit-code": 3, "log": ["no DATABASE_URL"]}}, "Essential container in task exited"),
        ({"image-not-found": {}}, "CannotPullContainerError"),
        ({"out-of-memory": {}}, "Essential container in task exited"),
        ({"secret-missing": {}}, "ResourceInitializationError"),
        ({"failing-health-check": {}}, "failed ELB health checks"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_version_is_rolled_back_by_the_circuit_breaker(aws, fault, reason):
    cloud = aws(CALM | {"faults": [fault]}, speed=900)
    before = cloud.service()["taskDefinition"]
    arn = cloud.deploy()
    done = cloud.settled(arn)
    assert done["status"] == "ROLLBACK_SUCCESSFUL"
    assert done["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert done["deploymentCircuitBreaker"]["failureCount"] >= done["deploymentCircuitBreaker"]["threshold"]
    assert cloud.service()["taskDefinition"] == before
    stopped = cloud.ecs.list_tasks(cluster="acme", serviceName="backend", desiredStatus="STOPPED")["taskArns"]
    tasks = cloud.ecs.describe_tasks(cluster="acme", tasks=stopped)["tasks"]
    assert any(reason in task.get("stoppedReason", "") for task in tasks), [t.get("stoppedReason") for t in tasks]


def test_a_task_that_crashed_left_log_lines(aws):
    cloud = aws(CALM | {"faults": [{"crash-on-start": {"exit-code": 3, "log": ["no DATABASE_URL"]}}]}, speed=900)
    cloud.settled(cloud.deploy())
    stopped = cloud.ecs.list_tasks(cluster="acme", serviceName="backend", desiredStatus="STOPPED")["taskArns"]
    tasks = cloud.ecs.describe_tasks(cluster="acme", tasks=stopped)["tasks"]
    crashed = next(task for task in tasks if task["containers"][0].get("exitCode") == 3)
    definition = cloud.ecs.describe_task_definition(taskDefinition=crashed["taskDefinitionArn"])["taskDefinition"]
    options = definition["containerDefinitions"][0]["logConfiguration"]["options"]
    name = "/".join([options["awslogs-stream-prefix"], "app", crashed["taskArn"].rsplit("/", 1)[1]])
    events = cloud.logs.get_log_events(logGroupName=options["awslogs-group"], logStreamName=name, limit=20)["events"]
    assert [event["message"] for event in events] == ["no DATABASE_URL"]
    cloud.logs.describe_log_groups(logGroupNamePrefix=options["awslogs-group"])
    with refused("ResourceNotFoundException"):
        cloud.logs.get_log_events(logGroupName="/none", logStreamName=name)


def test_a_deployment_is_stopped_and_rolled_back(aws):
    cloud = aws(CALM | {"faults": [{"slow-start": {"seconds": 3600}}]})
    before = cloud.service()["taskDefinition"]
    arn = cloud.deploy()
    cloud.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    assert cloud.settled(arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert cloud.service()["taskDefinition"] == before
    with pytest.raises(botocore.exceptions.ClientError):
        cloud.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")


def test_an_alarm_rolls_a_deployment_back(aws):
    cloud = aws(CALM | {"faults": [{"alarm-red": {"alarm": "backend-5xx", "at": 60}}, {"slow-start": {"seconds": 900}}]})
    done = cloud.settled(cloud.deploy())
    assert done["status"] == "ROLLBACK_SUCCESSFUL"
    assert done["alarms"]["triggeredAlarmNames"] == ["backend-5xx"]


def test_a_newer_deployment_supersedes(aws):
    cloud = aws(CALM | {"faults": [{"slow-start": {"seconds": 3600}}]})
    first = cloud.deploy()
    second = cloud.deploy()
    assert first != second
    assert cloud.settled(first)["status"] in {"STOPPED", "ROLLBACK_SUCCESSFUL"}
    assert cloud.deployment(second)["status"] in {"PENDING", "IN_PROGRESS", "SUCCESSFUL"}
    listed = cloud.ecs.list_service_deployments(**HERE, status=["PENDING", "IN_PROGRESS", "SUCCESSFUL", "STOPPED"])
    assert {first, second} <= {brief["serviceDeploymentArn"] for brief in listed["serviceDeployments"]}


PAIR = CALM | {
    "services": [{"cluster": "acme", "name": "backend", "target-groups": [
        {"arn": "backend", "alternate": "backend-alternate", "balancer": "front"}]}],
    "balancers": [{"name": "front", "groups": [{"arn": "backend", "weight": 100}, {"arn": "backend-alternate"}],
                   "authenticate": True, "sticky": 60}],
    "traffic": [{"requests-per-minute": 600}],
}


def test_a_canary_is_paused_continued_and_measured(aws):
    cloud = aws(PAIR, speed=900)
    hook = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"], "hookDetails": {"by": "us"},
            "timeoutConfiguration": {"timeoutInMinutes": 600, "action": "ROLLBACK"}}
    cloud.ecs.update_service(**HERE, deploymentConfiguration={
        "strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 12.5, "canaryBakeTimeInMinutes": 1},
        "lifecycleHooks": [hook]})
    arn = cloud.deploy()
    for _ in range(2):
        waiting = []
        while not waiting:
            found = cloud.deployment(arn)
            waiting = [it for it in found.get("lifecycleHookDetails", []) if it["status"] == "AWAITING_ACTION"]
            cloud.ecs.describe_services(cluster="acme", services=["backend"])
        cloud.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=waiting[0]["hookId"], action="CONTINUE")
    done = cloud.settled(arn)
    assert done["status"] == "SUCCESSFUL"
    assert done["targetServiceRevision"]["requestedProductionTrafficWeight"] == 100
    revision = cloud.ecs.describe_service_revisions(serviceRevisionArns=[done["targetServiceRevision"]["arn"]])
    live = revision["serviceRevisions"][0]["resolvedConfiguration"]["loadBalancers"][0]
    with refused("ClientException"):
        cloud.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=waiting[0]["hookId"])

    rule = cloud.elbv2.describe_rules(RuleArns=[live["productionListenerRule"]])["Rules"][0]
    assert [action["Type"] for action in rule["Actions"]] == ["authenticate-oidc", "forward"]
    weights = {it["TargetGroupArn"]: it["Weight"] for it in rule["Actions"][1]["ForwardConfig"]["TargetGroups"]}
    assert weights[live["targetGroupArn"]] == 100
    rule["Actions"][0]["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
    again = cloud.elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=rule["Actions"])["Rules"][0]
    assert again["Actions"][1] == rule["Actions"][1]
    with refused("RuleNotFound"):
        cloud.elbv2.describe_rules(RuleArns=["arn:none"])
    group = cloud.elbv2.describe_target_groups(TargetGroupArns=[live["targetGroupArn"]])["TargetGroups"][0]
    listeners = cloud.elbv2.describe_listeners(LoadBalancerArn=group["LoadBalancerArns"][0])["Listeners"]
    assert [listener["Port"] for listener in listeners]


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor", "query"])
def test_metrics_in_each_protocol(aws, monkeypatch, protocol):
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", [protocol, "json", "query"])
    cloud = aws(PAIR, speed=900)
    arn = cloud.service()["loadBalancers"][0]["targetGroupArn"]
    balancer = cloud.elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["LoadBalancerArns"][0]
    dimensions = [{"Name": "TargetGroup", "Value": arn.rsplit(":", 1)[1]},
                  {"Name": "LoadBalancer", "Value": balancer.split("loadbalancer/")[1]}]
    start = cloud.service()["createdAt"]
    stats = {"requests": ("RequestCount", "Sum"), "bad": ("HTTPCode_Target_5XX_Count", "Sum"),
             "median": ("TargetResponseTime", "p50"), "slow": ("TargetResponseTime", "PR(0.5:)")}
    queries = [{"Id": key, "MetricStat": {"Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": name,
                                                     "Dimensions": dimensions}, "Period": 60, "Stat": stat}}
               for key, (name, stat) in stats.items()]
    for _ in range(300):
        answer = cloud.cloudwatch.get_metric_data(
            MetricDataQueries=queries, StartTime=start, EndTime=start + datetime.timedelta(days=2))
        found = {it["Id"]: it for it in answer["MetricDataResults"]}
        if len(found["requests"]["Values"]) > 2:
            break
        time.sleep(0.02)
    assert {it["StatusCode"] for it in found.values()} == {"Complete"}
    assert all(400 < value < 800 for value in found["requests"]["Values"])
    assert all(0.06 < value < 0.1 for value in found["median"]["Values"])
    assert all(0 <= value < 5 for value in found["slow"]["Values"])
    with refused("ValidationError"):
        cloud.cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=start)


def test_services_come_and_go_and_the_waiters_agree(aws):
    cloud = aws(speed=600)
    definition = cloud.next_definition()
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}}
    made = cloud.ecs.create_service(
        cluster="acme", serviceName="worker", taskDefinition=definition, desiredCount=1, launchType="FARGATE",
        networkConfiguration=network, tags=[{"key": "team", "value": "blue"}], clientToken="once",
    )["service"]
    assert made["status"] == "ACTIVE"
    waiter(cloud.ecs, "services_stable").wait(cluster="acme", services=["worker", "backend"])
    task = cloud.ecs.list_tasks(cluster="acme", serviceName="worker")["taskArns"][0]
    waiter(cloud.ecs, "tasks_running").wait(cluster="acme", tasks=[task])
    cloud.ecs.stop_task(cluster="acme", task=task, reason="test")
    waiter(cloud.ecs, "tasks_stopped").wait(cluster="acme", tasks=[task])
    alone = cloud.ecs.run_task(
        cluster="acme", taskDefinition=definition, count=1, launchType="FARGATE", networkConfiguration=network,
        startedBy="shapes", clientToken="alone", tags=[{"key": "team", "value": "blue"}],
        overrides={"containerOverrides": [{"name": "app", "command": ["./migrate", "up"]}]},
    )
    assert alone["failures"] == []
    task = alone["tasks"][0]["taskArn"]
    # On a busy machine it has ended by now.
    listed = [cloud.ecs.list_tasks(cluster="acme", startedBy="shapes", desiredStatus=status)["taskArns"]
              for status in ("RUNNING", "STOPPED")]
    assert {arn for arns in listed for arn in arns} == {task}
    waiter(cloud.ecs, "tasks_stopped").wait(cluster="acme", tasks=[task])
    ended = cloud.ecs.describe_tasks(cluster="acme", tasks=[task])["tasks"][0]
    assert [container["exitCode"] for container in ended["containers"]] == [0]
    assert len(cloud.ecs.list_services(cluster="acme")["serviceArns"]) == 2
    cloud.ecs.update_service(cluster="acme", service="worker", desiredCount=0)
    cloud.ecs.delete_service(cluster="acme", service="worker", force=True)
    waiter(cloud.ecs, "services_inactive").wait(cluster="acme", services=["worker"])
    arn = cloud.service()["serviceArn"]
    cloud.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "b"}])
    assert cloud.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "b"}]
    cloud.ecs.untag_resource(resourceArn=arn, tagKeys=["a"])
    clusters = cloud.ecs.list_clusters()["clusterArns"]
    assert cloud.ecs.describe_clusters(clusters=clusters)["clusters"][0]["activeServicesCount"] == 1


def test_what_is_not_there_is_said_in_ecs_words(aws):
    ecs = aws().ecs
    with refused("ClusterNotFoundException"):
        ecs.describe_services(cluster="nowhere", services=["backend"])
    assert ecs.describe_services(cluster="acme", services=["none"])["failures"][0]["reason"] == "MISSING"
    with refused("ServiceNotFoundException"):
        ecs.update_service(cluster="acme", service="none", forceNewDeployment=True)


def test_images(aws):
    ecr = aws().ecr
    token = ecr.get_authorization_token()["authorizationData"][0]
    assert token["proxyEndpoint"].startswith("http")
    assert len(ecr.describe_repositories()["repositories"]) == 2
    images = ecr.describe_images(repositoryName="backend")["imageDetails"]
    assert {tag for image in images for tag in image["imageTags"]} == {"v1", "v2", "latest"}
    image = ecr.batch_get_image(repositoryName="backend", imageIds=[{"imageTag": "v1"}, {"imageTag": "none"}])
    assert image["failures"][0]["failureCode"] == "ImageNotFound"
    manifest = image["images"][0]["imageManifest"]
    digest = image["images"][0]["imageId"]["imageDigest"]
    put = {"repositoryName": "backend", "imageManifest": manifest, "imageTag": "production"}
    assert ecr.put_image(**put)["image"]["imageId"] == {"imageDigest": digest, "imageTag": "production"}
    with refused("ImageAlreadyExistsException"):
        ecr.put_image(**put)
    config = json.loads(manifest)["config"]["digest"]
    layers = ecr.batch_check_layer_availability(repositoryName="backend", layerDigests=[config, "sha256:" + "0" * 64])
    assert layers["layers"][0]["layerAvailability"] == "AVAILABLE"
    url = ecr.get_download_url_for_layer(repositoryName="backend", layerDigest=config)["downloadUrl"]
    assert url
    other = ecr.batch_get_image(repositoryName="fixed", imageIds=[{"imageTag": "v2"}])["images"][0]["imageManifest"]
    with refused("ImageTagAlreadyExistsException"):
        ecr.put_image(repositoryName="fixed", imageManifest=other, imageTag="v1")
    with refused("RepositoryNotFoundException"):
        ecr.describe_images(repositoryName="none")
    with refused("ImageNotFoundException"):
        ecr.describe_images(repositoryName="backend", imageIds=[{"imageTag": "none"}])


def test_identity(aws):
    cloud = aws()
    assert cloud.sts.get_caller_identity()["Account"] == "111111111111"
    # The session of a role has no policies of its own; IAM refuses its ARN and takes the role's.
    session = cloud.sts.get_caller_identity()["Arn"]
    with refused("InvalidInput"):
        cloud.iam.simulate_principal_policy(PolicySourceArn=session, ActionNames=["ecs:UpdateService"])
    source = f"arn:aws:iam::111111111111:role/{session.split('/')[1]}"
    verdicts = cloud.iam.simulate_principal_policy(
        PolicySourceArn=source, ActionNames=["ecs:UpdateService", "ecs:DescribeServices"])["EvaluationResults"]
    assert {verdict["EvalDecision"] for verdict in verdicts} == {"allowed"}


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor", "query"])
def test_alarms_in_each_protocol(aws, monkeypatch, protocol):
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", [protocol, "json", "query"])
    clients = aws()
    monitoring = clients.cloudwatch
    assert monitoring.meta.service_model.resolved_protocol == protocol
    plain = monitoring.describe_alarms(AlarmNames=["backend-5xx", "everything"])
    assert [alarm["StateValue"] for alarm in plain["MetricAlarms"]] == ["OK"]
    assert plain["CompositeAlarms"] == []
    both = monitoring.describe_alarms(AlarmNames=["everything"], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert [alarm["StateValue"] for alarm in both["CompositeAlarms"]] == ["INSUFFICIENT_DATA"]
    waiter(monitoring, "alarm_exists").wait(AlarmNames=["backend-5xx"])


def test_refusals_fit_too(aws):
    denied = aws(CALM | {"faults": [{"deny": {"action": "ecs:UpdateService"}}, {"deny": {"action": "sts:*"}}]})
    with refused("AccessDeniedException"):
        denied.ecs.update_service(**HERE, forceNewDeployment=True)
    slow = aws(CALM | {"faults": [{"throttle": {"operation": "*", "times": 3}}]})
    with refused("ThrottlingException"):
        slow.ecs.list_clusters()
    with refused("Throttling"):
        slow.elbv2.describe_target_groups()
    with pytest.raises(botocore.exceptions.ClientError):
        slow.cloudwatch.describe_alarms()
    stale = aws(CALM | {"faults": [{"expired-credentials": {"after": 0}}]})
    with refused("ExpiredTokenException"):
        stale.ecs.list_clusters()
    with refused("ExpiredToken"):
        stale.sts.get_caller_identity()


def test_messages_are_published(aws):
    topics = aws(CALM | {"topics": ["releases", "releases.fifo"], "faults": [{"throttle": {"operation": "Publish", "times": 1}}]})
    arn = "arn:aws:sns:eu-west-1:111111111111:releases"
    said = {"TopicArn": arn, "Subject": "Roadstead failed", "Message": "m & <m>",
            "MessageAttributes": {"outcome": {"DataType": "String", "StringValue": "failed"}}}
    with refused("Throttled"):
        topics.sns.publish(**said)
    assert topics.sns.publish(**said)["MessageId"]
    fifo = said | {"TopicArn": f"{arn}.fifo", "MessageGroupId": "g", "MessageDeduplicationId": "k"}
    assert topics.sns.publish(**fifo)["MessageId"] == topics.sns.publish(**fifo)["MessageId"]
    with refused("NotFound"):
        topics.sns.publish(TopicArn=f"{arn}-not", Message="m")
    for wrong in ({"Subject": "a\nb"}, {"Message": ""}, {"MessageDeduplicationId": "k"}):
        with refused("InvalidParameter"):
            topics.sns.publish(**said | wrong)
    denied = aws(CALM | {"topics": ["releases"], "policy": {"deny": ["sns:*"]}})
    with refused("AuthorizationError"):
        denied.sns.publish(**said)


def test_a_call_that_is_not_modelled_is_never_an_empty_success(cloud):
    clients = Aws(cloud(CALM).url)
    with refused("NotModelled"):
        clients.ecs.list_attributes(targetType="container-instance")
    with refused("NotModelled"):
        clients.elbv2.describe_tags(ResourceArns=["arn:x"])


def test_a_job_becomes_a_role(aws, cloud):
    served = cloud(CALM)
    clients = Aws(served.url)
    request = urllib.request.Request(f"{served.url}/oidc/token?audience=sts.amazonaws.com",
                                     headers={"Authorization": "Bearer runner-token"})
    with contextlib.closing(urllib.request.urlopen(request, timeout=5)) as answer:
        token = json.load(answer)["value"]
    role = "arn:aws:iam::111111111111:role/deploy"
    given = clients.sts.assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="run-1", WebIdentityToken=token)["Credentials"]
    session = boto3.client("sts", endpoint_url=served.url, region_name="eu-west-1",
                           aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
                           aws_session_token=given["SessionToken"])
    assert ":assumed-role/deploy/run-1" in session.get_caller_identity()["Arn"]
    clients.verify()


def test_every_modelled_operation_was_looked_at():
    """Runs last: the calls of the tests above against the list of operations that the emulator has."""
    wanted = {
        "ecs": "ContinueServiceDeployment CreateService DeleteService DeregisterTaskDefinition DescribeClusters DescribeServiceDeployments"
               " DescribeServiceRevisions DescribeServices DescribeTaskDefinition DescribeTasks ListClusters"
               " ListServiceDeployments ListServices ListTagsForResource ListTaskDefinitions ListTasks"
               " RegisterTaskDefinition RunTask StopServiceDeployment StopTask TagResource UntagResource UpdateService",
        "ecr": "BatchCheckLayerAvailability BatchGetImage DescribeImages DescribeRepositories GetAuthorizationToken"
               " GetDownloadUrlForLayer PutImage",
        "sts": "AssumeRoleWithWebIdentity GetCallerIdentity",
        "iam": "SimulatePrincipalPolicy",
        "elbv2": "DescribeListeners DescribeRules DescribeTargetGroups DescribeTargetHealth ModifyRule",
        "cloudwatch": "DescribeAlarms GetMetricData",
        "logs": "DescribeLogGroups GetLogEvents",
        "sns": "Publish",
    }
    missing = {f"{service}.{name}" for service, names in wanted.items() for name in names.split()} - SEEN.keys()
    assert not missing
