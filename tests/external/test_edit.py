"""`roadstead edit` on files that others wrote, seen by other people's parsers: PyYAML (YAML 1.1), ruamel (1.2) and
kustomize itself (go-yaml).

Where a value begins and ends is taken from PyYAML, so what must come out is known byte for byte without our parser.
"""

import functools
import io
import pathlib
import re
import shutil
import subprocess

import machine
import pytest
import ruamel.yaml
import yaml

DIGEST = "sha256:" + "0123456789abcdef" * 4
LISTS = {"containers", "initContainers", "ephemeralContainers", "sidecars"}


@pytest.fixture(scope="session")
def corpus():
    """Every YAML file of the modules that has an image in it, and every kustomization, up to 200 KB."""
    said = subprocess.run([machine.ROOT / "scripts/setup-manifests"], stdout=subprocess.PIPE, check=True, text=True)
    folders = [pathlib.Path(line) for line in said.stdout.splitlines()]
    files = [path for folder in folders for end in ("yaml", "yml") for path in sorted(folder.rglob(f"*.{end}"))]
    texts = {path: path.read_bytes().decode() for path in files if path.is_file() and path.stat().st_size < 200_000}
    wanted = re.compile(r"image|repository:")
    return {path: text for path, text in texts.items() if wanted.search(text) or path.stem == "kustomization"}


def edit(binary, path, *words):
    done = subprocess.run([binary, "edit", *words, path], capture_output=True, text=True)
    assert done.stderr == "", done.stderr
    return done


def read(path):
    """The text with its own line ends."""
    return path.read_bytes().decode()


@functools.cache
def composed(text):
    """PyYAML's nodes of all documents; None where it cannot read them."""
    try:
        return [node for node in yaml.compose_all(text, yaml.SafeLoader) if node]
    except yaml.YAMLError:
        return None


def walk(node, key=None, seen=None):
    """Every node once, with the key it stands under."""
    seen = set() if seen is None else seen
    if id(node) in seen:
        return
    seen.add(id(node))
    yield key, node
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from walk(value, name.value if isinstance(name, yaml.ScalarNode) else None, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from walk(value, None, seen)


def entries(node):
    return {name.value: value for name, value in node.value if isinstance(name, yaml.ScalarNode)}


def images(documents):
    """The scalars of containers' images."""
    found = []
    for document in documents:
        for key, node in walk(document):
            items = node.value if key in LISTS and isinstance(node, yaml.SequenceNode) else []
            items = items + ([node] if key in {"container", "script"} else [])
            for item in items:
                image = entries(item).get("image") if isinstance(item, yaml.MappingNode) else None
                if isinstance(image, yaml.ScalarNode) and image not in found:
                    found.append(image)
    return found


def name_of(reference):
    """Registry and repository; the port stays."""
    rest = reference.split("@")[0]
    head, slash, last = rest.rpartition("/")
    return head + slash + last.split(":")[0]


def full(name):
    """As Docker reads a short name."""
    host = name.split("/")[0]
    if "/" not in name:
        return f"docker.io/library/{name}"
    return name if "." in host or ":" in host or host == "localhost" else f"docker.io/{name}"


def spliced(text, changes):
    """The text with values at PyYAML's marks replaced, in the style they have."""
    for node, value in sorted(changes, key=lambda it: -it[0].start_mark.index):
        quote = node.style if node.style in ("'", '"') else ""
        text = text[: node.start_mark.index] + quote + value + quote + text[node.end_mark.index :]
    return text


def same(before, after, changed):
    """Whether PyYAML reads two trees alike, but for the nodes of the first that were changed."""
    if isinstance(before, yaml.ScalarNode):
        return (before.tag, before.value) == (after.tag, after.value) or any(before is it for it, _ in changed)
    if before.tag != after.tag or len(before.value) != len(after.value):
        return False
    if isinstance(before, yaml.MappingNode):
        pairs = zip(before.value, after.value)
        return all(same(a, b, changed) and same(x, y, changed) for (a, x), (b, y) in pairs)
    return all(same(a, b, changed) for a, b in zip(before.value, after.value))


def test_images_of_containers_change_and_nothing_else(binary, corpus, tmp_path):
    edited = values = 0
    for number, (source, text) in enumerate(corpus.items()):
        documents = composed(text)
        if documents is None or not all(isinstance(it, yaml.MappingNode) for it in documents):
            continue
        kinds = [{"apiVersion", "kind"} <= set(entries(document)) for document in documents]
        found = [node for node in images(documents) if re.fullmatch(r"[a-z0-9][\w./:@-]*", node.value)]
        if not any(kinds) or source.name.startswith("kustomization") or not found:
            continue
        path = tmp_path / f"{number}.yaml"
        for name in sorted({name_of(node.value) for node in found}):
            path.write_bytes(text.encode())
            done = edit(binary, path, "--image", name, "--tag", "v9-roadstead")
            assert done.returncode == 0, f"{source}: {name}: {done.stdout}"
            ours = [node for node in found if full(name_of(node.value)) == full(name)]
            changes = [(node, f"{name}:v9-roadstead") for node in ours]
            assert read(path) == spliced(text, changes), f"{source}: {name}"
            after = composed(read(path))
            assert all(same(a, b, changes) for a, b in zip(documents, after, strict=True)), source
            edited, values = edited + 1, values + len(changes)
    assert edited >= 150 and values >= 200, (edited, values)


def test_helm_values_change_and_nothing_else(binary, corpus, tmp_path):
    edited = 0
    for number, (source, text) in enumerate(corpus.items()):
        documents = composed(text)
        if not source.name.startswith("values") or not documents or not isinstance(documents[0], yaml.MappingNode):
            continue
        for _, node in walk(documents[0]):
            pair = entries(node) if isinstance(node, yaml.MappingNode) else {}
            if not {"repository", "tag"} <= set(pair) or not pair["tag"].value or not pair["repository"].value:
                continue
            path = tmp_path / f"values-{number}.yaml"
            path.write_bytes(text.encode())
            registry = entries(node)["registry"].value + "/" if "registry" in pair else ""
            done = edit(binary, path, "--image", registry + pair["repository"].value, "--tag", "v9-roadstead")
            assert done.returncode == 0, f"{source}: {done.stdout}"
            assert read(path) == spliced(text, [(pair["tag"], "v9-roadstead")]), source
            edited += 1
    assert edited >= 2, edited


def test_kustomizations_get_an_entry_and_keep_the_rest(binary, corpus, tmp_path):
    edited = 0
    for number, (source, text) in enumerate(corpus.items()):
        documents = composed(text)
        if source.stem != "kustomization" or not documents or not isinstance(documents[0], yaml.MappingNode):
            continue
        path = tmp_path / str(number) / "kustomization.yaml"
        path.parent.mkdir()
        path.write_bytes(text.encode())
        done = edit(binary, path, "--image", "reg.io:5000/acme/app", "--tag", "1.10", "--digest", DIGEST)
        assert done.returncode == 0, f"{source}: {done.stdout}"
        before, after = yaml.safe_load(text), yaml.safe_load(read(path))
        entry = {"name": "reg.io:5000/acme/app", "newTag": "1.10", "digest": DIGEST}
        assert after.pop("images") == (before.pop("images", None) or []) + [entry], source
        assert before == after, source
        kept = read(path).splitlines()
        assert [line for line in text.splitlines() if line not in kept] == [], source
        # And away again with its tag, to the byte where the entry was.
        done = edit(binary, path, "--image", "reg.io:5000/acme/app", "--digest", DIGEST)
        assert yaml.safe_load(read(path))["images"][-1] == {"name": "reg.io:5000/acme/app", "digest": DIGEST}
        edited += 1
    assert edited >= 10, edited


def test_templates_are_left_alone(binary, corpus, tmp_path):
    refused = 0
    for number, (source, text) in enumerate(corpus.items()):
        if composed(text) is not None or "{{" not in text:
            continue
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(text.encode())
        done = edit(binary, path, "--image", "nginx", "--tag", "v2")
        assert done.returncode == 2 and "error manifest-" in done.stdout, f"{source}: {done.stdout}"
        assert read(path) == text
        refused += 1
    assert refused >= 5, refused


TAGS = """1.10 1.0 10 0123 0o17 0x1f 0b11 1e3 1E3 12e03456 1_000 1__0 0_1 08 09 1. 685.230_15 190 y n Y N yes no on off
Yes NO On OFF true false True FALSE null Null NULL 2024-01-01 2024-1-2 2001-12-14t21 20240101 1.2.3 v1 latest c0ffee1
1a2b3c4 0000000 1234567 123456e7 0e0 00e1 1e-5 1.5e3 1.e5 _1 _ __ 0x 0b 0o8 1.2.3-rc.1 nan NaN inf Infinity 1-2 1.-2""".split()


@pytest.mark.parametrize("written", ["v1", '"v1"', "'v1'", ""])
def test_a_tag_is_a_string_to_every_parser(binary, tmp_path, written):
    path = tmp_path / "values.yaml"
    for tag in TAGS:
        path.write_text(f"# ours\nimage:\n  repository: acme/app\n  tag: {written} # live\nother: 1.10\n")
        done = edit(binary, path, "--image", "acme/app", "--tag", tag)
        assert done.returncode == 0, f"{tag}: {done.stdout}"
        text = read(path)
        old, new = yaml.safe_load(text), ruamel.yaml.YAML(typ="safe", pure=True).load(text)
        eleven = ruamel.yaml.YAML(typ="safe", pure=True)
        eleven.version = (1, 1)
        for loaded in (old, new, eleven.load(text)):
            assert loaded["image"]["tag"] == tag and isinstance(loaded["image"]["tag"], str), text
        assert ruamel.yaml.YAML().load(io.StringIO(text)).ca.comment, text
        assert text.count("# live") == 1 and text.startswith("# ours\n") and text.endswith("\nother: 1.10\n")


@pytest.fixture(scope="session")
def kustomize():
    said = subprocess.run([machine.ROOT / "scripts/setup-kustomize"], stdout=subprocess.PIPE, check=True, text=True)
    return said.stdout.strip()


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: NAME}, {name: b, image: b:1}]}\n"
NEW = "reg.io:5000/acme/app"
WISHES = [(tag, digest) for tag in ("v2", "1.10", "0123", "12e03456", "on", None) for digest in (DIGEST, None) if tag or digest]


@pytest.mark.parametrize(
    ("name", "images"),
    [
        (NEW, ""),
        (NEW, "images:\n"),
        (NEW, "images: []\n"),
        (NEW, "images:\n  - name: b\n    newTag: v0 # mine\n"),
        (NEW, f"images:\n- name: {NEW}\n  newTag: v1\n"),
        (NEW, f"images:\n- name: {NEW}\n  digest: sha256:{'0' * 64}\n"),
        (NEW, f"images:\n- digest: sha256:{'0' * 64}\n  name: {NEW}\n  newTag: 'v1'"),
        ("acme/app", "images:\n- name: acme/app\n  newTag: v1\n"),
        ("base", f"images: [{{name: base, newName: {NEW}, newTag: v1}}]\n"),
        ("base", f"images:\n- {{ newName: acme/app, name: base, digest: 'sha256:{'0' * 64}' }}\n"),
    ],
)
def test_kustomize_renders_the_requested_image(binary, kustomize, tmp_path, name, images):
    """The one that reads it in the end: the rendered object has the requested image, whatever the file had before."""
    path = tmp_path / "kustomization.yaml"
    (tmp_path / "pod.yaml").write_text(POD.replace("NAME", f"{name}:old"))
    for tag, digest in WISHES:
        path.write_text(f"resources:\n- pod.yaml\n{images}")
        words = (["--tag", tag] if tag else []) + (["--digest", digest] if digest else [])
        done = edit(binary, path, "--image", NEW, *words)
        assert done.returncode == 0, done.stdout
        built = subprocess.run([kustomize, "build", tmp_path], capture_output=True, text=True)
        assert built.returncode == 0, f"{read(path)}\n{built.stderr}"
        wanted = NEW + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
        containers = yaml.safe_load(built.stdout)["spec"]["containers"]
        assert containers[0]["image"] == wanted, read(path)
        assert containers[1]["image"] == ("b:v0" if "mine" in images else "b:1")


def test_the_oracle_would_notice(binary, corpus, tmp_path):
    """The checks above are not blind: a careless edit, such as yaml-update tools make, fails them."""
    source, text = next((path, text) for path, text in corpus.items() if (composed(text) and images(composed(text))))
    nodes = composed(text)
    changes = [(image, "x:1") for image in images(nodes)]
    assert yaml.safe_dump_all(yaml.safe_load_all(text)) != spliced(text, changes), source
    other = composed(text.replace("image:", "Image:"))
    assert not all(same(a, b, changes) for a, b in zip(nodes, other, strict=True))
    assert shutil.which("go"), "the corpus came without Go?"
