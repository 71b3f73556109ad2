// Where a one-time link leads: the first account at the first start, an invited one later.
import { Alert, Button, Form, Input } from 'antd';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { explain } from '../../api/explain';
import { NewPassword } from '../../frame/password-dialog';
import { useText } from '../../i18n';
import { useSession } from '../../session';
import { Card } from './card';

interface Fields {
  name?: string;
  password: string;
  again: string;
}

export function SetupPage() {
  const t = useText();
  const { token = '' } = useParams();
  const { setup } = useSession();
  const navigate = useNavigate();
  const [said, setSaid] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const save = async ({ name = '', password }: Fields) => {
    setBusy(true);
    setSaid(null);
    try {
      await setup(token, name.trim(), password);
      await navigate('/', { replace: true });
    } catch (error) {
      setBusy(false);
      setSaid(explain(error, t));
    }
  };
  return (
    <Card title={t('setup.title')}>
      <p className="sg-card-lead">{t('setup.lead')}</p>
      {said !== null && <Alert type="error" role="alert" title={said} />}
      <Form<Fields> layout="vertical" requiredMark={false} onFinish={(fields) => void save(fields)}>
        <Form.Item name="name" label={t('setup.name')} extra={t('setup.name.hint')}>
          <Input size="large" autoComplete="username" autoFocus maxLength={64} />
        </Form.Item>
        <NewPassword name="password" label={t('setup.password')} />
        <Button type="primary" htmlType="submit" size="large" block loading={isBusy}>
          {t('setup.submit')}
        </Button>
      </Form>
    </Card>
  );
}
