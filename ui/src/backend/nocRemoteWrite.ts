// Where the NOC writes an organisation's history besides.

/** A store of measurements. */
export interface RemoteWriteTarget {
  url: string
  user: string
  ca: string
  enabled: boolean
}

export interface RemoteWrite {
  target: RemoteWriteTarget | null
  has_password: boolean
  is_trusted: boolean
  state: {
    sent: number
    refused: number
    lost: number
    waiting_since: number | null
    delivered: number | null
    tried: number | null
    outcome: string
    failing_since: number | null
  }
}
