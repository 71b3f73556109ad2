// The two languages: a flat dictionary for each area, and how a page reads it. Chinese is the default.
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { dutyEn } from './duty.en';
import { dutyZh } from './duty.zh';
import { frameEn } from './frame.en';
import { frameZh } from './frame.zh';
import { officeEn } from './office.en';
import { officeZh } from './office.zh';

export type Language = 'zh' | 'en';

const zh = { ...frameZh, ...dutyZh, ...officeZh };
/** A word or sentence of the console. */
export type Key = keyof typeof zh;
const words: Record<Language, Record<Key, string>> = { zh, en: { ...frameEn, ...dutyEn, ...officeEn } };

export type Params = Record<string, string | number>;
/** A text in the chosen language, `{name}` replaced by `params.name`. */
export type Text = (key: Key, params?: Params) => string;

/** Is `key` in the dictionary? For words that the gateway sends. */
export function isKey(key: string): key is Key {
  return Object.hasOwn(zh, key);
}

function fill(template: string, params: Params): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(params, name) ? String(params[name]) : whole,
  );
}

interface Languages {
  language: Language;
  setLanguage: (language: Language) => void;
  t: Text;
}

const STORED = 'stairgate.language';
const Context = createContext<Languages | null>(null);

function stored(): Language {
  return localStorage.getItem(STORED) === 'en' ? 'en' : 'zh';
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setState] = useState<Language>(stored);
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en-US';
  }, [language]);
  const value = useMemo<Languages>(
    () => ({
      language,
      setLanguage: (chosen) => {
        localStorage.setItem(STORED, chosen);
        setState(chosen);
      },
      t: (key, params) => (params ? fill(words[language][key], params) : words[language][key]),
    }),
    [language],
  );
  return <Context value={value}>{children}</Context>;
}

function useLanguages(): Languages {
  const value = useContext(Context);
  if (!value) throw new Error('a page stands inside LanguageProvider');
  return value;
}

/** How a page reads its words. */
export function useText(): Text {
  return useLanguages().t;
}

export function useLanguage(): Language {
  return useLanguages().language;
}

export function useSetLanguage(): (language: Language) => void {
  return useLanguages().setLanguage;
}
