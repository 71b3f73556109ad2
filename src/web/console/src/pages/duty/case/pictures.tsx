// Pictures of a case, before and after.
import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Image, Space } from 'antd';
import { useRef, useState } from 'react';
import { request } from '../../../api/client';
import { explain } from '../../../api/explain';
import type { CasePicture } from '../../../api/types';
import { useTimes } from '../../../frame/time';
import { useText } from '../../../i18n';

/** The gateway takes no larger ones. */
const PICTURE_BYTES_MAX = 4 << 20;

export function Pictures({ alertId, pictures, mayAdd, onAdded }: {
  alertId: string;
  pictures: CasePicture[];
  mayAdd: boolean;
  onAdded: () => void;
}) {
  const t = useText();
  const times = useTimes();
  if (pictures.length === 0 && !mayAdd) return null;
  return (
    <section className="sg-pictures" aria-label={t('duty.pictures.title')}>
      <h3>{t('duty.pictures.title')}</h3>
      <Image.PreviewGroup>
        <Space wrap size={8}>
          {pictures.map((picture) => (
            <figure key={picture.sha256}>
              <Image src={picture.url} alt={t(`duty.pictures.${picture.when}`)} width={112} height={84} />
              <figcaption>{t(`duty.pictures.${picture.when}`)} · {times.clock(picture.added_at)}</figcaption>
            </figure>
          ))}
        </Space>
      </Image.PreviewGroup>
      {mayAdd && (
        <Space size={8}>
          <Add alertId={alertId} when="before" onAdded={onAdded} />
          <Add alertId={alertId} when="after" onAdded={onAdded} />
        </Space>
      )}
    </section>
  );
}

function Add({ alertId, when, onAdded }: { alertId: string; when: 'before' | 'after'; onAdded: () => void }) {
  const t = useText();
  const { message } = App.useApp();
  const input = useRef<HTMLInputElement>(null);
  const [isBusy, setBusy] = useState(false);
  const send = async (file: File) => {
    if (file.size > PICTURE_BYTES_MAX) {
      message.error(t('duty.pictures.too-large'));
      return;
    }
    setBusy(true);
    try {
      await request('POST', `/alerts/${alertId}/pictures`, { query: { when }, body: file });
      onAdded();
    } catch (error) {
      message.error(explain(error, t));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button size="small" icon={<PlusOutlined aria-hidden />} loading={isBusy} onClick={() => input.current?.click()}>
        {t(`duty.pictures.add.${when}`)}
      </Button>
      <input
        ref={input}
        type="file"
        accept="image/jpeg,image/png"
        hidden
        aria-label={t(`duty.pictures.add.${when}`)}
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = '';
          if (file) void send(file);
        }}
      />
    </>
  );
}
