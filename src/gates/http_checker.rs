//! HTTP checks: one attempt each time, and its result. `expectations` decides whether a response is the
//! expected one.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::certificate;
use super::expectations::{self, MAX_REDIRECTS, ObservedResponse};
use crate::config::{Check, Redirects};
use crate::problem::{Code, Problem};
use crate::sys::clock::Clock;
use crate::sys::http::{HttpClient, Request, Response};
use crate::sys::network::Proxies;

/// Timeout of one attempt, unless a check allows more.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum bytes of a body that are read.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Sends the requests of checks.
#[derive(Debug, Clone)]
pub struct HttpChecker {
    /// The HTTP client.
    pub http: HttpClient,
    /// Measures response times, and dates certificates.
    pub clock: Clock,
    /// The proxies for the connections that read certificates.
    pub proxies: Arc<Proxies>,
    /// Why certificates cannot be checked here, if they cannot.
    pub no_certificates_reason: Option<&'static str>,
}

/// The result of one attempt of all checks.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckResult {
    /// All pass. Parts that were skipped are listed, each in a clause.
    Pass(Vec<String>),
    /// Some do not pass yet, and have time left; the reasons.
    Pending(String),
    /// One did not pass within its time.
    Fail(Problem),
}

/// The result of one attempt of one check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct CheckAttempt {
    mismatches: Vec<String>,
    /// The skipped part.
    skipped: Option<String>,
}

/// Runs all checks once, `since` after the first attempt.
pub async fn check_all(visitor: &HttpChecker, checks: &[Check], since: Duration) -> CheckResult {
    let tries = join_all(checks.iter().map(|check| visitor.attempt(check))).await;
    combine_attempts(&checks.iter().zip(tries).collect::<Vec<_>>(), since)
}

impl HttpChecker {
    async fn attempt(&self, check: &Check) -> CheckAttempt {
        let allowed = check
            .latency
            .map_or(ATTEMPT_TIMEOUT, |limit| ATTEMPT_TIMEOUT.max(limit.0 + Duration::from_secs(1)));
        let timeout = allowed.min(check.within.0.max(Duration::from_secs(1)));
        let mut tried = CheckAttempt::default();
        match tokio::time::timeout(timeout, self.fetch(check, timeout)).await {
            Ok(Ok(response)) => tried.mismatches = expectations::mismatches(check, &response),
            Ok(Err(why)) => tried.mismatches.push(why),
            Err(_) => tried.mismatches.push(format!("no response within {} s", timeout.as_secs_f64())),
        }
        match (check.certificate_days, self.no_certificates_reason) {
            (None, _) => {}
            (Some(_), Some(why)) => {
                tried.skipped = Some(format!("the certificate of {}: {why}", check.http.as_str()))
            }
            (Some(_), None) => tried.mismatches.extend(self.check_certificate(check, timeout).await),
        }
        tried
    }

    async fn check_certificate(&self, check: &Check, timeout: Duration) -> Option<String> {
        match certificate::expires_at(&self.proxies, check.http.as_str(), timeout).await {
            Ok(until) => expectations::certificate_expires_soon(check, until, self.clock.now()),
            Err(why) => Some(format!("its certificate could not be checked: {why}")),
        }
    }

    /// Sends the request, and follows redirects if configured.
    async fn fetch(&self, check: &Check, timeout: Duration) -> Result<ObservedResponse, String> {
        let (began, mut url) = (self.clock.elapsed(), check.http.as_str().to_owned());
        for _ in 0..=MAX_REDIRECTS {
            let response = self.http.send_head(build_request(check, &url), timeout, MAX_BODY_BYTES).await?;
            let location = redirect_location(&response, &url);
            match (location, &check.redirects) {
                (Some(next), Redirects::Follow) => url = next?,
                (location, _) => {
                    let took = self.clock.elapsed().saturating_sub(began);
                    let location = location.map(|found| found.unwrap_or_else(|why| why));
                    return Ok(ObservedResponse {
                        status: response.status,
                        location,
                        body: response.body,
                        elapsed: took,
                    });
                }
            }
        }
        Err(format!("it redirects more than {MAX_REDIRECTS} times"))
    }
}

/// The headers of a check are for its own host: a redirect to another host does not get them.
fn build_request(check: &Check, url: &str) -> Request {
    let own = host(url) == host(check.http.as_str());
    let headers = check.headers.iter().filter(|_| own);
    headers.fold(Request::get(url), |request, (name, value)| request.header(name.as_str(), value.as_str()))
}

fn host(url: &str) -> Option<&str> {
    url.split('/').nth(2)
}

/// The absolute URL of a redirect; an error if it is not a URL that may be followed.
fn redirect_location(response: &Response, url: &str) -> Option<Result<String, String>> {
    let is_redirect = crate::config::REDIRECT_STATUSES.contains(&response.status);
    let to = response.header("location").filter(|_| is_redirect)?;
    Some(expectations::resolve_location(url, to))
}

fn combine_attempts(tries: &[(&Check, CheckAttempt)], since: Duration) -> CheckResult {
    let missed: Vec<(&Check, String)> = tries
        .iter()
        .filter(|(_, tried)| !tried.mismatches.is_empty())
        .map(|(check, tried)| (*check, tried.mismatches.join("; ")))
        .collect();
    if let Some((check, why)) = missed.iter().find(|(check, _)| since >= check.within.0) {
        let sentence =
            format!("The check of `{}` did not pass within {}.", check.http.as_str(), check.within);
        return CheckResult::Fail(Problem::error(Code::CheckFailed, sentence).cause(why.clone()));
    }
    match missed.first() {
        None => CheckResult::Pass(tries.iter().filter_map(|(_, tried)| tried.skipped.clone()).collect()),
        Some((check, why)) => CheckResult::Pending(format!("{}: {why}", check.http.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;
    use crate::release::HumanDuration;

    fn check_within(minutes: u64) -> Check {
        let http = Address::try_from("https://test.example/health".to_owned()).unwrap();
        Check { within: HumanDuration::from_minutes(minutes), ..Check::new(http) }
    }

    #[test]
    fn checks_pass_together_and_fail_each_at_its_own_limit() {
        let (short, long) = (check_within(1), check_within(10));
        let minute = Duration::from_secs(60);
        let bad = || CheckAttempt {
            mismatches: vec!["it responded with 500 instead of 200".to_owned()],
            skipped: None,
        };
        let good = CheckAttempt::default;
        assert_eq!(
            combine_attempts(&[(&short, good()), (&long, good())], minute * 20),
            CheckResult::Pass(Vec::new())
        );
        assert!(matches!(
            combine_attempts(&[(&short, bad()), (&long, good())], minute / 2),
            CheckResult::Pending(_)
        ));
        assert!(matches!(
            combine_attempts(&[(&short, good()), (&long, bad())], minute * 5),
            CheckResult::Pending(_)
        ));
        let CheckResult::Fail(problem) = combine_attempts(&[(&short, bad()), (&long, bad())], minute) else {
            panic!()
        };
        assert_eq!(problem.code, Code::CheckFailed);
        assert_eq!(problem.cause.as_deref(), Some("it responded with 500 instead of 200"));
    }

    #[test]
    fn skipped_certificates_are_reported_when_all_checks_pass() {
        let unseen = CheckAttempt { mismatches: Vec::new(), skipped: Some("the certificate of x".into()) };
        assert_eq!(
            combine_attempts(&[(&check_within(1), unseen)], Duration::ZERO),
            CheckResult::Pass(vec!["the certificate of x".into()])
        );
    }

    #[test]
    fn headers_are_sent_only_to_the_host_of_the_check() {
        let name = "accept".to_owned().try_into().unwrap();
        let check =
            Check { headers: [(name, "text/html".to_owned().try_into().unwrap())].into(), ..check_within(1) };
        let sent = |url: &str| build_request(&check, url).headers.len();
        assert_eq!([sent("https://test.example/b"), sent("https://other.example/health")], [1, 0]);
        assert_eq!(sent("https://test.example.evil/health"), 0);
    }
}
