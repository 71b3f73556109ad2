// Short notices that something was done.

import { App } from 'antd';

export function useNotices(): { said: (text: string) => void } {
  const { message } = App.useApp();
  return { said: (text) => void message.success(text) };
}
