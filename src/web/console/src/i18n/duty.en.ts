// Words of the duty room: wall, alerts, cases, entries.
import type { dutyZh } from './duty.zh';

export const dutyEn: Record<keyof typeof dutyZh, string> = {
  'duty.nav.desk': 'Desk',
  'duty.desk.quiet': 'No alert is open.',
  'duty.lights.count': '{waiting} new · {open} open',
  'duty.lights.lost': 'Alert feed lost',
  'duty.lights.opening': 'Connecting…',
  'duty.sound.on': 'Sound on',
  'duty.sound.on.hint': 'New alerts sound. Click to mute.',
  'duty.sound.muted': 'Muted',
  'duty.sound.muted.hint': 'New alerts do not sound. Click to turn the sound on.',
  'duty.sound.blocked': 'Click for sound',
  'duty.sound.blocked.hint': 'The browser allows sound only after one click in the page.',
};
