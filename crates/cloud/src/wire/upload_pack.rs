//! Git's smart protocol over HTTP, versions 0 and 2, for reading: the packets of requests to calls, answers to packets.
//! <https://git-scm.com/docs/http-protocol>, <https://git-scm.com/docs/protocol-v2>, <https://git-scm.com/docs/pack-protocol>

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Method, Request};
use serde_json::{Value, json};

use super::{ParsedCall, header_text};
use crate::input::{list_field, str_field, str_list_field};
use crate::request::{ServiceCall, ServiceError};

const AGENT: &str = "agent=git/github-roadstead";
const CAPABILITIES: &str = "multi_ack_detailed side-band-64k ofs-delta shallow no-progress include-tag \
    allow-tip-sha1-in-want allow-reachable-sha1-in-want object-format=sha1";
/// More is not read of a compressed body.
const MAX_UNPACKED: u64 = 8 * 1024 * 1024;
/// What fits into a packet of the side band, without its length and the number of the band.
const BAND_SIZE: usize = 65_515;

/// Reads a request for a path of a repository.
pub(super) fn parse_request(
    repository: &str,
    path: &str,
    request: &Request<Bytes>,
) -> Result<ParsedCall, ServiceError> {
    let (owner, repo) = repository.split_once('/').unwrap_or(("", repository));
    let version = protocol_version(request);
    let query = request.uri().query().unwrap_or_default();
    let (operation, mut input) = match (request.method(), path) {
        (&Method::GET, "info/refs") if query == "service=git-upload-pack" => {
            ("upload-pack/get-advertisement", json!({}))
        }
        (&Method::POST, "git-upload-pack") if version == "2" => parse_command(request)?,
        (&Method::POST, "git-upload-pack") => ("upload-pack/get-pack", parse_negotiation(request)?),
        (&Method::GET, "info/refs") if query.is_empty() => return Err(dumb_protocol_error()),
        _ => return Err(unsupported_error(request)),
    };
    for (name, value) in [("owner", owner), ("repo", repo), ("version", version)] {
        input[name] = value.into();
    }
    Ok(ParsedCall { service: "github".into(), operation: operation.into(), input })
}

/// The version that the client wants, where it is one that is spoken here.
fn protocol_version(request: &Request<Bytes>) -> &'static str {
    let wanted = header_text(request.headers(), "git-protocol");
    if wanted.split(':').any(|parameter| parameter == "version=2") { "2" } else { "0" }
}

/// GitHub's own words.
fn dumb_protocol_error() -> ServiceError {
    let words = "Please upgrade your git client.\nGitHub.com no longer supports git over dumb-http";
    ServiceError::with_status(403, "Forbidden", words)
}

fn unsupported_error(request: &Request<Bytes>) -> ServiceError {
    let words = format!("the embedded cloud does not model {} {}", request.method(), request.uri());
    ServiceError::with_status(501, "NotModelled", words)
}

/// A line of text, or what separates parts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Packet {
    Text(String),
    Flush,
    Delimiter,
}

/// The packets of a body, which clients compress when it is long.
fn read_packets(request: &Request<Bytes>) -> Result<Vec<Packet>, ServiceError> {
    let malformed = || ServiceError::with_status(400, "BadRequest", "The packets cannot be read");
    let mut body = request.body().to_vec();
    if header_text(request.headers(), "content-encoding").contains("gzip") {
        body.clear();
        let decoder = GzDecoder::new(request.body().as_ref());
        decoder.take(MAX_UNPACKED).read_to_end(&mut body).map_err(|_| malformed())?;
    }
    split_packets(&body).ok_or_else(malformed)
}

fn split_packets(mut rest: &[u8]) -> Option<Vec<Packet>> {
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(4)?;
        let length = usize::from_str_radix(std::str::from_utf8(head).ok()?, 16).ok()?;
        let (packet, next) = match length {
            0 => (Packet::Flush, after),
            1 => (Packet::Delimiter, after),
            _ => {
                let (text, next) = after.split_at_checked(length.checked_sub(4)?)?;
                let text = String::from_utf8_lossy(text);
                (Packet::Text(text.strip_suffix('\n').unwrap_or(&text).to_owned()), next)
            }
        };
        packets.push(packet);
        rest = next;
    }
    Some(packets)
}

/// Version 2: a command, capabilities, and arguments behind a delimiter.
fn parse_command(request: &Request<Bytes>) -> Result<(&'static str, Value), ServiceError> {
    let packets = read_packets(request)?;
    let mut parts = packets.split(|packet| *packet == Packet::Delimiter).map(packet_texts);
    let head = parts.next().unwrap_or_default();
    let arguments = parts.next().unwrap_or_default();
    match head.iter().find_map(|line| line.strip_prefix("command=")) {
        Some("ls-refs") => {
            let prefixes = arguments.iter().filter_map(|line| line.strip_prefix("ref-prefix "));
            Ok(("upload-pack/list-refs", json!({ "prefixes": prefixes.collect::<Vec<_>>() })))
        }
        Some("fetch") => Ok(("upload-pack/get-pack", json!({ "arguments": arguments }))),
        _ => Err(unsupported_error(request)),
    }
}

/// Version 0: wants, the first with capabilities; a flush; what the client has.
fn parse_negotiation(request: &Request<Bytes>) -> Result<Value, ServiceError> {
    let packets = read_packets(request)?;
    let negotiates = packets.iter().position(|packet| *packet == Packet::Flush);
    let negotiates = negotiates.is_some_and(|flush| flush + 1 < packets.len());
    let mut arguments = packet_texts(&packets);
    let mut capabilities = Vec::new();
    if let Some(first) = arguments.first_mut().filter(|line| line.starts_with("want ")) {
        let mut words = first.split(' ').map(str::to_owned);
        let want: Vec<String> = words.by_ref().take(2).collect();
        capabilities = words.filter(|word| !word.is_empty()).collect();
        *first = want.join(" ");
    }
    Ok(json!({ "arguments": arguments, "capabilities": capabilities, "negotiates": negotiates }))
}

fn packet_texts(packets: &[Packet]) -> Vec<String> {
    let texts = packets.iter().filter_map(|packet| match packet {
        Packet::Text(text) => Some(text.clone()),
        Packet::Flush | Packet::Delimiter => None,
    });
    texts.collect()
}

/// Whether an operation is one of Git's, and none of the API's.
pub(super) fn is_git_operation(operation: &str) -> bool {
    operation.starts_with("upload-pack/")
}

/// Content type and body of an answer.
pub(super) fn write_body(call: &ServiceCall, answer: &Value) -> (&'static str, Vec<u8>) {
    let (mut out, is_v2) = (PacketWriter::default(), str_field(&call.input, "version") == "2");
    match (call.operation.as_str(), is_v2) {
        ("upload-pack/get-advertisement", true) => out.capabilities(),
        ("upload-pack/get-advertisement", false) => out.advertisement(answer),
        ("upload-pack/list-refs", _) => out.refs(answer),
        (_, true) => out.fetch_sections(call, answer),
        (_, false) => out.negotiation(call, answer),
    }
    (content_type(call), out.0)
}

/// An error that is returned in a packet.
pub(super) fn write_error(call: &ServiceCall, message: &str) -> (&'static str, Vec<u8>) {
    let mut out = PacketWriter::default();
    out.line(&format!("ERR {message}"));
    (content_type(call), out.0)
}

fn content_type(call: &ServiceCall) -> &'static str {
    match call.operation.as_str() {
        "upload-pack/get-advertisement" => "application/x-git-upload-pack-advertisement",
        _ => "application/x-git-upload-pack-result",
    }
}

#[derive(Default)]
struct PacketWriter(Vec<u8>);

impl PacketWriter {
    fn packet(&mut self, bytes: &[&[u8]]) {
        let length: usize = bytes.iter().map(|part| part.len()).sum();
        self.0.extend(format!("{:04x}", length + 4).bytes());
        self.0.extend(bytes.concat());
    }

    fn line(&mut self, text: &str) {
        self.packet(&[text.as_bytes(), b"\n"]);
    }

    fn flush(&mut self) {
        self.0.extend(b"0000");
    }

    fn delimiter(&mut self) {
        self.0.extend(b"0001");
    }

    fn capabilities(&mut self) {
        self.line("# service=git-upload-pack");
        self.flush();
        for line in ["version 2", AGENT, "ls-refs", "fetch=shallow", "object-format=sha1"] {
            self.line(line);
        }
        self.flush();
    }

    fn advertisement(&mut self, answer: &Value) {
        self.line("# service=git-upload-pack");
        self.flush();
        let refs = list_field(answer, "refs");
        let head = refs.iter().map(|it| str_field(it, "target")).find(|target| !target.is_empty());
        let symref = head.map_or_else(String::new, |target| format!(" symref=HEAD:{target}"));
        let mut capabilities = format!("\0{CAPABILITIES}{symref} {AGENT}");
        for it in refs {
            let (oid, name) = (str_field(it, "oid"), str_field(it, "name"));
            self.line(&format!("{oid} {name}{}", std::mem::take(&mut capabilities)));
        }
        if refs.is_empty() {
            self.line(&format!("{} capabilities^{{}}{capabilities}", "0".repeat(40)));
        }
        self.flush();
    }

    fn refs(&mut self, answer: &Value) {
        for it in list_field(answer, "refs") {
            let target = match str_field(it, "target") {
                "" => String::new(),
                target => format!(" symref-target:{target}"),
            };
            self.line(&format!("{} {}{target}", str_field(it, "oid"), str_field(it, "name")));
        }
        self.flush();
    }

    fn shallow_lines(&mut self, answer: &Value) {
        for kind in ["shallow", "unshallow"] {
            for oid in str_list_field(answer, kind) {
                self.line(&format!("{kind} {oid}"));
            }
        }
    }

    /// Version 2: what both have unless the client is done, then commits that were cut off, then the pack.
    fn fetch_sections(&mut self, call: &ServiceCall, answer: &Value) {
        let pack = pack_bytes(answer);
        let common = str_list_field(answer, "common");
        let is_done = str_list_field(&call.input, "arguments").iter().any(|line| line == "done");
        if !is_done {
            self.line("acknowledgments");
            for oid in &common {
                self.line(&format!("ACK {oid}"));
            }
            self.line(if common.is_empty() { "NAK" } else { "ready" });
        }
        let Some(pack) = pack else { return self.flush() };
        if !is_done {
            self.delimiter();
        }
        let cut = ["shallow", "unshallow"].iter().any(|kind| !list_field(answer, kind).is_empty());
        if cut {
            self.line("shallow-info");
            self.shallow_lines(answer);
            self.delimiter();
        }
        self.line("packfile");
        self.band(&pack);
        self.flush();
    }

    /// Version 0: the same without names of sections.
    fn negotiation(&mut self, call: &ServiceCall, answer: &Value) {
        let arguments = str_list_field(&call.input, "arguments");
        if arguments.iter().any(|line| line.starts_with("deepen")) {
            self.shallow_lines(answer);
            self.flush();
        }
        if call.input["negotiates"] != true {
            return;
        }
        let capabilities = str_list_field(&call.input, "capabilities");
        let has = |name: &str| capabilities.iter().any(|word| word == name);
        let pack = pack_bytes(answer);
        self.acknowledge(&str_list_field(answer, "common"), has("multi_ack_detailed"), pack.is_some());
        match pack {
            Some(pack) if has("side-band-64k") => {
                self.band(&pack);
                self.flush();
            }
            Some(pack) => self.0.extend(pack),
            None => {}
        }
    }

    fn acknowledge(&mut self, common: &[String], is_detailed: bool, is_done: bool) {
        let (first, last) = (common.first(), common.last());
        match (first, last) {
            (Some(_), Some(last)) if is_detailed => {
                for oid in common {
                    self.line(&format!("ACK {oid} common"));
                }
                match is_done {
                    true => self.line(&format!("ACK {last}")),
                    false => {
                        self.line(&format!("ACK {last} ready"));
                        self.line("NAK");
                    }
                }
            }
            (Some(first), _) => self.line(&format!("ACK {first}")),
            _ => self.line("NAK"),
        }
    }

    fn band(&mut self, pack: &[u8]) {
        for part in pack.chunks(BAND_SIZE) {
            self.packet(&[b"\x01", part]);
        }
    }
}

fn pack_bytes(answer: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(answer.get("pack")?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str, version: &str, body: &str) -> Result<ParsedCall, ServiceError> {
        let request = Request::builder().method(method).uri(uri).header("git-protocol", version);
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        parse_request(
            "acme/manifests",
            uri.split_once(".git/").unwrap().1.split('?').next().unwrap(),
            &request,
        )
    }

    #[test]
    fn requests_of_both_versions_become_calls() {
        let uri = "http://h/acme/manifests.git/git-upload-pack";
        let old = parse("POST", uri, "", "0011want aa ofs-d00000009done\n").unwrap();
        assert_eq!(old.operation, "upload-pack/get-pack");
        let wanted = json!({
            "owner": "acme", "repo": "manifests", "version": "0", "negotiates": true,
            "arguments": ["want aa", "done"], "capabilities": ["ofs-d"],
        });
        assert_eq!(old.input, wanted);
        let new =
            parse("POST", uri, "version=2", "0014command=ls-refs\n0001001bref-prefix refs/heads/\n0000")
                .unwrap();
        assert_eq!(
            (new.operation.as_str(), &new.input["prefixes"]),
            ("upload-pack/list-refs", &json!(["refs/heads/"]))
        );
    }

    #[test]
    fn what_is_not_spoken_is_refused_by_name() {
        let base = "http://h/acme/manifests.git/";
        for (method, path, body, status) in [
            ("GET", "info/refs", "", 403),
            ("GET", "info/refs?service=git-receive-pack", "", 501),
            ("GET", "objects/aa/bb", "", 501),
            ("POST", "git-receive-pack", "0000", 501),
            ("POST", "git-upload-pack", "00zz", 400),
            ("POST", "git-upload-pack", "0003", 400),
            ("POST", "git-upload-pack", "0040short", 400),
            ("POST", "git-upload-pack", "0013command=bundle\n0000", 501),
        ] {
            let error = parse(method, &format!("{base}{path}"), "version=2", body).unwrap_err();
            assert_eq!(error.status, status, "{method} {path} {body}");
        }
    }
}
