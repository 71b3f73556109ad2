// Waits for the next unknown card at a door, so that the door is the reader.

import { Alert, Button, Progress, Select, Space } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { ApiProblem, type Page, request } from '../../api/client';
import { useText } from '../../i18n';
import { Failure } from '../shared/failure';

/** How long is waited for a card. */
const WAIT_S = 60;
/** How long the gateway waits for one question, at most. */
const ASK_S_MAX = 20;

interface DoorRow {
  door: string;
  place?: string;
}

interface Captured {
  capture: string;
  card_ref: string;
  at: string;
}

type Wait = { is: 'idle' } | { is: 'waiting'; since: number } | { is: 'none' };

export function DoorReader({
  place,
  isBusy,
  onCapture,
}: {
  place: string;
  isBusy: boolean;
  onCapture: (capture: string) => void;
}) {
  const t = useText();
  const doors = useQuery({
    queryKey: ['doors'],
    queryFn: ({ signal }) => request<Page<DoorRow>>('GET', '/doors', { signal }),
  });
  const rows = doors.data?.items ?? [];
  const near = rows.find((one) => one.place === place) ?? rows[0];
  const [chosen, setChosen] = useState<string | null>(null);
  const door = chosen ?? near?.door ?? null;
  const [wait, setWait] = useState<Wait>({ is: 'idle' });
  const [error, setError] = useState<Error | null>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const listen = async (at: string) => {
    const stop = new AbortController();
    abort.current = stop;
    setError(null);
    setWait({ is: 'waiting', since: performance.now() });
    try {
      const path = `/doors/${encodeURIComponent(at)}/next-card`;
      const until = performance.now() + WAIT_S * 1_000;
      // The gateway answers with nothing after a while, so that a lost page holds no door.
      while (performance.now() < until) {
        const leftS = Math.ceil((until - performance.now()) / 1_000);
        const found = await request<Captured | undefined>('POST', path, {
          query: { wait_s: Math.min(leftS, ASK_S_MAX) },
          signal: stop.signal,
        });
        if (stop.signal.aborted) return;
        if (found) {
          setWait({ is: 'idle' });
          onCapture(found.capture);
          return;
        }
      }
      setWait({ is: 'none' });
    } catch (err) {
      if (stop.signal.aborted) return;
      setError(err as Error);
      setWait({ is: 'idle' });
    }
  };
  const cancel = () => {
    abort.current?.abort();
    setWait({ is: 'idle' });
  };
  const isWaiting = wait.is === 'waiting';
  return (
    <div className="reader">
      <div className="reader-body">
        <DoorFailure error={error ?? doors.error} />
        <Space wrap>
          <Select
            aria-label={t('office.door')}
            className="reader-door"
            value={door}
            disabled={isWaiting}
            loading={doors.isLoading}
            showSearch
            options={rows.map((one) => ({ value: one.door, label: one.door }))}
            onChange={setChosen}
          />
          {isWaiting ? (
            <Button onClick={cancel}>{t('app.cancel')}</Button>
          ) : (
            <Button type="primary" disabled={!door || isBusy} onClick={() => door && void listen(door)}>
              {t('office.door.listen')}
            </Button>
          )}
        </Space>
        {isWaiting && <Countdown since={wait.since} />}
        {wait.is === 'none' && <p role="status">{t('office.door.none')}</p>}
        <p className="quiet">{t('office.door.hint')}</p>
      </div>
    </div>
  );
}

function Countdown({ since }: { since: number }) {
  const t = useText();
  const [left, setLeft] = useState(WAIT_S);
  useEffect(() => {
    const tick = () => setLeft(Math.max(0, WAIT_S - (performance.now() - since) / 1_000));
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [since]);
  return (
    <p className="countdown" role="timer" aria-live="off">
      <Progress
        type="circle"
        size={40}
        percent={(100 * left) / WAIT_S}
        format={() => Math.ceil(left)}
        aria-label={t('office.door.left', { s: Math.ceil(left) })}
      />
      <span>{t('office.door.waiting')}</span>
    </p>
  );
}

function DoorFailure({ error }: { error: Error | null }) {
  const t = useText();
  if (error instanceof ApiProblem && error.code === 'door-taken') {
    return <Alert type="warning" showIcon role="alert" title={t('office.door.taken')} />;
  }
  return <Failure error={error} />;
}
