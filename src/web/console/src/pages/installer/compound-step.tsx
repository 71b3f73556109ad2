// The compound's own facts.

import { Alert, Form, Input } from 'antd';
import { useText } from '../../i18n';
import type { Lists } from './draft';

/** As the API: longest name. */
const NAME_CHARS_MAX = 64;

export interface StepProps {
  lists: Lists;
  edit: (part: Partial<Lists>) => void;
  canEdit: boolean;
}

export function CompoundStep({ lists, edit, canEdit }: StepProps) {
  const t = useText();
  const { compound } = lists;
  return (
    <Form layout="vertical" className="narrow" disabled={!canEdit} component={false}>
      <Form.Item label={t('install.compound.name')} htmlFor="compound-name">
        <Input
          id="compound-name"
          maxLength={NAME_CHARS_MAX}
          value={compound.name}
          status={compound.name.trim() === '' ? 'error' : undefined}
          onChange={(event) => edit({ compound: { ...compound, name: event.target.value } })}
          dir="auto"
        />
      </Form.Item>
      <Form.Item label={t('install.compound.zone')} htmlFor="compound-zone">
        <Input id="compound-zone" value={compound.time_zone} disabled />
      </Form.Item>
      <Form.Item label={t('install.compound.id')} htmlFor="compound-id">
        <Input id="compound-id" value={compound.id} disabled className="mono" />
      </Form.Item>
      <Alert type="info" title={t('install.compound.id.hint')} />
    </Form>
  );
}
