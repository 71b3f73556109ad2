// What surrounds a page once someone is logged in: what is read, what is heard, and the frame unless the page is bare.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ApiProblem } from '../api/client';
import { FeedProvider } from '../pages/duty/feed/feed';
import { whenLeaving } from '../leave';
import { may, useMe } from '../session';
import { Frame } from './frame';
import { KeysProvider } from './keys';

const N_RETRIES = 2;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays one; only what did not arrive is asked for again.
      retry: (n, error) => n < N_RETRIES && error instanceof ApiProblem && (error.status === 0 || error.status === 503),
    },
  },
});

whenLeaving(() => client.clear());

export default function Inside({ path, isBare, children }: { path: string; isBare: boolean; children: ReactNode }) {
  const me = useMe();
  return (
    <QueryClientProvider client={client}>
      <FeedProvider isOn={may(me, 'see-alerts')} key={me.name}>
        <KeysProvider>{isBare ? children : <Frame path={path}>{children}</Frame>}</KeysProvider>
      </FeedProvider>
    </QueryClientProvider>
  );
}
