// Checks the web UI of a running Weir, with traffic of which some is denied (such as `./dev up --demo`).
//
//   node check.mjs http://127.0.0.1:12000 [--services web,api] [--shots DIR]
//
// Ends with the line `N passed, N failed`; the exit code is 0 when none failed.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { faults, openPage, pixels, withBrowser } from './browser.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { services: { type: 'string', default: '' }, shots: { type: 'string', default: 'shots' } },
});
const base = (positionals[0] ?? 'http://127.0.0.1:12000').replace(/\/$/, '');
const expected = values.services.split(',').filter(Boolean);
const DEADLINE = 30_000;
mkdirSync(values.shots, { recursive: true });

let passed = 0;
let failed = 0;
async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n        ${String(error.message ?? error).split('\n').slice(0, 6).join('\n        ')}`);
  }
}
const must = (condition, text) => {
  if (!condition) throw new Error(text);
};

await withBrowser({}, async (context) => {
  const { page, complaints } = await openPage(context);
  const go = (path) => page.goto(base + path, { waitUntil: 'load' });
  const shot = (name) => page.screenshot({ path: join(values.shots, `${name}.png`) });
  const cellsOf = (column) => page.locator(`.list tbody tr td:nth-child(${column})`).allTextContents();

  await check('the first page is the map', async () => {
    await go('/');
    await page.waitForURL('**/map', { timeout: DEADLINE });
    await page.waitForSelector('.surface-over', { timeout: DEADLINE });
  });

  await check('the map names the services', async () => {
    await go('/map?view=list');
    await page.waitForSelector('.list tbody tr', { timeout: DEADLINE });
    const names = [...await cellsOf(2), ...await cellsOf(3)].map((name) => name.trim());
    must(names.every((name) => name !== ''), 'an end of a connection has no name');
    for (const name of expected) must(names.some((n) => n.startsWith(name)), `no service is called ${name}: ${names.join(', ')}`);
  });

  await check('the denied connection is listed with its reason', async () => {
    await page.waitForSelector('.list tr.bad', { timeout: DEADLINE });
    const row = (await page.locator('.list tr.bad').first().locator('td').allTextContents()).map((t) => t.trim());
    must(['Blocked', 'Dropping'].includes(row[0]), `its state is ${row[0]}`);
    must(row[10] !== '', 'it has no reason');
  });

  await check('the map draws a red edge', async () => {
    await go('/map');
    await page.waitForFunction(() => /[1-9]\d* services/.test(document.querySelector('.toolbar-summary')?.textContent ?? ''), null, { timeout: DEADLINE });
    const red = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--bad-mark').trim());
    await page.waitForFunction(() => document.querySelector('.surface-base').width > 400, null, { timeout: DEADLINE });
    const count = await pixels(page, '.surface-base', red);
    must(count > 60, `only ${count} pixels are ${red}`);
  });

  await check('a connection opens with its drops and leads to its flows', async () => {
    await go('/map?view=list');
    await page.waitForSelector('.list tr.bad', { timeout: DEADLINE });
    // The kernel tells of the whole machine: rather a connection of the services that were named.
    const named = page.locator('.list tr.bad', { hasText: expected.at(-1) ?? '' });
    const row = await named.count() > 0 ? named.first() : page.locator('.list tr.bad').first();
    await row.locator('button').first().click({ timeout: DEADLINE });
    await page.waitForSelector('.drawer .peer-drops', { timeout: DEADLINE });
    await shot('map-drawer');
    await page.locator('.drawer-ways a', { hasText: 'Flows' }).click();
    await page.waitForURL('**/flows?**', { timeout: DEADLINE });
    await page.waitForSelector('.row.dropped:not([hidden])', { timeout: DEADLINE });
  });

  await check('the flow table fills live', async () => {
    await go('/flows');
    const newest = page.locator('.window .row:not([hidden]) .cell.time').first();
    await newest.waitFor({ timeout: DEADLINE });
    const before = await newest.textContent();
    await page.waitForFunction((before) => {
      const cell = document.querySelector('.window .row:not([hidden]) .cell.time');
      return cell && cell.textContent !== before && /live/.test(document.querySelector('.page-count').textContent);
    }, before, { timeout: DEADLINE });
  });

  await check('a dropped flow tells its reason', async () => {
    await go('/flows?verdict=DROPPED');
    await page.locator('.row.dropped:not([hidden])').first().click({ timeout: DEADLINE });
    await page.waitForSelector('.drawer .why h3', { timeout: DEADLINE });
    await shot('flow-drawer');
  });

  await check('what a flow offers to ask for takes the place of what contradicts it', async () => {
    await go('/flows?live=0&port=5432&verdict=DROPPED');
    await page.locator('.row.dropped:not([hidden])').first().click({ timeout: DEADLINE });
    for (const name of ['to-port', 'from-ip', 'to-ip']) {
      const offered = page.locator(`.drawer button[aria-label^="Only ${name} "]`);
      if (await offered.count() > 0) await offered.click({ timeout: DEADLINE });
    }
    await page.waitForURL(/to-ip=/, { timeout: DEADLINE });
    const query = new URL(page.url()).searchParams;
    must(query.get('to-port') === '5432' && !query.has('port'), page.url());
    for (const own of ['live', 'sel']) query.delete(own);
    const answer = await page.request.get(`${base}/api/v1/flows?last=1&${query}`);
    must(answer.ok(), `${page.url()} is refused: ${await answer.text()}`);
    must(await page.locator('.state[role=alert]').count() === 0, 'the page is an error');
  });

  await check('a range is shown while paused', async () => {
    await go('/flows?live=0&since=5m');
    await page.waitForSelector('.window .row:not([hidden])', { timeout: DEADLINE });
    must(/of the last 5m/.test(await page.textContent('.page-count')), 'the range is not named');
  });

  await check('the drops page lists a reason', async () => {
    await go('/drops');
    const reason = page.locator('.group-reason strong').first();
    await reason.waitFor({ timeout: DEADLINE });
    must((await reason.textContent()).trim() !== '', 'the reason is empty');
    must(await page.locator('.chart rect').count() > 0, 'the timeline is empty');
  });

  await check('the status page lists a connected node', async () => {
    await go('/status');
    await page.locator('.list tr.fine', { hasText: 'connected' }).first().waitFor({ timeout: DEADLINE });
  });

  await check('a typed filter becomes a chip and part of the link', async () => {
    await go('/flows');
    await page.waitForSelector('#filter', { timeout: DEADLINE });
    await page.keyboard.press('/');
    await page.keyboard.type('-port=53');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.chip.not', { timeout: DEADLINE });
    must(new URL(page.url()).search.includes('not-port=53'), page.url());
    await page.goBack();
    await page.waitForSelector('.chip', { state: 'detached', timeout: DEADLINE });
  });

  await check('keys lead from page to page', async () => {
    await go('/map');
    await page.waitForSelector('.surface-over', { timeout: DEADLINE });
    await page.keyboard.press('g');
    await page.keyboard.press('d');
    await page.waitForURL('**/drops', { timeout: DEADLINE });
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]', { timeout: DEADLINE });
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached', timeout: DEADLINE });
  });

  await check('keys close the sheet of keys and nothing behind it', async () => {
    await go('/flows?live=0');
    await page.locator('.window .row:not([hidden])').first().click({ timeout: DEADLINE });
    await page.waitForSelector('.drawer', { timeout: DEADLINE });
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]', { timeout: DEADLINE });
    await page.keyboard.press('g');
    await page.keyboard.press('d');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached', timeout: DEADLINE });
    must(await page.locator('.drawer').count() === 1 && page.url().includes('/flows?'), page.url());
    await page.keyboard.press('Escape');
    await page.waitForSelector('.drawer', { state: 'detached', timeout: DEADLINE });
  });

  for (const theme of ['light', 'dark']) {
    await page.evaluate((theme) => localStorage.setItem('weir-theme', theme), theme);
    for (const [name, path, ready] of [
      ['map', '/map', '.toolbar-summary'], ['map-list', '/map?view=list', '.list tbody tr'],
      ['flows', '/flows', '.window .row:not([hidden])'], ['drops', '/drops', '.group'], ['status', '/status', '.list tbody tr'],
    ]) {
      await check(`${name} in ${theme} is accessible`, async () => {
        await go(path);
        await page.waitForSelector(ready, { timeout: DEADLINE });
        await page.waitForFunction(() => !document.querySelector('.cover'), null, { timeout: DEADLINE });
        await shot(`${name}-${theme}`);
        const found = await faults(page);
        must(found.length === 0, found.join('\n'));
      });
    }
  }

  await check('nothing complained: console, exceptions, content security policy', async () => {
    must(complaints.length === 0, complaints.join('\n'));
  });
});

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
