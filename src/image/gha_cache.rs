//! The cache of GitHub Actions, as the job offers it. Pure.

use crate::problem::{Code, Problem};
use crate::sys::environment::Variables;

/// The variables of the cache, which a child sees only with `cache: gha`.
pub(super) const GHA_CACHE_VARIABLES: [&str; 4] =
    ["ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_CACHE_SERVICE_V2"];

/// The version of the cache service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GhaCache {
    /// Version 1, of GitHub Enterprise Server.
    V1,
    /// Version 2, at this URL.
    V2(String),
    /// None, for this reason.
    Unavailable(&'static str),
}

impl GhaCache {
    /// The service that the variables of the job name.
    pub(super) fn from_variables(variables: &Variables) -> Self {
        let variable = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let is_v2 = variable("ACTIONS_CACHE_SERVICE_V2")
            .is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0");
        let (v1, v2) = (variable("ACTIONS_CACHE_URL"), variable("ACTIONS_RESULTS_URL"));
        match (variable("ACTIONS_RUNTIME_TOKEN"), v1, v2) {
            (None, _, _) => Self::Unavailable("the step has no `ACTIONS_RUNTIME_TOKEN`"),
            (_, _, Some(url)) if is_v2 || v1.is_none() => Self::V2(url.clone()),
            (_, Some(_), _) if !is_v2 => Self::V1,
            _ => Self::Unavailable("the step has no `ACTIONS_RESULTS_URL`"),
        }
    }

    /// What buildx is told about the service, besides its variables. An old buildx passes it on to BuildKit, which needs it.
    pub(super) fn attributes(&self) -> String {
        match self {
            Self::V2(url) => format!(",url={url},url_v2={url},version=2"),
            Self::V1 => ",version=1".into(),
            Self::Unavailable(_) => String::new(),
        }
    }

    /// That nothing is cached, where that is so.
    pub(super) fn warning(&self) -> Option<Problem> {
        let Self::Unavailable(reason) = self else { return None };
        let sentence = format!("`cache: gha` has no effect: {reason}. The image was built without a cache.");
        Some(
            Problem::warning(Code::CacheUnavailable, sentence)
                .help("The cache of GitHub Actions exists only in a job of GitHub Actions. Elsewhere, use `cache: registry`."),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(pairs: &[(&str, &str)]) -> GhaCache {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        GhaCache::from_variables(&pairs.collect())
    }

    #[test]
    fn service_is_read_from_the_variables_of_the_job() {
        let (token, v1, v2) = (
            ("ACTIONS_RUNTIME_TOKEN", "t"),
            ("ACTIONS_CACHE_URL", "https://a/"),
            ("ACTIONS_RESULTS_URL", "https://b/"),
        );
        let flag = |value| ("ACTIONS_CACHE_SERVICE_V2", value);
        let second = GhaCache::V2("https://b/".into());
        for (variables, expected) in [
            (&[token, v1, v2, flag("True")][..], &second),
            (&[token, v1, v2], &GhaCache::V1),
            (&[token, v1, v2, flag("false")], &GhaCache::V1),
            (&[token, v2], &second),
            (&[token, v1], &GhaCache::V1),
        ] {
            assert_eq!(&cache(variables), expected, "{variables:?}");
        }
        for variables in [&[][..], &[v1, v2, flag("1")], &[token], &[token, v1, flag("1")]] {
            assert!(cache(variables).warning().is_some(), "{variables:?}");
        }
        assert_eq!(second.attributes(), ",url=https://b/,url_v2=https://b/,version=2");
    }
}
