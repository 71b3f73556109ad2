// The search for entries: by door, building, dwelling, decision and time; by person with a reason. Clips beside the list.
import { PlayCircleOutlined, SearchOutlined } from '@ant-design/icons';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Button, Empty, Result, Skeleton, Switch, Tag } from 'antd';
import { useState } from 'react';
import { address, request, type Page } from '../../../api/client';
import { explain } from '../../../api/explain';
import type { Entry } from '../../../api/types';
import { useKeys } from '../../../frame/keys';
import { useTimes } from '../../../frame/time';
import { useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { Decision } from '../case/case-panel';
import { ClipPlayer } from '../clip/clip-player';
import { ReasonProvider, useReason } from '../grounds';
import { useSite } from '../places';
import { SearchForm } from './search-form';
import { asked, NOTHING, type Search } from './search';
import '../../../style/entries.css';

const PAGE_ROWS = 50;
/** How often a list is asked for again in which a clip is still being recorded. */
const PENDING_LOOK_MS = 5_000;

export default function EntriesPage() {
  return (
    <ReasonProvider>
      <Entries />
    </ReasonProvider>
  );
}

function Entries() {
  const t = useText();
  const me = useMe();
  const { reason, need, forget } = useReason();
  const [search, setSearch] = useState<Search>(NOTHING);
  const [playing, setPlaying] = useState<string | null>(null);
  const [showsPictures, setShowsPictures] = useState(false);
  const found = useInfiniteQuery({
    queryKey: ['entries', search, search.holder === null ? null : reason],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      request<Page<Entry>>('GET', '/entries', {
        query: { ...asked(search), reason: search.holder === null ? null : reason, cursor: pageParam, limit: PAGE_ROWS },
      }),
    getNextPageParam: (page) => page.next_cursor,
    refetchInterval: ({ state }) =>
      state.data?.pages.some((page) => page.items.some((entry) => entry.clip?.state === 'pending')) ? PENDING_LOOK_MS : false,
  });
  const rows = found.data?.pages.flatMap((page) => page.items) ?? [];
  const seesClips = may(me, 'see-clips');

  const look = async (next: Search) => {
    if (next.holder !== null && (await need()) === null) return;
    setPlaying(null);
    setSearch(next);
    // The same question is asked again: there may be more by now.
    if (JSON.stringify(next) === JSON.stringify(search)) void found.refetch();
  };
  const play = async (id: string) => {
    if ((await need()) !== null) setPlaying(id);
  };
  const forgetAll = () => {
    forget();
    setPlaying(null);
    setShowsPictures(false);
    setSearch({ ...search, holder: null });
  };
  const move = (by: number) => {
    const at = rows.findIndex((row) => row.id === playing);
    const next = rows[at < 0 ? 0 : at + by];
    if (next && seesClips) void play(next.id);
  };
  useKeys('duty.nav.entries', [
    { key: 'j', label: 'duty.entries.key.next', act: () => move(1) },
    { key: 'k', label: 'duty.entries.key.previous', act: () => move(-1) },
    { key: '/', label: 'duty.entries.key.search', act: () => document.getElementById('sg-search-first')?.focus() },
  ]);
  return (
    <div className="sg-page sg-entries">
      <header className="sg-page-head">
        <h2>{t('duty.nav.entries')}</h2>
        {reason !== null && (
          <Tag closable={{ 'aria-label': t('duty.reason.forget') }} onClose={forgetAll}>
            {t('duty.reason.is', { reason })}
          </Tag>
        )}
        <span className="sg-gap" />
        {seesClips && (
          <label className="sg-switch">
            <Switch
              size="small"
              checked={showsPictures}
              onChange={(on) => void (on ? need().then((said) => setShowsPictures(said !== null)) : setShowsPictures(false))}
            />
            {t('duty.entries.pictures')}
          </label>
        )}
      </header>
      <SearchForm search={search} onSearch={(next) => void look(next)} />
      <div className="sg-entries-body" data-playing={playing !== null}>
        <div className="sg-entries-list">
          {found.isLoading && <Skeleton active />}
          {found.error && <Result status="warning" title={explain(found.error, t)} />}
          {found.data && rows.length === 0 && <Empty description={t('duty.entries.none')} />}
          {rows.length > 0 && (
            <Rows
              rows={rows}
              playing={playing}
              onPlay={seesClips ? (id) => void play(id) : null}
              pictureReason={showsPictures ? reason : null}
            />
          )}
          {found.hasNextPage && (
            <Button block icon={<SearchOutlined aria-hidden />} loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
              {t('app.more')}
            </Button>
          )}
        </div>
        {playing !== null && reason !== null && (
          <aside className="sg-entries-clip" aria-label={t('duty.case.clip')}>
            <ClipPlayer key={playing} entryId={playing} grounds={{ reason }} hasKeys />
            <EntryAlerts entry={rows.find((row) => row.id === playing)} />
          </aside>
        )}
      </div>
    </div>
  );
}

function EntryAlerts({ entry }: { entry: Entry | undefined }) {
  const t = useText();
  if (!entry || entry.alerts.length === 0) return null;
  return (
    <p>
      {t('duty.entries.alerts')}{' '}
      {entry.alerts.map((id) => <a key={id} href={`#/alerts/${id}`}>{t('duty.case.page')}</a>)}
    </p>
  );
}

function Rows({ rows, playing, onPlay, pictureReason }: {
  rows: Entry[];
  playing: string | null;
  onPlay: ((id: string) => void) | null;
  pictureReason: string | null;
}) {
  const t = useText();
  const times = useTimes();
  const site = useSite();
  return (
    <table className="sg-table">
      <thead>
        <tr>
          {pictureReason !== null && <th scope="col">{t('duty.entries.picture')}</th>}
          <th scope="col">{t('duty.fact.at')}</th>
          <th scope="col">{t('duty.fact.place')}</th>
          <th scope="col">{t('duty.fact.door')}</th>
          <th scope="col">{t('duty.fact.decision')}</th>
          <th scope="col">{t('duty.fact.dwelling')}</th>
          <th scope="col">{t('duty.fact.card')}</th>
          <th scope="col">{t('duty.fact.clip')}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((entry) => (
          <tr key={entry.id} data-entry={entry.id} data-playing={entry.id === playing}>
            {pictureReason !== null && <td><Thumbnail entry={entry} reason={pictureReason} /></td>}
            <td><time dateTime={entry.at}>{times.moment(entry.at)}</time></td>
            <td>{site.name(entry.place)}</td>
            <td>{entry.door} <span className="sg-dim">{t(`duty.direction.${entry.direction}`)}</span></td>
            <td>
              <Decision outcome={entry.decision.outcome} reason={entry.decision.reason} />
              {entry.decision.duress && <Tag color="error">{t('duty.kind.duress')}</Tag>}
            </td>
            <td>{entry.dwelling ?? ''}</td>
            <td>{entry.card_ref ?? ''}</td>
            <td>
              {onPlay && entry.clip.state !== 'missed' ? (
                <Button
                  size="small"
                  type={entry.id === playing ? 'primary' : 'text'}
                  icon={<PlayCircleOutlined aria-hidden />}
                  aria-label={t('duty.entries.play', { door: entry.door })}
                  onClick={() => onPlay(entry.id)}
                >
                  {t(`duty.clip.state.${entry.clip.state}`)}
                </Button>
              ) : (
                <span className="sg-dim">{t(`duty.clip.state.${entry.clip.state}`)}</span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Thumbnail({ entry, reason }: { entry: Entry; reason: string }) {
  const t = useText();
  const isThere = entry.clip.state === 'whole' || entry.clip.state === 'partial';
  if (!isThere) return <span className="sg-thumb sg-dim">{t(`duty.clip.state.${entry.clip.state}`)}</span>;
  return (
    <img
      className="sg-thumb"
      src={address(`/entries/${entry.id}/thumbnail.jpg`, { reason })}
      alt={t('duty.entries.picture-of', { door: entry.door })}
      loading="lazy"
    />
  );
}
