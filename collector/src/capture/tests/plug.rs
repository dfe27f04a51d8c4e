//! Links that come and go, and what is left behind.

use aya::programs::{SchedClassifier, TcAttachType};

use super::super::{AttachMode, LinkEvent, Observation};
use super::helper::Child;
use super::lab::{Lab, Pod};
use super::{load, require_ebpf, wait_for};

const FIRST: Pod = Pod(1);

fn attached(link: &str) -> usize {
    [TcAttachType::Ingress, TcAttachType::Egress]
        .map(|direction| SchedClassifier::query_tcx(link, direction).map_or(0, |(_, programs)| programs.len()))
        .iter()
        .sum()
}

#[test]
fn links_are_followed() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[FIRST]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    assert_eq!(kernel.links_observed(), 1);
    let mut expect = |what: &str, wanted: &dyn Fn(&LinkEvent) -> bool| {
        wait_for(what, || {
            let mut found = false;
            kernel.poll_links(&mut |event| found |= wanted(&event)).unwrap();
            found.then(|| kernel.links_observed())
        })
    };
    lab.shell("ip link add new0 type veth peer name new1; ip link add br9 type bridge; ip link set new0 master br9");
    let observed = expect(
        "a new link",
        &|event| matches!(event, LinkEvent::Added(link) if link.name == "new1" && link.observation == Observation::On),
    );
    assert_eq!((observed, attached("new0"), attached("new1"), attached("br9")), (3, 2, 2, 0));

    lab.shell("ip link set new0 nomaster; ip link set new0 name other0; ip link set other0 up");
    let observed = expect(
        "a changed link",
        &|event| matches!(event, LinkEvent::Changed(link) if link.name == "other0" && link.is_up && link.master.is_none()),
    );
    assert_eq!((observed, attached("other0")), (3, 2), "leaving a bridge or being renamed is not going away");

    let pod = lab.namespace(FIRST);
    lab.shell(&format!("ip link set new1 netns {pod}"));
    let observed =
        expect("a link that moved away", &|event| matches!(event, LinkEvent::Removed(link) if link.name == "new1"));
    assert_eq!((observed, lab.within(FIRST, || attached("new1"))), (2, 0));

    lab.shell("ip link del other0");
    let observed =
        expect("a link that is gone", &|event| matches!(event, LinkEvent::Removed(link) if link.name == "other0"));
    assert_eq!(observed, 1);
    drop(kernel);
    assert_eq!(attached("v1"), 0);
}

#[test]
fn nothing_stays_after_a_kill() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[FIRST]);
    lab.enter_node();
    let mut child = Child::start(&lab.name("n"), "capture");
    assert_eq!(child.says("capturing"), "1");
    assert_eq!(attached("v1"), 2);
    child.kill();
    wait_for("the kernel to detach what the process had", || (attached("v1") == 0).then_some(()));
}

#[test]
fn clsact_filters_of_a_killed_run_are_replaced_and_an_orderly_end_removes_them() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[FIRST]);
    lab.enter_node();
    let filters =
        || lab.shell("tc filter show dev v1 ingress; tc filter show dev v1 egress").matches("direct-action").count();
    let mut child = Child::start(&lab.name("n"), "capture clsact");
    assert_eq!(child.says("capturing"), "1");
    assert_eq!(filters(), 2);
    child.kill();
    assert_eq!(filters(), 2, "clsact keeps what a process leaves");
    let kernel = load(|config| config.attach = AttachMode::Clsact);
    let observed = kernel.links().find(|link| link.name == "v1").map(|link| link.observation.clone());
    assert_eq!((observed, filters()), (Some(Observation::On), 2));
    drop(kernel);
    assert_eq!(filters(), 0);
}
