/** Three lines that answer a call. */
export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <rect width="24" height="24" rx="6" fill="var(--mantine-color-indigo-8)" />
      <circle cx="6.6" cy="12" r="2.2" fill="#fff" />
      <path
        d="M11 8.2a5.4 5.4 0 0 1 0 7.6M14.2 5.6a9 9 0 0 1 0 12.8"
        fill="none"
        stroke="#fff"
        strokeWidth="1.9"
        strokeLinecap="round"
      />
    </svg>
  )
}
