// The first account by its one-time link, log-out, a wrong password, log-in; the first page is small and quick.
import assert from 'node:assert/strict';
import { ADMIN, axe, BASE, clean, fits, go, logIn, run, SETUP, setUp, shot } from './lib.mjs';

const FIRST_PAGE_BYTES_MAX = 500_000;
const FIRST_PAGE_MS_MAX = 2_000;

await run('login', async ({ browser, page }) => {
  // Before there is an account, the page says what to do instead of asking for a password nobody has.
  await page.goto(`${BASE}/`);
  await page.getByText('stairgate user invite').waitFor();
  await shot(page, 'setup-needed');

  await go(page, `setup/${SETUP}`);
  await page.locator('input[autocomplete="new-password"]').first().waitFor();
  await fits(page);
  await axe(page);
  await shot(page, 'setup');
  await page.locator('input[autocomplete="username"]').fill(ADMIN.name);
  const passwords = page.locator('input[autocomplete="new-password"]');
  await passwords.nth(0).fill('short');
  await passwords.nth(1).fill('other');
  await page.locator('button[type="submit"]').click();
  await page.getByText('密码至少 12 个字符').waitFor();
  await setUp(page);
  clean(page);

  // The link works once.
  const second = await browser.newContext({ locale: 'zh-CN' });
  const stranger = await second.newPage();
  const refused = await stranger.request.post(`${BASE}/api/v1/setup`, {
    data: { token: SETUP, name: 'other', password: 'another long password' },
  });
  assert.ok([401, 404, 410].includes(refused.status()), `the link once more: ${refused.status()}`);

  await page.locator('.sg-account').click();
  await page.getByText('退出登录').click();
  await page.locator('input[autocomplete="current-password"]').waitFor();
  await logIn(page, { name: ADMIN.name, password: 'not the password' });
  await page.getByText('账号或密码不对').waitFor();
  await fits(page);
  await axe(page);
  await shot(page, 'login');
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  await shot(page, 'login');
  await logIn(page, ADMIN);
  await page.locator('.sg-frame').waitFor();
  clean(page);

  // A browser that was never here: what it loads until someone can log in, as it crosses the network.
  const fresh = await browser.newContext({ locale: 'zh-CN' });
  const first = await fresh.newPage();
  let bytes = 0;
  const session = await fresh.newCDPSession(first);
  await session.send('Network.enable');
  session.on('Network.loadingFinished', (loaded) => {
    bytes += loaded.encodedDataLength;
  });
  const begun = performance.now();
  await first.goto(`${BASE}/`);
  await first.locator('input[autocomplete="current-password"]').waitFor();
  const ms = performance.now() - begun;
  console.log(`first page: ${bytes} bytes, ${Math.round(ms)} ms`);
  assert.ok(bytes > 10_000 && bytes < FIRST_PAGE_BYTES_MAX, `first page has ${bytes} bytes`);
  assert.ok(ms < FIRST_PAGE_MS_MAX, `first page took ${ms} ms`);
});
