// Looks at a camera as the gateway sees it: a verdict, a picture, key-frame interval, clock offset.

import { ReloadOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Descriptions, Spin } from 'antd';
import { useId, useState } from 'react';
import { request } from '../../api/client';
import { useLanguage, useText } from '../../i18n';
import { Failure } from '../shared/failure';
import { useTimes } from '../shared/times';
import { Tone } from '../shared/tone';
import type { CameraRow, Probe } from './types';

const COLOURS = { good: 'good', usable: 'warn', bad: 'bad' } as const;

const FINDINGS = { bad: 'error', warning: 'warning', note: 'info' } as const;

export interface Probing {
  isBusy: boolean;
  result: Probe | null;
  error: Error | null;
  start: () => void;
}

/** `camera` as it stands in the draft: a password that was typed goes along, one that is kept is named. */
export function useProbe(camera: CameraRow, atOnce: boolean): Probing {
  const id = useId();
  // What is probed, and the how manieth time: what is typed meanwhile asks nothing.
  const [asked, setAsked] = useState<{ n: number; of: CameraRow } | null>(
    atOnce ? { n: 1, of: camera } : null,
  );
  const probe = useQuery({
    queryKey: ['probe', id, asked?.n],
    enabled: asked !== null,
    retry: false,
    gcTime: 0,
    staleTime: Infinity,
    queryFn: ({ signal }) =>
      request<Probe>('POST', '/site/probe', { body: bodyOf(asked?.of ?? camera), signal }),
  });
  return {
    isBusy: probe.isFetching,
    result: probe.isFetching ? null : (probe.data ?? null),
    error: probe.isFetching ? null : probe.error,
    start: () => setAsked((was) => ({ n: (was?.n ?? 0) + 1, of: camera })),
  };
}

function bodyOf(camera: CameraRow) {
  const known = camera.has_password ? { camera: camera.id } : {};
  return {
    url: camera.url.trim(),
    transport: camera.transport ?? undefined,
    username: camera.username || undefined,
    ...(camera.password ? { password: camera.password } : known),
  };
}

export function ProbeView({ probe }: { probe: Probing }) {
  const t = useText();
  const language = useLanguage();
  const times = useTimes();
  const { result } = probe;
  return (
    <div className="probe" data-testid="probe" aria-busy={probe.isBusy}>
      {probe.isBusy && (
        <p role="status">
          <Spin size="small" /> {t('install.probe.busy')}
        </p>
      )}
      <Failure error={probe.error} retry={probe.start} />
      {result && (
        <>
          {result.picture ? (
            <img
              className="probe-picture"
              src={`data:image/jpeg;base64,${result.picture}`}
              alt={t('install.probe.picture')}
            />
          ) : (
            <div className="probe-picture probe-none">{t('install.probe.no-picture')}</div>
          )}
          <div className="probe-facts">
            <p>
              <Tone tone={COLOURS[result.verdict]} isLarge>
                {t(`install.verdict.${result.verdict}`)}
              </Tone>
              <Button size="small" icon={<ReloadOutlined aria-hidden />} onClick={probe.start}>
                {t('install.probe.again')}
              </Button>
            </p>
            <Descriptions
              size="small"
              column={1}
              items={[
                {
                  key: 'video',
                  label: t('install.probe.video'),
                  children: result.width
                    ? `${result.codec?.toUpperCase()} ${result.width}×${result.height}, ${
                        result.fps?.toFixed(1) ?? '–'
                      } fps`
                    : '–',
                },
                {
                  key: 'bits',
                  label: t('install.probe.bitrate'),
                  children: result.bitrate_bps ? `${(result.bitrate_bps / 1e6).toFixed(2)} Mbit/s` : '–',
                },
                {
                  key: 'key',
                  label: t('install.probe.key'),
                  children: times.span(result.keyframe_interval_ms),
                },
                {
                  key: 'clock',
                  label: t('install.probe.clock'),
                  children:
                    result.clock_offset_ms === null
                      ? t('install.probe.clock.none')
                      : times.span(result.clock_offset_ms),
                },
              ]}
            />
            {result.findings.map((one) => (
              <Alert
                key={one.text_en}
                type={FINDINGS[one.severity]}
                showIcon
                title={language === 'zh' ? one.text_zh : one.text_en}
              />
            ))}
          </div>
        </>
      )}
    </div>
  );
}
