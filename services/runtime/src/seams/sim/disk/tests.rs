//! What the simulated disk keeps, loses and breaks.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use super::*;

fn write(file: &dyn DiskFile, bytes: &[u8], offset: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], offset).unwrap();
}

fn read(disk: &SimDisk, path: &str) -> Vec<u8> {
    let file = disk.open(Path::new(path), OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn new_file(disk: &SimDisk, path: &str) -> Arc<dyn DiskFile> {
    disk.open(Path::new(path), OpenMode::CreateNew).unwrap()
}

#[test]
fn what_was_synced_survives_every_crash() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = new_file(&disk, "/a");
        write(&*file, &[7; 3000], 0);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        write(&*file, &[8; 3000], 3000);
        disk.crash();
        assert_eq!(read(&disk, "/a")[..3000], [7; 3000]);
        assert!(file.sync_data().is_err(), "a handle of before the crash is dead");
    }
}

#[test]
fn unsynced_sectors_are_kept_lost_and_torn() {
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let file = new_file(&disk, "/a");
        write(&*file, &[1; SECTOR_BYTES * 2], 0);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        write(&*file, &[2; SECTOR_BYTES * 2], 0);
        disk.crash();
        let left = read(&disk, "/a");
        let fate = |sector: &[u8]| match sector.iter().filter(|&&b| b == 2).count() {
            0 => "lost",
            SECTOR_BYTES => "kept",
            _ => "torn",
        };
        seen.insert((fate(&left[..SECTOR_BYTES]), fate(&left[SECTOR_BYTES..])));
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn the_same_seed_loses_the_same() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let file = new_file(&disk, "/a");
        disk.sync_dir(Path::new("/")).unwrap();
        (0..50_u64).for_each(|n| write(&*file, &[n as u8; 700], n * 600));
        disk.crash();
        read(&disk, "/a")
    };
    assert!((0..20).all(|seed| run(seed) == run(seed)));
    assert!((0..20).any(|seed| run(seed) != run(seed + 1)));
}

#[test]
fn a_name_is_durable_when_its_folder_is_synced_and_renames_are_atomic() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new("/d/e")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        let file = new_file(&disk, "/d/x.tmp");
        write(&*file, b"new", 0);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.rename(Path::new("/d/x.tmp"), Path::new("/d/e/x")).unwrap();
        disk.crash();
        match (
            disk.exists(Path::new("/d/x.tmp")).unwrap(),
            disk.exists(Path::new("/d/e/x")).unwrap(),
        ) {
            (true, false) => lost += 1,
            (false, true) => kept += 1,
            both => panic!("{both:?}"),
        }
    }
    assert!(lost > 10 && kept > 10);
}

#[test]
fn a_folders_unsynced_names_survive_as_a_prefix() {
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        (0..4).for_each(|n| _ = new_file(&disk, &format!("/{n}")));
        disk.crash();
        let names: Vec<_> =
            disk.list(Path::new("/")).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["0", "1", "2", "3"][..names.len()]);
        lengths.insert(names.len());
    }
    assert_eq!(lengths.len(), 5);
}

#[test]
fn after_a_failed_sync_a_second_one_saves_nothing() {
    let is_lost = |seed| {
        let disk = SimDisk::new(seed);
        let file = new_file(&disk, "/a");
        disk.sync_dir(Path::new("/")).unwrap();
        write(&*file, &[5; 2000], 0);
        disk.fail_sync(|path| path.ends_with("a"));
        assert!(file.sync_data().is_err());
        disk.heal();
        file.sync_data().unwrap();
        disk.crash();
        read(&disk, "/a") != [5; 2000]
    };
    assert!((0..20).any(is_lost));
}

#[test]
fn a_full_disk_takes_what_fits_and_says_so() {
    let disk = SimDisk::new(0);
    let file = new_file(&disk, "/a");
    disk.set_capacity_bytes(Some(1000));
    let error = file.write_all_at(&[IoSlice::new(&[1; 1500])], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!((file.len().unwrap(), disk.free_space_bytes(Path::new("/")).unwrap()), (1000, 0));
    assert_eq!(disk.total_space_bytes(Path::new("/")).unwrap(), 1000);
    write(&*file, &[2; 1000], 0);
    assert_eq!(file.allocate(1001).unwrap_err().kind(), ErrorKind::StorageFull);
}

#[test]
fn errors_and_turned_bits_come_on_command() {
    let disk = SimDisk::new(0);
    let file = new_file(&disk, "/a");
    write(&*file, &[0; 8], 0);
    disk.flip_bit(Path::new("/a"), 8 * 3 + 1).unwrap();
    assert_eq!(read(&disk, "/a"), [0, 0, 0, 2, 0, 0, 0, 0]);
    disk.fail_reads(|_| true);
    assert!(file.read_at(&mut [0], 0).is_err());
    disk.fail_writes(|_| true);
    assert!(file.write_all_at(&[IoSlice::new(&[1])], 0).is_err());
    disk.heal();
    assert_eq!(file.read_at(&mut [0; 9], 0).unwrap(), 8);
}

#[test]
fn the_power_goes_after_so_many_changes() {
    let disk = SimDisk::new(3);
    let file = new_file(&disk, "/a");
    disk.sync_dir(Path::new("/")).unwrap();
    disk.cut_power_after(2);
    write(&*file, &[1; 10], 0);
    file.sync_data().unwrap();
    assert!(file.write_all_at(&[IoSlice::new(&[2; 10])], 0).is_err());
    assert!(file.read_at(&mut [0], 0).is_err());
    disk.crash();
    assert!(matches!(read(&disk, "/a").len(), 10));
}

#[test]
fn a_lock_is_held_once_and_dies_with_its_process() {
    let disk = SimDisk::new(0);
    let lock = disk.lock(Path::new("/.lock")).unwrap();
    assert_eq!(disk.lock(Path::new("/.lock")).err().unwrap().kind(), ErrorKind::WouldBlock);
    disk.kill_process();
    let second = disk.lock(Path::new("/.lock")).unwrap();
    drop(lock);
    assert!(disk.lock(Path::new("/.lock")).is_err());
    drop(second);
    disk.lock(Path::new("/.lock")).unwrap();
}

#[test]
fn a_removed_folder_may_come_back_in_part() {
    let mut lengths = BTreeSet::new();
    for seed in 0..600 {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new("/d")).unwrap();
        (0..3).for_each(|n| _ = new_file(&disk, &format!("/d/{n}")));
        disk.sync_dir(Path::new("/")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.remove_dir_all(Path::new("/d")).unwrap();
        disk.crash();
        lengths.insert(disk.list(Path::new("/d")).map_or(0, |entries| 1 + entries.len()));
    }
    assert_eq!(lengths.len(), 5, "{lengths:?}");
}

#[test]
fn a_folder_that_is_made_durably_survives_with_all_above_it() {
    let disk = SimDisk::new(1);
    crate::seams::create_dir_durably(&disk, Path::new("/a/b/c")).unwrap();
    disk.crash_losing_all();
    assert!(disk.exists(Path::new("/a/b/c")).unwrap());
    disk.create_dir_all(Path::new("/a/b/c/d")).unwrap();
    // A second start finds the folder, and still makes its name durable.
    crate::seams::create_dir_durably(&disk, Path::new("/a/b/c/d")).unwrap();
    disk.crash_losing_all();
    assert!(disk.exists(Path::new("/a/b/c/d")).unwrap());
}
