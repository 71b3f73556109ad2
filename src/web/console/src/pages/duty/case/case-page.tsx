// The page of one case: the panel, the trail, and where the alert was sent.
import { ArrowLeftOutlined } from '@ant-design/icons';
import { Button, Tag } from 'antd';
import { useParams } from 'react-router';
import { useTimes } from '../../../frame/time';
import { useText } from '../../../i18n';
import { may, useMe } from '../../../session';
import { CasePanel } from './case-panel';
import { Trail } from './trail';
import { useAlert, type Delivery } from './use-alert';

export default function CasePage() {
  const t = useText();
  const me = useMe();
  const { id = '' } = useParams();
  const { data: alert } = useAlert(id);
  return (
    <div className="sg-case-page">
      <CasePanel id={id} link={<Button type="link" icon={<ArrowLeftOutlined aria-hidden />} href="#/duty">{t('duty.case.to-desk')}</Button>} />
      {alert && may(me, 'see-entries') && <Trail alert={alert} />}
      {alert?.deliveries && alert.deliveries.length > 0 && <Deliveries of={alert.deliveries} />}
    </div>
  );
}

function Deliveries({ of }: { of: Delivery[] }) {
  const t = useText();
  const times = useTimes();
  const colour = { waiting: 'processing', delivered: 'success', dead: 'error' } as const;
  return (
    <section className="sg-trail" aria-label={t('duty.deliveries.title')}>
      <header><h3>{t('duty.deliveries.title')}</h3></header>
      <ul className="sg-deliveries">
        {of.map((delivery) => (
          <li key={delivery.id}>
            <span>{delivery.linkage}</span>
            <Tag color={colour[delivery.state]}>{t(`duty.deliveries.${delivery.state}`)}</Tag>
            <span className="sg-dim">{t('duty.deliveries.revision', { sent: delivery.delivered_revision, newest: delivery.revision })}</span>
            {delivery.delivered_at && <time dateTime={delivery.delivered_at}>{times.moment(delivery.delivered_at)}</time>}
            {delivery.last_error && <span className="sg-dim">{delivery.last_error}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
