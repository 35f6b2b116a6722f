//! Output of buildx 0.13.1 on Docker Engine 20.10 (recorded), and the forms that newer ones and ECR use.

use super::*;

fn request() -> BuildRequest {
    BuildRequest {
        service: "app".into(),
        repository: "r.example/acme/app".parse().unwrap(),
        workspace: "/w".into(),
        settings: serde_saphyr::from_str("context: app").unwrap(),
        commit: "c0ffee0".into(),
        branch: None,
        tag_suffix: None,
        source: None,
    }
}

const EXIT_1: ExitResult = ExitResult { code: Some(1), signal: None };

fn classify(output: &str) -> BuildError {
    let lines: Vec<String> = output.lines().map(str::to_owned).collect();
    let dockerfile =
        "FROM debian\n# comment\nCOPY nope /a\nRUN echo out; echo err >&2; \\\n  false\nRUN a\nRUN a\n";
    classify_output(&request(), &lines, EXIT_1, dockerfile)
}

fn problem_line(problem: &Problem) -> Option<(&str, usize)> {
    problem.location.as_ref().map(|at| (at.file.as_str(), at.line))
}

#[test]
fn failed_step_is_named_with_line_and_output() {
    let problem = classify(
        "#7 [3/3] RUN echo out; echo err >&2;   false\n#7 0.232 out\n\
         #7 ERROR: executor failed running [/bin/sh -c echo out; echo err >&2;   false]: exit code: 1\n------\n \
         > [3/3] RUN echo out; echo err >&2;   false:\n0.232 out\n0.233 err\n------\n\
         ERROR: failed to solve: executor failed running [/bin/sh -c echo out; echo err >&2;   false]: exit code: 1",
    )
    .into_problem();
    assert_eq!(problem.code, Code::BuildFailed);
    assert_eq!(
        problem.sentence,
        "The image could not be built: the step `[3/3] RUN echo out; echo err >&2;   false` failed."
    );
    assert_eq!(problem_line(&problem), Some(("app/Dockerfile", 4)));
    assert!(problem.cause.unwrap().contains("0.233 err"));
}

#[test]
fn line_reported_by_buildx_wins() {
    let problem = classify(
        "#7 ERROR: process \"/bin/sh -c a\" did not complete successfully: exit code: 137\n------\n > [3/3] RUN a:\n\
         ------\nDockerfile:7\n--------------------\n   7 | >>> RUN a\n--------------------\n\
         ERROR: failed to solve: process \"/bin/sh -c a\" did not complete successfully: exit code: 137",
    )
    .into_problem();
    assert_eq!(problem_line(&problem), Some(("app/Dockerfile", 7)));
    assert!(problem.help.contains("memory"), "{problem}");
}

#[test]
fn repeated_instruction_has_no_line() {
    let output =
        "#7 ERROR: exit code: 1\n------\n > [3/3] RUN a:\n------\nERROR: failed to solve: exit code: 1";
    assert_eq!(problem_line(&classify(output).into_problem()), None);
}

#[test]
fn syntax_error_has_its_line() {
    for text in
        ["dockerfile parse error line 2: unknown instruction: COPYX", "dockerfile parse error on line 2: x"]
    {
        let problem = classify(&format!("#2 DONE 0.0s\nERROR: failed to solve: {text}")).into_problem();
        assert_eq!(
            (problem.code, problem_line(&problem)),
            (Code::BuildFailed, Some(("app/Dockerfile", 2))),
            "{text}"
        );
    }
}

#[test]
fn unavailable_docker_is_distinguished_from_a_failed_build() {
    for text in [
        "ERROR: Cannot connect to the Docker daemon at unix:///nosock. Is the docker daemon running?",
        "ERROR: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "ERROR: failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct",
        "#1 ERROR: Get \"https://x/v2/\"\n------\n > [internal] booting buildkit:\n------\nERROR: Get \"https://x/v2/\"",
    ] {
        assert_eq!(classify(text).into_problem().code, Code::DockerUnavailable, "{text}");
    }
}

/// A failure of the push with this text, as the daemon's own builder reports it.
fn classify_push_output(text: &str) -> BuildError {
    classify(&format!(
        "#9 pushing r.example/acme/app:1 with docker\n#9 ERROR: {text}\n------\n \
         > pushing r.example/acme/app:1 with docker:\n------\nERROR: {text}"
    ))
}

#[test]
fn busy_registry_is_transient() {
    for text in [
        "received unexpected HTTP status: 429 Too Many Requests",
        "toomanyrequests: Rate exceeded",
        "received unexpected HTTP status: 503 Service Unavailable",
        "failed to push: unexpected status from PUT request to https://r.example/v2/: 502 Bad Gateway",
        "write tcp 10.0.0.1:1->10.0.0.2:443: connection reset by peer",
        "Get \"http://127.0.0.1:5999/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
        "unexpected EOF",
        "failed to push r.example/acme/app:1: failed to copy after 5 retries",
    ] {
        assert!(matches!(classify_push_output(text), BuildError::Transient(_)), "{text}");
    }
}

#[test]
fn image_not_visible_right_after_the_push_is_transient() {
    let output = "#9 DONE 0.0s\nERROR: Error response from daemon: manifest unknown: manifest unknown";
    assert!(matches!(classify(output), BuildError::Transient(problem) if problem.code == Code::PushFailed));
}

#[test]
fn rejected_login_can_be_renewed_and_denied_push_cannot() {
    for text in [
        "denied: Your authorization token has expired. Reauthenticate and try again.",
        "no basic auth credentials",
        "unauthorized: authentication required",
        "unexpected status from POST request: 401 Unauthorized",
    ] {
        assert!(matches!(classify_push_output(text), BuildError::LoginRefused(_)), "{text}");
    }
    for (text, code) in [
        ("denied: User: arn:aws:sts::1:x is not authorized to perform: ecr:PutImage", Code::PushFailed),
        ("unexpected status: 403 Forbidden", Code::PushFailed),
        (
            "name unknown: The repository with name 'acme/app' does not exist in the registry",
            Code::PushFailed,
        ),
        (
            "tag invalid: The image tag 'sha-1' already exists in the 'acme/app' repository and cannot be \
             overwritten because the tag is immutable.",
            Code::TagImmutable,
        ),
        ("write /var/lib/docker/x: no space left on device", Code::PushFailed),
        ("blob sha256:5000429 has a wrong size", Code::PushFailed),
    ] {
        assert!(
            matches!(classify_push_output(text), BuildError::Final(problem) if problem.code == code),
            "{text}"
        );
    }
}

#[test]
fn unresolvable_base_image_is_named() {
    let output = |text: &str| {
        format!(
            "#3 ERROR: {text}\n------\n > [internal] load metadata for nosuch.invalid/x:1:\n------\n\
             ERROR: failed to solve: {text}"
        )
    };
    let problem = classify(&output("lookup nosuch.invalid: no such host"));
    assert!(
        matches!(&problem, BuildError::Final(p) if p.sentence.contains("`nosuch.invalid/x:1`")),
        "{problem:?}"
    );
    assert!(matches!(classify(&output("503 Service Unavailable")), BuildError::Transient(_)));
}

#[test]
fn missing_cache_is_not_the_failing_step() {
    let text =
        "------\n > importing cache manifest from r.example/acme/app:main:\n------\nERROR: something else";
    assert_eq!(classify(text).into_problem().sentence, "The image could not be built.");
}

#[test]
fn signal_is_reported() {
    let ended = ExitResult { code: None, signal: Some(9) };
    let problem = classify_output(&request(), &[], ended, "").into_problem();
    assert!(problem.sentence.contains("signal 9") && problem.help.contains("memory"), "{problem}");
}

#[test]
fn progress_is_not_quoted() {
    let lines = ["#9 pushing layer 5ac4 0.1s done", "", "#9 0.1 pushing layer by hand", "ERROR: x"]
        .map(str::to_owned);
    assert_eq!(quote_lines(&lines), "#9 0.1 pushing layer by hand\nERROR: x");
}

#[test]
fn base_image_of_a_registry_that_refuses_says_how_to_log_in() {
    let failed = |base: &str, text: &str| {
        classify(&format!(
            "#3 ERROR: {text}\n------\n > [internal] load metadata for {base}:\n------\nERROR: failed to solve: {text}"
        ))
        .into_problem()
    };
    let hub = "docker.io/acme/private:1";
    for (base, text, code, sentence, help) in [
        (
            hub,
            "pull access denied, repository does not exist or may require authorization: server message: \
             insufficient_scope: authorization failed",
            Code::RegistryLoginFailed,
            "The registry `docker.io` needs a login",
            "`registries: { docker.io: {",
        ),
        (
            "ghcr.io/acme/base:1",
            "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            Code::RegistryLoginFailed,
            "The registry `ghcr.io` needs a login",
            "packages: write",
        ),
        (
            "registry.acme.dev:5000/base:1",
            "unexpected status from HEAD request: 403 Forbidden",
            Code::RegistryLoginFailed,
            "The registry `registry.acme.dev:5000` needs a login",
            "`registries: { registry.acme.dev:5000: {",
        ),
        (
            hub,
            "429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit",
            Code::BuildFailed,
            "The registry `docker.io` limits pulls",
            "`registries: { docker.io: {",
        ),
        (
            hub,
            "docker.io/acme/private:1: not found",
            Code::BuildFailed,
            "could not be resolved.",
            "name and tag",
        ),
    ] {
        let problem = failed(base, text);
        assert!(problem.sentence.contains(sentence) && problem.help.contains(help), "{text}: {problem}");
        assert_eq!(problem.code, code, "{text}");
    }
}

#[test]
fn program_of_another_platform_gets_the_hint_about_qemu() {
    for text in [
        "#7 0.232 exec /bin/sh: exec format error\n#7 ERROR: process \"/bin/sh -c a\" did not complete successfully: exit code: 255",
        "#7 ERROR: .buildkit_qemu_emulator: /bin/sh: Exec format error",
    ] {
        let output =
            format!("{text}\n------\n > [linux/arm64 3/3] RUN a:\n------\nERROR: failed to solve: x");
        let problem = classify(&output).into_problem();
        assert!(problem.help.contains("setup-qemu-action"), "{text}: {problem}");
    }
}

#[test]
fn unknown_stage_is_named_with_those_that_exist() {
    for text in [
        "failed to solve: target stage \"biuld\" could not be found",
        "failed to solve: target stage biuld could not be found",
        "failed to solve: target stage \"biuld\" not found in Dockerfile",
    ] {
        let lines = [format!("ERROR: {text}")];
        let dockerfile = "FROM a AS build\nFROM b AS run";
        let problem = classify_output(&request(), &lines, EXIT_1, dockerfile).into_problem();
        assert_eq!(problem.sentence, "The Dockerfile has no stage `biuld`.", "{text}");
        assert!(
            problem.help.contains("Did you mean `build`?") && problem.help.contains("`run`"),
            "{problem}"
        );
    }
}

#[test]
fn denied_push_says_what_the_registry_wants() {
    let mut github = request();
    github.repository = "ghcr.io/acme/app".parse().unwrap();
    let text = "denied: permission_denied: write_package";
    let lines = ["#9 ERROR: x", " > pushing ghcr.io/acme/app:1 with docker:", &format!("ERROR: {text}")]
        .map(str::to_owned);
    let problem = classify_output(&github, &lines, EXIT_1, "").into_problem();
    assert!(problem.help.contains("packages: write") && !problem.help.contains("ecr:"), "{problem}");
}
