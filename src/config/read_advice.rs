//! What to write instead of a value of the wrong form. An advice is tried before it is given: the block is read with it.

use serde_json::{Value, json};

use super::read_error::{ReadError, WantedForm, is_showable};
use super::scalar::resolve_scalar;
use super::tree::{ConfigNode, ConfigValue};
use super::value_path::value_at;
use crate::problem::list::name_list;

/// An error of reading a value, and where.
pub(super) struct ReadFailure {
    pub(super) path: Vec<String>,
    pub(super) error: ReadError,
}

/// Reads a block with another value in it.
#[derive(Clone, Copy)]
pub(super) struct Probe<'p> {
    pub(super) value: &'p Value,
    pub(super) first_failure: fn(&Value) -> Option<ReadFailure>,
}

impl Probe<'_> {
    /// The error that is about the value at `path`, if that was `with`; `None` if it would be accepted.
    fn try_value(&self, path: &[String], with: Value) -> Option<ReadError> {
        let mut changed = self.value.clone();
        let Some(at) = value_at(&mut changed, path) else {
            return Some(ReadError::WrongForm(WantedForm::Nothing));
        };
        *at = with;
        let failure = (self.first_failure)(&changed)?;
        failure.path.starts_with(path).then_some(failure.error)
    }

    fn accepts(&self, path: &[String], with: Value) -> bool {
        self.try_value(path, with).is_none()
    }

    /// The keys or names that are known at `path`; `None` where the user chooses them, or where there are none.
    pub(super) fn known_keys(&self, path: &[String]) -> Option<Vec<String>> {
        match self.try_value(path, json!({ "": null })) {
            Some(ReadError::UnknownKey(_, known) | ReadError::UnknownName(_, known)) => Some(known),
            _ => None,
        }
    }

    /// The keys of the block `key` in the block at `path`, whatever else stands there.
    pub(super) fn keys_below(&self, path: &[String], key: &str) -> Option<Vec<String>> {
        match self.try_value(path, json!({ key: { "": null } })) {
            Some(ReadError::UnknownKey(unknown, known)) if unknown.is_empty() => Some(known),
            _ => None,
        }
    }

    /// Whether the value at `path` is a block of keys.
    pub(super) fn is_block(&self, path: &[String]) -> bool {
        matches!(self.try_value(path, json!({ "": null })), Some(ReadError::UnknownKey(..)))
    }
}

/// What to write instead, and a better reason where there is one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Advice {
    /// Why also the right form of the value would be rejected: the end of a sentence about it.
    pub(super) reason: Option<String>,
    /// What to do.
    pub(super) help: String,
}

impl Advice {
    fn help(text: impl Into<String>) -> Self {
        Self { reason: None, help: text.into() }
    }
}

/// The advice for `node`, whose value at `path` has another form than `wanted`.
pub(super) fn advise(probe: &Probe<'_>, path: &[String], node: &ConfigNode, wanted: &WantedForm) -> Advice {
    let form = |text: Option<String>| text.map(Advice::help);
    let advice = match (&node.kind, wanted) {
        (ConfigValue::Scalar(Value::Null), _) => None,
        (ConfigValue::Scalar(_), WantedForm::Text) => Some(quote(probe, path, node)),
        (ConfigValue::Scalar(_), WantedForm::List) => form(as_list(probe, path, node)),
        (ConfigValue::Scalar(_), WantedForm::Block | WantedForm::Choice) => form(as_block(probe, path, node)),
        (ConfigValue::Scalar(Value::String(text)), _) => form(without_quotes(probe, path, text)),
        (ConfigValue::Mapping(_), WantedForm::List) => {
            let is_item = probe.accepts(path, json!([node.to_value()]));
            is_item.then(|| Advice::help("Put `- ` in front of it: it is a list, also with one item."))
        }
        (ConfigValue::Sequence(_), WantedForm::Names) => {
            Some(Advice::help("Write `name: value` on a line for each, without `- `."))
        }
        (ConfigValue::Sequence(items), _) => form(single_item(probe, path, items)),
        _ => None,
    };
    advice
        .filter(|advice| *advice != Advice::default())
        .unwrap_or_else(|| known_form(probe, path, node, wanted))
}

/// The keys that are known where nothing better is known.
fn known_form(probe: &Probe<'_>, path: &[String], node: &ConfigNode, wanted: &WantedForm) -> Advice {
    let known = probe.known_keys(path).filter(|known| !known.is_empty());
    let is_empty = node.kind == ConfigValue::Scalar(Value::Null);
    Advice::help(match (known, wanted) {
        (Some(known), _) => format!("Known: {}.", name_list(known.iter().map(String::as_str))),
        (None, WantedForm::List) => "Write `[a, b]`, or a line with `- ` for each item.".into(),
        (None, WantedForm::WrittenValue) if is_empty => "For an empty text, write `\"\"`.".into(),
        (None, _) if is_empty => "Give it a value, or remove the key.".into(),
        (None, _) => String::new(),
    })
}

/// A number or boolean where text is wanted.
fn quote(probe: &Probe<'_>, path: &[String], node: &ConfigNode) -> Advice {
    let Some(written) = &node.written else { return Advice::default() };
    match probe.try_value(path, Value::String(written.clone())) {
        None => Advice::help(format!("Put the value in quotes: `\"{written}\"`.")),
        Some(ReadError::Rejected(reason)) => Advice { reason: Some(reason), help: String::new() },
        Some(_) => Advice::help("Put the value in quotes."),
    }
}

/// One value where several are wanted.
fn as_list(probe: &Probe<'_>, path: &[String], node: &ConfigNode) -> Option<String> {
    let value = node.to_value();
    let shown = show_scalar(node)?;
    probe.accepts(path, json!([value])).then(|| format!("Write `[{shown}]`."))
}

/// A value without its key: the first key of a block that accepts it.
fn as_block(probe: &Probe<'_>, path: &[String], node: &ConfigNode) -> Option<String> {
    let known = probe.known_keys(path)?;
    let list = name_list(known.iter().map(String::as_str));
    let shown = show_scalar(node).unwrap_or_else(|| "…".into());
    let first = known.first()?;
    let is_short = probe.accepts(path, json!({ first: node.to_value() }));
    let short = is_short.then(|| format!("Did you mean `{{ {first}: {shown} }}`? "));
    Some(format!("{}Known: {list}.", short.unwrap_or_default()))
}

/// Text where a number or a boolean is wanted.
fn without_quotes(probe: &Probe<'_>, path: &[String], text: &str) -> Option<String> {
    let bare = text.trim().trim_end_matches('%').trim();
    let value = match bare.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => Value::Bool(true),
        "no" | "off" | "false" => Value::Bool(false),
        _ => resolve_scalar(bare),
    };
    let fits = !value.is_string() && probe.accepts(path, value.clone());
    fits.then(|| format!("Write `{value}`, without quotes or unit."))
}

/// A list of one item where one value is wanted.
fn single_item(probe: &Probe<'_>, path: &[String], items: &[ConfigNode]) -> Option<String> {
    let [item] = items else { return None };
    let fits = probe.accepts(path, item.to_value());
    fits.then(|| "Write the value itself, without `- ` and without `[ ]`.".into())
}

fn show_scalar(node: &ConfigNode) -> Option<String> {
    let ConfigValue::Scalar(value) = &node.kind else { return None };
    match value {
        Value::String(text) => is_showable(text).then(|| text.clone()),
        _ => node.written.clone(),
    }
}
