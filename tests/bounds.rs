//! Every wait and every size has a bound: the program itself, with hostile files, pipes, servers and signals.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::runner::CONFIG;

/// The most that a refusal may take. Without optimization the program is ten times slower than a release.
const REFUSAL_LIMIT: Duration = Duration::from_secs(20);
/// The memory that a run may address, in KiB.
const MEMORY_KIB: usize = 1_500_000;

/// A workspace, and the variables of a job that runs the program in it.
struct Job {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// How a program ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    outputs: String,
    summary: String,
    took: Duration,
}

impl Job {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", "push".into()),
            ("GITHUB_REF", "refs/heads/main".into()),
            ("GITHUB_REF_NAME", "main".into()),
            ("GITHUB_REF_TYPE", "branch".into()),
            ("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567".into()),
            ("GITHUB_REPOSITORY", "acme/shop".into()),
            ("GITHUB_RUN_ID", "7".into()),
            ("GITHUB_WORKSPACE", path("workspace")),
            ("GITHUB_OUTPUT", path("output")),
            ("GITHUB_STATE", path("state")),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("INPUT_OPERATION", "plan".into()),
            ("INPUT_CONFIG", ".github/roadstead.yml".into()),
            ("INPUT_TIMEOUT", "30m".into()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        let job = Self { folder, variables };
        job.write(".github/roadstead.yml", config);
        job
    }

    /// A run that reaches AWS, which is a server of ours.
    fn at_server(server: &Server) -> Self {
        Self::new(&CONFIG.replace(", role: \"arn:aws:iam::111111111111:role/deploy\"", ""))
            .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .with("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")
            .with("AWS_ENDPOINT_URL", &server.url)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("workspace").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a link in the place of a file of the workspace.
    fn link(&self, name: &str, target: &str) {
        let path = self.path("workspace").join(name);
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -v {MEMORY_KIB}; exec \"$0\""), env!("CARGO_BIN_EXE_roadstead")])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Runs to the end, which must come within `limit`.
    fn run(&self, limit: Duration) -> Ended {
        self.wait(self.command().spawn().unwrap(), limit)
    }

    fn wait(&self, mut child: Child, limit: Duration) -> Ended {
        let started = Instant::now();
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            stdout.map(|mut pipe| pipe.read_to_end(&mut text).unwrap());
            String::from_utf8_lossy(&text).into_owned()
        });
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > limit {
                child.kill().unwrap();
                panic!("still running after {limit:?}: {}", reader.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let took = started.elapsed();
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        Ended {
            code: status.code(),
            stdout: reader.join().unwrap(),
            outputs: read("output"),
            summary: read("summary"),
            took,
        }
    }
}

/// A server that accepts connections and answers each with `answer`, again and again, or never.
struct Server {
    url: String,
}

impl Server {
    fn start(head: &'static str, answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                std::thread::spawn(move || {
                    let _ = stream.write_all(head.as_bytes());
                    while !answer.is_empty() && stream.write_all(answer).is_ok() {}
                    // Silence, until the client gives up.
                    let _ = stream.read_to_end(&mut Vec::new());
                });
            }
        });
        Self { url }
    }

    fn silent() -> Self {
        Self::start("", &[])
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits until the program listens to signals and asks the server.
fn settle() {
    std::thread::sleep(Duration::from_secs(3));
}

fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", line(number));
        text
    })
}

/// Deploy files as large as they may be, each with another way to cost time or memory.
fn hostile_files() -> Vec<(&'static str, String)> {
    let services = "services:\n  backend: { ecs: { cluster: acme, service: backend } }\n";
    let environments = "environments:\n  production: { branches: [main] }\n";
    let base = format!("{environments}{services}");
    let in_service =
        |text: &str| format!("{environments}services:\n  a:\n    ecs: {{ cluster: a, service: b }}\n{text}");
    let stars = "*a".repeat(58);
    let long = "a".repeat(240);
    vec![
        ("20000 unknown keys", format!("{base}{}", repeated(20_000, |n| format!("k{n}: x")))),
        ("100000 unknown keys", format!("{base}{}", repeated(90_000, |n| format!("k{n}: x")))),
        ("unknown keys of a service", in_service(&repeated(50_000, |n| format!("    k{n}: x")))),
        (
            "unknown keys of a target",
            format!(
                "{environments}services:\n  a:\n    ecs:\n{}",
                repeated(50_000, |n| format!("      k{n}: x"))
            ),
        ),
        (
            "unknown keys of an environment",
            format!("environments:\n  a:\n{}{services}", repeated(50_000, |n| format!("    k{n}: x"))),
        ),
        (
            "unknown overrides",
            in_service(&format!("    environments:\n{}", repeated(50_000, |n| format!("      e{n}: {{}}")))),
        ),
        (
            "many services",
            format!("{environments}services:\n{}", repeated(30_000, |n| format!("  s{n}: {{ esc: {{}} }}"))),
        ),
        (
            "many environments",
            format!("environments:\n{}{services}", repeated(60_000, |n| format!("  e{n}: {{}}"))),
        ),
        (
            "many branches",
            format!(
                "environments:\n  a: {{ branches: [{}] }}\n  b: {{ branches: [{}] }}\n{services}",
                vec!["x"; 100_000].join(","),
                vec!["'*'"; 100_000].join(",")
            ),
        ),
        (
            "slow branches",
            format!(
                "environments:\n{}{services}",
                repeated(100, |n| format!("  e{n}: {{ branches: ['{stars}{n}', '{long}{n}b'] }}"))
            ),
        ),
        ("unknown placeholders", in_service(&format!("    alarms: [{}]", vec!["'${x}'"; 100_000].join(",")))),
        ("wrong patterns", in_service(&format!("    paths: [{}]", vec!["/a"; 200_000].join(",")))),
        ("wrong values", in_service(&format!("    alarms: [{}]", vec!["1"; 300_000].join(",")))),
        ("long key", format!("{base}? {}\n: x\n", "k".repeat(900_000))),
        ("long value", in_service(&format!("    strategy: {}", "s".repeat(900_000)))),
        ("long placeholder", in_service(&format!("    repository: '${{{}'", "s".repeat(900_000)))),
        ("deep lists", format!("{base}x: {}", "[".repeat(900_000))),
        ("deep mappings", format!("{base}x: {}", "{a: ".repeat(200_000))),
        (
            "many anchors",
            format!(
                "{base}x:\n{}y:\n{}",
                repeated(40_000, |n| format!("- &a{n} x")),
                repeated(40_000, |n| format!("- *a{n}"))
            ),
        ),
        (
            "long alias",
            format!("{base}x: &a {}\ny: [{}]", "x".repeat(400_000), vec!["*a"; 100_000].join(",")),
        ),
        (
            "merge keys",
            format!(
                "{base}x: &a {{{}}}\n{}",
                (0..20_000).map(|n| format!("k{n}: x")).collect::<Vec<_>>().join(", "),
                repeated(1000, |n| format!("y{n}: {{ <<: *a }}"))
            ),
        ),
        ("too large", format!("{base}# {}", "x".repeat(3_000_000))),
        ("duplicate keys", format!("{base}{}", "services: x\n".repeat(60_000))),
    ]
}

#[test]
fn hostile_deploy_file_is_refused_in_bounded_time_memory_and_log() {
    for (name, text) in hostile_files() {
        let ended = Job::new(&text).run(REFUSAL_LIMIT);
        let tail: String = ended.stdout.chars().take(2000).collect();
        // Slow patterns are valid, and none of them matches.
        let (code, outcome) = if name == "slow branches" { (0, "skipped") } else { (2, "invalid") };
        assert_eq!(ended.code, Some(code), "{name} ({} bytes, {:?}): {tail}", text.len(), ended.took);
        assert!(ended.outputs.contains(&format!("\n{outcome}\n")), "{name}: {}", ended.outputs.len());
        let written = [ended.stdout.len(), ended.summary.len(), ended.outputs.len()];
        assert!(written.iter().all(|bytes| *bytes < 1 << 20), "{name}: {written:?} bytes are written");
    }
}

#[test]
fn file_that_is_not_a_regular_file_of_the_workspace_is_refused() {
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let ecs =
        "ecs: { cluster: acme, service: backend, container: app, task-definition: deploy/backend.json }";
    let config = CONFIG.replace("ecs: { cluster: acme, service: backend, container: app }", ecs);
    for target in ["/dev/zero", "/dev/urandom", "/etc/hostname", "../../outside", "/proc/version"] {
        for place in [".github/roadstead.yml", "deploy/backend.json"] {
            let job = Job::new(&config).with("AWS_ACCESS_KEY_ID", "x").with("AWS_SECRET_ACCESS_KEY", "x");
            job.write("deploy/backend.json", "{}");
            fs::write(job.path("outside"), "secret").unwrap();
            job.link(place, target);
            let ended = job.run(REFUSAL_LIMIT);
            assert_eq!(ended.code, Some(2), "{place} → {target}: {}", ended.stdout);
            assert!(
                ended.stdout.contains("outside of the workspace"),
                "{place} → {target}: {}",
                ended.stdout
            );
        }
    }
    let job = Job::new(CONFIG);
    fs::remove_file(job.path("workspace/.github/roadstead.yml")).unwrap();
    fifo(&job.path("workspace/.github/roadstead.yml"));
    let ended = job.run(REFUSAL_LIMIT);
    assert!(
        ended.code == Some(2) && ended.stdout.contains("is a FIFO, not a regular file"),
        "{}",
        ended.stdout
    );
}

/// The container that the release would change is what the file makes of it.
#[test]
fn hostile_task_definition_is_refused() {
    let ecs = "ecs: { cluster: acme, service: backend, task-definition: deploy/backend.json }";
    let config = CONFIG.replace("ecs: { cluster: acme, service: backend, container: app }", ecs);
    let port = r#"{"containerPort":80}"#;
    let container = |rest: String| format!(r#"{{"family":"a","containerDefinitions":[{rest}]}}"#);
    for text in [
        container("\"x\"".into()),
        container("5".into()),
        container("[]".into()),
        container("null".into()),
        container("{\"environment\":5,\"secrets\":\"x\",\"portMappings\":{}}".into()),
        container(format!("{{\"name\":\"a\",\"portMappings\":[{}]}}", vec![port; 12_000].join(","))),
        container(format!("{{\"name\":\"a\",\"x\":[{}]}}", vec![port; 400_000].join(","))),
        format!("{{\"containerDefinitions\":{}", "[".repeat(100_000)),
        "[]".into(),
        "5".into(),
    ] {
        let job = Job::new(&config).with("AWS_ACCESS_KEY_ID", "x").with("AWS_SECRET_ACCESS_KEY", "x");
        job.write("deploy/backend.json", &text);
        let ended = job.run(REFUSAL_LIMIT);
        let name: String = text.chars().take(100).collect();
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stdout);
        assert!(ended.stdout.len() < 1 << 20, "{name}: {} bytes", ended.stdout.len());
    }
}

#[test]
fn build_that_leaves_the_workspace_is_refused() {
    for build in ["context: ../../..", "context: /", "secrets: ['id=a,src=/etc/passwd']", "dockerfile: ../x"]
    {
        let ended = Job::new(&format!("{CONFIG}    build: {{ {build} }}\n")).run(REFUSAL_LIMIT);
        assert_eq!(ended.code, Some(2), "{build}: {}", ended.stdout);
        assert!(ended.stdout.contains("is outside of the workspace"), "{build}: {}", ended.stdout);
    }
}

#[test]
fn summary_that_is_a_fifo_changes_nothing() {
    let job = Job::new("environments: 5\n");
    assert!(Command::new("mkfifo").arg(job.path("fifo")).status().unwrap().success());
    let fifo = job.path("fifo").display().to_string();
    let ended = job.with("GITHUB_STEP_SUMMARY", &fifo).run(REFUSAL_LIMIT);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.outputs.contains("\ninvalid\n"), "{}", ended.outputs);
    assert!(ended.stdout.contains("runner-file-unwritable"), "{}", ended.stdout);
}

/// A pipe that is full already.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'.'; 1 << 16]).unwrap();
    (reader, writer)
}

#[test]
fn run_ends_although_nobody_reads_its_log() {
    let (_reader, writer) = full_pipe();
    let job = Job::new("environments: 5\n");
    let child = job.command().stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    let ended = job.wait(child, Duration::from_secs(15));
    assert_eq!(ended.code, Some(2));
    assert!(ended.outputs.contains("\ninvalid\n"), "{}", ended.outputs);
}

#[test]
fn signals_work_although_nobody_reads_the_log() {
    for name in ["INT", "TERM"] {
        let (server, (_reader, writer)) = (Server::silent(), full_pipe());
        let job = Job::at_server(&server);
        let child = job.command().stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        settle();
        signal(&child, name);
        let ended = job.wait(child, Duration::from_secs(9));
        assert_eq!(ended.code, Some(130), "{name}: {}", ended.outputs);
        assert!(ended.outputs.contains("\ncancelled\n"), "{name}: {}", ended.outputs);
    }
}

#[test]
fn second_signal_ends_the_run_at_once() {
    for name in ["INT", "TERM"] {
        let server = Server::silent();
        let job = Job::at_server(&server);
        let child = job.command().spawn().unwrap();
        settle();
        signal(&child, "INT");
        std::thread::sleep(Duration::from_millis(1200));
        let still_runs = Path::new(&format!("/proc/{}", child.id())).exists();
        if still_runs {
            signal(&child, name);
        }
        let ended = job.wait(child, Duration::from_millis(2500));
        assert_eq!(ended.code, Some(130), "{name}: {}", ended.stdout);
    }
}

/// The largest resident size of a process so far, in KiB.
fn peak_kib(child: &Child) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn endless_answer_does_not_fill_the_memory() {
    const ENDLESS: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n\r\n";
    let server = Server::start(ENDLESS, &[b' '; 1 << 16]);
    let job = Job::at_server(&server);
    let child = job.command().spawn().unwrap();
    std::thread::sleep(Duration::from_secs(8));
    let peak = peak_kib(&child);
    signal(&child, "INT");
    job.wait(child, Duration::from_secs(9));
    assert!(peak < 300_000, "{peak} KiB");
}

/// The program with work that a test gives it. It is started in a process of its own by
/// `work_that_blocks_or_panics_is_reported`, and without the variable does nothing.
#[test]
#[expect(clippy::exit, reason = "this process is the program, and its exit code is what the test reads")]
fn supervised_child() {
    let Ok(kind) = std::env::var("BOUNDS_CHILD") else { return };
    let variables = std::env::vars().collect();
    let work = move |supervision: roadstead::sys::supervisor::Supervision, _| match kind.as_str() {
        "panic" => panic!("with a secret: hunter2"),
        "block" => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        "overdue" => {
            supervision.set_limit(Duration::from_secs(1));
            std::thread::sleep(Duration::from_secs(600));
            0
        }
        other => panic!("{other}"),
    };
    std::process::exit(roadstead::cli::supervise(Duration::from_secs(5), variables, work).into());
}

fn start_supervised(job: &Job, kind: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bounds::supervised_child", "--nocapture"])
        .env_clear()
        .envs(job.variables.iter().map(|(name, value)| (name, value)))
        .env("BOUNDS_CHILD", kind)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn work_that_blocks_or_panics_is_reported() {
    const MOVING: &str = "walk<<x\n{\"environment\":\"production\",\"services\":[{\"service\":\"web\",\"requested_version\":\"web:2\",\"rollout\":null,\"rollback_to\":\"web:1\",\"ended\":false}]}\nx\n";
    for (kind, state, code, outcome) in [
        ("panic", "", 3, "failed"),
        ("panic", MOVING, 4, "stranded"),
        ("overdue", "", 3, "failed"),
        ("overdue", MOVING, 4, "stranded"),
        ("block", "", 130, "cancelled"),
        ("block", MOVING, 4, "stranded"),
    ] {
        let job = Job::new(CONFIG);
        fs::write(job.path("state"), state).unwrap();
        let child = start_supervised(&job, kind);
        if kind == "block" {
            settle();
            signal(&child, "INT");
        }
        let ended = job.wait(child, Duration::from_secs(12));
        assert_eq!(ended.code, Some(code), "{kind}: {}", ended.stdout);
        assert!(ended.outputs.contains(&format!("\n{outcome}\n")), "{kind}: {}", ended.outputs);
        assert!(ended.summary.starts_with("## "), "{kind}: {}", ended.summary);
        assert!(ended.stdout.contains("::error"), "{kind}: {}", ended.stdout);
        assert!(!format!("{}{}{}", ended.stdout, ended.summary, ended.outputs).contains("hunter2"), "{kind}");
        assert_eq!(kind == "panic", ended.summary.contains("tests/bounds.rs:"), "{}", ended.summary);
    }
}
