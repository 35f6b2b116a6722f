//! What can go wrong with Argo CD alone, as a scenario file says it.

use serde::Deserialize;

use crate::task_faults::task_fault;

task_fault! {
    /// A sync whose resources cannot be applied. `service` is an application, `tasks` is the number of failing attempts.
    SyncFailed {
        /// Why not.
        message: String = "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value".into(),
    }
}
task_fault! {
    /// A sync that cannot be carried out at all. `service` is an application, `tasks` is the number of failing syncs.
    OperationError {
        /// Why not.
        message: String = "ComparisonError: Failed to load target state: failed to generate manifest for source 1 of 1: \
                           rpc error: code = Unknown desc = failed to list refs: dial tcp: i/o timeout".into(),
    }
}

macro_rules! application_fault {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            /// Only this application of Argo CD.
            pub application: Option<String>,
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { application: None, $($field: $default,)* }
            }
        }

        impl $name {
            /// Whether it is about this application.
            pub fn applies_to(&self, application: &str) -> bool {
                self.application.as_deref().is_none_or(|name| name == application)
            }
        }
    };
}

application_fault! {
    /// Applications, without details.
    OnApplication {}
}
application_fault! {
    /// A Git server that Argo CD reads old commits from.
    StaleGit {
        /// Seconds after the first refresh that somebody asks for.
        #[serde(rename = "for")]
        lasts: f64 = 30.0,
    }
}
application_fault! {
    /// Manifests cannot be made.
    Incomparable {
        /// Why not.
        message: String = "code = Unknown desc = `kustomize build` failed exit status 1".into(),
        /// Seconds after the world began.
        after: f64 = 0.0,
    }
}
application_fault! {
    /// Somebody else's sync runs.
    ForeignSync {
        /// Seconds after the world began.
        at: f64 = 0.0,
        /// How many seconds it lasts.
        #[serde(rename = "for")]
        lasts: f64 = 120.0,
    }
}
application_fault! {
    /// Somebody changes the cluster by hand.
    ByHand {
        /// Seconds after the world began.
        at: f64 = 300.0,
        /// The image that is set.
        image: String = "somebody/else:v0".into(),
    }
}
