//! Our nouns → the request that the server gets: words that are set above the program. Pure.

use std::time::Duration;

use crate::release::{ImageRef, TrafficPlan};
use crate::sys::ssh::shell_quote;

use super::facts::ReleaseFacts;
use super::settings::Settings;
use super::source::ReleaseSource;

/// The program that runs on the server.
const PROGRAM: &str = concat!(
    include_str!("server/common.sh"),
    include_str!("server/observe.sh"),
    include_str!("server/release.sh"),
    include_str!("server/task.sh"),
    include_str!("server/attempt.sh"),
    include_str!("server/proxy.sh"),
    include_str!("server/transaction.sh"),
);

/// How long the old container serves what it already has, after the proxy sends it nothing new.
const DRAIN_SECONDS: u64 = 3;
/// How long a container may take to end.
const STOP_SECONDS: u64 = 30;
/// How long a backup may take.
pub const BACKUP_LIMIT: Duration = Duration::from_secs(600);

/// The words of a request, in the order in which they are set.
#[derive(Debug, Clone)]
pub struct ServerRequest {
    words: Vec<(&'static str, String)>,
    /// Shell that writes the files of a release; empty without one.
    release_writer: String,
}

impl ServerRequest {
    /// A request about a service.
    pub fn new(operation: &str, settings: &Settings, project: &str) -> Self {
        let proxy = settings.proxy.as_ref();
        let directory = settings.directory.as_str().trim_end_matches('/');
        let of_proxy =
            |value: &dyn Fn(&super::proxy::ProxySettings) -> String| proxy.map(value).unwrap_or_default();
        let words = vec![
            ("rs_operation", operation.to_owned()),
            ("rs_directory", directory.to_owned()),
            ("rs_service", settings.service.as_str().to_owned()),
            ("rs_project", project.to_owned()),
            ("rs_keep", settings.keep.0.to_string()),
            ("rs_start_limit", settings.start_timeout.0.as_secs().max(1).to_string()),
            ("rs_settle", settings.settle.0.as_secs().to_string()),
            ("rs_drain", DRAIN_SECONDS.to_string()),
            ("rs_stop_limit", STOP_SECONDS.to_string()),
            ("rs_backup_limit", BACKUP_LIMIT.as_secs().to_string()),
            ("rs_backup", backup_words(&settings.backup)),
            ("rs_proxy_container", of_proxy(&|proxy| proxy.container.as_str().to_owned())),
            ("rs_proxy_file", of_proxy(&|proxy| proxy.path(directory))),
            ("rs_proxy_single", of_proxy(&|proxy| proxy.single())),
            ("rs_proxy_split", of_proxy(&|proxy| proxy.split())),
            ("rs_proxy_test", of_proxy(&|proxy| proxy.test_command().to_owned())),
            ("rs_proxy_reload", of_proxy(&|proxy| proxy.reload_command().to_owned())),
        ];
        Self { words, release_writer: String::new() }
    }

    /// The same about an attempt.
    pub fn with_attempt(self, number: u32, owner: &str) -> Self {
        self.with("rs_attempt", number.to_string()).with("rs_owner", owner.to_owned())
    }

    /// The same with a release that is already on the server.
    pub fn with_release(self, number: &str) -> Self {
        self.with("rs_release", number.to_owned())
    }

    /// The same with the traffic plan of an attempt.
    pub fn with_plan(self, plan: &TrafficPlan) -> Self {
        let weights: Vec<String> = plan.weights.iter().map(ToString::to_string).collect();
        self.with("rs_weights", weights.join(" "))
            .with("rs_pause_limit", plan.hook_timeout.0.as_secs().to_string())
            .with_longer_settle(plan.bake.0)
    }

    /// The old container stays for the final bake.
    fn with_longer_settle(mut self, bake: Duration) -> Self {
        for (name, value) in &mut self.words {
            if *name == "rs_settle" {
                *value = value.parse::<u64>().unwrap_or_default().max(bake.as_secs()).to_string();
            }
        }
        self
    }

    /// The same without a backup.
    pub fn without_backup(mut self) -> Self {
        self.words.retain(|(name, _)| *name != "rs_backup");
        self.with("rs_backup", String::new())
    }

    /// The same with the weight to go on to.
    pub fn with_weight(self, percent: u8) -> Self {
        self.with("rs_weight", percent.to_string())
    }

    /// The same with a release to put on the server.
    pub fn with_new_release(self, facts: &ReleaseFacts, source: &ReleaseSource, adopts: bool) -> Self {
        let service =
            self.words.iter().find(|(name, _)| *name == "rs_service").map(|(_, value)| value.clone());
        let release_writer = release_writer(facts, source, &service.unwrap_or_default());
        let adopt = if adopts { "yes" } else { "no" };
        let this = self.with("rs_facts", facts.to_string()).with("rs_adopt", adopt.to_owned());
        Self { release_writer, ..this }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.words.push((name, value));
        self
    }

    /// The whole script. Its files are only in the request that brings them.
    pub fn script(&self) -> String {
        let words = self.words.iter().map(|(name, value)| format!("{name}={}\n", shell_quote(value)));
        let words: String = words.collect();
        format!("{words}{}# --- program ---\n{PROGRAM}", self.release_writer)
    }
}

/// The command of a backup as quoted words: `eval "set -- $rs_backup"` makes the same words of it again.
fn backup_words(command: &[String]) -> String {
    command.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
}

/// A shell function that writes the files of a release into a folder. Every byte of them is inside of quotes.
fn release_writer(facts: &ReleaseFacts, source: &ReleaseSource, service: &str) -> String {
    let mut lines = vec!["write_release() {".to_owned()];
    for (index, file) in source.files.iter().enumerate() {
        let text = shell_quote(&file.text);
        lines.push(format!("printf %s {text} >\"$1/files/{:02}.yaml\" || return 1", index + 10));
    }
    let image = shell_quote(&image_override(service, facts.image.as_ref()));
    lines.push(format!("printf %s {image} >\"$1/files/99-images.yaml\" || return 1"));
    if let Some(env) = &source.env {
        lines.push(format!("printf %s {} >\"$1/env\" || return 1", shell_quote(env)));
    }
    lines.push("printf '%s\\n' \"$rs_facts\" >\"$1/facts\"".to_owned());
    lines.push("}\n".to_owned());
    lines.join("\n")
}

/// The Compose file that pins the image of the service by digest. JSON is YAML; `$` would be a variable.
fn image_override(service: &str, image: Option<&ImageRef>) -> String {
    let image = image.map(ToString::to_string).unwrap_or_default().replace('$', "$$");
    let file = serde_json::json!({ "services": { service: { "image": image } } });
    format!("{file}\n")
}
