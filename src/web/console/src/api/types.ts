// The shapes of the API that several pages read; what only one page reads is beside that page.

export type Role = 'admin' | 'duty-officer' | 'property-manager' | 'installer' | 'auditor';

/** What an account may do; the words of the gateway's one authorisation function. */
export const RIGHTS = [
  'see-live', 'see-entries', 'see-clips', 'see-alerts', 'case-acknowledge', 'case-dispatch',
  'case-accept', 'case-resolve', 'case-verify', 'case-close', 'case-reopen', 'case-cancel',
  'see-statistics', 'see-health', 'search-person', 'see-roster', 'see-names', 'change-roster',
  'import-roster', 'admit-beyond-limit', 'export-roster', 'see-reports', 'next-card', 'see-site',
  'change-site', 'see-deliveries', 'retry-deliveries', 'see-audit', 'see-accounts',
  'manage-accounts',
] as const;
export type Right = (typeof RIGHTS)[number];

export interface Me {
  name: string;
  display_name?: string | null;
  role: Role;
  /** The buildings it is limited to; `null`: none. */
  buildings: string[] | null;
  csrf: string;
  expires_at: string;
  time: string;
  compound: { id: string; name: string; time_zone?: string };
  may: Right[];
}

export type ClipState = 'pending' | 'whole' | 'partial' | 'missed';

export interface Clip {
  state: ClipState;
  from: string;
  to: string;
  camera: string | null;
  gaps: { from: string; to: string; reason: string }[];
  reason: string | null;
  sha256: string | null;
  settled_at?: string | null;
}

export interface Entry {
  id: string;
  door: string;
  place: string;
  at: string;
  received_at: string;
  controller_at: string | null;
  card_ref: string | null;
  dwelling: string | null;
  direction: 'in' | 'out' | 'unknown';
  method: string;
  controller_result: 'granted' | 'denied' | 'unknown';
  decision: { outcome: 'granted' | 'denied'; reason: string; duress: boolean };
  clip: Clip;
  clips: Clip[];
  alerts: string[];
}

export type StepKind = 'acknowledge' | 'dispatch' | 'accept' | 'resolve' | 'verify' | 'close' | 'reopen' | 'cancel';

export type CaseState =
  | 'raised'
  | 'acknowledged'
  | 'dispatched'
  | 'accepted'
  | 'resolved'
  | 'verified'
  | 'closed'
  | 'cancelled';

export type Tier = 'community' | 'street' | 'district';

export interface Move {
  kind: StepKind | 'opened' | 'escalated' | 'overdue' | 'condition-ended';
  at: string;
  by: { name: string; role: Role } | null;
  note?: string | null;
  state: CaseState;
  tier: Tier;
  party?: string | null;
  late: boolean;
}

export interface CasePicture {
  sha256: string;
  when: 'before' | 'after';
  format: 'jpeg' | 'png';
  bytes: number;
  added_at: string;
  added_by: { name: string; role: Role } | null;
  url: string;
}

export interface Case {
  state: CaseState;
  tier: Tier;
  party: string | null;
  opened_at: string;
  due_step: StepKind | null;
  due_at: string | null;
  overdue: boolean;
  overdue_since?: string | null;
  legal: StepKind[];
  last?: Move;
  moves?: Move[];
  pictures?: CasePicture[];
}

export interface Alert {
  id: string;
  revision: number;
  kind: string;
  severity: 1 | 2 | 3 | 4;
  title_zh: string;
  title_en: string;
  raised_at: string;
  ended_at: string | null;
  place: string;
  door: string | null;
  camera: string | null;
  entry_id: string | null;
  dwelling?: string | null;
  count: number;
  detail: string;
  case: Case | null;
}
