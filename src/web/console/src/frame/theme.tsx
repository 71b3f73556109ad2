// Light and dark. The guard room is dark, so a duty officer begins there; whoever chooses keeps the choice.
import { App as AntApp, ConfigProvider, theme as antTheme, type ThemeConfig } from 'antd';
import enUS from 'antd/locale/en_US';
import zhCN from 'antd/locale/zh_CN';
import dayjs from 'dayjs';
import 'dayjs/locale/zh-cn';
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { useLanguage } from '../i18n';

export type Shade = 'dark' | 'light';

const STORED = 'stairgate.shade';

// Every pair of text and ground below has a contrast of 4.5 : 1 or more (WCAG 2.2, 1.4.3).
const dark: ThemeConfig = {
  algorithm: antTheme.darkAlgorithm,
  token: {
    colorPrimary: '#3a88c8',
    // White words stand on them.
    colorPrimaryHover: '#327ab6',
    colorPrimaryActive: '#2b6ca3',
    colorInfo: '#3a88c8',
    colorLink: '#7dbcf0',
    colorError: '#ff7b80',
    colorWarning: '#d99a2b',
    colorSuccess: '#5ab883',
    colorBgBase: '#10171d',
    colorBgLayout: '#0c1216',
    colorBgContainer: '#141c23',
    colorBgElevated: '#1b252e',
    colorTextBase: '#dde5eb',
    colorTextSecondary: '#a9b6c0',
    colorTextTertiary: '#94a3ae',
    colorTextDescription: '#94a3ae',
    colorTextPlaceholder: '#8796a1',
    // Also the words of an empty table.
    colorTextDisabled: '#8796a1',
    colorBorder: '#33414c',
    colorBorderSecondary: '#232e37',
    borderRadius: 6,
  },
  components: {
    // A ground that bears white words is too dark for words of its own on the page.
    Tabs: { itemSelectedColor: '#7dbcf0', itemHoverColor: '#9bd0fa', inkBarColor: '#7dbcf0' },
    Button: { dangerColor: '#200a0b', defaultHoverColor: '#9bd0fa', defaultActiveColor: '#7dbcf0' },
  },
};

const light: ThemeConfig = {
  algorithm: antTheme.defaultAlgorithm,
  token: {
    colorPrimary: '#1a66a8',
    colorPrimaryHover: '#2a6fa8',
    colorPrimaryActive: '#15548c',
    colorInfo: '#1a66a8',
    colorLink: '#1a66a8',
    colorError: '#c2333a',
    colorWarning: '#9a6700',
    colorSuccess: '#2b7a4b',
    // What would be derived from such dark colours is a muddy grey.
    colorPrimaryBg: '#e4eff8',
    colorInfoBg: '#e4eff8',
    colorErrorBg: '#fceeee',
    colorWarningBg: '#fbf3df',
    colorSuccessBg: '#e5f3ea',
    colorBgLayout: '#f2f5f7',
    colorTextBase: '#1b2730',
    colorTextSecondary: '#465764',
    colorTextTertiary: '#566773',
    colorTextDescription: '#566773',
    colorTextPlaceholder: '#667682',
    colorTextDisabled: '#667682',
    borderRadius: 6,
  },
};

const FONT =
  "system-ui, -apple-system, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'WenQuanYi Zen Hei', sans-serif";

interface Shades {
  shade: Shade;
  setShade: (shade: Shade) => void;
  /** What to take while nobody has chosen. */
  setUsual: (shade: Shade) => void;
}

const Context = createContext<Shades | null>(null);

export function ThemeProvider({ children }: { children: ReactNode }) {
  const [chosen, setChosen] = useState(() => localStorage.getItem(STORED));
  const [usual, setUsual] = useState<Shade>('dark');
  const shade: Shade = chosen === 'dark' || chosen === 'light' ? chosen : usual;
  const language = useLanguage();

  useEffect(() => {
    document.documentElement.dataset.shade = shade;
    document.documentElement.style.colorScheme = shade;
  }, [shade]);
  useEffect(() => {
    dayjs.locale(language === 'zh' ? 'zh-cn' : 'en');
  }, [language]);

  const shades = useMemo<Shades>(
    () => ({
      shade,
      setShade: (value) => {
        localStorage.setItem(STORED, value);
        setChosen(value);
      },
      setUsual,
    }),
    [shade],
  );
  const config = useMemo<ThemeConfig>(() => {
    const base = shade === 'dark' ? dark : light;
    return { ...base, token: { ...base.token, fontFamily: FONT } };
  }, [shade]);
  return (
    <Context value={shades}>
      <ConfigProvider theme={config} locale={language === 'zh' ? zhCN : enUS} button={{ autoInsertSpace: false }}>
        <AntApp>{children}</AntApp>
      </ConfigProvider>
    </Context>
  );
}

export function useShade(): Shades {
  const value = useContext(Context);
  if (!value) throw new Error('a page stands inside ThemeProvider');
  return value;
}
