// Reading and changing the ledger over the API.

import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { request } from '../../api/client';
import type { Change, Dwelling, Page, Resident, Stairwell } from './types';

/** Rows asked for at a time: the most the API gives. */
const PAGE_ROWS = 500;
/** Dwellings kept in the page at most: far above any compound; beyond it a building is to be chosen. */
export const DWELLINGS_MAX = 20_000;

export interface DwellingList {
  dwellings: Dwelling[];
  isLoading: boolean;
  isWhole: boolean;
  error: Error | null;
  reload: () => void;
}

/** All dwellings, page by page: the first rows are there at once, the rest follows. */
export function useDwellings(): DwellingList {
  const query = useInfiniteQuery({
    queryKey: ['dwellings'],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) =>
      request<Page<Dwelling>>('GET', '/dwellings', {
        query: { limit: PAGE_ROWS, cursor: pageParam || undefined },
        signal,
      }),
    getNextPageParam: (last, pages) => (pages.length * PAGE_ROWS < DWELLINGS_MAX ? last.next_cursor : null),
  });
  const { hasNextPage, isFetching, fetchNextPage, refetch } = query;
  useEffect(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  const pages = query.data?.pages;
  const dwellings = useMemo(() => pages?.flatMap((page) => page.items) ?? [], [pages]);
  return {
    dwellings,
    isLoading: query.isLoading,
    isWhole: !hasNextPage && !query.isLoading,
    error: query.error,
    reload: () => void refetch(),
  };
}

/** Dwellings that fit what was typed, also by a whole name, which only the gateway can look up. */
/** What fits `q`; names too when a reason is said, since that is a look at a person. */
export function useFound(q: string, reason: string | null) {
  return useQuery({
    queryKey: ['dwellings', 'found', q, reason],
    enabled: q.length > 1,
    // Each time it is asked with a reason, it is a look at a person.
    refetchOnWindowFocus: false,
    queryFn: ({ signal }) =>
      request<Page<Dwelling>>('GET', '/dwellings', { query: { q, reason, limit: PAGE_ROWS }, signal }),
  });
}

export function useDwelling(id: string, on?: string) {
  return useQuery({
    queryKey: ['dwelling', id, on ?? ''],
    queryFn: ({ signal }) =>
      request<Dwelling>('GET', `/dwellings/${encodeURIComponent(id)}`, { query: { on }, signal }),
  });
}

/** With names when a reason is said. */
export function useResidents(id: string, on: string | undefined, reason: string | null) {
  return useQuery({
    queryKey: ['residents', id, on ?? '', reason],
    queryFn: ({ signal }) =>
      request<Page<Resident>>('GET', `/dwellings/${encodeURIComponent(id)}/cardholders`, {
        query: { on, reason, names: reason === null ? false : undefined },
        signal,
      }),
  });
}

/** With names when a reason is said. */
export function useHistory(id: string, reason: string | null) {
  return useInfiniteQuery({
    queryKey: ['history', id, reason],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) =>
      request<Page<Change>>('GET', `/dwellings/${encodeURIComponent(id)}/history`, {
        query: { limit: 50, cursor: pageParam || undefined, reason, names: reason === null ? false : undefined },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor,
  });
}

export function useStairwells() {
  return useQuery({
    queryKey: ['office', 'places'],
    staleTime: 60_000,
    queryFn: ({ signal }) => request<Page<Stairwell>>('GET', '/places', { signal }),
  });
}

/** After a change: everything of the ledger is read anew. */
export function useLedgerChanged(): () => Promise<void> {
  const client = useQueryClient();
  return async () => {
    await Promise.all(
      ['dwellings', 'dwelling', 'residents', 'history'].map((key) =>
        client.invalidateQueries({ queryKey: [key] }),
      ),
    );
  };
}
