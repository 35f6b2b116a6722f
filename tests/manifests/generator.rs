//! Files as they are found in the wild, made from seeds: kustomizations, Helm values of several schools, workloads of
//! every kind. A file is written twice at once, with the old value and with the new one; so it is known byte for byte
//! what an edit must give.

use roadstead::manifest::{Pin, Spot, Wish};

/// A file, an edit, and what must come out.
pub(crate) struct Case {
    pub(crate) shape: &'static str,
    pub(crate) spot: Spot,
    pub(crate) wish: Wish,
    pub(crate) before: String,
    pub(crate) after: String,
    /// How many values change.
    pub(crate) values: usize,
}

/// Writes the body of a file; gives its name and where the image is.
type Shape = fn(&mut File) -> (&'static str, Spot);

/// The case of a seed; the same seed gives the same case.
pub(crate) fn case(seed: u64) -> Case {
    let mut file = File::new(seed);
    let shapes: [Shape; 14] = [
        kustomization,
        kustomization,
        kustomization_added,
        kustomization_flow,
        helm_create,
        bitnami,
        umbrella,
        one_string,
        deployment,
        cron_job,
        rollout,
        list,
        several_documents,
        json,
    ];
    let shape = shapes[(seed % shapes.len() as u64) as usize];
    file.preamble();
    let (name, spot) = shape(&mut file);
    file.finish(name, spot)
}

/// How a person writes YAML, and what was written so far: before and after the edit.
struct File {
    random: fastrand::Rng,
    before: String,
    after: String,
    values: usize,
    /// Numbers of keys, so that none stands twice.
    keys: usize,
    /// Blanks a level, and in front of the items of a list.
    step: usize,
    item: usize,
    quote: &'static str,
    repository: String,
    old: String,
    new: String,
    digest: Option<String>,
    pin: Pin,
}

const REGISTRIES: [&str; 6] = [
    "ghcr.io/acme",
    "111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme",
    "localhost:5000",
    "acme",
    "quay.io/a/b",
    "registry.acme.dev:8443/x",
];
const TAGS: [&str; 14] = [
    "v1.2.3",
    "1.2.3",
    "1.27",
    "main-0123456",
    "sha-abcdef0",
    "2024-05-01",
    "0123",
    "1e3",
    "12e03456",
    "on",
    "latest",
    "2.0.0-rc.1",
    "20240501-1200",
    "no",
];

impl File {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let repository = format!(
            "{}/{}",
            random.choice(REGISTRIES).unwrap_or("acme"),
            random.choice(["api", "web-shop", "billing"]).unwrap_or("api")
        );
        // What stands there is readable as it is; what comes may need quotes.
        let old = format!("v{}.{}.{}", random.u8(0..9), random.u8(0..30), random.u8(..));
        let new = random.choice(TAGS).unwrap_or("v2").to_owned();
        let digest =
            random.bool().then(|| format!("sha256:{:064x}", u128::from(seed) * 0x1234_5678_9abc_def1 + 7));
        let (step, item) = (*[2, 2, 2, 4].get(random.usize(0..4)).unwrap_or(&2), 0);
        let item = if random.bool() { item } else { step };
        let quote = random.choice(["", "", "\"", "'"]).unwrap_or("");
        Self {
            random,
            before: String::new(),
            after: String::new(),
            values: 0,
            keys: 0,
            step,
            item,
            quote,
            repository,
            old,
            new,
            digest,
            pin: Pin::Digest,
        }
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn raw(&mut self, text: &str) {
        self.before.push_str(text);
        self.after.push_str(text);
    }

    /// A line at a level.
    fn line(&mut self, level: usize, text: &str) {
        self.noise(level);
        let comment = self.comment();
        self.raw(&format!("{}{text}{comment}\n", " ".repeat(level * self.step)));
    }

    /// A line with a value that changes.
    fn value(&mut self, level: usize, key: &str, old: &str, new: &str) {
        let comment = self.comment();
        let blanks = " ".repeat(if self.chance(10) { 3 } else { 1 });
        let head = format!("{}{key}:{blanks}", " ".repeat(level * self.step));
        let (old, new) = (self.quoted(old, false), self.quoted(new, true));
        self.change(&format!("{head}{old}{comment}\n"), &format!("{head}{new}{comment}\n"));
    }

    fn change(&mut self, before: &str, after: &str) {
        self.values += 1;
        self.before.push_str(before);
        self.after.push_str(after);
    }

    /// Plain values get quotes when they would be read as something else.
    fn quoted(&self, text: &str, new: bool) -> String {
        let needs = ["1.27", "2024-05-01", "0123", "1e3", "12e03456", "on", "no", ""].contains(&text);
        match self.quote {
            "" if new && needs => format!("\"{text}\""),
            quote => format!("{quote}{text}{quote}"),
        }
    }

    fn comment(&mut self) -> String {
        match self.chance(12) {
            true => format!("{}# {}", self.random.choice([" ", "   "]).unwrap_or(" "), self.words()),
            false => String::new(),
        }
    }

    fn words(&mut self) -> String {
        const WORDS: [&str; 12] = [
            "do not touch",
            "TODO: ask ops",
            "größer ist besser",
            "日本語",
            "see https://acme.dev/x#y",
            "image: old:v0",
            "{ not: flow }",
            "\"quoted\"",
            "'single'",
            "a, b, c",
            "🚢",
            "-- newTag: v0",
        ];
        self.random.choice(WORDS).unwrap_or("x").to_owned()
    }

    /// Comments and empty lines that people leave between lines.
    fn noise(&mut self, level: usize) {
        if self.chance(8) {
            let words = self.words();
            let blanks = " ".repeat(level * self.step);
            self.raw(&format!("{blanks}# {words}\n"));
        }
        if self.chance(6) {
            self.raw(if self.step == 4 { "\n\n" } else { "\n" });
        }
    }

    fn preamble(&mut self) {
        if self.chance(20) {
            let words = self.words();
            self.raw(&format!("# {words}\n"));
        }
        if self.chance(25) {
            self.raw("---\n");
        }
    }

    /// Names, labels, environment, resources: what stands around an image in every manifest.
    fn extras(&mut self, level: usize) {
        for _ in 0..self.random.usize(0..4) {
            self.keys += 1;
            let key = self.keys;
            match self.random.u8(0..7) {
                0 => {
                    self.line(level, &format!("resources{key}:"));
                    self.line(level + 1, "limits: { cpu: 500m, memory: \"512Mi\" }");
                    self.line(level + 1, "requests: {cpu: 0.1}");
                }
                1 => {
                    self.line(level, &format!("env{key}:"));
                    let items = " ".repeat(level * self.step + self.item);
                    self.raw(&format!("{items}- name: LOG\n{items}  value: \"on\"\n{items}- {{ name: URL, value: 'http://x:80/#a' }}\n"));
                }
                2 => {
                    self.line(level, &format!("script{key}: |"));
                    let blanks = " ".repeat((level + 1) * self.step);
                    self.raw(&format!(
                        "{blanks}#!/bin/sh\n{blanks}image: not:this\n\n{blanks}  deeper # no comment\n"
                    ));
                }
                3 => {
                    let words = self.words().replace(['"', '\''], "");
                    self.line(level, &format!("note{key}: \"{words} \\u00e9\\n\""));
                }
                4 => {
                    self.line(level, &format!("defaults{key}: &anchor{key} {{ a: 1, b: [x, \"y\"] }}"));
                    self.line(level, &format!("copy{key}: *anchor{key}"));
                }
                5 => {
                    self.line(level, &format!("folded{key}: >-"));
                    let blanks = " ".repeat((level + 1) * self.step);
                    self.raw(&format!("{blanks}some words\n{blanks}on two lines\n"));
                }
                _ => {
                    self.line(level, &format!("list{key}: [1, two, \"three\", ~, 1.5e3, 0o17, 2024-01-01]"));
                }
            }
        }
    }

    fn reference(&self, tag: &str, digest: Option<&str>) -> String {
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{}:{tag}{digest}", self.repository)
    }

    fn old_reference(&self) -> String {
        self.reference(&self.old, None)
    }

    fn new_reference(&self) -> String {
        self.reference(&self.new, self.digest.as_deref())
    }

    /// Line ends, byte order mark and the end of the file, as editors leave them.
    fn finish(mut self, shape: &'static str, spot: Spot) -> Case {
        let crlf = self.chance(15);
        let mark = if self.chance(8) { "\u{feff}" } else { "" };
        let bare = self.chance(15);
        let end = |text: String| {
            let text = if bare { text.trim_end_matches('\n') } else { &text };
            format!("{mark}{}", if crlf { text.replace('\n', "\r\n") } else { text.to_owned() })
        };
        let image = self.new_reference().parse().expect("a reference");
        let wish = Wish { image, pin: self.pin };
        Case { shape, spot, wish, before: end(self.before), after: end(self.after), values: self.values }
    }
}

fn kustomization_head(file: &mut File) {
    if file.chance(80) {
        file.line(0, "apiVersion: kustomize.config.k8s.io/v1beta1");
        file.line(0, "kind: Kustomization");
    } else {
        file.line(0, "apiVersion: kustomize.config.k8s.io/v1alpha1");
        file.line(0, "kind: Component");
    }
    let items = " ".repeat(file.item);
    file.line(0, "resources:");
    file.raw(&format!("{items}- ../base # shared\n{items}- ingress.yaml\n"));
    if file.chance(50) {
        file.line(0, "namespace: shop");
    }
    if file.chance(40) {
        file.line(0, "patches:");
        file.raw(&format!("{items}- path: a.yaml\n{items}- patch: |-\n{items}    - op: add\n{items}      path: /x\n{items}  target: {{ kind: Deployment }}\n"));
    }
}

fn kustomization(file: &mut File) -> (&'static str, Spot) {
    kustomization_head(file);
    file.line(0, "images:");
    let items = " ".repeat(file.item);
    if file.chance(50) {
        file.raw(&format!("{items}- name: redis\n{items}  newTag: \"7.2\"\n"));
    }
    let repository = file.repository.clone();
    let renamed = file.chance(40);
    match renamed {
        true => file.raw(&format!("{items}- name: app # as in the base\n{items}  newName: {repository}\n")),
        false => file.raw(&format!("{items}- name: {repository}\n")),
    }
    let comment = file.comment();
    let (old, new) = (file.quoted(&file.old, false), file.quoted(&file.new, true));
    file.change(&format!("{items}  newTag: {old}{comment}\n"), &format!("{items}  newTag: {new}{comment}\n"));
    if let Some(digest) = file.digest.clone() {
        file.values += 1;
        if file.chance(50) {
            // A new key behind its neighbour.
            file.after.push_str(&format!("{items}  digest: {digest}\n"));
        } else {
            let old = format!("sha256:{}", "0".repeat(64));
            file.before.push_str(&format!("{items}  digest: {old}\n"));
            file.after.push_str(&format!("{items}  digest: {digest}\n"));
        }
    } else if file.chance(30) {
        // A stale digest goes.
        file.values += 1;
        file.before.push_str(&format!("{items}  digest: sha256:{}\n", "0".repeat(64)));
    }
    file.raw(&format!("{items}- name: other\n{items}  newTag: v0\n"));
    file.extras(0);
    ("kustomization", Spot::Kustomize { name: renamed.then(|| "app".into()) })
}

fn kustomization_added(file: &mut File) -> (&'static str, Spot) {
    kustomization_head(file);
    file.line(0, "namePrefix: x-");
    let items = " ".repeat(file.item);
    let (repository, tag) = (file.repository.clone(), file.new.clone());
    file.quote = "";
    let tag = file.quoted(&tag, true);
    let digest = file.digest.clone().map(|digest| format!("{items}  digest: {digest}\n")).unwrap_or_default();
    let entry = format!("{items}- name: {repository}\n{items}  newTag: {tag}\n{digest}");
    file.change("", &format!("images:\n{entry}"));
    file.raw("# the end\n");
    ("kustomization, images added", Spot::Kustomize { name: None })
}

fn kustomization_flow(file: &mut File) -> (&'static str, Spot) {
    kustomization_head(file);
    let (repository, comment) = (file.repository.clone(), file.comment());
    let (old, new) = (file.quoted(&file.old, false), file.quoted(&file.new, true));
    let digest = file.digest.clone().map(|digest| format!(", digest: \"{digest}\"")).unwrap_or_default();
    file.values += usize::from(!digest.is_empty());
    let line = |tag: &str, digest: &str| {
        format!(
            "images: [ {{ name: b }}, {{ name: \"{repository}\", newTag: {tag}{digest} }}, {{name: c, newTag: v1}} ]{comment}\n"
        )
    };
    file.change(&line(&old, ""), &line(&new, &digest));
    file.extras(0);
    ("kustomization, flow", Spot::Kustomize { name: None })
}

fn helm_create(file: &mut File) -> (&'static str, Spot) {
    file.line(0, "# Default values for shop.");
    file.line(0, "replicaCount: 1");
    file.line(0, "image:");
    let repository = file.repository.clone();
    file.line(1, &format!("repository: {repository}"));
    file.line(1, "pullPolicy: IfNotPresent");
    file.line(1, "# Overrides the image tag whose default is the chart appVersion.");
    let new = match &file.digest {
        Some(digest) => format!("{}@{digest}", file.new),
        None => file.new.clone(),
    };
    let old = file.old.clone();
    file.value(1, "tag", &old, &new);
    file.line(0, "imagePullSecrets: []");
    file.line(0, "serviceAccount:");
    file.extras(1);
    file.line(1, "create: true");
    file.extras(0);
    ("values, helm create", if file.chance(50) { Spot::values("image") } else { Spot::ValuesOf })
}

fn bitnami(file: &mut File) -> (&'static str, Spot) {
    file.line(0, "## @section Global parameters");
    file.line(0, "global:");
    file.line(1, "imageRegistry: \"\"");
    file.line(0, "## @param image.registry [default: REGISTRY_NAME] image registry");
    file.line(0, "image:");
    let repository = file.repository.clone();
    let (registry, rest) = repository.split_once('/').unwrap_or(("docker.io", &repository));
    let (registry, rest) =
        if registry == "acme" { ("docker.io", repository.as_str()) } else { (registry, rest) };
    file.line(1, &format!("registry: {registry}"));
    file.line(1, &format!("repository: {rest}"));
    let (old, new) = (file.old.clone(), file.new.clone());
    file.value(1, "tag", &old, &new);
    let digest = file.digest.clone();
    match digest {
        Some(digest) => {
            file.change(
                &format!("{}digest: \"\"\n", " ".repeat(file.step)),
                &format!("{}digest: \"{digest}\"\n", " ".repeat(file.step)),
            );
        }
        None => file.line(1, "digest: \"\""),
    }
    file.line(1, "pullPolicy: IfNotPresent");
    file.line(1, "pullSecrets: []");
    file.extras(0);
    file.line(0, "metrics:");
    file.line(1, "image:");
    file.line(2, "repository: bitnami/exporter");
    file.line(2, "tag: 1.2.3-debian-12-r0");
    ("values, bitnami", if file.chance(50) { Spot::values("image") } else { Spot::ValuesOf })
}

fn umbrella(file: &mut File) -> (&'static str, Spot) {
    for (part, ours) in [("postgresql", false), ("backend", true), ("redis", false)] {
        file.line(0, &format!("{part}:"));
        file.line(1, "enabled: true");
        file.extras(1);
        file.line(1, "image:");
        if ours {
            // An overlay of values: the repository is in the chart.
            let (old, new) = (file.old.clone(), file.new.clone());
            file.pin = Pin::Tag;
            file.digest = None;
            file.value(2, "tag", &old, &new);
        } else {
            file.line(2, "tag: 16");
        }
        file.extras(1);
    }
    ("values, umbrella", Spot::values("backend.image"))
}

fn one_string(file: &mut File) -> (&'static str, Spot) {
    file.line(0, "workers:");
    let items = " ".repeat(file.step + file.item);
    file.line(1, "pools:");
    let (old, new) = (file.quoted(&file.old_reference(), false), file.quoted(&file.new_reference(), true));
    file.raw(&format!("{items}- name: slow\n"));
    file.change(&format!("{items}  image: {old}\n"), &format!("{items}  image: {new}\n"));
    file.raw(&format!("{items}- name: fast\n{items}  image: busybox:1\n"));
    file.extras(0);
    (
        "values, one string",
        if file.chance(50) { Spot::values("workers.pools.0.image") } else { Spot::ValuesOf },
    )
}

/// A list of containers at a level, ours among them.
fn containers(file: &mut File, level: usize) {
    let items = " ".repeat(level * file.step + file.item);
    let (old, new) = (file.quoted(&file.old_reference(), false), file.quoted(&file.new_reference(), true));
    if file.chance(40) {
        file.line(level, "initContainers:");
        file.raw(&format!(
            "{items}- name: wait\n{items}  image: busybox:1.36\n{items}  command: [sh, -c, \"sleep 1\"]\n"
        ));
    }
    file.line(level, "containers:");
    if file.chance(40) {
        let port = file.repository.split(['/', ':']).next().unwrap_or("x").to_owned();
        file.raw(&format!("{items}- image: {port}:9/sidecar:v9 # another port\n{items}  name: sidecar\n"));
    }
    let comment = file.comment();
    match file.random.u8(0..3) {
        0 => {
            file.raw(&format!("{items}- name: app\n"));
            file.change(
                &format!("{items}  image: {old}{comment}\n"),
                &format!("{items}  image: {new}{comment}\n"),
            );
        }
        1 => {
            file.change(
                &format!("{items}- image: {old}{comment}\n"),
                &format!("{items}- image: {new}{comment}\n"),
            );
            file.raw(&format!("{items}  name: \"app\"\n"));
        }
        _ => {
            let line = |image: &str| {
                format!(
                    "{items}- {{ name: app, image: {image}, ports: [ {{ containerPort: 80 }} ] }}{comment}\n"
                )
            };
            file.change(&line(&old), &line(&new));
            return;
        }
    }
    file.raw(&format!(
        "{items}  ports:\n{items}  - containerPort: 8080\n{items}  args: [\"--image=x:y\", '#']\n"
    ));
    file.raw(&format!("{items}  env:\n{items}    - name: A # a\n{items}      value: \"1\"\n"));
}

fn spot(file: &mut File) -> Spot {
    if file.chance(50) { Spot::Container { name: "app".into() } } else { Spot::Repository }
}

fn object(file: &mut File, version: &str, kind: &str) {
    file.line(0, &format!("apiVersion: {version}"));
    file.line(0, &format!("kind: {kind}"));
    file.line(0, "metadata:");
    file.line(1, "name: shop");
    file.line(1, "labels: { app.kubernetes.io/version: \"1.0\" }");
    file.line(1, "annotations:");
    file.line(2, "checksum/config: 12e03456");
    file.extras(2);
}

fn template(file: &mut File, level: usize) {
    file.line(level, "template:");
    file.line(level + 1, "metadata: {labels: {app: shop}}");
    file.line(level + 1, "spec:");
    file.extras(level + 2);
    containers(file, level + 2);
    file.line(level + 2, "volumes: []");
}

fn deployment(file: &mut File) -> (&'static str, Spot) {
    let kind =
        file.random.choice(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]).unwrap_or("Deployment");
    object(file, "apps/v1", kind);
    file.line(0, "spec:");
    file.line(1, "selector: { matchLabels: { app: shop } }");
    template(file, 1);
    ("deployment and its like", spot(file))
}

fn cron_job(file: &mut File) -> (&'static str, Spot) {
    object(file, "batch/v1", "CronJob");
    file.line(0, "spec:");
    file.line(1, "schedule: \"*/5 * * * *\"");
    file.line(1, "jobTemplate:");
    file.line(2, "spec:");
    template(file, 3);
    ("cron job", spot(file))
}

fn rollout(file: &mut File) -> (&'static str, Spot) {
    object(file, "argoproj.io/v1alpha1", "Rollout");
    file.line(0, "spec:");
    file.line(1, "strategy:");
    file.line(2, "canary:");
    let items = " ".repeat(3 * file.step + file.item);
    file.line(3, "steps:");
    file.raw(&format!(
        "{items}- setWeight: 10\n{items}- pause: {{duration: 1h}} # look\n{items}- setWeight: 50\n"
    ));
    template(file, 1);
    ("rollout", spot(file))
}

fn list(file: &mut File) -> (&'static str, Spot) {
    file.line(0, "apiVersion: v1");
    file.line(0, "kind: List");
    file.line(0, "items:");
    file.raw("- kind: ConfigMap\n  apiVersion: v1\n  data:\n    deploy.yaml: |\n      containers:\n      - name: app\n        image: not:this\n");
    let (old, new) = (file.old_reference(), file.new_reference());
    let quote = file.random.choice(["\"", "'"]).unwrap_or("'");
    let line = |image: &str| {
        format!(
            "- {{kind: Pod, apiVersion: v1, spec: {{containers: [{{name: app, image: {quote}{image}{quote}}}]}}}}\n"
        )
    };
    file.change(&line(&old), &line(&new));
    ("list", spot(file))
}

fn several_documents(file: &mut File) -> (&'static str, Spot) {
    object(file, "v1", "Service");
    file.extras(0);
    file.raw("---\n");
    object(file, "apps/v1", "Deployment");
    file.line(0, "spec:");
    template(file, 1);
    file.raw("--- # and the job\n");
    object(file, "batch/v1", "Job");
    file.line(0, "spec:");
    template(file, 1);
    if file.chance(40) {
        file.raw("...\n");
    }
    ("several documents", spot(file))
}

fn json(file: &mut File) -> (&'static str, Spot) {
    file.before.clear();
    file.after.clear();
    let (old, new) = (file.old_reference(), file.new_reference());
    let blanks = file.random.choice(["  ", "\t", "    "]).unwrap_or("  ");
    let text = |image: &str| {
        format!(
            "{{\n{blanks}\"apiVersion\": \"v1\",\n{blanks}\"kind\": \"Pod\",\n{blanks}\"spec\": {{\n{blanks}{blanks}\"containers\": [ {{ \"name\": \"app\", \"image\":\"{image}\" }} ],\n{blanks}{blanks}\"replicas\": 1.0\n{blanks}}}\n}}\n"
        )
    };
    file.change(&text(&old), &text(&new));
    ("json", spot(file))
}
