// An unknown card at a door: the alert is there at once, its clip plays as soon as it is settled, and the case is taken
// to its end by the keyboard; the history says so, and a second officer sees every step as it happens.
import assert from 'node:assert/strict';
import { account, api, axe, clean, control, eventually, fits, go, logIn, open, run, setUp, shot } from './lib.mjs';

const DOOR = 'b01-u2-door';
const HEARD_WITHIN_MS = 2_000;

await run('case', async ({ browser, context, page }) => {
  await setUp(page);
  const officer = await account(page, 'officer', 'duty-officer');
  await context.clearCookies();
  await go(page, 'duty');
  await page.reload();
  await logIn(page, officer);
  await page.getByText('目前没有未办结的告警').or(page.locator('.sg-alert')).first().waitFor();
  // The sound needs a click and says so.
  await eventually('sound', 5_000, async () => ['on', 'blocked'].includes(await page.locator('.sg-sound').getAttribute('data-state')));

  const other = await open(await browser.newContext({ storageState: await context.storageState(), locale: 'zh-CN' }));
  await go(other, 'duty');
  await other.locator('.sg-desk').waitFor();

  // A camera that has just been dialled has no ten seconds to look back on yet.
  await eventually('the ten seconds before', 20_000, async () => {
    const { items } = await api(page, 'GET', '/cameras');
    return items.find(({ camera }) => camera === DOOR.replace(/-door$/, '-in'))?.ring_s > 11;
  });
  await control(`doors/${DOOR}/swipe/0BAD0001`);
  const row = page.locator('.sg-alert', { hasText: '未知门禁卡刷卡' });
  const [, ms] = await eventually('the alert is in the list', HEARD_WITHIN_MS, async () => (await row.count()) === 1);
  console.log(`alert shown ${Math.round(ms)} ms after the swipe was taken`);
  const id = await row.getAttribute('data-alert');
  assert.match(await row.innerText(), /签收剩余 \d+:\d\d/);

  // Keyboard first: j takes it in hand.
  await page.keyboard.press('j');
  const panel = page.locator(`.sg-case[data-alert="${id}"]`);
  await panel.waitFor();
  await panel.locator('[data-clip="pending"]').waitFor();
  await panel.getByText(/正在录制,还需 \d+ 秒/).waitFor();
  await shot(page, 'case-pending');
  // The door as it is now, beside it.
  await eventually('the door now', 10_000, async () => (await panel.locator('.sg-tile').getAttribute('data-freshness')) === 'live');

  const step = async (key, state, note) => {
    await page.keyboard.press(key);
    if (note !== undefined) {
      // The demo has no grid map: who dispatches says who is answerable.
      if (state === 'dispatched') await page.getByRole('dialog').locator('#party').fill('第三网格员');
      await page.getByRole('dialog').locator('textarea').fill(note);
      await page.keyboard.press('Control+Enter');
    }
    await page.locator(`.sg-case[data-alert="${id}"][data-state="${state}"]`).waitFor();
    await eventually(`the other desk sees ${state}`, HEARD_WITHIN_MS, async () => {
      const seen = await other.evaluate((id) => document.querySelector(`.sg-alert[data-alert="${id}"]`)?.dataset.state, id);
      return seen === state || (state === 'closed' && seen === undefined);
    });
  };
  await step('a', 'acknowledged');
  await step('d', 'dispatched', '请到现场查看');

  // The clip: settled 20 s after the swipe, and it begins by itself.
  await panel.locator('[data-clip="playing"]').waitFor({ timeout: 45_000 });
  const film = panel.locator('.sg-clip video');
  const [length, mark] = await panel.evaluate((panel) => [
    panel.querySelector('.sg-clip video').duration,
    panel.querySelector('.sg-track-swipe').style.left,
  ]);
  assert.ok(Math.abs(length - 30) < 0.1, `the clip lasts ${length} s`);
  assert.ok(Math.abs(Number.parseFloat(mark) - 100 / 3) < 1, `the swipe is marked at ${mark}`);
  await shot(page, 'case-playing');
  await film.evaluate((video) => {
    video.playbackRate = 8;
  });
  await panel.locator('[data-clip="ended"]').waitFor();
  assert.ok((await film.evaluate((video) => video.currentTime)) > 29.9, 'played to its end');
  await page.keyboard.press('s');
  await eventually('back at the swipe', 2_000, async () => Math.abs((await film.evaluate((video) => video.currentTime)) - 10) < 0.2);

  await step('t', 'accepted');
  await step('r', 'resolved', '锁已更换');
  await step('v', 'verified');
  await step('c', 'closed');

  await page.keyboard.press('Enter');
  await page.locator('.sg-history li[data-kind="close"]').waitFor();
  const kinds = await page.$$eval('.sg-history li', (rows) => rows.map((row) => row.dataset.kind));
  assert.deepEqual(kinds, ['opened', 'acknowledge', 'dispatch', 'accept', 'resolve', 'verify', 'close']);
  await page.getByText('锁已更换').waitFor();
  // The trail has the swipe itself.
  await page.locator('.sg-trail-list li[data-own="true"]').first().waitFor();
  await fits(page);
  await axe(page);
  await shot(page, 'case-closed');

  // Both looks are in the audit, with the case they were for.
  clean(page);
  await context.clearCookies();
  await page.reload();
  await logIn(page, { name: 'chief', password: 'a long password 1' });
  await page.locator('.sg-frame').waitFor();
  const { items } = await api(page, 'GET', '/audit?limit=200');
  for (const act of ['clip', 'live']) {
    const look = items.find((item) => item.act === act && item.case === id && item.by?.name === 'officer');
    assert.ok(look, `the audit has a look at ${act} for the case`);
  }
});
