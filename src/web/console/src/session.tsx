// Who is logged in: `/me` at the start, log-in, log-out, and the page that is shown when it is over.
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { ApiProblem, request, setCsrf, setOnDoubt, setOnLoggedOut } from './api/client';
import type { Me, Right } from './api/types';
import { leave } from './leave';

/** What the session is. */
export type SessionState =
  | { is: 'asking' }
  | { is: 'unreachable'; error: unknown }
  /** `why`: what to say on the log-in page. */
  | { is: 'out'; why: 'not-yet' | 'ended' | 'setup-needed' }
  | { is: 'in'; me: Me };

interface Session {
  state: SessionState;
  ask: () => void;
  login: (name: string, password: string) => Promise<void>;
  setup: (token: string, name: string, password: string) => Promise<void>;
  logout: () => Promise<void>;
}

const Context = createContext<Session | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<SessionState>({ is: 'asking' });

  const enter = useCallback((me: Me) => {
    setCsrf(me.csrf);
    setState({ is: 'in', me });
  }, []);

  const ask = useCallback(() => {
    request<Me>('GET', '/me').then(enter, (error: unknown) => {
      const code = error instanceof ApiProblem && error.status === 401 ? error.code : null;
      if (code === null) setState({ is: 'unreachable', error });
      else setState({ is: 'out', why: code === 'setup-needed' ? 'setup-needed' : 'not-yet' });
    });
  }, [enter]);

  useEffect(() => {
    // While the gateway is away, pages stay as they are and say so themselves.
    setOnDoubt(async () => enter(await request<Me>('GET', '/me')));
    return () => setOnDoubt(null);
  }, [enter]);

  useEffect(ask, [ask]);
  useEffect(() => {
    setOnLoggedOut(() => {
      setCsrf(null);
      leave();
      setState((was) => (was.is === 'in' ? { is: 'out', why: 'ended' } : was));
    });
    return () => setOnLoggedOut(null);
  }, []);

  const value = useMemo<Session>(
    () => ({
      state,
      ask,
      login: async (name, password) => enter(await request<Me>('POST', '/login', { body: { name, password } })),
      setup: async (token, name, password) => {
        const body = name === '' ? { token, password } : { token, name, password };
        enter(await request<Me>('POST', '/setup', { body }));
      },
      logout: async () => {
        await request('POST', '/logout');
        setCsrf(null);
        leave();
        setState({ is: 'out', why: 'not-yet' });
      },
    }),
    [state, ask, enter],
  );
  return <Context value={value}>{children}</Context>;
}

export function useSession(): Session {
  const value = useContext(Context);
  if (!value) throw new Error('a page stands inside SessionProvider');
  return value;
}

/** Who is logged in. Only for pages inside the frame, which shows none without. */
export function useMe(): Me {
  const { state } = useSession();
  if (state.is !== 'in') throw new Error('a page inside the frame has someone who is logged in');
  return state.me;
}

export function may(me: Me, right: Right): boolean {
  return me.may.includes(right);
}
