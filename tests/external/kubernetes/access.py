"""Who may do what in a namespace: the Role of the documentation as it stands there, and tokens, good and bad."""

import base64
import copy
import datetime
import ipaddress
import json
import re

import machine
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import NameOID

ACCOUNT = "roadstead"
RESOURCES = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
PAGE = machine.ROOT / "docs/targets/kubernetes.md"


def documented_rules():
    """The rules of the Role in the documentation."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    [role] = [part for block in blocks if "kind: Role\n" in block for part in yaml.safe_load_all(block) if part["kind"] == "Role"]
    return role["rules"]


def rules(workloads, with_command):
    """The documented rules for these workloads: names and kinds, and what the sentences below the Role say of them."""
    made = []
    for name, kind in workloads.items():
        for rule in copy.deepcopy(documented_rules()):
            if "resourceNames" in rule:
                rule |= {"resources": [RESOURCES[kind]], "resourceNames": [name]}
            if rule["resources"] == ["replicasets"] and kind != "Deployment":
                rule["resources"] = ["controllerrevisions"]
            made.append(rule)
        if kind == "StatefulSet":
            made.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]})
    if with_command:
        made.append({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "delete"]})
    return made


def grant(api, namespace, granted):
    """Makes the account with these rules, and gives a token of it."""
    group = "rbac.authorization.k8s.io"
    metadata = {"name": ACCOUNT}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace)
    api.apply({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": granted}, namespace)
    api.apply({
        "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
    }, namespace)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = api.send("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{ACCOUNT}/token", body)
    return made["status"]["token"]


def signed_token(folder, token, expires):
    """The same token with another end, signed by the key of the cluster."""

    def encode(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    header, claims, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
    claims |= {"exp": int(expires), "iat": int(expires) - 3600, "nbf": int(expires) - 3600}
    text = f"{header}.{encode(json.dumps(claims).encode())}"
    key = serialization.load_pem_private_key((folder / "accounts.key").read_bytes(), None)
    return f"{text}.{encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def certificate(address="127.0.0.1"):
    """A certificate that nobody else signed, for an address: key and certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another authority")])
    now = datetime.datetime.now(datetime.timezone.utc)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2)).add_extension(alternative, False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True).sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), made.public_bytes(serialization.Encoding.PEM).decode()
