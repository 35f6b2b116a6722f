//! One table for the promise "never twice": what the wire does to each attempt, and what a look sees.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::Instant;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const POLICY: RetryPolicy = RetryPolicy::with_backoff(&[SECOND, Duration::from_secs(2)], Jitter::None);

/// What becomes of one attempt.
#[derive(Debug, Clone, Copy)]
enum Wire {
    /// The change is made, and the answer comes.
    Answered,
    /// The change is made, and the answer is lost.
    AnswerLost,
    /// The request is lost.
    RequestLost,
    /// The provider asks to try again.
    Busy,
    /// The provider limits requests.
    Limited,
    /// The provider will not do it.
    Refused,
    /// Nothing is made, and somebody else makes the same change.
    MadeByOther,
    /// The request is lost, and somebody else makes another change.
    Superseded,
    /// The request is lost, and the next look fails.
    LookFails,
    /// The change is made, its answer is lost, and the next look fails.
    LookFailsAfterChange,
    /// The change is made, its answer is lost, and no look ever succeeds.
    Blind,
    /// The request is lost, and the next look sees nothing that decides.
    NotVisible,
}

/// The provider, with one thing that can be made.
#[derive(Default)]
struct Provider {
    made: Cell<u32>,
    sent: Cell<u32>,
    looks: Cell<u32>,
    is_there: Cell<bool>,
    next_look: RefCell<Option<Wire>>,
}

impl Provider {
    fn send(&self, wire: Wire) -> Result<&'static str, SendError<&'static str>> {
        self.sent.set(self.sent.get() + 1);
        if matches!(wire, Wire::Answered | Wire::AnswerLost | Wire::LookFailsAfterChange | Wire::Blind) {
            self.made.set(self.made.get() + 1);
            self.is_there.set(true);
        }
        self.is_there.set(self.is_there.get() || matches!(wire, Wire::MadeByOther));
        self.next_look.replace(Some(wire));
        match wire {
            Wire::Answered => Ok("answered"),
            Wire::Busy => Err(SendError::transient("busy")),
            Wire::Limited => Err(SendError::new(SendFailure::RateLimited, "limited")),
            Wire::Refused => Err(SendError::rejected("refused")),
            Wire::AnswerLost | Wire::RequestLost | Wire::MadeByOther => Err(SendError::ambiguous("lost")),
            Wire::Superseded | Wire::LookFails | Wire::NotVisible => Err(SendError::ambiguous("lost")),
            Wire::LookFailsAfterChange | Wire::Blind => Err(SendError::ambiguous("lost")),
        }
    }

    fn look(&self) -> Result<Look<(), &'static str, &'static str>, &'static str> {
        self.looks.set(self.looks.get() + 1);
        match self.next_look.take() {
            Some(Wire::Blind) => {
                self.next_look.replace(Some(Wire::Blind));
                Err("look failed")
            }
            Some(Wire::LookFails | Wire::LookFailsAfterChange) => Err("look failed"),
            Some(Wire::Superseded) => Ok(Look::Stop("superseded")),
            Some(Wire::NotVisible) => Ok(Look::NotVisible("not visible")),
            _ => Ok(self.is_there.get().then_some("found").into()),
        }
    }
}

/// Result, how often the change was made by us, sends, looks after a failure, seconds.
type Row = (Result<&'static str, WriteError<&'static str>>, u32, u32, u32, u64);

async fn run(policy: &RetryPolicy, script: &[Wire]) -> Row {
    let (provider, begun) = (Provider::default(), Instant::now());
    let mut wires = script.iter();
    let result = ambiguous(
        policy,
        async |()| provider.send(*wires.next().expect("more attempts than the table says")),
        async |failed: Option<&SendError<&'static str>>| match failed {
            None => Ok(Look::Send(())),
            Some(_) => provider.look(),
        },
    )
    .await;
    let (made, sent, looks) = (provider.made.get(), provider.sent.get(), provider.looks.get());
    (result, made, sent, looks, begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn ambiguous_write_is_made_at_most_once() {
    use Wire::*;
    let (not_made, rejected, unknown) = (
        |why| Err(WriteError::NotMade(why)),
        |why| Err(WriteError::Rejected(why)),
        |why| Err(WriteError::Unknown(why)),
    );
    let limited = POLICY.with_rate_limit_timeout(Duration::from_secs(5));
    let short = POLICY.within(SECOND);
    let table: &[(&str, RetryPolicy, &[Wire], Row)] = &[
        ("answer came", POLICY, &[Answered], (Ok("answered"), 1, 1, 0, 0)),
        ("answer lost, happened", POLICY, &[AnswerLost], (Ok("found"), 1, 1, 1, 1)),
        ("answer lost, did not happen", POLICY, &[RequestLost, Answered], (Ok("answered"), 1, 2, 1, 1)),
        ("lost twice, then happened", POLICY, &[RequestLost, AnswerLost], (Ok("found"), 1, 2, 2, 3)),
        ("made by somebody else", POLICY, &[MadeByOther], (Ok("found"), 0, 1, 1, 1)),
        ("superseded meanwhile", POLICY, &[Superseded], (not_made("superseded"), 0, 1, 1, 1)),
        ("the look fails once, then finds it", POLICY, &[LookFailsAfterChange], (Ok("found"), 1, 1, 2, 3)),
        (
            "the look fails once, then it is sent",
            POLICY,
            &[LookFails, Answered],
            (Ok("answered"), 1, 2, 2, 3),
        ),
        ("every look fails", POLICY, &[Blind], (unknown("look failed"), 1, 1, 3, 5)),
        ("every look fails, one attempt", RetryPolicy::ONCE, &[Blind], (unknown("look failed"), 1, 1, 1, 0)),
        ("the look sees nothing yet", POLICY, &[NotVisible, Answered], (Ok("answered"), 1, 2, 2, 3)),
        ("busy once", POLICY, &[Busy, Answered], (Ok("answered"), 1, 2, 1, 1)),
        ("busy, and somebody else made it", POLICY, &[Busy, MadeByOther], (Ok("found"), 0, 2, 2, 3)),
        ("rejected", POLICY, &[Refused], (rejected("refused"), 0, 1, 0, 0)),
        ("rejected after a loss", POLICY, &[RequestLost, Refused], (unknown("refused"), 0, 2, 1, 1)),
        ("busy after a loss", short, &[RequestLost, Busy], (unknown("busy"), 0, 2, 1, 1)),
        ("attempts over while busy", POLICY, &[Busy, Busy, Busy], (not_made("busy"), 0, 3, 2, 3)),
        (
            "attempts over, last look does not find it",
            POLICY,
            &[RequestLost, RequestLost, RequestLost],
            (unknown("lost"), 0, 3, 3, 5),
        ),
        (
            "attempts over, last look finds it",
            POLICY,
            &[RequestLost, RequestLost, AnswerLost],
            (Ok("found"), 1, 3, 3, 5),
        ),
        ("deadline over", short, &[Busy, Busy], (not_made("busy"), 0, 2, 1, 1)),
        ("deadline over, last look finds it", short, &[Busy, AnswerLost], (Ok("found"), 1, 2, 2, 3)),
        ("one attempt, lost", RetryPolicy::ONCE, &[RequestLost], (unknown("lost"), 0, 1, 1, 0)),
        ("one attempt, found", RetryPolicy::ONCE, &[AnswerLost], (Ok("found"), 1, 1, 1, 0)),
        ("one attempt, busy", RetryPolicy::ONCE, &[Busy], (not_made("busy"), 0, 1, 0, 0)),
        ("two attempts at once", RetryPolicy::TWICE, &[RequestLost, Answered], (Ok("answered"), 1, 2, 1, 0)),
        (
            "rate limit counts as an attempt",
            POLICY,
            &[Limited, Limited, Limited],
            (not_made("limited"), 0, 3, 2, 3),
        ),
        (
            "rate limit waited out by time",
            limited,
            &[Limited, Limited, Limited, Answered],
            (Ok("answered"), 1, 4, 3, 5),
        ),
        (
            "rate limit lasts too long",
            limited,
            &[Limited, Limited, Limited, Limited],
            (not_made("limited"), 0, 4, 3, 5),
        ),
    ];
    for (name, policy, script, expected) in table {
        let row = run(policy, script).await;
        assert_eq!(row, *expected, "{name}");
        assert!(row.1 <= 1, "{name}: made twice");
    }
}

#[tokio::test(start_paused = true)]
async fn look_that_fails_before_the_first_request_is_no_doubt() {
    let result: Result<&str, WriteError<&str>> =
        ambiguous(&POLICY, async |()| Ok("sent"), async |_| Err("look failed")).await;
    assert_eq!(result, Err(WriteError::NotMade("look failed")));
}

#[tokio::test(start_paused = true)]
async fn change_that_is_there_already_is_not_sent() {
    let sent = Cell::new(0);
    let result: Result<&str, WriteError<&str>> = ambiguous(
        &POLICY,
        async |()| {
            sent.set(sent.get() + 1);
            Ok("sent")
        },
        async |_| Ok(Look::Done("there")),
    )
    .await;
    assert_eq!((result, sent.get()), (Ok("there"), 0));
}

#[tokio::test(start_paused = true)]
async fn pause_of_the_provider_replaces_the_backoff() {
    let (begun, wait) = (Instant::now(), Duration::from_secs(30));
    let mut sent = 0;
    let result: Result<u32, WriteError<&str>> = idempotent(&POLICY, async || {
        sent += 1;
        if sent == 1 { Err(SendError::transient("limited").after(wait)) } else { Ok(sent) }
    })
    .await;
    assert_eq!((result, begun.elapsed()), (Ok(2), wait));
}

#[tokio::test(start_paused = true)]
async fn idempotent_request_is_repeated_within_its_policy() {
    use SendFailure::*;
    let table = [
        (&[Ambiguous, Ambiguous, Ambiguous][..], WriteError::Unknown("failed")),
        (&[Transient, Transient, Transient], WriteError::NotMade("failed")),
        (&[Rejected], WriteError::Rejected("failed")),
        (&[Transient, Rejected], WriteError::Rejected("failed")),
        (&[Ambiguous, Rejected], WriteError::Unknown("failed")),
        (&[Ambiguous, Transient, RateLimited], WriteError::Unknown("failed")),
    ];
    for (failures, expected) in table {
        let mut sent = 0;
        let result: Result<(), WriteError<&str>> = idempotent(&POLICY, async || {
            sent += 1;
            Err(SendError::new(failures[sent - 1], "failed"))
        })
        .await;
        assert_eq!((result, sent), (Err(expected), failures.len()), "{failures:?}");
    }
}

#[test]
fn jittered_pause_stays_within_its_bounds() {
    let pause = |jitter| {
        let policy = RetryPolicy::with_backoff(&[SECOND], jitter);
        match policy.next_attempt(1, Duration::ZERO, SendFailure::Transient, None) {
            NextAttempt::Retry(pause) => pause,
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..200 {
        assert_eq!(pause(Jitter::None), SECOND);
        assert!((SECOND / 2..=SECOND).contains(&pause(Jitter::Shorter)));
        assert!((SECOND / 2..=SECOND * 3 / 2).contains(&pause(Jitter::Around)));
    }
}
