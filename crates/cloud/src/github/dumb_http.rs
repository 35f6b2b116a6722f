//! A repository as the files of a bare Git repository, as `git clone` reads them over HTTP.

use super::git_objects::Oid;
use super::state::GitHubRepository;

/// The bytes of one of its files, by the path in it.
pub fn read_file(repository: &GitHubRepository, path: &str) -> Option<Vec<u8>> {
    match path {
        "HEAD" => Some(format!("ref: refs/heads/{}\n", repository.default_branch).into_bytes()),
        "config" => Some(b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n".to_vec()),
        "info/refs" => Some(info_refs(repository).into_bytes()),
        "objects/info/packs" => Some(b"\n".to_vec()),
        _ => match path.strip_prefix("objects/") {
            Some(object) => repository.objects.loose_object(&object.replace('/', "")),
            None => repository.refs.get(path).map(|oid| format!("{oid}\n").into_bytes()),
        },
    }
}

fn info_refs(repository: &GitHubRepository) -> String {
    let line = |(name, oid): (&String, &Oid)| format!("{oid}\t{name}\n");
    repository.refs.iter().map(line).collect()
}
