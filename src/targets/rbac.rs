//! The smallest Roles of Kubernetes for the services of an environment, merged from what each service's kind must be allowed in
//! its cluster. Pure.

use std::collections::BTreeMap;

use super::policy::PolicyUse;

/// The name of the Role, of its binding, and of the group or ServiceAccount that gets it.
const ROLE_NAME: &str = "roadstead";

/// A cluster with access control of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RbacCluster {
    /// Its name in sentences.
    pub title: String,
    /// Who the run is in it.
    pub subject: RbacSubject,
}

/// Who a run is in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RbacSubject {
    /// A member of a group, by an access entry of the EKS cluster of this name.
    EksGroup(String),
    /// A member of a group, by a claim in GitHub's token.
    OidcGroup,
    /// A ServiceAccount, whose token the run gets.
    ServiceAccount,
}

/// A right in a namespace of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RbacRule {
    /// The cluster.
    pub cluster: RbacCluster,
    /// The namespace.
    pub namespace: String,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource, with its subresource.
    pub resource: String,
    /// The object; `None` for all.
    pub name: Option<String>,
    /// Such as `patch`.
    pub verb: &'static str,
    /// What is left out without it; `None` where a run needs it.
    pub optional: Option<&'static str>,
}

/// What the verbs of one line of a Role are about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RoleLine {
    group: &'static str,
    resource: String,
    verbs: Vec<&'static str>,
    names: Vec<String>,
    optional: Option<&'static str>,
}

/// The Roles and RoleBindings of these rules as YAML for `kubectl apply`, and `None` where there are no rules. `principal` is the
/// ARN of the role of the run.
pub fn roles_yaml(rules: &[RbacRule], principal: &str, policy_use: PolicyUse) -> Option<String> {
    let mut places: BTreeMap<(&RbacCluster, &str), Vec<&RbacRule>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| policy_use == PolicyUse::Deploy || is_read(rule.verb)) {
        places.entry((&rule.cluster, &rule.namespace)).or_default().push(rule);
    }
    let known: Vec<(&RbacCluster, &str)> = places.keys().copied().collect();
    let documents = places.iter().map(|((cluster, namespace), rules)| {
        let role = role_yaml(namespace, &role_lines(rules));
        let binding = binding_yaml(cluster, namespace, account_namespace(&known, cluster));
        format!("{}{role}{binding}", access_comment(cluster, principal))
    });
    let all: Vec<String> = documents.collect();
    (!all.is_empty()).then(|| all.join("---\n"))
}

/// The namespace of the ServiceAccount of a cluster: a run has one token, whatever namespaces it works in.
fn account_namespace<'n>(known: &[(&RbacCluster, &'n str)], cluster: &RbacCluster) -> &'n str {
    known.iter().find(|(one, _)| *one == cluster).map_or("", |(_, namespace)| *namespace)
}

fn is_read(verb: &str) -> bool {
    matches!(verb, "get" | "list")
}

/// One line for each resource and object; objects with the same verbs share one.
fn role_lines(rules: &[&RbacRule]) -> Vec<RoleLine> {
    let mut lines: Vec<RoleLine> = Vec::new();
    for rule in rules {
        let names: Vec<String> = rule.name.clone().into_iter().collect();
        let same = |line: &&mut RoleLine| {
            line.group == rule.group && line.resource == rule.resource && line.names == names
        };
        match lines.iter_mut().find(|line| same(line) && (line.optional == rule.optional)) {
            Some(line) if line.verbs.contains(&rule.verb) => {}
            Some(line) => line.verbs.push(rule.verb),
            None => lines.push(RoleLine {
                group: rule.group,
                resource: rule.resource.clone(),
                verbs: vec![rule.verb],
                names,
                optional: rule.optional,
            }),
        }
    }
    let mut merged: Vec<RoleLine> = Vec::new();
    for line in lines {
        let same = |other: &&mut RoleLine| {
            (other.group, &other.resource, &other.verbs, other.optional)
                == (line.group, &line.resource, &line.verbs, line.optional)
                && other.names.is_empty() == line.names.is_empty()
        };
        match merged.iter_mut().find(same) {
            Some(other) => other.names.extend(line.names),
            None => merged.push(line),
        }
    }
    merged
}

fn role_yaml(namespace: &str, lines: &[RoleLine]) -> String {
    let rules: String = lines.iter().map(line_yaml).collect();
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{ name: {ROLE_NAME}, namespace: {} }}\nrules:\n{rules}",
        quoted(namespace)
    )
}

fn line_yaml(line: &RoleLine) -> String {
    let RoleLine { group, resource, verbs, names, optional } = line;
    let group = if group.is_empty() { "\"\"" } else { group };
    let named: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let named = match named.is_empty() {
        true => String::new(),
        false => format!("resourceNames: [{}], ", named.join(", ")),
    };
    let comment = optional.map(|what| format!("  # optional: without it, {what}")).unwrap_or_default();
    format!(
        "  - {{ apiGroups: [{group}], resources: [{resource}], {named}verbs: [{}] }}{comment}\n",
        verbs.join(", ")
    )
}

fn binding_yaml(cluster: &RbacCluster, namespace: &str, account_namespace: &str) -> String {
    let subject = match cluster.subject {
        RbacSubject::EksGroup(_) | RbacSubject::OidcGroup => {
            format!("{{ kind: Group, name: {ROLE_NAME}, apiGroup: rbac.authorization.k8s.io }}")
        }
        RbacSubject::ServiceAccount => {
            format!("{{ kind: ServiceAccount, name: {ROLE_NAME}, namespace: {} }}", quoted(account_namespace))
        }
    };
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{ name: {ROLE_NAME}, namespace: {} }}\n\
         roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: {ROLE_NAME} }}\nsubjects: [ {subject} ]\n",
        quoted(namespace)
    )
}

/// How the run becomes the subject of the binding.
fn access_comment(cluster: &RbacCluster, principal: &str) -> String {
    let title = &cluster.title;
    match &cluster.subject {
        RbacSubject::EksGroup(name) => format!(
            "# For {title}. An access entry gives the role of the run the group `{ROLE_NAME}`:\n\
             # aws eks create-access-entry --cluster-name {name} --principal-arn {principal} --kubernetes-groups {ROLE_NAME}\n"
        ),
        RbacSubject::OidcGroup => {
            format!(
                "# For {title}, whose authentication configuration gives GitHub's token the group `{ROLE_NAME}`.\n"
            )
        }
        RbacSubject::ServiceAccount => {
            format!("# For {title}, whose token is one of the ServiceAccount `{ROLE_NAME}`.\n")
        }
    }
}

/// A name that YAML would read as something else is quoted.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&name);
    let is_safe = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_plain && is_safe { name.to_owned() } else { format!("\"{name}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(resource: &str, name: Option<&str>, verb: &'static str) -> RbacRule {
        RbacRule {
            cluster: RbacCluster {
                title: "the EKS cluster `acme`".into(),
                subject: RbacSubject::EksGroup("acme".into()),
            },
            namespace: "shop".into(),
            group: "apps",
            resource: resource.into(),
            name: name.map(str::to_owned),
            verb,
            optional: None,
        }
    }

    fn rule_lines(rules: &[RbacRule], policy_use: PolicyUse) -> Vec<String> {
        let text = roles_yaml(rules, "arn", policy_use).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("  - ")).map(str::to_owned).collect()
    }

    #[test]
    fn objects_with_the_same_verbs_share_a_line() {
        let of = |name: &str| ["get", "patch"].map(|verb| rule("deployments", Some(name), verb));
        let rules = [of("api").to_vec(), of("on").to_vec(), vec![rule("replicasets", None, "list")]].concat();
        let named = "  - { apiGroups: [apps], resources: [deployments], resourceNames: [api, \"on\"], verbs: [get, patch] }";
        let all = "  - { apiGroups: [apps], resources: [replicasets], verbs: [list] }";
        assert_eq!(rule_lines(&rules, PolicyUse::Deploy), [named, all]);
        let read = named.replace(", patch", "");
        assert_eq!(rule_lines(&rules, PolicyUse::ReadOnly), [read.as_str(), all]);
    }

    #[test]
    fn each_namespace_of_each_cluster_has_its_own_role() {
        let other = RbacRule { namespace: "123".into(), ..rule("deployments", Some("api"), "get") };
        let cluster =
            RbacCluster { title: "the cluster of `KUBECONFIG`".into(), subject: RbacSubject::ServiceAccount };
        let far = RbacRule { cluster, ..other.clone() };
        let rules = [rule("deployments", Some("api"), "get"), other, far];
        let text = roles_yaml(&rules, "arn", PolicyUse::Deploy).unwrap();
        assert_eq!(text.matches("kind: Role\n").count(), 3, "{text}");
        assert_eq!(text.matches("namespace: \"123\"").count(), 5, "{text}");
        assert!(text.contains("--principal-arn arn --kubernetes-groups roadstead"), "{text}");
        assert_eq!(roles_yaml(&[], "arn", PolicyUse::Deploy), None);
    }

    #[test]
    fn namespaces_of_one_token_share_its_service_account() {
        let cluster =
            RbacCluster { title: "the cluster of `KUBECONFIG`".into(), subject: RbacSubject::ServiceAccount };
        let first = RbacRule { cluster, ..rule("deployments", Some("api"), "get") };
        let second = RbacRule { namespace: "web".into(), ..first.clone() };
        let text = roles_yaml(&[second, first], "arn", PolicyUse::Deploy).unwrap();
        let subject = "{ kind: ServiceAccount, name: roadstead, namespace: shop }";
        assert_eq!(text.matches(subject).count(), 2, "{text}");
    }
}
