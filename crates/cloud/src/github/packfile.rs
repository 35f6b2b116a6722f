//! Packs: the objects between what a client has and what it wants, each compressed by itself, without deltas.
//! <https://git-scm.com/docs/gitformat-pack>

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};

use super::commits;
use super::git_objects::{ObjectKind, ObjectStore, Oid};
use super::trees;

/// Every object that commits lead to. Parents of a commit that is in `boundary` are not followed.
pub fn reachable_objects(objects: &ObjectStore, tips: &[Oid], boundary: &BTreeSet<Oid>) -> BTreeSet<Oid> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Oid> = tips.to_vec();
    while let Some(oid) = open.pop() {
        let Some(kind) = objects.kind(&oid).filter(|_| !found.contains(&oid)) else { continue };
        match kind {
            ObjectKind::Blob => {}
            // A submodule's commit is in another repository: it is no object here.
            ObjectKind::Tree => {
                open.extend(trees::read_tree(objects, &oid).into_values().map(|entry| entry.oid));
            }
            ObjectKind::Commit => open.extend(children_of_commit(objects, &oid, boundary)),
        }
        found.insert(oid);
    }
    found
}

fn children_of_commit(objects: &ObjectStore, oid: &Oid, boundary: &BTreeSet<Oid>) -> Vec<Oid> {
    let Some(commit) = commits::read_commit(objects, oid) else { return Vec::new() };
    let mut children = vec![commit.tree];
    if !boundary.contains(oid) {
        children.extend(commit.parents);
    }
    children
}

/// A pack of these objects.
pub fn write_pack(objects: &ObjectStore, oids: &BTreeSet<Oid>) -> io::Result<Vec<u8>> {
    let stored: Vec<(ObjectKind, &[u8])> = oids.iter().filter_map(|oid| objects.stored(oid)).collect();
    let count = u32::try_from(stored.len()).map_err(io::Error::other)?;
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend(count.to_be_bytes());
    for (kind, bytes) in stored {
        pack.extend(entry_header(kind, bytes.len()));
        let mut encoder = ZlibEncoder::new(&mut pack, Compression::fast());
        encoder.write_all(bytes)?;
        encoder.finish()?;
    }
    let checksum = Sha1::digest(&pack);
    pack.extend(checksum);
    Ok(pack)
}

/// Type and length: four bits of the length beside the type, then seven a byte, the lowest first.
fn entry_header(kind: ObjectKind, length: usize) -> Vec<u8> {
    let kind = match kind {
        ObjectKind::Commit => 1,
        ObjectKind::Tree => 2,
        ObjectKind::Blob => 3,
    };
    let (mut byte, mut rest) = ((kind << 4) | (length & 0x0f) as u8, length >> 4);
    let mut header = Vec::new();
    while rest > 0 {
        header.push(byte | 0x80);
        (byte, rest) = ((rest & 0x7f) as u8, rest >> 7);
    }
    header.push(byte);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_headers_carry_type_and_length() {
        assert_eq!(entry_header(ObjectKind::Blob, 0), [0x30]);
        assert_eq!(entry_header(ObjectKind::Commit, 15), [0x1f]);
        assert_eq!(entry_header(ObjectKind::Tree, 16), [0xa0, 0x01]);
        assert_eq!(entry_header(ObjectKind::Blob, 300), [0xbc, 0x12]);
        assert_eq!(entry_header(ObjectKind::Blob, 4096), [0xb0, 0x80, 0x02]);
    }

    #[test]
    fn empty_pack_is_what_git_writes() {
        let pack = write_pack(&ObjectStore::default(), &BTreeSet::new()).unwrap();
        // `git pack-objects --stdout </dev/null`
        assert_eq!(hex::encode(pack), "5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e");
    }
}
