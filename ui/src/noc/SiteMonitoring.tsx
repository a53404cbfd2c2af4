import face from './face.module.css'
import { Maintenance } from './Maintenance.tsx'
import { MonitoringEditor } from './MonitoringEditor.tsx'
import { useSite } from './SitePage.tsx'

/** When silence of a site's appliances is told, what breaks their health, and when nobody is told at all. */
export function SiteMonitoring() {
  const { known, path, mayChange } = useSite()
  return (
    <div className={face.stack}>
      <Maintenance site={known.value} />
      <MonitoringEditor
        path={`${path}/monitoring`}
        effective={`${path}/monitoring/effective`}
        mayChange={mayChange}
      />
    </div>
  )
}
