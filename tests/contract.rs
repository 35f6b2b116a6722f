//! What users were promised: action.yml, the inputs that are read, the README's tables, the schema and the pages of
//! problems all say the same.

use std::fs;
use std::path::Path;

use roadstead::action::{INPUTS, OUTPUTS};
use roadstead::cli;
use roadstead::problem::Code;
use roadstead::release::Outcome;

fn file(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first cells of the rows of the Markdown table under `heading`.
fn cells(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section =
        text.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_lists_the_inputs_of_the_action() {
    let listed: Vec<String> =
        cells(&file("README.md"), "### Inputs").iter().flat_map(|row| words(&row[0])).collect();
    let real: Vec<&str> = INPUTS.iter().map(|input| input.name).collect();
    assert_eq!(listed, real);
}

#[test]
fn the_readme_lists_the_outputs_of_the_action() {
    let listed: Vec<String> =
        cells(&file("README.md"), "### Outputs").iter().flat_map(|row| words(&row[0])).collect();
    let real: Vec<&str> = OUTPUTS.iter().map(|output| output.name).collect();
    assert_eq!(listed, real);
}

#[test]
fn the_readme_lists_every_outcome_with_its_exit_code() {
    let mut listed = Vec::new();
    for row in cells(&file("README.md"), "### Outcomes") {
        let code: u8 = row.last().unwrap().parse().unwrap_or_else(|_| panic!("no exit code in {row:?}"));
        listed.extend(words(&row[0]).into_iter().map(|word| (word, code)));
    }
    listed.sort();
    let mut real: Vec<_> = Outcome::ALL.iter().map(|o| (o.word().to_owned(), o.exit_code())).collect();
    real.sort();
    assert_eq!(listed, real);
}

#[test]
fn the_schema_in_the_repository_is_the_one_of_the_types() {
    assert_eq!(
        file("schema/roadstead.schema.json").trim(),
        cli::schema().trim(),
        "write it anew: cargo run -- schema > schema/roadstead.schema.json"
    );
}

#[test]
fn every_problem_has_its_section_and_no_section_is_orphaned() {
    let text = file("docs/problems.md");
    let sections: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("### ")).map(|s| s.trim_matches('`')).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    for code in &codes {
        assert_eq!(sections.iter().filter(|section| *section == code).count(), 1, "{code}");
    }
    assert_eq!(sections.len(), codes.len());
}

#[test]
fn every_scenario_is_explained() {
    let text = file("docs/rehearsal.md");
    for named in roadstead::rehearsal::scenarios::SCENARIOS {
        assert!(text.contains(&format!("`{}`", named.name)), "{} is not in docs/rehearsal.md", named.name);
    }
}

#[test]
fn files_that_documents_name_exist() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = file(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = !target.contains("://") && !target.starts_with('#');
            let path = target.split('#').next().unwrap();
            assert!(
                !local || Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(),
                "{page} names {target}"
            );
        }
    }
}
