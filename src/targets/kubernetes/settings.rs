//! The settings `kubernetes:` of the deploy file. Types only; placeholders and merging are in `config`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::route::backends::RouteNames;
use super::route::settings::TrafficSettings;
use crate::config::{Address, VariableName, WrittenText, parsed_string, written_texts};
use crate::release::may_receive_credentials;
use crate::targets::further_images::FurtherImages;

/// A workload of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The cluster: one of EKS, or the API server of any other.
    pub cluster: ClusterSettings,
    /// The namespace of the workload.
    #[serde(default = "default_namespace")]
    pub namespace: ObjectName,
    /// The workload, such as `deployment/api`: a `deployment`, `statefulset` or `daemonset`, and its name.
    pub workload: WorkloadName,
    /// Name of the container, or init container, whose image is deployed. Default: the only container of the pods.
    #[serde(default)]
    pub container: Option<ContainerName>,
    /// Environment variables to set on that container; all others stay as they are.
    #[serde(default, deserialize_with = "written_texts")]
    #[schemars(with = "BTreeMap<String, WrittenText>")]
    pub environment: BTreeMap<String, String>,
    /// Images of further containers, or init containers, by the name of the container. They are deployed with the image of the
    /// service in one template.
    #[serde(default)]
    pub images: FurtherImages,
    /// How traffic is split between two versions, for `canary` and `linear`.
    #[serde(default)]
    pub traffic: Option<TrafficSettings>,
    /// How long a rollout may stand still before it is rolled back, in seconds; instead of `progressDeadlineSeconds` of the
    /// Deployment. Default: that one, or 600.
    #[serde(default)]
    pub progress_deadline_seconds: Option<DeadlineSeconds>,
}

fn default_namespace() -> ObjectName {
    ObjectName("default".into())
}

/// How the API server of a cluster is found, and with which token it is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "ClusterBlock")]
#[schemars(with = "ClusterBlock")]
pub enum ClusterSettings {
    /// A cluster of EKS: its address and authority are read there, and AWS's credentials make the token.
    Eks(ClusterName),
    /// An API server.
    Server(ServerSettings),
    /// A kubeconfig in a variable.
    Kubeconfig(KubeconfigSettings),
}

impl Settings {
    /// The route, its Service and the canary, where traffic is split.
    pub fn route_names(&self) -> Option<RouteNames> {
        let TrafficSettings { httproute, service } = self.traffic.as_ref()?;
        let workload = &self.workload.name;
        Some(RouteNames {
            route: httproute.as_str().to_owned(),
            stable: service.as_ref().map_or_else(|| workload.clone(), |name| name.as_str().to_owned()),
            canary: format!("{workload}-canary"),
        })
    }
}

impl ClusterSettings {
    /// The cluster in sentences.
    pub fn title(&self) -> String {
        match self {
            Self::Eks(name) => format!("the EKS cluster `{}`", name.as_str()),
            Self::Server(server) => format!("the cluster at `{}`", server.url.as_str()),
            Self::Kubeconfig(config) => format!("the cluster of `{}`", config.variable.as_str()),
        }
    }
}

/// An API server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerSettings {
    /// Its URL.
    pub url: ApiServer,
    /// The certificate of its authority.
    pub authority: Option<AuthorityText>,
    /// Where its token comes from.
    pub token: TokenSetting,
}

/// Where the token of an API server comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenSetting {
    /// A variable that has it.
    Variable(VariableName),
    /// GitHub makes one for this audience, which the cluster trusts.
    Oidc(Audience),
}

/// A kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubeconfigSettings {
    /// The variable that has its text.
    pub variable: VariableName,
    /// The context; the current one where none is named.
    pub context: Option<String>,
}

/// The cluster: `eks`, or `server` with `token`, or `kubeconfig`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClusterBlock {
    /// Name of a cluster of EKS in the account and region of the environment.
    #[serde(default)]
    eks: Option<ClusterName>,
    /// URL of the API server of any other cluster, such as `https://10.0.0.1:6443`.
    #[serde(default)]
    server: Option<ApiServer>,
    /// The certificate of the authority of that server: PEM, or base64 of it as in a kubeconfig. It is trusted for this
    /// cluster only, and no other is trusted for it. Default: the authorities of the system.
    #[serde(default)]
    ca: Option<AuthorityText>,
    /// Name of the variable that has a token for that server, such as the token of a ServiceAccount.
    #[serde(default)]
    token: Option<VariableName>,
    /// Instead of `token`: the audience of a token that GitHub makes for the job (`permissions: id-token: write`). The cluster must
    /// trust GitHub's tokens for it.
    #[serde(default)]
    oidc: Option<Audience>,
    /// Name of a variable that has a kubeconfig with a token.
    #[serde(default)]
    kubeconfig: Option<VariableName>,
    /// Context of that kubeconfig. Default: its current context.
    #[serde(default)]
    context: Option<String>,
}

impl TryFrom<ClusterBlock> for ClusterSettings {
    type Error = String;

    fn try_from(block: ClusterBlock) -> Result<Self, String> {
        let ClusterBlock { eks, server, ca, token, oidc, kubeconfig, context } = block;
        let only = |key: &str, with: &str| format!("`{key}` is set, and it belongs to `{with}`");
        match (eks, server, kubeconfig) {
            (Some(_), _, _) if ca.is_some() => Err(only("ca", "server")),
            (Some(_), _, _) if token.is_some() => Err(only("token", "server")),
            (Some(_), _, _) if oidc.is_some() => Err(only("oidc", "server")),
            (Some(_), None, None) if context.is_some() => Err(only("context", "kubeconfig")),
            (Some(name), None, None) => Ok(Self::Eks(name)),
            (None, Some(_), None) if context.is_some() => Err(only("context", "kubeconfig")),
            (None, Some(url), None) => {
                let token = match (token, oidc) {
                    (Some(token), None) => TokenSetting::Variable(token),
                    (None, Some(audience)) => TokenSetting::Oidc(audience),
                    (Some(_), Some(_)) => return Err("only one of `token` and `oidc` can be set".into()),
                    (None, None) => {
                        return Err(
                            "`server` needs `token`: the name of the variable with a token; or `oidc`".into(),
                        );
                    }
                };
                Ok(Self::Server(ServerSettings { url, authority: ca, token }))
            }
            (None, None, Some(_)) if ca.is_some() || token.is_some() || oidc.is_some() => {
                Err(only("ca`, `token` or `oidc", "server"))
            }
            (None, None, Some(variable)) => Ok(Self::Kubeconfig(KubeconfigSettings { variable, context })),
            (None, None, None) => Err("set one of `eks`, `server` and `kubeconfig`".into()),
            _ => Err("only one of `eks`, `server` and `kubeconfig` can be set".into()),
        }
    }
}

/// The kind of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
}

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// As in `workload` of the deploy file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
        }
    }

    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// Its resource in paths of the API.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    /// The resource that keeps its earlier templates.
    pub fn revision_resource(self) -> &'static str {
        match self {
            Self::Deployment => "replicasets",
            Self::StatefulSet | Self::DaemonSet => "controllerrevisions",
        }
    }
}

/// A workload: its kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct WorkloadName {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

impl TryFrom<String> for WorkloadName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kinds = "`deployment/NAME`, `statefulset/NAME` or `daemonset/NAME`";
        let (kind, name) = text.split_once('/').ok_or_else(|| format!("`{text}` is not {kinds}"))?;
        let found = WorkloadKind::ALL.into_iter().find(|known| known.key() == kind.to_ascii_lowercase());
        let kind = found.ok_or_else(|| match kind.to_ascii_lowercase().as_str() {
            "rollout" => {
                "a Rollout of Argo Rollouts is not supported here: use the target `argocd`".to_owned()
            }
            "cronjob" | "job" => format!("a {kind} has no rollout to watch: a workload is {kinds}"),
            _ => format!("`{kind}` is no kind of workload: it is {kinds}"),
        })?;
        check_object_name(name)?;
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl std::fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.key(), self.name)
    }
}

/// Seconds of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
#[schemars(with = "u64")]
pub struct DeadlineSeconds(pub u64);

impl TryFrom<u64> for DeadlineSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        let fits = (10..=86_400).contains(&seconds);
        fits.then_some(Self(seconds)).ok_or_else(|| format!("{seconds} is not from 10 to 86400 seconds"))
    }
}

parsed_string!(
    /// A name in Kubernetes (RFC 1123).
    ObjectName, check_object_name
);
parsed_string!(
    /// The name of a container (RFC 1123, a label).
    ContainerName, check_container_name
);
parsed_string!(
    /// The name of a cluster of EKS.
    ClusterName, check_cluster_name
);
parsed_string!(
    /// The audience of a token.
    Audience, check_audience
);
parsed_string!(
    /// The URL of an API server, which gets a token: `https://`, or `http://` to this machine.
    ApiServer, check_server
);
parsed_string!(
    /// Certificates as PEM, or base64 of them.
    AuthorityText, check_authority
);

fn is_dns_name(text: &str, more: &[u8]) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b);
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.bytes().all(known) && text.starts_with(ends) && text.ends_with(ends)
}

fn check_object_name(text: &str) -> Result<(), String> {
    let wrong = || format!("`{text}` is not a name in Kubernetes (lowercase letters, digits, `-` and `.`)");
    (text.len() <= 253 && is_dns_name(text, b"-.")).then_some(()).ok_or_else(wrong)
}

fn check_container_name(text: &str) -> Result<(), String> {
    let wrong = || format!("`{text}` is not the name of a container (lowercase letters, digits and `-`)");
    (text.len() <= 63 && is_dns_name(text, b"-")).then_some(()).ok_or_else(wrong)
}

fn check_cluster_name(text: &str) -> Result<(), String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let is_name = (1..=100).contains(&text.len()) && text.bytes().all(known);
    is_name.then_some(()).ok_or_else(|| format!("`{text}` is not the name of a cluster of EKS"))
}

fn check_audience(text: &str) -> Result<(), String> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(()).ok_or_else(|| format!("`{text}` is not the audience of a token"))
}

fn check_server(text: &str) -> Result<(), String> {
    Address::try_from(text.to_owned())?;
    let refused = || format!("`{text}` gets a token, so it must begin with `https://`");
    may_receive_credentials(text).then_some(()).ok_or_else(refused)
}

fn check_authority(text: &str) -> Result<(), String> {
    super::access::authority_pem(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &str) -> Result<Settings, String> {
        serde_json::from_str(block).map_err(|error| error.to_string())
    }

    fn cluster(block: &str) -> Result<ClusterSettings, String> {
        read(&format!(r#"{{"cluster":{block},"workload":"deployment/api"}}"#))
            .map(|settings| settings.cluster)
    }

    #[test]
    fn minimal_settings_are_a_cluster_and_a_workload() {
        let settings = read(r#"{"cluster":{"eks":"acme"},"workload":"deployment/api"}"#).unwrap();
        assert_eq!(settings.namespace.as_str(), "default");
        assert_eq!(settings.workload.to_string(), "deployment/api");
        assert_eq!(settings.workload.kind, WorkloadKind::Deployment);
    }

    #[test]
    fn wrong_settings_are_explained_in_one_sentence() {
        let table = [
            (r#"{}"#, "set one of `eks`, `server` and `kubeconfig`"),
            (r#"{"eks":"a","server":"https://x"}"#, "only one of `eks`, `server` and `kubeconfig`"),
            (r#"{"server":"https://x"}"#, "`server` needs `token`"),
            (r#"{"server":"https://x","token":"T","oidc":"a"}"#, "only one of `token` and `oidc`"),
            (r#"{"server":"https://x","oidc":"a b"}"#, "is not the audience of a token"),
            (r#"{"eks":"a","oidc":"a"}"#, "`oidc` is set, and it belongs to `server`"),
            (r#"{"server":"http://x.example","token":"T"}"#, "must begin with `https://`"),
            (r#"{"eks":"a","token":"T"}"#, "`token` is set, and it belongs to `server`"),
            (r#"{"eks":"a","context":"c"}"#, "`context` is set, and it belongs to `kubeconfig`"),
            (r#"{"server":"https://x","token":"T","ca":"x"}"#, "neither a certificate"),
            (r#"{"eks":"a b"}"#, "is not the name of a cluster of EKS"),
        ];
        for (block, expected) in table {
            let error = cluster(block).unwrap_err();
            assert!(error.contains(expected), "{block}: {error}");
        }
        let traffic = |block: &str| {
            let text =
                format!(r#"{{"cluster":{{"eks":"a"}},"workload":"deployment/api","traffic":{block}}}"#);
            read(&text).unwrap_err()
        };
        assert!(traffic(r#"{"app-mesh":"x"}"#).contains("AWS App Mesh ended on 2026-09-30: use `httproute`"));
        assert!(traffic(r#"{"smi":{}}"#).contains("was archived in 2023"));
        assert!(traffic("{}").contains("`traffic` needs `httproute`"));
        let workload = |text: &str| WorkloadName::try_from(text.to_owned()).unwrap_err();
        assert!(workload("api").contains("is not `deployment/NAME`"));
        assert!(workload("pod/api").contains("`pod` is no kind of workload"));
        assert!(workload("rollout/api").contains("use the target `argocd`"));
        assert!(workload("deployment/A").contains("is not a name in Kubernetes"));
    }
}
