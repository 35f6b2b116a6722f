"""Between Roadstead and the API server: forwards requests, except for those that a rule does something else with."""

import http.client
import http.server
import ssl
import threading
import time

from . import access, plane

# What a rule says of a request: it is carried out and its answer is lost; the connection ends and nothing is carried out; no
# answer comes for a while; and the two refusals of a server that is overloaded or down.
LOSE, CUT, HANG, BUSY, DOWN = "lose", "cut", "hang", "busy", "down"
HANG_SECONDS = 25
ANSWERS = {BUSY: (429, b"Too many requests, please try again later.\n"), DOWN: (503, b"")}


class Gateway:
    """Listens with a certificate that only its own authority proves. `rule` gets method and path of each request."""

    def __init__(self, api, folder, rule):
        self.api, self.rule, self.requests = api, rule, []
        key, self.authority = access.certificate()
        file = folder / "gateway.pem"
        file.write_text(key + self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self.upstream = ssl.create_default_context(cadata=api.authority())
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method, path, headers, body):
        """Status, headers and body of the answer; None if there is none."""
        self.requests.append((time.time(), method, path))
        what = self.rule(method, path)
        if what == HANG:
            time.sleep(HANG_SECONDS)
        if what in (CUT, HANG):
            return None
        if what in ANSWERS:
            status, text = ANSWERS[what]
            return status, {"retry-after": "1", "content-type": "text/plain"}, text
        connection = http.client.HTTPSConnection("127.0.0.1", plane.API, context=self.upstream, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            kept = {"content-type": answer.headers.get("content-type", "application/json")}
            found = answer.status, kept, answer.read()
        finally:
            connection.close()
        return None if what == LOSE else found

    def _handler(self):
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                passed = {name: value for name, value in self.headers.items() if name.lower() in ("authorization", "content-type")}
                answer = gateway.answer(self.command, self.path, passed, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, text = answer
                self.send_response(status)
                for name, value in (headers | {"content-length": str(len(text))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                """Its requests are kept, not printed."""

        return Handler


def is_change(method, path):
    return method == "PATCH" and "dryRun" not in path


def lose_first_change():
    """The answer to the first change is lost."""
    seen = []

    def rule(method, path):
        if is_change(method, path) and not seen:
            seen.append(path)
            return LOSE
        return None

    return rule


def after_change(what, seconds):
    """From the first change on, everything is so for some seconds; the change itself is carried out and its answer is lost."""
    began = []

    def rule(method, path):
        if is_change(method, path) and not began:
            began.append(time.monotonic())
            return LOSE
        return what if began and time.monotonic() < began[0] + seconds else None

    return rule


def through(rule):
    """The access of a case whose requests go through a gateway with this rule."""

    def change(world):
        world.gateway = Gateway(world.api, world.folder, rule())
        world.closers.append(world.gateway.close)
        world.cluster |= {"server": world.gateway.url, "ca": world.gateway.authority}

    return change
