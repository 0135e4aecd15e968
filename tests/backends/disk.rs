//! Disks that are really full, and disks that really fail.
//!
//! Both need the right to mount. Where it is missing the tests say so and end, unless `REQUIRE_BACKENDS=1`, which makes
//! it a failure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remote_object::error::Kind;
use remote_object::model::{Cas, ObjectKey, Put, Record, Register, Seen, Version};
use remote_object::storage::{Datastore, Sqlite};

use crate::sqlite::Dir;

const MIB: u64 = 1 << 20;
const WRITERS: u32 = 8;

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// `None`, with a word about it, where the machine does not let us; a failure where it must.
fn unless_missing<T>(what: &str, made: Result<T, String>) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(why) if std::env::var("REQUIRE_BACKENDS").is_ok_and(|set| set == "1") => {
            panic!("{what} is required: {why}")
        }
        Err(why) => {
            eprintln!("SKIPPED: {what} cannot be made here ({why})");
            None
        }
    }
}

/// Something mounted, until it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path, bytes: u64) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs", &at.display().to_string()])?;
        Ok(Self(at.to_owned()))
    }

    fn store(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run("umount", &[&self.0.display().to_string()])
            .or_else(|_| run("umount", &["-l", &self.0.display().to_string()]));
    }
}

fn key(writer: u32, object: u32) -> ObjectKey {
    ObjectKey::new("thing", &format!("{object} of writer {writer}")).unwrap()
}

fn record(seq: u32) -> Record {
    let state = format!("\"{seq}{}\"", " state".repeat(600));
    let meta = Bytes::from(format!("{seq}{}", " meta".repeat(700)));
    Record { version: Version::new(1, seq), state: state.into(), meta }
}

/// Of each object the last version that was answered `Stored`, and the last one that was asked for.
type Acknowledged = BTreeMap<ObjectKey, (u32, u32)>;

/// Creates objects and updates them, so that the log and the file grow; ends when a put is not stored.
async fn write(store: Arc<dyn Datastore>, writer: u32, objects: u32) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for object in 0..objects {
        let key = key(writer, object);
        let mut seen = None;
        for seq in 1..=5 {
            match store.put(&key, seen.as_ref(), &record(seq)).await {
                Put::Stored(rev) => seen = Some(Seen { version: Version::new(1, seq), rev }),
                Put::Unknown(_) | Put::Refused(_) => {
                    acknowledged.insert(key, (seq - 1, seq));
                    return acknowledged;
                }
                Put::Conflict(version) => panic!("a conflict with {version} where nobody else writes"),
            }
        }
        acknowledged.insert(key, (5, 5));
    }
    acknowledged
}

/// Writes from many tasks until nothing is stored any more.
async fn write_until_it_fails(store: &Arc<dyn Datastore>) -> Acknowledged {
    let tasks: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(store), writer, 20_000))).collect();
    let mut acknowledged = Acknowledged::new();
    for task in tasks {
        let written = task.await.unwrap();
        assert!(written.len() < 20_000, "the disk was to fail, and never did");
        acknowledged.extend(written);
    }
    acknowledged
}

/// After the failure the store says so, and acknowledges and shows nothing.
async fn has_stopped(store: &Arc<dyn Datastore>, acknowledged: &Acknowledged, doing: &str) {
    let failed =
        tokio::time::timeout(Duration::from_secs(5), store.failed()).await.expect("it has failed, and says nothing");
    assert_eq!(failed.kind(), Kind::StoreUnavailable);
    assert!(failed.detail().unwrap().contains(doing), "the failure of {doing:?} was wanted: {failed:?}");
    eprintln!("the store says: {failed:?}");
    for key in acknowledged.keys().take(20) {
        let put = store.put(&ObjectKey::new("late", key.id()).unwrap(), None, &record(1)).await;
        assert!(matches!(put, Put::Refused(_)), "after the failure a put is answered {put:?}");
        let hint = store.hint(0, key, Some(1), Version::new(1, 1)).await;
        assert!(matches!(hint, Put::Refused(_)), "after the failure a hint is answered {hint:?}");
        assert!(store.load(key).await.is_err(), "after the failure a load is answered");
    }
    let cas = store.cas(&Register::cluster(), None, b"{}").await;
    assert!(matches!(cas, Cas::Unknown(_)), "after the failure a cas is answered {cas:?}");
}

/// On a healthy disk everything acknowledged is there, whole, and the store works.
async fn serves_what_was_durable(path: &Path, acknowledged: &Acknowledged) {
    let store = Sqlite::open(path).unwrap();
    let mut found = 0;
    for (key, (stored, asked)) in acknowledged {
        let Some(there) = store.load(key).await.unwrap() else {
            assert_eq!(*stored, 0, "{key} was stored {stored} times, and is not there");
            continue;
        };
        let seq = there.record.version.seq();
        assert!((*stored..=*asked).contains(&seq), "{key}: {stored} was stored, {asked} asked for, {seq} is there");
        assert!(there.record == record(seq), "{key}: the record of {seq} is not whole");
        found += stored;
        let seen = Seen { version: there.record.version, rev: there.rev };
        let put = store.put(key, Some(&seen), &record(asked + 1)).await;
        assert!(matches!(put, Put::Stored(_)), "on a healthy disk a put is answered {put:?}");
    }
    let integrity: String =
        rusqlite::Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    eprintln!("acknowledged and found: {found} puts");
    assert!(found > 20, "the disk failed before it was tried: {found} puts");
}

/// Takes all the room there is on a disk but so many bytes.
fn fill(at: &Path, but: u64) {
    use std::io::Write;
    let mut ballast = std::fs::File::create(at.join("ballast")).unwrap();
    let block = vec![0x5a; 4096];
    let mut taken = 0;
    while ballast.write_all(&block).is_ok() {
        taken += block.len() as u64;
    }
    ballast.set_len(taken.saturating_sub(but)).unwrap();
}

/// Objects written before the room is taken, the room left then, in bytes, and what the store was doing when it failed:
/// either the log cannot grow, or the file when the log is folded into it.
const TURNS: [(u32, u64, &str); 3] =
    [(5, 64 << 10, "writing failed"), (700, 512 << 10, "folding the WAL failed"), (700, 6 * MIB, "failed")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_store_and_loses_nothing_acknowledged() {
    for (before, room, doing) in TURNS {
        let dir = Dir::new("full");
        let at = dir.path().join("disk");
        let Some(disk) = unless_missing("a small disk", Mount::tmpfs(&at, 64 * MIB)) else { return };
        let store: Arc<dyn Datastore> = Arc::new(Sqlite::open(disk.store()).unwrap());
        let mut acknowledged = write(Arc::clone(&store), 100, before).await;
        fill(&at, room);
        acknowledged.extend(write_until_it_fails(&store).await);
        has_stopped(&store, &acknowledged, doing).await;
        drop(store);
        run("mount", &["-o", &format!("remount,size={}", 256 * MIB), &at.display().to_string()]).unwrap();
        serves_what_was_durable(&disk.store(), &acknowledged).await;
    }
}

/// A block device over a file, until it is dropped.
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Result<Self, String> {
        run("losetup", &["--find", "--show", &file.display().to_string()]).map(Self)
    }

    fn mount(&self, at: &Path) -> Result<Mount, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        run("mount", &["-t", "ext4", &self.0, &at.display().to_string()])?;
        Ok(Mount(at.to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", &self.0]);
    }
}

/// A file system whose device stands on sparse ground: what it writes to a new place fails with an I/O error of the
/// kernel, once there is no more ground.
fn sparse_disk(ground: &Mount) -> Result<Loop, String> {
    let image = ground.0.join("image");
    let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
    file.set_len(256 * MIB).map_err(|error| error.to_string())?;
    run("mkfs.ext4", &["-q", "-F", "-J", "size=4", "-E", "nodiscard", &image.display().to_string()])?;
    Loop::over(&image)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_stops_the_store_and_loses_nothing_acknowledged() {
    for (before, room, doing) in TURNS {
        let dir = Dir::new("failing");
        let (below, at) = (dir.path().join("ground"), dir.path().join("disk"));
        let made = Mount::tmpfs(&below, 96 * MIB).and_then(|ground| {
            let device = sparse_disk(&ground)?;
            let disk = device.mount(&at)?;
            Ok((disk, device, ground))
        });
        let Some((disk, device, ground)) = unless_missing("a disk that fails", made) else { return };
        let store: Arc<dyn Datastore> = Arc::new(Sqlite::open(disk.store()).unwrap());
        let mut acknowledged = write(Arc::clone(&store), 100, before).await;
        fill(&ground.0, room);
        acknowledged.extend(write_until_it_fails(&store).await);
        has_stopped(&store, &acknowledged, doing).await;
        drop(store);

        // What the kernel still has of it in its cache goes with the mount; only what the device has is left.
        drop(disk);
        drop(device);
        std::fs::remove_file(ground.0.join("ballast")).unwrap();
        let device = Loop::over(&ground.0.join("image")).unwrap();
        let disk = device.mount(&at).unwrap();
        serves_what_was_durable(&disk.store(), &acknowledged).await;
        drop(disk);
        drop(device);
    }
}
