// A word in a quiet colour that says how something is; readable in both shades, and never told by colour alone.

import type { ReactNode } from 'react';

export type ToneName = 'good' | 'warn' | 'bad' | 'info' | 'plain';

export function Tone({
  tone = 'plain',
  isLarge,
  title,
  testId,
  children,
}: {
  tone?: ToneName | undefined;
  isLarge?: boolean;
  title?: string;
  testId?: string;
  children: ReactNode;
}) {
  const size = isLarge ? ' tone-large' : '';
  return (
    <span className={`tone tone-${tone}${size}`} title={title} data-testid={testId}>
      {children}
    </span>
  );
}
