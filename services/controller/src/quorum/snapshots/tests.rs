//! Snapshots under crashes and with damage.

use ottla_runtime::seams::SimDisk;
use raft::eraftpb::ConfState;

use super::*;

fn snapshot(index: u64) -> Snapshot {
    let head = SnapshotHead {
        position: Position { index, term: 3 },
        conf_state: ConfState::from((vec![1, 2, 3], vec![])),
        later_disks: vec![(NodeId(3), DirectoryId(ottla_types::Uuid::from_random(8)))],
        offset: MetadataOffset(index * 2),
        hash: 77,
    };
    Snapshot { head, image: vec![0xab; 5000] }
}

fn open(disk: &SimDisk) -> Snapshots {
    Snapshots::open(Arc::new(disk.clone()), Path::new("/snapshots")).unwrap()
}

#[test]
fn every_crash_point_leaves_whole_snapshots_only() {
    for point in 0..40 {
        let disk = SimDisk::new(point);
        let snapshots = open(&disk);
        disk.cut_power_after(point);
        let mut promised = 0;
        for index in 1..=4 {
            if snapshots.write(&snapshot(index)).is_err() {
                break;
            }
            promised = index;
        }
        disk.crash();
        let snapshots = open(&disk);
        let found = snapshots.list().unwrap();
        assert!(found.first().map_or(0, |newest| newest.index) >= promised, "point {point}");
        for position in found {
            assert_eq!(snapshots.read(position).unwrap(), snapshot(position.index));
        }
    }
}

#[test]
fn only_the_newest_are_kept() {
    let disk = SimDisk::new(1);
    let snapshots = open(&disk);
    for index in 1..=5 {
        snapshots.write(&snapshot(index)).unwrap();
    }
    let kept: Vec<u64> = snapshots.list().unwrap().iter().map(|p| p.index).collect();
    assert_eq!(kept, [5, 4]);
}

#[test]
fn a_changed_bit_anywhere_is_found() {
    let disk = SimDisk::new(1);
    let snapshots = open(&disk);
    snapshots.write(&snapshot(1)).unwrap();
    let path = snapshots.path(snapshot(1).head.position);
    for byte in (0..5074).step_by(7) {
        disk.flip_bit(&path, byte * 8).unwrap();
        let read = snapshots.read(snapshot(1).head.position);
        assert!(matches!(read, Err(SnapshotError::Damaged { .. })), "byte {byte}");
        disk.flip_bit(&path, byte * 8).unwrap();
    }
}
