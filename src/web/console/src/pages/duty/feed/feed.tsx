// One alert feed for all pages, and its sound.
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { AlertFeed, type FeedState } from './alert-feed';
import { Chime } from './chime';

interface Duty {
  feed: AlertFeed;
  chime: Chime;
}

const Context = createContext<Duty | null>(null);

export function FeedProvider({ isOn, children }: { isOn: boolean; children: ReactNode }) {
  const duty = useMemo<Duty>(() => ({ feed: new AlertFeed(), chime: new Chime() }), []);
  useEffect(() => {
    if (!isOn) return undefined;
    duty.feed.open();
    const unhear = duty.chime.follow(duty.feed);
    return () => {
      unhear();
      duty.feed.close();
    };
  }, [duty, isOn]);
  return <Context value={duty}>{children}</Context>;
}

export function useDuty(): Duty {
  const value = useContext(Context);
  if (!value) throw new Error('a page stands inside FeedProvider');
  return value;
}

export function useFeed(): FeedState {
  const { feed } = useDuty();
  return useSyncExternalStore(feed.subscribe, feed.snapshot);
}
