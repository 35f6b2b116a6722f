"""The embedded GitHub as others see it: `git` clones and checks its repositories, and PyGithub, which knows nothing of this
project, makes blobs, trees, commits, refs and pull requests in them.
"""

import os
import subprocess

import github
import pytest

NAME = "acme/manifests"
SCENARIO = {
    "github": {
        "repositories": [
            {
                "name": NAME,
                "files": {"apps/web/values.yaml": "tag: v1\r\n", "run.sh": "echo\n", "ä/ü.txt": "umlauts\n"},
                "executables": ["run.sh"],
                "symlinks": {"latest": "apps/web"},
                "filler": 250,
            }
        ]
    }
}


def git(*arguments, folder=None):
    """Git with nothing of this machine's settings; what it writes to stdout."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def served(cloud):
    return cloud(SCENARIO, speed=1)


@pytest.fixture
def repository(served):
    """The repository through PyGithub, as on a GitHub Enterprise Server."""
    client = github.Github(base_url=f"{served.url}/api/v3", auth=github.Auth.Token("t"), retry=None,
                           seconds_between_requests=None, seconds_between_writes=None)
    return client.get_repo(NAME)


def clone(served, folder):
    git("clone", "--quiet", f"{served.url}/{NAME}.git", folder)
    git("fsck", "--strict", "--full", folder=folder)
    return folder


def test_git_clones_what_the_scenario_says(served, tmp_path):
    folder = clone(served, tmp_path / "clone")
    assert (folder / "apps/web/values.yaml").read_bytes() == b"tag: v1\r\n"
    assert os.access(folder / "run.sh", os.X_OK)
    assert os.readlink(folder / "latest") == "apps/web"
    assert (folder / "ä/ü.txt").read_text() == "umlauts\n"
    assert len(git("ls-files", folder=folder).splitlines()) == 254
    assert git("log", "--format=%an %s", folder=folder) == "Ada First commit\n"


def test_a_bare_clone_can_be_cloned_again(served, tmp_path):
    git("clone", "--quiet", "--bare", f"{served.url}/{NAME}.git", tmp_path / "bare")
    git("clone", "--quiet", f"file://{tmp_path}/bare", tmp_path / "second")
    assert git("rev-parse", "HEAD", folder=tmp_path / "second") == git("rev-parse", "HEAD", folder=tmp_path / "bare")


def push(repository, text):
    """A commit of another text on the branch; its name."""
    ref = repository.get_git_ref("heads/main")
    head = repository.get_git_commit(ref.object.sha)
    entry = github.InputGitTreeElement("apps/web/values.yaml", "100644", "blob", content=text)
    commit = repository.create_git_commit("Deploy", repository.create_git_tree([entry], base_tree=head.tree), [head])
    ref.edit(commit.sha)
    return commit.sha


@pytest.mark.parametrize("version", ["0", "2"])
def test_git_fetches_in_both_versions_of_its_protocol(served, repository, tmp_path, version):
    """Refs, a shallow clone, a fetch of what is new, and the history behind the shallow one; Git checks each pack."""

    def spoken(*arguments, folder=None):
        return git("-c", f"protocol.version={version}", "-c", "fetch.fsckObjects=true", *arguments, folder=folder)

    address, first = f"{served.url}/{NAME}.git", repository.get_git_ref("heads/main").object.sha
    repository.create_git_ref("refs/tags/v1", first)
    listed = spoken("ls-remote", "--symref", address).splitlines()
    assert listed == ["ref: refs/heads/main\tHEAD", f"{first}\tHEAD", f"{first}\trefs/heads/main", f"{first}\trefs/tags/v1"]
    whole, shallow = tmp_path / "whole", tmp_path / "shallow"
    spoken("clone", "--quiet", address, whole)
    for number in range(10):
        newest = push(repository, f"tag: v{number + 2}\n")
    spoken("clone", "--quiet", "--depth", "2", address, shallow)
    assert len(git("rev-list", "HEAD", folder=shallow).split()) == 2
    spoken("fetch", "--quiet", "--depth", "5", folder=shallow)
    assert len(git("rev-list", "HEAD", folder=shallow).split()) == 5
    spoken("fetch", "--quiet", "--unshallow", folder=shallow)
    # Commits of its own make a long talk about what both have, which Git compresses.
    for number in range(40):
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "x", folder=whole)
    spoken("fetch", "--quiet", folder=whole)
    spoken("fetch", "--quiet", "origin", first, folder=whole)
    for folder in (whole, shallow):
        assert git("rev-parse", "origin/main", folder=folder).strip() == newest
        assert len(git("rev-list", "origin/main", folder=folder).split()) == 11
        git("fsck", "--strict", "--full", folder=folder)


def test_pygithub_commits_and_git_sees_it(served, repository, tmp_path):
    folder = clone(served, tmp_path / "clone")
    ref = repository.get_git_ref("heads/main")
    head = repository.get_git_commit(ref.object.sha)
    blob = repository.create_git_blob("tag: v2\r\n", "utf-8")
    entry = github.InputGitTreeElement("apps/web/values.yaml", "100644", "blob", sha=blob.sha)
    tree = repository.create_git_tree([entry], base_tree=head.tree)
    commit = repository.create_git_commit("Deploy v2", tree, [head])
    ref.edit(commit.sha)
    with pytest.raises(github.GithubException) as refused:
        ref.edit(head.sha, force=False)
    assert refused.value.status == 422

    assert repository.get_contents("apps/web/values.yaml").decoded_content == b"tag: v2\r\n"
    compared = repository.compare(head.sha, "main")
    assert (compared.status, compared.ahead_by, compared.files[0].filename) == ("ahead", 1, "apps/web/values.yaml")
    assert [it.sha for it in repository.get_commits(path="apps/web/values.yaml")] == [commit.sha, head.sha]
    git("pull", "--quiet", folder=folder)
    git("fsck", "--strict", "--full", folder=folder)
    assert git("rev-parse", "HEAD", folder=folder).strip() == commit.sha
    assert git("show", "--stat", "--format=%s", folder=folder).startswith("Deploy v2\n")


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_pygithub_opens_and_merges_a_pull_request(served, repository, tmp_path, method):
    main = repository.get_git_ref("heads/main")
    repository.create_git_ref("refs/heads/deploy", main.object.sha)
    with pytest.raises(github.GithubException) as early:
        repository.create_pull("main", "deploy", title="Deploy", body="")
    assert early.value.data["errors"][0]["message"] == "No commits between main and deploy"
    head = repository.get_git_commit(main.object.sha)
    entry = github.InputGitTreeElement("run.sh", "100755", "blob", content="true\n")
    tree = repository.create_git_tree([entry], base_tree=head.tree)
    commit = repository.create_git_commit("Deploy", tree, [head])
    repository.get_git_ref("heads/deploy").edit(commit.sha)
    pull = repository.create_pull("main", "deploy", title="Deploy", body="words")
    assert [it.number for it in repository.get_pulls(head="acme:deploy", base="main")] == [pull.number]
    pull.edit(title="Deploy it")
    merged = pull.merge(merge_method=method, sha=commit.sha)
    assert merged.merged
    assert repository.get_pull(pull.number).merged
    folder = clone(served, tmp_path / "clone")
    assert git("rev-parse", "HEAD", folder=folder).strip() == merged.sha
    assert (folder / "run.sh").read_text() == "true\n"
    commits = {"merge": 3, "squash": 2, "rebase": 2}[method]
    assert len(git("log", "--format=%H", folder=folder).splitlines()) == commits
