//! A task definition file as text: JSON or YAML in, values and the line of each out. Pure.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use crate::problem::{Code, Problem};

/// Deeper or larger than any real task definition (AWS takes 64 KiB).
const MOST_NESTING: usize = 64;
const MOST_NODES: usize = 100_000;

/// A file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Path as the user wrote it.
    pub path: String,
    /// What it says, as RegisterTaskDefinition would take it (tags inside).
    pub value: Value,
    places: BTreeMap<String, (usize, usize)>,
    root: &'static str,
}

impl Document {
    /// Reads JSON (when the first character is a brace) or YAML, and takes off the wrapper that
    /// `aws ecs describe-task-definition` prints.
    pub fn read(path: &str, text: &str) -> Result<Self, Problem> {
        let strict = text.trim_start().starts_with('{');
        let composed = compose(text);
        let (value, places) = match (strict, composed) {
            (true, composed) => {
                let value = json(path, text)?;
                let Composed { places, twice, .. } = composed.unwrap_or_default();
                refuse_twice(path, twice)?;
                (value, places)
            }
            (false, Ok(Composed { value, places, twice })) => {
                refuse_twice(path, twice)?;
                (value, places)
            }
            (false, Err(Fault { line, column, why })) => return Err(broken(path, line, column, &why)),
        };
        if !value.is_object() {
            return Err(broken(
                path,
                1,
                1,
                "a task definition is an object with `family` and `containerDefinitions`",
            ));
        }
        let (value, root) = unwrap(value);
        Ok(Self { path: path.to_owned(), value, places, root })
    }

    /// `problem` at the line of `pointer` (a JSON pointer), or of the nearest thing around it.
    pub fn at(&self, pointer: &str, problem: Problem) -> Problem {
        let full =
            if pointer.starts_with("/tags") { pointer.to_owned() } else { format!("{}{pointer}", self.root) };
        let mut rest = full.as_str();
        loop {
            if let Some((line, column)) = self.places.get(rest) {
                return problem.at(&self.path, *line, *column);
            }
            match rest.rsplit_once('/') {
                Some((before, _)) => rest = before,
                None => return problem.at(&self.path, 1, 1),
            }
        }
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

fn json(path: &str, text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| broken(path, error.line(), error.column(), &error.to_string()))
}

fn broken(path: &str, line: usize, column: usize, why: &str) -> Problem {
    let sentence = format!("The task definition `{path}` cannot be read.");
    Problem::error(Code::TaskDefinitionInvalid, sentence).cause(why).at(path, line.max(1), column.max(1))
}

fn refuse_twice(path: &str, twice: Option<(String, (usize, usize))>) -> Result<(), Problem> {
    match twice {
        None => Ok(()),
        Some((key, (line, column))) => {
            let sentence = format!("The key `{key}` stands twice in the same object of `{path}`.");
            Err(Problem::error(Code::TaskDefinitionInvalid, sentence).at(path, line, column))
        }
    }
}

#[derive(Default)]
struct Composed {
    value: Value,
    places: BTreeMap<String, (usize, usize)>,
    twice: Option<(String, (usize, usize))>,
}

struct Fault {
    line: usize,
    column: usize,
    why: String,
}

enum Open {
    List(Vec<Value>, usize),
    Object { map: Map<String, Value>, key: Option<String>, anchor: usize },
}

#[derive(Default)]
struct Composer {
    open: Vec<Open>,
    path: Vec<String>,
    anchors: HashMap<usize, Value>,
    done: Composed,
    nodes: usize,
}

fn compose(text: &str) -> Result<Composed, Fault> {
    let mut composer = Composer::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| Fault {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            why: error.info(),
        })?;
        composer.take(event, &span).map_err(|why| {
            let (line, column) = place(&span);
            Fault { line, column, why }
        })?;
    }
    Ok(composer.done)
}

fn place(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

impl Composer {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), String> {
        self.nodes += 1;
        if self.open.len() > MOST_NESTING || self.nodes > MOST_NODES {
            return Err("it is nested too deeply or too large".into());
        }
        match event {
            Event::Scalar(text, ..) if self.wants_key() => self.key(&text, span),
            Event::Scalar(text, style, anchor, _) => {
                self.enter(span);
                self.leave(scalar(&text, style), anchor);
            }
            Event::Alias(id) => {
                self.enter(span);
                let value = self.anchors.get(&id).cloned().ok_or("an alias has no anchor")?;
                self.nodes += weight(&value);
                self.leave(value, 0);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(span);
                self.open.push(Open::List(Vec::new(), anchor));
            }
            Event::MappingStart(_, anchor, _) if !self.wants_key() => {
                self.enter(span);
                self.open.push(Open::Object { map: Map::new(), key: None, anchor });
            }
            Event::MappingStart(..) => return Err("a key must be a string".into()),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::UnresolvedAlias(_) => return Err("an alias has no anchor".into()),
            _ => {}
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Object { key: None, .. }))
    }

    fn key(&mut self, text: &str, span: &Span) {
        if let Some(Open::Object { map, key, .. }) = self.open.last_mut() {
            if map.contains_key(text) && self.done.twice.is_none() {
                self.done.twice = Some((text.to_owned(), place(span)));
            }
            *key = Some(text.to_owned());
            self.path.push(text.replace('~', "~0").replace('/', "~1"));
            self.done.places.insert(self.pointer(), place(span));
        }
    }

    /// A list item begins: its place is its own; a member's place is its key's.
    fn enter(&mut self, span: &Span) {
        if let Some(Open::List(items, _)) = self.open.last() {
            self.path.push(items.len().to_string());
            self.done.places.insert(self.pointer(), place(span));
        }
    }

    fn leave(&mut self, value: Value, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.done.value = value,
            Some(Open::List(items, _)) => items.push(value),
            Some(Open::Object { map, key, .. }) => {
                map.insert(key.take().unwrap_or_default(), value);
            }
        }
        self.path.pop();
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::List(items, anchor)) => self.leave(Value::Array(items), anchor),
            Some(Open::Object { map, anchor, .. }) => self.leave(Value::Object(map), anchor),
            None => {}
        }
    }

    fn pointer(&self) -> String {
        self.path.iter().fold(String::new(), |all, part| all + "/" + part)
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(weight).sum::<usize>(),
        _ => 1,
    }
}

/// YAML 1.2's core schema, except that a number with a leading zero stays a string: it is an account id or a
/// code, and its zeros matter.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.trim_start_matches(['-', '+']);
    let zero_first = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if zero_first || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    let float = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    let parsed = float.then(|| text.parse::<f64>().ok()).flatten()?;
    Number::from_f64(parsed).map(Value::Number)
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
