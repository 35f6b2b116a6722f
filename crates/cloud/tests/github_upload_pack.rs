//! Git's smart protocol: refs and packs, in both versions, as the bytes that a client sends and gets.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::GzEncoder;
use http::StatusCode;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::wire::{self, RequestIds, TransportReply};
use sha1::{Digest as _, Sha1};

use crate::github::{SCENARIO, addition, main_head, start_cloud};
use crate::support::github::GitHubTestClient;
use crate::support::run_in_virtual_time;

/// A client that speaks one version of the protocol.
struct GitTestClient {
    cloud: Cloud,
    version: &'static str,
    token: Option<&'static str>,
}

/// Status, content type and body.
struct GitResponse {
    status: StatusCode,
    content_type: String,
    challenge: String,
    body: Bytes,
}

impl GitTestClient {
    fn new(cloud: &Cloud, version: &'static str) -> Self {
        Self { cloud: cloud.clone(), version, token: None }
    }

    async fn send(&self, path: &str, body: Option<Vec<u8>>, encoding: &str) -> GitResponse {
        let method = if body.is_some() { "POST" } else { "GET" };
        let uri = format!("http://127.0.0.1:1/acme/manifests.git/{path}");
        let mut request = http::Request::builder().method(method).uri(uri);
        request = request.header("git-protocol", self.version).header("content-encoding", encoding);
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Bytes::from(body.unwrap_or_default())).unwrap();
        let reply = wire::handle_request(&self.cloud, &RequestIds::default(), &request).await;
        let TransportReply::Respond(response) = reply else { panic!("there is no response") };
        let header =
            |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (content_type, challenge) = (header("content-type"), header("www-authenticate"));
        GitResponse { status: response.status(), content_type, challenge, body: response.into_body() }
    }

    async fn post(&self, packets: &[&str]) -> GitResponse {
        self.send("git-upload-pack", Some(encode_packets(packets)), "").await
    }
}

/// Lines as packets; `0000` and `0001` are what they are.
fn encode_packets(lines: &[&str]) -> Vec<u8> {
    let packet = |line: &&str| match *line {
        "0000" | "0001" => (*line).to_owned(),
        line => format!("{:04x}{line}\n", line.len() + 5),
    };
    lines.iter().map(packet).collect::<String>().into_bytes()
}

/// The packets of a response: texts, `0000`, `0001`; and what came on the band of the pack.
fn decode_packets(body: &[u8]) -> (Vec<String>, Vec<u8>) {
    let (mut rest, mut lines, mut pack) = (body, Vec::new(), Vec::new());
    while let Some((head, after)) = rest.split_at_checked(4) {
        let head = std::str::from_utf8(head).unwrap();
        let length = usize::from_str_radix(head, 16).unwrap();
        let (data, next) = after.split_at(length.saturating_sub(4));
        match data.split_first() {
            Some((1, part)) => pack.extend(part),
            Some(_) => {
                lines.push(String::from_utf8(data.to_vec()).unwrap().trim_end_matches('\n').to_owned())
            }
            None => lines.push(head.to_owned()),
        }
        rest = next;
    }
    (lines, pack)
}

/// The objects of a pack by the names that Git gives them. Its checksum must be right.
fn read_pack(pack: &[u8]) -> BTreeMap<String, (u8, Vec<u8>)> {
    let (content, checksum) = pack.split_at(pack.len() - 20);
    assert_eq!(Sha1::digest(content).as_slice(), checksum);
    assert_eq!(&content[..8], b"PACK\0\0\0\x02");
    let count = u32::from_be_bytes(content[8..12].try_into().unwrap());
    let (mut rest, mut objects) = (&content[12..], BTreeMap::new());
    for _ in 0..count {
        let kind = (rest[0] >> 4) & 7;
        let end = rest.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let mut decoder = ZlibDecoder::new(&rest[end..]);
        let mut bytes = Vec::new();
        decoder.read_to_end(&mut bytes).unwrap();
        rest = &rest[end + decoder.total_in() as usize..];
        let name = ["", "commit", "tree", "blob"][kind as usize];
        let mut hash = Sha1::new();
        hash.update(format!("{name} {}\0", bytes.len()));
        hash.update(&bytes);
        objects.insert(hex::encode(hash.finalize()), (kind, bytes));
    }
    assert!(rest.is_empty(), "the pack has more than it says");
    objects
}

fn count_kinds(pack: &[u8]) -> [usize; 3] {
    let objects = read_pack(pack);
    [1, 2, 3].map(|kind| objects.values().filter(|(is, _)| *is == kind).count())
}

async fn push_version(cloud: &Cloud, tag: &str) -> String {
    let head = main_head(cloud);
    let input = crate::github::commit_input(
        &head,
        addition("apps/web/kustomization.yaml", &format!("newTag: {tag}\n")),
    );
    GitHubTestClient::new(cloud).call_graphql(crate::github::COMMIT, input).await;
    main_head(cloud)
}

#[test]
fn refs_are_listed_in_both_versions() {
    run_in_virtual_time(async {
        let cloud = start_cloud(SCENARIO);
        let head = main_head(&cloud);
        let old = GitTestClient::new(&cloud, "").send("info/refs?service=git-upload-pack", None, "").await;
        assert_eq!(old.content_type, "application/x-git-upload-pack-advertisement");
        let (lines, _) = decode_packets(&old.body);
        assert_eq!(&lines[..2], ["# service=git-upload-pack", "0000"]);
        assert!(lines[2].starts_with(&format!("{head} HEAD\0multi_ack_detailed ")), "{}", lines[2]);
        assert!(lines[2].contains(" symref=HEAD:refs/heads/main "), "{}", lines[2]);
        assert_eq!(&lines[3..], [format!("{head} refs/heads/main"), "0000".into()]);
        let client = GitTestClient::new(&cloud, "version=2");
        let new = client.send("info/refs?service=git-upload-pack", None, "").await;
        assert!(decode_packets(&new.body).0.contains(&"version 2".to_owned()));
        let all = decode_packets(&client.post(&["command=ls-refs", "0001", "symrefs", "0000"]).await.body).0;
        let wanted = [
            format!("{head} HEAD symref-target:refs/heads/main"),
            format!("{head} refs/heads/main"),
            "0000".into(),
        ];
        assert_eq!(all, wanted);
        let some = client.post(&["command=ls-refs", "0001", "ref-prefix refs/tags/", "0000"]).await;
        assert_eq!(decode_packets(&some.body).0, ["0000"]);
        assert!(cloud.calls().iter().all(|call| !call.is_mutating));
    });
}

#[test]
fn clone_gets_every_object_once_in_both_versions() {
    run_in_virtual_time(async {
        let cloud = start_cloud(SCENARIO);
        let first = main_head(&cloud);
        let head = push_version(&cloud, "v2").await;
        let want = format!("want {head}");
        let first_want = format!("{want} side-band-64k ofs-delta");
        let old = GitTestClient::new(&cloud, "").post(&[&first_want, "0000", "done"]).await;
        assert_eq!(old.content_type, "application/x-git-upload-pack-result");
        let (lines, pack) = decode_packets(&old.body);
        assert_eq!(lines, ["NAK", "0000"]);
        assert_eq!(count_kinds(&pack), [2, 6, 5], "two commits, their folders, and two texts of one file");
        let objects = read_pack(&pack);
        assert!(objects.contains_key(&head) && objects.contains_key(&first));
        let client = GitTestClient::new(&cloud, "version=2");
        let new = client.post(&["command=fetch", "0001", "thin-pack", &want, "done", "0000"]).await;
        let (lines, pack) = decode_packets(&new.body);
        assert_eq!(lines, ["packfile", "0000"]);
        assert_eq!(read_pack(&pack), objects);
        let plain = GitTestClient::new(&cloud, "").post(&[&want, "0000", "done"]).await;
        let (nak, raw) = plain.body.split_at(8);
        assert_eq!((nak, read_pack(raw)), (&b"0008NAK\n"[..], objects), "a client without side bands");
    });
}

#[test]
fn fetch_gets_what_is_new_and_negotiates_in_both_versions() {
    run_in_virtual_time(async {
        let cloud = start_cloud(SCENARIO);
        let first = main_head(&cloud);
        let head = push_version(&cloud, "v2").await;
        let (want, have, stranger) =
            (format!("want {head}"), format!("have {first}"), format!("have {}", "1".repeat(40)));
        let first_want = format!("{want} multi_ack_detailed side-band-64k");
        let old = GitTestClient::new(&cloud, "");
        let (lines, pack) =
            decode_packets(&old.post(&[&first_want, "0000", &stranger, &have, "0000"]).await.body);
        assert_eq!(lines, [format!("ACK {first} common"), format!("ACK {first} ready"), "NAK".into()]);
        assert!(pack.is_empty());
        let (lines, pack) = decode_packets(&old.post(&[&first_want, "0000", &have, "done"]).await.body);
        assert_eq!(lines, [format!("ACK {first} common"), format!("ACK {first}"), "0000".into()]);
        assert_eq!(count_kinds(&pack), [1, 3, 1]);
        let (lines, _) = decode_packets(&old.post(&[&first_want, "0000", &stranger, "0000"]).await.body);
        assert_eq!(lines, ["NAK"]);
        let new = GitTestClient::new(&cloud, "version=2");
        let (lines, pack) =
            decode_packets(&new.post(&["command=fetch", "0001", &want, &have, "0000"]).await.body);
        assert_eq!(lines, ["acknowledgments", &format!("ACK {first}"), "ready", "0001", "packfile", "0000"]);
        assert_eq!(count_kinds(&pack), [1, 3, 1]);
        let (lines, _) =
            decode_packets(&new.post(&["command=fetch", "0001", &want, &stranger, "0000"]).await.body);
        assert_eq!(lines, ["acknowledgments", "NAK", "0000"]);
    });
}

#[test]
fn shallow_clone_is_deepened_in_both_versions() {
    run_in_virtual_time(async {
        let cloud = start_cloud(SCENARIO);
        let first = main_head(&cloud);
        let head = push_version(&cloud, "v2").await;
        let (want, have, shallow) =
            (format!("want {head}"), format!("have {head}"), format!("shallow {head}"));
        let first_want = format!("{want} multi_ack_detailed side-band-64k shallow");
        let old = GitTestClient::new(&cloud, "");
        let (lines, _) = decode_packets(&old.post(&[&first_want, "deepen 1", "0000"]).await.body);
        assert_eq!(lines, [shallow.clone(), "0000".into()], "the pack is asked for in the next request");
        let (lines, pack) = decode_packets(&old.post(&[&first_want, "deepen 1", "0000", "done"]).await.body);
        assert_eq!(lines, [shallow.clone(), "0000".into(), "NAK".into(), "0000".into()]);
        assert_eq!(count_kinds(&pack), [1, 3, 4]);
        let new = GitTestClient::new(&cloud, "version=2");
        let deepen = ["command=fetch", "0001", &shallow, "deepen 2147483647", &want, &have, "done", "0000"];
        let (lines, pack) = decode_packets(&new.post(&deepen).await.body);
        assert_eq!(lines, ["shallow-info", &format!("unshallow {head}"), "0001", "packfile", "0000"]);
        assert!(read_pack(&pack).contains_key(&first));
        assert_eq!(count_kinds(&pack), [1, 3, 1], "the commit before, and what it alone has");
    });
}

#[test]
fn compressed_request_is_read_and_unknown_commit_is_refused() {
    run_in_virtual_time(async {
        let cloud = start_cloud(SCENARIO);
        let client = GitTestClient::new(&cloud, "version=2");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&encode_packets(&["command=ls-refs", "0001", "ref-prefix HEAD", "0000"])).unwrap();
        let packed = client.send("git-upload-pack", Some(encoder.finish().unwrap()), "gzip").await;
        assert_eq!(decode_packets(&packed.body).0.len(), 2);
        let nobody = "2".repeat(40);
        let refused =
            client.post(&["command=fetch", "0001", &format!("want {nobody}"), "done", "0000"]).await;
        assert_eq!(decode_packets(&refused.body).0, [format!("ERR upload-pack: not our ref {nobody}")]);
    });
}

#[test]
fn private_repository_asks_for_credentials() {
    run_in_virtual_time(async {
        let cloud = crate::github::cloud_with("private: true", "");
        let mut client = GitTestClient::new(&cloud, "");
        let path = "info/refs?service=git-upload-pack";
        let asked = client.send(path, None, "").await;
        assert_eq!((asked.status.as_u16(), asked.challenge.as_str()), (401, "Basic realm=\"GitHub\""));
        client.token = Some("t");
        assert_eq!(client.send(path, None, "").await.status, 200);
        let dumb = client.send("info/refs", None, "").await;
        assert_eq!(dumb.status, 403);
        assert!(String::from_utf8_lossy(&dumb.body).contains("no longer supports git over dumb-http"));
    });
}
