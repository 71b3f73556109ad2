// Words of the duty room: wall, alerts, cases, entries.
export const dutyZh = {
  'duty.nav.desk': '值班台',
  'duty.desk.quiet': '目前没有未办结的告警。',
  'duty.lights.count': '待签收 {waiting} · 未结 {open}',
  'duty.lights.lost': '告警连接中断',
  'duty.lights.opening': '正在连接…',
  'duty.sound.on': '声音开',
  'duty.sound.on.hint': '新告警会响铃。点击静音。',
  'duty.sound.muted': '已静音',
  'duty.sound.muted.hint': '新告警不会响铃。点击打开声音。',
  'duty.sound.blocked': '点此开启声音',
  'duty.sound.blocked.hint': '浏览器规定:在页面上点击一次之后才允许发声。',
} as const;
