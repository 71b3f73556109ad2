// A first and a last day, either of which may be open. Two fields, so that each has a name of its own.

import { DatePicker } from 'antd';
import type { Dayjs } from 'dayjs';
import { useText } from '../../i18n';

export type Days = [Dayjs | null, Dayjs | null];

export function DayRange({
  id,
  value,
  onChange,
  disabled,
}: {
  id?: string;
  value?: Days | null;
  onChange?: (days: Days | null) => void;
  disabled?: boolean;
}) {
  const t = useText();
  const [first, last] = value ?? [null, null];
  const change = (days: Days) => onChange?.(days[0] || days[1] ? days : null);
  return (
    <div className="day-range">
      <DatePicker
        id={id}
        aria-label={t('common.first-day')}
        placeholder={t('common.first-day')}
        value={first}
        maxDate={last ?? undefined}
        disabled={disabled}
        onChange={(day) => change([day, last])}
      />
      <span aria-hidden>–</span>
      <DatePicker
        aria-label={t('common.last-day')}
        placeholder={t('common.last-day')}
        value={last}
        minDate={first ?? undefined}
        disabled={disabled}
        onChange={(day) => change([first, day])}
      />
    </div>
  );
}
