//! Names for services in a deploy file: what inputs can name, each once. Pure.

use std::collections::BTreeSet;

use crate::targets::ecs::survey::Found;

/// A name for each service: its own, with its cluster before it where another cluster has the same, and a number where
/// that is not enough.
pub(super) fn names(services: &[Found]) -> Vec<String> {
    let own: Vec<String> = services.iter().map(|it| name(&it.service)).collect();
    let mut taken = BTreeSet::new();
    let given = services.iter().zip(&own).map(|(service, name)| {
        let twice = own.iter().filter(|other| *other == name).count() > 1;
        let wish = if twice { format!("{}-{name}", self::name(&service.cluster)) } else { name.clone() };
        let numbered = (2..).map(|number| format!("{wish}-{number}"));
        let free = std::iter::once(wish.clone()).chain(numbered).find(|name| !taken.contains(name));
        let free = free.unwrap_or(wish);
        taken.insert(free.clone());
        free
    });
    given.collect()
}

/// Letters, digits, `-` and `_`: inputs separate names by commas and lines, and put `=` and `.` behind them. `changed` is
/// a word of the input `services`.
fn name(of: &str) -> String {
    let known = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let made: String = of.chars().map(known).collect();
    match made.trim_matches('-') {
        "" => "service".into(),
        "changed" => "changed-service".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> Vec<String> {
        let one = |(cluster, service): &(&str, &str)| Found {
            cluster: (*cluster).into(),
            service: (*service).into(),
            ..Found::default()
        };
        names(&all.iter().map(one).collect::<Vec<_>>())
    }

    #[test]
    fn a_service_keeps_its_name_where_it_is_alone() {
        assert_eq!(of(&[("acme", "web"), ("acme", "Worker_2")]), ["web", "Worker_2"]);
    }

    #[test]
    fn the_cluster_tells_two_apart() {
        assert_eq!(
            of(&[("acme-production", "web"), ("acme-staging", "web"), ("acme-staging", "api")]),
            ["acme-production-web", "acme-staging-web", "api"]
        );
    }

    #[test]
    fn no_two_are_the_same_and_none_is_a_word_or_a_list() {
        assert_eq!(
            of(&[("a", "x y"), ("a", "x,y"), ("b", "changed"), ("b", "…"), ("a-x", "y"), ("c", "a-x-y")]),
            ["a-x-y", "a-x-y-2", "changed-service", "service", "y", "a-x-y-3"]
        );
    }
}
