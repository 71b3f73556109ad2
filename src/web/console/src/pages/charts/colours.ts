// Colours of charts, by shade; told apart also by people who see few colours, and never by colour alone.

import { useMemo } from 'react';
import { useShade } from '../../frame/theme';

export interface Colours {
  text: string;
  dim: string;
  line: string;
  surface: string;
  /** What is as it should be. */
  good: string;
  /** What was refused or failed. */
  bad: string;
  /** What asks for attention. */
  warn: string;
  accent: string;
  second: string;
}

const DARK: Colours = {
  text: '#dde5eb',
  dim: '#94a3ae',
  line: '#232e37',
  surface: '#1b252e',
  good: '#4aa3a0',
  bad: '#e0696d',
  warn: '#e3bd4f',
  accent: '#5aa7e0',
  second: '#b48ae0',
};

const LIGHT: Colours = {
  text: '#1b2730',
  dim: '#566773',
  line: '#dfe6ea',
  surface: '#ffffff',
  good: '#2f8f8b',
  bad: '#c2333a',
  warn: '#c28a00',
  accent: '#1a66a8',
  second: '#7a4bb0',
};

export function useColours(): Colours {
  const { shade } = useShade();
  return useMemo(() => (shade === 'dark' ? DARK : LIGHT), [shade]);
}
