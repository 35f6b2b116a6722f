//! Unique names for services in a deploy file, valid in the input `services`. Pure.

use std::collections::BTreeSet;

use crate::targets::ecs::discover::DiscoveredService;

/// A name for each service: its own, prefixed with its cluster if another cluster has the same name, and with a number
/// if that is not unique.
pub(super) fn service_names(services: &[DiscoveredService]) -> Vec<String> {
    let own: Vec<String> = services.iter().map(|it| sanitize_name(&it.service)).collect();
    let mut taken = BTreeSet::new();
    let given = services.iter().zip(&own).map(|(service, name)| {
        let twice = own.iter().filter(|other| *other == name).count() > 1;
        let preferred =
            if twice { format!("{}-{name}", self::sanitize_name(&service.cluster)) } else { name.clone() };
        let numbered = (2..).map(|number| format!("{preferred}-{number}"));
        let free = std::iter::once(preferred.clone()).chain(numbered).find(|name| !taken.contains(name));
        let free = free.unwrap_or(preferred);
        taken.insert(free.clone());
        free
    });
    given.collect()
}

/// Letters, digits, `-` and `_`: inputs separate names by commas and lines, followed by `=` or `.`. `changed` is
/// reserved in the input `services`.
pub(super) fn sanitize_name(of: &str) -> String {
    let known = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let name: String = of.chars().map(known).collect();
    match name.trim_matches('-') {
        "" => "service".into(),
        "changed" => "changed-service".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(all: &[(&str, &str)]) -> Vec<String> {
        let one = |(cluster, service): &(&str, &str)| DiscoveredService {
            cluster: (*cluster).into(),
            service: (*service).into(),
            ..DiscoveredService::default()
        };
        service_names(&all.iter().map(one).collect::<Vec<_>>())
    }

    #[test]
    fn service_names_unique_name_is_kept() {
        assert_eq!(names_of(&[("acme", "web"), ("acme", "Worker_2")]), ["web", "Worker_2"]);
    }

    #[test]
    fn service_names_duplicates_get_the_cluster() {
        assert_eq!(
            names_of(&[("acme-production", "web"), ("acme-staging", "web"), ("acme-staging", "api")]),
            ["acme-production-web", "acme-staging-web", "api"]
        );
    }

    #[test]
    fn service_names_are_unique_and_valid_inputs() {
        assert_eq!(
            names_of(&[
                ("a", "x y"),
                ("a", "x,y"),
                ("b", "changed"),
                ("b", "…"),
                ("a-x", "y"),
                ("c", "a-x-y")
            ]),
            ["a-x-y", "a-x-y-2", "changed-service", "service", "y", "a-x-y-3"]
        );
    }
}
