// From figures to what the chart library draws. Pure.

import type { EChartsCoreOption } from 'echarts/core';
import type { Colours } from './colours';

/** A single bar does not fill a chart. */
const BAR_PX_MAX = 36;

/** What all charts have in common. */
function base(colours: Colours): EChartsCoreOption {
  return {
    grid: {
      left: 8,
      right: 12,
      top: 36,
      bottom: 8,
      outerBoundsMode: 'same',
      outerBoundsContain: 'axisLabel',
    },
    legend: { top: 0, left: 0, itemWidth: 14, itemHeight: 8, textStyle: { color: colours.dim } },
    // Names come from devices: drawn on the canvas, they can never be markup.
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      axisPointer: { type: 'shadow' },
      backgroundColor: colours.surface,
      borderColor: colours.line,
      textStyle: { color: colours.text },
    },
  };
}

function names(colours: Colours, data: string[]): Record<string, unknown> {
  return {
    type: 'category',
    data,
    axisLine: { lineStyle: { color: colours.line } },
    axisTick: { show: false },
    axisLabel: { color: colours.dim, hideOverlap: true },
  };
}

function values(colours: Colours, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    type: 'value',
    splitLine: { lineStyle: { color: colours.line } },
    ...more,
    axisLabel: { color: colours.dim, ...(more.axisLabel as object | undefined) },
  };
}

export interface Hour {
  label: string;
  granted: number;
  denied: number;
  alerts: number;
}

/** Entries above, alerts below: each has a scale of its own. */
export function hoursOption(
  colours: Colours,
  hours: Hour[],
  words: { granted: string; denied: string; alerts: string },
): EChartsCoreOption {
  const labels = hours.map((one) => one.label);
  // The same edges, so that an hour stands under the same hour.
  const grid = { left: 48, right: 12 };
  return {
    ...base(colours),
    axisPointer: { link: [{ xAxisIndex: 'all' }] },
    grid: [
      { ...grid, top: 36, bottom: 96 },
      { ...grid, height: 44, bottom: 28 },
    ],
    xAxis: [
      { ...names(colours, labels), axisLabel: { show: false } },
      { ...names(colours, labels), gridIndex: 1 },
    ],
    yAxis: [
      values(colours, { minInterval: 1 }),
      values(colours, { minInterval: 1, gridIndex: 1, splitNumber: 2 }),
    ],
    series: [
      {
        name: words.granted,
        type: 'bar',
        stack: 'entries',
        barMaxWidth: BAR_PX_MAX,
        color: colours.good,
        data: hours.map((one) => one.granted),
      },
      {
        name: words.denied,
        type: 'bar',
        stack: 'entries',
        color: colours.bad,
        data: hours.map((one) => one.denied),
      },
      {
        name: words.alerts,
        type: 'bar',
        barMaxWidth: BAR_PX_MAX,
        xAxisIndex: 1,
        yAxisIndex: 1,
        color: colours.warn,
        data: hours.map((one) => one.alerts),
      },
    ],
  };
}

export interface Step {
  label: string;
  p50_ms: number | null;
  p95_ms: number | null;
}

/** Times go from seconds to days, so the axis is logarithmic. */
export function stepsOption(
  colours: Colours,
  steps: Step[],
  words: { p50: string; p95: string; span: (ms: number) => string },
): EChartsCoreOption {
  const drawn = (ms: number | null) => (ms === null ? null : Math.max(ms, 1_000));
  return {
    ...base(colours),
    tooltip: {
      ...(base(colours).tooltip as object),
      valueFormatter: (ms: unknown) => (typeof ms === 'number' ? words.span(ms) : '–'),
    },
    xAxis: names(
      colours,
      steps.map((one) => one.label),
    ),
    yAxis: values(colours, {
      type: 'log',
      min: 1_000,
      axisLabel: { formatter: (ms: number) => words.span(ms) },
    }),
    series: [
      {
        name: words.p50,
        type: 'bar',
        barMaxWidth: BAR_PX_MAX,
        color: colours.accent,
        data: steps.map((one) => drawn(one.p50_ms)),
      },
      {
        name: words.p95,
        type: 'bar',
        barMaxWidth: BAR_PX_MAX,
        color: colours.second,
        data: steps.map((one) => drawn(one.p95_ms)),
      },
    ],
  };
}

export interface Day {
  label: string;
  cases: number;
  closed: number;
  rate: number | null;
}

export function closureOption(
  colours: Colours,
  days: Day[],
  words: { cases: string; closed: string; rate: string },
): EChartsCoreOption {
  return {
    ...base(colours),
    xAxis: names(
      colours,
      days.map((one) => one.label),
    ),
    yAxis: [
      values(colours, { minInterval: 1 }),
      values(colours, {
        min: 0,
        max: 100,
        splitLine: { show: false },
        axisLabel: { formatter: '{value} %' },
      }),
    ],
    series: [
      {
        name: words.cases,
        type: 'bar',
        barMaxWidth: BAR_PX_MAX,
        color: colours.accent,
        data: days.map((one) => one.cases),
      },
      {
        name: words.closed,
        type: 'bar',
        barMaxWidth: BAR_PX_MAX,
        color: colours.good,
        data: days.map((one) => one.closed),
      },
      {
        name: words.rate,
        type: 'line',
        yAxisIndex: 1,
        color: colours.warn,
        connectNulls: true,
        data: days.map((one) => (one.rate === null ? null : Math.round(one.rate * 1_000) / 10)),
      },
    ],
  };
}

export interface Stored {
  day: string;
  /** As it was; `null` for days to come. */
  bytes: number | null;
  /** As it will be at the present rate; `null` for days past. */
  forecast: number | null;
}

export function storageOption(
  colours: Colours,
  days: Stored[],
  most: number | null,
  words: { used: string; forecast: string; most: string; bytes: (value: number) => string },
): EChartsCoreOption {
  return {
    ...base(colours),
    tooltip: {
      ...(base(colours).tooltip as object),
      valueFormatter: (value: unknown) => (typeof value === 'number' ? words.bytes(value) : '–'),
    },
    xAxis: names(
      colours,
      days.map((one) => one.day),
    ),
    yAxis: values(colours, { axisLabel: { formatter: words.bytes } }),
    series: [
      {
        name: words.used,
        type: 'line',
        areaStyle: { opacity: 0.25 },
        symbol: 'none',
        color: colours.accent,
        data: days.map((one) => one.bytes),
        ...(most === null
          ? {}
          : {
              markLine: {
                symbol: 'none',
                silent: true,
                lineStyle: { color: colours.bad },
                label: { formatter: words.most, position: 'insideEndTop', color: colours.bad },
                data: [{ yAxis: most }],
              },
            }),
      },
      {
        name: words.forecast,
        type: 'line',
        symbol: 'none',
        color: colours.accent,
        lineStyle: { type: 'dashed' },
        data: days.map((one) => one.forecast),
      },
    ],
  };
}

export interface Uptime {
  camera: string;
  up_ratio: number;
}

/** The worst on top. */
export function uptimeOption(colours: Colours, cameras: Uptime[], word: string): EChartsCoreOption {
  const rows = cameras.toReversed();
  return {
    ...base(colours),
    legend: { show: false },
    grid: { ...(base(colours).grid as object), top: 8, right: 56 },
    xAxis: values(colours, { min: 0, max: 100, axisLabel: { formatter: '{value} %' } }),
    yAxis: names(
      colours,
      rows.map((one) => one.camera),
    ),
    series: [
      {
        name: word,
        type: 'bar',
        barMaxWidth: 16,
        label: { show: true, position: 'right', color: colours.text, formatter: '{c} %' },
        data: rows.map((one) => ({
          value: Math.floor(one.up_ratio * 10_000) / 100,
          itemStyle: {
            color: one.up_ratio >= 0.99 ? colours.good : one.up_ratio >= 0.9 ? colours.warn : colours.bad,
          },
        })),
      },
    ],
  };
}
