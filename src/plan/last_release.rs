//! The last release: the newest record of something that still serves, and the services that it brought. Pure.

use super::RecordedRelease;
use crate::release::{Observed, RecordedService};

/// A service, and what it runs.
#[derive(Debug, Clone, Copy)]
pub struct ServingService<'s> {
    /// Its name.
    pub name: &'s str,
    /// What it runs; `None` if it could not be read.
    pub observed: Option<&'s Observed>,
}

/// The services that the record at `at` brought and that still serve it. `records` are newest first; `is_complete`: there are
/// no older ones.
pub fn brought_services<'s>(
    at: usize,
    records: &[RecordedRelease<'_>],
    is_complete: bool,
    serving: &[ServingService<'s>],
) -> Vec<&'s str> {
    let Some(release) = records.get(at) else { return Vec::new() };
    let is_brought = |service: &&ServingService<'_>| {
        let Some(recorded) = release.record.services.get(service.name) else { return false };
        let serves = match service.observed {
            Some(observed) => observed.runs(recorded),
            // A newer release of it would have a newer record.
            None => release.proven,
        };
        // A release that failed was rolled back, unless its image serves and was not there before.
        let stands =
            || release.proven || is_new_image(service.name, recorded, &records[at + 1..], is_complete);
        !recorded.unchanged && serves && stands()
    };
    serving.iter().filter(is_brought).map(|service| service.name).collect()
}

fn is_new_image(
    service: &str,
    recorded: &RecordedService,
    older: &[RecordedRelease<'_>],
    is_complete: bool,
) -> bool {
    let before = older.iter().find_map(|one| one.record.services.get(service));
    before.map_or(is_complete, |before| !before.is_same_release(recorded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::DeploymentRecord;

    fn image(digit: char) -> crate::release::ImageRef {
        format!("r.example/acme@sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
    }

    fn observed(digit: char) -> Observed {
        Observed { image: Some(image(digit)), ..Observed::for_tests() }
    }

    /// `api=3 web=!3`: a record of `api` with the image 3, and of `web`, which had it before.
    fn record(text: &str) -> DeploymentRecord {
        let services = text.split_whitespace().map(|one| {
            let (name, image_text) = one.split_once('=').unwrap();
            let digit = image_text.chars().last().unwrap();
            let unchanged = image_text.starts_with('!');
            (name.to_owned(), RecordedService { unchanged, ..RecordedService::brought(image(digit)) })
        });
        DeploymentRecord { environment: "staging".into(), commit: "c".into(), services: services.collect() }
    }

    /// The first record that brought something, and what: `0: api`.
    fn last_release(records: &[(&str, bool)], api: char, web: char) -> String {
        let all: Vec<DeploymentRecord> = records.iter().map(|(text, _)| record(text)).collect();
        let known: Vec<RecordedRelease<'_>> = all
            .iter()
            .zip(records)
            .map(|(record, (_, proven))| RecordedRelease { record, proven: *proven })
            .collect();
        let (api, web) = (observed(api), observed(web));
        let serving = [
            ServingService { name: "api", observed: Some(&api) },
            ServingService { name: "web", observed: Some(&web) },
        ];
        let brought = |at: usize| brought_services(at, &known, true, &serving);
        let first = (0..known.len()).find(|at| !brought(*at).is_empty());
        first.map_or_else(|| "none".into(), |at| format!("{at}: {}", brought(at).join(" ")))
    }

    #[test]
    fn last_release_is_the_newest_that_serves_with_what_it_brought() {
        for (records, api, web, expected) in [
            (vec![("api=3", true), ("api=2", true), ("api=1 web=1", true)], '3', '1', "0: api"),
            (vec![("api=2 web=2", true), ("api=1 web=1", true)], '2', '2', "0: api web"),
            // `web` was found as it was.
            (vec![("api=3 web=!1", true), ("api=1 web=1", true)], '3', '1', "0: api"),
            // A run that found everything as it was brought nothing.
            (vec![("api=!3 web=!1", true), ("api=3", true), ("web=1", true)], '3', '1', "1: api"),
            // It failed and was rolled back.
            (vec![("api=3", false), ("web=2", true), ("api=1 web=1", true)], '1', '2', "1: web"),
            // `api` serves, and only `web` was rolled back.
            (vec![("api=3 web=3", false), ("api=1 web=1", true)], '3', '1', "0: api"),
            // Only a setting was changed, and that was rolled back: the image tells nothing.
            (vec![("api=1", false), ("web=2", true), ("api=1 web=1", true)], '1', '2', "1: web"),
            // A rollback is a release too.
            (vec![("api=1", true), ("api=2", true), ("api=1", true)], '1', '9', "0: api"),
            (vec![("api=3", true)], '8', '9', "none"),
            (vec![], '1', '1', "none"),
        ] {
            assert_eq!(last_release(&records, api, web), expected, "{records:?} {api} {web}");
        }
    }

    #[test]
    fn service_that_cannot_be_read_counts_by_its_proven_record() {
        let (failed, proven) = (record("web=4"), record("web=3"));
        let records = [
            RecordedRelease { record: &failed, proven: false },
            RecordedRelease { record: &proven, proven: true },
        ];
        let serving = [ServingService { name: "web", observed: None }];
        let brought = [0, 1].map(|at| brought_services(at, &records, true, &serving).len());
        assert_eq!(brought, [0, 1]);
    }

    #[test]
    fn failed_release_counts_only_if_the_image_before_is_known() {
        let known = record("api=3");
        let (records, observed) = ([RecordedRelease { record: &known, proven: false }], observed('3'));
        let serving = [ServingService { name: "api", observed: Some(&observed) }];
        assert_eq!(brought_services(0, &records, true, &serving), ["api"]);
        assert_eq!(brought_services(0, &records, false, &serving), [""; 0]);
    }

    #[test]
    fn release_that_changed_only_a_further_container_is_found() {
        let with = |nginx: char| RecordedService {
            container_images: [("nginx".to_owned(), image(nginx))].into(),
            ..RecordedService::brought(image('1'))
        };
        let record = |nginx: char| DeploymentRecord {
            environment: "staging".into(),
            commit: "c".into(),
            services: [("api".to_owned(), with(nginx))].into(),
        };
        let all = [record('2'), record('1')];
        let records: Vec<RecordedRelease<'_>> =
            all.iter().map(|record| RecordedRelease { record, proven: true }).collect();
        let found = |nginx: char| {
            let observed = Observed { container_images: with(nginx).container_images, ..observed('1') };
            let serving = [ServingService { name: "api", observed: Some(&observed) }];
            (0..2)
                .filter(|at| !brought_services(*at, &records, true, &serving).is_empty())
                .collect::<Vec<_>>()
        };
        assert_eq!((found('2'), found('1'), found('3')), (vec![0], vec![1], vec![]));
    }
}
