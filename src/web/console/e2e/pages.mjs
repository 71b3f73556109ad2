// Each page of the duty room in both languages and sizes: it fits, axe finds no serious fault, a screenshot is left; light
// and dark.
import { axe, clean, control, eventually, go, inspect, run, setUp, shot } from './lib.mjs';

await run('pages', async ({ page }) => {
  await setUp(page);
  await control('doors/b01-u1-door/duress/04D00000');
  await control('doors/b01-u2-door/swipe/0BAD0001');
  await control('doors/b02-u1-door/state/forced');
  await go(page, 'duty');
  await eventually('three alerts', 10_000, async () => (await page.locator('.sg-alert').count()) >= 3);
  const id = await page.locator('.sg-alert').first().getAttribute('data-alert');
  const live = () =>
    eventually('the tiles play', 20_000, async () => {
      const n = await page.locator('.sg-tile').count();
      return n > 0 && n === (await page.locator('.sg-tile[data-freshness="live"]').count());
    });
  await inspect(page, 'desk', 'duty', async () => {
    await page.locator('.sg-alert').first().waitFor();
    await live();
  });
  await inspect(page, 'desk-case', `duty?alert=${id}`, async () => {
    await page.locator('.sg-case .sg-facts').waitFor();
    await live();
  });
  await inspect(page, 'case', `alerts/${id}`, async () => {
    await page.locator('.sg-trail-list').waitFor();
    await live();
  });
  await inspect(page, 'live', 'live', live);
  await inspect(page, 'wall', 'wall', live);
  await inspect(page, 'entries', 'entries', () => page.locator('.sg-table').waitFor());
  await inspect(page, 'handover', 'handover', () => page.locator('.sg-figures').waitFor());

  await page.evaluate(() => localStorage.setItem('stairgate.shade', 'light'));
  await page.reload();
  for (const [name, hash] of [['desk', 'duty'], ['desk-case', `duty?alert=${id}`], ['entries', 'entries'], ['handover', 'handover']]) {
    await go(page, hash);
    await page.locator('.sg-alert, .sg-table, .sg-figures').first().waitFor();
    await axe(page);
    await shot(page, `${name}-light`);
  }
  clean(page);
});
