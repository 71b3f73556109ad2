// An entry's clip in place: pending with the seconds that are left, playing as soon as it is settled, the swipe marked.
import {
  CaretRightOutlined, DownloadOutlined, FullscreenOutlined, PauseOutlined, RedoOutlined, StepBackwardOutlined,
} from '@ant-design/icons';
import { App, Button, Progress, Segmented, Tooltip } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { address, ApiProblem, download, requestRaw } from '../../../api/client';
import { explain } from '../../../api/explain';
import type { Clip, Entry } from '../../../api/types';
import { useKeys } from '../../../frame/keys';
import { useServerNow, useTimes } from '../../../frame/time';
import { isKey, useText, type Text } from '../../../i18n';
import { groundsQuery, type Grounds } from '../grounds';
import { useEntry } from './use-entry';
import '../../../style/clip.css';

const RATES = [0.5, 1, 2, 4];
const STEP_S = 1;
const FRAME_S = 0.04;

export interface ClipPlayerProps {
  entryId: string;
  grounds: Grounds;
  /** Its keys are listened to: only one player of a page. */
  hasKeys?: boolean;
}

export function ClipPlayer({ entryId, grounds, hasKeys = false }: ClipPlayerProps) {
  const t = useText();
  const { data: entry, error } = useEntry(entryId);
  const [idx, setIdx] = useState(0);
  if (error) return <Box state="missed">{explain(error, t)}</Box>;
  if (!entry) return <Box state="pending">{t('app.loading')}</Box>;
  const clips = entry.clips.length > 0 ? entry.clips : [entry.clip];
  const clip = clips[idx] ?? entry.clip;
  return (
    <div className="sg-clip-whole">
      {clips.length > 1 && (
        <Segmented
          size="small"
          value={idx}
          onChange={setIdx}
          options={clips.map((clip, value) => ({ value, label: clip.camera ?? t('app.unknown') }))}
        />
      )}
      {clip.state === 'pending' && <Pending clip={clip} />}
      {clip.state === 'missed' && <Box state="missed">{t('duty.clip.missed', { why: missedWhy(clip.reason, t) })}</Box>}
      {(clip.state === 'whole' || clip.state === 'partial') && (
        <Film key={clip.camera} entry={entry} clip={clip} grounds={grounds} hasKeys={hasKeys} />
      )}
    </div>
  );
}

function missedWhy(reason: string | null, t: Text): string {
  const key = `duty.clip.why.${reason ?? ''}`;
  return isKey(key) ? t(key) : (reason ?? t('app.unknown'));
}

function Box({ state, children }: { state: 'pending' | 'missed'; children: React.ReactNode }) {
  return (
    <div className="sg-clip" data-clip={state}>
      <div className="sg-clip-box" role="status">{children}</div>
    </div>
  );
}

function Pending({ clip }: { clip: Clip }) {
  const t = useText();
  const now = useServerNow(500);
  const [from, to] = [Date.parse(clip.from), Date.parse(clip.to)];
  const left = Math.max(0, to - now);
  const percent = Math.min(100, Math.max(0, ((now - from) / (to - from)) * 100));
  return (
    <Box state="pending">
      <Progress type="circle" size={64} percent={percent} format={() => (left > 0 ? Math.ceil(left / 1_000) : '…')} />
      <span>{left > 0 ? t('duty.clip.recording', { s: Math.ceil(left / 1_000) }) : t('duty.clip.settling')}</span>
    </Box>
  );
}

interface FilmProps {
  entry: Entry;
  clip: Clip;
  grounds: Grounds;
  hasKeys: boolean;
}

function Film({ entry, clip, grounds, hasKeys }: FilmProps) {
  const t = useText();
  const times = useTimes();
  const { message } = App.useApp();
  const video = useRef<HTMLVideoElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const [lengthS, setLength] = useState((Date.parse(clip.to) - Date.parse(clip.from)) / 1_000);
  const [state, setState] = useState<'loading' | 'playing' | 'paused' | 'ended' | 'failed'>('loading');
  const [rate, setRate] = useState(1);
  const [failed, setFailed] = useState('');

  const query = { ...groundsQuery(grounds), camera: clip.camera };
  const path = `/entries/${entry.id}/clip.mp4`;
  const swipeS = Math.min(lengthS, Math.max(0, (Date.parse(entry.at) - Date.parse(clip.from)) / 1_000));

  useFrames(video, state === 'playing', setAt);
  useEffect(() => {
    if (video.current) video.current.playbackRate = rate;
  }, [rate]);

  const toggle = () => {
    const { current } = video;
    if (!current) return;
    if (current.paused || current.ended) void current.play().catch(() => undefined);
    else current.pause();
  };
  const seek = (toS: number) => {
    if (!video.current) return;
    video.current.currentTime = Math.min(lengthS, Math.max(0, toS));
    setAt(video.current.currentTime);
  };
  const step = (byS: number) => seek((video.current?.currentTime ?? 0) + byS);
  useKeys(
    'duty.clip.keys',
    hasKeys
      ? [
          { key: ' ', label: 'duty.clip.key.play', act: toggle },
          { key: 's', label: 'duty.clip.to-swipe', act: () => seek(swipeS) },
          { key: 'ArrowLeft', label: 'duty.clip.key.back', act: () => step(-STEP_S) },
          { key: 'ArrowRight', label: 'duty.clip.key.forward', act: () => step(STEP_S) },
          { key: ',', label: 'duty.clip.key.frame-back', act: () => step(-FRAME_S) },
          { key: '.', label: 'duty.clip.key.frame-forward', act: () => step(FRAME_S) },
        ]
      : [],
  );
  const onError = () => {
    setState('failed');
    // The element does not say why; asking for one byte does.
    requestRaw('GET', path, { query, headers: { Range: 'bytes=0-0', Accept: '*/*' } }).then(
      () => setFailed(video.current?.error?.message ?? ''),
      (error: unknown) => setFailed(explain(error, t)),
    );
  };
  const save = () => {
    download(path, query, 'clip.mp4').catch((error: unknown) => {
      if (error instanceof ApiProblem) message.error(explain(error, t));
    });
  };
  const relative = at - swipeS;
  const spoken = t(relative < 0 ? 'duty.clip.before' : 'duty.clip.after', { s: Math.abs(relative).toFixed(1) });
  return (
    <div className="sg-clip" ref={box} data-clip={state} data-entry={entry.id}>
      <div className="sg-clip-picture">
        <video
          ref={video}
          src={address(path, query)}
          muted
          playsInline
          autoPlay
          preload="auto"
          onClick={toggle}
          onLoadedMetadata={(event) => {
            if (Number.isFinite(event.currentTarget.duration)) setLength(event.currentTarget.duration);
            // Nothing is to be seen in a gap at the beginning.
            const gap = clip.gaps.find((gap) => gap.from === clip.from);
            if (gap) event.currentTarget.currentTime = (Date.parse(gap.to) - Date.parse(clip.from)) / 1_000;
          }}
          onPlaying={() => setState('playing')}
          onPause={() => setState((was) => (was === 'ended' ? was : 'paused'))}
          onEnded={() => {
            setState('ended');
            setAt(lengthS);
          }}
          onSeeked={(event) => setAt(event.currentTarget.currentTime)}
          onError={onError}
        />
        {state === 'failed' && <div className="sg-clip-failed" role="alert">{t('duty.clip.failed', { why: failed })}</div>}
        <span className="sg-clip-when">{times.moment(Date.parse(clip.from) + at * 1_000)}</span>
      </div>
      <div className="sg-clip-bar">
        <ClipTrack clip={clip} at={at} lengthS={lengthS} swipeS={swipeS} spoken={spoken} onSeek={seek} />
        <div className="sg-clip-keys">
          <Button
            size="small"
            type="text"
            aria-label={t('duty.clip.key.play')}
            icon={state === 'playing' ? <PauseOutlined /> : state === 'ended' ? <RedoOutlined /> : <CaretRightOutlined />}
            onClick={toggle}
          />
          <Button size="small" type="text" icon={<StepBackwardOutlined aria-hidden />} onClick={() => seek(swipeS)}>
            {t('duty.clip.to-swipe')}
          </Button>
          <span className="sg-clip-at">{spoken}</span>
          {clip.state === 'partial' && (
            <Tooltip title={clip.gaps.map((gap) => `${times.clock(gap.from)}–${times.clock(gap.to)} ${missedWhy(gap.reason, t)}`).join('\n')}>
              <span className="sg-clip-partial" tabIndex={0}>{t('duty.clip.partial')}</span>
            </Tooltip>
          )}
          <span className="sg-gap" />
          <Segmented size="small" aria-label={t('duty.clip.rate')} value={rate} onChange={setRate} options={RATES.map((n) => ({ value: n, label: `${n}×` }))} />
          <Button size="small" type="text" icon={<DownloadOutlined aria-hidden />} aria-label={t('duty.clip.save')} onClick={save} />
          <Button
            size="small"
            type="text"
            icon={<FullscreenOutlined aria-hidden />}
            aria-label={t('duty.clip.full')}
            onClick={() => void (document.fullscreenElement ? document.exitFullscreen() : box.current?.requestFullscreen())}
          />
        </div>
      </div>
    </div>
  );
}

/** Tells where the film is, at each picture of the screen while it plays. */
function useFrames(video: React.RefObject<HTMLVideoElement | null>, isPlaying: boolean, tell: (at: number) => void): void {
  useEffect(() => {
    if (!isPlaying) return undefined;
    let handle = 0;
    const look = () => {
      if (video.current) tell(video.current.currentTime);
      handle = window.requestAnimationFrame(look);
    };
    handle = window.requestAnimationFrame(look);
    return () => window.cancelAnimationFrame(handle);
  }, [video, isPlaying, tell]);
}

interface TrackProps {
  clip: Clip;
  at: number;
  lengthS: number;
  swipeS: number;
  spoken: string;
  onSeek: (toS: number) => void;
}

function ClipTrack({ clip, at, lengthS, swipeS, spoken, onSeek }: TrackProps) {
  const t = useText();
  const from = Date.parse(clip.from);
  const share = (s: number) => `${(Math.min(lengthS, Math.max(0, s)) / lengthS) * 100}%`;
  return (
    <div className="sg-track">
      <div className="sg-track-line">
        <i className="sg-track-done" style={{ width: share(at) }} />
        {clip.gaps.map((gap) => {
          const [begin, end] = [(Date.parse(gap.from) - from) / 1_000, (Date.parse(gap.to) - from) / 1_000];
          return <i key={gap.from} className="sg-track-gap" style={{ left: share(begin), width: share(end - begin) }} />;
        })}
      </div>
      <span className="sg-track-swipe" style={{ left: share(swipeS) }}>
        <b>{t('duty.clip.swipe')}</b>
      </span>
      <input
        type="range"
        min={0}
        max={lengthS}
        step={0.04}
        value={at}
        aria-label={t('duty.clip.position')}
        aria-valuetext={spoken}
        onChange={(event) => onSeek(Number(event.target.value))}
      />
    </div>
  );
}
