//! A lease: the ref that stands for one service of an environment, and the message of the commit that it points to, which
//! says who holds it. Pure; what is read is from outside.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The first line of a message; another one is not read.
const FORM: &str = "Roadstead lease 1";
/// Below it are the refs. Nothing of Git's own looks there, and no workflow starts for it.
const FOLDER: &str = "refs/roadstead/lease";
/// A longer part of a name is cut and ends with its checksum: GitHub refuses long names.
const LONGEST: usize = 80;

/// The ref of a service. Any two names of a deploy file give two refs, all of which Git accepts.
pub fn reference(environment: &str, service: &str) -> String {
    format!("{FOLDER}/{}/{}", part(environment), part(service))
}

/// `name` with every byte that means something in a ref, or might, as `=` and two digits.
fn part(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => text.push(char::from(byte)),
            b'-' if !text.is_empty() => text.push('-'),
            _ => _ = write!(text, "={byte:02x}"),
        }
    }
    if text.len() <= LONGEST && !text.is_empty() {
        return text;
    }
    let sum = hex::encode(Sha256::digest(name.as_bytes()));
    format!("{}=.{}", text.get(..LONGEST / 2).unwrap_or_default(), sum.get(..32).unwrap_or_default())
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Number of the run.
    pub run: u64,
    /// Its attempt, from 1.
    pub attempt: u64,
    /// Name of the runner; empty where it is not known.
    pub runner: String,
    /// The page of the run.
    pub url: String,
    /// Since when, for people.
    pub since: String,
    /// Makes the commit another one than that of a job beside this one.
    pub nonce: String,
}

/// Who holds a lease now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The commit that the ref points to.
    pub commit: String,
    /// Whose it is; `None` where its message is none of ours.
    pub owner: Option<Owner>,
}

impl Owner {
    /// The message of the commit.
    pub fn message(&self) -> String {
        let Self { run, attempt, runner, url, since, nonce } = self;
        let runner = line(runner);
        format!(
            "{FORM}\n\nrun: {run}\nattempt: {attempt}\nrunner: {runner}\nurl: {url}\nsince: {since}\nnonce: {nonce}\n"
        )
    }

    /// Reads a message; `None` where it is none of ours.
    pub fn read(message: &str) -> Option<Self> {
        let mut lines = message.lines();
        if lines.next()? != FORM {
            return None;
        }
        let pairs: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let get = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let text = |name: &str| line(get(name).unwrap_or_default());
        Some(Self {
            run: get("run")?.parse().ok()?,
            attempt: get("attempt")?.parse().ok()?,
            runner: text("runner"),
            url: text("url"),
            since: text("since"),
            nonce: text("nonce"),
        })
    }

    /// Whether this is a lease of an earlier step of the same job, or of an earlier attempt of the same run: a runner
    /// does one thing at a time, and an attempt starts when the one before has ended.
    pub fn is_past_of(&self, own: &Self) -> bool {
        let same_runner = !self.runner.is_empty() && self.runner == own.runner;
        self.run == own.run && (self.attempt < own.attempt || (self.attempt == own.attempt && same_runner))
    }
}

fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::github::names;

    fn owner(run: u64, attempt: u64, runner: &str) -> Owner {
        Owner {
            run,
            attempt,
            runner: runner.into(),
            url: "https://github.com/acme/shop/actions/runs/7/attempts/1".into(),
            since: "2026-03-02T09:00:00Z".into(),
            nonce: "c0ffee".into(),
        }
    }

    #[test]
    fn names_become_refs() {
        for (name, written) in [
            ("backend", "backend"),
            ("web-api_2", "web-api_2"),
            ("-x", "=2dx"),
            ("a/b", "a=2fb"),
            ("a.lock", "a=2elock"),
            ("ü", "=c3=bc"),
            ("a=2fb", "a=3d2fb"),
        ] {
            assert_eq!(reference("prod", name), format!("refs/roadstead/lease/prod/{written}"));
        }
    }

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        let known = owner(7, 2, "runner 1\nrun: 9");
        let read = Owner::read(&known.message()).unwrap();
        assert_eq!(read, Owner { runner: "runner 1run: 9".into(), ..known });
        for odd in [
            "",
            "Deploy",
            "Roadstead lease 2\n\nrun: 7\nattempt: 1",
            "Roadstead lease 1\n\nrun: x\nattempt: 1",
        ] {
            assert_eq!(Owner::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_is_surely_past_needs_no_question() {
        let own = owner(7, 2, "r1");
        for (held, past) in [
            (owner(7, 1, "r9"), true),
            (owner(7, 2, "r1"), true),
            (owner(7, 2, "r2"), false),
            (owner(7, 3, "r2"), false),
            (owner(6, 1, "r1"), false),
            (owner(8, 1, "r2"), false),
        ] {
            assert_eq!(held.is_past_of(&own), past, "{held:?}");
        }
        assert!(!owner(7, 2, "").is_past_of(&owner(7, 2, "")));
    }

    proptest! {
        #[test]
        fn any_name_is_a_ref_of_its_own(one in "\\PC{0,90}", other in "\\PC{0,90}") {
            let written = reference(&one, &other);
            prop_assert!(names::branch(&written).is_ok(), "{}", written);
            prop_assert_eq!(written.split('/').count(), 5);
            prop_assert_eq!(reference("e", &one) == reference("e", &other), one == other);
        }
    }
}
