//! Lists of problems and of names with a bound, so that a hostile file fills neither the log nor the memory.

use super::{Problem, Severity};

/// Problems that one block of a file reports; the others are counted.
pub const MAX_PER_BLOCK: usize = 20;
/// Problems of one severity that a run reports; the others are counted.
const MAX_PER_RUN: usize = 100;
/// Names in one sentence.
const MAX_NAMES: usize = 20;

/// A problem for each of the first items, and one that counts the others: those are never made.
pub fn for_first<T>(items: impl IntoIterator<Item = T>, make: impl FnMut(T) -> Problem) -> Vec<Problem> {
    let mut items = items.into_iter();
    let mut problems: Vec<Problem> = items.by_ref().take(MAX_PER_BLOCK).map(make).collect();
    let more = items.count();
    problems.extend(problems.last().and_then(|last| count_more(last, more)));
    problems
}

/// The first problems of each severity, and one that counts the others.
pub fn bounded(problems: Vec<Problem>) -> Vec<Problem> {
    if problems.len() <= MAX_PER_RUN {
        return problems;
    }
    let mut more = Vec::new();
    let mut kept = Vec::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Notice] {
        let all: Vec<&Problem> = problems.iter().filter(|problem| problem.severity == severity).collect();
        kept.extend(all.iter().take(MAX_PER_RUN).map(|problem| (*problem).clone()));
        more.extend(all.last().and_then(|last| count_more(last, all.len().saturating_sub(MAX_PER_RUN))));
    }
    kept.into_iter().chain(more).collect()
}

/// `and 19980 more`, as a problem of the same kind as `last`.
fn count_more(last: &Problem, more: usize) -> Option<Problem> {
    let sentence = format!("There are {more} more problems of this kind, which are not listed.");
    let problem = Problem { severity: last.severity, ..Problem::error(last.code, sentence) };
    (more > 0).then(|| problem.help("Fix those that are listed first."))
}

/// Names in backticks, separated by commas; of many, the first and the number of the others.
pub fn name_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    fn problem(number: usize) -> Problem {
        Problem::error(Code::ConfigInvalid, format!("Problem {number}."))
    }

    #[test]
    fn many_problems_are_listed_in_part_and_counted() {
        let list = for_first(0..20_000, problem);
        assert_eq!((list.len(), list[19].sentence.as_str()), (21, "Problem 19."));
        assert_eq!(list[20].sentence, "There are 19980 more problems of this kind, which are not listed.");
        assert_eq!(for_first(0..20, problem).len(), 20);
        assert_eq!(for_first(0..0, problem), []);
    }

    #[test]
    fn list_of_a_run_keeps_every_severity() {
        let notice = |number| Problem { severity: Severity::Notice, ..problem(number) };
        let all: Vec<Problem> = (0..500).map(problem).chain((0..3).map(notice)).collect();
        let list = bounded(all);
        assert_eq!(list.len(), 104);
        assert_eq!(list.iter().filter(|problem| problem.severity == Severity::Notice).count(), 3);
        assert!(list[103].sentence.contains("400 more"), "{:?}", list[103]);
        assert_eq!(bounded((0..100).map(problem).collect()).len(), 100);
    }

    #[test]
    fn long_list_of_names_is_cut() {
        assert_eq!(name_list(["a", "b"]), "`a`, `b`");
        let many: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        assert!(name_list(many.iter().map(String::as_str)).ends_with("`19` and 5 more"));
    }
}
