import { anchorAt, percent, roomForLabels, type AcrossLabel } from './scales.ts'

export interface AcrossLabelsProps {
  labels: readonly AcrossLabel[]
  y: number
}

/** Labels beside each other, as far as there is room for them. */
export function AcrossLabels({ labels, y }: AcrossLabelsProps) {
  const rooms = roomForLabels(labels)
  return labels.map(({ at, label }, index) => {
    const room = rooms[index]
    if (room === 'never') return null
    return (
      <text
        key={at}
        x={percent(at)}
        y={y}
        textAnchor={anchorAt(at)}
        className={room === 'isSpare' ? 'chartText isSpare' : 'chartText'}
      >
        {label}
      </text>
    )
  })
}
