// The duty desk: open alerts, most severe first.
import { Empty } from 'antd';
import { useLanguage, useText } from '../../i18n';
import { useTimes } from '../../frame/time';
import { isOpen } from './feed/alert-feed';
import { useFeed } from './feed/feed';

export default function Desk() {
  const t = useText();
  const language = useLanguage();
  const times = useTimes();
  const { alerts } = useFeed();
  const open = [...alerts.values()].filter(isOpen).sort((a, b) => a.severity - b.severity || (a.raised_at < b.raised_at ? 1 : -1));
  if (open.length === 0) return <Empty description={t('duty.desk.quiet')} />;
  return (
    <ul>
      {open.map((alert) => (
        <li key={alert.id}>
          {times.moment(alert.raised_at)} {language === 'zh' ? alert.title_zh : alert.title_en} {alert.place}
        </li>
      ))}
    </ul>
  );
}
