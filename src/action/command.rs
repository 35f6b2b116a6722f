//! Workflow commands as text, escaped as the runner unescapes them. Pure; `report::log` writes them.

use crate::problem::Severity;

/// The maximum length of a message: the runner cuts longer ones (in UTF-16 units).
const MAX_MESSAGE_UTF16_UNITS: usize = 4096;

/// `::name key=value,key=value::data`. Properties without a value are left out.
pub fn command(name: &str, properties: &[(&str, &str)], data: &str) -> String {
    let given: Vec<String> = properties
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={}", escape_property(value)))
        .collect();
    let blank = if given.is_empty() { "" } else { " " };
    format!("::{name}{blank}{}::{}", given.join(","), escape_data(data))
}

/// Escapes the text behind the second `::`.
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
pub fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Masks `text`, one line, in everything that is written after it.
pub fn add_mask(text: &str) -> String {
    command("add-mask", &[], text)
}

/// Opens a group in the log. Groups do not nest.
pub fn group(title: &str) -> String {
    command("group", &[], &super::sanitize::sanitize_line(title))
}

/// Closes the group.
pub fn end_group() -> String {
    command("endgroup", &[], "")
}

/// A line that is shown only when the job runs with debug logging.
pub fn debug(text: &str) -> String {
    command("debug", &[], text)
}

/// The runner reads no command after this until [`resume_commands`] with the same token.
pub fn stop_commands(token: &str) -> String {
    command("stop-commands", &[], token)
}

/// The end of [`stop_commands`].
pub fn resume_commands(token: &str) -> String {
    command(token, &[], "")
}

/// An annotation: a message that GitHub shows on the run, and on a line of a file if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Its command.
    pub severity: Severity,
    /// Its title.
    pub title: String,
    /// Its text; may have several lines.
    pub message: String,
    /// Path relative to the workspace, line and column from 1.
    pub location: Option<(String, usize, usize)>,
}

impl Annotation {
    /// The command.
    pub fn command(&self) -> String {
        let name = match self.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let (file, line, column) = match &self.location {
            Some((file, line, column)) => (file.as_str(), line.to_string(), column.to_string()),
            None => ("", String::new(), String::new()),
        };
        let properties = [("title", self.title.as_str()), ("file", file), ("line", &line), ("col", &column)];
        command(name, &properties, &shorten(&self.message))
    }
}

/// `text`, with `…` at its end if the runner would cut it.
fn shorten(text: &str) -> String {
    if text.encode_utf16().count() <= MAX_MESSAGE_UTF16_UNITS {
        return text.to_owned();
    }
    let mut room = MAX_MESSAGE_UTF16_UNITS - 1;
    let fits = |c: &char| {
        let size = c.len_utf16();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

/// The runner's two parsers, reimplemented from their source, to check lines in tests
/// (actions/runner, src/Runner.Common/ActionCommand.cs: `TryParseV2`, then `TryParse`).
#[cfg(test)]
pub(crate) mod oracle {
    use std::collections::BTreeMap;

    const REGISTERED: [&str; 15] = [
        "debug",
        "notice",
        "warning",
        "error",
        "group",
        "endgroup",
        "add-mask",
        "add-matcher",
        "remove-matcher",
        "echo",
        "stop-commands",
        "set-output",
        "save-state",
        "set-env",
        "add-path",
    ];

    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Parsed {
        pub(crate) name: String,
        pub(crate) properties: BTreeMap<String, String>,
        pub(crate) data: String,
    }

    pub(crate) fn parse(line: &str) -> Option<Parsed> {
        parse_v2(line).or_else(|| parse_v1(line))
    }

    fn parse_v2(line: &str) -> Option<Parsed> {
        let (info, data) = line.trim_start().strip_prefix("::")?.split_once("::")?;
        let escapes = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
        let data_escapes = [("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
        build(info, ',', &escapes, unescape(data, &data_escapes))
    }

    fn parse_v1(line: &str) -> Option<Parsed> {
        let (_, rest) = line.split_once("##[")?;
        let (info, data) = rest.split_once(']')?;
        let escapes = [("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%")];
        build(info, ';', &escapes, unescape(data, &escapes))
    }

    fn build(info: &str, comma: char, escapes: &[(&str, &str)], data: String) -> Option<Parsed> {
        let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
        REGISTERED.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        let pairs = properties.trim().split(comma).filter_map(|pair| pair.split_once('='));
        let pairs = pairs.filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let properties = pairs.map(|(key, value)| (key.to_owned(), unescape(value, escapes))).collect();
        Some(Parsed { name: name.to_owned(), properties, data })
    }

    fn unescape(text: &str, escapes: &[(&str, &str)]) -> String {
        escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_matches_the_toolkit_output() {
        let annotation = Annotation {
            severity: Severity::Error,
            title: "a, b: 100 %".into(),
            message: "one\r\ntwo: 50 %, three".into(),
            location: Some(("deploy/app.json".into(), 3, 7)),
        };
        assert_eq!(
            annotation.command(),
            "::error title=a%2C b%3A 100 %25,file=deploy/app.json,line=3,col=7::one%0D%0Atwo: 50 %25, three"
        );
        assert_eq!(command("endgroup", &[("a", "")], ""), "::endgroup::");
    }

    #[test]
    fn long_message_is_cut_at_the_runner_limit() {
        for text in ["a".repeat(5000), "🚢".repeat(3000)] {
            let cut = shorten(&text);
            assert!(cut.ends_with('…') && cut.encode_utf16().count() <= MAX_MESSAGE_UTF16_UNITS);
            assert!(cut.encode_utf16().count() >= MAX_MESSAGE_UTF16_UNITS - 1);
        }
        assert_eq!(shorten(&"a".repeat(4096)), "a".repeat(4096));
    }

    #[test]
    fn stopped_commands_are_ignored_until_the_token() {
        assert_eq!(stop_commands("t0"), "::stop-commands::t0");
        assert_eq!(resume_commands("t0"), "::t0::");
    }

    #[test]
    fn reference_parser_matches_the_runner() {
        assert_eq!(oracle::parse(" \t::ERROR file=a%2Cb,line=::x%0A%2525").unwrap().data, "x\n%25");
        assert_eq!(oracle::parse("text ##[add-mask]secret").unwrap().data, "secret");
        assert_eq!(oracle::parse("text ::error::x"), None);
        assert_eq!(oracle::parse("::other::x ##[other]y"), None);
    }

    proptest::proptest! {
        #[test]
        fn the_runner_reads_back_what_was_meant(title in "\\PC{1,20}", message in "(\\PC|\n|\r|%0A){0,40}", file in "[a-z:,%/]{1,9}") {
            let annotation = Annotation {
                severity: Severity::Warning,
                title: title.clone(),
                message: message.clone(),
                location: Some((file.clone(), 1, 2)),
            };
            let parsed = oracle::parse(&annotation.command()).unwrap();
            proptest::prop_assert_eq!(&parsed.name, "warning");
            // The runner trims the whole list of properties, of which this is not the last.
            proptest::prop_assert_eq!(parsed.properties.get("title").map(|t| t.trim_start()), Some(title.trim_start()));
            proptest::prop_assert_eq!(parsed.properties.get("file"), Some(&file));
            proptest::prop_assert_eq!(parsed.data, message);
        }
    }
}
