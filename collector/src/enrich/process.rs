//! Processes: what the kernel told of them, completed from `/proc` while they live.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ebpf_abi::ProcRecord;
use flow::{Process, Timestamp};
use hashbrown::HashMap;

use super::cgroup::{Cgroup, Unit, cgroup_of, path_of_process};
use super::world::World;
use crate::decode::Owner;
use crate::generations::Generations;

/// Units that have a number at once. When one more needs one, all are forgotten: most are those of containers long gone.
const UNITS_MAX: usize = 65_536;
/// Cgroups remembered beside those of the walk, because they were made after it.
const CGROUPS_MAX: usize = 4_096;
/// Time after which a process that could not be looked up is looked up again.
const RETRY: Duration = Duration::from_secs(1);

/// Number of a unit, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct UnitId(u32);

#[cfg(test)]
impl UnitId {
    /// Any number.
    pub(crate) const fn for_tests(number: u32) -> Self {
        Self(number)
    }
}

/// What `/proc` says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcFacts {
    pub(crate) exe: String,
    /// Path of the cgroup; empty where it could not be read.
    pub(crate) cgroup: String,
}

/// Where facts about processes come from.
pub(crate) trait ProcSource: Send {
    /// Facts about a process, `None` once it has ended.
    fn facts(&self, pid: u32) -> Option<ProcFacts>;
}

/// The machine's `/proc`.
#[derive(Debug)]
pub(crate) struct ProcFs(PathBuf);

impl ProcFs {
    /// Reads below this directory.
    pub(crate) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }
}

impl ProcSource for ProcFs {
    fn facts(&self, pid: u32) -> Option<ProcFacts> {
        let directory = self.0.join(pid.to_string());
        let cgroup = std::fs::read_to_string(directory.join("cgroup")).ok()?;
        // Kernel threads have no executable.
        let exe = std::fs::read_link(directory.join("exe"));
        let exe = exe.map_or_else(|_| String::new(), |path| path.to_string_lossy().into_owned());
        Some(ProcFacts { exe, cgroup: path_of_process(&cgroup).unwrap_or_default().to_owned() })
    }
}

/// Processes by id, bounded.
pub(crate) struct Processes {
    source: Box<dyn ProcSource>,
    known: Generations<u32, Known>,
    cgroups: Generations<u64, Cgroup>,
    units: Units,
    budget: Budget,
    /// Look-ups that were not made because there were too many in that second.
    over_budget: u64,
}

#[derive(Debug)]
struct Known {
    owner: Owner,
    process: Arc<Process>,
    unit: UnitId,
    /// Path given to exec, empty where that was not seen.
    exe: String,
    /// When to look it up again; `None` once there is no more to know.
    retry_at: Option<Timestamp>,
}

/// Units by number, so that they can be part of small keys. No number is given twice.
#[derive(Debug)]
struct Units {
    numbers: HashMap<Unit, u32, foldhash::fast::RandomState>,
    all: Vec<Unit>,
    capacity: usize,
    /// Numbers of units that were forgotten: all up to this one.
    forgotten: u32,
}

/// So many look-ups a second.
#[derive(Debug)]
struct Budget {
    per_second: u32,
    second: i64,
    used: u32,
}

impl Processes {
    /// No processes yet, `capacity` at most, looked up at most `per_second` times a second.
    pub(crate) fn new(source: Box<dyn ProcSource>, capacity: usize, per_second: u32) -> Self {
        Self {
            source,
            known: Generations::new(capacity),
            cgroups: Generations::new(CGROUPS_MAX),
            units: Units::new(UNITS_MAX),
            budget: Budget { per_second, second: 0, used: 0 },
            over_budget: 0,
        }
    }

    /// The process that owns a socket, and its unit.
    pub(crate) fn find(&mut self, owner: &Owner, world: &World, now: Timestamp) -> (Arc<Process>, UnitId) {
        if let Some(known) = self.known.get(&owner.tgid)
            && known.owner == *owner
            // Far ahead only where the clock was set back.
            && known.retry_at.is_none_or(|at| at > now && at.before(RETRY) <= now)
        {
            return (known.process.clone(), known.unit);
        }
        let known = self.make(owner, world, now);
        let found = (known.process.clone(), known.unit);
        self.known.insert(owner.tgid, known);
        found
    }

    /// Takes the start of a program. Its end changes nothing: flows may still tell of it.
    pub(crate) fn executed(&mut self, record: &ProcRecord) {
        let owner =
            Owner { tgid: record.tgid, uid: record.uid, comm: record.comm, cgroup: record.cgroup, netns: record.netns };
        let exe = text(&record.path);
        // A relative path says nothing without the directory it started from.
        let exe = if exe.starts_with('/') { exe } else { String::new() };
        let process = Arc::new(Process::default());
        self.known.insert(owner.tgid, Known { owner, process, unit: UnitId(0), exe, retry_at: Some(Timestamp(0)) });
    }

    /// The unit with this number.
    pub(crate) fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(id)
    }

    /// Units known.
    pub(crate) fn units(&self) -> usize {
        self.units.all.len()
    }

    /// Units forgotten for lack of room.
    pub(crate) const fn units_evicted(&self) -> u64 {
        self.units.forgotten as u64
    }

    /// Processes known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Processes forgotten for lack of room.
    pub(crate) const fn evicted(&self) -> u64 {
        self.known.evicted()
    }

    /// Look-ups that were not made because there were too many in that second.
    pub(crate) const fn over_budget(&self) -> u64 {
        self.over_budget
    }

    fn make(&mut self, owner: &Owner, world: &World, now: Timestamp) -> Known {
        let exec_path = self.known.get(&owner.tgid).map(|known| known.exe.clone()).unwrap_or_default();
        // Without a unified tree all processes are in its root, which says nothing of any.
        let has_ids = world.has_cgroups();
        let told = world.cgroup(owner.cgroup).or_else(|| self.cgroups.peek(&owner.cgroup).filter(|_| has_ids)).cloned();
        let mut retry_at = None;
        let mut facts = ProcFacts::default();
        if exec_path.is_empty() || told.as_ref().is_none_or(|cgroup| cgroup.unit.is_none()) {
            if self.budget.take(now) {
                facts = self.source.facts(owner.tgid).unwrap_or_default();
            } else {
                self.over_budget += 1;
                retry_at = Some(now.after(RETRY));
            }
        }
        let cgroup = match told {
            // On a machine with the older cgroup trees the unified one may know less than they do.
            Some(cgroup) if cgroup.unit.is_some() || facts.cgroup.is_empty() => cgroup,
            _ if !facts.cgroup.is_empty() => {
                let cgroup = cgroup_of(&facts.cgroup);
                if has_ids {
                    self.cgroups.insert(owner.cgroup, cgroup.clone());
                }
                cgroup
            }
            Some(cgroup) => cgroup,
            None => Cgroup { path: "".into(), unit: None },
        };
        let netns = world.place_of_cookie(owner.netns).and_then(|number| world.place(number));
        let process = Process {
            pid: owner.tgid,
            uid: owner.uid,
            comm: text(&owner.comm),
            exe: if facts.exe.is_empty() { exec_path.clone() } else { facts.exe },
            cgroup: cgroup.path.to_string(),
            unit: cgroup.unit.as_ref().map_or_else(String::new, |unit| unit.name.to_string()),
            netns: netns.map_or_else(String::new, |place| place.netns.to_string()),
        };
        if cgroup.unit.as_ref().is_some_and(|unit| self.units.is_full_for(unit)) {
            self.units.forget();
            // They have the numbers that were forgotten.
            self.known.clear();
        }
        let unit = self.units.number(cgroup.unit);
        Known { owner: *owner, process: Arc::new(process), unit, exe: exec_path, retry_at }
    }
}

impl Units {
    fn new(capacity: usize) -> Self {
        Self { numbers: HashMap::default(), all: Vec::new(), capacity, forgotten: 0 }
    }

    fn get(&self, id: UnitId) -> Option<&Unit> {
        self.all.get(id.0.checked_sub(self.forgotten)?.checked_sub(1)? as usize)
    }

    fn is_full_for(&self, unit: &Unit) -> bool {
        self.all.len() >= self.capacity && !self.numbers.contains_key(unit)
    }

    fn forget(&mut self) {
        self.forgotten = self.forgotten.saturating_add(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.numbers.clear();
        self.all.clear();
    }

    /// Number of a unit; there is room, or it is known.
    fn number(&mut self, unit: Option<Unit>) -> UnitId {
        let Some(unit) = unit else { return UnitId(0) };
        if let Some(number) = self.numbers.get(&unit) {
            return UnitId(*number);
        }
        self.all.push(unit.clone());
        let number = self.forgotten.saturating_add(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.numbers.insert(unit, number);
        UnitId(number)
    }
}

impl Budget {
    fn take(&mut self, now: Timestamp) -> bool {
        let second = now.0.div_euclid(Timestamp::NANOS_PER_SECOND);
        if second != self.second {
            self.second = second;
            self.used = 0;
        }
        self.used = self.used.saturating_add(1);
        self.used <= self.per_second
    }
}

impl std::fmt::Debug for Processes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processes").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn text(zero_filled: &[u8]) -> String {
    let end = zero_filled.iter().position(|byte| *byte == 0).unwrap_or(zero_filled.len());
    String::from_utf8_lossy(&zero_filled[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::world::tests::small_world;
    use super::*;

    #[derive(Default)]
    struct Fake {
        asked: Arc<AtomicU32>,
    }

    impl ProcSource for Fake {
        fn facts(&self, pid: u32) -> Option<ProcFacts> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let cgroup = match pid {
                100.. => format!("/system.slice/s{pid}.service"),
                _ => "/system.slice/nginx.service".to_owned(),
            };
            (pid < 1000).then(|| ProcFacts { exe: format!("/usr/bin/p{pid}"), cgroup })
        }
    }

    fn owner(tgid: u32, comm: &str) -> Owner {
        let mut owner = Owner { tgid, uid: 33, netns: 30, cgroup: 99, ..Owner::default() };
        owner.comm[..comm.len()].copy_from_slice(comm.as_bytes());
        owner
    }

    fn processes(per_second: u32) -> (Processes, Arc<AtomicU32>) {
        let fake = Fake::default();
        let asked = fake.asked.clone();
        (Processes::new(Box::new(fake), 64, per_second), asked)
    }

    #[test]
    fn a_process_is_looked_up_once() {
        let (mut all, asked) = processes(10);
        let world = small_world();
        let (process, unit) = all.find(&owner(7, "nginx"), &world, Timestamp(0));
        let expected = Process {
            pid: 7,
            uid: 33,
            comm: "nginx".into(),
            exe: "/usr/bin/p7".into(),
            cgroup: "/system.slice/nginx.service".into(),
            unit: "nginx.service".into(),
            netns: "web".into(),
        };
        assert_eq!(*process, expected);
        assert_eq!(&*all.unit(unit).unwrap().name, "nginx.service");
        all.find(&owner(7, "nginx"), &world, Timestamp(1));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // The number was given to another program.
        assert_eq!(all.find(&owner(7, "curl"), &world, Timestamp(2)).0.comm, "curl");
    }

    #[test]
    fn what_ended_keeps_what_the_kernel_told() {
        let (mut all, _) = processes(10);
        let world = small_world();
        let mut record = ProcRecord { tgid: 5000, uid: 33, cgroup: 99, netns: 30, ..ProcRecord::ZERO };
        record.comm[..4].copy_from_slice(b"curl");
        record.path[..13].copy_from_slice(b"/usr/bin/curl");
        all.executed(&record);
        let (process, _) = all.find(&owner(5000, "curl"), &world, Timestamp(0));
        assert_eq!(
            (process.comm.as_str(), process.exe.as_str(), process.cgroup.as_str()),
            ("curl", "/usr/bin/curl", "")
        );
    }

    #[test]
    fn cgroups_without_a_unified_tree_are_told_apart() {
        let (mut all, _) = processes(10);
        let unit = |all: &mut Processes, pid| all.find(&owner(pid, "a"), &small_world(), Timestamp(0)).0.unit.clone();
        assert_eq!([7, 100, 101].map(|pid| unit(&mut all, pid)), ["nginx.service", "s100.service", "s101.service"]);
    }

    #[test]
    fn units_beyond_the_limit_have_names() {
        let (mut all, _) = processes(10);
        all.units = Units::new(2);
        let world = small_world();
        let ids = [100, 101, 102, 103].map(|pid| all.find(&owner(pid, "a"), &world, Timestamp(0)).1);
        let name = |id| all.unit(id).map(|unit| unit.name.to_string());
        assert_eq!(ids.map(name), [None, None, Some("s102.service".into()), Some("s103.service".into())]);
        assert_eq!((all.units(), all.units_evicted()), (2, 2));
        let again = all.find(&owner(100, "a"), &world, Timestamp(0)).1;
        assert_eq!(&*all.unit(again).unwrap().name, "s100.service");
        assert!(!ids.contains(&again), "no number is given twice");
    }

    #[test]
    fn look_ups_beyond_the_budget_are_made_later() {
        let (mut all, asked) = processes(1);
        let world = small_world();
        all.find(&owner(1, "a"), &world, Timestamp(0));
        assert_eq!(all.find(&owner(2, "b"), &world, Timestamp(0)).0.exe, "");
        assert_eq!((asked.load(Ordering::Relaxed), all.over_budget()), (1, 1));
        let later = Timestamp(2 * Timestamp::NANOS_PER_SECOND);
        assert_eq!(all.find(&owner(2, "b"), &world, later).0.exe, "/usr/bin/p2");
    }
}
