// The wall: live tiles that roll through all stairwells, with the hand of whoever watches on it.
import {
  BorderOutlined, FullscreenOutlined, LeftOutlined, PauseOutlined, CaretRightOutlined, RightOutlined, ShrinkOutlined,
  QuestionCircleOutlined,
} from '@ant-design/icons';
import { Button, Empty, Result, Segmented, Select, Switch, Tag, Tooltip } from 'antd';
import { useMemo, useRef } from 'react';
import { explain } from '../../../api/explain';
import { Loading } from '../../../frame/loading';
import { useKeys, useKeysHelp } from '../../../frame/keys';
import { useText } from '../../../i18n';
import { useLinkState } from '../live/use-live';
import { COMPOUND, useSite, type SiteView } from '../places';
import { Tile } from './tile';
import { COUNTS, DWELLS_S, useWall, type Count, type Wall as WallState } from './use-wall';
import '../../../style/wall.css';

/** `isCompact`: beside the alerts, without its own settings. */
export function Wall({ isCompact = false }: { isCompact?: boolean }) {
  const t = useText();
  const site = useSite();
  const wall = useWall(site);
  const ground = useRef<HTMLDivElement>(null);
  const link = useLinkState();
  useWallKeys(wall, ground);

  if (site.isLoading) return <Loading />;
  if (site.error && site.cameras.length === 0) return <Result status="warning" title={explain(site.error, t)} />;
  const slots = wall.enlarged === null ? wall.slots : [{ camera: wall.enlarged, isPinned: false, cause: null }];
  const columns = Math.ceil(Math.sqrt(Math.max(1, slots.length)));
  const rows = Math.ceil(slots.length / columns) || 1;
  return (
    <section className="sg-wall" ref={ground} aria-label={t('duty.nav.wall')} data-compact={isCompact}>
      <WallBar wall={wall} site={site} ground={ground} isCompact={isCompact} />
      {link === 'lost' && <div className="sg-wall-lost" role="alert">{t('duty.wall.lost')}</div>}
      {link === 'forbidden' && <div className="sg-wall-lost" role="alert">{t('duty.wall.forbidden')}</div>}
      {slots.length === 0 ? (
        <Empty className="sg-wall-empty" description={t('duty.wall.empty')} />
      ) : (
        <div
          className="sg-tiles"
          style={{ gridTemplate: `repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))` }}
        >
          {slots.map((slot) => (
            <Tile
              key={slot.camera}
              camera={slot.camera}
              place={site.name(site.placeOf(slot.camera))}
              cause={slot.cause}
              forCase={slot.cause?.alert ?? undefined}
              isPinned={slot.isPinned}
              isBig={slots.length === 1}
              onPin={() => wall.pin(slot.camera)}
              onEnlarge={() => wall.enlarge(wall.enlarged === null ? slot.camera : null)}
            />
          ))}
        </div>
      )}
    </section>
  );
}

function WallBar({ wall, site, ground, isCompact }: {
  wall: WallState;
  site: SiteView;
  ground: React.RefObject<HTMLDivElement | null>;
  isCompact: boolean;
}) {
  const t = useText();
  const help = useKeysHelp();
  const { settings, change } = wall;
  const buildings = useMemo(() => {
    const seen = new Set(site.cameras.map((camera) => site.building(camera.place)));
    const known = [...new Set(site.places.map((place) => place.building))].filter((building) => seen.has(building));
    return seen.has(COMPOUND) ? [COMPOUND, ...known] : known;
  }, [site]);
  return (
    <div className="sg-wall-bar">
      <Segmented<Count>
        size="small"
        aria-label={t('duty.wall.count')}
        value={settings.n}
        onChange={(n) => change({ n })}
        options={COUNTS.map((n) => ({ value: n, label: n }))}
      />
      <Select<string>
        size="small"
        className="sg-wall-building"
        aria-label={t('duty.wall.building')}
        value={settings.building ?? ''}
        onChange={(building) => change({ building: building === '' ? null : building })}
        options={[
          { value: '', label: t('duty.wall.all') },
          ...buildings.map((building) => ({
            value: building,
            label: building === COMPOUND ? t('duty.place.compound') : t('duty.place.building', { building }),
          })),
        ]}
      />
      <Button size="small" type="text" icon={<LeftOutlined aria-hidden />} aria-label={t('duty.wall.previous')} onClick={() => wall.turn(-1)} />
      <span className="sg-wall-page">{wall.page + 1} / {wall.nPages}</span>
      <Button size="small" type="text" icon={<RightOutlined aria-hidden />} aria-label={t('duty.wall.next')} onClick={() => wall.turn(1)} />
      <Button
        size="small"
        type={wall.isPaused ? 'primary' : 'text'}
        icon={wall.isPaused ? <CaretRightOutlined /> : <PauseOutlined />}
        aria-pressed={wall.isPaused}
        onClick={() => wall.setPaused(!wall.isPaused)}
      >
        {wall.isPaused ? t('duty.wall.resume') : t('duty.wall.pause')}
      </Button>
      {!isCompact && (
        <>
          <Select<number>
            size="small"
            aria-label={t('duty.wall.dwell')}
            value={settings.dwellS}
            onChange={(dwellS) => change({ dwellS })}
            options={DWELLS_S.map((s) => ({ value: s, label: t('duty.wall.dwell-s', { s }) }))}
          />
          <label className="sg-switch">
            <Switch size="small" checked={settings.followsAlerts} onChange={(followsAlerts) => change({ followsAlerts })} />
            {t('duty.wall.follow-alerts')}
          </label>
          <label className="sg-switch">
            <Switch size="small" checked={settings.followsEntries} onChange={(followsEntries) => change({ followsEntries })} />
            {t('duty.wall.follow-entries')}
          </label>
        </>
      )}
      {settings.pinned.length > 0 && (
        <Tag closable={{ 'aria-label': t('duty.wall.unpin-all') }} onClose={() => change({ pinned: [] })}>
          {t('duty.wall.pinned', { n: settings.pinned.length })}
        </Tag>
      )}
      {wall.enlarged !== null && (
        <Button size="small" icon={<ShrinkOutlined aria-hidden />} onClick={() => wall.enlarge(null)}>{t('duty.wall.shrink')}</Button>
      )}
      <span className="sg-gap" />
      {isCompact && (
        <Tooltip title={t('duty.wall.second')}>
          <Button size="small" type="text" href="#/wall" target="_blank" rel="noopener" icon={<BorderOutlined aria-hidden />} aria-label={t('duty.wall.second')} />
        </Tooltip>
      )}
      <Button size="small" type="text" icon={<QuestionCircleOutlined aria-hidden />} aria-label={t('keys.title')} onClick={help} />
      <Button size="small" type="text" icon={<FullscreenOutlined aria-hidden />} aria-label={t('duty.wall.full')} onClick={() => fill(ground.current)} />
    </div>
  );
}

function fill(ground: HTMLElement | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void ground?.requestFullscreen();
}

/** The camera whose tile has the focus; the first otherwise. */
function focused(ground: HTMLElement | null): string | null {
  const tile = document.activeElement?.closest<HTMLElement>('.sg-tile') ?? ground?.querySelector<HTMLElement>('.sg-tile');
  return tile?.dataset.camera ?? null;
}

function useWallKeys(wall: WallState, ground: React.RefObject<HTMLDivElement | null>): void {
  const count = (n: Count) => () => wall.change({ n });
  useKeys('duty.nav.wall', [
    { key: ' ', label: 'duty.wall.key.pause', act: () => wall.setPaused(!wall.isPaused) },
    { key: 'ArrowRight', label: 'duty.wall.next', act: () => wall.turn(1) },
    { key: 'ArrowLeft', label: 'duty.wall.previous', act: () => wall.turn(-1) },
    { key: '1', label: 'duty.wall.key.1', act: count(1) },
    { key: '2', label: 'duty.wall.key.4', act: count(4) },
    { key: '3', label: 'duty.wall.key.9', act: count(9) },
    { key: '4', label: 'duty.wall.key.16', act: count(16) },
    {
      key: 'p',
      label: 'duty.wall.key.pin',
      act: () => {
        const camera = focused(ground.current);
        if (camera !== null) wall.pin(camera);
      },
    },
    {
      key: 'Enter',
      label: 'duty.wall.key.enlarge',
      act: () => wall.enlarge(wall.enlarged === null ? focused(ground.current) : null),
    },
    { key: 'Escape', label: 'duty.wall.shrink', act: () => wall.enlarge(null) },
    { key: 'f', label: 'duty.wall.full', act: () => fill(ground.current) },
  ]);
}
