"""Workflows, action.yml and every example workflow, as other people's linters see them."""

import os
import pathlib
import re
import subprocess

import machine
import pytest

WORKFLOWS = sorted(machine.ROOT.glob(".github/workflows/*.yml"))
EXAMPLES = sorted(path for path in machine.ROOT.glob("examples/*/*.y*ml") if "\njobs:\n" in path.read_text())
DOCUMENTS = sorted([machine.ROOT / "README.md", *machine.ROOT.glob("docs/**/*.md")])


def clean(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def snippets(path):
    """Whole workflows in a document's fences."""
    if not path.is_file():
        return []
    fences = re.findall(r"^```ya?ml\n(.*?)^```", path.read_text(), re.M | re.S)
    return [text for text in fences if re.search(r"^on:", text, re.M) and re.search(r"^jobs:", text, re.M)]


def name(path):
    return str(path.relative_to(machine.ROOT))


def test_there_is_something_to_lint():
    assert {path.name for path in WORKFLOWS} >= {"check.yml", "image.yml", "release.yml"}
    assert (machine.ROOT / "action.yml").is_file()
    assert "rollback.yml" in {path.name for path in EXAMPLES}


def test_action_yml_fits_its_schema():
    clean("check-jsonschema", "--builtin-schema", "vendor.github-actions", machine.ROOT / "action.yml")


@pytest.mark.parametrize("path", WORKFLOWS + EXAMPLES, ids=name)
def test_workflows_fit_their_schema(path):
    clean("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


@pytest.fixture(scope="session")
def actionlint():
    said = subprocess.run([machine.ROOT / "scripts/setup-actionlint"], stdout=subprocess.PIPE, check=True, text=True)
    # It does not know a call of a workflow of the same commit yet. Scripts in workflows have shellcheck where that is there.
    return [said.stdout.strip(), "-no-color", "-ignore", r'reusable workflow call "\$/']


@pytest.mark.parametrize("path", WORKFLOWS + EXAMPLES, ids=name)
def test_expressions_and_contexts_of_workflows_are_right(actionlint, path):
    clean(*actionlint, path)


def test_actionlint_finds_what_it_should(actionlint, tmp_path):
    bad = tmp_path / "bad.yml"
    bad.write_text(EXAMPLES[0].read_text().replace("github.ref_name", "github.ref_nam").replace("branches: [main]", "branchs: [main]"))
    with pytest.raises(AssertionError, match="ref_nam|branchs"):
        clean(*actionlint, bad)


def test_what_init_writes_is_safe_and_right(binary, cloud, actionlint, tmp_path):
    served = cloud({"services": [{"cluster": "acme", "name": "backend"}]})
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": served.url, "AWS_REGION": "eu-west-1",
                   "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
    subprocess.run([binary, "init", "--output", tmp_path], check=True, env=environment, capture_output=True)
    written = tmp_path / ".github/workflows/deploy.yml"
    clean("check-jsonschema", "--builtin-schema", "vendor.github-workflows", written)
    clean("check-jsonschema", "--schemafile", machine.ROOT / "schema/roadstead.schema.json", tmp_path / ".github/roadstead.yml")
    clean(*actionlint, written)
    clean("zizmor", "--offline", "--pedantic", "--no-progress", "--quiet", tmp_path)


@pytest.mark.parametrize("path", sorted(machine.ROOT.glob("examples/*/roadstead.yml")), ids=name)
def test_deploy_files_of_examples_fit_the_schema(path):
    clean("check-jsonschema", "--schemafile", machine.ROOT / "schema/roadstead.schema.json", path)


def test_dependabot_fits_its_schema():
    clean("check-jsonschema", "--builtin-schema", "vendor.dependabot", machine.ROOT / ".github/dependabot.yml")


@pytest.mark.parametrize("path", [machine.ROOT / "action.yml", machine.ROOT / ".github", *EXAMPLES], ids=name)
def test_nothing_is_unsafe(path):
    clean("zizmor", "--offline", "--pedantic", "--no-progress", "--quiet", path)


def test_workflows_in_documents_are_safe_and_fit_their_schema(tmp_path):
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    found = [(path, text) for path in DOCUMENTS for text in snippets(path)]
    assert "README.md" in {name(path) for path, _ in found}, "the README shows no whole workflow"
    for number, (path, text) in enumerate(found):
        # Documents leave the commit to the reader.
        (folder / f"{path.stem}-{number}.yml").write_text(text.replace("@<commit>", "@" + "0" * 40))
    clean("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *folder.iterdir())
    clean("zizmor", "--offline", "--no-progress", "--quiet", tmp_path)


def test_the_linter_finds_what_it_should(tmp_path):
    bad = tmp_path / ".github/workflows/bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(pathlib.Path(WORKFLOWS[0]).read_text() + "\n      - run: echo ${{ github.head_ref }}\n")
    with pytest.raises(AssertionError, match="template-injection"):
        clean("zizmor", "--offline", "--pedantic", "--no-progress", bad)
