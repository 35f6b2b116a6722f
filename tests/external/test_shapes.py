"""The checker of answers, checked: it accepts what fits the models and names what does not."""

import json

import botocore.model
import botocore.session
import mirror
import pytest
import shapes

SESSION = botocore.session.get_session()
JSON = {"Content-Type": "application/x-amz-json-1.1"}


def said(service, operation, body, status=200, headers=JSON):
    model = SESSION.get_service_model(service).operation_model(operation)
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return shapes.check(model, {"status_code": status, "headers": headers, "body": body})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"services": [{"serviceName": "a", "desiredCount": 2, "createdAt": 1772442000.5}], "failures": []}, None),
        ({"services": [{"serviceNames": "a"}]}, "serviceNames is no member of Service"),
        ({"services": [{"desiredCount": "2"}]}, "desiredCount is '2', not a integer"),
        ({"services": [{"desiredCount": True}]}, "not a integer"),
        ({"services": [{"createdAt": "2026-03-02T09:00:00Z"}]}, "not a timestamp"),
        ({"services": [{"createdAt": 1772442000500}]}, "not a timestamp"),
        ({"services": [{"launchType": "FARGAT"}]}, "not one of"),
        ({"services": {}}, "not a list"),
        ({"services": None}, "is null"),
    ],
)
def test_json(body, words):
    wrong = said("ecs", "DescribeServices", body)
    assert (wrong == []) if words is None else (len(wrong) == 1 and words in wrong[0])


def test_errors_must_be_modelled():
    assert said("ecs", "DescribeServices", {"__type": "ClusterNotFoundException", "message": "m"}, 400) == []
    assert said("ecs", "DescribeServices", {"__type": "ThrottlingException", "message": "m"}, 400) == []
    wrong = said("ecs", "DescribeServices", {"__type": "ServiceNotFound"}, 400)
    assert len(wrong) == 1 and "ServiceNotFound" in wrong[0]


XML = {"Content-Type": "text/xml"}
HEALTH = b"""<DescribeTargetHealthResponse xmlns="urn:x"><DescribeTargetHealthResult><TargetHealthDescriptions><member>
<Target><Id>10.0.0.1</Id><Port>%s</Port></Target><TargetHealth><State>%s</State></TargetHealth></member>
</TargetHealthDescriptions></DescribeTargetHealthResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
</DescribeTargetHealthResponse>"""


def test_query():
    def health(port, state):
        return said("elbv2", "DescribeTargetHealth", HEALTH % (port, state), headers=XML)

    assert health(b"80", b"healthy") == []
    assert "not a integer" in health(b"http", b"healthy")[0]
    assert "not one of" in health(b"80", b"fine")[0]
    strange = HEALTH % (b"80", b"healthy")
    strange = strange.replace(b"<Id>", b"<Name>").replace(b"</Id>", b"</Name>")
    assert "Name is no member" in said("elbv2", "DescribeTargetHealth", strange, headers=XML)[0]


def test_cbor(monkeypatch):
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", ["smithy-rpc-v2-cbor"])
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}

    def alarms(body):
        return said("cloudwatch", "DescribeAlarms", body, headers=headers)

    # {"MetricAlarms": [{"StateValue": "OK"}]}, then the same with a state and a member that do not exist
    assert alarms(bytes.fromhex("a16c4d6574726963416c61726d7381a16a537461746556616c7565624f4b")) == []
    assert "not one of" in alarms(bytes.fromhex("a16c4d6574726963416c61726d7381a16a537461746556616c7565624f4f"))[0]
    assert "no member" in alarms(bytes.fromhex("a16c4d6574726963416c61726d7381a16a537461746556616c7566624f4b"))[0]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("ContextEntries.member.1.ContextKeyName=a", None),
        ("ContextEntries.member.1.ContextKeyValues.member.2=a", None),
        ("ContextEntries.member.1.ContextKeyType=string", None),
        ("ContextEntries.member.1.ContextKeyType=text", "not one of"),
        ("ContextEntries.1.ContextKeyName=a", "no item of a list"),
        ("ContextEntries.member.1.Key=a", "no member"),
        ("MaxItems=ten", "not a integer"),
        ("MaxItems.a=1", "goes on below"),
        ("Version=2011-06-15", "another Version"),
    ],
)
def test_query_requests(field, words):
    body = "Action=SimulatePrincipalPolicy&Version=2010-05-08&PolicySourceArn=arn&ActionNames.member.1=ecs:UpdateService"
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260302/us-east-1/iam/aws4_request, …"}
    seen = mirror.read("/", headers, f"{body}&{field}".encode())
    assert seen.name == "iam.SimulatePrincipalPolicy"
    assert (seen.wrong == []) if words is None else (len(seen.wrong) == 1 and words in seen.wrong[0])
