"""A proxy in front of the embedded cloud that reads every request with botocore's models, and shows those that moto
knows to moto as well. Whoever talks through it gets the cloud's answers.
"""

import http.client
import http.server
import io
import json
import re
import threading
import urllib.parse

import botocore.parsers
import botocore.session
import shapes

SESSION = botocore.session.get_session()
MODELS = {name: SESSION.get_service_model(name)
          for name in ["ecs", "ecr", "sts", "iam", "elbv2", "cloudwatch", "logs"]}
PREFIXES = {model.metadata.get("targetPrefix"): name for name, model in MODELS.items() if "targetPrefix" in model.metadata}
SIGNING = {model.signing_name: name for name, model in MODELS.items()}


class Seen:
    """One request, and both answers to it."""

    def __init__(self, service, operation, sent, wrong):
        self.service, self.operation, self.sent, self.wrong = service, operation, sent, wrong
        self.cloud = self.moto = None  # (status, body)

    @property
    def name(self):
        return f"{self.service}.{self.operation}"


class Mirror:
    """`with Mirror(cloud_url, moto_url) as mirror`: `mirror.url` is the endpoint, `mirror.seen` what went through."""

    def __init__(self, cloud, moto=None, shown=()):
        self.cloud, self.moto, self.shown, self.seen = cloud, moto, set(shown), []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _handle(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = mirror.handle(self.command, self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for key, value in headers:
                    if key.lower() not in {"transfer-encoding", "connection", "content-length", "date", "server"}:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _handle

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, method, path, headers, body):
        seen = read(path, headers, body)
        status, back, answer = ask(self.cloud, method, path, headers, body)
        if seen:
            seen.cloud = (status, answer)
            if self.moto and seen.name in self.shown:
                shown, _, other = ask(self.moto, method, path, headers, body)
                seen.moto = (shown, other)
            self.seen.append(seen)
        return status, back, answer

    def wrong(self):
        return [f"{seen.name}: {line}" for seen in self.seen for line in seen.wrong]

    def names(self):
        return {seen.name for seen in self.seen}


def ask(base, method, path, headers, body):
    target = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
    try:
        connection.request(method, path, body, {k: v for k, v in headers.items() if k.lower() != "connection"})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


def read(path, headers, body):
    """The request in the words of the service's model, and what the model says against it."""
    headers = {key.lower(): value for key, value in headers.items()}
    if (target := headers.get("x-amz-target")) and (service := PREFIXES.get(target.split(".")[0])):
        operation = MODELS[service].operation_model(target.split(".")[1])
        return _seen(service, operation, json.loads(body or b"{}"), shapes.Json)
    if found := re.match(r"/service/(\w+)/operation/(\w+)$", path):
        operation = MODELS["cloudwatch"].operation_model(found[2])
        stream = io.BufferedReader(io.BytesIO(body))
        sent = botocore.parsers.RpcV2CBORParser().parse_data_item(stream) if body else {}
        return _seen("cloudwatch", operation, sent, shapes.Cbor)
    fields = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)) if body else {}
    if "Action" in fields:
        scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("authorization", ""))
        service = SIGNING[scope[1]] if scope else "sts"  # AssumeRoleWithWebIdentity is not signed
        return _query(service, fields)
    return None  # no AWS call: the token endpoint


def _seen(service, operation, sent, wire):
    return Seen(service, operation.name, sent, list(shapes.walk(operation.input_shape, sent, operation.name, wire)))


def _query(service, fields):
    model = MODELS[service]
    operation = model.operation_model(fields.pop("Action"))
    wrong = [] if fields.pop("Version") == model.api_version else ["another Version than the model's"]
    top = {key.split(".")[0] for key in fields}
    wrong += [f"{name} is required" for name in set(operation.input_shape.required_members) - top]
    wrong += [line for key, value in fields.items() for line in _field(operation.input_shape, key.split("."), value, key)]
    return Seen(service, operation.name, fields, wrong)


def _field(shape, path, value, key):
    """Follows one key such as `Filters.member.1.Values.member.2` down the model."""
    if not path:
        if shape.type_name in {"list", "map", "structure"} and value:
            yield f"{key} is {value!r}, not a {shape.type_name}"
        elif shape.type_name not in {"list", "map", "structure"}:
            yield from shapes.text(shape, value, key)
    elif shape.type_name == "structure":
        if path[0] not in shape.members:
            yield f"{key}: {path[0]} is no member of {shape.name}"
        else:
            yield from _field(shape.members[path[0]], path[1:], value, key)
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        if len(path) < 2 or path[0] != item or not path[1].isdigit():
            yield f"{key} is no item of a list"
        else:
            yield from _field(shape.member, path[2:], value, key)
    else:
        yield f"{key} goes on below a {shape.type_name}"


def agree(mine, theirs, where="", ignoring=()):
    """Where two answers differ in what both of them say."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return [line for key in mine.keys() & theirs.keys() if key not in ignoring
                for line in agree(mine[key], theirs[key], f"{where}.{key}", ignoring)]
    if isinstance(mine, list) and isinstance(theirs, list):
        if len(mine) != len(theirs):
            return [f"{where} has {len(mine)} items here and {len(theirs)} there"]
        return [line for number, pair in enumerate(zip(mine, theirs, strict=True))
                for line in agree(*pair, f"{where}[{number}]", ignoring)]
    return [] if mine == theirs else [f"{where} is {mine!r} here and {theirs!r} there"]
