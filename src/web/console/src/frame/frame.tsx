// The frame around every page: navigation by right, the gateway's clock, the account.
import {
  BulbOutlined, KeyOutlined, LogoutOutlined, MenuFoldOutlined, MenuUnfoldOutlined, TranslationOutlined, UserOutlined,
} from '@ant-design/icons';
import { App, Button, Dropdown, Menu, type MenuProps } from 'antd';
import { Suspense, useEffect, useMemo, useState, type ReactNode } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { explain } from '../api/explain';
import { useLanguage, useSetLanguage, useText } from '../i18n';
import { mayOpen, routes, shown } from '../pages/routes';
import { GROUPS } from '../pages/page';
import { useMe, useSession } from '../session';
import { FrameBar } from './bar';
import { ErrorBoundary } from './error-boundary';
import { Mark } from './mark';
import { PasswordDialog } from './password-dialog';
import { useShade } from './theme';
import { useServerNow, useTimes } from './time';
import { Loading } from './loading';

const FOLDED = 'stairgate.folded';
/** On narrower screens the navigation begins folded. */
const WIDE_PX = 1_600;

export function Frame({ path, children }: { path: string; children: ReactNode }) {
  const t = useText();
  const me = useMe();
  const { shade, setUsual } = useShade();
  const navigate = useNavigate();
  const location = useLocation();
  const [isFolded, setFolded] = useState(
    () => (localStorage.getItem(FOLDED) ?? (window.innerWidth < WIDE_PX ? 'yes' : 'no')) === 'yes',
  );

  useEffect(() => setUsual(me.role === 'duty-officer' || me.role === 'admin' ? 'dark' : 'light'), [me.role, setUsual]);

  const items = useMemo<MenuProps['items']>(() => {
    const groups = GROUPS.map((group) => ({
      type: 'group' as const,
      key: group,
      label: isFolded ? null : t(`nav.${group}`),
      children: routes
        .filter((route) => route.nav?.group === group && mayOpen(me, route))
        .map((route) => ({
          key: route.path,
          icon: route.nav?.icon,
          label: route.nav ? t(route.nav.label) : '',
        })),
    }));
    return groups.filter((group) => group.children.length > 0);
  }, [me, t, isFolded]);

  const fold = () => {
    localStorage.setItem(FOLDED, isFolded ? 'no' : 'yes');
    setFolded(!isFolded);
  };
  const lit = shown(path)?.under ?? path;
  return (
    <div className="sg-frame" data-folded={isFolded}>
      <a className="sg-skip" href="#page" onClick={(event) => {
        // The hash is the router's: move the focus only.
        event.preventDefault();
        document.getElementById('page')?.focus();
      }}>
        {t('app.skip')}
      </a>
      <nav className="sg-nav" aria-label={t('app.nav')}>
        <div className="sg-brand">
          <Mark />
          {!isFolded && <span className="sg-brand-name">{t('app.title')}</span>}
        </div>
        <Menu
          mode="inline"
          theme={shade}
          inlineCollapsed={isFolded}
          selectedKeys={[lit]}
          items={items}
          onClick={({ key }) => void navigate(`/${key}`)}
        />
        <Button
          className="sg-fold"
          type="text"
          icon={isFolded ? <MenuUnfoldOutlined /> : <MenuFoldOutlined />}
          aria-label={isFolded ? t('menu.expand') : t('menu.collapse')}
          onClick={fold}
        />
      </nav>
      <header className="sg-top">
        <h1 className="sg-compound" title={me.compound.name}>{me.compound.name}</h1>
        <FrameBar />
        <Clock />
        <Account />
      </header>
      <main className="sg-main" id="page" tabIndex={-1}>
        <ErrorBoundary page={location.pathname}>
          <Suspense fallback={<Loading />}>{children}</Suspense>
        </ErrorBoundary>
      </main>
    </div>
  );
}

function Clock() {
  const t = useText();
  const times = useTimes();
  const now = useServerNow();
  return (
    <time className="sg-clock" title={t('app.server-time')} dateTime={new Date(now).toISOString()}>
      <span className="sg-clock-day">{times.day(now)}</span> {times.clock(now)}
    </time>
  );
}

function Account() {
  const t = useText();
  const me = useMe();
  const { logout } = useSession();
  const { shade, setShade } = useShade();
  const { message } = App.useApp();
  const language = useLanguage();
  const setLanguage = useSetLanguage();
  const [isOpen, setOpen] = useState(false);
  const role = t(`role.${me.role}`);
  const menu: MenuProps = {
    items: [
      {
        key: 'who',
        type: 'group',
        label: me.buildings ? `${role} · ${t('role-limit', { buildings: me.buildings.join(', ') })}` : role,
        children: [
          { key: 'language', icon: <TranslationOutlined />, label: t('menu.language') },
          { key: 'shade', icon: <BulbOutlined />, label: shade === 'dark' ? t('menu.theme.light') : t('menu.theme.dark') },
          { key: 'password', icon: <KeyOutlined />, label: t('menu.password') },
          { key: 'logout', icon: <LogoutOutlined />, label: t('menu.logout') },
        ],
      },
    ],
    onClick: ({ key }) => {
      if (key === 'language') setLanguage(language === 'zh' ? 'en' : 'zh');
      else if (key === 'shade') setShade(shade === 'dark' ? 'light' : 'dark');
      else if (key === 'password') setOpen(true);
      else logout().catch((error: unknown) => message.error(explain(error, t)));
    },
  };
  return (
    <>
      <Dropdown menu={menu} trigger={['click']}>
        <Button type="text" icon={<UserOutlined aria-hidden />} aria-label={`${me.display_name ?? me.name}: ${t('menu.account')}`} className="sg-account">
          {me.display_name ?? me.name}
        </Button>
      </Dropdown>
      <PasswordDialog isOpen={isOpen} onClose={() => setOpen(false)} />
    </>
  );
}
