//! What a request says: the words that are set before the program, as POSIX sh reads them.

use std::collections::BTreeMap;

/// The request of a script.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Request {
    pub(super) directory: String,
    pub(super) service: String,
    pub(super) project: String,
    pub(super) release: u32,
    pub(super) facts: String,
    pub(super) adopts: bool,
    pub(super) attempt: u32,
    pub(super) owner: String,
    pub(super) weights: Vec<u8>,
    pub(super) weight: u8,
    pub(super) start_limit: f64,
    pub(super) settle: f64,
    pub(super) pause_limit: f64,
    pub(super) drain: f64,
    pub(super) proxy: Option<String>,
    pub(super) has_backup: bool,
    pub(super) keep: usize,
    /// Whether the attempt waits with all traffic until it is confirmed.
    pub(super) confirms: bool,
    pub(super) task: String,
    pub(super) command: String,
    /// Whether the variables of the serving release are requested.
    pub(super) shows_env: bool,
    /// The variables of the release that is put on the server.
    pub(super) env: Option<String>,
}

impl Request {
    /// Reads the words up to the program.
    pub(super) fn parse(script: &str) -> Result<Self, String> {
        let words = read_words(script)?;
        let text = |name: &str| words.get(name).cloned().unwrap_or_default();
        let number = |name: &str| text(name).parse().unwrap_or_default();
        let whole = |name: &str| text(name).parse().unwrap_or_default();
        let seconds = |name: &str| text(name).parse().unwrap_or_default();
        if text("rs_service").is_empty() || !text("rs_directory").starts_with('/') {
            return Err("rs_service and rs_directory are not set".into());
        }
        Ok(Self {
            directory: text("rs_directory"),
            service: text("rs_service"),
            project: text("rs_project"),
            release: whole("rs_release"),
            facts: text("rs_facts"),
            adopts: text("rs_adopt") == "yes",
            attempt: whole("rs_attempt"),
            owner: text("rs_owner"),
            weights: text("rs_weights").split(' ').filter_map(|word| word.parse().ok()).collect(),
            weight: number("rs_weight"),
            start_limit: seconds("rs_start_limit"),
            settle: seconds("rs_settle"),
            pause_limit: seconds("rs_pause_limit"),
            drain: seconds("rs_drain"),
            proxy: Some(text("rs_proxy_container")).filter(|name| !name.is_empty()),
            has_backup: !text("rs_backup").is_empty(),
            keep: text("rs_keep").parse().unwrap_or(5),
            confirms: text("rs_confirm") == "yes",
            task: text("rs_task"),
            command: text("rs_command"),
            shows_env: text("rs_show_env") == "yes",
            env: words.get("rs_env").cloned(),
        })
    }

    /// The image of the release that is put on the server.
    pub(super) fn image(&self) -> &str {
        self.facts.split(' ').next().unwrap_or_default()
    }
}

/// The assignments of single-quoted words. Anything else before the program is left to the shell.
fn read_words(script: &str) -> Result<BTreeMap<String, String>, String> {
    let mut words = BTreeMap::new();
    let mut rest = script;
    while rest.starts_with("rs_") {
        let (name, after) = rest.split_once('=').ok_or("a word is not set")?;
        let (value, after) = read_quoted(after)?;
        words.insert(name.to_owned(), value);
        rest = after.strip_prefix('\n').ok_or("a word is followed by something else")?;
    }
    Ok(words)
}

/// A word of parts in single quotes, with `\'` between them.
fn read_quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = text.strip_prefix('\'').ok_or("a word is not in quotes")?;
    loop {
        let (part, after) = rest.split_once('\'').ok_or("a quote is not closed")?;
        value.push_str(part);
        match after.strip_prefix(r"\''") {
            Some(next) => {
                value.push('\'');
                rest = next;
            }
            None => return Ok((value, after)),
        }
    }
}
