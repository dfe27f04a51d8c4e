// Measures frames: a large map under the hand, and the flow table under load. Software raster is the worst case.
//
//   node stub/server.mjs --services 1000 --edges 10000 --rate 10000 &
//   node frames.mjs http://127.0.0.1:8188

import { openPage, withBrowser } from './browser.mjs';

const base = process.argv[2] ?? 'http://127.0.0.1:8188';
const percentile = (list, share) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];
const told = (times) => `p50 ${percentile(times, 0.5).toFixed(1)}  p95 ${percentile(times, 0.95).toFixed(1)}  max ${Math.max(...times).toFixed(1)} ms (${times.length} frames)`;

/** Times between frames while `act` goes on. */
async function frames(page, act) {
  await page.evaluate(() => {
    window.frameTimes = [];
    let last = 0;
    const note = (now) => {
      if (last) window.frameTimes.push(now - last);
      last = now;
      window.frameRequest = requestAnimationFrame(note);
    };
    window.frameRequest = requestAnimationFrame(note);
  });
  await act();
  return page.evaluate(() => {
    cancelAnimationFrame(window.frameRequest);
    return window.frameTimes;
  });
}

await withBrowser({ viewport: { width: 1600, height: 950 } }, async (context) => {
  const { page, complaints } = await openPage(context);
  await page.goto(`${base}/map?by=workload&edges=all&live=0`);
  await page.waitForFunction(() => /[1-9]\d* services/.test(document.querySelector('.toolbar-summary')?.textContent ?? ''));
  await page.waitForTimeout(1500);
  console.log(await page.textContent('.toolbar-summary'));
  const drag = async () => {
    await page.mouse.move(800, 500);
    await page.mouse.down();
    for (let i = 0; i < 90; i++) await page.mouse.move(800 + 240 * Math.sin(i / 9), 500 + 120 * Math.cos(i / 7));
    await page.mouse.up();
  };
  console.log('map, drag      ', told(await frames(page, drag)));
  const zoom = async () => {
    for (let i = 0; i < 40; i++) await page.mouse.wheel(0, i % 20 < 10 ? -60 : 60);
  };
  console.log('map, zoom      ', told(await frames(page, zoom)));
  const point = async () => {
    for (let i = 0; i < 60; i++) await page.mouse.move(300 + i * 15, 250 + (i % 20) * 20);
  };
  console.log('map, point     ', told(await frames(page, point)));

  await page.goto(`${base}/flows`);
  await page.waitForSelector('.window .row:not([hidden])');
  await page.waitForTimeout(3000);
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable');
  const metrics = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map((m) => [m.name, m.value]));
  const before = await metrics();
  const rows = async () => Number((await page.textContent('.page-count')).replace(/[^\d]/g, ''));
  const rowsBefore = await rows();
  const times = await frames(page, () => page.waitForTimeout(8000));
  const after = await metrics();
  const span = after.Timestamp - before.Timestamp;
  console.log('flows, live    ', told(times));
  console.log(`flows, live     ${((await rows() - rowsBefore) / span).toFixed(0)} rows/s held, main thread ${(100 * (after.TaskDuration - before.TaskDuration) / span).toFixed(0)} %, script ${(100 * (after.ScriptDuration - before.ScriptDuration) / span).toFixed(0)} %, heap ${(after.JSHeapUsedSize / 1e6).toFixed(1)} MB`);
  if (complaints.length) console.log(complaints.slice(0, 5).join('\n'));
});
