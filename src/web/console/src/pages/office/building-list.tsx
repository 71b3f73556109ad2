// The buildings with what stands out in each, to choose from.

import { useText } from '../../i18n';
import { NO_BUILDING, type Sum, total } from './lists';

export function BuildingList({
  sums,
  chosen,
  choose,
}: {
  sums: Sum[];
  chosen: string | null;
  choose: (building: string | null) => void;
}) {
  const t = useText();
  const all = total(sums);
  return (
    <nav className="building-list" aria-label={t('office.buildings')}>
      <Item
        name={t('office.building.all')}
        sum={all}
        isChosen={chosen === null}
        onChoose={() => choose(null)}
      />
      {sums.map((sum) => (
        <Item
          key={sum.building}
          name={
            sum.building === NO_BUILDING
              ? t('office.building.none')
              : t('office.building', { building: sum.building })
          }
          sum={sum}
          isChosen={chosen === sum.building}
          onChoose={() => choose(sum.building)}
        />
      ))}
    </nav>
  );
}

function Item({
  name,
  sum,
  isChosen,
  onChoose,
}: {
  name: string;
  sum: Sum;
  isChosen: boolean;
  onChoose: () => void;
}) {
  const t = useText();
  return (
    <button
      type="button"
      className={isChosen ? 'building chosen' : 'building'}
      aria-current={isChosen ? 'true' : undefined}
      onClick={onChoose}
    >
      <span className="building-name" dir="auto">
        {name}
      </span>
      {sum.over > 0 && <span className="building-over">{t('office.building.over', { n: sum.over })}</span>}
      <span className="building-figures">
        {t('office.building.figures', {
          dwellings: sum.dwellings,
          holders: sum.holders,
          free: sum.free,
        })}
      </span>
    </button>
  );
}
