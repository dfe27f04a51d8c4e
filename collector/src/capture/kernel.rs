//! The running capture: everything that was loaded, and what can be asked of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Array, HashMap, MapData};
use aya::{Btf as KernelTypes, Ebpf};
use ebpf_abi::{DropKey, DropVal, FlowKey, FlowVal, Live};
use zerocopy::transmute;

use super::attach::Attachments;
use super::btf::Btf;
use super::clock::BootClock;
use super::config::CaptureConfig;
use super::error::{CaptureError, permission_in};
use super::feature::{Feature, Tier};
use super::hooks::{self, HOOKS};
use super::link::{self, Link, LinkEvent, Links};
use super::map::MapError;
use super::names::KernelNumbers;
use super::object::{self, Loaded};
use super::privilege;
use super::ring::Rings;
use super::stats::{self, Counters, KernelStats};
use super::sweep::{Drops, Flows, SweepKind};
use super::walk;

/// What [`Kernel::drain`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records handed over.
    pub records: usize,
    /// Whether there may be more at once.
    pub more: bool,
}

/// Capture that runs. Dropping it detaches everything.
///
/// All calls must come from the thread that loaded it, or one in the same network namespace: links that appear later
/// are attached to by their name.
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    config: CaptureConfig,
    rings: Rings,
    pub(super) flows: Flows,
    pub(super) drops: Drops,
    counters: Counters,
    live: Array<MapData, [u64; 2]>,
    muted: HashMap<MapData, u64, u8>,
    links: Links,
    attachments: Attachments,
    features: Vec<Feature>,
    names: Arc<KernelNumbers>,
    clock: BootClock,
    pub(super) own_tgid: u32,
    payload_bytes: u32,
}

impl Kernel {
    /// Loads the programs and attaches them to the links of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`CaptureError`], whose text names cause and remedy. What is not essential and does not work is no error, see
    /// [`Kernel::features`].
    pub fn load(config: &CaptureConfig) -> Result<Self, CaptureError> {
        let mut prepared = Prepared::new(config, true)?;
        let ebpf = &mut prepared.ebpf;
        let (mut attachments, way) = Attachments::new(config.attach);
        prepared.features.push(way);
        let map = CaptureError::Map;
        let mut kernel = Self {
            rings: Rings::take(ebpf).map_err(map)?,
            flows: Flows::take(ebpf, config).map_err(map)?,
            drops: Drops::take(ebpf, config).map_err(map)?,
            counters: Counters::take(ebpf).map_err(map)?,
            live: Array::try_from(stats::take_map(ebpf, "LIVE").map_err(map)?)
                .map_err(stats::aya("LIVE"))
                .map_err(map)?,
            muted: HashMap::try_from(stats::take_map(ebpf, "MUTED").map_err(map)?)
                .map_err(stats::aya("MUTED"))
                .map_err(map)?,
            links: Links::open(&mut |link| attachments.observe(ebpf, config, link)).map_err(CaptureError::Links)?,
            attachments,
            features: prepared.features,
            names: prepared.names,
            clock: BootClock::measure(),
            own_tgid: prepared.own_tgid,
            payload_bytes: CaptureConfig::payload_class(config.payload_bytes_max),
            config: config.clone(),
            ebpf: prepared.ebpf,
        };
        kernel.publish().map_err(map)?;
        Ok(kernel)
    }

    /// What works on this kernel and what does not.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Names of drop reasons and kernel functions.
    #[must_use]
    pub fn names(&self) -> Arc<KernelNumbers> {
        Arc::clone(&self.names)
    }

    /// From times in records to the wall clock, as last measured.
    #[must_use]
    pub fn clock(&self) -> BootClock {
        self.clock
    }

    /// Measures the clock anew. Worth doing every few seconds: the wall clock is corrected while the machine runs.
    ///
    /// # Errors
    /// The programs could not be told.
    pub fn refresh_clock(&mut self) -> Result<BootClock, MapError> {
        self.clock = BootClock::measure();
        self.publish()?;
        Ok(self.clock)
    }

    /// All links of the namespace, observed or not.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.all()
    }

    /// Number of links whose packets are seen.
    #[must_use]
    pub fn links_observed(&self) -> usize {
        self.attachments.len()
    }

    /// Takes in links that came, went or changed, and attaches to those that are wanted.
    ///
    /// # Errors
    /// The socket that tells of links failed. The links stay as they were known last.
    pub fn poll_links(&mut self, tell: &mut dyn FnMut(LinkEvent)) -> std::io::Result<()> {
        let Self { links, attachments, ebpf, config, .. } = self;
        let mut gone = Vec::new();
        let polled = links.poll(&mut |link| attachments.observe(ebpf, config, link), &mut |event| {
            if let LinkEvent::Removed(link) = &event {
                gone.push(link.ifindex);
            }
            tell(event);
        });
        for ifindex in gone {
            self.attachments.release(&mut self.ebpf, ifindex);
        }
        polled.map(drop)
    }

    /// Waits until a link changes or the time is up. The rings never wake anybody: they are to be emptied every few
    /// milliseconds.
    ///
    /// # Errors
    /// Waiting failed.
    pub fn wait(&self, timeout: Duration) -> std::io::Result<()> {
        link::wait(self.links.as_fd(), timeout)
    }

    /// Hands over records of both rings, at most some ten thousand in one call. See [`ebpf_abi::Record::parse`].
    pub fn drain(&mut self, take: &mut dyn FnMut(&[u8])) -> Drained {
        self.rings.drain(take)
    }

    /// Rounds of reading both rings that were completed, as [`crate::source::Source::rounds`] has them.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rings.rounds
    }

    /// Sends a [`ebpf_abi::SockRecord`] for each socket that was not told of yet: once after the start, and again when
    /// records of sockets were lost. Records are handed over as by [`Kernel::drain`]. Returns the number of sockets.
    pub fn walk_sockets(&mut self, take: &mut dyn FnMut(&[u8])) -> usize {
        walk::run(&mut self.ebpf, &mut self.rings, take)
    }

    /// Hands over the totals of all flows that have changed since the last sweep, and takes out of the map what is
    /// closed or has been silent for long. `now_boot_ns` is [`BootClock::now_boot_ns`].
    ///
    /// # Errors
    /// The kernel refused; what was handed over until then stands.
    pub fn sweep(
        &mut self,
        now_boot_ns: u64,
        take: &mut dyn FnMut(FlowKey, FlowVal, SweepKind),
    ) -> Result<(), MapError> {
        let (made, _) = self.counters.made()?;
        self.flows.sweep(now_boot_ns, take)?;
        self.counters.learn_flows(made, self.flows.account);
        Ok(())
    }

    /// The same for drops and other troubles.
    ///
    /// # Errors
    /// As [`Kernel::sweep`].
    pub fn sweep_drops(
        &mut self,
        now_boot_ns: u64,
        take: &mut dyn FnMut(DropKey, DropVal, SweepKind),
    ) -> Result<(), MapError> {
        let (_, made) = self.counters.made()?;
        self.drops.sweep(now_boot_ns, take)?;
        self.counters.learn_drops(made, self.drops.account);
        Ok(())
    }

    /// What the programs counted.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn stats(&self) -> Result<KernelStats, MapError> {
        self.counters.read(self.flows.account, self.drops.account)
    }

    /// Captures no more payload of a socket.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn mute_payload(&mut self, cookie: u64) -> Result<(), MapError> {
        self.muted.insert(cookie, 1, 0).map_err(stats::aya("MUTED"))
    }

    /// Changes how much payload is taken of one send or receive, up to what was configured; 0 takes none.
    ///
    /// # Errors
    /// The programs could not be told.
    pub fn set_payload_bytes(&mut self, bytes: u32) -> Result<(), MapError> {
        self.payload_bytes = CaptureConfig::payload_class(bytes.min(self.config.payload_bytes_max));
        self.publish()
    }

    /// Captures the payload of this very process as well, which is a measurement's.
    pub(super) fn measure_own_process(&mut self) -> Result<(), MapError> {
        self.own_tgid = 0;
        self.publish()
    }

    /// Tells the programs what changes while they run.
    fn publish(&mut self) -> Result<(), MapError> {
        let live = Live {
            monotonic_to_boot_ns: BootClock::slept_ns(),
            own_tgid: self.own_tgid,
            payload_cap: self.payload_bytes,
        };
        let words: [u64; 2] = transmute!(live);
        self.live.set(0, words, 0).map_err(stats::aya("LIVE"))
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("links", &self.links).field("features", &self.features).finish_non_exhaustive()
    }
}

impl AsFd for Kernel {
    /// Readable when links have changed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.links.as_fd()
    }
}

/// What is loaded but not attached to links.
pub(super) struct Prepared {
    pub(super) ebpf: Ebpf,
    features: Vec<Feature>,
    names: Arc<KernelNumbers>,
    own_tgid: u32,
}

impl Prepared {
    /// Loads the object and its programs; attaches tracepoints if `attach` says so.
    fn new(config: &CaptureConfig, attach: bool) -> Result<Self, CaptureError> {
        Self::with_bench_port_mask(config, attach, 0)
    }

    /// As [`Prepared::new`], with what [`ebpf_abi::Settings::bench_port_mask`] tells of.
    pub(super) fn with_bench_port_mask(config: &CaptureConfig, attach: bool, mask: u32) -> Result<Self, CaptureError> {
        privilege::check()?;
        let btf = Btf::running().map_err(CaptureError::NoBtf)?;
        let types = KernelTypes::from_sys_fs().map_err(|error| CaptureError::from_load(error.into()))?;
        let names = Arc::new(KernelNumbers::new(&btf));
        let Loaded { mut ebpf, mut features, own_tgid } = object::load(config, &btf, &names, mask)?;
        let kernel = hooks::Kernel { btf: &btf, types: &types };
        for hook in &HOOKS {
            let (feature, error) = hook.load(&mut ebpf, &kernel, attach);
            let essential = !feature.ok && feature.tier == Tier::Base;
            features.push(feature);
            match error {
                Some(error) if essential && permission_in(&error) => {
                    return Err(CaptureError::Refused { doing: "to load a program", cause: Box::new(error) });
                }
                Some(error) if essential => {
                    return Err(CaptureError::Program { program: hook.program, cause: Box::new(error) });
                }
                _ => {}
            }
        }
        Ok(Self { ebpf, features, names, own_tgid })
    }
}

/// Tries every feature without starting capture. The first entry tells whether capture can start at all, and if not,
/// why and what to do.
#[must_use]
pub fn probe() -> Vec<Feature> {
    const NAME: &str = "capture from the kernel";
    // Small tables: nothing will be put into them.
    let config =
        CaptureConfig { ctrl_ring_bytes: 0, data_ring_bytes: 0, flows_max: 1, drops_max: 1, ..Default::default() };
    match Prepared::new(&config, false) {
        Ok(prepared) => {
            let mut features = vec![Feature::works(NAME, Tier::Base, format!("Linux {}", privilege::release()))];
            features.extend(prepared.features);
            features.push(Attachments::new(config.attach).1);
            features
        }
        Err(error) => vec![Feature::fails(NAME, Tier::Base, hooks::chain(&error))],
    }
}
