//! A corpus of the shapes that people have, from seeds: objects of Argo CD, Flux and Tekton, charts of many schools, and
//! what must be rejected. Written before and after at once, so what must come out is known byte for byte.

use roadstead::manifest::{HelmPin, ImageLocation};

use super::yaml_writer::{EditCase, YamlWriter};

/// A file, an edit, and what must become of it.
pub(crate) struct CorpusCase {
    pub(crate) edit: EditCase,
    /// The reason, if it must be rejected.
    pub(crate) rejection: Option<&'static str>,
}

struct Shape {
    name: &'static str,
    location: ImageLocation,
    rejection: Option<&'static str>,
}

impl Shape {
    fn edited(name: &'static str, location: ImageLocation) -> Self {
        Self { name, location, rejection: None }
    }

    fn rejected(name: &'static str, location: ImageLocation, reason: &'static str) -> Self {
        Self { name, location, rejection: Some(reason) }
    }
}

const SHAPES: [fn(&mut YamlWriter) -> Shape; 24] = [
    write_helm_release,
    write_values_object,
    write_values_text,
    write_parameters,
    write_kustomize_strings,
    write_flux_images,
    write_tekton_task,
    write_custom_resource,
    write_image_and_tag_key,
    write_repository_and_version,
    write_sha,
    write_name_in_pieces,
    write_global_registry,
    write_hosts_and_ports,
    write_spelled_registry,
    write_shared_anchor,
    write_folded_text,
    write_separator_in_comment,
    write_documents_by_path,
    write_tag_alone,
    write_list_of_images,
    write_version_that_is_no_image,
    write_two_tags,
    write_anchor_of_others,
];

/// How many shapes there are.
pub(crate) const SHAPE_COUNT: usize = SHAPES.len();

/// The case of a seed; the same seed gives the same case.
pub(crate) fn generate_corpus_case(seed: u64) -> CorpusCase {
    let mut file = YamlWriter::new(seed);
    let shape = SHAPES[(seed % SHAPES.len() as u64) as usize](&mut file);
    let edit = file.finish(shape.name, shape.location);
    CorpusCase { edit, rejection: shape.rejection }
}

/// The tag as a chart needs it that has no key for the digest.
fn new_tag(file: &YamlWriter) -> String {
    match &file.digest {
        Some(digest) => format!("{}@{digest}", file.new),
        None => file.new.clone(),
    }
}

fn write_tag(file: &mut YamlWriter, level: usize, key: &str) {
    let (old, new) = (file.old.clone(), new_tag(file));
    file.write_value(level, key, &old, &new);
}

fn write_repository(file: &mut YamlWriter, level: usize) {
    let repository = file.repository.clone();
    file.write_line(level, &format!("repository: {repository}"));
}

/// The registry, with Docker Hub written out, and the rest of the name.
fn split_name(file: &YamlWriter) -> (String, String) {
    match file.repository.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) => (host.to_owned(), rest.to_owned()),
        _ => ("docker.io".to_owned(), file.repository.clone()),
    }
}

fn write_head(file: &mut YamlWriter, version: &str, kind: &str) {
    file.write_preamble();
    file.write_line(0, &format!("apiVersion: {version}"));
    file.write_line(0, &format!("kind: {kind}"));
    file.write_line(0, "metadata:");
    file.write_line(1, "name: shop");
    file.write_extras(1);
    file.write_line(0, "spec:");
    file.write_extras(1);
}

fn path_or(file: &mut YamlWriter, path: &str, other: ImageLocation) -> ImageLocation {
    if file.chance(50) { ImageLocation::from_values_path(path) } else { other }
}

fn write_helm_release(file: &mut YamlWriter) -> Shape {
    write_head(file, "helm.toolkit.fluxcd.io/v2", "HelmRelease");
    file.write_line(1, "chart: { spec: { chart: app, version: 1.2.3 } }");
    file.write_line(1, "values:");
    file.write_extras(2);
    file.write_line(2, "image:");
    write_repository(file, 3);
    write_tag(file, 3, "tag");
    file.write_extras(2);
    let location = path_or(file, "spec.values.image", ImageLocation::ContainersByRepository);
    Shape::edited("HelmRelease", location)
}

fn write_source(file: &mut YamlWriter) -> (usize, &'static str) {
    if file.chance(70) {
        write_head(file, "argoproj.io/v1alpha1", "Application");
        file.write_line(1, "source:");
        return (2, "spec.source");
    }
    write_head(file, "argoproj.io/v1alpha1", "ApplicationSet");
    file.write_line(1, "template:");
    file.write_line(2, "spec:");
    file.write_line(3, "source:");
    (4, "spec.template.spec.source")
}

fn write_values_object(file: &mut YamlWriter) -> Shape {
    let (level, path) = write_source(file);
    file.write_line(level, "helm:");
    file.write_line(level + 1, "valuesObject:");
    file.write_extras(level + 2);
    file.write_line(level + 2, "image:");
    write_repository(file, level + 3);
    write_tag(file, level + 3, "tag");
    let path = format!("{path}.helm.valuesObject.image");
    Shape::edited("Application, values", path_or(file, &path, ImageLocation::ContainersByRepository))
}

fn write_values_text(file: &mut YamlWriter) -> Shape {
    let (level, path) = write_source(file);
    file.write_line(level, "helm:");
    let chomp = file.random.choice(["|", "|-", "|+"]).unwrap_or("|");
    file.write_raw(&format!("{}values: {chomp}\n", " ".repeat((level + 1) * file.indent)));
    file.write_raw(&format!("{}first: 1\n", " ".repeat((level + 2) * file.indent)));
    file.write_extras(level + 2);
    file.write_line(level + 2, "web:");
    file.write_line(level + 3, "image:");
    write_repository(file, level + 4);
    write_tag(file, level + 4, "tag");
    file.write_extras(level + 2);
    file.write_line(level, "path: charts/app");
    let path = format!("{path}.helm.values.web.image");
    Shape::edited("Application, values as text", path_or(file, &path, ImageLocation::ContainersByRepository))
}

fn write_parameters(file: &mut YamlWriter) -> Shape {
    let (level, path) = write_source(file);
    file.write_line(level, "helm:");
    file.write_line(level + 1, "parameters:");
    let items = " ".repeat((level + 1) * file.indent + file.item_indent);
    let repository = file.repository.clone();
    file.write_raw(&format!("{items}- name: replicas\n{items}  value: \"2\"\n"));
    file.write_raw(&format!("{items}- name: image.repository\n{items}  value: {repository}\n"));
    file.write_raw(&format!("{items}- name: image.tag\n"));
    let (old, new) = (file.quoted(&file.old, false), file.quoted(&new_tag(file), true));
    file.write_change(&format!("{items}  value: {old}\n"), &format!("{items}  value: {new}\n"));
    let path = format!("{path}.helm.parameters[2].value");
    Shape::edited("Application, parameters", path_or(file, &path, ImageLocation::ContainersByRepository))
}

fn write_kustomize_strings(file: &mut YamlWriter) -> Shape {
    let (level, path) = write_source(file);
    file.write_line(level, "kustomize:");
    file.write_line(level + 1, "images:");
    let items = " ".repeat((level + 1) * file.indent + file.item_indent);
    let prefix = file.random.choice(["", "app=", "acme/app="]).unwrap_or("");
    let (old, new) = (file.old_reference(), file.new_reference());
    file.write_raw(&format!("{items}- other=acme/other:v1\n"));
    file.write_change(&format!("{items}- {prefix}{old}\n"), &format!("{items}- {prefix}{new}\n"));
    let path = format!("{path}.kustomize.images[1]");
    Shape::edited("Application, images", path_or(file, &path, ImageLocation::ContainersByRepository))
}

fn write_flux_images(file: &mut YamlWriter) -> Shape {
    write_head(file, "kustomize.toolkit.fluxcd.io/v1", "Kustomization");
    file.digest = None;
    file.write_line(1, "images:");
    let items = " ".repeat(file.indent + file.item_indent);
    let repository = file.repository.clone();
    file.write_raw(&format!("{items}- name: other\n{items}  newTag: v0\n{items}- name: {repository}\n"));
    let (old, new) = (file.quoted(&file.old, false), file.quoted(&file.new, true));
    file.write_change(&format!("{items}  newTag: {old}\n"), &format!("{items}  newTag: {new}\n"));
    let location = path_or(file, "spec.images[1]", ImageLocation::ContainersByRepository);
    Shape::edited("Flux Kustomization", location)
}

fn write_image_line(file: &mut YamlWriter, head: &str) {
    let (old, new) = (file.quoted(&file.old_reference(), false), file.quoted(&file.new_reference(), true));
    let comment = file.random_comment();
    file.write_change(&format!("{head}{old}{comment}\n"), &format!("{head}{new}{comment}\n"));
}

fn write_tekton_task(file: &mut YamlWriter) -> Shape {
    write_head(file, "tekton.dev/v1", "Task");
    file.write_line(1, "steps:");
    let items = " ".repeat(file.indent + file.item_indent);
    file.write_raw(&format!("{items}- name: clone\n{items}  image: alpine/git:v2\n{items}- name: app\n"));
    write_image_line(file, &format!("{items}  image: "));
    file.write_raw(&format!("{items}  script: |\n{items}    echo image: x:y\n"));
    let by_name = file.chance(50);
    let location = match by_name {
        true => ImageLocation::Container { name: "app".into() },
        false => ImageLocation::ContainersByRepository,
    };
    Shape::edited("Tekton", location)
}

fn write_custom_resource(file: &mut YamlWriter) -> Shape {
    write_head(file, "databases.acme.dev/v1", "Cluster");
    let key = file.random.choice(["image", "imageName", "driverImage"]).unwrap_or("image");
    let head = format!("{}{key}: ", " ".repeat(file.indent));
    write_image_line(file, &head);
    file.write_line(1, "version: 16.2");
    let path = format!("spec/{key}");
    Shape::edited("custom resource", path_or(file, &path, ImageLocation::ContainersByRepository))
}

fn write_image_and_tag_key(file: &mut YamlWriter) -> Shape {
    let (image, tag) = *file
        .random
        .choice(&[
            ("image", "imageTag"),
            ("image", "version"),
            ("imageName", "image_tag"),
            ("webImage", "webTag"),
        ])
        .unwrap_or(&("image", "imageTag"));
    let repository = file.repository.clone();
    file.write_line(0, "web:");
    file.write_extras(1);
    file.write_line(1, &format!("{image}: {repository}"));
    write_tag(file, 1, tag);
    file.write_line(1, "sidecarImage: envoy");
    file.write_line(1, "sidecarImageTag: v1.30");
    let path = format!("web.{image}");
    Shape::edited(
        "values, image and a key for its tag",
        path_or(file, &path, ImageLocation::ValuesByRepository),
    )
}

fn write_repository_and_version(file: &mut YamlWriter) -> Shape {
    let tag = file.random.choice(["version", "prefectTag", "imageTag", "serverTag"]).unwrap_or("version");
    file.write_line(0, "server:");
    write_repository(file, 1);
    write_tag(file, 1, tag);
    file.write_extras(1);
    Shape::edited(
        "values, repository and a key for its version",
        path_or(file, "server", ImageLocation::ValuesByRepository),
    )
}

fn write_sha(file: &mut YamlWriter) -> Shape {
    let (registry, rest) = split_name(file);
    file.write_line(0, "image:");
    file.write_line(1, &format!("registry: {registry}"));
    file.write_line(1, &format!("repository: {rest}"));
    let (old, new) = (file.old.clone(), file.new.clone());
    file.write_value(1, "tag", &old, &new);
    let head = format!("{}sha: ", " ".repeat(file.indent));
    let hex = file.digest.as_deref().unwrap_or_default().trim_start_matches("sha256:").to_owned();
    file.write_change(&format!("{head}\"{}\"\n", "0a".repeat(32)), &format!("{head}\"{hex}\"\n"));
    Shape::edited("values, sha", path_or(file, "image", ImageLocation::ValuesByRepository))
}

fn write_name_in_pieces(file: &mut YamlWriter) -> Shape {
    let (registry, rest) = split_name(file);
    let key = file.random.choice(["name", "image", "repo"]).unwrap_or("name");
    file.write_line(0, "image:");
    match rest.rsplit_once('/').filter(|_| key != "repo") {
        Some((front, last)) if file.chance(50) => {
            let (front, last) = (front.to_owned(), last.to_owned());
            file.write_line(1, &format!("registry: {registry}"));
            file.write_line(1, &format!("repository: {front}"));
            file.write_line(1, &format!("{key}: {last}"));
        }
        _ => {
            file.write_line(1, &format!("registry: {registry}"));
            file.write_line(1, &format!("{key}: {rest}"));
        }
    }
    write_tag(file, 1, "tag");
    Shape::edited("values, name in pieces", path_or(file, "image", ImageLocation::ValuesByRepository))
}

fn write_global_registry(file: &mut YamlWriter) -> Shape {
    let (registry, rest) = split_name(file);
    file.write_line(0, "global:");
    file.write_line(1, &format!("imageRegistry: {registry}"));
    file.write_extras(0);
    file.write_line(0, "image:");
    file.write_line(1, &format!("repository: {rest}"));
    write_tag(file, 1, "tag");
    Shape::edited("values, global registry", path_or(file, "image", ImageLocation::ValuesByRepository))
}

fn write_hosts_and_ports(file: &mut YamlWriter) -> Shape {
    file.repository = "redis".into();
    file.write_line(0, "image:");
    write_repository(file, 1);
    write_tag(file, 1, "tag");
    file.write_raw("cache:\n  url: redis:6379 # a host\n  hosts: [\"redis:6380\", 'redis:primary']\n");
    file.write_raw("env:\n- {name: redis, value: \"redis:6379\"}\n");
    file.write_extras(0);
    Shape::edited("values, hosts and ports", ImageLocation::ValuesByRepository)
}

fn write_spelled_registry(file: &mut YamlWriter) -> Shape {
    write_head(file, "apps/v1", "Deployment");
    file.repository = "redis".into();
    let spelled =
        file.random.choice(["docker.io/library/redis", "docker.io/redis", "redis"]).unwrap_or("redis");
    let items = " ".repeat(3 * file.indent + file.item_indent);
    file.write_line(1, "template:");
    file.write_line(2, "spec:");
    file.write_line(3, "containers:");
    file.write_raw(&format!("{items}- name: app\n"));
    let new = file.new_reference().replacen("redis", spelled, 1);
    let old = format!("{spelled}:{}", file.old);
    file.write_change(&format!("{items}  image: {old}\n"), &format!("{items}  image: {new}\n"));
    Shape::edited("spelling of the registry", ImageLocation::ContainersByRepository)
}

fn write_shared_anchor(file: &mut YamlWriter) -> Shape {
    write_head(file, "batch/v1", "Job");
    let items = " ".repeat(3 * file.indent + file.item_indent);
    file.write_line(1, "template:");
    file.write_line(2, "spec:");
    file.write_line(3, "initContainers:");
    file.write_raw(&format!("{items}- name: migrate\n"));
    write_image_line(file, &format!("{items}  image: &image "));
    file.write_line(3, "containers:");
    file.write_raw(&format!("{items}- name: app\n{items}  image: *image\n"));
    let by_name = file.chance(50);
    let location = match by_name {
        true => ImageLocation::Container { name: "app".into() },
        false => ImageLocation::ContainersByRepository,
    };
    Shape::edited("shared anchor", location)
}

fn write_folded_text(file: &mut YamlWriter) -> Shape {
    write_head(file, "batch/v1", "Job");
    let items = " ".repeat(3 * file.indent + file.item_indent);
    file.write_line(1, "template:");
    file.write_line(2, "spec:");
    file.write_line(3, "containers:");
    file.write_raw(&format!("{items}- name: app\n"));
    file.write_raw(&format!("{items}  command: 'first\n{items}  second\n\n{items}  it''s \"third\"'\n"));
    write_image_line(file, &format!("{items}  image: "));
    file.write_raw(&format!("{items}  note: \"one\n{items}  two\"\n"));
    Shape::edited("folded text", ImageLocation::ContainersByRepository)
}

fn write_separator_in_comment(file: &mut YamlWriter) -> Shape {
    let mark = file.random.choice(["\u{2028}", "\u{2029}", "\u{85}"]).unwrap_or("\u{2028}");
    let harmless = file.chance(70);
    file.write_raw(&format!("# café{mark}{}\n", if harmless { "# copied" } else { "(copied)" }));
    file.write_raw("web:\n");
    write_image_line(file, "  image: ");
    match harmless {
        true => Shape::edited("separator in a comment", ImageLocation::ValuesByRepository),
        false => Shape::rejected(
            "separator before text",
            ImageLocation::ValuesByRepository,
            "line end in YAML 1.1",
        ),
    }
}

fn write_documents_by_path(file: &mut YamlWriter) -> Shape {
    file.write_raw(
        "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: { name: p }\nspec: {}\n---\n",
    );
    let (level, path) = write_source(file);
    file.write_line(level, "helm:");
    file.write_line(level + 1, "valuesObject:");
    file.write_line(level + 2, "image:");
    write_repository(file, level + 3);
    write_tag(file, level + 3, "tag");
    let path = format!("{path}.helm.valuesObject.image");
    Shape::edited("several documents by path", ImageLocation::from_values_path(&path))
}

fn write_tag_alone(file: &mut YamlWriter) -> Shape {
    let (key, path) = *file
        .random
        .choice(&[("image", "image"), ("\"a.b\"", "[\"a.b\"].tag"), ("c[0]", r"c\[0].tag"), ("d", "d/tag")])
        .unwrap_or(&("image", "image"));
    file.pin = HelmPin::Tag;
    file.digest = None;
    file.write_line(0, &format!("{key}:"));
    write_tag(file, 1, "tag");
    file.write_extras(0);
    Shape::edited("values, tag alone", ImageLocation::from_values_path(path))
}

fn write_list_of_images(file: &mut YamlWriter) -> Shape {
    file.write_raw("images:\n  proxy: envoyproxy/envoy:v1.30\n");
    write_image_line(file, "  app: ");
    file.write_raw("  docs: acme/docs:v1\nother:\n- busybox:1.36\n");
    Shape::edited("values, images", path_or(file, "images.app", ImageLocation::ValuesByRepository))
}

fn write_version_that_is_no_image(file: &mut YamlWriter) -> Shape {
    file.write_raw("api:\n  version: \"1.2.3\"\n  replicas: 3\n");
    file.write_extras(0);
    let path = file.random.choice(["api.version", "api.replicas"]).unwrap_or("api.version");
    Shape::rejected("a path to no image", ImageLocation::from_values_path(path), "which is not an image")
}

fn write_two_tags(file: &mut YamlWriter) -> Shape {
    file.write_line(0, "jobs:");
    write_repository(file, 1);
    file.write_line(1, "webTag: v1");
    file.write_line(1, "cronTag: v2");
    Shape::rejected(
        "two tags",
        path_or(file, "jobs", ImageLocation::ValuesByRepository),
        "`webTag` or `cronTag` is the version",
    )
}

fn write_anchor_of_others(file: &mut YamlWriter) -> Shape {
    file.write_line(0, "web:");
    write_repository(file, 1);
    file.write_line(1, "tag: &tag v1");
    file.write_line(0, "db:");
    file.write_line(1, "repository: acme/database");
    file.write_line(1, "tag: *tag");
    Shape::rejected(
        "anchor of another image",
        path_or(file, "web", ImageLocation::ValuesByRepository),
        "`web.tag` is also used elsewhere, by an alias on line",
    )
}
