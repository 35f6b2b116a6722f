//! One login at one host: handshake with pinned keys only, the user's key, commands with deadlines. Effects only.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::ssh_key::Algorithm;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, ChannelMsg};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::error::{HostKeyFault, SshError, SshStage};
use super::host::RemoteHost;
use super::host_keys::{HostKeyDecision, HostKeyPin, PinnedKeys};
use super::keys::Identity;

/// How long a TCP connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// How long handshake and login may take together.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// After this time without a packet, a keepalive request is sent.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// After this number of unanswered keepalive requests the connection is dead.
const KEEPALIVE_MAX: usize = 3;
/// The most that a command may write: more is a mistake of the host.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// A login at a host.
pub(super) struct SshSession {
    handle: Handle<HostKeyCheck>,
    host: String,
}

/// What a command ended with. Without an exit code it is not known what became of it.
pub(super) struct CommandEnd {
    pub(super) output: Vec<u8>,
    pub(super) exit: Option<u32>,
}

/// Accepts a host whose key is pinned, and keeps what was shown.
struct HostKeyCheck {
    pinned: PinnedKeys,
    shown: Arc<Mutex<Option<(HostKeyPin, HostKeyDecision)>>>,
}

impl client::Handler for HostKeyCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let pin = HostKeyPin::from_key(key);
        let decision = self.pinned.decide(&pin);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some((pin, decision));
        Ok(decision == HostKeyDecision::Accepted)
    }
}

impl SshSession {
    /// Logs in at a host over TCP.
    pub(super) async fn open(
        host: &RemoteHost,
        pinned: &PinnedKeys,
        identity: &Identity,
    ) -> Result<Self, SshError> {
        Self::open_over(host, pinned, identity, async || connect(host).await).await
    }

    /// Logs in at a host through this one.
    pub(super) async fn open_through(
        &self,
        host: &RemoteHost,
        pinned: &PinnedKeys,
        identity: &Identity,
    ) -> Result<Self, SshError> {
        let connect = async || {
            let port = u32::from(host.port);
            let opening = self.handle.channel_open_direct_tcpip(&host.name, port, "127.0.0.1", 0);
            let channel = within(CONNECT_LIMIT, host, SshStage::Connect, opening).await?;
            channel.map(russh::Channel::into_stream).map_err(|error| unreachable(host, &error))
        };
        Self::open_over(host, pinned, identity, connect).await
    }

    /// Offers one group of key types after the other, each over a new connection, until the host shows a pinned key.
    async fn open_over<S>(
        host: &RemoteHost,
        pinned: &PinnedKeys,
        identity: &Identity,
        connect: impl AsyncFn() -> Result<S, SshError>,
    ) -> Result<Self, SshError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut refused = None;
        for offer in pinned.offers() {
            match Self::log_in(host, pinned, offer, identity, connect().await?).await {
                Err(error @ SshError::HostKey { fault: HostKeyFault::Unknown, .. }) => {
                    refused = refused.or(Some(error));
                }
                other => return other,
            }
        }
        Err(refused.unwrap_or_else(|| SshError::NoHostKey(host.name.clone())))
    }

    async fn log_in<S>(
        host: &RemoteHost,
        pinned: &PinnedKeys,
        offer: Vec<Algorithm>,
        identity: &Identity,
        stream: S,
    ) -> Result<Self, SshError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shown = Arc::new(Mutex::new(None));
        let check = HostKeyCheck { pinned: pinned.clone(), shown: shown.clone() };
        let connecting = client::connect_stream(config(offer), stream, check);
        let handle = within(HANDSHAKE_LIMIT, host, SshStage::Handshake, connecting).await?;
        let handle = handle.map_err(|error| handshake_error(host, &shown, &error))?;
        let mut session = Self { handle, host: host.name.clone() };
        within(HANDSHAKE_LIMIT, host, SshStage::Handshake, session.authenticate(host, identity)).await??;
        Ok(session)
    }

    async fn authenticate(&mut self, host: &RemoteHost, identity: &Identity) -> Result<(), SshError> {
        let hash = self.handle.best_supported_rsa_hash().await.map_err(|error| unreachable(host, &error))?;
        let key = PrivateKeyWithHashAlg::new(identity.key(), hash.flatten());
        let result = self.handle.authenticate_publickey(&host.user, key).await;
        match result.map_err(|error| unreachable(host, &error))?.success() {
            true => Ok(()),
            false => Err(SshError::LoginRefused {
                host: host.name.clone(),
                user: host.user.clone(),
                offered: identity.fingerprint(),
            }),
        }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Runs a command with this on its standard input.
    pub(super) async fn execute(
        &self,
        command: &str,
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<CommandEnd, SshError> {
        let opening = timeout(HANDSHAKE_LIMIT, self.handle.channel_open_session());
        // Nothing was sent: the connection that was kept has ended.
        let ended = || SshError::Incomplete(self.host.clone());
        let channel = opening.await.map_err(|_| ended())?.map_err(|_| ended())?;
        channel.exec(true, command).await.map_err(|_| ended())?;
        match timeout(limit, exchange(channel, input)).await {
            Ok(end) => Ok(end),
            Err(_) => Err(SshError::TimedOut { host: self.host.clone(), stage: SshStage::Script }),
        }
    }
}

/// Sends the input and reads until the channel ends. What is written is read while the input is being sent.
async fn exchange(mut channel: russh::Channel<client::Msg>, input: Vec<u8>) -> CommandEnd {
    let mut writer = channel.make_writer();
    let sender = tokio::spawn(async move {
        // A command may end without reading its input: its exit code says what that means.
        let _ = writer.write_all(&input).await;
        let _ = writer.shutdown().await;
    });
    let mut end = CommandEnd { output: Vec::new(), exit: None };
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } if end.output.len() < MAX_OUTPUT_BYTES => {
                end.output.extend_from_slice(&data)
            }
            ChannelMsg::ExitStatus { exit_status } => end.exit = Some(exit_status),
            // The host runs no commands: nothing more comes.
            ChannelMsg::Failure => break,
            _ => {}
        }
    }
    sender.abort();
    end
}

async fn connect(host: &RemoteHost) -> Result<tokio::net::TcpStream, SshError> {
    let connecting = tokio::net::TcpStream::connect((host.name.as_str(), host.port));
    let stream = within(CONNECT_LIMIT, host, SshStage::Connect, connecting).await?;
    let stream = stream.map_err(|error| unreachable(host, &error))?;
    // Without it small packets wait for others; the connection works all the same.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn within<T>(
    limit: Duration,
    host: &RemoteHost,
    stage: SshStage,
    work: impl Future<Output = T>,
) -> Result<T, SshError> {
    timeout(limit, work).await.map_err(|_| SshError::TimedOut { host: host.name.clone(), stage })
}

fn unreachable(host: &RemoteHost, error: &dyn std::fmt::Display) -> SshError {
    SshError::Unreachable { host: host.name.clone(), why: error.to_string() }
}

fn handshake_error(
    host: &RemoteHost,
    shown: &Mutex<Option<(HostKeyPin, HostKeyDecision)>>,
    error: &russh::Error,
) -> SshError {
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let fault = match shown {
        Some((_, HostKeyDecision::Revoked)) => HostKeyFault::Revoked,
        Some((_, HostKeyDecision::Unknown)) => HostKeyFault::Unknown,
        // None of the pinned types is among the host's.
        None if matches!(error, russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. }) => {
            HostKeyFault::Unknown
        }
        Some((_, HostKeyDecision::Accepted)) | None => return unreachable(host, error),
    };
    let shown = shown.map_or_else(|| "of another type".to_owned(), |(pin, _)| pin.to_string());
    SshError::HostKey { host: host.name.clone(), shown, fault }
}

/// The settings of a connection that offers these types of host keys and no others.
fn config(offer: Vec<Algorithm>) -> Arc<client::Config> {
    let with_hashes = |kind: Algorithm| match kind {
        Algorithm::Rsa { .. } => {
            let signed = |hash| Algorithm::Rsa { hash: Some(hash) };
            vec![signed(HashAlg::Sha512), signed(HashAlg::Sha256)]
        }
        other => vec![other],
    };
    let key: Vec<Algorithm> = offer.into_iter().flat_map(with_hashes).collect();
    let preferred = russh::Preferred { key: Cow::Owned(key), ..russh::Preferred::default() };
    Arc::new(client::Config {
        preferred,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        nodelay: true,
        ..client::Config::default()
    })
}
