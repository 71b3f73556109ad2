// Tries a door: waits for a swipe from now on, and shows it, the decision and the clip.

import { LoadingOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Descriptions, Steps, Tag } from 'antd';
import { useState } from 'react';
import { clock } from '../../api/clock';
import { address, type Page, request } from '../../api/client';
import type { Entry } from '../../api/types';
import { isKey, type Text, useText } from '../../i18n';
import { may, useMe } from '../../session';
import { Failure } from '../shared/failure';
import { useTimes } from '../shared/times';
import type { DoorStatus } from './door-step';

/** How often is looked for a new entry, and for its clip. */
const ASK_EVERY_MS = 1_000;
/** The clocks of page and gateway agree to within this. */
const SLACK_MS = 2_000;

export function SwipeTest({ door, status }: { door: string; status: DoorStatus | undefined }) {
  const t = useText();
  const me = useMe();
  const [since] = useState(() => clock.now() - SLACK_MS);
  const mayEntries = may(me, 'see-entries');
  const entries = useQuery<Page<Entry>>({
    queryKey: ['swipe-test', door, since],
    enabled: mayEntries,
    refetchInterval: (query) => (isSettled(query.state.data?.items[0]) ? false : ASK_EVERY_MS),
    queryFn: ({ signal }) =>
      request<Page<Entry>>('GET', '/entries', {
        query: { door, from: new Date(since).toISOString(), limit: 1 },
        signal,
      }),
  });
  const entry = entries.data?.items[0];
  const swipedAt =
    entry?.received_at ??
    (status?.last_swipe && Date.parse(status.last_swipe) >= since ? status.last_swipe : null);
  const current = !swipedAt ? 0 : !entry || !isSettled(entry) ? 1 : 2;
  return (
    <div className="swipe-test" data-testid="swipe-test">
      <Failure error={entries.error} />
      <Steps
        size="small"
        orientation="vertical"
        current={current}
        items={[
          {
            title: t('install.try.swipe'),
            icon: swipedAt ? undefined : <LoadingOutlined />,
            content: swipedAt ? (
              <SwipeFacts entry={entry} at={swipedAt} status={status} />
            ) : (
              <span role="status">{t('install.try.waiting')}</span>
            ),
          },
          {
            title: t('install.try.clip'),
            content:
              !mayEntries && swipedAt ? (
                <Alert type="info" title={t('install.try.no-right')} />
              ) : (
                entry && <ClipView entry={entry} />
              ),
          },
        ]}
      />
    </div>
  );
}

function isSettled(entry: Entry | undefined): boolean {
  return entry !== undefined && entry.clip.state !== 'pending';
}

function SwipeFacts({
  entry,
  at,
  status,
}: {
  entry: Entry | undefined;
  at: string;
  status: DoorStatus | undefined;
}) {
  const t = useText();
  const times = useTimes();
  const items = [{ key: 'at', label: t('common.when'), children: times.second(at) }];
  if (entry) {
    items.push(
      { key: 'card', label: t('office.cards'), children: entry.card_ref ?? t('common.none') },
      { key: 'method', label: t('install.try.method'), children: entry.method },
    );
  }
  if (status?.skew_ms !== null && status?.skew_ms !== undefined) {
    items.push({
      key: 'skew',
      label: t('install.try.skew'),
      children: times.span(status.skew_ms),
    });
  }
  return (
    <>
      <Descriptions size="small" column={{ xs: 1, md: 4 }} items={items} />
      {entry && (
        <Tag
          className="decision"
          color={entry.decision.outcome === 'granted' ? 'success' : 'error'}
          data-testid="decision"
        >
          {t(`install.try.${entry.decision.outcome}`)} · {reasonWord(t, entry.decision.reason)}
        </Tag>
      )}
    </>
  );
}

function ClipView({ entry }: { entry: Entry }) {
  const t = useText();
  const me = useMe();
  const { clip } = entry;
  if (clip.state === 'pending') {
    return (
      <span role="status">
        <LoadingOutlined /> {t('install.try.pending')}
      </span>
    );
  }
  if (clip.state === 'missed') {
    return <Alert type="error" showIcon title={t('install.try.missed', { reason: clip.reason ?? '' })} />;
  }
  const path = `/entries/${encodeURIComponent(entry.id)}/clip.mp4`;
  return (
    <>
      <Tag color={clip.state === 'whole' ? 'success' : 'warning'}>{t(`install.try.${clip.state}`)}</Tag>
      {may(me, 'see-clips') && (
        <video
          className="try-clip"
          controls
          muted
          playsInline
          src={address(path, { reason: t('install.try.reason', { door: entry.door }) })}
          data-testid="try-clip"
        />
      )}
    </>
  );
}

export function reasonWord(t: Text, reason: string): string {
  const key = `install.reason.${reason}`;
  return isKey(key) ? t(key) : reason;
}
