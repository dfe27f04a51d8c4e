// Takes pictures of every page in both themes, for people to look at.
//
//   node shots.mjs http://127.0.0.1:8188 DIR [only-names-that-contain]

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { openPage, withBrowser } from './browser.mjs';

const [base, dir, only = ''] = process.argv.slice(2);
mkdirSync(dir, { recursive: true });

const click = (selector) => (page) => page.locator(selector).first().click({ timeout: 15_000 });
const PAGES = [
  ['map', '/map', null],
  ['map-service', '/map', null],
  ['map-list', '/map?view=list', null],
  ['map-problems', '/map?problems=1', null],
  ['map-namespace', '/map?by=namespace', null],
  ['flows', '/flows', null],
  ['flow', '/flows?verdict=DROPPED', click('.row.dropped:not([hidden])')],
  ['flows-filter', '/flows?namespace=shop&not-port=53&live=0', async (page) => { await page.click('#filter'); await page.keyboard.type('na'); }],
  ['drops', '/drops', null],
  ['status', '/status', null],
  ['help', '/drops', async (page) => { await page.waitForSelector('.group'); await page.keyboard.press('?'); }],
];

await withBrowser({}, async (context) => {
  const { page, complaints } = await openPage(context);
  await page.goto(base);
  for (const theme of ['light', 'dark']) {
    await page.evaluate((theme) => localStorage.setItem('weir-theme', theme), theme);
    for (const [name, path, act] of PAGES.filter(([name]) => name.includes(only))) {
      try {
        let target = path;
        if (name === 'map-service') {
          // The busiest server of the map.
          const map = await (await fetch(`${base}/api/v1/map?since=15m`)).json();
          const calls = (id) => map.edges.filter((e) => e.destination === id && e.source !== id).length;
          const server = map.nodes.map((n) => n.id).sort((a, b) => calls(b) - calls(a))[0];
          target = `/map?sel=${encodeURIComponent(server)}`;
        }
        await page.goto(base + target);
        if (act) await act(page);
        await page.waitForTimeout(2500);
        await page.screenshot({ path: join(dir, `${name}-${theme}.png`) });
      } catch (error) {
        console.log(name, theme, String(error).slice(0, 200));
      }
    }
  }
  if (complaints.length) console.log(complaints.slice(0, 10).join('\n'));
});
