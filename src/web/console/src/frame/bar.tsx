// The middle of the top bar, where parts of the console put what must be seen on every page.
import type { ComponentType } from 'react';
import type { Right } from '../api/types';
import { useMe, may } from '../session';
import { FeedLights } from '../pages/duty/feed/lights';

const parts: { right: Right; Part: ComponentType }[] = [{ right: 'see-alerts', Part: FeedLights }];

export function FrameBar() {
  const me = useMe();
  return (
    <div className="sg-bar">
      {parts.filter((part) => may(me, part.right)).map(({ right, Part }) => <Part key={right} />)}
    </div>
  );
}
