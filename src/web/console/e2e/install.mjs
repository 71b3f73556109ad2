// The installer: from a gateway that knows no stairwell to a swipe with its decision and its clip; every change checked, shown as
// a difference and applied without a restart.
import assert from 'node:assert/strict';
import { api, axe, clean, control, eventually, fits, go, run, setUp, shot } from './lib.mjs';

const CAMERAS = (process.env.STAIRGATE_CAMERAS ?? '').split(' ');
const POLICE = process.env.STAIRGATE_POLICE;
/** A probe looks for 8 s. */
const PROBE_MS = 30_000;
/** 20 s after the swipe, and the making of the clip. */
const CLIP_MS = 60_000;

await run('install', async ({ page }) => {
  assert.ok(CAMERAS.length >= 2 && POLICE, 'the compound tells its addresses');
  await setUp(page);
  await go(page, 'install');
  await page.locator('#compound-name').fill('马涧花园 <一区>');
  await next(page, '楼幢与单元');

  await page.getByLabel('楼幢，例如').fill('1');
  await page.getByLabel('每幢的单元').fill('1-2');
  await page.getByText('b01-u1, b01-u2').waitFor();
  await page.getByRole('button', { name: '添加 2 个' }).click();
  await page.locator('tbody').getByText('b01-u2').waitFor();
  await shot(page, 'install-path-stairwells');

  await next(page, '摄像机');
  await probeAndTake(page, '1幢 1单元', CAMERAS[0]);
  await addCamera(page, '1幢 2单元', CAMERAS[1]);
  await page.getByRole('button', { name: '确定', exact: true }).click();
  await next(page, '门');
  await page.getByRole('button', { name: '为没有门的楼道各添加一扇（2）' }).click();
  await page.locator('tbody').getByText('b01-u2-door').waitFor();

  await next(page, '联动');
  await page.getByRole('button', { name: '添加联动' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('编号').fill('police');
  await form.getByLabel('地址').fill(POLICE);
  await form.getByLabel('签名密钥').fill('a shared secret of the test');
  await form.getByRole('button', { name: '确定', exact: true }).click();

  await apply(page);
  await swipe(page);
  await linkage(page);

  await page.getByRole('button', { name: '下一步' }).click();
  const missing = page.getByTestId('missing');
  await missing.locator(':is(h2, .ant-result)').first().waitFor();
  await axe(page);
  await shot(page, 'install-path-done');
  await refusedChange(page);

  await go(page, 'health');
  await page.locator('tbody').getByText('b01-u1-in').first().waitFor();
  await shot(page, 'install-path-health');
  clean(page);
});

async function next(page, title) {
  await page.getByRole('button', { name: '下一步' }).click();
  await page.getByRole('region', { name: title }).waitFor();
}

async function addCamera(page, place, url) {
  await page.getByRole('button', { name: '添加摄像机' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('位置').click();
  await page.locator('.ant-select-item-option').filter({ hasText: place }).click();
  await form.getByLabel('主码流地址').fill(url);
}

/** A camera is looked at before it is taken: a verdict, a picture, key-frame interval and clock. */
async function probeAndTake(page, place, url) {
  await addCamera(page, place, url);
  const form = page.getByRole('dialog');
  assert.match(await form.getByLabel('编号').inputValue(), /^b01-u1-in$/);
  await form.getByRole('button', { name: '立即检测' }).click();
  const probe = page.getByTestId('probe');
  await probe.getByText(/^(合格|可用，有待改进)$/).waitFor({ timeout: PROBE_MS });
  await probe.getByText('关键帧间隔').waitFor();
  const width = await probe.locator('img').evaluate((picture) => picture.naturalWidth);
  assert.ok(width > 0, 'the picture is one');
  await axe(page);
  await shot(page, 'install-path-probe');
  await form.getByRole('button', { name: '确定', exact: true }).click();
}

/** The change is checked, shown as a difference of the file, and in effect at once. */
async function apply(page) {
  await page.getByRole('button', { name: '核对并生效…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByTestId('verdict').waitFor();
  await dialog.getByText('b01-u1-door').first().waitFor();
  await dialog.getByRole('tab', { name: '配置文件的差异' }).click();
  const diff = await dialog.locator('.diff').innerText();
  assert.ok(diff.includes('+[[stairwell]]') && diff.includes('马涧花园 <一区>'), diff);
  assert.ok(!diff.includes('a shared secret'), 'no secret in the difference');
  await axe(page);
  await shot(page, 'install-path-difference');
  await dialog.getByRole('button', { name: '立即生效' }).click();
  await page.getByText('修改已生效').waitFor();
  await page.locator('.ant-modal-wrap').waitFor({ state: 'hidden' });
  const site = await api(page, 'GET', '/site');
  assert.deepEqual(site.doors.map((door) => door.id), ['b01-u1-door', 'b01-u2-door']);
  assert.ok(!JSON.stringify(site).includes('a shared secret'));
}

/** A card is swiped at the new door: the decision is shown, then the clip, which plays. */
async function swipe(page) {
  await go(page, 'install?step=doors');
  const row = page.locator('tbody tr.ant-table-row').filter({ hasText: 'b01-u1-door' });
  await row.getByText('在线').waitFor();
  // The clip begins 10 s before the swipe, so the camera has to have been seen for as long.
  await eventually('the camera has its lead', 30_000, async () => {
    const { items } = await api(page, 'GET', '/cameras');
    return items.some((one) => one.camera === 'b01-u1-in' && one.ring_s >= 10);
  });
  await row.getByRole('button', { name: '刷卡测试' }).click();
  const trial = page.getByTestId('swipe-test');
  await trial.getByText('请现在在此门刷一张卡').waitFor();
  await control('doors/b01-u1-door/swipe/0BAD0001');
  await page.getByTestId('decision').getByText('拒绝 · 未登记的卡').waitFor();
  await trial.getByText('视频正在录制').waitFor();
  await shot(page, 'install-path-swipe');
  const clip = page.getByTestId('try-clip');
  await clip.waitFor({ timeout: CLIP_MS });
  await eventually('the clip can be played', 20_000, () =>
    clip.evaluate((video) => video.readyState >= 2 && video.duration > 25 && video.videoWidth > 0));
  await axe(page);
  await fits(page);
  await shot(page, 'install-path-clip');
}

async function linkage(page) {
  await go(page, 'install?step=linkages');
  await page.locator('tbody').getByRole('button', { name: '检测' }).click();
  await page.getByTestId('linkage-probe').getByText('有应答').waitFor();
}

/** What is wrong is said before anything is written. */
async function refusedChange(page) {
  await go(page, 'install?step=cameras');
  await page.locator('tbody tr.ant-table-row').first().getByRole('button', { name: '修改' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('主码流地址').fill('rtsp://127.0.0.1:99999/x');
  await form.getByRole('button', { name: '确定', exact: true }).click();
  await page.getByRole('button', { name: '核对并生效…' }).click();
  const verdict = page.getByTestId('verdict');
  await verdict.locator('.ant-alert-error').first().waitFor();
  assert.equal(await page.getByRole('dialog').getByRole('button', { name: '立即生效' }).isDisabled(), true);
  await shot(page, 'install-path-refused');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: '放弃修改' }).click();
}
