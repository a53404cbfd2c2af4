// Cells as plain DOM: scrolling 10,000 rows draws thousands of them a second.

import type { ICellRendererComp, ICellRendererParams } from 'ag-grid-community'
import { type Badge, badgeElement } from '../badge.ts'

/** A cell renderer that draws the badge of a row, and again only when it changes. */
export function badgeCell<T>(badgeOf: (row: T) => Badge | null): new () => ICellRendererComp<T> {
  return class BadgeCell implements ICellRendererComp<T> {
    private readonly element = document.createElement('span')
    private shown: string | null = null

    init(params: ICellRendererParams<T>): void {
      this.element.className = 'cell-badge'
      this.draw(params)
    }

    getGui(): HTMLElement {
      return this.element
    }

    refresh(params: ICellRendererParams<T>): boolean {
      this.draw(params)
      return true
    }

    private draw({ data }: ICellRendererParams<T>): void {
      const badge = data ? badgeOf(data) : null
      const text = badge?.text ?? ''
      if (text === this.shown) return
      this.shown = text
      this.element.replaceChildren(...(badge ? [badgeElement(badge)] : []))
    }
  }
}

/** A cell renderer with a bar and a number, for progress. */
export function barCell<T>(
  partOf: (row: T) => number,
  labelOf: (row: T) => string,
): new () => ICellRendererComp<T> {
  return class BarCell implements ICellRendererComp<T> {
    private readonly element = document.createElement('span')
    private readonly bar = document.createElement('span')
    private readonly label = document.createElement('span')

    init(params: ICellRendererParams<T>): void {
      this.element.className = 'cell-bar'
      this.element.append(this.bar, this.label)
      this.refresh(params)
    }

    getGui(): HTMLElement {
      return this.element
    }

    refresh({ data }: ICellRendererParams<T>): boolean {
      const part = data ? partOf(data) : 0
      // What is done needs no bar any more: its badge says so.
      this.bar.hidden = part >= 1
      this.bar.style.setProperty('--part', String(part))
      this.label.textContent = data ? labelOf(data) : ''
      return true
    }
  }
}
