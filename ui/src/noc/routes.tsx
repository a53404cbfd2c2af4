import { Navigate, type RouteObject } from 'react-router'
import { AlertsPage } from './AlertsPage.tsx'
import { AppletsPage } from './AppletsPage.tsx'
import { AppliancePage } from './AppliancePage.tsx'
import { AuditPage } from './AuditPage.tsx'
import { AvailabilityPage } from './AvailabilityPage.tsx'
import { ChannelsPage } from './ChannelsPage.tsx'
import { ComponentsPage } from './ComponentsPage.tsx'
import { ConsolePage } from './ConsolePage.tsx'
import { ConsolesPage } from './ConsolesPage.tsx'
import { DraftPage } from './DraftPage.tsx'
import { DraftsPage } from './DraftsPage.tsx'
import { FleetPage } from './FleetPage.tsx'
import { Frame } from './Frame.tsx'
import { InventoryPage } from './InventoryPage.tsx'
import { MapPage } from './MapPage.tsx'
import { MePage } from './MePage.tsx'
import { NewSitePage } from './NewSitePage.tsx'
import { OperatorsPage } from './OperatorsPage.tsx'
import { OrganisationPage } from './OrganisationPage.tsx'
import { OrganisationsPage } from './OrganisationsPage.tsx'
import { SiteModels } from './SiteModels.tsx'
import { SiteMonitoring } from './SiteMonitoring.tsx'
import { SiteOverview } from './SiteOverview.tsx'
import { SitePage } from './SitePage.tsx'
import { SitePolicy } from './SitePolicy.tsx'
import { SiteReservations } from './SiteReservations.tsx'
import { SiteResult } from './SiteResult.tsx'
import { SitesPage } from './SitesPage.tsx'

export const routes: RouteObject[] = [
  {
    element: <Frame />,
    children: [
      { path: '/', element: <FleetPage /> },
      { path: '/map', element: <MapPage /> },
      { path: '/appliances/:uid', element: <AppliancePage /> },
      { path: '/inventory', element: <InventoryPage /> },
      { path: '/alerts', element: <AlertsPage /> },
      { path: '/availability', element: <AvailabilityPage /> },
      { path: '/channels', element: <ChannelsPage /> },
      { path: '/components', element: <ComponentsPage /> },
      { path: '/sites', element: <SitesPage /> },
      { path: '/sites/new', element: <NewSitePage /> },
      {
        path: '/sites/:id',
        element: <SitePage />,
        children: [
          { index: true, element: <SitePolicy /> },
          { path: 'overview', element: <SiteOverview /> },
          { path: 'models', element: <SiteModels /> },
          { path: 'reservations', element: <SiteReservations /> },
          { path: 'monitoring', element: <SiteMonitoring /> },
          { path: 'result', element: <SiteResult /> },
        ],
      },
      { path: '/organisations', element: <OrganisationsPage /> },
      { path: '/organisations/:id', element: <OrganisationPage /> },
      { path: '/drafts', element: <DraftsPage /> },
      { path: '/drafts/:id', element: <DraftPage /> },
      { path: '/applets', element: <AppletsPage /> },
      { path: '/consoles', element: <ConsolesPage /> },
      { path: '/consoles/:id', element: <ConsolePage /> },
      { path: '/operators', element: <OperatorsPage /> },
      { path: '/audit', element: <AuditPage /> },
      { path: '/me', element: <MePage /> },
      { path: '*', element: <Navigate to="/" replace /> },
    ],
  },
]
