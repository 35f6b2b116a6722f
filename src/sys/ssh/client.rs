//! Real hosts: one connection each, kept for the run, opened again when it has ended.

use std::cell::RefCell;
use std::rc::Rc;

use async_trait::async_trait;
use futures::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use super::error::SshError;
use super::frame::{self, Framed, ScriptReply};
use super::host::{RemoteHost, RemoteHosts, ScriptCall};
use super::host_keys::PinnedKeys;
use super::keys::{Identity, KeyFault};
use super::known_hosts::{HostKeyLineFault, HostKeys};
use super::session::SshSession;

/// What a run has to log in with.
#[derive(Debug, Clone)]
pub struct SshCredentials {
    identity: Result<Identity, KeyFault>,
    known_hosts: Result<HostKeys, Vec<HostKeyLineFault>>,
}

impl SshCredentials {
    /// Reads the inputs. What is wrong with them is reported when a host is to be used.
    pub fn read(key: Option<&str>, passphrase: Option<&str>, known_hosts: Option<&str>) -> Self {
        // A secret that was stored from a file ends with a line break.
        let passphrase = passphrase.map(|text| text.trim_end_matches(['\r', '\n']));
        let passphrase = passphrase.filter(|text| !text.is_empty());
        Self {
            identity: Identity::parse(key.unwrap_or_default(), passphrase),
            known_hosts: HostKeys::parse(known_hosts.unwrap_or_default()),
        }
    }

    fn pinned(&self, host: &RemoteHost) -> PinnedKeys {
        let given = self.known_hosts.clone().unwrap_or_default();
        given.merged(&host.host_keys).for_host(&host.name, host.port)
    }

    fn faults_of(&self, host: &RemoteHost) -> Vec<SshError> {
        let key = self.identity.as_ref().err().map(|fault| SshError::Key(*fault));
        let lines = self.known_hosts.as_ref().err().map(|faults| SshError::KnownHosts(faults.clone()));
        let hops = std::iter::successors(Some(host), |hop| hop.jump.as_deref());
        let unknown = hops.filter(|hop| lines.is_none() && self.pinned(hop).is_empty());
        let unknown: Vec<SshError> = unknown.map(|hop| SshError::NoHostKey(hop.name.clone())).collect();
        key.into_iter().chain(lines).chain(unknown).collect()
    }
}

/// Commands that run on a host at the same time. Servers can limit them (`MaxSessions`), and several services can share a host.
const MAX_COMMANDS: usize = 2;

/// A host with its connection.
struct Connection {
    host: RemoteHost,
    session: RefCell<Option<Rc<SshSession>>>,
    /// Held while the connection is opened: the others wait for it instead of opening more.
    opening: Semaphore,
    commands: Semaphore,
}

impl Connection {
    fn new(host: &RemoteHost) -> Self {
        Self {
            host: host.clone(),
            session: RefCell::default(),
            opening: Semaphore::new(1),
            commands: Semaphore::new(MAX_COMMANDS),
        }
    }

    fn usable_session(&self) -> Option<Rc<SshSession>> {
        self.session.borrow().clone().filter(|session| !session.is_closed())
    }
}

/// Hosts that are reached by SSH.
pub struct SshClient {
    credentials: SshCredentials,
    /// By everything that is known of a host: behind another jump host an address is another machine, and a connection that was
    /// opened with other keys of the host proves nothing.
    connections: RefCell<Vec<Rc<Connection>>>,
}

impl SshClient {
    /// No connection is made yet.
    pub fn new(credentials: SshCredentials) -> Self {
        Self { credentials, connections: RefCell::default() }
    }

    fn connection(&self, host: &RemoteHost) -> Rc<Connection> {
        let mut all = self.connections.borrow_mut();
        if let Some(known) = all.iter().find(|known| known.host == *host) {
            return known.clone();
        }
        let new = Rc::new(Connection::new(host));
        all.push(new.clone());
        new
    }

    /// The connection to a host: the one that is open, or a new one.
    fn session<'c>(&'c self, host: &'c RemoteHost) -> LocalBoxFuture<'c, Result<Rc<SshSession>, SshError>> {
        Box::pin(async move {
            let connection = self.connection(host);
            let _turn = connection.opening.acquire().await;
            if let Some(session) = connection.usable_session() {
                return Ok(session);
            }
            let identity = self.credentials.identity.as_ref().map_err(|fault| SshError::Key(*fault))?;
            let pinned = self.credentials.pinned(host);
            let session = match &host.jump {
                None => SshSession::open(host, &pinned, identity).await?,
                Some(jump) => self.session(jump).await?.open_through(host, &pinned, identity).await?,
            };
            let session = Rc::new(session);
            *connection.session.borrow_mut() = Some(session.clone());
            Ok(session)
        })
    }

    fn forget(&self, host: &RemoteHost) {
        *self.connection(host).session.borrow_mut() = None;
    }

    async fn run_once(&self, host: &RemoteHost, call: &ScriptCall) -> Result<ScriptReply, SshError> {
        let mark = format!("roadstead-{:016x}", fastrand::u64(..));
        let session = self.session(host).await?;
        let input = frame::framed_input(&call.script, &mark);
        let end = session.execute(frame::COMMAND, input, call.limit).await?;
        match frame::read_frame(&end.output, &mark) {
            Framed::Reply(reply) => Ok(reply),
            Framed::Cut => Err(SshError::Incomplete(host.name.clone())),
            Framed::Foreign(_) if end.exit == Some(frame::NOT_STORED) => {
                Err(SshError::NotStored(host.name.clone()))
            }
            Framed::Foreign(text) if end.exit.is_some() => {
                Err(SshError::NoFrame { host: host.name.clone(), text })
            }
            Framed::Unfinished | Framed::Foreign(_) => Err(SshError::Lost(host.name.clone())),
        }
    }
}

#[async_trait(?Send)]
impl RemoteHosts for SshClient {
    fn find_faults(&self, host: &RemoteHost) -> Vec<SshError> {
        self.credentials.faults_of(host)
    }

    async fn run(&self, host: &RemoteHost, call: &ScriptCall) -> Result<ScriptReply, SshError> {
        let connection = self.connection(host);
        let _turn = connection.commands.acquire().await;
        let mut result = self.run_once(host, call).await;
        // A kept connection that has ended is only noticed when it is used: nothing of the script was run.
        if matches!(result, Err(SshError::Incomplete(_))) {
            self.forget(host);
            result = self.run_once(host, call).await;
        }
        if result.as_ref().is_err_and(SshError::is_transient) {
            self.forget(host);
        }
        result
    }
}
