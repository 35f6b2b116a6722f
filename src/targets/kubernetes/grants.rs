//! What the role of a run needs of AWS for a workload: reading the EKS cluster, and pushing the image to ECR. And what it needs in the
//! cluster: one table for access reviews, the Role that is printed, and the page. Pure.

use std::collections::BTreeSet;

use super::client::AccessRight;
use super::route::backends::RouteNames;
use super::settings::{ClusterSettings, ServerSettings, Settings, TokenSetting, WorkloadKind, WorkloadName};
use crate::release::ecr_repository;
use crate::targets::Spec;
use crate::targets::policy::{Permission, PolicyScope, StatementId, push_permissions};
use crate::targets::rbac::{RbacCluster, RbacRule, RbacSubject};

/// The statement about the cluster.
const CLUSTER: StatementId = StatementId { rank: 1, sid: "KubernetesCluster" };

/// The permissions of a service.
pub fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
    let own = spec.service.config.ecr_repository();
    let further = spec.settings.images.values().filter_map(|one| ecr_repository(one.repository.as_deref()?));
    let repositories: BTreeSet<&str> = own.into_iter().chain(further).collect();
    let mut all: Vec<Permission> =
        repositories.into_iter().flat_map(|name| push_permissions(name, scope)).collect();
    if let ClusterSettings::Eks(name) = &spec.settings.cluster {
        let arn = scope.arn("eks", &format!("cluster/{}", name.as_str()));
        all.push(Permission::new(CLUSTER, "eks:DescribeCluster", vec![arn]));
    }
    all
}

/// The rights that a run needs, and whether it can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededRight<'r> {
    /// The right.
    pub right: AccessRight<'r>,
    /// Whether only something is left out without it; that.
    pub optional: Option<&'static str>,
}

/// The rights for a workload, and for a command before it.
pub fn needed_rights<'r>(
    name: &'r WorkloadName,
    has_command: bool,
    route: Option<&'r RouteNames>,
) -> Vec<NeededRight<'r>> {
    let (resource, own) = (name.kind.resource(), name.name.as_str());
    let right =
        |verb, group, resource, subresource, name| AccessRight { verb, group, resource, subresource, name };
    let must = |right| NeededRight { right, optional: None };
    let may = |right, what| NeededRight { right, optional: Some(what) };
    let mut all = vec![
        must(right("get", "apps", resource, "", own)),
        must(right("patch", "apps", resource, "", own)),
        must(right("list", "apps", name.kind.revision_resource(), "", "")),
        must(right("list", "", "pods", "", "")),
        may(right("get", "", "pods", "log", ""), "the log lines of a container that fails are not shown"),
        may(right("list", "", "events", "", ""), "a cause that only events name is not shown"),
        may(right("list", "", "resourcequotas", "", ""), "a quota without room is found by the rollout only"),
    ];
    if name.kind == WorkloadKind::StatefulSet {
        let what = "a pod that is stuck keeps a rollback from ending until a person deletes it";
        all.push(may(right("delete", "", "pods", "", ""), what));
    }
    if has_command {
        let verbs = ["create", "get", "list", "delete"];
        all.extend(verbs.map(|verb| must(right(verb, "batch", "jobs", "", ""))));
    }
    all.extend(route.into_iter().flat_map(route_rights));
    all
}

/// The rights for a canary behind a route. A right to create cannot be limited to a name.
fn route_rights(names: &RouteNames) -> Vec<NeededRight<'_>> {
    let RouteNames { route, stable, canary } = names;
    let right = |verb, group, resource, name| NeededRight {
        right: AccessRight { verb, group, resource, subresource: "", name },
        optional: None,
    };
    let gateway = "gateway.networking.k8s.io";
    let mut all = vec![
        right("get", gateway, "httproutes", route.as_str()),
        right("patch", gateway, "httproutes", route.as_str()),
        right("get", "", "services", stable.as_str()),
        right("list", "discovery.k8s.io", "endpointslices", ""),
        right("create", "apps", "deployments", ""),
        right("create", "", "services", ""),
    ];
    all.extend(["get", "patch", "delete"].map(|verb| right(verb, "apps", "deployments", canary.as_str())));
    all.extend(["get", "delete"].map(|verb| right(verb, "", "services", canary.as_str())));
    all
}

/// The rules of the Role that a service needs.
pub fn rbac_rules(spec: &Spec<'_, Settings>) -> Vec<RbacRule> {
    let settings = spec.settings;
    let subject = match &settings.cluster {
        ClusterSettings::Eks(name) => RbacSubject::EksGroup(name.as_str().to_owned()),
        ClusterSettings::Server(ServerSettings { token: TokenSetting::Oidc(_), .. }) => {
            RbacSubject::OidcGroup
        }
        ClusterSettings::Server(_) | ClusterSettings::Kubeconfig(_) => RbacSubject::ServiceAccount,
    };
    let cluster = RbacCluster { title: settings.cluster.title(), subject };
    let rule = |needed: NeededRight<'_>| {
        let AccessRight { verb, group, resource, subresource, name } = needed.right;
        let sub = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        RbacRule {
            cluster: cluster.clone(),
            namespace: settings.namespace.as_str().to_owned(),
            group,
            resource: format!("{resource}{sub}"),
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            verb,
            optional: needed.optional,
        }
    };
    let has_command = spec.service.config.before.is_some();
    let route = settings.route_names();
    needed_rights(&settings.workload, has_command, route.as_ref()).into_iter().map(rule).collect()
}
