//! Requests to the server: one function for each, over whatever reaches the host. A request whose answer is lost is
//! repeated only where it changes nothing.

use std::rc::Rc;
use std::time::Duration;

use crate::problem::{Code, Problem};
use crate::sys::ssh::{RemoteHost, RemoteHosts, ScriptCall, ScriptReply, SshError};

use super::read::{ServerState, read_state};
use super::write::ServerRequest;

/// How long a request may take that only reads, or only writes a note.
const SHORT_LIMIT: Duration = Duration::from_secs(60);
/// How long a command may take to be started.
const TASK_LIMIT: Duration = Duration::from_secs(120);
/// How long the images of a release may take to arrive.
const STAGE_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The server's answer to a request that it can refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done, or had been done already.
    Accepted(ServerState),
    /// It was refused: the server's word for the reason, and the text of the tool that refused.
    Refused {
        /// The word.
        reason: String,
        /// The text; untrusted.
        cause: String,
    },
}

/// A server.
#[derive(Clone)]
pub struct Client {
    hosts: Rc<dyn RemoteHosts>,
    host: RemoteHost,
}

impl Client {
    /// A server that is reached like this. No connection is made.
    pub fn new(hosts: Rc<dyn RemoteHosts>, host: RemoteHost) -> Self {
        Self { hosts, host }
    }

    /// Name of the server.
    pub fn name(&self) -> &str {
        &self.host.name
    }

    /// What is wrong with the credentials. No connection is made.
    pub fn credential_problems(&self) -> Vec<Problem> {
        self.hosts.find_faults(&self.host).iter().map(SshError::to_problem).collect()
    }

    /// The whole state of the service and its host.
    pub async fn observe(&self, request: &ServerRequest) -> Result<ServerState, Problem> {
        self.read("DescribeHost", request).await
    }

    /// The state of the service and of one attempt.
    pub async fn status(&self, request: &ServerRequest) -> Result<ServerState, Problem> {
        self.read("DescribeAttempt", request).await
    }

    /// Puts a release on the server. The same release is put there once, so the request is repeated after a lost answer.
    pub async fn stage(&self, request: &ServerRequest) -> Result<Answer, SshError> {
        let answer = self.change("StageRelease", request, STAGE_LIMIT).await;
        match answer {
            Err(error) if error.is_transient() => self.change("StageRelease", request, STAGE_LIMIT).await,
            answer => answer,
        }
    }

    /// Starts an attempt. The same attempt is started once.
    pub async fn start(&self, request: &ServerRequest) -> Result<Answer, SshError> {
        self.change("StartAttempt", request, SHORT_LIMIT).await
    }

    /// Lets an attempt go on to its next weight.
    pub async fn proceed(&self, request: &ServerRequest) -> Result<Answer, SshError> {
        self.change("ContinueAttempt", request, SHORT_LIMIT).await
    }

    /// Asks an attempt to go back.
    pub async fn abort(&self, request: &ServerRequest) -> Result<Answer, SshError> {
        self.change("AbortAttempt", request, SHORT_LIMIT).await
    }

    /// Starts a command that runs once. The same one is started once.
    pub async fn start_task(&self, request: &ServerRequest) -> Result<Answer, SshError> {
        self.change("StartTask", request, TASK_LIMIT).await
    }

    /// The lines about a command. What stops it can be asked twice, as what reads.
    pub async fn task_lines(
        &self,
        operation: &'static str,
        request: &ServerRequest,
    ) -> Result<Vec<String>, Problem> {
        let word = match operation {
            "ListTasks" => "task-find",
            "StopTask" => "task-stop",
            _ => "task-status",
        };
        let request = request.clone().with_operation(word);
        self.read_lines(operation, &request).await
    }

    /// The request again if its answer was lost: it changes nothing.
    async fn read(&self, operation: &'static str, request: &ServerRequest) -> Result<ServerState, Problem> {
        Ok(read_state(&self.read_lines(operation, request).await?))
    }

    async fn read_lines(
        &self,
        operation: &'static str,
        request: &ServerRequest,
    ) -> Result<Vec<String>, Problem> {
        let mut reply = self.run(operation, request, SHORT_LIMIT).await;
        if reply.as_ref().is_err_and(SshError::is_transient) {
            reply = self.run(operation, request, SHORT_LIMIT).await;
        }
        let reply = reply.map_err(|error| error.to_problem())?;
        if reply.exit == 0 { Ok(reply.lines) } else { Err(self.script_problem(&reply)) }
    }

    async fn change(
        &self,
        operation: &'static str,
        request: &ServerRequest,
        limit: Duration,
    ) -> Result<Answer, SshError> {
        let reply = self.run(operation, request, limit).await?;
        // Without one of these words the server did not come to its end: what it did is not known.
        let known = ["staged", "started", "attempt", "noted"];
        let first = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        let refused = reply.lines.iter().find_map(|line| line.strip_prefix("refused "));
        match refused {
            Some(reason) => Ok(Answer::Refused { reason: reason.to_owned(), cause: error_text(&reply) }),
            None if reply.lines.iter().any(|line| known.contains(&first(line).as_str())) => {
                Ok(Answer::Accepted(read_state(&reply.lines)))
            }
            None => Err(SshError::Lost(self.host.name.clone())),
        }
    }

    async fn run(
        &self,
        operation: &'static str,
        request: &ServerRequest,
        limit: Duration,
    ) -> Result<ScriptReply, SshError> {
        self.hosts.run(&self.host, &ScriptCall { operation, script: request.script(), limit }).await
    }

    fn script_problem(&self, reply: &ScriptReply) -> Problem {
        let sentence = format!("The state of the host `{}` could not be read.", self.host.name);
        Problem::error(Code::ProviderError, sentence).cause(error_text(reply))
    }
}

fn error_text(reply: &ScriptReply) -> String {
    let errors = reply.lines.iter().filter_map(|line| line.strip_prefix("error "));
    errors.collect::<Vec<_>>().join(" | ")
}
