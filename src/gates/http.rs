//! Checks of an address: one try each time, and what it says about the version that answers there.

use std::time::Duration;

use futures::future::join_all;

use crate::config::Check;
use crate::problem::{Code, Problem};
use crate::sys::web::Web;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a try of all checks gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Tried {
    /// All hold.
    Holds,
    /// Some do not, and there is time left for them; in words.
    NotYet(String),
    /// One did not hold within its time.
    Failed(Problem),
}

/// Tries all checks once, `since` so long after the first try.
pub async fn check(web: &Web, checks: &[Check], since: Duration) -> Tried {
    let tries = checks.iter().map(|check| async move {
        let patience = PATIENCE.min(check.within.0.max(Duration::from_secs(1)));
        (check, miss(check, web.get(check.http.as_str(), patience).await.map(|page| page.status)))
    });
    verdict(&join_all(tries).await, since)
}

/// Why an answer is not the wanted one; `None` when it is.
fn miss(check: &Check, answer: Result<u16, String>) -> Option<String> {
    match answer {
        Ok(status) if status == check.status.0 => None,
        Ok(status) => Some(format!("it answered {status} instead of {}", check.status.0)),
        Err(why) => Some(why),
    }
}

fn verdict(tries: &[(&Check, Option<String>)], since: Duration) -> Tried {
    let missed: Vec<(&Check, &String)> =
        tries.iter().filter_map(|(check, miss)| Some((*check, miss.as_ref()?))).collect();
    if let Some((check, why)) = missed.iter().find(|(check, _)| since >= check.within.0) {
        let sentence =
            format!("The check of `{}` did not hold within {}.", check.http.as_str(), check.within);
        let problem = Problem::error(Code::CheckFailed, sentence).cause((*why).clone());
        return Tried::Failed(
            problem.help("No production traffic was moved to the new version by this step."),
        );
    }
    match missed.first() {
        None => Tried::Holds,
        Some((check, why)) => Tried::NotYet(format!("{}: {why}", check.http.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Status};
    use crate::release::Span;

    fn of(minutes: u64) -> Check {
        let http = Address::try_from("https://test.example/health".to_owned()).unwrap();
        Check { http, status: Status::OK, within: Span::minutes(minutes) }
    }

    #[test]
    fn only_the_wanted_status_holds() {
        let check = of(1);
        assert_eq!(miss(&check, Ok(200)), None);
        for answer in [Ok(204), Ok(301), Ok(500), Err("connection refused".to_owned())] {
            assert!(miss(&check, answer.clone()).is_some(), "{answer:?}");
        }
    }

    #[test]
    fn all_must_hold_and_each_has_its_own_time() {
        let (short, long) = (of(1), of(10));
        let minute = Duration::from_secs(60);
        let bad = || Some("it answered 500 instead of 200".to_owned());
        assert_eq!(verdict(&[(&short, None), (&long, None)], minute * 20), Tried::Holds);
        assert!(matches!(verdict(&[(&short, bad()), (&long, None)], minute / 2), Tried::NotYet(_)));
        assert!(matches!(verdict(&[(&short, None), (&long, bad())], minute * 5), Tried::NotYet(_)));
        let Tried::Failed(problem) = verdict(&[(&short, bad()), (&long, bad())], minute) else { panic!() };
        assert_eq!(problem.code, Code::CheckFailed);
        assert_eq!(problem.cause.as_deref(), Some("it answered 500 instead of 200"));
    }
}
