// In the top bar of every page: how many alerts wait, whether the feed is live, whether there is sound.
import { NotificationOutlined, SoundOutlined } from '@ant-design/icons';
import { Button, Tag, Tooltip } from 'antd';
import { useSyncExternalStore } from 'react';
import { useNavigate } from 'react-router';
import { useText } from '../../../i18n';
import { isOpen } from './alert-feed';
import { useDuty, useFeed } from './feed';

export function FeedLights() {
  const t = useText();
  const { link, alerts } = useFeed();
  const navigate = useNavigate();
  const open = [...alerts.values()].filter(isOpen);
  const waiting = open.filter((alert) => alert.case?.state === 'raised').length;
  const words = t('duty.lights.count', { waiting, open: open.length });
  return (
    <div className="sg-lights" role="status" aria-live="polite">
      {link.is === 'lost' && <Tag color="error" variant="solid">{t('duty.lights.lost')}</Tag>}
      {link.is === 'opening' && <Tag>{t('duty.lights.opening')}</Tag>}
      <Button type="text" className="sg-count" data-waiting={waiting > 0} icon={<NotificationOutlined aria-hidden />} onClick={() => void navigate('/duty')}>
        {words}
      </Button>
      <SoundButton />
    </div>
  );
}

export function SoundButton() {
  const t = useText();
  const { chime } = useDuty();
  const state = useSyncExternalStore(chime.subscribe, chime.snapshot);
  return (
    <Tooltip title={t(`duty.sound.${state}.hint`)}>
      <Button
        type="text"
        className="sg-sound"
        data-state={state}
        icon={<SoundOutlined aria-hidden />}
        aria-pressed={state === 'on'}
        onClick={() => {
          if (state === 'blocked') void chime.unblock();
          else chime.mute(state === 'on');
        }}
      >
        {t(`duty.sound.${state}`)}
      </Button>
    </Tooltip>
  );
}
