"""Workflows, action.yml and every example workflow, as other people's linters see them."""

import pathlib
import re
import subprocess

import machine
import pytest

WORKFLOWS = sorted(machine.ROOT.glob(".github/workflows/*.yml"))
EXAMPLES = sorted(path for path in machine.ROOT.glob("examples/**/*.y*ml") if "\njobs:\n" in path.read_text())
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
