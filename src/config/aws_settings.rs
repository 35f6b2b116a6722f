//! The block `aws` of an environment: its values are read with their rules, and compared with each other.

use serde::{Deserialize, Deserializer};

use super::tree::ConfigNode;
use super::written_text::written_digits;
use crate::problem::{Code, Problem};
use crate::release::aws_values::{
    Arn, check_account, check_region, check_role, find_unlisted, partition_of_region,
};

/// Reads an optional region.
pub(super) fn read_region<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    checked(Option::<String>::deserialize(from)?, check_region)
}

/// Reads an optional role.
pub(super) fn read_role<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    checked(Option::<String>::deserialize(from)?, check_role)
}

/// Reads an account, whose digits need no quotes.
pub(super) fn read_account<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    checked(Some(written_digits(from)?), check_account)
}

fn checked<E: serde::de::Error>(
    text: Option<String>,
    check: fn(&str) -> Result<(), String>,
) -> Result<Option<String>, E> {
    text.map(|text| check(&text).map(|()| text)).transpose().map_err(E::custom)
}

/// Values of an environment's `aws` that no account has together, and a region that is not known.
pub(super) fn problems(file: &str, environment: &str, node: &ConfigNode) -> Vec<Problem> {
    let Some(aws) = node.get("aws") else { return Vec::new() };
    let text = |key: &str| {
        let node = aws.get(key)?;
        Some((node, node.to_value().as_str().map(str::to_owned).or_else(|| node.written.clone())?))
    };
    let (region, account, role) = (text("region"), text("account"), text("role"));
    let at = |problem: Problem, node: &ConfigNode| problem.at_location(file, node.line, node.column);
    let mut found = Vec::new();
    if let Some((node, region)) = region.as_ref().filter(|(_, region)| check_region(region).is_ok()) {
        found.extend(unknown_region(region).map(|problem| at(problem, node)));
    }
    let Some((node, role)) = role.as_ref().filter(|(_, role)| check_role(role).is_ok()) else { return found };
    let Some(arn) = Arn::parse(role) else { return found };
    if let Some((_, account)) =
        account.filter(|(_, account)| account != arn.account && check_account(account).is_ok())
    {
        let sentence = format!(
            "The role of `{environment}` is in account {}, and its `account` is {account}.",
            arn.account
        );
        let help = "Name a role of that account, or correct `account`.";
        found.push(at(Problem::error(Code::ConfigInvalid, sentence).help(help), node));
    }
    if let Some((_, region)) = region.filter(|(_, region)| check_region(region).is_ok()) {
        let partition = partition_of_region(&region);
        if partition != arn.partition {
            let sentence = format!(
                "The role of `{environment}` is in the partition `{}`, and the region `{region}` is in `{partition}`.",
                arn.partition
            );
            let help = format!("Name a role that begins with `arn:{partition}:`, or correct `region`.");
            found.push(at(Problem::error(Code::ConfigInvalid, sentence).help(help), node));
        }
    }
    found
}

/// A region of the right form that is not in the list: a typo, or a new one.
fn unknown_region(region: &str) -> Option<Problem> {
    let unlisted = find_unlisted(region)?;
    let sentence = format!("The region `{region}` is not known to this version of Roadstead.");
    let help = match unlisted.near {
        Some(near) => format!("Did you mean `{near}`? If the region is new, nothing has to be done."),
        None => "Check its name. If the region is new, nothing has to be done.".to_owned(),
    };
    Some(Problem::warning(Code::ConfigInvalid, sentence).help(help))
}
