//! The servers of a service, asked together. What their answers mean together is in `observe` and `group_status`.

use std::rc::Rc;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::sys::ssh::{RemoteHost, RemoteHosts};
use crate::targets::ChangeError;

use super::client::{Answer, Client};
use super::mutations::{self, AttemptRequest};
use super::read::ServerState;
use super::rollout_ids::RolloutIds;
use super::write::ServerRequest;

/// What one server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// Its name.
    pub host: String,
    /// The state of the service there.
    pub state: ServerState,
}

/// The servers of a service, in the order of the deploy file.
pub struct HostGroup {
    clients: Vec<Client>,
}

impl HostGroup {
    /// Servers that are reached like this. No connection is made.
    pub fn new(around: &Rc<dyn RemoteHosts>, hosts: Vec<RemoteHost>) -> Self {
        Self { clients: hosts.into_iter().map(|host| Client::new(around.clone(), host)).collect() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// The first server: what is done once is done there.
    pub fn first(&self) -> Option<&Client> {
        self.clients.first()
    }

    /// What is wrong with the credentials for any of them, as one problem. No connection is made.
    pub fn credential_problem(&self) -> Option<Problem> {
        join_problems(self.clients.iter().flat_map(Client::credential_problems).collect())
    }

    /// The whole state of every server.
    pub async fn observe(&self, request: &ServerRequest) -> Result<Vec<HostState>, Problem> {
        let asked = self.clients.iter().map(async |client| (client, client.observe(request).await));
        collect(join_all(asked).await)
    }

    /// The state of an attempt on every server. An attempt that goes back has another number only where the one before had ended.
    pub async fn attempt_states(
        &self,
        request: &ServerRequest,
        ids: &RolloutIds,
    ) -> Result<Vec<HostState>, Problem> {
        let asked = self.clients.iter().map(async |client| {
            let state = client.status(&request.clone().with_attempt(ids.attempt, &ids.owner)).await;
            match (state, ids.forth()) {
                (Ok(state), Some(forth)) if state.attempt.is_none() => {
                    let request = request.clone().with_attempt(forth.attempt, &forth.owner);
                    (client, client.status(&request).await)
                }
                (state, _) => (client, state),
            }
        });
        collect(join_all(asked).await)
    }

    /// Puts a release on every server. An error says that no traffic was moved; a release may be on some of them.
    pub async fn stage(&self, requests: Vec<ServerRequest>) -> Result<(), Problem> {
        let asked = self.clients.iter().zip(&requests).map(async |(client, request)| {
            match client.stage(request).await {
                Ok(Answer::Accepted(_)) => None,
                Ok(Answer::Refused { reason, cause }) => {
                    Some(self.named(client, mutations::refusal_problem(&reason, &cause)))
                }
                Err(error) => Some(error.to_problem()),
            }
        });
        let problems = join_all(asked).await.into_iter().flatten().collect();
        join_problems(problems).map_or(Ok(()), Err)
    }

    /// Starts an attempt on the servers at these positions; what each of them answers, in the order of `at`.
    pub async fn start(&self, at: &[usize], wanted: &AttemptRequest<'_>) -> Vec<Result<(), ChangeError>> {
        let clients = at.iter().filter_map(|at| self.clients.get(*at));
        join_all(clients.map(async |client| {
            let started = mutations::start(client, wanted.clone()).await;
            started.map_err(|error| error.map(|problem| self.named(client, problem)))
        }))
        .await
    }

    /// Lets the attempt go on to a weight on the servers at these positions.
    pub async fn proceed(&self, at: &[usize], request: &ServerRequest) -> Result<(), ChangeError> {
        let clients = at.iter().filter_map(|at| self.clients.get(*at));
        self.settle(join_all(clients.map(async |client| (client, client.proceed(request).await))).await)
    }

    /// Asks the attempt to go back on the servers at these positions.
    pub async fn abort(&self, at: &[usize], request: &ServerRequest) -> Result<(), ChangeError> {
        let clients = at.iter().filter_map(|at| self.clients.get(*at));
        self.settle(join_all(clients.map(async |client| (client, client.abort(request).await))).await)
    }

    fn settle(&self, answers: Vec<HostAnswer<'_>>) -> Result<(), ChangeError> {
        let each = answers.into_iter().map(|(client, answer)| {
            let answer = answer.map_err(mutations::change_error)?;
            mutations::accept(answer).map_err(|error| error.map(|problem| self.named(client, problem)))
        });
        each.collect()
    }

    /// The problem with the name of the server, where there are several.
    fn named(&self, client: &Client, problem: Problem) -> Problem {
        if self.clients.len() == 1 { problem } else { on_host(client.name(), problem) }
    }
}

/// A server with its answer to a change.
type HostAnswer<'c> = (&'c Client, Result<Answer, crate::sys::ssh::SshError>);

/// The problem with the name of its server.
pub fn on_host(host: &str, problem: Problem) -> Problem {
    let sentence = format!("On `{host}`: {}", problem.sentence);
    Problem { sentence, ..problem }
}

fn collect(answers: Vec<(&Client, Result<ServerState, Problem>)>) -> Result<Vec<HostState>, Problem> {
    let mut states = Vec::new();
    let mut problems = Vec::new();
    for (client, answer) in answers {
        match answer {
            Ok(state) => states.push(HostState { host: client.name().to_owned(), state }),
            Err(problem) => problems.push(problem),
        }
    }
    join_problems(problems).map_or(Ok(states), Err)
}

/// Several problems as one: the first has the word, and the others are its cause.
fn join_problems(problems: Vec<Problem>) -> Option<Problem> {
    let mut problems = problems.into_iter();
    let first = problems.next()?;
    let others: Vec<Problem> = problems.filter(|other| other.sentence != first.sentence).collect();
    if others.is_empty() {
        return Some(first);
    }
    let describe = |problem: &Problem| {
        let parts = [Some(&problem.sentence), problem.cause.as_ref(), Some(&problem.help)];
        let parts: Vec<&str> =
            parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    };
    let more = match others.len() {
        1 => "There is another problem.".to_owned(),
        count => format!("There are {count} more problems."),
    };
    let sentence = format!("{} {more}", first.sentence);
    let cause =
        first.cause.iter().cloned().chain(others.iter().map(describe)).collect::<Vec<_>>().join(" | ");
    Some(Problem { sentence, ..first }.cause(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[test]
    fn several_problems_are_told_as_one_with_all_causes() {
        let problem = |host: &str| {
            Problem::error(Code::HostUnreachable, format!("The host `{host}` cannot be reached."))
                .cause("refused")
        };
        assert_eq!(join_problems(Vec::new()), None);
        assert_eq!(join_problems(vec![problem("a")]), Some(problem("a")));
        assert_eq!(join_problems(vec![problem("a"), problem("a")]), Some(problem("a")));
        let all = join_problems(vec![problem("a"), problem("b"), problem("c")]).unwrap();
        assert_eq!(
            format!("{} {}", all.sentence, all.cause.unwrap()),
            "The host `a` cannot be reached. There are 2 more problems. \
             refused | The host `b` cannot be reached. refused | The host `c` cannot be reached. refused"
        );
    }
}
