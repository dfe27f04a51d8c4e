//! A thread that watches what is where on the node and publishes a new snapshot when it has changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::cgroup::{Cgroups, unified_root, walk};
use super::containers::Containers;
use super::names::{Names, NamesError};
use super::netlink::Changes;
use super::netns::read_all;
use super::world::World;

/// How often the thread looks whether it should stop or was asked for a refresh.
const SLICE_MS: i64 = 100;
/// When to look again after a change: namespaces get their addresses after their devices, and only the devices' changes
/// are told to us.
const FOLLOW_UP: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(300), Duration::from_secs(1)];

/// Everything that is looked up but not seen on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) world: Arc<World>,
    pub(crate) names: Arc<Names>,
}

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) node_name: String,
    pub(crate) netns_dirs: Vec<PathBuf>,
    pub(crate) names_file: Option<PathBuf>,
    pub(crate) interval: Duration,
}

/// The node cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    /// The names file is wrong.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// The own network namespace cannot be read.
    #[error("cannot list the network devices of this machine")]
    Namespaces(#[source] io::Error),
    /// No thread could be started.
    #[error("cannot start the thread that watches devices")]
    Thread(#[source] io::Error),
}

/// The watching thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Discovery {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Hands out the newest snapshot.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    seen: u64,
}

#[derive(Debug)]
struct Shared {
    newest: Mutex<Knowledge>,
    generation: AtomicU64,
    wanted: AtomicBool,
    stop: AtomicBool,
}

/// What the thread owns.
struct Looker {
    places: Places,
    containers: Containers,
    cgroup_root: Option<PathBuf>,
    names_modified: Option<SystemTime>,
    current: Knowledge,
}

impl Discovery {
    /// Looks once, so that the first flow has names, then goes on in a thread of its own.
    ///
    /// # Errors
    /// The names file is wrong, or the own network namespace cannot be read.
    pub(crate) fn start(places: Places) -> Result<Self, DiscoveryError> {
        let mut looker = Looker::new(places)?;
        // Before the first look, so that no change in between goes unnoticed.
        let changes = Changes::listen().map_err(|errno| DiscoveryError::Namespaces(errno.into()))?;
        looker.current.world = Arc::new(looker.look().map_err(DiscoveryError::Namespaces)?);
        let shared = Arc::new(Shared {
            newest: Mutex::new(looker.current.clone()),
            generation: AtomicU64::new(1),
            wanted: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new().name("weir-discovery".to_owned()).spawn({
            let shared = shared.clone();
            move || looker.run(&changes, &shared)
        });
        Ok(Self { shared, thread: Some(thread.map_err(DiscoveryError::Thread)?) })
    }

    /// A reader of snapshots that has not seen any yet.
    pub(crate) fn watch(&self) -> Watch {
        Watch { shared: self.shared.clone(), seen: 0 }
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches devices panicked");
        }
    }
}

impl Watch {
    /// The newest snapshot, `None` where it was handed out already. Costs one load of an integer then.
    pub(crate) fn changed(&mut self) -> Option<Knowledge> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation == self.seen {
            return None;
        }
        self.seen = generation;
        Some(self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Asks for a look soon, because something was met that the snapshot does not know.
    pub(crate) fn ask(&self) {
        self.shared.wanted.store(true, Ordering::Relaxed);
    }
}

impl Looker {
    fn new(places: Places) -> Result<Self, NamesError> {
        let names = places.names_file.as_deref().map(Names::read).transpose()?.unwrap_or_default();
        let names_modified = modified(places.names_file.as_deref());
        Ok(Self {
            containers: Containers::new(Path::new("/var/lib/docker")),
            cgroup_root: unified_root(),
            names_modified,
            current: Knowledge { world: Arc::default(), names: Arc::new(names) },
            places,
        })
    }

    fn run(mut self, changes: &Changes, shared: &Shared) {
        let mut follow_up = FOLLOW_UP.len();
        let mut due = Instant::now() + self.places.interval;
        while !shared.stop.load(Ordering::Relaxed) {
            let until_due = due.saturating_duration_since(Instant::now()).as_millis();
            let changed = changes.wait(i64::try_from(until_due).unwrap_or(SLICE_MS).min(SLICE_MS));
            if changed || shared.wanted.swap(false, Ordering::Relaxed) {
                follow_up = 0;
                due = due.min(Instant::now() + FOLLOW_UP[0]);
            }
            if Instant::now() < due {
                continue;
            }
            if self.refresh() {
                *shared.newest.lock().unwrap_or_else(PoisonError::into_inner) = self.current.clone();
                shared.generation.fetch_add(1, Ordering::Release);
            }
            follow_up += 1;
            due = Instant::now() + FOLLOW_UP.get(follow_up).copied().unwrap_or(self.places.interval);
        }
    }

    /// Looks again and says whether anything is different.
    fn refresh(&mut self) -> bool {
        let mut different = self.refresh_names();
        match self.look() {
            Ok(world) if world != *self.current.world => {
                self.current.world = Arc::new(world);
                different = true;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "network namespaces not read; names stay as they were"),
        }
        different
    }

    fn look(&mut self) -> io::Result<World> {
        let namespaces = read_all(&self.places.netns_dirs, Path::new("/proc"))?;
        let cgroups = self.cgroup_root.as_deref().map_or_else(Cgroups::default, walk);
        let containers = &mut self.containers;
        Ok(World::assemble(&self.places.node_name, &namespaces, cgroups, &mut |unit| containers.find(unit)))
    }

    /// Reads the names file again when it has changed. A wrong one leaves the names as they were.
    fn refresh_names(&mut self) -> bool {
        let Some(path) = self.places.names_file.clone() else { return false };
        let now = modified(Some(&path));
        if now == self.names_modified {
            return false;
        }
        self.names_modified = now;
        match Names::read(&path) {
            Ok(names) => {
                tracing::info!(path = %path.display(), "names read again");
                self.current.names = Arc::new(names);
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(%error, cause, "names stay as they were");
                false
            }
        }
    }
}

fn modified(path: Option<&Path>) -> Option<SystemTime> {
    path?.metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < deadline, "{what} did not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_changed_names_file_is_read_again_and_a_wrong_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("names.yaml");
        std::fs::write(&file, "names: [{addresses: 10.0.0.9, name: old}]").unwrap();
        let places = Places {
            node_name: "n".into(),
            netns_dirs: Vec::new(),
            names_file: Some(file.clone()),
            interval: Duration::from_millis(1),
        };
        let mut looker = Looker::new(places).unwrap();
        let write = |text: &str, seconds: u64| {
            std::fs::write(&file, text).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        let before = looker.current.names.clone();
        assert!(!looker.refresh_names());
        write("names: [", 1);
        assert!(!looker.refresh_names());
        assert_eq!(looker.current.names, before);
        write("names: [{addresses: 10.0.0.9, name: new}]", 2);
        assert!(looker.refresh_names());
        assert_ne!(looker.current.names, before);
    }

    #[test]
    fn the_first_snapshot_is_there_at_once() {
        let places = Places {
            node_name: "n".into(),
            netns_dirs: Vec::new(),
            names_file: None,
            interval: Duration::from_secs(5),
        };
        let discovery = match Discovery::start(places) {
            Ok(discovery) => discovery,
            Err(DiscoveryError::Namespaces(error)) if error.kind() == io::ErrorKind::PermissionDenied => return,
            Err(error) => panic!("{error}"),
        };
        let mut watch = discovery.watch();
        let first = watch.changed().unwrap();
        assert_eq!(&*first.world.place(0).unwrap().name, "n");
        assert!(first.world.link(1).is_some_and(|link| &*link.name == "lo"));
        watch.ask();
        wait_until("the look that was asked for", || !discovery.shared.wanted.load(Ordering::Relaxed));
    }
}
