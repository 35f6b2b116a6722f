//! Every format that people paste, and every damage that a secret suffers.

use super::keys::{Identity, KeyFault};

const PASSPHRASE: &str = "open sesame";

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/ssh/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn outcome(text: &str, passphrase: Option<&str>) -> Result<String, KeyFault> {
    Identity::parse(text, passphrase).map(|key| key.fingerprint())
}

const PLAIN: [(&str, &str); 5] = [
    ("ed25519", "ssh-ed25519 SHA256:qDkbHhhxAH3Hn+1fR02PlA7abSWphSco/oesPiBUu6c"),
    ("ecdsa", "ecdsa-sha2-nistp256 SHA256:dczKate9k/0SMKgF6PN/aOoSgEnnk5foKGAlgQ8qmN0"),
    ("ecdsa-pem", "ecdsa-sha2-nistp256 SHA256:ChsL1pZoihXWwiWkUeiEHZaMQOoO02Dl/btSggeC32U"),
    ("rsa-pem", "ssh-rsa SHA256:FTLiVyQuTuYXu7mpstFKzGryAh1Otl2Q8BLZ/vP7pAc"),
    ("rsa-pkcs8", "ssh-rsa SHA256:+VStnOD+vYv8wo6r9prLM2Q6nhi9ZxJQCglGZG6h9w4"),
];

const ENCRYPTED: [(&str, &str); 3] = [
    ("ed25519-passphrase", "ssh-ed25519 SHA256:hEJInGgaK3m+9/HemfE1AwqVKzuerkcgRLwUEWedcpw"),
    ("rsa-pem-passphrase", "ssh-rsa SHA256:rH0P3z0vRsRIVSdICqfdybOoyDx08qSZuR5rMauml4Y"),
    ("rsa-pkcs8-passphrase", "ssh-rsa SHA256:weHotRGUs6PAXW/CkwDYOwUrPtAeL9BfRHwWEQF7CgI"),
];

/// How people paste a key: a name, and what becomes of its text.
type PastedForm = (&'static str, fn(&str) -> String);

#[test]
fn key_is_read_in_every_form_that_a_secret_takes() {
    let forms: [PastedForm; 8] = [
        ("as it is", |text| text.to_owned()),
        ("Windows line ends", |text| text.replace('\n', "\r\n")),
        ("no last line end", |text| text.trim_end().to_owned()),
        ("spaces around", |text| format!("\n  {text}\n\n")),
        ("indented", |text| text.lines().map(|line| format!("    {line}\n")).collect()),
        ("byte order mark", |text| format!("\u{feff}{text}")),
        ("one line with spaces", |text| text.replace('\n', " ")),
        ("one line with \\n", |text| text.replace('\n', "\\n")),
    ];
    for (name, fingerprint) in PLAIN {
        for (form, change) in forms {
            let read = outcome(&change(&fixture(name)), None);
            assert_eq!(read.as_deref(), Ok(fingerprint), "{name}, {form}");
        }
    }
}

#[test]
fn encrypted_key_needs_its_own_passphrase() {
    for (name, fingerprint) in ENCRYPTED {
        let text = fixture(name);
        assert_eq!(outcome(&text, Some(PASSPHRASE)).as_deref(), Ok(fingerprint), "{name}");
        assert_eq!(outcome(&text, None), Err(KeyFault::PassphraseMissing), "{name}");
        assert_eq!(outcome(&text, Some("open barley")), Err(KeyFault::PassphraseWrong), "{name}");
    }
}

#[test]
fn passphrase_beside_a_plain_key_is_no_fault() {
    for (name, fingerprint) in PLAIN {
        assert_eq!(outcome(&fixture(name), Some(PASSPHRASE)).as_deref(), Ok(fingerprint), "{name}");
    }
}

#[test]
fn each_damage_has_its_own_sentence() {
    let key = fixture("ed25519");
    let lines: Vec<&str> = key.lines().collect();
    let without_first = lines[1..].join("\n");
    let body = lines[1..lines.len() - 1].join("\n");
    let without_last = lines[..lines.len() - 1].join("\n");
    let half = format!("{}\n{}\n{}", lines[0], lines[1], lines[lines.len() - 1]);
    let aes256 = fixture("rsa-pem-passphrase").replace("AES-128-CBC", "AES-256-CBC");
    let table: [(&str, KeyFault); 16] = [
        ("", KeyFault::Empty),
        (" \n", KeyFault::Empty),
        (&fixture("ed25519.pub"), KeyFault::PublicKey),
        (&fixture("rsa-pem.pub"), KeyFault::PublicKey),
        ("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", KeyFault::PublicKey),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", KeyFault::Certificate),
        ("~/.ssh/id_ed25519", KeyFault::FileName),
        ("server.pem", KeyFault::FileName),
        (&without_first, KeyFault::NoFirstLine),
        (&body, KeyFault::NoFirstLine),
        (&without_last, KeyFault::NoLastLine),
        (&half, KeyFault::Damaged),
        (&key.replace("PRIVATE", "SECRET"), KeyFault::NoKey),
        (&aes256, KeyFault::CipherUnsupported),
        ("-----BEGIN DSA PRIVATE KEY-----\nMIIB\n-----END DSA PRIVATE KEY-----", KeyFault::TypeUnsupported),
        ("hunter2", KeyFault::NoKey),
    ];
    for (text, fault) in table {
        assert_eq!(outcome(text, None), Err(fault), "{text}");
        assert!(!fault.text().is_empty() && fault.help().ends_with('.'));
    }
}

#[test]
fn cut_or_changed_key_is_a_fault_and_never_a_panic() {
    for (name, fingerprint) in PLAIN.into_iter().chain(ENCRYPTED) {
        let text = fixture(name);
        for cut in (0..text.len() - 1).step_by(13) {
            let read = outcome(&text[..cut], Some(PASSPHRASE));
            assert!(read.is_err() || read.as_deref() == Ok(fingerprint), "{name} cut at {cut}");
        }
    }
}
