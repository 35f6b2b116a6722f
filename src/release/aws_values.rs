//! Regions, accounts and ARNs of AWS: what none can be, and what was probably meant. Nothing is asked of AWS.

use crate::problem::suggest;

/// Regions that exist: only for suggestions and warnings, because AWS adds regions.
const REGIONS: [&str; 40] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-1",
    "ap-south-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "mx-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-gov-east-1",
    "us-gov-west-1",
    "eusc-de-east-1",
    "us-iso-east-1",
];

/// The directions in the names of regions.
const DIRECTIONS: [&str; 9] =
    ["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];

/// Partitions by the beginning of their regions; all others are of `aws`.
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
];

/// Accepts a region such as `eu-west-1`: an area, a direction and a number.
pub fn check_region(text: &str) -> Result<(), String> {
    let mut parts = text.rsplitn(3, '-');
    let (number, direction, area) = (parts.next(), parts.next(), parts.next());
    let is_number =
        number.is_some_and(|it| (1..=2).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()));
    let is_area = area.is_some_and(|area| {
        area.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
    });
    if is_number && is_area && direction.is_some_and(|it| DIRECTIONS.contains(&it)) {
        return Ok(());
    }
    let near = meant_region(text).map(|near| format!("; did you mean `{near}`")).unwrap_or_default();
    Err(format!("`{text}` is not a region such as `eu-west-1`{near}"))
}

/// The region that a text was probably meant to be: a typo, or the name of an availability zone.
fn meant_region(text: &str) -> Option<&'static str> {
    let lower = text.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    let zone = lower.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let exact = REGIONS.into_iter().find(|region| *region == lower || *region == zone);
    exact.or_else(|| suggest(&lower, REGIONS))
}

/// The partition of a region.
pub fn partition_of_region(region: &str) -> &'static str {
    let known = PARTITIONS.into_iter().find(|(prefix, _)| region.starts_with(prefix));
    known.map_or("aws", |(_, partition)| partition)
}

/// Accepts the id of an account: 12 digits.
pub fn check_account(text: &str) -> Result<(), String> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if digits == 12 && text.len() == 12 {
        return Ok(());
    }
    if text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() {
        let noun = if digits == 1 { "digit" } else { "digits" };
        return Err(format!("`{text}` has {digits} {noun}, and the id of an AWS account has 12"));
    }
    Err(match Arn::parse(text).filter(|arn| check_account(arn.account).is_ok()) {
        Some(arn) => format!("`{text}` is an ARN; write `{}`, the id of its account", arn.account),
        None => format!("`{text}` is not the id of an AWS account, which has 12 digits"),
    })
}

/// Accepts the ARN of a role, in any partition.
pub fn check_role(text: &str) -> Result<(), String> {
    let wanted = "is not a role such as `arn:aws:iam::111111111111:role/deploy`";
    let Some(arn) = Arn::parse(text) else { return Err(format!("`{text}` {wanted}")) };
    let is_named =
        |name: &str| !name.is_empty() && !name.ends_with('/') && name.bytes().all(|b| b.is_ascii_graphic());
    if arn.service == "iam" && arn.region.is_empty() {
        check_account(arn.account).map_err(|why| format!("in the role `{text}`, {why}"))?;
        if arn.resource.strip_prefix("role/").is_some_and(is_named) {
            return Ok(());
        }
    }
    let is_session = arn.service == "sts" && arn.resource.starts_with("assumed-role/");
    let role = arn.resource.split('/').nth(1).filter(|_| is_session);
    let hint =
        role.map(|role| format!("; did you mean `arn:{}:iam::{}:role/{role}`", arn.partition, arn.account));
    Err(format!("`{text}` {wanted}{}", hint.unwrap_or_default()))
}

/// The parts of an ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// Such as `aws`.
    pub partition: &'a str,
    /// Such as `ecs`.
    pub service: &'a str,
    /// The region, empty for global resources.
    pub region: &'a str,
    /// The account, empty for some resources.
    pub account: &'a str,
    /// What is left.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of a text that has the form of an ARN, whatever is in them.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition) = (parts.next()?, parts.next()?);
        let (service, region, account, resource) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_arn = arn == "arn" && partition.starts_with("aws") && !service.is_empty();
        is_arn.then_some(Self { partition, service, region, account, resource })
    }

    /// Accepts an ARN whose region and account can exist.
    pub fn check_place(&self) -> Result<(), String> {
        check_region(self.region)?;
        check_account(self.account)
    }

    /// The last part of the resource: the name.
    pub fn name(&self) -> &'a str {
        self.resource.rsplit(['/', ':']).next().unwrap_or_default()
    }
}

/// Accepts a name that is no ARN; `what` says which name is wanted.
pub fn reject_arn(text: &str, what: &str) -> Result<(), String> {
    match Arn::parse(text) {
        Some(arn) => Err(format!("`{text}` is an ARN; write {what}, such as `{}`", arn.name())),
        None => Ok(()),
    }
}

/// Whether a region of the right form is not in the list of those that exist, and the one that was perhaps meant.
pub fn find_unlisted(region: &str) -> Option<UnlistedRegion> {
    let is_listed = REGIONS.contains(&region) || region.contains("-iso");
    (!is_listed).then(|| UnlistedRegion { near: suggest(region, REGIONS) })
}

/// A region that may be new, or a typo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlistedRegion {
    /// The nearest one that exists.
    pub near: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_has_an_area_a_direction_and_a_number() {
        for region in REGIONS.into_iter().chain(["ap-southeast-12", "nz-north-1", "us-isob-east-1"]) {
            assert_eq!(check_region(region), Ok(()), "{region}");
        }
        for (wrong, meant) in [
            ("eu-west", Some("eu-west-1")),
            ("EU-WEST-1", Some("eu-west-1")),
            ("eu_west_1", Some("eu-west-1")),
            ("eu-west-1a", Some("eu-west-1")),
            ("eu-wset-1", Some("eu-west-1")),
            ("eu-west1", Some("eu-west-1")),
            ("europe-west1", None),
            ("Ireland", None),
            ("", None),
            ("eu-west-1\n", Some("eu-west-1")),
            ("1", None),
            ("eu--west-1", Some("eu-west-1")),
        ] {
            let why = check_region(wrong).unwrap_err();
            match meant {
                Some(meant) => assert!(why.ends_with(&format!("did you mean `{meant}`")), "{wrong}: {why}"),
                None => assert!(!why.contains("did you mean"), "{wrong}: {why}"),
            }
        }
    }

    #[test]
    fn account_has_twelve_digits() {
        assert_eq!(check_account("012345678901"), Ok(()));
        assert!(check_account("11111111111").unwrap_err().contains("has 11 digits"));
        assert!(check_account("1111-1111-1111").is_err() && check_account("").is_err());
        let arn = check_account("arn:aws:iam::111111111111:root").unwrap_err();
        assert!(arn.contains("write `111111111111`"), "{arn}");
    }

    #[test]
    fn role_is_the_arn_of_a_role() {
        for good in ["arn:aws:iam::111111111111:role/deploy", "arn:aws-cn:iam::111111111111:role/a/b"] {
            assert_eq!(check_role(good), Ok(()), "{good}");
        }
        for bad in [
            "deploy",
            "arn:aws:iam::111111111111:user/x",
            "arn:aws:iam::111111111111:role/",
            "arn:aws:iam:eu-west-1:111111111111:role/x",
            "arn:aws:ecs::111111111111:role/x",
            "111111111111",
        ] {
            assert!(check_role(bad).unwrap_err().contains("is not a role such as"), "{bad}");
        }
        assert!(check_role("arn:aws:iam::11111111111:role/x").unwrap_err().contains("has 11 digits"));
        let session = check_role("arn:aws:sts::111111111111:assumed-role/deploy/me").unwrap_err();
        assert!(session.ends_with("did you mean `arn:aws:iam::111111111111:role/deploy`"), "{session}");
    }

    #[test]
    fn partition_follows_from_the_region() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of_region(region), partition, "{region}");
        }
    }

    #[test]
    fn arn_in_place_of_a_name_suggests_the_name() {
        let alarm = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:backend-5xx";
        assert!(reject_arn(alarm, "the name").unwrap_err().ends_with("such as `backend-5xx`"));
        assert_eq!(reject_arn("backend-5xx", "the name"), Ok(()));
    }
}
