// Nine live tiles; one camera is pulled and comes back; an alert takes a tile; one picture fills the wall.
import assert from 'node:assert/strict';
import { clean, control, eventually, go, run, setUp, shot } from './lib.mjs';

const RED_WITHIN_MS = 5_000;
const LIVE_WITHIN_MS = 5_000;
const LATENCY_MS_MAX = 1_000;
/** Looking costs a moment too. */
const LOOK_MS = 300;

/** The tile of the camera at `door`. */
const tileOf = (page, door) => page.locator(`.sg-tile[data-camera="${door.replace(/-door$/, '-in')}"]`);
const freshness = (tile) => tile.getAttribute('data-freshness');

await run('wall', async ({ page }) => {
  await setUp(page);
  await go(page, 'live');
  const tiles = page.locator('.sg-tile');
  await eventually('nine tiles play', 20_000, async () => (await page.locator('.sg-tile[data-freshness="live"]').count()) === 9);
  assert.equal(await tiles.count(), 9);
  // Their pictures move.
  const times = () => page.$$eval('.sg-tile', (tiles) =>
    tiles.map((tile) => Math.max(...[...tile.querySelectorAll('video')].map((video) => video.currentTime))),
  );
  const before = await times();
  await eventually('all nine move on', 5_000, async () => (await times()).every((at, idx) => at > before[idx] + 0.5));
  const ages = () => page.$$eval('.sg-tile', (tiles) => tiles.map((tile) => Number(tile.dataset.ageMs)));
  await eventually('every picture is less than a second old', 3_000, async () =>
    (await ages()).every((age) => age > 0 && age < LATENCY_MS_MAX),
  );
  console.log(`ages of nine pictures, ms: ${(await ages()).join(' ')}`);
  await shot(page, 'wall-nine');

  // Someone pulls the cable of one.
  const door = 'b02-u1-door';
  const tile = tileOf(page, door);
  await control(`cameras/${door}/black-hole`);
  await eventually('amber before red', 4_500, async () => (await freshness(tile)) === 'amber');
  const [, redMs] = await eventually('red', RED_WITHIN_MS, async () => (await freshness(tile)) === 'red');
  await tile.getByText('画面中断').first().waitFor();
  assert.equal(await page.locator('.sg-tile[data-freshness="live"]').count(), 8, 'the others play on');
  await shot(page, 'wall-pulled');
  await control(`cameras/${door}/clear`);
  const [, liveMs] = await eventually('live again', LIVE_WITHIN_MS + LOOK_MS, async () => (await freshness(tile)) === 'live');
  console.log(`red ${Math.round(redMs)} ms after amber, live again after ${Math.round(liveMs)} ms`);

  // One tile: a click pins it, Enter fills the wall with it, and it plays there.
  await page.keyboard.press('2');
  await eventually('four tiles', 5_000, async () => (await tiles.count()) === 4);
  await eventually('four play', 10_000, async () => (await page.locator('.sg-tile[data-freshness="live"]').count()) === 4);
  const first = tiles.first();
  const pinned = await first.getAttribute('data-camera');
  await first.focus();
  await page.keyboard.press('p');
  const seen = new Set();
  for (let n = 0; n < 3; n += 1) {
    await page.keyboard.press('ArrowRight');
    for (const camera of await page.$$eval('.sg-tile', (tiles) => tiles.map((tile) => tile.dataset.camera))) seen.add(camera);
    assert.equal(await page.locator(`.sg-tile[data-camera="${pinned}"]`).count(), 1, 'what is pinned stays');
  }
  assert.equal(seen.size, 9, 'all cameras roll by');

  // An alert takes a tile, wherever the wall has rolled to.
  await page.keyboard.press(' ');
  const hidden = [...seen].find((camera) => camera !== pinned);
  await eventually('a camera that is not on the wall', 10_000, async () => {
    await page.keyboard.press('ArrowRight');
    return (await page.locator(`.sg-tile[data-camera="${hidden}"]`).count()) === 0;
  });
  await control(`doors/${hidden.replace(/-in$/, '-door')}/swipe/0BAD0001`);
  const cause = page.locator(`.sg-tile[data-camera="${hidden}"][data-cause="alert"]`);
  await cause.waitFor({ timeout: 10_000 });
  await eventually('it plays', 5_000, async () => (await freshness(cause)) === 'live');
  await cause.focus();
  await page.keyboard.press('Enter');
  await eventually('it fills the wall', 5_000, async () => (await tiles.count()) === 1 && (await freshness(tiles.first())) === 'live');
  await page.keyboard.press('Escape');

  // The second monitor's page has no frame around it.
  await go(page, 'wall');
  await eventually('no frame', 5_000, async () => (await page.locator('.sg-nav').count()) === 0);
  await eventually('the bare wall plays', 15_000, async () => (await page.locator('.sg-tile[data-freshness="live"]').count()) > 0);
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  clean(page);
});
