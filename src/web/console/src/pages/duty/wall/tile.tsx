// One live picture with its age. Stale video never looks live: words, colour and a dimmed picture say so.
import { PushpinFilled, PushpinOutlined } from '@ant-design/icons';
import { useRef, type ReactNode } from 'react';
import { useTimes } from '../../../frame/time';
import { clock } from '../../../api/clock';
import { useText, type Text } from '../../../i18n';
import { useLive, type Freshness, type LiveView } from '../live/use-live';

export interface TileProps {
  camera: string;
  /** Where it is, in words. */
  place: string;
  /** Why it is shown now; `null`: it rolls by. */
  cause?: { kind: 'alert' | 'entry'; severity: number; text: string } | null;
  /** The case it is looked at for. */
  forCase?: string | undefined;
  isPinned?: boolean;
  onPin?: (() => void) | undefined;
  onEnlarge?: (() => void) | undefined;
  /** The main stream at once, for one big picture. */
  isBig?: boolean;
  children?: ReactNode;
}

const SECOND_MS = 1_000;
/** Ages below are shown with a tenth. */
const TENTHS_BELOW_MS = 10_000;

function ageText(ageMs: number, t: Text): string {
  if (ageMs < TENTHS_BELOW_MS) return t('duty.age.s', { s: (ageMs / SECOND_MS).toFixed(1) });
  const s = Math.round(ageMs / SECOND_MS);
  return s < 120 ? t('duty.age.s', { s }) : t('duty.age.min', { min: Math.floor(s / 60) });
}

function badge({ freshness, ageMs, opened }: LiveView, t: Text): string {
  if (freshness === 'opening') return t('duty.tile.opening');
  if (ageMs === null) return t('duty.tile.none');
  const age = ageText(ageMs, t);
  if (freshness === 'red') return t('duty.tile.red', { age });
  if (freshness === 'amber') return t('duty.tile.amber', { age });
  return opened?.mode === 'picture' ? t('duty.tile.still', { age }) : t('duty.tile.live', { age });
}

export function Tile(props: TileProps) {
  const { camera, place, cause, forCase, isPinned, onPin, onEnlarge, isBig } = props;
  const t = useText();
  const times = useTimes();
  const frame = useRef<HTMLDivElement>(null);
  const { view, video, image } = useLive({
    camera,
    stream: isBig ? 'main' : 'auto',
    ...(forCase === undefined ? {} : { case: forCase }),
  });
  const isPicture = view.opened?.mode === 'picture';
  const words = badge(view, t);
  const label = `${place} · ${camera}`;
  return (
    <div
      ref={frame}
      className="sg-tile"
      data-freshness={view.freshness}
      data-camera={camera}
      data-mode={view.opened?.mode ?? ''}
      data-cause={cause?.kind ?? ''}
      data-severity={cause?.severity ?? ''}
      data-age-ms={view.ageMs === null ? '' : Math.round(view.ageMs)}
      role="group"
      aria-label={`${label}. ${words}`}
      tabIndex={0}
      onDoubleClick={onEnlarge}
    >
      <video ref={video} muted playsInline disablePictureInPicture hidden={isPicture} />
      <img ref={image} alt="" hidden={!isPicture} />
      {view.freshness === 'red' && <Trouble view={view} at={times.clock} t={t} />}
      {view.freshness === 'opening' && <div className="sg-tile-opening" />}
      <div className="sg-tile-head">
        <span className="sg-tile-place" title={label}>{place}</span>
        <span className="sg-tile-camera">{camera}</span>
        {onPin && (
          <button
            type="button"
            className="sg-tile-pin"
            aria-pressed={isPinned}
            aria-label={isPinned ? t('duty.wall.unpin') : t('duty.wall.pin')}
            onClick={onPin}
          >
            {isPinned ? <PushpinFilled /> : <PushpinOutlined />}
          </button>
        )}
      </div>
      <div className="sg-tile-foot">
        <Badge freshness={view.freshness}>{words}</Badge>
        {isPicture && <span className="sg-tile-why">{t('duty.tile.h265')}</span>}
        {cause && <span className="sg-tile-cause" title={cause.text}>{cause.text}</span>}
      </div>
      {props.children}
    </div>
  );
}

export function Badge({ freshness, children }: { freshness: Freshness; children: ReactNode }) {
  return (
    <span className="sg-badge" data-freshness={freshness}>
      <i aria-hidden="true" />
      {children}
    </span>
  );
}

function Trouble({ view, at, t }: { view: LiveView; at: (ms: number) => string; t: Text }) {
  const { ageMs, closed } = view;
  return (
    <div className="sg-tile-trouble">
      <strong>{t('duty.tile.no-picture')}</strong>
      {ageMs !== null && <span>{t('duty.tile.last-at', { at: at(clock.now() - ageMs) })}</span>}
      {closed && <span>{reasonOf(closed.code, t)}</span>}
    </div>
  );
}

function reasonOf(code: string, t: Text): string {
  switch (code) {
    case 'forbidden':
      return t('duty.tile.forbidden');
    case 'unknown-camera':
      return t('duty.tile.unknown-camera');
    case 'too-many':
      return t('duty.tile.too-many');
    default:
      return t('duty.tile.offline');
  }
}
