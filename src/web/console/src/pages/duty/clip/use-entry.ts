// One entry, asked for again while its clip is being made.
import { useQuery } from '@tanstack/react-query';
import { request } from '../../../api/client';
import { clock } from '../../../api/clock';
import type { Entry } from '../../../api/types';

/** While the window lasts there is nothing to hurry for; after it, the clip is there in a moment. */
const EARLY_MS = 2_000;
const LATE_MS = 500;

export function useEntry(id: string | null) {
  return useQuery({
    queryKey: ['entry', id],
    queryFn: () => request<Entry>('GET', `/entries/${id}`),
    enabled: id !== null,
    refetchInterval: ({ state }) => {
      const clips = state.data?.clips ?? [];
      const pending = clips.filter((clip) => clip.state === 'pending');
      if (pending.length === 0) return false;
      const ends = Math.min(...pending.map((clip) => Date.parse(clip.to)));
      return ends > clock.now() ? EARLY_MS : LATE_MS;
    },
  });
}
