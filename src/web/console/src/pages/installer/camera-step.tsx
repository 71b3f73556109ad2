// Cameras: each is probed before it is trusted.

import { PlusOutlined } from '@ant-design/icons';
import { Button, Card, Flex, Input, Table } from 'antd';
import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { type Page, request } from '../../api/client';
import { useText } from '../../i18n';
import { Tone } from '../shared/tone';
import { makeCameras } from './bulk';
import { CameraForm } from './camera-form';
import type { StepProps } from './compound-step';
import { withoutRow, withRow } from './draft';
import { ProbeView, useProbe } from './probe';
import { placeWord } from './places';
import { AddRow, RowTools } from './row-tools';
import type { CameraRow } from './types';

interface CameraStatus {
  camera: string;
  up: boolean;
  reason: string;
}

export function CameraStep({ lists, edit, canEdit }: StepProps) {
  const t = useText();
  const [editing, setEditing] = useState<CameraRow | 'new' | null>(null);
  const [probed, setProbed] = useState<string | null>(null);
  const statuses = useQuery({
    queryKey: ['office', 'cameras'],
    refetchInterval: 5_000,
    queryFn: ({ signal }) => request<Page<CameraStatus>>('GET', '/cameras', { signal }),
  });
  const statusOf = (id: string) => statuses.data?.items.find((one) => one.camera === id);
  const used = new Set(lists.doors.flatMap((one) => one.cameras));
  return (
    <>
      {canEdit && (
        <div className="install-tools">
          <Bulk lists={lists} edit={edit} />
        </div>
      )}
      <Flex justify="end" className="above-table">
        {canEdit && (
          <AddRow label={t('install.camera.add')} onClick={() => setEditing('new')} />
        )}
      </Flex>
      <Table<CameraRow>
        size="small"
        rowKey="id"
        dataSource={lists.cameras}
        pagination={{ defaultPageSize: 50, hideOnSinglePage: true }}
        expandable={{
          expandedRowKeys: probed ? [probed] : [],
          showExpandColumn: false,
          expandedRowRender: (one) => <Probed key={one.id} camera={one} />,
        }}
        columns={[
          { title: t('install.id'), dataIndex: 'id', className: 'mono' },
          {
            title: t('install.place'),
            dataIndex: 'place',
            render: (place: string) => placeWord(t, lists.stairwells, place),
          },
          {
            title: t('install.camera.url'),
            dataIndex: 'url',
            render: (url: string) => <bdi className="mono wrap-anywhere">{url}</bdi>,
          },
          {
            title: t('install.state'),
            key: 'state',
            render: (_, one) => {
              const status = statusOf(one.id);
              if (!status) return <Tone>{t('install.state.not-yet')}</Tone>;
              return status.up ? (
                <Tone tone="good">{t('install.state.up')}</Tone>
              ) : (
                <Tone tone="bad" title={status.reason}>
                  {t('install.state.down')}
                </Tone>
              );
            },
          },
          {
            title: '',
            key: 'actions',
            align: 'right',
            render: (_, one) =>
              canEdit && (
                <RowTools
                  id={one.id}
                  whyKept={used.has(one.id) ? t('install.camera.used') : undefined}
                  change={() => setEditing(one)}
                  remove={() => edit({ cameras: withoutRow(lists.cameras, one.id) })}
                >
                  <Button size="small" onClick={() => setProbed((was) => (was === one.id ? null : one.id))}>
                    {t('install.probe')}
                  </Button>
                </RowTools>
              ),
          },
        ]}
      />
      {editing && (
        <CameraForm
          lists={lists}
          camera={editing === 'new' ? null : editing}
          onClose={() => setEditing(null)}
          onDone={(row) => {
            const id = editing === 'new' ? null : editing.id;
            edit({ cameras: withRow(lists.cameras, id, row) });
            setEditing(null);
          }}
        />
      )}
    </>
  );
}

function Probed({ camera }: { camera: CameraRow }) {
  const probe = useProbe(camera, true);
  return <ProbeView probe={probe} />;
}

function Bulk({ lists, edit }: Pick<StepProps, 'lists' | 'edit'>) {
  const t = useText();
  const [pattern, setPattern] = useState({ url: '', sub_url: '', username: '', password: '' });
  const made = pattern.url.trim() === '' ? [] : makeCameras(lists.stairwells, lists.cameras, pattern);
  const set = (change: Partial<typeof pattern>) => setPattern((old) => ({ ...old, ...change }));
  return (
    <Card size="small" title={t('install.camera.bulk')}>
      <Flex gap={8} wrap align="end">
        <label className="wide">
          <span className="field-label">{t('install.camera.url')}</span>
          <Input
            value={pattern.url}
            placeholder="rtsp://10.0.{building}.{unit}:554/Streaming/Channels/101"
            onChange={(event) => set({ url: event.target.value })}
          />
        </label>
        <label className="wide">
          <span className="field-label">{t('install.camera.sub')}</span>
          <Input
            value={pattern.sub_url}
            placeholder="rtsp://10.0.{building}.{unit}:554/Streaming/Channels/102"
            onChange={(event) => set({ sub_url: event.target.value })}
          />
        </label>
        <label>
          <span className="field-label">{t('install.username')}</span>
          <Input
            value={pattern.username}
            autoComplete="off"
            onChange={(event) => set({ username: event.target.value })}
          />
        </label>
        <label>
          <span className="field-label">{t('install.password')}</span>
          <Input.Password
            value={pattern.password}
            autoComplete="new-password"
            onChange={(event) => set({ password: event.target.value })}
          />
        </label>
        <Button
          icon={<PlusOutlined aria-hidden />}
          disabled={made.length === 0}
          onClick={() => {
            edit({ cameras: [...lists.cameras, ...made] });
            setPattern({ url: '', sub_url: '', username: '', password: '' });
          }}
        >
          {t('install.bulk.add', { n: made.length })}
        </Button>
      </Flex>
      <p className="quiet">
        {t('install.camera.bulk.hint')}{' '}
        {made[0] && (
          <bdi className="mono">
            {made[0].id} ← {made[0].url}
          </bdi>
        )}
      </p>
    </Card>
  );
}
