//! The page that explains every problem. Only its completeness is known here; people read it.

/// `docs/problems.md`, one section per code.
pub const PROBLEMS: &str = include_str!("../../docs/problems.md");

/// The section of `code`, without its heading; `None` where the page has none.
pub fn section(code: crate::problem::Code) -> Option<&'static str> {
    let heading = format!("\n### {}\n", code.name());
    let (_, after) = PROBLEMS.split_once(&heading)?;
    Some(after.split("\n#").next().unwrap_or(after).trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[test]
    fn every_code_has_its_section_and_every_section_its_code() {
        let mut headings: Vec<&str> = PROBLEMS.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        headings.sort_unstable();
        codes.sort_unstable();
        assert_eq!(headings, codes);
    }

    #[test]
    fn a_section_says_what_it_means_and_what_to_do() {
        for code in Code::ALL {
            let lines = section(*code).unwrap_or_default().lines().count();
            assert!((2..=5).contains(&lines), "{code}: {lines} lines");
        }
    }
}
