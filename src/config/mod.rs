//! The deploy file: its types, its checks, and the merge of inputs over file over defaults. No I/O.

mod aws_settings;
mod before_command;
mod blocks;
mod bounded;
mod branch;
mod branch_fault;
mod check;
mod deploy_file;
mod limits;
mod locate;
mod notify;
mod outline;
mod parsed_string;
pub mod paths;
mod placeholder;
mod promotion;
mod proof;
mod read;
mod read_advice;
mod read_error;
mod read_layout;
mod registries;
mod resource_names;
mod scalar;
mod strategy;
mod strategy_form;
pub mod tree;
mod unset_placeholders;
mod value_path;
pub mod workspace_paths;
mod written_text;
mod yaml_error;

pub use before_command::{BeforeCommand, CommandLine, CommandTimeout};
pub use blocks::{Aws, BuildBlock, EnvName, Environment, Placeholders, ServiceConfig};
pub use bounded::{
    Address, Bake, CanaryPercent, Margin, Milliseconds, PerMinute, Query, Status, StepPercent,
};
pub use branch::{EnvironmentSelection, matches_any, select_environment};
pub use check::{
    BodyText, CertificateDays, Check, HeaderName, HeaderValue, LatencyLimit, REDIRECT_STATUSES, Redirects,
    Statuses,
};
pub use deploy_file::{DeployFile, Service};
pub use locate::locate_in;
pub use notify::{AddressSource, NotifySettings, SnsTopic, VariableName, Webhook, require_https};
pub(crate) use parsed_string::parsed_string;
pub use proof::{ImagePattern, WorkflowFile};
pub use read::read;
pub use registries::{Registries, RegistryCredentials};
pub use strategy::{
    AnalysisConfig, BlueGreen, Canary, Latency, Linear, Metric, NoOptions, OnInconclusive, Probe, Prometheus,
    Rolling, Strategy,
};
pub use written_text::{WrittenText, written_texts};
