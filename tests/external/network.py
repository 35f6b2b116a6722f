"""A company's network on loopback: a certificate authority of its own, a forward proxy, and servers behind it that have
any name. Nothing here needs a nameserver: only the proxy knows where a host is.
"""

import base64
import contextlib
import dataclasses
import datetime
import http.server
import ipaddress
import socket
import ssl
import tempfile
import threading
import urllib.parse

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOP_HEADERS = {"connection", "proxy-connection", "proxy-authorization", "keep-alive", "transfer-encoding", "host",
               "content-length", "accept-encoding", "content-encoding"}


class Authority:
    """A private certificate authority, and certificates that it issues."""

    def __init__(self, folder, name="Corporate Authority"):
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key, [], 3650, is_authority=True)
        self.pem = folder / f"{name.lower().replace(' ', '-')}.pem"
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.contexts, self.lock = {}, threading.Lock()

    def _sign(self, name, key, names, days, is_authority=False, since=-1):
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:60])])
        issuer = subject if is_authority else self.certificate.subject
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=since)).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general_name(one) for one in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def context(self, name, days=30, since=-1):
        """A server's TLS settings with a certificate for `name`."""
        with self.lock:
            known = (name, days)
            if known not in self.contexts:
                self.contexts[known] = self.new_context(name, days, since)
            return self.contexts[known]

    def new_context(self, name, days=30, since=-1):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, [name], days, since=since)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".pem") as file:
            file.write(
                key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                + certificate.public_bytes(serialization.Encoding.PEM))
            file.flush()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file.name)
        return context


def general_name(name):
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


@dataclasses.dataclass
class Visit:
    """A request that an origin got."""

    scheme: str
    host: str
    method: str
    path: str
    authorized: bool


class Origin:
    """Every server of the internet: answers any host, over TLS with a certificate for the name that the client asks for.
    Hosts in `pages` answer for themselves, all others are the emulator's."""

    def __init__(self, upstream, authority, pages=None):
        self.upstream, self.authority, self.pages, self.visits = upstream, authority, pages or {}, []
        self.name_of = lambda name: name  # the name in the certificate for a host
        self.hostile, self.is_hostile = None, lambda host: False  # a way of hostile.py, and where
        self.days = 30
        self.since = -1
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            scheme = "http"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                host = (self.headers.get("host") or "").rsplit(":", 1)[0]
                authorized = "authorization" in self.headers
                origin.visits.append(Visit(self.scheme, host, self.command, self.path, authorized))
                if origin.hostile and origin.is_hostile(host):
                    self.close_connection = True
                    origin.hostile(self)
                    return
                status, headers, content = origin.respond(host, self, body)
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in HOP_HEADERS:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

            def log_message(self, *_):
                pass

        class SecureHandler(Handler):
            scheme = "https"

            def setup(self):
                self.request = entry.wrap_socket(self.request, server_side=True)
                super().setup()

        def choose(connection, name, _):
            wanted = origin.name_of(name or "127.0.0.1")
            connection.context = authority.context(wanted, origin.days, origin.since)

        entry = authority.new_context("default.invalid")
        entry.sni_callback = choose
        self.plain, self.secure = Server(Handler), Server(SecureHandler)

    def respond(self, host, request, body):
        if host in self.pages:
            return self.pages[host](request.path, body)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        done = requests.request(
            request.command, self.upstream + request.path, headers=headers, data=body, timeout=120, allow_redirects=False,
            proxies={"http": None, "https": None})
        return done.status_code, dict(done.headers), done.content

    def hosts(self):
        return {visit.host for visit in list(self.visits)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.plain.close()
        self.secure.close()


class Server(http.server.ThreadingHTTPServer):
    """Serves on loopback until it is closed; broken connections are nobody's concern."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        pass

    def close(self):
        self.shutdown()
        self.server_close()


class Proxy:
    """A forward proxy: CONNECT for TLS, absolute URLs for the rest. It sends every host to `origin`."""

    def __init__(self, origin, login=None, refused=None, secure=None):
        self.origin, self.login, self.refused = origin, login, refused or {}
        self.seen, self.unauthorized = [], 0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                if secure:
                    self.request = secure.wrap_socket(self.request, server_side=True)
                super().setup()

            def refuse(self, status):
                self.send_response_only(status)
                if status == 407:
                    self.send_header("proxy-authenticate", 'Basic realm="corp"')
                self.send_header("content-length", "0")
                self.end_headers()
                self.close_connection = True

            def may_pass(self, host):
                if proxy.login:
                    expected = "Basic " + base64.b64encode(proxy.login.encode()).decode()
                    if self.headers.get("proxy-authorization") != expected:
                        proxy.unauthorized += 1
                        self.refuse(407)
                        return False
                if host in proxy.refused:
                    self.refuse(proxy.refused[host])
                    return False
                return True

            def do_CONNECT(self):
                host, _, port = self.path.rpartition(":")
                proxy.seen.append((host.strip("[]"), int(port)))
                if not self.may_pass(host.strip("[]")):
                    return
                with socket.create_connection(("127.0.0.1", proxy.origin.secure.port)) as there:
                    self.send_response_only(200, "Connection established")
                    self.end_headers()
                    pump(self.connection, there)
                self.close_connection = True

            def forward(self):
                to = urllib.parse.urlsplit(self.path)
                proxy.seen.append((to.hostname, to.port or 80))
                if not self.may_pass(to.hostname):
                    return
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
                done = requests.request(
                    self.command, f"http://127.0.0.1:{proxy.origin.plain.port}{self.path.removeprefix(f'http://{to.netloc}')}",
                    headers=headers | {"host": to.netloc}, data=body, timeout=120, allow_redirects=False,
                    proxies={"http": None})
                self.send_response_only(done.status_code)
                for name, value in done.headers.items():
                    if name.lower() not in HOP_HEADERS:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(done.content)))
                self.end_headers()
                self.wfile.write(done.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = forward

            def log_message(self, *_):
                pass

        self.server = Server(Handler)
        self.scheme = "https" if secure else "http"

    def url(self, login=None):
        user, _, password = (login or "").partition(":")
        info = f"{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password, safe='')}@" if login else ""
        return f"{self.scheme}://{info}127.0.0.1:{self.server.port}"

    def hosts(self):
        return {host for host, _ in list(self.seen)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


def pump(one, other):
    """Carries bytes both ways until either side ends."""

    def carry(source, sink):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join(120)
