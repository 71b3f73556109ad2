// The wall by itself: in the frame as "live", and bare as `#/wall` for a second monitor.
import { Wall } from './wall';

export default function WallPage() {
  return (
    <div className="sg-wall-page-whole">
      <Wall />
    </div>
  );
}
