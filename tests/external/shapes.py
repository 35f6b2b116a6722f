"""Holds raw answers of an AWS endpoint against botocore's service models: nothing unknown, nothing of another type,
no value outside an enum. boto3's own parser drops what it does not know, so the bodies are read here again.
"""

import base64
import binascii
import io
import json
import re
import xml.etree.ElementTree as xml

import botocore.parsers

# What any service may answer, beside what its model lists for an operation.
COMMON_ERRORS = {
    "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "InternalFailure",
    "InvalidClientTokenId", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "RequestLimitExceeded", "ServiceUnavailable", "ServiceUnavailableException", "Throttled", "Throttling",
    "ThrottlingException", "UnrecognizedClientException", "ValidationError", "ValidationException", "SignatureDoesNotMatch",
}


class Wrong(AssertionError):
    """An answer that the model does not allow; the message lists every place."""


class Recorder:
    """Checks every answer that a boto3 client gets. `answers` counts them by operation."""

    def __init__(self, client):
        self.client, self.answers, self.wrong = client, {}, []
        client.meta.events.register("before-parse.*.*", self._seen)

    def _seen(self, operation_model, response_dict, **_):
        name = f"{operation_model.service_model.service_name}.{operation_model.name}"
        self.answers[name] = self.answers.get(name, 0) + 1
        self.wrong += [f"{name}: {line}" for line in check(operation_model, response_dict)]


def check(operation, response):
    """What is wrong with one raw answer (`status_code`, `headers`, `body`)."""
    protocol, body = operation.service_model.resolved_protocol, response["body"]
    reader = {"json": _json, "query": _query, "smithy-rpc-v2-cbor": _cbor, "rest-json": _rest}[protocol]
    try:
        return reader(operation, response["status_code"], body, response["headers"])
    except (ValueError, KeyError, xml.ParseError, UnicodeDecodeError) as error:
        return [f"the body cannot be read: {error!r}: {body[:200]!r}"]


def _error(operation, code):
    modelled = {shape.error_code for shape in operation.error_shapes} | {s.name for s in operation.error_shapes}
    if code in modelled | COMMON_ERRORS:
        return []
    return [f"error {code!r} is not one of {sorted(modelled)}"]


def _header(headers, wanted, got):
    value = next((v for k, v in headers.items() if k.lower() == "content-type"), "")
    return [] if re.match(wanted, value) else [f"{got} with content type {value!r}"]


def _json(operation, status, body, headers):
    version = operation.service_model.metadata["jsonVersion"]
    wrong = _header(headers, rf"application/x-amz-json-{re.escape(version)}$", "JSON")
    found = json.loads(body or b"{}")
    if status >= 300:
        code = found.get("__type", "").split("#")[-1]
        return wrong + _error(operation, code)
    if operation.output_shape is None:
        return wrong + ([f"{found!r} where nothing is expected"] if found else [])
    return wrong + list(walk(operation.output_shape, found, operation.name, Json))


def _rest(operation, status, body, headers):
    given = {key.lower(): value for key, value in headers.items()}
    if status >= 300:
        wrong = _header(headers, r"application/json$", "JSON")
        found = json.loads(body or b"{}")
        code = given.get("x-amzn-errortype", "")
        shape = next((s for s in operation.error_shapes if s.name == code), None)
        if shape is not None:
            if status != shape.metadata.get("error", {}).get("httpStatusCode", status):
                wrong.append(f"{code} with status {status}")
            wrong += list(walk(shape, found, code, Rest))
        return wrong + _error(operation, code)
    wrong = [] if status == operation.http.get("responseCode", 200) else [f"status {status}"]
    shape = operation.output_shape
    if shape is None:
        return wrong
    payload = shape.serialization.get("payload")
    placed = {name: member for name, member in shape.members.items() if member.serialization.get("location") == "header"}
    for name, member in placed.items():
        value = given.get(member.serialization.get("name", name).lower())
        if value is not None:
            wrong += list(text(member, value, f"{operation.name}.{name}"))
    if payload is not None and shape.members[payload].type_name == "blob":
        return wrong
    wrong += _header(headers, r"application/json$", "JSON")
    return wrong + list(walk(shape, json.loads(body or b"{}"), operation.name, Rest))


def _cbor(operation, status, body, headers):
    wrong = _header(headers, r"application/cbor$", "CBOR")
    if {k.lower(): v for k, v in headers.items()}.get("smithy-protocol") != "rpc-v2-cbor":
        wrong.append("no header smithy-protocol: rpc-v2-cbor")
    parser = botocore.parsers.RpcV2CBORParser()
    stream = io.BufferedReader(io.BytesIO(body))
    found = parser.parse_data_item(stream) if body else {}
    if stream.read(1):
        wrong.append("bytes after the end of the answer")
    if status >= 300:
        return wrong + _error(operation, found.get("__type", "").split("#")[-1])
    if operation.output_shape is None:
        return wrong
    return wrong + list(walk(operation.output_shape, found, operation.name, Cbor))


def walk(shape, value, where, wire):
    if value is None:
        yield f"{where} is null"
    elif getattr(shape, "is_document_type", False):
        return  # whatever JSON its owner put there
    elif shape.type_name == "structure":
        yield from _structure(shape, value, where, wire)
    elif shape.type_name == "list":
        if not isinstance(value, list):
            yield f"{where} is {value!r}, not a list"
            return
        for number, item in enumerate(value):
            yield from walk(shape.member, item, f"{where}[{number}]", wire)
    elif shape.type_name == "map":
        if not isinstance(value, dict):
            yield f"{where} is {value!r}, not a map"
            return
        for key, item in value.items():
            yield from walk(shape.key, key, f"{where} key", wire)
            yield from walk(shape.value, item, f"{where}[{key}]", wire)
    elif not wire.fits(shape.type_name, value):
        yield f"{where} is {value!r}, not a {shape.type_name}"
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where} is {value!r}, not one of {shape.enum}"


def _structure(shape, value, where, wire):
    if not isinstance(value, dict):
        yield f"{where} is {value!r}, not a structure"
        return
    names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    for key in value.keys() - names.keys():
        yield f"{where}.{key} is no member of {shape.name}"
    for key in set(shape.required_members) - value.keys():
        yield f"{where}.{key} is required"
    for key in names.keys() & value.keys():
        yield from walk(names[key], value[key], f"{where}.{key}", wire)


class Json:
    @staticmethod
    def fits(kind, value):
        if isinstance(value, bool):
            return kind == "boolean"
        return {
            "string": lambda: isinstance(value, str),
            "integer": lambda: isinstance(value, int),
            "long": lambda: isinstance(value, int),
            "float": lambda: isinstance(value, int | float),
            "double": lambda: isinstance(value, int | float),
            "timestamp": lambda: isinstance(value, int | float) and 1e9 < value < 1e10,
            "blob": lambda: isinstance(value, str) and _base64(value),
        }.get(kind, lambda: False)()


class Rest(Json):
    @staticmethod
    def fits(kind, value):
        if kind == "timestamp":
            return isinstance(value, str) and re.match(TEXTS["timestamp"], value) is not None
        return Json.fits(kind, value)


class Cbor(Json):
    @staticmethod
    def fits(kind, value):
        if kind == "timestamp":
            return hasattr(value, "timestamp")
        if kind == "blob":
            return isinstance(value, bytes)
        return Json.fits(kind, value)


def _base64(text):
    try:
        return base64.b64decode(text, validate=True) is not None
    except binascii.Error:
        return False


def _query(operation, status, body, headers):
    wrong = _header(headers, r"text/xml\b", "XML")
    root = xml.fromstring(body)
    for node in root.iter():
        node.tag = node.tag.split("}")[-1]
    if status >= 300:
        code = root.findtext(".//Error/Code") or ""
        if root.tag != "ErrorResponse":
            wrong.append(f"the error is in {root.tag}")
        if not root.findtext(".//RequestId"):
            wrong.append("the error has no RequestId")
        return wrong + _error(operation, code)
    if root.tag != f"{operation.name}Response":
        wrong.append(f"the root is {root.tag}")
    extra = {node.tag for node in root} - {f"{operation.name}Result", "ResponseMetadata"}
    if extra:
        wrong.append(f"{sorted(extra)} beside the result")
    if not root.findtext("ResponseMetadata/RequestId"):
        wrong.append("no ResponseMetadata/RequestId")
    shape = operation.output_shape
    if shape is None:
        return wrong
    result = root.find(shape.serialization.get("resultWrapper", f"{operation.name}Result"))
    if result is None:
        return [*wrong, "no result"]
    return wrong + list(_element(shape, result, operation.name))


def _element(shape, node, where):
    if shape.type_name == "structure":
        names = {}
        for name, member in shape.members.items():
            flat = member.type_name == "list" and member.serialization.get("flattened")
            names[(member.member if flat else member).serialization.get("name", name)] = member
        for child in node:
            if child.tag not in names:
                yield f"{where}.{child.tag} is no member of {shape.name}"
            else:
                yield from _element(names[child.tag], child, f"{where}.{child.tag}")
        for key in set(shape.required_members) - {child.tag for child in node}:
            yield f"{where}.{key} is required"
    elif shape.type_name == "list":
        tag = shape.member.serialization.get("name", "member")
        for number, child in enumerate(node):
            if child.tag != tag:
                yield f"{where} has <{child.tag}>, not <{tag}>"
            yield from _element(shape.member, child, f"{where}[{number}]")
    elif shape.type_name == "map":
        for entry in node:
            if [child.tag for child in entry] != ["key", "value"]:
                yield f"{where} has an entry that is not key and value"
    else:
        yield from text(shape, node.text or "", where)


TEXTS = {
    "string": r"(?s).*",
    "integer": r"-?\d+$",
    "long": r"-?\d+$",
    "float": r"-?\d+(\.\d+)?([eE][-+]?\d+)?$",
    "double": r"-?\d+(\.\d+)?([eE][-+]?\d+)?$",
    "boolean": r"(true|false)$",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$",
}


def text(shape, given, where):
    if not re.match(TEXTS.get(shape.type_name, r"$."), given):
        yield f"{where} is {given!r}, not a {shape.type_name}"
    elif getattr(shape, "enum", None) and given not in shape.enum:
        yield f"{where} is {given!r}, not one of {shape.enum}"
