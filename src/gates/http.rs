//! Checks of an address: one try each time, and what it says about the version that answers there. Whether an answer is
//! the wanted one is ruled in `answer`.

use std::time::Duration;

use futures::future::join_all;

use super::answer::{self, Answered, FOLLOWED};
use super::certificate;
use crate::config::{Check, Redirects};
use crate::problem::{Code, Problem};
use crate::sys::clock::Clock;
use crate::sys::web::{Answer, Request, Web};

/// How long one try may take, unless a check allows for more.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a body is looked at, in bytes.
const MOST: usize = 1 << 20;

/// Who asks addresses.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Through which door.
    pub web: Web,
    /// Times answers, and dates certificates.
    pub clock: Clock,
    /// Why certificates cannot be looked at here, where they cannot.
    pub blind: Option<&'static str>,
}

/// What a try of all checks gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Tried {
    /// All hold. What could not be looked at is said, each in a clause.
    Holds(Vec<String>),
    /// Some do not, and there is time left for them; in words.
    NotYet(String),
    /// One did not hold within its time.
    Failed(Problem),
}

/// What one try of one check gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Try {
    /// In what it is amiss.
    misses: Vec<String>,
    /// What was not looked at.
    unseen: Option<String>,
}

/// Tries all checks once, `since` so long after the first try.
pub async fn check(visitor: &Visitor, checks: &[Check], since: Duration) -> Tried {
    let tries = join_all(checks.iter().map(|check| visitor.try_once(check))).await;
    verdict(&checks.iter().zip(tries).collect::<Vec<_>>(), since)
}

impl Visitor {
    async fn try_once(&self, check: &Check) -> Try {
        let allowed = check.latency.map_or(PATIENCE, |limit| PATIENCE.max(limit.0 + Duration::from_secs(1)));
        let patience = allowed.min(check.within.0.max(Duration::from_secs(1)));
        let mut tried = Try::default();
        match tokio::time::timeout(patience, self.answer(check, patience)).await {
            Ok(Ok(answered)) => tried.misses = answer::misses(check, &answered),
            Ok(Err(why)) => tried.misses.push(why),
            Err(_) => tried.misses.push(format!("no answer in {} s", patience.as_secs_f64())),
        }
        match (check.certificate_days, self.blind) {
            (None, _) => {}
            (Some(_), Some(why)) => {
                tried.unseen = Some(format!("the certificate of {}: {why}", check.http.as_str()))
            }
            (Some(_), None) => tried.misses.extend(self.expiring(check, patience).await),
        }
        tried
    }

    async fn expiring(&self, check: &Check, patience: Duration) -> Option<String> {
        match certificate::good_until(check.http.as_str(), patience).await {
            Ok(until) => answer::expiring(check, until, self.clock.now()),
            Err(why) => Some(format!("its certificate could not be looked at: {why}")),
        }
    }

    /// Asks, and follows where that is wished.
    async fn answer(&self, check: &Check, patience: Duration) -> Result<Answered, String> {
        let (began, mut url) = (self.clock.elapsed(), check.http.as_str().to_owned());
        for _ in 0..=FOLLOWED {
            let answer = self.web.glance(request(check, &url), patience, MOST).await?;
            let location = location(&answer, &url);
            match (location, &check.redirects) {
                (Some(next), Redirects::Follow) => url = next?,
                (location, _) => {
                    let took = self.clock.elapsed().saturating_sub(began);
                    let location = location.map(|found| found.unwrap_or_else(|why| why));
                    return Ok(Answered { status: answer.status, location, body: answer.body, took });
                }
            }
        }
        Err(format!("it leads on and on, more than {FOLLOWED} times"))
    }
}

/// The headers of a check are for its own host: another one that it leads to does not get them.
fn request(check: &Check, url: &str) -> Request {
    let own = host(url) == host(check.http.as_str());
    let headers = check.headers.iter().filter(|_| own);
    headers.fold(Request::get(url), |request, (name, value)| request.header(name.as_str(), value.as_str()))
}

fn host(url: &str) -> Option<&str> {
    url.split('/').nth(2)
}

/// Where an answer leads, made whole; an error where that is no address that may be followed.
fn location(answer: &Answer, url: &str) -> Option<Result<String, String>> {
    let leads = crate::config::REDIRECTS.contains(&answer.status);
    let to = answer.header("location").filter(|_| leads)?;
    Some(answer::joined(url, to))
}

fn verdict(tries: &[(&Check, Try)], since: Duration) -> Tried {
    let missed: Vec<(&Check, String)> = tries
        .iter()
        .filter(|(_, tried)| !tried.misses.is_empty())
        .map(|(check, tried)| (*check, tried.misses.join("; ")))
        .collect();
    if let Some((check, why)) = missed.iter().find(|(check, _)| since >= check.within.0) {
        let sentence =
            format!("The check of `{}` did not hold within {}.", check.http.as_str(), check.within);
        return Tried::Failed(Problem::error(Code::CheckFailed, sentence).cause(why.clone()));
    }
    match missed.first() {
        None => Tried::Holds(tries.iter().filter_map(|(_, tried)| tried.unseen.clone()).collect()),
        Some((check, why)) => Tried::NotYet(format!("{}: {why}", check.http.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;
    use crate::release::Span;

    fn of(minutes: u64) -> Check {
        let http = Address::try_from("https://test.example/health".to_owned()).unwrap();
        Check { within: Span::minutes(minutes), ..Check::of(http) }
    }

    #[test]
    fn all_must_hold_and_each_has_its_own_time() {
        let (short, long) = (of(1), of(10));
        let minute = Duration::from_secs(60);
        let bad = || Try { misses: vec!["it answered 500 instead of 200".to_owned()], unseen: None };
        let good = Try::default;
        assert_eq!(verdict(&[(&short, good()), (&long, good())], minute * 20), Tried::Holds(Vec::new()));
        assert!(matches!(verdict(&[(&short, bad()), (&long, good())], minute / 2), Tried::NotYet(_)));
        assert!(matches!(verdict(&[(&short, good()), (&long, bad())], minute * 5), Tried::NotYet(_)));
        let Tried::Failed(problem) = verdict(&[(&short, bad()), (&long, bad())], minute) else { panic!() };
        assert_eq!(problem.code, Code::CheckFailed);
        assert_eq!(problem.cause.as_deref(), Some("it answered 500 instead of 200"));
    }

    #[test]
    fn what_was_not_looked_at_is_said_even_where_all_holds() {
        let unseen = Try { misses: Vec::new(), unseen: Some("the certificate of x".into()) };
        assert_eq!(
            verdict(&[(&of(1), unseen)], Duration::ZERO),
            Tried::Holds(vec!["the certificate of x".into()])
        );
    }

    #[test]
    fn headers_are_for_the_host_of_the_check_alone() {
        let name = "accept".to_owned().try_into().unwrap();
        let check = Check { headers: [(name, "text/html".to_owned().try_into().unwrap())].into(), ..of(1) };
        let sent = |url: &str| request(&check, url).headers.len();
        assert_eq!([sent("https://test.example/b"), sent("https://other.example/health")], [1, 0]);
        assert_eq!(sent("https://test.example.evil/health"), 0);
    }
}
