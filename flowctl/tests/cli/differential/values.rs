//! Values that fields and flags have, so that filters sometimes match.

use super::random::Random;

pub(crate) const ADDRESSES: [&str; 14] = [
    "10.0.0.54",
    "10.244.1.5",
    "172.217.16.78",
    "8.8.8.8",
    "0.0.0.0",
    "fd00::1",
    "fe80::64d8:8aff:fe72:fc14",
    "::1",
    "2001:DB8::1",
    "0:0::1",
    "::ffff:1.2.3.4",
    "fe80::1%eth0",
    "not-an-ip",
    "",
];
pub(crate) const NAMESPACES: [&str; 8] = ["default", "kube-system", "shop", "shop-2", "", "a.b", "..", "prod"];
pub(crate) const PODS: [&str; 9] =
    ["xwing", "xwing-2", "deathstar-7848d6c4d5-th9v2", "coredns-5dd5756b68-cnszf", "", "x/y", ".", "a.b", "tiefighter"];
pub(crate) const SERVICES: [&str; 6] = ["deathstar", "kube-dns", "api", "", "api-2", "../up"];
pub(crate) const DNS_NAMES: [&str; 9] = [
    "www.google.com",
    "google.com",
    "cilium.io",
    "_srv.example.org",
    "WWW.Example.Org",
    "xn--bcher-kva.example",
    "a..b",
    "nope.local.",
    "",
];
pub(crate) const LABELS: [&str; 18] = [
    "k8s:app=deathstar",
    "k8s:class=xwing",
    "k8s:org=empire",
    "k8s:tier=3",
    "reserved:world",
    "reserved:host",
    "reserved.kube-apiserver",
    "$host",
    "reserved:=odd",
    "cidr:10.0.0.0/8",
    "cidr:10.0.0.54/32",
    "cidr:fd00--1/128",
    "unspec:a=b=c",
    "app=plain",
    "any:x",
    "",
    "k8s:io.kubernetes.pod.namespace=default",
    ":empty-source=1",
];
pub(crate) const WORKLOADS: [&str; 5] = ["deathstar", "coredns", "", "api", "xwing"];
pub(crate) const KINDS: [&str; 5] = ["Deployment", "DaemonSet", "", "Job", "CiliumNetworkPolicy"];
pub(crate) const CLUSTERS: [&str; 5] = ["default", "kind-kind", "prod-1", "", "prod-2"];
pub(crate) const NODES: [&str; 10] =
    ["k1", "kind-kind/kind-worker", "default/k1", "node_1.example.org", "", "a/b/c", "/k1", "K1", "prod-1/k2", "k-é"];
pub(crate) const URLS: [&str; 30] = [
    "http://deathstar.default.svc.cluster.local/v1/request-landing",
    "http://deathstar/v1/exhaust-port?x=/page/1",
    "/page/12",
    "/page/12#frag",
    "https://user:pa@[::1]:8080/a%20b/c",
    "http://[fe80::1%25en0]/x",
    "http://h:port/x",
    "http://h/%zz",
    "http://h\u{7f}/x",
    "//host/x",
    "*",
    "mailto:someone",
    "",
    "page",
    "http://exa mple/x",
    "http://h/a?b=%zz",
    "http:///x",
    "http://h/\u{e9}",
    "1http://h/x",
    "http://h%41/x",
    "http://h%c3%a9/x",
    "http://a:1:2/x",
    "mongodb://a:1,b:2/x",
    "http://u@v@h/x",
    "http://[fe80::1%25n]/x",
    "http://[1.2.3.4]/x",
    "http://u%zz@h/x",
    "http://[::1]x/y",
    "ftp://h/;p",
    "http://h/<script>&\"'",
];
pub(crate) const METHODS: [&str; 7] = ["GET", "POST", "put", "", "DELETE", "\u{212a}ICK", "Patch"];
pub(crate) const HEADERS: [(&str, &str); 5] =
    [("X-Request-Id", "r1"), ("foo", "bar"), ("foo", ""), ("Host", "a:b"), ("x-request-id", "r1")];
pub(crate) const TRACES: [&str; 3] = ["4bf92f3577b34da6a3ce929d0e0e4736", "t1", ""];
pub(crate) const UUIDS: [&str; 5] =
    ["uuid-5", "60e8fedd-6d98-49d8-b7f6-cb84455757ab", "60E8FEDD-6D98-49D8-B7F6-CB84455757AB", "", "a\u{301}"];
pub(crate) const DEVICES: [&str; 4] = ["eth0", "lxc123", "", "cilium_host"];
pub(crate) const TIMES: [&str; 17] = [
    "2026-01-15T10:11:12.001Z",
    "2026-01-15T10:11:12.005000015Z",
    "2026-01-15T10:11:13Z",
    "2026-01-15T10:11:12.035Z",
    "2026-01-15T11:11:12.002+01:00",
    "2026-01-05T09:08:07.100200Z",
    "1969-12-31T23:59:59.999999999Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "2024-02-29T00:00:00-00:30",
    "2026-01-15T9:11:12Z",
    "2026-01-15T10:11:12,5Z",
    "2026-01-15T10:11:12+24:00",
    "1677-01-01T00:00:00Z",
    "2500-06-07T08:09:10.1Z",
    "0999-12-31T00:00:00Z",
];
pub(crate) const TEXTS: [&str; 24] = [
    "TCP Flags: SYN",
    "TCP Flags: ACK, PSH",
    "HTTP/1.1 GET /x <b>&amp;</b>",
    "DNS Answer \"1.2.3.4\" TTL: 30",
    "",
    " ",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}",
    "a\r\nb",
    "tab\there",
    "vertical\u{b}tab and form\u{c}feed",
    "\u{0}nul",
    "\u{7f}\u{80}\u{9b}1m",
    "\u{e9}\u{e8} \u{4f60}\u{597d}",
    "\u{1f600} smile",
    "e\u{301}",
    "\u{2028}line\u{2029}sep",
    "back\\slash \"quoted\" 'single'",
    "\u{feff}bom",
    "\u{200b}zero\u{a0}nbsp",
    "----",
    "%s %d %!x",
    "a very long text that makes a column wide, wider than any other one in the table that is printed",
    "\u{fffd}",
];

/// A text that says nothing in particular.
pub(crate) fn text(random: &mut Random) -> String {
    if random.percent(10) {
        let length = random.below(40);
        return (0..length)
            .map(|_| random.pick(&["a", "\u{e9}", " ", "\t", "\"", "\\", "/", "<", "\u{1b}", "7"]))
            .collect();
    }
    random.pick(&TEXTS).to_owned()
}
