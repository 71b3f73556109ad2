// What is forgotten when somebody logs out or is logged out: the next at this screen must not find it.

const tasks = new Set<() => void>();

/** `task` runs each time somebody leaves. For what lives as long as the page is loaded. */
export function whenLeaving(task: () => void): void {
  tasks.add(task);
}

export function leave(): void {
  for (const task of tasks) task();
}
