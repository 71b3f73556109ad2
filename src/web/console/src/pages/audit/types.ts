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
  role?: string;
  from_address?: string | null;
  begun_at?: string;
  seen_at?: string | null;
  expires_at?: string;
  own?: boolean;
}
