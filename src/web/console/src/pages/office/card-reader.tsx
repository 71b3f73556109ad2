// Takes the number of a card from a desk reader, which types it as a keyboard does and ends with Enter.

import { CheckCircleTwoTone, ScanOutlined } from '@ant-design/icons';
import { Button, Input, type InputRef } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { useText } from '../../i18n';
import { type Capture, WedgeBuffer } from './wedge';

/** `number`: as the reader sent it, in upper case. Never shown whole. */
export function CardReader({ onRead, isBusy }: { onRead: (number: string) => void; isBusy: boolean }) {
  const t = useText();
  const input = useRef<InputRef>(null);
  const buffer = useRef(new WedgeBuffer());
  const [text, setText] = useState('');
  const [isFocused, setFocused] = useState(false);
  const [problem, setProblem] = useState<Capture['problem'] | null>(null);
  const [lastRead, setLastRead] = useState<string | null>(null);

  useEffect(() => input.current?.focus(), []);

  const finish = () => {
    const capture = buffer.current.finish(text);
    setText('');
    buffer.current.clear();
    if (capture.problem) {
      setProblem(capture.problem);
      setLastRead(null);
      return;
    }
    setProblem(null);
    setLastRead(`…${capture.number.slice(-4)}`);
    onRead(capture.number);
  };
  return (
    <div className={isFocused ? 'reader reader-ready' : 'reader'}>
      <ScanOutlined className="reader-icon" />
      <div className="reader-body">
        <p role="status">{isFocused ? t('office.reader.ready') : t('office.reader.away')}</p>
        <Input.Password
          ref={input}
          value={text}
          visibilityToggle={false}
          autoComplete="off"
          spellCheck={false}
          disabled={isBusy}
          status={problem ? 'error' : undefined}
          aria-label={t('office.reader.field')}
          aria-describedby="reader-problem"
          data-testid="card-reader"
          // A reader types faster than any person, and some send Enter twice: that is no form's Enter.
          onKeyDown={(event) => {
            buffer.current.key(event.key, event.timeStamp);
            if (event.key === 'Enter') {
              event.preventDefault();
              event.stopPropagation();
              if (text !== '') finish();
            }
          }}
          onChange={(event) => {
            setText(event.target.value);
            setProblem(null);
          }}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
        />
        <p id="reader-problem" className="reader-problem" role="alert">
          {problem ? t(`office.reader.${problem}`) : ''}
        </p>
        {lastRead && (
          <p className="reader-read" role="status">
            <CheckCircleTwoTone twoToneColor="#067647" /> {t('office.reader.read', { card: lastRead })}
          </p>
        )}
      </div>
      {!isFocused && <Button onClick={() => input.current?.focus()}>{t('office.reader.focus')}</Button>}
    </div>
  );
}
