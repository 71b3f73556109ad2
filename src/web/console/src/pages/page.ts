// What a page tells the frame of itself.
import type { ComponentType, ReactNode } from 'react';
import type { Right } from '../api/types';
import type { Key } from '../i18n';

/** Groups of the navigation, in their order. */
export const GROUPS = ['duty', 'office', 'installer', 'audit'] as const;
export type Group = (typeof GROUPS)[number];

export interface PageRoute {
  /** Below `#/`, with `:parameters`. */
  path: string;
  /** Loaded when it is first opened. */
  load: () => Promise<{ default: ComponentType }>;
  /** Any of these rights opens it. Empty: everyone who is logged in. */
  rights: Right[];
  /** Where it stands in the navigation; without it the page is reached from others only. */
  nav?: { group: Group; label: Key; icon: ReactNode };
  /** The navigation entry that is lit while this page is open; default: its own path. */
  under?: string;
  /** Without the frame around it, as for a second monitor. */
  isBare?: boolean;
}
