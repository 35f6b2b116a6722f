//! A record in the descriptions of statuses, for deployments that GitHub creates, whose payload is not ours: a
//! text without spaces, cut into numbered parts. Pure; the descriptions are untrusted.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::deployment_history::MAX_DESCRIPTION_CHARS;
use crate::release::{DeploymentRecord, Digest, ImageRef, RecordedService};

/// The format of this version; others are ignored.
const FORMAT_PREFIX: &str = "roadstead/1 ";
/// Maximum characters of the head of a description: the format, a tag, two numbers and the spaces.
const HEADER_LENGTH: usize = FORMAT_PREFIX.len() + TAG_LENGTH + 1 + 5 + 1;
/// Digits of a tag.
const TAG_LENGTH: usize = 8;
/// Maximum parts: each is a request that GitHub counts.
const MAX_FRAGMENTS: usize = 20;
/// Characters that are not escaped. The separators are not among them.
const ESCAPED_CHARS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':').remove(b'/');

/// Stands before the image of a service to which the run brought nothing.
const UNCHANGED: &str = "!";

/// The tag of `record` and its descriptions; `None` if it is too large for them.
pub fn encode(record: &DeploymentRecord) -> Option<(String, Vec<String>)> {
    let text = record_text(record);
    let parts: Vec<&[u8]> = text.as_bytes().chunks(MAX_DESCRIPTION_CHARS - HEADER_LENGTH).collect();
    if parts.len() > MAX_FRAGMENTS {
        return None;
    }
    let (tag, count) = (checksum_tag(&text), parts.len());
    let part = |(index, part): (usize, &&[u8])| {
        format!("{FORMAT_PREFIX}{tag} {}/{count} {}", index + 1, String::from_utf8_lossy(part))
    };
    let descriptions = parts.iter().enumerate().map(part).collect();
    Some((tag, descriptions))
}

/// The complete records in these descriptions, each with its tag, in the order of the tags.
pub fn decode<'d>(
    environment: &str,
    descriptions: impl Iterator<Item = &'d str>,
) -> Vec<(String, DeploymentRecord)> {
    let mut parts: BTreeMap<(&str, usize), BTreeMap<usize, &str>> = BTreeMap::new();
    for (tag, number, count, part) in descriptions.filter_map(parse_fragment) {
        parts.entry((tag, count)).or_default().insert(number, part);
    }
    let whole = parts.into_iter().filter(|((_, count), parts)| parts.len() == *count);
    let read = |((known, _), parts): ((&str, usize), BTreeMap<usize, &str>)| {
        let text: String = parts.into_values().collect();
        (checksum_tag(&text) == known).then(|| Some((known.to_owned(), parse_record(environment, &text)?)))?
    };
    whole.filter_map(read).collect()
}

/// Whether a description is a part of a record.
pub fn is_fragment(description: &str) -> bool {
    description.starts_with(FORMAT_PREFIX)
}

fn parse_fragment(description: &str) -> Option<(&str, usize, usize, &str)> {
    let mut words = description.strip_prefix(FORMAT_PREFIX)?.split(' ');
    let (tag, place, part) = (words.next()?, words.next()?, words.next()?);
    let (number, count) = place.split_once('/')?;
    let (number, count): (usize, usize) = (number.parse().ok()?, count.parse().ok()?);
    ((1..=count).contains(&number) && count <= MAX_FRAGMENTS).then_some((tag, number, count, part))
}

fn checksum_tag(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(TAG_LENGTH).collect()
}

/// `commit;common start of the images;service=rest of its image;…`. Images of further containers follow that of their
/// service: `,container=rest of its image`.
fn record_text(record: &DeploymentRecord) -> String {
    let images = record
        .services
        .values()
        .flat_map(|one| [&one.image].into_iter().chain(one.container_images.values()));
    let images: Vec<String> = images.map(ImageRef::name).collect();
    let common = common_prefix(&images);
    let mut fields = vec![escape(&record.commit), escape(common)];
    for (name, one) in &record.services {
        let mark = if one.unchanged { UNCHANGED } else { "" };
        let further = one.container_images.iter();
        let further =
            further.map(|(name, image)| format!(",{}={}", escape(name), image_text(image, common.len())));
        let text = image_text(&one.image, common.len());
        fields.push(format!("{}={mark}{text}{}", escape(name), further.collect::<String>()));
    }
    fields.join(";")
}

/// The common prefix of all names, up to a slash.
fn common_prefix(names: &[String]) -> &str {
    let Some(first) = names.first() else { return "" };
    let ends = first.rmatch_indices('/').map(|(at, _)| &first[..=at]);
    ends.into_iter().find(|start| names.iter().all(|name| name.starts_with(start))).unwrap_or_default()
}

fn image_text(image: &ImageRef, from: usize) -> String {
    let mut text = escape(&image.name()[from..]);
    if let Some(tag) = &image.tag {
        text += &format!("+{}", escape(tag));
    }
    if let Some(digest) = &image.digest {
        let bytes = hex::decode(digest.as_str().trim_start_matches("sha256:")).unwrap_or_default();
        text += &format!("@{}", URL_SAFE_NO_PAD.encode(bytes));
    }
    text
}

fn parse_record(environment: &str, text: &str) -> Option<DeploymentRecord> {
    let mut fields = text.split(';');
    let (commit, common) = (unescape(fields.next()?)?, unescape(fields.next()?)?);
    let service = |field: &str| {
        let (name, rest) = field.split_once('=')?;
        let (unchanged, rest) = match rest.strip_prefix(UNCHANGED) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let mut images = rest.split(',');
        let image = parse_image(&common, images.next()?)?;
        let container = |part: &str| {
            let (name, image) = part.split_once('=')?;
            Some((unescape(name)?, parse_image(&common, image)?))
        };
        let container_images = images.map(container).collect::<Option<_>>()?;
        Some((unescape(name)?, RecordedService { image, container_images, unchanged }))
    };
    let services = fields.map(service).collect::<Option<_>>()?;
    Some(DeploymentRecord { environment: environment.to_owned(), commit, services })
}

fn parse_image(common: &str, text: &str) -> Option<ImageRef> {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = rest.split_once('+').map_or((rest, None), |(name, tag)| (name, Some(tag)));
    let mut reference = format!("{common}{}", unescape(name)?);
    if let Some(tag) = tag {
        reference += &format!(":{}", unescape(tag)?);
    }
    let image: ImageRef = reference.parse().ok()?;
    let digest = match digest {
        Some(text) => Some(parse_digest(text)?),
        None => None,
    };
    Some(ImageRef { digest, ..image })
}

fn parse_digest(text: &str) -> Option<Digest> {
    format!("sha256:{}", hex::encode(URL_SAFE_NO_PAD.decode(text).ok()?)).parse().ok()
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED_CHARS).to_string()
}

fn unescape(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(byte: u8) -> String {
        format!("sha256:{}", hex::encode([byte; 32]))
    }

    fn record_of(services: &[(&str, &str)]) -> DeploymentRecord {
        let recorded = |(name, image): &(&str, &str)| {
            ((*name).to_owned(), RecordedService::brought(image.parse().unwrap()))
        };
        DeploymentRecord {
            environment: "production".into(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            services: services.iter().map(recorded).collect(),
        }
    }

    fn decode_all(descriptions: &[String]) -> Vec<DeploymentRecord> {
        let all = descriptions.iter().map(String::as_str);
        decode("production", all).into_iter().map(|(_, record)| record).collect()
    }

    #[test]
    fn one_service_takes_two_statuses() {
        let image = format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@{}", digest(0xa7));
        let record = record_of(&[("backend", &image)]);
        let (_, descriptions) = encode(&record).unwrap();
        insta::assert_snapshot!(descriptions.join("\n"), @r"
        roadstead/1 345e84ca 1/2 0123456789abcdef0123456789abcdef01234567;111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/;backend=backend@p6enp
        roadstead/1 345e84ca 2/2 6enp6enp6enp6enp6enp6enp6enp6enp6enp6c
        ");
        assert_eq!(decode_all(&descriptions), [record]);
    }

    #[test]
    fn incomplete_or_modified_record_is_not_decoded() {
        let image = format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web@{}", digest(1));
        let other = format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web@{}", digest(2));
        let first = encode(&record_of(&[("web", &image)])).unwrap().1;
        let second = encode(&record_of(&[("web", &other)])).unwrap().1;
        assert!(first.len() > 1);
        assert_eq!(decode_all(&first[1..]), []);
        assert_eq!(decode_all(&first[..1]), []);
        let mixed = [&second[1..], &first[..], &second[..1]].concat();
        assert_eq!(decode_all(&mixed).len(), 2, "in any order, and several side by side");
        let changed: Vec<String> = first.iter().map(|part| part.replace("web", "wep")).collect();
        assert_eq!(decode_all(&changed), []);
        let another: Vec<String> =
            first.iter().map(|part| part.replace("roadstead/1", "roadstead/2")).collect();
        assert_eq!(decode_all(&another), []);
    }

    #[test]
    fn oversized_record_is_not_encoded() {
        let image = format!("r.example/acme/web@{}", digest(1));
        let names: Vec<String> = (0..60).map(|number| format!("service-{number}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), image.as_str())).collect();
        assert!(encode(&record_of(&many[..20])).is_some());
        assert_eq!(encode(&record_of(&many)), None);
    }

    prop_compose! {
        fn recorded()(
            image in image(),
            container_images in prop::collection::btree_map("\\PC{1,12}", image(), 0..3),
            unchanged in any::<bool>(),
        ) -> RecordedService {
            RecordedService { image, container_images, unchanged }
        }
    }

    prop_compose! {
        fn image()(
            registry in prop_oneof![Just(""), Just("r.example/"), Just("127.0.0.1:5000/")],
            path in prop::collection::vec("[a-z0-9]{1,9}", 1..4),
            tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,9}"),
            byte in prop::option::of(any::<u8>()),
        ) -> ImageRef {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = byte.map(|byte| format!("@{}", digest(byte))).unwrap_or_default();
            format!("{registry}{}{tag}{digest}", path.join("/")).parse().unwrap()
        }
    }

    proptest! {
        #[test]
        fn record_round_trips(
            commit in "[0-9a-f]{0,40}",
            services in prop::collection::btree_map("\\PC{1,12}", recorded(), 0..6),
        ) {
            let record = DeploymentRecord { environment: "production".into(), commit, services };
            if let Some((_, descriptions)) = encode(&record) {
                for text in &descriptions {
                    let visible = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
                    prop_assert!(text.len() <= MAX_DESCRIPTION_CHARS && visible && text.trim() == text, "{text}");
                }
                let reversed: Vec<String> = descriptions.into_iter().rev().collect();
                prop_assert_eq!(decode_all(&reversed), vec![record]);
            }
        }

        #[test]
        fn nothing_from_outside_makes_it_stumble(texts in prop::collection::vec("\\PC{0,60}", 0..6)) {
            let texts: Vec<String> = texts.iter().map(|text| format!("{FORMAT_PREFIX}{text}")).collect();
            let _ = decode_all(&texts);
        }
    }
}
