// A page that fails takes nothing else with it.
import { Button, Result } from 'antd';
import { Component, type ReactNode } from 'react';
import { useText } from '../i18n';

interface Props {
  children: ReactNode;
  /** Another value clears the failure: another page was opened. */
  page: string;
}

interface State {
  error: Error | null;
  page: string;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: null, page: this.props.page };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    return props.page === state.page ? null : { error: null, page: props.page };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return <Broken error={error} onRetry={() => this.setState({ error: null })} />;
  }
}

function Broken({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const t = useText();
  return (
    <Result
      status="warning"
      title={t('app.broken.title')}
      subTitle={t('app.broken.detail')}
      extra={[
        <Button key="retry" type="primary" onClick={onRetry}>
          {t('app.retry')}
        </Button>,
        <Button key="reload" onClick={() => window.location.reload()}>
          {t('app.reload')}
        </Button>,
      ]}
    >
      <pre className="sg-broken">{`${error.name}: ${error.message}`}</pre>
    </Result>
  );
}
