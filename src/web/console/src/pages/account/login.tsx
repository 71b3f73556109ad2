// The log-in page.
import { LockOutlined, UserOutlined } from '@ant-design/icons';
import { Alert, Button, Form, Input } from 'antd';
import { useState } from 'react';
import { ApiProblem } from '../../api/client';
import { explain } from '../../api/explain';
import { useText } from '../../i18n';
import { useSession } from '../../session';
import { Card } from './card';

interface Fields {
  name: string;
  password: string;
}

/** How long to wait when the gateway does not say. */
const WAIT_USUAL_S = 30;

export function LoginPage({ why }: { why: 'not-yet' | 'ended' | 'setup-needed' }) {
  const t = useText();
  const { login } = useSession();
  const [said, setSaid] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const enter = async ({ name, password }: Fields) => {
    setBusy(true);
    setSaid(null);
    try {
      await login(name.trim(), password);
    } catch (error) {
      setBusy(false);
      const code = error instanceof ApiProblem ? error.code : '';
      if (code === 'wrong-login') setSaid(t('login.wrong'));
      else if (error instanceof ApiProblem && error.status === 429) {
        setSaid(t('login.too-many', { seconds: error.retryAfterS ?? WAIT_USUAL_S }));
      } else setSaid(explain(error, t));
    }
  };
  return (
    <Card title={t('login.title')}>
      {why === 'setup-needed' && <Alert type="info" title={t('login.setup-needed')} />}
      {why === 'ended' && said === null && <Alert type="info" title={t('login.ended')} />}
      {said !== null && <Alert type="error" role="alert" title={said} />}
      <Form<Fields> layout="vertical" requiredMark={false} onFinish={(fields) => void enter(fields)}>
        <Form.Item name="name" label={t('login.name')} rules={[{ required: true, message: t('login.name') }]}>
          <Input prefix={<UserOutlined />} size="large" autoComplete="username" autoFocus maxLength={64} />
        </Form.Item>
        <Form.Item name="password" label={t('login.password')} rules={[{ required: true, message: t('login.password') }]}>
          <Input.Password prefix={<LockOutlined />} size="large" autoComplete="current-password" maxLength={1024} />
        </Form.Item>
        <Button type="primary" htmlType="submit" size="large" block loading={isBusy}>
          {t('login.submit')}
        </Button>
      </Form>
      <p className="sg-card-note">{t('login.note')}</p>
    </Card>
  );
}
