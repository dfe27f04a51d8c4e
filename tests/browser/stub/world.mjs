// A made-up network in the shapes of flow::view: the same numbers at every start, so that pictures can be compared.

export function random(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

const node = (id, name, namespace, kind) => ({ id, name, namespace, kind });
const workload = (namespace, name) => node(`${namespace}/${name}`, name, namespace, 'workload');
const dns = (name) => node(name, name, '', 'dns');
const address = (ip) => node(ip, ip, '', 'address');

// One conversation; rates are per second, drops in packets per second.
const call = (source, destination, port, rate, more = {}) => ({
  source, destination, port, rate, protocol: 'TCP', l7: '', request: 400, response: 3000, errors: 0, drops: 0,
  p50: 1200, p99: 9000, reason: '', ...more,
});

// The shop of `./dev up --demo`, as far as a stub can be it.
function shop() {
  const nodes = [
    workload('shop', 'web'), workload('shop', 'api'), workload('shop', 'redis'), workload('shop', 'postgres'),
    workload('shop', 'dnsmasq'), workload('clients', 'shopper'), workload('clients', 'thief'),
    workload('clients', 'confused'), node('reserved:host', 'host', '', 'host'), dns('deb.debian.org'),
  ];
  const http = { l7: 'HTTP' };
  const names = { protocol: 'UDP', l7: 'DNS', request: 70, response: 130, p50: 300, p99: 900 };
  const calls = [
    call('clients/shopper', 'shop/web', 80, 12, { ...http, response: 14000 }),
    call('shop/web', 'shop/api', 8080, 11, { ...http, errors: 0.02, p50: 3400, p99: 22000 }),
    call('shop/api', 'shop/redis', 6379, 30, { request: 90, response: 200, p50: 200, p99: 800 }),
    call('shop/api', 'shop/postgres', 5432, 8, { request: 300, response: 2500, p50: null, p99: null }),
    call('clients/thief', 'shop/postgres', 5432, 0, { drops: 1.4, reason: 'NETFILTER_DROP' }),
    call('clients/shopper', 'shop/dnsmasq', 53, 2, names),
    call('shop/web', 'shop/dnsmasq', 53, 1, names),
    call('shop/api', 'shop/dnsmasq', 53, 1.5, names),
    call('clients/confused', 'shop/dnsmasq', 53, 0.8, { ...names, errors: 0.8 }),
    call('reserved:host', 'deb.debian.org', 443, 0.2, { request: 800, response: 60000, p50: null, p99: null }),
    call('reserved:host', 'shop/web', 80, 0.5, http),
  ];
  return { nodes, calls };
}

const NAMESPACES = ['ingress', 'shop', 'payments', 'search', 'identity', 'orders', 'media', 'kafka', 'billing', 'monitoring', 'kube-system', 'legacy'];
const NAMES = {
  ingress: ['gateway', 'edge-cache', 'waf'],
  shop: ['web', 'cart', 'catalog', 'checkout', 'pricing', 'inventory', 'reviews', 'postgres', 'redis'],
  payments: ['api', 'ledger', 'fraud-detection', 'card-vault', 'postgres', 'reconciler', 'webhooks'],
  search: ['query', 'ranker', 'indexer', 'suggest', 'elasticsearch-data', 'elasticsearch-master'],
  identity: ['auth', 'session', 'profile', 'ldap-sync', 'postgres', 'token-issuer'],
  orders: ['api', 'workflow', 'shipping', 'notifications', 'postgres', 'returns', 'tracking-aggregator'],
  media: ['thumbnails', 'transcoder', 'upload', 'object-store', 'cdn-purge'],
  kafka: ['broker-0', 'broker-1', 'broker-2', 'zookeeper', 'schema-registry'],
  billing: ['invoices', 'taxes', 'exporter', 'mysql', 'dunning'],
  monitoring: ['prometheus', 'grafana', 'alertmanager', 'loki', 'tempo'],
  'kube-system': ['coredns', 'metrics-server', 'kube-proxy'],
  legacy: ['monolith', 'soap-adapter', 'oracle', 'batch'],
};
const OUTSIDE = ['api.stripe.com', 'hooks.stripe.com', 'files.stripe.com', 's3.eu-west-1.amazonaws.com', 'sqs.eu-west-1.amazonaws.com',
  'ecr.eu-west-1.amazonaws.com', 'login.microsoftonline.com', 'smtp.mailgun.org', 'deb.debian.org', 'security.debian.org', 'pypi.org'];

// A cluster: namespaces with a front, some services behind it and a store; calls within and to other namespaces.
function cluster(count) {
  const next = random(count * 7919);
  const pick = (list) => list[Math.floor(next() * list.length)];
  const nodes = [node('reserved:world', 'world', '', 'world'), node('reserved:host', 'host', '', 'host')];
  const byNamespace = new Map();
  for (let i = 0; nodes.length < count - OUTSIDE.length - 5; i++) {
    const round = Math.floor(i / NAMESPACES.length);
    const namespace = NAMESPACES[i % NAMESPACES.length];
    const copies = Math.floor(round / NAMES[namespace].length);
    const name = NAMES[namespace][round % NAMES[namespace].length] + (copies ? `-${copies + 1}` : '');
    const made = workload(namespace, name);
    nodes.push(made);
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), made.id]);
  }
  nodes.push(...OUTSIDE.map(dns), ...['52.18.4.9', '34.247.1.77', '10.96.14.2', '192.168.7.30', '140.82.121.4'].map(address));
  const of = (namespace) => byNamespace.get(namespace) ?? [];
  const calls = [];
  const seen = new Set();
  const add = (source, destination, port, rate, more) => {
    if (source === destination || seen.has(`${source}>${destination}`)) return;
    seen.add(`${source}>${destination}`);
    calls.push(call(source, destination, port, rate, more));
  };
  const rate = () => Math.exp(next() * 6.5) / 4;
  const latency = () => { const p50 = Math.exp(5.5 + next() * 4); return { p50, p99: p50 * (3 + next() * 12) }; };
  const http = () => ({ l7: 'HTTP', ...latency(), errors: next() < 0.12 ? next() * 0.12 : 0 });
  of('ingress').forEach((id) => add('reserved:world', id, 443, 40 + rate(), { ...http(), response: 20000 }));
  for (const [namespace, ids] of byNamespace) {
    const [front, ...rest] = ids;
    if (namespace === 'ingress' || namespace === 'kube-system' || namespace === 'monitoring') continue;
    if (namespace !== 'kafka') of('ingress').slice(0, 1).forEach((id) => add(id, front, 8080, rate(), http()));
    rest.forEach((id, i) => add(i < 3 ? front : pick(ids.slice(0, i + 1)), id, pick([8080, 8443, 9000]), rate(), http()));
    const store = ids.find((id) => /postgres|mysql|oracle|redis|object-store|elasticsearch|broker/.test(id));
    if (store) rest.slice(0, 3).forEach((id) => add(id, store, /redis/.test(store) ? 6379 : 5432, rate(), { request: 200, response: 900 }));
    if (next() < 0.7) add(pick(ids), pick(of(pick(['identity', 'orders', 'payments', 'search']))) ?? front, 8080, rate(), http());
    if (next() < 0.6) of('kafka').slice(0, 2).forEach((id) => add(pick(ids), id, 9092, rate(), { request: 4000, response: 80 }));
  }
  const monitored = [...byNamespace.values()].flatMap((ids) => ids.slice(0, 1));
  monitored.forEach((id) => of('monitoring').slice(0, 1).forEach((p) => add(p, id, 9090, 0.1, { ...http(), errors: 0, response: 40000 })));
  monitored.forEach((id) => of('kube-system').slice(0, 1).forEach((d) => add(id, d, 53, 5 * next(), { protocol: 'UDP', l7: 'DNS', request: 80, response: 160, p50: 300, p99: 2000 })));
  OUTSIDE.forEach((name, i) => add(pick(of(['payments', 'media', 'orders', 'identity'][i % 4])) ?? 'reserved:host', name, 443, rate() / 4));
  ['52.18.4.9', '34.247.1.77', '10.96.14.2', '192.168.7.30', '140.82.121.4'].forEach((ip) => add(pick(of('legacy')) ?? 'reserved:host', ip, 443, rate() / 8));
  add(pick(of('legacy')), pick(of('payments').slice(3)), 8443, 0, { drops: 3, reason: 'POLICY_DENIED' });
  add(pick(of('media')), pick(of('orders').slice(1)), 5432, 0, { drops: 0.7, reason: 'NETFILTER_DROP' });
  add(pick(of('search')), pick(of('kafka')), 9092, 30, { drops: 2, reason: 'TCP_OFOMERGE' });
  return { nodes, calls };
}

// A load test, not a picture of anything.
function crowd(count, edges) {
  const next = random(42);
  const tiers = 6;
  const nodes = Array.from({ length: count }, (_, i) => workload(NAMESPACES[Math.floor(next() * 12)], `service-${i}`));
  const calls = [];
  while (calls.length < edges) {
    const from = Math.floor(next() * count);
    const tier = Math.min(tiers - 1, Math.floor((from * tiers) / count) + 1 + Math.floor(next() * 2));
    const to = Math.min(count - 1, Math.floor(((tier + next() * next()) * count) / tiers));
    if (from === to) continue;
    calls.push(call(nodes[from].id, nodes[to].id, 8080, Math.exp(next() * 6), {
      l7: 'HTTP', errors: next() < 0.05 ? 0.1 : 0, drops: next() < 0.03 ? 5 : 0, reason: 'NETFILTER_DROP',
    }));
  }
  return { nodes, calls };
}

export function world(services, edges) {
  if (edges) return crowd(services, edges);
  return services <= 10 ? shop() : cluster(services);
}
