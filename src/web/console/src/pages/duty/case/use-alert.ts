// One alert with all that happened to its case; read again whenever the feed tells of a newer revision.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { request } from '../../../api/client';
import type { Alert } from '../../../api/types';
import { useFeed } from '../feed/feed';

export interface Delivery {
  id: string;
  linkage: string;
  state: 'waiting' | 'delivered' | 'dead';
  revision: number;
  delivered_revision: number;
  n_attempts: number;
  last_error: string | null;
  delivered_at: string | null;
}

export type DetailedAlert = Alert & { deliveries?: Delivery[] };

export function useAlert(id: string) {
  const known = useFeed().alerts.get(id);
  return useQuery({
    queryKey: ['alert', id, known?.revision ?? 0],
    queryFn: () => request<DetailedAlert>('GET', `/alerts/${id}`),
    // The same case a revision ago is better than nothing; another case is not.
    placeholderData: (before, query) => (query?.queryKey[1] === id ? keepPreviousData(before) : undefined),
  });
}
