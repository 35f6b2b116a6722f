//! A lease: the ref of one service of an environment, and the message of the commit that it points to, which
//! names the holder. Pure; the message is untrusted.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The first line of a message of this version.
const FORMAT_LINE: &str = "Roadstead lease 1";
/// The start of the first line of every version.
const FORMAT_PREFIX: &str = "Roadstead lease ";
/// The prefix of the refs. Git ignores it, and no workflow starts for it.
const REF_PREFIX: &str = "refs/roadstead/lease";
/// A longer part of a name is shortened and ends with its checksum: GitHub rejects long names.
const MAX_PART_BYTES: usize = 80;

/// The ref of a service. Two different names of a deploy file give two different refs, all valid in Git.
pub fn ref_name(environment: &str, service: &str) -> String {
    format!("{REF_PREFIX}/{}/{}", escape_part(environment), escape_part(service))
}

/// Whether a ref is that of a lease of `environment`.
pub fn is_ref_of(environment: &str, reference: &str) -> bool {
    let folder = format!("{REF_PREFIX}/{}/", escape_part(environment));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=.".contains(&byte);
    let name = reference.strip_prefix(&folder);
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(known) && !name.contains(".."))
}

/// `name` with every byte that has, or might have, a meaning in a ref as `=` and two digits.
fn escape_part(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => text.push(char::from(byte)),
            b'-' if !text.is_empty() => text.push('-'),
            _ => _ = write!(text, "={byte:02x}"),
        }
    }
    if text.len() <= MAX_PART_BYTES && !text.is_empty() {
        return text;
    }
    let sum = hex::encode(Sha256::digest(name.as_bytes()));
    format!("{}=.{}", text.get(..MAX_PART_BYTES / 2).unwrap_or_default(), sum.get(..32).unwrap_or_default())
}

/// The holder of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Number of the run.
    pub run: u64,
    /// Its attempt, from 1.
    pub attempt: u64,
    /// Name of the runner; empty if unknown.
    pub runner: String,
    /// The page of the run.
    pub url: String,
    /// The start time, for display.
    pub held_since: String,
    /// Makes the commit unique among concurrent jobs.
    pub nonce: String,
}

/// The current holder of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The commit that the ref points to.
    pub commit: String,
    /// Its owner; `None` if the message names none.
    pub owner: Option<Owner>,
    /// Whether no run can have made it: it points to a commit whose message is that of no version of a lease.
    pub is_foreign: bool,
}

/// Whether a message is that of a lease, of this version or another one.
pub fn is_lease_message(message: &str) -> bool {
    message.starts_with(FORMAT_PREFIX)
}

impl Owner {
    /// The message of the commit.
    pub fn message(&self) -> String {
        let Self { run, attempt, runner, url, held_since: since, nonce } = self;
        let runner = sanitize_line(runner);
        format!(
            "{FORMAT_LINE}\n\nrun: {run}\nattempt: {attempt}\nrunner: {runner}\nurl: {url}\nsince: {since}\nnonce: {nonce}\n"
        )
    }

    /// Parses a message; `None` if it is not ours.
    pub fn parse(message: &str) -> Option<Self> {
        let mut lines = message.lines();
        if lines.next()? != FORMAT_LINE {
            return None;
        }
        let pairs: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let get = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let text = |name: &str| sanitize_line(get(name).unwrap_or_default());
        Some(Self {
            run: get("run")?.parse().ok()?,
            attempt: get("attempt")?.parse().ok()?,
            runner: text("runner"),
            url: text("url"),
            // Text from outside is shown only if it is a time.
            held_since: text("since").parse::<jiff::Timestamp>().map_or_else(|_| String::new(), format_time),
            nonce: text("nonce"),
        })
    }

    /// Whether this is a lease of an earlier step of the same job, or of an earlier attempt of the same run: a runner
    /// runs one job at a time, and an attempt starts when the previous one has ended.
    pub fn is_earlier_attempt_of(&self, own: &Self) -> bool {
        let same_runner = !self.runner.is_empty() && self.runner == own.runner;
        self.run == own.run && (self.attempt < own.attempt || (self.attempt == own.attempt && same_runner))
    }
}

fn format_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn sanitize_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::github::validate;

    fn owner(run: u64, attempt: u64, runner: &str) -> Owner {
        Owner {
            run,
            attempt,
            runner: runner.into(),
            url: "https://github.com/acme/shop/actions/runs/7/attempts/1".into(),
            held_since: "2026-03-02T09:00:00Z".into(),
            nonce: "c0ffee".into(),
        }
    }

    #[test]
    fn lease_refs_are_valid_and_unique() {
        for (name, written) in [
            ("backend", "backend"),
            ("web-api_2", "web-api_2"),
            ("-x", "=2dx"),
            ("a/b", "a=2fb"),
            ("a.lock", "a=2elock"),
            ("ü", "=c3=bc"),
            ("a=2fb", "a=3d2fb"),
        ] {
            assert_eq!(ref_name("prod", name), format!("refs/roadstead/lease/prod/{written}"));
        }
    }

    #[test]
    fn owner_is_parsed_as_written() {
        let known = owner(7, 2, "runner 1\nrun: 9");
        let read = Owner::parse(&known.message()).unwrap();
        assert_eq!(read, Owner { runner: "runner 1run: 9".into(), ..known });
        for odd in [
            "",
            "Deploy",
            "Roadstead lease 2\n\nrun: 7\nattempt: 1",
            "Roadstead lease 1\n\nrun: x\nattempt: 1",
        ] {
            assert_eq!(Owner::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn refs_of_an_environment_are_those_of_its_leases() {
        for (reference, own) in [
            (ref_name("prod", "web"), true),
            (ref_name("prod", "a/b ü"), true),
            (ref_name("staging", "web"), false),
            ("refs/heads/main".into(), false),
            ("refs/roadstead/lease/prod/".into(), false),
            ("refs/roadstead/lease/prod/../../heads/main".into(), false),
            ("refs/roadstead/lease/prod/a/b".into(), false),
            ("refs/roadstead/lease/prod/..".into(), false),
        ] {
            assert_eq!(is_ref_of("prod", &reference), own, "{reference}");
        }
    }

    #[test]
    fn text_of_a_lease_is_shown_only_as_a_time() {
        let message = owner(7, 1, "r").message();
        let forged = message.replace("2026-03-02T09:00:00Z", "call https://evil.example");
        assert_eq!(Owner::parse(&forged).unwrap().held_since, "");
        assert!(
            is_lease_message(&message) && is_lease_message("Roadstead lease 2\n") && !is_lease_message("x")
        );
    }

    #[test]
    fn earlier_attempt_is_known_without_a_request() {
        let own = owner(7, 2, "r1");
        for (held, past) in [
            (owner(7, 1, "r9"), true),
            (owner(7, 2, "r1"), true),
            (owner(7, 2, "r2"), false),
            (owner(7, 3, "r2"), false),
            (owner(6, 1, "r1"), false),
            (owner(8, 1, "r2"), false),
        ] {
            assert_eq!(held.is_earlier_attempt_of(&own), past, "{held:?}");
        }
        assert!(!owner(7, 2, "").is_earlier_attempt_of(&owner(7, 2, "")));
    }

    proptest! {
        #[test]
        fn any_name_is_a_ref_of_its_own(one in "\\PC{0,90}", other in "\\PC{0,90}") {
            let written = ref_name(&one, &other);
            prop_assert!(validate::branch(&written).is_ok(), "{}", written);
            prop_assert_eq!(written.split('/').count(), 5);
            prop_assert_eq!(ref_name("e", &one) == ref_name("e", &other), one == other);
        }
    }
}
