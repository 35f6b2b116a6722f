//! The name that was probably meant.

/// The longest name that is compared: comparing takes time in proportion to both lengths.
const MAX_COMPARED_BYTES: usize = 300;

/// The nearest of `known`, if `name` looks like a typo of it: in other letters or another case, or with other dashes.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let plain = fold_name(name);
    let limit = |candidate: &str| 1 + candidate.len() / 4;
    known
        .into_iter()
        // The distance is at least the difference of the lengths: most candidates need no comparison.
        .filter(|candidate| name.len().abs_diff(candidate.len()) <= 4 * limit(candidate))
        .map(|candidate| (name_distance(name, &plain, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How far apart two names are. `plain` is `name` folded.
fn name_distance(name: &str, plain: &str, candidate: &str) -> usize {
    match fold_name(candidate) {
        folded if folded == plain => 0,
        folded => {
            strsim::damerau_levenshtein(name, candidate).min(1 + strsim::damerau_levenshtein(plain, &folded))
        }
    }
}

/// A name without its case and its dashes: `taskDefinition`, `task_definition` and `task-definition` are one.
fn fold_name(name: &str) -> String {
    name.chars().filter(|c| !"-_ .".contains(*c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggest_recognizes_a_typo_only() {
        assert_eq!(suggest("enviroment", ["environment", "image"]), Some("environment"));
        assert_eq!(suggest("zebra", ["environment", "image"]), None);
        for other in ["taskDefinition", "task_definition", "TASK-DEFINITION", "TaskDefinitoin"] {
            assert_eq!(suggest(other, ["target", "task-definition"]), Some("task-definition"), "{other}");
        }
    }

    /// Comparing takes time in proportion to both lengths.
    #[test]
    fn long_name_is_not_compared() {
        assert_eq!(suggest(&"x".repeat(10_000_000), ["environment"; 1000]), None);
    }
}
