//! What users were promised: action.yml, the inputs that are read, the README's tables, the schema and the pages of
//! problems all say the same.

use std::fs;
use std::path::Path;

use roadstead::action::{INPUTS, OUTPUTS};
use roadstead::cli;
use roadstead::problem::Code;
use roadstead::release::Outcome;

fn read_file(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first cells of the rows of the Markdown table under `heading`.
fn table_cells(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section =
        text.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn code_words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_lists_the_inputs_of_the_action() {
    let listed: Vec<String> = table_cells(&read_file("README.md"), "### Inputs")
        .iter()
        .flat_map(|row| code_words(&row[0]))
        .collect();
    let real: Vec<&str> = INPUTS.iter().map(|input| input.name).collect();
    assert_eq!(listed, real);
}

#[test]
fn the_readme_lists_the_outputs_of_the_action() {
    let listed: Vec<String> = table_cells(&read_file("README.md"), "### Outputs")
        .iter()
        .flat_map(|row| code_words(&row[0]))
        .collect();
    let real: Vec<&str> = OUTPUTS.iter().map(|output| output.name).collect();
    assert_eq!(listed, real);
}

#[test]
fn the_readme_lists_every_outcome_with_its_exit_code() {
    let mut listed = Vec::new();
    for row in table_cells(&read_file("README.md"), "### Outcomes") {
        let code: u8 = row.last().unwrap().parse().unwrap_or_else(|_| panic!("no exit code in {row:?}"));
        listed.extend(code_words(&row[0]).into_iter().map(|word| (word, code)));
    }
    listed.sort();
    let mut real: Vec<_> = Outcome::ALL.iter().map(|o| (o.as_str().to_owned(), o.exit_code())).collect();
    real.sort();
    assert_eq!(listed, real);
}

#[test]
fn the_schema_in_the_repository_is_the_one_of_the_types() {
    assert_eq!(
        read_file("schema/roadstead.schema.json").trim(),
        cli::schema().trim(),
        "write it again: cargo run -- schema > schema/roadstead.schema.json"
    );
}

#[test]
fn the_schema_of_scenarios_in_the_repository_is_the_one_of_the_types() {
    let written = cli::scenario_schema();
    assert_eq!(
        read_file("schema/scenario.schema.json").trim(),
        written.trim(),
        "write it again: cargo run -- schema --scenario > schema/scenario.schema.json"
    );
    let validator = jsonschema::validator_for(&serde_json::from_str(&written).unwrap()).unwrap();
    for builtin in roadstead_cloud::builtin::builtin_scenarios() {
        let traffic = builtin.traffic.map(|entry| format!("traffic: [{entry}]\n")).unwrap_or_default();
        let scenario: serde_json::Value =
            serde_saphyr::from_str(&format!("{traffic}faults: {}", builtin.faults)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&scenario).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", builtin.name);
    }
    let page = read_file("docs/rehearsal.md");
    for text in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()) {
        let scenario: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&scenario).map(|error| error.to_string()).collect();
        let is_of_a_deploy_file = scenario["environments"].is_object();
        assert!(is_of_a_deploy_file || errors.is_empty(), "{text}: {errors:?}");
    }
    for (bad, words) in [("{ servces: [] }", "servces"), ("{ faults: [{ crash: {} }] }", "crash")] {
        let scenario: serde_json::Value = serde_saphyr::from_str(bad).unwrap();
        assert!(!validator.is_valid(&scenario), "{words}");
    }
}

#[test]
fn every_problem_has_its_section_and_no_section_is_orphaned() {
    let text = read_file("docs/problems.md");
    let sections: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("### ")).map(|s| s.trim_matches('`')).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    for code in &codes {
        assert_eq!(sections.iter().filter(|section| *section == code).count(), 1, "{code}");
    }
    assert_eq!(sections.len(), codes.len());
}

/// The table of `docs/rehearsal.md` is the list that `rehearse --list` prints: the same names, words and order.
#[test]
fn table_of_scenarios_is_the_list_of_the_emulator() {
    let text = read_file("docs/rehearsal.md");
    let table =
        text.split("## Built-in scenarios").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let listed: Vec<String> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.replace("`ALARM`", "ALARM"))
        .collect();
    let real: Vec<String> = roadstead_cloud::builtin::builtin_scenarios()
        .map(|named| format!("| `{}` | {} |", named.name, named.description))
        .collect();
    assert_eq!(listed, real);
}

#[test]
fn files_that_documents_name_exist() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read_file(page);
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
