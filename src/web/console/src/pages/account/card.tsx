// The card on which someone logs in or sets an account up.
import { Button } from 'antd';
import type { ReactNode } from 'react';
import { Mark } from '../../frame/mark';
import { useLanguage, useSetLanguage, useText } from '../../i18n';

export function Card({ title, children }: { title: string; children: ReactNode }) {
  const t = useText();
  const language = useLanguage();
  const setLanguage = useSetLanguage();
  return (
    <main className="sg-card-page">
      <section className="sg-card" aria-label={title}>
        <header className="sg-card-head">
          <Mark size={40} />
          <div>
            <h1>{t('app.title')}</h1>
            <p>{title}</p>
          </div>
          <Button type="text" lang={language === 'zh' ? 'en' : 'zh'} onClick={() => setLanguage(language === 'zh' ? 'en' : 'zh')}>
            {t('menu.language')}
          </Button>
        </header>
        {children}
      </section>
    </main>
  );
}
