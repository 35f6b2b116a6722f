//! What the role of a run needs of AWS for a workload: reading the EKS cluster, and pushing the image to ECR. What it needs in the
//! cluster is a Role of Kubernetes (docs/targets/kubernetes.md). Pure.

use super::settings::{ClusterSettings, Settings};
use crate::targets::Spec;
use crate::targets::policy::{Permission, PolicyScope, StatementId, push_permissions};

/// The statement about the cluster.
const CLUSTER: StatementId = StatementId { rank: 1, sid: "KubernetesCluster" };

/// The permissions of a service.
pub fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
    let repository = spec.service.config.ecr_repository();
    let mut all = repository.map(|name| push_permissions(name, scope)).unwrap_or_default();
    if let ClusterSettings::Eks(name) = &spec.settings.cluster {
        let arn = scope.arn("eks", &format!("cluster/{}", name.as_str()));
        all.push(Permission::new(CLUSTER, "eks:DescribeCluster", vec![arn]));
    }
    all
}
