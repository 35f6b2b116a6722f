//! Child processes: no shell, a cleared environment, input on stdin, output in lines of limited length, stopped with all
//! processes that they started when dropped.

use std::convert::Infallible;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

use super::blocking;
use super::environment::Variables;
use super::limited_lines::LimitedLines;

/// The command. `arguments` are passed unchanged; no shell interprets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Program, looked up on the PATH of `environment`.
    pub program: String,
    /// Arguments; never a secret, since every process of the machine can read them.
    pub arguments: Vec<String>,
    /// The whole environment of the child; nothing is inherited.
    pub environment: Variables,
    /// Written to its standard input, which is then closed.
    pub input: Vec<u8>,
}

/// The number of processes that can run at the same time on this machine; 1 if unknown.
pub fn cpu_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitResult {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl ExitResult {
    /// Exit code 0.
    pub fn is_success(self) -> bool {
        self.code == Some(0)
    }
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How long the output of a child is read after its end. A process that it started can keep the pipe open for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);

/// How long a child that is stopped may take to end by itself, after SIGTERM and before SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Time between two looks at a child that is stopped.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// Runs `child` to its end and passes every line (without its end, bytes that are not UTF-8 replaced, cut if it is too
/// long) to `line`. Dropping the future stops the child and what it started: SIGTERM, then SIGKILL.
pub async fn run(child: &ProcessSpec, mut line: impl FnMut(OutputStream, String)) -> Result<ExitResult> {
    let mut running = build_command(child).spawn().with_context(|| format!("starting {}", child.program))?;
    let group = ProcessGroup::of(&running);
    let (send, mut receive) = tokio::sync::mpsc::channel(64);
    let out = forward_lines(running.stdout.take(), OutputStream::Stdout, send.clone());
    let err = forward_lines(running.stderr.take(), OutputStream::Stderr, send);
    let drain = async {
        while let Some((stream, text)) = receive.recv().await {
            line(stream, text);
        }
    };
    let stdin = running.stdin.take();
    let exit = async {
        tokio::select! {
            status = running.wait() => status,
            never = feed(stdin, &child.input) => match never {},
        }
    };
    let output = async { tokio::join!(out, err, drain) };
    tokio::pin!(exit, output);
    let status = tokio::select! {
        status = &mut exit => {
            tokio::select! {
                _ = output => {}
                () = blocking::real_sleep(OUTPUT_GRACE) => {}
            }
            status
        }
        _ = &mut output => exit.await,
    };
    group.leave_alone();
    Ok(exit_result(status.with_context(|| format!("waiting for {}", child.program))?))
}

/// Writes the input and closes it. The child decides when it ends, not its input: it may never be read.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) -> Infallible {
    if let Some(mut pipe) = stdin {
        // A child may stop reading early; its exit status is more useful than the broken pipe.
        let _ = pipe.write_all(input).await;
    }
    std::future::pending().await
}

fn build_command(child: &ProcessSpec) -> Command {
    let mut command = Command::new(&child.program);
    command
        .args(&child.arguments)
        .env_clear()
        .envs(&child.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

/// The processes of a child. Dropped before the child has ended, it stops them.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// What the child left behind after its end runs on.
    fn leave_alone(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(group) = self.0 else { return };
        let _ = kill_process_group(group, Signal::TERM);
        // Nobody waits for a future that is dropped; the thread ends with the group or kills it.
        let killer = std::thread::Builder::new().name("stop".into()).spawn(move || kill_after_grace(group));
        if killer.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn kill_after_grace(group: Pid) {
    let started = std::time::Instant::now();
    while started.elapsed() < STOP_GRACE {
        if test_kill_process_group(group).is_err() {
            return;
        }
        std::thread::sleep(STOP_INTERVAL);
    }
    let _ = kill_process_group(group, Signal::KILL);
}

async fn forward_lines(
    pipe: Option<impl AsyncRead + Unpin>,
    stream: OutputStream,
    send: tokio::sync::mpsc::Sender<(OutputStream, String)>,
) {
    let Some(pipe) = pipe else { return };
    let mut lines = LimitedLines::new(pipe);
    while let Some(text) = lines.next_line().await {
        if send.send((stream, text)).await.is_err() {
            return;
        }
    }
}

fn exit_result(status: ExitStatus) -> ExitResult {
    use std::os::unix::process::ExitStatusExt as _;
    ExitResult { code: status.code(), signal: status.signal() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(program: &str, arguments: &[&str]) -> ProcessSpec {
        ProcessSpec {
            program: program.into(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            input: b"from stdin".to_vec(),
        }
    }

    #[tokio::test]
    async fn child_gets_its_input_and_only_the_given_environment() {
        let mut lines = Vec::new();
        let ended = run(&child("sh", &["-c", "cat; echo; env"]), |_, line| lines.push(line)).await.unwrap();
        assert!(ended.is_success());
        assert_eq!(lines[0], "from stdin");
        assert!(!lines.iter().any(|line| line.starts_with("HOME=")), "{lines:?}");
    }

    /// `yes` without line ends: half a gigabyte would be in memory if lines had no limit.
    #[tokio::test]
    async fn output_without_line_ends_is_cut() {
        let mut lines = Vec::new();
        let script = "head -c 500000000 /dev/zero | tr '\\0' x; echo; echo end";
        let ended = run(&child("sh", &["-c", script]), |_, line| lines.push(line)).await.unwrap();
        assert!(ended.is_success());
        assert!(lines[0].len() < 20_000 && lines[0].ends_with("bytes more)"), "{} bytes", lines[0].len());
        assert_eq!(lines[1], "end");
    }

    #[tokio::test]
    async fn process_that_keeps_the_pipe_is_not_waited_for() {
        let mut lines = Vec::new();
        let started = std::time::Instant::now();
        let script = "(sleep 60; echo late) & echo early";
        let ended = run(&child("sh", &["-c", script]), |_, line| lines.push(line)).await.unwrap();
        assert!(ended.is_success());
        assert_eq!(lines, ["early"]);
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }

    /// A child that closes its output runs on, and one that never reads its input still ends.
    #[tokio::test]
    async fn exit_of_the_child_decides() {
        let closes = child("sh", &["-c", "exec >&- 2>&-; sleep 0.3; exit 3"]);
        assert_eq!(run(&closes, |_, _| ()).await.unwrap().code, Some(3));
        let ignores = ProcessSpec { input: vec![b'x'; 1 << 20], ..child("sh", &["-c", "exit 4"]) };
        assert_eq!(run(&ignores, |_, _| ()).await.unwrap().code, Some(4));
    }

    /// Starts `script`, drops it once it printed a line (the process id of what it started), and waits for that to end.
    async fn stop_after_first_line(script: &str) -> Duration {
        let (send, mut receive) = tokio::sync::mpsc::channel(1);
        let spec = child("sh", &["-c", script]);
        let line = tokio::select! {
            _ = run(&spec, |_, line| drop(send.try_send(line))) => panic!("it ended by itself"),
            line = receive.recv() => line.unwrap(),
        };
        let id: i32 = line.parse().unwrap();
        // A process that has ended may stay as a zombie until somebody reads its status.
        let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let stopped = std::time::Instant::now();
        while !(state().is_empty() || state().contains(") Z")) && stopped.elapsed() < Duration::from_secs(30)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stopped.elapsed()
    }

    #[tokio::test]
    async fn dropped_child_is_stopped_with_what_it_started() {
        let took = stop_after_first_line("sleep 60 & echo $!; wait").await;
        assert!(took < STOP_GRACE, "{took:?}");
    }

    #[tokio::test]
    async fn child_that_ignores_sigterm_is_killed() {
        let took = stop_after_first_line("trap '' TERM; echo $$; while :; do sleep 1; done").await;
        assert!(took >= STOP_GRACE && took < Duration::from_secs(20), "{took:?}");
    }

    #[tokio::test]
    async fn missing_program_is_named_in_the_error() {
        let error = run(&child("no-such-program", &[]), |_, _| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "starting no-such-program");
    }
}
