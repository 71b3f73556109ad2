// From the address to a page: log-in first, then the frame, then the page by right.
import { Button, Result } from 'antd';
import { lazy, Suspense, useMemo, type ComponentType } from 'react';
import { createHashRouter, Navigate, RouterProvider, useLocation } from 'react-router';
import { explain } from './api/explain';
import { ErrorBoundary } from './frame/error-boundary';
import { Loading } from './frame/loading';
import { useText } from './i18n';
import { LoginPage } from './pages/account/login';
import { SetupPage } from './pages/account/setup';
import type { PageRoute } from './pages/page';
import { mayOpen, routes, startOf } from './pages/routes';
import { useSession } from './session';

/** The frame and what it needs come after the log-in, so that the first page is small. */
const Inside = lazy(() => import('./frame/inside'));

/** What is shown at `route` to whoever is there. */
function Gate({ route, Page }: { route: PageRoute | null; Page: ComponentType }) {
  const t = useText();
  const location = useLocation();
  const { state, ask } = useSession();
  if (state.is === 'asking') return <Loading />;
  if (state.is === 'unreachable') {
    return (
      <Result
        status="warning"
        title={explain(state.error, t)}
        extra={<Button type="primary" onClick={ask}>{t('app.retry')}</Button>}
      />
    );
  }
  if (state.is === 'out') return <LoginPage why={state.why} />;
  const page = !route || mayOpen(state.me, route) ? <Page /> : <Result status="403" title={t('app.forbidden')} />;
  const whole = (
    <Suspense fallback={<Loading />}>
      <Inside path={route?.path ?? ''} isBare={route?.isBare ?? false}>{page}</Inside>
    </Suspense>
  );
  return <ErrorBoundary page={location.pathname}>{whole}</ErrorBoundary>;
}

function Start() {
  const { state } = useSession();
  const t = useText();
  const start = state.is === 'in' ? startOf(state.me) : undefined;
  return start ? <Navigate to={`/${start.path}`} replace /> : <Result status="403" title={t('app.forbidden')} />;
}

function NoSuchPage() {
  const t = useText();
  return (
    <Result status="404" title={t('app.no-such-page')} extra={<Button href="#/">{t('app.to-start')}</Button>} />
  );
}

export function App() {
  const router = useMemo(
    () =>
      createHashRouter([
        { path: '/', element: <Gate route={null} Page={Start} /> },
        { path: '/setup/:token', element: <SetupPage /> },
        ...routes.map((route) => ({
          path: `/${route.path}`,
          element: <Gate route={route} Page={lazy(route.load)} />,
        })),
        { path: '*', element: <Gate route={null} Page={NoSuchPage} /> },
      ]),
    [],
  );
  return <RouterProvider router={router} />;
}
