// The mark: a stair.
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#17324a" />
      <path d="M7 25h5v-5h5v-5h5v-5h4" fill="none" stroke="#6fb3e8" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
