"""The harness itself, with shell scripts where the action would be: what it says of them must be so."""

import pytest
import runner

BASE = "debian:trixie-slim"


@pytest.fixture
def job(tmp_path):
    return runner.Runner(tmp_path, BASE)


def step(job, script, *args, **options):
    file = job.workspace / "action"
    file.write_text("#!/bin/bash\n" + script)
    file.chmod(0o755)
    return job.step(*args, entrypoint="/github/workspace/action", **options)


def test_outputs_state_summary_and_exit_code_come_back(job):
    result = step(job, r"""
        printf 'one=1\ntwo<<E\na=b\nc\nE\n' >>"$GITHUB_OUTPUT"
        echo 'left=over' >>"$GITHUB_STATE"
        echo '# Done' >>"$GITHUB_STEP_SUMMARY"
        exit 3""")
    assert result.code == 3
    assert result.outputs == {"one": "1", "two": "a=b\nc"}
    assert result.state == {"left": "over"}
    assert result.summary == "# Done\n"


def test_a_step_sees_what_a_runner_gives(job):
    result = step(job, r"""
        id -u; pwd; stat -c %u:%g /github/workspace; tty || true
        env -0 | tr '\0' '\n' | grep -E '^(INPUT_|HOME|CI|GITHUB_ACTIONS|STATE_|AWS_)' | sort
        echo "$INPUT_LINES"
        read -r line || echo 'stdin is closed'
        """, {"aws-region": "eu-west-1", "lines": "a\nb"}, {"AWS_REGION": "eu-central-1"}, state={"left": "over"})
    for line in ["0", "/github/workspace", "1001:127", "not a tty", "INPUT_AWS-REGION=eu-west-1", "INPUT_LINES=a", "a", "b",
                 "HOME=/github/home", "CI=true", "GITHUB_ACTIONS=true", "STATE_left=over", "AWS_REGION=eu-central-1",
                 "stdin is closed"]:
        assert line in result.protocol.log, line


def test_values_are_in_the_environment_and_not_in_the_arguments(job):
    result = step(job, "sleep 1; exit 0", {"token": "hush-hush"})
    result.assert_hidden("hush-hush")
    with pytest.raises(AssertionError, match="arguments"):
        step(job, "bash -c 'sleep 1; : hush-hush'").assert_hidden("hush-hush")


def test_what_is_printed_before_its_mask_is_a_leak(job):
    result = step(job, "echo hush-hush; echo ::add-mask::hush-hush; echo hush-hush")
    assert result.protocol.log[-1] == "***"
    with pytest.raises(AssertionError):
        result.assert_hidden("hush-hush")


def test_commands_are_read_like_the_runner_reads_them(job):
    result = step(job, r"""
        echo '::error file=a.yml,line=3,title=No%2C really::first%0Asecond'
        echo '::stop-commands::quiet-please'; echo '::error::not me'; echo '::quiet-please::'
        echo 'text ##[warning]caught'""")
    assert [(n.level, n.message) for n in result.annotations] == [("error", "first\nsecond"), ("warning", "caught")]
    assert result.annotations[0].properties == {"file": "a.yml", "line": "3", "title": "No, really"}


def test_a_broken_output_file_is_refused(job):
    with pytest.raises(AssertionError, match="delimiter"):
        step(job, r"printf 'a<<E\nb\n' >>$GITHUB_OUTPUT")


def test_cancel_sends_int_then_term_then_forgets_the_container(job):
    polite = step(job, "trap 'echo cleaned; exit 130' INT; echo up; while :; do sleep 0.1; done", cancel_when="up")
    assert (polite.code, polite.ended_by, polite.survived) == (130, "SIGINT", False)
    assert "cleaned" in polite.log

    deaf = step(job, "echo up; sleep 60 & wait", cancel_when="up")
    assert (deaf.ended_by, deaf.survived) == ("SIGKILL", True)
    assert 9.5 < deaf.seconds < 12
