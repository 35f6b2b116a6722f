//! Child processes: no shell, a cleared environment, input on stdin, output line by line, killed when dropped.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::environment::Variables;

/// What to run. `arguments` are handed over as they are; no shell reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Child {
    /// Program, looked up on the PATH of `environment`.
    pub program: String,
    /// Arguments; never a secret, since every process of the machine can read them.
    pub arguments: Vec<String>,
    /// The whole environment of the child; nothing is inherited.
    pub environment: Variables,
    /// Written to its standard input, which is then closed.
    pub input: Vec<u8>,
}

/// How many processes can really run at once on this machine; 1 where that is not known.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Ended {
    /// Exit code 0.
    pub fn success(self) -> bool {
        self.code == Some(0)
    }
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs `child` to its end and hands every line (without its end, bytes that are not UTF-8 replaced) to `line`.
/// Dropping the future kills the child.
pub async fn run(child: &Child, mut line: impl FnMut(Stream, String)) -> Result<Ended> {
    let mut running = command(child).spawn().with_context(|| format!("starting {}", child.program))?;
    let (send, mut receive) = tokio::sync::mpsc::channel(64);
    let out = forward(running.stdout.take(), Stream::Out, send.clone());
    let err = forward(running.stderr.take(), Stream::Err, send);
    let mut stdin = running.stdin.take();
    let feed = async {
        if let Some(pipe) = stdin.as_mut() {
            // A child may stop reading early; how it ends says more than the broken pipe.
            let _ = pipe.write_all(&child.input).await;
        }
        drop(stdin.take());
    };
    let drain = async {
        while let Some((stream, text)) = receive.recv().await {
            line(stream, text);
        }
    };
    tokio::join!(out, err, feed, drain);
    let status = running.wait().await.with_context(|| format!("waiting for {}", child.program))?;
    Ok(ended(status))
}

fn command(child: &Child) -> Command {
    let mut command = Command::new(&child.program);
    command
        .args(&child.arguments)
        .env_clear()
        .envs(&child.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn forward(
    pipe: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    send: tokio::sync::mpsc::Sender<(Stream, String)>,
) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::new(pipe);
    let mut buffer = Vec::new();
    while matches!(reader.read_until(b'\n', &mut buffer).await, Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&buffer).trim_end_matches(['\n', '\r']).to_owned();
        buffer.clear();
        if send.send((stream, text)).await.is_err() {
            return;
        }
    }
}

fn ended(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt as _;
    Ended { code: status.code(), signal: status.signal() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(program: &str, arguments: &[&str]) -> Child {
        Child {
            program: program.into(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            input: b"from stdin".to_vec(),
        }
    }

    #[tokio::test]
    async fn a_child_sees_its_input_and_only_the_environment_it_was_given() {
        let mut lines = Vec::new();
        let ended = run(&child("sh", &["-c", "cat; echo; env"]), |_, line| lines.push(line)).await.unwrap();
        assert!(ended.success());
        assert_eq!(lines[0], "from stdin");
        assert!(!lines.iter().any(|line| line.starts_with("HOME=")), "{lines:?}");
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error_that_names_it() {
        let error = run(&child("no-such-program", &[]), |_, _| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "starting no-such-program");
    }
}
