//! Sends a change until its result is known, and never makes it twice: each attempt follows a look whether the change
//! exists. No I/O here: the caller gives `send` and `look`. The only clock is tokio's, which a rehearsal advances.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::policy::{NextAttempt, RetryPolicy};

/// Whether a change was made, as far as its failed request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// It may have happened.
    Ambiguous,
    /// It did not happen, and can be sent again.
    Transient,
    /// It did not happen: too many requests.
    RateLimited,
    /// It did not happen, and sending it again cannot help.
    Rejected,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError<E> {
    /// Whether the change was made.
    pub failure: SendFailure,
    /// The caller's error: the result if this was the last attempt.
    pub error: E,
    pause: Option<Duration>,
}

impl<E> SendError<E> {
    /// An error of this kind.
    pub fn new(failure: SendFailure, error: E) -> Self {
        Self { failure, error, pause: None }
    }

    /// The change may have happened.
    pub fn ambiguous(error: E) -> Self {
        Self::new(SendFailure::Ambiguous, error)
    }

    /// The change did not happen, and can be sent again.
    pub fn transient(error: E) -> Self {
        Self::new(SendFailure::Transient, error)
    }

    /// The change did not happen, and sending it again cannot help.
    pub fn rejected(error: E) -> Self {
        Self::new(SendFailure::Rejected, error)
    }

    /// Replaces the pause of the policy.
    pub fn after(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// Whether the change may have happened.
    pub fn is_ambiguous(&self) -> bool {
        self.failure == SendFailure::Ambiguous
    }
}

/// Why a change has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError<E> {
    /// It was not made: the state could not be read before it, or does not allow it, or each attempt came to nothing.
    NotMade(E),
    /// It was not made: the provider rejected it.
    Rejected(E),
    /// A request for it left, and what became of it is not known. The error says why it could not be found out.
    Unknown(E),
}

impl<E> WriteError<E> {
    /// The error.
    pub fn error(&self) -> &E {
        match self {
            Self::NotMade(error) | Self::Rejected(error) | Self::Unknown(error) => error,
        }
    }

    /// The error alone, for a caller whose users see no difference.
    pub fn into_error(self) -> E {
        match self {
            Self::NotMade(error) | Self::Rejected(error) | Self::Unknown(error) => error,
        }
    }

    /// The same with another error.
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> WriteError<F> {
        match self {
            Self::NotMade(error) => WriteError::NotMade(change(error)),
            Self::Rejected(error) => WriteError::Rejected(change(error)),
            Self::Unknown(error) => WriteError::Unknown(change(error)),
        }
    }

    /// Whether the change may have been made.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// The error of a part of a change whose earlier parts were made: it cannot be said that nothing was changed.
    #[must_use]
    pub fn after_change(self) -> Self {
        Self::Unknown(self.into_error())
    }
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<R, T, E> {
    /// The change exists, whoever made it: this is the result.
    Done(T),
    /// The state does not allow it, for example because a newer change took over: this is the result.
    Stop(E),
    /// It does not exist: send this.
    Send(R),
    /// The deciding state cannot be read yet: look again after a pause. This counts as an attempt.
    NotVisible(E),
}

impl<T, E> From<Option<T>> for Look<(), T, E> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Send(()), Self::Done)
    }
}

/// The number of attempts, the time of the first failure, and whether one of the attempts may have made the change.
#[derive(Debug, Default)]
struct Attempts {
    count: usize,
    first_failure: Option<Instant>,
    is_in_doubt: bool,
}

impl Attempts {
    fn record_failure<E>(&mut self, policy: &RetryPolicy, failed: &SendError<E>) -> NextAttempt {
        self.count += 1;
        self.is_in_doubt |= failed.is_ambiguous();
        let elapsed = self.first_failure.get_or_insert_with(Instant::now).elapsed();
        policy.next_attempt(self.count, elapsed, failed.failure, failed.pause)
    }

    /// The result of all attempts, the last of which ended with `failure`. A lost response is not outweighed by a later
    /// rejection, nor by a look that did not find the change: providers show changes late.
    fn to_error<E>(&self, failure: SendFailure, error: E) -> WriteError<E> {
        match failure {
            _ if self.is_in_doubt => WriteError::Unknown(error),
            SendFailure::Rejected => WriteError::Rejected(error),
            SendFailure::Ambiguous => WriteError::Unknown(error),
            SendFailure::Transient | SendFailure::RateLimited => WriteError::NotMade(error),
        }
    }
}

/// Makes a change at most once, although responses can be lost.
///
/// `look` runs before each attempt, with the failure of the attempt before (`None` before the first). It returns the
/// existing result, the request to send, or the reason to stop. A caller whose change cannot exist yet returns
/// [`Look::Send`] from the first look without a call.
///
/// A look that fails says nothing about the change: once a response was lost, the look is repeated like an attempt, nothing
/// is sent before it succeeds, and the end is [`WriteError::Unknown`] unless a look or a response decides. If the attempts
/// are used up and the last response was lost, one last look may still find the result.
///
/// It awaits only `send`, `look` and pauses on tokio's clock, so a paused runtime gives virtual time.
pub async fn ambiguous<R, T, E>(
    policy: &RetryPolicy,
    mut send: impl AsyncFnMut(R) -> Result<T, SendError<E>>,
    mut look: impl AsyncFnMut(Option<&SendError<E>>) -> Result<Look<R, T, E>, E>,
) -> Result<T, WriteError<E>> {
    let (mut attempts, mut last, mut is_last_look) = (Attempts::default(), None::<SendError<E>>, false);
    loop {
        // Without a decision, what was unknown before stays so.
        let unseen = last.as_ref().map_or(SendFailure::Transient, |failed| failed.failure);
        let failed = match (look(last.as_ref()).await, last.take_if(|_| is_last_look)) {
            (Ok(Look::Done(value)), _) => return Ok(value),
            (Ok(Look::Stop(error)), _) => return Err(WriteError::NotMade(error)),
            (Ok(Look::NotVisible(_) | Look::Send(_)), Some(failed)) => {
                return Err(attempts.to_error(SendFailure::Ambiguous, failed.error));
            }
            (Err(error), None) if attempts.is_in_doubt => SendError::ambiguous(error),
            (Err(error), _) => return Err(attempts.to_error(SendFailure::Transient, error)),
            (Ok(Look::NotVisible(error)), None) => SendError::new(unseen, error),
            (Ok(Look::Send(request)), None) => match send(request).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            },
        };
        match attempts.record_failure(policy, &failed) {
            NextAttempt::Retry(pause) => rest(pause).await,
            NextAttempt::LastLook(pause) => {
                is_last_look = true;
                rest(pause).await;
            }
            NextAttempt::GiveUp => return Err(attempts.to_error(failed.failure, failed.error)),
        }
        last = Some(failed);
    }
}

/// Repeats a request that is idempotent: a read, or a write with an idempotency token.
pub async fn idempotent<T, E>(
    policy: &RetryPolicy,
    mut send: impl AsyncFnMut() -> Result<T, SendError<E>>,
) -> Result<T, WriteError<E>> {
    let mut attempts = Attempts::default();
    loop {
        let failed = match send().await {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        };
        match attempts.record_failure(policy, &failed) {
            NextAttempt::Retry(pause) => rest(pause).await,
            NextAttempt::LastLook(_) | NextAttempt::GiveUp => {
                return Err(attempts.to_error(failed.failure, failed.error));
            }
        }
    }
}

async fn rest(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}
