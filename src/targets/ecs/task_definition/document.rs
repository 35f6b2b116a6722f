//! A task definition file as text: JSON or YAML in, values and the line of each out. Pure.

use serde_json::Value;

use super::other_formats::{self, OtherFormat};
use crate::config::tree::{self, ConfigNode, ConfigValue, ParseError};
use crate::problem::{Code, Problem};

/// A parsed file.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskDefinitionDocument {
    /// Path as the user wrote it.
    pub path: String,
    /// Its content, as RegisterTaskDefinition accepts it (tags inside).
    pub value: Value,
    tree: ConfigNode,
    root_pointer: &'static str,
}

/// The largest file: four times what AWS takes, because it can have comments and blanks.
const MAX_BYTES: usize = 256 << 10;

impl TaskDefinitionDocument {
    /// Parses JSON (if the first character is a bracket) or YAML, and removes the wrapper that
    /// `aws ecs describe-task-definition` prints. A file of another format is named in the problem.
    pub fn parse(path: &str, text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_BYTES {
            return Err(unreadable_problem(path, too_long(text.len())));
        }
        let text = text.trim_start_matches('\u{feff}');
        let (value, tree) = read_value(path, text)?;
        let (value, root) = unwrap_describe_answer(value);
        let as_text = || other_formats::recognize_text(text).filter(|_| !value.is_object());
        if let Some(format) = other_formats::recognize(&value).or_else(as_text) {
            return Err(other_format_problem(path, format).at_location(path, 1, 1));
        }
        if !value.is_object() || text.trim().is_empty() {
            let reason = "a task definition is an object with `family` and `containerDefinitions`".into();
            return Err(unreadable_problem(
                path,
                ParseError { line: 1, column: 1, reason, is_duplicate_key: false },
            ));
        }
        Ok(Self { path: path.to_owned(), value, tree, root_pointer: root })
    }

    /// `problem` at the line of `pointer` (a JSON pointer), or of the nearest parent.
    pub fn at_pointer(&self, pointer: &str, problem: Problem) -> Problem {
        let root = if pointer.starts_with("/tags") { "" } else { self.root_pointer };
        let full = format!("{root}{pointer}");
        let (mut node, mut place) = (&self.tree, (1, 1));
        for part in full.split('/').skip(1) {
            let Some((below, found)) = child_node(node, &part.replace("~1", "/").replace("~0", "~")) else {
                break;
            };
            (node, place) = (below, found);
        }
        problem.at_location(&self.path, place.0, place.1)
    }
}

/// The fault of a file with more bytes than any definition has.
fn too_long(bytes: usize) -> ParseError {
    let reason = format!("it has {bytes} bytes, and AWS takes 65536");
    ParseError { line: 1, column: 1, reason, is_duplicate_key: false }
}

/// The value below `node`, and its position: a member at its key, an item at itself.
fn child_node<'n>(node: &'n ConfigNode, part: &str) -> Option<(&'n ConfigNode, (usize, usize))> {
    match &node.kind {
        ConfigValue::Mapping(entries) => {
            let entry = entries.iter().find(|entry| entry.key == part)?;
            Some((&entry.value, (entry.line, entry.column)))
        }
        ConfigValue::Sequence(items) => {
            items.get(part.parse::<usize>().ok()?).map(|item| (item, (item.line, item.column)))
        }
        ConfigValue::Scalar(_) => None,
    }
}

/// `{taskDefinition: …, tags: …}` as Describe returns it, or the definition itself.
fn unwrap_describe_answer(value: Value) -> (Value, &'static str) {
    let wrapped = value.get("taskDefinition").is_some_and(Value::is_object);
    if wrapped && value.get("containerDefinitions").is_none() {
        (super::definition::with_tags(&value), "/taskDefinition")
    } else {
        (value, "")
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The value of a text, and the tree that knows its lines.
fn read_value(path: &str, text: &str) -> Result<(Value, ConfigNode), Problem> {
    let tree = match tree::read(text) {
        Err(fault) if fault.is_duplicate_key => return Err(unreadable_problem(path, fault)),
        Err(fault) if !is_json(text) => return Err(foreign_text_problem(path, text, fault)),
        // The JSON parser reports syntax errors; if the YAML parser fails, only the lines are lost.
        Err(_) => ConfigNode::empty_mapping(),
        Ok(tree) => tree,
    };
    if !is_json(text) {
        return Ok((tree.to_value(), tree));
    }
    let parsed = serde_json::from_str(text).map_err(|error| {
        let (line, column, reason) = (error.line().max(1), error.column().max(1), error.to_string());
        foreign_text_problem(path, text, ParseError { line, column, reason, is_duplicate_key: false })
    });
    Ok((parsed?, tree))
}

/// The problem of a text that is neither JSON nor YAML: what it is, if that is known.
fn foreign_text_problem(path: &str, text: &str, fault: ParseError) -> Problem {
    let looks_like_json = is_json(text) || text.trim_start().starts_with("/");
    let comment = other_formats::first_comment(text).filter(|_| looks_like_json);
    if let Some((line, column)) = comment.filter(|(line, _)| *line <= fault.line) {
        return other_format_problem(path, other_formats::COMMENTED_JSON).at_location(path, line, column);
    }
    match other_formats::recognize_text(text) {
        Some(format) => other_format_problem(path, format).at_location(path, 1, 1),
        None => unreadable_problem(path, fault),
    }
}

fn other_format_problem(path: &str, format: OtherFormat) -> Problem {
    let sentence = format!("The task definition `{path}` is {}.", format.description);
    Problem::error(Code::TaskDefinitionInvalid, sentence).help(format.help)
}

fn unreadable_problem(path: &str, fault: ParseError) -> Problem {
    let sentence = format!("The task definition `{path}` cannot be read.");
    Problem::error(Code::TaskDefinitionInvalid, sentence).cause(fault.reason).at_location(
        path,
        fault.line,
        fault.column,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_give_same_value_and_lines() {
        let json = "{\n  \"family\": \"app\",\n  \"containerDefinitions\": [\n\t{\"name\": \"app\",\n\t \"cpu\": 1}\n  ]\n}";
        let yaml = "family: app\ncontainerDefinitions:\n  - name: app\n    cpu: 1\n";
        let (j, y) = (
            TaskDefinitionDocument::parse("a.json", json).unwrap(),
            TaskDefinitionDocument::parse("a.yml", yaml).unwrap(),
        );
        assert_eq!(j.value, y.value);
        let line = |d: &TaskDefinitionDocument, p: &str| {
            d.at_pointer(p, Problem::notice(Code::Internal, "x."))
                .location
                .map(|at| (at.line, at.column))
                .unwrap()
        };
        assert_eq!(line(&j, "/containerDefinitions/0/cpu"), (5, 3));
        assert_eq!(line(&y, "/containerDefinitions/0/cpu"), (4, 5));
        assert_eq!(line(&y, "/containerDefinitions/0/nothing"), (3, 5));
        assert_eq!(line(&y, "/cpu"), (1, 1));
    }

    #[test]
    fn strings_keep_leading_zeros_and_quoted_types() {
        let doc = TaskDefinitionDocument::parse(
            "x",
            "a: 0123\nb: \"1\"\nc: 1\nd: ''\ne:\nf: yes\ng: 1.5\nh: 10.0.0.1\ni: 0\n",
        )
        .unwrap();
        let expected =
            json!({"a":"0123","b":"1","c":1,"d":"","e":null,"f":"yes","g":1.5,"h":"10.0.0.1","i":0});
        assert_eq!(doc.value, expected);
    }

    #[test]
    fn anchors_are_followed() {
        let doc = TaskDefinitionDocument::parse("x", "a: &e [1, {b: 2}]\nc: *e\n").unwrap();
        assert_eq!(doc.value, json!({"a":[1,{"b":2}],"c":[1,{"b":2}]}));
    }

    #[test]
    fn describe_wrapper_is_removed_and_lines_still_match() {
        let text = "{\"taskDefinition\": {\n \"family\": \"a\",\n \"cpu\": \"x\"},\n \"tags\": [{\"key\":\"k\",\"value\":\"\"}]}";
        let doc = TaskDefinitionDocument::parse("x.json", text).unwrap();
        assert_eq!(doc.value, json!({"family":"a","cpu":"x","tags":[{"key":"k","value":""}]}));
        let at = doc.at_pointer("/cpu", Problem::notice(Code::Internal, "x.")).location.unwrap();
        assert_eq!(at.line, 3);
    }

    #[test]
    fn broken_files_name_the_line() {
        for (text, line) in [
            ("{\n\"a\": 1,\n}", 3),
            ("a: 1\nb: [1\n", 2),
            ("{\"a\":1,\n\"a\":2}", 2),
            ("a: 1\na: 2\n", 2),
            ("- 1\n", 1),
            ("", 1),
        ] {
            let problem = TaskDefinitionDocument::parse("f", text).unwrap_err();
            assert_eq!(
                (problem.code, problem.location.map(|at| at.line)),
                (Code::TaskDefinitionInvalid, Some(line)),
                "{text}"
            );
        }
    }

    #[test]
    fn byte_order_mark_is_ignored() {
        for text in ["\u{feff}{\"family\": \"a\"}", "\u{feff}family: a\n"] {
            assert_eq!(TaskDefinitionDocument::parse("f", text).unwrap().value, json!({"family":"a"}));
        }
    }

    #[test]
    fn files_of_other_formats_are_named() {
        let tell = |text: &str| {
            let problem = TaskDefinitionDocument::parse("td.json", text).unwrap_err();
            let line = problem.location.as_ref().map_or(0, |at| at.line);
            format!("{line}: {}", problem.sentence)
        };
        insta::assert_snapshot!([
            tell("{\n  // the image\n  \"family\": \"f\"\n}"),
            tell("/* generated */\n{\"family\": \"f\"}"),
            tell("// a\n{\"family\": \"f\"}"),
            tell("Resources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      TaskRoleArn: !GetAtt Role.Arn\n"),
            tell("resource \"aws_ecs_task_definition\" \"web\" {\n  family = \"web\"\n}\n"),
            tell("{\"taskDefinition\": {\"Family\": \"f\", \"ContainerDefinitions\": []}}"),
            tell("[{\"name\": \"app\", \"image\": \"x\"}]"),
            tell("- name: app\n  image: x\n"),
        ].join("\n"), @"
        2: The task definition `td.json` is JSON with comments, and JSON has none.
        1: The task definition `td.json` is JSON with comments, and JSON has none.
        1: The task definition `td.json` is JSON with comments, and JSON has none.
        1: The task definition `td.json` is in the spelling of CloudFormation.
        1: The task definition `td.json` is in the spelling of Terraform.
        1: The task definition `td.json` is in the spelling of CloudFormation.
        1: The task definition `td.json` is a list of container definitions, as Terraform's `container_definitions` takes it.
        1: The task definition `td.json` is a list of container definitions, as Terraform's `container_definitions` takes it.
        ");
    }

    #[test]
    fn alias_bomb_is_rejected() {
        let mut text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for i in 1..9 {
            let before = i - 1;
            text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{before}"); 10].join(","));
        }
        assert!(TaskDefinitionDocument::parse("f", &text).unwrap_err().cause.unwrap().contains("too large"));
        let long = " ".repeat(MAX_BYTES + 1);
        assert!(TaskDefinitionDocument::parse("f", &long).unwrap_err().cause.unwrap().contains("65536"));
    }
}
