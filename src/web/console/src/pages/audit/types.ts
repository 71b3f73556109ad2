// What the gateway answers of the audit, of accounts and of sessions.

import type { Role } from '../../api/types';

export interface AuditItem {
  number: number;
  at: string;
  by: { name: string; role: string } | null;
  from_address: string | null;
  act: string;
  target: string | null;
  place?: string | null;
  detail: string | null;
  reason: string | null;
  case: string | null;
  hash: string;
}

export interface Account {
  name: string;
  role: Role;
  /** null: everywhere. */
  buildings: string[] | null;
  has_password: boolean;
  n_sessions: number;
  n_tokens: number;
  last_login_at: string | null;
}

export interface Invited extends Account {
  invite: string;
  invite_path: string;
}

export interface SessionItem {
  id: string;
  name: string;
  made_at: string;
  seen_at: string;
  expires_at: string;
  /** The address it was begun from. */
  from: string | null;
  /** Is it the one that asks? */
  own: boolean;
}
