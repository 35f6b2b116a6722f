"""The program of the target compose, function by function, in sh without an engine: what a real server shows only after hours or by chance."""

import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "src/targets/compose/server"
FILES = ["common", "observe", "release", "task", "attempt", "proxy", "transaction"]
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
ENGINE = """#!/bin/sh
case "$*" in
  *NetworkSettings*edge) echo "edge_default shop_default " ;;
  *NetworkSettings*host) echo "" ;;
  *NetworkSettings*near) echo "shop_default " ;;
  *NetworkSettings*far) echo "other_default " ;;
  *" up "*) exec sleep "${UP_SECONDS:-0}" ;;
esac
"""


@pytest.fixture(params=SHELLS)
def program(request, tmp_path):
    """Runs lines after the program, for the release 3 of a service that keeps two."""
    (tmp_path / "bin").mkdir()
    engine = tmp_path / "bin/docker"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    for number in (1, 2, 3):
        (tmp_path / f"srv/.roadstead/web/releases/{number}/files").mkdir(parents=True)
        (tmp_path / f"srv/.roadstead/web/releases/{number}/facts").write_text("none f e c\n")
    (tmp_path / "srv/.roadstead/web/attempts/9").mkdir(parents=True)
    words = {"operation": "none", "directory": tmp_path / "srv", "service": "web", "project": "shop", "keep": 2, "release": 3,
             "start_limit": 5, "proxy_container": "edge", "facts": "none f e c", "attempt": 9, "backup": "", "owner": "run"}
    head = "".join(f"rs_{name}='{value}'\n" for name, value in words.items())
    text = head + "".join((FOLDER / f"{name}.sh").read_text() for name in FILES) + "rs_dc='docker compose'\nrs_a=$base/attempts/9\n"
    command = ["busybox", "sh"] if request.param == "busybox" else [request.param]

    def run(lines, **variables):
        (tmp_path / "script").write_text(text + lines)
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", **variables}
        done = subprocess.run([*command, tmp_path / "script"], capture_output=True, text=True, env=environment, timeout=60)
        return done.stdout.split("\n")[:-1]

    run.folder = tmp_path / "srv"
    return run


@pytest.mark.parametrize("old, kept", [("2", ["2", "3"]), ("1", ["1", "3"]), ("3", ["2", "3"]), ("none", ["2", "3"])])
def test_as_many_releases_stay_as_are_to_be_kept(program, old, kept):
    assert program(f'old_release={old}; remove_releases; ls "$base/releases"') == kept


def test_proxy_must_have_a_network_of_the_container(program):
    lines = [f"rs_proxy_container={proxy}; is_reachable {container} && echo {proxy} {container}\n"
             for proxy in ("edge", "host") for container in ("near", "far")]
    assert program("".join(lines)) == ["edge near", "host near", "host far"]


def test_compose_that_waits_for_ever_is_ended(program):
    up = 'rs_start_limit=-599; reason=; bring_up "$base/releases/3" web; echo "$? $reason"'
    assert program(up) == ["0 "]
    assert program(up, UP_SECONDS="30") == ["1 dependencies"]


def test_variables_that_no_release_owns_are_left_alone(program):
    own = program.folder / ".env"
    own.write_text("BY=hand\n")
    assert program('keep_env; echo AFTER=1 >"$rs_directory/.env"; restore_env "$rs_a"; cat "$rs_directory/.env"') == ["AFTER=1"]
    (program.folder / ".roadstead/web/releases/3/env").write_text("OF=release\n")
    lines = 'keep_env; install_env "$base/releases/3"; cat "$rs_directory/.env"; restore_env "$rs_a"; cat "$rs_directory/.env"'
    assert program(lines) == ["OF=release", "AFTER=1"]


def test_variables_of_a_killed_command_go_back_before_a_change(program):
    (program.folder / ".env").write_text("OF=command\n")
    (program.folder / ".roadstead/web/env-before").write_text("BEFORE=1\n")
    assert program('recover; cat "$rs_directory/.env"; ls "$base"') == ["BEFORE=1", "attempts", "releases"]


def test_attempt_that_is_aborted_during_its_backup_changes_nothing(program):
    attempt = program.folder / ".roadstead/web/attempts/9"
    (attempt / "abort").write_text("yes\n")
    program("switch() { echo changed; }; replace() { echo changed; }; transaction")
    assert (attempt / "state").read_text() == "rolled-back aborted\n"


def test_other_project_is_refused(program):
    start = 'setsid() { : ; }; rs_attempt=10; start; '
    assert program(start + "cat $base/project") == ["started 10", "shop"]
    said = program("rs_project=store; " + start.replace("10", "11") + "ls $base/attempts")
    assert said[0] == "refused project" and "`shop`" in said[1] and said[2:] == ["10", "9"], said


def test_release_that_another_request_brought_meanwhile_is_not_put_into_it(program):
    lines = ('rs_release=7; rs_adopt=no; write_release() { : ; }; has_service() { : ; }; taken_ports() { return 1; }\n'
             'foreign_platform() { return 1; }\n'
             'pull() { mkdir -p "$base/releases/7"; echo "$rs_facts" >"$base/releases/7/facts"; }\n'
             'rs_credential=; stage; ls -A "$base/releases" "$base/releases/7"')
    said = program(lines)
    assert said[0] == "staged" and not [line for line in said if line.startswith(".new")], said


def test_lines_of_files_of_variables_are_hidden(program):
    errors = ["failed to read /srv/shop/.env: line 3: unexpected character in hunter2", "yaml: line 4: did not find expected key",
              'unexpected character "." in variable name near "hunter2"', 'unterminated quoted value "hunter2']
    said = program("hide_variables <<'END'\n" + "\n".join(errors) + "\nEND\n")
    assert "hunter2" not in "".join(said) and said[1] == errors[1] and len(said) == 4, said
