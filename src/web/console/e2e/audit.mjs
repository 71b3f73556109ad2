// The auditor: each look, export and change leaves a line with its reason; accounts are made, limited, and ended.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { account, ADMIN, api, axe, BASE, clean, control, eventually, go, logIn, open, run, setUp, shot } from './lib.mjs';

await run('audit', async ({ browser, page }) => {
  await setUp(page);
  const link = await invite(page);
  const office = await acceptInvite(browser, link);
  await looks(page);
  await lines(page);

  // The account is limited to building 1: what it sees and what it may not open.
  await go(office, 'office');
  await eventually('only building 1', 10_000, async () => {
    const texts = await office.locator('tbody tr.ant-table-row').allInnerTexts();
    return texts.length > 0 && texts.every((text) => text.startsWith('1幢'));
  });
  assert.equal(await office.getByRole('link', { name: '安装向导' }).count(), 0);
  await go(office, 'install');
  await office.getByText('您的账号无权查看此页').waitFor();
  await shot(office, 'forbidden');

  // An ended session is out at its next question.
  await go(page, 'accounts');
  await page.getByRole('tab', { name: '登录中的会话' }).click();
  const session = page.getByRole('tabpanel', { name: '登录中的会话' }).locator('tbody tr.ant-table-row').filter({ hasText: 'wang.wu' });
  await session.getByRole('button', { name: '结束' }).click();
  await page.getByRole('menuitem', { name: '确定结束此会话' }).click();
  await session.waitFor({ state: 'hidden' });
  await office.locator('input[autocomplete="current-password"]').waitFor().catch(async () => {
    await go(office, 'office');
    await office.locator('input[autocomplete="current-password"]').waitFor();
  });

  // An auditor reads, and is offered nothing that changes.
  const auditor = await account(page, 'audit.one', 'auditor');
  const reader = await open(await browser.newContext({ locale: 'zh-CN', viewport: page.viewportSize() }));
  await go(reader, 'audit');
  await logIn(reader, auditor);
  await go(reader, 'audit');
  await reader.locator('tbody tr.ant-table-row').first().waitFor();
  await go(reader, 'accounts');
  await reader.locator('tr[data-row-key="wang.wu"]').waitFor();
  assert.equal(await reader.getByRole('button', { name: '新增账号' }).count(), 0);
  await go(reader, 'office/dwellings/b01-u1-102');
  await reader.getByTestId('reckoning').waitFor();
  assert.equal(await reader.getByRole('button', { name: '新增持卡人' }).count(), 0);
  clean(page);
});

/** Adds an account limited to building 1; gives its one-time link. */
async function invite(page) {
  await go(page, 'accounts');
  await page.getByRole('button', { name: '新增账号' }).click();
  await page.getByLabel('账号名').fill('wang.wu');
  await page.getByLabel('角色').click();
  await page.locator('.ant-select-item-option').filter({ hasText: '物业管理员' }).click();
  await page.getByLabel('限于楼幢').click();
  await page.locator('.ant-select-item-option').filter({ hasText: /^1幢$/ }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: '新增并生成链接' }).click();
  const shown = page.getByTestId('invite-link');
  await shown.waitFor();
  await axe(page);
  await shot(page, 'accounts-invite');
  const link = (await shown.innerText()).trim();
  assert.ok(link.startsWith(`${BASE}/#/setup/`), link);
  await page.getByRole('dialog').getByRole('button', { name: '关闭' }).last().click();
  return link;
}

async function acceptInvite(browser, link) {
  const page = await open(await browser.newContext({ locale: 'zh-CN', viewport: { width: 1366, height: 768 } }));
  await page.goto(link);
  const passwords = page.locator('input[autocomplete="new-password"]');
  await passwords.nth(0).fill('the password of wang');
  await passwords.nth(1).fill('the password of wang');
  await page.locator('button[type="submit"]').click();
  await page.locator('.sg-frame').waitFor();
  return page;
}

/** Looks at a clip, a picture and a person; takes a file; changes the ledger. */
async function looks(page) {
  await control('doors/b01-u1-door/swipe/04D00000');
  const [entry] = await eventually('the clip is there', 60_000, async () => {
    const [one] = (await api(page, 'GET', '/entries?door=b01-u1-door&limit=1')).items;
    return one && one.clip.state !== 'pending' && one;
  });
  const get = (path) => page.evaluate(async (path) => (await fetch(`/api/v1${path}`)).status, path);
  assert.equal(await get(`/entries/${entry.id}/clip.mp4`), 400);
  assert.equal(await get(`/entries/${entry.id}/clip.mp4?reason=${encodeURIComponent('核对 <b>')}`), 200);
  assert.equal(await get(`/entries/${entry.id}/thumbnail.jpg?reason=see`), 200);
  const [home] = (await api(page, 'GET', '/dwellings/b01-u1-102/cardholders?names=false')).items;
  assert.equal(await get(`/entries?holder=${home.id}&reason=${encodeURIComponent('寻人')}`), 200);
  assert.equal(await get('/roster/export?format=csv'), 200);
}

/** Each of them has its line, with who, what and why. */
async function lines(page) {
  await go(page, 'audit');
  const row = (act) => page.locator('tbody tr.ant-table-row').filter({ has: page.locator('.tone').getByText(act, { exact: true }) });
  for (const [act, reason] of [['查看视频', '核对 <b>'], ['查看截图', 'see'], ['查询人员', '寻人'], ['导出', ''], ['登录', '']]) {
    const line = row(act).filter({ hasText: ADMIN.name }).first();
    await line.waitFor();
    assert.ok((await line.innerText()).includes(reason), `${act}: ${await line.innerText()}`);
  }
  await axe(page);
  await shot(page, 'audit');
  await page.getByLabel('动作').click();
  await page.locator('.ant-select-item-option').filter({ hasText: '查询人员' }).click();
  await eventually('only looks at persons', 10_000, async () => {
    const tags = await page.locator('tbody tr.ant-table-row .tone').allInnerTexts();
    return tags.length > 0 && tags.every((tag) => tag === '查询人员');
  });
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: '导出 CSV' }).click(),
  ]);
  const text = await readFile(await file.path(), 'utf8');
  assert.ok(text.includes('person') && text.includes('寻人') && !text.includes('核对'), text);
}
