//! Names in the settings `ecs:`: what no cluster, service or container can be called, and what was probably meant.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>

use serde::{Deserialize, Deserializer};

use crate::release::aws_values::{Arn, reject_arn};

/// The longest name of a cluster, a service or a container.
const MAX_NAME_BYTES: usize = 255;

pub(super) fn read_cluster<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    read_with(from, check_cluster)
}

pub(super) fn read_service<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    read_with(from, check_service)
}

pub(super) fn read_container<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(name) = Option::<String>::deserialize(from)? else { return Ok(None) };
    check_container(&name).map(|()| Some(name)).map_err(serde::de::Error::custom)
}

fn read_with<'de, D: Deserializer<'de>>(
    from: D,
    check: fn(&str) -> Result<(), String>,
) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    check(&name).map(|()| name).map_err(serde::de::Error::custom)
}

/// A cluster may also be named by its ARN.
fn check_cluster(text: &str) -> Result<(), String> {
    let Some(arn) = Arn::parse(text) else { return check_name(text, "cluster") };
    arn.check_place().map_err(|why| format!("in `{text}`, {why}"))?;
    let mut parts = arn.resource.split('/');
    match (arn.service, parts.next(), parts.next(), parts.next()) {
        ("ecs", Some("cluster"), Some(name), None) => check_name(name, "cluster"),
        ("ecs", Some("service"), Some(cluster), Some(_)) => Err(format!(
            "`{text}` is the ARN of a service; write the name of its cluster, such as `{cluster}`"
        )),
        _ => Err(format!("`{text}` is not the ARN of a cluster; write its name")),
    }
}

/// A service may also be named by its ARN.
fn check_service(text: &str) -> Result<(), String> {
    let Some(arn) = Arn::parse(text) else { return check_name(text, "service") };
    arn.check_place().map_err(|why| format!("in `{text}`, {why}"))?;
    match arn.resource.strip_prefix("service/").filter(|_| arn.service == "ecs") {
        Some(path) => path.split('/').try_for_each(|name| check_name(name, "service")),
        None => Err(format!("`{text}` is not the ARN of an ECS service; write the name of the service")),
    }
}

fn check_container(text: &str) -> Result<(), String> {
    reject_arn(text, "the name of the container")?;
    check_name(text, "container")
}

/// Letters, digits, underscores and hyphens. `*` stands for a value that only a run knows (`roadstead policy`).
fn check_name(text: &str, what: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-*".contains(c);
    if text.is_empty() {
        return Err(format!("the name of the {what} is empty"));
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("the name of the {what} has {} bytes, more than {MAX_NAME_BYTES}", text.len()));
    }
    if text.chars().all(is_plain) {
        return Ok(());
    }
    let last = text.rsplit('/').next().unwrap_or_default();
    let is_path = text.contains('/') && !last.is_empty() && last.chars().all(is_plain);
    let near = if is_path { format!("; did you mean `{last}`") } else { String::new() };
    Err(format!(
        "`{}` cannot be the name of a {what}, which has letters, digits, `-` and `_`{near}",
        text.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_ecs_accepts_are_accepted() {
        for name in ["acme", "acme-staging", "Acme_2", "acme-*"] {
            assert_eq!(
                (check_cluster(name), check_service(name), check_container(name)),
                (Ok(()), Ok(()), Ok(()))
            );
        }
        assert_eq!(check_cluster("arn:aws:ecs:eu-west-1:111111111111:cluster/acme"), Ok(()));
        assert_eq!(check_service("arn:aws:ecs:eu-west-1:111111111111:service/acme/web"), Ok(()));
    }

    #[test]
    fn name_that_cannot_exist_is_rejected_with_what_was_meant() {
        let why = |found: Result<(), String>| found.unwrap_err();
        assert!(why(check_service("acme/web")).ends_with("did you mean `web`"));
        assert!(why(check_service("web.internal")).contains("letters, digits"));
        assert!(why(check_cluster("my cluster")).contains("letters, digits"));
        assert!(why(check_container("")).contains("is empty"));
        assert!(why(check_cluster(&"x".repeat(256))).contains("256 bytes"));
        let service = "arn:aws:ecs:eu-west-1:111111111111:service/acme/web";
        assert!(why(check_cluster(service)).ends_with("such as `acme`"));
        assert!(
            why(check_service("arn:aws:ecs:eu-west-1:111111111111:cluster/acme")).contains("is not the ARN")
        );
        assert!(why(check_service("arn:aws:ecs:eu-west-1:11111111111:service/a/b")).contains("11 digits"));
        assert!(why(check_cluster("arn:aws:ecs:euwest1:111111111111:cluster/a")).contains("is not a region"));
        assert!(
            why(check_container("arn:aws:ecs:eu-west-1:111111111111:container/a/app"))
                .ends_with("such as `app`")
        );
    }
}
