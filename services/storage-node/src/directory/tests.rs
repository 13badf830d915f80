//! Directories of others, and directories that are new.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_runtime::seams::SimDisk;

use super::*;

fn seams(disk: &SimDisk) -> Seams {
    Seams { disk: Arc::new(disk.clone()), ..Seams::real() }
}

fn open_as(
    disk: &SimDisk,
    node: i32,
    cluster: Option<&str>,
) -> Result<Vec<Directory>, DirectoryError> {
    let cluster = cluster.map(ClusterId::new);
    open_all(&seams(disk), &[PathBuf::from("/d")], NodeId(node), cluster.as_ref(), 1_000)
}

#[tokio::test]
async fn a_new_directory_becomes_this_nodes_and_stays_so_after_a_crash() {
    let disk = SimDisk::new(1);
    let id = open_as(&disk, 3, Some("c")).unwrap()[0].id;
    disk.crash_losing_all();
    assert_eq!(open_as(&disk, 3, Some("c")).unwrap()[0].id, id);
    disk.crash();
    assert!(matches!(open_as(&disk, 4, Some("c")), Err(DirectoryError::Owner(_))));
    disk.crash();
    assert!(matches!(open_as(&disk, 3, Some("d")), Err(DirectoryError::Owner(_))));
}

#[tokio::test]
async fn the_folders_above_a_new_directory_survive_a_crash_with_it() {
    let disk = SimDisk::new(1);
    let path = [PathBuf::from("/var/lib/ottla/d")];
    let cluster = ClusterId::new("c");
    let open = || open_all(&seams(&disk), &path, NodeId(3), Some(&cluster), 1_000).unwrap();
    let id = open()[0].id;
    disk.crash_losing_all();
    assert_eq!(open()[0].id, id);
}

#[tokio::test]
async fn a_directory_in_use_is_refused_by_name() {
    let disk = SimDisk::new(1);
    let _held = open_as(&disk, 3, None).unwrap();
    let refused = open_as(&disk, 3, None).err().unwrap().to_string();
    assert!(refused.contains("/d is in use"), "{refused}");
}

#[tokio::test]
async fn a_directory_without_room_is_refused_by_name() {
    let disk = SimDisk::new(1);
    disk.set_capacity_bytes(Some(900));
    let refused = open_as(&disk, 3, None).err().unwrap().to_string();
    assert!(refused.contains("/d has") && refused.contains("needs 1000"), "{refused}");
}

#[tokio::test]
async fn a_directory_takes_its_cluster_when_it_meets_it() {
    let disk = SimDisk::new(1);
    let mut directories = open_as(&disk, 3, None).unwrap();
    adopt_cluster(&disk, &mut directories[0], NodeId(3), &ClusterId::new("c")).unwrap();
    disk.crash();
    assert!(open_as(&disk, 3, Some("d")).is_err());
}
