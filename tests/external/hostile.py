"""Servers that harm their clients, each in one way. A way is a function of the request's handler."""

import gzip
import json
import time
import zlib

PATIENCE = 300  # seconds for which a connection is held open


def head(handler, status=200, **headers):
    handler.send_response_only(status)
    for name, value in {"content-type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def silent(handler):
    """Takes the request and says nothing."""
    time.sleep(PATIENCE)


def slow(handler):
    """A byte a second."""
    head(handler, content_length=100_000)
    for _ in range(PATIENCE):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(1)


def endless(handler):
    """JSON without an end, as fast as it is read."""
    head(handler, connection="close")
    handler.wfile.write(b'{"value":"')
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        handler.wfile.write(b"x" * 65536)


def bomb(handler):
    """2 GiB of JSON in 2 MB of gzip, which nobody asked for."""
    head(handler, content_encoding="gzip", content_length=len(BOMB))
    handler.wfile.write(BOMB)


def _bomb():
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = b" " * (1 << 20)
    return b"".join([packed.compress(chunk) for _ in range(2048)] + [packed.flush()])


BOMB = _bomb()


def html(handler):
    """A page of a gateway, with the status of success."""
    body = b"<html><body>Welcome to the corporate gateway</body></html>"
    head(handler, content_type="text/html", content_length=len(body))
    handler.wfile.write(body)


def array(handler):
    """JSON of another shape."""
    head(handler, content_length=2)
    handler.wfile.write(b"[]")


def truncated(handler):
    """A body that ends early."""
    head(handler, content_length=5000)
    handler.wfile.write(b'{"data":{"value":"')


def broken_gzip(handler):
    body = gzip.compress(json.dumps({"value": "x" * 100}).encode())[:-12]
    head(handler, content_encoding="gzip", content_length=len(body))
    handler.wfile.write(body)


def elsewhere(handler):
    """Sends the client to another host, which must not get what this one got."""
    head(handler, 307, location="https://elsewhere.corp.example" + handler.path, content_length=0)


def circle(handler):
    """Sends the client to where it came from."""
    head(handler, 302, location=handler.path, content_length=0)


def downgrade(handler):
    """Sends the client to the same host without TLS."""
    host = handler.headers.get("host", "").split(":")[0]
    head(handler, 308, location=f"http://{host}{handler.path}", content_length=0)


WAYS = {way.__name__: way for way in (
    silent, slow, endless, bomb, html, array, truncated, broken_gzip, elsewhere, circle, downgrade)}
