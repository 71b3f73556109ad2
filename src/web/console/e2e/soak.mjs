// Nine live tiles for ten minutes: memory of the browser's page and of the gateway, and the age of the pictures, each
// second. `npm run soak`, against a gateway that runs (see docs/console.md). Not a test: it takes ten minutes.
//
// STAIRGATE_URL, and NAME and PASSWORD of an account or STAIRGATE_SETUP; MINUTES (10), GATEWAY_PID for its memory.
import { readFileSync } from 'node:fs';
import { eventually, go, logIn, run, SETUP, setUp } from './lib.mjs';

const MINUTES = Number(process.env.MINUTES ?? 10);
const PID = process.env.GATEWAY_PID;

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * q) - 1)];

function gatewayMib() {
  if (!PID) return null;
  const line = readFileSync(`/proc/${PID}/status`, 'utf8').split('\n').find((line) => line.startsWith('VmRSS:'));
  return Math.round(Number(line.split(/\s+/)[1]) / 1024);
}

await run('soak', async ({ browser, page }) => {
  if (SETUP) await setUp(page);
  else {
    await go(page, 'live');
    await logIn(page, { name: process.env.NAME, password: process.env.PASSWORD });
  }
  await go(page, 'live');
  await page.keyboard.press(' ');
  await eventually('nine tiles play', 30_000, async () => (await page.locator('.sg-tile[data-freshness="live"]').count()) === 9);
  const session = await page.context().newCDPSession(page);
  const whole = await browser.newBrowserCDPSession();
  const processes = async () => {
    const { processInfo } = await whole.send('SystemInfo.getProcessInfo');
    let kib = 0;
    for (const { id } of processInfo) {
      const status = readFileSync(`/proc/${id}/status`, 'utf8');
      kib += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    }
    return Math.round(kib / 1024);
  };
  const ages = [];
  let notLive = 0;
  for (let s = 0; s <= MINUTES * 60; s += 1) {
    const seen = await page.$$eval('.sg-tile', (tiles) => tiles.map((tile) => [tile.dataset.freshness, Number(tile.dataset.ageMs)]));
    for (const [freshness, age] of seen) {
      ages.push(age);
      if (freshness !== 'live') notLive += 1;
    }
    if (s % 60 === 0) {
      await session.send('HeapProfiler.collectGarbage');
      const { usedSize } = await session.send('Runtime.getHeapUsage');
      const buffered = await page.$$eval('.sg-tile video', (videos) =>
        videos.map((video) => (video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.buffered.start(0) : 0)),
      );
      console.log(JSON.stringify({
        minute: s / 60,
        page_heap_mib: Math.round(usedSize / 2 ** 20),
        browser_rss_mib: await processes(),
        gateway_rss_mib: gatewayMib(),
        longest_buffer_s: Number(Math.max(...buffered).toFixed(1)),
      }));
    }
    await new Promise((done) => setTimeout(done, 1_000));
  }
  ages.sort((a, b) => a - b);
  console.log(JSON.stringify({
    tiles_seen: ages.length, not_live: notLive,
    age_p50_ms: quantile(ages, 0.5), age_p95_ms: quantile(ages, 0.95), age_p99_ms: quantile(ages, 0.99), age_max_ms: ages.at(-1),
  }));
});
