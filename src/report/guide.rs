//! The page that explains every problem, and its address. Tests hold its completeness.

use crate::problem::Code;

/// The page on GitHub. It is always the page of `main`: a binary does not know the tag of its release, and `main` has the
/// newest advice on every code.
const PAGE_URL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/problems.md");

/// The address of the section of `code`.
pub fn section_url(code: Code) -> String {
    format!("{PAGE_URL}#{}", code.name())
}

/// `docs/problems.md`, one section per code.
pub const PROBLEMS_PAGE: &str = include_str!("../../docs/problems.md");

/// The section of `code`, without its heading; `None` if the page has none.
pub fn section(code: Code) -> Option<&'static str> {
    let heading = format!("\n### {}\n", code.name());
    let (_, after) = PROBLEMS_PAGE.split_once(&heading)?;
    Some(after.split("\n#").next().unwrap_or(after).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_section_and_every_section_its_code() {
        let mut headings: Vec<&str> =
            PROBLEMS_PAGE.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        headings.sort_unstable();
        codes.sort_unstable();
        assert_eq!(headings, codes);
    }

    #[test]
    fn section_url_is_an_address_on_main() {
        assert_eq!(
            section_url(Code::ContainerExited),
            "https://github.com/roadstead/roadstead/blob/main/docs/problems.md#container-exited"
        );
    }

    #[test]
    fn a_section_says_what_it_means_and_what_to_do() {
        for code in Code::ALL {
            let lines = section(*code).unwrap_or_default().lines().count();
            assert!((2..=5).contains(&lines), "{code}: {lines} lines");
        }
    }
}
