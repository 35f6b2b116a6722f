//! Lines of `known_hosts` as they are found in the field.

use super::host_keys::{HostKeyDecision, HostKeyPin};
use super::known_hosts::HostKeys;

const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICJM0HHCfvXgfeSF+5o62NlaGA9JW0/KqlazuKMUZtt1";
const OTHER_ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvmWN5B5hNv5hBBX4+NdcOgWqsQuzjAvlGDJp7aaAFM";
const EC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBL6lz64ewV1moW6E3Ad0hQ254ODznlZtsS1UJBG7fJPL0zIGamy//jNLmoiULp/abFqDkkaRjtN3WPQH3FziyBo=";
const ED_PRINT: &str = "SHA256:qDkbHhhxAH3Hn+1fR02PlA7abSWphSco/oesPiBUu6c";
const ED_HASHED: &str = "|1|qbbkopMEuYjSPJpWyy91NK6fNfQ=|PyL7wR7rRhYB27PqOMhyaSOInqg=";
const EC_HASHED: &str = "|1|1TP2zQ4bpBBf7rYeT6g4w6WzEoA=|rHaxqZAC1Xj/DvBYW4ToTwgliTI=";

fn pin(text: &str) -> HostKeyPin {
    text.parse().unwrap()
}

fn decision(lines: &str, host: &str, port: u16, shown: &str) -> HostKeyDecision {
    HostKeys::parse(lines).unwrap().for_host(host, port).decide(&pin(shown))
}

#[test]
fn line_decides_about_the_hosts_that_it_names() {
    use HostKeyDecision::{Accepted, Revoked, Unknown};
    let table = [
        (format!("app.example {ED}"), "app.example", 22, ED, Accepted),
        (format!("app.example {ED} a comment"), "APP.example", 22, ED, Accepted),
        (format!("App.Example\t {ED}"), "app.example", 22, ED, Accepted),
        (format!("app.example,192.0.2.7 {ED}"), "192.0.2.7", 22, ED, Accepted),
        (format!("app.example {ED}"), "app.example", 22, OTHER_ED, Unknown),
        (format!("app.example {ED}"), "app.example", 22, EC, Unknown),
        (format!("app.example {ED}"), "app.example", 2222, ED, Unknown),
        (format!("[app.example]:2222 {ED}"), "app.example", 2222, ED, Accepted),
        (format!("[app.example]:2222 {ED}"), "app.example", 22, ED, Unknown),
        (format!("*.example {ED}"), "app.example", 22, ED, Accepted),
        (format!("*.example,!app.example {ED}"), "app.example", 22, ED, Unknown),
        (format!("app?.example {ED}"), "app1.example", 22, ED, Accepted),
        (format!("app?.example {ED}"), "app.example", 22, ED, Unknown),
        (format!("{ED_HASHED} {ED}"), "deploy.example", 2222, ED, Accepted),
        (format!("{ED_HASHED} {ED}"), "deploy.example", 22, ED, Unknown),
        (format!("{EC_HASHED} {EC}"), "app.example", 22, EC, Accepted),
        (format!("app.example {ED}\napp.example {OTHER_ED}"), "app.example", 22, OTHER_ED, Accepted),
        (format!("app.example {ED}\n@revoked * {ED}"), "app.example", 22, ED, Revoked),
        (format!("@revoked app.example {ED}\napp.example {ED}"), "app.example", 22, ED, Revoked),
        (format!("@cert-authority * {ED}"), "app.example", 22, ED, Unknown),
        (ED_PRINT.to_owned(), "anything", 2022, ED, Accepted),
        (format!("{ED_PRINT}="), "anything", 22, ED, Accepted),
        (format!("ssh-ed25519 {ED_PRINT}"), "anything", 22, ED, Accepted),
        (format!("ssh-rsa {ED_PRINT}"), "anything", 22, ED, Unknown),
        (ED_PRINT.to_owned(), "anything", 22, OTHER_ED, Unknown),
        (format!("256 {ED_PRINT} root@app1 (ED25519)"), "anything", 22, ED, Accepted),
        (format!("256 {ED_PRINT} root@app1 (ED25519)"), "anything", 22, OTHER_ED, Unknown),
        ("# nothing\n\n".to_owned(), "app.example", 22, ED, Unknown),
    ];
    for (lines, host, port, shown, expected) in table {
        assert_eq!(decision(&lines, host, port, shown), expected, "{lines} for {host}:{port}");
    }
}

#[test]
fn unreadable_lines_are_all_named() {
    let text = format!(
        "app.example {ED}\nMD5:ab:cd\napp.example ssh-dss AAAA\nhost\n|1|x|y {ED}\n@foo a {ED}\napp.example ssh-ed25519 AAAA\nSHA256:short"
    );
    let faults = HostKeys::parse(&text).unwrap_err();
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8], "{faults:?}");
    assert!(faults[0].why.contains("MD5"), "{faults:?}");
}

#[test]
fn only_pinned_types_are_offered_and_a_bare_fingerprint_tries_each() {
    let offers = |lines: &str| -> Vec<String> {
        let offers = HostKeys::parse(lines).unwrap().for_host("app.example", 22).offers();
        let names = |offer: &Vec<russh::keys::Algorithm>| {
            offer.iter().map(|kind| kind.as_str().to_owned()).collect::<Vec<_>>().join("+")
        };
        offers.iter().map(names).collect()
    };
    assert_eq!(offers(&format!("app.example {ED}")), ["ssh-ed25519"]);
    assert_eq!(offers(&format!("app.example {EC}\napp.example {ED}")), ["ssh-ed25519+ecdsa-sha2-nistp256"]);
    let each =
        ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
    assert_eq!(offers(ED_PRINT), each);
    assert_eq!(offers(&format!("{ED_PRINT}\napp.example {EC}"))[0], "ecdsa-sha2-nistp256");
    assert!(offers(&format!("other.example {ED}")).is_empty());
}
