//! The changes of a definition, field by field, as a plan shows them. Pure. Values are shown of fields that hold no
//! secrets, and of the variables that the deploy file lists in `show-env`; of everything else only the names.

use serde_json::{Map, Value};

use super::equality::{ComparedDefinitions, container_names, equals_ignoring_key_order};
use crate::release::{Change, Changes, HiddenChange};

/// Fields whose values are shown: what runs where, with which resources. Every other field may contain a secret, such as
/// `command`, labels and options of log drivers; AWS adds fields, so those that are not known are hidden too.
const SHOWN_FIELDS: [&str; 48] = [
    "awslogs-group",
    "awslogs-region",
    "awslogs-stream-prefix",
    "cpu",
    "cpuArchitecture",
    "dependsOn",
    "disableNetworking",
    "enableFaultInjection",
    "environmentFiles",
    "ephemeralStorage",
    "essential",
    "executionRoleArn",
    "family",
    "hostname",
    "image",
    "initProcessEnabled",
    "interactive",
    "interval",
    "ipcMode",
    "links",
    "linuxParameters",
    "logDriver",
    "memory",
    "memoryReservation",
    "mountPoints",
    "name",
    "networkMode",
    "operatingSystemFamily",
    "pidMode",
    "placementConstraints",
    "portMappings",
    "privileged",
    "pseudoTerminal",
    "readonlyRootFilesystem",
    "requiresCompatibilities",
    "resourceRequirements",
    "restartPolicy",
    "retries",
    "runtimePlatform",
    "sizeInGiB",
    "startPeriod",
    "startTimeout",
    "stopTimeout",
    "taskRoleArn",
    "timeout",
    "ulimits",
    "versionConsistency",
    "volumesFrom",
];

/// What is shown of two definitions.
#[derive(Debug, Clone, Copy)]
pub struct DiffScope<'s> {
    /// Our container, which is not named in the fields.
    pub container: &'s str,
    /// Names of the environment variables whose values are shown.
    pub shown_env: &'s [String],
}

/// The changes from `running` to `wanted`.
pub fn diff(running: &Value, wanted: &Value, scope: DiffScope<'_>) -> Changes {
    let compared = ComparedDefinitions::new(running, wanted);
    let ComparedDefinitions { running, wanted } = &compared;
    let mut found = Vec::new();
    for name in &container_names(&compared) {
        let containers = [find_container(running, name), find_container(wanted, name)];
        compare_container(name, containers, scope, &mut found);
    }
    let (empty, none) = (Map::new(), Map::new());
    let (from, to) = (running.as_object().unwrap_or(&empty), wanted.as_object().unwrap_or(&none));
    compare_members("", from, to, &["containerDefinitions"], &mut found);
    if found.is_empty() && !compared.are_equal() {
        found.push(Change::shown("order of containers", None, None));
    }
    Changes(found)
}

fn find_container<'a>(definition: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    let same = |container: &&Value| container["name"] == name;
    super::definition::containers(definition).iter().find(same).and_then(Value::as_object)
}

type JsonObject<'a> = Option<&'a Map<String, Value>>;

fn compare_container(
    name: &str,
    [from, to]: [JsonObject<'_>; 2],
    scope: DiffScope<'_>,
    found: &mut Vec<Change>,
) {
    let prefix = if name == scope.container { String::new() } else { format!("{name}: ") };
    let (Some(from), Some(to)) = (from, to) else {
        let image =
            |members: JsonObject<'_>| members.map(|m| m.get("image").map(display).unwrap_or_default());
        found.push(Change::shown(format!("{prefix}container"), image(from), image(to)));
        return;
    };
    compare_members(&prefix, from, to, &["environment", "secrets"], found);
    let is_shown = |name: &str| scope.shown_env.iter().any(|shown| shown == name);
    for pair in compare_pairs(from.get("environment"), to.get("environment"), "value") {
        found.push(pair.change(&format!("{prefix}environment"), is_shown(&pair.name)));
    }
    for pair in compare_pairs(from.get("secrets"), to.get("secrets"), "valueFrom") {
        found.push(pair.change(&format!("{prefix}secrets"), false));
    }
}

fn compare_members(
    prefix: &str,
    from: &Map<String, Value>,
    to: &Map<String, Value>,
    except: &[&str],
    found: &mut Vec<Change>,
) {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    for key in to.keys().chain(gone).filter(|key| !except.contains(&key.as_str())) {
        let (before, after) = (from.get(key), to.get(key));
        match (before, after) {
            (Some(a), Some(b)) if equals_ignoring_key_order(a, b) => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                compare_members(&format!("{prefix}{key}."), a, b, &[], found);
            }
            _ => {
                let is_shown = SHOWN_FIELDS.contains(&key.as_str());
                found.push(change(format!("{prefix}{key}"), is_shown, before, after));
            }
        }
    }
}

/// An entry of a list of names and values that differs.
struct ChangedPair {
    name: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl ChangedPair {
    fn change(&self, list: &str, is_shown: bool) -> Change {
        change(format!("{list} {}", self.name), is_shown, self.before.as_ref(), self.after.as_ref())
    }
}

/// The differences of lists of `{name, value}`, whose order has no meaning.
fn compare_pairs(from: Option<&Value>, to: Option<&Value>, value: &str) -> Vec<ChangedPair> {
    let items = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let (from, to) = (items(from), items(to));
    let of = |list: &[Value], name: &Value| {
        list.iter().find(|item| item["name"] == *name).map(|i| i[value].clone())
    };
    let mut names: Vec<&Value> = to.iter().map(|item| &item["name"]).collect();
    names.extend(from.iter().map(|item| &item["name"]).filter(|name| of(&to, name).is_none()));
    let pair = |name: &Value| ChangedPair {
        name: name.as_str().unwrap_or("?").to_owned(),
        before: of(&from, name),
        after: of(&to, name),
    };
    names.into_iter().map(pair).filter(|pair| pair.before != pair.after).collect()
}

fn change(field: String, is_shown: bool, from: Option<&Value>, to: Option<&Value>) -> Change {
    match is_shown {
        true => Change::shown(field, from.map(display), to.map(display)),
        false => Change::hidden(field, HiddenChange::between(from.is_some(), to.is_some())),
    }
}

fn display(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// Whether a name looks like that of a secret.
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["secret", "token", "passw", "key", "credential"].iter().any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(running: &Value, wanted: &Value) -> Vec<String> {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let shown_env = ["FLAG".to_owned(), "NEW".to_owned()];
        let all = diff(running, wanted, DiffScope { container: "app", shown_env: &shown_env }).0;
        let line = |c: &Change| match c.hidden {
            Some(hidden) => format!("{}: {}", c.field, hidden.text()),
            None => format!("{}: {} > {}", c.field, show(&c.from), show(&c.to)),
        };
        all.iter().map(line).collect()
    }

    #[test]
    fn diff_names_fields_and_hides_values() {
        let running = json!({"family":"f","cpu":"256","containerDefinitions":[
            {"name":"app","image":"a","environment":[{"name":"FLAG","value":"1"},{"name":"API_TOKEN","value":"t1"},{"name":"OLD","value":""}],
             "secrets":[{"name":"DB","valueFrom":"arn:1"}],"logConfiguration":{"logDriver":"splunk","options":{"splunk-token":"x","splunk-url":"u"}}},
            {"name":"side","image":"s1"}]});
        let wanted = json!({"family":"f","cpu":"512","containerDefinitions":[
            {"name":"app","image":"b","environment":[{"name":"NEW","value":"n"},{"name":"FLAG","value":"2"},{"name":"API_TOKEN","value":"t2"}],
             "secrets":[{"name":"DB","valueFrom":"arn:2"}],"logConfiguration":{"logDriver":"splunk","options":{"splunk-token":"y","splunk-url":"v"}}},
            {"name":"side","image":"s2"},{"name":"third","image":"x"}]});
        assert_eq!(
            lines(&running, &wanted),
            [
                "image: a > b",
                "logConfiguration.options.splunk-token: changed (value hidden)",
                "logConfiguration.options.splunk-url: changed (value hidden)",
                "environment API_TOKEN: changed (value hidden)",
                "environment FLAG: 1 > 2",
                "environment NEW: - > n",
                "environment OLD: removed (value hidden)",
                "secrets DB: changed (value hidden)",
                "side: image: s1 > s2",
                "third: container: - > x",
                "cpu: 256 > 512",
            ]
        );
    }

    #[test]
    fn diff_ignores_what_aws_adds() {
        let running = json!({"family":"f","revision":1,"status":"ACTIVE","volumes":[],"tags":[{"key":"a","value":"b"}],
            "containerDefinitions":[{"name":"app","image":"a","cpu":0,"essential":true,"environment":[]}]});
        let wanted = json!({"containerDefinitions":[{"image":"a","name":"app"}],"family":"f"});
        assert_eq!(lines(&running, &wanted), Vec::<String>::new());
    }

    #[test]
    fn no_value_is_shown_but_those_of_known_fields() {
        let definition = |value: &str| {
            json!({"family":"f","volumes":[{"name":"v","dockerVolumeConfiguration":{"driverOpts":{"o":value}}}],
                "tags":[{"key":"k","value":value}],"proxyConfiguration":{"properties":[{"name":"n","value":value}]},
                "newOfAws":value,
                "containerDefinitions":[{"name":"app","image":"a","command":["run", value],"entryPoint":[value],
                "environment":[{"name":"DB_PASS","value":value},{"name":"PGPASS","value":value}],
                "dockerLabels":{"auth":value},"healthCheck":{"command":["CMD", value],"interval":5},
                "logConfiguration":{"logDriver":"x","options":{"url":value}},
                "firelensConfiguration":{"options":{"o":value}},"credentialSpecs":[value],
                "repositoryCredentials":{"credentialsParameter":value},"systemControls":[{"namespace":"n","value":value}],
                "extraHosts":[{"hostname":value,"ipAddress":"1.1.1.1"}],"dnsServers":[value]}]})
        };
        let bare = json!({"family":"f","containerDefinitions":[{"name":"app","image":"a"}]});
        for (running, wanted) in [
            (definition("SENTINEL-1"), definition("SENTINEL-2")),
            (bare.clone(), definition("SENTINEL-2")),
            (definition("SENTINEL-1"), bare),
        ] {
            let shown = lines(&running, &wanted);
            assert!(shown.len() > 14 && !shown.concat().contains("SENTINEL"), "{shown:#?}");
            assert!(shown.iter().any(|line| line.starts_with("environment PGPASS: ")), "{shown:#?}");
        }
    }

    #[test]
    fn diff_shows_order_of_containers() {
        let two = |a: &str, b: &str| json!({"containerDefinitions":[{"name":a},{"name":b}]});
        assert_eq!(lines(&two("app", "b"), &two("b", "app")), ["order of containers: - > -"]);
    }
}
