//! The name that was probably meant.

/// The nearest of `known`, if `name` looks like a typo of it.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is at least the difference of the lengths: most candidates need no comparison.
    let limit = |candidate: &str| 1 + candidate.len() / 4;
    known
        .into_iter()
        .filter(|candidate| name.len().abs_diff(candidate.len()) <= 4 * limit(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggest_recognizes_a_typo_only() {
        assert_eq!(suggest("enviroment", ["environment", "image"]), Some("environment"));
        assert_eq!(suggest("zebra", ["environment", "image"]), None);
    }

    /// Comparing takes time in proportion to both lengths.
    #[test]
    fn long_name_is_not_compared() {
        assert_eq!(suggest(&"x".repeat(10_000_000), ["environment"; 1000]), None);
    }
}
