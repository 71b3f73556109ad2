// Single keys for those who work without a mouse. `?` lists what is possible now; they can be switched off (WCAG 2.2, 2.1.4).
import { Modal, Switch } from 'antd';
import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { useText, type Key } from '../i18n';

export interface Binding {
  /** As `KeyboardEvent.key` has it: `j`, `Enter`, `ArrowLeft`, ` `. */
  key: string;
  label: Key;
  act: () => void;
}

/** The title of a page's keys, and the keys. */
interface Group {
  title: Key;
  bindings: Binding[];
}

interface Keys {
  register: (group: Group) => () => void;
  open: () => void;
}

const STORED = 'stairgate.keys';
const Context = createContext<Keys | null>(null);

const NAMES: Record<string, string> = { ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' };

/** Does the key belong to what has the focus? */
function isTaken(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true;
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest('input, textarea, select, [role="dialog"], [role="menu"], [role="listbox"]')) return true;
  // Enter and Space press the button that has the focus.
  return (event.key === 'Enter' || event.key === ' ') && target.closest('button, a, [role="tab"], [role="slider"]') !== null;
}

export function KeysProvider({ children }: { children: ReactNode }) {
  const t = useText();
  const groups = useRef<Group[]>([]);
  const [isOn, setOn] = useState(() => localStorage.getItem(STORED) !== 'off');
  const [listed, setListed] = useState<Group[] | null>(null);
  const keys = useMemo<Keys>(
    () => ({
      register: (group) => {
        groups.current = [...groups.current, group];
        return () => {
          groups.current = groups.current.filter((other) => other !== group);
        };
      },
      open: () => setListed(groups.current),
    }),
    [],
  );
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (isTaken(event)) return;
      if (event.key === '?') {
        keys.open();
        event.preventDefault();
        return;
      }
      if (!isOn) return;
      // The innermost page comes last and goes first.
      for (const group of [...groups.current].reverse()) {
        const binding = group.bindings.find((binding) => binding.key === event.key);
        if (binding) {
          event.preventDefault();
          binding.act();
          return;
        }
      }
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [isOn, keys]);
  const turn = (on: boolean) => {
    localStorage.setItem(STORED, on ? 'on' : 'off');
    setOn(on);
  };
  return (
    <Context value={keys}>
      {children}
      <Modal title={t('keys.title')} open={listed !== null} onCancel={() => setListed(null)} footer={null} width={520}>
        <label className="sg-keys-switch">
          <Switch checked={isOn} onChange={turn} size="small" /> {t('keys.on')}
        </label>
        {listed?.map((group) => (
          <section key={group.title} className="sg-keys">
            <h3>{t(group.title)}</h3>
            <dl>
              {group.bindings.map((binding) => (
                <div key={binding.key}>
                  <dt><kbd>{NAMES[binding.key] ?? binding.key}</kbd></dt>
                  <dd>{t(binding.label)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </Modal>
    </Context>
  );
}

export function useKeysHelp(): () => void {
  const keys = useContext(Context);
  if (!keys) throw new Error('a page stands inside KeysProvider');
  return keys.open;
}

/** Listens to `bindings` while the component is shown. */
export function useKeys(title: Key, bindings: Binding[]): void {
  const keys = useContext(Context);
  const current = useRef(bindings);
  useEffect(() => {
    current.current = bindings;
  });
  // The list is registered anew only when its keys change; what they do is always the newest.
  const shape = bindings.map((binding) => `${binding.key}\u0000${binding.label}`).join('\u0001');
  useEffect(() => {
    const newest: Binding[] = shape === '' ? [] : shape.split('\u0001').map((text) => {
      const [key = '', label = ''] = text.split('\u0000');
      return { key, label: label as Key, act: () => current.current.find((binding) => binding.key === key)?.act() };
    });
    return keys?.register({ title, bindings: newest });
  }, [keys, title, shape]);
}
