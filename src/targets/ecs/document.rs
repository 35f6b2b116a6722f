//! A task definition file as text: JSON or YAML in, values and the line of each out. Pure.

use serde_json::Value;

use crate::config::tree::{self, Fault, Kind, Node};
use crate::problem::{Code, Problem};

/// A file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Path as the user wrote it.
    pub path: String,
    /// What it says, as RegisterTaskDefinition would take it (tags inside).
    pub value: Value,
    tree: Node,
    root: &'static str,
}

impl Document {
    /// Reads JSON (when the first character is a brace) or YAML, and takes off the wrapper that
    /// `aws ecs describe-task-definition` prints.
    pub fn read(path: &str, text: &str) -> Result<Self, Problem> {
        let tree = match tree::read(text) {
            Err(fault) if fault.twice => return Err(broken(path, fault)),
            Err(fault) if !is_json(text) => return Err(broken(path, fault)),
            // JSON says itself what is wrong with it; where YAML cannot follow, only the lines are lost.
            Err(_) => Node::empty(),
            Ok(tree) => tree,
        };
        let value = if is_json(text) { json(path, text)? } else { tree.to_value() };
        if !value.is_object() || text.trim().is_empty() {
            let why = "a task definition is an object with `family` and `containerDefinitions`".into();
            return Err(broken(path, Fault { line: 1, column: 1, why, twice: false }));
        }
        let (value, root) = unwrap(value);
        Ok(Self { path: path.to_owned(), value, tree, root })
    }

    /// `problem` at the line of `pointer` (a JSON pointer), or of the nearest thing around it.
    pub fn at(&self, pointer: &str, problem: Problem) -> Problem {
        let root = if pointer.starts_with("/tags") { "" } else { self.root };
        let full = format!("{root}{pointer}");
        let (mut node, mut place) = (&self.tree, (1, 1));
        for part in full.split('/').skip(1) {
            let Some((below, found)) = step(node, &part.replace("~1", "/").replace("~0", "~")) else { break };
            (node, place) = (below, found);
        }
        problem.at(&self.path, place.0, place.1)
    }
}

/// The value below `node`, and where it stands: a member at its key, an item at itself.
fn step<'n>(node: &'n Node, part: &str) -> Option<(&'n Node, (usize, usize))> {
    match &node.kind {
        Kind::Mapping(entries) => {
            let entry = entries.iter().find(|entry| entry.key == part)?;
            Some((&entry.value, (entry.line, entry.column)))
        }
        Kind::Sequence(items) => {
            items.get(part.parse::<usize>().ok()?).map(|item| (item, (item.line, item.column)))
        }
        Kind::Scalar(_) => None,
    }
}

/// `{taskDefinition: …, tags: …}` as Describe answers it, or the definition itself.
fn unwrap(value: Value) -> (Value, &'static str) {
    let wrapped = value.get("taskDefinition").is_some_and(Value::is_object);
    if wrapped && value.get("containerDefinitions").is_none() {
        (super::definition::with_tags(&value), "/taskDefinition")
    } else {
        (value, "")
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

fn json(path: &str, text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let (line, column, why) = (error.line().max(1), error.column().max(1), error.to_string());
        broken(path, Fault { line, column, why, twice: false })
    })
}

fn broken(path: &str, fault: Fault) -> Problem {
    let sentence = format!("The task definition `{path}` cannot be read.");
    Problem::error(Code::TaskDefinitionInvalid, sentence).cause(fault.why).at(path, fault.line, fault.column)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_say_the_same_and_know_their_lines() {
        let json = "{\n  \"family\": \"app\",\n  \"containerDefinitions\": [\n\t{\"name\": \"app\",\n\t \"cpu\": 1}\n  ]\n}";
        let yaml = "family: app\ncontainerDefinitions:\n  - name: app\n    cpu: 1\n";
        let (j, y) = (Document::read("a.json", json).unwrap(), Document::read("a.yml", yaml).unwrap());
        assert_eq!(j.value, y.value);
        let line = |d: &Document, p: &str| {
            d.at(p, Problem::notice(Code::Internal, "x.")).at.map(|at| (at.line, at.column)).unwrap()
        };
        assert_eq!(line(&j, "/containerDefinitions/0/cpu"), (5, 3));
        assert_eq!(line(&y, "/containerDefinitions/0/cpu"), (4, 5));
        assert_eq!(line(&y, "/containerDefinitions/0/nothing"), (3, 5));
        assert_eq!(line(&y, "/cpu"), (1, 1));
    }

    #[test]
    fn strings_keep_their_zeros_and_quotes_their_type() {
        let doc =
            Document::read("x", "a: 0123\nb: \"1\"\nc: 1\nd: ''\ne:\nf: yes\ng: 1.5\nh: 10.0.0.1\ni: 0\n")
                .unwrap();
        let expected =
            json!({"a":"0123","b":"1","c":1,"d":"","e":null,"f":"yes","g":1.5,"h":"10.0.0.1","i":0});
        assert_eq!(doc.value, expected);
    }

    #[test]
    fn anchors_are_followed() {
        let doc = Document::read("x", "a: &e [1, {b: 2}]\nc: *e\n").unwrap();
        assert_eq!(doc.value, json!({"a":[1,{"b":2}],"c":[1,{"b":2}]}));
    }

    #[test]
    fn the_wrapper_of_describe_is_taken_off_and_lines_still_fit() {
        let text = "{\"taskDefinition\": {\n \"family\": \"a\",\n \"cpu\": \"x\"},\n \"tags\": [{\"key\":\"k\",\"value\":\"\"}]}";
        let doc = Document::read("x.json", text).unwrap();
        assert_eq!(doc.value, json!({"family":"a","cpu":"x","tags":[{"key":"k","value":""}]}));
        let at = doc.at("/cpu", Problem::notice(Code::Internal, "x.")).at.unwrap();
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
            let problem = Document::read("f", text).unwrap_err();
            assert_eq!(
                (problem.code, problem.at.map(|at| at.line)),
                (Code::TaskDefinitionInvalid, Some(line)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for i in 1..9 {
            let before = i - 1;
            text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{before}"); 10].join(","));
        }
        assert!(Document::read("f", &text).unwrap_err().cause.unwrap().contains("too large"));
    }
}
