// Doors: which cameras see each, and a swipe to try it.

import { Button, Flex, Table } from 'antd';
import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { type Page, request } from '../../api/client';
import { useText } from '../../i18n';
import { useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import { makeDoors } from './bulk';
import type { StepProps } from './compound-step';
import { DoorForm } from './door-form';
import { withoutRow, withRow } from './draft';
import { placeWord } from './places';
import { AddRow, RowTools } from './row-tools';
import { SwipeTest } from './swipe-test';
import type { DoorRow } from './types';

export interface DoorStatus {
  door: string;
  online: boolean | null;
  last_seen: string | null;
  last_swipe: string | null;
  skew_ms: number | null;
}

/** How often the doors are asked after while this page is open. */
const ASK_EVERY_MS = 3_000;

export function useDoorStatuses() {
  return useQuery({
    queryKey: ['office', 'doors'],
    refetchInterval: ASK_EVERY_MS,
    queryFn: ({ signal }) => request<Page<DoorStatus>>('GET', '/doors', { signal }),
  });
}

export function DoorStep({
  lists,
  edit,
  canEdit,
  kept,
}: StepProps & {
  /** As the gateway has them: only these can be tried. */
  kept: DoorRow[];
}) {
  const t = useText();
  const times = useTimes();
  const [editing, setEditing] = useState<DoorRow | 'new' | null>(null);
  const [tried, setTried] = useState<string | null>(null);
  const statuses = useDoorStatuses();
  const statusOf = (id: string) => statuses.data?.items.find((one) => one.door === id);
  const isKept = (id: string) => kept.some((one) => one.id === id);
  const made = makeDoors(lists.stairwells, lists.cameras, lists.doors);
  return (
    <>
      <Flex justify="end" gap={8} className="above-table">
        {canEdit && (
          <>
            <Button disabled={made.length === 0} onClick={() => edit({ doors: [...lists.doors, ...made] })}>
              {t('install.door.bulk', { n: made.length })}
            </Button>
            <AddRow label={t('install.door.add')} onClick={() => setEditing('new')} />
          </>
        )}
      </Flex>
      <Table<DoorRow>
        size="small"
        rowKey="id"
        dataSource={lists.doors}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        expandable={{
          expandedRowKeys: tried ? [tried] : [],
          showExpandColumn: false,
          expandedRowRender: (one) => <SwipeTest key={one.id} door={one.id} status={statusOf(one.id)} />,
        }}
        columns={[
          { title: t('install.id'), dataIndex: 'id', className: 'mono' },
          {
            title: t('install.place'),
            dataIndex: 'place',
            render: (place: string) => placeWord(t, lists.stairwells, place),
          },
          {
            title: t('install.door.cameras'),
            dataIndex: 'cameras',
            render: (ids: string[]) =>
              ids.length > 0 ? (
                ids.map((id) => <Tone key={id}>{id}</Tone>)
              ) : (
                <Tone tone="warn">{t('install.door.no-camera')}</Tone>
              ),
          },
          {
            title: t('install.state'),
            key: 'state',
            render: (_, one) => {
              const status = statusOf(one.id);
              if (!status || status.online === null) {
                return <Tone>{t('install.state.never')}</Tone>;
              }
              return status.online ? (
                <Tone tone="good">{t('install.state.up')}</Tone>
              ) : (
                <Tone tone="bad">{t('install.state.down')}</Tone>
              );
            },
          },
          {
            title: t('install.door.last-swipe'),
            key: 'last',
            className: 'numbers nowrap',
            render: (_, one) => times.second(statusOf(one.id)?.last_swipe),
          },
          {
            title: '',
            key: 'actions',
            align: 'right',
            render: (_, one) => {
              const trial = (
                <Button
                  size="small"
                  disabled={!isKept(one.id)}
                  title={isKept(one.id) ? undefined : t('install.door.apply-first')}
                  onClick={() => setTried((was) => (was === one.id ? null : one.id))}
                >
                  {t('install.door.try')}
                </Button>
              );
              if (!canEdit) return trial;
              return (
                <RowTools
                  id={one.id}
                  change={() => setEditing(one)}
                  remove={() => edit({ doors: withoutRow(lists.doors, one.id) })}
                >
                  {trial}
                </RowTools>
              );
            },
          },
        ]}
      />
      {editing && (
        <DoorForm
          lists={lists}
          door={editing === 'new' ? null : editing}
          onClose={() => setEditing(null)}
          onDone={(row) => {
            const id = editing === 'new' ? null : editing.id;
            edit({ doors: withRow(lists.doors, id, row) });
            setEditing(null);
          }}
        />
      )}
    </>
  );
}
