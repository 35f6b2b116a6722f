//! Answers of a server, whole and damaged.

use super::read::*;
use crate::release::Digest;

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn answer() -> String {
    format!(
        "missing setsid
docker 26.1.5+dfsg1
compose v2.26.1-4
free 100
container c1 running healthy 0 0 false ghcr.io/acme/shop@{DIGEST}, shop-web-1
container c2 exited none 2 3 true none 0123456789ab_shop-web-2
release 1 1700000000,1700000100, ghcr.io/acme/shop@{DIGEST} f e c0ffee1
release 2 never ghcr.io/acme/shop@{DIGEST} f none none
serving 1
env abc
newest 7
attempt 6 alive run-1.1-2 2 1 rolling-back exited
failure exited
failure-exit 3 false
failure-health \"refused\\n\"
failure-log panic: no database
something else
"
    )
}

#[test]
fn answer_is_read_as_a_whole() {
    let state = read_state(&lines(&answer()));
    assert_eq!(state.host.missing, ["setsid"]);
    assert_eq!((state.host.compose.as_deref(), state.host.free_kb), (Some("2.26.1-4"), Some(100)));
    let [first, second] = &state.containers[..] else { panic!("{:?}", state.containers) };
    assert!(first.is_healthy() && first.has_digest(&DIGEST.parse().unwrap()));
    assert_eq!(
        (second.name.as_str(), second.exit_code, second.digests.len()),
        ("0123456789ab_shop-web-2", 3, 0)
    );
    let versions = state.completed_versions("web");
    assert_eq!(versions.iter().map(|one| one.version.label.as_str()).collect::<Vec<_>>(), ["web:1", "web:1"]);
    assert_eq!((state.serving_release(), state.next_release(), state.newest_attempt), (Some(1), 3, Some(7)));
    let attempt = state.attempt.unwrap();
    assert_eq!((attempt.word(), attempt.release, attempt.old_release), ("rolling-back", 2, Some(1)));
    let failure = attempt.failure.unwrap();
    assert_eq!(
        (failure.exit_code, &*failure.health, &*failure.logs),
        (Some(3), &["refused".to_owned()][..], &["panic: no database".to_owned()][..])
    );
}

#[test]
fn container_without_any_release_is_release_0() {
    let text = format!("container c1 running none 0 0 false ghcr.io/acme/shop@{DIGEST}, shop-web-1\n");
    let state = read_state(&lines(&text));
    assert_eq!(state.serving_release(), Some(0));
    let versions = state.completed_versions("web");
    assert_eq!((versions.len(), versions[0].version.id.as_str()), (1, "0"));
    assert_eq!(versions[0].digest.as_ref().map(Digest::as_str), Some(DIGEST));
    assert_eq!(read_state(&[]).serving_release(), None);
}

#[test]
fn damaged_answer_is_read_without_a_panic() {
    let text = answer();
    for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        read_state(&lines(&text[..cut]));
        read_state(&lines(&text[cut..]));
        read_state(&lines(&text.replacen(' ', "", cut % 40)));
    }
}
