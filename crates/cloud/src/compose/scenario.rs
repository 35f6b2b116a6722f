//! Servers with Compose in a scenario file: what they have and what runs. Types only.

use schemars::JsonSchema;
use serde::Deserialize;

/// A server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeHostSetting {
    /// Its name.
    pub name: String,
    /// Version of the engine; empty where there is none.
    #[serde(default = "docker")]
    pub docker: String,
    /// Version of Compose; empty where there is none.
    #[serde(default = "compose")]
    pub compose: String,
    /// Whether the user may use Docker.
    #[serde(default = "yes")]
    pub may_use_docker: bool,
    /// Free space, in MiB.
    #[serde(default = "plenty")]
    pub free_mb: u64,
    /// Whether new containers never become healthy here, as where something that they need is missing.
    #[serde(default)]
    pub breaks_new_containers: bool,
    /// Services that run when the world begins.
    #[serde(default)]
    pub services: Vec<ComposeServiceSetting>,
}

/// A service of a Compose file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComposeServiceSetting {
    /// The folder of its Compose file.
    pub directory: String,
    /// Its name.
    pub name: String,
    /// The image that runs, by digest; nothing runs when absent.
    #[serde(default)]
    pub image: Option<String>,
    /// The text of `.env` in the folder.
    #[serde(default)]
    pub env: Option<String>,
}

impl ComposeHostSetting {
    /// A server that has everything.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            docker: docker(),
            compose: compose(),
            may_use_docker: true,
            free_mb: plenty(),
            breaks_new_containers: false,
            services: Vec::new(),
        }
    }
}

fn docker() -> String {
    "26.1.5".into()
}
fn compose() -> String {
    "2.26.1".into()
}
fn yes() -> bool {
    true
}
fn plenty() -> u64 {
    20_000
}
