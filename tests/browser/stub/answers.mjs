// The relay's answers about the made-up network.

import { random } from './world.mjs';

const RANGES = { s: 1, m: 60, h: 3600, d: 86400 };
export const seconds = (text) => {
  const found = /^(\d+)([smhd])$/.exec(text ?? '');
  return found ? Number(found[1]) * RANGES[found[2]] : 3 * 3600;
};
const ago = (millis, now = Date.now()) => new Date(now - millis).toISOString();
const whole = { oldest: ago(3 * 3600e3), lost: 0, losses: [], missing_nodes: [] };

const EXPLANATIONS = {
  NETFILTER_DROP: 'A firewall rule (nftables or iptables) dropped the packet. Look at the rules of the namespace named here with `nft list ruleset` or `iptables-save -c`; counters show which one.',
  POLICY_DENIED: 'No policy allows this connection (or a firewall rule forbids it). If it should pass, allow it in a policy of the side that dropped it.',
  TCP_OFOMERGE: 'The out-of-order segment was already there. A harmless repeat after loss.',
  NO_SOCKET: 'Nothing listens on this address and port. The service is down, listens elsewhere, or the port is wrong: check `ss -ltnup` there.',
};
const FUNCTIONS = { NETFILTER_DROP: 'nf_hook_slow', NO_SOCKET: 'tcp_v4_rcv', TCP_OFOMERGE: 'tcp_ofo_queue', POLICY_DENIED: '' };

// Keeps what the namespace, workload and verdict conditions leave: enough to try the filter bar.
function passes(query, call, nodes) {
  const find = (id) => nodes.find((n) => n.id === id);
  const sides = [find(call.source), find(call.destination)];
  const has = (name, of) => {
    const wanted = query.get(name)?.split(',');
    return !wanted || sides.some((side) => wanted.includes(of(side)));
  };
  const verdict = query.get('verdict');
  return has('namespace', (n) => n.namespace) && has('workload', (n) => n.name) && (verdict !== 'DROPPED' || call.drops > 0);
}

export function map({ nodes, calls }, query) {
  const span = seconds(query.get('since'));
  let kept = calls.filter((c) => passes(query, c, nodes));
  let shown = nodes;
  if (query.get('by') === 'namespace') {
    const group = (id) => { const n = nodes.find((x) => x.id === id); return n.namespace || n.id; };
    kept = kept.map((c) => ({ ...c, source: group(c.source), destination: group(c.destination) }));
    shown = [...new Set(nodes.map((n) => n.namespace || n.id))].map((id) => {
      const lone = nodes.find((n) => n.id === id);
      return lone ?? { id, name: id, namespace: id, kind: 'namespace' };
    });
  }
  const used = new Set(kept.flatMap((c) => [c.source, c.destination]));
  const edges = kept.map((c) => {
    const wobble = 0.95 + 0.1 * Math.abs(Math.sin(Date.now() / 9000 + c.port + c.rate));
    const requests = Math.round(c.rate * span * wobble);
    return {
      source: c.source, destination: c.destination, protocol: c.protocol, port: c.port,
      flows: requests * 2 + Math.round(c.drops * span), bytes_sent: requests * c.request + Math.round(c.drops * span) * 60,
      bytes_received: requests * c.response, packets: requests * 10, dropped: Math.round(c.drops * span), drop_reason: c.drops ? c.reason : '',
      requests: c.l7 ? requests : 0, errors: Math.round(requests * c.errors), l7: c.l7,
      latency_p50_us: c.rate && c.l7 ? c.p50 : null, latency_p99_us: c.rate && c.l7 ? c.p99 : null,
    };
  });
  return { nodes: shown.filter((n) => used.has(n.id)), edges, since: ago(span * 1000), until: ago(0), completeness: whole };
}

const ips = new Map();
const ipOf = (id) => {
  if (!ips.has(id)) ips.set(id, /^\d+\./.test(id) ? id : `10.77.${Math.floor(ips.size / 200)}.${(ips.size % 200) + 2}`);
  return ips.get(id);
};

function party(world, id, port) {
  const n = world.nodes.find((x) => x.id === id);
  const local = n.kind === 'workload';
  return {
    name: local ? n.name : n.kind === 'dns' ? n.name : ipOf(id), namespace: n.namespace, workload: local ? n.name : '', ip: ipOf(id), port,
    identity: local ? String(20000 + id.length * 911) : n.kind === 'host' ? 'host' : 'world',
    labels: local ? [`weir:app=${n.name}`, `weir:ns=${n.namespace}`] : [], process: local ? `${n.name.slice(0, 12)} (${1000 + id.length * 37})` : '',
    cgroup: local ? `system.slice/${n.name}.service` : '',
  };
}

let counter = 0;
export function flow(world, next, time) {
  const weights = world.calls.map((c) => Math.log1p(c.rate * 4) + c.drops * 0.6 + 0.05);
  let at = next() * weights.reduce((a, b) => a + b, 0);
  const c = world.calls[Math.max(0, weights.findIndex((w) => (at -= w) < 0))];
  const dropped = c.drops > 0 && next() < c.drops / (c.drops + c.rate);
  const reply = !dropped && next() < 0.45;
  const ephemeral = 32768 + Math.floor(next() * 28000);
  const [from, to] = [party(world, c.source, ephemeral), party(world, c.destination, c.port)];
  const [source, destination] = reply ? [to, from] : [from, to];
  const l7 = !dropped && c.l7 && next() < 0.5;
  const failed = next() < c.errors;
  const path = ['/', '/api/items/42', '/api/cart', '/checkout?step=2', '/healthz'][Math.floor(next() * 5)];
  const name = failed ? 'no-such-name.shop.test' : 'api.shop.test';
  const summaries = {
    HTTP: reply ? `HTTP/1.1 ${failed ? 503 : 200} 12ms (GET ${path})` : `HTTP/1.1 GET ${path}`,
    DNS: reply ? `DNS Answer ${failed ? 'RCode: Non-Existent Domain' : `"${to.ip}" TTL: 60`} (Query ${name}. A)` : `DNS Query ${name}. A`,
  };
  const flags = dropped ? 'SYN' : ['SYN', 'SYN, ACK', 'ACK', 'ACK, PSH', 'ACK, FIN'][Math.floor(next() * 5)];
  const packets = dropped ? 1 : 1 + Math.floor(next() * 12);
  return {
    id: `5e3f${(counter++).toString(16).padStart(4, '0')}-4c1b-4a6e-9d2f-00000000beef`, time: time.toISOString(), node: 'node-1',
    verdict: dropped ? 'DROPPED' : 'FORWARDED', kind: dropped ? c.reason : l7 ? `${c.l7.toLowerCase()}-${reply ? 'response' : 'request'}` : next() < 0.5 ? 'to-endpoint' : 'from-endpoint',
    direction: next() < 0.5 ? 'egress' : 'ingress', is_reply: dropped ? null : reply, source, destination, protocol: c.protocol,
    summary: l7 ? summaries[c.l7] : dropped ? `TCP Flags: SYN; ${c.reason}` : c.protocol === 'TCP' ? `TCP Flags: ${flags}` : 'UDP', drop_reason: dropped ? c.reason : '',
    drop_function: dropped ? FUNCTIONS[c.reason] : '', interface: 'veth3a1', bytes: dropped ? 74 : packets * 140 + Math.floor(next() * c.response), packets,
    latency_us: l7 && reply ? c.p50 * (0.6 + next()) : null,
  };
}

function accepts(query, row) {
  const wanted = (name) => query.get(name)?.split(',');
  const side = (name, of) => {
    const either = wanted(name);
    const from = wanted(`from-${name}`);
    const to = wanted(`to-${name}`);
    return (!either || either.includes(of(row.source)) || either.includes(of(row.destination)))
      && (!from || from.includes(of(row.source))) && (!to || to.includes(of(row.destination)));
  };
  return side('namespace', (p) => p.namespace) && side('workload', (p) => p.workload) && side('ip', (p) => p.ip)
    && side('port', (p) => String(p.port)) && (!wanted('verdict') || wanted('verdict').includes(row.verdict));
}

export function flows(world, query) {
  const count = Math.min(Number(query.get('last') ?? 100), 2000);
  const span = seconds(query.get('since')) * 1000;
  const next = random(99);
  const rows = [];
  for (let i = 0; i < count; i++) {
    const row = flow(world, next, new Date(Date.now() - span * (1 - i / count)));
    if (accepts(query, row)) rows.push(row);
  }
  return { flows: rows, completeness: whole };
}

export function stream(world, query, response, rate) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const next = random(Date.now());
  let due = 0;
  let sent = 0;
  const timer = setInterval(() => {
    due += rate / 10;
    const rows = [];
    for (; due >= 1; due--) {
      const row = flow(world, next, new Date());
      if (accepts(query, row)) rows.push(row);
    }
    sent += rows.length;
    if (rows.length) response.write(`event: flows\nid: ${sent}\ndata: ${JSON.stringify(rows)}\n\n`);
    if (Math.random() < 0.004) response.write('event: lost\ndata: {"source":"HUBBLE_RING_BUFFER","count":12}\n\n');
  }, 100);
  response.on('close', () => clearInterval(timer));
}

export function drops(world, query) {
  const span = seconds(query.get('since'));
  const kept = world.calls.filter((c) => c.drops > 0 && passes(query, c, world.nodes));
  const extra = world.calls.length > 20 ? [] : [{ ...world.calls[0], source: 'reserved:host', destination: 'shop/api', port: 9999, drops: 0.08, reason: 'NO_SOCKET' }];
  const all = [...kept, ...extra];
  const groups = all.map((c) => {
    const clear = (p, of) => ({ ...p, port: 0, ...(of.includes('host') ? { process: 'curl (812)' } : {}) });
    return {
      reason: c.reason, explanation: EXPLANATIONS[c.reason], function: FUNCTIONS[c.reason], source: clear(party(world, c.source, 0), c.source),
      destination: clear({ ...party(world, c.destination, 0), process: '' }, ''), protocol: c.protocol, port: c.port, packets: Math.round(c.drops * span),
      first: ago(span * 1000 * 0.97), last: ago(1200),
    };
  }).sort((a, b) => b.packets - a.packets);
  const slices = 60;
  const step = (span * 1000) / slices;
  const start = Math.floor(Date.now() / step) * step - step * (slices - 1);
  const timeline = [];
  all.forEach((c, k) => {
    const next = random(k + 7);
    for (let i = 0; i < slices; i++) {
      const packets = Math.round((c.drops * span / slices) * (0.5 + next()) * (i % 17 === 3 * k ? 2.4 : 1));
      if (packets && next() > 0.06) timeline.push({ time: new Date(start + i * step).toISOString(), reason: c.reason, packets });
    }
  });
  return { total: groups.reduce((sum, g) => sum + g.packets, 0), groups, timeline, completeness: whole };
}

export function status(world, started, rate) {
  const up = (Date.now() - started) / 1000;
  const nodes = ['node-1', 'node-2', 'node-3'].map((name, i) => ({
    name, state: i === 2 && world.nodes.length > 10 ? 'unavailable' : 'connected', version: '0.1.0', address: `10.0.0.${i + 1}:43210`,
    flows_seen: Math.round(up * rate * 400 / (i + 1)), lost: i === 1 ? 214 : 0, idle_seconds: i === 2 && world.nodes.length > 10 ? 94 : 0.3,
  })).slice(0, world.nodes.length > 10 ? 3 : 1);
  return {
    version: '0.1.0', uptime_seconds: Math.round(up) + 8123, flows: 1_482_113, flows_max: 4_000_000, flows_seen: 3_920_551, flows_per_second: rate * 1.03,
    index_bytes: 148_000_000, memory_bytes: 412_000_000, memory_bytes_max: 2_147_483_648, nodes, losses: world.nodes.length > 10 ? [
      { node: 'node-2', stage: 'kernel', cause: 'ring_full', seen: 1_204_551, lost: 202 },
      { node: 'node-2', stage: 'l7', cause: 'connection_too_long', seen: 88_120, lost: 12 },
    ] : [],
  };
}
