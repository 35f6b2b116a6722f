//! Files as they are found in the wild, made from seeds: kustomizations, Helm values of several schools, workloads of
//! every kind. A file is written twice at once, with the old value and with the new one; so it is known byte for byte
//! what an edit must give.

use roadstead::manifest::{HelmPin, ImageLocation};

use super::yaml_writer::{EditCase, YamlWriter};

/// Writes the body of a file; gives its name and where the image is.
type ShapeWriter = fn(&mut YamlWriter) -> (&'static str, ImageLocation);

/// The case of a seed; the same seed gives the same case.
pub(crate) fn generate_case(seed: u64) -> EditCase {
    let mut file = YamlWriter::new(seed);
    let shapes: [ShapeWriter; 14] = [
        write_kustomization,
        write_kustomization,
        write_kustomization_added,
        write_kustomization_flow,
        write_helm_create,
        write_bitnami,
        write_umbrella,
        write_one_string,
        write_deployment,
        write_cron_job,
        write_rollout,
        write_list,
        write_several_documents,
        write_json,
    ];
    let shape = shapes[(seed % shapes.len() as u64) as usize];
    file.write_preamble();
    let (name, spot) = shape(&mut file);
    file.finish(name, spot)
}

fn write_kustomization_head(file: &mut YamlWriter) {
    if file.chance(80) {
        file.write_line(0, "apiVersion: kustomize.config.k8s.io/v1beta1");
        file.write_line(0, "kind: Kustomization");
    } else {
        file.write_line(0, "apiVersion: kustomize.config.k8s.io/v1alpha1");
        file.write_line(0, "kind: Component");
    }
    let items = " ".repeat(file.item_indent);
    file.write_line(0, "resources:");
    file.write_raw(&format!("{items}- ../base # shared\n{items}- ingress.yaml\n"));
    if file.chance(50) {
        file.write_line(0, "namespace: shop");
    }
    if file.chance(40) {
        file.write_line(0, "patches:");
        file.write_raw(&format!("{items}- path: a.yaml\n{items}- patch: |-\n{items}    - op: add\n{items}      path: /x\n{items}  target: {{ kind: Deployment }}\n"));
    }
}

fn write_kustomization(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    write_kustomization_head(file);
    file.write_line(0, "images:");
    let items = " ".repeat(file.item_indent);
    if file.chance(50) {
        file.write_raw(&format!("{items}- name: redis\n{items}  newTag: \"7.2\"\n"));
    }
    let repository = file.repository.clone();
    let renamed = file.chance(40);
    match renamed {
        true => {
            file.write_raw(&format!("{items}- name: app # as in the base\n{items}  newName: {repository}\n"))
        }
        false => file.write_raw(&format!("{items}- name: {repository}\n")),
    }
    let comment = file.random_comment();
    let (old, new) = (file.quoted(&file.old, false), file.quoted(&file.new, true));
    file.write_change(
        &format!("{items}  newTag: {old}{comment}\n"),
        &format!("{items}  newTag: {new}{comment}\n"),
    );
    if let Some(digest) = file.digest.clone() {
        file.changed_values += 1;
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
        file.changed_values += 1;
        file.before.push_str(&format!("{items}  digest: sha256:{}\n", "0".repeat(64)));
    }
    file.write_raw(&format!("{items}- name: other\n{items}  newTag: v0\n"));
    file.write_extras(0);
    ("kustomization", ImageLocation::Kustomize { name: renamed.then(|| "app".into()) })
}

fn write_kustomization_added(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    write_kustomization_head(file);
    file.write_line(0, "namePrefix: x-");
    let items = " ".repeat(file.item_indent);
    let (repository, tag) = (file.repository.clone(), file.new.clone());
    file.quote = "";
    let tag = file.quoted(&tag, true);
    let digest = file.digest.clone().map(|digest| format!("{items}  digest: {digest}\n")).unwrap_or_default();
    let entry = format!("{items}- name: {repository}\n{items}  newTag: {tag}\n{digest}");
    file.write_change("", &format!("images:\n{entry}"));
    file.write_raw("# the end\n");
    ("kustomization, images added", ImageLocation::Kustomize { name: None })
}

fn write_kustomization_flow(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    write_kustomization_head(file);
    let (repository, comment) = (file.repository.clone(), file.random_comment());
    let (old, new) = (file.quoted(&file.old, false), file.quoted(&file.new, true));
    let digest = file.digest.clone().map(|digest| format!(", digest: \"{digest}\"")).unwrap_or_default();
    file.changed_values += usize::from(!digest.is_empty());
    let line = |tag: &str, digest: &str| {
        format!(
            "images: [ {{ name: b }}, {{ name: \"{repository}\", newTag: {tag}{digest} }}, {{name: c, newTag: v1}} ]{comment}\n"
        )
    };
    file.write_change(&line(&old, ""), &line(&new, &digest));
    file.write_extras(0);
    ("kustomization, flow", ImageLocation::Kustomize { name: None })
}

fn write_helm_create(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    file.write_line(0, "# Default values for shop.");
    file.write_line(0, "replicaCount: 1");
    file.write_line(0, "image:");
    let repository = file.repository.clone();
    file.write_line(1, &format!("repository: {repository}"));
    file.write_line(1, "pullPolicy: IfNotPresent");
    file.write_line(1, "# Overrides the image tag whose default is the chart appVersion.");
    let new = match &file.digest {
        Some(digest) => format!("{}@{digest}", file.new),
        None => file.new.clone(),
    };
    let old = file.old.clone();
    file.write_value(1, "tag", &old, &new);
    file.write_line(0, "imagePullSecrets: []");
    file.write_line(0, "serviceAccount:");
    file.write_extras(1);
    file.write_line(1, "create: true");
    file.write_extras(0);
    (
        "values, helm create",
        if file.chance(50) {
            ImageLocation::from_values_path("image")
        } else {
            ImageLocation::ValuesByRepository
        },
    )
}

fn write_bitnami(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    file.write_line(0, "## @section Global parameters");
    file.write_line(0, "global:");
    file.write_line(1, "imageRegistry: \"\"");
    file.write_line(0, "## @param image.registry [default: REGISTRY_NAME] image registry");
    file.write_line(0, "image:");
    let repository = file.repository.clone();
    let (registry, rest) = repository.split_once('/').unwrap_or(("docker.io", &repository));
    let (registry, rest) =
        if registry == "acme" { ("docker.io", repository.as_str()) } else { (registry, rest) };
    file.write_line(1, &format!("registry: {registry}"));
    file.write_line(1, &format!("repository: {rest}"));
    let (old, new) = (file.old.clone(), file.new.clone());
    file.write_value(1, "tag", &old, &new);
    let digest = file.digest.clone();
    match digest {
        Some(digest) => {
            file.write_change(
                &format!("{}digest: \"\"\n", " ".repeat(file.indent)),
                &format!("{}digest: \"{digest}\"\n", " ".repeat(file.indent)),
            );
        }
        None => file.write_line(1, "digest: \"\""),
    }
    file.write_line(1, "pullPolicy: IfNotPresent");
    file.write_line(1, "pullSecrets: []");
    file.write_extras(0);
    file.write_line(0, "metrics:");
    file.write_line(1, "image:");
    file.write_line(2, "repository: bitnami/exporter");
    file.write_line(2, "tag: 1.2.3-debian-12-r0");
    (
        "values, bitnami",
        if file.chance(50) {
            ImageLocation::from_values_path("image")
        } else {
            ImageLocation::ValuesByRepository
        },
    )
}

fn write_umbrella(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    for (part, ours) in [("postgresql", false), ("backend", true), ("redis", false)] {
        file.write_line(0, &format!("{part}:"));
        file.write_line(1, "enabled: true");
        file.write_extras(1);
        file.write_line(1, "image:");
        if ours {
            // An overlay of values: the repository is in the chart.
            let (old, new) = (file.old.clone(), file.new.clone());
            file.pin = HelmPin::Tag;
            file.digest = None;
            file.write_value(2, "tag", &old, &new);
        } else {
            file.write_line(2, "tag: 16");
        }
        file.write_extras(1);
    }
    ("values, umbrella", ImageLocation::from_values_path("backend.image"))
}

fn write_one_string(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    file.write_line(0, "workers:");
    let items = " ".repeat(file.indent + file.item_indent);
    file.write_line(1, "pools:");
    let (old, new) = (file.quoted(&file.old_reference(), false), file.quoted(&file.new_reference(), true));
    file.write_raw(&format!("{items}- name: slow\n"));
    file.write_change(&format!("{items}  image: {old}\n"), &format!("{items}  image: {new}\n"));
    file.write_raw(&format!("{items}- name: fast\n{items}  image: busybox:1\n"));
    file.write_extras(0);
    (
        "values, one string",
        if file.chance(50) {
            ImageLocation::from_values_path("workers.pools.0.image")
        } else {
            ImageLocation::ValuesByRepository
        },
    )
}

/// A list of containers at a level, ours among them.
fn write_containers(file: &mut YamlWriter, level: usize) {
    let items = " ".repeat(level * file.indent + file.item_indent);
    let (old, new) = (file.quoted(&file.old_reference(), false), file.quoted(&file.new_reference(), true));
    if file.chance(40) {
        file.write_line(level, "initContainers:");
        file.write_raw(&format!(
            "{items}- name: wait\n{items}  image: busybox:1.36\n{items}  command: [sh, -c, \"sleep 1\"]\n"
        ));
    }
    file.write_line(level, "containers:");
    if file.chance(40) {
        let port = file.repository.split(['/', ':']).next().unwrap_or("x").to_owned();
        file.write_raw(&format!(
            "{items}- image: {port}:9/sidecar:v9 # another port\n{items}  name: sidecar\n"
        ));
    }
    let comment = file.random_comment();
    match file.random.u8(0..3) {
        0 => {
            file.write_raw(&format!("{items}- name: app\n"));
            file.write_change(
                &format!("{items}  image: {old}{comment}\n"),
                &format!("{items}  image: {new}{comment}\n"),
            );
        }
        1 => {
            file.write_change(
                &format!("{items}- image: {old}{comment}\n"),
                &format!("{items}- image: {new}{comment}\n"),
            );
            file.write_raw(&format!("{items}  name: \"app\"\n"));
        }
        _ => {
            let line = |image: &str| {
                format!(
                    "{items}- {{ name: app, image: {image}, ports: [ {{ containerPort: 80 }} ] }}{comment}\n"
                )
            };
            file.write_change(&line(&old), &line(&new));
            return;
        }
    }
    file.write_raw(&format!(
        "{items}  ports:\n{items}  - containerPort: 8080\n{items}  args: [\"--image=x:y\", '#']\n"
    ));
    file.write_raw(&format!("{items}  env:\n{items}    - name: A # a\n{items}      value: \"1\"\n"));
}

fn random_location(file: &mut YamlWriter) -> ImageLocation {
    if file.chance(50) {
        ImageLocation::Container { name: "app".into() }
    } else {
        ImageLocation::ContainersByRepository
    }
}

fn write_object(file: &mut YamlWriter, version: &str, kind: &str) {
    file.write_line(0, &format!("apiVersion: {version}"));
    file.write_line(0, &format!("kind: {kind}"));
    file.write_line(0, "metadata:");
    file.write_line(1, "name: shop");
    file.write_line(1, "labels: { app.kubernetes.io/version: \"1.0\" }");
    file.write_line(1, "annotations:");
    file.write_line(2, "checksum/config: 12e03456");
    file.write_extras(2);
}

fn write_template(file: &mut YamlWriter, level: usize) {
    file.write_line(level, "template:");
    file.write_line(level + 1, "metadata: {labels: {app: shop}}");
    file.write_line(level + 1, "spec:");
    file.write_extras(level + 2);
    write_containers(file, level + 2);
    file.write_line(level + 2, "volumes: []");
}

fn write_deployment(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    let kind =
        file.random.choice(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]).unwrap_or("Deployment");
    write_object(file, "apps/v1", kind);
    file.write_line(0, "spec:");
    file.write_line(1, "selector: { matchLabels: { app: shop } }");
    write_template(file, 1);
    ("deployment and its like", random_location(file))
}

fn write_cron_job(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    write_object(file, "batch/v1", "CronJob");
    file.write_line(0, "spec:");
    file.write_line(1, "schedule: \"*/5 * * * *\"");
    file.write_line(1, "jobTemplate:");
    file.write_line(2, "spec:");
    write_template(file, 3);
    ("cron job", random_location(file))
}

fn write_rollout(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    write_object(file, "argoproj.io/v1alpha1", "Rollout");
    file.write_line(0, "spec:");
    file.write_line(1, "strategy:");
    file.write_line(2, "canary:");
    let items = " ".repeat(3 * file.indent + file.item_indent);
    file.write_line(3, "steps:");
    file.write_raw(&format!(
        "{items}- setWeight: 10\n{items}- pause: {{duration: 1h}} # look\n{items}- setWeight: 50\n"
    ));
    write_template(file, 1);
    ("rollout", random_location(file))
}

fn write_list(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    file.write_line(0, "apiVersion: v1");
    file.write_line(0, "kind: List");
    file.write_line(0, "items:");
    file.write_raw("- kind: ConfigMap\n  apiVersion: v1\n  data:\n    deploy.yaml: |\n      containers:\n      - name: app\n        image: not:this\n");
    let (old, new) = (file.old_reference(), file.new_reference());
    let quote = file.random.choice(["\"", "'"]).unwrap_or("'");
    let line = |image: &str| {
        format!(
            "- {{kind: Pod, apiVersion: v1, spec: {{containers: [{{name: app, image: {quote}{image}{quote}}}]}}}}\n"
        )
    };
    file.write_change(&line(&old), &line(&new));
    ("list", random_location(file))
}

fn write_several_documents(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    write_object(file, "v1", "Service");
    file.write_extras(0);
    file.write_raw("---\n");
    write_object(file, "apps/v1", "Deployment");
    file.write_line(0, "spec:");
    write_template(file, 1);
    file.write_raw("--- # and the job\n");
    write_object(file, "batch/v1", "Job");
    file.write_line(0, "spec:");
    write_template(file, 1);
    if file.chance(40) {
        file.write_raw("...\n");
    }
    ("several documents", random_location(file))
}

fn write_json(file: &mut YamlWriter) -> (&'static str, ImageLocation) {
    file.before.clear();
    file.after.clear();
    let (old, new) = (file.old_reference(), file.new_reference());
    let blanks = file.random.choice(["  ", "\t", "    "]).unwrap_or("  ");
    let text = |image: &str| {
        format!(
            "{{\n{blanks}\"apiVersion\": \"v1\",\n{blanks}\"kind\": \"Pod\",\n{blanks}\"spec\": {{\n{blanks}{blanks}\"containers\": [ {{ \"name\": \"app\", \"image\":\"{image}\" }} ],\n{blanks}{blanks}\"replicas\": 1.0\n{blanks}}}\n}}\n"
        )
    };
    file.write_change(&text(&old), &text(&new));
    ("json", random_location(file))
}
