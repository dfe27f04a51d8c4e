// Serves ui/dist and made-up answers, for looking at pages without a relay.
//
//   node stub/server.mjs [--port 8188] [--services 10] [--edges N] [--rate 60] [--answer ok|empty|error|slow]

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import * as answers from './answers.mjs';
import { world as makeWorld } from './world.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8188' },
    services: { type: 'string', default: '10' },
    edges: { type: 'string', default: '0' },
    rate: { type: 'string', default: '60' },
    answer: { type: 'string', default: 'ok' },
  },
});
const world = makeWorld(Number(values.services), Number(values.edges));
const rate = Number(values.rate);
const started = Date.now();
const dist = fileURLToPath(new URL('../../../ui/dist/', import.meta.url));

// The relay sends the same policy; pages that break it are found here already.
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' };

const api = {
  '/api/v1/map': (query) => answers.map(world, query),
  '/api/v1/flows': (query) => answers.flows(world, query),
  '/api/v1/drops': (query) => answers.drops(world, query),
  '/api/v1/status': () => answers.status(world, started, rate),
};
const EMPTY = {
  '/api/v1/map': { nodes: [], edges: [], since: '', until: '', completeness: { oldest: '', lost: 0, losses: [], missing_nodes: ['node-2'] } },
  '/api/v1/flows': { flows: [], completeness: { oldest: '', lost: 0, losses: [], missing_nodes: [] } },
  '/api/v1/drops': { total: 0, groups: [], timeline: [], completeness: { oldest: '', lost: 0, losses: [], missing_nodes: [] } },
  '/api/v1/status': { version: '0.1.0', uptime_seconds: 3, flows: 0, flows_max: 4000000, flows_seen: 0, flows_per_second: 0, index_bytes: 0, nodes: [], losses: [] },
};

async function asset(path) {
  const wanted = path.startsWith('/assets/') ? path : '/index.html';
  const file = join(dist, normalize(wanted));
  return { body: await readFile(file), type: TYPES[extname(file)] ?? 'application/octet-stream' };
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://stub');
  const json = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  if (url.pathname === '/api/v1/flows/stream' && values.answer !== 'error') {
    return answers.stream(world, url.searchParams, response, values.answer === 'empty' ? 0 : rate);
  }
  if (url.pathname.startsWith('/api/')) {
    if (values.answer === 'error') return json(503, { error: 'the index is still being read back', remedy: 'wait for /readyz to answer 200' });
    if (values.answer === 'slow') await new Promise((done) => setTimeout(done, 60_000));
    const answer = values.answer === 'empty' ? EMPTY[url.pathname] : api[url.pathname]?.(url.searchParams);
    return answer ? json(200, answer) : json(404, { error: 'no such path', remedy: '' });
  }
  try {
    const { body, type } = await asset(url.pathname);
    return response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(body);
  } catch {
    return response.writeHead(404).end();
  }
});
server.listen(Number(values.port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
