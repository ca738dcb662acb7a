export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
        <rect width="32" height="32" rx="8" className="brandGround" />
        <circle
          cx="16"
          cy="16"
          r="8.5"
          className="brandLine"
          strokeDasharray="43 11"
          transform="rotate(-60 16 16)"
        />
        <path d="M16 11.5V16l3 2.2" className="brandLine" />
      </svg>
      Roundsman
    </span>
  )
}
