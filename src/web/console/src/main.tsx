// Where the browser begins.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { ThemeProvider } from './frame/theme';
import { LanguageProvider } from './i18n';
import { SessionProvider } from './session';
import './style/frame.css';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has an element #root');
createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <ThemeProvider>
        <SessionProvider>
          <App />
        </SessionProvider>
      </ThemeProvider>
    </LanguageProvider>
  </StrictMode>,
);
