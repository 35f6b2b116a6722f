//! Our nouns → the request that the server gets: words that are set above the program. Pure.

use std::time::Duration;

use crate::release::{DefinitionFile, ImageRef, TrafficPlan};
use crate::sys::ssh::shell_quote;

use super::facts::ReleaseFacts;
use super::proxy::ProxySettings;
use super::proxy_file::Reload;
use super::settings::Settings;
use crate::targets::PullLogin;

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
        let of_proxy = |value: &dyn Fn(&ProxySettings) -> String| proxy.map(value).unwrap_or_default();
        let words = vec![
            ("rs_operation", operation.to_owned()),
            ("rs_directory", directory.to_owned()),
            ("rs_service", settings.service.as_str().to_owned()),
            ("rs_project", project.to_owned()),
            ("rs_keep", settings.keep.0.to_string()),
            ("rs_start_limit", settings.start_timeout.0.as_secs().max(1).to_string()),
            ("rs_settle", settings.settle.0.as_secs().to_string()),
            ("rs_drain", proxy.map_or(0, ProxySettings::drain_seconds).to_string()),
            ("rs_stop_limit", STOP_SECONDS.to_string()),
            ("rs_backup_limit", BACKUP_LIMIT.as_secs().to_string()),
            ("rs_backup", quoted_words(&settings.backup)),
            ("rs_proxy_container", of_proxy(&|proxy| proxy.container.as_str().to_owned())),
            ("rs_proxy_file", of_proxy(&|proxy| proxy.path(directory))),
            ("rs_proxy_single", of_proxy(&|proxy| proxy.single())),
            ("rs_proxy_split", of_proxy(&|proxy| proxy.split())),
            ("rs_proxy_test", of_proxy(&ProxySettings::test_command)),
            ("rs_proxy_reload", of_proxy(&|proxy| reload_words(&proxy.reload()))),
        ];
        Self { words, release_writer: String::new() }
    }

    /// The same with another operation.
    pub fn with_operation(mut self, operation: &str) -> Self {
        self.words.iter_mut().filter(|(name, _)| *name == "rs_operation").for_each(|(_, value)| {
            *value = operation.to_owned();
        });
        self
    }

    /// The same about an attempt.
    pub fn with_attempt(self, number: u32, owner: &str) -> Self {
        self.with("rs_attempt", number.to_string()).with("rs_owner", owner.to_owned())
    }

    /// The same with a release that is already on the server.
    pub fn with_release(self, number: &str) -> Self {
        self.with("rs_release", number.to_owned())
    }

    /// The same with the traffic plan of an attempt, and with how long it waits to be confirmed, where it does.
    pub fn with_plan(self, plan: &TrafficPlan, confirm_within: Option<Duration>) -> Self {
        let weights: Vec<String> = plan.weights.iter().map(ToString::to_string).collect();
        let pause_limit = plan.hook_timeout.0.max(confirm_within.unwrap_or_default());
        let confirms = if confirm_within.is_some() { "yes" } else { "no" };
        self.with("rs_weights", weights.join(" "))
            .with("rs_pause_limit", pause_limit.as_secs().to_string())
            .with("rs_confirm", confirms.to_owned())
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
    pub fn with_new_release(self, release: &NewRelease<'_>) -> Self {
        let service =
            self.words.iter().find(|(name, _)| *name == "rs_service").map(|(_, value)| value.clone());
        let release_writer = release_writer(release, &service.unwrap_or_default());
        let adopt = if release.adopts { "yes" } else { "no" };
        let this = self.with("rs_facts", release.facts.to_string()).with("rs_adopt", adopt.to_owned());
        let this = match release.env {
            Some(env) => this.with("rs_env", env.to_owned()),
            None => this,
        };
        Self { release_writer, ..this }
    }

    /// The same with a login to the registry of the image.
    pub fn with_login(self, login: &PullLogin) -> Self {
        let server = match login.server.as_str() {
            "docker.io" => "https://index.docker.io/v1/",
            other => other,
        };
        let credential =
            serde_json::json!({ "ServerURL": server, "Username": login.username, "Secret": login.password });
        self.with("rs_registry", server.to_owned()).with("rs_credential", credential.to_string())
    }

    /// The same, with the variables of the serving release.
    pub fn with_variables(self) -> Self {
        self.with("rs_show_env", "yes".to_owned())
    }

    /// The same about a command that runs once. Its owner is that of the run.
    pub fn with_task(self, name: &str, owner: &str) -> Self {
        self.with("rs_task", name.to_owned()).with("rs_owner", owner.to_owned())
    }

    /// The same with the words of a command.
    pub fn with_command(self, command: &[String]) -> Self {
        self.with("rs_command", quoted_words(command))
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

/// A reload in words; empty for a proxy that watches its file.
fn reload_words(reload: &Reload) -> String {
    match reload {
        Reload::Command(command) => command.clone(),
        Reload::Signal(signal) => format!("signal {signal}"),
        Reload::Watched => String::new(),
    }
}

/// A command as quoted words: `eval "set -- $rs_backup"` makes the same words of it again.
fn quoted_words(command: &[String]) -> String {
    command.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
}

/// A release that is put on the server.
#[derive(Debug, Clone, Copy)]
pub struct NewRelease<'r> {
    /// What it is made of.
    pub facts: &'r ReleaseFacts,
    /// Its Compose files.
    pub files: ReleaseFiles<'r>,
    /// Its variables.
    pub env: Option<&'r str>,
    /// Whether what runs there was brought without this program, and is kept first.
    pub adopts: bool,
}

/// Where the Compose files of a release come from.
#[derive(Debug, Clone, Copy)]
pub enum ReleaseFiles<'r> {
    /// From the repository.
    New(&'r [DefinitionFile]),
    /// From another release on the server, with its image.
    OfRelease(u32),
}

/// A shell function that writes the files of a release into a folder. Every byte of them is inside of quotes.
fn release_writer(release: &NewRelease<'_>, service: &str) -> String {
    let mut lines = vec!["write_release() {".to_owned()];
    match release.files {
        ReleaseFiles::New(files) => {
            for (index, file) in files.iter().enumerate() {
                let text = shell_quote(&file.text);
                lines.push(format!("printf %s {text} >\"$1/files/{:02}.yaml\" || return 1", index + 10));
            }
            let image = shell_quote(&image_override(service, release.facts.image.as_ref()));
            lines.push(format!("printf %s {image} >\"$1/files/99-images.yaml\" || return 1"));
        }
        ReleaseFiles::OfRelease(number) => {
            lines.push(format!("cp \"$base/releases/{number}/files/\"* \"$1/files/\" || return 1"));
        }
    }
    if release.env.is_some() {
        lines.push("printf %s \"$rs_env\" >\"$1/env\" || return 1".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: &str) -> ServerRequest {
        let text = r#"{"hosts":[{"ssh":"deploy@app1"}],"directory":"/srv/shop/","service":"web"}"#;
        ServerRequest::new(operation, &serde_json::from_str(text).unwrap(), "shop")
    }

    fn words(request: &ServerRequest, names: &[&str]) -> String {
        let found = request.words.iter().filter(|(name, _)| names.contains(name));
        found.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn login_is_one_for_the_name_that_docker_looks_up() {
        let login = |server: &str| PullLogin {
            server: server.into(),
            username: "robot".into(),
            password: "p'\"$".into(),
        };
        let all = ["docker.io", "ghcr.io", "registry.acme.dev:5000"].map(|server| {
            words(&request("stage").with_login(&login(server)), &["rs_registry", "rs_credential"])
        });
        insta::assert_snapshot!(all.join("\n"), @r#"
        rs_registry=https://index.docker.io/v1/
        rs_credential={"ServerURL":"https://index.docker.io/v1/","Username":"robot","Secret":"p'\"$"}
        rs_registry=ghcr.io
        rs_credential={"ServerURL":"ghcr.io","Username":"robot","Secret":"p'\"$"}
        rs_registry=registry.acme.dev:5000
        rs_credential={"ServerURL":"registry.acme.dev:5000","Username":"robot","Secret":"p'\"$"}
        "#);
    }

    #[test]
    fn attempt_waits_to_be_confirmed_only_where_it_has_to() {
        let plan = TrafficPlan::in_place();
        let names = ["rs_weights", "rs_pause_limit", "rs_confirm"];
        let alone = request("start").with_plan(&plan, None);
        let one_of_three = request("start").with_plan(&plan, Some(Duration::from_secs(750)));
        assert_eq!(words(&alone, &names), "rs_weights=100\nrs_pause_limit=0\nrs_confirm=no");
        assert_eq!(words(&one_of_three, &names), "rs_weights=100\nrs_pause_limit=750\nrs_confirm=yes");
    }

    #[test]
    fn files_of_a_release_are_new_or_those_of_another_one() {
        let facts = ReleaseFacts::parse("none f e none").unwrap();
        let files = [DefinitionFile { path: "compose.yaml".into(), text: "it's: $x\n".into() }];
        let of = |files| {
            let release = NewRelease { facts: &facts, files, env: Some("A=1\n"), adopts: false };
            request("stage").with_new_release(&release).release_writer
        };
        insta::assert_snapshot!(of(ReleaseFiles::New(&files)), @r#"
        write_release() {
        printf %s 'it'\''s: $x
        ' >"$1/files/10.yaml" || return 1
        printf %s '{"services":{"web":{"image":"none"}}}
        ' >"$1/files/99-images.yaml" || return 1
        printf %s "$rs_env" >"$1/env" || return 1
        printf '%s\n' "$rs_facts" >"$1/facts"
        }
        "#);
        insta::assert_snapshot!(of(ReleaseFiles::OfRelease(7)), @r#"
        write_release() {
        cp "$base/releases/7/files/"* "$1/files/" || return 1
        printf %s "$rs_env" >"$1/env" || return 1
        printf '%s\n' "$rs_facts" >"$1/facts"
        }
        "#);
    }
}
