//! GitHub's request rates: requests an hour, points a minute, content a minute.
//! Source: "Rate limits for the REST API" and "Rate limits and query limits for the GraphQL API".

use std::collections::BTreeMap;

/// Requests an hour of a token that says nothing else.
pub const HOURLY_LIMIT: u32 = 5000;
/// Requests an hour without a token.
pub const ANONYMOUS_HOURLY_LIMIT: u32 = 60;

/// What has been used, by token.
#[derive(Debug, Clone, Default)]
pub struct RateLimits {
    hours: BTreeMap<(String, &'static str), (f64, u32)>,
    minutes: BTreeMap<(String, &'static str), (f64, f64)>,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceededLimit {
    /// Requests an hour: the headers say when they are back.
    Primary,
    /// Too much in too short a time.
    Secondary,
}

/// A request, as far as rates are concerned.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitUsage<'a> {
    /// The token; empty without one.
    pub token: &'a str,
    /// Its requests an hour.
    pub hourly_limit: u32,
    /// `core` or `graphql`.
    pub resource: &'static str,
    /// Whether it changes anything.
    pub is_mutation: bool,
}

impl RateLimits {
    /// Count a request at `now`, epoch seconds.
    pub fn count_request(&mut self, it: RateLimitUsage<'_>, now: f64) -> Result<(), ExceededLimit> {
        let key = |name| (it.token.to_owned(), name);
        let hour = self.hours.entry(key(it.resource)).or_insert((now, 0));
        if now >= hour.0 + 3600.0 {
            *hour = (now, 0);
        }
        if hour.1 >= it.hourly_limit {
            return Err(ExceededLimit::Primary);
        }
        hour.1 += 1;
        let minute = if it.resource == "graphql" { 2000.0 } else { 900.0 };
        let points = if it.is_mutation { 5.0 } else { 1.0 };
        let passes = self.take_points(key(it.resource), minute, points, now)
            && (!it.is_mutation || self.take_points(key("content"), 80.0, 1.0, now));
        if passes { Ok(()) } else { Err(ExceededLimit::Secondary) }
    }

    fn take_points(&mut self, key: (String, &'static str), minute: f64, points: f64, now: f64) -> bool {
        let (level, since) = self.minutes.entry(key).or_insert((minute, now));
        *level = (*level + (now - *since).max(0.0) * minute / 60.0).min(minute);
        *since = now;
        let enough = *level >= points;
        if enough {
            *level -= points;
        }
        enough
    }

    /// Let nothing pass until `until`, epoch seconds.
    pub fn exhaust(&mut self, it: RateLimitUsage<'_>, until: f64) {
        self.hours.insert((it.token.to_owned(), it.resource), (until - 3600.0, it.hourly_limit));
    }

    /// The headers that every answer carries.
    pub fn headers(&self, it: RateLimitUsage<'_>, now: f64) -> Vec<(String, String)> {
        let key = (it.token.to_owned(), it.resource);
        let (began, used) = self.hours.get(&key).copied().unwrap_or((now, 0));
        let header = |name: &str, value: String| (format!("x-ratelimit-{name}"), value);
        vec![
            header("limit", it.hourly_limit.to_string()),
            header("remaining", it.hourly_limit.saturating_sub(used).to_string()),
            header("reset", format!("{}", (began + 3600.0).ceil())),
            header("used", used.to_string()),
            header("resource", it.resource.to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minute_points_and_hourly_requests_run_out_and_refill() {
        let mut limits = RateLimits::default();
        let read = RateLimitUsage { token: "t", hourly_limit: 1000, resource: "core", is_mutation: false };
        let passed = (0..950).filter(|_| limits.count_request(read, 0.0).is_ok()).count();
        assert_eq!(passed, 900);
        assert_eq!(limits.count_request(read, 0.0), Err(ExceededLimit::Secondary));
        assert!(limits.count_request(read, 10.0).is_ok());
        let write = RateLimitUsage { is_mutation: true, resource: "graphql", ..read };
        assert_eq!((0..100).filter(|_| limits.count_request(write, 0.0).is_ok()).count(), 80);
        limits.exhaust(read, 500.0);
        assert_eq!(limits.count_request(read, 499.0), Err(ExceededLimit::Primary));
        assert!(limits.headers(read, 499.0).contains(&("x-ratelimit-remaining".into(), "0".into())));
        assert!(limits.headers(read, 499.0).contains(&("x-ratelimit-reset".into(), "500".into())));
        assert!(limits.count_request(read, 500.0).is_ok());
    }
}
