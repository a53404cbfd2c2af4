import { Navigate, type RouteObject } from 'react-router'
import { AlertsPage } from './pages/AlertsPage.tsx'
import { AppliancePage } from './pages/AppliancePage.tsx'
import { AppliancesPage } from './pages/AppliancesPage.tsx'
import { InventoryPage } from './pages/InventoryPage.tsx'
import { JobPage } from './pages/JobPage.tsx'
import { MapPage } from './pages/MapPage.tsx'
import { MessagesPage } from './pages/MessagesPage.tsx'
import { PracticePage } from './pages/PracticePage.tsx'
import { SettingsPage } from './pages/SettingsPage.tsx'
import { SummaryPage } from './pages/SummaryPage.tsx'
import { WizardPage } from './pages/WizardPage.tsx'
import { Shell } from './Shell.tsx'

export const routes: RouteObject[] = [
  // The tray's pop-up, a window of its own.
  { path: '/summary', element: <SummaryPage /> },
  {
    element: <Shell />,
    children: [
      { path: '/', element: <AppliancesPage /> },
      { path: '/map', element: <MapPage /> },
      { path: '/appliances/:uid', element: <AppliancePage /> },
      { path: '/configure', element: <WizardPage /> },
      { path: '/jobs/:id', element: <JobPage /> },
      { path: '/alerts', element: <AlertsPage /> },
      { path: '/messages', element: <MessagesPage /> },
      { path: '/inventory', element: <InventoryPage /> },
      { path: '/practice', element: <PracticePage /> },
      { path: '/settings', element: <SettingsPage /> },
      { path: '*', element: <Navigate to="/" replace /> },
    ],
  },
]
