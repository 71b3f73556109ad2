// The site as the gateway keeps it in its configuration file (`GET /site`), and what it says of a change.

export interface Compound {
  id: string;
  name: string;
  time_zone: string;
}

export interface StairwellRow {
  id: string;
  building: string;
  unit: string;
}

export interface CameraRow {
  id: string;
  place: string;
  /** Without a password. */
  url: string;
  sub_url?: string | null;
  transport?: 'tcp' | 'udp' | null;
  username?: string | null;
  has_password?: boolean;
  /** Only on the way in: kept in a file of its own and never read back. */
  password?: string;
}

export interface DoorRow {
  id: string;
  place: string;
  cameras: string[];
  controller?: string | null;
  decision?: 'record' | 'online' | null;
  username?: string | null;
  has_password?: boolean;
  password?: string;
  match?: Record<string, string | number> | null;
}

export interface LinkageRow {
  id: string;
  kind: 'webhook' | 'grpc' | 'mqtt';
  url: string;
  kinds?: string[] | null;
  include?: string[] | null;
  case_changes?: boolean | null;
  timeout_s?: number | null;
  topic?: string | null;
  username?: string | null;
  has_secret?: boolean;
  secret?: string;
}

export interface Site {
  version: string;
  writable: boolean;
  compound: Compound;
  stairwells: StairwellRow[];
  cameras: CameraRow[];
  doors: DoorRow[];
  linkages: LinkageRow[];
}

/** A change of the site: a list that is left out stays as it is. */
export type SiteChange = { version: string } & Partial<Omit<Site, 'version' | 'writable'>>;

/** What is wrong with a value, or looks wrong, and what to do. */
export interface SiteProblem {
  where: string;
  what: string;
  zh: string;
}

export interface Verdict {
  problems: SiteProblem[];
  warnings: SiteProblem[];
  changes: {
    what: string;
    id: string;
    action: 'added' | 'removed' | 'changed';
    fields: { name: string; before: unknown; after: unknown }[];
  }[];
  diff: string;
  version?: string;
}

export interface Probe {
  verdict: 'good' | 'usable' | 'bad';
  codec: string | null;
  width: number | null;
  height: number | null;
  fps: number | null;
  keyframe_interval_ms: number | null;
  bitrate_bps: number | null;
  clock_offset_ms: number | null;
  findings: { severity: 'bad' | 'warning' | 'note'; text_zh: string; text_en: string }[];
  /** JPEG in base64. */
  picture: string | null;
}

export interface Missing {
  code: string;
  text_zh: string;
  text_en: string;
  where: string | null;
  severity?: 'needed' | 'advised';
}

export interface HealthItem {
  part: string;
  id: string;
  place?: string | null;
  level: 'ok' | 'degraded' | 'failed';
  since: string | null;
  text_zh: string;
  text_en: string;
  figures?: Record<string, unknown>;
}
