// The entry search: by door, decision and time; a clip asks for a reason once; a person is found with a reason only; the
// audit has it all.
import assert from 'node:assert/strict';
import { api, axe, clean, control, eventually, fits, go, run, setUp, shot } from './lib.mjs';

const REASON = '住户求助:核对来访';
const RESIDENT = '04D00000';

await run('search', async ({ page }) => {
  await setUp(page);
  await control(`doors/b01-u1-door/swipe/${RESIDENT}`);
  await control('doors/b01-u2-door/swipe/0BAD0001');
  await go(page, 'entries');
  const rows = page.locator('.sg-table tbody tr');
  await eventually('both entries', 10_000, async () => {
    await page.getByRole('button', { name: '查询', exact: true }).click();
    return (await rows.count()) === 2;
  });

  // By decision.
  await page.locator('#decision').click();
  await page.locator('.ant-select-item-option', { hasText: '拒绝' }).click();
  await page.getByRole('button', { name: '查询', exact: true }).click();
  await eventually('the refused one', 5_000, async () => (await rows.count()) === 1);
  assert.match(await rows.first().innerText(), /b01-u2-door[\s\S]*拒绝[\s\S]*未知卡/);
  await page.getByRole('button', { name: '清空' }).click();
  await eventually('both again', 5_000, async () => (await rows.count()) === 2);

  // The clip is there 20 s after its swipe; without a reason it is not shown.
  await eventually('settled', 45_000, async () => {
    await page.getByRole('button', { name: '查询', exact: true }).click();
    return (await rows.getByText('播放').count()) === 2;
  });
  const play = () => rows.first().getByRole('button').click();
  await play();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await shot(page, 'search-reason');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await page.locator('.sg-clip').count(), 0, 'no clip without a reason');
  await play();
  await dialog.waitFor();
  await dialog.locator('input').fill(REASON);
  await dialog.getByRole('button', { name: '查看', exact: true }).click();
  await page.locator('[data-clip="playing"]').waitFor();
  // The reason holds for this search: pictures do not ask again.
  await page.getByRole('switch').click();
  await eventually('thumbnails', 10_000, () =>
    page.$$eval('img.sg-thumb', (images) => images.length === 2 && images.every((image) => image.naturalWidth > 0)),
  );
  await fits(page);
  await axe(page);
  await shot(page, 'search');

  // A person: the dwelling's cardholders by name, then only their entries.
  await page.getByRole('button', { name: '按人员查询' }).click();
  await dialog.locator('input').fill('b01-u1-101');
  await dialog.getByRole('button', { name: '查询', exact: true }).click();
  await dialog.getByRole('button', { name: '查看出入记录' }).first().click();
  await eventually('one entry', 5_000, async () => (await rows.count()) === 1);
  assert.match(await rows.first().innerText(), /b01-u1-door/);
  clean(page);

  const { items } = await api(page, 'GET', '/audit?limit=200');
  for (const act of ['clip', 'thumbnail', 'person']) {
    assert.ok(items.some((item) => item.act === act && item.reason === REASON), `the audit has ${act} with its reason`);
  }
  // The player asked for the clip in ranges, and again when it sought: that is one look.
  assert.equal(items.filter((item) => item.act === 'clip').length, 1);
  // The API itself refuses a look without a reason.
  const [entry] = (await api(page, 'GET', '/entries?limit=1')).items;
  const refused = await page.evaluate(async (id) => (await fetch(`/api/v1/entries/${id}/clip.mp4`)).status, entry.id);
  assert.equal(refused, 400);
});
