import { Trans, useLingui } from '@lingui/react/macro'
import { ActionIcon, Button, Checkbox, Popover, Stack, Text, Tooltip } from '@mantine/core'
import { IconColumns3 } from '@tabler/icons-react'
import { type RefObject, useState } from 'react'
import type { ColumnChoice, GridHandle } from './ApplianceGrid.tsx'

/** Which columns the grid shows. */
export function ColumnChooser({ grid }: { grid: RefObject<GridHandle | null> }) {
  const { t } = useLingui()
  const [opened, setOpened] = useState(false)
  const [columns, setColumns] = useState<ColumnChoice[]>([])
  const read = () => setColumns((grid.current?.columns() ?? []).filter((column) => column.name))
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      shadow="md"
      trapFocus
      returnFocus
      width={220}
    >
      <Popover.Target>
        <Tooltip label={t`Columns`} disabled={opened}>
          <ActionIcon
            variant="default"
            size={30}
            aria-label={t`Columns`}
            data-testid="columns"
            onClick={() => {
              read()
              setOpened(!opened)
            }}
          >
            <IconColumns3 size={16} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown aria-label={t`Columns`}>
        <Stack gap={7}>
          <Text size="xs" c="dimmed">
            <Trans>Drag headers to change the order.</Trans>
          </Text>
          {columns.map((column) => (
            <Checkbox
              key={column.id}
              label={column.name}
              checked={column.visible}
              onChange={(event) => {
                grid.current?.showColumn(column.id, event.currentTarget.checked)
                read()
              }}
            />
          ))}
          <Button
            variant="default"
            mt={4}
            onClick={() => {
              grid.current?.resetColumns()
              read()
            }}
          >
            <Trans>Back to the standard</Trans>
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}
