// What arrived of an appliance's beats and what did not, as the NOC says it.

export type CellState = 'arrived' | 'missed_some' | 'missed_all' | 'maintenance' | 'noc_away' | 'not_expected'

export interface Cell {
  start: number
  state: CellState
  beats: number
  /** About how many there should be. */
  expected: number
  silent_s: number
  maintenance_s: number
  noc_away_s: number
}

export interface Cells {
  cell_s: number
  cells: Cell[]
}

export interface Strip {
  interval_s: number
  day: Cells
  days: Cells
}

/** Cells of one kind that follow each other, together. */
export interface Run extends Cell {
  end: number
}

export function runsOf({ cell_s, cells }: Cells): Run[] {
  const runs: Run[] = []
  for (const cell of cells) {
    const last = runs.at(-1)
    if (last?.state === cell.state) {
      last.end = cell.start + cell_s
      for (const name of ['beats', 'expected', 'silent_s', 'maintenance_s', 'noc_away_s'] as const)
        last[name] += cell[name]
    } else {
      runs.push({ ...cell, end: cell.start + cell_s })
    }
  }
  return runs
}
