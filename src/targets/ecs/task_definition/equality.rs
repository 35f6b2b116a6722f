//! Whether two definitions are the same to AWS: compared in their normal form. Pure.

use serde_json::{Map, Value};

use super::definition::containers;
use super::normal_form::normalized;
use super::schema::{FieldType, Fields, TASK_DEFINITION};

/// The running and the wanted definition, without what is no difference between them.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedDefinitions {
    /// As AWS describes it.
    pub running: Value,
    /// As it is to be registered.
    pub wanted: Value,
}

impl ComparedDefinitions {
    /// The normal forms of both. AWS drops keys that it does not know and may add new ones, so keys that are not known
    /// here count only where both have them. Tags that the wanted definition does not set are ignored.
    pub fn new(running: &Value, wanted: &Value) -> Self {
        let (mut running, mut wanted) = (normalized(running), normalized(wanted));
        if let (Value::Object(running), Value::Object(wanted)) = (&mut running, &mut wanted) {
            ignore_other_tags(running, wanted);
            drop_one_sided(running, wanted, TASK_DEFINITION);
            for role in ["taskRoleArn", "executionRoleArn"] {
                unify_role(running, wanted, role);
            }
        }
        Self { running, wanted }
    }

    /// Whether they are the same to AWS.
    pub fn are_equal(&self) -> bool {
        equals_ignoring_key_order(&self.running, &self.wanted)
    }
}

/// Whether `running`, as AWS describes it, equals the registered `wanted`.
pub fn is_equal(running: &Value, wanted: &Value) -> bool {
    ComparedDefinitions::new(running, wanted).are_equal()
}

/// Equal but for the order of keys (serde_json keeps it, so that requests have the user's order).
pub fn equals_ignoring_key_order(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| equals_ignoring_key_order(v, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equals_ignoring_key_order(a, b))
        }
        (a, b) => a == b,
    }
}

type Members = Map<String, Value>;

fn ignore_other_tags(running: &mut Members, wanted: &mut Members) {
    if !wanted.contains_key("tags") {
        running.remove("tags");
    }
    for members in [running, wanted] {
        let Some(Value::Array(tags)) = members.get_mut("tags") else { continue };
        tags.retain(|tag| !tag["key"].as_str().is_some_and(|key| key.starts_with("aws:")));
        tags.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    }
}

/// Removes keys that are not in `fields` and that only one of the two has.
fn drop_one_sided(running: &mut Members, wanted: &mut Members, fields: Fields) {
    let known = |key: &String| fields.iter().any(|(name, _)| name == key);
    running.retain(|key, _| known(key) || wanted.contains_key(key));
    wanted.retain(|key, _| known(key) || running.contains_key(key));
    for (key, kind) in fields {
        if let (Some(running), Some(wanted)) = (running.get_mut(*key), wanted.get_mut(*key)) {
            drop_one_sided_below(running, wanted, *kind);
        }
    }
}

fn drop_one_sided_below(running: &mut Value, wanted: &mut Value, kind: FieldType) {
    match (kind, running, wanted) {
        (FieldType::Object(fields), Value::Object(running), Value::Object(wanted)) => {
            drop_one_sided(running, wanted, fields);
        }
        (FieldType::List(inner), Value::Array(running), Value::Array(wanted)) => {
            for (running, wanted) in running.iter_mut().zip(wanted) {
                drop_one_sided_below(running, wanted, *inner);
            }
        }
        _ => {}
    }
}

/// The name of a role stands for its ARN.
fn unify_role(running: &mut Members, wanted: &mut Members, role: &str) {
    let text = |members: &Members| members.get(role).and_then(Value::as_str).map(str::to_owned);
    let (Some(arn), Some(name)) = (text(running), text(wanted)) else { return };
    if !name.starts_with("arn:") && arn.starts_with("arn:") && arn.ends_with(&format!("role/{name}")) {
        wanted.insert(role.into(), Value::String(arn));
    }
}

/// The names of the containers of both, each once.
pub fn container_names(compared: &ComparedDefinitions) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for container in containers(&compared.wanted).iter().chain(containers(&compared.running)) {
        let name = container["name"].as_str().unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::diff::{DiffScope, diff};
    use super::*;
    use crate::release::Changes;

    fn changes(running: &Value, wanted: &Value) -> Changes {
        diff(running, wanted, DiffScope { container: "a", shown_env: &[] })
    }

    #[test]
    fn is_equal_ignores_what_aws_adds() {
        let wanted = json!({"family":"f","networkMode":"awsvpc","cpu":".25 vCPU","memory":"1 GB","containerDefinitions":[
            {"name":"a","image":"i","portMappings":[{"containerPort":80}],"healthCheck":{"command":["CMD","x"]},
             "environment":[{"name":"B","value":""},{"name":"A","value":"1"}]}],"volumes":[{"name":"v"}]});
        let running = json!({"taskDefinitionArn":"arn","family":"f","revision":2,"status":"ACTIVE","compatibilities":["EC2"],
            "registeredAt":1.5,"registeredBy":"me","requiresAttributes":[{"name":"x"}],"tags":[{"key":"k","value":"v"}],
            "networkMode":"awsvpc","cpu":"256","memory":"1024","placementConstraints":[],"volumes":[{"name":"v","host":{}}],
            "containerDefinitions":[{"name":"a","image":"i","cpu":0,"essential":true,"mountPoints":[],"volumesFrom":[],
              "systemControls":[],"portMappings":[{"containerPort":80,"hostPort":80,"protocol":"tcp"}],
              "healthCheck":{"command":["CMD","x"],"interval":30,"timeout":5,"retries":3},
              "environment":[{"name":"A","value":"1"},{"name":"B","value":""}]}]});
        assert!(is_equal(&running, &wanted));
        let mut other = wanted.clone();
        other["containerDefinitions"][0]["environment"][0]["value"] = json!("x");
        assert!(!is_equal(&running, &other));
    }

    fn small_definition() -> Value {
        json!({"family":"f","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512",
            "containerDefinitions":[{"name":"a","image":"i"}]})
    }

    /// The small definition with a member set in its only container, or (with a leading `/`) in the task.
    fn with_member(member: &str, value: Value) -> Value {
        let mut definition = small_definition();
        match member.strip_prefix('/') {
            Some(member) => definition[member] = value,
            None => definition["containerDefinitions"][0][member] = value,
        }
        definition
    }

    /// What the file says and what AWS answers, member by member; the source is in the comment.
    #[test]
    fn what_aws_fills_in_is_no_change() {
        let efs = |answered: Value| json!([{"name":"d","host":null,"efsVolumeConfiguration":answered}]);
        let table = [
            // Public reports: the user of a FireLens router, the root directory of EFS.
            ("firelensConfiguration", json!({"type":"fluentbit"}), json!({"type":"fluentbit","options":{}})),
            (
                "/volumes",
                efs(json!({"fileSystemId":"fs-1"})),
                efs(json!({"fileSystemId":"fs-1","rootDirectory":"/"})),
            ),
            // API reference: defaults of members.
            (
                "/volumes",
                efs(json!({"fileSystemId":"fs-1","authorizationConfig":{"accessPointId":"p"}})),
                efs(json!({"fileSystemId":"fs-1","transitEncryption":"DISABLED",
                    "authorizationConfig":{"accessPointId":"p","iam":"DISABLED"}})),
            ),
            (
                "/volumes",
                json!([{"name":"b"},{"name":"a"}]),
                json!([{"name":"a","host":{}},{"name":"b","host":{}}]),
            ),
            ("/volumes", json!([{"name":"a","host":{"sourcePath":""}}]), json!([{"name":"a","host":{}}])),
            (
                "/volumes",
                json!([{"name":"a","dockerVolumeConfiguration":{"labels":{"a":"b"}}}]),
                json!([{"name":"a","dockerVolumeConfiguration":{"labels":{"a":"b"},"scope":"task","driver":"local"}}]),
            ),
            ("mountPoints", json!([{"sourceVolume":"d"}]), json!([{"sourceVolume":"d","readOnly":false}])),
            (
                "volumesFrom",
                json!([{"sourceContainer":"b"}]),
                json!([{"sourceContainer":"b","readOnly":false}]),
            ),
            ("essential", json!(null), json!(true)),
            ("cpu", json!(null), json!(0)),
            ("privileged", json!(null), json!(false)),
            ("versionConsistency", json!(null), json!("enabled")),
            ("linuxParameters", json!({}), json!({"initProcessEnabled":false})),
            ("restartPolicy", json!({"enabled":true}), json!({"enabled":true,"restartAttemptPeriod":300})),
            (
                "healthCheck",
                json!({"command":["CMD","x"]}),
                json!({"command":["CMD","x"],"interval":30,"timeout":5,"retries":3,"startPeriod":0}),
            ),
            (
                "portMappings",
                json!([{"containerPort":443,"protocol":"TCP"},{"containerPort":80}]),
                json!([{"containerPort":80,"hostPort":80,"protocol":"tcp"},
                    {"containerPort":443,"hostPort":443,"protocol":"tcp"}]),
            ),
            ("/enableFaultInjection", json!(null), json!(false)),
            (
                "/runtimePlatform",
                json!(null),
                json!({"cpuArchitecture":"X86_64","operatingSystemFamily":"LINUX"}),
            ),
            (
                "/runtimePlatform",
                json!({"cpuArchitecture":"ARM64"}),
                json!({"cpuArchitecture":"ARM64","operatingSystemFamily":"LINUX"}),
            ),
            ("/cpu", json!(".25 vCPU"), json!("256")),
            ("/memory", json!("0.5 GB"), json!("512")),
            ("/taskRoleArn", json!("task"), json!("arn:aws:iam::111111111111:role/task")),
            (
                "/tags",
                json!([{"key":"a","value":"1"}]),
                json!([{"key":"aws:x","value":"y"},{"key":"a","value":"1"}]),
            ),
            // Sets, and numbers as strings.
            ("/requiresCompatibilities", json!(["FARGATE", "EC2"]), json!(["EC2", "FARGATE"])),
            (
                "secrets",
                json!([{"name":"B","valueFrom":"b"},{"name":"A","valueFrom":"a"}]),
                json!([{"name":"A","valueFrom":"a"},{"name":"B","valueFrom":"b"}]),
            ),
            (
                "environment",
                json!([{"name":"A","value":"1"},{"name":"A","value":"2"}]),
                json!([{"name":"A","value":"2"}]),
            ),
            (
                "ulimits",
                json!([{"name":"nproc","softLimit":1,"hardLimit":2.0},{"name":"core","softLimit":1,"hardLimit":1}]),
                json!([{"name":"core","softLimit":1,"hardLimit":1},{"name":"nproc","softLimit":1,"hardLimit":2}]),
            ),
            ("dockerLabels", json!({"a":1}), json!({"a":"1"})),
            ("dependsOn", json!([]), json!(null)),
            // Keys that AWS drops, and keys that AWS has and this list does not.
            ("/$schema", json!("https://example.com/schema.json"), json!(null)),
            ("_comment", json!("why"), json!(null)),
            ("newKey", json!(null), json!({"a":1})),
        ];
        for (member, written, answered) in table {
            let (mut running, wanted) = (with_member(member, answered), with_member(member, written));
            if member == "firelensConfiguration" {
                running["containerDefinitions"][0]["user"] = json!("0");
            }
            assert!(is_equal(&running, &wanted), "{:#?}", ComparedDefinitions::new(&running, &wanted));
            assert!(changes(&running, &wanted).is_empty(), "{member}");
        }
    }

    #[test]
    fn what_somebody_changed_is_a_change() {
        let table = [
            ("environment", json!([{"name":"A","value":""}]), json!([])),
            ("environment", json!([{"name":"A","value":"1"}]), json!([{"name":"A","value":"2"}])),
            ("essential", json!(false), json!(true)),
            ("privileged", json!(true), json!(null)),
            ("command", json!(["a", "b"]), json!(["b", "a"])),
            ("environmentFiles", json!([{"value":"a"},{"value":"b"}]), json!([{"value":"b"},{"value":"a"}])),
            ("user", json!("0"), json!(null)),
            ("portMappings", json!([{"containerPort":53,"protocol":"udp"}]), json!([{"containerPort":53}])),
            ("restartPolicy", json!({"enabled":true,"restartAttemptPeriod":60}), json!({"enabled":true})),
            ("dockerLabels", json!({"privileged":"false"}), json!(null)),
            ("newKey", json!(1), json!(2)),
            ("/volumes", json!([{"name":"a"}]), json!([{"name":"a","host":{"sourcePath":"/a"}}])),
            ("/runtimePlatform", json!({"cpuArchitecture":"ARM64"}), json!(null)),
            ("/taskRoleArn", json!("task"), json!("arn:aws:iam::111111111111:role/other")),
            ("/tags", json!([{"key":"a","value":"1"}]), json!([{"key":"a","value":"2"}])),
            ("/cpu", json!("512"), json!("256")),
        ];
        for (member, written, running) in table {
            let (running, wanted) = (with_member(member, running), with_member(member, written));
            assert!(!is_equal(&running, &wanted), "{member}: {wanted}");
            assert!(!changes(&running, &wanted).is_empty(), "{member}");
        }
    }
}
