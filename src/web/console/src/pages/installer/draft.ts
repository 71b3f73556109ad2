// The site as it is being edited: what differs from the gateway's goes to it as one change.

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { request } from '../../api/client';
import type { Site, SiteChange } from './types';

export const LISTS = ['stairwells', 'cameras', 'doors', 'linkages'] as const;
export type ListName = (typeof LISTS)[number];
export type Lists = Pick<Site, 'compound' | ListName>;

export interface Draft {
  site: Site | undefined;
  lists: Lists | undefined;
  isLoading: boolean;
  error: Error | null;
  /** Parts that differ from the gateway's. */
  dirty: (keyof Lists)[];
  change: SiteChange | null;
  edit: (part: Partial<Lists>) => void;
  /** Throws the edits away. */
  reset: () => void;
  /** Reads the site anew; the edits stay. */
  reload: () => Promise<void>;
}

export function useSite() {
  return useQuery({
    queryKey: ['site'],
    queryFn: ({ signal }) => request<Site>('GET', '/site', { signal }),
  });
}

export function useDraft(): Draft {
  const query = useSite();
  const client = useQueryClient();
  const [edits, setEdits] = useState<Partial<Lists>>({});
  const site = query.data;
  const dirty = site
    ? (Object.keys(edits) as (keyof Lists)[]).filter((part) => differs(site[part], edits[part]))
    : [];
  const lists = site && {
    compound: edits.compound ?? site.compound,
    stairwells: edits.stairwells ?? site.stairwells,
    cameras: edits.cameras ?? site.cameras,
    doors: edits.doors ?? site.doors,
    linkages: edits.linkages ?? site.linkages,
  };
  const change: SiteChange | null =
    site && dirty.length > 0
      ? { version: site.version, ...Object.fromEntries(dirty.map((part) => [part, edits[part]])) }
      : null;
  return {
    site,
    lists,
    isLoading: query.isLoading,
    error: query.error,
    dirty,
    change,
    edit: (part) => setEdits((old) => ({ ...old, ...part })),
    reset: () => setEdits({}),
    reload: async () => {
      await client.invalidateQueries({ queryKey: ['site'] });
    },
  };
}

function differs(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}

/** `rows` with `row` in the place of the one with `id`, or at the end. */
export function withRow<T extends { id: string }>(rows: T[], id: string | null, row: T): T[] {
  return id === null ? [...rows, row] : rows.map((one) => (one.id === id ? row : one));
}

export function withoutRow<T extends { id: string }>(rows: T[], id: string): T[] {
  return rows.filter((one) => one.id !== id);
}

/** Ids: 1 to 32 of `a-z A-Z 0-9 - _`. */
export const ID_PATTERN = /^[A-Za-z0-9_-]{1,32}$/;
