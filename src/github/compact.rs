//! A record in the descriptions of statuses, for deployments that GitHub makes by itself, whose payload is not ours: a
//! text without spaces, cut into numbered parts. Pure; what is read is from outside.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::ledger::DESCRIPTION;
use crate::release::{Digest, ImageRef, Record, Recorded};

/// The form of this version; another one is not read.
const FORM: &str = "roadstead/1 ";
/// Characters of a description that its head takes at most: the form, a tag, two numbers and the spaces.
const HEAD: usize = FORM.len() + TAG + 1 + 5 + 1;
/// Digits of a tag.
const TAG: usize = 8;
/// So many parts at most: each is a request that GitHub counts.
const PARTS: usize = 20;
/// What stands for itself. Whatever parts the text is none of it.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':').remove(b'/');

/// The tag of `record` and its descriptions; `None` where it is too large for them.
pub fn encoded(record: &Record) -> Option<(String, Vec<String>)> {
    let text = text(record);
    let parts: Vec<&[u8]> = text.as_bytes().chunks(DESCRIPTION - HEAD).collect();
    if parts.len() > PARTS {
        return None;
    }
    let (tag, count) = (tag(&text), parts.len());
    let part = |(index, part): (usize, &&[u8])| {
        format!("{FORM}{tag} {}/{count} {}", index + 1, String::from_utf8_lossy(part))
    };
    let descriptions = parts.iter().enumerate().map(part).collect();
    Some((tag, descriptions))
}

/// The whole records in these descriptions, each with its tag, in the order of the tags.
pub fn decoded<'d>(environment: &str, descriptions: impl Iterator<Item = &'d str>) -> Vec<(String, Record)> {
    let mut parts: BTreeMap<(&str, usize), BTreeMap<usize, &str>> = BTreeMap::new();
    for (tag, number, count, part) in descriptions.filter_map(part) {
        parts.entry((tag, count)).or_default().insert(number, part);
    }
    let whole = parts.into_iter().filter(|((_, count), parts)| parts.len() == *count);
    let read = |((known, _), parts): ((&str, usize), BTreeMap<usize, &str>)| {
        let text: String = parts.into_values().collect();
        (tag(&text) == known).then(|| Some((known.to_owned(), record(environment, &text)?)))?
    };
    whole.filter_map(read).collect()
}

/// Whether a description is a part of a record.
pub fn is_part(description: &str) -> bool {
    description.starts_with(FORM)
}

fn part(description: &str) -> Option<(&str, usize, usize, &str)> {
    let mut words = description.strip_prefix(FORM)?.split(' ');
    let (tag, place, part) = (words.next()?, words.next()?, words.next()?);
    let (number, count) = place.split_once('/')?;
    let (number, count): (usize, usize) = (number.parse().ok()?, count.parse().ok()?);
    ((1..=count).contains(&number) && count <= PARTS).then_some((tag, number, count, part))
}

fn tag(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(TAG).collect()
}

/// `commit;common start of the images;service=rest of its image;…`
fn text(record: &Record) -> String {
    let images: Vec<String> = record.services.values().map(|one| one.image.name()).collect();
    let common = common(&images);
    let mut fields = vec![escaped(&record.commit), escaped(common)];
    for (name, one) in &record.services {
        fields.push(format!("{}={}", escaped(name), image(&one.image, common.len())));
    }
    fields.join(";")
}

/// What all names begin with, up to a slash.
fn common(names: &[String]) -> &str {
    let Some(first) = names.first() else { return "" };
    let ends = first.rmatch_indices('/').map(|(at, _)| &first[..=at]);
    ends.into_iter().find(|start| names.iter().all(|name| name.starts_with(start))).unwrap_or_default()
}

fn image(image: &ImageRef, from: usize) -> String {
    let mut text = escaped(&image.name()[from..]);
    if let Some(tag) = &image.tag {
        text += &format!("+{}", escaped(tag));
    }
    if let Some(digest) = &image.digest {
        let bytes = hex::decode(digest.as_str().trim_start_matches("sha256:")).unwrap_or_default();
        text += &format!("@{}", URL_SAFE_NO_PAD.encode(bytes));
    }
    text
}

fn record(environment: &str, text: &str) -> Option<Record> {
    let mut fields = text.split(';');
    let (commit, common) = (plain(fields.next()?)?, plain(fields.next()?)?);
    let service = |field: &str| {
        let (name, rest) = field.split_once('=')?;
        Some((plain(name)?, Recorded { image: image_of(&common, rest)? }))
    };
    let services = fields.map(service).collect::<Option<_>>()?;
    Some(Record { environment: environment.to_owned(), commit, services })
}

fn image_of(common: &str, text: &str) -> Option<ImageRef> {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = rest.split_once('+').map_or((rest, None), |(name, tag)| (name, Some(tag)));
    let mut reference = format!("{common}{}", plain(name)?);
    if let Some(tag) = tag {
        reference += &format!(":{}", plain(tag)?);
    }
    let image: ImageRef = reference.parse().ok()?;
    let digest = match digest {
        Some(text) => Some(digest_of(text)?),
        None => None,
    };
    Some(ImageRef { digest, ..image })
}

fn digest_of(text: &str) -> Option<Digest> {
    format!("sha256:{}", hex::encode(URL_SAFE_NO_PAD.decode(text).ok()?)).parse().ok()
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn plain(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(byte: u8) -> String {
        format!("sha256:{}", hex::encode([byte; 32]))
    }

    fn of(services: &[(&str, &str)]) -> Record {
        let recorded =
            |(name, image): &(&str, &str)| ((*name).to_owned(), Recorded { image: image.parse().unwrap() });
        Record {
            environment: "production".into(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            services: services.iter().map(recorded).collect(),
        }
    }

    fn back(descriptions: &[String]) -> Vec<Record> {
        let all = descriptions.iter().map(String::as_str);
        decoded("production", all).into_iter().map(|(_, record)| record).collect()
    }

    #[test]
    fn one_service_takes_two_statuses() {
        let image = format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@{}", digest(0xa7));
        let record = of(&[("backend", &image)]);
        let (_, descriptions) = encoded(&record).unwrap();
        insta::assert_snapshot!(descriptions.join("\n"), @r"
        roadstead/1 345e84ca 1/2 0123456789abcdef0123456789abcdef01234567;111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/;backend=backend@p6enp
        roadstead/1 345e84ca 2/2 6enp6enp6enp6enp6enp6enp6enp6enp6enp6c
        ");
        assert_eq!(back(&descriptions), [record]);
    }

    #[test]
    fn what_is_not_whole_or_was_changed_is_not_read() {
        let image = format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web@{}", digest(1));
        let other = format!("111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/web@{}", digest(2));
        let first = encoded(&of(&[("web", &image)])).unwrap().1;
        let second = encoded(&of(&[("web", &other)])).unwrap().1;
        assert!(first.len() > 1);
        assert_eq!(back(&first[1..]), []);
        assert_eq!(back(&first[..1]), []);
        let mixed = [&second[1..], &first[..], &second[..1]].concat();
        assert_eq!(back(&mixed).len(), 2, "in any order, and several side by side");
        let changed: Vec<String> = first.iter().map(|part| part.replace("web", "wep")).collect();
        assert_eq!(back(&changed), []);
        let another: Vec<String> =
            first.iter().map(|part| part.replace("roadstead/1", "roadstead/2")).collect();
        assert_eq!(back(&another), []);
    }

    #[test]
    fn what_is_too_large_is_not_cut() {
        let image = format!("r.example/acme/web@{}", digest(1));
        let names: Vec<String> = (0..60).map(|number| format!("service-{number}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), image.as_str())).collect();
        assert!(encoded(&of(&many[..20])).is_some());
        assert_eq!(encoded(&of(&many)), None);
    }

    prop_compose! {
        fn recorded()(
            registry in prop_oneof![Just(""), Just("r.example/"), Just("127.0.0.1:5000/")],
            path in prop::collection::vec("[a-z0-9]{1,9}", 1..4),
            tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,9}"),
            byte in prop::option::of(any::<u8>()),
        ) -> Recorded {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = byte.map(|byte| format!("@{}", digest(byte))).unwrap_or_default();
            Recorded { image: format!("{registry}{}{tag}{digest}", path.join("/")).parse().unwrap() }
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            commit in "[0-9a-f]{0,40}",
            services in prop::collection::btree_map("\\PC{1,12}", recorded(), 0..6),
        ) {
            let record = Record { environment: "production".into(), commit, services };
            if let Some((_, descriptions)) = encoded(&record) {
                for text in &descriptions {
                    let visible = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
                    prop_assert!(text.len() <= DESCRIPTION && visible && text.trim() == text, "{text}");
                }
                let reversed: Vec<String> = descriptions.into_iter().rev().collect();
                prop_assert_eq!(back(&reversed), vec![record]);
            }
        }

        #[test]
        fn nothing_from_outside_makes_it_stumble(texts in prop::collection::vec("\\PC{0,60}", 0..6)) {
            let texts: Vec<String> = texts.iter().map(|text| format!("{FORM}{text}")).collect();
            let _ = back(&texts);
        }
    }
}
