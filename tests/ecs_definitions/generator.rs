//! Task definitions of all shapes that RegisterTaskDefinition takes: launch types, network modes, sidecars, routers,
//! workers, platforms, volumes, nulls, and keys that nobody knows. A seed makes one.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Where the tasks of a definition run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Launch {
    Fargate,
    Instance,
    External,
    Managed,
    Unsaid,
}

/// A definition and what it was made of.
struct Generator {
    rng: Rng,
    launch: Launch,
    network: &'static str,
    is_windows: bool,
    volumes: Vec<String>,
}

/// The definition of a seed. The container that is deployed is `app`.
pub(crate) fn definition(seed: u64) -> Value {
    let mut rng = Rng::with_seed(seed);
    let launches = [Launch::Fargate, Launch::Instance, Launch::External, Launch::Managed, Launch::Unsaid];
    let launch = pick(&mut rng, &launches);
    let network = match launch {
        Launch::Fargate | Launch::Managed => "awsvpc",
        Launch::External => pick(&mut rng, &["bridge", "host", "none", ""]),
        Launch::Instance | Launch::Unsaid => pick(&mut rng, &["bridge", "host", "none", "awsvpc", ""]),
    };
    let is_windows = launch == Launch::Fargate && rng.u8(0..5) == 0;
    Generator { rng, launch, network, is_windows, volumes: Vec::new() }.task()
}

fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(0..all.len())]
}

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

impl Generator {
    fn chance(&mut self, one_in: u8) -> bool {
        self.rng.u8(0..one_in) == 0
    }

    fn task(mut self) -> Value {
        let mut task = Map::new();
        task.insert("family".into(), json!("web"));
        self.add_size(&mut task);
        self.add_platform(&mut task);
        if !self.network.is_empty() {
            task.insert("networkMode".into(), json!(self.network));
        }
        let role = json!("arn:aws:iam::111111111111:role/exec");
        task.insert("executionRoleArn".into(), role);
        let volumes = self.volumes();
        task.insert("volumes".into(), volumes);
        task.insert("containerDefinitions".into(), self.containers());
        self.add_rest(&mut task);
        let mut members: Vec<(String, Value)> = task.into_iter().collect();
        self.rng.shuffle(&mut members);
        members.into_iter().collect()
    }

    fn add_size(&mut self, task: &mut Map<String, Value>) {
        let needed = matches!(self.launch, Launch::Fargate);
        if !needed && self.chance(2) {
            return;
        }
        let sizes = if self.is_windows {
            vec![("1024", "2048"), ("1 vCPU", "4 GB")]
        } else {
            vec![("256", "512"), (".25 vCPU", "0.5GB"), ("1024", "2048"), ("2 vCPU", "4GB")]
        };
        let (cpu, memory) = pick(&mut self.rng, &sizes);
        task.insert("cpu".into(), json!(cpu));
        task.insert("memory".into(), json!(memory));
    }

    fn add_platform(&mut self, task: &mut Map<String, Value>) {
        let launches = match self.launch {
            Launch::Fargate => json!(pick(&mut self.rng, &[&["FARGATE"][..], &["FARGATE", "EC2"]])),
            Launch::Instance => json!(["EC2"]),
            Launch::External => json!(["EXTERNAL"]),
            Launch::Managed => json!(["MANAGED_INSTANCES"]),
            Launch::Unsaid => pick(&mut self.rng, &[json!(null), json!([])].each_ref()).clone(),
        };
        task.insert("requiresCompatibilities".into(), launches);
        if self.is_windows {
            let system = pick(&mut self.rng, &["WINDOWS_SERVER_2022_CORE", "WINDOWS_SERVER_2019_FULL"]);
            task.insert("runtimePlatform".into(), json!({"operatingSystemFamily": system}));
        } else if self.chance(3) {
            let platform = match self.rng.u8(0..3) {
                0 => json!({"cpuArchitecture":"ARM64"}),
                1 => json!({"cpuArchitecture":"X86_64","operatingSystemFamily":"LINUX"}),
                _ => json!(null),
            };
            task.insert("runtimePlatform".into(), platform);
        }
    }

    fn volumes(&mut self) -> Value {
        let count = self.rng.usize(0..4);
        let mut all = Vec::new();
        for index in 0..count {
            let name = format!("{}{index}", pick(&mut self.rng, &["z", "a", "m"]));
            let mut volume = json!({ "name": name });
            match self.rng.u8(0..6) {
                0 if self.mounts_efs() => {
                    volume["efsVolumeConfiguration"] = json!({"fileSystemId":"fs-0123456789abcdef0"});
                }
                1 if self.mounts_efs() => {
                    volume["efsVolumeConfiguration"] = json!({"fileSystemId":"fs-0123456789abcdef0",
                        "transitEncryption":"ENABLED","authorizationConfig":{"accessPointId":"fsap-1","iam":"ENABLED"}});
                }
                2 => volume["host"] = json!({}),
                3 if self.launch == Launch::Instance => volume["host"] = json!({"sourcePath":"/data"}),
                4 if self.launch == Launch::Instance => {
                    volume["dockerVolumeConfiguration"] = json!({"scope":"shared","autoprovision":true});
                }
                5 if index == 0 => volume["configuredAtLaunch"] = json!(true),
                _ => {}
            }
            self.volumes.push(name);
            all.push(volume);
        }
        Value::Array(all)
    }

    /// Developer Guide: EFS volumes are for Linux, and not for external instances.
    fn mounts_efs(&self) -> bool {
        !self.is_windows && self.launch != Launch::External
    }

    fn containers(&mut self) -> Value {
        let others = self.rng.usize(0..5);
        let routes = !self.is_windows && self.chance(4);
        let mut all: Vec<Value> = (0..others).map(|index| self.sidecar(index)).collect();
        let at = self.rng.usize(0..=all.len());
        let mut app = self.container("app", 80);
        let image = self.own_image();
        match image {
            Some(image) => app["image"] = image,
            None => drop(app.as_object_mut().and_then(|members| members.remove("image"))),
        }
        if routes {
            app["logConfiguration"] =
                json!({"logDriver":"awsfirelens","options":{"Name":"datadog"},"secretOptions":[]});
        }
        if others > 0 && self.chance(2) {
            all[0]["essential"] = json!(false);
            app["dependsOn"] = json!([{"containerName":"side0","condition":"COMPLETE"}]);
        }
        all.insert(at, app);
        if routes {
            let mut router = json!({"name":"log_router","image":"public.ecr.aws/aws-observability/aws-for-fluent-bit:stable",
                "memoryReservation":50,"firelensConfiguration":{"type":"fluentbit","options":{"enable-ecs-log-metadata":"true"}}});
            if self.chance(3) {
                router["user"] = json!("0");
            }
            all.insert(0, router);
        }
        Value::Array(all)
    }

    fn sidecar(&mut self, index: usize) -> Value {
        let port = 9000 + index as u16;
        let mut container = self.container(&format!("side{index}"), port);
        let mut images = vec![
            "nginx".to_owned(),
            "ghcr.io/acme/side:1".to_owned(),
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/side:1".to_owned(),
            "222222222222.dkr.ecr.eu-west-1.amazonaws.com/acme/side:v2".to_owned(),
            "222222222222.dkr.ecr.us-east-1.amazonaws.com/side".to_owned(),
        ];
        images.push(format!("222222222222.dkr.ecr.eu-west-1.amazonaws.com/side@{}", digest("b")));
        container["image"] = json!(images[self.rng.usize(0..images.len())]);
        if self.chance(2) {
            container["essential"] = json!(false);
        }
        container
    }

    /// The image of the container that is deployed; `None` leaves the key out.
    fn own_image(&mut self) -> Option<Value> {
        let images = [
            json!("<IMAGE1_NAME>"),
            json!("${IMAGE}"),
            json!(""),
            json!(null),
            json!("nginx:1"),
            json!("ghcr.io/acme/web:7"),
            json!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/web:41"),
            json!("333333333333.dkr.ecr.eu-west-1.amazonaws.com/web:41"),
            json!(format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/other@{}", digest("a"))),
        ];
        let index = self.rng.usize(0..=images.len());
        images.get(index).cloned()
    }

    fn container(&mut self, name: &str, port: u16) -> Value {
        let mut container = json!({"name": name, "image": "x:1", "memoryReservation": 32});
        self.add_ports(&mut container, port);
        self.add_logs(&mut container);
        self.add_environment(&mut container);
        self.add_process(&mut container);
        if let Some(volume) = self.volumes.first().cloned().filter(|_| self.rng.bool()) {
            let mut mount = json!({"sourceVolume": volume, "containerPath": "/data"});
            if self.chance(2) {
                mount["readOnly"] = json!(self.rng.bool());
            }
            container["mountPoints"] = json!([mount]);
        }
        for key in ["_comment", "hostname", "links", "dockerSecurityOptions", "repositoryCredentials"] {
            if self.chance(6) {
                container[key] = if key == "_comment" { json!("why") } else { json!(null) };
            }
        }
        container
    }

    fn add_ports(&mut self, container: &mut Value, port: u16) {
        if self.network == "none" || self.chance(3) {
            return;
        }
        let mut mapping = json!({ "containerPort": port });
        let network = self.network;
        match network {
            "awsvpc" | "host" if self.chance(2) => mapping["hostPort"] = json!(port),
            "bridge" if self.chance(2) => mapping["hostPort"] = json!(0),
            "bridge" if self.chance(2) => mapping["hostPort"] = json!(port),
            _ => {}
        }
        if self.chance(3) {
            mapping["protocol"] = json!("tcp");
        }
        let udp = json!({"containerPort": port + 500, "protocol": "udp"});
        container["portMappings"] = if self.chance(4) { json!([mapping, udp]) } else { json!([mapping]) };
    }

    fn add_logs(&mut self, container: &mut Value) {
        let options =
            json!({"awslogs-group":"/web","awslogs-region":"eu-west-1","awslogs-stream-prefix":"p"});
        match self.rng.u8(0..4) {
            0 => container["logConfiguration"] = json!({"logDriver":"awslogs","options":options}),
            1 => container["logConfiguration"] = json!(null),
            2 if matches!(self.launch, Launch::Instance | Launch::External) => {
                container["logConfiguration"] = json!({"logDriver":"json-file","options":{"max-size":"10m"}});
            }
            _ => {}
        }
    }

    fn add_environment(&mut self, container: &mut Value) {
        let names = ["Z", "A", "EMPTY", "M"];
        let count = self.rng.usize(0..5);
        let variables = (0..count).map(|index| {
            let name = names[index];
            json!({"name": name, "value": if name == "EMPTY" { "" } else { "1" }})
        });
        container["environment"] = variables.collect();
        if self.chance(3) {
            container["secrets"] = json!([{"name":"S2","valueFrom":"arn:aws:ssm:eu-west-1:111111111111:parameter/b"},
                {"name":"S1","valueFrom":"arn:aws:ssm:eu-west-1:111111111111:parameter/a"}]);
        }
        if self.chance(5) {
            container["environmentFiles"] = json!([{"value":"arn:aws:s3:::acme/web.env","type":"s3"}]);
        }
    }

    fn add_process(&mut self, container: &mut Value) {
        if self.chance(3) {
            container["healthCheck"] = json!({"command":["CMD-SHELL","true"]});
        }
        if self.chance(4) {
            container["restartPolicy"] = json!({"enabled": self.rng.bool()});
        }
        if self.chance(4) {
            container["ulimits"] = json!([{"name":"nproc","softLimit":9,"hardLimit":9},{"name":"core","softLimit":0,"hardLimit":-1}]);
        }
        if self.chance(4) && !self.is_windows {
            container["linuxParameters"] = json!({"initProcessEnabled": self.rng.bool(), "capabilities":{"drop":["ALL"]}, "devices": null});
        }
        if self.chance(4) {
            container["dockerLabels"] = json!({"b":"1","a":""});
        }
        if self.chance(4) {
            container["command"] = json!(["serve", "", "--x"]);
        }
        if self.launch == Launch::Instance && self.chance(4) {
            container["resourceRequirements"] = json!([{"type":"GPU","value":"1"}]);
            container["privileged"] = json!(self.rng.bool());
        }
        if self.chance(4) {
            container["cpu"] = pick(&mut self.rng, &[json!(0), json!(16), json!(null)].each_ref()).clone();
        }
    }

    fn add_rest(&mut self, task: &mut Map<String, Value>) {
        for key in
            ["ipcMode", "pidMode", "inferenceAccelerators", "placementConstraints", "proxyConfiguration"]
        {
            if self.chance(4) {
                task.insert(key.into(), json!(null));
            }
        }
        for (key, value) in [
            ("tags", json!([{"key":"team","value":"a"},{"key":"app","value":""}])),
            ("taskRoleArn", json!("arn:aws:iam::111111111111:role/task")),
            ("$schema", json!("https://example.com/ecs.schema.json")),
            ("enableFaultInjection", json!(false)),
            ("revision", json!(41)),
            ("status", json!("ACTIVE")),
            ("registeredAt", json!("2026-03-01T00:00:00Z")),
            ("requiresAttributes", json!([{"name":"x"}])),
        ] {
            if self.chance(4) {
                task.insert(key.into(), value);
            }
        }
        if self.launch == Launch::Fargate && self.chance(4) {
            task.insert("ephemeralStorage".into(), json!({"sizeInGiB":50}));
        }
        if self.launch == Launch::Instance && self.chance(4) {
            task.insert(
                "placementConstraints".into(),
                json!([{"type":"memberOf","expression":"attribute:x exists"}]),
            );
        }
    }
}
