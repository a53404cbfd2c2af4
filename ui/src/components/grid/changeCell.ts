import type { ICellRendererComp, ICellRendererParams } from 'ag-grid-community'

/** A cell with what is now and what will be; only the latter when there was nothing or nothing changes. */
export function changeCell<T>(
  valuesOf: (row: T) => [now: string, next: string],
): new () => ICellRendererComp<T> {
  return class ChangeCell implements ICellRendererComp<T> {
    private readonly element = document.createElement('span')

    init(params: ICellRendererParams<T>): void {
      this.refresh(params)
    }

    getGui(): HTMLElement {
      return this.element
    }

    refresh({ data }: ICellRendererParams<T>): boolean {
      const [now, next] = data ? valuesOf(data) : ['', '']
      if (now === next || now === '') {
        this.element.replaceChildren(next || '–')
        this.element.className = now === next ? 'quiet' : ''
        return true
      }
      const old = document.createElement('s')
      old.className = 'quiet'
      old.textContent = now
      const after = document.createElement('b')
      after.className = 'cell-name'
      after.textContent = next || '–'
      this.element.className = ''
      this.element.replaceChildren(old, ' → ', after)
      return true
    }
  }
}
